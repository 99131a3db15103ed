"""Instrument files: TOML or JSON in, JSON out, and the JSON Schema that describes both.

A file may come from anyone, so reading is bounded in time and memory and never leaves the file it was given: regular
files only (no pipe, device or directory), 512 KB, UTF-8, a limit on nesting that is checked before parsing, no
repeated key, no NaN. Whatever is wrong is an ``InstrumentFileError`` (cannot be read) or an
``InstrumentValidationError`` (is read, but says something impossible), never anything else, and all problems are
reported together.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from relmeasure.exceptions import InstrumentFileError, InstrumentNotFoundError, InstrumentValidationError
from relmeasure.instruments.definition import SCHEMA_VERSION, Instrument
from relmeasure.instruments.messages import place, seen
from relmeasure.instruments.syntax import MAX_BYTES, Loc, json_tree, toml_tree, tree_problems

__all__ = ["SUFFIXES", "json_schema", "parse_bytes", "parse_instrument", "read_instrument", "write_instrument"]

SUFFIXES = (".toml", ".json")
"""What instrument files end in."""

StrPath = str | os.PathLike[str]


def read_instrument(path: StrPath) -> Instrument:
    """Read an instrument from a TOML or JSON file.

    Parameters
    ----------
    path : str or Path
        A regular file that ends in ``.toml`` or ``.json``, at most 512 KB, UTF-8.

    Raises
    ------
    InstrumentNotFoundError
        If there is no such file.
    InstrumentFileError
        If it cannot be read: not a regular file, too large, not UTF-8, not TOML or JSON, nested too deeply.
    InstrumentValidationError
        If its content does not make an instrument; ``details["problems"]`` lists each problem with its place and fix.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from relmeasure.instruments import load_instrument, read_instrument, write_instrument
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "mine.json"
    >>> write_instrument(load_instrument("relationship-student"), file).name
    'mine.json'
    >>> read_instrument(file) == load_instrument("relationship-student")
    True
    """
    name = _name(path)
    return parse_bytes(_read(name), Path(name).suffix, source=_shown(name))


def parse_bytes(data: bytes, suffix: str, *, source: str) -> Instrument:
    """Build an instrument from the bytes of a TOML or JSON file; ``source`` names it in errors."""
    tree = toml_tree(data, source) if suffix.lower() == ".toml" else json_tree(data, source)
    return parse_instrument(tree, source=source)


def parse_instrument(mapping: Mapping[str, Any], *, source: str = "instrument") -> Instrument:
    """Build an instrument from a mapping laid out as the file is.

    Parameters
    ----------
    mapping : mapping
        Keys and values as in a file; parts may already be ``Item``, ``Scale`` and so on.
    source : str
        What errors call it.

    Raises
    ------
    InstrumentValidationError
        With every problem found.

    Examples
    --------
    >>> from relmeasure.instruments import parse_instrument
    >>> parse_instrument({"schema_version": 2})
    Traceback (most recent call last):
        ...
    relmeasure.exceptions.InstrumentValidationError: instrument: 1 problem
      - schema_version: 2 is newer than 1, the newest that can be read: update.
    """
    given: Any = mapping
    if not isinstance(given, Mapping):
        raise InstrumentValidationError.from_problems(
            source, [f"an instrument is a table of keys and values; seen {seen(given)}."]
        )
    version = given.get("schema_version")
    if isinstance(version, int) and not isinstance(version, bool) and version > SCHEMA_VERSION:
        raise InstrumentValidationError.from_problems(
            source,
            [f"schema_version: {seen(version)} is newer than {SCHEMA_VERSION}, the newest that can be read: update."],
        )
    odd = tree_problems(given, leaves=(BaseModel,))
    if odd:
        raise InstrumentValidationError.from_problems(
            source, [f"{place(given, loc) or 'the instrument'}: {complaint}" for loc, complaint in odd]
        )
    try:
        return Instrument.model_validate(given)
    except InstrumentValidationError as error:
        problems = [*error.details["problems"], *_hidden_problems(given, error)]
    raise InstrumentValidationError.from_problems(source, problems)


def _hidden_problems(mapping: Mapping[str, Any], error: InstrumentValidationError) -> list[str]:
    """Contradictions that show once misspelt keys are out of the way, so that all problems are seen at once.

    Only where nothing but unknown keys stands against the file: elsewhere a check would complain of what is absent.
    """
    unknown = {tuple(loc): field for loc, field in error.details.get("unknown_keys", [])}
    if not unknown or len(unknown) != len(error.details["problems"]):
        return []
    try:
        Instrument.model_validate(_renamed(mapping, unknown))
    except InstrumentValidationError as further:
        return list(further.details["problems"])
    return []


def _renamed(value: Any, unknown: Mapping[Loc, str | None], loc: Loc = ()) -> Any:
    """A copy of a tree in which unknown keys bear the name that was meant, or are gone."""
    if isinstance(value, Mapping):
        made = {k: _renamed(v, unknown, (*loc, k)) for k, v in value.items() if (*loc, k) not in unknown}
        for key in value:
            name = unknown.get((*loc, key))
            if name is not None:
                made.setdefault(name, value[key])
        return made
    if isinstance(value, (list, tuple)):
        return [_renamed(part, unknown, (*loc, number)) for number, part in enumerate(value)]
    return value


# --------------------------------------------------------------------------- reading
def _name(path: StrPath) -> str:
    """The path as text, if it can be one."""
    name = os.fspath(path)
    if not isinstance(name, str):
        raise InstrumentFileError(f"A path is text or a Path; seen {type(path).__name__}.", source=repr(path)[:100])
    if "\0" in name:
        raise InstrumentFileError(f"{_shown(name)}: a path cannot hold a null character.", source=_shown(name))
    if Path(name).suffix.lower() not in SUFFIXES:
        raise InstrumentFileError(
            f"{_shown(name)}: an instrument file ends in .toml or .json: rename it.", source=_shown(name)
        )
    return name


def _read(name: str) -> bytes:
    """The bytes of a regular file of bounded size. Pipes, devices and directories are not opened for reading."""
    try:
        _check_regular(Path(name).stat(), name)
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
        with open(os.open(name, flags), "rb") as handle:  # noqa: PTH123 - a descriptor, not a path
            status = os.fstat(handle.fileno())
            _check_regular(status, name)
            data = handle.read(MAX_BYTES + 1) if status.st_size <= MAX_BYTES else None
    except FileNotFoundError:
        raise InstrumentNotFoundError(
            f"There is no file {_shown(name)}. list_instruments() shows the ids that need no file.", source=_shown(name)
        ) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InstrumentFileError(f"{_shown(name)}: cannot be read: {reason}.", source=_shown(name)) from None
    if data is None or len(data) > MAX_BYTES:
        raise InstrumentFileError(
            f"{_shown(name)}: larger than {MAX_BYTES // 1024} KB, the most an instrument file may hold.",
            source=_shown(name),
        )
    return data


def _check_regular(status: os.stat_result, name: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise InstrumentFileError(
            f"{_shown(name)}: is {kind}: give the path of a .toml or .json file.", source=_shown(name)
        )


def _shown(name: str) -> str:
    """A path as it may stand in a message."""
    short = name if len(name) <= 300 else f"{name[:140]}...{name[-140:]}"
    return short if short.isprintable() else repr(short)


# --------------------------------------------------------------------------- writing
def write_instrument(instrument: Instrument, path: StrPath) -> Path:
    """Write an instrument as JSON, whole or not at all: a file that exists is replaced in one step.

    Parameters
    ----------
    instrument : Instrument
        What to write; wording that a user supplied is written too.
    path : str or Path
        A file that ends in ``.json``, in a folder that exists.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InstrumentFileError
        If the path does not end in ``.json``, cannot be written, or the file would be too large to be read again.
    """
    name = _name(path)
    if Path(name).suffix.lower() != ".json":
        raise InstrumentFileError(
            f"{_shown(name)}: instruments are written as JSON: let the name end in .json.", source=_shown(name)
        )
    payload = instrument.model_dump(mode="json", exclude_defaults=True)
    data = (json.dumps(payload, ensure_ascii=False, indent=2) + "\n").encode()
    if len(data) > MAX_BYTES:
        data = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    if len(data) > MAX_BYTES:
        raise InstrumentFileError(
            f"{_shown(name)}: the file would hold {len(data)} bytes; at most {MAX_BYTES} can be read again.",
            source=_shown(name),
        )
    target = Path(os.path.realpath(name))
    try:
        if target.exists():
            _check_regular(target.stat(), name)
        _replace(target, data)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InstrumentFileError(f"{_shown(name)}: cannot be written: {reason}.", source=_shown(name)) from None
    return Path(name)


def _replace(target: Path, data: bytes) -> None:
    """Write a file beside the target and put it in its place when it is complete."""
    draft = target.with_name(f".{target.name[:100]}.{os.urandom(8).hex()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with open(os.open(draft, flags, 0o666), "wb") as handle:  # noqa: PTH123 - a descriptor, not a path
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


# --------------------------------------------------------------------------- schema
def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of instrument files, TOML and JSON alike.

    It says which keys and values there are; what must agree with what (items with scales, norms with score ranges) is
    checked by ``read_instrument``.

    Examples
    --------
    >>> from relmeasure.instruments import json_schema
    >>> json_schema()["title"]
    'relmeasure instrument'
    """
    made = _closed(Instrument.model_json_schema(mode="validation"))
    made.pop("title", None)
    description = made.pop("description").split("\n\n", 1)[0]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:relmeasure:schema:instrument:{SCHEMA_VERSION}",
        "title": "relmeasure instrument",
        "description": description,
        **dict(sorted(made.items())),
    }


def _closed(node: Any) -> Any:
    """A schema without invented titles, whose tables admit the keys they name and no others."""
    if isinstance(node, list):
        return [_closed(part) for part in node]
    if isinstance(node, float) and node.is_integer():
        return int(node)
    if not isinstance(node, dict):
        return node
    made: dict[str, Any] = {}
    for key, part in node.items():
        if key == "title" and isinstance(part, str):
            continue
        if key in {"properties", "$defs"}:
            made[key] = {name: _closed(inner) for name, inner in part.items()}
        elif key in {"default", "const", "enum"}:
            made[key] = part
        else:
            made[key] = _closed(part)
    if "patternProperties" in made:
        made["additionalProperties"] = False
    return made
