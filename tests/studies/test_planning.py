"""Planning: published tables, semTools, closed forms turned round, and what simulated surveys then show."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import relmeasure as rm
from relmeasure.exceptions import OptionError, UnsupportedDataError
from relmeasure.multilevel import icc_from_clusters
from relmeasure.samplestats.clusters import ClusterSums
from relmeasure.samplestats.estimates import MomentEstimate
from relmeasure.studies.planning import Plan
from relmeasure.studies.planning.class_means import mean_reliability, students_for
from relmeasure.studies.planning.fit_power import rmsea_power
from tests.support import load_reference

REFERENCE = load_reference("planning/planning")
NONCENTRAL = 1e-10
"""Absolute: two programs of the noncentral chi-square."""

LAVAAN_STOPS = 2e-5
"""lavaan's optimiser stops where its gradient is small; a chi-square of 8 then has four digits after the point."""

SIZES = (6, 15, 20, 25)

CARE = rm.load_instrument("relationship-student")

SPEARMAN_BROWN = {
    0.05: ((0.24, 0.44, 0.51, 0.57), 45, 76),
    0.085: ((0.36, 0.58, 0.65, 0.70), 26, 44),
    0.10: ((0.40, 0.625, 0.69, 0.74), 21, 36),
    0.15: ((0.51, 0.73, 0.78, 0.82), 14, 23),
    0.20: ((0.60, 0.79, 0.83, 0.86), 10, 16),
    0.30: ((0.72, 0.87, 0.90, 0.91), 6, 10),
}
"""ICC(1): reliability of the mean of 6, 15, 20 and 25 students; students for .70 and .80 (printed to two digits)."""


# --------------------------------------------------------------------------- students
@pytest.mark.parametrize("icc", SPEARMAN_BROWN)
def test_every_cell_of_the_table_of_class_sizes(icc: float) -> None:
    """The whole table comes out of the question asked without a target."""
    printed, for_70, for_80 = SPEARMAN_BROWN[icc]
    rows = list(rm.plan("students", icc=icc).table.rows())
    counts = {row["target_value"]: row["n"] for row in rows if row["target"] == "reliability"}
    assert counts == {0.70: for_70, 0.80: for_80}
    given = {row["n"]: row["reliability"] for row in rows if row["target"] is None}
    assert tuple(given) == SIZES
    for size, value in zip(SIZES, printed, strict=True):
        assert given[size] == pytest.approx(value, abs=0.00501)  # .735 is printed as .74


@given(icc=st.floats(0.01, 0.95), wanted=st.floats(0.05, 0.99))
def test_the_number_of_students_is_the_smallest(icc: float, wanted: float) -> None:
    """One student fewer has less reliability than was asked for."""
    n = students_for(icc, wanted)
    assert mean_reliability(icc, n) >= wanted - 1e-9
    assert n == 1 or mean_reliability(icc, n - 1) < wanted + 1e-9


def test_interval_width_and_roster() -> None:
    """The width that is promised is that of the class mean, with and without a roster."""
    free = rm.plan("students", icc=0.2, half_width=0.3, sd=0.8)
    sigma = 0.8 * math.sqrt(0.8)
    assert free.table["n"] == (math.ceil((1.959963984540054 * sigma / 0.3) ** 2),)
    held = rm.plan("students", icc=0.2, half_width=0.3, sd=0.8, roster=24, response_rate=0.75)
    (row,) = held.table.rows()
    assert row["n"] < free.table["n"][0]
    assert row["half_width"] == pytest.approx(1.959963984540054 * sigma * math.sqrt((1 - row["n"] / 24) / row["n"]))
    assert row["half_width"] <= 0.3
    assert row["invited"] == math.ceil(row["n"] / 0.75)
    assert row["enough"] is True
    assert rm.plan("students", icc=0.02, reliability=0.8, roster=24).table["enough"] == (False,)


