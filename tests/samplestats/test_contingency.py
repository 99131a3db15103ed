"""Contingency tables: counts against a loop and R, addition, categories that stay, weights, nonsense."""

from __future__ import annotations

import json
import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmeasure.exceptions import (
    DataError,
    DuplicateColumnError,
    IncompatibleStatisticsError,
    NonNumericError,
    OptionError,
    UnknownCodeError,
    UnsupportedDataError,
)
from relmeasure.samplestats import ContingencyTables, category_codes, contingency_tables, observed_categories
from relmeasure.samplestats.contingency import item_pairs

NAMES = ["a", "b", "c", "d"]
CATEGORIES = [(0, 1, 2), (0, 1), (0, 1, 2, 3, 4), (0, 1, 2)]


def _codes(seed: int = 0, n: int = 300, share: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    codes = np.column_stack([rng.integers(0, len(c), n) for c in CATEGORIES])
    codes[rng.random(codes.shape) < share] = -1
    return codes


def _by_hand(codes: np.ndarray, i: int, j: int, weights: np.ndarray | None = None) -> np.ndarray:
    out = np.zeros((len(CATEGORIES[i]), len(CATEGORIES[j])))
    for row, w in zip(codes, np.ones(len(codes)) if weights is None else weights, strict=True):
        if row[i] >= 0 and row[j] >= 0:
            out[row[i], row[j]] += w
    return out


@pytest.mark.parametrize("n", [0, 1, 300, 40_000])
def test_every_pair_counts_like_a_loop(n: int) -> None:
    """More rows than a block, fewer, and none."""
    codes = _codes(n=n)
    tables = contingency_tables(codes, NAMES, categories=CATEGORIES)
    counts = Counter(
        (i, j, int(row[i]), int(row[j]))
        for row in codes[:300]
        for i in range(4)
        for j in range(4)
        if min(row[[i, j]]) >= 0
    )
    part = contingency_tables(codes[:300], NAMES, categories=CATEGORIES)
    for i, first in enumerate(NAMES):
        for j, second in enumerate(NAMES):
            table = part.table(first, second)
            assert table.shape == (len(CATEGORIES[i]), len(CATEGORIES[j]))
            for (k, m), cell in np.ndenumerate(table):
                assert cell == counts[i, j, k, m]
    assert tables.joint.sum() == sum(
        ((codes[:, i] >= 0) & (codes[:, j] >= 0)).sum() for i, j in zip(*item_pairs(4), strict=True)
    )
    assert tables.n_rows == n


def test_listwise_keeps_complete_rows() -> None:
    """Every table rests on the rows complete on all items, and the margins agree with them."""
    codes = _codes()
    complete = codes[(codes >= 0).all(axis=1)]
    tables = contingency_tables(codes, NAMES, categories=CATEGORIES, missing="listwise")
    same = contingency_tables(complete, NAMES, categories=CATEGORIES, missing="listwise")
    assert tables.n_obs == tables.n_obs_max == tables.n_used == len(complete)
    assert tables.n_dropped == 300 - len(complete)
    np.testing.assert_array_equal(tables.joint, same.joint)
    np.testing.assert_array_equal(tables.marginal, same.marginal)
    assert tables.rule == f"listwise: {len(complete)} of 300 rows complete on 4 items"


def test_pairwise_counts() -> None:
    """Rows behind each pair, each item, and any of it."""
    codes = np.array([[0, 0, -1], [1, -1, -1], [-1, -1, -1], [1, 1, 1]])
    tables = contingency_tables(codes, ["a", "b", "c"])
    assert tables.count.tolist() == [[3, 2, 1], [2, 2, 1], [1, 1, 1]]
    assert tables.n_item.tolist() == [3, 2, 1]
    assert (tables.n_rows, tables.n_used, tables.n_obs, tables.n_obs_max) == (4, 3, 1, 3)
    assert "1 to 3 of 4 rows" in tables.rule


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 120), st.sampled_from(["listwise", "pairwise"]), st.booleans())
def test_parts_add_up(seed: int, cut: int, missing: str, weighted: bool) -> None:
    """The tables of two parts add up to those of all rows."""
    codes = _codes(seed, 120)
    w = np.random.default_rng(seed).integers(0, 4, 120).astype(float) if weighted else None

    def tables(part: slice) -> ContingencyTables:
        weights = None if w is None else w[part]
        return contingency_tables(codes[part], NAMES, categories=CATEGORIES, missing=missing, weights=weights)  # type: ignore[arg-type]

    assert (tables(slice(cut)) + tables(slice(cut, None))).equals(tables(slice(None)), rtol=1e-14)


