"""Two-step polyserial correlations of one continuous variable with ordered items, and their influence functions.

With thresholds, mean and variance fixed at their own estimates, the correlation maximises
``sum w log[ Phi(u_k) - Phi(u_{k-1}) ]``, ``u_k = (tau_k - rho z) / sqrt(1 - rho^2)``, with k the answered category and
z the standardised continuous variable (divisor n).

References
----------
Olsson, U., Drasgow, F., & Dorans, N. J. (1982). The polyserial correlation coefficient. Psychometrika, 47, 337-347
(two-step estimator: section 3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from relmeasure.numerics.normal import Array, normal_cdf, normal_density
from relmeasure.samplestats.acov import Information
from relmeasure.samplestats.twostep import Margin

__all__ = ["Continuous", "Polyserial", "continuous_margin", "polyserial", "polyserial_influence"]

_MAX_STEPS = 60
_STEP_TOLERANCE = 1e-7
_FAR = 1e10
"""A finite stand-in for an infinite threshold: its density is zero, and zero times it is zero."""

_SMALLEST_CELL = 1e-300


@dataclass(frozen=True)
class Continuous:
    """One continuous variable: its rows, mean, variance (divisor n) and sum of weights."""

    mean: float
    variance: float
    total: float


def continuous_margin(x: Array, w: Array) -> Continuous:
    """Return mean and variance of the observed values (NaN is missing) under weights."""
    seen = ~np.isnan(x)
    x, w = x[seen], w[seen]
    total = float(w.sum())
    if total == 0.0:
        return Continuous(math.nan, math.nan, 0.0)
    mean = float(w @ x) / total
    return Continuous(mean, float(w @ (x - mean) ** 2) / total, total)


@dataclass(frozen=True)
class Polyserial:
    """One correlation: ``at_bound`` is -1, 0 or 1."""

    rho: float
    at_bound: int
    converged: bool


@dataclass(frozen=True)
class _Rows:
    """Rows where both variables were observed: z, and the thresholds around the answer."""

    z: Array
    lower: Array
    upper: Array
    w: Array
    seen: np.ndarray
    position: np.ndarray


def _rows(x: Array, margin: Continuous, codes: np.ndarray, item: Margin, w: Array) -> _Rows:
    seen = ~np.isnan(x) & (codes >= 0) & (w > 0)
    position = np.searchsorted(item.kept, codes[seen])
    cuts = np.concatenate([[-_FAR], item.cuts, [_FAR]])
    z = (x[seen] - margin.mean) / math.sqrt(margin.variance)
    return _Rows(z, cuts[position], cuts[position + 1], w[seen], seen, position)


def _cell(lower: Array, upper: Array) -> Array:
    """Return ``Phi(upper) - Phi(lower)`` from the nearer tail."""
    flip = lower > 0
    low, high = np.where(flip, -upper, lower), np.where(flip, -lower, upper)
    return np.maximum(normal_cdf(high) - normal_cdf(low), _SMALLEST_CELL)


def polyserial(x: Array, margin: Continuous, codes: np.ndarray, item: Margin, w: Array) -> Polyserial:
    """Maximise the two-step likelihood over ``theta = asin(rho)`` by Newton steps inside a bracket."""
    if not len(item.cuts) or not margin.variance > 0:
        return Polyserial(math.nan, 0, True)
    rows = _rows(x, margin, codes, item, w)
    if len(rows.z) < 2:
        return Polyserial(math.nan, 0, True)
    for bound in (1, -1):  # every row certain: the likelihood is one, at the bound and nowhere inside
        if ((rows.lower <= bound * rows.z) & (bound * rows.z <= rows.upper)).all():
            return Polyserial(float(bound), bound, True)
    theta = _start(rows, item)
    low, high = -0.5 * math.pi, 0.5 * math.pi
    for _ in range(_MAX_STEPS):
        score, curvature = _derivatives(rows, theta)
        low, high = (theta, high) if score > 0 else (low, theta)
        newton = theta + score / max(curvature, 1e-300)
        moved = newton if low < newton < high else 0.5 * (low + high)
        step, theta = moved - theta, moved
        if abs(step) < _STEP_TOLERANCE:
            break
    else:
        return Polyserial(math.sin(theta), 0, False)
    return Polyserial(math.sin(theta), 0, True)


def _start(rows: _Rows, item: Margin) -> float:
    """Return the angle of the moment estimator: the correlation with the mean latent response of each category."""
    scores = item.scores[rows.position]
    total, z = rows.w.sum(), rows.z - rows.w @ rows.z / rows.w.sum()
    spread = float(rows.w @ scores**2 / total) * math.sqrt(float(rows.w @ z**2 / total))
    return math.asin(min(max(float(rows.w @ (z * scores)) / total / spread, -0.95), 0.95)) if spread > 0 else 0.0


def _derivatives(rows: _Rows, theta: float) -> tuple[float, float]:
    """Return the score and minus the second derivative (or its expectation, if negative) by the angle."""
    rho, root = math.sin(theta), math.cos(theta)
    first, second = np.zeros_like(rows.z), np.zeros_like(rows.z)
    ends = []
    for sign, tau in ((-1.0, rows.lower), (1.0, rows.upper)):
        u = (tau - rho * rows.z) / root
        turn = tau * rho - rows.z
        du = turn / root**2
        density = sign * normal_density(u)
        first += density * du
        second += density * (tau / root + 2.0 * rho * turn / root**3 - u * du * du)
        ends.append(u)
    cell = _cell(*ends)
    ratio = first / cell
    expected = float(rows.w @ ratio**2)
    observed = expected - float(rows.w @ (second / cell))
    return float(rows.w @ ratio), observed if observed > 0 else expected


def polyserial_influence(
    rho: float,
    x: Array,
    margin: Continuous,
    codes: np.ndarray,
    item: Margin,
    w: Array,
    influence_tau: Array,
    information: Information,
) -> Array:
    """Return the influence of each row on the correlation, per unit weight, array (n,).

    Parameters
    ----------
    influence_tau : array (t, n)
        Influence of each row on the thresholds of the item, zero where it was not answered.
    """
    rows = _rows(x, margin, codes, item, w)
    sd, weight = math.sqrt(margin.variance), rows.w / rows.w.sum()
    score, below, above, by_z, by_rho = _scores(rows, rho) if information == "crossproduct" else _bends(rows, rho)
    cuts = len(item.cuts)
    by_cut = (
        np.bincount(rows.position, weight * above, cuts + 1)[:cuts]
        + np.bincount(rows.position, weight * below, cuts + 1)[1:]
    )
    out = -(by_cut @ influence_tau)
    out[rows.seen] += score / rows.w.sum()
    present = ~np.isnan(x)
    deviation = np.where(present, x - margin.mean, 0.0)
    squared = np.where(present, deviation**2 - margin.variance, 0.0)
    out += float(weight @ by_z) / sd * deviation / margin.total
    out += float(weight @ (by_z * rows.z)) / (2.0 * margin.variance) * squared / margin.total
    return np.asarray(out / float(weight @ by_rho))


def _score(rho: float, z: Array, lower: Array, upper: Array) -> tuple[Array, Array, Array]:
    """Return the derivative of each row's log-likelihood by rho, and ``phi(u) / P`` at both thresholds."""
    root = math.sqrt((1.0 - rho) * (1.0 + rho))
    high, low = (upper - rho * z) / root, (lower - rho * z) / root
    cell = _cell(low, high)
    above, below = normal_density(high) / cell, normal_density(low) / cell
    return (above * (upper * rho - z) - below * (lower * rho - z)) / root**3, below, above


