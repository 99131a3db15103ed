"""The command line from the outside: what it prints, writes and answers, with good files and with nonsense."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from relmeasure.instruments import load_instrument
from relmeasure.simulation import simulate
from tests.cli.calling import make_run

ENGINES = ("pandas", "polars", "duckdb")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Call the console script's entry point in this process."""
    return make_run(monkeypatch, capsys)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of a simulated school, with a text id that begins with zeros."""
    folder = tmp_path_factory.mktemp("data")
    data = simulate(load_instrument("relationship-student"), n_clusters=8, cluster_size=20, missing=0.04, rng=5)
    data["student_id"] = [f"00{k}" for k in range(len(data))]
    path = folder / "answers.csv"
    data.to_csv(path, index=False)
    return path


def test_list_show_and_schema(run: Any, tmp_path: Path) -> None:
    """What is installed, one instrument as a person reads it, and the schema of files."""
    listed = run("list")
    assert listed.code == 0
    assert "relationship-student" in listed.out
    rows = json.loads(run("list", "--json").out)
    assert {"id", "version", "status", "licence"} <= set(rows[0])
    shown = run("show", "relationship-student")
    for part in ("care_1", "Very true", "Not for", "CC BY 4.0", "Cite:"):
        assert part in shown.out
    assert "Muy cierto" in run("show", "relationship-student", "--lang", "es").out
    assert json.loads(run("show", "gti-student", "--json").out)["id"] == "gti-student"
    assert json.loads(run("schema").out)["title"]
    assert run("schema", "--out", tmp_path / "schema.json").code == 0
    assert json.loads((tmp_path / "schema.json").read_text(encoding="utf-8"))["$id"]


@pytest.mark.parametrize("engine", ENGINES)
def test_score_keeps_columns_and_adds_scores(run: Any, answers: Path, tmp_path: Path, engine: str) -> None:
    """Every engine writes the same file, byte for byte; ids keep their zeros; the input is not touched."""
    before = answers.read_bytes()
    out, reference = tmp_path / "scores.csv", tmp_path / "reference.csv"
    assert run("score", "relationship-student", answers, "-o", out, "--engine", engine).code == 0
    assert run("score", "relationship-student", answers, "-o", reference).code == 0
    assert out.read_bytes() == reference.read_bytes()
    lines = out.read_text(encoding="utf-8").splitlines()
    assert lines[0].endswith("relationship,relationship_n_valid,relationship_missing_reason")
    assert lines[1].split(",")[1] == "000"
    assert answers.read_bytes() == before


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".arrow"])
@pytest.mark.parametrize("engine", ENGINES)
def test_every_format_in_and_out(run: Any, answers: Path, tmp_path: Path, engine: str, suffix: str) -> None:
    """What one call writes, the next call reads: reliability does not change on the way."""
    first = tmp_path / f"first{suffix}"
    assert run("score", "relationship-student", answers, "-o", first, "--engine", engine, "--prefix", "s_").code == 0
    words = ("-s", "care", "--json")
    direct = json.loads(run("reliability", "relationship-student", answers, *words).out)
    again = json.loads(run("reliability", "relationship-student", first, *words, "--engine", engine).out)
    assert again["table"] == direct["table"]


def test_reliability_prints_and_writes(run: Any, answers: Path, tmp_path: Path) -> None:
    """Text for people with the rule that made N, a table for programs."""
    shown = run("reliability", "relationship-student", answers, "-s", "care", "-o", tmp_path / "r.csv")
    assert shown.code == 0
    assert "alpha" in shown.out
    assert "of 160" in shown.out
    assert (tmp_path / "r.csv").read_text(encoding="utf-8").startswith("scale,")
    assert run("reliability", "relationship-student", answers, "--missing", "pairwise").code == 0


def test_check_answers_with_its_exit_code(run: Any, answers: Path, tmp_path: Path) -> None:
    """0 usable, 1 not; undeclared codes are counted; --strict makes care a 1."""
    import pandas as pd

    assert run("check", "relationship-student", answers).code == 0
    data = pd.read_csv(answers, dtype=str)
    data.loc[:9, "care_1"] = "9"
    bad = tmp_path / "bad.csv"
    data.to_csv(bad, index=False)
    failed = run("check", "relationship-student", bad)
    assert failed.code == 1
    assert "care_1: 10" in failed.out
    lenient = run("check", "relationship-student", bad, "--unknown", "missing")
    assert lenient.code == 0
    assert run("check", "relationship-student", bad, "--unknown", "missing", "--strict").code == 1
    assert json.loads(run("check", "relationship-student", bad, "--json").out)["status"]["level"] == "failed"
    scored = run("score", "relationship-student", bad, "-o", tmp_path / "s.csv")
    assert scored.code == 2
    assert "care_1" in scored.err
    assert not (tmp_path / "s.csv").exists()
    warned = run("score", "relationship-student", bad, "-o", tmp_path / "s.csv", "--unknown", "missing")
    assert warned.code == 0
    assert "warning:" in warned.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "relationship-studnt"), "Did you mean 'relationship-student'"),
        (("show", "relationship-student", "--lang", "fr"), "en"),
        (("check", "relationship-student", "nowhere.csv"), "no file"),
        (("check", "relationship-student", "answers.xlsx"), "export it as CSV"),
        (("check", "relationship-student", "{answers}", "--unknown", "maybe"), "raise"),
        (("reliability", "relationship-student", "{answers}", "-s", "cares"), "care"),
        (("reliability", "relationship-student", "{answers}", "--missing", "mean"), "listwise"),
        (("score", "relationship-student", "{answers}", "-o", "no/such/folder/x.csv"), "does not exist"),
        (("score", "practice-student", "{answers}", "-o", "x.csv"), "not in the data"),
        (("score", "relationship-student", "{garbage}", "-o", "x.csv"), "cannot be read"),
        (("score", "relationship-student", "{empty}", "-o", "x.csv"), "empty"),
        (("nonsense",), "nonsense"),
    ],
)
def test_nonsense_is_one_clear_line_and_exit_code_2(
    run: Any, answers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    """Ids, languages, files, options, folders: what is wrong and what to do."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "answers.xlsx").write_bytes(b"x")
    (tmp_path / "garbage.parquet").write_bytes(b"not parquet at all")
    (tmp_path / "empty.csv").write_text("", encoding="utf-8")
    places = {"answers": answers, "garbage": tmp_path / "garbage.parquet", "empty": tmp_path / "empty.csv"}
    ran = run(*(word.format(**{k: str(v) for k, v in places.items()}) for word in words))
    assert ran.code == 2
    assert said.lower() in ran.err.lower()
    assert "Traceback" not in ran.err
    assert not list(tmp_path.glob(".x-*"))


