"""The number of factors: stored references, exactness of simulated chance, kinds never mixed, suggestions, nonsense."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmeasure.exceptions import OptionError, UnsupportedDataError
from relmeasure.factor.matrix import analysed_matrix
from relmeasure.factor.parallel import chance_matrices, component_eigenvalues, reduced_eigenvalues
from relmeasure.factor.retention import (
    NumberOfFactors,
    empirical_kaiser,
    leading,
    minimum_average_partial,
    n_factors,
)
from relmeasure.numerics.normal import Array
from relmeasure.responses.ordinal import polychoric
from relmeasure.samplestats.moments import moment_sums
from tests.factor.references import cor, implied, normal_rows, pair, stored
from tests.support import load_reference

CLOSED = 1e-12
"""Eigenvalues and closed forms."""

ONE_FACTOR_TOLERANCE = 2e-6
"""psych's one-factor minres behind its eigenvalues stops at its optimiser's tolerance."""

SIMULATION_TOLERANCE = 0.02
"""psych's simulated means rest on 50 to 100 samples."""

SETS = (("hs", "hs"), ("bfi", "bc"))


def _clear(n_items: int = 12, m: int = 3, loading: float = 0.7) -> Array:
    L = np.zeros((n_items, m))
    for j in range(m):
        L[j * n_items // m : (j + 1) * n_items // m, j] = loading
    return implied(L, np.eye(m))


# --------------------------------------------------------------------------- references
@pytest.mark.parametrize(("matrix", "block"), SETS)
def test_eigenvalues_agree_with_r(matrix: str, block: str) -> None:
    reference = stored("solutions")["adequacy"][block]
    np.testing.assert_allclose(component_eigenvalues(cor(matrix)), reference["eigen_R"], atol=CLOSED)
    np.testing.assert_allclose(reduced_eigenvalues(cor(matrix)), reference["eigen_reduced"], atol=CLOSED)


@pytest.mark.parametrize(("matrix", "block"), SETS)
def test_map_agrees_with_psych(matrix: str, block: str) -> None:
    theirs = stored("solutions")["adequacy"][block]["map"]
    squared, _ = minimum_average_partial(cor(matrix))
    np.testing.assert_allclose(squared[1 : len(theirs) + 1], theirs, atol=CLOSED)


@pytest.mark.parametrize("matrix", ["hs", "bfi"])
def test_parallel_analysis_agrees_with_psych(matrix: str) -> None:
    reference = stored("solutions")["parallel"][matrix]
    result = n_factors(pair(matrix), communality="one_factor", percentile=None, n_replications=300)
    np.testing.assert_allclose(result.eigenvalues, reference["pc.values"], atol=CLOSED)
    np.testing.assert_allclose(result.eigenvalues_reduced, reference["fa.values"], atol=ONE_FACTOR_TOLERANCE)
    np.testing.assert_allclose(result.reference, reference["pc.sim"], atol=SIMULATION_TOLERANCE)
    np.testing.assert_allclose(result.reference_reduced, reference["fa.sim"], atol=SIMULATION_TOLERANCE)
    assert result.suggestions["parallel_component"] == reference["ncomp"]


def test_the_empirical_kaiser_criterion_agrees_with_efatools() -> None:
    references = empirical_kaiser(component_eigenvalues(cor("bfi")), 2436)
    np.testing.assert_allclose(references, stored("solutions")["ekc_bfi"], atol=CLOSED)


@pytest.mark.parametrize(("matrix", "block"), SETS)
def test_kmo_and_bartlett_agree_with_psych(matrix: str, block: str) -> None:
    reference = stored("solutions")["adequacy"][block]
    result = n_factors(pair(matrix), n_replications=5)
    assert result.kmo == pytest.approx(reference["KMO"], rel=1e-10)
    theirs = reference["bartlett"]
    assert result.bartlett_chisq == pytest.approx(theirs["chisq"] if isinstance(theirs, dict) else theirs[0], rel=1e-10)


# --------------------------------------------------------------------------- chance
def _drawn(**kwargs: Any) -> Array:
    return np.concatenate(list(chance_matrices(rng=np.random.default_rng(0), **kwargs)))


def test_drawn_correlations_have_the_distribution_of_samples() -> None:
    """Moments of r and eigenvalues: those of samples of rows, which take a hundred times longer."""
    n, p = 12, 5
    drawn = _drawn(n_replications=4000, n_obs=n, n_items=p)
    rng = np.random.default_rng(1)
    sampled = np.array([np.corrcoef(rng.standard_normal((n, p)).T) for _ in range(4000)])
    np.testing.assert_allclose(np.einsum("bii->bi", drawn), 1.0, atol=1e-12)
    assert drawn[:, 0, 1].var() == pytest.approx(1 / (n - 1), rel=0.08)
    ours, theirs = (component_eigenvalues(x) for x in (drawn, sampled))
    np.testing.assert_allclose(ours.mean(axis=0), theirs.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(np.percentile(ours, 95, axis=0), np.percentile(theirs, 95, axis=0), atol=0.06)


def test_fewer_rows_than_items_leave_singular_matrices() -> None:
    drawn = _drawn(n_replications=3, n_obs=6, n_items=9)
    assert (np.linalg.matrix_rank(drawn) == 5).all()


def test_shuffled_rows_keep_each_items_answers() -> None:
    rows = np.random.default_rng(2).integers(1, 5, size=(400, 4)).astype(float)
    before = rows.copy()
    drawn = _drawn(n_replications=50, n_obs=400, n_items=4, rows=rows)
    np.testing.assert_array_equal(rows, before)
    np.testing.assert_allclose(np.einsum("bii->bi", drawn), 1.0, atol=1e-12)
    assert abs(drawn[:, 0, 1]).max() < 0.25


def test_polychoric_chance_has_the_margins_of_the_data() -> None:
    rng = np.random.default_rng(3)
    codes = rng.choice(4, size=(300, 4), p=[0.05, 0.15, 0.3, 0.5]).astype(float)
    result = polychoric(codes, categories=[0, 1, 2, 3])
    drawn = _drawn(n_replications=40, n_obs=300, n_items=4, tables=result.tables)
    assert drawn.shape == (40, 4, 4)
    above = np.triu_indices(4, 1)
    spread = np.array([x[above] for x in drawn]).std()
    assert spread == pytest.approx(float(result.se[0, 1]), rel=0.25)


def test_the_seed_decides() -> None:
    one, two, other = (n_factors(pair("hs"), rng=k, n_replications=20) for k in (1, 1, 2))
    assert one.equals(two)
    assert not np.array_equal(one.reference, other.reference)
    assert n_factors(pair("hs"), rng=np.random.default_rng(1), n_replications=20).equals(one)


# --------------------------------------------------------------------------- PITFALLS 4.23
def test_pitfall_4_23_kinds_of_eigenvalues_are_never_mixed() -> None:
    """Component eigenvalues meet component references, reduced ones reduced references; what they are is in the result."""
    result = n_factors(pair("bfi"), n_replications=50)
    # uncorrelated items: component eigenvalues average 1, reduced ones of a large sample nearly 0
    assert result.reference.mean() == pytest.approx(1.0, abs=0.05)
    assert abs(result.reference_reduced.mean()) < 0.1
    assert result.eigenvalues.sum() == pytest.approx(25.0)
    assert result.eigenvalues_reduced.sum() < 15.0
    assert result.suggestions["parallel_component"] == leading(result.eigenvalues, result.reference)
    assert result.suggestions["parallel_reduced"] == leading(
        result.eigenvalues_reduced, np.maximum(result.reference_reduced, 0.0)
    )
    assert (result.communality, result.simulated, result.correlation_kind) == ("smc", "normal", "pearson")


def test_pitfall_4_23_polychoric_data_meet_polychoric_chance() -> None:
    codes = np.array(load_reference("efa/ordinal")["codes"], dtype=float)
    ordered = n_factors(codes, ordered=True, categories=[1, 2, 3, 4], n_replications=30)
    plain = n_factors(codes, n_replications=30)
    assert (ordered.correlation_kind, ordered.simulated) == ("polychoric", "ordered")
    assert (plain.correlation_kind, plain.simulated) == ("pearson", "normal")
    assert ordered.reference[0] > plain.reference[0]  # polychorics vary more than Pearson correlations
    assert ordered.suggestion == 3


def test_pitfall_4_23_it_stops_at_the_first_failure() -> None:
    assert leading(np.array([3.0, 0.9, 1.3]), np.array([1.5, 1.2, 1.1])) == 1
    assert leading(np.array([3.0, 2.0]), np.array([1.0, 1.0])) == 2
    assert leading(np.array([0.5, 2.0]), np.array([1.0, 1.0])) == 0


# --------------------------------------------------------------------------- suggestions
@pytest.mark.parametrize("m", [1, 2, 3])
def test_a_clear_structure_is_found(m: int) -> None:
    result = n_factors((_clear(12, m), 400))
    assert result.suggestion == m
    assert "agree" in result.reason
    assert set(result.suggestions.values()) == {m}


def test_one_criterion_alone_does_not_decide() -> None:
    """MAP sees nothing in factors of three items each; the other two do."""
    result = n_factors((_clear(12, 4), 400))
    assert result.suggestions["map_revised"] == 0
    assert result.suggestion == 4


def test_unrelated_items_have_no_factor() -> None:
    x = np.random.default_rng(5).normal(size=(500, 8))
    result = n_factors(x)
    assert result.suggestion == 0
    assert result.bartlett_pvalue > 0.01


def test_disagreement_gives_a_range() -> None:
    result = n_factors(pair("bfi"))
    assert result.suggestion == 5
    assert "5 to 6 factors" in result.reason


def test_more_rows_never_hide_a_factor() -> None:
    x = normal_rows(_clear(9, 3, 0.5), 2000, 1)
    assert n_factors(x).suggestion == 3
    assert n_factors(x, simulation="permutation", n_replications=30).suggestion == 3


def test_moments_rows_and_the_matrix_agree() -> None:
    x = normal_rows(cor("hs"), 200, 2)
    rows, moments = n_factors(x), n_factors(moment_sums(x, [f"x{k + 1}" for k in range(9)]))
    matrix = n_factors((np.asarray(np.corrcoef(x.T)), 200))
    np.testing.assert_allclose(rows.eigenvalues, moments.eigenvalues)
    np.testing.assert_allclose(rows.reference, matrix.reference)
    assert rows.suggestions == moments.suggestions == matrix.suggestions


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_order_and_the_keys_of_items_do_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    R, n = pair("hs")
    order, keys = rng.permutation(9), rng.choice([-1.0, 1.0], 9)
    moved = (R * np.outer(keys, keys))[np.ix_(order, order)]
    one, two = n_factors((R, n), n_replications=20), n_factors((moved, n), n_replications=20)
    np.testing.assert_allclose(one.eigenvalues, two.eigenvalues, atol=1e-10)
    np.testing.assert_allclose(one.map_revised, two.map_revised, atol=1e-10)
    assert one.suggestions == two.suggestions


# --------------------------------------------------------------------------- the result
def test_the_table_has_a_row_for_each_number_of_factors() -> None:
    result = n_factors(pair("hs"), n_replications=20)
    frame = result.to_frame()
    assert list(frame.columns) == [
        "n_factors", "eigenvalue", "reference", "eigenvalue_reduced", "reference_reduced", "reference_ekc", "map",
        "map_revised",
    ]  # fmt: skip
    assert len(frame) == 9
    assert frame["map"].idxmin() + 1 == result.suggestions["map"]
    assert "Suggested number of factors: 3" in result.summary()
    assert NumberOfFactors.from_dict(result.to_dict()).equals(result)


def test_weights_without_n_leave_map_alone() -> None:
    x = normal_rows(_clear(), 300, 3)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, 300)
    result = n_factors(x, weights=weights)
    assert set(result.suggestions) == {"map", "map_revised"}
    assert any("N is unknown" in note for note in result.notes)
    assert math.isnan(result.bartlett_chisq)
    assert "parallel_component" in n_factors(x, weights=weights, n_obs=250).suggestions


def test_a_singular_matrix_has_no_reduced_eigenvalues_and_says_so() -> None:
    x = normal_rows(_clear(), 300, 4)
    doubled = np.column_stack([x, x[:, 0]])
    with pytest.warns(UserWarning, match="not positive definite"):
        result = n_factors(doubled)
    assert "parallel_reduced" not in result.suggestions
    assert "parallel_component" in result.suggestions
    assert any("no inverse" in note for note in result.notes)
    assert math.isnan(result.kmo)


def test_mixed_items_have_no_parallel_analysis_and_say_so() -> None:
    codes = np.array(load_reference("efa/ordinal")["codes"], dtype=float)
    import pandas as pd

    frame = pd.DataFrame(codes, columns=[f"x{k}" for k in range(9)])
    ordered = [f"x{k}" for k in range(5)]
    result = n_factors(frame, ordered=ordered, categories={name: [1, 2, 3, 4] for name in ordered})
    assert "parallel_component" not in result.suggestions
    assert any("ordered items alone" in note for note in result.notes)


def test_hardly_related_items_are_noted() -> None:
    R = np.eye(4)
    R[0, 1] = R[1, 0] = 0.5
    R[0, 2] = R[2, 0] = -0.5
    result = n_factors((R, 100), n_replications=5)
    assert any("below .5" in note for note in result.notes)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"percentile": 0.0}, "between 0 and 100"),
        ({"n_replications": 0}, "at least 1"),
        ({"simulation": "bootstrap"}, "'auto', 'normal', 'permutation'"),
        ({"communality": "max"}, "'smc', 'one_factor'"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        n_factors(pair("hs"), **options)


def test_shuffling_needs_rows() -> None:
    with pytest.raises(UnsupportedDataError, match="hand in the data themselves"):
        n_factors(pair("hs"), simulation="permutation")
    with pytest.raises(UnsupportedDataError, match="takes no weights"):
        n_factors(np.random.default_rng(0).normal(size=(30, 4)), weights=np.ones(30), simulation="permutation")


def test_map_stops_where_an_item_has_no_variance_left() -> None:
    R = np.full((4, 4), 1.0 - 1e-14) + 1e-14 * np.eye(4)
    squared, _ = minimum_average_partial(R)
    assert np.isfinite(squared[0])
    assert np.isnan(squared[1:]).any()


def test_the_matrix_is_chosen_once() -> None:
    """One correlation matrix feeds eigenvalues, MAP, KMO and Bartlett."""
    made = analysed_matrix(pair("hs"))
    result = n_factors(pair("hs"), n_replications=5)
    np.testing.assert_allclose(result.eigenvalues, component_eigenvalues(made.cor))
