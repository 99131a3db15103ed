"""Language guard: whatever a result of the cycle says, it says association and not cause."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from relmeasure.exceptions import RelmeasureWarning
from relmeasure.results import Table
from relmeasure.studies.cycle import reciprocity
from relmeasure.studies.cycle_result import ReciprocityResult
from tests.studies.test_cycle import CALL, _long, _three_waves

DISCLAIMERS = (
    "They do not show what causes what.",
    "they do not show what causes what.",
    "do not show what causes what.",
    "this does not show a cause.",
    "Associations, not causes.",
)
"""The only sentences that may name causes: they say that none is shown."""

CAUSAL = re.compile(
    r"\b(caus\w+|effects? of|affects?|affected|impacts?|influenc\w+|leads? to|led to|leading to|improv\w+|drives?|driven|"
    r"boosts?|raises?|produc\w+|results? in|because of|due to|thanks to|makes?|triggers?|brings? about|responsible for|"
    r"benefits?|determin\w+|works)\b",
    re.IGNORECASE,
)


def guard(text: str) -> list[str]:
    """Causal words in a text, disclaimers aside."""
    for sentence in DISCLAIMERS:
        text = text.replace(sentence, "")
    return [match.group(0) for match in CAUSAL.finditer(text)]


def test_the_guard_finds_what_it_should() -> None:
    assert guard("care causes later thinking") == ["causes"]
    assert guard("Care leads to thinking and improves it") == ["leads to", "improves"]
    assert guard("These are associations. They do not show what causes what.") == []


def _results() -> list[ReciprocityResult]:
    two, three = _long(), _three_waves(150)
    bands: dict[str, Any] = {"by": "grade_band", "school": "school", "n_splits": 2}
    return [
        reciprocity(two, **CALL, **bands),
        reciprocity(two[two["wave"] == 1], **CALL, **bands),
        reciprocity(three, **CALL, n_splits=2, n_boot=20),
        reciprocity(two[two["teacher_id"] < 4], **CALL, n_splits=0),
        reciprocity(two.drop_duplicates(["teacher_id", "wave"]), **CALL, n_splits=0),
    ]


@pytest.fixture(scope="module")
def results() -> list[ReciprocityResult]:
    """Bands and schools, one wave, three waves with draws, too few classes, one student a class."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelmeasureWarning)
        return _results()


def _with(result: ReciprocityResult, forward: float, back: float) -> ReciprocityResult:
    """The result with other estimates: 0.3 clear, -0.3 clear the other way, 0.01 not clear."""
    rows = []
    for row in result.table.rows():
        value = forward if row["predictor"] == result.relationship else back
        if row["reason"] is None:
            row |= {"estimate": value, "se": 0.05, "lower": value - 0.1, "upper": value + 0.1, "std": value}
        rows.append(row)
    return replace(result, table=Table.from_rows(rows))


@pytest.mark.parametrize(("forward", "back"), list(product((0.3, -0.3, 0.01), repeat=2)))
def test_every_sentence_that_can_be_printed(results: list[ReciprocityResult], forward: float, back: float) -> None:
    """All readings of both directions, of every kind of result."""
    for result in results:
        said = _with(result, forward, back)
        text = " ".join([said.summary(), *said.paragraphs(), str(said.status), said.syntax])
        assert guard(text) == [], text
        assert "associated with" in text or "Nothing could be estimated" in text or "not available" in text
        assert "what causes what" in text


def test_words_follow_the_numbers(results: list[ReciprocityResult]) -> None:
    """Each reading of the two directions."""
    first = results[0]
    assert "an association in both directions" in _with(first, 0.3, 0.3).paragraphs()[0]
    assert "clear from care to later thinking, not clear" in _with(first, 0.3, 0.01).paragraphs()[0]
    assert "clear from thinking to later care, not clear" in _with(first, 0.01, 0.3).paragraphs()[0]
    assert "not clear in either direction" in _with(first, 0.01, 0.01).paragraphs()[0]
    assert "0.30 standard deviations [0.20, 0.40]" in _with(first, 0.3, 0.3).paragraphs()[0]
    one = results[1].paragraphs()
    assert "of the same wave" in one[0]
    some = _with(results[1], 0.01, 0.0).paragraphs()[0]
    assert "care cannot be said to be associated with thinking 0.01 [-0.09, 0.11]" in some
    assert "no direction in time" in one[1]
    assert "later" not in one[0]
    three = results[2].paragraphs()
    assert "stable differences" in three[0]
    assert "equal over time" in three[1]
    assert results[3].paragraphs()[0].startswith("Nothing") or "not available" in results[3].paragraphs()[0]


def test_comparability_over_waves_is_never_passed_over(results: list[ReciprocityResult]) -> None:
    """Without instruments the summary says that invariance has not been tested, and how to test it."""
    assert (
        "rm.invariance(instrument, answers, group='wave', cluster='teacher_id', estimator='MLR')"
        in results[0].summary()
    )
    assert results[1].comparability == ""


def test_notebooks_show_words_figure_and_table(results: list[ReciprocityResult]) -> None:
    """The figure is drawn where matplotlib is there; a result without numbers has none."""
    pytest.importorskip("matplotlib")
    shown = results[0]._repr_html_()
    assert shown.count("<svg") == 1
    assert "<table" in shown
    assert guard(re.sub(r"<svg.*</svg>", "", shown, flags=re.DOTALL)) == []
    assert "<svg" not in results[3]._repr_html_()
