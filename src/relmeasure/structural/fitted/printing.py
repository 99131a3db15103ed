"""The text of a fitted model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from relmeasure.results import Table
from relmeasure.structural.fitted.score_frame import determinacy_table

if TYPE_CHECKING:
    from relmeasure.structural.fitted.fit import StructuralFit

__all__ = ["TITLES", "fit_lines", "summarize"]

TITLES = {
    "=~": "Loadings",
    "~": "Regressions",
    "~~": "Variances and covariances",
    "~1": "Intercepts",
    "|": "Thresholds",
    "~*~": "Scales of latent responses",
    ":=": "Defined parameters",
}

_LEAST_DETERMINACY = 0.8
"""Below this a score says too little about a single person (Gorsuch, 1983, Factor Analysis, 260)."""

_FIXED_UNLESS_FREED = ("~1", "~*~")  # a row an item that says nothing while nothing in it is estimated


def summarize(fit: StructuralFit) -> str:
    """Return the method, the fit, the estimates, and what stands against them."""
    lines = [f"{fit.function}: {fit.status.words}", *(f"! {reason}" for reason in fit.status.reasons)]
    lines += [fit.method.words, f"{fit.sample.n_obs} rows; {fit.sample.rule}"]
    if fit.table.n_groups > 1:
        sizes = ", ".join(f"{group.name} ({group.n_obs})" for group in fit.sample.groups)
        lines.append(f"Groups, in order of appearance: {sizes}")
    lines += fit_lines(fit.indices)
    table = fit._parameters(standardized=fit.status.level != "failed")
    shown = ["lhs", "op", "rhs", "group", "label", "est", "se", "z", "pvalue", "lower", "upper", "std_all"]
    for op, title in TITLES.items():
        rows = [row for row in table.rows() if row["op"] == op]
        if not rows:
            continue
        if op in _FIXED_UNLESS_FREED and not any(row["se"] for row in rows):
            lines += ["", f"{title}: all fixed at {', '.join(sorted({format(row['est'], 'g') for row in rows}))}"]
            continue
        names = [name for name in shown if name in table.columns and any(row[name] != "" for row in rows)]
        lines += ["", title, Table.from_rows([{n: row[n] for n in names} for row in rows], names).to_text()]
    return "\n".join([*lines, *_determinacies(fit), *(note.summary() for note in fit.warnings)])


def _determinacies(fit: StructuralFit) -> list[str]:
    """What the scores are worth; ordered items would have to be scored for it."""
    if fit.method.ordinal or not fit.table.latent or not fit.status.admissible or not fit.status.identified:
        return []
    rows = list(determinacy_table(fit._fitted).rows())
    told = ", ".join(
        " ".join(str(row[n]) for n in ("factor", "group") if row[n]) + f" {row['determinacy']:.2f}" for row in rows
    )
    low = any(row["determinacy"] < _LEAST_DETERMINACY for row in rows)
    return [
        "",
        f"Determinacy of scores: {told}" + ("; below .80, not for decisions about single persons" if low else ""),
    ]


def fit_lines(indices: dict[str, float]) -> list[str]:
    """Return the tests and the indices in words."""
    lines = []
    for tag, title in (("", "chi-square"), (".scaled", "scaled chi-square")):
        if f"chisq{tag}" in indices:
            chisq, df, p = (indices[f"{name}{tag}"] for name in ("chisq", "df", "pvalue"))
            lines.append(f"{title}({df:g}) = {chisq:.3f}, {_p(p, df, scaled='chisq.scaled' in indices)}")
    for tag in ("", ".scaled", ".robust"):
        parts = [
            f"{name}{tag} = {indices[name + tag]:.3f}" for name in ("cfi", "tli", "rmsea") if name + tag in indices
        ]
        if f"rmsea.ci.lower{tag}" in indices:
            parts[-1] += f" [{indices[f'rmsea.ci.lower{tag}']:.3f}, {indices[f'rmsea.ci.upper{tag}']:.3f}]"
        if parts:
            lines.append(", ".join(parts))
    if "srmr" in indices:
        lines.append(f"srmr = {indices['srmr']:.3f}")
    if "aic" in indices:
        lines.append(f"logl = {indices['logl']:.3f}, aic = {indices['aic']:.3f}, bic = {indices['bic']:.3f}")
    return lines


def _p(value: float, df: float, *, scaled: bool) -> str:
    if math.isnan(value) and df > 0:
        return "no p-value: see the scaled test" if scaled else "no p-value"
    if math.isnan(value):
        return "no degrees of freedom"
    return "p < .001" if value < 0.001 else f"p = {value:.3f}"
