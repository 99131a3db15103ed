"""The cycle from the command line: files in, words out, the table and the page written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from relmeasure.studies.cycle import reciprocity
from relmeasure.studies.cycle_result import ReciprocityResult
from tests.cli.test_commands import run  # noqa: F401 - a fixture
from tests.studies.test_cycle import CALL, _long

OPTIONS = ("--relationship", "care", "--practice", "thinking", "--wave", "wave")


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two waves of scores in a text file."""
    path = tmp_path_factory.mktemp("cycle") / "scores.csv"
    data = _long()
    data[data["teacher_id"] < 80].to_csv(path, index=False)
    return path


@pytest.mark.parametrize("engine", ["pandas", "polars", "duckdb"])
def test_words_table_and_page(run: Any, scores: Path, tmp_path: Path, engine: str) -> None:  # noqa: F811
    """What the function says is what the command prints, on every engine."""
    import pandas as pd

    out, page = tmp_path / "lags.csv", tmp_path / "cycle.html"
    done = run("cycle", scores, *OPTIONS, "--splits", "2", "-o", out, "--save", page, "--engine", engine)
    assert done.code == 0
    wanted = reciprocity(pd.read_csv(scores), **CALL, n_splits=2)
    assert done.out.strip() == wanted.summary().strip()
    assert len(pd.read_csv(out)) == len(wanted.table)
    assert "<h1>" in page.read_text(encoding="utf-8")


def test_json_comes_back_as_a_result(run: Any, scores: Path) -> None:  # noqa: F811
    done = run("cycle", scores, *OPTIONS, "--splits", "0", "--draws", "20", "--by", "grade_band", "--json")
    found = ReciprocityResult.from_dict(json.loads(done.out))
    assert max(found.bootstrap["n_draws"]) == 20
    assert {"4-6", "7-8"} <= set(found.table["by"])


def test_wrong_calls_end_with_two_and_no_answer_with_one(run: Any, scores: Path, tmp_path: Path) -> None:  # noqa: F811
    """A score that is not there; the input as output; too few classes."""
    import pandas as pd

    missing = run("cycle", scores, "--relationship", "car", "--practice", "thinking")
    assert missing.code == 2
    assert "care" in missing.err
    assert run("cycle", scores, *OPTIONS, "-o", scores).code == 2
    few = tmp_path / "few.csv"
    data = pd.read_csv(scores)
    data[data["teacher_id"] < 4].to_csv(few, index=False)
    assert run("cycle", few, *OPTIONS, "--splits", "0").code == 1
