"""Perception gap: numbers by their formulas, recovery of a known correlation, surfaces, real teachers and classes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relmeasure.classical import alpha
from relmeasure.exceptions import (
    ColumnNotFoundError,
    DataError,
    FewClustersWarning,
    ListwiseDeletionWarning,
    OptionError,
    TooFewObservationsError,
    UnsupportedDataError,
)
from relmeasure.instruments import Instrument, load_instrument
from relmeasure.multilevel import interrater
from relmeasure.scoring import score
from relmeasure.studies.classrooms import classroom_scores
from relmeasure.studies.perception import PerceptionGap, perception_gap
from relmeasure.studies.response_surface import response_surface
from relmeasure.studies.views import to_pomp
from tests.support import Constructor

STUDENT, TEACHER = load_instrument("relationship-student"), load_instrument("relationship-teacher")
CUTS = np.array([-1.2, -0.2, 0.9])


def _forms(
    classes: int = 80, students: int = 20, correlation: float = 0.6, bias: float = 0.0, seed: int = 1
) -> tuple[Any, Any]:
    """Teachers and students whose true views of a class correlate, as stored answers of 'care' and 'trust'."""
    import pandas as pd

    rng = np.random.default_rng(seed)
    root = np.linalg.cholesky([[1, correlation], [correlation, 1]])
    labels = [f"c{k:03d}" for k in range(classes)]
    teachers: dict[str, Any] = {"class_id": labels}
    code = np.repeat(np.arange(classes), students)
    pupils: dict[str, Any] = {"class_id": [labels[k] for k in code]}
    for scale in ("care", "trust"):
        truth = rng.standard_normal((classes, 2)) @ root.T
        own = math.sqrt(0.3) * truth[:, 1][code] + math.sqrt(0.7) * rng.standard_normal(len(code))
        for form, values, out in ((TEACHER, truth[:, 0] + bias, teachers), (STUDENT, own, pupils)):
            for item in form.scale_items(scale):
                latent = 0.8 * values + 0.6 * rng.standard_normal(len(values))
                answer = np.searchsorted(CUTS, latent) + 1
                out[item] = 5 - answer if form.item(item).key == -1 else answer
    return pd.DataFrame(teachers), pd.DataFrame(pupils)


@pytest.fixture(scope="module")
def forms() -> tuple[Any, Any]:
    """Eighty classes, twenty students each."""
    return _forms()


OPTIONS: dict[str, Any] = {"scales": ["care", "trust"], "n_boot": 50}


# --------------------------------------------------------------------------- numbers
def test_gaps_and_their_errors_follow_the_formulas(forms: tuple[Any, Any]) -> None:
    """Both on 0 to 100; error of the class mean and of the teacher's score; readings by their intervals."""
    teachers, students = forms
    result = perception_gap(TEACHER, teachers, STUDENT, students, **OPTIONS)
    scores = {r["cluster"]: r for r in classroom_scores(STUDENT, students, scales=["care"]).table.rows()}
    own: Any = score(TEACHER, teachers, scales=["care"])
    pomp = to_pomp(TEACHER, "care", own["care"].to_numpy(dtype=float))
    items = TEACHER.scale_items("care")
    keyed = teachers[list(items)].to_numpy(dtype=float)
    keyed = np.where([TEACHER.item(i).key == -1 for i in items], 5 - keyed, keyed)
    trust = alpha(keyed).estimate
    sem = pomp.std(ddof=1) * math.sqrt(1 - trust)
    at = dict(zip(own["class_id"], pomp, strict=True))
    rows = [r for r in result.table.rows() if r["scale"] == "care"]
    assert len(rows) == 80
    for row in rows:
        seen = scores[row["cluster"]]
        assert row["students"] == pytest.approx((seen["mean"] - 1) / 3 * 100)
        assert row["teacher"] == pytest.approx(at[row["cluster"]])
        assert row["gap"] == pytest.approx(row["teacher"] - row["students"])
        assert row["se"] == pytest.approx(math.hypot(seen["se"] / 3 * 100, sem), rel=1e-6)
        expected = "teacher higher" if row["lower"] > 0 else "teacher lower" if row["upper"] < 0 else "no clear gap"
        assert row["reading"] == expected
    overall = next(r for r in result.overall.rows() if r["scale"] == "care")
    assert overall["reliability_teacher"] == pytest.approx(trust)
    gap = np.array([r["gap"] for r in rows])
    assert overall["gap_t"] == pytest.approx(gap.mean() / (gap.std(ddof=1) / math.sqrt(80)))
    assert overall["share_higher"] == pytest.approx(np.mean([r["reading"] == "teacher higher" for r in rows]))


