"""The virtuous cycle: relationship and later practice, practice and later relationship.

From student ratings per wave to the answer in one call. The same students rate relationship and practice, so the errors
of the two class means covary; the whole error covariance matrix is taken out (``corrected = True``), and the answer
with the errors left in stands beside it. Results speak of association with what comes later, never of causes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from relmeasure._version import __version__
from relmeasure.classical.preparation import check_conf_level
from relmeasure.exceptions import OptionError
from relmeasure.panel.reciprocal import ALL, ReciprocalStudy
from relmeasure.responses.waves import as_waves
from relmeasure.results import Note, Provenance, Result, Status, Table, announce

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ReciprocityResult", "reciprocity"]

COLUMNS = (
    "effect", "predictor", "outcome", "from_wave", "to_wave", "model", "by", "corrected", "estimate", "se", "lower",
    "upper", "pvalue", "std", "std_se", "n_classes", "reason",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class ReciprocityResult(Result):
    """Cross-lagged associations between relationship and practices.

    Attributes
    ----------
    table : Table
        One row an effect: ``effect`` ("care -> thinking"), ``predictor``, ``outcome``, ``from_wave``, ``to_wave``,
        ``model`` ("pair": relationship and one practice; "joint": relationship and all practices), ``by`` (band, or
        "all"), ``corrected`` (True: measurement error of class means removed), ``estimate``, ``se``, ``lower``,
        ``upper``, ``pvalue``, ``std`` (by the standard deviations of true, or observed, scores), ``std_se``,
        ``n_classes``, ``reason``. With one wave: association within and between classes instead of lags.
    stability : Table
        The same for a score and itself at the next wave.
    association : Table
        Per wave and practice: correlation with the relationship within classes, between classes as observed, and
        between classes corrected.
    class_reliability : Table
        Per wave and score: share of the variance of observed class means that is true.
    band_tests : Table
        Per effect: test that it is the same in all bands (``chisq``, ``df``, ``pvalue``).
    same_rater : Table
        Relationship from one random half of each class, practice from the other: ``estimate`` over ``n_splits`` splits
        beside the estimate from the same students.
    sensitivity : Table
        Per corrected effect: ``partial_r2``, ``robustness_value`` (share of the residual variance of both scores that
        an unmeasured confounder would have to explain to bring it to zero; Cinelli & Hazlett, 2020), and the lowest
        and highest estimate when one school is left out.
    status : Status
    warnings : tuple of Note
    provenance : Provenance
    """

    table: Table
    stability: Table
    association: Table
    class_reliability: Table
    band_tests: Table
    same_rater: Table
    sensitivity: Table
    conf_level: float
    status: Status
    warnings: tuple[Note, ...] = ()
    provenance: Provenance | None = None

    @property
    def effects(self) -> pd.DataFrame:
        """One row an effect, as a pandas frame."""
        frame: pd.DataFrame = self.table.to_frame("pandas")
        return frame

    def _table(self) -> Table:
        return self.table

    def summary(self) -> str:
        """Return the corrected effects in words and as a table, the same-rater check, and what the data cannot say."""
        rows = [row for row in self.table.rows() if row["corrected"] and row["by"] == ALL and row["model"] != "joint"]
        lines = [_sentence(row) for row in rows]
        shown = ("effect", "by", "corrected", "estimate", "lower", "upper", "pvalue", "std", "n_classes")
        picked = [row for row in self.table.rows() if row["model"] != "joint"]
        lines += ["", Table.from_rows([{name: row[name] for name in shown} for row in picked], shown).to_text()]
        if len(self.same_rater):
            lines += [
                "",
                "Relationship and practice rated by different halves of each class:",
                self.same_rater.to_text(),
            ]
        for row in self.sensitivity.rows():
            lines.append(
                f"{row['effect']}: a confounder would have to explain {row['robustness_value']:.0%} of what is left of "
                "both scores to bring it to zero."
            )
        lines += ["", "These are associations over time between class scores. They do not show what causes what."]
        return "\n".join([*lines, *self.status.reasons, *(note.summary() for note in self.warnings)])


def reciprocity(
    data: Any,
    *,
    cluster: str,
    wave: str | None = None,
    relationship: str,
    practices: Sequence[str],
    by: str | None = None,
    school: str | None = None,
    student: str | None = None,
    conf_level: float = 0.95,
    n_splits: int = 20,
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
        Long: one row a student and wave, with score columns (from ``score``); pandas, Polars, PyArrow or DuckDB.
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
    school : str, optional
        Column with the school of a class: standard errors are robust to schools, t with G - 1 degrees of freedom.
    student : str, optional
        Column that identifies students over waves: their errors then covary across waves too. Without it the students
        of each wave are different people.
    conf_level : float
    n_splits : int
        Random halves of the same-rater check; 0 leaves it out.
    rng : int or numpy.random.Generator
        Seed of the splits.
    progress : callable, optional
        Called with (done, total) splits.

    Returns
    -------
    ReciprocityResult

    Notes
    -----
    Missing data: a class with a missing wave is kept by full information; a student without a score does not count in
    that mean. Standard errors: sandwich over classes (or schools), plus the part that comes from estimating
    :math:`S_W` (normal theory). Intervals: estimate plus or minus a normal (schools: t) quantile times the standard
    error. Class means with fewer students carry more error and weigh less; nothing is suppressed here, since no class
    is shown.

    Raises
    ------
    OptionError, DataError, ColumnNotFoundError
        No practice, a score named twice, classes in two bands, students twice in a wave.

    References
    ----------
    Cinelli, C., & Hazlett, C. (2020). Journal of the Royal Statistical Society B, 82, 39-67.
    Fuller, W. A. (1987). Measurement error models, section 3.1. Wiley.
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
    scores = _scores(relationship, practices)
    rows = as_waves(data, scores=scores, cluster=cluster, wave=wave, student=student, by=by, school=school)
    study = ReciprocalStudy(rows, relationship, tuple(practices), conf_level)
    generator = np.random.default_rng(rng)
    table = [row for analysis in study.analyses() for row in analysis]
    notes = announce(study.raised)
    return ReciprocityResult(
        table=Table.from_rows([r for r in table if r["predictor"] != r["outcome"]], COLUMNS),
        stability=Table.from_rows([r for r in table if r["predictor"] == r["outcome"]], COLUMNS),
        association=Table.from_rows(study.association()),
        class_reliability=Table.from_rows(study.class_reliability()),
        band_tests=Table.from_rows(study.band_tests(table)),
        same_rater=Table.from_rows(study.same_rater(table, n_splits, generator, progress)),
        sensitivity=Table.from_rows(study.sensitivity(table)),
        conf_level=conf_level,
        status=study.status(table),
        warnings=notes,
        provenance=Provenance(
            "reciprocity", __version__, rows.n_rows, len(rows.values), f"{len(rows.labels)} classes, full information"
        ),
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


def _sentence(row: dict[str, Any]) -> str:
    if row["reason"] is not None:
        return f"{row['effect']}: not available ({row['reason']})"
    sure = "is" if row["lower"] > 0 or row["upper"] < 0 else "cannot be said to be"
    if row["from_wave"] == row["to_wave"]:
        what = f"{row['outcome']} in the same wave, between classes"
    else:
        what = f"later {row['outcome']} (wave {row['from_wave']} to {row['to_wave']})"
    return (
        f"{row['predictor']} {sure} associated with {what}: standardised {row['std']:.2f}, "
        f"raw {row['estimate']:.2f} [{row['lower']:.2f}, {row['upper']:.2f}], {row['n_classes']} classes."
    )
