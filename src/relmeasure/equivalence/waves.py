"""The same people over waves: rows in wide form, one variable an item and wave, from wide or from long data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from relmeasure.equivalence.layout import same_items
from relmeasure.equivalence.units import order_units
from relmeasure.exceptions import (
    DataError,
    ListwiseDeletionWarning,
    ModelError,
    OptionError,
    RelmeasureWarning,
    UnsupportedDataError,
    shorten,
)
from relmeasure.responses.renaming import renamed_columns
from relmeasure.responses.variables import VariableRows, as_variables
from relmeasure.responses.waves import wave_order
from relmeasure.samplestats.clusters import has_label
from relmeasure.structural.reading import Request, open_rows

__all__ = ["long_rows", "wave_columns", "wide_rows"]

Array = np.ndarray[Any, np.dtype[Any]]


def wave_columns(
    wave: Mapping[Any, Sequence[str]], items: Sequence[str], reference: str | None
) -> dict[str, dict[str, str]]:
    """Return the column of each item in each wave, the reference wave first, the others as listed.

    Columns go with items by their place in the list. If one of the lists holds the items of the model by name, its
    order is the order of all lists.

    Raises
    ------
    ModelError
        A wave with another number of columns, or lists that mix items and other columns.
    OptionError
        A reference that is no wave.
    """
    listed = {str(name): _columns(columns, str(name)) for name, columns in wave.items()}
    order = list(items)
    for name, columns in listed.items():
        inside = [column for column in columns if column in set(items)]
        if set(columns) == set(items) and len(columns) == len(items):
            order = list(columns)
        elif inside:
            outside = [item for item in items if item not in columns]
            raise ModelError(
                f"Wave '{name}' lists {shorten(inside)} of the model, but not {shorten(outside)}: list all items of a "
                "wave, and nothing else, in the same order in every wave.",
                wave=name,
            )
    twice = [c for columns in listed.values() for c in columns]
    double = sorted({c for c in twice if twice.count(c) > 1})
    if double:
        raise ModelError(f"{shorten(double)} is listed twice in wave=: every item of a wave has a column of its own.")
    units = order_units(list(listed), reference, over="wave", keep_order=True)
    return {name: same_items(order, listed[name], name) for name in units}


def _columns(columns: Any, wave: str) -> list[str]:
    if isinstance(columns, str) or not isinstance(columns, Sequence) or not all(isinstance(c, str) for c in columns):
        raise OptionError(
            f"wave= maps each wave to the list of its columns; '{wave}' holds {columns!r}.", argument="wave"
        )
    return list(columns)


def wide_rows(data: Any, request: Request, columns: Mapping[str, Mapping[str, str]]) -> VariableRows:
    """Return the rows of wide data under the names of the columns; with an instrument every wave is bound to it."""
    names = [own for wave in columns.values() for own in wave.values()]
    if request.instrument is None:
        return open_rows(data, replace(request, names=tuple(names)))
    if isinstance(data, np.ndarray):
        raise UnsupportedDataError("wave= with an instrument takes a frame: the columns of an array have no names.")
    aside = [side for side in (request.weights, *request.clusters) if isinstance(side, str)]
    parts = []
    for wave in columns.values():
        frame = renamed_columns(data, wave, aside)
        parts.append(open_rows(frame, replace(request, names=tuple(wave))))
    values = np.concatenate([part.values for part in parts], axis=1)
    warnings = [warning for part in parts for warning in part.warnings]
    index = getattr(data, "index", None) if parts[0].index is not None else None
    return replace(parts[0], names=tuple(names), values=values, warnings=warnings, index=index)


def long_rows(
    data: Any, request: Request, wave: Any, person: Any, reference: str | None
) -> tuple[VariableRows, dict[str, dict[str, str]]]:
    """Return one row a person from one row a person and wave, and the variable of each item in each wave.

    Raises
    ------
    DataError
        A person twice in a wave, or in waves with different clusters or weights.
    UnsupportedDataError
        Nobody was asked in two waves.
    """
    rows = as_variables(
        data,
        request.names,
        group=wave,
        clusters=(person, *request.clusters),
        weights=request.weights,
        instrument=request.instrument,
        scales=request.scales,
        unknown=request.unknown,
    )
    labels, known = np.asarray(rows.group), has_label(rows.clusters[0])
    usable = known & np.array([label is not None for label in labels], bool)
    warnings = [*rows.warnings, *_lost(usable)]
    at = np.flatnonzero(usable)
    persons, first, code = np.unique(rows.clusters[0][at].astype(str), return_index=True, return_inverse=True)
    found = list(dict.fromkeys(labels[at].tolist()))
    earliest_first = wave_order(found)
    units = order_units(earliest_first or found, reference, over="wave", keep_order=earliest_first is not None)
    place = np.array([units.index(label) for label in labels[at].tolist()], dtype=np.intp)
    _check_pairs(code, place, persons, units)
    p = len(rows.names)
    values = np.full((len(persons), len(units), p), np.nan)
    values[code, place] = rows.values[at]
    columns = {unit: {name: f"{name}.{unit}" for name in rows.names} for unit in units}
    wide = VariableRows(
        names=tuple(own for names in columns.values() for own in names.values()),
        values=values.reshape(len(persons), -1),
        clusters=tuple(_constant(labels[at], code, first, "cluster") for labels in rows.clusters[1:]),
        weights=None if rows.weights is None else _constant(rows.weights[at], code, first, "weights"),
        warnings=warnings,
    )
    return wide, columns


def _lost(usable: Array) -> list[RelmeasureWarning]:
    lost = int((~usable).sum())
    if not lost:
        return []
    n = len(usable)
    text = f"{lost} of {n} rows have no wave or no person and were dropped."
    return [ListwiseDeletionWarning(text, n_dropped=lost, n_rows=n, n_obs=n - lost)]


def _check_pairs(code: Array, place: Array, persons: Array, units: Sequence[str]) -> None:
    pairs, counts = np.unique(code * len(units) + place, return_counts=True)
    if (counts > 1).any():
        worst = int(pairs[counts > 1][0])
        raise DataError(
            f"{int((counts > 1).sum())} persons have several rows in one wave; the first is "
            f"'{persons[worst // len(units)]}' in wave '{units[worst % len(units)]}'. Keep one row a person and wave.",
            n_duplicates=int((counts > 1).sum()),
        )
    if len(pairs) == len(persons):
        raise UnsupportedDataError(
            "Nobody was asked in two waves: the waves have different people. Compare them as groups, with the wave as "
            "group= (and cluster= where classes return).",
            n_persons=len(persons),
        )


def _constant(labels: Array, code: Array, first: Array, argument: str) -> Array:
    """One label a person, the same in every wave."""
    own = labels[first]
    changed = own[code].astype(str) != labels.astype(str)
    if changed.any():
        n = len(np.unique(code[changed]))
        raise DataError(
            f"{argument}= differs between the waves of {n} persons: name a column that stays the same for a person, "
            "such as the first class.",
            argument=argument,
        )
    return own
