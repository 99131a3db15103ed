"""What is no instrument is refused in the same words by every public function that needs one."""

from __future__ import annotations

import inspect
from typing import Any

import pandas as pd
import pytest

import relmeasure as rm
from relmeasure import reports
from relmeasure.exceptions import ModelSyntaxError, UnsupportedDataError
from relmeasure.simulation import population_alpha

GIVEN: dict[str, Any] = {
    "cluster": "class_id",
    "phase": "phase",
    "lesson": "lesson",
    "wave": "wave",
    "relationship": "care",
    "practices": ["thinking"],
    "n_clusters": 3,
    "cluster_size": 4,
}
"""What else these functions need; everything else they need is data."""


def _functions() -> list[tuple[str, str]]:
    """Public functions with an argument for an instrument, and its name: new ones are found by themselves."""
    found = []
    for name in rm.__all__:
        function = getattr(rm, name)
        if inspect.isfunction(function):
            arguments = inspect.signature(function).parameters
            found += [(name, argument) for argument in arguments if "instrument" in argument]
    return found


def test_the_functions_are_found() -> None:
    assert {"score", "check", "classroom_scores", "monitor", "practice_trial", "barriers", "reciprocity"} <= {
        name for name, _ in _functions()
    }
    assert ("perception_gap", "student_instrument") in _functions()


@pytest.mark.parametrize(
    "wrong", ["relationship-student", {"id": 1}, 3, rm.Instrument], ids=["str", "dict", "int", "type"]
)
@pytest.mark.parametrize(("name", "argument"), _functions(), ids=lambda v: str(v))
def test_no_instrument_is_one_error(name: str, argument: str, wrong: Any) -> None:
    function = getattr(rm, name)
    right = rm.load_instrument("relationship-teacher")
    arguments: dict[str, Any] = {}
    positional: list[Any] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == argument:
            value = wrong
        elif parameter.default is not parameter.empty:
            continue
        else:
            value = right if "instrument" in parameter.name else GIVEN.get(parameter.name, pd.DataFrame({"x": [1, 2]}))
        if parameter.kind is parameter.KEYWORD_ONLY:
            arguments[parameter.name] = value
        else:
            positional.append(value)
    with pytest.raises(
        UnsupportedDataError, match=rf"^{argument}= takes an Instrument, not a .*rm\.load_instrument\('"
    ):
        function(*positional, **arguments)


def test_a_name_stands_in_the_hint() -> None:
    with pytest.raises(UnsupportedDataError, match=r"hand in rm\.load_instrument\('relationship-student'\)"):
        rm.score("relationship-student", pd.DataFrame({"x": [1]}))  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "call",
    [reports.answer_rows, reports.codebook, reports.form_html, reports.instrument_page, population_alpha],
    ids=lambda f: str(f.__name__),
)
def test_pages_and_populations_too(call: Any) -> None:
    with pytest.raises(UnsupportedDataError, match="takes an Instrument, not a str"):
        call("relationship-student")


@pytest.mark.parametrize("question", ["fit", "cutoffs", "invariance"])
def test_plans_too(question: Any) -> None:
    with pytest.raises(UnsupportedDataError, match="takes an Instrument, not a str"):
        rm.plan(question, instrument="relationship-student")


@pytest.mark.parametrize("function", [rm.cfa, rm.sem, rm.invariance], ids=lambda f: str(f.__name__))
def test_an_id_where_a_model_is_wanted_gets_the_hint(function: Any) -> None:
    more = {"group": "g"} if function is rm.invariance else {}
    data = pd.DataFrame({"x": [1, 2], "g": ["a", "b"]})
    with pytest.raises(ModelSyntaxError, match=r"hand in rm\.load_instrument\('relationship-student'\)"):
        function("relationship-student", data, **more)
    with pytest.raises(ModelSyntaxError, match="A model is a string or an Instrument; this is a dict"):
        function({"id": 1}, data, **more)
