"""Minimisation with curvature, and what follows from a minimum: delta method, sandwich, numerical derivatives.

``minimize`` takes Newton or Fisher-scoring steps, whichever curvature the objective offers, and safeguards them: a
curvature that is not positive definite is shifted, a step that does not descend is shortened.

References
----------
Nocedal, J., & Wright, S. J. (2006). Numerical Optimization (2nd ed.). Algorithms 3.1 and 3.2; section 3.4 (shifted
curvature). White, H. (1982). Econometrica, 50, 1-25 (sandwich).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

__all__ = [
    "Minimum",
    "Objective",
    "delta_covariance",
    "minimize",
    "numerical_gradient",
    "numerical_jacobian",
    "quadratic_form_rows",
    "sandwich",
    "symmetric_inverse",
]

Array = np.ndarray[Any, np.dtype[Any]]

_SHORT = 1.0 / 64.0
"""A step cut below this share of its length followed a flat direction."""

_ARMIJO = 1e-4
"""Share of the predicted decrease that a step must reach (Nocedal & Wright, 2006, p. 33)."""

_NOISE = 1e-9
"""Predicted decrease below which differences of values are rounding noise, and full steps are taken."""


class Objective(Protocol):
    """A smooth function with its first two derivatives.

    Attributes
    ----------
    exact_below : float
        Newton decrement below which the exact curvature is worth its price.
    """

    exact_below: float

    def value(self, x: Array) -> float:
        """Return the value; infinite where it is not defined."""

    def gradient(self, x: Array) -> Array:
        """Return the gradient."""

    def curvature(self, x: Array, *, exact: bool) -> Array:
        """Return the Hessian, or (``exact=False``) a positive definite stand-in such as the Fisher information."""


@dataclass(frozen=True)
class Minimum:
    """Where a minimisation ended.

    Attributes
    ----------
    x : array (q,)
    value : float
    gradient : array (q,)
    decrement : float
        ``g' H^-1 g``: twice the decrease that another step promises. It has no unit of the parameters.
    iterations : int
    converged : bool
    message : str
        Why it stopped.
    """

    x: Array
    value: float
    gradient: Array
    decrement: float
    iterations: int
    converged: bool
    message: str


def minimize(objective: Objective, start: Array, *, tolerance: float = 1e-15, max_iterations: int = 200) -> Minimum:
    """Minimise a smooth function by safeguarded Newton and Fisher-scoring steps.

    Parameters
    ----------
    objective : Objective
        The function.
    start : array (q,)
        Where to start; the value there must be finite.
    tolerance : float
        Stop when the Newton decrement ``g' H^-1 g`` is below ``tolerance * (1 + |value|)``.
    max_iterations : int
        Stop unconverged after this many steps.

    Returns
    -------
    Minimum

    Examples
    --------
    >>> import numpy as np
    >>> class Bowl:
    ...     exact_below = 1e-3
    ...     def value(self, x): return float(((x - 2.0) ** 4).sum())
    ...     def gradient(self, x): return 4 * (x - 2.0) ** 3
    ...     def curvature(self, x, *, exact): return np.diag(12 * (x - 2.0) ** 2 + 1e-12)
    >>> found = minimize(Bowl(), np.array([0.0]))
    >>> found.converged, found.x.round(2).tolist()
    (True, [2.0])
    """
    x = np.array(start, dtype=float)
    value = objective.value(x)
    gradient, decrement = np.zeros_like(x), math.inf
    if not math.isfinite(value):
        return Minimum(x, value, gradient, decrement, 0, False, "the starting values give no value")
    exact, short, message = False, False, "no step lowers the value"
    for iteration in range(max_iterations + 1):
        gradient = objective.gradient(x)
        step, decrement, exact = _step(
            objective, x, gradient, exact=exact or short or decrement < objective.exact_below
        )
        if decrement <= tolerance * (1.0 + abs(value)):
            return Minimum(x, value, gradient, decrement, iteration, True, "converged")
        if iteration == max_iterations:
            message = f"no convergence in {max_iterations} steps"
            break
        found = _line_search(objective, x, value, step, decrement)
        if found is None and not exact:
            found = _line_search(objective, x, value, -gradient / max(1.0, float(np.abs(gradient).max())), 0.0)
        if found is None:
            break
        short = bool(np.abs(found[0] - x).max() < _SHORT * np.abs(step).max())
        if short and not exact:
            found = _safer(objective, x, value, gradient, found)
        moved, new_value = found
        if decrement < _NOISE and np.array_equal(moved, x):
            break
        x, value = moved, new_value
    small = decrement <= max(1e-10, tolerance) * (1.0 + abs(value))
    return Minimum(x, value, gradient, decrement, iteration, small, "converged" if small else message)


def _safer(
    objective: Objective, x: Array, value: float, gradient: Array, found: tuple[Array, float]
) -> tuple[Array, float]:
    """Return the better of a step that had to be cut short and one along a curvature without flat directions."""
    step = _shifted_solve(objective.curvature(x, exact=False), gradient)
    other = _line_search(objective, x, value, -step, float(gradient @ step))
    return found if other is None or other[1] >= found[1] else other


def _step(objective: Objective, x: Array, gradient: Array, *, exact: bool) -> tuple[Array, float, bool]:
    """Return the step, the decrement, and whether the exact curvature served."""
    if exact:
        step = _solve(objective.curvature(x, exact=True), gradient)
        if step is not None:
            return -step, float(gradient @ step), True
    curvature = objective.curvature(x, exact=False)
    step = _solve(curvature, gradient)
    if step is None:
        step = _shifted_solve(curvature, gradient)
    return -step, float(gradient @ step), False


def _solve(curvature: Array, gradient: Array) -> Array | None:
    """Solve with a positive definite curvature; None when it is not."""
    scale = np.sqrt(np.abs(np.diag(curvature)))
    if not np.isfinite(scale).all() or (scale == 0).any():
        return None
    scaled = curvature / np.outer(scale, scale)
    try:
        np.linalg.cholesky(scaled)
        step: Array = np.linalg.solve(scaled, gradient / scale) / scale
    except np.linalg.LinAlgError:
        return None
    return step if np.isfinite(step).all() else None


def _shifted_solve(curvature: Array, gradient: Array) -> Array:
    """Solve with every eigenvalue raised to a small positive floor."""
    clean = np.nan_to_num(curvature)
    scale = np.sqrt(np.maximum(np.abs(np.diag(clean)), 1e-12))
    roots, vectors = np.linalg.eigh(clean / np.outer(scale, scale))
    raised = np.maximum(np.abs(roots), 1e-4 * max(1e-8, float(np.abs(roots).max())))
    step: Array = (vectors @ ((vectors.T @ (gradient / scale)) / raised)) / scale
    return step


def _line_search(
    objective: Objective, x: Array, value: float, step: Array, decrement: float
) -> tuple[Array, float] | None:
    """Halve the step until the value falls enough; None when it never does."""
    size = 1.0
    for _ in range(40):
        moved = x + size * step
        new_value = objective.value(moved)
        if math.isfinite(new_value):
            wanted = value - _ARMIJO * size * decrement
            if new_value <= wanted or (decrement < _NOISE and new_value <= value + _NOISE * (1.0 + abs(value))):
                return moved, new_value
        size *= 0.5
    return None


# --------------------------------------------------------------------------- what follows from a minimum
def symmetric_inverse(matrix: Array) -> Array | None:
    """Return the inverse of a symmetric matrix, scaled first; None when it is singular or not finite."""
    diagonal = np.abs(np.diag(matrix))
    if not np.isfinite(matrix).all() or (diagonal == 0).any():
        return None
    scale = 1.0 / np.sqrt(diagonal)
    scaled = matrix * scale[:, None] * scale
    try:
        inverse = np.linalg.inv(scaled)
    except np.linalg.LinAlgError:
        return None
    if not np.isfinite(inverse).all() or float(np.abs(inverse).max()) > 1e12:
        return None
    out: Array = 0.5 * (inverse + inverse.T) * scale[:, None] * scale
    return out


def sandwich(bread: Array, meat: Array) -> Array:
    """Return ``bread meat bread`` made exactly symmetric (White, 1982)."""
    out = bread @ meat @ bread
    symmetric: Array = 0.5 * (out + out.T)
    return symmetric


def delta_covariance(jacobian: Array, covariance: Array) -> Array:
    """Return the covariance ``J V J'`` of functions of estimates (delta method)."""
    out: Array = jacobian @ covariance @ jacobian.T
    return out


def quadratic_form_rows(jacobian: Array, covariance: Array) -> Array:
    """Return the diagonal of ``J V J'`` alone."""
    out: Array = ((jacobian @ covariance) * jacobian).sum(axis=1)
    return out


def numerical_jacobian(function: Callable[[Array], Array], x: Array, *, step: float = 1e-6) -> Array:
    """Return central differences of a vector function, array (outputs, q); steps grow with the size of ``x``."""
    columns = []
    for k in range(len(x)):
        h = step * max(1.0, abs(float(x[k])))
        up, down = x.copy(), x.copy()
        up[k] += h
        down[k] -= h
        columns.append((np.asarray(function(up)) - np.asarray(function(down))) / (2.0 * h))
    return np.stack(columns, axis=-1) if columns else np.zeros((0, 0))


def numerical_gradient(function: Callable[[Array], float], x: Array, *, step: float = 1e-6) -> Array:
    """Return central differences of a function."""
    rows = numerical_jacobian(lambda at: np.array([function(at)]), x, step=step)
    return np.asarray(rows[0])
