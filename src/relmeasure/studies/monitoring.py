"""Which classes need support: weak scores and falls, with their uncertainty, and no more alarms than agreed.

A class mean from twenty students moves by chance; among a hundred classes some will always be lowest. So a score is
held against a stated standard (or the lowest part of the distribution) with its standard error, a fall against the
standard error of the difference, the share of false alarms among all alarms is controlled over the classes, and a place
in a ranking is an interval. Nothing here is a judgement of a teacher: it says where to look.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from relmeasure.exceptions import OptionError, shorten
from relmeasure.results import Note, Provenance, Result, Status, Table, announce, paragraph
from relmeasure.studies.class_changes import Changes, PairedStudents, changes_of, paired_students
from relmeasure.studies.class_data import check_gates, check_scales, point_of_each, read_classes
from relmeasure.studies.class_waves import (
    LOW,
    SUPPRESSED,
    ClassWave,
    Columns,
    Gates,
    ScaleClasses,
    stacked,
    waves_of,
    whole,
)

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument, Level

__all__ = ["MonitorResult", "benjamini_hochberg", "monitor", "rank_intervals"]

Array = np.ndarray[Any, np.dtype[np.float64]]

SUPPORT, LOOK, NO_SIGN = "support needed", "look again", "no sign"

_MAX_DRAWN = 20_000_000
"""Numbers held at once while ranks are drawn."""


@dataclass(frozen=True, eq=False)
class MonitorResult(Result):
    """Signs of weak scores and of falls, class by class.

    Attributes
    ----------
    table : Table
        One row a class and scale: ``cluster`` (and ``school``), ``scale``, ``n``, ``mean``, ``se``, ``shrunken``
        (empirical Bayes), ``reliability``, ``standard``, ``probability_below`` (that the true mean is below the
        standard), ``pvalue_below``, ``qvalue_below``, ``change`` since the earlier wave, ``change_se``,
        ``change_lower``, ``change_upper``, ``pvalue_fall``, ``qvalue_fall``, ``rank_lower``, ``rank_upper`` (1 is
        highest, among the classes shown), ``status`` and ``reason``.
    overview : Table
        One row a class: its gravest ``status`` over the scales, the scales behind it, and the reasons.
    standards : Table
        Per scale what scores were held against, and how many classes were.
    wave, earlier : str or None
        The waves compared.
    """

    table: Table
    overview: Table
    standards: Table
    wave: str | None
    earlier: str | None
    fdr: float
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
        """Return the classes with a sign, what they were held against, and what the words mean."""
        signs = [row for row in self.overview.rows() if row["status"] in (SUPPORT, LOOK)]
        counts = {what: self.overview["status"].count(what) for what in (SUPPORT, LOOK, NO_SIGN, SUPPRESSED)}
        when = "" if self.earlier is None else f"From {self.earlier} to {self.wave}. "
        lines = [when + ", ".join(f"{what}: {count}" for what, count in counts.items())]
        lines += [paragraph(f"{row['cluster']}: {row['status']}. {row['reasons']}") for row in signs]
        lines.append(self.standards.to_text())
        meaning = (
            f"Of all '{SUPPORT}' signs of a scale about {self.fdr:.0%} at most are expected to be false. "
            f"Classes of fewer than {self.min_disclose} students are hidden; '{LOOK}' asks for another source."
        )
        lines.append(paragraph(meaning))
        return "\n".join([*lines, *(note.summary() for note in self.warnings)])


def monitor(
    instrument: Instrument,
    data: Any,
    *,
    cluster: str = "class_id",
    level: Level = "class",
    wave: str | None = None,
    compare: tuple[str, str] | None = None,
    student: str | None = None,
    school: str | None = None,
    standard: float | Mapping[str, float] | None = None,
    lowest: float = 0.20,
    change_against: Literal["zero", "average"] = "zero",
    scales: Sequence[str] | None = None,
    fdr: float = 0.10,
    min_disclose: int = 6,
    min_report: int = 15,
    min_reliability: float = 0.70,
    conf_level: float = 0.95,
    n_draws: int = 2000,
    unknown: Literal["raise", "missing"] = "raise",
    rng: int | np.random.Generator = 0,
) -> MonitorResult:
    r"""Look for classes with weak scores, or with a fall since the earlier wave.

    With the class mean :math:`\bar y_j`, its standard error :math:`se_j`, the standard c, and two waves 1 and 2:

    .. math::
        p_{below} = \Phi\{(\bar y_j - c) / se_j\}, \qquad
        p_{fall} = \Phi\{(\bar y_{j2} - \bar y_{j1}) / se(\bar y_{j2} - \bar y_{j1})\}

    Parameters
    ----------
    instrument : Instrument
    data : frame
        Answers of students: pandas, Polars (eager or lazy), PyArrow or DuckDB.
    cluster : str
        Column with the class or teacher.
    level : {"class", "teacher", "school"}
        What the cluster is.
    wave : str, optional
        Column with the survey wave; without it there is no change to look at.
    compare : (str, str), optional
        The earlier and the later wave. Default: the last two, in the order of an ordered category or of the numbers in
        their labels; labels that do not say which comes first ("April", "September") need it.
    student : str, optional
        Column with an id that is the same in both waves: the errors of the two means then share the covariance within
        classes of those who answered twice. Without it the waves are taken as different students. A student with two
        rows in a class and wave is an error (looked for in "student_id" where an eager frame has it).
    school : str, optional
        Column with the school. Give it if school totals are published anywhere, so that the same classes are hidden.
    standard : float or mapping of scale to float, optional
        Point of the scale that a class should reach. Default: the distribution.
    lowest : float
        Without a standard, the share of the distribution of *true* class means (normal, with the variance between
        classes) that counts as weak.
    change_against : {"zero", "average"}
        A fall, or a fall beyond the average change of all classes.
    scales : sequence of str, optional
        Only these scales.
    fdr : float
        Share of false signs among all signs that is accepted, for each scale and each of the two questions.
    min_disclose, min_report, min_reliability
        Gates as in ``classroom_scores``: hidden; never more than "look again".
    conf_level : float
        Level of intervals of change and rank; one minus it is the level of single tests.
    n_draws : int
        Draws behind rank intervals; fewer with more than ten thousand classes.
    unknown : {"raise", "missing"}
        As in ``score``.
    rng : int or numpy.random.Generator
        Seed of the draws.

    Returns
    -------
    MonitorResult
        ``status`` of a class: "support needed" (a sign that holds after control of false discoveries, in a class whose
        mean may be reported), "look again" (a weaker sign, or one of a class that is too small or unreliable), "no
        sign", or "suppressed". "No sign" is not proof of strength: see ``se``.

    Notes
    -----
    Missing data: each scale uses the students who have a score on it. Hidden classes take no part in anything.
    Variances are REML, pooled over the classes shown; tests are one-sided and normal; the standard from the
    distribution is taken as known. Control of false discoveries: Benjamini & Hochberg (1995) over the classes shown.
    Rank intervals: quantiles of ranks over draws from the posterior of the true means (Laird & Louis, 1989). Weights
    are not supported.

    Raises
    ------
    LevelError
        A scale is not valid at ``level``.
    OptionError, DataError
        A wave that is not in the data, a student twice in a class and wave.

    References
    ----------
    Benjamini, Y., & Hochberg, Y. (1995). Journal of the Royal Statistical Society B, 57, 289-300.
    Laird, N. M., & Louis, T. A. (1989). Journal of Educational Statistics, 14, 29-46.
    Goldstein, H., & Spiegelhalter, D. J. (1996). Journal of the Royal Statistical Society A, 159, 385-443.
    Jacobson, N. S., & Truax, P. (1991). Journal of Consulting and Clinical Psychology, 59, 12-19 (reliable change).

    Examples
    --------
    >>> import relmeasure as rm
    >>> instrument = rm.load_instrument("relationship-student")
    >>> data = rm.simulate(instrument, n_clusters=40, cluster_size=24, icc=0.4, rng=3)
    >>> result = rm.monitor(instrument, data, standard=2.4, scales=["care"])
    >>> sorted(set(result.overview["status"]))
    ['look again', 'no sign', 'support needed']
    """
    wanted = check_scales(instrument, scales, level)
    check_gates(min_disclose, min_report, conf_level)
    _check(change_against, lowest, fdr, n_draws, wave, compare)
    points = point_of_each("standard", standard, wanted, instrument)
    gates = Gates(min_disclose, min_report, min_reliability, conf_level)
    keys = [name for name in (school, cluster, wave) if name is not None]
    read = read_classes(instrument, data, wanted, keys, unknown=unknown, student=student)
    order = read.wave_order(wave)
    waves = waves_of(read.sums, instrument, wanted, gates, cluster=cluster, school=school, wave=wave, order=order)
    earlier, now = _pair(waves, compare, known=order is not None)
    paired = None
    if student is not None and wave is not None and earlier is not None:
        pair = (str(earlier.wave), str(now.wave))
        paired = paired_students(read.scored, wanted, cluster=cluster, wave=wave, student=student, pair=pair)
    rules = _Rules(points, lowest, change_against, fdr, 1 - conf_level, n_draws)
    blocks, standards = _looked_at(now, earlier, paired, rules, np.random.default_rng(rng))
    table = stacked(blocks)
    return MonitorResult(
        table=table,
        overview=_overview(table, now),
        standards=Table.from_rows(standards),
        wave=now.wave,
        earlier=None if earlier is None else earlier.wave,
        fdr=fdr,
        min_disclose=min_disclose,
        min_report=min_report,
        min_reliability=min_reliability,
        conf_level=conf_level,
        status=_status(table),
        warnings=(*read.kept, *announce(read.raised)),
        provenance=read.provenance("monitor", instrument),
    )


# --------------------------------------------------------------------------- one wave
@dataclass(frozen=True)
class _Rules:
    """What counts as a sign."""

    points: Mapping[str, float]
    lowest: float
    change_against: str
    fdr: float
    alpha: float
    n_draws: int


def _looked_at(
    now: ClassWave, earlier: ClassWave | None, paired: PairedStudents | None, rules: _Rules, rng: np.random.Generator
) -> tuple[list[Columns], list[dict[str, Any]]]:
    blocks: list[Columns] = []
    standards: list[dict[str, Any]] = []
    for k, (found, seed) in enumerate(zip(now.scales, rng.spawn(len(now.scales)), strict=True)):
        point, source = _standard(found, rules)
        changes = None if earlier is None else changes_of(earlier, now, k, paired)
        columns = _columns(now, found, point, changes, rules, seed)
        blocks.append(columns)
        row: dict[str, Any] = {"scale": found.scale, "standard": point, "source": source}
        row |= {"n_classes": int(found.shown.sum()), "support_needed": columns["status"].count(SUPPORT)}
        standards.append(row | {"look_again": columns["status"].count(LOOK)})
    return blocks, standards


def _standard(found: ScaleClasses, rules: _Rules) -> tuple[float, str]:
    from scipy.special import ndtri

    if found.scale in rules.points:
        return rules.points[found.scale], "stated"
    parts = found.components
    if parts is None or parts.tau2 == 0:
        return math.nan, "none: classes shown do not differ more than chance"
    point = parts.mu + math.sqrt(parts.tau2) * float(ndtri(rules.lowest))
    return point, f"lowest {rules.lowest:.0%} of true class means"


def _columns(
    now: ClassWave,
    found: ScaleClasses,
    point: float,
    changes: Changes | None,
    rules: _Rules,
    rng: np.random.Generator,
) -> Columns:
    from scipy.special import ndtr, ndtri

    count, nan = len(found.n), np.full(len(found.n), np.nan)
    spread = _posterior_sd(found)
    with np.errstate(invalid="ignore", divide="ignore"):
        p_below = np.asarray(ndtr((found.mean - point) / found.se))
        probability = np.asarray(ndtr((point - found.shrunken) / spread))
    difference, error = (nan, nan) if changes is None else (changes.difference, changes.se)
    center = (
        float(np.nanmean(difference)) if rules.change_against == "average" and (~np.isnan(difference)).any() else 0.0
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        p_fall = np.asarray(ndtr((difference - center) / error))
    q_below, q_fall = benjamini_hochberg(p_below), benjamini_hochberg(p_fall)
    z = float(ndtri(1 - rules.alpha / 2))
    low, high = rank_intervals(found.shrunken, spread, conf_level=1 - rules.alpha, n_draws=rules.n_draws, rng=rng)
    unsure = np.zeros(count, dtype=bool) if changes is None else changes.unsure
    signs = _Signs(found, point, p_below, q_below, probability, difference - center, p_fall, q_fall, unsure, rules)
    judged = [signs.judge(j) for j in range(count)]
    columns: Columns = {"school": now.sums.keys[now.school]} if now.school is not None else {}
    columns |= {"cluster": now.labels, "scale": [found.scale] * count, "n": whole(found.n)}
    numbers = {"mean": found.mean, "se": found.se, "shrunken": found.shrunken, "reliability": found.reliability}
    numbers |= {"standard": np.where(found.shown, point, np.nan), "probability_below": probability}
    numbers |= {"pvalue_below": p_below, "qvalue_below": q_below, "change": difference, "change_se": error}
    numbers |= {"change_lower": difference - z * error, "change_upper": difference + z * error}
    numbers |= {"pvalue_fall": p_fall, "qvalue_fall": q_fall}
    columns |= {name: values.tolist() for name, values in numbers.items()}
    columns |= {"rank_lower": whole(low), "rank_upper": whole(high)}
    return columns | {"status": [status for status, _ in judged], "reason": [reason for _, reason in judged]}


def _posterior_sd(found: ScaleClasses) -> Array:
    """Standard deviation of a true class mean given its observed mean."""
    tau2 = 0.0 if found.components is None else found.components.tau2
    if found.components is None or tau2 == 0:
        return np.full(len(found.n), np.nan)
    return np.asarray(np.sqrt(tau2 * (1 - found.reliability)))


@dataclass(frozen=True)
class _Signs:
    """What stands against each class, and the word for it."""

    found: ScaleClasses
    point: float
    p_below: Array
    q_below: Array
    probability: Array
    fall: Array
    p_fall: Array
    q_fall: Array
    unsure: np.ndarray[Any, np.dtype[np.bool_]]
    rules: _Rules

    def judge(self, j: int) -> tuple[str, str | None]:
        """Status and reason of class number j."""
        found, rules = self.found, self.rules
        if not found.shown[j]:
            return SUPPRESSED, found.reason[j]
        firm, weak = [], []
        if self.q_below[j] <= rules.fdr:
            firm.append(f"mean {found.mean[j]:.2f} is below {self.point:.2f}")
        elif self.p_below[j] <= rules.alpha or self.probability[j] >= 0.5:
            chance = self.probability[j]
            likely = "" if math.isnan(chance) else f" (probability {chance:.0%})"
            weak.append(f"mean {found.mean[j]:.2f} may be below {self.point:.2f}{likely}")
        if self.q_fall[j] <= rules.fdr:
            (weak if self.unsure[j] else firm).append(f"fell by {-self.fall[j]:.2f}{self._than_others()}")
        elif self.p_fall[j] <= rules.alpha:
            weak.append(f"may have fallen by {-self.fall[j]:.2f}{self._than_others()}")
        if firm and found.status[j] != LOW:
            return SUPPORT, "; ".join([*firm, *weak])
        if firm or weak:
            small = [str(found.reason[j])] if found.status[j] == LOW else []
            return LOOK, "; ".join([*firm, *weak, *small])
        return NO_SIGN, found.reason[j]

    def _than_others(self) -> str:
        return " more than the average class" if self.rules.change_against == "average" else " since the earlier wave"


# --------------------------------------------------------------------------- many classes at once
def benjamini_hochberg(pvalues: Array) -> Array:
    """Smallest false-discovery rate at which each test is a discovery; NaN tests are left out.

    q_(i) = min over k >= i of m p_(k) / k (Benjamini & Hochberg, 1995).

    Examples
    --------
    >>> import numpy as np
    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03, np.nan])).round(3).tolist()  # R: p.adjust(p, "BH")
    [0.03, 0.04, 0.04, nan]
    """
    out = np.full(len(pvalues), np.nan)
    used = np.flatnonzero(~np.isnan(pvalues))
    order = used[np.argsort(pvalues[used], kind="stable")]
    steps = pvalues[order] * len(order) / np.arange(1, len(order) + 1)
    out[order] = np.minimum.accumulate(steps[::-1])[::-1]
    return np.asarray(np.minimum(out, 1.0))


def rank_intervals(
    center: Array, spread: Array, *, conf_level: float, n_draws: int, rng: int | np.random.Generator
) -> tuple[Array, Array]:
    """Interval of each rank (1 is highest) over draws of normal true values; NaN where there is nothing to draw."""
    low, high = np.full(len(center), np.nan), np.full(len(center), np.nan)
    used = np.flatnonzero(~np.isnan(center) & ~np.isnan(spread))
    if len(used) == 0:
        return low, high
    generator = np.random.default_rng(rng)
    draws = max(min(n_draws, _MAX_DRAWN // len(used)), 100)
    ranks = np.empty((draws, len(used)), dtype=np.int32)
    for one in ranks:
        value = center[used] + spread[used] * generator.standard_normal(len(used))
        one[np.argsort(-value)] = np.arange(1, len(used) + 1)
    half = (1 - conf_level) / 2
    low[used] = np.quantile(ranks, half, axis=0, method="lower")
    high[used] = np.quantile(ranks, 1 - half, axis=0, method="higher")
    return low, high


# --------------------------------------------------------------------------- helpers
def _pair(
    waves: Sequence[ClassWave], compare: tuple[str, str] | None, *, known: bool
) -> tuple[ClassWave | None, ClassWave]:
    """The earlier wave, if there is one, and the later."""
    if compare is None and len(waves) > 1 and not known:
        labels = [str(one.wave) for one in waves]
        raise OptionError(
            f"The waves {shorten(labels)} do not say which comes first: give compare=(earlier, later), or make the "
            "column an ordered category.",
            waves=labels,
        )
    if compare is None:
        return (waves[-2] if len(waves) > 1 else None), waves[-1]
    by_label = {str(one.wave): one for one in waves}
    for label in compare:
        if str(label) not in by_label:
            raise OptionError.from_value("compare", label, sorted(by_label))
    return by_label[str(compare[0])], by_label[str(compare[1])]


def _overview(table: Table, now: ClassWave) -> Table:
    gravity = (SUPPORT, LOOK, NO_SIGN, SUPPRESSED)
    by_class: dict[str, list[dict[str, Any]]] = {label: [] for label in now.labels}
    for row in table.rows():
        by_class[row["cluster"]].append(row)
    rows = []
    for label, seen in by_class.items():
        worst = min((row["status"] for row in seen), key=gravity.index)
        mine = [row for row in seen if row["status"] == worst]
        told = (
            "; ".join(f"{row['scale']}: {row['reason']}" for row in mine if row["reason"])
            if worst != SUPPRESSED
            else ""
        )
        names = ", ".join(row["scale"] for row in mine) if worst in (SUPPORT, LOOK) else ""
        rows.append({"cluster": label, "status": worst, "scales": names, "reasons": told})
    return Table.from_rows(rows)


def _status(table: Table) -> Status:
    if set(table["status"]) == {SUPPRESSED}:
        return Status("failed", reasons=("Every class is hidden: no class has enough students.",))
    if all(math.isnan(value) for value in table["reliability"]):
        return Status("caution", reasons=("Too few classes to know how much classes differ: no sign can be given.",))
    return Status("ok")


def _check(
    change_against: str,
    lowest: float,
    fdr: float,
    n_draws: int,
    wave: str | None,
    compare: tuple[str, str] | None,
) -> None:
    if change_against not in ("zero", "average"):
        raise OptionError.from_value("change_against", change_against, ("zero", "average"))
    for name, value in (("lowest", lowest), ("fdr", fdr)):
        if not 0 < value < 1:
            raise OptionError(f"{name}={value}: a share between 0 and 1 is needed.")
    if n_draws < 1:
        raise OptionError(f"n_draws={n_draws}: at least one draw is needed.")
    if wave is None and compare is not None:
        raise OptionError("compare= is about change between waves: name their column in wave=.")
    if compare is not None and len(set(compare)) != 2:
        raise OptionError(f"compare={compare!r}: give the earlier and the later wave, two different ones.")
