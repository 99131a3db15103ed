r"""Score tests of equality constraints: what releasing one would gain.

With the gradient ``g`` and the expected information ``I`` per observation, and ``B`` the inverse of ``I`` within the
constraints, releasing the parameters ``E`` (columns of the unit matrix) gains about

.. math:: LM = N g_E' (E' (I - I B I) E)^{-1} g_E, \quad EPC = -(E' (I - I B I) E)^{-1} g_E.

Where tests are scaled, ``g_E`` has another covariance matrix than the information; the generalised score test takes it,

.. math:: LM_r = N g_E' (E' P M P' E)^{-1} g_E, \quad P = I_q - I B,

with the covariance ``M`` of the scores, and keeps its chi-square distribution under non-normality and for weighted
least squares.

References
----------
Sorbom, D. (1989). Psychometrika, 54, 371-384. Bentler, P. M., & Chou, C.-P. (1992). Sociological Methods & Research,
21, 259-282 (constraints). Boos, D. D. (1992). The American Statistician, 46, 327-333, eq. 14 (generalised score test).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.equivalence.layout import Layout
from relmeasure.results import Table
from relmeasure.structural.estimation.engine import Engine, Fitted
from relmeasure.structural.evaluation.fit_measures import chi_square_pvalue
from relmeasure.structural.fitted.fit import StructuralFit
from relmeasure.structural.language.groups import kind_of

__all__ = ["equality_tests"]

Array = np.ndarray[Any, np.dtype[Any]]

_NO_POWER = 1e-8
"""Share of the information that must be left, or the data cannot tell the released parameter from the others."""


@dataclass(frozen=True)
class _Equality:
    """A parameter that is equal over units: its name, and the free parameters (with their units) that are it."""

    text: str
    kind: str
    members: list[tuple[int, int]]
    fixed: bool


def equality_tests(fit: StructuralFit, layout: Layout, fixed: Sequence[str]) -> Table:
    """Return one row an equality, released in all units, and with more than two units one a unit; largest first.

    ``expected_change`` is how far the parameter of one unit would move from the common value; with all units released
    and two units it is the difference of the second from the first. ``fixed`` names what is equal because it is fixed.
    """
    columns = ["parameter", "kind", layout.over, "score_chisq", "df", "pvalue", "expected_change"]
    if fit.method.robust:
        columns += ["score_chisq_robust", "pvalue_robust"]
    opened, tangent = _opened(fit, layout, frozenset(fixed))
    tests = _tests_of(opened, tangent, robust=fit.method.robust)
    if tests is None:
        return Table.from_rows([], columns)
    rows: list[dict[str, Any]] = []
    for equality in _equalities(opened, layout, frozenset(fixed)):
        members = equality.members
        own = [at for _, at in members]
        released = [("all", own if equality.fixed else own[1:])]
        if len(layout.units) > 2:
            released += [(layout.units[unit - 1], [at]) for unit, at in members]
        for unit, which in released:
            numbers = tests.of(np.array(which))
            if numbers is not None:
                rows.append(dict(zip(columns, (equality.text, equality.kind, unit, *numbers), strict=True)))
    value = "score_chisq_robust" if fit.method.robust else "score_chisq"
    rows.sort(key=lambda row: (chi_square_pvalue(row[value], row["df"]), -row[value]))
    return Table.from_rows(rows, columns)


def _opened(fit: StructuralFit, layout: Layout, fixed: frozenset[str]) -> tuple[Fitted, Array]:
    """Return the model with what is equal by fixing freed in later units, and the directions its equality allows."""
    fitted, table = fit._fitted, fit.table
    rows = table.rows()
    freed = [i for i, row in enumerate(rows) if not row.is_free and _later(layout.place(row), fixed)]
    if not freed:
        return fitted, fitted.tangent
    for i in freed:
        rows[i].is_free = True
    larger = table.with_rows(rows)
    x = np.array([fitted.row_values[i] for i in larger.free_rows])
    at = [larger.free[i] - 1 for i in table.free_rows]
    tangent = np.zeros((larger.n_free, fitted.tangent.shape[1]))
    tangent[at] = fitted.tangent
    engine = fitted.engine
    return Fitted(Engine(larger, engine.sample, engine.method, engine.cases), x), tangent


def _later(where: tuple[int, str] | None, fixed: frozenset[str]) -> bool:
    return where is not None and where[0] > 1 and where[1] in fixed


def _equalities(opened: Fitted, layout: Layout, fixed: frozenset[str]) -> list[_Equality]:
    table = opened.engine.table
    rows, latent = table.rows(), set(table.latent)
    found: dict[str, _Equality] = {}
    for i in table.free_rows:
        where = layout.place(rows[i])
        if where is None:
            continue
        unit, text = where
        by_fixing = text in fixed and not table.label[i]
        if not by_fixing and table.label[i] != f".{text}":
            continue
        equality = found.setdefault(text, _Equality(text, kind_of(rows[i], latent), [], by_fixing))
        equality.members.append((unit, table.free[i] - 1))
    return [e for e in found.values() if len(e.members) > (0 if e.fixed else 1)]


@dataclass(frozen=True)
class _Tests:
    """What every test of a model needs."""

    n: float
    gradient: Array
    information: Array
    left: Array
    spread: Array | None
    ordinal: bool

    def of(self, at: Array) -> tuple[float, ...] | None:
        """Return chi-square, df, p, expected change, and the robust test; None where the data cannot tell."""
        block = self.left[np.ix_(at, at)]
        scale = np.sqrt(np.diag(self.information)[at])
        if np.linalg.eigvalsh(block / np.outer(scale, scale))[0] <= _NO_POWER:
            return None
        gradient, df = self.gradient[at], float(len(at))
        step = np.linalg.solve(block, gradient)
        value = self.n * float(gradient @ step)
        change = float(-step[0]) if len(at) == 1 else math.nan
        p = math.nan if self.ordinal else chi_square_pvalue(value, df)  # least squares: no chi-square distribution
        if self.spread is None:
            return value, df, p, change
        robust = self.n * float(gradient @ np.linalg.solve(self.spread[np.ix_(at, at)], gradient))
        return value, df, p, change, robust, chi_square_pvalue(robust, df)


def _tests_of(opened: Fitted, tangent: Array, *, robust: bool) -> _Tests | None:
    information = opened.information("expected")
    try:
        inner = np.linalg.inv(tangent.T @ information @ tangent)
    except np.linalg.LinAlgError:
        return None
    bread = tangent @ inner @ tangent.T
    left = information - information @ bread @ information
    engine, spread = opened.engine, None
    gradient = engine.discrepancy.gradient(opened.x)
    if robust and not engine.method.ordinal and engine.cases is None:
        spread = np.full_like(left, np.nan)  # restored from a dict: no rows, no covariance of scores
    elif robust:
        P = np.eye(len(information)) - information @ bread
        spread = P @ opened.score_covariance @ P.T
    n = engine.n_effective**2 / engine.sample.n_obs  # as the modification indices
    return _Tests(n, gradient, information, left, spread, engine.method.ordinal)
