"""From frames of every engine to moments and counts."""

from __future__ import annotations

import datetime as dt
import warnings
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

import relmeasure as rm
from relmeasure.exceptions import (
    CodesAsMissingWarning,
    ColumnNotFoundError,
    DataError,
    DuplicateColumnError,
    FewItemsWarning,
    IncompatibleStatisticsError,
    ListwiseDeletionWarning,
    NonNumericError,
    OptionError,
    PairwiseDeletionWarning,
    UnknownCodeError,
    UnsupportedDataError,
)
from relmeasure.responses import matrices
from relmeasure.responses.binding import bind
from relmeasure.responses.intake import as_moments, item_counts, moments, scale_moments
from relmeasure.samplestats.estimates import MomentEstimate
from relmeasure.samplestats.moments import MomentSums, moment_sums
from tests.responses.builders import AGREE, LABELLED, PERCENT, YES_NO, build
from tests.support import CONSTRUCTORS, LAZY, Columns, Constructor, unchanged

RTOL = 1e-12
"""Sums over blocks of other sizes differ in the last places."""

NAMES = ("a", "b", "c")


def rows(n: int = 60, missing: float = 0.1, seed: int = 1) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    values = rng.integers(1, 6, (n, 3)).astype(float)
    values[rng.random(values.shape) < missing] = np.nan
    return values


def columns(values: np.ndarray[Any, Any]) -> dict[str, list[Any]]:
    return {name: [None if np.isnan(v) else v for v in values[:, k]] for k, name in enumerate(NAMES)}


def same(found: MomentSums, expected: MomentSums) -> bool:
    return found.equals(expected, rtol=RTOL, atol=1e-12)


# --------------------------------------------------------------------------- published matrices
def test_a_published_matrix_with_its_n_stands_in_for_rows() -> None:
    x = rows(missing=0.0) + 2.0 * rows(missing=0.0, seed=2)[:, :1]
    cov = np.cov(x.T)
    published, summed = as_moments((cov, len(x))), as_moments(x)
    np.testing.assert_allclose(published.cov, summed.cov, rtol=1e-12)
    np.testing.assert_allclose(published.cor, summed.cor, rtol=0, atol=1e-12)
    assert published.rule == "published covariance matrix, N = 60"
    assert np.isnan(published.mean).all()
    assert rm.alpha((cov, 60)).estimate == pytest.approx(rm.alpha(x).estimate, rel=1e-10)
    with pytest.warns(FewItemsWarning):
        assert rm.omega((cov, 60)).estimate == pytest.approx(rm.omega(x).estimate, rel=1e-8)
    np.testing.assert_allclose(rm.guttman((cov, 60)).to_frame()["estimate"], rm.guttman(x).to_frame()["estimate"])
    assert rm.alpha((cov, 60)).lower == pytest.approx(rm.alpha(x).lower, rel=1e-10)
    assert rm.kmo((cov, 60)).overall == pytest.approx(rm.kmo(x).overall, rel=1e-10)
    assert rm.bartlett((cov, 60)).chisq == pytest.approx(rm.bartlett(x).chisq, rel=1e-10)
    estimate = MomentEstimate.from_matrix(cov, 60, NAMES, mean=x.mean(axis=0))
    assert rm.alpha(estimate).estimate == pytest.approx(rm.alpha(x).estimate, rel=1e-10)


def test_moments_that_are_no_sums_cannot_be_added() -> None:
    published = as_moments((np.eye(3), 60))
    with pytest.raises(IncompatibleStatisticsError, match="published"):
        published + published


def test_what_a_matrix_cannot_give_is_said() -> None:
    with pytest.raises(UnsupportedDataError, match="thresholds"):
        rm.polychoric((np.eye(3), 60))
    with pytest.raises(UnsupportedDataError, match="ordinal_reliability"):
        rm.alpha(rm.polychoric(rows(missing=0.0), categories=range(1, 6)))
    with pytest.raises(UnsupportedDataError, match="tuple"):
        rm.alpha((np.eye(3),))
    with pytest.raises(DataError, match="number of rows"):
        rm.alpha((np.eye(3), 0))


def test_polychoric_correlations_feed_kmo_and_bartlett() -> None:
    latent = rm.polychoric(rows(missing=0.0), categories=range(1, 6))
    pair = (np.array(latent.correlation), 60)
    assert rm.kmo(latent).overall == rm.kmo(pair).overall
    assert latent.tables is not None
    assert rm.bartlett(latent.tables).chisq == pytest.approx(rm.bartlett(pair).chisq)