def test_agreement_and_correlations_follow_the_formulas(forms: tuple[Any, Any]) -> None:
    """Two raters; Spearman with ties; Spearman's correction with each side's reliability."""
    from scipy.stats import pearsonr, spearmanr, ttest_rel

    teachers, students = forms
    result = perception_gap(TEACHER, teachers, STUDENT, students, **OPTIONS)
    rows = [r for r in result.table.rows() if r["scale"] == "trust"]
    row = next(r for r in result.overall.rows() if r["scale"] == "trust")
    t, s = (np.array([r[name] for r in rows]) for name in ("teacher", "students"))
    forms_of = {r["definition"]: r for r in interrater(np.column_stack([t, s])).icc_table.rows()}
    assert row["icc_absolute"] == pytest.approx(forms_of["icc.two_way_random.absolute.single"]["estimate"])
    assert row["icc_consistency_upper"] == pytest.approx(forms_of["icc.two_way_random.consistency.single"]["upper"])
    assert row["rank_correlation"] == pytest.approx(spearmanr(np.round(t, 8), np.round(s, 8)).statistic)
    found = pearsonr(t, s)
    interval = found.confidence_interval(0.95)
    assert row["correlation"] == pytest.approx(found.statistic)
    assert (row["correlation_lower"], row["correlation_upper"]) == pytest.approx((interval.low, interval.high))
    test = ttest_rel(t, s)
    assert (row["gap_t"], row["gap_pvalue"]) == pytest.approx((test.statistic, test.pvalue))
    corrected = row["correlation"] / math.sqrt(row["reliability_teacher"] * row["reliability_students"])
    assert row["corrected"] == pytest.approx(corrected)
    assert row["corrected_lower"] < row["corrected"] < row["corrected_upper"]


def test_the_corrected_correlation_recovers_the_true_one() -> None:
    """True .60: seen lower, corrected near it on average over 40 samples; the interval covers it in most."""
    seen, corrected, inside = [], [], 0
    for seed in range(40):
        teachers, students = _forms(classes=60, students=12, seed=seed)
        row = perception_gap(TEACHER, teachers, STUDENT, students, scales=["care"], n_boot=200, rng=seed).overall
        seen.append(row["correlation"][0])
        corrected.append(row["corrected"][0])
        inside += row["corrected_lower"][0] <= 0.6 <= row["corrected_upper"][0]
    assert np.mean(seen) < 0.53
    assert np.mean(corrected) == pytest.approx(0.6, abs=0.04)
    assert inside >= 34


def test_a_general_overestimate_is_found() -> None:
    """Teachers half a standard deviation higher: the gap is positive and its test says so."""
    teachers, students = _forms(bias=0.7, seed=4)
    result = perception_gap(TEACHER, teachers, STUDENT, students, **OPTIONS)
    for row in result.overall.rows():
        assert row["gap_lower"] > 0
        assert row["gap_pvalue"] < 1e-4
        assert row["share_higher"] > row["share_lower"]
    assert "gap +" in result.summary()


