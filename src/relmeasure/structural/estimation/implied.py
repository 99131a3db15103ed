r"""Implied moments of a model and their exact derivatives.

All variables of a block (a group, at a level) stand in one vector, observed ones first. With directed effects in ``A``,
(residual) covariances in ``S`` and intercepts in ``m``,

.. math:: B = (I - A)^{-1}, \quad V = B S B', \quad \nu = B m, \quad \Sigma = F V F', \quad \mu = F \nu,

where ``F`` picks the observed variables (McArdle & McDonald, 1984). Every derivative of ``Sigma`` has rank two:

.. math:: \partial\Sigma/\partial\theta_k = s_k (a_k b_k' + b_k a_k'), \quad \partial\mu/\partial\theta_k = u_k a_k,

with ``a_k`` and ``b_k`` columns of ``C = [F B | F V]``. So traces such as ``tr(W dSigma_k W dSigma_l)`` are products of
entries of the small matrix ``C' W C``; no Kronecker product is ever formed.

References
----------
McArdle, J. J., & McDonald, R. P. (1984). Some algebraic properties of the Reticular Action Model for moment structures.
British Journal of Mathematical and Statistical Psychology, 37, 234-251.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from relmeasure.structural.language.parameter_table import ParameterTable

__all__ = ["BlockState", "BlockStructure", "Candidates", "ModelStructure"]

Array = np.ndarray[Any, np.dtype[Any]]
Index = np.ndarray[Any, np.dtype[np.intp]]


@dataclass(frozen=True)
class Candidates:
    """Positions of parameters in ``A``, ``S`` and ``m``: free ones, or fixed ones under test.

    Attributes
    ----------
    kind : array of {0, 1, 2}
        0: ``A``, 1: ``S``, 2: ``m``.
    i, j : array
        Row and column; for ``m`` both are the variable.
    """

    kind: Index
    i: Index
    j: Index

    @classmethod
    def from_lists(cls, kind: Sequence[int], i: Sequence[int], j: Sequence[int]) -> Candidates:
        """Make arrays of lists."""
        return cls(*(np.array(v, dtype=np.intp) for v in (kind, i, j)))

    def __len__(self) -> int:
        return len(self.kind)

    def factors(self, m: int) -> tuple[Index, Index, Array]:
        """Columns ``a`` and ``b`` of ``C``, and the coefficient ``s``."""
        directed = self.kind == 0
        b = np.where(directed, m + self.j, self.j)
        s = np.where(directed, 1.0, np.where(self.kind == 1, np.where(self.i == self.j, 0.5, 1.0), 0.0))
        return self.i, b, s


class BlockStructure:
    """Where the parameters of one block stand; made once, used at every evaluation."""

    def __init__(self, table: ParameterTable, group: int, level: int) -> None:
        names = [*table.observed, *table.latent]
        at = {name: i for i, name in enumerate(names)}
        self.n_observed, self.n_variables = len(table.observed), len(names)
        self.group, self.level = group, level
        kinds, first, second, rows = [], [], [], []
        for row in range(len(table)):
            if table.group[row] != group or table.level[row] != level:
                continue
            op, lhs, rhs = table.op[row], table.lhs[row], table.rhs[row]
            if op == "=~":
                place = (0, at[rhs], at[lhs])
            elif op == "~":
                place = (0, at[lhs], at[rhs])
            elif op == "~~":
                place = (1, at[lhs], at[rhs])
            elif op == "~1":
                place = (2, at[lhs], at[lhs])
            else:
                continue
            kinds.append(place[0])
            first.append(place[1])
            second.append(place[2])
            rows.append(row)
        self.row = np.array(rows, dtype=np.intp)
        self.derived, self.scale_row = _derived_variances(table, group, level, at)
        self.entries = Candidates.from_lists(kinds, first, second)
        self.has_means = table.mean_structure
        number = np.array(table.free, dtype=np.intp)[self.row] if rows else np.zeros(0, np.intp)
        self.is_free = number > 0
        self.index: Index = number[self.is_free] - 1
        self.free = Candidates(*(v[self.is_free] for v in (self.entries.kind, self.entries.i, self.entries.j)))
        self.a, self.b, self.s = self.free.factors(self.n_variables)
        self.depth = self._depth()

    def _depth(self) -> int:
        """Length of the longest directed path; -1 when there is a cycle."""
        directed = self.entries.kind == 0
        pattern = np.zeros((self.n_variables, self.n_variables))
        pattern[self.entries.i[directed], self.entries.j[directed]] = 1.0
        power, depth = pattern, 0
        while power.any():
            depth += 1
            if depth > self.n_variables:
                return -1
            power = np.minimum(power @ pattern, 1.0)
        return depth

    def state(self, values: Array) -> BlockState:
        """Return the block at the values of the table's rows."""
        m = self.n_variables
        A, S, mean = np.zeros((m, m)), np.zeros((m, m)), np.zeros(m)
        kind, i, j = self.entries.kind, self.entries.i, self.entries.j
        here = np.nan_to_num(values[self.row]) if len(self.derived) else values[self.row]
        directed, symmetric = kind == 0, kind == 1
        A[i[directed], j[directed]] = here[directed]
        S[i[symmetric], j[symmetric]] = here[symmetric]
        S[j[symmetric], i[symmetric]] = here[symmetric]
        mean[i[kind == 2]] = here[kind == 2]
        B = self._total_effects(A)
        if len(self.derived):
            self._derive(S, B, values)
        return BlockState(self, A, S, mean, B)

    def _derive(self, S: Array, B: Array, values: Array) -> None:
        """Fill in the residual variances of ordered items, so that their latent responses have the scales given."""
        items = self.derived
        S[items, items] = 0.0
        explained = np.diag(B @ S @ B.T)[items]
        wanted = values[self.scale_row] ** -2.0
        S[items, items] = np.linalg.solve(B[np.ix_(items, items)] ** 2, wanted - explained)

    def _total_effects(self, A: Array) -> Array:
        identity = np.eye(self.n_variables)
        if self.depth == -1 or self.depth > 3:
            inverse: Array = np.linalg.inv(identity - A)
            return inverse
        total = identity + A
        power = A
        for _ in range(self.depth - 1):
            power = power @ A
            total = total + power
        return total


