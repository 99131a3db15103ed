"""Reading and writing: regular files of bounded size, whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from relmeasure.exceptions import (
    InstrumentError,
    InstrumentFileError,
    InstrumentNotFoundError,
    InstrumentValidationError,
)
from relmeasure.instruments import load_instrument, parse_instrument, read_instrument, write_instrument
from relmeasure.instruments.syntax import MAX_BYTES
from tests.instruments.builders import tree

TOML = b"""
schema_version = 1
id = "toy-student"
version = "1.0"
status = "draft"
kind = "original"
title = { en = "Toy" }
reporter = "student"
target = "teacher"
citation = "Nobody (2026)."
licence = { id = "cc_by" }
items = [
  { id = "q1", response_scale = "agree4" },
  { id = "q2", response_scale = "agree4" },
  { id = "q3", response_scale = "agree4" },
  { id = "q4", response_scale = "agree4" },
]

[response_scales.agree4]
kind = "agreement"
options = [{ value = 1 }, { value = 2 }, { value = 3 }, { value = 4 }]

[[scales]]
id = "warm"
items = ["q1", "q2"]

[[scales]]
id = "fair"
items = ["q3", "q4"]
"""


# --------------------------------------------------------------------------- reading
def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    """Both formats, both kinds of path, and a mapping make equal instruments."""
    toml, js = tmp_path / "toy.toml", tmp_path / "toy.JSON"
    toml.write_bytes(TOML)
    js.write_text(json.dumps(tree()), encoding="utf-8")
    expected = parse_instrument(tree())
    assert read_instrument(toml) == expected
    assert read_instrument(str(js)) == expected
    assert load_instrument(toml) == expected
    assert load_instrument(str(js)) == expected


def test_line_ends_and_byte_order_mark_of_windows(tmp_path: Path) -> None:
    """A file saved by a plain editor on Windows reads the same."""
    file = tmp_path / "toy.toml"
    file.write_bytes(b"\xef\xbb\xbf" + TOML.replace(b"\n", b"\r\n"))
    assert read_instrument(file) == parse_instrument(tree())


def test_errors_name_the_file(tmp_path: Path) -> None:
    """Of syntax and of content."""
    file = tmp_path / "toy.toml"
    file.write_bytes(TOML + b"\n[[scales]]\nid = 'more'\nitems = ['q9']\n")
    with pytest.raises(InstrumentValidationError) as content:
        read_instrument(file)
    assert str(content.value).startswith(f"{file}: 1 problem\n  - scales.more: item 'q9' is not declared.")
    file.write_bytes(TOML + b"\n]")
    with pytest.raises(InstrumentFileError) as syntax:
        read_instrument(file)
    assert str(syntax.value).startswith(f"{file}: not valid TOML: ")
    assert syntax.value.details["source"] == str(file)


def test_a_symbolic_link_to_a_file_is_followed(tmp_path: Path) -> None:
    """A link is the user's own choice; what counts is what it points to."""
    (tmp_path / "real.toml").write_bytes(TOML)
    (tmp_path / "link.toml").symlink_to(tmp_path / "real.toml")
    assert read_instrument(tmp_path / "link.toml").id == "toy-student"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_and_devices_are_not_opened(tmp_path: Path) -> None:
    """A pipe without a writer would wait for ever, /dev/zero would never end."""
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "zero.toml").symlink_to("/dev/zero")
    (tmp_path / "null.json").symlink_to("/dev/null")
    for name in ("pipe.toml", "zero.toml", "null.json"):
        with pytest.raises(InstrumentFileError, match="is not a regular file"):
            read_instrument(tmp_path / name)


def test_directories(tmp_path: Path) -> None:
    """Named as what they are."""
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(InstrumentFileError, match="is a directory"):
        read_instrument(tmp_path / "folder.toml")
    with pytest.raises(InstrumentFileError, match="cannot be read: Not a directory"):
        read_instrument(__file__ + "/x.toml")


def test_size(tmp_path: Path) -> None:
    """At most 512 KB, whether or not the file system knows the size."""
    file = tmp_path / "big.toml"
    file.write_bytes(TOML + b"#" * (MAX_BYTES - len(TOML)))
    assert read_instrument(file).id == "toy-student"
    file.write_bytes(TOML + b"#" * (MAX_BYTES - len(TOML) + 1))
    with pytest.raises(InstrumentFileError, match="larger than 512 KB"):
        read_instrument(file)
    with file.open("r+b") as handle:
        handle.truncate(10**12)
    with pytest.raises(InstrumentFileError, match="larger than 512 KB"):
        read_instrument(file)


