"""One table of parameters underneath every model: what is free, fixed, equal, bounded, and in which group.

A model string, an instrument and, later, two-level and panel models all end here; nothing below reads syntax.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from relmeasure.results import FloatArray, Result, Table

__all__ = ["ParameterTable", "Row", "exogenous_index"]


@dataclass
class Row:
    """One parameter while a table is built.

    ``fixed`` is NaN while the parameter is free, and for exogenous moments, which take the sample's value.
    """

    lhs: str
    op: str
    rhs: str
    group: int = 1
    level: int = 1
    is_free: bool = True
    fixed: float = math.nan
    start: float = math.nan
    label: str = ""
    lower: float = -math.inf
    upper: float = math.inf
    exo: bool = False
    derived: bool = False
    user: bool = False

    @property
    def key(self) -> tuple[str, str, str, int, int]:
        """What makes the row unique: the two sides of ``~~`` are interchangeable."""
        lhs, rhs = sorted((self.lhs, self.rhs)) if self.op == "~~" else (self.lhs, self.rhs)
        return lhs, self.op, rhs, self.group, self.level

    def fix(self, value: float) -> None:
        """Fix the parameter."""
        self.is_free, self.fixed = False, value


@dataclass(frozen=True, eq=False)
class ParameterTable(Result):
    """The parameters of a model, one a row.

    Attributes
    ----------
    lhs, op, rhs : tuple of str
        As written: ``=~`` loading, ``~`` regression, ``~~`` (co)variance, ``~1`` intercept, ``|`` threshold,
        ``~*~`` scale of a latent response.
    group, level : tuple of int
        From one.
    free : tuple of int
        0, or the number of the free parameter from one. Equal parameters keep numbers of their own; their labels agree.
    fixed, start : tuple of float
        Value of a fixed parameter (NaN: taken from the sample, or derived) and the user's start (NaN: none).
    label : tuple of str
        Equal labels, equal parameters.
    lower, upper : tuple of float
        Bounds.
    exo : tuple of bool
        Moments of exogenous variables: taken from the sample where they are not free.
    derived : tuple of bool
        Follows from other parameters: residual variances of ordered items (delta), their scales (theta).
    user : tuple of bool
        Whether the model names the row, or the defaults added it.
    observed, latent, ordered : tuple of str
        Variables; ``ordered`` is a part of ``observed``.
    groups : tuple of str
        Names of the groups, in order; one empty name for a single group.
    mean_structure : bool
        Whether means are modelled.
    parameterization : str
        ``"delta"`` or ``"theta"``, for ordered items.
    auxiliary : tuple of str
        Observed variables that only help with missing answers: not part of the model, nor of what is reported.
    definitions : dict
        Name to expression of defined parameters.
    constraints : tuple of str
        ``"a == b"``, ``"a > 0"``.
    unit : {"group", "level"}
        What the groups are: groups of persons, or the levels within and between clusters.
    """

    lhs: tuple[str, ...]
    op: tuple[str, ...]
    rhs: tuple[str, ...]
    group: tuple[int, ...]
    level: tuple[int, ...]
    free: tuple[int, ...]
    fixed: tuple[float, ...]
    start: tuple[float, ...]
    label: tuple[str, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    exo: tuple[bool, ...]
    derived: tuple[bool, ...]
    user: tuple[bool, ...]
    observed: tuple[str, ...]
    latent: tuple[str, ...]
    ordered: tuple[str, ...] = ()
    groups: tuple[str, ...] = ("",)
    mean_structure: bool = False
    parameterization: str = "delta"
    definitions: dict[str, str] = field(default_factory=dict)
    constraints: tuple[str, ...] = ()
    auxiliary: tuple[str, ...] = ()
    unit: str = "group"

    @classmethod
    def from_rows(
        cls,
        rows: Sequence[Row],
        *,
        observed: Sequence[str],
        latent: Sequence[str],
        ordered: Sequence[str] = (),
        groups: Sequence[str] = ("",),
        mean_structure: bool = False,
        parameterization: str = "delta",
        definitions: Mapping[str, str] | None = None,
        constraints: Sequence[str] = (),
        auxiliary: Sequence[str] = (),
        unit: str = "group",
    ) -> ParameterTable:
        """Number the free parameters in the order of the rows."""
        number, free = 0, []
        for row in rows:
            number += row.is_free
            free.append(number if row.is_free else 0)
        columns = {
            name: tuple(getattr(row, name) for row in rows)
            for name in (
                "lhs", "op", "rhs", "group", "level", "fixed", "start", "label", "lower", "upper", "exo", "derived",
                "user",
            )
        }  # fmt: skip
        return cls(
            **columns,
            free=tuple(free),
            observed=tuple(observed),
            latent=tuple(latent),
            ordered=tuple(ordered),
            groups=tuple(groups),
            mean_structure=mean_structure,
            parameterization=parameterization,
            definitions=dict(definitions or {}),
            constraints=tuple(constraints),
            auxiliary=tuple(auxiliary),
            unit=unit,
        )

    def rows(self) -> list[Row]:
        """Return the rows, to build another table from."""
        return [
            Row(
                *(self.lhs[i], self.op[i], self.rhs[i], self.group[i], self.level[i]),
                is_free=self.free[i] > 0,
                fixed=self.fixed[i],
                start=self.start[i],
                label=self.label[i],
                lower=self.lower[i],
                upper=self.upper[i],
                exo=self.exo[i],
                derived=self.derived[i],
                user=self.user[i],
            )
            for i in range(len(self.lhs))
        ]

    def with_rows(self, rows: Sequence[Row]) -> ParameterTable:
        """Return the same model with other rows."""
        return self.from_rows(
            rows,
            observed=self.observed,
            latent=self.latent,
            ordered=self.ordered,
            groups=self.groups,
            mean_structure=self.mean_structure,
            parameterization=self.parameterization,
            definitions=self.definitions,
            constraints=self.constraints,
            auxiliary=self.auxiliary,
            unit=self.unit,
        )

    def with_fixed(self, fixed: Sequence[float]) -> ParameterTable:
        """Return the table with other values in the column of fixed values."""
        return replace(self, fixed=tuple(float(v) for v in fixed))

    def __len__(self) -> int:
        return len(self.lhs)

    @property
    def n_free(self) -> int:
        """Number of free parameters, equal ones counted separately."""
        return max(self.free, default=0)

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(self.groups)

    @property
    def n_levels(self) -> int:
        """Number of levels."""
        return max(self.level, default=1)

    @cached_property
    def free_rows(self) -> tuple[int, ...]:
        """Row of each free parameter."""
        return tuple(i for i, number in enumerate(self.free) if number)

    @cached_property
    def reported(self) -> tuple[int, ...]:
        """Rows of the model proper: without those of auxiliary variables."""
        extra = set(self.auxiliary)
        return tuple(i for i in range(len(self)) if self.lhs[i] not in extra and self.rhs[i] not in extra)

    def name(self, row: int) -> str:
        """``"f=~x1"``, with the group behind it when there are several."""
        text = f"{self.lhs[row]}{self.op[row]}{self.rhs[row]}"
        return f"{text} ({self.groups[self.group[row] - 1]})" if self.n_groups > 1 else text

    @property
    def free_names(self) -> tuple[str, ...]:
        """Name of each free parameter: its label, or ``"f=~x1"``."""
        return tuple(self.label[i] or self.name(i) for i in self.free_rows)

    def values(self, x: FloatArray) -> FloatArray:
        """Return the value of each row at the free parameters ``x``; NaN for derived rows."""
        out = np.array(self.fixed)
        out[list(self.free_rows)] = x
        return out

    def _table(self) -> Table:
        names = ("lhs", "op", "rhs", "group", "level", "free", "fixed", "start", "label", "exo", "derived", "user")
        return Table({name: getattr(self, name) for name in names})


def exogenous_index(table: ParameterTable) -> list[int]:
    """Places of the fixed exogenous variables."""
    names = {
        table.lhs[i]
        for i in range(len(table))
        if table.exo[i] and not table.free[i] and table.op[i] == "~~" and table.lhs[i] == table.rhs[i]
    }
    return [i for i, name in enumerate(table.observed) if name in names]
