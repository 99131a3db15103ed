"""Full-information moments and published matrices: lavaan, closed cases, monotone likelihood, additivity, nonsense."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmeasure.exceptions import (
    DataError,
    EstimationError,
    IncompatibleStatisticsError,
    NonNumericError,
    NotConvergedWarning,
    NotPositiveDefiniteError,
    NotPositiveDefiniteWarning,
    TooFewObservationsError,
)
from relmeasure.samplestats import MissingPatterns, MomentEstimate, em_moments, missing_patterns, moment_sums
from relmeasure.samplestats.em import observed_information
from tests.support import load_reference

EM = 1e-7  # our steps end below 1e-9; lavaan's EM was asked for 1e-12
LAVAAN_FIT = 2e-6  # nlminb in lavaan ends here
LOG_LIKELIHOOD = 1e-7  # absolute, of a value near -1600
LAVAAN_SE = 1e-4  # relative: lavaan differentiates numerically at its own estimates

CASE = load_reference("em/em")
NAMES = ["x1", "x2", "x3", "x4", "x5", "x6"]


def _rows() -> np.ndarray:
    return np.array([[math.nan if v is None else v for v in row] for row in CASE["rows"]], dtype=float)


def _sample(seed: int, n: int, p: int, share: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, p)) @ (np.eye(p) + 0.5 * rng.normal(size=(p, p))) + np.arange(p)
    values[rng.random(values.shape) < share] = np.nan
    values[0] = rng.normal(size=p)
    return values


# --------------------------------------------------------------------------- lavaan
def test_lavaan() -> None:
    """Means, covariances, log-likelihood and coverage of 299 incomplete rows; two rows are empty."""
    result = em_moments(_rows(), NAMES)
    np.testing.assert_allclose(result.mean, CASE["mean"], atol=EM)
    np.testing.assert_allclose(result.cov, np.array(CASE["cov"]), atol=EM)
    np.testing.assert_allclose(result.mean, CASE["fitted_mean"], atol=LAVAAN_FIT)
    np.testing.assert_allclose(result.cov, np.array(CASE["fitted_cov"]), atol=LAVAAN_FIT)
    assert result.log_likelihood == pytest.approx(CASE["logl"], abs=LOG_LIKELIHOOD)
    np.testing.assert_allclose(result.coverage, np.array(CASE["coverage"]), atol=1e-12)
    assert result.n_obs == CASE["n"] == 299
    assert result.n_rows == 301
    assert result.status.ok
    assert result.status.converged
    assert "299 of 301 rows with an answer" in result.rule


def test_observed_information() -> None:
    """Its inverse is lavaan's covariance of means and covariances, name by name."""
    result = em_moments(_rows(), NAMES, information=True)
    assert result.information is not None
    inverse = np.linalg.inv(result.information)
    turned = {name: i for i, name in enumerate(result.parameters)}
    turned |= {"~~".join(reversed(name.split("~~"))): i for name, i in turned.items() if "~~" in name}
    index = [turned[name] for name in CASE["vcov_names"]]
    stored = np.array(CASE["vcov"])
    scale = np.sqrt(np.outer(np.diag(stored), np.diag(stored)))
    np.testing.assert_allclose(inverse[np.ix_(index, index)] / scale, stored / scale, atol=LAVAAN_SE)
    for lhs, op, rhs, se in zip(*(CASE[k] for k in ("lhs", "op", "rhs", "se")), strict=True):
        i = turned[f"{lhs}~1" if op == "~1" else f"{lhs}~~{rhs}"]
        assert math.sqrt(inverse[i, i]) == pytest.approx(se, rel=LAVAAN_SE)