def test_weights_count_rows_by_weight() -> None:
    """Whole weights are rows repeated; a zero weight is no row."""
    codes = _codes()
    w = np.random.default_rng(1).integers(0, 3, 300).astype(float)
    weighted = contingency_tables(codes, NAMES, categories=CATEGORIES, weights=w)
    repeated = contingency_tables(np.repeat(codes, w.astype(int), axis=0), NAMES, categories=CATEGORIES)
    np.testing.assert_allclose(weighted.joint, repeated.joint, rtol=1e-14)
    np.testing.assert_allclose(weighted.marginal, repeated.marginal, rtol=1e-14)
    assert weighted.joint_squares is not None
    square = contingency_tables(codes, NAMES, categories=CATEGORIES, weights=w**2)
    np.testing.assert_allclose(weighted.joint_squares, square.joint, rtol=1e-14)
    np.testing.assert_array_equal(weighted.count, contingency_tables(codes[w > 0], NAMES, categories=CATEGORIES).count)


def test_empty_categories_stay() -> None:
    """A declared category that nobody chose keeps its row and column, and is reported."""
    tables = contingency_tables(np.array([[0, 1], [2, 1]]), ["a", "b"], categories=[(1, 2, 3, 4), (0, 1)])
    assert tables.table("a", "b").tolist() == [[0, 1], [0, 0], [0, 1], [0, 0]]
    assert tables.empty_categories == {"a": (2.0, 4.0), "b": (0.0,)}
    assert "a: nobody chose 2, 4" in tables.summary()
    assert tables.to_frame()["n"].tolist() == [1, 0, 1, 0, 0, 2]


def test_subset_and_orientation() -> None:
    """A subset in another order has the same tables, turned where the order turned."""
    tables = contingency_tables(_codes(), NAMES, categories=CATEGORIES)
    part = tables.subset(["d", "a", "c"])
    assert part.names == ("d", "a", "c")
    for first in part.names:
        for second in part.names:
            np.testing.assert_array_equal(part.table(first, second), tables.table(first, second))
    np.testing.assert_array_equal(tables.table("a", "c"), tables.table("c", "a").T)
    w = np.linspace(0.5, 2, 300)
    weighted = contingency_tables(_codes(), NAMES, categories=CATEGORIES, weights=w)
    square = contingency_tables(_codes(), NAMES, categories=CATEGORIES, weights=w**2).subset(["d", "a"])
    squares = weighted.subset(["d", "a"]).joint_squares
    assert squares is not None
    np.testing.assert_allclose(squares, square.joint, rtol=1e-12)


def test_category_codes() -> None:
    """Answers become category numbers by the declared order, missing becomes -1."""
    values = np.array([[1.0, 5.0], [3.0, np.nan], [2.0, 1.0]])
    assert category_codes(values, ["a", "b"], [(1, 2, 3), (1, 5)]).tolist() == [[0, 1], [2, -1], [1, 0]]
    assert observed_categories(values) == ((1.0, 2.0, 3.0), (1.0, 5.0))
    assert observed_categories(np.array([[True, False]])) == ((1.0,), (0.0,))


