"""Columns of numbers beside columns of labels: what crossed and nested designs are read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from relmeasure.responses.frames import open_frame
from relmeasure.responses.matrices import numeric_frame
from relmeasure.results import FloatArray, IntArray
from relmeasure.samplestats.clusters import coded_labels, has_label

__all__ = ["LabelledColumns", "column_names", "read_columns"]


@dataclass(frozen=True)
class LabelledColumns:
    """Rows of a frame, numbers and coded labels.

    Attributes
    ----------
    numbers : dict of array (n,)
        Floats, NaN where missing.
    codes : dict of array (n,)
        Place of each row's label among ``labels``; -1 where there is none.
    labels : dict of tuple
        Labels as text, sorted.
    n_rows : int
    """

    numbers: dict[str, FloatArray]
    codes: dict[str, IntArray]
    labels: dict[str, tuple[str, ...]]
    n_rows: int

    def complete(self, numbers: Sequence[str], labels: Sequence[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which rows have every one of these numbers and labels."""
        mask = np.ones(self.n_rows, dtype=bool)
        for name in numbers:
            mask &= ~np.isnan(self.numbers[name])
        for name in labels:
            mask &= self.codes[name] >= 0
        return mask


def column_names(data: Any) -> tuple[str, ...]:
    """Return the column names of a frame of any engine."""
    return tuple(str(name) for name in open_frame(data).columns)


def read_columns(data: Any, *, numbers: Sequence[str] = (), labels: Sequence[str] = ()) -> LabelledColumns:
    """Read the named columns of a frame of any engine; a lazy frame is collected for these columns only.

    Raises
    ------
    ColumnNotFoundError
        A named column is not in the frame.
    NonNumericError
        A column of ``numbers`` holds something else.
    """
    source = open_frame(data)
    wanted = list(dict.fromkeys([*labels, *numbers]))
    source.require(wanted, what="named")
    if isinstance(source.frame, nw.LazyFrame):  # once, so that numbers and labels stay in the same order
        source = open_frame(source.frame.select(*wanted).collect().to_native())
    frame = source.frame
    values: Any = numeric_frame(source, list(dict.fromkeys(numbers))) if numbers else None
    columns = {name: _floats(values[name].to_numpy()) for name in dict.fromkeys(numbers)}
    codes, found = {}, {}
    for name in dict.fromkeys(labels):
        codes[name], found[name] = _coded(frame.get_column(name).to_numpy())  # type: ignore[union-attr]
    return LabelledColumns(columns, codes, found, len(frame))  # type: ignore[arg-type]


def _floats(column: np.ndarray[Any, Any]) -> FloatArray:
    if column.dtype != object:
        return column.astype(np.float64)
    return np.array([np.nan if v is None or type(v).__name__ == "NAType" else float(v) for v in column])


def _coded(column: np.ndarray[Any, Any]) -> tuple[IntArray, tuple[str, ...]]:
    present = has_label(column)
    out = np.full(len(column), -1, dtype=np.int64)
    if not present.any():
        return out, ()
    texts, code = coded_labels(column[present])
    out[present] = code
    return out, tuple(texts.tolist())
