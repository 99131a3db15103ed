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

from relmeasure import invariance, moments
from relmeasure.exceptions import (
    CategoriesAssumedWarning,
    ColumnNotFoundError,
    DataError,
    FewClustersWarning,
    OptionError,
    PairwiseDeletionWarning,
    UnsupportedDataError,
)
from relmeasure.samplestats.estimates import MomentEstimate
from relmeasure.structural import StructuralFit, cfa, sem
from tests.structural.reference import estimate_differences, frame, index_differences, model
from tests.support import load_reference

HS = model("hs")

LAVAAN_STOPS = 1e-4
"""Relative difference of estimates and indices: lavaan's gradient is not zero where the speed factor is weak."""

WEIGHTED_FIML = frozenset(
    f"{name}.robust"
    for name in ("cfi", "tli", "nnfi", "rni", "rmsea", "rmsea.ci.lower", "rmsea.ci.upper", "rmsea.pvalue")
) | {"rmsea.notclose.pvalue.robust"}
"""Weights, groups and missing answers together: lavaan's robust indices differ from ours in the fourth decimal."""


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


# --------------------------------------------------------------------------- what has no theory is refused
MODEL = "visual =~ x1 + x2 + x3 + x4"
ITEMS = ["x1", "x2", "x3", "x4"]


def test_moments_of_weighted_or_incomplete_rows_have_no_test() -> None:
    """The reviewer's simulations: a true model was rejected in 62% (weights) and 35% (pairs) of the samples."""
    whole, holes = rows()[ITEMS], rows(missing=True)[ITEMS]
    with pytest.raises(UnsupportedDataError, match="moments are weighted"):
        cfa(MODEL, moments(whole, weights=rows()["w"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PairwiseDeletionWarning)
        pairwise, listwise = moments(holes, missing="pairwise"), moments(whole, missing="pairwise")
    with pytest.raises(UnsupportedDataError, match="missing='fiml'"):
        cfa(MODEL, pairwise)
    with pytest.raises(UnsupportedDataError, match="of group one rest on rows with missing answers"):
        cfa(MODEL, {"one": pairwise, "two": listwise})
    with pytest.raises(UnsupportedDataError, match="missing='fiml'"):
        cfa(MODEL, moments(holes, missing="fiml"))
    for given in (listwise, moments(whole, missing="fiml")):  # complete rows, whatever the rule
        assert cfa(MODEL, given).fit_measures()["chisq"] == pytest.approx(
            cfa(MODEL, whole).fit_measures()["chisq"], rel=1e-6
        )


def test_a_matrix_and_its_n() -> None:
    whole = rows()[ITEMS]
    fit = cfa(MODEL, (whole.cov(), len(whole)))
    ours = cfa(MODEL, whole)
    assert fit.fit_measures()["chisq"] == pytest.approx(ours.fit_measures()["chisq"], rel=1e-8)
    np.testing.assert_allclose(fit.parameters()["se"], ours.parameters()["se"], rtol=1e-6)
    with pytest.raises(UnsupportedDataError, match="means"):
        cfa(MODEL, (whole.cov(), len(whole)), mean_structure=True)
    pairs = {school: (part[ITEMS].cov(), len(part)) for school, part in rows().groupby("school")}
    apart = cfa(MODEL, pairs, mean_structure=False).fit_measures()
    assert apart["chisq"] == pytest.approx(cfa(MODEL, rows(), group="school").fit_measures()["chisq"], rel=1e-8)


def test_ordered_names_must_exist() -> None:
    answers = rows()[ITEMS].round().clip(2, 6).assign(other=1.0)
    with pytest.raises(ColumnNotFoundError, match=r"ordered= names X1, which the data do not have"):
        cfa(MODEL, answers, ordered=["X1", "x2", "x3", "x4"])
    with pytest.raises(ColumnNotFoundError, match="x_4"):
        invariance(MODEL, answers.assign(g=rows()["school"]), group="g", ordered=["x1", "x2", "x3", "x_4"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CategoriesAssumedWarning)
        assert cfa(MODEL, answers, ordered=[*ITEMS, "other"]).table.ordered == tuple(ITEMS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"group_equal": ["loadings"]}, "group_equal= needs group="),
        ({"group": "school", "group_partial": ["visual=~x2"]}, "group_partial= releases"),
        ({"structure": "bifactor"}, "structure= is for an instrument"),
        ({"scales": ["x"]}, "scales= is for an instrument"),
        ({"unknown": "missing"}, "unknown= is for an instrument"),
        ({"parameterization": "theta"}, "for ordered items"),
        ({"ordered": True, "information": "observed"}, "information= is for continuous items"),
        ({"ordered": True, "likelihood": "wishart"}, "likelihood='wishart'"),
        ({"weights": "w", "likelihood": "wishart"}, "likelihood='wishart'"),
        ({"cluster": "nested", "likelihood": "wishart"}, "likelihood='wishart'"),
        ({"missing": "fiml", "mean_structure": False}, "needs the means"),
    ],
)
def test_nothing_is_silently_ignored(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsupportedDataError, match=message):
        cfa(MODEL, rows(), **options)


