r"""Reliability of composites from a fitted model, each coefficient with its denominator.

For the items of a factor with loadings ``l``, factor variance ``phi`` and implied (or observed) item covariances ``S``:

.. math:: \omega = \phi (1'l)^2 / 1'S1, \quad AVE = \phi\, l'l / \operatorname{tr}(S), \quad
          H = \phi\, l' \Theta^{-1} l / (1 + \phi\, l' \Theta^{-1} l).

With ordered items all of this is about the latent responses, scaled to the unit variance of their sample correlations
(so that delta and theta agree); a sum of the categories themselves is less reliable (Green & Yang, 2009).

References
----------
McDonald, R. P. (1999). Test Theory: a Unified Treatment, 88-90. Fornell, C., & Larcker, D. F. (1981). Journal of
Marketing Research, 18, 39-50. Hancock, G. R., & Mueller, R. O. (2001). In Cudeck et al. (Eds.), 195-216. Henseler, J.,
Ringle, C. M., & Sarstedt, M. (2015). Journal of the Academy of Marketing Science, 43, 115-135 (HTMT). Roemer, E.,
Schuberth, F., & Henseler, J. (2021). Industrial Management & Data Systems, 121, 2637-2650 (HTMT2). Green, S. B., &
Yang, Y. (2009). Psychometrika, 74, 155-167 (sums of categories).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from relmeasure.exceptions import KeyDirectionWarning, RelmeasureWarning, shorten
from relmeasure.results import Table
from relmeasure.structural.estimation.engine import Fitted
from relmeasure.structural.fitted.scores import direct_loadings
from relmeasure.structural.fitted.scores_ordered import known_determinacy

__all__ = ["composite_reliability", "heterotrait_monotrait"]

Array = np.ndarray[Any, np.dtype[Any]]

COLUMNS = (
    "factor",
    "group",
    "n_items",
    "omega_implied",
    "omega_observed",
    "alpha",
    "ave",
    "composite_reliability",
    "maximal_reliability",
    "determinacy",
    "metric",
)


def composite_reliability(fitted: Fitted) -> tuple[Table, list[RelmeasureWarning]]:
    """Return one row a factor and group, and warnings about sums of items that run against each other.

    A factor measured by factors only takes the items below them, with its total effects: omega is then that of the sum
    of all these items, and AVE and maximal reliability are not defined.
    """
    table = fitted.engine.table
    rows: list[dict[str, Any]] = []
    raised: list[RelmeasureWarning] = []
    for k, state in enumerate(fitted.states):
        p = state.structure.n_observed
        direct, sample = direct_loadings(state), fitted.engine.sample.groups[k]
        certain = known_determinacy(fitted, k) if table.latent else np.zeros(0)
        scale = fitted.response_scales(k)
        both = np.outer(scale, scale)
        for f, factor in enumerate(table.latent):
            own = bool(direct[:, f].any())
            loadings = direct[:, f] if own else state.B[:p, p + f]
            at = np.flatnonzero(loadings)
            if not len(at):
                continue
            raised += _mixed_signs(factor, [table.observed[i] for i in at], loadings[at])
            square = np.ix_(at, at)
            phi = float(state.S[p + f, p + f] if not own else state.V[p + f, p + f])
            implied, residual = (state.sigma * both)[square], (state.S[:p, :p] * both)[square]
            numbers = _coefficients((loadings * scale)[at], phi, implied, sample.cov[square], residual, own=own)
            group = table.groups[state.structure.group - 1]
            metric = "latent responses" if any(table.observed[i] in table.ordered for i in at) else "answers"
            rows.append(dict(zip(COLUMNS, (factor, group, len(at), *numbers, float(certain[f]), metric), strict=True)))
    return Table.from_rows(rows, COLUMNS), raised


def _mixed_signs(factor: str, names: list[str], loadings: Array) -> list[RelmeasureWarning]:
    fewer = loadings < 0 if (loadings < 0).sum() <= len(loadings) / 2 else loadings > 0
    if not fewer.any():
        return []
    turned = [name for name, turn in zip(names, fewer, strict=True) if turn]
    return [
        KeyDirectionWarning(
            f"{shorten(turned)} load on {factor} against its other items: the sum of these items, and its reliability, "
            "mix directions. Reverse them first, or use an instrument, which knows the keys.",
            factor=factor,
            items=turned,
        )
    ]


def _coefficients(
    loadings: Array, phi: float, implied: Array, observed: Array, theta: Array, *, own: bool
) -> tuple[float, ...]:
    """Omega over the implied and the observed variance, alpha, AVE, composite and maximal reliability."""
    k = len(loadings)
    common = phi * float(loadings.sum()) ** 2
    residual = np.diag(theta)
    alpha = k / (k - 1) * (1.0 - float(np.trace(observed)) / float(observed.sum())) if k > 1 else math.nan
    omegas = (common / float(implied.sum()), common / float(observed.sum()), alpha)
    if not own:
        return (*omegas, math.nan, math.nan, math.nan)
    precision = phi * float((loadings**2 / residual).sum()) if (residual > 0).all() else math.inf
    return (
        *omegas,
        phi * float(loadings @ loadings) / float(np.trace(implied)),
        common / (common + float(residual.sum())),
        precision / (1.0 + precision) if math.isfinite(precision) else 1.0,
    )


def heterotrait_monotrait(fitted: Fitted, *, geometric: bool = True) -> Table:
    """Return the ratio of correlations between and within the items of each pair of factors.

    ``geometric``: geometric means (HTMT2), which assume congeneric items; else arithmetic means (HTMT). Sample
    correlations, in absolute value; NaN where a factor has fewer than two items.
    """
    table = fitted.engine.table
    rows = []
    for k, state in enumerate(fitted.states):
        S = np.asarray(fitted.engine.sample.groups[k].cov)
        R = np.abs(S / np.sqrt(np.outer(np.diag(S), np.diag(S))))
        loadings = direct_loadings(state)
        items = [np.flatnonzero(loadings[:, f]) for f in range(len(table.latent))]
        for a, first in enumerate(table.latent):
            for b in range(a + 1, len(table.latent)):
                if not len(items[a]) or not len(items[b]):
                    continue
                value = _ratio(R, items[a], items[b], geometric=geometric)
                rows.append({"factor_1": first, "factor_2": table.latent[b], "group": table.groups[k], "htmt": value})
    return Table.from_rows(rows, ("factor_1", "factor_2", "group", "htmt"))


def _ratio(R: Array, first: Array, second: Array, *, geometric: bool) -> float:
    if len(first) < 2 or len(second) < 2:
        return math.nan

    def mean(values: Array) -> float:
        return float(np.exp(np.log(values).mean())) if geometric else float(values.mean())

    within = [mean(R[np.ix_(at, at)][np.triu_indices(len(at), 1)]) for at in (first, second)]
    return mean(R[np.ix_(first, second)].ravel()) / math.sqrt(within[0] * within[1])
