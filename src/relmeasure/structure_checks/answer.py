"""From competing models to an answer in plain words, with its reasons.

References
----------
Brown, T. A. (2015). Confirmatory Factor Analysis for Applied Research, 2nd ed., 146 (discriminant validity). Raftery,
A. E. (1995). Sociological Methodology, 25, 111-163, table 6 (differences of BIC). Rodriguez, A., Reise, S. P., &
Haviland, M. G. (2016). Psychological Methods, 21, 137-150 (ECV and omega hierarchical).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from relmeasure.results import Table
from relmeasure.structural.fitted.fit import StructuralFit

__all__ = ["CRITERIA", "answer", "factor_correlations", "model_rows"]

CRITERIA = (
    "a model fits when CFI is at least .90 and SRMR at most .08; one is preferred when its BIC is lower by more than "
    "10 (Raftery, 1995); factors correlated above .85 are hardly told apart (Brown, 2015); one factor dominates when "
    "it explains at least 70% of the common variance and omega hierarchical is at least .80 (Rodriguez et al., 2016)"
)
"""What the answer rests on."""

_COLUMNS = ("chisq", "df", "pvalue", "cfi", "rmsea", "srmr", "aic", "bic")
_ROBUST = {"chisq_scaled": "chisq.scaled", "cfi_robust": "cfi.robust", "rmsea_robust": "rmsea.robust"}
_NAMES = {"single": "one factor", "correlated": "correlated factors", "method factor": "a factor of reversed items"}


def usable(fit: StructuralFit | None) -> bool:
    """Whether a model may be interpreted and ranked."""
    return fit is not None and fit.status.level == "ok" and bool(fit.indices)


def model_rows(fits: dict[str, StructuralFit], absent: dict[str, str]) -> list[dict[str, Any]]:
    """Return one row a model: usable ones by BIC, then the others without a rank, then those that were not fitted."""
    robust = next(iter(fits.values())).method.robust
    rows = []
    for name, fit in fits.items():
        row: dict[str, Any] = {"model": name, **{key: fit.indices.get(key, math.nan) for key in _COLUMNS}}
        if robust:
            row |= {key: fit.indices.get(source, math.nan) for key, source in _ROBUST.items()}
        note = "" if usable(fit) else " ".join(fit.status.reasons) or "standard errors or indices are not defined"
        rows.append({**row, "status": _status(fit), "rank": None, "note": note})
    ranked = sorted((r for r in rows if usable(fits[r["model"]])), key=lambda r: (round(r["bic"], 6), -r["df"]))
    for rank, row in enumerate(ranked, start=1):
        row["rank"] = rank
        twin = next((r["model"] for r in ranked if r is not row and _same_fit(r, row)), None)
        if twin is not None:
            row["note"] = f"fits as {twin} does: the data cannot tell them apart"
    rest = [r for r in rows if r["rank"] is None]
    empty = dict.fromkeys([*_COLUMNS, *(_ROBUST if robust else ())], math.nan)
    none = [{"model": m, **empty, "status": "not fitted", "rank": None, "note": why} for m, why in absent.items()]
    return [*ranked, *rest, *none]


def _same_fit(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return bool(first["df"] == second["df"] and math.isclose(first["chisq"], second["chisq"], rel_tol=1e-6))


def _status(fit: StructuralFit) -> str:
    if not fit.status.converged:
        return "not converged"
    if fit.status.identified is False:
        return "not identified"
    return "inadmissible" if fit.status.admissible is False else fit.status.level


def factor_correlations(fit: StructuralFit) -> Table:
    """Correlations of factors whose variances are one."""
    rows = [
        {"first": r["lhs"], "second": r["rhs"], "correlation": r["est"]} | {k: r[k] for k in ("se", "lower", "upper")}
        for r in fit._parameters().rows()
        if r["op"] == "~~" and r["lhs"] != r["rhs"] and r["lhs"] in fit.table.latent
    ]
    return Table.from_rows(rows)


@dataclass(frozen=True)
class Evidence:
    """What the models say: whether one factor fits, whether several fit better, how near they are."""

    one_fits: bool
    several_fit: bool
    several_better: bool
    close: list[str]
    n_pairs: int
    dominance: bool | None


def answer(fits: dict[str, StructuralFit], correlations: Table, indices: dict[str, float]) -> tuple[str, str]:
    """Return the answer in a word, and in plain words with its reasons."""
    evidence = _evidence(fits, correlations, indices)
    word, opening = _opening(evidence, "correlated" in fits)
    reasons = [*_fit_reasons(fits), *_distance(correlations, evidence), *_dominance(indices, fits), *_method(fits)]
    return word, " ".join([opening, *reasons, f"Criteria: {CRITERIA}."])


def _evidence(fits: dict[str, StructuralFit], correlations: Table, indices: dict[str, float]) -> Evidence:
    single, several = fits["single"], fits.get("correlated")
    better = False
    if several is not None and usable(several):
        better = not usable(single) or several.indices["bic"] < single.indices["bic"] - 10.0
    close = [f"{r['first']} and {r['second']}" for r in correlations.rows() if abs(r["correlation"]) > 0.85]
    dominance = None
    if indices:
        dominance = indices["ecv"] >= 0.70 and indices["omega_hierarchical"] >= 0.80
    return Evidence(_fits(single), _fits(several), better, close, len(correlations), dominance)


def _fits(fit: StructuralFit | None) -> bool:
    if fit is None or not usable(fit):
        return False
    cfi = fit.indices.get("cfi.robust", fit.indices["cfi"])
    return bool(cfi >= 0.90 and fit.indices["srmr"] <= 0.08)


def _opening(evidence: Evidence, has_scales: bool) -> tuple[str, str]:
    """The answer; one overall impression is what 'they only rate popularity' would look like."""
    if not has_scales:
        if evidence.one_fits:
            return "one", "One thing: a single factor fits; there is one scale, so nothing to tell it from."
        return "unclear", "Not to be told: a single factor does not fit, and there is one scale only."
    if evidence.several_better and evidence.several_fit:
        if len(evidence.close) == evidence.n_pairs or evidence.dominance:
            return "general", (
                "Mostly one overall impression, with aspects that can just be told apart: the total says most of what "
                "there is, and a difference between scales should be read with caution."
            )
        return "several", (
            "More than one overall impression: the ratings tell the scales apart, which mere popularity "
            "would not explain."
        )
    if evidence.one_fits and not evidence.several_better:
        return "one", (
            "One overall impression: the ratings do not tell the scales apart. They may be ratings of popularity, or "
            "the aspects may go together in fact; the ratings alone cannot say which."
        )
    return "unclear", "Not to be told: neither one factor nor one factor a scale describes the ratings well enough."


def _fit_reasons(fits: dict[str, StructuralFit]) -> list[str]:
    parts = []
    for name in ("single", "correlated"):
        fit = fits.get(name)
        if fit is None:
            continue
        if usable(fit):
            cfi = fit.indices.get("cfi.robust", fit.indices["cfi"])
            parts.append(f"{_NAMES[name]}: CFI {cfi:.3f}, SRMR {fit.indices['srmr']:.3f}, BIC {fit.indices['bic']:.1f}")
        else:
            parts.append(f"{_NAMES[name]}: {_status(fit)}, not to be used")
    text = "; ".join(parts)
    return [f"{text[:1].upper()}{text[1:]}."]


def _distance(correlations: Table, evidence: Evidence) -> list[str]:
    if not len(correlations):
        return []
    values = [abs(float(v)) for v in correlations["correlation"]]
    text = (
        f"Factors correlate {min(values):.2f} to {max(values):.2f}"
        if len(values) > 1
        else (f"The factors correlate {values[0]:.2f}")
    )
    if evidence.close and len(evidence.close) < evidence.n_pairs:
        text += f"; hardly told apart: {', '.join(evidence.close)}"
    return [f"{text}."]


def _dominance(indices: dict[str, float], fits: dict[str, StructuralFit]) -> list[str]:
    if indices:
        return [
            f"A general factor explains {indices['ecv']:.0%} of the common variance (ECV), and omega hierarchical is "
            f"{indices['omega_hierarchical']:.2f} of omega total {indices['omega_total']:.2f}."
        ]
    if "bifactor" in fits:
        return [f"The bifactor model is {_status(fits['bifactor'])}, so ECV and omega hierarchical are not given."]
    return []


def _method(fits: dict[str, StructuralFit]) -> list[str]:
    """Whether reversed items share more than their content."""
    method, base = fits.get("method factor"), fits.get("correlated", fits["single"])
    if method is None or not (usable(method) and usable(base)):
        return []
    gain = base.indices["bic"] - method.indices["bic"]
    if gain > 10.0:
        return [
            f"Reversed items share something beyond their content (BIC lower by {gain:.1f} with a factor of theirs)."
        ]
    return ["Reversed items share nothing of weight beyond their content."]
