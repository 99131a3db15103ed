"""The text of a two-level fit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from relmeasure.exceptions import UnrestrictedModelWarning
from relmeasure.results import Table
from relmeasure.structural.fitted.printing import TITLES, fit_lines
from relmeasure.structural.two_level.sample import LEVELS, TwoLevelSample

if TYPE_CHECKING:
    from relmeasure.structural.two_level.fit import TwoLevelFit

__all__ = ["summarize_levels", "unrestricted_warnings"]

SHOWN = ("lhs", "op", "rhs", "label", "est", "se", "z", "pvalue", "lower", "upper", "std_all")


def unrestricted_warnings(
    sample: TwoLevelSample, indices: Mapping[str, float], *, robust: bool
) -> list[UnrestrictedModelWarning]:
    """Say what the tests rest on where the unrestricted model has no maximum."""
    if sample.unrestricted == "free":
        return []
    p = len(sample.variables.both)
    text = (
        f"The unrestricted model has no maximum with so few clusters ({sample.n_clusters}) for so many items ({p}): "
        "its likelihood rises without end where variances between are negative. "
    )
    if sample.unrestricted == "none":
        text += "Held to covariances that can exist, it was not found either: there is no chi-square, and no index."
    elif math.isnan(indices.get("chisq", 0.0)):
        text += (
            "Held to covariances that can exist, it fits worse than the model, which has variances that cannot: there "
            "is no chi-square, and no index. Bound these with lower(0)."
        )
    else:
        text += (
            "It is held to covariances that can exist, as lavaan does: the test rejects too seldom, and indices look "
            "too good."
        )
        text += " At such a bound a test cannot be scaled: it is that of ML." if robust else ""
    return [UnrestrictedModelWarning(text, n_clusters=sample.n_clusters, n_items=p, kind=sample.unrestricted)]


def summarize_levels(fit: TwoLevelFit) -> str:
    """Return the method, the sizes, the fit, the estimates of each level, and what stands against them."""
    sums = fit.sample.sums
    lines = [f"{fit.function}, two levels: {fit.status.words}", *(f"! {reason}" for reason in fit.status.reasons)]
    lines += [
        fit.method.words,
        f"{sums.n_obs} rows in {sums.n_clusters} clusters of {sums.n.min()} to {sums.n.max()} rows "
        f"(mean {sums.mean_size:.1f}); {fit.sample.rule}",
    ]
    lines += fit_lines({name: value for name, value in fit.indices.items() if name != "srmr"})
    if "srmr_within" in fit.indices:
        lines.append(
            f"srmr_within = {fit.indices['srmr_within']:.3f}, srmr_between = {fit.indices['srmr_between']:.3f}"
        )
    table = fit._parameters(standardized=fit.status.level != "failed")
    for level in (*LEVELS, ""):
        for op, title in TITLES.items():
            rows = [row for row in table.rows() if row["op"] == op and row["level"] == level]
            if not rows or (op == "~1" and level == "within" and all(row["est"] == 0 for row in rows)):
                continue
            names = [name for name in SHOWN if name in table.columns and any(row[name] != "" for row in rows)]
            text = Table.from_rows([{n: row[n] for n in names} for row in rows], names).to_text()
            lines += ["", f"{title}, {level}" if level else title, text]
    return "\n".join([*lines, *(note.summary() for note in fit.warnings)])
