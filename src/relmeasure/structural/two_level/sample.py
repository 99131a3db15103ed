"""What a two-level model knows of its data: cluster statistics, and the unrestricted moments of both levels.

For complete rows the normal likelihood needs, of each cluster, its size and its means, and one pooled within-cluster
scatter; clusters of one size are joined further, to a mean and a scatter of cluster means (McDonald & Goldstein, 1989;
Rosseel, 2021). So the cost of a step grows with the number of different sizes, not with rows or clusters.

References
----------
McDonald, R. P., & Goldstein, H. (1989). British Journal of Mathematical and Statistical Psychology, 42, 215-232.
Rosseel, Y. (2021). Psych, 3, 197-232.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from relmeasure.exceptions import DataError, NotPositiveDefiniteError, TooFewObservationsError, shorten
from relmeasure.results import FloatArray, Table, frozen_array
from relmeasure.samplestats.clusters import ClusterSums
from relmeasure.structural.estimation.samples import GroupSample, Sample, check_positive_definite
from relmeasure.structural.two_level.cells import ClusterCells

__all__ = ["LEVELS", "Kind", "SizeMoments", "TwoLevelSample", "Variables", "check_levels", "size_moments"]

Array = np.ndarray[Any, np.dtype[Any]]

Kind = Literal["free", "bounded", "none"]
"""What unrestricted moments are."""

LEVELS = ("within", "between")
"""The levels, in the order of the blocks."""

_CONSTANT = 1e-10
"""Share of the variance within clusters below which a variable counts as constant there."""


@dataclass(frozen=True)
class Variables:
    """Which variable lives at which level; places among all observed variables.

    Attributes
    ----------
    names : tuple of str
    within, between : tuple of bool
        Whether the variable has a part at the level; those with both are decomposed.
    """

    names: tuple[str, ...]
    within: tuple[bool, ...]
    between: tuple[bool, ...]

    @property
    def both(self) -> list[int]:
        """Variables with two parts."""
        return [i for i, (w, b) in enumerate(zip(self.within, self.between, strict=True)) if w and b]

    @property
    def at_within(self) -> list[int]:
        """Variables that vary within clusters."""
        return [i for i, w in enumerate(self.within) if w]

    @property
    def at_between(self) -> list[int]:
        """Variables with a part between clusters."""
        return [i for i, b in enumerate(self.between) if b]

    @property
    def only_within(self) -> list[int]:
        """Variables without a part between clusters."""
        return [i for i, b in enumerate(self.between) if not b]

    @property
    def only_between(self) -> list[int]:
        """Variables that are constant within clusters."""
        return [i for i, w in enumerate(self.within) if not w]

    def subset(self, index: Sequence[int]) -> Variables:
        """Return some of them."""
        return Variables(
            tuple(self.names[i] for i in index),
            tuple(self.within[i] for i in index),
            tuple(self.between[i] for i in index),
        )


@dataclass(frozen=True)
class SizeMoments:
    """Clusters joined by size.

    Attributes
    ----------
    n : array (s,)
        Sizes.
    count : array (s,)
        Clusters of each size.
    mean : array (s, p)
        Means of the cluster means.
    scatter : array (s, p, p)
        Scatter of the cluster means about them.
    within : array (p, p)
        Scatter of rows about their cluster means, over all clusters.
    """

    n: Array
    count: Array
    mean: Array
    scatter: Array
    within: Array

    @property
    def n_obs(self) -> float:
        """Rows."""
        return float(self.n @ self.count)

    @property
    def n_clusters(self) -> float:
        """Clusters."""
        return float(self.count.sum())

    @property
    def n_inner(self) -> float:
        """Rows less clusters: degrees of freedom within."""
        return self.n_obs - self.n_clusters

    def moments(self, center: Array) -> Array:
        """Return the sums of squares and products of cluster means about a centre, array (s, p, p)."""
        d = self.mean - center
        out: Array = self.scatter + self.count[:, None, None] * d[:, :, None] * d[:, None, :]
        return out

    def subset(self, index: Sequence[int]) -> SizeMoments:
        """Return the statistics of some variables."""
        at = list(index)
        rows, columns = np.ix_(at, at)
        return SizeMoments(
            self.n, self.count, self.mean[:, at], self.scatter[:, rows, columns], self.within[rows, columns]
        )


def size_moments(clusters: ClusterSums) -> SizeMoments:
    """Join clusters of one size."""
    sizes, place, count = np.unique(np.asarray(clusters.n), return_inverse=True, return_counts=True)
    order = np.argsort(place, kind="stable")
    means = np.asarray(clusters.mean)[order]
    bounds = np.concatenate([[0], np.cumsum(count)])
    p = means.shape[1]
    center, scatter = np.empty((len(sizes), p)), np.empty((len(sizes), p, p))
    for s in range(len(sizes)):
        part = means[bounds[s] : bounds[s + 1]]
        center[s] = part.mean(axis=0)
        off = part - center[s]
        scatter[s] = off.T @ off
    return SizeMoments(sizes.astype(float), count.astype(float), center, scatter, np.asarray(clusters.within))


@dataclass(frozen=True, eq=False)
class TwoLevelSample(Sample):
    """Moments of rows in clusters.

    ``groups`` holds the unrestricted moments, those of the level within and those of the level between (maximum
    likelihood; zero for a variable without a part at the level).

    Attributes
    ----------
    clusters : ClusterSums
        Sizes and means by cluster, one pooled scatter; with missing answers sizes only, and means of what was answered.
    within, between : tuple of bool
        Whether each variable has a part at the level.
    cells : ClusterCells or None
        With full information: statistics by cluster and pattern of missing answers.
    saturated : float
        Minus twice the unrestricted log-likelihood.
    exogenous : float
        The part of fixed exogenous variables in it: the likelihood is conditional on these.
    unrestricted : {"free", "bounded", "none"}
        Whether the unrestricted moments are the highest of all, the highest that can exist between clusters, or none.
    """

    clusters: ClusterSums | None = None
    within: tuple[bool, ...] = ()
    between: tuple[bool, ...] = ()
    cells: ClusterCells | None = None
    saturated: float = 0.0
    exogenous: float = 0.0
    unrestricted: Kind = "free"

    @property
    def sums(self) -> ClusterSums:
        """Cluster statistics."""
        if self.clusters is None:
            raise ValueError("a two-level sample has cluster statistics")
        return self.clusters

    @property
    def n_obs(self) -> int:
        """Rows used."""
        return self.sums.n_obs

    @property
    def n_clusters(self) -> int:
        """Clusters."""
        return self.sums.n_clusters

    @property
    def shares(self) -> tuple[float, ...]:
        """Both levels rest on all rows."""
        return (1.0, 1.0)

    @property
    def variables(self) -> Variables:
        """Which variable lives where."""
        return Variables(self.names, self.within, self.between)

    @cached_property
    def sizes(self) -> SizeMoments:
        """Clusters joined by size."""
        return size_moments(self.sums)

    @cached_property
    def icc(self) -> FloatArray:
        """Intraclass correlation of each variable from the unrestricted moments; NaN without two parts."""
        inner, outer = (np.diag(group.cov) for group in self.groups)
        both = np.array(self.within) & np.array(self.between)
        total = np.where(both, inner + outer, 1.0)
        return np.asarray(frozen_array(np.where(both, outer / total, np.nan)))

    def _table(self) -> Table:
        rows = [
            {
                "item": name,
                "mean": float(self.groups[0].mean[i] + self.groups[1].mean[i]),
                "var_within": float(self.groups[0].cov[i, i]),
                "var_between": float(self.groups[1].cov[i, i]),
                "icc": float(self.icc[i]),
            }
            for i, name in enumerate(self.names)
        ]
        return Table.from_rows(rows, ("item", "mean", "var_within", "var_between", "icc"))


def check_levels(sums: ClusterSums, variables: Variables) -> None:
    """Refuse data from which two levels cannot be told apart.

    Raises
    ------
    TooFewObservationsError
        No cluster with two rows; not more clusters than variables between them.
    DataError
        A variable of the level between that varies within clusters.
    NotPositiveDefiniteError
        A variable of the level within that does not vary there.
    """
    n_inner = sums.n_obs - sums.n_clusters
    if n_inner < 1:
        raise TooFewObservationsError(
            f"{sums.n_obs} rows in {sums.n_clusters} clusters: no cluster has two rows, so the levels within and "
            "between cannot be told apart. Check cluster=, or fit a model without levels.",
            n_obs=sums.n_obs,
            n_clusters=sums.n_clusters,
        )
    names = variables.names
    inner = np.diag(sums.within) / n_inner
    total = inner + np.asarray(sums.mean).var(axis=0)
    moving = [names[i] for i in variables.only_between if inner[i] > _CONSTANT * total[i]]
    if moving:
        raise DataError(
            f"{shorten(moving)}: named at level 2 only, but varies within clusters. Name it at level 1 too (its "
            "two parts are then modelled), or put its cluster mean into the data.",
            items=moving,
        )
    still = [names[i] for i in variables.at_within if not inner[i] > _CONSTANT * total[i]]
    if still:
        raise NotPositiveDefiniteError(
            f"{shorten(still)}: no variance within clusters. Name it at level 2 only.", constant=still
        )
    _enough(sums, variables, n_inner)
    _independent(sums, variables, n_inner)


def _independent(sums: ClusterSums, variables: Variables, n_inner: int) -> None:
    """Refuse variables that are sums of others, at either level."""
    means = np.asarray(sums.mean)
    spread = np.cov(means.T, bias=True).reshape(means.shape[1], -1)
    for at, cov in ((variables.at_within, np.asarray(sums.within) / n_inner), (variables.at_between, spread)):
        own = frozen_array(cov[np.ix_(at, at)])
        group = GroupSample("", sums.n_obs, frozen_array(means.mean(axis=0)[at]), own)
        check_positive_definite(group, tuple(variables.names[i] for i in at))


def _enough(sums: ClusterSums, variables: Variables, n_inner: int) -> None:
    p, inner = len(variables.at_between), len(variables.at_within)
    if sums.n_clusters <= p:
        raise TooFewObservationsError(
            f"{sums.n_clusters} clusters for {p} variables at the level between: the unrestricted model needs more "
            "clusters than variables. Use fewer items, or cluster-robust errors of a single-level model.",
            n_clusters=sums.n_clusters,
            n_items=p,
        )
    if n_inner < inner:
        raise TooFewObservationsError(
            f"{sums.n_obs} rows in {sums.n_clusters} clusters leave {n_inner} degrees of freedom within clusters for "
            f"{inner} variables; at least {inner} are needed.",
            n_obs=sums.n_obs,
            n_clusters=sums.n_clusters,
        )
