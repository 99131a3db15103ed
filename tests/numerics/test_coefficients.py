"""Reliability formulas on arrays: textbook numbers, identities, differences."""

from __future__ import annotations

import math

import numpy as np
import pytest

from relmeasure.numerics import coefficients as c
from tests.classical.stored import SCALES, complete

EXACT = 1e-12
"""A handful of additions and products, relative."""

COV = np.array([[1.0, 0.3, 0.2], [0.3, 2.0, 0.5], [0.2, 0.5, 1.5]])


def test_alpha_by_hand() -> None:
    """Sum of variances 4.5, of everything 6.5: 3 / 2 * (1 - 4.5 / 6.5)."""
    assert math.isclose(c.alpha_from_cov(COV), 1.5 * 2.0 / 6.5, rel_tol=EXACT)
    assert c.alpha_from_sums(10, 11.16, 77.44) == pytest.approx(0.951, abs=5e-4)


def test_variance_of_alpha_is_the_delta_method() -> None:
    """2 tr(G C G C) with G the gradient of alpha with respect to the covariances."""
    for scale in SCALES:
        cov = complete(scale).cov
        k, trace, total = len(cov), np.trace(cov), cov.sum()
        gradient = -k / (k - 1) * (np.eye(k) / total - trace / total**2)
        moved = gradient @ cov
        assert math.isclose(c.alpha_variance(cov), 2 * (moved * moved.T).sum(), rel_tol=1e-10)


def test_prophecy() -> None:
    assert math.isclose(c.prophecy(0.5, 2), 2 / 3, rel_tol=EXACT)
    np.testing.assert_allclose(c.prophecy(np.array([0.0, 1.0]), 5), [0.0, 1.0])
    assert math.isclose(c.prophecy(c.prophecy(0.3, 4), 0.25), 0.3, rel_tol=EXACT)


def test_omega_and_its_kin_by_hand() -> None:
    loadings, unique = np.array([0.8, 0.7, 0.6]), np.array([0.36, 0.51, 0.64])
    common = 2.1**2
    assert math.isclose(c.omega_from_loadings(loadings, unique), common / (common + 1.51), rel_tol=EXACT)
    observed = c.omega_from_loadings(loadings, unique, denominator="observed", cov=COV)
    assert math.isclose(observed, common / 6.5, rel_tol=EXACT)
    assert math.isclose(c.average_variance_extracted(loadings, unique), 1.49 / 3.0, rel_tol=EXACT)
    information = 0.64 / 0.36 + 0.49 / 0.51 + 0.36 / 0.64
    assert math.isclose(c.maximal_reliability(loadings, unique), information / (1 + information), rel_tol=EXACT)


def test_maximal_reliability_is_that_of_the_best_weights() -> None:
    loadings, unique = np.array([0.8, 0.7, 0.6]), np.array([0.36, 0.51, 0.64])
    weights = loadings / unique
    common = float(weights @ loadings) ** 2
    best = common / (common + float(weights**2 @ unique))
    assert math.isclose(c.maximal_reliability(loadings, unique), best, rel_tol=EXACT)
    for seed in range(10):
        w = np.random.default_rng(seed).uniform(0, 1, 3)
        common = float(w @ loadings) ** 2
        assert common / (common + float(w**2 @ unique)) <= best + EXACT


def test_inverse_or_none() -> None:
    inverse = c.inverse_or_none(COV)
    assert inverse is not None
    np.testing.assert_allclose(inverse, np.linalg.inv(COV), rtol=EXACT)
    np.testing.assert_allclose(c.residual_variances(inverse), 1 / np.diag(np.linalg.inv(COV)), rtol=EXACT)
    assert c.inverse_or_none(np.ones((2, 2))) is None
    assert c.inverse_or_none(np.array([[1.0, 2.0], [2.0, 1.0]])) is None
    assert c.inverse_or_none(np.array([[1.0, math.nan], [math.nan, 1.0]])) is None
    assert c.inverse_or_none(np.diag([1.0, 0.0])) is None
    tiny = COV * 1e-14
    small = c.inverse_or_none(tiny)
    assert small is not None, "units do not decide what is singular"
    np.testing.assert_allclose(small @ tiny, np.eye(3), atol=1e-10)


def test_lambdas_by_hand() -> None:
    found = c.guttman_lambdas(COV, 0.5)
    squares = 2 * (0.09 + 0.04 + 0.25)
    assert math.isclose(found["lambda1"], 2.0 / 6.5, rel_tol=EXACT)
    assert math.isclose(found["lambda2"], (2.0 + math.sqrt(1.5 * squares)) / 6.5, rel_tol=EXACT)
    assert math.isclose(found["lambda3"], 1.5 * 2.0 / 6.5, rel_tol=EXACT)
    assert found["lambda4"] == 0.5
    assert math.isclose(found["lambda5"], (2.0 + 2 * math.sqrt(0.09 + 0.25)) / 6.5, rel_tol=EXACT)
    assert math.isclose(found["lambda6"], 1 - float((1 / np.diag(np.linalg.inv(COV))).sum()) / 6.5, rel_tol=EXACT)


def test_intervals() -> None:
    assert math.isclose(c.normal_quantile(0.95), 1.959963984540054, rel_tol=EXACT)
    assert c.wald_interval(1.0, 0.5, 0.95) == pytest.approx((1 - 0.979981992270027, 1 + 0.979981992270027))
    lower, upper = c.fisher_z_interval(0.5, 103, 0.95)  # R: tanh(atanh(.5) + c(-1, 1) * qnorm(.975) / 10)
    assert (lower, upper) == pytest.approx((0.3393075225, 0.6323381505), abs=1e-9)
    assert all(math.isnan(v) for v in c.fisher_z_interval(1.0, 50, 0.95))
    low, high = c.feldt_interval(0.79, 41, 26, 0.9)
    assert low < 0.79 < high
    # R: 1 - .21 * qf(.95, 40, 1000); 1 - .21 * qf(.05, 40, 1000)
    assert (low, high) == pytest.approx((0.7046759615, 0.8616144526), abs=1e-9)


def test_every_coefficient_has_an_id() -> None:
    for name in ("alpha.raw", "omega_total.implied_variance", "omega_total.observed_variance", "lambda6"):
        assert name in c.DEFINITIONS
