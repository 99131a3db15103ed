"""A page of documentation for an instrument, in Markdown, from its definition alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from relmeasure.instruments.catalog import require_instrument

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relmeasure.instruments.definition import Instrument, ResponseScale, Scale

__all__ = ["instrument_page"]

_STATUS = {"draft": "draft: not yet field-tested", "piloted": "piloted", "field_tested": "field-tested"}
_KIND = {
    "original": "original wording, written for this project",
    "structure_only": "structure only: ids, keys, answers and scoring, **no wording**",
}


def instrument_page(instrument: Instrument) -> str:
    """Return a page about an instrument: facts, blueprint, answers, scales, items with keys, figures with sources.

    Parameters
    ----------
    instrument : Instrument

    Returns
    -------
    str
        Markdown that ends in a line break. Text of the instrument is escaped, so that it shows as it is written.

    Examples
    --------
    >>> from relmeasure.instruments import load_instrument
    >>> from relmeasure.reports import instrument_page
    >>> print(instrument_page(load_instrument("tses-short")).splitlines()[0])
    # tses-short: Teachers' Sense of Efficacy Scale (TSES), short form (structure only)
    """
    require_instrument(instrument)
    parts = [
        f"# {instrument.id}: {_plain(_first(instrument.title))}",
        f"<!-- made by: relmeasure show {instrument.id} --markdown; change the definition, not this page -->",
        *([_plain(instrument.description)] if instrument.description else []),
        *_facts(instrument),
        *_blueprint(instrument),
        *_answers(instrument),
        *_scales(instrument),
        *_items(instrument),
        *_norms(instrument),
        *_figures(instrument),
        *_use(instrument),
    ]
    return "\n\n".join(parts) + "\n"


# --------------------------------------------------------------------------- sections
def _facts(instrument: Instrument) -> Iterator[str]:
    licence = instrument.licence
    titles = [f"{title} ({language})" for language, title in instrument.title.items()]
    rows = [
        ("Version", f"{instrument.version}, {_STATUS[instrument.status]}"),
        ("Kind", _KIND[instrument.kind]),
        ("Title", _plain("; ".join(titles))),
        ("Answered by", f"{instrument.reporter}, about: {instrument.target}"),
        ("Grades", _plain(", ".join(instrument.grades))),
        ("Languages", ", ".join(instrument.languages)),
        ("Family, form", _plain(", ".join(part for part in (instrument.family, instrument.form) if part))),
        ("Size", f"{_count(instrument.items, 'item')}, {_count(instrument.scales, 'scale')}"),
        ("Licence", _plain(f"{licence.name or licence.id}; wording {licence.wording.replace('_', ' ')}")),
        ("Holder", _plain(licence.holder or "")),
        ("Note on the licence", _plain(licence.note or "")),
        ("Cite as", _plain(instrument.citation)),
    ]
    yield _grid(("", ""), [row for row in rows if row[1]])


def _blueprint(instrument: Instrument) -> Iterator[str]:
    blueprint = instrument.blueprint
    if blueprint is None:
        return
    yield "## What it measures"
    yield _plain(blueprint.definition)
    if blueprint.facets:
        rows = [
            (f"`{facet}`", _plain(meaning), _ids(item.id for item in instrument.items if item.facet == facet))
            for facet, meaning in blueprint.facets.items()
        ]
        yield _grid(("Facet", "Meaning", "Items"), rows)
    for heading, lines in (
        ("Intended use", blueprint.intended_use),
        ("Not for", blueprint.not_for),
        ("Administration", blueprint.administration),
    ):
        if lines:
            yield f"## {heading}"
            yield "\n".join(f"- {_plain(line)}" for line in lines)


def _answers(instrument: Instrument) -> Iterator[str]:
    yield "## Answers"
    for name, scale in instrument.response_scales.items():
        yield f"**`{name}`**: {_answers_in_words(scale)}"
        if scale.prompt:
            yield "\n".join(f"> {_plain(text)} ({language})" for language, text in scale.prompt.items())
        labels = [*(option.labels for option in scale.options), *(m.labels for m in scale.missing)]
        languages = list(dict.fromkeys(language for texts in labels for language in texts))
        rows = [
            (f"`{o.value}`", *(_plain(o.labels.get(lang, "")) for lang in languages), f"{scale.endorsement[o.value]:g}")
            for o in scale.options
        ]
        rows += [
            (f"`{m.code}`", *(_plain(m.labels.get(lang, "")) for lang in languages), f"none: {_spaced(m.reason)}")
            for m in scale.missing
        ]
        if rows:
            yield _grid(("Code", *(f"Label ({lang})" for lang in languages), "Worth before the key"), rows)
        for collapse in scale.collapse:
            codes = ", ".join(f"`{code}`" for code in collapse.codes)
            yield f"{codes} scored as `{collapse.to}`: {_plain(collapse.reason)}"


def _answers_in_words(scale: ResponseScale) -> str:
    empty = f"An empty cell means {_spaced(scale.null_reason)}."
    if scale.kind == "open":
        return f"open answer, carried and never scored. {empty}"
    if scale.kind == "range":
        low, high = scale.score_range
        return f"a number from {low:g} to {high:g}. {empty}"
    more = "more" if scale.direction == "ascending" else "less"
    return f"{scale.kind}; a higher code means {more}. {empty}"


def _scales(instrument: Instrument) -> Iterator[str]:
    if not instrument.scales:
        return
    yield "## Scales"
    rows = [
        (
            f"`{scale.id}`",
            _plain(_first(scale.title)),
            _ids(scale.components),
            _method(scale),
            "{:g} to {:g}".format(*instrument.scale_range(scale.id)),
            scale.missing.in_words(len(scale.components)),
            ", ".join(scale.levels),
        )
        for scale in instrument.scales
    ]
    headings = ("Scale", "Title", "Made of", "Score", "Range", "Given when", "Valid for levels")
    yield _grid(headings, rows)
    notes = [f"- `{scale.id}`: {_plain(scale.definition)}" for scale in instrument.scales if scale.definition]
    notes += [
        f"- `{scale.id}`, published metric: {_plain(scale.published_metric)}. A raw score is not on it."
        for scale in instrument.scales
        if scale.published_metric
    ]
    if notes:
        yield "\n".join(notes)


def _method(scale: Scale) -> str:
    scoring = scale.scoring
    text = {"pomp": "percent of the maximum possible", "mean_of_subscales": "mean of subscales"}.get(scoring.method)
    text = text or scoring.method
    if scoring.weights:
        text += ": " + ", ".join(f"{weight:g} {name}" for name, weight in scoring.weights.items())
    if scoring.constant:
        text += f"; plus {scoring.constant:g}"
    if scoring.norms:
        text += f"; norms {scoring.norms}"
    return _plain(text)


def _items(instrument: Instrument) -> Iterator[str]:
    yield "## Items"
    languages = list(dict.fromkeys(language for item in instrument.items for language in item.text))
    homes = {i: _ids(scale.id for scale in instrument.scales if i in scale.items) for i in instrument.item_ids}
    shown: list[tuple[str, list[str]]] = [
        ("Item", [f"`{item.id}`" for item in instrument.items]),
        ("Scale", [homes[item.id] or "none" for item in instrument.items]),
        ("Key", ["+" if item.key == 1 else "-" for item in instrument.items]),
        ("Facet", [item.facet or "" for item in instrument.items]),
        ("Answers", [item.response_scale for item in instrument.items]),
        *((f"Wording ({lang})", [_plain(item.text.get(lang, "")) for item in instrument.items]) for lang in languages),
        ("Note", [_plain(item.note or "") for item in instrument.items]),
    ]
    kept = [(heading, cells) for heading, cells in shown if any(cells)]
    rows = list(zip(*(cells for _, cells in kept), strict=True))
    yield _grid([heading for heading, _ in kept], rows)
    if any(item.key == -1 for item in instrument.items):
        yield "Key `-`: scoring turns the item round within its declared range; stored codes stay as they are."


def _norms(instrument: Instrument) -> Iterator[str]:
    if not instrument.norms:
        return
    yield "## Norms"
    rows = [(f"`{n.id}`", _spaced(n.kind), _plain(n.population), n.date, _plain(n.source)) for n in instrument.norms]
    yield _grid(("Norm", "Kind", "Population", "Date", "Source"), rows)


def _figures(instrument: Instrument) -> Iterator[str]:
    yield "## Published figures"
    if not instrument.published_figures:
        yield "None is part of this definition."
        return
    rows = [
        (
            _plain(figure.coefficient),
            f"{figure.value:g}",
            f"`{figure.scale}`" if figure.scale else "",
            figure.level,
            str(figure.n or ""),
            _plain(figure.sample),
            _plain(figure.source),
        )
        for figure in instrument.published_figures
    ]
    yield _grid(("Coefficient", "Value", "Scale", "Level", "N", "Sample", "Source"), rows)


def _use(instrument: Instrument) -> Iterator[str]:
    yield "## Use it"
    lines = [f"relmeasure template {instrument.id} -o answers.csv", f"relmeasure check {instrument.id} answers.csv"]
    lines.append(f"relmeasure score {instrument.id} answers.csv -o scores.csv")
    if all(item.text for item in instrument.items):
        last = instrument.languages[-1]
        lines.insert(0, f"relmeasure form {instrument.id} --lang {last} -o form.html")
    yield "\n".join(["```sh", *lines, "```"])


# --------------------------------------------------------------------------- Markdown
def _grid(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _plain(text: str) -> str:
    """Text that Markdown shows as it is written, on one line."""
    escaped = re.sub(r"([\\`*_\[\]<>#|~])", r"\\\1", " ".join(text.split()))
    return re.sub(r"^([-+=]|\d+(?=[.)]))", r"\\\1", escaped)


def _ids(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _count(things: Sequence[object], name: str) -> str:
    return f"{len(things)} {name}" + ("" if len(things) == 1 else "s")


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _first(text: Mapping[str, str]) -> str:
    return text.get("en") or next(iter(text.values()), "")
