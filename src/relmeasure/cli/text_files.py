"""What a text file is, before any library reads it: its encoding, what separates its cells, its header.

Nothing is guessed from the answers. The separator is the one that stands in the header line; where several do, the
call says which. Decimal commas are read as such only when the call says so.
"""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from relmeasure.exceptions import DuplicateColumnError, OptionError, UnsupportedDataError, shorten

__all__ = ["SEPARATORS", "TextFormat", "check_encoding", "text_format"]

SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
"""What separates cells in a file of each suffix, as it is written here and unless the header says otherwise."""

_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_SPELLED = {"\\t": "\t", **{name: sign for sign, name in _NAMES.items()}}
_BLOCK = 1 << 20
_AS_UTF8 = "save it as 'CSV UTF-8' (in Excel: Save As; in LibreOffice: character set UTF-8) and read that file"
_MARKS = ((codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"))


@dataclass(frozen=True)
class TextFormat:
    """How the cells of a text file are told apart, and the names in its header."""

    sep: str
    columns: tuple[str, ...]


def check_encoding(path: Path) -> None:
    """Raise unless the whole file is UTF-8, with or without a byte order mark, and says text."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines = 1
    with path.open("rb") as file:
        head = file.read(_BLOCK)
        if head.startswith(b"PK\x03\x04"):
            raise _unreadable(path, "it is a workbook or an archive, not text: export the table as CSV UTF-8.")
        for mark, name in _MARKS:
            if head.startswith(mark):
                raise _unreadable(path, f"it is {name} text, not UTF-8: {_AS_UTF8}.")
        block = head
        while block:
            if b"\0" in block:
                raise _unreadable(path, f"it holds zero bytes, as UTF-16 text and binary files do: {_AS_UTF8}.")
            try:
                decoder.decode(block, final=False)
            except UnicodeDecodeError as error:
                line = lines + error.object[: error.start].count(b"\n")
                raise _unreadable(path, f"line {line} is not UTF-8: {_AS_UTF8}.") from None
            lines += block.count(b"\n")
            block = file.read(_BLOCK)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise _unreadable(path, f"its last character is cut off, or not UTF-8: {_AS_UTF8}.") from None


def text_format(path: Path, sep: str | None = None) -> TextFormat:
    """Return separator and header of a UTF-8 text file.

    Raises
    ------
    UnsupportedDataError
        The header does not say what separates cells, or names and cells do not fit.
    DuplicateColumnError
        A name stands twice: libraries would rename one, unasked.
    """
    sign = _separator(path, sep)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = (row for row in csv.reader(file, delimiter=sign) if row)
        try:
            names, first = next(rows, []), next(rows, [])
        except csv.Error:
            return TextFormat(sign, ())
    if not names:
        raise ValueError("the file is empty")
    if len(first) > len(names):
        raise UnsupportedDataError(
            f"{path}: the first row has {len(first)} cells, the header {len(names)} names. Name every column "
            "(row names too), and end no row with a delimiter.",
            path=str(path),
        )
    twice = [name for name, n in Counter(names).items() if n > 1 and name]
    if twice:
        raise DuplicateColumnError(
            f"{path}: {len(twice)} column name{'s stand' if len(twice) != 1 else ' stands'} twice in the header: "
            f"{shorten(twice)}. Rename or drop one of each.",
            names=twice,
        )
    return TextFormat(sign, tuple(names))


def _separator(path: Path, given: str | None) -> str:
    """The separator named in the call, else the one in the header line."""
    if given is not None:
        sign = _SPELLED.get(given, given)
        if len(sign) != 1 or sign in '"\r\n':
            names = ", ".join(f"{name} ({sign})" if sign != "\t" else name for sign, name in _NAMES.items())
            raise OptionError(f"--sep {given!r}: a separator is one character; usual ones are {names}.", value=given)
        return sign
    own = SEPARATORS[path.suffix.lower()]
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next((line for line in file if line.strip()), "")
    if header.lower().startswith("sep=") and len(header.strip()) == len("sep=;"):
        raise UnsupportedDataError(
            f"{path}: the first line '{header.strip()}' is a note for Excel, not the names of the columns: delete it.",
            path=str(path),
        )
    outside = "".join(header.split('"')[::2])  # a name in quotes may hold any sign
    seen = [sign for sign in (",", ";", "\t") if sign in outside]
    if len(seen) > 1:
        told = " and ".join(_NAMES[sign] + "s" for sign in seen)
        options = " or ".join(f"--sep {_NAMES[sign]}" for sign in seen)
        raise UnsupportedDataError(
            f"{path}: the header holds {told}: say which one separates the columns with {options}.", path=str(path)
        )
    return seen[0] if seen else own


def _unreadable(path: Path, why: str) -> UnsupportedDataError:
    return UnsupportedDataError(f"{path} cannot be read as {path.suffix.lower()[1:]}: {why}", path=str(path))
