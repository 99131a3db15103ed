"""Contradictions in a response scale: codes, scores, direction, collapsed categories, missing codes, labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from relmeasure.exceptions import shorten
from relmeasure.instruments.messages import numbers, twice

if TYPE_CHECKING:
    from relmeasure.instruments.definition import ResponseScale

__all__ = ["response_scale_problems"]


def response_scale_problems(scale: ResponseScale, where: str, languages: Sequence[str]) -> Iterator[str]:
    """Contradictions in one response scale; ``languages`` are those of the instrument."""
    if scale.kind == "open":
        unused = [name for name in ("options", "missing", "collapse", "minimum", "maximum") if _given(scale, name)]
        if unused:
            yield f"{where}: an open answer is carried, not coded: remove {shorten(unused)}."
        return
    missing = [m.code for m in scale.missing]
    yield from twice(missing, f"{where}: missing code", "declare each missing code once")
    if scale.kind == "range":
        yield from _range(scale, where)
        return
    if scale.minimum is not None or scale.maximum is not None:
        yield f"{where}: minimum and maximum go with kind = 'range': remove them, the options say what is allowed."
    for code in sorted(set(missing) & set(scale.codes)):
        yield f"{where}: code {code} is both an answer and a missing code: remove one of them."
    options = list(_options(scale, where))
    yield from options
    if not options:
        yield from _collapse(scale, where)
    yield from _labels(scale, where, languages)


def _given(scale: ResponseScale, name: str) -> bool:
    value = getattr(scale, name)
    return value is not None and value != ()


def _range(scale: ResponseScale, where: str) -> Iterator[str]:
    for name in ("options", "collapse"):
        if _given(scale, name):
            yield f"{where}: a range has minimum and maximum, no {name}: remove them, or change kind."
    low, high = scale.minimum, scale.maximum
    if low is None or high is None:
        yield f"{where}: a range needs minimum and maximum; seen {low} and {high}."
        return
    if low >= high:
        yield f"{where}: minimum must be below maximum; seen {low:g} and {high:g}."
    for m in scale.missing:
        if low <= m.code <= high:
            yield f"{where}: missing code {m.code} lies within the range {low:g} to {high:g}: choose a code outside."


def _options(scale: ResponseScale, where: str) -> Iterator[str]:
    codes, scores = scale.codes, _own_scores(scale)
    if len(codes) < 2:
        yield f"{where}: at least 2 options are needed; seen {len(codes)}."
        return
    if scale.kind == "dichotomous" and len(codes) != 2:
        yield f"{where}: a dichotomous scale has 2 options; seen {len(codes)}: remove options, or change kind."
    yield from twice(codes, f"{where}: option value", "give each option its own value")
    if list(codes) != sorted(codes):
        yield f"{where}: options must be listed by rising value; seen {shorten(codes)}."
    if not scores:
        return
    scored = [o.value for o in scale.options if o.score is not None]
    if len(scored) != len(codes):
        yield f"{where}: {len(scored)} of {len(codes)} options have a score: give all of them one, or none."
    elif len(set(scores)) < len(scores):
        yield f"{where}: option scores {numbers(scores)} hold one twice: declare a collapse to join codes."
    elif not _monotone(scores):
        yield f"{where}: option scores {numbers(scores)} neither rise nor fall all the way: correct them."
    elif len(scores) > 1 and (scores[0] < scores[-1]) != (scale.direction == "ascending"):
        other = "descending" if scale.direction == "ascending" else "ascending"
        yield (
            f"{where}: option scores {numbers(scores)} contradict direction = '{scale.direction}': "
            f"set direction = '{other}', or correct the scores."
        )


def _own_scores(scale: ResponseScale) -> list[float]:
    """Scores of the options in order, without those that have the score of the code they are collapsed to."""
    scores = {o.value: o.score for o in scale.options if o.score is not None}
    return [score for code, score in scores.items() if (to := scale.collapsed[code]) == code or scores.get(to) != score]


def _collapse(scale: ResponseScale, where: str) -> Iterator[str]:
    moved: dict[int, int] = {}
    for c in scale.collapse:
        for code in dict.fromkeys((*c.codes, c.to)):
            if code not in scale.codes:
                yield f"{where}: collapse names code {code}, which is not an option ({shorten(scale.codes)})."
        for code in c.codes:
            if code in moved:
                yield f"{where}: code {code} is collapsed twice, to {moved[code]} and to {c.to}: keep one."
            moved[code] = c.to
    for code, to in moved.items():
        if moved.get(to, to) != to:
            yield f"{where}: code {code} is collapsed to {to}, and that to {moved[to]}: name the last one in both."
            return
    kept = [moved.get(code, code) for code in scale.codes]
    if moved and kept != sorted(kept):
        yield f"{where}: collapsing puts the codes out of order ({shorten(kept)}): join neighbours only."
    elif len(set(kept)) < 2:
        yield f"{where}: collapsing leaves a single category: leave at least two."


def _labels(scale: ResponseScale, where: str, languages: Sequence[str]) -> Iterator[str]:
    used: dict[tuple[str, str], int] = {}
    for option in scale.options:
        for language, label in option.labels.items():
            first = used.setdefault((language, _folded(label)), option.value)
            if first != option.value:
                yield f"{where}: options {first} and {option.value} share a label in '{language}': tell them apart."
    for m in scale.missing:
        for language, label in m.labels.items():
            if (language, _folded(label)) in used:
                yield f"{where}: missing code {m.code} bears the label of an option in '{language}': tell them apart."
    labels = [*(option.labels for option in scale.options), *(m.labels for m in scale.missing)]
    unknown = {language for texts in labels for language in texts} - set(languages)
    if unknown:
        named = shorten(languages) or "none"
        yield f"{where}: labels in {shorten(sorted(unknown))}, not in languages ({named}): add it there."


def _folded(label: str) -> str:
    return " ".join(label.casefold().split())


def _monotone(values: Sequence[float]) -> bool:
    steps = [b - a for a, b in zip(values, values[1:], strict=False)]
    return all(s > 0 for s in steps) or all(s < 0 for s in steps)
