"""From rows to the sample statistics of ordered items: thresholds, polychoric correlations, their covariance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from relmeasure.exceptions import (
    CategoriesAssumedWarning,
    DataError,
    ListwiseDeletionWarning,
    RelmeasureWarning,
    TooFewObservationsError,
    UnsupportedDataError,
    shorten,
)
from relmeasure.instruments.definition import Instrument
from relmeasure.responses.variables import VariableRows
from relmeasure.results import frozen_array
from relmeasure.samplestats.contingency import category_codes
from relmeasure.samplestats.latent import PolychoricResult
from relmeasure.samplestats.mixed import mixed_correlations
from relmeasure.samplestats.polychoric import polychoric_from_codes
from relmeasure.structural.call_checks import check_ordered
from relmeasure.structural.estimation.samples import GroupSample, Sample
from relmeasure.structural.reading import Reading, group_names, labelled, split_cases

__all__ = ["ordered_items", "read_ordered", "read_polychoric"]

Array = np.ndarray[Any, np.dtype[Any]]

_MOST_CATEGORIES = 15
"""More observed values than this are hardly categories."""


def ordered_items(
    ordered: Sequence[str] | bool, observed: Sequence[str], columns: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the ordered items of a model, in its order; other columns of the data are skipped.

    Raises
    ------
    ColumnNotFoundError
        A name that is neither in the model nor in the data.
    """
    check_ordered(ordered, observed, columns)
    if ordered is True:
        return tuple(observed)
    named = {ordered} if isinstance(ordered, str) else set(ordered or ())
    return tuple(name for name in observed if name in named)


def read_ordered(
    rows: VariableRows,
    ordered: Sequence[str],
    *,
    missing: str,
    instrument: Instrument | None,
    declared: Mapping[str, Sequence[float]] | None = None,
    correct: float = 0.0,
) -> tuple[Reading, dict[str, tuple[int, ...]]]:
    """Return the sample, and the numbers of the thresholds of each ordered item.

    ``declared`` holds the categories of some items, ascending; it stands before those of the instrument. ``correct``
    stands in the empty cells of two by two tables.

    Raises
    ------
    UnsupportedDataError
        Groups in which different categories were chosen, or items with too many values.
    """
    values, names = rows.values, rows.names
    categories, warnings = _categories(values, names, ordered, instrument, declared or {})
    usable, lost = labelled(rows)
    warnings = [*rows.warnings, *lost, *warnings]
    kept = usable & ~np.isnan(values).all(axis=1)
    if missing == "listwise":
        complete = usable & ~np.isnan(values).any(axis=1)
        dropped = int((usable & ~complete).sum())
        if dropped:
            text = (
                f"{dropped} of {len(values)} rows have a missing answer and were dropped; {int(complete.sum())} are "
                "used. missing='pairwise' uses every pair of answers."
            )
            warnings.append(
                ListwiseDeletionWarning(text, n_dropped=dropped, n_rows=len(values), n_obs=int(complete.sum()))
            )
        kept = complete
    cases = split_cases(rows, kept)
    groups, rules = [], []
    thresholds: dict[str, tuple[int, ...]] = {}
    for name, group in zip(group_names(rows), cases.groups, strict=True):
        if len(group.rows) < 2:
            raise TooFewObservationsError(f"{len(group.rows)} usable rows{f' in group {name}' if name else ''}.")
        found = _correlations(group.rows, names, categories, missing, correct)
        thresholds = _same_thresholds(thresholds, found, name)
        groups.append(_group(name, found, [_chosen(categories, item, found) for item in names]))
        rules.append(f"{name}: {found.rule}" if name else found.rule)
    sample = Sample(tuple(names), tuple(groups), len(values), "; ".join(rules))
    return Reading(sample, cases, len(values), rows.index, warnings), thresholds


def read_polychoric(data: Any, observed: Sequence[str]) -> tuple[Reading, dict[str, tuple[int, ...]]]:
    """Return the sample of polychoric results handed in: one, or a mapping of group names to results.

    Raises
    ------
    UnsupportedDataError
        A result without its covariance matrix, or for other items than the model's.
    """
    parts = list(data.items()) if isinstance(data, Mapping) else [("", data)]
    thresholds: dict[str, tuple[int, ...]] = {}
    groups = []
    for name, found in parts:
        if found.acov is None:
            raise UnsupportedDataError("The polychoric result has no covariance matrix: ask for it with acov=True.")
        if set(found.names) != set(observed):
            raise UnsupportedDataError(
                f"The polychoric result is for {shorten(found.names)}, the model for {shorten(observed)}: estimate it "
                "for the items of the model."
            )
        thresholds = _same_thresholds(thresholds, found, str(name))
        groups.append(_group(str(name), found))
    names = parts[0][1].names
    order = [names.index(name) for name in observed]
    groups = [group.subset(order) for group in groups]
    rule = "; ".join(f"{name}: {found.rule}" if name else found.rule for name, found in parts)
    n_rows = sum(found.n_rows for _, found in parts)
    return Reading(Sample(tuple(observed), tuple(groups), n_rows, rule), None, n_rows), thresholds


