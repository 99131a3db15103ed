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
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from relmeasure.exceptions import OptionError
from relmeasure.multilevel.resampling import bootstrap_interval, icc_of
from relmeasure.multilevel.variance import OneWay, profile_interval
from relmeasure.responses.groups import group_sums
from relmeasure.results import Note, Provenance, Result, Status, Table, announce
from relmeasure.studies.class_data import check_gates, check_scales, point_of_each, read_classes, roster_of
from relmeasure.studies.class_subgroups import SubgroupWave
from relmeasure.studies.class_waves import LOW, REPORTABLE, SUPPRESSED, ClassWave, Columns, Gates, stacked, waves_of

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument, Level

__all__ = ["ClassroomScores", "ComponentInterval", "classroom_scores"]

ComponentInterval = Literal["none", "profile", "bootstrap"]
"""How intervals of intraclass correlations are made: not at all, by profile likelihood, by drawing whole classes."""


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
        Per wave and scale: ``icc1``, its interval where asked for, ``tau2``, ``sigma2``, ``n_classes``, ``n_students``,
        of the classes shown.
    subgroups : Table
        With ``by``: one row a class, subgroup, wave and scale; empty otherwise.
    subgroup_totals : Table
        With ``by``: each subgroup over all classes.
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
    subgroups: Table = field(default_factory=Table)
    subgroup_totals: Table = field(default_factory=Table)

    def _table(self) -> Table:
        return self.table

    def summary(self) -> str:
        """Return how many classes passed which gate, scale by scale."""
        rows = []
        for scale in dict.fromkeys(self.table["scale"]):
            seen = [row for row in self.table.rows() if row["scale"] == scale]
            count = {what: sum(row["status"] == what for row in seen) for what in (REPORTABLE, LOW, SUPPRESSED)}
            trusted = [row["reliability"] for row in seen if not math.isnan(row["reliability"])]
            rows.append(
                {"scale": scale, "classes": len(seen)}
                | count
                | {"median reliability": float(np.median(trusted)) if trusted else math.nan}
            )
        gates = (
            f"Hidden below {self.min_disclose} students, and where totals would give a hidden class back; "
            f"'{LOW}' below {self.min_report} students or below reliability {self.min_reliability:.2f}."
        )
        return "\n".join(
            [Table.from_rows(rows).to_text(), gates, *self.status.reasons, *(note.summary() for note in self.warnings)]
        )


