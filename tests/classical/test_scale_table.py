"""The reliability of every scale of an instrument as one table."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

import relmeasure as rm
from relmeasure import exceptions as ex
from relmeasure.classical import ScaleReliability, alpha, omega, reliability, spearman_brown
from relmeasure.classical.scale_table import COLUMNS
from relmeasure.instruments import Instrument
from relmeasure.responses.intake import scale_moments
from tests.classical.stored import quietly
from tests.instruments.builders import AGREE4, tree
from tests.support import Constructor

ITEMS = [f"q{k}" for k in range(1, 9)]


def instrument(**changes: Any) -> Instrument:
    """Scales of four, two and one item; q2 is reversed."""
    items = [{"id": q, "response_scale": "agree4", "key": -1 if q == "q2" else 1} for q in ITEMS[:7]]
    made = {
        "items": items,
        "scales": [
            {"id": "long", "items": ITEMS[:4]},
            {"id": "short", "items": ITEMS[4:6], "scoring": {"method": "sum"}},
            {"id": "single", "items": ITEMS[6:7]},
        ],
    }
    return Instrument.model_validate(tree(**(made | changes)))


def answers(n: int = 80, seed: int = 1, k: int = 7) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = np.clip(np.rint(2.5 + rng.normal(size=(n, 1)) + 0.6 * rng.normal(size=(n, k))), 1, 4).astype(int)
    x[:, 1] = 5 - x[:, 1]
    return pd.DataFrame(x, columns=ITEMS[:k])


def test_every_scale_gets_what_its_size_allows() -> None:
    data = answers()
    table = reliability(instrument(), data).to_frame()
    assert tuple(table.columns) == COLUMNS
    rows = list(zip(table["scale"], table["coefficient"], strict=True))
    assert rows == [("long", "alpha"), ("long", "omega"), ("short", "spearman_brown"), ("single", "alpha")]
    keyed = data.assign(q2=5 - data["q2"])
    assert math.isclose(table["estimate"][0], alpha(keyed[ITEMS[:4]]).estimate, rel_tol=1e-12)
    assert math.isclose(table["estimate"][1], omega(keyed[ITEMS[:4]]).estimate, rel_tol=1e-9)
    assert math.isclose(table["estimate"][2], spearman_brown(keyed[ITEMS[4:6]]).estimate, rel_tol=1e-12)
    assert table["reason"][:3].isna().all()
    assert "one item" in table["reason"][3]
    assert set(table["level"]) == {"student"}
    assert table["n_items"].tolist() == [4, 4, 2, 1]


def test_sem_is_in_the_units_of_the_score() -> None:
    data = answers()
    table = reliability(instrument(), data).to_frame()
    keyed = data.assign(q2=5 - data["q2"])
    mean_sd, sum_sd = keyed[ITEMS[:4]].mean(axis=1).std(), keyed[ITEMS[4:6]].sum(axis=1).std()
    assert math.isclose(table["sem"][0], mean_sd * math.sqrt(1 - table["estimate"][0]), rel_tol=1e-10)
    assert math.isclose(table["sem"][2], sum_sd * math.sqrt(1 - table["estimate"][2]), rel_tol=1e-10)
    assert math.isnan(table["sem"][3])


def test_pomp_scores_take_every_item_on_its_own_range() -> None:
    made = instrument(
        response_scales={
            "agree4": AGREE4,
            "agree7": {"kind": "agreement", "options": [{"value": v} for v in range(1, 8)]},
        },
        items=[{"id": q, "response_scale": "agree7" if q == "q3" else "agree4"} for q in ITEMS[:4]],
        scales=[{"id": "long", "items": ITEMS[:4], "scoring": {"method": "pomp"}}],
    )
    data = answers().assign(q3=lambda d: d["q3"] * 2 - 1)
    table = reliability(made, data[ITEMS[:4]].assign(q2=5 - data["q2"])).to_frame()
    ranges = np.array([3.0, 3.0, 6.0, 3.0])
    scored = (data[ITEMS[:4]].assign(q2=5 - data["q2"]) - 1) / ranges * 100
    assert math.isclose(table["estimate"][0], alpha(scored).estimate, rel_tol=1e-10)
    wanted = scored.mean(axis=1).std() * math.sqrt(1 - table["estimate"][0])
    assert math.isclose(table["sem"][0], wanted, rel_tol=1e-10)


def test_a_scale_of_subscales_is_its_items_with_a_note_and_no_sem() -> None:
    made = instrument(
        scales=[
            {"id": "a", "items": ITEMS[:3]},
            {"id": "b", "items": ITEMS[3:6]},
            {"id": "total", "subscales": ["a", "b"], "scoring": {"method": "mean_of_subscales"}},
        ],
        items=[{"id": q, "response_scale": "agree4", "key": -1 if q == "q2" else 1} for q in ITEMS[:6]],
    )
    data = answers()
    with pytest.warns(ex.FewItemsWarning, match="Scales 'a', 'b'"):
        result = reliability(made, data[ITEMS[:6]])
    total = result.to_frame().query("scale == 'total'")
    assert total["n_items"].tolist() == [6, 6]
    assert total["sem"].isna().all()
    assert [note.code for note in result.warnings] == ["leaf-items", "few-items"]


def test_a_weighted_composite_has_no_reliability_of_its_items() -> None:
    """The weight of b is negative: alpha over the items as keyed would be that of another score."""
    made = instrument(
        scales=[
            {"id": "a", "items": ITEMS[:3]},
            {"id": "b", "items": ITEMS[3:6]},
            {
                "id": "both",
                "subscales": ["a", "b"],
                "scoring": {"method": "weighted", "weights": {"a": 1.0, "b": -1.0}},
            },
            {
                "id": "over",
                "subscales": ["both", "a"],
                "scoring": {"method": "weighted", "weights": {"both": 1.0, "a": 1.0}},
            },
            {"id": "top", "subscales": ["both"], "scoring": {"method": "mean_of_subscales"}},
        ],
        items=[{"id": q, "response_scale": "agree4", "key": -1 if q == "q2" else 1} for q in ITEMS[:6]],
    )
    with quietly():
        result = reliability(made, answers()[ITEMS[:6]], coefficients=["alpha", "omega", "omega_observed"])
    table = result.to_frame().set_index("scale")
    assert table.loc[["a", "b"], "estimate"].notna().all()
    for name in ("both", "over", "top"):
        rows = table.loc[name]
        assert rows[["estimate", "se", "lower", "upper", "sem"]].isna().all(axis=None)
        assert rows["reason"].str.contains("weighted composite").all()
        assert rows["n_obs"].tolist() == [80, 80, 80]
        assert f"{name}, alpha, omega, omega_observed: not available" in result.summary()
    assert not [note for note in result.warnings if note.code == "leaf-items"]


def test_asked_for_coefficients_are_given_for_every_scale() -> None:
    with pytest.warns(ex.FewItemsWarning, match="Scale 'short': Alpha of 2 items"):
        result = reliability(instrument(), answers(), coefficients=["alpha", "omega_observed", "spearman_brown"])
    table = result.to_frame()
    assert len(table) == 9
    reasons = dict(zip(zip(table["scale"], table["coefficient"], strict=True), table["reason"], strict=True))
    assert "for two items" in reasons["long", "spearman_brown"]
    assert "not identified" in reasons["short", "omega_observed"]
    assert table["definition"][1] == "omega_total.observed_variance"
    with pytest.raises(ex.OptionError, match="spearman_brown"):
        reliability(instrument(), answers(), coefficients=["cronbach"])  # type: ignore[list-item]


CLUSTERED = ["omega_within", "omega_between", "omega_shared", "icc2"]


def classes(n: int = 30, size: int = 8) -> pd.DataFrame:
    rng = np.random.default_rng(11)
    code = np.repeat(np.arange(n), size)
    common = 0.6 * rng.normal(size=n)[code] + rng.normal(size=n * size)
    noisy = common[:, None] + 0.5 * rng.normal(size=(n, 7))[code] + rng.normal(size=(n * size, 7))
    x = np.clip(np.rint(2.5 + noisy), 1, 4).astype(int)
    x[:, 1] = 5 - x[:, 1]
    return pd.DataFrame(x, columns=ITEMS[:7]).assign(class_id=code)


def test_levels_have_their_own_rows() -> None:
    made, data = instrument(), classes()
    frame = reliability(made, data, cluster="class_id").to_frame()
    assert set(CLUSTERED) <= set(frame["coefficient"])
    first = frame[frame["scale"] == made.scales[0].id].set_index("coefficient")
    assert first.loc["icc2", "level"] == first.loc["omega_shared", "level"] == "class mean"
    assert "class size 8.0" in first.loc["icc2", "definition"]
    score = data.assign(q2=5 - data["q2"])[ITEMS[:4]].sum(axis=1)
    alone = rm.icc(pd.DataFrame({"y": score}), cluster=data["class_id"].to_numpy(), method="ml")
    assert first.loc["icc2", "estimate"] == pytest.approx(alone.icc2, rel=1e-6)


def test_levels_on_request_only() -> None:
    made, data = instrument(), classes()
    with quietly():
        frame = reliability(made, data, cluster="class_id", coefficients=["alpha", "icc2"]).to_frame()
    assert set(frame["coefficient"]) == {"alpha", "icc2"}
    with pytest.raises(ex.OptionError, match="need"):
        reliability(made, data, coefficients=["icc2"])
    with pytest.raises(ex.UnsupportedDataError, match="listwise"):
        reliability(made, data, cluster="class_id", missing="pairwise")
    with pytest.raises(ex.ColumnNotFoundError, match="teacher"):
        reliability(made, data, cluster="teacher")
    moments = {"long": rm.moments(data[ITEMS[:4]])}
    with pytest.raises(ex.UnsupportedDataError, match="answers"):
        reliability(made, moments, cluster="class_id")


def test_classes_that_tell_nothing_give_a_reason() -> None:
    made = instrument()
    frame = reliability(made, classes(n=240, size=1), cluster="class_id").to_frame()
    told = frame[frame["coefficient"] == "icc2"].iloc[0]
    assert np.isnan(told["estimate"])
    assert "no cluster has two rows" in told["reason"]


def test_a_scale_for_another_level_is_warned_about() -> None:
    made = instrument(scales=[{"id": "long", "items": ITEMS[:4], "levels": ["class"]}])
    with pytest.warns(ex.LevelWarning, match="Scale 'long': declared for level class"):
        reliability(made, answers())
    teacher = instrument(reporter="teacher", scales=[{"id": "long", "items": ITEMS[:4], "levels": ["teacher"]}])
    assert set(reliability(teacher, answers()).to_frame()["level"]) == {"teacher"}


def test_rows_dropped_are_told_once_for_all_scales() -> None:
    data = answers().astype(float)
    data.loc[0:2, "q1"] = np.nan
    data.loc[5, "q5"] = np.nan
    with pytest.warns(ex.ListwiseDeletionWarning, match="long 3 of 80, short 1 of 80") as caught:
        result = reliability(instrument(), data)
    assert len(caught) == 1
    table = result.to_frame()
    assert table["n_obs"].tolist() == [77, 77, 79, 80]
    assert table["n_rows"].tolist() == [80] * 4
    assert table["rule"][0] == "listwise: 77 of 80 rows complete on 4 items"
    assert result.provenance is not None
    assert result.provenance.instrument == "toy-student@1.0"
    with pytest.warns(ex.PairwiseDeletionWarning, match="long 77 to 80"):
        pairwise = reliability(instrument(), data, missing="pairwise", scales=["long"]).to_frame()
    assert pairwise["n_obs"].tolist() == [77, 77]


def test_a_scale_that_nobody_answered_is_a_row_with_its_reason() -> None:
    data = answers().astype(float)
    data[["q5", "q6"]] = np.nan
    with quietly():
        table = reliability(instrument(), data).to_frame()
    row = table[table["scale"] == "short"].iloc[0]
    assert math.isnan(row["estimate"])
    assert row["reason"].startswith("0 usable rows")
    assert row["n_obs"] == 0


def test_a_wrong_key_shows_once_in_each_scale() -> None:
    data = answers()
    data["q2"] = 5 - data["q2"]
    with pytest.warns(ex.KeyDirectionWarning, match="Scale 'long'") as caught:
        reliability(instrument(), data)
    assert len([w for w in caught if isinstance(w.message, ex.KeyDirectionWarning)]) == 1


def test_moments_of_parts_add_up_to_the_table_of_the_whole() -> None:
    data = answers()
    made = instrument()
    parts = [scale_moments(made, part) for part in (data[:30], data[30:])]
    pooled = {scale: parts[0][scale] + parts[1][scale] for scale in parts[0]}
    whole = reliability(made, data)
    assert reliability(made, pooled).table.equals(whole.table, rtol=1e-9)
    assert reliability(made, pooled, scales=["short"]).to_frame()["scale"].tolist() == ["short"]
    with pytest.raises(ex.OptionError, match="scales"):
        reliability(made, pooled, scales=["nowhere"])
    with pytest.raises(ex.UnsupportedDataError, match="The moments of scale 'long'"):
        reliability(made, {"long": pooled["short"]})


def test_unknown_codes_and_scales() -> None:
    data = answers()
    data.loc[0, "q1"] = 9
    with pytest.raises(ex.UnknownCodeError):
        reliability(instrument(), data)
    with pytest.warns(ex.RelmeasureWarning) as caught:
        without = reliability(instrument(), data, unknown="missing")
    assert {type(w.message) for w in caught} == {ex.CodesAsMissingWarning, ex.ListwiseDeletionWarning}
    assert [note.code for note in without.warnings] == ["codes-as-missing", "listwise-deletion"]
    assert without.provenance is not None
    assert len(without.provenance.steps) == 1
    assert without.to_frame()["n_obs"][0] == 79
    with pytest.raises(ex.OptionError, match="long"):
        reliability(instrument(), answers(), scales=["lang"])


def test_bound_and_keyed_responses_are_read_as_they_are() -> None:
    data = answers()
    wanted = reliability(instrument(), data).table
    responses = rm.bind(instrument(), data)
    assert reliability(instrument(), responses).table.equals(wanted)
    assert reliability(instrument(), responses.keyed()).table.equals(wanted)


def test_warnings_of_the_binding_stay_with_every_result() -> None:
    data = answers()
    data.loc[0, "q1"] = 9
    with quietly():
        responses = rm.bind(instrument(), data, scales=["long"], unknown="missing")
        assert [note.code for note in alpha(responses).warnings] == ["codes-as-missing", "listwise-deletion"]


def test_every_engine_gives_the_same_table(constructor: Constructor) -> None:
    data = answers(40)
    frame = constructor({str(name): data[name].tolist() for name in data})
    with quietly():
        assert reliability(instrument(), frame).table.equals(reliability(instrument(), data).table, rtol=1e-9)


def test_the_result_prints_pickles_and_round_trips() -> None:
    result = reliability(instrument(), answers())
    assert pickle.loads(pickle.dumps(result)).equals(result)
    assert ScaleReliability.from_dict(result.to_dict()).equals(result)
    text = result.summary()
    assert "single, alpha: not available (one item" in text
    assert "omega: omega_total.implied_variance, Wald interval" in text


def test_an_item_that_nobody_answered_is_named() -> None:
    """Among many items too, and once for all coefficients of the scale."""
    form = rm.load_instrument("relationship-student")
    data = rm.simulate(form, n_clusters=4, cluster_size=20, rng=1).assign(trust_6=None)
    with quietly():
        result = reliability(form, data, scales=["relationship"])
    text = " ".join(result.summary().split())
    assert "Nobody answered trust_6" in text
    assert text.count("not available") == 1
    assert "relationship, alpha, omega: not available" in text


def test_ordinal_coefficients_are_offered_where_categories_are_few() -> None:
    made = rm.load_instrument("relationship-student")  # four options an item
    data = rm.simulate(made, n_clusters=10, cluster_size=20, rng=1)
    plain = reliability(made, data, scales=["care", "trust"])
    assert "Items of care, trust have no more than 5 categories" in plain.remarks[0]
    assert "green_yang" in plain.summary()
    asked = reliability(made, data, scales=["care"], coefficients=["alpha", "green_yang"])
    assert asked.remarks == ()
    wide = rm.load_instrument("tses-short")  # nine options
    assert reliability(wide, rm.simulate(wide, n_clusters=20, cluster_size=10, rng=1)).remarks == ()
