"""Columns of a frame as matrices of floats: at once from an eager frame, in batches of bounded size from a lazy one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from relmeasure.exceptions import NonNumericError, shorten
from relmeasure.responses.codes import collected
from relmeasure.responses.frames import Frame, Source
from relmeasure.responses.items import ItemPlan

__all__ = ["FloatMatrix", "keyed_expressions", "matrices", "numeric_frame", "plain_pandas"]

FloatMatrix = np.ndarray[Any, np.dtype[Any]]
_BATCH_VALUES = 1 << 21
"""Values of a batch from a lazy frame (16 MB of floats)."""


def keyed_expressions(plans: Iterable[ItemPlan]) -> list[nw.Expr]:
    """Keyed values of items, under their names."""
    return [plan.keyed_value.alias(plan.item) for plan in plans]


def numeric_frame(source: Source, names: Sequence[Any]) -> Frame:
    """Return the named columns as numbers; null or NaN where there is none.

    Raises
    ------
    NonNumericError
        Columns hold text, categories, dates or other objects; each is named.
    """
    kinds = {name: source.kinds[name] for name in names}
    objects = {name: _object_numbers(source, name) for name, kind in kinds.items() if kind == "object"}
    wrong = [name for name, kind in kinds.items() if kind in ("text", "other") or objects.get(name, ()) is None]
    wrong = [name for name in wrong if not _blank_text(source, name)]
    if wrong:
        told = shorten(f"'{name}' ({source.dtypes[name]})" for name in wrong)
        do = "columns do" if len(wrong) != 1 else "column does"
        raise NonNumericError(
            f"{len(wrong)} {do} not hold numbers: {told}. Every column is an item: "
            "leave out those that are not, name them in cluster=, group=, wave= or weights=, or bind the frame to an "
            "instrument that knows the labels.",
            columns=[str(name) for name in wrong],
        )
    frame = source.frame
    made = [nw.new_series(name, array, nw.Float64(), backend=source.backend) for name, array in objects.items()]
    if made:
        frame = frame.with_columns(*made)
    return frame.select(*[_number(source, name, kind) for name, kind in kinds.items()])


def _number(source: Source, name: Any, kind: str) -> nw.Expr:
    column = nw.col(name)
    if kind in ("empty", "text"):
        return nw.when(~column.is_null()).then(nw.lit(math.nan)).alias(name)
    plain = kind in ("integer", "float") and (source.lazy is False) and source.nan_is_null(name)
    return column if plain or kind == "object" else column.cast(nw.Float64)


def _blank_text(source: Source, name: Any) -> bool:
    """Whether a column that looks like text is merely empty: pandas has no type for a column of nothing."""
    if source.engine != "pandas" or source.kinds[name] != "text":
        return False
    return bool(source.native[name].isna().all())


def _object_numbers(source: Source, name: Any) -> np.ndarray[Any, Any] | None:
    """Numbers of a column of Python objects; None if there is something else among them."""
    values = source.frame.get_column(name).to_list()  # type: ignore[union-attr]
    out = []
    for value in values:
        if value is None or type(value).__name__ in ("NAType", "NaTType"):
            out.append(math.nan)
        elif isinstance(value, (Real, Decimal, np.bool_)):
            out.append(float(value))
        else:
            return None
    return np.array(out, dtype=float)


# --------------------------------------------------------------------------- arrays
def plain_pandas(data: Any) -> tuple[list[str], FloatMatrix] | None:
    """Names and numbers of a pandas frame of NumPy integers and floats; None for anything else.

    Such a frame is an array already, and NaN is its only gap: the general way adds only half a millisecond.
    """
    if type(data).__name__ != "DataFrame" or type(data).__module__.partition(".")[0] != "pandas":
        return None
    names = data.columns.tolist()
    if len(set(names)) < len(names) or not all(type(name) is str for name in names):
        return None
    if not all(isinstance(dtype, np.dtype) and dtype.kind in "iuf" for dtype in data.dtypes.tolist()):
        return None
    return names, data.to_numpy()


def matrices(frame: Frame) -> Iterator[FloatMatrix]:
    """Yield the rows of a frame of numbers as float matrices, persons by columns; NaN where null."""
    if not isinstance(frame, nw.LazyFrame):
        yield frame.to_numpy()
        return
    width = len(frame.collect_schema())
    rows = max(1, _BATCH_VALUES // max(width, 1))
    native = frame.to_native()
    if frame.implementation.is_polars() and hasattr(native, "collect_batches"):
        for batch in native.collect_batches(chunk_size=rows):
            yield batch.to_numpy()
    elif frame.implementation.is_duckdb():
        names = ("to_arrow_reader", "fetch_record_batch", "record_batch")  # from DuckDB 1.5, from 1.4, before
        fresh = native.project("*")  # before DuckDB 1.4, a relation can be streamed once
        read = next(getattr(fresh, name) for name in names if hasattr(fresh, name))
        for batch in read(rows):
            yield _columns(batch.columns, batch.num_rows)
    else:
        yield collected(frame).to_numpy()


def _columns(arrays: Sequence[Any], n: int) -> FloatMatrix:
    out = np.empty((n, len(arrays)), order="F")
    for j, array in enumerate(arrays):
        out[:, j] = array.to_numpy(zero_copy_only=False)
    return out
