r"""Reliability of sums of items at two levels, each coefficient under its own id.

With the loadings ``l`` of a factor's items, its variance ``phi``, item covariances ``S_W`` and ``S_B`` and a class of
``n`` students:

- ``omega_within``, ``phi_W (1'l)^2 / 1'S_W 1``: of differences between students of one class;
- ``omega_between``, ``phi_B (1'l)^2 / 1'S_B 1``: of *true* class means, as if classes had endless students;
- ``omega_shared``, ``phi_B (1'l)^2 / (1'S_B 1 + 1'S_W 1 / n)``: of the *observed* class mean, for the factor;
- ``icc2``, ``b / (b + w / n)``, ``b`` and ``w`` the variance components of the sum itself (maximum likelihood, without
  the model): of the observed class mean, whatever its items have in common;
- ``omega_configural``, ``(phi_W + phi_B) (1'l)^2 / 1'(S_W + S_B) 1``: of single students over all classes, with
  loadings that are equal at both levels;
- ``alpha_within``, ``alpha_between``: coefficient alpha of the unrestricted covariances of a level.

``.implied_variance`` takes the model's covariances for ``S``, ``.observed_variance`` the unrestricted ones (without a
standard error: it would have to carry that of the unrestricted variance).

References
----------
Geldhof, G. J., Preacher, K. J., & Zyphur, M. J. (2014). Psychological Methods, 19, 72-91 (within, between). Lai, M. H.
C. (2021). Psychological Methods, 26, 90-102 (shared, configural). Bliese, P. D. (2000). In Klein & Kozlowski (Eds.),
Multilevel Theory, Research, and Methods in Organizations, 349-381 (ICC2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from relmeasure.exceptions import InadmissibleWarning, KeyDirectionWarning, OptionError, RelmeasureWarning, shorten
from relmeasure.numerics.optimize import numerical_jacobian
from relmeasure.results import Table
from relmeasure.structural.estimation.implied import BlockState
from relmeasure.structural.fitted.scores import direct_loadings
from relmeasure.structural.two_level.components import sum_components
from relmeasure.structural.two_level.sample import LEVELS

if TYPE_CHECKING:
    from relmeasure.structural.two_level.fit import TwoLevelFit

__all__ = ["class_mean_table", "reliability_table"]

Array = np.ndarray[Any, np.dtype[Any]]

COLUMNS = ("factor", "coefficient", "level", "n_items", "class_size", "estimate", "se", "lower", "upper")

_EQUAL = 1e-7
"""Largest relative difference of loadings that count as equal over levels."""


@dataclass(frozen=True)
class Composite:
    """The sum of the items of one factor.

    Attributes
    ----------
    name : str
    k : int
        Level: 0 within, 1 between.
    factor : int
        Place among the factors.
    items : array of int
    """

    name: str
    k: int
    factor: int
    items: Array


def composites(fit: TwoLevelFit) -> list[Composite]:
    """Return the sums that the factors of both levels stand for."""
    out = []
    for k, state in enumerate(fit._fitted.states):
        loadings = direct_loadings(state)
        for f, name in enumerate(fit.table.latent):
            items = np.flatnonzero(loadings[:, f])
            if len(items):
                out.append(Composite(name, k, f, items))
    return out


def reliability_table(fit: TwoLevelFit, n: float | None, level: float) -> tuple[Table, list[RelmeasureWarning]]:
    """Return one row a coefficient; delta-method standard errors."""
    sizes = np.asarray(fit.sample.sums.n, dtype=float)
    size = float(len(sizes) / (1.0 / sizes).sum()) if n is None else _checked(n)
    found = composites(fit)
    rows: list[dict[str, Any]] = []
    raised: list[RelmeasureWarning] = []
    for composite in found:
        twin = next((c for c in found if c.k == 0 and composite.k == 1 and set(c.items) == set(composite.items)), None)
        raised += _directions(fit, composite)
        for name, own_level, class_size, function in _coefficients(fit, composite, twin, size):
            estimate, se = _delta(fit, function)
            raised += _beyond(composite.name, name, estimate) if callable(function) else []
            half = _quantile(level) * se
            values = (composite.name, name, own_level, len(composite.items), class_size, estimate, se)
            rows.append(dict(zip(COLUMNS, (*values, estimate - half, estimate + half), strict=True)))
    return Table.from_rows(rows, COLUMNS), raised


def _checked(n: float) -> float:
    if not n >= 1:
        raise OptionError.from_value("n", n, ("a class size of at least 1",))
    return float(n)


def _quantile(level: float) -> float:
    from scipy.special import ndtri

    if not 0.0 < level < 1.0:
        raise OptionError.from_value("conf_level", level, ("a number between 0 and 1",))
    return float(ndtri(0.5 + level / 2.0))


Function = Callable[[list[BlockState]], float]


def _common(states: list[BlockState], c: Composite) -> float:
    state = states[c.k]
    p = state.structure.n_observed
    loadings = direct_loadings(state)[c.items, c.factor]
    return float(state.V[p + c.factor, p + c.factor]) * float(loadings.sum()) ** 2


def _total(states: list[BlockState], k: int, items: Array) -> float:
    return float(states[k].sigma[np.ix_(items, items)].sum())


def _coefficients(
    fit: TwoLevelFit, c: Composite, twin: Composite | None, n: float
) -> list[tuple[str, str, float, Function | float | tuple[float, float]]]:
    """Return name, level, class size and the function (or, without the model, the value) of each coefficient."""
    items, k, level = c.items, c.k, LEVELS[c.k]
    square = np.ix_(items, items)
    states = fit._fitted.states
    observed = [float(np.asarray(group.cov)[square].sum()) for group in fit.sample.groups]
    out: list[tuple[str, str, float, Function | float | tuple[float, float]]] = [
        (f"omega_{level}.implied_variance", level, math.nan, lambda s: _common(s, c) / _total(s, k, items)),
        (f"omega_{level}.observed_variance", level, math.nan, _common(states, c) / observed[k]),
        (f"alpha_{level}", level, math.nan, _alpha(np.asarray(fit.sample.groups[k].cov)[square])),
    ]
    if k == 0:
        return out
    decomposed = all(fit.sample.within[i] for i in items)
    if decomposed:

        def spread(s: list[BlockState]) -> float:
            return _total(s, 1, items) + _total(s, 0, items) / n

        out += [
            ("omega_shared", "class mean", n, lambda s: _common(s, c) / spread(s)),
            ("icc2", "class mean", n, sum_components(fit.sample, items).icc2(n)),
        ]
    if twin is not None and _equal_loadings(fit, c, twin):
        both = sum(observed)

        def common(s: list[BlockState]) -> float:
            return _common(s, c) + _common(s, twin)

        out += [
            (
                "omega_configural.implied_variance",
                "both",
                math.nan,
                lambda s: common(s) / (_total(s, 0, items) + _total(s, 1, items)),
            ),
            ("omega_configural.observed_variance", "both", math.nan, common(states) / both),
        ]
    return out


def _equal_loadings(fit: TwoLevelFit, c: Composite, twin: Composite) -> bool:
    inner, outer = (direct_loadings(fit._fitted.states[part.k])[c.items, part.factor] for part in (twin, c))
    return bool(np.abs(inner - outer).max() <= _EQUAL * np.abs(inner).max())


def _alpha(S: Array) -> float:
    k = len(S)
    return k / (k - 1) * (1.0 - float(np.trace(S)) / float(S.sum())) if k > 1 else math.nan


def _delta(fit: TwoLevelFit, function: Function | float | tuple[float, float]) -> tuple[float, float]:
    """Return the value and its delta-method standard error; NaN for values that do not rest on the model."""
    if isinstance(function, tuple):
        return function
    if isinstance(function, float):
        return function, math.nan
    structure, x = fit._fitted.engine.structure, np.asarray(fit.x)
    value = function(structure.states(x))
    slopes = numerical_jacobian(lambda at: np.array([function(structure.states(at))]), x)[0]
    variance = float(slopes @ np.asarray(fit.covariance) @ slopes)
    return value, math.sqrt(variance) if variance >= 0 else math.nan


def _directions(fit: TwoLevelFit, c: Composite) -> list[RelmeasureWarning]:
    loadings = direct_loadings(fit._fitted.states[c.k])[c.items, c.factor]
    fewer = loadings < 0 if (loadings < 0).sum() <= len(loadings) / 2 else loadings > 0
    if not fewer.any():
        return []
    turned = [fit.table.observed[i] for i, turn in zip(c.items, fewer, strict=True) if turn]
    return [
        KeyDirectionWarning(
            f"{shorten(turned)} load on {c.name} against its other items: the sum of these items, and its reliability, "
            "mix directions. Reverse them first, or use an instrument, which knows the keys.",
            factor=c.name,
            items=turned,
        )
    ]


def _beyond(factor: str, name: str, estimate: float) -> list[RelmeasureWarning]:
    if not estimate > 1.0:
        return []
    return [
        InadmissibleWarning(
            f"{name} of {factor} is {estimate:.3f}, above one: negative residual variances make the sum of the items "
            "vary less than its factor. Read it as close to one, or bound these variances with lower(0).",
            factor=factor,
            coefficient=name,
            value=estimate,
        )
    ]


def class_mean_table(fit: TwoLevelFit) -> Table:
    """Return the reliability of each class's observed mean, at its own size."""
    sums, states = fit.sample.sums, fit._fitted.states
    columns: dict[str, Any] = {"cluster": sums.labels, "n": tuple(int(v) for v in sums.n)}
    n = np.asarray(sums.n, dtype=float)
    for c in composites(fit):
        if c.k == 1 and all(fit.sample.within[i] for i in c.items):
            spread = _total(states, 1, c.items) + _total(states, 0, c.items) / n
            components = sum_components(fit.sample, c.items)
            columns[f"{c.name}_omega_shared"] = tuple(_common(states, c) / spread)
            columns[f"{c.name}_icc2"] = tuple(components.between / (components.between + components.within / n))
    return Table(columns)
