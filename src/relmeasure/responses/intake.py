"""Anything a user may hand in becomes a sample statistic: the one way from frames to estimators."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial, reduce
from operator import add
from typing import Any, Literal, TypeVar, get_args, overload

import narwhals.stable.v2 as nw
import numpy as np

from relmeasure.exceptions import NonNumericError, OptionError, UnsupportedDataError
from relmeasure.instruments.definition import Instrument
from relmeasure.responses.binding import WORKING, KeyedResponses, Responses, UnknownCodes, bound
from relmeasure.responses.codes import count_rows
from relmeasure.responses.frames import Frame, open_frame, require_same_index
from relmeasure.responses.items import ItemPlan
from relmeasure.responses.matrices import FloatMatrix, keyed_expressions, matrices, numeric_frame, plain_pandas
from relmeasure.responses.published import estimated_moments, pair_moments, refuse_matrix
from relmeasure.results import Note, Table, announce
from relmeasure.samplestats.contingency import ContingencyTables
from relmeasure.samplestats.deletion import deletion_warnings
from relmeasure.samplestats.estimates import MomentEstimate, em_moments
from relmeasure.samplestats.latent import PolychoricResult
from relmeasure.samplestats.moments import MissingMethod, MomentSums, moment_sums
from relmeasure.samplestats.patterns import MissingPatterns, missing_patterns

__all__ = ["MomentMissing", "as_moments", "as_patterns", "item_counts", "moments", "scale_moments"]

MomentMissing = Literal["listwise", "pairwise", "fiml"]
"""What happens to rows with a missing answer; ``"fiml"``: full-information maximum likelihood."""

Weights = np.ndarray[Any, np.dtype[np.float64]]


# --------------------------------------------------------------------------- moments
def as_moments(
    data: Any,
    *,
    missing: MissingMethod = "listwise",
    weights: Any = None,
    exclude: Iterable[str | None] = (),
) -> MomentSums:
    """Return additive moments of anything a user may hand in; moments come back unchanged.

    Parameters
    ----------
    data : frame, array (n, p), responses, moments, or (matrix, n)
        Every column of a frame is an item, except ``weights`` and those in ``exclude``. A pair holds a published
        correlation or covariance matrix with its N. Columns of an array are named
        x1 ... xp. Responses are keyed on the way; keyed responses are taken as they are.
    missing : {"listwise", "pairwise"}
    weights : str or array (n,), optional
        Column of sampling weights, or the weights; a lazy frame takes a column only.
    exclude : iterable of str or None
        Columns that are no items: cluster, group, wave; None is skipped.

    Returns
    -------
    MomentSums
        Lazy frames are read in batches, in bounded memory.

    Raises
    ------
    NonNumericError, ColumnNotFoundError, DuplicateColumnError, UnsupportedDataError
    """
    if missing not in get_args(MissingMethod):
        raise OptionError.from_value("missing", missing, get_args(MissingMethod))
    if isinstance(data, MomentSums):
        return data
    if isinstance(data, tuple):
        return pair_moments(data)
    if isinstance(data, MomentEstimate):
        return estimated_moments(data)
    if isinstance(data, (PolychoricResult, ContingencyTables)):
        raise UnsupportedDataError(
            "Correlations or tables of ordered answers hold no moments of the answers themselves: hand in the rows, "
            "or use what describes latent responses (efa, n_factors, kmo, ordinal_reliability)."
        )
    found, told = _summed(data, partial(moment_sums, missing=missing), weights, exclude)
    return replace(found, notes=told) if told else found


def as_patterns(data: Any, *, weights: Any = None, exclude: Iterable[str | None] = ()) -> MissingPatterns:
    """Return the additive statistic behind full-information estimates; patterns come back unchanged.

    Parameters
    ----------
    data, weights, exclude
        As in ``as_moments``.
    """
    if isinstance(data, MissingPatterns):
        return data
    if isinstance(data, MomentSums):
        raise UnsupportedDataError("missing='fiml' needs rows: moments have lost the patterns of missing answers.")
    return _summed(data, missing_patterns, weights, exclude)[0]


_Statistic = TypeVar("_Statistic", MomentSums, MissingPatterns)


def _summed(
    data: Any, make: Callable[..., _Statistic], weights: Any, exclude: Iterable[str | None]
) -> tuple[_Statistic, tuple[Note, ...]]:
    """Return the statistic of all rows, and warnings that responses bring along.

    ``make(values, names, weights=)`` makes the statistic of a block of rows.
    """
    require_same_index(data, weights=weights)
    if isinstance(data, np.ndarray):
        names = [f"x{k + 1}" for k in range(data.shape[1])] if data.ndim == 2 else []
        refuse_matrix(data)
        return make(_plain_array(data), names, weights=_weights_array(weights)), ()
    named = [name for name in (*exclude, weights) if isinstance(name, str)]
    if not named and (plain := plain_pandas(data)) is not None:
        refuse_matrix(plain[1])
        return make(plain[1], plain[0], weights=_weights_array(weights)), ()
    if isinstance(data, Responses):
        data = data.keyed()
    if isinstance(data, KeyedResponses):
        raw = data.responses
        frame, source = raw.work.select(*keyed_expressions(raw.plans.values()), *_extra(raw, weights)), raw.source
        items: Sequence[Any] = data.items
    else:
        source = open_frame(data)
        source.require(named, what="named")
        items = [name for name in source.columns if name not in named]
        frame = numeric_frame(source, [*items, *([weights] if isinstance(weights, str) else [])])
    found = _folded(frame, [str(item) for item in items], make, weights, source.lazy)
    return found, data.warnings if isinstance(data, KeyedResponses) else ()


def _folded(
    frame: Frame, names: Sequence[str], make: Callable[..., _Statistic], weights: Any, lazy: bool
) -> _Statistic:
    if lazy and weights is not None and not isinstance(weights, str):
        raise UnsupportedDataError("A lazy frame takes weights= as the name of a column, not as an array.")
    parts: list[_Statistic] = []
    for rows in _blocks(frame, len(names) + isinstance(weights, str)):
        if not parts:
            refuse_matrix(rows)
        values, w = (rows[:, :-1], rows[:, -1]) if isinstance(weights, str) else (rows, _weights_array(weights))
        parts.append(make(values, names, weights=w))
    return reduce(add, parts)


def _extra(responses: Responses, weights: Any) -> list[nw.Expr]:
    """The column of weights beside the items, under a name that no item bears."""
    if not isinstance(weights, str):
        return []
    source = responses.source
    source.require([weights], what="named")
    if source.kinds[weights] not in ("integer", "float", "decimal"):
        dtype = str(source.dtypes[weights])
        raise NonNumericError(f"weights='{weights}' holds {dtype}: weights are numbers.", column=weights, dtype=dtype)
    return [nw.col(weights).cast(nw.Float64).alias(f"{WORKING}weights")]


def _plain_array(values: FloatMatrix) -> FloatMatrix:
    if values.dtype != object:
        return values
    try:
        return values.astype(float)
    except (TypeError, ValueError):
        raise NonNumericError("Numbers are needed; this array holds Python objects that are no numbers.") from None


def _weights_array(weights: Any) -> Weights | None:
    if weights is None:
        return None
    if isinstance(weights, str):
        raise UnsupportedDataError(f"weights='{weights}' names a column, but an array has none: hand in the weights.")
    return np.asarray(weights, dtype=float)


@overload
def moments(data: Any, *, missing: MissingMethod = "listwise", weights: Any = None) -> MomentSums: ...
@overload
def moments(data: Any, *, missing: Literal["fiml"], weights: Any = None) -> MomentEstimate: ...
def moments(data: Any, *, missing: MomentMissing = "listwise", weights: Any = None) -> MomentSums | MomentEstimate:
    """Compute means, variances and covariances; the result is additive.

    ``a + b`` is the statistic of the pooled rows, so that parts of the data can be read one after another, or by
    different people who exchange only this.

    Parameters
    ----------
    data : frame, array (n, p), responses or moments
        Every column of a frame but ``weights`` is an item. Responses are keyed on the way. A lazy frame is read in
        batches, in bounded memory.
    missing : {"listwise", "pairwise", "fiml"}
        Use rows complete on all items, or for each pair of items the rows where both are answered; or estimate means
        and covariances (divisor n) from every answer by full-information maximum likelihood, see ``em_moments``: that
        statistic is not additive.
    weights : str or array (n,), optional
        Sampling weights, or the column that holds them; only their ratios matter.

    Returns
    -------
    MomentSums or MomentEstimate
        ``mean``, ``cov`` (divisor n - 1), ``cor``, ``n_obs``, ``names``; ``notes`` keeps the warnings. With
        ``missing="fiml"`` an estimate, with ``coverage`` and ``log_likelihood``.

    Raises
    ------
    NonNumericError
        A column holds text, categories or dates; each is named.
    UnsupportedDataError, DuplicateColumnError, ColumnNotFoundError, DataError, OptionError

    Notes
    -----
    Warnings: ``ListwiseDeletionWarning`` with the number of rows dropped, ``PairwiseDeletionWarning`` with the smallest
    and largest number of rows behind a pair.

    References
    ----------
    Chan, T. F., Golub, G. H., & LeVeque, R. J. (1983). The American Statistician, 37, 242-247, eq. 2.1.

    Examples
    --------
    >>> import numpy as np
    >>> import relmeasure as rm
    >>> m = rm.moments(np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 3.0]]))
    >>> m.cov.round(2).tolist()  # R: cov(x)
    [[1.0, 0.5], [0.5, 1.0]]
    """
    if missing == "fiml":
        return data if isinstance(data, MomentEstimate) else em_moments(as_patterns(data, weights=weights))
    if isinstance(data, MomentSums):
        return data
    found = as_moments(data, missing=missing, weights=weights)
    notes = announce(deletion_warnings(found))
    return replace(found, notes=notes) if notes else found


def scale_moments(
    instrument: Instrument,
    data: Any,
    scale_ids: Sequence[str] | None = None,
    *,
    missing: MissingMethod = "listwise",
    weights: Any = None,
    unknown: UnknownCodes = "raise",
) -> dict[str, MomentSums]:
    """Return moments of the keyed items of each scale (through its subscales), from one reading of the data.

    Listwise moments use the rows complete on the scale's own items.

    Parameters
    ----------
    instrument : Instrument
    data : frame, array (n, p) or responses
    scale_ids : sequence of str, optional
        Default: all scales, or those the responses are bound for.
    missing, weights
        As in ``moments``.
    unknown : {"raise", "missing"}
        As in ``bind``; not used when the data are responses.
    """
    if missing not in get_args(MissingMethod):
        raise OptionError.from_value("missing", missing, get_args(MissingMethod))
    raw = data.responses if isinstance(data, KeyedResponses) else data
    require_same_index(raw, weights=weights)
    responses, raised = bound(instrument, raw, scales=scale_ids, unknown=unknown)
    announce(raised)
    wanted = responses.scales if scale_ids is None else tuple(dict.fromkeys(scale_ids))
    members = {scale: instrument.scale_items(scale) for scale in wanted}
    used = [item for item in responses.items if any(item in items for items in members.values())]
    frame = responses.work.select(
        *keyed_expressions(responses.plans[item] for item in used), *_extra(responses, weights)
    )
    place = {item: k for k, item in enumerate(used)}
    where = {scale: _columns_at([place[item] for item in items]) for scale, items in members.items()}
    if responses.source.lazy and weights is not None and not isinstance(weights, str):
        raise UnsupportedDataError("A lazy frame takes weights= as the name of a column, not as an array.")
    found: dict[str, MomentSums] = {}
    for rows in _blocks(frame, len(used) + isinstance(weights, str)):
        w = rows[:, -1] if isinstance(weights, str) else _weights_array(weights)
        for scale, items in members.items():
            part = moment_sums(rows[:, where[scale]], items, missing=missing, weights=w)
            found[scale] = found[scale] + part if scale in found else part
    return found


def _columns_at(places: list[int]) -> slice | list[int]:
    """Columns of a matrix, as a slice where they follow each other: a view needs no copy."""
    run = list(range(places[0], places[0] + len(places)))
    return slice(places[0], places[0] + len(places)) if places == run else places


def _blocks(frame: Frame, width: int) -> Iterator[FloatMatrix]:
    """Matrices of a frame; one without rows where there are none."""
    some = False
    for rows in matrices(frame):
        some = True
        yield rows
    if not some:
        yield np.empty((0, width))


# --------------------------------------------------------------------------- counts
def item_counts(instrument: Instrument, data: Any, *, unknown: UnknownCodes = "raise") -> Table:
    """Count how often each code of each item was chosen, and why other answers are missing, in one query.

    Returns
    -------
    Table
        ``item``, ``code`` (the stored code; None for an empty cell), ``keyed`` (its keyed value), ``reason`` (None for
        an answer, else the class of missing) and ``n``. Every declared code has a row, also one that nobody chose. On
        a range the rows are its two ends and, with no code, what lies between.
    """
    raw = data.responses if isinstance(data, KeyedResponses) else data
    responses, raised = bound(instrument, raw, unknown=unknown)
    announce(raised)
    rows: list[dict[str, Any]] = []
    conditions: list[nw.Expr] = []
    for plan in responses.plans.values():
        for row, condition in _categories(plan):
            rows.append(row)
            conditions.append(condition)
    for row, n in zip(rows, count_rows(responses.work, conditions), strict=True):
        row["n"] = n
    return Table.from_rows(rows, ("item", "code", "keyed", "reason", "n"))


def _categories(plan: ItemPlan) -> Iterator[tuple[dict[str, Any], nw.Expr]]:
    def row(code: int | None, keyed: float | None, reason: str | None) -> dict[str, Any]:
        return {"item": plan.item, "code": code, "keyed": keyed, "reason": reason}

    if plan.is_range:
        low, high = plan.bounds
        for end, keyed in zip((low, high), (high, low) if plan.reflected else (low, high), strict=True):
            yield row(int(end) if end == int(end) else None, keyed, None), plan.code == end
        yield row(None, None, None), (plan.code > low) & (plan.code < high)
    else:
        for code in plan.scale.codes:
            yield row(code, plan.keyed[code], None), plan.code == code
    for code, reason in plan.scale.missing_codes.items():
        yield row(code, None, reason), plan.code == code
    yield row(None, None, plan.scale.null_reason), plan.code.is_null()
    if plan.seen.n_unknown:
        yield row(None, None, "invalid"), plan.is_unknown
