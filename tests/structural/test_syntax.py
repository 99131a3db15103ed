"""The model language: what it reads, and how it refuses."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmeasure.exceptions import ModelError, ModelSyntaxError
from relmeasure.structural.language.syntax import Model, Modifier, parse_model


def triples(model: Model) -> list[tuple[str, str, str]]:
    return [(f.lhs, f.op, f.rhs) for f in model.formulas]


def modifier(text: str) -> Modifier:
    return parse_model(text).formulas[0].modifier


READ = {
    "f =~ x1 + x2": [("f", "=~", "x1"), ("f", "=~", "x2")],
    "f + g =~ x": [("f", "=~", "x"), ("g", "=~", "x")],
    "y1 + y2 ~ x1 + x2": [("y1", "~", "x1"), ("y1", "~", "x2"), ("y2", "~", "x1"), ("y2", "~", "x2")],
    "x1 ~~ x1 + x2": [("x1", "~~", "x1"), ("x1", "~~", "x2")],
    "x1 ~ 1": [("x1", "~1", "")],
    "x1 + x2 ~ 1 + z": [("x1", "~1", ""), ("x1", "~", "z"), ("x2", "~1", ""), ("x2", "~", "z")],
    "q | t1 + t2": [("q", "|", "t1"), ("q", "|", "t2")],
    "q ~*~ q": [("q", "~*~", "q")],
    "f =~ x1\n  + x2": [("f", "=~", "x1"), ("f", "=~", "x2")],
    "f =~ x1 +\n\n x2": [("f", "=~", "x1"), ("f", "=~", "x2")],
    "f =~\n x1": [("f", "=~", "x1")],
    "f =~ c(1,\n 2)*x1": [("f", "=~", "x1")],
    "f =~ x1; f ~~ f": [("f", "=~", "x1"), ("f", "~~", "f")],
    "f =~ x1 # x2\n! all\nf =~ x3": [("f", "=~", "x1"), ("f", "=~", "x3")],
    "f.a =~ `my item` + x_1": [("f.a", "=~", "my item"), ("f.a", "=~", "x_1")],
    "äußer =~ größe1": [("äußer", "=~", "größe1")],
    "C =~ c*C1 + C2": [("C", "=~", "C1"), ("C", "=~", "C2")],
}


@pytest.mark.parametrize("text", READ)
def test_formulas(text: str) -> None:
    assert triples(parse_model(text)) == READ[text]


MODIFIERS: dict[str, Modifier] = {
    "f =~ 0.5*x": Modifier(fixed=(0.5,)),
    "f =~ -1*x": Modifier(fixed=(-1.0,)),
    "f =~ .5e-1*x": Modifier(fixed=(0.05,)),
    "f =~ (1/4)*x": Modifier(fixed=(0.25,)),
    "f =~ a*x": Modifier(label=("a",)),
    'f =~ "a b"*x': Modifier(label=("a b",)),
    "f =~ label(a)*x": Modifier(label=("a",)),
    "f =~ start(0.8)*x": Modifier(start=(0.8,)),
    "f =~ start(c(0.8, 0.9))*x": Modifier(start=(0.8, 0.9)),
    "f =~ c(a, b)*x": Modifier(label=("a", "b")),
    "f =~ lower(0)*upper(2)*x": Modifier(lower=(0.0,), upper=(2.0,)),
    'f =~ equal("f =~ x1")*x': Modifier(equal="f=~x1"),
    "f =~ 1*a*x": Modifier(fixed=(1.0,), label=("a",)),
}


@pytest.mark.parametrize("text", MODIFIERS)
def test_modifiers(text: str) -> None:
    assert modifier(text) == MODIFIERS[text]


def test_na_frees() -> None:
    assert math.isnan(modifier("f =~ NA*x").fixed[0] or 0.0)
    values = modifier("f =~ c(1, NA)*x").fixed
    assert values[0] == 1.0
    assert math.isnan(values[1] or 0.0)


def test_definitions_and_constraints() -> None:
    model = parse_model("y ~ a*x + b*z\nab := a*b + (a - 1)^2/exp(-b)\na == 2*b\na > 0\nb < sqrt(a)")
    assert [(d.name, str(d.expression)) for d in model.definitions] == [("ab", "a*b+(((a-1)^2)/exp(-b))")]
    assert [(str(c.left), c.op, str(c.right)) for c in model.constraints] == [
        ("a", "==", "2*b"),
        ("a", ">", "0"),
        ("b", "<", "sqrt(a)"),
    ]


def test_blocks_are_read() -> None:
    model = parse_model("level: 1\nf =~ x1 + x2\nlevel: 2\ng =~ x1 + x2")
    assert model.blocks == ("level:1", "level:2")
    assert [f.block for f in model.formulas] == ["level:1", "level:1", "level:2", "level:2"]


REFUSED: dict[str, tuple[int, int, str]] = {
    "": (1, 1, "empty"),
    "# only a comment": (1, 1, "empty"),
    "f": (1, 1, "no operator"),
    "f =~": (1, 5, "nothing stands after"),
    "=~ x": (1, 1, "nothing stands before"),
    "f =~ x1 x2": (1, 9, "follows 'x1' without an operator"),
    "f =~ x1\nf =~ x2 x3": (2, 9, "follows 'x2'"),
    "f =~ x1 ++ x2": (1, 10, "nothing stands before '+'"),
    "f =~ x1 +": (1, 10, "between '+' and the end of the line"),
    "f =~ 2": (1, 6, "where a variable is needed"),
    "f = x": (1, 3, "'=' has no meaning"),
    "f =~ 2x": (1, 7, "follows '2'"),
    "f =~ x1*": (1, 8, "after '*'"),
    "f =~ *x1": (1, 6, "before '*'"),
    "f =~ foo(1)*x": (1, 6, "is no modifier"),
    "f =~ x1:x2": (1, 8, "products"),
    "f <~ x": (1, 3, "formative"),
    "f =~ x1 ~ x2": (1, 9, "second operator"),
    "2 =~ x": (1, 1, "left of"),
    "a*f =~ x": (1, 2, "left of"),
    "f =~ c(1, a)*x": (1, 6, "mixed"),
    "f =~ c(1,)*x": (1, 6, "empty place"),
    "f =~ (x": (1, 8, "not closed"),
    "f =~ x1)": (1, 8, "without its '('"),
    "f =~ start(a)*x": (1, 6, "holds numbers"),
    "f =~ NA*NA": (1, 9, "not a variable"),
    "f =~ 0.5?x": (1, 9, "not read"),
    "f =~ x1 + c(1, 2)": (1, 12, "where a variable is needed"),
    "f =~ 'x": (1, 6, "has no meaning"),
    "f =~ a b*x1": (1, 8, "cannot stand in a modifier"),
    "f =~ equal(a, b)*x": (1, 6, "names one parameter"),
    "f =~ x−1": (1, 7, "has no meaning"),
    "level: 1 2\nf =~ x": (1, 10, "one value"),
    "f =~ x\na := b c": (2, 8, "follows without an operator"),
    "f =~ x\na :=": (2, 5, "nothing stands after"),
    "f =~ x\na := b +": (2, 9, "a label or a number"),
    "f =~ x\na := foo(b)": (2, 6, "no function"),
    "f =~ x\na := (b": (2, 8, "')' is missing"),
    "f =~ x\na + b := 2": (2, 1, "one new name"),
    "f =~ x\na := 1\na := 2": (3, 1, "defined twice"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_refusals_point_at_the_place(text: str) -> None:
    line, column, words = REFUSED[text]
    with pytest.raises(ModelSyntaxError) as caught:
        parse_model(text)
    error = caught.value
    assert (error.details["line"], error.details["column"]) == (line, column)
    head, shown, caret, fix = error.message.split("\n", 3)
    assert words in head
    assert head.startswith(f"Line {line}, column {column}: ")
    assert caret.index("^") == column + 1
    assert shown[2:] == (text.splitlines() or [""])[line - 1]
    assert fix.endswith(".")


def test_refusals_are_model_and_value_errors() -> None:
    with pytest.raises(ModelError):
        parse_model("f")
    with pytest.raises(ValueError, match="Line 1"):
        parse_model("f")


def test_a_model_is_a_string() -> None:
    wrong: Any = 3
    with pytest.raises(ModelSyntaxError, match="int"):
        parse_model(wrong)


NAMES = st.from_regex(r"[a-z][a-z0-9_.]{0,5}", fullmatch=True).filter(lambda n: n not in ("c", "na", "start"))


@settings(max_examples=50, deadline=None)
@given(st.lists(NAMES, min_size=2, max_size=6, unique=True), st.sampled_from([" ", "  ", "\t", "\n  "]))
def test_blanks_comments_and_lines_change_nothing(names: list[str], blank: str) -> None:
    factor, *items = names
    plain = parse_model(f"{factor} =~ {' + '.join(items)}")
    spread = parse_model(f"# begin\n{factor} =~{blank}{(blank + '+' + blank).join(items)} ! end\n\n")
    assert triples(plain) == triples(spread)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    place = {"line": 1, "column": 1}
    try:
        parse_model(text)
    except ModelSyntaxError as error:
        place = error.details
    assert place["line"] >= 1
    assert place["column"] >= 1