# --------------------------------------------------------------------------- response surfaces
def test_surface_values_are_those_of_least_squares() -> None:
    """Coefficients by lstsq, HC3 by hand, sums of coefficients."""
    rng = np.random.default_rng(2)
    t, s = rng.normal(size=(2, 90))
    z = 0.3 * t + 0.5 * s - 0.2 * (t - s) ** 2 + rng.normal(0, 0.5 + 0.3 * np.abs(t), 90)
    found = {row["parameter"]: row for row in response_surface(t, s, z, conf_level=0.95)}
    design = np.column_stack([np.ones(90), t, s, t * t, t * s, s * s])
    b, *_ = np.linalg.lstsq(design, z, rcond=None)
    inverse = np.linalg.inv(design.T @ design)
    hat = np.diag(design @ inverse @ design.T)
    e = (z - design @ b) / (1 - hat)
    cov = inverse @ (design * e[:, None] ** 2).T @ design @ inverse
    for k in range(6):
        assert found[f"b{k}"]["estimate"] == pytest.approx(b[k])
        assert found[f"b{k}"]["se"] == pytest.approx(math.sqrt(cov[k, k]))
    weights = {"a1": [0, 1, 1, 0, 0, 0], "a2": [0, 0, 0, 1, 1, 1], "a3": [0, 1, -1, 0, 0, 0], "a4": [0, 0, 0, 1, -1, 1]}
    for name, w in weights.items():
        assert found[name]["estimate"] == pytest.approx(np.dot(w, b))
        assert found[name]["se"] == pytest.approx(math.sqrt(np.array(w) @ cov @ np.array(w)))
    assert found["a4"]["estimate"] < 0 < found["a1"]["estimate"]
    assert found["a4"]["pvalue"] < 0.05
    assert found["b0"]["df"] == 84


@pytest.mark.parametrize("where", ["teacher", "student"])
def test_outcomes_of_either_side(forms: tuple[Any, Any], where: str) -> None:
    """A column of the teachers' data as it is, of the students' data as class means: the same surface."""
    teachers, students = forms
    value = dict(zip(teachers["class_id"], np.random.default_rng(3).normal(size=80), strict=True))
    if where == "teacher":
        teachers = teachers.assign(joy=teachers["class_id"].map(value))
    else:
        students = students.assign(joy=students["class_id"].map(value))
    result = perception_gap(TEACHER, teachers, STUDENT, students, outcome="joy", **OPTIONS)
    care = {r["cluster"]: r for r in result.table.rows() if r["scale"] == "care"}
    t, s = (np.array([(row[name] - 50) / 10 for row in care.values()]) for name in ("teacher", "students"))
    z = np.array([value[label] for label in care])
    expected = {row["parameter"]: row["estimate"] for row in response_surface(t, s, z, conf_level=0.95)}
    found = {row["parameter"]: row["estimate"] for row in result.surface.rows() if row["scale"] == "care"}
    assert found == pytest.approx(expected)
    assert result.outcome == "joy"


def test_a_surface_needs_teachers() -> None:
    """Six coefficients from five teachers are not determined."""
    with pytest.raises(TooFewObservationsError, match="5 teachers"):
        response_surface(np.arange(5.0), np.arange(5.0) ** 2, np.ones(5), conf_level=0.95)


# --------------------------------------------------------------------------- pairs, disclosure, engines
def test_small_classes_are_hidden_and_unmatched_ones_counted(forms: tuple[Any, Any]) -> None:
    """Five students: not compared, and another class hidden with them; missing partners are said."""
    teachers, students = forms
    few = students[(students["class_id"] != "c000") | (students.groupby("class_id").cumcount() < 5)]
    result = perception_gap(TEACHER, teachers, STUDENT, few, **OPTIONS)
    hidden = set(teachers["class_id"]) - set(result.table["cluster"])
    assert "c000" in hidden
    assert len(hidden) == 2
    with pytest.warns(
        ListwiseDeletionWarning, match="1 teachers have no students in the data and 2 classes no teacher"
    ):
        apart = perception_gap(TEACHER, teachers.iloc[2:], STUDENT, students[students["class_id"] != "c079"], **OPTIONS)
    assert apart.overall["n_classes"] == (77, 77)
    low = students[(students["class_id"] != "c001") | (students.groupby("class_id").cumcount() < 10)]
    noted = perception_gap(TEACHER, teachers, STUDENT, low, **OPTIONS)
    note = next(r["note"] for r in noted.table.rows() if r["cluster"] == "c001")
    assert note == "10 students: fewer than 15"


def test_pairs_of_scales_and_columns(forms: tuple[Any, Any]) -> None:
    """Other scale names by a mapping, another class column in the teachers' data."""
    teachers, students = forms
    crossed = perception_gap(
        TEACHER,
        teachers.rename(columns={"class_id": "course"}),
        STUDENT,
        students,
        scales={"care": "trust"},
        teacher_cluster="course",
        n_boot=50,
    )
    assert crossed.table["scale"][0] == "care"
    assert abs(crossed.overall["correlation"][0]) < 0.3


