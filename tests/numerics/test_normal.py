"""The normal distribution: 20-digit constants, identities, quadrature, and derivatives against differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from relmeasure.numerics.normal import (
    bivariate_normal_cdf,
    bivariate_normal_density,
    normal_cdf,
    normal_density,
    normal_quantile,
    rectangle_limit_slopes,
    rectangle_probabilities,
    rectangle_rho_bends,
    rectangle_rho_slopes,
)

EXACT = 5e-16  # absolute: a few units in the last place of a probability
QUADRATURE = 1e-12  # what adaptive quadrature promises
DIFFERENCE = 1e-8  # central differences with step 1e-6

# (h, k, rho, value): 50-digit quadrature of exp(-(h^2 - 2 h k sin t + k^2) / (2 cos^2 t)) / (2 pi) over t = 0 .. asin(rho)
CONSTANTS = [
    (0, 0, 0.5, 0.33333333333333333333),
    (1, 1, 0.3, 0.72814734065268986242),
    (-1, 2, -0.4, 0.14778394970796600728),
    (0.5, -0.25, 0.9, 0.3978059070267339094),
    (-2.5, -2.5, 0.1, 0.000080382025705885157259),
    (3, -3, -0.95, 0.00054073468519415883955),
    (0, 1.25, 0.999, 0.5),
    (1, 1, 0.9999999, 0.84130157548805255391),
    (1, 1.0001, 0.99999999, 0.84133991557678554076),
    (-1.5, -1.5, -0.999999, 0.0),
    (1.5, -1.5, -0.9999999999, 7.3072481383106888846e-7),
    (0, -0.75, -0.6, 0.039447774691501473233),
    (-4, -4, 0.8, 5.0679775567975187784e-6),
    (-6, 3, 0.25, 9.8658626488799047909e-10),
    (5, 5, -0.5, 0.99999942669685624161),
    (1e-09, -1e-09, 0.7, 0.37340834444668250008),
    (0.2, 0.2000001, 0.9999999999990905, 0.57925951801141679712),
    (-1, 1.0000001, -0.9999999999990905, 1.426493394797738102e-7),
]

LIMIT = st.floats(-6.0, 6.0, allow_subnormal=False)
RHO = st.floats(-1.0, 1.0, allow_subnormal=False)
INSIDE = st.floats(-0.99, 0.99, allow_subnormal=False)


@pytest.mark.parametrize(("h", "k", "rho", "value"), CONSTANTS)
def test_constants(h: float, k: float, rho: float, value: float) -> None:
    """Every constant, and the same with the variables exchanged."""
    assert float(bivariate_normal_cdf(h, k, rho)) == pytest.approx(value, abs=EXACT)
    assert float(bivariate_normal_cdf(k, h, rho)) == pytest.approx(value, abs=EXACT)


def test_one_variable() -> None:
    """Textbook quantiles, the ends, and the density at zero."""
    assert float(normal_cdf(1.959963984540054)) == pytest.approx(0.975, abs=EXACT)
    assert normal_quantile([0.0, 0.975, 1.0]).tolist() == pytest.approx([-math.inf, 1.959963984540054, math.inf])
    assert float(normal_density(0.0)) == pytest.approx(1 / math.sqrt(2 * math.pi), abs=EXACT)
    assert normal_density([-math.inf, math.inf]).tolist() == [0.0, 0.0]


def test_orthant_probability() -> None:
    """At the origin the value is 1/4 + asin(rho) / (2 pi) (Sheppard, 1899)."""
    rho = np.linspace(-1, 1, 201)
    np.testing.assert_allclose(bivariate_normal_cdf(0.0, -0.0, rho), 0.25 + np.arcsin(rho) / (2 * math.pi), atol=EXACT)


def test_infinite_limits_are_margins() -> None:
    """An infinite limit leaves the other margin or nothing, at every correlation."""
    for rho in (-1.0, -0.3, 0.0, 0.8, 1.0):
        assert float(bivariate_normal_cdf(math.inf, 0.7, rho)) == float(normal_cdf(0.7))
        assert float(bivariate_normal_cdf(-0.7, math.inf, rho)) == float(normal_cdf(-0.7))
        assert float(bivariate_normal_cdf(math.inf, math.inf, rho)) == 1.0
        assert float(bivariate_normal_cdf(-math.inf, math.inf, rho)) == 0.0
        assert float(bivariate_normal_cdf(0.3, -math.inf, rho)) == 0.0


def test_perfect_correlation() -> None:
    """At rho = 1 the smaller limit counts, at -1 the overlap."""
    h, k = np.meshgrid([-2.0, -0.5, 0.0, 0.5, 2.0], [-1.0, 0.0, 1.0])
    np.testing.assert_allclose(bivariate_normal_cdf(h, k, 1.0), normal_cdf(np.minimum(h, k)), atol=EXACT)
    np.testing.assert_allclose(
        bivariate_normal_cdf(h, k, -1.0), np.maximum(normal_cdf(h) + normal_cdf(k) - 1, 0), atol=EXACT
    )


def test_nonsense_is_nan() -> None:
    """NaN arguments and impossible correlations give NaN, and nothing else does."""
    out = bivariate_normal_cdf([math.nan, 0.0, 0.0, 0.0], [0.0, math.nan, 0.0, 0.0], [0.1, 0.1, math.nan, 1.1])
    assert np.isnan(out).all()
    assert np.isfinite(bivariate_normal_cdf(0.0, 0.0, 0.1))


@settings(max_examples=50, deadline=None)
@given(LIMIT, LIMIT, RHO)
def test_complement(h: float, k: float, rho: float) -> None:
    """P(X <= h, Y <= k) + P(X <= h, Y > k) = P(X <= h)."""
    total = bivariate_normal_cdf(h, k, rho) + bivariate_normal_cdf(h, -k, -rho)
    assert float(total) == pytest.approx(float(normal_cdf(h)), abs=EXACT)


@settings(max_examples=30, deadline=None)
@given(LIMIT, LIMIT, INSIDE)
def test_quadrature(h: float, k: float, rho: float) -> None:
    """The integral of phi(x) Phi((k - rho x) / sqrt(1 - rho^2)) gives the same."""
    root = math.sqrt(1 - rho * rho)

    def height(x: float) -> float:
        return float(normal_density(x) * normal_cdf((k - rho * x) / root))

    knot = float(np.clip(k / rho, -9, h)) if rho else -1.0
    value = sum(
        quad(height, a, b, epsabs=1e-14, epsrel=1e-14, limit=200, full_output=True)[0]
        for a, b in ((-9.0, max(knot, -9.0)), (max(knot, -9.0), h))
    )
    assert float(bivariate_normal_cdf(h, k, rho)) == pytest.approx(value, abs=QUADRATURE)


@settings(max_examples=30, deadline=None)
@given(LIMIT, LIMIT, st.floats(-0.9, 0.9))
def test_density_is_the_slope_by_rho(h: float, k: float, rho: float) -> None:
    """Plackett's identity, by central differences."""
    step = 1e-6
    slope = (bivariate_normal_cdf(h, k, rho + step) - bivariate_normal_cdf(h, k, rho - step)) / (2 * step)
    assert float(bivariate_normal_density(h, k, rho)) == pytest.approx(float(slope), abs=DIFFERENCE)


