"""What type checkers know: the frame that goes in is the frame that comes out. mypy runs on this file."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

from relmeasure.responses.careless import careless_responding
from relmeasure.scoring import score
from tests.responses.builders import build
from tests.support import duckdb_relation

COLUMNS = {"q1": [1, 2], "q2": [1, 2], "q3": [1, 2]}


def of_pandas(frame: pd.DataFrame) -> pd.DataFrame:
    return careless_responding(build(), score(build(), frame))


def of_polars(frame: pl.DataFrame) -> pl.DataFrame:
    return careless_responding(build(), score(build(), frame))


def of_lazy_polars(frame: pl.LazyFrame) -> pl.LazyFrame:
    return careless_responding(build(), score(build(), frame))


def of_array(values: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> pd.DataFrame:
    return score(build(), values)


def test_kind_of_frame_is_known() -> None:
    assert isinstance(of_pandas(pd.DataFrame(COLUMNS)), pd.DataFrame)
    assert isinstance(of_polars(pl.DataFrame(COLUMNS)), pl.DataFrame)
    assert isinstance(of_lazy_polars(pl.LazyFrame(COLUMNS)), pl.LazyFrame)
    assert isinstance(of_array(np.ones((2, 3))), pd.DataFrame)
    assert isinstance(score(build(), duckdb_relation(COLUMNS)), duckdb.DuckDBPyRelation)


def test_wrong_arguments_are_type_errors() -> None:
    with pytest.raises(TypeError):
        score(build(), pd.DataFrame(COLUMNS), "x_")  # type: ignore[call-overload]
