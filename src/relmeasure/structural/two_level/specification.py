"""From level blocks, or from an instrument, to the table of a two-level model; and the tables it is tested against.

Levels take the place of groups in the table: block 1 is the level within clusters, block 2 the level between. A
variable named at both levels is decomposed; its intercept stands at the level between. A variable named at one level
lives there alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

from relmeasure.exceptions import ModelError, ModelSyntaxError, OptionError, UnsupportedDataError, shorten
from relmeasure.structural.language.model_from_instrument import Structure, model_from_instrument
from relmeasure.structural.language.parameter_table import ParameterTable, Row
from relmeasure.structural.language.specification import ModelOptions, build_table
from relmeasure.structural.language.syntax import Formula, Model, Modifier
from relmeasure.structural.two_level.sample import LEVELS, Variables

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument

__all__ = [
    "Levels",
    "composed_table",
    "level_model",
    "two_level_from_instrument",
    "two_level_table",
    "variables_of",
]

Levels = Literal["free", "equal", "shared"]
"""The factors of an instrument at two levels: loadings free at each, equal over levels, or factors between only."""

Kind = Literal["model", "saturated", "independent"]
"""What stands at a level of a composed table."""

_NAME = re.compile(r"[^\W\d][\w.]*|\.[\w.]+")
_NAMED = {"within": 0, "between": 1}


# --------------------------------------------------------------------------- the model
def level_model(model: Model) -> Model:
    """Return the model with blocks ``within`` and ``between``.

    ``level: 1`` and ``level: 2``, ``within`` and ``between``, or any two names, the lower level first.

    Raises
    ------
    UnsupportedDataError
        Blocks that are no levels, or more than two.
    ModelSyntaxError
        Formulas before the first block; ``equal()``.
    """
    others = [block for block in model.blocks if not block.startswith("level:")]
    if others:
        raise UnsupportedDataError(
            f"A block '{others[0]}' beside levels is not supported: two-level models have level blocks only.",
            blocks=list(model.blocks),
        )
    if len(model.blocks) != 2:
        raise UnsupportedDataError(
            f"A two-level model has two level blocks, this one has {len(model.blocks)} ({shorten(model.blocks)}). "
            "Three levels are not supported: join the upper two, or use cluster= at the top with a single-level model.",
            blocks=list(model.blocks),
        )
    place = dict(zip(model.blocks, _order([block.partition(":")[2] for block in model.blocks]), strict=True))
    for formula in model.formulas:
        if not formula.block:
            raise ModelSyntaxError.from_place(
                "this formula stands before the first level block.",
                "Put it below 'level: 1' or 'level: 2'.",
                model.text,
                formula.line,
                formula.column,
            )
        if formula.modifier.equal:
            raise ModelSyntaxError.from_place(
                "equal() is not read in level blocks.", "Use a label.", model.text, formula.line, formula.column
            )
    formulas = tuple(replace(formula, block=LEVELS[place[formula.block]]) for formula in model.formulas)
    return replace(model, formulas=formulas, blocks=LEVELS)


def _order(names: Sequence[str]) -> list[int]:
    """Place of each of two names: by number, by meaning, else as written."""
    if set(names) == {"1", "2"}:
        return [int(name) - 1 for name in names]
    if set(names) == set(_NAMED):
        return [_NAMED[name] for name in names]
    if all(re.fullmatch(r"[\d.]+", name) for name in names) or set(names) & set(_NAMED):
        raise UnsupportedDataError(
            f"Levels {shorten(names)}: write 1 and 2, within and between, or two names, the lower level first.",
            levels=list(names),
        )
    return [0, 1]


def two_level_from_instrument(
    instrument: Instrument, levels: Levels, structure: Structure, scales: Sequence[str] | None, *, std_lv: bool
) -> Model:
    """Return the model of an instrument with its factors at both levels, or (``"shared"``) between only."""
    if levels not in get_args(Levels):
        raise OptionError.from_value("levels", levels, get_args(Levels))
    single = model_from_instrument(instrument, structure, scales)
    between = [replace(formula, block="between") for formula in single.formulas]
    within = [replace(formula, block="within") for formula in single.formulas]
    if levels == "shared":
        named = {f.lhs for f in single.formulas if f.op == "=~"}
        items = list(dict.fromkeys(f.rhs for f in single.formulas if f.op == "=~" and f.rhs not in named))
        within = [
            Formula(first, "~~", second, Modifier(), 1, 1, "within")
            for i, first in enumerate(items)
            for second in items[i:]
        ]
    elif levels == "equal":
        between, within = ([_labelled(f) for f in formulas] for formulas in (between, within))
        if std_lv:  # one level gives the factors their scale, and the loadings carry it to the other
            factors = dict.fromkeys(f.lhs for f in single.formulas if f.op == "=~")
            free = Modifier(fixed=(math.nan,))
            between += [Formula(factor, "~~", factor, free, 1, 1, "between") for factor in factors]
    return Model(single.text, (*within, *between), blocks=LEVELS)


def _labelled(formula: Formula) -> Formula:
    if formula.op != "=~":
        return formula
    return replace(formula, modifier=replace(formula.modifier, label=(f".{formula.lhs}=~{formula.rhs}",)))


def two_level_table(model: Model, options: ModelOptions) -> ParameterTable:
    """Complete the model, level by level; levels stand as groups.

    Variables that only predict at each of their levels are exogenous: their moments are those of the sample. One that
    only predicts at one level and is explained at the other has free moments at both.
    """
    made = build_table(model, replace(options, mean_structure=True, groups=("",)))
    rows = made.rows()
    named = [{name for row in rows if row.level == k for name in (row.lhs, row.rhs)} for k in (1, 2)]
    observed = set(made.observed)
    clash = sorted((named[0] | named[1]) & observed & set(made.latent))
    if clash:
        raise ModelError(f"{shorten(clash)}: a factor at one level and an observed variable at the other. Rename one.")
    own = [{r.lhs for r in rows if r.level == k and r.exo and r.lhs == r.rhs} for k in (1, 2)]
    mixed = {v for v in own[0] | own[1] if any(v in named[k] and v not in own[k] for k in (0, 1))}
    for row in rows:
        both = row.lhs in named[0] and row.lhs in named[1] and row.lhs in observed
        if row.exo and (row.lhs in mixed or row.rhs in mixed):
            row.exo = False
            row.is_free, row.fixed = True, math.nan
        if row.op == "~1" and row.level == 1 and both and not row.user:
            row.exo = False
            row.fix(0.0)
        row.group, row.level = row.level, 1
    table = made.with_rows(rows)
    return replace(table, groups=LEVELS, unit="level")


def variables_of(table: ParameterTable) -> Variables:
    """Return which variable lives at which level."""
    named = [
        {n for r in range(len(table)) if table.group[r] == k for n in (table.lhs[r], table.rhs[r])} for k in (1, 2)
    ]
    names = table.observed
    return Variables(names, tuple(n in named[0] for n in names), tuple(n in named[1] for n in names))


def exogenous_names(table: ParameterTable) -> list[int]:
    """Places of the variables whose moments are those of the sample at each of their levels."""
    names = {table.lhs[r] for r in range(len(table)) if table.exo[r] and not table.free[r] and table.op[r] == "~~"}
    return [i for i, name in enumerate(table.observed) if name in names]


# --------------------------------------------------------------------------- what it is tested against
def composed_table(table: ParameterTable, within: Kind, between: Kind) -> ParameterTable:
    """Return a table with the model, every covariance, or none at each level; exogenous moments stay as they are.

    Labels that a level shared with one that is replaced no longer bind.
    """
    variables, exo = variables_of(table), set(exogenous_names(table))
    kept: list[Row] = []
    for k, kind in enumerate((within, between), start=1):
        own = [row for row in table.rows() if row.group == k]
        if kind == "model":
            kept += own
            continue
        here = variables.at_within if k == 1 else variables.at_between
        fixed = [row for row in own if row.exo]
        known = {row.key for row in fixed}
        rows = [
            Row(table.observed[i], "~~", table.observed[j], k)
            for i in here
            for j in here
            if j >= i and (i == j or kind == "saturated")
        ]
        for i in here:
            intercept = Row(table.observed[i], "~1", "", k)
            if k == 1 and variables.between[i]:
                intercept.fix(0.0)
            rows.append(intercept)
        # exogenous variables that live at one level are unrelated to nothing at the other: only their own rows stay
        kept += [*fixed, *(row for row in rows if row.key not in known and not _of(row, table, exo))]
    labels = {row.label for row in kept if row.label}
    definitions, constraints = _still_bound(table, labels)
    return replace(
        table.with_rows(kept),
        latent=tuple(n for n in table.latent if any(n in (row.lhs, row.rhs) for row in kept)),
        definitions=definitions,
        constraints=constraints,
    )


def _of(row: Row, table: ParameterTable, exo: set[int]) -> bool:
    """Whether a row is about exogenous variables alone: these moments are fixed already."""
    places = {table.observed.index(name) for name in (row.lhs, row.rhs) if name}
    return places <= exo


def _still_bound(table: ParameterTable, labels: set[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Definitions and constraints whose labels are all left."""
    known = {label for label in table.label if label} | set(table.definitions)
    left = set(labels)
    definitions: dict[str, str] = {}
    for name, text in table.definitions.items():
        if _used(text, known) <= left:
            definitions[name] = text
            left.add(name)
    return definitions, tuple(text for text in table.constraints if _used(text, known) <= left)


def _used(text: str, known: Mapping[str, object] | set[str]) -> set[str]:
    return {name for name in _NAME.findall(text) if name in known}


def moved_values(table: ParameterTable, values: Sequence[float], other: ParameterTable) -> list[float]:
    """Return the values of the rows that another table shares with this one, NaN for its other rows."""
    known = {row.key: value for row, value in zip(table.rows(), values, strict=True)}
    return [known.get(row.key, math.nan) for row in other.rows()]
