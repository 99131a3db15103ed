r"""Rows behind the moments, for what moments cannot give: robust standard errors, robust tests, scores.

The score of person i under the normal likelihood has rank-two terms only. With ``z = W (y - mu)`` and ``U = C' z``,

.. math:: s_{ik} = s_k (U_a U_b - (C' W C)_{ab}) + u_k U_a,

so all scores cost one product of the rows with a small matrix.

References
----------
White, H. (1982). Econometrica, 50, 1-25. Yuan, K.-H., & Bentler, P. M. (2000). Sociological Methodology, 30, 165-200.
Satorra, A., & Bentler, P. M. (1994). In von Eye & Clogg (Eds.), Latent Variables Analysis, 399-419.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.structural.estimation.implied import BlockState

__all__ = [
    "Cases",
    "GroupCases",
    "block_scores",
    "cluster_meat",
    "cluster_sums",
    "fitted_scores",
    "fitted_weight_trace",
    "saturated_meat_trace",
]

Array = np.ndarray[Any, np.dtype[Any]]
Index = np.ndarray[Any, np.dtype[np.intp]]


@dataclass(frozen=True)
class GroupCases:
    """Rows of one group.

    Attributes
    ----------
    rows : array (n, p)
        Used rows only; NaN where an answer is missing.
    weights : array (n,) or None
        Sampling weights, averaging one over the rows of all groups: a group with larger ones counts for more rows
        (Asparouhov, 2005, Structural Equation Modeling, 12, 411-434, eq. 2: every row's log-likelihood times its
        weight).
    clusters : array (n,) or None
        Cluster number of each row, from zero, over all groups.
    at : array (n,) or None
        Place of each row among the rows handed in.
    second_clusters : array (n,) or None
        A second, crossed dimension of clusters.
    """

    rows: Array
    weights: Array | None = None
    clusters: Index | None = None
    at: Index | None = None
    second_clusters: Index | None = None

    @property
    def mass(self) -> float | None:
        """Sum of the weights; None without weights."""
        return None if self.weights is None else float(self.weights.sum())

    def subset(self, index: Sequence[int]) -> GroupCases:
        """Return the same rows with some of the variables."""
        return GroupCases(self.rows[:, list(index)], self.weights, self.clusters, self.at, self.second_clusters)


@dataclass(frozen=True)
class Cases:
    """Rows of all groups, variables in the order of the sample."""

    groups: tuple[GroupCases, ...]

    @property
    def n_obs(self) -> int:
        """Rows used."""
        return sum(len(group.rows) for group in self.groups)

    @property
    def clustered(self) -> bool:
        """Whether rows belong to clusters."""
        return self.groups[0].clusters is not None


def cluster_meat(scores: Array, clusters: Index, second: Index | None = None, groups: Index | None = None) -> Array:
    """Return the cross-product of cluster sums times ``g / (g - 1)``, array (q, q).

    With ``groups``, the group of each row, ``g`` counts the clusters of the group: where clusters are nested in groups,
    the groups are as independent as separate samples. Between groups that share clusters the factor is the geometric
    mean of theirs. With a second dimension, the two cross-products less that of their intersections (Cameron, Gelbach &
    Miller, 2011, Journal of Business & Economic Statistics, 29, 238-249, eq. 2.3).
    """
    totals = cluster_sums(scores * np.sqrt(_small_sample(clusters, groups))[:, None], clusters)
    out: Array = totals.T @ totals
    if second is None:
        return out
    both = np.unique(np.column_stack([clusters, second]), axis=0, return_inverse=True)[1].ravel()
    return out + cluster_meat(scores, second, groups=groups) - cluster_meat(scores, both, groups=groups)


def _small_sample(clusters: Index, groups: Index | None) -> Array:
    """Return ``g / (g - 1)`` of each row's group."""
    labels = np.zeros(len(clusters), dtype=np.intp) if groups is None else groups
    counts = np.array([len(np.unique(clusters[labels == k])) for k in range(int(labels.max()) + 1)], dtype=float)
    out: Array = (counts / (counts - 1.0))[labels]
    return out


