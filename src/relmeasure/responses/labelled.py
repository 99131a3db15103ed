"""Columns of numbers beside columns of labels: what crossed and nested designs are read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from relmeasure.exceptions import DataError, TooFewObservationsError, UnsupportedDataError, shorten
from relmeasure.responses.clusters import as_rows
from relmeasure.responses.frames import open_frame, require_same_index
from relmeasure.responses.matrices import numeric_frame
from relmeasure.results import FloatArray, IntArray
from relmeasure.samplestats.clusters import coded_labels, has_label

__all__ = ["GroupedValues", "LabelledColumns", "column_names", "grouped_values", "read_columns"]


@dataclass(frozen=True)
class LabelledColumns:
    """Rows of a frame, numbers and coded labels.

    Attributes
    ----------
    numbers : dict of array (n,)
        Floats, NaN where missing.
    codes : dict of array (n,)
        Place of each row's label among ``labels``; -1 where there is none.
    labels : dict of tuple
        Labels as text, sorted.
    n_rows : int
    """

    numbers: dict[str, FloatArray]
    codes: dict[str, IntArray]
    labels: dict[str, tuple[str, ...]]
    n_rows: int

    def complete(self, numbers: Sequence[str], labels: Sequence[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which rows have every one of these numbers and labels."""
        mask = np.ones(self.n_rows, dtype=bool)
        for name in numbers:
            mask &= ~np.isnan(self.numbers[name])
        for name in labels:
            mask &= self.codes[name] >= 0
        return mask


def column_names(data: Any) -> tuple[str, ...]:
    """Return the column names of a frame of any engine."""
    return tuple(str(name) for name in open_frame(data).columns)


def read_columns(data: Any, *, numbers: Sequence[str] = (), labels: Sequence[str] = ()) -> LabelledColumns:
    """Read the named columns of a frame of any engine; a lazy frame is collected for these columns only.

    Raises
    ------
    ColumnNotFoundError
        A named column is not in the frame.
    NonNumericError
        A column of ``numbers`` holds something else.
    """
    source = open_frame(data)
    wanted = list(dict.fromkeys([*labels, *numbers]))
    source.require(wanted, what="named")
    if isinstance(source.frame, nw.LazyFrame):  # once, so that numbers and labels stay in the same order
        source = open_frame(source.frame.select(*wanted).collect().to_native())
    frame = source.frame
    values: Any = numeric_frame(source, list(dict.fromkeys(numbers))) if numbers else None
    columns = {name: _floats(values[name].to_numpy()) for name in dict.fromkeys(numbers)}
    codes, found = {}, {}
    for name in dict.fromkeys(labels):
        codes[name], found[name] = _coded(frame.get_column(name).to_numpy())  # type: ignore[union-attr]
    return LabelledColumns(columns, codes, found, len(frame))  # type: ignore[arg-type]


def _floats(column: np.ndarray[Any, Any]) -> FloatArray:
    if column.dtype != object:
        return column.astype(np.float64)
    return np.array([np.nan if v is None or type(v).__name__ == "NAType" else float(v) for v in column])


def _coded(column: np.ndarray[Any, Any]) -> tuple[IntArray, tuple[str, ...]]:
    present = has_label(column)
    out = np.full(len(column), -1, dtype=np.int64)
    if not present.any():
        return out, ()
    texts, code = coded_labels(column[present])
    out[present] = code
    return out, tuple(texts.tolist())


# --------------------------------------------------------------------------- one variable in clusters in groups
@dataclass(frozen=True)
class GroupedValues:
    """Complete rows of one variable, their cluster, and the group of each cluster.

    Attributes
    ----------
    name : str
    value : array (n,)
    code : array (n,)
        Place of each row's cluster among ``labels``.
    labels, groups : tuple of str
    group : array (J,)
        Place of each cluster's group among ``groups``; zeros without groups.
    n_rows : int
    """

    name: str
    value: FloatArray
    code: IntArray
    labels: tuple[str, ...]
    group: IntArray
    groups: tuple[str, ...]
    n_rows: int


