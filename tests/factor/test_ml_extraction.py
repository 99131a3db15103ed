"""Maximum-likelihood extraction: published solutions, derivatives, invariances, Heywood cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmeasure import exceptions as ex
from relmeasure.factor import extraction
from relmeasure.factor.extraction import fit_ml, ml_information
from tests.classical.stored import complete

ABILITY = np.array(
    [
        [24.641, 5.991, 33.520, 6.023, 20.755, 29.701],
        [5.991, 6.700, 18.137, 1.782, 4.936, 7.204],
        [33.520, 18.137, 149.831, 19.424, 31.430, 50.753],
        [6.023, 1.782, 19.424, 12.711, 4.757, 9.075],
        [20.755, 4.936, 31.430, 4.757, 52.604, 66.762],
        [29.701, 7.204, 50.753, 9.075, 66.762, 135.292],
    ]
)
"""Six ability tests, 112 people, as printed in Bartholomew (1987), Latent variable analysis (R: ability.cov)."""

ML = 3e-5
"""factanal stops at a relative change of 2e-9 in the function, up to 2.3e-5 in a uniqueness."""


def bartlett_corrected(objective: float, n: int, p: int, m: int) -> float:
    return (n - 1 - (2 * p + 5) / 6 - 2 * m / 3) * objective


def structure(m: int, p: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(150, m)) @ rng.uniform(-1, 1.5, size=(m, p)) + rng.normal(size=(150, p))
    return np.asarray(np.cov(x.T))


# --------------------------------------------------------------------------- published solutions
def test_ability_tests_as_factanal_has_them() -> None:
    """R: factanal(factors = 1, covmat = ability.cov): chi-square 75.18 on 9 df; two factors 6.11 on 4 df."""
    one, two = fit_ml(ABILITY), fit_ml(ABILITY, 2)
    sd2 = np.diag(ABILITY)
    first = [0.53460215, 0.85258050, 0.74816951, 0.91015030, 0.23171498, 0.27974058]
    second = [0.455224192, 0.589332135, 0.218179603, 0.769421502, 0.052451733, 0.333588365]
    np.testing.assert_allclose(one.uniquenesses / sd2, first, atol=ML)
    np.testing.assert_allclose(two.uniquenesses / sd2, second, atol=ML)
    assert bartlett_corrected(one.objective, 112, 6, 1) == pytest.approx(75.17959136, abs=1e-6)
    assert bartlett_corrected(two.objective, 112, 6, 2) == pytest.approx(6.106616499, abs=1e-6)


# --------------------------------------------------------------------------- derivatives and identities
@pytest.mark.parametrize("m", [1, 2, 3])
def test_gradient_and_hessian_against_differences(m: int) -> None:
    s = structure(3, 9, 1)
    sd = np.sqrt(np.diag(s))
    cor = s / np.outer(sd, sd)
    x = np.log(np.random.default_rng(2).uniform(0.2, 0.9, 9))
    point, step = extraction._evaluate(cor, m, x), 1e-6
    gradient, hessian = np.empty(9), np.empty((9, 9))
    for i in range(9):
        up, down = (extraction._evaluate(cor, m, x + sign * step * np.eye(9)[i]) for sign in (1, -1))
        gradient[i], hessian[i] = (up.f - down.f) / (2 * step), (up.g - down.g) / (2 * step)
    exact, approximate = extraction._hessians(point, m)
    np.testing.assert_allclose(point.g, gradient, atol=1e-7)
    np.testing.assert_allclose(exact, hessian, atol=1e-7)
    assert np.linalg.eigvalsh(approximate)[0] > -1e-12


def test_at_a_perfect_fit_the_approximation_is_exact_and_the_function_zero() -> None:
    loadings = np.array([[0.8, 0.1], [0.7, 0.3], [0.6, -0.2], [0.2, 0.7], [0.1, 0.8], [0.3, 0.6]])
    cor = loadings @ loadings.T
    np.fill_diagonal(cor, 1.0)
    solution = fit_ml(cor, 2)
    assert solution.objective < 1e-12
    np.testing.assert_allclose(solution.implied, cor, atol=1e-7)
    point = extraction._evaluate(cor, 2, np.log(solution.uniquenesses))
    exact, approximate = extraction._hessians(point, 2)
    np.testing.assert_allclose(exact, approximate, atol=1e-6)


@pytest.mark.parametrize(("m", "p"), [(1, 5), (2, 8), (3, 12)])
def test_the_solution_satisfies_the_likelihood_equations(m: int, p: int) -> None:
    s = structure(m, p, 5)
    solution = fit_ml(s, m)
    w = np.linalg.inv(solution.implied)
    residual = w @ (solution.implied - s) @ w
    assert solution.converged
    np.testing.assert_allclose(residual @ solution.loadings, 0, atol=1e-7)
    np.testing.assert_allclose(np.diag(residual), 0, atol=1e-7)
    np.testing.assert_allclose(np.diag(solution.implied), np.diag(s), rtol=1e-7)
    value = np.linalg.slogdet(solution.implied)[1] - np.linalg.slogdet(s)[1] + np.trace(w @ s) - p
    assert math.isclose(value, solution.objective, rel_tol=1e-8, abs_tol=1e-10)


def test_information_against_differences_of_the_implied_covariances() -> None:
    rng = np.random.default_rng(3)
    loadings, unique = rng.uniform(0.3, 1.2, 5), rng.uniform(0.2, 1.0, 5)
    theta, step = np.r_[loadings, unique], 1e-6

    def implied(at: np.ndarray) -> np.ndarray:
        return np.asarray(np.outer(at[:5], at[:5]) + np.diag(at[5:]))

    slopes = [(implied(theta + step * e) - implied(theta - step * e)) / (2 * step) for e in np.eye(10)]
    w = np.linalg.inv(implied(theta))
    expected = [[0.5 * np.trace(w @ a @ w @ b) for b in slopes] for a in slopes]
    np.testing.assert_allclose(ml_information(loadings, unique), expected, rtol=1e-6, atol=1e-8)


# --------------------------------------------------------------------------- invariances
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), m=st.integers(1, 2))
def test_units_and_order_do_not_matter(seed: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    s = structure(m, 8, seed)
    units, order = rng.uniform(0.1, 10, 8), rng.permutation(8)
    first = fit_ml(s, m)
    second = fit_ml((s * np.outer(units, units))[np.ix_(order, order)], m)
    if first.at_bound or second.at_bound:
        return  # at a bound the function can have several minima
    assert math.isclose(first.objective, second.objective, rel_tol=1e-7, abs_tol=1e-10)
    np.testing.assert_allclose((first.uniquenesses * units**2)[order], second.uniquenesses, rtol=1e-4)


def test_signs_are_fixed_and_factors_come_in_order() -> None:
    solution = fit_ml(complete("hs_9").cor, 3)
    assert (solution.loadings.sum(axis=0) > 0).all()
    scaled = (solution.loadings**2 / solution.uniquenesses[:, None]).sum(axis=0)
    assert (np.diff(scaled) < 0).all()


# --------------------------------------------------------------------------- bounds and bad input
def test_a_heywood_case_stops_at_its_bound() -> None:
    cor = np.array([[1, 0.75, 0.62, 0.55], [0.75, 1, 0.45, 0.4], [0.62, 0.45, 1, 0.3], [0.55, 0.4, 0.3, 1]])
    solution = fit_ml(cor)
    assert solution.at_bound == (0,)
    assert solution.converged
    assert solution.uniquenesses[0] == pytest.approx(0.005)
    lower = fit_ml(cor, smallest_uniqueness=0.001)
    assert lower.uniquenesses[0] == pytest.approx(0.001)
    assert lower.objective < solution.objective


def test_any_start_ends_in_the_same_place() -> None:
    s = complete("bfi_A").cor
    first = fit_ml(s)
    for seed in range(5):
        other = fit_ml(s, start=np.random.default_rng(seed).uniform(0.05, 0.95, 5))
        np.testing.assert_allclose(other.uniquenesses, first.uniquenesses, atol=1e-7)


def test_uncorrelated_items_are_handled() -> None:
    solution = fit_ml(np.eye(4))
    assert solution.converged
    assert solution.objective == pytest.approx(0, abs=1e-12)


def test_bad_input() -> None:
    with pytest.raises(ex.NotPositiveDefiniteError) as caught:
        fit_ml(np.ones((3, 3)))
    assert abs(caught.value.details["min_eigenvalue"]) < 1e-12
    with pytest.raises(ex.NotPositiveDefiniteError):
        fit_ml(np.array([[1.0, math.nan], [math.nan, 1.0]]))
    for m in (0, 4):
        with pytest.raises(ex.OptionError, match="n_factors"):
            fit_ml(np.eye(4), m)


def test_few_iterations_are_not_called_converged() -> None:
    assert not fit_ml(complete("hs_9").cor, max_iterations=1).converged
