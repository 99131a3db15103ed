"""Finding instruments: the library, plug-ins of other packages, files; and what happens when they are broken."""

from __future__ import annotations

import importlib.metadata
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from relmeasure.exceptions import (
    DuplicateInstrumentWarning,
    InstrumentFileError,
    InstrumentNotFoundError,
    InstrumentValidationError,
)
from relmeasure.instruments import Instrument, catalog, list_instruments, load_instrument
from relmeasure.instruments.catalog import GROUP, InstrumentInfo
from tests.instruments import plugin_examples
from tests.instruments.builders import tree

PACKAGED = ("gti-student", "practice-student", "relationship-student")
"""Ids that the library holds at least."""

Install = Callable[..., None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Pretend that these names of ``plugin_examples`` are entry points of installed packages."""

    def fake(**points: str) -> None:
        made = [EntryPoint(name, f"tests.instruments.plugin_examples:{value}", GROUP) for name, value in points.items()]

        def entry_points(*, group: str) -> list[EntryPoint]:
            assert group == GROUP
            return made

        monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)

    before = dict(catalog._loaded)
    yield fake
    catalog._loaded.clear()
    catalog._loaded.update(before)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a sound file, a broken one, and one that is none of ours."""
    monkeypatch.setattr(plugin_examples, "FOLDER", tmp_path)
    (tmp_path / "file.json").write_text(json.dumps(tree(id="plugin-file")), encoding="utf-8")
    (tmp_path / "torn.toml").write_bytes(b"id = ")
    (tmp_path / "notes.txt").write_bytes(b"not an instrument")
    return tmp_path


# --------------------------------------------------------------------------- the library
def test_the_library_is_listed_sorted_and_sound() -> None:
    """Every packaged file loads, and its id is its name."""
    listed = list_instruments()
    ids = [info.id for info in listed]
    assert ids == sorted(ids)
    assert set(PACKAGED) <= set(ids)
    for info in listed:
        if info.source == "relmeasure":
            assert info.error is None
            instrument = load_instrument(info.id)
            assert (info.id, info.version, info.status, info.kind) == (
                instrument.id,
                instrument.version,
                instrument.status,
                instrument.kind,
            )
            assert (info.n_items, info.n_scales) == (len(instrument.items), len(instrument.scales))
            assert info.licence == instrument.licence.id
            assert info.reporter == instrument.reporter


def test_originals_are_told_apart_from_structures() -> None:
    """Wherever they are shown."""
    by_id = {info.id: info for info in list_instruments()}
    assert by_id["relationship-student"].kind == "original"
    assert by_id["gti-student"].kind == "structure_only"


def test_the_list_prints_as_a_table() -> None:
    """A tuple whose repr a person can read; it is still a tuple."""
    listed = list_instruments()
    assert isinstance(listed, tuple)
    lines = repr(listed).splitlines()
    assert lines[0].split() == [
        "id",
        "version",
        "status",
        "kind",
        "reporter",
        "n_items",
        "n_scales",
        "licence",
        "source",
    ]
    assert len(lines) == len(listed) + 1
    assert "relationship-student" in listed._repr_html_()
    assert pickle.loads(pickle.dumps(listed)) == listed
    assert isinstance(listed[0], InstrumentInfo)
    with pytest.raises(ValueError, match="frozen"):
        listed[0].id = "x"


def test_one_object_for_each_id() -> None:
    """Loading is cached; the object is frozen, so sharing it is safe."""
    assert load_instrument("relationship-student") is load_instrument("relationship-student")


def test_a_packaged_file_must_bear_its_id(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Else an id would load something of another name."""
    (tmp_path / "one-name.toml").write_bytes(b"")
    monkeypatch.setattr(catalog, "_library", lambda: tmp_path)
    monkeypatch.setattr(catalog, "parse_bytes", lambda *_, **__: load_instrument_object())
    catalog._packaged.cache_clear()
    catalog._packaged_ids.cache_clear()
    try:
        with pytest.raises(
            InstrumentValidationError, match=r"library/one-name\.toml: 1 problem\n  - id: 'toy-student' differs"
        ):
            load_instrument("one-name")
        (listed,) = list_instruments()
        assert listed.error is not None
        assert repr(list_instruments()).splitlines()[-1].startswith("one-name: library/one-name.toml: 1 problem")
    finally:
        catalog._packaged.cache_clear()
        catalog._packaged_ids.cache_clear()


def load_instrument_object() -> Instrument:
    """The sound instrument of the tests."""
    return Instrument.model_validate(tree())


# --------------------------------------------------------------------------- ids and paths
@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("relationship-studnt", "Did you mean 'relationship-student'?"),
        ("gti-students", "Did you mean 'gti-student'?"),
        ("Relationship-Student", "Did you mean 'relationship-student'?"),
        ("relationship_student", "Did you mean 'relationship-student'?"),
        ("zzz", "list_instruments() shows them all"),
        ("", "neither the id of an instrument nor a path"),
        ("../library/relationship-student", "neither the id of an instrument nor a path"),
        ("library/relationship-student", "neither the id of an instrument nor a path"),
        ("/etc/passwd", "neither the id of an instrument nor a path"),
        ("relationship-student\n", "neither the id of an instrument nor a path"),
        ("relationship-student\0", "neither the id of an instrument nor a path"),
        ("x" * 10_000, "neither the id of an instrument nor a path"),
        ("\x1b[2J", "neither the id of an instrument nor a path"),
    ],
    ids=range(13),
)
def test_ids_that_are_none(wanted: str, hint: str) -> None:
    """With what was probably meant, in a short message."""
    with pytest.raises(InstrumentNotFoundError) as caught:
        load_instrument(wanted)
    assert hint in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize("wanted", [None, 3, ["relationship-student"], b"relationship-student"])
def test_neither_id_nor_path(wanted: Any) -> None:
    """A typed error, not a crash further down."""
    with pytest.raises(InstrumentNotFoundError, match="loaded by its id or its path"):
        load_instrument(wanted)


def test_an_id_never_opens_a_file_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even one of that very name in the folder where one works."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-form").write_text(json.dumps(tree(id="my-form")), encoding="utf-8")
    (tmp_path / "my-form.json").write_text(json.dumps(tree(id="my-form")), encoding="utf-8")
    with pytest.raises(InstrumentNotFoundError):
        load_instrument("my-form")
    assert load_instrument("my-form.json").id == "my-form"
    assert load_instrument(tmp_path / "my-form.json").id == "my-form"


def test_a_path_object_is_always_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``Path("relationship-student")`` is not an id."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InstrumentFileError, match="ends in"):
        load_instrument(Path("relationship-student"))


def test_the_file_name_of_a_packaged_instrument_gets_a_hint(tmp_path: Path) -> None:
    """The usual slip."""
    with pytest.raises(InstrumentNotFoundError, match=r"load_instrument\('gti-student'\) loads the one in the library"):
        load_instrument(str(tmp_path / "gti-student.toml"))
    with pytest.raises(InstrumentNotFoundError) as caught:
        load_instrument(tmp_path / "other.toml")
    assert "loads the one" not in str(caught.value)


# --------------------------------------------------------------------------- plug-ins
def test_plugins_of_every_kind(install: Install, folder: Path) -> None:
    """An object, a function that gives a folder, one that gives a list."""
    install(a="instrument", b="folder", c="several")
    with pytest.warns(
        DuplicateInstrumentWarning, match="'plugin-file' comes from b and from c: the one from b is used"
    ):
        listed = {info.id: info for info in list_instruments()}
    assert listed["plugin-object"].source == "a"
    assert listed["plugin-file"].source == "b"
    assert listed["plugin-list"].source == "c"
    assert listed["torn"].error is not None
    assert "not valid TOML" in listed["torn"].error
    assert "notes" not in listed
    assert load_instrument("plugin-object") is plugin_examples.instrument
    assert load_instrument("plugin-list").id == "plugin-list"
    assert load_instrument("plugin-list") is load_instrument("plugin-list")
    assert set(PACKAGED) <= set(listed)
    assert folder.exists()


def test_broken_plugins_do_not_break_the_list(install: Install) -> None:
    """Each is listed with its error, whatever it raised."""
    install(bad="broken", ends="leaves", wrong="number", gone="nothing_here")
    listed = {info.id: info for info in list_instruments()}
    assert listed["bad"].error == "RuntimeError: the plug-in is broken"
    assert listed["ends"].error == "SystemExit: 3"
    assert "gives a int: it must give an Instrument" in str(listed["wrong"].error)
    assert "AttributeError" in str(listed["gone"].error)
    assert set(PACKAGED) <= set(listed)
    assert "bad: RuntimeError: the plug-in is broken" in repr(list_instruments())
    with pytest.raises(InstrumentNotFoundError, match="Plug-ins that could not be read: bad: RuntimeError"):
        load_instrument("bad-student")


def test_the_library_wins_over_plugins(install: Install) -> None:
    """And says so; a packaged id does not even ask the plug-ins."""
    install(other="shadow")
    with pytest.warns(DuplicateInstrumentWarning, match="'practice-student' comes from relmeasure and from other"):
        listed = {info.id: info for info in list_instruments()}
    assert listed["practice-student"].source == "relmeasure"
    assert load_instrument("practice-student") is not plugin_examples.shadow


def test_the_first_plugin_wins_over_later_ones(install: Install) -> None:
    """By name, so that the answer does not depend on the order of installation."""
    install(zeta="same", alpha="instrument")
    with pytest.warns(DuplicateInstrumentWarning, match="comes from alpha and from zeta: the one from alpha is used"):
        assert load_instrument("plugin-object").version == "1.0"


def test_a_repaired_plugin_is_seen_without_a_restart(install: Install) -> None:
    """Failures are not cached."""
    install(one="broken")
    with pytest.raises(InstrumentNotFoundError):
        load_instrument("plugin-object")
    install(one="instrument")
    assert load_instrument("plugin-object").id == "plugin-object"


# --------------------------------------------------------------------------- light
def test_instruments_need_neither_numpy_nor_frames() -> None:
    """Pydantic and the standard library only."""
    code = (
        "import sys; from relmeasure.instruments import load_instrument, list_instruments, json_schema; "
        "load_instrument('relationship-student'); list_instruments(); json_schema(); "
        "heavy = {'numpy', 'scipy', 'pandas', 'polars', 'pyarrow', 'narwhals', 'matplotlib'} & set(sys.modules); "
        "sys.exit(', '.join(sorted(heavy)) or None)"
    )
    source = Path(catalog.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
