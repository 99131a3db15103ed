"""True-score moments: identities, derivatives, and the simulation in which variances-only corrections fail."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from relmeasure.exceptions import NotPositiveDefiniteError, TooFewObservationsError
from relmeasure.panel.cross_lagged import lagged_effects
from relmeasure.panel.error_moments import ClassMeans, class_means
from relmeasure.panel.latent_moments import Problem, latent_moments

NAMES = ("r1", "p1", "r2", "p2")
LABELS = tuple(f"{k:03d}" for k in range(200))
DIFFERENCE = 1e-5
"""Relative: central differences of a smooth function in doubles."""


def draw(
    rng: np.random.Generator, *, within: float = 0.6, lags: tuple[float, float] = (0.2, 0.2), sizes: Any = 20
) -> tuple[Any, Any]:
    """Students of 200 teachers in two waves, different students in each: ICC .15, between correlation .5."""
    first = np.array([[1.0, 0.5], [0.5, 1.0]])
    weights = np.array([[0.5, lags[1]], [lags[0], 0.5]])  # relationship and practice at wave 2 on those of wave 1
    true1 = rng.multivariate_normal([0, 0], first, 200)
    true2 = true1 @ weights.T + rng.multivariate_normal([0, 0], first - weights @ first @ weights.T, 200)
    spread = 0.85 * np.array([[1.0, within], [within, 1.0]])
    values, codes = [], []
    for wave, true in enumerate((true1, true2)):
        code = np.repeat(np.arange(200), sizes)
        rows = np.full((len(code), 4), np.nan)
        rows[:, 2 * wave : 2 * wave + 2] = np.sqrt(0.15) * true[code] + rng.multivariate_normal(
            [0, 0], spread, len(code)
        )
        values.append(rows)
        codes.append(code)
    return np.vstack(values), np.concatenate(codes)


def _means(seed: int = 1, **design: Any) -> ClassMeans:
    return class_means(*draw(np.random.default_rng(seed), **design), LABELS, NAMES)


def test_error_covariances_of_means_by_their_definition() -> None:
    """Within a wave W n_ab / (n_a n_b), also where some students answered one question only; zero across waves."""
    values, code = draw(np.random.default_rng(2), sizes=np.arange(200) % 12 + 6)
    values[::5, 0] = np.nan
    found = class_means(values, code, LABELS, NAMES)
    rows = values[code == 7]
    both = (~np.isnan(rows[:, 0]) & ~np.isnan(rows[:, 1])).sum()
    n = (~np.isnan(rows)).sum(axis=0)
    assert found.error_cov[7, 0, 1] == pytest.approx(found.within[0, 1] * both / (n[0] * n[1]))
    assert found.error_cov[7, 0, 0] == pytest.approx(found.within[0, 0] / n[0])
    assert found.error_cov[7, 0, 2] == 0.0
    assert found.mean[7, 1] == pytest.approx(np.nanmean(rows[:, 1]))
    assert found.within[0, 1] == pytest.approx(0.85 * 0.6, abs=0.05)


def test_without_errors_it_is_the_sample_covariance() -> None:
    """Complete data, no correction: mean and maximum-likelihood covariance."""
    means = _means()
    found = latent_moments(means, corrected=False)
    np.testing.assert_allclose(found.mean, means.mean.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(found.cov, np.cov(means.mean.T, bias=True), atol=1e-9)


def test_equal_sizes_subtract_the_error() -> None:
    """With the same number of students everywhere, true covariance is observed covariance minus W / n."""
    means = _means()
    found = latent_moments(means)
    np.testing.assert_allclose(found.cov, np.cov(means.mean.T, bias=True) - means.error_cov[0], atol=1e-7)


def test_missing_waves_are_integrated_out() -> None:
    """A teacher with one wave stays in; the answer lies near that of complete data, and rows without any wave drop."""
    means = _means()
    gaps = means.mean.copy()
    gaps[::9, 2:] = np.nan
    gaps[4] = np.nan
    found = latent_moments(ClassMeans(**{**vars(means), "mean": gaps}))
    assert found.n_classes == 199
    np.testing.assert_allclose(found.cov, latent_moments(means).cov, atol=0.03)


def test_scores_are_the_derivative_of_the_likelihood() -> None:
    """Gradient against finite differences at a point that is not the maximum; zero at the maximum."""
    means = _means(sizes=np.arange(200) % 12 + 6)
    observed = ~np.isnan(means.mean)
    problem = Problem(means.mean, observed, means.error_cov, means.overlap)
    mean, cov = problem.start()
    inverse, residual = problem.parts(mean, cov)
    gradient = problem.scores(inverse, residual).sum(axis=0)
    step = 1e-6
    for k in range(4):
        moved = np.eye(4)[k] * step
        numeric = (problem.log_likelihood(mean + moved, cov) - problem.log_likelihood(mean - moved, cov)) / (2 * step)
        assert gradient[k] == pytest.approx(numeric, rel=DIFFERENCE, abs=1e-3)
    for k, (r, c) in enumerate(zip(*np.tril_indices(4), strict=True)):
        basis = np.zeros((4, 4))
        basis[r, c] = basis[c, r] = step
        numeric = (problem.log_likelihood(mean, cov + basis) - problem.log_likelihood(mean, cov - basis)) / (2 * step)
        assert gradient[4 + k] == pytest.approx(numeric, rel=DIFFERENCE, abs=1e-3)
    assert np.abs(latent_moments(means).scores.sum(axis=0)).max() < 1e-2


def test_lagged_effects_and_their_derivatives() -> None:
    """Regression weights, standardised by standard deviations; derivatives against differences."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    cov = root @ root.T + np.eye(4)
    found = lagged_effects(cov, [0, 1], [2, 3])
    np.testing.assert_allclose(found.estimate, cov[2:, :2] @ np.linalg.inv(cov[:2, :2]))
    correlation = cov / np.sqrt(np.outer(np.diag(cov), np.diag(cov)))
    np.testing.assert_allclose(found.std, correlation[2:, :2] @ np.linalg.inv(correlation[:2, :2]))
    for k, (r, c) in enumerate(zip(*np.tril_indices(4), strict=True)):
        basis = np.zeros((4, 4))
        basis[r, c] = basis[c, r] = 1e-6
        up, down = (lagged_effects(cov + sign * basis, [0, 1], [2, 3]) for sign in (1, -1))
        np.testing.assert_allclose(found.jacobian[:, :, k], (up.estimate - down.estimate) / 2e-6, atol=1e-7)
        np.testing.assert_allclose(found.std_jacobian[:, :, k], (up.std - down.std) / 2e-6, atol=1e-7)