# --------------------------------------------------------------------------- moments of plain frames
@pytest.mark.parametrize("missing", ["listwise", "pairwise"])
def test_every_engine_gives_the_moments_of_the_array(constructor: Constructor, missing: Any) -> None:
    values = rows()
    frame = constructor(columns(values))
    with unchanged(frame):
        found = as_moments(frame, missing=missing)
    assert same(found, moment_sums(values, NAMES, missing=missing))


def test_lazy_frames_are_folded_batch_by_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    values = rows(5000)
    monkeypatch.setattr(matrices, "_BATCH_VALUES", 600)
    for make in LAZY.values():
        found = as_moments(make(columns(values)), missing="pairwise")
        assert same(found, moment_sums(values, NAMES, missing="pairwise"))


def test_moments_come_back_unchanged() -> None:
    m = moment_sums(rows(), NAMES)
    assert as_moments(m, missing="pairwise") is m
    assert moments(m) is m


def test_columns_of_an_array_are_numbered() -> None:
    values = rows()
    assert same(as_moments(values), moment_sums(values, ("x1", "x2", "x3")))
    assert same(as_moments(values.astype(object)), moment_sums(values, ("x1", "x2", "x3")))
    with pytest.raises(UnsupportedDataError, match="2 dimensions"):
        as_moments(values[:, 0])
    with pytest.raises(NonNumericError, match="no numbers"):
        as_moments(np.array([["a", 1], ["b", 2]], dtype=object))
    with pytest.raises(NonNumericError):
        as_moments(np.array([["a", "b"]]))


def test_types_that_hold_numbers(constructor: Constructor) -> None:
    frame = constructor({"i": [1, 2, 4], "f": [1.5, None, 2.0], "t": [True, False, True], "n": [None, None, None]})
    found = as_moments(frame, missing="pairwise")
    np.testing.assert_array_equal(found.n_item, [3, 2, 3, 0])
    np.testing.assert_allclose(found.mean, [7 / 3, 1.75, 2 / 3, 0.0])


def test_python_objects_that_are_numbers() -> None:
    frame = pd.DataFrame({"a": pd.Series([1, Decimal("2.5"), None, pd.NA, True], dtype=object), "b": [1, 2, 3, 4, 5]})
    found = as_moments(frame, missing="pairwise")
    assert found.n_item.tolist() == [3, 5]
    assert found.mean[0] == 1.5


@pytest.mark.parametrize(
    "values",
    [["1", "2"], ["x", None], [dt.date(2026, 1, 1), None], [[1], [2]]],
    ids=["text of digits", "text", "dates", "lists"],
)
def test_other_columns_are_named(constructor: Constructor, values: list[Any]) -> None:
    with pytest.raises(NonNumericError, match=r"'b' \(.*cluster=") as error:
        as_moments(constructor({"a": [1, 2], "b": values}))
    assert error.value.details["columns"] == ["b"]


def test_categories_are_no_numbers() -> None:
    for frame in (
        pd.DataFrame({"a": [1, 2], "b": pd.Categorical([1, 2])}),
        pd.DataFrame({"a": [1, 2], "b": pd.Series(["1", 2], dtype=object)}),
    ):
        with pytest.raises(NonNumericError, match="1 column does"):
            as_moments(frame)


def test_infinite_values_are_refused(constructor: Constructor) -> None:
    with pytest.raises(NonNumericError, match="infinite"):
        as_moments(constructor({"a": [1.0, float("inf")], "b": [1.0, 2.0]}))


def test_columns_that_are_no_items(constructor: Constructor) -> None:
    data = {**columns(rows()), "class_id": ["x"] * 60, "wave": [1] * 60}
    found = as_moments(constructor(data), exclude=("class_id", None, "wave"))
    assert same(found, moment_sums(rows(), NAMES))
    with pytest.raises(ColumnNotFoundError, match="Did you mean 'class_id'"):
        as_moments(constructor(data), exclude=("classid",))


def test_weights_as_a_column_or_an_array(constructor: Constructor) -> None:
    values, w = rows(), np.linspace(0.5, 2.0, 60)
    expected = moment_sums(values, NAMES, weights=w)
    frame = constructor({**columns(values), "w": w.tolist()})
    assert same(as_moments(frame, weights="w"), expected)
    bare = constructor(columns(values))
    if constructor in LAZY.values():
        with pytest.raises(UnsupportedDataError, match="name of a column"):
            as_moments(bare, weights=w)
    else:
        assert same(as_moments(bare, weights=w), expected)
    with pytest.raises(ColumnNotFoundError):
        as_moments(bare, weights="w")
    with pytest.raises(UnsupportedDataError, match="names a column"):
        as_moments(values, weights="w")


