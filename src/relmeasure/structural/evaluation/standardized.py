"""Standardised solutions with delta-method standard errors.

``std_lv`` scales factors to unit variance; ``std_all`` scales observed variables too, by their implied standard
deviations. Loadings and regressions become ``b sd(cause) / sd(effect)``, variances shares of the implied variance,
covariances correlations of what they connect (residual correlations, between residuals), intercepts multiples of the
standard deviation.

References
----------
Bollen, K. A. (1989). Structural Equations with Latent Variables, 123-126 and 349-350. Rao, C. R. (1973). Linear
Statistical Inference, section 6a.2 (delta method).
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from relmeasure.structural.estimation.engine import Fitted
from relmeasure.structural.estimation.implied import BlockState
from relmeasure.structural.estimation.ordinal import CategoricalLeastSquares

__all__ = ["StandardKind", "standardized_solution"]

Array = np.ndarray[Any, np.dtype[Any]]
StandardKind = Literal["std_lv", "std_all"]


def standardized_solution(fitted: Fitted, kind: StandardKind) -> tuple[Array, Array]:
    """Return the standardised value of each row of the table, and its Jacobian over the free parameters, (rows, q)."""
    table = fitted.engine.table
    n_rows, q = len(table), table.n_free
    values, jacobian = np.full(n_rows, math.nan), np.zeros((n_rows, q))
    for state in fitted.states:
        block = _Block(fitted, state, kind)
        for row in range(n_rows):
            if table.group[row] == state.structure.group and table.level[row] == state.structure.level:
                values[row], jacobian[row] = block.row(row)
    return values, jacobian


class _Block:
    """Standardisation within one block."""

    def __init__(self, fitted: Fitted, state: BlockState, kind: StandardKind) -> None:
        table = fitted.engine.table
        self.table, self.q = table, table.n_free
        names = [*table.observed, *table.latent]
        self.at = {name: i for i, name in enumerate(names)}
        self.values = fitted.row_values
        structure, m = state.structure, state.structure.n_variables
        scaled = np.arange(m) >= structure.n_observed if kind == "std_lv" else np.ones(m, bool)
        total = np.diag(state.V)
        full = np.concatenate([state.B, state.V], axis=1)
        slopes = np.zeros((m, self.q))
        slopes[:, structure.index] = 2.0 * structure.s * full[:, structure.a] * full[:, structure.b]
        own = np.diag(state.S)
        own_slopes = np.zeros((m, self.q))
        variances = (structure.free.kind == 1) & (structure.free.i == structure.free.j)
        own_slopes[structure.free.i[variances], structure.index[variances]] = 1.0
        if len(structure.derived):
            self._derive(fitted, state, slopes, own_slopes)
        self.own_slopes = own_slopes
        self.total = _Logs(total, slopes, scaled)
        self.unscaled = _Logs(total, slopes, np.ones(m, bool))
        self.own = _Logs(own, own_slopes, scaled)

    def _derive(self, fitted: Fitted, state: BlockState, slopes: Array, own_slopes: Array) -> None:
        """Add what follows from residual variances that follow from scales."""
        objective = fitted.engine.discrepancy
        if not isinstance(objective, CategoricalLeastSquares):
            return
        block = next(b for b in objective.blocks if b.structure is state.structure)
        derived = block.own_slopes(state, self.table.values(fitted.x))
        own_slopes[block.ordered] = derived
        slopes += (state.B[:, block.ordered] ** 2) @ derived

    def row(self, row: int) -> tuple[float, Array]:
        """Return the standardised value and its gradient."""
        table, op = self.table, self.table.op[row]
        value = float(self.values[row])
        gradient = np.zeros(self.q)
        if table.free[row]:
            gradient[table.free[row] - 1] = 1.0
        elif table.derived[row] and op == "~~":
            gradient = self.own_slopes[self.at[table.lhs[row]]]
        elif table.derived[row] and op == "~*~":  # theta: one over the implied standard deviation
            gradient = -value * self.unscaled.slope[self.at[table.lhs[row]]]
        lhs = self.at[table.lhs[row]]
        rhs = self.at.get(table.rhs[row], lhs)
        if op == "=~":
            parts = [(self.total, lhs, 1.0), (self.total, rhs, -1.0)]
        elif op == "~":
            parts = [(self.total, rhs, 1.0), (self.total, lhs, -1.0)]
        elif op == "~~" and lhs == rhs:
            parts = [(self.total, lhs, -2.0)]
        elif op == "~~":
            parts = [(self.own, lhs, -1.0), (self.own, rhs, -1.0)]
        elif op in ("~1", "|"):
            parts = [(self.total, lhs, -1.0)]
        elif op == "~*~":
            parts = [(self.total, lhs, 1.0)]
        else:
            return value, gradient
        scale, slope = 1.0, np.zeros(self.q)
        for logs, variable, power in parts:
            scale *= logs.sd[variable] ** power
            slope += power * logs.slope[variable]
        return value * scale, scale * (gradient + value * slope)


class _Logs:
    """Standard deviations, and the gradients of their logarithms; one and zero for variables that keep their scale."""

    def __init__(self, variances: Array, slopes: Array, scaled: Array) -> None:
        usable = variances > 0
        sd = np.sqrt(np.where(usable, variances, np.nan))
        self.sd: Array = np.where(scaled, sd, 1.0)
        safe = np.where(usable, variances, 1.0)
        self.slope: Array = np.where(scaled[:, None], 0.5 * slopes / safe[:, None], 0.0)