# --------------------------------------------------------------------------- identities
@pytest.mark.parametrize("p", [1, 2, 5])
def test_complete_rows(p: int) -> None:
    """Without gaps: the mean, the covariance with divisor N, the normal likelihood, after one step."""
    values = _sample(1, 200, p, 0.0)
    result = em_moments(values, NAMES[:p])
    np.testing.assert_allclose(result.mean, values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(result.cov, np.cov(values.T, bias=True).reshape(p, p), rtol=1e-12)
    _, log_det = np.linalg.slogdet(result.cov)
    assert result.log_likelihood == pytest.approx(-100 * (p * math.log(2 * math.pi) + log_det + p), rel=1e-12)
    sums = moment_sums(values, NAMES[:p])
    np.testing.assert_allclose(result.cor, sums.cor, rtol=1e-10)


def test_monotone_pattern_has_a_closed_form() -> None:
    """Anderson (1957): with one incomplete item, regress it on the complete one."""
    values = _sample(2, 300, 2, 0.0)
    values[180:, 1] = np.nan
    result = em_moments(values, ["a", "b"])
    x, y = values[:180].T
    slope = np.cov(x, y, bias=True)[0, 1] / x.var()
    rest = y.var() - slope**2 * x.var()
    a = values[:, 0]
    assert result.mean[1] == pytest.approx(y.mean() + slope * (a.mean() - x.mean()), abs=1e-8)
    assert result.cov[0, 1] == pytest.approx(slope * a.var(), abs=1e-8)
    assert result.cov[1, 1] == pytest.approx(rest + slope**2 * a.var(), abs=1e-8)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(20, 80), st.integers(2, 5), st.floats(0.0, 0.6))
def test_likelihood_never_falls(seed: int, n: int, p: int, share: float) -> None:
    """At every accepted step, and up to a point where its gradient is zero."""
    values = _sample(seed, n, p, share)
    values[1 : p + 3] = np.random.default_rng(seed).normal(size=(p + 2, p))
    result = em_moments(values, NAMES[:p])
    path = result.log_likelihood_path
    assert (np.diff(path) >= -1e-9 * np.abs(path[1:])).all()
    assert result.log_likelihood == path[-1]
    patterns = missing_patterns(values, NAMES[:p])
    step = 1e-4
    for j in range(p):
        for sign in (-1, 1):
            mean = result.mean.copy()
            mean[j] += sign * step * math.sqrt(result.cov[j, j])
            assert _log_likelihood(patterns, mean, result.cov) <= path[-1] + 1e-9 * abs(path[-1])


def _log_likelihood(patterns: MissingPatterns, mean: np.ndarray, cov: np.ndarray) -> float:
    total = 0.0
    for seen, w, m, s in zip(
        patterns.observed.astype(bool), patterns.weight, patterns.mean, patterns.scatter, strict=True
    ):
        part, gap = cov[np.ix_(seen, seen)], (m - mean)[seen]
        moment = s[np.ix_(seen, seen)] / w + np.outer(gap, gap)
        _, log_det = np.linalg.slogdet(part)
        total -= 0.5 * w * (seen.sum() * math.log(2 * math.pi) + log_det + np.trace(np.linalg.solve(part, moment)))
    return float(total)


def test_information_against_differences() -> None:
    """Every second derivative of the log-likelihood, by central differences, away from the maximum too."""
    values = _sample(3, 60, 3, 0.3)
    patterns = missing_patterns(values, NAMES[:3])
    rng = np.random.default_rng(4)
    mean = np.nanmean(values, axis=0) + 0.1 * rng.normal(size=3)
    root = rng.normal(size=(3, 3))
    cov = root @ root.T + 3 * np.eye(3)
    cols, rows = np.triu_indices(3)

    def at(vector: np.ndarray) -> float:
        c = np.zeros((3, 3))
        c[rows, cols] = c[cols, rows] = vector[3:]
        return _log_likelihood(patterns, vector[:3], c)

    base, step = np.r_[mean, cov[rows, cols]], 1e-3
    q = len(base)
    numeric = np.zeros((q, q))
    unit = step * np.eye(q)
    for i in range(q):
        for j in range(q):
            numeric[i, j] = -(
                at(base + unit[i] + unit[j]) - at(base + unit[i] - unit[j])
                - at(base - unit[i] + unit[j]) + at(base - unit[i] - unit[j])
            ) / (4 * step**2)  # fmt: skip
    np.testing.assert_allclose(observed_information(patterns, mean, cov), numeric, atol=1e-4)


