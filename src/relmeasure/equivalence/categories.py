"""Categories of ordered items: the same set in every unit, and what few of them leave to be tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from relmeasure.exceptions import (
    CategoriesAssumedWarning,
    ColumnNotFoundError,
    DataError,
    RelmeasureWarning,
    UnsupportedDataError,
    shorten,
)
from relmeasure.instruments.definition import Instrument

__all__ = ["check_chosen", "declared_categories", "untested"]

Array = np.ndarray[Any, np.dtype[Any]]
Declared = Mapping[str, Sequence[float]] | Sequence[float] | None

_MOST = 15
"""More distinct values than this are hardly categories."""


def declared_categories(
    items: Mapping[str, Array], given: Declared, instrument: Instrument | None
) -> tuple[dict[str, tuple[float, ...]], list[RelmeasureWarning]]:
    """Return the categories of each ordered item: given in the call, declared by the instrument, or seen in any unit.

    Parameters
    ----------
    items : mapping of item to array
        All answers to an item, NaN where missing.
    given : mapping of item to codes, or codes of all items, or None
    instrument : Instrument or None

    Raises
    ------
    DataError
        An item with one category, or categories that are no numbers.
    UnsupportedDataError
        An item with too many different values.
    ColumnNotFoundError
        Categories for an item that is none.
    """
    listed = _given(items, given)
    found: dict[str, tuple[float, ...]] = {}
    assumed = []
    for name, answers in items.items():
        if name in listed:
            found[name] = listed[name]
        elif instrument is not None and name in instrument.item_ids and instrument.keyed_values(name):
            found[name] = tuple(sorted(set(instrument.keyed_values(name).values())))
        else:
            found[name] = tuple(float(v) for v in np.unique(answers[~np.isnan(answers)]))
            assumed.append(name)
        if len(found[name]) > _MOST:
            raise UnsupportedDataError(
                f"{name} has {len(found[name])} different values, too many for an ordered item: leave it out of "
                "ordered=.",
                item=name,
                n_values=len(found[name]),
            )
        if len(found[name]) < 2:
            raise DataError(
                f"{name} has {len(found[name])} category; an ordered item needs at least two: leave it out.", item=name
            )
    if not assumed:
        return found, []
    return found, [
        CategoriesAssumedWarning(
            f"The categories of {shorten(assumed)} were taken from all answers: one that nobody chose is not known. "
            "Declare categories=, or use an instrument.",
            items=assumed,
        )
    ]


def _given(items: Mapping[str, Array], given: Declared) -> dict[str, tuple[float, ...]]:
    if given is None:
        return {}
    try:
        if isinstance(given, Mapping):
            stray = [name for name in given if name not in items]
            if stray:
                raise ColumnNotFoundError.from_names(stray, list(items), what="categories")
            return {name: tuple(sorted(float(v) for v in codes)) for name, codes in given.items()}
        return {name: tuple(sorted(float(v) for v in given)) for name in items}
    except (TypeError, ValueError) as error:
        if isinstance(error, ColumnNotFoundError):
            raise
        raise DataError(
            "categories= takes numbers: one sequence for all items, or a mapping of item to them."
        ) from None


def check_chosen(
    answers: Mapping[str, Mapping[str, Array]], categories: Mapping[str, Sequence[float]], over: str
) -> None:
    """Refuse a category that somebody chose in one unit and nobody in another.

    Parameters
    ----------
    answers : mapping of unit to mapping of item to array
    categories : mapping of item to codes
    over : {"group", "wave"}

    Raises
    ------
    DataError
        Names the item, the category, the unit, the counts, and a collapse that mends it.
    """
    for item, codes in categories.items():
        counts = {unit: [int((own[item] == code).sum()) for code in codes] for unit, own in answers.items()}
        for k, code in enumerate(codes):
            by_unit = {unit: n[k] for unit, n in counts.items()}
            empty = [unit for unit, n in by_unit.items() if n == 0]
            if not empty or len(empty) == len(by_unit):
                continue
            near = codes[k - 1] if k else codes[1]
            chosen = ", ".join(f"{unit}: {n}" for unit, n in by_unit.items())
            raise DataError(
                f"Category {code:g} of {item} was chosen by nobody in {over} '{empty[0]}' ({chosen}), so that its "
                f"thresholds cannot be compared. Join it to {near:g} in every {over}: declare collapse = "
                f"[{{codes = [{code:g}], to = {near:g}, ...}}] in the instrument's response scale, or recode the "
                "column.",
                item=item,
                category=code,
                counts=by_unit,
            )


_FEW = {
    "thresholds": "thresholds of items with two or three categories only give their latent responses an origin and a "
    "unit, in every {over} anew: equal ones fit as well as free ones",
    "metric": "loadings of items with two categories can only be tested together with thresholds and intercepts, in "
    "the scalar step",
}


def untested(step: str, thresholds: Mapping[str, int], over: str) -> tuple[tuple[str, ...], str]:
    """Return the items for which a step tests nothing, and why.

    Parameters
    ----------
    step : str
    thresholds : mapping of item to number of equal thresholds
        Of the ordered items.
    over : {"group", "wave"}
    """
    most = {"thresholds": 2, "metric": 1}.get(step, -1)
    items = tuple(name for name, n in thresholds.items() if n <= most)
    return items, _FEW[step].format(over=over) if items else ""
