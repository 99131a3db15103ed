"""Factor scores of ordered answers: brute force, recovery, invariances, empty categories, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import ndtr

from relmeasure.exceptions import EmptyCategoryWarning, OptionError, UnknownCodeError, UnsupportedDataError
from relmeasure.factor.exploratory import efa
from relmeasure.factor.scores import FactorScores
from relmeasure.factor.solution import EFAResult
from relmeasure.numerics.normal import Array
from tests.factor.references import implied
from tests.support import Constructor

LOADINGS = np.array([[0.8, 0.0], [0.7, 0.0], [0.7, 0.1], [0.6, 0.0], [0.0, 0.8], [0.1, 0.7], [0.0, 0.7], [0.0, 0.6]])
PHI = np.array([[1.0, 0.4], [0.4, 1.0]])
CUTS = np.array([-1.2, -0.3, 0.6])
NAMES = [f"i{k + 1}" for k in range(8)]


def answers(n: int, seed: int) -> tuple[Array, Array]:
    """Answers 1 to 4 of persons with known factors."""
    rng = np.random.default_rng(seed)
    eta = rng.standard_normal((n, 2)) @ np.linalg.cholesky(PHI).T
    error = rng.standard_normal((n, 8)) * np.sqrt(1.0 - np.diag(LOADINGS @ PHI @ LOADINGS.T))
    return np.digitize(eta @ LOADINGS.T + error, CUTS) + 1.0, eta


@pytest.fixture(scope="module")
def rows() -> Array:
    return answers(600, 1)[0]


@pytest.fixture(scope="module")
def solution(rows: Array) -> EFAResult:
    return efa(rows, 2, ordered=True, categories=[1, 2, 3, 4])


def _log_posterior(eta: Array, solution: EFAResult, row: Array, prior: bool) -> float:
    """Minus the log posterior of one person, written down directly."""
    assert solution.answer_model is not None
    total = -0.5 * float(eta @ np.linalg.solve(solution.phi, eta)) if prior else 0.0
    for i, answer in enumerate(row):
        if np.isnan(answer):
            continue
        edges = np.r_[-np.inf, solution.answer_model.thresholds[i], np.inf]
        z = (edges - solution.loadings[i] @ eta) / np.sqrt(solution.uniquenesses[i])
        total += float(np.log(ndtr(z[int(answer)]) - ndtr(z[int(answer) - 1])))
    return -total


# --------------------------------------------------------------------------- the number
@pytest.mark.parametrize("method", ["ebm", "ml"])
def test_scores_are_the_modes_that_brute_force_finds(solution: EFAResult, rows: Array, method: Any) -> None:
    some = rows[:12].copy()
    some[3, [1, 5]] = np.nan
    made = solution.score(some, method)
    assert made.person_se is not None
    for row, score, error in zip(some, made.scores, made.person_se, strict=True):
        if np.isnan(score).any():
            assert method == "ml"
            continue
        args = (solution, row, method == "ebm")
        found = minimize(_log_posterior, np.zeros(2), args=args, method="BFGS", options={"gtol": 1e-8})
        np.testing.assert_allclose(score, found.x, rtol=0, atol=1e-5)
        h = 1e-4
        curvature = np.array(
            [
                [
                    _log_posterior(score + h * (a + b), *args)
                    - _log_posterior(score + h * (a - b), *args)
                    - _log_posterior(score - h * (a - b), *args)
                    + _log_posterior(score - h * (a + b), *args)
                    for b in np.eye(2)
                ]
                for a in np.eye(2)
            ]
        ) / (4 * h * h)
        np.testing.assert_allclose(error, np.sqrt(np.diag(np.linalg.inv(curvature))), rtol=1e-4)


def test_scores_recover_the_factors_as_far_as_they_say() -> None:
    x, eta = answers(3000, 2)
    made = efa(x, 2, ordered=True, categories=[1, 2, 3, 4])
    scored = made.score(answers(3000, 3)[0])
    truth = answers(3000, 3)[1]
    order = np.abs(np.corrcoef(scored.scores.T, truth.T)[:2, 2:]).argmax(axis=1)
    truth = truth[:, order]
    r = np.array([np.corrcoef(scored.scores[:, j], truth[:, j])[0, 1] for j in range(2)])
    np.testing.assert_allclose(r, scored.determinacy, atol=0.02)
    rmse = np.sqrt(((scored.scores - truth) ** 2).mean(axis=0))
    np.testing.assert_allclose(rmse, scored.se, atol=0.03)
    covered = (np.abs(scored.scores - truth) < 1.96 * np.array(scored.person_se)).mean()
    assert 0.93 < covered < 0.97
    del eta


def test_more_answers_make_smaller_errors(solution: EFAResult, rows: Array) -> None:
    few = rows[:50].copy()
    few[:, [0, 4]] = np.nan
    whole, part = solution.score(rows[:50]), solution.score(few)
    assert whole.person_se is not None
    assert part.person_se is not None
    assert (part.person_se > whole.person_se - 1e-12).mean() > 0.95
    assert (part.n_valid == 6).all()


# --------------------------------------------------------------------------- invariances
def test_relabelled_categories_and_reversed_items_leave_scores(solution: EFAResult, rows: Array) -> None:
    relabelled = efa(rows * 10, 2, ordered=True, categories=[10, 20, 30, 40])
    np.testing.assert_allclose(relabelled.score(rows * 10).scores, solution.score(rows).scores, rtol=0, atol=1e-8)
    turned = rows.copy()
    turned[:, 2] = 5 - turned[:, 2]
    reversed_ = efa(turned, 2, ordered=True, categories=[1, 2, 3, 4])
    np.testing.assert_allclose(reversed_.score(turned).scores, solution.score(rows).scores, rtol=0, atol=1e-6)


def test_every_engine_gives_the_same_scores(solution: EFAResult, rows: Array, constructor: Constructor) -> None:
    data = {f"x{k + 1}": rows[:20, k].tolist() for k in range(8)}
    np.testing.assert_allclose(solution.score(constructor(data)).scores, solution.score(rows[:20]).scores, atol=1e-12)


# --------------------------------------------------------------------------- missing, empty, mixed
def test_who_answers_nothing_has_no_score_and_ml_needs_a_mode(solution: EFAResult) -> None:
    x = np.full((3, 8), np.nan)
    x[1], x[2] = 4.0, [1, 2, 3, 4, 1, 2, 3, 4]
    frame = solution.score(x).to_frame()
    assert frame["missing_reason"][0] == "no item is answered"
    assert frame["missing_reason"][1:].isna().all()
    ml = solution.score(x, "ml").to_frame()
    assert "no mode" in ml["missing_reason"][1]
    assert np.isfinite(ml["F1_ml"][2])
    assert "F1_ml_se" in ml


def test_an_answer_in_a_category_that_was_empty_is_scored_by_its_interval(rows: Array) -> None:
    x = rows.copy()
    x[x[:, 0] == 2.0, 0] = 1.0
    with pytest.warns(EmptyCategoryWarning):
        made = efa(x, 2, ordered=True, categories=[1, 2, 3, 4])
    new = np.tile([1.0, 2, 3, 4, 1, 2, 3, 4], (3, 1))
    new[:, 0] = [1, 2, 3]
    scores = made.score(new).scores
    assert made.answer_model is not None
    assert made.answer_model.numbers[0] == (1, 3)  # the threshold above the empty category is the one left out
    np.testing.assert_allclose(scores[1], scores[2], rtol=0, atol=1e-12)
    assert np.abs(scores[0] - scores[1]).max() > 0.01


def test_mixed_items_are_scored_together(rows: Array) -> None:
    x, eta = answers(800, 5)
    rng = np.random.default_rng(6)
    x[:, 7] = 50 + 10 * (0.7 * eta[:, 1] + np.sqrt(1 - 0.49) * rng.standard_normal(800))
    names = [f"x{k + 1}" for k in range(7)]
    made = efa(x, 2, ordered=names, categories={name: [1, 2, 3, 4] for name in names})
    assert made.answer_model is not None
    assert made.answer_model.ordered == (True,) * 7 + (False,)
    scored = made.score(x)
    assert np.abs(np.corrcoef(scored.scores.T, eta.T)[:2, 2:]).max(axis=1).min() > 0.8
    del rows


def test_continuous_items_alone_give_the_regression_score() -> None:
    """The mode of a normal posterior is its mean: the two ways to scores agree where both exist."""
    from relmeasure.numerics.latent_scores import ResponseModel, latent_modes

    z = np.random.default_rng(7).standard_normal((5, 8))
    uniquenesses = 1.0 - np.diag(LOADINGS @ PHI @ LOADINGS.T)
    model = ResponseModel(LOADINGS, np.zeros(8), np.sqrt(uniquenesses), [None] * 8, np.zeros(2), PHI)
    expected = z @ np.linalg.solve(implied(LOADINGS, PHI), LOADINGS @ PHI)
    np.testing.assert_allclose(latent_modes(model, z)[0], expected, rtol=0, atol=1e-9)


# --------------------------------------------------------------------------- results and refusals
def test_solutions_and_scores_round_trip(solution: EFAResult, rows: Array) -> None:
    again = EFAResult.from_dict(solution.to_dict())
    assert again.equals(solution)
    made = again.score(rows[:5])
    assert made.equals(solution.score(rows[:5]))
    assert FactorScores.from_dict(made.to_dict()).equals(made)
    assert "determinacy" in made.summary()


def test_what_does_not_fit_is_refused(solution: EFAResult, rows: Array) -> None:
    for method in ("regression", "bartlett", "ten_berge"):
        with pytest.raises(UnsupportedDataError, match="ebm"):
            solution.score(rows, method)
    with pytest.raises(OptionError, match="ebm"):
        solution.score(rows, "eap")  # type: ignore[arg-type]
    with pytest.raises(UnsupportedDataError, match="regression score"):
        efa(rows, 2).score(rows, "ebm")
    with pytest.raises(UnknownCodeError, match="x1"):
        solution.score(np.full((2, 8), 9.0))
    above = efa(rows, 2, ordered=True, categories=[1, 2, 3, 4], rotation="schmid_leiman")
    with pytest.raises(UnsupportedDataError, match="Schmid-Leiman"):
        above.score(rows)
