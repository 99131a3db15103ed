"""Characters of a model string to tokens, each with its line and column."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from relmeasure.exceptions import ModelSyntaxError

__all__ = ["OPERATORS", "Token", "tokenize"]

TokenKind = Literal["name", "number", "string", "operator", "symbol", "end"]
"""``end``: the end of a statement (a new line or a semicolon)."""

OPERATORS = ("=~", "<~", "~~", "~*~", ":=", "==", "~", "|", "<", ">")
"""Operators that make a statement; everything else belongs to one side."""

_PATTERN = re.compile(
    r"""
    (?P<space>[^\S\n]+)
  | (?P<comment>[\#!][^\n]*)
  | (?P<end>\n|;)
  | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<name>(?:[^\W\d]|\.)[\w.]*)
  | (?P<quoted>`[^`\n]*`)
  | (?P<string>"[^"\n]*"|'[^'\n]*')
  | (?P<operator>~\*~|=~|<~|~~|:=|==|~|\||<|>)
  | (?P<symbol>[-+*/^(),:?])
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Token:
    """One token; ``text`` is without quotes."""

    kind: TokenKind
    text: str
    line: int
    column: int

    @property
    def shown(self) -> str:
        """The token for a message."""
        return "the end of the line" if self.kind == "end" else f"'{self.text}'"


def tokenize(text: str) -> list[Token]:
    """Return the tokens of a model string, ended by an ``end`` token; comments and blanks are left out."""
    tokens: list[Token] = []
    line, start, position = 1, 0, 0
    while position < len(text):
        found = _PATTERN.match(text, position)
        column = position - start + 1
        if found is None:
            raise _unreadable(text, text[position], line, column)
        kind, piece = str(found.lastgroup), found.group()
        position = found.end()
        if kind == "quoted":
            kind, piece = "name", piece[1:-1]
        elif kind == "string":
            piece = piece[1:-1]
        if kind not in ("space", "comment"):
            tokens.append(Token(kind, piece, line, column))  # type: ignore[arg-type]  # lastgroup is one of the kinds
        if found.group() == "\n":
            line, start = line + 1, position
    tokens.append(Token("end", "", line, position - start + 1))
    return tokens


def _unreadable(text: str, character: str, line: int, column: int) -> ModelSyntaxError:
    fixes = {
        "=": "Write '=~' for loadings, '==' for an equality, ':=' for a defined parameter.",
        "`": "Close the name with a second '`' on the same line.",
        '"': "Close the text with a second '\"' on the same line.",
        "'": 'Close the text with a second "\'" on the same line.',
        "%": "Write '*' between a modifier and its variable.",
        "–": "This is a dash, not a minus: write '-'.",
        "−": "This is a typographic minus: write '-'.",
        "∼": "This is a look-alike of the tilde: write '~'.",
    }
    fix = fixes.get(character, "Leave it out, or put a column name that holds it between backticks: `name`.")
    return ModelSyntaxError.from_place(f"{character!r} has no meaning here.", fix, text, line, column)
