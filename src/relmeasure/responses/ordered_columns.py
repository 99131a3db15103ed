"""Columns whose type declares an order of categories: ordered pandas categories, enums of Polars and DuckDB.

The declared order is the order of the answers: the first category becomes 1, the next 2, and one that nobody chose
keeps its place. Categories without an order are refused, with how to give them one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw

from relmeasure.exceptions import NonNumericError, shorten
from relmeasure.responses.frames import Source, open_frame

__all__ = ["by_position"]

_HOW = (
    "pandas: frame[name].astype(pd.CategoricalDtype([...], ordered=True)); Polars: pl.col(name).cast(pl.Enum([...])), "
    "lowest answer first. Or bind the frame to an instrument that knows the labels"
)


def by_position(source: Source, items: Sequence[Any]) -> tuple[Source, dict[str, tuple[float, ...]]]:
    """Put positions, from one, in place of ordered categories.

    Returns
    -------
    Source
        The frame with numbers in these columns.
    dict
        Positions of all declared categories, by item.

    Raises
    ------
    NonNumericError
        Categories without a declared order; each column is named.
    """
    levels = {name: _levels(source, name) for name in items if source.kinds[name] in ("text", "other")}
    loose = [name for name, found in levels.items() if found is None and _is_category(source, name)]
    if loose:
        raise NonNumericError(
            f"{shorten(map(repr, loose))}: categories without an order are no ordered answers. Declare "
            f"the order ({_HOW}).",
            columns=[str(name) for name in loose],
        )
    ordered = {name: found for name, found in levels.items() if found}
    if not ordered:
        return source, {}
    if source.engine == "pandas":
        made = [_codes(source, name) for name in ordered]
        frame = source.frame.with_columns(*made)
    else:
        frame = source.frame.with_columns(*(_positions(name, found) for name, found in ordered.items()))
    places = {str(name): tuple(float(k) for k in range(1, len(found) + 1)) for name, found in ordered.items()}
    return open_frame(frame.to_native()), places


def _levels(source: Source, name: Any) -> tuple[Any, ...] | None:
    """Declared categories in their order; None where there is no order."""
    if source.engine == "pandas":
        dtype = source.native[name].dtype
        return tuple(dtype.categories) if getattr(dtype, "ordered", False) else None
    if source.engine == "pyarrow":
        column = source.native.schema.field(name).type
        if not getattr(column, "ordered", False):
            return None
        return tuple(source.native[name].unify_dictionaries().chunk(0).dictionary.to_pylist())
    dtype = source.dtypes[name]
    return tuple(dtype.categories) if dtype == nw.Enum else None


def _is_category(source: Source, name: Any) -> bool:
    return source.dtypes[name] in (nw.Categorical, nw.Enum)


def _codes(source: Source, name: Any) -> nw.Series[Any]:
    """Positions of an ordered pandas categorical."""
    codes = source.native[name].cat.codes.to_numpy().astype(float) + 1.0
    codes[codes == 0.0] = math.nan
    return nw.new_series(name, codes, nw.Float64(), backend=source.backend)


def _positions(name: Any, levels: Sequence[Any]) -> nw.Expr:
    text = nw.col(name).cast(nw.String)
    place: nw.Expr = nw.when(text == str(levels[0])).then(nw.lit(1.0))
    for k, level in enumerate(levels[1:], start=2):
        place = nw.when(text == str(level)).then(nw.lit(float(k))).otherwise(place)
    return place.alias(name)
