"""Ordered items after Wu and Estabrook (2016): what each step holds equal, its degrees of freedom, and lavaan's answers."""

from __future__ import annotations

import csv
import json
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import relmeasure as rm
from relmeasure.equivalence import InvarianceResult
from relmeasure.exceptions import (
    CategoriesAssumedWarning,
    ColumnNotFoundError,
    DataError,
    ModelError,
    NotConvergedWarning,
    TooFewObservationsError,
    UnsupportedDataError,
)
from relmeasure.structural.evaluation.categorical import residual_traces
from tests.structural.reference import CHISQ, estimate_differences, off
from tests.support import REFERENCE, load_reference

pytestmark = pytest.mark.filterwarnings("ignore::relmeasure.exceptions.CategoriesAssumedWarning")

ONE = "f =~ y1 + y2 + y3 + y4 + y5"
TWO = ONE + "\ng =~ z1 + z2 + z3 + z4"
ITEMS = ("y1", "y2", "y3", "y4", "y5", "z1", "z2", "z3", "z4")
CATEGORIES = dict(zip(ITEMS, (4, 4, 5, 3, 2, 3, 3, 4, 2), strict=True))
STEPS = ("configural", "thresholds", "metric", "scalar", "strict")

ESTIMATE = 2e-4
"""Relative difference of estimates and standard errors: lavaan's minimiser stops early on least squares."""

INDEX = 2e-5
"""Relative difference of indices."""

DIFFERENCE = 1e-5
"""Relative difference of difference tests."""

FIT = ["chisq", "df", "chisq_scaled", "cfi", "cfi_scaled", "rmsea_scaled", "srmr", "delta_chisq", "delta_df", "pvalue"]


@cache
def rows() -> pd.DataFrame:
    """Three groups; the intercept of y3 is shifted in group b."""
    with (REFERENCE / "invariance" / "groups.csv").open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    return pd.DataFrame({k: [r[k] if k == "group" else int(r[k]) for r in found] for k in found[0]})


def collapsed(most: int) -> pd.DataFrame:
    """No item with more categories than ``most``."""
    data = rows().copy()
    for name in ITEMS:
        data[name] = data[name].clip(upper=most)
    return data


@cache
def fitted(model: str = ONE, most: int = 9, **options: Any) -> InvarianceResult:
    """The steps over three groups."""
    return rm.invariance(model, collapsed(most), group="group", ordered=True, **options)


# --------------------------------------------------------------------------- against lavaan
def differences(found: InvarianceResult, stored: dict[str, Any], steps: tuple[str, ...]) -> list[Any]:
    """Cells of stored steps that are not reproduced."""
    wrong: list[Any] = []
    for step in steps:
        fit = found.fits[step]
        wrong += [(step, *w) for w in estimate_differences(fit, stored[step], ESTIMATE)]
        for name, value in stored[step]["fit"].items():
            allowed = CHISQ if name == "chisq" else INDEX
            if name in fit.indices and off(fit.indices[name], value, allowed):
                wrong.append((step, name, fit.indices[name], value))
    return wrong


def unequal_tests(found: InvarianceResult, stored: dict[str, Any], steps: tuple[str, ...]) -> list[Any]:
    """Difference tests (Satorra, 2000) that are not reproduced."""
    table = found.to_frame().set_index("step")
    pairs = {"delta_chisq": "Chisq.diff", "delta_df": "Df.diff", "pvalue": "Pr..Chisq."}
    return [
        (step, ours, table.loc[step, ours], stored[step][theirs][-1])
        for step in steps
        for ours, theirs in pairs.items()
        if off(table.loc[step, ours], stored[step][theirs][-1], DIFFERENCE)
    ]