def classroom_scores(
    instrument: Instrument,
    data: Any,
    *,
    cluster: str = "class_id",
    level: Level = "class",
    wave: str | None = None,
    student: str | None = None,
    school: str | None = None,
    by: str | None = None,
    weights: str | None = None,
    roster: Mapping[Any, int] | None = None,
    below: float | Mapping[str, float] | None = None,
    scales: Sequence[str] | None = None,
    min_disclose: int = 6,
    min_report: int = 15,
    min_reliability: float = 0.70,
    interval: ComponentInterval = "none",
    n_boot: int = 1000,
    conf_level: float = 0.95,
    unknown: Literal["raise", "missing"] = "raise",
    rng: int | np.random.Generator = 0,
) -> ClassroomScores:
    r"""Mean, error, reliability and status of every class on every scale.

    With :math:`n_j` students in class j, :math:`\sigma^2` the variance within and :math:`\tau^2` between classes
    (REML, from the classes that are shown):

    .. math::
        se_j = \sqrt{\sigma^2 / n_j} \sqrt{1 - n_j / N_j}, \quad
        rel_j = \frac{\tau^2}{\tau^2 + \sigma^2 / n_j}, \quad
        eb_j = \hat\mu + rel_j (\bar y_j - \hat\mu)

    where the second factor of the standard error stands only with a roster size :math:`N_j`. With weights
    :math:`\bar y_j` is the weighted mean and :math:`n_j = (\sum w)^2 / \sum w^2` in these formulas.

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
    student : str, optional
        Column with the student, who may have one row a class (and wave); default: "student_id" where an eager frame has
        it. A student with two rows is an error: rows would be counted as students.
    school : str, optional
        Column with the school of a class; its totals are published, and protected.
    by : str, optional
        Column with a subgroup of students (gender, language): classes by subgroups in ``subgroups``, hidden so that
        nothing can be computed from both margins together.
    weights : str, optional
        Column with sampling weights of students, above zero. Means, shares and totals are weighted; variances, ``sd``
        and the gates are not.
    roster : mapping of class to int, optional
        Students on the roll: gives response rates and the finite-population correction. Labels match as text, so 7 is
        the class 7 of a column of numbers.
    below : float or mapping of scale to float, optional
        Point of the scale; the share of students below it is reported.
    scales : sequence of str, optional
        Only these scales.
    min_disclose, min_report : int
        Below the first nothing is shown; below the second a mean is marked.
    min_reliability : float
        A mean whose own reliability is below it is marked.
    interval : {"none", "profile", "bootstrap"}
        Interval of the intraclass correlations in ``components``.
    n_boot : int
        Draws of whole classes for the bootstrap.
    conf_level : float
        Level of the intervals.
    unknown : {"raise", "missing"}
        As in ``score``.
    rng : int or numpy.random.Generator
        Seed of the bootstrap.

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
        A student twice in a class and wave, a class in two schools, a roster smaller than the number of answers, a
        weight that is not above zero.
    OptionError
        A roster for a class that has no row in the data.

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
    wanted = check_scales(instrument, scales, level)
    check_gates(min_disclose, min_report, conf_level)
    _check_interval(interval, n_boot)
    cuts = point_of_each("below", below, wanted, instrument)
    keys = [name for name in (school, cluster, wave) if name is not None]
    if by in keys:
        raise OptionError(f"Column '{by}' is named for two things: each argument names a column of its own.")
    read = read_classes(instrument, data, wanted, keys, unknown=unknown, cuts=cuts, weights=weights, student=student)
    rolls = roster_of(roster, read.sums.keys[cluster])
    gates = Gates(min_disclose, min_report, min_reliability, conf_level, rolls, cuts)
    order = read.wave_order(wave)
    waves = waves_of(read.sums, instrument, wanted, gates, cluster=cluster, school=school, wave=wave, order=order)
    blocks = [block for one in waves for block in one.class_columns()]
    if len(waves) > 1:
        blocks += _averages(waves)
    table = stacked(blocks)
    cells, cell_totals = Table(), Table()
    if by is not None:
        parts = group_sums(read.scored, wanted, [*keys, by], cuts=cuts, weights=weights)
        cells, cell_totals = _subgroups(waves, parts, by, wave)
    intervals = [_intervals(one, interval, n_boot, rng) for one in waves]
    return ClassroomScores(
        table=table,
        totals=stacked([block for one in waves for block in one.total_columns()]),
        components=stacked([b for one, i in zip(waves, intervals, strict=True) for b in one.component_columns(i)]),
        min_disclose=min_disclose,
        min_report=min_report,
        min_reliability=min_reliability,
        conf_level=conf_level,
        status=_status(table),
        warnings=(*read.kept, *announce(read.raised)),
        provenance=read.provenance("classroom_scores", instrument),
        subgroups=cells,
        subgroup_totals=cell_totals,
    )


# --------------------------------------------------------------------------- parts
def _subgroups(waves: Sequence[ClassWave], parts: Any, by: str, wave: str | None) -> tuple[Table, Table]:
    groups = sorted(set(parts.keys[by]))
    cells: list[Columns] = []
    totals: list[Columns] = []
    for one in waves:
        mine = parts if wave is None else parts.pick(np.array(parts.keys[wave]) == one.wave)
        part = SubgroupWave(one, mine, by, groups)
        cells += part.cell_columns()
        totals += part.total_columns()
    return stacked(cells), stacked(totals)


def _intervals(
    one: ClassWave, interval: ComponentInterval, n_boot: int, rng: int | np.random.Generator
) -> list[tuple[float, float]]:
    """Interval of the intraclass correlation of every scale, from the classes shown."""
    out = []
    level = one.gates.conf_level
    for k in range(len(one.sums.names)):
        clusters = one.clusters(k) if interval != "none" else None
        if clusters is None:
            out.append((math.nan, math.nan))
        elif interval == "profile":
            out.append(profile_interval(clusters.one_way(), restricted=True, conf_level=level))
        else:
            (found,) = bootstrap_interval(clusters, _icc1, n_boot=n_boot, conf_level=level, rng=rng)
            out.append(found)
    return out


def _icc1(stats: OneWay) -> tuple[float, ...]:
    return (icc_of(stats, "reml")[0],)


def _averages(waves: Sequence[ClassWave]) -> list[Columns]:
    """Average surveys, not students; a class that is hidden or absent in one wave has no average."""
    out = []
    homes: dict[str, Any] = {}
    for one in waves:
        homes |= dict(zip(one.labels, one.parents[0] if one.parents else one.labels, strict=True))
    labels = sorted(homes, key=lambda label: (homes[label], label))
    places = [{label: j for j, label in enumerate(one.labels)} for one in waves]
    for k, scale in enumerate(waves[0].sums.names):
        numbers: dict[str, list[Any]] = {name: [] for name in ("n", "mean", "se", "status", "reason")}
        for label in labels:
            seen = [(one.scales[k], place.get(label)) for one, place in zip(waves, places, strict=True)]
            for name, value in _average(seen).items():
                numbers[name].append(value)
        columns: Columns = {"wave": ["average"] * len(labels)}
        if waves[0].school is not None:
            columns["school"] = [homes[label] for label in labels]
        empty = [math.nan] * len(labels)
        columns |= {"cluster": labels, "scale": [scale] * len(labels)}
        columns |= {"roster": [waves[0].gates.roster.get(label) for label in labels], "n": numbers["n"]}
        columns |= {
            "response_rate": empty,
            "mean": numbers["mean"],
            "se": numbers["se"],
            "lower": empty,
            "upper": empty,
        }
        columns |= {"reliability": empty, "empirical_bayes": empty, "sd": empty, "share_below": empty}
        out.append(columns | {"status": numbers["status"], "reason": numbers["reason"]})
    return out


def _average(seen: Sequence[tuple[Any, int | None]]) -> dict[str, Any]:
    """One class on one scale over its waves."""
    if any(place is None or not found.shown[place] for found, place in seen):
        hidden = {"status": SUPPRESSED, "reason": "hidden or absent in one of the waves"}
        return {"n": None, "mean": math.nan, "se": math.nan} | hidden
    errors = [found.se[place] for found, place in seen]
    low = any(found.status[place] == LOW for found, place in seen)
    return {
        "n": int(sum(found.n[place] for found, place in seen)),
        "mean": float(sum(found.mean[place] for found, place in seen)) / len(seen),
        "se": math.sqrt(sum(error**2 for error in errors)) / len(seen),
        "status": LOW if low else REPORTABLE,
        "reason": "standard error for different students in each wave",
    }


# --------------------------------------------------------------------------- checks
def _status(table: Table) -> Status:
    statuses = set(table["status"])
    if statuses == {SUPPRESSED}:
        return Status("failed", reasons=("Every class is hidden: no class has enough students.",))
    if REPORTABLE not in statuses:
        return Status("caution", reasons=("No class mean is reliable enough to be read by itself.",))
    return Status("ok")


def _check_interval(interval: str, n_boot: int) -> None:
    if interval not in get_args(ComponentInterval):
        raise OptionError.from_value("interval", interval, get_args(ComponentInterval))
    if n_boot < 1:
        raise OptionError(f"n_boot={n_boot}: at least one draw is needed.")
