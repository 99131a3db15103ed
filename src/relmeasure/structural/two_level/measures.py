"""Fit of a two-level model: tests and indices, for both levels together and for each level by itself.

References
----------
Yuan, K.-H., & Bentler, P. M. (2000). Sociological Methodology, 30, 165-200 (scaled test). Ryu, E., & West, S. G.
(2009). Structural Equation Modeling, 16, 583-601 (each level with the other one saturated).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from relmeasure.structural.evaluation.assess import chi_square_entries
from relmeasure.structural.evaluation.fit_measures import (
    ChiSquare,
    comparative_indices,
    information_criteria,
    rmsea_indices,
    sample_size_indices,
)
from relmeasure.structural.language.parameter_table import ParameterTable
from relmeasure.structural.two_level.engine import TwoLevelFitted
from relmeasure.structural.two_level.sample import TwoLevelSample

__all__ = ["chi_square", "log_likelihood", "measures", "n_moments", "srmr"]

Array = np.ndarray[Any, np.dtype[Any]]

_NOISE = 1e-7
"""Residual correlations below this are the distance between two searches for one maximum."""


def n_moments(table: ParameterTable, sample: TwoLevelSample) -> int:
    """Number of unrestricted moments of both levels; fixed exogenous ones are left out."""
    inner, outer = len(sample.variables.at_within), len(sample.variables.at_between)
    count = inner * (inner + 1) // 2 + outer * (outer + 1) // 2 + len(sample.names)
    fixed = sum(exo and not free for exo, free in zip(table.exo, table.free, strict=True))
    return count - fixed


def chi_square(fitted: TwoLevelFitted, saturated: TwoLevelFitted | None) -> ChiSquare:
    """Return the test against the unrestricted model; ``saturated`` is that model, for a scaled test."""
    engine = fitted.engine
    kind = engine.two_level.unrestricted
    df = n_moments(engine.table, engine.two_level) - fitted.n_parameters
    chisq = 2.0 * fitted.value * engine.n_effective
    if df == 0 and abs(chisq) < 1e-9 * (1.0 + abs(engine.two_level.saturated)):
        chisq = 0.0  # two searches for one maximum end within rounding of each other
    if kind == "none" or (kind == "bounded" and chisq < 0):
        return ChiSquare(math.nan, df)
    if not engine.method.robust or kind == "bounded":  # at a bound, scores say nothing of the distribution of the test
        return ChiSquare(chisq, df)
    if df <= 0 or fitted.bread is None or saturated is None or saturated.bread is None:
        return ChiSquare(chisq, df, 1.0 if df == 0 else math.nan)
    inner = float((fitted.bread * fitted.meat).sum())
    outer = float((saturated.bread * saturated.meat).sum())
    factors = outer / saturated.n_parameters, inner / max(engine.table.n_free, 1)
    factor = (outer - inner) / df
    return ChiSquare(chisq, df, factor if factor > 0 else math.nan, factors=factors)


def log_likelihood(fitted: TwoLevelFitted) -> tuple[float, float]:
    """Return the log-likelihoods of the model and of the unrestricted one, given fixed exogenous variables."""
    sample = fitted.engine.two_level
    saturated = -0.5 * (sample.saturated - sample.exogenous)
    return saturated - fitted.value * fitted.engine.n_effective, saturated


def srmr(fitted: TwoLevelFitted, k: int) -> float:
    """Return the standardised root mean square residual of one level: unrestricted less implied correlations.

    The mean runs over the lower triangle with its diagonal, as in lavaan. NaN where a variance is not positive.
    """
    engine = fitted.engine
    sample = engine.two_level
    here = sample.variables.at_within if k == 0 else sample.variables.at_between
    square = np.ix_(here, here)
    S, sigma = np.asarray(sample.groups[k].cov)[square], fitted.states[k].sigma[square]
    if not len(here):
        return 0.0
    if min(np.diag(S).min(), np.diag(sigma).min()) <= 0:
        return math.nan
    first, second = (M / np.sqrt(np.outer(np.diag(M), np.diag(M))) for M in (S, sigma))
    value = math.sqrt(float(((first - second)[np.triu_indices(len(here))] ** 2).mean()))
    return 0.0 if value < _NOISE else value


def measures(
    fitted: TwoLevelFitted, baseline: TwoLevelFitted | None, saturated: TwoLevelFitted | None
) -> dict[str, float]:
    """Return every index that is defined, under lavaan's names."""
    engine = fitted.engine
    test, n, npar = chi_square(fitted, saturated), engine.n_effective, fitted.n_parameters
    if math.isnan(test.chisq):
        return _untested(fitted)
    out = {"npar": float(npar), **chi_square_entries(test, "")}
    robust = None
    if baseline is not None:
        base = chi_square(baseline, saturated)
        out |= chi_square_entries(base, "baseline.")
        robust = (test, base) if test.is_scaled and base.is_scaled and test.df > 0 else None
        if test.df >= 0:
            out |= comparative_indices(test, base, robust)
    out |= information_criteria(*log_likelihood(fitted), npar, engine.two_level.n_obs)
    out["n_clusters"] = float(engine.two_level.n_clusters)
    if engine.method.robust:
        out |= dict(zip(("scaling.factor.h1", "scaling.factor.h0"), test.factors, strict=True))
    out |= rmsea_indices(test, n, 1, robust[0] if robust else None, n)
    inner, outer = srmr(fitted, 0), srmr(fitted, 1)
    out |= {"srmr": inner + outer, "srmr_within": inner, "srmr_between": outer}
    return out | {name: v for name, v in sample_size_indices(test, n, npar, 1).items() if name == "mfi"}


def _untested(fitted: TwoLevelFitted) -> dict[str, float]:
    """Return what is defined without an unrestricted model to test against; NaN for the main indices."""
    sample, npar = fitted.engine.two_level, fitted.n_parameters
    df = float(n_moments(fitted.engine.table, sample) - npar)
    out = {"npar": float(npar), "chisq": math.nan, "df": df}
    out |= dict.fromkeys(("pvalue", "cfi", "tli", "rmsea", "rmsea.ci.lower", "rmsea.ci.upper"), math.nan)
    out |= information_criteria(*log_likelihood(fitted), npar, sample.n_obs)
    out["n_clusters"] = float(sample.n_clusters)
    inner, outer = srmr(fitted, 0), srmr(fitted, 1)
    out |= {"srmr": inner + outer, "srmr_within": inner, "srmr_between": outer}
    if sample.unrestricted == "none":
        out |= dict.fromkeys(("unrestricted.logl", "srmr", "srmr_within", "srmr_between"), math.nan)
    return out
