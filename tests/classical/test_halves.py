"""Split-halves, lambdas and two items: every split by hand, identities, published formulas, bad input."""

from __future__ import annotations

import itertools
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmeasure import exceptions as ex
from relmeasure.classical import GuttmanLambdas, SplitHalves, alpha, guttman, spearman_brown, split_half
from relmeasure.classical.halves import Halves, find_halves, mean_split
from relmeasure.numerics.coefficients import fisher_z_interval, prophecy
from relmeasure.samplestats.moments import moment_sums
from tests.classical.stored import complete, from_covariances, quietly
from tests.support import Constructor

EXACT = 1e-12
"""Sums of a few dozen terms, relative."""


def matrix(p: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.asarray(np.corrcoef((rng.normal(size=(60, 1)) + rng.normal(size=(60, p))).T))


def by_hand(m: np.ndarray) -> list[float]:
    """Coefficient 4 cov(a, b) / var(a + b) of every split, one combination at a time."""
    p, total = len(m), m.sum()
    out = []
    for half in itertools.combinations(range(p), p // 2):
        if p % 2 == 0 and 0 not in half:
            continue
        a = np.isin(np.arange(p), half)
        out.append(4 * m[np.ix_(a, ~a)].sum() / total)
    return out


# --------------------------------------------------------------------------- every split
@pytest.mark.parametrize("p", [2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
def test_extremes_and_mean_are_those_of_every_split(p: int) -> None:
    m = matrix(p, p)
    every = by_hand(m)
    halves = find_halves(m, np.random.default_rng(0))
    assert halves.n_splits == len(every)
    assert math.isclose(Halves.coefficient(m, halves.smallest), max(every), rel_tol=EXACT)
    assert math.isclose(Halves.coefficient(m, halves.largest), min(every), rel_tol=EXACT)
    assert math.isclose(mean_split(m), float(np.mean(every)), rel_tol=EXACT)
    assert abs(halves.smallest.sum()) == p % 2


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), p=st.integers(6, 14))
def test_the_search_finds_what_enumeration_finds(seed: int, p: int) -> None:
    m = matrix(p, seed)
    found, all_of_them = find_halves(m, np.random.default_rng(1), limit=0), find_halves(m, np.random.default_rng(1))
    assert (found.exhaustive, all_of_them.exhaustive) == (False, True)
    assert math.isclose(
        Halves.coefficient(m, found.smallest), Halves.coefficient(m, all_of_them.smallest), rel_tol=EXACT
    )
    assert math.isclose(Halves.coefficient(m, found.largest), Halves.coefficient(m, all_of_them.largest), rel_tol=EXACT)


def test_blocks_of_a_long_scale_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    from relmeasure.classical import halves as module

    m = matrix(12, 3)
    whole = find_halves(m, np.random.default_rng(0))
    monkeypatch.setattr(module, "_CHUNK", 50)
    cut = find_halves(m, np.random.default_rng(0))
    assert Halves.coefficient(m, cut.smallest) == Halves.coefficient(m, whole.smallest)
    assert Halves.coefficient(m, cut.largest) == Halves.coefficient(m, whole.largest)


def test_more_than_25_items_are_searched_with_a_warning_and_a_seed() -> None:
    x = np.random.default_rng(2).normal(size=(300, 30)) + np.random.default_rng(3).normal(size=(300, 1))
    with pytest.warns(ex.SearchNotExhaustiveWarning, match="30 items have 77558760 splits"):
        first = split_half(x, rng=5)
    with quietly():
        assert split_half(x, rng=5).equals(first)
        assert not guttman(x).exhaustive
    assert not first.exhaustive
    assert first.minimum < first.mean < first.maximum
    assert "searched among" in first.summary()


def test_the_best_split_is_named() -> None:
    cov = np.array([[1, 0.8, 0.1, 0.1], [0.8, 1, 0.1, 0.1], [0.1, 0.1, 1, 0.8], [0.1, 0.1, 0.8, 1]])
    result = split_half(from_covariances(cov, 50, list("abcd")))
    assert result.minimum_half == ("a", "b")
    assert set(result.maximum_half) in ({"a", "c"}, {"a", "d"})
    assert result.to_frame()["coefficient"].tolist() == ["maximum", "mean", "minimum"]
    assert result.definition == "split_half.flanagan_rulon.correlation"


# --------------------------------------------------------------------------- lambdas
def test_order_of_the_bounds() -> None:
    """Guttman: lambda1 < lambda3 <= lambda2, and no split exceeds lambda4."""
    for scale in ("bfi_A", "bfi_N", "hs_9", "gti_tsup"):
        for kind in ("correlation", "covariance"):
            result = guttman(complete(scale), matrix=kind)
            assert result.lambda1 < result.lambda3 <= result.lambda2
            assert result.lambda5 > result.lambda1
            assert split_half(complete(scale), matrix=kind).maximum == result.lambda4


def test_parallel_items_have_one_reliability() -> None:
    cor = np.full((4, 4), 0.4)
    np.fill_diagonal(cor, 1.0)
    result = guttman(from_covariances(cor, 80, list("abcd")))
    reliability = 4 * 0.4 / (1 + 3 * 0.4)
    for bound in (result.lambda2, result.lambda3, result.lambda4):
        assert math.isclose(bound, reliability, rel_tol=EXACT)


def test_lambda6_is_one_minus_regression_residuals() -> None:
    rng = np.random.default_rng(8)
    x = rng.normal(size=(100, 1)) + rng.normal(size=(100, 4))
    residual = 0.0
    for j in range(4):
        design = np.column_stack([np.ones(100), np.delete(x, j, axis=1)])
        fit = design @ np.linalg.lstsq(design, x[:, j], rcond=None)[0]
        residual += ((x[:, j] - fit) ** 2).sum() / 99
    expected = 1 - residual / np.cov(x.T).sum()
    assert math.isclose(guttman(x, matrix="covariance").lambda6, expected, rel_tol=1e-10)


def test_a_copied_item_leaves_lambda6_missing_with_a_note() -> None:
    x = np.random.default_rng(1).normal(size=(50, 1)) + np.random.default_rng(2).normal(size=(50, 3))
    result = guttman(np.column_stack([x, x[:, 0]]))
    assert math.isnan(result.lambda6)
    assert [note.code for note in result.warnings] == ["not-positive-definite"]
    assert not math.isnan(result.lambda5)


def test_lambdas_are_named_with_their_matrix() -> None:
    result = guttman(complete("bfi_A"), matrix="covariance")
    frame = result.to_frame()
    assert frame["definition"].tolist() == [f"lambda{i}.covariance" for i in range(1, 7)]
    assert result.definition == "guttman.covariance"
    assert math.isclose(result.lambda3, alpha(complete("bfi_A")).estimate, rel_tol=EXACT)
    assert "lower bounds on the item covariance matrix" in result.summary()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), units=st.lists(st.floats(0.1, 10), min_size=6, max_size=6))
