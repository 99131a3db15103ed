"""Class scores: numbers by their formulas, gates, and a reader who tries to compute what is hidden."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relmeasure.exceptions import (
    CodesAsMissingWarning,
    ColumnNotFoundError,
    DataError,
    LevelError,
    ListwiseDeletionWarning,
    OptionError,
)
from relmeasure.instruments import Instrument, load_instrument
from relmeasure.multilevel import icc
from relmeasure.scoring import score
from relmeasure.simulation import simulate
from relmeasure.studies.classrooms import ClassroomScores, classroom_scores
from tests.support import Constructor

SIZES = [4, 5, 8, 12, 15, 18, 20, 22, 25, 25, 28, 30]


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    """Four scales of six items and their total."""
    return load_instrument("relationship-student")


@pytest.fixture(scope="module")
def answers(instrument: Instrument) -> Any:
    """Twelve classes of 4 to 30 students."""
    data = simulate(instrument, n_clusters=len(SIZES), cluster_size=SIZES, icc=0.25, missing=0.03, rng=12)
    data["school"] = np.where(data["class_id"] < "class-07", "north", "south")
    return data


def test_numbers_follow_their_formulas(instrument: Instrument, answers: Any) -> None:
    """Mean, sd, share below, standard error, interval, reliability and empirical Bayes of every visible class."""
    result = classroom_scores(instrument, answers, scales=["care"], below=2.5)
    scored = score(instrument, answers, scales=["care"])
    table = result.to_frame().set_index("cluster")
    seen = scored[scored["class_id"].isin(table.index[table["status"] != "suppressed"])]
    between = icc(seen["care"].astype(float), cluster=seen["class_id"])
    for label, rows in scored.groupby("class_id"):
        row, values = table.loc[label], rows["care"].dropna().astype(float)
        if row["status"] == "suppressed":
            continue
        n = len(values)
        error = math.sqrt(between.sigma2 / n)
        trust = between.tau2 / (between.tau2 + between.sigma2 / n)
        assert row["n"] == n
        assert row["mean"] == pytest.approx(values.mean(), rel=1e-12)
        assert row["sd"] == pytest.approx(values.std(), rel=1e-9)
        assert row["share_below"] == pytest.approx((values < 2.5).mean(), rel=1e-12)
        assert row["se"] == pytest.approx(error, rel=1e-6)
        assert row["reliability"] == pytest.approx(trust, rel=1e-6)
        shrunken = between.mu + trust * (values.mean() - between.mu)
        assert row["empirical_bayes"] == pytest.approx(shrunken, rel=1e-6)
        assert row["lower"] < row["mean"] < row["upper"]


def test_gates(instrument: Instrument, answers: Any) -> None:
    """Below six nothing is shown; below fifteen it is marked; the thresholds are arguments."""
    table = classroom_scores(instrument, answers, scales=["care"]).to_frame().set_index("cluster")
    assert table.loc["class-01", "status"] == "suppressed"
    assert table.loc["class-01", ["n", "mean", "se", "sd", "reliability", "empirical_bayes"]].isna().all()
    assert table.loc["class-12", "status"] == "reportable"
    shown = table[table["status"] != "suppressed"]
    assert (shown["n"] >= 6).all()
    assert (shown.loc[shown["n"] < 15, "status"] == "low reliability").all()
    strict = classroom_scores(instrument, answers, scales=["care"], min_reliability=0.99).to_frame()
    assert "reportable" not in set(strict["status"])
    wide = classroom_scores(instrument, answers, scales=["care"], min_disclose=1, min_report=1, min_reliability=0.0)
    assert set(wide.to_frame()["status"]) == {"reportable"}


def test_every_engine_gives_the_same(instrument: Instrument, answers: Any, constructor: Constructor) -> None:
    """Lazy or not, whatever the library."""
    plain = answers.astype(object).where(answers.notna(), None)
    found = classroom_scores(
        instrument, constructor({name: plain[name].to_list() for name in plain}), scales=["care", "trust"]
    )
    reference = classroom_scores(instrument, answers, scales=["care", "trust"])
    assert found.table.equals(reference.table, rtol=1e-9)


def test_a_reader_of_all_tables_cannot_compute_a_hidden_class(instrument: Instrument, answers: Any) -> None:
    """Totals minus everything visible, over every scale and the school totals: at least six students in two classes."""
    result = classroom_scores(instrument, answers, school="school")
    scored = score(instrument, answers)
    home = dict(zip(scored["class_id"], scored["school"], strict=True))
    classes, totals = result.to_frame(), result.totals.to_frame()
    for scale in instrument.scale_ids:
        rows = classes[classes["scale"] == scale].set_index("cluster")
        answered = scored.groupby("class_id")[scale].count()
        hidden = [label for label in rows.index if rows.loc[label, "status"] == "suppressed"]
        known = totals[(totals["scale"] == scale) & (totals["status"] != "suppressed")]["total"]
        for total in known:
            behind = [label for label in hidden if total == "all" or home[label] == total]
            students = int(answered[behind].sum()) if behind else 0
            assert not behind or (students >= 6 and len(behind) >= 2)
    # a composite and its parts are hidden together, so that neither gives the other back
    state = classes.pivot(index="cluster", columns="scale", values="status") == "suppressed"
    assert (state.nunique(axis=1) == 1).all()


def test_nothing_published_moves_with_a_hidden_class(instrument: Instrument, answers: Any) -> None:
    """Other answers in the hidden classes, same sum over them: every table stays as it is, so none gives them back."""
    hidden = answers["class_id"].isin(["class-01", "class-02"])
    swapped = answers.copy()
    items = list(instrument.scale_items("care"))
    first, other = (answers[answers["class_id"] == f"class-0{k}"].index[0] for k in (1, 2))
    swapped.loc[[first, other], items] = answers.loc[[other, first], items].to_numpy()
    assert not swapped.loc[hidden, items].equals(answers.loc[hidden, items])
    before, after = (classroom_scores(instrument, d, scales=["care"], below=2.5) for d in (answers, swapped))
    assert {row["status"] for row in before.table.rows() if row["cluster"] in ("class-01", "class-02")} == {
        "suppressed"
    }
    assert before.table.equals(after.table)
    assert before.components.equals(after.components)
    assert before.totals.equals(after.totals, rtol=1e-12)


def test_components_of_hidden_classes_are_hidden(instrument: Instrument, answers: Any) -> None:
    """One small class: neither its number of students nor its spread."""
    small = classroom_scores(instrument, answers[answers["class_id"] == "class-01"], scales=["care"])
    (row,) = small.components.rows()
    assert (row["n_classes"], row["n_students"]) == (0, 0)
    assert np.isnan([row["icc1"], row["tau2"], row["sigma2"]]).all()


@pytest.mark.parametrize("name", ["__class", "__n0", "__rows", "item", "n", "mean", "a class.1"])
def test_the_class_column_may_bear_any_name(instrument: Instrument, answers: Any, name: str) -> None:
    found = classroom_scores(instrument, answers.rename(columns={"class_id": name}), cluster=name, scales=["care"])
    assert found.table.equals(classroom_scores(instrument, answers, scales=["care"]).table)


def test_rows_without_a_class_or_school_are_counted(instrument: Instrument, answers: Any) -> None:
    gone = answers.assign(school=answers["school"].where(answers["class_id"] != "class-12"))
    with pytest.warns(ListwiseDeletionWarning, match=r"30 of 212 rows have no value in 'school' or 'class_id'"):
        result = classroom_scores(instrument, gone, school="school", scales=["care"])
    assert result.provenance is not None
    assert (result.provenance.n_rows, result.provenance.n_obs) == (212, 182)
    assert [note.code for note in result.warnings] == ["listwise-deletion"]
    with pytest.raises(DataError, match="None of the 0 rows has 'class_id'"):
        classroom_scores(instrument, answers.iloc[:0], scales=["care"])
    answers = answers.astype({"care_1": object})
    answers.loc[answers.index[0], "care_1"] = 9
    with pytest.warns(CodesAsMissingWarning):
        result = classroom_scores(instrument, answers, scales=["care"], unknown="missing")
    assert [note.code for note in result.warnings] == ["codes-as-missing"]


def test_two_surveys_are_averaged_as_surveys(instrument: Instrument, answers: Any) -> None:
    """The average of two means, whatever their numbers of students; hidden where one of them is."""
    later = simulate(instrument, n_clusters=len(SIZES), cluster_size=SIZES[::-1], icc=0.25, rng=13)
    import pandas as pd

    both = pd.concat([answers.assign(wave="fall"), later.assign(wave="spring")], ignore_index=True)
    table = classroom_scores(instrument, both, wave="wave", scales=["care"]).to_frame().set_index(["wave", "cluster"])
    seen = 0
    for label in answers["class_id"].unique():
        average, parts = table.loc[("average", label)], [table.loc[(w, label)] for w in ("fall", "spring")]
        if "suppressed" in {p["status"] for p in parts}:
            assert average["status"] == "suppressed"
            assert np.isnan(average["mean"])
        else:
            seen += 1
            assert average["mean"] == pytest.approx((parts[0]["mean"] + parts[1]["mean"]) / 2)
            assert average["se"] == pytest.approx(math.hypot(parts[0]["se"], parts[1]["se"]) / 2)
    assert seen > 5


def test_roster_gives_response_rate_and_finite_population(instrument: Instrument, answers: Any) -> None:
    """A class that answered in full has no sampling error left."""
    full = {label: int(n) for label, n in answers.groupby("class_id").size().items()}
    data = answers.dropna()
    table = classroom_scores(instrument, data, scales=["care"], roster=full).to_frame().set_index("cluster")
    row = table.loc["class-12"]
    assert row["response_rate"] == pytest.approx(row["n"] / full["class-12"])
    plain = classroom_scores(instrument, data, scales=["care"]).to_frame().set_index("cluster").loc["class-12"]
    assert row["se"] == pytest.approx(plain["se"] * math.sqrt(1 - row["n"] / full["class-12"]))
    with pytest.raises(DataError, match="roster of 2"):
        classroom_scores(instrument, answers, roster={"class-12": 2})


def test_roster_matches_numbers_and_names_what_it_does_not_find(instrument: Instrument, answers: Any) -> None:
    """7, 7.0 and "7" are class 7; a label that is nobody's is an error, not a missing response rate."""
    numbered = answers.assign(class_id=answers["class_id"].str[6:].astype(int))
    for key in (12, 12.0, "12", np.int64(12)):
        table = classroom_scores(instrument, numbered, scales=["care"], roster={key: 40}).to_frame()
        row = table.set_index("cluster").loc["12"]
        assert (row["roster"], row["response_rate"]) == (40, row["n"] / 40)
    with pytest.raises(
        OptionError, match=r"1 classes that have no row in the data: klass-12\. Did you mean 'class-12'"
    ):
        classroom_scores(instrument, answers, roster={"klass-12": 40, "class-11": 40})
    with pytest.raises(OptionError, match="names class '12' twice"):
        classroom_scores(instrument, numbered, roster={12: 40, "12": 41})


