"""Ordered answers of persons under a factor solution of their latent responses: how they become scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.numerics.latent_scores import ResponseModel, latent_modes
from relmeasure.results import FloatArray, Result, Table, frozen_array
from relmeasure.samplestats.contingency import category_codes
from relmeasure.samplestats.latent import PolychoricResult

__all__ = ["AnswerModel", "answer_model", "score_answers"]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False)
class AnswerModel(Result):
    """Thresholds and categories by which answers fall out of latent responses.

    Attributes
    ----------
    items : tuple of str
    ordered : tuple of bool
        Which are ordered; the others are continuous.
    categories, thresholds, numbers : tuple of p tuples
        Declared categories, thresholds, and which thresholds these are (an empty category has none); empty where an
        item is continuous.
    location, scale : array (p,)
        Mean and standard deviation of continuous items; 0 and 1 of ordered ones.
    """

    items: tuple[str, ...]
    ordered: tuple[bool, ...]
    categories: tuple[tuple[float, ...], ...]
    thresholds: tuple[tuple[float, ...], ...]
    numbers: tuple[tuple[int, ...], ...]
    location: FloatArray
    scale: FloatArray

    def _table(self) -> Table:
        rows = [
            {"item": item, "threshold": number, "value": value}
            for item, values, numbers in zip(self.items, self.thresholds, self.numbers, strict=True)
            for number, value in zip(numbers, values, strict=True)
        ]
        return Table.from_rows(rows, ("item", "threshold", "value"))

    def read(self, rows: Array) -> Array:
        """Return answers (n, p) as intervals between the thresholds that exist, numbered from zero; NaN is missing.

        A category that nobody chose when the thresholds were estimated lies in the interval that covers it.

        Raises
        ------
        UnknownCodeError
            An answer outside the declared categories.
        """
        out = (np.array(rows, dtype=float) - self.location) / self.scale
        which = [i for i, is_ordered in enumerate(self.ordered) if is_ordered]
        codes = category_codes(
            np.asarray(rows, dtype=float)[:, which],
            [self.items[i] for i in which],
            [self.categories[i] for i in which],
        )
        for column, i in enumerate(which):
            interval = np.searchsorted(np.array(self.numbers[i]), np.arange(len(self.categories[i])), side="right")
            out[:, i] = np.where(codes[:, column] < 0, np.nan, interval[codes[:, column]])
        return out


def answer_model(latent: PolychoricResult) -> AnswerModel | None:
    """Return the answer model behind estimated correlations; None where they do not say which categories there are."""
    names = latent.names
    ordered = tuple(kind == "ordered" for kind in latent.kinds)
    if not set(latent.categories) >= {name for name, yes in zip(names, ordered, strict=True) if yes}:
        return None
    return AnswerModel(
        items=names,
        ordered=ordered,
        categories=tuple(tuple(latent.categories.get(name, ())) for name in names),
        thresholds=tuple(tuple(float(t) for t in latent.thresholds.get(name, ())) for name in names),
        numbers=tuple(tuple(latent.threshold_numbers.get(name, ())) for name in names),
        location=frozen_array(latent.location),
        scale=frozen_array(np.sqrt(latent.variance)),
    )


def score_answers(
    model: AnswerModel, loadings: Array, phi: Array, uniquenesses: Array, rows: Array, *, prior: bool
) -> tuple[Array, Array]:
    """Return scores (n, m) and standard errors of persons: modes of the posterior, or without the prior."""
    p, m = loadings.shape
    return latent_modes(
        ResponseModel(
            loadings=loadings,
            intercepts=np.zeros(p),
            sd=np.sqrt(uniquenesses),
            thresholds=[np.array(t) if yes else None for t, yes in zip(model.thresholds, model.ordered, strict=True)],
            mean=np.zeros(m),
            covariance=phi,
        ),
        model.read(rows),
        prior=prior,
    )
