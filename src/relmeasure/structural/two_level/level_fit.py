"""Fit of each level by itself: the model at one level, every covariance at the other.

A misfit between clusters hardly shows in indices of the whole model, because rows outnumber clusters. With the other
level saturated, chi-square, CFI, TLI and RMSEA speak of one level (the baseline has no covariances at that level, and
all at the other).

References
----------
Ryu, E., & West, S. G. (2009). Structural Equation Modeling, 16, 583-601. Ryu, E. (2014). Frontiers in Psychology, 5,
81.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from relmeasure.exceptions import NotConvergedWarning, RelmeasureWarning, UnrestrictedModelWarning
from relmeasure.results import Table
from relmeasure.structural.evaluation.fit_measures import (
    ChiSquare,
    chi_square_pvalue,
    comparative_indices,
    rmsea_indices,
)
from relmeasure.structural.language.parameter_table import ParameterTable
from relmeasure.structural.two_level.engine import TwoLevelFitted
from relmeasure.structural.two_level.incomplete_search import moment_values
from relmeasure.structural.two_level.measures import chi_square, n_moments, srmr
from relmeasure.structural.two_level.reference_models import fit_saturated, refit, sample_values
from relmeasure.structural.two_level.sample import LEVELS
from relmeasure.structural.two_level.specification import Kind, composed_table, exogenous_names, moved_values

if TYPE_CHECKING:
    from relmeasure.structural.two_level.fit import TwoLevelFit

__all__ = ["level_fit_table"]

Array = np.ndarray[Any, np.dtype[Any]]

COLUMNS = ("level", "chisq", "df", "pvalue", "cfi", "tli", "rmsea", "rmsea_lower", "rmsea_upper", "srmr")

_NO_BASELINE = (
    "The baseline of the level {level} (no covariances there, all at the other level) has no maximum: its likelihood "
    "rises without end at the largest clusters. CFI and TLI of this level rest on the pooled covariances within.",
    "The baseline of the level {level} did not converge: CFI and TLI of this level are not defined.",
)

_NO_LEVEL = (
    "The unrestricted model has no maximum for these clusters, and neither has the model of the level {level} with "
    "every covariance free between: there is no test of this level. See result.warnings."
)

_NO_TEST = (
    "The unrestricted model, held to covariances that can exist, fits worse than the model of the level {level}: there "
    "is no test of this level. See result.warnings."
)


def level_fit_table(fit: TwoLevelFit) -> tuple[Table, list[RelmeasureWarning]]:
    """Return one row a level."""
    rows: list[dict[str, Any]] = []
    raised: list[RelmeasureWarning] = []
    saturated = fit_saturated(fit.table, fit.sample, fit.method, fit._cases)[0] if fit.method.robust else None
    for k, level in enumerate(LEVELS):
        if k == 0 and fit.sample.unrestricted != "free":
            raised.append(UnrestrictedModelWarning(_NO_LEVEL.format(level=level), level=level))
            rows.append({"level": level})
            continue
        model, converged = _one_level(fit, k, "model")
        base, base_converged = _one_level(fit, k, "independent")
        if not converged:
            text = f"The model of the level {level} did not converge with the other level saturated."
            raised.append(NotConvergedWarning(text, level=level))
            rows.append({"level": level})
            continue
        test = chi_square(model, saturated)
        if math.isnan(test.chisq):
            raised.append(UnrestrictedModelWarning(_NO_TEST.format(level=level), level=level))
        tag = ".scaled" if test.is_scaled else ""
        n = float(fit.sample.n_clusters if k else fit.sample.n_obs - fit.sample.n_clusters)
        statistic = test.scaled if test.is_scaled else test.chisq
        found = rmsea_indices(test, n, 1)
        zero, own = chi_square(base, saturated), test
        if not base_converged:
            zero, own = _pooled_baseline(fit, base, k), ChiSquare(test.chisq, test.df)
            raised.append(NotConvergedWarning(_NO_BASELINE[math.isnan(zero.chisq)].format(level=level), level=level))
        cfi, tli = _comparative(own, zero, tag)
        values: tuple[Any, ...] = (
            *(level, statistic, float(test.df), chi_square_pvalue(statistic, test.df)),
            *(cfi, tli, found[f"rmsea{tag}"]),
            *(found[f"rmsea.ci.lower{tag}"], found[f"rmsea.ci.upper{tag}"], srmr(model, k)),
        )
        rows.append(dict(zip(COLUMNS, values, strict=True)))
    return Table.from_rows(rows, COLUMNS), raised


def _one_level(fit: TwoLevelFit, k: int, kind: Kind) -> tuple[TwoLevelFitted, bool]:
    """Fit the model, or none, at one level, and every covariance at the other."""
    kinds: tuple[Kind, Kind] = (kind, "saturated") if k == 0 else ("saturated", kind)
    table = composed_table(fit.table, *kinds)
    known = moved_values(fit.table, list(fit._fitted.row_values), table)
    table = _with_scales(table, k + 1, known)
    start = _start(fit, table, k, kind)
    for row in table.free_rows:
        if kind == "model" and table.group[row] == k + 1 and not np.isnan(known[row]):
            start[table.free[row] - 1] = known[row]
    steps = 200 if kind == "model" else 60
    return refit(table, fit.sample, fit.method, start, fit._cases, max_iterations=steps)


def _comparative(test: ChiSquare, zero: ChiSquare, tag: str) -> tuple[float, float]:
    """Return CFI and TLI, scaled where both statistics are; NaN without a baseline."""
    if math.isnan(zero.chisq):
        return math.nan, math.nan
    found = comparative_indices(test, zero)
    return found.get(f"cfi{tag}", found["cfi"]), found.get(f"tli{tag}", found["tli"])


def _pooled_baseline(fit: TwoLevelFit, base: TwoLevelFitted, k: int) -> ChiSquare:
    """Return the test of independence in the pooled covariances within, of N - J rows; NaN for another level.

    Nearly all that the data say of the level within is in these.
    """
    sample = fit.sample
    df = float(n_moments(base.engine.table, sample) - base.n_parameters)
    if k == 1 or sample.cells is not None:
        return ChiSquare(math.nan, df)
    at = sample.variables.at_within
    S = np.asarray(sample.sums.within)[np.ix_(at, at)] / sample.sizes.n_inner
    exo = [i for i, place in enumerate(at) if place in exogenous_names(fit.table)]
    free = [i for i in range(len(at)) if i not in exo]
    apart = float(np.log(np.diag(S)[free]).sum()) + float(np.linalg.slogdet(S[np.ix_(exo, exo)])[1])
    return ChiSquare(sample.sizes.n_inner * (apart - float(np.linalg.slogdet(S)[1])), df)


def _start(fit: TwoLevelFit, table: ParameterTable, k: int, kind: Kind) -> Array:
    """Return unrestricted moments to start from.

    Covariances that are taken away within stay in those of the cluster means: the level between takes them over.
    """
    if k == 1 or kind == "model":
        return sample_values(table, fit.sample)
    inner, outer = (np.asarray(group.cov) for group in fit.sample.groups)
    n = np.asarray(fit.sample.sums.n, dtype=float)
    at = np.ix_(fit.sample.variables.both, fit.sample.variables.both)
    moved = np.array(outer)
    moved[at] += ((inner - np.diag(np.diag(inner))) / n.max())[at]  # positive definite at every size
    mean = sum(np.asarray(group.mean) for group in fit.sample.groups)
    return moment_values(table, inner, moved, np.asarray(mean))


def _with_scales(table: ParameterTable, group: int, known: Sequence[float]) -> ParameterTable:
    """Fix the variance of a factor that had its scale from the other level."""
    rows = table.rows()
    for factor in table.latent:
        own = [i for i, row in enumerate(rows) if row.group == group and row.lhs == factor]
        loadings = [rows[i] for i in own if rows[i].op == "=~"]
        variances = [i for i in own if rows[i].op == "~~" and rows[i].rhs == factor and rows[i].is_free]
        if loadings and variances and all(row.is_free for row in loadings) and not table.constraints:
            rows[variances[0]].fix(known[variances[0]])
    return table.with_rows(rows)
