"""``efa`` as a whole: inputs, statuses, order and sign, invariances, recovery, and what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmeasure.exceptions import (
    CategoriesAssumedWarning,
    DataError,
    EstimationError,
    HeywoodWarning,
    ListwiseDeletionWarning,
    NotConvergedWarning,
    NotPositiveDefiniteError,
    NotPositiveDefiniteWarning,
    OptionError,
    PairwiseDeletionWarning,
    TooFewItemsError,
    TooFewObservationsError,
    UnsupportedDataError,
)
from relmeasure.factor.exploratory import efa
from relmeasure.factor.matrix import analysed_matrix
from relmeasure.factor.solution import EFAResult
from relmeasure.numerics.normal import Array
from relmeasure.responses.ordinal import correlations, polychoric
from relmeasure.samplestats.estimates import MomentEstimate
from relmeasure.samplestats.moments import moment_sums
from tests.factor.references import aligned, floats, implied, normal_rows, pair, stored, turned
from tests.support import Constructor, load_reference, unchanged

LOADINGS = np.array(
    [[0.8, 0.0], [0.7, 0.1], [0.6, -0.1], [0.55, 0.0], [0.0, 0.75], [0.1, 0.65], [-0.1, 0.6], [0.0, 0.5]]
)
PHI = np.array([[1.0, 0.35], [0.35, 1.0]])
NAMES = tuple("abcdefgh")
HEYWOOD = np.array([[1.0, 0.9, 0.8, 0.1], [0.9, 1.0, 0.5, 0.1], [0.8, 0.5, 1.0, 0.1], [0.1, 0.1, 0.1, 1.0]])


@pytest.fixture(scope="module")
def rows() -> Any:
    """300 rows of eight items and two factors."""
    return normal_rows(implied(LOADINGS, PHI), 300, 21)


@pytest.fixture(scope="module")
def codes() -> Any:
    """301 rows of nine ordered items."""
    return np.array(load_reference("efa/ordinal")["codes"], dtype=float)


# --------------------------------------------------------------------------- one matrix, whatever is handed in
def test_rows_moments_and_matrices_give_the_same_solution(rows: Array) -> None:
    frame = pd.DataFrame(rows, columns=list(NAMES))
    moments = moment_sums(rows, NAMES)
    cor, cov = np.asarray(np.corrcoef(rows.T)), np.asarray(np.cov(rows.T))
    square = pd.DataFrame(cor, index=list(NAMES), columns=list(NAMES))
    published = MomentEstimate.from_matrix(cor, 300, NAMES)
    expected = efa(frame, 2)
    for data in (rows, moments, moments + moments.subset(NAMES), (cor, 300), (cov, 300), (square, 300), published):
        made = efa(data, 2)
        np.testing.assert_allclose(made.loadings, expected.loadings, atol=1e-8)
        np.testing.assert_allclose(made.phi, expected.phi, atol=1e-8)
    assert efa((square, 300), 2).names == NAMES
    assert efa((cor, 300), 2).names == tuple(f"x{k}" for k in range(1, 9))
    assert efa(published, 2).item_mean is None
    assert expected.n_obs == 300
    assert "listwise: 300 of 300 rows" in expected.rule


def test_every_engine_gives_the_same_solution(rows: Array, constructor: Constructor) -> None:
    native = constructor({name: rows[:60, k].tolist() for k, name in enumerate(NAMES)})
    with unchanged(native):
        made = efa(native, 2, n_starts=2)
    expected = efa(rows[:60], 2, n_starts=2)
    np.testing.assert_allclose(made.loadings, expected.loadings, atol=1e-7)
    assert made.names == NAMES


def test_dropped_rows_are_counted(rows: Array) -> None:
    holes = rows.copy()
    holes[:12, 1] = np.nan
    with pytest.warns(ListwiseDeletionWarning, match="12 of 300 rows"):
        made = efa(holes, 2)
    assert made.n_obs == 288
    assert made.warnings[0].code == "listwise-deletion"
    with pytest.warns(PairwiseDeletionWarning):
        pairwise = efa(holes, 2, missing="pairwise")
    assert pairwise.n_obs == 288
    assert "smallest used" in pairwise.rule
    assert efa(holes[12:], 2).compare(made).max_loading < 1e-7


def test_weights_leave_out_what_needs_n(rows: Array) -> None:
    weights = np.random.default_rng(0).uniform(0.5, 2.0, 300)
    made = efa(rows, 2, weights=weights, se=True)
    assert np.isnan(made.fit["chisq"])
    assert "weighted" in made.fit_driver
    assert made.loadings_se is None
    assert "weighted" in made.se_note
    assert made.fit["srmr"] > 0
    given_n = efa(rows, 2, weights=weights, n_obs=250, se=True)
    assert given_n.fit["chisq"] > 0
    assert given_n.loadings_se is not None
    by_column = pd.DataFrame(rows, columns=list(NAMES)).assign(w=weights)
    np.testing.assert_allclose(efa(by_column, 2, weights="w").loadings, made.loadings, atol=1e-8)


def test_ordered_items_are_analysed_as_such(codes: Array) -> None:
    frame = pd.DataFrame(codes.astype(int), columns=[f"t{k}" for k in range(9)])
    latent = polychoric(frame, categories=[1, 2, 3, 4])
    made = efa(frame, 3, ordered=True, categories=[1, 2, 3, 4])
    assert made.correlation_kind == "polychoric"
    np.testing.assert_allclose(made.correlation, latent.correlation, atol=1e-12)
    assert latent.tables is not None
    for data in (latent, latent.tables):
        assert efa(data, 3).compare(made).max_loading < 1e-7
    assert "descriptive, no test" in made.fit_driver
    assert made.loadings_se is None
    assert efa(latent, 3, se=True).se_note.startswith("the correlations were estimated")
    assert efa(polychoric(frame, categories=[1, 2, 3, 4], acov=True), 3, se=True).loadings_se is not None
    with pytest.warns(CategoriesAssumedWarning):
        assumed = efa(frame, 3, ordered=True)
    assert any(note.code == "categories-assumed" for note in assumed.warnings)
    mixed = efa(frame, 3, ordered=["t0", "t1"], categories={"t0": [1, 2, 3, 4], "t1": [1, 2, 3, 4]})
    expected = correlations(frame, ordered=["t0", "t1"], categories={"t0": [1, 2, 3, 4], "t1": [1, 2, 3, 4]})
    np.testing.assert_allclose(mixed.correlation, expected.correlation, atol=1e-12)


def test_relabelled_categories_change_nothing(codes: Array) -> None:
    plain = efa(codes, 3, ordered=True, categories=[1, 2, 3, 4])
    other = efa(codes * 10 - 3, 3, ordered=True, categories=[7, 17, 27, 37])
    assert plain.compare(other).max_loading < 1e-9


# --------------------------------------------------------------------------- recovery and invariance
@pytest.mark.parametrize("method", ["minres", "ml", "pa", "uls"])
def test_a_population_is_recovered(method: Any) -> None:
    """Oblimin leaves small cross-loadings; the reproduced correlations are exact."""
    made = efa((implied(LOADINGS, PHI), 500), 2, method=method)
    loadings, _, _ = aligned(made.loadings, LOADINGS)
    np.testing.assert_allclose(loadings, LOADINGS, atol=0.05)
    np.testing.assert_allclose(made.residuals, 0.0, atol=1e-8)
    assert made.fit["chisq"] == pytest.approx(0.0, abs=1e-6)
    assert made.fit["rmsea"] == 0.0
    assert made.fit["cfi"] == 1.0
    assert made.status.ok
    assert made.method == method


def test_a_target_recovers_the_population_exactly() -> None:
    target = np.where(np.abs(LOADINGS) < 0.05, 0.0, np.nan)
    options = {"target": target}
    made = efa((implied(LOADINGS, PHI), 500), 2, rotation="target", rotation_options=options)
    np.testing.assert_allclose(made.loadings, LOADINGS, atol=1e-6)
    np.testing.assert_allclose(made.phi, PHI, atol=1e-6)


def test_samples_recover_the_population() -> None:
    x = normal_rows(implied(LOADINGS, PHI), 5000, 3)
    made = efa(x, 2, method="ml")
    truth = efa((implied(LOADINGS, PHI), 5000), 2, method="ml")
    assert truth.compare(made).max_loading < 0.06


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), method=st.sampled_from(["minres", "ml"]))
def test_the_order_of_items_and_rows_does_not_matter(seed: int, method: Any) -> None:
    rng = np.random.default_rng(seed)
    x = normal_rows(implied(LOADINGS, PHI), 120, 5)
    items = rng.permutation(8)
    plain, moved = efa(x, 2, method=method), efa(x[rng.permutation(120)][:, items], 2, method=method)
    np.testing.assert_allclose(moved.loadings, plain.loadings[items], atol=1e-6)
    np.testing.assert_allclose(moved.phi, plain.phi, atol=1e-6)
    assert moved.fit["chisq"] == pytest.approx(plain.fit["chisq"], rel=1e-6)


@settings(max_examples=12, deadline=None)
@given(item=st.integers(0, 7), scale=st.floats(0.01, 100.0), shift=st.floats(-10, 10))
def test_units_of_items_do_not_matter(item: int, scale: float, shift: float) -> None:
    x = normal_rows(implied(LOADINGS, PHI), 120, 6)
    other = x.copy()
    other[:, item] = other[:, item] * scale + shift
    np.testing.assert_allclose(efa(other, 2).loadings, efa(x, 2).loadings, atol=1e-6)


@settings(max_examples=12, deadline=None)
@given(item=st.integers(0, 7))
def test_pitfall_4_14_an_item_reversed_with_its_key_changes_its_own_loadings_only(item: int) -> None:
    x = normal_rows(implied(LOADINGS, PHI), 150, 7)
    other = x.copy()
    other[:, item] *= -1
    plain, flipped = efa(x, 2), efa(other, 2)
    keys = np.ones((8, 1))
    keys[item] = -1
    loadings, order, signs = aligned(flipped.loadings * keys, plain.loadings)
    np.testing.assert_allclose(loadings, plain.loadings, atol=1e-6)
    np.testing.assert_allclose(turned(flipped.phi, order, signs), plain.phi, atol=1e-6)


@pytest.mark.parametrize("rotation", ["none", "varimax", "oblimin", "promax", "geomin", "bifactor", "schmid_leiman"])
@pytest.mark.parametrize("method", ["minres", "ml", "pa"])
def test_pitfall_4_14_order_and_sign_are_canonical(method: Any, rotation: Any) -> None:
    made = efa(pair("thurstone"), 3, method=method, rotation=rotation)
    assert (made.loadings.sum(axis=0) > 0).all()
    general = int(rotation in ("bifactor", "schmid_leiman"))
    if rotation != "schmid_leiman":
        explained = np.array(made.variance["ss_loadings"])[general:]
        assert (np.diff(explained) <= 1e-12).all()
    assert made.factor_names[0] == ("g" if general else "F1")


def test_pitfall_4_14_one_factor_is_positive() -> None:
    """A one-factor solution of statsmodels comes with all loadings negative."""
    for method in ("minres", "ml", "pa"):
        assert (efa(pair("hs"), 1, method=method).loadings.sum(axis=0) > 0).all()


def test_runs_agree_and_seeds_are_used() -> None:
    assert efa(pair("bfi"), 5, rotation="geomin").equals(efa(pair("bfi"), 5, rotation="geomin"))


# --------------------------------------------------------------------------- status
def test_pitfall_4_10_a_heywood_case_is_a_caution_with_the_item_named() -> None:
    frame = pd.DataFrame(HEYWOOD, columns=list("abcd"))
    with pytest.warns(HeywoodWarning, match="uniqueness of a is at its bound"):
        made = efa((frame, 100), 1)
    assert made.status.level == "caution"
    assert made.status.admissible is False
    assert made.uniquenesses[0] == pytest.approx(0.005)
    assert any("Heywood" in reason for reason in made.status.reasons)


def test_principal_axes_that_run_over_one_fail() -> None:
    with pytest.warns(NotConvergedWarning, match="not to be used"), pytest.warns(HeywoodWarning):
        made = efa((HEYWOOD, 100), 1, method="pa")
    assert made.status.level == "failed"
    assert made.status.converged is False


def test_pitfall_4_11_a_matrix_that_is_not_positive_definite_is_reported_not_smoothed() -> None:
    R = np.array([[1.0, 0.9, 0.2, 0.5], [0.9, 1.0, 0.7, 0.5], [0.2, 0.7, 1.0, 0.5], [0.5, 0.5, 0.5, 1.0]])
    assert np.linalg.eigvalsh(R)[0] < 0
    with pytest.warns(NotPositiveDefiniteWarning, match="smallest eigenvalue -0.0"), pytest.warns(HeywoodWarning):
        made = efa((R, 200), 1)
    np.testing.assert_array_equal(made.correlation, R)
    assert np.isnan(made.fit["chisq"])
    assert made.fit_driver == "the correlation matrix is not positive definite"
    with pytest.raises(NotPositiveDefiniteError, match="smallest eigenvalue"):
        efa((R, 200), 1, method="ml")


def test_factors_that_are_one_are_a_caution() -> None:
    R = implied(LOADINGS, np.array([[1.0, 0.98], [0.98, 1.0]]))
    target = np.where(np.abs(LOADINGS) < 0.3, 0.0, np.nan)
    made = efa((R, 1000), 2, rotation="target", rotation_options={"target": target})
    assert any("take fewer" in reason for reason in made.status.reasons)
    assert made.status.level == "caution"


def test_a_rotation_that_stops_or_is_not_unique_is_a_caution() -> None:
    made = efa(pair("hs"), 2, rotation="bifactor")
    assert made.status.level == "caution"
    assert made.status.identified is False
    assert any("not unique" in reason for reason in made.status.reasons)


def test_local_minima_are_told() -> None:
    made = efa(pair("thurstone"), 3, rotation="bifactor", n_starts=20)
    assert made.rotation_details.n_optima > 1
    assert f"{made.rotation_details.n_optima} local minima from 20 starts" in made.summary()


# --------------------------------------------------------------------------- the result
def test_what_follows_from_loadings() -> None:
    made = efa(pair("thurstone"), 3)
    np.testing.assert_allclose(made.structure, made.loadings @ made.phi)
    np.testing.assert_allclose(made.communalities + made.uniquenesses, 1.0, atol=1e-8)
    common = made.loadings @ made.phi @ made.loadings.T
    np.testing.assert_allclose(made.correlation - common - np.diag(made.uniquenesses), made.residuals)
    variance = made.variance
    assert sum(variance["ss_loadings"]) == pytest.approx(made.communalities.sum())
    assert variance["cumulative_of_common"][-1] == pytest.approx(1.0)
    assert made.n_factors == 3


def test_complexity_is_one_where_one_factor_loads() -> None:
    made = efa((implied(np.kron(np.eye(2), np.full((3, 1), 0.7)), np.eye(2)), 100), 2)
    np.testing.assert_allclose(made.complexity, 1.0, atol=1e-6)


def test_frames_summaries_pickles_and_dicts(rows: Array) -> None:
    made = efa(rows, 2, method="ml")
    frame = made.to_frame()
    assert list(frame.columns) == ["item", "F1", "F2", "communality", "uniqueness", "complexity"]
    assert pickle.loads(pickle.dumps(made)).equals(made)
    assert EFAResult.from_dict(made.to_dict()).equals(made)
    text = made.summary()
    for words in ("2 factors, ml, oblimin without Kaiser", "RMSEA", "correlation", "local minimum", "converged"):
        assert words in text
    with pytest.raises(ValueError, match="read-only"):
        made.loadings[0, 0] = 1.0


def test_pandas_polars_and_arrow_frames_come_back(rows: Array) -> None:
    made = efa(rows, 2)
    for kind in ("pandas", "polars", "pyarrow"):
        assert made.to_frame(kind).shape == (8, 6)


# --------------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "gls"}, "'minres', 'ml', 'pa', 'uls'"),
        ({"rotation": "oblimim"}, "Did you mean 'oblimin'"),
        ({"engine": "psych"}, "'relmeasure', 'factor_analyzer'"),
        ({"rotation_options": {"epsilon": 1}}, "it takes: gamma"),
        ({"n_obs": 1}, "at least 2 rows"),
        ({"n_starts": 0}, "at least 1 start"),
        ({"principal_axis_stop": "spss", "method": "pa"}, "'fixed_point', 'psych'"),
        ({"missing": "mean"}, "'listwise'"),
    ],
)
def test_bad_options_are_named(rows: Array, options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        efa(rows, 2, **options)


@pytest.mark.parametrize("m", [0, -1, 8, 9, 2.0, True, "two"])
def test_a_number_of_factors_that_is_none_is_refused(rows: Array, m: Any) -> None:
    with pytest.raises(OptionError, match="n_factors"):
        efa(rows, m)


def test_factors_beyond_identification_are_refused(rows: Array) -> None:
    with pytest.raises(OptionError, match="8 items allow 4 at most"):
        efa(rows, 5)
    with pytest.raises(OptionError, match="4 items allow 1 at most"):
        efa(rows[:, :4], 2)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((np.ones((3, 2)), 10), "square matrix"),
        ((np.eye(4), 1), "number of rows"),
        ((np.eye(4), 10.5), "number of rows"),
        ((np.full((3, 3), np.nan), 10), "finite and symmetric"),
        ((np.array([[1, 0.5, 0], [0.1, 1, 0], [0, 0, 1.0]]), 10), "finite and symmetric"),
        ((np.diag([1.0, 0.0, 1.0]), 10), "positive diagonal"),
        ((np.array([[1, 1.5, 0], [1.5, 1, 0], [0, 0, 1.0]]), 10), "larger than 1"),
        ((np.eye(4), 10, 3), "3 elements"),
    ],
)
def test_matrices_that_are_none_are_refused(data: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        efa(data, 1)


def test_a_bare_correlation_matrix_is_not_taken_for_rows() -> None:
    with pytest.raises(UnsupportedDataError, match=r"as \(matrix, n\)"):
        efa(pair("hs")[0], 3)


def test_ordered_needs_rows_or_tables() -> None:
    with pytest.raises(UnsupportedDataError, match="need the rows or their tables"):
        efa(pair("hs"), 3, ordered=True)
    with pytest.raises(UnsupportedDataError, match="ordered=True"):
        efa(np.random.default_rng(0).normal(size=(50, 4)), 1, categories=[1, 2])


def test_too_little_is_refused(rows: Array) -> None:
    with pytest.raises(TooFewItemsError, match="At least 3 items"):
        efa(rows[:, :2], 1)
    with pytest.raises(TooFewObservationsError, match="usable rows"):
        efa(rows[:1], 1)
    missing = rows.copy()
    missing[:, 0] = np.nan
    with pytest.raises(TooFewObservationsError, match="0 usable rows"):
        efa(missing, 1)


def test_a_constant_item_is_named(rows: Array) -> None:
    frame = pd.DataFrame(rows, columns=list(NAMES)).assign(c=1.0)
    with pytest.raises(EstimationError, match="with c:"):
        efa(frame, 2)


def test_a_pair_of_items_that_nobody_answered_together_is_named(rows: Array, codes: Array) -> None:
    holes = rows[:, :4].copy()
    holes[:150, 0], holes[150:, 1] = np.nan, np.nan
    with pytest.raises(TooFewObservationsError, match="0 to 300 of 300 rows behind a pair"):
        efa(holes, 1, missing="pairwise")
    ordered = codes[:, :4].copy()
    ordered[:150, 0], ordered[150:, 1] = np.nan, np.nan
    with pytest.warns(PairwiseDeletionWarning), pytest.raises(EstimationError, match="correlation of x1 and x2"):
        efa(ordered, 1, ordered=True, categories=[1, 2, 3, 4], missing="pairwise")


def test_text_is_refused() -> None:
    from relmeasure.exceptions import NonNumericError

    with pytest.raises(NonNumericError, match="'b'"):
        efa(pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"], "c": [1.0, 3.0]}), 1)


def test_the_analysed_matrix_says_where_it_is_from(rows: Array) -> None:
    made = analysed_matrix(rows)
    assert made.kind == "pearson"
    assert made.n_items == 8
    assert made.min_eigenvalue > 0
    assert made.mean is not None
    np.testing.assert_allclose(made.mean, rows.mean(axis=0))


# --------------------------------------------------------------------------- bound responses and real data
def test_bound_responses_are_keyed_analysed_and_scored() -> None:
    import relmeasure as rm

    instrument = rm.load_instrument("relationship-student")
    frame = rm.simulate(instrument, n_clusters=10, cluster_size=20, rng=1)
    bound = rm.bind(instrument, frame)
    made = efa(bound, 2)
    keyed = efa(bound.keyed(), 2)
    assert made.names == tuple(bound.items)
    np.testing.assert_allclose(made.loadings, keyed.loadings)
    scores = made.score(bound)
    assert scores.scores.shape == (200, 2)
    np.testing.assert_allclose(np.nanmean(scores.scores, axis=0), 0.0, atol=1e-9)
    latent = efa(bound, 2, ordered=True)
    assert latent.correlation_kind == "polychoric"
    shuffled = rm.n_factors(bound, simulation="permutation", n_replications=5)
    assert shuffled.simulated == "permutation"


def test_a_lazy_frame_is_scored_in_batches(rows: Array) -> None:
    import polars as pl

    made = efa(rows, 2)
    lazy = pl.DataFrame(rows, schema=list(made.names)).lazy()
    np.testing.assert_allclose(made.score(lazy).scores, made.score(rows).scores, atol=1e-12)


@pytest.mark.shared
def test_real_answers_give_the_stored_solutions(shared_reference: Path) -> None:
    """25 items of psych::bfi: Pearson and polychoric correlations, from rows to rotated loadings."""
    names = [scale + str(k) for scale in "ACENO" for k in range(1, 6)]
    frame = pd.read_csv(shared_reference / "data" / "bfi" / "data.csv")[names].dropna()
    for options, block in (
        ({}, stored("solutions")["bfi5"]["minres_oblimin"]),
        ({"ordered": True, "categories": range(1, 7)}, stored("solutions")["bfi5_poly"]["minres_oblimin"]),
    ):
        made = efa(frame, 5, **options)  # type: ignore[arg-type]
        theirs = floats(block["loadings"])
        # psych's polychorics are good to 2e-5, its rotations to 1e-4
        np.testing.assert_allclose(aligned(made.loadings, theirs)[0], theirs, atol=2e-4)
