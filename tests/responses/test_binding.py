"""Frames bound to instruments: columns, codes, classes of missing, origins, raw and keyed."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from relmeasure.exceptions import (
    AlreadyKeyedError,
    CodesAsMissingWarning,
    ColumnCollisionError,
    ColumnNotFoundError,
    DuplicateColumnError,
    OptionError,
    OriginShiftWarning,
    UnknownCodeError,
    UnsupportedDataError,
)
from relmeasure.responses.binding import KeyedResponses, Responses, bind
from relmeasure.responses.intake import item_counts
from tests.responses.builders import AGREE, LABELLED, PERCENT, YES_NO, Scales, build, counted_collects
from tests.support import CONSTRUCTORS, Columns, Constructor, to_columns, unchanged

ANSWERS: Columns = {"q1": [1, 2, None, 5], "q2": [5, 4, 3, None], "q3": [1, 1, 2, 2], "class_id": ["a", "a", "b", "b"]}


# --------------------------------------------------------------------------- frames and columns
def test_frame_is_held_untouched(constructor: Constructor) -> None:
    frame = constructor(ANSWERS)
    with unchanged(frame):
        responses = bind(build(), frame)
        responses.keyed().frame  # noqa: B018
    assert responses.frame is frame
    assert responses.n_rows == 4
    assert responses.items == ("q1", "q2", "q3")
    assert (responses.steps, responses.warnings) == ((), ())


def test_keyed_frame_is_of_the_same_kind_and_keeps_other_columns(constructor: Constructor) -> None:
    instrument = build(items={"q1": {}, "q2": {"key": -1}, "q3": {}})
    frame = constructor(ANSWERS)
    keyed = bind(instrument, frame).keyed()
    assert type(keyed.frame) is type(frame)
    columns = to_columns(keyed.frame)
    assert list(columns) == ["q1", "q2", "q3", "class_id"]
    assert columns == {**ANSWERS, "q2": [1, 2, 3, None]}
    assert (keyed.items, keyed.n_rows, keyed.warnings, keyed.instrument) == (("q1", "q2", "q3"), 4, (), instrument)


def test_array_is_read_by_position() -> None:
    array = np.array([[1, 2, 3], [5, 4, np.nan]])
    before = array.copy()
    responses = bind(build(), array)
    assert to_columns(responses.keyed().frame) == {"q1": [1, 5], "q2": [2, 4], "q3": [3, None]}
    np.testing.assert_array_equal(array, before)
    with pytest.raises(UnsupportedDataError, match="2 columns, the instrument 3 items"):
        bind(build(), array[:, :2])
    with pytest.raises(UnsupportedDataError, match="has 1"):
        bind(build(), array[0])


@pytest.mark.parametrize(
    "data", [{"q1": [1]}, [[1, 2, 3]], None, 3, "answers.csv", pd.Series([1]), object()], ids=lambda d: type(d).__name__
)
def test_other_things_are_refused_by_name(data: Any) -> None:
    with pytest.raises(UnsupportedDataError, match=type(data).__name__) as error:
        bind(build(), data)
    assert "pandas, Polars" in str(error.value)


def test_frames_of_the_common_interface_are_refused() -> None:
    import narwhals.stable.v2 as nw

    with pytest.raises(UnsupportedDataError, match=r"narwhals.*DataFrame"):
        bind(build(), nw.from_native(CONSTRUCTORS["polars"](ANSWERS)))


def test_first_argument_must_be_an_instrument() -> None:
    with pytest.raises(UnsupportedDataError, match="load_instrument"):
        bind("small", pd.DataFrame(ANSWERS))  # type: ignore[arg-type]


def test_missing_items_are_named_with_a_hint(constructor: Constructor) -> None:
    frame = constructor({"q1": [1], "q_2": [2], "class_id": ["a"]})
    with pytest.raises(ColumnNotFoundError, match="Did you mean 'q_2'") as error:
        bind(build(), frame)
    assert error.value.details["missing"] == ["q2", "q3"]


def test_part_of_the_items_will_do_for_some_scales(constructor: Constructor) -> None:
    scales: Scales = [{"id": "a", "items": ["q1", "q2"]}, {"id": "b", "items": ["q3"]}, {"id": "all", "subscales": ["a", "b"],
              "scoring": {"method": "mean_of_subscales"}}]  # fmt: skip
    instrument = build(scales=scales)
    frame = constructor({"q1": [1], "q2": [2]})
    responses = bind(instrument, frame, scales=["a"])
    assert (responses.items, responses.scales) == (("q1", "q2"), ("a",))
    with pytest.raises(ColumnNotFoundError, match="q3"):
        bind(instrument, frame, scales=["all"])
    with pytest.raises(OptionError, match="Did you mean 'all'"):
        bind(instrument, frame, scales=["al"])


def test_unscored_items_are_checked_where_they_are(constructor: Constructor) -> None:
    instrument = build(scales=[{"id": "s", "items": ["q1", "q2"]}])
    assert bind(instrument, constructor({"q1": [1], "q2": [2]})).items == ("q1", "q2")
    assert bind(instrument, constructor({"q1": [1], "q2": [2], "q3": [3]})).items == ("q1", "q2", "q3")
    with pytest.raises(UnknownCodeError, match="q3"):
        bind(instrument, constructor({"q1": [1], "q2": [2], "q3": [7]}))
    assert bind(instrument, constructor({"q1": [1], "q2": [2], "q3": [7]}), scales=["s"]).items == ("q1", "q2")


def test_instrument_without_scales_needs_every_coded_item(constructor: Constructor) -> None:
    instrument = build({"r": AGREE, "text": {"kind": "open"}}, {"q1": {}, "o": {"response_scale": "text"}}, scales=[])
    responses = bind(instrument, constructor({"q1": [1, 2], "o": ["so", "so"]}))
    assert responses.items == ("q1",)
    assert to_columns(responses.keyed().frame)["o"] == ["so", "so"]
    with pytest.raises(ColumnNotFoundError):
        bind(instrument, constructor({"o": ["so"]}))


def test_column_names_that_stand_twice() -> None:
    import duckdb
    import pyarrow as pa

    for frame in (
        pd.DataFrame([[1, 2, 3, 4]], columns=["q1", "q1", "q2", "q3"]),
        pa.table([pa.array([1])] * 4, names=["q1", "q1", "q2", "q3"]),
        duckdb.sql("select 1 q1, 2 q1, 3 q2, 4 q3"),
        pd.DataFrame([[1, 2, 3, 4, 5]], columns=["q1", "q2", "q3", "other", "other"]),
    ):
        with pytest.raises(DuplicateColumnError) as error:
            bind(build(), frame)
        assert error.value.details["names"] in (["q1"], ["other"])


def test_columns_of_several_levels_are_refused() -> None:
    frame = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "q1"), ("a", "q2")]))
    with pytest.raises(UnsupportedDataError, match="levels"):
        bind(build(), frame)


def test_reserved_column_names_are_refused(constructor: Constructor) -> None:
    with pytest.raises(ColumnCollisionError, match="__relmeasure_"):
        bind(build(), constructor({**ANSWERS, "__relmeasure_n": [1, 2, 3, 4]}))


def test_index_of_a_pandas_frame_is_kept() -> None:
    frame = pd.DataFrame({"q1": [1, 2], "q2": ["3", "4"], "q3": [True, None]}, index=["x", "x"])
    instrument = build({"r": AGREE, "b": YES_NO}, {"q1": {}, "q2": {}, "q3": {"response_scale": "b"}}, scales=[])
    keyed = bind(instrument, frame).keyed().frame
    assert keyed.index.tolist() == ["x", "x"]
    assert to_columns(keyed) == {"q1": [1, 2], "q2": [3, 4], "q3": [1, None]}


def test_changing_the_keyed_frame_leaves_the_input_alone() -> None:
    """Pitfall 4.24: a scoring function that mutates its input."""
    frame = pd.DataFrame({"q1": [1.0, 2.0], "q2": [3.0, 4.0], "q3": [5.0, 5.0], "other": [0.0, 0.0]})
    with unchanged(frame):
        keyed = bind(build(), frame).keyed().frame
        for name in keyed.columns:
            keyed.loc[:, name] = 1.0
        values = keyed.to_numpy()
        if values.flags.writeable:
            values[:] = 2.0


# --------------------------------------------------------------------------- unknown codes
def test_sentinels_are_errors_with_a_count_and_the_values_seen(constructor: Constructor) -> None:
    """Pitfall 4.5: missing codes and codes out of range must not be scored."""
    frame = constructor({"q1": [1, 9, 99, -9, 99, 5], "q2": [1, 2, 3, 4, 5, 5], "q3": [2.5, 3, 3, 3, 3, 1]})
    with pytest.raises(UnknownCodeError) as error:
        bind(build(), frame)
    assert error.value.details["counts"] == {"q1": 4, "q3": 1}
    assert error.value.details["values"] == {"q1": [99, -9, 9], "q3": [2.5]}
    assert error.value.details["shifted"] == {}
    assert str(error.value) == (
        "2 items hold codes that are not declared: q1: 4 (99, -9, 9; declared 1 to 5); q3: 1 (2.5; declared 1 to 5). "
        "Correct them, declare them as missing codes of the response scale, or pass unknown='missing'."
    )


def test_unknown_text_is_shown_as_stored(constructor: Constructor) -> None:
    frame = constructor({"q1": [" often", " often", "3", "b", "a", "c", "d", "e"]})
    with pytest.raises(UnknownCodeError) as error:
        bind(build(items=["q1"]), frame)
    assert error.value.details["counts"] == {"q1": 7}
    assert error.value.details["values"] == {"q1": [" often", "a", "b", "c", "d"]}


def test_unknown_codes_may_become_missing_on_record(constructor: Constructor) -> None:
    instrument = build(items={"q1": {}, "q2": {"key": -1}})
    frame = constructor({"q1": [1, 9, 5, None], "q2": ["1", "x", "y", ""]})
    with pytest.warns(CodesAsMissingWarning, match=r"^3 answers .*q1: 1, q2: 2") as caught:
        responses = bind(instrument, frame, unknown="missing")
    assert caught[0].filename == __file__
    assert to_columns(responses.keyed().frame) == {"q1": [1, None, 5, None], "q2": [5, None, None, None]}
    assert [note.code for note in responses.warnings] == ["codes-as-missing"]
    assert responses.steps == (responses.warnings[0].message,)
    with pytest.raises(OptionError, match="drop"):
        bind(instrument, frame, unknown="drop")  # type: ignore[arg-type]


def test_many_bad_items_are_counted_not_listed() -> None:
    items = [f"q{k}" for k in range(1, 13)]
    with pytest.raises(UnknownCodeError, match=r"and 4 more items\. Correct") as error:
        bind(build(items=items), pd.DataFrame({i: [1, 7] for i in items}))
    assert len(error.value.details["counts"]) == 12


def test_codes_with_gaps_are_checked_one_by_one(constructor: Constructor) -> None:
    scale = {"kind": "frequency", "options": [{"value": k} for k in (0, 1, 3, 7)]}
    instrument = build({"r": scale}, ["q1"])
    assert bind(instrument, constructor({"q1": [0, 1, 3, 7, None]})).n_rows == 5
    with pytest.raises(UnknownCodeError, match="declared 0, 1, 3, 7") as error:
        bind(instrument, constructor({"q1": [0, 1, 2, 7, 5]}))
    assert error.value.details["counts"] == {"q1": 2}


def test_no_rows_are_read_twice_when_all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lazy frame is queried once, also with missing codes."""
    calls = counted_collects(monkeypatch)
    bind(build({"r": LABELLED}), CONSTRUCTORS["polars_lazy"]({"q1": [1, 8], "q2": ["True", None], "q3": [4.0, 8.0]}))
    assert len(calls) == 1