# --------------------------------------------------------------------------- classes
def test_icc_interval_is_that_of_the_estimator() -> None:
    """Classes whose mean squares give exactly the planned ICC have the planned interval."""
    (row,) = rm.plan("classes", icc=0.15, n_students=20, icc_width=0.1).table.rows()
    j, k = row["n"], 20
    mean = np.random.default_rng(3).standard_normal(j)
    mean = (mean - mean.mean()) / mean.std(ddof=1) * math.sqrt(0.15 + 0.85 / k)
    stats = ClusterSums(
        ("y",), tuple(map(str, range(j))), j * k, np.full(j, k), mean[:, None], np.array([[0.85 * j * (k - 1)]])
    )
    result = icc_from_clusters(stats, method="anova")
    assert result.icc1 == pytest.approx(0.15)
    assert (result.icc1_lower, result.icc1_upper) == pytest.approx((row["icc_lower"], row["icc_upper"]))
    assert row["icc_width"] <= 0.1
    fewer = rm.plan("classes", icc=0.15, n_students=20, n=j - 1)
    assert fewer.table["icc_width"][0] > 0.1


def test_mean_over_classes() -> None:
    """The error of the mean is that of J independent class means."""
    (row,) = rm.plan("classes", icc=0.1, n_students=25, mean_half_width=0.1).table.rows()
    assert row["mean_half_width"] <= 0.1
    assert rm.plan("classes", icc=0.1, n_students=25, n=row["n"] - 1).table["mean_half_width"][0] > 0.1
    rng = np.random.default_rng(5)
    j = row["n"]
    drawn = rng.normal(0, math.sqrt(0.1), (4000, j)) + rng.normal(0, math.sqrt(0.9 / 25), (4000, j))
    from scipy.special import stdtrit

    assert drawn.mean(axis=1).std() * stdtrit(j - 1, 0.975) == pytest.approx(row["mean_half_width"], rel=0.04)


# --------------------------------------------------------------------------- occasions
def test_occasions_read_the_decision_study() -> None:
    """Each design has the coefficient of its formula, and the fewest ratings that reach the wanted one are named."""
    parts = {"teacher": 0.30, "teacher:occasion": 0.10, "student:teacher": 0.25, "residual": 0.90}
    plan = rm.plan("occasions", components=parts, object="teacher", n={"occasion": [1, 2, 4], "student": [5, 20]})
    for row in plan.table.rows():
        m, s = row["n_occasion"], row["n_student"]
        error = 0.10 / m + 0.25 / s + 0.90 / (m * s)
        assert row["g"] == pytest.approx(0.30 / (0.30 + error))
        assert row["reached"] == (row["g"] >= 0.70)
        assert row["ratings"] == m * s
    assert plan.answers[0].startswith("g of at least 0.7 for teacher: fewest ratings with 4 occasion x 5 student")
    none = rm.plan("occasions", components=parts, object="teacher", n={"occasion": 1, "student": 5}, reliability=0.99)
    assert none.answers[0].startswith("None of these designs")


# --------------------------------------------------------------------------- differences
def test_differences_use_the_errors_of_the_monitor() -> None:
    """Same students: the covariance they share is taken out; other students: the errors add."""
    apart = rm.plan("difference", n=20, icc=0.2, between="waves", sd=2.0)
    same = rm.plan("difference", n=20, icc=0.2, between="waves", sd=2.0, same_students=1.0, stability=0.5)
    assert apart.table["se"][0] == pytest.approx(2 * math.sqrt(0.8 * 2 / 20))
    assert same.table["se"][0] == pytest.approx(2 * math.sqrt(0.8 * 2 * 0.5 / 20))
    assert apart.table["significant"][0] == pytest.approx(1.959963984540054 * apart.table["se"][0])
    assert apart.table["detectable"][0] == pytest.approx(
        (1.959963984540054 + 0.8416212335729143) * apart.table["se"][0]
    )
    once, often = (rm.plan("difference", n=20, icc=0.2, comparisons=tests).table for tests in (1, 10))
    assert often["se"] == once["se"]
    assert often["significant"][0] / often["se"][0] == pytest.approx(2.807033768343811)  # R: qnorm(1 - .05 / 20)


