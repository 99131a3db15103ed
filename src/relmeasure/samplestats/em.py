"""Maximum likelihood mean and covariance of incomplete normal data, from patterns of missing answers.

With ``P_g`` the inverse of the covariance of the items that pattern g observed (zero elsewhere), ``d_g`` its mean less
the mean, and ``M_g`` its covariance about the mean, one step of the EM algorithm (Dempster, Laird & Rubin, 1977;
Orchard & Woodbury, 1972) is

``mean += Cov sum_g w_g P_g d_g``, ``Cov += Cov [ sum_g w_g (P_g M_g P_g - P_g) ] Cov - (change of mean)(...)'``

with w_g the share of rows. Steps are extrapolated (Varadhan & Roland, 2008, scheme S3), and an extrapolation is kept
only if the likelihood does not fall.

References
----------
Dempster, A. P., Laird, N. M., & Rubin, D. B. (1977). Journal of the Royal Statistical Society B, 39, 1-38.
Orchard, T., & Woodbury, M. A. (1972). Proceedings of the Sixth Berkeley Symposium, 1, 697-715.
Savalei, V. (2010). Expected versus observed information in SEM with incomplete normal and nonnormal data. Psychological
Methods, 15, 352-367 (appendix).
Varadhan, R., & Roland, C. (2008). Simple and globally convergent methods for accelerating the convergence of any EM
algorithm. Scandinavian Journal of Statistics, 35, 335-353.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from relmeasure.exceptions import NotPositiveDefiniteError
from relmeasure.results import FloatArray
from relmeasure.samplestats.patterns import MissingPatterns

__all__ = ["Fit", "maximise", "observed_information"]

_BLOCK_VALUES = 1 << 20
"""Values of the stacked inverses of a block of patterns (8 MB)."""


@dataclass(frozen=True)
class Fit:
    """Where the iterations ended: the log-likelihood after each of them, and whether they converged."""

    mean: FloatArray
    cov: FloatArray
    path: FloatArray
    converged: bool


@dataclass(frozen=True)
class _Point:
    mean: FloatArray
    cov: FloatArray
    log_likelihood: float
    next_mean: FloatArray
    next_cov: FloatArray


def _blocks(patterns: MissingPatterns) -> Iterator[slice]:
    g, p = patterns.observed.shape
    step = max(1, _BLOCK_VALUES // max(p * p, 1))
    for start in range(0, g, step):
        yield slice(start, start + step)


def _inverses(observed: np.ndarray, cov: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the padded inverses (g, p, p) of the observed parts of ``cov``, and their log-determinants."""
    seen = observed.astype(float)
    filled = cov * (seen[:, :, None] * seen[:, None, :])
    each = np.arange(cov.shape[0])
    filled[:, each, each] += 1.0 - seen
    factor = np.linalg.cholesky(filled)
    inverse = np.linalg.inv(filled)
    inverse[:, each, each] -= 1.0 - seen
    return inverse, 2.0 * np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)


def _evaluate(patterns: MissingPatterns, mean: FloatArray, cov: FloatArray) -> _Point:
    """Return the log-likelihood and the next EM step; raise LinAlgError where ``cov`` is not positive definite."""
    p = len(mean)
    total = patterns.weight.sum()
    first, second, twice = np.zeros(p), np.zeros((p, p)), 0.0
    for part in _blocks(patterns):
        seen, w = patterns.observed[part], patterns.weight[part]
        inverse, log_det = _inverses(seen, cov)
        gap = (patterns.mean[part] - mean) * seen
        moment = patterns.scatter[part] + w[:, None, None] * gap[:, :, None] * gap[:, None, :]
        pulled = inverse @ moment
        first += np.tensordot(w, (inverse @ gap[:, :, None])[:, :, 0], 1)
        second += pulled.transpose(1, 0, 2).reshape(p, -1) @ inverse.reshape(-1, p)
        second -= np.tensordot(w, inverse, 1)
        twice += float((w * (log_det + seen.sum(axis=1) * math.log(2.0 * math.pi))).sum())
        twice += float(np.einsum("gaa->", pulled))
    move = cov @ first / total
    grown = cov + cov @ second @ cov / total - np.outer(move, move)
    return _Point(mean, cov, -0.5 * twice, mean + move, 0.5 * (grown + grown.T))


