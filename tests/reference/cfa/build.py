"""Copy the blocks that the tests need from the larger reference folder: ``python tests/reference/cfa/build.py FOLDER``.

``FOLDER`` holds ``values/cfa.json`` (made by ``scripts/cfa.R`` with the versions in its ``meta``) and ``data``. Rows of bfi
are not copied, only their moments.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np

from relmeasure.samplestats.polychoric import polychoric_from_codes

HERE = Path(__file__).parent
BFI = [f"{scale}{k}" for scale in "ACENO" for k in range(1, 6)]


def rows(folder: Path, name: str, columns: list[str]) -> np.ndarray:
    with (folder / "data" / name / "data.csv").open(encoding="utf-8") as file:
        found = [[row[c] for c in columns] for row in csv.DictReader(file)]
    return np.array([[np.nan if v in ("", "NA") else float(v) for v in row] for row in found])


def agreeableness(folder: Path) -> dict[str, object]:
    """Thresholds, polychoric correlations and their covariance of five items: what weighted least squares starts from."""
    values = rows(folder, "bfi", BFI)
    codes = values[~np.isnan(values).any(axis=1)][:, :5] - 1
    return polychoric_from_codes(codes, BFI[:5], categories=[range(6)] * 5, missing="listwise", acov=True).to_dict()


def main(folder: Path) -> None:
    values = json.loads((folder / "values" / "cfa.json").read_text(encoding="utf-8"))
    for prefix in ("hs_", "pd_"):
        blocks = {k: v for k, v in values.items() if k.startswith(prefix)}
        text = json.dumps({"meta": values["meta"], "models": values["models"], **blocks})
        (HERE / f"{prefix.rstrip('_')}.json").write_text(text + "\n", encoding="utf-8")
    for name, columns in (
        ("HolzingerSwineford1939", ["sex", "ageyr", "school", *(f"x{k}" for k in range(1, 10))]),
        ("PoliticalDemocracy", [*(f"y{k}" for k in range(1, 9)), "x1", "x2", "x3"]),
    ):
        with (folder / "data" / name / "data.csv").open(encoding="utf-8") as file:
            found = [[row[c] for c in columns] for row in csv.DictReader(file)]
        text = "\n".join(",".join(row) for row in [columns, *found])
        (HERE / f"{name}.csv").write_text(text + "\n", encoding="utf-8")
    missing = (folder / "values" / "hs_missing_input.csv").read_text(encoding="utf-8").replace('"', "")
    (HERE / "hs_missing.csv").write_text(missing, encoding="utf-8")
    complete = rows(folder, "bfi", BFI)
    complete = complete[~np.isnan(complete).any(axis=1)]
    bfi = {
        "meta": values["meta"],
        "model": values["models"]["bfi5"],
        "names": BFI,
        "n_obs": len(complete),
        "mean": complete.mean(axis=0).tolist(),
        "cov": np.cov(complete.T).tolist(),
        "bfi5_ml": values["bfi5_ml"],
    }
    bfi["bfi5_ml"].pop("scores", None)
    ordered = {"meta": values["meta"], "polychoric": agreeableness(folder)}
    ordered |= {name: values[name] for name in ("bfiA_wlsmv_1f", "bfiA_wls_full")}
    for block in ("WLS.V_diag", "gamma", "wls_obs"):
        ordered["bfiA_wlsmv_1f"].pop(block, None)
    (HERE / "ordered.json").write_text(json.dumps(ordered) + "\n", encoding="utf-8")
    (HERE / "bfi.json").write_text(json.dumps(bfi) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
