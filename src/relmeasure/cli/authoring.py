"""Commands for people who write, hand out and document instruments: form, template, new, lint."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Annotated

import typer

from relmeasure.cli.display import console, print_json
from relmeasure.cli.options import InstrumentArg, JsonOpt, LangOpt
from relmeasure.cli.tables import write_text
from relmeasure.exceptions import OptionError, UnsupportedDataError
from relmeasure.instruments import load_instrument
from relmeasure.instruments.authoring import lint
from relmeasure.instruments.scaffold import instrument_template
from relmeasure.reports import answer_rows, codebook, form_html
from relmeasure.results import Table

__all__ = ["form_command", "lint_command", "new_command", "template_command"]

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_MOST_ROWS = 1_000_000


def form_command(
    instrument: InstrumentArg,
    out: Annotated[Path, typer.Option("--out", "-o", help="HTML file to write.")],
    lang: LangOpt = None,
    about: Annotated[str | None, typer.Option(help="Line at the top: who or what it is about.")] = None,
    class_code: Annotated[str, typer.Option(help="Class code that the form begins with.")] = "",
) -> None:
    """Write a form: one file that prints, and is an offline web form that saves answers to CSV."""
    if out.suffix.lower() not in {".html", ".htm"}:
        raise UnsupportedDataError(f"{out.name}: a form is an HTML file: let the name end in .html.")
    loaded = load_instrument(instrument)
    if lang is not None and loaded.languages and lang not in loaded.languages:
        raise OptionError.from_value("--lang", lang, loaded.languages)
    write_text(form_html(loaded, language=lang, about=about, class_code=class_code), out)
    _say(f"wrote {out}: {len(loaded.items)} questions. Open it in any browser to print it or to fill it in.")


def template_command(
    instrument: InstrumentArg,
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV or TSV file to write; never overwritten.")],
    rows: Annotated[int, typer.Option(min=0, max=_MOST_ROWS, help="Numbered empty rows.")] = 0,
) -> None:
    """Write an empty table for answers, and beside it a codebook: items, codes, labels, keys."""
    suffix = out.suffix.lower()
    if suffix not in _DELIMITERS:
        raise UnsupportedDataError(f"{out.name}: a template is a text table: use {', '.join(_DELIMITERS)}.")
    loaded = load_instrument(instrument)
    beside = out.with_name(f"{out.stem}-codebook{out.suffix}")
    for path in (out, beside):
        if path.exists():
            raise UnsupportedDataError(f"{path} exists and is left alone: choose another name, or move it.")
    _write_new(_delimited(answer_rows(loaded, rows), _DELIMITERS[suffix]), out)
    _write_new(_delimited(codebook(loaded), _DELIMITERS[suffix]), beside)
    _say(f"wrote {out} ({len(loaded.items)} items, {rows} rows) and {beside}.")


def new_command(
    instrument_id: Annotated[str, typer.Argument(metavar="ID", help="Small letters, digits, single hyphens.")],
    title: Annotated[str | None, typer.Option(help="Title in the first language.")] = None,
    scales: Annotated[
        list[str] | None, typer.Option("--scale", "-s", metavar="NAME:ITEMS", help="A scale and its number of items.")
    ] = None,
    languages: Annotated[list[str] | None, typer.Option("--lang", help="Language; may be repeated.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; by default ID.toml here.")] = None,
) -> None:
    """Write the file of a new instrument, with comments and placeholders; an existing file is left alone."""
    sizes = _scale_sizes(scales or [])
    text = instrument_template(instrument_id, title=title, scales=sizes or None, languages=languages or ["en"])
    path = out or Path(f"{instrument_id}.toml")
    if path.suffix.lower() != ".toml":
        raise UnsupportedDataError(f"{path.name}: the file of a new instrument ends in .toml.")
    _write_new(text, path)
    _say(f"wrote {path}. Write what it asks for, then: relmeasure lint {path}")


def lint_command(instrument: InstrumentArg, as_json: JsonOpt = False) -> None:
    """Report what a careful author would want to know; the exit code is 1 if there is a problem."""
    loaded = load_instrument(instrument)
    found = lint(loaded)
    counts = {name: sum(f.severity == name for f in found) for name in ("problem", "advice", "note")}
    if as_json:
        fields = ("severity", "code", "place", "message")
        print_json(
            {"instrument": loaded.label, **counts, "findings": [{k: getattr(f, k) for k in fields} for f in found]}
        )
    else:
        for finding in found:
            _say(str(finding))
        _say(f"{loaded.label}: " + ", ".join(f"{n} {name}" for name, n in counts.items()))
    if counts["problem"]:
        raise typer.Exit(1)


# --------------------------------------------------------------------------- helpers
def _scale_sizes(given: list[str]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for text in given:
        name, _, n = text.rpartition(":")
        if not name or not (n.isascii() and n.isdigit() and len(n) <= 9):
            raise UnsupportedDataError(f"--scale {text!r}: write NAME:ITEMS, for example --scale care:6.")
        if name in sizes:
            raise UnsupportedDataError(f"--scale {text!r}: '{name}' is given twice.")
        sizes[name] = int(n)
    return sizes


def _delimited(table: Table, delimiter: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(row.values() for row in table.rows())
    return text.getvalue()


def _write_new(text: str, path: Path) -> None:
    """Write a file that does not exist yet, and no other."""
    if not path.parent.is_dir():
        raise UnsupportedDataError(f"The folder {path.parent} does not exist: create it first.", path=str(path))
    try:
        with path.open("x", encoding="utf-8", newline="") as handle:
            handle.write(text)
    except FileExistsError:
        raise UnsupportedDataError(f"{path} exists and is left alone: choose another name, or move it.") from None
    except OSError as error:
        raise UnsupportedDataError(f"{path} cannot be written: {error.strerror}.", path=str(path)) from None


def _say(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
