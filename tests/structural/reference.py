"""Stored references of lavaan, and the comparison of a fit with them."""

from __future__ import annotations

import csv
import math
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from relmeasure.structural import StructuralFit
from tests.support import REFERENCE, load_reference

ESTIMATE = 5e-5
"""Relative difference of estimates and standard errors: lavaan stops at about 1e-6 to 1e-5 of a standard error."""

INDEX = 2e-5
"""Relative difference of fit indices."""

CHISQ = 2e-6
"""Relative difference of chi-square statistics: flat at the minimum, so far better than the estimates."""

FLOOR = 0.1
"""Differences are relative to the larger of the value and this."""


@cache
def block(name: str) -> dict[str, Any]:
    """A block such as ``hs_ml``."""
    found: dict[str, Any] = load_reference(f"cfa/{name.split('_')[0]}")[name]
    return found


@cache
def model(name: str) -> str:
    """The model string of a set."""
    text: str = load_reference("cfa/hs")["models"][name]
    return text


def frame(name: str) -> pd.DataFrame:
    """Stored rows."""
    with (REFERENCE / "cfa" / f"{name}.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    return pd.DataFrame({key: values if key == "school" else _numbers(values) for key, values in columns.items()})


def _numbers(values: list[str]) -> list[float]:
    return [math.nan if v in ("", "NA") else float(v) for v in values]


def key(lhs: str, op: str, rhs: str, group: Any) -> tuple[str, str, str, str]:
    """Identify a parameter; the sides of a covariance are interchangeable."""
    first, second = sorted((lhs, rhs)) if op == "~~" else (lhs, rhs)
    return first, op, second, str(group)


def off(ours: float, theirs: float | None, tolerance: float, scale: float = 0.0) -> bool:
    """Whether two numbers differ; null and NaN are the same."""
    if theirs is None or math.isnan(theirs):
        return not math.isnan(ours)
    return not abs(ours - theirs) <= tolerance * max(abs(theirs), scale, FLOOR)


def estimate_differences(fit: StructuralFit, stored: dict[str, Any], tolerance: float = ESTIMATE) -> list[Any]:
    """Rows of the stored estimates that the fit does not reproduce; every row must be there."""
    ours = {
        key(r["lhs"], r["op"], r["rhs"], fit.table.groups.index(r["group"]) + 1 if r["op"] != ":=" else 0): r
        for r in fit.parameters(standardized=True).to_dict("records")
    }
    rows = stored["estimates"]
    groups = rows.get("group", [1] * len(rows["lhs"]))
    wrong: list[Any] = []
    seen = set()
    for i, name in enumerate(zip(rows["lhs"], rows["op"], rows["rhs"], groups, strict=True)):
        if name[1] in ("==", "<", ">"):
            continue
        where = key(*name) if name[1] != ":=" else key(*name[:3], 0)
        seen.add(where)
        mine = ours.get(where)
        if mine is None:
            wrong.append(("absent", where))
            continue
        pairs = {"est": "est", "se": "se", "lower": "ci.lower", "upper": "ci.upper"}
        scale = {"est": 0.0, "se": 0.0, "lower": abs(rows["est"][i]), "upper": abs(rows["est"][i])}
        bad = [a for a, b in pairs.items() if off(mine[a], rows[b][i], tolerance, scale[a])]
        if "standardized" in stored:
            bad += [
                a
                for a, b in (("std_all", "est.std"), ("std_all_se", "se"))
                if off(mine[a], stored["standardized"][b][i], tolerance)
            ]
        wrong += [(where, name, mine[name], rows.get(pairs.get(name, ""), [None] * (i + 1))[i]) for name in bad]
    wrong += [("extra", name) for name in ours if name not in seen]
    return wrong


def aligned(fit: StructuralFit, stored: dict[str, Any]) -> dict[str, Any]:
    """The stored solution with every factor pointing where ours does: a factor has no sign of its own."""
    rows = fit.parameters()
    ours = {(r.lhs, r.rhs): r.est for r in rows.itertuples() if r.op == "=~"}
    table = {k: list(v) for k, v in stored["estimates"].items()}
    standard = {k: list(v) for k, v in stored.get("standardized", {}).items()}
    names = list(zip(table["lhs"], table["op"], table["rhs"], strict=True))
    agreement: dict[str, float] = {}
    for i, (lhs, op, rhs) in enumerate(names):
        if op == "=~":
            agreement[lhs] = agreement.get(lhs, 0.0) + table["est"][i] * ours[lhs, rhs]
    against = {factor for factor, total in agreement.items() if total < 0}
    for i, (lhs, op, rhs) in enumerate(names):
        if (op == "=~" and lhs in against) or (op == "~~" and (lhs in against) != (rhs in against)):
            table["est"][i] = -table["est"][i]
            table["ci.lower"][i], table["ci.upper"][i] = -table["ci.upper"][i], -table["ci.lower"][i]
            if standard:
                standard["est.std"][i] = -standard["est.std"][i]
    return {**stored, "estimates": table, **({"standardized": standard} if standard else {})}


def index_differences(
    fit: StructuralFit, stored: dict[str, Any], tolerance: float = INDEX, skip: frozenset[str] = frozenset()
) -> list[Any]:
    """Stored fit indices that the fit does not reproduce; every index must be there."""
    ours = fit.fit_measures()
    wrong: list[Any] = []
    for name, value in stored["fit"].items():
        if name in skip:
            continue
        allowed = CHISQ if "chisq" in name and "scal" not in name else tolerance
        if name not in ours and value is None:
            continue
        if name not in ours:
            wrong.append(("absent", name, value))
        elif off(ours[name], value, allowed):
            wrong.append((name, ours[name], value))
    return wrong


def matrix(stored: dict[str, Any]) -> np.ndarray[Any, Any]:
    """A stored matrix."""
    return np.array(stored["values"], dtype=float)
