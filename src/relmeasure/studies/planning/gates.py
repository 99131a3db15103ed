"""How many classes will pass the gates of disclosure and reliability, given rosters and a response rate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from relmeasure.exceptions import OptionError
from relmeasure.results import Table
from relmeasure.studies.class_data import check_gates
from relmeasure.studies.planning.answer import Plan, as_numbers, check_share, check_shares, check_whole
from relmeasure.studies.planning.class_means import students_for

__all__ = ["gates"]

Array = np.ndarray[Any, np.dtype[np.float64]]


def gates(
    *,
    roster: int | Sequence[int] | Mapping[str, int],
    icc: float,
    response_rate: float = 1.0,
    rate_sd: float = 0.0,
    min_disclose: int = 6,
    min_report: int = 15,
    min_reliability: float = 0.70,
) -> Plan:
    r"""Expected share of classes that will be shown, and that will be reportable.

    The students of a class of N who answer are binomial, :math:`n_j \sim B(N_j, \pi)`; with ``rate_sd`` the rate of a
    class is beta distributed around the mean rate, and the number who answer beta-binomial. A class is shown from
    ``min_disclose`` answers on, and reportable from ``min_report`` answers *and* the number that gives its mean the
    reliability ``min_reliability`` (Spearman-Brown).

    Parameters
    ----------
    roster : int, list of int, or mapping of class to int
        Students on the roll of each class.
    icc : float
        ICC(1) of the score.
    response_rate : float
        Expected share of students who answer, above 0 and up to 1.
    rate_sd : float
        Standard deviation of that share over classes.
    min_disclose, min_report, min_reliability
        The gates of ``classroom_scores``.

    Returns
    -------
    Plan
        One row a class: ``cluster``, ``roster``, ``expected_n``, and the probabilities of being ``suppressed``, of
        ``low_reliability`` and of being ``reportable``, which add up to one.

    Notes
    -----
    The variance between classes is taken as known. Complementary suppression may hide a further class where exactly one
    class of a total is small; that depends on the totals that are published and is not part of these shares.

    References
    ----------
    Johnson, N. L., Kemp, A. W., & Kotz, S. (2005). Univariate discrete distributions, eq. 6.3 (beta-binomial). Wiley.

    Examples
    --------
    >>> plan = gates(roster=[12, 22, 30], icc=0.15, response_rate=0.8)
    >>> [round(p, 2) for p in plan.table["reportable"]]
    [0.0, 0.94, 1.0]
    """
    labels, sizes = _rosters(roster)
    (rho,) = as_numbers("icc", icc, low=0, high=1)
    check_share("response_rate", response_rate)
    check_shares(min_reliability=min_reliability)
    check_gates(min_disclose, min_report, 0.95)
    needed = max(min_report, students_for(rho, min_reliability))
    shape = _beta(response_rate, rate_sd)
    found: dict[int, tuple[float, float]] = {}
    for size in set(sizes):
        chance = _answers(size, response_rate, shape)
        found[size] = float(chance[min_disclose:].sum()), float(chance[needed:].sum())
    rows = []
    for label, size in zip(labels, sizes, strict=True):
        shown, good = found[size]
        row: dict[str, Any] = {"cluster": label, "roster": size, "expected_n": size * response_rate}
        rows.append(row | {"suppressed": 1 - shown, "low_reliability": shown - good, "reportable": good})
    share = {name: float(np.mean([row[name] for row in rows])) for name in ("suppressed", "reportable")}
    because = "the reliability" if needed > min_report else "the number of students"
    answers = (
        f"{share['reportable']:.0%} of {len(rows)} classes are expected to be reportable: {needed} students who answer "
        f"are needed, set by {because}.",
        f"{share['suppressed']:.0%} are expected to be hidden, with fewer than {min_disclose} answers, and "
        f"{1 - share['suppressed'] - share['reportable']:.0%} to be shown as of low reliability.",
    )
    assumed = {"ICC(1)": rho, "response rate": response_rate, "its sd over classes": rate_sd}
    assumed |= {"min_disclose": min_disclose, "min_report": min_report, "min_reliability": min_reliability}
    return Plan(
        question="gates",
        answers=answers,
        table=Table.from_rows(rows),
        assumed=assumed,
        method="Exact binomial or beta-binomial sums; classes hidden to protect others are not counted.",
    )


def _rosters(roster: int | Sequence[int] | Mapping[str, int]) -> tuple[list[str], list[int]]:
    if isinstance(roster, Mapping):
        return [str(label) for label in roster], check_whole("roster", list(roster.values()))
    sizes = check_whole("roster", roster)
    return [str(k + 1) for k in range(len(sizes))], sizes


def _beta(rate: float, spread: float) -> tuple[float, float] | None:
    """Parameters of the beta distribution of rates over classes; none without spread."""
    if spread == 0:
        return None
    largest = math.sqrt(rate * (1 - rate))
    if not 0 <= spread < largest:
        raise OptionError(f"rate_sd={spread}: from 0 to below {largest:.3f}, the most that a mean of {rate} allows.")
    total = (largest / spread) ** 2 - 1
    return rate * total, (1 - rate) * total


def _answers(size: int, rate: float, shape: tuple[float, float] | None) -> Array:
    """Probability of 0 to ``size`` answers."""
    from scipy.special import betaln, gammaln

    k = np.arange(size + 1.0)
    choose = gammaln(size + 1) - gammaln(k + 1) - gammaln(size - k + 1)
    if shape is not None:
        return np.asarray(np.exp(choose + betaln(k + shape[0], size - k + shape[1]) - betaln(*shape)))
    if rate == 1:
        return np.asarray((k == size).astype(float))
    return np.asarray(np.exp(choose + k * math.log(rate) + (size - k) * math.log1p(-rate)))
