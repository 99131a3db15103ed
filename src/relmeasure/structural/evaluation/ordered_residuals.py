r"""Standard errors of the residuals of ordered items: thresholds, polychoric correlations, moments of continuous items.

With ``s`` the sample moments of a group (covariance ``Gamma / n``), ``V`` the weights, ``J`` the Jacobian and ``E`` the
inverse information, the residuals are ``(I - J E J' V) s`` where the model holds, so that

.. math:: N \operatorname{var}(r_k) = \Gamma_k / w_k - J_k E J_k' V_k \Gamma_k - \Gamma_k V_k J_k E J_k'
          + J_k E \Big(\sum_g w_g J_g' V_g \Gamma_g V_g J_g\Big) E J_k'

with ``w`` the shares of the groups.

References
----------
Muthen, B., du Toit, S. H. C., & Spisic, D. (1997). Robust inference using weighted least squares and quadratic
estimating equations. Maydeu-Olivares, A. (2017). Psychometrika, 82, 533-558 (standardized residuals).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from relmeasure.structural.estimation.discrepancy import weigh
from relmeasure.structural.estimation.engine import Fitted
from relmeasure.structural.estimation.ordinal import CategoricalBlock, CategoricalLeastSquares

__all__ = ["error_matrices", "moment_errors", "threshold_residuals"]

Array = np.ndarray[Any, np.dtype[Any]]

_REPRODUCED = 1e-8
"""Share of a moment's variance that must be left in its residual; less is a moment that is reproduced exactly."""


def moment_errors(fitted: Fitted, objective: CategoricalLeastSquares, k: int, *, fitted_moments: bool) -> Array:
    """Return standard errors of the residuals of group k, or (``fitted_moments`` False) of its sample moments, (r,)."""
    group, share = fitted.engine.sample.groups[k], fitted.engine.sample.shares[k]
    spread = np.asarray(group.acov)
    own = np.diag(spread) / share
    left = own
    if fitted_moments:
        bread = fitted.expected_bread
        if bread is None:
            return np.full(len(own), np.nan)
        J = objective.jacobians(fitted.x)[k]
        JE = J @ bread
        left = own - 2.0 * (JE * (weigh(objective.V[k], J).T @ spread).T).sum(axis=1)
        left = left + ((JE @ fitted.categorical_meat) * JE).sum(axis=1)
    out: Array = np.sqrt(np.where(left > _REPRODUCED * own, left, np.nan) / fitted.engine.sample.n_obs)
    return out


def error_matrices(block: CategoricalBlock, errors: Array) -> tuple[Array, Array]:
    """Arrange errors of moments as a matrix (p, p) of covariances and a vector (p,) of means; NaN where none is."""
    p = block.structure.n_observed
    cov, mean = np.full((p, p), np.nan), np.full(p, np.nan)
    for place, i, j in block.cov:
        cov[i, j] = cov[j, i] = errors[place]
    for place, i in block.mean:
        mean[i] = errors[place]
    return cov, mean


def threshold_residuals(
    block: CategoricalBlock, residuals: Array, errors: Array | None
) -> list[tuple[str, str, float]]:
    """Return item, threshold and residual, divided by its standard error where errors are given."""
    table = block.table
    return [
        (table.lhs[row], table.rhs[row], float(residuals[place] / (1.0 if errors is None else errors[place])))
        for place, _, row in block.threshold
    ]