def _derived_variances(table: ParameterTable, group: int, level: int, at: dict[str, int]) -> tuple[Index, Index]:
    """Return the ordered items whose residual variance follows from their scale, and the rows of these scales."""
    here = [r for r in range(len(table)) if table.group[r] == group and table.level[r] == level]
    items = [at[table.lhs[r]] for r in here if table.derived[r] and table.op[r] == "~~"]
    scales = {at[table.lhs[r]]: r for r in here if table.op[r] == "~*~"}
    return np.array(items, dtype=np.intp), np.array([scales[i] for i in items], dtype=np.intp)


class BlockState:
    """A block at given parameters: implied moments and derivatives.

    Attributes
    ----------
    A, S : array (m, m)
    mean : array (m,)
    B : array (m, m)
        Total effects.
    V : array (m, m)
        Covariances of all variables.
    nu : array (m,)
        Means of all variables.
    sigma : array (p, p)
    mu : array (p,)
    """

    def __init__(self, structure: BlockStructure, A: Array, S: Array, mean: Array, B: Array) -> None:
        self.structure, self.A, self.S, self.mean, self.B = structure, A, S, mean, B
        p = structure.n_observed
        self.V: Array = B @ S @ B.T
        self.nu: Array = B @ mean
        self.sigma: Array = self.V[:p, :p]
        self.mu: Array = self.nu[:p]

    @cached_property
    def C(self) -> Array:  # noqa: N802  # the letter of the formulas
        """``[F B | F V]``, array (p, 2 m)."""
        p = self.structure.n_observed
        return np.concatenate([self.B[:p], self.V[:p]], axis=1)

    def mean_weight(self, candidates: Candidates | None = None) -> Array:
        """``u``: the derivative of ``mu`` is ``u_k`` times column ``a_k`` of ``C``."""
        given = self.structure.free if candidates is None else candidates
        return np.where(given.kind == 0, self.nu[given.j], np.where(given.kind == 2, 1.0, 0.0))

    @cached_property
    def u(self) -> Array:
        """``mean_weight()`` of the free parameters."""
        return self.mean_weight()

    def slopes(self, Q: Array, w: Array | None = None, candidates: Candidates | None = None) -> Array:
        """Return ``tr(Q dSigma_k) + w' dmu_k`` for each free parameter (or candidate); ``Q`` symmetric."""
        a, b, s = self._factors(candidates)
        C = self.C
        out: Array = 2.0 * s * (C.T @ (Q @ C))[a, b]
        if w is not None:
            out += self.mean_weight(candidates) * (C.T @ w)[a]
        return out

    def cross_information(
        self, W: Array, candidates: Candidates | None = None, *, means: bool = True, N: Array | None = None
    ) -> Array:
        """Return ``tr(W dSigma_k N dSigma_l) / 2 + dmu_k' W dmu_l``: rows candidates, columns free parameters.

        ``N`` is ``W`` unless given; then the trace is made symmetric in ``W`` and ``N``.
        """
        a, b, s = self._factors(candidates)
        c, d, t = self._factors(None)
        MW = self.C.T @ (W @ self.C)
        if N is None:
            out: Array = MW[np.ix_(a, c)] * MW[np.ix_(b, d)] + MW[np.ix_(a, d)] * MW[np.ix_(b, c)]
        else:
            MN = self.C.T @ (N @ self.C)
            out = MW[np.ix_(a, c)] * MN[np.ix_(b, d)] + MW[np.ix_(a, d)] * MN[np.ix_(b, c)]
            out += MN[np.ix_(a, c)] * MW[np.ix_(b, d)] + MN[np.ix_(a, d)] * MW[np.ix_(b, c)]
            out *= 0.5
        out *= s[:, None] * t
        if means and self.structure.has_means:
            out += self.mean_weight(candidates)[:, None] * self.u * MW[np.ix_(a, c)]
        return out

    def own_information(self, W: Array, candidates: Candidates, *, means: bool = True) -> Array:
        """Return the diagonal ``tr(W dSigma_k W dSigma_k) / 2 + dmu_k' W dmu_k`` of candidates."""
        a, b, s = self._factors(candidates)
        M = self.C.T @ (W @ self.C)
        out: Array = s * s * (M[a, a] * M[b, b] + M[a, b] ** 2)
        if means and self.structure.has_means:
            out += self.mean_weight(candidates) ** 2 * M[a, a]
        return out

    def mixed(self, W: Array, w: Array) -> Array:
        """Return ``dmu_k' W dSigma_l w``, array (q, q), of the free parameters."""
        a, b, s = self._factors(None)
        M, h = self.C.T @ (W @ self.C), self.C.T @ w
        out: Array = (M[np.ix_(a, a)] * h[b] + M[np.ix_(a, b)] * h[a]) * s * self.u[:, None]
        return out

    def curvature(self, Q: Array, w: Array | None = None) -> Array:
        """Return ``tr(Q d2Sigma_kl) + w' d2mu_kl`` of the free parameters, array (q, q); ``Q`` symmetric."""
        free, m = self.structure.free, self.structure.n_variables
        M = self.C.T @ (Q @ self.C)
        GG, GV = M[:m, :m], M[:m, m:]
        q = len(free)
        out = np.zeros((q, q))
        directed, symmetric = np.flatnonzero(free.kind == 0), np.flatnonzero(free.kind == 1)
        i, j = free.i[directed], free.j[directed]
        cross = self.B[np.ix_(j, i)].T * GV[np.ix_(i, j)].T  # B[l, i] G_k' Q V_j at [first, second]
        block = 2.0 * (cross + cross.T + self.V[np.ix_(j, j)] * GG[np.ix_(i, i)])
        k, n = free.i[symmetric], free.j[symmetric]
        s = self.structure.s[symmetric]
        Bj = self.B[j]
        side = 2.0 * s * (Bj[:, n] * GG[np.ix_(i, k)] + Bj[:, k] * GG[np.ix_(i, n)])
        if w is not None:
            block, means = self._mean_curvature(block, w, directed)
            rows = np.flatnonzero(free.kind == 2)
            out[np.ix_(directed, rows)] = means
            out[np.ix_(rows, directed)] = means.T
        out[np.ix_(directed, directed)] = block
        out[np.ix_(directed, symmetric)] = side
        out[np.ix_(symmetric, directed)] = side.T
        return out

    def _mean_curvature(self, block: Array, w: Array, directed: Index) -> tuple[Array, Array]:
        free, p = self.structure.free, self.structure.n_observed
        i, j = free.i[directed], free.j[directed]
        g = w @ self.B[:p]
        cross = self.B[np.ix_(j, i)].T * np.outer(self.nu[j], g[i])  # B[l, i] nu_j w'G_k at [first, second]
        rows = free.i[free.kind == 2]
        return block + cross + cross.T, g[i][:, None] * self.B[np.ix_(j, rows)]

    def jacobian(self, candidates: Candidates | None = None) -> tuple[Array, Array]:
        """Return d mu (p, q) and d vech Sigma (p (p + 1) / 2, q); vech runs along rows of the upper triangle."""
        a, b, s = self._factors(candidates)
        Ca, Cb = self.C[:, a], self.C[:, b] * s
        first, second = np.triu_indices(self.structure.n_observed)
        return Ca * self.mean_weight(candidates), Ca[first] * Cb[second] + Ca[second] * Cb[first]

    def _factors(self, candidates: Candidates | None) -> tuple[Index, Index, Array]:
        if candidates is None:
            return self.structure.a, self.structure.b, self.structure.s
        return candidates.factors(self.structure.n_variables)


class ModelStructure:
    """All blocks of a table: groups, and levels within groups."""

    def __init__(self, table: ParameterTable) -> None:
        self.table = table
        self.n_free = table.n_free
        self.blocks = [
            BlockStructure(table, group, level)
            for group in range(1, table.n_groups + 1)
            for level in range(1, table.n_levels + 1)
        ]

    def states(self, x: Array) -> list[BlockState]:
        """Return every block at the free parameters ``x``."""
        values = self.table.values(x)
        return [block.state(values) for block in self.blocks]

    def scatter_vector(self, parts: Sequence[Array]) -> Array:
        """Put per-block vectors of slopes into one vector over the free parameters."""
        out = np.zeros(self.n_free)
        for block, part in zip(self.blocks, parts, strict=True):
            out[block.index] += part
        return out

    def scatter_matrix(self, parts: Sequence[Array]) -> Array:
        """Put per-block matrices into one matrix over the free parameters."""
        out = np.zeros((self.n_free, self.n_free))
        for block, part in zip(self.blocks, parts, strict=True):
            out[np.ix_(block.index, block.index)] += part
        return out
