"""Cluster statistics: what multilevel estimators need of students in classes, in one pass, additive.

Per cluster the number of rows and the item means, and one pooled within-cluster scatter for all. Everything that a
two-level normal model needs follows from these, whatever the cluster sizes (Muthen, 1990; Rao, 1965).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from relmeasure.exceptions import (
    DataError,
    IncompatibleStatisticsError,
    NonNumericError,
    TooFewObservationsError,
)
from relmeasure.results import FloatArray, IntArray, Note, Result, Table, frozen_array

__all__ = ["ClusterSums", "cluster_sums", "coded_labels", "has_label"]


@dataclass(frozen=True, eq=False)
class ClusterSums(Result):
    """Additive statistics of ``p`` items in ``J`` clusters; rows complete on all items.

    Attributes
    ----------
    names : tuple of str
        The items.
    labels : tuple of str
        Cluster labels as text, sorted; one row of ``n`` and ``mean`` each.
    n_rows : int
        Rows seen; those with a missing answer or no cluster are not used.
    n : array (J,)
        Rows used in each cluster.
    mean : array (J, p)
        Item means of each cluster.
    within : array (p, p)
        Scatter about the cluster means, summed over clusters.
    notes : tuple of Note
        Warnings raised while the data were read.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    n_rows: int
    n: IntArray
    mean: FloatArray
    within: FloatArray
    notes: tuple[Note, ...] = ()

    def __add__(self, other: ClusterSums) -> ClusterSums:
        """Return the statistic of the pooled rows; a cluster that is in both parts is joined."""
        if not isinstance(other, ClusterSums):
            return NotImplemented
        if self.names != other.names:
            raise IncompatibleStatisticsError(
                "Cluster statistics of different items cannot be added: make both from the same items.",
                left=self.names,
                right=other.names,
            )
        labels = np.array(sorted({*self.labels, *other.labels}))
        n_mine, mean_mine = self._on(labels)
        n_theirs, mean_theirs = other._on(labels)
        n = n_mine + n_theirs
        step = mean_theirs - mean_mine
        share = (n_theirs / np.maximum(n, 1))[:, None]
        both = ((n_mine * n_theirs) / np.maximum(n, 1))[:, None]
        return ClusterSums(
            names=self.names,
            labels=tuple(labels.tolist()),
            n_rows=self.n_rows + other.n_rows,
            n=n,
            mean=mean_mine + step * share,
            within=self.within + other.within + step.T @ (step * both),
            notes=self.notes + other.notes,
        )

    def _on(self, labels: np.ndarray[Any, Any]) -> tuple[IntArray, FloatArray]:
        """Counts and means spread over a longer sorted list of labels; empty clusters hold zeros."""
        where = np.searchsorted(labels, np.array(self.labels, dtype=labels.dtype))
        n = np.zeros(len(labels), dtype=np.int64)
        mean = np.zeros((len(labels), len(self.names)))
        n[where], mean[where] = self.n, self.mean
        return n, mean

    @property
    def n_obs(self) -> int:
        """Rows used."""
        return int(self.n.sum())

    @property
    def n_clusters(self) -> int:
        """Clusters with at least one row."""
        return len(self.labels)

    @property
    def rule(self) -> str:
        """The rule that made ``n_obs`` of ``n_rows``, in words."""
        return f"listwise: {self.n_obs} of {self.n_rows} rows complete, in {self.n_clusters} clusters"

    @cached_property
    def grand_mean(self) -> FloatArray:
        """Means over all rows, array (p,)."""
        mean: FloatArray = frozen_array(self.n @ self.mean / max(self.n_obs, 1))
        return mean

    @cached_property
    def between(self) -> FloatArray:
        """Scatter of the cluster means about the grand mean, each counted with its rows, array (p, p)."""
        off = self.mean - self.grand_mean
        scatter: FloatArray = frozen_array(off.T @ (off * self.n[:, None]))
        return scatter

    @property
    def pooled_within(self) -> FloatArray:
        """Pooled within-cluster covariance, divisor N - J."""
        return _divided(self.within, self.n_obs - self.n_clusters)

    @property
    def mean_size(self) -> float:
        """Rows per cluster, N / J."""
        return self.n_obs / max(self.n_clusters, 1)

    @property
    def k0(self) -> float:
        """Effective cluster size with unequal sizes, (N - sum n_j^2 / N) / (J - 1)."""
        if self.n_clusters < 2:
            return float("nan")
        return float((self.n_obs - (self.n.astype(float) ** 2).sum() / self.n_obs) / (self.n_clusters - 1))

    def _table(self) -> Table:
        columns: dict[str, tuple[Any, ...]] = {"cluster": self.labels, "n": tuple(self.n)}
        columns |= {name: tuple(self.mean[:, k]) for k, name in enumerate(self.names)}
        return Table(columns)

    def summary(self) -> str:
        """Return the rule and the sizes."""
        sizes = f"sizes {self.n.min()} to {self.n.max()}, mean {self.mean_size:.1f}" if self.n_clusters else "empty"
        return f"{self.rule}; {sizes}"


