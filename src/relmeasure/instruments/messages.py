"""Pydantic's errors as sentences that name the place, the value seen, and the fix."""

from __future__ import annotations

import re
import types
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from relmeasure.exceptions import InstrumentValidationError, did_you_mean, shorten
from relmeasure.instruments.fields import WORDS_FOR_PATTERN
from relmeasure.instruments.syntax import Loc

__all__ = ["MAX_PROBLEMS", "Hints", "numbers", "place", "seen", "twice", "validation_error"]

MAX_PROBLEMS = 200
"""Problems kept in one error; a file with more is hostile or not an instrument."""

_EXPECTED = {
    "string_type": "text in quotes",
    "string_unicode": "text without broken characters",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "finite_number": "a finite number",
    "tuple_type": "a list",
    "dict_type": "a table of keys and values",
    "model_type": "a table of keys and values",
    "model_attributes_type": "a table of keys and values",
}
_BOUNDS = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def validation_error(model: type[BaseModel], data: Any, error: ValidationError) -> InstrumentValidationError:
    """Return pydantic's error as ours: one sentence a problem, with ids instead of positions."""
    given = data.get("id") if isinstance(data, Mapping) else None
    kind = re.sub("(?<=[a-z])(?=[A-Z])", " ", model.__name__).lower()
    source = f"{kind} {seen(given)}" if isinstance(given, str) else kind
    entries = error.errors(include_url=False)
    meant = _meant_fields(model, entries)
    taken = {(*loc[:-1], field) for loc, field in meant.items() if field is not None}
    problems: list[str] = []
    places = [tuple(entry["loc"]) for entry in entries]
    for entry in entries:
        if _follows(entry, places):
            continue
        if entry["type"] != "missing" or tuple(entry["loc"]) not in taken:
            problems.extend(_sentences(model, data, entry, meant))
        if len(problems) >= MAX_PROBLEMS:
            break
    made = InstrumentValidationError.from_problems(source, problems[:MAX_PROBLEMS])
    made.details["unknown_keys"] = [[list(loc), field] for loc, field in meant.items()]
    return made


def _follows(entry: Any, places: Sequence[Loc]) -> bool:
    """Whether a list is too short only because its own entries are wrong, which is said of them."""
    loc = tuple(entry["loc"])
    if entry["type"] != "too_short" or not any(len(p) > len(loc) and p[: len(loc)] == loc for p in places):
        return False
    given, least = entry.get("input"), entry.get("ctx", {}).get("min_length", 0)
    return isinstance(given, Sequence) and len(given) >= least


def seen(value: Any) -> str:
    """A value as it may stand in a message: short, printable, and never expensive to write."""
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else f"{value[:37]}...")
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 64 else f"a whole number of {value.bit_length()} bits"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, Sequence):
        return f"a list of {len(value)}"
    return f"a value of type {type(value).__name__}"


def place(data: Any, loc: Sequence[int | str]) -> str:
    """A location in words: ``items.care_2.key`` where the entry has an id, ``items[3].key`` where it has none."""
    text = ""
    for part in loc:
        data = _inside(data, part)
        if isinstance(part, int):
            name = _inside(data, "id")
            named = isinstance(name, str) and 0 < len(name) <= 80 and name.isprintable()
            text += f".{name}" if named else f"[{part}]"
        else:
            text += f".{part if len(part) <= 80 and part.isprintable() else seen(part)}"
    return text.lstrip(".")


def _inside(data: Any, part: int | str) -> Any:
    if isinstance(data, BaseModel):
        return getattr(data, str(part), None)
    if isinstance(data, Mapping):
        return data.get(part)
    if isinstance(data, (list, tuple)) and isinstance(part, int) and part < len(data):
        return data[part]
    return None


# --------------------------------------------------------------------------- one problem
def _sentences(model: type[BaseModel], data: Any, entry: Any, meant: Mapping[Loc, str | None]) -> Iterator[str]:
    kind, loc, context = str(entry["type"]), tuple(entry["loc"]), entry.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, InstrumentValidationError):
        yield from cause.details["problems"]
        return
    if kind == "extra_forbidden":
        where = place(data, loc[:-1])
        hint = f" Did you mean '{meant[loc]}'?" if meant.get(loc) else ""
        known = shorten(_known_keys(model, loc), 30)
        yield f"{where + ': ' if where else ''}unknown key {seen(str(loc[-1]))}.{hint} Known keys: {known}."
        return
    is_key = bool(loc) and loc[-1] == "[key]"
    where = place(data, loc[:-2] if is_key else loc) or "the instrument"
    what = f"{where}: the key" if is_key else f"{where}:"
    value = loc[-2] if is_key else entry.get("input")
    yield f"{what} {_complaint(kind, context, value, str(entry['msg']))}"


