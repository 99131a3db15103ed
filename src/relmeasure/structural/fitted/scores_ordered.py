"""Factor scores from ordered items of a fitted model; the numbers are made in ``numerics.latent_scores``.

The determinacy of such scores is the square root of their marginal reliability, ``1 - mean(se^2) / phi`` over the rows
of the fit: that of the latent responses, which nobody observes, would be too high.

References
----------
Green, B. F., Bock, R. D., Humphreys, L. G., Linn, R. L., & Reckase, M. D. (1984). Journal of Educational Measurement,
21, 347-360 (marginal reliability).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from relmeasure.exceptions import UnsupportedDataError
from relmeasure.numerics.latent_scores import ResponseModel, latent_modes
from relmeasure.structural.estimation.engine import Fitted
from relmeasure.structural.estimation.ordinal import CategoricalBlock, CategoricalLeastSquares
from relmeasure.structural.fitted.scores import determinacy, direct_loadings

__all__ = ["known_determinacy", "ordered_determinacy", "ordered_scores"]

Array = np.ndarray[Any, np.dtype[Any]]


def ordered_scores(fitted: Fitted, k: int, rows: Array, method: str) -> tuple[Array, Array]:
    """Return scores (n, factors) and standard errors of rows of group k; NaN where nothing was answered.

    ``method`` is ``"ebm"`` or ``"ml"``. ML scores of persons who chose only first or only last categories are not
    finite: they are NaN.
    """
    model = _response(fitted, k)
    answers = _answers(model, fitted.engine.sample.groups[k].categories, rows)
    return latent_modes(model, answers, prior=method == "ebm")


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


def _response(fitted: Fitted, k: int) -> ResponseModel:
    """Return the response model of one group."""
    objective = fitted.engine.discrepancy
    if not isinstance(objective, CategoricalLeastSquares):
        raise UnsupportedDataError("These scores are for ordered items: use 'regression' or 'bartlett'.")
    state, block = fitted.states[k], objective.blocks[k]
    p = state.structure.n_observed
    residual = state.S[:p, :p]
    if np.abs(residual - np.diag(np.diag(residual))).max() > 0 or state.A[:p, :p].any():
        raise UnsupportedDataError(
            "Scores from ordered items need items that are independent given the factors: this model has residual "
            "covariances, or regressions among items."
        )
    return ResponseModel(
        loadings=direct_loadings(state),
        intercepts=state.mean[:p],
        sd=np.sqrt(np.maximum(np.diag(residual), 1e-12)),
        thresholds=_thresholds(block, fitted.engine.table.values(fitted.x), p),
        mean=state.nu[p:],
        covariance=state.V[p:, p:],
    )


def _answers(model: ResponseModel, categories: Any, rows: Array) -> Array:
    """Return category numbers from zero, values of continuous items; NaN where there is no answer."""
    out = np.where(model.continuous, rows, np.nan)
    for i, known in enumerate(categories):
        if model.thresholds[i] is None:
            continue
        place = np.minimum(np.searchsorted(known, rows[:, i]), len(known) - 1)
        seen = ~np.isnan(rows[:, i])
        out[seen, i] = place[seen]
    return out


def _thresholds(block: CategoricalBlock, values: Array, p: int) -> list[Array | None]:
    found: list[list[float]] = [[] for _ in range(p)]
    for _, item, row in block.threshold:
        found[item].append(float(values[row]))
    ordered = set(block.ordered.tolist())
    return [np.array(sorted(tau)) if i in ordered else None for i, tau in enumerate(found)]
