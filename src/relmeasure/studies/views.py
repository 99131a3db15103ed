"""Two views of the same classes, the teacher's and the students', side by side on one metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from relmeasure.exceptions import ColumnNotFoundError, DataError, OptionError, UnsupportedDataError, shorten
from relmeasure.instruments.catalog import require_instrument
from relmeasure.responses.binding import KeyedResponses, Responses, bound
from relmeasure.responses.frames import open_frame
from relmeasure.responses.labelled import read_columns
from relmeasure.scoring.scores import score_with_warnings
from relmeasure.studies.class_waves import ClassWave, ScaleClasses

if TYPE_CHECKING:
    from relmeasure.exceptions import RelmeasureWarning
    from relmeasure.instruments.definition import Instrument

__all__ = ["TeacherView", "Views", "paired_scales", "read_teachers", "require_classes", "to_pomp", "views_of"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class TeacherView:
    """One row a teacher: scores, and keyed items for what they say about reliability.

    Attributes
    ----------
    labels : tuple of str
        The class of each teacher.
    scores : dict of array (T,)
    items : dict of array (T, k)
        Keyed items of each scale, on the declared range 0 to 1; NaN where not answered.
    columns : dict of array (T,)
        Further columns that were asked for.
    """

    labels: tuple[str, ...]
    scores: dict[str, Array]
    items: dict[str, Array]
    columns: dict[str, Array]


@dataclass(frozen=True)
class Views:
    """Both views of one scale in percent of the maximum possible, for classes that have both."""

    labels: list[str]
    teacher: Array
    students: Array
    n: Array
    students_se: Array
    items: Array  # (J, k)
    low: list[str | None]


def paired_scales(
    teacher: Instrument, student: Instrument, scales: Sequence[str] | Mapping[str, str] | None
) -> dict[str, str]:
    """Teacher scale to student scale: as given, or the ids that both forms have."""
    require_instrument(teacher, "teacher_instrument")
    require_instrument(student, "student_instrument")
    if teacher.reporter == "student" and student.reporter != "student":
        raise OptionError(
            f"'{teacher.id}' is answered by students and '{student.id}' by a {student.reporter}: "
            "hand in the teacher's form first."
        )
    if scales is None:
        shared = {name: name for name in teacher.scale_ids if name in student.scale_ids}
        if not shared:
            raise OptionError(
                f"'{teacher.id}' and '{student.id}' share no scale id: name pairs with scales={{teacher scale: student "
                f"scale}}. The teacher's form has {shorten(teacher.scale_ids)}; the students' has "
                f"{shorten(student.scale_ids)}."
            )
        return shared
    pairs = dict(scales) if isinstance(scales, Mapping) else {name: name for name in scales}
    for mine, theirs in pairs.items():
        for instrument, name in ((teacher, mine), (student, theirs)):
            if name not in instrument.scale_ids:
                raise OptionError.from_value("scales", name, instrument.scale_ids)
    return pairs


def require_classes(teachers: tuple[Any, str], students: tuple[Any, str]) -> None:
    """Raise unless both data sets have their column with the class, and say which one lacks it."""
    for (data, name), whose, argument in (
        (teachers, "teachers'", "teacher_cluster="),
        (students, "students'", "cluster="),
    ):
        raw = data.responses if isinstance(data, KeyedResponses) else data
        source = raw.source if isinstance(raw, Responses) else open_frame(raw)
        if name not in source.columns:
            columns = [str(column) for column in source.columns]
            remedy = f" This is about the {whose} data: name their column with the class in {argument}."
            raise ColumnNotFoundError.from_names([name], columns, what="class", remedy=remedy)


def to_pomp(instrument: Instrument, scale: str, values: Array) -> Array:
    """Scores in percent of the maximum possible of their scale (Cohen, Cohen, Aiken & West, 1999)."""
    low, span = _range(instrument, scale)
    return 100 * (values - low) / span


def error_to_pomp(instrument: Instrument, scale: str, errors: Array) -> Array:
    """Standard errors in percent of the maximum possible."""
    return 100 * errors / _range(instrument, scale)[1]


def _range(instrument: Instrument, scale: str) -> tuple[float, float]:
    if instrument.scale(scale).scoring.norms is not None:
        raise UnsupportedDataError(
            f"Scale '{scale}' of {instrument.label} is reported by norms: views are compared on the declared range of "
            "answers, which norms do not have.",
            scale=scale,
        )
    low, high = instrument.scale_range(scale)
    return low, high - low


def read_teachers(
    instrument: Instrument,
    data: Any,
    scales: Sequence[str],
    *,
    cluster: str,
    unknown: Literal["raise", "missing"],
    columns: Sequence[str] = (),
) -> tuple[TeacherView, list[RelmeasureWarning]]:
    """Score the teachers' form; one row a class."""
    raw = data.responses if isinstance(data, KeyedResponses) else data
    responses, raised = bound(instrument, raw, scales=list(scales), unknown=unknown)
    scored, more = score_with_warnings(instrument, responses, scales=list(scales))
    read = read_columns(scored, numbers=[*scales, *columns], labels=[cluster])
    code = read.codes[cluster]
    count = np.bincount(code[code >= 0], minlength=len(read.labels[cluster]))
    if (count > 1).any():
        twice = [read.labels[cluster][k] for k in np.flatnonzero(count > 1)]
        raise DataError(
            f"{len(twice)} classes have several rows in the teachers' data: {shorten(twice)}. One row each is needed.",
            clusters=twice,
        )
    rows = np.flatnonzero(code >= 0)
    rows = rows[np.argsort(code[rows])]
    view = TeacherView(
        labels=read.labels[cluster],
        scores={name: read.numbers[name][rows] for name in scales},
        items={name: _items(instrument, responses, name, cluster)[rows] for name in scales},
        columns={name: read.numbers[name][rows] for name in columns},
    )
    return view, [*raised, *more]


def _items(instrument: Instrument, responses: Responses, scale: str, cluster: str) -> Array:
    """Keyed items of a scale, each on 0 to 1 of its declared range, in the order of the rows."""
    names = instrument.scale_items(scale)
    read = read_columns(responses.keyed().frame, numbers=names, labels=[cluster])
    columns = []
    for name in names:
        low, high = instrument.response_scale(name).score_range
        columns.append((read.numbers[name] - low) / (high - low))
    return np.column_stack(columns)


def views_of(
    teachers: TeacherView,
    classes: ClassWave,
    found: ScaleClasses,
    forms: tuple[Instrument, Instrument],
    pair: tuple[str, str],
) -> Views:
    """Classes that are shown and whose teacher has a score."""
    place = {label: k for k, label in enumerate(teachers.labels)}
    score = teachers.scores[pair[0]]
    both = [
        (j, place[label])
        for j, label in enumerate(classes.labels)
        if found.shown[j] and label in place and not np.isnan(score[place[label]])
    ]
    here, there = np.array([j for j, _ in both], dtype=int), np.array([k for _, k in both], dtype=int)
    return Views(
        labels=[classes.labels[j] for j in here],
        teacher=to_pomp(forms[0], pair[0], score[there]),
        students=to_pomp(forms[1], pair[1], found.mean[here]),
        n=found.n[here],
        students_se=error_to_pomp(forms[1], pair[1], found.se[here]),
        items=teachers.items[pair[0]][there],
        low=[found.reason[j] for j in here],
    )
