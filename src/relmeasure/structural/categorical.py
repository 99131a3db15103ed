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

from relmeasure.structural.discrepancy import weigh
from relmeasure.structural.engine import Fitted
from relmeasure.structural.fit_measures import ChiSquare
from relmeasure.structural.ordinal import CategoricalBlock, CategoricalLeastSquares

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
    M = residual_weights(fitted)
    first, second = float(np.trace(M)), float((M * M.T).sum())
    if fitted.engine.method.test == "satorra.bentler":
        return ChiSquare(chisq, df, first / df)
    factor = math.sqrt(second / df)
    return ChiSquare(chisq, df, factor, df - first / factor)


def residual_weights(fitted: Fitted) -> Array:
    """Return ``U Gamma`` of all groups: its eigenvalues weight the limiting distribution of the statistic."""
    objective, engine = _objective(fitted), fitted.engine
    jacobians = objective.jacobians(fitted.x)
    pulled = [weigh(V, J) for V, J in zip(objective.V, jacobians, strict=True)]
    spread = [np.asarray(group.acov) for group in engine.sample.groups]
    bread = fitted.expected_bread
    sizes = np.cumsum([0, *(len(J) for J in jacobians)])
    out = np.zeros((sizes[-1], sizes[-1]))
    for g, (V, G) in enumerate(zip(objective.V, spread, strict=True)):
        own = slice(sizes[g], sizes[g + 1])
        out[own, own] = V[:, None] * G if V.ndim == 1 else V @ G
    if bread is None:
        return np.full_like(out, np.nan)
    left = np.concatenate([w * P for w, P in zip(engine.sample.shares, pulled, strict=True)])
    right = np.concatenate(fitted.pulled_acov, axis=1)
    weights: Array = out - left @ (bread @ right)
    return weights


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
    indices for latent variable models with binary and continuous outcomes, eq. 16; groups as in lavaan).
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
