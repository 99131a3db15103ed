"""Extraction of common factors from a covariance or correlation matrix.

Maximum likelihood is minimised over the log-uniquenesses alone: given those, the best loadings come from an
eigendecomposition (Joreskog, 1967, Psychometrika 32, 443-482; Lawley and Maxwell, 1971, Factor analysis as a
statistical method, chapter 4). With ``theta_1 > ... > theta_p`` and ``w`` the eigenvalues and eigenvectors of
``U^-1/2 S U^-1/2``, m factors, and x the log-uniquenesses::

    f    = sum over k > m of theta_k - log(theta_k) - 1
    g_i  = sum over k > m of (1 - theta_k) w_ik^2
    h_ij = P_ij Q_ij
         + sum over l <= m < k of (1 - theta_k) (theta_l + theta_k) / (theta_l - theta_k) w_ik w_jk w_il w_jl

with ``P = sum w_k w_k'`` and ``Q = sum theta_k w_k w_k'`` over k > m. This is the exact second derivative; at a
perfect fit it is ``P_ij^2``, the approximation that is used where the exact one is not positive definite.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.exceptions import NotPositiveDefiniteError, OptionError
from relmeasure.numerics.coefficients import inverse_or_none

__all__ = ["Extraction", "Point", "check_n_factors", "descend", "fit_ml", "ml_information", "positive_sums"]

Array = np.ndarray[Any, np.dtype[np.float64]]

SMALLEST_UNIQUENESS = 0.005
"""Lower bound of a uniqueness, as a share of the item's variance: a solution there is improper."""

_TOLERANCE = 1e-10
_MAX_STEP = 1.0
_SLACK = 1e-13


@dataclass(frozen=True, eq=False)
class Extraction:
    """A common factor solution, before any rotation.

    Attributes
    ----------
    loadings : array (p, m)
        In the metric of the matrix given; factors have variance one, are uncorrelated, and come in order of the
        variance they explain; each column sums to a positive number.
    uniquenesses : array (p,)
        Residual variances in the same metric.
    objective : float
        Minimum of the function that the method makes small: for ``"ml"`` ``log|Sigma| - log|S| + tr(S Sigma^-1) - p``,
        which times N is the chi-square; for ``"minres"`` and ``"pa"`` half the sum of squared residual correlations.
    iterations : int
        Steps taken.
    gradient : float
        Largest element of the gradient over the uniquenesses that are not at their bound.
    converged : bool
        Whether that is below the tolerance.
    at_bound : tuple of int
        Items whose uniqueness is at its lower bound (Heywood cases).
    method : str
        ``"ml"``, ``"minres"`` or ``"pa"``.
    """

    loadings: Array
    uniquenesses: Array
    objective: float
    iterations: int
    gradient: float
    converged: bool
    at_bound: tuple[int, ...] = ()
    method: str = "ml"

    @property
    def implied(self) -> Array:
        """Covariances that the solution implies, array (p, p)."""
        out: Array = self.loadings @ self.loadings.T + np.diag(self.uniquenesses)
        return out


