"""Coefficient alpha: published values, identities, invariances, and bad input."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmeasure import exceptions as ex
from relmeasure.classical import AlphaEstimate, alpha, guttman, split_half
from relmeasure.classical.item_statistics import ITEM_COLUMNS
from relmeasure.numerics.coefficients import alpha_from_cov, alpha_from_sums
from relmeasure.samplestats.moments import moment_sums
from tests.classical.stored import complete, from_covariances, listwise, quietly
from tests.support import Constructor, unchanged

EXACT = 1e-12
"""Closed forms on well-conditioned matrices, relative."""


def answers(n: int = 60, k: int = 5, seed: int = 1) -> np.ndarray:
    """Answers 1 to 5 to items that measure one thing."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 1)) + rng.normal(size=(n, k))
    return np.clip(np.rint(latent + 3.0), 1, 5)


# --------------------------------------------------------------------------- published values
def test_bland_and_altman_1997() -> None:
    """BMJ 314, 572: ten items, sum of item variances 11.16, variance of the total 77.44, alpha .95."""
    assert round(alpha_from_sums(10, 11.16, 77.44), 2) == 0.95


def test_holzinger_and_swineford_in_the_documents_of_semtools() -> None:
    """Alpha of the three subscales as its page on reliability prints them."""
    m = complete("hs_9")
    for first, published in ((1, 0.6261171), (4, 0.8827069), (7, 0.6884550)):
        result = alpha(m.subset([f"x{i}" for i in range(first, first + 3)]))
        assert math.isclose(result.estimate, published, abs_tol=5e-8)


# --------------------------------------------------------------------------- identities
def test_equal_correlations_give_the_spearman_brown_formula() -> None:
    cor = np.full((6, 6), 0.3)
    np.fill_diagonal(cor, 1.0)
    result = alpha(from_covariances(cor, 100, list("abcdef")))
    assert math.isclose(result.estimate, 6 * 0.3 / (1 + 5 * 0.3), rel_tol=EXACT)
    assert math.isclose(result.standardized, result.estimate, rel_tol=EXACT)
    assert math.isclose(result.average_r, 0.3, rel_tol=EXACT)


def test_alpha_is_lambda3_and_standardized_alpha_is_lambda3_of_correlations() -> None:
    m = complete("bfi_A")
    result = alpha(m)
    assert math.isclose(guttman(m, matrix="covariance").lambda3, result.estimate, rel_tol=EXACT)
    assert math.isclose(guttman(m).lambda3, result.standardized, rel_tol=EXACT)
    assert math.isclose(guttman(m).lambda6, result.lambda6, rel_tol=EXACT)


def test_alpha_is_the_mean_of_all_split_halves_of_an_even_number_of_items() -> None:
    m = complete("bfi_A").subset(["A2", "A3", "A4", "A5"])
    assert math.isclose(split_half(m, matrix="covariance").mean, alpha(m).estimate, rel_tol=EXACT)


def test_columns_of_dropped_items_are_the_coefficients_without_them() -> None:
    m = complete("hs_9")
    result = alpha(m)
    for i, name in enumerate(m.names):
        with quietly():
            without = alpha(m.subset([other for other in m.names if other != name]))
        pairs = {
            "alpha_if_dropped": without.estimate,
            "alpha_std_if_dropped": without.standardized,
            "lambda6_if_dropped": without.lambda6,
            "average_r_if_dropped": without.average_r,
            "median_r_if_dropped": without.median_r,
            "signal_noise_if_dropped": without.signal_to_noise,
            "alpha_se_if_dropped": without.se,
        }
        for column, value in pairs.items():
            assert math.isclose(result.item_table[column][i], value, rel_tol=1e-10), (name, column)


def test_item_correlations_are_those_of_the_scores() -> None:
    x = answers(200)
    result = alpha(x)
    for j in range(x.shape[1]):
        rest = np.delete(x, j, axis=1).sum(axis=1)
        assert math.isclose(result.item_table["item_total_r"][j], np.corrcoef(x[:, j], x.sum(axis=1))[0, 1])
        assert math.isclose(result.item_table["item_rest_r"][j], np.corrcoef(x[:, j], rest)[0, 1])
    assert math.isclose(result.score_mean, x.mean())
    assert math.isclose(result.score_sd, x.mean(axis=1).std(ddof=1))


