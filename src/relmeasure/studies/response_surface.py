"""Response surfaces: what goes with agreement between two views, and what with the direction of their difference.

z = b0 + b1 t + b2 s + b3 t^2 + b4 t s + b5 s^2 over teachers, with t and s on one metric and its middle as zero.
Along the line of agreement (t = s) the surface rises with slope a1 and bends with a2; along the line of disagreement
(t = -s) with a3 and a4; a5 says whether the ridge lies on the line of agreement.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from relmeasure.exceptions import TooFewObservationsError

__all__ = ["response_surface"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_COEFFICIENTS = ("b0", "b1", "b2", "b3", "b4", "b5")

_SURFACE: dict[str, tuple[tuple[float, ...], str]] = {
    "a1": ((0, 1, 1, 0, 0, 0), "slope along agreement"),
    "a2": ((0, 0, 0, 1, 1, 1), "curvature along agreement"),
    "a3": ((0, 1, -1, 0, 0, 0), "slope along disagreement (teacher higher)"),
    "a4": ((0, 0, 0, 1, -1, 1), "curvature along disagreement"),
    "a5": ((0, 0, 0, 1, 0, -1), "ridge off the line of agreement"),
}

_MEANING = dict(
    zip(
        _COEFFICIENTS,
        ("intercept", "teacher", "students", "teacher squared", "teacher x students", "students squared"),
        strict=True,
    )
)


def response_surface(teacher: Array, students: Array, outcome: Array, *, conf_level: float) -> list[dict[str, Any]]:
    """Coefficients and surface values with robust standard errors.

    Parameters
    ----------
    teacher, students, outcome : array (J,)
        The two views on one metric, its middle as zero, and what they are to go with.
    conf_level : float

    Returns
    -------
    list of dict
        ``parameter``, ``meaning``, ``estimate``, ``se``, ``lower``, ``upper``, ``t``, ``df``, ``pvalue``,
        ``r_squared``.

    Notes
    -----
    Least squares; covariance HC3 (MacKinnon & White, 1985), under which sums of coefficients have exact variances.
    Errors of measurement in both views pull the coefficients toward zero; they are not corrected here.

    References
    ----------
    Edwards, J. R., & Parry, M. E. (1993). Academy of Management Journal, 36, 1577-1613.
    Shanock, L. R., et al. (2010). Journal of Business and Psychology, 25, 543-554.
    Humberg, S., Nestler, S., & Back, M. D. (2019). Social Psychological and Personality Science, 10, 409-419 (a5).

    Examples
    --------
    >>> import numpy as np
    >>> t, s = (x.ravel() for x in np.meshgrid(np.linspace(-2, 2, 5), np.linspace(-2, 2, 5)))
    >>> rows = response_surface(t, s, 1 + t + s - 0.5 * (t - s) ** 2, conf_level=0.95)
    >>> {row["parameter"]: round(row["estimate"], 6) + 0.0 for row in rows if row["parameter"][0] == "a"}
    {'a1': 2.0, 'a2': 0.0, 'a3': 0.0, 'a4': -2.0, 'a5': 0.0}
    """
    keep = ~(np.isnan(teacher) | np.isnan(students) | np.isnan(outcome))
    t, s, z = teacher[keep], students[keep], outcome[keep]
    design = np.column_stack([np.ones_like(t), t, s, t * t, t * s, s * s])
    n, p = design.shape
    if n <= p or np.linalg.matrix_rank(design) < p:
        raise TooFewObservationsError(
            f"A response surface has six coefficients; {n} teachers with both views and the outcome do not determine "
            "them.",
            n_teachers=n,
        )
    inverse = np.linalg.inv(design.T @ design)
    estimate = inverse @ design.T @ z
    residual = z - design @ estimate
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    weighted = design * (residual / np.maximum(1 - leverage, 1e-12))[:, None]
    covariance = inverse @ (weighted.T @ weighted) @ inverse
    spread = float(((z - z.mean()) ** 2).sum())
    r_squared = 1 - float(residual @ residual) / spread if spread > 0 else math.nan
    named = {name: (np.eye(6)[k], _MEANING[name]) for k, name in enumerate(_COEFFICIENTS)}
    named |= {name: (np.array(weights, dtype=float), meaning) for name, (weights, meaning) in _SURFACE.items()}
    return [
        {"parameter": name, "meaning": meaning}
        | _tested(float(weights @ estimate), math.sqrt(float(weights @ covariance @ weights)), n - p, conf_level)
        | {"r_squared": r_squared}
        for name, (weights, meaning) in named.items()
    ]


def _tested(estimate: float, se: float, df: int, conf_level: float) -> dict[str, float]:
    from scipy.special import stdtr, stdtrit

    margin = float(stdtrit(df, 1 - (1 - conf_level) / 2)) * se
    ratio = estimate / se if se > 0 else math.nan
    pvalue = 2 * float(stdtr(df, -abs(ratio))) if se > 0 else math.nan
    row = {"estimate": estimate, "se": se, "lower": estimate - margin, "upper": estimate + margin}
    return row | {"t": ratio, "df": float(df), "pvalue": pvalue}
