"""What a stored value means: one answer for each, the same on every engine (docs/data-contract.md)."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmeasure.exceptions import CodesAsMissingWarning, NonNumericError, UnknownCodeError
from relmeasure.responses.answers import NO_CODE, code_of
from relmeasure.responses.binding import bind
from tests.responses.builders import AGREE, LABELLED, PERCENT, YES_NO, build, one
from tests.support import CONSTRUCTORS, Constructor, to_columns

NONE = None
UNKNOWN = "unknown"

# stored value -> what it is, for each kind of response scale; every one of them is tried on every engine
TEXTS: list[tuple[Mapping[str, Any], str, Any]] = [
    (AGREE, "3", 3),
    (AGREE, " 3", 3),
    (AGREE, "3\t", 3),
    (AGREE, "\u00a03\n", 3),
    (AGREE, "3.0", 3),
    (AGREE, "3.", 3),
    (AGREE, "+3", 3),
    (AGREE, "03", 3),
    (AGREE, "", NONE),
    (AGREE, "  ", NONE),
    (AGREE, "3.5", UNKNOWN),
    (AGREE, "-3", UNKNOWN),
    (AGREE, "9", UNKNOWN),
    (AGREE, "3e0", UNKNOWN),
    (AGREE, "3,0", UNKNOWN),
    (AGREE, "nan", UNKNOWN),
    (AGREE, "NA", UNKNOWN),
    (AGREE, "None", UNKNOWN),
    (AGREE, "inf", UNKNOWN),
    (AGREE, "three", UNKNOWN),
    (AGREE, "True", UNKNOWN),
    (YES_NO, "1", 1),
    (YES_NO, "True", 1),
    (YES_NO, "false", 0),
    (YES_NO, "FALSE", 0),
    (YES_NO, "yes", UNKNOWN),
    (LABELLED, "Not true", 1),
    (LABELLED, " Sort of true ", 2),
    (LABELLED, "True", 3),
    (LABELLED, "Muy cierto", 4),
    (LABELLED, "not true", UNKNOWN),  # a label is matched as it is written
    (LABELLED, "Normal", UNKNOWN),  # Spanish for option 2, English for option 4: it does not say which
    (LABELLED, "Does not apply", NONE),
    (LABELLED, "8", NONE),
    (PERCENT, "73.5", 73.5),
    (PERCENT, ".5", 0.5),
    (PERCENT, "100", 100),
    (PERCENT, "100.1", UNKNOWN),
]
NUMBERS: list[tuple[Mapping[str, Any], Any, Any]] = [
    (AGREE, 3, 3),
    (AGREE, 3.0, 3),
    (AGREE, 3.5, UNKNOWN),
    (AGREE, 0, UNKNOWN),
    (AGREE, 9, UNKNOWN),
    (AGREE, 99, UNKNOWN),
    (AGREE, -9, UNKNOWN),
    (AGREE, math.inf, UNKNOWN),
    (AGREE, -math.inf, UNKNOWN),
    (AGREE, math.nan, NONE),
    (AGREE, None, NONE),
    (AGREE, True, UNKNOWN),
    (YES_NO, True, 1),
    (YES_NO, False, 0),
    (YES_NO, 1, 1),
    (LABELLED, True, UNKNOWN),  # not the label "True"
    (LABELLED, 8, NONE),
    (PERCENT, 0, 0),
    (PERCENT, 99.5, 99.5),
    (PERCENT, -0.5, UNKNOWN),
    (PERCENT, math.inf, UNKNOWN),
    (PERCENT, True, UNKNOWN),
]


def keyed(instrument: Any, frame: Any, column: str = "q") -> list[Any]:
    return to_columns(bind(instrument, frame).keyed().frame)[column]


def check(scale: Mapping[str, Any], frame: Any, expected: list[Any]) -> None:
    """The frame's only column is read as expected; anything unknown is an error that counts it."""
    instrument = one(scale)
    n_unknown = sum(e == UNKNOWN for e in expected)
    if n_unknown:
        with pytest.raises(UnknownCodeError) as error:
            bind(instrument, frame)
        assert error.value.details["counts"] == {"q": n_unknown}
        with pytest.warns(CodesAsMissingWarning, match=f"^{n_unknown} answer"):
            responses = bind(instrument, frame, unknown="missing")
    else:
        responses = bind(instrument, frame)
    assert to_columns(responses.keyed().frame)["q"] == [None if e == UNKNOWN else e for e in expected]


