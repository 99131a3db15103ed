r"""Differences of factor means from a reference group or wave, with effect sizes.

.. math:: d_g = \alpha_g / \sqrt{(n_r \psi_r + n_g \psi_g) / (n_r + n_g)}

with the factor mean ``alpha`` of unit g (that of the reference is zero) and factor variances ``psi``. Over waves the
people are the same, ``n_r = n_g``, and the denominator is that of the two waves, not the standard deviation of change.
With sampling weights ``n`` is the sum of a group's weights.

Difference and effect size have each their own standard error, p-value and interval (delta method). They can differ
where the factor variance of a group is poorly known, as with items of two categories: then so is the difference, which
is in units of the reference, and much of that uncertainty cancels in the effect size.

References
----------
Hancock, G. R. (2001). Psychometrika, 66, 373-388, eq. 6 (standardised difference of factor means). Sorbom, D. (1974).
British Journal of Mathematical and Statistical Psychology, 27, 229-239 (factor means).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from relmeasure.equivalence.layout import Layout
from relmeasure.numerics.coefficients import normal_quantile
from relmeasure.results import Table
from relmeasure.structural.fitted.fit import StructuralFit

__all__ = ["mean_columns", "mean_differences"]

Array = np.ndarray[Any, np.dtype[Any]]


def mean_columns(layout: Layout) -> tuple[str, ...]:
    """Columns of the table of differences."""
    numbers = ("", "_se", "_z", "_pvalue", "_lower", "_upper")
    difference = ("difference", *(name.removeprefix("_") for name in numbers[1:]))
    return ("factor", layout.over, "reference", *difference, *(f"effect_size{name}" for name in numbers))


def mean_differences(fit: StructuralFit, layout: Layout) -> Table:
    """Return one row a factor and unit other than the first, which is the reference; intervals are Wald intervals."""
    table, values = fit.table, fit._fitted.row_values
    jacobian, covariance = fit._fitted.row_jacobian, np.asarray(fit.covariance)
    quantile = normal_quantile(fit.conf_level)
    place = {at: i for i, row in enumerate(table.rows()) if (at := layout.place(row)) is not None}
    n = [1.0] * len(layout.units)
    if layout.over == "group":
        n = [float(group.n_obs) if group.weight is None else group.weight for group in fit.sample.groups]
    rows = []
    for factor in layout.factors(table):
        reference = place[1, f"{factor}~~{factor}"]
        for g in range(2, len(layout.units) + 1):
            mean, own = place[g, f"{factor}~1"], place[g, f"{factor}~~{factor}"]
            if not table.free[mean]:  # every intercept is released: no origin
                continue
            difference, slope = float(values[mean]), jacobian[mean]
            shares = n[0] / (n[0] + n[g - 1]), n[g - 1] / (n[0] + n[g - 1])
            pooled = shares[0] * values[reference] + shares[1] * values[own]
            se = _error(slope, covariance)
            effect, effect_se = math.nan, math.nan
            if pooled > 0:
                effect = difference / math.sqrt(pooled)
                spread = shares[0] * jacobian[reference] + shares[1] * jacobian[own]
                effect_se = _error(slope / math.sqrt(pooled) - 0.5 * effect / pooled * spread, covariance)
            names = (factor, layout.units[g - 1], layout.units[0])
            row = (*names, *_wald(difference, se, quantile), *_wald(effect, effect_se, quantile))
            rows.append(dict(zip(mean_columns(layout), row, strict=True)))
    return Table.from_rows(rows, mean_columns(layout))


def _wald(value: float, se: float, quantile: float) -> tuple[float, ...]:
    from scipy.special import ndtr

    z = value / se if se > 0 else math.nan
    return value, se, z, float(2.0 * ndtr(-abs(z))), value - quantile * se, value + quantile * se


def _error(slope: Array, covariance: Array) -> float:
    variance = float(slope @ covariance @ slope)
    return math.sqrt(variance) if variance > 0 else math.nan
