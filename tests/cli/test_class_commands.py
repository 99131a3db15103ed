"""Class scores and monitoring from the command line: what is printed and written, and what is never left behind."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import relmeasure as rm
from relmeasure.cli import tables
from relmeasure.instruments import load_instrument
from relmeasure.studies.classrooms import ClassroomScores
from tests.cli.calling import Ran
from tests.cli.test_commands import run  # noqa: F401 - a fixture

INSTRUMENT = load_instrument("relationship-student")


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine classes of 4 to 24 students in two waves and two schools, as a district would hand them in."""
    sizes = [4, 8, 12, 16, 18, 20, 22, 24, 24]
    data: Any = rm.simulate(INSTRUMENT, n_clusters=9, cluster_size=sizes, icc=0.4, waves=["autumn", "spring"], rng=4)
    data["school"] = ["north" if label < "class-5" else "south" for label in data["class_id"]]
    data["language"] = ["de" if k % 3 else "tr" for k in range(len(data))]
    data["weight"] = [1.0 + (k % 2) / 2 for k in range(len(data))]
    path = tmp_path_factory.mktemp("classes") / "answers.csv"
    data.to_csv(path, index=False)
    return path


def _numbers(path: Path) -> Any:
    import pandas as pd

    return pd.read_csv(path)