def test_teachers_beside_classes_are_protected_in_one_call(instrument: Instrument) -> None:
    """A teacher with a class of 4 and one of 20: the total of 24 and the visible class would give the four away."""
    sizes = [4, 9, 20, 20, 20, 20, 20, 20]
    data = simulate(instrument, n_clusters=8, cluster_size=sizes, icc=0.3, rng=1)
    teachers = dict(
        zip(sorted(data["class_id"].unique()), ["t1", "t2", "t1", "t2", "t3", "t3", "t4", "t4"], strict=True)
    )
    result = classroom_scores(
        instrument, data.assign(teacher=data["class_id"].map(teachers)), scales=["care"], school="teacher"
    )
    shown = {row["cluster"]: row["n"] for row in result.table.rows() if row["n"] is not None}
    totals = {row["total"]: row["n"] for row in result.totals.rows() if row["n"] is not None}
    for teacher, n in totals.items():
        mine = [label for label, home in teachers.items() if teacher in (home, "all")]
        hidden = [label for label in mine if label not in shown]
        assert len(hidden) != 1 or n - sum(shown[label] for label in mine if label in shown) >= 6
    assert "all" in totals


def test_order_and_labels_do_not_matter(instrument: Instrument, answers: Any) -> None:
    """Shuffled rows, same table."""
    shuffled = answers.sample(frac=1, random_state=1)
    first, second = (classroom_scores(instrument, d, scales=["care"]) for d in (answers, shuffled))
    assert first.table.equals(second.table, rtol=1e-9)


