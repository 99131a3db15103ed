"""Variance components agree with R to the digit, from cluster statistics alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmeasure.multilevel.variance import OneWay, anova, likelihood, profile_interval
from tests.support import load_reference

CASES = load_reference("multilevel/icc")["cases"]
CLOSED_FORM = 1e-9
"""Relative: R prints 15 digits, sums of thousands of rows lose a few."""
OPTIMISED = 1e-5
"""Relative: lme4 stops at a deviance change of about 1e-9, which leaves the components 1e-6 apart."""


def _stats(case: Any) -> OneWay:
    return OneWay(np.array(case["n"], float), np.array(case["mean"]), case["within"])


@pytest.mark.parametrize("name", CASES)
def test_anova_agrees_with_aov(name: str) -> None:
    """Mean squares, k0 and both ICCs."""
    stats, expected = _stats(CASES[name]), CASES[name]["expected"]
    ms_between, ms_within, k0 = anova(stats)
    assert ms_between == pytest.approx(expected["MSB"], rel=CLOSED_FORM)
    assert ms_within == pytest.approx(expected["MSW"], rel=CLOSED_FORM)
    assert k0 == pytest.approx(expected["k0"], rel=CLOSED_FORM)
    assert 1 - ms_within / ms_between == pytest.approx(expected["multilevel_ICC2"], rel=CLOSED_FORM)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("method", ["ml", "reml"])
def test_likelihood_agrees_with_lme4(name: str, method: str) -> None:
    """Components, intercept and deviance."""
    expected = CASES[name]["expected"][method]
    found = likelihood(_stats(CASES[name]), restricted=method == "reml")
    assert found.tau2 == pytest.approx(expected["tau2"], rel=OPTIMISED)
    assert found.sigma2 == pytest.approx(expected["sigma2"], rel=OPTIMISED)
    assert found.icc1 == pytest.approx(expected["icc1"], rel=OPTIMISED)
    assert found.mu == pytest.approx(expected["intercept"], rel=OPTIMISED)
    if method == "reml":
        assert found.deviance == pytest.approx(expected["reml_deviance"], rel=CLOSED_FORM)
        assert found.mu_se == pytest.approx(expected["se"], rel=OPTIMISED)
    else:
        assert found.deviance == pytest.approx(-2 * expected["logLik"], rel=CLOSED_FORM)


def test_profile_interval_agrees_with_lme4() -> None:
    """Profile intervals of both standard deviations in R give the ICC's by its own profile: bracketed here."""
    low, high = profile_interval(_stats(CASES["bh_HRS"]), restricted=False, conf_level=0.95)
    estimate = CASES["bh_HRS"]["expected"]["ml"]["icc1"]
    assert 0.6980**2 / (0.6980**2 + 2.1483**2) < low < estimate < high < 0.9518**2 / (0.9518**2 + 2.0833**2) + 0.005


def test_balanced_reml_is_anova() -> None:
    """With equal sizes and a positive estimate both are the same (Searle et al., 1992, section 3.8)."""
    rng = np.random.default_rng(4)
    stats = OneWay(np.full(40, 12.0), rng.normal(0, 1, 40), 40 * 11 * 1.5)
    ms_between, ms_within, k0 = anova(stats)
    found = likelihood(stats, restricted=True)
    assert found.tau2 == pytest.approx((ms_between - ms_within) / k0, rel=1e-7)
    assert found.sigma2 == pytest.approx(ms_within, rel=1e-7)


def test_no_variance_between_stops_at_zero() -> None:
    """Equal means are the boundary, not a crash, and the interval starts at zero."""
    stats = OneWay(np.full(30, 10.0), np.linspace(-0.01, 0.01, 30), 300.0)
    assert likelihood(stats, restricted=True).tau2 == 0.0
    low, high = profile_interval(stats, restricted=True, conf_level=0.95)
    assert low == 0.0
    assert 0 < high < 0.2


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_maximum_is_a_maximum(data: st.DataObject) -> None:
    """No other share of between variance on a grid has a higher likelihood; shift and scale change nothing else."""
    clusters = data.draw(st.integers(3, 12))
    sizes = np.array(data.draw(st.lists(st.integers(1, 30), min_size=clusters, max_size=clusters)), float) + 1
    means = np.array(data.draw(st.lists(st.floats(-3, 3), min_size=clusters, max_size=clusters)))
    within = data.draw(st.floats(0.5, 200.0))
    stats = OneWay(sizes, means, within)
    for restricted in (True, False):
        found = likelihood(stats, restricted=restricted)
        grid = [_deviance(stats, icc / (1 - icc), restricted) for icc in np.linspace(0, 0.99, 300)]
        assert found.deviance <= min(grid) + 1e-6
        moved = likelihood(OneWay(sizes, 5 + 2 * means, 4 * within), restricted=restricted)
        assert moved.icc1 == pytest.approx(found.icc1, abs=1e-5)
        assert moved.mu == pytest.approx(5 + 2 * found.mu, abs=1e-5)


def _deviance(stats: OneWay, theta: float, restricted: bool) -> float:
    """The same function written from the normal density, cluster by cluster."""
    total = stats.n_obs
    weight = stats.n / (1 + stats.n * theta)
    mu = float(weight @ stats.mean / weight.sum())
    scatter = stats.within + float(weight @ (stats.mean - mu) ** 2)
    free = total - 1 if restricted else total
    sigma2 = scatter / free
    value = free * np.log(2 * np.pi * sigma2) + np.log1p(stats.n * theta).sum() + scatter / sigma2
    return float(value + (np.log(weight.sum()) if restricted else 0.0))