@pytest.mark.parametrize(("scale", "text", "expected"), TEXTS, ids=repr)
def test_text_is_read_alike_on_every_engine(
    constructor: Constructor, scale: Mapping[str, Any], text: str, expected: Any
) -> None:
    check(scale, constructor({"q": [text, None, text]}), [expected, None, expected])


@pytest.mark.parametrize(("scale", "value", "expected"), NUMBERS, ids=repr)
def test_number_is_read_alike_on_every_engine(
    constructor: Constructor, scale: Mapping[str, Any], value: Any, expected: Any
) -> None:
    check(scale, constructor({"q": [value, None, value]}), [expected, None, expected])


@pytest.mark.parametrize(("scale", "value", "expected"), [*TEXTS, *NUMBERS], ids=repr)
def test_value_by_value_rule_is_the_same(scale: Mapping[str, Any], value: Any, expected: Any) -> None:
    """The rule for columns of Python objects agrees with the table."""
    response_scale = one(scale).response_scales["r"]
    code = code_of(value, response_scale)
    if expected == UNKNOWN:
        low, high = response_scale.score_range
        known = low <= code <= high if response_scale.kind == "range" else code in response_scale.codes
        assert not known
        assert not math.isnan(code)
    elif expected is NONE:
        assert math.isnan(code) or code in response_scale.missing_codes
    else:
        assert code == expected


# --------------------------------------------------------------------------- types of each engine
def _polars(values: list[Any], dtype: Any) -> Any:
    import polars as pl

    return pl.DataFrame({"q": pl.Series(values, dtype=dtype)})


def _native_frames() -> dict[str, Callable[[], Any]]:
    """Columns that hold 1, nothing and 5 in every type that an engine has for it."""
    import duckdb
    import polars as pl
    import pyarrow as pa

    def arrow(array: Any) -> Any:
        return pa.table({"q": array})

    def sql(dtype: str) -> Any:
        return duckdb.sql(f"select * from (values (1, '1'::{dtype}), (2, null), (3, '5'::{dtype})) t(k, q) order by k")

    whole, text = [1, None, 5], ["1", None, "5"]
    frames: dict[str, Callable[[], Any]] = {
        "pandas float64": lambda: pd.DataFrame({"q": whole}),
        "pandas float32": lambda: pd.DataFrame({"q": pd.Series(whole, dtype="float32")}),
        "pandas object of numbers": lambda: pd.DataFrame({"q": pd.Series(whole, dtype=object)}),
        "pandas object of text": lambda: pd.DataFrame({"q": pd.Series(text, dtype=object)}),
        "pandas object of anything": lambda: pd.DataFrame({"q": pd.Series(["1 ", pd.NA, 5.0], dtype=object)}),
        "pandas object with NaN": lambda: pd.DataFrame({"q": pd.Series([np.int8(1), math.nan, "5"], dtype=object)}),
        "pandas object with NaT": lambda: pd.DataFrame({"q": pd.Series([1, pd.NaT, Decimal(5)], dtype=object)}),
        "pandas string": lambda: pd.DataFrame({"q": pd.Series(text, dtype="string")}),
        "pandas categorical of integers": lambda: pd.DataFrame({"q": pd.Categorical(whole)}),
        "pandas categorical of floats": lambda: pd.DataFrame({"q": pd.Categorical([1.0, None, 5.0])}),
        "pandas categorical of text": lambda: pd.DataFrame({"q": pd.Categorical(text)}),
        "pandas ordered categorical": lambda: pd.DataFrame({"q": pd.Categorical(text, list("54321"), ordered=True)}),
        "pandas non-unique index": lambda: pd.DataFrame({"q": whole}, index=[7, 7, 7]),
        "polars decimal": lambda: pl.DataFrame({"q": [Decimal(1), None, Decimal(5)]}),
        "polars string": lambda: _polars(text, pl.String),
        "polars categorical": lambda: _polars(text, pl.Categorical),
        "polars enum": lambda: _polars(text, pl.Enum(list("54321"))),
        "polars object": lambda: _polars([1, None, "5"], pl.Object),
        "polars lazy enum": lambda: _polars(text, pl.Enum(list("12345"))).lazy(),
        "arrow string": lambda: arrow(pa.array(text)),
        "arrow large string": lambda: arrow(pa.array(text, pa.large_string())),
        "arrow dictionary of text": lambda: arrow(pa.array(text).dictionary_encode()),
        "arrow dictionary of integers": lambda: arrow(pa.array(whole).dictionary_encode()),
        "arrow decimal": lambda: arrow(pa.array([Decimal(1), None, Decimal(5)])),
        "arrow chunks": lambda: arrow(pa.chunked_array([[1, None], [5]])),
        "duckdb enum": lambda: sql("enum('5', '1')"),
        "pandas arrow-backed": lambda: arrow(pa.array(whole)).to_pandas(types_mapper=pd.ArrowDtype),
        "pandas arrow-backed text": lambda: arrow(pa.array(text)).to_pandas(types_mapper=pd.ArrowDtype),
        "pandas arrow-backed dictionary of text": lambda: arrow(pa.array(text).dictionary_encode()).to_pandas(
            types_mapper=pd.ArrowDtype
        ),
        "pandas categorical with unused categories": lambda: pd.DataFrame(
            {"q": pd.Categorical(text, ["x", "1", "2", "5", " "])}
        ),
    }
    for name in ("Int8", "UInt8", "Int64", "UInt64", "Float32", "Float64"):
        frames[f"pandas {name}"] = lambda name=name: pd.DataFrame({"q": pd.Series(whole, dtype=name)})  # type: ignore[misc]
    for name in ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64"):
        frames[f"polars {name}"] = lambda name=name: _polars(whole, getattr(pl, name))  # type: ignore[misc]
        arrow_type = getattr(pa, name.lower())()
        frames[f"arrow {name}"] = lambda t=arrow_type: arrow(pa.array(whole, t))  # type: ignore[misc]
    for dtype in ("tinyint", "utinyint", "smallint", "integer", "bigint", "ubigint", "hugeint", "float", "double",
                  "decimal(5, 2)", "varchar"):  # fmt: skip
        frames[f"duckdb {dtype}"] = lambda dtype=dtype: sql(dtype)  # type: ignore[misc]
    return frames


