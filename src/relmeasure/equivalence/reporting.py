"""From the fitted steps to their table and the answer in words."""

from __future__ import annotations

import math
from typing import Any

from relmeasure.equivalence.layout import Layout
from relmeasure.equivalence.score_tests import equality_tests
from relmeasure.equivalence.verdict import (
    CRITERIA,
    ORDERED_CRITERIA,
    STEPS,
    Verdict,
    judge_configural,
    judge_step,
    level_reached,
)
from relmeasure.exceptions import EstimationError
from relmeasure.results import Table
from relmeasure.structural.fitted.compare import Comparison
from relmeasure.structural.fitted.fit import StructuralFit

__all__ = ["conclude", "judge", "proposals_of", "step_rows"]

_PLAIN = ("chisq", "df", "cfi", "rmsea", "srmr", "aic", "bic")
_ROBUST = {"chisq_scaled": "chisq.scaled", "cfi_robust": "cfi.robust", "rmsea_robust": "rmsea.robust"}
_SCALED = {"chisq_scaled": "chisq.scaled", "cfi_scaled": "cfi.scaled", "rmsea_scaled": "rmsea.scaled"}

_MEANING = {
    "configural": "the same items belong to the same factors in every {over}",
    "thresholds": "categories are cut at the same points of the latent responses, and no more is known",
    "metric": "loadings are equal: relations of the factors with other variables can be compared",
    "scalar": "{first} and intercepts are equal: factor means can be compared",
    "strict": "{first}, intercepts and residual variances are equal: differences of observed scores are differences "
    "of the factors",
}
_KIND = {"thresholds": "thresholds", "metric": "loadings", "scalar": "intercepts", "strict": "residuals"}


def step_rows(fits: dict[str, StructuralFit]) -> list[dict[str, Any]]:
    """Return one row a step."""
    method = next(iter(fits.values())).method
    named = (_SCALED if method.ordinal else _ROBUST) if method.robust else {}
    rows = []
    before: StructuralFit | None = None
    for step, fit in fits.items():
        row: dict[str, Any] = {"step": step}
        row |= {name: fit.indices.get(name, math.nan) for name in _PLAIN}
        row |= _changes(fit, before)
        row["status"] = fit.status.level
        row |= {name: fit.indices.get(source, math.nan) for name, source in named.items()}
        for name, source in list(named.items())[1:]:
            row[f"delta_{name}"] = _change(fit, before, source)
        if method.ordinal and method.robust:
            now, then = corrected_indices(fit), None if before is None else corrected_indices(before)
            row |= now | {f"delta_{k}": math.nan if then is None else v - then[k] for k, v in now.items()}
        rows.append(row)
        before = fit
    return rows


def corrected_indices(fit: StructuralFit) -> dict[str, float]:
    r"""Return CFI and RMSEA of weighted least squares, corrected by the mean of the statistic.

    Where the model holds the statistic ``T`` has the mean ``k = tr(U Gamma)``, so that ``T - k`` measures misfit in one
    metric for every model, and its differences are changes of misfit. Scaled statistics have another metric in each
    model: their differences mix misfit with the change of scale. ``CFI = 1 - (T - k) / (T_B - k_B)``, and
    ``RMSEA = sqrt((T - k) G / (N df))`` (Brosseau-Liard & Savalei, 2014, eq. 9, with the statistic of least squares).
    """
    lack, worst = (_excess(fit.indices, prefix) for prefix in ("", "baseline."))
    df, n = fit.indices.get("df", math.nan), float(fit.sample.n_obs)
    cfi = 1.0 - max(lack, 0.0) / max(worst, lack, 0.0) if worst > 0 else math.nan
    rmsea = math.sqrt(max(lack, 0.0) * fit.table.n_groups / (n * df)) if df > 0 else math.nan
    return {"cfi_corrected": cfi, "rmsea_corrected": rmsea if not math.isnan(lack) else math.nan}