def test_order_and_units_do_not_matter(seed: int, units: list[float]) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(40, 1)) + rng.normal(size=(40, 6))
    columns = rng.permutation(6)
    first, second = guttman(x), guttman((x * units)[rng.permutation(40)][:, columns])
    for i in range(1, 7):
        assert math.isclose(getattr(first, f"lambda{i}"), getattr(second, f"lambda{i}"), rel_tol=1e-9), i
    assert math.isclose(split_half(x).minimum, split_half(x[:, columns] + 3).minimum, rel_tol=1e-9)


@pytest.mark.parametrize("call", [guttman, split_half])
def test_bad_input(call: type) -> None:
    x = np.random.default_rng(1).normal(size=(30, 4)) + np.random.default_rng(2).normal(size=(30, 1))
    with pytest.raises(ex.TooFewItemsError, match="cannot be split"):
        call(x[:, :1])
    with pytest.raises(ex.OptionError, match="covariance"):
        call(x, matrix="cov")
    with pytest.raises(ex.EstimationError, match="items cancel out"):
        call(np.column_stack([x[:, 0], -x[:, 0]]))
    constant = x.copy()
    constant[:, 1] = 3.0
    with pytest.raises(ex.EstimationError, match="No variance in x2"):
        call(constant)
    with pytest.warns(ex.ConstantItemWarning):
        call(constant, matrix="covariance")
    x[0, 0] = np.nan
    with pytest.warns(ex.ListwiseDeletionWarning):
        assert call(x).n_obs == 29


