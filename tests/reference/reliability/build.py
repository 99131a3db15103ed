"""Make the stored references of this folder from the larger real data: sufficient statistics and what R says of them.

Run by hand: ``python -m tests.reference.reliability.build <file made by reliability_tight.R>``. No rows are stored.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from relmeasure.samplestats.moments import moment_sums
from tests.support import REFERENCE, shared_folder

HERE = REFERENCE / "reliability"

Rows = pd.DataFrame


def scales(folder: Path) -> dict[str, Rows]:
    """Return the eleven scales as keyed rows with at least one answer, as ``reliability.R`` made them."""
    made: dict[str, Rows] = {}

    def read(name: str) -> Rows:
        return pd.read_csv(folder / "data" / name / "data.csv")

    bfi = read("bfi")
    reversed_items = {"A1", "C4", "C5", "E1", "E2", "O2", "O5"}
    for letter in "ACENO":
        frame = bfi[[f"{letter}{i}" for i in range(1, 6)]].astype(float)
        made[f"bfi_{letter}"] = frame.assign(**{c: 7 - frame[c] for c in frame.columns if c in reversed_items})
    school = read("HolzingerSwineford1939")
    made["hs_visual"] = school[["x1", "x2", "x3"]]
    made["hs_9"] = school[[f"x{i}" for i in range(1, 10)]]
    students = read("gti_students")
    made["gti_studrel"] = students[[f"SQB13{letter}" for letter in "ABCDE"]]
    made["gti_tsup"] = students[[f"SQB12{letter}" for letter in "ABCDEFGHIJK"]]
    made["pisa_studrel"] = read("pisa2012_deu")[[f"STUDREL_{i}" for i in range(1, 6)]]
    made["burnout_TE"] = read("teachers_burnout")[[f"TE{i}" for i in range(1, 6)]]
    return {name: frame[frame.notna().any(axis=1)].astype(float) for name, frame in made.items()}


def statistics(frame: Rows) -> dict[str, Any]:
    """Return what the coefficients need of the rows: complete moments, and pairwise moments with the person mean added.

    The person mean over the answered items is one column more, since R's item-total correlation of incomplete data
    correlates with it.
    """
    complete = frame.dropna()
    values = complete.to_numpy()
    extended = frame.assign(person_mean=frame.mean(axis=1))
    pairwise = moment_sums(extended.to_numpy(), list(extended.columns), missing="pairwise")
    return {
        "complete": {
            "names": list(frame.columns),
            "n_rows": len(frame),
            "n": len(complete),
            "n_item": frame.notna().sum().tolist(),
            "mean": values.mean(axis=0).tolist(),
            "cov": np.cov(values.T).tolist(),
        },
        "pairwise": pairwise.to_dict(),
    }


def expected(stored: dict[str, Any], tight: dict[str, Any]) -> dict[str, Any]:
    """Return the blocks of the two R runs that the coefficients must meet."""
    source = stored if "alpha_complete" in stored else tight
    names = ("alpha_pairwise", "alpha_complete", "alpha_sum_scores", "mbess_alpha_feldt", "mbess_omega")
    out = {name: source[name] for name in names if name in source}
    out["n"], out["n_complete"] = source["n"], source["n_complete"]
    out["guttman"] = {k: v for k, v in source["guttman"].items() if k in {f"lambda.{i}" for i in range(1, 7)}}
    if "splitHalf" in source:
        out["splitHalf"] = {k: source["splitHalf"][k] for k in ("maxrb", "minrb", "meanr", "av.r")}
    out["cfa_omega_tight"] = tight["cfa_omega_tight"]
    if "cfa_omega_ML" in stored:
        block = stored["cfa_omega_ML"]
        keep = ("omega", "se_delta", "ci_delta", "loadings", "compRelSEM", "compRelSEM_obsvarF", "AVE")
        out["cfa_omega_ML"] = {k: block[k] for k in keep}
        out["cfa_omega_ML"]["fit"] = {k: block["fit"][k] for k in ("chisq", "df", "pvalue")}
    return out


def main(tight_file: Path) -> None:
    """Write one file a scale."""
    folder = shared_folder() / "reference"
    stored = json.loads((folder / "values" / "reliability.json").read_text(encoding="utf-8"))
    tight = json.loads(tight_file.read_text(encoding="utf-8"))
    for name, frame in scales(folder).items():
        block = {
            "meta": {"stored": stored["meta"], "tight": tight["meta"], "data": name},
            **statistics(frame),
            "expected": expected(stored.get(name, {}), tight[name]),
        }
        text = json.dumps(block, separators=(",", ":"), allow_nan=False)
        (HERE / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
