"""From rows, or from cluster statistics, to the sample of a two-level model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from relmeasure.exceptions import (
    ColumnNotFoundError,
    DataError,
    FewClustersWarning,
    ListwiseDeletionWarning,
    RelmeasureWarning,
    TooFewObservationsError,
    did_you_mean,
    shorten,
)
from relmeasure.responses.variables import VariableRows
from relmeasure.results import Note, frozen_array
from relmeasure.samplestats.clusters import ClusterSums, cluster_sums, coded_labels
from relmeasure.structural.estimation.cases import Cases, GroupCases
from relmeasure.structural.estimation.samples import GroupSample
from relmeasure.structural.reading import labelled
from relmeasure.structural.two_level.cells import ClusterCells, cluster_cells
from relmeasure.structural.two_level.likelihood import log_constant
from relmeasure.structural.two_level.sample import LEVELS, TwoLevelSample, Variables, check_levels, size_moments
from relmeasure.structural.two_level.saturated import Unrestricted, unrestricted_moments

__all__ = ["ClusterReading", "level_groups", "read_clusters", "read_incomplete_clusters", "read_sums", "sample_of"]

Array = np.ndarray[Any, np.dtype[Any]]

FEW_CLUSTERS = 30
"""Fewer clusters than this: estimates between clusters and their standard errors are poor (Maas & Hox, 2005)."""


MOST_OPTIONS = 7
"""Whole numbers over at most this range count as answer options."""


@dataclass(frozen=True)
class ClusterReading:
    """What the data gave.

    Attributes
    ----------
    sums : ClusterSums
    cells : ClusterCells or None
    cases : Cases or None
    n_rows : int
    rule : str
    index : object
    warnings : list of RelmeasureWarning
    """

    sums: ClusterSums
    cells: ClusterCells | None
    cases: Cases | None
    n_rows: int
    rule: str
    index: Any = None
    warnings: list[RelmeasureWarning] = field(default_factory=list)


def read_sums(sums: ClusterSums, names: Sequence[str]) -> ClusterReading:
    """Take the variables of the model out of cluster statistics that were handed in."""
    at = {name: i for i, name in enumerate(sums.names)}
    missing = [name for name in names if name not in at]
    if missing:
        raise ColumnNotFoundError(
            f"The model names {shorten(missing)}, which the cluster statistics do not have."
            f"{did_you_mean(missing[0], sums.names)} They have: {shorten(sums.names)}.",
            missing=missing,
            known=list(sums.names),
        )
    index = [at[name] for name in names]
    own = ClusterSums(
        tuple(names),
        sums.labels,
        sums.n_rows,
        sums.n,
        frozen_array(np.asarray(sums.mean)[:, index]),
        frozen_array(np.asarray(sums.within)[np.ix_(index, index)]),
        sums.notes,
    )
    return ClusterReading(own, None, None, sums.n_rows, sums.rule)


def read_clusters(rows: VariableRows) -> ClusterReading:
    """Return the statistics of complete rows."""
    values = _finite(rows)
    usable, warnings = _usable(rows)
    complete = usable & ~np.isnan(values).any(axis=1)
    warnings += _dropped(usable, complete, "have a missing answer")
    at = np.flatnonzero(complete)
    if not len(at):
        raise TooFewObservationsError(f"None of the {len(values)} rows has all its answers and a cluster.")
    labels = rows.clusters[0][at]
    sums = cluster_sums(values[at], labels, rows.names)
    sums = ClusterSums(sums.names, sums.labels, len(values), sums.n, sums.mean, sums.within)
    _, codes = coded_labels(labels)
    cases = Cases((GroupCases(values[at], None, codes, at),))
    return ClusterReading(sums, None, cases, len(values), sums.rule, rows.index, [*rows.warnings, *warnings])


def read_incomplete_clusters(rows: VariableRows, variables: Variables, exogenous: Sequence[int]) -> ClusterReading:
    """Return the statistics of every answer.

    Rows without an answer to a variable that varies within clusters, or without one to a fixed exogenous variable, are
    dropped.
    """
    values = _finite(rows)
    usable, warnings = _usable(rows)
    kept = usable & ~np.isnan(values[:, variables.at_within]).all(axis=1)
    kept &= ~np.isnan(values[:, list(exogenous)]).any(axis=1)
    what = "have no answer" if not exogenous else "have no answer, or none to a predictor,"
    warnings += _dropped(usable, kept, what)
    at = np.flatnonzero(kept)
    if not len(at):
        raise TooFewObservationsError(f"None of the {len(values)} rows has an answer and a cluster.")
    own = values[at]
    labels, codes = coded_labels(rows.clusters[0][at])
    _unanswered(own, rows.names)
    _constant_between(own, codes, variables)
    cells = cluster_cells(own, codes, np.array(variables.within), np.nanmean(own, axis=0))
    filled = cluster_sums(_filled(own, codes), labels[codes], rows.names)
    rule = f"every answer of {len(at)} of {len(values)} rows, in {len(labels)} clusters"
    sums = ClusterSums(filled.names, filled.labels, len(values), filled.n, filled.mean, filled.within)
    cases = Cases((GroupCases(own, None, codes, at),))
    return ClusterReading(sums, cells, cases, len(values), rule, rows.index, [*rows.warnings, *warnings])


def _finite(rows: VariableRows) -> Array:
    bad = [name for name, column in zip(rows.names, rows.values.T, strict=True) if np.isinf(column).any()]
    if bad:
        raise DataError(f"Infinite values in {shorten(bad)}: set them to missing first.", items=bad)
    return rows.values


def _usable(rows: VariableRows) -> tuple[Array, list[RelmeasureWarning]]:
    return labelled(rows)


def _dropped(usable: Array, kept: Array, what: str) -> list[RelmeasureWarning]:
    n = int((usable & ~kept).sum())
    if not n:
        return []
    used = int(kept.sum())
    text = f"{n} of {len(kept)} rows {what} and were dropped; {used} are used."
    if "missing" in what:
        text += " missing='fiml' uses every answer."
    return [ListwiseDeletionWarning(text, n_dropped=n, n_rows=len(kept), n_obs=used)]


def _unanswered(rows: Array, names: Sequence[str]) -> None:
    empty = [name for name, column in zip(names, rows.T, strict=True) if np.isnan(column).all()]
    if empty:
        raise DataError(f"{shorten(empty)}: no answers at all. Leave these variables out.", items=empty)


def _constant_between(rows: Array, codes: Array, variables: Variables) -> None:
    """Refuse a variable of the level between that has two values in one cluster."""
    for i in variables.only_between:
        here = ~np.isnan(rows[:, i])
        low, high = np.full(codes.max() + 1, np.inf), np.full(codes.max() + 1, -np.inf)
        np.minimum.at(low, codes[here], rows[here, i])
        np.maximum.at(high, codes[here], rows[here, i])
        if (high - low).max() > 1e-9 * max(1.0, float(np.nanmax(np.abs(rows[:, i])))):
            raise DataError(
                f"'{variables.names[i]}': named at level 2 only, but varies within clusters. Name it at level 1 too, "
                "or put its cluster mean into the data.",
                items=[variables.names[i]],
            )


def _filled(rows: Array, codes: Array) -> Array:
    """Put cluster means, or else the mean, where answers are missing: for starting values only."""
    out = rows.copy()
    n = codes.max() + 1
    for column in out.T:
        seen = ~np.isnan(column)
        count = np.bincount(codes[seen], minlength=n)
        sums = np.bincount(codes[seen], weights=column[seen], minlength=n)
        own = np.where(count > 0, sums / np.maximum(count, 1), column[seen].mean())
        column[~seen] = own[codes[~seen]]
    return out


def ordered_note(reading: ClusterReading, variables: Variables, exogenous: Sequence[int]) -> list[Note]:
    """Say what treating ordered answers as continuous means, where that is what happens."""
    if reading.cases is None:
        return []
    rows = reading.cases.groups[0].rows
    found = []
    for i in set(variables.at_within) - set(exogenous):
        column = rows[:, i]
        column = column[~np.isnan(column)]
        few = np.ptp(column) < MOST_OPTIONS and not (column % 1.0).any()
        if few:
            found.append((variables.names[i], len(np.unique(column))))
    if not found:
        return []
    found.sort()
    options = sorted({n for _, n in found})
    many = f"{options[0]}" if len(options) == 1 else f"{options[0]} to {options[-1]}"
    text = (
        f"{shorten([name for name, _ in found])}: ordered answers ({many} options in use) are treated as continuous. "
        "Loadings within are then somewhat too small, most with skewed answers or fewer than four options; results "
        "between clusters hardly suffer. Errors and test of estimator='MLR' allow for it."
    )
    return [Note("ordered-as-continuous", text)]


# --------------------------------------------------------------------------- the sample
def sample_of(
    reading: ClusterReading, variables: Variables, exogenous: Sequence[int]
) -> tuple[TwoLevelSample, tuple[GroupSample, ...], list[RelmeasureWarning]]:
    """Return the sample, the moments that exogenous variables are fixed to, and warnings.

    With missing answers the unrestricted moments are those of filled-in data: a place to start from.
    """
    check_levels(reading.sums, variables)
    sizes = size_moments(reading.sums)
    found = unrestricted_moments(sizes, variables)
    if found.kind == "free" and exogenous:
        predictors = unrestricted_moments(sizes.subset(exogenous), variables.subset(exogenous))
        if predictors.kind != "free":
            found = unrestricted_moments(sizes, variables, bounded=True)
    held = found.kind != "free"
    constant = log_constant(sizes, len(variables.at_within), len(variables.only_between))
    fixed, exogenous_part = found, 0.0
    if exogenous:
        own = variables.subset(exogenous)
        part = sizes.subset(exogenous)
        fixed = _spread(unrestricted_moments(part, own, bounded=held), list(exogenous), len(variables.names))
        exogenous_part = fixed.deviance + log_constant(part, len(own.at_within), len(own.only_between))
    sample = TwoLevelSample(
        names=variables.names,
        groups=level_groups(found, variables, reading.sums),
        n_rows=reading.n_rows,
        rule=reading.rule,
        notes=(*reading.sums.notes, *ordered_note(reading, variables, exogenous)),
        clusters=reading.sums,
        within=variables.within,
        between=variables.between,
        cells=reading.cells,
        saturated=found.deviance + constant,
        exogenous=exogenous_part,
        unrestricted=found.kind,
    )
    return sample, level_groups(fixed, variables, reading.sums), _few(reading.sums)


def level_groups(found: Unrestricted, variables: Variables, sums: ClusterSums) -> tuple[GroupSample, ...]:
    """Return unrestricted moments, level by level; means of decomposed variables stand at the level between."""
    between = np.array(variables.between)
    return (
        GroupSample(
            LEVELS[0], sums.n_obs, frozen_array(np.where(between, 0.0, found.mean)), frozen_array(found.within)
        ),
        GroupSample(
            LEVELS[1], sums.n_clusters, frozen_array(np.where(between, found.mean, 0.0)), frozen_array(found.between)
        ),
    )


def _spread(found: Unrestricted, at: list[int], p: int) -> Unrestricted:
    """Put the moments of some variables among those of all."""
    within, between, mean = np.zeros((p, p)), np.zeros((p, p)), np.zeros(p)
    square = np.ix_(at, at)
    within[square], between[square], mean[at] = found.within, found.between, found.mean
    return replace(found, within=within, between=between, mean=mean)


def _few(sums: ClusterSums) -> list[RelmeasureWarning]:
    if sums.n_clusters >= FEW_CLUSTERS:
        return []
    return [
        FewClustersWarning(
            f"{sums.n_clusters} clusters: below {FEW_CLUSTERS}, variances between clusters are estimated poorly and "
            "their standard errors are too small.",
            n_clusters=sums.n_clusters,
        )
    ]
