"""An instrument in a notebook: what it is, its answers and scales, and its items on request."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument, ResponseScale

__all__ = ["instrument_html"]

_STYLE = "max-width: 60em; margin: 0.3em 0"


def instrument_html(instrument: Instrument) -> str:
    """Return title, licence, answers, a table of scales, and the items folded away."""
    language = instrument.languages[0] if instrument.languages else "en"
    licence = instrument.licence
    facts = [
        f"{instrument.label}, {instrument.status}",
        f"reporter {instrument.reporter}, about {instrument.target}",
        f"licence {licence.name or licence.id}",
    ]
    answers = [f"{name}: {_answers(scale, language)}" for name, scale in instrument.response_scales.items()]
    home = {item: scale.id for scale in instrument.scales for item in scale.items}
    scales = [
        (
            scale.id,
            _text(scale.title, language),
            str(len(instrument.scale_items(scale.id))),
            f"{scale.scoring.method}; {scale.missing.in_words(len(scale.components))}",
            ", ".join(scale.levels),
        )
        for scale in instrument.scales
    ]
    items = [
        (item.id, home.get(item.id, "-"), "+" if item.key == 1 else "-", _text(item.text, language))
        for item in instrument.items
    ]
    parts = [
        f'<p style="{_STYLE}"><b>{html.escape(_text(instrument.title, language))}</b></p>',
        *(f'<p style="{_STYLE}">{html.escape(line)}</p>' for line in ("; ".join(facts), *answers)),
        _table(("scale", "title", "items", "score", "level"), scales),
        f"<details><summary>{len(items)} items</summary>{_table(('item', 'scale', 'key', 'wording'), items)}</details>",
    ]
    return f"<div>{''.join(parts)}</div>"


def _answers(scale: ResponseScale, language: str) -> str:
    if scale.kind == "open":
        return "open answer"
    if scale.kind == "range":
        low, high = scale.score_range
        return f"a number from {low:g} to {high:g}"
    return ", ".join(f"{option.value} {_text(option.labels, language)}".strip() for option in scale.options)


def _text(text: Mapping[str, str], language: str) -> str:
    return text.get(language) or next(iter(text.values()), "")


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(tag: str, cells: Sequence[str]) -> str:
        made = (f'<{tag} style="text-align: left">{html.escape(cell)}</{tag}>' for cell in cells)
        return f"<tr>{''.join(made)}</tr>"

    body = "".join(line("td", row) for row in rows)
    return f'<div style="overflow-x: auto"><table><thead>{line("th", names)}</thead><tbody>{body}</tbody></table></div>'