def test_weights_with_gaps_are_refused(constructor: Constructor) -> None:
    with pytest.raises(DataError, match="1 of 2"):
        as_moments(constructor({"a": [1, 2], "b": [1, 2], "w": [1.0, None]}), weights="w")


def test_frames_without_rows(constructor: Constructor) -> None:
    frame = constructor({"a": [1], "b": [2.5]})
    empty = frame.slice(0, 0) if hasattr(frame, "slice") else frame.limit(0) if hasattr(frame, "limit") else frame[:0]
    found = as_moments(empty)
    assert (found.n_rows, found.n_obs) == (0, 0)
    assert (found + as_moments(frame)).n_rows == 1


def test_wrong_input() -> None:
    with pytest.raises(OptionError, match="'casewise'"):
        as_moments(rows(), missing="casewise")  # type: ignore[arg-type]
    with pytest.raises(UnsupportedDataError, match="dict"):
        as_moments({"a": [1]})
    with pytest.raises(DuplicateColumnError):
        as_moments(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(UnsupportedDataError, match="levels"):
        as_moments(pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])))


def test_numbered_pandas_columns_get_names() -> None:
    assert as_moments(pd.DataFrame([[1, 2], [3, 5]])).names == ("0", "1")


# --------------------------------------------------------------------------- what is said about missing answers
def test_dropped_rows_are_counted_aloud(constructor: Constructor) -> None:
    """Pitfall 4.6: a listwise drop with its N hidden."""
    frame = constructor({"a": [1, 2, None, 4], "b": [1, None, 3, 5]})
    with pytest.warns(ListwiseDeletionWarning, match="2 of 4 rows") as caught:
        found = moments(frame)
    assert caught[0].filename == __file__
    assert (found.n_obs, found.n_rows) == (2, 4)
    assert [note.code for note in found.notes] == ["listwise-deletion"]
    with pytest.warns(PairwiseDeletionWarning, match="2 to 3 of 4 rows"):
        assert moments(frame, missing="pairwise").n_obs == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert moments(constructor({"a": [1, 2], "b": [3, 5]})).notes == ()


# --------------------------------------------------------------------------- moments of keyed items
KEYED: Columns = {
    "q1": [1, 2, 5, None, 4],
    "q2": [5, 4, 1, 2, 3],
    "q3": [2, 2, 4, 4, None],
    "w": [1.0, 2.0, 1.0, 1.0, 3.0],
}
INSTRUMENT = build(
    items={"q1": {}, "q2": {"key": -1}, "q3": {}},
    scales=[
        {"id": "x", "items": ["q1", "q2"]},
        {"id": "y", "items": ["q3"]},
        {"id": "all", "subscales": ["y", "x"], "scoring": {"method": "mean_of_subscales"}},
    ],
)
TURNED = np.array([[1, 1, 2], [2, 2, 2], [5, 5, 4], [np.nan, 4, 4], [4, 3, np.nan]])


def test_moments_of_each_scale_from_one_reading(constructor: Constructor) -> None:
    found = scale_moments(INSTRUMENT, constructor(KEYED))
    assert list(found) == ["x", "y", "all"]
    assert same(found["x"], moment_sums(TURNED[:, :2], ("q1", "q2")))
    assert same(found["y"], moment_sums(TURNED[:, 2:], ("q3",)))
    assert same(found["all"], moment_sums(TURNED[:, [2, 0, 1]], ("q3", "q1", "q2")))


def test_moments_of_some_scales_with_weights(constructor: Constructor) -> None:
    found = scale_moments(INSTRUMENT, constructor(KEYED), ["all"], missing="pairwise", weights="w")
    w = np.array([1.0, 2.0, 1.0, 1.0, 3.0])
    expected = moment_sums(TURNED[:, [2, 0, 1]], ("q3", "q1", "q2"), missing="pairwise", weights=w)
    assert list(found) == ["all"]
    assert same(found["all"], expected)
    if constructor in LAZY.values():
        with pytest.raises(UnsupportedDataError, match="name of a column"):
            scale_moments(INSTRUMENT, constructor(KEYED), weights=w)
    else:
        again = scale_moments(INSTRUMENT, constructor(KEYED), ["all"], missing="pairwise", weights=w)
        assert same(again["all"], expected)
    with pytest.raises(OptionError):
        scale_moments(INSTRUMENT, constructor(KEYED), missing="none")  # type: ignore[arg-type]


