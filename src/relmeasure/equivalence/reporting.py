"""From the fitted steps to their table and the answer in words."""

from __future__ import annotations

import math
from typing import Any

from relmeasure.equivalence.score_tests import equality_tests
from relmeasure.equivalence.verdict import CRITERIA, STEPS, Verdict, judge_configural, judge_step, level_reached
from relmeasure.exceptions import EstimationError
from relmeasure.results import Table
from relmeasure.structural.compare import Comparison
from relmeasure.structural.fit import StructuralFit

__all__ = ["conclude", "judge", "proposals_of", "step_rows"]

_PLAIN = ("chisq", "df", "cfi", "rmsea", "srmr", "aic", "bic")
_ROBUST = {"chisq_scaled": "chisq.scaled", "cfi_robust": "cfi.robust", "rmsea_robust": "rmsea.robust"}

_MEANING = {
    "configural": "the same items belong to the same factors in every group",
    "metric": "loadings are equal: relations of the factors with other variables can be compared",
    "scalar": "loadings and intercepts are equal: factor means can be compared",
    "strict": "loadings, intercepts and residual variances are equal: differences of observed scores are differences "
    "of the factors",
}
_ADDED = {"metric": "loadings", "scalar": "intercepts", "strict": "residual variances"}


def step_rows(fits: dict[str, StructuralFit]) -> list[dict[str, Any]]:
    """Return one row a step."""
    robust = next(iter(fits.values())).method.robust
    rows = []
    before: StructuralFit | None = None
    for step, fit in fits.items():
        row: dict[str, Any] = {"step": step}
        row |= {name: fit.indices.get(name, math.nan) for name in _PLAIN}
        row |= _changes(fit, before)
        row["status"] = fit.status.level
        if robust:
            row |= {name: fit.indices.get(source, math.nan) for name, source in _ROBUST.items()}
            for name in ("cfi", "rmsea"):
                row[f"delta_{name}_robust"] = _change(fit, before, f"{name}.robust")
        rows.append(row)
        before = fit
    return rows


def _changes(fit: StructuralFit, before: StructuralFit | None) -> dict[str, Any]:
    found = _compare(fit, before)
    out: dict[str, Any] = {"delta_chisq": math.nan, "delta_df": _change(fit, before, "df"), "pvalue": math.nan}
    if found is not None:
        out |= {"delta_chisq": found.chisq, "delta_df": found.df, "pvalue": found.pvalue}
    out |= {f"delta_{name}": _change(fit, before, name) for name in ("cfi", "rmsea", "srmr")}
    out["method"] = "" if found is None else found.method
    return out


def _compare(fit: StructuralFit, before: StructuralFit | None) -> Comparison | None:
    """The difference test; the strictly positive version where the scaling factor of the difference is negative."""
    if before is None or not (fit.indices and before.indices) or fit.indices["df"] == before.indices["df"]:
        return None
    try:
        return fit.compare(before)
    except EstimationError:
        return fit.compare(before, method="satorra.bentler.2010")


def _change(fit: StructuralFit, before: StructuralFit | None, name: str) -> float:
    if before is None:
        return math.nan
    return fit.indices.get(name, math.nan) - before.indices.get(name, math.nan)


def judge(rows: list[dict[str, Any]], fits: dict[str, StructuralFit]) -> list[Verdict]:
    """Return what is said about each step; a model that is not usable is judged by nothing else."""
    n = next(iter(fits.values())).sample.n_obs
    out = [judge_configural(rows[0], fits["configural"].status.reasons)]
    unusable = [step for step in STEPS if fits[step].status.reasons]
    for row in rows[1:]:
        step = str(row["step"])
        before = STEPS[STEPS.index(step) - 1]
        reasons = fits[step].status.reasons
        if not reasons and before in unusable:
            reasons = (f"The {before} model, which it is compared with, is not usable.",)
        out.append(judge_step(row, n, reasons))
    return out


def proposals_of(verdicts: list[Verdict], fits: dict[str, StructuralFit]) -> Table:
    """Return the score tests of what the first failing step added."""
    failing = next((v for v in verdicts if not v.holds), None)
    if failing is None or failing.step == "configural" or fits[failing.step].status.level == "failed":
        return Table({})
    kind = {"metric": "loadings", "scalar": "intercepts", "strict": "residuals"}[failing.step]
    rows = [row for row in equality_tests(fits[failing.step]).rows() if row["kind"] == kind]
    return Table.from_rows(rows)


def conclude(verdicts: list[Verdict], proposals: Table, partial: tuple[str, ...], reference: str) -> str:
    """Say in words what holds, what does not, what to do, and by which criteria."""
    reached = level_reached(verdicts)
    failing = next((v for v in verdicts if not v.holds), None)
    parts = []
    if reached is None:
        parts.append("No invariance can be claimed: the model itself does not hold in every group.")
    else:
        kind = f"Partial {reached}" if _released_up_to(reached, partial) else reached.capitalize()
        parts.append(f"{kind} invariance holds: {_MEANING[reached]}.")
    if failing is not None and failing.step == "configural":
        parts.append(f"The configural model is not good enough: {failing.because}. Look at each group's model first.")
    elif failing is not None:
        verb = "cannot be judged" if failing.holds is None else "do not hold"
        parts.append(f"Equal {_ADDED[failing.step]} {verb}: {failing.because}.")
        parts.append(_advice(proposals))
    if reached in ("scalar", "strict"):
        parts.append(f"Factor means are compared with those of group {reference}.")
    elif reached is not None:
        parts.append("Do not compare means of the groups: a difference may be one of measurement.")
    if partial:
        parts.append(f"Released: {', '.join(partial)}.")
    parts.append(f"Criteria: {CRITERIA}.")
    return " ".join(part for part in parts if part)


def _released_up_to(reached: str, partial: tuple[str, ...]) -> bool:
    """Whether a released parameter is one that the steps so far hold equal."""
    steps = ["metric" if "=~" in name else "strict" if "~~" in name else "scalar" for name in partial]
    return any(STEPS.index(step) <= STEPS.index(reached) for step in steps)


def _advice(proposals: Table) -> str:
    best = next((row for row in proposals.rows() if row["group"] == "all"), None)
    if best is None:
        return ""
    return (
        f"The equality that costs most is that of '{best['parameter']}' (score test {best['score_chisq']:.1f}, "
        f"df {best['df']:g}): partial=['{best['parameter']}'] releases it, if there is a reason in its content."
    )
