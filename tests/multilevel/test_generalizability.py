"""Variance components and decision studies: lme4, identities, real lessons, boundaries, nonsense."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmeasure.classical import alpha
from relmeasure.exceptions import (
    ColumnNotFoundError,
    DataError,
    FewClustersWarning,
    ListwiseDeletionWarning,
    NonNumericError,
    OptionError,
    TooFewObservationsError,
)
from relmeasure.multilevel import elimination
from relmeasure.multilevel.decision import DecisionStudy, decide, parsed_terms
from relmeasure.multilevel.generalizability import Generalizability, generalizability
from relmeasure.multilevel.random_effects import Crossed, Effect, Nested, design_of
from relmeasure.multilevel.raters import interrater
from relmeasure.multilevel.reml import maximise
from relmeasure.multilevel.variance import OneWay, likelihood
from tests.support import Constructor, load_reference

STORED = load_reference("multilevel/gtheory")
OPTIMISED = 2e-5
"""Relative: lme4 (bobyqa) leaves the components about 1e-6 apart on these data, up to 1e-5 on flat ones."""
ZERO = 1e-6
"""A component that lme4 leaves just above zero."""

EFFECTS = {
    "crossed": {
        "student": "student",
        "teacher:occasion": "teacher:occasion",
        "teacher": "teacher",
        "occasion": "occasion",
    },
    "nested": {"class": "class", "school": "school"},
    "zero": {"lesson": "lesson", "rater": "rater"},
}


def _fit(case: str, **options: Any) -> Generalizability:
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewClustersWarning)
        return generalizability(pd.DataFrame(STORED[case]["data"]), value="y", effects=list(EFFECTS[case]), **options)


@pytest.mark.parametrize("case", list(EFFECTS))
@pytest.mark.parametrize("method", ["reml", "ml"])
def test_components_are_those_of_lme4(case: str, method: Any) -> None:
    """Crossed with an interaction, nested, and at the boundary: components, mean, its error, deviance."""
    expected = STORED[case][method]
    found = _fit(case, method=method, interval="none")
    variance = dict(zip(found.components["effect"], found.components["variance"], strict=True))
    for name, value in zip(expected["effect"], expected["variance"], strict=True):
        mine = variance[name if name != "Residual" else "residual"]
        assert mine == pytest.approx(value, rel=OPTIMISED, abs=ZERO), name
    assert found.mu == pytest.approx(expected["mu"], abs=1e-5)
    assert found.mu_se == pytest.approx(expected["mu_se"], rel=1e-5)
    assert found.deviance == pytest.approx(expected["deviance"], abs=1e-6)
    assert found.status.converged


def test_profile_intervals_are_those_of_lme4() -> None:
    """Standard deviations, ML, nested effects; lme4 interpolates its profile."""
    expected = STORED["nested"]["profile_ml"]
    table = _fit("nested", method="ml", interval="profile").components
    bounds = {row["effect"]: (row["lower"] ** 0.5, row["upper"] ** 0.5) for row in table.rows()}
    order = {".sig01": "class", ".sig02": "school", ".sigma": "residual"}
    for name, interval in zip(expected["rows"], expected["sd"], strict=True):
        if name in order:
            assert bounds[order[name]] == pytest.approx((interval["2.5 %"], interval["97.5 %"]), rel=2e-4, abs=1e-3)


def test_a_component_at_zero_has_a_status_and_an_upper_bound() -> None:
    """Not a crash: caution, no standard error, and a profile bound above zero."""
    found = _fit("zero", interval="profile")
    rows = {row["effect"]: row for row in found.components.rows()}
    assert found.status.level == "caution"
    assert "rater" in found.status.reasons[0]
    assert rows["rater"]["variance"] == 0.0
    assert np.isnan(rows["rater"]["se"])
    assert rows["rater"]["lower"] == 0.0 < rows["rater"]["upper"] < 0.5


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 100_000), st.booleans())
def test_one_effect_is_the_one_way_model(seed: int, restricted: bool) -> None:
    """The general likelihood and the closed form agree, whatever the sizes; also as crossed equations."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 9, 15)
    code = np.repeat(np.arange(15), sizes)
    y = rng.normal(0, rng.uniform(0, 1), 15)[code] + rng.normal(0, 1, len(code))
    mean = np.bincount(code, weights=y) / sizes
    closed = likelihood(OneWay(sizes.astype(float), mean, float(((y - mean[code]) ** 2).sum())), restricted=restricted)
    effect = [Effect("class", code, 15)]
    for design in (design_of(y, effect), Crossed(y, effect)):
        found = maximise(design, restricted=restricted)
        assert found.deviance == pytest.approx(closed.deviance, abs=1e-7)
        assert found.variances == pytest.approx([closed.tau2, closed.sigma2], rel=1e-4, abs=1e-4)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 100_000), st.sampled_from(["dense", "sparse", "no step"]))
