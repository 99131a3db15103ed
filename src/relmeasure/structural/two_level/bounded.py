r"""The two-level maximum over covariances that can exist: ``Sigma_W = R C C' R'`` and ``Sigma_B = R L L' R'``.

With few clusters of the largest size the likelihood rises without end towards a between matrix that no data can have,
``Sigma_B + Sigma_W / n_max`` singular. Kept positive semidefinite, it has a maximum. ``R`` is a root of a first within
matrix, so that all unknowns are of one size; ``C`` and ``L`` are triangular, free of bounds, and the gradient is exact.

References
----------
Pinheiro, J. C., & Bates, D. M. (1996). Statistics and Computing, 6, 289-296 (covariances by their roots). Byrd, R. H.,
Lu, P., Nocedal, J., & Zhu, C. (1995). SIAM Journal on Scientific Computing, 16, 1190-1208 (the search).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Objective", "bounded_moments", "closeness"]

Array = np.ndarray[Any, np.dtype[Any]]

Objective = Callable[[Array, Array, Array], tuple[float, Array, Array, Array]]
"""From both matrices and further unknowns to a deviance and its derivatives with respect to each of them."""

_STEPS = 3000
_FLAT = 1e-3
"""Slope of the deviance, per unit of the unknowns, that counts as none: what is left to gain is about its square."""


def closeness(within: Array, between: Array, n_max: float) -> float:
    """Return ``1 + n_max`` times the smallest root of between relative to within: zero where there is a spike.

    At or above one, the between matrix is one that can exist.
    """
    half = np.linalg.inv(np.linalg.cholesky(within))
    return 1.0 + n_max * float(np.linalg.eigvalsh(half @ between @ half.T)[0])


def bounded_moments(
    objective: Objective,
    within: Array,
    between: Array,
    others: Array,
    *,
    units: Array | None = None,
    diagonal: bool = False,
) -> tuple[Array, Array, Array, float] | None:
    """Return both matrices, the other unknowns and the deviance at the maximum; None where none was reached.

    Parameters
    ----------
    objective : callable
    within, between : array (k, k), (l, l)
        Where to start; ``within`` is positive definite.
    others : array
        Further unknowns, such as means.
    units : array (l, l), optional
        ``R`` of the level between; default: that of the level within.
    diagonal : bool
        Covariances stay zero.
    """
    from scipy.optimize import minimize

    R = np.linalg.cholesky(within)
    units = R if units is None else units
    half = np.linalg.inv(units)
    inside, outside = (np.diag_indices(len(M)) if diagonal else np.tril_indices(len(M)) for M in (within, between))
    m, q = len(inside[0]), len(outside[0])

    def matrices(u: Array) -> tuple[Array, Array]:
        C, L = np.zeros_like(within), np.zeros_like(between)
        C[inside], L[outside] = u[:m], u[m : m + q]
        return C, L

    def value(u: Array) -> tuple[float, Array]:
        C, L = matrices(u)
        C, L = R @ C, units @ L
        deviance, inner, outer, rest = objective(C @ C.T, L @ L.T, u[m + q :])
        if not math.isfinite(deviance):
            return 1e300, np.zeros_like(u)
        slope = np.concatenate([2.0 * (R.T @ inner @ C)[inside], 2.0 * (units.T @ outer @ L)[outside], rest])
        return deviance, slope

    roots, vectors = np.linalg.eigh(half @ between @ half.T)
    L = np.linalg.cholesky((vectors * np.maximum(roots, 0.02)) @ vectors.T)
    start = np.concatenate([np.eye(len(R))[inside], L[outside], others])
    options = {"maxiter": _STEPS, "maxfun": 2 * _STEPS, "maxcor": 30, "ftol": 0.0, "gtol": 1e-7}
    search: Any = minimize  # the stubs want literals for options
    found = search(value, start, jac=True, method="L-BFGS-B", options=options)
    if not float(np.abs(found.jac).max()) <= _FLAT * max(1.0, 1e-5 * abs(float(found.fun))):
        return None
    C, L = matrices(found.x)
    C, L = R @ C, units @ L
    return C @ C.T, L @ L.T, found.x[m + q :], float(found.fun)
