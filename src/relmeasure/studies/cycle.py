"""The virtuous cycle: relationship and later practice, practice and later relationship.

From student ratings per wave to the answer in one call. The same students rate relationship and practice, so the errors
of the two class means covary; the whole error covariance matrix is taken out (``corrected = True``), and the answer
with the errors left in stands beside it. Results speak of association with what comes later, never of causes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from relmeasure._version import __version__
from relmeasure.exceptions import DataError, EstimationError, FewClustersWarning, OptionError, RelmeasureWarning
from relmeasure.panel.cross_lagged import lagged_effects
from relmeasure.panel.error_moments import ClassMeans, class_means
from relmeasure.panel.latent_moments import LatentMoments, latent_moments
from relmeasure.responses.waves import WaveRows, as_waves
from relmeasure.results import Note, Provenance, Result, Status, Table, announce

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ReciprocityResult", "reciprocity"]

Array = np.ndarray[Any, np.dtype[Any]]

ALL = "all"
"""Label of the analysis over all bands."""

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
        Column with the wave, sorted as numbers or text. Each pair of successive waves is analysed. Without it, or with
        one wave, only association within and between classes is reported.
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
    scores = _scores(relationship, practices)
    rows = as_waves(data, scores=scores, cluster=cluster, wave=wave, student=student, by=by, school=school)
    study = _Study(rows, relationship, tuple(practices), conf_level)
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
        conf_level=conf_level,
        status=study.status(table),
        warnings=notes,
        provenance=Provenance(
            "reciprocity", __version__, rows.n_rows, len(rows.values), f"{len(rows.labels)} classes, full information"
        ),
    )


# --------------------------------------------------------------------------- the study
@dataclass
class _Study:
    """The analyses of one call, on the class means of everything, computed once."""

    rows: WaveRows
    relationship: str
    practices: tuple[str, ...]
    conf_level: float
    raised: list[RelmeasureWarning] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = tuple(f"{score}@{wave}" for wave in self.rows.waves for score in self.rows.scores)
        self.means = class_means(self.rows.values, self.rows.code, self.rows.labels, names)
        bands = dict.fromkeys(self.rows.band) if self.rows.band is not None else {}
        self.bands: dict[str, Any] = {ALL: None}
        self.bands |= {band: np.array([b == band for b in self.rows.band or ()]) for band in sorted(bands)}
        if len(self.rows.labels) < 50:
            self.raised.append(
                FewClustersWarning(
                    f"{len(self.rows.labels)} classes: standard errors between classes are rough below about 50.",
                    n_clusters=len(self.rows.labels),
                )
            )

    def models(self) -> list[tuple[str, tuple[str, ...]]]:
        """Relationship with each practice, and with all of them where there are several."""
        pairs = [("pair", (self.relationship, practice)) for practice in self.practices]
        joint = [("joint", (self.relationship, *self.practices))] if len(self.practices) > 1 else []
        return pairs + joint

    def analyses(self) -> Iterator[list[dict[str, Any]]]:
        """Rows of every model, pair of waves, band, uncorrected and corrected."""
        steps = list(zip(self.rows.waves, self.rows.waves[1:], strict=False))
        for model, scores in self.models():
            for first, second in steps:
                for band, mask in self.bands.items():
                    for corrected in (False, True):
                        yield self._effects(model, scores, first, second, band, mask, corrected=corrected)
        if not steps:
            yield self._one_wave()

    def _effects(
        self, model: str, scores: tuple[str, ...], first: str, second: str, band: str, mask: Any, *, corrected: bool
    ) -> list[dict[str, Any]]:
        columns = [self.rows.column(score, w) for w in (first, second) for score in scores]
        shared = {"from_wave": first, "to_wave": second, "model": model, "by": band, "corrected": corrected}
        cross = [
            (a, b)
            for a, predictor in enumerate(scores)
            for b, outcome in enumerate(scores)
            if self.relationship in {predictor, outcome}
        ]
        try:
            moments = latent_moments(self.means.pick(mask, columns), corrected=corrected)
            lagged = lagged_effects(moments.cov, range(len(scores)), range(len(scores), 2 * len(scores)))
        except (EstimationError, DataError) as problem:
            return [self._row(scores[a], scores[b], shared, problem.message) for a, b in cross]
        acov = moments.acov(self._groups(mask))[len(columns) :, len(columns) :]
        out = []
        for a, b in cross:
            derivative, std_derivative = lagged.jacobian[b, a], lagged.std_jacobian[b, a]
            row = self._row(scores[a], scores[b], shared, None)
            row |= self._inference(float(lagged.estimate[b, a]), float(derivative @ acov @ derivative), mask)
            std_se = math.sqrt(max(float(std_derivative @ acov @ std_derivative), 0.0))
            row |= {"std": float(lagged.std[b, a]), "std_se": std_se, "n_classes": moments.n_classes}
            out.append(row)
        return out

    def _row(self, predictor: str, outcome: str, shared: dict[str, Any], reason: str | None) -> dict[str, Any]:
        row: dict[str, Any] = {"effect": f"{predictor} -> {outcome}", "predictor": predictor, "outcome": outcome}
        empty = dict.fromkeys(("estimate", "se", "lower", "upper", "pvalue", "std", "std_se"), math.nan)
        return row | shared | empty | {"n_classes": 0, "reason": reason}

    def _inference(self, estimate: float, variance: float, mask: Any) -> dict[str, Any]:
        from scipy.special import ndtr, ndtri, stdtr, stdtrit

        se = math.sqrt(max(variance, 0.0))
        z = estimate / se if se > 0 else math.nan
        groups = self._groups(mask)
        if groups is None:
            margin, tail = float(ndtri(1 - (1 - self.conf_level) / 2)), 2 * float(ndtr(-abs(z)))
        else:
            freedom = len(set(groups)) - 1
            margin, tail = float(stdtrit(freedom, 1 - (1 - self.conf_level) / 2)), 2 * float(stdtr(freedom, -abs(z)))
        bounds = {"lower": estimate - margin * se, "upper": estimate + margin * se}
        return {"estimate": estimate, "se": se} | bounds | {"pvalue": tail}

    def _groups(self, mask: Any) -> list[str] | None:
        if self.rows.school is None:
            return None
        keep = np.ones(len(self.rows.labels), dtype=bool) if mask is None else mask
        return [school for school, kept in zip(self.rows.school, keep, strict=True) if kept]

    # ----- one wave
    def _one_wave(self) -> list[dict[str, Any]]:
        """Regressions of each practice on the relationship between classes, corrected and not: no order in time."""
        out = []
        wave = self.rows.waves[0]
        for practice in self.practices:
            columns = [self.rows.column(self.relationship, wave), self.rows.column(practice, wave)]
            for band, mask in self.bands.items():
                for corrected in (False, True):
                    shared = {
                        "from_wave": wave,
                        "to_wave": wave,
                        "model": "same wave",
                        "by": band,
                        "corrected": corrected,
                    }
                    row = self._row(self.relationship, practice, shared, None)
                    row["effect"] = f"{self.relationship} with {practice} (between classes)"
                    try:
                        moments = latent_moments(self.means.pick(mask, columns), corrected=corrected)
                        lagged = lagged_effects(moments.cov, [0], [1])
                    except (EstimationError, DataError) as problem:
                        out.append(row | {"reason": problem.message})
                        continue
                    acov = moments.acov(self._groups(mask))[2:, 2:]
                    d, s = lagged.jacobian[0, 0], lagged.std_jacobian[0, 0]
                    row |= self._inference(float(lagged.estimate[0, 0]), float(d @ acov @ d), mask)
                    row |= {"std": float(lagged.std[0, 0]), "std_se": math.sqrt(max(float(s @ acov @ s), 0.0))}
                    out.append(row | {"n_classes": moments.n_classes})
        return out

    # ----- beside the effects
    def association(self) -> list[dict[str, Any]]:
        """Correlation of relationship and practice within and between classes, wave by wave."""
        out = []
        for wave in self.rows.waves:
            for practice in self.practices:
                columns = [self.rows.column(self.relationship, wave), self.rows.column(practice, wave)]
                part = self.means.pick(columns=columns)
                row: dict[str, Any] = {"wave": wave, "relationship": self.relationship, "practice": practice}
                row |= {"within_r": _correlation(part.within), "between_r_observed": math.nan, "between_r": math.nan}
                for name, corrected in (("between_r_observed", False), ("between_r", True)):
                    moments = _or_none(part, corrected=corrected)
                    if moments is not None:
                        row[name] = _correlation(moments.cov)
                out.append(row)
        return out

    def class_reliability(self) -> list[dict[str, Any]]:
        """Share of true variance in observed class means, at the average error of the classes."""
        out = []
        for wave in self.rows.waves:
            for score in self.rows.scores:
                part = self.means.pick(columns=[self.rows.column(score, wave)])
                moments = _or_none(part, corrected=True)
                error = float(np.mean(part.error_cov[part.n[:, 0] > 0, 0, 0])) if (part.n > 0).any() else math.nan
                true = float(moments.cov[0, 0]) if moments is not None else math.nan
                row: dict[str, Any] = {
                    "wave": wave,
                    "score": score,
                    "reliability": max(true, 0) / (max(true, 0) + error),
                }
                out.append(
                    row | {"n_classes": int((part.n > 0).sum()), "mean_students": float(part.n[part.n > 0].mean())}
                )
        return out

    def band_tests(self, table: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Is an effect the same in all bands? Cochran's Q over independent bands."""
        from scipy.special import chdtrc

        grouped: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for row in table:
            if row["by"] != ALL and row["reason"] is None and row["predictor"] != row["outcome"]:
                key = (row["effect"], row["from_wave"], row["to_wave"], row["model"], row["corrected"])
                grouped.setdefault(key, []).append(row)
        out = []
        for (effect, first, second, model, corrected), rows in grouped.items():
            if len(rows) < 2:
                continue
            estimate, weight = np.array([r["estimate"] for r in rows]), np.array([r["se"] for r in rows]) ** -2.0
            pooled = float(weight @ estimate / weight.sum())
            chisq, df = float(weight @ (estimate - pooled) ** 2), len(rows) - 1
            test = {"effect": effect, "from_wave": first, "to_wave": second, "model": model, "corrected": corrected}
            out.append(test | {"pooled": pooled, "chisq": chisq, "df": df, "pvalue": float(chdtrc(df, chisq))})
        return out

    def same_rater(
        self,
        table: list[dict[str, Any]],
        n_splits: int,
        generator: np.random.Generator,
        progress: Callable[[int, int], None] | None,
    ) -> list[dict[str, Any]]:
        """Relationship from one random half of each class and wave, practice from the other."""
        wanted = [r for r in table if r["by"] == ALL and r["corrected"] and r["model"] != "joint"]
        wanted = [r for r in wanted if r["predictor"] != r["outcome"]]
        found: list[dict[tuple[str, str, str], float]] = []
        for split in range(n_splits):
            half = self._halves(generator)
            again = _Study(half, self.relationship, self.practices, self.conf_level)
            again.bands = {ALL: None}
            rows = [r for rows in again.analyses() for r in rows if r["corrected"] and r["model"] != "joint"]
            found.append({(r["effect"], r["from_wave"], r["to_wave"]): r["estimate"] for r in rows})
            if progress is not None:
                progress(split + 1, n_splits)
        out = []
        for row in wanted if found else []:
            key = (row["effect"], row["from_wave"], row["to_wave"])
            values = np.array([f[key] for f in found])
            values = values[~np.isnan(values)]
            halves = float(values.mean()) if len(values) else math.nan
            shown = {"effect": row["effect"], "from_wave": row["from_wave"], "to_wave": row["to_wave"]}
            out.append(shown | {"same_students": row["estimate"], "different_halves": halves, "n_splits": len(values)})
        return out

    def _halves(self, generator: np.random.Generator) -> WaveRows:
        """Blank the relationship of one half of every class and wave, and the practices of the other."""
        values = self.rows.values.copy()
        n_scores = len(self.rows.scores)
        place = self.rows.scores.index(self.relationship)
        for w in range(len(self.rows.waves)):
            block = values[:, w * n_scores : (w + 1) * n_scores]
            there = np.flatnonzero(~np.isnan(block).all(axis=1))
            order = there[np.lexsort((generator.random(len(there)), self.rows.code[there]))]
            ordered = self.rows.code[order]
            start = np.concatenate([[0], np.flatnonzero(np.diff(ordered)) + 1]) if len(order) else np.zeros(0, int)
            rank = np.arange(len(order)) - np.repeat(start, np.diff(np.append(start, len(order))))
            first = order[rank % 2 == 0]
            others = [k for k in range(n_scores) if k != place]
            block[np.ix_(first, others)] = np.nan
            block[order[rank % 2 == 1], place] = np.nan
        return WaveRows(**{**vars(self.rows), "values": values})

    def status(self, table: list[dict[str, Any]]) -> Status:
        """What stands against the answer."""
        reasons = [f"{r['effect']} ({r['by']}): {r['reason']}" for r in table if r["reason"] is not None]
        if len(self.rows.waves) == 1:
            reasons.insert(0, "One wave: association within and between classes only, no direction in time.")
        if not reasons:
            return Status("ok")
        nothing = all(r["reason"] is not None for r in table if r["corrected"])
        return Status("failed" if nothing else "caution", reasons=tuple(dict.fromkeys(reasons)))


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


def _or_none(part: ClassMeans, *, corrected: bool) -> LatentMoments | None:
    try:
        return latent_moments(part, corrected=corrected)
    except (EstimationError, DataError):
        return None


def _correlation(cov: Array) -> float:
    product = float(cov[0, 0] * cov[1, 1])
    return float(cov[0, 1]) / math.sqrt(product) if product > 0 else math.nan


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