def test_pooled_moments_give_the_alpha_of_the_stacked_rows() -> None:
    x, y = answers(80, seed=2), answers(50, seed=3)
    names = list("abcde")
    for missing in ("listwise", "pairwise"):
        whole = alpha(moment_sums(np.vstack([x, y]), names, missing=missing))
        parts = alpha(moment_sums(x, names, missing=missing) + moment_sums(y, names, missing=missing))
        assert whole.equals(parts, rtol=1e-10)


def test_many_items_are_handled_in_parts() -> None:
    """Medians over dropped items are taken in chunks; the result is that of one item at a time."""
    x = np.random.default_rng(4).normal(size=(400, 60)) + np.random.default_rng(5).normal(size=(400, 1))
    result = alpha(x)
    cor = np.asarray(np.corrcoef(np.delete(x, 7, axis=1).T))
    lower = cor[np.tril_indices(59, -1)]
    assert math.isclose(result.item_table["median_r_if_dropped"][7], np.median(lower), rel_tol=1e-10)
    assert math.isclose(result.item_table["var_r_if_dropped"][7], np.var(lower, ddof=1), rel_tol=1e-10)


# --------------------------------------------------------------------------- invariances
seeds = st.integers(0, 10_000)


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_order_of_rows_and_items_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = answers(40, seed=seed)
    x[rng.random(x.shape) < 0.05] = np.nan
    columns, rows = rng.permutation(x.shape[1]), rng.permutation(len(x))
    names = np.array(list("abcde"))
    for missing in ("listwise", "pairwise"):
        with quietly():
            first = alpha(moment_sums(x, list(names), missing=missing))
            second = alpha(moment_sums(x[np.ix_(rows, columns)], list(names[columns]), missing=missing))
        for name in ("estimate", "se", "lower", "upper", "standardized", "lambda6", "median_r"):
            assert math.isclose(getattr(first, name), getattr(second, name), rel_tol=1e-9, abs_tol=1e-12), name
        for name in ITEM_COLUMNS[2:]:
            ours = np.array(first.item_table[name])[columns]
            np.testing.assert_allclose(ours, second.item_table[name], rtol=1e-8, atol=1e-12, err_msg=name)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, scale=st.floats(0.01, 100.0), shift=st.floats(-100.0, 100.0))
def test_units_do_not_matter(seed: int, scale: float, shift: float) -> None:
    x = answers(40, seed=seed)
    with quietly():
        first, second = alpha(x), alpha(x * scale + shift)
    for name in ("estimate", "se", "lower", "upper", "standardized", "lambda6"):
        assert math.isclose(getattr(first, name), getattr(second, name), rel_tol=1e-7), name


@settings(max_examples=25, deadline=None)
@given(seed=seeds, units=st.lists(st.floats(0.1, 10.0), min_size=5, max_size=5))
def test_coefficients_on_correlations_do_not_know_the_units_of_an_item(seed: int, units: list[float]) -> None:
    x = answers(40, seed=seed)
    with quietly():
        first, second = alpha(x), alpha(x * units)
    for name in ("standardized", "lambda6", "average_r"):
        assert math.isclose(getattr(first, name), getattr(second, name), rel_tol=1e-8), name


@settings(max_examples=25, deadline=None)
@given(seed=seeds, item=st.integers(0, 4))
def test_an_item_reversed_with_its_key_changes_nothing(seed: int, item: int) -> None:
    x = answers(40, seed=seed)
    stored = x.copy()
    stored[:, item] = 6 - stored[:, item]
    stored[:, item] = 6 - stored[:, item]
    with quietly():
        assert alpha(x).equals(alpha(stored))


def test_every_engine_gives_the_same_answer_and_is_left_alone(constructor: Constructor) -> None:
    x = answers(30)
    frame = constructor({name: list(map(int, column)) for name, column in zip("abcde", x.T, strict=True)})
    expected = alpha(moment_sums(x, list("abcde")))
    with unchanged(frame):
        result = alpha(frame)
    assert result.equals(expected, rtol=1e-12)


# --------------------------------------------------------------------------- rows and their number
def test_dropped_rows_are_counted() -> None:
    x = answers(20, seed=3)
    x[3, 1] = x[7, 0] = np.nan
    with pytest.warns(ex.ListwiseDeletionWarning, match="2 of 20 rows have a missing answer and were dropped; 18"):
        result = alpha(x)
    assert (result.n_obs, result.warnings[0].code) == (18, "listwise-deletion")
    assert result.rule == "listwise: 18 of 20 rows complete on 5 items"
    assert result.provenance is not None
    assert (result.provenance.n_rows, result.provenance.n_obs, result.provenance.function) == (20, 18, "alpha")


