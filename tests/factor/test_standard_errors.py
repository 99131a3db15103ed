"""Standard errors of rotated loadings: numerical differentiation, lavaan, simulation, and when there are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from relmeasure.exceptions import EstimationError
from relmeasure.factor.congruence import align_factors
from relmeasure.factor.exploratory import efa
from relmeasure.factor.extraction import fit_ml
from relmeasure.factor.residual_extraction import fit_minres
from relmeasure.factor.residual_test import scaled_and_shifted
from relmeasure.factor.standard_errors import (
    LoadingErrors,
    _information,
    _normal_meat,
    correlation_slopes,
    loading_errors,
)
from relmeasure.numerics.normal import Array
from relmeasure.numerics.rotation import rotate
from tests.factor.references import aligned, implied, normal_rows, pair
from tests.support import load_reference

NUMERICAL_TOLERANCE = 5e-8
"""Central differences of a refitted solution with steps of 1e-4, standard errors up to 0.19."""

LAVAAN_TOLERANCE = 0.10
"""Relative. lavaan holds the items' standard deviations fixed while it differentiates the rotation; ours are within the
2.6% Monte Carlo error of 3,000 normal samples of 6,000 rows drawn from this solution, lavaan's up to 10% off."""

COVERAGE = (0.93, 0.97)
SMALL_SAMPLE_COVERAGE = (0.88, 1.0)

LOADINGS = np.array(
    [[0.72, 0.05, -0.08], [0.65, -0.03, 0.1], [0.68, 0.12, 0.0], [0.06, 0.61, 0.04], [-0.1, 0.55, 0.09],
     [0.02, 0.66, -0.05], [0.0, 0.08, 0.7], [0.11, -0.06, 0.6], [-0.04, 0.03, 0.64]]
)  # fmt: skip
PHI = np.full((3, 3), 0.35) + 0.65 * np.eye(3)
TARGET = np.where(np.abs(LOADINGS) > 0.4, np.nan, 0.05)

CASES: list[tuple[str, bool, dict[str, Any]]] = [
    ("oblimin", False, {}),
    ("oblimin", True, {"gamma": -0.5}),
    ("geomin", False, {}),
    ("varimax", True, {}),
    ("quartimax", False, {}),
    ("equamax", False, {}),
    ("bifactor", False, {}),
    ("target", True, {"target": TARGET}),
    ("target_orthogonal", False, {"target": TARGET}),
    ("promax", True, {}),
    ("promax", True, {"metric": "normalized"}),
    ("none", False, {}),
]


def _refitted(R: Array, method: str, rotation: Any, kaiser: bool, options: dict[str, Any]) -> tuple[Array, Any]:
    fit = (fit_ml if method == "ml" else fit_minres)(R, 3)
    made = rotate(fit.loadings, rotation, kaiser=kaiser, tolerance=1e-12, **options)
    return np.concatenate([made.loadings.ravel(), made.phi[np.triu_indices(3, 1)]]), made


def _numerical(R: Array, refit: Callable[[Array], Array]) -> Array:
    """Standard errors by the delta method, every correlation moved up and down and the model refitted."""
    rows, cols = np.triu_indices(len(R), 1)
    h, columns = 1e-4, []
    for i, j in zip(rows, cols, strict=True):
        step = np.zeros_like(R)
        step[i, j] = step[j, i] = h
        columns.append((refit(R + step) - refit(R - step)) / (2 * h))
    J = np.stack(columns, axis=1)
    out: Array = np.sqrt(np.einsum("ij,jk,ik->i", J, _normal_meat(np.eye(len(rows)), R), J))
    return out


@pytest.mark.parametrize("method", ["ml", "minres"])
@pytest.mark.parametrize(("rotation", "kaiser", "options"), CASES)
def test_errors_are_those_of_numerical_differentiation(
    method: Any, rotation: str, kaiser: bool, options: dict[str, Any]
) -> None:
    R, n = implied(LOADINGS, PHI), 500
    _, made = _refitted(R, method, rotation, kaiser, options)
    expected = _numerical(R, lambda at: _refitted(at, method, rotation, kaiser, options)[0]) / np.sqrt(n)
    errors = loading_errors(
        made.loadings, made.phi, n, cor=R, method=method, rotation=rotation, kaiser=kaiser, options=options
    )
    assert errors is not None
    ours = np.concatenate([errors.loadings.ravel(), errors.phi[np.triu_indices(3, 1)]])
    np.testing.assert_allclose(ours, expected, rtol=0, atol=NUMERICAL_TOLERANCE)


