"""The univariate and bivariate normal distribution, vectorised over whole tables of pairs.

``normal_cdf, normal_density, normal_quantile``   one variable
``bivariate_normal_cdf, bivariate_normal_density``   two variables, any broadcastable limits
``rectangle_probabilities``   cells of many contingency tables at once
``rectangle_rho_slopes, rectangle_limit_slopes``   their derivatives by the correlation and by the limits
``small_rectangles``   a few cells with relative accuracy, however small
``rectangle_rho_bends``   the second derivatives that involve the correlation

The distribution function goes through Owen's T function (Owen, 1956): no quadrature, no loop over pairs.
Arrays of rectangles have the two category axes first and the pairs last, so that differences between categories run
over contiguous memory.

References
----------
Owen, D. B. (1956). Tables for computing bivariate normal probabilities. Annals of Mathematical Statistics, 27,
1075-1090 (eq. 2.1 and 3.1).
Patefield, M., & Tandy, D. (2000). Fast and accurate calculation of Owen's T function. Journal of Statistical Software,
5(5), 1-25.
Plackett, R. L. (1954). A reduction formula for normal multivariate integrals. Biometrika, 41, 351-360.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = [
    "bivariate_normal_cdf",
    "bivariate_normal_density",
    "normal_cdf",
    "normal_density",
    "normal_quantile",
    "rectangle_limit_slopes",
    "rectangle_probabilities",
    "rectangle_rho_bends",
    "rectangle_rho_slopes",
    "small_rectangles",
]

Array = np.ndarray[Any, np.dtype[np.float64]]
"""Floats in, floats out."""

_ROOT_TWO_PI = math.sqrt(2.0 * math.pi)
_TWO_PI = 2.0 * math.pi

_FAR_LIMIT = 30.0
"""Limits beyond this are as good as infinite: the density there is below 1e-190."""

_PANELS = [(0.0, 2.0**-16), *((2.0**-k, 2.0**-k) for k in range(16, 0, -1))]
"""Start and width of panels that halve towards an end, as shares of half an interval."""

_NODES = [
    (0.5 * (1.0 + x), 0.5 * w)
    for x, w in zip(*map(np.ndarray.tolist, np.polynomial.legendre.leggauss(12)), strict=True)
]
"""Gauss nodes and weights on the unit interval."""


# --------------------------------------------------------------------------- one variable
def normal_cdf(x: Any) -> Array:
    """Return the standard normal distribution function at ``x``.

    Examples
    --------
    >>> float(normal_cdf(0.0))  # R: pnorm(0)
    0.5
    """
    from scipy.special import ndtr

    return np.asarray(ndtr(x), dtype=float)


def normal_density(x: Any) -> Array:
    """Return the standard normal density at ``x``; zero at infinity."""
    x = np.asarray(x, dtype=float)
    return np.asarray(np.exp(-0.5 * x * x) / _ROOT_TWO_PI)


def normal_quantile(p: Any) -> Array:
    """Return the inverse of ``normal_cdf``; 0 and 1 give minus and plus infinity.

    Examples
    --------
    >>> normal_quantile([0.0, 0.5, 1.0]).tolist()  # R: qnorm(c(0, .5, 1))
    [-inf, 0.0, inf]
    """
    from scipy.special import ndtri

    return np.asarray(ndtri(p), dtype=float)


# --------------------------------------------------------------------------- two variables
def bivariate_normal_density(h: Any, k: Any, rho: Any) -> Array:
    """Return the standard bivariate normal density at ``(h, k)`` with correlation ``rho``, ``|rho| < 1``.

    This is also the derivative of ``bivariate_normal_cdf`` by ``rho`` (Plackett, 1954, eq. 3).
    """
    h, k, rho = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (h, k, rho)))
    finite = np.isfinite(h) & np.isfinite(k)
    h, k = np.where(finite, h, 0.0), np.where(finite, k, 0.0)
    rest = (1.0 - rho) * (1.0 + rho)
    # h^2 - 2 rho h k + k^2 as a sum of squares: nothing cancels when |rho| is close to 1
    square = np.where(rho >= 0, (h - k) ** 2 + 2.0 * (1.0 - rho) * h * k, (h + k) ** 2 - 2.0 * (1.0 + rho) * h * k)
    density = np.exp(-0.5 * square / rest) / (_TWO_PI * np.sqrt(rest))
    return np.asarray(np.where(finite, density, 0.0))


def bivariate_normal_cdf(h: Any, k: Any, rho: Any) -> Array:
    """Return the probability that two standard normal variables with correlation ``rho`` lie below ``h`` and ``k``.

    ``P(X <= h, Y <= k) = (Phi(h) + Phi(k)) / 2 - T(h, a_h) - T(k, a_k) - d``, with Owen's T,
    ``a_h = (k - rho h) / (h sqrt(1 - rho^2))``, and ``d = 1/2`` where h and k have different signs, else 0.

    Parameters
    ----------
    h, k : array-like
        Upper limits, finite or infinite.
    rho : array-like
        Correlations in [-1, 1]; both ends are exact.

    Returns
    -------
    array
        The broadcast shape of the arguments; NaN where any argument is NaN or ``|rho| > 1``.

    Notes
    -----
    Absolute error below 1e-15 for every rho. The accuracy is absolute, not relative: a difference of probabilities
    below 1e-13 carries few digits.

    References
    ----------
    Owen (1956), eq. 2.1 and 3.1; Patefield and Tandy (2000) for T.

    Examples
    --------
    >>> round(float(bivariate_normal_cdf(0.0, 0.0, 0.5)), 12)  # 1/4 + asin(1/2) / (2 pi); R: mnormt::pmnorm
    0.333333333333
    """
    h, k, rho = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (h, k, rho)))
    proper = np.isfinite(h) & np.isfinite(k) & (np.abs(rho) < 1.0)
    inner = owen_cdf(np.where(proper, h, 1.0), np.where(proper, k, 1.0), np.where(proper, rho, 0.0))
    if proper.all():
        return inner
    low = normal_cdf(np.minimum(h, k))
    edge = np.select(
        [
            np.isnan(h) | np.isnan(k) | ~(np.abs(rho) <= 1.0),
            np.isneginf(h) | np.isneginf(k),
            np.isposinf(h) | np.isposinf(k) | (rho == 1.0),
        ],
        [np.full_like(low, np.nan), np.zeros_like(low), low],
        np.maximum(normal_cdf(h) - normal_cdf(-k), 0.0),
    )
    return np.asarray(np.where(proper, inner, edge))


def owen_cdf(h: Array, k: Array, rho: Array, cdf_h: Array | None = None, cdf_k: Array | None = None) -> Array:
    """Evaluate the distribution function at finite limits and ``|rho| < 1``; all arguments broadcast."""
    from scipy.special import ndtr, owens_t

    h, k = h + 0.0, k + 0.0  # a negative zero would turn the sign of an infinite slope
    root = np.sqrt((1.0 - rho) * (1.0 + rho))
    # k - rho h without cancellation near |rho| = 1
    sign = np.where(rho >= 0, 1.0, -1.0)
    gap, rest = k - sign * h, sign - rho
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        slope_h = (gap + rest * h) / (h * root)
        slope_k = (rest * k - sign * gap) / (k * root)
    origin = (h == 0.0) & (k == 0.0)
    if origin.any():
        limit = np.sqrt((1.0 - rho) / (1.0 + rho))
        slope_h, slope_k = np.where(origin, limit, slope_h), np.where(origin, limit, slope_k)
    half = 0.5 * ((ndtr(h) if cdf_h is None else cdf_h) + (ndtr(k) if cdf_k is None else cdf_k))
    opposite = (h < 0.0) != (k < 0.0)
    return np.asarray(half - owens_t(h, slope_h) - owens_t(k, slope_k) - 0.5 * opposite)


# --------------------------------------------------------------------------- rectangles
def rectangle_probabilities(rows: Array, cols: Array, rho: Array) -> Array:
    """Return the cell probabilities of ``m`` tables cut from standard bivariate normal distributions.

    Parameters
    ----------
    rows : array (a, m)
        Finite cuts of the first variable, ascending; the ends at infinity are not given.
    cols : array (b, m)
        The same for the second variable.
    rho : array (m,)
        Correlations, ``|rho| < 1``.

    Returns
    -------
    array (a + 1, b + 1, m)
        Cells sum to one in each table.

    Examples
    --------
    >>> import numpy as np
    >>> cells = rectangle_probabilities(np.zeros((1, 1)), np.zeros((1, 1)), np.array([0.5]))
    >>> cells[:, :, 0].round(4).tolist()
    [[0.3333, 0.1667], [0.1667, 0.3333]]
    """
    cdf_rows, cdf_cols = normal_cdf(rows), normal_cdf(cols)
    inner = owen_cdf(rows[:, None], cols[None, :], rho, cdf_rows[:, None], cdf_cols[None, :])
    return difference_cells(inner, cdf_rows, cdf_cols)


def small_rectangles(low_h: Array, high_h: Array, low_k: Array, high_k: Array, rho: Array) -> Array:
    """Return rectangle probabilities with relative accuracy, however small; for few rectangles.

    Composite Gauss quadrature of ``phi(x) [Phi(u(high_k)) - Phi(u(low_k))]``, ``u(k) = (k - rho x) / sqrt(1 - rho^2)``,
    over panels that shrink towards both ends of the interval, where the mass of a far rectangle lies.

    Parameters
    ----------
    low_h, high_h, low_k, high_k : array (m,)
        The sides; the lower ones may be minus, the upper ones plus infinity.
    rho : array (m,)
        Correlations, ``|rho| < 1``.

    Returns
    -------
    array (m,)
        Relative error below 1e-8 for probabilities above 1e-250.
    """
    root = np.sqrt((1.0 - rho) * (1.0 + rho))
    low = np.clip(low_h, -_FAR_LIMIT, _FAR_LIMIT)
    half = 0.5 * (np.clip(high_h, -_FAR_LIMIT, _FAR_LIMIT) - low)
    total = np.zeros_like(half)
    for near, width in _PANELS:
        for node, weight in _NODES:
            inner = near + width * node
            for share in (inner, 2.0 - inner):
                x = low + half * share
                upper, lower = (high_k - rho * x) / root, (low_k - rho * x) / root
                flip = lower > 0
                high_tail, low_tail = np.where(flip, -lower, upper), np.where(flip, -upper, lower)
                total += weight * width * half * normal_density(x) * (normal_cdf(high_tail) - normal_cdf(low_tail))
    return total


def difference_cells(inner: Array, cdf_rows: Array, cdf_cols: Array) -> Array:
    """Turn the distribution function at the inner corners, and the margins, into cell probabilities."""
    a, b, m = inner.shape
    corner = np.empty((a + 2, b + 2, m))
    corner[0], corner[:, 0] = 0.0, 0.0
    corner[1:-1, 1:-1] = inner
    corner[1:-1, -1], corner[-1, 1:-1], corner[-1, -1] = cdf_rows, cdf_cols, 1.0
    strips = corner[1:] - corner[:-1]
    return np.asarray(strips[:, 1:] - strips[:, :-1])


def difference_inner(inner: Array) -> Array:
    """Turn a function of the inner corners that vanishes at every edge into its cell differences."""
    a, b, m = inner.shape
    corner = np.zeros((a + 2, b + 2, m))
    corner[1:-1, 1:-1] = inner
    strips = corner[1:] - corner[:-1]
    return np.asarray(strips[:, 1:] - strips[:, :-1])


def rectangle_rho_slopes(rows: Array, cols: Array, rho: Array) -> Array:
    """Return the derivatives of ``rectangle_probabilities`` by ``rho``, array (a + 1, b + 1, m)."""
    return difference_inner(bivariate_normal_density(rows[:, None], cols[None, :], rho))


def rectangle_rho_bends(rows: Array, cols: Array, rho: Array) -> tuple[Array, Array, Array]:
    """Return the derivatives of ``rectangle_rho_slopes`` by ``rho`` and by the cuts.

    Returns
    -------
    by_rho : array (a + 1, b + 1, m)
        Second derivatives of the cells by rho.
    by_row : array (a, b + 1, m)
        ``by_row[i, l]``: derivative of the slope of cell (i, l) by row cut i; that of cell (i + 1, l) is its negative.
    by_col : array (a + 1, b, m)
        The same for the column cuts.
    """
    h, k = rows[:, None], cols[None, :]
    rest = (1.0 - rho) * (1.0 + rho)
    density = bivariate_normal_density(h, k, rho)
    curve = (rho + (h * k * (1.0 + rho * rho) - rho * (h * h + k * k)) / rest) / rest
    by_row = np.diff(density * (rho * k - h) / rest, axis=1, prepend=0.0, append=0.0)
    by_col = np.diff(density * (rho * h - k) / rest, axis=0, prepend=0.0, append=0.0)
    return difference_inner(density * curve), by_row, by_col


def rectangle_limit_slopes(rows: Array, cols: Array, rho: Array) -> tuple[Array, Array]:
    """Return the derivatives of ``rectangle_probabilities`` by the cuts.

    Returns
    -------
    by_row : array (a, b + 1, m)
        ``by_row[i, l]``: derivative of cell (i, l) by row cut i, ``phi(r_i) (Phi(u_l) - Phi(u_{l-1}))`` with
        ``u = (c - rho r_i) / sqrt(1 - rho^2)``; that of cell (i + 1, l) is its negative, all others are zero.
    by_col : array (a + 1, b, m)
        The same for the column cuts.
    """
    root = np.sqrt((1.0 - rho) * (1.0 + rho))
    given_row = normal_cdf((cols[None, :] - rho * rows[:, None]) / root)
    given_col = normal_cdf((rows[:, None] - rho * cols[None, :]) / root)
    by_row = np.diff(given_row, axis=1, prepend=0.0, append=1.0) * normal_density(rows)[:, None]
    by_col = np.diff(given_col, axis=0, prepend=0.0, append=1.0) * normal_density(cols)[None, :]
    return by_row, by_col
