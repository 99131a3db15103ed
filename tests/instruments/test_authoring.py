"""lint, reading levels and scaffolds: what they find, what they leave alone, and that the library is clean."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from relmeasure.exceptions import InstrumentError, InstrumentValidationError, MissingExtraError
from relmeasure.instruments import Instrument, list_instruments, load_instrument, parse_instrument
from relmeasure.instruments.authoring import CODES, PLACEHOLDER, Finding, lint
from relmeasure.instruments.files import parse_bytes
from relmeasure.instruments.reading_level import (
    english_grade,
    inflesz_floor,
    inflesz_name,
    spanish_ease,
    spanish_syllables,
)
from relmeasure.instruments.scaffold import instrument_template
from tests.instruments.builders import Tree, tree
from tests.support import ROOT

REVIEW_TOLERANCE = 0.051
"""The tables of the reviews give grades to one decimal."""
EASE_TOLERANCE = 0.51
"""The tables of the reviews give whole scores."""

GOOD = ("My teacher helps me.", "I like this class.", "We work in pairs.", "Our room is calm.", "I can ask for help.")


def sound(**changes: Any) -> Tree:
    """An instrument of one scale with wording and blueprint, of which lint has nothing to say but notes."""
    made = tree(
        title={"en": "Toy"},
        description="A toy.",
        grades=["4", "5"],
        languages=["en"],
        licence={"id": "cc_by", "wording": "included", "holder": "Nobody"},
        citation="Nobody (2026). A toy for tests.",
        blueprint={
            "definition": "Warmth.",
            "facets": {"warm": "warmth"},
            "intended_use": ["tests"],
            "not_for": ["people"],
            "administration": ["in memory"],
        },
        response_scales={
            "agree4": {
                "kind": "agreement",
                "options": [
                    {"value": k, "labels": {"en": label}}
                    for k, label in enumerate(("Not true", "Sort of true", "True", "Very true"), start=1)
                ],
            }
        },
        items=[
            {
                "id": f"q{k}",
                "response_scale": "agree4",
                "facet": "warm",
                "text": {"en": text},
                "key": -1 if k == 5 else 1,
            }
            for k, text in enumerate(GOOD, start=1)
        ],
        scales=[{"id": "warm_scale", "items": ["q1", "q2", "q3", "q4", "q5"], "title": {"en": "Warm"}}],
    )
    return {**made, **changes}


def with_items(*changes: Tree, **top: Any) -> Tree:
    """The sound instrument with some keys of its first items replaced."""
    made = sound(**top)
    for item, change in zip(made["items"], changes, strict=False):
        item |= change
    return made


def found(made: Tree | Instrument) -> list[Finding]:
    return list(lint(made if isinstance(made, Instrument) else parse_instrument(made)))


def codes(made: Tree | Instrument, *severities: str) -> list[str]:
    return [f.code for f in found(made) if f.severity in (severities or ("problem", "advice", "note"))]


# --------------------------------------------------------------------------- the library
@pytest.mark.parametrize("name", [info.id for info in list_instruments() if info.source == "relmeasure"])
def test_every_packaged_instrument_is_without_problems(name: str) -> None:
    assert [str(finding) for finding in lint(load_instrument(name)) if finding.severity == "problem"] == []


def test_items_in_no_scale_on_purpose_are_no_problem() -> None:
    """An open comment, and supports that are reported one by one."""
    for name in ("lesson-pulse-student", "supports-teacher", "impact"):
        assert "item-in-no-scale" not in codes(load_instrument(name))


def test_nothing_to_say_about_a_sound_one() -> None:
    assert found(sound()) == []


# --------------------------------------------------------------------------- each code
def blueprint(**changes: Any) -> Tree:
    return {"blueprint": {**sound()["blueprint"], **changes}}


LABELS = [{"value": 1, "labels": {"en": "None"}}, {"value": 2}, {"value": 3, "labels": {"en": "All"}}]
DE = {"languages": ["en", "de"], "licence": {"id": "cc_by", "wording": "user_supplied", "holder": "N"}}


@pytest.mark.parametrize(
    ("made", "severity", "code", "place"),
    [
        (sound(description=f"{PLACEHOLDER}: say"), "problem", "placeholder", "description"),
        (with_items({"text": {"en": f"{PLACEHOLDER}: x"}}), "problem", "placeholder", "items.q1"),
        (sound(licence={"id": "unknown", "wording": "user_supplied"}), "problem", "licence", "licence"),
        (sound(licence={"id": "cc_by", "wording": "included"}), "advice", "licence", "licence"),
        (sound(citation="Me."), "advice", "citation", "citation"),
        (with_items(*[{"facet": None}] * 5, blueprint=None), "problem", "blueprint", "blueprint"),
        (with_items(*[{"facet": None}] * 5, **blueprint(facets={})), "problem", "blueprint", "blueprint"),
        (
            sound(**blueprint(facets={"warm": "w", "cold": "c"})),
            "problem",
            "facet-without-items",
            "blueprint.facets.cold",
        ),
        (with_items({"facet": None}), "problem", "item-without-facet", "items.q1"),
        (sound(**blueprint(administration=[])), "advice", "use-notes", "blueprint.administration"),
        (sound(**blueprint(not_for=[])), "advice", "use-notes", "blueprint.not_for"),
        (sound(scales=[]), "problem", "no-scale", "scales"),
        (sound(scales=[{"id": "s", "items": ["q1", "q2", "q3", "q4"]}]), "problem", "item-in-no-scale", "items.q5"),
        (sound(scales=[{"id": "s", "items": ["q1", "q2", "q3", "q4"]}]), "problem", "few-items", "scales.s"),
        (with_items(*[{"key": -1}] * 5), "problem", "keys", "scales.warm_scale"),
        (with_items(*[{"key": -1}] * 2), "advice", "keys", "scales.warm_scale"),
        (with_items(*[{"key": 1}] * 5), "note", "keys", "items"),
        (
            sound(response_scales={"agree4": {"kind": "degree", "options": LABELS}}),
            "advice",
            "labels",
            "response_scales.agree4",
        ),
        (
            sound(response_scales={"agree4": {"kind": "degree", "options": LABELS[:2]}}),
            "problem",
            "labels",
            "response_scales.agree4",
        ),
        (
            sound(response_scales={"agree4": {"kind": "degree", "options": [{"value": 1}, {"value": 2}]}}),
            "problem",
            "labels",
            "response_scales.agree4",
        ),
        (
            sound(response_scales={"agree4": {"kind": "degree", "options": LABELS[::2],
                                              "missing": [{"code": 9, "reason": "not_applicable"}]}}),
            "advice",
            "labels",
            "response_scales.agree4",
        ),
        (with_items(*[{"text": {}}] * 5, licence={"id": "cc_by", "holder": "N"},
                    response_scales={"agree4": {"kind": "degree", "options": [{"value": 1}, {"value": 2}]}}),
         "problem", "no-wording", "items"),
        (with_items({"text": {"en": "Yes.", "de": "Ja."}}, **DE), "problem", "translation", "items.q2"),
        (sound(**DE), "advice", "translation", "title"),
        (
            with_items(*[{"text": {"en": f"Institutional {w} necessitates collaborative deliberation."}}
                         for w in ("responsibility", "reconciliation", "organisation", "communication", "evaluation")]),
            "problem",
            "reading-level",
            "items",
        ),
        (with_items({"text": {"en": "My teacher appreciates extraordinary contributions."}}),
         "advice", "reading-level", "items.q1"),
        (sound(grades=[]), "advice", "reading-level-unknown", "grades"),
        (with_items({"text": {"en": GOOD[1]}}), "problem", "near-duplicate", "items.q2"),
        (with_items({"text": {"en": "My teacher helps me to do the work."}},
                    {"text": {"en": "My teacher helps me do the work."}}), "advice", "near-duplicate", "items.q2"),
        (with_items({"text": {"en": "My teacher does not shout."}}), "advice", "double-negative", "items.q1"),
        (with_items({"text": {"en": "My teacher doesn’t shout."}}), "advice", "double-negative", "items.q1"),
        (with_items({"text": {"en": "I go " + "and go " * 10}}), "advice", "long-item", "items.q1"),
    ],
)  # fmt: skip
def test_finding(made: Tree, severity: str, code: str, place: str) -> None:
    """Each code is found, at its severity and place, with a message that says what to do."""
    matching = [f for f in found(made) if f.code == code and f.place == place]
    assert [f.severity for f in matching] == [severity]
    assert f"[{code}]" in str(matching[0])
    assert code in CODES


def test_every_code_is_tested() -> None:
    mark: Any = next(m for m in test_finding.pytestmark if m.name == "parametrize")  # type: ignore[attr-defined]
    assert {case[2] for case in mark.args[1]} == set(CODES)


def test_what_is_no_fault() -> None:
    """A note on purpose, half reversed, an end of a scale labelled, short alike items, negation without negative answers."""
    alone = with_items({"note": "Reported by itself."}, scales=[{"id": "s", "items": ["q2", "q3", "q4", "q5"]}])
    assert "item-in-no-scale" not in codes(alone)
    assert "keys" not in codes(with_items({"key": -1}, {"key": 1}))
    assert "near-duplicate" not in codes(with_items({"text": {"en": "Too loud"}}, {"text": {"en": "Too long"}}))
    positive = [{"value": k, "labels": {"en": label}} for k, label in enumerate(("Rarely", "Often"), start=1)]
    made = with_items({"text": {"en": "My teacher does not shout."}})
    made["response_scales"] = {"agree4": {"kind": "frequency", "options": positive}}
    assert "double-negative" not in codes(made)


def test_published_structure_is_advised_not_faulted() -> None:
    """What the authors of a published instrument decided is at most advice, and what needs wording is not asked."""
    made = sound(
        kind="structure_only",
        licence={"id": "unknown"},
        items=[{"id": f"q{k}", "response_scale": "agree4", "key": -1} for k in (1, 2, 3, 4)],
        scales=[{"id": "s", "items": ["q1", "q2", "q3"]}],
        **blueprint(facets={}),
    )
    assert codes(made, "problem") == []
    assert {"few-items", "keys", "item-in-no-scale", "licence"} <= set(codes(made, "advice"))
    assert not {"no-wording", "translation", "reading-level", "labels", "blueprint"} & set(codes(made))


def test_problems_come_first() -> None:
    order = [f.severity for f in found(with_items({"facet": None}, **blueprint(not_for=[])))]
    assert order == sorted(order, key=["problem", "advice", "note"].index)


def test_spanish_form() -> None:
    """Reading level by INFLESZ, near-duplicates and double negatives in Spanish."""
    texts = [
        "Mi docente no grita.",
        "Me gusta la clase.",
        "Veo lo que hago.",
        "Hablo con mi grupo.",
        "Hay calma aquí.",
    ]
    hard = "La institucionalización extraordinaria imposibilita colaboraciones."
    made = with_items(*({"text": {"es": text}} for text in texts), languages=["es"], title={"es": "Juguete"})
    labels = ("No es cierto", "Más o menos cierto", "Cierto", "Muy cierto")
    options = [{"value": k, "labels": {"es": label}} for k, label in enumerate(labels, start=1)]
    made |= {"response_scales": {"agree4": {"kind": "truth", "options": options}}}
    made["scales"][0]["title"] = {"es": "S"}
    assert codes(made) == ["double-negative"]
    for item in made["items"]:
        item["text"] = {"es": hard}
    assert sorted(set(codes(made, "problem")), reverse=True) == ["reading-level", "near-duplicate"]
    assert any("Fernández Huerta" in f.message for f in found(made))


def test_other_languages_are_left_to_people() -> None:
    made = with_items(*({"text": {"de": text}} for text in GOOD), languages=["de"], title={"de": "T"})
    made["response_scales"]["agree4"]["options"] = [{"value": k, "labels": {"de": f"a{k}"}} for k in (1, 2, 3, 4)]
    made["scales"][0]["title"] = {"de": "S"}
    assert codes(made) == ["reading-level-unknown"]
    assert "no formula for 'de'" in found(made)[0].message


def test_without_the_library_of_reading_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A note says what to install; everything else is still looked at."""
    for name in ("textstat", "textstat.textstat"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=re.escape("relmeasure[authoring]")):
        english_grade(["One."])
    seen = found(with_items({"facet": None}))
    assert [f.code for f in seen] == ["item-without-facet", "reading-level-unknown"]
    assert "pip install 'relmeasure[authoring]'" in seen[1].message


