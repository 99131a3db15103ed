"""Draws of classes: each is the estimate of the classes that were drawn, whoever computes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from relmeasure.panel.error_moments import ClassMeans, ClassScatter, class_means, class_scatter
from relmeasure.panel.latent_moments import Problem, cluster_meat, latent_moments
from relmeasure.panel.resampling import bootstrap_covariances, draw_weights
from tests.panel.test_latent_moments import LABELS, NAMES, draw

SETTLED = 2e-5
"""The draw stops at a Newton decrement of 1e-7, a thousandth of a standard error."""


@pytest.fixture(scope="module", params=[False, True], ids=["complete", "with gaps"])
def case(request: pytest.FixtureRequest) -> tuple[ClassMeans, ClassScatter, Any]:
    """200 classes of unequal sizes; in one case every ninth has no second wave."""
    values, code = draw(np.random.default_rng(1), sizes=np.arange(200) % 39 + 6)
    means = class_means(values, code, LABELS, NAMES)
    weights = draw_weights(200, 60, np.random.default_rng(3))
    scatter = class_scatter(values, code, means, weights)
    if request.param:
        gaps = means.mean.copy()
        gaps[::9, 2:] = np.nan
        means = replace(means, mean=gaps)
    return means, scatter, weights


def _by_hand(means: ClassMeans, scatter: ClassScatter, weight: Any) -> ClassMeans:
    """The sample that a draw is."""
    drawn = np.repeat(np.arange(200), weight.astype(int))
    within = scatter.pooled(weight[None])[0]
    return ClassMeans(NAMES, tuple(map(str, drawn)), means.mean[drawn], means.n[drawn], means.overlap[drawn], within, means.freedom)  # fmt: skip


@pytest.mark.parametrize("corrected", [True, False])
def test_a_draw_is_the_estimate_of_its_classes(case: tuple[ClassMeans, ClassScatter, Any], corrected: bool) -> None:
    """Against the estimator itself, on the rows that were drawn."""
    means, scatter, weights = case
    fit = latent_moments(means, corrected=corrected)
    found = bootstrap_covariances(means, scatter if corrected else None, fit, weights)
    for b in (0, 17, 59):
        alone = latent_moments(_by_hand(means, scatter, weights[b]), corrected=corrected)
        np.testing.assert_allclose(found[b], alone.cov, atol=SETTLED)


def test_workers_and_progress(case: tuple[ClassMeans, ClassScatter, Any]) -> None:
    """One and two workers give the same digits; every draw is counted once."""
    means, scatter, weights = case
    fit = latent_moments(means)
    done: list[int] = []
    one = bootstrap_covariances(means, scatter, fit, weights, progress=done.append)
    assert np.array_equal(one, bootstrap_covariances(means, scatter, fit, weights, workers=2))
    assert sum(done) == len(weights)


def test_scatter_of_everyone_is_the_pooled_within_covariance() -> None:
    """Parts of classes add up, also where some students answered one question only."""
    values, code = draw(np.random.default_rng(2))
    values[::5, 0] = np.nan
    means = class_means(values, code, LABELS, NAMES)
    scatter = class_scatter(values, code, means, np.ones((1, 200)))
    np.testing.assert_allclose(scatter.pooled(np.ones((1, 200)))[0], means.within, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(scatter.freedom.sum(axis=0), means.freedom, rtol=1e-10, atol=1e-8)


def test_draws_of_schools_and_within_bands() -> None:
    """Whole schools stay together; every band keeps its number of classes; the first draws do not depend on how many follow."""
    schools = [f"s{k // 4}" for k in range(40)]
    drawn = draw_weights(40, 30, np.random.default_rng(0), schools=schools)
    assert (drawn.reshape(30, 10, 4) == drawn.reshape(30, 10, 4)[:, :, :1]).all()
    bands = ["a"] * 25 + ["b"] * 15
    drawn = draw_weights(40, 30, np.random.default_rng(0), strata=bands)
    assert (drawn[:, :25].sum(axis=1) == 25).all()
    assert (drawn.sum(axis=1) == 40).all()
    np.testing.assert_array_equal(drawn[:7], draw_weights(40, 7, np.random.default_rng(0), strata=bands))


def test_a_draw_without_an_estimate_is_missing() -> None:
    """A draw of two classes only says nothing about four scores."""
    values, code = draw(np.random.default_rng(2))
    means = class_means(values, code, LABELS, NAMES)
    weights = np.ones((2, 200))
    weights[1] = 0.0
    weights[1, :2] = 100.0
    scatter = class_scatter(values, code, means, weights)
    found = bootstrap_covariances(means, scatter, latent_moments(means), weights)
    np.testing.assert_allclose(found[0], latent_moments(means).cov, atol=SETTLED)
    assert np.isnan(found[1]).all()


def test_sensitivity_and_information_of_the_likelihood() -> None:
    """Where every overlap is one, errors and true scores enter alike: their information is the same."""
    means = class_means(*draw(np.random.default_rng(4)), LABELS, NAMES)
    problem = Problem(means.mean, ~np.isnan(means.mean), means.error_cov, np.ones_like(means.overlap))
    inverse, _ = problem.parts(*problem.start())
    information = problem.information(inverse)
    np.testing.assert_allclose(problem.sensitivity(inverse)[4:], -information[4:, 4:], rtol=1e-9)
    total = np.zeros((10, 10))
    twice = np.where(problem.rows == problem.columns, 1.0, 2.0)
    for each in inverse:  # tr(V^-1 D_a V^-1 D_b) / 2 by its definition
        for a, (ra, ca) in enumerate(zip(problem.rows, problem.columns, strict=True)):
            for b, (rb, cb) in enumerate(zip(problem.rows, problem.columns, strict=True)):
                crossed = each[ra, rb] * each[ca, cb] + each[ra, cb] * each[ca, rb]
                total[a, b] += crossed * twice[a] * twice[b] / 4
    np.testing.assert_allclose(information[4:, 4:], total, rtol=1e-9)


def test_two_way_sums_are_both_less_their_intersection() -> None:
    """Against the formula; where the second grouping is the classes themselves the first alone remains."""
    rng = np.random.default_rng(5)
    scores = rng.normal(size=(120, 3))
    first, second = rng.integers(0, 30, 120), rng.integers(0, 25, 120)
    both = [f"{a}/{b}" for a, b in zip(first, second, strict=True)]
    total = cluster_meat(scores, first) + cluster_meat(scores, second) - cluster_meat(scores, both)
    np.testing.assert_allclose(cluster_meat(scores, (list(first), list(second))), total, rtol=1e-9, atol=1e-9)
    nested = cluster_meat(scores, (list(first), list(range(120))))
    np.testing.assert_allclose(nested, cluster_meat(scores, first), rtol=1e-9, atol=1e-9)
    assert np.linalg.eigvalsh(cluster_meat(scores[:4], ([0, 0, 1, 1], [0, 1, 0, 1])))[0] > -1e-12
