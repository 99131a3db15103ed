"""The standard error of measurement of a scale score."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from relmeasure.classical.coefficient_alpha import alpha_from_prepared
from relmeasure.classical.preparation import Prepared, finish, prepare
from relmeasure.exceptions import OptionError
from relmeasure.responses.intake import as_moments
from relmeasure.results import Estimate
from relmeasure.samplestats.moments import MissingMethod

__all__ = ["StandardErrorOfMeasurement", "score_sd", "sem_from", "standard_error_of_measurement"]

Score = Literal["mean", "sum"]


@dataclass(frozen=True, eq=False)
class StandardErrorOfMeasurement(Estimate):
    """Standard error of measurement of a score.

    Attributes
    ----------
    score : {"mean", "sum"}
        The score it belongs to, over complete answers.
    score_sd : float
        Observed standard deviation of that score.
    reliability : float
        The reliability that was used.
    """

    score: str = "mean"
    score_sd: float = math.nan
    reliability: float = math.nan


def standard_error_of_measurement(
    data: Any,
    *,
    reliability: float | Estimate | None = None,
    score: Score = "mean",
    missing: MissingMethod = "listwise",
    weights: Any = None,
) -> StandardErrorOfMeasurement:
    """Compute the standard error of measurement of a mean or sum score: ``sd * sqrt(1 - reliability)``.

    Parameters
    ----------
    data : frame, array (n, k), responses or moments
        Items in columns, keyed in one direction.
    reliability : float or Estimate, optional
        Reliability of the score; default: alpha of the same data.
    score : {"mean", "sum"}
        The score: the mean of the items, in their units, or their sum (the standard error is then k times as large).
    missing : {"listwise", "pairwise"}
        Rows complete on all items (the rows dropped are counted in a warning), or for each pair the rows with both.
    weights : array (n,) or column name, optional
        Sampling weights.

    Returns
    -------
    StandardErrorOfMeasurement
        One standard error for every person; no interval. ``sd`` comes from the item covariances, as the variance of the
        score over complete answers. No estimate, with the reason, where the reliability has none or is negative.

    Raises
    ------
    OptionError
        ``score`` outside its allowed values, or a reliability above 1.
    TooFewObservationsError
        Fewer than two usable rows.

    Notes
    -----
    The reliability of another sample may be used only with the standard deviation of that sample's population in mind:
    a wider group has a higher reliability at the same standard error.

    References
    ----------
    Lord, F. M., & Novick, M. R. (1968). Statistical theories of mental test scores. Addison-Wesley, section 3.8.

    Examples
    --------
    >>> import numpy as np, relmeasure as rm
    >>> answers = np.array([[4, 3, 4], [2, 2, 1], [3, 3, 3], [1, 2, 1], [4, 4, 3], [2, 1, 2]])
    >>> round(rm.standard_error_of_measurement(answers, score="sum").estimate, 4)  # R: sd(rowSums(x)) * sqrt(1 - alpha)
    0.9487
    """
    if score not in get_args(Score):
        raise OptionError.from_value("score", score, get_args(Score))
    prepared = prepare(as_moments(data, missing=missing, weights=weights))
    if reliability is None:
        reliability = alpha_from_prepared(prepared, 0.95)
    value = reliability.estimate if isinstance(reliability, Estimate) else float(reliability)
    if value > 1.0:
        raise OptionError(f"reliability={value!r} is above 1.", argument="reliability", value=value)
    source = reliability.definition if isinstance(reliability, Estimate) else "as given"
    sd = score_sd(prepared, score)
    reason = None
    if math.isnan(value):
        why = reliability.reason if isinstance(reliability, Estimate) else None
        reason = f"there is no reliability: {why or 'it was given as NaN'}"
    elif value < 0.0:
        reason = f"the reliability is negative ({value:.3f}): keys or dimensions are wrong"
    m = prepared.moments
    estimate = StandardErrorOfMeasurement(
        name="standard_error_of_measurement",
        estimate=sem_from(sd, value),
        conf_level=math.nan,
        n_obs=m.n_obs,
        n_items=m.n_items,
        method="none",
        definition="sem.classical",
        rule=f"{m.rule}; sd of the {score} score times sqrt(1 - reliability), reliability {source}",
        reason=reason,
        score=score,
        score_sd=sd,
        reliability=value,
    )
    return finish(estimate, prepared, "standard_error_of_measurement")


def score_sd(prepared: Prepared, score: Score) -> float:
    """Standard deviation of the mean or sum score over complete answers."""
    sd = math.sqrt(max(float(prepared.cov.sum()), 0.0))
    return sd if score == "sum" else sd / len(prepared.names)


def sem_from(sd: float, reliability: float) -> float:
    """``sd * sqrt(1 - reliability)``; NaN where the reliability is missing, negative or above one."""
    return sd * math.sqrt(1.0 - reliability) if 0.0 <= reliability <= 1.0 else math.nan
