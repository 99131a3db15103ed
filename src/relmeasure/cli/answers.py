"""A file of answers read for an instrument: which columns are items, and under which names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from relmeasure.cli.tables import Engine, Reading, is_text, read_table
from relmeasure.exceptions import ColumnNotFoundError, OptionError
from relmeasure.instruments import Instrument
from relmeasure.responses.answers import text_codes
from relmeasure.responses.renaming import under_item_ids

__all__ = ["Answers", "read_answers"]


@dataclass(frozen=True)
class Answers:
    """A table of answers.

    Attributes
    ----------
    frame : frame
        The table with its own column names.
    columns : dict or None
        Item id to column, where the names differ.
    by_item : frame
        The table with item ids as names.
    """

    frame: Any
    columns: dict[str, str] | None
    by_item: Any


def read_answers(
    instrument: Instrument,
    path: Path,
    engine: Engine = "pandas",
    *,
    sep: str | None = None,
    decimal: Literal[".", ","] = ".",
    columns: Path | None = None,
    out: Path | None = None,
) -> Answers:
    """Read a file of answers to an instrument.

    Parameters
    ----------
    instrument : Instrument
    path : Path
    engine : {"pandas", "polars", "duckdb"}
    sep, decimal
        As in ``Reading``.
    columns : Path, optional
        A table with the columns "item" and "column".
    out : Path, optional
        Where the table goes: a typed format gets numbers for the answers of a text file, not their texts.
    """
    names = None if columns is None else _mapping(columns)
    asked = [item for item in instrument.item_ids if _coded(instrument, item)]
    items = tuple((names or {}).get(item, item) for item in asked)
    typed = out is not None and is_text(path) and not is_text(out)
    frame = read_table(path, engine, Reading(items, sep, decimal, typed))
    return Answers(frame, names, under_item_ids(instrument, frame, names)[0] if names else frame)


def _coded(instrument: Instrument, item: str) -> bool:
    """Whether "NA" among the answers of an item is an empty cell: it is none of its labels, and no open answer."""
    scale = instrument.response_scale(item)
    return scale.kind != "open" and "NA" not in text_codes(scale)


def _mapping(path: Path) -> dict[str, str]:
    """Item id to column, from a table with these two columns; rows without a column are passed over."""
    frame = read_table(path)
    for name in ("item", "column"):
        if name not in frame.columns:
            raise ColumnNotFoundError.from_names([name], [str(c) for c in frame.columns], what="mapping")
    found: dict[str, str] = {}
    for item, column in zip(frame["item"].tolist(), frame["column"].tolist(), strict=True):
        if not isinstance(item, str) or not isinstance(column, str):
            continue
        if item in found:
            raise OptionError(f"--columns {path}: item '{item}' stands twice.", argument="columns", value=str(path))
        found[item] = column
    return found
