"""Write ``ordered_groups.csv``: simulated answers of 2 to 6 categories, and continuous ones, in three unequal groups.

``python tests/reference/cfa/further_rows.py``. Two factors, seven ordered items (a1 ... b3), three continuous ones (c1 ... c3);
loadings, cuts and latent means differ a little between groups, so that no step of equality fits exactly.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

CUTS = {
    "a1": [0.2], "a2": [-0.6, 0.5], "a3": [-1.0, 0.0, 0.9], "a4": [-1.2, -0.4, 0.3, 1.1],
    "b1": [-1.5, -0.8, 0.0, 0.7, 1.4], "b2": [-0.3], "b3": [-0.9, 0.1, 0.8],
}  # fmt: skip
LOADINGS = {
    "a1": 0.7,
    "a2": 0.8,
    "a3": 0.6,
    "a4": 0.75,
    "b1": 0.8,
    "b2": 0.65,
    "b3": 0.7,
    "c1": 0.8,
    "c2": 0.6,
    "c3": 0.7,
}
SIZES = {"one": 420, "two": 330, "three": 250}


def main() -> None:
    rng = np.random.default_rng(1984)
    lines = [",".join(["group", *LOADINGS])]
    for number, (group, n) in enumerate(SIZES.items()):
        factors = rng.multivariate_normal([0.25 * number, -0.15 * number], [[1 + 0.2 * number, 0.5], [0.5, 1.0]], n)
        columns = []
        for place, (item, loading) in enumerate(LOADINGS.items()):
            own = loading + 0.08 * number * (-1) ** place
            y = own * factors[:, 0 if place < 4 else 1] + rng.normal(size=n) * (0.65 + 0.05 * (place % 3))
            if item in CUTS:
                columns.append([str(int(k)) for k in np.digitize(y + 0.1 * number * (place % 2), CUTS[item])])
            else:
                columns.append([f"{2.0 * v + place:.2f}" for v in y])
        lines += [",".join([group, *row]) for row in zip(*columns, strict=True)]
    Path(__file__).with_name("ordered_groups.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
