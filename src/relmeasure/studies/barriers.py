"""Where practice does not follow relationship: what teachers say stands in their way, by group of teachers.

Teachers are grouped by what their students say: relationship high or low, practice high or low. What a group of
teachers says is shown only where enough of them said it, and a group is hidden along with another one where the total
would give it away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from relmeasure._version import __version__
from relmeasure.disclosure import Suppression, suppress
from relmeasure.exceptions import EstimationError, OptionError
from relmeasure.instruments.catalog import require_instrument
from relmeasure.panel.error_moments import class_means
from relmeasure.panel.latent_moments import latent_moments, problem_of
from relmeasure.panel.standing import Standing, standing_of
from relmeasure.responses.binding import bound
from relmeasure.responses.teachers import teacher_scores
from relmeasure.responses.waves import as_waves
from relmeasure.results import Note, Provenance, Result, Status, Table, announce

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument

__all__ = ["BarrierTable", "barriers"]

Array = np.ndarray[Any, np.dtype[Any]]

GROUPS = {
    (True, True): "high relationship, high practice",
    (True, False): "high relationship, low practice",
    (False, True): "low relationship, high practice",
    (False, False): "low relationship, low practice",
}
FOCUS = GROUPS[True, False]
"""Where practice does not follow relationship."""

EVERYONE = "all teachers"


@dataclass(frozen=True, eq=False)
class BarrierTable(Result):
    """What teachers say hinders them, and what would help, by group of teachers.

    Attributes
    ----------
    table : Table
        One row a group and item or area: ``group``, ``kind`` ("area": mean of the barriers of an area; "barrier";
        "support"), ``id``, ``text``, ``n`` (teachers who answered), ``mean``, ``se``, ``share`` (at or above
        ``threshold``; for areas none), ``already`` (share of teachers who have the support), ``status`` ("shown",
        "suppressed").
    groups : Table
        ``group``, ``n_teachers`` (of whom there are answers), ``status``, ``sure`` (mean probability that a teacher of
        the group belongs to it, given the error of class means).
    threshold : float
    min_disclose : int
    status : Status
    warnings : tuple of Note
    provenance : Provenance
    """

    table: Table
    groups: Table
    threshold: float
    min_disclose: int
    status: Status
    warnings: tuple[Note, ...] = ()
    provenance: Provenance | None = None

    def _table(self) -> Table:
        return self.table

    def top(self, group: str = FOCUS, *, kind: str = "barrier", n: int = 5) -> Table:
        """Return the items that most teachers of a group name, with the share among all teachers beside them."""
        everyone = {row["id"]: row for row in self.table.rows() if row["group"] == EVERYONE}
        rows = [r for r in self.table.rows() if r["group"] == group and r["kind"] == kind and r["status"] == "shown"]
        rows = sorted(rows, key=lambda r: (-r["share"], -r["mean"], r["id"]))[:n]
        shown = [
            {"id": r["id"], "text": r["text"], "n": r["n"], "share": r["share"], "all": everyone[r["id"]]["share"]}
            for r in rows
        ]
        return Table.from_rows(shown, ("id", "text", "n", "share", "all"))

    def summary(self) -> str:
        """Return the groups, and what most teachers name whose practice does not follow their relationship."""
        lines = [self.groups.to_text(), ""]
        for kind, what in (("barrier", "Barriers"), ("support", "Supports")):
            found = self.top(kind=kind)
            if len(found):
                lines += [f"{what} most often at {self.threshold:g} or above, {FOCUS}:", found.to_text(), ""]
        if not any(r["group"] == FOCUS and r["status"] == "shown" for r in self.groups.rows()):
            lines.append(f"'{FOCUS}' is not shown: fewer than {self.min_disclose} teachers, or a total would tell.")
        lines.append(
            "Groups are those of the students' ratings, with their error; teachers near a cut may be in the wrong one."
        )
        lines.append("These are associations; they do not show what causes what.")
        return "\n".join([*lines, *self.status.reasons, *(note.summary() for note in self.warnings)])


def barriers(
    instrument: Instrument,
    teachers: Any,
    *,
    students: Any,
    cluster: str,
    relationship: str,
    practices: Sequence[str],
    wave: str | None = None,
    threshold: float = 4.0,
    min_disclose: int = 6,
    unknown: Literal["raise", "missing"] = "raise",
) -> BarrierTable:
    r"""List barriers and supports by group of teachers: relationship high or low, practice high or low.

    A class stands where its expected true scores are, given the means and their errors,

    .. math:: E(\eta_j \mid \bar y_j) = \mu + \Sigma (\Sigma + E_j)^{-1} (\bar y_j - \mu),

    and the cuts are the medians of the relationship and of the mean of the standardised practices.

    Parameters
    ----------
    instrument : Instrument
        What teachers answered: ``supports-teacher``, or another with degree items.
    teachers : frame
        One row a teacher: the column ``cluster`` and the items.
    students : frame
        One row a student (and wave), with score columns.
    cluster : str
        Column with the teacher, in both frames.
    relationship : str
        Score column.
    practices : sequence of str
        Score columns; their mean is the practice.
    wave : str, optional
        Column with the wave of the students' data; the last one counts.
    threshold : float
        Answers at or above it are counted in ``share`` (4: "much harder", "would help much").
    min_disclose : int
        Groups with fewer answers to any item are hidden, and a second one where the total would give them away.
    unknown : {"raise", "missing"}

    Returns
    -------
    BarrierTable

    Raises
    ------
    OptionError, DataError
        No practice, no teacher among the classes, teachers twice, too much error to place classes.

    Notes
    -----
    Missing data: teachers with an answer to the item. Teachers without students are in no group and in no total, so
    that no sum tells about them.

    References
    ----------
    Willenborg, L., & de Waal, T. (2001). Elements of statistical disclosure control, chapter 4. Springer. Raudenbush,
    S. W., & Bryk, A. S. (2002). Hierarchical linear models, chapter 3 (expected scores given means). Sage.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import relmeasure as rm
    >>> form = rm.load_instrument("supports-teacher")
    >>> teachers = rm.simulate(form, n_clusters=60, cluster_size=1, rng=2)
    >>> teachers["teacher_id"] = np.arange(60)
    >>> rng = np.random.default_rng(1)
    >>> home = np.repeat(np.arange(60), 20)
    >>> students = pd.DataFrame({"teacher_id": home})
    >>> for name in ("care", "thinking"):
    ...     students[name] = rng.normal(size=60)[home] + rng.normal(size=1200)
    >>> found = rm.barriers(form, teachers, students=students, cluster="teacher_id", relationship="care",
    ...                     practices=["thinking"])
    >>> found.groups["group"][0], found.table["status"][0]
    ('high relationship, high practice', 'shown')
    """
    require_instrument(instrument)
    if isinstance(practices, str) or not practices:
        raise OptionError(f"practices={practices!r}: give a list of score columns.")
    if min_disclose < 1:
        raise OptionError(f"min_disclose={min_disclose}: at least 1 is needed.")
    labels, standing = _standing(students, cluster, wave, (relationship, *practices))
    responses, raised = bound(instrument, teachers, unknown=unknown)
    answers = _Answers.read(instrument, responses, teachers, cluster, labels)
    member = _members(standing, answers)
    fewest = [int(answers.fewest(rows)) for rows in member.values()]
    hidden = suppress(fewest, minimum=min_disclose)
    notes = announce(raised)
    return BarrierTable(
        table=Table.from_rows(list(_rows(answers, member, hidden, threshold))),
        groups=Table.from_rows(_groups(standing, member, hidden)),
        threshold=threshold,
        min_disclose=min_disclose,
        status=_status(hidden),
        warnings=notes,
        provenance=Provenance(
            "barriers", __version__, responses.n_rows, int(sum(rows.sum() for rows in member.values())),
            "teachers with an answer and with students", instrument.label,
        ),
    )  # fmt: skip


# --------------------------------------------------------------------------- what goes in
def _standing(
    students: Any, cluster: str, wave: str | None, scores: tuple[str, ...]
) -> tuple[tuple[str, ...], Standing]:
    """Place every class by the scores of the last wave."""
    twice = [name for name in dict.fromkeys(scores) if scores.count(name) > 1]
    if twice:
        raise OptionError(f"Scores named twice: {', '.join(twice)}.")
    rows = as_waves(students, scores=scores, cluster=cluster, wave=wave)
    places = [rows.column(score, rows.waves[-1]) for score in scores]
    means = class_means(rows.values[:, places], rows.code, rows.labels, scores)
    moments = latent_moments(means)
    if not moments.admissible:
        raise EstimationError(
            "Classes cannot be placed: their means hold more error than variance between classes. More students a "
            "class, or more classes, are needed."
        )
    seen = np.asarray((~np.isnan(means.mean)).any(axis=1))
    labels = tuple(label for label, there in zip(rows.labels, seen, strict=True) if there)
    return labels, standing_of(problem_of(means), moments)


@dataclass(frozen=True)
class _Answers:
    """Answers of the teachers of classes: keyed values, NaN where there is none, and who has a support already."""

    instrument: Instrument
    items: tuple[str, ...]
    values: Array  # (J, items)
    already: Array  # (J, items) of bool

    @classmethod
    def read(
        cls, instrument: Instrument, responses: Any, teachers: Any, cluster: str, labels: tuple[str, ...]
    ) -> _Answers:
        items = tuple(responses.items)
        keyed = teacher_scores(responses.keyed().frame, scores=items, cluster=cluster, labels=labels)[:, 0]
        codes = {i: _codes(instrument, i) for i in items}
        already = np.zeros(keyed.shape, dtype=bool)
        coded = [i for i in items if codes[i]]
        if coded:
            raw = teacher_scores(teachers, scores=coded, cluster=cluster, labels=labels)[:, 0]
            for k, item in enumerate(coded):
                already[:, items.index(item)] = np.isin(raw[:, k], codes[item])
        return cls(instrument, items, keyed, already)

    @property
    def anyone(self) -> Array:
        """Teachers with an answer to anything."""
        return np.asarray((~np.isnan(self.values) | self.already).any(axis=1))

    def fewest(self, rows: Array) -> int:
        """Smallest number of answers to any item in a group: what the group is protected by."""
        return int((~np.isnan(self.values[rows]) | self.already[rows]).sum(axis=0).min()) if rows.any() else 0

    def areas(self) -> list[tuple[str, str, list[int]]]:
        """Scales of the instrument: id, title, places of their items."""
        out = []
        for name in self.instrument.scale_ids:
            places = [self.items.index(i) for i in self.instrument.scale_items(name)]
            out.append((name, self.instrument.scale(name).title["en"], places))
        return out

    def kind(self, item: str) -> str:
        """Barriers are in a scale, supports are not."""
        scored = {i for name in self.instrument.scale_ids for i in self.instrument.scale_items(name)}
        return "barrier" if item in scored else "support"


def _codes(instrument: Instrument, item: str) -> list[float]:
    reasons = instrument.response_scale(item).missing_codes
    return [float(code) for code, reason in reasons.items() if reason == "not_applicable"]


def _members(standing: Standing, answers: _Answers) -> dict[str, Array]:
    """Teachers of every group; those without an answer are in none."""
    return {
        label: np.asarray((standing.high == np.array(place)).all(axis=1) & answers.anyone)
        for place, label in GROUPS.items()
    }


# --------------------------------------------------------------------------- what comes out
def _rows(answers: _Answers, member: dict[str, Array], hidden: Suppression, threshold: float) -> Any:
    everyone = np.any(list(member.values()), axis=0)
    groups = [*zip(member.items(), hidden.cells, strict=True), ((EVERYONE, everyone), hidden.overall)]
    texts = {item.id: item.text.get("en", "") if item.text else "" for item in answers.instrument.items}
    areas = [(name, title, _mean_of(answers.values[:, places])) for name, title, places in answers.areas()]
    secret = {name: _too_few(value, member, hidden.minimum) for name, _, value in areas}
    secret |= {i: _too_few(answers.values[:, k], member, hidden.minimum) for k, i in enumerate(answers.items)}
    for (group, rows), gone in groups:
        for name, title, value in areas:
            facts = {"group": group, "kind": "area", "id": name, "text": title}
            yield facts | _shown(value[rows], None, None, gone or secret[name][group])
        for k, item in enumerate(answers.items):
            facts = {"group": group, "kind": answers.kind(item), "id": item, "text": texts[item]}
            has = answers.already[rows, k] if _codes(answers.instrument, item) and not gone else None
            yield facts | _shown(answers.values[rows, k], has, threshold, gone or secret[item][group])


def _too_few(values: Array, member: dict[str, Array], minimum: int) -> dict[str, bool]:
    """Groups of which too few gave an answer to be counted: most may have a support already, or have skipped it.

    Hidden with another group where the total would tell; groups that are hidden altogether only add to what is unknown.
    """
    counts = [int((~np.isnan(values[rows])).sum()) for rows in member.values()]
    found = suppress(counts, minimum=minimum)
    return dict(zip(member, found.cells, strict=True)) | {EVERYONE: found.overall}


def _mean_of(values: Array) -> Array:
    """Mean of a teacher's answers in an area; NaN with fewer than three quarters of them, as the form's rule says."""
    n = (~np.isnan(values)).sum(axis=1)
    total = np.nansum(values, axis=1)
    enough = n >= 0.75 * values.shape[1]
    return np.where(enough, total / np.maximum(n, 1), np.nan)


def _shown(values: Array, already: Array | None, threshold: float | None, gone: bool) -> dict[str, Any]:
    empty = dict.fromkeys(("mean", "se", "share", "already"), math.nan)
    answered = values[~np.isnan(values)]
    n = len(answered)
    row: dict[str, Any] = {"n": None if gone else n} | empty | {"status": "suppressed" if gone else "shown"}
    if n and not gone:
        row["mean"] = float(answered.mean())
        row["se"] = float(answered.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan
        if threshold is not None:
            row["share"] = float((answered >= threshold).mean())
    if already is not None and n + already.sum():
        row["already"] = float(already.sum() / (n + already.sum()))
    return row


def _groups(standing: Standing, member: dict[str, Array], hidden: Suppression) -> list[dict[str, Any]]:
    out = []
    for (group, rows), gone in zip(member.items(), hidden.cells, strict=True):
        sure = float(standing.sure[rows].mean()) if rows.any() and not gone else math.nan
        shown = None if gone else int(rows.sum())
        out.append({"group": group, "n_teachers": shown, "status": "suppressed" if gone else "shown", "sure": sure})
    return out


def _status(hidden: Suppression) -> Status:
    if all(hidden.cells):
        return Status("failed", reasons=("No group has enough teachers to be shown.",))
    if any(hidden.cells):
        return Status("caution", reasons=("Some groups are hidden: too few teachers, or a total would tell.",))
    return Status("ok")
