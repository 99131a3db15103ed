"""The contract that every public estimator keeps: engines, mutation, nonsense, round trips.

A new estimator joins by one line in ``ESTIMATORS``; what it may not support it must refuse with a typed error.
"""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pytest

import relmeasure as rm
from relmeasure.exceptions import DataError, EstimationError, RelmeasureError, RelmeasureWarning, UnknownCodeError
from relmeasure.multilevel import icc
from relmeasure.multilevel.agreement import agreement
from relmeasure.results import Result
from relmeasure.studies.classrooms import classroom_scores
from relmeasure.studies.screening import check
from tests.support import CONSTRUCTORS, Constructor, to_columns

ENGINE_TOLERANCE = 1e-9
"""Engines hand over the same integers; only the order of sums in blocks may differ."""


@dataclass(frozen=True)
class Estimator:
    """One public function, called on a frame of items (and a class column where it takes one)."""

    name: str
    call: Callable[[Any], Any]
    items: int = 5
    clustered: bool = False
    clusters: int = 12

    @property
    def nesting(self) -> dict[str, Any]:
        """How its answers are nested."""
        return {"clustered": self.clustered, "clusters": self.clusters}


def _item_names(data: Any) -> list[str]:
    """Return the items of a frame of any library, or of an array."""
    frame = nw.from_native(data, pass_through=True)
    names = ["q1", "q2", "q3", "q4", "q5"]
    if isinstance(data, np.ndarray):
        names = [f"x{k + 1}" for k in range(data.shape[1])]
    elif isinstance(frame, (nw.DataFrame, nw.LazyFrame)):
        names = [name for name in frame.collect_schema().names() if name != "class_id"]
    return names


def _one_factor(data: Any) -> str:
    return "f =~ " + " + ".join(_item_names(data))


def _chain(data: Any) -> str:
    """Return a path model: each item on the one before it."""
    names = _item_names(data)
    return "; ".join(f"{second} ~ {first}" for first, second in zip(names, names[1:], strict=False)) or "q2 ~ q1"


ESTIMATORS = [
    Estimator("moments", rm.moments),
    Estimator("moments pairwise", lambda d: rm.moments(d, missing="pairwise")),
    Estimator("moments fiml", lambda d: rm.moments(d, missing="fiml")),
    Estimator("alpha", rm.alpha),
    Estimator("alpha pairwise", lambda d: rm.alpha(d, missing="pairwise")),
    Estimator("omega", rm.omega),
    Estimator("omega observed", lambda d: rm.omega(d, denominator="observed")),
    Estimator("guttman", rm.guttman),
    Estimator("split_half", rm.split_half),
    Estimator("spearman_brown", rm.spearman_brown, items=2),
    Estimator("item_analysis", rm.item_analysis),
    Estimator("standard_error_of_measurement", rm.standard_error_of_measurement),
    Estimator("kmo", rm.kmo),
    Estimator("bartlett", rm.bartlett),
    Estimator("efa", lambda d: rm.efa(d, 1)),
    Estimator("efa ml", lambda d: rm.efa(d, 2, method="ml")),
    Estimator("efa pairwise", lambda d: rm.efa(d, 1, missing="pairwise")),
    Estimator("efa fiml", lambda d: rm.efa(d, 1, missing="fiml", se=True)),
    Estimator("efa ordered", lambda d: rm.efa(d, 1, ordered=True)),
    Estimator("n_factors", lambda d: rm.n_factors(d, n_replications=20)),
    Estimator("n_factors ordered", lambda d: rm.n_factors(d, ordered=True, n_replications=5)),
    Estimator("polychoric", rm.polychoric),
    Estimator("correlations", rm.correlations),
    Estimator("ordinal_reliability", rm.ordinal_reliability),
    Estimator("cfa", lambda d: rm.cfa(_one_factor(d), d)),
    Estimator("cfa fiml", lambda d: rm.cfa(_one_factor(d), d, missing="fiml", estimator="MLR")),
    Estimator("cfa ordered", lambda d: rm.cfa(_one_factor(d), d, ordered=True)),
    Estimator("cfa in groups", lambda d: rm.cfa(_one_factor(d), d, group="class_id"), clustered=True, clusters=2),
    Estimator("cfa clusters", lambda d: rm.cfa(_one_factor(d), d, cluster="class_id"), clustered=True),
    Estimator("sem", lambda d: rm.sem(_chain(d), d)),
    Estimator("invariance", lambda d: rm.invariance(_one_factor(d), d, group="class_id"), clustered=True, clusters=2),
    Estimator("icc", lambda d: icc(d, cluster="class_id"), items=1, clustered=True),
    Estimator("agreement", lambda d: agreement(d, cluster="class_id", minimum=1, maximum=5), clustered=True),
]