@pytest.mark.parametrize(
    ("name", "model", "most", "options", "steps", "tested"),
    [
        ("theta", ONE, 9, {}, ("configural", "thresholds", "scalar", "strict"), ("thresholds", "strict")),
        ("delta", ONE, 9, {"parameterization": "delta"}, ("configural", "thresholds", "scalar"), ("thresholds",)),
        ("mixed", TWO, 9, {}, ("configural", "thresholds", "scalar", "strict"), ("thresholds", "strict")),
        ("three", "f =~ y1 + y2 + y3 + y4", 3, {}, ("configural", *STEPS[2:]), STEPS[2:]),
        ("partial", ONE, 9, {"partial": ("y3~1", "y2|t2")}, ("thresholds", "scalar", "strict"), ("thresholds", "strict")),
    ],
)  # fmt: skip
def test_against_lavaan(
    name: str, model: str, most: int, options: dict[str, Any], steps: tuple[str, ...], tested: tuple[str, ...]
) -> None:
    """Estimates, standard errors, tests and indices of semTools' tables in lavaan.

    semTools keeps the residual variance of a two-category item at one in the metric step, which with its equal loading is
    a restriction, and lets it go in the scalar step, so that its scalar model does not lie inside its metric model: that
    step has its own witness below.
    """
    stored = load_reference("invariance/ordinal")[name]
    found = fitted(model, most, **options)
    assert differences(found, stored, steps) == []
    assert unequal_tests(found, stored["lrt"], tested) == []


def test_two_categories_against_lavaan() -> None:
    """Thresholds, loadings and intercepts in one step; then residual variances."""
    stored = load_reference("invariance/ordinal")["binary"]
    data = rows().copy()
    data[list(ITEMS)] = (data[list(ITEMS)] > 1).astype(int)
    found = rm.invariance(ONE, data, group="group", ordered=True)
    assert list(found.fits) == ["configural", "scalar", "strict"]
    assert differences(found, stored, ("configural", "scalar", "strict")) == []
    assert unequal_tests(found, stored["lrt"], ("strict",)) == []
    assert found.skipped["step"] == ("thresholds", "metric")
    assert "two or three categories" in found.skipped["reason"][0]
    assert "Equal thresholds, loadings and intercepts" in found.conclusion or found.comparable_means


def test_the_metric_step_with_items_of_two_categories() -> None:
    """Against the model written out in lavaan's language: the residual variance of y5 and z4 is free in later groups."""
    stored = load_reference("invariance/ordinal")["mixed_metric"]
    found = fitted(TWO)
    assert differences(found, stored, ("metric",)) == []
    assert unequal_tests(found, stored["lrt"], ("metric", "scalar")) == []


def test_score_tests_against_lavaan() -> None:
    """lavTestScore releases one label; ours are at lavaan's estimates up to its stopping rule."""
    stored = load_reference("invariance/ordinal")
    tests, rows_of = stored["mixed_score"], stored["mixed_score_rows"]
    at = {label: i for i, label in enumerate(rows_of["plabel"])}
    ours = fitted(TWO).score_tests("scalar").set_index(["parameter", "group"])
    for rhs, x2 in zip(tests["rhs"], tests["X2"], strict=True):
        i = at[rhs]
        name, group = f"{rows_of['lhs'][i]}{rows_of['op'][i]}{rows_of['rhs'][i]}", "abc"[rows_of["group"][i] - 1]
        assert ours.loc[(name, group), "score_chisq"] == pytest.approx(x2, rel=1e-3, abs=1e-3), (name, group)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("block", "model", "group", "reference"),
    [
        ("bfiA_gender_ordinal_Wu_theta", "A =~ A1+A2+A3+A4+A5", "gender", "1"),
        ("bfiN_gender_ordinal_Wu", "N =~ N1+N2+N3+N4+N5", "gender", "1"),
        ("gti_rel_ordinal_country_Wu", "rel =~ SQB13A+SQB13B+SQB13C+SQB13D+SQB13E", "country", "152"),
    ],
)
def test_real_data_against_lavaan(shared_reference: Path, block: str, model: str, group: str, reference: str) -> None:
    """Every ordinal block: agreeableness and neuroticism by gender, the relationship with teachers by country."""
    stored = load_reference("values/invariance", shared_reference)[block]
    folder = "bfi" if block.startswith("bfi") else "gti_students_complete"
    data = pd.read_csv(shared_reference / "data" / folder / "data.csv")
    if folder == "bfi":
        data = data.dropna(subset=[*(f"{s}{k}" for s in "ACENO" for k in range(1, 6)), "gender"])
    found = rm.invariance(model, data, group=group, ordered=True, reference=reference)
    names = dict(zip(STEPS, ("configural", "thresholds", "thr_loadings", "thr_load_int", "strict"), strict=True))
    wrong: list[Any] = []
    for step, name in names.items():
        fit, other = found.fits[step], _signed(stored[name], found.fits[step])
        wrong += [(step, *w) for w in estimate_differences(fit, other, ESTIMATE)]
        wrong += [
            (step, index, fit.indices[index], value)
            for index, value in stored[name]["fit"].items()
            if index in fit.indices and ".robust" not in index and off(fit.indices[index], value, INDEX)
        ]
    assert wrong == []
    table, lrt = found.to_frame(), stored["lrt_default"]
    for ours, theirs in (("delta_chisq", "Chisq.diff"), ("delta_df", "Df.diff"), ("pvalue", "Pr..Chisq.")):
        assert [p for p in zip(table[ours][1:], lrt[theirs][1:], strict=True) if off(*p, DIFFERENCE)] == []


