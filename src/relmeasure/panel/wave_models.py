"""Models of three and more waves: random intercepts, equal lags, growth; all of true scores.

Every model is written in lavaan's language by ``panel.models`` and fitted to the class means with their errors taken
out, so what was fitted can be read, and run elsewhere on the class means as they are (``corrected = False``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from relmeasure.exceptions import ConvergenceError, DataError, EstimationError, ModelError, NotPositiveDefiniteError
from relmeasure.numerics.optimize import numerical_gradient, numerical_jacobian
from relmeasure.panel.error_moments import ClassMeans
from relmeasure.panel.latent_moments import latent_moments
from relmeasure.panel.models import growth_syntax, random_intercept_syntax
from relmeasure.panel.reciprocal import ReciprocalStudy, Step
from relmeasure.panel.true_score_models import TrueScoreFit, fit_true_scores

__all__ = ["EQUAL", "FREE", "columns_of", "growth", "random_intercepts", "syntax_of"]

Array = np.ndarray[Any, np.dtype[Any]]

FREE = "random intercepts"
EQUAL = "random intercepts, equal lags"

_MORE_TEACHERS = "random intercepts need more teachers, or more students of each"
"""What helps where the model has no usable solution; many samples of a few hundred teachers have none."""


def columns_of(study: ReciprocalStudy, scores: tuple[str, ...]) -> dict[str, list[str]]:
    """Names of the scores wave by wave that a model string can hold: ``care_1``, ``care_2``; unique."""
    out: dict[str, list[str]] = {}
    for k, score in enumerate(scores):
        plain = re.sub(r"\W", "_", score, flags=re.ASCII)
        if not re.match(r"[A-Za-z]", plain) or plain in out:
            plain = f"score{k + 1}_{plain}"
        out[plain] = [f"{plain}_{w + 1}" for w in range(len(study.rows.waves))]
    return out


def _means(study: ReciprocalStudy, scores: tuple[str, ...], mask: Any) -> ClassMeans:
    """Class means of these scores over all waves, under names that a model string can hold."""
    places = [study.rows.column(score, wave) for wave in study.rows.waves for score in scores]
    names = [name for wave in zip(*columns_of(study, scores).values(), strict=True) for name in wave]
    return replace(study.means.pick(mask, places), names=tuple(names))


def syntax_of(study: ReciprocalStudy, practice: str, *, equal_lags: bool = False) -> str:
    """Write the random-intercept model of the relationship and one practice."""
    return random_intercept_syntax(columns_of(study, (study.relationship, practice)), equal_lags=equal_lags)


# --------------------------------------------------------------------------- random intercepts
def random_intercepts(study: ReciprocalStudy) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of lags within teachers, and tests of every model and of equal lags; nothing below three waves."""
    effects: list[dict[str, Any]] = []
    tests: list[dict[str, Any]] = []
    if len(study.rows.waves) < 3:
        return effects, tests
    for practice in study.practices:
        for band, mask in study.bands.items():
            for corrected in (False, True):
                rows, found = _one(study, practice, band, mask, corrected=corrected)
                effects += rows
                tests += found
    return effects, tests


