"""What the words of items give away: near-duplicates, double negatives, length."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument

__all__ = ["double_negatives", "long_items", "near_duplicates"]

_NEGATIONS = {
    "en": r"\b(?:not|never|cannot|neither|\w+n['’]t)\b",
    "es": r"\b(?:no|nunca|jamás|tampoco)\b",
}
_NEGATIVE_LABELS = {
    "en": r"\b(?:not|never|no|none|disagree|untrue|false|\w+n['’]t)\b",
    "es": r"\b(?:no|nunca|jamás|desacuerdo|falso|nada)\b",
}
_LIKE = 0.8
"""Share of words in common, in order, from which two items are near-duplicates."""

_FEW_WORDS = 4
"""Items of fewer words are too short for a share to say anything."""


def near_duplicates(texts: Mapping[str, str]) -> Iterator[tuple[str, str, bool]]:
    """Pairs of items that say the same, or almost: first item, second item, whether they are equal."""
    words = {item: tuple(re.findall(r"\w+", text.casefold())) for item, text in texts.items()}
    for (first, a), (second, b) in combinations(words.items(), 2):
        if a == b:
            yield first, second, True
        elif min(len(a), len(b)) >= _FEW_WORDS and _alike(a, b):
            yield first, second, False


def _alike(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    """Most words in common; the cheap bounds come first, since all pairs are compared."""
    both = len(a) + len(b)
    if 2 * min(len(a), len(b)) < _LIKE * both or 2 * len(set(a) & set(b)) < (_LIKE - 0.15) * len(set(a) | set(b)):
        return False
    return SequenceMatcher(None, a, b, autojunk=False).ratio() >= _LIKE


def double_negatives(instrument: Instrument, texts: Mapping[str, str], language: str) -> Iterator[tuple[str, str, str]]:
    """Items with a negation whose answers negate as well: item, word, label."""
    root = language.partition("-")[0]
    if root not in _NEGATIONS:
        return
    for item, text in texts.items():
        word = re.search(_NEGATIONS[root], text, re.IGNORECASE)
        labels = (option.labels.get(language, "") for option in instrument.response_scale(item).options)
        label = next((label for label in labels if re.search(_NEGATIVE_LABELS[root], label, re.IGNORECASE)), None)
        if word and label:
            yield item, word[0], label


def long_items(instrument: Instrument, texts: Mapping[str, str]) -> Iterator[tuple[str, int, int]]:
    """Items with more words than their readers should hold: item, words, limit (20 to grade 6, else 30)."""
    grades = [int(grade) for grade in instrument.grades if grade.isdecimal()]
    limit = 20 if grades and min(grades) <= 6 else 30
    for item, text in texts.items():
        n = len(re.findall(r"\w+(?:['’-]\w+)*", text))
        if n > limit:
            yield item, n, limit
