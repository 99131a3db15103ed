"""Polyserial and mixed correlations: lavaan, polycor, identities, the jackknife, recovery, nonsense."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmeasure.exceptions import (
    ConstantItemWarning,
    DataError,
    ListwiseDeletionWarning,
    NonNumericError,
    NotConvergedWarning,
    NotPositiveDefiniteWarning,
    PairwiseDeletionWarning,
    RelmeasureWarning,
    SparseTableWarning,
    TooFewItemsError,
    TooFewObservationsError,
    UnknownCodeError,
)
from relmeasure.samplestats import (
    PolychoricResult,
    mixed_correlations,
    moment_sums,
    polychoric_acov,
    polychoric_from_codes,
)
from relmeasure.samplestats.contingency import item_pairs
from tests.support import load_reference, matrix

LAVAAN = 1e-6  # as for polychorics
POLYCOR = 5e-5  # polycor standardises with divisor n - 1
EXACT = 1e-12  # the same arithmetic in another order

CASES = load_reference("polychoric/polychoric")
STORED = load_reference("polychoric/stored")["polyserial"]


def _expand(case: dict[str, Any]) -> np.ndarray:
    """Rows of a cross-table of a number and an answer."""
    counts = np.array(case["counts"])
    rows = np.array([[age, k + 1] for age in case["age"] for k in range(counts.shape[1])], dtype=float)
    return np.repeat(rows, counts.ravel(), axis=0)


@pytest.mark.parametrize(("name", "block"), [("age_A1", "age_A1_2step"), ("age_N1", "age_N1_2step")])
def test_polyserial(name: str, block: str) -> None:
    """lavaan to six digits; polycor's two-step estimate; psych's moment formula is another number."""
    values = _expand(CASES["polyserial"][name])
    result = mixed_correlations(values, ["age", "item"], categories=[None, (1, 2, 3, 4, 5, 6)])
    rho = result.correlation[0, 1]
    assert rho == pytest.approx(CASES["polyserial"][name]["lavcor"], abs=LAVAAN)
    assert rho == pytest.approx(CASES["polyserial"][name]["polycor_2step"], abs=POLYCOR)
    assert rho == pytest.approx(STORED[block]["rho"], abs=POLYCOR)
    column = 1 if name == "age_A1" else 2
    assert rho == pytest.approx(matrix(STORED["lavCor_mixed"]["cor"])[0, column], abs=LAVAAN)
    assert result.thresholds["item"] == pytest.approx(STORED[block]["cuts"], abs=EXACT)
    assert result.se[0, 1] == pytest.approx(STORED[block]["se"], rel=0.02)  # polycor holds thresholds and moments fixed
    assert result.method("age", "item") == "polyserial"
    if name == "age_A1":
        assert abs(rho - STORED["psych_age_A1"]["rho"]) > 0.01


def _hs() -> np.ndarray:
    return np.hstack([np.array(CASES["hs_ordinal"]["rows"], float)[:, :3], np.array(CASES["hs_mixed"]["continuous"])])


HS_CATEGORIES = [(1, 2, 3), (1, 2, 3, 4), (1, 2, 3, 4), None, None]
HS_NAMES = ["x1", "x2", "x3", "x5", "x6"]


def test_mixed_matrix() -> None:
    """Three ordered and two continuous tests: every correlation, covariance and mean of lavaan."""
    result = mixed_correlations(_hs(), HS_NAMES, categories=HS_CATEGORIES)
    case = CASES["hs_mixed"]
    np.testing.assert_allclose(result.correlation, np.array(case["cor"]), atol=LAVAAN)
    np.testing.assert_allclose(result.cov, np.array(case["cov"]), atol=2 * LAVAAN)
    np.testing.assert_allclose(result.mean, case["mean"], atol=EXACT)
    assert [result.method("x1", other) for other in ("x2", "x5")] == ["polychoric", "polyserial"]
    assert result.method("x5", "x6") == "pearson"
    assert result.kinds == ("ordered", "ordered", "ordered", "continuous", "continuous")
    assert "polychoric, polyserial, pearson" in result.summary()


def _sample(seed: int, n: int, share: float = 0.0, r: float = 0.5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    latent = math.sqrt(r) * rng.normal(size=(n, 1)) + math.sqrt(1 - r) * rng.normal(size=(n, 4))
    values = latent.copy()
    values[:, 0] = np.digitize(latent[:, 0], [-0.7, 0.4])
    values[:, 2] = np.digitize(latent[:, 2], [-1.0, 0.0, 1.0])
    values[:, 1] = 10 + 3 * latent[:, 1]
    values[rng.random(values.shape) < share] = np.nan
    return values


NAMES = ["a", "x", "b", "y"]
CATEGORIES = [(0, 1, 2), None, (0, 1, 2, 3), None]
TRUTH = np.r_[-0.7, 0.4, 10.0, -1.0, 0.0, 1.0, 0.0, 9.0, 1.0, 1.5, 0.5, 0.5, 1.5, 1.5, 0.5]
LABELS = (
    "a|t1", "a|t2", "x~1", "b|t1", "b|t2", "b|t3", "y~1", "x~~x", "y~~y", "a~~x", "a~~b", "a~~y", "x~~b", "x~~y", "b~~y",
)  # fmt: skip


def _quiet(values: np.ndarray, **options: Any) -> PolychoricResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelmeasureWarning)
        return mixed_correlations(values, NAMES, **({"categories": CATEGORIES} | options))


@pytest.mark.parametrize("missing", ["listwise", "pairwise"])
def test_covariance_against_the_jackknife(missing: str) -> None:
    """Leaving out one row at a time gives the same covariance of all fifteen estimates."""
    values = _sample(1, 300, share=0.1)
    if missing == "listwise":
        values = values[~np.isnan(values).any(axis=1)]
    n = len(values)
    result = _quiet(values, missing=missing, information="observed", acov=True)
    assert result.parameters == LABELS
    assert result.acov is not None
    left = np.array([_quiet(np.delete(values, r, 0), missing=missing).estimates for r in range(n)])
    jackknife = (n - 1) / n * (left - left.mean(axis=0)).T @ (left - left.mean(axis=0))
    scale = np.sqrt(np.outer(result.estimate_variances, result.estimate_variances))
    np.testing.assert_allclose(jackknife / scale, result.acov / scale, atol=0.03)  # terms of order 1 / n
    np.testing.assert_allclose(np.diag(result.acov), result.estimate_variances, rtol=1e-12)


def test_both_informations_agree_where_the_model_holds() -> None:
    """In 40,000 rows of normal variables, cross-products and second derivatives give one covariance."""
    values = _sample(11, 40_000)
    by_products, observed = (_quiet(values, information=kind, acov=True) for kind in ("crossproduct", "observed"))
    scale = np.sqrt(np.outer(observed.estimate_variances, observed.estimate_variances))
    assert by_products.acov is not None
    np.testing.assert_allclose(by_products.acov / scale, observed.acov / scale, atol=0.04)


def test_skewed_variable() -> None:
    """The mean of a skewed variable has the variance of a mean, and its standard error is not that of a normal one."""
    values = _sample(2, 500)
    values[:, 1] = np.exp(values[:, 1] / 3)
    result = _quiet(values)
    at = result.parameters.index("x~1")
    assert result.estimate_variances[at] == pytest.approx(values[:, 1].var() / 500)
    at = result.parameters.index("x~~x")
    deviation = (values[:, 1] - values[:, 1].mean()) ** 2
    assert result.estimate_variances[at] == pytest.approx(deviation.var() / 500)


def test_all_ordered_equals_polychoric() -> None:
    """Without a continuous item the two functions agree in every number."""
    values = _sample(3, 400, share=0.1)
    values[:, [1, 3]] = np.digitize(values[:, [1, 3]], [0.0, 10.0])
    values[np.isnan(_sample(3, 400, share=0.1))] = np.nan
    kinds = [(0, 1, 2), (0, 1, 2), (0, 1, 2, 3), (0, 1, 2)]
    mixed = _quiet(values, categories=kinds, acov=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelmeasureWarning)
        ordered = polychoric_from_codes(values, NAMES, categories=kinds, acov=True)
    assert mixed.parameters == ordered.parameters
    np.testing.assert_allclose(mixed.correlation, ordered.correlation, atol=EXACT)
    np.testing.assert_allclose(mixed.acov, ordered.acov, atol=1e-14)  # type: ignore[arg-type]
    np.testing.assert_allclose(mixed.se, ordered.se, atol=EXACT)


@pytest.mark.parametrize("missing", ["listwise", "pairwise"])
def test_all_continuous_equals_pearson(missing: str) -> None:
    """Without an ordered item the matrix is that of the moments."""
    values = _sample(4, 200, share=0.1)
    result = _quiet(values, categories=[None] * 4, missing=missing)
    expected = moment_sums(values, NAMES, missing=missing)  # type: ignore[arg-type]
    np.testing.assert_allclose(result.correlation, expected.cor, atol=EXACT)
    np.testing.assert_allclose(result.n_pair, expected.count)
    r, n = result.correlation[1, 3], expected.count[1, 3]
    assert result.se[1, 3] == pytest.approx((1 - r * r) / math.sqrt(n), rel=0.2)  # of normal variables


def test_biserial_closed_case() -> None:
    """Two categories cut at the median of a symmetric pair: the score equation is solved, and sign follows the item."""
    x = np.linspace(-2, 2, 401)
    item = (x > 0).astype(float)
    item[100], item[300] = 1.0, 0.0
    values = np.column_stack([item, x])
    up = mixed_correlations(values, ["i", "x"], categories=[(0, 1), None])
    down = mixed_correlations(np.column_stack([1 - item, x]), ["i", "x"], categories=[(0, 1), None])
    assert up.correlation[0, 1] == pytest.approx(-down.correlation[0, 1], abs=1e-9)
    assert 0.8 < up.correlation[0, 1] < 1.0


def test_perfect_order_is_at_the_bound() -> None:
    """An item that is a cut of the variable itself has no maximum inside."""
    x = np.linspace(-2, 2, 100)
    values = np.column_stack([(x > 0).astype(float), x])
    with pytest.warns(SparseTableWarning), pytest.warns(NotPositiveDefiniteWarning):
        result = mixed_correlations(values, ["i", "x"], categories=[(0, 1), None])
    with pytest.warns(SparseTableWarning), pytest.warns(NotPositiveDefiniteWarning):
        down = mixed_correlations(-values, ["i", "x"], categories=[(-1, 0), None])
    assert down.correlation[0, 1] == 1.0
    assert result.correlation[0, 1] == 1.0
    assert math.isnan(result.se[0, 1])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.permutations(range(4)), st.floats(0.01, 100), st.floats(-50, 50))
def test_order_and_units(seed: int, order: list[int], scale: float, shift: float) -> None:
    """Neither the order of items and rows nor the units of a continuous item change a correlation."""
    values = _sample(seed, 120, share=0.05)
    base = _quiet(values)
    moved = values[np.random.default_rng(seed).permutation(120)][:, order]
    at = order.index(1)
    moved[:, at] = moved[:, at] * scale + shift
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelmeasureWarning)
        other = mixed_correlations(moved, [NAMES[i] for i in order], categories=[CATEGORIES[i] for i in order])
    np.testing.assert_allclose(other.correlation, base.correlation[np.ix_(order, order)], atol=1e-8)
    np.testing.assert_allclose(other.se, base.se[np.ix_(order, order)], atol=1e-7)


def test_weights() -> None:
    """Whole weights give the estimates of repeated rows; their scale does not matter."""
    values = _sample(5, 300)
    w = np.random.default_rng(6).integers(0, 4, 300).astype(float)
    weighted = _quiet(values, weights=w, acov=True)
    scaled = _quiet(values, weights=5 * w, acov=True)
    repeated = _quiet(np.repeat(values, w.astype(int), axis=0))
    np.testing.assert_allclose(weighted.estimates, repeated.estimates, atol=1e-9)
    np.testing.assert_allclose(weighted.acov, scaled.acov, rtol=1e-7, atol=1e-12)  # type: ignore[arg-type]


def test_recovery() -> None:
    """All fifteen true values lie within 4 standard errors of the estimates from 20,000 rows."""
    result = _quiet(_sample(7, 20_000))
    assert (np.abs(result.estimates - TRUTH) / np.sqrt(result.estimate_variances)).max() < 4


@pytest.mark.slow
def test_coverage() -> None:
    """95% intervals cover in 93 to 97% of 2,000 samples of 400."""
    inside = np.zeros(len(TRUTH))
    for seed in range(2000):
        result = _quiet(_sample(seed, 400))
        inside += np.abs(result.estimates - TRUTH) < 1.959964 * np.sqrt(result.estimate_variances)
    assert (inside / 2000 > 0.93).all()
    assert (inside / 2000 < 0.97).all()


def test_missing_rows_are_counted() -> None:
    """Listwise and pairwise deletion warn with their numbers, and the rule says which."""
    values = _sample(8, 200, share=0.1)
    complete = int((~np.isnan(values)).all(axis=1).sum())
    with pytest.warns(ListwiseDeletionWarning, match=f"{200 - complete} of 200"):
        listwise = mixed_correlations(values, NAMES, categories=CATEGORIES, missing="listwise")
    assert listwise.n_obs == complete
    assert listwise.rule.startswith("listwise")
    with pytest.warns(PairwiseDeletionWarning):
        pairwise = mixed_correlations(values, NAMES, categories=CATEGORIES)
    assert pairwise.n_obs == int(pairwise.n_pair[item_pairs(4)].min())
    assert pairwise.rule.startswith("pairwise")


def test_constant_items() -> None:
    """A constant continuous item, and a constant ordered one, correlate with nothing."""
    values = _sample(9, 100)
    values[:, 1] = 3.0
    with pytest.warns(ConstantItemWarning, match="x"):
        result = mixed_correlations(values, NAMES, categories=CATEGORIES)
    assert np.isnan(result.correlation[1, [0, 2, 3]]).all()
    assert result.status.level == "failed"
    values[:, 0] = 1.0
    assert np.isnan(_quiet(values, acov=True).correlation[0, 1:]).all()


def test_iterations_that_end_early_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without enough steps the polyserial correlations are named, and the status fails."""
    monkeypatch.setattr("relmeasure.samplestats.polyserial._MAX_STEPS", 1)
    with pytest.warns(NotConvergedWarning, match="a with x"):
        result = mixed_correlations(_sample(12, 200), NAMES, categories=CATEGORIES)
    assert result.status.level == "failed"


