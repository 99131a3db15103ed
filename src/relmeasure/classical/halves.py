"""The best and worst split of items into halves: a quadratic form of signs.

With ``s`` holding +1 for the items of one half and -1 for the others, the Flanagan-Rulon coefficient of the split is
``4 cov(a, b) / var(a + b) = 1 - s'Ms / 1'M1``. The largest coefficient has the smallest ``s'Ms``. The
mean over all splits needs no enumeration: over splits whose sizes differ by d (0 or 1), a product ``s_i s_j`` averages
``(d - k) / (k (k - 1))``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["EXHAUSTIVE", "Halves", "find_halves", "mean_split"]

Array = np.ndarray[Any, np.dtype[np.float64]]

EXHAUSTIVE = 25
"""Items up to which every split is looked at: 5.2 million splits, about 0.1 s."""

_STARTS = 100
_CHUNK = 1 << 22


@dataclass(frozen=True)
class Halves:
    """Signs of the splits with the smallest and largest ``s'Ms``, array (p,) each, and how they were found."""

    smallest: Array
    largest: Array
    n_splits: int
    exhaustive: bool

    @staticmethod
    def coefficient(matrix: Array, signs: Array) -> float:
        """Flanagan-Rulon coefficient of a split."""
        return 1.0 - float(signs @ matrix @ signs) / float(matrix.sum())


def mean_split(matrix: Array) -> float:
    """Mean Flanagan-Rulon coefficient over all splits into equal or nearly equal halves; alpha when p is even."""
    p, total, trace = len(matrix), float(matrix.sum()), float(np.trace(matrix))
    product = (p % 2 - p) / (p * (p - 1))
    return 1.0 - (trace + product * (total - trace)) / total


def find_halves(matrix: Array, rng: np.random.Generator, limit: int = EXHAUSTIVE) -> Halves:
    """Find the extreme splits: all are tried up to ``limit`` items, beyond that random starts are improved."""
    p = len(matrix)
    n_splits = math.comb(p, p // 2) // (2 if p % 2 == 0 else 1)
    if p <= limit:
        return Halves(*_enumerate(matrix), n_splits, exhaustive=True)
    return Halves(_search(matrix, rng), _search(-matrix, rng), n_splits, exhaustive=False)


# --------------------------------------------------------------------------- every split
def _signs(n: int) -> Array:
    """All vectors of n signs, array (2^n, n)."""
    codes = np.arange(1 << n)[:, None] >> np.arange(n)
    out: Array = np.where(codes & 1, -1.0, 1.0)
    return out


def _enumerate(matrix: Array) -> tuple[Array, Array]:
    """Signs with the smallest and largest quadratic form.

    Items are cut into two blocks; ``s'Ms`` of every combination of their sign vectors is a sum of two vectors and one
    matrix product. The last item keeps its sign, since s and -s are one split.
    """
    p = len(matrix)
    cut = p // 2
    left, right = _signs(cut), _signs(p - cut)
    right = right[right[:, -1] > 0.0]
    own = [((s @ m) * s).sum(axis=1) for s, m in ((left, matrix[:cut, :cut]), (right, matrix[cut:, cut:]))]
    cross: Array = 2.0 * left @ matrix[:cut, cut:]
    sums = left.sum(axis=1), right.sum(axis=1)
    best: list[tuple[float, Array]] = [(math.inf, np.empty(0)), (math.inf, np.empty(0))]
    for balance in {p % 2, -(p % 2)}:
        for level in np.unique(sums[0]):
            rows, cols = np.flatnonzero(sums[0] == level), np.flatnonzero(sums[1] == balance - level)
            step = max(1, _CHUNK // max(len(cols), 1))
            for part in np.split(rows, range(step, len(rows), step)) if len(cols) else []:
                form = cross[part] @ right[cols].T
                form += own[0][part, None]
                form += own[1][cols]
                for i, (sign, where) in enumerate(((1.0, int(form.argmin())), (-1.0, int(form.argmax())))):
                    r, c = divmod(where, len(cols))
                    if sign * form[r, c] < best[i][0]:
                        best[i] = (sign * float(form[r, c]), np.r_[left[part[r]], right[cols[c]]])
    return best[0][1], best[1][1]


# --------------------------------------------------------------------------- a search
def _search(matrix: Array, rng: np.random.Generator) -> Array:
    """Signs with a small quadratic form: steepest exchange of two items, from random starts."""
    p = len(matrix)
    start = np.where(np.arange(p) < p // 2, -1.0, 1.0)
    found = [_exchange(matrix, rng.permutation(start)) for _ in range(_STARTS)]
    return min(found, key=lambda signs: float(signs @ matrix @ signs))


def _exchange(matrix: Array, signs: Array) -> Array:
    """Exchange the pair that lowers the quadratic form most, until none does."""
    diagonal = np.diag(matrix)
    gap = 4.0 * (diagonal[:, None] + diagonal - 2.0 * matrix)
    while True:
        slope = matrix @ signs
        plus, minus = np.flatnonzero(signs > 0.0), np.flatnonzero(signs < 0.0)
        change = gap[np.ix_(plus, minus)] + 4.0 * (slope[minus] - slope[plus, None])
        r, c = divmod(int(change.argmin()), len(minus))
        if change[r, c] > -1e-12 * float(np.abs(matrix).sum()):
            return signs
        signs = signs.copy()
        signs[plus[r]], signs[minus[c]] = -1.0, 1.0