def _cuts(seed: int, a: int, b: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return np.sort(rng.normal(size=(a, m)), 0), np.sort(rng.normal(size=(b, m)), 0), rng.uniform(-0.95, 0.95, m)


def test_rectangles_are_differences() -> None:
    """Cells sum to one, to their margins, and equal differences of the distribution function."""
    rows, cols, rho = _cuts(1, 4, 2, 50)
    cells = rectangle_probabilities(rows, cols, rho)
    assert cells.shape == (5, 3, 50)
    np.testing.assert_allclose(cells.sum(axis=(0, 1)), 1.0, atol=EXACT)
    np.testing.assert_allclose(cells.sum(axis=1).cumsum(axis=0)[:-1], normal_cdf(rows), atol=EXACT)
    np.testing.assert_allclose(cells.sum(axis=0).cumsum(axis=0)[:-1], normal_cdf(cols), atol=EXACT)
    one = (
        bivariate_normal_cdf(rows[1], cols[1], rho)
        - bivariate_normal_cdf(rows[0], cols[1], rho)
        - bivariate_normal_cdf(rows[1], cols[0], rho)
        + bivariate_normal_cdf(rows[0], cols[0], rho)
    )
    np.testing.assert_allclose(cells[1, 1], one, atol=EXACT)


def test_rectangle_derivatives_against_differences() -> None:
    """First derivatives by rho and by each cut, second derivatives of the slopes, against central differences."""
    rows, cols, rho = _cuts(2, 3, 2, 20)
    step = 1e-6

    def by_rho(f: object, sign: float) -> np.ndarray:
        return np.asarray(f(rows, cols, rho + sign * step))  # type: ignore[operator]

    slopes = rectangle_rho_slopes(rows, cols, rho)
    np.testing.assert_allclose(
        slopes, (by_rho(rectangle_probabilities, 1) - by_rho(rectangle_probabilities, -1)) / (2 * step), atol=DIFFERENCE
    )
    bends, row_bends, col_bends = rectangle_rho_bends(rows, cols, rho)
    np.testing.assert_allclose(
        bends,
        (by_rho(rectangle_rho_slopes, 1) - by_rho(rectangle_rho_slopes, -1)) / (2 * step),
        rtol=1e-5,
        atol=1e-7,
    )
    by_row, by_col = rectangle_limit_slopes(rows, cols, rho)
    for f, rows_of, cols_of in (
        (rectangle_probabilities, by_row, by_col),
        (rectangle_rho_slopes, row_bends, col_bends),
    ):
        for i in range(3):
            moved = np.zeros_like(rows)
            moved[i] = step
            change = (f(rows + moved, cols, rho) - f(rows - moved, cols, rho)) / (2 * step)
            np.testing.assert_allclose(change[i], rows_of[i], rtol=1e-5, atol=1e-7)
            np.testing.assert_allclose(change[i + 1], -rows_of[i], rtol=1e-5, atol=1e-7)
            np.testing.assert_allclose(np.delete(change, [i, i + 1], axis=0), 0.0, atol=1e-7)
        for j in range(2):
            moved = np.zeros_like(cols)
            moved[j] = step
            change = (f(rows, cols + moved, rho) - f(rows, cols - moved, rho)) / (2 * step)
            np.testing.assert_allclose(change[:, j], cols_of[:, j], rtol=1e-5, atol=1e-7)
            np.testing.assert_allclose(change[:, j + 1], -cols_of[:, j], rtol=1e-5, atol=1e-7)
