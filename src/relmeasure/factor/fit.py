"""How well a factor solution reproduces correlations: chi-squares by name, RMSEA, TLI, CFI, BIC and residuals.

With the discrepancy ``F = log|Sigma| - log|R| + tr(R Sigma^-1) - p`` and N rows, ``chisq_bartlett`` is
``(N - 1 - (2p + 5)/6 - 2m/3) F`` and ``chisq_likelihood_ratio`` is ``N F``. One of them, ``chisq``, drives the indices
that rest on a chi-square.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

__all__ = ["ChiSquare", "degrees_of_freedom", "discrepancy", "fit_measures", "residual_measures", "rmsea_interval"]

Array = np.ndarray[Any, np.dtype[np.float64]]

ChiSquare = Literal["bartlett", "likelihood_ratio"]
"""Which chi-square drives RMSEA, TLI, CFI and BIC."""

_NAN = math.nan


def degrees_of_freedom(p: int, m: int) -> int:
    """Return ``((p - m)^2 - (p + m)) / 2``, the correlations less the free parameters of m factors."""
    return ((p - m) ** 2 - (p + m)) // 2


def discrepancy(cor: Array, implied: Array) -> float:
    """Return the normal-theory discrepancy of two correlation matrices; NaN where one has no determinant."""
    sign_r, log_r = np.linalg.slogdet(cor)
    sign_s, log_s = np.linalg.slogdet(implied)
    if sign_r <= 0 or sign_s <= 0 or log_r < -600.0:
        return _NAN
    return float(log_s - log_r + np.trace(np.linalg.solve(implied, cor)) - len(cor))


def fit_measures(
    cor: Array,
    common: Array,
    uniquenesses: Array,
    n_factors: int,
    n_obs: int,
    *,
    chisq: ChiSquare = "bartlett",
    conf_level: float = 0.90,
) -> dict[str, float]:
    """Compute every fit measure of a common factor solution.

    Parameters
    ----------
    cor, common : array (p, p)
        Correlations analysed, and their common part ``L Phi L'``.
    uniquenesses : array (p,)
    n_factors, n_obs : int
        m and N; without N (0) what needs it is NaN.
    chisq : {"bartlett", "likelihood_ratio"}
        Which chi-square drives RMSEA, TLI, CFI and BIC.
    conf_level : float
        Level of the RMSEA interval.

    Returns
    -------
    dict of float
        - ``n_obs, n_items, n_factors, df, objective`` (F);
        - ``chisq, pvalue``: the driving chi-square; ``chisq_bartlett``, ``chisq_likelihood_ratio`` and their p-values;
        - ``chisq_null, df_null``: of uncorrelated items, corrected as the driving one (Bartlett: with m = 0);
        - ``rmsea, rmsea_lower, rmsea_upper, rmsea_conf_level``: ``sqrt((chisq - df) / (df (N - 1)))``, N for the
          likelihood ratio (Steiger & Lind, 1980; Browne & Cudeck, 1993);
        - ``tli``: ``(F0/df0 - F/df) / (F0/df0 - 1/k)`` with ``k = chisq / F`` (Tucker & Lewis, 1973, eq. 14);
        - ``cfi``: ``1 - max(chisq - df, 0) / max(chisq_null - df_null, chisq - df, 0)`` (Bentler, 1990);
        - ``bic, sabic``: ``chisq - df log(N)`` and the same with ``log((N + 2) / 24)``;
        - the measures of ``residual_measures``.

    Examples
    --------
    >>> import numpy as np
    >>> cor = np.array([[1.0, 0.5, 0.4, 0.3], [0.5, 1.0, 0.4, 0.3], [0.4, 0.4, 1.0, 0.3], [0.3, 0.3, 0.3, 1.0]])
    >>> loadings = np.array([0.68, 0.68, 0.58, 0.46])
    >>> fit = fit_measures(cor, np.outer(loadings, loadings), 1 - loadings**2, 1, 200)
    >>> fit["df"], round(fit["chisq_bartlett"], 3), round(fit["chisq_likelihood_ratio"], 3)
    (2.0, 1.215, 1.239)
    """
    p, m, n = len(cor), n_factors, n_obs
    df, df_null = degrees_of_freedom(p, m), p * (p - 1) // 2
    f, f_null = discrepancy(cor, common + np.diag(uniquenesses)), discrepancy(cor, np.eye(p))
    k_bartlett = n - 1 - (2 * p + 5) / 6 - 2 * m / 3 if n else _NAN
    k_ratio = float(n) if n else _NAN
    k, k_null = (k_bartlett, n - 1 - (2 * p + 5) / 6) if chisq == "bartlett" else (k_ratio, k_ratio)
    driving, null = k * f, k_null * f_null
    per_df = n - 1 if chisq == "bartlett" else n
    usable = df > 0 and n > 0
    lower, upper = rmsea_interval(driving, df, per_df, conf_level) if usable else (_NAN, _NAN)
    return {
        "n_obs": float(n) if n else _NAN,
        "n_items": float(p),
        "n_factors": float(m),
        "df": float(df),
        "objective": f,
        "chisq": driving if usable else _NAN,
        "pvalue": _pvalue(driving, df),
        "chisq_bartlett": k_bartlett * f if usable else _NAN,
        "pvalue_bartlett": _pvalue(k_bartlett * f, df),
        "chisq_likelihood_ratio": k_ratio * f if usable else _NAN,
        "pvalue_likelihood_ratio": _pvalue(k_ratio * f, df),
        "chisq_null": null,
        "df_null": float(df_null),
        "rmsea": math.sqrt(max(driving - df, 0.0) / (df * per_df)) if usable and driving == driving else _NAN,
        "rmsea_lower": lower,
        "rmsea_upper": upper,
        "rmsea_conf_level": conf_level,
        "tli": (f_null / df_null - f / df) / (f_null / df_null - 1 / k) if usable else _NAN,
        "cfi": _cfi(driving, df, null, df_null) if usable else _NAN,
        "bic": driving - df * math.log(n) if usable else _NAN,
        "sabic": driving - df * math.log((n + 2) / 24) if usable else _NAN,
        **residual_measures(cor, common, uniquenesses, df, n),
    }


def residual_measures(cor: Array, common: Array, uniquenesses: Array, df: int, n_obs: int) -> dict[str, float]:
    """Compute what residual correlations alone tell.

    Parameters
    ----------
    cor, common, uniquenesses
        As in ``fit_measures``.
    df, n_obs : int

    Returns
    -------
    dict of float
        - ``srmr``: root mean square residual over the p (p + 1) / 2 distinct elements;
        - ``rmsr``: over the off-diagonal ones; ``rmsr_corrected``: their sum of squares (each pair once) over df;
        - ``chisq_residual``: N times the sum of all squared off-diagonal residuals (psych's empirical chi-square), and
          ``bic_residual``;
        - ``fit, fit_off_diagonal``: 1 less the share of squared correlations left by the common part, with and without
          the diagonal.
    """
    p = len(cor)
    left = cor - common
    diagonal = np.diag(left)
    off = float(((left - np.diag(diagonal)) ** 2).sum())
    total = float((cor**2).sum())
    return {
        "srmr": math.sqrt((off / 2 + float(((diagonal - uniquenesses) ** 2).sum())) / (p * (p + 1) / 2)),
        "rmsr": math.sqrt(off / (p * (p - 1))),
        "rmsr_corrected": math.sqrt(off / (2 * df)) if df > 0 else _NAN,
        "chisq_residual": n_obs * off if n_obs else _NAN,
        "bic_residual": n_obs * off - df * math.log(n_obs) if n_obs and df > 0 else _NAN,
        "fit": 1.0 - (off + float((diagonal**2).sum())) / total,
        "fit_off_diagonal": 1.0 - off / (total - float((np.diag(cor) ** 2).sum())),
    }


def rmsea_interval(chisq: float, df: int, per_df: float, conf_level: float) -> tuple[float, float]:
    """Return the interval of the RMSEA from the noncentral chi-square distribution (Browne & Cudeck, 1993).

    Parameters
    ----------
    chisq : float
    df : int
        Above zero.
    per_df : float
        What ``df`` is multiplied by in the RMSEA: N - 1 or N.
    conf_level : float
    """
    from scipy.special import chdtr, chndtrinc

    if not math.isfinite(chisq):
        return _NAN, _NAN
    bounds = []
    for share in (0.5 + conf_level / 2.0, 0.5 - conf_level / 2.0):
        noncentral = float(chndtrinc(chisq, df, share)) if float(chdtr(df, chisq)) > share else 0.0
        bounds.append(math.sqrt(max(noncentral, 0.0) / (df * per_df)))
    return bounds[0], bounds[1]


def _pvalue(chisq: float, df: int) -> float:
    from scipy.special import chdtrc

    return float(chdtrc(df, max(chisq, 0.0))) if df > 0 and math.isfinite(chisq) else _NAN


def _cfi(chisq: float, df: int, null: float, df_null: int) -> float:
    excess = max(chisq - df, 0.0)
    worst = max(null - df_null, excess)
    return 1.0 - excess / worst if worst > 0.0 else 1.0
