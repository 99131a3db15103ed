"""Whether the stored codes are the declared ones: one aggregate query, and a closer look only where it fails."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals.stable.v2 as nw

from relmeasure.exceptions import (
    CodesAsMissingWarning,
    OriginShiftWarning,
    RelmeasureWarning,
    UnknownCodeError,
    shorten,
)
from relmeasure.instruments.definition import Instrument
from relmeasure.responses.frames import Frame, kind_of
from relmeasure.responses.items import ItemPlan, Seen

__all__ = ["Shift", "collected", "count_rows", "look", "origin_shifts", "unknown_codes_error", "unknown_codes_warnings"]

_LOW, _HIGH, _FRACTIONS, _UNKNOWN = "__low", "__high", "__fractions", "__unknown"
_BLOCK = 1 << 16
"""Numbers looked at while they are in cache."""
_SHOWN = 5
"""Unknown values that a message shows for an item."""
_COMMA = re.compile(r"\s*[+-]?[0-9]+,[0-9]+\s*$")


def collected(frame: Frame) -> nw.DataFrame[Any]:
    """Run a lazy query; an eager frame is returned as it is."""
    return frame.collect() if isinstance(frame, nw.LazyFrame) else frame


# --------------------------------------------------------------------------- one pass over the numbers
def look(frame: Frame, plans: Sequence[ItemPlan]) -> tuple[int, list[ItemPlan]]:
    """Return the number of rows, and the plans with what their columns were seen to hold."""
    quick = [_array_facts(frame, plan) for plan in plans]
    rest = [plan for plan, facts in zip(plans, quick, strict=True) if facts is None]
    exact: set[str] = set()
    answers: dict[str, Seen] = {}
    if not rest and not isinstance(frame, nw.LazyFrame):
        n_rows = len(frame)
    else:
        counted = [plan for plan in rest if isinstance(frame, nw.LazyFrame) and _needs_count(plan)]
        query = [nw.len().alias("n"), *_facts(rest), *map(_unknown_count, counted)]
        (row,) = collected(frame.select(*query)).rows(named=True)
        n_rows, answers = int(row["n"]), {plan.item: _seen(row, plan.column) for plan in rest}
        exact = {plan.item for plan in counted}
    found = [answers[plan.item] if facts is None else facts for plan, facts in zip(plans, quick, strict=True)]
    planned = [replace(plan, seen=seen) for plan, seen in zip(plans, found, strict=True)]
    doubtful = [i for i, plan in enumerate(planned) if plan.item not in exact and _doubtful(plan)]
    if doubtful:
        counts = count_rows(frame, [planned[i].is_unknown for i in doubtful])
        for i, n in zip(doubtful, counts, strict=True):
            planned[i] = replace(planned[i], seen=replace(planned[i].seen, n_unknown=n))
    return n_rows, planned


def count_rows(frame: Frame, conditions: Sequence[nw.Expr]) -> list[int]:
    """Count the rows in which each condition holds, in one query."""
    query = [c.cast(nw.Int64).sum().alias(f"c{i}") for i, c in enumerate(conditions)]
    (row,) = collected(frame.select(*query)).rows(named=True)
    return [int(row[f"c{i}"] or 0) for i in range(len(conditions))]


def _facts(plans: Sequence[ItemPlan]) -> list[nw.Expr]:
    """Smallest and largest number of each column, and whether there are fractions: one expression for all alike."""
    if not plans:
        return []
    everything = nw.col(*(plan.column for plan in plans))
    facts = [everything.min().name.suffix(_LOW), everything.max().name.suffix(_HIGH)]
    floats = [plan for plan in plans if not plan.integer and not plan.is_range]
    facts += [(plan.code.round(0) != plan.code).any().alias(f"{plan.column}{_FRACTIONS}") for plan in floats]
    return facts


def _seen(row: Mapping[str, Any], column: str) -> Seen:
    low, high = _number(row[f"{column}{_LOW}"]), _number(row[f"{column}{_HIGH}"])
    return Seen(low, high, bool(row.get(f"{column}{_FRACTIONS}")), int(row.get(f"{column}{_UNKNOWN}") or 0))


def _needs_count(plan: ItemPlan) -> bool:
    """Whether the ends cannot tell: a lazy frame, which is read at each query, is then counted at once."""
    return bool(plan.scale.missing_codes) or not (plan.is_range or plan.steps)


def _unknown_count(plan: ItemPlan) -> nw.Expr:
    safe = replace(plan, seen=Seen(fractional=not plan.integer))
    return safe.is_unknown.cast(nw.Int64).sum().alias(f"{plan.column}{_UNKNOWN}")


def _number(value: Any) -> float | None:
    if value is None or type(value).__name__ == "NAType" or math.isnan(value):
        return None
    return float(value)


def _array_facts(frame: Frame, plan: ItemPlan) -> Seen | None:
    """The same from a pandas column as an array, with fewer passes over memory; None for other engines."""
    if isinstance(frame, nw.LazyFrame) or not frame.implementation.is_pandas():
        return None
    import numpy as np

    native = frame.get_column(plan.column).to_native()
    plain = isinstance(native.dtype, np.dtype)
    values = native.to_numpy() if plain else native.to_numpy(dtype=np.float64, na_value=np.nan)  # nullable types
    if len(values) == 0:
        return Seen()
    low, high = _number(np.fmin.reduce(values)), _number(np.fmax.reduce(values))
    if plan.integer or plan.is_range or low is None:
        return Seen(low, high)
    blocks = (values[start : start + _BLOCK] for start in range(0, len(values), _BLOCK))
    return Seen(low, high, any(bool(((np.rint(b) != b) & (b == b)).any()) for b in blocks))


def _doubtful(plan: ItemPlan) -> bool:
    """Whether smallest and largest number leave it open that some are unknown."""
    seen, (low, high) = plan.seen, plan.bounds
    if seen.low is None or seen.high is None:
        return False
    inside = low <= seen.low and seen.high <= high and not seen.fractional
    return not (inside and (plan.is_range or plan.steps))


# --------------------------------------------------------------------------- unknown codes
def unknown_values(frame: Frame, plan: ItemPlan) -> list[Any]:
    """Return the most frequent stored values of an item that are no declared code."""
    stored = nw.col(plan.item)
    if kind_of(frame.collect_schema()[plan.item]) == "text":
        stored = stored.cast(nw.String)
    bad = frame.filter(plan.is_unknown).select(stored.alias("value"))
    if isinstance(bad, nw.LazyFrame):
        counts = bad.group_by("value").agg(nw.len().alias("n"))
        table = collected(counts.sort("n", "value", descending=[True, False]).head(_SHOWN))
        return [_shown(value) for value in table["value"].to_list()]
    seen = Counter(_shown(value) for value in bad["value"].to_list())
    return [value for value, _ in sorted(seen.items(), key=lambda pair: (-pair[1], _order(pair[0])))][:_SHOWN]


def _shown(value: Any) -> Any:
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, (str, bool)):
        return plain
    number = float(plain)
    return int(number) if math.isfinite(number) and number == int(number) else number


def _order(value: Any) -> tuple[int, float, str]:
    return (1, 0.0, value) if isinstance(value, str) else (0, float(value), "")


@dataclass(frozen=True)
class Shift:
    """Items of one scale whose codes fit the declared ones when moved by one."""

    scale: str
    response_scale: str
    items: tuple[str, ...]
    seen: tuple[int, int]
    declared: tuple[int, int]
    by: int

    @property
    def message(self) -> str:
        """What was seen, what is declared, and what to do."""
        move = "add 1 to" if self.by == 1 else "subtract 1 from"
        return (
            f"Scale '{self.scale}': the codes of {shorten(self.items, 4)} run from {self.seen[0]} to {self.seen[1]} "
            f"where '{self.response_scale}' declares {self.declared[0]} to {self.declared[1]}: "
            "the origin looks shifted by one. "
            f"Check the codebook and {move} these items, or declare the codes as stored."
        )


def origin_shifts(
    frame: Frame, instrument: Instrument, scales: Iterable[str], plans: Mapping[str, ItemPlan]
) -> list[Shift]:
    """Find scales whose codes all fit when moved by one, while the extreme on the other side was never seen."""
    found = []
    for scale in scales:
        groups: dict[str, list[ItemPlan]] = {}
        for item in instrument.scale(scale).items:
            if item in plans:
                groups.setdefault(instrument.item(item).response_scale, []).append(plans[item])
        for name, group in groups.items():
            if any(plan.seen.n_unknown for plan in group) and all(plan.steps for plan in group):
                found += _shift(frame, scale, name, group)
    return found


def _shift(frame: Frame, scale: str, name: str, group: Sequence[ItemPlan]) -> list[Shift]:
    query = []
    for i, plan in enumerate(group):
        stored = plan.code
        for code in plan.scale.missing_codes:
            stored = nw.when(stored != code).then(stored)
        query += [stored.min().alias(f"low{i}"), stored.max().alias(f"high{i}")]
    (row,) = collected(frame.select(*query)).rows(named=True)
    lows = [x for i in range(len(group)) if (x := _number(row[f"low{i}"])) is not None]
    highs = [x for i in range(len(group)) if (x := _number(row[f"high{i}"])) is not None]
    if not lows or any(plan.seen.fractional for plan in group):
        return []
    low, high = min(lows), max(highs)
    first, last = group[0].bounds
    for by in (1, -1):
        fits = low + by >= first and high + by <= last
        extreme = low == first - 1 if by == 1 else high == last + 1
        if fits and extreme and low < high:
            items = tuple(plan.item for plan in group)
            return [Shift(scale, name, items, (int(low), int(high)), (int(first), int(last)), by)]
    return []


def unknown_codes_error(frame: Frame, plans: Sequence[ItemPlan], shifts: Sequence[Shift]) -> UnknownCodeError:
    """Name each item with unknown codes, how many, and which; and a shifted origin if that explains them."""
    bad = [plan for plan in plans if plan.seen.n_unknown]
    values = {plan.item: unknown_values(frame, plan) for plan in bad}
    lines = [
        f"{plan.item}: {plan.seen.n_unknown} ({shorten(map(repr, values[plan.item]))}; {_declared(plan)})"
        for plan in bad[:8]
    ]
    more = f"; and {len(bad) - 8} more items" if len(bad) > 8 else ""
    remedy = (
        " ".join(shift.message for shift in shifts)
        if shifts
        else "Correct them, declare them as missing codes of the response scale, or pass unknown='missing'."
    )
    if all(_COMMA.match(str(value)) for seen in values.values() for value in seen):
        remedy = "These are numbers with a decimal comma: read the file with decimal=','."
    plural = "items hold" if len(bad) != 1 else "item holds"
    return UnknownCodeError(
        f"{len(bad)} {plural} codes that are not declared: {'; '.join(lines)}{more}. {remedy}",
        counts={plan.item: plan.seen.n_unknown for plan in bad},
        values=values,
        shifted={item: shift.by for shift in shifts for item in shift.items},
    )


def _declared(plan: ItemPlan) -> str:
    low, high = plan.bounds
    if plan.is_range or plan.steps:
        return f"declared {low:g} to {high:g}"
    return f"declared {shorten(plan.scale.codes)}"


def unknown_codes_warnings(plans: Sequence[ItemPlan], shifts: Sequence[Shift]) -> list[RelmeasureWarning]:
    """Say which codes were set to missing on request, and a shifted origin if that explains them."""
    counts = {plan.item: plan.seen.n_unknown for plan in plans if plan.seen.n_unknown}
    if not counts:
        return []
    told = shorten(f"{item}: {n}" for item, n in counts.items())
    first = CodesAsMissingWarning(
        f"{sum(counts.values())} answers with codes that are not declared were set to missing ({told}).", counts=counts
    )
    return [first, *(OriginShiftWarning(s.message, items=list(s.items), by=s.by) for s in shifts)]
