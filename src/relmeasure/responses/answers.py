"""What a stored value means: one table of answers for every engine.

A column becomes a column of numbers in which null is an empty cell and infinity something that is no code at all: text
that no option bears, a boolean where 0 and 1 are not the options. Whether a number is a declared code is decided later.
The same rules, value by value, are in ``code_of``, which reads columns of Python objects.

===========================  =======================================================================================
stored                       read as
===========================  =======================================================================================
null, None, NaN, NA, NaT     empty
``""``, blanks               empty
``3``, ``3.0``, ``"3"``,     code 3
``" 3"``, ``"3.0"``
``3.5``, ``"3.5"``           a number that no option has; a value where a range is declared
label of one option          its code, whatever the language; also the label of a missing code
label of two options         no code: it does not say which
``True``, ``False``          1 and 0 where these are the only options, else no code
other text, infinity         no code
dates, times, lists          refused: ``NonNumericError``
===========================  =======================================================================================
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import Decimal
from functools import cache
from numbers import Real
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from relmeasure.exceptions import NonNumericError

if TYPE_CHECKING:
    import numpy as np

    from relmeasure.instruments.definition import ResponseScale
    from relmeasure.responses.frames import Source

__all__ = ["NO_CODE", "blank_to_null", "code_of", "code_series", "codes_expression", "text_codes"]

NO_CODE = math.inf
"""Stands for a stored value that is no code at all."""

BLANKS = " \t\n\r\x0b\x0c\u00a0"
NUMBER = r"^[+-]?(?:[0-9]+(?:[.][0-9]*)?|[.][0-9]+)$"
_NUMBER = re.compile(NUMBER)
_TRUE, _FALSE = ("True", "true", "TRUE"), ("False", "false", "FALSE")


@cache
def text_codes(scale: ResponseScale) -> dict[str, float]:
    """Texts that are not numbers, and the code each stands for; infinity where a text stands for two."""
    codes = {*scale.codes, *scale.missing_codes}
    table: dict[str, float] = {}
    options = [(o.value, o.labels) for o in scale.options] + [(m.code, m.labels) for m in scale.missing]
    for code, labels in options:
        for label in labels.values():
            text = label.strip(BLANKS)
            rival = float(text) if _NUMBER.match(text) else math.nan
            if rival == code:
                continue
            clash = rival in codes or table.get(text, code) != code
            table[text] = NO_CODE if clash else float(code)
    if truth(scale):
        for texts, code in ((_TRUE, 1), (_FALSE, 0)):
            for text in texts:
                table.setdefault(text, float(code))
    return table


def truth(scale: ResponseScale) -> bool:
    """Whether the options are 0 and 1, so that a boolean is an answer."""
    return set(scale.codes) == {0, 1}


# --------------------------------------------------------------------------- as an expression
def blank_to_null(column: nw.Expr) -> nw.Expr:
    """NaN becomes null."""
    return nw.when(~column.is_nan()).then(column)


def codes_expression(source: Source, item: str, scale: ResponseScale) -> nw.Expr | None:
    """Return the numbers of a column as an expression, or None if the column holds them already.

    Columns of Python objects are not expressions: see ``code_series``.

    Raises
    ------
    NonNumericError
        The column holds dates, times, lists or anything else that is no answer.
    """
    kind, column = source.kinds[item], nw.col(item)
    if kind == "integer":
        wide = source.dtypes[item] in (nw.UInt64, nw.Int128, nw.UInt128)
        return column.cast(nw.Float64) if wide else None
    if kind == "float":
        double = source.dtypes[item] == nw.Float64
        if source.nan_is_null(item):
            return None if double else column.cast(nw.Float64)
        return blank_to_null(column if double else column.cast(nw.Float64))
    if kind == "decimal":
        return column.cast(nw.Float64)
    if kind == "empty":
        return nw.lit(None, nw.Float64)
    if kind == "boolean":
        return column.cast(nw.Int8) if truth(scale) else nw.when(~column.is_null()).then(nw.lit(NO_CODE))
    if kind == "text":
        texts = column if source.dtypes[item] == nw.String else column.cast(nw.String)
        return _text_expression(nw.when(~column.is_null()).then(texts).otherwise(nw.lit("")), scale)
    raise NonNumericError(
        f"Item '{item}' holds {source.dtypes[item]}, which is no answer: hand in codes, numbers or labels.",
        item=item,
        dtype=str(source.dtypes[item]),
    )


def _text_expression(filled: nw.Expr, scale: ResponseScale) -> nw.Expr:
    """Read texts without nulls, of which blank ones are empty cells."""
    text = filled.str.strip_chars(BLANKS)
    number = nw.when(text.str.contains(NUMBER)).then(text).cast(nw.Float64)
    answer: nw.Expr = nw.when(number.is_null()).then(nw.lit(NO_CODE)).otherwise(number)
    same: dict[float, list[str]] = {}
    for label, code in text_codes(scale).items():
        same.setdefault(code, []).append(label)
    for code, labels in same.items():
        answer = nw.when(text.is_in(labels)).then(nw.lit(code)).otherwise(answer)
    return nw.when(text != "").then(answer)


# --------------------------------------------------------------------------- value by value
def code_series(values: Iterable[Any], scale: ResponseScale, item: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the numbers of a column of Python objects; NaN is an empty cell."""
    import numpy as np

    known: dict[tuple[type, Any], float] = {}
    out = []
    for value in values:
        key = (type(value), value if value.__hash__ else repr(value))
        if key not in known:
            known[key] = code_of(value, scale, item)
        out.append(known[key])
    return np.array(out, dtype=float)


def code_of(value: Any, scale: ResponseScale, item: str = "") -> float:
    """Return the number that a stored value stands for: NaN for an empty cell, infinity for no code at all."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return math.nan
    if type(value).__name__ in ("bool", "bool_"):
        return float(value) if truth(scale) else NO_CODE
    if isinstance(value, (Real, Decimal)):
        number = float(value)
        return NO_CODE if math.isinf(number) else number
    if isinstance(value, str):
        return _text_code(value.strip(BLANKS), scale)
    raise NonNumericError(
        f"Item '{item}' holds a {type(value).__name__} ({str(value)[:40]!r}), which is no answer: "
        "hand in codes, numbers or labels.",
        item=item,
        dtype=type(value).__name__,
    )


def _text_code(text: str, scale: ResponseScale) -> float:
    if text == "":
        return math.nan
    if text in (table := text_codes(scale)):
        return table[text]
    return float(text) if _NUMBER.match(text) else NO_CODE
