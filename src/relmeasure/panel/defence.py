"""What defends a lagged association, or stands against it: raters, confounders, single schools, power."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from relmeasure.panel.reciprocal import ALL, ReciprocalStudy, Step
from relmeasure.panel.wave_models import EQUAL
from relmeasure.responses.waves import WaveRows

__all__ = ["in_halves", "power", "same_rater", "sensitivity"]

Array = np.ndarray[Any, np.dtype[Any]]
Key = tuple[str, str, str]

LAGS = (0.10, 0.20, 0.30)
"""Standardised lags whose power is given."""

POWER = 0.80


def _wanted(table: list[dict[str, Any]], models: tuple[str, ...] = ("pair", "same wave")) -> list[dict[str, Any]]:
    """Corrected associations of pairs of scores over all bands."""
    return [
        row
        for row in table
        if row["by"] == ALL and row["corrected"] and row["model"] in models and row["predictor"] != row["outcome"]
    ]


def _key(row: dict[str, Any]) -> Key:
    return row["effect"], row["from_wave"], row["to_wave"]


def _named(row: dict[str, Any]) -> dict[str, Any]:
    return {"effect": row["effect"], "from_wave": row["from_wave"], "to_wave": row["to_wave"]}


# --------------------------------------------------------------------------- raters
def same_rater(
    study: ReciprocalStudy,
    table: list[dict[str, Any]],
    n_splits: int,
    generator: np.random.Generator,
    progress: Callable[[int], None],
) -> list[dict[str, Any]]:
    """Relationship from one random half of each class, practice from the other."""
    wanted = _wanted(table)
    found: list[dict[Key, float]] = []
    for _ in range(n_splits):
        half = in_halves(study, generator)
        again = ReciprocalStudy(half, study.relationship, study.practices, study.conf_level)
        again.bands = {ALL: None}
        found.append(_pair_estimates(again))
        progress(1)
    out = []
    for row in wanted if found else []:
        values = np.array([f[_key(row)] for f in found])
        values = values[~np.isnan(values)]
        halves = float(values.mean()) if len(values) else math.nan
        spread = float(values.std(ddof=1)) if len(values) > 1 else math.nan
        shown = _named(row) | {"same_students": row["estimate"], "different_halves": halves}
        out.append(shown | {"sd_over_splits": spread, "n_splits": len(values)})
    return out


def _pair_steps(study: ReciprocalStudy) -> list[Step]:
    """Corrected analyses of relationship and one practice over all bands."""
    return [step for step in study.all_steps() if step.model == "pair" and step.corrected and step.band == ALL]


def _pair_estimates(study: ReciprocalStudy) -> dict[Key, float]:
    """Corrected estimates of the pairs."""
    rows = [row for step in _pair_steps(study) for row in study.effects(step)] if study.steps else study.analyses()
    return {_key(row): row["estimate"] for row in rows if row["corrected"]}


def in_halves(study: ReciprocalStudy, generator: np.random.Generator) -> WaveRows:
    """Blank the relationship of one half of every class, and the practices of the other half.

    A student belongs to one half in all waves, so that nobody is behind an earlier and a later score of the two kinds.
    The halves are as equal as can be among the students of a class who were there in the same waves.
    """
    rows = study.rows
    values = rows.values.copy()
    n_waves, n_scores = len(rows.waves), len(rows.scores)
    there = ~np.isnan(values.reshape(len(values), n_waves, n_scores)).all(axis=2)
    pattern = there @ (1 << np.arange(n_waves))
    order = np.lexsort((generator.random(len(values)), pattern, rows.code))
    ordered = rows.code[order]
    start = np.concatenate([[0], np.flatnonzero(np.diff(ordered)) + 1])
    rank = np.arange(len(order)) - np.repeat(start, np.diff(np.append(start, len(order))))
    own = np.arange(n_waves) * n_scores + rows.scores.index(study.relationship)
    others = np.setdiff1d(np.arange(n_waves * n_scores), own)
    values[np.ix_(order[rank % 2 == 0], others)] = np.nan
    values[np.ix_(order[rank % 2 == 1], own)] = np.nan
    return WaveRows(**{**vars(rows), "values": values})


# --------------------------------------------------------------------------- confounders and single schools
def sensitivity(study: ReciprocalStudy, table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How strong an unmeasured confounder would have to be, and what leaving out one school does.

    Partial R-square t^2 / (t^2 + df) and robustness value (sqrt(f^4 + 4 f^2) - f^2) / 2 with f^2 = t^2 / df: the
    share of the residual variance of both scores that a confounder would have to explain to bring the estimate to zero
    (Cinelli & Hazlett, 2020, eq. 9 and 18). Degrees of freedom: classes with both waves less predictors and intercept.
    """
    out = []
    left_out = _leave_one_school_out(study)
    for row in _wanted(table):
        if row["reason"] is not None:
            continue
        df = row["n_classes"] - (3 if study.steps else 2)
        f2 = (row["estimate"] / row["se"]) ** 2 / df if df > 0 and row["se"] > 0 else math.nan
        shown: dict[str, Any] = _named(row)
        shown |= {"partial_r2": f2 / (1 + f2), "robustness_value": (math.sqrt(f2**2 + 4 * f2) - f2) / 2}
        values = {school: found[_key(row)] for school, found in left_out.items() if not math.isnan(found[_key(row)])}
        lowest, highest = min(values, key=values.__getitem__, default=None), max(values.values(), default=math.nan)
        shown |= {
            "estimate": row["estimate"],
            "without_a_school_lowest": math.nan if lowest is None else values[lowest],
        }
        out.append(shown | {"without_a_school_highest": highest, "lowest_without": lowest})
    return out


