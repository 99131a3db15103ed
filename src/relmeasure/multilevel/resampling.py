"""Bootstrap of whole clusters: intervals that assume nothing of the distribution within or between them.

Clusters are drawn with replacement (within each group, where there are groups), each with all its rows. It is enough to
keep the size, mean and scatter of each cluster.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from relmeasure.multilevel.variance import OneWay, anova, likelihood

__all__ = ["Clusters", "bootstrap_interval", "clusters_of", "icc_of"]

Array = np.ndarray[Any, np.dtype[np.float64]]
Codes = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Clusters:
    """Size, mean and scatter of each cluster, and its group."""

    n: Array
    mean: Array
    scatter: Array
    group: Codes | None = None

    def one_way(self, pick: Codes | None = None) -> OneWay:
        """Sufficient statistics of all clusters, or of those drawn."""
        if pick is None:
            return OneWay(self.n, self.mean, float(self.scatter.sum()), self.group)
        group = None if self.group is None else self.group[pick]
        return OneWay(self.n[pick], self.mean[pick], float(self.scatter[pick].sum()), group)

    def draw(self, rng: np.random.Generator) -> Codes:
        """Draw as many clusters as there are, from each group by itself."""
        if self.group is None:
            return rng.integers(0, len(self.n), len(self.n))
        order = np.argsort(self.group, kind="stable")
        count = np.bincount(self.group)
        start = np.cumsum(count) - count
        spread = (rng.random(len(self.n)) * np.repeat(count, count)).astype(np.int64)
        return np.asarray(order[np.repeat(start, count) + spread])


def clusters_of(value: Array, code: Codes, n_clusters: int, group: Codes | None = None) -> Clusters:
    """Sizes, means and scatter of clusters from rows."""
    n = np.bincount(code, minlength=n_clusters).astype(float)
    mean = np.bincount(code, weights=value, minlength=n_clusters) / n
    scatter = np.bincount(code, weights=(value - mean[code]) ** 2, minlength=n_clusters).astype(float)
    return Clusters(n, mean, scatter, group)


def icc_of(stats: OneWay, method: Literal["anova", "ml", "reml"]) -> tuple[float, float]:
    """ICC(1) and ICC(2) at the mean size."""
    mean_size = stats.n_obs / stats.n_clusters
    if method != "anova":
        found = likelihood(stats, restricted=method == "reml")
        return found.icc1, float(found.reliability(mean_size)) if found.tau2 > 0 else 0.0
    ms_between, ms_within, k0 = anova(stats)
    icc1 = (ms_between - ms_within) / (ms_between + (k0 - 1) * ms_within)
    return icc1, 1 - ms_within / ms_between if ms_between > 0 else math.nan


def bootstrap_interval(
    clusters: Clusters,
    statistic: Callable[[OneWay], tuple[float, ...]],
    *,
    n_boot: int,
    conf_level: float,
    rng: int | np.random.Generator,
) -> list[tuple[float, float]]:
    """Percentile intervals of a statistic of cluster statistics; draws without variance or with one size are left out.

    Each draw has a generator of its own, so that the result does not depend on how the work is divided.
    """
    seeds = np.random.default_rng(rng).spawn(n_boot)
    drawn = []
    for seed in seeds:
        stats = clusters.one_way(clusters.draw(seed))
        if stats.within > 0 and stats.n_obs > stats.n_clusters and np.ptp(stats.mean) > 0:
            drawn.append(statistic(stats))
    half = (1 - conf_level) / 2
    if not drawn:
        return [(math.nan, math.nan)] * len(statistic(clusters.one_way()))
    bounds = np.nanquantile(np.array(drawn), [half, 1 - half], axis=0)
    return [(float(low), float(high)) for low, high in bounds.T]
