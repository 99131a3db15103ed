r"""Factor scores from ordered items: modes of the posterior (EBM) or of the likelihood (ML).

Given the factors, a response falls into category k of item i with probability

.. math:: \Phi(\frac{\tau_{ik} - \nu_i - \lambda_i'\eta}{\sqrt{\theta_i}}) -
          \Phi(\frac{\tau_{i,k-1} - \nu_i - \lambda_i'\eta}{\sqrt{\theta_i}}),

independently over items. EBM adds the normal prior of the factors, whose mean and covariances are the model's. All
persons are scored at once by Fisher scoring; standard errors are the square roots of the inverse information at the
mode.

The determinacy of such scores is the square root of their marginal reliability, ``1 - mean(se^2) / phi`` over the rows
of the fit: that of the latent responses, which nobody observes, would be too high.

References
----------
Green, B. F., Bock, R. D., Humphreys, L. G., Linn, R. L., & Reckase, M. D. (1984). Journal of Educational Measurement,
21, 347-360 (marginal reliability).
Skrondal, A., & Rabe-Hesketh, S. (2004). Generalized Latent Variable Modeling, section 7.4. Samejima, F. (1969).
Psychometrika Monograph 17.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from relmeasure.exceptions import UnsupportedDataError
from relmeasure.structural.engine import Fitted
from relmeasure.structural.ordinal import CategoricalBlock, CategoricalLeastSquares
from relmeasure.structural.scores import determinacy, direct_loadings

__all__ = ["known_determinacy", "ordered_determinacy", "ordered_scores"]

Array = np.ndarray[Any, np.dtype[Any]]

_STEPS = 100
_CONVERGED = 1e-10
_FLOOR = 1e-300


def ordered_scores(fitted: Fitted, k: int, rows: Array, method: str) -> tuple[Array, Array]:
    """Return scores (n, factors) and standard errors of rows of group k; NaN where nothing was answered.

    ``method`` is ``"ebm"`` or ``"ml"``. ML scores of persons who chose only first or only last categories are not
    finite: they are NaN.
    """
    response = _Response(fitted, k)
    n, m = len(rows), len(response.alpha)
    scores, errors = np.full((n, m), np.nan), np.full((n, m), np.nan)
    answered = np.flatnonzero(~np.isnan(rows).all(axis=1))
    precision = np.linalg.inv(response.phi) if method == "ebm" else np.zeros((m, m))
    eta = np.tile(response.alpha, (len(answered), 1))
    codes = response.codes(rows[answered])
    current = _penalised(response, codes, eta, precision)
    information = np.tile(np.eye(m), (len(answered), 1, 1))
    moving = np.arange(len(answered))
    for _ in range(_STEPS):
        gradient, information[moving] = _slopes(response, codes[moving], eta[moving], precision)
        try:
            step = np.linalg.solve(information[moving], gradient[:, :, None])[:, :, 0]
        except np.linalg.LinAlgError:
            step = np.linalg.solve(information[moving] + 1e-6 * np.eye(m), gradient[:, :, None])[:, :, 0]
        step /= np.maximum(1.0, np.abs(step).max(axis=1, keepdims=True) / 2.0)
        size = np.ones(len(moving))
        for _ in range(30):
            new = _penalised(response, codes[moving], eta[moving] + size[:, None] * step, precision)
            worse = new < current[moving] - 1e-12
            if not worse.any():
                break
            size[worse] *= 0.5
        eta[moving] += size[:, None] * step
        current[moving] = new
        moving = moving[np.abs(step * size[:, None]).max(axis=1) > _CONVERGED]
        if not len(moving):
            break
    _, information = _slopes(response, codes, eta, precision)
    variance = np.array([np.diag(np.linalg.pinv(one)) for one in information])
    scores[answered], errors[answered] = eta, np.sqrt(np.maximum(variance, 0.0))
    runaway = np.zeros(n, bool)
    runaway[answered[moving]] = True
    scores[runaway], errors[runaway] = np.nan, np.nan
    return scores, errors


def ordered_determinacy(fitted: Fitted, k: int) -> Array:
    """Return the determinacy of the EBM scores of the rows of group k, one a factor.

    Raises
    ------
    UnsupportedDataError
        The fit has no rows, or a model whose ordered scores are not supported.
    """
    cases = fitted.engine.cases
    if cases is None:
        raise UnsupportedDataError(
            "The determinacy of ordered items rests on the errors of the scores, and this fit has no rows "
            "(correlations were handed in, or it comes from a dict): fit the rows."
        )
    _, errors = ordered_scores(fitted, k, cases.groups[k].rows, "ebm")
    p = fitted.states[k].structure.n_observed
    lost = np.nanmean(errors**2, axis=0) / np.diag(fitted.states[k].V)[p:]
    out: Array = np.sqrt(np.clip(1.0 - lost, 0.0, 1.0))
    return out


def known_determinacy(fitted: Fitted, k: int) -> Array:
    """Return the determinacies of group k, NaN where they are not defined."""
    if not fitted.engine.method.ordinal:
        return determinacy(fitted.states[k])
    try:
        return ordered_determinacy(fitted, k)
    except UnsupportedDataError:
        return np.full(len(fitted.engine.table.latent), math.nan)


class _Response:
    """The response model of one group: thresholds, loadings and residual standard deviations of its items."""

    def __init__(self, fitted: Fitted, k: int) -> None:
        objective = fitted.engine.discrepancy
        if not isinstance(objective, CategoricalLeastSquares):
            raise UnsupportedDataError("These scores are for ordered items: use 'regression' or 'bartlett'.")
        state, block = fitted.states[k], objective.blocks[k]
        table = fitted.engine.table
        p = state.structure.n_observed
        if len(block.ordered) < p:
            raise UnsupportedDataError("Scores from ordered and continuous items together are not supported.")
        residual = state.S[:p, :p]
        if np.abs(residual - np.diag(np.diag(residual))).max() > 0 or state.A[:p, :p].any():
            raise UnsupportedDataError(
                "Scores from ordered items need items that are independent given the factors: this model has residual "
                "covariances, or regressions among items."
            )
        self.loadings, self.intercepts = direct_loadings(state), state.mean[:p]
        self.sd = np.sqrt(np.maximum(np.diag(residual), 1e-12))
        self.alpha, self.phi = state.nu[p:], state.V[p:, p:]
        self.thresholds = _thresholds(block, table.values(fitted.x), p)
        self.categories = fitted.engine.sample.groups[k].categories

    def codes(self, rows: Array) -> Array:
        """Return category numbers from zero; -1 where there is no answer."""
        out = np.full(rows.shape, -1, dtype=np.intp)
        for i, known in enumerate(self.categories):
            place = np.searchsorted(known, rows[:, i])
            place = np.minimum(place, len(known) - 1)
            seen = ~np.isnan(rows[:, i])
            out[seen, i] = place[seen]
        return out

    def bounds(self, codes: Array, eta: Array) -> tuple[Array, Array]:
        """Return the standardised lower and upper bounds of each answer, arrays (n, p)."""
        center = self.intercepts + eta @ self.loadings.T
        low, high = np.full(codes.shape, -math.inf), np.full(codes.shape, math.inf)
        for i, tau in enumerate(self.thresholds):
            edges = np.concatenate([[-math.inf], tau, [math.inf]])
            seen = codes[:, i] >= 0
            low[seen, i] = edges[codes[seen, i]]
            high[seen, i] = edges[codes[seen, i] + 1]
        return (low - center) / self.sd, (high - center) / self.sd


def _thresholds(block: CategoricalBlock, values: Array, p: int) -> list[Array]:
    found: list[list[float]] = [[] for _ in range(p)]
    for _, item, row in block.threshold:
        found[item].append(float(values[row]))
    return [np.array(sorted(tau)) for tau in found]


def _density(z: Array) -> Array:
    finite = np.isfinite(z)
    return np.where(finite, np.exp(-0.5 * np.where(finite, z, 0.0) ** 2) / math.sqrt(2.0 * math.pi), 0.0)


def _cells(low: Array, high: Array) -> Array:
    """Probabilities between two bounds, without cancellation in the upper tail."""
    from scipy.special import ndtr

    upper = low > 0
    return np.where(upper, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))


def _penalised(response: _Response, codes: Array, eta: Array, precision: Array) -> Array:
    """Log-likelihood of each person plus the log prior."""
    cells = np.maximum(_cells(*response.bounds(codes, eta)), _FLOOR)
    gap = eta - response.alpha
    out: Array = np.where(codes >= 0, np.log(cells), 0.0).sum(axis=1) - 0.5 * ((gap @ precision) * gap).sum(axis=1)
    return out


def _slopes(response: _Response, codes: Array, eta: Array, precision: Array) -> tuple[Array, Array]:
    """Gradient (n, m) and observed information (n, m, m) of the penalised log-likelihood."""
    low, high = response.bounds(codes, eta)
    cells = np.maximum(_cells(low, high), _FLOOR)
    a, b = _density(low), _density(high)
    first = (a - b) / cells / response.sd
    la, lb = np.where(np.isfinite(low), low, 0.0) * a, np.where(np.isfinite(high), high, 0.0) * b
    second = first**2 - (la - lb) / cells / response.sd**2
    seen = codes >= 0
    first, second = np.where(seen, first, 0.0), np.where(seen, second, 0.0)
    gradient = first @ response.loadings - (eta - response.alpha) @ precision
    pairs = response.loadings[:, :, None] * response.loadings[:, None, :]
    return gradient, np.tensordot(second, pairs, 1) + precision
