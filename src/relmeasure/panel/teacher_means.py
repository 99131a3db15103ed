"""Scores that a teacher gives, beside the means of the class: no students, and so no error that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from relmeasure.panel.error_moments import ClassMeans, ClassScatter

__all__ = ["with_teacher_scores", "with_teacher_scatter"]

Array = np.ndarray[Any, np.dtype[Any]]

_KNOWN = 1e12
"""Degrees of freedom of an error variance that is given, not estimated."""


def with_teacher_scores(
    means: ClassMeans, values: Array, names: Sequence[str], reliability: Mapping[str, float] | None = None
) -> ClassMeans:
    """Append one value a class for each of ``names``.

    Parameters
    ----------
    means : ClassMeans
    values : array (J, T)
        NaN where a teacher did not answer.
    names : sequence of str
    reliability : mapping, optional
        Reliability of a score in these teachers: ``(1 - reliability)`` of its variance is taken as error. Without it
        the score stands as it is.

    Returns
    -------
    ClassMeans
    """
    j, p = means.mean.shape
    t = len(names)
    within, freedom = np.zeros((p + t, p + t)), np.full((p + t, p + t), _KNOWN)
    within[:p, :p], freedom[:p, :p] = means.within, means.freedom
    overlap = np.zeros((j, p + t, p + t))
    overlap[:, :p, :p] = means.overlap
    for k, name in enumerate(names):
        share = 1.0 - (reliability or {}).get(name, 1.0)
        within[p + k, p + k] = share * np.nanvar(values[:, k])
        overlap[:, p + k, p + k] = ~np.isnan(values[:, k])
    return ClassMeans(
        names=(*means.names, *names),
        labels=means.labels,
        mean=np.hstack([means.mean, values]),
        n=np.hstack([means.n, (~np.isnan(values)).astype(float)]),
        overlap=overlap,
        within=within,
        freedom=freedom,
    )


def with_teacher_scatter(scatter: ClassScatter, means: ClassMeans) -> ClassScatter:
    """Append the error of teachers' scores, known and the same in every draw."""
    j, p = scatter.products.shape[:2]
    t = len(means.names) - p
    products, freedom = np.zeros((j, p + t, p + t)), np.zeros((j, p + t, p + t))
    products[:, :p, :p], freedom[:, :p, :p] = scatter.products, scatter.freedom
    for k in range(p, p + t):
        products[:, k, k], freedom[:, k, k] = means.within[k, k], 1.0
    return ClassScatter(products, freedom, scatter.weights)
