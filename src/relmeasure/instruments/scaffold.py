"""The file of a new instrument: commented, valid at once, with a placeholder wherever an author has to write."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from relmeasure.exceptions import InstrumentError
from relmeasure.instruments.authoring import PLACEHOLDER
from relmeasure.instruments.fields import ID_PATTERN, INSTRUMENT_ID_PATTERN, LANGUAGE_PATTERN, WORDS_FOR_PATTERN
from relmeasure.instruments.files import parse_bytes
from relmeasure.instruments.messages import seen

__all__ = ["instrument_template"]

_LABELS = {
    "en": ("Not true", "Sort of true", "True", "Very true"),
    "es": ("No es cierto", "Más o menos cierto", "Cierto", "Muy cierto"),
}
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_MOST_ITEMS = 200

_HEAD = """\
# {id}: a new instrument. '{placeholder}' marks what you have to write; 'relmeasure lint {id}.toml' says what is left.
# Ideas for wording are yours: do not copy or lightly reword the items of a published instrument.
schema_version = 1
id = {quoted_id}
version = "0.1.0"                # raise it whenever a word, a key or a code changes
status = "draft"                 # draft, piloted, field_tested
kind = "original"                # original, or structure_only: ids, keys and scoring of a published one, no wording
title = {title}
description = {description}
reporter = "student"             # who answers: student, teacher, observer, parent, staff
target = "teacher"               # what about: teacher, class, student, school, lesson, self
grades = ["4", "5", "6", "7", "8", "9", "10", "11", "12"]   # the lowest one decides how plain the words must be
languages = {languages}
citation = {citation}

[licence]
id = "unknown"                   # public_domain, cc_by, free_noncommercial, permission_required, proprietary, unknown
wording = "user_supplied"        # "included" once the licence is public_domain, cc_by or free_noncommercial
# holder = "who may be asked"

[blueprint]                      # what the test author meant
definition = {definition}
intended_use = [{intended_use}]
not_for = [{not_for}, "high-stakes decisions about a single teacher"]
administration = [
  "anonymity: no names on the form; the teacher does not see single forms",
  "at least 6 respondents before any result is shown",
  "at least three weeks of exposure to the teacher before the survey",
]

[blueprint.facets]               # the parts of the construct; every item names one, every one has items
{facets}

