"""Perception gap: the teacher's own view of a class against the students' view of it.

The two forms are compared on percent of the maximum possible. A gap has the error of the class mean (the students who
answered) and that of the teacher's score; a correlation of two views is lowered by both, and corrected. A difference
that is the same in all scales may come from the answer format alone; what can be read is the pattern.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from relmeasure.exceptions import (
    DataError,
    FewClustersWarning,
    ListwiseDeletionWarning,
    OptionError,
    RelmeasureWarning,
    shorten,
)
from relmeasure.multilevel.raters import interrater
from relmeasure.responses.groups import group_sums
from relmeasure.responses.labelled import column_names
from relmeasure.results import Note, Provenance, Result, Status, Table, announce
from relmeasure.studies.class_data import ClassData, check_gates, read_classes
from relmeasure.studies.class_waves import ClassWave, Gates, t_quantile, waves_of
from relmeasure.studies.response_surface import response_surface
from relmeasure.studies.views import TeacherView, Views, paired_scales, read_teachers, require_classes, views_of

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument

__all__ = ["PerceptionGap", "perception_gap"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_UNIT = 10.0
"""Points of the 0-100 metric that are one unit of a response surface."""


@dataclass(frozen=True, eq=False)
class PerceptionGap(Result):
    """Two views of the same classes.

    Attributes
    ----------
    table : Table
        One row a class and scale: ``cluster``, ``scale``, ``teacher`` and ``students`` (0 to 100), ``n``, ``gap``
        (teacher minus students), ``se``, ``lower``, ``upper``, ``reading`` ("teacher higher", "teacher lower", "no
        clear gap") and ``note``.
    overall : Table
        One row a scale: ``n_classes``, means of both views, ``gap`` with ``gap_se``, interval, ``gap_t``, ``gap_df``,
        ``gap_pvalue`` (test of a general over- or underestimate) and ``gap_d``; shares of classes whose own gap is
        clear; ``icc_absolute`` and ``icc_consistency`` with intervals; ``rank_correlation`` with its interval;
        ``correlation`` with its interval; ``reliability_teacher``, ``reliability_students``; ``corrected`` correlation
        with its interval.
    surface : Table
        With ``outcome``: coefficients of the response surface and a1 to a5, in units of 10 points, the middle (50) as
        zero.
    outcome : str or None
    """

    table: Table
    overall: Table
    surface: Table
    outcome: str | None
    conf_level: float
    status: Status
    warnings: tuple[Note, ...] = ()
    provenance: Provenance | None = None

    def _table(self) -> Table:
        return self.table

    def summary(self) -> str:
        """Return what holds over all teachers, scale by scale."""
        level = f"{self.conf_level:.0%}"
        lines = []
        for row in self.overall.rows():
            if not row["n_classes"]:
                lines.append(f"{row['scale']}: no class has both views and enough students.")
                continue
            gap = f"gap {row['gap']:+.1f} of 100 [{row['gap_lower']:.1f}, {row['gap_upper']:.1f}]"
            agree = f"agreement ICC(A,1) {row['icc_absolute']:.2f}, rank correlation {row['rank_correlation']:.2f}"
            real = f"correlation {row['correlation']:.2f}, corrected for unreliability {row['corrected']:.2f}"
            lines.append(f"{row['scale']} ({row['n_classes']} classes): {gap}; {agree}; {real}")
        lines.append(f"Teacher minus students, {level} intervals. The pattern over scales can be read, not one level.")
        if len(self.surface):
            lines.append(self.surface.to_text())
        return "\n".join([*lines, *self.status.reasons, *(note.summary() for note in self.warnings)])


def perception_gap(
    teacher_instrument: Instrument,
    teacher_data: Any,
    student_instrument: Instrument,
    student_data: Any,
    *,
    cluster: str = "class_id",
    teacher_cluster: str | None = None,
    school: str | None = None,
    scales: Sequence[str] | Mapping[str, str] | None = None,
    outcome: str | None = None,
    min_disclose: int = 6,
    min_report: int = 15,
    conf_level: float = 0.95,
    n_boot: int = 1000,
    unknown: Literal["raise", "missing"] = "raise",
    rng: int | np.random.Generator = 0,
) -> PerceptionGap:
    r"""Compare the teacher's own view of each class with the students' view of it.

    With both on :math:`POMP = 100 (x - min) / (max - min)`, the teacher's score :math:`t_j` and the mean
    :math:`s_j` of :math:`n_j` students:

    .. math::
        gap_j = t_j - s_j, \quad se_j^2 = \sigma^2_s / n_j + \sigma^2_t (1 - \alpha_t), \quad
        r_c = \frac{cov(t, s)}{\sqrt{var(t)\, \alpha_t \; (var(s) - \overline{\sigma^2_s / n_j})}}

    where :math:`\sigma^2_s` is the variance of students within classes and :math:`\alpha_t` alpha of the teacher's
    scale over teachers.

    Parameters
    ----------
    teacher_instrument : Instrument
    teacher_data : frame
        One row a class.
    student_instrument : Instrument
    student_data : frame
        One row a student.
    cluster, teacher_cluster : str
        Column with the class in the students' data, and in the teachers' (default: the same name).
    school : str, optional
        Column of the students' data with the school of a class. Name it if ``classroom_scores`` is published with its
        school totals: the same classes are hidden then.
    scales : sequence of str, or mapping of teacher scale to student scale, optional
        Default: the scale ids that both forms have.
    outcome : str, optional
        What the two views are to go with: a column of the teachers' data, or a numeric column of the students' data,
        averaged by class. Gives the response surface.
    min_disclose, min_report : int
        Classes below the first are hidden (and others that protect them); below the second a note is made.
    conf_level : float
        Level of the intervals.
    n_boot : int
        Draws of teachers for the interval of the corrected correlation.
    unknown : {"raise", "missing"}
        As in ``score``.
    rng : int or numpy.random.Generator
        Seed of the draws.

    Returns
    -------
    PerceptionGap

    Notes
    -----
    Missing data: classes with both scores; the others are counted in a warning. Everything rests on the classes that
    are shown. The general over- or underestimate is a paired t test over classes. Agreement: ICC(A,1) and ICC(C,1) of
    two raters with F intervals (McGraw & Wong, 1996). Rank agreement: Spearman's rho, interval of Bonett & Wright
    (2000). Correlation: Fisher's z. Corrected correlation: percentiles over draws of teachers, alpha and the class-mean
    error taken anew in each; it can pass one, which is said. Alpha needs two items; with one the teacher's score is
    taken as free of error (``reliability_teacher`` is then missing). Of a scale of subscales alpha is that of the items
    under it. Weights are not supported.

    Raises
    ------
    OptionError
        Forms handed in the wrong way round, no common scale, an unknown outcome.
    DataError
        Two rows for a class in the teachers' data, a student twice in a class, no class with both views.
    UnsupportedDataError
        A scale that is reported by norms.

    References
    ----------
    Cohen, P., Cohen, J., Aiken, L. S., & West, S. G. (1999). Multivariate Behavioral Research, 34, 315-346.
    Spearman, C. (1904). American Journal of Psychology, 15, 72-101 (correction for unreliability).
    Bonett, D. G., & Wright, T. A. (2000). Psychometrika, 65, 23-28.
    Edwards, J. R., & Parry, M. E. (1993). Academy of Management Journal, 36, 1577-1613.

    Examples
    --------
    >>> import relmeasure as rm
    >>> student, teacher = (rm.load_instrument(f"relationship-{who}") for who in ("student", "teacher"))
    >>> students = rm.simulate(student, n_clusters=40, cluster_size=20, icc=0.3, rng=1)
    >>> teachers = rm.simulate(teacher, n_clusters=40, cluster_size=1, rng=2)
    >>> result = rm.perception_gap(teacher, teachers, student, students, scales=["care"], n_boot=100)
    >>> result.overall["n_classes"]
    (40,)
    """
    check_gates(min_disclose, min_report, conf_level)
    if n_boot < 1:
        raise OptionError(f"n_boot={n_boot}: at least one draw is needed.")
    pairs = paired_scales(teacher_instrument, student_instrument, scales)
    own = teacher_cluster or cluster
    require_classes((teacher_data, own), (student_data, cluster))
    from_teacher = outcome is not None and outcome in column_names(teacher_data)
    extra = [outcome] if from_teacher and outcome is not None else []
    teachers, raised = read_teachers(
        teacher_instrument, teacher_data, list(pairs), cluster=own, unknown=unknown, columns=extra
    )
    theirs = list(dict.fromkeys(pairs.values()))
    read = read_classes(student_instrument, student_data, theirs, [school, cluster], unknown=unknown)
    gates = Gates(min_disclose, min_report, 0.0, conf_level)
    (classes,) = waves_of(read.sums, student_instrument, theirs, gates, cluster=cluster, school=school)
    raised = [*read.raised, *raised, *_unmatched(teachers, classes)]
    target = _outcome(outcome, from_teacher, teachers, read, cluster)
    rows, overall, surface = [], [], []
    forms = (teacher_instrument, student_instrument)
    for pair, seed in zip(pairs.items(), np.random.default_rng(rng).spawn(len(pairs)), strict=True):
        views = views_of(teachers, classes, classes.scales[theirs.index(pair[1])], forms, pair)
        mine, whole_scale = _compared(views, pair[0], conf_level, n_boot, seed)
        rows += mine
        overall.append(whole_scale)
        if target is not None:
            z = np.array([target.get(label, math.nan) for label in views.labels])
            x, y = ((view - 50) / _UNIT for view in (views.teacher, views.students))
            found = response_surface(x, y, z, conf_level=conf_level)
            surface += [{"scale": pair[0]} | row for row in found]
    raised += _few(overall)
    return PerceptionGap(
        table=Table.from_rows(rows),
        overall=Table.from_rows(overall),
        surface=Table.from_rows(surface),
        outcome=outcome,
        conf_level=conf_level,
        status=_status(overall),
        warnings=(*read.kept, *announce(raised)),
        provenance=read.provenance("perception_gap", student_instrument),
    )


# --------------------------------------------------------------------------- one scale
def _compared(
    views: Views, scale: str, conf_level: float, n_boot: int, rng: np.random.Generator
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    from scipy.special import ndtri

    z = float(ndtri(1 - (1 - conf_level) / 2))
    gap = views.teacher - views.students
    trust = alpha_of(views.items)
    own = float(np.var(views.teacher, ddof=1)) if len(gap) > 1 else math.nan
    teacher_error = own * (1 - trust) if not math.isnan(trust) else 0.0
    se = np.sqrt(views.students_se**2 + max(teacher_error, 0.0))
    lower, upper = gap - z * se, gap + z * se
    reading = np.where(lower > 0, "teacher higher", np.where(upper < 0, "teacher lower", "no clear gap"))
    columns = (views.labels, views.teacher, views.students, views.n, gap, se, lower, upper, reading, views.low)
    names = ("cluster", "teacher", "students", "n", "gap", "se", "lower", "upper", "reading", "note")
    rows = []
    for values in zip(*columns, strict=True):
        row = {"scale": scale} | {
            k: v.item() if isinstance(v, np.generic) else v for k, v in zip(names, values, strict=True)
        }
        rows.append({"cluster": row.pop("cluster")} | row | {"n": int(row["n"])})
    whole = {"scale": scale, "n_classes": len(gap)} | _general(views, gap, conf_level)
    whole |= {"share_higher": _share(reading, "teacher higher"), "share_lower": _share(reading, "teacher lower")}
    return rows, whole | _association(views, trust, conf_level, n_boot, rng)


def _share(reading: np.ndarray[Any, Any], word: str) -> float:
    return float((reading == word).mean()) if len(reading) else math.nan


def _general(views: Views, gap: Array, conf_level: float) -> dict[str, float]:
    """Paired t test over classes."""
    from scipy.special import stdtr

    names = ("gap", "gap_se", "gap_lower", "gap_upper", "gap_t", "gap_df", "gap_pvalue", "gap_d")
    count = len(gap)
    if count < 2 or np.ptp(gap) == 0:
        return dict.fromkeys(("mean_teacher", "mean_students", *names), math.nan)
    mean, spread = float(gap.mean()), float(gap.std(ddof=1))
    se = spread / math.sqrt(count)
    margin = t_quantile(conf_level, count - 1) * se
    ratio = mean / se
    values = (mean, se, mean - margin, mean + margin, ratio, float(count - 1), 2 * float(stdtr(count - 1, -abs(ratio))))
    out = {"mean_teacher": float(views.teacher.mean()), "mean_students": float(views.students.mean())}
    return out | dict(zip(names, (*values, mean / spread), strict=True))


def _association(
    views: Views, trust: float, conf_level: float, n_boot: int, rng: np.random.Generator
) -> dict[str, float]:
    count = len(views.teacher)
    names = [f"{what}{end}" for what in ("icc_absolute", "icc_consistency") for end in ("", "_lower", "_upper")]
    names += [f"{what}{end}" for what in ("rank_correlation", "correlation") for end in ("", "_lower", "_upper")]
    names += ["reliability_teacher", "reliability_students", "corrected", "corrected_lower", "corrected_upper"]
    if count < 4 or np.ptp(views.teacher) == 0 or np.ptp(views.students) == 0:
        return dict.fromkeys(names, math.nan)
    forms = {
        row["definition"]: row for row in interrater(np.column_stack([views.teacher, views.students])).icc_table.rows()
    }
    out: dict[str, float] = {}
    for name, form in (("icc_absolute", "absolute"), ("icc_consistency", "consistency")):
        row = forms[f"icc.two_way_random.{form}.single"]
        out |= {name: row["estimate"], f"{name}_lower": row["lower"], f"{name}_upper": row["upper"]}
    rho = float(np.corrcoef(_ranks(views.teacher), _ranks(views.students))[0, 1])
    r = float(np.corrcoef(views.teacher, views.students)[0, 1])
    for name, value, inflation in (("rank_correlation", rho, 1 + rho**2 / 2), ("correlation", r, 1.0)):
        low, high = _fisher(value, math.sqrt(inflation / (count - 3)), conf_level)
        out |= {name: value, f"{name}_lower": low, f"{name}_upper": high}
    found, trust_students = _corrected(views.teacher, views.students, views.students_se, trust)
    drawn = []
    for seed in rng.spawn(n_boot):
        pick = seed.integers(0, count, count)
        again = alpha_of(views.items[pick])
        drawn.append(_corrected(views.teacher[pick], views.students[pick], views.students_se[pick], again)[0])
    half = (1 - conf_level) / 2
    usable = np.array(drawn)[~np.isnan(drawn)]
    low, high = np.quantile(usable, [half, 1 - half]) if len(usable) > n_boot / 2 else (math.nan, math.nan)
    out |= {"reliability_teacher": trust, "reliability_students": trust_students, "corrected": found}
    return out | {"corrected_lower": float(low), "corrected_upper": float(high)}


def _corrected(teacher: Array, students: Array, error: Array, trust: float) -> tuple[float, float]:
    """Correlation of true scores, and the reliability of the students' class means."""
    cov = np.cov(teacher, students)
    if not (cov[0, 0] > 0 and cov[1, 1] > 0):
        return math.nan, math.nan
    trust_students = 1 - float(np.mean(error**2)) / float(cov[1, 1])
    share = 1.0 if math.isnan(trust) else trust
    if not (share > 0 and trust_students > 0):
        return math.nan, trust_students
    return float(cov[0, 1] / math.sqrt(cov[0, 0] * share * cov[1, 1] * trust_students)), trust_students


def alpha_of(items: Array) -> float:
    """Alpha of a matrix of items over complete rows; NaN with one item or no variance."""
    complete = items[~np.isnan(items).any(axis=1)]
    k = items.shape[1]
    if k < 2 or len(complete) < 3:
        return math.nan
    total = float(np.var(complete.sum(axis=1), ddof=1))
    return k / (k - 1) * (1 - float(np.var(complete, axis=0, ddof=1).sum()) / total) if total > 0 else math.nan


def _ranks(values: Array) -> Array:
    """Ranks, ties by their mean; rounded, so that the last bit of a sum breaks no tie."""
    _, place, count = np.unique(np.round(values, 8), return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place])


