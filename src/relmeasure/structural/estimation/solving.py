"""Minimise a discrepancy under the restrictions of a model, from several starts if need be."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from relmeasure.numerics.optimize import Minimum, minimize
from relmeasure.structural.estimation.active_set import minimize_restricted
from relmeasure.structural.estimation.discrepancy import Discrepancy
from relmeasure.structural.language.restrictions import Relation, Restrictions

__all__ = ["Solution", "solve"]

Array = np.ndarray[Any, np.dtype[Any]]

_EXTRA_STARTS = 8
"""Further starts after a failure."""


@dataclass(frozen=True)
class Solution:
    """Where estimation ended.

    Attributes
    ----------
    x : array (q,)
        Free parameters.
    minimum : Minimum
        Of the last minimisation.
    value : float
        ``F / 2``.
    n_starts : int
        Starts used.
    active : tuple of Relation
        Inequalities that hold as equalities.
    """

    x: Array
    minimum: Minimum
    value: float
    n_starts: int
    active: tuple[Relation, ...] = ()

    @property
    def converged(self) -> bool:
        """Whether the minimisation converged."""
        return self.minimum.converged


class Reduced:
    """A discrepancy over the reduced parameters."""

    def __init__(self, discrepancy: Discrepancy, restrictions: Restrictions) -> None:
        self.discrepancy, self.restrictions = discrepancy, restrictions
        self.exact_below = discrepancy.exact_below

    def value(self, alpha: Array) -> float:
        """Return the value."""
        return self.discrepancy.value(self.restrictions.expand(alpha))

    def gradient(self, alpha: Array) -> Array:
        """Return the gradient."""
        return self.restrictions.reduce_gradient(self.discrepancy.gradient(self.restrictions.expand(alpha)))

    def curvature(self, alpha: Array, *, exact: bool) -> Array:
        """Return the curvature."""
        full = self.discrepancy.curvature(self.restrictions.expand(alpha), exact=exact)
        return self.restrictions.reduce_curvature(full)


def solve(
    discrepancy: Discrepancy,
    restrictions: Restrictions,
    start: Array,
    *,
    accept: Callable[[Array], bool] | None = None,
    hopeless: Callable[[Array], bool] | None = None,
    max_iterations: int = 200,
    fallback: Array | None = None,
) -> Solution:
    """Minimise; on failure start again from displaced values and keep the best.

    Parameters
    ----------
    discrepancy : Discrepancy
    restrictions : Restrictions
    start : array (q,)
        Starting values of the free parameters.
    accept : callable, optional
        Whether a converged solution is proper; an improper one sends out further starts, and it is kept only if none of
        them converges to a lower value.
    hopeless : callable, optional
        Whether values that did not converge run away to infinity; two starts that do are enough.
    max_iterations : int
        Steps per start.
    fallback : array (q,), optional
        Values to start again from, if not from ``start``.
    """
    reduced = Reduced(discrepancy, restrictions)
    best: Solution | None = None
    lost = 0
    for n, point in enumerate(_starts(reduced, restrictions, start, fallback), start=1):
        minimum = minimize(reduced, point, max_iterations=max_iterations)
        found = Solution(restrictions.expand(minimum.x), minimum, minimum.value, n)
        best = found if best is None else replace(_better(best, found), n_starts=n)
        if best.converged and (accept is None or accept(best.x)):
            break
        if n > 2 and best.converged:
            break
        lost += not found.converged and hopeless is not None and hopeless(found.x)
        if lost >= 2 and not best.converged:
            break
    if best is None:
        raise ValueError("no starting values")
    if restrictions.equalities or restrictions.inequalities:
        x, minimum, active = minimize_restricted(discrepancy, restrictions, best.x, best.minimum)
        return Solution(x, minimum, minimum.value, best.n_starts, active)
    return best


def _better(first: Solution, second: Solution) -> Solution:
    if first.converged != second.converged:
        return first if first.converged else second
    if not math.isfinite(first.value):
        return second
    return second if second.value < first.value - 1e-9 * (1.0 + abs(first.value)) else first


def _starts(reduced: Reduced, restrictions: Restrictions, start: Array, fallback: Array | None) -> Iterator[Array]:
    """The start itself, a cautious version of it where it has no value, and random displacements."""
    first = restrictions.reduce(start)
    if not math.isfinite(reduced.value(first)):
        for shrink in (0.7, 0.4, 0.1):
            smaller = restrictions.reduce(start * shrink)
            if math.isfinite(reduced.value(smaller)):
                first = smaller
                break
    yield first
    rng = np.random.default_rng(1969)
    base = start if fallback is None else fallback
    for n in range(_EXTRA_STARTS):
        other = base * rng.uniform(0.5, 1.5, len(start)) + rng.uniform(-0.05, 0.05, len(start))
        if n == 0 and fallback is not None and not np.array_equal(fallback, start):
            other = fallback
        yield restrictions.reduce(other)
