"""Barriers by group of teachers: who is where, what is shown, and what an attacker can compute."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import relmeasure as rm
from relmeasure.exceptions import DataError, EstimationError, OptionError, UnknownCodeError
from relmeasure.studies.barriers import EVERYONE, FOCUS, GROUPS, BarrierTable, barriers
from tests.studies.test_cycle_words import guard
from tests.support import Constructor

FORM = rm.load_instrument("supports-teacher")
CALL: dict[str, Any] = {"cluster": "teacher_id", "relationship": "care", "practices": ["thinking", "monitoring"]}


def make(teachers: int = 80, *, seed: int = 1, own: bool = False) -> tuple[Any, Any]:
    """Teachers' answers, and ratings of their students; ``own``: some have supports already, some skip items."""
    import pandas as pd

    rng = np.random.default_rng(seed)
    answers = rm.simulate(FORM, n_clusters=teachers, cluster_size=1, rng=seed).astype(
        dict.fromkeys(FORM.item_ids, object)
    )
    answers["teacher_id"] = np.arange(teachers)
    if own:
        for item in FORM.item_ids:
            if item.startswith("need"):
                answers.loc[rng.random(teachers) < 0.5, item] = 8
            answers.loc[rng.random(teachers) < 0.1, item] = None
    true = rng.multivariate_normal(np.zeros(3), 0.6 * np.eye(3) + 0.4, teachers)
    home = np.repeat(np.arange(teachers), 20)
    ratings = true[home] + rng.normal(size=(len(home), 3))
    return answers, pd.DataFrame(ratings, columns=["care", "thinking", "monitoring"]).assign(teacher_id=home)


def _call(answers: Any, students: Any) -> BarrierTable:
    return barriers(FORM, answers, students=students, **CALL)


@pytest.fixture(scope="module")
def found() -> BarrierTable:
    """Eighty teachers, all shown."""
    return _call(*make())


def test_groups_and_means_by_hand(found: BarrierTable) -> None:
    """Medians of expected scores; with equal classes these order as class means do."""
    answers, students = make()
    means = students.groupby("teacher_id").mean()
    practice = sum(means[name] / means[name].std() for name in ("thinking", "monitoring"))
    high = means["care"] > means["care"].median()
    place = found.groups.to_frame().set_index("group")
    assert place["n_teachers"].sum() == 80
    assert place.loc[[GROUPS[True, True], FOCUS], "n_teachers"].sum() == 40
    near = high & (practice < practice.median())
    assert abs(place.loc[FOCUS, "n_teachers"] - near.sum()) <= 4  # expected scores borrow from each other
    everyone = found.to_frame().query("group == @EVERYONE").set_index("id")
    assert everyone.loc["time_1", "mean"] == pytest.approx(answers["time_1"].astype(float).mean())
    assert everyone.loc["time_1", "share"] == pytest.approx((answers["time_1"].astype(float) >= 4).mean())
    assert everyone.loc["time", "mean"] == pytest.approx(
        answers[[f"time_{k}" for k in range(1, 6)]].astype(float).mean(axis=1).mean()
    )
    assert set(found.table["kind"]) == {"area", "barrier", "support"}


def test_groups_add_up(found: BarrierTable) -> None:
    """The total is the weighted mean of the groups."""
    frame = found.to_frame()
    for item in ("dir_2", "need_5"):
        rows = frame[frame["id"] == item].set_index("group")
        parts = rows.drop(index=EVERYONE)
        assert (parts["mean"] * parts["n"]).sum() / parts["n"].sum() == pytest.approx(rows.loc[EVERYONE, "mean"])


def test_being_sure_grows_with_students() -> None:
    """More students a class: a group is told more surely; certainty lies between a quarter and one."""
    answers, many = make()
    few = many.groupby("teacher_id").head(5)
    sure = [np.mean(barriers(FORM, answers, students=s, **CALL).groups["sure"]) for s in (few, many)]
    assert 0.25 < sure[0] < sure[1] < 1


def test_being_sure_is_a_probability() -> None:
    """The share of classes whose true place is the one given agrees with what was said of it."""
    from relmeasure.panel.error_moments import class_means
    from relmeasure.panel.latent_moments import latent_moments, problem_of
    from relmeasure.panel.standing import standing_of

    rng = np.random.default_rng(3)
    true = rng.multivariate_normal([0, 0], [[1.0, 0.5], [0.5, 1.0]], 2000)
    home = np.repeat(np.arange(2000), 10)
    ratings = true[home] + rng.multivariate_normal([0, 0], [[6.0, 3.6], [3.6, 6.0]], len(home))
    means = class_means(ratings, home, tuple(map(str, range(2000))), ("care", "thinking"))
    place = standing_of(problem_of(means), latent_moments(means))
    right = ((true > 0) == place.high).all(axis=1)
    assert right.mean() == pytest.approx(place.sure.mean(), abs=0.03)
    for low, high in ((0.3, 0.5), (0.5, 0.7), (0.7, 1.0)):
        part = (place.sure >= low) & (place.sure < high)
        assert right[part].mean() == pytest.approx(place.sure[part].mean(), abs=0.05)


