"""Standard errors of rotated loadings and factor correlations, for maximum likelihood and minres.

Rotated loadings and factor correlations x are fixed by two things: the correlations they reproduce, and the constraints
``c(x) = 0`` that the rotation puts on them (Jennrich, 1973, 1974). With K the upper left block of the inverse of
``[[B, C'], [C, 0]]``, C the derivative of c:

- maximum likelihood: B is the expected information of x about a *correlation* structure, standard deviations of the
  items being free parameters too; the covariance of the estimates is ``K / n``;
- maximum likelihood of correlations that were themselves estimated (polychoric; full information under missing data):
  ``K D'W G W D K / n``, W the inverse of the normal-theory covariance of the correlations that the solution implies
  (then ``B = D'WD``), G their covariance as estimated;
- minres: ``B = D'D``, D the derivative of the correlations above the diagonal; the covariance is ``K D'GD K / n``, with
  G the covariance of root-n sample correlations: under normality, or as estimated for polychorics.

The derivative of c is taken by central differences of the analytic gradient of the rotation criterion.

References
----------
Jennrich, R. I. (1974). Simplified formulae for standard errors in maximum-likelihood factor analysis. British Journal
of Mathematical and Statistical Psychology, 27, 122-131.
Browne, M. W., Cudeck, R., Tateneni, K., & Mels, G. (2008). CEFA: Comprehensive exploratory factor analysis (manual).
Zhang, G., & Preacher, K. J. (2015). Factor rotation and standard errors in exploratory factor analysis. Journal of
Educational and Behavioral Statistics, 40, 579-603.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from relmeasure.numerics.criteria import ROTATIONS, make_criterion
from relmeasure.numerics.rotation import promax_matrix, rotate

__all__ = ["LoadingErrors", "correlation_slopes", "loading_errors", "normal_correlation_covariance"]

Array = np.ndarray[Any, np.dtype[np.float64]]
Constraints = Callable[[Array, Array], Array]
"""Loadings (B, p, m) and factor correlations (B, m, m) to the k values (B, k) that a rotation makes zero."""

_STEP = 1e-5
_SINGULAR = 1e-10


@dataclass(frozen=True, eq=False)
class LoadingErrors:
    """Standard errors of a rotated solution.

    Attributes
    ----------
    loadings : array (p, m)
    phi : array (m, m)
        Zero on the diagonal, and everywhere in an orthogonal solution.
    covariance : array (q, q)
        Of the estimates: loadings row by row, then factor correlations above the diagonal.
    slopes : array (p (p - 1) / 2, q)
        Derivatives of the reproduced correlations (pairs i < j, row by row) by the estimates (promax: by those of the
        varimax solution).
    bread : array (q, q)
        K.
    weight : array (p (p - 1) / 2, p (p - 1) / 2) or None
        W, where it was needed; None stands for the identity.
    """

    loadings: Array
    phi: Array
    covariance: Array
    slopes: Array
    bread: Array
    weight: Array | None = None


def loading_errors(
    loadings: Array,
    phi: Array,
    n_obs: int,
    *,
    cor: Array,
    method: Literal["ml", "minres"],
    rotation: str,
    kaiser: bool = False,
    options: Mapping[str, Any] | None = None,
    acov: Array | None = None,
) -> LoadingErrors | None:
    """Return standard errors of rotated loadings and factor correlations; None where the rotation does not fix them.

    Parameters
    ----------
    loadings, phi : array (p, m), array (m, m)
        A converged solution, rotated, with no uniqueness at its bound.
    n_obs : int
    cor : array (p, p)
        The correlations analysed; minres takes their sampling covariance from them.
    method : {"ml", "minres"}
    rotation, kaiser, options
        As in ``rotate``; ``"promax"`` goes through the varimax solution by the delta method.
    acov : array (p (p - 1) / 2, p (p - 1) / 2), optional
        Sampling covariance of the correlations (pairs i < j, row by row); normal theory by default.
    """
    if rotation == "promax":
        return _promax_errors(loadings, phi, n_obs, cor, method, kaiser, dict(options or {}), acov)
    p, m = loadings.shape
    oblique = ROTATIONS[rotation].oblique and m > 1
    slopes = correlation_slopes(loadings, phi, oblique=oblique)
    constraints = _constraints(rotation, p, m, kaiser=kaiser, options=options or {}, method=method)
    C = _constraint_slopes(constraints, loadings, phi, oblique=oblique)
    common = loadings @ phi @ loadings.T
    weight: Array | None = None
    if method == "ml" and acov is None:
        bread = _bordered_inverse(_information(slopes, common), C)
        covariance = None if bread is None else bread / n_obs
    elif method == "ml" and acov is not None:
        inverse: Array = np.asarray(np.linalg.inv(normal_correlation_covariance(common)))
        weight, pulled = inverse, inverse @ slopes
        bread = _bordered_inverse(slopes.T @ pulled, C)
        covariance = None if bread is None else bread @ (pulled.T @ acov @ pulled) @ bread
    else:
        bread = _bordered_inverse(slopes.T @ slopes, C)
        meat = _normal_meat(slopes, cor) / n_obs if acov is None else slopes.T @ acov @ slopes
        covariance = None if bread is None else bread @ meat @ bread
    if covariance is None or bread is None:
        return None
    return _errors(covariance, slopes, bread, p, m, oblique=oblique, weight=weight)


def _errors(
    covariance: Array, slopes: Array, bread: Array, p: int, m: int, *, oblique: bool, weight: Array | None = None
) -> LoadingErrors:
    se = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    phi_se = np.zeros((m, m))
    if oblique:
        upper = np.triu_indices(m, 1)
        phi_se[upper] = se[p * m :]
        phi_se += phi_se.T
    return LoadingErrors(se[: p * m].reshape(p, m), phi_se, covariance, slopes, bread, weight)


# --------------------------------------------------------------------------- derivatives of correlations
def correlation_slopes(loadings: Array, phi: Array, *, oblique: bool) -> Array:
    """Return derivatives of ``(L Phi L')_ij``, i < j, by loadings row by row, then factor correlations r < s."""
    p, m = loadings.shape
    rows, cols = np.triu_indices(p, 1)
    structure = loadings @ phi
    pairs = np.arange(len(rows))
    by_loading = np.zeros((len(rows), p, m))
    by_loading[pairs, rows] = structure[cols]
    by_loading[pairs, cols] = structure[rows]
    parts = [by_loading.reshape(len(rows), p * m)]
    if oblique:
        r, s = np.triu_indices(m, 1)
        parts.append(loadings[rows][:, r] * loadings[cols][:, s] + loadings[rows][:, s] * loadings[cols][:, r])
    return np.concatenate(parts, axis=1)


def _squares(values: Array, p: int) -> Array:
    """Return symmetric matrices (q, p, p) with zero diagonals from columns of values for pairs i < j."""
    rows, cols = np.triu_indices(p, 1)
    out = np.zeros((values.shape[1], p, p))
    out[:, rows, cols] = out[:, cols, rows] = values.T
    return out


def _information(slopes: Array, common: Array) -> Array:
    """Return the expected information per row of correlation parameters, standard deviations of items left free."""
    p = len(common)
    cor = common.copy()
    np.fill_diagonal(cor, 1.0)
    half = np.linalg.inv(np.linalg.cholesky(cor))
    by_sd = np.zeros((p, p, p))
    each = np.arange(p)
    by_sd[each, each, :] += cor
    by_sd[each, :, each] += cor
    changes = np.concatenate([_squares(slopes, p), by_sd])
    flat = (half @ changes @ half.T).reshape(len(changes), -1)
    full = 0.5 * flat @ flat.T
    q = slopes.shape[1]
    side = full[:q, q:]
    information: Array = full[:q, :q] - side @ np.linalg.solve(full[q:, q:], side.T)
    return information


def normal_correlation_covariance(cor: Array) -> Array:
    """Return the covariance of root-n correlations (pairs i < j, row by row) of normal variables.

    The diagonal of ``cor`` is taken as one. Pearson, K., & Filon, L. N. G. (1898). Philosophical Transactions of the
    Royal Society A, 191, 229-311.
    """
    p = len(cor)
    i, j = np.triu_indices(p, 1)
    R = np.array(cor, dtype=float)
    np.fill_diagonal(R, 1.0)
    r = R[i, j]
    ik, il, jk, jl = R[np.ix_(i, i)], R[np.ix_(i, j)], R[np.ix_(j, i)], R[np.ix_(j, j)]
    out: Array = 0.5 * np.outer(r, r) * (ik**2 + il**2 + jk**2 + jl**2) + ik * jl + il * jk
    out -= r[:, None] * (ik * il + jk * jl) + r[None, :] * (ik * jk + il * jl)
    return out


def _normal_meat(slopes: Array, cor: Array) -> Array:
    """Return ``D'GD`` with G the covariance of root-n correlations of normal variables.

    A sum of correlations ``<A, r>`` varies as the covariances ``<B, s>``, with B equal to A off the diagonal and
    ``-sum_j a_ij r_ij`` on it; and ``n cov(<B1, s>, <B2, s>) = 2 tr(B1 R B2 R)``.
    """
    p = len(cor)
    weights = _squares(slopes, p) / 2.0
    each = np.arange(p)
    weights[:, each, each] = -np.einsum("qij,ij->qi", weights, cor)
    root = np.linalg.eigh(cor)
    half = root.eigenvectors * np.sqrt(np.maximum(root.eigenvalues, 0.0))
    flat = (half.T @ weights @ half).reshape(len(weights), -1)
    meat: Array = 2.0 * flat @ flat.T
    return meat


# --------------------------------------------------------------------------- constraints of the rotation
def _constraints(
    rotation: str, p: int, m: int, *, kaiser: bool, options: Mapping[str, Any], method: str
) -> Constraints:
    """Return the function that a rotation makes zero: the elements of the projected gradient of its criterion."""
    above = np.triu_indices(m, 1)
    off = np.nonzero(~np.eye(m, dtype=bool))

    def unrotated(L: Array, phi: Array) -> Array:
        """Unrotated factors: ``L'U^-1 L`` (maximum likelihood) or ``L'L`` diagonal."""
        del phi
        weight = 1.0 / (1.0 - (L * L).sum(axis=-1, keepdims=True)) if method == "ml" else 1.0
        products: Array = np.swapaxes(L, -1, -2) @ (weight * L)
        return products[:, above[0], above[1]]

    def stationary(L: Array, phi: Array) -> Array:
        weight = np.ones((len(L), p, 1))
        if kaiser:
            weight = 1.0 / np.sqrt(np.einsum("bij,bjk,bik->bi", L, phi, L))[:, :, None]
        G = make_criterion(rotation, p, m, options, weight).evaluate(L * weight)[1]
        H = np.swapaxes(G, -1, -2) @ (L * weight)
        if ROTATIONS[rotation].oblique:
            slope: Array = phi * np.einsum("bjj->bj", H)[:, None, :] - H
            return slope[:, off[0], off[1]]
        turn: Array = H - np.swapaxes(H, -1, -2)
        return turn[:, above[0], above[1]]

    return unrotated if rotation == "none" or m == 1 else stationary


def _constraint_slopes(constraints: Constraints, loadings: Array, phi: Array, *, oblique: bool) -> Array:
    """Return the derivative (k, q) of the constraints by loadings and factor correlations, all differences at once."""
    p, m = loadings.shape
    r, s = np.triu_indices(m, 1)
    q = p * m + (len(r) if oblique else 0)
    L = np.repeat(loadings[None], q, axis=0)
    F = np.repeat(phi[None], q, axis=0)
    steps = np.zeros((q, p, m))
    each = np.arange(p * m)
    steps[each, each // m, each % m] = _STEP
    turns = np.zeros((q, m, m))
    if oblique:
        extra = np.arange(p * m, q)
        turns[extra, r, s] = turns[extra, s, r] = _STEP
    slopes: Array = (constraints(L + steps, F + turns) - constraints(L - steps, F - turns)).T / (2.0 * _STEP)
    return slopes


def _bordered_inverse(B: Array, C: Array) -> Array | None:
    """Return the upper left block of the inverse of ``[[B, C'], [C, 0]]``; None where C does not suffice."""
    q, k = len(B), len(C)
    size = math.sqrt(float(np.trace(B)) / q)
    scaled = C * (size * size / max(float(np.abs(C).max(initial=0.0)), 1e-300))
    full = np.block([[B, scaled.T], [scaled, np.zeros((k, k))]])
    values, vectors = np.linalg.eigh(full)
    if np.abs(values).min() < _SINGULAR * np.abs(values).max():
        return None
    top = vectors[:q]
    bread: Array = (top / values) @ top.T
    return bread


# --------------------------------------------------------------------------- promax
def _promax_errors(
    loadings: Array,
    phi: Array,
    n_obs: int,
    cor: Array,
    method: Literal["ml", "minres"],
    kaiser: bool,
    options: dict[str, Any],
    acov: Array | None,
) -> LoadingErrors | None:
    """Return errors of a promax solution: those of its varimax solution, carried on by the delta method."""
    p, m = loadings.shape
    unrotated = loadings @ np.linalg.cholesky(phi)
    varimax = rotate(unrotated, "varimax", kaiser=kaiser).loadings
    first = loading_errors(
        varimax, np.eye(m), n_obs, cor=cor, method=method, rotation="varimax", kaiser=kaiser, acov=acov
    )
    if first is None:
        return None
    power, normalized = options.get("power", 4.0), options.get("metric", "raw") == "normalized"
    above = np.triu_indices(m, 1)

    def promax(L: Array) -> Array:
        base = L / np.sqrt((L * L).sum(axis=-1, keepdims=True)) if normalized else L
        M = promax_matrix(base, power)
        turned = np.linalg.inv(np.swapaxes(M, -1, -2) @ M)
        return np.concatenate([(L @ M).reshape(len(L), -1), turned[:, above[0], above[1]]], axis=1)

    each = np.arange(p * m)
    steps = np.zeros((p * m, p, m))
    steps[each, each // m, each % m] = _STEP
    jacobian = (promax(varimax + steps) - promax(varimax - steps)).T / (2.0 * _STEP)
    at = promax(varimax[None])[0]
    order = _matching(at[: p * m].reshape(p, m), loadings)
    covariance = jacobian @ first.covariance @ jacobian.T
    index = _reordered(order, p, m)
    covariance = covariance[np.ix_(index, index)]
    # the correlations that the model allows are the same, and so may be described by the varimax solution
    return _errors(covariance, first.slopes, first.bread, p, m, oblique=True, weight=first.weight)


def _matching(L: Array, to: Array) -> Array:
    """Return which column of L is each column of ``to``, signs aside."""
    return np.asarray(np.abs(L.T @ to).argmax(axis=0))


def _reordered(order: Array, p: int, m: int) -> Array:
    """Return positions of loadings and factor correlations after factors are put in another order."""
    above = np.triu_indices(m, 1)
    where = np.zeros((m, m), dtype=int)
    where[above] = where[above[::-1]] = np.arange(len(above[0]))
    by_loading = (np.arange(p)[:, None] * m + order).ravel()
    by_phi = p * m + where[order[above[0]], order[above[1]]]
    return np.concatenate([by_loading, by_phi])