def _signed(stored: dict[str, Any], fit: Any) -> dict[str, Any]:
    """The stored estimates with the factor turned round where lavaan's start led to the other sign."""
    rows_of = stored["estimates"]
    loading = next(r for r in fit.parameters().to_dict("records") if r["op"] == "=~")["est"]
    if rows_of["est"][0] * loading > 0:
        return stored
    turned = {k: list(v) for k, v in rows_of.items()}
    for i, (lhs, op) in enumerate(zip(rows_of["lhs"], rows_of["op"], strict=True)):
        if op == "=~" or (op == "~1" and lhs in ("A", "N", "rel")):
            turned["est"][i] = -rows_of["est"][i]
            turned["ci.lower"][i], turned["ci.upper"][i] = -rows_of["ci.upper"][i], -rows_of["ci.lower"][i]
    return stored | {"estimates": turned}


# --------------------------------------------------------------------------- what a step says
def ranges(found: InvarianceResult, step: str) -> dict[str, set[str]]:
    """Kinds of parameters by whether they differ over groups: equal to the last bit, or not."""
    table = found.fits[step].parameters()
    latent = table["lhs"].isin(["f", "g"])
    kinds = {
        "thresholds": table["op"] == "|",
        "loadings": table["op"] == "=~",
        "intercepts": (table["op"] == "~1") & ~latent,
        "residuals": (table["op"] == "~~") & ~latent & (table["lhs"] == table["rhs"]),
        "variances": (table["op"] == "~~") & latent & (table["lhs"] == table["rhs"]),
        "means": (table["op"] == "~1") & latent,
    }
    out: dict[str, set[str]] = {}
    for kind, chosen in kinds.items():
        spread = table[chosen].groupby(["lhs", "rhs"])["est"].agg(lambda v: v.max() - v.min())
        out[kind] = {name[0] if kind != "loadings" else name[1] for name, v in spread.items() if v > 0}
    return out


def test_what_is_equal_at_each_step() -> None:
    """Every item's thresholds, loading, intercept and residual variance, by its number of categories."""
    found, every = fitted(TWO), set(ITEMS)
    many = {name for name in ITEMS if CATEGORIES[name] > 2}
    free: dict[str, dict[str, set[str]]] = {
        "configural": {"thresholds": every, "loadings": every, "intercepts": set(), "residuals": set()},
        "thresholds": {"thresholds": set(), "loadings": every, "intercepts": every, "residuals": many},
        "metric": {"thresholds": set(), "loadings": set(), "intercepts": every, "residuals": every},
        "scalar": {"thresholds": set(), "loadings": set(), "intercepts": set(), "residuals": every},
        "strict": {"thresholds": set(), "loadings": set(), "intercepts": set(), "residuals": set()},
    }
    factors: dict[str, set[str]] = {
        "configural": set(),
        "thresholds": set(),
        "metric": {"f", "g"},
        "scalar": {"f", "g"},
    }
    for step in STEPS:
        seen = ranges(found, step)
        assert {kind: seen[kind] for kind in free[step]} == free[step], step
        assert seen["variances"] == factors.get(step, {"f", "g"}), step
        assert seen["means"] == ({"f", "g"} if step in ("scalar", "strict") else set()), step


