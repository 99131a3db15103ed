"""Sampling adequacy and the test of sphericity."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmeasure import exceptions as ex
from relmeasure.factor.adequacy import BartlettTest, SamplingAdequacy, bartlett, kmo
from relmeasure.samplestats.moments import moment_sums
from tests.classical.stored import from_covariances
from tests.support import Constructor, load_reference, unchanged

CLOSED = 1e-10
"""Closed forms through an inverse of 25 items, relative."""


def sample(n: int = 80, k: int = 5, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 1)) + rng.normal(size=(n, k))


@pytest.mark.parametrize("case", ["hs", "bc"])
def test_every_cell_as_psych_has_it(case: str) -> None:
    block = load_reference("adequacy/psych")[case]
    m = from_covariances(block["cor"], block["n"], block["names"])
    adequacy, test = kmo(m), bartlett(m)
    np.testing.assert_allclose(adequacy.overall, block["KMO"], rtol=CLOSED)
    np.testing.assert_allclose(adequacy.per_item, list(block["MSAi"].values()), rtol=CLOSED)
    assert adequacy.names == tuple(block["MSAi"])
    np.testing.assert_allclose(test.chisq, block["bartlett"]["chisq"], rtol=CLOSED)
    np.testing.assert_allclose(test.pvalue, block["bartlett"]["p.value"], rtol=1e-8, atol=1e-300)
    assert (test.df, test.n_obs) == (block["bartlett"]["df"], block["n"])


def test_kmo_by_partial_correlations_of_regression_residuals() -> None:
    x = sample(120, 4)
    total = partials = 0.0
    for i in range(4):
        for j in range(i):
            others = np.column_stack([np.ones(120), np.delete(x, [i, j], axis=1)])
            residual = [x[:, k] - others @ np.linalg.lstsq(others, x[:, k], rcond=None)[0] for k in (i, j)]
            partials += float(np.asarray(np.corrcoef(residual[0], residual[1]))[0, 1]) ** 2
            total += float(np.asarray(np.corrcoef(x[:, i], x[:, j]))[0, 1]) ** 2
    assert math.isclose(kmo(x).overall, total / (total + partials), rel_tol=1e-10)


def test_equal_correlations_have_the_closed_form() -> None:
    """All correlations r among p items: each partial correlation is r / (1 + (p - 2) r)."""
    r, p = 0.4, 6
    cor = np.full((p, p), r)
    np.fill_diagonal(cor, 1.0)
    m = from_covariances(cor, 100, list("abcdef"))
    partial = r / (1 + (p - 2) * r)
    assert math.isclose(kmo(m).overall, r * r / (r * r + partial * partial), rel_tol=1e-12)
    log_det = math.log((1 - r) ** (p - 1) * (1 + (p - 1) * r))
    assert math.isclose(bartlett(m).chisq, -(99 - (2 * p + 5) / 6) * log_det, rel_tol=1e-12)


def test_two_items_have_a_kmo_of_one_half() -> None:
    assert math.isclose(kmo(sample(50, 2)).overall, 0.5, rel_tol=1e-12)


@pytest.mark.parametrize(
    ("value", "word"), [(0.95, "marvelous"), (0.85, "meritorious"), (0.75, "middling"), (0.3, "unacceptable")]
)
def test_words_of_kaiser(value: float, word: str) -> None:
    result = SamplingAdequacy(value, np.array([value]), ("a",), 10, "all rows")
    assert result.word == word
    assert word in result.summary()


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1000), units=st.lists(st.floats(-10, 10).filter(lambda v: abs(v) > 0.1), min_size=5, max_size=5)
)
def test_order_units_and_keys_do_not_matter(seed: int, units: list[float]) -> None:
    rng = np.random.default_rng(seed)
    x, columns = sample(60, 5, seed), rng.permutation(5)
    first, second = kmo(x), kmo((x * units + 1)[rng.permutation(60)][:, columns])
    assert math.isclose(first.overall, second.overall, rel_tol=1e-9)
    np.testing.assert_allclose(first.per_item[columns], second.per_item, rtol=1e-9)
    assert math.isclose(bartlett(x).chisq, bartlett((x * units)[:, columns]).chisq, rel_tol=1e-9)


def test_every_engine_gives_the_same_answer(constructor: Constructor) -> None:
    x = np.rint(sample(40, 4) * 2)
    frame = constructor({name: column.tolist() for name, column in zip("abcd", x.T, strict=True)})
    with unchanged(frame):
        assert kmo(frame).equals(kmo(moment_sums(x, list("abcd"))), rtol=1e-10)
        assert bartlett(frame).equals(bartlett(moment_sums(x, list("abcd"))), rtol=1e-10)


@pytest.mark.parametrize("call", [kmo, bartlett])
def test_bad_input(call: Any) -> None:
    x = sample(40, 4)
    with pytest.raises(ex.NotPositiveDefiniteError, match="smallest eigenvalue") as caught:
        call(np.column_stack([x, x.sum(axis=1)]))
    assert caught.value.details["min_eigenvalue"] < 1e-10
    with pytest.raises(ex.NotPositiveDefiniteError):
        call(sample(3, 6))
    constant = x.copy()
    constant[:, 2] = 1.0
    with pytest.raises(ex.EstimationError, match="No variance in x3"):
        call(constant)
    with pytest.raises(ex.TooFewItemsError):
        call(x[:, :1])
    with pytest.raises(ex.TooFewObservationsError):
        call(np.full((5, 3), np.nan))
    gaps = x.copy()
    gaps[:6, 0] = np.nan
    with pytest.warns(ex.ListwiseDeletionWarning):
        assert call(gaps).n_obs == 34
    with pytest.warns(ex.PairwiseDeletionWarning):
        assert call(gaps, missing="pairwise").n_obs == 34


def test_what_cannot_be_tested() -> None:
    x = sample(40, 4)
    with pytest.raises(ex.EstimationError, match="n_obs="):
        bartlett(x, weights=np.linspace(1, 2, 40))
    given_n = bartlett(x, weights=np.linspace(1, 2, 40), n_obs=30)
    assert given_n.n_obs == 30
    assert "n_obs=30 as given" in given_n.rule
    with pytest.raises(ex.EstimationError, match="exactly zero"):
        kmo(from_covariances(np.eye(3), 20, list("abc")))
    with pytest.raises(ex.TooFewObservationsError, match="too few for Bartlett"):
        bartlett(x, n_obs=2)


def test_results_pickle_and_round_trip() -> None:
    adequacy, test = kmo(sample()), bartlett(sample())
    assert pickle.loads(pickle.dumps(adequacy)).equals(adequacy)
    assert SamplingAdequacy.from_dict(adequacy.to_dict()).equals(adequacy)
    assert BartlettTest.from_dict(test.to_dict()).equals(test)
    assert list(adequacy.to_frame().columns) == ["item", "kmo"]
    assert test.to_frame()["df"].tolist() == [10]
    assert "p < .001" in test.summary()
    with pytest.raises(ValueError, match="read-only"):
        adequacy.per_item[0] = 0.0
