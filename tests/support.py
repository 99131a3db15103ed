"""Helpers that tests share: frames of every engine, stored references, the folder of larger real data."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

Columns = Mapping[str, Sequence[Any]]
Constructor = Callable[[Columns], Any]

ROOT = Path(__file__).resolve().parents[1]
"""The checkout."""

SOURCE = ROOT / "src" / "relmeasure"
"""The package."""

REFERENCE = ROOT / "tests" / "reference"
"""Stored references: outputs of other software with their versions and scripts."""


# --------------------------------------------------------------------------- frames
def pandas_frame(columns: Columns) -> Any:
    """A pandas frame with NumPy dtypes: None among numbers becomes NaN."""
    import pandas as pd

    return pd.DataFrame({name: list(values) for name, values in columns.items()})


def pandas_nullable_frame(columns: Columns) -> Any:
    """A pandas frame with nullable dtypes: None and NaN become pd.NA."""
    return pandas_frame(columns).convert_dtypes()


def polars_frame(columns: Columns) -> Any:
    """An eager Polars frame: None is null, NaN stays NaN."""
    import polars as pl

    return pl.DataFrame({name: list(values) for name, values in columns.items()}, strict=False)


def polars_lazy_frame(columns: Columns) -> Any:
    """A lazy Polars frame."""
    return polars_frame(columns).lazy()


def pyarrow_table(columns: Columns) -> Any:
    """An Arrow table: None is null, NaN stays NaN."""
    import pyarrow as pa

    return pa.table({name: list(values) for name, values in columns.items()})


def duckdb_relation(columns: Columns) -> Any:
    """A lazy DuckDB relation."""
    import duckdb

    return duckdb.from_arrow(pyarrow_table(columns))


EAGER: dict[str, Constructor] = {
    "pandas": pandas_frame,
    "pandas_nullable": pandas_nullable_frame,
    "polars": polars_frame,
    "pyarrow": pyarrow_table,
}
"""Constructors of eager frames, which keep the order of rows."""

LAZY: dict[str, Constructor] = {"polars_lazy": polars_lazy_frame, "duckdb": duckdb_relation}
"""Constructors of lazy frames."""

CONSTRUCTORS: dict[str, Constructor] = EAGER | LAZY
"""Constructors of every engine."""


def to_columns(frame: Any) -> dict[str, list[Any]]:
    """Return any frame as plain lists of Python values; NaN, null and pd.NA become None."""
    import narwhals.stable.v2 as nw

    native = nw.from_native(frame)
    eager = native.collect() if isinstance(native, nw.LazyFrame) else native
    return {name: [_plain(value) for value in eager[name].to_list()] for name in eager.columns}


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value).__name__ == "NAType":
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


# --------------------------------------------------------------------------- references
def load_reference(name: str, root: Path | None = None) -> Any:
    """Return a stored reference: ``load_reference("reliability/alpha")`` reads ``tests/reference/reliability/alpha.json``."""
    path = (root or REFERENCE) / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def shared_folder() -> Path:
    """Folder of larger real data: ``RELMEASURE_SHARED``, by default ``shared`` beside the checkout."""
    given = os.environ.get("RELMEASURE_SHARED", "")
    return Path(given).resolve() if given else ROOT.parent / "shared"


# --------------------------------------------------------------------------- blocks as R wrote them
def matrix(block: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return ``{rows, cols, values}`` as an array; null becomes NaN."""
    return np.array([[math.nan if v is None else v for v in row] for row in block["values"]], dtype=float)


@contextmanager
def unchanged(frame: Any) -> Iterator[None]:
    """Check that a frame is left as it was."""
    before = to_columns(frame)
    yield
    assert to_columns(frame) == before, "the input was changed"
