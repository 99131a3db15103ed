"""Defaults of the parameter table: what lavaan 0.6-14 puts into its own (parTable of the same models)."""

from __future__ import annotations

import math
from typing import Any, cast

import pytest

from relmeasure.exceptions import ModelError, ModelSyntaxError, OptionError
from relmeasure.structural.language.parameter_table import ParameterTable
from relmeasure.structural.language.restrictions import restrictions_of
from relmeasure.structural.language.specification import ModelOptions, assumptions, build_table
from relmeasure.structural.language.syntax import parse_model


def table(text: str, **options: object) -> ParameterTable:
    return build_table(parse_model(text), ModelOptions(**options))  # type: ignore[arg-type]  # options by name


def rows(text: str, **options: object) -> list[str]:
    """``x~~y`` for free rows, ``x~~y=1`` for fixed ones, ``x~~y=?`` for those of the sample."""
    made = table(text, **options)
    out = []
    for i in range(len(made)):
        name = f"{made.lhs[i]}{made.op[i]}{made.rhs[i]}"
        value = "?" if math.isnan(made.fixed[i]) else f"{made.fixed[i]:g}"
        out.append(name if made.free[i] else f"{name}={value}")
    return sorted(out)


LAVAAN = {
    "marker": ("f =~ y1 + y2 + y3", {}, ["f=~y1=1", "f=~y2", "f=~y3", "f~~f", "y1~~y1", "y2~~y2", "y3~~y3"]),
    "std_lv": (
        "f =~ y1 + y2 + y3",
        {"std_lv": True},
        ["f=~y1", "f=~y2", "f=~y3", "f~~f=1", "y1~~y1", "y2~~y2", "y3~~y3"],
    ),
    "freed marker": (
        "f =~ NA*y1 + y2\nf ~~ 1*f",
        {},
        ["f=~y1", "f=~y2", "f~~f=1", "y1~~y1", "y2~~y2"],
    ),
    "single item": ("f =~ y1 + y2\ng =~ y3", {}, [
        "f=~y1=1", "f=~y2", "f~~f", "f~~g", "g=~y3=1", "g~~g", "y1~~y1", "y2~~y2", "y3~~y3=0",
    ]),
    "fixed x": ("y1 ~ x1 + x2", {}, ["x1~~x1=?", "x1~~x2=?", "x2~~x2=?", "y1~x1", "y1~x2", "y1~~y1"]),
    "random x": ("y1 ~ x1 + x2", {"fixed_x": False}, ["x1~~x1", "x1~~x2", "x2~~x2", "y1~x1", "y1~x2", "y1~~y1"]),
    "freed x": ("y1 ~ x1 + x2\nx1 ~~ x1", {}, ["x1~~x1", "x2~~x2=?", "y1~x1", "y1~x2", "y1~~y1"]),
    "means": ("y1 ~ x1\nx1 ~ 1", {}, ["x1~1", "x1~~x1", "y1~1", "y1~x1", "y1~~y1"]),
    "outcomes covary": (
        "y2 ~ y1\ny3 ~ x1",
        {},
        ["x1~~x1=?", "y1~~y1=?", "y1~~x1=?", "y2~y1", "y2~~y2", "y2~~y3", "y3~x1", "y3~~y3"],
    ),
    "higher order": (
        "f =~ y1 + y2\ng =~ y3 + y4\nh =~ f + g + y5",
        {"std_lv": True},
        [
            "f=~y1", "f=~y2", "f~~f=1", "g=~y3", "g=~y4", "g~~g=1", "h=~f", "h=~g", "h=~y5", "h~~h=1",
            "y1~~y1", "y2~~y2", "y3~~y3", "y4~~y4", "y5~~y5",
        ],
    ),
    "orthogonal": ("f =~ y1 + y2\ng =~ y3 + y4", {"orthogonal": True}, [
        "f=~y1=1", "f=~y2", "f~~f", "f~~g=0", "g=~y3=1", "g=~y4", "g~~g", "y1~~y1", "y2~~y2", "y3~~y3", "y4~~y4",
    ]),
    "nothing added": ("f =~ 1*y1 + y2\nf ~~ f", {"auto": False}, ["f=~y1=1", "f=~y2", "f~~f"]),
    "shared label on the marker": (
        "f =~ a*y1 + y2\ng =~ y3 + a*y4",
        {},
        ["f=~y1=1", "f=~y2", "f~~f", "f~~g", "g=~y3=1", "g=~y4=1", "g~~g", "y1~~y1", "y2~~y2", "y3~~y3", "y4~~y4"],
    ),
    "ordered, delta": ("f =~ q1 + q2", {"thresholds": {"q1": (1,), "q2": (1, 2)}}, [
        "f=~q1=1", "f=~q2", "f~1=0", "f~~f", "q1|t1", "q1~*~q1=1", "q1~1=0", "q1~~q1=?",
        "q2|t1", "q2|t2", "q2~*~q2=1", "q2~1=0", "q2~~q2=?",
    ]),
    "ordered, theta": ("f =~ q1", {"thresholds": {"q1": (1,)}, "parameterization": "theta"}, [
        "f=~q1=1", "f~1=0", "f~~f", "q1|t1", "q1~*~q1=?", "q1~1=0", "q1~~q1=1",
    ]),
}  # fmt: skip


