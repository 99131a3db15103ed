"""Power of the tests of fit that rest on RMSEA, and the sample they need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from relmeasure.exceptions import OptionError
from relmeasure.results import Table
from relmeasure.studies.planning.answer import Plan, check_shares, check_whole

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument

__all__ = ["FitTest", "fit", "rmsea_power"]

FitTest = Literal["close", "not_close", "exact"]
"""What is tested: that fit is close, that it is not close, that it is exact."""

HYPOTHESES: dict[str, tuple[float, float]] = {"close": (0.05, 0.08), "not_close": (0.05, 0.01), "exact": (0.0, 0.05)}
"""RMSEA under the null and under the alternative (MacCallum, Browne & Sugawara, 1996, p. 138 to 141)."""

_MOST = 10_000_000


def fit(
    *,
    df: int | None = None,
    instrument: Instrument | None = None,
    n: int | Sequence[int] | None = None,
    power: float = 0.80,
    tests: Sequence[FitTest] = ("close", "not_close", "exact"),
    rmsea0: float | None = None,
    rmsea1: float | None = None,
    groups: int = 1,
    alpha: float = 0.05,
) -> Plan:
    r"""Power of tests of close, not-close and exact fit, and the sample that a power takes.

    With noncentrality :math:`\lambda = (N - 1)\, df\, \varepsilon^2 / G`, the test of a null value
    :math:`\varepsilon_0` has against :math:`\varepsilon_1 > \varepsilon_0` the power
    :math:`P(\chi^2_{df, \lambda_1} > c)` with c the upper alpha point of :math:`\chi^2_{df, \lambda_0}`; for
    :math:`\varepsilon_1 < \varepsilon_0` the lower tails take their place.

    Parameters
    ----------
    df : int, optional
        Degrees of freedom of the model.
    instrument : Instrument, optional
        In place of ``df``: those of the model in which its scales are correlated factors.
    n : int or list of int, optional
        Persons in all groups together: the power they give; the sample for ``power`` stands in the answers.
    power : float
        Power that is wanted.
    tests : sequence of {"close", "not_close", "exact"}
        Nulls .05 against .08, .05 against .01, 0 against .05.
    rmsea0, rmsea1 : float, optional
        Null and alternative of your own, both, in place of ``tests``.
    groups : int
        Groups of a multiple-group model.
    alpha : float
        Level of the test.

    Returns
    -------
    Plan
        Columns ``test``, ``rmsea0``, ``rmsea1``, ``df``, ``n``, ``power``; without ``n`` the sample that is needed.

    Notes
    -----
    The normal theory chi-square is assumed, so models of ordered items are met only roughly: see the question
    "cutoffs" for what one instrument and design give.

    References
    ----------
    MacCallum, R. C., Browne, M. W., & Sugawara, H. M. (1996). Psychological Methods, 1, 130-149.

    Examples
    --------
    >>> fit(df=100, tests=["close"]).table["n"]  # R: semTools::findRMSEAsamplesize(.05, .08, 100)
    (132,)
    """
    degrees = _degrees(df, instrument, groups)
    check_shares(power=power, alpha=alpha)
    group = check_whole("groups", groups)[0]
    pairs = _pairs(tests, rmsea0, rmsea1)
    sizes = None if n is None else check_whole("n", n, least=2)
    rows, answers = [], []
    for name, null, other in pairs:
        needed = _needed(null, other, degrees, power, alpha, group)
        for size in [needed] if sizes is None else sizes:
            row: dict[str, Any] = {"test": name, "rmsea0": null, "rmsea1": other, "df": degrees, "n": size}
            rows.append(row | {"power": rmsea_power(null, other, degrees, size, alpha=alpha, groups=group)})
        answers.append(
            f"Test of {name.replace('_', '-')} fit (RMSEA {null:g} against {other:g}, df {degrees}): {needed} persons "
            f"for a power of {power:g}."
        )
    return Plan(
        question="fit",
        answers=tuple(answers),
        table=Table.from_rows(rows),
        assumed={"df": degrees, "alpha": alpha, "groups": group, "power": power},
        method="Noncentral chi-square (MacCallum, Browne & Sugawara, 1996).",
    )


def rmsea_power(rmsea0: float, rmsea1: float, df: int, n: float, *, alpha: float = 0.05, groups: int = 1) -> float:
    """Power of one test.

    Examples
    --------
    >>> round(rmsea_power(0.05, 0.08, 20, 300), 4)  # R: semTools::findRMSEApower(.05, .08, 20, 300)
    0.6335
    """
    from scipy.special import chndtr, chndtrix

    null, other = ((n - 1) * df * rmsea**2 / groups for rmsea in (rmsea0, rmsea1))
    above = rmsea1 > rmsea0
    critical = float(chndtrix(1 - alpha if above else alpha, df, null))
    below = float(chndtr(critical, df, other))
    return 1 - below if above else below


def _needed(rmsea0: float, rmsea1: float, df: int, power: float, alpha: float, groups: int) -> int:
    """Smallest sample with the power, by doubling and bisection."""
    high = 2
    while rmsea_power(rmsea0, rmsea1, df, high, alpha=alpha, groups=groups) < power:
        high *= 2
        if high > _MOST:
            raise OptionError(f"rmsea0={rmsea0:g}, rmsea1={rmsea1:g}: no sample up to {_MOST:,} has power {power:g}.")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        enough = rmsea_power(rmsea0, rmsea1, df, middle, alpha=alpha, groups=groups) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


def _pairs(tests: Sequence[str], rmsea0: float | None, rmsea1: float | None) -> list[tuple[str, float, float]]:
    if rmsea0 is None and rmsea1 is None:
        names = [tests] if isinstance(tests, str) else list(tests)
        for name in names:
            if name not in get_args(FitTest):
                raise OptionError.from_value("tests", name, get_args(FitTest))
        return [(name, *HYPOTHESES[name]) for name in names]
    if rmsea0 is None or rmsea1 is None or rmsea0 == rmsea1 or min(rmsea0, rmsea1) < 0 or max(rmsea0, rmsea1) >= 1:
        raise OptionError(
            f"rmsea0={rmsea0}, rmsea1={rmsea1}: give both, two different values from 0 to below 1, or neither."
        )
    return [("stated", float(rmsea0), float(rmsea1))]


def _degrees(df: int | None, instrument: Instrument | None, groups: int) -> int:
    if (df is None) == (instrument is None):
        raise OptionError("Give df=, the degrees of freedom of the model, or instrument=: one of them.")
    if df is not None:
        return check_whole("df", df)[0]
    from relmeasure.structural.language.model_from_instrument import instrument_scales

    scales = instrument_scales(instrument)  # type: ignore[arg-type]
    items = {item for scale in scales for item in scale.items}
    loadings, m = sum(len(scale.items) for scale in scales), len(scales)
    degrees = groups * (len(items) * (len(items) + 1) // 2 - loadings - len(items) - m * (m - 1) // 2)
    if degrees < 1:
        raise OptionError(f"The model of the instrument has {degrees} degrees of freedom: its fit cannot be tested.")
    return degrees