def test_wrong_calls_are_named(instrument: Instrument, answers: Any) -> None:
    """Level, thresholds, points, columns, a class in two schools."""
    with pytest.raises(LevelError, match="not valid at level 'school'"):
        classroom_scores(instrument, answers, level="school")
    with pytest.raises(OptionError, match="class"):
        classroom_scores(instrument, answers, level="district")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="conf_level"):
        classroom_scores(instrument, answers, conf_level=95)
    with pytest.raises(OptionError, match="min_report"):
        classroom_scores(instrument, answers, min_disclose=20)
    with pytest.raises(OptionError, match="care"):
        classroom_scores(instrument, answers, below={"cares": 2.0})
    with pytest.raises(ColumnNotFoundError, match="class_id"):
        classroom_scores(instrument, answers, cluster="clas_id")
    moved = answers.assign(school=["north", "south"] * (len(answers) // 2) + ["north"] * (len(answers) % 2))
    with pytest.raises(DataError, match="two schools"):
        classroom_scores(instrument, moved, school="school")


def test_one_class_and_no_class(instrument: Instrument, answers: Any) -> None:
    """One class: its mean without reliability; only small classes: everything hidden, status failed."""
    one = classroom_scores(instrument, answers[answers["class_id"] == "class-12"], scales=["care"])
    assert "too few classes" in one.to_frame()["reason"].iloc[0]
    small = classroom_scores(instrument, answers[answers["class_id"] == "class-01"], scales=["care"])
    assert small.status.level == "failed"


def test_result_round_trips(instrument: Instrument, answers: Any) -> None:
    """Dict, text."""
    result = classroom_scores(instrument, answers)
    assert ClassroomScores.from_dict(json.loads(json.dumps(result.to_dict()))).equals(result)
    assert "Hidden below 6 students" in str(result)


@pytest.mark.shared
def test_real_classes(shared_reference: Path) -> None:
    """Relationship scores of 418 classes: reliability of the observed mean about .83, never the between-level omega."""
    import pandas as pd

    data = pd.read_csv(shared_reference / "data" / "gti_students" / "data.csv")
    result = classroom_scores(load_instrument("gti-student"), data, cluster="class", scales=["relationship"])
    table = result.to_frame()
    shown = table[table["status"] != "suppressed"]
    assert 0.78 < shown["reliability"].median() < 0.88
    assert (shown["n"] >= 6).all()


def test_a_composite_and_its_parts_rest_on_the_same_students(instrument: Instrument, answers: Any) -> None:
    """One student who skips one part only must not be the difference between the parts and the whole."""
    data = answers.copy()
    skipped = data.index[data["class_id"] == "class-12"][0]
    data.loc[skipped, list(instrument.scale("respect_fairness").items)] = None
    table = classroom_scores(instrument, data).to_frame()
    counts = table.pivot(index="cluster", columns="scale", values="n").dropna()
    assert (counts.nunique(axis=1) == 1).all()
    wide = table.pivot(index="cluster", columns="scale", values="mean").dropna()
    parts = wide[["care", "respect_fairness", "approachability", "trust"]].mean(axis=1)
    assert np.allclose(parts, wide["relationship"])  # nothing is left over that could be one person's answers
    alone = classroom_scores(instrument, data, scales=["care"]).to_frame().set_index("cluster")
    assert alone.loc["class-12", "n"] >= counts.loc["class-12", "care"]


def test_a_cut_off_the_scored_range_is_refused(instrument: Instrument, answers: Any) -> None:
    """Pitfall 4.4: a point on the 0 to 100 scale, or with codes from zero, would count everybody or nobody."""
    for point in (50.0, 0.5):
        with pytest.raises(OptionError, match="run from 1 to 4"):
            classroom_scores(instrument, answers, scales=["care"], below=point)


def test_waves_in_one_file_do_not_pass_for_students(instrument: Instrument) -> None:
    """Two answers of four students are not eight students: without wave= they would pass the gate of disclosure."""
    data = simulate(instrument, n_clusters=10, cluster_size=4, icc=0.3, waves=["fall", "spring"], rng=5)
    with pytest.raises(DataError, match=r"40 students have more than one row.*wave="):
        classroom_scores(instrument, data, scales=["care"])
    hidden = classroom_scores(instrument, data, scales=["care"], wave="wave").to_frame()
    assert set(hidden["status"]) == {"suppressed"}
    renamed = data.rename(columns={"student_id": "pupil"})
    with pytest.raises(DataError, match="'student-01'"):
        classroom_scores(instrument, renamed, scales=["care"], student="pupil")
    with pytest.raises(ColumnNotFoundError, match="pupils"):
        classroom_scores(instrument, renamed, scales=["care"], student="pupils")
