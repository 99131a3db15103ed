"""The worked examples run to their end on the real data."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from tests.support import ROOT


def _run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setenv("RELMEASURE_SHARED", str(folder))
    monkeypatch.setattr(sys, "argv", [name])
    runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
    return capsys.readouterr().out


def test_cycle_of_a_simulated_district(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the real data the reciprocal question is still answered, and rightly."""
    said = _run("virtuous_cycle.py", tmp_path, monkeypatch, capsys)
    assert "clear from relationship to later critical_thinking, not clear in the other direction" in said
    assert "clear from affective_engagement to later relationship, not clear in the other direction" in said
    assert "One wave" not in said


@pytest.mark.shared
def test_cycle_of_real_classes(
    shared_reference: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Five countries in one wave, teacher confidence, two waves of students, three of soldiers."""
    said = _run("virtuous_cycle.py", shared_reference.parent, monkeypatch, capsys)
    assert "Between 418 classes" in said
    assert "Cross-sectional: the chain passes fewer than three waves" in said
    assert "self_concept_2     interest_1  0.170" in said
    assert "Equal lags: chi-square difference(4) = 1.518, p = 0.823" in said


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
