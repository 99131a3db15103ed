"""Frames of every engine behind one door: what is taken, what is refused, and what a column holds.

pandas, Polars (eager and lazy), PyArrow tables, DuckDB relations and, with names, 2-d NumPy arrays. Nothing here reads
rows; a lazy frame stays lazy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import narwhals.stable.v2 as nw
from narwhals.exceptions import DuplicateError

from relmeasure.exceptions import ColumnNotFoundError, DataError, DuplicateColumnError, UnsupportedDataError, shorten

if TYPE_CHECKING:
    import numpy as np
    from narwhals.stable.v2 import Implementation

__all__ = ["SUPPORTED", "ColumnKind", "Source", "array_frame", "kind_of", "open_frame"]

SUPPORTED = "a pandas, Polars (eager or lazy) or PyArrow frame, a DuckDB relation, or a 2-d NumPy array"

Frame = nw.DataFrame[Any] | nw.LazyFrame[Any]
ColumnKind = Literal["integer", "float", "decimal", "boolean", "text", "object", "empty", "other"]
"""What a column holds, whatever its engine calls it."""

_IMPLEMENTATIONS = ("pandas", "polars", "pyarrow", "duckdb")


@dataclass(frozen=True, eq=False)
class Source:
    """A frame that was let in.

    Attributes
    ----------
    native : object
        The frame as handed in.
    frame : narwhals frame
        The same behind the common interface.
    engine : {"pandas", "polars", "pyarrow", "duckdb"}
    columns : tuple of str
        Column names, in order.
    kinds : dict
        What each column holds.
    dtypes : dict
        The narwhals type of each column.
    """

    native: Any
    frame: Frame
    engine: str
    columns: tuple[Any, ...]
    kinds: dict[Any, ColumnKind]
    dtypes: dict[Any, Any]

    @property
    def lazy(self) -> bool:
        """Whether nothing is computed before it is collected."""
        return isinstance(self.frame, nw.LazyFrame)

    @property
    def backend(self) -> Any:
        """The engine, as the common interface calls it."""
        return self.frame.implementation

    @property
    def owned(self) -> Frame:
        """The frame, such that a changed copy of it shares no memory with the input.

        Columns are never written to here; but before pandas 3, whoever changes a frame made of them would change both.
        """
        if self.engine == "pandas":
            import pandas as pd

            if int(pd.__version__.split(".")[0]) < 3:
                return self.frame.clone()  # type: ignore[union-attr]
        return self.frame

    def no_rows(self, dtypes: Mapping[str, Any]) -> list[Any] | None:
        """Columns of these types for an eager frame without rows, else None.

        Conditions on nothing have no common length on every version of every engine, so they are not asked.
        """
        if isinstance(self.frame, nw.LazyFrame) or len(self.frame):
            return None
        return [nw.new_series(name, [], dtype, backend=self.backend) for name, dtype in dtypes.items()]

    def require(self, names: Sequence[str], *, what: str = "item") -> None:
        """Raise ``ColumnNotFoundError`` unless every name is a column."""
        present = set(self.columns)
        missing = [name for name in names if name not in present]
        if missing:
            raise ColumnNotFoundError.from_names(missing, [str(c) for c in self.columns], what=what)

    def nan_is_null(self, name: Any) -> bool:
        """Whether NaN and null are the same thing in a column: only in NumPy-backed pandas columns."""
        return self.engine == "pandas" and type(self.native[name].dtype).__module__.startswith("numpy")


def open_frame(data: Any) -> Source:
    """Let a frame in, or say why not.

    Raises
    ------
    UnsupportedDataError
        Not a frame of a supported engine, or its columns are not named by plain names.
    DuplicateColumnError
        Two columns bear the same name.
    """
    try:
        frame: Frame = nw.from_native(data)
        dtypes: dict[Any, Any] = dict(frame.collect_schema())
    except TypeError:
        raise unsupported(data) from None
    except DuplicateError:
        raise _twice(_raw_names(data)) from None
    engine = _engine(frame.implementation)
    if engine is None or isinstance(data, (nw.DataFrame, nw.LazyFrame)):
        raise unsupported(data)
    columns: list[Any] = _raw_names(data) if engine == "duckdb" else list(dtypes)
    if len(set(columns)) < len(columns):
        raise _twice(columns)
    if any(isinstance(name, tuple) for name in columns):
        raise UnsupportedDataError(
            f"Columns have several levels of names ({shorten(columns, 3)}): flatten them to one name each.",
            columns=columns,
        )
    kinds = {name: _kind(data, engine, name, dtype) for name, dtype in dtypes.items()}
    return Source(data, frame, engine, tuple(columns), kinds, dtypes)


def unsupported(data: Any) -> UnsupportedDataError:
    """Build the error for something that is no supported frame."""
    name = f"{type(data).__module__}.{type(data).__qualname__}".removeprefix("builtins.")
    return UnsupportedDataError(f"Data of type {name} are not supported: hand in {SUPPORTED}.", type=name)


def array_frame(values: np.ndarray[Any, Any], names: Sequence[str]) -> Any:
    """Return a pandas frame over a 2-d array; columns are named in order.

    Raises
    ------
    UnsupportedDataError
        The array is not 2-d, or has another number of columns than there are names.
    """
    if values.ndim != 2:
        raise UnsupportedDataError(f"An array of persons by items has 2 dimensions; this one has {values.ndim}.")
    if values.shape[1] != len(names):
        raise UnsupportedDataError(
            f"The array has {values.shape[1]} columns, the instrument {len(names)} items ({shorten(names, 4)}): "
            "an array is read by position, so give every item in order, or hand in a frame with column names.",
            n_columns=values.shape[1],
            n_items=len(names),
        )
    import pandas as pd

    return pd.DataFrame(values, columns=list(names), copy=False)


def require_same_index(data: Any, **given: Any) -> None:
    """Refuse weights or labels of a pandas Series whose index is not that of the data.

    Everything here goes by position; two pandas objects with different indexes say that their rows do not.

    Parameters
    ----------
    data : anything a user hands in
    **given
        Argument name to what it was given; what is no pandas object has no index.

    Raises
    ------
    DataError
        As many rows in another order, or with other labels.
    """
    own = _index_of(data)
    if own is None:
        return
    for argument, values in given.items():
        index = _index_of(values)
        if index is not None and len(index) == len(own) and not index.equals(own):
            raise DataError(
                f"{argument}= is a Series with another index than the data: its rows may stand in another order. Bring "
                f"it into the order of the data ({argument}.loc[data.index]), or hand in its values "
                f"({argument}.to_numpy()) if the order is the same.",
                argument=argument,
            )


def _index_of(value: Any) -> Any:
    """Index of a pandas object, or of the pandas frame that responses were bound from."""
    if type(value).__module__.startswith("relmeasure."):
        raw = getattr(value, "responses", value)
        value = getattr(raw, "frame", None)
    return getattr(value, "index", None) if type(value).__module__.partition(".")[0] == "pandas" else None


def _engine(implementation: Implementation) -> str | None:
    name = implementation.value
    return name if name in _IMPLEMENTATIONS else None


def _raw_names(data: Any) -> list[Any]:
    names: Iterable[Any] = getattr(data, "column_names", None) or data.columns
    return list(names)


def _twice(names: Sequence[Any]) -> DuplicateColumnError:
    twice = [str(name) for name, n in Counter(names).items() if n > 1]
    return DuplicateColumnError(
        f"{len(twice)} column name{'s stand' if len(twice) != 1 else ' stands'} twice in the data: {shorten(twice)}. "
        "Rename or drop one of each.",
        names=twice,
    )


# --------------------------------------------------------------------------- columns
def kind_of(dtype: Any) -> ColumnKind:
    """Return what a column of a narwhals type holds; ``"empty"`` is left to the engine."""
    if dtype.is_integer():
        return "integer"
    if dtype.is_float():
        return "float"
    if dtype.is_decimal():
        return "decimal"
    if dtype == nw.Boolean:
        return "boolean"
    if dtype == nw.String or dtype == nw.Categorical or dtype == nw.Enum:
        return "text"
    if dtype == nw.Object:
        return "object"
    return "other"


def _kind(native: Any, engine: str, name: Any, dtype: Any) -> ColumnKind:
    kind = kind_of(dtype)
    if kind == "text" and engine == "pandas" and native[name].dtype == object:
        return "object"  # words and gaps as Python objects: only some versions of narwhals keep them apart
    if kind == "other" and "null" in _native_type(native, engine, name).lower():
        return "empty"
    return kind


def _native_type(native: Any, engine: str, name: Any) -> str:
    if engine == "pandas":
        return str(native[name].dtype)
    if engine == "polars":
        return str(native.collect_schema()[name])
    if engine == "pyarrow":
        return str(native.schema.field(name).type)
    return str(dict(zip(native.columns, native.types, strict=True))[name])
