r"""Distances between sample and implied moments, as objectives with exact gradients and Hessians.

Every objective is ``f = F / 2``, averaged over groups by their share of the rows, so that a chi-square is ``2 N f`` and
the Hessian is the information per observation.

Maximum likelihood (Joreskog, 1969), per group:

.. math:: F = \log|\Sigma| - \log|S| + \operatorname{tr}(S \Sigma^{-1}) - p
          + (\bar y - \mu)' \Sigma^{-1} (\bar y - \mu)

Generalised least squares: ``F = tr[(S^{-1} (S - Sigma))^2] / 2 + (ybar - mu)' S^{-1} (ybar - mu)``. Weighted least
squares (Browne, 1984): ``F = (s - sigma)' V (s - sigma)`` over the vector of moments, with ``V`` the identity (ULS), a
diagonal (DWLS), or the inverse of the moments' asymptotic covariance (WLS).

References
----------
Joreskog, K. G. (1969). Psychometrika, 34, 183-202. Browne, M. W. (1984). British Journal of Mathematical and
Statistical Psychology, 37, 62-83. Lee, S.-Y., & Jennrich, R. I. (1979). Psychometrika, 44, 99-113 (scoring).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from relmeasure.structural.estimation.implied import BlockState, Candidates, ModelStructure
from relmeasure.structural.estimation.samples import GroupSample

__all__ = ["Cached", "Discrepancy", "GeneralizedLeastSquares", "MomentLeastSquares", "NormalLikelihood"]

Array = np.ndarray[Any, np.dtype[Any]]


class Discrepancy(Protocol):
    """An objective over the free parameters of a model."""

    structure: ModelStructure
    exact_below: float

    def value(self, x: Array) -> float:
        """Return ``F / 2``; infinite where it is not defined."""

    def gradient(self, x: Array) -> Array:
        """Return the gradient."""

    def curvature(self, x: Array, *, exact: bool) -> Array:
        """Return the Hessian (observed information), or the expected information."""

    def candidate_slopes(self, x: Array, k: int, candidates: Candidates) -> Array:
        """Return the gradient over candidates of block k."""

    def candidate_information(self, x: Array, k: int, candidates: Candidates) -> tuple[Array, Array]:
        """Return the expected information of candidates of block k with all free parameters (c, q), and their own."""


class Cached:
    """Remembers the states of the last parameters."""

    exact_below = 1e-3

    def __init__(self, structure: ModelStructure) -> None:
        self.structure = structure
        self._key = b""
        self._states: list[BlockState] | None = None

    def states(self, x: Array) -> list[BlockState] | None:
        """Return the blocks at ``x``, or None where they are not defined."""
        key = x.tobytes()
        if key != self._key:
            try:
                self._states = self.structure.states(x)
            except np.linalg.LinAlgError:
                self._states = None
            self._key = key
        return self._states

    def known_states(self, x: Array) -> list[BlockState]:
        """Return the blocks at ``x``, which has a value."""
        states = self.states(x)
        if states is None:
            raise np.linalg.LinAlgError("the model is not defined here")
        return states

    def pulls(self, x: Array) -> list[tuple[Array, Array | None]]:
        """Return each block's derivatives with respect to its moments."""
        raise np.linalg.LinAlgError(f"no derivatives at {x}")

    def candidate_slopes(self, x: Array, k: int, candidates: Candidates) -> Array:
        """Return the gradient over candidates of block k."""
        return self.known_states(x)[k].slopes(*self.pulls(x)[k], candidates)

    def wide(self, cross: Array, k: int) -> Array:
        """Spread columns over the free parameters of block k to all free parameters."""
        out = np.zeros((len(cross), self.structure.n_free))
        out[:, self.structure.blocks[k].index] = cross
        return out

    def gradient(self, x: Array) -> Array:
        """Return the gradient."""
        pulls = self.pulls(x)
        return self.structure.scatter_vector(
            [state.slopes(Q, w) for state, (Q, w) in zip(self.known_states(x), pulls, strict=True)]
        )


