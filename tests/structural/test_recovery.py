"""Samples of a known population: how often a true model is rejected, what intervals cover, what converges.

A small seeded sample runs always; the sizes that the documentation states are marked ``slow``, and
``tests/benchmarks/simulate_cfa.py`` prints the same figures, beside lavaan's on the same data sets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.structural.populations import NINE, Population, Tally, run_one_group, run_two_groups, samples

ESTIMATORS = ("ML", "MLR", "WLSMV")


def one_group(estimator: Any, count: int, seed: int) -> Tally:
    tally = Tally()
    for rows in samples(NINE, 500, count, seed):
        fit = run_one_group(NINE, rows, estimator)
        tally.add(fit)
        if fit.status.converged:
            tally.cover(NINE, fit)
    return tally


def two_groups(estimator: Any, count: int, seed: int) -> Tally:
    tally = Tally()
    for child in np.random.SeedSequence(seed).spawn(count):
        fit = run_two_groups(NINE, 500, np.random.default_rng(child), estimator)
        tally.add(fit)
        if fit.status.converged:
            tally.cover_means(fit)
    return tally


def ordinary(count: int, seed: int) -> Tally:
    """2 to 5 factors of 3 to 6 items, 100 to 1,000 rows, loadings from .4 to .85."""
    tally = Tally()
    for child in np.random.SeedSequence(seed).spawn(count):
        rng = np.random.default_rng(child)
        loadings = tuple(float(v) for v in rng.uniform(0.4, 0.85, 6))
        population = Population(int(rng.integers(2, 6)), int(rng.integers(3, 7)), float(rng.uniform(0, 0.6)), loadings)
        rows = population.draw(int(rng.integers(100, 1001)), rng)
        tally.add(run_one_group(population, rows, str(rng.choice(ESTIMATORS))))
    return tally


# --------------------------------------------------------------------------- always
@pytest.mark.parametrize(("estimator", "count"), [("ML", 60), ("MLR", 60), ("WLSMV", 30)])
def test_a_small_sample(estimator: str, count: int) -> None:
    """Limits that a right program passes with near certainty at these counts, and a wrong sandwich does not."""
    tally = one_group(estimator, count, 7)
    assert tally.convergence == 1.0
    assert tally.unflagged == 0
    assert tally.rejection <= 0.17
    assert 0.91 < tally.coverage("loading") < 0.985
    assert 0.87 < tally.coverage("correlation") <= 1.0


def test_a_small_sample_of_two_groups() -> None:
    tally = two_groups("MLR", 20, 7)
    assert tally.convergence == 1.0
    assert tally.coverage("mean") > 0.82


def test_ordinary_data_sets_converge() -> None:
    tally = ordinary(30, 7)
    assert tally.convergence == 1.0
    assert tally.unflagged == 0


# --------------------------------------------------------------------------- slow
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_true_model_is_rejected_at_its_level_and_intervals_cover(estimator: str) -> None:
    tally = one_group(estimator, 2000, 20261129)
    assert tally.convergence >= 0.995
    assert tally.unflagged == 0
    assert 0.035 <= tally.rejection <= 0.07
    assert 0.93 <= tally.coverage("loading") <= 0.97
    assert 0.93 <= tally.coverage("correlation") <= 0.97


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_intervals_of_latent_means_cover(estimator: str) -> None:
    tally = two_groups(estimator, 1000, 20261130)
    assert tally.convergence >= 0.995
    assert 0.93 <= tally.coverage("mean") <= 0.97


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_of_a_thousand_ordinary_data_sets_nearly_all_converge_and_failures_say_so() -> None:
    tally = ordinary(1000, 20261131)
    assert tally.convergence >= 0.995
    assert tally.unflagged == 0