def test_elimination_is_linear_algebra(seed: int, way: str) -> None:
    """The parts of the likelihood from the covariance matrix written out, for crossed effects, also at zero."""
    rng = np.random.default_rng(seed)
    n = 60
    codes = [np.unique(rng.integers(0, m, n), return_inverse=True)[1] for m in (25, 9, 9, 4)]
    effects = [Effect(str(k), c, int(c.max()) + 1) for k, c in enumerate(codes)]
    y, gamma = rng.normal(5, 1, n), rng.uniform(0, 2, 4) * rng.integers(0, 2, 4)
    changed: Mapping[str, int] = {"dense": {}, "sparse": {"_DENSE": 0}, "no step": {"_MOST_PAIRS": -1}}[way]
    with mock.patch.dict(vars(elimination), changed):
        found = Crossed(y, effects).parts(gamma)
    v = np.eye(n) + sum(g * (c[:, None] == c) for g, c in zip(gamma, codes, strict=True))
    ones, inverse = np.ones(n), np.linalg.inv(v)
    mu = ones @ inverse @ y / (ones @ inverse @ ones)
    expected = (mu, np.linalg.slogdet(v)[1], (y - mu) @ inverse @ (y - mu), ones @ inverse @ ones)
    assert (found.mu, found.log_det, found.residual, found.information) == pytest.approx(expected, rel=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 100_000))
def test_the_tree_and_the_sparse_equations_agree(seed: int) -> None:
    """Three levels of nesting, any variances: the parts of the likelihood are the same."""
    rng = np.random.default_rng(seed)
    lesson = rng.integers(0, 40, 200)
    _, lesson = np.unique(lesson, return_inverse=True)
    teacher_of, school_of = rng.integers(0, 12, 40), rng.integers(0, 4, 12)
    _, teacher = np.unique(teacher_of[lesson], return_inverse=True)
    _, school = np.unique(school_of[teacher_of[lesson]], return_inverse=True)
    effects = [Effect(n, c, int(c.max()) + 1) for n, c in (("t", teacher), ("l", lesson), ("s", school))]
    y, gamma = rng.normal(5, 1, 200), rng.uniform(0, 2, 3)
    tree, sparse = design_of(y, effects), Crossed(y, effects)
    assert isinstance(tree, Nested)
    one, two = tree.parts(gamma), sparse.parts(gamma)
    assert (one.mu, one.log_det, one.residual, one.information) == pytest.approx(
        (two.mu, two.log_det, two.residual, two.information), rel=1e-9
    )


def test_balanced_designs_meet_the_classical_coefficients() -> None:
    """Persons by items: g is alpha; targets by raters: g is ICC(C,k) and phi ICC(A,k)."""
    import pandas as pd

    rng = np.random.default_rng(8)
    wide = rng.normal(0, 1, (60, 1)) + rng.normal(0, 0.4, (1, 8)) + rng.normal(0, 1, (60, 8))
    person, item = np.indices(wide.shape)
    frame = pd.DataFrame({"person": person.ravel(), "item": item.ravel(), "y": wide.ravel()})
    with pytest.warns(FewClustersWarning, match="item: 8"):
        found = generalizability(frame, value="y", effects=["person", "item"])
    study = found.decision("person", n={"item": [1, 8]}).table
    raters = {row["mcgraw_wong"]: row["estimate"] for row in interrater(wide).icc_table.rows()}
    assert study["g"][1] == pytest.approx(alpha(wide).estimate, rel=1e-5)
    assert study["g"] == pytest.approx((raters["ICC(C,1)"], raters["ICC(C,k)"]), rel=1e-5)
    assert study["phi"] == pytest.approx((raters["ICC(A,1)"], raters["ICC(A,k)"]), rel=1e-5)
    assert study["g_lower"][1] < study["g"][1] < study["g_upper"][1]


