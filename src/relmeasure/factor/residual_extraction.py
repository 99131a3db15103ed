"""Extraction of common factors by small residual correlations: minres (unweighted least squares) and principal axis.

Minres minimises half the sum of squared residuals ``R - LL' - U`` over the uniquenesses alone: given those, the best
loadings come from an eigendecomposition (Harman & Jones, 1966, in the form of Joreskog, 1977). With
``theta_1 > ... > theta_p`` and ``w`` the eigenvalues and eigenvectors of ``R - U``, and m factors::

    f    = sum over k > m of theta_k^2 / 2
    g_i  = - sum over k > m of theta_k w_ik^2
    h_ij = P_ij^2 + 2 sum over l <= m < k of theta_k / (theta_k - theta_l) w_ik w_jk w_il w_jl

with ``P = sum w_k w_k'`` over k > m; ``P_ij^2`` alone is never indefinite and stands in where h is. At an inner minimum
the diagonal residuals vanish, so that minimising the off-diagonal ones alone gives the same solution, and principal
axis factoring, iterated until it stands, does too.

References
----------
Harman, H. H., & Jones, W. H. (1966). Factor analysis by minimizing residuals (minres). Psychometrika, 31, 351-368.
Joreskog, K. G. (1977). Factor analysis by least-squares and maximum-likelihood methods. In K. Enslein, A. Ralston, &
H. S. Wilf (Eds.), Statistical methods for digital computers (Vol. 3, pp. 125-153). Wiley.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np

from relmeasure.exceptions import OptionError
from relmeasure.factor.extraction import (
    SMALLEST_UNIQUENESS,
    Extraction,
    Point,
    check_n_factors,
    descend,
    positive_sums,
)
from relmeasure.numerics.coefficients import inverse_or_none

__all__ = ["PrincipalAxisStop", "fit_minres", "fit_principal_axis"]

Array = np.ndarray[Any, np.dtype[np.float64]]

PrincipalAxisStop = Literal["fixed_point", "psych"]
"""When principal axis factoring ends: at the fixed point, or where R's psych stops by default."""

_FIXED = 1e-12
_PSYCH_CHANGE, _PSYCH_ITERATIONS = 0.001, 50
_START = 0.5


# --------------------------------------------------------------------------- minres
def fit_minres(
    cor: Array,
    n_factors: int = 1,
    *,
    smallest_uniqueness: float = SMALLEST_UNIQUENESS,
    max_iterations: int = 200,
) -> Extraction:
    """Fit a common factor model by minimum residuals (unweighted least squares) on correlations.

    Parameters
    ----------
    cor : array (p, p)
        Correlations; need not be positive definite.
    n_factors : int
        1 to p - 1.
    smallest_uniqueness : float
        Lower bound of every uniqueness; a solution there is improper.
    max_iterations : int
        Steps after which ``converged`` is False.

    Examples
    --------
    >>> import numpy as np
    >>> loadings = np.array([0.9, 0.8, 0.7, 0.6])
    >>> cor = np.outer(loadings, loadings)
    >>> np.fill_diagonal(cor, 1.0)
    >>> fit_minres(cor).loadings[:, 0].round(6).tolist()  # R: psych::fa(cor, 1, fm = "minres")
    [0.9, 0.8, 0.7, 0.6]
    """
    check_n_factors(n_factors, len(cor))
    floor = np.full(len(cor), smallest_uniqueness)
    x = np.clip(_starting_uniquenesses(cor, n_factors), floor, 1.0)
    point, iterations, converged = descend(
        lambda at: _evaluate(cor, n_factors, at), lambda at: _hessians(at, n_factors), x, floor, max_iterations
    )
    return Extraction(
        loadings=_loadings(point.theta, point.omega, n_factors),
        uniquenesses=point.x,
        objective=point.f,
        iterations=iterations,
        gradient=point.slope(floor),
        converged=converged,
        at_bound=tuple(int(i) for i in np.flatnonzero(point.x <= floor + 1e-10)),
        method="minres",
    )


def _starting_uniquenesses(cor: Array, m: int) -> Array:
    """Residual variances given all other items, shrunk as Joreskog (1967) does; a half each without an inverse."""
    inverse = inverse_or_none(cor)
    if inverse is None:
        return np.full(len(cor), _START)
    out: Array = (1.0 - m / (2.0 * len(cor))) / np.diag(inverse)
    return out


