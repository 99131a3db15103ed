"""Subgroups within classes, under the same rule: girls and boys, languages, grades.

A cell of a class by a subgroup is shown only where neither it nor any other small sum can be computed from the class
totals, the school totals, the subgroup totals and the other cells, all read together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from relmeasure.disclosure import SubgroupSuppression, suppress_subgroups
from relmeasure.responses.groups import GroupSums
from relmeasure.studies.class_waves import LOW, REPORTABLE, SUPPRESSED, ClassWave, Columns, whole

__all__ = ["SubgroupWave"]

Array = np.ndarray[Any, np.dtype[np.float64]]

EMPTY = "no students"
"""Status of a cell of nobody."""


class SubgroupWave:
    """Classes of one wave by subgroups."""

    def __init__(self, whole_classes: ClassWave, parts: GroupSums, by: str, groups: Sequence[str]) -> None:
        self.classes, self.groups, self.scales = whole_classes, list(groups), parts.names
        place = {label: j for j, label in enumerate(whole_classes.labels)}
        column = {label: g for g, label in enumerate(self.groups)}
        row = np.array([place[label] for label in parts.keys[whole_classes.cluster]], dtype=np.int64)
        col = np.array([column[label] for label in parts.keys[by]], dtype=np.int64)
        self._at = row, col

        def table(values: Array) -> Array:
            out = np.zeros((len(place), len(column), *values.shape[1:]))
            out[row, col] = values
            return out

        self.rows, self.n = table(parts.rows), table(parts.n)
        self.mean, self.size = table(np.nan_to_num(parts.mean)), table(np.nan_to_num(parts.effective_n))
        self.within, self.below = table(parts.within), table(np.nan_to_num(parts.share_below))
        weighted, weight = parts.weighted, parts.weight
        self.above = table(parts.total if weighted is None else weighted)
        self.count = table(parts.n if weight is None else weight)
        self.decisions = self._decide()

    def _decide(self) -> list[SubgroupSuppression]:
        """One decision for scales that share items, on the smallest number of students behind any of them."""
        out: list[Any] = [None] * len(self.scales)
        sums, classes = self.classes.sums, self.classes
        for linked in classes.linked:
            places = list(linked)
            fewest = self.n[:, :, places].min(axis=2)
            nameless = (sums.n[:, places] - self.n[:, :, places].sum(axis=1)).min(axis=1)
            unnamed = np.column_stack([nameless, sums.rows - self.rows.sum(axis=1)])
            decision = suppress_subgroups(fewest, self.rows, unnamed, classes.decisions[places[0]], *classes.parents)
            for k in places:
                out[k] = decision
        return out

    def cell_columns(self) -> list[Columns]:
        """One block a scale: every class by every subgroup."""
        return [self._cells(k) for k in range(len(self.scales))]

    def _cells(self, k: int) -> Columns:
        classes, groups, gates = len(self.classes.labels), len(self.groups), self.classes.gates
        empty = (self.rows == 0) & self.classes.shown(k)[:, None]
        shown = ~self.decisions[k].cells & ~empty & (self.rows > 0)
        components = self.classes.scales[k].components
        sigma2 = math.nan if components is None else components.sigma2
        with np.errstate(invalid="ignore", divide="ignore"):
            n = np.where(shown, self.n[:, :, k], np.nan)
            se = np.sqrt(sigma2 / np.where(shown, self.size[:, :, k], np.nan))
            sd = np.sqrt(np.where(n > 1, self.within[:, :, k], np.nan) / (n - 1))
        mean = np.where(shown, self.mean[:, :, k], np.nan)
        below = (
            np.where(shown, self.below[:, :, k], np.nan) if self.scales[k] in gates.cuts else np.full_like(n, np.nan)
        )
        margin = self.classes.scales[k].margin
        columns: Columns = {} if self.classes.wave is None else {"wave": [self.classes.wave] * (classes * groups)}
        if self.classes.school is not None:
            columns["school"] = np.repeat(self.classes.sums.keys[self.classes.school], groups).tolist()
        columns |= {"cluster": np.repeat(self.classes.labels, groups).tolist(), "group": self.groups * classes}
        columns |= {"scale": [self.scales[k]] * (classes * groups)}
        columns["n"] = [0 if e else v for e, v in zip(empty.ravel().tolist(), whole(n.ravel()), strict=True)]
        numbers = {"mean": mean, "se": se, "lower": mean - margin * se, "upper": mean + margin * se, "sd": sd}
        columns |= {name: values.ravel().tolist() for name, values in (numbers | {"share_below": below}).items()}
        status, reason = self._status(n.ravel().tolist(), empty.ravel().tolist())
        return columns | {"status": status, "reason": reason}

    def _status(self, n: Sequence[float], empty: Sequence[bool]) -> tuple[list[str], list[str | None]]:
        gates = self.classes.gates
        hidden = f"fewer than {gates.min_disclose} students, or hidden so that these cannot be computed"
        status: list[str] = []
        reason: list[str | None] = []
        for students, nobody in zip(n, empty, strict=True):
            if nobody:
                status.append(EMPTY)
                reason.append(None)
            elif math.isnan(students):
                status.append(SUPPRESSED)
                reason.append(hidden)
            elif students < gates.min_report:
                status.append(LOW)
                reason.append(f"{students:.0f} students: fewer than {gates.min_report}")
            else:
                status.append(REPORTABLE)
                reason.append(None)
        return status, reason

    def total_columns(self) -> list[Columns]:
        """One block a scale: every subgroup over all classes."""
        out = []
        for k, scale in enumerate(self.scales):
            gone, groups = self.decisions[k].totals, len(self.groups)
            count = self.count[:, :, k].sum(axis=0)
            with np.errstate(invalid="ignore", divide="ignore"):
                mean = np.where(gone, np.nan, self.above[:, :, k].sum(axis=0) / count)
            n = np.where(gone, np.nan, self.n[:, :, k].sum(axis=0))
            columns: Columns = {} if self.classes.wave is None else {"wave": [self.classes.wave] * groups}
            columns |= {"group": self.groups, "scale": [scale] * groups, "n": whole(n), "mean": mean.tolist()}
            out.append(columns | {"status": [SUPPRESSED if hidden else REPORTABLE for hidden in gone.tolist()]})
        return out
