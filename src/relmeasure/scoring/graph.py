"""Scores as expressions: counts, sums, rules, norms and reasons, in stages that build on each other.

A stage is one ``with_columns``: what several later expressions need is computed once, in a working column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add

import narwhals.stable.v2 as nw

from relmeasure.instruments.definition import Instrument, MissingReason, Norms, Scale
from relmeasure.responses.binding import WORKING
from relmeasure.responses.items import ItemPlan
from relmeasure.scoring.tallies import Tallies

__all__ = ["REASONS", "Graph", "round_half_up"]

REASONS = (
    "not_administered",
    "not_applicable",
    "invalid_answers",
    "no_answer",
    "too_few_answers",
    "subscale_missing",
    "outside_norms",
)
"""Why a score is missing; the first that holds is given."""

_CLASSES: tuple[MissingReason, ...] = ("not_administered", "not_applicable", "invalid")
_TIE = 1e-9
"""A half that binary numbers cannot hold exactly (2.675) lies within this of one, and goes up."""
_LARGEST = ((nw.Int8, 2**7 - 1), (nw.Int16, 2**15 - 1), (nw.Int32, 2**31 - 1), (nw.Int64, 2**53))


@dataclass
class Graph:
    """Stages of expressions that score some scales of a bound frame.

    Attributes
    ----------
    instrument : Instrument
    plans : mapping
        How each item is read.
    names : mapping
        Output columns of each scale: score, n_valid, reason. Scales without one are worked out in passing.
    reason_codes : bool
        Give reasons as positions in a list of words (``words``) instead of words.
    tallies : Tallies, optional
        Takes counts and sums of items off the expressions, where it can.
    stages : list of list of expressions
    words : dict
        The list of each reason column, where positions are given.
    """

    instrument: Instrument
    plans: Mapping[str, ItemPlan]
    names: Mapping[str, tuple[str, str, str]]
    reason_codes: bool = False
    tallies: Tallies | None = None
    stages: list[list[nw.Expr]] = field(default_factory=list)
    words: dict[str, tuple[str | None, ...]] = field(default_factory=dict)
    _done: dict[str, _Scored] = field(default_factory=dict)

    def add(self, stage: int, name: str, expression: nw.Expr) -> nw.Expr:
        """Compute an expression in a stage, and return the column that holds it."""
        while len(self.stages) <= stage:
            self.stages.append([])
        self.stages[stage].append(expression.alias(name))
        return nw.col(name)

    def scored(self, scale_id: str) -> _Scored:
        """Add a scale, its subscales first, and return its columns."""
        if scale_id not in self._done:
            scale = self.instrument.scale(scale_id)
            part = self._of_items(scale) if scale.items else self._of_subscales(scale)
            self._done[scale_id] = self._finish(scale, part)
        return self._done[scale_id]

    # ----- items
    def _of_items(self, scale: Scale) -> _Part:
        plans = [self.plans[item] for item in scale.items]
        answers = [self._answer(plan) for plan in plans]
        m = len(plans)
        n, raw = self._tally(scale, plans, answers)
        classes = {why: self._class_count(scale, plans, why) for why in _CLASSES}
        total, answered = raw.cast(nw.Float64), n.cast(nw.Float64)
        method = scale.scoring.method
        if method == "sum":
            value = total if not scale.missing.prorate else total * m / answered
            if scale.missing.round_prorated:
                value = round_half_up(value, 0)
        elif method == "pomp" and (same := _same_range(plans)) is not None:
            low, high = same
            value = (total - answered * low) * 100.0 / (answered * (high - low))
        else:
            value = total / answered
        return _Part(2, m, n, n, classes, value, "too_few_answers")

    def _tally(self, scale: Scale, plans: Sequence[ItemPlan], answers: Sequence[str]) -> tuple[nw.Expr, nw.Expr]:
        """How many items were answered, and the sum of their keyed values."""
        names = (f"{WORKING}n_{scale.id}", f"{WORKING}sum_{scale.id}")
        same = scale.scoring.method != "pomp" or _same_range(plans) is not None
        if self.tallies is not None and same and self.tallies.add(plans, *names):
            return nw.col(names[0]), nw.col(names[1])
        return self.add(1, names[0], _answered(answers)), self.add(1, names[1], self._sum(scale, plans, answers))

    def _answer(self, plan: ItemPlan) -> str:
        """Name of the column of an item's answers, null where there is none."""
        if plan.clean:
            return plan.column
        name = f"{WORKING}answer_{plan.item}"
        if name not in self._added:
            self._added.add(name)
            self.add(0, name, plan.answer)
        return name

    _added: set[str] = field(default_factory=set)

    def _class_count(self, scale: Scale, plans: Sequence[ItemPlan], why: MissingReason) -> nw.Expr | None:
        parts = [part for plan in plans if (part := plan.missing_class(why)) is not None]
        return self.add(1, f"{WORKING}{why}_{scale.id}", count(parts)) if parts else None

    def _sum(self, scale: Scale, plans: Sequence[ItemPlan], answers: Sequence[str]) -> nw.Expr:
        if scale.scoring.method == "pomp" and _same_range(plans) is None:
            values = [_percent(plan, nw.col(answer)) for plan, answer in zip(plans, answers, strict=True)]
            return reduce(add, [value.fill_null(0.0) for value in values])
        if all(plan.whole for plan in plans):
            return _whole_sum(plans, answers)
        values = [plan.value(nw.col(answer)).cast(nw.Float64) for plan, answer in zip(plans, answers, strict=True)]
        return reduce(add, [value.fill_null(0.0) for value in values])

    # ----- subscales
    def _of_subscales(self, scale: Scale) -> _Part:
        subs = [self.scored(sub) for sub in scale.subscales]
        stage, k = max(sub.stage for sub in subs) + 1, len(subs)
        given = self.add(stage, f"{WORKING}given_{scale.id}", count([~sub.value.is_null() for sub in subs]))
        items = self.instrument.scale_items(scale.id)
        overlap = len(items) < sum(len(self.instrument.scale_items(sub)) for sub in scale.subscales)
        leaf = [self._answer(self.plans[item]) for item in items] if overlap else []
        n = _answered(leaf) if overlap else reduce(add, [s.n.cast(nw.Int64) for s in subs])
        n = self.add(stage, f"{WORKING}n_{scale.id}", n)
        classes: dict[MissingReason, nw.Expr | None] = {"invalid": self._invalid(scale, subs, stage)}
        for why in ("not_administered", "not_applicable"):
            classes[why] = self._structural(scale, subs, stage, why)
        if scale.scoring.method == "weighted":
            values = [sub.value * scale.scoring.weights[name] for name, sub in zip(scale.subscales, subs, strict=True)]
            value = reduce(add, values) + scale.scoring.constant
        else:
            total = reduce(add, [sub.value.fill_null(0.0) for sub in subs])
            value = total / given.cast(nw.Float64)
        return _Part(stage + 1, k, given, n, classes, value, "subscale_missing")

    def _structural(self, scale: Scale, subs: Sequence[_Scored], stage: int, why: str) -> nw.Expr | None:
        """Count the subscales that could not be answered, for that reason."""
        parts = [sub.structural[why] for sub in subs if why in sub.structural]
        return self.add(stage, f"{WORKING}{why}_{scale.id}", count(parts)) if parts else None

    def _invalid(self, scale: Scale, subs: Sequence[_Scored], stage: int) -> nw.Expr | None:
        parts = [sub.invalid.cast(nw.Int64) for sub in subs if sub.invalid is not None]
        return self.add(stage, f"{WORKING}invalid_{scale.id}", reduce(add, parts)) if parts else None

    # ----- rule, norms, rounding, reasons
    def _finish(self, scale: Scale, part: _Part) -> _Scored:
        rule, stage = _Rule.of(scale, part), part.stage
        value: nw.Expr = nw.when(rule.enough).then(part.value)
        norms = next((norm for norm in self.instrument.norms if norm.id == scale.scoring.norms), None)
        decimals = scale.scoring.decimals
        outside: nw.Expr | None = None
        if norms is not None:
            raw = self.add(stage, f"{WORKING}raw_{scale.id}", value)
            stage += 1
            value = _normed(raw, norms, decimals)
            if norms.kind == "lookup":
                decimals = None
                given = self.add(stage, f"{WORKING}normed_{scale.id}", value)
                stage, value = stage + 1, given
                outside = ~raw.is_null() & given.is_null()
        structural = rule.structural
        names = self.names.get(scale.id)
        column = f"{WORKING}value_{scale.id}" if names is None or decimals is not None else names[0]
        value = self.add(stage, column, value)
        if names is not None:
            if decimals is not None:
                self.add(stage + 1, names[0], round_half_up(value, decimals))
            self.add(stage, names[1], part.n_valid.cast(nw.Int64))
            self.add(stage, names[2], self._reason(names[2], part, rule, outside))
        return _Scored(stage, value, part.n_valid, part.classes.get("invalid"), structural)

    def _reason(self, name: str, part: _Part, rule: _Rule, outside: nw.Expr | None) -> nw.Expr:
        """Why there is no score: the first case that holds; the last always does."""
        (*tests, (last, _)) = [(why, condition) for why, condition in rule.reasons if condition is not None]
        if self.reason_codes:
            if rule.needed is not None and len(tests) == 1 and outside is None and part.given is part.n_valid:
                short = [tests[0][0], *[last] * (rule.needed - 1)]
                self.words[name] = (*short, *[None] * (part.size + 1 - rule.needed))
                return part.given
            self.words[name] = (*REASONS, None)
        why = self._word(last)
        for reason, condition in reversed(tests):
            why = nw.when(condition).then(self._word(reason)).otherwise(why)
        ruled: nw.Expr = nw.when(~rule.enough).then(why)
        if self.reason_codes:
            ruled = nw.when(~rule.enough).then(why).otherwise(nw.lit(len(REASONS)))
        if outside is not None:
            ruled = nw.when(outside).then(self._word("outside_norms")).otherwise(ruled)
        return ruled

    def _word(self, reason: str) -> nw.Expr:
        return nw.lit(REASONS.index(reason)) if self.reason_codes else nw.lit(reason)


