"""One call of ``cfa`` or ``sem``: read the model, read the data, estimate, assess, report."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from relmeasure._version import __version__
from relmeasure.exceptions import (
    NotConvergedWarning,
    NotIdentifiedWarning,
    OptionError,
    RelmeasureWarning,
    UnsupportedDataError,
    shorten,
)
from relmeasure.instruments.definition import Instrument
from relmeasure.responses.published import pair_moments
from relmeasure.results import Provenance, Status, announce, frozen_array
from relmeasure.samplestats.latent import PolychoricResult
from relmeasure.structural.call_checks import check_options
from relmeasure.structural.estimation.engine import Engine, Fitted
from relmeasure.structural.estimation.identification import Identification, check_identification
from relmeasure.structural.estimation.method import Estimator, Information, Likelihood, Method, Missing, method_of
from relmeasure.structural.estimation.solving import Solution, solve
from relmeasure.structural.estimation.start import starting_values, with_sample_moments
from relmeasure.structural.evaluation.admissible import admissibility, runaways
from relmeasure.structural.evaluation.assess import fit_baseline, measures, n_moments
from relmeasure.structural.fitted.fit import StructuralFit
from relmeasure.structural.language.groups import GroupEqual
from relmeasure.structural.language.model_from_instrument import Structure, instrument_scales, model_from_instrument
from relmeasure.structural.language.parameter_table import ParameterTable
from relmeasure.structural.language.roles import Roles, roles_of
from relmeasure.structural.language.specification import ModelOptions, assumptions, build_table
from relmeasure.structural.language.syntax import Model, parse_model
from relmeasure.structural.reading import (
    Reading,
    Request,
    group_names,
    is_statistic,
    open_rows,
    read_incomplete,
    read_rows,
    read_statistic,
    with_acov,
)
from relmeasure.structural.reading_ordered import ordered_items, read_ordered, read_polychoric

__all__ = ["Call", "cluster_columns", "fit_table", "judge", "provenance_of", "run"]

Array = np.ndarray[Any, np.dtype[Any]]

_LEVEL = re.compile(r"(?m)(?:^|;)\s*level\s*:")
"""The header of a level block."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """What the user asked for; see ``cfa``."""

    function: str
    model: Instrument | str
    data: Any
    estimator: Estimator = "ML"
    ordered: Sequence[str] | bool | None = None
    group: Any = None
    missing: Missing = "listwise"
    cluster: Any = None
    weights: Any = None
    std_lv: bool | None = None
    auto: bool = True
    structure: Structure = "correlated"
    scales: Sequence[str] | None = None
    orthogonal: bool = False
    fixed_x: bool = True
    mean_structure: bool | None = None
    parameterization: Literal["delta", "theta"] = "delta"
    correct: float = 0.0
    group_equal: Sequence[GroupEqual] = ()
    group_partial: Sequence[str] = ()
    information: Information | None = None
    likelihood: Likelihood = "normal"
    conf_level: float = 0.95
    max_iterations: int = 200
    unknown: Literal["raise", "missing"] = "raise"
    auxiliary: Sequence[str] = ()
    levels: Literal["free", "equal", "shared"] | None = None

    @property
    def has_levels(self) -> bool:
        """Whether a model at two levels is asked for."""
        return self.levels is not None or (isinstance(self.model, str) and _LEVEL.search(self.model) is not None)

    @property
    def instrument(self) -> Instrument | None:
        """The instrument, if one was given."""
        return self.model if isinstance(self.model, Instrument) else None

    def with_declared_types(self) -> Call:
        """Return the call with ``ordered=True`` for WLSM and WLSMV on an instrument, which says that items are ordered.

        A model string declares no types: there ``ordered=`` stays the user's to give.
        """
        declared = self.instrument is not None and self.ordered is None and self.estimator in ("WLSM", "WLSMV")
        return replace(self, ordered=True) if declared else self

    def read_model(self) -> Model:
        """Return the formulas."""
        if isinstance(self.model, Instrument):
            return model_from_instrument(self.model, self.structure, self.scales)
        model = parse_model(self.model)
        if model.blocks:
            raise UnsupportedDataError(
                f"Blocks ('{model.blocks[0]}') are not supported here. Groups: use group=.", blocks=list(model.blocks)
            )
        return model

    def read_method(self) -> Method:
        """Return the method."""
        if not 0.0 < self.conf_level < 1.0:
            raise OptionError.from_value("conf_level", self.conf_level, ("a number between 0 and 1",))
        if self.parameterization not in ("delta", "theta"):
            raise OptionError.from_value("parameterization", self.parameterization, ("delta", "theta"))
        return method_of(
            self.estimator,
            missing=self.missing,
            information=self.information,
            likelihood=self.likelihood,
            ordinal=bool(self.ordered) or _is_polychoric(self.data),
            clustered=self.cluster is not None,
            weighted=self.weights is not None,
        )

    def options(self, groups: tuple[str, ...], thresholds: Mapping[str, tuple[int, ...]] | None = None) -> ModelOptions:
        """Return how the table is completed."""
        means = self.mean_structure
        if means is None and (len(groups) > 1 or self.cluster is not None or self.missing == "fiml"):
            means = True
        return ModelOptions(
            auto=self.auto,
            std_lv=self.instrument is not None if self.std_lv is None else self.std_lv,
            orthogonal=self.orthogonal,
            fixed_x=self.fixed_x,
            mean_structure=means,
            thresholds=dict(thresholds or {}),
            parameterization=self.parameterization,
            groups=groups,
            group_equal=tuple(self.group_equal),
            group_partial=tuple(self.group_partial),
            auxiliary=tuple(self.auxiliary),
        )

    def request(self, names: Sequence[str]) -> Request:
        """Return what is asked of the data."""
        scales = None
        if self.instrument is not None:
            scales = [scale.id for scale in instrument_scales(self.instrument, self.scales)]
        return Request(
            names=tuple(names),
            group=self.group,
            clusters=cluster_columns(self.cluster),
            weights=self.weights,
            missing=self.missing,
            instrument=self.instrument,
            scales=scales,
            unknown=self.unknown,
        )


def _is_polychoric(data: Any) -> bool:
    if isinstance(data, Mapping):
        return bool(data) and all(isinstance(part, PolychoricResult) for part in data.values())
    return isinstance(data, PolychoricResult)


def cluster_columns(cluster: Any) -> tuple[Any, ...]:
    """One or two dimensions of clusters: a pair of names or of arrays is two."""
    if cluster is None:
        return ()
    if isinstance(cluster, (list, tuple)) and len(cluster) == 2 and not np.isscalar(cluster[0]):
        return tuple(cluster)
    if isinstance(cluster, (list, tuple)) and all(isinstance(c, str) for c in cluster) and len(cluster) <= 2:
        return tuple(cluster)
    return (cluster,)


def run(call: Call) -> StructuralFit:
    """Do what the call asks for."""
    call = call.with_declared_types()
    call = replace(call, data=_with_pairs(call.data))
    method, model = call.read_method(), call.read_model()
    check_options(call, method)
    roles = roles_of(model.formulas)
    if method.ordinal and roles.exogenous and call.fixed_x:
        raise UnsupportedDataError(
            f"{shorten(roles.exogenous)} only predict(s), which with ordered= needs fixed_x=False: the predictors are "
            "then random, and covary with the latent responses.",
            exogenous=list(roles.exogenous),
        )
    if call.auxiliary:
        _check_auxiliary(call, roles, method)
        roles = roles_of(model.formulas, call.auxiliary)
    table, reading = _read(call, model, roles, method)
    needs_rows = method.se.startswith("robust") or method.robust or method.discrepancy == "WLS"
    if reading.cases is None and needs_rows and not method.ordinal:
        raise UnsupportedDataError(
            f"estimator={call.estimator!r} needs the rows, and moments were handed in: use 'ML'.",
            estimator=call.estimator,
        )
    noted = assumptions(model, call.options(table.groups))
    return fit_table(table, replace(reading, warnings=[*reading.warnings, *noted]), method, call)


def _with_pairs(data: Any) -> Any:
    """Read (matrix, n), alone or by group."""
    if isinstance(data, tuple):
        return pair_moments(data)
    if isinstance(data, Mapping) and any(isinstance(part, tuple) for part in data.values()):
        return {name: pair_moments(part) if isinstance(part, tuple) else part for name, part in data.items()}
    return data


def _check_auxiliary(call: Call, roles: Roles, method: Method) -> None:
    """Auxiliary variables help full information; elsewhere they would do nothing."""
    if method.discrepancy != "FIML":
        raise UnsupportedDataError("auxiliary= helps with missing answers: use missing='fiml'.")
    known = [name for name in call.auxiliary if name in roles.observed]
    if known:
        raise UnsupportedDataError(
            f"{shorten(known)}: part of the model already, so no auxiliary variable.", auxiliary=known
        )


def _read(call: Call, model: Model, roles: Roles, method: Method) -> tuple[ParameterTable, Reading]:
    """Read the data, and complete the table with what they say of groups and categories."""
    request = call.request(roles.observed)
    if is_statistic(call.data):
        groups = tuple(str(name) for name in call.data) if isinstance(call.data, Mapping) else ("",)
        table = build_table(model, call.options(groups))
        return table, read_statistic(call.data, request, means=table.mean_structure)
    if _is_polychoric(call.data):
        reading, thresholds = read_polychoric(call.data, roles.observed)
        groups = tuple(group.name for group in reading.sample.groups)
        return build_table(model, call.options(groups, thresholds)), reading
    rows = open_rows(call.data, request)
    groups = group_names(rows)
    if method.ordinal:
        items = ordered_items(call.ordered or (), roles.observed, rows.columns)
        reading, thresholds = read_ordered(
            rows, items, missing=call.missing, instrument=call.instrument, correct=call.correct
        )
        return build_table(model, call.options(groups, thresholds)), reading
    table = build_table(model, call.options(groups))
    if method.discrepancy == "FIML":
        return table, read_incomplete(rows, roles.exogenous if call.fixed_x else ())
    reading = read_rows(rows)
    return table, with_acov(reading, means=table.mean_structure) if method.discrepancy == "WLS" else reading


def fit_table(
    table: ParameterTable, reading: Reading, method: Method, call: Call, *, near: StructuralFit | None = None
) -> StructuralFit:
    """Estimate and assess a table on the data that were read; ``near`` is a model with the same rows to start from."""
    table = with_sample_moments(table, reading.sample.groups, unbiased=not method.is_likelihood)
    engine = Engine(table, reading.sample, method, reading.cases)
    usual, start, fallback = _starts(table, reading, near)
    names, count = _moments(table, reading, method)
    identification = check_identification(engine.structure, engine.restrictions, [usual, usual], count, names)
    solution = solve(
        engine.discrepancy,
        engine.restrictions,
        start,
        accept=lambda x: not admissibility(table, engine.structure.states(x), ()),
        hopeless=lambda x: bool(runaways(table, engine.structure.states(x))),
        max_iterations=call.max_iterations,
        fallback=fallback,
    )
    fitted = Fitted(engine, solution.x, solution.active)
    raised, status = judge(fitted, solution, identification)
    covariance = fitted.covariance if status.level != "failed" else None
    if covariance is None:
        covariance = np.full((table.n_free, table.n_free), np.nan)
        if status.level != "failed":
            text = "The information matrix is singular: there are no standard errors. The model is hardly identified."
            raised.append(NotIdentifiedWarning(text))
            status = replace(status, level="caution", reasons=(*status.reasons, text))
    indices = measures(fitted, fit_baseline(engine)) if solution.converged else {}
    notes = (*reading.sample.notes, *announce([*reading.warnings, *raised]))
    return StructuralFit(
        function=call.function,
        table=table,
        sample=reading.sample,
        method=method,
        x=frozen_array(solution.x),
        covariance=frozen_array(covariance),
        indices=indices,
        status=status,
        n_iterations=solution.minimum.iterations,
        active=tuple(relation.text for relation in solution.active),
        conf_level=call.conf_level,
        provenance=provenance_of(call, reading),
        warnings=notes,
    )._with_rows(reading.cases, fitted, reading.n_rows, reading.index)


def _starts(table: ParameterTable, reading: Reading, near: StructuralFit | None) -> tuple[Array, Array, Array]:
    """Return the usual starting values, the ones to start from, and the ones to fall back to.

    The estimates of ``near`` are the start; parameters that are not free in it start as usual.
    """
    groups = reading.sample.groups
    usual = starting_values(table, groups)
    if near is not None and near.converged:
        known, free = near._fitted.row_values, near.table.free
        start = np.array([known[row] if free[row] else usual[k] for k, row in enumerate(table.free_rows)])
        return usual, start, usual
    given = bool(np.isfinite(table.start).any())
    return usual, usual, starting_values(table, groups, given=False) if given else usual


def _moments(table: ParameterTable, reading: Reading, method: Method) -> tuple[list[tuple[str, ...]] | None, int]:
    """Names of the moments of ordered items by group, and the number of moments of any."""
    if not method.ordinal:
        return None, n_moments(table)
    names = [group.moment_names for group in reading.sample.groups]
    return names, sum(map(len, names))


def judge(fitted: Fitted, solution: Solution, identification: Identification) -> tuple[list[RelmeasureWarning], Status]:
    """Return the warnings and the status."""
    raised: list[RelmeasureWarning] = [NotIdentifiedWarning(reason) for reason in identification.reasons]
    if not solution.converged:
        raised.append(
            NotConvergedWarning(
                f"No solution after {solution.n_starts} starts ({solution.minimum.message}). {_advice(fitted)}",
                n_starts=solution.n_starts,
            )
        )
    bounds = tuple(relation.text for relation in solution.active if ":=" not in relation.text)
    improper = admissibility(fitted.engine.table, fitted.states, bounds) if solution.converged else []
    raised += improper
    failed = not solution.converged or not identification.identified
    level: Literal["ok", "caution", "failed"] = "failed" if failed else "caution" if improper else "ok"
    status = Status(
        level=level,
        converged=solution.converged,
        admissible=not improper if solution.converged else None,
        identified=identification.identified,
        reasons=tuple(warning.message for warning in raised),
    )
    return raised, status


def _advice(fitted: Fitted) -> str:
    """What to do about a fit that did not converge."""
    away = runaways(fitted.engine.table, fitted.states)
    if away:
        return (
            f"The variance of {shorten(away)} falls without bound: a factor has no common variance of its own "
            "and shrinks onto one item. Leave that factor out, make its loadings equal, or bound the variance with "
            "lower(0)."
        )
    return (
        "Check the model for factors without enough items and the data for items on very different scales; give "
        "start() values, or simplify."
    )


def provenance_of(call: Call, reading: Reading) -> Provenance:
    """Return what made the result."""
    return Provenance(
        function=call.function,
        version=__version__,
        n_rows=reading.n_rows,
        n_obs=reading.sample.n_obs,
        rule=reading.sample.rule,
        instrument=None if call.instrument is None else call.instrument.label,
    )