def _evaluate(cor: Array, m: int, x: Array) -> Point:
    reduced = cor.copy()
    np.fill_diagonal(reduced, np.diag(cor) - x)
    theta, omega = np.linalg.eigh(reduced)  # ascending: the residual part comes first
    # a factor with a negative eigenvalue has no real loadings: its eigenvalue stays among the residuals
    rest = np.r_[theta[: len(x) - m], np.minimum(theta[len(x) - m :], 0.0)]
    return Point(x, 0.5 * float(rest @ rest), -(omega**2 @ rest), theta, omega)


def _hessians(point: Point, m: int) -> tuple[Array, Array]:
    """Exact second derivatives, and the approximation that is never indefinite."""
    n = len(point.x) - m
    rest, theta = point.omega[:, :n], point.theta[:n]
    projection = rest @ rest.T
    exact = projection**2
    for column, value in zip(point.omega[:, n:].T, point.theta[n:], strict=True):
        gap = np.minimum(theta - value, -1e-12)
        exact += 2.0 * np.outer(column, column) * ((rest * (theta / gap)) @ rest.T)
    return exact, projection**2


def _loadings(theta: Array, omega: Array, m: int) -> Array:
    """Loadings of the m largest eigenvalues, largest first."""
    last = slice(None, -m - 1, -1)
    return positive_sums(omega[:, last] * np.sqrt(np.maximum(theta[last], 0.0)))


# --------------------------------------------------------------------------- principal axis
def fit_principal_axis(
    cor: Array, n_factors: int = 1, *, stop: PrincipalAxisStop = "fixed_point", max_iterations: int = 10_000
) -> Extraction:
    """Fit a common factor model by iterated principal axis factoring.

    Communalities start at the squared multiple correlations; each step takes the loadings of the reduced correlation
    matrix and puts their communalities in its diagonal. A communality of 1 or more ends the iteration (Heywood case).

    Parameters
    ----------
    cor : array (p, p)
        Correlations; need not be positive definite.
    n_factors : int
        1 to p - 1.
    stop : {"fixed_point", "psych"}
        ``"fixed_point"``: go on until no communality changes by 1e-12 (the minres solution). ``"psych"``: stop when the
        sum of communalities changes by less than .001, or after 50 steps, as R's ``psych::fa(fm = "pa")`` does.
    max_iterations : int
        Steps after which ``converged`` is False (fixed point only).

    Examples
    --------
    >>> import numpy as np
    >>> loadings = np.array([0.9, 0.8, 0.7, 0.6])
    >>> cor = np.outer(loadings, loadings)
    >>> np.fill_diagonal(cor, 1.0)
    >>> fit_principal_axis(cor).loadings[:, 0].round(6).tolist()  # R: psych::fa(cor, 1, fm = "pa", max.iter = 1e4)
    [0.9, 0.8, 0.7, 0.6]
    """
    if stop not in get_args(PrincipalAxisStop):
        raise OptionError.from_value("stop", stop, get_args(PrincipalAxisStop))
    check_n_factors(n_factors, len(cor))
    limit = _PSYCH_ITERATIONS if stop == "psych" else max_iterations
    inverse = inverse_or_none(cor)
    communality = np.full(len(cor), 1.0 - _START) if inverse is None else 1.0 - 1.0 / np.diag(inverse)
    reduced, loadings = cor.copy(), np.zeros((len(cor), n_factors))
    converged, iteration, change = False, 0, np.inf
    while iteration < limit and not converged and communality.max() < 1.0:
        iteration += 1
        np.fill_diagonal(reduced, communality)
        loadings = _loadings(*np.linalg.eigh(reduced), n_factors)
        new = (loadings**2).sum(axis=1)
        step, communality = new - communality, new
        change = float(np.abs(step).max())
        converged = abs(float(step.sum())) < _PSYCH_CHANGE if stop == "psych" else change < _FIXED
    residuals = cor - loadings @ loadings.T
    np.fill_diagonal(residuals, 0.0)
    return Extraction(
        loadings=loadings,
        uniquenesses=1.0 - communality,
        objective=0.5 * float((residuals**2).sum()),
        iterations=iteration,
        gradient=change,
        converged=converged,
        at_bound=tuple(int(i) for i in np.flatnonzero(communality >= 1.0 - SMALLEST_UNIQUENESS)),
        method="pa",
    )