def test_pairs_without_rows() -> None:
    """A continuous item without answers, or never answered with another, correlates with nothing."""
    values = _sample(13, 200)
    values[:100, 1], values[100:, [0, 3]] = np.nan, np.nan
    result = _quiet(values, acov=True)
    assert np.isnan(result.correlation[1, [0, 3]]).all()
    assert np.isfinite(result.correlation[[1, 0, 0], [2, 2, 3]]).all()
    values[:, 3] = np.nan
    assert np.isnan(_quiet(values).correlation[3, :3]).all()
    with pytest.raises(DataError, match="acov=True"):
        polychoric_acov(result, values)


def test_nonsense_is_a_typed_error() -> None:
    """One item, no rows, unknown codes, infinities, categories of another number of items."""
    values = _sample(10, 50)
    with pytest.raises(TooFewItemsError):
        mixed_correlations(values[:, :1], ["a"], categories=[None])
    with pytest.raises(TooFewObservationsError):
        mixed_correlations(np.full((5, 2), np.nan), ["a", "b"], categories=[None, None])
    with pytest.raises(UnknownCodeError):
        mixed_correlations(values, NAMES, categories=[(0, 1), None, (0, 1, 2, 3), None])
    with pytest.raises(NonNumericError):
        mixed_correlations(np.array([[np.inf, 1.0], [0.0, 2.0]]), ["a", "b"], categories=[None, None])
    with pytest.raises(DataError, match="Categories of 3 items"):
        mixed_correlations(values, NAMES, categories=[None] * 3)
