"""Types of the fields of an instrument: bounded, strict, and read-only.

Nothing is coerced: the text ``"3"`` is not a number and ``true`` is not 1. Every text is free of control characters,
which could move the cursor of a terminal, and every number is finite and of a size that arithmetic survives.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

__all__ = [
    "WORDS_FOR_PATTERN",
    "Code",
    "Date",
    "Identifier",
    "InstrumentId",
    "Key",
    "LanguageCode",
    "Level",
    "Line",
    "MissingReason",
    "Number",
    "ReadOnlyDict",
    "SchemaVersion",
    "Text",
    "Title",
    "Version",
]

Level = Literal["student", "class", "teacher", "school"]
"""Where a score may be used."""

MissingReason = Literal["skipped", "not_applicable", "not_administered", "invalid"]
"""Why there is no answer: left out; does not apply; not asked by design; answered, but not usable."""

K = TypeVar("K")
V = TypeVar("V")


class ReadOnlyDict(dict[K, V]):
    """A dict that cannot be changed, so that a definition stays what was validated. Hashable; pickles and copies."""

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("This part of an instrument is read-only: use instrument.model_copy(update={...}).")

    __setitem__ = __delitem__ = _refuse
    __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (dict(self),))


ID_PATTERN = "^[A-Za-z][A-Za-z0-9_.-]*$"
INSTRUMENT_ID_PATTERN = "^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
VERSION_PATTERN = "^[0-9]+[.][0-9]+([.][0-9]+)?([-+.a-z0-9]*)$"
LANGUAGE_PATTERN = "^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$"
DATE_PATTERN = "^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$"
_CONTROL = r"\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F"
LINE_PATTERN = rf"^[^{_CONTROL}]*[^\s{_CONTROL}][^{_CONTROL}]*$"

WORDS_FOR_PATTERN: dict[str, str] = {
    ID_PATTERN: "start with a letter and hold only letters a-z, digits, '_', '.' and '-'",
    INSTRUMENT_ID_PATTERN: "hold only small letters, digits and single hyphens, as in 'care-student'",
    VERSION_PATTERN: "look like '1.0' or '1.0.2'",
    LANGUAGE_PATTERN: "be a language code such as 'en', 'es' or 'pt-BR'",
    DATE_PATTERN: "be a date: '2024', '2024-05' or '2024-05-31'",
    LINE_PATTERN: "hold some text and no control characters",
}
"""What each pattern asks for, in words that complete 'it must ...'."""

Identifier = Annotated[str, Field(strict=True, min_length=1, max_length=80, pattern=ID_PATTERN)]
InstrumentId = Annotated[str, Field(strict=True, min_length=1, max_length=80, pattern=INSTRUMENT_ID_PATTERN)]
Version = Annotated[str, Field(strict=True, min_length=1, max_length=40, pattern=VERSION_PATTERN)]
LanguageCode = Annotated[str, Field(strict=True, max_length=40, pattern=LANGUAGE_PATTERN)]
Date = Annotated[str, Field(strict=True, pattern=DATE_PATTERN)]
Line = Annotated[str, Field(strict=True, min_length=1, max_length=4000, pattern=LINE_PATTERN)]
Text = Annotated[dict[LanguageCode, Line], Field(max_length=100), AfterValidator(ReadOnlyDict)]
"""The same text in several languages, or none."""

Title = Annotated[dict[LanguageCode, Line], Field(min_length=1, max_length=100), AfterValidator(ReadOnlyDict)]
"""The same text in one or more languages."""

Code = Annotated[int, Field(strict=True, ge=-1_000_000_000, le=1_000_000_000)]
"""A stored code."""


def _whole(value: Any) -> Any:
    """Python holds that 1, 1.0 and True are equal, so a Literal alone would let all of them through."""
    if isinstance(value, (bool, float)):
        raise PydanticCustomError("int_type", "Input should be a valid integer")
    return value


Key = Annotated[Literal[1, -1], BeforeValidator(_whole)]
"""Direction of an item in its scale."""

SchemaVersion = Annotated[Literal[1], BeforeValidator(_whole)]
"""Version of the file format."""

Number = Annotated[float, Field(strict=True, ge=-1e9, le=1e9, allow_inf_nan=False)]
"""A finite number."""
