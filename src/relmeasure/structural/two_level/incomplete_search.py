"""Unrestricted and independent moments from incomplete rows: first freely, then among covariances that can exist."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from relmeasure.structural.estimation.solving import solve
from relmeasure.structural.language.parameter_table import ParameterTable
from relmeasure.structural.two_level.bounded import bounded_moments, closeness
from relmeasure.structural.two_level.engine import TwoLevelEngine, TwoLevelFitted
from relmeasure.structural.two_level.incomplete import IncompleteTwoLevel
from relmeasure.structural.two_level.sample import Kind
from relmeasure.structural.two_level.saturated import NEAR

__all__ = ["moment_values", "searched"]

Array = np.ndarray[Any, np.dtype[Any]]


def moment_values(table: ParameterTable, within: Array, between: Array, mean: Array) -> Array:
    """Return the free parameters that are covariances and means of observed variables; zero for others."""
    at = {name: i for i, name in enumerate(table.observed)}
    x = np.zeros(table.n_free)
    for row in table.free_rows:
        first, second = at.get(table.lhs[row]), at.get(table.rhs[row])
        if table.op[row] == "~1" and first is not None:
            x[table.free[row] - 1] = mean[first]
        elif table.op[row] == "~~" and first is not None and second is not None:
            x[table.free[row] - 1] = (within if table.group[row] == 1 else between)[first, second]
    return x


class _Away(IncompleteTwoLevel):
    """The likelihood, not defined near a spike, so that no search runs into one."""

    def closeness(self, x: Array) -> float:
        """Return how far from the edge the matrices at ``x`` are; zero where they are not defined."""
        states, variables = self.states(x), self.variables
        if states is None:
            return 0.0
        both = np.ix_(variables.both, variables.both)
        within, between = (state.sigma[both] for state in states)
        if not len(within):
            return math.inf
        try:
            return closeness(within, between, float(self.sizes.n.max()))
        except np.linalg.LinAlgError:
            return 0.0

    def value(self, x: Array) -> float:
        """Return the value; infinite near a spike."""
        return super().value(x) if self.closeness(x) > 0.5 * NEAR else math.inf


def searched(
    engine: TwoLevelEngine, within: Array, between: Array, mean: Array, *, bounded: bool
) -> tuple[TwoLevelFitted, Kind]:
    """Return a model of free moments at its maximum, and what this is.

    With ``bounded``, or without a maximum away from the edge, covariances are held to those that can exist; that is not
    done with fixed predictors, whose moments are no unknowns.
    """
    likelihood = engine.likelihood
    if not isinstance(likelihood, IncompleteTwoLevel):
        raise TypeError("complete rows have their own search")
    x = moment_values(engine.table, within, between, mean)
    if not bounded:
        away = _Away(likelihood.structure, likelihood.cells, likelihood.variables, likelihood.sizes)
        found = solve(away, engine.restrictions, x, hopeless=lambda _: True)
        if found.converged and away.closeness(found.x) >= NEAR:
            return TwoLevelFitted(engine, found.x), "free"
    held = _held(engine, likelihood, within, between, mean)
    return TwoLevelFitted(engine, x if held is None else held), "none" if held is None else "bounded"


def _held(
    engine: TwoLevelEngine, likelihood: IncompleteTwoLevel, within: Array, between: Array, mean: Array
) -> Array | None:
    """Return the parameters of the maximum over covariances that can exist; None where it is not known."""
    table, variables, n = engine.table, likelihood.variables, likelihood.sizes.n_obs
    inner, outer = np.ix_(variables.at_within, variables.at_within), np.ix_(variables.at_between, variables.at_between)
    k, m = len(variables.at_within), len(variables.at_between)
    full, alone = (k * (k + 1) + m * (m + 1)) // 2, k + m
    diagonal = table.n_free == alone + len(mean)
    if not diagonal and table.n_free != full + len(mean):
        return None
    sd = np.sqrt(np.diag(within) + np.maximum(np.diag(between), 0.0))

    def values(W: Array, B: Array, others: Array) -> Array:
        S, T = np.zeros_like(within), np.zeros_like(between)
        S[inner], T[outer] = W, B
        return moment_values(table, S, T, others * sd)

    def objective(W: Array, B: Array, others: Array) -> tuple[float, Array, Array, Array]:
        x = values(W, B, others)
        deviance = likelihood.deviance(x)
        if not math.isfinite(deviance):
            return deviance, W, B, others
        (first, slope), (second, _) = likelihood.pulls(x)
        if slope is None:
            raise TypeError("the means are free")
        return deviance, 2.0 * n * first[inner], 2.0 * n * second[outer], 2.0 * n * slope * sd

    start = within[inner], between[outer]
    if diagonal:
        start = np.diag(np.diag(start[0])), np.diag(np.diag(start[1]))
    units = None if variables.at_within == variables.at_between else np.diag(sd[variables.at_between])
    found = bounded_moments(objective, *start, mean / sd, units=units, diagonal=diagonal)
    return None if found is None else values(*found[:3])