def test_interval_of_g_agrees_with_the_exact_one() -> None:
    """Delta method on the logit against the F interval of ICC(C,k): close in a sample of 200."""
    import pandas as pd

    rng = np.random.default_rng(3)
    wide = rng.normal(0, 1, (200, 1)) + rng.normal(0, 1, (200, 12))
    person, item = np.indices(wide.shape)
    frame = pd.DataFrame({"p": person.ravel(), "i": item.ravel(), "y": wide.ravel()})
    study = generalizability(frame, value="y", effects=["p", "i"]).decision("p", n={"i": 12}).table
    exact = next(r for r in interrater(wide).icc_table.rows() if r["mcgraw_wong"] == "ICC(C,k)")
    assert (study["g_lower"][0], study["g_upper"][0]) == pytest.approx((exact["lower"], exact["upper"]), abs=0.005)


# --------------------------------------------------------------------------- decision studies
IMPACT = {"teacher": 1.0, "occasion": 0.368, "teacher:student": 0.275, "teacher:occasion": 0.423, "residual": 0.411}
"""Published components of a tool with students by occasions (Bijlsma, thesis, p. 33)."""


def test_students_by_occasions() -> None:
    """Each component over what it is averaged over; the residual over students times occasions."""
    study = decide(parsed_terms(IMPACT), target="teacher", n={"student": 19, "occasion": [1, 7]})
    for k, occasions in enumerate((1, 7)):
        relative = 0.275 / 19 + 0.423 / occasions + 0.411 / (19 * occasions)
        assert study.table["relative_error"][k] == pytest.approx(relative)
        assert study.table["absolute_error"][k] == pytest.approx(relative + 0.368 / occasions)
        assert study.table["g"][k] == pytest.approx(1 / (1 + relative))
        assert study.table["phi"][k] == pytest.approx(1 / (1 + relative + 0.368 / occasions))
    roles = dict(zip(study.roles["effect"], study.roles["role"], strict=True))
    assert roles == {
        "teacher": "universe",
        "occasion": "absolute",
        "teacher:student": "relative",
        "teacher:occasion": "relative",
        "residual": "relative",
    }
    assert np.isnan(study.table["g_lower"][0])


def test_fixed_facets_and_effects_left_out() -> None:
    """The same occasions for all: their interaction is true score; or, as in the thesis, left out, and said so."""
    terms = parsed_terms(IMPACT)
    fixed = decide(terms, target="teacher", n={"student": 19, "occasion": 7}, fixed=["occasion"])
    assert fixed.table["universe"][0] == pytest.approx(1 + 0.423 / 7)
    assert fixed.table["phi"][0] == fixed.table["g"][0]
    assert "Fixed facets: occasion" in fixed.summary()
    left = decide(terms, target="teacher", n={"student": 19, "occasion": 7}, ignore=["occasion", "teacher:occasion"])
    assert left.table["phi"][0] == pytest.approx(1 / (1 + 0.275 / 19 + 0.411 / 133))
    assert "Left out" in left.summary()
    assert DecisionStudy.from_dict(json.loads(json.dumps(left.to_dict()))).equals(left)


def test_nesting_is_read_from_the_data() -> None:
    """Students whose ids are their own lie in teachers: their variance is error of a teacher's mean."""
    found = _fit("crossed")
    assert set(found.facets["student"]) == {"student", "teacher"}
    assert found.facets["occasion"] == ("occasion",)
    study = found.decision("teacher", n={"student": 20, "occasion": 3})
    roles = {row["effect"]: (row["role"], row["divided_by"]) for row in study.roles.rows()}
    assert roles["student"] == ("relative", "n_student")
    assert roles["occasion"] == ("absolute", "n_occasion")
    assert roles["teacher:occasion"] == ("relative", "n_occasion")
    nested = _fit("nested").decision("class", n={"residual": 20})
    assert dict(zip(nested.roles["effect"], nested.roles["role"], strict=True))["school"] == "stratum"


def test_wrong_decision_studies_are_named() -> None:
    """Objects, facets and sizes that do not exist."""
    terms = parsed_terms(IMPACT)
    with pytest.raises(OptionError, match="teacher"):
        decide(terms, target="techer", n={})
    with pytest.raises(OptionError, match="student"):
        decide(terms, target="teacher", n={"students": 5})
    with pytest.raises(OptionError, match="at least 1"):
        decide(terms, target="teacher", n={"student": 0})
    with pytest.raises(OptionError, match="ignore"):
        decide(terms, target="teacher", n={}, ignore=["rater"])
    with pytest.raises(OptionError, match="at least 0"):
        parsed_terms({"teacher": -1.0})


