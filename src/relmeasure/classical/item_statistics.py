"""Item statistics from moments: item-total correlations, and the scale with one item dropped.

Dropping an item is a rank-one change, so nothing is computed once per item: sums lose a row and a column, and the
inverse ``P`` of the correlations without item j has the diagonal ``P_ii - P_ij^2 / P_jj``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from relmeasure.numerics.coefficients import alpha_from_sums, alpha_variance_from_sums, prophecy

if TYPE_CHECKING:
    from relmeasure.samplestats.moments import MomentSums

__all__ = ["ITEM_COLUMNS", "item_columns", "pair_correlations"]

Array = np.ndarray[Any, np.dtype[np.float64]]

ITEM_COLUMNS = (
    "item", "n", "mean", "sd", "item_total_r", "item_total_r_std", "item_total_r_corrected", "item_rest_r",
    "alpha_if_dropped", "alpha_std_if_dropped", "lambda6_if_dropped", "average_r_if_dropped", "median_r_if_dropped",
    "var_r_if_dropped", "signal_noise_if_dropped", "alpha_se_if_dropped",
)  # fmt: skip
"""Columns of the item table, in order."""

_CHUNK = 1 << 22
"""Correlations held at once while medians over dropped items are taken."""


def item_columns(
    moments: MomentSums, cov: Array, cor: Array, inverse: Array | None, n_obs: float
) -> dict[str, list[Any]]:
    """Return the columns of the item table.

    Parameters
    ----------
    moments : MomentSums
        Names, means and counts.
    cov, cor : array (p, p)
        Covariances and correlations of the items.
    inverse : array (p, p) or None
        Inverse of ``cor``; None where it is not positive definite: what needs it is then NaN.
    n_obs : float
        Rows that the standard error of alpha rests on; NaN gives no standard error.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {**_totals(cov, cor, inverse), **_dropped(cov, cor, inverse, n_obs)}
    out: dict[str, list[Any]] = {
        "item": list(moments.names),
        "n": np.diag(moments.count).tolist(),
        "mean": moments.mean.tolist(),
        "sd": np.sqrt(np.diag(cov)).tolist(),
    }
    return out | {name: values.tolist() for name, values in columns.items()}


def _totals(cov: Array, cor: Array, inverse: Array | None) -> dict[str, Array]:
    """Correlations of each item with the total, the rest, and the total of common parts."""
    variances, rows, rows_std = np.diag(cov), cov.sum(axis=1), cor.sum(axis=1)
    total = rows.sum()
    rest = total - 2.0 * rows + variances
    if inverse is None:
        corrected = np.full(len(cov), np.nan)
    else:  # item with its unique part taken out, against the sum of all items with theirs taken out
        unique = 1.0 / np.diag(inverse)
        corrected = (rows_std - unique) / np.sqrt(rows_std.sum() - unique.sum())
    return {
        "item_total_r": rows / np.sqrt(total * variances),
        "item_total_r_std": rows_std / np.sqrt(rows_std.sum()),
        "item_total_r_corrected": corrected,
        "item_rest_r": (rows - variances) / np.sqrt(rest * variances),
    }


def _dropped(cov: Array, cor: Array, inverse: Array | None, n_obs: float) -> dict[str, Array]:
    """Coefficients of the scale without each item; NaN where fewer than two items are left."""
    k = len(cov) - 1
    names = ITEM_COLUMNS[ITEM_COLUMNS.index("alpha_if_dropped") :]
    if k < 2:
        return {name: np.full(len(cov), np.nan) for name in names}
    variances, rows, squares = np.diag(cov), cov.sum(axis=1), cov * cov
    total = rows.sum() - 2.0 * rows + variances
    trace = variances.sum() - variances
    left = squares.sum() - 2.0 * squares.sum(axis=1) + variances**2
    row_squares = rows @ rows - 2.0 * (cov @ rows) + squares.sum(axis=1) - (rows - variances) ** 2
    variance = alpha_variance_from_sums(k, trace, total, left, row_squares)

    rows_std = cor.sum(axis=1)
    total_std = rows_std.sum() - 2.0 * rows_std + 1.0
    average = (total_std - k) / (k * (k - 1))
    median, spread = _pairs_left(cor)
    if inverse is None:
        lambda6 = np.full(len(cov), np.nan)
    else:
        diagonal = np.diag(inverse)
        residual = 1.0 / (diagonal - inverse**2 / diagonal[:, None])
        np.fill_diagonal(residual, 0.0)
        lambda6 = 1.0 - residual.sum(axis=1) / total_std
    values = (
        alpha_from_sums(k, trace, total),
        prophecy(average, k),
        lambda6,
        average,
        median,
        spread,
        k * average / (1.0 - average),
        np.sqrt(variance / n_obs),
    )
    return dict(zip(names, values, strict=True))


def pair_correlations(cor: Array) -> Array:
    """Return the correlations below the diagonal, array (p (p - 1) / 2,)."""
    rows, cols = np.tril_indices(len(cor), -1)
    out: Array = cor[rows, cols]
    return out


def _pairs_left(cor: Array) -> tuple[Array, Array]:
    """Median and variance of the correlations that are left when each item is dropped, arrays (p,)."""
    p = len(cor)
    rows, cols = np.tril_indices(p, -1)
    values = cor[rows, cols]
    n_left = (p - 1) * (p - 2) // 2
    median, spread = np.empty(p), np.full(p, np.nan)
    step = max(1, _CHUNK // len(values))
    for start in range(0, p, step):
        items = np.arange(start, min(start + step, p))[:, None]
        kept = (rows != items) & (cols != items)
        left = np.broadcast_to(values, kept.shape)[kept].reshape(len(items), n_left)
        median[start : start + step] = np.median(left, axis=1)
        if n_left > 1:
            spread[start : start + step] = left.var(axis=1, ddof=1)
    return median, spread
