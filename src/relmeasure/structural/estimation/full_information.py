r"""Full-information maximum likelihood: the normal likelihood of every answer, by patterns of missing answers.

With ``W_j`` the inverse of the implied covariances of what pattern j answered (zero elsewhere), ``d_j`` its mean
residual and ``T_j`` its scatter about the implied mean, per group,

.. math:: F = \sum_j \frac{n_j}{n} (\log|\Sigma_j| + \operatorname{tr} W_j T_j) - h_1,

``h_1`` being the same at the unrestricted (EM) moments. ``W_j`` is had from the inverse ``K`` of all implied
covariances, ``W_j = K - K_{:m} K_{mm}^{-1} K_{m:}`` with ``m`` the unanswered items, at a cost that grows with their
number only.

References
----------
Arbuckle, J. L. (1996). In Marcoulides & Schumacker (Eds.), Advanced Structural Equation Modeling, 243-277. Enders, C.
K., & Bandalos, D. L. (2001). Structural Equation Modeling, 8, 430-457. Savalei, V. (2010). Psychological Methods, 15,
352-367.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.samplestats.patterns import MissingPatterns
from relmeasure.structural.estimation.discrepancy import Cached
from relmeasure.structural.estimation.implied import BlockState, Candidates, ModelStructure

__all__ = ["FullInformation", "PatternInverses", "pattern_inverses"]

Array = np.ndarray[Any, np.dtype[Any]]

_BLOCK_VALUES = 1 << 20
"""Values of stacked matrices that are held at once (8 MB)."""


@dataclass(frozen=True)
class PatternInverses:
    """Inverses by pattern.

    Attributes
    ----------
    W : array (g, p, p)
        Zero where unanswered.
    log_det : array (g,)
    """

    W: Array
    log_det: Array


def pattern_inverses(observed: Array, sigma: Array) -> PatternInverses | None:
    """Return the inverses of the answered parts of a covariance matrix; None when it is not positive definite."""
    try:
        root = np.linalg.cholesky(sigma)
        half = np.linalg.inv(root)
    except np.linalg.LinAlgError:
        return None
    K = half.T @ half
    log_det = 2.0 * float(np.log(np.diag(root)).sum())
    g, p = observed.shape
    W, logs = np.empty((g, p, p)), np.full(g, log_det)
    n_missing = p - observed.sum(axis=1)
    for m in np.unique(n_missing):
        here = np.flatnonzero(n_missing == m)
        if m == 0:
            W[here] = K
            continue
        gone = np.nonzero(observed[here] == 0)[1].reshape(len(here), m)
        columns = K[:, gone].transpose(1, 0, 2)
        core = np.take_along_axis(columns, gone[:, :, None], axis=1)
        W[here] = K - columns @ np.linalg.solve(core, columns.transpose(0, 2, 1))
        logs[here] += np.linalg.slogdet(core)[1]
        rows = here[:, None]
        W[rows, gone, :] = 0.0
        W[rows, :, gone] = 0.0
    return PatternInverses(W, logs)


class FullInformation(Cached):
    """Full-information maximum likelihood.

    Parameters
    ----------
    structure : ModelStructure
        With a mean structure.
    patterns : sequence of MissingPatterns
        One a group, items in the order of the structure.
    weights : sequence of float
        Share of each group.
    saturated : sequence of float
        ``h_1`` of each group.
    """

    exact_below = 1e-6

    def __init__(
        self,
        structure: ModelStructure,
        patterns: Sequence[MissingPatterns],
        weights: Sequence[float],
        saturated: Sequence[float],
    ) -> None:
        super().__init__(structure)
        self.patterns, self.weights, self.saturated = list(patterns), list(weights), list(saturated)
        self.shares = [np.asarray(p.weight) / float(p.weight.sum()) for p in patterns]
        self._inverse_key = b""
        self._inverses: list[PatternInverses] | None = None
        self._curvature_key, self._curvature = b"", np.zeros((0, 0))

    def inverses(self, x: Array) -> list[PatternInverses] | None:
        """Return the inverses of each group at ``x``, or None."""
        key = x.tobytes()
        if key == self._inverse_key:
            return self._inverses
        self._inverse_key, self._inverses = key, None
        states = self.states(x)
        if states is None:
            return None
        out = []
        for patterns, state in zip(self.patterns, states, strict=True):
            if not np.isfinite(state.sigma).all():
                return None
            found = pattern_inverses(np.asarray(patterns.observed), state.sigma)
            if found is None:
                return None
            out.append(found)
        self._inverses = out
        return out

    def value(self, x: Array) -> float:
        """Return ``F / 2``."""
        inverses, states = self.inverses(x), self.states(x)
        if inverses is None or states is None:
            return math.inf
        total = 0.0
        for k, state in enumerate(states):
            total += self.weights[k] * (pattern_deviance(self.patterns[k], state.mu, inverses[k]) - self.saturated[k])
        return 0.5 * total if math.isfinite(total) else math.inf

    def pulls(self, x: Array) -> list[tuple[Array, Array | None]]:
        """Return ``sum (W_j - W_j T_j W_j) / 2`` and ``-sum W_j d_j`` of each group, weighted."""
        states, inverses = self._known(x)
        out: list[tuple[Array, Array | None]] = []
        for k, state in enumerate(states):
            p = state.structure.n_observed
            Q, w = np.zeros((p, p)), np.zeros(p)
            for part in self._chunks(k):
                f, W = self.shares[k][part], inverses[k].W[part]
                N, e = self._pulled(k, part, W, state)
                Q += np.tensordot(f, W - N, 1)
                w += f @ e
            out.append((0.5 * self.weights[k] * Q, -self.weights[k] * w))
        return out

    def curvature(self, x: Array, *, exact: bool) -> Array:
        """Return the observed information, or (for the first steps) the expected one of complete rows."""
        if not exact:
            return self.complete_information(x)
        key = x.tobytes()
        if key != self._curvature_key:
            self._curvature_key, self._curvature = key, self.pattern_information(x, exact=True)
        return self._curvature

    def complete_information(self, x: Array) -> Array:
        """Return the expected information of rows without missing answers."""
        states, _ = self._known(x)
        parts = [
            weight * state.cross_information(np.linalg.inv(state.sigma))
            for weight, state in zip(self.weights, states, strict=True)
        ]
        return self.structure.scatter_matrix(parts)

    def pattern_information(self, x: Array, *, exact: bool) -> Array:
        """Return the observed information, or the expected one given the pattern of each row."""
        states, inverses = self._known(x)
        parts = []
        pulls = self.pulls(x) if exact else []
        for k, state in enumerate(states):
            a, b = state.structure.a, state.structure.b
            s, u = state.structure.s, state.u
            q = len(a)
            trace, means, mixed = np.zeros((q, q)), np.zeros((q, q)), np.zeros((q, q))
            for part in self._chunks(k):
                f, W = self.shares[k][part], inverses[k].W[part]
                M = _Picked(state.C, W, a, b)
                means += np.tensordot(f, M.aa, 1)
                if not exact:
                    trace += M.against(M, f)
                    continue
                N, e = self._pulled(k, part, W, state)
                P = _Picked(state.C, N, a, b)
                trace += 2.0 * M.against(P, f) - M.against(M, f)
                h = e @ state.C
                mixed += np.einsum("j,jkl,jl->kl", f, M.aa, h[:, b]) + np.einsum("j,jkl,jl->kl", f, M.ab, h[:, a])
            whole = trace * np.outer(s, s) + means * np.outer(u, u)
            if exact:
                mixed = mixed * s * u[:, None]
                whole += mixed + mixed.T
                Q, w = pulls[k]
                whole = self.weights[k] * whole + state.curvature(Q, w)
            else:
                whole = self.weights[k] * whole
            parts.append(whole)
        return self.structure.scatter_matrix(parts)

    def candidate_information(self, x: Array, k: int, candidates: Candidates) -> tuple[Array, Array]:
        """Return expected information of candidates, given the pattern of each row."""
        states, inverses = self._known(x)
        state = states[k]
        cross, own = np.zeros((len(candidates), len(state.structure.index))), np.zeros(len(candidates))
        for f, W in zip(self.shares[k], inverses[k].W, strict=True):
            cross += f * state.cross_information(W, candidates)
            own += f * state.own_information(W, candidates)
        return self.wide(self.weights[k] * cross, k), self.weights[k] * own

    def _pulled(self, k: int, part: slice, W: Array, state: BlockState) -> tuple[Array, Array]:
        """Return ``W_j T_j W_j`` and ``W_j d_j``."""
        d, T = pattern_deviations(self.patterns[k], state.mu, part)
        WT = W @ T
        return WT @ W, (W @ d[:, :, None])[:, :, 0]

    def _chunks(self, k: int) -> Iterator[slice]:
        g, p = self.patterns[k].observed.shape
        width = max(p * p, len(self.structure.blocks[k].index) ** 2)
        step = max(1, _BLOCK_VALUES // max(width, 1))
        for start in range(0, g, step):
            yield slice(start, start + step)

    def _known(self, x: Array) -> tuple[list[BlockState], list[PatternInverses]]:
        states, inverses = self.states(x), self.inverses(x)
        if states is None or inverses is None:
            raise np.linalg.LinAlgError("the implied covariance matrix is not positive definite here")
        return states, inverses


class _Picked:
    """Entries of ``C' W_j C`` at the columns of the parameters, for every pattern."""

    def __init__(self, C: Array, W: Array, a: Array, b: Array) -> None:
        used, where = np.unique(np.concatenate([a, b]), return_inverse=True)
        own = C[:, used]
        M = own.T @ (W @ own)
        first, second = where[: len(a)], where[len(a) :]
        g, width = len(W), len(used)
        flat = M.reshape(g, -1)
        self.aa = self._take(flat, width, first, first)
        self.ab = self._take(flat, width, first, second)
        self.bb = self._take(flat, width, second, second)

    @staticmethod
    def _take(flat: Array, width: int, rows: Array, columns: Array) -> Array:
        at = (rows[:, None] * width + columns).ravel()
        return np.take(flat, at, axis=1).reshape(len(flat), len(rows), len(columns))

    def against(self, other: _Picked, f: Array) -> Array:
        """Return ``sum_j f_j tr(W_j dSigma_k N_j dSigma_l) / 2`` without coefficients, symmetric in ``W`` and ``N``."""
        if other is self:
            out: Array = np.einsum("j,jkl,jkl->kl", f, self.aa, self.bb, optimize=False)
            out += np.einsum("j,jkl,jlk->kl", f, self.ab, self.ab)
            return out
        out = np.einsum("j,jkl,jkl->kl", f, self.aa, other.bb) + np.einsum("j,jkl,jkl->kl", f, other.aa, self.bb)
        cross = np.einsum("j,jkl,jlk->kl", f, self.ab, other.ab)
        both: Array = 0.5 * (out + cross + cross.T)
        return both


def pattern_deviations(patterns: MissingPatterns, mu: Array, part: slice) -> tuple[Array, Array]:
    """Return mean residuals (g, p) and scatter about the implied means (g, p, p) of some patterns; zero elsewhere."""
    d = (patterns.mean[part] - mu) * patterns.observed[part]
    T = patterns.scatter[part] / patterns.weight[part][:, None, None] + d[:, :, None] * d[:, None, :]
    return d, T


def pattern_deviance(patterns: MissingPatterns, mu: Array, inverses: PatternInverses) -> float:
    """Return minus twice the mean log-likelihood, without its constant."""
    share = np.asarray(patterns.weight) / float(patterns.weight.sum())
    d = (patterns.mean - mu) * patterns.observed
    spread = (inverses.W * patterns.scatter).sum(axis=(1, 2)) / patterns.weight
    distance = ((inverses.W @ d[:, :, None])[:, :, 0] * d).sum(axis=1)
    return float(share @ (inverses.log_det + spread + distance))
