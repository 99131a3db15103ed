"""The same people over time: wide and long data, what each step holds equal, lavaan's answers."""

from __future__ import annotations

import csv
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import relmeasure as rm
from relmeasure.equivalence import InvarianceResult
from relmeasure.exceptions import (
    ColumnNotFoundError,
    DataError,
    ListwiseDeletionWarning,
    ModelError,
    OptionError,
    PairwiseDeletionWarning,
    TooFewObservationsError,
    UnsupportedDataError,
)
from tests.equivalence.test_ordinal import ESTIMATE, FIT, differences, unequal_tests
from tests.structural.reference import CHISQ, off
from tests.support import REFERENCE, Constructor, load_reference

pytestmark = pytest.mark.filterwarnings("ignore::relmeasure.exceptions.CategoriesAssumedWarning")

MODEL = "F =~ q1 + q2 + q3 + q4"
WAVES = {str(t): [f"q{k}_{t}" for k in range(1, 5)] for t in (1, 2, 3)}
CONTINUOUS = ("configural", "metric", "scalar", "strict")
SAME = ["chisq", "df", "cfi", "rmsea", "srmr", "delta_chisq", "delta_df", "pvalue"]


@cache
def wide(name: str = "waves") -> pd.DataFrame:
    """Four items of 500 persons at three waves; holes in ``waves_incomplete``."""
    with (REFERENCE / "invariance" / f"{name}.csv").open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    return pd.DataFrame({k: [float(r[k]) if r[k] else math.nan for r in found] for k in found[0]})


def long(data: pd.DataFrame) -> pd.DataFrame:
    """One row a person and wave, shuffled."""
    parts = [
        data[columns].set_axis([f"q{k}" for k in range(1, 5)], axis=1).assign(time=int(t), who=range(len(data)))
        for t, columns in WAVES.items()
    ]
    return pd.concat(parts, ignore_index=True).sample(frac=1.0, random_state=2)


@cache
def fitted(**options: Any) -> InvarianceResult:
    """The steps over three waves."""
    return rm.invariance(MODEL, wide(), wave=WAVES, **options)


# --------------------------------------------------------------------------- against lavaan
def renamed(stored: dict[str, Any]) -> dict[str, Any]:
    """lavaan's factors F1, F2, F3 under our names."""
    names = {f"F{t}": f"F.{t}" for t in (1, 2, 3)}
    out = {}
    for step, block in stored.items():
        if "estimates" not in block:
            out[step] = block
            continue
        rows = dict(block["estimates"])
        for side in ("lhs", "rhs"):
            rows[side] = [names.get(v, v) for v in rows[side]]
        rows["group"] = [1] * len(rows["lhs"])
        out[step] = block | {"estimates": rows}
    return out


def test_ordered_items_against_lavaan() -> None:
    """Steps of semTools (Wu & Estabrook) in one group: estimates, errors, tests, indices."""
    stored = renamed(load_reference("invariance/ordinal")["waves"])
    found = fitted(ordered=True)
    steps = ("configural", "thresholds", "metric", "scalar", "strict")
    assert differences(found, stored, steps) == []
    assert unequal_tests(found, stored["lrt"], steps[1:]) == []


@pytest.mark.parametrize(
    ("block", "name", "options"),
    [("waves_ML", "waves", {}), ("waves_MLR_fiml", "waves_incomplete", {"estimator": "MLR", "missing": "fiml"})],
)
def test_continuous_items_against_lavaan(block: str, name: str, options: dict[str, Any]) -> None:
    """Complete answers by maximum likelihood; every answer with robust errors."""
    stored = renamed(load_reference("invariance/ordinal")[block])
    found = rm.invariance(MODEL, wide(name), wave=WAVES, std_lv=True, **options)
    assert differences(found, stored, CONTINUOUS) == []
    table = found.to_frame()
    for ours, theirs in (("delta_chisq", "Chisq.diff"), ("delta_df", "Df.diff"), ("pvalue", "Pr..Chisq.")):
        pairs = zip(table[ours][1:], stored["lrt"][theirs][1:], strict=True)
        assert [pair for pair in pairs if off(*pair, ESTIMATE if options else 10 * CHISQ)] == []