def test_a_detectable_difference_is_detected_as_often_as_stated() -> None:
    """Two classes that truly differ by the detectable difference."""
    rng = np.random.default_rng(8)
    (row,) = rm.plan("difference", n=18, n_other=25, icc=0.25).table.rows()
    one = rng.normal(row["detectable"], math.sqrt(0.75), (20_000, 18)).mean(axis=1)
    two = rng.normal(0, math.sqrt(0.75), (20_000, 25)).mean(axis=1)
    assert (np.abs(one - two) > row["significant"]).mean() == pytest.approx(0.80, abs=0.01)
    wanted = rm.plan("difference", n=18, icc=0.25, wanted=0.5).answers[-1]
    n = int(wanted.rsplit("from ", 1)[1].split()[0])
    assert rm.plan("difference", n=n, icc=0.25).table["detectable"][0] <= 0.5
    assert rm.plan("difference", n=n - 1, icc=0.25).table["detectable"][0] > 0.5


# --------------------------------------------------------------------------- gates
def test_shares_are_those_of_simulated_surveys() -> None:
    """Classes of a simulated survey pass the gates as often as was planned."""
    rosters = [8, 14, 18, 22, 26, 30]
    rng = np.random.default_rng(4)
    for spread in (0.0, 0.12):
        plan = rm.plan("gates", roster=rosters, icc=0.12, response_rate=0.7, rate_sd=spread)
        rate = np.full((40_000, 1), 0.7)
        if spread:
            total = 0.7 * 0.3 / spread**2 - 1
            rate = rng.beta(0.7 * total, 0.3 * total, (40_000, len(rosters)))
        answered = rng.binomial(rosters, np.broadcast_to(rate, (40_000, len(rosters))))
        good = (answered >= 15) & (mean_reliability(0.12, 1) * answered / (1 + (answered - 1) * 0.12) >= 0.70)
        assert plan.table["suppressed"] == pytest.approx((answered < 6).mean(axis=0), abs=0.008)
        assert plan.table["reportable"] == pytest.approx(good.mean(axis=0), abs=0.008)
        total_share = np.array([plan.table[name] for name in ("suppressed", "low_reliability", "reportable")]).sum(
            axis=0
        )
        assert total_share == pytest.approx(1.0)


def test_planned_gates_are_the_gates_of_classroom_scores() -> None:
    """With everybody answering, the plan is the status that classroom_scores gives, where the ICC is the planned one."""
    instrument = rm.load_instrument("relationship-student")
    sizes = [4, 7, 5, 12, 17, 20, 24, 28, 30, 33]
    data = rm.simulate(instrument, n_clusters=10, cluster_size=sizes, icc=0.3, rng=2)
    scores = rm.classroom_scores(instrument, data, scales=["care"])
    plan = rm.plan("gates", roster=sizes, icc=scores.components["icc1"][0])
    seen = [row["status"] for row in scores.table.rows()]
    for status, row in zip(seen, plan.table.rows(), strict=True):
        assert row[{"low reliability": "low_reliability"}.get(status, status)] == pytest.approx(1.0)


# --------------------------------------------------------------------------- power of fit
@pytest.mark.parametrize("cell", REFERENCE["power"], ids=lambda c: f"{c['test']}-{c['df']}-{c['n']}-{c['group']}")
def test_power_is_that_of_semtools(cell: dict[str, Any]) -> None:
    """findRMSEApower, one and two groups."""
    found = rmsea_power(cell["rmsea0"], cell["rmsea1"], cell["df"], cell["n"], groups=cell["group"])
    assert found == pytest.approx(cell["power"], abs=NONCENTRAL)


@pytest.mark.parametrize("cell", REFERENCE["size"], ids=lambda c: f"{c['test']}-{c['df']}-{c['power']}-{c['group']}")
def test_sample_size_is_that_of_semtools(cell: dict[str, Any]) -> None:
    """findRMSEAsamplesize (of one group there, of all here)."""
    plan = rm.plan("fit", df=cell["df"], tests=[cell["test"]], power=cell["power"], groups=cell["group"])
    assert plan.table["n"][0] == round(cell["n"] * cell["group"])


def test_published_sample_sizes() -> None:
    """MacCallum, Browne & Sugawara (1996), Table 4, power .80, df 100: 132 (close) and 178 (not close)."""
    assert rm.plan("fit", df=100, tests=["close", "not_close"]).table["n"] == (132, 178)


