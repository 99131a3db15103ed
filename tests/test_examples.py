"""The worked examples run to their end on the real data."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from tests.support import ROOT


@pytest.mark.shared
def test_real_ratings_example(
    shared_reference: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Check, reliability and class means of the OECD ratings."""
    monkeypatch.setenv("RELMEASURE_SHARED", str(shared_reference.parent))
    runpy.run_path(str(ROOT / "examples" / "gti_ratings.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert "11029 students in 420 classes of 5 countries" in said
    assert "Germany" in said
    assert "reportable" in said