@pytest.mark.shared
def test_the_call_and_the_written_model_agree(shared_reference: Path) -> None:
    """Mathematics interest of real students at two waves: the stored fits of models written out by hand."""
    stored = load_reference("values/invariance", shared_reference)["longitudinal_gti_pint"]
    rows = pd.read_csv(shared_reference / "data" / "gti_students" / "data.csv", low_memory=False)
    rows = rows[rows[["SQA14A", "SQB03A"]].notna().any(axis=1)]
    found = rm.invariance(
        "W =~ SQA14A + SQA14B + SQA14C",
        rows,
        wave={"1": ["SQA14A", "SQA14B", "SQA14C"], "2": ["SQB03A", "SQB03B", "SQB03C"]},
        estimator="MLR",
        missing="fiml",
        cluster="class",
    )
    for step in CONTINUOUS[:3]:
        for name in ("chisq", "df", "chisq.scaled", "cfi.robust", "rmsea.robust", "srmr", "bic"):
            assert not off(found.fits[step].indices[name], stored[step]["fit"][name], 1e-4), (step, name)
    table = found.to_frame()
    for ours, theirs in (("delta_chisq", "Chisq.diff"), ("delta_df", "Df.diff"), ("pvalue", "Pr..Chisq.")):
        assert [p for p in zip(table[ours][1:3], stored["lrt"][theirs][1:], strict=True) if off(*p, 1e-4)] == []


# --------------------------------------------------------------------------- what a step says
@pytest.mark.parametrize("ordered", [None, True])
def test_what_is_equal_at_each_step(ordered: bool | None) -> None:
    """Equal to the last bit where a step says so, free where not, and residuals of an item covary over waves."""
    found = fitted(ordered=ordered, std_lv=True)
    equal = {"configural": set(), "thresholds": {"|"}, "metric": {"|", "=~"}, "scalar": {"|", "=~", "~1"}}
    for step, fit in found.fits.items():
        table = fit.parameters()
        item = table["lhs"].where(table["op"] != "=~", table["rhs"]).str.replace(r"_\d$", "", regex=True)
        factor = table["lhs"].str.startswith("F.") & (table["op"] != "=~")
        own = (table["op"] != "~~") | (table["lhs"] == table["rhs"])
        key = item + table["op"] + table["rhs"].where(table["op"] == "|", "")
        spread = table[own & ~factor & (table["op"] != "~*~")].groupby(key)["est"].agg(lambda v: v.max() - v.min())
        for op in ("|", "=~", "~1", "~~"):
            chosen = [v for name, v in spread.items() if op in name]
            if not chosen:
                continue
            fixed = ordered and step == "configural" and op in ("~1", "~~")  # not identified: zero and one
            held = op in equal.get(step, {"|", "=~", "~1", "~~"}) or bool(fixed)
            assert (max(chosen) == 0.0) == held, (step, op)
        assert int(((table["op"] == "~~") & ~own & ~factor & (table["est"] != 0)).sum()) == 4 * 3
        means = table[factor & (table["op"] == "~1")]["est"]
        assert (means.abs().max() > 0) == (step in ("scalar", "strict"))
        variances = table[factor & own & (table["op"] == "~~")]["est"]
        assert (variances.nunique() > 1) == (step not in ("configural", "thresholds"))


def test_degrees_of_freedom() -> None:
    """(k - m)(W - 1) twice, k(W - 1); thresholds: the sum of c - 3 over items, times W - 1."""
    assert fitted().to_frame()["df"].tolist() == [39.0, 45.0, 51.0, 59.0]
    assert fitted(ordered=True).to_frame()["delta_df"][1:].tolist() == [6.0, 6.0, 6.0, 8.0]
    assert fitted(partial=("q2~1", "F=~q3")).to_frame()["delta_df"][1:].tolist() == [4.0, 4.0, 8.0]
    assert fitted(ordered=True, partial=("q4|",)).to_frame()["delta_df"][1:].tolist() == [6.0, 4.0, 4.0, 8.0]