def test_degrees_of_freedom_of_an_instrument_are_those_of_its_model() -> None:
    """What cfa reports for the same instrument."""
    instrument = rm.load_instrument("relationship-student")
    data = rm.simulate(instrument, n_clusters=20, rng=1)
    fitted = rm.cfa(instrument, data).fit_measures("df")["df"]
    plan = rm.plan("fit", instrument=instrument, n=[200, 400])
    assert set(plan.table["df"]) == {int(fitted)}
    assert rm.plan("fit", instrument=instrument, groups=2).table["df"][0] == 2 * int(fitted)


# --------------------------------------------------------------------------- power of invariance
@pytest.mark.parametrize("case", REFERENCE["invariance"])
def test_noncentrality_of_a_step_is_that_of_semtools(case: str) -> None:
    """lavaan's chi-square at the population moments, and the power that follows."""
    cell = REFERENCE["invariance"][case]
    instrument = rm.load_instrument("relationship-student")
    items = instrument.scale("care").items
    step, differences = ("scalar", {items[1]: 0.3}) if case == "intercept" else ("metric", {items[0]: -0.2})
    total = sum(cell["n"])
    plan = rm.plan(
        "invariance", instrument=instrument, scales=["care"], differences=differences, step=step, n=total,
        share=cell["n"][1] / total,
    )  # fmt: skip
    (row,) = plan.table.rows()
    assert [row["n_reference"], row["n_focal"]] == cell["n"]
    assert row["df"] == cell["df"]
    assert row["ncp"] == pytest.approx(cell["ncp"], rel=LAVAAN_STOPS)
    assert row["power"] == pytest.approx(cell["power"], abs=LAVAAN_STOPS)


@pytest.mark.parametrize(("difference", "ncp"), [(0.2, 6.0708), (-0.3, 6.8215)])
def test_a_differing_loading_is_standardised(difference: float, ncp: float) -> None:
    """Items of unit variance in both groups: the step at exact moments grows by the noncentrality that is planned."""
    instrument = rm.load_instrument("relationship-student")
    items = list(instrument.scale("care").items)
    asked: dict[str, Any] = {"scales": ["care"], "differences": {items[1]: difference}, "step": "metric"}
    (row,) = rm.plan("invariance", instrument=instrument, **asked, n=500, share=0.2).table.rows()
    loadings = np.full((2, len(items)), 0.7)
    loadings[1, 1] += difference
    moments = {}
    for name, n, weights in zip(("a", "b"), (400, 100), loadings, strict=True):
        matrix = np.outer(weights, weights)
        np.fill_diagonal(matrix, 1.0)
        cov = matrix * n / (n - 1)
        moments[name] = MomentEstimate.from_matrix(cov, n, items, mean=np.zeros(len(items)))
    steps = rm.invariance(f"care =~ {' + '.join(items)}", moments).to_frame().set_index("step")
    assert row["ncp"] == pytest.approx(steps.loc["metric", "delta_chisq"], rel=1e-6)
    assert row["ncp"] == pytest.approx(ncp, rel=1e-4)


def test_the_sample_for_a_power_has_it() -> None:
    """One person fewer has less; a design effect asks for as many times the persons."""
    instrument = rm.load_instrument("relationship-student")
    asked = {"instrument": instrument, "scales": ["care", "trust"], "differences": {"care_1": 0.25}}
    (row,) = rm.plan("invariance", **asked).table.rows()
    before, at = rm.plan("invariance", **asked, n=[row["n"] - 1, row["n"]]).table["power"]
    assert before < 0.80 <= at + 1e-9
    (nested,) = rm.plan("invariance", **asked, design_effect=2.0).table["n"]
    assert abs(nested - 2 * row["n"]) <= 2


@pytest.mark.slow
def test_simulated_groups_reject_as_often_as_planned() -> None:
    """Normal answers of two groups of 150 that differ in one intercept: 400 draws."""
    instrument = rm.load_instrument("relationship-student")
    items = list(instrument.scale("care").items)
    plan = rm.plan("invariance", instrument=instrument, scales=["care"], differences={items[1]: 0.3}, n=300)
    rng = np.random.default_rng(12)
    import pandas as pd
    from scipy.special import chdtri

    rejected = 0
    for _ in range(400):
        theta = rng.standard_normal((300, 1))
        y = 0.7 * theta + math.sqrt(1 - 0.49) * rng.standard_normal((300, 6))
        y[150:, 1] += 0.3
        frame = pd.DataFrame(y, columns=items).assign(g=["a"] * 150 + ["b"] * 150)
        steps = rm.invariance(f"care =~ {' + '.join(items)}", frame, group="g").to_frame().set_index("step")
        rejected += steps.loc["scalar", "delta_chisq"] > chdtri(5, 0.05)
    assert rejected / 400 == pytest.approx(plan.table["power"][0], abs=0.06)