def test_a_folder_that_cannot_be_made_or_written(run: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    for words in (["demo", "--out", tmp_path / "file"], ["demo", "--out", tmp_path / "file" / "under"]):
        done = run(*words)
        assert done.code == 2
        assert done.err.startswith("error: ")
        assert len(done.err.strip().splitlines()) == 1


HEADER = [f"care_{k}" for k in range(1, 7)]
ROW = list("123412")


def table(path: Path, *rows: list[str], end: str = "") -> Path:
    path.write_text("".join(",".join(row) + end * (k > 0) + "\n" for k, row in enumerate(rows)), encoding="utf-8")
    return path


@pytest.mark.parametrize("engine", ENGINES)
def test_text_files_that_would_shift_or_hide_answers_are_refused(run: Any, tmp_path: Path, engine: str) -> None:
    """Two columns of one name, a cell too many in all rows or in one, bytes of another encoding, nothing at all."""
    path, rows = tmp_path / "answers.csv", [ROW] * 9
    latin = (",".join(["id", *HEADER]) + "\n" + ",".join(["Zo\xeb", *ROW]) + "\n").encode("latin-1")
    (tmp_path / "latin.csv").write_bytes(latin)
    for name, message in (
        (table(path, [*HEADER, "care_2"], *([*ROW, "4"] for _ in rows)), "care_2"),
        (table(tmp_path / "end.csv", HEADER, *rows, end=","), "7 cells, the header 6"),
        (table(tmp_path / "names.csv", HEADER, *(["1", *ROW] for _ in rows)), "7 cells, the header 6"),
        (table(tmp_path / "one.csv", HEADER, *rows, ["2", *ROW], *rows), "cannot be read as csv"),
        (table(tmp_path / "none.csv"), "cannot be read as csv"),
        (tmp_path / "latin.csv", "cannot be read as csv"),
    ):
        done = run("reliability", "relationship-student", name, "--scale", "care", "--engine", engine)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("error: ")
        assert message in done.err


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_files_that_are_not_what_their_suffix_says(run: Any, tmp_path: Path, engine: str, suffix: str) -> None:
    done = run("check", "relationship-student", table(tmp_path / f"x{suffix}", HEADER, ROW), "--engine", engine)
    assert done.code == 2
    assert f"cannot be read as {suffix[1:]}" in done.err


@pytest.mark.parametrize("engine", ENGINES)
def test_a_place_that_takes_no_file(run: Any, answers: Path, tmp_path: Path, engine: str) -> None:
    """One line and exit code 2, never 1, which means that scores should not be used; nothing is left behind."""
    taken = tmp_path / "folder.csv"
    taken.mkdir()
    done = run("score", "relationship-student", answers, "--engine", engine, "--out", taken)
    assert done.code == 2
    assert "folder.csv cannot be written" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["folder.csv"]


def test_demo_is_the_main_job(run: Any, tmp_path: Path) -> None:
    """A seeded school, four tables, and lines that say what they mean; the same seed, the same tables."""
    first = run("demo", "--out", tmp_path / "one")
    assert first.code == 0
    for part in ("Seed 2022", "Can the scores be used?", "true alpha", "not say whether a class mean can be trusted"):
        assert part in first.out
    assert run("demo", "--out", tmp_path / "two").code == 0
    names = {"answers.csv", "check.csv", "reliability.csv", "scores.csv"}
    assert {p.name for p in (tmp_path / "one").iterdir()} == names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    run("demo", "--out", tmp_path / "other", "--seed", 7)
    assert (tmp_path / "other" / "answers.csv").read_bytes() != (tmp_path / "one" / "answers.csv").read_bytes()


def test_help_and_version(run: Any) -> None:
    """Every command is in the help."""
    helped = run("--help")
    assert helped.code == 0
    for command in ("list", "show", "schema", "check", "score", "reliability", "demo"):
        assert command in helped.out
    assert run("--version").out.startswith("relmeasure ")
    assert run().code == 2


def test_the_script_without_its_extra_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Typer missing: one line with the command, exit code 2."""
    script = importlib.import_module("relmeasure.__main__")
    monkeypatch.setattr(script, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as stop:
        script.main()
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "pip install 'relmeasure[cli]'" in said
    assert len(said.strip().splitlines()) == 1
