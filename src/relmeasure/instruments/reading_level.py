"""How hard a text is to read, in English and Spanish. The library textstat is the extra ``authoring``.

English: Flesch-Kincaid grade, ``0.39 words/sentences + 11.8 syllables/words - 15.59`` (Kincaid, Fishburne, Rogers and
Chissom, 1975), with syllables from the CMU pronouncing dictionary. Spanish: the index of Szigriszt-Pazos (1993),
``206.835 - 62.3 syllables/words - words/sentences``, read on the INFLESZ scale (Barrio-Cantalejo and others, 2008,
Anales del Sistema Sanitario de Navarra 31, 135-152), and that of Fernández Huerta (1959),
``206.84 - 60 syllables/words - 1.02 words/sentences``; higher is easier. Hyphenation, by which textstat counts, misses
Spanish syllables of one vowel, so vowels are counted as well and the lower score stands.

These formulas are made for passages. On one short sentence a single long word moves the grade by one or more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from relmeasure.exceptions import MissingExtraError

__all__ = ["FORMULAS", "english_grade", "inflesz_floor", "inflesz_name", "spanish_ease", "spanish_syllables"]

FORMULAS = ("en", "es")
"""Languages for which there is a formula."""

_INFLESZ = (
    (80.0, "very easy"),
    (65.0, "fairly easy"),
    (55.0, "normal"),
    (40.0, "somewhat difficult"),
    (float("-inf"), "very difficult"),
)
_STRONG = "aeoáéó"
_STRESSED_WEAK = "íú"


def english_grade(texts: Iterable[str]) -> float:
    """Flesch-Kincaid grade of one or more sentences.

    Raises
    ------
    MissingExtraError
        If textstat is not installed.
    """
    return float(_textstat("en_US").flesch_kincaid_grade(_passage(texts)))


def spanish_ease(texts: Iterable[str]) -> tuple[float, float]:
    """Index of Szigriszt-Pazos (INFLESZ scale) and of Fernández Huerta; the lower of two counts of syllables.

    Raises
    ------
    MissingExtraError
        If textstat is not installed.
    """
    passage = _passage(texts)
    counter = _textstat("es")
    words = max(int(counter.lexicon_count(passage)), 1)
    length = words / max(int(counter.sentence_count(passage)), 1)
    syllables = sum(spanish_syllables(word) for word in re.findall(r"\w+", passage)) / words
    szigriszt = 206.835 - 62.3 * syllables - length
    huerta = 206.84 - 60 * syllables - 1.02 * length
    return (
        min(szigriszt, float(counter.szigriszt_pazos(passage))),
        min(huerta, float(counter.fernandez_huerta(passage))),
    )


def spanish_syllables(word: str) -> int:
    """Syllables of a Spanish word: a strong vowel or a stressed i or u is one; weak vowels beside it belong to it.

    Examples
    --------
    >>> [spanish_syllables(word) for word in ("día", "tiene", "aéreo", "quien", "ahora", "muy")]
    [2, 2, 4, 1, 3, 1]
    """
    letters = re.sub(r"qu|gu(?=[eéií])", "g", word.casefold())
    letters = re.sub(r"y$|^y(?![aeiouáéíóúü])", "i", letters)
    groups = re.findall(r"[aeiouáéíóúü]+", letters)
    return max(sum(max(sum(c in _STRONG + _STRESSED_WEAK for c in group), 1) for group in groups), 1)


def inflesz_floor(grade: int) -> float:
    """Lowest index that suits a grade: fairly easy to grade 6, normal to grade 10, somewhat difficult above."""
    return 65.0 if grade <= 6 else 55.0 if grade <= 10 else 40.0


def inflesz_name(index: float) -> str:
    """Name of the level on the INFLESZ scale."""
    return next(name for floor, name in _INFLESZ if index >= floor)


def _passage(texts: Iterable[str]) -> str:
    """Sentences side by side; one that ends without a mark gets a full stop."""
    stripped = (text.strip() for text in texts)
    return " ".join(text if re.search(r"[.!?…][\"”»)]*$", text) else f"{text}." for text in stripped if text)


def _textstat(language: str) -> Any:
    try:
        from textstat.textstat import textstatistics
    except ImportError:
        raise MissingExtraError.from_extra("textstat", "authoring", "A reading level") from None
    counter = textstatistics()  # one of our own: the language of a shared one would change for everybody
    counter.set_lang(language)
    return counter
