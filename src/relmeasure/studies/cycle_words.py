"""What a reciprocity result says in plain words: two paragraphs, and sentences for single associations.

Language: an association over time is "associated with later"; nothing here says that one thing brings about another.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from relmeasure.panel.reciprocal import ALL
from relmeasure.panel.wave_models import EQUAL

if TYPE_CHECKING:
    from relmeasure.studies.cycle_result import ReciprocityResult

__all__ = ["LIMIT", "NOT_TESTED", "findings", "standing", "standard_interval"]

LIMIT = "These are associations over time between class scores. They do not show what causes what."
LIMIT_ONE_WAVE = (
    "These are associations between scores of the same wave. They have no direction in time and "
    "do not show what causes what."
)
NOT_TESTED = (
    "That scores mean the same in every wave has not been tested: hand in answers with instruments=[...], or run "
    "rm.invariance(instrument, answers, {when}, cluster={cluster!r}, estimator='MLR') first."
)


def standard_interval(row: dict[str, Any]) -> tuple[float, float]:
    """Interval of the standardised association: the raw one by the same two standard deviations.

    So both leave zero out, or neither does.
    """
    if row["estimate"] == 0 or math.isnan(row["estimate"]):
        return math.nan, math.nan
    ratio = row["std"] / row["estimate"]
    return row["lower"] * ratio, row["upper"] * ratio


def clear(row: dict[str, Any]) -> bool:
    """Whether the interval leaves zero out."""
    return bool(row["lower"] > 0 or row["upper"] < 0)


# --------------------------------------------------------------------------- first paragraph
def findings(result: ReciprocityResult) -> str:
    """Say for every practice what goes with what, in both directions."""
    rows = list(result.main_rows())
    if all(row["reason"] is not None for row in rows):
        return "Nothing could be estimated; the reasons stand below."
    if result.one_wave:
        return _same_wave(rows)
    out = [_opening(result, rows)]
    for practice in dict.fromkeys(row["practice"] for row in _by_practice(result, rows)):
        pair = [row for row in _by_practice(result, rows) if row["practice"] == practice]
        steps = dict.fromkeys((row["from_wave"], row["to_wave"]) for row in pair)
        out += [_pair(result, [r for r in pair if (r["from_wave"], r["to_wave"]) == step]) for step in steps]
    return " ".join(out)


def _by_practice(result: ReciprocityResult, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    care = result.relationship
    return [row | {"practice": row["outcome"] if row["predictor"] == care else row["predictor"]} for row in rows]


def _opening(result: ReciprocityResult, rows: list[dict[str, Any]]) -> str:
    n = max(row["n_classes"] for row in rows)
    if rows[0]["model"] == EQUAL:
        return (
            f"Within {n} teachers followed over {len(result.waves)} waves, with their stable differences "
            f"and the measurement "
            "error of class means taken out."
        )
    return f"Over {n} teachers, with the measurement error of class means taken out and the earlier scores held equal."


def _pair(result: ReciprocityResult, rows: list[dict[str, Any]]) -> str:
    forward = next((row for row in rows if row["predictor"] == result.relationship), None)
    back = next((row for row in rows if row["outcome"] == result.relationship), None)
    if all(row["reason"] is not None for row in rows):
        return f"For {rows[0]['practice']}: not available."
    said = [_direction(row) for row in (forward, back) if row is not None]
    text = f"For {rows[0]['practice']}: " + "; ".join(said)
    if forward and back and forward["reason"] is None and back["reason"] is None:
        text += f": {_reading(clear(forward), clear(back), result.relationship, rows[0]['practice'])}"
    when = "" if rows[0]["from_wave"] == "each" else f" (wave {rows[0]['from_wave']} to {rows[0]['to_wave']})"
    return f"{text}{when}."


def _direction(row: dict[str, Any]) -> str:
    if row["reason"] is not None:
        return f"{row['predictor']} and later {row['outcome']}: not available"
    low, high = standard_interval(row)
    numbers = f"{row['std']:.2f} standard deviations [{low:.2f}, {high:.2f}]"
    if clear(row):
        return f"{row['predictor']} is associated with later {row['outcome']}, {numbers}"
    return f"{row['predictor']} cannot be said to be associated with later {row['outcome']}, {numbers}"


def _reading(forward: bool, back: bool, care: str, practice: str) -> str:
    if forward and back:
        return "an association in both directions"
    if forward:
        return f"clear from {care} to later {practice}, not clear in the other direction"
    if back:
        return f"clear from {practice} to later {care}, not clear in the other direction"
    return "not clear in either direction"


def _same_wave(rows: list[dict[str, Any]]) -> str:
    """One wave: what is associated, what is not clear, what could not be had."""
    known = [row for row in rows if row["reason"] is None]
    parts = []
    for sure, said in ((True, "is associated with"), (False, "cannot be said to be associated with")):
        named = [_one(row) for row in known if clear(row) is sure]
        if named:
            parts.append(f"{rows[0]['predictor']} {said} {', '.join(named)}")
    text = ""
    if parts:
        n = max(row["n_classes"] for row in known)
        text = (
            f"Between {n} classes, with measurement error taken out, {'; it '.join(parts)} of the same wave "
            "(standard deviations, intervals in brackets)."
        ).replace(f"; it {rows[0]['predictor']} ", "; it ")
    missing = ", ".join(row["outcome"] for row in rows if row["reason"] is not None)
    return " ".join(part for part in (text, f"Not available: {missing}." if missing else "") if part)


def _one(row: dict[str, Any]) -> str:
    low, high = standard_interval(row)
    return f"{row['outcome']} {row['std']:.2f} [{low:.2f}, {high:.2f}]"


# --------------------------------------------------------------------------- second paragraph
def standing(result: ReciprocityResult) -> str:
    """Say what defends the answer and what stands against it."""
    parts = [
        _raters(result),
        _confounder(result),
        _schools(result),
        _power(result),
        _bands(result),
        _lags(result),
        _chance(result),
        result.comparability,
        LIMIT_ONE_WAVE if result.one_wave else LIMIT,
    ]
    return " ".join(part for part in parts if part)


def _waves(result: ReciprocityResult, row: dict[str, Any]) -> str:
    """The effect, and which waves it joins where there are several steps."""
    if len(result.waves) < 3 or row["from_wave"] == "each":
        return str(row["effect"])
    return f"{row['effect']}, wave {row['from_wave']} to {row['to_wave']}"


def _chance(result: ReciprocityResult) -> str:
    """How many associations were looked at, and how many would be clear by chance."""
    rows = [row for row in result.overview_rows() if row["reason"] is None]
    if len(rows) < 2:
        return ""
    alpha = 1 - result.conf_level
    return (
        f"{len(rows)} associations were looked at (the table), and {sum(map(clear, rows))} are clear at the "
        f"{result.conf_level:.0%} level. Were there none at all, about {len(rows) * alpha:.1f} of {len(rows)} would "
        "still look clear by chance."
    )


def _raters(result: ReciprocityResult) -> str:
    rows = [r for r in result.same_rater.rows() if not math.isnan(r["different_halves"])]
    if not rows:
        return ""
    widest = max(rows, key=lambda r: abs(r["same_students"] - r["different_halves"]))
    return (
        "Rated by different halves of each class, so that no student is behind both scores, the estimates stay within "
        f"{abs(widest['same_students'] - widest['different_halves']):.2f} of these ({_waves(result, widest)}: "
        f"{widest['same_students']:.2f} with the same students, {widest['different_halves']:.2f} with "
        f"different halves)."
    )


def _confounder(result: ReciprocityResult) -> str:
    found = {(r["effect"], r["from_wave"], r["to_wave"]): r["robustness_value"] for r in result.sensitivity.rows()}
    shown = [
        (_waves(result, row), found[row["effect"], row["from_wave"], row["to_wave"]])
        for row in result.table.rows()
        if row["by"] == ALL and row["corrected"] and row["model"] in ("pair", "same wave") and clear(row)
        and not math.isnan(found.get((row["effect"], row["from_wave"], row["to_wave"]), math.nan))
    ]  # fmt: skip
    if not shown:
        return ""
    weakest = min(shown, key=lambda pair: pair[1])
    return (
        f"An unmeasured confounder would have to explain {weakest[1]:.0%} of what is left of both scores "
        f"to bring the least "
        f"robust clear association ({weakest[0]}) to zero."
    )


def _schools(result: ReciprocityResult) -> str:
    rows = [r for r in result.sensitivity.rows() if r["lowest_without"] is not None]
    if not rows:
        return ""
    widest = max(rows, key=lambda r: r["without_a_school_highest"] - r["without_a_school_lowest"])
    return (
        f"Leaving out one school at a time moves {_waves(result, widest)} between "
        f"{widest['without_a_school_lowest']:.2f} and "
        f"{widest['without_a_school_highest']:.2f} (raw)."
    )


def _power(result: ReciprocityResult) -> str:
    models = {row["model"] for row in result.main_rows()}
    rows = [row for row in result.power.rows() if row["model"] in models]
    if not rows:
        return ""
    worst = max(rows, key=lambda r: r["detectable"])
    what = "association" if result.one_wave else "lag"
    return (
        f"A study of this size finds a standardised {what} of {worst['detectable']:.2f} in 80% of cases, one of .10 in "
        f"{worst['power_10']:.0%} and one of .20 in {worst['power_20']:.0%} (least precise direction)."
    )


def _bands(result: ReciprocityResult) -> str:
    rows = [r for r in result.band_tests.rows() if r["corrected"] and r["model"] != "joint"]
    differ = [r for r in rows if r["pvalue"] < 0.05]
    if not rows:
        return ""
    if not differ:
        return "The groups compared do not differ clearly in any of these associations."
    named = ", ".join(dict.fromkeys(f"{r['effect']} ({_p(r['pvalue'])})" for r in differ))
    return f"The groups compared differ in {named}."


def _lags(result: ReciprocityResult) -> str:
    rows = [r for r in result.model_tests.rows() if r["test"] == "equal lags" and r["corrected"] and r["by"] == ALL]
    told = [f"{r['practice']} {_p(r['pvalue'])}" for r in rows if r["reason"] is None and not math.isnan(r["pvalue"])]
    return f"Test that lags are equal over time: {', '.join(told)}." if told else ""


def _p(value: float) -> str:
    return "p < .001" if value < 0.001 else f"p = {value:.3f}"
