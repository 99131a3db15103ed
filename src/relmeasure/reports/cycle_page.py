"""The page of a reciprocity result: two paragraphs, the figure, the tables; one HTML file without outside parts."""

from __future__ import annotations

import html
import io
from typing import Any

from relmeasure.exceptions import MissingExtraError, UnsupportedDataError
from relmeasure.reports.cycle_figure import cycle_figure
from relmeasure.results import Table

__all__ = ["cycle_html", "figure_svg"]

TABLES = (
    ("association", "Within classes and between them: correlations"),
    ("contextual", "Within classes and between them: slopes"),
    ("class_reliability", "Reliability of class means"),
    ("directions", "Both directions, and their difference"),
    ("band_tests", "Are bands alike?"),
    ("model_tests", "Fit over all waves, and equal lags"),
    ("growth", "Growth of practice"),
    ("same_rater", "Relationship and practice rated by different halves"),
    ("sensitivity", "Confounders, and single schools"),
    ("power", "What a study of this size finds"),
    ("bootstrap", "Intervals over draws"),
    ("invariance", "Invariance over waves"),
)
"""Attribute of the result, heading."""

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;color:#1a1a1a;max-width:62rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}"
    "th,td{padding:.2rem .6rem;border-bottom:1px solid #ddd;text-align:left}"
    "div.wide{overflow-x:auto}svg{max-width:100%;height:auto}details{margin:1rem 0}summary{cursor:pointer}"
    "pre{background:#f6f6f4;padding:1rem;overflow-x:auto;font-size:.8rem}"
)


def figure_svg(result: Any, **options: Any) -> str | None:
    """Return the figure as SVG to stand in a page, or None without matplotlib or without anything to draw."""
    try:
        figure = cycle_figure(result, **options)
    except (MissingExtraError, UnsupportedDataError):
        return None
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]


def cycle_html(result: Any, **options: Any) -> str:
    """Write the page of a reciprocity result; options are those of the figure."""
    first, second = result.paragraphs()
    parts = [f"<h1>{html.escape(_title(result))}</h1>", f"<p>{html.escape(first)}</p>"]
    svg = figure_svg(result, **options)
    if svg is not None:
        parts.append(f'<div class="wide">{svg}</div>')
    parts += [f"<p>{html.escape(second)}</p>", _table(result.overview())]
    stands = [*result.status.reasons, *(note.message for note in result.warnings)]
    if stands:
        parts.append("<ul>" + "".join(f"<li>{html.escape(text)}</li>" for text in stands) + "</ul>")
    parts.append(_details("All associations, corrected and not", _table(result.table)))
    for name, heading in TABLES:
        table: Table = getattr(result, name)
        if len(table):
            parts.append(_details(heading, _table(table)))
    if result.syntax:
        parts.append(_details("The models in lavaan's language", f"<pre>{html.escape(result.syntax)}</pre>"))
    if result.provenance is not None:
        parts.append(f"<p><small>{html.escape(result.provenance.summary())}</small></p>")
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(_title(result))}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _title(result: Any) -> str:
    if result.one_wave:
        return f"{result.relationship} and {', '.join(result.practices)}: association within one wave"
    return f"{result.relationship} and {', '.join(result.practices)}: what goes with what later"


def _table(table: Table) -> str:
    return f'<div class="wide">{table._repr_html_()}</div>'


def _details(heading: str, body: str) -> str:
    return f"<details><summary>{html.escape(heading)}</summary>{body}</details>"