def _scores(rows: _Rows, rho: float) -> tuple[Array, Array, Array, Array, Array]:
    """Return the score by rho, and its products with the scores by lower and upper threshold, by z, and by rho.

    They are the scores of the answer given z: they need no normality of the continuous variable.
    """
    root = math.sqrt((1.0 - rho) * (1.0 + rho))
    score, below, above = _score(rho, rows.z, rows.lower, rows.upper)
    by_z = (below - above) * rho / root
    return score, -score * below / root, score * above / root, score * by_z, score * score


def _bends(rows: _Rows, rho: float) -> tuple[Array, Array, Array, Array, Array]:
    """Return the score by rho, and minus its derivatives by both thresholds, z and rho (central differences)."""
    score, _, _ = _score(rho, rows.z, rows.lower, rows.upper)
    step = min(1e-5, 0.1 * (1.0 - abs(rho)))

    def change(rho_by: float, z_by: float, lower_by: float, upper_by: float) -> Array:
        ends = (
            _score(
                rho + sign * rho_by, rows.z + sign * z_by, rows.lower + sign * lower_by, rows.upper + sign * upper_by
            )
            for sign in (1.0, -1.0)
        )
        plus, minus = (end[0] for end in ends)
        return np.asarray((minus - plus) / (2.0 * step))

    parts = (change(0, 0, step, 0), change(0, 0, 0, step), change(0, step, 0, 0), change(step, 0, 0, 0))
    return score, *parts
