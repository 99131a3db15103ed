"""How results are laid out: sentences wrapped in a terminal, paragraphs and real tables in a notebook."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Callable
from contextvars import ContextVar
from typing import Protocol

__all__ = ["mark", "notebook_html", "paragraph"]

WIDTH = 100
"""Columns at which sentences are wrapped."""


class _Drawn(Protocol):
    def _html(self, digits: int) -> str: ...


_TABLES: ContextVar[list[tuple[_Drawn, int]] | None] = ContextVar("relmeasure_tables", default=None)
"""Tables met while a summary is written for a notebook; None while it is written for a terminal."""

_MARK = re.compile("\x00([0-9]+)\x00")


def paragraph(text: str, indent: str = "  ") -> str:
    """Wrap each line of a text at 100 columns; lines that go on are indented. Not for tables.

    In a notebook the window wraps, so that nothing is broken here.
    """
    if _TABLES.get() is not None:
        return text
    return "\n".join(
        textwrap.fill(line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        if len(line) > WIDTH
        else line
        for line in text.split("\n")
    )


def mark(table: _Drawn, digits: int) -> str | None:
    """Stand-in for a table's text while a summary is written for a notebook, else None."""
    tables = _TABLES.get()
    if tables is None:
        return None
    tables.append((table, digits))
    return f"\x00{len(tables) - 1}\x00"


def notebook_html(summary: Callable[[], str]) -> str:
    """Return a summary as HTML: a paragraph for each line, and the tables in it as tables.

    The summary is written once more, with a mark wherever a table writes itself (``mark``): what is text and what is a
    table need not be told apart afterwards.
    """
    tables: list[tuple[_Drawn, int]] = []
    before = _TABLES.set(tables)
    try:
        text = summary()
    finally:
        _TABLES.reset(before)
    parts = []
    for line in text.split("\n"):
        found = _MARK.fullmatch(line.strip())
        if found:
            table, digits = tables[int(found[1])]
            parts.append(f'<div style="overflow-x: auto">{table._html(digits)}</div>')
        elif line.strip():
            style = "white-space: pre-wrap; overflow-wrap: anywhere; max-width: 60em; margin: 0.3em 0"
            parts.append(f'<p style="{style}">{html.escape(line)}</p>')
    return f"<div>{''.join(parts)}</div>"