@dataclass(frozen=True)
class _Part:
    """Components of a scale before its rule: how many, how many valid, why others are missing, the unruled value."""

    stage: int
    size: int
    given: nw.Expr
    n_valid: nw.Expr
    classes: Mapping[MissingReason, nw.Expr | None]
    value: nw.Expr
    shortage: str


@dataclass(frozen=True)
class _Scored:
    """Columns of a scored scale that a composite needs; they exist after ``stage``."""

    stage: int
    value: nw.Expr
    n: nw.Expr
    invalid: nw.Expr | None
    structural: Mapping[str, nw.Expr]


@dataclass(frozen=True)
class _Rule:
    """When there is a score, and the reasons when there is none; ``needed`` where it is the same for every row."""

    needed: int | None
    enough: nw.Expr
    reasons: Sequence[tuple[str, nw.Expr | None]]
    structural: Mapping[str, nw.Expr]

    @classmethod
    def of(cls, scale: Scale, part: _Part) -> _Rule:
        """Apply a missing rule: the share is of the components that were administered and applicable."""
        away, inapplicable, invalid = (part.classes.get(why) for why in _CLASSES)
        gone = [c for c in (away, inapplicable) if c is not None]
        share = scale.missing.min_share
        needed: int | None = None
        if share is None or not gone:
            needed = scale.missing.needed(part.size)
            enough = part.given >= needed
            never = None if away is None else away > part.size - needed
            barred = None if inapplicable is None else reduce(add, gone) > part.size - needed
            hoped = None if invalid is None else part.given + invalid >= needed
        else:
            left = part.size - reduce(add, [c.cast(nw.Float64) for c in gone])
            asked = left * share - _TIE
            enough = (part.given > 0) & (part.given.cast(nw.Float64) >= asked)
            never = None if away is None else away >= part.size
            barred = None if inapplicable is None else left <= 0
            hoped = None if invalid is None else (invalid > 0) & ((part.given + invalid).cast(nw.Float64) >= asked)
        nothing = part.n_valid == 0
        if invalid is not None:
            nothing = nothing & (invalid == 0)
        if part.shortage == "subscale_missing":
            hoped = None
        reasons = [
            ("not_administered", never),
            ("not_applicable", barred),
            ("invalid_answers", hoped),
            ("no_answer", nothing),
            (part.shortage, nw.lit(True)),
        ]
        structural = {}
        if never is not None:
            structural["not_administered"] = ~enough & never
        if barred is not None:
            structural["not_applicable"] = ~enough & barred if never is None else ~enough & barred & ~never
        return cls(needed, enough, reasons, structural)


