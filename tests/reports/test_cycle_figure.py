"""The figure of the cycle: what is drawn is what was estimated, whatever the names, widths and gaps."""

from __future__ import annotations

import builtins
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from relmeasure.exceptions import MissingExtraError, OptionError, RelmeasureWarning, UnsupportedDataError
from relmeasure.reports.cycle_figure import BACK, FORWARD, Line, _fitted, _number, cycle_figure
from relmeasure.results import Table, render
from relmeasure.studies.cycle import reciprocity
from relmeasure.studies.cycle_result import ReciprocityResult
from tests.studies.test_cycle import CALL, _long, _three_waves
from tests.studies.test_cycle_words import _with

pytest.importorskip("matplotlib")

LONG = "monitoring of what the students have understood in the lessons of a whole school year and beyond it"


@pytest.fixture(scope="module")
def result() -> ReciprocityResult:
    """Two practices, two bands."""
    data = _long()
    data[LONG] = data["thinking"] - 0.4 * data["care"]
    call = CALL | {"practices": ["thinking", LONG]}
    data["band"] = (data["teacher_id"] < 100).map({True: "4-6", False: "7-10"})
    return reciprocity(data, **call, by="band", n_splits=0)


def texts(figure: Any) -> str:
    """Everything that is written in a figure."""
    figure.canvas.draw()
    found = [t.get_text() for t in figure.findobj(match=lambda artist: hasattr(artist, "get_text"))]
    return "\n".join(found)


def test_estimates_and_intervals_stand_on_the_lines(result: ReciprocityResult) -> None:
    """Both directions of every practice, two decimals, a true minus; the disclaimer."""
    said = texts(cycle_figure(result))
    for row in result.main_rows():
        low, high = result.standard_interval(row)
        assert f"{_number(row['std'])}  [{_number(low)}, {_number(high)}]" in said
    assert "Associations, not causes." in said
    assert "200 classes, wave 1 to wave 2" in said
    assert "100 classes, 4-6, wave 1 to wave 2" in texts(result.plot(by="4-6"))


def test_lines_are_solid_where_the_interval_leaves_zero_out(result: ReciprocityResult) -> None:
    """Clear associations in the colour of their direction, others dashed and grey."""
    from matplotlib.colors import to_hex

    figure = cycle_figure(_with(result, 0.3, 0.01))
    lines = [p for p in figure.axes[0].patches if type(p).__name__ == "FancyArrowPatch" and p.get_linewidth() >= 1]
    styles = {(to_hex(p.get_edgecolor()).upper(), p.get_linestyle() in ("solid", "-")) for p in lines}
    assert (FORWARD.upper(), True) in styles
    assert (BACK.upper(), True) not in styles
    assert any(not solid for _, solid in styles)


def test_one_wave_has_no_arrow_heads() -> None:
    """A line without direction, and a title that says so."""
    data = _long()
    one = reciprocity(data[data["wave"] == 1], **CALL, n_splits=0)
    figure = one.plot(labels={"care": "Relationship"})
    assert len([p for p in figure.axes[0].patches if type(p).__name__ == "FancyArrowPatch"]) == 1
    said = texts(figure)
    assert "Association within one wave" in said
    assert "Relationship" in said
    assert "later" not in said


def test_three_waves_show_lags_within_teachers() -> None:
    found = reciprocity(_three_waves(), **CALL, n_splits=0)
    assert "each wave to the next" in texts(found.plot())


def test_names_fit_their_boxes() -> None:
    """Short names stay large; long ones wrap, get smaller, and end in dots."""
    assert _fitted("care", 1.5) == (["care"], 11.0)
    lines, size = _fitted("affective_engagement_in_the_content", 1.75)
    assert " ".join(lines) == "affective engagement in the content"
    assert size >= 9
    lines, size = _fitted(LONG, 1.75)
    assert len(lines) == 3
    assert size == 8.0
    assert lines[-1].endswith("\N{HORIZONTAL ELLIPSIS}")


def test_wide_intervals_end_in_arrows_and_gaps_are_named(result: ReciprocityResult) -> None:
    """An interval far beyond the axes; an association that could not be estimated."""
    rows = list(result.table.rows())
    for row in rows:
        if row["outcome"] == LONG:
            row.update(estimate=0.1, lower=-30.0, upper=30.0, std=0.1, se=15.0)
        elif row["predictor"] == LONG:
            row["reason"] = "too few"
    figure = replace(result, table=Table.from_rows(rows)).plot()
    low, high = figure.axes[1].get_xlim()
    assert -1.7 < low < 0 < high < 1.7
    assert "not available" in texts(figure)
    assert Line(0.1, -0.2, 0.3, 0.1, None).clear is False


def test_files_in_every_format(result: ReciprocityResult, tmp_path: Path) -> None:
    """PNG, SVG, PDF, and a page with the paragraphs, the figure and the tables, without outside parts."""
    for suffix in (".png", ".svg", ".pdf"):
        assert result.save(tmp_path / f"cycle{suffix}").stat().st_size > 5000
    page = result.save(tmp_path / "cycle.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "Reliability of class means" in page
    assert not re.search(r"(src|href)=[\"']?http", page)
    with pytest.raises(OptionError, match="suffix"):
        result.save(tmp_path / "cycle.docx")


def test_what_is_not_there_is_said(result: ReciprocityResult) -> None:
    """A band, a step, a kind of result, a result without numbers."""
    with pytest.raises(OptionError, match="4-6"):
        result.plot(by="1-3")
    with pytest.raises(OptionError, match="1 to 2"):
        result.plot(step=3)
    with pytest.raises(UnsupportedDataError, match="Table has no figure"):
        result.table.plot()
    with pytest.raises(OptionError, match="kind"):
        render(result, "poster")  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelmeasureWarning)
        few = reciprocity(_long().query("teacher_id < 4"), **CALL, n_splits=0)
    with pytest.raises(UnsupportedDataError, match="nothing to draw"):
        few.plot()


def test_without_matplotlib_one_line_says_what_to_install(
    result: ReciprocityResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figure is refused; page and notebook go without it."""
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"relmeasure\[plots\]"):
        result.plot()
    assert "<svg" not in render(result, "html")
    assert "<svg" not in result._repr_html_()
