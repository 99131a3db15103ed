"""What an estimator of covariance structures knows of its data: moments by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from relmeasure.exceptions import (
    ColumnNotFoundError,
    NotPositiveDefiniteError,
    TooFewObservationsError,
    did_you_mean,
    shorten,
)
from relmeasure.results import FloatArray, Note, Result, Table, frozen_array
from relmeasure.samplestats.moments import Moments
from relmeasure.samplestats.patterns import MissingPatterns

__all__ = ["GroupSample", "Sample", "check_positive_definite", "sample_from_moments"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class GroupSample(Result):
    """Moments of one group.

    Attributes
    ----------
    name : str
        Name of the group; empty for a single one.
    n_obs : int
        Rows.
    mean : array (p,)
    cov : array (p, p)
        Covariances with divisor n: those of the normal likelihood.
    acov : array (r, r) or None
        Covariance matrix of the moments, times n; kept where the estimator needs it.
    patterns : MissingPatterns or None
        With full information: then ``mean`` and ``cov`` are the unrestricted (EM) estimates.
    moment_names, moments : tuple of str, array (r,) or None
        With ordered items: thresholds ``a|t1``, means ``x~1``, variances ``x~~x``, correlations ``a~~b``.
    categories : tuple of array
        Answers that stand for the categories of each ordered item (chosen ones), ascending; empty for other items.
    weight : float or None
        Sum of the sampling weights, which over all groups sum to the rows; None without weights.
    """

    name: str
    n_obs: int
    mean: FloatArray
    cov: FloatArray
    acov: FloatArray | None = None
    patterns: MissingPatterns | None = None
    moment_names: tuple[str, ...] = ()
    moments: FloatArray | None = None
    categories: tuple[FloatArray, ...] = ()
    weight: float | None = None

    @property
    def mass(self) -> float:
        """What the group counts in the objective: the sum of its weights, or its rows."""
        return float(self.n_obs) if self.weight is None else self.weight

    @property
    def unbiased(self) -> Array:
        """Covariances with divisor n - 1."""
        return self.cov * (self.n_obs / (self.n_obs - 1.0))

    def subset(self, index: Sequence[int]) -> GroupSample:
        """Return the moments of some variables, in the order given."""
        at = list(index)
        return replace(
            self,
            mean=frozen_array(self.mean[at]),
            cov=frozen_array(self.cov[np.ix_(at, at)]),
            categories=tuple(self.categories[i] for i in at) if self.categories else (),
        )


@dataclass(frozen=True, eq=False)
class Sample(Result):
    """Moments of all groups.

    Attributes
    ----------
    names : tuple of str
        Observed variables, in order.
    groups : tuple of GroupSample
    n_rows : int
        Rows handed in.
    rule : str
        The rule that made ``n_obs`` of ``n_rows``.
    notes : tuple of Note
        Warnings raised while the data were read.
    """

    names: tuple[str, ...]
    groups: tuple[GroupSample, ...]
    n_rows: int
    rule: str
    notes: tuple[Note, ...] = ()

    @property
    def n_obs(self) -> int:
        """Rows used, all groups."""
        return sum(group.n_obs for group in self.groups)

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of each group in the rows, or in their weights."""
        total = sum(group.mass for group in self.groups)
        return tuple(group.mass / total for group in self.groups)

    def subset(self, names: Sequence[str]) -> Sample:
        """Return the moments of some variables, in the order given."""
        if tuple(names) == self.names:
            return self
        at = {name: i for i, name in enumerate(self.names)}
        missing = [name for name in names if name not in at]
        if missing:
            raise ColumnNotFoundError(
                f"The model names {shorten(missing)}, which the data do not have."
                f"{did_you_mean(missing[0], self.names)} The data have: {shorten(self.names)}.",
                missing=missing,
                known=list(self.names),
            )
        index = [at[name] for name in names]
        return replace(self, names=tuple(names), groups=tuple(group.subset(index) for group in self.groups))

    def _table(self) -> Table:
        rows = [
            {"group": g.name, "item": name, "n": g.n_obs, "mean": g.mean[i], "sd": float(np.sqrt(g.cov[i, i]))}
            for g in self.groups
            for i, name in enumerate(self.names)
        ]
        return Table.from_rows(rows, ("group", "item", "n", "mean", "sd"))


def sample_from_moments(moments: Sequence[tuple[str, Moments]], observed: Sequence[str]) -> Sample:
    """Return the sample of some variables from one moments statistic a group.

    Parameters
    ----------
    moments : sequence of (name, Moments)
        The groups, in order; a single group has an empty name.
    observed : sequence of str
        The variables of the model.

    Raises
    ------
    ColumnNotFoundError
        A variable is not among the statistic's items.
    TooFewObservationsError
        A group has fewer than two rows.
    NotPositiveDefiniteError
        A covariance matrix is singular: an item is constant, or a sum of others.
    """
    groups, rules = [], []
    notes: list[Note] = []
    for name, given in moments:
        if given.n_obs < 2:
            where = f"Group '{name}'" if name else "The data"
            raise TooFewObservationsError(f"{where} has {given.n_obs} usable rows; a covariance needs at least 2.")
        biased = getattr(given, "source", "") == "em"
        scale = 1.0 if biased else (given.n_obs - 1.0) / given.n_obs
        groups.append(GroupSample(name, given.n_obs, frozen_array(given.mean), frozen_array(given.cov * scale)))
        rule = str(getattr(given, "rule", "sample moments as given"))
        rules.append(f"{name}: {rule}" if name else rule)
        notes += [note for note in getattr(given, "notes", ()) if all(not note.equals(kept) for kept in notes)]
    whole = Sample(
        names=tuple(moments[0][1].names),
        groups=tuple(groups),
        n_rows=sum(int(getattr(given, "n_rows", given.n_obs)) for _, given in moments),
        rule="; ".join(rules),
        notes=tuple(notes),
    )
    sample = whole.subset(observed)
    for group in sample.groups:
        check_positive_definite(group, sample.names)
    return sample


def check_positive_definite(group: GroupSample, names: Sequence[str]) -> None:
    """Refuse a covariance matrix that cannot be inverted, and name what makes it so."""
    where = f" of group '{group.name}'" if group.name else ""
    variance = np.diag(group.cov)
    constant = [name for name, v in zip(names, variance, strict=True) if not v > 0]
    if constant:
        raise NotPositiveDefiniteError(
            f"The covariances{where} cannot be inverted: no variance in {shorten(constant)}. Leave these items out.",
            constant=constant,
        )
    scale = np.sqrt(variance)
    roots, vectors = np.linalg.eigh(group.cov / np.outer(scale, scale))
    if roots[0] > 1e-10:
        return
    loaded = [name for name, v in zip(names, np.abs(vectors[:, 0]), strict=True) if v > 0.1]
    few = f" {group.n_obs} rows are too few for {len(names)} items." if group.n_obs <= len(names) else ""
    raise NotPositiveDefiniteError(
        f"The covariances{where} cannot be inverted (smallest eigenvalue {roots[0]:.2g}): {shorten(loaded)} are "
        f"linearly dependent.{few} Leave one of them out.",
        min_eigenvalue=float(roots[0]),
        items=loaded,
    )
