"""How many classes: for the mean over classes, and for the share of variance between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from relmeasure.exceptions import OptionError
from relmeasure.results import Table
from relmeasure.studies.class_waves import t_quantile
from relmeasure.studies.planning.answer import Numbers, Plan, as_numbers, check_shares, check_whole
from relmeasure.studies.planning.class_means import mean_reliability

__all__ = ["classes"]

_MOST = 1_000_000
"""More classes than this are not looked for."""


def classes(
    *,
    icc: Numbers,
    n_students: int,
    mean_half_width: float | None = None,
    icc_width: float | None = None,
    n: int | Sequence[int] | None = None,
    sd: float = 1.0,
    conf_level: float = 0.95,
) -> Plan:
    r"""Classes for a stated interval of the mean over classes, or of ICC(1).

    .. math:: h = t_{J-1} \sqrt{sd^2 \frac{\rho + (1 - \rho) / k}{J}}

    for the mean over J classes of k students. The interval of ICC(1) is the exact F interval that comes out when the
    estimate equals the stated value (Searle, Casella & McCulloch, 1992, section 3.5).

    Parameters
    ----------
    icc : float or list of float
        ICC(1) that is expected.
    n_students : int
        Students a class, at least two.
    mean_half_width : float, optional
        Half the width that the interval of the mean over classes is to have, in the units of ``sd``.
    icc_width : float, optional
        Width that the interval of ICC(1) is to have.
    n : int or list of int, optional
        Classes: what they give. Without any target: 10, 25, 50, 100 and 200.
    sd : float
        Standard deviation of a student's score over all classes.
    conf_level : float
        Level of the intervals.

    Returns
    -------
    Plan
        Columns ``icc``, ``target``, ``target_value``, ``n`` (classes), ``students`` (in all), ``mean_half_width``,
        ``icc_lower``, ``icc_upper``, ``icc_width``, ``reliability`` (of one class mean, which more classes do not
        raise).

    References
    ----------
    Giraudeau, B., & Mary, J. Y. (2001). Statistics in Medicine, 20, 3205-3214 (width of the interval).
    Hox, J. J. (2010). Multilevel analysis (2nd ed.), chapter 12. Routledge.

    Examples
    --------
    >>> plan = classes(icc=0.15, n_students=20, icc_width=0.10)
    >>> plan.table["n"], [round(plan.table[name][0], 3) for name in ("icc_lower", "icc_upper")]
    ((91,), [0.108, 0.208])
    """
    iccs = as_numbers("icc", icc, low=0, high=1)
    k = check_whole("n_students", n_students, least=2)[0]
    (spread,) = as_numbers("sd", sd, low=0)
    check_shares(conf_level=conf_level)
    given = [] if n is None else check_whole("n", n, least=2)
    goals = {
        name: as_numbers(name, value, low=0)[0]
        for name, value in (("mean_half_width", mean_half_width), ("icc_width", icc_width))
        if value is not None
    }
    if not goals and not given:
        given = [10, 25, 50, 100, 200]
    rows = []
    for rho in iccs:
        for target, value, count in _counts(rho, k, goals, given, spread, conf_level):
            low, high = icc_bounds(rho, k, count, conf_level)
            row: dict[str, Any] = {"icc": rho, "target": target, "target_value": value, "n": count}
            row |= {"students": count * k, "mean_half_width": _mean_half_width(rho, k, count, spread, conf_level)}
            row |= {"icc_lower": low, "icc_upper": high, "icc_width": high - low}
            rows.append(row | {"reliability": mean_reliability(rho, k)})
    return Plan(
        question="classes",
        answers=tuple(_sentence(row, k) for row in rows),
        table=Table.from_rows(rows),
        assumed={"students a class": k, "sd of a student's score": spread, "interval level": conf_level},
        method="Mean over classes by t with J - 1 degrees of freedom; ICC(1) by the exact F interval, equal classes.",
    )


def icc_bounds(icc: float, k: int, n: int, conf_level: float) -> tuple[float, float]:
    """The exact F interval of ICC(1) when its estimate is ``icc``, with n classes of k students."""
    from scipy.special import fdtri

    ratio, half = 1 + k * icc / (1 - icc), (1 - conf_level) / 2
    low = ratio / float(fdtri(n - 1, n * (k - 1), 1 - half))
    high = ratio / float(fdtri(n - 1, n * (k - 1), half))
    return (low - 1) / (low + k - 1), (high - 1) / (high + k - 1)


def _mean_half_width(icc: float, k: int, n: int, sd: float, conf_level: float) -> float:
    return t_quantile(conf_level, n - 1) * sd * math.sqrt((icc + (1 - icc) / k) / n)


def _counts(
    rho: float, k: int, goals: dict[str, float], given: Sequence[int], sd: float, conf_level: float
) -> Iterator[tuple[str | None, float, int]]:
    def width(n: int) -> float:
        low, high = icc_bounds(rho, k, n, conf_level)
        return high - low

    for name, goal in goals.items():
        measure = width if name == "icc_width" else lambda n: _mean_half_width(rho, k, n, sd, conf_level)
        yield name, goal, _fewest(measure, goal, name)
    for count in given:
        yield None, math.nan, count


def _fewest(measure: Callable[[int], float], goal: float, name: str) -> int:
    """Smallest number of classes whose interval is as narrow as asked, by doubling and bisection."""
    high = 2
    while measure(high) > goal:
        high *= 2
        if high > _MOST:
            raise OptionError(f"{name}={goal:g} takes more than {_MOST:,} classes: ask for a wider interval.")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if measure(middle) <= goal else (middle, high)
    return high


def _sentence(row: dict[str, Any], k: int) -> str:
    gives = (
        f"mean over classes plus or minus {row['mean_half_width']:.2f}, ICC(1) [{row['icc_lower']:.2f}, "
        f"{row['icc_upper']:.2f}]"
    )
    goal = "" if row["target"] is None else f" for {row['target']} {row['target_value']:g}"
    return f"ICC(1) {row['icc']:.3g}: {row['n']} classes of {k} students{goal}: {gives}."
