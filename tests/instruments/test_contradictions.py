"""Every mistake that a definition can hold is one sentence that names the place and the fix."""

from __future__ import annotations

from typing import Any

import pytest

from relmeasure.exceptions import InstrumentValidationError
from relmeasure.instruments import parse_instrument
from tests.instruments.builders import AGREE4, Tree, options, tree, with_item, with_response_scale, with_scale


def problems(made: Tree) -> list[str]:
    """The problems of a file, or none."""
    try:
        parse_instrument(made, source="toy.toml")
    except InstrumentValidationError as caught:
        error = caught
    else:
        return []
    assert str(error).startswith("toy.toml: ")
    found: list[str] = error.details["problems"]
    assert all(problem in str(error) for problem in found[:20])
    return found


def only(made: Tree) -> str:
    """The one problem of a file."""
    found = problems(made)
    assert len(found) == 1, found
    return found[0]


def norm(**changes: Any) -> Tree:
    """A sound T-score norm."""
    made = {"id": "n", "kind": "t_score", "population": "p", "date": "2020", "version": "1", "source": "s"}
    return {**made, "mean": 2.5, "sd": 0.5, **changes}


def lookup(*table: tuple[float, float], **changes: Any) -> Tree:
    """A lookup norm."""
    made = norm(kind="lookup", table=[list(row) for row in table], **changes)
    return {key: value for key, value in made.items() if key not in {"mean", "sd"} or key in changes}


def normed(*norms: Tree, method: str = "mean") -> Tree:
    """The sound instrument whose first scale uses norm ``n``."""
    return with_scale(scoring={"method": method, "norms": "n"}) | {"norms": list(norms)}


def test_the_sound_instrument_is_sound() -> None:
    """The builders start from something without a problem."""
    assert problems(tree()) == []
    assert problems(normed(norm())) == []
    assert problems(normed(lookup((2, 30), (5, 50), (8, 70)), method="sum")) == []


# --------------------------------------------------------------------------- items and scales
def test_item_in_two_scales_unless_declared() -> None:
    """Pitfall 4.25."""
    made = with_scale(items=["q1", "q2", "q3"])
    assert only(made) == (
        "items.q3: is in 2 scales (warm, fair): take it out of all but one, or name it in shared_items if that is meant."
    )
    assert problems(made | {"shared_items": ["q3"]}) == []


def test_item_twice_in_one_scale() -> None:
    """Every item once per scale."""
    assert only(with_scale(items=["q1", "q2", "q2"])) == (
        "scales.warm: component 'q2' is given 2 times: name each item or subscale once."
    )


def test_scale_names_an_unknown_item() -> None:
    """With what was probably meant."""
    made = tree(items=[{"id": f"care_{k}", "response_scale": "agree4"} for k in (1, 2)], scales=[])
    made["scales"] = [{"id": "care", "items": ["care_1", "care-2"]}]
    assert only(made) == "scales.care: item 'care-2' is not declared. Did you mean 'care_2'?"


def test_shared_items_names_an_unknown_or_unshared_item() -> None:
    """A declaration that declares nothing is a mistyped one."""
    assert only(tree(shared_items=["q9"])).startswith("shared_items: item 'q9' is not declared.")
    assert only(tree(shared_items=["q1"])) == "shared_items: 'q1' is not in two scales: remove it from shared_items."
    made = with_scale(items=["q1", "q2", "q3"]) | {"shared_items": ["q3", "q3"]}
    assert only(made) == "shared_items: item 'q3' is given 2 times: name each item once."


def test_ids_are_unique() -> None:
    """Of items, scales and norms."""
    made = tree()
    made["items"].append({"id": "q1", "response_scale": "agree4"})
    assert only(made) == "items: id 'q1' is given 2 times: ids of items must be unique."
    made = tree()
    made["scales"][1]["id"] = "warm"
    assert "scales: id 'warm' is given 2 times: ids of scales must be unique." in problems(made)
    assert "norms: id 'n' is given 2 times: ids of norms must be unique." in problems(normed(norm(), norm()))


