"""Results print, tabulate, compare, pickle and round-trip."""

from __future__ import annotations

import json
import math
import pickle
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from relmeasure.exceptions import (
    FewItemsWarning,
    OptionError,
    RelmeasureWarning,
    UnsupportedDataError,
    warn_user,
)
from relmeasure.results import (
    Estimate,
    FloatArray,
    IntArray,
    Note,
    Provenance,
    Result,
    Status,
    Table,
    announce,
    frozen_array,
)


@dataclass(frozen=True, eq=False)
class Everything(Result):
    """One field of every kind that results use."""

    matrix: FloatArray
    counts: IntArray
    names: tuple[str, ...]
    by_item: dict[str, FloatArray]
    table: Table
    note: Note | None
    number: float
    flag: bool
    status: Status


def _everything() -> Everything:
    return Everything(
        matrix=frozen_array([[1.0, math.nan], [math.inf, -math.inf]]),
        counts=frozen_array([1, 2], np.int64),
        names=("a", "b"),
        by_item={"a": frozen_array([0.5])},
        table=Table({"item": ("a", "b"), "r": (0.25, None), "why": (None, "few")}),
        note=Note("few-items", "Two."),
        number=math.nan,
        flag=True,
        status=Status("caution", converged=True, reasons=("look",)),
    )


def test_round_trip_through_json_and_pickle() -> None:
    """A result survives JSON text and pickling, with NaN and infinities."""
    result = _everything()
    text = json.dumps(result.to_dict(), allow_nan=False)
    assert Everything.from_dict(json.loads(text)).equals(result)
    assert pickle.loads(pickle.dumps(result)).equals(result)


def test_equality_sees_every_field() -> None:
    """One changed number, name or note makes results unequal."""
    result = _everything()
    for change in (
        {"matrix": frozen_array([[1.0, math.nan], [math.inf, 0.0]])},
        {"matrix": frozen_array([1.0])},
        {"counts": frozen_array([1, 3], np.int64)},
        {"names": ("a", "c")},
        {"by_item": {"b": frozen_array([0.5])}},
        {"table": Table({"item": ("a", "b"), "r": (0.25, 0.3), "why": (None, "few")})},
        {"note": None},
        {"number": 1.0},
        {"flag": False},
        {"status": Status("ok")},
    ):
        assert not result.equals(Everything(**{**vars(result), **change}))
    assert not result.equals(Note("a", "b"))


def test_arrays_are_read_only_also_after_pickling() -> None:
    """Nobody changes a number inside a result."""
    for result in (_everything(), pickle.loads(pickle.dumps(_everything()))):
        with pytest.raises(ValueError, match="read-only"):
            result.matrix[0, 0] = 2.0


def test_a_dict_of_another_result_is_refused() -> None:
    """The message names the class that reads it."""
    with pytest.raises(UnsupportedDataError, match="Note"):
        Status.from_dict(Note("a", "b").to_dict())


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_tables_become_frames_of_every_library(kind: Any) -> None:
    """Columns, order and missing values are kept."""
    frame = Table({"item": ("a", "b"), "r": (0.25, None)}).to_frame(kind)
    columns = frame.column_names if kind == "pyarrow" else list(frame.columns)
    assert columns == ["item", "r"]
    assert frame["r"].to_pylist()[0] == 0.25 if kind == "pyarrow" else frame["r"].to_list()[0] == 0.25


def test_unknown_frame_library_is_named() -> None:
    """A wrong kind lists the right ones."""
    with pytest.raises(OptionError, match="polars"):
        Table({"a": (1,)}).to_frame("polar")  # type: ignore[arg-type]


def test_columns_of_unequal_length_are_refused() -> None:
    """A table is rectangular."""
    with pytest.raises(ValueError, match="differ in length"):
        Table({"a": (1,), "b": (1, 2)})


def test_text_and_html() -> None:
    """Numbers right, missing as a dash, markup escaped."""
    table = Table({"item": ("<a>", "b"), "r": (0.12345, math.nan)})
    assert table.to_text().splitlines() == ["item      r", "<a>   0.123", "b         -"]
    assert "&lt;a&gt;" in table._repr_html_()
    assert "&lt;b&gt;</p>" in Note("a", "<b>")._repr_html_()


def test_an_estimate_says_what_it_is() -> None:
    """Name, interval, N, rule and definition stand in the summary; a missing one gives its reason."""
    made = Estimate(
        "alpha", 0.8, 0.01, 0.78, 0.82, n_obs=90, n_items=5, method="Feldt", definition="alpha.raw", rule="all rows"
    )
    text = str(made)
    for part in ("alpha = 0.800", "[0.780, 0.820]", "Feldt", "90 rows", "alpha.raw"):
        assert part in text
    none = Estimate("alpha", math.nan, reason="one item")
    assert "not available (one item)" in none.summary()
    assert list(made.to_frame().columns)[:3] == ["name", "estimate", "se"]
    assert made.items.empty
    assert Estimate.from_dict(made.to_dict()).equals(made)


def test_status_and_provenance_in_words() -> None:
    """Levels, reasons and steps are printed."""
    assert Status().ok
    assert "- reverse item b" in Status("failed", reasons=("reverse item b",)).summary()
    line = Provenance("alpha", "0.1.0", 100, 90, "listwise", steps=("codes 9 set to missing",)).summary()
    assert "90 of 100 rows" in line
    assert "codes 9" in line


def test_warnings_point_at_the_users_line_and_stay_in_the_result() -> None:
    """The file named in the warning is this one; the note keeps its code."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        notes = announce([FewItemsWarning("Two items.", n=2)])
        warn_user(RelmeasureWarning("plain"))
    assert [w.filename for w in caught] == [__file__, __file__]
    assert notes[0].code == "few-items"
    copied = pickle.loads(pickle.dumps(caught[0].message))
    assert copied.details == {"n": 2}


def test_a_result_prints_itself_instead_of_its_arrays() -> None:
    table = Table({"item": ("a", "b"), "mean": (1.5, 2.0)})
    assert repr(table) == str(table) == table.summary()


def test_a_status_states_facts_and_gives_no_verdict() -> None:
    assert (
        Status("ok", converged=True, admissible=True, identified=True).summary() == "converged, admissible, identified"
    )
    assert Status("caution", converged=True, admissible=False).words == "caution (converged, not admissible)"
    assert Status("failed", converged=False, reasons=("no",)).summary() == "failed (not converged)\n- no"
    assert Status().summary() == "ok"