@pytest.mark.parametrize("case", LAVAAN)
def test_defaults(case: str) -> None:
    text, options, expected = LAVAAN[case]
    assert rows(text, **cast(Any, options)) == sorted(expected)


def test_a_variance_that_is_named_is_not_a_default() -> None:
    made = table("f =~ y1 + y2\ny1 ~~ y1")
    assert [made.user[i] for i in range(len(made)) if made.lhs[i] == made.rhs[i]] == [True, False, False]


# --------------------------------------------------------------------------- groups
def test_groups_repeat_the_model() -> None:
    made = table("f =~ c(1, NA)*y1 + c(a, b)*y2 + y3", groups=("g1", "g2"))
    assert made.n_groups == 2
    assert next(made.fixed[i] for i in range(len(made)) if made.rhs[i] == "y1" and made.op[i] == "=~") == 1.0
    assert sum(label in ("a", "b") for label in made.label) == 2
    assert made.name(made.free_rows[0]).endswith("(g1)")


@pytest.mark.parametrize(
    ("equal", "std_lv", "n_free", "n_parameters"),
    [
        ((), False, 60, 60),
        (("loadings",), False, 60, 54),
        (("loadings", "intercepts"), False, 63, 48),
        (("loadings", "intercepts", "residuals"), False, 63, 39),
        (("loadings", "intercepts", "means"), False, 60, 45),
        (("loadings",), True, 63, 54),
    ],
)
def test_equality_over_groups_constrains_what_it_says(
    equal: tuple[str, ...], std_lv: bool, n_free: int, n_parameters: int
) -> None:
    """Pitfall 4.16: what should be equal is equal, and the number of parameters is that of theory."""
    text = "v =~ x1 + x2 + x3\nt =~ x4 + x5 + x6\ns =~ x7 + x8 + x9"
    made = table(text, groups=("a", "b"), group_equal=equal, std_lv=std_lv, mean_structure=True)
    restrictions = restrictions_of(made)
    assert (made.n_free, restrictions.K.shape[1]) == (n_free, n_parameters)
    kinds = {"loadings": "=~", "intercepts": "~1", "residuals": "~~"}
    for kind in equal:
        for i in made.free_rows:
            own = made.lhs[i] not in made.latent or kind == "loadings"
            if made.op[i] == kinds.get(kind) and own and made.lhs[i] == (made.rhs[i] or made.lhs[i]):
                assert made.label[i]


def test_partial_release() -> None:
    made = table(
        "f =~ x1 + x2 + x3",
        groups=("a", "b"),
        group_equal=("loadings", "intercepts"),
        group_partial=("x3 ~ 1", "f=~x2"),
        mean_structure=True,
    )
    labelled = {made.name(i) for i in made.free_rows if made.label[i]}
    assert labelled == {"f=~x3 (a)", "f=~x3 (b)", "x1~1 (a)", "x1~1 (b)", "x2~1 (a)", "x2~1 (b)"}


