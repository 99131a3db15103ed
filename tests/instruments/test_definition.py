"""What an instrument answers about itself: keyed values, ranges, levels; and that it stays what was validated."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from relmeasure.exceptions import InstrumentError, InstrumentValidationError
from relmeasure.instruments import Instrument, parse_instrument
from relmeasure.instruments.definition import Item, MissingRule, Norms, Option, ResponseScale, Scale
from relmeasure.instruments.fields import ReadOnlyDict
from tests.instruments.builders import AGREE4, options, tree, with_item, with_response_scale, with_scale

OLBI_DISENGAGEMENT = (1, 3, 6, 7, 9, 11, 13, 15)
OLBI_EXHAUSTION = (2, 4, 5, 8, 10, 12, 14, 16)
OLBI_REVERSED_IF_1_AGREES = (2, 3, 4, 6, 8, 9, 11, 12)
OLBI_REVERSED_IF_1_DISAGREES = (1, 5, 7, 10, 13, 14, 15, 16)


# --------------------------------------------------------------------------- keyed values
def test_keyed_values_reflect_within_the_declared_range() -> None:
    """``min + max - code`` on declared options (pitfall 4.3), whatever codes occur in data."""
    instrument = parse_instrument(with_item(1, key=-1))
    assert instrument.keyed_values("q1") == {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0}
    assert instrument.keyed_values("q2") == {1: 4.0, 2: 3.0, 3: 2.0, 4: 1.0}


def test_keyed_values_from_zero() -> None:
    """A scale that starts at 0 is reflected to 3, not to 4."""
    made = with_response_scale({"kind": "frequency", "options": options(0, 1, 2, 3)})
    made["items"][0]["key"] = -1
    assert parse_instrument(made).keyed_values("q1") == {0: 3.0, 1: 2.0, 2: 1.0, 3: 0.0}


def test_descending_and_reversed_cancel() -> None:
    """An item stored with agreement low and keyed negatively keeps its code: it is turned round twice in one table."""
    made = with_response_scale({**AGREE4, "direction": "descending"})
    made["items"][0]["key"] = -1
    instrument = parse_instrument(made)
    assert instrument.keyed_values("q1") == {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0}
    assert instrument.keyed_values("q2") == {1: 4.0, 2: 3.0, 3: 2.0, 4: 1.0}
    assert not instrument.is_reflected("q1")
    assert instrument.is_reflected("q2")


def test_double_reversal_is_the_identity() -> None:
    """Reflecting a keyed table again gives the unkeyed one back."""
    plain = parse_instrument(tree()).keyed_values("q1")
    turned = parse_instrument(with_item(0, key=-1)).keyed_values("q1")
    assert {code: 5 - value for code, value in turned.items()} == plain


def _olbi(direction: str, reversed_items: tuple[int, ...]) -> Instrument:
    """The published structure of the Oldenburg inventory under one way of storing the answers."""
    return parse_instrument(
        tree(
            id="olbi-teacher",
            kind="structure_only",
            reporter="teacher",
            target="self",
            response_scales={"agree4": {**AGREE4, "direction": direction}},
            items=[
                {"id": f"OLBI{k}", "response_scale": "agree4", "key": -1 if k in reversed_items else 1}
                for k in range(1, 17)
            ],
            scales=[
                {"id": "disengagement", "items": [f"OLBI{k}" for k in OLBI_DISENGAGEMENT], "levels": ["teacher"]},
                {"id": "exhaustion", "items": [f"OLBI{k}" for k in OLBI_EXHAUSTION], "levels": ["teacher"]},
            ],
        )
    )


def test_olbi_the_published_reversal_belongs_to_one_direction_of_storage() -> None:
    """The published key "reverse 2, 3, 4, 6, 8, 9, 11, 12" of *codes*, where 1 is strong agreement, equals reversing
    the other eight where 1 is strong disagreement: the same answers get the same keyed values under both forms.

    Items 2, 4, 8, 12 are worded as burnout, and the published key turns their codes round because agreement is stored
    low; in a definition that is the direction, and the key says that their wording points to burnout.
    """
    every = set(range(1, 17))
    # In a definition the key is relative to the wording. Codes are turned round when exactly one of direction and key
    # says so, so for stored-low agreement the published set of turned codes is the set that is NOT negatively worded.
    negatively_worded = tuple(sorted(every - set(OLBI_REVERSED_IF_1_AGREES)))
    low = _olbi("descending", negatively_worded)
    high = _olbi("ascending", OLBI_REVERSED_IF_1_DISAGREES)
    assert negatively_worded == OLBI_REVERSED_IF_1_DISAGREES
    for k in sorted(every):
        turned = low.keyed_values(f"OLBI{k}") == {1: 4.0, 2: 3.0, 3: 2.0, 4: 1.0}
        assert turned == (k in OLBI_REVERSED_IF_1_AGREES)
        for agreement in (1, 2, 3, 4):  # the same answer, as stored by either form
            assert low.keyed_values(f"OLBI{k}")[5 - agreement] == high.keyed_values(f"OLBI{k}")[agreement]


def test_olbi_key_copied_to_the_wrong_direction_disagrees_everywhere() -> None:
    """The trap itself: the published numbers as keys under the other direction turn every single item round."""
    right = _olbi("ascending", OLBI_REVERSED_IF_1_DISAGREES)
    wrong = _olbi("ascending", OLBI_REVERSED_IF_1_AGREES)
    for item in right.item_ids:
        assert all(right.keyed_values(item)[code] == 5 - wrong.keyed_values(item)[code] for code in (1, 2, 3, 4))


def test_two_response_scales_in_one_scale() -> None:
    """As in the Copenhagen inventory: frequency and degree answers, both worth 100 to 0, make one mean."""
    worth = [100.0, 75.0, 50.0, 25.0, 0.0]
    made = tree(
        response_scales={
            "frequency": {
                "kind": "frequency",
                "direction": "descending",
                "options": options(1, 2, 3, 4, 5, scores=worth),
            },
            "degree": {"kind": "degree", "direction": "descending", "options": options(0, 1, 2, 3, 4, scores=worth)},
        },
        items=[
            {"id": "w1", "response_scale": "degree"},
            {"id": "w2", "response_scale": "frequency"},
            {"id": "w3", "response_scale": "frequency", "key": -1},
        ],
        scales=[{"id": "work", "items": ["w1", "w2", "w3"], "missing": {"min_valid": 2}}],
    )
    instrument = parse_instrument(made)
    assert instrument.keyed_values("w1") == {0: 100.0, 1: 75.0, 2: 50.0, 3: 25.0, 4: 0.0}
    assert instrument.keyed_values("w2") == {1: 100.0, 2: 75.0, 3: 50.0, 4: 25.0, 5: 0.0}
    assert instrument.keyed_values("w3") == {1: 0.0, 2: 25.0, 3: 50.0, 4: 75.0, 5: 100.0}
    assert instrument.scale_range("work") == (0.0, 100.0)
    assert instrument.scale("work").missing.needed(3) == 2


def test_explicit_scores_are_used_and_reflected() -> None:
    """Unequal scores are reflected within their own range."""
    made = with_response_scale({"kind": "degree", "options": options(1, 2, 3, scores=[0, 1, 5])})
    made["items"][1]["key"] = -1
    instrument = parse_instrument(made)
    assert instrument.keyed_values("q1") == {1: 0.0, 2: 1.0, 3: 5.0}
    assert instrument.keyed_values("q2") == {1: 5.0, 2: 4.0, 3: 0.0}


def test_collapse_joins_codes_and_moves_the_range() -> None:
    """Impact! joins its two lowest categories: 0 counts as 1, and the range is 1 to 3."""
    scale = {
        "kind": "agreement",
        "options": options(0, 1, 2, 3),
        "collapse": [{"codes": [0], "to": 1, "reason": "rarely used, as in the published analysis"}],
    }
    made = with_response_scale(scale)
    made["items"][1]["key"] = -1
    instrument = parse_instrument(made)
    assert instrument.response_scales["agree4"].collapsed == {0: 1, 1: 1, 2: 2, 3: 3}
    assert instrument.keyed_values("q1") == {0: 1.0, 1: 1.0, 2: 2.0, 3: 3.0}
    assert instrument.keyed_values("q2") == {0: 3.0, 1: 3.0, 2: 2.0, 3: 1.0}
    assert instrument.response_scales["agree4"].score_range == (1.0, 3.0)


def test_collapse_under_a_descending_direction() -> None:
    """The reflection uses the categories that are left."""
    scale = {
        **AGREE4,
        "direction": "descending",
        "collapse": [{"codes": [1], "to": 2, "reason": "hardly ever chosen"}],
    }
    assert parse_instrument(with_response_scale(scale)).keyed_values("q1") == {1: 4.0, 2: 4.0, 3: 3.0, 4: 2.0}


def test_missing_codes_are_kept_apart() -> None:
    """Skipped, not applicable, not administered and invalid have their own codes."""
    reasons = ["skipped", "not_applicable", "not_administered", "invalid"]
    missing = [{"code": 90 + k, "reason": reason} for k, reason in enumerate(reasons)]
    scale = parse_instrument(with_response_scale({**AGREE4, "missing": missing})).response_scales["agree4"]
    assert scale.missing_codes == {90: "skipped", 91: "not_applicable", 92: "not_administered", 93: "invalid"}
    assert scale.codes == (1, 2, 3, 4)
    assert scale.null_reason == "skipped"


# --------------------------------------------------------------------------- ranges
def test_numeric_range_from_zero_and_below() -> None:
    """A minimum of 0 or less is a minimum, not an absent one."""
    for low, high in ((0, 100), (-5, 5), (-10, 0)):
        instrument = parse_instrument(with_response_scale({"kind": "range", "minimum": low, "maximum": high}))
        assert instrument.response_scales["agree4"].score_range == pytest.approx((low, high))
        assert instrument.keyed_values("q1") == {}
        assert instrument.scale_range("warm") == pytest.approx((low, high))


def test_numeric_range_is_reflected_by_key_or_direction() -> None:
    """Once by either, not at all by both."""
    for direction, key, reflected in (
        ("ascending", 1, False),
        ("ascending", -1, True),
        ("descending", 1, True),
        ("descending", -1, False),
    ):
        made = with_response_scale({"kind": "range", "minimum": 0, "maximum": 100, "direction": direction})
        made["items"][0]["key"] = key
        assert parse_instrument(made).is_reflected("q1") is reflected


def test_open_answers_have_no_values() -> None:
    """An open comment is carried, never scored, and asking for its range is a typed error."""
    made = tree()
    made["response_scales"]["comment"] = {"kind": "open"}
    made["items"].append({"id": "say", "response_scale": "comment"})
    instrument = parse_instrument(made)
    assert instrument.keyed_values("say") == {}
    assert "say" not in instrument.scored_items()
    with pytest.raises(InstrumentError, match="no range of scores"):
        _ = instrument.response_scale("say").score_range


@pytest.mark.parametrize(
    ("method", "extra", "expected"),
    [("mean", {}, (1.0, 4.0)), ("sum", {}, (2.0, 8.0)), ("pomp", {}, (0.0, 100.0))],
)
def test_scale_range_of_items(method: str, extra: dict[str, Any], expected: tuple[float, float]) -> None:
    """What a score can be at all, by its rule."""
    instrument = parse_instrument(with_scale(scoring={"method": method, **extra}))
    assert instrument.scale_range("warm") == expected


def test_scale_range_of_composites() -> None:
    """A weighted composite takes the lower end of a subscale times a positive weight, the upper times a negative one."""
    made = tree()
    made["scales"] += [
        {"id": "both", "subscales": ["warm", "fair"], "scoring": {"method": "mean_of_subscales"}},
        {
            "id": "axis",
            "subscales": ["warm", "fair"],
            "scoring": {"method": "weighted", "weights": {"warm": 0.92, "fair": -0.38}},
        },
    ]
    instrument = parse_instrument(made)
    assert instrument.scale_range("both") == (1.0, 4.0)
    assert instrument.scale_range("axis") == pytest.approx((0.92 - 4 * 0.38, 4 * 0.92 - 0.38))
    assert instrument.scale_items("both") == ("q1", "q2", "q3", "q4")


@pytest.mark.parametrize(
    ("rule", "n", "needed"),
    [
        ({}, 5, 5),
        ({"min_valid": 3}, 5, 3),
        ({"min_share": 0.5}, 5, 3),
        ({"min_share": 0.5}, 4, 2),
        ({"min_share": 0.8}, 5, 4),
        ({"min_share": 2 / 3}, 3, 2),
        ({"min_share": 0.01}, 3, 1),
        ({"min_share": 1.0}, 7, 7),
    ],
)
def test_missing_rule_counts(rule: dict[str, Any], n: int, needed: int) -> None:
    """Shares are rounded up, without being thrown by binary fractions."""
    assert MissingRule(**rule).needed(n) == needed


def test_missing_rule_in_words() -> None:
    """A rule reads as a phrase."""
    assert MissingRule(min_share=0.75).in_words(6) == "at least 75% of the applicable items answered"
    assert MissingRule(min_valid=3).in_words(6) == "at least 3 of 6 answered"


# --------------------------------------------------------------------------- access
def test_unknown_names_are_key_errors_with_a_hint() -> None:
    """A renamed label never matches nothing (pitfall 4.22)."""
    instrument = parse_instrument(tree())
    with pytest.raises(KeyError, match=r"no item 'q11'\. Did you mean 'q1'"):
        instrument.item("q11")
    with pytest.raises(KeyError, match=r"no scale 'warmth'\. Did you mean 'warm'"):
        instrument.scale("warmth")
    unhashable: Any = ["q1"]
    with pytest.raises(KeyError, match="no item"):
        instrument.item(unhashable)


def test_repr_is_one_line() -> None:
    """An instrument prints as a name and counts, not as pages of fields."""
    instrument = parse_instrument(tree())
    assert repr(instrument) == str(instrument) == "Instrument('toy-student@1.0': 4 items, 2 scales, draft)"


# --------------------------------------------------------------------------- frozen
def test_nothing_inside_can_be_changed() -> None:
    """Attributes, and the dicts inside, refuse to change."""
    instrument = parse_instrument(
        tree(
            languages=["en"],
            licence={"id": "cc_by", "wording": "included"},
            items=[{"id": "q1", "response_scale": "agree4", "text": {"en": "One"}}],
            scales=[],
            blueprint={"definition": "What is meant.", "facets": {"a": "A"}},
        )
    )
    with pytest.raises(ValueError, match="frozen"):
        instrument.id = "other"
    assert instrument.blueprint is not None
    inner: list[Any] = [
        instrument.title,
        instrument.response_scales,
        instrument.items[0].text,
        instrument.blueprint.facets,
        Option(value=1).labels,
        Scale(id="s").scoring.weights,
    ]
    changes: list[Callable[[Any], Any]] = [
        lambda m: m.__setitem__("x", "y"),
        lambda m: m.__delitem__("en"),
        lambda m: m.update(x="y"),
        lambda m: m.__ior__({"x": "y"}),
        lambda m: m.setdefault("x", "y"),
        lambda m: m.pop("en"),
        lambda m: m.popitem(),
        lambda m: m.clear(),
    ]
    for mapping in inner:
        assert isinstance(mapping, ReadOnlyDict)
        for change in changes:
            with pytest.raises(TypeError, match="read-only"):
                change(mapping)


def test_equal_hash_pickle_copy_dump() -> None:
    """The read-only parts survive every way of copying, and equal instruments hash alike."""
    instrument = parse_instrument(with_item(0, key=-1))
    again = parse_instrument(with_item(0, key=-1))
    assert instrument == again
    assert hash(instrument) == hash(again)
    assert instrument != parse_instrument(tree())
    instrument.item("q1")  # fills what is looked up by id
    assert instrument == again
    assert hash(instrument) == hash(again)
    for twin in (pickle.loads(pickle.dumps(instrument)), copy.copy(instrument), copy.deepcopy(instrument)):
        assert twin == instrument
        assert hash(twin) == hash(instrument)
        assert isinstance(twin.title, ReadOnlyDict)
        assert twin.keyed_values("q1") == {1: 4.0, 2: 3.0, 3: 2.0, 4: 1.0}
    assert type(instrument.model_dump()["title"]) is dict
    assert Instrument.model_validate(instrument.model_dump()) == instrument
    assert Instrument.model_validate_json(instrument.model_dump_json()) == instrument


def test_a_changed_copy_is_validated() -> None:
    """``model_copy`` is no way around the checks, and does not carry stale look-ups along."""
    instrument = parse_instrument(tree())
    assert instrument.item("q1").key == 1
    changed = instrument.model_copy(update={"items": [{**dict(i), "key": -1} for i in instrument.items]})
    assert changed.item("q1").key == -1
    assert instrument.model_copy() == instrument
    with pytest.raises(InstrumentValidationError, match="is not declared"):
        instrument.model_copy(update={"items": instrument.items[:1]})
    with pytest.raises(InstrumentValidationError, match="raw scores must rise"):
        instrument.model_copy(
            update={
                "norms": [
                    Norms(
                        id="n",
                        kind="lookup",
                        population="p",
                        date="2020",
                        version="1",
                        source="s",
                        table=((1, 1), (1, 2)),
                    )
                ]
            }
        )


# --------------------------------------------------------------------------- nothing is coerced
@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema_version",), "1"),
        (("schema_version",), True),
        (("items", 0, "key"), "1"),
        (("items", 0, "key"), True),
        (("items", 0, "key"), 1.0),
        (("items", 0, "key"), 2),
        (("response_scales", "agree4", "options", 0, "value"), "1"),
        (("response_scales", "agree4", "options", 0, "value"), 1.0),
        (("response_scales", "agree4", "options", 0, "value"), True),
        (("response_scales", "agree4", "options", 0, "value"), 10**400),
        (("response_scales", "agree4", "options", 0, "score"), "1"),
        (("response_scales", "agree4", "options", 0, "score"), float("nan")),
        (("response_scales", "agree4", "options", 0, "score"), float("inf")),
        (("response_scales", "agree4", "options", 0, "score"), 1e300),
        (("scales", 0, "missing"), {"min_share": "0.5"}),
        (("scales", 0, "missing"), {"min_share": True}),
        (("scales", 0, "missing"), {"min_share": 0}),
        (("scales", 0, "missing"), {"min_share": 1.5}),
        (("scales", 0, "missing"), {"min_valid": 1.0}),
        (("scales", 0, "missing"), {"min_valid": 0}),
        (("scales", 0, "missing"), {"prorate": 1}),
        (("scales", 0, "missing"), {"prorate": "yes"}),
        (("scales", 0, "items"), "q1"),
        (("scales", 0, "levels"), []),
        (("title",), "Toy"),
        (("title",), {}),
        (("title",), {"en": "   "}),
        (("title",), {"en": "bell \x07"}),
        (("title",), {"en": "colour \x1b[31m"}),
        (("title",), {"en": "broken \ud800"}),
        (("title",), {"EN": "x"}),
        (("title",), {"": "x"}),
        (("id",), "Toy"),
        (("id",), "../etc/passwd"),
        (("id",), "toy student"),
        (("id",), "toy-student\n"),
        (("id",), "x" * 81),
        (("version",), "1"),
        (("version",), "१.२"),
        (("items", 0, "id"), "1q"),
        (("items", 0, "id"), "q 1"),
        (("items", 0, "id"), "q1\n"),
        (("items",), {}),
        (("items",), []),
        (("response_scales",), {}),
        (("citation",), None),
        (("grades",), [4]),
    ],
)
def test_wrong_values_are_refused(path: tuple[str | int, ...], value: Any) -> None:
    """Text is not a number, true is not 1, and nothing is cut, stripped or rounded into shape."""
    made = tree()
    node: Any = made
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    for build in (parse_instrument, lambda m: Instrument(**m), Instrument.model_validate):
        with pytest.raises(InstrumentValidationError) as caught:
            build(made)
        assert str(caught.value).isprintable() or "\n" in str(caught.value)
        assert "\x1b" not in str(caught.value)
        str(caught.value).encode("utf-8")


# --------------------------------------------------------------------------- wording of a licensed user
def test_with_text_attaches_wording_and_says_so() -> None:
    """Texts are merged per language; the licence then says who supplied them."""
    bare = parse_instrument(tree(kind="structure_only", licence={"id": "proprietary"}))
    worded = bare.with_text({"q1": {"en": "One"}, "q2": {"en": "Two", "es": "Dos"}})
    again = worded.with_text({"q1": {"es": "Uno"}})
    assert worded.languages == ("en", "es")
    assert worded.licence.wording == "user_supplied"
    assert again.item("q1").text == {"en": "One", "es": "Uno"}
    assert bare.item("q1").text == {}
    assert bare.licence.wording == "not_included"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ({"q9": {"en": "x"}}, "no item 'q9'"),
        ({"q1": "x"}, "items.q1.text: must be a table"),
        ({"q1": {"English": "x"}}, "items.q1.text: the key 'English' does not fit"),
        ({"q1": {"en": ""}}, "items.q1.text.en: is empty"),
        ({"q1": {"en": 3}}, "items.q1.text.en: must be text"),
        ({"q1": None}, "items.q1.text: must be a table"),
        ("q1", "with_text takes a table"),
        (None, "with_text takes a table"),
    ],
)
def test_with_text_names_what_is_wrong(text: Any, message: str) -> None:
    """Every mistake is an InstrumentValidationError that names the item."""
    with pytest.raises(InstrumentValidationError, match=message):
        parse_instrument(tree()).with_text(text)


def test_with_text_reports_every_mistake() -> None:
    """All of them at once."""
    with pytest.raises(InstrumentValidationError) as caught:
        parse_instrument(tree()).with_text({"q1": {"en": ""}, "q2": {"en": ""}})
    assert len(caught.value.details["problems"]) == 2


# --------------------------------------------------------------------------- parts built alone
def test_parts_raise_our_error_too() -> None:
    """Item(...), Scale(...) and ResponseScale(...) speak like Instrument(...)."""
    with pytest.raises(
        InstrumentValidationError, match=r"item 'q1': 1 problem\n  - unknown key 'respons_scale'\. Did you"
    ):
        Item(id="q1", respons_scale="x")  # type: ignore[call-arg]
    with pytest.raises(InstrumentValidationError, match=r"response scale: 1 problem\n  - kind: 'agree' is not"):
        ResponseScale(kind="agree")  # type: ignore[arg-type]
    with pytest.raises(InstrumentValidationError, match=r"levels\[0\]: 'klass' is not allowed\. Did you"):
        Scale.model_validate({"id": "s", "items": ["a"], "levels": ["klass"]})