def fit_ml(
    matrix: Array,
    n_factors: int = 1,
    *,
    smallest_uniqueness: float = SMALLEST_UNIQUENESS,
    max_iterations: int = 200,
    start: Array | None = None,
) -> Extraction:
    """Fit a common factor model by maximum likelihood.

    Parameters
    ----------
    matrix : array (p, p)
        Covariances or correlations, positive definite; loadings come back in its metric.
    n_factors : int
        Number of factors m, 1 to p - 1; whether the model is identified is for the caller to know.
    smallest_uniqueness : float
        Lower bound of every uniqueness as a share of the item's variance.
    max_iterations : int
        Steps after which ``converged`` is False.
    start : array (p,), optional
        Starting uniquenesses as shares of the items' variances; by default ``(1 - m / 2p)`` times the residual
        variances given all other items (Joreskog, 1967, p. 463).

    Raises
    ------
    NotPositiveDefiniteError
        The matrix has no inverse.
    OptionError
        The number of factors is not between 1 and p - 1.

    Examples
    --------
    >>> import numpy as np
    >>> loadings = np.array([0.9, 0.8, 0.7, 0.6])
    >>> matrix = np.outer(loadings, loadings)
    >>> np.fill_diagonal(matrix, 1.0)
    >>> fit_ml(matrix).loadings[:, 0].round(6).tolist()  # R: factanal(covmat = m, factors = 1)
    [0.9, 0.8, 0.7, 0.6]
    """
    p = len(matrix)
    check_n_factors(n_factors, p)
    scale = np.sqrt(np.diag(matrix))
    inverse = inverse_or_none(matrix)
    if inverse is None:
        smallest = float(np.linalg.eigvalsh(matrix)[0]) if np.isfinite(matrix).all() else float("nan")
        raise NotPositiveDefiniteError(
            f"Maximum likelihood needs a positive definite matrix; its smallest eigenvalue is {smallest:.3g}. "
            "Look for constant items, and for items that are sums or copies of others.",
            min_eigenvalue=smallest,
        )
    if start is None:
        start = (1.0 - n_factors / (2.0 * p)) / (np.diag(inverse) * scale**2)
    floor = np.full(p, np.log(smallest_uniqueness))
    x = np.clip(np.log(start), floor, 0.0)
    cor = matrix / np.outer(scale, scale)
    point, iterations, converged = descend(
        lambda at: _evaluate(cor, n_factors, at), lambda at: _hessians(at, n_factors), x, floor, max_iterations
    )
    uniquenesses = np.exp(point.x)
    loadings = _loadings(point, n_factors) * scale[:, None]
    return Extraction(
        loadings=loadings,
        uniquenesses=uniquenesses * scale**2,
        objective=point.f,
        iterations=iterations,
        gradient=point.slope(floor),
        converged=converged,
        at_bound=tuple(int(i) for i in np.flatnonzero(point.x <= floor + 1e-8)),
    )


def check_n_factors(n_factors: int, p: int) -> None:
    """Raise OptionError unless there are 1 to p - 1 factors."""
    if not 1 <= n_factors < p:
        raise OptionError(
            f"n_factors={n_factors} must lie between 1 and {p - 1} for {p} items.",
            argument="n_factors",
            value=n_factors,
        )


# --------------------------------------------------------------------------- the concentrated function
@dataclass(frozen=True)
class Point:
    """A function of uniquenesses at one place: value, gradient, and the eigendecomposition behind them."""

    x: Array
    f: float
    g: Array
    theta: Array
    omega: Array

    def slope(self, floor: Array) -> float:
        """Largest element of the gradient, left out where the bound is met and the function falls beyond it."""
        free = (self.x > floor) | (self.g < 0.0)
        return float(np.abs(self.g[free]).max(initial=0.0))


def _evaluate(cor: Array, m: int, x: Array) -> Point:
    half = np.exp(-0.5 * x)
    theta, omega = np.linalg.eigh(cor * np.outer(half, half))  # ascending: the residual part comes first
    theta = np.maximum(theta, 1e-300)
    rest = theta[: len(x) - m]
    f = float((rest - np.log(rest) - 1.0).sum())
    g = omega[:, : len(x) - m] ** 2 @ (1.0 - rest)
    return Point(x, f, g, theta, omega)


def _hessians(point: Point, m: int) -> tuple[Array, Array]:
    """Exact second derivatives, and the approximation that is always positive semidefinite."""
    n = len(point.x) - m
    rest, common = point.omega[:, :n], point.omega[:, n:]
    theta, above = point.theta[:n], point.theta[n:]
    projection = rest @ rest.T
    exact = projection * ((rest * theta) @ rest.T)
    for column, value in zip(common.T, above, strict=True):
        gap = np.maximum(value - theta, 1e-12)
        weight = (1.0 - theta) * (value + theta) / gap
        exact += np.outer(column, column) * ((rest * weight) @ rest.T)
    return exact, projection**2


