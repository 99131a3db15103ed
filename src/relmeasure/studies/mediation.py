"""The chain from relationship to engagement: teacher confidence and practice between them, and what else goes with it.

Class means of student ratings enter with their errors taken out (the whole error matrix, as in ``reciprocity``);
teachers' own scores stand beside them. Results speak of association by way of a variable; a chain that is estimated
is not a chain that was observed to work, and the result says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure._version import __version__
from relmeasure.classical.preparation import check_conf_level
from relmeasure.exceptions import ColumnCollisionError, ColumnNotFoundError, DataError, OptionError
from relmeasure.panel.error_moments import ClassMeans, ClassScatter, class_means, class_scatter
from relmeasure.panel.inference import Inference
from relmeasure.panel.mediated import ChainNames, Draws, mediated, unique_rows
from relmeasure.panel.resampling import draw_weights
from relmeasure.panel.teacher_means import with_teacher_scatter, with_teacher_scores
from relmeasure.responses.teachers import columns_of, teacher_scores
from relmeasure.responses.waves import WaveRows, as_waves
from relmeasure.results import Note, Provenance, Result, Status, Table

__all__ = ["MediationResult", "mediation"]

Array = np.ndarray[Any, np.dtype[Any]]

LIMIT = (
    "The order of the chain is assumed by whoever drew it. These are associations; they do not show what causes what."
)


@dataclass(frozen=True, eq=False)
class MediationResult(Result):
    """Associations along a chain.

    Attributes
    ----------
    table : Table
        One row an outcome, path and correction: ``outcome``, ``kind`` ("direct", "indirect", "total indirect",
        "total"),
        ``path`` ("care -> confidence -> thinking -> engagement"), ``corrected``, ``estimate``, ``se``, ``lower``,
        ``upper``, ``std``, ``std_lower``, ``std_upper``, ``interval`` (how it was made), ``n_draws``, ``n_classes``
        (with every score of the chain; the others help by full information), ``reason``.
    paths : Table
        The regressions: ``outcome``, ``predictor``, ``order`` ("earlier wave", "same wave", "own earlier value"),
        ``corrected``, ``estimate``, ``se``, ``lower``, ``upper``, ``pvalue``, ``std``.
    design : {"cross-sectional", "longitudinal"}
        Longitudinal: the chain passes at least three waves.
    order : dict of str to str
        Wave of every variable.
    conf_level : float
    status : Status
    warnings : tuple of Note
    provenance : Provenance
    """

    table: Table
    paths: Table
    design: str
    order: dict[str, str]
    conf_level: float
    status: Status
    warnings: tuple[Note, ...] = ()
    provenance: Provenance | None = None

    def _table(self) -> Table:
        return self.table

    def summary(self) -> str:
        """Return a sentence a path, the table of corrected rows, and what the chain cannot say."""
        shown = ("outcome", "kind", "path", "std", "std_lower", "std_upper", "estimate", "lower", "upper", "n_classes")
        rows = [row for row in self.table.rows() if row["corrected"]]
        table = Table.from_rows([{name: row[name] for name in shown} for row in rows], shown)
        lines = [_design(self), *(_sentence(row) for row in rows if row["kind"] == "indirect"), "", table.to_text(), ""]
        return "\n".join([*lines, *self.status.reasons, *(note.summary() for note in self.warnings), LIMIT])


def mediation(
    data: Any,
    *,
    cluster: str,
    predictor: str,
    mediators: Sequence[str],
    outcomes: Sequence[str],
    teachers: Any = None,
    wave: str | None = None,
    waves: Mapping[str, Any] | None = None,
    adjust: bool = True,
    reliability: Mapping[str, float] | None = None,
    school: str | Sequence[str] | None = None,
    student: str | None = None,
    conf_level: float = 0.95,
    n_boot: int = 1000,
    workers: int = 1,
    rng: int | np.random.Generator = 0,
    progress: Callable[[int, int], None] | None = None,
) -> MediationResult:
    r"""Estimate associations along a chain, from a predictor through mediators to outcomes, between classes.

    Each mediator, and each outcome, is regressed on everything before it; along a path the weights are multiplied,

    .. math:: \text{care} \to \text{confidence} \to \text{thinking} \to \text{engagement}: \quad a \, d \, b,

    and all paths add up to the total indirect association.

    Parameters
    ----------
    data : frame
        Long: one row a student (and wave), with score columns.
    cluster : str
        Column with the teacher or class, in ``data`` and ``teachers``.
    predictor : str
        Score of the relationship.
    mediators : sequence of str
        One to three scores, in the order of the chain.
    outcomes : sequence of str
        Scores at the end of the chain, each by itself: engagement, strain, intention to stay.
    teachers : frame, optional
        One row a teacher (and wave), with the scores that are not in ``data``.
    wave : str, optional
        Column with the wave, in both frames where the teachers' has it.
    waves : mapping of score to wave, optional
        When each score is taken; default: spread over the waves in the order of the chain, the predictor at the first.
    adjust : bool
        Hold the own earlier value of a mediator or outcome equal, where it was measured in the wave before.
    reliability : mapping of score to float, optional
        Reliability of teachers' scores: that share of the variance is not error. Without it their error stays in.
    school : str or pair of str, optional
        Schools of the classes: intervals are robust to them, and whole schools are drawn.
    student : str, optional
        Column that identifies students over waves.
    conf_level : float
    n_boot : int
        Draws of classes or schools; 0 gives delta-method intervals.
    workers : int
        Threads; the answer does not depend on it.
    rng : int or numpy.random.Generator
    progress : callable, optional
        Called with (done, total) draws.

    Returns
    -------
    MediationResult

    Raises
    ------
    OptionError, ColumnNotFoundError, ColumnCollisionError, DataError
        A score named twice, in neither frame or in both; a wave that is not there; a teacher twice in a wave.

    Notes
    -----
    With fewer than three waves in the chain the result is labelled cross-sectional: what comes first is assumed.
    Class means have the error of the students behind them taken out, with its covariances; missing teachers and waves
    are integrated out (full information). Intervals: percentiles over draws of whole classes (schools), since products
    are skewed.

    References
    ----------
    Alwin, D. F., & Hauser, R. M. (1975). American Sociological Review, 40, 37-47. Bollen, K. A. (1987). Sociological
    Methodology, 17, 37-69. Cole, D. A., & Maxwell, S. E. (2003). Journal of Abnormal Psychology, 112, 558-577.
    MacKinnon, D. P., Lockwood, C. M., & Williams, J. (2004). Multivariate Behavioral Research, 39, 99-128.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(1)
    >>> care = rng.normal(size=120)
    >>> confidence = 0.5 * care + rng.normal(size=120)
    >>> thinking = 0.5 * confidence + rng.normal(size=120)
    >>> home = np.repeat(np.arange(120), 15)
    >>> students = pd.DataFrame({"teacher_id": home, "care": care[home] + rng.normal(size=1800)})
    >>> students["thinking"] = thinking[home] + rng.normal(size=1800)
    >>> teachers = pd.DataFrame({"teacher_id": np.arange(120), "confidence": confidence})
    >>> found = mediation(students, cluster="teacher_id", predictor="care", mediators=["confidence"],
    ...                   outcomes=["thinking"], teachers=teachers, n_boot=100)
    >>> found.design, found.to_frame().query("corrected and kind == 'indirect'")["path"].to_list()
    ('cross-sectional', ['care -> confidence -> thinking'])
    """
    check_conf_level(conf_level)
    names = _names(predictor, mediators, outcomes)
    if n_boot < 0 or n_boot == 1 or workers < 1:
        raise OptionError(f"n_boot={n_boot}, workers={workers}: 0, or at least 2, draws and one worker are needed.")
    source = _Source(data, teachers, cluster, wave, school, student, names)
    order = source.when(waves, predictor, mediators, outcomes)
    means, scatter = source.means(reliability or {}), None
    if n_boot:
        home = source.rows.schools[0] if source.rows.schools else None
        weights = draw_weights(len(source.rows.labels), n_boot, np.random.default_rng(rng), schools=home)
        scatter = source.scatter(means, weights)
    tell = _Teller(progress, 2 * len(outcomes) * n_boot)
    draws = Draws(scatter, workers, tell) if scatter is not None else None
    inference = Inference.of(source.rows.schools, None, conf_level)
    effects: list[dict[str, Any]] = []
    paths: list[dict[str, Any]] = []
    for outcome in outcomes:
        chain = source.chain((predictor, *mediators, outcome), order, adjust=adjust)
        rows, links = mediated(means, chain, inference, draws)
        effects += rows
        paths += links
    return MediationResult(
        table=Table.from_rows(effects),
        paths=Table.from_rows(unique_rows(paths, ("outcome", "predictor", "corrected"))),
        design="longitudinal" if _longitudinal(order, predictor, mediators, outcomes) else "cross-sectional",
        order=order,
        conf_level=conf_level,
        status=_status(effects),
        provenance=Provenance(
            "mediation", __version__, source.rows.n_rows, len(source.rows.values),
            f"{len(source.rows.labels)} classes, full information", None, (f"{n_boot} bootstrap draws",),
        ),
    )  # fmt: skip


# --------------------------------------------------------------------------- what goes in
class _Source:
    """Students' and teachers' scores by class and wave."""

    def __init__(
        self,
        data: Any,
        teachers: Any,
        cluster: str,
        wave: str | None,
        school: Any,
        student: str | None,
        names: list[str],
    ) -> None:
        own = columns_of(data)
        theirs = columns_of(teachers) if teachers is not None else ()
        both = [n for n in names if n in own and n in theirs]
        if both:
            raise ColumnCollisionError(f"Scores in both frames: {', '.join(both)}. Drop them from one.")
        for name in names:
            if name not in own and name not in theirs:
                raise ColumnNotFoundError.from_names([name], [*own, *theirs], what="score")
        self.students = [n for n in names if n in own]
        self.teachers = [n for n in names if n in theirs]
        if not self.students:
            raise DataError("No score of the chain is in the students' data: nothing there would be a class mean.")
        self.rows: WaveRows = as_waves(
            data, scores=self.students, cluster=cluster, wave=wave, student=student, school=school
        )
        self.waves = self.rows.waves
        self.timed = wave is not None and wave in theirs
        self.values = np.zeros((len(self.rows.labels), 0, 0))
        if self.teachers:
            self.values = teacher_scores(
                teachers,
                scores=self.teachers,
                cluster=cluster,
                labels=self.rows.labels,
                wave=wave if self.timed else None,
                waves=self.waves if self.timed else ("",),
            )

    def when(
        self, waves: Mapping[str, Any] | None, predictor: str, mediators: Sequence[str], outcomes: Sequence[str]
    ) -> dict[str, str]:
        """Wave of every score of the chain."""
        steps = len(mediators) + 1
        last = len(self.waves) - 1
        place = {predictor: 0} | {m: round((k + 1) * last / steps) for k, m in enumerate(mediators)}
        place |= dict.fromkeys(outcomes, last)
        out = {name: self.waves[k] for name, k in place.items()}
        for name, wanted in (waves or {}).items():
            if name not in out:
                raise OptionError.from_value("waves", name, list(out))
            if str(wanted) not in self.waves:
                raise OptionError(f"waves: '{name}' at wave '{wanted}', but the waves are {', '.join(self.waves)}.")
            out[name] = str(wanted)
        chain = [predictor, *mediators]
        for before, after in [*zip(chain, chain[1:], strict=False), *((chain[-1], o) for o in outcomes)]:
            if self.waves.index(out[after]) < self.waves.index(out[before]):
                raise OptionError(f"waves: '{after}' stands after '{before}' in the chain but before it in time.")
        return out

    def column(self, name: str, wave: str) -> str | None:
        """Name of a score at a wave, or None where it was not measured then."""
        if name in self.students:
            return f"{name}@{wave}"
        if not self.timed:
            return f"{name}@"
        measured = ~np.isnan(self.values[:, self.waves.index(wave), self.teachers.index(name)])
        return f"{name}@{wave}" if measured.any() else None

    def means(self, reliability: Mapping[str, float]) -> ClassMeans:
        """All scores at all waves."""
        for name, value in reliability.items():
            if name not in self.teachers or not 0 < value <= 1:
                raise OptionError(
                    f"reliability: '{name}' = {value}; give teachers' scores "
                    f"({', '.join(self.teachers) or 'there are none'}) "
                    "a number above 0 and at most 1. The error of class means is estimated from the students."
                )
        names = tuple(f"{score}@{wave}" for wave in self.waves for score in self.rows.scores)
        self.own = class_means(self.rows.values, self.rows.code, self.rows.labels, names)
        if not self.teachers:
            return self.own
        times = self.waves if self.timed else ("",)
        pairs = [(w, t) for w in range(len(times)) for t in range(len(self.teachers))]
        pairs = [(w, t) for w, t in pairs if not np.isnan(self.values[:, w, t]).all()]
        columns = [f"{self.teachers[t]}@{times[w]}" for w, t in pairs]
        known = {
            c: reliability[self.teachers[t]]
            for c, (_, t) in zip(columns, pairs, strict=True)
            if self.teachers[t] in reliability
        }
        values = np.column_stack([self.values[:, w, t] for w, t in pairs])
        return with_teacher_scores(self.own, values, columns, known)

    def scatter(self, means: ClassMeans, weights: Array) -> ClassScatter:
        """Parts of every class in the within covariance."""
        found = class_scatter(self.rows.values, self.rows.code, self.own, weights)
        return with_teacher_scatter(found, means)

    def chain(self, names: tuple[str, ...], order: dict[str, str], *, adjust: bool) -> ChainNames:
        """Columns of a chain and of the earlier values that are held equal."""
        columns, earlier = [], []
        for k, name in enumerate(names):
            column = self.column(name, order[name])
            if column is None:
                raise DataError(f"No teacher has a value of '{name}' at wave '{order[name]}'.")
            columns.append(column)
            before = self.waves.index(order[name]) - 1
            own = self.column(name, self.waves[before]) if adjust and k and before >= 0 else None
            earlier.append(None if own == column else own)
        return ChainNames(names, tuple(columns), tuple(earlier), tuple(order[name] for name in names))


class _Teller:
    """Adds up the draws that are done."""

    def __init__(self, progress: Callable[[int, int], None] | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def __call__(self, steps: int) -> None:
        self.done += steps
        if self.progress is not None:
            self.progress(self.done, self.total)


def _names(predictor: str, mediators: Sequence[str], outcomes: Sequence[str]) -> list[str]:
    for argument, value in (("mediators", mediators), ("outcomes", outcomes)):
        if isinstance(value, str):
            raise OptionError(f"{argument}={value!r}: give a list of score columns, e.g. [{value!r}].")
        if not value:
            raise OptionError(f"{argument}=[]: give at least one score column.")
    if len(mediators) > 3:
        raise OptionError(f"{len(mediators)} mediators: at most three; their paths would be too many to read.")
    names = [predictor, *mediators, *outcomes]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise OptionError(f"Scores named twice: {', '.join(twice)}. Each stands in one place of the chain.")
    return names


# --------------------------------------------------------------------------- words
def _longitudinal(order: dict[str, str], predictor: str, mediators: Sequence[str], outcomes: Sequence[str]) -> bool:
    chain = [order[name] for name in (predictor, *mediators)]
    return all(len({*chain, order[outcome]}) >= 3 for outcome in outcomes)


def _design(result: MediationResult) -> str:
    places = ", ".join(f"{name} (wave {wave})" if wave else name for name, wave in result.order.items())
    if result.design == "cross-sectional":
        few = "the chain passes fewer than three waves, so what comes first is assumed"
        return f"Cross-sectional: {few}. Taken: {places}."
    return f"Longitudinal: {places}."


def _sentence(row: dict[str, Any]) -> str:
    first, *middle, last = row["path"].split(" -> ")
    through = " and ".join(middle)
    if row["reason"] is not None:
        return f"{first} and {last} by way of {through}: not available ({row['reason']})."
    sure = "is" if row["lower"] > 0 or row["upper"] < 0 else "cannot be said to be"
    return (
        f"{first} {sure} associated with {last} by way of {through}: {row['std']:.2f} standard deviations "
        f"[{row['std_lower']:.2f}, {row['std_upper']:.2f}]."
    )


def _status(rows: list[dict[str, Any]]) -> Status:
    reasons = tuple(dict.fromkeys(f"{r['path']}: {r['reason']}" for r in rows if r["reason"] is not None))
    if not reasons:
        return Status("ok")
    nothing = all(r["reason"] is not None for r in rows if r["corrected"])
    return Status("failed" if nothing else "caution", reasons=reasons)
