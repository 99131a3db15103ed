r"""Asymptotic covariances of sample moments, and weights made from them.

Under normality ``acov(s_ij, s_kl) = s_ik s_jl + s_il s_jk``; in general it is the covariance of products of deviations.

References
----------
Browne, M. W. (1984). British Journal of Mathematical and Statistical Psychology, 37, 62-83, eq. 2.18 and 3.1. Muthen,
B., du Toit, S. H. C., & Spisic, D. (1997). Robust inference using weighted least squares, eq. 6 (diagonal weights).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from relmeasure.exceptions import NotPositiveDefiniteError, TooFewObservationsError
from relmeasure.structural.estimation.samples import GroupSample

__all__ = [
    "categorical_weight",
    "distribution_free_acov",
    "inverse_acov",
    "normal_acov_diagonal",
    "normal_acov_product",
]

Array = np.ndarray[Any, np.dtype[Any]]


def normal_acov_diagonal(S: Array, *, means: bool) -> Array:
    """Return the normal-theory variances of means (if modelled) and covariances, times n."""
    variance = np.diag(S)
    i, j = np.triu_indices(len(S))
    upper = variance[i] * variance[j] + S[i, j] ** 2
    out: Array = np.concatenate([variance, upper]) if means else upper
    return out


def normal_acov_product(left: Array, S: Array, *, means: bool) -> Array:
    """Return ``left' Gamma left`` with the normal-theory covariance matrix of moments, array (q, q).

    ``left`` is (r, q): means first, if they are modelled, then the upper triangle.
    """
    p, q = len(S), left.shape[1]
    upper = left[p:] if means else left
    i, j = np.triu_indices(p)
    Q = np.zeros((q, p, p))
    Q[:, i, j] = 0.5 * upper.T
    Q[:, j, i] += 0.5 * upper.T
    QS = Q @ S
    out: Array = 2.0 * (QS.reshape(q, -1) @ QS.transpose(0, 2, 1).reshape(q, -1).T)
    if means:
        out = out + left[:p].T @ S @ left[:p]
    return out


def distribution_free_acov(rows: Array, *, means: bool) -> Array:
    """Return the covariance matrix of the moments, times n, from fourth-order sample moments (divisor n)."""
    deviations = rows - rows.mean(axis=0)
    i, j = np.triu_indices(rows.shape[1])
    products = deviations[:, i] * deviations[:, j]
    products -= products.mean(axis=0)
    if means:
        products = np.concatenate([deviations, products], axis=1)
    out: Array = products.T @ products / len(rows)
    return out


def categorical_weight(kind: str, group: GroupSample) -> Array:
    """Return the weights of moments of ordered items: ones, an inverse diagonal, or an inverse matrix."""
    acov = np.asarray(group.acov)
    if kind == "ULS":
        return np.ones(len(acov))
    if kind == "DWLS":
        out: Array = 1.0 / np.diag(acov)
        return out
    return inverse_acov(acov, group.n_obs)


def inverse_acov(acov: Array, n_obs: int) -> Array:
    """Return the weights of full weighted least squares.

    Raises
    ------
    TooFewObservationsError
        Fewer rows than moments: the matrix has no inverse.
    NotPositiveDefiniteError
        It has none for another reason.
    """
    if n_obs <= len(acov):
        raise TooFewObservationsError(
            f"Full weighted least squares needs more rows than moments: {n_obs} rows, {len(acov)} moments. "
            "Use 'MLR', or 'WLSMV' for ordered items.",
            n_obs=n_obs,
            n_moments=len(acov),
        )
    try:
        inverse = np.linalg.inv(acov)
        np.linalg.cholesky(inverse)
    except np.linalg.LinAlgError:
        raise NotPositiveDefiniteError(
            "The covariance matrix of the moments cannot be inverted. Use 'MLR', or 'WLSMV' for ordered items."
        ) from None
    out: Array = 0.5 * (inverse + inverse.T)
    return out
