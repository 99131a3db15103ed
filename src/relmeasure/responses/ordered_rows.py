"""Rows of ordered answers that can be read more than once, and the categories of their items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import narwhals.stable.v2 as nw
import numpy as np

from relmeasure.exceptions import (
    CategoriesAssumedWarning,
    ColumnNotFoundError,
    DataError,
    NonNumericError,
    OptionError,
    RelmeasureWarning,
    UnsupportedDataError,
    shorten,
)
from relmeasure.responses.binding import KeyedResponses, Responses
from relmeasure.responses.frames import Frame, open_frame, require_same_index
from relmeasure.responses.matrices import keyed_expressions, matrices, numeric_frame
from relmeasure.responses.ordered_columns import by_position
from relmeasure.samplestats.contingency import observed_categories
from relmeasure.samplestats.estimates import MomentEstimate
from relmeasure.samplestats.moments import MomentSums

__all__ = ["Categories", "CorrelationKind", "OrderedRows", "chosen_categories", "ordered_categories", "read_rows"]

Matrix = np.ndarray[Any, np.dtype[Any]]
Categories = Mapping[str, Sequence[float]] | Sequence[float] | None
"""Categories by item, the same for all items, or none declared."""

CorrelationKind = Literal["auto", "polychoric", "pearson"]
"""Which correlations: by the type of each item, polychoric of all, or Pearson of all."""

_MOST_OBSERVED = 20
"""More distinct values than this are not the categories of an ordered item, unless declared."""

_MOST_ORDERED = 10
"""Items with more categories than this count as continuous when the kind is chosen automatically."""


# --------------------------------------------------------------------------- rows
@dataclass(frozen=True)
class OrderedRows:
    """Rows that can be read more than once.

    ``declared`` holds the categories by item, None where it is continuous; ``own`` those that the type of a column
    declares, by item.
    """

    names: tuple[str, ...]
    declared: tuple[tuple[float, ...] | None, ...] | None
    instrument: str | None
    blocks: Callable[[], Iterator[tuple[Matrix, Matrix | None]]]
    lazy: bool
    own: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def together(self) -> tuple[Matrix, Matrix | None]:
        """All rows at once."""
        values, w = zip(*self.blocks(), strict=True)
        weights = [part for part in w if part is not None]
        return np.concatenate(values), np.concatenate(weights) if weights else None


def read_rows(data: Any, weights: Any, exclude: Iterable[str | None] = ()) -> OrderedRows:
    """Return rows of anything a user may hand in; ``weights`` and ``exclude`` are as in ``as_tables``."""
    if isinstance(data, np.ndarray):
        return _array_rows(data, weights)
    require_same_index(data, weights=weights)
    if isinstance(data, (tuple, MomentSums, MomentEstimate)):
        raise UnsupportedDataError(
            "A matrix has no thresholds: correlations of ordered answers need the rows, or their tables."
        )
    if isinstance(data, Responses):
        data = data.keyed()
    column = weights if isinstance(weights, str) else None
    if isinstance(data, KeyedResponses):
        raw = data.responses
        plans = [raw.plans[item] for item in data.items]
        if column is not None:
            raw.source.require([column], what="named")
        extra = [] if column is None else [nw.col(column).cast(nw.Float64).alias("weights")]
        frame: Frame = raw.work.select(*keyed_expressions(plans), *extra)
        declared = tuple(None if plan.is_range else tuple(sorted(set(plan.keyed.values()))) for plan in plans)
        return _frame_rows(frame, data.items, declared, raw.instrument.label, weights, lazy=raw.source.lazy)
    source = open_frame(data)
    aside = [name for name in (*exclude, column) if isinstance(name, str)]
    source.require(aside, what="named")
    items = [name for name in source.columns if name not in set(aside)]
    source, own = by_position(source, items)
    frame = numeric_frame(source, [*items, *([] if column is None else [column])])
    rows = _frame_rows(frame, [str(item) for item in items], None, None, weights, lazy=source.lazy)
    return replace(rows, own=own) if own else rows


def _array_rows(values: Matrix, weights: Any) -> OrderedRows:
    if values.ndim != 2:
        raise UnsupportedDataError(f"An array of persons by items has 2 dimensions; this one has {values.ndim}.")
    if isinstance(weights, str):
        raise UnsupportedDataError(f"weights='{weights}' names a column, but an array has none: hand in the weights.")
    w = None if weights is None else np.asarray(weights, dtype=float)
    names = tuple(f"x{k + 1}" for k in range(values.shape[1]))
    return OrderedRows(names, None, None, lambda: iter([(values, w)]), lazy=False)


def _frame_rows(
    frame: Frame,
    names: Sequence[str],
    declared: tuple[tuple[float, ...] | None, ...] | None,
    instrument: str | None,
    weights: Any,
    *,
    lazy: bool,
) -> OrderedRows:
    in_column = isinstance(weights, str)
    if lazy and weights is not None and not in_column:
        raise UnsupportedDataError("A lazy frame takes weights= as the name of a column, not as an array.")
    given = None if weights is None or in_column else np.asarray(weights, dtype=float)

    def blocks() -> Iterator[tuple[Matrix, Matrix | None]]:
        some = False
        for rows in matrices(frame):
            some = True
            yield (rows[:, :-1], rows[:, -1]) if in_column else (rows, given)
        if not some:
            yield np.empty((0, len(names))), np.empty(0) if weights is not None else None

    if lazy:
        return OrderedRows(tuple(names), declared, instrument, blocks, lazy=True)
    kept = list(blocks())
    return OrderedRows(tuple(names), declared, instrument, lambda: iter(kept), lazy=False)


# --------------------------------------------------------------------------- categories
def ordered_categories(
    rows: OrderedRows, categories: Categories
) -> tuple[list[tuple[float, ...]], tuple[RelmeasureWarning, ...]]:
    """Return the categories of every item: declared, given, or seen."""
    if rows.declared is not None:
        if categories is not None:
            raise UnsupportedDataError(
                "Bound responses have the categories of their instrument: leave out categories=."
            )
        ranges = [name for name, codes in zip(rows.names, rows.declared, strict=True) if codes is None]
        if ranges:
            raise UnsupportedDataError(
                f"{shorten(ranges)}: answers on a range are not ordered categories. correlations() takes them as "
                "continuous.",
                items=ranges,
            )
        return [codes for codes in rows.declared if codes is not None], ()
    given = _given(rows, categories)
    unknown = [name for name, codes in zip(rows.names, given, strict=True) if codes is None]
    if not unknown:
        return [codes for codes in given if codes is not None], ()
    seen = dict(zip(rows.names, _seen(rows), strict=True))
    for name in unknown:
        if len(seen[name]) > _MOST_OBSERVED or any(code != round(code) for code in seen[name]):
            raise UnsupportedDataError(
                f"{name} has {len(seen[name])} distinct values, the first {shorten(map(str, seen[name]), 4)}: "
                "not the categories of an ordered item. Declare categories=, or use correlations().",
                item=name,
            )
    found = [seen[name] if codes is None else codes for name, codes in zip(rows.names, given, strict=True)]
    return found, (_assumed({name: seen[name] for name in unknown}),)


def _given(rows: OrderedRows, categories: Categories) -> list[tuple[float, ...] | None]:
    """Return the categories handed in or declared by the column's type, by item; None where there are none."""
    if rows.own:
        return _given_beside_own(rows, categories)
    if categories is None:
        return [None] * len(rows.names)
    if isinstance(categories, Mapping):
        stray = [name for name in categories if name not in rows.names]
        if stray:
            raise ColumnNotFoundError.from_names(stray, list(rows.names), what="categories")
        return [tuple(map(float, categories[name])) if name in categories else None for name in rows.names]
    try:
        return [tuple(map(float, categories))] * len(rows.names)
    except (TypeError, ValueError):
        raise DataError(
            "categories= takes numbers: one sequence for all items, or a mapping of item to them."
        ) from None


