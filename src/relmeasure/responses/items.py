"""One item of a bound frame: which stored numbers are answers, what they are worth, and why others are missing.

Everything is an expression on the item's column of numbers (see ``answers``), so that it is pushed down to the engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import narwhals.stable.v2 as nw

from relmeasure.instruments.definition import Instrument, MissingReason, ResponseScale

__all__ = ["ItemPlan", "Seen", "any_of"]


@dataclass(frozen=True)
class Seen:
    """What one pass over an item's numbers found; None where there is no number."""

    low: float | None = None
    high: float | None = None
    fractional: bool = False
    n_unknown: int = 0


@dataclass(frozen=True, eq=False)
class ItemPlan:
    """How one column is read.

    Attributes
    ----------
    item : str
        Item id, which is the column's name in the data.
    column : str
        Column of numbers: the item's own, or the working column made from it.
    integer : bool
        Whether that column holds integers.
    dtype : narwhals type
        Its type.
    scale : ResponseScale
    keyed : mapping
        Stored code to keyed value; empty for a range.
    reflected : bool
        For a range: whether it is turned round.
    seen : Seen
        Facts that let the expressions be short.
    """

    item: str
    column: str
    integer: bool
    dtype: object
    scale: ResponseScale
    keyed: Mapping[int, float]
    reflected: bool
    seen: Seen = field(default_factory=Seen)

    @classmethod
    def of(cls, instrument: Instrument, item: str, column: str, dtype: nw.dtypes.DType) -> ItemPlan:
        """Plan an item of an instrument."""
        scale = instrument.response_scale(item)
        reflected = scale.kind == "range" and instrument.is_reflected(item)
        keyed = instrument.keyed_values(item)
        return cls(item, column, dtype.is_integer(), dtype, scale, keyed, reflected)

    @property
    def code(self) -> nw.Expr:
        """The column of numbers."""
        return nw.col(self.column)

    @property
    def is_range(self) -> bool:
        """Whether answers are numbers within a range, not options."""
        return self.scale.kind == "range"

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest stored number that is an answer."""
        if self.is_range:
            return self.scale.score_range
        return (min(self.scale.codes), max(self.scale.codes))

    @cached_property
    def steps(self) -> bool:
        """Whether the codes follow each other without a gap."""
        return not self.is_range and len(self.scale.codes) == self.bounds[1] - self.bounds[0] + 1

    @property
    def missing_seen(self) -> dict[int, MissingReason]:
        """Declared missing codes that the data may hold."""
        low, high = self.seen.low, self.seen.high
        if low is None or high is None:
            return {}
        return {code: reason for code, reason in self.scale.missing_codes.items() if low <= code <= high}

    @property
    def clean(self) -> bool:
        """Whether every number in the column is an answer."""
        return not self.missing_seen and not self.seen.n_unknown

    # ----- expressions
    @property
    def is_answer(self) -> nw.Expr:
        """Whether the stored number is an answer; null stays null on engines that know it."""
        low, high = self.bounds
        if self.is_range or (self.steps and not self.seen.fractional):
            return (self.code >= low) & (self.code <= high)
        return any_of(self.code, self.scale.codes)

    @property
    def is_unknown(self) -> nw.Expr:
        """Whether there is a stored value that is neither an answer nor a declared missing code."""
        known = self.is_answer
        for code in self.scale.missing_codes:
            known = known | (self.code == code)
        return ~self.code.is_null() & ~known

    @property
    def answer(self) -> nw.Expr:
        """The code where it is an answer, else null."""
        return self.code if self.clean else nw.when(self.is_answer).then(self.code)

    def missing_class(self, reason: MissingReason) -> nw.Expr | None:
        """Whether the answer is missing for that reason; None if that cannot be."""
        codes = [code for code, why in self.missing_seen.items() if why == reason]
        parts = [self.code == code for code in codes]
        expression: nw.Expr | None = None
        for part in parts:
            expression = part if expression is None else expression | part
        if expression is not None:
            expression = expression & ~self.code.is_null()
        if reason == self.scale.null_reason:
            empty = self.code.is_null()
            expression = empty if expression is None else expression | empty
        if reason == "invalid" and self.seen.n_unknown:
            expression = self.is_unknown if expression is None else expression | self.is_unknown
        return expression

    @cached_property
    def affine(self) -> tuple[float, float] | None:
        """``(a, b)`` when the keyed value is ``a + b * code`` for every code, else None."""
        if self.is_range:
            low, high = self.bounds
            return (low + high, -1.0) if self.reflected else (0.0, 1.0)
        (first, y0), (second, y1) = list(self.keyed.items())[:2]
        b = (y1 - y0) / (second - first)
        a = y0 - b * first
        return (a, b) if all(a + b * code == value for code, value in self.keyed.items()) else None

    @property
    def keyed_value(self) -> nw.Expr:
        """The keyed value, a float; null where there is no answer."""
        return self.value(self.answer.cast(nw.Float64))

    def value(self, answer: nw.Expr) -> nw.Expr:
        """Turn a code that is an answer into its keyed value; null stays null."""
        if self.affine is None:
            return _lookup(answer, self.keyed)
        a, b = (int(x) if self.integer and x == int(x) else x for x in self.affine)
        if b == 1:
            return answer if a == 0 else answer + a
        return a - answer if b == -1 else answer * b + a

    @property
    def largest(self) -> float:
        """A bound on every number met while keyed values are computed."""
        a, b = self.affine or (0.0, 1.0)
        top = max(map(abs, self.bounds))
        return abs(a) + top * max(1.0, abs(b)) + max(map(abs, self.value_range))

    @property
    def value_range(self) -> tuple[float, float]:
        """Smallest and largest keyed value, as declared."""
        return self.scale.score_range

    @cached_property
    def whole(self) -> bool:
        """Whether every keyed value is a whole number."""
        if self.is_range:
            return self.integer and all(bound == int(bound) for bound in self.bounds)
        return all(value == int(value) for value in self.keyed.values())


def any_of(column: nw.Expr, codes: Sequence[int]) -> nw.Expr:
    """Whether a number is one of a few codes."""
    found = column == codes[0]
    for code in codes[1:]:
        found = found | (column == code)
    return found


def _lookup(answer: nw.Expr, table: Mapping[int, float]) -> nw.Expr:
    (first, value), *rest = table.items()
    expression: nw.Expr = nw.when(answer == first).then(nw.lit(float(value)))
    for code, value in rest:
        expression = nw.when(answer == code).then(nw.lit(float(value))).otherwise(expression)
    return expression
