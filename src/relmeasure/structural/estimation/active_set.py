"""Minimisation under equalities that are not linear, and under inequalities.

Equalities: sequential quadratic programming with an exact penalty as merit function (Nocedal & Wright, 2006, algorithm
18.3). Inequalities: an active set; the most violated one joins as an equality, one with a negative multiplier leaves
(ibid., section 16.5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from relmeasure.numerics.optimize import Minimum, numerical_jacobian
from relmeasure.structural.estimation.discrepancy import Discrepancy
from relmeasure.structural.language.restrictions import Relation, Restrictions

__all__ = ["minimize_restricted"]

Array = np.ndarray[Any, np.dtype[Any]]

_FEASIBLE = 1e-9
"""Violation of a constraint that counts as none."""


def minimize_restricted(
    discrepancy: Discrepancy, restrictions: Restrictions, x: Array, minimum: Minimum
) -> tuple[Array, Minimum, tuple[Relation, ...]]:
    """Return the restricted minimum and the inequalities that are active there.

    Parameters
    ----------
    discrepancy : Discrepancy
    restrictions : Restrictions
    x : array (q,)
        Minimum under the linear equalities alone.
    minimum : Minimum
        Of that minimisation; returned when it satisfies everything.
    """
    table = discrepancy.structure.table
    active: list[Relation] = []
    for _ in range(4 * len(restrictions.inequalities) + 4):
        if restrictions.equalities or active:
            x, minimum, multipliers = _sequential(discrepancy, restrictions, x, active)
            own = multipliers[len(restrictions.equalities) :]
            if len(own) and own.min() < -1e-9:
                active.pop(int(np.argmin(own)))
                continue
        slack = [(relation.evaluate(table, x)[0], relation) for relation in restrictions.inequalities]
        violated = [(s, r) for s, r in slack if s < -_FEASIBLE and all(r is not a for a in active)]
        if not violated:
            break
        active.append(min(violated, key=lambda pair: pair[0])[1])
    return x, minimum, tuple(active)


def _sequential(
    discrepancy: Discrepancy, restrictions: Restrictions, x: Array, active: Sequence[Relation]
) -> tuple[Array, Minimum, Array]:
    """Solve with equalities alone; return ``x``, the minimum and the multipliers."""
    table = discrepancy.structure.table
    relations = [*restrictions.equalities, *active]
    alpha = restrictions.reduce(x)
    multipliers = np.zeros(len(relations))
    penalty, decrement, gradient = 1.0, math.inf, np.zeros_like(alpha)

    def constraints(at: Array) -> tuple[Array, Array]:
        found = [relation.evaluate(table, restrictions.expand(at)) for relation in relations]
        return np.array([v for v, _ in found]), np.array([g for _, g in found]) @ restrictions.K

    def merit(at: Array) -> float:
        return discrepancy.value(restrictions.expand(at)) + penalty * float(np.abs(constraints(at)[0]).sum())

    for iteration in range(200):
        full = restrictions.expand(alpha)
        gradient = restrictions.reduce_gradient(discrepancy.gradient(full))
        h, J = constraints(alpha)
        H = restrictions.reduce_curvature(discrepancy.curvature(full, exact=decrement < 1e-3))
        if decrement < 1e-3:
            H = H - _constraint_curvature(constraints, alpha, multipliers)
        step, multipliers = _kkt_step(H, J, gradient, h)
        decrement = abs(float(step @ H @ step))
        if decrement <= 1e-15 and float(np.abs(h).max()) <= 1e-10:
            return (
                full,
                Minimum(alpha, discrepancy.value(full), gradient, decrement, iteration, True, "converged"),
                (multipliers),
            )
        penalty = max(penalty, 2.0 * float(np.abs(multipliers).max(initial=0.0)))
        alpha = _descend(merit, alpha, step)
    full = restrictions.expand(alpha)
    stopped = Minimum(alpha, discrepancy.value(full), gradient, decrement, 200, False, "no convergence in 200 steps")
    return full, stopped, multipliers


def _kkt_step(H: Array, J: Array, gradient: Array, h: Array) -> tuple[Array, Array]:
    """Return the step of the quadratic model with linearised constraints, and its multipliers."""
    q, r = len(gradient), len(h)
    system = np.zeros((q + r, q + r))
    system[:q, :q], system[:q, q:], system[q:, :q] = H, J.T, J
    right = np.concatenate([-gradient, -h])
    try:
        found = np.linalg.solve(system, right)
    except np.linalg.LinAlgError:
        found = np.linalg.lstsq(system, right, rcond=None)[0]
    return found[:q], -found[q:]


def _constraint_curvature(constraints: Any, alpha: Array, multipliers: Array) -> Array:
    """Return the multiplier-weighted curvature of the constraints, by differences of exact gradients."""
    bent = numerical_jacobian(lambda at: multipliers @ constraints(at)[1], alpha, step=1e-5)
    out: Array = 0.5 * (bent + bent.T)
    return out


def _descend(merit: Any, alpha: Array, step: Array) -> Array:
    """Halve the step until the merit function falls; take a tiny one when it never does."""
    base, size = merit(alpha), 1.0
    for _ in range(30):
        moved: Array = alpha + size * step
        if merit(moved) <= base + 1e-12 * (1.0 + abs(base)):
            return moved
        size *= 0.5
    return alpha + size * step
