r"""The unrestricted two-level model and the independence model, by Fisher scoring in canonical coordinates.

Decomposed variables ``y`` are regressed on what lives at one level only, ``x`` within and ``z`` between; what is left
has covariances ``R_W`` and ``R_B``. In coordinates that turn ``R_W`` into the identity and ``R_B`` into a diagonal
``lambda``, every ``Omega_s = R_B + R_W / n_s`` is diagonal, the expected information falls apart into one 2 x 2 block
(within, between) for each pair of coordinates, and the regressions are weighted least squares, one a coordinate. A step
costs a few products of p x p matrices. ``R_B`` may be indefinite: only the ``Omega_s`` must be positive definite, as in
the models that are tested against this one. With fewer clusters of the largest size than variables the likelihood rises
without end towards a singular ``Omega`` (a spike). So the maximum is followed from the moments of the data, no step
going more than half the way to that edge; where there is none away from it, see ``bounded``.

References
----------
Lee, S.-Y. (1990). Biometrika, 77, 763-772. Searle, S. R., Casella, G., & McCulloch, C. E. (1992). Variance Components,
section 6.3 (scoring). Rao, C. R. (1973). Linear Statistical Inference, section 1c.3 (two matrices made diagonal).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.structural.two_level.bounded import bounded_moments
from relmeasure.structural.two_level.sample import Kind, SizeMoments, Variables

__all__ = ["NEAR", "Unrestricted", "unrestricted_moments"]

Array = np.ndarray[Any, np.dtype[Any]]

NEAR = 0.2
"""A maximum nearer than this to the edge, in units of ``closeness``, is taken for the slope of a spike."""

_STEPS = 500
"""Steps before the search is given up."""


@dataclass(frozen=True)
class Unrestricted:
    """Maximum likelihood moments of both levels, over all observed variables.

    Attributes
    ----------
    within, between : array (p, p)
        Zero for variables without a part at the level.
    mean : array (p,)
    deviance : float
        Minus twice the log-likelihood without the constant of ``log_constant``.
    n_steps : int
    kind : str
        ``free``: the maximum over all covariances that the data can have; ``bounded``: over those that can exist at
        both levels, as the first has none; ``none``: neither was reached.
    """

    within: Array
    between: Array
    mean: Array
    deviance: float
    n_steps: int
    kind: Kind = "free"


def unrestricted_moments(
    sizes: SizeMoments, variables: Variables, *, independent: bool = False, bounded: bool = False
) -> Unrestricted:
    """Fit the unrestricted model, or (``independent``) the one without covariances at either level.

    Covariances between are held to those that can exist if ``bounded``, or if the likelihood has no maximum near the
    moments of the data.
    """
    y, x, z = variables.both, variables.only_within, variables.only_between
    p = len(variables.names)
    within, between, mean = np.zeros((p, p)), np.zeros((p, p)), np.zeros(p)
    deviance = 0.0
    rows = sizes.count @ (sizes.mean * sizes.n[:, None]) / sizes.n_obs
    clusters = sizes.count @ sizes.mean / sizes.n_clusters
    mean[x], mean[z] = rows[x], clusters[z]
    if x:
        square = np.ix_(x, x)
        S = (np.tensordot(sizes.n, sizes.moments(rows), 1) + sizes.within)[square] / sizes.n_obs
        S = np.diag(np.diag(S)) if independent else S
        within[square] = S
        deviance += sizes.n_obs * (_log_det(S) + len(x)) - len(x) * float(sizes.count @ np.log(sizes.n))
    if z:
        square = np.ix_(z, z)
        S = sizes.moments(clusters).sum(axis=0)[square] / sizes.n_clusters
        S = np.diag(np.diag(S)) if independent else S
        between[square] = S
        deviance += sizes.n_clusters * (_log_det(S) + len(z))
    if not y:
        return Unrestricted(within, between, mean, deviance, 0)
    regressors = [] if independent else [*z, *x]
    search = _Search(sizes, y, regressors, np.where(np.isin(range(p), z), clusters, rows), len(z), diagonal=independent)
    kind: Kind = "free"
    if bounded or not search.run():
        kind = "bounded" if search.bound() else "none"
    search.finish()
    square = np.ix_(y, y)
    within[square], between[square], mean[y] = search.within, search.between, search.slopes[:, 0]
    if not independent:
        _join(within, y, x, search.slopes[:, 1 + len(z) :])
        _join(between, y, z, search.slopes[:, 1 : 1 + len(z)])
    return Unrestricted(within, between, mean, deviance + search.deviance, search.n_steps, kind)


def _join(cov: Array, y: list[int], x: list[int], slopes: Array) -> None:
    """Put the covariances of ``y = slopes x + rest`` into a matrix that holds those of ``x`` and of the rest."""
    if not x:
        return
    cross = slopes @ cov[np.ix_(x, x)]
    cov[np.ix_(y, x)], cov[np.ix_(x, y)] = cross, cross.T
    cov[np.ix_(y, y)] += cross @ slopes.T


def _log_det(S: Array) -> float:
    return float(np.linalg.slogdet(S)[1])


class _Search:
    """Scoring for decomposed variables given their regressors: an intercept, ``z``, ``x``."""

    def __init__(
        self, sizes: SizeMoments, y: list[int], regressors: list[int], center: Array, n_z: int, *, diagonal: bool
    ) -> None:
        at = [*y, *regressors]
        part = sizes.subset(at)
        k, m = len(y), len(regressors)
        self.n, self.count, self.n_inner, self.diagonal = part.n, part.count, part.n_inner, diagonal
        center = center[at]
        # sums of squares and products of (y, 1, regressors) over the clusters of each size, all about their means
        moments = np.zeros((len(part.n), k + 1 + m, k + 1 + m))
        inner = [*range(k), *range(k + 1, k + 1 + m)]
        square = np.ix_(inner, inner)
        moments[(slice(None), *square)] = part.moments(center)
        sums = part.count[:, None] * (part.mean - center)
        moments[:, k, inner] = moments[:, inner, k] = sums
        moments[:, k, k] = part.count
        self.moments, self.k, self.center = moments, k, center[:k]
        scatter = np.zeros((k + 1 + m, k + 1 + m))
        scatter[square] = part.within
        if m and n_z:  # regressors between clusters have no scatter within, whatever rounding says
            scatter[k + 1 : k + 1 + n_z], scatter[:, k + 1 : k + 1 + n_z] = 0.0, 0.0
        self.scatter = scatter
        within = part.within[:k, :k] / part.n_inner
        means = part.moments(part.count @ part.mean / part.n_clusters).sum(axis=0)[:k, :k] / part.n_clusters
        between = means - within * float(part.count @ (1.0 / part.n)) / part.n_clusters
        floor = 0.05 * np.diag(np.diag(within))
        low = np.linalg.eigvalsh(between)[0] if k else 0.0
        self.within = np.diag(np.diag(within)) if diagonal else within
        self.between = np.diag(np.maximum(np.diag(between), np.diag(floor))) if diagonal or low <= 0 else between
        self.start = self.within, self.between
        self.slopes = np.zeros((k, 1 + m))
        self.deviance, self.n_steps = math.inf, 0

    def run(self) -> bool:
        """Search until a step promises nothing; whether that is a maximum away from the edge of what is defined."""
        self.deviance = self.canonical(self.within, self.between)
        previous = math.inf
        for step in range(_STEPS):
            inner, outer, promise = self._step()
            self.n_steps = step
            scale = 1.0 + abs(self.deviance)
            if promise <= 1e-13 * scale and (promise >= 0.25 * previous or promise <= 1e-20 * scale):
                break
            previous = promise
            if not self._move(inner, outer, promise):
                break
            if self._closeness() < 0.005 * NEAR:
                return False
        else:
            return False
        return promise <= 1e-6 and self._closeness() >= NEAR

    def _closeness(self) -> float:
        roots = self._state[3]
        return 1.0 + float(self.n.max()) * float(roots.min(initial=math.inf))

    def bound(self) -> bool:
        """Search among the covariances that can exist; whether a maximum was reached."""
        within, between = self.start
        found = bounded_moments(self._slope, within, between, np.zeros(0), diagonal=self.diagonal)
        self.within, self.between = (within, between) if found is None else found[:2]
        self.deviance = self.canonical(self.within, self.between)
        return found is not None

    def _slope(self, within: Array, between: Array, others: Array) -> tuple[float, Array, Array, Array]:
        """Return the deviance and its derivatives; the regressions are at their best, so theirs are zero."""
        deviance = self.canonical(within, between)
        if not math.isfinite(deviance):
            return deviance, within, between, others
        outer, inner, _ = self._gradients()
        turn = self._state[4]
        return deviance, 2.0 * turn.T @ inner @ turn, 2.0 * turn.T @ outer @ turn, others

    def finish(self) -> None:
        """Put the regressions in the units of the data."""
        *_, turn, slopes = self._state
        self.slopes = np.linalg.inv(turn) @ slopes
        self.slopes[:, 0] += self.center

    def canonical(self, within: Array, between: Array, edge: float = 0.0) -> float:
        """Go to canonical coordinates, fit the regressions, and return the deviance; infinite at or beyond the edge."""
        try:
            root = np.linalg.cholesky(within)
        except np.linalg.LinAlgError:
            return math.inf
        half = np.linalg.inv(root)
        if self.diagonal:
            roots, turn = np.diag(half @ between @ half.T), half
        else:
            relative = half @ between @ half.T
            if not np.isfinite(relative).all():
                return math.inf
            roots, vectors = np.linalg.eigh(relative)
            turn = vectors.T @ half
        spread = roots + 1.0 / self.n[:, None]
        if not float(spread.min(initial=math.inf)) > edge:
            return math.inf
        k = self.k
        A = 1.0 / spread
        wide = np.eye(len(self.scatter))
        wide[:k, :k] = turn
        moments, scatter = wide @ self.moments @ wide.T, wide @ self.scatter @ wide.T
        slopes = np.empty_like(self.slopes)
        if slopes.shape[1] == 1:
            slopes[:, 0] = (A * moments[:, :k, k]).sum(axis=0) / (A * moments[:, k, k][:, None]).sum(axis=0)
        else:
            for i in range(k):
                left = np.tensordot(A[:, i], moments[:, k:, k:], 1) + scatter[k:, k:]
                right = A[:, i] @ moments[:, k:, i] + scatter[k:, i]
                slopes[i] = np.linalg.solve(left, right)
        away = np.concatenate([np.eye(k), -slopes], axis=1)
        T, E = away @ moments @ away.T, away @ scatter @ away.T
        deviance = float(self.count @ np.log(spread).sum(axis=1)) + float((A * np.diagonal(T, axis1=1, axis2=2)).sum())
        deviance += self.n_inner * 2.0 * float(np.log(np.diag(root)).sum()) + float(np.trace(E))
        deviance += 2.0 * float(np.log(np.diag(root)).sum()) * float(self.count.sum())
        self._state = (A, T, E, roots, turn, slopes)
        return deviance

    def _gradients(self) -> tuple[Array, Array, Array]:
        """Return half the derivatives of the deviance in canonical coordinates, between and within, and weights."""
        A, T, E, *_ = self._state
        k, n = self.k, self.n
        pulled = A[:, :, None] * T * A[:, None, :]
        own = np.zeros((len(n), k, k))
        own[:, range(k), range(k)] = self.count[:, None] * A
        G = 0.5 * (own - pulled)
        outer = G.sum(axis=0)
        inner = np.tensordot(1.0 / n, G, 1) + 0.5 * (self.n_inner * np.eye(k) - E)
        return outer, inner, A

    def _step(self) -> tuple[Array, Array, float]:
        """Return the changes of both matrices in canonical coordinates, and twice the decrease that they promise."""
        outer, inner, A = self._gradients()
        k, n = self.k, self.n
        AA = A[:, :, None] * A[:, None, :]
        bb = np.tensordot(self.count, AA, 1)
        bw = np.tensordot(self.count / n, AA, 1)
        ww = np.tensordot(self.count / n**2, AA, 1) + self.n_inner
        if self.diagonal:
            mask = np.eye(k)
            outer, inner = outer * mask, inner * mask
        det = bb * ww - bw * bw
        d_outer = -2.0 * (ww * outer - bw * inner) / det
        d_inner = -2.0 * (bb * inner - bw * outer) / det
        return d_inner, d_outer, -float((outer * d_outer + inner * d_inner).sum())

    def _move(self, inner: Array, outer: Array, promise: float) -> bool:
        """Take the step, halved until the deviance falls; False when it never does."""
        _, _, _, roots, turn, _ = self._state
        back = np.linalg.inv(turn)
        kept = self._state
        size = 1.0
        edge = 0.5 * (float(roots.min()) + 1.0 / float(self.n.max()))  # towards a spike half the way at a time
        for _ in range(40):
            within = back @ (np.eye(self.k) + size * inner) @ back.T
            between = back @ (np.diag(roots) + size * outer) @ back.T
            within, between = 0.5 * (within + within.T), 0.5 * (between + between.T)
            deviance = self.canonical(within, between, edge)
            noise = 1e-11 * (1.0 + abs(self.deviance)) if promise < 1e-6 else 0.0
            if deviance <= self.deviance + noise:
                self.within, self.between, self.deviance = within, between, deviance
                return True
            size *= 0.5
        self._state = kept
        return False
