"""Classes of one survey wave: what may be shown, and the numbers behind it. Used by every study that reports classes.

What is computed from all classes together (variances, the mean that scores shrink to) rests on the classes that are
shown: anything that rested on a hidden one would be an equation from which a reader could solve for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from relmeasure.disclosure import Suppression, suppress
from relmeasure.exceptions import DataError
from relmeasure.multilevel.resampling import Clusters
from relmeasure.multilevel.variance import Components, likelihood
from relmeasure.responses.groups import GroupSums
from relmeasure.results import Table

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument

__all__ = [
    "LOW",
    "REPORTABLE",
    "SUPPRESSED",
    "ClassWave",
    "Gates",
    "ScaleClasses",
    "linked_scales",
    "stacked",
    "waves_of",
]

Array = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Columns = dict[str, Sequence[Any]]

SUPPRESSED, LOW, REPORTABLE = "suppressed", "low reliability", "reportable"


@dataclass(frozen=True)
class Gates:
    """What decides status and intervals."""

    min_disclose: int = 6
    min_report: int = 15
    min_reliability: float = 0.70
    conf_level: float = 0.95
    roster: Mapping[str, int] = field(default_factory=dict)
    cuts: Mapping[str, float] = field(default_factory=dict)

    @property
    def hidden_reason(self) -> str:
        """Why a class is not shown."""
        return f"fewer than {self.min_disclose} students, or hidden to protect a class that has"


@dataclass(frozen=True)
class ScaleClasses:
    """One scale in one wave, one entry a class; numbers of hidden classes are NaN.

    ``size`` is the number of students, or with weights the number that would give the same precision without.
    """

    scale: str
    shown: Mask
    n: Array
    size: Array
    mean: Array
    se: Array
    reliability: Array
    shrunken: Array
    sd: Array
    share_below: Array
    margin: float
    components: Components | None
    status: list[str]
    reason: list[str | None]


@dataclass
class ClassWave:
    """Classes of one wave: components, decisions to hide, columns of the tables."""

    sums: GroupSums
    cluster: str
    school: str | None
    wave: str | None
    gates: Gates
    linked: Sequence[Sequence[int]]

    def __post_init__(self) -> None:
        labels = self.labels
        if len(set(labels)) != len(labels):
            twice = next(label for label in labels if labels.count(label) > 1)
            raise DataError(
                f"Class '{twice}' lies in two schools: give classes unique labels, or correct '{self.school}'."
            )
        enrolled = [self.gates.roster.get(label) for label in labels]
        for label, size, answered in zip(labels, enrolled, self.sums.rows, strict=True):
            if size is not None and size < answered:
                raise DataError(
                    f"Class '{label}' has {answered:.0f} answers but a roster of {size}: correct the roster."
                )
        self.enrolled = enrolled

    @property
    def labels(self) -> list[str]:
        """The classes."""
        return self.sums.keys[self.cluster]

    @property
    def parents(self) -> list[list[str]]:
        """School of each class, where schools were named."""
        return [self.sums.keys[self.school]] if self.school is not None else []

    @cached_property
    def decisions(self) -> list[Suppression]:
        """For each scale what is hidden; scales that share items are hidden together."""
        out: list[Any] = [None] * len(self.sums.names)
        for group in self.linked:
            n = self.sums.n[:, list(group)]
            # nobody behind one of several scales is somebody to protect on the others
            smallest = np.where(n.max(axis=1) > 0, np.maximum(n.min(axis=1), 1), 0).astype(int).tolist()
            decision = suppress(smallest, *self.parents, minimum=self.gates.min_disclose)
            for k in group:
                out[k] = decision
        return out

    def shown(self, k: int) -> Mask:
        """Which classes are shown on scale number k."""
        return ~np.array(self.decisions[k].cells, dtype=bool)

    def clusters(self, k: int) -> Clusters | None:
        """Sizes, means and scatter of the classes shown, if they tell anything about variances."""
        used = np.flatnonzero(self.shown(k) & (self.sums.n[:, k] > 0))
        n = self.sums.n[used, k]
        scatter = self.sums.within[used, k]
        if len(used) < 2 or n.sum() <= len(used) or not scatter.sum() > 0:
            return None
        return Clusters(n, self.sums.total[used, k] / n, scatter)

    @cached_property
    def scales(self) -> list[ScaleClasses]:
        """Every scale."""
        return [self._scale(k) for k in range(len(self.sums.names))]

    def _scale(self, k: int) -> ScaleClasses:
        shown, scale = self.shown(k), self.sums.names[k]
        clusters = self.clusters(k)
        components = None if clusters is None else likelihood(clusters.one_way(), restricted=True)
        n = np.where(shown, self.sums.n[:, k], np.nan)
        size = np.where(shown, self.sums.effective_n[:, k], np.nan)
        mean = np.where(shown, self.sums.mean[:, k], np.nan)
        se, reliability, shrunken = (np.full(len(n), np.nan) for _ in range(3))
        if components is not None:
            se = np.sqrt(components.sigma2 / size) * self._finite(n)
            reliability = components.tau2 / (components.tau2 + components.sigma2 / size)
            shrunken = components.mu + reliability * (mean - components.mu)
        below = self.sums.share_below[:, k] if scale in self.gates.cuts else np.full(len(n), np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            sd = np.sqrt(np.where(n > 1, self.sums.within[:, k], np.nan) / (n - 1))
        freedom = float(n[shown].sum() - shown.sum())
        status, reason = self._status(n, reliability)
        below = np.where(shown, below, np.nan)
        margin = t_quantile(self.gates.conf_level, freedom)
        numbers = (n, size, mean, se, reliability, shrunken, sd, below)
        return ScaleClasses(scale, shown, *numbers, margin, components, status, reason)

    def _finite(self, n: Array) -> Array:
        """Finite-population correction, one where the roster is not known."""
        if not self.gates.roster:
            return np.ones_like(n)
        enrolled = np.array([math.inf if size is None else size for size in self.enrolled])
        return np.asarray(np.sqrt(1 - n / enrolled))

    def _status(self, n: Array, reliability: Array) -> tuple[list[str], list[str | None]]:
        gates = self.gates
        few = f"fewer than {gates.min_report}"
        status: list[str] = []
        reason: list[str | None] = []
        for students, trust in zip(n.tolist(), reliability.tolist(), strict=True):
            if math.isnan(students):
                status.append(SUPPRESSED)
                reason.append(gates.hidden_reason)
            elif students < gates.min_report:
                status.append(LOW)
                reason.append(f"{students:.0f} students: {few}")
            elif math.isnan(trust):
                status.append(LOW)
                reason.append("too few classes to know how much classes differ")
            elif trust < gates.min_reliability:
                status.append(LOW)
                reason.append(f"reliability {trust:.2f}: below {gates.min_reliability:.2f}")
            else:
                status.append(REPORTABLE)
                reason.append(None)
        return status, reason

    # ----- columns of the tables
    def _keys(self, count: int) -> Columns:
        return {} if self.wave is None else {"wave": [self.wave] * count}

    def class_columns(self) -> list[Columns]:
        """One block a scale, one row a class."""
        return [self._class_block(found) for found in self.scales]

    def _class_block(self, found: ScaleClasses) -> Columns:
        count = len(found.n)
        columns = self._keys(count)
        if self.school is not None:
            columns["school"] = self.sums.keys[self.school]
        enrolled = np.array([math.nan if size is None else size for size in self.enrolled], dtype=float)
        columns |= {"cluster": self.labels, "scale": [found.scale] * count, "roster": self.enrolled}
        columns |= {"n": whole(found.n), "response_rate": (found.n / enrolled).tolist(), "mean": found.mean.tolist()}
        columns |= {"se": found.se.tolist(), "lower": (found.mean - found.margin * found.se).tolist()}
        columns |= {"upper": (found.mean + found.margin * found.se).tolist()}
        columns |= {"reliability": found.reliability.tolist(), "empirical_bayes": found.shrunken.tolist()}
        columns |= {"sd": found.sd.tolist(), "share_below": found.share_below.tolist()}
        return columns | {"status": found.status, "reason": found.reason}

    def total_columns(self) -> list[Columns]:
        """Means over schools and over all, with the decisions of ``suppress``."""
        places: dict[str, Mask] = {}
        if self.school is not None:
            schools = np.array(self.sums.keys[self.school])
            places = {label: schools == label for label in dict.fromkeys(self.sums.keys[self.school])}
        out = []
        for k, scale in enumerate(self.sums.names):
            groups = [(label, mask, self.decisions[k].totals[0][label]) for label, mask in places.items()]
            groups.append(("all", np.ones(len(self.sums.rows), dtype=bool), self.decisions[k].overall))
            n = np.array([math.nan if gone else self.sums.n[mask, k].sum() for _, mask, gone in groups])
            mean = [math.nan if gone else self.mean_over(mask, k) for _, mask, gone in groups]
            columns = self._keys(len(groups)) | {"total": [label for label, _, _ in groups]}
            columns |= {"scale": [scale] * len(groups), "n": whole(n), "mean": mean}
            out.append(columns | {"status": [SUPPRESSED if gone else REPORTABLE for _, _, gone in groups]})
        return out

    def mean_over(self, mask: Mask, k: int) -> float:
        """Mean over the students of some classes, weighted where there are weights."""
        weighted, weight = self.sums.weighted, self.sums.weight
        above, below = (self.sums.total, self.sums.n) if weighted is None or weight is None else (weighted, weight)
        count = float(below[mask, k].sum())
        return float(above[mask, k].sum()) / count if count > 0 else math.nan

    def component_columns(self, intervals: Sequence[tuple[float, float]] | None = None) -> list[Columns]:
        """Variance components a scale, from the classes that are shown."""
        out = []
        for k, found in enumerate(self.scales):
            used = found.shown & (self.sums.n[:, k] > 0)
            parts = found.components
            values = (math.nan,) * 3 if parts is None else (parts.icc1, parts.tau2, parts.sigma2)
            low, high = (math.nan, math.nan) if intervals is None else intervals[k]
            columns: Columns = self._keys(1) | {"scale": [found.scale], "icc1": [values[0]]}
            columns |= {"icc1_lower": [low], "icc1_upper": [high], "tau2": [values[1]], "sigma2": [values[2]]}
            out.append(columns | {"n_classes": [int(used.sum())], "n_students": [int(self.sums.n[used, k].sum())]})
        return out


# --------------------------------------------------------------------------- shared by studies
def waves_of(
    sums: GroupSums,
    instrument: Instrument,
    scales: Sequence[str],
    gates: Gates,
    *,
    cluster: str,
    school: str | None = None,
    wave: str | None = None,
    order: Sequence[str] | None = None,
) -> list[ClassWave]:
    """The classes of each wave, in the order given (default: of the labels as text)."""
    linked = linked_scales(instrument, scales)
    if wave is None:
        return [ClassWave(sums, cluster, school, None, gates, linked)]
    labels = np.array(sums.keys[wave])
    found = sorted(set(sums.keys[wave])) if order is None else order
    return [ClassWave(sums.pick(labels == label), cluster, school, label, gates, linked) for label in found]


def linked_scales(instrument: Instrument, scales: Sequence[str]) -> list[list[int]]:
    """Places of scales that share items through composites: one decision to hide for each such group."""
    groups: list[tuple[set[str], list[int]]] = []
    for k, name in enumerate(scales):
        items, places = set(instrument.scale_items(name)), [k]
        apart = []
        for other, members in groups:
            if other & items:
                items |= other
                places = members + places
            else:
                apart.append((other, members))
        groups = [*apart, (items, places)]
    return [places for _, places in groups]


def stacked(blocks: Sequence[Columns]) -> Table:
    """Blocks of columns one under another."""
    names = list(dict.fromkeys(name for block in blocks for name in block))
    return Table({name: tuple(value for block in blocks for value in block[name]) for name in names})


def whole(values: Array) -> list[int | None]:
    """Counts as whole numbers, None where hidden."""
    return [None if math.isnan(value) else int(value) for value in values.tolist()]


def t_quantile(conf_level: float, freedom: float) -> float:
    """Half-width of an interval in standard errors."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 1 - (1 - conf_level) / 2)) if freedom >= 1 else math.nan
