"""Small instruments, built in place: one response scale, a handful of items, one scale or a few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from relmeasure.instruments.definition import Instrument

Scales = Sequence[Mapping[str, Any]]

AGREE = {"kind": "agreement", "options": [{"value": k} for k in range(1, 6)]}
YES_NO = {"kind": "dichotomous", "options": [{"value": 0}, {"value": 1}]}
LABELLED = {
    "kind": "truth",
    "options": [
        {"value": 1, "labels": {"en": "Not true", "es": "No es cierto"}},
        {"value": 2, "labels": {"en": "Sort of true", "es": "Normal"}},
        {"value": 3, "labels": {"en": "True", "es": "Cierto"}},
        {"value": 4, "labels": {"en": "Normal", "es": "Muy cierto"}},
    ],
    "missing": [{"code": 8, "reason": "not_applicable", "labels": {"en": "Does not apply"}}],
}
PERCENT = {"kind": "range", "minimum": 0.0, "maximum": 100.0}


def build(
    response_scales: Mapping[str, Any] | None = None,
    items: Mapping[str, Mapping[str, Any]] | Sequence[str] = ("q1", "q2", "q3"),
    scales: Scales | None = None,
    **more: Any,
) -> Instrument:
    """An instrument; without ``scales`` one scale ``s`` with every item that is not open."""
    given = dict(response_scales or {"r": AGREE})
    first = next(iter(given))
    entries = {i: {} for i in items} if not isinstance(items, Mapping) else items
    listed = [{"id": i, "response_scale": first, **entry} for i, entry in entries.items()]
    coded = [i["id"] for i in listed if given[i["response_scale"]]["kind"] != "open"]
    return Instrument.model_validate(
        {
            "schema_version": 1,
            "id": "small",
            "version": "1.0",
            "status": "draft",
            "kind": "structure_only",
            "title": {"en": "Small"},
            "reporter": "student",
            "target": "teacher",
            "languages": ["en", "es"],
            "licence": {"id": "public_domain"},
            "citation": "none",
            "response_scales": given,
            "items": listed,
            "scales": [{"id": "s", "items": coded}] if scales is None else scales,
            **more,
        }
    )


def counted_collects(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """A list that grows by one each time a lazy Polars frame is collected."""
    import polars as pl

    calls: list[None] = []
    collect = pl.LazyFrame.collect

    def counted(self: pl.LazyFrame, *args: Any, **options: Any) -> Any:
        calls.append(None)
        return collect(self, *args, **options)

    monkeypatch.setattr(pl.LazyFrame, "collect", counted)
    return calls


def one(response_scale: Mapping[str, Any]) -> Instrument:
    """An instrument of one item ``q``, which is also a scale."""
    return build({"r": response_scale}, ["q"])
