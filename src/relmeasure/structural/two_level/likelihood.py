r"""The normal likelihood of rows in clusters, from clusters joined by size.

With ``Sigma_W`` and ``Sigma_B`` over all observed variables (zero where a variable has no part at a level), ``n`` the
size of a cluster and ``S`` the pooled scatter within clusters, minus twice the log-likelihood is, apart from constants,

.. math:: \sum_s J_s \{\log|\Omega_s| + \operatorname{tr}(\Omega_s^{-1} T_s)\} + (N - J) \log|\Sigma_W|
          + \operatorname{tr}(\Sigma_W^{-1} S), \quad \Omega_s = \Sigma_B + \Sigma_W / n_s,

``T_s`` being the mean square of cluster means of size ``n_s`` about ``mu``. ``Omega_s`` must be positive definite;
``Sigma_B`` need not be. Derivatives have rank two in each block, as in ``implied``.

References
----------
McDonald, R. P., & Goldstein, H. (1989). British Journal of Mathematical and Statistical Psychology, 42, 215-232, eq.
3.3. Lee, S.-Y. (1990). Biometrika, 77, 763-772 (scoring). Rosseel, Y. (2021). Psych, 3, 197-232, eq. 20-24.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.structural.estimation.discrepancy import Cached
from relmeasure.structural.estimation.implied import BlockState, Candidates, ModelStructure
from relmeasure.structural.two_level.sample import SizeMoments

__all__ = ["Inverses", "TwoLevelLikelihood", "log_constant"]

Array = np.ndarray[Any, np.dtype[Any]]

_BLOCK_VALUES = 1 << 20
"""Values of stacked matrices that are held at once (8 MB)."""


def log_constant(sizes: SizeMoments, n_within: int, n_only_between: int) -> float:
    """Return what the formula above leaves out of minus twice the log-likelihood."""
    values = n_within * sizes.n_obs + n_only_between * sizes.n_clusters
    return values * math.log(2.0 * math.pi) + n_within * float(sizes.count @ np.log(sizes.n))


@dataclass(frozen=True)
class Inverses:
    """Inverses at given parameters.

    Attributes
    ----------
    A : array (s, p, p)
        Of ``Omega``.
    log_det : array (s,)
    W : array (p, p)
        Of ``Sigma_W``; zero for variables without a part within.
    log_det_within : float
    """

    A: Array
    log_det: Array
    W: Array
    log_det_within: float


class TwoLevelLikelihood(Cached):
    """Minus half the mean log-likelihood of rows in clusters, less that of the unrestricted model.

    Parameters
    ----------
    structure : ModelStructure
        Two blocks, within and between.
    sizes : SizeMoments
    at_within : sequence of int
        Variables that vary within clusters.
    saturated : float
        The formula above at the unrestricted moments.
    """

    exact_below = 1e-3

    def __init__(
        self, structure: ModelStructure, sizes: SizeMoments, at_within: Sequence[int], saturated: float = 0.0
    ) -> None:
        super().__init__(structure)
        self.sizes, self.inner, self.saturated = sizes, np.ix_(at_within, at_within), saturated
        self._inverse_key = b""
        self._inverses: Inverses | None = None

    # ------------------------------------------------------------------- value and gradient
    def inverses(self, x: Array) -> Inverses | None:
        """Return the inverses at ``x``, or None where the likelihood is not defined."""
        key = x.tobytes()
        if key != self._inverse_key:
            self._inverse_key, self._inverses = key, self._invert(x)
        return self._inverses

    def _invert(self, x: Array) -> Inverses | None:
        states = self.states(x)
        if states is None or not all(np.isfinite(state.sigma).all() for state in states):
            return None
        within, between = states[0].sigma, states[1].sigma
        omega = between + within / self.sizes.n[:, None, None]
        try:
            root = np.linalg.cholesky(omega)
            inner = np.linalg.cholesky(within[self.inner])
            A = np.linalg.inv(omega)
        except np.linalg.LinAlgError:
            return None
        W = np.zeros_like(within)
        W[self.inner] = np.linalg.inv(within[self.inner])
        log_det = 2.0 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        return Inverses(A, log_det, W, 2.0 * float(np.log(np.diag(inner)).sum()))

    def known(self, x: Array) -> tuple[list[BlockState], Inverses]:
        """Return blocks and inverses at ``x``, which has a value."""
        states, inverses = self.states(x), self.inverses(x)
        if states is None or inverses is None:
            raise np.linalg.LinAlgError("the two-level likelihood is not defined here")
        return states, inverses

    def deviance(self, x: Array) -> float:
        """Return the formula above; infinite where it is not defined."""
        states, found = self.states(x), self.inverses(x)
        if states is None or found is None:
            return math.inf
        sizes = self.sizes
        T = sizes.moments(states[0].mu + states[1].mu)
        total = float(sizes.count @ found.log_det) + float((found.A * T).sum())
        total += sizes.n_inner * found.log_det_within + float((found.W * sizes.within).sum())
        return total if math.isfinite(total) else math.inf

    def value(self, x: Array) -> float:
        """Return ``F / 2``, where ``N F`` is the chi-square."""
        return 0.5 * (self.deviance(x) - self.saturated) / self.sizes.n_obs

    def pulls(self, x: Array) -> list[tuple[Array, Array | None]]:
        """Return the derivatives with respect to ``Sigma_W``, ``Sigma_B`` and the means."""
        states, found = self.known(x)
        sizes, n = self.sizes, self.sizes.n_obs
        mu = states[0].mu + states[1].mu
        A = found.A
        G = sizes.count[:, None, None] * A - A @ sizes.moments(mu) @ A
        inner = np.tensordot(1.0 / sizes.n, G, 1)
        inner += sizes.n_inner * found.W - found.W @ sizes.within @ found.W
        e = (A @ (sizes.mean - mu)[:, :, None])[:, :, 0]
        w = -(sizes.count @ e) / n
        return [(0.5 * inner / n, w), (0.5 * G.sum(axis=0) / n, w)]

    # ------------------------------------------------------------------- curvature
    def curvature(self, x: Array, *, exact: bool) -> Array:
        """Return the observed or the expected information per row."""
        states, found = self.known(x)
        sizes, n = self.sizes, self.sizes.n_obs
        columns = StackedColumns(states)
        q = len(columns.index)
        stacked = np.zeros((q, q))
        mu = states[0].mu + states[1].mu
        for part in self._chunks(q):
            f = sizes.count[part] / n
            M = columns.picked(found.A[part], sizes.n[part])
            stacked += M.information(f)
            if exact:
                A, count = found.A[part], sizes.count[part]
                T = sizes.moments(mu)[part] / count[:, None, None]
                e = (A @ (sizes.mean[part] - mu)[:, :, None])[:, :, 0]
                P = columns.picked(A @ T @ A, sizes.n[part])
                stacked += M.correction(P, e, f)
        out = np.zeros((self.structure.n_free, self.structure.n_free))
        out[np.ix_(columns.index, columns.index)] += stacked
        N = 2.0 * found.W @ sizes.within @ found.W / max(sizes.n_inner, 1.0) - found.W if exact else None
        inner = states[0].cross_information(found.W, means=False, N=N) * (sizes.n_inner / n)
        parts = [inner, np.zeros((len(states[1].structure.index),) * 2)]
        if exact:
            pulls = self.pulls(x)
            parts = [part + state.curvature(*pull) for part, state, pull in zip(parts, states, pulls, strict=True)]
        return out + self.structure.scatter_matrix(parts)

    def candidate_information(self, x: Array, k: int, candidates: Candidates) -> tuple[Array, Array]:
        """Return expected information of candidates of block k with all free parameters, and their own."""
        states, found = self.known(x)
        sizes, n = self.sizes, self.sizes.n_obs
        columns, others = StackedColumns(states), StackedColumns(states, k, candidates)
        f = sizes.count / n
        cross = np.zeros((len(candidates), self.structure.n_free))
        own = np.zeros(len(candidates))
        for part in self._chunks(max(len(columns.index), len(candidates))):
            A, size = found.A[part], sizes.n[part]
            cross[:, columns.index] += others.picked(A, size, columns).information(f[part])
            own += others.own(A, size, f[part])
        if k == 0:
            share = sizes.n_inner / n
            cross += self.wide(states[0].cross_information(found.W, candidates, means=False) * share, 0)
            own += states[0].own_information(found.W, candidates, means=False) * share
        return cross, own

    def _chunks(self, q: int) -> Iterator[slice]:
        step = max(1, _BLOCK_VALUES // max(q * q, 1))
        for start in range(0, len(self.sizes.n), step):
            yield slice(start, start + step)


class StackedColumns:
    """The parameters of both levels as rank-two changes of ``Omega``: ``s (a b' + b a')``, and ``u a`` of the means.

    Columns of the level within carry ``1 / sqrt(n)``, so that their products carry the ``1 / n`` of ``Omega``; ``u``
    carries ``sqrt(n)`` to undo it for the means.
    """

    def __init__(
        self, states: Sequence[BlockState], k: int | None = None, candidates: Candidates | None = None
    ) -> None:
        C: list[Array] = []
        index, a, b, s, u, within = [], [], [], [], [], []
        for at, state in enumerate(states):
            if k is not None and at != k:
                continue
            own = state._factors(candidates)
            offset = sum(part.shape[1] for part in C)
            C.append(state.C)
            index.append(state.structure.index if candidates is None else np.arange(len(own[0])))
            a.append(own[0] + offset)
            b.append(own[1] + offset)
            s.append(own[2])
            u.append(state.mean_weight(candidates))
            within.append(np.full(len(own[0]), at == 0))
        self.index: Array = np.concatenate(index)
        self.a, self.b = np.concatenate(a), np.concatenate(b)
        self.s, self.u, self.within = np.concatenate(s), np.concatenate(u), np.concatenate(within)
        used, where = np.unique(np.concatenate([self.a, self.b]), return_inverse=True)
        self.C: Array = np.concatenate(C, axis=1)[:, used]
        self.a, self.b = where[: len(self.a)], where[len(self.a) :]
        inner = np.zeros(len(used), bool)
        inner[self.a[self.within]] = inner[self.b[self.within]] = True
        self.inner = inner

    def scales(self, n: Array) -> Array:
        """Factor of each column at each size, array (s, columns)."""
        out: Array = np.where(self.inner, 1.0 / np.sqrt(n)[:, None], 1.0)
        return out

    def mean_weights(self, n: Array) -> Array:
        """``u`` at each size, array (s, q)."""
        out: Array = np.where(self.within, np.sqrt(n)[:, None], 1.0) * self.u
        return out

    def picked(self, A: Array, n: Array, other: StackedColumns | None = None) -> Picked:
        """Return the entries of ``C' A C`` at the columns of the parameters, for every size."""
        right = self if other is None else other
        M = self.C.T @ (A @ right.C)
        M = M * self.scales(n)[:, :, None] * right.scales(n)[:, None, :]
        return Picked(self, right, M, n)

    def own(self, A: Array, n: Array, f: Array) -> Array:
        """Return the diagonal of the expected information."""
        M = self.C.T @ (A @ self.C)
        scale = self.scales(n)
        M = M * scale[:, :, None] * scale[:, None, :]
        aa, ab, bb = M[:, self.a, self.a], M[:, self.a, self.b], M[:, self.b, self.b]
        out: Array = f @ (self.s**2 * (aa * bb + ab**2) + self.mean_weights(n) ** 2 * aa)
        return out


