"""form, template, new, lint and show --markdown from the outside, and the page for newcomers from end to end."""

from __future__ import annotations

import csv
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from relmeasure.instruments import load_instrument, read_instrument, write_instrument
from relmeasure.instruments.authoring import CODES
from relmeasure.reports import instrument_page
from relmeasure.simulation import simulate
from tests.support import ROOT


class Ran:
    """Exit code and both outputs of one call."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Call the console script's entry point in this process, from an empty folder."""
    from relmeasure import cli

    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["relmeasure", *map(str, words)])
        capsys.readouterr()
        code: object = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        seen = capsys.readouterr()
        return Ran(int(str(code)), seen.out, seen.err)

    return call


# --------------------------------------------------------------------------- form
def test_form_writes_one_file(run: Any, tmp_path: Path) -> None:
    """In the language asked for, with the line at the top and the class code."""
    words = ("form", "lesson-pulse-student", "--lang", "es", "--about", "Ñandú & <b>", "--class-code", "7b")
    ran = run(*words, "-o", "form.html")
    assert (ran.code, ran.err) == (0, "")
    assert "7 questions" in ran.out
    page = (tmp_path / "form.html").read_text(encoding="utf-8")
    assert '<html lang="es"' in page
    assert "Ñandú &amp; &lt;b&gt;" in page
    assert 'value="7b"' in page
    assert run(*words, "-o", "form.html").code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["form.html"]


def test_form_of_a_file_with_wording_of_the_user(run: Any, tmp_path: Path) -> None:
    """Structure only gets its wording from the user, through a file."""
    tses = load_instrument("tses-short")
    write_instrument(tses.with_text({item: {"en": f"Q {item}?"} for item in tses.item_ids}), tmp_path / "mine.json")
    assert run("form", "mine.json", "-o", "mine.html").code == 0
    assert "wording supplied by the user" in (tmp_path / "mine.html").read_text(encoding="utf-8")


