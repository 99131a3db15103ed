"""Students in classes over waves: long frames become one row a student and one column a score by wave."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from relmeasure.exceptions import DataError, NonNumericError, shorten
from relmeasure.responses.clusters import numbers
from relmeasure.responses.frames import open_frame
from relmeasure.responses.groups import refuse_people_twice
from relmeasure.samplestats.clusters import coded_labels, has_label

__all__ = ["WaveRows", "as_waves", "declared_order", "wave_order"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class WaveRows:
    """Scores of students, wide over waves.

    Attributes
    ----------
    values : array (n, W * V)
        Column ``w * V + v`` is score v at wave w; NaN where the student was not there or has no score.
    code : array (n,)
        Place of the class among ``labels``.
    labels, waves, scores : tuple of str
    band : tuple of str, or None
        Of each class, where the column was named; "" where no row of the class says.
    schools : tuple of tuple of str
        Of each class, one entry a column that was named (none, one or two).
    n_rows : int
        Rows handed in.
    same_students : bool
        Whether students were followed over waves.
    repeated : tuple of str
        Classes in which every row of some wave stands there an even number of times: a file handed in twice. Only where
        students are not named; with names a second row is an error.
    """

    values: Array
    code: Array
    labels: tuple[str, ...]
    waves: tuple[str, ...]
    scores: tuple[str, ...]
    band: tuple[str, ...] | None
    schools: tuple[tuple[str, ...], ...]
    n_rows: int
    same_students: bool
    repeated: tuple[str, ...] = ()

    def column(self, score: str, wave: str) -> int:
        """Place of a score at a wave."""
        return self.waves.index(wave) * len(self.scores) + self.scores.index(score)


def as_waves(
    data: Any,
    *,
    scores: Sequence[str],
    cluster: str,
    wave: str | None = None,
    student: str | None = None,
    by: str | None = None,
    school: str | Sequence[str] | None = None,
) -> WaveRows:
    """Read a long frame: one row a student and wave, with score columns and the columns that say who and when.

    Without ``student`` the students of each wave are different people; a column "student_id" of an eager frame is then
    looked at for students with two rows. Rows without a class or wave are not used.
    """
    source = open_frame(data)
    homes = (school,) if isinstance(school, str) else tuple(school or ())
    keys = [name for name in (cluster, wave, student, by, *homes) if name is not None]
    source.require(list(keys), what="named")
    source.require(list(scores), what="score")
    if student is None:
        refuse_people_twice(source, [name for name in (cluster, wave) if name is not None])
    needed = source.frame.select(*(nw.col(name) for name in dict.fromkeys([*keys, *scores])))
    frame = needed.collect() if isinstance(needed, nw.LazyFrame) else needed
    values = numbers({name: frame[name].to_numpy() for name in scores})
    column = {name: frame[name].to_numpy() for name in keys}
    usable = np.logical_and.reduce([has_label(column[name]) for name in keys if name != by])
    values, column = values[usable], {name: labels[usable] for name, labels in column.items()}
    if not len(values):
        raise DataError("No row has a class and a wave.")
    _check_scores(values, scores)
    labels, code = coded_labels(column[cluster])
    waves: tuple[str, ...] = ("",)
    when = np.zeros(len(values), dtype=np.int64)
    if wave is not None:
        waves, when = _waves(column[wave], declared_order(source.frame, wave), wave)
    wide, home = _wide(values, code, when, len(waves), column[student] if student is not None else None)
    return WaveRows(
        values=wide,
        code=home,
        labels=tuple(labels.tolist()),
        waves=waves,
        scores=tuple(scores),
        band=_of_class(column[by], code, labels, by) if by is not None else None,
        schools=tuple(_of_class(column[name], code, labels, name) for name in homes),
        n_rows=len(frame),
        same_students=student is not None,
        repeated=() if student is not None else _repeated(values, code, when, labels),
    )


def _repeated(values: Array, code: Array, when: Array, labels: Array) -> tuple[str, ...]:
    """Classes of which some wave holds every row of scores an even number of times.

    Few distinct rows are all even by chance (each with probability 1/2 at most), so a class alone must have twelve;
    fewer suffice where half of all class waves are so, with twenty distinct rows together.
    """
    rng = np.random.default_rng(0)
    factor = rng.integers(1, 2**62, values.shape[1]).astype(np.uint64) * np.uint64(2) + np.uint64(1)
    filled = np.ascontiguousarray(np.where(np.isnan(values), np.inf, values) + 0.0)
    mark = (filled.view(np.uint64) * factor).sum(axis=1, dtype=np.uint64)
    place = code.astype(np.int64) * (int(when.max()) + 1) + when
    order = np.lexsort((mark, place))
    sorted_place, sorted_mark = place[order], mark[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(sorted_place) != 0) | (sorted_mark[1:] != sorted_mark[:-1])
    count = np.diff(np.append(np.flatnonzero(new), len(order)))
    homes, distinct = np.unique(sorted_place[new], return_counts=True)
    odd = np.bincount(np.searchsorted(homes, sorted_place[new]), weights=count % 2, minlength=len(homes))
    even = (odd == 0) & (distinct >= 2)
    many = even.sum() >= 0.5 * len(homes) and distinct[even].sum() >= 20
    found = homes[even & ((distinct >= 12) | many)] // (int(when.max()) + 1)
    return tuple(str(label) for label in labels[np.unique(found)])


def _check_scores(values: Array, scores: Sequence[str]) -> None:
    infinite = [name for name, column in zip(scores, values.T, strict=True) if np.isinf(column).any()]
    if infinite:
        raise NonNumericError(f"Infinite values in {shorten(infinite)}: set them to missing, or correct them, first.")
    empty = [name for name, column in zip(scores, values.T, strict=True) if np.isnan(column).all()]
    if empty:
        raise DataError(f"No row has a value of {shorten(empty)}: nothing can be said about it.", scores=empty)


def wave_order(labels: Iterable[str], declared: Sequence[str] | None = None) -> tuple[str, ...] | None:
    """Return waves from the earliest to the latest; None where their labels do not say which comes first.

    Declared categories keep their order. Else labels go by their numbers: plain numbers, dates and labels that differ
    in their numbers only ("wave 9", "wave 10"), different years ("Fall 2023", "Spring 2024"), a count in front
    ("1 fall", "2 spring"). Nothing is read from names of months or seasons: a school year may begin in any of them.
    """
    found = sorted(set(labels))
    if declared is not None:
        return tuple(name for name in map(str, declared) if name in set(found))
    for keys in (_plain_numbers(found), _numbers_in_the_same_words(found), _years(found), _counts(found)):
        if keys is not None and len(set(keys)) == len(found):
            return tuple(label for _, label in sorted(zip(keys, found, strict=True)))
    return None


def declared_order(frame: Any, column: str) -> tuple[str, ...] | None:
    """Return the categories of a column that declares their order: ordered in pandas, an Enum in Polars."""
    dtype = nw.from_native(frame).collect_schema()[column]
    return tuple(map(str, dtype.categories)) if isinstance(dtype, nw.Enum) else None


def _plain_numbers(labels: Sequence[str]) -> list[float] | None:
    try:
        return [float(label) for label in labels]
    except ValueError:
        return None


def _numbers_in_the_same_words(labels: Sequence[str]) -> list[tuple[int, ...]] | None:
    parts = [re.split(r"(\d+)", label) for label in labels]
    same = len({tuple(part[::2]) for part in parts}) == 1
    return [tuple(map(int, part[1::2])) for part in parts] if same else None


def _years(labels: Sequence[str]) -> list[int] | None:
    found = [re.findall(r"(?<!\d)(?:19|20)\d\d(?!\d)", label) for label in labels]
    return [int(years[0]) for years in found] if all(len(years) == 1 for years in found) else None


def _counts(labels: Sequence[str]) -> list[int] | None:
    found = [re.match(r"\d+", label) for label in labels]
    counts = [int(match.group()) for match in found if match is not None]
    return counts if sorted(counts) == list(range(1, len(labels) + 1)) else None


def _waves(labels: Array, declared: Sequence[str] | None, column: str) -> tuple[tuple[str, ...], Array]:
    """Waves in order, and the place of each row among them."""
    texts = np.array([str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in labels.tolist()])
    distinct, code = np.unique(texts, return_inverse=True)
    order = wave_order(distinct.tolist(), declared)
    if order is None:
        raise DataError(
            f"The waves {shorten(distinct)} of '{column}' do not say which comes first: make the column an ordered "
            "category, or number the waves.",
            waves=distinct.tolist(),
        )
    place = {name: k for k, name in enumerate(order)}
    return order, np.array([place[name] for name in distinct.tolist()], dtype=np.int64)[code]


def _wide(values: Array, code: Array, when: Array, n_waves: int, student: Array | None) -> tuple[Array, Array]:
    """One row a student (a student who changes class is a new one there), one block of columns a wave."""
    n, v = values.shape
    if student is None:
        row, home = np.arange(n), code
    else:
        who = coded_labels(student)[1]
        pair = code.astype(np.int64) * (int(who.max()) + 1) + who
        kept, first, row = np.unique(pair, return_index=True, return_inverse=True)
        seen = np.bincount(row * n_waves + when, minlength=len(kept) * n_waves)
        if (seen > 1).any():
            twice = student[first[np.flatnonzero(seen > 1) // n_waves]]
            raise DataError(
                f"Students with two rows in one wave and class: {shorten(twice)}. Keep one row a student and wave.",
                students=[str(s) for s in twice],
            )
        home = code[first]
    wide = np.full((len(home), n_waves * v), np.nan)
    for w in range(n_waves):
        here = when == w
        wide[row[here], w * v : (w + 1) * v] = values[here]
    return wide, home


def _of_class(labels: Array, code: Array, classes: Array, name: str) -> tuple[str, ...]:
    """The one label of each class, "" where no row has one; a class with two is an error."""
    there = has_label(labels)
    code = code[there]
    texts, place = coded_labels(labels[there])
    first = np.full(len(classes), -1)
    first[code] = place
    mixed = np.unique(code[first[code] != place])
    if len(mixed):
        raise DataError(
            f"Classes with more than one value of '{name}': {shorten(classes[mixed])}. It must be one a class, in all "
            "waves.",
            classes=[str(c) for c in classes[mixed]],
        )
    return tuple(str(texts[k]) if k >= 0 else "" for k in first)