# --------------------------------------------------------------------------- small expressions
def count(conditions: Sequence[nw.Expr]) -> nw.Expr:
    """Count how many conditions hold in each row; none of them may be null."""
    dtype = nw.Int8 if len(conditions) < 128 else nw.Int32
    return reduce(add, [condition.cast(dtype) for condition in conditions])


def _answered(answers: Sequence[str]) -> nw.Expr:
    """Count the answers of each row."""
    return len(answers) - count([nw.col(answer).is_null() for answer in answers])


def _whole_sum(plans: Sequence[ItemPlan], answers: Sequence[str]) -> nw.Expr:
    """Sum of keyed values that are whole numbers: exact in any order."""
    wide = not _fits(plans)
    values = []
    for plan, answer in zip(plans, answers, strict=True):
        column = nw.col(answer)
        values.append(plan.value(column.cast(nw.Int64) if wide and plan.integer else column))
    return nw.sum_horizontal(*values)


def round_half_up(value: nw.Expr, decimals: int) -> nw.Expr:
    """Round halves up, on every engine alike, to some decimals."""
    unit = 10.0**decimals
    shifted = value * unit + (0.5 + _TIE)
    nearest = shifted.round(0)
    floor = nw.when(nearest > shifted).then(nearest - 1.0).otherwise(nearest)
    # A divisor that is a column: Polars multiplies by the reciprocal of a scalar, and 23 * (1 / 10) is not 2.3.
    return floor / (floor * 0.0 + unit) if decimals else floor


