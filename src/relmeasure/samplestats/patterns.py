"""Patterns of missing answers with their moments: the additive statistic of full-information estimation.

Under normality the likelihood of incomplete rows depends on them only through count, mean and scatter within each
pattern of observed items, so that one pass over the rows serves every later iteration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relmeasure.exceptions import IncompatibleStatisticsError
from relmeasure.results import FloatArray, IntArray, Result, Table
from relmeasure.samplestats.contingency import finite_values
from relmeasure.samplestats.moments import _checked

__all__ = ["MissingPatterns", "missing_patterns"]


@dataclass(frozen=True, eq=False)
class MissingPatterns(Result):
    """Rows grouped by which of ``p`` items were answered: ``g`` patterns, the most frequent first.

    Attributes
    ----------
    names : tuple of str
        The items, in the order given.
    n_rows : int
        Rows seen; those without any answer belong to no pattern.
    observed : array (g, p)
        1 where the item was answered.
    count : array (g,)
        Rows of each pattern.
    weight : array (g,)
        Sum of their weights; equals ``count`` without weights.
    mean : array (g, p)
        Means of the answered items; zero elsewhere.
    scatter : array (g, p, p)
        Weighted sums of products about these means; zero elsewhere.
    weighted : bool
        Whether sampling weights were given.
    """

    names: tuple[str, ...]
    n_rows: int
    observed: IntArray
    count: IntArray
    weight: FloatArray
    mean: FloatArray
    scatter: FloatArray
    weighted: bool = False

    def __add__(self, other: MissingPatterns) -> MissingPatterns:
        """Return the patterns of the pooled rows."""
        if not isinstance(other, MissingPatterns):
            return NotImplemented
        for what in ("names", "weighted"):
            mine, theirs = getattr(self, what), getattr(other, what)
            if mine != theirs:
                raise IncompatibleStatisticsError(
                    f"Patterns with {what}={mine!r} and {what}={theirs!r} cannot be added: "
                    "make both from the same items, with or without weights=.",
                    attribute=what,
                    left=mine,
                    right=theirs,
                )
        observed, group = _grouped(np.vstack([self.observed, other.observed]).astype(bool))
        mine, theirs = group[: len(self.count)], group[len(self.count) :]
        g, p = observed.shape
        parts = []
        for part, at in ((self, mine), (other, theirs)):
            count, weight = np.zeros(g, np.int64), np.zeros(g)
            mean, scatter = np.zeros((g, p)), np.zeros((g, p, p))
            count[at], weight[at], mean[at], scatter[at] = part.count, part.weight, part.mean, part.scatter
            parts.append((count, weight, mean, scatter))
        (n1, w1, m1, s1), (n2, w2, m2, s2) = parts
        share = np.divide(w2, w1 + w2, out=np.zeros(g), where=w1 + w2 > 0)
        step = np.where((n1 > 0)[:, None] & (n2 > 0)[:, None], m2 - m1, 0.0)
        first = np.where((n1 > 0)[:, None], m1, m2)
        return _ordered(
            self.names,
            self.n_rows + other.n_rows,
            observed,
            n1 + n2,
            w1 + w2,
            first + step * share[:, None],
            s1 + s2 + step[:, :, None] * step[:, None, :] * (w1 * share)[:, None, None],
            weighted=self.weighted,
        )

    @property
    def n_obs(self) -> int:
        """Rows with at least one answer."""
        return int(self.count.sum())

    @property
    def n_patterns(self) -> int:
        """Number of patterns."""
        return len(self.count)

    @property
    def n_complete(self) -> int:
        """Rows with every answer."""
        return int(self.count[self.observed.all(axis=1)].sum())

    @property
    def coverage(self) -> FloatArray:
        """Share of rows in which both items of a pair were answered, array (p, p)."""
        seen = self.observed.astype(float)
        return np.asarray((seen * self.count[:, None]).T @ seen / max(self.n_obs, 1))

    def _table(self) -> Table:
        shown = ["".join("x" if o else "." for o in row) for row in self.observed]
        return Table({"pattern": tuple(shown), "n": tuple(self.count), "n_answered": tuple(self.observed.sum(axis=1))})

    def summary(self) -> str:
        """Return the numbers of rows and patterns, and the most frequent patterns."""
        head = (
            f"{self.n_obs} of {self.n_rows} rows with an answer, {self.n_complete} complete; {self.n_patterns} patterns"
        )
        table = self._table()
        top = Table({name: values[:10] for name, values in table.columns.items()})
        return f"{head}\n{top.to_text()}"


def missing_patterns(values: np.ndarray, names: Sequence[str], *, weights: np.ndarray | None = None) -> MissingPatterns:
    """Group rows by which items were answered, with the moments of each group.

    Parameters
    ----------
    values : array (n, p)
        Persons in rows, items in columns; NaN is missing.
    names : sequence of str
        One name an item.
    weights : array (n,), optional
        Sampling weights, not negative.

    Returns
    -------
    MissingPatterns
        Additive: chunks of rows add up to all rows.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 2.0], [3.0, np.nan], [2.0, 5.0], [np.nan, np.nan]])
    >>> patterns = missing_patterns(x, ["a", "b"])
    >>> patterns.observed.tolist(), patterns.count.tolist(), patterns.n_obs
    ([[1, 1], [1, 0]], [2, 1], 3)
    """
    array, w = _checked(values, names, "pairwise", weights)
    array = finite_values(array)
    seen = ~np.isnan(array)
    keep = seen.any(axis=1) if w is None else seen.any(axis=1) & (w > 0)
    rows, seen = np.where(seen, array, 0.0)[keep], seen[keep]
    kept = np.ones(len(rows)) if w is None else w[keep]
    observed, group = _grouped(seen)
    order = np.argsort(group, kind="stable")
    count = np.bincount(group, minlength=len(observed))
    g, p = observed.shape
    weight, mean, scatter = np.zeros(g), np.zeros((g, p)), np.zeros((g, p, p))
    start = 0
    for k, n in enumerate(count):
        part = order[start : start + n]
        start += n
        share = kept[part]
        weight[k] = share.sum()
        mean[k] = share @ rows[part] / weight[k]
        if n > 1:
            deviation = rows[part] - mean[k]
            scatter[k] = (deviation * share[:, None]).T @ deviation
    return _ordered(tuple(names), len(array), observed, count, weight, mean, scatter, weighted=w is not None)


def _grouped(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct rows of a logical array, and which of them each row is."""
    packed = np.ascontiguousarray(np.packbits(seen, axis=1)) if seen.size else np.zeros((len(seen), 1), np.uint8)
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, where, group = np.unique(keys, return_index=True, return_inverse=True)
    return seen[where], group.ravel()


def _ordered(
    names: tuple[str, ...],
    n_rows: int,
    observed: np.ndarray,
    count: np.ndarray,
    weight: np.ndarray,
    mean: np.ndarray,
    scatter: np.ndarray,
    *,
    weighted: bool,
) -> MissingPatterns:
    """Sort by frequency, then by pattern, so that the order of rows and parts does not show."""
    order = np.lexsort((*(~observed.astype(bool)).T[::-1], -count))
    return MissingPatterns(
        names,
        n_rows,
        observed[order].astype(np.int64),
        count[order].astype(np.int64),
        weight[order],
        mean[order],
        scatter[order],
        weighted,
    )