class Picked:
    """Entries of ``C' A C`` at pairs of parameters, by size."""

    def __init__(self, left: StackedColumns, right: StackedColumns, M: Array, n: Array) -> None:
        self.left, self.right, self.n = left, right, n
        self.M = M

    def _at(self, first: Array, second: Array) -> Array:
        g, _, width = self.M.shape
        at = (first[:, None] * width + second).ravel()
        out: Array = np.take(self.M.reshape(g, -1), at, axis=1).reshape(g, len(first), len(second))
        return out

    def information(self, f: Array) -> Array:
        """Return ``sum_s f_s {tr(A dOmega_k A dOmega_l) / 2 + dmu_k' A dmu_l}``."""
        left, right = self.left, self.right
        aa = self._at(left.a, right.a)
        ab, ba, bb = self._at(left.a, right.b), self._at(left.b, right.a), self._at(left.b, right.b)
        out: Array = np.einsum("s,skl->kl", f, aa * bb + ab * ba) * left.s[:, None] * right.s
        u, v = left.mean_weights(self.n), right.mean_weights(self.n)
        out += np.einsum("skl,sk,sl->kl", aa, f[:, None] * u, v)
        return out

    def correction(self, other: Picked, e: Array, f: Array) -> Array:
        """Return what makes the expected information of these sizes observed: ``other`` picks from ``A T A``."""
        columns = self.left
        a, b = columns.a, columns.b
        aa, ab, bb = self._at(a, a), self._at(a, b), self._at(b, b)
        paa, pab, pbb = other._at(a, a), other._at(a, b), other._at(b, b)
        half = np.einsum("s,skl->kl", f, aa * pbb + bb * paa)
        cross = np.einsum("s,skl->kl", f, ab * pab.transpose(0, 2, 1))
        trace = half + cross + cross.T - 2.0 * np.einsum("s,skl->kl", f, aa * bb + ab * ab.transpose(0, 2, 1))
        h = (e @ columns.C) * columns.scales(self.n)
        u = f[:, None] * columns.mean_weights(self.n)
        mixed = np.einsum("skl,sk,sl->kl", aa, u, h[:, b]) + np.einsum("skl,sk,sl->kl", ab, u, h[:, a])
        mixed *= columns.s
        out: Array = trace * columns.s[:, None] * columns.s + mixed + mixed.T
        return out