# --------------------------------------------------------------------------- labels and constraints
def test_equal_borrows_a_parameter() -> None:
    made = table('f =~ y1 + y2 + equal("f=~y2")*y3')
    restrictions = restrictions_of(made)
    assert restrictions.n_linear == 1
    x = restrictions.expand(restrictions.reduce(pytest.importorskip("numpy").arange(made.n_free, dtype=float)))
    names = [made.name(i) for i in made.free_rows]
    assert x[names.index("f=~y2")] == x[names.index("f=~y3")]


def test_linear_constraints_are_solved() -> None:
    made = table("f =~ y1 + a*y2 + b*y3\na + b == 1.2\n2*a == b")
    restrictions = restrictions_of(made)
    assert restrictions.n_linear == 2
    x = restrictions.expand(restrictions.reduce(pytest.importorskip("numpy").zeros(made.n_free)))
    names = [made.label[i] for i in made.free_rows]
    assert x[names.index("a")] == pytest.approx(0.4)
    assert x[names.index("b")] == pytest.approx(0.8)


def test_constraints_that_are_not_linear_stay_functions() -> None:
    restrictions = restrictions_of(table("f =~ y1 + a*y2 + b*y3\na == b^2\na > 0\nb < 2"))
    assert (restrictions.n_linear, len(restrictions.equalities), len(restrictions.inequalities)) == (0, 1, 2)


def test_bounds_become_inequalities() -> None:
    restrictions = restrictions_of(table("f =~ y1 + y2\ny1 ~~ lower(0)*y1\nf ~~ upper(9)*f"))
    assert [r.text for r in restrictions.inequalities] == ["y1~~y1 > 0", "f~~f < 9"]


def test_contradicting_constraints() -> None:
    with pytest.raises(ModelError, match="contradict"):
        restrictions_of(table("f =~ y1 + a*y2 + b*y3\na == 1\na == 2"))


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("f =~ y1 + y2\nd := a*b", {}, "labels no parameter"),
        ("f =~ y1 + care*y2\nd := car*2", {}, "Did you mean 'care'"),
        ("f =~ y1 + a*y2\na := 2", {}, "label of a parameter and a defined"),
        ("f =~ y1 + y2\n1 == 2", {}, "holds no label"),
        ("f =~ a*1*y1 + a*2*y2", {}, "equal labels mean equal values"),
        ("f =~ c(1, 1, 1)*y1 + y2", {"groups": ("a", "b")}, "3 values, and there are 2 groups"),
        ("f =~ f", {}, "explains itself"),
        ("y ~ y", {}, "explains itself"),
        ("f =~ q1\nq1 | t1", {}, "not an ordered item"),
        ("f =~ q1\nq1 | t3", {"thresholds": {"q1": (1, 2)}}, "no threshold 't3'"),
        ('f =~ y1 + equal("f=~z")*y2', {}, "no other parameter"),
    ],
)
def test_contradictions_are_refused(text: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        table(text, **options)


def test_a_place_is_given_where_there_is_one() -> None:
    with pytest.raises(ModelSyntaxError) as caught:
        table("f =~ y1\ng =~ c(1, 2)*y2")
    assert (caught.value.details["line"], caught.value.details["column"]) == (2, 14)


def test_unknown_names_of_groups_options() -> None:
    with pytest.raises(OptionError, match="loadings"):
        table("f =~ y1 + y2", groups=("a", "b"), group_equal=("loading",))
    with pytest.raises(ModelError, match="Did you mean 'f=~y2'"):
        table("f =~ y1 + y2", groups=("a", "b"), group_equal=("loadings",), group_partial=("f=~y3",))


def test_overlooked_consequences_are_said() -> None:
    freed = assumptions(parse_model("y ~ x1 + x2\nx1 ~~ x1"), ModelOptions())
    assert [w.code for w in freed] == ["model-assumption"]
    assert "x1" in freed[0].message
    shared = assumptions(parse_model("f =~ y1 + a*y2"), ModelOptions(groups=("g", "h")))
    assert "c(a1, a2)" in shared[0].message
    assert assumptions(parse_model("y ~ x1\nx1 ~~ x1"), ModelOptions()) == []


def test_table_round_trip() -> None:
    made = table("f =~ y1 + a*y2 + b*y3\nab := a*b\na > 0", groups=("g", "h"), mean_structure=True)
    again = ParameterTable.from_dict(made.to_dict())
    assert again.equals(made)
    assert made.with_rows(made.rows()).equals(made)
    assert "f" in made.summary()
