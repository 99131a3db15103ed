"""A frame bound to an instrument: columns found, codes checked, the class of each missing answer kept.

Raw answers (``Responses``) and keyed ones (``KeyedResponses``) are different types, so that nothing is reversed twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import narwhals.stable.v2 as nw

from relmeasure.exceptions import (
    AlreadyKeyedError,
    CodesAsMissingWarning,
    ColumnCollisionError,
    ColumnNotFoundError,
    OptionError,
    RelmeasureWarning,
    UnsupportedDataError,
    shorten,
    warn_user,
)
from relmeasure.instruments.catalog import require_instrument
from relmeasure.instruments.definition import Instrument
from relmeasure.responses.answers import codes_expression
from relmeasure.responses.codes import look, origin_shifts, unknown_codes_error, unknown_codes_warnings
from relmeasure.responses.distinct import numbers_of_objects, numbers_of_text
from relmeasure.responses.frames import Frame, Source, array_frame, open_frame
from relmeasure.responses.items import ItemPlan
from relmeasure.responses.renaming import under_item_ids

if TYPE_CHECKING:
    from relmeasure.results import Note

__all__ = ["KeyedResponses", "Responses", "UnknownCodes", "bind", "bound"]

UnknownCodes = Literal["raise", "missing"]
"""What happens to codes that the response scale does not declare."""

WORKING = "__relmeasure_"
"""Start of the names of working columns; none of them is ever returned."""


@dataclass(frozen=True, eq=False)
class Responses:
    """Raw answers bound to their instrument. Made by ``bind``.

    Attributes
    ----------
    frame : native frame
        The data as handed in, untouched.
    instrument : Instrument
    scales : tuple of str
        Scales whose items are bound.
    n_rows : int
        Rows of the data.
    steps : tuple of str
        Recorded facts: codes set to missing, categories collapsed.
    warnings : tuple of Note
        Everything that was warned about while binding.
    columns : dict
        Items whose column has another name, and that name. Keyed answers stand under item ids.
    """

    frame: Any
    instrument: Instrument
    scales: tuple[str, ...]
    n_rows: int
    plans: Mapping[str, ItemPlan] = field(repr=False)
    source: Source = field(repr=False)
    work: Frame = field(repr=False)
    steps: tuple[str, ...] = ()
    warnings: tuple[Note, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def items(self) -> tuple[str, ...]:
        """Bound items, in the order of the instrument."""
        return tuple(self.plans)

    @property
    def given_columns(self) -> list[Any]:
        """Names of the columns of the data as handed in."""
        return [self.columns.get(name, name) for name in self.source.columns]

    def with_own_names(self, frame: Frame) -> Frame:
        """Give the columns of a frame made from ``source`` or ``work`` the names they had in the data."""
        return frame.rename(dict(self.columns)) if self.columns else frame

    def __repr__(self) -> str:
        """What is bound to what, without the data."""
        head = f"{self.n_rows} rows of {self.source.engine} bound to {self.instrument.label}"
        lines = [f"{head}: {len(self.items)} items of {', '.join(self.scales) or 'no scale'}", *self.steps]
        if self.columns:
            lines.append("columns: " + shorten(f"{item} = '{column}'" for item, column in self.columns.items()))
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from relmeasure.layout import notebook_html

        return notebook_html(self.__repr__)

    def keyed(self) -> KeyedResponses:
        """Return the keyed answers: a higher value means more of what the scale measures."""
        return KeyedResponses(self)


@dataclass(frozen=True, eq=False)
class KeyedResponses:
    """Keyed answers: declared direction, scores and keys applied once. Made by ``Responses.keyed``.

    Attributes
    ----------
    responses : Responses
        The raw answers they were made from.
    """

    responses: Responses

    @property
    def instrument(self) -> Instrument:
        """The instrument."""
        return self.responses.instrument

    @property
    def items(self) -> tuple[str, ...]:
        """Keyed items, in the order of the instrument."""
        return self.responses.items

    @property
    def n_rows(self) -> int:
        """Rows of the data."""
        return self.responses.n_rows

    @property
    def warnings(self) -> tuple[Note, ...]:
        """Everything that was warned about while binding."""
        return self.responses.warnings

    @cached_property
    def frame(self) -> Any:
        """The data with keyed values in the item columns, floats with null where there is no answer."""
        raw = self.responses
        keyed = [plan.keyed_value.alias(item) for item, plan in raw.plans.items()]
        if isinstance(raw.work, nw.LazyFrame):
            return raw.work.with_columns(*keyed).select(*raw.source.columns).to_native()
        columns = raw.source.no_rows(dict.fromkeys(raw.items, nw.Float64()))
        if columns is None:
            made = raw.work.select(*keyed)
            columns = [made.get_column(item) for item in raw.items]
        return raw.source.owned.with_columns(*columns).to_native()

    def keyed(self) -> KeyedResponses:
        """Refuse: these answers are keyed already."""
        raise already_keyed("keyed()")


def already_keyed(what: str) -> AlreadyKeyedError:
    """Build the error for keyed answers handed to something that keys them."""
    return AlreadyKeyedError(
        f"{what} takes raw answers, and these are keyed already: nothing is reversed twice. "
        "Hand in the data as stored, or the Responses they came from (.responses)."
    )


# --------------------------------------------------------------------------- binding
def bind(
    instrument: Instrument,
    data: Any,
    *,
    scales: Sequence[str] | None = None,
    unknown: UnknownCodes = "raise",
    columns: Mapping[str, str] | None = None,
) -> Responses:
    """Bind a frame to an instrument: find the items, check every code, keep the class of missing.

    What counts as which code is one table for every engine (docs/data-contract.md): 3, 3.0, "3" and the label of option
    3 are code 3; null, NaN, None, NA and blank text are empty cells; anything else is an unknown code. A lazy frame is
    read once for the check (smallest and largest code of each item) and stays lazy.

    Parameters
    ----------
    instrument : Instrument
    data : frame or array (n, p)
        pandas, Polars (eager or lazy), PyArrow, DuckDB, or an array with one column an item in the instrument's order.
        Never changed.
    scales : sequence of str, optional
        Bind the items of these scales only, so that a file with a part of the items will do. Default: all scales.
    unknown : {"raise", "missing"}
        Codes that are not declared are an error, or become missing of class "invalid", recorded and warned about.
    columns : mapping of item id to column, optional
        Where the columns of the data bear other names. Bind once with it, then hand the responses to whatever takes
        data: every answer then goes by its item id, and frames given back have the names of the data.

    Returns
    -------
    Responses

    Raises
    ------
    UnsupportedDataError, DuplicateColumnError, ColumnNotFoundError
        The data cannot be read, a name stands twice, an item is missing.
    NonNumericError
        An item holds dates or other objects.
    UnknownCodeError
        Codes that are not declared, with a count an item in ``details["counts"]``; a shifted origin is named.
    AlreadyKeyedError
        The data are ``KeyedResponses``.

    Examples
    --------
    >>> import pandas as pd
    >>> import relmeasure as rm
    >>> instrument = rm.load_instrument("relationship-student")
    >>> answers = pd.DataFrame({f"care_{k}": [1, 4, None] for k in range(1, 7)})
    >>> responses = rm.bind(instrument, answers, scales=["care"])
    >>> responses.n_rows, len(responses.items)
    (3, 6)

    A file with names of its own, scored and tested for reliability:

    >>> file = pd.DataFrame({f"TQA11{letter}": [1, 4, 2, 3] for letter in "ABCDEF"})
    >>> own = {f"care_{k}": f"TQA11{letter}" for k, letter in enumerate("ABCDEF", start=1)}
    >>> responses = rm.bind(instrument, file, scales=["care"], columns=own)
    >>> rm.score(instrument, responses).columns.tolist()[5:7]
    ['TQA11F', 'care']
    """
    responses, raised = bound(instrument, data, scales=scales, unknown=unknown, columns=columns)
    for warning in raised:
        warn_user(warning)
    return responses


def bound(
    instrument: Instrument,
    data: Any,
    *,
    scales: Sequence[str] | None = None,
    unknown: UnknownCodes = "raise",
    columns: Mapping[str, str] | None = None,
) -> tuple[Responses, list[RelmeasureWarning]]:
    """Bind as ``bind`` does, and return the warnings instead of issuing them."""
    if unknown not in get_args(UnknownCodes):
        raise OptionError.from_value("unknown", unknown, get_args(UnknownCodes))
    if isinstance(data, KeyedResponses):
        raise already_keyed("bind()")
    if isinstance(data, Responses):
        if columns:
            raise OptionError("columns= is for frames: bound responses know their columns already.", argument="columns")
        return _rebound(instrument, data, scales), []
    wanted = _scales(instrument, scales)
    if type(data).__module__ == "numpy" and hasattr(data, "ndim"):
        data = array_frame(data, instrument.item_ids)
    renamed: tuple[Any, dict[str, str]] = (data, {})
    if columns:
        renamed = under_item_ids(instrument, data, columns)
    source = open_frame(renamed[0])
    reserved = [name for name in source.columns if isinstance(name, str) and name.startswith(WORKING)]
    if reserved:
        raise ColumnCollisionError(
            f"Column names that start with '{WORKING}' are kept for working columns: rename {shorten(reserved)}.",
            columns=reserved,
        )
    items = _items(instrument, wanted, source, everything=scales is None, columns=columns or {})
    work, plans = _numbers(instrument, source, items)
    n_rows, looked = look(work, plans)
    found = {plan.item: plan for plan in looked}
    raised: list[RelmeasureWarning] = []
    if any(plan.seen.n_unknown for plan in looked):
        shifts = origin_shifts(work, instrument, instrument.scale_ids, found)
        if unknown == "raise":
            raise unknown_codes_error(work, looked, shifts)
        raised = unknown_codes_warnings(looked, shifts)
    steps = tuple(_steps(instrument, looked, raised))
    notes = _notes(raised)
    return Responses(data, instrument, wanted, n_rows, found, source, work, steps, notes, renamed[1]), raised


def _notes(raised: Sequence[RelmeasureWarning]) -> tuple[Note, ...]:
    """Warnings as notes; the results module, and NumPy with it, is loaded only if there are any."""
    if not raised:
        return ()
    from relmeasure.results import notes_from

    return notes_from(raised)


def _scales(instrument: Instrument, scales: Sequence[str] | None) -> tuple[str, ...]:
    require_instrument(instrument)
    if scales is None:
        return instrument.scale_ids
    if isinstance(scales, str):
        scales = [scales]
    for scale in scales:
        if scale not in instrument.scale_ids:
            raise OptionError.from_value("scales", scale, instrument.scale_ids)
    return tuple(dict.fromkeys(scales))


def _rebound(instrument: Instrument, data: Responses, scales: Sequence[str] | None) -> Responses:
    """Responses as they are, if they are those of the instrument and hold the scales asked for."""
    if data.instrument is not instrument and data.instrument != instrument:
        raise UnsupportedDataError(
            f"These responses are bound to {data.instrument.label}, not to {instrument.label}: bind the frame again.",
            bound_to=data.instrument.label,
        )
    wanted = data.scales if scales is None else _scales(instrument, scales)
    absent = [scale for scale in wanted if scale not in data.scales]
    if absent:
        raise UnsupportedDataError(
            f"These responses were bound for scales {', '.join(data.scales)} only: bind the frame again for "
            f"{', '.join(absent)}.",
            scales=list(data.scales),
        )
    return data


def _items(
    instrument: Instrument,
    scales: Sequence[str],
    source: Source,
    *,
    everything: bool,
    columns: Mapping[str, str],
) -> list[str]:
    """Items to read: those of the scales, which must be there, and unscored coded items where they are."""
    needed = {item for scale in scales for item in instrument.scale_items(scale)}
    coded = [item for item in instrument.item_ids if instrument.response_scale(item).kind != "open"]
    if not instrument.scales:
        needed = set(coded)
    absent = [item for item in coded if item in needed and item not in source.kinds]
    if absent:
        raise _absent_items(instrument, absent, source, columns, everything=everything)
    return [item for item in coded if item in needed or (everything and item in source.kinds)]


def _absent_items(
    instrument: Instrument, absent: Sequence[str], source: Source, columns: Mapping[str, str], *, everything: bool
) -> ColumnNotFoundError:
    """The error for items without a column; scales that the data do hold are named."""
    whole = [scale for scale in instrument.scale_ids if set(instrument.scale_items(scale)) <= set(source.kinds)]
    remedy = ""
    if everything and whole:
        remedy = f" All items of {shorten(whole)} are there: scales={whole!r} asks for no others."
    elif not columns:
        remedy = " If they bear other names there, say which with columns={item: column}."
    names = [columns.get(item, item) for item in absent]
    return ColumnNotFoundError.from_names(names, [str(c) for c in source.columns], remedy=remedy)


def _numbers(instrument: Instrument, source: Source, items: Sequence[str]) -> tuple[Frame, list[ItemPlan]]:
    """Add a working column of numbers for every item whose own column is not one."""
    blank = source.no_rows({f"{WORKING}code_{item}": nw.Float64() for item in items})
    if blank is not None:
        plans = [ItemPlan.of(instrument, item, f"{WORKING}code_{item}", nw.Float64()) for item in items]
        return source.frame.with_columns(*blank), plans
    new: list[nw.Expr] = []
    series: dict[str, Any] = {}
    for item in items:
        scale = instrument.response_scale(item)
        name = f"{WORKING}code_{item}"
        if source.kinds[item] == "object":
            series[item], expression = numbers_of_objects(source, item, scale, name)
            if expression is not None:
                new.append(expression)
        elif source.kinds[item] == "text" and not source.lazy:
            series[item] = numbers_of_text(source, item, scale, name)
        elif (expression := codes_expression(source, item, scale)) is not None:
            new.append(expression.alias(name))
            series[item] = None
    work = source.frame
    objects = [column for column in series.values() if column is not None]
    if objects:
        work = work.with_columns(*objects)
    if new:
        work = work.with_columns(*new)
    dtypes = work.collect_schema() if series else source.dtypes
    columns = {item: f"{WORKING}code_{item}" if item in series else item for item in items}
    return work, [ItemPlan.of(instrument, item, column, dtypes[column]) for item, column in columns.items()]


def _steps(instrument: Instrument, plans: Sequence[ItemPlan], raised: Sequence[RelmeasureWarning]) -> list[str]:
    steps = [w.message for w in raised if isinstance(w, CodesAsMissingWarning)]
    used = dict.fromkeys(instrument.item(plan.item).response_scale for plan in plans)
    for name in used:
        for collapse in instrument.response_scales[name].collapse:
            codes = ", ".join(map(str, collapse.codes))
            steps.append(f"codes {codes} of '{name}' scored as {collapse.to}: {collapse.reason}")
    return steps
