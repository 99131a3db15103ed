"""Trials of a new practice: the change over lessons, its interval, comments under the disclosure rule."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from relmeasure.exceptions import ColumnNotFoundError, DataError, ListwiseDeletionWarning, OptionError
from relmeasure.instruments import load_instrument
from relmeasure.scoring import score
from relmeasure.studies.trials import PracticeTrial, practice_trial
from tests.support import Constructor

PULSE = load_instrument("lesson-pulse-student")
CALL: dict[str, Any] = {"phase": "phase", "lesson": "lesson"}


def _data(shift: float = 0.6, *, lessons: int = 5, students: int = 18, seed: int = 3) -> dict[str, list[Any]]:
    """Lessons of one class before and during a trial; answers 1 to 4, a comment by every third student."""
    rng = np.random.default_rng(seed)
    columns: dict[str, list[Any]] = {"class_id": [], "phase": [], "lesson": [], "comment": []}
    columns |= {f"pulse_{k}": [] for k in range(1, 7)}
    for number in range(2 * lessons):
        trial = number >= lessons
        day = rng.normal(0, 0.15)
        for student in range(students):
            person = rng.normal(0, 0.5)
            columns["class_id"].append("5b")
            columns["phase"].append("trial" if trial else "baseline")
            columns["lesson"].append(f"2026-03-{number + 1:02d}")
            columns["comment"].append(f"comment {student:02d} of {number}" if student % 3 == 0 else None)
            for k in range(1, 7):
                answer = 2.3 + shift * trial + day + person + rng.normal(0, 0.6)
                columns[f"pulse_{k}"].append(int(np.clip(np.rint(answer), 1, 4)))
    return columns


def _frame(columns: dict[str, list[Any]]) -> Any:
    return pd.DataFrame(columns)


def test_change_is_welch_over_lessons() -> None:
    """Means of lesson means, standard error and interval by scipy's own test, and the share of pairs in favour."""
    from scipy import stats

    data = _frame(_data())
    row = next(practice_trial(PULSE, data, **CALL).table.rows())
    scored = score(PULSE, data)
    means = scored.assign(pulse=scored["pulse"].astype(float)).groupby(["phase", "lesson"])["pulse"].mean()
    before, during = means["baseline"].to_numpy(), means["trial"].to_numpy()
    test = stats.ttest_ind(during, before, equal_var=False)
    interval = test.confidence_interval(0.95)
    assert row["change"] == pytest.approx(during.mean() - before.mean(), rel=1e-12)
    assert row["pvalue"] == pytest.approx(test.pvalue, rel=1e-9)
    assert (row["lower"], row["upper"]) == pytest.approx((interval.low, interval.high), rel=1e-9)
    pairs = [(d > b) + 0.5 * (d == b) for d in during for b in before]
    assert row["nap"] == pytest.approx(np.mean(pairs))
    assert row["lower"] > 0


def test_every_engine_gives_the_same(constructor: Constructor) -> None:
    """Lazy or not."""
    columns = _data()
    reference = practice_trial(PULSE, _frame(columns), **CALL)
    assert practice_trial(PULSE, constructor(columns), **CALL).equals(reference, rtol=1e-9)


def test_small_lessons_are_neither_shown_nor_quoted() -> None:
    """Below six answers: no mean, no part in the change, no comment."""
    data = _frame(_data())
    small = data["lesson"] == "2026-03-02"
    data = data[~small | (data.groupby("lesson").cumcount() < 4)]
    result = practice_trial(PULSE, data, **CALL)
    lessons = result.lessons.to_frame().set_index("lesson")
    assert lessons.loc["2026-03-02", "status"] == "suppressed"
    assert np.isnan(lessons.loc["2026-03-02", "mean"])
    assert result.table["n_baseline"][0] == 4
    assert "2026-03-02" not in set(result.comments["lesson"])
    assert len(result.comments) == 9 * 6
    listed = [
        c for c, day in zip(result.comments["comment"], result.comments["lesson"], strict=True) if day == "2026-03-01"
    ]
    assert listed == sorted(listed)


