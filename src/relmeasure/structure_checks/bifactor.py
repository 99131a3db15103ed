r"""How much one factor behind everything explains.

From the bifactor model, with loadings ``l_g`` on the general factor, ``l_s`` on the factors of the scales, and implied
covariances ``Sigma``:

.. math:: ECV = \frac{\sum \lambda_g^2}{\sum \lambda_g^2 + \sum \lambda_s^2}, \quad
          \omega_h = \frac{(\sum l_g)^2}{1'\Sigma 1}, \quad
          \omega_t = \frac{(\sum l_g)^2 + \sum_s (\sum l_s)^2}{1'\Sigma 1}

with standardised loadings in ECV, and in omega those of the keyed items as they are summed.

References
----------
Reise, S. P. (2012). Multivariate Behavioral Research, 47, 667-696 (bifactor model, ECV). Rodriguez, A., Reise, S. P., &
Haviland, M. G. (2016). Psychological Methods, 21, 137-150 (omega, ECV, PUC and their thresholds).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from relmeasure.numerics.coefficients import wald_interval
from relmeasure.results import Table
from relmeasure.structural.fitted.fit import StructuralFit
from relmeasure.structural.language.model_from_instrument import GENERAL

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Scale

__all__ = ["bifactor_tables"]

Array = np.ndarray[Any, np.dtype[Any]]


def bifactor_tables(fit: StructuralFit, scales: Sequence[Scale]) -> tuple[Table, Table]:
    """Return the indices of the whole and of each scale."""
    table = fit.table
    items = {name: i for i, name in enumerate(table.observed)}
    factors = [GENERAL, *(scale.id for scale in scales)]
    at = [(r, items[table.rhs[r]], factors.index(table.lhs[r])) for r in range(len(table)) if table.op[r] == "=~"]
    rows, item, factor = (np.array(part) for part in zip(*at, strict=True))

    def loadings(x: Array) -> tuple[Array, Array]:
        L = np.zeros((len(items), len(factors)))
        L[item, factor] = table.values(x)[rows]
        return L, fit._fitted.engine.structure.states(x)[0].sigma

    functions: dict[str, Callable[[Array], float]] = {
        "ecv": lambda x: _ecv(*loadings(x), list(items.values())),
        "omega_hierarchical": lambda x: _omega(*loadings(x), list(items.values()), [0]),
        "omega_total": lambda x: _omega(*loadings(x), list(items.values()), list(range(len(factors)))),
    }
    whole = [{"index": name, **_with_error(fit, function)} for name, function in functions.items()]
    whole.append({"index": "puc", "estimate": _puc(scales), "se": math.nan, "lower": math.nan, "upper": math.nan})
    L, sigma = loadings(np.asarray(fit.x))
    parts = []
    for k, scale in enumerate(scales, start=1):
        own = [items[name] for name in scale.items]
        numbers = (_omega(L, sigma, own, [0, k]), _omega(L, sigma, own, [k]), _ecv(L[:, [0, k]], sigma, own))
        names = ("omega_total", "omega_hierarchical", "ecv")
        parts.append({"scale": scale.id, "n_items": len(own), **dict(zip(names, numbers, strict=True))})
    return Table.from_rows(whole), Table.from_rows(parts)


def _ecv(L: Array, sigma: Array, items: list[int]) -> float:
    """Share of the first factor in the common variance, standardised."""
    share = (L[items] ** 2 / np.diag(sigma)[items, None]).sum(axis=0)
    return float(share[0] / share.sum())


def _omega(L: Array, sigma: Array, items: list[int], factors: list[int]) -> float:
    """Share of the variance of a sum that uncorrelated factors explain."""
    return float((L[np.ix_(items, factors)].sum(axis=0) ** 2).sum() / sigma[np.ix_(items, items)].sum())


def _puc(scales: Sequence[Scale]) -> float:
    """Share of the item correlations that only the general factor explains (Rodriguez et al., 2016, p. 145)."""
    items = list(dict.fromkeys(item for scale in scales for item in scale.items))
    within = {frozenset((a, b)) for scale in scales for a in scale.items for b in scale.items if a != b}
    pairs = len(items) * (len(items) - 1) / 2
    return 1.0 - len(within) / pairs


def _with_error(fit: StructuralFit, function: Callable[[Array], float]) -> dict[str, float]:
    """The value with its delta-method standard error; the gradient by central differences."""
    x = np.asarray(fit.x)
    gradient = np.zeros(len(x))
    for k in range(len(x)):
        step = 1e-5 * max(1.0, abs(float(x[k])))
        up, down = x.copy(), x.copy()
        up[k], down[k] = x[k] + step, x[k] - step
        gradient[k] = (function(up) - function(down)) / (2.0 * step)
    value, variance = function(x), float(gradient @ np.asarray(fit.covariance) @ gradient)
    se = math.sqrt(variance) if variance >= 0 else math.nan
    lower, upper = wald_interval(value, se, fit.conf_level)
    return {"estimate": value, "se": se, "lower": lower, "upper": upper}
