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
from relmeasure.structural.two_level.incomplete_search import moment_values, searched
from relmeasure.structural.two_level.sample import Kind, TwoLevelSample
from relmeasure.structural.two_level.saturated import unrestricted_moments
from relmeasure.structural.two_level.specification import composed_table

__all__ = [
    "fit_baseline",
    "fit_saturated",
    "refit",
    "sample_values",
    "with_saturated",
]

Array = np.ndarray[Any, np.dtype[Any]]


def sample_values(table: ParameterTable, sample: TwoLevelSample) -> Array:
    """Return the free parameters of such a table at the unrestricted moments."""
    inner, outer = sample.groups
    return moment_values(table, inner.cov, outer.cov, np.asarray(inner.mean) + np.asarray(outer.mean))


def fit_saturated(
    table: ParameterTable, sample: TwoLevelSample, method: Method, cases: Cases | None
) -> tuple[TwoLevelFitted, Kind]:
    """Return the unrestricted model at its estimates, and what they are; with missing answers they are searched for."""
    full = composed_table(table, "saturated", "saturated")
    engine = TwoLevelEngine(full, sample, method, cases)
    if sample.cells is None:
        return TwoLevelFitted(engine, sample_values(full, sample)), sample.unrestricted
    inner, outer = (np.asarray(group.cov) for group in sample.groups)
    mean = sum(np.asarray(group.mean) for group in sample.groups)
    return searched(engine, inner, outer, np.asarray(mean), bounded=sample.unrestricted != "free")


def with_saturated(sample: TwoLevelSample, saturated: TwoLevelFitted, kind: Kind) -> TwoLevelSample:
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
    return replace(sample, groups=groups, saturated=float(deviance), unrestricted=kind)


def fit_baseline(
    table: ParameterTable, sample: TwoLevelSample, method: Method, cases: Cases | None
) -> TwoLevelFitted | None:
    """Return the model without covariances at either level; None where it has no maximum that is known."""
    alone = composed_table(table, "independent", "independent")
    engine = TwoLevelEngine(alone, sample, method, cases)
    held = sample.unrestricted != "free"
    found = unrestricted_moments(sample.sizes, sample.variables, independent=True, bounded=held)
    predictors = sorted({sample.names.index(row.lhs) for row in alone.rows() if row.exo and row.is_free})
    if predictors:  # random predictors: their moments stay free in the baseline
        own = unrestricted_moments(
            sample.sizes.subset(predictors), sample.variables.subset(predictors), bounded=found.kind != "free"
        )
        square = np.ix_(predictors, predictors)
        found.within[square], found.between[square], found.mean[predictors] = own.within, own.between, own.mean
    if sample.cells is None:
        x = moment_values(alone, found.within, found.between, found.mean)
        return None if found.kind == "none" else TwoLevelFitted(engine, x)
    fitted, kind = searched(engine, found.within, found.between, found.mean, bounded=held or found.kind != "free")
    return None if kind == "none" else fitted


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
