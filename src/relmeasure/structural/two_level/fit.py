"""The result of a two-level model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from relmeasure.results import Table
from relmeasure.structural.fit import StructuralFit
from relmeasure.structural.two_level.engine import TwoLevelEngine, TwoLevelFitted
from relmeasure.structural.two_level.sample import TwoLevelSample

__all__ = ["TwoLevelFit"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class TwoLevelFit(StructuralFit):
    """A fitted two-level model.

    As ``StructuralFit``, with the column ``level`` (``"within"``, ``"between"``) in place of ``group``.
    """

    sample: TwoLevelSample

    @cached_property
    def _fitted(self) -> TwoLevelFitted:
        engine = TwoLevelEngine(self.table, self.sample, self.method, self._cases)
        active = tuple(r for r in engine.restrictions.inequalities if r.text in self.active)
        return TwoLevelFitted(engine, np.asarray(self.x), active)

    def _parameters(self, *, standardized: bool = False, conf_level: float | None = None) -> Table:
        return leveled(super()._parameters(standardized=standardized, conf_level=conf_level))


def leveled(table: Table) -> Table:
    """Name the column of groups after what it holds."""
    return Table({"level" if name == "group" else name: values for name, values in table.columns.items()})
