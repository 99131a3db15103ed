"""Open answers of students by group: carried, never scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw

from relmeasure.responses.frames import open_frame
from relmeasure.responses.groups import label_text

__all__ = ["open_answers"]


def open_answers(data: Any, item: str, by: Sequence[str]) -> list[tuple[tuple[str, ...], str]]:
    """Return (group labels, text) of every answer that is not blank, sorted by group and text.

    Sorting by text takes away the order of the rows, which could tell who wrote what.
    """
    source = open_frame(data)
    if item not in source.columns:
        return []
    source.require(list(by), what="named")
    wanted = source.frame.select(*(nw.col(name) for name in (*by, item)))
    table = wanted.collect() if isinstance(wanted, nw.LazyFrame) else wanted
    groups = zip(*(table[name].to_list() for name in by), strict=True)
    found = []
    for labels, text in zip(groups, table[item].to_list(), strict=True):
        if isinstance(text, str) and text.strip():
            found.append((tuple(label_text(label) for label in labels), text.strip()))
    return sorted(found)
