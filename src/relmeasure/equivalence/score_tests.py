r"""Score tests of equality constraints: what releasing one would gain.

With the gradient ``g`` and the expected information ``I`` per observation, and ``B`` the inverse of ``I`` within the
constraints, releasing the parameters ``E`` (columns of the unit matrix) gains about

.. math:: LM = N g_E' (E' (I - I B I) E)^{-1} g_E, \quad EPC = -(E' (I - I B I) E)^{-1} g_E.

References
----------
Sorbom, D. (1989). Psychometrika, 54, 371-384. Bentler, P. M., & Chou, C.-P. (1992). Sociological Methods & Research,
21, 259-282 (constraints).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from relmeasure.results import Table
from relmeasure.structural.fit import StructuralFit
from relmeasure.structural.fit_measures import chi_square_pvalue
from relmeasure.structural.groups import kind_of
from relmeasure.structural.parameter_table import ParameterTable

__all__ = ["COLUMNS", "equality_tests"]

Array = np.ndarray[Any, np.dtype[Any]]

COLUMNS = ("parameter", "kind", "group", "score_chisq", "df", "pvalue", "expected_change")

_NO_POWER = 1e-8
"""Share of the information that must be left, or the data cannot tell the released parameter from the others."""


def equality_tests(fit: StructuralFit) -> Table:
    """Return one row an equality, released in all groups, and with more than two groups one a group; largest first.

    ``expected_change`` is how far the parameter of one group would move from the common value; with all groups released
    and two groups it is the difference of the second from the first.
    """
    fitted = fit._fitted
    information = fitted.information("expected")
    bread = fitted.inverse_within(information)
    if bread is None:
        return Table.from_rows([], COLUMNS)
    left = information - information @ bread @ information
    gradient = fitted.engine.discrepancy.gradient(fitted.x)
    n, table = fitted.engine.n_effective, fit.table
    rows: list[dict[str, Any]] = []
    written, factors = table.rows(), set(table.latent)
    for members in _equalities(table):
        index = np.array([table.free[i] - 1 for i in members])
        text, kind = _name(table, members[0]), kind_of(written[members[0]], factors)
        released = [("all", index[1:])]
        if len(members) > 2:
            released += [(table.groups[table.group[i] - 1], index[k : k + 1]) for k, i in enumerate(members)]
        for group, at in released:
            tested = _test(left, information, gradient, at)
            if tested is None:
                continue
            value, change = tested
            df = float(len(at))
            pvalue = chi_square_pvalue(n * value, df)
            rows.append(dict(zip(COLUMNS, (text, kind, group, n * value, df, pvalue, change), strict=True)))
    rows.sort(key=lambda row: (row["pvalue"], -row["score_chisq"]))
    return Table.from_rows(rows, COLUMNS)


def _test(left: Array, information: Array, gradient: Array, at: Array) -> tuple[float, float] | None:
    block = left[np.ix_(at, at)]
    scale = np.sqrt(np.diag(information)[at])
    if np.linalg.eigvalsh(block / np.outer(scale, scale))[0] <= _NO_POWER:
        return None
    step = np.linalg.solve(block, gradient[at])
    return float(gradient[at] @ step), float(-step[0]) if len(at) == 1 else float("nan")


def _equalities(table: ParameterTable) -> list[list[int]]:
    """Rows of each parameter that is equal over groups."""
    found: dict[tuple[str, tuple[str, str, str]], list[int]] = {}
    for i in table.free_rows:
        if table.label[i]:
            found.setdefault((table.label[i], (table.lhs[i], table.op[i], table.rhs[i])), []).append(i)
    return [members for members in found.values() if len(members) > 1]


def _name(table: ParameterTable, row: int) -> str:
    return f"{table.lhs[row]}{table.op[row]}{table.rhs[row]}"
