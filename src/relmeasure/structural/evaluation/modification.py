r"""Modification indices: what a fixed parameter would gain from being free.

With the score ``s`` and the expected information ``I``, per observation,

.. math:: MI_k = N s_k^2 / v_k, \quad EPC_k = s_k / v_k, \quad v_k = I_{kk} - I_{k\theta} I_{\theta\theta}^{-1}
I_{\theta k},

where equality constraints confine ``theta`` to what they leave free. Least-squares objectives, whose chi-square is
``(N - 1) F``, take ``(N - 1) s / N`` for the score, as in lavaan. With ``likelihood="wishart"`` N - 1 stands for N
throughout, so that an index is in units of the chi-square (lavaan 0.6 multiplies by N).

References
----------
Sorbom, D. (1989). Psychometrika, 54, 371-384, eq. 15 and 17. Saris, W. E., Satorra, A., & Sorbom, D. (1987).
Sociological Methodology, 17, 105-129 (expected change). Kaplan, D. (1989). Multivariate Behavioral Research, 24,
285-305 (standardised).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from relmeasure.results import Table
from relmeasure.structural.estimation.engine import Fitted
from relmeasure.structural.estimation.implied import BlockState, Candidates
from relmeasure.structural.evaluation.fit_measures import chi_square_pvalues
from relmeasure.structural.language.parameter_table import ParameterTable

__all__ = ["modification_table"]

Array = np.ndarray[Any, np.dtype[Any]]

_NO_POWER = 1e-8
"""Share of a candidate's own information that must be left, or it changes nothing that is not fitted already."""

COLUMNS = ("lhs", "op", "rhs", "group", "mi", "pvalue", "epc", "sepc_lv", "sepc_all", "sepc_nox")


def modification_table(fitted: Fitted) -> Table:
    """Return one row a parameter that is not free, the largest index first."""
    engine = fitted.engine
    table, discrepancy = engine.table, engine.discrepancy
    if engine.method.likelihood == "wishart":
        weighted, shrink = discrepancy, 1.0
        inverse = fitted.inverse_within(discrepancy.curvature(fitted.x, exact=False))
    else:
        weighted, shrink = engine.information_discrepancy, engine.n_effective / engine.sample.n_obs
        inverse = fitted.expected_bread
    if inverse is None:
        return Table.from_rows([], COLUMNS)
    rows: list[dict[str, Any]] = []
    for k, state in enumerate(fitted.states):
        names, candidates = candidates_of(table, state)
        if not names:
            continue
        score = -discrepancy.candidate_slopes(fitted.x, k, candidates)
        cross, own = weighted.candidate_information(fitted.x, k, candidates)
        left = own - ((cross @ inverse) * cross).sum(axis=1)
        powerful = np.flatnonzero(left > _NO_POWER * own)
        epc = shrink * score[powerful] / left[powerful]
        mi = engine.n_effective * score[powerful] * epc
        scales = [_scales(table, state, kind) for kind in ("lv", "all", "nox")]
        for at, index_value, change in zip(powerful, mi, epc, strict=True):
            lhs, op, rhs = names[at]
            standard = [change * _factor(op, lhs, rhs, sd, own_sd) for sd, own_sd in scales]
            group = table.groups[state.structure.group - 1]
            rows.append(dict(zip(COLUMNS, (lhs, op, rhs, group, index_value, 0.0, change, *standard), strict=True)))
    rows.sort(key=lambda row: -row["mi"])
    tails = chi_square_pvalues(np.array([row["mi"] for row in rows]), 1.0)
    for row, tail in zip(rows, tails, strict=True):
        row["pvalue"] = float(tail)
    return Table.from_rows(rows, COLUMNS)


def candidates_of(table: ParameterTable, state: BlockState) -> tuple[list[tuple[str, str, str]], Candidates]:
    """Return the parameters of a block that could be freed: cross-loadings, covariances, regressions, fixed rows."""
    at = {name: i for i, name in enumerate([*table.observed, *table.latent])}
    here = [
        i for i in table.reported if table.group[i] == state.structure.group and table.level[i] == state.structure.level
    ]
    present = {_key(table.lhs[i], table.op[i], table.rhs[i]) for i in here}
    names = [
        (table.lhs[i], table.op[i], table.rhs[i])
        for i in here
        if not table.free[i] and not table.exo[i] and not table.derived[i] and table.op[i] in ("=~", "~", "~~", "~1")
    ]
    names += [name for name in _absent(table, here) if _key(*name) not in present]
    kinds = [{"=~": 0, "~": 0, "~~": 1, "~1": 2}[op] for _, op, _ in names]
    first = [at[rhs] if op == "=~" else at[lhs] for lhs, op, rhs in names]
    second = [at[lhs] if op in ("=~", "~1") else at[rhs] for lhs, op, rhs in names]
    return names, Candidates.from_lists(kinds, first, second)


def _key(lhs: str, op: str, rhs: str) -> tuple[str, str, str]:
    first, second = sorted((lhs, rhs)) if op == "~~" else (lhs, rhs)
    return first, op, second


def _absent(table: ParameterTable, here: list[int]) -> list[tuple[str, str, str]]:
    """Parameters that a model of these variables could have."""
    named = {name for i in here for name in (table.lhs[i], table.rhs[i])}  # of two levels, only what lives at this one
    latent = [v for v in table.latent if v in named]
    measured = {table.rhs[i] for i in here if table.op[i] == "=~"}
    indicators = [v for v in table.observed if v in measured]
    fixed_x = {table.lhs[i] for i in here if table.exo[i] and not table.free[i]}
    endogenous = [v for v in table.observed if v in named and v not in fixed_x and v not in table.auxiliary]
    names = [(f, "=~", v) for f in latent for v in indicators]
    for group in (endogenous, latent):
        names += [(a, "~~", b) for i, a in enumerate(group) for b in group[i + 1 :]]
    regressed = {v for i in here if table.op[i] == "~" for v in (table.lhs[i], table.rhs[i])}
    causes = [v for v in (*table.observed, *table.latent) if v in regressed]
    names += [(y, "~", x) for y in causes if y not in fixed_x for x in causes if x != y]
    return names


def _scales(table: ParameterTable, state: BlockState, kind: str) -> tuple[dict[str, float], dict[str, float]]:
    """Standard deviations of variables, and of their residuals; one for what keeps its scale."""
    p = state.structure.n_observed
    fixed_x = {v for v, exo in zip(table.lhs, table.exo, strict=True) if exo}
    total, own = np.sqrt(np.abs(np.diag(state.V))), np.sqrt(np.abs(np.diag(state.S)))
    sd, own_sd = {}, {}
    for i, name in enumerate([*table.observed, *table.latent]):
        keeps = i < p and (kind == "lv" or (kind == "nox" and name in fixed_x))
        sd[name], own_sd[name] = (1.0, 1.0) if keeps else (float(total[i]), float(own[i]))
    return sd, own_sd


def _factor(op: str, lhs: str, rhs: str, sd: dict[str, float], own: dict[str, float]) -> float:
    if op == "=~":
        return sd[lhs] / sd[rhs]
    if op == "~":
        return sd[rhs] / sd[lhs]
    if op == "~1":
        return 1.0 / sd[lhs]
    if lhs == rhs:
        return 1.0 / sd[lhs] ** 2
    scale = own[lhs] * own[rhs]
    return 1.0 / scale if scale > 0 else float("nan")
