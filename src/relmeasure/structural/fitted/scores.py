r"""Factor scores with standard errors and determinacy.

Regression scores are the conditional means ``E(eta | y)``; Bartlett's are conditionally unbiased:

.. math:: \hat\eta_R = \alpha + \Phi_{\eta y} \Sigma^{-1} (y - \mu), \quad
          \hat\eta_B = \alpha + (\Lambda' \Sigma^{-1} \Lambda)^{-1} \Lambda' \Sigma^{-1} (y - \mu).

Rows with missing answers are scored from what they hold (full information) or not at all (listwise).

References
----------
Thomson, G. H. (1951). The Factorial Analysis of Human Ability (regression). Bartlett, M. S. (1937). British Journal of
Psychology, 28, 97-104. Grice, J. W. (2001). Psychological Methods, 6, 430-450 (determinacy).
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from relmeasure.exceptions import EstimationError, ModelError, OptionError
from relmeasure.structural.estimation.engine import Fitted
from relmeasure.structural.estimation.implied import BlockState

__all__ = ["ScoreMethod", "factor_scores", "score_weights"]

Array = np.ndarray[Any, np.dtype[Any]]
ScoreMethod = Literal["regression", "bartlett", "ebm", "ml"]
"""Conditional means, conditionally unbiased scores; with ordered items, modes of the posterior or of the likelihood."""


def score_weights(state: BlockState, method: str, seen: Array | None = None) -> tuple[Array, Array]:
    """Return the weights of the observed variables (factors, p) and the error covariance matrix of the scores.

    Parameters
    ----------
    state : BlockState
    method : {"regression", "bartlett"}
    seen : array of int, optional
        Places of the answered variables; the weights of others are not returned.
    """
    if method not in ("regression", "bartlett"):
        raise OptionError.from_value("method", method, ("regression", "bartlett"))
    p = state.structure.n_observed
    at = np.arange(p) if seen is None else seen
    phi = state.V[p:, p:]
    if len(phi) == 0:
        raise ModelError("This model has no factors, so there are no factor scores.")
    sigma = state.sigma[np.ix_(at, at)]
    if method == "regression":
        cross = state.V[p:, at]
        weights: Array = np.linalg.solve(sigma, cross.T).T
        return weights, phi - weights @ cross.T
    loadings = direct_loadings(state)[at]
    inner = loadings.T @ np.linalg.solve(sigma, loadings)
    scale = np.sqrt(np.maximum(np.diag(inner), 1e-300))
    if np.linalg.eigvalsh(inner / np.outer(scale, scale))[0] < 1e-10:
        raise EstimationError(
            "Bartlett scores do not exist for these factors: some have no items of their own, or too few are answered. "
            "Use method='regression'."
        )
    weights = np.linalg.solve(inner, np.linalg.solve(sigma, loadings).T)
    error = np.linalg.inv(inner) - phi
    return weights, error


def direct_loadings(state: BlockState) -> Array:
    """Return what each factor does to the observed variables, other factors held; array (p, factors).

    The effect passes through observed variables; a factor measured by factors only has none of its own.
    """
    p = state.structure.n_observed
    inner = state.A[:p, :p]
    loadings: Array = state.A[:p, p:]
    return np.linalg.solve(np.eye(p) - inner, loadings) if inner.any() else loadings


def factor_scores(fitted: Fitted, k: int, rows: Array, method: str) -> tuple[Array, Array]:
    """Return scores (n, factors) of rows of group k and their standard errors; NaN where nothing was answered."""
    state, group = fitted.states[k], fitted.engine.sample.groups[k]
    p = state.structure.n_observed
    has_means = state.structure.has_means
    center = state.mu if has_means else np.asarray(group.mean)
    alpha = state.nu[p:]
    n, m = len(rows), len(alpha)
    scores, errors = np.full((n, m), np.nan), np.full((n, m), np.nan)
    seen = ~np.isnan(rows)
    patterns, where = np.unique(seen, axis=0, return_inverse=True)
    for g, pattern in enumerate(patterns):
        at = np.flatnonzero(pattern)
        if not len(at) or (len(at) < p and fitted.engine.method.discrepancy != "FIML"):
            continue
        here = where.ravel() == g
        weights, error = score_weights(state, method, at)
        scores[here] = alpha + (rows[np.ix_(here, at)] - center[at]) @ weights.T
        errors[here] = np.sqrt(np.maximum(np.diag(error), 0.0))
    return scores, errors


def determinacy(state: BlockState) -> Array:
    """Return the correlation of each factor with its regression score."""
    p = state.structure.n_observed
    _, error = score_weights(state, "regression")
    variance = np.diag(state.V)[p:]
    out: Array = np.sqrt(np.clip(1.0 - np.diag(error) / variance, 0.0, 1.0))
    return out
