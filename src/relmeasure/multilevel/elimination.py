"""Log determinant and quadratic forms of the mixed model equations of crossed effects, by elimination level by level.

The matrix is I + L Z'Z L: one row a level of an effect, L the relative standard deviations. Levels of one effect do not
meet one another, so the effect with the most levels has a diagonal block and is eliminated exactly; effects that it is
nested in (lessons in teachers) then have diagonal blocks too and follow. What is left (raters, items) is small and
dense as a rule, and sparse otherwise. Which entries fill in depends on the design only and is found out once; each
evaluation is then a few weighted counts (George & Liu, 1981, Computer solution of large sparse positive definite
systems, chapter 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Elimination"]

Array = np.ndarray[Any, np.dtype[np.float64]]
Codes = np.ndarray[Any, np.dtype[np.int64]]

_MOST_PAIRS = 4_000_000
"""Pairs of neighbours of one effect's levels: with more of them the rest is left to the sparse factorisation."""

_DENSE = 600
"""Levels left over that are factored as a dense matrix."""


@dataclass(frozen=True)
class _Step:
    """Elimination of one effect: entries (level, later level) and the pairs of entries that share a level."""

    level: Codes  # (e,), place of the level within the effect
    later: Codes  # (e,), place of the neighbour among the levels that remain
    one: Codes  # (f,), entries of each pair
    two: Codes
    filled: Codes  # (f,), place of their product among the entries that remain
    kept: Codes  # places among these of the entries that were there before
    size: int  # entries that remain


class Elimination:
    """The design's pattern, and its factorisation at any relative standard deviations.

    Parameters
    ----------
    blocks : list of int
        Levels of each effect, most first.
    counts : array (q,)
        Rows of each level, effect after effect.
    row, column : array (m,)
        Pairs of levels of different effects that meet, the earlier level first, each pair once.
    together : array (m,)
        Rows in which they meet.
    """

    def __init__(self, blocks: list[int], counts: Array, row: Codes, column: Codes, together: Array) -> None:
        order = np.lexsort((column, row))
        self._row, self._column, self._together = row[order], column[order], together[order]
        self._counts = counts
        self._blocks: list[int] = []
        self._steps: list[_Step] = []
        i, j, size = self._row, self._column, len(counts)
        for levels in blocks:
            step, i, j = _eliminated(i, j, levels, size)
            if step is None:
                break
            self._steps.append(step)
            self._blocks.append(levels)
            size -= levels
        self._left = (i, j, size)

    def solve(self, scale: Array, sides: Array) -> tuple[float, Array]:
        """Log determinant of I + L Z'Z L, and sides' (I + L Z'Z L)^-1 sides, for sides of shape (q, r)."""
        diagonal = 1 + self._counts * scale**2
        values = self._together * scale[self._row] * scale[self._column]
        log_det, form = 0.0, np.zeros((sides.shape[1], sides.shape[1]))
        for step, levels in zip(self._steps, self._blocks, strict=True):
            pivot, rest = diagonal[:levels], len(diagonal) - levels
            log_det += float(np.log(pivot).sum())
            top = sides[:levels]
            form += top.T @ (top / pivot[:, None])
            count = len(step.level)
            mine, share = values[:count], values[:count] / pivot[step.level]
            diagonal = diagonal[levels:] - _summed(step.later, mine * share, rest)
            moved = [_summed(step.later, share * top[step.level, k], rest) for k in range(top.shape[1])]
            sides = sides[levels:] - np.column_stack(moved)
            following = -_summed(step.filled, mine[step.one] * share[step.two], step.size)
            following[step.kept] += values[count:]
            values = following
        rest_log_det, rest_form = self._remainder(diagonal, values, sides)
        return log_det + rest_log_det, form + rest_form

    def _remainder(self, diagonal: Array, values: Array, sides: Array) -> tuple[float, Array]:
        """The same of what no step eliminated."""
        i, j, size = self._left
        if size == 0:
            return 0.0, np.zeros((sides.shape[1], sides.shape[1]))
        if size <= _DENSE:
            from scipy.linalg import cholesky, solve_triangular

            matrix = np.diag(diagonal)
            matrix[j, i] = values
            root = cholesky(matrix, lower=True, check_finite=False)
            solved = solve_triangular(root, sides, lower=True, check_finite=False)
            return 2 * float(np.log(np.diagonal(root)).sum()), np.asarray(solved.T @ solved)
        from scipy.sparse import csc_matrix
        from scipy.sparse.linalg import splu

        own = np.arange(size)
        rows, columns = np.concatenate([own, i, j]), np.concatenate([own, j, i])
        sparse = csc_matrix((np.concatenate([diagonal, values, values]), (rows, columns)), shape=(size, size))
        factor = splu(sparse, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
        return float(np.log(np.abs(factor.U.diagonal())).sum()), np.asarray(sides.T @ factor.solve(sides))


def _summed(place: Codes, weights: Array, size: int) -> Array:
    """Weights summed by place; floats also where there are none."""
    return np.bincount(place, weights=weights, minlength=size).astype(float)


def _eliminated(i: Codes, j: Codes, levels: int, size: int) -> tuple[_Step | None, Codes, Codes]:
    """The step that eliminates the first ``levels``, and the entries after it; no step where they meet one another."""
    count = int(np.searchsorted(i, levels))
    level, later = i[:count], j[:count] - levels
    if (later < 0).any():
        return None, i, j
    place = np.arange(count)
    last = np.searchsorted(level, level, side="right")
    pairs = last - place - 1  # later entries of the same level
    if pairs.sum() > _MOST_PAIRS:
        return None, i, j
    one = np.repeat(place, pairs)
    two = one + 1 + np.arange(len(one)) - np.repeat(np.cumsum(pairs) - pairs, pairs)
    rest = size - levels
    there = (i[count:] - levels) * rest + j[count:] - levels
    fill = later[one] * rest + later[two]
    keys = np.unique(np.concatenate([there, fill]))
    step = _Step(level, later, one, two, np.searchsorted(keys, fill), np.searchsorted(keys, there), len(keys))
    return step, keys // max(rest, 1), keys % max(rest, 1)
