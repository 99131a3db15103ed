"""Copy the blocks that the tests need: ``python tests/reference/invariance/build.py FOLDER``.

``FOLDER`` holds ``values/invariance.json`` (made by ``scripts/invariance.R`` with the versions in its ``meta``) and ``data``.
Rows of bfi are not copied, only the moments of each group.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
ITEMS = [f"{scale}{k}" for scale in "AN" for k in range(1, 6)]
ALL_ITEMS = [f"{scale}{k}" for scale in "ACENO" for k in range(1, 6)]


def main(folder: Path) -> None:
    values = json.loads((folder / "values" / "invariance.json").read_text(encoding="utf-8"))
    hs = {k: values[k] for k in ("meta", "hs_school_ML", "hs_school_MLR", "hs_school_stdlv", "hs_partial_scalar")}
    (HERE / "hs.json").write_text(json.dumps(hs) + "\n", encoding="utf-8")
    with (folder / "data" / "bfi" / "data.csv").open(encoding="utf-8") as file:
        found = [[row[c] for c in (*ALL_ITEMS, "gender")] for row in csv.DictReader(file)]
    rows = np.array([[np.nan if v in ("", "NA") else float(v) for v in row] for row in found])
    rows = rows[~np.isnan(rows).any(axis=1)]
    at = [ALL_ITEMS.index(name) for name in ITEMS]
    groups = {}
    for code in (1, 2):
        x = rows[rows[:, -1] == code][:, at]
        groups[str(code)] = {"n_obs": len(x), "mean": x.mean(axis=0).tolist(), "cov": np.cov(x.T).tolist()}
    bfi = {"meta": values["meta"], "names": ITEMS, "groups": groups, "bfi_AN_gender_ML": values["bfi_AN_gender_ML"]}
    (HERE / "bfi.json").write_text(json.dumps(bfi) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
