"""Counts, sums and sums of squares of score columns by group, computed by the engine that holds the frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from relmeasure.exceptions import ColumnNotFoundError

__all__ = ["GroupSums", "group_sums"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class GroupSums:
    """Sums over the rows of each group; rows sorted by key.

    Attributes
    ----------
    keys : dict of list
        One list of labels a key column.
    names : tuple of str
        The value columns.
    rows : array (G,)
        Rows of each group, answered or not.
    n, total, square, below : array (G, p)
        Values present, their sum, sum of squares, and how many lie below the cut of their column.
    """

    keys: dict[str, list[str]]
    names: tuple[str, ...]
    rows: Array
    n: Array
    total: Array
    square: Array
    below: Array

    @property
    def mean(self) -> Array:
        """Group means, array (G, p); NaN where nothing is present."""
        return np.asarray(np.divide(self.total, self.n, out=np.full_like(self.total, np.nan), where=self.n > 0))

    @property
    def within(self) -> Array:
        """Sum of squares about the group means, array (G, p)."""
        mean = np.where(self.n > 0, self.mean, 0.0)
        return np.asarray(np.maximum(self.square - self.n * mean**2, 0.0))

    def pick(self, mask: Any) -> GroupSums:
        """Return some of the groups."""
        keep = np.flatnonzero(mask)
        keys = {name: [labels[i] for i in keep] for name, labels in self.keys.items()}
        parts = (self.rows, self.n, self.total, self.square, self.below)
        return GroupSums(keys, self.names, *(part[keep] for part in parts))


def group_sums(
    frame: Any, values: Sequence[str], by: Sequence[str], *, cuts: Mapping[str, float] | None = None
) -> GroupSums:
    """Sum score columns by group in one query, eager or lazy; rows without a group are not used.

    Parameters
    ----------
    frame : frame
        pandas, Polars (eager or lazy), PyArrow or DuckDB.
    values : sequence of str
        Numeric columns.
    by : sequence of str
        Key columns.
    cuts : mapping of column to float, optional
        Values below the cut are counted.

    Returns
    -------
    GroupSums
        The sums are about each column's cut or zero; scores of a declared range lose no digits that way.
    """
    native = nw.from_native(frame)
    names = native.collect_schema().names()
    gone = [name for name in (*by, *values) if name not in names]
    if gone:
        raise ColumnNotFoundError.from_names(gone, names, what="named")
    parts: list[Any] = []
    for k, name in enumerate(values):
        column = nw.col(name).cast(nw.Float64)
        present = ~(column.is_null() | column.is_nan())
        value = nw.when(present).then(column)
        parts += [
            present.cast(nw.Int64).alias(f"__n{k}"),
            value.alias(f"__t{k}"),
            (value * value).alias(f"__s{k}"),
        ]
        if cuts and name in cuts:
            parts.append((value < cuts[name]).cast(nw.Int64).alias(f"__b{k}"))
    keyed = native.select(*(nw.col(key) for key in by), nw.lit(1).alias("__rows"), *parts)
    grouped = keyed.group_by(*by, drop_null_keys=True).agg(
        *(nw.col(name).sum() for name in keyed.collect_schema().names() if name.startswith("__"))
    )
    table = grouped.collect() if isinstance(grouped, nw.LazyFrame) else grouped
    return _arranged(table, tuple(values), list(by))


def _arranged(table: nw.DataFrame[Any], values: tuple[str, ...], by: list[str]) -> GroupSums:
    keys = {key: [_label(value) for value in table[key].to_list()] for key in by}
    order = sorted(range(len(table)), key=lambda i: tuple(keys[key][i] for key in by))

    def column(name: str) -> Array:
        if name not in table.columns:
            return np.full(len(order), np.nan)
        filled = [0.0 if v is None else float(v) for v in table[name].to_list()]
        return np.array(filled, dtype=float)[order] if order else np.zeros(0)

    def matrix(letter: str) -> Array:
        return np.column_stack([column(f"__{letter}{k}") for k in range(len(values))])

    sorted_keys = {key: [labels[i] for i in order] for key, labels in keys.items()}
    return GroupSums(sorted_keys, values, column("__rows"), matrix("n"), matrix("t"), matrix("s"), matrix("b"))


def _label(value: Any) -> str:
    """Labels as text; whole floats (a nullable integer column in pandas) lose their ``.0``."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
