"""Models of many kinds on one simulated data set, for derivatives and identities."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from relmeasure.samplestats.moments import moment_sums
from relmeasure.samplestats.patterns import missing_patterns
from relmeasure.structural.estimation.discrepancy import (
    Discrepancy,
    GeneralizedLeastSquares,
    MomentLeastSquares,
    NormalLikelihood,
    stack_moments,
)
from relmeasure.structural.estimation.full_information import FullInformation
from relmeasure.structural.estimation.implied import ModelStructure
from relmeasure.structural.estimation.samples import GroupSample, sample_from_moments
from relmeasure.structural.estimation.start import starting_values, with_sample_moments
from relmeasure.structural.language.parameter_table import ParameterTable
from relmeasure.structural.language.specification import ModelOptions, build_table
from relmeasure.structural.language.syntax import parse_model

NAMES = tuple(f"y{k}" for k in range(1, 9))

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "one factor": ("f =~ y1 + y2 + y3 + y4", {}),
    "two factors": ("f =~ y1 + y2 + y3 + y4\ng =~ y5 + y6 + y7 + y8", {}),
    "unit variances": ("f =~ y1 + y2 + y3 + y4\ng =~ y5 + y6 + y7 + y8", {"std_lv": True}),
    "cross-loading": ("f =~ y1 + y2 + y3 + y4\ng =~ y5 + y6 + y7 + y8 + y1\ny2 ~~ y6", {}),
    "higher order": ("f =~ y1+y2+y3\ng =~ y4+y5+y6\nh =~ y7+y8\nk =~ f + g + h", {}),
    "path": ("y3 ~ y1 + y2\ny4 ~ y3 + y1\ny5 ~ y4 + y3\ny4 ~~ y5", {"fixed_x": False}),
    "latent regression": ("f =~ y1+y2+y3\ng =~ y4+y5+y6\ng ~ f + y7\nf ~ y7\ny8 ~ g", {"fixed_x": False}),
    "feedback": ("y3 ~ y1 + y4\ny4 ~ y2 + y3", {"fixed_x": False}),
    "growth": ("i =~ 1*y1+1*y2+1*y3+1*y4\ns =~ 0*y1+1*y2+2*y3+3*y4\ni ~ 1\ns ~ 1\ny1+y2+y3+y4 ~ 0*1", {}),
    "bifactor": ("k =~ y1+y2+y3+y4+y5+y6+y7+y8\nf =~ y1+y2+y3+y4", {"std_lv": True, "orthogonal": True}),
}


@cache
def simulated() -> np.ndarray[Any, Any]:
    """300 rows of 8 correlated items with unequal means and scales."""
    rng = np.random.default_rng(3)
    factor = rng.normal(size=(300, 2)) @ np.array([[1.0, 0.5], [0.0, 0.9]])
    loadings = np.repeat(np.eye(2), 4, axis=0) * rng.uniform(0.6, 1.1, (8, 1))
    rows = factor @ loadings.T + rng.normal(size=(300, 8)) * rng.uniform(0.6, 1.0, 8)
    return np.asarray(rows * rng.uniform(0.5, 2.0, 8) + rng.uniform(-2, 2, 8))


@cache
def incomplete() -> np.ndarray[Any, Any]:
    """The same with every seventh answer missing."""
    rows = simulated().copy()
    rows[np.random.default_rng(5).uniform(size=rows.shape) < 0.15] = np.nan
    return np.asarray(rows[~np.isnan(rows).all(axis=1)])


def table_of(name: str, *, means: bool) -> ParameterTable:
    text, options = MODELS[name]
    return build_table(parse_model(text), ModelOptions(**{"mean_structure": means or None, **options}))


def sample_of(table: ParameterTable) -> GroupSample:
    return sample_from_moments([("", moment_sums(simulated(), NAMES))], table.observed).groups[0]


def objective(table: ParameterTable, kind: str) -> tuple[Discrepancy, np.ndarray[Any, Any]]:
    """An objective of a kind, and a point near its starting values."""
    group = sample_of(table)
    table = with_sample_moments(table, [group])
    structure = ModelStructure(table)
    start = starting_values(table, [group])
    rng = np.random.default_rng(7)
    x = start * rng.uniform(0.9, 1.1, len(start)) + rng.uniform(-0.03, 0.03, len(start))
    if kind == "ML":
        return NormalLikelihood(structure, [group], [1.0]), x
    if kind == "GLS":
        return GeneralizedLeastSquares(structure, [group], [1.0]), x
    if kind == "FIML":
        at = [NAMES.index(name) for name in table.observed]
        rows = incomplete()[:, at]
        return FullInformation(structure, [missing_patterns(rows, table.observed)], [1.0], [0.0]), x
    moments = stack_moments(np.asarray(group.cov), np.asarray(group.mean) if table.mean_structure else None)
    weights = np.random.default_rng(9).uniform(0.5, 2.0, len(moments))
    V = weights if kind == "DWLS" else np.diag(weights) + 0.1
    return MomentLeastSquares(structure, [moments], [V], [1.0]), x
