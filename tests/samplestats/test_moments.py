"""Additive moments: numpy and R as references, pooling, missing answers, weights, and nonsense."""

from __future__ import annotations

import math
import pickle
from typing import Literal, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from relmeasure import exceptions as ex
from relmeasure.samplestats import moments as module
from relmeasure.samplestats.deletion import deletion_warnings
from relmeasure.samplestats.moments import MissingMethod, MomentSums, moment_sums

EXACT = 1e-12
"""Sums of a hundred terms near one, relative."""

Rule = Literal["listwise", "pairwise"]
RULES: tuple[Rule, ...] = get_args(Rule)
NAMES = list("abcd")


def answers(n: int = 60, k: int = 4, seed: int = 1, gaps: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 1)) + rng.normal(size=(n, k)) + 3
    x[rng.random(x.shape) < gaps] = np.nan
    return x


def same(a: MomentSums, b: MomentSums, rtol: float = 1e-9, atol: float = 1e-9) -> bool:
    return a.equals(b, rtol=rtol, atol=atol)


# --------------------------------------------------------------------------- references
def test_complete_rows_as_numpy_has_them() -> None:
    x = answers()
    for rule in RULES:
        m = moment_sums(x, NAMES, missing=rule)
        np.testing.assert_allclose(m.mean, x.mean(axis=0), rtol=EXACT)
        np.testing.assert_allclose(m.cov, np.cov(x.T), rtol=EXACT)
        np.testing.assert_allclose(m.cor, np.corrcoef(x.T), rtol=EXACT)
        assert (m.n_obs, m.n_obs_max, m.n_rows, m.n_dropped, m.n_items) == (60, 60, 60, 0, 4)


def test_gaps_as_r_has_them() -> None:
    """R: x <- cbind(a = c(1, 2, NA, 4, 6), b = c(2, NA, 1, 5, 4), c = c(3, 1, 2, NA, 7)); cov(x, use = "pair"), cor(...)."""
    x = np.array([[1, 2, 3], [2, math.nan, 1], [math.nan, 1, 2], [4, 5, math.nan], [6, 4, 7]])
    m = moment_sums(x, ["a", "b", "c"], missing="pairwise")
    cov = [[59 / 12, 17 / 6, 7.0], [17 / 6, 10 / 3, 4.0], [7.0, 4.0, 83 / 12]]
    ab, ac, bc = 0.737043474095502, 0.866025403784439, 0.989743318610787
    cor = [[1.0, ab, ac], [ab, 1.0, bc], [ac, bc, 1.0]]
    np.testing.assert_allclose(m.cov, cov, rtol=1e-12)
    np.testing.assert_allclose(m.cor, cor, rtol=1e-12)
    np.testing.assert_allclose(m.mean, [3.25, 3.0, 3.25], rtol=1e-12)
    assert m.count.tolist() == [[4, 3, 3], [3, 4, 3], [3, 3, 4]]
    assert m.n_item.tolist() == [4, 4, 4]
    complete = moment_sums(x, ["a", "b", "c"])
    assert (complete.n_obs, complete.n_rows) == (2, 5)
    np.testing.assert_allclose(complete.cov, np.cov(x[[0, 4]].T), rtol=1e-12)


def test_pairwise_is_one_pair_at_a_time() -> None:
    x = answers(gaps=0.2)
    m = moment_sums(x, NAMES, missing="pairwise")
    for i in range(4):
        for j in range(4):
            both = ~np.isnan(x[:, i]) & ~np.isnan(x[:, j])
            cov = np.atleast_2d(np.cov(x[both, i], x[both, j]))
            assert math.isclose(m.cov[i, j], cov[0, 1], rel_tol=1e-10)
            assert m.count[i, j] == both.sum()
            if i != j:
                assert math.isclose(m.cor[i, j], cov[0, 1] / math.sqrt(cov[0, 0] * cov[1, 1]), rel_tol=1e-10)