def _excess(indices: dict[str, float], prefix: str) -> float:
    """Statistic less its mean under the model, ``a (df - b)`` for a scaled statistic ``T / a + b``."""
    statistic, df = (indices.get(f"{prefix}{name}", math.nan) for name in ("chisq", "df"))
    scaled, factor = (indices.get(f"{prefix}{name}", math.nan) for name in ("chisq.scaled", "chisq.scaling.factor"))
    if df == 0:
        return 0.0
    return statistic - factor * (df - (scaled - statistic / factor))


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
    steps = list(fits)
    unusable = [step for step in steps if fits[step].status.reasons]
    for row in rows[1:]:
        step = str(row["step"])
        before = steps[steps.index(step) - 1]
        reasons = fits[step].status.reasons
        if not reasons and before in unusable:
            reasons = (f"The {before} model, which it is compared with, is not usable.",)
        out.append(judge_step(row, n, reasons))
    return out


def proposals_of(
    verdicts: list[Verdict], fits: dict[str, StructuralFit], layout: Layout, fixed: dict[str, tuple[str, ...]]
) -> Table:
    """Return the score tests of what the first failing step added to the step before it."""
    failing = next((v for v in verdicts if not v.holds), None)
    if failing is None or failing.step == "configural" or fits[failing.step].status.level == "failed":
        return Table({})
    kinds = _added_kinds(failing.step, list(fits))
    tests = equality_tests(fits[failing.step], layout, fixed[failing.step])
    return Table.from_rows([row for row in tests.rows() if row["kind"] in kinds])


def _added_kinds(step: str, fitted: list[str]) -> list[str]:
    """What a step adds to the fitted step before it: more than one kind where a step between could not be tested."""
    before = STEPS.index(fitted[fitted.index(step) - 1])
    return [_KIND[name] for name in STEPS[before + 1 : STEPS.index(step) + 1]]


def conclude(
    verdicts: list[Verdict],
    proposals: Table,
    partial: tuple[str, ...],
    layout: Layout,
    *,
    ordered: bool,
) -> str:
    """Say in words what holds, what does not, what to do, and by which criteria."""
    reached = level_reached(verdicts)
    failing = next((v for v in verdicts if not v.holds), None)
    over = layout.over
    parts = []
    if reached is None:
        parts.append(f"No invariance can be claimed: the model itself does not hold in every {over}.")
    else:
        kind = f"Partial {reached}" if _released_up_to(reached, partial) else reached.capitalize()
        first = "thresholds, loadings" if ordered else "loadings"
        noun = "Invariance of thresholds holds" if reached == "thresholds" else f"{kind} invariance holds"
        parts.append(f"{noun}: {_MEANING[reached].format(over=over, first=first)}.")
    if failing is not None and failing.step == "configural":
        parts.append(f"The configural model is not good enough: {failing.because}. Look at each {over}'s model first.")
    elif failing is not None:
        verb = "cannot be judged" if failing.holds is None else "do not hold"
        added = _words([_ADDED_WORDS[k] for k in _added_kinds(failing.step, [v.step for v in verdicts])])
        parts.append(f"Equal {added} {verb}: {failing.because}.")
        parts.append(_advice(proposals, over))
    if reached in ("scalar", "strict"):
        parts.append(f"Factor means are compared with those of {over} {layout.units[0]}.")
    elif reached is not None:
        parts.append(f"Do not compare means of the {over}s: a difference may be one of measurement.")
    if partial:
        parts.append(f"Released: {', '.join(partial)}.")
    parts.append(f"Criteria: {ORDERED_CRITERIA if ordered else CRITERIA}.")
    return " ".join(part for part in parts if part)


_ADDED_WORDS = {
    "thresholds": "thresholds",
    "loadings": "loadings",
    "intercepts": "intercepts",
    "residuals": "residual variances",
}


def _words(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _released_up_to(reached: str, partial: tuple[str, ...]) -> bool:
    """Whether a released parameter is one that the steps so far hold equal."""
    return any(STEPS.index(_step_of(name)) <= STEPS.index(reached) for name in partial)


def _step_of(name: str) -> str:
    if "|" in name:
        return "thresholds"
    return "metric" if "=~" in name else "strict" if "~~" in name else "scalar"


def _advice(proposals: Table, over: str) -> str:
    best = next((row for row in proposals.rows() if row[over] == "all"), None)
    if best is None:
        return ""
    value = best.get("score_chisq_robust", best["score_chisq"])
    return (
        f"The equality that costs most is that of '{best['parameter']}' (score test {value:.1f}, "
        f"df {best['df']:g}): partial=['{best['parameter']}'] releases it, if there is a reason in its content."
    )
