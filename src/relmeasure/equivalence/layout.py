"""Units that are compared, groups or waves, and which parameter of the model a row of a table is in which unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from relmeasure.exceptions import ModelError, shorten
from relmeasure.results import Result
from relmeasure.structural.language.parameter_table import ParameterTable, Row
from relmeasure.structural.language.roles import roles_of
from relmeasure.structural.language.syntax import Formula, Model, Modifier

__all__ = ["Layout", "model_over_waves"]


@dataclass(frozen=True, eq=False)
class Layout(Result):
    """What is compared, and how the variables are named in it.

    Attributes
    ----------
    over : {"group", "wave"}
        Groups stand in blocks of a table; waves stand beside each other in one block.
    units : tuple of str
        Names of the groups or waves, the reference first.
    wave_of : dict of str to int
        Place of the wave of each variable (items and factors), from one; empty for groups.
    base : dict of str to str
        Name of each variable in the model as written; empty for groups.
    """

    over: Literal["group", "wave"]
    units: tuple[str, ...]
    wave_of: dict[str, int] = field(default_factory=dict)
    base: dict[str, str] = field(default_factory=dict)

    def place(self, row: Row) -> tuple[int, str] | None:
        """Return the unit (from one) and the name of a parameter, None for what connects two waves."""
        lhs, rhs = (row.lhs, row.rhs)
        if self.over == "group":
            return row.group, _text(lhs, row.op, rhs)
        unit = self.wave_of[lhs]
        if row.op in ("=~", "~~") and self.wave_of[rhs] != unit:
            return None
        return unit, _text(self.base[lhs], row.op, self.base.get(rhs, rhs))

    def variable(self, name: str, unit: int) -> str:
        """Return the name that a variable of the model has in a unit."""
        if self.over == "group":
            return name
        return next(own for own, base in self.base.items() if base == name and self.wave_of[own] == unit)

    def base_name(self, name: str) -> str:
        """Return the name of a variable in the model as written."""
        return self.base.get(name, name)

    def factors(self, table: ParameterTable) -> tuple[str, ...]:
        """Return the factors of the model as written."""
        return tuple(dict.fromkeys(self.base_name(name) for name in table.latent))


def _text(lhs: str, op: str, rhs: str) -> str:
    """Name of a parameter; the sides of a covariance are interchangeable."""
    return op.join(sorted((lhs, rhs))) if op == "~~" else f"{lhs}{op}{rhs}"


def model_over_waves(model: Model, columns: Mapping[str, Mapping[str, str]]) -> tuple[Model, Layout]:
    """Return the model with a copy of every factor in every wave, and residuals of an item that covary over waves.

    Parameters
    ----------
    model : Model
        For one wave.
    columns : mapping of wave to mapping of item to variable
        The reference wave first.
    """
    waves = list(columns)
    roles = roles_of(model.formulas)
    wave_of: dict[str, int] = {}
    base: dict[str, str] = {}
    formulas: list[Formula] = []
    for number, wave in enumerate(waves, start=1):
        names = dict(columns[wave]) | {factor: f"{factor}.{wave}" for factor in roles.latent}
        for name, own in names.items():
            if own in base:
                raise ModelError(f"'{own}' stands for two things: rename the columns or the waves.", name=own)
            wave_of[own], base[own] = number, name
        formulas += [replace(f, lhs=names[f.lhs], rhs=names.get(f.rhs, f.rhs)) for f in model.formulas]
    for item in (name for name in roles.observed if name not in _alone(model)):
        copies = [columns[wave][item] for wave in waves]
        formulas += [
            Formula(first, "~~", second, Modifier(), 1, 1)
            for k, first in enumerate(copies)
            for second in copies[k + 1 :]
        ]
    return Model(model.text, tuple(formulas)), Layout("wave", tuple(waves), wave_of, base)


def _alone(model: Model) -> set[str]:
    """Items that are the only one of their factor: they have no residual that could covary."""
    loadings = [(f.lhs, f.rhs) for f in model.formulas if f.op == "=~"]
    factors = [factor for factor, _ in loadings]
    return {item for factor, item in loadings if factors.count(factor) == 1}


def same_items(model_items: Sequence[str], columns: Sequence[str], wave: str) -> dict[str, str]:
    """Return the column of each item of the model in a wave, given in the order of the items."""
    if len(columns) != len(model_items):
        raise ModelError(
            f"wave={{'{wave}': [...]}} names {len(columns)} columns, and the model has {len(model_items)} items "
            f"({shorten(model_items)}): name one column an item, in the same order in every wave.",
            wave=wave,
        )
    return dict(zip(model_items, columns, strict=True))
