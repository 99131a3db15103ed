"""Scoring in plain Python, row by row, from the definition as it stands in a file: independent of the library.

Dicts and loops, exact fractions; nothing of relmeasure is used, so that a mistake in the keys of the library cannot be
repeated here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

Row = Mapping[str, Any]


def keyed_value(scale: Mapping[str, Any], key: int, code: float) -> Fraction | str:
    """The keyed value of a stored number, or the class of missing it belongs to."""
    for missing in scale.get("missing", ()):
        if missing["code"] == code:
            return str(missing["reason"])
    descending = scale.get("direction", "ascending") == "descending"
    if scale["kind"] == "range":
        low, high = Fraction(scale["minimum"]), Fraction(scale["maximum"])
        if not low <= code <= high:
            return "invalid"
        turned = descending != (key == -1)
        return low + high - Fraction(code) if turned else Fraction(code)
    options = {o["value"]: o for o in scale["options"]}
    if code not in options:
        return "invalid"

    def target(value: int) -> int:
        for collapse in scale.get("collapse", ()):
            if value in collapse["codes"]:
                return int(collapse["to"])
        return value

    def worth(value: int) -> Fraction:
        option = options[target(value)]
        return Fraction(option["score"] if "score" in option else option["value"])

    everything = [worth(value) for value in options]
    value = worth(int(code))
    if descending and "score" not in scale["options"][0]:
        value = min(everything) + max(everything) - value
    if key == -1:
        value = min(everything) + max(everything) - value
    return value


def value_range(scale: Mapping[str, Any]) -> tuple[Fraction, Fraction]:
    """Smallest and largest value of an item of that response scale."""
    if scale["kind"] == "range":
        return Fraction(scale["minimum"]), Fraction(scale["maximum"])
    values = [keyed_value(scale, 1, o["value"]) for o in scale["options"]]
    numbers = [v for v in values if isinstance(v, Fraction)]
    return min(numbers), max(numbers)


def half_up(value: Fraction, decimals: int) -> Fraction:
    """Round halves up."""
    unit = 10**decimals
    return Fraction(math.floor(value * unit + Fraction(1, 2) + Fraction(1, 10**9)), unit)


class PlainScorer:
    """Scores of one definition."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        self.response_scales = definition["response_scales"]
        self.items = {item["id"]: item for item in definition["items"]}
        self.scales = {scale["id"]: scale for scale in definition["scales"]}
        self.norms = {norm["id"]: norm for norm in definition.get("norms", ())}

    def answer(self, row: Row, item: str) -> Fraction | str:
        """Keyed value or class of missing of one cell."""
        entry = self.items[item]
        scale = self.response_scales[entry["response_scale"]]
        stored = row[item]
        if stored is None:
            return str(scale.get("null_reason", "skipped"))
        return keyed_value(scale, entry.get("key", 1), stored)

    def leaves(self, scale: str) -> list[str]:
        """Items under a scale, each once."""
        entry = self.scales[scale]
        if entry.get("items"):
            return list(entry["items"])
        return list(dict.fromkeys(item for sub in entry["subscales"] for item in self.leaves(sub)))

    def score(self, row: Row, scale: str) -> tuple[Fraction | None, int, str | None]:
        """Reported score before rounding for display, valid answers, and reason; see ``reported``."""
        entry = self.scales[scale]
        rule = entry.get("missing", {})
        answers = [self.answer(row, item) for item in self.leaves(scale)]
        n_valid = sum(isinstance(a, Fraction) for a in answers)
        n_invalid = answers.count("invalid")
        if entry.get("items"):
            parts: Sequence[Fraction | str] = answers
            shortage = "too_few_answers"
        else:
            found = [self.score(row, sub) for sub in entry["subscales"]]
            parts = [value if value is not None else str(reason) for value, _, reason in found]
            shortage = "subscale_missing"
        size = len(parts)
        given = [p for p in parts if isinstance(p, Fraction)]
        away, inapplicable = parts.count("not_administered"), parts.count("not_applicable")
        applicable = size - away - inapplicable
        if "min_share" in rule:
            asked = rule["min_share"] * applicable - 1e-9
            enough = len(given) >= 1 and len(given) >= asked
            never, barred = away == size, applicable == 0
            hoped = n_invalid > 0 and len(given) + n_invalid >= asked
        else:
            needed = rule.get("min_valid", size)
            enough = len(given) >= needed
            never, barred = size - away < needed, applicable < needed
            hoped = len(given) + n_invalid >= needed
        if not enough:
            if never:
                return None, n_valid, "not_administered"
            if barred:
                return None, n_valid, "not_applicable"
            if hoped and shortage == "too_few_answers":
                return None, n_valid, "invalid_answers"
            if n_valid == 0 and n_invalid == 0:
                return None, n_valid, "no_answer"
            return None, n_valid, shortage
        raw = self.raw(entry, parts)
        value = self.normed(entry, raw)
        return value, n_valid, None if value is not None else "outside_norms"

    def raw(self, entry: Mapping[str, Any], parts: Sequence[Fraction | str]) -> Fraction:
        """The unnormed score of enough components."""
        scoring, rule = entry.get("scoring", {}), entry.get("missing", {})
        method = scoring.get("method", "mean")
        given = [p for p in parts if isinstance(p, Fraction)]
        if method == "weighted":
            pairs = zip(entry["subscales"], parts, strict=True)
            return sum((Fraction(scoring["weights"][s]) * p for s, p in pairs if isinstance(p, Fraction)), Fraction(0))
        if method == "pomp":
            total = Fraction(0)
            for item, part in zip(entry["items"], parts, strict=True):
                if isinstance(part, Fraction):
                    low, high = value_range(self.response_scales[self.items[item]["response_scale"]])
                    total += 100 * (part - low) / (high - low)
            return total / len(given)
        mean = sum(given, Fraction(0)) / len(given)
        if method != "sum":
            return mean
        total = mean * len(parts) if rule.get("prorate") else sum(given, Fraction(0))
        return half_up(total, 0) if rule.get("round_prorated") else total

    def normed(self, entry: Mapping[str, Any], raw: Fraction) -> Fraction | None:
        """The reported score; None outside a lookup table."""
        scoring = entry.get("scoring", {})
        norm = self.norms.get(scoring.get("norms", ""))
        if norm is None:
            return raw
        if norm["kind"] == "t_score":
            return 50 + 10 * (raw - Fraction(norm["mean"])) / Fraction(norm["sd"])
        at = half_up(raw, scoring["decimals"]) if "decimals" in scoring else raw
        for listed, reported in norm["table"]:
            slack = Fraction(1, 10**9) * max(Fraction(1), abs(Fraction(listed)))
            if abs(at - Fraction(listed)) <= slack:
                return Fraction(reported)
        return None

    def reported(self, row: Row, scale: str) -> tuple[float | None, int, str | None]:
        """The three output columns of a scale."""
        value, n_valid, reason = self.score(row, scale)
        scoring = self.scales[scale].get("scoring", {})
        norm = self.norms.get(scoring.get("norms", ""))
        if value is not None and "decimals" in scoring and (norm is None or norm["kind"] != "lookup"):
            value = half_up(value, scoring["decimals"])
        return None if value is None else float(value), n_valid, reason
