"""Values and gradients of expressions against finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from relmeasure.exceptions import ModelError
from relmeasure.numerics.optimize import numerical_gradient
from relmeasure.structural.language.expressions import read_expression

VALUES = np.array([0.7, 1.3, 0.4])


def evaluated(text: str, at: np.ndarray) -> tuple[float, np.ndarray]:
    known = {name: (float(at[k]), np.eye(3)[k]) for k, name in enumerate("abc")}
    return read_expression(text).evaluate(known, 3)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a*b + c", 0.7 * 1.3 + 0.4),
        ("a - b - c", 0.7 - 1.3 - 0.4),
        ("a/b/c", 0.7 / 1.3 / 0.4),
        ("-a^2", -(0.7**2)),
        ("2^-a", 2**-0.7),
        ("(a + b)*c", 2.0 * 0.4),
        ("a^b^c", 0.7 ** (1.3**0.4)),
        ("exp(a)*log(b) + sqrt(c)", np.exp(0.7) * np.log(1.3) + np.sqrt(0.4)),
        ("abs(-a) + tanh(b) + atanh(c)", 0.7 + np.tanh(1.3) + np.arctanh(0.4)),
        ("sin(a) + cos(b)", np.sin(0.7) + np.cos(1.3)),
        ("+a", 0.7),
        ("1e-1*a", 0.07),
    ],
)
def test_value_and_gradient(text: str, value: float) -> None:
    found, gradient = evaluated(text, VALUES)
    assert found == pytest.approx(value, rel=1e-12)
    assert gradient == pytest.approx(numerical_gradient(lambda x: evaluated(text, x)[0], VALUES), abs=1e-8)


@pytest.mark.parametrize("text", ["a*b+c", "-(a+b)", "a/(b-c)", "sqrt(a)", "(a+b)^2"])
def test_printed_expressions_are_read_again(text: str) -> None:
    once = read_expression(text)
    assert evaluated(str(once), VALUES)[0] == pytest.approx(evaluated(text, VALUES)[0])


@pytest.mark.parametrize("text", ["log(a - 2)", "a/(b - 1.3)", "sqrt(-c)"])
def test_what_has_no_value_is_said(text: str) -> None:
    with pytest.raises(ModelError, match="cannot be computed"):
        evaluated(text, VALUES)


def test_power_of_zero_with_a_constant_exponent() -> None:
    value, gradient = evaluated("a^2", np.zeros(3))
    assert value == 0.0
    assert gradient.tolist() == [0.0, 0.0, 0.0]
