"""Gaussian models with random effects only: what their likelihood needs, for nested chains and for crossed effects.

Model: y = mu + sum over effects of a level's deviation + residual. With gamma the variances of the effects in units of
the residual variance, the (restricted) likelihood needs three numbers: the log determinant of V, the residual sum of
squares in the metric of V, and the information on mu. For effects nested in one another (lessons in teachers, classes
in schools) they follow from one pass up the tree; for crossed effects from a sparse factorisation of the mixed model
equations (Bates, Maechler, Bolker & Walker, 2015, Journal of Statistical Software 67(1), sections 3.4 to 3.6).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

__all__ = ["Crossed", "Design", "Effect", "Nested", "Parts", "design_of"]

Array = np.ndarray[Any, np.dtype[np.float64]]
Codes = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Effect:
    """One random effect: the level of each row, 0 to ``levels`` - 1."""

    name: str
    codes: Codes
    levels: int


@dataclass(frozen=True)
class Parts:
    """What the likelihood needs at given relative variances."""

    mu: float
    log_det: float
    residual: float
    information: float


class Design(Protocol):
    """Anything that gives the parts of the likelihood."""

    n_obs: int
    n_effects: int

    def parts(self, gamma: Array) -> Parts:
        """Return the parts at variances ``gamma`` relative to the residual, one an effect."""


def design_of(value: Array, effects: Sequence[Effect]) -> Design:
    """Choose the cheapest exact design: a chain of nested effects, or crossed ones."""
    chain = sorted(range(len(effects)), key=lambda k: -effects[k].levels)
    nested = all(is_nested(effects[fine], effects[coarse]) for fine, coarse in zip(chain, chain[1:], strict=False))
    return Nested(value, effects, chain) if nested else Crossed(value, effects)


def is_nested(fine: Effect, coarse: Effect) -> bool:
    """Whether each level of ``fine`` lies in one level of ``coarse``."""
    return len(np.unique(fine.codes * coarse.levels + coarse.codes)) == fine.levels


class Nested:
    """Effects nested in one another, finest first: weights and means are passed up the tree."""

    def __init__(self, value: Array, effects: Sequence[Effect], chain: Sequence[int]) -> None:
        self.n_obs, self.n_effects = len(value), len(effects)
        self._chain = list(chain)
        center = float(value.mean())
        finest = effects[chain[0]]
        count = np.bincount(finest.codes, minlength=finest.levels).astype(float)
        mean = np.bincount(finest.codes, weights=value - center, minlength=finest.levels) / count
        self._center, self._count, self._mean = center, count, mean
        self._within = float(((value - center - mean[finest.codes]) ** 2).sum())
        self._parents: list[tuple[Codes, int]] = []
        for fine, coarse in zip(chain, chain[1:], strict=False):
            parent = np.zeros(effects[fine].levels, dtype=np.int64)
            parent[effects[fine].codes] = effects[coarse].codes
            self._parents.append((parent, effects[coarse].levels))
        self._parents.append((np.zeros(effects[chain[-1]].levels, dtype=np.int64), 1))

    def parts(self, gamma: Array) -> Parts:
        """Pass up the tree: a level of precision w has precision w / (1 + w gamma) for its parent."""
        weight, mean, residual, log_det = self._count, self._mean, self._within, 0.0
        for k, (parent, size) in zip(self._chain, self._parents, strict=True):
            log_det += float(np.log1p(weight * gamma[k]).sum())
            weight = weight / (1 + weight * gamma[k])
            total = np.bincount(parent, weights=weight, minlength=size)
            upper = np.bincount(parent, weights=weight * mean, minlength=size) / total
            residual += float(weight @ (mean - upper[parent]) ** 2)
            weight, mean = total, upper
        return Parts(self._center + float(mean[0]), log_det, residual, float(weight[0]))


class Crossed:
    """Any random effects: sparse mixed model equations, from sums over levels and pairs of levels only."""

    def __init__(self, value: Array, effects: Sequence[Effect]) -> None:
        self.n_obs, self.n_effects = len(value), len(effects)
        self._center = float(value.mean())
        centered = value - self._center
        self._levels = np.array([effect.levels for effect in effects])
        self._counts = np.concatenate([np.bincount(e.codes, minlength=e.levels) for e in effects]).astype(float)
        self._sums = np.concatenate([np.bincount(e.codes, weights=centered, minlength=e.levels) for e in effects])
        self._square = float(centered @ centered)
        self._effects = effects

    @cached_property
    def _pattern(self) -> tuple[Codes, Codes, Codes, Array]:
        """Z'Z by columns: rows, columns, where each column starts, counts."""
        start = np.concatenate([[0], np.cumsum(self._levels)[:-1]])
        size = len(self._counts)
        rows, columns, counts = [np.arange(size)], [np.arange(size)], [self._counts]
        for a, one in enumerate(self._effects):
            for b, other in enumerate(self._effects[:a]):
                both, count = np.unique(one.codes * other.levels + other.codes, return_counts=True)
                i, j = both // other.levels + start[a], both % other.levels + start[b]
                rows += [i, j]
                columns += [j, i]
                counts += [count.astype(float), count.astype(float)]
        row, column, value = np.concatenate(rows), np.concatenate(columns), np.concatenate(counts)
        order = np.lexsort((row, column))
        row, column, value = row[order], column[order], value[order]
        return row, column, np.searchsorted(column, np.arange(size + 1)), value

    def parts(self, gamma: Array) -> Parts:
        """Factor I + L Z'Z L with L the relative standard deviations, and solve for the mean and the fit."""
        from scipy.sparse import csc_matrix
        from scipy.sparse.linalg import splu

        scale = np.sqrt(np.repeat(gamma, self._levels))
        row, column, pointer, count = self._pattern
        values = count * scale[row] * scale[column] + (row == column)
        matrix = csc_matrix((values, row, pointer), shape=(len(scale), len(scale)))
        factor = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
        log_det = float(np.log(np.abs(factor.U.diagonal())).sum())
        solved = factor.solve(np.column_stack([scale * self._sums, scale * self._counts]))
        yy = self._square - float(scale * self._sums @ solved[:, 0])
        xy = -float(scale * self._counts @ solved[:, 0])  # the sum of the centred values is zero
        xx = self.n_obs - float(scale * self._counts @ solved[:, 1])
        offset = xy / xx
        return Parts(self._center + offset, log_det, yy - xy * offset, xx)


def relative_deviance(parts: Parts, n_obs: int, *, restricted: bool) -> float:
    """-2 log-likelihood with the residual variance maximised out."""
    divisor = n_obs - restricted
    value = divisor * (math.log(2 * math.pi * parts.residual / divisor) + 1) + parts.log_det
    return value + math.log(parts.information) if restricted else value


def absolute_deviance(design: Design, variances: Array, *, restricted: bool) -> float:
    """-2 log-likelihood at variances of the effects and, last, of the residual."""
    sigma2 = float(variances[-1])
    parts = design.parts(variances[:-1] / sigma2)
    value = (design.n_obs - restricted) * math.log(2 * math.pi * sigma2) + parts.log_det + parts.residual / sigma2
    return value + math.log(parts.information) if restricted else value