NATIVE = _native_frames()


@pytest.mark.parametrize("name", NATIVE)
@pytest.mark.parametrize("key", [1, -1])
def test_every_column_type_is_read(name: str, key: int) -> None:
    instrument = build({"r": AGREE}, {"q": {"key": key}})
    expected = [1, None, 5] if key == 1 else [5, None, 1]
    assert keyed(instrument, NATIVE[name]()) == expected


@pytest.mark.parametrize("name", [n for n in NATIVE if "text" not in n and "string" not in n])
def test_codes_below_zero_do_not_wrap_around(name: str) -> None:
    """Declared codes -2 to 7 in a column of small or unsigned integers: reflection must not leave the type."""
    scale = {"kind": "agreement", "options": [{"value": k} for k in range(-2, 8)], "missing": []}
    instrument = build({"r": scale}, {"q": {"key": -1}})
    assert keyed(instrument, NATIVE[name]()) == [4, None, 0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: pd.DataFrame({"q": pd.to_datetime(["2026-01-01", "NaT"])}),
        lambda: pd.DataFrame({"q": [dt.date(2026, 1, 1), None]}),
        lambda: pd.DataFrame({"q": [[1, 2], None]}),
        lambda: pd.DataFrame({"q": pd.to_timedelta([1, 2], unit="s")}),
        lambda: CONSTRUCTORS["polars"]({"q": [dt.date(2026, 1, 1), None]}),
        lambda: CONSTRUCTORS["polars"]({"q": [[1], [2]]}),
        lambda: CONSTRUCTORS["polars_lazy"]({"q": [dt.time(1), None]}),
        lambda: CONSTRUCTORS["pyarrow"]({"q": [dt.datetime(2026, 1, 1), None]}),  # noqa: DTZ001
        lambda: CONSTRUCTORS["pyarrow"]({"q": [b"1", None]}),
        lambda: CONSTRUCTORS["duckdb"]({"q": [dt.date(2026, 1, 1), None]}),
    ],
)
def test_dates_and_lists_are_no_answers(make: Callable[[], Any]) -> None:
    with pytest.raises(NonNumericError, match="Item 'q'"):
        bind(one(AGREE), make())


