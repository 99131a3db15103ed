"""Signs of careless responding, as columns beside the answers: nobody is ever removed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, overload

import narwhals.stable.v2 as nw

from relmeasure.exceptions import ColumnCollisionError, shorten, warn_user
from relmeasure.instruments.definition import Instrument, MissingReason
from relmeasure.responses.binding import WORKING, KeyedResponses, Responses, UnknownCodes, bound
from relmeasure.responses.frames import Frame
from relmeasure.responses.items import ItemPlan

if TYPE_CHECKING:
    from narwhals.stable.v2.typing import IntoDataFrameT, IntoLazyFrameT

__all__ = ["careless_responding"]

_NAMES = ("longstring", "irv", "share_missing")
_AWAY: tuple[MissingReason, ...] = ("not_administered", "not_applicable")


@overload
def careless_responding(
    instrument: Instrument,
    data: IntoDataFrameT,
    *,
    prefix: str = "",
    scales: Sequence[str] | None = None,
    unknown: UnknownCodes = "raise",
) -> IntoDataFrameT: ...
@overload
def careless_responding(
    instrument: Instrument,
    data: IntoLazyFrameT,
    *,
    prefix: str = "",
    scales: Sequence[str] | None = None,
    unknown: UnknownCodes = "raise",
) -> IntoLazyFrameT: ...
@overload
def careless_responding(
    instrument: Instrument,
    data: Responses | KeyedResponses,
    *,
    prefix: str = "",
    scales: Sequence[str] | None = None,
    unknown: UnknownCodes = "raise",
) -> Any: ...


def careless_responding(
    instrument: Instrument,
    data: Any,
    *,
    prefix: str = "",
    scales: Sequence[str] | None = None,
    unknown: UnknownCodes = "raise",
) -> Any:
    """Append signs of careless responding: long strings, little variability, missing answers.

    ``longstring``: the longest run of one and the same stored code over items in the order of the instrument; a missing
    answer ends a run. ``irv``: standard deviation (divisor n - 1) of a person's stored codes, null with fewer than two
    answers. ``share_missing``: share without a valid answer among the items that were administered and applicable.
    Stored, unkeyed codes are used: a run through items of both directions is what gives carelessness away.

    Parameters
    ----------
    instrument : Instrument
    data : frame or responses
        pandas, Polars (eager or lazy), PyArrow or DuckDB. Never changed; no row is removed.
    prefix : str
        Put before the names of the columns appended.
    scales : sequence of str, optional
        Look at the items of these scales only. Default: all coded items in the data.
    unknown : {"raise", "missing"}
        As in ``bind``.

    Returns
    -------
    frame
        Of the same kind, with ``longstring`` (integer), ``irv`` and ``share_missing`` (floats) appended.

    Raises
    ------
    ColumnCollisionError
        A column to be appended exists already.
    UnknownCodeError, ColumnNotFoundError, UnsupportedDataError
        As in ``bind``.

    Notes
    -----
    There is no cut-off that holds everywhere: compare with the distribution in the data, and report what was done.
    With items of one direction and a strong common factor, a long string can be an honest answer.

    References
    ----------
    Johnson, J. A. (2005). Journal of Research in Personality, 39, 103-129 (longstring).
    Dunn, A. M., Heggestad, E. D., Shanock, L. R., & Theilgard, N. (2018). Journal of Business and Psychology, 33,
    105-121 (intra-individual response variability).

    Examples
    --------
    >>> import pandas as pd
    >>> import relmeasure as rm
    >>> instrument = rm.load_instrument("relationship-student")
    >>> answers = pd.DataFrame({f"care_{k}": [4, k % 4 + 1] for k in range(1, 7)})
    >>> signs = rm.careless_responding(instrument, answers, scales=["care"])
    >>> signs["longstring"].tolist(), signs["irv"].round(2).tolist()  # R: careless::longstring, careless::irv
    ([6, 1], [0.0, 1.05])
    """
    raw = data.responses if isinstance(data, KeyedResponses) else data
    responses, raised = bound(instrument, raw, scales=scales, unknown=unknown)
    source = responses.source
    names = [f"{prefix}{name}" for name in _NAMES]
    clashes = [name for name in names if name in responses.given_columns]
    if clashes:
        raise ColumnCollisionError(
            f"{len(clashes)} columns to be written are in the data already: {shorten(clashes)}. "
            "Give another prefix=, or drop them first.",
            columns=clashes,
        )
    for warning in raised:
        warn_user(warning)
    plans = _wanted(responses, scales)
    blank = source.no_rows(dict(zip(names, (nw.Int64(), nw.Float64(), nw.Float64()), strict=True)))
    if blank is not None:
        return responses.with_own_names(source.owned.with_columns(*blank)).to_native()
    work = responses.work
    if isinstance(work, nw.DataFrame):
        work = work.select(*(plan.column for plan in plans))
    work = work.with_columns(*(plan.answer.cast(nw.Float64).alias(_answer(k)) for k, plan in enumerate(plans)))
    work = _longest_run(work, len(plans)).with_columns(*_moments(plans))
    work = work.with_columns(
        nw.col(f"{WORKING}best").cast(nw.Int64).alias(names[0]), _irv().alias(names[1]), _share().alias(names[2])
    )
    if isinstance(work, nw.LazyFrame):
        return responses.with_own_names(work.select(*source.columns, *names)).to_native()
    done = source.owned.with_columns(*(work.get_column(name) for name in names))
    return responses.with_own_names(done).to_native()


def _wanted(responses: Responses, scales: Sequence[str] | None) -> list[ItemPlan]:
    if scales is None:
        return list(responses.plans.values())
    items = {item for scale in scales for item in responses.instrument.scale_items(scale)}
    return [plan for item, plan in responses.plans.items() if item in items]


def _answer(k: int) -> str:
    return f"{WORKING}answer{k}"


def _longest_run(frame: Frame, n_items: int) -> Frame:
    """Add the length of the longest run, item after item: a run goes on while the code stays the same."""
    run, best = nw.col(f"{WORKING}run"), nw.col(f"{WORKING}best")
    for k in range(n_items):
        here = nw.col(_answer(k))
        alone = (~here.is_null()).cast(nw.Int32)
        length = alone if k == 0 else nw.when(_same(here, nw.col(_answer(k - 1)))).then(run + 1).otherwise(alone)
        frame = frame.with_columns(length.alias(f"{WORKING}run"))
        longest = run if k == 0 else nw.when(run > best).then(run).otherwise(best)
        frame = frame.with_columns(longest.alias(f"{WORKING}best"))
    return frame


def _same(here: nw.Expr, before: nw.Expr) -> nw.Expr:
    """Whether two answers are the same; never null, which some engines would take for neither yes nor no."""
    return ~here.is_null() & ~before.is_null() & (here == before)


def _moments(plans: Sequence[ItemPlan]) -> list[nw.Expr]:
    answers = [nw.col(_answer(k)) for k in range(len(plans))]
    classes = [plan.missing_class(why) for plan in plans for why in _AWAY]
    away = [part.cast(nw.Float64) for part in classes if part is not None]
    gone = reduce(add, away) if away else nw.lit(0.0)
    filled = [answer.fill_null(0.0) for answer in answers]
    return [
        reduce(add, [(~answer.is_null()).cast(nw.Float64) for answer in answers]).alias(f"{WORKING}n"),
        reduce(add, filled).alias(f"{WORKING}first"),
        reduce(add, [value * value for value in filled]).alias(f"{WORKING}second"),
        (float(len(plans)) - gone).alias(f"{WORKING}asked"),
    ]


def _irv() -> nw.Expr:
    n, first, second = (nw.col(f"{WORKING}{name}") for name in ("n", "first", "second"))
    squares = n * second - first * first
    variance = nw.when(squares > 0).then(squares).otherwise(nw.lit(0.0)) / (n * (n - 1.0))
    return nw.when(n >= 2).then(variance.sqrt())


def _share() -> nw.Expr:
    n, asked = nw.col(f"{WORKING}n"), nw.col(f"{WORKING}asked")
    return nw.when(asked > 0).then((asked - n) / asked)