INSTRUMENT = rm.load_instrument("relationship-student")

BOUND = [
    Estimator("check", lambda d: check(INSTRUMENT, d)),
    Estimator("key_check", lambda d: rm.key_check(INSTRUMENT, d)),
    Estimator("cfa of an instrument", lambda d: rm.cfa(INSTRUMENT, d, scales=["care"], estimator="WLSMV")),
    Estimator("monitor", lambda d: rm.monitor(INSTRUMENT, d, scales=["care"]), clustered=True),
    Estimator("reliability", lambda d: rm.reliability(INSTRUMENT, d)),
    Estimator("classroom_scores", lambda d: classroom_scores(INSTRUMENT, d, cluster="class_id"), clustered=True),
]

ELSEWHERE = {
    "Estimate": "a result",
    "Instrument": "a definition",
    "MomentEstimate": "a statistic",
    "MomentSums": "a statistic",
    "RelmeasureError": "an error",
    "RelmeasureWarning": "a warning",
    "__version__": "a text",
    "barriers": "takes two frames: tests/studies/test_barriers.py",
    "bind": "gives responses, no result: tests/responses/test_binding.py",
    "careless_responding": "gives the frame back: tests/responses/test_careless.py",
    "dimensionality": "tests/test_structure_checks.py: five fits a call are too long for six engines",
    "generalizability": "takes one value in long form: tests/multilevel/test_generalizability.py",
    "interrater": "takes raters as columns: tests/multilevel/test_raters.py",
    "list_instruments": "takes no data",
    "load_instrument": "takes no data",
    "mediation": "takes two frames: tests/studies/test_mediation.py",
    "perception_gap": "takes two frames: tests/studies/test_perception.py",
    "plan": "takes designs: tests/studies/test_planning.py",
    "practice_trial": "takes lessons: tests/studies/test_trials.py",
    "reciprocity": "takes waves: tests/studies/test_cycle.py",
    "score": "gives the frame back: the last test of this file",
    "simulate": "takes no data",
}
"""Public names that are not called here, and why."""


def test_every_public_estimator_keeps_the_contract() -> None:
    """A new public name joins the lists above, or says where it is tested."""
    called = {estimator.name.split()[0] for estimator in (*ESTIMATORS, *BOUND)}
    assert called | set(ELSEWHERE) == set(rm.__all__)
    assert not called & set(ELSEWHERE)


