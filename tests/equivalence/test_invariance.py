"""Each step holds equal what it says, costs the degrees of freedom of theory, and minds no order of groups."""

from __future__ import annotations

import json
import pickle
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import relmeasure as rm
from relmeasure.equivalence import InvarianceResult, invariance
from relmeasure.exceptions import (
    ColumnNotFoundError,
    InadmissibleError,
    ListwiseDeletionWarning,
    ModelError,
    OptionError,
    TooFewObservationsError,
    UnsupportedDataError,
)
from tests.structural.reference import frame
from tests.support import Constructor

MODEL = "f =~ x1 + x2 + x3 + x4\ng =~ y1 + y2 + y3"
ITEMS = ["x1", "x2", "x3", "x4", "y1", "y2", "y3"]
HS = "visual =~ x1+x2+x3\ntextual =~ x4+x5+x6\nspeed =~ x7+x8+x9"

SAME = 1e-7
"""Relative: the same minimum, found from the same start with groups summed in another order."""

FIT = ["chisq", "df", "cfi", "rmsea", "srmr", "aic", "bic", "delta_chisq", "delta_df", "pvalue"]


def rows(n_groups: int = 3, n: int = 150, seed: int = 1, shift: float = 0.0, mean: float = 0.4) -> pd.DataFrame:
    """Two factors; ``shift`` moves the intercept of x2 in the last group, ``mean`` its first factor."""
    rng = np.random.default_rng(seed)
    parts = []
    for g in range(n_groups):
        last = g == n_groups - 1
        f = rng.normal(size=n) + mean * last
        h = 0.5 * f + rng.normal(size=n)
        columns = {f"x{k}": (0.6 + 0.1 * k) * f + 0.7 * rng.normal(size=n) + k for k in range(1, 5)}
        columns |= {f"y{k}": (0.6 + 0.1 * k) * h + 0.7 * rng.normal(size=n) for k in range(1, 4)}
        columns["x2"] += shift * last
        parts.append(pd.DataFrame(columns | {"band": f"g{g}", "class": np.arange(n) // 7 + 100 * g}))
    return pd.concat(parts, ignore_index=True)


# --------------------------------------------------------------------------- what a step says
def spread(found: InvarianceResult, step: str, op: str, latent: bool) -> float:
    """Largest range over groups of one kind of parameter."""
    table = found.fits[step].parameters()
    inside = table["lhs"].isin(["f", "g"]) & (table["op"] != "=~")
    chosen = table[(table["op"] == op) & (inside == latent)]
    if op == "~~":
        chosen = chosen[chosen["lhs"] == chosen["rhs"]]
    return float(chosen.groupby(["lhs", "rhs"])["est"].agg(lambda v: v.max() - v.min()).max())


@pytest.mark.parametrize("std_lv", [False, True])
def test_each_step_holds_equal_what_it_says(std_lv: bool) -> None:
    """Equal to the last bit where equality is claimed, and free where it is not."""
    found = invariance(MODEL, rows(), group="band", std_lv=std_lv)
    equal = {
        "configural": set(),
        "metric": {"=~"},
        "scalar": {"=~", "~1"},
        "strict": {"=~", "~1", "~~"},
    }
    for step, ops in equal.items():
        for op in ("=~", "~1", "~~"):
            assert (spread(found, step, op, latent=False) == 0.0) == (op in ops), (step, op)
        assert (spread(found, step, "~1", latent=True) > 0) == (step in ("scalar", "strict"))
        assert (spread(found, step, "~~", latent=True) > 0) == (not std_lv or step != "configural")


@pytest.mark.parametrize("n_groups", [2, 3, 5])
@pytest.mark.parametrize(("partial", "freed"), [((), (0, 0, 0)), (("f=~x2", "y2~1", "x3 ~~ x3"), (1, 1, 1))])
def test_degrees_of_freedom(n_groups: int, partial: tuple[str, ...], freed: tuple[int, ...]) -> None:
    """Seven items, two factors: (k - m)(G - 1) twice, then k(G - 1), less what is released."""
    found = invariance(MODEL, rows(n_groups), group="band", partial=partial)
    table = found.to_frame()
    assert table["step"].to_list() == ["configural", "metric", "scalar", "strict"]
    expected = [(count - less) * (n_groups - 1) for count, less in zip((5, 5, 7), freed, strict=True)]
    assert table["delta_df"].to_list()[1:] == expected
    assert table["df"][0] == 13 * n_groups
    assert np.diff(table["df"]).tolist() == expected
    assert (np.diff(table["chisq"]) >= -1e-8).all()


def test_a_released_parameter_differs_and_the_others_do_not() -> None:
    """Release one intercept."""
    found = invariance(MODEL, rows(shift=1.0), group="band", partial=["x2~1"])
    table = found.fits["scalar"].parameters()
    intercepts = table[(table["op"] == "~1") & table["lhs"].isin(ITEMS)].groupby("lhs")["est"].nunique()
    assert intercepts.to_dict() == {name: 3 if name == "x2" else 1 for name in ITEMS}


def test_the_marker_does_not_change_the_fit() -> None:
    """Marker item, other marker, unit variances."""
    other = MODEL.replace("x1 + x2", "x2 + x1").replace("y1 + y2 + y3", "y3 + y1 + y2")
    fits = [
        invariance(m, rows(), group="band", std_lv=s).to_frame()[FIT]
        for m, s in ((MODEL, None), (MODEL, True), (other, None))
    ]
    for fit in fits[1:]:
        np.testing.assert_allclose(fit, fits[0], rtol=1e-6, atol=1e-9)


# --------------------------------------------------------------------------- order
@settings(max_examples=15, deadline=None)
@given(order=st.permutations([0, 1, 2]), estimator=st.sampled_from(["ML", "MLR"]))
def test_the_order_of_groups_does_not_matter(order: list[int], estimator: Any) -> None:
    """Groups are ordered by name, whatever the order of the rows."""
    data = rows()
    shuffled = pd.concat([data[data["band"] == f"g{g}"] for g in order])
    first, second = (invariance(MODEL, d, group="band", estimator=estimator) for d in (data, shuffled))
    assert second.groups == first.groups == ("g0", "g1", "g2")
    np.testing.assert_allclose(second.to_frame()[FIT], first.to_frame()[FIT], rtol=SAME, atol=1e-9)
    assert second.conclusion == first.conclusion
    assert second.means.equals(first.means, rtol=1e-6, atol=1e-9)


def test_the_reference_group_does_not_change_the_fit() -> None:
    """It only turns the differences of means around."""
    data = rows(2)
    first, second = (invariance(MODEL, data, group="band", reference=r) for r in ("g0", "g1"))
    np.testing.assert_allclose(second.to_frame()[FIT], first.to_frame()[FIT], rtol=1e-6, atol=1e-9)
    assert (first.reference, second.reference) == ("g0", "g1")
    np.testing.assert_allclose(first.means["effect_size"], [-v for v in second.means["effect_size"]], rtol=1e-5)


def test_row_order_labels_and_engines(constructor: Constructor) -> None:
    """Shuffled rows, other labels in the same order, every engine."""
    data = rows(2)
    reference = invariance(MODEL, data, group="band").to_frame()[FIT]
    mixed = data.sample(frac=1.0, random_state=3)
    mixed["band"] = mixed["band"].map({"g0": "early", "g1": "late"})
    columns = {name: mixed[name].to_list() for name in [*ITEMS, "band"]}
    np.testing.assert_allclose(
        invariance(MODEL, constructor(columns), group="band").to_frame()[FIT], reference, rtol=SAME, atol=1e-9
    )


def test_numbers_are_ordered_by_value() -> None:
    """Grade 9 comes before grade 10."""
    data = rows(2)
    found = invariance(MODEL, data.assign(band=data["band"].map({"g0": 10, "g1": 9})), group="band")
    assert found.groups == ("9", "10")


# --------------------------------------------------------------------------- answers
def test_a_shifted_intercept_is_found() -> None:
    """Scalar invariance fails, and the score tests name the item and the direction."""
    found = invariance(MODEL, rows(2, n=400, shift=1.0), group="band")
    assert found.reached == "metric"
    assert found.proposals["parameter"][0] == "x2~1"
    assert found.proposals["expected_change"][0] > 0.5
    assert "partial=['x2~1']" in found.conclusion
    with pytest.raises(InadmissibleError, match="cannot be compared"):
        found.latent_means()
    assert len(found.latent_means(allow_noninvariant=True)) == 2
    released = invariance(MODEL, rows(2, n=400, shift=1.0), group="band", partial=["x2~1"])
    assert released.reached == "strict"
    assert len(released.proposals) == 0


def test_latent_means_are_recovered() -> None:
    """A difference of 0.4 in a factor with unit variance, nothing else."""
    means = invariance(MODEL, rows(2, n=4000), group="band").latent_means().set_index("factor")
    assert means["effect_size"]["f"] == pytest.approx(0.4, abs=0.06)
    assert means["effect_size"]["g"] == pytest.approx(0.2 / np.sqrt(1.25), abs=0.06)
    inside = (means["effect_size_lower"] < means["effect_size"]) & (means["effect_size"] < means["effect_size_upper"])
    assert inside.all()
    assert (means["reference"] == "g0").all()


def test_an_effect_size_has_its_own_test() -> None:
    """Its p-value is that of its interval, here where the difference itself has another."""
    rng = np.random.default_rng(4)
    n = 600
    band = np.where(np.arange(n) % 2, "b", "a")
    f = rng.normal(size=n) + (band == "b") * 0.4
    loadings = np.array([0.8, 0.7, 0.6, 0.75, 0.65, 0.7])
    latent = f[:, None] * loadings + rng.normal(size=(n, 6)) * np.sqrt(1 - loadings**2)
    data = pd.DataFrame((latent > 0.2).astype(int), columns=[f"y{k}" for k in range(1, 7)]).assign(band=band)
    model = "f =~ " + " + ".join(f"y{k}" for k in range(1, 7))
    found = invariance(model, data, group="band", ordered=True, categories=[0, 1])
    (row,) = found.means.rows()
    for p, lower, upper in (
        ("pvalue", "lower", "upper"),
        *[[f"effect_size_{x}" for x in ("pvalue", "lower", "upper")]],
    ):
        assert (row[p] < 0.05) == (row[lower] > 0 or row[upper] < 0), p
    assert row["effect_size_z"] == pytest.approx(row["effect_size"] / row["effect_size_se"])
    assert row["pvalue"] > 0.05 > row["effect_size_pvalue"]
    printed = found.summary()
    assert printed.index("Differences of factor means against a") < printed.index("Effect sizes against a")


@pytest.mark.parametrize("missing", ["listwise", "fiml"])
def test_weights_pool_the_standard_deviations(missing: Literal["listwise", "fiml"]) -> None:
    """Groups of equal rows, one with four times the weight: the pooled variance is that of the weighted counts."""
    data = rows(2, n=300)
    data.loc[data["band"] == "g1", ITEMS] *= 1.5
    data["w"] = np.where(data["band"] == "g1", 4.0, 1.0)
    found = invariance(
        "f =~ x2 + x3 + x4 + y1", data, group="band", weights="w", estimator="MLR", missing=missing, std_lv=True
    )
    table = found.fits["scalar"].parameters()
    psi = table[(table["op"] == "~~") & (table["lhs"] == "f") & (table["rhs"] == "f")]["est"].to_numpy()
    row = found.means.to_frame().iloc[0]
    assert abs(psi[1] - psi[0]) > 0.02
    assert row["effect_size"] == pytest.approx(row["difference"] / np.sqrt((psi[0] + 4 * psi[1]) / 5), rel=1e-9)


def test_effect_sizes_do_not_depend_on_the_scale_of_the_factor() -> None:
    """Marker or unit variance: the difference in standard deviations and its interval stay."""
    columns = ["effect_size", "effect_size_lower", "effect_size_upper", "z"]
    first, second = (
        invariance(MODEL, rows(3), group="band", std_lv=s).means.to_frame()[columns[:3]] for s in (False, True)
    )
    np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-7)


def test_score_tests_foretell_what_releasing_gains() -> None:
    """The test of one equality is near the fall of chi-square when it is released."""
    data = rows(2, n=400, shift=0.3)
    found = invariance(MODEL, data, group="band")
    best = found.score_tests("scalar").iloc[0]
    released = invariance(MODEL, data, group="band", partial=[best["parameter"]])
    fall = found.steps["chisq"][2] - released.steps["chisq"][2]
    assert best["score_chisq"] == pytest.approx(fall, rel=0.1)


def test_poor_models_are_not_called_invariant() -> None:
    """One factor for two: the configural model does not hold, and nothing follows."""
    found = invariance("f =~ " + " + ".join(ITEMS), rows(2, n=400), group="band")
    assert found.reached is None
    assert found.conclusion.startswith("No invariance can be claimed")
    assert not found.comparable_means


# --------------------------------------------------------------------------- data
def test_missing_answers() -> None:
    """Listwise deletion is announced once; full information uses every row."""
    data = rows(2)
    data.loc[3:12, "x1"] = np.nan
    with pytest.warns(ListwiseDeletionWarning) as caught:
        listwise = invariance(MODEL, data, group="band")
    assert len(caught) == 1
    assert len(listwise.warnings) == 1
    full = invariance(MODEL, data, group="band", missing="fiml")
    assert (listwise.provenance.n_obs, full.provenance.n_obs) == (290, 300)
    assert full.to_frame()["delta_df"].to_list()[1:] == [5, 5, 7]


def test_full_information_is_maximum_likelihood_on_complete_rows() -> None:
    """Nothing missing: the same chi-squares."""
    data = rows(2)
    plain, full = (invariance(MODEL, data, group="band", missing=m).to_frame() for m in ("listwise", "fiml"))
    np.testing.assert_allclose(full["chisq"], plain["chisq"], rtol=1e-6)


def test_clusters_make_the_tests_robust() -> None:
    """Scaled difference tests, and robust indices beside the naive ones."""
    table = invariance(MODEL, rows(2), group="band", cluster="class").to_frame()
    assert set(table["method"][1:]) <= {"satorra.bentler.2001", "satorra.bentler.2010"}
    assert {"chisq_scaled", "cfi_robust", "delta_cfi_robust"} <= set(table)
    assert (table["delta_chisq"][1:] != table["chisq_scaled"].diff()[1:]).all()


def test_an_instrument() -> None:
    """Scales become factors with unit variances in the reference group."""
    instrument = rm.load_instrument("relationship-student")
    data = rm.simulate(instrument, n_clusters=30, cluster_size=20, rng=5)
    data["half"] = np.where(np.arange(len(data)) % 2, "a", "b")
    scale = next(s.id for s in instrument.scales if s.items)
    found = rm.invariance(instrument, data, group="half", scales=[scale])
    assert found.provenance.instrument == instrument.label
    assert found.reached == "strict"


def test_round_trips() -> None:
    """To a dict and back, through JSON; pickled."""
    found = invariance(HS, frame("HolzingerSwineford1939"), group="school")
    again = InvarianceResult.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again.equals(found)
    assert again.score_tests("metric").equals(found.score_tests("metric"))
    assert pickle.loads(pickle.dumps(found)).equals(found)
    assert "Grant-White (145), Pasteur (156); reference group: Grant-White" in found.summary()
    assert "Cheung & Rensvold, 2002" in found.conclusion
    assert "Chen, 2007" in found.conclusion


# --------------------------------------------------------------------------- refusals
def test_more_than_ten_groups() -> None:
    """The number, and what to do."""
    data = rows(11, n=30)
    with pytest.raises(UnsupportedDataError, match=r"There are 11 groups.*Merge groups"):
        invariance(MODEL, data, group="band")
    with pytest.raises(UnsupportedDataError, match="groups"):
        invariance(MODEL, data, group="class")  # before groups are found too small


def test_rows_without_a_group() -> None:
    """Dropped, and said so; with no label at all there is nothing to compare."""
    data = rows(2)
    data.loc[:4, "band"] = None
    with pytest.warns(ListwiseDeletionWarning, match="5 of 300 rows have no group"):
        found = invariance(MODEL, data, group="band")
    assert found.group_sizes == (145, 150)
    with pytest.raises(TooFewObservationsError, match="there is 0"):
        invariance(MODEL, data.assign(band=None), group="band")


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({}, TooFewObservationsError, "there is 1"),
        ({"group": "grade"}, ColumnNotFoundError, "grade"),
        ({"group": "band", "reference": "g9"}, OptionError, "g9"),
        ({"group": "band", "estimator": "GLS"}, OptionError, "GLS"),
        ({"group": "band", "estimator": "WLSMV"}, UnsupportedDataError, "ordered"),
        ({"group": "band", "missing": "pairwise"}, UnsupportedDataError, "ordered items"),
        ({"group": "band", "missing": "drop"}, OptionError, "drop"),
        ({"group": "band", "partial": "x2~1"}, OptionError, "partial=\\['x2~1'\\]"),
        ({"group": "band", "partial": ["x9~1"]}, ModelError, "x9"),
        ({"group": "band", "partial": ["f~1"]}, ModelError, "no step holds equal"),
        ({"group": "band", "partial": ["f=~x1"]}, ModelError, "gives the factor its scale"),
        ({"group": "band", "ordered": True}, UnsupportedDataError, "different values"),
    ],
)
def test_bad_options(options: dict[str, Any], error: type[Exception], match: str) -> None:
    """Each with a sentence that says what is wrong."""
    with pytest.raises(error, match=match):
        invariance(MODEL, rows(2), **options)


@pytest.mark.parametrize(
    ("model", "error", "match"),
    [
        ("f =~ x1 + c(1, 2)*x2 + x3", ModelError, "one value a group"),
        ("f =~ x1 + x2 + x3\nf ~ y1", UnsupportedDataError, "regressions"),
        ("f =~ x1 + x2\ng =~ y1 + y2\nh =~ f + g", UnsupportedDataError, "higher-order"),
    ],
)
def test_models_that_are_refused(model: str, error: type[Exception], match: str) -> None:
    """The steps would not say what they say."""
    with pytest.raises(error, match=match):
        invariance(model, rows(2), group="band")


def test_moments_have_no_robust_tests() -> None:
    """MLR needs the rows."""
    data = {name: rm.moments(part[ITEMS]) for name, part in rows(2).groupby("band")}
    assert invariance(MODEL, data).groups == ("g0", "g1")
    with pytest.raises(UnsupportedDataError, match="needs the rows"):
        invariance(MODEL, data, estimator="MLR")


def test_a_step_of_score_tests_that_is_none() -> None:
    """The configural model holds nothing equal."""
    with pytest.raises(OptionError, match="configural"):
        invariance(MODEL, rows(2), group="band").score_tests("configural")