[response_scales.truth]
kind = "truth"                   # agreement, frequency, truth, degree, efficacy, quality, dichotomous, range, open
direction = "ascending"          # a higher code means more; descending where 1 means most
# prompt = {{ en = "words that stand above the items and that they need" }}
options = [
{options}
]
# missing = [{{ code = 9, reason = "not_applicable", labels = {{ en = "Does not apply" }} }}]
"""

_ITEM = """
[[items]]
id = {id}
text = {text}
response_scale = "truth"
key = 1                          # -1 when agreeing speaks against the scale: scoring turns it round
facet = {facet}
"""

_SCALE = """
[[scales]]
id = {id}
title = {title}
definition = {definition}
items = [{items}]
levels = ["student", "class", "teacher"]   # where the score may be used
scoring = {{ method = "mean" }}    # mean, sum, pomp, mean_of_subscales, weighted
missing = {{ min_share = 0.75 }}   # share of the applicable items that must be answered
"""


def instrument_template(
    instrument_id: str,
    *,
    title: str | None = None,
    scales: Mapping[str, int] | None = None,
    languages: Sequence[str] = ("en",),
) -> str:
    """Return the text of a new instrument file: TOML with comments, which loads as it is.

    Parameters
    ----------
    instrument_id : str
        Small letters, digits and single hyphens.
    title : str, optional
        In the first language.
    scales : mapping of str to int, optional
        Scale to number of its items; by default one scale of six.
    languages : sequence of str
        Languages of the wording.

    Raises
    ------
    InstrumentError
        If the id, a scale or a language is not one, or a scale has no items or more than 200.
    InstrumentValidationError
        If what is made contradicts itself: a title of control characters, a scale that bears the name of an item.

    Examples
    --------
    >>> from relmeasure.instruments.scaffold import instrument_template
    >>> print(instrument_template("our-class", scales={"care": 6}).splitlines()[3])
    id = "our-class"
    """
    wanted = dict(scales or {"main": 6})
    _check("id", instrument_id, INSTRUMENT_ID_PATTERN)
    for language in languages:
        _check("language", language, LANGUAGE_PATTERN)
    for scale, n in wanted.items():
        _check("scale", scale, ID_PATTERN)
        if not 1 <= n <= _MOST_ITEMS:
            raise InstrumentError(
                f"Scale '{scale}' is to have {n} items: 1 to {_MOST_ITEMS} are possible.", scale=scale
            )
    parts = [_head(instrument_id, title, list(wanted), languages)]
    for scale, n in wanted.items():
        parts.append(f"\n# {scale}" if _BARE.fullmatch(scale) else "")
        parts += [_item(scale, number, languages) for number in range(1, n + 1)]
    parts += [_scale(scale, n, languages) for scale, n in wanted.items()]
    text = "".join(parts)
    parse_bytes(text.encode(), ".toml", source=f"{instrument_id}.toml")
    return text


def _check(what: str, value: str, pattern: str) -> None:
    if not re.fullmatch(pattern, value) or value.endswith("\n"):
        raise InstrumentError(f"{what} {seen(value)} does not fit: it must {WORDS_FOR_PATTERN[pattern]}.", value=value)


def _head(instrument_id: str, title: str | None, scales: Sequence[str], languages: Sequence[str]) -> str:
    titles = {language: _write("title", language) for language in languages}
    if title is not None:
        titles |= dict.fromkeys(languages[:1], title)
    labels = [{lang: _label(lang, k) for lang in languages} for k in range(4)]
    return _HEAD.format(
        id=instrument_id,
        placeholder=PLACEHOLDER,
        quoted_id=_quoted(instrument_id),
        title=_texts(titles),
        description=_quoted(_write("what is asked of whom, how many items, what is known about them")),
        languages=f"[{', '.join(map(_quoted, languages))}]",
        citation=_quoted(_write("Authors (year). Title (version).")),
        definition=_quoted(_write("what is measured, in a few sentences")),
        intended_use=_quoted(_write("what the scores are for")),
        not_for=_quoted(_write("what they must not be used for")),
        facets="\n".join(
            f"{_key(s)} = {_quoted(_write('what this part is; part it further if need be'))}" for s in scales
        ),
        options="\n".join(f"  {{ value = {k + 1}, labels = {_texts(label)} }}," for k, label in enumerate(labels)),
    )


def _item(scale: str, number: int, languages: Sequence[str]) -> str:
    texts = {language: _write(f"item {number} of {scale}", language) for language in languages}
    return _ITEM.format(id=_quoted(f"{scale}_{number}"), text=_texts(texts), facet=_quoted(scale))


def _scale(scale: str, n: int, languages: Sequence[str]) -> str:
    return _SCALE.format(
        id=_quoted(scale),
        title=_texts({language: _write(f"title of {scale}", language) for language in languages}),
        definition=_quoted(_write("what a high score means")),
        items=", ".join(_quoted(f"{scale}_{number}") for number in range(1, n + 1)),
    )


def _write(what: str, language: str | None = None) -> str:
    return f"{PLACEHOLDER} ({language}): {what}" if language else f"{PLACEHOLDER}: {what}"


def _label(language: str, k: int) -> str:
    known = _LABELS.get(language.partition("-")[0])
    return known[k] if known else _write(f"answer {k + 1}", language)


def _texts(texts: Mapping[str, str]) -> str:
    return "{ " + ", ".join(f"{_key(language)} = {_quoted(text)}" for language, text in texts.items()) + " }"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _quoted(name)


def _quoted(text: str) -> str:
    """A TOML string: JSON's escapes are TOML's, but for the character DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