def test_ids_that_would_share_a_column() -> None:
    """SQL engines ignore case, and scores become columns beside the items."""
    made = tree()
    made["items"][3]["id"] = "Q1"
    made["scales"][1]["items"] = ["q3", "Q1"]
    assert only(made) == "items.Q1: differs from 'q1' only in case, which SQL engines ignore: rename one."
    made = tree()
    made["scales"][0]["id"] = "q1"
    assert only(made) == "scales.q1: its score column 'q1' would collide with 'q1': rename one."
    made = tree()
    made["scales"][1]["id"] = "warm_n_valid"
    assert "'warm_n_valid' would collide with 'scale warm'" in only(made)


def test_languages_and_grades_are_named_once() -> None:
    """A list with an entry twice is a slip."""
    assert only(tree(languages=["en", "en"])) == "languages: language 'en' is given 2 times: name each language once."
    assert only(tree(grades=["4", "5", "4"])) == "grades: grade '4' is given 2 times: name each grade once."


def test_item_names_an_unknown_response_scale_or_facet() -> None:
    """References inside the file must exist."""
    assert only(with_item(response_scale="agree5")) == (
        "items.q1: response_scale 'agree5' is not declared. Did you mean 'agree4'?"
    )
    assert "facet 'care' is not declared in blueprint.facets" in only(with_item(facet="care"))
    made = with_item(facet="cares") | {"blueprint": {"definition": "d", "facets": {"care": "c"}}}
    assert only(made).endswith("Did you mean 'care'?")


def test_open_answers_cannot_be_scored_or_keyed() -> None:
    """An open comment is carried."""
    made = tree()
    made["response_scales"]["comment"] = {"kind": "open"}
    made["items"].append({"id": "say", "response_scale": "comment", "key": -1})
    made["scales"][0]["items"].append("say")
    assert problems(made) == [
        "items.say: an open answer has no direction: remove key = -1.",
        "scales.warm: item 'say' is an open answer and cannot be scored: take it out of the scale.",
    ]
    made = with_response_scale({"kind": "open", "options": options(1, 2), "minimum": 0}, scales=[])
    assert "an open answer is carried, not coded: remove options, minimum." in only(made)


# --------------------------------------------------------------------------- response scales
@pytest.mark.parametrize(
    ("scale", "message"),
    [
        ({"kind": "agreement", "options": options(1, 2, 2, 3)}, "option value '2' is given 2 times"),
        (
            {"kind": "agreement", "options": options(4, 3, 2, 1)},
            "options must be listed by rising value; seen 4, 3, 2, 1",
        ),
        ({"kind": "agreement", "options": options(1)}, "at least 2 options are needed; seen 1"),
        ({"kind": "agreement"}, "at least 2 options are needed; seen 0"),
        ({"kind": "dichotomous", "options": options(0, 1, 2)}, "a dichotomous scale has 2 options; seen 3"),
        ({**AGREE4, "minimum": 1}, "minimum and maximum go with kind = 'range'"),
        ({**AGREE4, "missing": [{"code": 4, "reason": "skipped"}]}, "code 4 is both an answer and a missing code"),
        (
            {**AGREE4, "missing": [{"code": 9, "reason": "skipped"}, {"code": 9, "reason": "invalid"}]},
            "missing code '9' is given 2 times",
        ),
        ({"kind": "range"}, "a range needs minimum and maximum; seen None and None"),
        ({"kind": "range", "minimum": 0}, "a range needs minimum and maximum; seen 0.0 and None"),
        ({"kind": "range", "minimum": 5, "maximum": 5}, "minimum must be below maximum; seen 5 and 5"),
        ({"kind": "range", "minimum": 0, "maximum": 9, "options": options(1, 2)}, "no options: remove them"),
        (
            {"kind": "range", "minimum": 0, "maximum": 100, "missing": [{"code": 99, "reason": "skipped"}]},
            "missing code 99 lies within the range 0 to 100",
        ),
    ],
)
def test_response_scales(scale: Tree, message: str) -> None:
    """Codes, ranges and missing codes must not contradict each other."""
    found = only(with_response_scale(scale))
    assert found.startswith("response_scales.agree4: ")
    assert message in found