# --------------------------------------------------------------------------- simulated cut-offs
def test_cutoffs_separate_right_from_wrong() -> None:
    """Bounds are the quantiles of the draws in ``detail``; more misfit moves them apart; the seed decides."""
    instrument = rm.load_instrument("relationship-student")
    calls: list[tuple[int, int]] = []
    asked = {"instrument": instrument, "scales": ["care"], "estimator": "ML", "n_replications": 20, "n_clusters": 20}
    plan = rm.plan("cutoffs", **asked, rng=5, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(k + 1, 80) for k in range(80)]
    few = asked | {"n_replications": 2}
    one, again, other = (rm.plan("cutoffs", **few, rng=seed) for seed in (5, 5, 6))
    assert one.equals(again)
    assert not one.equals(other)
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))).equals(plan)
    draws = plan.detail.to_frame()
    rows = {(row["misfit"], row["measure"]): row for row in plan.table.rows()}
    for (misfit, measure), row in rows.items():
        wrong, right = (draws.loc[draws["misfit"] == name, measure] for name in (misfit, "none"))
        worst = max if measure == "cfi" else min
        assert worst(wrong) == row["wrong_bound"]  # the 5% point of 20 draws is the first
        if not math.isnan(row["cutoff"]):
            beyond = (right <= row["cutoff"]) if measure == "cfi" else (right >= row["cutoff"])
            assert row["right_rejected"] == beyond.mean() <= 1 - row["level"]
            assert row["wrong_rejected"] >= row["level"]
    assert (
        rows["small", "rmsea"]["wrong_bound"]
        < rows["moderate", "rmsea"]["wrong_bound"]
        < rows["large", "rmsea"]["wrong_bound"]
    )
    assert plan.status.level == "caution"  # twenty draws are few
    assert "take 100 or more" in plan.summary()


def test_a_short_scale_has_fewer_wrong_models() -> None:
    """Of five items two pairs are all there are; each kind of misfit has a population of its own."""
    design = {"scales": ["relationship"], "estimator": "ML", "n_replications": 2}
    plan = rm.plan("cutoffs", instrument=rm.load_instrument("gti-student"), **design)
    assert set(plan.table["misfit"]) == {"small", "moderate"}
    assert len(plan.detail) == 3 * 2


@pytest.mark.slow
def test_cutoffs_hold_in_draws_they_were_not_made_from() -> None:
    """Cut-offs of one seed reject what they should among the draws of another."""
    instrument = rm.load_instrument("relationship-student")
    asked = {"instrument": instrument, "scales": ["care"], "estimator": "ML", "n_replications": 300}
    made, fresh = (rm.plan("cutoffs", **asked, rng=seed) for seed in (1, 2))
    draws = fresh.detail.to_frame()
    for row in made.table.rows():
        if row["measure"] == "rmsea" and row["misfit"] != "small":
            wrong, right = (draws.loc[draws["misfit"] == name, "rmsea"] for name in (row["misfit"], "none"))
            assert (wrong >= row["cutoff"]).mean() >= 0.91
            assert (right >= row["cutoff"]).mean() <= 0.09


# --------------------------------------------------------------------------- results and nonsense
@pytest.mark.parametrize(
    ("question", "design"),
    [
        ("students", {"icc": [0.1, 0.2]}),
        ("classes", {"icc": 0.1, "n_students": 20}),
        ("difference", {"n": 20, "icc": 0.1}),
        ("gates", {"roster": {"1a": 20, "1b": 24}, "icc": 0.2, "response_rate": 0.8}),
        ("fit", {"df": 35}),
        (
            "occasions",
            {"components": {"teacher": 0.5, "residual": 1.0}, "object": "teacher", "n": {"residual": [5, 9]}},
        ),
    ],
)
def test_plans_round_trip_and_print(question: Any, design: dict[str, Any]) -> None:
    """Dict and back, pickle, frame, sentences first."""
    plan = rm.plan(question, **design)
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))).equals(plan)
    assert pickle.loads(pickle.dumps(plan)).equals(plan)
    assert len(plan.to_frame()) == len(plan.table)
    assert plan.summary().startswith(plan.answers[0])
    assert "Assumed: " in str(plan)


