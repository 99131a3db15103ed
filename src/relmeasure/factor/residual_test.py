"""A test of fit for correlations whose sampling covariance is known but not that of N complete normal rows.

Such are polychorics, and correlations by full information under missing data. With e the residual correlations above
the diagonal, D the derivative of the reproduced ones, G the covariance of root-n sample correlations, W the weight
(minres: the identity; maximum likelihood: the inverse of G under normality), K the inverse of ``D'WD`` under the
constraints of the rotation, and ``V = W - W D K D'W``::

    T = (n - 1) e'e  (minres)  or  (n - 1) F  (maximum likelihood)
    scaled and shifted:  a T + b,  a = sqrt(df / tr((V G)^2)),  b = df - a tr(V G)

which has mean df and variance 2 df as a chi-square has. N - 1, here and in the RMSEA, is lavaan's convention (ULSMV).

References
----------
Asparouhov, T., & Muthen, B. (2010). Simple second order chi-square correction. Mplus technical appendix.
Savalei, V., & Bentler, P. M. (2009). A two-stage approach to missing data: theory and application to auxiliary
variables. Structural Equation Modeling, 16, 477-497.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from relmeasure.factor.fit import rmsea_interval
from relmeasure.factor.standard_errors import LoadingErrors

__all__ = ["scaled_and_shifted", "scaled_fit"]

Array = np.ndarray[Any, np.dtype[np.float64]]


def scaled_and_shifted(statistic: float, df: float, first: float, second: float) -> float:
    """Return the statistic with mean df and variance 2 df; ``first = tr(VG)`` and ``second = tr((VG)^2)``."""
    a = math.sqrt(df / second)
    return a * statistic + df - a * first


def scaled_fit(
    cor: Array, common: Array, errors: LoadingErrors, acov: Array, n_obs: int, fit: Mapping[str, float]
) -> dict[str, float]:
    """Return fit measures driven by the scaled and shifted chi-square, to be put over ``fit``.

    Parameters
    ----------
    cor, common : array (p, p)
    errors : LoadingErrors
        D, K and W.
    acov : array (p (p - 1) / 2, p (p - 1) / 2)
        Sampling covariance of the correlations: G / n.
    n_obs : int
    fit : mapping
        Of ``fit_measures``: df, the discrepancies and the level of the RMSEA interval.

    Returns
    -------
    dict of float
        ``chisq, pvalue, chisq_scaled, chisq_null, rmsea, rmsea_lower, rmsea_upper, tli, cfi``; ``bic`` and ``sabic``
        are NaN: there is no likelihood.
    """
    from scipy.special import chdtrc

    df, df_null = fit["df"], fit["df_null"]
    if df <= 0:
        return {}
    above = np.triu_indices(len(cor), 1)
    r, e = cor[above], (cor - common)[above]
    G = n_obs * acov
    weighted = errors.slopes if errors.weight is None else errors.weight @ errors.slopes
    VG = (G if errors.weight is None else errors.weight @ G) - weighted @ (errors.bread @ (weighted.T @ G))
    lack, lack_null = (
        (float(e @ e), float(r @ r)) if errors.weight is None else (fit["objective"], -float(np.linalg.slogdet(cor)[1]))
    )
    chisq = scaled_and_shifted((n_obs - 1) * lack, df, float(np.trace(VG)), float((VG * VG.T).sum()))
    null = scaled_and_shifted((n_obs - 1) * lack_null, df_null, float(np.trace(G)), float((G * G.T).sum()))
    excess, worst = max(chisq - df, 0.0), max(null - df_null, chisq - df, 0.0)
    lower, upper = rmsea_interval(chisq, int(df), n_obs - 1, fit["rmsea_conf_level"])
    return {
        "chisq": chisq,
        "pvalue": float(chdtrc(df, max(chisq, 0.0))),
        "chisq_scaled": chisq,
        "chisq_null": null,
        "rmsea": math.sqrt(excess / (df * (n_obs - 1))),
        "rmsea_lower": lower,
        "rmsea_upper": upper,
        "tli": (null / df_null - chisq / df) / (null / df_null - 1.0),
        "cfi": 1.0 - excess / worst if worst > 0.0 else 1.0,
        "bic": math.nan,
        "sabic": math.nan,
    }
