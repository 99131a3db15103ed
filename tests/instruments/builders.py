"""Small instruments that tests bend out of shape."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

Tree = dict[str, Any]

AGREE4: Tree = {"kind": "agreement", "options": [{"value": v} for v in (1, 2, 3, 4)]}


def tree(**changes: Any) -> Tree:
    """A sound instrument of four items and two scales, with some top-level keys replaced."""
    made: Tree = {
        "schema_version": 1,
        "id": "toy-student",
        "version": "1.0",
        "status": "draft",
        "kind": "original",
        "title": {"en": "Toy"},
        "reporter": "student",
        "target": "teacher",
        "licence": {"id": "cc_by"},
        "citation": "Nobody (2026).",
        "response_scales": {"agree4": copy.deepcopy(AGREE4)},
        "items": [{"id": f"q{k}", "response_scale": "agree4"} for k in (1, 2, 3, 4)],
        "scales": [{"id": "warm", "items": ["q1", "q2"]}, {"id": "fair", "items": ["q3", "q4"]}],
    }
    return {**made, **copy.deepcopy(changes)}


def with_scale(index: int = 0, **changes: Any) -> Tree:
    """The sound instrument with some keys of one scale replaced."""
    made = tree()
    made["scales"][index] |= changes
    return made


def with_item(index: int = 0, **changes: Any) -> Tree:
    """The sound instrument with some keys of one item replaced."""
    made = tree()
    made["items"][index] |= changes
    return made


def with_response_scale(scale: Mapping[str, Any], **changes: Any) -> Tree:
    """The sound instrument with another response scale."""
    return tree(response_scales={"agree4": dict(scale)}, **changes)


def options(*values: int, scores: list[float] | None = None) -> list[Tree]:
    """Options with these values, and scores where given."""
    if scores is None:
        return [{"value": value} for value in values]
    return [{"value": value, "score": score} for value, score in zip(values, scores, strict=True)]