# --------------------------------------------------------------------------- reading levels
REVIEWS = sorted((ROOT / "docs" / "instruments").glob("*-review.md"))


@pytest.mark.parametrize("path", REVIEWS, ids=lambda path: path.stem)
def test_reading_levels_are_those_of_the_review(path: Any) -> None:
    """Every grade and every pair of Spanish scores in the tables of the reviews."""
    inst = load_instrument(path.stem.removesuffix("-review"))
    compared = 0
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        name = cells[0].split(" ")[0]
        if len(cells) < 5 or name not in inst.item_ids:
            continue
        grade = next(float(cell) for cell in cells if re.fullmatch(r"-?\d+\.\d", cell))
        assert english_grade([inst.item(name).text["en"]]) == pytest.approx(grade, abs=REVIEW_TOLERANCE)
        for pair in (cell.split(" / ") for cell in cells if re.fullmatch(r"\d+ / \d+", cell)):
            expected = (float(pair[1]), float(pair[0]))
            assert spanish_ease([inst.item(name).text["es"]]) == pytest.approx(expected, abs=EASE_TOLERANCE)
        compared += 1
    assert compared == len(inst.items)


@pytest.mark.parametrize(
    ("word", "n"),
    [("día", 2), ("aéreo", 4), ("ciudad", 2), ("leído", 3), ("guerra", 2), ("pingüino", 3), ("queso", 2), ("y", 1),
     ("hoy", 1), ("reír", 2), ("construir", 2), ("héroe", 3), ("murciélago", 4), ("yo", 1), ("estudiáis", 3), ("tv", 1)],
)  # fmt: skip
def test_spanish_syllables(word: str, n: int) -> None:
    """As a dictionary divides them."""
    assert spanish_syllables(word) == n


