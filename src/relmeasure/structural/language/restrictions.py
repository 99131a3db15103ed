"""Equalities and inequalities among parameters, as a change of variables and a list of functions.

Equal labels and linear equalities are solved: the free parameters are ``x = origin + K alpha``, and everything is
estimated in ``alpha``. Other equalities and all inequalities stay functions ``h(x) = 0`` and ``g(x) >= 0``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.exceptions import ModelError
from relmeasure.structural.language.expressions import Dual, Expression, read_expression
from relmeasure.structural.language.parameter_table import ParameterTable

__all__ = ["Relation", "Restrictions", "evaluate_definitions", "free_jacobian", "restrictions_of"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Relation:
    """A function of the free parameters: zero for an equality, not negative for an inequality."""

    text: str
    expression: Expression

    def evaluate(self, table: ParameterTable, x: Array) -> Dual:
        """Return the value and the gradient over the free parameters."""
        labels = _label_values(table, table.values(x), free_jacobian(table))
        return self.expression.evaluate(labels, table.n_free)


@dataclass(frozen=True)
class Restrictions:
    """The restrictions of a model.

    Attributes
    ----------
    K : array (q, r)
        Free parameters by reduced ones.
    origin : array (q,)
    equalities : tuple of Relation
        Those that are not linear.
    inequalities : tuple of Relation
        Bounds among them.
    n_linear : int
        Linear equalities solved by ``K``.
    grouping : bool
        Whether ``K`` only copies: every parameter is one of the reduced ones.
    """

    K: Array
    origin: Array
    equalities: tuple[Relation, ...]
    inequalities: tuple[Relation, ...]
    n_linear: int
    grouping: bool = False

    @property
    def trivial(self) -> bool:
        """Whether ``x`` is ``alpha``."""
        return self.n_linear == 0

    def expand(self, alpha: Array) -> Array:
        """Return ``x``."""
        return alpha if self.trivial else self.origin + self.K @ alpha

    def reduce(self, x: Array) -> Array:
        """Return the ``alpha`` whose ``x`` is nearest."""
        if self.trivial:
            return np.array(x)
        if self.grouping:
            means: Array = (x @ self.K) / self.K.sum(axis=0)
            return means
        alpha: Array = np.linalg.lstsq(self.K, x - self.origin, rcond=None)[0]
        return alpha

    def reduce_gradient(self, gradient: Array) -> Array:
        """Return the gradient over ``alpha``."""
        return gradient if self.trivial else self.K.T @ gradient

    def reduce_curvature(self, curvature: Array) -> Array:
        """Return the curvature over ``alpha``."""
        return curvature if self.trivial else self.K.T @ curvature @ self.K

    def tangent(self, table: ParameterTable, x: Array, active: Sequence[Relation] = ()) -> Array:
        """Return a basis of the directions in which ``x`` may move, array (q, r'); ``active`` inequalities hold."""
        relations = [*self.equalities, *active]
        if not relations:
            return self.K
        gradients = np.array([relation.evaluate(table, x)[1] for relation in relations]) @ self.K
        _, roots, right = np.linalg.svd(gradients)
        rank = int((roots > 1e-10 * max(1.0, float(roots.max()))).sum())
        basis: Array = self.K @ right[rank:].T
        return basis


def restrictions_of(table: ParameterTable) -> Restrictions:
    """Collect the restrictions of a table.

    Raises
    ------
    ModelError
        Equalities that contradict each other.
    """
    rows: list[Array] = []
    offsets: list[float] = []
    equalities, inequalities = [], []
    for text in table.constraints:
        relation, op = _relation(text)
        if op != "==":
            inequalities.append(relation)
        elif (linear := _linear(relation, table)) is not None:
            rows.append(linear[1])
            offsets.append(linear[0])
        else:
            equalities.append(relation)
    inequalities += _bounds(table)
    K, origin = _grouped(table), np.zeros(table.n_free)
    if rows:
        inner, start = _solve_linear([row @ K for row in rows], offsets, K.shape[1])
        K, origin = K @ inner, K @ start
    n_linear = table.n_free - K.shape[1]
    return Restrictions(K, origin, tuple(equalities), tuple(inequalities), n_linear, grouping=not rows)


def _label_values(table: ParameterTable, values: Array, jacobian: Array) -> dict[str, Dual]:
    """Return the value and gradient of every label and of every definition, from those of the rows."""
    found: dict[str, Dual] = {}
    for row, label in enumerate(table.label):
        if label and label not in found:
            found[label] = float(values[row]), jacobian[row]
    for name, text in table.definitions.items():
        found[name] = read_expression(text).evaluate(found, jacobian.shape[1])
    return found


def evaluate_definitions(table: ParameterTable, values: Array, jacobian: Array) -> tuple[Array, Array]:
    """Return the defined parameters and their Jacobian (d, q).

    Parameters
    ----------
    table : ParameterTable
    values : array (rows,)
        Value of each row: estimates, or standardised ones.
    jacobian : array (rows, q)
        Its Jacobian over the free parameters.
    """
    if not table.definitions:
        return np.zeros(0), np.zeros((0, table.n_free))
    known = _label_values(table, values, jacobian)
    found = [known[name] for name in table.definitions]
    return np.array([value for value, _ in found]), np.array([gradient for _, gradient in found])


def free_jacobian(table: ParameterTable) -> Array:
    """Return the Jacobian of the rows over the free parameters: ones and zeros."""
    out = np.zeros((len(table), table.n_free))
    rows = list(table.free_rows)
    out[rows, np.arange(len(rows))] = 1.0
    return out


def _relation(text: str) -> tuple[Relation, str]:
    op = next(o for o in ("==", "<", ">") if o in text)
    left, right = (read_expression(part) for part in text.split(op, 1))
    first, second = (right, left) if op == "<" else (left, right)
    return Relation(text, Expression("-", parts=(first, second))), op


def _bounds(table: ParameterTable) -> list[Relation]:
    out = []
    for row in table.free_rows:
        at = Expression("label", name=f".row{row}")
        name = table.name(row)
        if math.isfinite(table.lower[row]):
            out.append(_Bound(f"{name} > {table.lower[row]:g}", at, table.free[row] - 1, 1.0, -table.lower[row]))
        if math.isfinite(table.upper[row]):
            out.append(_Bound(f"{name} < {table.upper[row]:g}", at, table.free[row] - 1, -1.0, table.upper[row]))
    return list(out)


@dataclass(frozen=True)
class _Bound(Relation):
    """A bound on one parameter: ``sign * x + offset >= 0``."""

    index: int
    sign: float
    offset: float

    def evaluate(self, table: ParameterTable, x: Array) -> Dual:
        gradient = np.zeros(table.n_free)
        gradient[self.index] = self.sign
        return self.sign * float(x[self.index]) + self.offset, gradient


# --------------------------------------------------------------------------- linear equalities
def _grouped(table: ParameterTable) -> Array:
    """Return the matrix that copies one value to all parameters with the same label, array (q, r)."""
    column: dict[str | int, int] = {}
    places = [column.setdefault(table.label[row] or row, len(column)) for row in table.free_rows]
    out = np.zeros((table.n_free, len(column)))
    out[np.arange(table.n_free), places] = 1.0
    return out


def _linear(relation: Relation, table: ParameterTable) -> Dual | None:
    """Return offset and slope of an affine function, None of another."""
    rng = np.random.default_rng(1)
    points = [np.zeros(table.n_free), rng.uniform(0.3, 1.7, table.n_free), rng.uniform(0.3, 1.7, table.n_free)]
    try:
        (_, g1), (v2, g2), (v3, g3) = (relation.evaluate(table, x) for x in points)
    except ModelError:
        return None
    same = np.allclose(g1, g2, rtol=0, atol=1e-12) and np.allclose(g2, g3, rtol=0, atol=1e-12)
    offset = v2 - float(g2 @ points[1])
    if not same or not math.isclose(offset, v3 - float(g3 @ points[2]), abs_tol=1e-10):
        return None
    return offset, g2


def _solve_linear(rows: Sequence[Array], offsets: Sequence[float], n: int) -> tuple[Array, Array]:
    """Return ``K`` and ``origin`` with ``rows x + offsets = 0`` for every ``x = origin + K alpha``."""
    if not rows:
        return np.eye(n), np.zeros(n)
    R = np.column_stack([np.array(rows), np.array(offsets)])
    pivots: list[int] = []
    at = 0
    for column in range(n - 1, -1, -1):  # later parameters are expressed by earlier ones
        best = at + int(np.argmax(np.abs(R[at:, column]))) if at < len(R) else at
        if at >= len(R) or abs(R[best, column]) < 1e-10:
            continue
        R[[at, best]] = R[[best, at]]
        R[at] /= R[at, column]
        others = np.arange(len(R)) != at
        R[others] -= np.outer(R[others, column], R[at])
        pivots.append(column)
        at += 1
    if np.abs(R[at:, n]).max(initial=0.0) > 1e-8:
        raise ModelError("The equality constraints contradict each other: no values satisfy them all.")
    kept = [c for c in range(n) if c not in pivots]
    K, origin = np.zeros((n, len(kept))), np.zeros(n)
    K[kept, np.arange(len(kept))] = 1.0
    for row, column in enumerate(pivots):
        K[column] = -R[row, kept]
        origin[column] = -R[row, n]
    return K, origin