# --------------------------------------------------------------------------- shifted origin
ZERO_TO_FOUR = {"kind": "agreement", "options": [{"value": k} for k in range(5)]}


@pytest.mark.parametrize(("declared", "stored", "by"), [(AGREE, [0, 1, 4], 1), (ZERO_TO_FOUR, [1, 2, 5], -1)])
def test_origin_shifted_by_one_is_named(constructor: Constructor, declared: Any, stored: list[int], by: int) -> None:
    """Pitfall 4.4: 0-4 where 1-5 is declared, or the other way round, against cut-offs made for the other."""
    frame = constructor({"q1": stored, "q2": [str(c) for c in stored], "q3": [2, None, 3]})
    with pytest.raises(UnknownCodeError, match="origin looks shifted by one") as error:
        bind(build({"r": declared}), frame)
    assert error.value.details["shifted"] == {"q1": by, "q2": by, "q3": by}
    assert ("add 1 to" if by == 1 else "subtract 1 from") in str(error.value)
    with pytest.warns(OriginShiftWarning), pytest.warns(CodesAsMissingWarning):
        bind(build({"r": declared}), frame, unknown="missing")


@pytest.mark.parametrize(
    "columns",
    [
        {"q1": [0, 1, 4], "q2": [1, 2, 5], "q3": [1, 1, 1]},  # both ends seen: not shifted
        {"q1": [0, 0, 0], "q2": [None, None, None], "q3": [0, 0, 0]},  # one value tells nothing
        {"q1": [0, 2, 9], "q2": [1, 2, 4], "q3": [1, 1, 1]},  # another unknown code
        {"q1": [0, 2.5, 4], "q2": [1, 2, 4], "q3": [1, 1, 1]},  # no whole numbers
    ],
)
def test_shift_is_not_cried_without_evidence(constructor: Constructor, columns: Columns) -> None:
    with pytest.raises(UnknownCodeError) as error:
        bind(build(), constructor(columns))
    assert error.value.details["shifted"] == {}


