"""How instruments and tables look in a terminal. Rich is imported here and nowhere below."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relmeasure.instruments.definition import Instrument, Item, ResponseScale
    from relmeasure.results import Table

__all__ = ["console", "errors", "print_instrument", "print_json", "print_table"]

_PIPE_WIDTH = 160
"""Columns of output that goes to a file or a pipe: wide enough that no id is folded."""

console = Console()
errors = Console(stderr=True)
if not console.is_terminal:
    console = Console(width=_PIPE_WIDTH)


def print_table(table: Table, *, title: str | None = None, columns: Mapping[str, str] | None = None) -> None:
    """Print a tidy table; ``columns`` picks columns and gives their headings."""
    headings = dict(columns) if columns is not None else {name: name for name in table.columns}
    grid = RichTable(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for name, heading in headings.items():
        numeric = all(v is None or isinstance(v, (int, float)) for v in table[name])
        grid.add_column(heading, justify="right" if numeric else "left", no_wrap=True)
    for row in table.rows():
        grid.add_row(*(escape(cell(row[name])) for name in headings))
    console.print(grid)


def print_json(value: Any) -> None:
    """Print JSON for programs, as it is: never wrapped."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def cell(value: Any) -> str:
    """One value as text: three decimals, a dash where there is none."""
    if value is None or value != value:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def print_instrument(instrument: Instrument, language: str | None = None) -> None:
    """Print an instrument as a person wants to read it."""
    lang = language or (instrument.languages[0] if instrument.languages else "en")
    console.print(f"[bold]{escape(text_in(instrument.title, lang))}[/bold]  ({instrument.label}, {instrument.status})")
    if instrument.description:
        console.print(escape(instrument.description))
    licence = instrument.licence
    facts = [
        f"reporter {instrument.reporter}, about {instrument.target}",
        f"grades {', '.join(instrument.grades)}" if instrument.grades else "",
        f"licence {licence.name or licence.id}, wording {licence.wording.replace('_', ' ')}",
    ]
    console.print(escape("; ".join(fact for fact in facts if fact)))
    if licence.note:
        console.print(escape(licence.note))
    console.print(escape(f"Cite: {instrument.citation}"))
    for name, response_scale in instrument.response_scales.items():
        console.print(f"\n[bold]Answers ({escape(name)})[/bold]: {escape(describe_answers(response_scale, lang))}")
    _print_scales(instrument, lang)
    _print_blueprint(instrument)
    if instrument.published_figures:
        console.print("\n[bold]Published figures[/bold]")
        for f in instrument.published_figures:
            place = f"{f.scale}, {f.level} level" if f.scale else f"{f.level} level"
            console.print(escape(f"  {f.coefficient} {f.value:g} ({place}; {f.sample}): {f.source}"))


def describe_answers(response_scale: ResponseScale, language: str) -> str:
    """Options with their labels, direction, and codes that are not answers, in one line."""
    if response_scale.kind == "open":
        return "open answer, carried and never scored"
    if response_scale.kind == "range":
        low, high = response_scale.score_range
        return f"a number from {low:g} to {high:g}"
    options = ", ".join(f"{o.value} {text_in(o.labels, language)}".strip() for o in response_scale.options)
    line = f"{options} ({response_scale.kind}, {response_scale.direction})"
    if response_scale.missing:
        line += "; not answers: " + ", ".join(f"{m.code} {m.reason.replace('_', ' ')}" for m in response_scale.missing)
    for c in response_scale.collapse:
        line += f"; {', '.join(map(str, c.codes))} scored as {c.to} ({c.reason})"
    return line


def text_in(text: Mapping[str, str], language: str) -> str:
    """Return the text in a language, else in English, else in any, else nothing."""
    return text.get(language) or text.get("en") or next(iter(text.values()), "")


def _print_scales(instrument: Instrument, language: str) -> None:
    several = len(instrument.response_scales) > 1
    shown: set[str] = set()
    for scale in instrument.scales:
        title = text_in(scale.title, language)
        head = f"{scale.id}" + (f": {title}" if title else "")
        rule = (
            f"{scale.scoring.method}, {scale.missing.in_words(len(scale.components))}; level {', '.join(scale.levels)}"
        )
        console.print(f"\n[bold]{escape(head)}[/bold]  ({escape(rule)})")
        if scale.definition:
            console.print(escape(f"  {scale.definition}"))
        if scale.published_metric:
            console.print(escape(f"  The published metric is {scale.published_metric}; a raw score is not on it."))
        if scale.subscales:
            console.print(escape(f"  subscales: {', '.join(scale.subscales)}"))
        for item_id in scale.items:
            shown.add(item_id)
            console.print(escape(_item_line(instrument.item(item_id), language, several)))
    rest = [item for item in instrument.items if item.id not in shown]
    if rest:
        console.print("\n[bold]Items in no scale[/bold]")
        for item in rest:
            console.print(escape(_item_line(item, language, several)))


def _item_line(item: Item, language: str, several: bool) -> str:
    key = "+" if item.key == 1 else "-"
    extra = f" [{item.response_scale}]" if several else ""
    facet = f" ({item.facet})" if item.facet else ""
    note = f"  note: {item.note}" if item.note else ""
    return f"  {key} {item.id}{extra}{facet}  {text_in(item.text, language)}{note}".rstrip()


def _print_blueprint(instrument: Instrument) -> None:
    blueprint = instrument.blueprint
    if blueprint is None:
        return
    console.print(f"\n[bold]Construct[/bold]: {escape(blueprint.definition)}")
    for facet, definition in blueprint.facets.items():
        console.print(escape(f"  {facet}: {definition}"))
    for heading, lines in (
        ("Intended use", blueprint.intended_use),
        ("Not for", blueprint.not_for),
        ("Administration", blueprint.administration),
    ):
        if lines:
            console.print(f"[bold]{heading}[/bold]")
            for line in lines:
                console.print(escape(f"  - {line}"))
