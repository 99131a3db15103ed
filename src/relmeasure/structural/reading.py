"""From data to the sample statistics of a model: by group, listwise or by patterns of missing answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from relmeasure.exceptions import (
    DataError,
    FewClustersWarning,
    ListwiseDeletionWarning,
    RelmeasureWarning,
    TooFewObservationsError,
    UnsupportedDataError,
    shorten,
)
from relmeasure.responses.variables import VariableRows, as_variables
from relmeasure.results import frozen_array
from relmeasure.samplestats.estimates import MomentEstimate, em_moments
from relmeasure.samplestats.moments import MomentSums, moment_sums
from relmeasure.samplestats.patterns import missing_patterns
from relmeasure.structural.call_checks import check_moments
from relmeasure.structural.estimation.cases import Cases, GroupCases
from relmeasure.structural.estimation.moment_weights import distribution_free_acov
from relmeasure.structural.estimation.samples import GroupSample, Sample, sample_from_moments

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument

__all__ = [
    "Reading",
    "Request",
    "group_names",
    "is_statistic",
    "read_incomplete",
    "read_rows",
    "read_statistic",
    "with_acov",
]

Array = np.ndarray[Any, np.dtype[Any]]


LEAST_CLUSTERS = 20
"""Fewer clusters than this are too few for cluster-robust standard errors."""


@dataclass(frozen=True)
class Request:
    """What is asked of the data.

    Attributes
    ----------
    names : tuple of str
        Variables of the model.
    group, weights : object
        A column or its values.
    clusters : tuple
        Columns or labels.
    missing : str
    instrument : Instrument or None
    scales : sequence of str or None
    unknown : str
    """

    names: tuple[str, ...]
    group: Any = None
    clusters: tuple[Any, ...] = ()
    weights: Any = None
    missing: str = "listwise"
    instrument: Instrument | None = None
    scales: Sequence[str] | None = None
    unknown: Any = "raise"


@dataclass(frozen=True)
class Reading:
    """What the data gave.

    Attributes
    ----------
    sample : Sample
    cases : Cases or None
        Rows; None when moments were handed in.
    n_rows : int
    index : object
        Index of a pandas frame.
    warnings : list of RelmeasureWarning
    """

    sample: Sample
    cases: Cases | None
    n_rows: int
    index: Any = None
    warnings: list[RelmeasureWarning] = field(default_factory=list)


# --------------------------------------------------------------------------- statistics handed in
def is_statistic(data: Any) -> bool:
    """Whether the data are moments, or moments by group, already."""
    if isinstance(data, (MomentSums, MomentEstimate)):
        return True
    return isinstance(data, Mapping) and bool(data) and all(is_statistic(part) for part in data.values())


def read_statistic(data: Any, request: Request, *, means: bool) -> Reading:
    """Return the sample of moments handed in: one statistic, or a mapping of group names to statistics."""
    for name, given in (("group", request.group), ("cluster", request.clusters), ("weights", request.weights)):
        if given is not None and given != ():
            raise UnsupportedDataError(
                f"{name}= needs rows, and moments were handed in. Groups: a dict of one statistic a group.",
                argument=name,
            )
    if request.missing == "fiml":
        raise UnsupportedDataError("missing='fiml' needs rows, and moments were handed in.")
    parts = list(data.items()) if isinstance(data, Mapping) else [("", data)]
    for name, part in parts:
        check_moments(str(name), part)
        if means and np.isnan(np.asarray(part.mean)).any():
            raise UnsupportedDataError(
                f"A mean structure needs means{f' of group {name}' if name else ''}: hand them in with the matrix."
            )
    return Reading(sample_from_moments([(str(n), p) for n, p in parts], request.names), None, _rows_of(parts))


def _rows_of(parts: Sequence[tuple[Any, Any]]) -> int:
    return sum(int(getattr(part, "n_rows", part.n_obs)) for _, part in parts)


# --------------------------------------------------------------------------- rows
def group_names(rows: VariableRows) -> tuple[str, ...]:
    """Groups in order of appearance."""
    if rows.group is None:
        return ("",)
    return tuple(dict.fromkeys(str(label) for label in rows.group if label is not None))


def open_rows(data: Any, request: Request) -> VariableRows:
    """Return the rows of the model's variables."""
    return as_variables(
        data,
        request.names,
        group=request.group,
        clusters=request.clusters,
        weights=request.weights,
        instrument=request.instrument,
        scales=request.scales,
        unknown=request.unknown,
    )