def test_the_marker_does_not_change_the_fit() -> None:
    """Marker or unit variance."""
    np.testing.assert_allclose(fitted(std_lv=True).to_frame()[SAME], fitted().to_frame()[SAME], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("options", [{}, {"ordered": True}])
def test_long_and_wide_data_are_the_same(options: dict[str, Any]) -> None:
    """One row a person and wave, in any order."""
    found = rm.invariance(MODEL, long(wide()), wave="time", person="who", **options)
    assert found.groups == ("1", "2", "3")
    columns = FIT if options else SAME
    np.testing.assert_allclose(found.to_frame()[columns], fitted(**options).to_frame()[columns], rtol=1e-6, atol=1e-9)
    assert found.means["wave"] == ("2", "3")


def test_every_engine(constructor: Constructor) -> None:
    """Wide and long."""
    reference = fitted().to_frame()[SAME]
    columns = {name: wide()[name].to_list() for name in wide().columns}
    found = rm.invariance(MODEL, constructor(columns), wave=WAVES)
    np.testing.assert_allclose(found.to_frame()[SAME], reference, rtol=1e-7, atol=1e-9)
    rows = long(wide())
    found = rm.invariance(MODEL, constructor({c: rows[c].to_list() for c in rows.columns}), wave="time", person="who")
    np.testing.assert_allclose(found.to_frame()[SAME], reference, rtol=1e-6, atol=1e-9)


def test_columns_go_with_items_by_place_or_by_name() -> None:
    """A list that holds the items of the model by name gives the order of all lists."""
    turned = {t: columns[::-1] for t, columns in WAVES.items()}
    found = rm.invariance("F =~ q1_1 + q2_1 + q3_1 + q4_1", wide(), wave=turned, partial=["q2_1~1"])
    free = found.fits["scalar"].parameters().query("op == '~1' and lhs.str.startswith('q2')")
    assert free["est"].nunique() == 3
    assert found.fits["scalar"].parameters().query("op == '~1' and lhs.str.startswith('q3')")["est"].nunique() == 1


def test_the_only_item_of_a_factor_has_no_residual() -> None:
    """Nothing of it covaries over waves but the factor."""
    found = rm.invariance("F =~ q1 + q2 + q3\nG =~ q4", wide(), wave=WAVES)
    table = found.fits["configural"].parameters()
    assert not ((table["op"] == "~~") & (table["lhs"] == "q4_1") & (table["rhs"] == "q4_2")).any()
    assert found.status.level == "ok"
    assert found.to_frame()["delta_df"][1:].tolist() == [4.0, 4.0, 6.0]


def test_moments_of_wide_data() -> None:
    """A covariance matrix and means are enough for maximum likelihood."""
    found = rm.invariance(MODEL, rm.moments(wide()), wave=WAVES)
    np.testing.assert_allclose(found.to_frame()[SAME], fitted().to_frame()[SAME], rtol=1e-6, atol=1e-9)


# --------------------------------------------------------------------------- answers
def test_change_of_the_factor_mean() -> None:
    """A quarter of a standard deviation a wave, planted; the reference wave turns it round."""
    change = fitted().latent_means().set_index("wave")
    assert change["effect_size"]["2"] == pytest.approx(0.25, abs=0.12)
    assert change["effect_size"]["3"] == pytest.approx(0.5, abs=0.15)
    assert (change["reference"] == "1").all()
    turned = fitted(reference="3").latent_means().set_index("wave")
    assert turned["effect_size"]["1"] == pytest.approx(-change["effect_size"]["3"], rel=1e-4)
    ordinal = fitted(ordered=True).latent_means().set_index("wave")
    assert ordinal["effect_size"]["3"] == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("ordered", [None, True])
def test_a_drifting_item_is_found(ordered: bool | None) -> None:
    """An item that everybody answers one category higher at wave 3: the scalar step fails, releasing it mends it."""
    data = wide().copy()
    data["q2_3"] = (data["q2_3"] + (np.arange(len(data)) % 2)).clip(upper=4)
    found = rm.invariance(MODEL, data, wave=WAVES, ordered=ordered)
    assert not found.comparable_means
    single = found.score_tests("scalar").query("wave != 'all' and kind == 'intercepts'").iloc[0]
    assert (single["parameter"], single["wave"]) == ("q2~1", "3")
    assert "Do not compare means of the waves" in found.conclusion
    released = rm.invariance(MODEL, data, wave=WAVES, ordered=ordered, partial=["q2~1"])
    assert released.comparable_means
    assert "Partial" in released.conclusion


def test_missing_answers() -> None:
    """Listwise deletion counts persons; full information and pairwise keep them."""
    with pytest.warns(ListwiseDeletionWarning, match="of 500 rows"):
        listwise = rm.invariance(MODEL, wide("waves_incomplete"), wave=WAVES)
    full = rm.invariance(MODEL, wide("waves_incomplete"), wave=WAVES, missing="fiml")
    assert listwise.group_sizes[0] < full.group_sizes[0] == 500
    with pytest.warns(PairwiseDeletionWarning, match="of 500 rows"):
        pairs = rm.invariance(MODEL, wide("waves_incomplete"), wave=WAVES, ordered=True, missing="pairwise")
    assert pairs.to_frame()["delta_df"][1:].tolist() == [6.0, 6.0, 6.0, 8.0]


def test_an_instrument_and_simulated_waves() -> None:
    """Long data as simulated, bound and keyed, classes as clusters; wide data with columns of other names."""
    instrument = rm.load_instrument("relationship-student")
    scale = next(s.id for s in instrument.scales if s.items)
    items = list(instrument.scale(scale).items)
    data = rm.simulate(instrument, n_clusters=25, cluster_size=20, waves=2, rng=8)
    found = rm.invariance(
        instrument, data, wave="wave", person="student_id", cluster="class_id", scales=[scale], estimator="MLR"
    )
    assert found.reached == "strict"
    assert found.layout.over == "wave"
    parts = [part.set_index("student_id")[items].add_suffix(f"_{t}") for t, part in data.groupby("wave")]
    beside = pd.concat(parts, axis=1)
    columns = {t: [f"{item}_{t}" for item in items] for t in ("1", "2")}
    again = rm.invariance(instrument, beside, wave=columns, scales=[scale])
    plain = rm.invariance(instrument, data, wave="wave", person="student_id", scales=[scale])
    np.testing.assert_allclose(again.to_frame()[SAME], plain.to_frame()[SAME], rtol=1e-6, atol=1e-8)


def test_the_earliest_wave_is_the_reference() -> None:
    """By the numbers in its label, not by the alphabet."""
    instrument = rm.load_instrument("relationship-student")
    data = rm.simulate(instrument, n_clusters=25, cluster_size=20, waves=["wave 9", "wave 10"], rng=8)
    data["wave"] = data["wave"].astype(str)
    found = rm.invariance(instrument, data, wave="wave", person="student_id", scales=["care"])
    assert found.groups == ("wave 9", "wave 10")


def test_waves_of_different_people_are_groups() -> None:
    """Classes return with other students: cluster-robust tests over groups, one cluster in both waves."""
    instrument = rm.load_instrument("relationship-student")
    scale = next(s.id for s in instrument.scales if s.items)
    data = rm.simulate(instrument, n_clusters=40, cluster_size=15, waves=2, same_students=False, rng=9)
    with pytest.raises(UnsupportedDataError, match=r"Nobody was asked in two waves.*group="):
        rm.invariance(instrument, data, wave="wave", person="student_id", scales=[scale])
    plain = rm.invariance(instrument, data, group="wave", scales=[scale])
    robust = rm.invariance(instrument, data, group="wave", scales=[scale], cluster="class_id")
    assert robust.groups == ("1", "2")
    assert robust.to_frame()["delta_df"].equals(plain.to_frame()["delta_df"])
    assert "chisq_scaled" in robust.to_frame()
    assert robust.means["se"][0] != pytest.approx(plain.means["se"][0], rel=1e-3)


def test_round_trips_and_print() -> None:
    """Through JSON; the table says waves."""
    found = fitted(ordered=True)
    again = InvarianceResult.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again.equals(found)
    assert again.score_tests("strict").equals(found.score_tests("strict"))
    assert "Waves: 1, 2, 3 (500 persons); reference wave: 1" in found.summary()


# --------------------------------------------------------------------------- refusals
@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"wave": WAVES, "group": "q1_1"}, UnsupportedDataError, "group= and wave="),
        ({"wave": "time"}, OptionError, "person="),
        ({"wave": WAVES, "person": "who"}, OptionError, "long data"),
        ({"person": "who"}, OptionError, "column of waves"),
        ({"wave": {"1": WAVES["1"]}}, TooFewObservationsError, "there is 1"),
        ({"wave": {**WAVES, "4": ["q1_1"]}}, ModelError, "listed twice"),
        ({"wave": {"1": WAVES["1"], "2": WAVES["2"][:3]}}, ModelError, "3 columns, and the model has 4 items"),
        ({"wave": {"1": "q1_1", "2": "q1_2"}}, OptionError, "list of its columns"),
        ({"wave": {"1": WAVES["1"], "2": ["z1", "z2", "z3", "z4"]}}, ColumnNotFoundError, "z1"),
        ({"wave": {"1": ["q1", "q2_1", "q3_1", "q4_1"], "2": WAVES["2"]}}, ModelError, "lists q1 of the model"),
        ({"wave": WAVES, "reference": "9"}, OptionError, "9"),
        ({"wave": WAVES, "partial": ["q1_2~1"]}, ModelError, "no parameter"),
        ({"wave": {str(t): [f"a{t}{k}" for k in range(4)] for t in range(11)}}, UnsupportedDataError, "11 waves"),
    ],
)
def test_bad_options(options: dict[str, Any], error: type[Exception], match: str) -> None:
    """Each with a sentence that says what is wrong."""
    with pytest.raises(error, match=match):
        rm.invariance(MODEL, wide(), **options)


def test_long_data_with_faults() -> None:
    """A person twice in a wave; a class that changes; rows without a wave."""
    rows = long(wide()).assign(room=lambda d: d["who"] % 30)
    with pytest.raises(DataError, match="2 persons have several rows in one wave"):
        rm.invariance(MODEL, pd.concat([rows, rows.head(2)]), wave="time", person="who")
    moved = rows.assign(room=rows["room"].where(rows["time"] == 1, rows["room"] + 1))
    with pytest.raises(DataError, match="cluster= differs between the waves of 500 persons"):
        rm.invariance(MODEL, moved, wave="time", person="who", cluster="room")
    lost = rows.assign(time=np.where(np.arange(len(rows)) < 3, np.nan, rows["time"]))
    with pytest.warns(ListwiseDeletionWarning, match="3 of 1500 rows have no wave or no person"):
        rm.invariance(MODEL, lost, wave="time", person="who", missing="fiml")
