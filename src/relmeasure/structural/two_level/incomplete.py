r"""Full information for rows in clusters: the normal likelihood of every answer.

With ``W_i`` the inverse of the implied covariances within of what row i answered (zero elsewhere), ``r_i`` its
residual, ``A = sum W_i`` and ``g = sum W_i r_i`` over the rows of a cluster, minus twice its log-likelihood is, without
constants,

.. math:: \sum_i (\log|\Sigma_{W,i}| + r_i' W_i r_i) + \log|I + \Sigma_B A| - g' M g, \quad
          M = (I + \Sigma_B A)^{-1} \Sigma_B .

What is known of variables that live between clusters only comes first: means and covariances between are then those
given these. No inverse of ``Sigma_B`` is needed, so it may be singular or indefinite. Gradients are exact; the observed
information is their central difference.

References
----------
Rosseel, Y. (2021). Psych, 3, 197-232, section 4. Henderson, H. V., & Searle, S. R. (1981). SIAM Review, 23, 53-60 (the
inverse of a sum). du Toit, S., & du Toit, M. (2008). In de Leeuw & Meijer (Eds.), Handbook of Multilevel Analysis,
435-478 (missing answers).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from relmeasure.exceptions import UnsupportedDataError
from relmeasure.numerics.optimize import numerical_jacobian
from relmeasure.structural.estimation.cases import cluster_sums
from relmeasure.structural.estimation.discrepancy import Cached
from relmeasure.structural.estimation.full_information import pattern_inverses
from relmeasure.structural.estimation.implied import BlockState, Candidates, ModelStructure
from relmeasure.structural.two_level.cells import ClusterCells
from relmeasure.structural.two_level.likelihood import TwoLevelLikelihood
from relmeasure.structural.two_level.sample import SizeMoments, Variables

__all__ = ["IncompleteTwoLevel"]

Array = np.ndarray[Any, np.dtype[Any]]

_EDGE = 1e-3
"""Nearer than this to singular covariances of a cluster the likelihood counts as not defined: it may be a spike."""

_CHUNK = 512
"""Clusters whose products are held at once while scores are made."""


@dataclass(frozen=True)
class _Given:
    """What the known variables between clusters (one pattern of them) say of the rest.

    Attributes
    ----------
    clusters : array
        Clusters with this pattern.
    K : array (p, p)
        Regression of everything between on the known variables; zero columns for the others.
    rest : array (p, p)
        Covariances between, given these.
    precision : array (p, p)
        Inverse covariances of the known variables.
    log_det : float
    """

    clusters: Array
    K: Array
    rest: Array
    precision: Array
    log_det: float


@dataclass(frozen=True)
class _Parts:
    """Everything at given parameters, by pattern (W, log_det), cell (d, e) and cluster (the others)."""

    W: Array
    log_det: Array
    given: list[_Given]
    outer: Array
    d: Array
    e: Array
    M: Array
    H: Array
    h: Array
    deviance: float


class IncompleteTwoLevel(Cached):
    """Minus half the mean log-likelihood of incomplete rows in clusters, less that of the unrestricted model.

    Parameters
    ----------
    structure : ModelStructure
        Two blocks, within and between.
    cells : ClusterCells
    variables : Variables
    sizes : SizeMoments
        Sizes of the clusters; its moments are not used.
    saturated : float
        Minus twice the unrestricted log-likelihood.
    """

    exact_below = 1e-13  # scoring steps are cheap beside the differences that make the exact curvature

    def __init__(
        self,
        structure: ModelStructure,
        cells: ClusterCells,
        variables: Variables,
        sizes: SizeMoments,
        saturated: float = 0.0,
    ) -> None:
        super().__init__(structure)
        self.cells, self.variables, self.sizes, self.saturated = cells, variables, sizes, saturated
        self.n_clusters = len(cells.outer)
        self.seen = np.asarray(cells.observed).astype(bool)
        self.complete = TwoLevelLikelihood(structure, sizes, variables.at_within)
        outer = np.asarray(cells.outer_observed).astype(bool)
        self.outer_patterns, where = np.unique(outer, axis=0, return_inverse=True)
        self.outer_place = where.ravel()
        answers = float(np.asarray(cells.n) @ self.seen[np.asarray(cells.pattern)].sum(axis=1)) + float(outer.sum())
        self.constant = answers * math.log(2.0 * math.pi)
        self._parts_key = b""
        self._parts: _Parts | None = None
        self._curvature_key, self._curvature = b"", np.zeros((0, 0))

    # ------------------------------------------------------------------- value and gradient
    def deviance(self, x: Array) -> float:
        """Return minus twice the log-likelihood; infinite where it is not defined."""
        found = self.parts(x)
        return math.inf if found is None or not math.isfinite(found.deviance) else found.deviance + self.constant

    def value(self, x: Array) -> float:
        """Return ``F / 2``, where ``N F`` is the chi-square."""
        return 0.5 * (self.deviance(x) - self.saturated) / self.sizes.n_obs

    def parts(self, x: Array) -> _Parts | None:
        """Return everything at ``x``, or None."""
        key = x.tobytes()
        if key != self._parts_key:
            self._parts_key, self._parts = key, self._evaluate(x)
        return self._parts

    def _evaluate(self, x: Array) -> _Parts | None:
        states, cells = self.states(x), self.cells
        if states is None or not all(np.isfinite(state.sigma).all() for state in states):
            return None
        at = self.variables.at_within
        found = pattern_inverses(np.asarray(cells.observed)[:, at], states[0].sigma[np.ix_(at, at)])
        given = self._condition(states[1].sigma)
        if found is None or given is None:
            return None
        p = len(self.variables.names)
        W = np.zeros((len(found.W), p, p))
        rows, columns = np.ix_(at, at)
        W[:, rows, columns] = found.W
        mu = states[0].mu + states[1].mu
        outer = (np.asarray(cells.outer) - mu) * np.asarray(cells.outer_observed)
        ahead = np.zeros_like(outer)
        rest = np.zeros((self.n_clusters, p, p))
        deviance = 0.0
        for part in given:
            own = outer[part.clusters]
            ahead[part.clusters] = own @ part.K.T
            rest[part.clusters] = part.rest
            deviance += len(own) * part.log_det + float(((own @ part.precision) * own).sum())
        pattern, cluster, n = np.asarray(cells.pattern), np.asarray(cells.cluster), np.asarray(cells.n)
        d = (np.asarray(cells.mean) - mu - ahead[cluster]) * self.seen[pattern]
        pulled = (W[pattern] @ d[:, :, None])[:, :, 0] * n[:, None]
        A = np.add.reduceat(W[pattern] * n[:, None, None], self._starts, axis=0)
        g = np.add.reduceat(pulled, self._starts, axis=0)
        inner = np.eye(p) + rest @ A
        sign, logs = np.linalg.slogdet(inner)
        if not self._positive(given, A, sign):
            return None
        M = np.linalg.solve(inner, rest)
        M = 0.5 * (M + M.transpose(0, 2, 1))
        back = (M @ g[:, :, None])[:, :, 0]
        deviance += float(n @ found.log_det[pattern]) + float((pulled * d).sum())
        deviance += float((W * np.asarray(cells.scatter)).sum()) + float(logs.sum()) - float((back * g).sum())
        H = A - A @ M @ A
        h = g - (A @ back[:, :, None])[:, :, 0]
        e = (d - back[cluster]) * self.seen[pattern]
        return _Parts(W, found.log_det, given, outer, d, e, M, H, h, deviance)

    @cached_property
    def _starts(self) -> Array:
        """First cell of each cluster: cells are sorted by cluster."""
        cluster = np.asarray(self.cells.cluster)
        return np.flatnonzero(np.r_[True, np.diff(cluster) > 0])

    def _condition(self, between: Array) -> list[_Given] | None:
        """Return what each pattern of known variables between clusters says of the rest."""
        p = len(between)
        out = []
        for k, pattern in enumerate(self.outer_patterns):
            z = np.flatnonzero(pattern)
            K, precision, log_det = np.zeros((p, p)), np.zeros((p, p)), 0.0
            if len(z):
                square = np.ix_(z, z)
                try:
                    root = np.linalg.cholesky(between[square])
                except np.linalg.LinAlgError:
                    return None
                precision[square] = np.linalg.inv(between[square])
                log_det = 2.0 * float(np.log(np.diag(root)).sum())
                K = between @ precision
            rest = between - K @ between
            out.append(_Given(np.flatnonzero(self.outer_place == k), K, 0.5 * (rest + rest.T), precision, log_det))
        return out

    def _positive(self, given: list[_Given], A: Array, sign: Array) -> bool:
        """Whether the covariances of all rows of every cluster are positive definite."""
        if not (sign > 0).all():
            return False
        for part in given:
            if np.linalg.eigvalsh(part.rest)[0] >= 0:
                continue
            roots, vectors = np.linalg.eigh(A[part.clusters])
            half = vectors * np.sqrt(np.maximum(roots, 0.0))[:, None, :]
            if np.linalg.eigvalsh(half.transpose(0, 2, 1) @ part.rest @ half)[:, 0].min() <= _EDGE - 1.0:
                return False
        return True

    def known(self, x: Array) -> tuple[list[BlockState], _Parts]:
        """Return blocks and parts at ``x``, which has a value."""
        states, found = self.states(x), self.parts(x)
        if states is None or found is None:
            raise np.linalg.LinAlgError("the two-level likelihood is not defined here")
        return states, found

    def whole(self, found: _Parts) -> tuple[Array, Array]:
        """Return ``Z' V^-1 Z`` and ``Z' V^-1 r`` of each cluster, known variables between clusters included."""
        H, h = found.H.copy(), found.h.copy()
        for part in found.given:
            if not part.K.any():
                continue
            away = np.eye(len(part.K)) - part.K
            at = part.clusters
            H[at] = part.precision + away.T @ found.H[at] @ away
            h[at] = found.outer[at] @ part.precision + found.h[at] @ away
        return H, h

    def pulls(self, x: Array) -> list[tuple[Array, Array | None]]:
        """Return the derivatives with respect to ``Sigma_W``, ``Sigma_B`` and the means."""
        _, found = self.known(x)
        cells, N = self.cells, self.sizes.n_obs
        H, h = self.whole(found)
        outer = H.sum(axis=0) - h.T @ h
        pattern, n = np.asarray(cells.pattern), np.asarray(cells.n)
        inner = np.zeros_like(outer)
        M = found.M[np.asarray(cells.cluster)]
        for k, W in enumerate(found.W):
            at = np.flatnonzero(pattern == k)
            e, own = found.e[at], n[at]
            middle = np.asarray(cells.scatter)[k] + e.T @ (e * own[:, None]) + np.tensordot(own, M[at], 1)
            inner += own.sum() * W - W @ middle @ W
        w = -h.sum(axis=0) / N
        return [(0.5 * inner / N, w), (0.5 * outer / N, w)]

    # ------------------------------------------------------------------- curvature
    def curvature(self, x: Array, *, exact: bool) -> Array:
        """Return the observed information per row, or (for the steps) the expected one of complete rows.

        The observed one is NaN at the edge of what is defined.
        """
        if not exact:
            return self.complete.curvature(x, exact=False)
        key = x.tobytes()
        if key != self._curvature_key:
            try:
                slopes = numerical_jacobian(self.gradient, x, step=1e-5)
            except np.linalg.LinAlgError:  # a step leaves what is defined: no maximum is near
                slopes = np.full((len(x), len(x)), np.nan)
            self._curvature_key, self._curvature = key, 0.5 * (slopes + slopes.T)
        return self._curvature

    def candidate_information(self, x: Array, k: int, candidates: Candidates) -> tuple[Array, Array]:
        """Not available: the expected information of incomplete clusters is not computed."""
        raise UnsupportedDataError(
            f"{len(candidates)} candidates of block {k} at {len(x)} parameters: expected information of incomplete "
            "clusters is not available. Use missing='listwise'."
        )

    # ------------------------------------------------------------------- scores
    def cluster_scores(self, x: Array, rows: Array, clusters: Array) -> Array:
        """Return the scores of the clusters over the free parameters, array (J, q)."""
        states, found = self.known(x)
        out = np.zeros((self.n_clusters, self.structure.n_free))
        H, h = self.whole(found)
        for state in states:
            a, b = state.structure.a, state.structure.b
            U = h @ state.C
            part = U[:, a] * state.u
            if state is states[1]:
                for start in range(0, len(H), _CHUNK):
                    at = slice(start, start + _CHUNK)
                    expected = (state.C.T @ (H[at] @ state.C))[:, a, b]
                    part[at] += (U[at][:, a] * U[at][:, b] - expected) * state.structure.s
            else:
                part += self._inner_scores(state, found, rows, clusters) * state.structure.s
            out[:, state.structure.index] += part
        return out

    def _inner_scores(self, state: BlockState, found: _Parts, rows: Array, clusters: Array) -> Array:
        """Scores of covariances within, without their coefficients."""
        cells, a, b = self.cells, state.structure.a, state.structure.b
        cell, e = self.row_residuals(found, rows, clusters)
        pattern = np.asarray(cells.pattern)[cell]
        g = len(self.seen)
        V = np.empty((len(rows), state.C.shape[1]))
        own = np.zeros((len(cells.n), len(a)))
        for k in range(g):
            X = found.W[k] @ state.C
            here = pattern == k
            V[here] = e[here] @ X
            at = np.flatnonzero(np.asarray(cells.pattern) == k)
            M = found.M[np.asarray(cells.cluster)[at]]
            taken = np.einsum("pk,cpk->ck", X[:, a], M @ X[:, b])
            own[at] = np.asarray(cells.n)[at][:, None] * (taken - (state.C.T @ X)[a, b])
        return cluster_sums(V[:, a] * V[:, b], clusters) + np.add.reduceat(own, self._starts, axis=0)

    def row_residuals(self, found: _Parts, rows: Array, clusters: Array) -> tuple[Array, Array]:
        """Return the cell of each row, and its residual less what is expected of its cluster; zero where unanswered."""
        cells, g = self.cells, len(self.seen)
        seen = ~np.isnan(rows) & np.array(self.variables.within)
        codes = {tuple(pattern): k for k, pattern in enumerate(self.seen.tolist())}
        patterns, where = np.unique(seen, axis=0, return_inverse=True)
        pattern = np.array([codes[tuple(own)] for own in patterns.tolist()])[where.ravel()]
        keys = np.asarray(cells.cluster) * g + np.asarray(cells.pattern)
        cell = np.searchsorted(keys, clusters * g + pattern)
        return cell, np.where(seen, rows - np.asarray(cells.mean)[cell] + found.e[cell], 0.0)