def test_weights() -> None:
    """Whole weights act as repeated rows; the log-likelihood counts rows, not weights."""
    values = _sample(5, 150, 3, 0.2)
    w = np.random.default_rng(6).integers(1, 4, 150).astype(float)
    weighted = em_moments(values, NAMES[:3], weights=w)
    repeated = em_moments(np.repeat(values, w.astype(int), axis=0), NAMES[:3])
    np.testing.assert_allclose(weighted.mean, repeated.mean, atol=1e-7)
    np.testing.assert_allclose(weighted.cov, repeated.cov, atol=1e-7)
    n = missing_patterns(values, NAMES[:3]).n_obs
    assert weighted.n_obs == n
    share = n / w[~np.isnan(values).all(axis=1)].sum()
    assert weighted.log_likelihood == pytest.approx(repeated.log_likelihood * share, rel=1e-10)
    same = em_moments(values, NAMES[:3], weights=np.full(150, 3.0), information=True)
    plain = em_moments(values, NAMES[:3], information=True)
    np.testing.assert_allclose(same.information, plain.information, rtol=1e-7)  # type: ignore[arg-type]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.permutations(range(3)), st.floats(0.01, 100))
def test_order_and_units(seed: int, order: list[int], scale: float) -> None:
    """Rows and items in any order, and items in any unit, give the same moments."""
    values = _sample(seed, 60, 3, 0.2)
    values[1:6] = np.random.default_rng(seed).normal(size=(5, 3))
    base = em_moments(values, NAMES[:3])
    moved = values[np.random.default_rng(seed).permutation(60)][:, order] * scale
    other = em_moments(moved, [NAMES[i] for i in order])
    unit = np.sqrt(np.diag(base.cov))[order] * scale
    np.testing.assert_allclose(other.mean / unit, base.mean[order] * scale / unit, atol=1e-6)
    np.testing.assert_allclose(other.cor, base.cor[np.ix_(order, order)], atol=1e-6)