def _attack(table: Any, minimum: int) -> None:
    """From published means and the total of an item, nobody learns a sum over fewer teachers than the minimum."""
    for _, rows in table.groupby("id"):
        parts = rows[rows["group"] != EVERYONE]
        assert (parts.loc[parts["status"] == "shown", "n"] >= minimum).all()
        total = rows[rows["group"] == EVERYONE].iloc[0]
        hidden = (parts["status"] == "suppressed").sum()
        assert parts.loc[parts["status"] == "suppressed", ["n", "mean", "se", "share"]].isna().all(axis=None)
        if total["status"] == "shown" and hidden:
            rest = total["n"] - parts["n"].sum()
            assert hidden >= 2
            assert rest >= minimum


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("teachers", [14, 22, 30, 44])
def test_nobody_is_told_by_subtraction(teachers: int, seed: int) -> None:
    """Also where half of the teachers have a support already, so that few values stand behind an item."""
    answers, students = make(teachers, seed=seed, own=True)
    try:
        result = barriers(FORM, answers, students=students, **CALL)
    except EstimationError:
        return
    _attack(result.to_frame(), 6)
    shares = result.to_frame().query("status == 'suppressed'")
    assert shares["mean"].isna().all()


def _without_wording(text: str) -> str:
    for item in FORM.items:
        text = text.replace(item.text["en"] if item.text else "", "")
    return text


def test_few_teachers_are_hidden_and_said() -> None:
    """A caution, a sentence, and no number of the group."""
    answers, students = make(26, own=True)
    result = barriers(FORM, answers, students=students, **CALL)
    assert result.status.level in ("caution", "failed")
    text = result.summary()
    if FOCUS in {r["group"] for r in result.groups.rows() if r["status"] == "suppressed"}:
        assert f"'{FOCUS}' is not shown" in text
    assert guard(_without_wording(text)) == []


def test_supports_that_exist_are_counted_apart() -> None:
    answers, students = make(80, own=True)
    frame = barriers(FORM, answers, students=students, **CALL).to_frame()
    row = frame.query("group == @EVERYONE and id == 'need_3'").iloc[0]
    codes = answers["need_3"].dropna().astype(int)
    assert row["already"] == pytest.approx((codes == 8).mean())
    assert row["mean"] == pytest.approx(codes[codes != 8].mean())
    assert frame.query("kind == 'barrier'")["already"].isna().all()


def test_top_is_sorted_and_words_are_guarded(found: BarrierTable) -> None:
    shares = found.top()["share"]
    assert list(shares) == sorted(shares, reverse=True)
    assert len(shares) == 5
    assert guard(_without_wording(found.summary())) == []
    assert BarrierTable.from_dict(json.loads(json.dumps(found.to_dict()))).equals(found)


def test_every_engine_gives_the_same(constructor: Constructor) -> None:
    answers, students = make(50)
    wanted = barriers(FORM, answers, students=students, **CALL)
    own = constructor({name: answers[name].to_list() for name in answers})
    data = constructor({name: students[name].to_list() for name in students})
    assert barriers(FORM, own, students=data, **CALL).table.equals(wanted.table, rtol=1e-9, atol=1e-12)


def test_teachers_without_students_are_in_no_total() -> None:
    """Their answers change nothing, so no difference of totals tells about them."""
    answers, students = make(60)
    fewer = students[students["teacher_id"] < 55]
    with_all = barriers(FORM, answers, students=fewer, **CALL)
    assert with_all.table.equals(barriers(FORM, answers[answers["teacher_id"] < 55], students=fewer, **CALL).table)


def test_nonsense_is_named() -> None:
    import pandas as pd

    answers, students = make(40)
    with pytest.raises(OptionError, match="list of score columns"):
        barriers(FORM, answers, students=students, **(CALL | {"practices": "thinking"}))
    with pytest.raises(OptionError, match="twice"):
        barriers(FORM, answers, students=students, **(CALL | {"practices": ["care"]}))
    with pytest.raises(OptionError, match="min_disclose=0"):
        barriers(FORM, answers, students=students, **CALL, min_disclose=0)
    with pytest.raises(DataError, match="two rows"):
        barriers(FORM, pd.concat([answers, answers]), students=students, **CALL)
    with pytest.raises(UnknownCodeError):
        barriers(FORM, answers.assign(time_1=7), students=students, **CALL)
    noise = np.random.default_rng(0).normal(size=(len(students), 3))
    with pytest.raises(EstimationError, match="cannot be placed"):
        barriers(
            FORM,
            answers,
            students=students.assign(care=noise[:, 0], thinking=noise[:, 1], monitoring=noise[:, 2]),
            **CALL,
        )


def test_students_do_not_count_twice() -> None:
    """A second row would halve the error of a class mean; where students are named it is refused."""
    answers, students = make()
    students["student_id"] = np.arange(len(students))
    twice = type(students)(students.loc[students.index.repeat(2)])
    with pytest.raises(DataError, match="1600 students have more than one row"):
        _call(answers, twice)
    assert _call(answers, students).groups.equals(_call(*make()).groups)
