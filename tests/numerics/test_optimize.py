"""Newton steps on known surfaces; delta method and sandwich by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from relmeasure.numerics.optimize import (
    delta_covariance,
    minimize,
    numerical_gradient,
    numerical_jacobian,
    quadratic_form_rows,
    sandwich,
    symmetric_inverse,
)


class Rosenbrock:
    """A curved valley whose Hessian is indefinite away from it."""

    exact_below = 1e9

    def value(self, x: np.ndarray) -> float:
        return float(100.0 * (x[1] - x[0] ** 2) ** 2 + (1.0 - x[0]) ** 2)

    def gradient(self, x: np.ndarray) -> np.ndarray:
        a = x[1] - x[0] ** 2
        return np.array([-400.0 * x[0] * a - 2.0 * (1.0 - x[0]), 200.0 * a])

    def curvature(self, x: np.ndarray, *, exact: bool) -> np.ndarray:
        del exact
        return np.array([[1200.0 * x[0] ** 2 - 400.0 * x[1] + 2.0, -400.0 * x[0]], [-400.0 * x[0], 200.0]])


class Bounded(Rosenbrock):
    """Not defined left of zero."""

    def value(self, x: np.ndarray) -> float:
        return math.inf if x[0] <= 0 else float(x[0] - math.log(x[0]) + x[1] ** 2)

    def gradient(self, x: np.ndarray) -> np.ndarray:
        return np.array([1.0 - 1.0 / x[0], 2.0 * x[1]])

    def curvature(self, x: np.ndarray, *, exact: bool) -> np.ndarray:
        del exact
        return np.array([[1.0 / x[0] ** 2, 0.0], [0.0, 2.0]])


class Flat(Rosenbrock):
    """Falls without end."""

    def value(self, x: np.ndarray) -> float:
        return float(-x.sum())

    def gradient(self, x: np.ndarray) -> np.ndarray:
        return -np.ones_like(x)

    def curvature(self, x: np.ndarray, *, exact: bool) -> np.ndarray:
        del exact
        return np.zeros((len(x), len(x)))


@pytest.mark.parametrize("start", [(-1.2, 1.0), (0.0, 0.0), (2.0, -3.0), (-4.0, 9.0)])
def test_valley(start: tuple[float, float]) -> None:
    found = minimize(Rosenbrock(), np.array(start))
    assert found.converged
    assert found.x == pytest.approx([1.0, 1.0], abs=1e-7)
    assert found.decrement < 1e-14


@pytest.mark.parametrize("start", [(0.01, 5.0), (40.0, -2.0)])
def test_steps_stay_where_the_function_is_defined(start: tuple[float, float]) -> None:
    found = minimize(Bounded(), np.array(start))
    assert found.converged
    assert found.x == pytest.approx([1.0, 0.0], abs=1e-7)


def test_start_without_a_value_is_said() -> None:
    found = minimize(Bounded(), np.array([-1.0, 0.0]))
    assert not found.converged
    assert "starting values" in found.message


def test_no_minimum_is_no_convergence() -> None:
    found = minimize(Flat(), np.array([0.0, 0.0]), max_iterations=20)
    assert not found.converged
    assert "20 steps" in found.message


def test_numerical_derivatives() -> None:
    x = np.array([0.7, -0.4])
    problem = Rosenbrock()
    assert numerical_gradient(problem.value, x) == pytest.approx(problem.gradient(x), rel=1e-6)
    jacobian = numerical_jacobian(problem.gradient, x)
    assert jacobian == pytest.approx(problem.curvature(x, exact=True), rel=1e-6)
    assert numerical_jacobian(problem.gradient, np.zeros(0)).shape == (0, 0)


def test_delta_method_and_sandwich_by_hand() -> None:
    V = np.array([[2.0, 0.5], [0.5, 1.0]])
    J = np.array([[1.0, 1.0], [3.0, 0.0]])
    assert delta_covariance(J, V) == pytest.approx(np.array([[4.0, 7.5], [7.5, 18.0]]))
    assert quadratic_form_rows(J, V) == pytest.approx([4.0, 18.0])
    assert sandwich(np.eye(2) * 2.0, V) == pytest.approx(4.0 * V)


def test_inverse_of_badly_scaled_and_of_singular() -> None:
    M = np.diag([1e-12, 1.0, 1e12])
    inverse = symmetric_inverse(M)
    assert inverse is not None
    assert inverse @ M == pytest.approx(np.eye(3))
    assert symmetric_inverse(np.ones((2, 2))) is None
    assert symmetric_inverse(np.array([[0.0, 0.0], [0.0, 1.0]])) is None
    assert symmetric_inverse(np.array([[np.nan]])) is None