def test_a_file_that_grows_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size is held to while reading, not only before."""
    file = tmp_path / "grows.toml"
    file.write_bytes(b"#" * (MAX_BYTES + 5))
    real = os.fstat

    def small(descriptor: int) -> os.stat_result:
        return os.stat_result([*real(descriptor)[:6], 10, *real(descriptor)[7:]])

    monkeypatch.setattr(os, "fstat", small)
    monkeypatch.setattr(Path, "stat", lambda self, **_: os.lstat(__file__))
    with pytest.raises(InstrumentFileError, match="larger than 512 KB"):
        read_instrument(file)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("x\0.toml", "a path cannot hold a null character"),
        ("x" * 5000 + ".toml", "cannot be read: File name too long"),
        ("notes.txt", r"an instrument file ends in \.toml or \.json"),
        ("", r"an instrument file ends in \.toml or \.json"),
        (b"x.toml", "A path is text or a Path; seen bytes"),
    ],
)
def test_paths_that_are_none(path: Any, message: str) -> None:
    """A typed error for each, none of them a file opened."""
    with pytest.raises(InstrumentFileError, match=message) as caught:
        read_instrument(path)
    assert len(str(caught.value)) < 500


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Not found is another error than not readable."""
    with pytest.raises(InstrumentNotFoundError, match="There is no file"):
        read_instrument(tmp_path / "none.toml")


def test_file_names_cannot_move_the_cursor(tmp_path: Path) -> None:
    """Names of files are shown, not obeyed."""
    with pytest.raises(InstrumentNotFoundError) as caught:
        read_instrument(tmp_path / "\x1b[2J.toml")
    assert "\x1b" not in str(caught.value)


def test_files_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason of the system is passed on."""
    (tmp_path / "x.toml").write_bytes(TOML)

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(InstrumentFileError, match="cannot be read: Permission denied"):
        read_instrument(tmp_path / "x.toml")


# --------------------------------------------------------------------------- writing
@pytest.mark.parametrize("name", ["relationship-student", "practice-student", "gti-student"])
def test_written_instruments_read_back_equal(name: str, tmp_path: Path) -> None:
    """Whatever is packaged survives the other format."""
    instrument = load_instrument(name)
    file = write_instrument(instrument, tmp_path / f"{name}.json")
    assert read_instrument(file) == instrument
    assert [entry.name for entry in tmp_path.iterdir()] == [f"{name}.json"]


def test_written_files_are_readable_by_people(tmp_path: Path) -> None:
    """Indented, in UTF-8, without the defaults."""
    made = tree(languages=["es"], licence={"id": "cc_by", "wording": "user_supplied"})
    made["items"][0]["text"] = {"es": "¿Cómo está?"}
    file = write_instrument(parse_instrument(made), tmp_path / "toy.json")
    text = file.read_text(encoding="utf-8")
    assert '"es": "¿Cómo está?"' in text
    assert '\n  "id": "toy-student",' in text
    assert '"schema_version": 1' in text
    assert "prorate" not in text
    assert json.loads(text)["items"][1] == {"id": "q2", "response_scale": "agree4"}


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole or not at all, and nothing left beside it."""
    file = tmp_path / "toy.json"
    file.write_text("old", encoding="utf-8")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(InstrumentFileError, match="cannot be written: No space left on device"):
            write_instrument(parse_instrument(tree()), file)
    assert file.read_text(encoding="utf-8") == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["toy.json"]
    write_instrument(parse_instrument(tree()), file)
    assert read_instrument(file).id == "toy-student"


def test_writing_through_a_link_keeps_the_link(tmp_path: Path) -> None:
    """The file it points to is replaced."""
    (tmp_path / "real.json").write_text("old", encoding="utf-8")
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    write_instrument(parse_instrument(tree()), tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert read_instrument(tmp_path / "real.json").id == "toy-student"


def test_written_files_get_ordinary_permissions(tmp_path: Path) -> None:
    """As any new file of this user would."""
    (tmp_path / "other").write_bytes(b"")
    file = write_instrument(parse_instrument(tree()), tmp_path / "toy.json")
    assert file.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    """TOML, a folder that is not there, a folder with the name of the file, a pipe."""
    instrument = parse_instrument(tree())
    with pytest.raises(InstrumentFileError, match=r"instruments are written as JSON: let the name end in \.json"):
        write_instrument(instrument, tmp_path / "toy.toml")
    with pytest.raises(InstrumentFileError, match="cannot be written: No such file or directory"):
        write_instrument(instrument, tmp_path / "none" / "toy.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(InstrumentFileError, match="is a directory"):
        write_instrument(instrument, tmp_path / "folder.json")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.json")
        with pytest.raises(InstrumentFileError, match="is not a regular file"):
            write_instrument(instrument, tmp_path / "pipe.json")


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    """Wording is written compactly when it must be, and refused when it does not fit at all."""
    items = [{"id": f"q{k}", "response_scale": "agree4"} for k in range(2000)]
    bare = parse_instrument(tree(items=items, scales=[]))
    wide = bare.with_text({f"q{k}": {"en": "x" * 195} for k in range(2000)})
    assert read_instrument(write_instrument(wide, tmp_path / "wide.json")) == wide
    assert (tmp_path / "wide.json").read_bytes().count(b"\n") == 0
    wider = bare.with_text({f"q{k}": {"en": "x" * 300} for k in range(2000)})
    with pytest.raises(InstrumentFileError, match="at most 524288 can be read again"):
        write_instrument(wider, tmp_path / "wider.json")
    assert not (tmp_path / "wider.json").exists()


def test_every_error_is_an_instrument_error() -> None:
    """One class to catch."""
    for error in (InstrumentFileError, InstrumentNotFoundError, InstrumentValidationError):
        assert issubclass(error, InstrumentError)
        assert issubclass(error, ValueError)
