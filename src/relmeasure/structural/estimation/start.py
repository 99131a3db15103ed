"""Starting values from sample moments.

Loadings start at those of one common factor per set of indicators (a few rounds of principal-axis factoring on their
correlations), rescaled to the factor's marker or variance; residual variances at what the loadings leave; regressions
and covariances at zero; intercepts at the means.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from relmeasure.structural.estimation.samples import GroupSample
from relmeasure.structural.language.parameter_table import ParameterTable

__all__ = ["starting_values", "with_sample_moments"]

Array = np.ndarray[Any, np.dtype[Any]]


def with_sample_moments(
    table: ParameterTable, groups: list[GroupSample] | tuple[GroupSample, ...], *, unbiased: bool = False
) -> ParameterTable:
    """Return the table with the moments of exogenous variables filled in; ``unbiased``: with divisor n - 1."""
    if not any(table.exo):
        return table
    at = {name: i for i, name in enumerate(table.observed)}
    fixed = list(table.fixed)
    for row in range(len(table)):
        if not table.exo[row] or table.free[row]:
            continue
        group = groups[table.group[row] - 1]
        i = at[table.lhs[row]]
        cov = group.unbiased if unbiased else group.cov
        fixed[row] = float(group.mean[i] if table.op[row] == "~1" else cov[i, at[table.rhs[row]]])
    return table.with_fixed(fixed)


def starting_values(
    table: ParameterTable, groups: list[GroupSample] | tuple[GroupSample, ...], *, given: bool = True
) -> Array:
    """Return a starting value for each free parameter; ``given=False`` leaves out those that the user gave."""
    x = np.zeros(table.n_free)
    for number, group in enumerate(groups, start=1):
        guess = _Guess(table, number, group)
        for row in table.free_rows:
            if table.group[row] != number:
                continue
            own = table.start[row]
            x[table.free[row] - 1] = own if given and not math.isnan(own) else guess.value(row)
    return x


class _Guess:
    """Starting values of one group."""

    def __init__(self, table: ParameterTable, group: int, sample: GroupSample) -> None:
        self.table, self.sample = table, sample
        self.at = {name: i for i, name in enumerate(table.observed)}
        self.rows = [r for r in range(len(table)) if table.group[r] == group]
        self.latent = set(table.latent)
        self.outcomes = {table.lhs[r] for r in self.rows if table.op[r] == "~"}
        self.indicators = {table.rhs[r] for r in self.rows if table.op[r] == "=~"}
        self.loading: dict[int, float] = {}
        self.variance: dict[str, float] = {}
        self.explained: dict[str, float] = {}
        self.theta = table.parameterization == "theta"
        self.thresholds = dict(zip(sample.moment_names, [] if sample.moments is None else sample.moments, strict=True))
        self.spread = {name: float(sample.cov[i, i]) for name, i in self.at.items()}
        for factor in table.latent:
            self._factor(factor)

    def _factor(self, factor: str) -> None:
        """Guess the loadings and the variance of one factor."""
        table = self.table
        rows = [r for r in self.rows if table.op[r] == "=~" and table.lhs[r] == factor]
        observed = [r for r in rows if table.rhs[r] in self.at]
        index = [self.at[table.rhs[r]] for r in observed]
        standard = dict(zip(observed, _one_factor(self.sample.cov[np.ix_(index, index)]), strict=True))
        raw = {r: self._raw(r, standard) for r in rows}
        scale = 1.0
        own = [r for r in self.rows if table.op[r] == "~~" and table.lhs[r] == table.rhs[r] == factor]
        fixed_variance = [table.fixed[r] for r in own if not table.free[r] and table.fixed[r] > 0]
        markers = [r for r in rows if not table.free[r] and table.fixed[r] != 0]
        if markers:
            marker = markers[0]
            floor = 0.3 * math.sqrt(self.spread.get(table.rhs[marker], 1.0))
            sign = math.copysign(1.0, raw[marker] * table.fixed[marker])
            scale = sign * max(abs(raw[marker]), floor) / abs(table.fixed[marker])
        elif fixed_variance:
            scale = math.sqrt(fixed_variance[0])
        for r, value in raw.items():
            self.loading[r] = value / scale
            name = table.rhs[r]
            share = standard.get(r, 0.7) ** 2
            self.explained[name] = min(0.8, self.explained.get(name, 0.0) + share)
        self.variance[factor] = scale**2

    def _raw(self, row: int, standard: dict[int, float]) -> float:
        """Loading of one indicator on a factor with unit variance."""
        name = self.table.rhs[row]
        if row not in standard:
            return 0.7 * math.sqrt(self.variance.get(name, 1.0))
        raw = standard[row] * math.sqrt(self.spread[name])
        if self.theta and name in self.table.ordered:  # responses with a residual variance of one
            raw /= math.sqrt(1.0 - standard[row] ** 2)
        return raw

    def value(self, row: int) -> float:
        """Return the guess for one row."""
        table, op, lhs = self.table, self.table.op[row], self.table.lhs[row]
        if op == "=~":
            return self.loading[row]
        if op == "|":
            wide = math.sqrt(1.0 - self.explained.get(lhs, 0.0)) if self.theta else 1.0
            return float(self.thresholds.get(f"{lhs}|{table.rhs[row]}", 0.0)) / wide
        if op == "~*~":
            return 1.0
        if op == "~1":
            return float(self.sample.mean[self.at[lhs]]) if lhs in self.at else 0.0
        if op != "~~" or lhs != table.rhs[row]:
            return 0.0
        if lhs in self.latent:
            share = 0.5 if lhs in self.indicators or lhs in self.outcomes else 1.0
            return max(0.05 * 0.05, self.variance[lhs] * share)
        explained = self.explained.get(lhs, 0.2 if lhs in self.outcomes else 0.0)
        return self.spread[lhs] * (1.0 - explained)


def _one_factor(cov: Array) -> list[float]:
    """Standardised loadings of one factor, mostly positive, each between 0.2 and 0.9 in size."""
    p = len(cov)
    if p == 0:
        return []
    sd = np.sqrt(np.diag(cov))
    R = cov / np.outer(sd, sd)
    if p == 1:
        return [0.9]
    if p == 2:
        r = float(np.clip(R[0, 1], -0.81, 0.81))
        both = math.sqrt(max(abs(r), 0.04))
        return [both, math.copysign(both, r)]
    reduced = R.copy()
    off = np.abs(R - np.eye(p))
    np.fill_diagonal(reduced, off.max(axis=0))
    loadings = np.zeros(p)
    for _ in range(3):
        roots, vectors = np.linalg.eigh(reduced)
        loadings = vectors[:, -1] * math.sqrt(max(float(roots[-1]), 0.01))
        np.fill_diagonal(reduced, np.minimum(loadings**2, 0.81))
    if loadings.sum() < 0:
        loadings = -loadings
    size = np.clip(np.abs(loadings), 0.2, 0.9)
    return [float(v) for v in np.where(loadings < 0, -size, size)]
