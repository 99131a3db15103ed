"""Cross-lagged regressions from moments: what each variable at one wave has to do with each at the next.

With two waves the model is saturated: every score of the later wave is regressed on all scores of the earlier wave,
B = S21 S11^-1. The effects follow from the moments by a formula, and their standard errors by the delta method with the
formula's analytic derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.exceptions import NotPositiveDefiniteError

__all__ = ["Lagged", "lagged_effects"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Lagged:
    """Effects of earlier on later scores.

    Attributes
    ----------
    estimate, std : array (L, E)
        Regression weights (rows: later scores, columns: earlier ones), raw and standardised by the standard deviations.
    jacobian, std_jacobian : array (L, E, k)
        Derivatives with respect to the lower triangle of the covariance matrix.
    """

    estimate: Array
    std: Array
    jacobian: Array
    std_jacobian: Array


def lagged_effects(cov: Array, earlier: Sequence[int], later: Sequence[int]) -> Lagged:
    """Regress the scores ``later`` on the scores ``earlier``.

    Parameters
    ----------
    cov : array (P, P)
        Covariance of all scores.
    earlier, later : sequence of int
        Places of the predictors and of the outcomes.

    Returns
    -------
    Lagged

    Raises
    ------
    NotPositiveDefiniteError
        The covariance of the earlier scores cannot be inverted, or a variance is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> cov = np.array([[1.0, 0.5, 0.6], [0.5, 1.0, 0.4], [0.6, 0.4, 1.0]])
    >>> lagged_effects(cov, [0, 1], [2]).estimate.round(4).tolist()  # R: solve(S11, S12)
    [[0.5333, 0.1333]]
    """
    e, lt = np.asarray(earlier), np.asarray(later)
    s11, s21 = cov[np.ix_(e, e)], cov[np.ix_(lt, e)]
    smallest = float(np.linalg.eigvalsh(s11)[0])
    if smallest <= 0 or (np.diag(cov)[lt] <= 0).any():
        raise NotPositiveDefiniteError(
            f"The true scores of the earlier wave have a covariance that cannot be inverted (smallest eigenvalue "
            f"{smallest:.2g}): there is more error than variance. More students a class or more classes are needed.",
            min_eigenvalue=smallest,
        )
    inverse = np.linalg.inv(s11)
    estimate = s21 @ inverse
    sd = np.sqrt(np.diag(cov))
    ratio = sd[e][None, :] / sd[lt][:, None]
    rows, columns = np.tril_indices(len(cov))
    jacobian = np.zeros((len(lt), len(e), len(rows)))
    std_jacobian = np.zeros_like(jacobian)
    for k, (r, c) in enumerate(zip(rows, columns, strict=True)):
        basis = np.zeros_like(cov)
        basis[r, c] = basis[c, r] = 1.0
        jacobian[:, :, k] = (basis[np.ix_(lt, e)] - estimate @ basis[np.ix_(e, e)]) @ inverse
        relative = np.diag(basis) / (2 * np.diag(cov))  # d log sd
        change = relative[e][None, :] - relative[lt][:, None]
        std_jacobian[:, :, k] = jacobian[:, :, k] * ratio + estimate * ratio * change
    return Lagged(estimate, estimate * ratio, jacobian, std_jacobian)
