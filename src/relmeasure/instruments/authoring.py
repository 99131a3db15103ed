"""What a careful author would want to know about a definition that loads: ``lint``.

A finding is a *problem* (mend it before anybody answers), an *advice* (think about it) or a *note* (a fact to know).
Where a definition holds the structure of a published instrument, what its authors decided is no fault of the file, so
that such findings are at most advice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from relmeasure.exceptions import MissingExtraError, shorten
from relmeasure.instruments.item_checks import double_negatives, long_items, near_duplicates
from relmeasure.instruments.reading_level import (
    FORMULAS,
    english_grade,
    inflesz_floor,
    inflesz_name,
    spanish_ease,
)

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument

__all__ = ["CODES", "PLACEHOLDER", "Finding", "Severity", "lint"]

Severity = Literal["problem", "advice", "note"]
"""Mend it; think about it; know it."""

PLACEHOLDER = "REPLACE THIS"
"""What a scaffold writes where an author has to write."""

MIN_ITEMS = 5
"""Items a scale needs, so that one bad item can be dropped and a score does not hang on two or three answers."""

CODES = {
    "placeholder": "a text still holds the placeholder of a new file",
    "licence": "the licence is unknown, or names nobody who holds it",
    "citation": "the citation does not say when, or hardly says anything",
    "blueprint": "there is no blueprint, or no facet",
    "facet-without-items": "a facet that no item covers",
    "item-without-facet": "an item that covers no facet",
    "use-notes": "intended use, what it is not for, or notes on administration are missing",
    "item-in-no-scale": "an item that no scale uses, without a note that says why",
    "no-scale": "nothing is scored",
    "few-items": "fewer than five items in a scale",
    "keys": "reversed items: all, more than half, or none",
    "no-wording": "an original instrument whose items have no text",
    "labels": "answers without labels in a language of the form",
    "translation": "a text that is missing in one of the languages",
    "reading-level": "the reading level lies above the lowest grade",
    "reading-level-unknown": "the reading level was not looked at, and why",
    "near-duplicate": "two items that say almost the same",
    "double-negative": "a negation in an item whose answers negate as well",
    "long-item": "an item that is very long",
}
"""Every code of a finding and what it means."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes
    ----------
    severity : {"problem", "advice", "note"}
    code : str
        One of ``CODES``.
    place : str
        Where: ``items.care_1``, ``scales.care``, ``licence``.
    message : str
        What was seen, and what to do.
    """

    severity: Severity
    code: str
    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.place}: {self.message} [{self.code}]"


def lint(instrument: Instrument) -> tuple[Finding, ...]:
    """Report what a careful author would want to know.

    Parameters
    ----------
    instrument : Instrument
        One that loads; contradictions are found when it is read.

    Returns
    -------
    tuple of Finding
        Problems first, then advice, then notes; within each in the order of the definition. Reading levels need the
        extra ``authoring``; without it a note says so.

    Examples
    --------
    >>> from relmeasure.instruments import load_instrument
    >>> from relmeasure.instruments.authoring import lint
    >>> found = lint(load_instrument("tses-short"))
    >>> [(finding.severity, finding.place) for finding in found if finding.code == "few-items"][0]
    ('advice', 'scales.engagement')
    """
    found = [finding for check in _CHECKS for finding in check(instrument)]
    if instrument.kind == "structure_only":
        found = [Finding("advice", f.code, f.place, f.message) if f.severity == "problem" else f for f in found]
    rank = {"problem": 0, "advice": 1, "note": 2}
    return tuple(sorted(found, key=lambda finding: rank[finding.severity]))


# --------------------------------------------------------------------------- about the file
def _placeholders(instrument: Instrument) -> Iterator[Finding]:
    blueprint = instrument.blueprint
    texts = {
        "title": [*instrument.title.values()],
        "description": [instrument.description or ""],
        "citation": [instrument.citation],
        "blueprint": [blueprint.definition, *blueprint.facets.values()] if blueprint else [],
        "blueprint.intended_use": list(blueprint.intended_use) if blueprint else [],
        "blueprint.not_for": list(blueprint.not_for) if blueprint else [],
        "blueprint.administration": list(blueprint.administration) if blueprint else [],
        **{
            f"response_scales.{name}": [*scale.prompt.values(), *(x for o in scale.options for x in o.labels.values())]
            for name, scale in instrument.response_scales.items()
        },
        **{f"scales.{scale.id}": [*scale.title.values(), scale.definition or ""] for scale in instrument.scales},
        **{f"items.{item.id}": list(item.text.values()) for item in instrument.items},
    }
    for place, found in texts.items():
        if any(PLACEHOLDER in text for text in found):
            yield Finding("problem", "placeholder", place, f"still says '{PLACEHOLDER}': write what belongs there.")


def _licence(instrument: Instrument) -> Iterator[Finding]:
    licence = instrument.licence
    worded = any(item.text for item in instrument.items)
    if licence.id == "unknown":
        severity: Severity = "problem" if worded else "advice"
        yield Finding(
            severity, "licence", "licence", "is unknown: find out who may use the instrument, and declare it."
        )
    elif licence.id == "cc_by" and licence.holder is None:
        yield Finding("advice", "licence", "licence", "asks for attribution but names no holder: add holder.")


def _citation(instrument: Instrument) -> Iterator[Finding]:
    text = instrument.citation
    if PLACEHOLDER not in text and (not re.search(r"\b(1[89]|2[01])\d\d\b|in press", text) or len(text) < 20):
        yield Finding("advice", "citation", "citation", f"'{text[:60]}' lacks a year or a title: write it in full.")


def _blueprint(instrument: Instrument) -> Iterator[Finding]:
    blueprint = instrument.blueprint
    if blueprint is None:
        yield Finding("problem", "blueprint", "blueprint", "is missing: say what is measured, and what it is not for.")
        return
    if not blueprint.facets and instrument.kind == "original":
        yield Finding("problem", "blueprint", "blueprint", "has no facets: name the parts of the construct.")
    for name, meaning in (
        ("intended_use", "what it is for"),
        ("not_for", "what it must not be used for"),
        ("administration", "how it is given: anonymity, fewest respondents, time of exposure"),
    ):
        if not getattr(blueprint, name):
            yield Finding("advice", "use-notes", f"blueprint.{name}", f"is empty: say {meaning}.")


def _facets(instrument: Instrument) -> Iterator[Finding]:
    facets = instrument.blueprint.facets if instrument.blueprint else {}
    covered = {item.facet for item in instrument.items}
    for facet in facets:
        if facet not in covered:
            yield Finding(
                "problem",
                "facet-without-items",
                f"blueprint.facets.{facet}",
                "is covered by no item: write items for it, or take it out.",
            )
    for item in instrument.items:
        if facets and item.facet is None:
            yield Finding(
                "problem", "item-without-facet", f"items.{item.id}", "covers no facet: say which part it is for."
            )


# --------------------------------------------------------------------------- scales and keys
def _membership(instrument: Instrument) -> Iterator[Finding]:
    if not instrument.scales:
        yield Finding("problem", "no-scale", "scales", "there is none, so nothing is scored: add a scale.")
        return
    used = set(instrument.scored_items())
    for item in instrument.items:
        is_open = instrument.response_scales[item.response_scale].kind == "open"
        if item.id not in used and not is_open and item.note is None:
            yield Finding(
                "problem",
                "item-in-no-scale",
                f"items.{item.id}",
                "is asked and in no scale: add it to one, or say in its note why it stands alone.",
            )


def _sizes(instrument: Instrument) -> Iterator[Finding]:
    for scale in instrument.scales:
        if scale.items and len(scale.items) < MIN_ITEMS:
            do = "write more" if instrument.kind == "original" else "look at its reliability before it is used alone"
            message = f"rests on {len(scale.items)} item(s), fewer than {MIN_ITEMS}: {do}."
            yield Finding("problem", "few-items", f"scales.{scale.id}", message)


def _keys(instrument: Instrument) -> Iterator[Finding]:
    for scale in instrument.scales:
        reversed_items = [item for item in scale.items if instrument.item(item).key == -1]
        n, total = len(reversed_items), len(scale.items)
        place = f"scales.{scale.id}"
        if n and n == total:
            message = "every item is reversed: give the scale the name of the other end, and turn all keys round."
            yield Finding("problem", "keys", place, message)
        elif n > total / 2:
            message = f"{n} of {total} items are reversed ({shorten(reversed_items)}): few and declared is safer."
            yield Finding("advice", "keys", place, message)
    if instrument.scales and all(instrument.item(item).key == 1 for item in instrument.scored_items()):
        message = "no item is reversed: nothing shows who agrees with everything; look for rows of equal answers."
        yield Finding("note", "keys", "items", message)


# --------------------------------------------------------------------------- wording
def _labels(instrument: Instrument) -> Iterator[Finding]:
    worded = any(item.text for item in instrument.items)
    if not worded and instrument.kind == "original":
        yield Finding("problem", "no-wording", "items", "no item has a text, so there is nothing to answer: write it.")
    for name, scale in instrument.response_scales.items():
        place = f"response_scales.{name}"
        for language in instrument.languages if worded else ():
            bare = [option.value for option in scale.options if language not in option.labels]
            if bare and len(bare) == len(scale.options):
                yield Finding("problem", "labels", place, f"no answer has a label in '{language}': add labels.")
            elif bare and {scale.codes[0], scale.codes[-1]} & set(bare):
                yield Finding("problem", "labels", place, f"an end of the scale has no label in '{language}': add it.")
            elif bare:
                message = f"answers {shorten(bare)} have no label in '{language}': the form will show the code."
                yield Finding("advice", "labels", place, message)
            hidden = [m.code for m in scale.missing if language not in m.labels]
            if hidden:
                message = f"missing codes {shorten(hidden)} have no label in '{language}': the form cannot offer them."
                yield Finding("advice", "labels", place, message)


def _translations(instrument: Instrument) -> Iterator[Finding]:
    """Texts in some language but not in all; an instrument without wording has nothing to translate but titles."""
    required = {
        **{f"items.{item.id}": item.text for item in instrument.items},
        **{f"response_scales.{name}.prompt": scale.prompt for name, scale in instrument.response_scales.items()},
    }
    optional = {"title": instrument.title, **{f"scales.{scale.id}.title": scale.title for scale in instrument.scales}}
    worded = any(item.text for item in instrument.items)
    severity: Severity
    for severity, texts in (("problem", required), ("advice", optional)):
        for place, text in texts.items():
            absent = [language for language in instrument.languages if language not in text]
            if absent and (text or (worded and place.startswith("items."))):
                yield Finding(severity, "translation", place, f"is missing in {shorten(absent)}: translate it.")


def _reading(instrument: Instrument) -> Iterator[Finding]:
    if not any(item.text for item in instrument.items):
        return
    grades = [int(grade) for grade in instrument.grades if grade.isdecimal()]
    if not grades:
        if instrument.reporter == "student":
            message = "no grade is named, so the reading level cannot be judged: add grades."
            yield Finding("advice", "reading-level-unknown", "grades", message)
        return
    for language in instrument.languages:
        texts = _texts(instrument, language)
        root = language.partition("-")[0]
        if root not in FORMULAS:
            message = f"there is no formula for '{language}' here: have readers of that language judge it."
            yield Finding("note", "reading-level-unknown", "items", message)
        elif texts:
            try:
                yield from (_english if root == "en" else _spanish)(texts, min(grades), language)
            except MissingExtraError as error:
                yield Finding("note", "reading-level-unknown", "items", f"{error.message}.")
                return


def _english(texts: dict[str, str], lowest: int, language: str) -> Iterator[Finding]:
    whole = english_grade(texts.values())
    if whole >= lowest + 1:
        seen = f"reads at grade {whole:.1f} ({language}, Flesch-Kincaid)"
        yield Finding("problem", "reading-level", "items", f"the form {seen}, above grade {lowest}: use plainer words.")
    for item, text in texts.items():
        grade = english_grade([text])
        if grade >= lowest + 1:
            message = f"reads at grade {grade:.1f} ({language}, Flesch-Kincaid), above grade {lowest}: shorter words."
            yield Finding("advice", "reading-level", f"items.{item}", message)


def _spanish(texts: dict[str, str], lowest: int, language: str) -> Iterator[Finding]:
    floor = inflesz_floor(lowest)
    whole, huerta = spanish_ease(texts.values())
    wanted = f"{floor:.0f} ({inflesz_name(floor)}) suits grade {lowest}"
    if whole < floor:
        seen = f"INFLESZ {whole:.0f}, {inflesz_name(whole)}; Fernández Huerta {huerta:.0f}"
        message = f"the form reads at {seen} ({language}); {wanted}: use plainer words."
        yield Finding("problem", "reading-level", "items", message)
    for item, text in texts.items():
        index, _ = spanish_ease([text])
        if index < floor:
            message = f"INFLESZ {index:.0f}, {inflesz_name(index)} ({language}); {wanted}: shorter words."
            yield Finding("advice", "reading-level", f"items.{item}", message)


def _wording(instrument: Instrument) -> Iterator[Finding]:
    for language in instrument.languages:
        texts = _texts(instrument, language)
        for first, second, equal in near_duplicates(texts):
            message = (
                f"says {'the same as' if equal else 'almost the same as'} {first} ({language}): keep one, or part them."
            )
            yield Finding("problem" if equal else "advice", "near-duplicate", f"items.{second}", message)
        for item, word, label in double_negatives(instrument, texts, language):
            message = f"'{word}' with the answer '{label}' makes a double negative ({language}): say it positively."
            yield Finding("advice", "double-negative", f"items.{item}", message)
        for item, n, limit in long_items(instrument, texts):
            message = f"has {n} words ({language}), more than {limit}: split or shorten it."
            yield Finding("advice", "long-item", f"items.{item}", message)


def _texts(instrument: Instrument, language: str) -> dict[str, str]:
    """Wording in a language, without what is still to be written."""
    texts = {item.id: item.text[language] for item in instrument.items if language in item.text}
    return {item: text for item, text in texts.items() if PLACEHOLDER not in text}


_CHECKS: Sequence[Callable[[Instrument], Iterator[Finding]]] = (
    _placeholders,
    _licence,
    _citation,
    _blueprint,
    _facets,
    _membership,
    _sizes,
    _keys,
    _labels,
    _translations,
    _reading,
    _wording,
)
