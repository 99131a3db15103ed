"""Random definitions and answers: every kind of response scale, rule, norm and class of missing."""

from __future__ import annotations

from typing import Any

import numpy as np

from relmeasure.instruments.definition import Instrument

MISSING = [
    {"code": 96, "reason": "not_administered"},
    {"code": 97, "reason": "not_applicable"},
    {"code": 98, "reason": "skipped"},
    {"code": 199, "reason": "invalid"},
]
RESPONSE_SCALES: dict[str, dict[str, Any]] = {
    "agree": {"kind": "agreement", "options": [{"value": k} for k in range(1, 6)]},
    "down": {"kind": "agreement", "options": [{"value": k} for k in range(1, 6)], "direction": "descending"},
    "full": {"kind": "truth", "options": [{"value": k} for k in range(1, 6)], "missing": MISSING},
    "planned": {"kind": "truth", "options": [{"value": k} for k in range(1, 6)], "null_reason": "not_administered"},
    "joined": {
        "kind": "frequency",
        "options": [{"value": k} for k in range(1, 6)],
        "collapse": [{"codes": [1, 2], "to": 2, "reason": "as published"}],
        "missing": MISSING,
        "direction": "descending",
    },
    "gaps": {"kind": "degree", "options": [{"value": k} for k in (-2, 0, 3, 10)], "missing": MISSING},
    "scored": {
        "kind": "degree",
        "options": [{"value": k, "score": s} for k, s in ((1, 0.0), (2, 0.7), (3, 1.1), (4, 4.3))],
        "null_reason": "not_applicable",
    },
    "binary": {"kind": "dichotomous", "options": [{"value": 0}, {"value": 1}], "missing": MISSING},
    "percent": {"kind": "range", "minimum": 0.0, "maximum": 100.0, "missing": [MISSING[3]]},
    "turned": {"kind": "range", "minimum": -1.0, "maximum": 1.0, "direction": "descending"},
}
SAME_RANGE = [["agree", "down", "full", "planned"], *[[name] for name in RESPONSE_SCALES]]


def random_definition(rng: np.random.Generator) -> dict[str, Any]:
    """Two to four scales of items and, on top of two of them, a composite."""
    items: list[dict[str, Any]] = []
    scales = [_item_scale(rng, f"s{k}", items) for k in range(int(rng.integers(2, 5)))]
    definition = {
        "schema_version": 1,
        "id": "random",
        "version": "1.0",
        "status": "draft",
        "kind": "structure_only",
        "title": {"en": "Random"},
        "reporter": "student",
        "target": "teacher",
        "licence": {"id": "public_domain"},
        "citation": "none",
        "response_scales": RESPONSE_SCALES,
        "items": items,
        "scales": scales,
    }
    bare = Instrument.model_validate(definition)
    norms = [_norm(rng, scale, *bare.scale_range(scale["id"])) for scale in scales if rng.random() < 0.3]
    if norms:
        definition["norms"] = norms
    weights = rng.permutation(len(scales))[:2]
    subs = [scales[int(k)]["id"] for k in weights]
    scales.append(_composite(rng, subs))
    return definition


def _item_scale(rng: np.random.Generator, name: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    method = str(rng.choice(["mean", "sum", "pomp"]))
    kinds = list(RESPONSE_SCALES) if method == "pomp" else SAME_RANGE[int(rng.integers(len(SAME_RANGE)))]
    size = int(rng.integers(1, 7))
    own = []
    for k in range(size):
        own.append(f"{name}_{k}")
        items.append({"id": own[-1], "response_scale": str(rng.choice(kinds)), "key": int(rng.choice([1, -1]))})
    scale: dict[str, Any] = {"id": name, "items": own, "scoring": {"method": method}, "missing": _rule(rng, size)}
    if method == "sum" and scale["missing"] and (scale["missing"].get("min_valid") != size):
        scale["missing"] |= {"prorate": True, "round_prorated": bool(rng.random() < 0.5)}
    if rng.random() < 0.3:
        scale["scoring"]["decimals"] = int(rng.integers(0, 3))
    return scale


def _rule(rng: np.random.Generator, size: int) -> dict[str, Any]:
    kind = rng.integers(3)
    if kind == 0:
        return {}
    if kind == 1:
        return {"min_valid": int(rng.integers(1, size + 1))}
    return {"min_share": float(rng.choice([0.2, 0.5, 0.6, 0.75, 1.0]))}


def _norm(rng: np.random.Generator, scale: dict[str, Any], low: float, high: float) -> dict[str, Any]:
    name = f"norm_{scale['id']}"
    scale["scoring"]["norms"] = name
    about = {"id": name, "population": "nobody", "date": "2026", "version": "1", "source": "made up"}
    if rng.random() < 0.5:
        return {**about, "kind": "t_score", "mean": low + 0.6 * (high - low), "sd": 1.7}
    points = [low + (high - low) * k / 8 for k in (0, 1, 2, 4, 6, 7)]
    return {**about, "kind": "lookup", "table": [(raw, 40.0 + 3.0 * k) for k, raw in enumerate(points)]}


def _composite(rng: np.random.Generator, subs: list[str]) -> dict[str, Any]:
    composite: dict[str, Any] = {"id": "total", "subscales": subs}
    composite["scoring"] = {"method": "weighted", "weights": {sub: float(rng.normal()) for sub in subs}}
    return composite


def random_answers(rng: np.random.Generator, definition: dict[str, Any], n: int) -> dict[str, list[Any]]:
    """Answers of all classes: valid ones, empty cells, declared missing codes, codes that are not declared."""
    columns: dict[str, list[Any]] = {}
    for item in definition["items"]:
        scale = RESPONSE_SCALES[item["response_scale"]]
        if scale["kind"] == "range":
            low, high = scale["minimum"], scale["maximum"]
            valid = [low, high, *np.round(rng.uniform(low, high, 6), 3).tolist()]
        else:
            valid = [o["value"] for o in scale["options"]]
        absent = [None, *(m["code"] for m in scale.get("missing", ())), 555]
        chance = float(rng.choice([0.1, 0.5, 0.95]))
        pick = [absent if rng.random() < chance else valid for _ in range(n)]
        columns[item["id"]] = [values[int(rng.integers(len(values)))] for values in pick]
    return columns
