"""Polychoric and mixed correlations of frames: every engine, declared and assumed categories, responses, weights."""

from __future__ import annotations

import json
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

from relmeasure.exceptions import (
    CategoriesAssumedWarning,
    ColumnNotFoundError,
    DataError,
    EmptyCategoryWarning,
    NonNumericError,
    OptionError,
    PairwiseDeletionWarning,
    RelmeasureError,
    RelmeasureWarning,
    TooFewItemsError,
    TooFewObservationsError,
    UnknownCodeError,
    UnsupportedDataError,
)
from relmeasure.instruments.catalog import load_instrument
from relmeasure.instruments.definition import Instrument
from relmeasure.responses.binding import bind
from relmeasure.responses.ordinal import as_tables, correlations, polychoric
from relmeasure.samplestats import (
    PolychoricResult,
    category_codes,
    contingency_tables,
    mixed_correlations,
    polychoric_from_codes,
    polychoric_from_tables,
)
from relmeasure.simulation import simulate
from tests.support import CONSTRUCTORS, Constructor, unchanged

SAME = 1e-9  # engines hand over the same integers; only the order of sums differs

CODES = (1, 2, 3, 4, 5)


def _columns(n: int = 200, *, missing: bool = True, age: bool = False) -> dict[str, list[Any]]:
    rng = np.random.default_rng(5)
    trait = rng.normal(size=n)
    columns: dict[str, list[Any]] = {}
    for k in range(4):
        answers: list[Any] = np.clip(np.rint(3 + trait + rng.normal(size=n)), 1, 5).astype(int).tolist()
        if missing:
            answers[7 * k + 3] = None
        columns[f"q{k + 1}"] = answers
    if age:
        columns["age"] = (15 + trait + rng.normal(size=n)).round(3).tolist()
    return columns


def _array(columns: dict[str, list[Any]]) -> np.ndarray:
    return np.array([[np.nan if v is None else v for v in values] for values in columns.values()], dtype=float).T


def _quiet(function: Any, *args: Any, **options: Any) -> PolychoricResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelmeasureWarning)
        found: PolychoricResult = function(*args, **options)
        return found


# --------------------------------------------------------------------------- engines
@pytest.mark.parametrize("options", [{}, {"acov": True}, {"missing": "listwise", "categories": CODES}])
def test_every_engine_gives_the_same_answer(constructor: Constructor, options: dict[str, Any]) -> None:
    """Frames of every engine, eager and lazy, and an array; nothing is changed."""
    columns = _columns()
    data = constructor(columns)
    with unchanged(data):
        result = _quiet(polychoric, data, **options)
    reference = _quiet(polychoric, CONSTRUCTORS["pandas"](columns), **options)
    assert result.equals(reference, rtol=SAME, atol=1e-12)
    named = {f"x{k + 1}": values for k, values in enumerate(columns.values())}
    array = _quiet(polychoric, _array(columns), **options)
    assert array.equals(_quiet(polychoric, CONSTRUCTORS["pandas"](named), **options), rtol=SAME, atol=1e-12)


def test_array_level_is_the_same() -> None:
    """The frame function adds nothing but names, warnings and provenance."""
    columns = _columns()
    result = _quiet(polychoric, CONSTRUCTORS["polars"](columns), categories=CODES, acov=True)
    codes = category_codes(_array(columns), list(columns), [CODES] * 4)
    plain = _quiet(polychoric_from_codes, codes, list(columns), categories=[CODES] * 4, acov=True)
    np.testing.assert_array_equal(result.correlation, plain.correlation)
    np.testing.assert_array_equal(result.acov, plain.acov)
    assert result.names == ("q1", "q2", "q3", "q4")
    assert result.provenance is not None
    assert result.provenance.function == "polychoric"
    assert result.provenance.n_rows == 200


def test_mixed_on_every_engine(constructor: Constructor) -> None:
    """An age beside four items: polyserial, whatever the frame."""
    columns = _columns(age=True)
    options: dict[str, Any] = {"categories": {f"q{k}": CODES for k in range(1, 5)}, "acov": True}
    result = _quiet(correlations, constructor(columns), **options)
    plain = _quiet(mixed_correlations, _array(columns), list(columns), categories=[CODES] * 4 + [None], acov=True)
    np.testing.assert_allclose(result.correlation, plain.correlation, atol=SAME)
    np.testing.assert_allclose(result.acov, plain.acov, atol=SAME)  # type: ignore[arg-type]
    assert result.kinds == ("ordered",) * 4 + ("continuous",)