def _categories(
    values: Array,
    names: Sequence[str],
    ordered: Sequence[str],
    instrument: Instrument | None,
    declared: Mapping[str, Sequence[float]],
) -> tuple[dict[str, tuple[float, ...]], list[RelmeasureWarning]]:
    """Return the categories of ordered items: declared in the call or by the instrument, else those observed."""
    found: dict[str, tuple[float, ...]] = {}
    assumed = []
    for name in ordered:
        if name in declared:
            found[name] = tuple(float(v) for v in declared[name])
            continue
        if instrument is not None and name in instrument.item_ids:
            found[name] = tuple(sorted(set(instrument.keyed_values(name).values())))
            continue
        column = values[:, list(names).index(name)]
        seen = np.unique(column[~np.isnan(column)])
        if len(seen) > _MOST_CATEGORIES:
            raise UnsupportedDataError(
                f"{name} has {len(seen)} different values, too many for an ordered item: leave it out of ordered=.",
                item=name,
                n_values=len(seen),
            )
        if len(seen) < 2:
            raise DataError(f"{name} has {len(seen)} category; an ordered item needs at least two.", item=name)
        found[name] = tuple(float(v) for v in seen)
        assumed.append(name)
    if not assumed:
        return found, []
    return found, [
        CategoriesAssumedWarning(
            f"The categories of {shorten(assumed)} were taken from the data: one that nobody chose is not known. "
            f"An instrument declares them.{_odd_codes(found, assumed)}",
            items=assumed,
        )
    ]


def _odd_codes(categories: Mapping[str, tuple[float, ...]], names: Sequence[str]) -> str:
    """Name codes that stand far from the others: 9, 99 or -9 beside 1 to 5 is rarely an answer."""
    odd = []
    for name in names:
        known = np.array(categories[name])
        gaps = np.diff(known)
        if len(known) > 2 and gaps.max() > 2.0 * np.median(gaps):
            far = known[-1] if gaps.argmax() >= len(gaps) / 2 else known[0]
            odd.append(f"{name} ({far:g} beside {', '.join(f'{v:g}' for v in known if v != far)})")
    if not odd:
        return ""
    return f" Is this a code for a missing answer? It was taken as a category: {shorten(odd, 3)}."


def _correlations(
    rows: Array, names: Sequence[str], categories: Mapping[str, tuple[float, ...]], missing: str, correct: float
) -> PolychoricResult:
    kind: Any = "listwise" if missing == "listwise" else "pairwise"
    if len(categories) == len(names):
        declared = [categories[name] for name in names]
        codes = category_codes(rows, names, declared)
        return polychoric_from_codes(codes, names, categories=declared, missing=kind, acov=True, correct=correct)
    some = [categories.get(name) for name in names]
    return mixed_correlations(rows, names, categories=some, missing=kind, acov=True, correct=correct)


def _same_thresholds(
    known: dict[str, tuple[int, ...]], found: PolychoricResult, group: str
) -> dict[str, tuple[int, ...]]:
    if not known:
        return dict(found.threshold_numbers)
    for name, numbers in found.threshold_numbers.items():
        if known[name] != numbers:
            raise UnsupportedDataError(
                f"In group '{group}' other categories of {name} were chosen than in the first group: thresholds "
                f"{numbers} and {known[name]}. Collapse the same categories in every group.",
                item=name,
                group=group,
            )
    return known


def _chosen(categories: Mapping[str, tuple[float, ...]], item: str, found: PolychoricResult) -> Array:
    """Categories with a threshold of their own: an empty one is joined to its neighbour."""
    known = categories.get(item)
    if known is None:
        return np.zeros(0)
    return np.array([known[0], *(known[k] for k in found.threshold_numbers[item])])


def _group(name: str, found: PolychoricResult, categories: Sequence[Array] = ()) -> GroupSample:
    if np.isnan(np.asarray(found.estimates)).any() or found.at_bound:
        pairs = ", ".join("-".join(pair) for pair in found.at_bound) or "some pairs"
        raise DataError(
            f"No covariance matrix of the correlations{f' in group {name}' if name else ''}: {pairs} stand at plus or "
            "minus one, because cells of their tables are empty. Collapse rare categories, or with two categories fill "
            "empty cells (correct=0.5).",
            pairs=list(found.at_bound),
        )
    return GroupSample(
        name,
        found.n_used,
        frozen_array(found.mean),
        frozen_array(found.cov),
        acov=frozen_array(found.nacov),
        moment_names=found.parameters,
        moments=frozen_array(found.estimates),
        categories=tuple(frozen_array(known) for known in categories),
    )
