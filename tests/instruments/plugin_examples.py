"""What entry points of other packages may name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from relmeasure.instruments import parse_instrument
from tests.instruments.builders import tree

FOLDER = Path()
"""Set by a test."""

instrument = parse_instrument(tree(id="plugin-object"))
shadow = parse_instrument(tree(id="practice-student"))
same = parse_instrument(tree(id="plugin-object", version="9.9"))
number = 42


def folder() -> Path:
    """A folder of files."""
    return FOLDER


def several() -> list[Any]:
    """Instruments and files together."""
    return [parse_instrument(tree(id="plugin-list")), FOLDER / "file.json"]


def broken() -> None:
    """Fail as foreign code may."""
    raise RuntimeError("the plug-in is broken")


def leaves() -> None:
    """End the program."""
    raise SystemExit(3)
