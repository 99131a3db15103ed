"""The empty table for answers and the codebook: what is in them, and that scoring takes them."""

from __future__ import annotations

import warnings

import pytest

import relmeasure as rm
from relmeasure.exceptions import NotPublishedMetricWarning
from relmeasure.instruments import load_instrument
from relmeasure.instruments.catalog import list_instruments
from relmeasure.reports import answer_rows, codebook
from tests.reports.builders import worded

PACKAGED = [info.id for info in list_instruments() if info.source == "relmeasure"]


@pytest.mark.parametrize("name", PACKAGED)
def test_the_codebook_is_the_key(name: str) -> None:
    """Every code of every item with the value that scoring gives it; missing codes with their reason."""
    inst = load_instrument(name)
    rows = list(codebook(inst).rows())
    seen: dict[str, dict[str, tuple[object, object]]] = {}
    for row in rows:
        seen.setdefault(row["item"], {})[row["code"]] = (row["keyed_value"], row["missing_reason"])
    for item in inst.items:
        scale = inst.response_scale(item.id)
        found = seen[item.id]
        assert found.pop("(empty)") == (None, scale.null_reason)
        assert {code: reason for code, (_, reason) in found.items() if reason} == {
            str(code): reason for code, reason in scale.missing_codes.items()
        }
        keyed = {code: value for code, (value, reason) in found.items() if reason is None}
        if scale.options:
            assert {int(code): float(str(value)) for code, value in keyed.items()} == inst.keyed_values(item.id)
        else:
            assert len(keyed) == 1
    ids = [row["item"] for row in rows if row["number"] is None]
    assert list(answer_rows(inst).columns) == [*ids, *inst.item_ids]


def test_labels_and_wording_in_every_language() -> None:
    """One column a language."""
    rows = [row for row in codebook(worded()).rows() if row["item"] == "warm_2"]
    assert [row["label_es"] for row in rows[:4]] == ["Poco", "Algo", "Mucho", "No corresponde"]
    assert {row["wording_en"] for row in rows} == {"Two"}
    assert [row["keyed_value"] for row in rows[:3]] == ["3", "2", "1"]
    (number,) = [row for row in codebook(worded()).rows() if row["keyed_value"] == "number"]
    assert number["code"] == "0 to 12.5"
    turned = worded().model_copy(
        update={"items": [{"id": "time", "response_scale": "hours", "key": -1, "text": {"en": "x", "es": "y"}}]}
        | {"scales": []}
    )
    assert "12.5 - number" in codebook(turned)["keyed_value"]


def test_columns_of_people() -> None:
    """Who answered, by role, and the class; a name that an item bears is not given twice."""

    def first(name: str) -> list[str]:
        inst = load_instrument(name)
        return [column for column in answer_rows(inst).columns if column not in inst.item_ids]

    assert first("relationship-student") == ["student_id", "class_id"]
    assert first("relationship-teacher") == ["teacher_id", "class_id"]
    inst = worded(items=[{"id": "Student_ID", "response_scale": "comment", "text": {"en": "x", "es": "y"}}], scales=[])
    assert list(answer_rows(inst, 2).columns) == ["class_id", "Student_ID"]


@pytest.mark.parametrize("name", PACKAGED)
def test_the_empty_table_is_scored_as_empty(name: str) -> None:
    """Every score is missing with a reason, none is a number."""
    inst = load_instrument(name)
    frame = answer_rows(inst, 3).to_frame()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotPublishedMetricWarning)
        scored = rm.score(inst, frame)
    for scale in inst.scale_ids:
        assert scored[scale].isna().all()
        assert scored[f"{scale}_missing_reason"].notna().all()
