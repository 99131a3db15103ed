"""Maximise the (restricted) likelihood of random effects: variances, their covariance, profile intervals.

The number of variances is small and their likelihood cheap, so derivatives are taken by central differences; the last
digits come from Newton steps on the variances that are not at the boundary of zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.multilevel.random_effects import Design, absolute_deviance, relative_deviance

__all__ = ["Estimates", "maximise", "profile_bounds"]

Array = np.ndarray[Any, np.dtype[np.float64]]
Function = Callable[[Array], float]

_ZERO = 1e-9
"""Relative variances below this are at the boundary if the likelihood falls away from it."""


@dataclass(frozen=True)
class Estimates:
    """Variances of the effects and, last, of the residual; ``covariance`` is NaN for those at zero."""

    mu: float
    mu_se: float
    variances: Array
    covariance: Array
    deviance: float
    converged: bool


def maximise(design: Design, *, restricted: bool) -> Estimates:
    """Find the variances with the largest (restricted) likelihood."""

    def deviance(gamma: Array) -> float:
        return relative_deviance(design.parts(gamma), design.n_obs, restricted=restricted)

    gamma, converged = _minimise(deviance, np.full(design.n_effects, 0.25))
    parts = design.parts(gamma)
    sigma2 = parts.residual / (design.n_obs - restricted)
    variances = np.append(gamma * sigma2, sigma2)

    def absolute(values: Array) -> float:
        return absolute_deviance(design, values, restricted=restricted)

    return Estimates(
        mu=parts.mu,
        mu_se=math.sqrt(sigma2 / parts.information),
        variances=variances,
        covariance=_covariance(absolute, variances),
        deviance=deviance(gamma),
        converged=converged,
    )


def profile_bounds(
    design: Design, found: Estimates, which: int, *, restricted: bool, conf_level: float
) -> tuple[float, float]:
    """Profile-likelihood interval of one variance, the others (the residual too) maximised out at each value."""
    from scipy.optimize import brentq
    from scipy.special import chdtri

    limit = found.deviance + float(chdtri(1, 1 - conf_level))
    others = np.delete(np.arange(len(found.variances)), which)
    last = found.variances[others].copy()
    scale = max(float(found.variances[which]), 0.01 * float(found.variances[-1]))

    def excess(value: float) -> float:
        nonlocal last

        def rest(values: Array) -> float:
            full = np.empty(len(found.variances))
            full[which], full[others] = value, values
            return absolute_deviance(design, full, restricted=restricted)

        floor = np.where(others == len(found.variances) - 1, 1e-6 * float(found.variances[-1]), 0.0)
        last, _ = _minimise(rest, np.maximum(last, floor), floor=floor)
        return rest(last) - limit

    estimate = float(found.variances[which])
    smallest = 1e-6 * estimate if which == len(found.variances) - 1 else 0.0
    lower = smallest if estimate <= smallest or excess(smallest) <= 0 else brentq(excess, smallest, estimate, rtol=1e-7)
    last = found.variances[others].copy()
    top = estimate + scale
    while excess(top) < 0 and top < 1e6 * scale:
        top = estimate + 2 * (top - estimate)
    return float(lower), float(brentq(excess, estimate, top, rtol=1e-7))


# --------------------------------------------------------------------------- minimisation over variances
def _minimise(function: Function, start: Array, *, floor: Array | None = None) -> tuple[Array, bool]:
    """Minimise over values at or above ``floor`` (zero): bounded quasi-Newton steps, then Newton steps."""
    from scipy.optimize import minimize

    low = np.zeros_like(start) if floor is None else floor
    unit = np.maximum(start, 1e-3 * max(float(start.max()), 1e-12))

    def scaled(x: Array) -> float:
        return function(np.maximum(x * unit, low))

    def with_gradient(x: Array) -> tuple[float, Array]:
        return scaled(x), _gradient(scaled, x, low / unit)

    found: Any = minimize(
        with_gradient,
        start / unit,
        jac=True,
        method="L-BFGS-B",
        bounds=[(b, None) for b in low / unit],
        options={"maxiter": 200, "ftol": 1e-13, "gtol": 1e-6},
    )
    x, done = _newton(scaled, np.asarray(found.x), low / unit)
    return np.maximum(x * unit, low), done


def _gradient(function: Function, x: Array, low: Array) -> Array:
    """Central differences; one-sided of second order beside the boundary."""
    out = np.empty_like(x)
    for k in range(len(x)):
        h = 1e-4 * max(abs(float(x[k])), 1e-2)
        step = np.zeros_like(x)
        step[k] = h
        if x[k] - h < low[k]:
            out[k] = (-3 * function(x) + 4 * function(x + step) - function(x + 2 * step)) / (2 * h)
        else:
            out[k] = (function(x + step) - function(x - step)) / (2 * h)
    return out


def _newton(function: Function, x: Array, low: Array) -> tuple[Array, bool]:
    """Newton steps on the coordinates that are not held at the boundary; whether they came to rest."""
    value = function(x)
    for _ in range(12):
        gradient = _gradient(function, x, low)
        free = ~((x <= low + _ZERO) & (gradient >= 0))
        x = np.where(free, x, low)
        if not free.any():
            return x, True
        hessian = _hessian(function, x, low)[np.ix_(free, free)]
        if not np.isfinite(hessian).all() or np.linalg.eigvalsh(hessian).min() <= 0:
            return x, bool(np.abs(gradient[free]).max() < 1e-3 * (1 + abs(value)))
        step = np.zeros_like(x)
        step[free] = -np.linalg.solve(hessian, gradient[free])
        candidate = np.maximum(x + step, low)
        after = function(candidate)
        if after > value + 1e-9 * (1 + abs(value)):
            return x, False
        moved = float(np.abs(candidate - x).max() / max(float(np.abs(x).max()), 1e-12))
        x, value = candidate, after
        if moved < 1e-8:
            return x, True
    return x, True


def _hessian(function: Function, x: Array, low: Array) -> Array:
    """Second derivatives by central differences around a point kept one step off the boundary."""
    size = len(x)
    h = 2e-3 * np.maximum(np.abs(x), 1e-2)
    at = np.maximum(x, low + 2 * h)
    out = np.empty((size, size))
    middle = function(at)
    for a in range(size):
        for b in range(a + 1):
            ea, eb = np.zeros(size), np.zeros(size)
            ea[a], eb[b] = h[a], h[b]
            if a == b:
                second = function(at + ea) - 2 * middle + function(at - ea)
            else:
                second = function(at + ea + eb) - function(at + ea - eb) - function(at - ea + eb)
                second = (second + function(at - ea - eb)) / 4
            out[a, b] = out[b, a] = second / (h[a] * h[b])
    return out


def _covariance(deviance: Function, variances: Array) -> Array:
    """Inverse of the observed information on the variances that are not zero."""
    free = np.flatnonzero(variances > _ZERO * variances[-1])
    unit = variances[free]

    def on_free(x: Array) -> float:
        full = variances.copy()
        full[free] = x * unit
        return deviance(full)

    out = np.full((len(variances), len(variances)), math.nan)
    hessian = _hessian(on_free, np.ones(len(free)), np.zeros(len(free)))
    if np.linalg.eigvalsh(hessian).min() > 0:
        out[np.ix_(free, free)] = 2 * np.linalg.inv(hessian) * np.outer(unit, unit)
    return out