def _leave_one_school_out(study: ReciprocalStudy) -> dict[str, dict[Key, float]]:
    """Corrected estimates of the pairs without each school in turn."""
    out: dict[str, dict[Key, float]] = {}
    if not study.rows.schools or not study.steps:
        return out
    home = np.array(study.rows.schools[0])
    schools = sorted(set(study.rows.schools[0]))
    weights = np.array([home != school for school in schools], dtype=float)
    for step in _pair_steps(study):
        if step in study.known:
            estimate, _ = study.reweighted(step, weights)
            for k, school in enumerate(schools):
                found = out.setdefault(school, {})
                for a, b in study.crossed(step.scores):
                    effect = f"{step.scores[a]} -> {step.scores[b]}"
                    found[effect, step.first, step.second] = float(estimate[k, b, a])
    return out


# --------------------------------------------------------------------------- power
def power(study: ReciprocalStudy, table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a study of this size sees: the smallest lag found with a power of .80, and the power for lags of .10 to .30.

    From the standard error of the standardised estimate: the detectable lag is (t_{1 - alpha / 2} + t_{.80}) se, the
    power for a lag b is P(|T| > t_{1 - alpha / 2}) with T about b / se, and the classes needed for a lag of .10 with
    power .80
    are n (detectable / .10)^2. It speaks of studies of this size and precision, not of the estimate that was found.
    """
    inference = study.inference()
    critical = inference.quantile(1 - (1 - study.conf_level) / 2)
    out = []
    for row in _wanted(table, ("pair", "same wave", EQUAL)):
        if row["reason"] is not None or not row["std_se"] > 0:
            continue
        detectable = (critical + inference.quantile(POWER)) * row["std_se"]
        shown = _named(row) | {
            "model": row["model"],
            "n_classes": row["n_classes"],
            "std_se": row["std_se"],
            "detectable": detectable,
        }
        for lag in LAGS:
            shown[f"power_{lag:.2f}".replace("0.", "")] = _power(lag / row["std_se"], critical, inference.freedom)
        out.append(shown | {"classes_for_10": math.ceil(row["n_classes"] * (detectable / LAGS[0]) ** 2)})
    return out


def _power(ratio: float, critical: float, freedom: float) -> float:
    from scipy.special import ndtr, stdtr

    def below(x: float) -> float:
        return float(ndtr(x)) if math.isinf(freedom) else float(stdtr(freedom, x))

    return below(ratio - critical) + below(-ratio - critical)