@pytest.mark.parametrize("most", [2, 3, 4, 5])
def test_degrees_of_freedom(most: int) -> None:
    """As theory has them, for items of unequal numbers of categories, three groups and two factors."""
    found = fitted(TWO, most)
    categories = {name: min(c, most) for name, c in CATEGORIES.items()}
    later, k, m = 2, len(ITEMS), 2
    many = sum(c > 2 for c in categories.values())
    added = {
        "thresholds": later * sum(max(c - 3, 0) for c in categories.values()),
        "metric": later * (many - m) if many else 0,
        "scalar": later * (k - m) if many else later * (k - 2 * m),
        "strict": later * k,
    }
    table = found.to_frame().set_index("step")["delta_df"].dropna().to_dict()
    assert table == {step: float(df) for step, df in added.items() if df}
    assert set(found.skipped["step"]) >= {step for step, df in added.items() if not df}
    per_group = sum(c - 1 for c in categories.values()) + k * (k - 1) // 2
    free = sum(c - 1 for c in categories.values()) + k + 1
    assert found.to_frame()["df"][0] == 3 * (per_group - free)
    assert (np.diff(found.to_frame()["chisq"]) >= -1e-8).all()


@pytest.mark.parametrize(
    ("partial", "less"),
    [
        (("f=~y2",), (0, 1, 0, 0)),
        (("y3~1",), (0, 0, 1, 0)),
        (("y1~~y1",), (0, 0, 0, 1)),
        (("y3|t2",), (1, 0, 0, 0)),
        (("y1|",), (1, 1, 1, 0)),
    ],
)
def test_releasing_costs_degrees_of_freedom(partial: tuple[str, ...], less: tuple[int, ...]) -> None:
    """One a group; an item without equal thresholds has neither origin nor unit, and tests no intercept or loading."""
    base = fitted(ONE).to_frame()["delta_df"][1:].to_numpy()
    found = fitted(ONE, partial=partial).to_frame()["delta_df"][1:].to_numpy()
    assert (base - found).tolist() == [2 * n for n in less]


@pytest.mark.parametrize("parameterization", ["theta", "delta"])
def test_a_released_loading_of_two_categories_frees_one_parameter(parameterization: str) -> None:
    """Once threshold and intercept are equal, loading and residual variance are both identified.

    The item is then saturated, so that releasing its loading, its threshold or its intercept is one model.
    """
    data = rows().copy()
    data[list(ITEMS)] = (data[list(ITEMS)] > 1).astype(int)

    def scalar(*partial: str) -> Any:
        options: dict[str, Any] = {"partial": partial, "parameterization": parameterization}
        return rm.invariance(ONE, data, group="group", ordered=True, **options).fits["scalar"]

    none, loading, both = scalar(), scalar("f=~y2"), scalar("f=~y2", "f=~y3")
    assert (none.indices["df"] - loading.indices["df"], none.indices["df"] - both.indices["df"]) == (
        2,
        4,
    )  # one a later group and loading
    assert both.indices["chisq"] <= loading.indices["chisq"] <= none.indices["chisq"]
    for same in ("y2|t1", "y2~1"):
        other = scalar(same)
        assert other.indices["df"] == loading.indices["df"]
        assert other.indices["chisq"] == pytest.approx(loading.indices["chisq"], rel=1e-6)


def test_a_released_loading_of_two_categories_in_the_metric_step() -> None:
    """There its intercept is free: intercept and loading saturate the item, and its residual variance stays one."""
    found = fitted(TWO, partial=("f=~y5",))
    for step, residual, origin in (("metric", False, True), ("scalar", True, False), ("strict", False, False)):
        seen = ranges(found, step)
        assert ("y5" in seen["residuals"], "y5" in seen["intercepts"]) == (residual, origin), step
        assert "y5" in seen["loadings"], step
    steps, base = found.to_frame()["delta_df"].tolist(), fitted(TWO).to_frame()["delta_df"].tolist()
    assert steps[1:] == [base[1], base[2], base[3] - 2, base[4]]  # the loading was the unit of y5 in the metric step
    assert (np.diff(found.to_frame()["chisq"]) >= -1e-8).all()


