"""Pydantic's errors as sentences: file, item, value seen, and the fix."""

from __future__ import annotations

from typing import Any

import pytest

from relmeasure.exceptions import InstrumentValidationError
from relmeasure.instruments import parse_instrument
from relmeasure.instruments.definition import Item
from relmeasure.instruments.messages import Hints, _complaint, place, seen
from tests.instruments.builders import Tree, tree, with_item, with_scale


def problems(made: Any) -> list[str]:
    """The problems of a file that must have some."""
    with pytest.raises(InstrumentValidationError) as caught:
        parse_instrument(made, source="toy.toml")
    assert str(caught.value).startswith("toy.toml: ")
    assert caught.value.details["source"] == "toy.toml"
    found: list[str] = caught.value.details["problems"]
    return found


def change(made: Tree, *path: str | int, to: Any) -> Tree:
    """Replace one value."""
    node: Any = made
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = to
    return made


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("status",), "final", "status: 'final' is not allowed. Use one of: 'draft', 'piloted', 'field_tested'."),
        (("status",), "drafty", "status: 'drafty' is not allowed. Did you mean 'draft'? Use one of: 'draft', 'piloted', 'field_tested'."),
        (("items", 2, "key"), 0, "items.q3.key: 0 is not allowed. Use one of: 1, -1."),
        (("items", 2, "key"), True, "items.q3.key: must be a whole number; seen true."),
        (("items", 2, "id"), 3, "items[2].id: must be text in quotes; seen 3."),
        (("items", 2), "q3", "items[2]: must be a table of keys and values; seen 'q3'."),
        (("items",), 3, "items: must be a list; seen 3."),
        (("title",), "Toy", "title: must be a table of keys and values; seen 'Toy'."),
        (("title",), {"English": "Toy"}, "title: the key 'English' does not fit: it must be a language code such as 'en', 'es' or 'pt-BR'."),
        (("title",), {}, "title: holds too few entries: at least 1; seen 0."),
        (("title", "en"), "", "title.en: is empty: write it out, or leave the key away."),
        (("title", "en"), "x" * 5000, "title.en: is 5000 characters long; at most 4000 are allowed: shorten it."),
        (("title", "en"), "\x07", "title.en: '\\x07' does not fit: it must hold some text and no control characters."),
        (("version",), "one", "version: 'one' does not fit: it must look like '1.0' or '1.0.2'."),
        (("scales", 1, "levels"), ["klass"], "scales.fair.levels[0]: 'klass' is not allowed. Did you mean 'class'? Use one of: 'student', 'class', 'teacher', 'school'."),
        (("scales", 1, "levels"), [], "scales.fair.levels: holds too few entries: at least 1; seen 0."),
        (("scales", 1, "missing"), {"min_share": 2}, "scales.fair.missing.min_share: must be at most 1.0; seen 2."),
        (("scales", 1, "missing"), {"min_share": 0}, "scales.fair.missing.min_share: must be greater than 0.0; seen 0."),
        (("scales", 1, "missing"), {"min_valid": 0}, "scales.fair.missing.min_valid: must be at least 1; seen 0."),
        (("scales", 1, "missing"), {"prorate": "no"}, "scales.fair.missing.prorate: must be true or false; seen 'no'."),
        (("scales", 1, "scoring"), {"decimals": 1.5}, "scales.fair.scoring.decimals: must be a whole number; seen 1.5."),
        (("licence",), {"id": None}, "licence.id: nothing (null) is not allowed. Use one of: 'public_domain', 'cc_by', 'free_noncommercial', 'permission_required', 'proprietary', 'unknown'."),
        (("response_scales", "agree4", "options", 1, "value"), 1.5, "response_scales.agree4.options[1].value: must be a whole number; seen 1.5."),
        (("response_scales",), {"4agree": {"kind": "open"}}, "response_scales: the key '4agree' does not fit: it must start with a letter and hold only letters a-z, digits, '_', '.' and '-'."),
        (("norms",), [{"id": "n"}], "norms.n.kind: is required: add it."),
    ],
)  # fmt: skip
def test_sentences(path: tuple[str | int, ...], value: Any, sentence: str) -> None:
    """Each kind of mistake, with its place by id where there is one."""
    assert sentence in problems(change(tree(), *path, to=value))


def test_missing_keys_are_named() -> None:
    """An empty file says all that is needed."""
    found = problems({})
    assert "schema_version: is required: add it." in found
    assert "items: is required: add it." in found
    assert len(found) == 12


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (tree(titel={"en": "x"}), "unknown key 'titel'. Did you mean 'title'?"),
        (with_item(facett="x"), "items.q1: unknown key 'facett'. Did you mean 'facet'?"),
        (with_scale(1, level=["class"]), "scales.fair: unknown key 'level'. Did you mean 'levels'?"),
        (with_scale(scoring={"metod": "sum"}), "scales.warm.scoring: unknown key 'metod'. Did you mean 'method'?"),
        (
            with_scale(missing={"min_valids": 1}),
            "scales.warm.missing: unknown key 'min_valids'. Did you mean 'min_valid'?",
        ),
        (tree(blueprint={"definition": "d", "notfor": []}), "blueprint: unknown key 'notfor'. Did you mean 'not_for'?"),
        (
            change(tree(), "response_scales", "agree4", "options", 0, "lables", to={}),
            "response_scales.agree4.options[0]: unknown key 'lables'. Did you mean 'labels'?",
        ),
        (tree(license={"id": "cc_by"}), "unknown key 'license'. Did you mean 'licence'?"),
    ],
)
def test_misspelt_keys_get_a_hint(made: Tree, sentence: str) -> None:
    """At every depth, among the keys of that place."""
    assert any(problem.startswith(sentence) for problem in problems(made))


