"""Golden vectors: every packaged instrument scores answers as arithmetic written out by hand says.

The vectors were made from published keys, or from reading the items, without any scoring code. Here the arithmetic is
worked out by a calculator of four operations, compared with the score that stands beside it, and then with ``score``.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib.resources import files
from typing import Any

import pytest

import relmeasure as rm
from relmeasure.exceptions import NotPublishedMetricWarning
from relmeasure.instruments import Instrument, load_instrument
from tests.support import REFERENCE, Constructor, load_reference, to_columns

TOLERANCE = 1e-11
"""Absolute. Scores are sums of at most 24 small numbers; weights of the circumplex are printed with 12 decimals."""

LIBRARY = sorted(
    file.name.removesuffix(".toml")
    for file in files("relmeasure.instruments").joinpath("library").iterdir()
    if file.name.endswith(".toml")
)

Vector = dict[str, Any]

OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def calculated(arithmetic: str) -> float:
    """The value of an expression of numbers, + - * / and brackets."""

    def value(node: ast.expr) -> float:
        if isinstance(node, ast.BinOp):
            return OPERATIONS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -value(node.operand)
        assert isinstance(node, ast.Constant)
        assert isinstance(node.value, (int, float))
        return float(node.value)

    return value(ast.parse(arithmetic, mode="eval").body)


def vectors_of(name: str) -> list[Vector]:
    """The vectors of an instrument."""
    loaded: list[Vector] = load_reference(f"golden_vectors/{name}")["vectors"]
    return loaded


def metric_warning(instrument: Instrument) -> AbstractContextManager[Any]:
    """Expect the warning that a raw score is not the published one, where that is so."""
    other = any(scale.published_metric for scale in instrument.scales)
    return pytest.warns(NotPublishedMetricWarning) if other else nullcontext()


# --------------------------------------------------------------------------- the vectors themselves
def test_every_instrument_has_vectors() -> None:
    """One file an instrument, and none without."""
    assert sorted(file.stem for file in (REFERENCE / "golden_vectors").glob("*.json")) == LIBRARY


@pytest.mark.parametrize("name", LIBRARY)
def test_vectors_are_for_this_instrument(name: str) -> None:
    """Same version, every item answered or empty, every scale expected; lowest, highest and worked examples."""
    instrument, loaded = load_instrument(name), load_reference(f"golden_vectors/{name}")
    assert (loaded["instrument"], loaded["version"]) == (name, instrument.version)
    names = [vector["name"] for vector in loaded["vectors"]]
    assert names[:3] == ["all lowest codes", "all highest codes", "worked example, every item answered"]
    assert names[3].startswith("worked example with missing answers")
    for vector in loaded["vectors"]:
        assert tuple(vector["answers"]) == instrument.item_ids
        assert tuple(vector["expected"]) == instrument.scale_ids


@pytest.mark.parametrize("name", LIBRARY)
def test_lowest_and_highest_are_the_declared_ends(name: str) -> None:
    """The first two vectors hold the first and the last code of every item, not those of some other form."""
    instrument = load_instrument(name)
    lowest, highest = vectors_of(name)[:2]
    for item in instrument.item_ids:
        scale = instrument.response_scale(item)
        ends: tuple[Any, Any] = (None, None)
        if scale.kind == "range":
            ends = (scale.minimum, scale.maximum)
        elif scale.codes:
            ends = (scale.codes[0], scale.codes[-1])
        assert (lowest["answers"][item], highest["answers"][item]) == ends


@pytest.mark.parametrize("name", LIBRARY)
def test_arithmetic_gives_the_score_beside_it(name: str) -> None:
    """A slip in a stored score would be a slip in every check below."""
    for vector in vectors_of(name):
        for scale, expected in vector["expected"].items():
            if expected["score"] is None:
                assert expected["reason"], scale
            else:
                assert math.isclose(calculated(expected["arithmetic"]), expected["score"], abs_tol=TOLERANCE), scale


# --------------------------------------------------------------------------- scores
@pytest.mark.parametrize("name", LIBRARY)
def test_scores(name: str, eager_constructor: Constructor) -> None:
    """Every score, number of valid answers and reason, on every engine."""
    instrument, vectors = load_instrument(name), vectors_of(name)
    frame = eager_constructor({item: [v["answers"][item] for v in vectors] for item in instrument.item_ids})
    with metric_warning(instrument):
        scored = to_columns(rm.score(instrument, frame))
    for row, vector in enumerate(vectors):
        for scale, expected in vector["expected"].items():
            found, where = scored[scale][row], f"{vector['name']}, {scale}: {expected['arithmetic']}"
            if expected["score"] is None:
                assert found is None, where
                assert scored[f"{scale}_missing_reason"][row] == expected["reason"], where
            else:
                assert found == pytest.approx(expected["score"], abs=TOLERANCE, rel=0), where
                assert scored[f"{scale}_missing_reason"][row] is None, where
            if "n_valid" in expected:
                assert scored[f"{scale}_n_valid"][row] == expected["n_valid"], where


@pytest.mark.parametrize("name", LIBRARY)
def test_keyed_values_alone_give_the_means_and_sums(name: str) -> None:
    """The definition says the same as the scoring code: a plain mean or sum of keyed values of the answers."""
    instrument = load_instrument(name)
    for vector in vectors_of(name):
        for scale in instrument.scales:
            expected = vector["expected"][scale.id]
            if not scale.items or expected["score"] is None:
                continue
            values = []
            for item in scale.items:
                answer = vector["answers"][item]
                if instrument.response_scale(item).kind == "range":
                    values.append(answer)
                elif answer in instrument.keyed_values(item):
                    values.append(instrument.keyed_values(item)[answer])
            total = math.fsum(values)
            score = total if scale.scoring.method == "sum" else total / len(values)
            assert score == pytest.approx(expected["score"], abs=TOLERANCE, rel=0)