@pytest.mark.parametrize(
    "options", [{"structure": "bifactor"}, {"scales": ["x"]}, {"parameterization": "theta"}, {"correct": 0.5}]
)
def test_nor_at_two_levels(options: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedDataError, match="is for"):
        cfa("level: 1\nw =~ x1 + x2 + x3\nlevel: 2\nb =~ x1 + x2 + x3", rows(), cluster="nested", **options)


def test_lists_are_lists() -> None:
    with pytest.raises(OptionError, match=r"write group_equal=\['loadings'\]"):
        cfa(MODEL, rows(), group="school", group_equal="loadings")  # type: ignore[arg-type]


def test_fits_of_other_data_are_not_compared() -> None:
    data = rows()
    one, same = cfa(f"{MODEL}\nx1 ~~ x3", data), data.sample(frac=1.0, random_state=1)
    assert one.compare(cfa(MODEL, same)).df == 1
    with pytest.raises(UnsupportedDataError, match="moments of these two differ"):
        one.compare(cfa(MODEL, data.assign(x1=data["x1"].to_numpy()[::-1])))


# --------------------------------------------------------------------------- fixed x under missing answers
FIXED: dict[str, dict[str, Any]] = {
    "fiml_fixed_x": {},
    "fiml_fixed_x_missing": {"holes": True},
    "fiml_fixed_x_mlr": {"holes": True, "estimator": "MLR"},
    "fiml_fixed_x_groups": {"holes": True, "estimator": "MLR", "group": "school"},
}


@pytest.mark.parametrize("name", FIXED)
def test_full_information_given_fixed_x(name: str) -> None:
    options = dict(FIXED[name])
    text = f"{HS}\nvisual + textual + speed ~ sex" + ("" if "group" in options else " + ageyr")
    fit = sem(text, rows(missing=options.pop("holes", False)), missing="fiml", **options)
    assert estimate_differences(fit, stored()[name], LAVAAN_STOPS) == []
    assert index_differences(fit, stored()[name], LAVAAN_STOPS) == []


def test_full_information_of_complete_rows_is_maximum_likelihood() -> None:
    text = f"{HS}\nvisual + textual + speed ~ sex + ageyr"
    one = sem(text, rows(), mean_structure=True).fit_measures()
    two = sem(text, rows(), missing="fiml").fit_measures()
    for name in ("logl", "unrestricted.logl", "aic", "bic", "bic2", "gfi", "agfi", "pgfi", "cfi", "rmsea", "srmr"):
        assert two[name] == pytest.approx(one[name], rel=1e-6), name


# --------------------------------------------------------------------------- ordered items
LOW = {"x1": 3.2, "x2": 4.7, "x3": 1.0, "x4": 1.4, "x5": 2.3, "x6": 1.1}
"""Cuts of binary items, of which x2 and x5 leave a cell empty."""


def binary() -> pd.DataFrame:
    return pd.DataFrame({name: (rows()[name] > cut).astype(int) for name, cut in LOW.items()})


