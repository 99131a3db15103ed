"""Weights and clusters in groups, fixed x under missing answers, wrmr and empty cells, against lavaan 0.6-14.

The reference is ``tests/reference/cfa/corrections.R``: HolzingerSwineford1939 by school, with weights that favour one
school and clusters nested in schools.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from relmeasure.exceptions import FewClustersWarning, UnsupportedDataError
from relmeasure.structural import StructuralFit, cfa, sem
from tests.structural.reference import estimate_differences, frame, index_differences, model
from tests.support import load_reference

HS = model("hs")

LAVAAN_STOPS = 1e-4
"""Relative difference of estimates and indices: lavaan's gradient is not zero where the speed factor is weak."""

WEIGHTED_FIML = frozenset(
    f"{name}.robust"
    for name in ("cfi", "tli", "nnfi", "rni", "rmsea", "rmsea.ci.lower", "rmsea.ci.upper", "rmsea.pvalue")
) | {"rmsea.notclose.pvalue.robust", "gfi", "agfi", "pgfi"}
"""Weights, groups and missing answers together: lavaan's indices differ from ours in the fourth decimal."""


@cache
def stored() -> dict[str, Any]:
    found: dict[str, Any] = load_reference("cfa/corrections")
    return found


@cache
def rows(*, missing: bool = False) -> pd.DataFrame:
    """The rows, with weights and nested clusters; optionally with the stored holes."""
    data = frame("HolzingerSwineford1939")
    data["w"] = (data["ageyr"] - 10) * np.where(data["school"] == "Pasteur", 1.0, 3.0)
    ids = load_reference("cfa/more")["ids"]
    data["nested"] = [f"{school} {person % 12}" for school, person in zip(data["school"], ids, strict=True)]
    if missing:
        items = [f"x{k}" for k in range(1, 10)]
        data[items] = frame("hs_missing")[items].to_numpy()
    return data


def fitted(text: str = HS, *, missing: bool = False, **options: Any) -> StructuralFit:
    """Fit, without warnings about few clusters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewClustersWarning)
        return sem(text, rows(missing=missing), missing="fiml" if missing else "listwise", **options)


GROUPED: dict[str, dict[str, Any]] = {
    "weights_groups": {"weights": "w", "estimator": "MLR"},
    "weights_groups_equal": {"weights": "w", "estimator": "MLR", "group_equal": ["loadings", "intercepts"]},
    "weights_groups_fiml": {"weights": "w", "estimator": "MLR", "missing": True, "group_equal": ["loadings"]},
    "cluster_groups": {"cluster": "nested", "estimator": "MLR"},
    "cluster_groups_equal": {"cluster": "nested", "estimator": "MLR", "group_equal": ["loadings", "intercepts"]},
    "cluster_groups_fiml": {"cluster": "nested", "estimator": "MLR", "missing": True},
}


@pytest.mark.parametrize("name", GROUPED)
def test_weights_and_clusters_in_groups(name: str) -> None:
    fit = fitted(group="school", **GROUPED[name])
    assert estimate_differences(fit, stored()[name], LAVAAN_STOPS) == []
    skip = WEIGHTED_FIML if name == "weights_groups_fiml" else frozenset()
    assert index_differences(fit, stored()[name], LAVAAN_STOPS, skip) == []


@pytest.mark.parametrize("option", ["weights", "cluster"])
@pytest.mark.parametrize("missing", [False, True])
def test_an_unconstrained_group_is_its_own_fit(option: str, *, missing: bool) -> None:
    """Estimates and standard errors are those of the group fitted alone; the trace of the scaled test is their sum.

    The chi-square of a group whose weights average ``c`` counts ``c`` times, and so does its trace.
    """
    chosen: dict[str, Any] = {option: "w" if option == "weights" else "nested", "estimator": "MLR"}
    together = fitted(missing=missing, group="school", **chosen)
    parts = together.parameters()
    trace = df = 0.0
    for school, part in rows(missing=missing).groupby("school"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FewClustersWarning)
            alone = cfa(HS, part, missing="fiml" if missing else "listwise", mean_structure=True, **chosen)
        own = parts[parts["group"] == school]
        np.testing.assert_allclose(own["est"], alone.parameters()["est"], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(own["se"], alone.parameters()["se"], rtol=1e-5, atol=1e-6)
        found = alone.fit_measures()
        heavy = float(part["w"].mean() / rows()["w"].mean()) if option == "weights" else 1.0
        trace, df = trace + heavy * found["df"] * found["chisq.scaling.factor"], df + found["df"]
    assert together.fit_measures()["chisq.scaling.factor"] == pytest.approx(trace / df, rel=1e-5)


def test_constraints_weigh_groups_by_their_weights() -> None:
    """Rows of weight three in one school count like three rows: the estimates are those of the repeated rows."""
    data = rows()
    data["three"] = np.where(data["school"] == "Pasteur", 1.0, 3.0)
    repeated = data.loc[data.index.repeat(data["three"].astype(int))]
    equal: dict[str, Any] = {"group": "school", "group_equal": ["loadings", "intercepts"], "estimator": "MLR"}
    weighed = cfa(HS, data, weights="three", **equal)
    np.testing.assert_allclose(
        weighed.parameters()["est"],
        cfa(HS, repeated.reset_index(drop=True), **equal).parameters()["est"],
        rtol=1e-5,
        atol=1e-6,
    )


def test_clusters_of_a_group_are_counted() -> None:
    with pytest.warns(FewClustersWarning, match="12 clusters in one of the groups, and 24 in all"):
        cfa(HS, rows(), group="school", cluster="nested", estimator="MLR")
    with pytest.raises(UnsupportedDataError, match="single cluster"):
        cfa(HS, rows(), group="school", cluster="school", estimator="MLR")
