"""Words above the items, composites with a constant, and collapsed options that share a score."""

from __future__ import annotations

from typing import Any

import pytest

from relmeasure.exceptions import InstrumentValidationError
from relmeasure.instruments import load_instrument, parse_instrument
from tests.instruments.builders import AGREE4, Tree, options, tree, with_response_scale, with_scale

TEXTS = {"en": "Think of the last ten lessons."}


def problems(made: Tree) -> list[str]:
    """Every problem of a definition."""
    try:
        parse_instrument(made)
    except InstrumentValidationError as error:
        return list(error.details["problems"])
    return []


# --------------------------------------------------------------------------- prompts
def worded(prompt: dict[str, str], **changes: Any) -> Tree:
    """The sound instrument with wording in two languages and a prompt."""
    made = with_response_scale({**AGREE4, "prompt": prompt}, languages=["en", "es"], **changes)
    made["licence"]["wording"] = "included"
    for item in made["items"]:
        item["text"] = {"en": "It is.", "es": "Es."}
    return made


def test_a_prompt_is_kept_and_needs_no_prompt_elsewhere() -> None:
    """The words above the items travel with their response scale; a scale without them has none."""
    prompt = {**TEXTS, "es": "Piensa en las diez clases."}
    assert parse_instrument(worded(prompt)).response_scales["agree4"].prompt == prompt
    assert parse_instrument(worded({})).response_scales["agree4"].prompt == {}


def test_a_prompt_is_wording() -> None:
    """It does not ship where wording does not, and is read-only."""
    found = problems(with_response_scale({**AGREE4, "prompt": TEXTS}, languages=["en"]))
    assert found == [
        "response_scales.agree4: has a prompt, but licence.wording = 'not_included': remove the text, or license it."
    ]
    scale = parse_instrument(worded({**TEXTS, "es": "Piensa."})).response_scales["agree4"]
    with pytest.raises(TypeError, match="read-only"):
        scale.prompt["en"] = "Other"


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (TEXTS, "no prompt in es, which languages names: add the text, or drop the language."),
        ({**TEXTS, "es": "Piensa.", "fr": "Pensez."}, "prompt in fr, not in languages (en, es): add it there."),
    ],
)
def test_a_prompt_speaks_the_languages_of_the_form(prompt: dict[str, str], message: str) -> None:
    """Half a form in one language is named."""
    assert problems(worded(prompt)) == [f"response_scales.agree4: {message}"]


@pytest.mark.parametrize(
    ("name", "scale", "start"),
    [
        ("behaviour-teacher", "lessons", "Think of your last 10 lessons"),
        ("confidence-teacher", "confidence", "How confident are you"),
        ("confidence-teacher", "truth", "How true is this of you"),
        ("practice-teacher", "frequency", "Think of all lessons"),
        ("relationship-teacher", "frequency", "Think of the past weeks"),
        ("staying-teacher", "truth", "How true is this of you"),
        ("strain-teacher", "days", "Think of the last 20 days"),
        ("supports-teacher", "hindrance", "How much harder"),
        ("supports-teacher", "help", "How much would this help"),
    ],
)
def test_teacher_forms_carry_the_words_above_their_items(name: str, scale: str, start: str) -> None:
    """The words are in the field that forms print, and no longer in the notes."""
    made = load_instrument(name)
    assert made.response_scales[scale].prompt["en"].startswith(start)
    assert made.blueprint is not None
    assert not any(note.startswith("the words above") for note in made.blueprint.administration)


# --------------------------------------------------------------------------- constants
def composite(**scoring: Any) -> Tree:
    """The sound instrument with a weighted composite."""
    made = tree()
    made["scales"].append({"id": "both", "subscales": ["warm", "fair"], "scoring": {"method": "weighted", **scoring}})
    return made


def test_a_constant_turns_a_subscale_round_in_a_composite_only() -> None:
    """Scores from 1 to 4, the second turned round as 5 minus it: 1/2 warm + 1/2 (5 - fair), again from 1 to 4."""
    made = parse_instrument(composite(weights={"warm": 0.5, "fair": -0.5}, constant=2.5))
    assert made.scale_range("both") == (1.0, 4.0)
    assert made.scale_range("fair") == (1.0, 4.0)
    assert made.keyed_values("q3") == {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0}


def test_norms_of_a_composite_are_held_against_its_range_with_the_constant() -> None:
    """A norm mean of 2 fits 1 to 4, and not the -1.5 to 1.5 without the constant."""
    norm = {
        "id": "n", "kind": "t_score", "population": "p", "date": "2020", "version": "1", "source": "s",
        "mean": 2.0, "sd": 1.0,
    }  # fmt: skip
    weights = {"warm": 0.5, "fair": -0.5}
    assert problems({**composite(weights=weights, constant=2.5, norms="n"), "norms": [norm]}) == []
    found = problems({**composite(weights=weights, norms="n"), "norms": [norm]})
    assert "the score runs from -1.5 to 1.5" in found[0]


def test_a_constant_goes_with_weights() -> None:
    """A mean with a constant would be silently another score."""
    found = problems(with_scale(scoring={"method": "mean", "constant": 1.0}))
    assert found == ["scales.warm: constant goes with method = 'weighted'; the method is 'mean': change one."]


# --------------------------------------------------------------------------- collapsed options
JOIN = [{"codes": [1], "to": 2, "reason": "the lowest category is rare"}]


def test_joined_options_may_share_a_score() -> None:
    """The two lowest are worth the same once they are declared as one."""
    scale = {"kind": "agreement", "options": options(1, 2, 3, 4, scores=[0, 0, 1, 2]), "collapse": JOIN}
    made = parse_instrument(with_response_scale(scale))
    assert made.keyed_values("q1") == {1: 0.0, 2: 0.0, 3: 1.0, 4: 2.0}
    assert made.scale_range("warm") == (0.0, 2.0)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([0, 0, 0, 2], "hold one twice"),
        ([0, 0, 2, 1], "neither rise nor fall all the way"),
        ([2, 2, 1, 0], "contradict direction = 'ascending'"),
    ],
)
def test_options_that_are_not_joined_may_not(scores: list[float], message: str) -> None:
    """The other checks of scores go on."""
    scale = {"kind": "agreement", "options": options(1, 2, 3, 4, scores=scores), "collapse": JOIN}
    found = problems(with_response_scale(scale))
    assert len(found) == 1
    assert message in found[0]


def test_everything_joined_is_one_complaint() -> None:
    """Equal scores of a single remaining category do not hide that there is only one."""
    join = [{"codes": [1, 2, 3], "to": 4, "reason": "r"}]
    scale = {"kind": "agreement", "options": options(1, 2, 3, 4, scores=[2, 2, 2, 2]), "collapse": join}
    assert problems(with_response_scale(scale)) == [
        "response_scales.agree4: collapsing leaves a single category: leave at least two."
    ]
