"""Factors of incomplete answers: full information, what its N and chi-square are worth, and correlations as estimated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import relmeasure as rm
from relmeasure.exceptions import OptionError, UnsupportedDataError
from relmeasure.factor.congruence import align_factors
from relmeasure.factor.exploratory import efa
from relmeasure.factor.residual_test import scaled_fit
from relmeasure.factor.standard_errors import loading_errors, normal_correlation_covariance
from relmeasure.numerics.normal import Array
from relmeasure.responses.intake import as_patterns
from relmeasure.samplestats.estimates import em_moments
from tests.factor.references import implied, normal_rows
from tests.support import Constructor

IDENTITY_TOLERANCE = 1e-6
"""Constraints of the rotation are differentiated numerically."""

LOADINGS = np.array([[0.8, 0.0], [0.7, 0.1], [0.7, 0.0], [0.6, 0.0], [0.0, 0.8], [0.1, 0.7], [0.0, 0.6], [0.0, 0.6]])
PHI = np.array([[1.0, 0.4], [0.4, 1.0]])
POPULATION = implied(LOADINGS, PHI)


def incomplete(n: int, seed: int) -> Array:
    """Answers missing at random: whoever is low on the first item is more likely to skip others."""
    x = normal_rows(POPULATION, n, seed)
    rng = np.random.default_rng(seed + 10**6)
    skip = rng.random(x.shape) < (0.1 + 0.4 * (x[:, :1] < -0.3))
    skip[:, 0] = False
    x[skip] = np.nan
    return x


# --------------------------------------------------------------------------- from a frame
def test_a_frame_gives_what_its_moments_give(constructor: Constructor) -> None:
    x = incomplete(300, 1)
    names = [f"i{k}" for k in range(x.shape[1])]
    frame = constructor({name: [None if np.isnan(v) else v for v in x[:, k]] for k, name in enumerate(names)})
    made = efa(frame, 2, missing="fiml")
    by_hand = efa(em_moments(x, names), 2)
    np.testing.assert_allclose(made.loadings, by_hand.loadings, rtol=0, atol=1e-8)
    assert made.n_obs == 300
    assert "full information" in made.rule


def test_without_missing_answers_it_is_the_ordinary_analysis() -> None:
    x = normal_rows(POPULATION, 200, 2)
    made, plain = efa(x, 2, method="ml", missing="fiml"), efa(x, 2, method="ml")
    np.testing.assert_allclose(made.loadings, plain.loadings, rtol=0, atol=1e-6)
    assert made.fit_driver == plain.fit_driver
    assert made.fit["chisq"] == pytest.approx(plain.fit["chisq"], rel=1e-6)


def test_moments_are_estimated_on_request(constructor: Constructor) -> None:
    x = incomplete(100, 3)
    frame = constructor({f"i{k}": [None if np.isnan(v) else v for v in x[:, k]] for k in range(x.shape[1])})
    made = rm.moments(frame, missing="fiml")
    np.testing.assert_allclose(made.cov, em_moments(x, made.names).cov, rtol=0, atol=1e-8)
    assert rm.moments(made, missing="fiml") is made


def test_weights_stand_in_a_column_or_an_array() -> None:
    pd = pytest.importorskip("pandas")
    x = incomplete(200, 4)
    w = np.random.default_rng(5).uniform(0.5, 2.0, len(x))
    frame = pd.DataFrame(x, columns=[f"i{k}" for k in range(x.shape[1])])
    by_array = rm.moments(frame, missing="fiml", weights=w)
    by_column = rm.moments(frame.assign(w=w), missing="fiml", weights="w")
    np.testing.assert_allclose(by_array.cov, by_column.cov, rtol=0, atol=1e-12)
    assert by_array.weighted
    assert efa(frame, 2, missing="fiml", weights=w).n_obs == 0


# --------------------------------------------------------------------------- what N and chi-square are worth
def test_the_plain_chisquare_is_called_descriptive_and_the_adjusted_one_drives() -> None:
    x = incomplete(400, 6)
    plain = efa(x, 2, missing="fiml")
    assert "descriptive, no test" in plain.fit_driver
    assert plain.loadings_se is None
    adjusted = efa(x, 2, missing="fiml", se=True)
    assert adjusted.fit_driver == "mean-and-variance adjusted, full information"
    assert adjusted.se_note.startswith("sandwich")
    assert adjusted.fit["chisq"] < plain.fit["chisq"]
    complete = efa(normal_rows(POPULATION, 400, 6), 2, se=True)
    assert adjusted.loadings_se is not None
    assert complete.loadings_se is not None
    assert adjusted.loadings_se.mean() > 1.1 * complete.loadings_se.mean()


def test_moments_without_information_give_no_errors_and_say_why() -> None:
    made = efa(em_moments(incomplete(200, 7), [f"i{k}" for k in range(8)]), 2, method="ml")
    assert made.loadings_se is None
    assert "sampling covariance is not known" in made.se_note
    known = efa(em_moments(incomplete(200, 7), [f"i{k}" for k in range(8)], information=True), 2, method="ml")
    assert known.loadings_se is not None


@pytest.mark.parametrize("method", ["ml", "minres"])
@pytest.mark.parametrize("rotation", ["oblimin", "varimax", "promax"])
def test_with_the_normal_covariance_the_sandwich_is_the_ordinary_error(method: Any, rotation: str) -> None:
    solution = efa((POPULATION, 300), 2, method=method, rotation=rotation)  # type: ignore[arg-type]
    R = POPULATION
    options: dict[str, Any] = {
        "cor": R, "method": method, "rotation": rotation, "kaiser": solution.rotation_details.kaiser
    }  # fmt: skip
    plain = loading_errors(solution.loadings, solution.phi, 300, **options)
    acov = normal_correlation_covariance(R) / 300
    sandwich = loading_errors(solution.loadings, solution.phi, 300, acov=acov, **options)
    assert plain is not None
    assert sandwich is not None
    np.testing.assert_allclose(sandwich.loadings, plain.loadings, rtol=0, atol=IDENTITY_TOLERANCE)
    np.testing.assert_allclose(sandwich.phi, plain.phi, rtol=0, atol=IDENTITY_TOLERANCE)


def test_with_the_normal_covariance_the_adjusted_chisquare_of_ml_is_its_own() -> None:
    """``tr(VG) = df`` and ``tr((VG)^2) = df`` where G is what maximum likelihood takes it to be."""
    solution = efa((POPULATION, 300), 2, method="ml")
    errors = loading_errors(
        solution.loadings,
        solution.phi,
        300,
        cor=POPULATION,
        method="ml",
        rotation="oblimin",
        acov=normal_correlation_covariance(POPULATION) / 300,
    )
    assert errors is not None
    fit = solution.fit | {"objective": 0.07}
    common = solution.loadings @ solution.phi @ solution.loadings.T
    made = scaled_fit(POPULATION, common, errors, normal_correlation_covariance(POPULATION) / 300, 300, fit)
    assert made["chisq"] == pytest.approx(299 * 0.07, rel=1e-6)


def test_the_covariance_of_correlations_by_the_information_is_the_normal_one() -> None:
    x = normal_rows(POPULATION, 150, 8)
    made = em_moments(x, [f"i{k}" for k in range(8)], information=True)
    assert made.correlation_acov is not None
    expected = normal_correlation_covariance(np.asarray(made.cor)) / 150
    np.testing.assert_allclose(made.correlation_acov, expected, rtol=0, atol=1e-9)
    assert em_moments(x, [f"i{k}" for k in range(8)]).correlation_acov is None


def _simulated(replications: int, n: int, seed: int) -> tuple[float, float, float]:
    """Mean coverage of 95% intervals, and how often the adjusted and the plain test reject the true model."""
    truth = efa((POPULATION, 10**6), 2, method="ml")
    covered, adjusted, plain = 0.0, 0, 0
    for k in range(replications):
        made = efa(incomplete(n, seed + k), 2, method="ml", missing="fiml", n_starts=1)
        loadings, _ = align_factors(made.loadings, made.phi, truth.loadings)
        order = np.abs(truth.loadings.T @ made.loadings).argmax(axis=1)
        assert made.loadings_se is not None
        covered += float((np.abs(loadings - truth.loadings) < 1.959964 * made.loadings_se[:, order]).mean())
        adjusted += made.fit["pvalue"] < 0.05
        plain += made.fit["pvalue_bartlett"] < 0.05
    return covered / replications, adjusted / replications, plain / replications


def test_intervals_cover_in_a_small_simulation() -> None:
    covered, adjusted, plain = _simulated(40, 500, 50)
    assert 0.91 < covered < 0.98
    assert adjusted <= 0.15
    assert plain > adjusted


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_intervals_cover_and_the_adjusted_test_keeps_its_level() -> None:
    covered, adjusted, plain = _simulated(1000, 500, 1000)
    assert 0.935 < covered < 0.965
    assert 0.03 < adjusted < 0.07
    assert plain > 0.15


# --------------------------------------------------------------------------- what cannot be had
def test_what_full_information_cannot_do_is_refused() -> None:
    x = np.round(incomplete(100, 9))
    with pytest.raises(UnsupportedDataError, match="pairwise"):
        efa(x, 2, missing="fiml", ordered=True)
    with pytest.raises(UnsupportedDataError, match="rows"):
        as_patterns(rm.moments(x[~np.isnan(x).any(axis=1)]))
    with pytest.raises(OptionError, match="missing"):
        efa(x, 2, missing="drop")  # type: ignore[arg-type]
