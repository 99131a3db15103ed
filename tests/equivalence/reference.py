"""Comparison of a sequence of invariance models with lavaan's."""

from __future__ import annotations

from typing import Any

from relmeasure.equivalence import InvarianceResult
from tests.structural.reference import ESTIMATE, estimate_differences, index_differences, off

CHISQ = 2e-5
"""Relative difference of difference tests: differences of nearly equal statistics, printed by lavaan to 1e-10."""

DELTA = 2e-6
"""Absolute difference of changes of indices."""

SCORE = 1e-3
"""Relative (to at least one) difference of score tests: linear in lavaan's gradient, which is not quite zero."""

ERROR = 2e-4
"""Relative difference of standard errors under MLR: sandwiches of observed information double lavaan's rounding."""

STEPS = ("configural", "metric", "scalar", "strict")


def differences(found: InvarianceResult, stored: dict[str, Any]) -> list[Any]:
    """Cells of a stored block that a result does not reproduce; lavaan leaves NFI out where the scaled test is larger."""
    wrong: list[Any] = []
    tolerance = ERROR if found.fits["configural"].method.robust else ESTIMATE
    for step in STEPS:
        wrong += [(step, *w) for w in estimate_differences(found.fits[step], stored[step], tolerance)]
        undefined = frozenset(name for name in ("nfi", "rfi") if stored[step]["fit"][name] is None)
        wrong += [(step, *w) for w in index_differences(found.fits[step], stored[step], skip=undefined)]
    return [*wrong, *_table(found, stored), *_scores(found, stored), *_means(found, stored)]


def _table(found: InvarianceResult, stored: dict[str, Any]) -> list[Any]:
    frame = found.to_frame().to_dict("list")
    columns = {
        "df": "Df", "aic": "AIC", "bic": "BIC", "chisq": "Chisq", "delta_chisq": "Chisq.diff", "delta_df": "Df.diff",
        "pvalue": "Pr..Chisq.",
    }  # fmt: skip
    wrong: list[Any] = []
    for ours, theirs in columns.items():
        pairs = zip(frame[ours], stored["lrt"][theirs], strict=True)
        wrong += [(ours, a, b) for a, b in pairs if off(a, b, CHISQ)]
    for name in ("cfi", "rmsea", "srmr"):
        pairs = zip(frame[f"delta_{name}"][1:], stored["delta"][name][:3], strict=True)
        wrong += [(name, a, b) for a, b in pairs if not abs(a - b) <= DELTA]
    for step, value in zip(STEPS[1:], stored["lrt"]["RMSEA"][1:], strict=True):
        at = STEPS.index(step)
        rmsea = found.fits[step].compare(found.fits[STEPS[at - 1]]).rmsea
        if off(rmsea, value, CHISQ):
            wrong.append(("rmsea of the difference", step, rmsea, value))
    return wrong


def _scores(found: InvarianceResult, stored: dict[str, Any]) -> list[Any]:
    """lavaan names the constraint by the numbers of its rows, and releases one group at a time."""
    wrong: list[Any] = []
    for step in ("metric", "scalar"):
        tests, rows = stored[f"score_tests_{step}"], stored[step]["estimates"]
        table = found.score_tests(step).set_index(["parameter", "group"])
        if len(table[table.index.get_level_values("group") == "all"]) * (len(found.groups) - 1) != len(tests["X2"]):
            wrong.append(("number of score tests", step))
        for rhs, df, x2, p in zip(tests["rhs"], tests["df"], tests["X2"], tests["p.value"], strict=True):
            i = int(rhs.strip(".p")) - 1
            name = f"{rows['lhs'][i]}{rows['op'][i]}{rows['rhs'][i]}"
            group = "all" if len(found.groups) == 2 else found.groups[rows["group"][i] - 1]
            ours = table.loc[(name, group)]
            for key, value in (("score_chisq", x2), ("df", df), ("pvalue", p)):
                if not abs(ours[key] - value) <= SCORE * max(1.0, abs(value)):
                    wrong.append((step, name, group, key, ours[key], value))
    return wrong


def _means(found: InvarianceResult, stored: dict[str, Any]) -> list[Any]:
    table = found.latent_means(allow_noninvariant=True)
    wrong: list[Any] = []
    for group, values in list(stored["latent_means_scalar"].items())[1:]:
        values = values if isinstance(values, list) else [values]
        mine = table[table["group"] == group]["difference"].to_list()
        wrong += [(group, a, b) for a, b in zip(mine, values, strict=True) if off(a, b, 5e-5)]
    return wrong
