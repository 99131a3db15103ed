"""Scores of teachers, one row a teacher (and wave), in the order of classes that are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from relmeasure.exceptions import DataError, NonNumericError, shorten
from relmeasure.responses.clusters import numbers
from relmeasure.responses.frames import open_frame
from relmeasure.responses.groups import label_text

__all__ = ["columns_of", "teacher_scores"]

Array = np.ndarray[Any, np.dtype[np.float64]]


def columns_of(data: Any) -> tuple[str, ...]:
    """Names of the columns of a frame."""
    return tuple(open_frame(data).columns)


def teacher_scores(
    data: Any,
    *,
    scores: Sequence[str],
    cluster: str,
    labels: Sequence[str],
    wave: str | None = None,
    waves: Sequence[str] = ("",),
) -> Array:
    """Return the scores of teachers, array (classes, waves, scores); NaN where a teacher or a wave is not there.

    Raises
    ------
    DataError
        A teacher with two rows in one wave, or no teacher that is a class of the student data.
    """
    source = open_frame(data)
    keys = [cluster] if wave is None else [cluster, wave]
    source.require(keys, what="named")
    source.require(list(scores), what="score")
    wanted = source.frame.select(*(nw.col(name) for name in dict.fromkeys([*keys, *scores])))
    frame = wanted.collect() if isinstance(wanted, nw.LazyFrame) else wanted
    values = numbers({name: frame[name].to_numpy() for name in scores})
    infinite = [name for name, column in zip(scores, values.T, strict=True) if np.isinf(column).any()]
    if infinite:
        raise NonNumericError(f"Infinite values in {shorten(infinite)}: set them to missing, or correct them, first.")
    place = {label: k for k, label in enumerate(labels)}
    when = {label: k for k, label in enumerate(waves)}
    home = [place.get(label_text(v)) for v in frame[cluster].to_list()]
    time = [0] * len(home) if wave is None else [when.get(label_text(v)) for v in frame[wave].to_list()]
    out = np.full((len(labels), len(waves), len(scores)), np.nan)
    seen: set[tuple[int, int]] = set()
    for row, (j, w) in enumerate(zip(home, time, strict=True)):
        if j is None or w is None:
            continue
        if (j, w) in seen:
            raise DataError(f"Teacher '{labels[j]}' has two rows in one wave: keep one row a teacher and wave.")
        seen.add((j, w))
        out[j, w] = values[row]
    if not seen:
        raise DataError(
            f"No teacher of the teachers' data is a class of the students' data: compare '{cluster}' in both "
            f"({shorten([label_text(v) for v in frame[cluster].to_list()], 3)}; {shorten(labels, 3)})."
        )
    return out