def _named(estimators: list[Estimator]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("estimator", [pytest.param(e, id=e.name) for e in estimators])


def _columns(
    items: int, *, clustered: bool = False, clusters: int = 12, missing: bool = True, seed: int = 4
) -> dict[str, list[Any]]:
    """Correlated answers 1 to 5 of 120 students in classes, some missing."""
    rng = np.random.default_rng(seed)
    trait = rng.normal(size=120) + 0.5 * np.repeat(rng.normal(size=12), 10)
    size = 120 // clusters
    columns: dict[str, list[Any]] = {"class_id": [f"c{k // size:02d}" for k in range(120)]} if clustered else {}
    for k in range(items):
        answers = np.clip(np.rint(3 + trait + rng.normal(size=120)), 1, 5).astype(int).tolist()
        if missing:
            answers[7 * k + 3] = None
        columns[f"q{k + 1}"] = answers
    return columns


def _school(*, missing: float = 0.03) -> Any:
    return rm.simulate(INSTRUMENT, n_clusters=12, cluster_size=20, missing=missing, rng=6)


def _school_columns(frame: Any) -> dict[str, list[Any]]:
    plain = frame.astype(object).where(frame.notna(), None)
    return {name: plain[name].to_list() for name in plain}


def _quiet(estimator: Estimator, data: Any) -> Any:
    """Call without minding our own warnings: what they say is tested where they belong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelmeasureWarning)
        return estimator.call(data)


# --------------------------------------------------------------------------- same answer
@_named(ESTIMATORS)
def test_every_engine_gives_the_same_answer(estimator: Estimator, constructor: Constructor) -> None:
    """pandas, nullable pandas, Polars, Arrow, lazy Polars, DuckDB."""
    columns = _columns(estimator.items, **estimator.nesting)
    reference = _quiet(estimator, CONSTRUCTORS["pandas"](columns))
    assert _quiet(estimator, constructor(columns)).equals(reference, rtol=ENGINE_TOLERANCE, atol=1e-12)


@_named(BOUND)
def test_every_engine_gives_the_same_answer_through_an_instrument(
    estimator: Estimator, constructor: Constructor
) -> None:
    """The same for functions that take an instrument."""
    columns = _school_columns(_school())
    reference = _quiet(estimator, CONSTRUCTORS["pandas"](columns))
    assert _quiet(estimator, constructor(columns)).equals(reference, rtol=ENGINE_TOLERANCE, atol=1e-12)


@_named([e for e in ESTIMATORS if e.clusters != 2])  # groups keep their order of appearance, as R users expect
def test_row_order_does_not_matter(estimator: Estimator) -> None:
    """Shuffled rows."""
    columns = _columns(estimator.items, **estimator.nesting)
    order = np.random.default_rng(1).permutation(120)
    shuffled = {name: [values[i] for i in order] for name, values in columns.items()}
    first, second = (_quiet(estimator, CONSTRUCTORS["pandas"](c)) for c in (columns, shuffled))
    assert second.equals(first, rtol=1e-6, atol=1e-8)


@_named([e for e in ESTIMATORS if not e.clustered and "pairwise" not in e.name])
def test_arrays_are_frames_without_names(estimator: Estimator) -> None:
    """A NumPy array gives the numbers of the frame."""
    columns = _columns(estimator.items)
    array = np.array([[np.nan if v is None else v for v in values] for values in columns.values()]).T
    named = {f"x{k + 1}": values for k, values in enumerate(columns.values())}
    reference = _quiet(estimator, CONSTRUCTORS["pandas"](named))
    assert _quiet(estimator, array).equals(reference, rtol=ENGINE_TOLERANCE, atol=1e-12)


# --------------------------------------------------------------------------- good manners
@_named([*ESTIMATORS, *BOUND])
def test_the_input_is_never_changed(estimator: Estimator) -> None:
    """Values, dtypes, column names and index stay as they were."""
    if estimator in BOUND:
        frame = _school()
    else:
        frame = CONSTRUCTORS["pandas"](_columns(estimator.items, **estimator.nesting))
    frame.index = [k // 2 for k in range(len(frame))]
    before = frame.copy(deep=True)
    _quiet(estimator, frame)
    assert frame.equals(before)
    assert list(frame.dtypes) == list(before.dtypes)
    assert list(frame.index) == list(before.index)


@_named([*ESTIMATORS, *BOUND])
def test_results_are_frozen_and_come_back_from_dict_and_pickle(estimator: Estimator) -> None:
    """JSON holds them; pickling keeps them; nobody assigns to them; frames keep their columns."""
    data = _school() if estimator in BOUND else CONSTRUCTORS["pandas"](_columns(estimator.items, **estimator.nesting))
    result = _quiet(estimator, data)
    assert isinstance(result, Result)
    restored = type(result).from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False)))
    assert restored.equals(result)
    assert pickle.loads(pickle.dumps(result)).equals(result)
    assert list(restored.to_frame().columns) == list(result.to_frame().columns)
    assert result.summary()
    assert result._repr_html_().startswith("<")
    with pytest.raises(AttributeError):
        vars(type(result))["__setattr__"](result, next(iter(vars(result))), None)


@_named([*ESTIMATORS, *BOUND])
def test_every_warning_stays_in_the_result(estimator: Estimator) -> None:
    """What was said while computing can be read later."""
    data = _school() if estimator in BOUND else CONSTRUCTORS["pandas"](_columns(estimator.items, **estimator.nesting))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RelmeasureWarning)
        result = estimator.call(data)
    said = {w.message.message for w in caught if isinstance(w.message, RelmeasureWarning)}
    kept = {note.message for note in getattr(result, "warnings", getattr(result, "notes", ()))}
    assert said <= kept
    assert all(w.filename == __file__ for w in caught if isinstance(w.message, RelmeasureWarning))


# --------------------------------------------------------------------------- nonsense
NONSENSE = {
    "text": lambda c: {**c, list(c)[-1]: ["often"] * 120},
    "dates": lambda c: {**c, list(c)[-1]: [np.datetime64("2026-01-01")] * 120},
    "infinite": lambda c: {**c, list(c)[-1]: [np.inf] + [1.0] * 119},
}


@pytest.mark.parametrize("nonsense", NONSENSE)
@_named([e for e in ESTIMATORS if e.name not in {"item_analysis"}])
def test_columns_that_are_not_answers_are_refused(estimator: Estimator, nonsense: str) -> None:
    """Text, dates and infinite values raise a typed error."""
    columns = NONSENSE[nonsense](_columns(estimator.items, **estimator.nesting, missing=False))
    with pytest.raises(RelmeasureError):
        _quiet(estimator, CONSTRUCTORS["pandas"](columns))


def _all_missing(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {name: v if name == "class_id" else [np.nan] * len(v) for name, v in columns.items()}


def _constant(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {name: v if name == "class_id" else [3.0] * len(v) for name, v in columns.items()}


@pytest.mark.parametrize("make", [_all_missing, _constant])
@_named([e for e in ESTIMATORS if "moments" not in e.name])
def test_nothing_to_estimate_is_said(estimator: Estimator, make: Callable[[Any], Any]) -> None:
    """All missing or all the same: a typed error, or no estimate with its reason; never a number."""
    data = CONSTRUCTORS["pandas"](make(_columns(estimator.items, **estimator.nesting)))
    try:
        result = _quiet(estimator, data)
    except (DataError, EstimationError):
        return
    if estimator.name in {"item_analysis", "agreement"}:  # descriptive: they describe a constant as it is
        return
    values = np.ravel(result.to_frame().select_dtypes("number").to_numpy(dtype=float))
    reason = getattr(result, "reason", None)
    assert reason or np.isnan(values).any(), f"{estimator.name} gave {values} for nothing"


@pytest.mark.parametrize("data", [None, "answers.csv", {"q1": [1, 2]}, 3, [object()]])
@_named([e for e in ESTIMATORS if not e.clustered])
def test_things_that_are_not_data_are_refused(estimator: Estimator, data: Any) -> None:
    """None, a path, a dict, a number, objects."""
    with pytest.raises(RelmeasureError):
        _quiet(estimator, data)


@_named([e for e in ESTIMATORS if e.items > 1 and not e.clustered and "moments" not in e.name])
def test_one_item_is_an_error_or_has_a_reason(estimator: Estimator) -> None:
    """Pitfall 4.8: nothing is made up from one item."""
    data = CONSTRUCTORS["pandas"](_columns(1, missing=False))
    try:
        result = _quiet(estimator, data)
    except (DataError, EstimationError):
        return
    frame = result.to_frame()
    assert getattr(result, "reason", None) or frame.isna().to_numpy().any()


@_named(BOUND)
def test_unknown_codes_and_missing_columns_through_an_instrument(estimator: Estimator) -> None:
    """A 99 is an error or a failed check; an absent item is named."""
    bad = _school(missing=0.0)
    bad.loc[3, "care_1"] = 99
    if estimator.name == "check":
        assert _quiet(estimator, bad).status.level == "failed"
    else:
        with pytest.raises(UnknownCodeError, match="care_1"):
            _quiet(estimator, bad)
    with pytest.raises(RelmeasureError, match="care_2"):
        _quiet(estimator, _school().drop(columns="care_2"))


def test_scores_keep_the_contract(constructor: Constructor) -> None:
    """score() gives the frame back: same library, same rows, same columns first, nothing changed."""
    columns = _school_columns(_school())
    data = constructor(columns)
    scored = rm.score(INSTRUMENT, data)
    assert type(scored) is type(data)
    names = list(to_columns(scored))
    assert names[: len(columns)] == list(columns)
    assert names[len(columns) :][:3] == ["care", "care_n_valid", "care_missing_reason"]
    if constructor in (CONSTRUCTORS["pandas"], CONSTRUCTORS["polars"], CONSTRUCTORS["pyarrow"]):
        assert to_columns(scored)["student_id"] == columns["student_id"]
    reference = to_columns(rm.score(INSTRUMENT, CONSTRUCTORS["pandas"](columns)))
    place = {student: k for k, student in enumerate(reference["student_id"])}
    found = to_columns(scored)
    for name in names[len(columns) :]:
        for student, value in zip(found["student_id"], found[name], strict=True):
            assert value == reference[name][place[student]]
