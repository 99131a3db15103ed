"""What stands against a lagged analysis: what could not be had, and values that mean less than they seem."""

from __future__ import annotations

import re
from typing import Any

from relmeasure.exceptions import shorten
from relmeasure.panel.reciprocal import ReciprocalStudy
from relmeasure.results import Status

__all__ = ["status_of"]

Rows = list[dict[str, Any]]

WITHIN = "random intercepts"
"""How the models within teachers begin."""


def status_of(study: ReciprocalStudy, table: Rows) -> Status:
    """What stands against the answer; a reason that many effects share is told once."""
    reasons = [*_shared_reasons(study, table), *_beyond_one(study, table)]
    if len(study.rows.waves) == 1:
        reasons.insert(0, "One wave: association within and between classes only, no direction in time.")
    if not reasons:
        return Status("ok")
    nothing = all(r["reason"] is not None for r in table if r["corrected"])
    return Status("failed" if nothing else "caution", reasons=tuple(dict.fromkeys(reasons)))


def _named(study: ReciprocalStudy, row: dict[str, Any]) -> str:
    """An effect with its waves, where there are several steps."""
    if len(study.steps) < 2 or row["from_wave"] == "each":
        return str(row["effect"])
    return f"{row['effect']} [wave {row['from_wave']} to {row['to_wave']}]"


def _shared_reasons(study: ReciprocalStudy, table: Rows) -> list[str]:
    """Reasons with the effects that they concern; the same reason with another eigenvalue is the same."""
    told: dict[tuple[str, ...], tuple[str, Rows]] = {}
    for row in table:
        if row["reason"] is not None:
            within = WITHIN if row["model"].startswith(WITHIN) else ""
            key = row["by"], within, re.sub(r"smallest eigenvalue [^)]*", "", row["reason"])
            told.setdefault(key, (row["reason"], []))[1].append(row)
    out = []
    for (band, within, _), (reason, rows) in told.items():
        effects = shorten(dict.fromkeys(_named(study, row) for row in rows), 4)
        out.append(f"{effects} ({', '.join(filter(None, (band, within)))}): {reason}")
    return out


def _beyond_one(study: ReciprocalStudy, table: Rows) -> list[str]:
    """Standardised values that no correlation could have: possible, and a sign of scores that say nearly the same."""
    beyond = [r for r in table if r["corrected"] and abs(r["std"]) > 1 and r["predictor"] != r["outcome"]]
    if not beyond:
        return []
    named = [f"{_named(study, r)} ({r['by']}, {r['model']}) {r['std']:.2f}" for r in beyond]
    return [
        f"Standardised beyond one: {shorten(named, 4)}. That happens where the true scores of the earlier wave are "
        "nearly one and the same, or little true variance is left; do not read it as a strong association."
    ]
