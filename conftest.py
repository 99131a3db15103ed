"""What the whole test run shares: executed documentation, plain number printing, a count of shared-data checks."""

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

_shared: collections.Counter[str] = collections.Counter()


@pytest.fixture(autouse=True)
def _plain_numbers() -> Iterator[None]:
    """Print arrays the same way everywhere, and leave no option behind."""
    with np.printoptions(precision=4, suppress=True, linewidth=100, threshold=200):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Count what ran and what was skipped among the checks on larger real data."""
    report = yield
    if item.get_closest_marker("shared") is not None:
        if report.skipped:
            _shared["skipped"] += 1
        elif report.when == "call":
            _shared["ran"] += 1
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say it aloud."""
    terminalreporter.write_line(f"shared data checks: {_shared['ran']} ran, {_shared['skipped']} skipped")
