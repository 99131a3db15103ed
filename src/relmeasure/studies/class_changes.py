"""Change of a class between two waves, with the standard error that its students give.

Different students: the errors of the two means are independent. Same students: they share what a student keeps, so the
covariance within classes of those who answered twice is taken out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.responses.labelled import LabelledColumns, read_columns
from relmeasure.studies.class_waves import LOW, ClassWave

__all__ = ["Changes", "PairedStudents", "changes_of", "paired_students"]

Array = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Changes:
    """Later minus earlier mean of each class of the later wave on one scale; NaN where one of them is not shown.

    ``unsure`` marks classes whose earlier mean was of low reliability.
    """

    difference: Array
    se: Array
    unsure: Mask


@dataclass(frozen=True)
class PairedStudents:
    """Students who answered in both waves in one class: their two scores and the place of their class."""

    labels: tuple[str, ...]
    code: np.ndarray[Any, np.dtype[np.int64]]
    first: Array  # (m, scales)
    second: Array

    def covariance(self, scale: int, shown: Sequence[str]) -> tuple[dict[str, int], float]:
        """Students with both scores in each class, and the pooled covariance within the classes that are shown."""
        x, y = self.first[:, scale], self.second[:, scale]
        keep = (
            ~np.isnan(x) & ~np.isnan(y) & np.isin(self.code, [k for k, c in enumerate(self.labels) if c in set(shown)])
        )
        x, y, code = x[keep], y[keep], self.code[keep]
        count = np.bincount(code, minlength=len(self.labels)).astype(float)
        safe = np.maximum(count, 1.0)
        off = x - (np.bincount(code, weights=x, minlength=len(count)) / safe)[code]
        freedom = float(np.maximum(count - 1, 0).sum())
        pooled = float(off @ y) / freedom if freedom > 0 else 0.0
        return dict(zip(self.labels, count.astype(int).tolist(), strict=True)), pooled


def paired_students(
    scored: Any, scales: Sequence[str], *, cluster: str, wave: str, student: str, pair: tuple[str, str]
) -> PairedStudents:
    """Students of the same class in both waves; ``read_classes`` has seen to it that nobody stands twice in one."""
    read = read_columns(scored, numbers=list(scales), labels=[cluster, wave, student])
    keys = [_keys_of(read, cluster, wave, student, label) for label in pair]
    both, one, two = np.intersect1d(keys[0][0], keys[1][0], assume_unique=True, return_indices=True)
    rows = keys[0][1][one], keys[1][1][two]
    values = [np.column_stack([read.numbers[name][r] for name in scales]) for r in rows]
    return PairedStudents(read.labels[cluster], both // max(len(read.labels[student]), 1), values[0], values[1])


def _keys_of(read: LabelledColumns, cluster: str, wave: str, student: str, label: str) -> tuple[Any, Any]:
    """One number a class and student, and the rows, of one wave."""
    mask = read.complete([], [cluster, wave, student]) & (read.codes[wave] == read.labels[wave].index(label))
    rows = np.flatnonzero(mask)
    key = read.codes[cluster][rows] * len(read.labels[student]) + read.codes[student][rows]
    return key, rows


def changes_of(earlier: ClassWave, later: ClassWave, scale: int, paired: PairedStudents | None) -> Changes:
    """Differences of the classes of the later wave, in its order."""
    one, two = earlier.scales[scale], later.scales[scale]
    place = {label: j for j, label in enumerate(earlier.labels)}
    at = np.array([place.get(label, -1) for label in later.labels])
    known = (at >= 0) & two.shown & one.shown[at]
    before = np.where(known, one.mean[at], np.nan)
    unsure = np.array([one.status[k] == LOW for k in at], dtype=bool)
    if one.components is None or two.components is None:
        return Changes(two.mean - before, np.full(len(at), np.nan), unsure)
    n = np.where(known, one.size[at], np.nan), two.size
    variance = one.components.sigma2 / n[0] + two.components.sigma2 / n[1]
    if paired is not None:
        shown = [label for label, both in zip(later.labels, known, strict=True) if both]
        matched, covariance = paired.covariance(scale, shown)
        count = np.array([matched.get(label, 0) for label in later.labels], dtype=float)
        variance = np.maximum(variance - 2 * covariance * count / (n[0] * n[1]), 0.0)
    return Changes(two.mean - before, np.sqrt(variance), unsure)
