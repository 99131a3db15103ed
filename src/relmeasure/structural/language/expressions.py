"""Arithmetic on labels, for defined parameters and constraints: values with exact gradients.

An expression such as ``a*b + sqrt(c)`` is parsed once and evaluated in forward mode: each step carries its value and
its derivatives with respect to the labels (Griewank & Walther, 2008, Evaluating Derivatives, section 3.1).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.exceptions import ModelError, ModelSyntaxError
from relmeasure.structural.language.tokens import Token, tokenize

__all__ = ["Expression", "parse_expression", "read_expression"]

Dual = tuple[float, np.ndarray[Any, np.dtype[np.float64]]]
"""A value and its gradient."""

_PLAIN = re.compile(r"(?:[^\W\d]|\.)[\w.]*")
"""A label that needs no backticks."""

_FUNCTIONS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "sqrt": (math.sqrt, lambda x: 0.5 / math.sqrt(x)),
    "exp": (math.exp, math.exp),
    "log": (math.log, lambda x: 1.0 / x),
    "abs": (abs, lambda x: math.copysign(1.0, x)),
    "sin": (math.sin, math.cos),
    "cos": (math.cos, lambda x: -math.sin(x)),
    "tanh": (math.tanh, lambda x: 1.0 - math.tanh(x) ** 2),
    "atanh": (math.atanh, lambda x: 1.0 / (1.0 - x * x)),
}
"""Functions and their derivatives."""


@dataclass(frozen=True)
class Expression:
    """A node of an expression: a number, a label, or an operation on other nodes.

    Attributes
    ----------
    kind : str
        ``"number"``, ``"label"``, a function name, or one of ``+ - * / ^ negative``.
    value : float
        Of a number.
    name : str
        Of a label.
    parts : tuple of Expression
        What the operation works on.
    """

    kind: str
    value: float = 0.0
    name: str = ""
    parts: tuple[Expression, ...] = ()

    def labels(self) -> Iterator[str]:
        """Yield the labels used, with repetition, from left to right."""
        if self.kind == "label":
            yield self.name
        for part in self.parts:
            yield from part.labels()

    def evaluate(self, values: Mapping[str, Dual], size: int) -> Dual:
        """Return the value and the gradient (size,), given those of each label."""
        if self.kind == "number":
            return self.value, np.zeros(size)
        if self.kind == "label":
            return values[self.name]
        inner = [part.evaluate(values, size) for part in self.parts]
        try:
            return _apply(self.kind, inner)
        except (ValueError, ZeroDivisionError, OverflowError):
            shown = ", ".join(f"{value:.4g}" for value, _ in inner)
            raise ModelError(f"'{self.kind}' cannot be computed at {shown} in '{self}'.", kind=self.kind) from None

    def __str__(self) -> str:
        if self.kind == "number":
            return f"{self.value:g}"
        if self.kind == "label":
            return self.name if _PLAIN.fullmatch(self.name) else f"`{self.name}`"
        if self.kind == "negative":
            return f"-{self.parts[0]._inside()}"
        if self.kind in _FUNCTIONS:
            return f"{self.kind}({self.parts[0]})"
        left, right = self.parts
        return f"{left._inside()}{self.kind}{right._inside()}"

    def _inside(self) -> str:
        return f"({self})" if self.kind in "+-/^" or self.kind == "negative" else str(self)


def _apply(kind: str, inner: list[Dual]) -> Dual:
    (x, dx), (y, dy) = inner[0], inner[-1]
    if kind == "negative":
        return -x, -dx
    if kind == "+":
        return x + y, dx + dy
    if kind == "-":
        return x - y, dx - dy
    if kind == "*":
        return x * y, x * dy + y * dx
    if kind == "/":
        return x / y, dx / y - x / y**2 * dy
    if kind == "^":
        value = math.pow(x, y)
        gradient = y * math.pow(x, y - 1) * dx if dx.any() else np.zeros_like(dx)
        return value, gradient + (value * math.log(x) * dy if dy.any() else 0.0)
    function, slope = _FUNCTIONS[kind]
    return function(x), slope(x) * dx if dx.any() else np.zeros_like(dx)


# --------------------------------------------------------------------------- parsing
class _Parser:
    """Recursive descent: sums of products of powers."""

    def __init__(self, tokens: list[Token], text: str) -> None:
        self.tokens, self.text, self.at = tokens, text, 0

    def peek(self) -> str:
        token = self.tokens[self.at]
        return token.text if token.kind == "symbol" else ""

    def take(self) -> Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def fail(self, token: Token, problem: str, fix: str) -> ModelSyntaxError:
        return ModelSyntaxError.from_place(problem, fix, self.text, token.line, token.column)

    def sum(self) -> Expression:
        node = self.product()
        while self.peek() in ("+", "-"):
            node = Expression(self.take().text, parts=(node, self.product()))
        return node

    def product(self) -> Expression:
        node = self.signed()
        while self.peek() in ("*", "/"):
            node = Expression(self.take().text, parts=(node, self.signed()))
        return node

    def signed(self) -> Expression:
        if self.peek() in ("+", "-"):
            sign = self.take().text
            node = self.signed()
            return node if sign == "+" else Expression("negative", parts=(node,))
        base = self.atom()
        if self.peek() == "^":
            self.take()
            return Expression("^", parts=(base, self.signed()))
        return base

    def atom(self) -> Expression:
        token = self.take()
        if token.kind == "number":
            return Expression("number", value=float(token.text))
        if token.kind == "name":
            return self.call(token) if self.peek() == "(" else Expression("label", name=token.text)
        if token.text == "(" and token.kind == "symbol":
            return self.closed()
        raise self.fail(token, f"{token.shown} stands where a label or a number is needed.", "Complete the expression.")

    def call(self, token: Token) -> Expression:
        if token.text not in _FUNCTIONS:
            known = ", ".join(_FUNCTIONS)
            raise self.fail(token, f"'{token.text}' is no function of expressions.", f"Use one of: {known}.")
        self.take()
        return Expression(token.text, parts=(self.closed(),))

    def closed(self) -> Expression:
        node = self.sum()
        token = self.take()
        if token.text != ")" or token.kind != "symbol":
            raise self.fail(token, f"A ')' is missing before {token.shown}.", "Close the bracket.")
        return node


def parse_expression(tokens: list[Token], end: Token, text: str) -> Expression:
    """Parse the tokens of one side of a definition or a constraint; ``end`` marks where they stop."""
    closing = Token("end", "", end.line, end.column)
    parser = _Parser([*tokens, closing, closing], text)
    node = parser.sum()
    left = parser.take()
    if left.kind != "end":
        raise parser.fail(left, f"{left.shown} follows without an operator.", "Put + - * / or ^ before it.")
    return node


def read_expression(text: str) -> Expression:
    """Parse an expression that ``str(expression)`` wrote."""
    *tokens, end = tokenize(text)
    return parse_expression(tokens, end, text)
