"""Labels: who borrows whose, which are known, and what a label on a fixed parameter means."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from relmeasure.exceptions import ModelError, ModelSyntaxError, did_you_mean
from relmeasure.structural.language.parameter_table import Row
from relmeasure.structural.language.syntax import Model

__all__ = ["check_labels", "resolve_equal", "share_fixed_values"]


def resolve_equal(model: Model, rows: Sequence[Row], groups: Sequence[str]) -> None:
    """Give the two parameters of ``equal("f=~x1")`` one label, within each group."""
    by_key = {row.key: row for row in rows}
    by_text = {(f"{row.lhs}{row.op}{row.rhs}", row.group): row for row in rows}
    by_label = {(row.label, row.group): row for row in rows if row.label}
    for formula in model.formulas:
        target = formula.modifier.equal
        if not target:
            continue
        for group in range(1, len(groups) + 1):
            borrower = by_key[Row(formula.lhs, formula.op, formula.rhs, group).key]
            source = by_text.get((target, group)) or by_label.get((target, group))
            if source is None or source is borrower:
                hint = did_you_mean(target, [text for text, _ in by_text])
                raise ModelSyntaxError.from_place(
                    f"equal() names '{target}', which is no other parameter.",
                    f"Name one as 'f=~x1'.{hint}",
                    model.text,
                    formula.line,
                    formula.column,
                )
            source.label = source.label or f".{target}.{group}"
            borrower.label = source.label


def share_fixed_values(rows: Sequence[Row]) -> None:
    """A label on a fixed parameter fixes every parameter of that label."""
    values: dict[str, tuple[float, str]] = {}
    for row in rows:
        if not row.label or row.is_free or math.isnan(row.fixed):
            continue
        name = f"{row.lhs}{row.op}{row.rhs}"
        value, other = values.setdefault(row.label, (row.fixed, name))
        if value != row.fixed:
            raise ModelError(
                f"Label '{row.label}' is on {other}, fixed to {value:g}, and on {name}, fixed to {row.fixed:g}: "
                "equal labels mean equal values. Use two labels.",
                label=row.label,
            )
    for row in rows:
        if row.is_free and row.label in values:
            row.fix(values[row.label][0])


def check_labels(model: Model, rows: Sequence[Row]) -> None:
    """Every label in a definition or a constraint belongs to a parameter or an earlier definition."""
    known = {row.label for row in rows if row.label}
    defined: set[str] = set()
    for definition in model.definitions:
        if definition.name in known:
            raise ModelError(
                f"'{definition.name}' is a label of a parameter and a defined parameter: rename one.",
                name=definition.name,
            )
        _known(definition.expression.labels(), known | defined, f"{definition.name} := {definition.expression}")
        defined.add(definition.name)
    for constraint in model.constraints:
        text = f"{constraint.left} {constraint.op} {constraint.right}"
        used = [*constraint.left.labels(), *constraint.right.labels()]
        if not used:
            raise ModelError(f"'{text}' holds no label: constraints relate labels, as in 'a == b'.", constraint=text)
        _known(used, known | defined, text)


def _known(used: Iterable[str], known: set[str], text: str) -> None:
    for label in used:
        if label not in known:
            raise ModelError(
                f"'{text}' uses '{label}', which labels no parameter.{did_you_mean(label, known)} "
                f"Write it before a variable: {label}*x.",
                label=label,
                known=sorted(known),
            )
