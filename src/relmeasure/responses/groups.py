"""Counts, sums and sums of squares of score columns by group, computed by the engine that holds the frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from relmeasure.exceptions import ColumnNotFoundError, DataError, NonNumericError
from relmeasure.responses.binding import WORKING
from relmeasure.responses.frames import Source

__all__ = ["GroupSums", "group_sums", "label_text", "refuse_people_twice", "where_present"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_BAD = f"{WORKING}bad"
"""Working column: rows whose weight is no weight."""

_NUMBER = r"^\s*\+?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*$"
"""Text that is a number of at least zero."""


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
    weight, weighted, weighted_below, weight_square : array (G, p), optional
        With weights: over the values present the sum of weights, of weighted values, of weights of values below the
        cut, and of squared weights.
    """

    keys: dict[str, list[str]]
    names: tuple[str, ...]
    rows: Array
    n: Array
    total: Array
    square: Array
    below: Array
    weight: Array | None = None
    weighted: Array | None = None
    weighted_below: Array | None = None
    weight_square: Array | None = None

    @property
    def mean(self) -> Array:
        """Group means, weighted where there are weights, array (G, p); NaN where nothing is present."""
        return _ratio(*((self.total, self.n) if self.weighted is None else (self.weighted, self.weight)))

    @property
    def share_below(self) -> Array:
        """Share of values below the cut, weighted where there are weights."""
        return _ratio(*((self.below, self.n) if self.weighted_below is None else (self.weighted_below, self.weight)))

    @property
    def effective_n(self) -> Array:
        """Rows that would give an unweighted mean of the same precision, (sum w)^2 / sum w^2 (Kish, 1965)."""
        if self.weight is None:
            return self.n
        return _ratio(self.weight**2, self.weight_square)

    @property
    def within(self) -> Array:
        """Sum of squares about the unweighted group means, array (G, p)."""
        mean = _ratio(self.total, np.maximum(self.n, 1.0))
        return np.asarray(np.maximum(self.square - self.n * mean**2, 0.0))

    def pick(self, mask: Any) -> GroupSums:
        """Return some of the groups."""
        keep = np.flatnonzero(mask)
        keys = {name: [labels[i] for i in keep] for name, labels in self.keys.items()}
        parts = (self.rows, self.n, self.total, self.square, self.below)
        extra = (self.weight, self.weighted, self.weighted_below, self.weight_square)
        chosen = (None if part is None else part[keep] for part in extra)
        return GroupSums(keys, self.names, *(part[keep] for part in parts), *chosen)


def where_present(frame: Any, parts: Mapping[str, Sequence[str]]) -> Any:
    """Blank the parts of a composite where the composite is missing: ``{"composite": ["part", ...]}``.

    Composite and parts then rest on the same people, so that nobody's answers are the difference between them.
    """
    native = nw.from_native(frame)
    for whole, columns in parts.items():
        there = ~nw.col(whole).is_null()
        native = native.with_columns(*(nw.when(there).then(nw.col(name)).alias(name) for name in columns))
    return native.to_native()


STUDENT = "student_id"
"""Column that is looked at for students with two rows, where no other is named."""


def refuse_people_twice(source: Source, by: Sequence[str], student: str | None = None) -> None:
    """Refuse students with two rows in a group: they would count twice, in gates of disclosure and in errors of means.

    A lazy frame is looked at only where the column is named: it may hold more students than fit in memory.
    """
    name = student or STUDENT
    if student is None and (name not in source.columns or name in by or source.lazy):
        return
    source.require([name], what="named")
    count, example = _people_twice(source.frame, by, name)
    if count:
        where = ", ".join(f"{key} '{label}'" for key, label in example.items() if key != name)
        raise DataError(
            f"{count} students have more than one row, such as '{example[name]}' in {where}. Keep one row a student; "
            "where the rows are waves, name their column in wave=, or take one wave.",
            n_students=count,
        )


def _people_twice(frame: Any, by: Sequence[str], person: str) -> tuple[int, dict[str, str]]:
    """How many people have more than one row in a group, and one of them with the labels of the group."""
    rows = f"{WORKING}rows"
    counts = frame.group_by(*by, person, drop_null_keys=True).agg(nw.len().alias(rows)).filter(nw.col(rows) > 1)
    table = counts.collect() if isinstance(counts, nw.LazyFrame) else counts
    if not len(table):
        return 0, {}
    return len(table), {name: label_text(table[name].to_list()[0]) for name in (*by, person)}