def test_inflesz_levels() -> None:
    assert [inflesz_name(x) for x in (90, 70, 60, 45, 10)] == [
        "very easy",
        "fairly easy",
        "normal",
        "somewhat difficult",
        "very difficult",
    ]
    assert [inflesz_floor(grade) for grade in (4, 6, 8, 12)] == [65, 65, 55, 40]


def test_grade_of_known_counts() -> None:
    """13 words and 15 syllables in one sentence: 0.39 * 13 + 11.8 * 15 / 13 - 15.59."""
    text = "When I have been away from school, my teacher asks how I am."
    assert english_grade([text]) == pytest.approx(0.39 * 13 + 11.8 * 15 / 13 - 15.59, abs=1e-9)
    assert english_grade(["I can.", "We work in pairs"]) == english_grade(["I can. We work in pairs."])


# --------------------------------------------------------------------------- scaffolds
@pytest.mark.parametrize(
    ("scales", "languages"),
    [
        (None, ("en",)),
        ({"care": 6, "fair.ness": 5}, ("en", "es")),
        ({"a": 1}, ("de", "pt-BR")),
        ({"x-1": 200}, ("es",)),
    ],
)
def test_scaffold_loads_and_lint_says_what_is_left(scales: dict[str, int] | None, languages: Sequence[str]) -> None:
    text = instrument_template("our-class", title='Our "class" \\ one', scales=scales, languages=languages)
    made = parse_bytes(text.encode(), ".toml", source="our-class.toml")
    assert made.title[languages[0]] == 'Our "class" \\ one'
    assert made.languages == tuple(languages)
    assert {scale.id: len(scale.items) for scale in made.scales} == (scales or {"main": 6})
    left = codes(made, "problem")
    assert {"placeholder", "licence"} <= set(left) <= {"placeholder", "licence", "few-items"}
    assert len([line for line in text.splitlines() if "#" in line]) > 15


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"instrument_id": "Our Class"}, "id 'Our Class' does not fit"),
        ({"instrument_id": "../x"}, "id '../x' does not fit"),
        ({"instrument_id": "x\n"}, "does not fit"),
        ({"languages": ["english"]}, "language 'english' does not fit"),
        ({"scales": {'a"\nb': 2}}, "does not fit"),
        ({"scales": {"a": 0}}, "1 to 200"),
        ({"scales": {"a": 201}}, "1 to 200"),
    ],
)
def test_scaffold_refuses_nonsense_in_one_line(options: dict[str, Any], said: str) -> None:
    wanted = {"instrument_id": "ok", **options}
    with pytest.raises(InstrumentError, match=re.escape(said)) as caught:
        instrument_template(wanted.pop("instrument_id"), **wanted)
    assert "\n" not in str(caught.value)


def test_scaffold_that_contradicts_itself_is_not_made() -> None:
    with pytest.raises(InstrumentValidationError, match="collide"):
        instrument_template("ok", scales={"a": 2, "a_1": 2})
    with pytest.raises(InstrumentValidationError):
        instrument_template("ok", title="\x00")
