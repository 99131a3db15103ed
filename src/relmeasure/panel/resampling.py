"""Bootstrap of whole classes or schools: true-score moments of every draw, by maximum likelihood.

A draw weighs class j by the number of times it was drawn. Within-class covariances are sums over classes, so they are
drawn along with the means. Every draw starts at the estimate from all classes and climbs by scoring, with an expected
information that is not computed anew at each step; what has not settled then is estimated from nothing, as any sample.

References
----------
Efron, B., & Tibshirani, R. J. (1993). An Introduction to the Bootstrap, chapters 6 and 13. Field, C. A., & Welsh, A. H.
(2007). Journal of the Royal Statistical Society B, 69, 369-390 (clusters).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.exceptions import DataError, EstimationError
from relmeasure.panel.error_moments import ClassMeans, ClassScatter
from relmeasure.panel.latent_moments import LatentMoments, expected_information, latent_moments

__all__ = ["bootstrap_covariances", "draw_weights"]

Array = np.ndarray[Any, np.dtype[Any]]

_CHUNK = 25
"""Draws that are worked on together; fixed, so that the number of workers changes nothing."""

_SETTLED = 1e-7
"""Newton decrement: squared distance to the maximum, in standard errors."""

_STEPS = 30
_REFRESHED = (0, 3, 6, 10, 15, 20, 25)
"""Steps at which the expected information of a draw is computed anew."""


def draw_weights(
    n_classes: int,
    n_boot: int,
    rng: np.random.Generator,
    *,
    schools: Sequence[str] | None = None,
    strata: Sequence[str] | None = None,
) -> Array:
    """Times that each class is drawn, array (n_boot, J): whole schools where given, else classes within strata.

    Each draw has a generator of its own, so that the first draws do not depend on how many follow.
    """
    unit = np.arange(n_classes) if schools is None else np.unique(np.asarray(schools), return_inverse=True)[1]
    count = int(unit.max()) + 1
    stratum = np.zeros(count, dtype=np.intp)
    if strata is not None and schools is None:
        stratum = np.unique(np.asarray(strata), return_inverse=True)[1]
    members = [np.flatnonzero(stratum == s) for s in range(int(stratum.max()) + 1)]
    out = np.empty((n_boot, n_classes))
    for b, seed in enumerate(rng.spawn(n_boot)):
        times = np.zeros(count)
        for home in members:
            times[home] = np.bincount(seed.integers(0, len(home), len(home)), minlength=len(home))
        out[b] = times[unit]
    return out


def bootstrap_covariances(
    means: ClassMeans,
    scatter: ClassScatter | None,
    fit: LatentMoments,
    weights: Array,
    *,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Array:
    """Estimate the covariance of true scores in every draw.

    Parameters
    ----------
    means : ClassMeans
        The classes and scores of the analysis.
    scatter : ClassScatter or None
        Of the same scores, for every class that is drawn; None leaves the errors in, as ``fit`` must do too.
    fit : LatentMoments
        The estimate from all of these classes.
    weights : array (n_boot, J)
        Of the classes in ``means``; ``scatter`` has weights of its own classes in ``scatter.weights``.
    workers : int
        Threads; the answer does not depend on it.
    progress : callable, optional
        Called with the number of draws done in each step.

    Returns
    -------
    array (n_boot, P, P)
        NaN where a draw has no estimate.
    """
    problem = _Draws(means, scatter, fit, weights)
    pieces = [slice(k, min(k + _CHUNK, len(weights))) for k in range(0, len(weights), _CHUNK)]
    out = []
    with ThreadPoolExecutor(max_workers=workers) as pool:
        for piece, found in zip(pieces, pool.map(problem.solve, pieces), strict=True):
            out.append(found)
            if progress is not None:
                progress(piece.stop - piece.start)
    return np.concatenate(out)


@dataclass
class _Draws:
    """Classes of the same error pattern are worked on together: their sums are all that the likelihood needs."""

    means: ClassMeans
    scatter: ClassScatter | None
    fit: LatentMoments
    weights: Array

    def __post_init__(self) -> None:
        observed = ~np.isnan(self.means.mean)
        seen = observed.any(axis=1)
        self.w = self.weights[:, seen]
        self.y = np.where(observed, self.means.mean, 0.0)[seen]
        overlap = (self.means.overlap if self.scatter is not None else np.zeros_like(self.means.overlap))[seen]
        j, self.p = self.y.shape
        pattern = np.hstack([observed[seen], overlap.reshape(j, -1)])
        _, first, self.group = np.unique(pattern, axis=0, return_index=True, return_inverse=True)
        self.group = self.group.reshape(-1)
        self.observed, self.overlap = observed[seen][first], overlap[first]
        self.pairs = self.observed[:, :, None] & self.observed[:, None, :]
        self.rows, self.columns = np.tril_indices(self.p)
        self.twice = np.where(self.rows == self.columns, 1.0, 2.0)
        # Sums of y and y y' of every pattern and draw are products with this sparse membership.
        self.products = np.hstack([np.ones((j, 1)), self.y, self.y[:, self.rows] * self.y[:, self.columns]])

    def solve(self, piece: slice) -> Array:
        """Covariances of the draws in a piece."""
        w = self.w[piece]
        sums = self._sums(w)
        within = self._within(piece)
        count = len(w)
        mean = np.repeat(self.fit.mean[None], count, axis=0)
        cov = np.repeat(self.fit.cov[None], count, axis=0)
        open_, out = np.arange(count), np.full((count, self.p, self.p), np.nan)
        size = self.p + len(self.rows)
        metric = np.zeros((count, size, size))
        for turn in range(_STEPS):
            inverse = self._inverse(cov[open_], within[open_])
            if turn in _REFRESHED:
                metric[open_] = self._metric(inverse, sums[open_, :, 0])
            gradient = self._gradient(mean[open_], inverse, sums[open_])
            step = np.einsum("bij,bj->bi", metric[open_], gradient)
            decrement = np.einsum("bi,bi->b", step, gradient)
            settled = np.abs(decrement) < _SETTLED
            for b in open_[settled]:
                if self._possible(cov[b], within[b]):
                    out[b] = cov[b]
            keep = np.isfinite(decrement) & ~settled
            open_, step = open_[keep], step[keep]
            if not len(open_):
                break
            mean[open_] += step[:, : self.p]
            cov[np.ix_(open_, range(self.p), range(self.p))] += self._square(step[:, self.p :])
        for b in np.flatnonzero(np.isnan(out[:, 0, 0])):
            out[b] = self._alone(w[b], within[b])
        return out

    def _possible(self, cov: Array, within: Array) -> bool:
        """Whether the covariance of every pattern is positive definite, as that of any data is."""
        try:
            np.linalg.cholesky(self._total(cov[None], within[None]))
        except np.linalg.LinAlgError:
            return False
        return True

    def _total(self, cov: Array, within: Array) -> Array:
        """Covariance of the observed means of every draw and pattern, ones on the diagonal of the rest."""
        total = np.where(self.pairs, cov[:, None] + within[:, None] * self.overlap, 0.0)
        diagonal = np.arange(self.p)
        total[:, :, diagonal, diagonal] += ~self.observed
        return total

    def _square(self, triangle: Array) -> Array:
        out = np.empty((len(triangle), self.p, self.p))
        out[:, self.rows, self.columns] = triangle
        out[:, self.columns, self.rows] = triangle
        return out

    def _sums(self, w: Array) -> Array:
        """Weight, sums of means and of their products, of every draw and pattern: array (b, U, 1 + P + k)."""
        count = len(self.observed)
        out = np.empty((len(w), count, self.products.shape[1]))
        order = np.argsort(self.group, kind="stable")
        start = np.concatenate([[0], np.cumsum(np.bincount(self.group, minlength=count))[:-1]])
        for b, weight in enumerate(w):
            out[b] = np.add.reduceat((self.products * weight[:, None])[order], start, axis=0)
        return out

    def _within(self, piece: slice) -> Array:
        if self.scatter is None:
            return np.zeros((piece.stop - piece.start, self.p, self.p))
        return self.scatter.pooled(self.scatter.weights[piece])

    def _inverse(self, cov: Array, within: Array) -> Array:
        """Inverse covariances of every draw and pattern, zero where a mean is missing."""
        diagonal = np.arange(self.p)
        inverse = _inverses(self._total(cov, within))
        inverse[:, :, diagonal, diagonal] -= ~self.observed
        return inverse

    def _metric(self, inverse: Array, omega: Array) -> Array:
        """Inverse expected information of each draw; NaN where it has none."""
        out = np.full((len(inverse), *(2 * (self.p + len(self.rows),))), np.nan)
        for b, (each, weight) in enumerate(zip(inverse, omega, strict=True)):
            drawn = weight > 0
            if np.isfinite(each[drawn]).all():
                try:
                    out[b] = np.linalg.inv(expected_information(each[drawn], weight[drawn]))
                except np.linalg.LinAlgError:
                    continue
        return out

    def _gradient(self, mean: Array, inverse: Array, sums: Array) -> Array:
        """Derivatives of the log-likelihood of each draw by mean and lower triangle."""
        omega, first = sums[:, :, 0], sums[:, :, 1 : 1 + self.p]
        second = np.empty_like(inverse)
        second[:, :, self.rows, self.columns] = second[:, :, self.columns, self.rows] = sums[:, :, 1 + self.p :]
        cross = first[:, :, :, None] * mean[:, None, None, :]
        second += omega[:, :, None, None] * (mean[:, None, :, None] * mean[:, None, None, :])
        second -= cross + np.swapaxes(cross, 2, 3)
        by_mean = np.einsum("buij,buj->bi", inverse, first - omega[:, :, None] * mean[:, None])
        by_cov = (inverse @ second @ inverse - omega[:, :, None, None] * inverse).sum(axis=1)
        return np.hstack([by_mean, 0.5 * by_cov[:, self.rows, self.columns] * self.twice])

    def _alone(self, weight: Array, within: Array) -> Array:
        """One draw from the start: a draw has no estimate where any other sample of these classes had none."""
        times = np.repeat(np.arange(len(weight)), weight.astype(int))
        nothing = np.zeros((self.p, self.p))
        freedom = nothing if self.scatter is None else self.means.freedom
        names = self.means.names
        n = np.where(self.observed, 2.0, 0.0)[self.group[times]]
        y = np.where(self.observed[self.group], self.y, np.nan)[times]
        drawn = ClassMeans(names, tuple(map(str, times)), y, n, self.overlap[self.group[times]], within, freedom)
        try:
            return latent_moments(drawn, corrected=self.scatter is not None).cov
        except (EstimationError, DataError):
            return np.full((self.p, self.p), np.nan)


def _inverses(total: Array) -> Array:
    """Inverses of many small matrices, by Gauss-Jordan elimination over all of them at once.

    Pivots of positive definite matrices are positive without any exchange of rows; whether they were is checked where
    a draw has settled.
    """
    p = total.shape[-1]
    out = np.ascontiguousarray(np.moveaxis(total, (-2, -1), (0, 1)))
    with np.errstate(all="ignore"):
        for k in range(p):
            pivot = out[k, k].copy()
            out[k, k] = 1.0
            out[k] /= pivot
            for i in range(p):
                if i != k:
                    factor = out[i, k].copy()
                    out[i, k] = 0.0
                    out[i] -= factor * out[k]
    return np.moveaxis(out, (0, 1), (-2, -1)).copy()
