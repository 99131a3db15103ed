"""Monitoring: numbers by their formulas, words by their rules, false alarms and ranks against known truth."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relmeasure.exceptions import ColumnNotFoundError, DataError, LevelError, OptionError
from relmeasure.instruments import Instrument, load_instrument
from relmeasure.responses.groups import GroupSums
from relmeasure.scoring import score
from relmeasure.simulation import simulate
from relmeasure.studies.class_changes import changes_of
from relmeasure.studies.class_waves import ClassWave, Gates
from relmeasure.studies.classrooms import classroom_scores
from relmeasure.studies.monitoring import MonitorResult, benjamini_hochberg, monitor, rank_intervals
from tests.support import Constructor


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    """Four scales of six items."""
    return load_instrument("relationship-student")


@pytest.fixture(scope="module")
def answers(instrument: Instrument) -> Any:
    """Forty classes of 4 to 28 students, the same ones in fall and spring."""
    return simulate(
        instrument,
        n_clusters=40,
        cluster_size=(4, 28),
        icc=0.4,
        waves=["1 fall", "2 spring"],
        stability=(0.7, 0.6),
        missing=0.03,
        rng=3,
    )


OPTIONS: dict[str, Any] = {"wave": "wave", "scales": ["care", "trust"], "standard": 2.4}


def _phi(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


# --------------------------------------------------------------------------- numbers
def test_scores_are_those_of_classroom_scores(instrument: Instrument, answers: Any) -> None:
    """Mean, error, shrunken score and what is hidden agree; p and probability follow from them."""
    result = monitor(instrument, answers, **OPTIONS)
    scores = classroom_scores(instrument, answers, wave="wave", scales=["care", "trust"])
    expected = {(r["wave"], r["cluster"], r["scale"]): r for r in scores.table.rows()}
    parts = {(r["wave"], r["scale"]): r for r in scores.components.rows()}
    for row in result.table.rows():
        then = expected["2 spring", row["cluster"], row["scale"]]
        before = expected["1 fall", row["cluster"], row["scale"]]
        assert (row["status"] == "suppressed") == (then["status"] == "suppressed")
        if row["status"] == "suppressed":
            numbers = [v for k, v in row.items() if isinstance(v, float)]
            assert all(math.isnan(v) for v in numbers)
            continue
        assert row["mean"] == then["mean"]
        assert row["se"] == pytest.approx(then["se"])
        assert row["shrunken"] == pytest.approx(then["empirical_bayes"])
        assert row["pvalue_below"] == pytest.approx(_phi((row["mean"] - 2.4) / row["se"]))
        tau2 = parts["2 spring", row["scale"]]["tau2"]
        spread = math.sqrt(tau2 * (1 - row["reliability"]))
        assert row["probability_below"] == pytest.approx(_phi((2.4 - row["shrunken"]) / spread))
        if before["status"] == "suppressed":
            assert math.isnan(row["change"])
        else:
            assert row["change"] == pytest.approx(row["mean"] - before["mean"])
            assert row["change_se"] == pytest.approx(math.hypot(row["se"], before["se"]))
            assert row["pvalue_fall"] == pytest.approx(_phi(row["change"] / row["change_se"]))
        assert 1 <= row["rank_lower"] <= row["rank_upper"] <= 40


def test_words_follow_the_rules(instrument: Instrument, answers: Any) -> None:
    """Support only with q at or below the rate in a class that may be reported; a sign elsewhere is 'look again'."""
    result = monitor(instrument, answers, **OPTIONS, fdr=0.1)
    scores = classroom_scores(instrument, answers, wave="wave", scales=["care", "trust"])
    gate = {(r["wave"], r["cluster"], r["scale"]): r["status"] for r in scores.table.rows()}
    seen = set()
    for row in result.table.rows():
        low = gate["2 spring", row["cluster"], row["scale"]] == "low reliability"
        low_before = gate["1 fall", row["cluster"], row["scale"]] != "reportable"
        below, fall = row["qvalue_below"] <= 0.1, row["qvalue_fall"] <= 0.1
        if row["status"] == "support needed":
            assert not low
            assert below or (fall and not low_before)
            assert "below" in row["reason"] or "fell" in row["reason"]
        elif row["status"] == "look again":
            assert row["reason"]
        elif row["status"] == "no sign":
            assert not below
            assert not fall
            assert not row["probability_below"] >= 0.5
            assert not row["pvalue_fall"] <= 0.05
        seen.add(row["status"])
    assert seen == {"support needed", "look again", "no sign", "suppressed"}
    gravest = ["support needed", "look again", "no sign", "suppressed"]
    for row in result.overview.rows():
        mine = [r["status"] for r in result.table.rows() if r["cluster"] == row["cluster"]]
        assert row["status"] == min(mine, key=gravest.index)
        assert bool(row["scales"]) == (row["status"] in gravest[:2])


def test_without_a_standard_the_distribution_decides(instrument: Instrument, answers: Any) -> None:
    """The lowest fifth of true class means, from the components of the classes shown; other shares move it."""
    result = monitor(instrument, answers, wave="wave", scales=["care"])
    (parts,) = [
        r
        for r in classroom_scores(instrument, answers, wave="wave", scales=["care"]).components.rows()
        if r["wave"] == "2 spring"
    ]
    (row,) = result.standards.rows()
    assert "lowest 20%" in row["source"]
    center = np.average(
        [r["shrunken"] for r in result.table.rows() if r["status"] != "suppressed"],
    )
    assert row["standard"] == pytest.approx(center - 0.8416 * math.sqrt(parts["tau2"]), abs=0.05)
    tenth = monitor(instrument, answers, wave="wave", scales=["care"], lowest=0.1).standards["standard"][0]
    assert tenth < row["standard"]
    mixed = monitor(instrument, answers, wave="wave", scales=["care", "trust"], standard={"care": 2.0}).standards
    assert mixed["source"][0] == "stated"
    assert "lowest" in mixed["source"][1]


def test_change_beyond_the_average(instrument: Instrument) -> None:
    """When all classes fall, none falls more than the others; against zero nearly all do."""
    data = simulate(
        instrument, n_clusters=30, cluster_size=25, icc=0.3, waves=2, stability=(1.0, 0.5), change=-0.8, rng=2
    )
    options: dict[str, Any] = {"wave": "wave", "scales": ["care"], "standard": 1.0}
    absolute = monitor(instrument, data, **options).overview["status"]
    relative = monitor(instrument, data, **options, change_against="average").overview["status"]
    assert absolute.count("support needed") > 20
    assert relative.count("support needed") < 5


# --------------------------------------------------------------------------- the same students
def test_the_paired_error_follows_its_formula(instrument: Instrument, answers: Any) -> None:
    """s1/n1 + s2/n2 - 2 c m / (n1 n2), with the covariance within classes of those who answered twice."""
    result = monitor(instrument, answers, **OPTIONS, student="student_id")
    scored: Any = score(instrument, answers, scales=["care"])
    scored["care"] = scored["care"].astype(float)
    shown = {r["cluster"] for r in result.table.rows() if r["scale"] == "care" and not math.isnan(r["change"])}
    wide = scored[scored["class_id"].isin(shown)].pivot(index=["class_id", "student_id"], columns="wave", values="care")
    pairs = wide.dropna().reset_index()
    first, second = pairs["1 fall"], pairs["2 spring"]
    code = np.unique(pairs["class_id"], return_inverse=True)[1]
    count = np.bincount(code)
    off = first - (np.bincount(code, weights=first) / count)[code]
    covariance = float(off @ second) / (count - 1).sum()
    unpaired = {
        r["cluster"]: r["change_se"]
        for r in monitor(instrument, answers, **OPTIONS).table.rows()
        if r["scale"] == "care"
    }
    n = scored.dropna(subset=["care"]).groupby(["wave", "class_id"])["care"].count()
    matched = dict(zip(*np.unique(pairs["class_id"], return_counts=True), strict=True))
    for row in result.table.rows():
        if row["scale"] != "care" or math.isnan(row["change"]):
            continue
        label = row["cluster"]
        share = matched[label] / (n["1 fall", label] * n["2 spring", label])
        assert row["change_se"] ** 2 == pytest.approx(unpaired[label] ** 2 - 2 * covariance * share)
    assert covariance > 0


def test_no_fall_is_found_where_classes_stay(instrument: Instrument) -> None:
    """Classes do not move, students do: the paired interval covers zero at its level, the unpaired one nearly always."""
    data = simulate(
        instrument, n_clusters=150, cluster_size=20, icc=0.3, loading=0.85, waves=2, stability=(1.0, 0.8), rng=21
    )
    options: dict[str, Any] = {"wave": "wave", "scales": ["care"], "standard": 1.0}
    covered = []
    for student in ("student_id", None):
        table = monitor(instrument, data, **options, student=student).to_frame()
        covered.append(((table["change_lower"] <= 0) & (table["change_upper"] >= 0)).mean())
    assert 0.90 <= covered[0] <= 0.985
    assert covered[1] > 0.99


def test_a_student_twice_in_a_wave_is_an_error(instrument: Instrument, answers: Any) -> None:
    """The pair would not be one."""
    import pandas as pd

    twice = pd.concat([answers, answers.iloc[:1]])
    with pytest.raises(
        DataError,
        match=r"1 students have more than one row, such as 'student-\d+' in class_id 'class-01', wave '1 fall'",
    ):
        monitor(instrument, twice, **OPTIONS, student="student_id")


# --------------------------------------------------------------------------- which wave comes first
@pytest.mark.parametrize(
    "labels", [("9", "10"), ("wave 9", "wave 10"), ("Spring 2024", "Fall 2025"), ("1 spring", "2 autumn")]
)
def test_waves_go_by_their_numbers(instrument: Instrument, labels: tuple[str, str]) -> None:
    """As text the later wave would come first, and a fall would be a rise."""
    data = simulate(instrument, n_clusters=12, cluster_size=20, icc=0.3, waves=list(labels), change=-0.8, rng=4)
    result = monitor(instrument, data.assign(wave=data["wave"].astype(str)), wave="wave", scales=["care"])
    assert (result.earlier, result.wave) == labels
    assert np.mean(result.table["change"]) < 0
    assert result.summary().startswith(f"From {labels[0]} to {labels[1]}. ")


def test_waves_that_do_not_say_which_comes_first(instrument: Instrument) -> None:
    """An ordered category says it, or the person who asks; the alphabet does not."""
    data = simulate(instrument, n_clusters=12, cluster_size=20, waves=["September", "April"], rng=4)
    options: dict[str, Any] = {"wave": "wave", "scales": ["care"]}
    assert monitor(instrument, data, **options).earlier == "September"
    text = data.assign(wave=data["wave"].astype(str))
    with pytest.raises(OptionError, match=r"April, September do not say which comes first: give compare="):
        monitor(instrument, text, **options)
    assert monitor(instrument, text, **options, compare=("September", "April")).earlier == "September"


# --------------------------------------------------------------------------- known truth
def _wave(rng: np.random.Generator, truth: Any, sigma: float = 1.0, size: int = 20) -> ClassWave:
    """Classes of normal students, without an instrument between."""
    values = truth[:, None] + rng.normal(0, sigma, (len(truth), size))
    column = values.sum(axis=1)[:, None]
    n = np.full((len(truth), 1), float(size))
    labels = [f"c{k:04d}" for k in range(len(truth))]
    sums = GroupSums({"class": labels}, ("y",), n[:, 0], n, column, (values**2).sum(axis=1)[:, None], np.zeros_like(n))
    return ClassWave(sums, "class", None, None, Gates(), [[0]])


def test_false_alarms_are_as_rare_as_asked_for() -> None:
    """Share of false among all discoveries below a point, averaged over 200 districts of 60 classes: at most the rate."""
    rng = np.random.default_rng(5)
    rates, found = [], 0
    for _ in range(200):
        truth = np.where(rng.random(60) < 0.2, -0.8, 0.0) + rng.normal(0, 0.05, 60)
        one = _wave(rng, truth).scales[0]
        z = (one.mean - 0.0) / one.se
        q = benjamini_hochberg(np.array([_phi(v) for v in z]))
        flagged = q <= 0.10
        found += int(flagged.sum())
        rates.append(float((flagged & (truth >= 0)).sum() / max(flagged.sum(), 1)))
    assert found > 1000
    assert np.mean(rates) <= 0.10


def test_rank_intervals_cover_true_ranks() -> None:
    """93 to 98% of the true ranks of 50 classes over 60 districts lie in their 95% intervals; the seed decides."""
    rng = np.random.default_rng(9)
    inside = []
    for k in range(60):
        truth = rng.normal(0, 0.5, 50)
        one = _wave(rng, truth).scales[0]
        assert one.components is not None
        spread = np.sqrt(one.components.tau2 * (1 - one.reliability))
        low, high = rank_intervals(one.shrunken, spread, conf_level=0.95, n_draws=400, rng=k)
        rank = np.empty(50)
        rank[np.argsort(-truth)] = np.arange(1, 51)
        inside.append(((low <= rank) & (rank <= high)).mean())
    assert 0.93 <= np.mean(inside) <= 0.98
    again = rank_intervals(one.shrunken, spread, conf_level=0.95, n_draws=400, rng=59)
    assert (again[0] == low).all()
    assert (again[1] == high).all()
    nothing = rank_intervals(np.full(3, np.nan), np.full(3, np.nan), conf_level=0.95, n_draws=10, rng=1)
    assert np.isnan(nothing[0]).all()


def test_changes_of_classes_that_are_not_in_both_waves() -> None:
    """No change, not zero."""
    rng = np.random.default_rng(1)
    one, two = _wave(rng, np.zeros(4)), _wave(rng, np.zeros(5))
    found = changes_of(one, two, 0, None)
    assert np.isnan(found.difference).tolist() == [False] * 4 + [True]


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        ([0.01, 0.02, 0.03, 0.04, 0.05], [0.05] * 5),
        ([0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205], None),
        ([0.5], [0.5]),
        ([], []),
    ],
)
def test_benjamini_hochberg(p: list[float], expected: list[float] | None) -> None:
    """R's p.adjust(p, "BH"); the second are eight of the p-values of the 1995 paper's kind."""
    if expected is None:
        expected = [0.008, 0.032, 0.0672, 0.0672, 0.0672, 0.08, 0.0845714285714286, 0.205]
    assert benjamini_hochberg(np.array(p, dtype=float)) == pytest.approx(expected)


# --------------------------------------------------------------------------- disclosure, engines, nonsense
def test_nothing_moves_with_a_hidden_class(instrument: Instrument, answers: Any) -> None:
    """Other answers in the classes that are hidden: the same table, but for what school totals would say."""
    before = monitor(instrument, answers, **OPTIONS)
    hidden = {r["cluster"] for r in before.table.rows() if r["status"] == "suppressed"}
    assert hidden
    changed = answers.copy()
    items = [*instrument.scale_items("care"), *instrument.scale_items("trust")]
    mine = changed["class_id"].isin(hidden) & (changed["wave"] == "2 spring")
    changed.loc[mine, items] = changed.loc[mine, items].iloc[::-1].to_numpy()
    after = monitor(instrument, changed, **OPTIONS)
    assert after.table.equals(before.table)
    assert after.standards.equals(before.standards)


def test_the_school_hides_what_its_totals_would_reveal(instrument: Instrument, answers: Any) -> None:
    """The same classes are hidden as in the class scores with school totals."""
    data = answers.assign(school=np.where(answers["class_id"] < "class-20", "north", "south"))
    watched = monitor(instrument, data, **OPTIONS, school="school")
    scores = classroom_scores(instrument, data, wave="wave", school="school", scales=["care", "trust"])
    hidden = {(r["cluster"], r["scale"]) for r in watched.table.rows() if r["status"] == "suppressed"}
    expected = {
        (r["cluster"], r["scale"])
        for r in scores.table.rows()
        if r["wave"] == "2 spring" and r["status"] == "suppressed"
    }
    assert hidden == expected
    assert "school" in watched.table.columns


def test_every_engine_gives_the_same(instrument: Instrument, answers: Any, constructor: Constructor) -> None:
    """The same students, lazy or not."""
    plain = answers.astype(object).where(answers.notna(), None)
    frame = constructor({name: plain[name].to_list() for name in plain})
    found, reference = (monitor(instrument, d, **OPTIONS, student="student_id", n_draws=200) for d in (frame, answers))
    assert found.overview.equals(reference.overview)
    assert found.table.equals(reference.table, rtol=1e-8, atol=1e-12)


def test_one_wave_and_one_class(instrument: Instrument, answers: Any) -> None:
    """No change without a second wave; one class has no standard error, and says why nothing can be said."""
    fall = answers[answers["wave"] == "1 fall"]
    result = monitor(instrument, fall, scales=["care"])
    assert result.earlier is None
    assert np.isnan(result.table["change"]).all()
    large = fall.groupby("class_id").size().idxmax()
    one = monitor(instrument, fall[fall["class_id"] == large], scales=["care"], standard=2.0)
    assert one.status.level == "caution"
    small = monitor(instrument, fall[fall["class_id"] == large].iloc[:3], scales=["care"])
    assert small.status.level == "failed"


def test_the_seed_decides_ranks_only(instrument: Instrument, answers: Any) -> None:
    """Same seed, same table; another moves rank intervals a little and no word."""
    first, again = (monitor(instrument, answers, **OPTIONS, rng=4) for _ in range(2))
    other = monitor(instrument, answers, **OPTIONS, rng=5)
    assert first.equals(again)
    assert first.overview.equals(other.overview)


def test_result_round_trips_and_prints(instrument: Instrument, answers: Any) -> None:
    """Dict, text for a principal."""
    result = monitor(instrument, answers, **OPTIONS)
    assert MonitorResult.from_dict(json.loads(json.dumps(result.to_dict()))).equals(result)
    text = str(result)
    assert "support needed:" in text.splitlines()[0]
    assert "expected to be false" in text
    assert (result.earlier, result.wave) == ("1 fall", "2 spring")


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"level": "school"}, LevelError, "not valid"),
        ({"change_against": "mean"}, OptionError, "average"),
        ({"lowest": 0.0}, OptionError, "lowest"),
        ({"fdr": 1.5}, OptionError, "fdr"),
        ({"n_draws": 0}, OptionError, "n_draws"),
        ({"student": "student_id", "wave": None}, DataError, "wave="),
        ({"wave": None}, DataError, "more than one row"),
        ({"standard": 40}, OptionError, "from 1 to 4"),
        ({"compare": ("1 fall", "3 winter")}, OptionError, "2 spring"),
        ({"compare": ("1 fall", "1 fall")}, OptionError, "two different"),
        ({"standard": {"cares": 2.0}}, OptionError, "care"),
        ({"student": "pupil"}, ColumnNotFoundError, "pupil"),
        ({"wave": "term"}, ColumnNotFoundError, "term"),
        ({"school": "class_id"}, OptionError, "two things"),
        ({"min_disclose": 20}, OptionError, "min_report"),
    ],
)
def test_wrong_calls_are_named(
    instrument: Instrument, answers: Any, options: dict[str, Any], error: type[Exception], match: str
) -> None:
    """Levels, shares, waves, columns."""
    with pytest.raises(error, match=match):
        monitor(instrument, answers, **(OPTIONS | options))


@pytest.mark.shared
def test_real_classes(shared_reference: Path) -> None:
    """Two waves of self-concept of the same students: the paired error is smaller, as many signs as that allows."""
    import pandas as pd

    data = pd.read_csv(shared_reference / "data" / "gti_students" / "data.csv", low_memory=False)
    gti = load_instrument("gti-student")
    items = [gti.scale_items(f"interest_w{k}") for k in (1, 2)]
    long = pd.concat(
        [
            data[["S_ID", "class", *own]].rename(columns=dict(zip(own, items[1], strict=True))).assign(wave=k)
            for k, own in enumerate(items)
        ]
    )
    options: dict[str, Any] = {"cluster": "class", "wave": "wave", "scales": ["interest_w2"]}
    paired = monitor(gti, long, **options, student="S_ID").to_frame()
    apart = monitor(gti, long, **options).to_frame()
    both = paired["change_se"].notna()
    assert both.sum() > 450
    assert (paired.loc[both, "change_se"] < apart.loc[both, "change_se"]).all()
    assert (paired["status"] == "support needed").sum() >= (apart["status"] == "support needed").sum()
