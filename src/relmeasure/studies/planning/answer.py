"""What a plan answers: sentences for a person, a table for a program, and what was assumed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from relmeasure.exceptions import OptionError
from relmeasure.results import Note, Result, Status, Table

__all__ = ["Numbers", "Plan", "as_numbers", "check_share", "check_shares", "check_whole", "normal_quantile"]

Numbers = float | Sequence[float]
"""One number, or several to be compared."""

_ROWS_SHOWN = 30
"""Rows of the table that ``summary()`` prints."""


@dataclass(frozen=True, eq=False)
class Plan(Result):
    """The answer to one question of planning.

    Attributes
    ----------
    question : str
        The word that ``rm.plan`` was asked by.
    answers : tuple of str
        Sentences, the main one first.
    table : Table
        One row a design; the columns are listed with each question.
    assumed : dict
        What the numbers rest on.
    method : str
        How they were worked out, with the reference.
    detail : Table
        What lies behind the table, such as the components of a decision study or every replicate of a simulation.
    status : Status
    warnings : tuple of Note
    """

    question: str
    answers: tuple[str, ...]
    table: Table
    assumed: dict[str, Any]
    method: str
    detail: Table = field(default_factory=Table)
    status: Status = field(default_factory=Status)
    warnings: tuple[Note, ...] = ()

    def _table(self) -> Table:
        return self.table

    def summary(self) -> str:
        """Return the answers, the table, what was assumed and how it was worked out."""
        shown = Table({name: values[:_ROWS_SHOWN] for name, values in self.table.columns.items()})
        rest = len(self.table) - len(shown)
        lines = [*self.answers, "", shown.to_text(), *([f"... and {rest} more rows"] if rest > 0 else []), ""]
        lines += ["Assumed: " + "; ".join(f"{name} {_told(value)}" for name, value in self.assumed.items())]
        lines += [self.method, *self.status.reasons, *(note.summary() for note in self.warnings)]
        return "\n".join(lines)


def _told(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_told(part)}" for name, part in value.items())
    if isinstance(value, (list, tuple)):
        few = ", ".join(_told(part) for part in value[:6])
        return few + (f" and {len(value) - 6} more" if len(value) > 6 else "")
    return str(value)


# --------------------------------------------------------------------------- arguments
def as_numbers(argument: str, given: Numbers, *, low: float, high: float = math.inf) -> list[float]:
    """The numbers of an argument, all strictly between two bounds.

    Raises
    ------
    OptionError
        Text, nothing, or a number outside the bounds.
    """
    array = np.atleast_1d(np.asarray(given))
    if array.ndim != 1 or array.dtype.kind not in "iuf" or not len(array):
        raise OptionError(f"{argument}={given!r}: a number, or a list of numbers, is needed.")
    values = [float(value) for value in array]
    for value in values:
        if not low < value < high:
            top = "" if math.isinf(high) else f" and below {high:g}"
            raise OptionError(f"{argument}={value:g}: a number above {low:g}{top} is needed.", value=value)
    return values


def check_share(argument: str, value: float) -> float:
    """A share above zero and up to one."""
    if not 0 < value <= 1:
        raise OptionError(f"{argument}={value}: a share above 0 and up to 1 is needed.", value=value)
    return float(value)


def check_shares(**shares: float) -> None:
    """Levels and shares strictly between zero and one."""
    for name, value in shares.items():
        if not 0 < value < 1:
            raise OptionError(f"{name}={value}: a number between 0 and 1 is needed.", value=value)


def check_whole(argument: str, given: int | Sequence[int], *, least: int = 1) -> list[int]:
    """Whole numbers of at least ``least``."""
    array = np.atleast_1d(np.asarray(given))
    if array.ndim != 1 or array.dtype.kind not in "iu" or not len(array):
        raise OptionError(f"{argument}={given!r}: a whole number, or a list of whole numbers, is needed.")
    if array.min() < least:
        raise OptionError(f"{argument}={int(array.min())}: at least {least} is needed.", value=int(array.min()))
    return [int(value) for value in array]


def normal_quantile(level: float) -> float:
    """Quantile of the normal distribution."""
    from scipy.special import ndtri

    return float(ndtri(level))
