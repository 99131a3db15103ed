"""A frame with some columns under the names of an instrument's items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals.stable.v2 as nw

from relmeasure.exceptions import ColumnNotFoundError
from relmeasure.responses.frames import open_frame

__all__ = ["renamed_columns"]


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
