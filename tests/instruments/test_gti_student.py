"""The structure of the OECD Global Teaching InSights questionnaires, and that it fits the real data."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from relmeasure.instruments import load_instrument
from tests.support import ROOT

SIZES = {
    "relationship": 5,
    "clarity": 4,
    "cognitive_activation": 4,
    "discourse": 3,
    "meaning": 4,
    "adaptation": 5,
    "low_disruption": 3,
    "classroom_management": 4,
    "teacher_support": 3,
    "competence_support": 4,
    "autonomy_support": 4,
    "feedback": 4,
    "self_concept_w1": 6,
    "self_concept_w2": 6,
    "interest_w1": 3,
    "interest_w2": 3,
    "general_self_efficacy_w1": 5,
    "general_self_efficacy_w2": 5,
    "task_self_efficacy_w1": 5,
    "task_self_efficacy_w2": 5,
}


def test_scales_items_and_levels() -> None:
    """Twelve scales about the teacher, four pairs about the student, every item in one scale."""
    gti = load_instrument("gti-student")
    assert {scale.id: len(scale.items) for scale in gti.scales} == SIZES
    assert len(gti.items) == 85
    assert set(gti.scored_items()) == set(gti.item_ids)
    assert gti.shared_items == ()
    for scale in gti.scales:
        waves = scale.id.endswith(("_w1", "_w2"))
        assert scale.levels == (("student", "class") if waves else ("student", "class", "teacher"))
        assert scale.missing.min_share == 0.5
        assert scale.scoring.method == "mean"
        assert gti.scale_range(scale.id) == (1.0, 4.0)


def test_no_wording_and_no_figures() -> None:
    """Structure only, under the terms of the OECD."""
    gti = load_instrument("gti-student")
    assert gti.kind == "structure_only"
    assert (gti.licence.id, gti.licence.wording, gti.licence.holder) == ("permission_required", "not_included", "OECD")
    assert "Attribution" in str(gti.licence.note)
    assert gti.published_figures == ()
    assert not any(item.text for item in gti.items)
    assert not any(option.labels for scale in gti.response_scales.values() for option in scale.options)


def test_disruption_is_stored_reversed_and_not_reversed_again() -> None:
    """Keyed values are the stored codes, and a note says why."""
    gti = load_instrument("gti-student")
    for item in gti.scale("low_disruption").items:
        assert gti.keyed_values(item) == {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0}
        assert "already reversed" in str(gti.item(item).note)
    assert all(item.key == 1 for item in gti.items)


def test_the_page_names_every_scale() -> None:
    """The table in docs/instruments is the file's."""
    page = (ROOT / "docs" / "instruments" / "gti-student-notes.md").read_text(encoding="utf-8")
    gti = load_instrument("gti-student")
    rows = dict(re.findall(r"^\| `(\w+)` \| (SQ[^|]+) \|", page, flags=re.MULTILINE))
    assert list(rows) == list(gti.scale_ids)
    for scale in gti.scales:
        assert rows[scale.id].startswith(scale.items[0])
        ends = re.findall(r"[A-Z]2?", rows[scale.id].split("SQ", 1)[1])
        assert scale.items[-1].endswith(ends[-1])


@pytest.mark.shared
def test_the_definition_fits_the_data(shared_reference: Path) -> None:
    """Every item is a column, every code is declared, nothing is left over."""
    gti = load_instrument("gti-student")
    with (shared_reference / "data" / "gti_students" / "data.csv").open(encoding="utf-8", newline="") as handle:
        rows = csv.reader(handle)
        header = next(rows)
        seen: list[set[str]] = [set() for _ in header]
        for row in rows:
            for column, value in zip(seen, row, strict=True):
                if len(column) < 100:
                    column.add(value)
    assert set(header) - {"S_ID", "country", "school", "class"} == set(gti.item_ids)
    for name, values in zip(header, seen, strict=True):
        if name in gti.item_ids:
            codes = {float(value) for value in values if value not in {"", "NA"}}
            assert codes == {float(code) for code in gti.response_scale(name).codes}