def test_the_origin_of_a_factor_is_not_the_unit_of_its_items() -> None:
    """Every loading of two categories released: the scalar step tests nothing, the strict one residual variances."""
    data = rows().copy()
    data[list(ITEMS)] = (data[list(ITEMS)] > 1).astype(int)
    found = rm.invariance(ONE, data, group="group", ordered=True, partial=[f"f=~y{k}" for k in range(1, 6)])
    assert list(found.fits) == ["configural", "strict"]
    assert found.skipped["step"] == ("thresholds", "metric", "scalar")
    assert found.to_frame()["delta_df"][1] == 2 * (5 - 1)  # residual variances, less the factor mean that they free


def test_a_threshold_at_the_intercept_gives_no_unit() -> None:
    """The scalar model with the loading released has no solution there; the conclusion names what to release."""
    rng = np.random.default_rng(5)
    n = 1200
    f = rng.normal(size=n) + 0.4 * (np.arange(n) % 2)
    loadings = np.array([0.8, 0.7, 0.6, 0.75, 0.65, 0.7])
    latent = f[:, None] * loadings + rng.normal(size=(n, 6)) * np.sqrt(1 - loadings**2)
    items = [f"y{k}" for k in range(1, 7)]
    data = pd.DataFrame((latent > [0.3, 0.0, -0.4, 0.5, 0.1, 0.2]).astype(int), columns=items)
    data["group"] = np.where(np.arange(n) % 2, "b", "a")
    asked: dict[str, Any] = {"group": "group", "ordered": True, "categories": [0, 1]}
    with pytest.warns(NotConvergedWarning):
        failing = rm.invariance(f"f =~ {' + '.join(items)}", data, **asked, partial=["f=~y2"])
    assert failing.fits["scalar"].status.level == "failed"
    assert "release 'y2|t1' in place of the loading" in failing.conclusion
    assert rm.invariance(f"f =~ {' + '.join(items)}", data, **asked, partial=["y2|t1"]).status.level == "ok"


def test_delta_and_theta_are_one_model() -> None:
    """The same fit at every step that both have, the metric step with a two-category item included."""
    theta, delta = fitted(ONE).to_frame()[FIT][:4], fitted(ONE, parameterization="delta").to_frame()[FIT]
    np.testing.assert_allclose(delta, theta, rtol=1e-5, atol=1e-7)
    assert "parameterization='theta'" in fitted(ONE, parameterization="delta").skipped["reason"][-1]


def test_few_categories_leave_steps_out() -> None:
    """Equal thresholds of three categories, thresholds and loadings of two, fit exactly as well as free ones."""
    tables = {}
    for most in (2, 3):
        found = rm.invariance(ONE, collapsed(most), group="group", ordered=True)
        assert (found.skipped["items"][0], found.skipped["step"][0]) == ("all", "thresholds")
        tables[most] = found
    assert list(tables[3].fits) == ["configural", "metric", "scalar", "strict"]
    assert list(tables[2].fits) == ["configural", "scalar", "strict"]
    assert "Step metric is not tested" in tables[2].summary()
    assert "Step thresholds tests nothing of y4, y5" in fitted(ONE).summary()


# --------------------------------------------------------------------------- order
@pytest.mark.parametrize("order", ["bca", "cab"])
def test_the_order_of_groups_does_not_matter(order: str) -> None:
    """Rows of the groups in another order."""
    data = pd.concat([rows()[rows()["group"] == name] for name in order])
    found = rm.invariance(ONE, data, group="group", ordered=True)
    assert found.groups == ("a", "b", "c")
    np.testing.assert_allclose(found.to_frame()[FIT], fitted(ONE).to_frame()[FIT], rtol=1e-7, atol=1e-9)
    assert found.means.equals(fitted(ONE).means, rtol=1e-6, atol=1e-9)
    assert found.conclusion == fitted(ONE).conclusion


def test_the_reference_group_does_not_change_the_fit() -> None:
    """Other group, same models: differences turn round."""
    found = fitted(ONE, reference="b")
    np.testing.assert_allclose(found.to_frame()[FIT], fitted(ONE).to_frame()[FIT], rtol=2e-5, atol=1e-7)
    assert found.reference == "b"
    mine = found.means.to_frame().set_index("group")["effect_size"]["a"]
    assert mine == pytest.approx(-fitted(ONE).means.to_frame().set_index("group")["effect_size"]["b"], rel=1e-4)