class NormalLikelihood(Cached):
    """Normal maximum likelihood from means and covariances.

    Parameters
    ----------
    structure : ModelStructure
    groups : sequence of GroupSample
        In the order of the blocks.
    weights : sequence of float
        Share of each group.
    covariances : sequence of array, optional
        In place of ``group.cov``: the unbiased ones for the Wishart likelihood.
    """

    def __init__(
        self,
        structure: ModelStructure,
        groups: Sequence[GroupSample],
        weights: Sequence[float],
        covariances: Sequence[Array] | None = None,
    ) -> None:
        super().__init__(structure)
        self.groups, self.weights = list(groups), list(weights)
        self.covariances = [np.asarray(g.cov) for g in groups] if covariances is None else list(covariances)
        self.constants = [float(np.linalg.slogdet(S)[1]) + len(S) for S in self.covariances]
        self._inverse_key = b""
        self._inverses: list[tuple[Array, float]] | None = None

    def inverses(self, x: Array) -> list[tuple[Array, float]] | None:
        """Return the inverse and the log determinant of each implied covariance matrix, or None."""
        key = x.tobytes()
        if key == self._inverse_key:
            return self._inverses
        self._inverse_key, self._inverses = key, None
        states = self.states(x)
        if states is None:
            return None
        out = []
        for state in states:
            if not np.isfinite(state.sigma).all():
                return None
            try:
                root = np.linalg.cholesky(state.sigma)
                half = np.linalg.inv(root)
            except np.linalg.LinAlgError:
                return None
            out.append((half.T @ half, 2.0 * float(np.log(np.diag(root)).sum())))
        self._inverses = out
        return out

    def deviations(self, k: int, state: BlockState) -> tuple[Array, Array]:
        """Return the mean residual and ``S`` plus its square."""
        S = self.covariances[k]
        if not state.structure.has_means:
            return np.zeros(len(S)), S
        d = self.groups[k].mean - state.mu
        return d, S + np.outer(d, d)

    def group_values(self, x: Array) -> list[float]:
        """Return ``F`` of each group."""
        inverses, states = self.inverses(x), self.states(x)
        if inverses is None or states is None:
            return [math.inf] * len(self.groups)
        out = []
        for k, (W, log_det) in enumerate(inverses):
            _, T = self.deviations(k, states[k])
            out.append(log_det - self.constants[k] + float((W * T).sum()))
        return out

    def value(self, x: Array) -> float:
        """Return ``F / 2``."""
        value = 0.5 * sum(w * f for w, f in zip(self.weights, self.group_values(x), strict=True))
        return value if math.isfinite(value) else math.inf

    def pulls(self, x: Array) -> list[tuple[Array, Array | None]]:
        """Return ``(W - W T W) / 2`` and ``-W d`` of each group, weighted."""
        states, inverses = self._known(x)
        out: list[tuple[Array, Array | None]] = []
        for k, (state, (W, _)) in enumerate(zip(states, inverses, strict=True)):
            d, T = self.deviations(k, state)
            w = -self.weights[k] * (W @ d) if state.structure.has_means else None
            out.append((0.5 * self.weights[k] * (W - W @ T @ W), w))
        return out

    def candidate_information(self, x: Array, k: int, candidates: Candidates) -> tuple[Array, Array]:
        """Return expected information of candidates."""
        states, inverses = self._known(x)
        W, weight = inverses[k][0], self.weights[k]
        cross = weight * states[k].cross_information(W, candidates)
        return self.wide(cross, k), weight * states[k].own_information(W, candidates)

    def curvature(self, x: Array, *, exact: bool) -> Array:
        """Return the observed information (the Hessian) or the expected one."""
        states, inverses = self._known(x)
        parts = []
        for k, (state, (W, _)) in enumerate(zip(states, inverses, strict=True)):
            part = state.cross_information(W)
            if exact:
                d, T = self.deviations(k, state)
                part = part + normal_hessian_excess(state, W, T, d)
            parts.append(self.weights[k] * part)
        return self.structure.scatter_matrix(parts)

    def _known(self, x: Array) -> tuple[list[BlockState], list[tuple[Array, float]]]:
        states, inverses = self.states(x), self.inverses(x)
        if states is None or inverses is None:
            raise np.linalg.LinAlgError("the implied covariance matrix is not positive definite here")
        return states, inverses


def normal_hessian_excess(state: BlockState, W: Array, T: Array, d: Array) -> Array:
    """Return the observed information of one normal block less the expected one; zero when ``T`` is implied."""
    N = W @ T @ W
    means = state.structure.has_means
    e = W @ d
    out = state.curvature(0.5 * (W - N), -e if means else None)
    out += 2.0 * state.cross_information(W, N=N - W, means=False)  # linear in N
    if means:
        mixed = state.mixed(W, e)
        out += mixed + mixed.T
    return out


class GeneralizedLeastSquares(Cached):
    """Least squares weighted by the inverse of the sample covariance matrix."""

    def __init__(self, structure: ModelStructure, groups: Sequence[GroupSample], weights: Sequence[float]) -> None:
        super().__init__(structure)
        self.groups, self.weights = list(groups), list(weights)
        self.covariances = [group.unbiased for group in groups]
        self.inverse = [np.linalg.inv(S) for S in self.covariances]

    def _residuals(self, x: Array) -> list[tuple[BlockState, Array, Array]]:
        states = self.states(x)
        if states is None:
            return []
        out = []
        for k, state in enumerate(states):
            W = self.inverse[k]
            d = self.groups[k].mean - state.mu if state.structure.has_means else np.zeros(len(W))
            out.append((state, W @ (self.covariances[k] - state.sigma) @ W, W @ d))
        return out

    def value(self, x: Array) -> float:
        """Return ``F / 2``."""
        found = self._residuals(x)
        total = 0.0
        for k, (_, R, e) in enumerate(found):
            S = self.covariances[k]
            total += self.weights[k] * (0.5 * float(((R @ S) * (R @ S).T).sum()) + float(e @ S @ e))
        return 0.5 * total if found and math.isfinite(total) else math.inf

    def pulls(self, x: Array) -> list[tuple[Array, Array | None]]:
        """Return ``-W (S - Sigma) W / 2`` and ``-W d`` of each group, weighted."""
        return [
            (-0.5 * self.weights[k] * R, -self.weights[k] * e if state.structure.has_means else None)
            for k, (state, R, e) in enumerate(self._residuals(x))
        ]

    def candidate_information(self, x: Array, k: int, candidates: Candidates) -> tuple[Array, Array]:
        """Return information of candidates where the model holds."""
        state, W, weight = self.known_states(x)[k], self.inverse[k], self.weights[k]
        cross = weight * state.cross_information(W, candidates)
        return self.wide(cross, k), weight * state.own_information(W, candidates)

    def curvature(self, x: Array, *, exact: bool) -> Array:
        """Return the Hessian, or the part of it that does not vanish where the model holds."""
        parts = []
        for k, (state, R, e) in enumerate(self._residuals(x)):
            part = state.cross_information(self.inverse[k])
            if exact:
                part = part + state.curvature(-0.5 * R, -e if state.structure.has_means else None)
            parts.append(self.weights[k] * part)
        return self.structure.scatter_matrix(parts)


