"""Named variables of anything a user may hand in: rows of numbers, each with its group, cluster and weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from relmeasure.exceptions import (
    ColumnNotFoundError,
    DataError,
    RelmeasureWarning,
    UnsupportedDataError,
    did_you_mean,
    shorten,
)
from relmeasure.instruments.definition import Instrument
from relmeasure.responses.binding import KeyedResponses, Responses, UnknownCodes, bound
from relmeasure.responses.codes import collected
from relmeasure.responses.frames import Source, open_frame, require_same_index
from relmeasure.responses.matrices import numeric_frame, plain_pandas
from relmeasure.responses.published import refuse_matrix
from relmeasure.samplestats.clusters import has_label

__all__ = ["VariableRows", "as_variables"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class VariableRows:
    """Rows of named variables.

    Attributes
    ----------
    names : tuple of str
    values : array (n, p)
        Floats; NaN where missing.
    group : array (n,) or None
        Labels as text; None where a row has none.
    clusters : tuple of array (n,)
        One array of labels a dimension of clusters.
    weights : array (n,) or None
    index : object
        Index of a pandas frame, else None.
    warnings : list of RelmeasureWarning
        Raised while responses were bound; not yet issued.
    columns : tuple of str
        All that the data have.
    """

    names: tuple[str, ...]
    values: Array
    group: Array | None = None
    clusters: tuple[Array, ...] = ()
    weights: Array | None = None
    index: Any = None
    warnings: list[RelmeasureWarning] = field(default_factory=list)
    columns: tuple[str, ...] = ()


def as_variables(
    data: Any,
    names: Sequence[str],
    *,
    group: Any = None,
    clusters: Sequence[Any] = (),
    weights: Any = None,
    instrument: Instrument | None = None,
    scales: Sequence[str] | None = None,
    unknown: UnknownCodes = "raise",
) -> VariableRows:
    """Return the rows of some variables; other columns of a frame are not looked at.

    Parameters
    ----------
    data : frame, array (n, p) or responses
        Columns of an array are x1 ... xp. With an instrument, answers are checked and keyed.
    names : sequence of str
        The variables, in the order wanted.
    group, weights : str, array (n,) or None
        A column, or its values.
    clusters : sequence of str or array (n,)
        Columns of cluster labels, or the labels.
    instrument : Instrument, optional
    scales, unknown
        As in ``bind``.

    Raises
    ------
    ColumnNotFoundError, NonNumericError, DuplicateColumnError, UnsupportedDataError, DataError
    """
    raised: list[RelmeasureWarning] = []
    require_same_index(data, group=group, weights=weights)
    for cluster in clusters:
        require_same_index(data, cluster=cluster)
    if instrument is not None and not isinstance(data, KeyedResponses):
        responses, raised = bound(instrument, data, scales=scales, unknown=unknown)
        data = responses.keyed()
    elif isinstance(data, Responses):
        data = data.keyed()
    if isinstance(data, np.ndarray):
        return _from_array(data, names, group, clusters, weights)
    native = data.frame if isinstance(data, KeyedResponses) else data
    source = open_frame(native)
    columns = source.columns
    _require(names, [str(c) for c in columns])
    aside = [side for side in (group, weights, *clusters) if isinstance(side, str)]
    source.require(aside, what="named")
    lazy = source.lazy
    if lazy:  # one query: two might give the rows in different orders
        source = open_frame(collected(source.frame.select(*dict.fromkeys([*names, *aside]))).to_native())
    values = _values(source, names)
    _refuse_matrix(np.asarray(values), names, [str(c) for c in columns])
    sides = collected(source.frame.select(*dict.fromkeys(aside))) if aside else None

    def side(given: Any) -> Array | None:
        if isinstance(given, str) and sides is not None:
            return np.asarray(sides[given].to_numpy())
        return _given(given, len(values), lazy=lazy)

    return VariableRows(
        names=tuple(names),
        values=np.ascontiguousarray(values, dtype=float),
        group=_texts(side(group)),
        clusters=tuple(np.asarray(side(cluster)) for cluster in clusters),
        weights=_numbers(side(weights)),
        index=getattr(native, "index", None) if source.engine == "pandas" else None,
        warnings=raised,
        columns=tuple(str(c) for c in columns),
    )


def _refuse_matrix(values: Array, names: Sequence[str], columns: Sequence[str]) -> None:
    """Refuse a whole frame that is a matrix; its columns may have been taken in another order."""
    if len(values) == len(names) == len(columns):
        refuse_matrix(values[:, np.argsort([columns.index(name) for name in names])])


def _values(source: Source, names: Sequence[str]) -> Array:
    """Return the numbers of some columns of an eager frame, array (n, p)."""
    if source.engine == "pandas" and set(names) <= set(source.native.columns):
        found = plain_pandas(source.native[list(names)])
        if found is not None:
            return found[1]
    out: Array = numeric_frame(source, list(names)).to_numpy()  # type: ignore[union-attr]
    return out


def _from_array(data: Array, names: Sequence[str], group: Any, clusters: Sequence[Any], weights: Any) -> VariableRows:
    if data.ndim != 2:
        raise UnsupportedDataError(f"An array of persons by items has 2 dimensions; this one has {data.ndim}.")
    for given in (group, weights, *clusters):
        if isinstance(given, str):
            raise UnsupportedDataError(f"'{given}' names a column, but an array has none: hand in one value a row.")
    if data.dtype != object:
        refuse_matrix(data)
    columns = [f"x{k + 1}" for k in range(data.shape[1])]
    _require(names, columns)
    at = {name: k for k, name in enumerate(columns)}
    return VariableRows(
        names=tuple(names),
        values=np.ascontiguousarray(data[:, [at[name] for name in names]], dtype=float),
        group=_texts(_given(group, len(data))),
        clusters=tuple(np.asarray(_given(cluster, len(data))) for cluster in clusters),
        weights=_numbers(_given(weights, len(data))),
        columns=tuple(columns),
    )


def _require(names: Sequence[str], columns: Sequence[str]) -> None:
    missing = [name for name in names if name not in set(columns)]
    if missing:
        hint = did_you_mean(missing[0], columns)
        raise ColumnNotFoundError(
            f"The model names {shorten(missing)}, which the data do not have.{hint} The data have: {shorten(columns)}.",
            missing=missing,
            known=list(columns),
        )


def _given(values: Any, n: int, *, lazy: bool = False) -> Array | None:
    """Values handed in beside the data: one a row."""
    if values is None:
        return None
    if lazy:
        raise UnsupportedDataError("A lazy frame takes group=, cluster= and weights= as names of columns.")
    if isinstance(values, (list, tuple, np.ndarray)):
        array = np.asarray(values)
    else:
        array = nw.from_native(values, series_only=True).to_numpy()
    if array.shape != (n,):
        raise DataError(f"One value a row is needed: {array.shape} values for {n} rows.")
    return array


def _texts(labels: Array | None) -> Array | None:
    """Labels as text, None where there is none; 3 and 3.0 are one label."""
    if labels is None:
        return None
    known = has_label(labels)
    out = np.full(len(labels), None, dtype=object)
    usable = labels[known]
    if np.issubdtype(usable.dtype, np.floating) and (usable == np.rint(usable)).all():
        usable = usable.astype(np.int64)
    out[known] = [str(v) for v in usable.tolist()]
    return out


def _numbers(weights: Array | None) -> Array | None:
    if weights is None:
        return None
    try:
        return weights.astype(float)
    except (TypeError, ValueError):
        raise DataError("weights= holds something that is not a number.") from None