# --------------------------------------------------------------------------- data
def test_every_engine_gives_the_same(constructor: Constructor) -> None:
    """The same components from every frame library, lazy or not."""
    columns = {name: list(values) for name, values in STORED["zero"]["data"].items()}
    with pytest.warns(FewClustersWarning):
        found = generalizability(constructor(columns), value="y", effects=["lesson", "rater"])
    assert found.components.equals(_fit("zero").components, rtol=1e-6, atol=1e-9)


def test_incomplete_rows_are_dropped_aloud() -> None:
    """Missing rating, missing label."""
    import pandas as pd

    frame = pd.DataFrame(STORED["zero"]["data"])
    frame.loc[0, "y"] = np.nan
    frame.loc[1, "lesson"] = None
    with pytest.warns(ListwiseDeletionWarning, match="2 of 180 rows"), pytest.warns(FewClustersWarning):
        found = generalizability(frame, value="y", effects=["lesson", "rater"])
    assert found.n_obs == 178
    assert {note.code for note in found.warnings} == {"listwise-deletion", "few-clusters"}


def test_rows_labels_units_change_nothing() -> None:
    """Permuted rows, renamed levels, other units."""
    import pandas as pd

    frame = pd.DataFrame(STORED["nested"]["data"])
    moved = frame.sample(frac=1, random_state=3)
    moved["class"] = moved["class"].map(lambda c: c[::-1])
    moved["y"] = 10 * moved["y"] - 4
    first, second = _fit("nested"), generalizability(moved, value="y", effects=["school", "class"])
    one, two = (dict(zip(f.components["effect"], f.components["variance"], strict=True)) for f in (first, second))
    assert {k: 100 * v for k, v in one.items()} == pytest.approx(two, rel=1e-5)


def test_result_round_trips() -> None:
    """Dict, frame, text."""
    found = _fit("crossed")
    assert Generalizability.from_dict(json.loads(json.dumps(found.to_dict()))).equals(found)
    assert list(found.to_frame()["effect"]) == [*EFFECTS["crossed"], "residual"]
    assert "teacher:occasion" in str(found)
    assert sum(found.components["share"]) == pytest.approx(1.0)
    inside = [row["lower"] < row["variance"] < row["upper"] for row in found.components.rows() if row["se"] > 0]
    assert all(inside)
    assert len(inside) == 5


@pytest.mark.parametrize(
    ("columns", "effects", "error"),
    [
        ({"y": [1.0, 2, 3, 4], "a": [1, 1, 2, 2]}, ["b"], ColumnNotFoundError),
        ({"y": [1.0, 2, 3, 4], "a": [1, 2, 3, 4]}, ["a"], DataError),
        ({"y": [1.0, 2, 3, 4], "a": [1, 1, 1, 1]}, ["a"], TooFewObservationsError),
        ({"y": [1.0, 2, 3, 4], "a": [1, 1, 2, 2], "b": list("xxyy")}, ["a", "b"], DataError),
        ({"y": [1.0, 1, 1, 1], "a": [1, 1, 2, 2]}, ["a"], DataError),
        ({"y": list("abcd"), "a": [1, 1, 2, 2]}, ["a"], NonNumericError),
        ({"y": [1.0, 2, None, None], "a": [1, 1, 2, 2]}, ["a"], TooFewObservationsError),
        ({"y": [1.0, 2, 3, 4], "a": [1, 1, 2, 2]}, [], OptionError),
        ({"y": [1.0, 2, 3, 4], "a": [1, 1, 2, 2]}, "a", OptionError),
    ],
)
def test_nonsense_is_named(columns: Any, effects: Any, error: type[Exception]) -> None:
    """Unknown columns, a level a row, one level, twins, constants, text, too little."""
    import pandas as pd

    with pytest.raises(error):
        generalizability(pd.DataFrame(columns), value="y", effects=effects)


def test_unknown_options_are_named() -> None:
    """The allowed ones are listed."""
    with pytest.raises(OptionError, match="reml"):
        _fit("zero", method="anova")
    with pytest.raises(OptionError, match="profile"):
        _fit("zero", interval="wald")