def test_permuting_classes_changes_nothing() -> None:
    """Order of classes."""
    means = _means()
    order = np.random.default_rng(3).permutation(200)
    shuffled = ClassMeans(
        **{**vars(means), "mean": means.mean[order], "n": means.n[order], "overlap": means.overlap[order]}
    )
    np.testing.assert_allclose(latent_moments(shuffled).cov, latent_moments(means).cov, atol=1e-8)


def test_more_error_than_variance_and_too_few_classes_are_said() -> None:
    """No true variance, or too few classes: a typed error with what is needed."""
    rng = np.random.default_rng(5)
    noise = class_means(rng.normal(size=(600, 2)), np.repeat(np.arange(200), 3), LABELS, ("r", "p"))
    moments = latent_moments(noise)
    if not moments.admissible:
        with pytest.raises(NotPositiveDefiniteError, match="more error than variance"):
            lagged_effects(np.diag([-0.1, 1.0, 1.0]), [0, 1], [2])
    with pytest.raises(TooFewObservationsError, match="more classes"):
        latent_moments(_means().pick(np.arange(200) < 5))


def _rejections(
    replications: int, lag: float, within: float, seed: int, *, diagonal: bool = False
) -> tuple[float, float]:
    """Mean estimate of relationship -> practice, and how often it differs from zero at 5%."""
    rng = np.random.default_rng(seed)
    estimates, rejected = [], 0
    for _ in range(replications):
        means = class_means(*draw(rng, within=within, lags=(lag, 0.2)), LABELS, NAMES)
        if diagonal:
            means = ClassMeans(**{**vars(means), "within": np.diag(np.diag(means.within))})
        moments = latent_moments(means)
        lagged = lagged_effects(moments.cov, [0, 1], [2, 3])
        covariance = moments.acov()[4:, 4:]
        error = np.sqrt(lagged.jacobian[1, 0] @ covariance @ lagged.jacobian[1, 0])
        estimates.append(lagged.estimate[1, 0])
        rejected += abs(lagged.estimate[1, 0]) > 1.96 * error
    return float(np.mean(estimates)), rejected / replications


def test_whole_matrix_recovers_the_lag_where_variances_only_fail() -> None:
    """A seeded sample of the published simulation: true lag .20, within-class correlation .6."""
    whole, _ = _rejections(60, 0.2, 0.6, seed=1)
    diagonal, _ = _rejections(60, 0.2, 0.6, seed=1, diagonal=True)
    assert whole == pytest.approx(0.20, abs=0.04)
    assert diagonal < 0.12


def test_a_true_zero_is_not_found_by_the_whole_matrix() -> None:
    """Rejections of a true zero: few with the whole matrix, far too many with variances only."""
    _, whole = _rejections(80, 0.0, 0.6, seed=2)
    _, diagonal = _rejections(80, 0.0, 0.6, seed=2, diagonal=True)
    assert whole <= 0.125
    assert diagonal >= 0.15


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("within", [0.0, 0.6])
@pytest.mark.parametrize("lag", [0.0, 0.2])
def test_full_simulation(within: float, lag: float) -> None:
    """4,000 replications: bias at most 3% or two Monte Carlo errors, a true zero rejected in 3.5 to 7%."""
    estimate, rejected = _rejections(4000, lag, within, seed=7)
    assert abs(estimate - lag) <= max(0.03 * lag, 2 * 0.10 / np.sqrt(4000))
    if lag == 0.0:
        assert 0.035 <= rejected <= 0.07


def test_within_covariance_is_unbiased_where_few_answer_both() -> None:
    """Half of a class rates one thing, half the other, two students both: the means are not those of the two."""
    rng = np.random.default_rng(11)
    code = np.repeat(np.arange(4000), 10)
    values = rng.multivariate_normal([0, 0], [[1.0, 0.6], [0.6, 1.0]], len(code))
    place = np.tile(np.arange(10), 4000)
    values[place < 4, 0], values[place > 5, 1] = np.nan, np.nan
    found = class_means(values, code, tuple(str(k) for k in range(4000)), ("r", "p"))
    assert found.within[0, 1] == pytest.approx(0.6, abs=0.04)
    np.testing.assert_allclose(found.freedom, [[20000.0, 5777.7777777], [5777.7777777, 20000.0]], rtol=1e-8)
