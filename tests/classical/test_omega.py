"""Coefficient omega: published values, identities, invariances, and models that are not identified or not proper."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmeasure import exceptions as ex
from relmeasure.classical import OmegaEstimate, alpha, omega
from relmeasure.factor import extraction
from relmeasure.numerics.coefficients import omega_from_loadings
from relmeasure.samplestats.moments import MomentSums, moment_sums
from tests.classical.stored import complete, from_covariances, listwise, quietly
from tests.support import Constructor

ML = 1e-6
"""Maximum likelihood, absolute."""


def one_factor(loadings: list[float], n: int = 200) -> MomentSums:
    """Moments whose covariances with divisor n follow one factor exactly; item variances are one."""
    lam = np.array(loadings)
    cov = np.outer(lam, lam)
    np.fill_diagonal(cov, 1.0)
    return from_covariances(cov * n / (n - 1), n, [f"x{i + 1}" for i in range(len(lam))])


def sample(n: int, seed: int, k: int = 4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 1)) * np.linspace(0.9, 0.6, k) + 0.7 * rng.normal(size=(n, k))


# --------------------------------------------------------------------------- published values and identities
def test_perfect_one_factor_data_give_their_loadings_back() -> None:
    loadings = [0.8, 0.7, 0.6, 0.5]
    result = omega(one_factor(loadings))
    np.testing.assert_allclose(result.item_table["loading"], loadings, atol=1e-8)
    np.testing.assert_allclose(result.item_table["uniqueness_std"], 1 - np.square(loadings), atol=1e-8)
    common, unique = sum(loadings) ** 2, 4 - sum(v * v for v in loadings)
    assert math.isclose(result.estimate, common / (common + unique), abs_tol=1e-8)
    assert abs(result.chisq) < 1e-8
    assert result.df == 2


def test_omega_is_alpha_when_items_are_tau_equivalent() -> None:
    lam = np.full(5, 0.7)
    cov = np.outer(lam, lam) + np.diag([0.3, 0.5, 0.6, 0.8, 1.0])
    m = from_covariances(cov, 300, list("abcde"))
    assert math.isclose(omega(m).estimate, alpha(m).estimate, abs_tol=1e-8)


def test_both_denominators_agree_where_the_model_fits_and_differ_by_its_misfit_elsewhere() -> None:
    exact = one_factor([0.8, 0.7, 0.6, 0.5])
    implied, observed = omega(exact), omega(exact, denominator="observed")
    assert math.isclose(implied.estimate, observed.estimate, abs_tol=1e-8)
    m = complete("bfi_A")
    assert omega(m).estimate == pytest.approx(0.712129, abs=ML)
    assert omega(m, denominator="observed").estimate == pytest.approx(0.714136, abs=ML)
    assert omega(m).definition == "omega_total.implied_variance"
    assert omega(m, denominator="observed").definition == "omega_total.observed_variance"


def test_three_items_have_the_closed_form() -> None:
    """One factor of three items: a squared loading is s12 s13 / s23."""
    m = complete("hs_visual")
    cov = m.cov * (m.n_obs - 1) / m.n_obs
    first = math.sqrt(cov[0, 1] * cov[0, 2] / cov[1, 2])
    with pytest.warns(ex.FewItemsWarning, match="0 degrees of freedom"):
        result = omega(m)
    assert math.isclose(result.item_table["loading"][0], first, rel_tol=1e-8)
    assert (result.df, math.isnan(result.pvalue)) == (0, True)
    assert abs(result.chisq) < 1e-8


def test_standard_errors_are_those_of_the_general_formula() -> None:
    """The implied denominator as a special case of the one that carries sampling error through S."""
    m = one_factor([0.8, 0.7, 0.6, 0.5, 0.7])
    a, b = omega(m), omega(m, denominator="observed")
    cov = np.array(m.cov)
    step = 1e-5
    # gradient of both coefficients with respect to each covariance, by differences of the whole estimator
    p = len(cov)
    sigma = cov * (m.n_obs - 1) / m.n_obs
    variance = {"implied": 0.0, "observed": 0.0}
    for kind in variance:
        gradient = np.zeros((p, p))
        for i in range(p):
            for j in range(i + 1):
                shifted = [cov.copy(), cov.copy()]
                for sign, matrix in zip((1, -1), shifted, strict=True):
                    matrix[i, j] += sign * step
                    matrix[j, i] = matrix[i, j]
                up, down = (
                    omega(from_covariances(matrix, m.n_obs, m.names), denominator=kind).estimate  # type: ignore[arg-type]
                    for matrix in shifted
                )
                slope = (up - down) / (2 * step)
                gradient[i, j] = gradient[j, i] = slope if i == j else slope / 2
        moved = gradient @ sigma * (m.n_obs / (m.n_obs - 1))  # the covariances have divisor n - 1
        variance[kind] = 2.0 * float((moved * moved.T).sum()) / m.n_obs
    assert math.isclose(math.sqrt(variance["implied"]), a.se, rel_tol=1e-4)
    assert math.isclose(math.sqrt(variance["observed"]), b.se, rel_tol=1e-4)


def test_items_that_share_nothing_have_no_interval() -> None:
    result = omega(from_covariances(np.eye(5), 100, list("abcde")))
    assert math.isnan(result.se)
    assert math.isnan(result.lower)
    assert "not identified" in result.method


# --------------------------------------------------------------------------- invariances
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_order_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, names = sample(80, seed), np.array(list("abcd"))
    columns = rng.permutation(4)
    with quietly():
        first = omega(moment_sums(x, list(names)))
        second = omega(moment_sums(x[rng.permutation(80)][:, columns], list(names[columns])))
    for name in ("estimate", "se", "lower", "upper", "chisq"):
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), rtol=1e-6, atol=1e-8, err_msg=name)
    np.testing.assert_allclose(np.array(first.item_table["loading"])[columns], second.item_table["loading"], atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.05, 50.0))
def test_units_do_not_matter(seed: int, scale: float) -> None:
    x = sample(80, seed)
    with quietly():
        first, second = omega(x), omega(x * scale - 3)
    for name in ("estimate", "se", "chisq"):
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), rtol=1e-6, atol=1e-8, err_msg=name)
    np.testing.assert_allclose(first.item_table["loading_std"], second.item_table["loading_std"], atol=1e-6)


def test_every_engine_gives_the_same_answer(constructor: Constructor) -> None:
    x = sample(60, 3)
    frame = constructor({name: column.tolist() for name, column in zip("abcd", x.T, strict=True)})
    assert omega(frame).equals(omega(moment_sums(x, list("abcd"))), rtol=1e-7)


# --------------------------------------------------------------------------- not identified, not proper
@pytest.mark.parametrize(("k", "word"), [(1, "one item"), (2, "not identified")])
def test_too_few_items_have_no_estimate_but_a_reason(k: int, word: str) -> None:
    result = omega(sample(50, 1, k=4)[:, :k])
    assert math.isnan(result.estimate)
    assert result.reason is not None
    assert word in result.reason
    assert (result.status.level, result.df) == ("failed", 0)
    assert len(result.items) == 0


def test_a_constant_item_has_no_estimate_but_a_reason() -> None:
    x = sample(50, 1)
    x[:, 1] = 2.0
    with pytest.warns(ex.ConstantItemWarning):
        result = omega(x)
    assert result.reason == "no variance in x2: leave it out"


def test_a_copied_item_has_no_estimate_but_a_reason() -> None:
    x = sample(50, 1)
    result = omega(np.column_stack([x, x[:, 0]]))
    assert result.reason is not None
    assert "not positive definite (smallest eigenvalue" in result.reason


def test_an_unkeyed_item_lowers_omega_and_is_named() -> None:
    x = sample(400, 2)
    right = omega(x).estimate
    x[:, 2] *= -1
    with pytest.warns(ex.KeyDirectionWarning, match="Negative loading, which lowers omega: x3"):
        result = omega(x)
    assert result.estimate < right - 0.2
    assert result.item_table["loading"][2] < 0


def heywood() -> MomentSums:
    cor = np.array([[1, 0.75, 0.62, 0.55], [0.75, 1, 0.45, 0.4], [0.62, 0.45, 1, 0.3], [0.55, 0.4, 0.3, 1]])
    return from_covariances(cor, 200, list("abcd"))


def test_a_heywood_case_is_flagged_with_the_bound_and_the_unbounded_uniqueness() -> None:
    with pytest.warns(ex.HeywoodWarning, match=r"in a; unbounded, as a share of the item's variance: a -0\.049"):
        result = omega(heywood())
    assert result.status.admissible is False
    assert result.status.level == "caution"
    assert math.isnan(result.se)
    assert math.isnan(result.upper)
    assert "improper solution" in result.method
    assert result.item_table["uniqueness_std"][0] == pytest.approx(0.005)
    assert 0 < result.estimate < 1


def test_the_unbounded_uniqueness_of_three_items_is_the_closed_form() -> None:
    cor = np.array([[1, 0.75, 0.62], [0.75, 1, 0.45], [0.62, 0.45, 1]])
    with quietly():
        result = omega(from_covariances(cor, 200, list("abc")))
    share = 1 - 0.75 * 0.62 / 0.45
    assert f"a {share:.3f}" in result.status.reasons[0]


def test_an_unbounded_fit_that_does_not_converge_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from relmeasure.classical import coefficient_omega

    monkeypatch.setattr(coefficient_omega, "_unbounded", lambda *_: None)
    with pytest.warns(ex.HeywoodWarning, match="the unbounded fit did not converge"):
        omega(heywood())


def test_no_convergence_gives_no_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    from relmeasure.classical import coefficient_omega

    monkeypatch.setattr(coefficient_omega, "fit_ml", lambda s, m: extraction.fit_ml(s, m, max_iterations=1))
    with pytest.warns(ex.NotConvergedWarning, match="did not converge in 1 iterations"):
        result = omega(complete("hs_9"))
    assert math.isnan(result.estimate)
    assert result.reason is not None


def test_bounds_stay_within_zero_and_one() -> None:
    result = omega(one_factor([0.98, 0.97, 0.99, 0.96], n=8))
    assert result.upper <= 1.0
    weak = omega(one_factor([0.3, 0.3, 0.3, 0.3], n=30))
    assert weak.lower == 0.0


def test_weights_and_pairwise() -> None:
    x = sample(60, 4)
    weighted = omega(x, weights=np.linspace(0.5, 1.5, 60))
    assert math.isnan(weighted.se)
    assert math.isnan(weighted.chisq)
    assert "n_obs=" in weighted.method
    x[:5, 0] = np.nan
    with pytest.warns(ex.PairwiseDeletionWarning):
        assert omega(x, missing="pairwise").n_obs == 55


def test_unknown_denominator() -> None:
    with pytest.raises(ex.OptionError, match="implied"):
        omega(sample(30, 1), denominator="total")  # type: ignore[arg-type]


def test_coefficients_of_the_model() -> None:
    result = omega(one_factor([0.8, 0.7, 0.6, 0.5]))
    assert result.average_variance_extracted == pytest.approx(np.mean(np.square([0.8, 0.7, 0.6, 0.5])), abs=1e-8)
    assert result.maximal_reliability > result.estimate
    assert omega_from_loadings(np.array([0.8, 0.7]), np.array([0.36, 0.51])) == pytest.approx(2.25 / 3.12)


def test_the_result_pickles_and_round_trips() -> None:
    with pytest.warns(ex.ListwiseDeletionWarning):
        result = omega(listwise("bfi_A"))
    assert pickle.loads(pickle.dumps(result)).equals(result)
    assert OmegaEstimate.from_dict(result.to_dict()).equals(result)
    assert list(result.items.columns)[:4] == ["item", "loading", "loading_se", "loading_std"]
    assert result.to_frame()["status"].tolist() == ["ok"]
    assert "omega = 0.712" in result.summary()