def test_codes_and_item_order_do_not_matter() -> None:
    """Categories are places in an order, whatever their codes."""
    data = rows().copy()
    data[list(ITEMS)] = data[list(ITEMS)] * 10 - 7
    found = rm.invariance("f =~ y4 + y2 + y5 + y1 + y3", data, group="group", ordered=True)
    np.testing.assert_allclose(found.to_frame()[FIT], fitted(ONE).to_frame()[FIT], rtol=2e-5, atol=1e-7)


# --------------------------------------------------------------------------- answers
def test_a_shifted_intercept_is_found() -> None:
    """The scalar step fails, the score tests name y3 and group b, and releasing it mends the step."""
    found = fitted(ONE)
    assert found.reached == "metric"
    single = found.proposals.to_frame().query("group != 'all'").iloc[0]
    assert (single["parameter"], single["group"]) == ("y3~1", "b")
    assert "partial=['y3~1']" in found.conclusion
    assert "Do not compare means" in found.conclusion
    released = fitted(ONE, partial=("y3~1",))
    assert released.reached == "strict"
    assert released.conclusion.startswith("Partial strict invariance holds")
    means = released.latent_means().set_index("group")["effect_size"]
    assert means["b"] == pytest.approx(0.4, abs=0.15)
    assert means["c"] == pytest.approx(-0.2, abs=0.15)


def test_score_tests_foretell_what_releasing_gains() -> None:
    """The robust score test is near the difference test against the model with the parameter released."""
    found = fitted(ONE)
    best = found.score_tests("scalar").query("group == 'all'").iloc[0]
    released = fitted(ONE, partial=(best["parameter"],))
    gain = found.fits["scalar"].compare(released.fits["scalar"])
    assert gain.df == best["df"] == 2
    assert best["score_chisq_robust"] == pytest.approx(gain.chisq, rel=0.15)
    assert np.isnan(best["pvalue"])  # the plain statistic of least squares has no chi-square distribution


def test_corrected_indices_are_one_metric() -> None:
    """Statistic less the trace of ``U Gamma``, and changes of CFI that add up to the change of the excess."""
    table = fitted(ONE).to_frame().set_index("step")
    fits = fitted(ONE).fits
    base = [
        fits["configural"].indices[f"baseline.{name}"]
        for name in ("chisq", "chisq.scaled", "chisq.scaling.factor", "df")
    ]
    worst = base[0] - base[2] * (base[3] - (base[1] - base[0] / base[2]))
    for step, fit in fits.items():
        excess = fit.indices["chisq"] - residual_traces(fit._fitted)[0]
        assert table["cfi_corrected"][step] == pytest.approx(1 - max(excess, 0) / worst, abs=1e-9)
        rmsea = np.sqrt(max(excess, 0) * 3 / (len(rows()) * fit.indices["df"]))
        assert table["rmsea_corrected"][step] == pytest.approx(rmsea, abs=1e-9)
    assert table["delta_cfi_corrected"]["scalar"] == table["cfi_corrected"]["scalar"] - table["cfi_corrected"]["metric"]


def test_polychoric_results_by_group() -> None:
    """Sufficient statistics in place of rows give the same steps."""
    names = ONE.split("=~")[1].replace(" ", "").split("+")
    parts = {g: rm.polychoric(part[names], missing="listwise", acov=True) for g, part in rows().groupby("group")}
    found = rm.invariance(ONE, parts)
    np.testing.assert_allclose(found.to_frame()[FIT], fitted(ONE).to_frame()[FIT], rtol=1e-7, atol=1e-9)


def test_continuous_items_beside_ordered_ones() -> None:
    """A continuous item counts as one with a unit and an origin of its own."""
    rng = np.random.default_rng(5)
    data = rows().assign(x=lambda d: d["y1"] + rng.normal(size=len(d)))
    found = rm.invariance(ONE + " + x", data, group="group", ordered=[f"y{k}" for k in range(1, 6)])
    assert found.to_frame()["delta_df"][1:].tolist() == [8.0, 8.0, 10.0, 12.0]
    table = found.fits["strict"].parameters().query("lhs == 'x' or rhs == 'x'")
    assert table.groupby(["lhs", "op", "rhs"])["est"].nunique().max() == 1


