"""Statistics of incomplete rows in clusters: by cluster and pattern of missing answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.results import FloatArray, IntArray, Result

__all__ = ["ClusterCells", "cluster_cells"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class ClusterCells(Result):
    """Rows of one cluster with the same answered variables make a cell.

    Attributes
    ----------
    observed : array (g, p)
        Patterns: 1 where a variable that varies within clusters is answered.
    cluster, pattern : array (c,)
        Of each cell; clusters from zero.
    n : array (c,)
        Rows of each cell.
    mean : array (c, p)
        Means of each cell; zero where unanswered.
    scatter : array (g, p, p)
        Scatter of rows about the mean of their cell, summed over the cells of each pattern.
    outer_observed : array (J, p)
        1 where a variable that is constant within clusters is known.
    outer : array (J, p)
        Their values; zero where unknown.
    """

    observed: IntArray
    cluster: IntArray
    pattern: IntArray
    n: FloatArray
    mean: FloatArray
    scatter: FloatArray
    outer_observed: IntArray
    outer: FloatArray


def cluster_cells(rows: Array, clusters: Array, within: Array, origin: Array) -> ClusterCells:
    """Make the statistics.

    Parameters
    ----------
    rows : array (n, p)
        NaN where missing.
    clusters : array (n,)
        Cluster numbers from zero, each present.
    within : array (p,) of bool
        Variables that vary within clusters; the others are read from any row of the cluster that has them.
    origin : array (p,)
        Values near the means, subtracted while sums are made.
    """
    seen = ~np.isnan(rows) & within
    patterns, pattern = np.unique(seen, axis=0, return_inverse=True)
    pattern = pattern.ravel()
    n_clusters, g, p = int(clusters.max()) + 1, len(patterns), rows.shape[1]
    keys, cell = np.unique(clusters * g + pattern, return_inverse=True)
    n = np.bincount(cell, minlength=len(keys)).astype(float)
    d = np.where(seen, rows - origin, 0.0)
    mean = np.column_stack([np.bincount(cell, weights=column, minlength=len(keys)) for column in d.T]) / n[:, None]
    inner = d - mean[cell]
    scatter = np.zeros((g, p, p))
    for k in range(g):
        part = inner[pattern == k]
        scatter[k] = part.T @ part
    known, outer = np.zeros((n_clusters, p), dtype=np.int64), np.zeros((n_clusters, p))
    for i in np.flatnonzero(~within):
        here = np.flatnonzero(~np.isnan(rows[:, i]))
        known[clusters[here], i] = 1
        outer[clusters[here], i] = rows[here, i]
    return ClusterCells(
        observed=patterns.astype(np.int64),
        cluster=(keys // g).astype(np.int64),
        pattern=(keys % g).astype(np.int64),
        n=n,
        mean=mean + np.where(patterns[keys % g], origin, 0.0),
        scatter=scatter,
        outer_observed=known,
        outer=outer,
    )
