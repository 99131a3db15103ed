"""What may contradict itself in a definition: every check yields one sentence that names the place and the fix.

These are the mistakes found in published scoring code and keys: one item in two scales, one item of a key mistyped, two
options with one code, norm tables that are not monotone, a sum that counts a gap as zero, a collapse that reorders
categories, a score claimed for a level at which nobody was asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from relmeasure.exceptions import shorten
from relmeasure.instruments.messages import Hints, twice
from relmeasure.instruments.option_checks import response_scale_problems
from relmeasure.instruments.score_checks import Range, norm_problems, scale_problems

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument

__all__ = ["problems_of"]

_OPEN_LICENCES = ("public_domain", "cc_by", "free_noncommercial")
_AT_MOST_ONE = (
    "alpha",
    "omega",
    "guttman",
    "kr20",
    "kr-20",
    "icc",
    "split-half",
    "split_half",
    "retest",
    "test-retest",
)


def problems_of(instrument: Instrument) -> Iterator[str]:
    """Contradictions in an instrument, each with its fix."""
    hints = Hints()
    ranges: dict[str, Range | None] = {}
    for name, response_scale in instrument.response_scales.items():
        found = list(response_scale_problems(response_scale, f"response_scales.{name}", instrument.languages))
        yield from found
        yield from _wording(instrument, response_scale.prompt, f"response_scales.{name}", "prompt")
        usable = not found and response_scale.kind != "open"
        ranges[name] = response_scale.score_range if usable else None
    yield from _ids(instrument)
    yield from _licence(instrument)
    yield from _items(instrument, hints)
    yield from _membership(instrument, hints)
    for norm in instrument.norms:
        yield from norm_problems(norm, f"norms.{norm.id}")
    yield from scale_problems(instrument, hints, ranges)
    yield from _figures(instrument, hints)


# --------------------------------------------------------------------------- names, licence, items
def _ids(instrument: Instrument) -> Iterator[str]:
    for entries, kind in ((instrument.items, "items"), (instrument.scales, "scales"), (instrument.norms, "norms")):
        yield from twice([entry.id for entry in entries], f"{kind}: id", f"ids of {kind} must be unique")
    yield from twice(instrument.shared_items, "shared_items: item", "name each item once")
    yield from twice(instrument.languages, "languages: language", "name each language once")
    yield from twice(instrument.grades, "grades: grade", "name each grade once")
    columns: dict[str, str] = {}
    for item in dict.fromkeys(instrument.item_ids):
        first = columns.setdefault(item.casefold(), item)
        if first != item:
            yield f"items.{item}: differs from '{first}' only in case, which SQL engines ignore: rename one."
    for scale in dict.fromkeys(instrument.scale_ids):
        for column in (scale, f"{scale}_n_valid", f"{scale}_missing_reason"):
            first = columns.setdefault(column.casefold(), f"scale {scale}")
            if first != f"scale {scale}":
                yield f"scales.{scale}: its score column '{column}' would collide with '{first}': rename one."


def _licence(instrument: Instrument) -> Iterator[str]:
    licence = instrument.licence
    if licence.wording != "included":
        return
    if licence.id not in _OPEN_LICENCES:
        yield f"licence: wording is included, but a '{licence.id}' licence does not let it ship: leave it out."
    if instrument.kind == "structure_only":
        yield "licence: kind = 'structure_only' says that there is no wording, but wording = 'included': change one."
    if not instrument.languages:
        yield "languages: wording is included, but no language is named: add the languages of the form."


def _items(instrument: Instrument, hints: Hints) -> Iterator[str]:
    facets = instrument.blueprint.facets if instrument.blueprint else {}
    for item in instrument.items:
        where = f"items.{item.id}"
        scale = instrument.response_scales.get(item.response_scale)
        if scale is None:
            hint = hints(item.response_scale, instrument.response_scales)
            yield f"{where}: response_scale '{item.response_scale}' is not declared.{hint}"
        elif scale.kind == "open" and item.key != 1:
            yield f"{where}: an open answer has no direction: remove key = {item.key}."
        if item.facet is not None and item.facet not in facets:
            yield f"{where}: facet '{item.facet}' is not declared in blueprint.facets.{hints(item.facet, facets)}"
        yield from _wording(instrument, item.text, where, "text")


def _wording(instrument: Instrument, text: Mapping[str, str], where: str, what: str) -> Iterator[str]:
    """Wording that may not ship, or is in other languages than the instrument; a prompt need not exist."""
    if text and instrument.licence.wording == "not_included":
        has = "has wording" if what == "text" else f"has a {what}"
        yield f"{where}: {has}, but licence.wording = 'not_included': remove the text, or license it."
    unknown = [language for language in text if language not in instrument.languages]
    if unknown:
        named = shorten(instrument.languages) or "none"
        yield f"{where}: {what} in {shorten(unknown)}, not in languages ({named}): add it there."
    if instrument.licence.wording == "included" and (text or what == "text"):
        absent = [language for language in instrument.languages if language not in text]
        if absent:
            yield f"{where}: no {what} in {shorten(absent)}, which languages names: add the text, or drop the language."


def _membership(instrument: Instrument, hints: Hints) -> Iterator[str]:
    homes: dict[str, list[str]] = {}
    for scale in instrument.scales:
        for item in dict.fromkeys(scale.items):
            homes.setdefault(item, []).append(scale.id)
    shared = set(instrument.shared_items)
    for item, scales in homes.items():
        if len(scales) > 1 and item not in shared:
            yield (
                f"items.{item}: is in {len(scales)} scales ({shorten(scales)}): take it out of all but one, "
                "or name it in shared_items if that is meant."
            )
    known = dict.fromkeys(instrument.item_ids)
    for item in dict.fromkeys(instrument.shared_items):
        if item not in known:
            yield f"shared_items: item '{item}' is not declared.{hints(item, known)}"
        elif len(homes.get(item, ())) < 2:
            yield f"shared_items: '{item}' is not in two scales: remove it from shared_items."


def _figures(instrument: Instrument, hints: Hints) -> Iterator[str]:
    scales = dict.fromkeys(instrument.scale_ids)
    for number, figure in enumerate(instrument.published_figures):
        where = f"published_figures[{number}]"
        if figure.scale is not None and figure.scale not in scales:
            yield f"{where}: scale '{figure.scale}' is not declared.{hints(figure.scale, scales)}"
        if figure.value > 1 and figure.coefficient.casefold().startswith(_AT_MOST_ONE):
            yield f"{where}: {figure.coefficient} = {figure.value:g} is above 1, which it cannot be: check the source."