@pytest.mark.parametrize("engine", ["pandas", "polars", "duckdb"])
def test_classes_are_those_of_the_function(run: Any, answers: Path, tmp_path: Path, engine: str) -> None:  # noqa: F811
    """Every table that is written holds the function's numbers, counts as whole numbers."""
    pytest.importorskip(engine)
    roster = tmp_path / "roster.csv"
    roster.write_text("class_id,roster\n" + "".join(f"class-{k},30\n" for k in range(1, 10)), encoding="utf-8")
    out = tmp_path / "classes.csv"
    ran = run(
        "classes", "relationship-student", answers, "--wave", "wave", "--school", "school", "--by", "language",
        "--weights", "weight", "--roster", roster, "--below", 2.5, "-s", "care", "--out", out, "--engine", engine,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    import pandas as pd

    expected = rm.classroom_scores(
        INSTRUMENT, pd.read_csv(answers), wave="wave", school="school", by="language", weights="weight",
        roster={f"class-{k}": 30 for k in range(1, 10)}, below=2.5, scales=["care"],
    )  # fmt: skip
    names = {"": "table", "-totals": "totals", "-subgroups": "subgroups", "-subgroup-totals": "subgroup_totals"}
    for ending, name in names.items():
        written = _numbers(tmp_path / f"classes{ending}.csv")
        reference = getattr(expected, name).to_frame()
        assert list(written.columns) == list(reference.columns)
        assert written["n"].tolist() == pytest.approx(reference["n"].tolist(), nan_ok=True)
        assert written["mean"].tolist() == pytest.approx(reference["mean"].tolist(), rel=1e-9, nan_ok=True)
    assert ",12," in out.read_text(encoding="utf-8")
    assert "class-9" in ran.out


def test_classes_print_and_answer_in_json(run: Any, answers: Path) -> None:  # noqa: F811
    """A table a principal reads; the whole result for a program; exit code 1 where nothing may be shown."""
    shown = run("classes", "relationship-student", answers, "--wave", "wave", "-s", "care")
    assert shown.code == 0
    assert "class-9" in shown.out
    assert "reportable" in shown.out
    assert "suppressed" in shown.out
    as_json = run("classes", "relationship-student", answers, "--wave", "wave", "-s", "care", "--json")
    restored = ClassroomScores.from_dict(json.loads(as_json.out))
    assert restored.min_disclose == 6
    assert sorted(set(restored.table["status"])) == ["low reliability", "reportable", "suppressed"]
    many = run("classes", "relationship-student", answers, "--wave", "wave")
    assert "write them to a file with --out" in many.out
    hidden = run(
        "classes", "relationship-student", answers, "--wave", "wave", "--min-disclose", 200, "--min-report", 200
    )
    assert hidden.code == 1
    assert "Every class is hidden" in hidden.out


def test_monitor_is_that_of_the_function(run: Any, answers: Path, tmp_path: Path) -> None:  # noqa: F811
    """Words and numbers for each class; the table in a file."""
    out = tmp_path / "monitor.csv"
    ran = run(
        "monitor", "relationship-student", answers, "--wave", "wave", "--student", "student_id", "--standard", 2.6,
        "--earlier", "autumn", "--later", "spring", "--school", "school", "-s", "care", "--out", out, "--seed", 3,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    import pandas as pd

    expected = rm.monitor(
        INSTRUMENT, pd.read_csv(answers), wave="wave", student="student_id", standard=2.6, school="school",
        scales=["care"], rng=3, compare=("autumn", "spring"),
    )  # fmt: skip
    written = _numbers(out)
    for name in ("mean", "change", "change_se", "qvalue_below", "rank_lower"):
        assert written[name].tolist() == pytest.approx(expected.to_frame()[name].tolist(), rel=1e-9, nan_ok=True), name
    assert written["status"].tolist() == list(expected.table["status"])
    assert "support needed" in ran.out
    waves = ("--wave", "wave", "--earlier", "autumn", "--later", "spring")
    assert (
        json.loads(run("monitor", "relationship-student", answers, *waves, "-s", "care", "--json").out)["fdr"] == 0.10
    )
    unordered = run("monitor", "relationship-student", answers, "--wave", "wave", "-s", "care")
    assert (unordered.code, "earlier, later" in unordered.err) == (2, True)
    alone = run("monitor", "relationship-student", answers, "--wave", "wave", "--earlier", "autumn", "-s", "care")
    assert (alone.code, "--earlier and --later go together" in alone.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--cluster", "clas_id"), "class_id"),
        (("--level", "student"), "student"),
        (("-s", "caring"), "care"),
        (("--min-report", "3"), "--min-report 3 is below --min-disclose 6"),
        (("--below", "9"), "below"),
        (("--weights", "language"), "language"),
        (("--roster", "{folder}/none.csv"), "none.csv"),
        (("--roster", "{folder}/text.csv"), "whole number"),
        (("--roster", "{folder}/twice.csv"), "twice"),
        (("--roster", "{folder}/names.csv"), "roster"),
    ],
)
def test_wrong_calls_are_one_line(
    run: Any,  # noqa: F811
    answers: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    named: str,
) -> None:
    """Exit code 2, the argument named, nothing written."""
    (tmp_path / "text.csv").write_text("class_id,roster\nclass-1,many\n", encoding="utf-8")
    (tmp_path / "twice.csv").write_text("class_id,roster\nclass-1,30\nclass-1,31\n", encoding="utf-8")
    (tmp_path / "names.csv").write_text("class_id,size\nclass-1,30\n", encoding="utf-8")
    out = tmp_path / "out.csv"
    options = [word.format(folder=tmp_path) for word in words]
    ran = run("classes", "relationship-student", answers, "--out", out, *options)
    assert ran.code == 2
    assert named in ran.err
    assert "Traceback" not in ran.err
    assert not out.exists()


@pytest.mark.parametrize("command", ["classes", "monitor"])
def test_an_interrupt_leaves_no_half_file(
    run: Any,  # noqa: F811
    answers: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    """Ctrl-C while a file is being written: exit code 130, the folder as it was, an older file untouched."""
    out = tmp_path / "out.csv"
    out.write_text("older\n", encoding="utf-8")

    def stop(frame: Any, path: str, suffix: str) -> None:
        Path(path).write_text("half", encoding="utf-8")
        raise KeyboardInterrupt

    monkeypatch.setattr(tables, "_write_pandas", stop)
    waves = ("--wave", "wave", *(("--earlier", "autumn", "--later", "spring") if command == "monitor" else ()))
    ran: Ran = run(command, "relationship-student", answers, *waves, "-s", "care", "--out", out)
    assert ran.code == 130, ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert out.read_text(encoding="utf-8") == "older\n"
    assert "Traceback" not in ran.err


def test_the_script_itself_answers_an_interrupt(answers: Path, tmp_path: Path) -> None:
    """A real signal to a real process at work: 130, and no file."""
    import signal
    import subprocess
    import time

    out = tmp_path / "out.csv"
    code = (
        "import sys, time; from relmeasure import cli; from relmeasure.cli import classes\n"
        "def slow(*a, **k):\n    print('working', flush=True); time.sleep(60)\n"
        "classes.classroom_scores = slow\n"
        f"sys.argv = ['relmeasure', 'classes', 'relationship-student', {str(answers)!r}, '--out', {str(out)!r}]\n"
        "cli.main()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert told.strip() == "interrupted"
    assert not out.exists()