def _finite(rows: VariableRows) -> Array:
    values, names = rows.values, rows.names
    if np.isinf(values).any():
        bad = [name for name, column in zip(names, values.T, strict=True) if np.isinf(column).any()]
        raise DataError(f"Infinite values in {shorten(bad)}: set them to missing first.", items=bad)
    return values


def read_rows(rows: VariableRows) -> Reading:
    """Return the sample of complete rows, by group."""
    values, names = _finite(rows), rows.names
    usable, lost = labelled(rows)
    complete = usable & ~np.isnan(values).any(axis=1)
    warnings = [*rows.warnings, *lost]
    dropped = int((usable & ~complete).sum())
    if dropped:
        warnings.append(
            ListwiseDeletionWarning(
                f"{dropped} of {len(values)} rows {'has' if dropped == 1 else 'have'} a missing answer and "
                f"{'was' if dropped == 1 else 'were'} dropped; {int(complete.sum())} are used. "
                "missing='fiml' uses every answer.",
                n_dropped=dropped,
                n_rows=len(values),
                n_obs=int(complete.sum()),
            )
        )
    cases = split_cases(rows, complete)
    warnings += cluster_warnings(cases)
    groups = group_names(rows)
    moments = []
    for name, group in zip(groups, cases.groups, strict=True):
        if len(group.rows) < 2:
            where = f"Group '{name}' has" if name else "The data have"
            raise TooFewObservationsError(f"{where} {len(group.rows)} complete rows; at least 2 are needed.")
        moments.append((name, moment_sums(group.rows, names, weights=group.weights)))
    sample = with_weights(sample_from_moments(moments, names), cases)
    return Reading(sample, cases, len(values), rows.index, warnings)


def read_incomplete(rows: VariableRows, exogenous: Sequence[str]) -> Reading:
    """Return the unrestricted moments of every answer, by group, with the patterns of missing answers.

    Rows without any answer are dropped, and so are rows without an answer to a fixed exogenous variable: the likelihood
    is conditional on these.
    """
    values, names = _finite(rows), rows.names
    usable, lost = labelled(rows)
    fixed = [i for i, name in enumerate(names) if name in set(exogenous)]
    kept = usable & ~np.isnan(values).all(axis=1) & ~np.isnan(values[:, fixed]).any(axis=1)
    warnings = [*rows.warnings, *lost]
    dropped = int((usable & ~kept).sum())
    if dropped:
        what = "no answer" if not fixed else f"no answer, or none to {shorten([names[i] for i in fixed])},"
        warnings.append(
            ListwiseDeletionWarning(
                f"{dropped} of {len(values)} rows have {what} and were dropped; {int(kept.sum())} are used.",
                n_dropped=dropped,
                n_rows=len(values),
                n_obs=int(kept.sum()),
            )
        )
    cases = split_cases(rows, kept)
    warnings += cluster_warnings(cases)
    groups, rules = [], []
    for name, group in zip(group_names(rows), cases.groups, strict=True):
        patterns = missing_patterns(group.rows, names, weights=group.weights)
        found = em_moments(patterns)
        groups.append(GroupSample(name, patterns.n_obs, found.mean, found.cov, None, patterns, weight=group.mass))
        rules.append(f"{name}: {found.rule}" if name else found.rule)
    sample = Sample(tuple(names), tuple(groups), len(values), "; ".join(rules))
    return Reading(sample, cases, len(values), rows.index, warnings)


def with_weights(sample: Sample, cases: Cases) -> Sample:
    """Add what each group weighs; without weights, its rows."""
    pairs = zip(sample.groups, cases.groups, strict=True)
    return replace(sample, groups=tuple(replace(group, weight=rows.mass) for group, rows in pairs))


