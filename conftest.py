"""What the whole test run shares: executed documentation, plain number printing, counts of what may be skipped."""

from __future__ import annotations

import collections
import os
from collections.abc import Generator, Iterator
from typing import Any

for _threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):  # before NumPy: the same digits on every machine
    os.environ.setdefault(_threads, "1")

import numpy as np
import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/*.md"],
).pytest()

_COUNTED = {"shared": "shared data checks", "browser": "browser checks"}
_counts: dict[str, collections.Counter[str]] = {marker: collections.Counter() for marker in _COUNTED}


@pytest.fixture(autouse=True)
def _plain_numbers() -> Iterator[None]:
    """Print arrays the same way everywhere, and leave no option behind."""
    with np.printoptions(precision=4, suppress=True, linewidth=100, threshold=200):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Count what ran and what was skipped among the checks that need more than the repository."""
    report = yield
    for marker, counts in _counts.items():
        if item.get_closest_marker(marker) is not None:
            if report.skipped:
                counts["skipped"] += 1
            elif report.when == "call":
                counts["ran"] += 1
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say it aloud."""
    for marker, counts in _counts.items():
        terminalreporter.write_line(f"{_COUNTED[marker]}: {counts['ran']} ran, {counts['skipped']} skipped")