@pytest.mark.parametrize(
    ("scores", "direction", "message"),
    [
        ([1, 2, 4, 3], "ascending", "option scores 1, 2, 4, 3 neither rise nor fall all the way"),
        ([1, 2, 2, 3], "ascending", "hold one twice: declare a collapse to join codes"),
        ([4, 3, 2, 1], "ascending", "contradict direction = 'ascending': set direction = 'descending'"),
        ([1, 2, 3, 4], "descending", "contradict direction = 'descending': set direction = 'ascending'"),
    ],
)
def test_option_scores(scores: list[float], direction: str, message: str) -> None:
    """Explicit scores run one way, and that is the declared direction."""
    scale = {"kind": "degree", "direction": direction, "options": options(1, 2, 3, 4, scores=scores)}
    assert message in only(with_response_scale(scale))


def test_some_options_with_scores() -> None:
    """All or none."""
    scale = {"kind": "degree", "options": [{"value": 1, "score": 0}, {"value": 2}, {"value": 3, "score": 2}]}
    assert "2 of 3 options have a score: give all of them one, or none." in only(with_response_scale(scale))


@pytest.mark.parametrize(
    ("collapse", "message"),
    [
        ([([9], 1)], "collapse names code 9, which is not an option (1, 2, 3, 4)"),
        ([([1], 9)], "collapse names code 9, which is not an option"),
        ([([1], 2), ([1], 3)], "code 1 is collapsed twice, to 2 and to 3: keep one."),
        ([([1], 2), ([2], 3)], "code 1 is collapsed to 2, and that to 3: name the last one in both."),
        ([([1], 3)], "collapsing puts the codes out of order (3, 2, 3, 4): join neighbours only."),
        ([([4], 1)], "collapsing puts the codes out of order (1, 2, 3, 1): join neighbours only."),
        ([([1, 2, 3], 4)], "collapsing leaves a single category: leave at least two."),
    ],
)
def test_collapse(collapse: list[tuple[list[int], int]], message: str) -> None:
    """Joining categories keeps their order and leaves at least two."""
    made = [{"codes": codes, "to": to, "reason": "r"} for codes, to in collapse]
    assert message in problems(with_response_scale({**AGREE4, "collapse": made}))[0]


def test_collapse_of_a_range_is_refused() -> None:
    """A range has no categories to join; it is not ignored."""
    scale = {"kind": "range", "minimum": 0, "maximum": 9, "collapse": [{"codes": [0], "to": 1, "reason": "r"}]}
    assert "a range has minimum and maximum, no collapse" in only(with_response_scale(scale))


def test_labels_are_told_apart_within_a_language() -> None:
    """Two options with one label cannot be told apart by who answers or by who reads the data."""
    labelled = [{"value": 1, "labels": {"en": "No", "es": "No"}}, {"value": 2, "labels": {"en": " no ", "es": "Sí"}}]
    made = with_response_scale({"kind": "truth", "options": labelled}, languages=["en", "es"])
    assert only(made) == "response_scales.agree4: options 1 and 2 share a label in 'en': tell them apart."
    scale = {
        "kind": "truth",
        "options": [{"value": 1, "labels": {"en": "No"}}, {"value": 2, "labels": {"en": "Yes"}}],
        "missing": [{"code": 9, "reason": "not_applicable", "labels": {"en": "No"}}],
    }
    assert "missing code 9 bears the label of an option in 'en'" in only(with_response_scale(scale, languages=["en"]))
    assert "labels in en, not in languages (none)" in problems(with_response_scale(scale))[-1]


def test_mixed_ranges_in_a_scale() -> None:
    """A mean over 1-4 and 1-5 items weighs them unequally; pomp does not."""
    made = tree()
    made["response_scales"]["agree5"] = {"kind": "agreement", "options": options(1, 2, 3, 4, 5)}
    made["items"][1]["response_scale"] = "agree5"
    assert only(made) == (
        "scales.warm: its items run over different ranges (1 to 4, 1 to 5): use method = 'pomp', or give option scores."
    )
    made["scales"][0]["scoring"] = {"method": "pomp"}
    assert problems(made) == []
    made["scales"].append({"id": "all", "subscales": ["warm", "fair"], "scoring": {"method": "mean_of_subscales"}})
    assert "its subscales run over different ranges (0 to 100, 1 to 4)" in only(made)