def test_every_engine_gives_the_same(forms: tuple[Any, Any], constructor: Constructor) -> None:
    """Both frames of the same engine, lazy or not."""
    made = [constructor({name: frame[name].to_list() for name in frame}) for frame in forms]
    found = perception_gap(TEACHER, made[0], STUDENT, made[1], **OPTIONS)
    reference = perception_gap(TEACHER, forms[0], STUDENT, forms[1], **OPTIONS)
    assert found.table.equals(reference.table, rtol=1e-8)
    assert found.overall.equals(reference.overall, rtol=1e-7)


def test_one_item_has_no_reliability() -> None:
    """The teacher's score is taken as it is, and the row says so."""
    definition = json.loads(TEACHER.model_dump_json())
    first = TEACHER.scale_items("care")[0]
    definition["scales"] = [{"id": "care", "items": [first], "levels": ["teacher"]}]
    single = Instrument.model_validate(definition)
    teachers, students = _forms(classes=40)
    result = perception_gap(single, teachers, STUDENT, students, scales=["care"], n_boot=50)
    row = next(result.overall.rows())
    assert math.isnan(row["reliability_teacher"])
    assert row["corrected"] == pytest.approx(row["correlation"] / math.sqrt(row["reliability_students"]))


def test_result_round_trips_and_is_seeded(forms: tuple[Any, Any]) -> None:
    """Dict, text, seeds."""
    first, again, other = (perception_gap(TEACHER, forms[0], STUDENT, forms[1], **OPTIONS, rng=k) for k in (1, 1, 2))
    assert PerceptionGap.from_dict(json.loads(json.dumps(first.to_dict()))).equals(first)
    assert first.equals(again)
    assert first.overall["corrected_lower"] != other.overall["corrected_lower"]
    assert "corrected for unreliability" in str(first)


def test_wrong_calls_are_named(forms: tuple[Any, Any]) -> None:
    """Forms the wrong way round, no common scale, two rows, unknown columns and scales, norms."""
    teachers, students = forms
    with pytest.raises(OptionError, match="teacher's form first"):
        perception_gap(STUDENT, students, TEACHER, teachers)
    with pytest.raises(OptionError, match="share no scale id"):
        perception_gap(load_instrument("strain-teacher"), teachers, STUDENT, students)
    with pytest.raises(OptionError, match="care"):
        perception_gap(TEACHER, teachers, STUDENT, students, scales=["caring"])
    import pandas as pd

    twice = pd.concat([teachers, teachers.iloc[:2]])
    with pytest.raises(DataError, match="several rows"):
        perception_gap(TEACHER, twice, STUDENT, students, **OPTIONS)
    with pytest.raises(ColumnNotFoundError, match="course"):
        perception_gap(TEACHER, teachers, STUDENT, students, teacher_cluster="course", **OPTIONS)
    with pytest.raises(OptionError, match="neither of the teachers"):
        perception_gap(TEACHER, teachers, STUDENT, students, outcome="joy", **OPTIONS)
    with pytest.raises(OptionError, match="n_boot"):
        perception_gap(TEACHER, teachers, STUDENT, students, n_boot=0)
    definition = json.loads(TEACHER.model_dump_json())
    definition["norms"] = [
        {
            "id": "t",
            "kind": "t_score",
            "population": "p",
            "date": "2020-01-01",
            "version": "1",
            "source": "s",
            "mean": 2.5,
            "sd": 0.5,
        }
    ]
    definition["scales"][0]["scoring"]["norms"] = "t"
    with pytest.raises(UnsupportedDataError, match="reported by norms"):
        perception_gap(Instrument.model_validate(definition), teachers, STUDENT, students, scales=["care"], n_boot=10)


def test_few_teachers_are_warned_about() -> None:
    """Twelve classes: rough; none: failed."""
    teachers, students = _forms(classes=12)
    with pytest.warns(FewClustersWarning, match="12 classes"):
        perception_gap(TEACHER, teachers, STUDENT, students, **OPTIONS)
    with pytest.warns(FewClustersWarning, match="0 classes"):
        empty = perception_gap(TEACHER, teachers, STUDENT, students.groupby("class_id").head(3), **OPTIONS)
    assert empty.status.level == "failed"


