"""Scores by hand: rules, missing answers, norms, rounding, names, warnings; on every engine."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmeasure.exceptions import (
    CodesAsMissingWarning,
    ColumnCollisionError,
    LevelError,
    NotPublishedMetricWarning,
    OptionError,
    ProratingWarning,
    UnknownCodeError,
    UnsupportedDataError,
)
from relmeasure.instruments.definition import Instrument
from relmeasure.responses.binding import bind
from relmeasure.scoring import score
from tests.responses.builders import AGREE, LABELLED, PERCENT, YES_NO, Scales, build, counted_collects
from tests.support import CONSTRUCTORS, Columns, Constructor, to_columns, unchanged

THREE: Columns = {"q1": [5, 4, None, None], "q2": [4, None, None, 2], "q3": [3, 3, 1, None]}


def scores(instrument: Instrument, frame: Any, **options: Any) -> dict[str, list[Any]]:
    return to_columns(score(instrument, frame, **options))


def scale(**changes: Any) -> Instrument:
    """Three items 1-5 in one scale ``s``."""
    return build(scales=[{"id": "s", "items": ["q1", "q2", "q3"], **changes}])


# --------------------------------------------------------------------------- the frame back
def test_three_columns_are_appended_and_nothing_else_changes(constructor: Constructor) -> None:
    frame = constructor({"id": ["d", "c", "b", "a"], **THREE, "note": ["x", None, "z", ""]})
    with unchanged(frame):
        scored = score(build(), frame)
    assert type(scored) is type(frame)
    columns = to_columns(scored)
    assert list(columns) == ["id", "q1", "q2", "q3", "note", "s", "s_n_valid", "s_missing_reason"]
    assert columns["id"] == ["d", "c", "b", "a"]
    assert columns["note"] == ["x", None, "z", ""]
    assert {name: columns[name] for name in THREE} == dict(THREE)
    assert columns["s"] == [4, None, None, None]
    assert columns["s_n_valid"] == [3, 2, 1, 1]
    assert columns["s_missing_reason"] == [None, "too_few_answers", "too_few_answers", "too_few_answers"]


def test_types_of_the_columns(constructor: Constructor) -> None:
    import narwhals.stable.v2 as nw

    schema = nw.from_native(score(build(), constructor(THREE))).collect_schema()
    assert schema["s"] == nw.Float64
    assert schema["s_n_valid"] == nw.Int64
    assert schema["s_missing_reason"] == nw.String


def test_every_scale_in_order_or_those_asked_for(constructor: Constructor) -> None:
    scales: Scales = [
        {"id": "b", "items": ["q1", "q2"]},
        {"id": "a", "items": ["q3"]},
        {"id": "all", "subscales": ["b", "a"], "scoring": {"method": "mean_of_subscales"}},
    ]
    instrument, frame = build(scales=scales), constructor({"q1": [1], "q2": [2], "q3": [3]})
    assert [name for name in scores(instrument, frame) if name in instrument.scale_ids] == ["b", "a", "all"]
    found = scores(instrument, frame, scales=["all"], prefix="x_")
    assert list(found) == ["q1", "q2", "q3", "x_all", "x_all_n_valid", "x_all_missing_reason"]
    assert found["x_all"] == [2.25]
    assert "a" in scores(instrument, frame, scales="a")
    with pytest.raises(OptionError, match="scales='al'"):
        score(instrument, frame, scales=["al"])


def test_index_and_order_of_a_pandas_frame_are_kept() -> None:
    frame = pd.DataFrame({"q1": [5, 1, 3], "q2": [5, 1, 3], "q3": [5, 1, None]}, index=pd.Index([9, 2, 9], name="who"))
    scored = score(build(), frame)
    assert scored.index.tolist() == [9, 2, 9]
    assert scored.index.name == "who"
    assert to_columns(scored)["s"] == [5, 1, None]
    assert to_columns(scored)["s_missing_reason"] == [None, None, "too_few_answers"]


def test_changing_the_scored_frame_leaves_the_input_alone() -> None:
    """Pitfall 4.24: a scoring function that mutates its input."""
    frame = pd.DataFrame({"q1": [1.0, 2.0], "q2": [3.0, 4.0], "q3": [5.0, 5.0], "other": [0.0, 0.0]})
    with unchanged(frame):
        scored = score(build(), frame)
        for name in list(scored.columns):
            if name != "s_missing_reason":
                scored.loc[:, name] = 1.0


def test_name_collisions_are_refused(constructor: Constructor) -> None:
    frame = constructor({**THREE, "s_n_valid": [0, 0, 0, 0]})
    with pytest.raises(ColumnCollisionError, match="s_n_valid") as error:
        score(build(), frame)
    assert error.value.details["columns"] == ["s_n_valid"]
    assert "new_s" in scores(build(), frame, prefix="new_")


def test_names_that_differ_in_case_collide_only_where_the_engine_says_so() -> None:
    columns = {**THREE, "S": [0, 0, 0, 0]}
    assert scores(build(), CONSTRUCTORS["polars"](columns))["s"][0] == 4
    with pytest.raises(ColumnCollisionError):
        score(build(), CONSTRUCTORS["duckdb"](columns))


def test_lazy_frames_stay_lazy(monkeypatch: pytest.MonkeyPatch) -> None:
    import polars as pl

    frame = CONSTRUCTORS["polars_lazy"](THREE)
    calls = counted_collects(monkeypatch)
    scored = score(build(), frame)
    assert isinstance(scored, pl.LazyFrame)
    assert len(calls) == 1  # the codes are checked in one query


def test_frame_without_rows(eager_constructor: Constructor) -> None:
    frame = eager_constructor(THREE)
    empty = frame.slice(0, 0) if hasattr(frame, "slice") else frame[:0]
    found = scores(build(), empty)
    assert (found["s"], found["s_n_valid"], found["s_missing_reason"]) == ([], [], [])


def test_column_of_nothing(constructor: Constructor) -> None:
    found = scores(build(), constructor({"q1": [None, None], "q2": [1, None], "q3": [1, None]}))
    assert found["s"] == [None, None]
    assert found["s_n_valid"] == [2, 0]
    assert found["s_missing_reason"] == ["too_few_answers", "no_answer"]


def test_instrument_without_scales_adds_nothing(constructor: Constructor) -> None:
    assert scores(build(scales=[]), constructor(THREE)) == dict(THREE)


def test_array_comes_back_as_a_pandas_frame() -> None:
    scored = score(build(), np.array([[5.0, 4.0, 3.0], [1.0, np.nan, 1.0]]))
    assert isinstance(scored, pd.DataFrame)
    assert to_columns(scored)["s"] == [4, None]


def test_other_things_are_refused() -> None:
    with pytest.raises(UnsupportedDataError, match="list"):
        score(build(), [[1, 2, 3]])  # type: ignore[call-overload]


def test_keyed_responses_are_not_keyed_again(constructor: Constructor) -> None:
    """Pitfall 4.2: reversed twice."""
    instrument = build(items={"q1": {}, "q2": {"key": -1}})
    frame = constructor({"q1": [1, 5], "q2": [5, 4]})
    responses = bind(instrument, frame)
    expected = scores(instrument, frame)
    assert expected["s"] == [1, 3.5]
    assert to_columns(score(instrument, responses)) == expected
    assert to_columns(score(instrument, responses.keyed())) == expected


def test_responses_of_some_scales_are_scored_for_these() -> None:
    instrument = build(scales=[{"id": "a", "items": ["q1", "q2"]}, {"id": "b", "items": ["q3"]}])
    responses = bind(instrument, pd.DataFrame({"q1": [1], "q2": [2]}), scales=["a"])
    assert list(score(instrument, responses).columns) == ["q1", "q2", "a", "a_n_valid", "a_missing_reason"]


# --------------------------------------------------------------------------- methods
def test_reversed_items_use_the_declared_range(constructor: Constructor) -> None:
    """Pitfalls 4.1 and 4.3: an item not reversed, or reflected by the observed maximum."""
    instrument = build(items={"q1": {}, "q2": {"key": -1}, "q3": {"key": -1}})
    assert scores(instrument, constructor({"q1": [1, 4], "q2": [4, 2], "q3": [2, 1]}))["s"] == [7 / 3, 13 / 3]


@pytest.mark.parametrize(("method", "expected"), [("mean", [3.5, 3.0]), ("sum", [7.0, 6.0]), ("pomp", [62.5, 50.0])])
def test_mean_sum_and_percent_of_maximum(constructor: Constructor, method: str, expected: list[float]) -> None:
    instrument = build(scales=[{"id": "s", "items": ["q1", "q2"], "scoring": {"method": method}}])
    assert scores(instrument, constructor({"q1": [5, 2], "q2": [2, 4], "q3": [1, 1]}))["s"] == expected


def test_pomp_puts_items_of_different_ranges_on_one_scale(constructor: Constructor) -> None:
    response_scales = {"r": AGREE, "b": YES_NO, "p": PERCENT}
    items: dict[str, dict[str, Any]] = {
        "q1": {},
        "q2": {"response_scale": "b", "key": -1},
        "q3": {"response_scale": "p"},
    }
    scales: Scales = [
        {"id": "s", "items": ["q1", "q2", "q3"], "scoring": {"method": "pomp"}, "missing": {"min_valid": 2}}
    ]
    frame = constructor({"q1": [2, None, 5], "q2": [0, 1, None], "q3": [50.0, 20.0, 99.5]})
    found = scores(build(response_scales, items, scales), frame)
    assert found["s"] == pytest.approx([(25 + 100 + 50) / 3, (0 + 20) / 2, (100 + 99.5) / 2], rel=1e-14)


def test_weighted_composite_and_mean_of_subscales(constructor: Constructor) -> None:
    scales: Scales = [
        {"id": "a", "items": ["q1", "q2"]},
        {"id": "b", "items": ["q3"]},
        {"id": "w", "subscales": ["a", "b"], "scoring": {"method": "weighted", "weights": {"a": 2.0, "b": -0.5}}},
        {"id": "m", "subscales": ["a", "b"], "scoring": {"method": "mean_of_subscales"}, "missing": {"min_valid": 1}},
        {"id": "top", "subscales": ["m", "a"], "scoring": {"method": "mean_of_subscales"}},
    ]
    frame = constructor({"q1": [1, 5, None, None], "q2": [2, 5, None, 4], "q3": [4, None, None, 3]})
    found = scores(build(scales=scales), frame)
    assert found["w"] == [2 * 1.5 - 2, None, None, None]
    assert found["w_n_valid"] == [3, 2, 0, 2]
    assert found["w_missing_reason"] == [None, "subscale_missing", "no_answer", "subscale_missing"]
    assert found["m"] == [2.75, 5, None, 3]
    assert found["top"] == [2.125, 5, None, None]
    assert found["top_n_valid"] == [3, 2, 0, 2]  # each item counts once, through whatever subscale it comes


def test_descending_codes_collapsed_codes_and_option_scores(constructor: Constructor) -> None:
    down = {**AGREE, "direction": "descending"}
    joined = {**AGREE, "collapse": [{"codes": [1], "to": 2, "reason": "as published"}]}
    scored = {"kind": "degree", "options": [{"value": k, "score": s} for k, s in ((1, 0.0), (2, 1.5), (5, 7.0))]}
    response_scales = {"down": down, "joined": joined, "scored": scored}
    items = {name: {"response_scale": name} for name in response_scales}
    scales: Scales = [{"id": f"s_{name}", "items": [name]} for name in response_scales]
    frame = constructor({"down": [1, 5, None], "joined": [1, 2, 5], "scored": [1, 2, 5]})
    found = scores(build(response_scales, items, scales), frame)
    assert (found["s_down"], found["s_joined"], found["s_scored"]) == ([5, 1, None], [2, 2, 5], [0, 1.5, 7])


def test_labels_as_text_are_scored_like_codes(constructor: Constructor) -> None:
    found = scores(build({"r": LABELLED}), constructor({"q1": ["Not true"], "q2": ["Cierto"], "q3": [" Muy cierto"]}))
    assert found["s"] == [8 / 3]


@pytest.mark.parametrize("dtype", ["Int8", "UInt8", "Int16", "Float32"])
def test_sums_do_not_leave_the_type_of_the_column(dtype: str) -> None:
    """Sixty answers of 5 are 300, which no 8-bit integer holds."""
    import polars as pl

    items = {f"q{k}": {"key": -1 if k % 2 else 1} for k in range(60)}
    instrument = build(items=items, scales=[{"id": "s", "items": list(items), "scoring": {"method": "sum"}}])
    columns = {
        item: pl.Series([5 if entry["key"] == 1 else 1, 1], dtype=getattr(pl, dtype)) for item, entry in items.items()
    }
    polars = pl.DataFrame(columns)
    for frame in (
        polars,
        polars.lazy(),
        polars.to_arrow(),
        pd.DataFrame({n: s.to_numpy() for n, s in columns.items()}),
    ):
        assert scores(instrument, frame)["s"] == [300, 180]


def test_scale_of_many_items(constructor: Constructor) -> None:
    items = [f"q{k}" for k in range(150)]
    instrument = build({"r": PERCENT}, items, [{"id": "s", "items": items, "missing": {"min_share": 0.5}}])
    columns = {item: [k % 100 + 0.5, None if k % 3 else 1.0] for k, item in enumerate(items)}
    found = scores(instrument, constructor(columns))
    assert found["s"] == [pytest.approx(sum(k % 100 + 0.5 for k in range(150)) / 150), None]
    assert found["s_n_valid"] == [150, 50]


# --------------------------------------------------------------------------- missing answers
@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, [True, False, False, False]),
        ({"min_valid": 3}, [True, False, False, False]),
        ({"min_valid": 2}, [True, True, False, False]),
        ({"min_valid": 1}, [True, True, True, True]),
        ({"min_share": 0.5}, [True, True, False, False]),
        ({"min_share": 0.67}, [True, False, False, False]),
        ({"min_share": 0.66}, [True, True, False, False]),
        ({"min_share": 0.1}, [True, True, True, True]),
    ],
    ids=str,
)
def test_missing_rule(constructor: Constructor, rule: dict[str, Any], expected: list[bool]) -> None:
    found = scores(scale(missing=rule), constructor(THREE))
    assert [value is not None for value in found["s"]] == expected
    assert [reason is None for reason in found["s_missing_reason"]] == expected


PLANNED = {
    **AGREE,
    "missing": [
        {"code": 6, "reason": "not_administered"},
        {"code": 7, "reason": "not_applicable"},
        {"code": 8, "reason": "invalid"},
        {"code": 9, "reason": "skipped"},
    ],
}
A, N, X, S = 6, 7, 8, 9


@pytest.mark.parametrize(
    ("rule", "row", "reason"),
    [
        ({}, [1, 2, 3, 4], None),
        ({}, [1, 2, 3, None], "too_few_answers"),
        ({}, [1, 2, 3, S], "too_few_answers"),
        ({}, [None, None, S, S], "no_answer"),
        ({}, [A, A, A, A], "not_administered"),
        ({}, [A, 2, 3, 4], "not_administered"),  # whatever is answered, four answers cannot be had
        ({}, [N, 2, 3, 4], "not_applicable"),
        ({}, [N, N, N, N], "not_applicable"),
        ({}, [N, A, 3, 4], "not_administered"),
        ({}, [X, 2, 3, 4], "invalid_answers"),
        ({}, [X, X, X, X], "invalid_answers"),
        ({}, [X, None, 3, 4], "too_few_answers"),
        ({"min_valid": 2}, [A, A, 3, 4], None),
        ({"min_valid": 2}, [A, A, 3, None], "too_few_answers"),
        ({"min_valid": 2}, [A, A, A, 4], "not_administered"),
        ({"min_valid": 2}, [A, A, N, 4], "not_applicable"),
        ({"min_valid": 2}, [X, X, None, None], "invalid_answers"),
        ({"min_valid": 3}, [X, X, None, None], "too_few_answers"),
        ({"min_share": 1.0}, [A, N, 3, 4], None),  # all that were administered and applicable
        ({"min_share": 1.0}, [A, N, 3, None], "too_few_answers"),
        ({"min_share": 0.5}, [A, A, 3, None], None),
        ({"min_share": 0.5}, [A, A, A, A], "not_administered"),
        ({"min_share": 0.5}, [A, A, N, N], "not_applicable"),
        ({"min_share": 0.5}, [A, A, None, S], "no_answer"),
        ({"min_share": 0.5}, [X, None, None, 1], "invalid_answers"),
        ({"min_share": 0.5}, [None, None, None, 1], "too_few_answers"),
    ],
    ids=str,
)
def test_reason_of_a_missing_score(
    constructor: Constructor, rule: dict[str, Any], row: list[Any], reason: str | None
) -> None:
    items = ["q1", "q2", "q3", "q4"]
    instrument = build({"r": PLANNED}, items, [{"id": "s", "items": items, "missing": rule}])
    frame = constructor({item: [value, 5] for item, value in zip(items, row, strict=True)})
    found = scores(instrument, frame)
    assert found["s_missing_reason"] == [reason, None]
    answers = [value for value in row if value in range(1, 6)]
    assert found["s_n_valid"] == [len(answers), 4]
    assert found["s"] == [sum(answers) / len(answers) if reason is None else None, 5]


def test_empty_cells_mean_what_the_definition_says(constructor: Constructor) -> None:
    """Planned missing answers stored as empty cells do not count against a person."""
    planned = {**AGREE, "null_reason": "not_administered"}
    instrument = build({"r": planned}, scales=[{"id": "s", "items": ["q1", "q2", "q3"], "missing": {"min_share": 1.0}}])
    found = scores(instrument, constructor({**THREE, "q2": [4, None, None, None]}))
    assert found["s"] == [4, 3.5, 1, None]
    assert found["s_missing_reason"] == [None, None, None, "not_administered"]


def test_unknown_codes_are_errors_or_invalid_on_record(constructor: Constructor) -> None:
    """Pitfall 4.5: a sentinel that is scored."""
    frame = constructor({"q1": [99, 99, 4], "q2": [4, 4, 4], "q3": [3, None, 1]})
    with pytest.raises(UnknownCodeError):
        score(build(), frame)
    with pytest.warns(CodesAsMissingWarning) as caught:
        found = scores(build(), frame, unknown="missing")
    assert caught[0].filename == __file__
    assert found["s"] == [None, None, 3]
    assert found["s_missing_reason"] == ["invalid_answers", "too_few_answers", None]


def test_item_of_two_scales(constructor: Constructor) -> None:
    scales: Scales = [{"id": "a", "items": ["q1", "q2"]}, {"id": "b", "items": ["q2", "q3"]}]
    instrument = build({"r": PLANNED}, scales=scales, shared_items=["q2"])
    found = scores(instrument, constructor({"q1": [1, 2], "q2": [3, S], "q3": [5, 4]}))
    assert (found["a"], found["b"]) == ([2, None], [4, None])


def test_composite_whose_subscales_were_not_administered(constructor: Constructor) -> None:
    """Booklets: who did not get any item of a part is told so; who left it out is not."""
    parts = [{"id": f"p{k}", "items": [f"q{k}"]} for k in (1, 2, 3)]
    total = {"id": "t", "subscales": ["p1", "p2", "p3"], "scoring": {"method": "mean_of_subscales"}}
    share = {**total, "id": "u", "missing": {"min_share": 0.6}}
    instrument = build({"r": PLANNED}, scales=[*parts, total, share])
    frame = constructor(
        {"q1": [1, A, A, N, None, 1, A], "q2": [3, 3, A, N, S, None, N], "q3": [5, 5, A, 5, None, 5, X]}
    )
    found = scores(instrument, frame)
    assert found["t"] == [3, None, None, None, None, None, None]
    assert found["t_missing_reason"] == [
        None, "not_administered", "not_administered", "not_applicable", "no_answer", "subscale_missing",
        "not_administered",
    ]  # fmt: skip
    assert found["u"] == [3, 4, None, 5, None, 3, None]
    assert found["u_missing_reason"] == [None, None, "not_administered", None, "no_answer", None, "subscale_missing"]


# --------------------------------------------------------------------------- prorating and rounding
def test_sums_are_completed_only_where_the_definition_says_so(constructor: Constructor) -> None:
    """Pitfall 4.7: prorating when items differ."""
    plain = scale(scoring={"method": "sum"})
    assert scores(plain, constructor(THREE))["s"] == [12, None, None, None]
    rule = {"min_valid": 2, "prorate": True}
    prorated = scale(scoring={"method": "sum"}, missing=rule)
    rounded = scale(scoring={"method": "sum"}, missing={**rule, "round_prorated": True})
    frame = constructor({**THREE, "q1": [5, 4, 2, None]})
    lazy = not hasattr(frame, "__len__") or type(frame).__name__ == "DuckDBPyRelation"
    if lazy:
        first, second = scores(prorated, frame), scores(rounded, frame)
    else:
        with pytest.warns(ProratingWarning, match=r"s: 2 of 4 rows.*Mazza") as caught:
            first = scores(prorated, frame)
        assert caught[0].filename == __file__
        assert caught[0].message.details == {"counts": {"s": 2}}  # type: ignore[union-attr]
        with pytest.warns(ProratingWarning):
            second = scores(rounded, frame)
    assert first["s"] == [12, 10.5, 4.5, None]
    assert second["s"] == [12, 11, 5, None]


def test_no_warning_when_nothing_was_completed(eager_constructor: Constructor) -> None:
    instrument = scale(scoring={"method": "sum"}, missing={"min_valid": 2, "prorate": True})
    assert scores(instrument, eager_constructor({"q1": [1, None], "q2": [1, None], "q3": [1, 1]}))["s"] == [3, None]


@pytest.mark.parametrize(
    ("decimals", "values", "expected"),
    [
        (0, [0.5, 1.5, 2.5, 2.4999], [1, 2, 3, 2]),
        (0, [-0.5, -1.5, -2.6, -0.4], [0, -1, -3, 0]),
        (1, [0.25, 0.35, 2.3, 0.05], [0.3, 0.4, 2.3, 0.1]),
        (2, [2.675, 1.005, 0.285, 9.995], [2.68, 1.01, 0.29, 10.0]),
        (3, [1 / 3, 2 / 3, 0.0005, -5.0], [0.333, 0.667, 0.001, -5]),
    ],
)
def test_halves_are_rounded_up_on_every_engine(
    constructor: Constructor, decimals: int, values: list[float], expected: list[float]
) -> None:
    wide = {"kind": "range", "minimum": -10.0, "maximum": 10.0}
    scales: Scales = [{"id": "s", "items": ["q1"], "scoring": {"decimals": decimals}}]
    assert scores(build({"r": wide}, ["q1"], scales), constructor({"q1": values}))["s"] == expected


def test_rounding_does_not_enter_a_composite(constructor: Constructor) -> None:
    scales: Scales = [
        {"id": "a", "items": ["q1", "q2"], "scoring": {"decimals": 0}},
        {"id": "b", "items": ["q3"]},
        {"id": "t", "subscales": ["a", "b"], "scoring": {"method": "mean_of_subscales"}},
    ]
    found = scores(build(scales=scales), constructor({"q1": [2], "q2": [3], "q3": [1]}))
    assert (found["a"], found["t"]) == ([3], [1.75])


# --------------------------------------------------------------------------- norms
ABOUT = {"population": "nobody", "date": "2026", "version": "1", "source": "made up"}


def test_t_scores(constructor: Constructor) -> None:
    norms = [{"id": "n", "kind": "t_score", "mean": 3.0, "sd": 0.5, **ABOUT}]
    scales: Scales = [{"id": "s", "items": ["q1", "q2", "q3"], "scoring": {"norms": "n", "decimals": 1}}]
    found = scores(build(scales=scales, norms=norms), constructor({"q1": [3, 4], "q2": [3, 4], "q3": [3, 5]}))
    assert found["s"] == [50, 76.7]


def test_lookup_norms_and_scores_outside_them(constructor: Constructor) -> None:
    norms = [{"id": "n", "kind": "lookup", "table": [[3.0, 20.0], [9.0, 50.0], [15.0, 80.0]], **ABOUT}]
    scales: Scales = [{"id": "s", "items": ["q1", "q2", "q3"], "scoring": {"method": "sum", "norms": "n"}}]
    frame = constructor({"q1": [1, 3, 5, 1, 1], "q2": [1, 3, 5, 1, 1], "q3": [1, 3, 5, 2, None]})
    found = scores(build(scales=scales, norms=norms), frame)
    assert found["s"] == [20, 50, 80, None, None]
    assert found["s_n_valid"] == [3, 3, 3, 3, 2]
    assert found["s_missing_reason"] == [None, None, None, "outside_norms", "too_few_answers"]


def test_raw_scores_are_rounded_before_they_are_looked_up(constructor: Constructor) -> None:
    norms = [{"id": "n", "kind": "lookup", "table": [[1.33, 10.5], [1.67, 20.25], [2.0, 30.0]], **ABOUT}]
    scales: Scales = [{"id": "s", "items": ["q1", "q2", "q3"], "scoring": {"norms": "n", "decimals": 2}}]
    frame = constructor({"q1": [1, 1, 2, 5], "q2": [1, 2, 2, 5], "q3": [2, 2, 2, 5]})
    assert scores(build(scales=scales, norms=norms), frame)["s"] == [10.5, 20.25, 30, None]


def test_composites_use_reported_subscale_scores(constructor: Constructor) -> None:
    norms = [
        {"id": "t", "kind": "t_score", "mean": 3.0, "sd": 1.0, **ABOUT},
        {"id": "l", "kind": "lookup", "table": [[1.0, 40.0], [2.0, 60.0]], **ABOUT},
    ]
    scales: Scales = [
        {"id": "a", "items": ["q1"], "scoring": {"norms": "t"}},
        {"id": "b", "items": ["q2"], "scoring": {"norms": "l"}},
        {"id": "c", "subscales": ["a", "b"], "scoring": {"method": "weighted", "weights": {"a": 0.5, "b": 0.5}}},
    ]
    found = scores(build(items=["q1", "q2"], scales=scales, norms=norms), constructor({"q1": [4, 3], "q2": [1, 5]}))
    assert found["c"] == [50, None]
    assert found["c_missing_reason"] == [None, "subscale_missing"]


def test_long_tables_are_looked_up(constructor: Constructor) -> None:
    table = [[k / 4, 2.0 * k] for k in range(401)]
    norms = [{"id": "n", "kind": "lookup", "table": table, **ABOUT}]
    scales: Scales = [{"id": "s", "items": ["q1"], "scoring": {"norms": "n"}}]
    found = scores(
        build({"r": PERCENT}, ["q1"], scales, norms=norms), constructor({"q1": [0, 0.25, 50.5, 99.75, 33.3]})
    )
    assert found["s"] == [0, 2, 404, 798, None]


# --------------------------------------------------------------------------- levels and warnings
def test_score_at_a_level_it_is_not_meant_for(constructor: Constructor) -> None:
    scales: Scales = [{"id": "a", "items": ["q1", "q2"], "levels": ["class", "teacher"]}, {"id": "b", "items": ["q3"]}]
    instrument, frame = build(scales=scales), constructor(THREE)
    with pytest.raises(LevelError, match="'a' is for class, teacher") as error:
        score(instrument, frame, level="student")
    assert error.value.details == {"level": "student", "levels": {"a": ["class", "teacher"]}}
    assert "b" in scores(instrument, frame, level="student", scales=["b"])
    assert "a" in scores(instrument, frame, level="class", scales=["a"])
    with pytest.raises(OptionError, match="'pupil'"):
        score(instrument, frame, level="pupil")  # type: ignore[call-overload]


def test_raw_score_of_a_scale_published_in_another_metric(constructor: Constructor) -> None:
    instrument = scale(published_metric="Rasch logits, mean 10, sd 2")
    with pytest.warns(NotPublishedMetricWarning, match=r"Rasch logits") as caught:
        score(instrument, constructor(THREE))
    assert caught[0].filename == __file__
    assert caught[0].message.details == {"metrics": {"s": "Rasch logits, mean 10, sd 2"}}  # type: ignore[union-attr]


# --------------------------------------------------------------------------- what must not matter
CODES = st.lists(st.lists(st.one_of(st.none(), st.integers(1, 5)), min_size=3, max_size=3), min_size=1, max_size=8)
ENGINES = st.sampled_from(sorted(CONSTRUCTORS))


def _columns(rows: list[list[int | None]]) -> Columns:
    return {f"q{k + 1}": [row[k] for row in rows] for k in range(3)}


@settings(max_examples=25, deadline=None)
@given(CODES, ENGINES, st.sets(st.integers(0, 2)))
def test_item_reversed_together_with_its_key(rows: list[list[int | None]], engine: str, flipped: set[int]) -> None:
    rule = [{"id": "s", "items": ["q1", "q2", "q3"], "missing": {"min_valid": 2}}]
    plain = build(scales=rule)
    keys = {f"q{k + 1}": {"key": -1 if k in flipped else 1} for k in range(3)}
    turned = [[6 - v if v is not None and k in flipped else v for k, v in enumerate(row)] for row in rows]
    make = CONSTRUCTORS[engine]
    expected = scores(plain, make(_columns(rows)))
    found = scores(build(items=keys, scales=rule), make(_columns(turned)))
    assert [found[n] for n in ("s", "s_n_valid", "s_missing_reason")] == [
        expected[n] for n in ("s", "s_n_valid", "s_missing_reason")
    ]


@settings(max_examples=25, deadline=None)
@given(CODES, ENGINES, st.randoms(use_true_random=False))
def test_permuted_rows_give_permuted_scores(rows: list[list[int | None]], engine: str, random: Any) -> None:
    order = list(range(len(rows)))
    random.shuffle(order)
    make, instrument = CONSTRUCTORS[engine], scale(missing={"min_valid": 2})
    first = scores(instrument, make(_columns(rows)))
    second = scores(instrument, make(_columns([rows[k] for k in order])))
    assert second["s"] == [first["s"][k] for k in order]


@settings(max_examples=25, deadline=None)
@given(CODES, ENGINES, st.permutations(range(1, 6)), st.integers(-50, 50))
def test_relabelled_codes_with_a_matching_response_scale(
    rows: list[list[int | None]], engine: str, order: list[int], shift: int
) -> None:
    """Any other codes for the same options, with explicit scores, give the same scores."""
    code_of = dict(zip(range(1, 6), sorted(3 * k + shift for k in order), strict=True))
    options = [{"value": code, "score": float(k)} for k, code in code_of.items()]
    other = build({"r": {"kind": "agreement", "options": options}}, {"q1": {}, "q2": {"key": -1}, "q3": {}})
    same = build(items={"q1": {}, "q2": {"key": -1}, "q3": {}})
    make = CONSTRUCTORS[engine]
    moved = [[None if v is None else code_of[v] for v in row] for row in rows]
    assert scores(other, make(_columns(moved)))["s"] == scores(same, make(_columns(rows)))["s"]


# --------------------------------------------------------------------------- what must not be loaded
def test_polars_is_scored_without_pandas_numpy_or_scipy() -> None:
    code = """
import sys
import polars as pl
from relmeasure.instruments import load_instrument
from relmeasure.scoring import score
instrument = load_instrument("relationship-student")
frame = pl.DataFrame({item: [1, 2, 3, 4, None] for item in instrument.item_ids})
score(instrument, frame)
print(sorted({"pandas", "scipy", "numpy", "pyarrow", "duckdb"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_is_infinite() -> None:
    found = scores(build({"r": PERCENT}, ["q1"]), CONSTRUCTORS["polars"]({"q1": [math.nan, 100.0]}))
    assert found["s"] == [None, 100]