def descend(
    evaluate: Callable[[Array], Point],
    hessians: Callable[[Point], tuple[Array, Array]],
    x: Array,
    floor: Array,
    max_iterations: int,
) -> tuple[Point, int, bool]:
    """Newton steps with lower bounds: exact curvature where it is positive definite, else the approximation, damped.

    Parameters
    ----------
    evaluate : callable
        Vector to ``Point``.
    hessians : callable
        ``Point`` to the exact second derivatives and an approximation that is positive semidefinite.
    x, floor : array (p,)
        Start and lower bounds.
    max_iterations : int

    Returns
    -------
    Point, number of steps, whether it converged
    """
    point = evaluate(x)
    for iteration in range(max_iterations):
        if point.slope(floor) < _TOLERANCE:
            return point, iteration, True
        moved = _step(evaluate, hessians, point, floor)
        if moved is None:  # no lower value to working precision
            return point, iteration, point.slope(floor) < 1e-6
        point = moved
    return point, max_iterations, point.slope(floor) < _TOLERANCE


def _step(
    evaluate: Callable[[Array], Point],
    hessians: Callable[[Point], tuple[Array, Array]],
    point: Point,
    floor: Array,
) -> Point | None:
    free = (point.x > floor) | (point.g < 0.0)
    g = point.g[free]
    for hessian in hessians(point):
        direction = _direction(hessian[np.ix_(free, free)], g)
        if direction is None:
            continue
        length = min(1.0, _MAX_STEP / max(float(np.abs(direction).max()), 1e-300))
        for _ in range(30):
            x = point.x.copy()
            x[free] = np.maximum(x[free] - length * direction, floor[free])
            trial = evaluate(x)
            fall = float(point.g @ (point.x - x))
            if trial.f <= point.f - 1e-4 * fall and fall > _SLACK:
                return trial
            if trial.f <= point.f + _SLACK and trial.slope(floor) < 0.5 * point.slope(floor):
                return trial  # too close for the value to tell: the gradient decides
            length *= 0.5
    return None


def _direction(hessian: Array, g: Array) -> Array | None:
    """Newton direction; None where the curvature is not positive definite. A flat matrix is damped."""
    damping = 1e-10 * max(float(np.trace(hessian)) / len(g), 1e-12)
    try:
        factor = np.linalg.cholesky(hessian + damping * np.eye(len(g)))
    except np.linalg.LinAlgError:
        return None
    out: Array = np.linalg.solve(factor.T, np.linalg.solve(factor, g))
    return out


def _loadings(point: Point, m: int) -> Array:
    """Loadings of the m largest eigenvalues, largest first, in the metric of correlations."""
    order = np.arange(len(point.x) - 1, len(point.x) - 1 - m, -1)
    size = np.sqrt(np.maximum(point.theta[order] - 1.0, 0.0))
    return positive_sums(np.exp(0.5 * point.x)[:, None] * point.omega[:, order] * size)


def positive_sums(loadings: Array) -> Array:
    """Return loadings with columns turned so that each sums to a positive number."""
    out: Array = loadings * np.where(loadings.sum(axis=0) < 0.0, -1.0, 1.0)
    return out


# --------------------------------------------------------------------------- information
def ml_information(loadings: Array, uniquenesses: Array) -> Array:
    """Expected information per row of one factor's loadings and uniquenesses, array (2p, 2p).

    ``1/2 tr(W dSigma_a W dSigma_b)`` with ``W`` the inverse of ``Sigma = l l' + U`` (Lawley and Maxwell, 1971):
    loadings first, then uniquenesses.

    Parameters
    ----------
    loadings, uniquenesses : array (p,)
        One factor of variance one.
    """
    inverse = np.diag(1.0 / uniquenesses)
    scaled = loadings / uniquenesses
    inverse -= np.outer(scaled, scaled) / (1.0 + float(loadings @ scaled))
    w = inverse @ loadings
    top = np.outer(w, w) + inverse * float(loadings @ w)
    side = inverse * w
    out: Array = np.block([[top, side], [side.T, 0.5 * inverse**2]])
    return out
