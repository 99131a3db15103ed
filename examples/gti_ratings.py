"""Real student ratings from answers to scores, reliability and class means.

The data are the student questionnaires of the OECD Global Teaching InSights study (2018), which this repository does
not hold. Give their folder in RELMEASURE_SHARED (default ../shared beside the checkout), then::

    python examples/gti_ratings.py

The same from the shell::

    relmeasure check       gti-student data.csv
    relmeasure reliability gti-student data.csv --engine duckdb --out reliability.csv
    relmeasure score       gti-student data.csv --engine polars --out scores.csv
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pandas as pd

import relmeasure as rm

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("RELMEASURE_SHARED", ROOT.parent / "shared"))
COUNTRIES = {152: "Chile", 170: "Colombia", 276: "Germany", 484: "Mexico", 826: "England"}


def main() -> None:
    """Check, score, reliability, and how far a class mean can be trusted, country by country."""
    path = SHARED / "reference" / "data" / "gti_students" / "data.csv"
    if not path.is_file():
        raise SystemExit(f"The ratings are not at {path}: set RELMEASURE_SHARED.")
    ratings = pd.read_csv(path)
    ratings = ratings[ratings["country"].isin(COUNTRIES)]  # Japan did not ask about teaching
    instrument = rm.load_instrument("gti-student")
    teaching = [scale for scale in instrument.scale_ids if not scale.endswith(("_w1", "_w2"))]

    print(f"{len(ratings)} students in {ratings['class'].nunique()} classes of {len(COUNTRIES)} countries\n")
    print(rm.check(instrument, ratings, scales=teaching).summary(), "\n")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rm.RelmeasureWarning)  # the rule behind each N stands in the table
        reliability = rm.reliability(instrument, ratings, scales=teaching).to_frame()
    shown = ["scale", "coefficient", "estimate", "lower", "upper", "n_obs", "n_rows"]
    print(reliability[shown].round(3).to_string(index=False), "\n")

    scored = rm.score(instrument, ratings, scales=teaching)
    print("Relationship: class-level reliability, within each country")
    for code, rows in scored.groupby("country"):
        found = rm.icc(rows["relationship"], cluster=rows["class"])
        mean_size = f"{found.mean_size:.1f} students"
        print(f"  {COUNTRIES[code]:10s} ICC(1) {found.icc1:.3f}   ICC(2) {found.icc2:.3f} for a class of {mean_size}")

    print()
    print(rm.classroom_scores(instrument, ratings, cluster="class", school="school", scales=["relationship"]).summary())


if __name__ == "__main__":
    main()