@pytest.mark.parametrize("engine", list(CONSTRUCTORS))
def test_weights_in_a_column(engine: str) -> None:
    """A column of weights is no item; it weighs as an array does."""
    columns = _columns()
    w = np.random.default_rng(3).uniform(0.5, 2, 200)
    weighted = _quiet(polychoric, CONSTRUCTORS[engine]({**columns, "w": w.tolist()}), weights="w", acov=True)
    plain = _quiet(polychoric, CONSTRUCTORS["pandas"](columns), weights=w, acov=True)
    np.testing.assert_allclose(weighted.estimates, plain.estimates, atol=SAME)
    np.testing.assert_allclose(weighted.acov, plain.acov, atol=SAME)  # type: ignore[arg-type]
    assert weighted.names == ("q1", "q2", "q3", "q4")


def test_batches_of_a_lazy_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame read in small batches gives the statistic of the whole."""
    columns = _columns()
    reference = _quiet(polychoric, CONSTRUCTORS["pandas"](columns), acov=True)
    monkeypatch.setattr("relmeasure.responses.matrices._BATCH_VALUES", 4 * 30)
    for engine in ("polars_lazy", "duckdb"):
        result = _quiet(polychoric, CONSTRUCTORS[engine](columns), acov=True)
        assert result.equals(reference, rtol=SAME, atol=1e-12)


# --------------------------------------------------------------------------- categories
def test_assumed_categories_are_said() -> None:
    """A plain frame uses the values seen, names them, and keeps the warning."""
    columns = _columns(missing=False)
    with pytest.warns(CategoriesAssumedWarning, match="q1: 1, 2, 3, 4, 5") as caught:
        result = polychoric(CONSTRUCTORS["pandas"](columns))
    assert caught[0].filename == __file__
    assert [note.code for note in result.warnings] == ["categories-assumed"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert polychoric(CONSTRUCTORS["pandas"](columns), categories=CODES).warnings == ()


def test_some_categories_declared() -> None:
    """A mapping declares some items; the others are assumed."""
    columns = _columns(missing=False)
    with pytest.warns(CategoriesAssumedWarning, match="2 item"):
        result = polychoric(CONSTRUCTORS["pandas"](columns), categories={"q1": CODES, "q3": range(1, 6)})
    assert result.tables is not None
    assert result.tables.categories[0] == (1.0, 2.0, 3.0, 4.0, 5.0)


def test_declared_category_that_nobody_chose() -> None:
    """Pitfall 4.15: it stays a category, and the thresholds keep their numbers."""
    columns = _columns(missing=False)
    columns["q1"] = [2 if v == 1 else v for v in columns["q1"]]
    with pytest.warns(EmptyCategoryWarning, match="q1: 1"):
        result = polychoric(CONSTRUCTORS["pandas"](columns), categories=CODES)
    assert result.threshold_numbers["q1"] == (2, 3, 4)


def test_unknown_codes_are_errors() -> None:
    """Pitfall 4.5: a 99 is not a category."""
    columns = _columns(missing=False)
    columns["q2"][5] = 99
    with pytest.raises(UnknownCodeError, match=r"q2: 99 \(1 times\)"):
        polychoric(CONSTRUCTORS["pandas"](columns), categories=CODES)


def test_continuous_columns_are_not_ordered() -> None:
    """Fractions, or many values, are refused with the way out."""
    columns = _columns(age=True)
    with pytest.raises(UnsupportedDataError, match=r"age has \d+ distinct values.*correlations"):
        _quiet(polychoric, CONSTRUCTORS["pandas"](columns))
    columns["age"] = list(range(200))
    with pytest.raises(UnsupportedDataError, match="age has 200"):
        _quiet(polychoric, CONSTRUCTORS["pandas"](columns))
    many = _quiet(
        polychoric,
        CONSTRUCTORS["pandas"]({**columns, "age": [v % 30 for v in range(200)]}),
        categories={"age": range(30)},
    )
    assert len(many.thresholds["age"]) == 29


# --------------------------------------------------------------------------- responses
def test_responses_bring_their_categories() -> None:
    """Keyed values in declared order; a reversed item and a descending code are turned, as scores are."""
    instrument = load_instrument("relationship-student")
    frame = simulate(instrument, n_clusters=10, cluster_size=30, rng=2)
    responses = bind(instrument, frame)
    result = _quiet(polychoric, responses, missing="listwise")
    assert result.names == responses.items
    assert result.provenance is not None
    assert result.provenance.instrument == instrument.label
    assert not any(note.code == "categories-assumed" for note in result.warnings)
    assert _quiet(polychoric, responses.keyed(), missing="listwise").equals(result)
    keyed = {item: [None if v != v else float(v) for v in responses.keyed().frame[item]] for item in responses.items}
    plain = _quiet(polychoric, CONSTRUCTORS["pandas"](keyed), missing="listwise")
    np.testing.assert_allclose(plain.correlation, result.correlation, atol=SAME)
    assert result.tables is not None
    for item, codes in zip(result.names, result.tables.categories, strict=True):
        assert codes == tuple(sorted(set(instrument.keyed_values(item).values())))
    with pytest.raises(UnsupportedDataError, match="leave out categories"):
        polychoric(responses, categories=CODES)
    auto = _quiet(correlations, responses, missing="listwise")
    np.testing.assert_array_equal(auto.correlation, result.correlation)
    assert auto.provenance is not None
    assert "ordered: " in auto.provenance.steps[0]


def test_weighted_responses_and_ranges() -> None:
    """A weight column stands beside bound items; answers on a range are continuous, and refused as ordered."""
    base = load_instrument("relationship-student")
    frame = simulate(base, n_clusters=10, cluster_size=30, missing=0.0, rng=3)
    frame["w"] = np.linspace(0.5, 1.5, len(frame))
    weighted = _quiet(polychoric, bind(base, frame), weights="w")
    assert weighted.names == bind(base, frame).items
    assert weighted.tables is not None
    assert weighted.tables.weighted
    with pytest.raises(ColumnNotFoundError, match="weight"):
        polychoric(bind(base, frame), weights="weight")
    ranged = Instrument.model_validate(
        {
            "schema_version": 1, "id": "mixed", "version": "1.0", "status": "draft", "kind": "structure_only",
            "title": {"en": "Mixed"}, "reporter": "student", "target": "teacher", "licence": {"id": "public_domain"},
            "citation": "none",
            "response_scales": {
                "agree": {"kind": "agreement", "options": [{"value": k} for k in CODES]},
                "slider": {"kind": "range", "minimum": 0, "maximum": 100},
            },
            "items": [
                *({"id": f"q{k}", "response_scale": "agree", "key": -1 if k == 2 else 1} for k in range(1, 5)),
                {"id": "age", "response_scale": "slider"},
            ],
            "scales": [{"id": "items", "items": ["q1", "q2", "q3", "q4"]}, {"id": "years", "items": ["age"]}],
        }
    )  # fmt: skip
    columns = _columns(age=True)
    responses = bind(ranged, CONSTRUCTORS["polars"](columns))
    with pytest.raises(UnsupportedDataError, match="age: answers on a range"):
        polychoric(responses)
    mixed = _quiet(correlations, responses, missing="listwise")
    assert mixed.kinds == ("ordered",) * 4 + ("continuous",)
    plain = _quiet(correlations, CONSTRUCTORS["pandas"](columns), missing="listwise")
    sign = np.array([1, -1, 1, 1, 1])
    np.testing.assert_allclose(mixed.correlation, plain.correlation * np.outer(sign, sign), atol=1e-9)


def test_empty_lazy_frame() -> None:
    """No rows at all: a typed error, from every kind of reading."""
    columns: dict[str, list[Any]] = {"q1": [1.0], "q2": [2.0]}
    for engine in ("polars_lazy", "pandas"):
        data = CONSTRUCTORS[engine](columns)
        empty = data.head(0) if engine == "pandas" else data.filter(False)
        with pytest.raises(TooFewObservationsError):
            _quiet(polychoric, empty, categories=CODES)


# --------------------------------------------------------------------------- statistics in, statistics out
def test_statistics_come_back() -> None:
    """A result is returned as it is; tables are estimated; only rows give the covariance."""
    columns = _columns()
    tables = contingency_tables(
        category_codes(_array(columns), list(columns), [CODES] * 4), list(columns), categories=[CODES] * 4
    )
    result = _quiet(polychoric, tables)
    assert polychoric(result) is result
    assert correlations(result) is result
    np.testing.assert_array_equal(result.correlation, _quiet(polychoric_from_tables, tables).correlation)
    np.testing.assert_array_equal(_quiet(correlations, tables).correlation, result.correlation)
    with pytest.raises(UnsupportedDataError, match="needs the rows"):
        polychoric(tables, acov=True)
    with pytest.raises(UnsupportedDataError, match="hand in the rows"):
        correlations(tables, "pearson")
    same, raised = as_tables(tables)
    assert same is tables
    assert raised == ()
    made, raised = as_tables(CONSTRUCTORS["polars_lazy"]({**columns, "g": ["a"] * 200}), exclude=["g", None])
    np.testing.assert_array_equal(made.joint, tables.joint)
    assert isinstance(raised[0], CategoriesAssumedWarning)


# --------------------------------------------------------------------------- correlations
def test_what_is_picked() -> None:
    """auto goes by declaration; without one, few whole values are ordered, with a warning; it says what it picked."""
    data = CONSTRUCTORS["pandas"](_columns(missing=False, age=True))
    with pytest.warns(CategoriesAssumedWarning, match="4 item"):
        result = correlations(data)
    assert result.kinds == ("ordered",) * 4 + ("continuous",)
    assert result.provenance is not None
    assert result.provenance.steps == ("kind='auto': ordered: q1, q2, q3, q4; continuous: age",)
    assert result.method("q1", "age") == "polyserial"
    with pytest.warns(CategoriesAssumedWarning, match="1 item"):
        one = correlations(data, ordered=["q2"])
    assert one.kinds == ("continuous", "ordered", "continuous", "continuous", "continuous")
    assert one.method("q1", "q3") == "pearson"
    none = correlations(data, ordered=False)
    np.testing.assert_allclose(none.correlation, np.corrcoef(data.to_numpy().T), atol=1e-12)
    np.testing.assert_array_equal(correlations(data, "pearson").correlation, none.correlation)
    declared = correlations(data, categories={"q1": CODES})
    assert declared.kinds == ("ordered",) + ("continuous",) * 4
    with pytest.warns(CategoriesAssumedWarning, match="1 item"):
        both = correlations(data, ordered=["q1", "q2"], categories={"q1": CODES})
    assert both.kinds[:2] == ("ordered", "ordered")
    items = data.drop(columns="age")
    every = _quiet(correlations, items, ordered=True)
    np.testing.assert_array_equal(every.correlation, _quiet(correlations, items, "polychoric").correlation)


def test_options_of_correlations() -> None:
    """A kind that does not exist, and contradictions."""
    data = CONSTRUCTORS["pandas"](_columns(missing=False))
    with pytest.raises(OptionError, match="'auto', 'polychoric', 'pearson'"):
        correlations(data, "spearman")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="ordered="):
        correlations(data, "pearson", ordered=["q1"])
    with pytest.raises(ColumnNotFoundError, match="q9"):
        correlations(data, ordered=["q9"])
    with pytest.raises(ColumnNotFoundError, match="q9"):
        correlations(data, categories={"q9": CODES})


# --------------------------------------------------------------------------- nonsense and manners
@pytest.mark.parametrize("data", [None, "answers.csv", {"q1": [1, 2]}, 3, [object()], np.zeros(3)])
def test_things_that_are_not_data(data: Any) -> None:
    """None, a path, a dict, a number, objects, a vector."""
    for function in (polychoric, correlations):
        with pytest.raises(RelmeasureError):
            function(data)


def test_columns_that_are_not_answers() -> None:
    """Text, infinite values, a single item, wrong categories and weights."""
    columns = _columns(missing=False)
    with pytest.raises(NonNumericError, match="q1"):
        polychoric(CONSTRUCTORS["pandas"]({**columns, "q1": ["often"] * 200}))
    with pytest.raises(NonNumericError):
        polychoric(CONSTRUCTORS["pandas"]({**columns, "q1": [np.inf] * 200}))
    with pytest.raises(TooFewItemsError):
        _quiet(polychoric, CONSTRUCTORS["pandas"]({"q1": columns["q1"]}))
    with pytest.raises(TooFewItemsError):
        _quiet(correlations, CONSTRUCTORS["pandas"]({"q1": columns["q1"]}))
    with pytest.raises(DataError, match="takes numbers"):
        polychoric(CONSTRUCTORS["pandas"](columns), categories=["low", "high"])  # type: ignore[list-item]
    with pytest.raises(ColumnNotFoundError, match="weight"):
        polychoric(CONSTRUCTORS["pandas"](columns), weights="weight")
    with pytest.raises(UnsupportedDataError, match="names a column"):
        polychoric(_array(columns), weights="w")
    with pytest.raises(UnsupportedDataError, match="lazy"):
        polychoric(CONSTRUCTORS["polars_lazy"](columns), weights=np.ones(200))
    with pytest.raises(DataError):
        polychoric(CONSTRUCTORS["pandas"](columns), weights=np.ones(3), categories=CODES)


@pytest.mark.parametrize("function", [polychoric, correlations])
def test_result_keeps_its_warnings_and_comes_back(function: Any) -> None:
    """Everything said is kept, said once, at the caller's line; JSON and pickle hold the result."""
    data = CONSTRUCTORS["pandas"](_columns())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = function(data)
    said = [w.message.message for w in caught if isinstance(w.message, RelmeasureWarning)]
    assert sorted(said) == sorted(note.message for note in result.warnings)
    assert {type(w.message) for w in caught} == {CategoriesAssumedWarning, PairwiseDeletionWarning}
    assert all(w.filename == __file__ for w in caught)
    assert type(result).from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False))).equals(result)
    assert pickle.loads(pickle.dumps(result)).equals(result)
    assert result.summary()
