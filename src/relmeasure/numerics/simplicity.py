"""Rotation criteria outside the quartic family: Bentler's invariant pattern simplicity, infomax and simplimax.

The interface is that of ``criteria``: ``evaluate`` gives values (B,) and gradients (B, p, m) at loadings (B, p, m),
``gradient_change`` the derivative of the gradient along a change of the loadings.

References
----------
Bentler, P. M. (1977). Factor simplicity index and transformations. Psychometrika, 42, 277-295.
McKeon, J. J. (1968). Rotation for maximum association between factors and tests. Unpublished manuscript, Biometric
Laboratory, George Washington University (infomax, as given by Browne, 2001).
Kiers, H. A. L. (1994). Simplimax: oblique rotation to an optimal target with simple structure. Psychometrika, 59,
567-579.
Browne, M. W. (2001). An overview of analytic rotation in exploratory factor analysis. Multivariate Behavioral Research,
36, 111-150.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from relmeasure.numerics.normal import Array

__all__ = ["BentlerCriterion", "InfomaxCriterion", "SimplimaxCriterion"]

_RIDGE = 1e-14
"""Far below the sums of fourth powers of any loadings that count."""

_FLOOR = 1e-12
"""Added to squared loadings where their logarithm is taken."""


@dataclass(frozen=True)
class BentlerCriterion:
    """Invariant pattern simplicity: ``f = (log det diag M - log det M) / 4`` with ``M = X'X``, X the squared loadings.

    It does not change when a factor is rescaled, and is zero where no item loads on two factors.
    """

    def evaluate(self, L: Array) -> tuple[Array, Array]:
        """Return values (B,) and gradients (B, p, m)."""
        X = L * L
        M = _products(X)
        diagonal = np.einsum("...jj->...j", M)
        value = (np.log(diagonal).sum(axis=-1) - np.linalg.slogdet(M)[1]) / 4.0
        return value, -L * (X @ _excess(M))

    def gradient_change(self, L: Array, dL: Array) -> Array:
        """Return the derivative of the gradient along ``dL``."""
        X, dX = L * L, 2.0 * L * dL
        M, cross = _products(X), X.swapaxes(-1, -2) @ dX
        dM = cross + cross.swapaxes(-1, -2)
        inverse, diagonal = _inverse(M), np.einsum("...jj->...j", M)
        change = -inverse @ dM @ inverse
        each = np.arange(M.shape[-1])
        change[..., each, each] += np.einsum("...jj->...j", dM) / diagonal**2
        excess = _excess(M)
        out: Array = -(dL * (X @ excess) + L * (dX @ excess + X @ change))
        return out


def _products(X: Array) -> Array:
    """``X'X``, its diagonal raised by a hair: factors without loadings then have a determinant too."""
    M: Array = X.swapaxes(-1, -2) @ X
    each = np.arange(M.shape[-1])
    M[..., each, each] += _RIDGE
    return M


def _inverse(M: Array) -> Array:
    """Inverses; the pseudo-inverse where factors have become proportional, so that a start fails by itself."""
    try:
        return np.asarray(np.linalg.inv(M))
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.pinv(M, hermitian=True))


def _excess(M: Array) -> Array:
    """``M^-1 - (diag M)^-1``."""
    out = _inverse(M)
    each = np.arange(M.shape[-1])
    out[..., each, each] -= 1.0 / M[..., each, each]
    return out


@dataclass(frozen=True)
class InfomaxCriterion:
    """Infomax: ``log m`` less the mutual information of items and factors in the squared loadings.

    With ``E`` the squared loadings divided by their total, ``f = log m + sum E_ij log(E_i. E_.j / E_ij)``.
    """

    def evaluate(self, L: Array) -> tuple[Array, Array]:
        """Return values (B,) and gradients (B, p, m)."""
        total, _, surprise, mean = _shares(L)
        value = math.log(L.shape[-1]) + mean[..., 0, 0]
        return value, 2.0 * L * (surprise - mean) / total

    def gradient_change(self, L: Array, dL: Array) -> Array:
        """Return the derivative of the gradient along ``dL``."""
        total, E, surprise, mean = _shares(L)
        dX = 2.0 * L * dL
        d_total = dX.sum(axis=(-2, -1), keepdims=True)
        dE = (dX - E * d_total) / total
        by_item = dE.sum(axis=-1, keepdims=True) / E.sum(axis=-1, keepdims=True)
        by_factor = dE.sum(axis=-2, keepdims=True) / E.sum(axis=-2, keepdims=True)
        own = L * (dX / (E * total) - d_total / total)  # L dE / E
        d_mean = (dE * surprise).sum(axis=(-2, -1), keepdims=True)
        centred = surprise - mean
        out: Array = (
            2.0 * (dL * centred + L * (by_item + by_factor - d_mean) - own - L * centred * d_total / total) / total
        )
        return out


def _shares(L: Array) -> tuple[Array, Array, Array, Array]:
    """Return the total of squared loadings, their shares E, ``log(E_i. E_.j / E_ij)``, and its mean weighted by E."""
    X = L * L + _FLOOR  # the slope of x log(x) has no bound at zero
    total = X.sum(axis=(-2, -1), keepdims=True)
    E = X / total
    item, factor = E.sum(axis=-1, keepdims=True), E.sum(axis=-2, keepdims=True)
    surprise = np.log(item) + np.log(factor) - np.log(E)
    return total, E, surprise, (E * surprise).sum(axis=(-2, -1), keepdims=True)


@dataclass(frozen=True)
class SimplimaxCriterion:
    """Simplimax: the sum of the ``n_small`` smallest squared loadings; which they are changes with the loadings."""

    n_small: int

    def evaluate(self, L: Array) -> tuple[Array, Array]:
        """Return values (B,) and gradients (B, p, m)."""
        X = L * L
        chosen = self._chosen(X)
        return (chosen * X).sum(axis=(-2, -1)), 2.0 * chosen * L

    def gradient_change(self, L: Array, dL: Array) -> Array:
        """Return the derivative of the gradient along ``dL``, the choice of small loadings held."""
        return 2.0 * self._chosen(L * L) * dL

    def _chosen(self, X: Array) -> Array:
        flat = X.reshape(*X.shape[:-2], -1)
        rank = flat.argsort(axis=-1, kind="stable").argsort(axis=-1, kind="stable")
        out: Array = (rank < self.n_small).reshape(X.shape).astype(float)
        return out