def group_sums(
    frame: Any,
    values: Sequence[str],
    by: Sequence[str],
    *,
    cuts: Mapping[str, float] | None = None,
    weights: str | None = None,
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
    weights : str, optional
        Column of sampling weights, above zero; a missing or negative one is an error.

    Returns
    -------
    GroupSums
        The sums are about each column's cut or zero; scores of a declared range lose no digits that way.

    Raises
    ------
    ColumnNotFoundError
        A column is not in the frame.
    DataError, NonNumericError
        A weight is missing, zero or negative, or no number.
    """
    native = nw.from_native(frame)
    names = native.collect_schema().names()
    gone = [name for name in (*by, *values, *([weights] if weights else [])) if name not in names]
    if gone:
        raise ColumnNotFoundError.from_names(gone, names, what="named")
    parts = [
        (nw.col(by[0]).is_null().cast(nw.Int64) * 0 + 1).alias(f"{WORKING}rows"),  # a literal does not fit no rows
        *(part for k, v in enumerate(values) for part in _parts(k, v, cuts, weights)),
    ]
    if weights:
        native = _with_numbers(native, weights)
        weight = nw.col(weights).cast(nw.Float64)
        bad = weight.is_null() | weight.is_nan() | ~(weight > 0)
        parts.append(bad.cast(nw.Int64).alias(_BAD))
    keyed = native.select(*(nw.col(key) for key in by), *parts)
    grouped = keyed.group_by(*by, drop_null_keys=True).agg(
        *(nw.col(name).sum() for name in keyed.collect_schema().names() if name.startswith(WORKING))
    )
    table = _streamed(grouped) if isinstance(grouped, nw.LazyFrame) else grouped
    if weights:
        _check_weights(table, weights)
    return _arranged(table, tuple(values), list(by))


def _parts(k: int, name: str, cuts: Mapping[str, float] | None, weights: str | None) -> list[Any]:
    """What is summed of value column number k, a letter each: n, t, s, b; with weights also w, y, q, v."""
    column = nw.col(name).cast(nw.Float64)
    present = ~(column.is_null() | column.is_nan())
    value = nw.when(present).then(column)
    summed = {"n": present.cast(nw.Int64), "t": value, "s": value * value}
    if cuts and name in cuts:
        summed["b"] = (value < cuts[name]).cast(nw.Int64)
    if weights:
        weight = nw.when(present).then(nw.col(weights).cast(nw.Float64))
        summed |= {"w": weight, "y": weight * value, "q": weight * weight}
        if cuts and name in cuts:
            summed["v"] = nw.when(value < cuts[name]).then(weight)
    return [expression.alias(f"{WORKING}{letter}{k}") for letter, expression in summed.items()]


def _with_numbers(frame: Any, weights: str) -> Any:
    """Weights that stand as text (a CSV file read as text) as numbers; what is no number becomes missing."""
    dtype = frame.collect_schema()[weights]
    if dtype.is_numeric():
        return frame
    if dtype != nw.String:
        raise NonNumericError(f"weights='{weights}' holds {dtype}: weights are numbers.", column=weights)
    text = nw.col(weights).fill_null("")  # a mask with gaps is no mask on older pandas
    return frame.with_columns(nw.when(text.str.contains(_NUMBER)).then(text).cast(nw.Float64).alias(weights))


def _streamed(query: nw.LazyFrame[Any]) -> nw.DataFrame[Any]:
    """Run a lazy query, in Polars by its engine of bounded memory where it has one."""
    if query.implementation.is_polars() and query.implementation._backend_version() >= (1, 25):
        return nw.from_native(query.to_native().collect(engine="streaming"), eager_only=True)
    return query.collect()


def _check_weights(table: nw.DataFrame[Any], weights: str) -> None:
    bad = int(table[_BAD].sum())
    if bad:
        raise DataError(
            f"{bad} rows have no weight above zero in '{weights}': drop these rows, or give each a weight.", n_rows=bad
        )


def _arranged(table: nw.DataFrame[Any], values: tuple[str, ...], by: list[str]) -> GroupSums:
    keys = {key: [label_text(value) for value in table[key].to_list()] for key in by}
    named = [i for i in range(len(table)) if all(keys[key][i] != "nan" for key in by)]
    order = sorted(named, key=lambda i: tuple(keys[key][i] for key in by))
    columns = set(table.columns)

    def column(name: str) -> Array:
        if name not in columns:
            return np.full(len(order), np.nan)
        return np.nan_to_num(table[name].cast(nw.Float64).to_numpy().astype(np.float64))[order]

    def matrix(letter: str) -> Array:
        return np.column_stack([column(f"{WORKING}{letter}{k}") for k in range(len(values))])

    sorted_keys = {key: [labels[i] for i in order] for key, labels in keys.items()}
    extra = [matrix(letter) if f"{WORKING}w0" in columns else None for letter in "wyvq"]
    plain = (matrix("n"), matrix("t"), matrix("s"), matrix("b"))
    return GroupSums(sorted_keys, values, column(f"{WORKING}rows"), *plain, *extra)


def _ratio(above: Array | None, below: Array | None) -> Array:
    if above is None or below is None:
        return np.zeros((0, 0))
    return np.asarray(np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0))


def label_text(value: Any) -> str:
    """Labels as text; whole floats (a nullable integer column in pandas) lose their ``.0``."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
