"""Students a class: how reliable and how exact a class mean becomes, and which differences can be seen in it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

from relmeasure.exceptions import OptionError
from relmeasure.results import Table
from relmeasure.studies.planning.answer import (
    Numbers,
    Plan,
    as_numbers,
    check_share,
    check_shares,
    check_whole,
    normal_quantile,
)

__all__ = ["difference", "mean_reliability", "students", "students_for"]

Between = Literal["classes", "waves"]
"""What differs: two classes at one time, or one class at two times."""


def mean_reliability(icc: float, n: float) -> float:
    """Reliability of the mean of n students, n icc / (1 + (n - 1) icc) (Spearman-Brown).

    Examples
    --------
    >>> round(mean_reliability(0.15, 14), 3)
    0.712
    """
    return n * icc / (1 + (n - 1) * icc)


def students_for(icc: float, reliability: float) -> int:
    """Fewest students whose mean has a reliability: n = rel (1 - icc) / ((1 - rel) icc), rounded up.

    Examples
    --------
    >>> students_for(0.15, 0.70)
    14
    """
    n = max(math.ceil(reliability * (1 - icc) / ((1 - reliability) * icc) - 1e-6), 1)
    return n if mean_reliability(icc, n) >= reliability - 1e-12 else n + 1


def students(
    *,
    icc: Numbers,
    reliability: Numbers | None = None,
    half_width: Numbers | None = None,
    n: int | Sequence[int] | None = None,
    sd: float = 1.0,
    response_rate: float = 1.0,
    roster: int | None = None,
    conf_level: float = 0.95,
) -> Plan:
    r"""Students a class for a stated reliability or interval width, or what so many students give.

    .. math::
        rel = \frac{n \rho}{1 + (n - 1) \rho}, \qquad
        h = z \sqrt{\frac{sd^2 (1 - \rho)}{n} \left(1 - \frac{n}{N}\right)}

    Parameters
    ----------
    icc : float or list of float
        ICC(1), the share of the variance of a student's score that lies between classes: ``rm.icc(...).icc1``.
    reliability : float or list of float, optional
        Reliability that a class mean is to have; without any target .70 and .80.
    half_width : float or list of float, optional
        Half the width that the interval of a class mean is to have, in the units of ``sd``.
    n : int or list of int, optional
        Students who answer: what they give. Without any target or n: 6, 15, 20 and 25.
    sd : float
        Standard deviation of a student's score over all classes.
    response_rate : float
        Share of the students asked who answer.
    roster : int, optional
        Students on the roll, for the finite-population correction of the interval (``classroom_scores(roster=...)``).
    conf_level : float
        Level of the interval.

    Returns
    -------
    Plan
        Columns ``icc``, ``target`` ("reliability", "half_width" or missing), ``target_value``, ``n`` (students who
        answer), ``invited``, ``reliability``, ``half_width``, ``enough`` (whether the roster holds them).

    References
    ----------
    Spearman, C. (1910), Brown, W. (1910). British Journal of Psychology, 3, 271-322.
    Cochran, W. G. (1977). Sampling techniques, eq. 2.20 (finite population). Wiley.

    Examples
    --------
    >>> plan = students(icc=[0.10, 0.20], reliability=0.70)
    >>> plan.table["n"]
    (21, 10)
    """
    iccs = as_numbers("icc", icc, low=0, high=1)
    (spread,) = as_numbers("sd", sd, low=0)
    check_share("response_rate", response_rate)
    check_shares(conf_level=conf_level)
    nothing = reliability is None and half_width is None and n is None
    targets = [] if reliability is None else as_numbers("reliability", reliability, low=0, high=1)
    targets = [0.70, 0.80] if nothing else targets
    widths = [] if half_width is None else as_numbers("half_width", half_width, low=0)
    given = [6, 15, 20, 25] if nothing else ([] if n is None else check_whole("n", n))
    size = None if roster is None else check_whole("roster", roster)[0]
    z = normal_quantile(1 - (1 - conf_level) / 2)
    rows = []
    for rho in iccs:
        sigma = spread * math.sqrt(1 - rho)
        for target, value, count in _counts(rho, targets, widths, given, z * sigma, size):
            row: dict[str, Any] = {"icc": rho, "target": target, "target_value": value, "n": count}
            row |= {"invited": math.ceil(count / response_rate - 1e-9), "reliability": mean_reliability(rho, count)}
            left = 1.0 if size is None else max(1 - count / size, 0.0)
            row |= {"half_width": z * sigma * math.sqrt(left / count)}
            rows.append(row | {"enough": None if size is None else row["invited"] <= size})
    assumed = {"sd of a student's score": spread, "response rate": response_rate, "interval level": conf_level}
    if size is not None:
        assumed["students on the roll"] = size
    return Plan(
        question="students",
        answers=_sentences(rows, response_rate),
        table=Table.from_rows(rows),
        assumed=assumed,
        method="Reliability of the observed class mean by Spearman-Brown from ICC(1); interval of the class mean from "
        "the variance within classes, normal.",
    )


def _counts(
    rho: float, targets: Sequence[float], widths: Sequence[float], given: Sequence[int], scale: float, size: int | None
) -> Iterator[tuple[str | None, float, int]]:
    for value in targets:
        yield "reliability", value, students_for(rho, value)
    for value in widths:
        needed = 1 / ((value / scale) ** 2 + (0.0 if size is None else 1 / size))
        yield "half_width", value, max(math.ceil(needed - 1e-9), 1)
    for count in given:
        yield None, math.nan, count


def _sentences(rows: Sequence[dict[str, Any]], response_rate: float) -> tuple[str, ...]:
    """One sentence a target, and one for all the stated numbers of an ICC."""
    told = [_sentence(row, response_rate) for row in rows if row["target"] is not None]
    for icc in dict.fromkeys(row["icc"] for row in rows):
        given = [row for row in rows if row["icc"] == icc and row["target"] is None]
        if given:
            reliable = ", ".join(f"{row['reliability']:.2f} ({row['n']})" for row in given)
            told.append(f"ICC(1) {icc:.3g}: reliability of a class mean, by the number of students: {reliable}.")
    return tuple(told)


def _sentence(row: dict[str, Any], response_rate: float) -> str:
    asked = "" if response_rate == 1 else f" (ask {row['invited']})"
    short = "; the roll is too short" if row["enough"] is False else ""
    what = "a reliability of" if row["target"] == "reliability" else "an interval of plus or minus"
    return f"ICC(1) {row['icc']:.3g}: {what} {row['target_value']:g} takes {row['n']} students a class{asked}{short}."


# --------------------------------------------------------------------------- differences
def difference(
    *,
    n: int | Sequence[int],
    icc: float,
    between: Between = "classes",
    n_other: int | None = None,
    same_students: float = 0.0,
    stability: float = 0.0,
    wanted: float | None = None,
    sd: float = 1.0,
    power: float = 0.80,
    alpha: float = 0.05,
    comparisons: int = 1,
) -> Plan:
    r"""How small a difference between two classes, or between two waves of one class, can be seen.

    .. math::
        se^2 = \sigma^2 \left(\frac{1}{n_1} + \frac{1}{n_2} - \frac{2 m r}{n_1 n_2}\right), \quad
        \sigma^2 = sd^2 (1 - \rho), \qquad d = (z_{1 - \alpha/2} + z_{power})\, se

    with m students who answer in both waves, whose scores within the class correlate r. These are the errors that
    ``monitor`` and ``classroom_scores`` use.

    Parameters
    ----------
    n : int or list of int
        Students who answer in each class (or wave).
    icc : float
        ICC(1) of the score.
    between : {"classes", "waves"}
    n_other : int, optional
        Students of the other class or wave; default: as many.
    same_students : float
        Waves only: share of the smaller group who answer in both, 0 (other students) to 1 (the same).
    stability : float
        Waves only: correlation of a student's two scores within the class.
    wanted : float, optional
        A difference that is to be seen: gives the students needed for it.
    sd : float
        Standard deviation of a student's score over all classes; differences are in its units.
    power, alpha : float
        Chance to see a difference that is there; level of the two-sided test.
    comparisons : int
        Tests made at once; alpha is divided by it (Bonferroni).

    Returns
    -------
    Plan
        Columns ``n``, ``n_other``, ``se``, ``significant`` (smallest observed difference beyond chance: reliable
        change), ``detectable`` (smallest true difference seen with the stated power), ``in_class_sd`` (the latter in
        standard deviations of true class means).

    References
    ----------
    Cohen, J. (1988). Statistical power analysis for the behavioral sciences (2nd ed.), section 2.4.
    Jacobson, N. S., & Truax, P. (1991). Journal of Consulting and Clinical Psychology, 59, 12-19 (reliable change).

    Examples
    --------
    >>> plan = difference(n=25, icc=0.15, between="waves", same_students=1.0, stability=0.7)
    >>> [round(plan.table[name][0], 2) for name in ("significant", "detectable")]
    [0.28, 0.4]
    """
    (rho,) = as_numbers("icc", icc, low=0, high=1)
    (spread,) = as_numbers("sd", sd, low=0)
    sizes = check_whole("n", n)
    tests = check_whole("comparisons", comparisons)[0]
    check_shares(power=power, alpha=alpha)
    _check_waves(between, same_students, stability)
    sigma = spread * math.sqrt(1 - rho)
    z = normal_quantile(1 - alpha / tests / 2)
    reach = z + normal_quantile(power)
    other = None if n_other is None else check_whole("n_other", n_other)[0]
    rows = []
    for size in sizes:
        second = size if other is None else other
        se = sigma * math.sqrt(_error(size, second, same_students, stability))
        row: dict[str, Any] = {"n": size, "n_other": second, "se": se, "significant": z * se, "detectable": reach * se}
        rows.append(row | {"in_class_sd": reach * se / (spread * math.sqrt(rho))})
    what = "two classes" if between == "classes" else "two waves of a class"
    answers = [
        f"{row['n']} and {row['n_other']} students: a difference of {what} beyond {row['significant']:.2f} is more "
        f"than chance; a true one of {row['detectable']:.2f} is seen with a chance of {power:.0%}."
        for row in rows
    ]
    if wanted is not None:
        answers.append(_students_wanted(wanted, sigma, reach, same_students * stability, power))
    assumed: dict[str, Any] = {"ICC(1)": rho, "sd of a student's score": spread, "power": power, "alpha": alpha}
    assumed |= {"tests made at once": tests}
    if between == "waves":
        assumed |= {"share of students in both waves": same_students, "their stability within the class": stability}
    return Plan(
        question="difference",
        answers=tuple(answers),
        table=Table.from_rows(rows),
        assumed=assumed,
        method="Two-sided normal test with the error of the students who answered; the classes are those observed.",
    )


def _error(n: int, other: int, share: float, stability: float) -> float:
    return 1 / n + 1 / other - 2 * share * min(n, other) * stability / (n * other)


def _students_wanted(wanted: float, sigma: float, reach: float, shared: float, power: float) -> str:
    (goal,) = as_numbers("wanted", wanted, low=0)
    needed = math.ceil(2 * (1 - shared) * (reach * sigma / goal) ** 2 - 1e-9)
    return f"A true difference of {goal:g} is seen with a chance of {power:.0%} from {max(needed, 1)} students each."


def _check_waves(between: str, same_students: float, stability: float) -> None:
    if between not in get_args(Between):
        raise OptionError.from_value("between", between, get_args(Between))
    if between == "classes" and (same_students or stability):
        raise OptionError("same_students= and stability= are about two waves: give between='waves'.")
    for name, value, low in (("same_students", same_students, 0.0), ("stability", stability, -1.0)):
        if not low <= value <= 1:
            raise OptionError(f"{name}={value}: a number from {low:g} to 1 is needed.")
    if stability and not same_students:
        raise OptionError("stability= is about students who answer twice: give same_students= their share, up to 1.")
