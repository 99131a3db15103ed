"""Files as people have them: other separators, decimals, encodings and names; and raw data that are never replaced."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from relmeasure.cli.tables import Reading, read_table
from relmeasure.cli.text_files import check_encoding
from relmeasure.exceptions import UnsupportedDataError
from relmeasure.instruments import load_instrument
from relmeasure.simulation import simulate
from tests.cli.calling import Run, make_run

ENGINES = ("pandas", "polars", "duckdb")
CARE = [f"care_{k}" for k in range(1, 7)]
SCORE = ("score", "relationship-student")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return make_run(monkeypatch, capsys)


@pytest.fixture
def answers() -> pd.DataFrame:
    """Answers to one scale, with a column of words that look like gaps, an id with zeros and an empty cell."""
    return pd.DataFrame(
        {
            "id": ["001", "002", "003", "004"],
            "region": ["NA", None, "n/a", "null"],
            **{item: ["1", "4", "2", "NA"] for item in CARE},
        }
    )


# --------------------------------------------------------------------------- raw data stay
def test_no_command_writes_over_what_it_reads(run: Run, answers: pd.DataFrame, tmp_path: Path) -> None:
    """Every command that reads answers and writes: by the same path, another spelling, a link, a hard link."""
    import typer

    from relmeasure.cli import app

    source, link, hard = tmp_path / "a.csv", tmp_path / "link.csv", tmp_path / "hard.csv"
    answers.to_csv(source, index=False)
    link.symlink_to(source)
    os.link(source, hard)
    before = source.read_bytes()
    commands: Any = typer.main.get_command(app)
    found = []
    for name, command in commands.commands.items():
        names = {p.name for p in command.params}
        if {"data", "out"} <= names:
            found.append(name)
            needed: dict[str, list[object]] = {"instrument": ["relationship-student"], "data": [source]}
            words: list[object] = [w for p in command.params if p.param_type_name == "argument" for w in needed[p.name]]
            words += [w for p in command.params if p.param_type_name == "option" and p.required and p.name != "out"
                      for w in (p.opts[0], "care")]  # fmt: skip
            for out in (source, tmp_path / "." / "x" / ".." / "a.csv", link, hard):
                (tmp_path / "x").mkdir(exist_ok=True)
                done = run(name, *words, "-o", out)
                assert done.code == 2, (name, out)
                assert "never replaced" in done.err
    assert {"score", "reliability"} <= set(found)
    assert source.read_bytes() == before


def test_the_table_of_names_is_not_written_over_either(run: Run, answers: pd.DataFrame, tmp_path: Path) -> None:
    names = tmp_path / "names.csv"
    answers.to_csv(tmp_path / "a.csv", index=False)
    names.write_text("item,column\ncare_1,care_1\n", encoding="utf-8")
    done = run(*SCORE, tmp_path / "a.csv", "--columns", names, "-o", names)
    assert done.code == 2
    assert names.read_text(encoding="utf-8").startswith("item,")


@pytest.mark.parametrize("engine", ENGINES)
def test_text_beside_the_items_comes_out_as_it_went_in(
    run: Run, answers: pd.DataFrame, tmp_path: Path, engine: str
) -> None:
    """NA is an empty answer, but a region called NA stays one; so do other words that programs take for gaps."""
    answers.to_csv(tmp_path / "a.csv", index=False)
    assert run(*SCORE, tmp_path / "a.csv", "-s", "care", "-o", tmp_path / "o.csv", "--engine", engine).code == 0
    back = pd.read_csv(tmp_path / "o.csv", dtype=str, keep_default_na=False)
    assert back["region"].tolist() == ["NA", "", "n/a", "null"]
    assert back["id"].tolist() == ["001", "002", "003", "004"]
    assert back["care_missing_reason"].tolist() == ["", "", "", "no_answer"]


# --------------------------------------------------------------------------- separators, decimals, encodings
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("sep", "encoding"), [(",", "utf-8-sig"), (";", "utf-8"), ("\t", "utf-8"), ("|", "utf-8")])
def test_separators_and_byte_order_marks(
    run: Run, answers: pd.DataFrame, tmp_path: Path, engine: str, sep: str, encoding: str
) -> None:
    """The sign in the header line separates cells; a bar has to be said. The scores are the same, byte for byte."""
    answers.to_csv(tmp_path / "plain.csv", index=False)
    answers.to_csv(tmp_path / "a.csv", index=False, sep=sep, encoding=encoding)
    words = ("-s", "care", "--engine", engine)
    assert run(*SCORE, tmp_path / "plain.csv", "-o", tmp_path / "1.csv", *words).code == 0
    said = ("--sep", "|") if sep == "|" else ()
    assert run(*SCORE, tmp_path / "a.csv", "-o", tmp_path / "2.csv", *words, *said).code == 0
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()


def test_a_header_that_does_not_say_what_separates(run: Run, answers: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    answers.rename(columns={"region": "region, state"}).to_csv(path, index=False, sep=";")
    done = run(*SCORE, path, "-s", "care", "-o", tmp_path / "o.csv")
    assert done.code == 2
    assert "commas and semicolons" in done.err
    assert "--sep semicolon" in done.err
    assert run(*SCORE, path, "-s", "care", "-o", tmp_path / "o.csv", "--sep", "semicolon").code == 0
    assert "one character" in run(*SCORE, path, "-o", tmp_path / "o.csv", "--sep", "::").err
    quoted = answers.rename(columns={"region": "region; state"})
    quoted.to_csv(path, index=False, quoting=1)
    assert run(*SCORE, path, "-s", "care", "-o", tmp_path / "o.csv").code == 0
    path.write_text("sep=;\n" + answers.to_csv(index=False, sep=";"), encoding="utf-8")
    assert "delete it" in run(*SCORE, path, "-o", tmp_path / "o.csv").err


@pytest.mark.parametrize("engine", ENGINES)
def test_decimal_commas_are_read_when_the_call_says_so(
    run: Run, answers: pd.DataFrame, tmp_path: Path, engine: str
) -> None:
    """Never guessed: without the option the error names it. Words beside the items keep their commas."""
    commas = answers.assign(region="1,5", **{item: ["1,0", "4,0", "2", "NA"] for item in CARE})
    commas.to_csv(tmp_path / "a.csv", index=False, sep=";")
    answers.assign(region="1,5").to_csv(tmp_path / "plain.csv", index=False)
    words = ("-s", "care", "--engine", engine)
    refused = run(*SCORE, tmp_path / "a.csv", "-o", tmp_path / "o.csv", *words)
    assert refused.code == 2
    assert "decimal comma: read the file with --decimal ,." in refused.err
    assert run(*SCORE, tmp_path / "a.csv", "-o", tmp_path / "1.parquet", *words, "--decimal", ",").code == 0
    assert run(*SCORE, tmp_path / "plain.csv", "-o", tmp_path / "2.parquet", *words).code == 0
    one, two = pd.read_parquet(tmp_path / "1.parquet"), pd.read_parquet(tmp_path / "2.parquet")
    assert one["region"].tolist() == two["region"].tolist() == ["1,5"] * 4
    assert one["care"].tolist()[:3] == two["care"].tolist()[:3] == [1.0, 4.0, 2.0]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Zo\u00eb\n".encode("latin-1"), "line 2 is not UTF-8"),
        ("Zo\u00eb".encode()[:-1], "not UTF-8"),
        (b"a\0b", "zero bytes"),
    ],
)
def test_other_encodings_are_named(run: Run, tmp_path: Path, engine: str, content: bytes, said: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(",".join(["id", *CARE]).encode() + b"\n" + content)
    done = run(*SCORE, path, "-s", "care", "-o", tmp_path / "o.csv", "--engine", engine)
    assert done.code == 2
    assert said in done.err
    assert "CSV UTF-8" in done.err


def test_utf_16_and_workbooks(run: Run, answers: pd.DataFrame, tmp_path: Path) -> None:
    answers.to_csv(tmp_path / "a.csv", index=False, encoding="utf-16")
    assert "UTF-16 text, not UTF-8: save it as" in run(*SCORE, tmp_path / "a.csv", "-o", tmp_path / "o.csv").err
    for name in ("a.xlsx", "zipped.csv"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 and so on")
        done = run(*SCORE, tmp_path / name, "-o", tmp_path / "o.csv")
        assert done.code == 2
        assert "workbook" in done.err
        assert "as CSV" in done.err


def test_encoding_is_checked_to_the_end(tmp_path: Path) -> None:
    """A block may end within a character; the line of a fault is counted over blocks."""
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    line = "\u00eb" * 50 + "x\n"
    good.write_text(line * 20_000, encoding="utf-8")
    check_encoding(good)
    bad.write_bytes((line * 20_000).encode() + b"\xeb\n")
    with pytest.raises(UnsupportedDataError, match="line 20001 is not UTF-8"):
        check_encoding(bad)


# --------------------------------------------------------------------------- numbers in typed formats
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_answers_are_numbers_in_typed_files(
    run: Run, answers: pd.DataFrame, tmp_path: Path, engine: str, suffix: str
) -> None:
    """Codes become numbers, labels and everything beside the items stay text."""
    labelled = answers.assign(care_6=["Very true", "", "Sort of true", ""], care_5=["1", "3.0", "", " 2"])
    labelled.to_csv(tmp_path / "a.csv", index=False)
    out = tmp_path / f"o{suffix}"
    assert run(*SCORE, tmp_path / "a.csv", "-s", "care", "-o", out, "--engine", engine).code == 0
    frame = pd.read_parquet(out) if suffix == ".parquet" else pd.read_feather(out)
    assert frame["care_1"].dropna().tolist() == [1, 4, 2]
    assert pd.api.types.is_numeric_dtype(frame["care_1"])
    assert frame["care_5"].dropna().tolist() == [1, 3, 2]
    assert frame["care_6"].dropna().tolist() == ["Very true", "Sort of true"]
    assert frame["id"].tolist() == ["001", "002", "003", "004"]


def test_reading_alone_leaves_texts_as_they_are(answers: pd.DataFrame, tmp_path: Path) -> None:
    answers.to_csv(tmp_path / "a.csv", index=False)
    assert read_table(tmp_path / "a.csv")["care_1"].tolist() == ["1", "4", "2", "NA"]
    read = read_table(tmp_path / "a.csv", reading=Reading(items=("care_1", "not there")))
    assert read["care_1"].isna().tolist() == [False, False, False, True]
    assert read["care_2"].tolist()[-1] == "NA"


# --------------------------------------------------------------------------- names of one's own
@pytest.mark.parametrize("engine", ENGINES)
def test_columns_of_other_names(run: Run, tmp_path: Path, engine: str) -> None:
    """With a table of names, a file is scored, checked and tested as under item ids; its names stay in the output."""
    instrument = load_instrument("relationship-student")
    data = simulate(instrument, n_clusters=6, cluster_size=20, missing=0.04, rng=5)
    own = {item: f"TQ{k} {item[:2]}" for k, item in enumerate(instrument.item_ids)}
    data.to_csv(tmp_path / "ids.csv", index=False)
    data.rename(columns=own).to_csv(tmp_path / "own.csv", index=False)
    table = pd.DataFrame({"item": list(own), "label": "x", "column": list(own.values())})
    table.to_csv(tmp_path / "names.csv", index=False)
    more = ("--columns", tmp_path / "names.csv", "--engine", engine)
    assert run(*SCORE, tmp_path / "ids.csv", "-o", tmp_path / "1.csv").code == 0
    assert run(*SCORE, tmp_path / "own.csv", "-o", tmp_path / "2.csv", *more).code == 0
    one, two = (tmp_path / f"{k}.csv" for k in (1, 2))
    head = [own.get(name, name) for name in one.read_text(encoding="utf-8").splitlines()[0].split(",")]
    assert two.read_text(encoding="utf-8").splitlines()[0].split(",") == head
    assert two.read_text(encoding="utf-8").splitlines()[1:] == one.read_text(encoding="utf-8").splitlines()[1:]
    for command in ("check", "reliability"):
        plain = run(command, "relationship-student", tmp_path / "ids.csv", "--json")
        named = run(command, "relationship-student", tmp_path / "own.csv", "--json", *more)
        assert (named.code, named.out) == (plain.code, plain.out)


def test_a_table_of_names_with_mistakes(run: Run, answers: pd.DataFrame, tmp_path: Path) -> None:
    answers.to_csv(tmp_path / "a.csv", index=False)
    for text, said in (
        ("item,col\ncare_1,x\n", "column"),
        ("item,column\ncare_11,id\n", "Did you mean 'care_1'"),
        ("item,column\ncare_1,id\ncare_1,region\n", "stands twice"),
        ("item,column\ncare_1,id\ncare_2,id\n", "one column to several items"),
        ("item,column\ncare_1,id\n", "one of their own name"),
        ("item,column\ncare_1,nowhere\n", "1 mapped column not in the data: nowhere"),
    ):
        (tmp_path / "names.csv").write_text(text, encoding="utf-8")
        words = ("-s", "care", "--columns", tmp_path / "names.csv", "-o", tmp_path / "o.csv")
        done = run(*SCORE, tmp_path / "a.csv", *words)
        assert done.code == 2, text
        assert said in done.err


# --------------------------------------------------------------------------- words of the command line
def test_messages_speak_of_options(run: Run, answers: pd.DataFrame, tmp_path: Path) -> None:
    path, out = tmp_path / "a.csv", tmp_path / "o.csv"
    answers.to_csv(path, index=False)
    assert "-s care asks for no others" in run(*SCORE, path, "-o", out).err
    assert "-s cares is not an option. Did you mean 'care'" in run(*SCORE, path, "-o", out, "-s", "cares").err
    assert run(*SCORE, path, "-o", out, "-s", "care").code == 0
    assert "Give another --prefix, or drop" in run(*SCORE, out, "-o", tmp_path / "b.csv", "-s", "care").err
    answers.assign(care_1="9").to_csv(path, index=False)
    assert "or pass --unknown missing." in run(*SCORE, path, "-o", out, "-s", "care").err
    answers[["id"]].to_csv(path, index=False)
    assert "say which with --columns FILE" in run(*SCORE, path, "-o", out).err


def test_a_file_without_rows_has_no_reliability(run: Run, answers: pd.DataFrame, tmp_path: Path) -> None:
    """One line and exit code 2, not a table of dashes; scoring it is no mistake."""
    answers.iloc[:0].to_csv(tmp_path / "a.csv", index=False)
    done = run("reliability", "relationship-student", tmp_path / "a.csv", "-s", "care")
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert "no rows" in done.err
    assert run(*SCORE, tmp_path / "a.csv", "-s", "care", "-o", tmp_path / "o.csv").code == 0
