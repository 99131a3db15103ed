"""Reliability formulas on arrays, each once and with its id.

Functions take covariances or correlations ``(p, p)``, loadings ``(p,)`` and uniquenesses ``(p,)`` and return numbers.
They check nothing: the public functions do that. Functions of sums broadcast, so that the same formula serves the scale
and every scale with one item dropped.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

__all__ = [
    "DEFINITIONS",
    "alpha_from_cov",
    "alpha_from_sums",
    "alpha_variance",
    "alpha_variance_from_sums",
    "average_correlation",
    "average_variance_extracted",
    "feldt_interval",
    "fisher_z_interval",
    "guttman_lambdas",
    "inverse_or_none",
    "maximal_reliability",
    "normal_quantile",
    "omega_from_loadings",
    "prophecy",
    "residual_variances",
    "wald_interval",
]

Array = np.ndarray[Any, np.dtype[np.float64]]
Denominator = Literal["implied", "observed"]

DEFINITIONS: dict[str, str] = {
    "alpha.raw": "k / (k - 1) * (1 - trace(C) / sum(C)), C the item covariances",
    "alpha.standardized": "k r / (1 + (k - 1) r), r the average item correlation",
    "spearman_brown.two_halves": "2 r / (1 + r), r the correlation of the two items or halves",
    "omega_total.implied_variance": "(sum l)^2 / ((sum l)^2 + sum u), one-factor loadings l and uniquenesses u",
    "omega_total.observed_variance": "(sum l)^2 / sum(S), one-factor loadings l, S the item covariances with divisor N",
    "average_variance_extracted": "sum l^2 / (sum l^2 + sum u)",
    "maximal_reliability.h": "t / (1 + t), t = sum l^2 / u",
    "split_half.flanagan_rulon": "4 cov(a, b) / var(a + b), a and b the sums of the two halves",
    "lambda1": "1 - trace(M) / sum(M), M the covariances or correlations",
    "lambda2": "lambda1 + sqrt(k / (k - 1) * sum of squared off-diagonal M) / sum(M)",
    "lambda3": "k / (k - 1) * lambda1",
    "lambda4": "largest split_half.flanagan_rulon over splits into halves whose sizes differ by at most one",
    "lambda5": "lambda1 + 2 sqrt(largest column sum of squared off-diagonal M) / sum(M)",
    "lambda6": "1 - sum of residual variances of each item given the others / sum(M)",
}
"""Every coefficient by its id: the formula in words, as results and documents print it."""


# --------------------------------------------------------------------------- alpha
def alpha_from_sums(n_items: Any, trace: Any, total: Any) -> Any:
    """``k / (k - 1) * (1 - trace / total)`` (Cronbach, 1951, Psychometrika 16, 297-334, eq. 2); broadcasts."""
    return n_items / (n_items - 1) * (1.0 - trace / total)


def alpha_from_cov(cov: Array) -> float:
    """Coefficient alpha of a covariance matrix (p, p); of a correlation matrix, Guttman's lambda3 of it.

    Examples
    --------
    >>> import numpy as np
    >>> alpha_from_cov(np.array([[1.0, 0.5, 0.5], [0.5, 1.0, 0.5], [0.5, 0.5, 1.0]]))
    0.75
    """
    return float(alpha_from_sums(len(cov), np.trace(cov), cov.sum()))


def alpha_variance_from_sums(n_items: Any, trace: Any, total: Any, squares: Any, row_squares: Any) -> Any:
    """N times the sampling variance of alpha under normality; broadcasts.

    van Zyl, Neudecker and Nel (2000, Psychometrika 65, 271-280), as in Duhachek and Iacobucci (2004, Journal of Applied
    Psychology 89, 792-808):
    ``2 k^2 / ((k - 1)^2 T^3) * (T (tr C^2 + tr(C)^2) - 2 tr(C) 1'C^2 1)``, T the sum of C.

    Parameters
    ----------
    n_items, trace, total : number or array
        k, trace of C, sum of C.
    squares : number or array
        Sum of squared elements of C, ``tr C^2``.
    row_squares : number or array
        Sum of squared row sums of C, ``1'C^2 1``.
    """
    shape = 2.0 * n_items**2 / ((n_items - 1) ** 2 * total**3)
    return shape * (total * (squares + trace**2) - 2.0 * trace * row_squares)


def alpha_variance(cov: Array) -> float:
    """N times the sampling variance of alpha for a covariance matrix (p, p); see ``alpha_variance_from_sums``."""
    rows = cov.sum(axis=1)
    squares = np.vdot(cov, cov)
    return float(alpha_variance_from_sums(len(cov), np.trace(cov), rows.sum(), squares, rows @ rows))


def average_correlation(cor: Array) -> float:
    """Mean of the off-diagonal correlations of a matrix (p, p)."""
    p = len(cor)
    return float((cor.sum() - p) / (p * (p - 1)))


def prophecy(correlation: Any, factor: Any) -> Any:
    """Spearman-Brown: reliability of ``factor`` parallel parts that correlate ``correlation``; broadcasts.

    With two halves and factor 2 it is the split-half formula, with k items and their average correlation it is
    standardized alpha (Spearman, 1910, British Journal of Psychology 3, 271-295; Brown, 1910, same volume,
    296-322).
    """
    return factor * correlation / (1.0 + (factor - 1.0) * correlation)


# --------------------------------------------------------------------------- omega and its kin
def omega_from_loadings(
    loadings: Array, uniquenesses: Array, *, denominator: Denominator = "implied", cov: Array | None = None
) -> float:
    """Coefficient omega of a one-factor model (McDonald, 1999, Test theory: a unified treatment, chapter 6).

    Parameters
    ----------
    loadings, uniquenesses : array (p,)
        Loadings on a factor of variance one, and residual variances, in one metric.
    denominator : {"implied", "observed"}
        Variance of the sum score: implied by the model, or observed.
    cov : array (p, p), optional
        The covariances that were fitted; needed for ``"observed"``.

    Examples
    --------
    >>> import numpy as np
    >>> round(omega_from_loadings(np.array([0.8, 0.7, 0.6]), np.array([0.36, 0.51, 0.64])), 4)
    0.7449
    """
    common = float(loadings.sum()) ** 2
    if denominator == "observed" and cov is not None:
        return common / float(cov.sum())
    return common / (common + float(uniquenesses.sum()))


def average_variance_extracted(loadings: Array, uniquenesses: Array) -> float:
    """Share of item variance that is common (Fornell and Larcker, 1981, J. Marketing Research 18, 39-50)."""
    common = float(loadings @ loadings)
    return common / (common + float(uniquenesses.sum()))


def maximal_reliability(loadings: Array, uniquenesses: Array) -> float:
    """Coefficient H: reliability of the optimally weighted composite (Hancock and Mueller, 2001)."""
    information = float((loadings**2 / uniquenesses).sum())
    return information / (1.0 + information)


# --------------------------------------------------------------------------- lambdas
def inverse_or_none(matrix: Array) -> Array | None:
    """Inverse of a positive definite matrix, or None where it is not one to working precision.

    The squared Cholesky pivots of the matrix scaled to unit diagonal are ``1 - R^2`` of each item given those before
    it; one below ``p`` times 1e-12 counts as zero.
    """
    scale = np.sqrt(matrix.diagonal())
    if not np.isfinite(matrix).all() or not (scale > 0).all():
        return None
    scaled = matrix / np.outer(scale, scale)
    try:
        factor = np.linalg.cholesky(scaled)
    except np.linalg.LinAlgError:
        return None
    if float(factor.diagonal().min()) ** 2 < 1e-12 * len(matrix):
        return None
    half = np.linalg.inv(factor)
    inverse: Array = (half.T @ half) / np.outer(scale, scale)
    return inverse


def residual_variances(inverse: Array) -> Array:
    """Residual variance of each item given the others, from the inverse; one minus it is the SMC on correlations."""
    out: Array = 1.0 / inverse.diagonal()
    return out


def guttman_lambdas(matrix: Array, lambda4: float) -> dict[str, float]:
    """Guttman's six lower bounds of reliability (Guttman, 1945, Psychometrika 10, 255-282).

    Parameters
    ----------
    matrix : array (p, p)
        Covariances or correlations.
    lambda4 : float
        The largest split-half coefficient, which takes a search.

    Returns
    -------
    dict
        ``lambda1`` ... ``lambda6``; ``lambda6`` is NaN where the matrix is not positive definite.
    """
    p, total = len(matrix), float(matrix.sum())
    squares = matrix**2
    columns = squares.sum(axis=0) - squares.diagonal()
    first = 1.0 - float(np.trace(matrix)) / total
    inverse = inverse_or_none(matrix)
    return {
        "lambda1": first,
        "lambda2": first + float(np.sqrt(p / (p - 1) * columns.sum())) / total,
        "lambda3": alpha_from_cov(matrix),
        "lambda4": lambda4,
        "lambda5": first + 2.0 * float(np.sqrt(columns.max())) / total,
        "lambda6": float("nan") if inverse is None else 1.0 - float(residual_variances(inverse).sum()) / total,
    }


# --------------------------------------------------------------------------- intervals
def normal_quantile(conf_level: float) -> float:
    """Two-sided quantile of the standard normal distribution."""
    from scipy.special import ndtri

    return float(ndtri(0.5 + conf_level / 2.0))


def wald_interval(estimate: float, se: float, conf_level: float) -> tuple[float, float]:
    """Estimate plus and minus the normal quantile times its standard error."""
    half = normal_quantile(conf_level) * se
    return estimate - half, estimate + half


def feldt_interval(alpha: float, n_obs: float, n_items: int, conf_level: float) -> tuple[float, float]:
    """Interval of alpha from the F distribution.

    Feldt, Woodruff and Salih (1987, Applied Psychological Measurement 11, 93-103):
    ``1 - (1 - alpha) F`` with the upper and lower quantile of F on ``n - 1`` and ``(n - 1)(k - 1)`` degrees of freedom;
    exact for normal items with equal covariances and equal error variances.
    """
    from scipy.special import fdtri

    first = n_obs - 1.0
    second = first * (n_items - 1.0)
    tail = (1.0 - conf_level) / 2.0
    return (
        1.0 - (1.0 - alpha) * float(fdtri(first, second, 1.0 - tail)),
        1.0 - (1.0 - alpha) * float(fdtri(first, second, tail)),
    )


def fisher_z_interval(correlation: float, n_obs: float, conf_level: float) -> tuple[float, float]:
    """Interval of a correlation through ``atanh`` with standard error ``1 / sqrt(n - 3)`` (Fisher, 1921)."""
    if n_obs <= 3 or not abs(correlation) < 1.0:
        return float("nan"), float("nan")
    lower, upper = wald_interval(float(np.arctanh(correlation)), 1.0 / float(np.sqrt(n_obs - 3.0)), conf_level)
    return float(np.tanh(lower)), float(np.tanh(upper))
