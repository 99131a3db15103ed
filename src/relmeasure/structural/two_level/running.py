"""One call with levels: read the blocks, read the data, estimate, assess, report."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from relmeasure.exceptions import NotIdentifiedWarning, RelmeasureWarning, UnsupportedDataError
from relmeasure.instruments.definition import Instrument
from relmeasure.results import announce, frozen_array
from relmeasure.samplestats.clusters import ClusterSums
from relmeasure.structural.call_checks import check_options
from relmeasure.structural.estimation.identification import Identification, check_identification
from relmeasure.structural.estimation.method import Method, method_of
from relmeasure.structural.estimation.samples import GroupSample
from relmeasure.structural.estimation.solving import Solution, solve
from relmeasure.structural.estimation.start import starting_values, with_sample_moments
from relmeasure.structural.language.parameter_table import ParameterTable
from relmeasure.structural.language.syntax import Model, parse_model
from relmeasure.structural.reading import Reading, is_statistic, open_rows
from relmeasure.structural.running import Call, cluster_columns, judge, provenance_of
from relmeasure.structural.two_level.bounded import closeness
from relmeasure.structural.two_level.engine import TwoLevelEngine, TwoLevelFitted, moment_gram
from relmeasure.structural.two_level.fit import TwoLevelFit
from relmeasure.structural.two_level.measures import measures, n_moments
from relmeasure.structural.two_level.printing import unrestricted_warnings
from relmeasure.structural.two_level.reading import (
    ClusterReading,
    read_clusters,
    read_incomplete_clusters,
    read_sums,
    sample_of,
)
from relmeasure.structural.two_level.reference_models import fit_baseline, fit_saturated, with_saturated
from relmeasure.structural.two_level.sample import TwoLevelSample
from relmeasure.structural.two_level.specification import (
    exogenous_names,
    level_model,
    two_level_from_instrument,
    two_level_table,
    variables_of,
)

__all__ = ["run_two_level"]

Array = np.ndarray[Any, np.dtype[Any]]

EDGE = 1e-3
"""A model nearer than this to singular covariances of the largest clusters (see ``closeness``) is at no maximum."""

LOST = 0.1
"""Searches that fail nearer than this are not repeated more than once."""


def run_two_level(call: Call) -> TwoLevelFit:
    """Do what the call asks for."""
    method, model = _method(call), _model(call)
    check_options(call, method)
    table = two_level_table(model, call.options(("",)))
    reading = _read(call, table, method)
    if method.robust and reading.cases is None:
        raise UnsupportedDataError("estimator='MLR' needs the rows, and cluster statistics were handed in: use 'ML'.")
    sample, fixed, few = sample_of(reading, variables_of(table), exogenous_names(table))
    table = with_sample_moments(table, fixed)
    saturated: TwoLevelFitted | None = None
    if method.robust or sample.cells is not None:
        saturated, kind = fit_saturated(table, sample, method, reading.cases)
        sample = with_saturated(sample, saturated, kind)
    return _fit(_Task(call, table, sample, method, reading, saturated, [*reading.warnings, *few]))


@dataclass(frozen=True)
class _Task:
    """What is fitted to what."""

    call: Call
    table: ParameterTable
    sample: TwoLevelSample
    method: Method
    reading: ClusterReading
    saturated: TwoLevelFitted | None
    warnings: list[RelmeasureWarning]


def _fit(task: _Task) -> TwoLevelFit:
    table, sample = task.table, task.sample
    engine = TwoLevelEngine(table, sample, task.method, task.reading.cases)
    groups = start_groups(sample)
    start = starting_values(table, groups)

    def gram(x: Array) -> Array:
        return moment_gram(engine.structure.states(x), table.n_free)

    identification = check_identification(
        engine.structure, engine.restrictions, [start, start], n_moments(table, sample), gram=gram
    )
    solution = _off_the_edge(
        engine,
        solve(
            engine.discrepancy,
            engine.restrictions,
            start,
            max_iterations=task.call.max_iterations,
            fallback=starting_values(table, groups, given=False),
            hopeless=lambda x: _lost(engine, x),
        ),
    )
    return _report(task, TwoLevelFitted(engine, solution.x, solution.active), solution, identification)


def _report(task: _Task, fitted: TwoLevelFitted, solution: Solution, identification: Identification) -> TwoLevelFit:
    """Judge the solution, and put together what is told of it."""
    table, sample, cases = task.table, task.sample, task.reading.cases
    raised, status = judge(fitted, solution, identification)
    indices = _indices(task, fitted, solution)
    for warning in unrestricted_warnings(sample, indices, robust=task.method.robust):
        raised.append(warning)
        level = "caution" if status.level == "ok" else status.level
        status = replace(status, level=level, reasons=(*status.reasons, warning.message))
    covariance = fitted.covariance if status.level != "failed" else None
    if covariance is None:
        covariance = np.full((table.n_free, table.n_free), np.nan)
        if status.level != "failed":
            text = "The information matrix is singular: there are no standard errors. The model is hardly identified."
            raised.append(NotIdentifiedWarning(text))
            status = replace(status, level="caution", reasons=(*status.reasons, text))
    made = TwoLevelFit(
        function=task.call.function,
        table=table,
        sample=sample,
        method=task.method,
        x=frozen_array(solution.x),
        covariance=frozen_array(covariance),
        indices=indices,
        status=status,
        n_iterations=solution.minimum.iterations,
        active=tuple(relation.text for relation in solution.active),
        conf_level=task.call.conf_level,
        provenance=provenance_of(task.call, Reading(sample, cases, task.reading.n_rows)),
        warnings=(*sample.notes, *announce([*task.warnings, *raised])),
    )
    made._with_rows(cases, fitted, task.reading.n_rows, task.reading.index)
    return made


def _lost(engine: TwoLevelEngine, x: Array) -> bool:
    """Whether a failed search ended near the edge of what is defined, or is too dear to be repeated often."""
    return engine.two_level.cells is not None or _closeness(engine, x) < LOST


def _closeness(engine: TwoLevelEngine, x: Array) -> float:
    sample, states = engine.two_level, engine.structure.states(x)
    both = np.ix_(sample.variables.both, sample.variables.both)
    if not sample.variables.both:
        return math.inf
    within, between = (state.sigma[both] for state in states)
    try:
        return closeness(within, between, float(sample.sizes.n.max()))
    except np.linalg.LinAlgError:
        return 0.0


def _off_the_edge(engine: TwoLevelEngine, solution: Solution) -> Solution:
    """Take a solution at the edge of what is defined for the slope of a spike that it is."""
    if not solution.converged or engine.two_level.cells is not None or _closeness(engine, solution.x) > EDGE:
        return solution
    text = "the likelihood rises without end where the covariances of the largest clusters are singular"
    return replace(solution, minimum=replace(solution.minimum, converged=False, message=text))


def _indices(task: _Task, fitted: TwoLevelFitted, solution: Solution) -> dict[str, float]:
    if not solution.converged:
        return {}
    baseline = fit_baseline(task.table, task.sample, task.method, task.reading.cases)
    return measures(fitted, baseline, task.saturated)


def start_groups(sample: TwoLevelSample) -> tuple[GroupSample, ...]:
    """Return moments to start from: variances between that are not positive, or hardly so, are raised."""
    inner, outer = sample.groups
    floor = 0.02 * (np.diag(inner.cov) + np.maximum(np.diag(outer.cov), 0.0)) * np.array(sample.between)
    variance = np.diag(outer.cov)
    cov = np.array(outer.cov)
    np.fill_diagonal(cov, np.maximum(variance, floor))
    return inner, replace(outer, cov=frozen_array(cov))


# --------------------------------------------------------------------------- what was asked
def _method(call: Call) -> Method:
    """Return the method, after refusing what has no answer for two levels."""
    given = {
        "group": call.group is not None,
        "weights": call.weights is not None,
        "auxiliary": bool(call.auxiliary),
        "group_equal": bool(call.group_equal),
        "group_partial": bool(call.group_partial),
    }
    for name, there in given.items():
        if there:
            raise UnsupportedDataError(f"{name}= is not supported in a two-level model.", argument=name)
    if call.ordered:
        raise UnsupportedDataError(
            "ordered= is not supported in a two-level model. The documented route treats ordered items as continuous: "
            "leave ordered= out and use estimator='MLR'. It is fair with five or more answer options in use and mild "
            "skewness; loadings are then too small, and between-level results hardly suffer.",
            argument="ordered",
        )
    if call.estimator not in ("ML", "MLR") or call.likelihood != "normal":
        raise UnsupportedDataError(
            f"A two-level model takes estimator 'ML' or 'MLR' with the normal likelihood, not {call.estimator!r} with "
            f"{call.likelihood!r}.",
            estimator=call.estimator,
        )
    if call.missing == "pairwise" or (call.missing == "fiml" and call.information == "expected"):
        raise UnsupportedDataError(
            "A two-level model takes missing='listwise' or 'fiml', the latter with observed information."
        )
    method = method_of(
        call.estimator, missing=call.missing, information=call.information or "observed", likelihood=call.likelihood
    )
    return replace(method, se="robust.cluster") if method.robust else method


def _model(call: Call) -> Model:
    if isinstance(call.model, Instrument):
        std_lv = True if call.std_lv is None else call.std_lv
        return two_level_from_instrument(call.model, call.levels or "free", call.structure, call.scales, std_lv=std_lv)
    if call.levels is not None:
        raise UnsupportedDataError(
            "levels= goes with an instrument; in a model string write blocks 'level: 1' and 'level: 2'.",
            argument="levels",
        )
    return level_model(parse_model(call.model))


def _read(call: Call, table: ParameterTable, method: Method) -> ClusterReading:
    names = table.observed
    if isinstance(call.data, ClusterSums):
        if call.cluster is not None or method.discrepancy == "FIML":
            raise UnsupportedDataError(
                "Cluster statistics were handed in: they hold the clusters, and complete rows only. Leave cluster= and "
                "missing='fiml' out."
            )
        return read_sums(call.data, names)
    if is_statistic(call.data):
        raise UnsupportedDataError("A two-level model needs rows or cluster statistics; moments do not tell levels.")
    if len(cluster_columns(call.cluster)) != 1:
        raise UnsupportedDataError(
            "A two-level model needs one column of clusters: cluster='class_id'.", argument="cluster"
        )
    rows = open_rows(call.data, call.request(names))
    if method.discrepancy == "FIML":
        return read_incomplete_clusters(rows, variables_of(table), exogenous_names(table))
    return read_clusters(rows)