def _fits(plans: Sequence[ItemPlan]) -> bool:
    """Whether sums of the items' values hold in the items' own integer types."""
    most = sum(plan.largest for plan in plans)
    holding = [dtype for dtype, largest in _LARGEST if most <= largest]
    return all(plan.dtype in holding for plan in plans if plan.integer)


def _same_range(plans: Sequence[ItemPlan]) -> tuple[float, float] | None:
    ranges = {plan.value_range for plan in plans}
    return ranges.pop() if len(ranges) == 1 else None


def _percent(plan: ItemPlan, answer: nw.Expr) -> nw.Expr:
    low, high = plan.value_range
    return (plan.value(answer.cast(nw.Float64)) - low) * (100.0 / (high - low))


def _normed(raw: nw.Expr, norms: Norms, decimals: int | None) -> nw.Expr:
    if norms.kind == "t_score" and norms.mean is not None and norms.sd is not None:
        return (raw - norms.mean) * (10.0 / norms.sd) + 50.0
    at = raw if decimals is None else round_half_up(raw, decimals)
    return _search(at, norms.table)


def _search(raw: nw.Expr, table: Sequence[tuple[float, float]]) -> nw.Expr:
    """Look a raw score up in a rising table, halving it at each step; null where it is not listed."""
    if len(table) == 1:
        at, reported = table[0]
        slack = _TIE * max(1.0, abs(at))
        return nw.when((raw >= at - slack) & (raw <= at + slack)).then(nw.lit(float(reported)))
    middle = len(table) // 2
    border = (table[middle - 1][0] + table[middle][0]) / 2.0
    return nw.when(raw < border).then(_search(raw, table[:middle])).otherwise(_search(raw, table[middle:]))