# --------------------------------------------------------------------------- scoring and missing rules
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"items": []}, "a scale has either items or subscales"),
        ({"subscales": ["fair"]}, "a scale has either items or subscales"),
        ({"scoring": {"method": "mean_of_subscales"}}, "'mean_of_subscales' does not go with items"),
        ({"scoring": {"weights": {"q1": 1}}}, "weights go with method = 'weighted'; the method is 'mean'"),
        ({"missing": {"min_valid": 1, "min_share": 0.5}}, "min_valid and min_share are both given"),
        ({"missing": {"min_valid": 3}}, "min_valid = 3, but there are only 2 components"),
        ({"scoring": {"method": "sum"}, "missing": {"min_valid": 1}}, "would count a gap as zero: set prorate = true"),
        ({"scoring": {"method": "sum"}, "missing": {"min_share": 0.5}}, "would count a gap as zero"),
        ({"scoring": {"method": "sum"}, "missing": {"min_share": 1}}, "would count a gap as zero"),
        ({"missing": {"min_valid": 1, "prorate": True}}, "prorate applies to a sum; a mean needs none"),
        ({"scoring": {"method": "sum"}, "missing": {"prorate": True}}, "prorate = true, but every item is required"),
        ({"missing": {"round_prorated": True}}, "round_prorated goes with prorate = true"),
        ({"levels": ["student", "student"]}, "level 'student' is given 2 times"),
    ],
)
def test_scoring_and_missing_rules(changes: Tree, message: str) -> None:
    """Rules that contradict each other, or that would score a gap."""
    found = only(with_scale(**changes))
    assert found.startswith("scales.warm: ")
    assert message in found


@pytest.mark.parametrize(
    "changes",
    [
        {"scoring": {"method": "sum"}},
        {"scoring": {"method": "sum"}, "missing": {"min_valid": 2}},
        {"scoring": {"method": "sum"}, "missing": {"min_valid": 1, "prorate": True, "round_prorated": True}},
        {"scoring": {"method": "sum"}, "missing": {"min_share": 0.5, "prorate": True}},
        {"scoring": {"method": "pomp"}, "missing": {"min_share": 0.5}},
        {"scoring": {"decimals": 2}, "missing": {"min_share": 0.5}},
    ],
)
def test_sound_rules_are_accepted(changes: Tree) -> None:
    """The checks do not refuse what is meant."""
    assert problems(with_scale(**changes)) == []


def composite(**changes: Any) -> Tree:
    """The sound instrument with a composite of its two scales."""
    made = tree()
    made["scales"].append({"id": "both", "subscales": ["warm", "fair"], **changes})
    return made


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "scoring method 'mean' does not go with subscales"),
        ({"scoring": {"method": "weighted"}}, "weights are given for nothing, but the subscales are warm, fair"),
        ({"scoring": {"method": "weighted", "weights": {"warm": 1}}}, "give one weight a subscale"),
        ({"scoring": {"method": "weighted", "weights": {"warm": 1, "fair": 1, "x": 1}}}, "give one weight a subscale"),
        ({"scoring": {"method": "weighted", "weights": {"warm": 0, "fair": 0}}}, "every weight is 0"),
        (
            {"scoring": {"method": "weighted", "weights": {"warm": 1, "fair": 1}}, "missing": {"min_valid": 1}},
            "a weighted composite needs all its subscales",
        ),
        (
            {"scoring": {"method": "mean_of_subscales"}, "levels": ["student", "class"]},
            "is for level class, but its subscale 'warm' is not: remove the level.",
        ),
        (
            {"scoring": {"method": "mean_of_subscales"}, "subscales": ["warm", "fare"]},
            "subscale 'fare' is not declared. Did you mean 'fair'?",
        ),
    ],
)
def test_composites(changes: Tree, message: str) -> None:
    """Composites over subscales."""
    assert message in problems(composite(**changes))[0]


