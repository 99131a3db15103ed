"""Ordered categories: the order that a column's type declares is the order of the answers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import relmeasure as rm
from relmeasure.exceptions import (
    CategoriesAssumedWarning,
    EmptyCategoryWarning,
    NonNumericError,
    RelmeasureWarning,
    UnsupportedDataError,
)
from tests.support import Constructor

WORDS = ["never", "some", "often", "always"]  # not in the order of the alphabet
ITEMS = ["a", "b", "c", "d"]
CONNECTIONS: list[Any] = []
"""Kept open: a relation of an older DuckDB does not keep its connection alive."""


def codes() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    latent = rng.normal(size=(300, 1)) + rng.normal(size=(300, 4))
    frame = pd.DataFrame(np.digitize(latent, [-1.0, 0.2, 1.1]) + 1.0, columns=ITEMS)
    frame.iloc[::37, 1] = np.nan
    return frame


def labelled(words: list[str] = WORDS) -> pd.DataFrame:
    frame: pd.DataFrame = codes().apply(lambda s: s.map(dict(enumerate(words, start=1))))
    return frame


def _polars(frame: pd.DataFrame) -> Any:
    import polars as pl

    return pl.from_pandas(frame).with_columns(pl.all().cast(pl.Enum(WORDS)))


def _arrow(frame: pd.DataFrame) -> Any:
    import pyarrow as pa

    return pa.Table.from_pandas(_pandas(frame), preserve_index=False)


def _pandas(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(pd.CategoricalDtype(WORDS, ordered=True))


def _duckdb(frame: pd.DataFrame) -> Any:
    import duckdb

    connection = duckdb.connect()
    CONNECTIONS.append(connection)
    connection.execute(f"create type answer as enum ({', '.join(map(repr, WORDS))})")
    connection.register("given", frame.astype(object).where(frame.notna(), None).assign(k=range(len(frame))))
    columns = ", ".join(f"{name}::answer as {name}" for name in ITEMS)
    connection.execute(f"create table answers as select {columns} from given order by k")
    return connection.table("answers")


ENGINES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": _pandas,
    "pandas with another index": lambda frame: _pandas(frame).set_axis([7] * len(frame)),
    "polars": _polars,
    "polars lazy": lambda frame: _polars(frame).lazy(),
    "pyarrow": _arrow,
    "duckdb": _duckdb,
}


@pytest.mark.parametrize("engine", ENGINES)
def test_ordered_categories_are_their_codes(engine: str) -> None:
    """Polychorics and factors equal those of codes 1 to 4 with declared categories; nothing is assumed."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", CategoriesAssumedWarning)
        warnings.simplefilter("ignore", RelmeasureWarning)
        warnings.simplefilter("error", CategoriesAssumedWarning)
        expected = rm.polychoric(codes(), categories=[1, 2, 3, 4])
        frame = ENGINES[engine](labelled())
        found = rm.polychoric(frame)
        mixed = rm.correlations(frame)
    assert found.names == expected.names
    np.testing.assert_allclose(found.correlation, expected.correlation, atol=1e-12)
    np.testing.assert_allclose(mixed.correlation, expected.correlation, atol=1e-12)
    for name in ITEMS:
        np.testing.assert_allclose(found.thresholds[name], expected.thresholds[name], atol=1e-12)


def test_factors_of_ordered_categories() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelmeasureWarning)
        expected = rm.efa(codes(), n_factors=1, ordered=True, categories=[1, 2, 3, 4])
        found = rm.efa(_pandas(labelled()), n_factors=1, ordered=True)
    np.testing.assert_allclose(found.loadings, expected.loadings, atol=1e-10)


def test_the_input_is_not_changed_and_numbers_may_stand_beside() -> None:
    """A frame may hold codes in one column and ordered categories in another."""
    frame = codes().assign(a=_pandas(labelled())["a"])
    before = frame.copy(deep=True)
    declared = {name: [1, 2, 3, 4] for name in "bcd"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelmeasureWarning)
        found = rm.polychoric(frame, categories=declared)
        some = rm.correlations(frame, ordered=["b"], categories={"b": [1, 2, 3, 4]})
        expected = rm.polychoric(codes(), categories=[1, 2, 3, 4])
    np.testing.assert_allclose(found.correlation, expected.correlation, atol=1e-12)
    assert some.kinds == ("ordered", "ordered", "continuous", "continuous")
    pd.testing.assert_frame_equal(frame, before)


def test_a_declared_category_that_nobody_chose_is_told() -> None:
    frame = labelled(["never", "some", "often", "often"])
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        found = rm.polychoric(_pandas(frame))
        expected = rm.polychoric(codes().replace({4: 3}), categories=[1, 2, 3, 4])
    assert EmptyCategoryWarning in {w.category for w in raised}
    assert {w.code for w in found.warnings} == {w.code for w in expected.warnings}
    np.testing.assert_allclose(found.thresholds["a"], expected.thresholds["a"], atol=1e-12)


def test_categories_without_an_order_say_how_to_declare_one(constructor: Constructor) -> None:
    with pytest.raises(NonNumericError, match="ordered=True") as error:
        rm.polychoric(labelled().astype("category"))
    assert error.value.details["columns"] == ITEMS
    with pytest.raises(NonNumericError, match="do not hold numbers"):
        rm.polychoric(constructor({name: ["x", "y"] for name in ITEMS}))


@pytest.mark.parametrize("declared", [[1, 2, 3, 4], {"a": [1, 2, 3, 4]}])
def test_an_order_is_not_declared_twice(declared: Any) -> None:
    with pytest.raises(UnsupportedDataError, match="leave it out of categories="):
        rm.polychoric(_pandas(labelled()), categories=declared)


def test_ordered_categories_are_no_numbers() -> None:
    for options in ({"kind": "pearson"}, {"ordered": False}):
        with pytest.raises(NonNumericError, match="no Pearson correlation"):
            rm.correlations(_pandas(labelled()), **options)