def test_large_means_cost_no_digits() -> None:
    """One-pass formulas lose every digit here: a spread of one about a mean of 1e9."""
    x = answers(500)
    for rule in RULES:
        m = moment_sums(x + 1e9, NAMES, missing=rule)
        np.testing.assert_allclose(m.cov, np.cov(x.T), rtol=1e-6)
        pooled = moment_sums(x[:200] + 1e9, NAMES, missing=rule) + moment_sums(x[200:] + 1e9, NAMES, missing=rule)
        np.testing.assert_allclose(pooled.cov, np.cov(x.T), rtol=1e-6)


# --------------------------------------------------------------------------- adding
@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 60), min_size=0, max_size=5),
    seed=st.integers(0, 1000),
    rule=st.sampled_from(RULES),
    weighted=st.booleans(),
)
def test_parts_add_up_to_the_whole_in_any_order(cuts: list[int], seed: int, rule: Rule, weighted: bool) -> None:
    x = answers(seed=seed, gaps=0.15)
    w = np.random.default_rng(seed).uniform(0, 2, 60) if weighted else None
    edges = [0, *sorted(cuts), 60]
    parts = [
        moment_sums(x[a:b], NAMES, missing=rule, weights=None if w is None else w[a:b])
        for a, b in zip(edges, edges[1:], strict=False)
    ]
    whole = moment_sums(x, NAMES, missing=rule, weights=w)
    np.random.default_rng(seed).shuffle(parts)
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    assert same(total, whole)


@pytest.mark.parametrize("rule", RULES)
def test_the_empty_part_is_the_zero_of_the_sum(rule: Rule) -> None:
    whole = moment_sums(answers(gaps=0.1), NAMES, missing=rule)
    nothing = moment_sums(np.empty((0, 4)), NAMES, missing=rule)
    assert nothing.n_obs == 0
    assert np.isnan(nothing.cov).all()
    assert same(whole + nothing, whole)
    assert same(nothing + whole, whole)
    assert same(nothing + nothing, nothing)


@pytest.mark.parametrize("rule", RULES)
def test_rows_are_read_in_blocks(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    x = answers(gaps=0.1)
    w = np.linspace(0.1, 2.0, 60)
    whole = moment_sums(x, NAMES, missing=rule), moment_sums(x, NAMES, missing=rule, weights=w)
    monkeypatch.setattr(module, "_BLOCK_VALUES", 28)
    assert same(moment_sums(x, NAMES, missing=rule), whole[0])
    assert same(moment_sums(x, NAMES, missing=rule, weights=w), whole[1])


def test_statistics_of_different_kinds_are_not_added() -> None:
    x = answers()
    a = moment_sums(x, NAMES)
    for other, what in (
        (moment_sums(x, list("abce")), "names"),
        (moment_sums(x, NAMES, missing="pairwise"), "missing"),
        (moment_sums(x, NAMES, weights=np.ones(60)), "weighted"),
    ):
        with pytest.raises(ex.IncompatibleStatisticsError, match=what):
            a + other
    with pytest.raises(TypeError):
        a + 1  # type: ignore[operator]


# --------------------------------------------------------------------------- weights
def test_whole_weights_are_repeated_rows_up_to_the_divisor() -> None:
    x = answers(30)
    counts = np.random.default_rng(2).integers(1, 4, 30)
    repeated = np.repeat(x, counts, axis=0)
    for rule in RULES:
        m = moment_sums(x, NAMES, missing=rule, weights=counts)
        np.testing.assert_allclose(m.mean, repeated.mean(axis=0), rtol=EXACT)
        np.testing.assert_allclose(m.cor, np.corrcoef(repeated.T), rtol=1e-10)
        divisor = (30 / 29) / (len(repeated) / (len(repeated) - 1))
        np.testing.assert_allclose(m.cov, np.cov(repeated.T) * divisor, rtol=1e-10)


def test_only_ratios_of_weights_matter_and_equal_ones_are_none() -> None:
    x = answers(gaps=0.1)
    w = np.random.default_rng(2).uniform(0.5, 2, 60)
    for rule in RULES:
        one, ten = (moment_sums(x, NAMES, missing=rule, weights=f * w) for f in (1, 10))
        np.testing.assert_allclose(one.cov, ten.cov, rtol=1e-10)
        equal, plain = (
            moment_sums(x, NAMES, missing=rule, weights=np.full(60, 3.0)),
            moment_sums(x, NAMES, missing=rule),
        )
        np.testing.assert_allclose(equal.cov, plain.cov, rtol=1e-10)
        np.testing.assert_allclose(equal.cor, plain.cor, rtol=1e-10)


@pytest.mark.parametrize("rule", RULES)
def test_rows_of_weight_zero_do_not_count(rule: Rule) -> None:
    x = answers(gaps=0.1)
    w = np.ones(60)
    w[:20] = 0
    without = moment_sums(x[20:], NAMES, missing=rule)
    m = moment_sums(x, NAMES, missing=rule, weights=w)
    np.testing.assert_allclose(m.cov, without.cov, rtol=1e-10)
    assert m.count.tolist() == without.count.tolist()


# --------------------------------------------------------------------------- invariances
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), rule=st.sampled_from(RULES))
def test_order_of_rows_and_items(seed: int, rule: Rule) -> None:
    rng = np.random.default_rng(seed)
    x, rows, columns = answers(seed=seed, gaps=0.1), rng.permutation(60), rng.permutation(4)
    m = moment_sums(x, NAMES, missing=rule)
    names = [NAMES[j] for j in columns]
    assert same(moment_sums(x[np.ix_(rows, columns)], names, missing=rule), m.subset(names))