def _given_beside_own(rows: OrderedRows, categories: Categories) -> list[tuple[float, ...] | None]:
    """The same where the types of some columns declare their categories, which are not declared twice."""
    named = set(rows.names) if categories is not None and not isinstance(categories, Mapping) else set(categories or ())
    twice = [name for name in rows.names if name in rows.own and name in named]
    if twice:
        raise UnsupportedDataError(
            f"{shorten(twice)}: the column's type declares the order of its categories: leave it out of categories=.",
            items=twice,
        )
    given = _given(replace(rows, own={}), categories)
    return [rows.own.get(name, codes) for name, codes in zip(rows.names, given, strict=True)]


def _seen(rows: OrderedRows) -> list[tuple[float, ...]]:
    """Return the distinct values of every item, over all blocks."""
    found: list[set[float]] = [set() for _ in rows.names]
    for values, _ in rows.blocks():
        for known, codes in zip(found, observed_categories(values), strict=True):
            known.update(codes)
    return [tuple(sorted(codes)) for codes in found]


def _assumed(seen: Mapping[str, tuple[float, ...]]) -> CategoriesAssumedWarning:
    told = shorten((f"{name}: {shorten((f'{code:g}' for code in codes), 12)}" for name, codes in seen.items()), 4)
    return CategoriesAssumedWarning(
        f"Categories of {len(seen)} item(s) were taken from the answers seen ({told}). One that nobody chose is not "
        "among them, and a code for a missing answer would be. Declare categories=, or bind the data to an instrument.",
        categories={name: list(codes) for name, codes in seen.items()},
    )