def _one(
    study: ReciprocalStudy, practice: str, band: str, mask: Any, *, corrected: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    scores, waves = (study.relationship, practice), study.rows.waves
    steps = [Step(FREE, scores, a, b, band, corrected) for a, b in study.steps]
    steps.append(Step(EQUAL, scores, "each", "next", band, corrected))
    shown = {"relationship": study.relationship, "practice": practice, "by": band, "corrected": corrected}
    try:
        inference = study.inference(mask)
        means = _means(study, scores, mask)
        saturated = latent_moments(means, corrected=corrected)
        fits = [
            fit_true_scores(text, means, corrected=corrected, groups=inference.groups, saturated=saturated)
            for text in (syntax_of(study, practice), syntax_of(study, practice, equal_lags=True))
        ]
    except (EstimationError, DataError, ModelError) as problem:
        reason = problem.message
        if isinstance(problem, (ConvergenceError, NotPositiveDefiniteError)):
            reason = f"{reason.rstrip('.')}; {_MORE_TEACHERS}"
        rows = [
            study.row(scores[a], scores[b], step.shared, reason) for step in steps for a, b in study.crossed(scores)
        ]
        return rows, [shown | _no_test(name, reason) for name in (FREE, EQUAL, "equal lags")]
    rows = []
    for step in steps:
        fit = fits[step.model == EQUAL]
        first = 0 if step.model == EQUAL else waves.index(step.first)
        rows += [_lag(study, step, fit, first, a, b, mask) for a, b in study.crossed(scores)]
    tests = [shown | _fit_test(name, fit) for name, fit in zip((FREE, EQUAL), fits, strict=True)]
    return rows, [*tests, shown | _equal_lags(fits[0])]


def _lag(
    study: ReciprocalStudy, step: Step, fit: TrueScoreFit, first: int, a: int, b: int, mask: Any
) -> dict[str, Any]:
    names = list(columns_of(study, step.scores).values())
    outcome, predictor = f"w_{names[b][first + 1]}", f"w_{names[a][first]}"
    place = fit.parameter(outcome, "~", predictor)
    row = study.row(step.scores[a], step.scores[b], step.shared, None)
    if not fit.admissible:
        row["reason"] = (
            "a variance below zero: the stable and the changing part cannot be told apart in these data; "
            f"{_MORE_TEACHERS}"
        )
        return row
    row |= study.inference(mask).about(float(fit.x[place]), float(fit.acov[place, place]))
    standard = _standardised(fit, outcome, predictor, place)
    slope = _numeric(lambda x: _standardised(replace(fit, x=x), outcome, predictor, place), fit.x)
    std_se = math.sqrt(max(float(slope @ fit.acov @ slope), 0.0))
    over = study.steps if step.model == EQUAL else [(step.first, step.second)]
    n_classes = study.carried(step.scores[a], step.scores[b], over, mask)
    return row | {"std": standard, "std_se": std_se, "n_classes": n_classes}


def _standardised(fit: TrueScoreFit, outcome: str, predictor: str, place: int) -> float:
    """By the standard deviations of the deviations from the stable part."""
    state = fit.states()
    at = {name: k for k, name in enumerate([*fit.table.observed, *fit.table.latent])}
    ratio = state.V[at[predictor], at[predictor]] / state.V[at[outcome], at[outcome]]
    return float(fit.x[place] * math.sqrt(ratio))


def _numeric(function: Callable[[Array], float], x: Array) -> Array:
    return np.asarray(numerical_gradient(function, x))


def _fit_test(name: str, fit: TrueScoreFit) -> dict[str, Any]:
    """Likelihood ratio against the unrestricted moments."""
    from scipy.special import chdtrc

    tail = float(chdtrc(fit.df, fit.chisq)) if fit.df else math.nan
    return {"test": f"fit of {name}", "chisq": fit.chisq, "df": fit.df, "pvalue": tail, "reason": None}


def _equal_lags(fit: TrueScoreFit) -> dict[str, Any]:
    """Wald test, robust to classes or schools, that every lag is the same between all pairs of waves."""
    from scipy.special import chdtrc

    lags = [
        (fit.table.lhs[r], fit.table.rhs[r], k) for k, r in enumerate(fit.table.free_rows) if fit.table.op[r] == "~"
    ]
    kinds: dict[tuple[str, str], list[int]] = {}
    for lhs, rhs, k in lags:
        kinds.setdefault((lhs.rpartition("_")[0], rhs.rpartition("_")[0]), []).append(k)
    differences = []
    for places in kinds.values():
        for other in places[1:]:
            row = np.zeros(len(fit.x))
            row[places[0]], row[other] = 1.0, -1.0
            differences.append(row)
    L = np.array(differences)
    value, covariance = L @ fit.x, L @ fit.acov @ L.T
    chisq = float(value @ np.linalg.pinv(covariance) @ value)
    return {"test": "equal lags", "chisq": chisq, "df": len(L), "pvalue": float(chdtrc(len(L), chisq)), "reason": None}


def _no_test(name: str, reason: str) -> dict[str, Any]:
    test = name if name == "equal lags" else f"fit of {name}"
    return {"test": test, "chisq": math.nan, "df": 0, "pvalue": math.nan, "reason": reason}


# --------------------------------------------------------------------------- growth
def growth(study: ReciprocalStudy) -> list[dict[str, Any]]:
    """Linear growth of every practice, with the relationship of the first wave as predictor of level and change.

    Rows ``what``: ``level`` and ``change`` (means at an average relationship), and the slopes of both on the
    relationship; nothing below three waves.
    """
    if len(study.rows.waves) < 3:
        return []
    out = []
    for practice in study.practices:
        for band, mask in study.bands.items():
            for corrected in (False, True):
                shown = {"practice": practice, "by": band, "corrected": corrected}
                out += [shown | row for row in _growth(study, practice, mask, corrected=corrected)]
    return out


GROWTH = ("level", "change", "level on relationship", "change on relationship")


def _growth(study: ReciprocalStudy, practice: str, mask: Any, *, corrected: bool) -> list[dict[str, Any]]:
    names = columns_of(study, (study.relationship, practice))
    care, columns = next(iter(names.values()))[0], list(names.values())[1]
    every = _means(study, (study.relationship, practice), mask)
    places = [every.names.index(name) for name in (care, *columns)]
    means = every.pick(columns=places)
    empty = dict.fromkeys(("estimate", "se", "lower", "upper", "pvalue"), math.nan)
    try:
        inference = study.inference(mask)
        fit = fit_true_scores(
            growth_syntax(columns, predictors=[care]), means, corrected=corrected, auto=True, groups=inference.groups
        )
    except (EstimationError, DataError, ModelError) as problem:
        return [{"what": what} | empty | {"n_classes": 0, "reason": problem.message} for what in GROWTH]
    state = fit.states()
    at = {name: k for k, name in enumerate([*fit.table.observed, *fit.table.latent])}
    slopes = [fit.parameter(f, "~", care) for f in ("level", "change")]
    n_classes = int((~np.isnan(means.mean)).any(axis=1).sum())

    def average(x: Array) -> Array:
        now = replace(fit, x=x).states()
        return np.array([now.nu[at["level"]], now.nu[at["change"]], *x[slopes]])

    jacobian = numerical_jacobian(average, fit.x)
    variance = np.diag(jacobian @ fit.acov @ jacobian.T)
    values = [state.nu[at["level"]], state.nu[at["change"]], *fit.x[slopes]]
    reason = None if fit.admissible else "a variance below zero: levels or changes hardly differ between teachers"
    return [
        {"what": what} | inference.about(float(value), float(v)) | {"n_classes": n_classes, "reason": reason}
        for what, value, v in zip(GROWTH, values, variance, strict=True)
    ]