@settings(max_examples=30, deadline=None)
@given(
    x=hnp.arrays(np.float64, st.tuples(st.integers(2, 12), st.just(3)), elements=st.integers(1, 5).map(float)),
    rule=st.sampled_from(RULES),
)
def test_integer_answers_of_any_dtype(x: np.ndarray, rule: Rule) -> None:
    wanted = moment_sums(x, list("abc"), missing=rule)
    for dtype in (np.int8, np.uint8, np.int64, np.float32):
        assert same(moment_sums(x.astype(dtype), list("abc"), missing=rule), wanted)
    assert same(moment_sums(np.asfortranarray(x), list("abc"), missing=rule), wanted)
    assert (np.diag(wanted.cov) >= 0).all()


def test_the_input_is_not_changed() -> None:
    x = answers(gaps=0.2)
    before = x.copy()
    for rule in RULES:
        moment_sums(x, NAMES, missing=rule, weights=np.ones(60))
    np.testing.assert_array_equal(x, before)


# --------------------------------------------------------------------------- constants, subsets, results
def test_a_constant_item_has_no_correlation() -> None:
    x = answers()
    x[:, 2] = 4.0
    m = moment_sums(x, NAMES)
    assert m.cov[2, 2] == 0.0
    assert np.isnan(m.cor[2]).all()
    assert not np.isnan(m.cor[0, 1])


def test_one_row_has_no_covariance() -> None:
    m = moment_sums(answers()[:1], NAMES)
    assert np.isnan(m.cov).all()
    assert not np.isnan(m.mean).any()


def test_a_subset_of_items() -> None:
    x = answers(gaps=0.1)
    for rule in RULES:
        m = moment_sums(x, NAMES, missing=rule).subset(["d", "a"])
        assert m.names == ("d", "a")
        if rule == "pairwise":
            assert same(m, moment_sums(x[:, [3, 0]], ["d", "a"], missing=rule))
        else:
            assert m.n_obs == (~np.isnan(x)).all(axis=1).sum()