def test_column_of_nothing_is_missing_everywhere(constructor: Constructor) -> None:
    responses = bind(one(AGREE), constructor({"q": [None, None]}))
    assert to_columns(responses.keyed().frame)["q"] == [None, None]
    assert responses.n_rows == 2


def test_frame_without_rows(constructor: Constructor) -> None:
    for values in ([1.5], [1], ["1"], [None]):
        frame = constructor({"q": values})
        empty = (
            frame.slice(0, 0) if hasattr(frame, "slice") else frame.limit(0) if hasattr(frame, "limit") else frame[:0]
        )
        responses = bind(one(AGREE), empty)
        assert responses.n_rows == 0
        assert to_columns(responses.keyed().frame)["q"] == []
    assert bind(one(AGREE), pd.DataFrame({"q": []})).n_rows == 0
    assert bind(one(AGREE), pd.DataFrame(columns=["q"])).n_rows == 0


def test_python_objects_keep_booleans_and_labels_apart() -> None:
    """True in a column of objects is a boolean, not the label "True" of option 3."""
    frame = pd.DataFrame({"q": pd.Series([True, None, "True"], dtype=object)})
    with pytest.raises(UnknownCodeError) as error:
        bind(one(LABELLED), frame)
    assert error.value.details == {"counts": {"q": 1}, "values": {"q": [True]}, "shifted": {}}
    assert keyed(one(YES_NO), pd.DataFrame({"q": pd.Series([True, None, np.bool_(False)], dtype=object)})) == [
        1,
        None,
        0,
    ]


def test_labels_that_are_numbers(constructor: Constructor) -> None:
    """Shown as 0 to 2, stored as 1 to 3: "2" may be the code 2 or the label of 3, and does not say which."""
    options = [{"value": k, "labels": {"en": str(k - 1), "es": str(k)}} for k in (1, 2, 3)]
    check({"kind": "degree", "options": options}, constructor({"q": ["0", "3", "2", "1"]}), [1, 3, UNKNOWN, UNKNOWN])


def test_objects_that_are_no_scalars_are_refused() -> None:
    assert code_of(math.inf, one(AGREE).response_scales["r"]) == NO_CODE
    with pytest.raises(NonNumericError, match="dict"):
        code_of({}, one(AGREE).response_scales["r"], "q")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=4), st.sampled_from(["1", "5", " 2", "3.0", "9"])), min_size=1))
def test_any_text_is_read_the_same_on_every_engine(texts: list[str | None]) -> None:
    """Whatever is in a text column, every engine agrees with the value-by-value rule."""
    texts = [None if t is None else t.replace("\x00", "") for t in texts]
    instrument = one(AGREE)
    scale = instrument.response_scales["r"]
    codes = [code_of(t, scale) for t in texts]
    expected = [c if c in scale.codes else None for c in codes]
    bad = sum(not math.isnan(c) and c not in scale.codes for c in codes)
    for name, make in CONSTRUCTORS.items():
        frame = make({"q": texts})
        if bad:
            with pytest.warns(CodesAsMissingWarning, match=f"^{bad} answer"):
                found = bind(instrument, frame, unknown="missing")
        else:
            found = bind(instrument, frame)
        assert to_columns(found.keyed().frame)["q"] == expected, name


@pytest.mark.parametrize("kind", ["text", "objects", "categories", "polars", "pyarrow"])
def test_labels_are_looked_up_once_each_not_in_every_row(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a column of labels costs hangs on its distinct labels, on every eager engine."""
    looked: list[Any] = []

    def counted(value: Any, *rest: Any) -> float:
        looked.append(value)
        return code_of(value, *rest)

    monkeypatch.setattr("relmeasure.responses.distinct.code_of", counted)
    texts = ["Not true", "Muy cierto", None, " Sort of true", ""] * 200
    frame: Any = pd.DataFrame({"q": pd.Series(texts, dtype=object if kind == "objects" else "string")})
    if kind == "categories":
        frame = frame.astype("category")
    elif kind in ("polars", "pyarrow"):
        frame = CONSTRUCTORS[kind]({"q": texts})
    assert keyed(one(LABELLED), frame) == [1, 4, None, 2, None] * 200
    assert sorted(looked) == ["", " Sort of true", "Muy cierto", "Not true"]