def test_low_codes_alone_are_no_hint(constructor: Constructor) -> None:
    """1-4 where 0-4 is declared may simply be what people answered."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bind(build({"r": ZERO_TO_FOUR}), constructor({"q1": [1, 4], "q2": [2, 3], "q3": [4, 1]}))


def test_declared_missing_codes_do_not_hide_a_shift(constructor: Constructor) -> None:
    scale = {**AGREE, "missing": [{"code": 9, "reason": "skipped"}]}
    with pytest.raises(UnknownCodeError) as error:
        bind(build({"r": scale}), constructor({"q1": [0, 1, 9], "q2": [4, 9, 0], "q3": [9, 9, None]}))
    assert error.value.details["shifted"] == {"q1": 1, "q2": 1, "q3": 1}


def test_shift_is_told_for_the_scale_it_concerns(constructor: Constructor) -> None:
    scales: Scales = [{"id": "a", "items": ["q1", "q2"]}, {"id": "b", "items": ["q3"]}]
    with pytest.raises(UnknownCodeError) as error:
        bind(build(scales=scales), constructor({"q1": [0, 1, 4], "q2": [3, 3, 1], "q3": [1, 3, 5]}))
    assert error.value.details["shifted"] == {"q1": 1, "q2": 1}


# --------------------------------------------------------------------------- classes of missing, direction, collapsing
def test_class_of_missing_is_kept(constructor: Constructor) -> None:
    scale = {
        **AGREE,
        "missing": [
            {"code": 7, "reason": "not_administered"},
            {"code": 8, "reason": "not_applicable"},
            {"code": 9, "reason": "skipped"},
            {"code": 10, "reason": "invalid"},
        ],
    }
    frame = constructor({"q1": [1, 1, 5, 7, 8, 8, 9, 10, None, None]})
    table = item_counts(build({"r": scale}, ["q1"]), frame)
    rows = [(row["code"], row["reason"], row["n"]) for row in table.rows()]
    assert rows == [
        (1, None, 2),
        (2, None, 0),
        (3, None, 0),
        (4, None, 0),
        (5, None, 1),
        (7, "not_administered", 1),
        (8, "not_applicable", 2),
        (9, "skipped", 1),
        (10, "invalid", 1),
        (None, "skipped", 2),
    ]


def test_items_are_keyed_by_the_declared_range(constructor: Constructor) -> None:
    """Pitfall 4.3: reflection by the observed maximum, or ``high - x``; here nobody chose 5."""
    instrument = build(items={"q1": {"key": -1}})
    assert to_columns(bind(instrument, constructor({"q1": [1, 2, 4]})).keyed().frame)["q1"] == [5, 4, 2]


@pytest.mark.parametrize("key", [1, -1])
@pytest.mark.parametrize("direction", ["ascending", "descending"])
def test_direction_and_key_turn_an_item_round_once(constructor: Constructor, key: int, direction: str) -> None:
    scale = {**AGREE, "direction": direction}
    turned = (key == -1) != (direction == "descending")
    frame = constructor({"q1": [1, 2, None, 5]})
    found = to_columns(bind(build({"r": scale}, {"q1": {"key": key}}), frame).keyed().frame)["q1"]
    assert found == ([5, 4, None, 1] if turned else [1, 2, None, 5])
    percent = {**PERCENT, "direction": direction}
    frame = constructor({"q1": [0, 30.5, None, 100]})
    found = to_columns(bind(build({"r": percent}, {"q1": {"key": key}}), frame).keyed().frame)["q1"]
    assert found == ([100, 69.5, None, 0] if turned else [0, 30.5, None, 100])


def test_scores_of_options_and_collapsed_codes(constructor: Constructor) -> None:
    scored = {"kind": "frequency", "options": [{"value": k, "score": s} for k, s in ((1, 0.0), (2, 2.5), (3, 10.0))]}
    frame = constructor({"q1": [1, 2, 3, None]})
    assert to_columns(bind(build({"r": scored}, ["q1"]), frame).keyed().frame)["q1"] == [0, 2.5, 10, None]
    turned = build({"r": scored}, {"q1": {"key": -1}})
    assert to_columns(bind(turned, frame).keyed().frame)["q1"] == [10, 7.5, 0, None]
    joined = {**AGREE, "collapse": [{"codes": [1], "to": 2, "reason": "as published"}]}
    responses = bind(build({"r": joined}, ["q1"]), frame)
    assert to_columns(responses.keyed().frame)["q1"] == [2, 2, 3, None]
    assert responses.steps == ("codes 1 of 'r' scored as 2: as published",)


def test_renamed_label_is_an_error_not_a_missing_value(constructor: Constructor) -> None:
    """Pitfall 4.22: a label that nothing matches must not turn into NaN."""
    frame = constructor({"q1": ["Not true", "Sort of true", "Very  true"]})
    with pytest.raises(UnknownCodeError) as error:
        bind(build({"r": LABELLED}, ["q1"]), frame)
    assert error.value.details["values"] == {"q1": ["Very  true"]}


def test_categories_come_from_the_instrument(constructor: Constructor) -> None:
    """Pitfall 4.15: categories that nobody chose are neither dropped nor renumbered."""
    table = item_counts(build(items=["q1"]), constructor({"q1": [2, 4, 4, None]}))
    assert [(r["code"], r["keyed"], r["n"]) for r in table.rows()][:5] == [
        (1, 1.0, 0), (2, 2.0, 1), (3, 3.0, 0), (4, 4.0, 2), (5, 5.0, 0),
    ]  # fmt: skip


# --------------------------------------------------------------------------- raw and keyed
def test_nothing_is_keyed_twice(constructor: Constructor) -> None:
    """Pitfall 4.2: reversed twice."""
    keyed = bind(build(), constructor(ANSWERS)).keyed()
    with pytest.raises(AlreadyKeyedError, match="keyed already"):
        keyed.keyed()
    with pytest.raises(AlreadyKeyedError, match=r"bind\(\)"):
        bind(build(), keyed)
    assert isinstance(keyed, KeyedResponses)
    assert not isinstance(keyed, Responses)


def test_bound_responses_are_taken_as_they_are() -> None:
    instrument = build(scales=[{"id": "a", "items": ["q1", "q2"]}, {"id": "b", "items": ["q3"]}])
    frame = pd.DataFrame(ANSWERS)
    responses = bind(instrument, frame)
    assert bind(instrument, responses) is responses
    assert bind(copy.deepcopy(instrument), responses, scales=["b"]) is responses
    with pytest.raises(UnsupportedDataError, match="are bound to small"):
        bind(build(), responses)
    with pytest.raises(UnsupportedDataError, match="bound for scales a only"):
        bind(instrument, bind(instrument, frame, scales=["a"]), scales=["a", "b"])
    assert bind(instrument, bind(instrument, frame, scales=["a"])).scales == ("a",)
    assert "plans" not in repr(responses)
