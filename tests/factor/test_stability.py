"""Congruence with matching, comparison of solutions, bootstrap intervals aligned over resamples, split samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmeasure.exceptions import DataError, EstimationError, OptionError, TooFewObservationsError, UnsupportedDataError
from relmeasure.factor.congruence import (
    Congruence,
    align_factors,
    congruence_coefficients,
    match_factors,
)
from relmeasure.factor.exploratory import efa
from relmeasure.factor.stability import BootstrapLoadings, SplitSamples, bootstrap_loadings, split_samples
from relmeasure.numerics.normal import Array
from tests.factor.references import implied, normal_rows, pair
from tests.support import load_reference

LOADINGS = np.kron(np.eye(2), np.array([[0.75], [0.7], [0.65], [0.6]]))
PHI = np.array([[1.0, 0.3], [0.3, 1.0]])


@pytest.fixture(scope="module")
def rows() -> Any:
    """400 rows of eight items and two factors."""
    return normal_rows(implied(LOADINGS, PHI), 400, 11)


# --------------------------------------------------------------------------- congruence
def test_congruence_is_the_cosine_of_loadings() -> None:
    a, b = np.array([[0.8, 0.1], [0.7, 0.0], [0.0, 0.9]]), np.array([[0.7, 0.2], [0.8, 0.1], [0.1, 0.8]])
    expected = (a[:, 0] @ b[:, 1]) / np.sqrt((a[:, 0] ** 2).sum() * (b[:, 1] ** 2).sum())
    assert congruence_coefficients(a, b)[0, 1] == pytest.approx(expected)
    np.testing.assert_allclose(np.diag(congruence_coefficients(a, a)), 1.0)


def test_a_factor_without_loadings_has_no_congruence() -> None:
    assert np.isnan(congruence_coefficients(np.zeros((3, 1)), np.ones((3, 1)))).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_matching_undoes_any_order_and_sign(seed: int) -> None:
    rng = np.random.default_rng(seed)
    L = rng.normal(size=(10, 4))
    phi = np.asarray(np.corrcoef(rng.normal(size=(30, 4)).T))
    order, signs = rng.permutation(4), rng.choice([-1.0, 1.0], 4)
    moved, turned = L[:, order] * signs, phi[np.ix_(order, order)] * np.outer(signs, signs)
    made = match_factors(moved, L)
    np.testing.assert_allclose(made.values, 1.0)
    np.testing.assert_array_equal(np.asarray(order)[made.match], np.arange(4))
    back, phi_back = align_factors(moved, turned, L)
    np.testing.assert_allclose(back, L)
    np.testing.assert_allclose(phi_back, phi)


def test_solutions_with_different_numbers_of_factors_are_matched_in_part() -> None:
    two, three = efa(pair("hs"), 2), efa(pair("hs"), 3)
    made = three.congruence(two)
    assert (made.match >= 0).sum() == 2
    assert np.isnan(made.values).sum() == 1
    table = made.to_frame()
    assert list(table.columns) == ["factor", "matched", "congruence", "verdict"]
    assert made.smallest > 0.5
    assert Congruence.from_dict(made.to_dict()).equals(made)


def test_congruence_needs_the_same_items() -> None:
    with pytest.raises(DataError, match="the same items"):
        congruence_coefficients(np.ones((3, 1)), np.ones((4, 1)))
    one, two = efa(pair("hs"), 3), efa(pair("thurstone"), 3)
    with pytest.raises(OptionError, match="do not describe the same items"):
        one.congruence(two.__class__(**{**vars(two), "names": tuple("abcdefghi")}))


def test_compare_finds_items_by_name() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(normal_rows(implied(LOADINGS, PHI), 300, 1), columns=list("abcdefgh"))
    order = list(rng.permutation(list("abcdefgh")))
    found = efa(frame, 2).compare(efa(frame[order], 2))
    assert found.max_loading < 1e-6
    assert found.max_phi < 1e-6
    assert found.max_uniqueness < 1e-6
    with pytest.raises(DataError, match="2 and 1 factors"):
        efa(frame, 2).compare(efa(frame, 1))


# --------------------------------------------------------------------------- bootstrap
def test_bootstrap_errors_are_near_those_of_theory(rows: Array) -> None:
    made = bootstrap_loadings(rows, 2, method="ml", n_replications=200)
    theory = efa(rows, 2, method="ml")
    assert theory.loadings_se is not None
    np.testing.assert_allclose(made.se, theory.loadings_se, rtol=0.35)
    assert made.n_failed == 0
    assert (made.lower < made.solution.loadings).all()
    assert (made.solution.loadings < made.upper).all()
    assert made.phi_lower[0, 1] < made.solution.phi[0, 1] < made.phi_upper[0, 1]
    assert (made.congruence > 0.98).all()


def test_factors_of_resamples_are_aligned() -> None:
    """Two factors of equal strength would trade places in half of the resamples."""
    x = normal_rows(implied(np.kron(np.eye(2), np.full((4, 1), 0.7)), np.eye(2)), 300, 3)
    made = bootstrap_loadings(x, 2, rotation="varimax", n_replications=100)
    assert made.se.max() < 0.15
    assert np.abs(made.upper - made.lower).max() < 0.6


def test_the_bootstrap_is_reproducible_and_tidy(rows: Array) -> None:
    done: list[tuple[int, int]] = []
    one = bootstrap_loadings(rows, 2, n_replications=10, rng=3, progress=lambda k, n: done.append((k, n)))
    two = bootstrap_loadings(rows, 2, n_replications=10, rng=np.random.default_rng(3))
    assert one.equals(two)
    assert done[-1] == (10, 10)
    assert list(one.to_frame().columns) == ["item", "factor", "loading", "se", "lower", "upper", "conf_level"]
    assert BootstrapLoadings.from_dict(one.to_dict()).equals(one)


def test_rows_with_missing_answers_are_left_out_and_counted(rows: Array) -> None:
    holes = rows.copy()
    holes[:7, 0] = np.nan
    with pytest.warns(UserWarning, match="7 of 400 rows"):
        made = bootstrap_loadings(holes, 2, n_replications=5)
    assert made.solution.n_obs == 393


@pytest.mark.parametrize("rotation", ["promax", "geomin", "none"])
def test_other_rotations_and_methods_are_resampled_alike(rows: Array, rotation: Any) -> None:
    made = bootstrap_loadings(rows, 2, rotation=rotation, method="pa", n_replications=10)
    assert np.isfinite(made.se).all()


def test_ordered_items_are_resampled_as_ordered() -> None:
    codes = np.array(load_reference("efa/ordinal")["codes"], dtype=float)
    made = bootstrap_loadings(codes, 3, ordered=True, categories=[1, 2, 3, 4], n_replications=6)
    assert made.solution.correlation_kind == "polychoric"
    assert np.isfinite(made.se).all()
    frame = pd.DataFrame(codes, columns=[f"t{k}" for k in range(9)])
    named = {f"t{k}": [1, 2, 3, 4] for k in range(9)}
    again = bootstrap_loadings(frame, 3, ordered=True, categories=named, n_replications=6)
    np.testing.assert_allclose(again.se, made.se)


def test_too_many_failures_are_an_error() -> None:
    """Three items of one rare answer each are constant in most resamples."""
    x = normal_rows(implied(LOADINGS, PHI), 20, 1)
    for item, row in ((0, 3), (1, 8), (2, 12)):
        x[:, item] = 0.0
        x[row, item] = 1.0
    with pytest.raises(EstimationError, match="resamples have a solution"):
        bootstrap_loadings(x, 1, n_replications=40)


# --------------------------------------------------------------------------- split samples
def test_halves_agree_on_clear_factors_and_not_on_one_too_many(rows: Array) -> None:
    clear = split_samples(rows, 2, n_splits=10)
    assert np.median(clear.congruence) > 0.97
    assert clear.n_half.tolist() == [200, 200]
    over = split_samples(rows, 3, n_splits=10)
    assert np.nanmin(over.congruence) < 0.8
    table = clear.to_frame()
    assert list(table.columns) == ["factor", "median", "lowest", "share_above_0.95"]
    assert SplitSamples.from_dict(clear.to_dict()).equals(clear)
    assert split_samples(rows, 2, n_splits=3, rng=1).equals(split_samples(rows, 2, n_splits=3, rng=1))


# --------------------------------------------------------------------------- nonsense
def test_nonsense_is_named(rows: Array) -> None:
    with pytest.raises(OptionError, match="n_replications"):
        bootstrap_loadings(rows, 2, n_replications=1)
    with pytest.raises(OptionError, match="n_splits"):
        split_samples(rows, 2, n_splits=0)
    with pytest.raises(OptionError, match="schmid_leiman"):
        bootstrap_loadings(rows, 2, rotation="schmid_leiman")  # type: ignore[arg-type]
    with pytest.raises(TooFewObservationsError, match="too few to be split"):
        split_samples(rows[:12], 1)
    with pytest.raises(UnsupportedDataError):
        bootstrap_loadings(pair("hs"), 3)