def test_rules_in_words_and_deletion_warnings() -> None:
    x = answers(10)
    x[:3, 0] = np.nan
    listwise, pairwise = (moment_sums(x, NAMES, missing=rule) for rule in RULES)
    assert listwise.rule == "listwise: 7 of 10 rows complete on 4 items"
    assert pairwise.rule == "pairwise: 7 to 10 of 10 rows behind a pair; smallest used"
    [warning] = deletion_warnings(listwise)
    assert isinstance(warning, ex.ListwiseDeletionWarning)
    assert warning.details["n_dropped"] == 3
    [warning] = deletion_warnings(pairwise, used="nothing is used")
    assert isinstance(warning, ex.PairwiseDeletionWarning)
    assert "7 to 10 of 10 rows; nothing is used" in warning.message
    assert deletion_warnings(moment_sums(x[3:], NAMES)) == []
    assert deletion_warnings(moment_sums(x[3:], NAMES, missing="pairwise")) == []


def test_the_result_is_frozen_pickles_and_round_trips() -> None:
    for rule in RULES:
        m = moment_sums(answers(gaps=0.1), NAMES, missing=rule)
        assert pickle.loads(pickle.dumps(m)).equals(m)
        assert MomentSums.from_dict(m.to_dict()).equals(m)
        for array in (m.mean, m.cov, m.cor, m.scatter):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1.0
        with pytest.raises(AttributeError):
            m.n_rows = 3  # type: ignore[misc]
        assert list(m.to_frame().columns) == ["item", "n", "mean", "sd"]
        assert rule in m.summary()


# --------------------------------------------------------------------------- nonsense
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinite_values(rule: Rule, bad: float) -> None:
    x = answers()
    x[3, 1] = bad
    with np.errstate(invalid="ignore"), pytest.raises(ex.NonNumericError, match="infinite"):
        moment_sums(x, NAMES, missing=rule)


def test_nonsense() -> None:
    x = answers()
    with pytest.raises(ex.UnsupportedDataError, match="2 dimensions"):
        moment_sums(x[0], NAMES)
    with pytest.raises(ex.NonNumericError, match="Numbers are needed"):
        moment_sums(np.array([["a", "b"]]), ["a", "b"])
    with pytest.raises(ex.NonNumericError):
        moment_sums(x + 1j, NAMES)
    with pytest.raises(ex.DataError, match="3 names were given for 4 items"):
        moment_sums(x, list("abc"))
    with pytest.raises(ex.DuplicateColumnError, match="a"):
        moment_sums(x, list("aabc"))
    with pytest.raises(ex.OptionError, match="pairwise"):
        moment_sums(x, NAMES, missing="drop")  # type: ignore[arg-type]
    with pytest.raises(ex.DataError, match="One weight a row"):
        moment_sums(x, NAMES, weights=np.ones(3))
    for wrong in (-1.0, math.nan, math.inf):
        w = np.ones(60)
        w[2] = wrong
        with pytest.raises(ex.DataError, match="1 of 60 are not"):
            moment_sums(x, NAMES, weights=w)


def test_rules_are_those_of_the_option() -> None:
    assert get_args(MissingMethod) == RULES


@pytest.mark.parametrize("rule", RULES)
def test_the_rounding_error_of_a_constant_is_no_variance(rule: Rule) -> None:
    """Weighted sums of a number that is not binary leave 1e-30: divided by itself it would be a correlation."""
    rng = np.random.default_rng(4)
    for _ in range(200):
        n = int(rng.integers(3, 400))
        x = np.column_stack([np.full(n, round(rng.uniform(-100, 100), 2)), rng.normal(size=n)])
        for weights in (None, rng.uniform(0.1, 3.0, n)):
            m = moment_sums(x, ["a", "b"], missing=rule, weights=weights)
            half = n // 2
            w = (None, None) if weights is None else (weights[:half], weights[half:])
            parts = [
                moment_sums(v, ["a", "b"], missing=rule, weights=u)
                for v, u in zip((x[:half], x[half:]), w, strict=True)
            ]
            for found in (m, parts[0] + parts[1]):
                assert found.cov[0].tolist() == [0.0, 0.0]
                assert np.isnan(found.cor[0]).all()


def test_a_small_spread_on_a_large_mean_is_kept() -> None:
    x = 1e9 + np.random.default_rng(5).integers(0, 2, (500, 2))
    np.testing.assert_allclose(moment_sums(x, ["a", "b"]).cov, np.cov(x.T), rtol=1e-6)