def test_an_empty_cell_is_filled_on_request() -> None:
    text = "visual =~ x1+x2+x3\ntextual =~ x4+x5+x6"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DataError, match=r"x2-x5 stand at.*correct=0.5"):
            cfa(text, binary(), ordered=True)
        fit = cfa(text, binary(), ordered=True, correct=0.5)
    assert estimate_differences(fit, stored()["empty"], 1e-4) == []
    assert index_differences(fit, stored()["empty"], skip=frozenset({"pvalue"})) == []
    with pytest.raises(UnsupportedDataError, match="correct= is for rows of ordered items"):
        cfa(text, binary(), correct=0.5)


CUTS = {
    "x1": (4, 5, 6), "x2": (5, 6, 7), "x3": (1.25, 2.25, 3.25), "x4": (2, 3, 4), "x5": (3, 4.5, 5.5),
    "x6": (1.2, 2.2, 3.2), "x7": (3.2, 4.2, 5.2), "x8": (4.6, 5.5), "x9": (5.4,),
}  # fmt: skip
"""Where the continuous items are cut into ordered ones."""


def cut() -> pd.DataFrame:
    """The rows, the items cut at fixed points."""
    data = rows().copy()
    for name in CUTS:
        data[name] = np.searchsorted(CUTS[name], data[name].to_numpy(), side="right")
    return data


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("wrmr", {}),
        ("wrmr_groups", {"group": "school", "group_equal": ["loadings", "thresholds", "intercepts"]}),
    ],
)
def test_weighted_root_mean_square_residual(name: str, options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CategoriesAssumedWarning)
        fit = cfa(HS, cut(), ordered=list(CUTS), **options)
    assert fit.fit_measures()["wrmr"] == pytest.approx(stored()[name]["fit"]["wrmr"], rel=1e-5)


# --------------------------------------------------------------------------- modification indices
@pytest.mark.parametrize("grouped", [False, True])
def test_wishart_modification_indices_are_in_units_of_its_chi_square(*, grouped: bool) -> None:
    """The Wishart likelihood of n rows is the normal one of n - 1 rows with the unbiased covariances."""
    whole = rows()
    options: dict[str, Any] = {"group_equal": ["loadings"]} if grouped else {}
    by: dict[str, Any] = {"group": "school"} if grouped else {}
    parts = dict(list(whole.groupby("school", sort=False))) if grouped else {"": whole}
    items = list(CUTS)
    fewer = {
        name: MomentEstimate.from_matrix(
            part[items].cov().to_numpy() * (len(part) - 1) / (len(part) - 2),
            len(part) - 1,
            items,
            mean=part[items].mean().to_numpy(),
        )
        for name, part in parts.items()
    }
    wishart = cfa(HS, whole, likelihood="wishart", **by, **options)
    normal = cfa(HS, fewer if grouped else fewer[""], **options)
    assert wishart.fit_measures()["chisq"] == pytest.approx(normal.fit_measures()["chisq"], rel=1e-8)
    one, two = wishart.modification_indices(), normal.modification_indices()
    np.testing.assert_allclose(one["mi"], two["mi"], rtol=1e-5)
    np.testing.assert_allclose(one["epc"], two["epc"], rtol=1e-5)
    if not grouped:  # lavaan multiplies by n
        assert one["mi"].iloc[0] == pytest.approx(stored()["mi_wishart"]["mi"][0] * 300 / 301, rel=1e-5)


def test_a_model_without_a_scaled_test_has_nan_in_its_place() -> None:
    """Equal thresholds alone do not identify items with two categories (Wu & Estabrook, 2016)."""
    data = rows().copy()
    for name in CUTS:
        data[name] = (data[name] > data[name].median()).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = cfa(HS, data, ordered=list(CUTS), group="school", group_equal=["thresholds"])
    assert not fit.status.identified
    found = fit.fit_measures()
    assert all(np.isnan(found[name]) for name in ("chisq.scaled", "pvalue.scaled", "cfi.scaled", "rmsea.scaled"))
