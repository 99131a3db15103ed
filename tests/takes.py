"""What each public estimator takes, read from its signature: ``python -m tests.takes`` prints the table."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin, get_type_hints

import relmeasure as rm

NO_ESTIMATOR = {"bind", "list_instruments", "load_instrument", "plan", "score", "simulate"}
"""Public functions that estimate nothing from data."""

COLUMNS: dict[str, tuple[str, ...]] = {
    "missing answers": ("missing",),
    "weights": ("weights",),
    "clusters": ("cluster",),
    "groups": ("group", "by"),
    "waves": ("wave", "waves"),
    "ordered items": ("ordered",),
    "seed": ("rng",),
    "progress": ("progress",),
}
"""Column of the table: the arguments that stand for it."""


def estimators() -> dict[str, Callable[..., Any]]:
    """Public functions by name; ``sem`` takes what ``cfa`` takes."""
    found = {name: getattr(rm, name) for name in rm.__all__ if inspect.isfunction(getattr(rm, name))}
    return {name: rm.cfa if name == "sem" else f for name, f in found.items() if name not in NO_ESTIMATOR}


def options(function: Callable[..., Any], argument: str) -> list[str]:
    """Allowed words of an argument, in the order of its Literal."""
    hint = inspect.signature(function).parameters[argument].annotation
    holder = type("Holder", (), {"__annotations__": {argument: hint}})  # one hint: others may name what only types know
    read = get_type_hints(holder, globalns=vars(sys.modules[inspect.unwrap(function).__module__]))
    return [str(word) for part in _literals(read[argument]) for word in get_args(part)]


def _literals(hint: Any) -> list[Any]:
    if get_origin(hint) is Literal:
        return [hint]
    return [found for part in get_args(hint) for found in _literals(part)]


def cell(function: Callable[..., Any], column: str) -> str:
    """What stands in a cell: the words allowed, the argument, or a dash."""
    given = [name for name in COLUMNS[column] if name in inspect.signature(function).parameters]
    if not given:
        return "-"
    words = options(function, given[0]) if column == "missing answers" else []
    return ", ".join(words) if words else ", ".join(f"`{name}=`" for name in given)


def first(function: Callable[..., Any]) -> str:
    """The arguments given by place."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    places = inspect.signature(function).parameters.values()
    return ", ".join(p.name for p in places if p.kind in kinds and p.default is inspect.Parameter.empty)


def table() -> str:
    """The table in Markdown."""
    lines = [f"| function | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, function in estimators().items():
        lines.append(f"| `{name}({first(function)})` | {' | '.join(cell(function, c) for c in COLUMNS)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())  # noqa: T201
