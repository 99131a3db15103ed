"""Reciprocity from raw student rows: recovery, both directions, halves, bands, one wave, nonsense."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import relmeasure as rm
from relmeasure.exceptions import (
    ColumnNotFoundError,
    DataError,
    DuplicateRowsWarning,
    FewClustersWarning,
    ListwiseDeletionWarning,
    NonNumericError,
    OptionError,
    TooFewObservationsError,
)
from relmeasure.panel.defence import in_halves
from relmeasure.panel.reciprocal import ReciprocalStudy
from relmeasure.responses.waves import as_waves
from relmeasure.studies.cycle import ReciprocityResult, reciprocity
from tests.panel.test_latent_moments import draw
from tests.support import Constructor

CALL: dict[str, Any] = {"cluster": "teacher_id", "wave": "wave", "relationship": "care", "practices": ["thinking"]}


def _long(seed: int = 3, **design: Any) -> Any:
    values, code = draw(np.random.default_rng(seed), **design)
    wave = np.where(np.isnan(values[:, 0]), 2, 1)
    frame = pd.DataFrame({"teacher_id": code, "wave": wave})
    frame["care"] = np.where(wave == 1, values[:, 0], values[:, 2])
    frame["thinking"] = np.where(wave == 1, values[:, 1], values[:, 3])
    frame["grade_band"] = np.where(code < 70, "4-6", np.where(code < 140, "7-8", "9-10"))
    frame["school"] = code // 5
    return frame


@pytest.fixture(scope="module")
def long() -> Any:
    """Two waves, 200 teachers, lags .20 both ways, halo .6."""
    return _long()


@pytest.fixture(scope="module")
def result(long: Any) -> ReciprocityResult:
    """The whole call."""
    with pytest.warns(FewClustersWarning, match="4-6: 14, 7-8: 14, 9-10: 12"):
        return reciprocity(long, **CALL, by="grade_band", school="school")


def test_one_row_an_effect_in_both_directions(result: ReciprocityResult) -> None:
    """Names as given, corrected and not, bands and all; intervals contain their estimate."""
    frame = result.to_frame()
    assert set(frame["effect"]) == {"care -> thinking", "thinking -> care"}
    assert set(frame["by"]) == {"all", "4-6", "7-8", "9-10"}
    assert set(frame["corrected"]) == {True, False}
    assert len(frame) == 2 * 4 * 2
    assert ((frame["lower"] < frame["estimate"]) & (frame["estimate"] < frame["upper"])).all()
    assert set(result.band_tests.to_frame()["df"]) == {2}
    assert "never" not in str(result)
    assert "cause" in str(result).splitlines()[-1] or "what causes what" in str(result)


def test_every_engine_gives_the_same(long: Any, constructor: Constructor) -> None:
    """The same table from any frame."""
    small = long[long["teacher_id"] < 60]
    data = constructor({name: small[name].to_list() for name in small})
    reference = reciprocity(small, **CALL, n_splits=0)
    assert reciprocity(data, **CALL, n_splits=0).table.equals(reference.table, rtol=1e-6, atol=1e-9)


def test_halo_does_not_make_the_association(result: ReciprocityResult) -> None:
    """Rated by different halves of each class, the corrected effects stay near."""
    frame = result.same_rater.to_frame()
    assert (frame["n_splits"] == 20).all()
    assert np.abs(frame["same_students"] - frame["different_halves"]).max() < 0.1


def test_sensitivity_by_its_formula(result: ReciprocityResult) -> None:
    """Partial R-square and robustness value from t and df; leaving out a school moves the estimate both ways."""
    table = result.sensitivity.to_frame().set_index("effect")
    effects = result.to_frame().query("corrected and by == 'all'").set_index("effect")
    for name, row in table.iterrows():
        f2 = (effects.loc[name, "estimate"] / effects.loc[name, "se"]) ** 2 / (effects.loc[name, "n_classes"] - 3)
        assert row["partial_r2"] == pytest.approx(f2 / (1 + f2))
        value = row["robustness_value"]
        assert value**2 / (1 - value) == pytest.approx(f2)  # the equation that defines it
        assert row["without_a_school_lowest"] < row["estimate"] < row["without_a_school_highest"]


def test_halo_alone_gives_no_corrected_association() -> None:
    """No true lags, strong halo: uncorrected associations between classes are inflated, corrected ones are not."""
    rng = np.random.default_rng(9)
    teacher = np.repeat(np.arange(150), 12)
    halo = rng.normal(size=len(teacher))
    frame = pd.DataFrame({"teacher_id": teacher})
    for name in ("care", "thinking"):
        frame[name] = 0.5 * rng.normal(size=150)[teacher] + halo + 0.5 * rng.normal(size=len(teacher))
    found = reciprocity(frame, cluster="teacher_id", relationship="care", practices=["thinking"]).association
    assert found["within_r"][0] > 0.7
    assert found["between_r_observed"][0] > 0.15
    assert abs(found["between_r"][0]) < 0.2
    assert found["between_r"][0] < found["between_r_observed"][0]


def test_several_practices_are_modelled_in_pairs_and_jointly(long: Any) -> None:
    """Joint rows adjust for the other practices."""
    data = long.assign(monitoring=long["thinking"] * 0.5 + np.random.default_rng(1).normal(size=len(long)))
    frame = reciprocity(data, **(CALL | {"practices": ["thinking", "monitoring"]}), n_splits=0).to_frame()
    assert set(frame["model"]) == {"pair", "joint"}
    pick = frame[(frame["effect"] == "care -> thinking") & frame["corrected"]].set_index("model")["estimate"]
    assert pick["pair"] != pytest.approx(pick["joint"], abs=1e-6)


def test_three_waves_are_taken_in_steps(long: Any) -> None:
    """Each pair of successive waves, in order of the numbers."""
    third = _long(seed=8).query("wave == 2").assign(wave=10)
    frame = reciprocity(pd.concat([third, long]), **CALL, n_splits=0).to_frame()
    steps = frame[frame["model"] == "pair"]
    assert set(zip(steps["from_wave"], steps["to_wave"], strict=True)) == {("1", "2"), ("2", "10")}


def test_a_wave_handed_in_twice_is_said(long: Any) -> None:
    """Copied answers make the scores of two waves dependent: no estimate, a reason."""
    copied = pd.concat([long[long["wave"] == 2].assign(wave=3), long])
    frame = reciprocity(copied, **CALL, n_splits=0).to_frame()
    bad = frame[frame["from_wave"] == "2"]
    assert bad["reason"].str.contains("dependent").all()
    assert bad["estimate"].isna().all()


def test_one_wave_has_no_direction(long: Any) -> None:
    """Association within and between classes, and it says that there is no direction in time."""
    found = reciprocity(long[long["wave"] == 1], **CALL)
    frame = found.to_frame()
    assert set(frame["effect"]) == {"care with thinking (between classes)"}
    assert found.status.level == "caution"
    assert "no direction in time" in found.status.reasons[0]
    assert found.association["within_r"][0] == pytest.approx(0.6, abs=0.05)


def test_students_followed_over_waves_share_their_errors() -> None:
    """With student ids the errors covary across waves; the stable halo of a student is not a class lag."""
    rng = np.random.default_rng(4)
    teacher = np.repeat(np.arange(120), 15)
    person = rng.normal(size=len(teacher))
    parts = []
    for wave in (1, 2):
        part = pd.DataFrame({"teacher_id": teacher, "student": np.arange(len(teacher)), "wave": wave})
        for name in ("care", "thinking"):
            part[name] = 0.4 * rng.normal(size=120)[teacher] + person + 0.5 * rng.normal(size=len(teacher))
        parts.append(part)
    data = pd.concat(parts)
    followed = reciprocity(data, **CALL, student="student", n_splits=0).to_frame().set_index(["effect", "corrected"])
    blind = reciprocity(data, **CALL, n_splits=0).to_frame().set_index(["effect", "corrected"])
    assert followed.loc[("care -> thinking", True), "estimate"] < blind.loc[("care -> thinking", True), "estimate"]
    with pytest.raises(DataError, match="two rows in one wave"):
        reciprocity(pd.concat([data, data.iloc[:1]]), **CALL, student="student")


def test_the_seed_reproduces_and_order_does_not_matter(long: Any) -> None:
    """Same seed, same halves; shuffled rows, same effects."""
    first = reciprocity(long, **CALL, n_splits=3, rng=5)
    assert first.equals(reciprocity(long, **CALL, n_splits=3, rng=5))
    shuffled = reciprocity(long.sample(frac=1, random_state=1), **CALL, n_splits=0)
    assert shuffled.table.equals(first.table, rtol=1e-6, atol=1e-9)


def test_progress_counts_splits_and_draws(long: Any) -> None:
    """Two splits, and a hundred draws of each of two analyses."""
    seen: list[tuple[int, int]] = []
    reciprocity(long, **CALL, n_splits=2, n_boot=100, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (202, 202)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_draws_of_classes_agree_with_the_sandwich(long: Any) -> None:
    """Standard errors within a quarter; intervals around the estimate; one and two workers, and the seed, the same digits."""
    first = reciprocity(long, **CALL, n_splits=0, n_boot=400, rng=2)
    draws = first.bootstrap.to_frame().set_index(["effect", "corrected"])
    table = first.to_frame().set_index(["effect", "corrected"])
    assert (draws["n_draws"] == 400).all()
    assert np.abs(np.log(draws["se"] / table["se"])).max() < 0.25
    assert ((draws["lower"] < draws["estimate"]) & (draws["estimate"] < draws["upper"])).all()
    assert first.equals(reciprocity(long, **CALL, n_splits=0, n_boot=400, rng=2, workers=2))


def test_directions_are_compared(result: ReciprocityResult) -> None:
    """The difference is the difference, and its test that of a regression of true scores."""
    row = next(r for r in result.directions.rows() if r["corrected"] and r["by"] == "all")
    effects = result.to_frame().query("corrected and by == 'all'").set_index("effect")
    assert row["to_practice"] == pytest.approx(effects.loc["care -> thinking", "std"])
    assert row["difference"] == pytest.approx(row["to_practice"] - effects.loc["thinking -> care", "std"])
    assert row["lower"] < row["difference"] < row["upper"]


def test_within_and_between_are_kept_apart(long: Any) -> None:
    """Within: the pooled slope; between: the slope of true scores; both recover the design, .6 and .5."""
    table = reciprocity(long, **CALL, n_splits=0).contextual.to_frame()
    first = table[table["wave"] == "1"].set_index("level")
    assert first.loc["within classes", "estimate"] == pytest.approx(0.6, abs=0.05)
    assert abs(first.loc["between classes", "estimate"] - 0.5) < 3 * first.loc["between classes", "se"]
    gap = first.loc["between classes", "estimate"] - first.loc["within classes", "estimate"]
    assert first.loc["difference", "estimate"] == pytest.approx(gap)


def test_power_by_its_formula(long: Any) -> None:
    """Detectable lag from the standard error; power .80 at it; more for larger lags."""
    from scipy.stats import norm

    found = reciprocity(long, **CALL, n_splits=0)
    row = next(found.power.rows())
    assert row["detectable"] == pytest.approx((norm.ppf(0.975) + norm.ppf(0.8)) * row["std_se"])
    ratio = 0.2 / row["std_se"]
    assert row["power_20"] == pytest.approx(norm.sf(1.959964 - ratio) + norm.cdf(-1.959964 - ratio), abs=1e-6)
    assert row["power_10"] < row["power_20"] < row["power_30"]
    assert row["classes_for_10"] == int(np.ceil(200 * (row["detectable"] / 0.1) ** 2))


def _three_waves(teachers: int = 150) -> Any:
    """Stable differences and lags within teachers over three waves of other students each."""
    rng = np.random.default_rng(12)
    stable, now = rng.normal(size=(teachers, 2)), rng.normal(size=(teachers, 2))
    home = np.repeat(np.arange(teachers), 18)
    parts = []
    for wave in (1, 2, 3):
        answers = (stable + now)[home] + rng.multivariate_normal([0, 0], [[3.0, 1.8], [1.8, 3.0]], len(home))
        parts.append(pd.DataFrame({"teacher_id": home, "wave": wave, "care": answers[:, 0], "thinking": answers[:, 1]}))
        now = now @ np.array([[0.3, 0.3], [0.1, 0.3]]) + 0.8 * rng.normal(size=(teachers, 2))
    return pd.concat(parts)


def test_three_waves_take_out_stable_differences() -> None:
    """Random-intercept rows, equal lags tested, growth; the models are printed."""
    data = _three_waves()
    found = reciprocity(data, **CALL, n_splits=0)
    assert {"random intercepts", "random intercepts, equal lags"} <= set(found.table["model"])
    tests = found.model_tests.to_frame().query("corrected").set_index("test")
    assert tests.loc["equal lags", "df"] == 4
    assert tests.loc["fit of random intercepts", "df"] == 1
    assert set(found.growth["what"]) == {"level", "change", "level on relationship", "change on relationship"}
    assert "ri_care =~ 1*care_1 + 1*care_2 + 1*care_3" in found.syntax
    assert rm.sem(found.syntax, _wide(data), auto=False, mean_structure=True).converged


@pytest.mark.parametrize("seed", [2, 3])
def test_empty_rows_of_random_intercepts_say_what_they_need(seed: int) -> None:
    """No stable part and few teachers: the model mostly has no usable solution, and the row asks for teachers."""
    rng = np.random.default_rng(seed)
    home, now = np.repeat(np.arange(60), 15), rng.normal(size=(60, 2))
    parts = []
    for wave in (1, 2, 3):
        answers = now[home] + rng.multivariate_normal([0, 0], [[5.0, 3.0], [3.0, 5.0]], len(home))
        parts.append(pd.DataFrame({"teacher_id": home, "wave": wave, "care": answers[:, 0], "thinking": answers[:, 1]}))
        now = now @ np.array([[0.5, 0.1], [0.2, 0.5]]) + 0.8 * rng.normal(size=(60, 2))
    table = reciprocity(pd.concat(parts), **CALL, n_splits=0).table.to_frame()
    rows = table[table["corrected"] & table["model"].str.startswith("random intercepts")]
    empty = rows[rows["estimate"].isna()]
    assert len(empty) >= 1
    assert empty["reason"].str.contains("need more teachers").all()


def _wide(data: Any) -> Any:
    means = data.groupby(["teacher_id", "wave"])[["care", "thinking"]].mean().unstack()
    means.columns = [f"{score}_{wave}" for score, wave in means.columns]
    return means


def test_instruments_are_scored_and_their_invariance_tested_first() -> None:
    """From raw answers of two waves to the answer in one call."""
    care, practice = (rm.load_instrument(name) for name in ("relationship-student", "practice-student"))
    scale = practice.scale_ids[0]
    waves = [
        pd.concat([rm.simulate(i, n_clusters=60, cluster_size=15, icc=0.3, rng=w) for i in (care, practice)], axis=1)
        for w in (1, 2)
    ]
    data = pd.concat([w.loc[:, ~w.columns.duplicated()].assign(wave=k) for k, w in enumerate(waves, start=1)])
    call: dict[str, Any] = {"cluster": "class_id", "wave": "wave", "relationship": "care", "practices": [scale]}
    found = reciprocity(data, **call, instruments=[care, practice], n_splits=0)
    assert set(found.invariance["scale"]) == {"care", scale}
    assert found.comparability.startswith("Invariance over waves")
    assert found.provenance is not None
    assert found.provenance.instrument == f"{care.label}, {practice.label}"
    scored = rm.score(practice, rm.score(care, data, scales=["care"]), scales=[scale])
    assert reciprocity(scored, **call, n_splits=0).table.equals(found.table)
    with pytest.raises(OptionError, match="no instrument has it"):
        reciprocity(data, **call, instruments=care)


def test_the_same_students_are_tested_over_waves_as_persons() -> None:
    """With student=, invariance is that of the same people over time."""
    care, practice = (rm.load_instrument(name) for name in ("relationship-student", "practice-student"))
    scale = practice.scale_ids[0]
    parts = [rm.simulate(i, n_clusters=60, cluster_size=15, icc=0.3, rng=4) for i in (care, practice)]
    one = pd.concat(parts, axis=1)
    one = one.loc[:, ~one.columns.duplicated()]
    data = pd.concat([one.assign(wave=1), one.sample(frac=1, random_state=2).set_index(one.index).assign(wave=2)])
    data[["student_id", "class_id"]] = pd.concat([one, one])[["student_id", "class_id"]]
    call: dict[str, Any] = {"cluster": "class_id", "wave": "wave", "relationship": "care", "practices": [scale]}
    found = reciprocity(data, **call, student="student_id", instruments=[care, practice], n_splits=0)
    assert set(found.invariance["reached"]) <= {"metric", "scalar", "strict"}


def test_a_file_handed_in_twice_is_noticed(long: Any) -> None:
    """All rows of every class twice, or of one class; not chance repetitions of coarse scores."""
    small = long[long["teacher_id"] < 60]
    with pytest.warns(DuplicateRowsWarning, match="60 of 60 classes"):
        reciprocity(pd.concat([small, small]), **CALL, n_splits=0)
    with pytest.warns(DuplicateRowsWarning, match="1 of 60 classes .*: 7"):
        reciprocity(pd.concat([small, small[small["teacher_id"] == 7]]), **CALL, n_splits=0)
    coarse = small.assign(care=small["care"].round(), thinking=small["thinking"].round())
    assert not reciprocity(coarse, **CALL, n_splits=0).warnings


def test_two_way_errors_need_twenty_clusters_each(long: Any) -> None:
    """Schools and, say, cohorts of training; too few are refused, enough give other errors and the smaller freedom."""
    data = long.assign(training=long["teacher_id"] % 25)
    both = reciprocity(data, **CALL, school=["school", "training"], n_splits=0)
    one = reciprocity(data, **CALL, school="school", n_splits=0)
    assert both.table["estimate"] == one.table["estimate"]
    assert both.table["se"] != one.table["se"]
    with pytest.raises(TooFewObservationsError, match="second column of school= has 5 clusters"):
        reciprocity(data.assign(training=data["teacher_id"] % 5), **CALL, school=["school", "training"])


def test_progress_is_reported(long: Any) -> None:
    """One call a split."""
    seen: list[tuple[int, int]] = []
    reciprocity(long, **CALL, n_splits=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]


def test_round_trip(result: ReciprocityResult) -> None:
    """Dict and frame."""
    assert ReciprocityResult.from_dict(json.loads(json.dumps(result.to_dict()))).equals(result)


def test_nonsense_is_named(long: Any) -> None:
    """Practices, columns, bands, too few classes."""
    with pytest.raises(OptionError, match="list of score columns"):
        reciprocity(long, **(CALL | {"practices": "thinking"}))
    with pytest.raises(OptionError, match="at least one"):
        reciprocity(long, **(CALL | {"practices": []}))
    with pytest.raises(OptionError, match="twice"):
        reciprocity(long, **(CALL | {"practices": ["care"]}))
    with pytest.raises(ColumnNotFoundError, match="thinking"):
        reciprocity(long, **(CALL | {"practices": ["thinkin"]}))
    mixed = long.assign(grade_band=np.where(long.index % 2 == 0, "a", "b"))
    with pytest.raises(DataError, match="more than one value of 'grade_band'"):
        reciprocity(mixed, **CALL, by="grade_band")
    with pytest.warns(FewClustersWarning):
        few = reciprocity(long[long["teacher_id"] < 4], **CALL, n_splits=0)
    assert few.status.level == "failed"
    assert few.to_frame()["reason"].str.contains("more classes").all()


def test_one_student_a_class_is_not_called_corrected(long: Any) -> None:
    """Nothing is known of the error of such means: no corrected row, rather than one equal to the uncorrected."""
    alone = long.drop_duplicates(["teacher_id", "wave"])
    result = reciprocity(alone, **CALL, n_splits=0)
    for row in result.table.rows():
        assert (row["reason"] is not None) == row["corrected"]
        if row["corrected"]:
            assert "No class has two students with care@1, thinking@1" in row["reason"]
            assert np.isnan([row["estimate"], row["se"], row["lower"]]).all()
    assert np.isnan(result.class_reliability["reliability"]).all()


def test_waves_follow_the_order_that_is_declared(long: Any) -> None:
    names = pd.Categorical(np.where(long["wave"] == 1, "spring", "fall"), ["winter", "spring", "fall"], ordered=True)
    wanted = reciprocity(long, **CALL, n_splits=0)
    ordered = reciprocity(long.assign(wave=names), **CALL, n_splits=0)
    assert {(row["from_wave"], row["to_wave"]) for row in ordered.table.rows()} == {("spring", "fall")}
    assert ordered.table["estimate"] == wanted.table["estimate"]
    with pytest.raises(DataError, match="fall, spring of 'wave' do not say which comes first"):
        reciprocity(long.assign(wave=names.astype(str)), **CALL, n_splits=0)


def test_scores_that_are_infinite_or_absent_and_levels_outside_their_range(long: Any) -> None:
    with pytest.raises(NonNumericError, match="Infinite values in care"):
        reciprocity(long.assign(care=long["care"].where(long.index != 3, np.inf)), **CALL)
    with pytest.raises(DataError, match="No row has a value of care"):
        reciprocity(long.assign(care=np.nan), **CALL)
    with pytest.raises(OptionError, match="conf_level"):
        reciprocity(long, **CALL, conf_level=95)


@pytest.mark.parametrize("option", [{"n_boot": 1}, {"n_splits": -1}, {"workers": 0}])
def test_counts_outside_their_range(long: Any, option: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(option))):
        reciprocity(long, **CALL, **option)


@pytest.mark.shared
def test_real_ratings_within_and_between(shared_reference: Path) -> None:
    """Five countries, one wave: correlations within and between classes in the published ranges."""
    data = pd.read_csv(shared_reference / "data" / "gti_students" / "data.csv")
    instrument = rm.load_instrument("gti-student")
    practices = ["clarity", "cognitive_activation", "feedback", "teacher_support"]
    scored = rm.score(instrument, data, scales=["relationship", *practices])
    found = reciprocity(scored, cluster="class", relationship="relationship", practices=practices, n_splits=0)
    assert min(found.association["within_r"]) > 0.33
    assert max(found.association["within_r"]) < 0.66
    assert min(found.association["between_r_observed"]) > 0.55


# --------------------------------------------------------------------------- who carries an effect, and how sure one can be
def test_one_school_is_refused_and_a_band_of_one_school_told(long: Any) -> None:
    """What one school does says nothing of the next: no standard error of zero, no bounds that are missing."""
    with pytest.raises(TooFewObservationsError, match=r"One school \('s1'\) in these 200 classes"):
        reciprocity(long.assign(school="s1"), **CALL, school="school", n_splits=0)
    alone = long.assign(school=np.where(long["grade_band"] == "4-6", "s0", long["school"].astype(str)))
    with pytest.warns(FewClustersWarning, match="4-6: 1,"):
        found = reciprocity(alone, **CALL, school="school", by="grade_band", n_splits=0)
    frame = found.to_frame().set_index("by")
    assert frame.loc["4-6", "reason"].str.contains(r"One school \('s0'\) in these 70 classes").all()
    assert frame.loc["4-6", ["estimate", "se", "lower"]].isna().all(axis=None)
    assert frame.loc[["all", "7-8", "9-10"], "lower"].notna().all()
    told = found.contextual.to_frame().set_index("by").loc["4-6"]
    assert told["se"].isna().all()
    assert told["reason"].notna().all()
    assert found.status.level == "caution"
    assert set(found.band_tests["df"]) == {1}


def test_few_schools_are_said_and_taken_by_t(long: Any) -> None:
    """Three schools: a warning, and bounds of t with two degrees of freedom."""
    from scipy import stats

    with pytest.warns(FewClustersWarning, match=r"Few schools \(all: 3\)"):
        found = reciprocity(long.assign(school=long["teacher_id"] % 3), **CALL, school="school", n_splits=0)
    row = next(found.table.rows())
    assert (row["upper"] - row["estimate"]) / row["se"] == pytest.approx(stats.t.ppf(0.975, 2))


def test_classes_of_one_wave_carry_no_lag(long: Any) -> None:
    """N, the warning of few classes and the degrees of freedom are of the classes that are there in both waves."""
    once = long[(long["wave"] == 1) | (long["teacher_id"] < 30)]
    with pytest.warns(FewClustersWarning, match="30 classes in two successive waves: standard errors"):
        found = reciprocity(once, **CALL, n_splits=0)
    assert set(found.table["n_classes"]) == {30}
    assert set(found.power["n_classes"]) == {30}
    with pytest.warns(FewClustersWarning, match=r"30 classes \(4-6: 30, 7-8: 0, 9-10: 0\) in two successive waves"):
        banded = reciprocity(once, **CALL, by="grade_band", n_splits=0)
    assert {row["n_classes"] for row in banded.table.rows() if row["by"] in ("7-8", "9-10")} == {0}
    row = next(r for r in found.table.rows() if r["corrected"])
    f2 = (row["estimate"] / row["se"]) ** 2 / 27
    assert found.sensitivity["partial_r2"][0] == pytest.approx(f2 / (1 + f2))
    assert "Over 30 teachers" in found.summary()


@pytest.mark.parametrize("missing", [None, np.nan])
def test_classes_without_a_band_are_in_none(long: Any, missing: Any) -> None:
    """Counted, not made a band of their own; numbers with gaps are the same numbers."""
    grade = np.where(long["teacher_id"] < 60, missing, np.where(long["teacher_id"] < 130, 5, 7))
    data = long.assign(grade=grade if missing is None else grade.astype(float))
    with pytest.warns(ListwiseDeletionWarning, match="60 of 200 classes have no value in the column of by="):
        found = reciprocity(data, **CALL, by="grade", n_splits=0)
    assert set(found.table["by"]) == {"all", "5", "7"}
    assert set(found.band_tests["df"]) == {1}
    assert {row["n_classes"] for row in found.table.rows() if row["by"] == "all"} == {200}


def test_a_student_belongs_to_one_half_in_all_waves() -> None:
    """Nobody who is behind the earlier relationship is behind the later practice; halves are as equal as can be."""
    rng = np.random.default_rng(1)
    home = np.repeat(np.arange(40), 21)
    rows: dict[str, Any] = {"c": np.tile(home, 2), "s": np.tile(np.arange(840), 2), "wave": np.repeat([1, 2], 840)}
    rows |= {"care": rng.normal(size=1680), "thinking": rng.normal(size=1680)}
    data = pd.DataFrame(rows)[lambda d: (d["wave"] == 1) | (d["s"] % 4 > 0)]
    waves = as_waves(data, scores=["care", "thinking"], cluster="c", wave="wave", student="s")
    split = in_halves(ReciprocalStudy(waves, "care", ("thinking",), 0.95), np.random.default_rng(0))
    there = ~np.isnan(split.values).reshape(-1, 2, 2)
    care, practice = there[:, :, 0].any(axis=1), there[:, :, 1].any(axis=1)
    assert not (care & practice).any()
    assert (care | practice).all()
    for wave in (0, 1):
        both = [np.bincount(split.code, weights=there[:, wave, k], minlength=40) for k in (0, 1)]
        assert np.abs(both[0] - both[1]).max() <= 2


def test_one_reason_is_told_once(long: Any) -> None:
    """Scores that are copies of each other: one line names the effects, not a line each."""
    copies = long.assign(thinking=long["care"], monitoring=2 * long["care"], engagement=long["care"])
    call = CALL | {"practices": ["thinking", "monitoring", "engagement"]}
    found = reciprocity(copies, **call, n_splits=0)
    (reason,) = found.status.reasons
    assert reason.startswith("care -> care, care -> thinking, thinking -> care, care -> monitoring, and 3 more (all): ")
    assert found.summary().startswith("Nothing could be estimated")


def test_chance_is_counted(long: Any, result: ReciprocityResult) -> None:
    """How many associations were looked at, how many are clear, and how many would be by chance alone."""
    shown = result.overview().to_frame()
    clear = int(((shown["lower"] > 0) | (shown["upper"] < 0)).sum())
    assert len(shown) == 8
    assert f"8 associations were looked at (the table), and {clear} are clear at the 95% level." in result.summary()
    assert "about 0.4 of 8 would still look clear by chance" in result.summary()
    ninety = reciprocity(long, **CALL, n_splits=0, conf_level=0.9).summary()
    assert "about 0.2 of 2 would still" in ninety


def test_a_standardised_value_beyond_one_is_remarked() -> None:
    """Two scores whose true values are nearly the same share the later outcome between them in any way."""
    rng = np.random.default_rng(4)
    true = rng.normal(size=300)
    near = true + 0.05 * rng.normal(size=300)
    later = np.column_stack([true, near + 3 * (near - true) * 10])
    home = np.repeat(np.arange(300), 10)
    noise = rng.normal(size=(2, 3000, 2))
    first = np.column_stack([true, near])[home] + 0.05 * noise[0]
    second = later[home] + 0.05 * noise[1]
    data = pd.DataFrame(np.vstack([first, second]), columns=["care", "thinking"])
    data = data.assign(teacher_id=np.tile(home, 2), wave=np.repeat([1, 2], 3000))
    found = reciprocity(data, **CALL, n_splits=0)
    assert np.abs(found.overview()["std"]).max() > 1
    assert any(
        text.startswith("Standardised beyond one: care -> thinking (all, pair)") for text in found.status.reasons
    )
    assert found.status.level == "caution"


def test_words_name_the_waves_where_there_are_several(long: Any) -> None:
    """From three waves on an effect alone does not say which lag is meant."""
    third = long[long["wave"] == 2].assign(wave=3)
    third["care"] += np.random.default_rng(2).normal(size=len(third))
    found = reciprocity(pd.concat([long, third]), **CALL, n_splits=2)
    assert re.search(r"stay within .* \((care|thinking) -> \w+, wave \d to \d:", found.summary())
    assert set(found.overview()["waves"]) == {"1 to 2", "2 to 3", "each to next"}
