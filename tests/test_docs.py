"""The pages keep up with the code. Their Python blocks are executed as tests of their own (conftest.py)."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import relmeasure
import relmeasure.__main__ as console
from relmeasure import exceptions
from tests.support import ROOT
from tests.test_architecture import LAYERS, read_package

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# --------------------------------------------------------------------------- errors
CLASSES = [getattr(exceptions, name) for name in exceptions.__all__ if isinstance(getattr(exceptions, name), type)]


def test_every_code_has_its_heading() -> None:
    headings = re.findall(r"^### `(.+)`$", text_of("docs/errors.md"), flags=re.MULTILINE)
    assert sorted(headings) == sorted(cls.code for cls in CLASSES)


def test_every_code_is_one_mistake() -> None:
    codes = [cls.code for cls in CLASSES]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("cls", CLASSES)
def test_page_names_the_class_under_its_code(cls: type[exceptions.RelmeasureError]) -> None:
    after = text_of("docs/errors.md").partition(f"### `{cls.code}`\n")[2]
    assert after.startswith(f"`{cls.__name__}`")


def test_every_class_is_exported_and_in_the_tree() -> None:
    defined = {
        name
        for name, value in vars(exceptions).items()
        if isinstance(value, type) and issubclass(value, (exceptions.RelmeasureError, exceptions.RelmeasureWarning))
    }
    assert defined == set(exceptions.__all__)
    tree = exceptions.__doc__ or ""
    assert [name for name in sorted(defined) if not re.search(rf"\b{name}\b", tree)] == []


# --------------------------------------------------------------------------- pages
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target and not target.startswith("mailto:")]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_names_no_registry_and_no_machine(page: Path) -> None:
    places = [re.escape(f"{folder}/") for folder in (ROOT, Path.home())]
    found = re.findall("|".join(["pypi", "anaconda", *places]), page.read_text(encoding="utf-8"))
    assert found == []


def test_architecture_page_knows_every_module() -> None:
    page = text_of("docs/architecture.md")
    assert [m for m in sorted({module.top for module in read_package()}) if f"`{m}`" not in page] == []


def test_architecture_page_and_layer_test_agree() -> None:
    rows = re.findall(r"^\| (\d?) ?\| (.+?) \|", text_of("docs/architecture.md"), flags=re.MULTILINE)
    assert rows
    rank = {name: number for number, names in enumerate(LAYERS) for name in names}
    highest = 0
    for _, cell in rows:
        ranks = {rank[name] for name in re.findall(r"`(\w+)`", cell)}
        assert min(ranks) >= highest - 1
        highest = max(highest, *ranks)


# --------------------------------------------------------------------------- set-up
def test_readme_gives_two_setup_commands() -> None:
    block = text_of("README.md").partition("<!-- setup -->")[2].partition("<!-- end -->")[0]
    commands = [line for line in block.splitlines() if re.match(r"python3|\.venv/bin/", line)]
    assert commands == [
        "python3 -m venv .venv && .venv/bin/pip install -e '.[cli]' && .venv/bin/relmeasure demo",
        ".venv/bin/pip install -e '.[test]' && .venv/bin/python -m pytest",
    ]


def test_version_is_the_same_everywhere() -> None:
    found = re.search(r'^version: "(.+)"$', text_of("CITATION.cff"), flags=re.MULTILINE)
    assert found is not None
    assert found[1] == relmeasure.__version__
    assert f"## {relmeasure.__version__}" in text_of("CHANGELOG.md")


REQUIREMENTS = [
    *PROJECT["project"]["dependencies"],
    *(line for extra in PROJECT["project"]["optional-dependencies"].values() for line in extra),
]


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_every_requirement_has_a_floor_and_no_unexplained_ceiling(requirement: str) -> None:
    assert re.search(r">=\d|==\d", requirement)
    if re.search(r"<|==", requirement):
        assert requirement.startswith(("factor-analyzer", "scikit-learn", "textstat"))


def test_test_extra_holds_what_the_other_extras_name() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    for name in ("cli", "arrow", "polars", "duckdb", "forms", "plots", "authoring"):
        assert set(extras[name]) <= set(extras["test"])


# --------------------------------------------------------------------------- console script
@pytest.mark.parametrize("package", ["typer", "rich"])
def test_script_without_its_extra_says_one_line_and_ends_with_two(
    package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "find_spec", lambda name: None if name == package else object())
    with pytest.raises(SystemExit) as stop:
        console.main()
    assert stop.value.code == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == f"The command line needs {package}, which is not installed: pip install 'relmeasure[cli]'\n"


def test_script_with_its_extra_runs_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["relmeasure", "--version"])
    with suppress(SystemExit):
        console.main()
    assert relmeasure.__version__ in capsys.readouterr().out


def test_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "relmeasure", "--version"], capture_output=True, text=True, check=False, timeout=100
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert relmeasure.__version__ in done.stdout
