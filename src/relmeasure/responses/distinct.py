"""Columns of text read through their distinct values: a few labels are looked up, not every row.

The rules are those of ``answers.code_of``; here they meet each text once. A lazy frame is read by expressions instead.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from relmeasure.responses.answers import blank_to_null, code_of, code_series

if TYPE_CHECKING:
    from relmeasure.instruments.definition import ResponseScale
    from relmeasure.responses.frames import Source

__all__ = ["numbers_of_objects", "numbers_of_text"]


def numbers_of_text(source: Source, item: str, scale: ResponseScale, name: str) -> nw.Series[Any]:
    """Return the numbers of a text column of an eager frame; null where it is empty, infinity where no code.

    Parameters
    ----------
    source : Source
        An eager frame in which the item holds text.
    item, name : str
        The column, and the name of the new one.
    scale : ResponseScale
    """
    column = source.frame.get_column(item)  # type: ignore[union-attr]
    if source.engine == "pandas":
        return _pandas_numbers(column, scale, name, source)
    texts = (column if column.dtype == nw.String else column.cast(nw.String)).to_native()
    if source.engine == "polars":
        import polars as pl

        words = texts.unique().drop_nulls().to_list()
        codes = [_gap(word, scale) for word in words]
        return _named(texts.replace_strict(words, codes, default=None, return_dtype=pl.Float64), name)
    import pyarrow as pa
    import pyarrow.compute as pc

    known = pc.unique(texts)
    table = pa.array([None if word is None else _gap(word, scale) for word in known.to_pylist()], pa.float64())
    numbers = table.take(pc.index_in(texts, value_set=known).combine_chunks())
    return _named(pa.chunked_array([numbers]), name)


def numbers_of_objects(
    source: Source, item: str, scale: ResponseScale, name: str
) -> tuple[nw.Series[Any], nw.Expr | None]:
    """Return the numbers of a column of Python objects, and what turns its NaN into null where that is needed."""
    column = source.frame.get_column(item)  # type: ignore[union-attr]
    if source.engine == "pandas":
        import pandas as pd

        if pd.api.types.infer_dtype(column.to_native(), skipna=True) == "string":
            return _pandas_numbers(column, scale, name, source), None
    numbers = code_series(column.to_list(), scale, item)
    return nw.new_series(name, numbers, nw.Float64(), backend=source.backend), blank_to_null(nw.col(name)).alias(name)


def _pandas_numbers(column: nw.Series[Any], scale: ResponseScale, name: str, source: Source) -> nw.Series[Any]:
    """Numbers of texts, or of a categorical through its categories."""
    import numpy as np
    import pandas as pd

    native = column.to_native()
    words: Any
    if isinstance(native.dtype, pd.CategoricalDtype):
        words, places = native.cat.categories.astype(str), native.cat.codes.to_numpy()
    else:
        as_text = native if column.dtype in (nw.String, nw.Object) else column.cast(nw.String).to_native()
        places, words = pd.factorize(as_text)
    table = np.array([*(code_of(word, scale) for word in words), math.nan])  # -1, no text, takes the last
    return nw.new_series(name, table[places], nw.Float64(), backend=source.backend)


def _named(native: Any, name: str) -> nw.Series[Any]:
    series: nw.Series[Any] = nw.from_native(native, series_only=True)
    return series.alias(name)


def _gap(word: str, scale: ResponseScale) -> float | None:
    code = code_of(word, scale)
    return None if math.isnan(code) else code