def chosen_categories(
    rows: OrderedRows, kind: CorrelationKind, ordered: bool | Sequence[str] | None, categories: Categories
) -> tuple[list[tuple[float, ...] | None], tuple[RelmeasureWarning, ...]]:
    """Return the categories of the items to be taken as ordered, None for the others."""
    if kind != "auto" and ordered is not None:
        raise OptionError("ordered= is for kind='auto'; kind= has already decided.", argument="ordered", value=ordered)
    if rows.own and (kind == "pearson" or ordered is False):
        raise NonNumericError(
            f"{shorten(rows.own)}: ordered categories are no numbers, so that there is no Pearson correlation. Take "
            "them as ordered, or hand in numbers.",
            columns=list(rows.own),
        )
    if kind == "pearson" or ordered is False:
        return [None] * len(rows.names), ()
    if kind == "polychoric" or (ordered is True and rows.declared is None):
        every, raised = ordered_categories(rows, categories)
        return list(every), raised
    named = None if ordered is None or ordered is True else {str(name) for name in ordered}
    if named is not None and not named <= set(rows.names):
        raise ColumnNotFoundError.from_names(sorted(named - set(rows.names)), list(rows.names), what="ordered")
    if rows.declared is not None:
        return [
            codes if codes and (name in named if named is not None else len(codes) <= _MOST_ORDERED) else None
            for name, codes in zip(rows.names, rows.declared, strict=True)
        ], ()
    given = dict(zip(rows.names, _given(rows, categories), strict=True))
    if named is not None:
        named |= set(rows.own)  # their type says that they are ordered
    declared = named is not None or categories is not None
    seen: dict[str, tuple[float, ...]] = {}
    if not declared or any(given[name] is None for name in named or ()):
        values = dict(zip(rows.names, _seen(rows), strict=True))
        pick = (named or set()) if declared else {name for name, codes in values.items() if _few(codes)}
        seen = {name: values[name] for name in rows.names if name in pick and given[name] is None}
    wanted = [given[name] if named is None or name in named else None for name in rows.names]
    found = [seen.get(name, codes) for name, codes in zip(rows.names, wanted, strict=True)]
    return found, (_assumed(seen),) if seen else ()


def _few(codes: Sequence[float]) -> bool:
    return len(codes) <= _MOST_ORDERED and all(code == round(code) for code in codes)
