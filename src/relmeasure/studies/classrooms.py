"""Scores for classes: the mean, how far it can be trusted, and what must not be shown.

Two gates stand between a class mean and its reader, and they are different things. *Disclosure*: below ``min_disclose``
students nothing is shown, and further classes are hidden where a total would give the hidden one back. *Reliability*:
a mean of fewer than ``min_report`` students, or one whose own reliability is below ``min_reliability``, is shown with
that said. The reliability is that of the observed mean of this class at its own n, tau2 / (tau2 + sigma2 / n).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from relmeasure._version import __version__
from relmeasure.disclosure import suppress
from relmeasure.exceptions import DataError, LevelError, ListwiseDeletionWarning, OptionError, RelmeasureWarning
from relmeasure.multilevel.variance import Components, OneWay, likelihood
from relmeasure.responses.binding import KeyedResponses, bound
from relmeasure.responses.groups import GroupSums, group_sums
from relmeasure.results import Note, Provenance, Result, Status, Table, announce
from relmeasure.scoring import score

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument, Level

__all__ = ["ClassroomScores", "classroom_scores"]

Array = np.ndarray[Any, np.dtype[np.float64]]

SUPPRESSED, LOW, REPORTABLE = "suppressed", "low reliability", "reportable"


@dataclass(frozen=True, eq=False)
class ClassroomScores(Result):
    """Scores of classes under the disclosure rule.

    Attributes
    ----------
    table : Table
        One row a class, wave and scale: the key columns, ``scale``, ``n`` (missing where suppressed), ``roster``,
        ``response_rate``, ``mean``, ``se``, ``lower``, ``upper``, ``reliability``, ``empirical_bayes``, ``sd`` (spread
        within the class), ``share_below``, ``status`` and ``reason``.
    totals : Table
        The same over all classes, and per school where ``school`` was given; hidden by the same rule.
    components : Table
        Per wave and scale: ``icc1``, ``tau2``, ``sigma2``, ``n_classes``, ``n_students``, of the classes shown.
    status : Status
    warnings : tuple of Note
    provenance : Provenance
    """

    table: Table
    totals: Table
    components: Table
    min_disclose: int
    min_report: int
    min_reliability: float
    conf_level: float
    status: Status
    warnings: tuple[Note, ...] = ()
    provenance: Provenance | None = None

    def _table(self) -> Table:
        return self.table

    def summary(self) -> str:
        """Return how many classes passed which gate, scale by scale."""
        rows = []
        for scale in dict.fromkeys(self.table["scale"]):
            seen = [row for row in self.table.rows() if row["scale"] == scale]
            count = {what: sum(row["status"] == what for row in seen) for what in (REPORTABLE, LOW, SUPPRESSED)}
            trusted = [row["reliability"] for row in seen if row["status"] != SUPPRESSED]
            rows.append(
                {"scale": scale, "classes": len(seen)}
                | count
                | {"median reliability": float(np.median(trusted)) if trusted else math.nan}
            )
        gates = (
            f"Hidden below {self.min_disclose} students, and where totals would give a hidden class back; "
            f"'{LOW}' below {self.min_report} students or below reliability {self.min_reliability:.2f}."
        )
        return "\n".join([Table.from_rows(rows).to_text(), gates, *(note.summary() for note in self.warnings)])


def classroom_scores(
    instrument: Instrument,
    data: Any,
    *,
    cluster: str = "class_id",
    level: Level = "class",
    wave: str | None = None,
    school: str | None = None,
    roster: Mapping[str, int] | None = None,
    below: float | Mapping[str, float] | None = None,
    scales: Sequence[str] | None = None,
    min_disclose: int = 6,
    min_report: int = 15,
    min_reliability: float = 0.70,
    conf_level: float = 0.95,
    unknown: Literal["raise", "missing"] = "raise",
) -> ClassroomScores:
    r"""Mean, error, reliability and status of every class on every scale.

    With :math:`n_j` students in class j, :math:`\sigma^2` the variance within and :math:`\tau^2` between classes
    (REML, from the classes that are shown):

    .. math::
        se_j = \sqrt{\sigma^2 / n_j} \sqrt{1 - n_j / N_j}, \quad
        rel_j = \frac{\tau^2}{\tau^2 + \sigma^2 / n_j}, \quad
        eb_j = \hat\mu + rel_j (\bar y_j - \hat\mu)

    where the second factor of the standard error stands only with a roster size :math:`N_j`.

    Parameters
    ----------
    instrument : Instrument
    data : frame
        Answers of students: pandas, Polars (eager or lazy), PyArrow or DuckDB.
    cluster : str
        Column with the class or teacher.
    level : {"class", "teacher", "school"}
        What the cluster is; a scale that is not valid at that level is refused.
    wave : str, optional
        Column with the survey wave. Each wave is scored by itself; the average of a class over waves averages surveys,
        not students (row with wave ``"average"``), and is hidden if one of them is.
    school : str, optional
        Column with the school of a class; its totals are published, and protected.
    roster : mapping of class to int, optional
        Students on the roll: gives response rates and the finite-population correction.
    below : float or mapping of scale to float, optional
        Point of the scale; the share of students below it is reported.
    scales : sequence of str, optional
        Only these scales.
    min_disclose, min_report : int
        Below the first nothing is shown; below the second a mean is marked.
    min_reliability : float
        A mean whose own reliability is below it is marked.
    conf_level : float
        Level of the intervals.
    unknown : {"raise", "missing"}
        As in ``score``.

    Returns
    -------
    ClassroomScores

    Notes
    -----
    Missing data: each scale uses the students who have a score on it (the missing rule of the instrument).
    Interval: mean plus or minus t with N - J degrees of freedom (J classes shown) times the standard error; it concerns
    the students of this class, not future ones. One decision to hide is made per class and wave for all scales that
    share items, on the smallest number of students behind any of their scores, so that a composite cannot give a hidden
    part back. Hidden classes take no part in the components: the weighted mean behind ``empirical_bayes`` and a total
    are two equations, from which two hidden classes could be solved. Rows without a class (or school, or wave) are not
    used, and counted in a warning.

    Raises
    ------
    LevelError
        A scale is not valid at ``level``.
    DataError
        A class lies in two schools, or a roster is smaller than the number of answers.

    References
    ----------
    Raudenbush, S. W., & Bryk, A. S. (2002). Hierarchical linear models (2nd ed.), eq. 3.38 to 3.42. Sage.
    Ludtke, O., Trautwein, U., Kunter, M., & Baumert, J. (2006). Learning Environments Research, 9, 215-230.

    Examples
    --------
    >>> import relmeasure as rm
    >>> instrument = rm.load_instrument("relationship-student")
    >>> data = rm.simulate(instrument, n_clusters=12, cluster_size=(5, 25), icc=0.3, rng=1)
    >>> result = rm.classroom_scores(instrument, data, cluster="class_id", scales=["care"])
    >>> sorted(set(result.to_frame()["status"]))
    ['low reliability', 'reportable', 'suppressed']
    """
    wanted = tuple(scales) if scales is not None else instrument.scale_ids
    _check(instrument, wanted, level, min_disclose, min_report)
    cuts = _cuts(below, wanted)
    keys = [name for name in (school, cluster, wave) if name is not None]
    raw = data.responses if isinstance(data, KeyedResponses) else data
    responses, raised = bound(instrument, raw, scales=list(wanted), unknown=unknown)
    sums = group_sums(score(instrument, responses, scales=list(wanted)), wanted, keys, cuts=cuts)
    used = int(sums.rows.sum())
    raised += _without_keys(responses.n_rows, used, keys)
    waves = dict.fromkeys(sums.keys[wave]) if wave is not None else {None: None}
    rows: list[dict[str, Any]] = []
    totals: list[dict[str, Any]] = []
    components: list[dict[str, Any]] = []
    linked = _linked(instrument, wanted)
    settings = _Gates(min_disclose, min_report, min_reliability, conf_level, dict(roster or {}), cuts)
    for current in waves:
        part = sums if current is None else sums.pick(np.array([w == current for w in sums.keys[str(wave)]]))
        one = _Wave(part, cluster, school, current, settings, linked)
        rows += one.rows()
        totals += one.total_rows()
        components += one.component_rows()
    if wave is not None and len(waves) > 1:
        rows += _averages(rows, [name for name in ("school", "cluster") if name in rows[0]], len(waves))
    table = Table.from_rows(rows)
    return ClassroomScores(
        table=table,
        totals=Table.from_rows(totals),
        components=Table.from_rows(components),
        min_disclose=min_disclose,
        min_report=min_report,
        min_reliability=min_reliability,
        conf_level=conf_level,
        status=_status(table),
        warnings=(*(responses.warnings if raw is responses else ()), *announce(raised)),
        provenance=Provenance(
            "classroom_scores", __version__, responses.n_rows, used, "students with a score, by class", instrument.label
        ),
    )


# --------------------------------------------------------------------------- one wave
@dataclass(frozen=True)
class _Gates:
    """What decides status and intervals."""

    min_disclose: int
    min_report: int
    min_reliability: float
    conf_level: float
    roster: dict[str, int]
    cuts: dict[str, float]


@dataclass
class _Wave:
    """Classes of one wave: components, decisions to hide, rows of the tables."""

    sums: GroupSums
    cluster: str
    school: str | None
    wave: str | None
    gates: _Gates
    linked: Sequence[Sequence[int]] = ()
    hidden: dict[int, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        labels = self.sums.keys[self.cluster]
        if len(set(labels)) != len(labels):
            twice = next(label for label in labels if labels.count(label) > 1)
            raise DataError(
                f"Class '{twice}' lies in two schools: give classes unique labels, or correct '{self.school}'."
            )
        parents = [self.sums.keys[self.school]] if self.school is not None else []
        for group in self.linked or [[k] for k in range(len(self.sums.names))]:
            smallest = self.sums.n[:, list(group)].min(axis=1).astype(int).tolist()
            decision = suppress(smallest, *parents, minimum=self.gates.min_disclose)
            for k in group:
                self.hidden[k] = decision

    def rows(self) -> list[dict[str, Any]]:
        """One row a class and scale."""
        out = []
        for k, scale in enumerate(self.sums.names):
            components = self._components(k)
            margin = _t_quantile(self.gates.conf_level, self._freedom(k))
            for j, label in enumerate(self.sums.keys[self.cluster]):
                row = self._keys(j) | {"scale": scale} | self._roster(label, self.sums.rows[j])
                shown = not self.hidden[k].cells[j]
                out.append(row | (self._shown(j, k, components, margin) if shown else _hidden(self.gates)))
        return out

    def _keys(self, j: int) -> dict[str, Any]:
        keys: dict[str, Any] = {} if self.wave is None else {"wave": self.wave}
        if self.school is not None:
            keys["school"] = self.sums.keys[self.school][j]
        return keys | {"cluster": self.sums.keys[self.cluster][j]}

    def _roster(self, label: str, answered: float) -> dict[str, Any]:
        enrolled = self.gates.roster.get(label)
        if enrolled is not None and enrolled < answered:
            raise DataError(
                f"Class '{label}' has {answered:.0f} answers but a roster of {enrolled}: correct the roster."
            )
        return {"roster": enrolled}

    def _shown(self, j: int, k: int, components: Components | None, margin: float) -> dict[str, Any]:
        n, mean = float(self.sums.n[j, k]), float(self.sums.mean[j, k])
        sd = math.sqrt(float(self.sums.within[j, k]) / (n - 1)) if n > 1 else math.nan
        enrolled = self.gates.roster.get(self.sums.keys[self.cluster][j])
        below = float(self.sums.below[j, k]) / n if self.sums.names[k] in self.gates.cuts else math.nan
        if components is None:
            error = reliability = shrunken = math.nan
        else:
            error = math.sqrt(components.sigma2 / n) * (math.sqrt(1 - n / enrolled) if enrolled else 1.0)
            reliability = float(components.reliability(n)) if components.tau2 > 0 else 0.0
            shrunken = components.mu + reliability * (mean - components.mu)
        status, reason = self._status(n, reliability)
        return {
            "n": int(n),
            "response_rate": n / enrolled if enrolled else math.nan,
            "mean": mean,
            "se": error,
            "lower": mean - margin * error,
            "upper": mean + margin * error,
            "reliability": reliability,
            "empirical_bayes": shrunken,
            "sd": sd,
            "share_below": below,
            "status": status,
            "reason": reason,
        }

    def _status(self, n: float, reliability: float) -> tuple[str, str | None]:
        if n < self.gates.min_report:
            return LOW, f"{n:.0f} students: fewer than {self.gates.min_report}"
        if math.isnan(reliability):
            return LOW, "too few classes to know how much classes differ"
        if reliability < self.gates.min_reliability:
            return LOW, f"reliability {reliability:.2f}: below {self.gates.min_reliability:.2f}"
        return REPORTABLE, None

    def _used(self, k: int) -> np.ndarray[Any, Any]:
        """Classes that are shown: what rests on a hidden one could be solved for its mean."""
        return np.flatnonzero((self.sums.n[:, k] > 0) & ~np.array(self.hidden[k].cells, dtype=bool))

    def _freedom(self, k: int) -> float:
        used = self._used(k)
        return float(self.sums.n[used, k].sum() - len(used))

    def _components(self, k: int) -> Components | None:
        used = self._used(k)
        if len(used) < 2 or self._freedom(k) < 1:
            return None
        one_way = OneWay(self.sums.n[used, k], self.sums.mean[used, k], float(self.sums.within[used, k].sum()))
        if not one_way.within > 0:
            return None
        return likelihood(one_way, restricted=True)

    def component_rows(self) -> list[dict[str, Any]]:
        """Variance components a scale, from the classes that are shown."""
        out = []
        for k, scale in enumerate(self.sums.names):
            found = self._components(k)
            row: dict[str, Any] = {} if self.wave is None else {"wave": self.wave}
            row |= {"scale": scale, "icc1": math.nan, "tau2": math.nan, "sigma2": math.nan}
            if found is not None:
                row |= {"icc1": found.icc1, "tau2": found.tau2, "sigma2": found.sigma2}
            used = self._used(k)
            out.append(row | {"n_classes": len(used), "n_students": int(self.sums.n[used, k].sum())})
        return out

    def total_rows(self) -> list[dict[str, Any]]:
        """Means over schools and over all, with the decisions of ``suppress``."""
        out = []
        for k, scale in enumerate(self.sums.names):
            places: dict[str, Any] = {}
            if self.school is not None:
                for label in dict.fromkeys(self.sums.keys[self.school]):
                    places[label] = np.array([s == label for s in self.sums.keys[self.school]])
            groups = [(label, mask, self.hidden[k].totals[0][label]) for label, mask in places.items()]
            groups.append(("all", np.ones(len(self.sums.rows), dtype=bool), self.hidden[k].overall))
            for label, mask, gone in groups:
                n = float(self.sums.n[mask, k].sum())
                row: dict[str, Any] = {} if self.wave is None else {"wave": self.wave}
                row |= {"total": label, "scale": scale}
                mean = float(self.sums.total[mask, k].sum() / n) if n and not gone else math.nan
                row |= {"n": None if gone else int(n), "mean": mean, "status": SUPPRESSED if gone else REPORTABLE}
                out.append(row)
        return out


# --------------------------------------------------------------------------- helpers
_EMPTY = ("response_rate", "mean", "se", "lower", "upper", "reliability", "empirical_bayes", "sd", "share_below")


def _hidden(gates: _Gates) -> dict[str, Any]:
    reason = f"fewer than {gates.min_disclose} students, or hidden to protect a class that has"
    return {"n": None} | dict.fromkeys(_EMPTY, math.nan) | {"status": SUPPRESSED, "reason": reason}


def _averages(rows: list[dict[str, Any]], keys: list[str], n_waves: int) -> list[dict[str, Any]]:
    """Average surveys, not students; a class that is hidden or absent in one wave has no average."""
    grouped: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        grouped.setdefault((*(row[key] for key in keys), row["scale"]), []).append(row)
    out = []
    for surveys in grouped.values():
        first = surveys[0]
        mean: dict[str, Any] = {"wave": "average"} | {key: first[key] for key in keys} | {"scale": first["scale"]}
        mean |= {"roster": first["roster"], "n": None} | dict.fromkeys(_EMPTY, math.nan)
        if len(surveys) < n_waves or any(s["status"] == SUPPRESSED for s in surveys):
            mean |= {"status": SUPPRESSED, "reason": "hidden or absent in one of the waves"}
        else:
            error = math.sqrt(sum(s["se"] ** 2 for s in surveys)) / n_waves
            statuses = {s["status"] for s in surveys}
            mean |= {
                "n": sum(s["n"] for s in surveys),
                "mean": sum(s["mean"] for s in surveys) / n_waves,
                "se": error,
                "status": LOW if LOW in statuses else REPORTABLE,
                "reason": "standard error for different students in each wave",
            }
        out.append(mean)
    return out


def _status(table: Table) -> Status:
    statuses = set(table["status"])
    if statuses == {SUPPRESSED}:
        return Status("failed", reasons=("Every class is hidden: no class has enough students.",))
    if REPORTABLE not in statuses:
        return Status("caution", reasons=("No class mean is reliable enough to be read by itself.",))
    return Status("ok")


def _without_keys(n_rows: int, used: int, keys: Sequence[str]) -> list[RelmeasureWarning]:
    """Say how many rows belong to no class; without any row there is nothing to report."""
    named = " and ".join(f"'{key}'" for key in keys)
    if not used:
        raise DataError(f"None of the {n_rows} rows has {named}: nothing can be reported.", n_rows=n_rows)
    if used == n_rows:
        return []
    text = f"{n_rows - used} of {n_rows} rows have no value in {named} and are not used."
    return [ListwiseDeletionWarning(text, n_dropped=n_rows - used, n_rows=n_rows)]


def _check(instrument: Instrument, scales: Sequence[str], level: str, min_disclose: int, min_report: int) -> None:
    if level not in {"class", "teacher", "school"}:
        raise OptionError.from_value("level", level, ("class", "teacher", "school"))
    if min_report < min_disclose:
        raise OptionError(f"min_report={min_report} is below min_disclose={min_disclose}: it must not be.")
    for name in scales:
        levels = instrument.scale(name).levels
        if level not in levels:
            raise LevelError(
                f"Scale '{name}' of {instrument.label} is not valid at level '{level}', only at: {', '.join(levels)}. "
                "Choose other scales with scales=, or another level.",
                scale=name,
                level=level,
            )


def _linked(instrument: Instrument, scales: Sequence[str]) -> list[list[int]]:
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


def _cuts(below: float | Mapping[str, float] | None, scales: Sequence[str]) -> dict[str, float]:
    if below is None:
        return {}
    if not isinstance(below, Mapping):
        return {name: float(below) for name in scales}
    for name in below:
        if name not in scales:
            raise OptionError.from_value("below", name, scales)
    return {name: float(value) for name, value in below.items()}


def _t_quantile(conf_level: float, freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 1 - (1 - conf_level) / 2)) if freedom >= 1 else math.nan
