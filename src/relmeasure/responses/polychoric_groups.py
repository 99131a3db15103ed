"""Polychoric correlations by group: the same categories in all groups, one result each."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from relmeasure._version import __version__
from relmeasure.exceptions import (
    ListwiseDeletionWarning,
    OptionError,
    RelmeasureWarning,
    TooFewObservationsError,
    UnsupportedDataError,
)
from relmeasure.responses.binding import KeyedResponses, Responses
from relmeasure.responses.frames import open_frame
from relmeasure.responses.ordered_rows import Categories, OrderedRows, ordered_categories
from relmeasure.responses.variables import VariableRows, as_variables
from relmeasure.results import Note, Provenance, Result, Table, announce
from relmeasure.samplestats.contingency import ContingencyTables, category_codes
from relmeasure.samplestats.latent import PolychoricResult
from relmeasure.samplestats.moments import MissingMethod
from relmeasure.samplestats.polychoric import polychoric_from_codes

__all__ = ["GroupedPolychorics", "grouped"]


@dataclass(frozen=True, eq=False)
class GroupedPolychorics(Result):
    """Polychoric correlations of several groups.

    Attributes
    ----------
    group : str
        The column of labels; "group" where labels were handed in.
    groups : dict of label to PolychoricResult
        In the order of appearance; all with the same categories.
    n_without_group : int
        Rows without a label, which are not used.
    warnings : tuple of Note
    """

    group: str
    groups: dict[str, PolychoricResult]
    n_without_group: int = 0
    warnings: tuple[Note, ...] = ()

    def __getitem__(self, label: str) -> PolychoricResult:
        """Return the result of one group."""
        if str(label) not in self.groups:
            raise OptionError.from_value("label", label, list(self.groups))
        return self.groups[str(label)]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the labels."""
        return iter(self.groups)

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self.groups)

    def _table(self) -> Table:
        rows = [{"group": label, **row} for label, part in self.groups.items() for row in part._table().rows()]
        return Table.from_rows(rows, ("group", "item_1", "item_2", "correlation", "se", "n_obs", "method"))

    def summary(self) -> str:
        """Return the summary of each group under its label."""
        return "\n\n".join(f"{self.group} = {label}\n{part.summary()}" for label, part in self.groups.items())


def grouped(
    data: Any,
    group: Any,
    *,
    categories: Categories,
    missing: MissingMethod,
    weights: Any,
    acov: bool,
    **options: Any,
) -> GroupedPolychorics:
    """Estimate the correlations of each group; see ``polychoric``."""
    if isinstance(data, (PolychoricResult, ContingencyTables)):
        raise UnsupportedDataError("group= needs rows: tables of all persons do not tell their groups.")
    data = data.keyed() if isinstance(data, Responses) else data
    rows = as_variables(data, _items(data, group, weights), group=group, weights=weights)
    declared, raised = ordered_categories(_as_ordered(rows, data), categories)
    labels = rows.group
    if labels is None or all(label is None for label in labels):
        raise TooFewObservationsError("No row has a group.", n_rows=len(rows.values))
    codes = category_codes(rows.values, rows.names, declared)
    name = group if isinstance(group, str) else "group"
    instrument = data.responses.instrument.label if isinstance(data, KeyedResponses) else None
    said = [*rows.warnings, *raised, *_without(labels)]
    found: dict[str, PolychoricResult] = {}
    for label in dict.fromkeys(str(label) for label in labels if label is not None):
        here = np.array([known == label for known in labels])
        w = None if rows.weights is None else rows.weights[here]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", RelmeasureWarning)
            part = polychoric_from_codes(
                codes[here], rows.names, categories=declared, missing=missing, weights=w, acov=acov, **options
            )
        said += [_of_group(w.message, name, label) for w in caught if isinstance(w.message, RelmeasureWarning)]
        provenance = Provenance(
            "polychoric", __version__, part.n_rows, part.n_obs, part.rule, instrument, (f"{name} = {label}",)
        )
        found[label] = replace(part, provenance=provenance)
    return GroupedPolychorics(name, found, sum(label is None for label in labels), announce(said))


def _items(data: Any, group: Any, weights: Any) -> list[str]:
    if isinstance(data, np.ndarray):
        return [f"x{k + 1}" for k in range(data.shape[1])] if data.ndim == 2 else []
    if isinstance(data, KeyedResponses):
        return list(data.items)
    aside = {name for name in (group, weights) if isinstance(name, str)}
    source = open_frame(data)
    source.require(sorted(aside), what="named")
    return [str(name) for name in source.columns if name not in aside]


def _as_ordered(rows: VariableRows, data: Any) -> OrderedRows:
    declared = None
    if isinstance(data, KeyedResponses):
        plans = [data.responses.plans[item] for item in data.items]
        declared = tuple(None if plan.is_range else tuple(sorted(set(plan.keyed.values()))) for plan in plans)
    return OrderedRows(rows.names, declared, None, lambda: iter([(rows.values, rows.weights)]), lazy=False)


def _without(labels: np.ndarray[Any, np.dtype[Any]]) -> list[RelmeasureWarning]:
    lost = sum(label is None for label in labels)
    if not lost:
        return []
    text = f"{lost} of {len(labels)} rows have no group and were dropped."
    return [ListwiseDeletionWarning(text, n_dropped=lost, n_rows=len(labels), n_obs=len(labels) - lost)]


def _of_group(warning: RelmeasureWarning, name: str, label: str) -> RelmeasureWarning:
    return type(warning)(f"{name} = {label}: {warning.message}", **warning.details)
