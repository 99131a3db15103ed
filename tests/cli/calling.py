"""Calling the console script in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest


class Ran:
    """Exit code and both outputs of one call."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Run = Callable[..., Ran]


def make_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs the words of a command line."""
    from relmeasure import cli

    def call(*words: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["relmeasure", *map(str, words)])
        capsys.readouterr()
        code: object = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        seen = capsys.readouterr()
        return Ran(int(str(code)), seen.out, seen.err)

    return call
