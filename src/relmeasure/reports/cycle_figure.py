"""The cycle as a path diagram: relationship on the left, a practice a row on the right, both directions between them.

A line is as wide as its standardised association is strong; solid where its interval leaves zero out, dashed where not.
Beside the diagram stand the same estimates with their intervals, and those with measurement error left in. Colours
are from the palette of Okabe and Ito (told apart with any colour vision); direction is told by arrow heads and
position too, so that the figure reads in black and white.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import Any

from relmeasure.exceptions import MissingExtraError, OptionError, UnsupportedDataError

__all__ = ["cycle_figure"]

FORWARD, BACK, NEUTRAL, INK = "#0072B2", "#B34700", "#444444", "#1a1a1a"
"""Relationship to practice; practice to relationship (a darker vermilion, legible as text); one wave; text."""

ROW = 1.15
"""Height of a practice, in inches."""

DIAGRAM = 6.2
"""Width of the diagram, in inches; one unit of its axes is an inch."""

BOX = 1.75


@dataclass(frozen=True)
class Line:
    """One association, ready to draw."""

    std: float
    lower: float
    upper: float
    observed: float
    reason: str | None

    @property
    def known(self) -> bool:
        """Whether there is a number."""
        return self.reason is None and not math.isnan(self.std)

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.known and (self.lower > 0 or self.upper < 0)

    @property
    def text(self) -> str:
        """Estimate and interval."""
        if not self.known:
            return "not available"
        return f"{_number(self.std)}  [{_number(self.lower)}, {_number(self.upper)}]"


def _number(value: float) -> str:
    """Two decimals, no leading zero, a true minus."""
    text = f"{abs(value):.2f}"
    text = text[1:] if text.startswith("0.") else text
    return f"\N{MINUS SIGN}{text}" if value < 0 and float(f"{value:.2f}") != 0 else text


def cycle_figure(result: Any, *, by: str = "all", step: int = 0, labels: dict[str, str] | None = None) -> Any:
    """Draw a ``ReciprocityResult``.

    Parameters
    ----------
    result : ReciprocityResult
    by : str
        Grade band, or "all".
    step : int
        Which pair of successive waves, where several are analysed one by one.
    labels : dict, optional
        Names to print for score columns.

    Returns
    -------
    matplotlib.figure.Figure
        Free of ``pyplot``: nothing is shown, and no state is kept. ``figure.savefig("cycle.png")`` writes it.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    OptionError
        A band or a step that the result does not have.
    """
    figure_class = _matplotlib()
    names = {name: (labels or {}).get(name, name) for name in (result.relationship, *result.practices)}
    when, lines = _lines(result, by, step)
    practices = list(lines)
    height = ROW * len(practices) + 1.55
    figure = figure_class(figsize=(DIAGRAM + 4.1, height), dpi=150, facecolor="white")
    wide = figure.get_figwidth()
    rows = ROW * len(practices)
    diagram = figure.add_axes((0.0, 0.62 / height, DIAGRAM / wide, rows / height))
    forest = figure.add_axes(((DIAGRAM + 0.35) / wide, 0.62 / height, 3.45 / wide, rows / height))
    _diagram(diagram, result, names, lines)
    _forest(forest, lines, one_wave=result.one_wave)
    _words(figure, result, by, when, height)
    return figure


def _matplotlib() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError.from_extra("matplotlib", "plots", "figures") from None
    return Figure


# --------------------------------------------------------------------------- what is drawn
def _lines(result: Any, by: str, step: int) -> tuple[str, dict[str, dict[str, Line]]]:
    """Corrected associations of the band and step by practice and direction, and when they were."""
    main = list(result.main_rows(by))
    if not main:
        bands = list(dict.fromkeys(row["by"] for row in result.table.rows()))
        raise OptionError.from_value("by", by, bands)
    steps = list(dict.fromkeys((row["from_wave"], row["to_wave"]) for row in main))
    if not 0 <= step < len(steps):
        raise OptionError(f"step={step}: there are {len(steps)} steps ({', '.join(f'{a} to {b}' for a, b in steps)}).")
    main = [row for row in main if (row["from_wave"], row["to_wave"]) == steps[step]]
    observed = {
        (row["effect"], row["model"]): row["std"]
        for row in result.table.rows()
        if not row["corrected"] and row["by"] == by and (row["from_wave"], row["to_wave"]) == steps[step]
    }
    out: dict[str, dict[str, Line]] = {}
    for row in main:
        forward = row["predictor"] == result.relationship
        practice = row["outcome"] if forward else row["predictor"]
        low, high = result.standard_interval(row)
        line = Line(row["std"], low, high, observed.get((row["effect"], row["model"]), math.nan), row["reason"])
        out.setdefault(practice, {})["forward" if forward else "back"] = line
    if not any(line.known for pair in out.values() for line in pair.values()):
        raise UnsupportedDataError("There is nothing to draw: no association could be estimated.")
    first, second = steps[step]
    if result.one_wave:
        return "one wave", out
    return ("each wave to the next" if first == "each" else f"wave {first} to wave {second}"), out


# --------------------------------------------------------------------------- the diagram
def _diagram(axes: Any, result: Any, names: dict[str, str], lines: dict[str, dict[str, Line]]) -> None:
    rows = ROW * len(lines)
    axes.set_xlim(0, DIAGRAM)
    axes.set_ylim(rows, 0)
    axes.axis("off")
    left, right = 0.15, DIAGRAM - BOX - 0.05
    _box(axes, left, 0.16, BOX - 0.3, rows - 0.32, names[result.relationship])
    for k, (practice, pair) in enumerate(lines.items()):
        middle = ROW * (k + 0.5)
        _box(axes, right, middle - 0.37, BOX, 0.74, names[practice])
        start, end = left + BOX - 0.3 + 0.06, right - 0.06
        if result.one_wave:
            _arrow(axes, (start, middle), (end, middle), pair["forward"], NEUTRAL, heads="-", above=True)
            continue
        if "forward" in pair:
            _arrow(axes, (start, middle - 0.17), (end, middle - 0.17), pair["forward"], FORWARD, above=True)
        if "back" in pair:
            _arrow(axes, (end, middle + 0.17), (start, middle + 0.17), pair["back"], BACK, above=False)


def _box(axes: Any, x: float, y: float, width: float, height: float, text: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    axes.add_patch(
        FancyBboxPatch(
            (x, y),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.09",
            facecolor="#f4f4f2",
            edgecolor=INK,
            linewidth=1.1,
        )
    )
    lines, size = _fitted(text, width)
    axes.text(
        x + width / 2,
        y + height / 2,
        "\n".join(lines),
        ha="center",
        va="center",
        fontsize=size,
        color=INK,
        parse_math=False,
    )


def _fitted(text: str, width: float) -> tuple[list[str], float]:
    """Text of a box in at most three lines, smaller where it is long; ends in dots where it does not fit."""
    spaced = text.replace("_", " ")
    for size in (11.0, 10.0, 9.0, 8.0):
        letters = int(width * 72 / (size * 0.58))
        lines = textwrap.wrap(spaced, letters, break_long_words=size == 8.0) or [""]
        if len(lines) <= (2 if size > 9 else 3) and max(map(len, lines)) <= letters:
            return lines, size
    return [*lines[:2], textwrap.shorten(" ".join(lines[2:]), letters, placeholder="\N{HORIZONTAL ELLIPSIS}")], 8.0


def _arrow(
    axes: Any,
    start: tuple[float, float],
    end: tuple[float, float],
    line: Line,
    colour: str,
    *,
    above: bool,
    heads: str = "-|>",
) -> None:
    from matplotlib.patches import FancyArrowPatch

    weight = 1.0 + 5.0 * min(abs(line.std), 0.8) if line.clear else 1.0
    shown = colour if line.clear else ("#6b6b6b" if line.known else "#a0a0a0")
    body: dict[str, Any] = {
        "linewidth": weight,
        "color": shown,
        "shrinkA": 0,
        "shrinkB": 0,
        "capstyle": "butt",
        "joinstyle": "miter",
    }
    scale = 9 + 2.2 * weight
    dash = "solid" if line.clear else (0, (4.5 / max(weight, 1.2), 3.0 / max(weight, 1.2)))
    if heads == "-":
        axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-", linestyle=dash, **body))
    else:  # the head apart from the line, so that it is whole where the line is dashed
        back = math.copysign(0.45 * scale / 72, end[0] - start[0])
        axes.add_patch(FancyArrowPatch(start, (end[0] - back, end[1]), arrowstyle="-", linestyle=dash, **body))
        near = (end[0] - 1.2 * back, end[1])
        axes.add_patch(
            FancyArrowPatch(near, end, arrowstyle=heads, mutation_scale=scale, **(body | {"linewidth": 0.8}))
        )
    away = -0.075 - 0.012 * weight if above else 0.075 + 0.012 * weight
    axes.text(
        (start[0] + end[0]) / 2, start[1] + away, line.text, ha="center", va="bottom" if above else "top", fontsize=9.5,
        color=colour if line.clear else "#555555", fontweight="bold" if line.clear else "normal",
    )  # fmt: skip


# --------------------------------------------------------------------------- intervals
def _forest(axes: Any, lines: dict[str, dict[str, Line]], *, one_wave: bool) -> None:
    rows = ROW * len(lines)
    axes.set_ylim(rows, 0)
    known = [line for pair in lines.values() for line in pair.values() if line.known]
    ends = [v for line in known for v in (line.lower, line.upper, line.std) if not math.isnan(v)]
    low, high = max(min([*ends, 0.0]), -1.2), min(max([*ends, 0.0]), 1.2)
    room = 0.08 * max(high - low, 0.2)
    axes.set_xlim(low - room, high + room)
    axes.axvline(0, color=INK, linewidth=0.9)
    for k, pair in enumerate(lines.values()):
        middle = ROW * (k + 0.5)
        if k:
            axes.axhline(ROW * k, color="#dddddd", linewidth=0.8)
        for direction, line in pair.items():
            y = middle if one_wave else middle + (-0.2 if direction == "forward" else 0.2)
            colour = NEUTRAL if one_wave else FORWARD if direction == "forward" else BACK
            _interval(axes, line, y, colour, "o" if direction == "forward" else "s", (low - room, high + room))
    axes.tick_params(axis="y", left=False, labelleft=False)
    axes.tick_params(axis="x", labelsize=8.5, color=INK)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("standardised association", fontsize=9)


def _interval(axes: Any, line: Line, y: float, colour: str, marker: str, limits: tuple[float, float]) -> None:
    if not line.known:
        axes.text(0, y, "  not available", fontsize=8.5, color="#777777", va="center")
        return
    if not math.isnan(line.observed):
        axes.plot(
            [line.observed],
            [y],
            marker=marker,
            markersize=6,
            markerfacecolor="white",
            color=colour,
            linestyle="none",
            zorder=3.5,
        )
    axes.plot([line.lower, line.upper], [y, y], color=colour, linewidth=1.8, solid_capstyle="butt", zorder=3)
    axes.plot([line.std], [y], marker=marker, markersize=6.5, color=colour, linestyle="none", zorder=4)
    for end, bound, arrow in ((line.lower, limits[0], "<"), (line.upper, limits[1], ">")):
        if (end < bound) if arrow == "<" else (end > bound):  # the interval goes on beyond the axes
            axes.plot([bound], [y], marker=arrow, markersize=6, color=colour, clip_on=False, zorder=5)


# --------------------------------------------------------------------------- words around it
def _words(figure: Any, result: Any, by: str, when: str, height: float) -> None:
    n = max((row["n_classes"] for row in result.main_rows(by)), default=0)
    where = "" if by == "all" else f", {by}"
    told = f"{n} classes{where}, {when}; measurement error of class means taken out; {result.conf_level:.0%} intervals"
    title = "Association within one wave" if result.one_wave else "What goes with what later"
    below = "Solid: the interval leaves zero out. Dashed: it does not. Associations, not causes."
    left = 0.15 / figure.get_figwidth()
    style: dict[str, Any] = {"va": "center", "parse_math": False}
    figure.text(left, 1 - 0.22 / height, title, fontsize=13, fontweight="bold", color=INK, **style)
    figure.text(left, 1 - 0.5 / height, told, fontsize=9, color="#444444", **style)
    figure.text(left, 0.2 / height, below, fontsize=8.5, color="#444444", **style)
    figure.legend(
        handles=_legend(one_wave=result.one_wave), loc="center right", ncols=1 if result.one_wave else 2,
        bbox_to_anchor=(1 - 0.2 / figure.get_figwidth(), 1 - 0.36 / height), frameon=False, fontsize=8.5,
        handlelength=2.2, borderaxespad=0, labelspacing=0.3,
    )  # fmt: skip


def _legend(*, one_wave: bool) -> list[Any]:
    from matplotlib.lines import Line2D

    filled: dict[str, Any] = {"linewidth": 1.8, "markersize": 6}
    shown = ((FORWARD, "o", "to later practice"), (BACK, "s", "from practice"))
    entries = [] if one_wave else [Line2D([], [], color=c, marker=m, label=text, **filled) for c, m, text in shown]
    colour = NEUTRAL if one_wave else INK
    hollow: dict[str, Any] = {"markerfacecolor": "white", "linestyle": "none", "markersize": 6}
    entries.append(Line2D([], [], color=colour, marker="o", label="error out, interval", **filled))
    entries.append(Line2D([], [], color=colour, marker="o", label="error left in", **hollow))
    return entries
