"""Instruments with wording, ordinary and hostile, that forms and pages are made of."""

from __future__ import annotations

from typing import Any

from relmeasure.instruments.definition import Instrument
from relmeasure.instruments.files import parse_instrument

HOSTILE = (
    "</script><script>window.hit = 1</script>",
    '"><img src=x onerror="window.hit = 2">',
    "' autofocus onfocus='window.hit = 3",
    "</textarea></style></title><svg/onload=window.hit=4>",
    "{{ 7 * 7 }} {% raw %} ${7*7} <!-- & &amp; ]]> \u2028 \u202e",
    "javascript:window.hit=5",
)
"""Texts that try to leave their place."""


def worded(**changes: Any) -> Instrument:
    """A small instrument with every kind of answer: choices, missing codes, a lead-in, a range, an open comment."""
    tree: dict[str, Any] = {
        "schema_version": 1,
        "id": "toy-student",
        "version": "1.0",
        "status": "piloted",
        "kind": "original",
        "title": {"en": "Toy", "es": "Juguete"},
        "reporter": "student",
        "target": "teacher",
        "languages": ["en", "es"],
        "licence": {"id": "cc_by", "wording": "included"},
        "citation": "Nobody (2026). Toy.",
        "response_scales": {
            "degree": {
                "kind": "degree",
                "prompt": {"en": "How much ...", "es": "Cuánto ..."},
                "options": [
                    {"value": 1, "labels": {"en": "Little", "es": "Poco"}},
                    {"value": 2, "labels": {"en": "Some", "es": "Algo"}},
                    {"value": 3, "labels": {"en": "Much", "es": "Mucho"}},
                ],
                "missing": [
                    {
                        "code": -8,
                        "reason": "not_applicable",
                        "labels": {"en": "Does not apply", "es": "No corresponde"},
                    },
                    {"code": -9, "reason": "not_administered", "labels": {"en": "Not asked", "es": "Sin preguntar"}},
                    {"code": -7, "reason": "skipped"},
                ],
            },
            "hours": {
                "kind": "range",
                "minimum": 0.0,
                "maximum": 12.5,
                "missing": [{"code": 99, "reason": "not_applicable", "labels": {"en": "No work", "es": "Sin tarea"}}],
            },
            "comment": {"kind": "open"},
        },
        "items": [
            {"id": "warm_1", "response_scale": "degree", "text": {"en": "One", "es": "Uno"}},
            {"id": "warm_2", "response_scale": "degree", "text": {"en": "Two", "es": "Dos"}, "key": -1},
            {"id": "time", "response_scale": "hours", "text": {"en": "Hours of work", "es": "Horas de trabajo"}},
            {"id": "say", "response_scale": "comment", "text": {"en": "Anything else?", "es": "¿Algo más?"}},
        ],
        "scales": [
            {"id": "warm", "items": ["warm_1", "warm_2"], "missing": {"min_valid": 1}},
            {"id": "work", "items": ["time"]},
        ],
    }
    return parse_instrument(tree | changes)


def hostile() -> Instrument:
    """An instrument whose every text tries to break out of the page."""
    texts = [{"en": text} for text in HOSTILE]
    return worded(
        title=texts[0],
        languages=["en"],
        citation=" ".join(HOSTILE),
        licence={"id": "cc_by", "wording": "included", "name": HOSTILE[1], "holder": HOSTILE[0]},
        response_scales={
            "degree": {
                "kind": "degree",
                "prompt": texts[3],
                "options": [{"value": k + 1, "labels": text} for k, text in enumerate(texts)],
                "missing": [{"code": -8, "reason": "not_applicable", "labels": {"en": "<b>" + HOSTILE[2]}}],
            },
            "comment": {"kind": "open", "prompt": texts[4]},
        },
        items=[
            *({"id": f"q{k}", "response_scale": "degree", "text": text} for k, text in enumerate(texts)),
            {"id": "say", "response_scale": "comment", "text": texts[1]},
        ],
        scales=[{"id": "warm", "items": [f"q{k}" for k in range(len(texts))]}],
    )
