"""Frames whose columns bear other names than the items of an instrument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals.stable.v2 as nw

from relmeasure.exceptions import ColumnCollisionError, ColumnNotFoundError, OptionError, did_you_mean, shorten
from relmeasure.instruments.definition import Instrument
from relmeasure.responses.frames import open_frame

__all__ = ["renamed_columns", "under_item_ids"]


def renamed_columns(data: Any, names: Mapping[str, str], keep: Sequence[str] = ()) -> Any:
    """Return a frame of the same engine with the columns ``names`` under new names, and ``keep`` as they are.

    Parameters
    ----------
    data : frame
    names : mapping of new name to column
    keep : sequence of str

    Raises
    ------
    ColumnNotFoundError
    """
    source = open_frame(data)
    wanted = [*names.values(), *keep]
    columns = [str(c) for c in source.columns]
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise ColumnNotFoundError.from_names(missing, columns, what="named")
    chosen = [nw.col(column).alias(name) for name, column in names.items()]
    rest = [nw.col(name) for name in dict.fromkeys(keep) if name not in names]
    return nw.to_native(source.frame.select(*chosen, *rest))


def under_item_ids(instrument: Instrument, data: Any, columns: Mapping[str, str]) -> tuple[Any, dict[str, str]]:
    """Return the frame with item ids in place of its own names, and which items had another name.

    Parameters
    ----------
    instrument : Instrument
    data : frame
    columns : mapping of item id to column
        Items that it does not name keep their id. An item without any column is left to whoever needs it.

    Raises
    ------
    OptionError
        Something that is no item, or one column for two items.
    ColumnNotFoundError
        The data do not have the column named, but one of the item's own name.
    ColumnCollisionError
        An item has another column, and its id is a column of the data too.
    """
    source = open_frame(data)
    _check_mapping(instrument, columns)
    present = set(source.columns)
    astray = [column for item, column in columns.items() if column not in present and item in present]
    if astray:
        raise ColumnNotFoundError.from_names(astray, [str(c) for c in source.columns], what="mapped")
    other = {item: column for item, column in columns.items() if item != column and column in present}
    clashes = [item for item in other if item in present and item not in other.values()]
    if clashes:
        told = shorten(f"{item} (columns={{'{item}': '{other[item]}'}})" for item in clashes)
        raise ColumnCollisionError(
            f"{len(clashes)} items have another column by columns=, and one of their own name is in the data too: "
            f"{told}. Drop or rename that one.",
            columns=clashes,
        )
    if not other:
        return data, other
    return nw.to_native(source.frame.rename({column: item for item, column in other.items()})), other


def _check_mapping(instrument: Instrument, columns: Mapping[str, str]) -> None:
    stray = [item for item in columns if item not in instrument.item_ids]
    if stray:
        raise OptionError(
            f"columns= names {shorten(map(repr, stray))}, which {instrument.label} does not have."
            f"{did_you_mean(str(stray[0]), instrument.item_ids)} It maps an item id to the column that holds it.",
            argument="columns",
            value=stray,
        )
    named = list(columns.values())
    twice = [column for column in dict.fromkeys(named) if named.count(column) > 1]
    if twice:
        told = shorten(f"'{c}' ({', '.join(i for i, name in columns.items() if name == c)})" for c in twice)
        raise OptionError(f"columns= gives one column to several items: {told}.", argument="columns", value=twice)
