"""Do the intervals cover? Simulations with a known truth: a small seeded sample always, a long one by hand (-m slow)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from relmeasure.classical import alpha, omega, spearman_brown
from relmeasure.results import Estimate
from relmeasure.samplestats.moments import moment_sums
from tests.classical.stored import quietly

Draw = Callable[[np.random.Generator], np.ndarray]

EQUAL = np.full(5, 0.7)
UNEQUAL = np.array([0.9, 0.8, 0.7, 0.6, 0.5])


def draw(loadings: np.ndarray, n: int) -> Draw:
    """Normal answers to items of variance one with these loadings."""
    unique = np.sqrt(1.0 - loadings**2)
    return lambda rng: rng.normal(size=(n, 1)) * loadings + rng.normal(size=(n, len(loadings))) * unique


def truth(loadings: np.ndarray) -> tuple[float, float]:
    """Alpha and omega in the population."""
    cov = np.outer(loadings, loadings)
    np.fill_diagonal(cov, 1.0)
    k = len(loadings)
    return k / (k - 1) * (1 - k / cov.sum()), loadings.sum() ** 2 / cov.sum()


def coverage(
    estimate: Callable[[np.ndarray], Estimate], make: Draw, value: float, runs: int, seed: int
) -> tuple[float, float]:
    """Share of intervals that hold the truth, and mean standard error over the spread of the estimates."""
    rng = np.random.default_rng(seed)
    with quietly():
        found = [estimate(make(rng)) for _ in range(runs)]
    held = np.mean([e.lower <= value <= e.upper for e in found])
    values, errors = np.array([e.estimate for e in found]), np.array([e.se for e in found])
    return float(held), float(errors.mean() / values.std(ddof=1))


def band(runs: int, level: float = 0.95) -> float:
    """Three and a half standard errors of a simulated share."""
    return 3.5 * math.sqrt(level * (1 - level) / runs)


def names(x: np.ndarray) -> list[str]:
    return [f"x{i}" for i in range(x.shape[1])]


ALPHA: Callable[[np.ndarray], Estimate] = lambda x: alpha(moment_sums(x, names(x)))  # noqa: E731
OMEGA: Callable[[np.ndarray], Estimate] = lambda x: omega(moment_sums(x, names(x)))  # noqa: E731
OBSERVED: Callable[[np.ndarray], Estimate] = lambda x: omega(moment_sums(x, names(x)), denominator="observed")  # noqa: E731
PAIR: Callable[[np.ndarray], Estimate] = lambda x: spearman_brown(moment_sums(x, names(x)))  # noqa: E731

CASES = [
    pytest.param(ALPHA, EQUAL, 50, 0, 0.0, id="feldt, exact case, n 50"),
    pytest.param(ALPHA, UNEQUAL, 200, 0, 0.01, id="feldt, unequal loadings, n 200"),
    pytest.param(OMEGA, UNEQUAL, 300, 1, 0.01, id="omega, n 300"),
    pytest.param(OBSERVED, UNEQUAL, 300, 1, 0.01, id="omega over observed variance, n 300"),
    pytest.param(PAIR, EQUAL[:2], 60, 0, 0.005, id="spearman-brown, n 60"),
]
"""Estimator, loadings, n, which truth, and how far from .95 the method itself may lie at this n."""


@pytest.mark.parametrize(("estimate", "loadings", "n", "which", "slack"), CASES)
def test_a_few_hundred_intervals_cover(
    estimate: Callable[[np.ndarray], Estimate], loadings: np.ndarray, n: int, which: int, slack: float
) -> None:
    held, ratio = coverage(estimate, draw(loadings, n), truth(loadings)[which], 300, 20261)
    assert abs(held - 0.95) < band(300) + slack
    assert abs(ratio - 1) < 0.15


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("estimate", "loadings", "n", "which", "slack"), CASES)
def test_ten_thousand_intervals_cover(
    estimate: Callable[[np.ndarray], Estimate], loadings: np.ndarray, n: int, which: int, slack: float
) -> None:
    held, ratio = coverage(estimate, draw(loadings, n), truth(loadings)[which], 10_000, 20262)
    assert abs(held - 0.95) < band(10_000) + slack, held
    assert abs(ratio - 1) < 0.05, ratio