def test_weights_beside_responses_may_bear_any_name_but_must_be_numbers(constructor: Constructor) -> None:
    made = build({"r": AGREE}, ("weights", "b"))
    x, w = [[1, 3, 2], [4, 3, 1]], [1.0, 2.5, 0.5]
    responses = bind(made, constructor({"weights": x[0], "b": x[1], "w": w, "who": ["x", "y", "z"]}))
    assert same(as_moments(responses, weights="w"), moment_sums(np.array(x).T, ("weights", "b"), weights=np.array(w)))
    for call in (
        lambda name: as_moments(responses, weights=name),
        lambda name: scale_moments(made, responses, weights=name),
    ):
        with pytest.raises(ColumnNotFoundError, match="v"):
            call("v")
        with pytest.raises(NonNumericError, match="weights='who'"):
            call("who")


def test_raw_and_keyed_responses_give_the_same_moments(constructor: Constructor) -> None:
    responses = bind(INSTRUMENT, constructor(KEYED))
    expected = moment_sums(TURNED, ("q1", "q2", "q3"))
    assert same(as_moments(responses), expected)
    assert same(as_moments(responses.keyed()), expected)
    weighted = as_moments(responses, weights="w")
    assert same(weighted, moment_sums(TURNED, ("q1", "q2", "q3"), weights=np.array([1.0, 2.0, 1.0, 1.0, 3.0])))
    assert same(scale_moments(INSTRUMENT, responses.keyed())["x"], moment_sums(TURNED[:, :2], ("q1", "q2")))


def test_unknown_codes_on_the_way(constructor: Constructor) -> None:
    frame = constructor({"q1": [1, 9], "q2": [1, 2], "q3": [1, 2]})
    with pytest.raises(UnknownCodeError):
        scale_moments(INSTRUMENT, frame)
    with pytest.warns(CodesAsMissingWarning):
        assert scale_moments(INSTRUMENT, frame, unknown="missing")["x"].n_obs == 1


def test_scales_without_rows(constructor: Constructor) -> None:
    frame = constructor({"q1": [1], "q2": [2], "q3": [3]})
    empty = frame.slice(0, 0) if hasattr(frame, "slice") else frame.limit(0) if hasattr(frame, "limit") else frame[:0]
    assert scale_moments(INSTRUMENT, empty)["all"].n_rows == 0


# --------------------------------------------------------------------------- counts
def test_counts_of_codes_ranges_and_missing_answers(constructor: Constructor) -> None:
    response_scales = {"t": LABELLED, "p": PERCENT, "b": YES_NO}
    items: dict[str, dict[str, Any]] = {
        "t": {"response_scale": "t", "key": -1},
        "p": {"response_scale": "p"},
        "b": {"response_scale": "b"},
    }
    frame = constructor(
        {
            "t": ["True", "True", "8", "nonsense", None],
            "p": [0, 100, 55.5, 100, 7],
            "b": [True, False, None, True, None],
        }
    )
    with pytest.warns(CodesAsMissingWarning):
        table = item_counts(build(response_scales, items, scales=[]), frame, unknown="missing")
    found = [
        (r["item"], r["code"], None if np.isnan(r["keyed"]) else r["keyed"], r["reason"], r["n"]) for r in table.rows()
    ]
    assert found == [
        ("t", 1, 4, None, 0),
        ("t", 2, 3, None, 0),
        ("t", 3, 2, None, 2),
        ("t", 4, 1, None, 0),
        ("t", 8, None, "not_applicable", 1),
        ("t", None, None, "skipped", 1),
        ("t", None, None, "invalid", 1),
        ("p", 0, 0, None, 1),
        ("p", 100, 100, None, 2),
        ("p", None, None, None, 2),
        ("p", None, None, "skipped", 0),
        ("b", 0, 0, None, 1),
        ("b", 1, 1, None, 2),
        ("b", None, None, "skipped", 2),
    ]
    assert list(table.columns) == ["item", "code", "keyed", "reason", "n"]


def test_counts_of_responses_and_of_no_rows() -> None:
    instrument = build({"r": AGREE}, ["q1"])
    responses = bind(instrument, pd.DataFrame({"q1": [1, 5, 5]}))
    assert item_counts(instrument, responses)["n"] == (1, 0, 0, 0, 2, 0)
    assert item_counts(instrument, responses.keyed())["n"] == (1, 0, 0, 0, 2, 0)
    assert item_counts(instrument, pd.DataFrame({"q1": []}))["n"] == (0, 0, 0, 0, 0, 0)
    turned = build({"r": PERCENT}, {"q1": {"key": -1}})
    assert item_counts(turned, CONSTRUCTORS["polars"]({"q1": [0.0, 3.0]}))["keyed"][:2] == (100.0, 0.0)