# --------------------------------------------------------------------------- real data
@pytest.mark.shared
def test_real_lessons(shared_reference: Path) -> None:
    """Two raters a lesson, two lessons a teacher: lme4's components, nested and with raters crossed."""
    import pandas as pd

    data = pd.read_csv(shared_reference / "data" / "gti_video_ratings" / "data.csv", low_memory=False)
    for block, effects in (
        ("gtheory_video", ["IDVIDEO", "T_ID"]),
        ("gti_video_crossed", ["IDVIDEO", "T_ID", "IDRATER"]),
    ):
        stored = STORED[block]
        names = stored["vc"]["grp"] if "vc" in stored else stored["effect"]
        values = stored["vc"]["vcov"] if "vc" in stored else stored["variance"]
        found = generalizability(data, value="CSE1RP_S1", effects=effects)
        variance = dict(zip(found.components["effect"], found.components["variance"], strict=True))
        for name, value in zip(names, values, strict=True):
            assert variance[name if name != "Residual" else "residual"] == pytest.approx(value, rel=1e-4)
    assert found.deviance == pytest.approx(STORED["gti_video_crossed"]["reml"], abs=1e-4)
    study = found.decision("T_ID", n={"IDVIDEO": [1, 2, 4], "IDRATER": 2})
    assert study.table["g"][0] < study.table["g"][1] < study.table["g"][2]


@pytest.mark.shared
def test_real_classes_in_countries(shared_reference: Path) -> None:
    """Relationship scores: class within country and country, as lme4."""
    import pandas as pd

    data = pd.read_csv(shared_reference / "data" / "gti_students_complete" / "data.csv")
    data["rel"] = data[[f"SQB13{letter}" for letter in "ABCDE"]].mean(axis=1)
    with pytest.warns(FewClustersWarning, match="country: 5"):
        found = generalizability(data, value="rel", effects=["class", "country"])
    stored = STORED["lmer_gti"]["vc"]
    assert found.components["variance"] == pytest.approx(stored["vcov"], rel=1e-5)
    assert found.mu == pytest.approx(STORED["lmer_gti"]["fixef"], abs=1e-6)


@pytest.mark.shared
def test_real_profile_interval(shared_reference: Path) -> None:
    """Hours worked in 99 groups: the profile intervals of lme4 (ML), and GmeanRel's reliabilities of group means."""
    import pandas as pd

    from relmeasure.multilevel import icc

    data = pd.read_csv(shared_reference / "data" / "bh1996" / "data.csv")
    table = generalizability(data, value="HRS", effects=["GRP"], method="ml", interval="profile").components
    expected = STORED["lmer_profile"]["sd_ci"]["values"]
    for k in range(2):
        assert (table["lower"][k] ** 0.5, table["upper"][k] ** 0.5) == pytest.approx(expected[k], rel=1e-5)
    stored = STORED["gmeanrel_bh"]
    result = icc(data["HRS"], cluster=data["GRP"])
    assert result.icc1 == pytest.approx(stored["ICC"], rel=1e-5)
    own = dict(zip(result.per_cluster["cluster"], result.per_cluster["reliability"], strict=True))
    assert [own[group] for group in stored["groups"]] == pytest.approx(stored["first10"], rel=1e-5)
    assert np.mean(list(own.values())) == pytest.approx(stored["mean_MeanRel"], rel=1e-5)


def test_a_small_component_has_no_satterthwaite_interval() -> None:
    """Below one degree of freedom the chi-square quantile underflows: an upper end of 1e214 says nothing."""
    rng = np.random.default_rng(6)
    frame = pd.DataFrame({"p": np.repeat(np.arange(12), 6), "r": np.tile(np.arange(3), 24)})
    frame["y"] = rng.normal(size=len(frame)) + rng.normal(size=12)[frame["p"]] + 0.1 * frame["r"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = generalizability(frame, value="y", effects=["p", "r"])
        profile = generalizability(frame, value="y", effects=["p", "r"], interval="profile")
    rows = found.to_frame().set_index("effect")
    assert 0 < 2 * (rows.loc["r", "variance"] / rows.loc["r", "se"]) ** 2 < 1
    assert np.isnan(rows.loc["r", "lower"])
    assert np.isnan(rows.loc["r", "upper"])
    assert "too small beside its standard error" in found.status.reasons[0]
    assert rows.loc["p", "upper"] < 100
    assert profile.to_frame().set_index("effect").loc["r", "upper"] < 100
