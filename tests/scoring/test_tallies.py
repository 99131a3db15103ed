"""Counts and sums on whole pandas columns say what the expressions say, to the last bit and type."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import relmeasure as rm
from relmeasure.scoring.tallies import Tallies
from tests.responses.builders import AGREE, PERCENT, build

ITEMS = ["q1", "q2", "q3", "q4"]
HALVES = {"kind": "agreement", "options": [{"value": k, "score": k / 2} for k in range(1, 6)]}


def frame(dtype: Any, gaps: bool) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    values = pd.DataFrame(rng.integers(1, 6, (60, 4)), columns=ITEMS, index=[3] * 60)
    if gaps:
        values = values.mask(rng.random((60, 4)) < 0.2)
    return values.astype(dtype)


@pytest.mark.parametrize("method", ["mean", "sum", "pomp"])
@pytest.mark.parametrize("scale", [AGREE, HALVES, PERCENT], ids=["whole", "halves", "range"])
@pytest.mark.parametrize(
    ("dtype", "gaps"),
    [("float64", True), ("float32", True), ("Int64", True), ("UInt8", True), ("Float64", True), ("int8", False),
     ("uint8", False), ("int64", False)],
)  # fmt: skip
def test_the_same_with_and_without(
    monkeypatch: pytest.MonkeyPatch, method: str, scale: Any, dtype: str, gaps: bool
) -> None:
    rule = {"min_valid": 2, "prorate": True} if method == "sum" else {"min_valid": 2}
    one = {"id": "s", "items": ITEMS, "scoring": {"method": method}, "missing": rule}
    instrument = build({"r": scale}, {"q1": {}, "q2": {"key": -1}, "q3": {}, "q4": {"key": -1}}, scales=[one])
    data = frame(dtype, gaps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rm.RelmeasureWarning)  # sums are completed
        quick = rm.score(instrument, data)
        monkeypatch.setattr(Tallies, "add", lambda *_: False)
        slow = rm.score(instrument, data)
    pd.testing.assert_frame_equal(quick, slow, check_exact=True)


def test_only_whole_clean_columns_are_tallied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Halves, text and missing codes are left to the expressions."""
    taken: list[bool] = []
    add = Tallies.add

    def counted(self: Tallies, *args: Any) -> bool:
        taken.append(add(self, *args))
        return taken[-1]

    monkeypatch.setattr(Tallies, "add", counted)
    coded = {**AGREE, "missing": [{"code": 9, "reason": "not_applicable"}]}
    for scale, data, expected in (
        (AGREE, frame("float64", gaps=True), True),
        (HALVES, frame("float64", gaps=True), False),
        (coded, frame("int64", gaps=False), True),
        (coded, frame("int64", gaps=False).replace({"q1": {1: 9}}), False),
    ):
        rm.score(build({"r": scale}, ITEMS), data)
        assert taken.pop() is expected
