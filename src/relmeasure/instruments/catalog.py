"""Which instruments there are, and how one is loaded: the packaged library, plug-ins of other packages, user files.

Another package adds instruments with an entry point in the group ``relmeasure.instruments``, which names an
``Instrument``, the ``pathlib.Path`` of a file or of a folder of files, a sequence of these, or a function that returns
any of them::

    [project.entry-points."relmeasure.instruments"]
    mypackage = "mypackage.library:folder"
"""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from relmeasure.exceptions import (
    DuplicateInstrumentWarning,
    InstrumentError,
    InstrumentNotFoundError,
    InstrumentValidationError,
    UnsupportedDataError,
    did_you_mean,
    warn_user,
)
from relmeasure.instruments.definition import Instrument
from relmeasure.instruments.files import SUFFIXES, parse_bytes, read_instrument
from relmeasure.instruments.messages import seen

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint
    from importlib.resources.abc import Traversable

__all__ = ["GROUP", "InstrumentInfo", "InstrumentList", "list_instruments", "load_instrument", "require_instrument"]

GROUP = "relmeasure.instruments"
"""Entry-point group in which other packages name their instruments."""

_ID = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", re.ASCII)
_HOME = "relmeasure"


class InstrumentInfo(BaseModel):
    """One line about an instrument. Where it could not be read, ``error`` says why and the rest is unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    version: str | None = None
    status: Literal["draft", "piloted", "field_tested"] | None = None
    kind: Literal["original", "structure_only"] | None = None
    title: str | None = None
    reporter: str | None = None
    n_items: int | None = None
    n_scales: int | None = None
    licence: str | None = None
    source: str = _HOME
    error: str | None = None


class InstrumentList(tuple[InstrumentInfo, ...]):
    """A tuple of ``InstrumentInfo`` that prints as a table."""

    __slots__ = ()

    def __repr__(self) -> str:
        names = ("id", "version", "status", "kind", "reporter", "n_items", "n_scales", "licence", "source")
        rows = [names, *(tuple(_cell(getattr(info, name)) for name in names) for info in self)]
        widths = [max(len(row[k]) for row in rows) for k in range(len(names))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines += [f"{info.id}: {' '.join(info.error.split())}" for info in self if info.error is not None]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def load_instrument(id_or_path: str | os.PathLike[str]) -> Instrument:
    """Load an instrument by its id, or from a file.

    Parameters
    ----------
    id_or_path : str or Path
        An id such as ``"relationship-student"``, looked up in the packaged library and then among the plug-ins of
        other packages; an id never names a file elsewhere. Or a file: a ``Path``, or text that ends in ``.toml`` or
        ``.json``.

    Returns
    -------
    Instrument
        Frozen; the same object each time an id is loaded.

    Raises
    ------
    InstrumentNotFoundError
        If there is no such id or file; close ids are named.
    InstrumentFileError, InstrumentValidationError
        If the file cannot be read, or contradicts itself.

    Examples
    --------
    >>> from relmeasure.instruments import load_instrument
    >>> load_instrument("relationship-student").scale("care").levels
    ('student', 'class', 'teacher')
    >>> load_instrument("relationship-studnt")
    Traceback (most recent call last):
        ...
    relmeasure.exceptions.InstrumentNotFoundError: There is no instrument 'relationship-studnt'. Did you mean ...
    """
    wanted: Any = id_or_path
    if isinstance(wanted, str) and not wanted.lower().endswith(SUFFIXES):
        return _by_id(wanted)
    if not isinstance(wanted, (str, os.PathLike)):
        raise InstrumentNotFoundError(
            f"An instrument is loaded by its id or its path; seen {seen(wanted)}.", wanted=repr(wanted)[:100]
        )
    try:
        return read_instrument(wanted)
    except InstrumentNotFoundError as error:
        stem = Path(wanted).stem
        if stem in _packaged_ids():
            hint = f"{error.message} load_instrument({stem!r}) loads the one in the library."
            raise InstrumentNotFoundError(hint, **error.details) from None
        raise


def list_instruments() -> InstrumentList:
    """List the instruments of the library and of installed plug-ins, sorted by id.

    An instrument that cannot be read is listed with its ``error`` and does not hide the others. Where two sources have
    the same id, the library comes first, then the plug-in first by name; a ``DuplicateInstrumentWarning`` names the
    other.

    Returns
    -------
    tuple of InstrumentInfo
        Prints as a table.

    Examples
    --------
    >>> from relmeasure.instruments import list_instruments
    >>> {info.id: info.kind for info in list_instruments()}["gti-student"]
    'structure_only'
    """
    listed: dict[str, InstrumentInfo] = {}
    for found in (*_packaged_entries(), *_plugin_entries()):
        first = listed.get(found.id)
        if first is None or first.error is not None:
            listed[found.id] = found.info()
        elif found.error is None:
            _warn_duplicate(found.id, first.source, found.source)
    return InstrumentList(info for _, info in sorted(listed.items()))


# --------------------------------------------------------------------------- by id
def _by_id(wanted: str) -> Instrument:
    if not _ID.fullmatch(wanted) or len(wanted) > 80:
        close = did_you_mean(wanted[:80].lower(), _packaged_ids())
        raise InstrumentNotFoundError(
            f"{seen(wanted)} is neither the id of an instrument nor a path that ends in .toml or .json.{close}",
            wanted=wanted[:300],
        )
    if wanted in _packaged_ids():
        return _packaged(wanted)
    if wanted not in _loaded:
        _loaded[wanted] = _from_plugins(wanted)
    return _loaded[wanted]


_loaded: dict[str, Instrument] = {}


def _from_plugins(wanted: str) -> Instrument:
    entries = _plugin_entries()
    found = [entry for entry in entries if entry.id == wanted]
    good = [(entry.instrument, entry.source) for entry in found if entry.instrument is not None]
    for _, other in good[1:]:
        _warn_duplicate(wanted, good[0][1], other)
    if good:
        return good[0][0]
    known = sorted({*_packaged_ids(), *(entry.id for entry in entries)})
    broken = [f"{entry.source}: {entry.error}" for entry in (found or entries) if entry.error is not None]
    also = f" Plug-ins that could not be read: {'; '.join(broken)[:600]}." if broken else ""
    raise InstrumentNotFoundError(
        f"There is no instrument '{wanted}'.{did_you_mean(wanted, known)} list_instruments() shows them all; "
        f"a file is loaded by its path, which ends in .toml or .json.{also}",
        wanted=wanted,
        known=known,
    )


def _warn_duplicate(name: str, first: str, other: str) -> None:
    warn_user(
        DuplicateInstrumentWarning(
            f"Instrument '{name}' comes from {first} and from {other}: the one from {first} is used.",
            id=name,
            used=first,
            unused=other,
        )
    )


# --------------------------------------------------------------------------- the packaged library
def _library() -> Traversable:
    from importlib.resources import files

    return files("relmeasure.instruments").joinpath("library")


@cache
def _packaged_ids() -> frozenset[str]:
    return frozenset(file.name.removesuffix(".toml") for file in _library().iterdir() if file.name.endswith(".toml"))


@cache
def _packaged(name: str) -> Instrument:
    file = _library().joinpath(f"{name}.toml")
    return _named(name, parse_bytes(file.read_bytes(), ".toml", source=f"library/{name}.toml"), f"library/{name}.toml")


def _named(name: str, instrument: Instrument, source: str) -> Instrument:
    if instrument.id != name:
        raise InstrumentValidationError.from_problems(
            source, [f"id: '{instrument.id}' differs from the name of the file: rename one of them."]
        )
    return instrument


def _packaged_entries() -> Iterator[_Entry]:
    for name in sorted(_packaged_ids()):
        try:
            yield _Entry(name, _HOME, _packaged(name))
        except InstrumentError as error:
            yield _Entry(name, _HOME, error=error.message)


# --------------------------------------------------------------------------- plug-ins
@dataclass(frozen=True)
class _Entry:
    """One instrument that was found, or what kept it from being read."""

    id: str
    source: str
    instrument: Instrument | None = None
    error: str | None = None

    def info(self) -> InstrumentInfo:
        made = self.instrument
        if made is None:
            return InstrumentInfo(id=self.id, source=self.source, error=self.error)
        return InstrumentInfo(
            id=made.id,
            version=made.version,
            status=made.status,
            kind=made.kind,
            title=made.title.get("en", next(iter(made.title.values()))),
            reporter=made.reporter,
            n_items=len(made.items),
            n_scales=len(made.scales),
            licence=made.licence.id,
            source=self.source,
        )


def _plugin_entries() -> list[_Entry]:
    """What the installed plug-ins hold, each read anew so that a repaired one is seen without a restart."""
    from importlib.metadata import entry_points

    points = sorted(entry_points(group=GROUP), key=lambda point: (_source(point), point.name))
    return [entry for point in points for entry in _of_point(point)]


def _source(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.name


def _of_point(point: EntryPoint) -> Iterator[_Entry]:
    source = _source(point)
    try:
        value = point.load()
        if callable(value):
            value = value()
        parts = value if isinstance(value, (list, tuple)) else [value]
        yield from [entry for part in parts for entry in _of_part(part, point.name, source)]
    except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code may raise anything; it must not hide the rest
        reason = "".join(c if c.isprintable() else " " for c in f"{type(error).__name__}: {error}"[:500])
        yield _Entry(point.name, source, error=reason)


def _of_part(part: Any, name: str, source: str) -> Iterator[_Entry]:
    if isinstance(part, Instrument):
        yield _Entry(part.id, source, part)
    elif isinstance(part, os.PathLike):
        path = Path(part)
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        for file in files:
            try:
                made = read_instrument(file)
                yield _Entry(made.id, source, made)
            except InstrumentError as error:
                yield _Entry(file.stem, source, error=error.message)
    else:
        kind = type(part).__name__
        yield _Entry(name, source, error=f"gives a {kind}: it must give an Instrument, a Path, or a list of these.")


def require_instrument(value: Any, argument: str = "instrument") -> Instrument:
    """Return the instrument, or say how to get one: what every public function asks first of what it was handed."""
    if isinstance(value, Instrument):
        return value
    name = value if isinstance(value, str) else "..."
    raise UnsupportedDataError(
        f"{argument}= takes an Instrument, not a {type(value).__name__}: hand in rm.load_instrument({name!r}).",
        argument=argument,
        type=type(value).__name__,
    )


def _cell(value: object) -> str:
    return "-" if value is None else str(value)
