"""From a call to the fitted steps: groups in one order whatever the order of the rows, one reading for all models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from relmeasure.equivalence.verdict import STEPS
from relmeasure.exceptions import ModelError, OptionError, TooFewObservationsError, UnsupportedDataError
from relmeasure.structural.cases import Cases
from relmeasure.structural.fit import StructuralFit
from relmeasure.structural.groups import GroupEqual, kind_of
from relmeasure.structural.method import Method
from relmeasure.structural.parameter_table import ParameterTable
from relmeasure.structural.reading import Reading, is_statistic, open_rows, read_incomplete, read_rows, read_statistic
from relmeasure.structural.roles import roles_of
from relmeasure.structural.running import Call, fit_table
from relmeasure.structural.specification import build_table
from relmeasure.structural.syntax import Model

__all__ = ["EQUAL", "MOST_GROUPS", "Prepared", "fit_steps", "prepare"]

EQUAL: dict[str, tuple[GroupEqual, ...]] = {
    "configural": (),
    "metric": ("loadings",),
    "scalar": ("loadings", "intercepts"),
    "strict": ("loadings", "intercepts", "residuals"),
}
"""What is equal over groups at each step."""

MOST_GROUPS = 10
"""More groups than this are refused."""


@dataclass(frozen=True)
class Prepared:
    """What all steps share.

    Attributes
    ----------
    call : Call
    model : Model
    method : Method
    reading : Reading
        Groups in order, the reference group first.
    """

    call: Call
    model: Model
    method: Method
    reading: Reading

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups."""
        return tuple(group.name for group in self.reading.sample.groups)


def prepare(call: Call, reference: str | None) -> Prepared:
    """Read the model and the data, and put the groups in order."""
    method, model = call.read_method(), call.read_model()
    _check_model(model)
    roles = roles_of(model.formulas)
    request = call.request(roles.observed)
    if is_statistic(call.data):
        if method.robust:
            raise UnsupportedDataError(
                f"estimator={call.estimator!r} needs the rows, and moments were handed in: use 'ML'.",
                estimator=call.estimator,
            )
        reading = read_statistic(call.data, request, means=True)
    else:
        rows = open_rows(call.data, request)
        reading = read_incomplete(rows, ()) if method.discrepancy == "FIML" else read_rows(rows)
    return Prepared(call, model, method, _ordered(reading, reference))


def _check_model(model: Model) -> None:
    """Refuse models of which the steps would not say what they say."""
    factors = {f.lhs for f in model.formulas if f.op == "=~"}
    for formula in model.formulas:
        several = max(len(formula.modifier.fixed), len(formula.modifier.label), len(formula.modifier.start))
        if several > 1:
            raise ModelError(
                f"'{formula.lhs} {formula.op} {formula.rhs}' has one value a group, c(...): invariance sets what is "
                "equal over groups itself. Release a parameter with partial=."
            )
        if formula.op == "~":
            raise UnsupportedDataError(
                f"'{formula.lhs} ~ {formula.rhs}': invariance compares measurement models. Leave regressions out."
            )
        if formula.op == "=~" and formula.rhs in factors:
            raise UnsupportedDataError(
                f"'{formula.lhs} =~ {formula.rhs}': invariance is tested for factors that items measure. Leave "
                "higher-order factors out; their items' invariance comes first."
            )


def _ordered(reading: Reading, reference: str | None) -> Reading:
    """Put the reference group first, the others in the order of their names."""
    groups = reading.sample.groups
    names = [group.name for group in groups]
    if len(groups) < 2:
        raise TooFewObservationsError(
            f"Invariance compares groups, and there is {len(groups)}: name a column with two or more in group=.",
            n_groups=len(groups),
        )
    if len(groups) > MOST_GROUPS:
        raise UnsupportedDataError(
            f"There are {len(groups)} groups, and exact equality over more than {MOST_GROUPS} is rejected for "
            "differences too small to matter. Merge groups (grades into bands, say), compare the largest, or treat "
            "groups as clusters in a two-level model.",
            n_groups=len(groups),
        )
    if reference is not None and str(reference) not in names:
        raise OptionError.from_value("reference", reference, sorted(names, key=_sort_key))
    wanted = sorted(names, key=lambda name: (name != str(reference), _sort_key(name)))
    order = [names.index(name) for name in wanted]
    sample = replace(reading.sample, groups=tuple(groups[k] for k in order))
    cases = None if reading.cases is None else Cases(tuple(reading.cases.groups[k] for k in order))
    return replace(reading, sample=sample, cases=cases)


def _sort_key(name: str) -> tuple[int, float, str]:
    """Numbers by value, before words."""
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name


def fit_steps(prepared: Prepared, partial: Sequence[str]) -> dict[str, StructuralFit]:
    """Fit the four models; what was warned about the data is said once."""
    fits: dict[str, StructuralFit] = {}
    reading, tables = prepared.reading, _tables(prepared, partial)
    for step, table in tables.items():
        fits[step] = fit_table(table, reading, prepared.method, prepared.call)
        reading = replace(reading, warnings=[], sample=replace(reading.sample, notes=()))
    return fits


def _tables(prepared: Prepared, partial: Sequence[str]) -> dict[str, ParameterTable]:
    tables = {}
    for step in STEPS:
        call = replace(prepared.call, group_equal=EQUAL[step], group_partial=tuple(partial) if EQUAL[step] else ())
        tables[step] = build_table(prepared.model, call.options(prepared.groups))
    _check_partial(tables["strict"], partial)
    return tables


def _check_partial(table: ParameterTable, partial: Sequence[str]) -> None:
    """Every released parameter must be one that a step would hold equal."""
    rows, factors = table.rows(), set(table.latent)
    for name in partial:
        text = name.replace(" ", "")
        row = next(r for r in rows if text in (f"{r.lhs}{r.op}{r.rhs}", f"{r.rhs}{r.op}{r.lhs}"))
        if kind_of(row, factors) not in EQUAL["strict"]:
            raise ModelError(
                f"partial names '{name}', which no step holds equal: release loadings ('f=~x1'), intercepts ('x1~1') "
                "or residual variances ('x1~~x1').",
                parameter=name,
            )
        if not row.is_free:
            raise ModelError(
                f"partial names '{name}', which is fixed to {row.fixed:g} in every group and gives the factor its "
                "scale: pass std_lv=True to free it, or write another item first.",
                parameter=name,
            )