def test_information_inverts_the_sampling_covariance_of_correlations() -> None:
    """With as many parameters as correlations, maximum likelihood leaves every correlation its own variance."""
    R = implied(LOADINGS, PHI)
    eye = np.eye(36)
    information = _information(eye, R)
    np.testing.assert_allclose(np.linalg.inv(information), _normal_meat(eye, R), atol=1e-10)


def test_a_correlation_of_two_has_fishers_variance() -> None:
    R = np.array([[1.0, 0.6], [0.6, 1.0]])
    assert _normal_meat(np.eye(1), R)[0, 0] == pytest.approx((1 - 0.36) ** 2)


def test_slopes_are_derivatives_of_the_reproduced_correlations() -> None:
    slopes, h = correlation_slopes(LOADINGS, PHI, oblique=True), 1e-6
    above = np.triu_indices(9, 1)
    for k in range(27):
        step = np.zeros(27)
        step[k] = h
        up, down = LOADINGS + step.reshape(9, 3), LOADINGS - step.reshape(9, 3)
        numeric = ((up @ PHI @ up.T) - (down @ PHI @ down.T))[above] / (2 * h)
        np.testing.assert_allclose(slopes[:, k], numeric, atol=1e-9)


@pytest.mark.parametrize(("case", "rotation"), [("ml", "oblimin"), ("ml_geomin", "geomin")])
def test_errors_of_lavaan_are_near(case: str, rotation: Any) -> None:
    reference = load_reference("efa/ordinal")[case]
    result = efa(pair("hs"), 3, method="ml", rotation=rotation)
    _, order, _ = aligned(result.loadings, np.array(reference["loadings"]))
    assert result.loadings_se is not None
    theirs = np.array(reference["loadings_se"])
    np.testing.assert_allclose(result.loadings_se[:, order], theirs, rtol=LAVAAN_TOLERANCE)


def test_errors_of_ordered_items_are_near_lavaans() -> None:
    reference = load_reference("efa/ordinal")
    codes = np.array(reference["codes"], dtype=float)
    result = efa(codes, 3, ordered=True, categories=[1, 2, 3, 4], se=True)
    _, order, _ = aligned(result.loadings, np.array(reference["ulsmv"]["loadings"]))
    assert result.loadings_se is not None
    theirs = np.array(reference["ulsmv"]["loadings_se"])
    np.testing.assert_allclose(result.loadings_se[:, order], theirs, rtol=LAVAAN_TOLERANCE)
    assert "polychoric" in result.se_note


def test_errors_do_not_depend_on_the_order_of_items() -> None:
    R, n = pair("hs")
    order = np.random.default_rng(1).permutation(9)
    plain = efa((R, n), 3, method="ml")
    moved = efa((R[np.ix_(order, order)], n), 3, method="ml")
    assert plain.loadings_se is not None
    assert moved.loadings_se is not None
    np.testing.assert_allclose(moved.loadings_se, plain.loadings_se[order], atol=1e-6)


# --------------------------------------------------------------------------- simulation
def _coverage(n: int, replications: int, seed: int) -> Array:
    R = implied(LOADINGS, PHI)
    truth = efa((R, 10**6), 3, method="ml")
    hits = np.zeros_like(truth.loadings)
    for k in range(replications):
        x = normal_rows(R, n, seed + k)
        result = efa((np.asarray(np.corrcoef(x.T)), n), 3, method="ml", n_starts=1)
        loadings, _ = align_factors(result.loadings, result.phi, truth.loadings)
        order = np.abs(truth.loadings.T @ result.loadings).argmax(axis=1)
        assert result.loadings_se is not None
        hits += np.abs(loadings - truth.loadings) < 1.959964 * result.loadings_se[:, order]
    out: Array = hits / replications
    return out