# --------------------------------------------------------------------------- real data
def _gti_teacher() -> Instrument:
    """The relationship block of the teacher questionnaire after the unit: structure only."""
    return Instrument.model_validate(
        {
            "schema_version": 1,
            "id": "gti-teacher",
            "version": "1.0.0",
            "status": "field_tested",
            "kind": "structure_only",
            "title": {"en": "GTI teacher questionnaire B (structure only)"},
            "reporter": "teacher",
            "target": "self",
            "licence": {"id": "permission_required"},
            "citation": "OECD (2020)",
            "response_scales": {"agree": {"kind": "agreement", "options": [{"value": k} for k in (1, 2, 3, 4)]}},
            "items": [{"id": f"TQB13{letter}", "response_scale": "agree"} for letter in "ABCDE"],
            "scales": [
                {
                    "id": "relationship",
                    "items": [f"TQB13{letter}" for letter in "ABCDE"],
                    "levels": ["teacher"],
                    "missing": {"min_valid": 3},
                }
            ],
        }
    )


@pytest.mark.shared
def test_real_teachers_and_their_classes(shared_reference: Path) -> None:
    """Five parallel items of relationship: teachers see it better than their students, and the views hardly agree."""
    import pandas as pd

    teachers = pd.read_csv(shared_reference / "data" / "gti_teachers" / "data.csv", low_memory=False)
    students = pd.read_csv(shared_reference / "data" / "gti_students" / "data.csv", low_memory=False)
    own = teachers[[f"TQB13{letter}" for letter in "ABCDE"]]
    derived = teachers["TB_REL_STUDTEACH"]
    whole = own.notna().all(axis=1) & derived.notna()
    assert own[whole].mean(axis=1).to_numpy() == pytest.approx(derived[whole].to_numpy(), abs=1e-6)
    with pytest.warns(ListwiseDeletionWarning):
        result = perception_gap(
            _gti_teacher(),
            teachers.rename(columns={"T_ID": "class"}),
            load_instrument("gti-student"),
            students,
            cluster="class",
            scales=["relationship"],
            n_boot=300,
        )
    row = next(result.overall.rows())
    assert row["n_classes"] > 350
    assert row["gap_lower"] > 0  # the general over-estimate that the literature reports
    assert row["gap_pvalue"] < 1e-6
    assert 0 < row["correlation"] < 0.4
    assert row["correlation"] < row["corrected"]
    assert row["icc_absolute"] < 0.3
    assert 0.75 < row["reliability_students"] < 0.9


def test_labels_without_a_counterpart_are_an_error(forms: tuple[Any, Any]) -> None:
    """Ids of teachers on one side and of classes on the other: examples of both, and no gap of nothing."""
    teachers, students = forms
    other = teachers.assign(class_id=[f"t{k}" for k in range(len(teachers))])
    with pytest.raises(DataError, match=r"teachers' are such as t0, t1, t10, .*students' such as c000, c001, c002"):
        perception_gap(TEACHER, other, STUDENT, students, scales=["care"], n_boot=10)


def test_no_shown_class_is_said_in_words(forms: tuple[Any, Any]) -> None:
    """Too few students everywhere: no 'gap +nan'."""
    teachers, students = forms
    few = students.groupby("class_id").head(3)
    with pytest.warns(FewClustersWarning):
        text = perception_gap(TEACHER, teachers, STUDENT, few, scales=["care"], n_boot=10).summary()
    assert "nan" not in text
    assert "care: no class has both views and enough students." in text


def test_the_data_without_the_class_are_named(forms: tuple[Any, Any]) -> None:
    """Two data sets: the message says which one."""
    teachers, students = forms
    with pytest.raises(ColumnNotFoundError, match=r"about the teachers' data.*teacher_cluster="):
        perception_gap(TEACHER, teachers.drop(columns="class_id"), STUDENT, students)
    with pytest.raises(ColumnNotFoundError, match=r"about the students' data.* in cluster="):
        perception_gap(TEACHER, teachers, STUDENT, students.drop(columns="class_id"))


def test_students_in_the_data_twice_are_refused(forms: tuple[Any, Any]) -> None:
    teachers, students = forms
    named = students.assign(student_id=range(len(students)))
    with pytest.raises(DataError, match="more than one row"):
        perception_gap(TEACHER, teachers, STUDENT, named.loc[named.index.repeat(2)], scales=["care"])
