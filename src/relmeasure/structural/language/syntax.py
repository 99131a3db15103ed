"""The model language of lavaan, read into formulas, definitions and constraints.

==========  =====================================================================
``f =~ x``  factor f is measured by x
``y ~ x``   y is regressed on x; ``y ~ 1`` is the intercept of y
``a ~~ b``  covariance of a and b, or the variance of a when b is a
``x | t1``  thresholds of an ordered item
``x ~*~ x`` scale of an ordered item's latent response
``p := a*b``  a parameter defined from labels
``a == b``, ``a < b``, ``a > b``  constraints on labels
==========  =====================================================================

``+`` joins terms and ``*`` puts a modifier before one: a number fixes the parameter, ``NA`` frees it, a name labels it
(equal labels, equal parameters), ``start(0.5)`` gives a starting value, ``equal("f=~x1")`` borrows another parameter's
label, ``lower(0)`` and ``upper(1)`` bound it, and ``c(...)`` holds one value a group. Formulas end at the line or at a
semicolon; a line that ends in an operator, or starts with ``+`` or ``*``, goes on. ``#`` and ``!`` start comments.

References
----------
Rosseel, Y. (2012). lavaan: an R package for structural equation modeling. Journal of Statistical Software, 48(2), 1-36,
section 3, describes the language; this reader is written from that description.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace

from relmeasure.exceptions import ModelSyntaxError
from relmeasure.structural.language.expressions import Expression, parse_expression
from relmeasure.structural.language.tokens import OPERATORS, Token, tokenize

__all__ = ["Constraint", "Definition", "Formula", "Model", "Modifier", "parse_model"]

_FORMULAS = ("=~", "~", "~~", "~*~", "|")
_WRAPPERS = ("c", "start", "label", "equal", "lower", "upper")


@dataclass(frozen=True)
class Modifier:
    """What stands before a variable, each a value a group; one value serves every group, none means not given.

    Attributes
    ----------
    fixed : tuple of float or None
        A number fixes, NaN (``NA``) frees, None says nothing.
    label, start, lower, upper : tuple
        Labels and starting values and bounds; None says nothing.
    equal : str
        Another parameter, ``"f=~x1"``, whose value this one takes.
    """

    fixed: tuple[float | None, ...] = ()
    label: tuple[str | None, ...] = ()
    start: tuple[float | None, ...] = ()
    lower: tuple[float | None, ...] = ()
    upper: tuple[float | None, ...] = ()
    equal: str = ""


@dataclass(frozen=True)
class Formula:
    """One parameter as written: ``lhs op rhs`` with its modifier and its place."""

    lhs: str
    op: str
    rhs: str
    modifier: Modifier
    line: int
    column: int
    block: str = ""


@dataclass(frozen=True)
class Definition:
    """A parameter defined from labels: ``name := expression``."""

    name: str
    expression: Expression


@dataclass(frozen=True)
class Constraint:
    """``left op right``, with ``op`` one of ``== < >``."""

    op: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Model:
    """A model string, read."""

    text: str
    formulas: tuple[Formula, ...] = ()
    definitions: tuple[Definition, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    blocks: tuple[str, ...] = field(default=())


def parse_model(text: str) -> Model:
    """Read a model string.

    Parameters
    ----------
    text : str
        The model, in the language above.

    Returns
    -------
    Model
        Formulas in the order written, one a parameter: ``f1 + f2 =~ x1 + x2`` makes four.

    Raises
    ------
    ModelSyntaxError
        The string cannot be read; the message shows the line, a caret under the place, and the fix.

    Examples
    --------
    >>> model = parse_model("care =~ q1 + a*q2 + NA*q3")
    >>> [(f.lhs, f.op, f.rhs) for f in model.formulas]
    [('care', '=~', 'q1'), ('care', '=~', 'q2'), ('care', '=~', 'q3')]
    >>> parse_model("care =~ q1 q2")
    Traceback (most recent call last):
    relmeasure.exceptions.ModelSyntaxError: Line 1, column 12: 'q2' follows 'q1' without an operator.
      care =~ q1 q2
                 ^
    Put '+' between the two, or start a new line.
    """
    if not isinstance(text, str):
        raise ModelSyntaxError(
            f"A model is a string or an Instrument; this is a {type(text).__name__}.", line=1, column=1
        )
    reader = _Reader(text)
    for statement in _statements(tokenize(text)):
        reader.read(statement)
    if not reader.formulas:
        raise ModelSyntaxError.from_place("the model is empty.", "Write a formula, such as 'f =~ x1 + x2'.", text, 1, 1)
    return Model(text, tuple(reader.formulas), tuple(reader.definitions), tuple(reader.constraints), reader.blocks())


def _statements(tokens: list[Token]) -> list[list[Token]]:
    """Split at line ends, unless a bracket is open, the line ends in an operator, or the next one starts with one."""
    out: list[list[Token]] = [[]]
    depth = 0
    for i, token in enumerate(tokens):
        current = out[-1]
        if token.kind == "symbol":
            depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.kind != "end":
            current.append(token)
            continue
        following = next((t for t in tokens[i + 1 :] if t.kind != "end"), None)
        open_end = bool(current) and (
            depth > 0
            or current[-1].kind == "operator"
            or (current[-1].kind == "symbol" and current[-1].text in "+*-/^,")
        )
        goes_on = following is not None and following.kind == "symbol" and following.text in "+*"
        if token.text != "" and token.text != ";" and current and following and (open_end or goes_on):
            continue
        if current:
            current.append(token)
            out.append([])
        depth = 0
    return [statement for statement in out if statement]


class _Reader:
    """Turns statements into formulas; each statement ends in its ``end`` token."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.block = ""
        self.formulas: list[Formula] = []
        self.definitions: list[Definition] = []
        self.constraints: list[Constraint] = []

    def blocks(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(f.block for f in self.formulas if f.block))

    def fail(self, token: Token, problem: str, fix: str) -> ModelSyntaxError:
        return ModelSyntaxError.from_place(problem, fix, self.text, token.line, token.column)

    def read(self, statement: list[Token]) -> None:
        """Read one statement."""
        *tokens, end = statement
        if len(tokens) >= 2 and tokens[0].text in ("level", "group", "block") and tokens[1].text == ":":
            if len(tokens) != 3:
                raise self.fail(tokens[-1], "a block header has one value.", "Write 'level: 1', then its formulas.")
            self.block = f"{tokens[0].text}:{tokens[2].text}"
            return
        places = [i for i, token in enumerate(tokens) if token.kind == "operator"]
        if not places:
            fix = f"Use one of: {'  '.join(OPERATORS)}."
            if re.fullmatch(r"\s*[\w.-]+\s*", self.text):
                fix += f" For an instrument, hand in rm.load_instrument('{self.text.strip()}')."
            raise self.fail(tokens[0], "this line has no operator.", fix)
        operator = tokens[places[0]]
        left, right = tokens[: places[0]], tokens[places[0] + 1 :]
        if len(places) > 1:
            second = tokens[places[1]]
            raise self.fail(second, f"a second operator, {second.shown}.", "Start the next formula on a new line.")
        if not left:
            raise self.fail(operator, f"nothing stands before {operator.shown}.", "Name a variable before it.")
        if not right:
            raise self.fail(end, f"nothing stands after {operator.shown}.", "Name a variable after it.")
        if operator.text == "<~":
            raise self.fail(operator, "formative factors ('<~') are not supported.", "Use '=~' or '~'.")
        if operator.text in _FORMULAS:
            self.formula(left, operator, right, end)
        else:
            self.relation(left, operator, right, end)

    def relation(self, left: list[Token], operator: Token, right: list[Token], end: Token) -> None:
        expression = parse_expression(right, end, self.text)
        if operator.text != ":=":
            self.constraints.append(Constraint(operator.text, parse_expression(left, operator, self.text), expression))
            return
        if len(left) != 1 or left[0].kind != "name":
            raise self.fail(left[0], "the left of ':=' is one new name.", "Write, for example, 'indirect := a*b'.")
        if any(d.name == left[0].text for d in self.definitions):
            raise self.fail(left[0], f"'{left[0].text}' is defined twice.", "Give the second one another name.")
        self.definitions.append(Definition(left[0].text, expression))

    def formula(self, left: list[Token], operator: Token, right: list[Token], end: Token) -> None:
        names = []
        for term in self.terms(left, operator):
            if len(term) != 1 or term[0].kind != "name":
                at = next((t for t in term if t.kind != "name"), term[-1])
                raise self.fail(
                    at, f"{at.shown} stands left of {operator.shown}.", "Only names joined by '+' stand there."
                )
            names.append(term[0])
        for name in names:
            for term in self.terms(right, end):
                self.term(name, operator, term)

    def terms(self, tokens: list[Token], end: Token) -> list[list[Token]]:
        """Split at the plus signs outside brackets."""
        out: list[list[Token]] = [[]]
        depth = 0
        for token in tokens:
            text = token.text if token.kind == "symbol" else ""
            depth += {"(": 1, ")": -1}.get(text, 0)
            if depth < 0:
                raise self.fail(token, "a ')' without its '('.", "Leave it out.")
            if text == "+" and depth == 0:
                if not out[-1]:
                    raise self.fail(token, "nothing stands before '+'.", "Name a variable, or leave the '+' out.")
                out.append([])
                continue
            out[-1].append(token)
        if depth > 0:
            raise self.fail(end, "a '(' is not closed.", "Close it with ')'.")
        if not out[-1]:
            raise self.fail(
                end, f"nothing stands between '+' and {end.shown}.", "Name a variable, or leave the '+' out."
            )
        return out

    def term(self, lhs: Token, operator: Token, tokens: list[Token]) -> None:
        """Read ``modifier * ... * variable``."""
        factors = self.factors(tokens)
        *before, last = factors
        variable = last[0]
        op, rhs = operator.text, variable.text
        if len(last) > 1:
            at = last[1]
            if at.text == ":":
                raise self.fail(at, "products of variables are not supported.", "Add the product as a column first.")
            if at.text == "?":
                raise self.fail(at, "'?' is not read.", f"Write start({variable.text})*variable.")
            if at.text == "(":
                raise self.fail(at, f"'{rhs}(...)' stands where a variable is needed.", "Write '*variable' after it.")
            problem = f"{at.shown} follows {variable.shown} without an operator."
            raise self.fail(at, problem, "Put '+' between the two, or start a new line.")
        if op == "~" and variable.kind == "number" and variable.text == "1":
            op, rhs = "~1", ""
        elif variable.kind != "name":
            fix = "Write the number before the variable: 0.5*x." if variable.kind == "number" else "Name a variable."
            raise self.fail(variable, f"{variable.shown} stands where a variable is needed.", fix)
        elif rhs == "NA" or (rhs in _WRAPPERS and before and len(before[-1]) > 1):
            raise self.fail(variable, f"'{rhs}' is a modifier, not a variable.", f"Write {rhs}*variable.")
        modifier = Modifier()
        for factor in before:
            modifier = self.modify(modifier, factor)
        self.formulas.append(Formula(lhs.text, op, rhs, modifier, variable.line, variable.column, self.block))

    def factors(self, tokens: list[Token]) -> list[list[Token]]:
        """Split at the multiplication signs outside brackets."""
        out: list[list[Token]] = [[]]
        depth = 0
        for token in tokens:
            text = token.text if token.kind == "symbol" else ""
            depth += {"(": 1, ")": -1}.get(text, 0)
            if text == "*" and depth == 0:
                if not out[-1]:
                    raise self.fail(token, "nothing stands before '*'.", "Put a modifier before it: 0.5*x, a*x, NA*x.")
                out.append([])
                continue
            out[-1].append(token)
        if not out[-1]:
            raise self.fail(tokens[-1], "nothing stands after '*'.", "Name the variable that the modifier belongs to.")
        return out

    # ------------------------------------------------------------------- modifiers
    def modify(self, modifier: Modifier, factor: list[Token]) -> Modifier:
        """Add one modifier."""
        head = factor[0]
        if len(factor) > 1 and factor[1].text == "(" and head.kind == "name":
            if head.text == "rv":
                raise self.fail(head, "random slopes ('rv()') are not supported.", "Leave rv() out: a fixed slope.")
            if head.text not in _WRAPPERS:
                known = ", ".join(f"{name}()" for name in _WRAPPERS)
                raise self.fail(head, f"'{head.text}()' is no modifier.", f"Use one of: {known}.")
            values = self.arguments(head, factor[1:])
            return self.wrapped(modifier, head, values)
        return self.plain(modifier, head, [self.value(factor)])

    def arguments(self, head: Token, tokens: list[Token]) -> list[float | str]:
        """Read ``(v, v, ...)``; an inner ``c(...)`` is read through."""
        if tokens[-1].text != ")":
            raise self.fail(tokens[-1], f"'{head.text}(' is not closed.", "Close it with ')'.")
        inner = tokens[1:-1]
        if len(inner) > 1 and inner[0].text == "c" and inner[1].text == "(":
            return self.arguments(inner[0], inner[1:])
        pieces: list[list[Token]] = [[]]
        for token in inner:
            if token.text == "," and token.kind == "symbol":
                pieces.append([])
            else:
                pieces[-1].append(token)
        if not all(pieces):
            raise self.fail(head, f"an empty place in '{head.text}(...)'.", "Give one value a group, or NA.")
        return [self.value(piece) for piece in pieces]

    def value(self, tokens: list[Token]) -> float | str:
        """Return a number (NaN for NA) or a label."""
        head = tokens[0]
        if len(tokens) == 1 and head.kind in ("name", "string"):
            return math.nan if head.kind == "name" and head.text == "NA" else head.text
        if all(t.kind == "number" or t.text in ("+", "-", "*", "/", "^", "(", ")") for t in tokens):
            return parse_expression(tokens, tokens[-1], self.text).evaluate({}, 0)[0]
        at = tokens[1] if len(tokens) > 1 else head
        raise self.fail(at, f"{at.shown} cannot stand in a modifier.", "Write a number, NA, a label, or c(...).")

    def plain(self, modifier: Modifier, head: Token, values: list[float | str]) -> Modifier:
        """A number, NA or a label, or several in ``c(...)``."""
        fixed = tuple(v if isinstance(v, float) else None for v in values)
        label = tuple(v if isinstance(v, str) else None for v in values)
        labelled, numbered = any(label), any(v is not None and not math.isnan(v) for v in fixed)
        if labelled and numbered:
            raise self.fail(head, "labels and numbers are mixed in one c(...).", "Use two: c(a, b)*c(1, NA)*x.")
        if labelled:
            return replace(modifier, label=label)
        return replace(modifier, fixed=fixed)

    def wrapped(self, modifier: Modifier, head: Token, values: list[float | str]) -> Modifier:
        """``c()``, ``start()``, ``label()``, ``equal()``, ``lower()``, ``upper()``."""
        if head.text == "c":
            return self.plain(modifier, head, values)
        if head.text == "equal":
            if len(values) != 1 or not isinstance(values[0], str):
                raise self.fail(head, "equal() names one parameter.", 'Write equal("f=~x1")*x2.')
            return replace(modifier, equal=values[0].replace(" ", ""))
        if head.text == "label":
            return replace(modifier, label=tuple(str(v) if isinstance(v, str) else None for v in values))
        if any(isinstance(v, str) for v in values):
            raise self.fail(head, f"{head.text}() holds numbers.", f"Write {head.text}(0.5)*x.")
        numbers = tuple(None if isinstance(v, str) or math.isnan(v) else v for v in values)
        if head.text == "start":
            return replace(modifier, start=numbers)
        return replace(modifier, lower=numbers) if head.text == "lower" else replace(modifier, upper=numbers)
