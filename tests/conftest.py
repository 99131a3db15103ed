"""Fixtures for every test: frames of each engine, and the larger real data where they exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import CONSTRUCTORS, EAGER, LAZY, Constructor, shared_folder


@pytest.fixture(params=list(CONSTRUCTORS))
def constructor(request: pytest.FixtureRequest) -> Constructor:
    """Make a frame of each engine from a dict of columns."""
    made: Constructor = CONSTRUCTORS[request.param]
    return made


@pytest.fixture(params=list(EAGER))
def eager_constructor(request: pytest.FixtureRequest) -> Constructor:
    """Make a frame of each eager engine from a dict of columns."""
    made: Constructor = EAGER[request.param]
    return made


@pytest.fixture(params=list(LAZY))
def lazy_constructor(request: pytest.FixtureRequest) -> Constructor:
    """Make a frame of each lazy engine from a dict of columns."""
    made: Constructor = LAZY[request.param]
    return made


@pytest.fixture(scope="session")
def shared_reference() -> Path:
    """Folder ``reference`` of the larger real data; the test is skipped where it does not exist."""
    folder = shared_folder() / "reference"
    if not folder.is_dir():
        pytest.skip(f"no larger real data at {folder}: set RELMEASURE_SHARED")
    return folder
