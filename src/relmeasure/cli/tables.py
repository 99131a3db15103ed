"""Read and write tables of answers: CSV, TSV, Parquet and Arrow, through pandas, Polars or DuckDB.

Text files are read as text, column for column, so that ids keep their leading zeros and codes are judged by the
instrument, not by a guess. Files are written whole or not at all.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args
from uuid import uuid4

from relmeasure.exceptions import (
    DuplicateColumnError,
    MissingExtraError,
    OptionError,
    RelmeasureError,
    UnsupportedDataError,
    did_you_mean,
    shorten,
)

__all__ = ["Engine", "read_table", "write_table", "write_text"]

Engine = Literal["pandas", "polars", "duckdb"]
"""Library that holds the answers."""

_DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_NULLS = ["", "NA"]
"""What stands for an empty cell in a text file, the same for every engine."""

_ARROW = {".arrow", ".feather", ".ipc"}
_SUFFIXES = (*_DELIMITERS, ".parquet", *sorted(_ARROW))


def read_table(path: Path, engine: Engine = "pandas") -> Any:
    """Return the table in a file: a pandas frame, a Polars lazy frame or a DuckDB relation."""
    if engine not in get_args(Engine):
        raise OptionError.from_value("engine", engine, get_args(Engine))
    suffix = _suffix(path)
    if not path.is_file():
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UnsupportedDataError(f"There is no file {path}.{did_you_mean(path.name, near)}", path=str(path))
    reader = {"pandas": _read_pandas, "polars": _read_polars, "duckdb": _read_duckdb}[engine]
    unreadable: tuple[type[Exception], ...] = (OSError, ValueError, *_engine_errors(engine))
    try:
        if suffix in _DELIMITERS:
            _check_header(path, _DELIMITERS[suffix])
        return reader(path, suffix)
    except unreadable as error:
        if isinstance(error, RelmeasureError):
            raise
        told = f"{path} cannot be read as {suffix[1:]}: {_first_line(error)}"
        raise UnsupportedDataError(told, path=str(path)) from error


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


# --------------------------------------------------------------------------- readers
def _check_header(path: Path, delimiter: str) -> None:
    """Raise if a name stands twice, or names and cells do not fit: libraries rename, or shift the cells, unasked."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = (row for row in csv.reader(file, delimiter=delimiter) if row)
        try:
            names, first = next(rows, []), next(rows, [])
        except csv.Error:
            return
    if not names:
        raise ValueError("the file is empty")
    if len(first) > len(names):
        raise UnsupportedDataError(
            f"{path}: the first row has {len(first)} cells, the header {len(names)} names. Name every column "
            "(row names too), and end no row with a delimiter.",
            path=str(path),
        )
    twice = [name for name, n in Counter(names).items() if n > 1 and name]
    if twice:
        raise DuplicateColumnError(
            f"{path}: {len(twice)} column name{'s stand' if len(twice) != 1 else ' stands'} twice in the header: "
            f"{shorten(twice)}. Rename or drop one of each.",
            names=twice,
        )


def _read_pandas(path: Path, suffix: str) -> Any:
    import pandas as pd

    if suffix in _DELIMITERS:
        return pd.read_csv(path, sep=_DELIMITERS[suffix], dtype=str, keep_default_na=False, na_values=_NULLS)
    _need("pyarrow", "arrow", f"reading {suffix} files")
    return pd.read_parquet(path) if suffix == ".parquet" else pd.read_feather(path)


def _read_polars(path: Path, suffix: str) -> Any:
    pl = _need("polars", "polars", "engine 'polars'")
    if suffix in _DELIMITERS:
        # Read whole: a scan of some columns does not notice a row with a cell too many, which shifts its answers.
        return pl.read_csv(path, separator=_DELIMITERS[suffix], infer_schema=False, null_values=_NULLS).lazy()
    frame = pl.scan_parquet(path) if suffix == ".parquet" else pl.scan_ipc(path)
    frame.collect_schema()
    return frame


def _read_duckdb(path: Path, suffix: str) -> Any:
    duckdb = _need("duckdb", "duckdb", "engine 'duckdb'")
    if suffix in _DELIMITERS:
        return duckdb.read_csv(str(path), sep=_DELIMITERS[suffix], header=True, all_varchar=True, na_values=_NULLS)
    if suffix == ".parquet":
        return duckdb.read_parquet(str(path))
    feather = _need("pyarrow.feather", "arrow", f"reading {suffix} files")
    return duckdb.from_arrow(feather.read_table(path))


# --------------------------------------------------------------------------- writers
def _write_pandas(frame: Any, path: str, suffix: str) -> None:
    if suffix in _DELIMITERS:
        frame.to_csv(path, sep=_DELIMITERS[suffix], index=False)
        return
    _need("pyarrow", "arrow", f"writing {suffix} files")
    frame.to_parquet(path, index=False) if suffix == ".parquet" else frame.to_feather(path)


def _write_polars(frame: Any, path: str, suffix: str) -> None:
    lazy = frame.lazy()
    if suffix in _DELIMITERS:
        lazy.sink_csv(path, separator=_DELIMITERS[suffix])
    elif suffix == ".parquet":
        lazy.sink_parquet(path)
    else:
        lazy.sink_ipc(path)


def _write_duckdb(frame: Any, path: str, suffix: str) -> None:
    if suffix in _DELIMITERS:
        frame.write_csv(path, sep=_DELIMITERS[suffix], header=True)
    elif suffix == ".parquet":
        frame.write_parquet(path)
    else:
        feather = _need("pyarrow.feather", "arrow", f"writing {suffix} files")
        feather.write_feather(frame.to_arrow_table(), path)


# --------------------------------------------------------------------------- helpers
def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
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
