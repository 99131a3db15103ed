r"""Robust CFI and RMSEA under missing answers.

Full-information chi-squares understate misfit when much is missing. The corrected discrepancy is that of complete data,
``F_C``, between the unrestricted (EM) and the implied moments; where the model holds, ``N F_C`` has the mean

.. math:: k = \operatorname{tr}(P' W_c P \Gamma), \quad P = I - \Delta (\Delta' W_m \Delta)^{-1} \Delta' W_m,

with ``W_m`` the observed information of the unrestricted moments, ``W_c`` that of complete data, and ``Gamma`` the
covariance matrix of the unrestricted moments, ``W_m^{-1}`` or its sandwich. ``N F_C`` and ``k / df`` then take the
place of chi-square and scaling factor in the robust indices.

References
----------
Zhang, X., & Savalei, V. (2023). New computations for RMSEA and CFI following FIML and TS estimation with missing data.
Psychological Methods, 28, 263-283.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from relmeasure.structural.estimation.discrepancy import NormalLikelihood, moment_jacobian
from relmeasure.structural.estimation.engine import Fitted
from relmeasure.structural.estimation.saturated import saturated_information, saturated_meat
from relmeasure.structural.evaluation.fit_measures import ChiSquare

__all__ = ["IncompleteMoments", "corrected_test", "normal_weight"]

Array = np.ndarray[Any, np.dtype[Any]]


def normal_weight(W: Array) -> Array:
    """Return the normal-theory information of means and covariances (upper triangle by rows), per complete row."""
    p = len(W)
    i, j = np.triu_indices(p)
    half = np.where(i == j, 0.5, 1.0)
    out = np.zeros((p + len(i), p + len(i)))
    out[:p, :p] = W
    upper = W[np.ix_(i, i)] * W[np.ix_(j, j)] + W[np.ix_(i, j)] * W[np.ix_(j, i)]
    out[p:, p:] = upper * np.outer(half, half)
    return out


class IncompleteMoments:
    """Information and covariance of the unrestricted moments of every group; the same for model and baseline."""

    def __init__(self, fitted: Fitted, exogenous: list[int]) -> None:
        engine = fitted.engine
        self.information, self.complete, self.covariance = [], [], []
        for k, group in enumerate(engine.sample.groups):
            mean, cov = np.asarray(group.mean), np.asarray(group.cov)
            W = saturated_information(group, mean, cov)
            random = ~_fixed_moments(len(cov), exogenous)  # given fixed exogenous variables the others' errors are less
            free = np.ix_(random, random)
            inner = np.linalg.inv(W[free])
            if engine.method.robust and engine.cases is not None:
                inner = inner @ saturated_meat(engine.cases.groups[k], mean, cov)[free] @ inner
            spread = np.zeros_like(W)
            spread[free] = inner
            self.information.append(engine.weights[k] * W)
            self.complete.append(engine.weights[k] * normal_weight(np.linalg.inv(cov)))
            self.covariance.append(spread / engine.weights[k])


def _fixed_moments(p: int, exogenous: list[int]) -> Array:
    i, j = np.triu_indices(p)
    inside = np.zeros(p, bool)
    inside[exogenous] = True
    return np.concatenate([inside, inside[i] & inside[j]])


def corrected_test(fitted: Fitted, df: float, moments: IncompleteMoments) -> ChiSquare:
    """Return ``N F_C`` with ``k / df`` as its scaling factor."""
    engine = fitted.engine
    distance = NormalLikelihood(engine.structure, engine.sample.groups, engine.weights).value(fitted.x)
    q = engine.structure.n_free
    parts = []
    for state in fitted.states:
        J = np.zeros((len(moments.information[0]), q))
        J[:, state.structure.index] = moment_jacobian(state)
        parts.append(J @ fitted.tangent)
    pulled = [W @ J for W, J in zip(moments.information, parts, strict=True)]
    inner = sum(J.T @ WJ for J, WJ in zip(parts, pulled, strict=True))
    try:
        hats = [np.linalg.solve(inner, WJ.T) for WJ in pulled]
    except np.linalg.LinAlgError:
        return ChiSquare(math.nan, df, math.nan)
    k = _mean(parts, hats, moments)
    return ChiSquare(2.0 * engine.sample.n_obs * distance, df, k / df if df > 0 else 1.0)


def _mean(parts: list[Array], hats: list[Array], moments: IncompleteMoments) -> float:
    """Return ``tr(P' W_c P Gamma)``; ``P`` mixes groups through the parameters they share."""
    total = sum(float((W * G).sum()) for W, G in zip(moments.complete, moments.covariance, strict=True))
    r = parts[0].shape[1]
    weighed, spread = np.zeros((r, r)), np.zeros((r, r))
    for J, H, W, G in zip(parts, hats, moments.complete, moments.covariance, strict=True):
        total -= 2.0 * float(((H @ G) @ W * J.T).sum())
        weighed += J.T @ W @ J
        spread += H @ G @ H.T
    return total + float((weighed * spread).sum())
