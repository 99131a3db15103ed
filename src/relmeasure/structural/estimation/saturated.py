"""The unrestricted model under missing answers: its information, the covariance of its scores, scores of rows.

References
----------
Savalei, V. (2010). Psychological Methods, 15, 352-367. Yuan, K.-H., & Bentler, P. M. (2000). Sociological Methodology,
30, 165-200.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from relmeasure.samplestats.em import observed_information
from relmeasure.samplestats.patterns import MissingPatterns
from relmeasure.structural.estimation.cases import GroupCases, cluster_meat
from relmeasure.structural.estimation.full_information import pattern_inverses
from relmeasure.structural.estimation.implied import BlockState
from relmeasure.structural.estimation.samples import GroupSample

__all__ = ["available_moments", "incomplete_scores", "saturated_information", "saturated_meat"]

Array = np.ndarray[Any, np.dtype[Any]]


def saturated_information(group: GroupSample, mean: Array, cov: Array) -> Array:
    """Return the observed information of means and covariances (upper triangle along its rows), per row."""
    if group.patterns is None:
        raise ValueError("patterns of missing answers are needed")
    total = float(np.asarray(group.patterns.weight).sum())
    information: Array = observed_information(group.patterns, mean, cov) / total
    return information


def available_moments(patterns: MissingPatterns) -> tuple[Array, Array]:
    """Return means of all answers and covariances of all pairs of answers, these times ``(n - 1) / n`` of all rows."""
    seen = np.asarray(patterns.observed, dtype=float)
    w = np.asarray(patterns.weight)
    means = np.asarray(patterns.mean)
    weighed = seen * w[:, None]
    count = weighed.T @ seen
    first = (means * weighed).T @ seen  # sums of the row variable over the rows of the pair
    products = np.asarray(patterns.scatter).sum(axis=0) + (means * weighed).T @ (means * seen)
    n = float(w.sum())
    cov = (products - first * first.T / count) / (count - 1.0) * ((n - 1.0) / n)
    return np.diag(first) / np.diag(count), cov


def saturated_meat(cases: GroupCases, mean: Array, cov: Array) -> Array:
    """Return the covariance of the scores of means and covariances, per row (sum of weights); of sums of clusters."""
    p = cases.rows.shape[1]
    n = cases.mass or len(cases.rows)
    Z, W, where = _pulled_rows(cases.rows, mean, cov)
    i, j = np.triu_indices(p)
    scale = np.where(i == j, 0.5, 1.0)
    scores = np.concatenate([Z, (Z[:, i] * Z[:, j] - W[where][:, i, j]) * scale], axis=1)
    if cases.weights is not None:
        scores *= cases.weights[:, None]
    if cases.clusters is not None:
        out: Array = cluster_meat(scores, cases.clusters, cases.second_clusters) / n
    else:
        out = scores.T @ scores / n
    return out


def incomplete_scores(state: BlockState, rows: Array) -> Array:
    """Return the score of each row over the free parameters of a block, from what the row holds; array (n, q)."""
    Z, W, where = _pulled_rows(rows, state.mu, state.sigma)
    a, b = state.structure.a, state.structure.b
    C = state.C
    U = Z @ C
    expected = np.einsum("pk,gpk->gk", C[:, a], W @ C[:, b])
    first: Array = U[:, a]
    out: Array = (first * U[:, b] - expected[where]) * state.structure.s + first * state.u
    return out


def _pulled_rows(rows: Array, mean: Array, cov: Array) -> tuple[Array, Array, Array]:
    """Return ``W_j (y - mu)`` of each row (n, p), the inverses by pattern (g, p, p), and each row's pattern."""
    seen = ~np.isnan(rows)
    patterns, where = np.unique(seen, axis=0, return_inverse=True)
    where = where.ravel()
    found = pattern_inverses(patterns.astype(np.int64), cov)
    if found is None:
        raise np.linalg.LinAlgError("the covariance matrix is not positive definite")
    d = np.where(seen, rows - mean, 0.0)
    Z = np.empty_like(d)
    order = np.argsort(where, kind="stable")
    bounds = np.searchsorted(where[order], np.arange(len(patterns) + 1))
    for g in range(len(patterns)):
        here = order[bounds[g] : bounds[g + 1]]
        Z[here] = d[here] @ found.W[g]
    return Z, found.W, where
