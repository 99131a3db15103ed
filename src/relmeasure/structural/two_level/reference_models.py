"""The models that a two-level model is tested against: unrestricted, independent, and each for one level only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from relmeasure.results import frozen_array
from relmeasure.structural.estimation.cases import Cases
from relmeasure.structural.estimation.method import Method
from relmeasure.structural.estimation.solving import solve
from relmeasure.structural.language.parameter_table import ParameterTable
from relmeasure.structural.two_level.engine import TwoLevelEngine, TwoLevelFitted
from relmeasure.structural.two_level.sample import TwoLevelSample
from relmeasure.structural.two_level.saturated import unrestricted_moments
from relmeasure.structural.two_level.specification import composed_table

__all__ = [
    "fit_baseline",
    "fit_saturated",
    "moment_values",
    "refit",
    "sample_values",
    "with_saturated",
]

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


def sample_values(table: ParameterTable, sample: TwoLevelSample) -> Array:
    """Return the free parameters of such a table at the unrestricted moments."""
    inner, outer = sample.groups
    return moment_values(table, inner.cov, outer.cov, np.asarray(inner.mean) + np.asarray(outer.mean))


def fit_saturated(table: ParameterTable, sample: TwoLevelSample, method: Method, cases: Cases | None) -> TwoLevelFitted:
    """Return the unrestricted model at its estimates; with missing answers they are searched for."""
    full = composed_table(table, "saturated", "saturated")
    engine = TwoLevelEngine(full, sample, method, cases)
    x = sample_values(full, sample)
    if sample.cells is None:
        return TwoLevelFitted(engine, x)
    return TwoLevelFitted(engine, solve(engine.discrepancy, engine.restrictions, x).x)


def with_saturated(sample: TwoLevelSample, saturated: TwoLevelFitted) -> TwoLevelSample:
    """Return a sample with the unrestricted moments, and their likelihood, that were searched for."""
    if sample.cells is None:
        return sample
    states = saturated.states
    between = np.array(sample.between)
    mean = states[0].mu + states[1].mu
    inner, outer = sample.groups
    groups = (
        replace(inner, mean=frozen_array(np.where(between, 0.0, mean)), cov=frozen_array(states[0].sigma)),
        replace(outer, mean=frozen_array(np.where(between, mean, 0.0)), cov=frozen_array(states[1].sigma)),
    )
    deviance = saturated.engine.likelihood.deviance(saturated.x)
    return replace(sample, groups=groups, saturated=float(deviance))


def fit_baseline(table: ParameterTable, sample: TwoLevelSample, method: Method, cases: Cases | None) -> TwoLevelFitted:
    """Return the model without covariances at either level."""
    alone = composed_table(table, "independent", "independent")
    engine = TwoLevelEngine(alone, sample, method, cases)
    found = unrestricted_moments(sample.sizes, sample.variables, independent=True)
    predictors = sorted({sample.names.index(row.lhs) for row in alone.rows() if row.exo and row.is_free})
    if predictors:  # random predictors: their moments stay free in the baseline
        own = unrestricted_moments(sample.sizes.subset(predictors), sample.variables.subset(predictors))
        square = np.ix_(predictors, predictors)
        found.within[square], found.between[square], found.mean[predictors] = own.within, own.between, own.mean
    x = moment_values(alone, found.within, found.between, found.mean)
    if sample.cells is None:
        return TwoLevelFitted(engine, x)
    return TwoLevelFitted(engine, solve(engine.discrepancy, engine.restrictions, x).x)


def refit(
    table: ParameterTable,
    sample: TwoLevelSample,
    method: Method,
    start: Array,
    cases: Cases | None = None,
    *,
    max_iterations: int = 200,
) -> tuple[TwoLevelFitted, bool]:
    """Fit another table to the sample; whether it converged comes with it."""
    engine = TwoLevelEngine(table, sample, method, cases)
    solution = solve(engine.discrepancy, engine.restrictions, start, max_iterations=max_iterations)
    return TwoLevelFitted(engine, solution.x, solution.active), solution.converged
