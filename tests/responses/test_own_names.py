"""Data whose columns bear other names than the items: bound once, used everywhere, given back as they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

import relmeasure as rm
from relmeasure.exceptions import ColumnCollisionError, ColumnNotFoundError, OptionError
from tests.responses.builders import build
from tests.support import Constructor, to_columns

OWN = {"q1": "TQA", "q2": "TQB", "q3": "TQC"}
DATA: dict[str, list[Any]] = {"TQA": [1, 5, 3], "id": ["x", "y", "z"], "TQB": [2, 4, 3], "TQC": ["5", "1", None]}
INSTRUMENT = build(items={"q1": {}, "q2": {}, "q3": {"key": -1}})


def test_scores_come_with_the_names_of_the_data(constructor: Constructor) -> None:
    """The same scores as under item ids, on every engine; names, order and content of the columns are kept."""
    frame = constructor(DATA)
    ids = constructor({{v: k for k, v in OWN.items()}.get(name, name): values for name, values in DATA.items()})
    plain = to_columns(rm.score(INSTRUMENT, ids))
    direct = to_columns(rm.score(INSTRUMENT, frame, columns=OWN))
    responses = rm.bind(INSTRUMENT, frame, columns=OWN)
    assert list(direct) == [*DATA, "s", "s_n_valid", "s_missing_reason"]
    assert direct == to_columns(rm.score(INSTRUMENT, responses))
    assert {name: direct[OWN.get(name, name)] for name in plain} == plain
    assert direct["s"][:2] == [pytest.approx(4 / 3), pytest.approx(14 / 3)]
    assert to_columns(frame) == DATA
    assert responses.items == ("q1", "q2", "q3")
    assert set(to_columns(responses.keyed().frame)) == {"q1", "q2", "q3", "id"}
    careless = to_columns(rm.careless_responding(INSTRUMENT, responses))
    assert list(careless) == [*DATA, "longstring", "irv", "share_missing"]


def test_bound_responses_go_everywhere() -> None:
    """Coefficients, checks, models and class scores of bound responses equal those of the frame under item ids."""
    instrument = rm.load_instrument("relationship-student")
    data = rm.simulate(instrument, n_clusters=12, cluster_size=20, rng=3)
    own = {item: f"V{k}" for k, item in enumerate(instrument.item_ids)}
    responses = rm.bind(instrument, data.rename(columns=own), columns=own)
    calls: tuple[Callable[[Any], Any], ...] = (
        lambda d: rm.reliability(instrument, d),
        lambda d: rm.check(instrument, d),
        lambda d: rm.classroom_scores(instrument, d, cluster="class_id"),
        lambda d: rm.cfa(instrument, d).fit_measures(),
    )
    for call in calls:
        one, two = call(data), call(responses)
        assert two == one if isinstance(one, dict) else two.equals(one)
    frame = responses.keyed().frame[list(instrument.scale("care").items)]
    assert rm.alpha(frame).estimate == rm.alpha(data[list(instrument.scale("care").items)].astype(float)).estimate


def test_names_may_be_swapped_and_partly_given(constructor: Constructor) -> None:
    """Items left out keep their id; a column may bear the id of another item that is mapped too."""
    frame = constructor({"q2": [1, 5], "q1": [2, 4], "q3": [3, 3]})
    keyed = rm.bind(INSTRUMENT, frame, columns={"q1": "q2", "q2": "q1"}).keyed().frame
    assert to_columns(keyed) == {"q1": [1, 5], "q2": [2, 4], "q3": [3, 3]}
    scored = to_columns(rm.score(INSTRUMENT, frame, columns={"q1": "q2", "q2": "q1"}))
    assert (scored["q2"], scored["q1"]) == ([1, 5], [2, 4])


@pytest.mark.parametrize(
    ("data", "columns", "error", "said"),
    [
        (DATA, {**OWN, "q9": "id"}, OptionError, "'q9', which small@1.0 does not have"),
        (DATA, {**OWN, "q2": "TQA"}, OptionError, r"'TQA' \(q1, q2\)"),
        (DATA, {**OWN, "q3": "TQD"}, ColumnNotFoundError, "TQD"),
        ({**DATA, "q1": [1, 1, 1]}, OWN, ColumnCollisionError, r"q1 \(columns=\{'q1': 'TQA'\}\)"),
        ({**DATA, "q1": [1, 1, 1]}, {**OWN, "q1": "nowhere"}, ColumnNotFoundError, "1 mapped column not in the data"),
        ({"s": [1], "TQB": [2], "TQC": [3]}, {**OWN, "q1": "s"}, ColumnCollisionError, "are in the data already: s"),
    ],
)
def test_mistakes_in_names(data: Any, columns: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        rm.score(INSTRUMENT, pd.DataFrame(data), columns=columns)


def test_responses_know_their_columns_already() -> None:
    responses = rm.bind(INSTRUMENT, pd.DataFrame(DATA), columns=OWN)
    with pytest.raises(OptionError, match="know their columns already"):
        rm.bind(INSTRUMENT, responses, columns=OWN)


def test_near_names_are_suggested_for_each_item() -> None:
    """Case and punctuation first, spelling second; scales that are whole are named."""
    frame = pd.DataFrame({"Q_1": [1], "q 2": [1], "q3": [1]})
    with pytest.raises(ColumnNotFoundError, match="Did you mean 'Q_1' for q1, 'q 2' for q2"):
        rm.bind(INSTRUMENT, frame)
    with pytest.raises(ColumnNotFoundError, match=r"Did you mean 'Q\.2'"):
        rm.bind(INSTRUMENT, pd.DataFrame({"q1": [1], "Q.2": [1], "q3": [1]}))
    two = build(items=["q1", "q2", "q3"], scales=[{"id": "a", "items": ["q1", "q2"]}, {"id": "b", "items": ["q3"]}])
    with pytest.raises(ColumnNotFoundError, match=r"All items of a are there: scales=\['a'\] asks for no others"):
        rm.bind(two, pd.DataFrame({"q1": [1], "q2": [2]}))
