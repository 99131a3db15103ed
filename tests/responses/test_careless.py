"""Signs of careless responding, by hand and against plain Python."""

from __future__ import annotations

import itertools
import statistics
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmeasure.exceptions import CodesAsMissingWarning, ColumnCollisionError
from relmeasure.responses.binding import bind
from relmeasure.responses.careless import careless_responding
from tests.responses.builders import AGREE, PERCENT, build
from tests.support import CONSTRUCTORS, Columns, Constructor, to_columns, unchanged

ITEMS = ["q1", "q2", "q3", "q4", "q5"]
SCALE = {**AGREE, "missing": [{"code": 8, "reason": "not_applicable"}, {"code": 9, "reason": "not_administered"}]}
INSTRUMENT = build({"r": SCALE}, {"q1": {}, "q2": {"key": -1}, "q3": {}, "q4": {"key": -1}, "q5": {}})


def columns(rows: list[list[int | None]]) -> Columns:
    return {item: [row[k] for row in rows] for k, item in enumerate(ITEMS)}


def plain(row: list[int | None]) -> tuple[int, float | None, float | None]:
    """The three signs of one person, by the definitions."""
    answers = [v if v in range(1, 6) else None for v in row]
    runs = [len(list(same)) for value, same in itertools.groupby(answers) if value is not None]
    given_ones = [v for v in answers if v is not None]
    irv = statistics.stdev(given_ones) if len(given_ones) > 1 else None
    asked = sum(v not in (8, 9) for v in row)
    return max(runs, default=0), irv, (asked - len(given_ones)) / asked if asked else None


def test_signs_by_hand(constructor: Constructor) -> None:
    rows: list[list[int | None]] = [
        [3, 3, 3, 3, 3],
        [1, 1, 2, 2, 2],
        [1, 1, None, 1, 1],
        [None, None, None, None, None],
        [1, 8, 9, None, 2],
        [8, 8, 8, 9, 9],
        [5, None, None, None, None],
    ]
    frame = constructor({**columns(rows), "id": list(range(7))})
    with unchanged(frame):
        signs = careless_responding(INSTRUMENT, frame)
    assert type(signs) is type(frame)
    found = to_columns(signs)
    assert list(found) == [*ITEMS, "id", "longstring", "irv", "share_missing"]
    assert found["longstring"] == [5, 3, 2, 0, 1, 0, 1]
    assert found["irv"] == pytest.approx([0, 0.3**0.5, 0, None, 0.5**0.5, None, None])
    assert found["share_missing"] == pytest.approx([0, 0, 0.2, 1, 1 / 3, None, 0.8])
    assert found["id"] == list(range(7))  # nobody is removed


ROWS = st.lists(st.lists(st.sampled_from([1, 2, 3, 4, 5, 8, 9, None]), min_size=5, max_size=5), min_size=1, max_size=6)


@settings(max_examples=30, deadline=None)
@given(ROWS, st.sampled_from(sorted(CONSTRUCTORS)))
def test_signs_against_plain_python(rows: list[list[int | None]], engine: str) -> None:
    found = to_columns(careless_responding(INSTRUMENT, CONSTRUCTORS[engine](columns(rows))))
    expected = [plain(row) for row in rows]
    assert found["longstring"] == [e[0] for e in expected]
    for k, name in ((1, "irv"), (2, "share_missing")):
        ours = [-1.0 if value is None else value for value in found[name]]
        theirs = [-1.0 if (value := signs[k]) is None else value for signs in expected]
        assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-12)


def test_some_scales_only_under_another_name(constructor: Constructor) -> None:
    scales = [{"id": "a", "items": ["q1", "q2"]}, {"id": "b", "items": ["q3"]}]
    frame = constructor({"q1": [1, 1], "q2": [1, 2], "q3": [1, 1]})
    found = to_columns(careless_responding(build(scales=scales), frame, scales=["a"], prefix="sign_"))
    assert found["sign_longstring"] == [2, 1]
    assert to_columns(careless_responding(build(scales=scales), frame))["longstring"] == [3, 1]


def test_unknown_codes_end_a_run_and_count_as_missing(constructor: Constructor) -> None:
    frame = constructor(columns([[1, 1, 77, 1, 1]]))
    with pytest.warns(CodesAsMissingWarning):
        found = to_columns(careless_responding(INSTRUMENT, frame, unknown="missing"))
    assert (found["longstring"], found["share_missing"]) == ([2], [0.2])


def test_collision_is_refused(constructor: Constructor) -> None:
    with pytest.raises(ColumnCollisionError, match="irv"):
        careless_responding(build(items=["q1"]), constructor({"q1": [1], "irv": [0.5]}))


def test_frames_without_rows_and_bound_responses(eager_constructor: Constructor) -> None:
    frame = eager_constructor({"q1": [1, 3]})
    instrument = build(items=["q1"])
    empty = frame.slice(0, 0) if hasattr(frame, "slice") else frame[:0]
    assert to_columns(careless_responding(instrument, empty)) == {
        "q1": [], "longstring": [], "irv": [], "share_missing": [],
    }  # fmt: skip
    responses = bind(instrument, frame)
    for data in (responses, responses.keyed()):
        assert to_columns(careless_responding(instrument, data))["longstring"] == [1, 1]


def test_ranges_and_a_non_unique_index() -> None:
    frame: Any = pd.DataFrame({"q1": [50.5, 1.0], "q2": [50.5, None], "q3": [0.5, 2.0]}, index=["x", "x"])
    signs = careless_responding(build({"r": PERCENT}), frame)
    assert signs.index.tolist() == ["x", "x"]
    assert signs["longstring"].tolist() == [2, 1]
    assert signs["irv"].tolist() == pytest.approx([28.867513459481287, 0.5**0.5])
