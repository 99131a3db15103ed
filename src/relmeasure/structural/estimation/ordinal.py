r"""Thresholds, scales and correlations of ordered items: implied moments, their Jacobian, weighted least squares.

Behind an ordered item stands a latent response ``y*`` that crosses thresholds. Its scale is not identified. The *delta*
parameterization takes the scale ``delta = 1 / sd(y*)`` as a parameter and derives the residual variance; *theta* takes
the residual variance and derives the scale. Either way the moments are

.. math:: \kappa_{ik} = \delta_i (\tau_{ik} - \mu_i), \quad \rho_{ij} = \delta_i \sigma_{ij} \delta_j,

with ``delta = 1`` for continuous items, which add their means and variances. Estimates minimise
``(s - sigma)' V (s - sigma)`` with ``V`` the inverse of the diagonal of the moments' asymptotic covariance (DWLS), of
all of it (WLS), or the identity (ULS).

References
----------
Muthen, B. (1984). Psychometrika, 49, 115-132. Muthen, B., du Toit, S. H. C., & Spisic, D. (1997). Robust inference
using weighted least squares and quadratic estimating equations. Millsap, R. E., & Yun-Tein, J. (2004). Multivariate
Behavioral Research, 39, 479-515 (parameterizations).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from relmeasure.exceptions import ModelError
from relmeasure.structural.estimation.discrepancy import Cached, weigh
from relmeasure.structural.estimation.implied import BlockState, BlockStructure, Candidates, ModelStructure
from relmeasure.structural.language.parameter_table import ParameterTable

__all__ = ["CategoricalBlock", "CategoricalLeastSquares"]

Array = np.ndarray[Any, np.dtype[Any]]
Index = np.ndarray[Any, np.dtype[np.intp]]


class CategoricalBlock:
    """Moments of one group: where each stands, and how it follows from the block.

    Parameters
    ----------
    table : ParameterTable
    structure : BlockStructure
    names : sequence of str
        The moments in order: ``a|t1``, ``x~1``, ``x~~x``, ``a~~b``.
    """

    def __init__(self, table: ParameterTable, structure: BlockStructure, names: Sequence[str]) -> None:
        self.table, self.structure = table, structure
        self.theta = table.parameterization == "theta"
        p = structure.n_observed
        at = {name: i for i, name in enumerate(table.observed)}
        self.ordered: Index = np.array([at[name] for name in table.ordered], dtype=np.intp)
        here = [r for r in range(len(table)) if table.group[r] == structure.group and table.level[r] == structure.level]
        thresholds = {f"{table.lhs[r]}|{table.rhs[r]}": r for r in here if table.op[r] == "|"}
        self.scale_row = np.full(p, -1, dtype=np.intp)
        for r in here:
            if table.op[r] == "~*~":
                self.scale_row[at[table.lhs[r]]] = r
        pairs = {f"{a}~~{b}": (i, j) for a, i in at.items() for b, j in at.items()}
        means = {f"{a}~1": i for a, i in at.items()}
        self.threshold: list[tuple[int, int, int]] = []
        self.mean: list[tuple[int, int]] = []
        self.cov: list[tuple[int, int, int]] = []
        for place, name in enumerate(names):
            if name in thresholds:
                row = thresholds[name]
                self.threshold.append((place, at[table.lhs[row]], row))
            elif name in means:
                self.mean.append((place, means[name]))
            elif name in pairs:
                self.cov.append((place, *pairs[name]))
            else:
                raise ModelError(f"The data have a moment '{name}' that the model does not describe.", moment=name)
        self.n_moments = len(names)
        self._thresholds, self._means, self._cov = (
            np.array(places, dtype=np.intp).reshape(len(places), width).T
            for places, width in ((self.threshold, 3), (self.mean, 2), (self.cov, 3))
        )
        self._free: Index = np.array(table.free, dtype=np.intp)

    def scales(self, state: BlockState, values: Array) -> Array:
        """Return ``delta`` of each observed variable."""
        out = np.ones(self.structure.n_observed)
        if self.theta:
            out[self.ordered] = 1.0 / np.sqrt(np.diag(state.sigma)[self.ordered])
        else:
            out[self.ordered] = values[self.scale_row[self.ordered]]
        return out

    def moments(self, state: BlockState, values: Array) -> Array:
        """Return the implied moments, array (r,)."""
        out = np.zeros(self.n_moments)
        delta = self.scales(state, values)
        if self.threshold:
            place, item, row = self._thresholds
            out[place] = delta[item] * (values[row] - state.mu[item])
        if self.mean:
            place, item = self._means
            out[place] = state.mu[item]
        if self.cov:
            place, i, j = self._cov
            out[place] = delta[i] * delta[j] * state.sigma[i, j]
        return out

    def jacobian(self, state: BlockState, values: Array, candidates: Candidates | None = None) -> Array:
        """Return the Jacobian (r, q) over all free parameters of the model, or over candidates of this block."""
        if candidates is None:
            d_delta, d_mu, d_sigma = self._free_slopes(state, values)
        else:
            d_delta, d_mu, d_sigma = self._candidate_slopes(state, values, candidates)
        delta = self.scales(state, values)
        out = np.zeros((self.n_moments, d_mu.shape[1]))
        if self.threshold:
            place, item, row = self._thresholds
            gap = values[row] - state.mu[item]
            out[place] = gap[:, None] * d_delta[item] - delta[item][:, None] * d_mu[item]
            if candidates is None:
                free = self._free[row]
                out[place[free > 0], free[free > 0] - 1] += delta[item[free > 0]]
        if self.mean:
            place, item = self._means
            out[place] = d_mu[item]
        if self.cov:
            place, i, j = self._cov
            at = self._upper[i, j]
            sigma = state.sigma[i, j]
            out[place] = (delta[i] * delta[j])[:, None] * d_sigma[at]
            out[place] += (delta[j] * sigma)[:, None] * d_delta[i] + (delta[i] * sigma)[:, None] * d_delta[j]
        return out

    # ------------------------------------------------------------------- slopes
    @cached_property
    def _upper(self) -> Index:
        p = self.structure.n_observed
        out = np.zeros((p, p), dtype=np.intp)
        i, j = np.triu_indices(p)
        out[i, j] = out[j, i] = np.arange(len(i))
        return out

    def _free_slopes(self, state: BlockState, values: Array) -> tuple[Array, Array, Array]:
        """Slopes of ``delta`` (p, q), ``mu`` (p, q) and ``vech Sigma`` (p (p + 1) / 2, q) over all free parameters."""
        q = self.table.n_free
        means, upper = state.jacobian()
        d_mu, d_sigma = np.zeros((len(means), q)), np.zeros((len(upper), q))
        d_mu[:, self.structure.index], d_sigma[:, self.structure.index] = means, upper
        d_delta = np.zeros((len(means), q))
        if not self.theta:
            row = self.scale_row[self.ordered]
            free = self._free[row]
            d_delta[self.ordered[free > 0], free[free > 0] - 1] = 1.0
        return self._completed(state, values, d_delta, d_mu, d_sigma)

    def _candidate_slopes(self, state: BlockState, values: Array, candidates: Candidates) -> tuple[Array, Array, Array]:
        means, upper = state.jacobian(candidates)
        return self._completed(state, values, np.zeros_like(means), means, upper)

    def _completed(
        self, state: BlockState, values: Array, d_delta: Array, d_mu: Array, d_sigma: Array
    ) -> tuple[Array, Array, Array]:
        """Add what follows: scales from variances (theta), or residual variances from scales (delta)."""
        items = self.ordered
        diagonal = self._upper[items, items]
        if self.theta:
            variance = np.diag(state.sigma)[items]
            d_delta[items] = -0.5 * variance[:, None] ** -1.5 * d_sigma[diagonal]
            return d_delta, d_mu, d_sigma
        delta = values[self.scale_row[items]]
        wanted = -2.0 * delta[:, None] ** -3.0 * d_delta[items]
        own = Candidates(np.ones(len(items), np.intp), items, items)
        _, by_own = state.jacobian(own)
        d_own = np.linalg.solve(by_own[diagonal], wanted - d_sigma[diagonal])
        return d_delta, d_mu, d_sigma + by_own @ d_own

    def own_slopes(self, state: BlockState, values: Array) -> Array:
        """Return the slopes of the derived residual variances over the free parameters, array (ordered, q)."""
        items = self.ordered
        q = self.table.n_free
        if self.theta:
            return np.zeros((len(items), q))
        _, upper = state.jacobian()
        d_sigma = np.zeros((len(upper), q))
        d_sigma[:, self.structure.index] = upper
        diagonal = self._upper[items, items]
        row = self.scale_row[items]
        free = self._free[row]
        d_delta = np.zeros((len(items), q))
        d_delta[np.flatnonzero(free > 0), free[free > 0] - 1] = 1.0
        wanted = -2.0 * values[row][:, None] ** -3.0 * d_delta
        own = Candidates(np.ones(len(items), np.intp), items, items)
        _, by_own = state.jacobian(own)
        out: Array = np.linalg.solve(by_own[diagonal], wanted - d_sigma[diagonal])
        return out


class CategoricalLeastSquares(Cached):
    """Weighted least squares over thresholds, means, variances and correlations.

    Parameters
    ----------
    structure : ModelStructure
    names : sequence of sequence of str
        Moments of each group, in order.
    moments : sequence of array (r,)
    V : sequence of array (r,) or (r, r)
        Weights: a diagonal or a matrix.
    weights : sequence of float
        Share of each group.
    """

    exact_below = 0.0

    def __init__(
        self,
        structure: ModelStructure,
        names: Sequence[Sequence[str]],
        moments: Sequence[Array],
        V: Sequence[Array],
        weights: Sequence[float],
    ) -> None:
        super().__init__(structure)
        self.blocks = [
            CategoricalBlock(structure.table, block, own) for block, own in zip(structure.blocks, names, strict=True)
        ]
        self.moments, self.V, self.weights = list(moments), list(V), list(weights)
        self._at, self._jacobians = b"", list[Array]()
        group, free = np.array(structure.table.group), np.array(structure.table.free)
        self.columns = [free[(group == block.group) & (free > 0)] - 1 for block in structure.blocks]

    def implied(self, x: Array) -> list[Array]:
        """Return the implied moments of each group; empty where they are not defined."""
        states, values = self.states(x), self.structure.table.values(x)
        if states is None or any(not (np.diag(s.sigma) > 0).all() for s in states):
            return []
        return [block.moments(state, values) for block, state in zip(self.blocks, states, strict=True)]

    def residuals(self, x: Array) -> list[Array]:
        """Return sample less implied moments of each group."""
        return [s - m for s, m in zip(self.moments, self.implied(x), strict=False)]

    def value(self, x: Array) -> float:
        """Return ``F / 2``."""
        found = self.residuals(x)
        total = sum(w * float(r @ weigh(V, r)) for w, V, r in zip(self.weights, self.V, found, strict=False))
        return 0.5 * total if found and math.isfinite(total) else math.inf

    def jacobians(self, x: Array) -> list[Array]:
        """Return the Jacobian of each group's moments over all free parameters; that of the last ``x`` is kept."""
        if x.tobytes() != self._at:
            values, states = self.structure.table.values(x), self.known_states(x)
            self._jacobians = [block.jacobian(state, values) for block, state in zip(self.blocks, states, strict=True)]
            self._at = x.tobytes()
        return self._jacobians

    def gradient(self, x: Array) -> Array:
        """Return the gradient."""
        out = np.zeros(self.structure.n_free)
        for weight, V, r, J in zip(self.weights, self.V, self.residuals(x), self.jacobians(x), strict=True):
            out -= weight * (J.T @ weigh(V, r))
        return out

    def curvature(self, x: Array, *, exact: bool) -> Array:  # noqa: ARG002  # the Gauss-Newton part serves both
        """Return the Gauss-Newton part of the Hessian."""
        out = np.zeros((self.structure.n_free, self.structure.n_free))
        for weight, V, wide, own in zip(self.weights, self.V, self.jacobians(x), self.columns, strict=True):
            J = wide[:, own]
            out[np.ix_(own, own)] += weight * (J.T @ weigh(V, J))
        return out

    def candidate_slopes(self, x: Array, k: int, candidates: Candidates) -> Array:
        """Return the gradient over candidates of block k."""
        J = self._candidate_jacobian(x, k, candidates)
        out: Array = -self.weights[k] * (J.T @ weigh(self.V[k], self.residuals(x)[k]))
        return out

    def candidate_information(self, x: Array, k: int, candidates: Candidates) -> tuple[Array, Array]:
        """Return information of candidates with all free parameters (c, q), and their own (c,)."""
        J = self._candidate_jacobian(x, k, candidates)
        VJ = weigh(self.V[k], J)
        return self.weights[k] * (VJ.T @ self.jacobians(x)[k]), self.weights[k] * (VJ * J).sum(axis=0)

    def _candidate_jacobian(self, x: Array, k: int, candidates: Candidates) -> Array:
        return self.blocks[k].jacobian(self.known_states(x)[k], self.structure.table.values(x), candidates)