def test_scales_that_contain_themselves() -> None:
    """A circle is named, also a small one; the other checks still run."""
    made = composite(scoring={"method": "mean_of_subscales"}, subscales=["both"])
    assert problems(made) == ["scales: both contain themselves through their subscales: break the circle."]
    made = tree()
    mean = {"method": "mean_of_subscales"}
    made["scales"] += [
        {"id": "a", "subscales": ["b"], "scoring": mean},
        {"id": "b", "subscales": ["a", "warm"], "scoring": mean},
    ]
    made["scales"][0]["items"] = ["q1", "q7"]
    assert problems(made) == [
        "scales: a, b contain themselves through their subscales: break the circle.",
        "scales.warm: item 'q7' is not declared.",
    ]


def test_scales_nested_without_end() -> None:
    """A chain of hundreds would exhaust recursion; ten levels are more than any instrument has."""
    mean = {"method": "mean_of_subscales"}
    made = tree()
    made["scales"] += [{"id": f"c{k}", "subscales": [f"c{k + 1}"], "scoring": mean} for k in range(400)]
    made["scales"].append({"id": "c400", "subscales": ["warm"], "scoring": mean})
    assert only(made) == "scales: nested more than 10 deep: name the items or the lowest subscales directly."


# --------------------------------------------------------------------------- levels
@pytest.mark.parametrize(
    ("reporter", "target", "levels", "wrong"),
    [
        ("teacher", "self", ["student"], "student"),
        ("teacher", "self", ["teacher", "class"], "class"),
        ("teacher", "class", ["student", "class"], "student"),
        ("observer", "lesson", ["student"], "student"),
        ("staff", "school", ["class"], "class"),
        ("student", "teacher", ["student", "class", "teacher", "school"], None),
        ("teacher", "student", ["student", "class"], None),
        ("teacher", "self", ["teacher", "school"], None),
        ("parent", "school", ["student", "school"], None),
    ],
)
def test_levels_exist_for_reporter_and_target(reporter: str, target: str, levels: list[str], wrong: str | None) -> None:
    """A teacher who reports on the own strain gives no student-level score."""
    made = with_scale(levels=levels) | {"reporter": reporter, "target": target}
    made["scales"] = made["scales"][:1]
    found = problems(made)
    if wrong is None:
        assert found == []
    else:
        assert found[0].startswith(
            f"scales.warm: levels {wrong} do not exist when the {reporter} reports on {target}: "
        )


def test_default_level_of_a_teacher_form_is_caught() -> None:
    """Where no level is given it is the student, which a teacher form about the self does not have."""
    found = problems(tree(reporter="teacher", target="self"))
    assert found[0].endswith("name levels among teacher, school.")


# --------------------------------------------------------------------------- norms and figures
@pytest.mark.parametrize(
    ("made", "message"),
    [
        (norm(mean=None), "a T-score norm needs mean and sd"),
        (norm(table=[[1, 2]]), "a T-score norm has no table"),
        (lookup((1, 30)), "a lookup norm needs at least 2 rows; seen 1"),
        (lookup((1, 30), (2, 40), mean=2.0), "a lookup norm has a table, no mean or sd"),
        (lookup((1, 30), (3, 40), (2, 50)), "raw scores must rise from row to row; 2 follows 3"),
        (lookup((1, 30), (1, 40)), "raw scores must rise from row to row; 1 follows 1"),
        (lookup((1, 30), (2, 54), (3, 45), (4, 60)), "the table is not monotone at raw 3 -> 45: check these rows"),
        (lookup((1, 60), (2, 45), (3, 54), (4, 30)), "the table is not monotone at raw 3 -> 54"),
        (lookup((1, 50), (2, 50)), "every raw score is reported as 50"),
        (norm(date="2020-13"), "date '2020-13' is not in the calendar"),
        (norm(date="2021-02-29"), "date '2021-02-29' is not in the calendar"),
    ],
)
def test_norms(made: Tree, message: str) -> None:
    """Typing errors of norm tables (eleven were once found by monotonicity alone)."""
    found = problems(normed(made))
    assert found[0].startswith("norms.n: ")
    assert message in found[0]


