"""The same answer from every engine, lazy ones included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from relmeasure.exceptions import CategoriesAssumedWarning, FewClustersWarning, UnsupportedDataError
from relmeasure.structural import cfa
from tests.structural.populations import NINE, ordered, population_items
from tests.support import Constructor, pandas_frame


def columns(*, cut: bool = False) -> dict[str, list[Any]]:
    """300 rows with groups, clusters and weights; every 20th answer of x2 is missing unless cut."""
    rng = np.random.default_rng(4)
    rows = NINE.draw(300, rng)
    values = ordered(rows) if cut else rows.round(6)
    out: dict[str, list[Any]] = {name: values[:, k].tolist() for k, name in enumerate(population_items(NINE))}
    if not cut:
        out["x2"] = [None if i % 20 == 0 else v for i, v in enumerate(out["x2"])]
    out["school"] = [("north", "south")[i % 3 == 0] for i in range(300)]
    out["class_id"] = [f"c{i // 12}" for i in range(300)]
    out["w"] = rng.uniform(0.5, 2.0, 300).round(3).tolist()
    return out


def test_continuous_items(constructor: Constructor) -> None:
    data = columns()
    options: dict[str, Any] = {"missing": "fiml", "estimator": "MLR", "cluster": "class_id"}
    fit = cfa(NINE.model, constructor(data), **options)
    usual = cfa(NINE.model, pandas_frame(data), **options)
    assert fit.equals(usual, rtol=1e-12)
    assert fit.n_obs == 300
    assert fit.scores().to_numpy() == pytest.approx(usual.scores().to_numpy(), abs=1e-12)


def test_groups_and_weights(constructor: Constructor) -> None:
    data = columns()
    options: dict[str, Any] = {"missing": "fiml", "group": "school", "weights": "w"}
    fit = cfa(NINE.model, constructor(data), **options)
    assert fit.equals(cfa(NINE.model, pandas_frame(data), **options), rtol=1e-12)
    assert fit.table.groups == ("south", "north")


def test_ordered_items(constructor: Constructor) -> None:
    data = columns(cut=True)
    with pytest.warns(CategoriesAssumedWarning):
        fit = cfa(NINE.model, constructor(data), ordered=True)
    with pytest.warns(CategoriesAssumedWarning):
        assert fit.equals(cfa(NINE.model, pandas_frame(data), ordered=True), rtol=1e-12)


def test_values_beside_a_lazy_frame_are_refused(lazy_constructor: Constructor) -> None:
    """Rows of a lazy frame have no order that an array could follow."""
    data = columns(cut=True)
    with pytest.raises(UnsupportedDataError, match="lazy"):
        cfa(NINE.model, lazy_constructor(data), group=np.array(data["school"]))


def test_two_way_clusters_need_twenty_each() -> None:
    data = columns(cut=True)
    data["rater"] = [f"r{i % 19}" for i in range(300)]
    with pytest.raises(UnsupportedDataError, match="25 and 19"):
        cfa(NINE.model, pandas_frame(data), cluster=["class_id", "rater"], estimator="MLR")
    data["rater"] = [f"r{i % 20}" for i in range(300)]
    assert cfa(NINE.model, pandas_frame(data), cluster=["class_id", "rater"], estimator="MLR").status.converged
    data["class_id"] = [f"c{i // 30}" for i in range(300)]
    with pytest.warns(FewClustersWarning):
        cfa(NINE.model, pandas_frame(data), cluster="class_id", estimator="MLR")
