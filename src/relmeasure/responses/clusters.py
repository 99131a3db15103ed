"""Values in clusters, from anything a user may hand in: a frame and a column name, or a column and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from relmeasure.exceptions import (
    ColumnNotFoundError,
    NonNumericError,
    TooFewObservationsError,
    UnsupportedDataError,
    shorten,
)
from relmeasure.responses.frames import require_same_index
from relmeasure.samplestats.clusters import ClusterSums, cluster_sums, coded_labels, has_label

__all__ = ["ClusterRows", "as_clusters", "as_rows", "numbers"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class ClusterRows:
    """Complete rows with the place of their cluster among ``labels``."""

    names: tuple[str, ...]
    values: Array  # (n, p)
    code: Array  # (n,)
    labels: tuple[str, ...]
    n_rows: int

    @property
    def rule(self) -> str:
        """The rule that made the rows, in words."""
        return f"listwise: {len(self.values)} of {self.n_rows} rows complete, in {len(self.labels)} clusters"


def as_clusters(data: Any, *, cluster: Any) -> ClusterSums:
    """Return cluster statistics of a frame, column or array; a ``ClusterSums`` comes back unchanged."""
    if isinstance(data, ClusterSums):
        return data
    names, values, labels = _columns(data, cluster)
    return cluster_sums(values, labels, names)


def as_rows(data: Any, *, cluster: Any) -> ClusterRows:
    """Return the complete rows and their clusters, for what needs more than sums (medians, resampling)."""
    names, values, labels = _columns(data, cluster)
    usable = ~np.isnan(values).any(axis=1) & has_label(labels)
    if not usable.any():
        raise TooFewObservationsError(f"None of the {len(values)} rows has all its answers and a cluster.")
    found, code = coded_labels(labels[usable])
    return ClusterRows(tuple(names), values[usable], code, tuple(found.tolist()), len(values))


def _columns(data: Any, cluster: Any) -> tuple[list[str], Array, Array]:
    """Item names, a float matrix and a label per row."""
    require_same_index(data, cluster=cluster)
    if isinstance(data, (list, tuple, np.ndarray)):
        array = np.asarray(data)
        matrix = array[:, None] if array.ndim == 1 else array
        names = ["value"] if matrix.shape[1] == 1 else [f"x{k + 1}" for k in range(matrix.shape[1])]
        return names, numbers({n: matrix[:, k] for k, n in enumerate(names)}), _labels(cluster, len(matrix))
    try:
        native = nw.from_native(data, allow_series=True)
    except TypeError:
        raise UnsupportedDataError(
            f"A {type(data).__name__} is not understood: hand in a pandas, Polars, PyArrow or DuckDB frame, "
            "a column of one, or a NumPy array."
        ) from None
    if isinstance(native, nw.Series):
        values = numbers({native.name or "value": native.to_numpy()})
        return [native.name or "value"], values, _labels(cluster, len(values))
    if isinstance(cluster, str):
        if cluster not in native.columns:
            raise ColumnNotFoundError.from_names([cluster], native.columns, what="cluster")
        native = native.collect() if isinstance(native, nw.LazyFrame) else native
        names = [name for name in native.columns if name != cluster]
        return names, numbers({n: native[n].to_numpy() for n in names}), native[cluster].to_numpy()
    native = native.collect() if isinstance(native, nw.LazyFrame) else native
    values = numbers({name: native[name].to_numpy() for name in native.columns})
    return list(native.columns), values, _labels(cluster, len(values))


def _labels(cluster: Any, n: int) -> Array:
    if isinstance(cluster, str):
        raise UnsupportedDataError(
            f"cluster='{cluster}' names a column, but the data have no named columns: hand in one label a row."
        )
    if isinstance(cluster, (list, tuple, np.ndarray)):
        labels = np.asarray(cluster)
    else:
        labels = nw.from_native(cluster, series_only=True).to_numpy()
    if labels.shape != (n,):
        raise UnsupportedDataError(f"cluster= holds {labels.shape[0]} labels for {n} rows: one a row is needed.")
    return labels


def numbers(columns: dict[str, Array]) -> Array:
    """A float matrix; text that is not a number is an error that names the columns."""
    out, wrong = [], []
    for name, column in columns.items():
        try:
            out.append(_as_float(column))
        except (TypeError, ValueError):
            wrong.append(name)
    if wrong:
        raise NonNumericError(
            f"Columns that are not numbers: {shorten(wrong)}. Leave them out, or name them in cluster=.", columns=wrong
        )
    return np.column_stack(out)


def _as_float(column: Array) -> Array:
    if column.dtype != object:
        return column.astype(np.float64)
    return np.array([np.nan if v is None or type(v).__name__ == "NAType" else float(v) for v in column])
