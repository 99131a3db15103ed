"""Relationship and practice in real classes, and the reciprocal question in a simulated district.

Parts one to three read the OECD Global Teaching InSights data (2018) and three waves of soldiers (``univbct``), which
this repository does not hold. Give their folder in RELMEASURE_SHARED (default ../shared beside the checkout), then::

    python examples/virtuous_cycle.py [FOLDER FOR FIGURES]

Without the data, only the simulated district is analysed.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import relmeasure as rm
from relmeasure.panel import cross_lagged_syntax, latent_cross_lagged_syntax, random_intercept_syntax

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("RELMEASURE_SHARED", ROOT.parent / "shared")) / "reference"
COUNTRIES = {152: "Chile", 170: "Colombia", 276: "Germany", 484: "Mexico", 826: "England"}
PRACTICES = ["clarity", "cognitive_activation", "discourse", "meaning", "adaptation", "teacher_support", "feedback"]


# --------------------------------------------------------------------------- one wave, five countries
def one_wave(ratings: pd.DataFrame, figures: Path | None) -> None:
    """Relationship with each practice within and between classes, per country and pooled; the same-rater check."""
    instrument = rm.load_instrument("gti-student")
    scored = rm.score(instrument, ratings, scales=["relationship", *PRACTICES])
    call: dict[str, Any] = {"cluster": "class", "relationship": "relationship", "practices": PRACTICES}
    found = rm.reciprocity(scored, by="country_name", school="school", n_splits=10, **call)
    print("== One wave, five countries\n")
    print(found.summary(), "\n")
    print(found.association.to_text(), "\n")
    print(found.band_tests.to_text(), "\n")
    print(found.same_rater.to_text(), "\n")
    for country in COUNTRIES.values():
        rows = scored[scored["country_name"] == country]
        table = rm.reciprocity(rows, n_splits=0, **call).association.to_frame()
        within, between = table["within_r"], table["between_r_observed"]
        ranges = [f"{values.min():.2f} to {values.max():.2f}" for values in (within, between, table["between_r"])]
        print(f"{country:9s} within {ranges[0]}   class means {ranges[1]}   true scores {ranges[2]}")
    if figures is not None:
        found.save(figures / "cycle_one_wave.png")
        found.save(figures / "cycle_one_wave.html")


def confidence(ratings: pd.DataFrame, teachers: pd.DataFrame) -> None:
    """Teacher confidence before and after the unit, and the chain through it: cross-sectional, and said so."""
    instrument = rm.load_instrument("gti-student")
    scored = rm.score(instrument, ratings, scales=["relationship", "cognitive_activation", "interest_w2"])
    own = teachers[["T_ID", "TA_SELFEFF", "TB_SELFEFF"]].rename(
        columns={"T_ID": "class", "TA_SELFEFF": "confidence_before", "TB_SELFEFF": "confidence_after"}
    )
    r = own[["confidence_before", "confidence_after"]].corr().iloc[0, 1]
    print(f"\n== Teacher confidence: before and after correlate {r:.2f} in {len(own.dropna())} teachers\n")
    for time in ("confidence_before", "confidence_after"):
        chain = rm.mediation(
            scored,
            cluster="class",
            predictor="relationship",
            mediators=[time, "cognitive_activation"],
            outcomes=["interest_w2"],
            teachers=own[["class", time]],
            school="school",
            n_boot=500,
        )
        print(chain.summary(), "\n")


# --------------------------------------------------------------------------- two waves of the same students
def two_waves(ratings: pd.DataFrame) -> None:
    """Self-concept, interest and self-efficacy before and after: a panel of the same students, in classes."""
    pairs = {
        "self_concept": ("SQA06", "SQB01", "ABCDEF"),
        "interest": ("SQA14", "SQB03", "ABC"),
        "efficacy": ("SQA15", "SQB02", "ABCDE"),
    }
    items = {name: [[f"{stem}{c}" for c in letters] for stem in (a, b)] for name, (a, b, letters) in pairs.items()}
    fit = rm.sem(latent_cross_lagged_syntax(items), ratings, estimator="MLR", cluster="class")
    table = fit.parameters(standardized=True)
    print("== Two waves of the same students (factors of items, standard errors robust to classes)\n")
    print(
        table.loc[table["op"] == "~", ["lhs", "rhs", "est", "se", "pvalue", "std_all"]].round(3).to_string(index=False)
    )
    measures = fit.fit_measures(["cfi.robust", "rmsea.robust", "srmr"])
    print("\n" + ", ".join(f"{name} {value:.3f}" for name, value in measures.items()))
    print("\nThe same question between classes, with the errors of class means taken out:\n")
    waves = []
    for wave in (0, 1):
        scores = {name: ratings[columns[wave]].mean(axis=1) for name, columns in items.items()}
        waves.append(
            pd.DataFrame(scores).assign(
                student=ratings["S_ID"], school=ratings["school"], wave=wave + 1, **{"class": ratings["class"]}
            )
        )
    long = pd.concat(waves, ignore_index=True)
    found = rm.reciprocity(
        long, cluster="class", wave="wave", student="student", school="school", relationship="interest",
        practices=["self_concept", "efficacy"], n_splits=0,
    )  # fmt: skip
    print(found.summary())


# --------------------------------------------------------------------------- three waves
def three_waves(soldiers: pd.DataFrame) -> None:
    """Job satisfaction and commitment of soldiers: stable differences taken out, equal lags tested."""
    variables = {"satisfaction": ["JOBSAT1", "JOBSAT2", "JOBSAT3"], "commitment": ["COMMIT1", "COMMIT2", "COMMIT3"]}
    print("\n== Three waves: lags with and without stable differences between persons\n")
    simple = rm.sem(
        cross_lagged_syntax(variables, equal_lags=True), soldiers, missing="fiml", estimator="MLR", fixed_x=False
    )
    free, equal = (
        rm.sem(
            random_intercept_syntax(variables, equal_lags=lags), soldiers, missing="fiml", auto=False, estimator="MLR"
        )
        for lags in (False, True)
    )
    for label, fit in (("cross-lagged", simple), ("with random intercepts", equal)):
        table = fit.parameters()
        shown = table[(table["op"] == "~") & table["lhs"].str.endswith("2")][["lhs", "rhs", "est", "se", "pvalue"]]
        print(label, shown.round(3).to_string(index=False), "", sep="\n")
    print("Equal lags:", free.compare(equal).summary())


# --------------------------------------------------------------------------- the reciprocal question
def district(seed: int = 7, teachers: int = 240) -> pd.DataFrame:
    """Two years of a simulated district: four practices, other students each year, a halo of .6 within classes.

    Relationship goes with three later practices at .20 to .30 and with none back; affective engagement goes with later
    relationship, as in the founding study.
    """
    rng = np.random.default_rng(seed)
    names = ["relationship", "cognitive_engagement", "critical_thinking", "monitoring", "affective_engagement"]
    lags = 0.5 * np.eye(5)
    lags[1:4, 0], lags[0, 4] = (0.30, 0.25, 0.20), 0.25
    true = rng.multivariate_normal(np.zeros(5), 0.5 * np.eye(5) + 0.5, teachers)
    waves = []
    for year in (2017, 2018):
        home = np.repeat(np.arange(teachers), rng.integers(15, 30, teachers))
        halo = rng.multivariate_normal(np.zeros(5), 5.0 * (0.4 * np.eye(5) + 0.6), len(home))
        waves.append(
            pd.DataFrame(true[home] + halo, columns=names).assign(teacher_id=home, year=year, school=home // 6)
        )
        true = true @ lags.T + 0.7 * rng.normal(size=true.shape)
    long = pd.concat(waves, ignore_index=True)
    long["band"] = np.select([long["teacher_id"] % 3 == 0, long["teacher_id"] % 3 == 1], ["4-6", "7-8"], "9-10")
    return long


def reciprocal(figures: Path | None) -> None:
    """The whole call."""
    long = district()
    call: dict[str, Any] = {"cluster": "teacher_id", "wave": "year", "relationship": "relationship", "school": "school"}
    practices = ["cognitive_engagement", "critical_thinking", "monitoring", "affective_engagement"]
    found = rm.reciprocity(long, **call, practices=practices, by="band")
    print("\n== A simulated district, two years\n")
    print(found.summary(), "\n")
    drawn = rm.reciprocity(long, **call, practices=practices[:1], n_splits=0, n_boot=1000)
    print("Intervals over 1,000 draws of schools\n")
    print(drawn.bootstrap.to_text())
    if figures is not None:
        found.save(figures / "cycle_district.png")
        found.save(figures / "cycle_district.html")


def main(figures: Path | None = None) -> None:
    """Run what the data allow."""
    warnings.simplefilter("ignore", rm.RelmeasureWarning)  # the summaries repeat what matters
    if figures is not None:
        figures.mkdir(parents=True, exist_ok=True)
    path = SHARED / "data" / "gti_students" / "data.csv"
    if path.is_file():
        students = pd.read_csv(path)
        ratings = students[students["country"].isin(COUNTRIES)].assign(
            country_name=lambda d: d["country"].map(COUNTRIES)
        )
        one_wave(ratings, figures)
        confidence(ratings, pd.read_csv(SHARED / "data" / "gti_teachers" / "data.csv", low_memory=False))
        two_waves(students)
        three_waves(pd.read_csv(SHARED / "values" / "panel_univbct_wide_input.csv"))
    reciprocal(figures)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