def _complaint(kind: str, context: Mapping[str, Any], value: Any, message: str) -> str:
    """What is wrong with a value, and what it should be."""
    if kind == "missing":
        return "is required: add it."
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        hint = did_you_mean(value, allowed) if isinstance(value, str) and len(value) <= 100 else ""
        return f"{seen(value)} is not allowed.{hint} Use one of: {_choices(context, allowed)}."
    if kind == "string_pattern_mismatch":
        words = WORDS_FOR_PATTERN.get(str(context.get("pattern")), f"match {context.get('pattern')}")
        return f"{seen(value)} does not fit: it must {words}."
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"must be {words} {context.get(bound)}; seen {seen(value)}."
    if kind == "string_too_long":
        return f"is {len(value)} characters long; at most {context.get('max_length')} are allowed: shorten it."
    if kind == "string_too_short":
        return "is empty: write it out, or leave the key away."
    if kind in {"too_long", "too_short"}:
        most = kind == "too_long"
        limit = context.get("max_length" if most else "min_length")
        size = f"seen {context.get('actual_length')}" if context.get("actual_length") is not None else "seen more"
        return f"holds too {'many' if most else 'few'} entries: at {'most' if most else 'least'} {limit}; {size}."
    if kind in _EXPECTED:
        return f"must be {_EXPECTED[kind]}; seen {seen(value)}."
    return f"{message[:200].rstrip('.')}; seen {seen(value)}."


def _choices(context: Mapping[str, Any], allowed: Sequence[str]) -> str:
    if allowed:
        return ", ".join(repr(choice) for choice in allowed)
    return str(context.get("expected", "")).replace(" or ", ", ")


# --------------------------------------------------------------------------- unknown keys
def _meant_fields(model: type[BaseModel], entries: Sequence[Any]) -> dict[Loc, str | None]:
    """Location of each unknown key to the field that was meant, where one is close."""
    meant: dict[Loc, str | None] = {}
    for entry in entries[:MAX_PROBLEMS]:
        if entry["type"] == "extra_forbidden":
            loc = tuple(entry["loc"])
            close = get_close_matches(str(loc[-1])[:100], _known_keys(model, loc), n=1)
            meant[loc] = close[0] if close else None
    return meant


def _known_keys(model: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """Field names of the model that holds the last part of a location."""
    kind: Any = model
    for part in loc[:-1]:
        kind = _step(kind, part)
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def _step(kind: Any, part: int | str) -> Any:
    """The type of one part of a value of type ``kind``."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(part))
        return _plain(field.annotation) if field else None
    if get_origin(kind) in {tuple, dict}:
        return _plain(get_args(kind)[0 if get_origin(kind) is tuple else 1])
    return None


def _plain(kind: Any) -> Any:
    """A type without ``Annotated`` and ``None``."""
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    if get_origin(kind) in {Union, types.UnionType}:
        rest = [part for part in get_args(kind) if part is not type(None)]
        return _plain(rest[0]) if len(rest) == 1 else None
    return kind


# --------------------------------------------------------------------------- parts of sentences
class Hints:
    """``did_you_mean`` with a budget: comparing words is slow, and a hostile file may hold many."""

    def __init__(self, budget: int = 5000) -> None:
        self.left = budget

    def __call__(self, word: str, known: Collection[str]) -> str:
        """Return ``" Did you mean 'x'?"``, or nothing when there is no close word or no budget left."""
        if len(known) > self.left:
            return ""
        self.left -= len(known)
        return did_you_mean(word, known)


def twice(values: Iterable[object], what: str, fix: str) -> Iterator[str]:
    """One sentence for each value that is given more than once."""
    for value, count in Counter(values).items():
        if count > 1:
            yield f"{what} '{value}' is given {count} times: {fix}."


def numbers(values: Iterable[float]) -> str:
    """Numbers joined for a message."""
    return shorten(f"{value:g}" for value in values)
