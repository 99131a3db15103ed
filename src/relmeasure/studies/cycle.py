"""The virtuous cycle: relationship and later practice, practice and later relationship.

From student ratings per wave to the answer in one call. The same students rate relationship and practice, so the errors
of the two class means covary; the whole error covariance matrix is taken out (``corrected = True``), and the answer
with the errors left in stands beside it. Results speak of association with what comes later, never of causes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from relmeasure._version import __version__
from relmeasure.classical.preparation import check_conf_level
from relmeasure.exceptions import DuplicateRowsWarning, OptionError, shorten
from relmeasure.instruments.catalog import require_instrument
from relmeasure.instruments.definition import Instrument
from relmeasure.panel import defence, wave_models, within_between
from relmeasure.panel.models import cross_lagged_syntax
from relmeasure.panel.objections import status_of
from relmeasure.panel.reciprocal import ReciprocalStudy
from relmeasure.responses.waves import WaveRows, as_waves
from relmeasure.results import Provenance, Status, Table, announce
from relmeasure.scoring import score
from relmeasure.studies.cycle_invariance import comparable, invariance_over_waves
from relmeasure.studies.cycle_result import ReciprocityResult

__all__ = ["ReciprocityResult", "reciprocity"]

COLUMNS = (
    "effect", "predictor", "outcome", "from_wave", "to_wave", "model", "by", "corrected", "estimate", "se", "lower",
    "upper", "pvalue", "std", "std_se", "n_classes", "reason",
)  # fmt: skip


def reciprocity(
    data: Any,
    *,
    cluster: str,
    wave: str | None = None,
    relationship: str,
    practices: Sequence[str],
    by: str | None = None,
    school: str | Sequence[str] | None = None,
    student: str | None = None,
    instruments: Instrument | Sequence[Instrument] = (),
    conf_level: float = 0.95,
    n_splits: int = 20,
    n_boot: int = 0,
    workers: int = 1,
    rng: int | np.random.Generator = 0,
    progress: Callable[[int, int], None] | None = None,
) -> ReciprocityResult:
    r"""Estimate how relationship goes with later practice, and practice with later relationship.

    For class j with observed means :math:`\bar y_j` of the scores by wave,

    .. math:: \bar y_j \sim N(\mu, \Sigma + S_W \circ M_j), \qquad B = \Sigma_{21} \Sigma_{11}^{-1}

    with :math:`S_W` the pooled covariance of students within classes, :math:`M_{j,ab} = n_{jab} / (n_{ja} n_{jb})`
    their overlap, and B the weights of the earlier scores. Uncorrected rows set the error matrix to zero.

    Parameters
    ----------
    data : frame
        Long: one row a student and wave, with score columns (from ``score``), or with answers if ``instruments`` are
        given; pandas, Polars, PyArrow or DuckDB.
    cluster : str
        Column with the teacher or class.
    wave : str, optional
        Column with the wave, in the order of its categories where these are ordered (pandas ordered categories, Enum of
        Polars and DuckDB), else sorted as numbers or text ("fall" before "spring"). Each pair of successive waves is
        analysed. Without it, or with one wave, only association within and between classes is reported.
    relationship : str
        Score column of the relationship.
    practices : sequence of str
        Score columns of the practices.
    by : str, optional
        Column with the grade band of a class: each band and all together, with a test that bands agree.
    school : str or pair of str, optional
        Column with the school of a class: standard errors are robust to schools, t with G - 1 degrees of freedom. Two
        columns give two-way errors; each must have at least 20 clusters.
    student : str, optional
        Column that identifies students over waves: their errors then covary across waves too. Without it the students
        of each wave are different people.
    instruments : Instrument or sequence of Instrument
        Score the answers first: ``relationship`` and ``practices`` are then scales of these instruments. Their
        invariance over waves is tested first, where waves hold different students.
    conf_level : float
    n_splits : int
        Random halves of the same-rater check; 0 leaves it out.
    n_boot : int
        Draws of classes (within bands), or of schools, for percentile intervals; 0 leaves them out. 1,000 is usual.
    workers : int
        Threads of the bootstrap; the answer does not depend on it.
    rng : int or numpy.random.Generator
        Seed of splits and draws.
    progress : callable, optional
        Called with (done, total): splits, and draws of every analysis.

    Returns
    -------
    ReciprocityResult

    Notes
    -----
    From three waves on, random-intercept models (Hamaker et al., 2015) take out stable differences between teachers,
    and lags are tested to be equal over time; with two waves the lags mix stable differences with change. Growth:
    level and change of every practice, with the relationship of the first wave as predictor.

    Missing data: a class with a missing wave is kept by full information; a student without a score does not count in
    that mean. Standard errors: sandwich over classes (or schools), plus the part that comes from estimating
    :math:`S_W` (normal theory). Intervals: estimate plus or minus a normal (schools: t) quantile times the standard
    error; the t has G - 1 degrees of freedom for G schools, and one school is refused. ``n_classes`` counts classes
    with the predictor at the earlier and the outcome at the later wave. Classes without a value of ``by`` are in the
    analysis over all only. Class means with fewer students carry more error and weigh less; nothing is suppressed here,
    since no class is shown. In the same-rater check a student belongs to one half in all waves.

    Raises
    ------
    OptionError, DataError, ColumnNotFoundError
        No practice, a score named twice, classes in two bands, students twice in a wave.
    TooFewObservationsError
        Two-way errors with fewer than 20 clusters in one dimension; one school.

    Warns
    -----
    FewClustersWarning
        Fewer than 50 classes in two successive waves, or fewer than 20 schools; also in a band.
    ListwiseDeletionWarning
        Classes without a value of ``by``.
    DuplicateRowsWarning
        Rows that look like a file handed in twice.

    References
    ----------
    Cameron, A. C., Gelbach, J. B., & Miller, D. L. (2011). Journal of Business & Economic Statistics, 29, 238-249.
    Cinelli, C., & Hazlett, C. (2020). Journal of the Royal Statistical Society B, 82, 39-67.
    Fuller, W. A. (1987). Measurement error models, section 3.1. Wiley.
    Hamaker, E. L., Kuiper, R. M., & Grasman, R. P. P. P. (2015). Psychological Methods, 20, 102-116.
    Ludtke, O., Marsh, H. W., Robitzsch, A., & Trautwein, U. (2011). Psychological Methods, 16, 444-467.
    Li, X., Bergin, C., & Olsen, A. A. (2022). Learning and Instruction, 80, 101581.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(1)
    >>> teacher = np.tile(np.repeat(np.arange(80), 15), 2)
    >>> true = rng.normal(size=80)
    >>> long = pd.DataFrame({"teacher_id": teacher, "wave": np.repeat([1, 2], 1200)})
    >>> long["care"] = true[teacher] + rng.normal(size=2400)
    >>> long["thinking"] = true[teacher] + rng.normal(size=2400)
    >>> result = reciprocity(long, cluster="teacher_id", wave="wave", relationship="care", practices=["thinking"])
    >>> result.to_frame()[["effect", "corrected"]].values.tolist()[:2]
    [['care -> thinking', False], ['thinking -> care', False]]
    """
    check_conf_level(conf_level)
    _check_counts(n_splits=n_splits, n_boot=n_boot, workers=workers)
    scores = _scores(relationship, practices)
    given = _given(instruments)
    scored = _scored(data, given, scores)
    rows = as_waves(scored, scores=scores, cluster=cluster, wave=wave, student=student, by=by, school=school)
    study = ReciprocalStudy(rows, relationship, tuple(practices), conf_level)
    _warn_of_copies(study, cluster)
    invariance = invariance_over_waves(given, data, scores, wave, cluster, student) if len(rows.waves) > 1 else Table()
    splits, draws = np.random.default_rng(rng).spawn(2)
    steps = len(list(study.all_steps()))
    tell = _Teller(progress, n_splits + n_boot * steps)
    table = study.analyses()
    within, model_tests = wave_models.random_intercepts(study)
    table += within
    return ReciprocityResult(
        table=Table.from_rows([r for r in table if r["predictor"] != r["outcome"]], COLUMNS),
        stability=Table.from_rows([r for r in table if r["predictor"] == r["outcome"]], COLUMNS),
        directions=Table.from_rows(study.directions()),
        association=Table.from_rows(within_between.association(study)),
        contextual=Table.from_rows(within_between.contextual(study)),
        class_reliability=Table.from_rows(within_between.class_reliability(study)),
        band_tests=Table.from_rows(study.band_tests(table)),
        model_tests=Table.from_rows(model_tests),
        growth=Table.from_rows(wave_models.growth(study)),
        same_rater=Table.from_rows(defence.same_rater(study, table, n_splits, splits, tell)),
        sensitivity=Table.from_rows(defence.sensitivity(study, table)),
        power=Table.from_rows(defence.power(study, table)),
        bootstrap=Table.from_rows(study.bootstrap(n_boot, draws, workers, tell)),
        invariance=invariance,
        syntax=_syntax(study),
        comparability=comparable(invariance, rows, wave, cluster, student),
        relationship=relationship,
        practices=tuple(practices),
        waves=rows.waves,
        conf_level=conf_level,
        status=_with_invariance(status_of(study, table), invariance),
        warnings=announce(study.raised),
        provenance=_provenance(rows, given, n_boot, n_splits),
    )


# --------------------------------------------------------------------------- helpers
def _scores(relationship: str, practices: Sequence[str]) -> list[str]:
    if isinstance(practices, str):
        raise OptionError(f"practices={practices!r}: give a list of score columns, e.g. [{practices!r}].")
    if not practices:
        raise OptionError("practices=[]: give at least one score column.")
    scores = [relationship, *practices]
    twice = [name for name in dict.fromkeys(scores) if scores.count(name) > 1]
    if twice:
        raise OptionError(f"Scores named twice: {', '.join(twice)}. Relationship and practices are different scores.")
    return scores


def _check_counts(**counts: int) -> None:
    for name, value in counts.items():
        smallest = 1 if name == "workers" else 0
        if value < smallest:
            raise OptionError(f"{name}={value}: {smallest} is the least.")
    if counts["n_boot"] == 1:
        raise OptionError("n_boot=1: one draw has no quantiles. 1,000 is usual; 0 leaves the bootstrap out.")


def _given(instruments: Any) -> tuple[Instrument, ...]:
    """The instruments as a tuple, one or several."""
    listed = isinstance(instruments, Sequence) and not isinstance(instruments, str)
    return tuple(require_instrument(one, "instruments") for one in (instruments if listed else (instruments,)))


def _scored(data: Any, instruments: tuple[Instrument, ...], scores: Sequence[str]) -> Any:
    """The frame with the scores of the scales that are named, each from the one instrument that has it."""
    if not instruments:
        return data
    homes = {name: [i for i in instruments if name in i.scale_ids] for name in scores}
    for name, found in homes.items():
        if len(found) != 1:
            known = sorted({scale for i in instruments for scale in i.scale_ids})
            what = "no instrument has it" if not found else f"{', '.join(i.id for i in found)} have it"
            raise OptionError(f"Scale '{name}': {what}. Scales of these instruments: {shorten(known, 30)}.")
    for instrument in instruments:
        wanted = [name for name, found in homes.items() if found[0] is instrument]
        if wanted:
            data = score(instrument, data, scales=wanted)
    return data


def _warn_of_copies(study: ReciprocalStudy, cluster: str) -> None:
    repeated = study.rows.repeated
    if repeated:
        study.raised.append(
            DuplicateRowsWarning(
                f"In {len(repeated)} of {len(study.rows.labels)} classes every row of some wave stands "
                f"there twice or more "
                f"({cluster}: {shorten(repeated)}): was a file added twice? Drop the copies, or name the column of "
                "students in student=.",
                classes=list(repeated),
            )
        )


class _Teller:
    """Adds up what is done."""

    def __init__(self, progress: Callable[[int, int], None] | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def __call__(self, steps: int) -> None:
        self.done += steps
        if self.progress is not None:
            self.progress(self.done, self.total)


def _syntax(study: ReciprocalStudy) -> str:
    """The models in lavaan's language, one paragraph a practice."""
    if not study.steps:
        return ""
    if len(study.rows.waves) > 2:
        return "\n\n".join(f"# {p}\n{wave_models.syntax_of(study, p)}" for p in study.practices)
    names = wave_models.columns_of(study, (study.relationship, *study.practices))
    care = next(iter(names))
    return "\n\n".join(
        f"# {p}\n{cross_lagged_syntax({care: names[care], own: names[own]})}"
        for p, own in zip(study.practices, list(names)[1:], strict=True)
    )


def _with_invariance(status: Status, invariance: Table) -> Status:
    told = tuple(row["conclusion"] for row in invariance.rows() if not row["comparable"])
    if not told or status.level == "failed":
        return status
    return Status("caution", reasons=(*status.reasons, *told))


def _provenance(rows: WaveRows, instruments: tuple[Instrument, ...], n_boot: int, n_splits: int) -> Provenance:
    students = "the same students over waves" if rows.same_students else "other students in every wave"
    return Provenance(
        "reciprocity",
        __version__,
        rows.n_rows,
        len(rows.values),
        f"{len(rows.labels)} classes, full information, {students}",
        ", ".join(i.label for i in instruments) or None,
        (f"{n_splits} random halves", f"{n_boot} bootstrap draws"),
    )