def test_rows_are_not_counted_twice_after_moments() -> None:
    from relmeasure.responses.intake import moments

    x = answers(20, seed=3)
    x[3, 1] = np.nan
    with pytest.warns(ex.ListwiseDeletionWarning):
        m = moments(x)
    result = alpha(m)
    assert [note.code for note in result.warnings] == ["listwise-deletion"]


def test_pairwise_uses_the_smallest_n_and_says_so() -> None:
    x = answers(40)
    x[:9, 0] = np.nan
    x[5:12, 1] = np.nan
    with pytest.warns(ex.PairwiseDeletionWarning, match="28 to 40 of 40 rows; the smallest is the N of intervals"):
        result = alpha(x, missing="pairwise")
    assert result.n_obs == 28
    assert "28 to 40" in result.rule
    with pytest.warns(ex.PairwiseDeletionWarning, match="intervals use the N given, 40"):
        wider = alpha(x, missing="pairwise", n_obs=40)
    assert wider.n_obs == 40
    assert wider.estimate == result.estimate
    assert wider.lower > result.lower
    assert "n_obs=40 as given" in wider.rule


def test_pairwise_matrix_that_is_not_positive_definite_is_named() -> None:
    x = np.array([[1, 1, np.nan], [2, 2, np.nan], [3, np.nan, 1], [4, np.nan, 2], [np.nan, 1, 2], [np.nan, 2, 1.0]])
    with quietly():
        result = alpha(x, missing="pairwise")
    assert math.isnan(result.lambda6)
    said = {note.code: note.message for note in result.warnings}
    assert "not positive definite" in said["pairwise-deletion"]
    assert "smallest eigenvalue" in said["not-positive-definite"]


def test_weights_give_an_interval_only_with_an_effective_n() -> None:
    x = answers(30)
    weights = np.linspace(0.5, 2.0, 30)
    result = alpha(x, weights=weights)
    assert math.isnan(result.se)
    assert math.isnan(result.lower)
    assert "effective sample size" in result.method
    assert alpha(x, weights=weights, n_obs=25).lower < result.estimate
    assert alpha(x, weights=np.ones(30)).estimate == pytest.approx(alpha(x).estimate, rel=1e-12)
    whole = np.where(np.arange(30) < 10, 2.0, 1.0)
    twice = np.vstack([x, x[:10]])
    ratio = alpha_from_cov(np.cov(twice.T))
    assert alpha(x, weights=whole).estimate == pytest.approx(ratio, rel=1e-12)


# --------------------------------------------------------------------------- bad input
def test_one_item_has_no_estimate_but_a_reason() -> None:
    result = alpha(answers(20, k=1))
    assert math.isnan(result.estimate)
    assert result.reason is not None
    assert "one item" in result.reason
    assert "not available" in result.summary()
    assert len(result.items) == 0


def test_two_items_point_to_spearman_brown() -> None:
    with pytest.warns(ex.FewItemsWarning, match="spearman_brown"):
        result = alpha(answers(30, k=2))
    assert 0 < result.estimate < 1
    assert all(math.isnan(v) for v in result.item_table["alpha_if_dropped"])


def test_three_items_leave_one_correlation() -> None:
    result = alpha(answers(50, k=3))
    assert all(math.isnan(v) for v in result.item_table["var_r_if_dropped"])
    assert result.item_table["median_r_if_dropped"] == pytest.approx(result.item_table["average_r_if_dropped"])


def test_a_constant_item_is_named_and_alpha_still_counts_it() -> None:
    x = answers(30)
    x[:, 2] = 4
    with pytest.warns(ex.ConstantItemWarning, match="x3"):
        result = alpha(x)
    assert result.estimate == pytest.approx(alpha_from_cov(np.cov(x.T)), rel=1e-12)
    assert math.isnan(result.standardized)
    assert math.isnan(result.item_table["item_rest_r"][2])
    assert not math.isnan(result.item_table["item_rest_r"][0])
    assert result.to_dict()["standardized"] is None


def test_constant_answers_throughout_have_no_estimate_but_a_reason() -> None:
    with pytest.warns(ex.ConstantItemWarning):
        result = alpha(np.full((10, 3), 2.0))
    assert result.reason == "the sum score has no variance (0)"


def test_negative_alpha_names_the_items_that_run_against_the_rest() -> None:
    x = answers(100, k=4)
    x[:, :2] = 6 - x[:, :2]
    with pytest.warns(ex.NegativeReliabilityWarning, match="Items that run against the rest: x1, x2, x3, x4"):
        result = alpha(x)
    assert result.estimate < 0