def test_recovery_where_listwise_is_biased() -> None:
    """Answers missing by another answer: full information finds the mean that complete rows miss."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=20_000)
    y = 0.7 * x + math.sqrt(0.51) * rng.normal(size=20_000)
    values = np.column_stack([x, y])
    values[x > 0.5, 1] = np.nan
    result = em_moments(values, ["x", "y"], information=True)
    assert result.information is not None
    se = np.sqrt(np.diag(np.linalg.inv(result.information)))
    truth = [0.0, 0.0, 1.0, 0.7, 1.0]
    estimates = [*result.mean, result.cov[0, 0], result.cov[1, 0], result.cov[1, 1]]
    assert (np.abs(np.array(estimates) - truth) < 4 * se).all()
    assert np.nanmean(values[:, 1]) < -0.2


# --------------------------------------------------------------------------- patterns
def test_patterns() -> None:
    """Counts, means and scatter of each pattern, the most frequent first."""
    values = np.array([[1.0, 2.0], [3.0, np.nan], [2.0, 6.0], [np.nan, np.nan], [np.nan, 1.0], [4.0, 4.0]])
    patterns = missing_patterns(values, ["a", "b"])
    assert patterns.observed.tolist() == [[1, 1], [1, 0], [0, 1]]
    assert patterns.count.tolist() == [3, 1, 1]
    assert patterns.mean[0].tolist() == pytest.approx([7 / 3, 4.0])
    np.testing.assert_allclose(patterns.scatter[0], np.cov(values[[0, 2, 5]].T) * 2)
    assert (patterns.n_rows, patterns.n_obs, patterns.n_patterns, patterns.n_complete) == (6, 5, 3, 3)
    assert patterns.coverage.tolist() == [[0.8, 0.6], [0.6, 0.8]]
    assert patterns.to_frame()["pattern"].tolist() == ["xx", "x.", ".x"]
    assert "5 of 6 rows" in patterns.summary()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 60), st.booleans())
def test_patterns_add_up(seed: int, cut: int, weighted: bool) -> None:
    """Two parts add up to the patterns of all rows, and to their estimates."""
    values = _sample(seed, 60, 3, 0.3)
    w = np.random.default_rng(seed).uniform(0.1, 3, 60) if weighted else None

    def part(rows: slice) -> MissingPatterns:
        return missing_patterns(values[rows], NAMES[:3], weights=None if w is None else w[rows])

    pooled, whole = part(slice(cut)) + part(slice(cut, None)), part(slice(None))
    assert pooled.observed.tolist() == whole.observed.tolist()
    assert pooled.count.tolist() == whole.count.tolist()
    np.testing.assert_allclose(pooled.weight, whole.weight, rtol=1e-12)
    np.testing.assert_allclose(pooled.mean, whole.mean, atol=1e-12)
    np.testing.assert_allclose(pooled.scatter, whole.scatter, atol=1e-10)


def test_patterns_serve_em() -> None:
    """The estimator takes the additive statistic too."""
    values = _sample(8, 80, 3, 0.2)
    halves = missing_patterns(values[:30], NAMES[:3]) + missing_patterns(values[30:], NAMES[:3])
    assert em_moments(halves).equals(em_moments(values, NAMES[:3]), rtol=1e-6, atol=1e-8)
    with pytest.raises(IncompatibleStatisticsError, match="names"):
        halves + missing_patterns(values, ["a", "b", "c"])
    with pytest.raises(TypeError):
        halves + 1  # type: ignore[operator]
    assert MissingPatterns.from_dict(json.loads(json.dumps(halves.to_dict()))).equals(halves)


# --------------------------------------------------------------------------- failures
def test_failures_are_typed() -> None:
    """No rows, no name, pairs that never meet, constant items, copies, infinities."""
    with pytest.raises(TooFewObservationsError):
        em_moments(np.full((4, 2), np.nan), ["a", "b"])
    with pytest.raises(DataError, match="names="):
        em_moments(np.ones((4, 2)))
    apart = np.array([[1.0, np.nan], [np.nan, 2.0], [3.0, np.nan], [np.nan, 1.0]])
    with pytest.raises(EstimationError, match="a with b"):
        em_moments(apart, ["a", "b"])
    with pytest.raises(EstimationError, match="Nobody answered b"):
        em_moments(np.array([[1.0, np.nan], [2.0, np.nan]]), ["a", "b"])
    with pytest.raises(NotPositiveDefiniteError):
        em_moments(np.array([[1.0, 2.0], [1.0, 3.0], [1.0, 5.0]]), ["a", "b"])
    copied = np.repeat(_sample(9, 50, 1, 0.0), 2, axis=1)
    with pytest.raises(NotPositiveDefiniteError):
        em_moments(copied, ["a", "b"])
    with pytest.raises(NonNumericError):
        em_moments(np.array([[np.inf, 1.0], [2.0, 3.0]]), ["a", "b"])


def test_not_converged_is_said() -> None:
    """Two steps are too few: a warning and a failed status."""
    with pytest.warns(NotConvergedWarning, match="2 steps"):
        result = em_moments(_rows(), NAMES, max_iterations=2)
    assert result.status.level == "failed"
    assert result.status.converged is False
    assert [note.code for note in result.warnings] == ["not-converged"]


# --------------------------------------------------------------------------- published matrices
def test_published_matrix() -> None:
    """A correlation matrix with N serves as moments, and says what it cannot give."""
    r = np.array([[1.0, 0.5, 0.3], [0.5, 1.0, 0.2], [0.3, 0.2, 1.0]])
    result = MomentEstimate.from_matrix(r, 213, NAMES[:3])
    np.testing.assert_array_equal(result.cor, r)
    np.testing.assert_array_equal(result.cov, r)
    assert (result.n_obs, result.names, result.matrix, result.source) == (
        213,
        tuple(NAMES[:3]),
        "correlation",
        "matrix",
    )
    assert np.isnan(result.mean).all()
    assert result.unavailable[0].startswith("means")
    assert "polychoric" in result.summary()
    scaled = MomentEstimate.from_matrix(r, 213, NAMES[:3], sd=[1, 2, 3], mean=[4, 5, 6])
    np.testing.assert_allclose(scaled.cov, r * np.outer([1, 2, 3], [1, 2, 3]))
    np.testing.assert_allclose(scaled.cor, r, atol=1e-15)
    assert scaled.mean.tolist() == [4, 5, 6]
    assert not any(text.startswith("means") for text in scaled.unavailable)
    again = MomentEstimate.from_matrix(scaled.cov, 213, NAMES[:3])
    assert again.matrix == "covariance"
    part = again.subset(["x3", "x1"])
    np.testing.assert_allclose(part.cov, scaled.cov[np.ix_([2, 0], [2, 0])])
    with pytest.raises(DataError, match="'z'"):
        again.subset(["z"])


@pytest.mark.parametrize(
    ("matrix", "options", "match"),
    [
        ([[1.0, 0.5], [0.4, 1.0]], {}, "not symmetric: the largest difference is 0.1"),
        ([[1.0, 0.0], [0.5, 1.0]], {}, "both triangles"),
        ([[1.0, 1.2], [1.2, 1.0]], {}, "beyond one"),
        ([[4.0, 7.0], [7.0, 9.0]], {}, "beyond one"),
        ([[1.0, 0.1], [0.1, 0.0]], {}, "positive"),
        ([[1.0, math.nan], [math.nan, 1.0]], {}, "2 cells"),
        ([[1.0, 0.1]], {}, "square"),
        ([[1.0, 0.1], [0.1, 1.0]], {"n_obs": 1}, "number of persons"),
        ([[1.0, 0.1], [0.1, 1.0]], {"n_obs": 20.5}, "number of persons"),
        ([[1.0, 0.1], [0.1, 1.0]], {"mean": [1.0]}, "2 finite"),
        ([[1.0, 0.1], [0.1, 1.0]], {"mean": [1.0, math.nan]}, "2 finite"),
        ([[1.0, 0.1], [0.1, 1.0]], {"sd": [1.0, 0.0]}, "2 positive"),
        ([[4.0, 0.1], [0.1, 1.0]], {"sd": [1.0, 2.0]}, "correlation matrix to scale"),
    ],
)
def test_misprinted_matrices(matrix: Any, options: dict[str, Any], match: str) -> None:
    """Each kind of misprint has its sentence."""
    with pytest.raises(DataError, match=match):
        MomentEstimate.from_matrix(np.array(matrix), names=["a", "b"], **({"n_obs": 100} | options))


def test_matrix_that_is_not_positive_definite() -> None:
    """It is reported with its smallest eigenvalue, and left as it is."""
    r = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    with pytest.warns(NotPositiveDefiniteWarning, match="-0.8"):
        result = MomentEstimate.from_matrix(r, 100, NAMES[:3])
    np.testing.assert_array_equal(result.cov, r)
    assert result.min_eigenvalue == pytest.approx(-0.8)
    assert result.status.level == "caution"
    assert result.status.admissible is False


def test_round_trip() -> None:
    """Results go through JSON and pickle and are read-only."""
    result = em_moments(_rows(), NAMES, information=True)
    assert MomentEstimate.from_dict(json.loads(json.dumps(result.to_dict()))).equals(result)
    assert pickle.loads(pickle.dumps(result)).equals(result)
    assert list(result.to_frame().columns) == ["item", "mean", "sd"]
    assert result.n_items == 6
    with pytest.raises(ValueError, match="read-only"):
        result.cov[0, 0] = 1.0
