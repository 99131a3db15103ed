"""Asymptotic covariance of thresholds and polychoric correlations, by influence functions.

In two-step estimation a row moves an estimate by its influence. For threshold k of item i it is
``w (1(x_i <= k) - F_k) / (W_i phi(tau_k))``; for the correlation of items i and j

``w [ s(x_i, x_j) / W_ij - I_i' IF_tau_i(x_i) - I_j' IF_tau_j(x_j) ] / I_rho``

where s is the derivative of the log cell probability by rho, and the I are minus the mean derivatives of s by rho and
by the thresholds. By default they are mean cross-products of scores (Muthen, 1984, section 3), as lavaan and Mplus
take them; that is right while the latent responses are normal. ``information="observed"`` takes the second derivatives
themselves (Huber, 1967), which stays right when they are not: on real ratings it can make standard errors of
correlations a fifth larger, as the bootstrap does. All of it depends on a row only through its cell, so
each pair has one small table of influences: standard errors are sums over that table, and the full covariance is
``V'V`` with V the rows looked up in the tables, one cross-product and no loop over pairs of pairs.

Rows where only one of the two items was answered carry the influence of that item's thresholds (pairwise data).

References
----------
Muthen, B. (1984). A general structural equation model with dichotomous, ordered categorical, and continuous latent
variable indicators. Psychometrika, 49, 115-132. Huber, P. J. (1967). The behavior of maximum likelihood estimates under
nonstandard conditions. Proceedings of the Fifth Berkeley Symposium, 1, 221-233 (section 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from relmeasure.numerics.normal import (
    Array,
    normal_density,
    rectangle_limit_slopes,
    rectangle_rho_bends,
    rectangle_rho_slopes,
)
from relmeasure.samplestats.contingency import Codes, ContingencyTables, item_pairs
from relmeasure.samplestats.twostep import Margin, Solution, Stack

__all__ = ["Influence", "Information", "influence_of_rows", "pair_influence", "row_products"]

Information = Literal["crossproduct", "observed"]
"""How the derivatives of the estimating equations are estimated."""

_BLOCK_VALUES = 1 << 22
"""Influences a block of rows may hold (32 MB)."""


@dataclass(frozen=True)
class Influence:
    """What a row of given answers adds to each estimate.

    ``thresholds``: one array (K + 1, t_i) an item; ``pairs``: (m, K + 1, K + 1); the last index is a missing answer.
    Influences are per unit weight, in units of the estimate: their sum of squares over rows is its variance.
    """

    thresholds: list[Array]
    pairs: Array


def threshold_influence(item: Margin, k: int) -> Array:
    """Return the influence of each answer on the thresholds of its item, array (K + 1, t)."""
    out = np.zeros((k + 1, len(item.cuts)))
    below = np.arange(len(item.kept))[:, None] <= np.arange(len(item.cuts))
    if len(item.cuts):
        out[item.kept] = (below - item.cumulative) / (item.total * normal_density(item.cuts))
    return out


def pair_influence(stack: Stack, solution: Solution, items: list[Margin], information: Information) -> Array:
    """Return the influence of each cell on the correlations of a stack, array (a + 2, b + 2, m); last is missing.

    NaN where the correlation stands at its bound.
    """
    rho = np.where(solution.at_bound == 0, solution.rho, 0.0)
    total = stack.counts.sum(axis=(0, 1))
    cells = solution.cells
    score = rectangle_rho_slopes(stack.rows, stack.cols, rho) / cells
    share = stack.counts / total / cells
    by_row, by_col = rectangle_limit_slopes(stack.rows, stack.cols, rho)
    weight = share * score
    inverse = (weight * score * cells).sum(axis=(0, 1))
    cross_row = ((weight[:-1] - weight[1:]) * by_row).sum(axis=1)
    cross_col = ((weight[:, :-1] - weight[:, 1:]) * by_col).sum(axis=0)
    if information == "observed":
        by_rho, row_bends, col_bends = rectangle_rho_bends(stack.rows, stack.cols, rho)
        inverse -= (share * by_rho).sum(axis=(0, 1))
        cross_row -= ((share[:-1] - share[1:]) * row_bends).sum(axis=1)
        cross_col -= ((share[:, :-1] - share[:, 1:]) * col_bends).sum(axis=0)
    a, b, m = score.shape
    out = np.zeros((a + 1, b + 1, m))
    out[:a, :b] = score / total
    out[:a] -= _margin_part(cross_row / normal_density(stack.rows), [items[i] for i in stack.first])[:, None]
    out[:, :b] -= _margin_part(cross_col / normal_density(stack.cols), [items[j] for j in stack.second])[None, :]
    return np.asarray(np.where(solution.at_bound == 0, out / inverse, np.nan))


def _margin_part(cross: Array, items: list[Margin]) -> Array:
    """Return ``I' IF_tau(x)`` for each answer x, array (categories, m): a sum over the thresholds at or above x."""
    t, m = cross.shape
    out = np.zeros((t + 1, m))
    out[:t] = np.cumsum(cross[::-1], axis=0)[::-1]
    out -= (cross * np.array([item.cumulative for item in items]).T).sum(axis=0)
    return np.asarray(out / np.array([item.total for item in items]))


