r"""Factor scores from ordered and continuous answers: modes of the posterior (EBM) or of the likelihood (ML).

Given the factors, an ordered response falls into category k of item i with probability

.. math:: \Phi(\frac{\tau_{ik} - \nu_i - \lambda_i'\eta}{\sqrt{\theta_i}}) -
          \Phi(\frac{\tau_{i,k-1} - \nu_i - \lambda_i'\eta}{\sqrt{\theta_i}}),

and a continuous one is normal with mean :math:`\nu_i + \lambda_i'\eta` and variance :math:`\theta_i`, independently
over items. EBM adds the normal prior of the factors. All persons are scored at once by Fisher scoring; standard errors
are the square roots of the inverse information at the mode.

References
----------
Skrondal, A., & Rabe-Hesketh, S. (2004). Generalized Latent Variable Modeling, section 7.4. Samejima, F. (1969).
Psychometrika Monograph 17.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["ResponseModel", "latent_modes"]

Array = np.ndarray[Any, np.dtype[Any]]

_STEPS = 100
_CONVERGED = 1e-10
_FLOOR = 1e-300

_FLAT = 1e-4
"""Information (per factor of variance one) below which a likelihood has no mode: standard errors beyond 100."""


@dataclass(frozen=True, eq=False)
class ResponseModel:
    """How p items answer to m factors.

    Attributes
    ----------
    loadings : array (p, m)
    intercepts, sd : array (p,)
        Of the responses given the factors: latent ones of ordered items.
    thresholds : sequence of p arrays or None
        Ascending thresholds of each ordered item; None where an item is continuous.
    mean, covariance : array (m,), array (m, m)
        Of the factors: the prior.
    """

    loadings: Array
    intercepts: Array
    sd: Array
    thresholds: Sequence[Array | None]
    mean: Array
    covariance: Array

    def bounds(self, answers: Array, eta: Array) -> tuple[Array, Array, Array]:
        """Return standardised lower and upper bounds (n, p) of ordered answers, and residuals of continuous ones."""
        center = self.intercepts + eta @ self.loadings.T
        low, high = np.full(answers.shape, -math.inf), np.full(answers.shape, math.inf)
        residual = np.zeros(answers.shape)
        for i, tau in enumerate(self.thresholds):
            seen = ~np.isnan(answers[:, i])
            if tau is None:
                residual[seen, i] = (answers[seen, i] - center[seen, i]) / self.sd[i]
                continue
            edges = np.concatenate([[-math.inf], tau, [math.inf]])
            codes = answers[seen, i].astype(np.intp)
            low[seen, i], high[seen, i] = edges[codes], edges[codes + 1]
        return (low - center) / self.sd, (high - center) / self.sd, residual

    @property
    def continuous(self) -> Array:
        """Which items are continuous."""
        return np.array([tau is None for tau in self.thresholds])


def latent_modes(model: ResponseModel, answers: Array, *, prior: bool = True) -> tuple[Array, Array]:
    """Return scores (n, m) and their standard errors; NaN where nothing was answered.

    Parameters
    ----------
    model : ResponseModel
    answers : array (n, p)
        Category numbers from zero of ordered items, values of continuous ones; NaN is missing.
    prior : bool
        With the prior (EBM), or without (ML): ML scores of persons who chose only first or only last categories are
        not finite, and are NaN.

    Examples
    --------
    >>> import numpy as np
    >>> tau = [np.array([0.0]), np.array([0.0])]
    >>> model = ResponseModel(np.array([[0.8], [0.8]]), np.zeros(2), np.full(2, 0.6), tau, np.zeros(1), np.eye(1))
    >>> latent_modes(model, np.array([[1.0, 1.0], [1.0, 0.0]]))[0][:, 0].round(3).tolist()
    [0.757, 0.0]
    """
    n, m = len(answers), len(model.mean)
    scores, errors = np.full((n, m), np.nan), np.full((n, m), np.nan)
    answered = np.flatnonzero(~np.isnan(answers).all(axis=1))
    known = answers[answered]
    precision = np.linalg.inv(model.covariance) if prior else np.zeros((m, m))
    eta = np.tile(model.mean, (len(answered), 1))
    current = _penalised(model, known, eta, precision)
    information = np.tile(np.eye(m), (len(answered), 1, 1))
    moving = np.arange(len(answered))
    for _ in range(_STEPS):
        gradient, information[moving] = _slopes(model, known[moving], eta[moving], precision)
        try:
            step = np.linalg.solve(information[moving], gradient[:, :, None])[:, :, 0]
        except np.linalg.LinAlgError:
            step = np.linalg.solve(information[moving] + 1e-6 * np.eye(m), gradient[:, :, None])[:, :, 0]
        step /= np.maximum(1.0, np.abs(step).max(axis=1, keepdims=True) / 2.0)
        size = np.ones(len(moving))
        for _ in range(30):
            new = _penalised(model, known[moving], eta[moving] + size[:, None] * step, precision)
            worse = new < current[moving] - 1e-12
            if not worse.any():
                break
            size[worse] *= 0.5
        eta[moving] += size[:, None] * step
        current[moving] = new
        moving = moving[np.abs(step * size[:, None]).max(axis=1) > _CONVERGED]
        if not len(moving):
            break
    _, information = _slopes(model, known, eta, precision)
    spread = np.sqrt(np.diag(model.covariance))
    least = np.linalg.eigvalsh(information * np.outer(spread, spread)).min(axis=1, initial=np.inf)
    finite = least > _FLAT
    finite[moving] = False
    inverse = np.linalg.inv(information[finite])
    scores[answered[finite]] = eta[finite]
    errors[answered[finite]] = np.sqrt(np.einsum("njj->nj", inverse))
    return scores, errors


def _density(z: Array) -> Array:
    finite = np.isfinite(z)
    return np.where(finite, np.exp(-0.5 * np.where(finite, z, 0.0) ** 2) / math.sqrt(2.0 * math.pi), 0.0)


def _cells(low: Array, high: Array) -> Array:
    """Probabilities between two bounds, without cancellation in the upper tail."""
    from scipy.special import ndtr

    upper = low > 0
    return np.where(upper, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))


def _penalised(model: ResponseModel, answers: Array, eta: Array, precision: Array) -> Array:
    """Log-likelihood of each person plus the log prior, constants of continuous items left out."""
    low, high, residual = model.bounds(answers, eta)
    # a missing answer lies between infinite bounds: its cell is one, its residual zero
    cells = np.maximum(_cells(low, high), _FLOOR)
    gap = eta - model.mean
    out: Array = (np.log(cells) - 0.5 * residual**2).sum(axis=1) - 0.5 * ((gap @ precision) * gap).sum(axis=1)
    return out


def _slopes(model: ResponseModel, answers: Array, eta: Array, precision: Array) -> tuple[Array, Array]:
    """Gradient (n, m) and observed information (n, m, m) of the penalised log-likelihood."""
    low, high, residual = model.bounds(answers, eta)
    cells = np.maximum(_cells(low, high), _FLOOR)
    a, b = _density(low), _density(high)
    first = (a - b) / cells / model.sd
    la, lb = np.where(np.isfinite(low), low, 0.0) * a, np.where(np.isfinite(high), high, 0.0) * b
    second = first**2 - (la - lb) / cells / model.sd**2
    plain = model.continuous
    if plain.any():
        seen = ~np.isnan(answers[:, plain])
        first[:, plain] = residual[:, plain] / model.sd[plain]
        second[:, plain] = seen / model.sd[plain] ** 2
    gradient = first @ model.loadings - (eta - model.mean) @ precision
    pairs = model.loadings[:, :, None] * model.loadings[:, None, :]
    return gradient, np.tensordot(second, pairs, 1) + precision
