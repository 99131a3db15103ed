"""Cluster statistics are those of the rows, and they add."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmeasure.exceptions import DataError, IncompatibleStatisticsError, TooFewObservationsError
from relmeasure.samplestats.clusters import ClusterSums, cluster_sums

TOLERANCE = 1e-9
"""Sums of a few hundred doubles in another order."""


def _rows(seed: int, n: int = 200) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.normal(100, 2, (n, 3)), rng.integers(0, 17, n)


def test_against_the_definition() -> None:
    """Sizes, means and scatter, cluster by cluster."""
    values, cluster = _rows(1)
    stats = cluster_sums(values, cluster, ["a", "b", "c"])
    within = np.zeros((3, 3))
    for label, n, mean in zip(stats.labels, stats.n, stats.mean, strict=True):
        rows = values[cluster == int(label)]
        assert n == len(rows)
        np.testing.assert_allclose(mean, rows.mean(axis=0), rtol=TOLERANCE)
        within += (rows - rows.mean(axis=0)).T @ (rows - rows.mean(axis=0))
    np.testing.assert_allclose(stats.within, within, rtol=1e-8)
    total = (len(values) - 1) * np.cov(values.T)
    np.testing.assert_allclose(stats.within + stats.between, total, rtol=1e-8)
    np.testing.assert_allclose(stats.pooled_within, within / (200 - stats.n_clusters), rtol=1e-8)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 199))
def test_parts_add_up(seed: int, cut: int) -> None:
    """A cluster may be split over the parts; the order of the parts does not matter."""
    values, cluster = _rows(seed)
    names = ["a", "b", "c"]
    whole = cluster_sums(values, cluster, names)
    first, second = cluster_sums(values[:cut], cluster[:cut], names), cluster_sums(values[cut:], cluster[cut:], names)
    assert (first + second).equals(whole, rtol=1e-7, atol=1e-7)
    assert (second + first).equals(whole, rtol=1e-7, atol=1e-7)


def test_row_order_and_labels_do_not_matter() -> None:
    """Text, whole floats and integers name the same clusters."""
    values, cluster = _rows(3)
    names = ["a", "b", "c"]
    whole = cluster_sums(values, cluster, names)
    order = np.random.default_rng(0).permutation(len(values))
    assert cluster_sums(values[order], cluster[order], names).equals(whole, rtol=1e-9, atol=1e-9)
    assert cluster_sums(values, cluster.astype(float), names).equals(whole)
    assert cluster_sums(values, cluster.astype(str), names).equals(whole)
    assert cluster_sums(values, cluster.astype(object), names).equals(whole)


def test_rows_without_an_answer_or_a_cluster_are_counted() -> None:
    """They are not used, and the rule says how many."""
    values, cluster = _rows(5)
    values[0, 1] = np.nan
    labels = cluster.astype(object)
    labels[1] = None
    stats = cluster_sums(values, labels, ["a", "b", "c"])
    assert (stats.n_obs, stats.n_rows) == (198, 200)
    assert "198 of 200" in stats.rule
    assert cluster_sums(values, np.where(cluster == 3, np.nan, cluster), ["a", "b", "c"]).n_clusters == 16


def test_effective_size() -> None:
    """k0 equals the common size when all are equal, and is smaller than the mean otherwise."""
    equal = cluster_sums(np.arange(12.0)[:, None], np.repeat([1, 2, 3], 4), ["x"])
    assert equal.k0 == pytest.approx(4.0)
    unequal = cluster_sums(np.arange(12.0)[:, None], np.repeat([1, 2, 3], [2, 3, 7]), ["x"])
    assert unequal.k0 < unequal.mean_size


def test_nonsense_is_refused() -> None:
    """Shapes, empty data and other items each have their error."""
    with pytest.raises(DataError):
        cluster_sums(np.ones(3), [1, 1, 2], ["x"])
    with pytest.raises(DataError):
        cluster_sums(np.ones((3, 1)), [1, 1], ["x"])
    with pytest.raises(TooFewObservationsError):
        cluster_sums(np.full((3, 1), np.nan), [1, 1, 2], ["x"])
    one, other = (cluster_sums(np.ones((2, 1)), [1, 2], [name]) for name in "xy")
    with pytest.raises(IncompatibleStatisticsError):
        _ = one + other


def test_round_trip() -> None:
    """Dict and pickle keep everything."""
    stats = cluster_sums(*_rows(2), ["a", "b", "c"])
    assert ClusterSums.from_dict(stats.to_dict()).equals(stats)
    assert pickle.loads(pickle.dumps(stats)).equals(stats)
