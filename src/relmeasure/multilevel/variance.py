"""One-way random-effects variance components from cluster statistics: ANOVA, ML and REML.

Model: y_ij = mu + b_j + e_ij with var(b) = tau2 between and var(e) = sigma2 within clusters. With theta = tau2 / sigma2
everything but theta has a closed form, so that ML and REML are searches over one number (Searle, Casella and McCulloch,
1992, Variance Components, sections 3.6 to 3.8). Clusters of equal size are treated together: the cost depends on the
number of distinct sizes, not of clusters. Where clusters lie in groups (classes in countries), each group may have a
mean of its own, so that differences between groups are not counted as differences between clusters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Components", "OneWay", "anova", "likelihood", "profile_interval"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class OneWay:
    """Sufficient statistics of one variable: sizes and means of clusters, pooled scatter within, groups of clusters."""

    n: Array
    mean: Array
    within: float
    group: np.ndarray[Any, np.dtype[np.int64]] | None = field(default=None)

    @property
    def n_obs(self) -> float:
        """Rows."""
        return float(self.n.sum())

    @property
    def n_clusters(self) -> int:
        """Clusters."""
        return len(self.n)

    @property
    def n_groups(self) -> int:
        """Groups with a mean of their own; one without groups."""
        return 1 if self.group is None else int(self.group.max()) + 1

    def by_group(self, values: Array) -> Array:
        """Sum values of clusters over each group."""
        if self.group is None:
            return np.array([values.sum()])
        return np.bincount(self.group, weights=values, minlength=self.n_groups).astype(float)


@dataclass(frozen=True)
class Components:
    """Variance components of a one-way model; ``deviance`` is -2 log-likelihood (restricted for REML).

    ``mu`` is the mean over groups by their rows, ``means`` the mean of each group.
    """

    tau2: float
    sigma2: float
    mu: float
    mu_se: float
    deviance: float = math.nan
    means: Array | None = None

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
    total, clusters, groups = stats.n_obs, stats.n_clusters, stats.n_groups
    rows = stats.by_group(stats.n)
    grand = stats.by_group(stats.n * stats.mean) / rows
    center = grand[0] if stats.group is None else grand[stats.group]
    ms_between = float(stats.n @ (stats.mean - center) ** 2) / (clusters - groups)
    ms_within = stats.within / (total - clusters)
    k0 = (total - float((stats.by_group(stats.n**2) / rows).sum())) / (clusters - groups)
    return ms_between, ms_within, k0


class _Profile:
    """-2 log-likelihood as a function of theta = tau2 / sigma2, everything else maximised out."""

    def __init__(self, stats: OneWay, *, restricted: bool) -> None:
        groups = stats.n_groups
        owner = np.zeros(stats.n_clusters, dtype=np.int64) if stats.group is None else stats.group
        center = stats.by_group(stats.mean) / stats.by_group(np.ones_like(stats.mean))
        off = stats.mean - center[owner]
        widest = int(stats.n.max()) + 1
        cells, place = np.unique(owner * widest + stats.n.astype(np.int64), return_inverse=True)
        self.size, self.owner = (cells % widest).astype(float), cells // widest
        self.clusters = np.bincount(place).astype(float)
        self.first = np.bincount(place, weights=off)
        self.second = np.bincount(place, weights=off**2)
        self.center, self.groups = center, groups
        self.share = stats.by_group(stats.n) / stats.n_obs
        self.within = stats.within
        self.restricted = restricted
        self.divisor = stats.n_obs - (groups if restricted else 0)

    def fit(self, theta: float) -> tuple[Array, float, Array]:
        """Group means, sigma2 and the information weight of each group mean (in units of 1 / sigma2) at theta."""
        weight = self.size / (1 + self.size * theta)
        information = np.bincount(self.owner, weights=weight * self.clusters, minlength=self.groups).astype(float)
        offset = np.bincount(self.owner, weights=weight * self.first, minlength=self.groups) / information
        between = float(weight @ self.second) - float(information @ offset**2)
        return self.center + offset, (self.within + between) / self.divisor, information

    def deviance(self, theta: float) -> float:
        """-2 log-likelihood, restricted or not, at theta."""
        _, sigma2, information = self.fit(theta)
        value = self.divisor * (math.log(2 * math.pi * sigma2) + 1)
        value += float(self.clusters @ np.log1p(self.size * theta))
        return value + float(np.log(information).sum()) if self.restricted else value


def likelihood(stats: OneWay, *, restricted: bool) -> Components:
    """Maximise the (restricted) likelihood; a maximum at the boundary gives ``tau2 = 0``."""
    profile = _Profile(stats, restricted=restricted)
    best = _minimise(profile.deviance, start=_start(stats))
    means, sigma2, information = profile.fit(best)
    mu_se = math.sqrt(sigma2 * float((profile.share**2 / information).sum()))
    return Components(best * sigma2, sigma2, float(profile.share @ means), mu_se, profile.deviance(best), means)


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