def maximise(patterns: MissingPatterns, *, tolerance: float, max_iterations: int) -> Fit:
    """Run extrapolated EM until no standardised estimate changes by more than ``tolerance`` in a step."""
    share = patterns.observed * patterns.weight[:, None]
    weight = share.sum(axis=0)
    mean = (share * patterns.mean).sum(axis=0) / weight
    spread = np.einsum("gaa->a", patterns.scatter) + (share * (patterns.mean - mean) ** 2).sum(axis=0)
    if not (spread > 0).all():
        raise NotPositiveDefiniteError("An item without variance has no covariance matrix to be inverted.")
    point = _evaluate(patterns, mean, np.diag(spread / weight))
    path = [point.log_likelihood]
    for _ in range(max_iterations):
        once = _evaluate(patterns, point.next_mean, point.next_cov)
        path.append(once.log_likelihood)
        if _distance(point, once) < tolerance:
            return Fit(once.mean, once.cov, np.array(path), converged=True)
        point = _extrapolated(patterns, point, once) or once
        if point is not once:
            path.append(point.log_likelihood)
    return Fit(point.mean, point.cov, np.array(path), converged=False)


def _distance(one: _Point, other: _Point) -> float:
    sd = np.sqrt(np.diag(other.cov))
    change = np.abs(other.cov - one.cov) / np.outer(sd, sd)
    return float(max(change.max(), (np.abs(other.mean - one.mean) / sd).max()))


def _extrapolated(patterns: MissingPatterns, point: _Point, once: _Point) -> _Point | None:
    """Return a longer step along the last two EM steps, or None if the likelihood would fall."""
    sd = np.sqrt(np.diag(once.cov))
    scale = np.concatenate([1.0 / sd, (1.0 / np.outer(sd, sd)).ravel()])

    def vector(mean: FloatArray, cov: FloatArray) -> FloatArray:
        return np.concatenate([mean, cov.ravel()])

    start = vector(point.mean, point.cov)
    step = vector(once.mean, once.cov) - start
    bend = vector(once.next_mean, once.next_cov) - vector(once.mean, once.cov) - step
    length = float(np.linalg.norm(bend * scale))
    if length == 0.0:
        return None
    alpha = max(1.0, float(np.linalg.norm(step * scale)) / length)
    p = len(point.mean)
    moved = start + 2.0 * alpha * step + alpha * alpha * bend
    try:
        found = _evaluate(patterns, moved[:p], moved[p:].reshape(p, p))
    except np.linalg.LinAlgError:
        return None
    return found if found.log_likelihood >= once.log_likelihood else None


# --------------------------------------------------------------------------- information
def observed_information(patterns: MissingPatterns, mean: FloatArray, cov: FloatArray) -> FloatArray:
    """Return minus the second derivatives of the log-likelihood by means and covariances (Savalei, 2010, appendix).

    Returns
    -------
    array (q, q)
        Means first, then the covariances of ``a >= b`` column by column, as ``vech`` orders them.
    """
    p = len(mean)
    by_mean, mixed, fourth = np.zeros((p, p)), np.zeros((p, p, p)), np.zeros((p * p, p * p))
    for part in _blocks(patterns):
        seen, w = patterns.observed[part], patterns.weight[part]
        inverse, _ = _inverses(seen, cov)
        gap = (patterns.mean[part] - mean) * seen
        moment = patterns.scatter[part] / w[:, None, None] + gap[:, :, None] * gap[:, None, :]
        weighted = inverse * w[:, None, None]
        by_mean += weighted.sum(axis=0)
        mixed += np.einsum("gab,gc->abc", weighted, np.einsum("gab,gb->ga", inverse, gap))
        rest = inverse @ moment @ inverse - 0.5 * inverse
        fourth += weighted.reshape(len(w), -1).T @ rest.reshape(len(w), -1)
    cols, rows = np.triu_indices(p)
    f = fourth.reshape(p, p, p, p)
    a, b, c, d = rows[:, None], cols[:, None], rows[None, :], cols[None, :]
    # tr(E_ab P E_cd R) with E_ab = e_a e_b' + e_b e_a', halved on the diagonal, symmetric in the two pairs
    traces = f[b, c, d, a] + f[a, c, d, b] + f[b, d, c, a] + f[a, d, c, b]
    traces = 0.5 * (traces + traces.T)
    half = np.where(rows == cols, 0.5, 1.0)
    out = np.zeros((p + len(rows), p + len(rows)))
    out[:p, :p] = by_mean
    out[p:, p:] = traces * half[:, None] * half
    out[:p, p:] = (mixed[:, rows, cols] + mixed[:, cols, rows]) * half
    out[p:, :p] = out[:p, p:].T
    return out
