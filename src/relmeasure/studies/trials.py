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

from relmeasure._version import __version__
from relmeasure.exceptions import DataError, OptionError
from relmeasure.responses.groups import GroupSums, group_sums
from relmeasure.responses.open_answers import open_answers
from relmeasure.results import Provenance, Result, Status, Table
from relmeasure.scoring import score

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument

__all__ = ["PracticeTrial", "practice_trial"]

Array = np.ndarray[Any, np.dtype[np.float64]]


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
        ``status`` ("suppressed" below ``min_disclose`` students).
    comments : Table
        ``cluster``, ``lesson``, ``item``, ``comment``: open answers of lessons with enough students, in the order of
        the alphabet, so that the order of rows does not tell who wrote them.
    min_disclose : int
    conf_level : float
    status : Status
    provenance : Provenance
    """

    table: Table
    lessons: Table
    comments: Table
    min_disclose: int
    conf_level: float
    status: Status
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
        lines.append(f"{len(self.comments)} comments of lessons with at least {self.min_disclose} students.")
        lines.append("Lessons before and during a trial differ in more than the trial: this does not show a cause.")
        return "\n".join([*lines, *self.status.reasons])


def practice_trial(
    instrument: Instrument,
    data: Any,
    *,
    phase: str,
    lesson: str,
    cluster: str = "class_id",
    baseline: str = "baseline",
    trial: str = "trial",
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
    scales : sequence of str, optional
    min_disclose : int
        Lessons with fewer answers are not shown and not used, and their comments are not listed.
    conf_level : float
    unknown : {"raise", "missing"}

    Returns
    -------
    PracticeTrial

    Raises
    ------
    DataError
        No row of one of the phases.

    Notes
    -----
    Missing data: students with a score. Interval: Welch's t over lessons; it needs two lessons in each phase. Lessons
    are taken as independent; a trend over lessons, or students who change with the seasons, would show as a change
    too.

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
    wanted = tuple(scales) if scales is not None else instrument.scale_ids
    scored = score(instrument, data, scales=list(wanted), unknown=unknown)
    sums = group_sums(scored, wanted, [cluster, phase, lesson])
    for name in (baseline, trial):
        if name not in sums.keys[phase]:
            seen = ", ".join(sorted(set(sums.keys[phase]))) or "nothing"
            raise DataError(
                f"Column '{phase}' never says '{name}'; it says: {seen}. Name the phases in baseline=, trial=."
            )
    lessons = [row for k in range(len(wanted)) for row in _lessons(sums, k, (cluster, phase, lesson), min_disclose)]
    rows = [
        _change(
            cls, name, [r for r in lessons if r["cluster"] == cls and r["scale"] == name], baseline, trial, conf_level
        )
        for cls in dict.fromkeys(sums.keys[cluster])
        for name in wanted
    ]
    enough = _enough(sums, (cluster, phase, lesson), min_disclose)
    return PracticeTrial(
        table=Table.from_rows(rows),
        lessons=Table.from_rows(lessons),
        comments=_comments(instrument, data, (cluster, phase, lesson), enough),
        min_disclose=min_disclose,
        conf_level=conf_level,
        status=_status(rows),
        provenance=Provenance(
            "practice_trial", __version__, int(sums.rows.sum()), int(sums.n.max(axis=1).sum()), "students with a score",
            instrument.label,
        ),
    )  # fmt: skip


# --------------------------------------------------------------------------- parts
def _lessons(sums: GroupSums, k: int, keys: tuple[str, str, str], minimum: int) -> list[dict[str, Any]]:
    cluster, phase, lesson = keys
    freedom = float(np.maximum(sums.n[:, k] - 1, 0).sum())
    pooled = float(sums.within[:, k].sum()) / freedom if freedom else math.nan
    rows = []
    for j in range(len(sums.rows)):
        n = float(sums.n[j, k])
        row: dict[str, Any] = {"cluster": sums.keys[cluster][j], "phase": sums.keys[phase][j]}
        row |= {"lesson": sums.keys[lesson][j], "scale": sums.names[k]}
        if n < minimum:
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


def _enough(sums: GroupSums, keys: tuple[str, str, str], minimum: int) -> set[tuple[str, ...]]:
    """Lessons in which enough students answered."""
    return {tuple(sums.keys[key][j] for key in keys) for j in np.flatnonzero(sums.rows >= minimum)}


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