def _fisher(r: float, se: float, conf_level: float) -> tuple[float, float]:
    from scipy.special import ndtri

    if abs(r) >= 1:
        return r, r
    center, margin = math.atanh(r), float(ndtri(1 - (1 - conf_level) / 2)) * se
    return math.tanh(center - margin), math.tanh(center + margin)


# --------------------------------------------------------------------------- outcome, warnings, status
def _outcome(
    outcome: str | None,
    from_teacher: bool,
    teachers: TeacherView,
    read: ClassData,
    cluster: str,
) -> dict[str, float] | None:
    """The outcome of each class."""
    if outcome is None:
        return None
    if from_teacher:
        return dict(zip(teachers.labels, teachers.columns[outcome].tolist(), strict=True))
    if outcome not in column_names(read.scored):
        raise OptionError(
            f"outcome='{outcome}' is a column neither of the teachers' nor of the students' data: "
            f"the students' have {shorten(column_names(read.scored))}.",
            outcome=outcome,
        )
    sums = group_sums(read.scored, [outcome], [cluster])
    return dict(zip(sums.keys[cluster], sums.mean[:, 0].tolist(), strict=True))


def _unmatched(teachers: TeacherView, classes: ClassWave) -> list[RelmeasureWarning]:
    """Say how many stand alone on either side; where nobody has a counterpart, the labels are not the same thing."""
    alone, without = set(teachers.labels) - set(classes.labels), set(classes.labels) - set(teachers.labels)
    if len(alone) == len(teachers.labels):
        raise DataError(
            f"No class of the teachers' data is a class of the students' data: the teachers' are such as "
            f"{shorten(teachers.labels, 3) or 'none'}; the students' such as {shorten(classes.labels, 3)}. Give a "
            "class the same label in both, or name other columns with cluster= and teacher_cluster=.",
            teachers=sorted(alone),
            classes=sorted(without),
        )
    if not alone and not without:
        return []
    text = f"{len(alone)} teachers have no students in the data and {len(without)} classes no teacher: not compared."
    return [ListwiseDeletionWarning(text, teachers=sorted(alone), classes=sorted(without))]


def _few(overall: Sequence[Mapping[str, Any]]) -> list[RelmeasureWarning]:
    fewest = min((row["n_classes"] for row in overall), default=0)
    if fewest >= 30:
        return []
    text = f"{fewest} classes with both views: correlations and surfaces over so few teachers are rough."
    return [FewClustersWarning(text, n_clusters=fewest)]


def _status(overall: Sequence[Mapping[str, Any]]) -> Status:
    if all(row["n_classes"] == 0 for row in overall):
        return Status("failed", reasons=("No class has both views and enough students.",))
    beyond = [row["scale"] for row in overall if abs(row["corrected"]) > 1]
    if beyond:
        told = (
            f"Corrected correlation beyond one ({shorten(beyond)}): reliability is too low or too uncertain to correct."
        )
        return Status("caution", admissible=False, reasons=(told,))
    return Status("ok")
