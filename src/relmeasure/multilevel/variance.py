"""One-way random-effects variance components from cluster statistics: ANOVA, ML and REML.

Model: y_ij = mu + b_j + e_ij with var(b) = tau2 between and var(e) = sigma2 within clusters. With theta = tau2 / sigma2
everything but theta has a closed form, so that ML and REML are searches over one number (Searle, Casella and McCulloch,
1992, Variance Components, sections 3.6 to 3.8). Clusters of equal size are treated together: the cost depends on the
number of distinct sizes, not of clusters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Components", "OneWay", "anova", "likelihood", "profile_interval"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class OneWay:
    """Sufficient statistics of one variable: sizes and means of clusters, pooled scatter within."""

    n: Array
    mean: Array
    within: float

    @property
    def n_obs(self) -> float:
        """Rows."""
        return float(self.n.sum())

    @property
    def n_clusters(self) -> int:
        """Clusters."""
        return len(self.n)


@dataclass(frozen=True)
class Components:
    """Variance components of a one-way model; ``deviance`` is -2 log-likelihood (restricted for REML)."""

    tau2: float
    sigma2: float
    mu: float
    mu_se: float
    deviance: float = math.nan

    @property
    def icc1(self) -> float:
        """Share of variance between clusters, tau2 / (tau2 + sigma2)."""
        total = self.tau2 + self.sigma2
        return self.tau2 / total if total > 0 else math.nan

    def reliability(self, n: Any) -> Any:
        """Reliability of a cluster mean of ``n`` rows, tau2 / (tau2 + sigma2 / n)."""
        return self.tau2 / (self.tau2 + self.sigma2 / n)


def anova(stats: OneWay) -> tuple[float, float, float]:
    """Mean squares between and within clusters, and the effective size k0 (Searle et al., 1992, section 3.6)."""
    total, clusters = stats.n_obs, stats.n_clusters
    grand = float(stats.n @ stats.mean) / total
    ms_between = float(stats.n @ (stats.mean - grand) ** 2) / (clusters - 1)
    ms_within = stats.within / (total - clusters)
    k0 = (total - float(stats.n @ stats.n) / total) / (clusters - 1)
    return ms_between, ms_within, k0


class _Profile:
    """-2 log-likelihood as a function of theta = tau2 / sigma2, everything else maximised out."""

    def __init__(self, stats: OneWay, *, restricted: bool) -> None:
        sizes, place = np.unique(stats.n, return_inverse=True)
        self.size = sizes
        self.clusters = np.bincount(place).astype(float)
        self.first = np.bincount(place, weights=stats.mean)
        self.second = np.bincount(place, weights=(stats.mean - stats.mean.mean()) ** 2)
        self.center = float(stats.mean.mean())
        self.within = stats.within
        self.restricted = restricted
        self.divisor = stats.n_obs - (1 if restricted else 0)

    def parts(self, theta: float) -> tuple[float, float, float]:
        """mu, sigma2 and the information weight of mu (in units of 1 / sigma2) at theta."""
        weight = self.size / (1 + self.size * theta)
        information = float(weight @ self.clusters)
        offset = float(weight @ (self.first - self.clusters * self.center)) / information
        between = float(weight @ self.second) - information * offset**2
        return self.center + offset, (self.within + between) / self.divisor, information

    def deviance(self, theta: float) -> float:
        """-2 log-likelihood, restricted or not, at theta."""
        _, sigma2, information = self.parts(theta)
        value = self.divisor * (math.log(2 * math.pi * sigma2) + 1)
        value += float(self.clusters @ np.log1p(self.size * theta))
        return value + math.log(information) if self.restricted else value


def likelihood(stats: OneWay, *, restricted: bool) -> Components:
    """Maximise the (restricted) likelihood; a maximum at the boundary gives ``tau2 = 0``."""
    profile = _Profile(stats, restricted=restricted)
    best = _minimise(profile.deviance, start=_start(stats))
    mu, sigma2, information = profile.parts(best)
    return Components(best * sigma2, sigma2, mu, math.sqrt(sigma2 / information), profile.deviance(best))


def profile_interval(stats: OneWay, *, restricted: bool, conf_level: float) -> tuple[float, float]:
    """Profile-likelihood interval of the intraclass correlation theta / (1 + theta)."""
    from scipy.optimize import brentq
    from scipy.special import chdtri

    profile = _Profile(stats, restricted=restricted)
    best = _minimise(profile.deviance, start=_start(stats))
    limit = profile.deviance(best) + float(chdtri(1, 1 - conf_level))

    def excess(icc: float) -> float:
        return profile.deviance(icc / (1 - icc)) - limit

    top = best / (1 + best)
    lower = 0.0 if excess(0.0) <= 0 else float(brentq(excess, 0.0, top, xtol=1e-10))
    ceiling = 1 - 1e-9
    upper = ceiling if excess(ceiling) <= 0 else float(brentq(excess, top, ceiling, xtol=1e-10))
    return lower, upper


def _start(stats: OneWay) -> float:
    ms_between, ms_within, k0 = anova(stats)
    return max((ms_between - ms_within) / (k0 * ms_within), 0.0) if ms_within > 0 else 1.0


def _minimise(function: Callable[[float], float], start: float) -> float:
    """Minimise over [0, inf) through icc = theta / (1 + theta); the boundary is compared, not approached."""
    from scipy.optimize import minimize_scalar

    middle = start / (1 + start)

    def of_icc(icc: float) -> float:
        return function(icc / (1 - icc))

    low, high = max(0.0, middle - 0.15), min(1 - 1e-9, middle + 0.15)
    found = minimize_scalar(of_icc, bounds=(low, high), method="bounded", options={"xatol": 1e-9})
    if min(found.x - low, high - found.x) < 1e-4 and not (low == 0.0 and found.x - low < 1e-4):
        found = minimize_scalar(of_icc, bounds=(0.0, 1 - 1e-9), method="bounded", options={"xatol": 1e-9})
    icc = float(found.x)
    return 0.0 if of_icc(0.0) <= of_icc(icc) else _polish(function, icc / (1 - icc))


def _polish(function: Callable[[float], float], theta: float) -> float:
    """A few Newton steps by central differences: bounded search alone stops near 1e-8 of the scale."""
    for _ in range(3):
        h = 1e-4 * max(theta, 1e-4)
        up, mid, down = function(theta + h), function(theta), function(max(theta - h, 0.0))
        curvature = (up - 2 * mid + down) / h**2
        if not curvature > 0:
            return theta
        step = (up - down) / (2 * h) / curvature
        if abs(step) > 0.1 * max(theta, 1e-6):
            return theta
        theta = max(theta - step, 0.0)
    return theta
