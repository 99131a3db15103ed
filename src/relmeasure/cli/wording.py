"""Messages of the library in the words of the command line: ``unknown='missing'`` is ``--unknown missing`` here."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any

__all__ = ["in_options"]

_VALUE = r"'[^']*'|\[[^\]]*\]|\{[^}]*\}|-?[0-9][0-9.]*[0-9]|-?[0-9]|"


def in_options(message: str, root: Any, words: Sequence[str]) -> str:
    """Spell the arguments in a message as options of the command that was called.

    Only arguments of that command are looked for, written as Python messages write them: ``name=`` with or without a
    value.

    Parameters
    ----------
    message : str
    root : click group
        The commands and their parameters.
    words : sequence of str
        The command line.
    """
    command = next((root.commands[word] for word in words if word in root.commands), None)
    if command is None:
        return message
    options = {p.name: min(p.opts, key=len) for p in command.params if p.param_type_name == "option"}

    def spelled(found: re.Match[str]) -> str:
        option = options[found["name"]]
        values = _values(found["value"])
        return " ".join(f"{option} {value}" for value in values) if values else option

    names = "|".join(map(re.escape, sorted(options, key=len, reverse=True)))
    return re.sub(rf"(?<![\w.-])(?P<name>{names})=(?P<value>{_VALUE})", spelled, message) if names else message


def _values(text: str) -> list[str]:
    """The values in a piece of Python: none, one, or those of a list; a mapping comes from a file."""
    if not text:
        return []
    if text.startswith("{"):
        return ["FILE"]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return [text]
    return [str(part) for part in value] if isinstance(value, list) else [str(value)]