def influence_variances(influence: Influence, tables: ContingencyTables) -> tuple[list[Array], Array]:
    """Return the variances of thresholds (one array an item) and of correlations (m,), from the tables alone."""
    joint = tables.joint if tables.joint_squares is None else tables.joint_squares
    marginal = tables.marginal if tables.marginal_squares is None else tables.marginal_squares
    first, second = item_pairs(tables.n_items)
    taus = [counts @ t[:-1] ** 2 for counts, t in zip(marginal, influence.thresholds, strict=True)]
    squared = influence.pairs**2
    both = (joint * squared[:, :-1, :-1]).sum(axis=(1, 2))
    only_first = np.maximum(marginal[first] - joint.sum(axis=2), 0.0)
    only_second = np.maximum(marginal[second] - joint.sum(axis=1), 0.0)
    alone = (only_first * squared[:, :-1, -1]).sum(axis=1) + (only_second * squared[:, -1, :-1]).sum(axis=1)
    return taus, both + alone


# --------------------------------------------------------------------------- rows
def influence_of_rows(influence: Influence, codes: Codes, weights: np.ndarray | None) -> Array:
    """Return the influence of each row on each estimate, array (q, n): thresholds by item, then correlations."""
    p = len(influence.thresholds)
    first, second = item_pairs(p)
    k = influence.pairs.shape[1]
    answers = np.where(codes < 0, k - 1, codes).T.astype(np.intp)
    n_thresholds = sum(t.shape[1] for t in influence.thresholds)
    out = np.empty((n_thresholds + len(first), answers.shape[1]))
    start = 0
    for item, table in zip(answers, influence.thresholds, strict=True):
        out[start : start + table.shape[1]] = table.T[:, item]
        start += table.shape[1]
    flat = influence.pairs.reshape(len(first), -1)
    rows = answers * k
    for row, pair, i, j in zip(out[start:], flat, first, second, strict=True):
        np.take(pair, rows[i] + answers[j], out=row, mode="clip")
    if weights is not None:
        out *= weights
    return out


def row_products(influence: Influence, codes: Codes, weights: np.ndarray | None = None) -> Array:
    """Return ``V'V`` over the rows, array (q, q): the covariance of all estimates. Chunks of rows add up."""
    from scipy.linalg.blas import dsyrk

    q = sum(t.shape[1] for t in influence.thresholds) + len(influence.pairs)
    total = np.zeros((q, q), order="F")
    step = max(64, _BLOCK_VALUES // max(q, 1))
    for start in range(0, len(codes), step):
        w = None if weights is None else weights[start : start + step]
        block = influence_of_rows(influence, codes[start : start + step], w)
        total = dsyrk(1.0, block.T, beta=1.0, c=total, trans=1, lower=0, overwrite_c=1)
    diagonal = total.diagonal().copy()
    total = total + total.T  # the lower triangle was zero
    np.fill_diagonal(total, diagonal)
    return np.asarray(total)
