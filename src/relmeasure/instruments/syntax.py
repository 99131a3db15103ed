"""Text to plain tables and lists, in bounded time and memory.

A reader of a format that may come from anyone: depth is checked by one linear scan before anything is parsed, and the
parsed tree is checked before anything is built from it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from relmeasure.exceptions import InstrumentFileError, shorten

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_NODES", "Loc", "json_tree", "toml_tree", "tree_problems"]

MAX_BYTES = 512 * 1024
"""Largest instrument file; the largest published instruments need a fifth of it."""

MAX_DEPTH = 16
"""Deepest nesting of tables and lists; an instrument needs six levels."""

MAX_NODES = 100_000
"""Most keys and values in one file."""

_TOO_MANY = f"holds more than {MAX_NODES} keys and values: this is not an instrument."

Loc = tuple[int | str, ...]
"""Where a value stands: keys and positions from the top."""

# Every alternative that opens a string or a comment also matches when it is never closed, and repeats are possessive:
# no position is looked at twice, whatever the text.
_JSON_TOKENS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|([\[{])|([\]}])', re.DOTALL)
_TOML_TOKENS = re.compile(
    r"""
      \#[^\n]*+
    | \"\"\"(?:[^"\\]++|\\.|"(?!""))*+(?:"{3,5}|\\?\Z)
    | '''(?:[^']++|'(?!''))*+(?:'{3,5}|\Z)
    | "[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+["\\]?
    | '[^'\n]*+'?
    | (?P<open>[\[{])
    | (?P<close>[\]}])
    | (?P<dot>\.)
    | (?P<start>[,=\n])
    """,
    re.DOTALL | re.VERBOSE,
)


def toml_tree(data: str | bytes | bytearray, source: str) -> dict[str, Any]:
    """Parse TOML; anything wrong raises ``InstrumentFileError`` that names ``source`` and the line."""
    import tomllib

    text = _text(data, source)
    depth = dots = made = 0
    for token in _TOML_TOKENS.finditer(text):
        kind = token.lastgroup
        if kind == "open":
            depth, dots, made = depth + 1, 0, made + 1
        elif kind == "close":
            depth -= 1
        elif kind == "dot":
            dots, made = dots + 1, made + 1
        elif kind == "start":
            dots = 0
        if depth > MAX_DEPTH or dots > MAX_DEPTH:
            raise _too_deep(source, text, token.start())
        if made > MAX_NODES:
            raise InstrumentFileError(f"{source}: {_TOO_MANY}", source=source)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError, MemoryError) as error:
        raise _syntax_error(source, "TOML", error) from None


def json_tree(data: str | bytes | bytearray, source: str) -> Any:
    """Parse JSON without repeated keys and without NaN; anything wrong raises ``InstrumentFileError``."""
    text = _text(data, source)
    depth = 0
    for token in _JSON_TOKENS.finditer(text):
        depth += (token.lastindex == 1) - (token.lastindex == 2)
        if depth > MAX_DEPTH:
            raise _too_deep(source, text, token.start())
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except (ValueError, RecursionError, MemoryError) as error:
        raise _syntax_error(source, "JSON", error) from None


def tree_problems(tree: Any, leaves: tuple[type, ...] = ()) -> list[tuple[Loc, str]]:
    """What no instrument may hold, as places and complaints: dates, infinities, huge numbers, odd types, deep nesting.

    ``leaves`` are further types that are let through unseen.
    """
    found: list[tuple[Loc, str]] = []
    todo: list[tuple[Loc, Any]] = [((), tree)]
    count = 0
    while todo and len(found) < 100:
        loc, value = todo.pop()
        count += 1
        if count > MAX_NODES:
            found.append(((), _TOO_MANY))
            break
        if isinstance(value, (Mapping, list, tuple)) and not isinstance(value, leaves):
            if len(loc) >= MAX_DEPTH:
                found.append((loc, f"is nested more than {MAX_DEPTH} deep: an instrument needs six levels."))
                continue
            inner = list(value.items() if isinstance(value, Mapping) else enumerate(value))
            for key, part in reversed(inner):
                if isinstance(value, Mapping) and not isinstance(key, str):
                    found.append((loc, f"has a key that is not text ({type(key).__name__}): use text keys."))
                else:
                    todo.append(((*loc, key), part))
        elif (complaint := _leaf(value, leaves)) is not None:
            found.append((loc, complaint))
    return found


def _leaf(value: Any, leaves: tuple[type, ...]) -> str | None:
    """What is wrong with a value that is no table and no list."""
    if value is None or isinstance(value, (str, bool, *leaves)):
        return None
    if isinstance(value, int):
        return None if value.bit_length() <= 63 else f"is a whole number of {value.bit_length()} bits: shorten it."
    if isinstance(value, float):
        return None if math.isfinite(value) else f"is {value}: write a finite number, or leave the key away."
    if isinstance(value, (set, frozenset)):
        return "is a set, which has no order: use a list."
    if hasattr(value, "isoformat"):
        return f"is a bare date or time: put it in quotes, '{value.isoformat()}'."
    return f"is of type {type(value).__name__}: use text, numbers, lists and tables only."


# --------------------------------------------------------------------------- helpers
def _text(data: str | bytes | bytearray, source: str) -> str:
    if isinstance(data, str):
        if len(data) > MAX_BYTES:
            raise InstrumentFileError(
                f"{source}: {len(data)} characters; an instrument file holds at most {MAX_BYTES}.", source=source
            )
        return data
    if len(data) > MAX_BYTES:
        raise InstrumentFileError(
            f"{source}: {len(data)} bytes; an instrument file holds at most {MAX_BYTES}.", source=source
        )
    try:
        return bytes(data).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InstrumentFileError(
            f"{source}: not UTF-8: byte {error.object[error.start]:#04x} at position {error.start}. Save it as UTF-8.",
            source=source,
            position=error.start,
        ) from None


def _too_deep(source: str, text: str, position: int) -> InstrumentFileError:
    line = text.count("\n", 0, position) + 1
    return InstrumentFileError(
        f"{source}: nested more than {MAX_DEPTH} deep at line {line}: an instrument needs six levels.",
        source=source,
        line=line,
    )


def _syntax_error(source: str, language: str, error: BaseException) -> InstrumentFileError:
    if isinstance(error, (RecursionError, MemoryError)):
        reason = "nested too deeply, or too large"
    else:
        reason = str(error).split("; use sys.set_int_max_str_digits", 1)[0]
        reason = reason.replace("Cannot overwrite a value", "a key is given more than once")
        reason = reason if len(reason) <= 300 else f"{reason[:140]} ... {reason[-140:]}"
        reason = "".join(c if c.isprintable() else "?" for c in reason).rstrip(".")
    return InstrumentFileError(f"{source}: not valid {language}: {reason}.", source=source, reason=reason)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; a key given twice is an error, since one of the two values would be lost."""
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = [repr(key[:40]) for key in made if keys.count(key) > 1] if len(keys) <= 1000 else ["(many)"]
        where = f" in the entry with id {made['id'][:80]!r}" if isinstance(made.get("id"), str) else ""
        raise ValueError(f"key {shorten(twice)} is given more than once{where}: keep one")
    return made


def _constant(name: str) -> float:
    raise ValueError(f"{name} is not a number of JSON: write a finite number, or leave the key away")
