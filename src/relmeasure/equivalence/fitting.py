"""From a call to the fitted steps: units in one order whatever the order of the rows, one reading for all models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from relmeasure.equivalence.categories import Declared, check_chosen, declared_categories, untested
from relmeasure.equivalence.layout import Layout, model_over_waves
from relmeasure.equivalence.tables import n_parameters, released_names, step_tables, units_from_origins
from relmeasure.equivalence.units import order_units
from relmeasure.equivalence.waves import long_rows, wave_columns, wide_rows
from relmeasure.exceptions import (
    ModelError,
    OptionError,
    TooFewObservationsError,
    UnsupportedDataError,
    shorten,
)
from relmeasure.responses.variables import VariableRows
from relmeasure.results import Table
from relmeasure.structural.estimation.cases import Cases
from relmeasure.structural.estimation.method import Method
from relmeasure.structural.fitted.fit import StructuralFit
from relmeasure.structural.language.parameter_table import ParameterTable
from relmeasure.structural.language.roles import roles_of
from relmeasure.structural.language.specification import build_table
from relmeasure.structural.language.syntax import Model
from relmeasure.structural.reading import (
    Reading,
    group_names,
    is_statistic,
    open_rows,
    read_incomplete,
    read_rows,
    read_statistic,
)
from relmeasure.structural.reading_ordered import ordered_items, read_ordered, read_polychoric
from relmeasure.structural.running import Call, fit_table

__all__ = ["Prepared", "Steps", "fit_steps", "prepare"]

SKIPPED = ("step", "items", "reason")
"""Columns of what was not tested."""


@dataclass(frozen=True)
class Prepared:
    """What all steps share.

    Attributes
    ----------
    call : Call
    method : Method
    reading : Reading
        The reference group or wave first.
    table : ParameterTable
        The configural model.
    layout : Layout
    """

    call: Call
    method: Method
    reading: Reading
    table: ParameterTable
    layout: Layout


@dataclass(frozen=True)
class Steps:
    """The models that were fitted, and what was not tested.

    Attributes
    ----------
    fits : dict of str to StructuralFit
    fixed : dict of str to tuple of str
        Parameters that a step holds equal by fixing them in every unit.
    skipped : Table
        ``step items reason``.
    advice : str
        What to release in another way, where a step that failed holds an item whose unit the data do not tell.
    """

    fits: dict[str, StructuralFit]
    fixed: dict[str, tuple[str, ...]]
    skipped: Table
    advice: str = ""


@dataclass(frozen=True)
class _Read:
    """What the data gave: the sample, its units, and the thresholds of ordered items."""

    reading: Reading
    model: Model
    layout: Layout
    thresholds: dict[str, tuple[int, ...]]


def prepare(call: Call, *, wave: Any, person: Any, reference: str | None, categories: Declared) -> Prepared:
    """Read the model and the data, and put the units in order."""
    call = call.with_declared_types()
    method, model = call.read_method(), call.read_model()
    if method.ordinal and call.std_lv is False:
        raise UnsupportedDataError(
            "std_lv=False is not supported with ordered items: their factors have unit variance in the reference "
            "group. The fit would be the same."
        )
    _check_model(model, ordered=method.ordinal)
    _check_over(call, wave, person)
    if wave is None:
        read = _read_groups(call, model, method, reference, categories)
    else:
        read = _read_waves(call, model, method, wave, person, reference, categories)
    groups = tuple(group.name for group in read.reading.sample.groups)
    chosen = replace(call, std_lv=True) if method.ordinal else call
    table = build_table(read.model, chosen.options(groups, read.thresholds))
    return Prepared(call, method, read.reading, table, read.layout)


# --------------------------------------------------------------------------- checks
def _check_over(call: Call, wave: Any, person: Any) -> None:
    if wave is not None and call.group is not None:
        raise UnsupportedDataError(
            "group= and wave= together are not supported: compare the waves within each group, or the groups within "
            "one wave."
        )
    if person is not None and (wave is None or isinstance(wave, Mapping)):
        raise OptionError(
            "person= names the people of long data: give the column of waves in wave= as well.", argument="person"
        )
    if wave is not None and not isinstance(wave, Mapping) and person is None:
        raise OptionError(
            "wave= with a column needs person=, the column that says who answered. Waves of different people are "
            "groups: group= in place of wave=, with cluster= where classes return.",
            argument="person",
        )


def _check_model(model: Model, *, ordered: bool) -> None:
    """Refuse models of which the steps would not say what they say."""
    factors = {f.lhs for f in model.formulas if f.op == "=~"}
    for formula in model.formulas:
        text = f"'{formula.lhs} {formula.op} {formula.rhs}'".replace(" ~1 '", " ~ 1'")
        modifier = formula.modifier
        if max(len(modifier.fixed), len(modifier.label), len(modifier.start)) > 1:
            raise ModelError(
                f"{text} has one value a group, c(...): invariance sets what is equal over groups itself. Release a "
                "parameter with partial=."
            )
        if any(modifier.label):
            raise ModelError(
                f"{text} has the label '{modifier.label[0]}', which would hold it equal in every step: leave it out. "
                "invariance sets what is equal itself."
            )
        if formula.op == "~":
            raise UnsupportedDataError(f"{text}: invariance compares measurement models. Leave regressions out.")
        if formula.op == "=~" and formula.rhs in factors:
            raise UnsupportedDataError(
                f"{text}: invariance is tested for factors that items measure. Leave higher-order factors out; their "
                "items' invariance comes first."
            )
        identifies = formula.op in ("|", "~1", "~*~") or (formula.op == "~~" and formula.lhs == formula.rhs)
        fixes = any(value is not None and value == value and value != 0 for value in modifier.fixed)
        if ordered and (identifies or (formula.op == "=~" and fixes)):
            raise ModelError(
                f"{text}: with ordered items every step sets thresholds, intercepts, variances and the unit of the "
                "factors itself (Wu & Estabrook, 2016). Leave it out."
            )


def _check_sizes(rows: VariableRows, missing: str) -> None:
    """A unit needs more rows than items."""
    p, absent = len(rows.names), np.isnan(rows.values)
    usable = ~(absent.any(axis=1) if missing == "listwise" else absent.all(axis=1))
    labels = [None] if rows.group is None else [v for v in dict.fromkeys(rows.group.tolist()) if v is not None]
    for label in labels:
        n = int((usable if label is None else usable & (rows.group == label)).sum())
        if n <= p:
            where = "There are" if label is None else f"Group '{label}' has"
            advice = "" if label is None else ": leave the group out, or merge it with another"
            raise TooFewObservationsError(
                f"{where} {n} usable rows for {p} items, too few for a model of its own{advice}.", group=label, n_obs=n
            )


# --------------------------------------------------------------------------- reading
def _read_groups(call: Call, model: Model, method: Method, reference: str | None, categories: Declared) -> _Read:
    names = roles_of(model.formulas).observed
    request = call.request(names)
    thresholds: dict[str, tuple[int, ...]] = {}
    if is_statistic(call.data):
        _check_statistic(call, method)
        reading = read_statistic(call.data, request, means=True)
    elif method.ordinal and isinstance(call.data, Mapping):
        reading, thresholds = read_polychoric(call.data, names)
    else:
        rows = open_rows(call.data, request)
        order_units(group_names(rows), reference, over="group")
        _check_sizes(rows, call.missing)
        if method.ordinal:
            items = _ordered_names(call, names, rows.columns)
            answers = {name: rows.values[:, names.index(name)] for name in items}
            declared, raised = declared_categories(answers, categories, call.instrument)
            check_chosen(_by_group(rows, answers), declared, "group")
            rows = replace(rows, warnings=[*rows.warnings, *raised])
            reading, thresholds = _read_ordered(call, rows, items, declared)
        else:
            reading = read_incomplete(rows, ()) if method.discrepancy == "FIML" else read_rows(rows)
    groups = [group.name for group in reading.sample.groups]
    units = order_units(groups, reference, over="group")
    return _Read(_reordered(reading, units), model, Layout("group", tuple(units)), thresholds)


def _ordered_names(call: Call, items: Sequence[str], columns: Sequence[str]) -> tuple[str, ...]:
    """Ordered items of the model; a list that names none of them is a mistake."""
    found = ordered_items(call.ordered or (), items, columns)
    if not found:
        raise OptionError(
            f"ordered= names no item of the model ({shorten(items)}): use the names of the model, or ordered=True.",
            argument="ordered",
        )
    return found


def _read_ordered(
    call: Call, rows: VariableRows, items: Sequence[str], declared: Mapping[str, Sequence[float]]
) -> tuple[Reading, dict[str, tuple[int, ...]]]:
    return read_ordered(rows, items, missing=call.missing, instrument=None, declared=declared)


def _check_statistic(call: Call, method: Method) -> None:
    if method.ordinal:
        raise UnsupportedDataError(
            "Moments know nothing of categories: hand in the rows, or polychoric results with acov=True, with ordered=."
        )
    if method.robust:
        raise UnsupportedDataError(
            f"estimator={call.estimator!r} needs the rows, and moments were handed in: use 'ML'.",
            estimator=call.estimator,
        )


def _by_group(rows: VariableRows, answers: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, dict[str, Any]]:
    if rows.group is None:
        return {}
    labels = [str(v) for v in dict.fromkeys(rows.group.tolist()) if v is not None]
    return {label: {name: own[rows.group == label] for name, own in answers.items()} for label in labels}


def _reordered(reading: Reading, units: Sequence[str]) -> Reading:
    names = [group.name for group in reading.sample.groups]
    order = [names.index(name) for name in units]
    sample = replace(reading.sample, groups=tuple(reading.sample.groups[k] for k in order))
    cases = None if reading.cases is None else Cases(tuple(reading.cases.groups[k] for k in order))
    return replace(reading, sample=sample, cases=cases)


def _read_waves(
    call: Call, model: Model, method: Method, wave: Any, person: Any, reference: str | None, categories: Declared
) -> _Read:
    items = roles_of(model.formulas).observed
    request = call.request(items)
    if is_statistic(call.data):
        if not isinstance(wave, Mapping):
            raise UnsupportedDataError("Moments have no waves in rows: map each wave to its items in wave=.")
        _check_statistic(call, method)
        over_waves, layout = model_over_waves(model, wave_columns(wave, items, reference))
        wide = replace(request, names=roles_of(over_waves.formulas).observed)
        return _Read(read_statistic(call.data, wide, means=True), over_waves, layout, {})
    if isinstance(wave, Mapping):
        columns = wave_columns(wave, items, reference)
        rows = wide_rows(call.data, request, columns)
    else:
        rows, columns = long_rows(call.data, request, wave, person, reference)
    over_waves, layout = model_over_waves(model, columns)
    names = roles_of(over_waves.formulas).observed
    order = [rows.names.index(name) for name in names]
    rows = replace(rows, names=names, values=np.ascontiguousarray(rows.values[:, order]))
    _check_sizes(rows, call.missing)
    if not method.ordinal:
        reading = read_incomplete(rows, ()) if method.discrepancy == "FIML" else read_rows(rows)
        return _Read(reading, over_waves, layout, {})
    chosen = _ordered_names(call, items, rows.columns)
    by_wave = {unit: {item: rows.values[:, names.index(columns[unit][item])] for item in chosen} for unit in columns}
    pooled = {item: np.concatenate([answers[item] for answers in by_wave.values()]) for item in chosen}
    declared, raised = declared_categories(pooled, categories, call.instrument)
    check_chosen(by_wave, declared, "wave")
    rows = replace(rows, warnings=[*rows.warnings, *raised])
    own = {columns[unit][item]: declared[item] for unit in columns for item in chosen}
    reading, thresholds = _read_ordered(call, rows, [name for name in names if name in own], own)
    return _Read(reading, over_waves, layout, thresholds)


# --------------------------------------------------------------------------- steps
def fit_steps(prepared: Prepared, partial: Sequence[str]) -> Steps:
    """Fit the model of every step that restricts the one before it; what was warned about the data is said once."""
    released = released_names(prepared.table, prepared.layout, partial)
    tables = step_tables(prepared.table, prepared.layout, released)
    fits: dict[str, StructuralFit] = {}
    fixed: dict[str, tuple[str, ...]] = {}
    skipped: list[dict[str, Any]] = []
    reading, before, free_once = prepared.reading, -1, set[int]()
    for step, table in tables.items():
        free_once |= {i for i in range(len(table)) if table.free[i]}
        items, reason = _untested(prepared, table, step)
        if n_parameters(table) == before:
            reason = reason or "everything that the step would hold equal is released"
            skipped.append(dict(zip(SKIPPED, (step, "all", f"{reason}."), strict=True)))
            continue
        if reason:
            skipped.append(dict(zip(SKIPPED, (step, ", ".join(items), f"{reason}."), strict=True)))
        before = n_parameters(table)
        rows = table.rows()
        places = [prepared.layout.place(rows[i]) for i in sorted(free_once) if not table.free[i]]
        fixed[step] = tuple(dict.fromkeys(place[1] for place in places if place is not None))
        near = next(reversed(fits.values()), None)
        fits[step] = fit_table(table, reading, prepared.method, prepared.call, near=near)
        reading = replace(reading, warnings=[], sample=replace(reading.sample, notes=()))
    if prepared.table.ordered and prepared.table.parameterization == "delta":
        reason = "residual variances are no parameters of the delta parameterization; use parameterization='theta'."
        skipped.append(dict(zip(SKIPPED, ("strict", "all", reason), strict=True)))
    failed = "scalar" in fits and fits["scalar"].status.level == "failed"
    unsure = units_from_origins(prepared.table, prepared.layout, released) if failed else []
    return Steps(fits, fixed, Table.from_rows(skipped, SKIPPED), _advice(unsure))


def _advice(items: Sequence[str]) -> str:
    """Say what a released loading asks of an item with one threshold, where the model has no solution."""
    if not items:
        return ""
    names = ", ".join(f"'{item}|t1'" for item in items)
    return (
        f" With the loading of {', '.join(items)} released, the unit of the item comes from the distance of its "
        f"threshold from its intercept, which says little when it is small: release {names} in place of the loading."
    )


def _untested(prepared: Prepared, table: ParameterTable, step: str) -> tuple[tuple[str, ...], str]:
    """Ordered items for which a step tests nothing, and why."""
    layout = prepared.layout
    counts = {layout.base_name(name): 0 for name in table.ordered}
    for row in table.rows():
        where = layout.place(row)
        if row.op == "|" and where is not None and where[0] == 1:
            counts[layout.base_name(row.lhs)] += 1
    over: Literal["group", "wave"] = layout.over
    return untested(step, counts, over)