def test_an_instrument_declares_its_categories() -> None:
    """No warning, and WLSMV takes the items as ordered."""
    instrument = rm.load_instrument("relationship-student")
    data = rm.simulate(instrument, n_clusters=30, cluster_size=20, rng=5)
    data["half"] = np.where(np.arange(len(data)) % 2, "a", "b")
    scale = next(s.id for s in instrument.scales if s.items)
    with warnings.catch_warnings():
        warnings.simplefilter("error", CategoriesAssumedWarning)
        found = rm.invariance(instrument, data, group="half", scales=[scale], estimator="WLSMV")
    assert found.reached == "strict"
    assert found.provenance.instrument == instrument.label


def test_round_trips() -> None:
    """Through JSON, score tests included."""
    found = fitted(ONE)
    again = InvarianceResult.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again.equals(found)
    assert again.score_tests("strict").equals(found.score_tests("strict"))


# --------------------------------------------------------------------------- refusals
def test_a_category_that_is_empty_in_one_group() -> None:
    """An error that names the item, the group, the counts, and the collapse; declared collapsing mends it."""
    data = rows().copy()
    data.loc[(data["group"] == "c") & (data["y1"] == 4), "y1"] = 3
    with pytest.raises(
        DataError, match=r"Category 4 of y1 was chosen by nobody in group 'c' \(a: \d+, b: \d+, c: 0\).*collapse"
    ):
        rm.invariance(ONE, data, group="group", ordered=True)
    data["y1"] = data["y1"].clip(upper=3)
    assert rm.invariance(ONE, data, group="group", ordered=True).status.level == "ok"


def test_categories_are_declared_once_for_all_groups() -> None:
    """A declared set that the answers leave is an error of its own."""
    with pytest.raises(DataError, match="y3"):
        rm.invariance(ONE, rows(), group="group", ordered=True, categories=[1, 2, 3, 4])
    with pytest.raises(ColumnNotFoundError, match="q9"):
        rm.invariance(ONE, rows(), group="group", ordered=True, categories={"q9": [1, 2]})
    words: Any = ["no", "yes"]
    with pytest.raises(DataError, match="takes numbers"):
        rm.invariance(ONE, rows(), group="group", ordered=True, categories=words)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"estimator": "MLR"}, UnsupportedDataError, "WLSMV"),
        ({"cluster": "group"}, UnsupportedDataError, "cluster="),
        ({"missing": "fiml"}, UnsupportedDataError, "fiml"),
        ({"std_lv": False}, UnsupportedDataError, "std_lv"),
        ({"ordered": ["q1"]}, ColumnNotFoundError, "ordered= names q1, which the data do not have"),
        ({"partial": ["y9|t1"]}, ModelError, "no parameter"),
        ({"partial": ["y1|t4"]}, ModelError, "no parameter"),
        ({"partial": ["f~~f"]}, ModelError, "no step holds equal"),
        ({"model": "f =~ 1*y1 + y2 + y3"}, ModelError, "Wu & Estabrook"),
        ({"model": ONE + "\ny1 | 0*t1"}, ModelError, "Wu & Estabrook"),
        ({"model": "f =~ a*y1 + y2 + y3"}, ModelError, "label"),
    ],
)
def test_bad_options(options: dict[str, Any], error: type[Exception], match: str) -> None:
    """Each with a sentence that says what is wrong."""
    chosen: dict[str, Any] = {"group": "group", "ordered": True} | options
    model = chosen.pop("model", ONE)
    with pytest.raises(error, match=match):
        rm.invariance(model, rows(), **chosen)


def test_a_group_with_too_few_rows() -> None:
    """Named with its number of rows."""
    data = pd.concat([rows(), rows().head(4).assign(group="d")])
    data.loc[data["group"] == "d", list(ITEMS)] = [[1, 2, 3, 1, 1, 1, 2, 3, 1]] * 4
    for ordered in (True, None):
        with pytest.raises(TooFewObservationsError, match="Group 'd' has 4 usable rows for 5 items"):
            rm.invariance(ONE, data, group="group", ordered=ordered)
