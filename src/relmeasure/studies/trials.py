"""A teacher tries something new and asks the students after each lesson: what changed from one phase to the next.

Lessons are the units: the mean of each baseline and each trial lesson, with its error from the students who answered.
The change is a difference of phases with an interval over lessons, and a non-overlap effect size. One teacher and a
handful of lessons cannot show what caused a change; the result says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from relmeasure.exceptions import DataError, OptionError
from relmeasure.instruments.catalog import require_instrument
from relmeasure.responses.groups import GroupSums
from relmeasure.responses.open_answers import open_answers
from relmeasure.results import Note, Provenance, Result, Status, Table, announce
from relmeasure.studies.class_data import read_classes
from relmeasure.studies.class_waves import linked_scales

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument

__all__ = ["PracticeTrial", "practice_trial"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class PracticeTrial(Result):
    """Baseline and trial lessons of one or several classes.

    Attributes
    ----------
    table : Table
        One row a class and scale: ``cluster``, ``scale``, ``n_baseline``, ``n_trial`` (lessons shown), ``baseline``,
        ``trial`` (means over lessons), ``change``, ``se``, ``lower``, ``upper``, ``pvalue``, ``nap`` (non-overlap of
        all pairs), ``reason``.
    lessons : Table
        One row a class, lesson and scale: ``cluster``, ``phase``, ``lesson``, ``scale``, ``n``, ``mean``, ``se``,
        ``status`` ("suppressed" where fewer than ``min_disclose`` students have a score; scales that share items are
        hidden together).
    comments : Table
        ``cluster``, ``lesson``, ``item``, ``comment``: open answers of lessons of which every scale is shown, in the
        order of the alphabet, so that the order of rows does not tell who wrote them.
    min_disclose : int
    conf_level : float
    status : Status
    warnings : tuple of Note
    provenance : Provenance
    """

    table: Table
    lessons: Table
    comments: Table
    min_disclose: int
    conf_level: float
    status: Status
    warnings: tuple[Note, ...] = ()
    provenance: Provenance | None = None

    def _table(self) -> Table:
        return self.table

    def summary(self) -> str:
        """Return the change of each class and scale in a sentence, and how many comments may be read."""
        lines = []
        for row in self.table.rows():
            place = f"Class {row['cluster']}, {row['scale']}"
            if row["reason"] is not None:
                lines.append(f"{place}: {row['reason']}")
                continue
            lines.append(
                f"{place}: {row['baseline']:.2f} in {row['n_baseline']} lessons before, {row['trial']:.2f} in "
                f"{row['n_trial']} lessons of the trial; change {row['change']:+.2f} [{row['lower']:+.2f}, "
                f"{row['upper']:+.2f}]; {row['nap']:.0%} of pairs of lessons are in favour of the trial (NAP)."
            )
        lines.append(f"{len(self.comments)} comments of lessons with answers of at least {self.min_disclose} students.")
        lines.append("Lessons before and during a trial differ in more than the trial: this does not show a cause.")
        return "\n".join([*lines, *self.status.reasons, *(note.summary() for note in self.warnings)])


def practice_trial(
    instrument: Instrument,
    data: Any,
    *,
    phase: str,
    lesson: str,
    cluster: str = "class_id",
    baseline: str = "baseline",
    trial: str = "trial",
    student: str | None = None,
    scales: Sequence[str] | None = None,
    min_disclose: int = 6,
    conf_level: float = 0.95,
    unknown: Literal["raise", "missing"] = "raise",
) -> PracticeTrial:
    r"""Compare lessons of a trial with lessons before it.

    With lesson means :math:`y_{0i}` before and :math:`y_{1k}` during the trial, the change is
    :math:`\bar y_1 - \bar y_0` with Welch's standard error over lessons, which holds both the differences between
    lessons and the error of each mean, and

    .. math:: NAP = \frac{1}{n_0 n_1} \sum_i \sum_k [y_{1k} > y_{0i}] + \tfrac12 [y_{1k} = y_{0i}].

    Parameters
    ----------
    instrument : Instrument
        Asked after each lesson, e.g. ``lesson-pulse-student``.
    data : frame
        One row a student and lesson.
    phase, lesson, cluster : str
        Columns with the phase, the lesson (date or number) and the class.
    baseline, trial : str
        What the phase column says of lessons before and during the trial; other phases are not used.
    student : str, optional
        Column with the student: nobody may stand for two in a lesson. Without it "student_id" is looked at where an
        eager frame has it.
    scales : sequence of str, optional
    min_disclose : int
        Lessons in which fewer students have a score are not shown and not used, and their comments are not listed.
    conf_level : float
    unknown : {"raise", "missing"}

    Returns
    -------
    PracticeTrial

    Raises
    ------
    DataError
        No row of one of the phases; a student with two rows in a lesson.

    Notes
    -----
    Missing data: students with a score; rows without a class, lesson or phase are not used, and counted in a warning. A
    comment without a score does not count as an answer. Interval: Welch's t over lessons; it needs two lessons in each
    phase. Lessons are taken as independent; a trend over lessons, or students who change with the seasons, would show
    as a change too.

    References
    ----------
    Parker, R. I., & Vannest, K. (2009). Behavior Therapy, 40, 357-367 (NAP).
    Welch, B. L. (1947). Biometrika, 34, 28-35.

    Examples
    --------
    >>> import relmeasure as rm
    >>> pulse = rm.load_instrument("lesson-pulse-student")
    >>> data = rm.simulate(pulse, n_clusters=8, cluster_size=20, rng=1)   # eight lessons of one class
    >>> data = data.rename(columns={"class_id": "lesson"}).assign(class_id="5b")
    >>> data["phase"] = ["baseline" if n <= "class-4" else "trial" for n in data["lesson"]]
    >>> practice_trial(pulse, data, phase="phase", lesson="lesson").table["n_trial"]
    (4,)
    """
    if baseline == trial:
        raise OptionError(f"baseline and trial are both {trial!r}: they name two values of the phase column.")
    require_instrument(instrument)
    wanted = instrument.scale_ids if scales is None else (scales,) if isinstance(scales, str) else tuple(scales)
    keys = (cluster, phase, lesson)
    read = read_classes(instrument, data, wanted, keys, unknown=unknown, student=student)
    sums = read.sums
    for name in (baseline, trial):
        if name not in sums.keys[phase]:
            seen = ", ".join(sorted(set(sums.keys[phase]))) or "nothing"
            raise DataError(
                f"Column '{phase}' never says '{name}'; it says: {seen}. Name the phases in baseline=, trial=."
            )
    shown = _shown(sums, linked_scales(instrument, wanted), min_disclose)
    lessons = [row for k in range(len(wanted)) for row in _lessons(sums, k, keys, shown[:, k])]
    rows = [
        _change(
            cls, name, [r for r in lessons if r["cluster"] == cls and r["scale"] == name], baseline, trial, conf_level
        )
        for cls in dict.fromkeys(sums.keys[cluster])
        for name in wanted
    ]
    enough = {tuple(sums.keys[key][j] for key in keys) for j in np.flatnonzero(shown.all(axis=1))}
    return PracticeTrial(
        table=Table.from_rows(rows),
        lessons=Table.from_rows(lessons),
        comments=_comments(instrument, read.scored, keys, enough),
        min_disclose=min_disclose,
        conf_level=conf_level,
        status=_status(rows),
        warnings=(*read.kept, *announce(read.raised)),
        provenance=read.provenance("practice_trial", instrument),
    )


# --------------------------------------------------------------------------- parts
def _shown(sums: GroupSums, linked: Sequence[Sequence[int]], minimum: int) -> Array:
    """Lessons by scales: whether enough students have a score on the scale and on those that share items with it."""
    out = np.zeros(sums.n.shape, dtype=bool)
    for places in linked:
        out[:, list(places)] = (sums.n[:, list(places)].min(axis=1) >= minimum)[:, None]
    return out


def _lessons(sums: GroupSums, k: int, keys: tuple[str, str, str], shown: Array) -> list[dict[str, Any]]:
    cluster, phase, lesson = keys
    freedom = float(np.maximum(sums.n[:, k] - 1, 0).sum())
    pooled = float(sums.within[:, k].sum()) / freedom if freedom else math.nan
    rows = []
    for j in range(len(sums.rows)):
        n = float(sums.n[j, k])
        row: dict[str, Any] = {"cluster": sums.keys[cluster][j], "phase": sums.keys[phase][j]}
        row |= {"lesson": sums.keys[lesson][j], "scale": sums.names[k]}
        if not shown[j]:
            rows.append(row | {"n": None, "mean": math.nan, "se": math.nan, "status": "suppressed"})
        else:
            error = math.sqrt(pooled / n)
            rows.append(row | {"n": int(n), "mean": float(sums.mean[j, k]), "se": error, "status": "shown"})
    return rows


def _change(
    cls: str, scale: str, lessons: list[dict[str, Any]], baseline: str, trial: str, conf_level: float
) -> dict[str, Any]:
    before = np.array([r["mean"] for r in lessons if r["phase"] == baseline and r["status"] == "shown"])
    during = np.array([r["mean"] for r in lessons if r["phase"] == trial and r["status"] == "shown"])
    row: dict[str, Any] = {"cluster": cls, "scale": scale, "n_baseline": len(before), "n_trial": len(during)}
    row |= dict.fromkeys(("baseline", "trial", "change", "se", "lower", "upper", "pvalue", "nap"), math.nan)
    if len(before) == 0 or len(during) == 0:
        return row | {"reason": "no lesson with enough students before the trial, or none during it"}
    favour = np.sign(during[:, None] - before[None, :])
    row |= {"baseline": float(before.mean()), "trial": float(during.mean()), "nap": float((favour.mean() + 1) / 2)}
    row["change"] = row["trial"] - row["baseline"]
    if len(before) < 2 or len(during) < 2:
        return row | {"reason": "one lesson in a phase: how much lessons differ by themselves is not known"}
    return row | _welch(before, during, row["change"], conf_level) | {"reason": None}


def _welch(before: Array, during: Array, change: float, conf_level: float) -> dict[str, float]:
    from scipy.special import stdtr, stdtrit

    parts = np.array([before.var(ddof=1) / len(before), during.var(ddof=1) / len(during)])
    error = math.sqrt(parts.sum())
    if error == 0:
        return {"se": 0.0, "lower": change, "upper": change, "pvalue": math.nan}
    freedom = parts.sum() ** 2 / (parts**2 / np.array([len(before) - 1, len(during) - 1])).sum()
    margin = float(stdtrit(freedom, 1 - (1 - conf_level) / 2)) * error
    return {
        "se": error,
        "lower": change - margin,
        "upper": change + margin,
        "pvalue": 2 * float(stdtr(freedom, -abs(change) / error)),
    }


def _comments(instrument: Instrument, data: Any, keys: tuple[str, str, str], enough: set[tuple[str, ...]]) -> Table:
    rows = []
    for item in instrument.item_ids:
        if instrument.response_scale(item).kind == "open":
            for labels, text in open_answers(data, item, keys):
                if labels in enough:
                    rows.append({"cluster": labels[0], "lesson": labels[2], "item": item, "comment": text})
    return Table.from_rows(rows, ["cluster", "lesson", "item", "comment"])


def _status(rows: list[dict[str, Any]]) -> Status:
    reasons = tuple(dict.fromkeys(f"{r['cluster']}, {r['scale']}: {r['reason']}" for r in rows if r["reason"]))
    if not reasons:
        return Status("ok")
    return Status("failed" if all(math.isnan(r["change"]) for r in rows) else "caution", reasons=reasons)
