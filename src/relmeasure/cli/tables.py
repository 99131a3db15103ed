"""Read and write tables of answers: CSV, TSV, Parquet and Arrow, through pandas, Polars or DuckDB.

Text files are read as text, column for column, so that ids keep their leading zeros and codes are judged by the
instrument, not by a guess. Only in the columns of items is "NA" an empty cell. Files are written whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args
from uuid import uuid4

from relmeasure.cli.text_files import SEPARATORS, TextFormat, check_encoding, text_format
from relmeasure.exceptions import (
    MissingExtraError,
    OptionError,
    RelmeasureError,
    UnsupportedDataError,
    did_you_mean,
)

__all__ = ["Engine", "Reading", "is_text", "read_table", "refuse_input", "write_table", "write_text"]

Engine = Literal["pandas", "polars", "duckdb"]
"""Library that holds the answers."""

_NA = "NA"
"""What stands for an empty cell in a column of answers, as R writes it; elsewhere it is a word."""

_COMMA = r"^\s*[+-]?[0-9]*,[0-9]+\s*$"
_NUMBER = r"^\s*[+-]?(?:[0-9]+(?:[.][0-9]*)?|[.][0-9]+)\s*$"
_WHOLE = r"^\s*[+-]?[0-9]{1,15}\s*$"

_ARROW = {".arrow", ".feather", ".ipc"}
_SUFFIXES = (*SEPARATORS, ".parquet", *sorted(_ARROW))
_FOREIGN = {
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".ods"), "a workbook"),
    **dict.fromkeys((".sav", ".dta", ".sas7bdat", ".rds"), "a file of a statistics program"),
}


@dataclass(frozen=True)
class Reading:
    """How a text file of answers is read; other formats say it themselves.

    Attributes
    ----------
    items : sequence of str
        Columns of answers: "NA" is an empty cell there, and decimal commas are numbers if that was said.
    sep : str or None
        What separates cells; None: the sign in the header line.
    decimal : {".", ","}
    numbers : bool
        Turn columns of answers that hold numbers only into columns of numbers.
    """

    items: Sequence[str] = ()
    sep: str | None = None
    decimal: Literal[".", ","] = "."
    numbers: bool = False


def read_table(path: Path, engine: Engine = "pandas", reading: Reading | None = None) -> Any:
    """Return the table in a file: a pandas frame, a Polars lazy frame or a DuckDB relation."""
    if engine not in get_args(Engine):
        raise OptionError.from_value("engine", engine, get_args(Engine))
    suffix = _suffix(path)
    if not path.is_file():
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UnsupportedDataError(f"There is no file {path}.{did_you_mean(path.name, near)}", path=str(path))
    how = reading or Reading()
    read_text = {"pandas": _pandas_text, "polars": _polars_text, "duckdb": _duckdb_text}[engine]
    read_typed = {"pandas": _pandas_typed, "polars": _polars_typed, "duckdb": _duckdb_typed}[engine]
    unreadable: tuple[type[Exception], ...] = (OSError, ValueError, *_engine_errors(engine))
    try:
        if suffix not in SEPARATORS:
            return read_typed(path, suffix)
        check_encoding(path)
        return read_text(path, text_format(path, how.sep), how)
    except unreadable as error:
        if isinstance(error, RelmeasureError):
            raise
        told = f"{path} cannot be read as {suffix[1:]}: {_first_line(error)}"
        raise UnsupportedDataError(told, path=str(path)) from error


def is_text(path: Path) -> bool:
    """Whether a file is a text file by its suffix."""
    return path.suffix.lower() in SEPARATORS


def refuse_input(out: Path | None, *inputs: Path | None) -> None:
    """Raise if a file to be written is one that is read, by whatever path: raw data are never replaced."""
    for path in inputs:
        if out is None or path is None or not path.exists():
            continue
        same = out.exists() and out.samefile(path)
        if same or out.resolve() == path.resolve():
            raise OptionError(
                f"--out {out} is the file that is read ({path}): choose another name. Raw data are never replaced.",
                argument="out",
                value=str(out),
            )


def write_table(frame: Any, path: Path) -> None:
    """Write a pandas, Polars or DuckDB table to a file whose suffix names the format."""
    suffix = _suffix(path)
    module = type(frame).__module__.partition(".")[0]
    if module == "pandas":
        _replace(path, lambda tmp: _write_pandas(frame, tmp, suffix))
    elif module == "polars":
        _replace(path, lambda tmp: _write_polars(frame, tmp, suffix))
    elif "duckdb" in module:
        _replace(path, lambda tmp: _write_duckdb(frame, tmp, suffix))
    else:
        raise UnsupportedDataError(f"A {type(frame).__name__} cannot be written: use pandas, Polars or DuckDB.")


def write_text(text: str, path: Path) -> None:
    """Write text to a file, whole or not at all."""
    _replace(path, lambda tmp: Path(tmp).write_text(text, encoding="utf-8"))


# --------------------------------------------------------------------------- readers of text
def _pandas_text(path: Path, form: TextFormat, how: Reading) -> Any:
    import pandas as pd

    frame = pd.read_csv(path, sep=form.sep, dtype=str, keep_default_na=False, na_values=[""])
    for name in _answers(form, how):
        column = frame[name].mask(frame[name] == _NA)
        if how.decimal == ",":
            column = column.mask(column.str.contains(_COMMA, na=False), column.str.replace(",", ".", regex=False))
        if how.numbers and (known := column.dropna()).str.contains(_NUMBER).all():
            whole = known.str.contains(_WHOLE).all()
            column = pd.to_numeric(column.str.strip()).astype("Int64" if whole else "Float64")
        frame[name] = column
    return frame


def _polars_text(path: Path, form: TextFormat, how: Reading) -> Any:
    pl = _need("polars", "polars", "engine 'polars'")
    # Read whole: a scan of some columns does not notice a row with a cell too many, which shifts its answers.
    frame = pl.read_csv(path, separator=form.sep, infer_schema=False, null_values=[""])
    columns = []
    for name in _answers(form, how):
        column = frame[name].set(frame[name] == _NA, None)
        if how.decimal == ",":
            commas = column.str.contains(_COMMA)
            column = column.zip_with(~commas.fill_null(value=False), column.str.replace(",", ".", literal=True))
        if how.numbers and (known := column.drop_nulls()).str.contains(_NUMBER).all():
            whole = known.str.contains(_WHOLE).all()
            column = column.str.strip_chars().cast(pl.Int64 if whole else pl.Float64)
        columns.append(column)
    return frame.with_columns(columns).lazy()


def _duckdb_text(path: Path, form: TextFormat, how: Reading) -> Any:
    duckdb = _need("duckdb", "duckdb", "engine 'duckdb'")
    table = duckdb.read_csv(str(path), sep=form.sep, header=True, all_varchar=True, na_values=[""])
    answers = set(_answers(form, how))
    parts = [_duckdb_answer(name, how) if name in answers else _quoted(name) for name in table.columns]
    table = table.project(", ".join(parts))
    if not (how.numbers and answers):
        return table
    named = [name for name in table.columns if name in answers]
    tests = [
        f"bool_and(regexp_full_match({_quoted(name)}, '{pattern.strip('^$')}'))"
        for name in named
        for pattern in (_NUMBER, _WHOLE)
    ]
    found = table.aggregate(", ".join(tests)).fetchall()[0]
    types = {
        name: "BIGINT" if found[2 * k + 1] is not False else "DOUBLE"
        for k, name in enumerate(named)
        if found[2 * k] is not False
    }
    cast = [f"trim({_quoted(n)})::{types[n]} AS {_quoted(n)}" if n in types else _quoted(n) for n in table.columns]
    return table.project(", ".join(cast))


def _duckdb_answer(name: str, how: Reading) -> str:
    cell = f"nullif({_quoted(name)}, '{_NA}')"
    if how.decimal == ",":
        comma = f"regexp_full_match({cell}, '{_COMMA.strip('^$')}')"
        cell = f"CASE WHEN {comma} THEN replace({cell}, ',', '.') ELSE {cell} END"
    return f"{cell} AS {_quoted(name)}"


def _answers(form: TextFormat, how: Reading) -> list[str]:
    """Columns of answers that the file has."""
    wanted = set(how.items)
    return [name for name in form.columns if name in wanted]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


# --------------------------------------------------------------------------- readers of typed files
def _pandas_typed(path: Path, suffix: str) -> Any:
    import pandas as pd

    _need("pyarrow", "arrow", f"reading {suffix} files")
    return pd.read_parquet(path) if suffix == ".parquet" else pd.read_feather(path)


def _polars_typed(path: Path, suffix: str) -> Any:
    pl = _need("polars", "polars", "engine 'polars'")
    frame = pl.scan_parquet(path) if suffix == ".parquet" else pl.scan_ipc(path)
    frame.collect_schema()
    return frame


def _duckdb_typed(path: Path, suffix: str) -> Any:
    duckdb = _need("duckdb", "duckdb", "engine 'duckdb'")
    if suffix == ".parquet":
        return duckdb.read_parquet(str(path))
    feather = _need("pyarrow.feather", "arrow", f"reading {suffix} files")
    return duckdb.from_arrow(feather.read_table(path))


# --------------------------------------------------------------------------- writers
def _write_pandas(frame: Any, path: str, suffix: str) -> None:
    if suffix in SEPARATORS:
        frame.to_csv(path, sep=SEPARATORS[suffix], index=False)
        return
    _need("pyarrow", "arrow", f"writing {suffix} files")
    frame.to_parquet(path, index=False) if suffix == ".parquet" else frame.to_feather(path)


def _write_polars(frame: Any, path: str, suffix: str) -> None:
    lazy = frame.lazy()
    if suffix in SEPARATORS:
        lazy.sink_csv(path, separator=SEPARATORS[suffix])
    elif suffix == ".parquet":
        lazy.sink_parquet(path)
    else:
        lazy.sink_ipc(path)


def _write_duckdb(frame: Any, path: str, suffix: str) -> None:
    if suffix in SEPARATORS:
        frame.write_csv(path, sep=SEPARATORS[suffix], header=True)
    elif suffix == ".parquet":
        frame.write_parquet(path)
    else:
        feather = _need("pyarrow.feather", "arrow", f"writing {suffix} files")
        feather.write_feather(frame.to_arrow_table(), path)


# --------------------------------------------------------------------------- helpers
def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in _FOREIGN:
        raise UnsupportedDataError(
            f"{path.name} is {_FOREIGN[suffix]}, which is not read here: export it as CSV (in Excel: Save As, "
            "'CSV UTF-8'), one row a person, one column an item.",
            suffix=suffix,
        )
    if suffix not in _SUFFIXES:
        raise UnsupportedDataError(
            f"{path.name}: the format '{suffix or 'without a suffix'}' is not known; use {', '.join(_SUFFIXES)}.",
            suffix=suffix,
        )
    return suffix


def _need(module: str, extra: str, purpose: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingExtraError.from_extra(module.partition(".")[0], extra, purpose) from None


def _engine_errors(engine: Engine) -> tuple[type[Exception], ...]:
    if engine == "polars":
        return (_need("polars", "polars", "engine 'polars'").exceptions.PolarsError,)
    if engine == "duckdb":
        return (_need("duckdb", "duckdb", "engine 'duckdb'").Error,)
    return ()


def _replace(path: Path, write: Callable[[str], object]) -> None:
    """Write to a temporary neighbour, then move it into place: a reader never sees half a file."""
    if not path.parent.is_dir():
        raise UnsupportedDataError(f"The folder {path.parent} does not exist: create it first.", path=str(path))
    temporary = str(path.with_name(f".{path.stem}-{uuid4().hex}{path.suffix}"))
    try:
        write(temporary)
        Path(temporary).replace(path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) or type(error).__name__ == "IOException":  # DuckDB's own
            raise UnsupportedDataError(f"{path} cannot be written: {_first_line(error)}", path=str(path)) from error
        raise


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