# --------------------------------------------------------------------------- template
def test_template_and_codebook(run: Any, tmp_path: Path) -> None:
    """Columns in order, numbered rows, a codebook beside it; filled in, it is scored."""
    ran = run("template", "relationship-student", "-o", "answers.csv", "--rows", 3)
    assert (ran.code, ran.err) == (0, "")
    inst = load_instrument("relationship-student")
    with (tmp_path / "answers.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.reader(handle))
    assert rows[0] == ["student_id", "class_id", *inst.item_ids]
    assert [row[0] for row in rows[1:]] == ["1", "2", "3"]
    assert {cell for row in rows[1:] for cell in row[1:]} == {""}
    with (tmp_path / "answers-codebook.csv").open(encoding="utf-8", newline="") as handle:
        book = list(csv.DictReader(handle))
    (worth,) = [row for row in book if row["item"] == "trust_2" and row["code"] == "1"]
    assert worth["keyed_value"] == "4"
    assert worth["label_es"] == "No es cierto"
    assert worth["facet"] == "reliability"
    filled = [rows[0], *([row[0], "7b", *["3"] * 24] for row in rows[1:])]
    (tmp_path / "filled.csv").write_text("\n".join(",".join(row) for row in filled), encoding="utf-8")
    assert run("score", "relationship-student", "filled.csv", "-o", "scores.csv").code == 0
    with (tmp_path / "scores.csv").open(encoding="utf-8", newline="") as handle:
        assert [float(row["care"]) for row in csv.DictReader(handle)] == [3.0] * 3


def test_template_leaves_files_alone(run: Any, tmp_path: Path) -> None:
    """Neither the answers nor the codebook is overwritten."""
    (tmp_path / "answers.tsv").write_text("precious", encoding="utf-8")
    (tmp_path / "other-codebook.tsv").write_text("precious", encoding="utf-8")
    for name in ("answers.tsv", "other.tsv"):
        ran = run("template", "impact", "-o", name)
        assert ran.code == 2
        assert "exists and is left alone" in ran.err
    assert (tmp_path / "answers.tsv").read_text(encoding="utf-8") == "precious"
    assert not (tmp_path / "other.tsv").exists()
    assert run("template", "impact", "-o", "third.tsv").code == 0
    assert (tmp_path / "third.tsv").read_text(encoding="utf-8").startswith("student_id\tclass_id\timpact_1")


# --------------------------------------------------------------------------- new and lint
def test_new_then_lint(run: Any, tmp_path: Path) -> None:
    """A file that loads, that lint finds unfinished, and that is never overwritten."""
    words = (
        "new",
        "our-class",
        "--title",
        "Our class",
        "--scale",
        "care:6",
        "-s",
        "fairness:5",
        "--lang",
        "en",
        "--lang",
        "es",
    )
    assert run(*words).code == 0
    made = read_instrument(tmp_path / "our-class.toml")
    assert made.title["en"] == "Our class"
    assert [len(scale.items) for scale in made.scales] == [6, 5]
    before = (tmp_path / "our-class.toml").read_bytes()
    again = run(*words)
    assert again.code == 2
    assert "left alone" in again.err
    assert (tmp_path / "our-class.toml").read_bytes() == before
    linted = run("lint", "our-class.toml")
    assert linted.code == 1
    assert "[placeholder]" in linted.out
    assert linted.out.splitlines()[-1].startswith("our-class@0.1.0: ")
    payload = json.loads(run("lint", "our-class.toml", "--json").out)
    assert payload["problem"] == sum(f["severity"] == "problem" for f in payload["findings"]) > 0
    assert run("new", "other", "-o", "folder.toml").code == 0


def test_lint_of_the_library_ends_well(run: Any) -> None:
    """Exit code 0 where there is no problem."""
    ran = run("lint", "relationship-student")
    assert ran.code == 0
    assert "0 problem" in ran.out
    assert run("lint", "tses-short", "--json").code == 0


def test_show_markdown_is_the_page(run: Any) -> None:
    assert run("show", "qti", "--markdown").out == instrument_page(load_instrument("qti"))


# --------------------------------------------------------------------------- mistakes
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("form", "gti-student", "-o", "f.html"), "holds no wording"),
        (("form", "relationship-student", "--lang", "fr", "-o", "f.html"), "--lang='fr'"),
        (("form", "relationship-student", "-o", "f.pdf"), "let the name end in .html"),
        (("form", "relationship-student", "-o", "no/f.html"), "does not exist"),
        (("form", "relationship-studnt", "-o", "f.html"), "Did you mean"),
        (("template", "impact", "-o", "a.xlsx"), "use .csv, .tsv"),
        (("template", "impact", "-o", "no/a.csv"), "does not exist"),
        (("template", "impact", "-o", "a.csv", "--rows", "-1"), "rows"),
        (("new", "Our Class"), "does not fit"),
        (("new", "x", "--scale", "care"), "NAME:ITEMS"),
        (("new", "x", "--scale", "care:six"), "NAME:ITEMS"),
        (("new", "x", "--scale", "care:2", "--scale", "care:3"), "given twice"),
        (("new", "x", "--scale", "care:0"), "1 to 200"),
        (("new", "x", "-o", "x.json"), "ends in .toml"),
        (("new", "x", "-o", "no/x.toml"), "does not exist"),
        (("new", "x" * 300, "-o", "x.toml"), "80"),
        (("lint", "nowhere.toml"), "no file"),
        (("show", "qti", "--json", "--markdown"), "exclude each other"),
    ],
)
def test_mistakes_are_one_clear_line(run: Any, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    """What is wrong and what to do; nothing is written."""
    ran = run(*words)
    assert ran.code == 2
    assert said.lower() in ran.err.lower()
    assert "Traceback" not in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_cannot_be_written(run: Any, tmp_path: Path) -> None:
    """The system's refusal is one line too."""
    ran = run("new", "x", "-o", "n" * 300 + ".toml")
    assert ran.code == 2
    assert "cannot be written" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_without_jinja2_the_form_says_what_to_install(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    ran = run("form", "relationship-student", "-o", "f.html")
    assert ran.code == 2
    assert "pip install 'relmeasure[forms]'" in ran.err
    assert len(ran.err.strip().splitlines()) == 1


# --------------------------------------------------------------------------- pages
def commands_of(page: str) -> list[list[str]]:
    """The calls of relmeasure in the shell blocks of a page."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("relmeasure ")]
    return [shlex.split(line)[1:] for line in lines]


def test_first_form_page_works(run: Any, tmp_path: Path) -> None:
    """Every command of the page, in its order; what the browser saves is put there as it saves it."""
    commands = commands_of("first-form.md")
    assert [command[0] for command in commands] == ["form", "score", "check", "template"]
    assert run(*commands[0]).code == 0
    data = simulate(load_instrument("relationship-student"), n_clusters=1, cluster_size=8, missing=0.05, rng=11)
    data = data.rename(columns={"student_id": "respondent"})
    data.to_csv(tmp_path / "relationship-student-answers.csv", index=False, lineterminator="\r\n")
    scored = run(*commands[1])
    assert (scored.code, scored.err) == (0, "")
    checked = run(*commands[2])
    assert checked.code == 1
    assert "No:" in checked.out
    assert run(*commands[3]).code == 0
    made = {"form.html", "scores.csv", "answers.csv", "answers-codebook.csv", "relationship-student-answers.csv"}
    assert {path.name for path in tmp_path.iterdir()} == made


def test_authoring_page_works(run: Any) -> None:
    """new, lint and form, as the page says; every code of a finding has its line."""
    assert [run(*command).code for command in commands_of("authoring.md")] == [0, 1, 0]
    page = (ROOT / "docs" / "authoring.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^\| `([\w-]+)` \| (.+?) \|$", page, flags=re.MULTILINE)) == CODES
