"""Gaussian models with random effects only: what their likelihood needs, for nested chains and for crossed effects.

Model: y = mu + sum over effects of a level's deviation + residual. With gamma the variances of the effects in units of
the residual variance, the (restricted) likelihood needs three numbers: the log determinant of V, the residual sum of
squares in the metric of V, and the information on mu. For effects nested in one another (lessons in teachers, classes
in schools) they follow from one pass up the tree; for crossed effects from a factorisation of the mixed model equations
(Bates, Maechler, Bolker & Walker, 2015, Journal of Statistical Software 67(1), sections 3.4 to 3.6).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from relmeasure.multilevel.elimination import Elimination

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
    """Any random effects: mixed model equations, from sums over levels and pairs of levels only."""

    def __init__(self, value: Array, effects: Sequence[Effect]) -> None:
        self.n_obs, self.n_effects = len(value), len(effects)
        self._center = float(value.mean())
        centered = value - self._center
        self._order = sorted(range(len(effects)), key=lambda k: -effects[k].levels)
        ordered = [effects[k] for k in self._order]
        self._levels = np.array([effect.levels for effect in ordered])
        counts = np.concatenate([np.bincount(e.codes, minlength=e.levels) for e in ordered]).astype(float)
        sums = np.concatenate([np.bincount(e.codes, weights=centered, minlength=e.levels) for e in ordered])
        self._sides = np.column_stack([sums, counts])
        self._square = float(centered @ centered)
        self._elimination = Elimination(self._levels.tolist(), counts, *_meetings(ordered))

    def parts(self, gamma: Array) -> Parts:
        """Factor I + L Z'Z L with L the relative standard deviations; the mean and the fit follow from its forms."""
        scale = np.sqrt(np.repeat(gamma[self._order], self._levels))
        log_det, form = self._elimination.solve(scale, scale[:, None] * self._sides)
        yy, xy, xx = self._square - form[0, 0], -form[0, 1], self.n_obs - form[1, 1]  # centred values sum to zero
        offset = float(xy / xx)
        return Parts(self._center + offset, log_det, float(yy - xy * offset), float(xx))


def _meetings(effects: Sequence[Effect]) -> tuple[Codes, Codes, Array]:
    """Pairs of levels of different effects, the earlier effect's first, and the rows in which they meet."""
    start = np.cumsum([0, *(effect.levels for effect in effects)])
    rows, columns, together = [], [], []
    for b, other in enumerate(effects):
        for a, one in enumerate(effects[:b]):
            both, count = np.unique(one.codes * other.levels + other.codes, return_counts=True)
            rows.append(both // other.levels + start[a])
            columns.append(both % other.levels + start[b])
            together.append(count.astype(float))
    if not rows:
        nothing = np.zeros(0, dtype=np.int64)
        return nothing, nothing, np.zeros(0)
    return np.concatenate(rows), np.concatenate(columns), np.concatenate(together)


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
