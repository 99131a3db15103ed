"""Statistics that are not sums of rows, handed in where rows are: a matrix out of a paper, or estimated moments."""

from __future__ import annotations

from typing import Any

import numpy as np

from relmeasure.exceptions import DataError, UnsupportedDataError
from relmeasure.samplestats.estimates import MomentEstimate
from relmeasure.samplestats.moments import MomentSums

__all__ = ["estimated_moments", "pair_moments", "refuse_matrix"]


def refuse_matrix(values: np.ndarray[Any, Any], *, least: int = 3) -> None:
    """Refuse rows that are a correlation or covariance matrix: they would be read as p persons.

    A matrix is square and symmetric with ones on its diagonal, or with positive numbers that are not all whole (answers
    that happen to be symmetric are whole).

    Raises
    ------
    UnsupportedDataError
    """
    if values.ndim != 2 or values.shape[0] != values.shape[1] or len(values) < least:
        return
    if not np.issubdtype(values.dtype, np.number) or not np.isfinite(values).all():
        return
    diagonal = np.diag(values)
    if not np.allclose(values, values.T) or (diagonal <= 0).any():
        return
    if np.allclose(diagonal, 1.0) or not (values == np.round(values)).all():
        kind = "correlation" if np.allclose(diagonal, 1.0) else "covariance"
        raise UnsupportedDataError(f"These data are a {kind} matrix: hand it in with its N, as (matrix, n).")


def pair_moments(pair: tuple[Any, ...]) -> MomentSums:
    """Return the moments of a pair (matrix, n): correlations or covariances, and the number of persons behind them.

    Parameters
    ----------
    pair : tuple
        A square matrix (an array, or a frame whose columns name the items), and N. Means are not known.

    Raises
    ------
    UnsupportedDataError, DataError
        Not such a pair; the message says what is wrong with it.

    Examples
    --------
    >>> import numpy as np
    >>> pair_moments((np.array([[1.0, 0.5], [0.5, 1.0]]), 213)).rule
    'published correlation matrix, N = 213'
    """
    if len(pair) != 2:
        raise UnsupportedDataError(f"A tuple is read as (matrix, n); this one has {len(pair)} elements.")
    matrix, n = pair
    names = [str(name) for name in getattr(matrix, "columns", ())]
    values = np.array(matrix, dtype=float)
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise DataError(f"A pair (matrix, n) holds a square matrix; this one is {values.shape}.")
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 2:
        raise DataError(f"A pair (matrix, n) holds the number of rows behind the matrix; this one holds {n!r}.")
    if not np.isfinite(values).all() or np.abs(values - values.T).max(initial=0.0) > 1e-6 * np.abs(values).max():
        raise DataError("A correlation or covariance matrix is finite and symmetric; this one is not.")
    variance = np.diag(values)
    if (variance <= 0.0).any():
        raise DataError("A correlation or covariance matrix has a positive diagonal; this one has not.")
    values = (values + values.T) / 2.0
    sd = np.sqrt(variance)
    if np.abs(values / np.outer(sd, sd)).max() > 1.0 + 1e-8:
        raise DataError("A correlation in this matrix is larger than 1.")
    if len(names) != len(values):
        names = [f"x{k + 1}" for k in range(len(values))]
    kind = "correlation" if np.allclose(variance, 1.0, rtol=0, atol=1e-8) else "covariance"
    unknown = np.full(len(values), np.nan)
    return MomentSums.from_covariance(values, unknown, int(n), names, origin=f"published {kind} matrix, N = {int(n)}")


def estimated_moments(estimate: MomentEstimate) -> MomentSums:
    """Return estimated or published moments in the form of sums, for estimators that read those."""
    return MomentSums.from_covariance(
        estimate.cov, estimate.mean, estimate.n_obs, estimate.names, origin=estimate.rule, weighted=estimate.weighted
    )