def test_results_pickle_and_round_trip() -> None:
    bounds, halves = guttman(complete("bfi_A")), split_half(complete("bfi_A"))
    assert pickle.loads(pickle.dumps(bounds)).equals(bounds)
    assert GuttmanLambdas.from_dict(bounds.to_dict()).equals(bounds)
    assert SplitHalves.from_dict(halves.to_dict()).equals(halves)


# --------------------------------------------------------------------------- two items
def test_spearman_brown_as_r_has_it() -> None:
    """R: r <- cor(x)[1, 2]; ci <- cor.test(x[, 1], x[, 2])$conf.int; 2 * r / (1 + r); 2 * ci / (1 + ci)."""
    result = spearman_brown(np.array([[1, 2], [2, 2], [3, 4], [4, 3], [5, 5], [2, 1]]))
    ours = [result.estimate, result.lower, result.upper]
    np.testing.assert_allclose(ours, [0.8983050847457628, 0.0223528941481332, 0.9894216883304173], rtol=1e-10)
    assert "Fisher z" in result.method
    assert result.definition == "spearman_brown.two_halves"


def test_spearman_brown_is_standardized_alpha_and_alpha_of_equal_variances() -> None:
    x = np.random.default_rng(3).normal(size=(80, 1)) + np.random.default_rng(4).normal(size=(80, 2))
    z = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    with quietly():
        assert math.isclose(spearman_brown(x).estimate, alpha(x).standardized, rel_tol=EXACT)
        assert math.isclose(spearman_brown(x).estimate, alpha(z).estimate, rel_tol=EXACT)
    r = float(np.asarray(np.corrcoef(x.T))[0, 1])
    step = 1e-6
    slope = (prophecy(r + step, 2) - prophecy(r - step, 2)) / (2 * step)
    assert math.isclose(spearman_brown(x).se, slope * (1 - r * r) / math.sqrt(80), rel_tol=1e-6)


def test_what_two_items_cannot_give() -> None:
    x = np.random.default_rng(3).normal(size=(40, 1)) + np.random.default_rng(4).normal(size=(40, 3))
    with pytest.raises(ex.UnsupportedDataError, match="3 given"):
        spearman_brown(x)
    one = spearman_brown(x[:, :1])
    assert one.reason is not None
    assert "one item" in one.reason
    opposite = spearman_brown(np.column_stack([x[:, 0], -x[:, 0]]))
    assert opposite.reason is not None
    assert "reflection" in opposite.reason
    with pytest.warns(ex.ConstantItemWarning):
        flat = spearman_brown(np.column_stack([x[:, 0], np.ones(40)]))
    assert flat.reason == "no variance in x2"
    with pytest.warns(ex.NegativeReliabilityWarning, match="correlate negatively"):
        assert spearman_brown(np.column_stack([x[:, 0], x[:, 1] - 2 * x[:, 0]])).estimate < 0
    same = spearman_brown(np.column_stack([x[:, 0], x[:, 0]]))
    assert same.estimate == pytest.approx(1.0)
    assert math.isnan(same.lower) or same.lower == pytest.approx(1.0, abs=1e-6)
    weighted = spearman_brown(x[:, :2], weights=np.linspace(1, 2, 40))
    assert math.isnan(weighted.se)
    assert "n_obs=" in weighted.method
    assert math.isnan(fisher_z_interval(0.5, 3, 0.95)[0])


def test_every_engine_gives_the_same_two_item_answer(constructor: Constructor) -> None:
    x = np.random.default_rng(3).integers(1, 6, (30, 2)) + np.random.default_rng(4).integers(1, 6, (30, 1))
    frame = constructor({"a": x[:, 0].tolist(), "b": x[:, 1].tolist()})
    assert spearman_brown(frame).equals(spearman_brown(moment_sums(x, ["a", "b"])), rtol=1e-12)
