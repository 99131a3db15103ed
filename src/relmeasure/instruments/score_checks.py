"""Contradictions in scales, missing rules, levels and norms."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING

from relmeasure.exceptions import shorten
from relmeasure.instruments.messages import Hints, numbers, twice

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument, Item, Norms, Scale

__all__ = ["MAX_DEPTH", "Range", "norm_problems", "scale_problems"]

MAX_DEPTH = 10
"""How deep scales may be nested in scales."""

Range = tuple[float, float]
"""Lowest and highest value."""

_LEVELS_OF: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("teacher", "self"): ("teacher", "school"),
    ("teacher", "teacher"): ("teacher", "school"),
    ("teacher", "school"): ("teacher", "school"),
    ("teacher", "class"): ("class", "teacher", "school"),
    ("teacher", "lesson"): ("class", "teacher", "school"),
    ("observer", "teacher"): ("class", "teacher", "school"),
    ("observer", "class"): ("class", "teacher", "school"),
    ("observer", "lesson"): ("class", "teacher", "school"),
    ("observer", "school"): ("school",),
    ("staff", "self"): ("teacher", "school"),
    ("staff", "school"): ("teacher", "school"),
}
"""Levels that exist for a reporter and a target; where nothing stands here, all of them do."""


def scale_problems(instrument: Instrument, hints: Hints, ranges: Mapping[str, Range | None]) -> Iterator[str]:
    """Contradictions in the scales of an instrument; ``ranges`` are those of its sound response scales."""
    items = {item.id: item for item in instrument.items}
    by_id = {scale.id: scale for scale in instrument.scales}
    norms = {norm.id: norm for norm in instrument.norms}
    order, in_circle = _bottom_up(by_id)
    if in_circle:
        yield f"scales: {shorten(in_circle)} contain themselves through their subscales: break the circle."
    if len(by_id) > 1 and _depth(order, by_id) > MAX_DEPTH:
        yield f"scales: nested more than {MAX_DEPTH} deep: name the items or the lowest subscales directly."
    possible: dict[str, Range | None] = {}
    for name in (*order, *in_circle):
        scale, where = by_id[name], f"scales.{name}"
        yield from _scale(scale, where)
        yield from _levels(instrument, scale, by_id, where)
        yield from _references(instrument, scale, items, by_id, hints, where)
        if scale.items:
            parts = {ranges.get(items[item].response_scale) if item in items else None for item in scale.items}
        elif any(sub in by_id and by_id[sub].scoring.norms for sub in scale.subscales):
            parts = {None}
        else:
            parts = {possible.get(sub) for sub in scale.subscales}
        yield from _mixed(scale, parts, where)
        possible[name] = _possible(scale, parts, possible)
        yield from _scale_norms(scale, norms, possible[name], hints, where)


def _references(
    instrument: Instrument,
    scale: Scale,
    items: Mapping[str, Item],
    by_id: Mapping[str, Scale],
    hints: Hints,
    where: str,
) -> Iterator[str]:
    for item in scale.items:
        if item not in items:
            yield f"{where}: item '{item}' is not declared.{hints(item, items)}"
        elif (used := instrument.response_scales.get(items[item].response_scale)) and used.kind == "open":
            yield f"{where}: item '{item}' is an open answer and cannot be scored: take it out of the scale."
    for sub in scale.subscales:
        if sub not in by_id:
            yield f"{where}: subscale '{sub}' is not declared.{hints(sub, by_id)}"


def _bottom_up(by_id: Mapping[str, Scale]) -> tuple[list[str], list[str]]:
    """Scales in an order in which subscales come first; and those that contain themselves."""
    waiting = {name: len({s for s in scale.subscales if s in by_id}) for name, scale in by_id.items()}
    parents: dict[str, list[str]] = {}
    for name, scale in by_id.items():
        for sub in dict.fromkeys(scale.subscales):
            parents.setdefault(sub, []).append(name)
    order = [name for name, count in waiting.items() if count == 0]
    for name in order:
        for parent in parents.get(name, ()):
            waiting[parent] -= 1
            if waiting[parent] == 0:
                order.append(parent)
    done = set(order)
    return order, [name for name in by_id if name not in done]


def _depth(order: Iterable[str], by_id: Mapping[str, Scale]) -> int:
    depth: dict[str, int] = {}
    for name in order:
        depth[name] = 1 + max((depth.get(sub, 0) for sub in by_id[name].subscales), default=0)
    return max(depth.values(), default=0)


def _scale(scale: Scale, where: str) -> Iterator[str]:
    if bool(scale.items) == bool(scale.subscales):
        yield f"{where}: a scale has either items or subscales; give one of the two."
        return
    method, weights = scale.scoring.method, scale.scoring.weights
    yield from twice(scale.components, f"{where}: component", "name each item or subscale once")
    if (method in {"mean_of_subscales", "weighted"}) != bool(scale.subscales):
        kind = "subscales" if scale.subscales else "items"
        yield f"{where}: scoring method '{method}' does not go with {kind}: change the method or the components."
    elif method == "weighted":
        if set(weights) != set(scale.subscales):
            yield (
                f"{where}: weights are given for {shorten(weights) or 'nothing'}, "
                f"but the subscales are {shorten(scale.subscales)}: give one weight a subscale."
            )
        elif not any(weights.values()):
            yield f"{where}: every weight is 0, so the score is 0 for everyone: give the weights."
    elif weights or scale.scoring.constant:
        name = "weights go" if weights else "constant goes"
        yield f"{where}: {name} with method = 'weighted'; the method is '{method}': change one."
    yield from _missing_rule(scale, where)


def _missing_rule(scale: Scale, where: str) -> Iterator[str]:
    n, rule, method = len(scale.components), scale.missing, scale.scoring.method
    if rule.min_valid is not None and rule.min_share is not None:
        yield f"{where}: min_valid and min_share are both given: keep one."
    if rule.min_valid is not None and rule.min_valid > n:
        yield f"{where}: min_valid = {rule.min_valid}, but there are only {n} components: lower it."
    allows_gaps = rule.min_share is not None or (rule.min_valid is not None and rule.min_valid < n)
    if method == "weighted" and allows_gaps:
        yield f"{where}: a weighted composite needs all its subscales: remove the missing rule."
    if method == "sum" and allows_gaps and not rule.prorate:
        yield (
            f"{where}: a sum with missing answers and prorate = false would count a gap as zero: "
            "set prorate = true, or require every item."
        )
    if rule.prorate and method != "sum":
        yield f"{where}: prorate applies to a sum; a {method} needs none: remove it."
    elif rule.prorate and not allows_gaps:
        yield f"{where}: prorate = true, but every item is required: give min_valid or min_share, or remove it."
    if rule.round_prorated and not rule.prorate:
        yield f"{where}: round_prorated goes with prorate = true: remove it, or prorate."


def _levels(instrument: Instrument, scale: Scale, by_id: Mapping[str, Scale], where: str) -> Iterator[str]:
    yield from twice(scale.levels, f"{where}: level", "name each level once")
    allowed = _LEVELS_OF.get((instrument.reporter, instrument.target))
    wrong = [level for level in scale.levels if allowed is not None and level not in allowed]
    if allowed is not None and wrong:
        yield (
            f"{where}: levels {shorten(wrong)} do not exist when the {instrument.reporter} reports on "
            f"{instrument.target}: name levels among {shorten(allowed)}."
        )
    for sub in dict.fromkeys(scale.subscales):
        missing = [level for level in scale.levels if sub in by_id and level not in by_id[sub].levels]
        if missing:
            yield f"{where}: is for level {shorten(missing)}, but its subscale '{sub}' is not: remove the level."


def _mixed(scale: Scale, parts: Collection[Range | None], where: str) -> Iterator[str]:
    method = scale.scoring.method
    known = sorted(part for part in parts if part is not None)
    if len(known) < 2 or method in {"pomp", "weighted"}:
        return
    runs = shorten(f"{low:g} to {high:g}" for low, high in known)
    if scale.items:
        yield f"{where}: its items run over different ranges ({runs}): use method = 'pomp', or give option scores."
    else:
        yield f"{where}: its subscales run over different ranges ({runs}): score them alike (pomp), or use 'weighted'."


def _possible(scale: Scale, parts: Collection[Range | None], subscales: Mapping[str, Range | None]) -> Range | None:
    """Lowest and highest raw score that a scale can take; None where its parts are not known."""
    method = scale.scoring.method
    if method == "pomp":
        return (0.0, 100.0)
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts) or (len(known) > 1 and method != "weighted"):
        return None
    if method == "weighted":
        ends = [
            sorted((weight * end[0], weight * end[1]))
            for sub, weight in scale.scoring.weights.items()
            if (end := subscales.get(sub)) is not None
        ]
        constant = scale.scoring.constant
        return (constant + sum(low for low, _ in ends), constant + sum(high for _, high in ends))
    low, high = known[0]
    times = len(scale.items) if method == "sum" else 1
    return (low * times, high * times)


def _scale_norms(
    scale: Scale, norms: Mapping[str, Norms], possible: Range | None, hints: Hints, where: str
) -> Iterator[str]:
    name = scale.scoring.norms
    if name is None:
        return
    norm = norms.get(name)
    if norm is None:
        yield f"{where}: norms '{name}' are not declared.{hints(name, norms)}"
        return
    if possible is None:
        return
    low, high = possible
    slack = 1e-9 * max(1.0, abs(low), abs(high))
    raw = [row[0] for row in norm.table] if norm.kind == "lookup" else [norm.mean] if norm.mean is not None else []
    outside = [value for value in raw if not low - slack <= value <= high + slack]
    if outside:
        what = "raw scores" if norm.kind == "lookup" else "the mean"
        yield (
            f"{where}: norms '{name}' hold {what} {numbers(outside)}, but the score runs from {low:g} to {high:g}: "
            "the norm is for another metric (sum, mean, origin), or mistyped."
        )


def norm_problems(norm: Norms, where: str) -> Iterator[str]:
    """Contradictions within one norm."""
    yield from _calendar(norm.date, where)
    if norm.kind == "t_score":
        if norm.mean is None or norm.sd is None:
            yield f"{where}: a T-score norm needs mean and sd: add them."
        if norm.table:
            yield f"{where}: a T-score norm has no table: remove it, or set kind = 'lookup'."
        return
    if norm.mean is not None or norm.sd is not None:
        yield f"{where}: a lookup norm has a table, no mean or sd: remove them, or set kind = 't_score'."
    if len(norm.table) < 2:
        yield f"{where}: a lookup norm needs at least 2 rows; seen {len(norm.table)}."
        return
    steps = list(zip(norm.table, norm.table[1:], strict=False))
    for before, after in steps:
        if after[0] <= before[0]:
            yield f"{where}: raw scores must rise from row to row; {after[0]:g} follows {before[0]:g}: correct it."
    rises = [after for before, after in steps if after[1] > before[1]]
    falls = [after for before, after in steps if after[1] < before[1]]
    if rises and falls:
        bad = falls if len(falls) <= len(rises) else rises
        yield (
            f"{where}: the table is not monotone at raw {shorten(f'{b[0]:g} -> {b[1]:g}' for b in bad)}: "
            "check these rows against the source."
        )
    elif not rises and not falls:
        yield f"{where}: every raw score is reported as {norm.table[0][1]:g}: check the table against the source."


def _calendar(text: str, where: str) -> Iterator[str]:
    full = text + "-01-01"[len(text) - 4 :] if len(text) < 10 else text
    try:
        date.fromisoformat(full)
    except ValueError:
        yield f"{where}: date '{text}' is not in the calendar: correct it."
