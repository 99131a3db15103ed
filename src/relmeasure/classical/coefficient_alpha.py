"""Coefficient alpha with its interval and item statistics."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from relmeasure.classical.item_statistics import ITEM_COLUMNS, item_columns, median_correlation
from relmeasure.classical.preparation import Prepared, finish, prepare, warn_direction
from relmeasure.exceptions import FewItemsWarning, NegativeReliabilityWarning, shorten
from relmeasure.numerics.coefficients import (
    alpha_from_cov,
    alpha_variance,
    average_correlation,
    feldt_interval,
    prophecy,
    residual_variances,
)
from relmeasure.responses.intake import as_moments
from relmeasure.results import Estimate, Table
from relmeasure.samplestats.moments import MissingMethod

__all__ = ["AlphaEstimate", "alpha", "alpha_from_prepared"]

FELDT = "Feldt (1987) F interval; normal-theory standard error (van Zyl et al., 2000; Duhachek & Iacobucci, 2004)"
WEIGHTED = "no interval: under sampling weights it needs an effective sample size, given as n_obs="


@dataclass(frozen=True, eq=False)
class AlphaEstimate(Estimate):
    """Coefficient alpha, and what is read beside it.

    Attributes
    ----------
    standardized : float
        Alpha of the standardized items, from the average correlation.
    average_r, median_r : float
        Mean and median of the item correlations.
    lambda6 : float
        Guttman's lambda 6 on the correlations (squared multiple correlations).
    signal_to_noise : float
        ``k r / (1 - r)`` with the average correlation r.
    score_mean, score_sd : float
        Mean and standard deviation of the mean score over the items, from the moments; for the sum score times
        ``n_items``.
    """

    standardized: float = math.nan
    average_r: float = math.nan
    median_r: float = math.nan
    lambda6: float = math.nan
    signal_to_noise: float = math.nan
    score_mean: float = math.nan
    score_sd: float = math.nan

    def _table(self) -> Table:
        extra = ("standardized", "average_r", "median_r", "lambda6", "signal_to_noise", "score_mean", "score_sd")
        return Table({**super()._table().columns, **{name: (getattr(self, name),) for name in extra}})


def alpha(
    data: Any,
    *,
    missing: MissingMethod = "listwise",
    conf_level: float = 0.95,
    weights: Any = None,
    n_obs: int | None = None,
) -> AlphaEstimate:
    """Compute coefficient alpha, its interval, and item statistics.

    ``alpha = k / (k - 1) * (1 - sum of item variances / variance of the sum)``, id ``alpha.raw``.

    Parameters
    ----------
    data : frame, array (n, k), responses or moments
        Items in columns, keyed in one direction, any numeric units; ``MomentSums`` are used as they are.
    missing : {"listwise", "pairwise"}
        Rows complete on all items (the rows dropped are counted in a warning), or for each pair the rows with both.
        Pairwise, the standard error and interval use the smallest N behind a pair, and a warning says so.
    conf_level : float
        Level of the interval.
    weights : array (n,) or column name, optional
        Sampling weights. The estimate is then weighted; a standard error and an interval are given only with ``n_obs``.
    n_obs : int, optional
        The N that the standard error and interval use with weighted or pairwise moments; others know theirs.

    Returns
    -------
    AlphaEstimate
        ``items`` has, for each item: n, mean, sd, ``item_total_r`` (raw.r in psych), ``item_total_r_std`` (std.r),
        ``item_total_r_corrected`` (r.cor: unique parts taken out by squared multiple correlations), ``item_rest_r``
        (r.drop), and alpha, standardized alpha, lambda 6, mean, median and variance of the correlations,
        signal-to-noise and standard error when the item is dropped.

        One item: no estimate, with the reason. Two items: a warning, since alpha then is no better than the
        Spearman-Brown coefficient. A constant item: a warning; alpha itself is still defined, with k counting that
        item, and all that needs correlations is missing.

    Raises
    ------
    TooFewObservationsError
        Fewer than two usable rows.
    OptionError
        ``missing``, ``conf_level`` or ``n_obs`` outside its allowed values.

    Notes
    -----
    Alpha is a lower bound to reliability when errors are uncorrelated, and equals it when items are tau-equivalent.
    It does not show that the items measure one thing. Items need no ordering; ordinal items are treated as numbers.
    Data of students in classes: the estimate describes students, not class means.

    References
    ----------
    Cronbach, L. J. (1951). Psychometrika, 16, 297-334, eq. 2.
    Feldt, L. S., Woodruff, D. J., & Salih, F. A. (1987). Applied Psychological Measurement, 11, 93-103.
    van Zyl, J. M., Neudecker, H., & Nel, D. G. (2000). Psychometrika, 65, 271-280.
    Duhachek, A., & Iacobucci, D. (2004). Journal of Applied Psychology, 89, 792-808.

    Examples
    --------
    >>> import numpy as np, relmeasure as rm
    >>> answers = np.array([[4, 3, 4], [2, 2, 1], [3, 3, 3], [1, 2, 1], [4, 4, 3], [2, 1, 2]])
    >>> result = rm.alpha(answers)  # R: psych::alpha(x)
    >>> round(result.estimate, 4), round(result.lower, 4), round(result.upper, 4)
    (0.9126, 0.6299, 0.9868)
    """
    prepared = prepare(as_moments(data, missing=missing, weights=weights), conf_level=conf_level, n_obs=n_obs)
    return finish(alpha_from_prepared(prepared, conf_level), prepared, "alpha")


def alpha_from_prepared(prepared: Prepared, conf_level: float) -> AlphaEstimate:
    """Alpha of checked moments; warnings are collected, not issued."""
    m, cov, k = prepared.moments, prepared.cov, len(prepared.names)
    common: dict[str, Any] = {
        "name": "alpha",
        "conf_level": conf_level,
        "n_obs": m.n_obs if math.isnan(prepared.n_obs) else int(prepared.n_obs),
        "n_items": k,
        "definition": "alpha.raw",
        "rule": prepared.rule,
        "score_mean": float(m.mean.mean()),
        "score_sd": math.sqrt(max(float(cov.sum()), 0.0)) / k,
    }
    total = float(cov.sum())
    reason = _no_alpha(k, total)
    if reason is not None:
        return AlphaEstimate(
            estimate=math.nan, reason=reason, item_table=Table(dict.fromkeys(ITEM_COLUMNS, ())), **common
        )
    columns = item_columns(m, cov, prepared.cor, prepared.inverse, prepared.n_obs)
    value = alpha_from_cov(cov)
    _warn(prepared, value, columns)
    if math.isnan(prepared.n_obs):
        se = lower = upper = math.nan
    else:
        variance = alpha_variance(cov) / prepared.n_obs
        se = math.sqrt(variance) if variance >= 0.0 else math.nan  # pairwise covariances need not be positive definite
        lower, upper = feldt_interval(value, prepared.n_obs, k, conf_level)
    return AlphaEstimate(
        estimate=value,
        se=se,
        lower=lower,
        upper=upper,
        method=WEIGHTED if math.isnan(prepared.n_obs) else FELDT,
        item_table=Table({name: tuple(columns[name]) for name in ITEM_COLUMNS}),
        **common,
        **_beside(prepared),
    )


def _no_alpha(n_items: int, total: float) -> str | None:
    if n_items == 1:
        return "one item has no internal consistency: a second item, or a second measurement, is needed"
    if not total > 0.0:
        return f"the sum score has no variance ({total:.3g})"
    return None


def _beside(prepared: Prepared) -> dict[str, Any]:
    """Coefficients on the correlations."""
    cor, k, inverse = prepared.cor, len(prepared.names), prepared.inverse
    average = average_correlation(cor)
    return {
        "standardized": float(prophecy(average, k)),
        "average_r": average,
        "median_r": median_correlation(cor),
        "lambda6": math.nan if inverse is None else 1.0 - float(residual_variances(inverse).sum() / cor.sum()),
        "signal_to_noise": k * average / (1.0 - average) if average != 1.0 else math.inf,
    }


def _warn(prepared: Prepared, value: float, columns: dict[str, list[Any]]) -> None:
    against = [name for name, r in zip(columns["item"], columns["item_rest_r"], strict=True) if r < 0.0]
    if len(prepared.names) == 2:
        prepared.raised.append(
            FewItemsWarning(
                "Alpha of 2 items assumes that both have equal loadings: report spearman_brown() instead "
                "(Eisinga, te Grotenhuis and Pelzer, 2013).",
                n_items=2,
            )
        )
    if value < 0.0:
        prepared.raised.append(
            NegativeReliabilityWarning(
                f"Alpha is negative ({value:.3f}): the items covary negatively on average. "
                f"Items that run against the rest: {shorten(against) or 'none'}. Check their keys.",
                estimate=value,
                items=against,
            )
        )
    else:
        warn_direction(prepared, against, "Negative correlation with the rest of the scale")
