"""Tests, residuals and indices of models of ordered items.

References
----------
Muthen, B., du Toit, S. H. C., & Spisic, D. (1997). Asparouhov, T., & Muthen, B. (2010). Simple second order chi-square
correction (scaled and shifted). Savalei, V. (2021). Improving fit indices in structural equation modeling with
categorical data. Multivariate Behavioral Research, 56, 390-407 (robust indices).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from relmeasure.structural.estimation.discrepancy import weigh
from relmeasure.structural.estimation.engine import Fitted
from relmeasure.structural.estimation.ordinal import CategoricalBlock, CategoricalLeastSquares
from relmeasure.structural.evaluation.fit_measures import ChiSquare

__all__ = [
    "categorical_residuals",
    "categorical_robust",
    "categorical_lack",
    "categorical_test",
    "weighted_root_mean_square_residual",
]

Array = np.ndarray[Any, np.dtype[Any]]

_EXACT = 1e-6
"""Largest residual of a threshold that is reproduced: correlations alone say nothing of restricted thresholds."""


def categorical_test(fitted: Fitted, chisq: float, df: float) -> ChiSquare:
    """Scale a least-squares statistic of ordered items by its mean (WLSM), or its mean and variance (WLSMV)."""
    if df <= 0:
        return ChiSquare(chisq, df, 1.0)
    first, second = residual_traces(fitted)
    if fitted.engine.method.test == "satorra.bentler":
        return ChiSquare(chisq, df, first / df)
    factor = math.sqrt(second / df)
    return ChiSquare(chisq, df, factor, df - first / factor)


def residual_traces(fitted: Fitted) -> tuple[float, float]:
    r"""Return ``tr(M)`` and ``tr(M^2)`` of ``M = U Gamma``, whose roots weight the limit of the statistic.

    ``M`` is not made. With ``P_g = J_g' V_g Gamma_g``, shares ``w``, inverse information ``E`` and the covariance ``B``
    of the gradient,

    .. math:: \operatorname{tr} M = \sum_g \operatorname{tr}(V_g \Gamma_g) - \operatorname{tr}(E B), \quad
              \operatorname{tr} M^2 = \sum_g \operatorname{tr}(V_g \Gamma_g V_g \Gamma_g)
              - 2 \operatorname{tr}\Big(E \sum_g w_g P_g V_g P_g'\Big) + \operatorname{tr}((E B)^2).
    """
    objective, engine = _objective(fitted), fitted.engine
    bread = fitted.expected_bread
    if bread is None:
        return math.nan, math.nan
    first = second = 0.0
    inner = np.zeros_like(bread)
    for V, group, share, P in zip(
        objective.V, engine.sample.groups, engine.sample.shares, fitted.pulled_acov, strict=True
    ):
        spread = np.asarray(group.acov)
        if V.ndim == 1:
            first += float(V @ np.diag(spread))
            second += float(V @ (spread * spread) @ V)
            inner += share * ((P * V) @ P.T)
        else:
            weighted = V @ spread
            first, second = first + float(np.trace(weighted)), second + float((weighted * weighted.T).sum())
            inner += share * (P @ V @ P.T)
    EB = bread @ fitted.categorical_meat
    first -= float(np.trace(EB))
    second += float((EB * EB.T).sum()) - 2.0 * float((bread * inner).sum())
    return first, second


def categorical_residuals(fitted: Fitted, k: int) -> dict[str, Array]:
    """Return sample and implied moments of a group in the scales of its latent responses."""
    objective, group, state = _objective(fitted), fitted.engine.sample.groups[k], fitted.states[k]
    block = objective.blocks[k]
    delta = fitted.response_scales(k)
    ordered = np.isin(np.arange(len(delta)), block.ordered)
    return {
        "S": np.asarray(group.cov),
        "sigma": state.sigma * np.outer(delta, delta),
        "m": np.asarray(group.mean),
        "mu": np.where(ordered, np.asarray(group.mean), state.mu),
        "thresholds": objective.residuals(fitted.x)[k][[place for place, _, _ in block.threshold]],
    }


def categorical_lack(fitted: Fitted) -> tuple[float, int]:
    """Return weighted squares of residuals over those of the sample moments (mean over groups), and their number."""
    objective = _objective(fitted)
    shares = zip(fitted.engine.weights, objective.V, objective.residuals(fitted.x), objective.moments, strict=True)
    lack = sum(w * float(r @ weigh(V, r)) / float(s @ weigh(V, s)) for w, V, r, s in shares)
    return lack, sum(map(len, objective.moments))


def weighted_root_mean_square_residual(fitted: Fitted) -> float:
    """Return WRMR: the root of the mean squared residual in units of its sampling variance, groups added up.

    ``sqrt(sum_g sum_r (s_gr - sigma_gr)^2 / v_gr / e_g)`` over the ``e_g`` thresholds, means and (co)variances of a
    group, ``v`` being their asymptotic variances over ``n_g - 1`` (Yu, 2002, Evaluating cutoff criteria of model fit
    indices for latent variable models with binary and continuous outcomes; groups as in lavaan).
    """
    engine, total = fitted.engine, 0.0
    for k, (group, left) in enumerate(zip(engine.sample.groups, _objective(fitted).residuals(fitted.x), strict=True)):
        n = engine.weights[k] * engine.n_effective
        total += n * float((left**2 / np.diag(np.asarray(group.acov))).mean())
    return math.sqrt(total)


def _objective(fitted: Fitted) -> CategoricalLeastSquares:
    objective = fitted.engine.discrepancy
    if not isinstance(objective, CategoricalLeastSquares):
        raise ValueError("this is for ordered items")
    return objective


# --------------------------------------------------------------------------- robust indices
def categorical_robust(fitted: Fitted, df: float) -> ChiSquare | None:
    r"""Return the statistic on which robust CFI and RMSEA rest: maximum likelihood on correlations.

    The least-squares estimates are put into the normal discrepancy of the correlations; where the model holds, ``N``
    times it has the mean ``tr(P' W P Gamma)``, with ``P`` the residual projection of the least-squares estimator and
    ``W`` the normal-theory weights at the implied correlations. None where a matrix is not positive definite, or items
    are not all ordered.
    """
    objective, engine = _objective(fitted), fitted.engine
    if any(len(block.ordered) < block.structure.n_observed for block in objective.blocks) or df <= 0:
        return None
    bread = fitted.expected_bread
    if bread is None:
        return None
    statistic = mean = 0.0
    spread = bread @ fitted.categorical_meat @ bread
    for k, (block, J) in enumerate(zip(objective.blocks, objective.jacobians(fitted.x), strict=True)):
        moments, weight = categorical_residuals(fitted, k), engine.sample.shares[k]
        if np.abs(moments["thresholds"]).max(initial=0.0) > _EXACT:
            return None
        try:
            statistic += weight * _normal_distance(moments["S"], moments["sigma"])
            W = _correlation_weights(block, moments["sigma"])
        except np.linalg.LinAlgError:
            return None
        at = [place for place, _, _ in block.cov]  # thresholds weigh nothing
        WJ = W @ J[at]
        mean += float((W * np.asarray(engine.sample.groups[k].acov)[np.ix_(at, at)]).sum())
        mean -= 2.0 * weight * float((WJ @ bread * fitted.pulled_acov[k][:, at].T).sum())
        mean += weight * float((WJ * (J[at] @ spread)).sum())
    n = engine.sample.n_obs
    scale = n / engine.n_effective  # both as lavaan has them
    return ChiSquare(scale * n * statistic, df, scale * mean / df)


def _normal_distance(R: Array, sigma: Array) -> float:
    """Normal discrepancy between two matrices, both positive definite."""
    np.linalg.cholesky(R), np.linalg.cholesky(sigma)
    logs = float(np.linalg.slogdet(sigma)[1]) - float(np.linalg.slogdet(R)[1])
    return logs + float(np.trace(np.linalg.solve(sigma, R))) - len(R)


def _correlation_weights(block: CategoricalBlock, sigma: Array) -> Array:
    """Normal-theory weights of the correlations, in the order of ``block.cov``."""
    W = np.linalg.inv(sigma)
    _, i, j = np.array(block.cov).T
    out: Array = W[np.ix_(i, i)] * W[np.ix_(j, j)] + W[np.ix_(i, j)] * W[np.ix_(j, i)]
    return out
