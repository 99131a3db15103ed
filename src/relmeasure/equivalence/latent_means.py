r"""Differences of factor means from a reference group, with effect sizes.

.. math:: d_g = \alpha_g / \sqrt{(n_r \psi_r + n_g \psi_g) / (n_r + n_g)}

with the factor mean ``alpha`` of group g (that of the reference group is zero) and factor variances ``psi``.

References
----------
Hancock, G. R. (2001). Psychometrika, 66, 373-388, eq. 6 (standardised difference of factor means). Sorbom, D. (1974).
British Journal of Mathematical and Statistical Psychology, 27, 229-239 (factor means).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from relmeasure.numerics.coefficients import normal_quantile
from relmeasure.results import Table
from relmeasure.structural.fit import StructuralFit

__all__ = ["COLUMNS", "mean_differences"]

Array = np.ndarray[Any, np.dtype[Any]]

COLUMNS = (
    "factor", "group", "reference", "difference", "se", "z", "pvalue", "lower", "upper", "effect_size",
    "effect_size_lower", "effect_size_upper",
)  # fmt: skip


def mean_differences(fit: StructuralFit) -> Table:
    """Return one row a factor and group other than the first, which is the reference; intervals are Wald intervals."""
    from scipy.special import ndtr

    table, values = fit.table, fit._fitted.row_values
    jacobian, covariance = fit._fitted.row_jacobian, np.asarray(fit.covariance)
    place = {(table.lhs[i], table.op[i], table.rhs[i], table.group[i]): i for i in range(len(table))}
    quantile = normal_quantile(fit.conf_level)
    n = [group.n_obs for group in fit.sample.groups]
    rows = []
    for factor in table.latent:
        reference = place[factor, "~~", factor, 1]
        for g in range(2, table.n_groups + 1):
            mean, own = place[factor, "~1", "", g], place[factor, "~~", factor, g]
            difference, slope = float(values[mean]), jacobian[mean]
            shares = n[0] / (n[0] + n[g - 1]), n[g - 1] / (n[0] + n[g - 1])
            pooled = shares[0] * values[reference] + shares[1] * values[own]
            se = _error(slope, covariance)
            effect, effect_se = math.nan, math.nan
            if pooled > 0:
                effect = difference / math.sqrt(pooled)
                spread = shares[0] * jacobian[reference] + shares[1] * jacobian[own]
                effect_se = _error(slope / math.sqrt(pooled) - 0.5 * effect / pooled * spread, covariance)
            z = difference / se if se > 0 else math.nan
            numbers = (
                *(
                    difference,
                    se,
                    z,
                    float(2.0 * ndtr(-abs(z))),
                    difference - quantile * se,
                    difference + quantile * se,
                ),
                *(effect, effect - quantile * effect_se, effect + quantile * effect_se),
            )
            names = (factor, table.groups[g - 1], table.groups[0])
            rows.append(dict(zip(COLUMNS, (*names, *numbers), strict=True)))
    return Table.from_rows(rows, COLUMNS)


def _error(slope: Array, covariance: Array) -> float:
    variance = float(slope @ covariance @ slope)
    return math.sqrt(variance) if variance > 0 else math.nan