def with_acov(reading: Reading, *, means: bool) -> Reading:
    """Add the distribution-free covariance matrix of the moments, which full weighted least squares needs."""
    if reading.cases is None:
        return reading
    groups = tuple(
        replace(group, acov=frozen_array(distribution_free_acov(cases.rows, means=means)))
        for group, cases in zip(reading.sample.groups, reading.cases.groups, strict=True)
    )
    return replace(reading, sample=replace(reading.sample, groups=groups))


def labelled(rows: VariableRows) -> tuple[Array, list[RelmeasureWarning]]:
    """Return which rows have a group, every cluster and a weight, and a warning about the others."""
    n = len(rows.values)
    usable = np.ones(n, bool)
    if rows.group is not None:
        usable &= np.array([label is not None for label in rows.group], bool)
    from relmeasure.samplestats.clusters import has_label

    for labels in rows.clusters:
        usable &= has_label(labels)
    if rows.weights is not None:
        bad = int((~np.isfinite(rows.weights) | (rows.weights < 0)).sum())
        if bad:
            raise DataError(f"Weights must be finite and not negative; {bad} of {n} are not.", n_bad=bad)
        usable &= rows.weights > 0
    lost = int((~usable).sum())
    if not lost:
        return usable, []
    text = f"{lost} of {n} rows have no group, cluster or weight and were dropped."
    return usable, [ListwiseDeletionWarning(text, n_dropped=lost, n_rows=n, n_obs=n - lost)]


def split_cases(rows: VariableRows, used: Array) -> Cases:
    """Return the used rows by group, with cluster numbers and weights that average one."""
    codes = tuple(_numbered(labels, used) for labels in rows.clusters)
    weights = None
    if rows.weights is not None and used.any():
        weights = rows.weights * (used.sum() / rows.weights[used].sum())
    parts = []
    for name in group_names(rows):
        here = used if rows.group is None else used & (rows.group == name)
        at = np.flatnonzero(here)
        parts.append(
            GroupCases(
                rows.values[at],
                None if weights is None else weights[at],
                codes[0][at] if codes else None,
                at,
                codes[1][at] if len(codes) > 1 else None,
            )
        )
    return Cases(tuple(parts))


def cluster_warnings(cases: Cases) -> list[RelmeasureWarning]:
    """Warn of too few clusters in one dimension; refuse them in two.

    Raises
    ------
    UnsupportedDataError
        Two dimensions, one with fewer than 20 clusters.
    """
    if not cases.clustered:
        return []
    second = cases.groups[0].second_clusters is not None
    counts = []
    for attribute in ("clusters", "second_clusters")[: 1 + second]:
        labels = np.concatenate([np.asarray(getattr(group, attribute)) for group in cases.groups])
        counts.append(len(np.unique(labels)))
    if second and min(counts) < LEAST_CLUSTERS:
        raise UnsupportedDataError(
            f"Two-way clustering needs at least {LEAST_CLUSTERS} clusters in each dimension; there are "
            f"{counts[0]} and {counts[1]}. Cluster by the larger dimension, and add the other as groups or predictors.",
            n_clusters=counts,
        )
    own = [len(np.unique(np.asarray(group.clusters))) for group in cases.groups]
    if min(own, default=2) < 2:
        raise UnsupportedDataError(
            "A group with rows in a single cluster has no cluster-robust standard errors: merge it with another group, "
            "or leave cluster= out.",
            n_clusters=own,
        )
    least = min([*counts, *own])
    if least >= LEAST_CLUSTERS:
        return []
    where = "" if least == counts[0] or len(own) == 1 else f" in one of the groups, and {counts[0]} in all"
    return [
        FewClustersWarning(
            f"Cluster-robust standard errors rest on {least} clusters{where}; below {LEAST_CLUSTERS} they are too "
            "small.",
            n_clusters=least,
        )
    ]


def _numbered(labels: Array, used: Array) -> Array:
    """Number the labels of used rows from zero."""
    out = np.full(len(labels), -1, dtype=np.intp)
    _, code = np.unique(np.asarray(labels[used]).astype(str), return_inverse=True)
    out[used] = code
    return out