def test_unknown_answers_are_counted() -> None:
    """An answer outside the categories is an error with a count per item."""
    values = np.array([[1.0, 9.0], [99.0, 9.0], [99.0, 1.0], [0.0, 2.0]])
    with pytest.raises(UnknownCodeError, match=r"a: 0 \(1 times\), 99 \(2 times\)") as caught:
        category_codes(values, ["a", "b"], [(1, 2), (1, 2)])
    assert caught.value.details["counts"] == {"a": {0.0: 1, 99.0: 2}, "b": {9.0: 2}}
    with pytest.raises(UnknownCodeError):
        category_codes(values, ["a", "b"], [(), (1, 2, 9)])
    with pytest.raises(UnknownCodeError, match="the last is 1"):
        contingency_tables(np.array([[0, 2]]), ["a", "b"], categories=[(0, 1), (0, 1)])


def test_floats_and_small_integers_are_taken() -> None:
    """NaN is missing in an array of floats; the width of integers does not matter."""
    codes = _codes()
    floats = np.where(codes < 0, np.nan, codes.astype(float))
    base = contingency_tables(codes, NAMES, categories=CATEGORIES)
    assert contingency_tables(floats, NAMES, categories=CATEGORIES).equals(base)
    assert contingency_tables(codes.astype(np.int8), NAMES, categories=CATEGORIES).equals(base)
    assert contingency_tables(np.abs(codes).astype(np.uint8), NAMES, categories=CATEGORIES).n_obs == 300


@pytest.mark.parametrize(
    ("codes", "options", "error"),
    [
        (np.zeros(3, int), {}, UnsupportedDataError),
        (np.array([["x", "y"]]), {}, NonNumericError),
        (np.array([[0.5, 1.0]]), {}, NonNumericError),
        (np.array([[np.inf, 1.0]]), {}, NonNumericError),
        (np.zeros((2, 3), int), {}, DataError),
        (np.zeros((2, 2), int), {"missing": "fiml"}, OptionError),
        (np.zeros((2, 2), int), {"weights": np.array([1.0])}, DataError),
        (np.zeros((2, 2), int), {"weights": np.array([1.0, -1.0])}, DataError),
        (np.zeros((2, 2), int), {"categories": [(0, 1)]}, DataError),
        (np.zeros((2, 2), int), {"categories": [(1, 0), (0, 1)]}, DataError),
    ],
)
def test_nonsense_is_a_typed_error(codes: np.ndarray, options: dict[str, object], error: type[Exception]) -> None:
    """Wrong shapes, text, fractions, infinities, options, weights and categories."""
    with pytest.raises(error):
        contingency_tables(codes, ["a", "b"], **options)  # type: ignore[arg-type]


def test_names() -> None:
    """Item names are unique, and a wrong one is named."""
    with pytest.raises(DuplicateColumnError):
        contingency_tables(np.zeros((2, 2), int), ["a", "a"])
    with pytest.raises(DataError, match="No item 'z'"):
        contingency_tables(np.zeros((2, 2), int), ["a", "b"]).table("a", "z")


def test_only_like_adds_to_like() -> None:
    """Other items, categories, rules or weights do not add."""
    base = contingency_tables(_codes(), NAMES, categories=CATEGORIES)
    with pytest.raises(IncompatibleStatisticsError, match="missing"):
        base + contingency_tables(_codes(), NAMES, categories=CATEGORIES, missing="listwise")
    with pytest.raises(IncompatibleStatisticsError, match="categories"):
        base + contingency_tables(_codes(), NAMES, categories=[(0, 1, 2), (0, 1), (0, 1, 2, 3, 4), (0, 1, 2, 3)])
    with pytest.raises(IncompatibleStatisticsError, match="weighted"):
        base + contingency_tables(_codes(), NAMES, categories=CATEGORIES, weights=np.ones(300))
    with pytest.raises(TypeError):
        base + 1  # type: ignore[operator]


def test_round_trip_and_read_only() -> None:
    """Tables pickle, go through JSON, and cannot be written to."""
    tables = contingency_tables(_codes(), NAMES, categories=CATEGORIES, weights=np.linspace(0, 1, 300))
    assert ContingencyTables.from_dict(json.loads(json.dumps(tables.to_dict()))).equals(tables)
    assert pickle.loads(pickle.dumps(tables)).equals(tables)
    with pytest.raises(ValueError, match="read-only"):
        tables.joint[0, 0, 0] = 1.0
