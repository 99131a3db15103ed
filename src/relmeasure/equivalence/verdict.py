"""When is a step of invariance accepted? Published criteria, named wherever they are used.

References
----------
Cheung, G. W., & Rensvold, R. B. (2002). Structural Equation Modeling, 9, 233-255, p. 251 (change of CFI). Chen, F. F.
(2007). Structural Equation Modeling, 14, 464-504, p. 501 (changes of CFI, RMSEA and SRMR by sample size). Hu, L., &
Bentler, P. M. (1999). Structural Equation Modeling, 6, 1-55 (SRMR). Sass, D. A., Schmitt, T. A., & Marsh, H. W. (2014).
Structural Equation Modeling, 21, 167-180 (the same criteria for ordered items). Brosseau-Liard, P. E., & Savalei, V.
(2014). Multivariate Behavioral Research, 49, 460-470 (CFI corrected by the mean of the statistic).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

__all__ = ["CRITERIA", "ORDERED_CRITERIA", "STEPS", "Verdict", "judge_configural", "judge_step", "level_reached"]

STEPS = ("configural", "thresholds", "metric", "scalar", "strict")
"""The steps, each with the equalities of those before it."""

CRITERIA = (
    "a step holds when CFI falls by no more than .01 (Cheung & Rensvold, 2002); with 300 rows or fewer in all, it also "
    "fails when CFI falls by more than .005 and RMSEA rises by .010 or SRMR by .025 (loadings) or .005 (intercepts, "
    "residual variances) (Chen, 2007); the configural model needs CFI of at least .90 and SRMR of at most .08"
)
"""The criteria in words."""

ORDERED_CRITERIA = (
    f"{CRITERIA}; CFI and RMSEA are those corrected by the mean of the statistic (Brosseau-Liard & Savalei, 2014). "
    "These cut-offs were found for continuous items; with ordered ones they are a convention, and differences they let "
    "pass can be real (Sass, Schmitt & Marsh, 2014): read the difference test beside them"
)
"""The criteria in words, for ordered items."""

_FALL = 0.01
_SMALL_SAMPLE = 300
_CHEN_LARGE = {"thresholds": 0.010, "metric": 0.030, "scalar": 0.010, "strict": 0.010}
_CHEN_SMALL = {"thresholds": 0.005, "metric": 0.025, "scalar": 0.005, "strict": 0.005}
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Verdict:
    """What is said about a step: whether it holds (None: cannot be told), and why."""

    step: str
    holds: bool | None
    because: str


def judge_configural(row: dict[str, Any], reasons: tuple[str, ...]) -> Verdict:
    """Judge the model with everything free in every group."""
    if reasons:
        return Verdict("configural", None, " ".join(reasons))
    cfi, srmr = _robust(row, "cfi"), float(row["srmr"])
    if math.isnan(cfi) or math.isnan(srmr):
        return Verdict("configural", None, "The fit indices are not defined.")
    fits = cfi >= 0.90 and srmr <= 0.08
    text = f"CFI {cfi:.3f}, RMSEA {_robust(row, 'rmsea'):.3f}, SRMR {srmr:.3f}"
    return Verdict("configural", fits, text)


def judge_step(row: dict[str, Any], n_obs: int, reasons: tuple[str, ...]) -> Verdict:
    """Judge a step by what its equalities cost."""
    step = str(row["step"])
    if reasons:
        return Verdict(step, None, " ".join(reasons))
    cfi, rmsea, srmr = _robust(row, "delta_cfi"), _robust(row, "delta_rmsea"), float(row["delta_srmr"])
    if math.isnan(cfi):
        return Verdict(step, None, "The change of the fit indices is not defined.")
    holds = cfi >= -_FALL - _ROUNDING
    if n_obs <= _SMALL_SAMPLE:
        holds = holds and not (cfi < -0.005 and (rmsea >= 0.010 or srmr >= _CHEN_SMALL[step]))
    text = f"CFI {cfi:+.3f}, RMSEA {rmsea:+.3f}, SRMR {srmr:+.3f}"
    p = float(row["pvalue"])
    if not math.isnan(p):
        text += f"; chi-square difference({row['delta_df']:g}) = {row['delta_chisq']:.2f}, {_p(p)}"
        if holds and p < 0.05:
            text += " (significant: the difference is there, and small by these criteria)"
    if not holds and n_obs > _SMALL_SAMPLE and (rmsea >= 0.015 or srmr >= _CHEN_LARGE[step]):
        text += "; Chen's (2007) change of RMSEA or SRMR is exceeded too"
    return Verdict(step, holds, text)


def level_reached(verdicts: list[Verdict]) -> str | None:
    """Return the last step that holds with every step before it; None when not even the first does."""
    reached = None
    for verdict in verdicts:
        if not verdict.holds:
            break
        reached = verdict.step
    return reached


def _robust(row: dict[str, Any], name: str) -> float:
    """The robust index, else (ordered items) the one corrected by the mean, else the plain one."""
    for tag in ("_robust", "_corrected"):
        value = row.get(f"{name}{tag}")
        if value is not None and not math.isnan(value):
            return float(value)
    return float(row[name])


def _p(value: float) -> str:
    return "p < .001" if value < 0.001 else f"p = {value:.3f}"