def block_scores(state: BlockState, W: Array, rows: Array, center: Array) -> Array:
    """Return the score of each row over the free parameters of a block, array (n, q).

    Parameters
    ----------
    state : BlockState
    W : array (p, p)
        Inverse of the implied covariance matrix.
    rows : array (n, p)
    center : array (p,)
        Implied means, or sample means where means are not modelled.
    """
    structure, C = state.structure, state.C
    WC = W @ C
    U = (rows - center) @ WC
    expected = C.T @ WC
    a, b = structure.a, structure.b
    first: Array = U[:, a]
    out: Array = (first * U[:, b] - expected[a, b]) * structure.s
    if structure.has_means:
        out += first * state.u
    return out


def cluster_sums(scores: Array, clusters: Index) -> Array:
    """Return the sums of rows by cluster, array (clusters, q)."""
    order = np.argsort(clusters, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(clusters[order]) > 0])
    out: Array = np.add.reduceat(scores[order], starts, axis=0)
    return out


def given_exogenous(deviations: Array, exo: list[int]) -> Array | None:
    """Return what exogenous variables predict of each row's deviations; None without such variables.

    With these fixed, only the rest of the products ``d d'`` is random.
    """
    if not exo:
        return None
    x = deviations[:, exo]
    predicted: Array = x @ np.linalg.lstsq(x, deviations, rcond=None)[0]
    return predicted


def fitted_weight_trace(deviations: Array, W: Array, exo: list[int], *, means: bool) -> float:
    """Return ``tr(V Gamma)``: normal-theory weights at ``W``, fourth moments of the rows given exogenous variables."""
    hat = given_exogenous(deviations, exo)
    own = ((deviations @ W) * deviations).sum(axis=1)
    fourth, second = own**2, deviations.T @ deviations / len(deviations)
    if hat is not None:
        HW = hat @ W
        both, theirs = (HW * deviations).sum(axis=1), (HW * hat).sum(axis=1)
        fourth = fourth - 2.0 * both**2 + theirs**2
        second = second - hat.T @ hat / len(hat)
    A = W @ second
    trace = 0.5 * (float(fourth.mean()) - float((A * A.T).sum()))
    return trace + (float(np.trace(A)) if means else 0.0)


def fitted_scores(state: BlockState, W: Array, deviations: Array, exo: list[int]) -> Array:
    """Return the gradient of each row's squared residual moments with weights at the model, array (n, q).

    These are the scores of Satorra and Bentler: products of deviations from the sample means, centred at their
    averages.
    """
    structure = state.structure
    a, b = structure.a, structure.b
    WC = W @ state.C
    U = deviations @ WC
    products, linear = U[:, a] * U[:, b], U[:, a]
    hat = given_exogenous(deviations, exo)
    if hat is not None:
        H = hat @ WC
        products, linear = products - H[:, a] * H[:, b], linear - H[:, a]
    out: Array = (products - products.mean(axis=0)) * structure.s
    return out + linear * state.u if structure.has_means else out


def saturated_meat_trace(cases: GroupCases, center: Array, cov: Array, *, means: bool) -> float:
    r"""Return ``tr(A^{-1} B)`` of the saturated model: ``A`` its information, ``B`` the covariance of its scores.

    Without clusters and weights this is ``(b - p) / 2``, plus ``p`` with means, where ``b`` is the mean fourth power of
    the Mahalanobis distance (Mardia, 1970, Biometrika, 57, 519-530, eq. 3.10).
    """
    root = np.linalg.cholesky(cov)
    Z = np.linalg.solve(root, (cases.rows - center).T).T
    p = Z.shape[1]
    if cases.clusters is None:
        w2 = 1.0 if cases.weights is None else cases.weights**2
        square = (Z * Z).sum(axis=1)
        total = float((w2 * 0.5 * (square**2 - 2.0 * square + p)).sum())
        return (total + (float((w2 * square).sum()) if means else 0.0)) / (cases.mass or len(Z))
    w = np.ones(len(Z)) if cases.weights is None else cases.weights
    first, second = np.triu_indices(p)
    scale = np.where(first == second, np.sqrt(0.5), 1.0)
    products = (Z[:, first] * Z[:, second] - (first == second)) * scale * w[:, None]
    parts = [products, Z * w[:, None]] if means else [products]
    meats = (cluster_meat(part, cases.clusters, cases.second_clusters) for part in parts)
    return sum(float(np.trace(meat)) for meat in meats) / (cases.mass or len(Z))
