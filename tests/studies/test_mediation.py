"""Chains between classes: recovery, identities, waves, draws, words, nonsense."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from relmeasure.exceptions import (
    ColumnCollisionError,
    ColumnNotFoundError,
    DataError,
    OptionError,
    TooFewObservationsError,
)
from relmeasure.studies.mediation import MediationResult, mediation
from tests.studies.test_cycle_words import guard
from tests.support import Constructor

CALL: dict[str, Any] = {
    "cluster": "teacher_id",
    "predictor": "care",
    "mediators": ["confidence", "thinking"],
    "outcomes": ["engagement", "strain"],
}


def make(teachers: int = 250, seed: int = 1, halo: float = 0.6) -> tuple[Any, Any]:
    """Chain care -> confidence .5, confidence -> thinking .5, care -> thinking .2, thinking -> engagement .4."""
    import pandas as pd

    rng = np.random.default_rng(seed)
    care = rng.normal(size=teachers)
    confidence = 0.5 * care + 0.8 * rng.normal(size=teachers)
    thinking = 0.5 * confidence + 0.2 * care + 0.7 * rng.normal(size=teachers)
    engagement = 0.4 * thinking + 0.8 * rng.normal(size=teachers)
    home = np.repeat(np.arange(teachers), 18)
    noise = rng.multivariate_normal(np.zeros(3), 5.0 * (np.eye(3) * (1 - halo) + halo), len(home))
    answers = np.column_stack([care, thinking, engagement])[home] + noise
    students = pd.DataFrame(answers, columns=["care", "thinking", "engagement"]).assign(teacher_id=home)
    own = {"teacher_id": np.arange(teachers), "confidence": confidence}
    return students, pd.DataFrame(own | {"strain": -0.3 * confidence + rng.normal(size=teachers)})


@pytest.fixture(scope="module")
def result() -> MediationResult:
    """One call with draws."""
    students, teachers = make()
    return mediation(students, **CALL, teachers=teachers, n_boot=200)


def test_all_paths_add_up(result: MediationResult) -> None:
    """Total is direct plus every indirect path; a path is the product of its weights."""
    frame = result.to_frame()
    for (_, _), rows in frame.groupby(["outcome", "corrected"]):
        value = rows.set_index(["kind", "path"])["estimate"]
        assert value["total"].iloc[0] == pytest.approx(value["direct"].iloc[0] + value["indirect"].sum())
        assert value["total indirect"].iloc[0] == pytest.approx(value["indirect"].sum())
        assert len(value["indirect"]) == 3
    links = result.paths.to_frame().query("corrected").set_index(["outcome", "predictor"])["estimate"]
    product = links["confidence", "care"] * links["thinking", "confidence"] * links["engagement", "thinking"]
    rows = frame.query("corrected and outcome == 'engagement'").set_index("path")["estimate"]
    assert rows["care -> confidence -> thinking -> engagement"] == pytest.approx(product)


def test_total_is_the_slope_without_mediators(result: MediationResult) -> None:
    """With the chain saturated, the total association is the slope of the outcome on the predictor alone."""
    from relmeasure.studies.cycle import reciprocity

    students, _ = make()
    alone = reciprocity(students, cluster="teacher_id", relationship="care", practices=["engagement"], n_splits=0)
    slope = alone.to_frame().query("not corrected")["estimate"].iloc[0]
    total = result.to_frame().query("outcome == 'engagement' and kind == 'total' and not corrected")["estimate"].iloc[0]
    assert total == pytest.approx(slope, rel=1e-6)


def test_chains_are_recovered_where_uncorrected_ones_are_not() -> None:
    """Mean over seeded samples against the design: .5 * .5 * .4, and none around confidence."""
    found = []
    for seed in range(12):
        students, teachers = make(seed=seed + 20)
        frame = mediation(students, **(CALL | {"outcomes": ["engagement"]}), teachers=teachers, n_boot=0).to_frame()
        found.append(frame.set_index(["corrected", "path", "kind"])["estimate"])
    mean = sum(found[1:], found[0]) / len(found)
    assert mean[True, "care -> confidence -> thinking -> engagement", "indirect"] == pytest.approx(0.10, abs=0.02)
    assert mean[True, "care -> thinking -> engagement", "indirect"] == pytest.approx(0.08, abs=0.025)
    assert mean[True, "care -> engagement", "direct"] == pytest.approx(0.0, abs=0.05)
    assert mean[False, "care -> thinking -> engagement", "indirect"] > 0.11


def test_delta_method_agrees_with_draws(result: MediationResult) -> None:
    students, teachers = make()
    delta = mediation(students, **CALL, teachers=teachers, n_boot=0).to_frame()
    drawn = result.to_frame()
    assert (delta["interval"] == "delta method").all()
    assert (drawn["n_draws"] == 200).all()
    assert np.abs(np.log(drawn["se"] / delta["se"])).max() < 0.35
    np.testing.assert_allclose(drawn["estimate"], delta["estimate"], rtol=1e-12)


def test_seed_workers_and_order_of_rows() -> None:
    students, teachers = make(80)
    first = mediation(students, **CALL, teachers=teachers, n_boot=60, rng=4)
    assert first.equals(mediation(students, **CALL, teachers=teachers, n_boot=60, rng=4, workers=2))
    shuffled = mediation(
        students.sample(frac=1, random_state=1), **CALL, teachers=teachers.iloc[::-1], n_boot=60, rng=4
    )
    assert shuffled.table.equals(first.table, rtol=1e-5, atol=1e-7)
    seen: list[tuple[int, int]] = []
    mediation(students, **CALL, teachers=teachers, n_boot=60, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (240, 240)


def test_every_engine_gives_the_same(constructor: Constructor) -> None:
    students, teachers = make(60)
    wanted = mediation(students, **CALL, teachers=teachers, n_boot=0)
    data = constructor({name: students[name].to_list() for name in students})
    own = constructor({name: teachers[name].to_list() for name in teachers})
    assert mediation(data, **CALL, teachers=own, n_boot=0).table.equals(wanted.table, rtol=1e-6, atol=1e-9)


def _waves() -> tuple[Any, Any]:
    import pandas as pd

    parts = [make(120, seed=w) for w in (1, 2, 3)]
    students = pd.concat([s.assign(wave=w) for w, (s, _) in enumerate(parts, start=1)])
    return students, pd.concat([t.assign(wave=w) for w, (_, t) in enumerate(parts, start=1)])


def test_fewer_than_three_waves_are_cross_sectional(result: MediationResult) -> None:
    """Labelled, in the result and in words; three waves in the chain are longitudinal, own earlier values held equal."""
    assert result.design == "cross-sectional"
    assert result.summary().startswith("Cross-sectional: the chain passes fewer than three waves")
    students, teachers = _waves()
    call = CALL | {"wave": "wave", "mediators": ["confidence"], "outcomes": ["thinking"], "n_boot": 0}
    three = mediation(students, **call, teachers=teachers)
    assert three.design == "longitudinal"
    assert three.order == {"care": "1", "confidence": "2", "thinking": "3"}
    kinds = three.paths.to_frame().set_index(["outcome", "predictor"])["order"]
    assert set(kinds["confidence", "confidence (earlier)"]) == {"own earlier value"}
    assert set(kinds["thinking", "confidence"]) == {"earlier wave"}
    free = mediation(students, **call, teachers=teachers, adjust=False)
    assert "confidence (earlier)" not in set(free.paths["predictor"])
    two = mediation(students[students["wave"] < 3], **call, teachers=teachers)
    assert two.design == "cross-sectional"
    placed = mediation(students, **call, teachers=teachers, waves={"confidence": 1})
    assert (placed.order["confidence"], placed.design) == ("1", "cross-sectional")


def test_reliability_of_teachers_scores_takes_their_error_out() -> None:
    """A known reliability strengthens the link to a score that is measured with error."""
    students, teachers = make(400)
    noisy = teachers.assign(confidence=teachers["confidence"] + 0.6 * np.random.default_rng(0).normal(size=400))
    share = float(teachers["confidence"].var() / noisy["confidence"].var())
    call = CALL | {"outcomes": ["engagement"], "n_boot": 0}
    path = "corrected and path == 'care -> confidence -> thinking -> engagement'"

    def estimate(own: Any, **options: Any) -> float:
        return float(mediation(students, **call, teachers=own, **options).to_frame().query(path)["estimate"].iloc[0])

    clean, left, taken = estimate(teachers), estimate(noisy), estimate(noisy, reliability={"confidence": share})
    assert left < 0.8 * clean
    assert taken == pytest.approx(clean, abs=0.03)


def test_schools_and_missing_teachers() -> None:
    """Teachers who did not answer stay in by full information, but carry no chain; schools are drawn whole."""
    students, teachers = make(120)
    gaps = teachers.iloc[10:].assign(strain=teachers["strain"].where(teachers.index % 7 > 0))
    found = mediation(
        students.assign(school=students["teacher_id"] // 4), **CALL, teachers=gaps, school="school", n_boot=40
    )
    frame = found.to_frame().query("reason.isna()").groupby("outcome")["n_classes"]
    assert frame.unique().map(list).to_dict() == {"engagement": [110], "strain": [int(gaps["strain"].notna().sum())]}
    assert found.provenance is not None
    assert found.provenance.rule.startswith("120 classes, full information")
    assert found.status.level == "ok"


def test_words(result: MediationResult) -> None:
    """Association by way of, never cause."""
    text = result.summary()
    assert guard(text) == []
    assert "by way of confidence and thinking" in text
    assert text.endswith("they do not show what causes what.")


def test_round_trip(result: MediationResult) -> None:
    assert MediationResult.from_dict(json.loads(json.dumps(result.to_dict()))).equals(result)


def test_nonsense_is_named() -> None:
    """Columns, places in the chain, waves, reliabilities, teachers twice or unknown."""
    import pandas as pd

    students, teachers = make(60)
    with pytest.raises(ColumnNotFoundError, match="confidenc"):
        mediation(students, **(CALL | {"mediators": ["confidenc"]}), teachers=teachers)
    with pytest.raises(ColumnCollisionError, match="both frames: care"):
        mediation(students, **CALL, teachers=teachers.assign(care=1.0))
    with pytest.raises(OptionError, match="twice"):
        mediation(students, **(CALL | {"outcomes": ["care"]}), teachers=teachers)
    with pytest.raises(OptionError, match="list of score columns"):
        mediation(students, **(CALL | {"mediators": "thinking"}), teachers=teachers)
    with pytest.raises(OptionError, match="at least one"):
        mediation(students, **(CALL | {"outcomes": []}), teachers=teachers)
    with pytest.raises(OptionError, match="at most three"):
        mediation(students, **(CALL | {"mediators": list("abcd")}), teachers=teachers)
    with pytest.raises(OptionError, match="n_boot=1"):
        mediation(students, **CALL, teachers=teachers, n_boot=1)
    with pytest.raises(OptionError, match="reliability"):
        mediation(students, **CALL, teachers=teachers, reliability={"care": 0.8})
    with pytest.raises(DataError, match="two rows in one wave"):
        mediation(students, **CALL, teachers=pd.concat([teachers, teachers]))
    with pytest.raises(DataError, match="No teacher"):
        mediation(students, **CALL, teachers=teachers.assign(teacher_id=teachers["teacher_id"] + 1000))
    own = teachers.assign(care=1.0, thinking=2.0, engagement=3.0)
    with pytest.raises(DataError, match="class mean"):
        mediation(students[["teacher_id"]], **CALL, teachers=own)
    both, own = _waves()
    with pytest.raises(OptionError, match="before it in time"):
        mediation(both, **CALL, teachers=own, wave="wave", waves={"confidence": 3, "thinking": 1})
    with pytest.raises(OptionError, match="the waves are 1, 2, 3"):
        mediation(both, **CALL, teachers=own, wave="wave", waves={"confidence": 9})


def test_who_carries_a_chain_and_one_school() -> None:
    """N is of classes that have every score of the chain; errors over one school cannot be had."""
    students, teachers = make(90)
    some = teachers[teachers["teacher_id"] < 60]
    frame = mediation(students, **CALL, teachers=some, n_boot=0).to_frame()
    assert set(frame.loc[frame["path"].str.contains("confidence"), "n_classes"]) == {60}
    with pytest.raises(TooFewObservationsError, match=r"One school \('s1'\) in these 90 classes"):
        mediation(students.assign(school="s1"), **CALL, teachers=teachers, school="school", n_boot=0)