def test_no_interval_from_one_lesson() -> None:
    """The change is shown, its error is not made up."""
    data = _frame(_data())
    data = data[(data["phase"] == "baseline") | (data["lesson"] == "2026-03-06")]
    result = practice_trial(PULSE, data, **CALL)
    row = next(result.table.rows())
    assert not np.isnan(row["change"])
    assert np.isnan(row["se"])
    assert "one lesson" in row["reason"]
    assert result.status.level == "caution"


def test_no_change_is_not_found_often() -> None:
    """Without a shift about one interval in twenty leaves out zero."""
    outside = 0
    for seed in range(40):
        row = next(practice_trial(PULSE, _frame(_data(0.0, seed=seed, students=8)), **CALL).table.rows())
        outside += not row["lower"] <= 0 <= row["upper"]
    assert outside <= 6


def test_words_and_round_trip() -> None:
    """The summary never says that the trial caused anything."""
    result = practice_trial(PULSE, _frame(_data()), **CALL)
    assert "does not show a cause" in str(result)
    assert "caused" not in str(result)
    assert PracticeTrial.from_dict(json.loads(json.dumps(result.to_dict()))).equals(result)


def test_wrong_calls_are_named() -> None:
    """Phases, columns."""
    data = _frame(_data())
    with pytest.raises(DataError, match="never says 'pilot'"):
        practice_trial(PULSE, data, **CALL, trial="pilot")
    with pytest.raises(OptionError, match="both"):
        practice_trial(PULSE, data, **CALL, trial="baseline")
    with pytest.raises(ColumnNotFoundError, match="lesson"):
        practice_trial(PULSE, data, phase="phase", lesson="lessons")


def test_words_name_the_effect_size_and_no_cause() -> None:
    """The language guard of the cycle holds here too."""
    from tests.studies.test_cycle_words import guard

    text = practice_trial(PULSE, _frame(_data()), **CALL).summary()
    assert "(NAP)" in text
    assert guard(text) == []


def test_the_only_answer_of_a_lesson_is_not_quoted() -> None:
    """Rows of the roll are no answers: a comment is listed where the lesson's scores are shown, and nowhere else."""
    data = _frame(_data())
    items = [f"pulse_{k}" for k in range(1, 7)]
    absent = (data["lesson"] == "2026-03-02") & (data.groupby("lesson").cumcount() > 0)
    data[items] = data[items].astype(float)
    data.loc[absent, [*items, "comment"]] = None
    result = practice_trial(PULSE, data, **CALL)
    shown = {row["lesson"] for row in result.lessons.rows() if row["status"] == "shown"}
    assert "2026-03-02" not in shown
    assert set(result.comments["lesson"]) == shown


def test_comments_of_numbered_lessons_are_found() -> None:
    """Numbers that a gap has turned into floats are the same lessons in scores and comments."""
    data = _frame(_data())
    data["lesson"] = data["lesson"].str[-2:].astype(float)
    assert set(practice_trial(PULSE, data, **CALL).comments["lesson"]) == {str(k) for k in range(1, 11)}


def test_rows_without_a_phase_are_counted() -> None:
    """Dropped with a warning; the rows handed in stay in the provenance."""
    data = _frame(_data())
    data.loc[data["lesson"] == "2026-03-01", "phase"] = None
    with pytest.warns(ListwiseDeletionWarning, match=r"18 of 180 rows have no value in .*'phase'"):
        result = practice_trial(PULSE, data, **CALL)
    assert result.provenance is not None
    assert (result.provenance.n_rows, result.provenance.n_obs) == (180, 162)
    assert "18 of 180 rows" in result.summary()


def test_nobody_counts_twice() -> None:
    """Three students entered twice are three, not six: an error, whatever the column is called."""
    data = _frame(_data(students=3))
    data["student_id"] = [f"s{k}" for k in range(len(data))]
    twice = pd.concat([data, data])
    with pytest.raises(DataError, match=r"30 students have more than one row, such as 's\d+' in class_id '5b'"):
        practice_trial(PULSE, twice, **CALL)
    with pytest.raises(DataError, match="30 students have more than one row"):
        practice_trial(PULSE, twice.rename(columns={"student_id": "pupil"}), **CALL, student="pupil")
    with pytest.raises(ColumnNotFoundError, match="pupil"):
        practice_trial(PULSE, data, **CALL, student="pupil")
