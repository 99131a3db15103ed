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

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from relmeasure.exceptions import NotConvergedWarning, RelmeasureWarning
from relmeasure.results import Table
from relmeasure.structural.fit_measures import chi_square_pvalue, comparative_indices, rmsea_indices
from relmeasure.structural.parameter_table import ParameterTable
from relmeasure.structural.two_level.engine import TwoLevelFitted
from relmeasure.structural.two_level.measures import chi_square, srmr
from relmeasure.structural.two_level.reference_models import fit_saturated, refit, sample_values
from relmeasure.structural.two_level.sample import LEVELS
from relmeasure.structural.two_level.specification import Kind, composed_table, moved_values

if TYPE_CHECKING:
    from relmeasure.structural.two_level.fit import TwoLevelFit

__all__ = ["level_fit_table"]

Array = np.ndarray[Any, np.dtype[Any]]

COLUMNS = ("level", "chisq", "df", "pvalue", "cfi", "tli", "rmsea", "rmsea_lower", "rmsea_upper", "srmr")


def level_fit_table(fit: TwoLevelFit) -> tuple[Table, list[RelmeasureWarning]]:
    """Return one row a level."""
    rows: list[dict[str, Any]] = []
    raised: list[RelmeasureWarning] = []
    saturated = fit_saturated(fit.table, fit.sample, fit.method, fit._cases) if fit.method.robust else None
    for k, level in enumerate(LEVELS):
        model, converged = _one_level(fit, k, "model")
        base, base_converged = _one_level(fit, k, "independent")
        if not (converged and base_converged):
            raised.append(NotConvergedWarning(f"The model with the other level saturated did not converge ({level})."))
            rows.append({"level": level})
            continue
        test, zero = chi_square(model, saturated), chi_square(base, saturated)
        scaled = test.is_scaled and zero.is_scaled
        tag = ".scaled" if scaled else ""
        n = float(fit.sample.n_clusters if k else fit.sample.n_obs - fit.sample.n_clusters)
        statistic = test.scaled if scaled else test.chisq
        found = comparative_indices(test, zero) | rmsea_indices(test, n, 1)
        values: tuple[Any, ...] = (
            *(level, statistic, float(test.df), chi_square_pvalue(statistic, test.df)),
            *(found[f"cfi{tag}"], found[f"tli{tag}"], found[f"rmsea{tag}"]),
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
    start = sample_values(table, fit.sample)
    for row in table.free_rows:
        if kind == "model" and table.group[row] == k + 1 and not np.isnan(known[row]):
            start[table.free[row] - 1] = known[row]
    return refit(table, fit.sample, fit.method, start, fit._cases)


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