@pytest.mark.parametrize(
    ("question", "design", "named"),
    [
        ("student", {}, "students"),
        ("students", {}, "icc="),
        ("students", {"ic": 0.1}, "icc"),
        ("students", {"icc": 0.0}, "icc"),
        ("students", {"icc": 1.0}, "icc"),
        ("students", {"icc": "0.1"}, "icc"),
        ("students", {"icc": 0.1, "reliability": 1.0}, "reliability"),
        ("students", {"icc": 0.1, "n": 0}, "n="),
        ("students", {"icc": 0.1, "n": 5.5}, "n="),
        ("students", {"icc": 0.1, "response_rate": 0}, "response_rate"),
        ("students", {"icc": math.nan}, "icc"),
        ("classes", {"icc": 0.1, "n_students": 1}, "n_students"),
        ("classes", {"icc": 0.1, "n_students": 20, "icc_width": 1e-6}, "icc_width"),
        ("difference", {"n": 20, "icc": 0.1, "stability": 0.5}, "between"),
        ("difference", {"n": 20, "icc": 0.1, "between": "waves", "stability": 0.5}, "same_students"),
        ("difference", {"n": 20, "icc": 0.1, "between": "schools"}, "classes"),
        ("gates", {"roster": [], "icc": 0.1}, "roster"),
        ("gates", {"roster": [20], "icc": 0.1, "response_rate": 1.5}, "response_rate"),
        ("gates", {"roster": [20], "icc": 0.1, "response_rate": 0.5, "rate_sd": 0.6}, "rate_sd"),
        ("gates", {"roster": [20], "icc": 0.1, "min_disclose": 20}, "min_report"),
        ("invariance", {"instrument": CARE, "differences": {}}, "differences"),
        ("invariance", {"instrument": CARE, "differences": {"care_9": 0.2}}, "care_1"),
        ("invariance", {"instrument": CARE, "differences": {"care_1": 0.4}, "step": "metric"}, "care_1"),
        ("invariance", {"instrument": CARE, "differences": {"care_1": 0.3}, "step": "strict"}, "scalar"),
        ("invariance", {"instrument": CARE, "differences": {"care_1": 0.0}}, "no sample"),
        ("cutoffs", {"instrument": "relationship-student"}, "load_instrument"),
        ("cutoffs", {"instrument": CARE, "estimator": "FIML"}, "MLR"),
        ("cutoffs", {"instrument": CARE, "n_replications": 1}, "n_replications"),
        ("cutoffs", {"instrument": CARE, "dependence": 1.0}, "dependence"),
        ("fit", {}, "df"),
        ("fit", {"df": 10, "tests": ["clsoe"]}, "close"),
        ("fit", {"df": 10, "rmsea0": 0.05}, "rmsea1"),
        ("occasions", {"components": {}, "object": "teacher", "n": {}}, "components"),
        ("occasions", {"components": {"teacher": -1.0, "residual": 1.0}, "object": "teacher", "n": {}}, "teacher"),
    ],
)
def test_nonsense_is_named(question: Any, design: dict[str, Any], named: str) -> None:
    """The argument is named, and what it may be."""
    with pytest.raises((OptionError, UnsupportedDataError), match=named):
        rm.plan(question, **design)


@settings(max_examples=30)
@given(icc=st.floats(0.02, 0.6), roster=st.lists(st.integers(1, 40), min_size=1, max_size=8), rate=st.floats(0.05, 1.0))
def test_shares_of_gates_are_probabilities(icc: float, roster: list[int], rate: float) -> None:
    """Never below zero or above one, and more answers never hide more."""
    some = rm.plan("gates", roster=roster, icc=icc, response_rate=rate)
    all_of_them = rm.plan("gates", roster=roster, icc=icc)
    for row, full in zip(some.table.rows(), all_of_them.table.rows(), strict=True):
        assert -1e-12 <= row["reportable"] <= full["reportable"] + 1e-12
        assert row["suppressed"] >= full["suppressed"] - 1e-12
