"""Item statistics from moments: item-total correlations, and the scale with one item dropped.

Dropping an item is a rank-one change, so nothing is computed once per item: sums lose a row and a column, and the
inverse ``P`` of the correlations without item j has the diagonal ``P_ii - P_ij^2 / P_jj``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from relmeasure.numerics.coefficients import alpha_from_sums, alpha_variance_from_sums, prophecy

if TYPE_CHECKING:
    from relmeasure.samplestats.moments import MomentSums

__all__ = ["ITEM_COLUMNS", "item_columns", "median_correlation"]

Array = np.ndarray[Any, np.dtype[np.float64]]
Indices = np.ndarray[Any, np.dtype[np.intp]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

ITEM_COLUMNS = (
    "item", "n", "mean", "sd", "item_total_r", "item_total_r_std", "item_total_r_corrected", "item_rest_r",
    "alpha_if_dropped", "alpha_std_if_dropped", "lambda6_if_dropped", "average_r_if_dropped", "median_r_if_dropped",
    "var_r_if_dropped", "signal_noise_if_dropped", "alpha_se_if_dropped",
)  # fmt: skip
"""Columns of the item table, in order."""

_CHUNK = 1 << 22
"""Correlations held at once while medians over dropped items are taken."""

_CACHED = 1 << 14
"""Size of a mask that is kept for the next call."""


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
        "n": moments.count.diagonal().tolist(),
        "mean": moments.mean.tolist(),
        "sd": np.sqrt(cov.diagonal()).tolist(),
    }
    return out | {name: values.tolist() for name, values in columns.items()}


def _totals(cov: Array, cor: Array, inverse: Array | None) -> dict[str, Array]:
    """Correlations of each item with the total, the rest, and the total of common parts."""
    variances, rows, rows_std = cov.diagonal(), cov.sum(axis=1), cor.sum(axis=1)
    total = rows.sum()
    rest = total - 2.0 * rows + variances
    if inverse is None:
        corrected = np.full(len(cov), np.nan)
    else:  # item with its unique part taken out, against the sum of all items with theirs taken out
        unique = 1.0 / inverse.diagonal()
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
    variances, rows, squares = cov.diagonal(), cov.sum(axis=1), cov * cov
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
        diagonal = inverse.diagonal()
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


def median_correlation(cor: Array) -> float:
    """Median of the correlations below the diagonal; NaN if any is."""
    rows, cols, _ = _pairs(len(cor))
    return float(_median(cor[rows, cols][None, :])[0])


@lru_cache(maxsize=16)
def _pairs(p: int) -> tuple[Indices, Indices, Mask | None]:
    """Rows and columns of the pairs of p items, and which are left without each item (None if that is large)."""
    rows, cols = np.tril_indices(p, -1)
    return rows, cols, _left(rows, cols, np.arange(p)) if p * len(rows) <= _CACHED else None


def _left(rows: Indices, cols: Indices, items: Indices) -> Mask:
    out: Mask = (rows != items[:, None]) & (cols != items[:, None])
    return out


def _pairs_left(cor: Array) -> tuple[Array, Array]:
    """Median and variance of the correlations that are left when each item is dropped, arrays (p,)."""
    p = len(cor)
    rows, cols, cached = _pairs(p)
    values = cor[rows, cols]
    n_left = (p - 1) * (p - 2) // 2
    median, spread = np.empty(p), np.full(p, np.nan)
    step = p if cached is not None else max(1, _CHUNK // len(values))
    for start in range(0, p, step):
        items = np.arange(start, min(start + step, p))
        kept = cached if cached is not None else _left(rows, cols, items)
        left = np.broadcast_to(values, kept.shape)[kept].reshape(len(items), n_left)
        median[items] = _median(left)
        if n_left > 1:
            deviations = left - left.sum(axis=1, keepdims=True) / n_left
            spread[items] = (deviations * deviations).sum(axis=1) / (n_left - 1)
    return median, spread


def _median(rows: Array) -> Array:
    """Median of each row; NaN where the row holds one (it sorts to the end)."""
    ordered = np.sort(rows, axis=1)
    n = ordered.shape[1]
    middle = (ordered[:, (n - 1) // 2] + ordered[:, n // 2]) / 2.0
    out: Array = np.where(np.isnan(ordered[:, -1]), np.nan, middle)
    return out
