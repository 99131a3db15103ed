"""Panel models of true scores: lavaan's numbers without errors, recovery with them, what the models can and cannot tell."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relmeasure.exceptions import ModelError, NotPositiveDefiniteError
from relmeasure.panel.error_moments import ClassMeans, class_means
from relmeasure.panel.models import cross_lagged_syntax, random_intercept_syntax
from relmeasure.panel.true_score_models import fit_true_scores
from tests.panel.test_models import VARIABLES

COLUMNS = ["JOBSAT1", "COMMIT1", "JOBSAT2", "COMMIT2", "JOBSAT3", "COMMIT3"]
ESTIMATES = 1e-5
"""Absolute; lavaan stops at a gradient of about 1e-6."""


def _as_means(values: Any, names: list[str]) -> ClassMeans:
    """Rows as classes whose means carry no error."""
    j, p = values.shape
    there = np.where(np.isnan(values), 0.0, 2.0)
    nothing = np.zeros((p, p))
    labels = tuple(map(str, range(j)))
    return ClassMeans(tuple(names), labels, values, there, np.zeros((j, p, p)), nothing, np.full((p, p), 9.0))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "equal", "simple"),
    [("univbct_riclpm_fiml_ML", False, False), ("univbct_riclpm_eq_fiml_MLR", True, False), ("univbct_clpm_fiml_MLR", False, True)],
)  # fmt: skip
def test_without_errors_it_is_full_information_likelihood(
    shared_reference: Path, name: str, equal: bool, simple: bool
) -> None:
    """Log-likelihood, chi-square and every lag as in lavaan, with missing waves."""
    import pandas as pd

    stored = json.loads((shared_reference / "values" / "panel.json").read_text(encoding="utf-8"))[name]
    data = pd.read_csv(shared_reference / "values" / "panel_univbct_wide_input.csv")[COLUMNS].to_numpy(float)
    syntax = cross_lagged_syntax(VARIABLES) if simple else random_intercept_syntax(VARIABLES, equal_lags=equal)
    fit = fit_true_scores(syntax, _as_means(data, COLUMNS), corrected=False, auto=simple)
    assert fit.log_likelihood == pytest.approx(stored["fit"]["logl"], rel=1e-9)
    assert fit.chisq == pytest.approx(stored["fit"]["chisq"], abs=1e-6)
    assert fit.df == stored["fit"]["df"]
    renamed = {f"w{v}{k}": f"w_{VARIABLES[v][k - 1]}" for v in "xy" for k in (1, 2, 3)}
    table, compared = stored["estimates"], 0
    for lhs, op, rhs, est in zip(*(table[c] for c in ("lhs", "op", "rhs", "est")), strict=True):
        if op == "~":
            place = fit.parameter(renamed.get(lhs, lhs), op, renamed.get(rhs, rhs))
            assert fit.x[place] == pytest.approx(est, abs=ESTIMATES)
            compared += 1
    assert compared == 8


def district(rng: np.random.Generator, *, teachers: int, lag: float, stable: float, students: int = 20) -> ClassMeans:
    """Three waves of two scores rated by other students each: stable differences, lags within, and a halo of .6."""
    trait = rng.multivariate_normal([0, 0], stable * np.array([[1.0, 0.6], [0.6, 1.0]]), teachers)
    wave = rng.normal(size=(teachers, 2))
    code = np.repeat(np.arange(teachers), students)
    halo = 3.0 * np.array([[1.0, 0.6], [0.6, 1.0]])
    parts = []
    for w in range(3):
        rows = np.full((len(code), 6), np.nan)
        rows[:, 2 * w : 2 * w + 2] = (trait + wave)[code] + rng.multivariate_normal([0, 0], halo, len(code))
        parts.append(rows)
        wave = np.column_stack([0.3 * wave[:, 0], 0.3 * wave[:, 1] + lag * wave[:, 0]]) + 0.9 * rng.normal(
            size=(teachers, 2)
        )
    names = ("x1", "y1", "x2", "y2", "x3", "y3")
    return class_means(np.vstack(parts), np.tile(code, 3), tuple(map(str, range(teachers))), names)


WAVES = {"x": ["x1", "x2", "x3"], "y": ["y1", "y2", "y3"]}


@pytest.mark.parametrize("lag", [0.0, 0.25])
def test_lags_within_teachers_are_recovered_from_ratings(lag: float) -> None:
    """Errors and stable differences taken out: the lag is found, and none where there is none."""
    means = district(np.random.default_rng(8), teachers=1200, lag=lag, stable=1.0)
    fit = fit_true_scores(random_intercept_syntax(WAVES, equal_lags=True), means)
    place = fit.parameter("w_y2", "~", "w_x1")
    se = np.sqrt(fit.acov[place, place])
    assert abs(fit.x[place] - lag) < 3 * se
    assert se < 0.08
    if lag:
        assert fit.x[place] > 3 * se


def test_stable_differences_are_mistaken_for_lags_without_random_intercepts() -> None:
    """The same ratings, no lag at all: the simple model finds one."""
    means = district(np.random.default_rng(8), teachers=1200, lag=0.0, stable=2.0)
    fit = fit_true_scores(cross_lagged_syntax(WAVES), means, auto=True)
    place = fit.parameter("y2", "~", "x1")
    assert fit.x[place] > 3.5 * np.sqrt(fit.acov[place, place])


def test_equal_lags_are_equal_and_cost_their_degrees_of_freedom() -> None:
    means = district(np.random.default_rng(9), teachers=300, lag=0.2, stable=0.5)
    free = fit_true_scores(random_intercept_syntax(WAVES), means)
    equal = fit_true_scores(random_intercept_syntax(WAVES, equal_lags=True), means)
    assert (free.df, equal.df) == (1, 5)
    assert equal.chisq >= free.chisq
    one, other = equal.parameter("w_y2", "~", "w_x1"), equal.parameter("w_y3", "~", "w_x2")
    assert equal.x[one] == pytest.approx(equal.x[other], abs=1e-12)
    assert equal.acov[one, one] == pytest.approx(equal.acov[other, other], rel=1e-9)


def test_order_of_scores_does_not_matter() -> None:
    means = district(np.random.default_rng(9), teachers=200, lag=0.2, stable=0.5)
    syntax = random_intercept_syntax(WAVES)
    turned = means.pick(columns=[3, 0, 5, 2, 1, 4])
    first, second = fit_true_scores(syntax, means), fit_true_scores(syntax, turned)
    assert second.log_likelihood == pytest.approx(first.log_likelihood, abs=1e-6)
    np.testing.assert_allclose(second.x, first.x, atol=1e-5)


def test_what_cannot_be_fitted_is_said() -> None:
    """A model that leaves a score out; more error than variance."""
    means = district(np.random.default_rng(9), teachers=200, lag=0.2, stable=0.5)
    with pytest.raises(ModelError, match="leaves out"):
        fit_true_scores("x2 ~ x1", means, auto=True)
    with pytest.raises(NotPositiveDefiniteError, match="too much error"):
        fit_true_scores(random_intercept_syntax(WAVES), replace(means, within=8 * means.within))