def grouped_values(data: Any, *, cluster: Any, group: Any = None) -> GroupedValues:
    """Return one variable in clusters, each cluster in one group.

    Parameters
    ----------
    data : frame, column or array
        With names in ``cluster`` and ``group``, a frame with one further column; else one value a row.
    cluster, group : str or column or array
        Columns of the frame, or one label a row; both in the same way.

    Raises
    ------
    DataError
        Several variables, or a cluster in two groups.
    """
    require_same_index(data, cluster=cluster, group=group)
    if group is None:
        rows = as_rows(data, cluster=cluster)
        _one_variable(rows.names)
        nowhere = np.zeros(len(rows.labels), dtype=np.int64)
        return GroupedValues(rows.names[0], rows.values[:, 0], rows.code, rows.labels, nowhere, (), rows.n_rows)
    if isinstance(cluster, str) != isinstance(group, str):
        raise UnsupportedDataError("cluster= and group= are both names of columns, or both one label a row.")
    if isinstance(cluster, str):
        names = [name for name in column_names(data) if name not in (cluster, group)]
        _one_variable(names)
        read = read_columns(data, numbers=names, labels=[cluster, group])
        name, value = names[0], read.numbers[names[0]]
        places, homes = (read.codes[cluster], read.labels[cluster]), (read.codes[group], read.labels[group])
    else:
        every = as_rows(np.arange(len(group), dtype=float), cluster=group)
        name, value, places = _column(data, cluster)
        homes = (np.full(len(value), -1, dtype=np.int64), every.labels)
        if len(group) != len(value):
            raise UnsupportedDataError(f"group= holds {len(group)} labels for {len(value)} rows: one a row is needed.")
        homes[0][every.values[:, 0].astype(np.int64)] = every.code
    keep = ~np.isnan(value) & (places[0] >= 0) & (homes[0] >= 0)
    if not keep.any():
        raise TooFewObservationsError(f"None of the {len(value)} rows has a value, a cluster and a group.")
    used, code = np.unique(places[0][keep], return_inverse=True)
    labels = tuple(places[1][k] for k in used)
    seen, group_code = np.unique(homes[0][keep], return_inverse=True)  # a group without a usable row is no group
    groups = tuple(homes[1][k] for k in seen)
    return GroupedValues(name, value[keep], code, labels, _home(code, group_code, labels, groups), groups, len(value))


def _column(data: Any, cluster: Any) -> tuple[str, FloatArray, tuple[IntArray, tuple[str, ...]]]:
    """One column and the labels of its rows; rows without a label keep their place."""
    here = as_rows(np.arange(len(cluster), dtype=float), cluster=cluster)
    place = np.full(len(cluster), -1, dtype=np.int64)
    place[here.values[:, 0].astype(np.int64)] = here.code
    if isinstance(data, (list, tuple, np.ndarray)):
        name, value = "value", _floats(np.asarray(data).ravel())
    else:
        native = nw.from_native(data, allow_series=True)
        column = native if isinstance(native, nw.Series) else native[native.columns[0]]
        name, value = column.name or "value", _floats(column.to_numpy())
    if len(value) != len(place):
        raise UnsupportedDataError(f"cluster= holds {len(place)} labels for {len(value)} rows: one a row is needed.")
    return name, value, (place, here.labels)


def _home(code: IntArray, group: IntArray, labels: Sequence[str], groups: Sequence[str]) -> IntArray:
    """The group of each cluster; a cluster in two is an error."""
    home = np.zeros(len(labels), dtype=np.int64)
    home[code] = group
    astray = np.unique(code[home[code] != group])
    if len(astray):
        first = astray[0]
        seen = sorted({groups[g] for g in group[code == first]})
        raise DataError(
            f"{len(astray)} clusters lie in several groups: '{labels[first]}' in {', '.join(seen)}. "
            "Give clusters labels of their own in each group.",
            clusters=[labels[k] for k in astray],
        )
    return home


def _one_variable(names: Sequence[str]) -> None:
    if len(names) != 1:
        raise DataError(
            f"One variable is needed; the data have {len(names)}: {shorten(names)}. "
            "Hand in one column, and name the cluster column in cluster=.",
            names=list(names),
        )
