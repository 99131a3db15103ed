"""How the answers to each item are distributed: counts of every value, from any data, block by block."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.exceptions import UnsupportedDataError
from relmeasure.responses.binding import KeyedResponses, Responses
from relmeasure.responses.frames import open_frame
from relmeasure.responses.matrices import keyed_expressions, matrices, numeric_frame
from relmeasure.samplestats.moments import MissingMethod, MomentSums, moment_sums

__all__ = ["Answers", "ItemDistribution", "read_answers"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_WIDEST = 1000.0
"""Range of whole numbers that is counted by position; anything wider is sorted."""


@dataclass(frozen=True)
class ItemDistribution:
    """Values of one item with their counts, rising.

    ``declared`` are the values that the instrument or the caller names; None where only the data are known.
    """

    values: Array
    counts: Array
    declared: tuple[float, ...] | None

    @property
    def n(self) -> int:
        """Answers."""
        return int(self.counts.sum())

    @property
    def categories(self) -> tuple[float, ...]:
        """Declared values, else those observed."""
        return self.declared if self.declared is not None else tuple(self.values.tolist())

    def share(self, value: float) -> float:
        """Share of the answers that have a value; NaN without answers."""
        return float(self.counts[self.values == value].sum() / self.n) if self.n else math.nan

    def moments(self) -> tuple[float, float, float, float]:
        """Mean, standard deviation (divisor n - 1), and skewness and excess kurtosis G1 and G2.

        G1 and G2 as SPSS and SAS have them (Joanes and Gill, 1998, The Statistician 47, 183-189): bias-adjusted, zero
        expected for normal answers; NaN with fewer than three or four answers, or no variance.
        """
        n = float(self.n)
        if n < 1.0:
            return (math.nan,) * 4
        mean = float(self.values @ self.counts) / n
        deviations = self.values - mean
        m2, m3, m4 = (float((deviations**k) @ self.counts) / n for k in (2, 3, 4))
        sd = math.sqrt(m2 * n / (n - 1.0)) if n > 1.0 else math.nan
        skew = kurtosis = math.nan
        if n > 2.0 and m2 > 0.0:
            skew = m3 / m2**1.5 * math.sqrt(n * (n - 1.0)) / (n - 2.0)
        if n > 3.0 and m2 > 0.0:
            kurtosis = (n - 1.0) / ((n - 2.0) * (n - 3.0)) * ((n + 1.0) * (m4 / m2**2 - 3.0) + 6.0)
        return mean, sd, skew, kurtosis


@dataclass(frozen=True)
class Answers:
    """One reading of the data: moments, and the distribution of every item."""

    moments: MomentSums
    items: Mapping[str, ItemDistribution]

    @property
    def assumed(self) -> tuple[str, ...]:
        """Items whose categories are known from the data alone."""
        return tuple(name for name, item in self.items.items() if item.declared is None)


def read_answers(
    data: Any, missing: MissingMethod, categories: Sequence[float] | Mapping[str, Sequence[float]] | None
) -> Answers:
    """Read the data once: additive moments, and counts of every value of every item.

    Raises
    ------
    UnsupportedDataError
        The data are moments, which hold no distribution.
    """
    if isinstance(data, MomentSums):
        raise UnsupportedDataError(
            "Moments hold means and covariances, not how often each answer was given: hand in the rows."
        )
    names, blocks, declared = _open(data)
    if categories is not None:
        given = categories if isinstance(categories, Mapping) else dict.fromkeys(names, categories)
        declared = declared | {name: tuple(sorted(map(float, values))) for name, values in given.items()}
    counted: list[Counter[float]] = [Counter() for _ in names]
    sums = moment_sums(np.empty((0, len(names))), names, missing=missing)
    for block in blocks:
        values = np.asarray(block, dtype=float)
        sums = sums + moment_sums(values, names, missing=missing)
        for column, counter in zip(values.T, counted, strict=True):
            counter.update(_counts(column))
    items = {}
    for name, counter in zip(names, counted, strict=True):
        pairs = sorted(counter.items())
        values = np.array([value for value, _ in pairs], dtype=float)
        counts = np.array([count for _, count in pairs], dtype=float)
        items[name] = ItemDistribution(values, counts, declared.get(name))
    return Answers(sums, items)


def _open(data: Any) -> tuple[list[str], Iterator[Any], dict[str, tuple[float, ...]]]:
    """Names of the items, matrices of their numbers, and the values that an instrument declares."""
    if isinstance(data, np.ndarray):
        if data.ndim != 2:
            raise UnsupportedDataError(
                f"An array of persons by items has 2 dimensions; this one has {data.ndim}.", ndim=data.ndim
            )
        return [f"x{k + 1}" for k in range(data.shape[1])], iter([data]), {}
    if isinstance(data, Responses):
        data = data.keyed()
    if isinstance(data, KeyedResponses):
        raw = data.responses
        declared = {name: tuple(sorted(set(plan.keyed.values()))) for name, plan in raw.plans.items() if plan.keyed}
        declared |= {name: plan.value_range for name, plan in raw.plans.items() if plan.is_range}
        return list(data.items), matrices(raw.work.select(*keyed_expressions(raw.plans.values()))), declared
    source = open_frame(data)
    return [str(name) for name in source.columns], matrices(numeric_frame(source, source.columns)), {}


def _counts(column: Array) -> dict[float, int]:
    """Count the values of a column; missing ones are left out."""
    seen = column[~np.isnan(column)]
    if not len(seen):
        return {}
    low, high = float(seen.min()), float(seen.max())
    if low == math.floor(low) and high - low <= _WIDEST:
        place = (seen - low).astype(np.int64)
        if np.array_equal(place, seen - low):
            counts = np.bincount(place)
            return {low + float(k): int(counts[k]) for k in np.flatnonzero(counts)}
    values, found = np.unique(seen, return_counts=True)
    return dict(zip(values.tolist(), found.tolist(), strict=True))