def test_norms_for_another_metric() -> None:
    """A norm of sums for a mean, or of 0-4 for 1-5: cut-offs are bound to the scored range (pitfall 4.4)."""
    assert only(normed(norm(mean=13.2))).startswith(
        "scales.warm: norms 'n' hold the mean 13.2, but the score runs from 1 to 4"
    )
    assert "hold raw scores 0, 5" in only(normed(lookup((0, 30), (2, 50), (5, 70))))
    assert problems(normed(norm(mean=5), method="sum")) == []
    assert problems(normed(norm(mean=55), method="pomp")) == []
    assert problems(normed(lookup((1, 70), (2.5, 50), (4, 30)))) == []


def test_norms_of_composites() -> None:
    """The range of a composite is checked where its subscales are raw; normed subscales have no known range."""
    made = composite(
        scoring={"method": "weighted", "weights": {"warm": 1, "fair": -1}, "norms": "n"},
    ) | {"norms": [norm(mean=4)]}
    assert "hold the mean 4, but the score runs from -3 to 3" in only(made)
    made["scales"][0]["scoring"] = {"norms": "m"}
    made["norms"].append(norm(id="m"))
    assert problems(made) == []
    made = normed(norm(mean=99))
    made["scales"][0]["items"] = ["q1", "q9"]
    assert only(made) == "scales.warm: item 'q9' is not declared."


def test_norms_and_scales_named_must_exist() -> None:
    """References to norms, and of published figures to scales."""
    assert only(with_scale(scoring={"norms": "nn"})).startswith("scales.warm: norms 'nn' are not declared.")
    figure = {"coefficient": "alpha", "value": 0.8, "sample": "s", "source": "u"}
    assert problems(tree(published_figures=[{**figure, "scale": "warm"}])) == []
    assert only(tree(published_figures=[{**figure, "scale": "warn"}])) == (
        "published_figures[0]: scale 'warn' is not declared. Did you mean 'warm'?"
    )
    assert only(tree(published_figures=[{**figure, "value": 8.0}])) == (
        "published_figures[0]: alpha = 8 is above 1, which it cannot be: check the source."
    )


# --------------------------------------------------------------------------- licence and wording
def worded(**licence: Any) -> Tree:
    """An instrument of one item with English text."""
    return tree(
        languages=["en"],
        licence={"id": "cc_by", "wording": "included", **licence},
        items=[{"id": "q1", "response_scale": "agree4", "text": {"en": "One"}}],
        scales=[],
    )


def test_wording_and_licence_agree() -> None:
    """Wording ships only where the licence lets it, and is there where the licence says so."""
    assert problems(worded()) == []
    assert "a 'proprietary' licence does not let it ship" in only(worded(id="proprietary"))
    assert "has wording, but licence.wording = 'not_included'" in only(worded(wording="not_included"))
    assert "there is no wording, but wording = 'included'" in only(worded() | {"kind": "structure_only"})
    found = problems(worded() | {"languages": ["en", "es"]})
    assert found == ["items.q1: no text in es, which languages names: add the text, or drop the language."]
    found = problems(worded() | {"languages": []})
    assert found[0].startswith("languages: wording is included, but no language is named")
    assert found[1] == "items.q1: text in en, not in languages (none): add it there."


# --------------------------------------------------------------------------- together
def test_all_problems_are_reported_together() -> None:
    """One error for the file, not one for each try."""
    made = tree(response_scales={"agree4": {"kind": "agreement", "options": options(1, 1)}}, shared_items=["zz"])
    made["items"][0]["response_scale"] = "nope"
    made["scales"][0]["items"] = ["q1", "q8"]
    made["scales"][1]["missing"] = {"min_valid": 5}
    found = problems(made)
    assert [problem.split(":")[0] for problem in found] == [
        "response_scales.agree4",
        "items.q1",
        "shared_items",
        "scales.warm",
        "scales.fair",
    ]


def test_problems_are_counted_but_not_endless() -> None:
    """Two hundred are kept, twenty are printed."""
    made = tree(shared_items=[f"x{k}" for k in range(500)])
    with pytest.raises(InstrumentValidationError) as caught:
        parse_instrument(made)
    assert len(caught.value.details["problems"]) == 200
    assert str(caught.value).count("\n") == 21
    assert str(caught.value).endswith("... and 180 more")
