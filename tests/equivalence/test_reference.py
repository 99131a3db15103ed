"""Every cell of lavaan's answers on measurement invariance over groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from relmeasure.equivalence import invariance
from relmeasure.samplestats.estimates import MomentEstimate
from relmeasure.structural import cfa
from tests.equivalence.reference import CHISQ, ERROR, differences
from tests.structural.reference import estimate_differences, frame, index_differences, off
from tests.support import load_reference

HS = "visual =~ x1+x2+x3\ntextual =~ x4+x5+x6\nspeed =~ x7+x8+x9"
INDEX = 1e-4
"""Relative difference of indices under missing data: lavaan stops EM and the model at 1e-5."""

AN = "A =~ A1+A2+A3+A4+A5\nN =~ N1+N2+N3+N4+N5"


@pytest.mark.parametrize(
    ("name", "options"),
    [("hs_school_ML", {}), ("hs_school_MLR", {"estimator": "MLR"}), ("hs_school_stdlv", {"std_lv": True})],
)
def test_holzinger(name: str, options: dict[str, Any]) -> None:
    """Nine tests in two schools, as lavaan orders them."""
    stored = load_reference("invariance/hs")[name]
    found = invariance(HS, frame("HolzingerSwineford1939"), group="school", reference="Pasteur", **options)
    assert differences(found, stored) == []


def test_partial_scalar() -> None:
    """Two intercepts released: the model, and its test against the metric one."""
    stored = load_reference("invariance/hs")["hs_partial_scalar"]
    found = invariance(
        HS, frame("HolzingerSwineford1939"), group="school", reference="Pasteur", partial=["x3~1", "x7~1"]
    )
    assert estimate_differences(found.fits["scalar"], stored) == []
    assert index_differences(found.fits["scalar"], stored) == []
    row = found.to_frame().iloc[2]
    test = stored["vs_metric"]
    for ours, theirs in (("delta_chisq", "Chisq.diff"), ("delta_df", "Df.diff"), ("pvalue", "Pr..Chisq.")):
        assert not off(row[ours], test[theirs][1], CHISQ)
    assert found.partial == ("x3~1", "x7~1")
    assert "Released from equality: x3~1, x7~1" in found.summary()
    assert found.conclusion.startswith("Partial strict invariance holds")


def test_bfi_from_moments() -> None:
    """Ten items by gender from the moments of each group."""
    stored = load_reference("invariance/bfi")
    data = {
        name: MomentEstimate.from_matrix(np.array(g["cov"]), g["n_obs"], stored["names"], mean=g["mean"])
        for name, g in stored["groups"].items()
    }
    assert differences(invariance(AN, data), stored["bfi_AN_gender_ML"]) == []


@pytest.mark.parametrize("name", ["hs_school_ML", "hs_school_MLR"])
def test_equal_factor_means(name: str) -> None:
    """The test of equal factor means, by the engine's own equality of means."""
    stored = load_reference("invariance/hs")[name]["scalar_means0"]
    fit = cfa(
        HS,
        frame("HolzingerSwineford1939"),
        group="school",
        estimator="MLR" if name.endswith("R") else "ML",
        group_equal=["loadings", "intercepts", "means"],
    )
    assert estimate_differences(fit, stored) == []
    assert index_differences(fit, stored) == []


@pytest.mark.shared
def test_relationship_by_country(shared_reference: Path) -> None:
    """Students' ratings of their teachers in five countries."""
    stored = load_reference("values/invariance", shared_reference)["gti_rel_country_MLR"]
    rows = pd.read_csv(shared_reference / "data" / "gti_students_complete" / "data.csv")
    model = "rel =~ SQB13A+SQB13B+SQB13C+SQB13D+SQB13E"
    assert differences(invariance(model, rows, group="country", estimator="MLR"), stored) == []


@pytest.mark.shared
def test_the_same_people_at_two_waves(shared_reference: Path) -> None:
    """Equality over waves, by labels: full information, classes as clusters, scaled difference tests."""
    stored = load_reference("values/invariance", shared_reference)["longitudinal_gti_pint"]
    rows = pd.read_csv(shared_reference / "data" / "gti_students" / "data.csv", low_memory=False)
    rows = rows[rows[["SQA14A", "SQB03A"]].notna().any(axis=1)]
    options: dict[str, Any] = {"estimator": "MLR", "missing": "fiml", "cluster": "class"}
    fits = [cfa(text, rows, mean_structure=True, **options) for text in stored["models"]]
    wrong = []
    for step, fit in zip(("configural", "metric", "scalar"), fits, strict=True):
        wrong += [(step, *w) for w in estimate_differences(fit, stored[step], ERROR)]
        wrong += [(step, *w) for w in index_differences(fit, stored[step], tolerance=INDEX)]
    for k in (1, 2):
        found = fits[k].compare(fits[k - 1])
        for ours, theirs in ((found.chisq, "Chisq.diff"), (found.df, "Df.diff"), (found.pvalue, "Pr..Chisq.")):
            if off(ours, stored["lrt"][theirs][k], INDEX):
                wrong.append((k, theirs, ours, stored["lrt"][theirs][k]))
    assert wrong == []