def cluster_sums(values: Any, clusters: Any, names: Sequence[str]) -> ClusterSums:
    """Compute additive cluster statistics of an array.

    Parameters
    ----------
    values : array (n, p)
        Persons in rows, items in columns, NaN is missing; rows with a missing value are not used.
    clusters : array (n,)
        Cluster label of each row: text or numbers; None and NaN rows are not used.
    names : sequence of str
        One name an item.

    Returns
    -------
    ClusterSums

    Raises
    ------
    DataError, NonNumericError
        Shapes do not agree; values are infinite.
    TooFewObservationsError
        No usable row.

    Examples
    --------
    >>> import numpy as np
    >>> part = cluster_sums(np.array([[1.0], [3.0], [4.0]]), ["a", "a", "b"], ["x"])
    >>> part.n.tolist(), part.mean.ravel().tolist(), part.within.round(6).tolist()
    ([2, 1], [2.0, 4.0], [[2.0]])
    """
    array = np.asarray(values, dtype=float)
    if array.ndim != 2 or array.shape[1] != len(names):
        raise DataError(f"An array of rows by {len(names)} items is needed; this one has shape {array.shape}.")
    if np.isinf(array).any():
        raise NonNumericError("The data hold infinite values: set them to missing, or correct them, first.")
    label = np.asarray(clusters)
    if label.shape != (len(array),):
        raise DataError(f"One cluster a row is needed: {label.shape} labels for {len(array)} rows.")
    usable = ~np.isnan(array).any(axis=1) & has_label(label)
    if not usable.any():
        raise TooFewObservationsError(f"None of the {len(array)} rows has all its answers and a cluster.")
    if not usable.all():
        array, label = array[usable], label[usable]
    groups, code = coded_labels(label)
    n = np.bincount(code, minlength=len(groups))
    origin = array.mean(axis=0)
    deviations = array - origin
    sums = np.column_stack([np.bincount(code, weights=column, minlength=len(groups)) for column in deviations.T])
    means = sums / n[:, None]
    within = deviations.T @ deviations - sums.T @ means
    return ClusterSums(
        names=tuple(names),
        labels=tuple(groups.tolist()),
        n_rows=len(usable),
        n=n,
        mean=means + origin,
        within=(within + within.T) / 2,
    )


def has_label(label: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows belong to a cluster: None, NaN and pd.NA are no label."""
    if np.issubdtype(label.dtype, np.floating):
        return np.asarray(~np.isnan(label))
    if label.dtype == object:
        return np.array([v is not None and v == v and type(v).__name__ != "NAType" for v in label])
    return np.ones(len(label), dtype=bool)


def coded_labels(label: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Sorted labels as text, and the place of each row among them; 3 and 3.0 are one cluster."""
    if np.issubdtype(label.dtype, np.floating) and (label == np.rint(label)).all():
        label = label.astype(np.int64)
    if label.dtype == object:
        place_of: dict[Any, int] = {}  # a table of words is several times faster than sorting all rows
        code = np.fromiter((place_of.setdefault(v, len(place_of)) for v in label), dtype=np.int64, count=len(label))
        distinct = np.array([str(v) for v in place_of])
    else:
        distinct, code = np.unique(label, return_inverse=True)
    texts, place = np.unique(distinct.astype(str), return_inverse=True)  # text order, not number order
    return texts, place[code]


def _divided(scatter: FloatArray, divisor: int) -> FloatArray:
    out: FloatArray = frozen_array(scatter / divisor if divisor > 0 else np.full_like(scatter, np.nan))
    return out
