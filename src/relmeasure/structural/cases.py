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

from relmeasure.structural.implied import BlockState

__all__ = ["Cases", "GroupCases", "block_scores", "cluster_sums", "mean_fourth", "saturated_meat_trace"]

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
        Sampling weights, averaging one over all groups.
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


def block_scores(state: BlockState, W: Array, rows: Array, center: Array, spread: Array | None = None) -> Array:
    """Return the score of each row over the free parameters of a block, array (n, q).

    Parameters
    ----------
    state : BlockState
    W : array (p, p)
        Inverse of the implied covariance matrix.
    rows : array (n, p)
    center : array (p,)
        Implied means, or sample means where means are not modelled.
    spread : array (p, p), optional
        Covariance matrix about which the products of a row are centred; the implied one unless given.
    """
    structure, C = state.structure, state.C
    WC = W @ C
    U = (rows - center) @ WC
    expected = C.T @ WC if spread is None else WC.T @ spread @ WC
    a, b = structure.a, structure.b
    out: Array = U[:, a]
    first = out.copy() if structure.has_means else out
    out = (first * U[:, b] - expected[a, b]) * structure.s
    if structure.has_means:
        out += first * state.u
    return out


def cluster_sums(scores: Array, clusters: Index) -> Array:
    """Return the sums of rows by cluster, array (clusters, q)."""
    order = np.argsort(clusters, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(clusters[order]) > 0])
    out: Array = np.add.reduceat(scores[order], starts, axis=0)
    return out


def mean_fourth(rows: Array, center: Array, W: Array) -> float:
    """Return the mean of ``(x' W x)^2`` with ``x`` the deviations from the centre."""
    deviations = rows - center
    distance = ((deviations @ W) * deviations).sum(axis=1)
    return float((distance**2).mean())


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
        total = float((w2 * 0.5 * (square**2 - 2.0 * square + p)).mean())
        return total + (float((w2 * square).mean()) if means else 0.0)
    w = np.ones(len(Z)) if cases.weights is None else cases.weights
    first, second = np.triu_indices(p)
    scale = np.where(first == second, np.sqrt(0.5), 1.0)
    products = (Z[:, first] * Z[:, second] - (first == second)) * scale * w[:, None]
    total = float((cluster_sums(products, cases.clusters) ** 2).sum()) / len(Z)
    if means:
        total += float((cluster_sums(Z * w[:, None], cases.clusters) ** 2).sum()) / len(Z)
    return total
