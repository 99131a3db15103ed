"""Factor scores: psych's weights and scores, what each method promises, new data, missing answers, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from relmeasure.exceptions import (
    ColumnNotFoundError,
    EstimationError,
    HeywoodWarning,
    NotConvergedWarning,
    NotPositiveDefiniteError,
    OptionError,
    RelmeasureWarning,
    UnsupportedDataError,
)
from relmeasure.factor.exploratory import efa
from relmeasure.factor.scores import FactorScores, ScoreWeights, score_weights
from relmeasure.factor.solution import EFAResult
from relmeasure.numerics.normal import Array
from relmeasure.samplestats.moments import moment_sums
from tests.factor.references import cor, exact_rows, floats, implied, pair, stored
from tests.support import Constructor, unchanged

CLOSED = 1e-10
"""Closed forms of stored loadings."""

METHODS = {"regression": "Thurstone", "bartlett": "Bartlett", "ten_berge": "tenBerge"}
NAMES = tuple(f"x{k}" for k in range(1, 10))


def _psych() -> tuple[Array, Array, Array, Array]:
    block = stored("solutions")["scores"]
    L, phi, R = floats(block["loadings"]), floats(block["Phi"]), cor("hs")
    return L, phi, 1.0 - np.diag(L @ phi @ L.T), R


@pytest.fixture(scope="module")
def rows() -> Any:
    """300 rows whose sample correlations are exactly those of the nine tests, with means and spreads of their own."""
    return exact_rows(cor("hs"), 300, 7) * np.linspace(0.5, 3.0, 9) + np.arange(9)


@pytest.fixture(scope="module")
def solution(rows: Any) -> EFAResult:
    """Its three oblimin factors."""
    frame = pd.DataFrame(rows, columns=list(NAMES))
    result: EFAResult = efa(frame, 3, method="ml")
    return result


# --------------------------------------------------------------------------- references
@pytest.mark.parametrize("method", list(METHODS))
def test_weights_and_scores_agree_with_psych(method: Any) -> None:
    reference = stored("solutions")["scores"][METHODS[method]]
    made = score_weights(*_psych(), method=method)
    np.testing.assert_allclose(made.weights, floats(reference["weights"]), atol=CLOSED)
    np.testing.assert_allclose(made.correlations, floats(reference["r.scores"]), atol=CLOSED)
    hs = stored("matrices")["hs"]
    first = (np.array(hs["first10"]) - np.array(hs["mean"])) / np.array(hs["sd"])
    np.testing.assert_allclose(first @ made.weights, floats(reference["first10"]), atol=1e-9)
    spread = np.sqrt(np.diag(made.weights.T @ cor("hs") @ made.weights))
    np.testing.assert_allclose(spread, reference["colsd"], atol=1e-9)


def test_determinacy_of_regression_scores_is_psychs_multiple_correlation() -> None:
    made = score_weights(*_psych(), method="regression")
    np.testing.assert_allclose(made.determinacy**2, stored("solutions")["scores"]["Thurstone"]["R2"], atol=CLOSED)


# --------------------------------------------------------------------------- what each method promises
def test_regression_scores_correlate_best_and_are_nearest() -> None:
    made = {method: score_weights(*_psych(), method=method) for method in METHODS}  # type: ignore[arg-type]
    for other in ("bartlett", "ten_berge"):
        assert (made["regression"].determinacy >= made[other].determinacy - 1e-12).all()
        assert (made["regression"].se <= made[other].se + 1e-12).all()
    np.testing.assert_allclose(made["regression"].se ** 2, 1.0 - made["regression"].determinacy ** 2, atol=CLOSED)


def test_bartlett_scores_are_unbiased_given_the_factors() -> None:
    L, phi, u, R = _psych()
    made = score_weights(L, phi, u, R, method="bartlett")
    np.testing.assert_allclose(made.weights.T @ L, np.eye(3), atol=CLOSED)
    fitting = implied(L, phi)
    exact = score_weights(L, phi, u, fitting, method="bartlett")
    inverse = np.linalg.inv(L.T @ (L / u[:, None]))
    np.testing.assert_allclose(exact.se, np.sqrt(np.diag(inverse)), atol=1e-8)


def test_ten_berge_scores_correlate_as_the_factors_do() -> None:
    _, phi, _, _ = _psych()
    made = score_weights(*_psych(), method="ten_berge")
    np.testing.assert_allclose(made.correlations, phi, atol=1e-9)


def test_pitfall_4_12_factor_correlations_are_not_those_of_scores(solution: EFAResult) -> None:
    """Oblique: phi and the correlations of regression scores differ, and each has its own place."""
    scores = solution.score_weights("regression").correlations
    assert np.abs(scores - solution.phi)[np.triu_indices(3, 1)].max() > 0.02
    frame_scores = solution.score(exact_frame(solution)).scores
    np.testing.assert_allclose(np.corrcoef(frame_scores.T), scores, atol=1e-8)


def test_pitfall_4_12_orthogonal_factors_correlate_exactly_zero() -> None:
    result = efa(pair("hs"), 3, rotation="varimax")
    np.testing.assert_array_equal(result.phi, np.eye(3))
    assert np.abs(result.score_weights("regression").correlations - np.eye(3)).max() > 0.01


def test_pitfall_4_13_method_and_determinacy_stand_beside_the_scores(solution: EFAResult) -> None:
    for method in METHODS:
        made = solution.score(exact_frame(solution), method=method)  # type: ignore[arg-type]
        assert made.columns == tuple(f"F{k}_{method}" for k in (1, 2, 3))
        assert list(made.to_frame().columns[:3]) == list(made.columns)
        assert ((made.determinacy > 0) & (made.determinacy < 1)).all()
        assert "determinacy" in made.summary()
        assert method in made.summary()


def test_pitfall_4_14_a_reversed_item_leaves_scores_unchanged(solution: EFAResult) -> None:
    """Item and key reversed together: loadings change sign for that item, scores stay."""
    frame = exact_frame(solution)
    turned = frame.assign(x4=-frame["x4"])
    again = efa(turned, 3, method="ml")
    matched = solution.congruence(again)
    other = again.score(turned).scores * matched.signs
    inverse = np.argsort(matched.match)
    np.testing.assert_allclose(other[:, inverse], solution.score(frame).scores, atol=1e-5)


def exact_frame(solution: EFAResult) -> pd.DataFrame:
    """Rows with the sample statistics that the solution was made from."""
    assert solution.item_mean is not None
    assert solution.item_sd is not None
    rows = exact_rows(solution.correlation, 300, 7) * solution.item_sd + solution.item_mean
    return pd.DataFrame(rows, columns=list(solution.names))


# --------------------------------------------------------------------------- new data
def test_new_answers_are_standardised_by_the_sample_analysed(solution: EFAResult) -> None:
    frame = exact_frame(solution)
    everyone, few = solution.score(frame), solution.score(frame.iloc[:5])
    np.testing.assert_allclose(few.scores, everyone.scores[:5])
    shifted = solution.score(frame + 1.0)
    assert (np.abs(shifted.scores.mean(axis=0)) > 0.1).any()
    np.testing.assert_allclose(everyone.scores.mean(axis=0), 0.0, atol=1e-9)


def test_columns_are_found_by_name(solution: EFAResult) -> None:
    frame = exact_frame(solution)
    shuffled = frame[list(frame.columns[::-1])].assign(other=1)
    np.testing.assert_allclose(solution.score(shuffled).scores, solution.score(frame).scores)
    np.testing.assert_allclose(solution.score(frame.to_numpy()).scores, solution.score(frame).scores)


def test_every_engine_gives_the_same_scores(solution: EFAResult, constructor: Constructor) -> None:
    frame = exact_frame(solution).iloc[:20].round(3)
    columns: dict[str, list[Any]] = {name: frame[name].tolist() for name in NAMES}
    columns["x2"][3] = None
    native = constructor(columns)
    with unchanged(native):
        made = solution.score(native)
    expected = solution.score(frame.assign(x2=pd.Series(columns["x2"], dtype=float)))
    np.testing.assert_allclose(np.sort(made.scores, axis=0), np.sort(expected.scores, axis=0), atol=1e-12)


def test_a_missing_answer_gives_no_score_and_the_reason(solution: EFAResult) -> None:
    frame = exact_frame(solution)
    frame.loc[3, "x2"] = np.nan
    made = solution.score(frame)
    assert np.isnan(made.scores[3]).all()
    assert np.isfinite(np.delete(made.scores, 3, axis=0)).all()
    table = made.to_frame()
    assert table["n_valid"].tolist()[2:5] == [9, 8, 9]
    assert "need all 9" in table["missing_reason"][3]
    assert pd.isna(table["missing_reason"][4])


def test_the_index_of_a_frame_is_kept(solution: EFAResult) -> None:
    frame = exact_frame(solution).iloc[:4]
    frame.index = pd.Index(["a", "b", "b", "c"])
    assert list(solution.score(frame).to_frame().index) == ["a", "b", "b", "c"]
    assert list(solution.score(frame.reset_index(drop=True)).to_frame().index) == [0, 1, 2, 3]


def test_moments_score_too(rows: Any) -> None:
    result = efa(moment_sums(rows, NAMES), 3)
    assert np.isfinite(result.score(rows).scores).all()


def test_scores_round_trip(solution: EFAResult) -> None:
    made = solution.score(exact_frame(solution).iloc[:3])
    assert FactorScores.from_dict(made.to_dict()).equals(made)
    weights = solution.score_weights()
    assert ScoreWeights.from_dict(weights.to_dict()).equals(weights)
    assert list(weights.to_frame().columns) == ["score", "determinacy", "se"]


# --------------------------------------------------------------------------- refusals
def test_a_matrix_alone_cannot_score() -> None:
    result = efa(pair("hs"), 3)
    with pytest.raises(UnsupportedDataError, match="without item means"):
        result.score(np.zeros((2, 9)))


def test_a_failed_solution_cannot_score() -> None:
    R = np.array([[1.0, 0.9, 0.8, 0.1], [0.9, 1.0, 0.5, 0.1], [0.8, 0.5, 1.0, 0.1], [0.1, 0.1, 0.1, 1.0]])
    with pytest.warns(RelmeasureWarning) as caught:
        result = efa(exact_rows(R, 50, 1), 1, method="pa")
    assert {type(w.message) for w in caught} == {HeywoodWarning, NotConvergedWarning}
    with pytest.raises(EstimationError, match="failed solution"):
        result.score(np.zeros((2, 4)))


def test_missing_columns_and_wrong_widths_are_named(solution: EFAResult) -> None:
    with pytest.raises(ColumnNotFoundError, match="x9"):
        solution.score(exact_frame(solution).drop(columns="x9"))
    with pytest.raises(UnsupportedDataError, match="9 items are needed, it has 8"):
        solution.score(np.zeros((3, 8)))
    with pytest.raises(UnsupportedDataError, match="2 dimensions"):
        solution.score(np.zeros(9))


def test_bad_methods_and_matrices_are_refused() -> None:
    L, phi, u, R = _psych()
    with pytest.raises(OptionError, match="'regression', 'bartlett', 'ten_berge'"):
        score_weights(L, phi, u, R, method="harman")  # type: ignore[arg-type]
    with pytest.raises(NotPositiveDefiniteError, match="smallest eigenvalue"):
        score_weights(L, phi, u, np.ones((9, 9)))
    with pytest.raises(NotPositiveDefiniteError, match="Heywood"):
        score_weights(L, phi, u * 0.0, R, method="bartlett")