class MomentLeastSquares(Cached):
    """Weighted least squares over the vector of means (when modelled) and ``vech`` of covariances.

    Parameters
    ----------
    structure : ModelStructure
    moments : sequence of array (r,)
        Sample moments of each group: means first if they are modelled, then the upper triangle along its rows.
    V : sequence of array (r,) or (r, r)
        Weights of each group: a diagonal or a matrix.
    weights : sequence of float
        Share of each group.
    """

    def __init__(
        self, structure: ModelStructure, moments: Sequence[Array], V: Sequence[Array], weights: Sequence[float]
    ) -> None:
        super().__init__(structure)
        self.moments, self.V, self.weights = list(moments), list(V), list(weights)

    def residuals(self, x: Array) -> list[tuple[BlockState, Array]]:
        """Return each block and its residual moments."""
        return [(state, self.moments[k] - implied_moments(state)) for k, state in enumerate(self.states(x) or [])]

    def value(self, x: Array) -> float:
        """Return ``F / 2``."""
        found = self.residuals(x)
        total = sum(self.weights[k] * float(r @ weigh(self.V[k], r)) for k, (_, r) in enumerate(found))
        return 0.5 * total if found and math.isfinite(total) else math.inf

    def pulls(self, x: Array) -> list[tuple[Array, Array | None]]:
        """Return the weighted residuals as ``Q`` and ``w`` of each group."""
        return [
            unstack(state, -self.weights[k] * weigh(self.V[k], r)) for k, (state, r) in enumerate(self.residuals(x))
        ]

    def candidate_information(self, x: Array, k: int, candidates: Candidates) -> tuple[Array, Array]:
        """Return information of candidates where the model holds."""
        state, weight = self.known_states(x)[k], self.weights[k]
        J = moment_jacobian(state, candidates)
        VJ = weigh(self.V[k], J)
        return self.wide(weight * (VJ.T @ moment_jacobian(state)), k), weight * (VJ * J).sum(axis=0)

    def curvature(self, x: Array, *, exact: bool) -> Array:
        """Return the Hessian, or its Gauss-Newton part."""
        parts = []
        for k, (state, r) in enumerate(self.residuals(x)):
            J = moment_jacobian(state)
            part = J.T @ weigh(self.V[k], J)
            if exact:
                Q, w = unstack(state, weigh(self.V[k], r))
                part = part - state.curvature(Q, w)
            parts.append(self.weights[k] * part)
        return self.structure.scatter_matrix(parts)


def weigh(V: Array, r: Array) -> Array:
    """Return ``V r`` for a diagonal or a matrix."""
    if V.ndim == 2:
        return V @ r
    return V * r if r.ndim == 1 else V[:, None] * r


def stack_moments(cov: Array, mean: Array | None) -> Array:
    """Return the means, if any, and the upper triangle of the covariances along its rows."""
    upper: Array = cov[np.triu_indices(len(cov))]
    return upper if mean is None else np.concatenate([mean, upper])


def implied_moments(state: BlockState) -> Array:
    """Return the means, if they are modelled, and the upper triangle of the implied covariances."""
    return stack_moments(state.sigma, state.mu if state.structure.has_means else None)


def moment_jacobian(state: BlockState, candidates: Candidates | None = None) -> Array:
    """Return the derivative of ``implied_moments``, array (r, q)."""
    means, upper = state.jacobian(candidates)
    return np.concatenate([means, upper]) if state.structure.has_means else upper


def unstack(state: BlockState, v: Array) -> tuple[Array, Array | None]:
    """Return the ``Q`` and ``w`` with ``tr(Q dSigma) + w' dmu = v' d(moments)``."""
    p = state.structure.n_observed
    w = v[:p] if state.structure.has_means else None
    Q = np.zeros((p, p))
    Q[np.triu_indices(p)] = v[p:] if state.structure.has_means else v
    return 0.5 * (Q + Q.T), w