def test_intervals_cover_in_a_small_simulation() -> None:
    coverage = _coverage(n=500, replications=60, seed=100)
    assert SMALL_SAMPLE_COVERAGE[0] < coverage.mean() <= SMALL_SAMPLE_COVERAGE[1]
    assert 0.92 < coverage.mean() < 0.98


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_intervals_cover_at_their_level() -> None:
    coverage = _coverage(n=1000, replications=2000, seed=10_000)
    assert COVERAGE[0] < coverage.min()
    assert coverage.max() < COVERAGE[1]


def test_the_scaled_statistic_has_the_mean_and_variance_of_a_chisquare() -> None:
    rng = np.random.default_rng(5)
    weights = np.array([3.0, 2.0, 1.0, 0.5])
    draws = (rng.standard_normal((200_000, 4)) ** 2) @ weights
    first, second = weights.sum(), (weights**2).sum()
    scaled = np.array([scaled_and_shifted(t, 7.0, first, second) for t in draws[:20_000]])
    assert scaled.mean() == pytest.approx(7.0, rel=0.02)
    assert scaled.var() == pytest.approx(14.0, rel=0.05)


# --------------------------------------------------------------------------- when there are none
def test_a_rotation_that_is_not_unique_has_no_errors() -> None:
    target = np.full((9, 3), np.nan)
    target[:3, 1:] = 0.0
    result = efa(pair("hs"), 3, method="ml", rotation="target_orthogonal", rotation_options={"target": target})
    assert result.loadings_se is None
    assert result.se_note == "the rotation is not unique"
    made = loading_errors(
        result.loadings, np.eye(3), 301, cor=pair("hs")[0], method="ml", rotation="target_orthogonal",
        options={"target": target},
    )  # fmt: skip
    assert made is None


def test_a_heywood_case_has_no_errors() -> None:
    R = np.array([[1.0, 0.9, 0.8, 0.1], [0.9, 1.0, 0.5, 0.1], [0.8, 0.5, 1.0, 0.1], [0.1, 0.1, 0.1, 1.0]])
    with pytest.warns(UserWarning, match="Heywood"):
        result = efa((R, 100), 1, se=True)
    assert result.loadings_se is None
    with pytest.raises(EstimationError, match="Heywood"):
        result.intervals()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "not asked for"),
        ({"se": True, "rotation": "schmid_leiman"}, "Schmid-Leiman"),
        ({"se": True, "method": "pa", "principal_axis_stop": "psych"}, "stopped early"),
    ],
)
def test_the_reason_is_given(options: dict[str, Any], why: str) -> None:
    result = efa(pair("hs"), 3, **options)
    assert result.loadings_se is None
    assert why in result.se_note


def test_minres_and_the_fixed_point_of_principal_axes_have_the_same_errors() -> None:
    minres, axes = efa(pair("hs"), 3, se=True), efa(pair("hs"), 3, se=True, method="pa")
    assert minres.loadings_se is not None
    assert axes.loadings_se is not None
    np.testing.assert_allclose(minres.loadings_se, axes.loadings_se, atol=1e-7)


def test_intervals_are_tidy() -> None:
    table = efa(pair("hs"), 3, method="ml").intervals(0.9)
    assert list(table.columns) == ["item", "factor", "loading", "se", "lower", "upper", "conf_level"]
    assert len(table) == 27
    rows = list(table.rows())
    assert all(row["lower"] < row["loading"] < row["upper"] for row in rows)


def test_one_factor_has_errors_that_match_the_formula_of_lawley_and_maxwell() -> None:
    """One factor: the same as the information of loadings and uniquenesses with the delta method to standardised ones."""
    from relmeasure.factor.extraction import ml_information

    R, n = pair("hs")
    R = R[:3, :3]
    L = np.array([0.8, 0.7, 0.6])
    R = np.outer(L, L)
    np.fill_diagonal(R, 1.0)
    errors: LoadingErrors | None = loading_errors(L[:, None], np.eye(1), n, cor=R, method="ml", rotation="oblimin")
    assert errors is not None
    covariance = np.linalg.inv(ml_information(L, 1 - L**2)) / n
    jacobian = np.hstack([np.diag(1 - L**2), np.diag(-L / 2)])
    expected = np.sqrt(np.einsum("ij,jk,ik->i", jacobian, covariance, jacobian))
    np.testing.assert_allclose(errors.loadings[:, 0], expected, rtol=1e-8)