def test_an_unkeyed_item_is_named_and_not_flipped() -> None:
    x = answers(200)
    right = alpha(x).estimate
    x[:, 1] = 6 - x[:, 1]
    with pytest.warns(ex.KeyDirectionWarning, match="x2") as caught:
        result = alpha(x)
    assert result.estimate < right - 0.1
    assert caught[0].message.details["items"] == ["x2"]  # type: ignore[union-attr]


def test_a_copied_item_leaves_what_needs_an_inverse_missing_with_a_note() -> None:
    x = answers(50)
    x[:, 4] = x[:, 0]
    result = alpha(x)
    assert math.isnan(result.lambda6)
    assert all(math.isnan(v) for v in result.item_table["item_total_r_corrected"])
    assert [note.code for note in result.warnings] == ["not-positive-definite"]


@pytest.mark.parametrize("x", [np.full((5, 3), np.nan), np.empty((0, 3)), np.array([[1.0, 2.0, 3.0]])])
def test_no_usable_rows(x: np.ndarray) -> None:
    with pytest.raises(ex.TooFewObservationsError, match="at least 2 are needed"):
        alpha(x)


def test_moments_that_are_not_finite() -> None:
    with pytest.raises(ex.NonNumericError, match="not finite"):
        alpha(from_covariances(np.full((2, 2), np.inf), 10, ["a", "b"]))


def test_no_items() -> None:
    with pytest.raises(ex.TooFewItemsError):
        alpha(np.empty((5, 0)))


@pytest.mark.parametrize("level", [0.0, 1.0, 95, -0.5, math.nan])
def test_levels_outside_zero_to_one(level: float) -> None:
    with pytest.raises(ex.OptionError, match="conf_level"):
        alpha(answers(), conf_level=level)


@pytest.mark.parametrize("n", [1, 0, -3, 2.5, True, math.inf])
def test_impossible_n(n: int) -> None:
    with pytest.raises(ex.OptionError, match="n_obs"):
        alpha(answers(), n_obs=n)


def test_unknown_rule() -> None:
    with pytest.raises(ex.OptionError, match="listwise"):
        alpha(answers(), missing="drop")  # type: ignore[arg-type]


def test_text_and_infinite_values() -> None:
    import pandas as pd

    with pytest.raises(ex.NonNumericError):
        alpha(pd.DataFrame({"a": ["x", "y"], "b": [1, 2]}))
    with pytest.raises(ex.NonNumericError):
        alpha(np.array([[1.0, np.inf], [2.0, 3.0], [1.0, 1.0]]))


# --------------------------------------------------------------------------- the result
def test_the_result_pickles_round_trips_and_prints() -> None:
    with pytest.warns(ex.ListwiseDeletionWarning):
        result = alpha(listwise("bfi_A"))
    assert pickle.loads(pickle.dumps(result)).equals(result)
    assert AlphaEstimate.from_dict(result.to_dict()).equals(result)
    assert list(result.items.columns) == list(ITEM_COLUMNS)
    assert list(result.to_frame().columns)[:6] == ["name", "estimate", "se", "lower", "upper", "conf_level"]
    assert "95% interval [0.686, 0.721]" in result.summary()
    assert "[listwise-deletion] 91 of 2800 rows" in str(result)
    assert result.definition == "alpha.raw"
    assert result.method.startswith("Feldt")


def test_a_wider_level_gives_a_wider_interval() -> None:
    m = complete("bfi_A")
    assert alpha(m, conf_level=0.99).lower < alpha(m, conf_level=0.9).lower
    assert alpha(m, conf_level=0.99).conf_level == 0.99


def test_what_hangs_on_a_constant_item_is_missing_not_infinite() -> None:
    x = np.random.default_rng(1).normal(size=(300, 1)) + np.random.default_rng(2).normal(size=(300, 5))
    x[:, 2] = 0.1
    with pytest.warns(ex.ConstantItemWarning, match="x3") as caught:
        result = alpha(x)
    assert [type(w.message) for w in caught] == [ex.ConstantItemWarning]
    for name in ("item_total_r", "item_rest_r"):
        assert math.isnan(result.item_table[name][2])


@pytest.mark.parametrize("wrong", [{"conf_level": "0.95"}, {"conf_level": True}, {"n_obs": "300"}])
def test_options_of_another_type_are_typed_errors(wrong: dict[str, object]) -> None:
    with pytest.raises(ex.OptionError, match=next(iter(wrong))):
        alpha(np.random.default_rng(1).normal(size=(9, 3)), **wrong)  # type: ignore[arg-type]