def test_a_misspelt_required_key_is_one_problem() -> None:
    """Not "unknown" and "required" both."""
    made = tree()
    made["items"][0] = {"id": "q1", "respons_scale": "agree4"}
    found = problems(made)
    assert len(found) == 1
    assert found[0].startswith("items.q1: unknown key 'respons_scale'. Did you mean 'response_scale'? Known keys: id, ")


def test_contradictions_show_beside_misspelt_keys() -> None:
    """Everything at once: the misspelt keys are read as what was meant, and the rest is checked too."""
    made = tree()
    made["items"][0] = {"id": "q1", "respons_scale": "agree5"}
    made["scales"][0] = {"id": "warm", "itms": ["q1", "q2", "q3"]}
    made["nonsense"] = 1
    found = problems(made)
    assert [problem.split(".")[0].split(":")[0] for problem in found[:3]] == [
        "items",
        "scales",
        "unknown key 'nonsense'",
    ]
    assert found[3] == "items.q1: response_scale 'agree5' is not declared. Did you mean 'agree4'?"
    assert found[4].startswith("items.q3: is in 2 scales (warm, fair)")
    assert len(found) == 5


def test_no_guesses_where_values_are_wrong() -> None:
    """A scale whose items could not be read is not said to have none."""
    made = with_scale(items="q1", levels=["student"])
    assert problems(made) == ["scales.warm.items: must be a list; seen 'q1'."]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (None, "an instrument is a table of keys and values; seen nothing (null)."),
        ([1, 2], "an instrument is a table of keys and values; seen a list of 2."),
        ("id", "an instrument is a table of keys and values; seen 'id'."),
        ({"schema_version": 2}, "schema_version: 2 is newer than 1, the newest that can be read: update."),
    ],
)
def test_what_is_no_instrument_at_all(value: Any, sentence: str) -> None:
    """One clear sentence, without a list of what else is missing."""
    assert problems(value) == [sentence]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x" * 100, "'" + "x" * 37 + "...'"),
        ("\x1b[31m", "'\\x1b[31m'"),
        (None, "nothing (null)"),
        (True, "true"),
        pytest.param(10**5000, "a whole number of 16610 bits", id="huge"),
        (2.5, "2.5"),
        ({}, "a table"),
        ((1, 2), "a list of 2"),
        (object(), "a value of type object"),
    ],
)
def test_seen_is_short_and_printable(value: Any, shown: str) -> None:
    """Whatever a file holds can stand in a message."""
    assert seen(value) == shown


def test_place_names_by_id_and_by_position() -> None:
    """Ids where they are usable, else positions."""
    data = {"items": [{"id": "q1"}, {"id": 7}, {"id": "\x1b"}, "x"], "s": {"a\nb": 1}}
    assert place(data, ("items", 0, "key")) == "items.q1.key"
    assert place(data, ("items", 1, "key")) == "items[1].key"
    assert place(data, ("items", 2)) == "items[2]"
    assert place(data, ("items", 3, "key")) == "items[3].key"
    assert place(data, ("items", 9)) == "items[9]"
    assert place(data, ("s", "a\nb")) == "s.'a\\nb'"


def test_place_inside_parts_that_are_built_already() -> None:
    """A mapping may hold finished items; the message finds its way through them."""
    made = tree()
    made["items"][0] = Item(id="q1", response_scale="agree4")
    made["items"][1]["key"] = 0
    assert problems(made) == ["items.q2.key: 0 is not allowed. Use one of: 1, -1."]
    assert place({"items": [Item(id="q1", response_scale="agree4")]}, ("items", 0, "key")) == "items.q1.key"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (
            [{"x": 1}],
            "norms[0]: unknown key 'x'. Known keys: id, kind, population, date, version, source, mean, sd, table.",
        ),
        ([{"id": "n", "table": [[1]]}], "norms.n.table[0][1]: is required: add it."),
        ([{"id": "n", "table": [[1, 2, 3]]}], "norms.n.table[0]: holds too many entries: at most 2; seen 3."),
        ([{"id": "n", "table": [["1", 2]]}], "norms.n.table[0][0]: must be a number; seen '1'."),
        ([{"id": "n", "mean": float("1e10")}], "norms.n.mean: must be at most 1000000000.0; seen 10000000000.0."),
    ],
)
def test_sentences_about_norms(value: Any, sentence: str) -> None:
    """Rows and columns of tables are named by position."""
    assert sentence in problems(tree(norms=value))


def test_what_pydantic_may_say_one_day() -> None:
    """A kind of error without words of its own is passed on, cut to a sentence."""
    assert _complaint("new_kind", {}, 3, "Input is odd") == "Input is odd; seen 3."
    assert _complaint("literal_error", {"expected": "1 or 2"}, 3, "") == "3 is not allowed. Use one of: 1, 2."
    assert _complaint("string_pattern_mismatch", {"pattern": "^x$"}, "y", "") == "'y' does not fit: it must match ^x$."


def test_a_list_of_wrong_entries_is_one_problem_each() -> None:
    """An entry that is not allowed is said once; that the list is then empty is no second problem."""
    found = problems(with_scale(1, levels=["klass"]))
    assert [p for p in found if "levels" in p] == [p for p in found if "levels[0]" in p]
    assert any("too few" in p for p in problems(with_scale(1, levels=[])))


def test_hints_stop_when_the_budget_is_spent() -> None:
    """Comparing words is slow, and a file may hold many wrong ones."""
    hints = Hints(budget=5)
    assert hints("ab1", ["ab2", "cd"]) == " Did you mean 'ab2'?"
    assert hints("ab1", ["ab2", "cd", "ef"]) == " Did you mean 'ab2'?"
    assert hints("ab1", ["ab2"]) == ""
