"""Rows of items as a matrix, for what sample statistics cannot tell: scores, resamples, simulated answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from relmeasure.exceptions import UnsupportedDataError
from relmeasure.responses.binding import KeyedResponses, Responses
from relmeasure.responses.frames import open_frame
from relmeasure.responses.matrices import keyed_expressions, matrices, numeric_frame

__all__ = ["item_rows", "item_table"]

Array = np.ndarray[Any, np.dtype[np.float64]]


def item_table(data: Any, exclude: Iterable[str | None] = ()) -> tuple[Array, tuple[str, ...]]:
    """Return every item of a frame, array or responses as floats (n, p), with the items' names; NaN is missing.

    Raises
    ------
    UnsupportedDataError
        Not rows: a sample statistic or a matrix has none.
    """
    if isinstance(data, np.ndarray):
        if data.ndim != 2:
            raise UnsupportedDataError(f"An array of persons by items has 2 dimensions; this one has {data.ndim}.")
        return np.asarray(data, dtype=float), tuple(f"x{k + 1}" for k in range(data.shape[1]))
    if isinstance(data, Responses):
        data = data.keyed()
    if isinstance(data, KeyedResponses):
        raw = data.responses
        names: Sequence[Any] = data.items
        frame = raw.work.select(*keyed_expressions(raw.plans.values()))
    else:
        source = open_frame(data)
        aside = {name for name in exclude if name is not None}
        names = [name for name in source.columns if name not in aside]
        frame = numeric_frame(source, names)
    blocks = list(matrices(frame))
    rows = np.concatenate(blocks) if blocks else np.empty((0, len(names)))
    return np.asarray(rows, dtype=float), tuple(str(name) for name in names)


def item_rows(data: Any, names: Sequence[str]) -> tuple[Array, tuple[Any, ...]]:
    """Return the named items of some rows, in that order, and the row labels of a pandas frame that has its own.

    Raises
    ------
    UnsupportedDataError
        An array with another number of columns.
    ColumnNotFoundError
        An item that is not in the frame.
    """
    if isinstance(data, np.ndarray):
        rows, _ = item_table(data)
        if rows.shape[1] != len(names):
            raise UnsupportedDataError(
                f"An array is read by position: {len(names)} items are needed, it has {rows.shape[1]} columns."
            )
        return rows, ()
    if isinstance(data, (Responses, KeyedResponses)):
        rows, found = item_table(data)
        where = {name: k for k, name in enumerate(found)}
        return rows[:, [where[name] for name in names]], ()
    source = open_frame(data)
    known = {str(name): name for name in source.columns}
    source.require([known.get(name, name) for name in names])
    frame = numeric_frame(source, [known[name] for name in names])
    blocks = list(matrices(frame))
    rows = np.concatenate(blocks) if blocks else np.empty((0, len(names)))
    return np.asarray(rows, dtype=float), _labels(data) if source.engine == "pandas" else ()


def _labels(frame: Any) -> tuple[Any, ...]:
    labels = frame.index
    plain = len(labels) == 0 or (labels.dtype.kind in "iu" and bool((labels == np.arange(len(labels))).all()))
    return () if plain else tuple(labels.tolist())
