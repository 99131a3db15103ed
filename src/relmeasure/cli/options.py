"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from relmeasure.cli.tables import Engine

__all__ = [
    "ColumnsOpt",
    "DataArg",
    "DecimalOpt",
    "EngineOpt",
    "InstrumentArg",
    "JsonOpt",
    "LangOpt",
    "OutOpt",
    "ScalesOpt",
    "SepOpt",
    "UnknownOpt",
]

InstrumentArg = Annotated[
    str, typer.Argument(help="Id of an instrument (see 'list'), or path of a .toml or .json file.")
]
DataArg = Annotated[Path, typer.Argument(help="CSV, TSV, Parquet or Arrow file of stored codes, one row a person.")]
EngineOpt = Annotated[Engine, typer.Option(help="Library that does the work.")]
UnknownOpt = Annotated[
    Literal["raise", "missing"], typer.Option(help="Unknown codes: an error, or missing (recorded).")
]
JsonOpt = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
LangOpt = Annotated[str | None, typer.Option(help="Language of the wording, e.g. en or es.")]
OutOpt = Annotated[Path | None, typer.Option("--out", "-o", help="Write the table to this file.")]
ScalesOpt = Annotated[list[str] | None, typer.Option("--scale", "-s", help="Only this scale; may be repeated.")]
SepOpt = Annotated[
    str | None,
    typer.Option(help="What separates cells of a text file: , ; | or tab. Default: the sign in its header line."),
]
DecimalOpt = Annotated[
    Literal[".", ","], typer.Option(help="Decimal sign of answers in a text file, as pandas names it.")
]
ColumnsOpt = Annotated[
    Path | None,
    typer.Option(help="Table with the columns 'item' and 'column': where the data have other names than the item ids."),
]
