"""Item analysis and the standard error of measurement."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

import relmeasure as rm
from relmeasure import exceptions as ex
from relmeasure.classical import ItemAnalysis, StandardErrorOfMeasurement, alpha, item_analysis
from relmeasure.classical import standard_error_of_measurement as sem
from relmeasure.classical.distribution import ItemDistribution
from relmeasure.instruments import Instrument
from relmeasure.samplestats import ContingencyTables, polychoric_from_tables
from relmeasure.samplestats.moments import MomentSums, moment_sums
from tests.classical.stored import complete, quietly
from tests.instruments.builders import tree
from tests.support import Constructor, load_reference, unchanged

ANSWERS = np.array([[4, 3, 4], [2, 2, 1], [3, 3, 3], [1, 2, 1], [4, 4, 3], [2, 1, 2]])


# --------------------------------------------------------------------------- items as ordered categories
PSYCH = load_reference("ordinal_reliability/items")
TABLES = load_reference("ordinal_reliability/bfi")["cases"]


@pytest.mark.parametrize("name", TABLES)
def test_statistics_of_latent_responses_are_psychs_of_the_polychoric_matrix(name: str) -> None:
    """psych::alpha of lavaan's matrix: item-rest, corrected item-total, alpha if dropped."""
    found = polychoric_from_tables(ContingencyTables.from_dict(TABLES[name]["tables"]))
    sums = MomentSums.from_covariance(found.correlation, np.zeros(5), found.n_obs, found.names, origin="polychoric")
    table = alpha(sums).item_table
    expected = PSYCH[name]
    for column, key in (
        ("item_rest_r", "r_drop"), ("item_total_r_corrected", "r_cor"), ("alpha_if_dropped", "alpha_drop"),
        ("lambda6_if_dropped", "g6_drop"),
    ):  # fmt: skip
        np.testing.assert_allclose(table[column], expected[key], rtol=0, atol=1e-6)


def test_ordered_items_add_what_polychorics_say() -> None:
    rng = np.random.default_rng(5)
    latent = rng.normal(size=(400, 1)) + rng.normal(size=(400, 4))
    x = np.digitize(latent, [0.2, 1.2, 2.0]) + 1.0
    plain, made = item_analysis(x, categories=[1, 2, 3, 4]), item_analysis(x, categories=[1, 2, 3, 4], ordered=True)
    assert plain.latent_table is None
    assert made.item_table.equals(plain.item_table)
    latent_r = rm.polychoric(x, categories=[1, 2, 3, 4], missing="listwise").correlation
    rest = latent_r.sum(axis=0) - 1.0
    others = latent_r.sum() - 2.0 * rest - 1.0
    assert made.latent_table is not None
    np.testing.assert_allclose(made.latent_table["item_rest_r"], rest / np.sqrt(others), rtol=1e-10)
    assert (np.array(made.latent_table["item_rest_r"]) > np.array(plain.item_table["item_rest_r"])).all()
    for coefficient in ("ordinal_alpha", "green_yang"):
        wanted = rm.ordinal_reliability(x, coefficient=coefficient, categories=[1, 2, 3, 4])
        found = getattr(made, coefficient)
        assert (found.estimate, found.lower) == (wanted.estimate, wanted.lower)
    np.testing.assert_allclose(made.latent_table["loading"], np.sqrt(0.5), atol=0.12)
    assert "Latent responses" in made.summary()
    assert ItemAnalysis.from_dict(made.to_dict()).equals(made)


def test_ordered_items_say_once_what_was_dropped_and_name_empty_categories() -> None:
    x = np.vstack([ANSWERS] * 20).astype(float)
    x[0, 0] = np.nan
    with pytest.warns(ex.RelmeasureWarning) as caught:
        result = item_analysis(x, categories=[1, 2, 3, 4, 5], ordered=True)
    codes = [w.message.code for w in caught if isinstance(w.message, ex.RelmeasureWarning)]
    assert codes.count("listwise-deletion") == 1
    assert "empty-category" in codes
    assert "empty-category" in [note.code for note in result.warnings]


# --------------------------------------------------------------------------- item analysis
def test_distribution_as_r_describes_it() -> None:
    """R: psych::skew(x, type = 2), psych::kurtosi(x, type = 2), colMeans(x), apply(x, 2, sd)."""
    x = np.column_stack([[1, 1, 2, 2, 2, 3, 4, 5, 5, 1, 1, 1, 2], [5, 4, 4, 5, 3, 5, 5, 4, 2, 5, 5, 4, 3]])
    with quietly():
        table = item_analysis(x, categories=range(1, 6)).item_table
    np.testing.assert_allclose(table["mean"], [2.30769230769231, 4.15384615384615], rtol=1e-12)
    np.testing.assert_allclose(table["sd"], [1.493575987611354, 0.987096233585649], rtol=1e-12)
    np.testing.assert_allclose(table["skewness"], [0.972818302167573, -0.967023702519914], rtol=1e-12)
    np.testing.assert_allclose(table["kurtosis"], [-0.376045832882930, 0.160085620750442], rtol=1e-12)
    assert table["floor"] == (5 / 13, 0.0)
    assert table["ceiling"] == (2 / 13, 6 / 13)
    assert (table["minimum"], table["maximum"]) == ((1.0, 2.0), (5.0, 5.0))
    assert table["n_categories"] == (5, 4)


def test_item_statistics_are_those_of_alpha() -> None:
    result = item_analysis(ANSWERS, categories=[1, 2, 3, 4])
    wanted = alpha(ANSWERS)
    assert result.alpha.estimate == wanted.estimate
    for column in ("item_rest_r", "alpha_if_dropped", "item_total_r_corrected", "lambda6_if_dropped"):
        assert result.item_table[column] == wanted.item_table[column]
    assert list(result.items["item"]) == ["x1", "x2", "x3"]
    assert result.to_frame().equals(result.items)


def test_distribution_uses_every_answer_and_correlations_the_complete_rows() -> None:
    x = ANSWERS.astype(float)
    x[0, 0] = np.nan
    with pytest.warns(ex.ListwiseDeletionWarning, match="1 of 6 rows has"):
        result = item_analysis(x, categories=[1, 2, 3, 4])
    assert result.item_table["n"] == (5, 6, 6)
    assert result.item_table["n_missing"] == (1, 0, 0)
    assert (result.n_rows, result.n_obs) == (6, 5)
    assert result.rule == "listwise: 5 of 6 rows complete on 3 items"


def test_observed_categories_are_said_to_be_assumed() -> None:
    with pytest.warns(ex.CategoriesAssumedWarning, match="taken from the data for x1, x2, x3"):
        result = item_analysis(ANSWERS)
    assert result.item_table["ceiling"] == (2 / 6, 1 / 6, 1 / 6)
    assert set(result.distribution["declared"]) == {None}


def test_categories_by_item_and_wrong_names() -> None:
    by_item = {"x1": [1, 2, 3, 4, 5], "x2": [1, 2, 3, 4], "x3": [0, 1, 2, 3, 4]}
    result = item_analysis(ANSWERS, categories=by_item)
    assert result.item_table["ceiling"] == (0.0, 1 / 6, 1 / 6)
    assert result.item_table["floor"] == (1 / 6, 1 / 6, 0.0)
    counts = {(row["item"], row["category"]): row["n"] for row in result.distribution.rows()}
    assert counts["x1", 5.0] == 0
    assert sum(n for (item, _), n in counts.items() if item == "x1") == 6
    with pytest.raises(ex.OptionError, match="x9, which the data do not have"):
        item_analysis(ANSWERS, categories={"x9": [1, 2]})


def test_values_outside_the_declared_categories_are_shown_as_such() -> None:
    result = item_analysis(ANSWERS, categories=[1, 2, 3])
    outside = [row["category"] for row in result.distribution.rows() if not row["declared"]]
    assert outside == [4.0, 4.0, 4.0]


def test_responses_bring_the_declared_categories_and_keys() -> None:
    instrument = Instrument.model_validate(
        tree(
            items=[{"id": f"q{k}", "response_scale": "agree4", "key": -1 if k == 2 else 1} for k in (1, 2, 3, 4)],
            scales=[{"id": "all", "items": ["q1", "q2", "q3", "q4"]}],
        )
    )
    frame = pd.DataFrame({"q1": [1, 2, 3, 3], "q2": [3, 3, 2, 2], "q3": [1, 2, 2, 3], "q4": [1, 1, 3, 2]})
    responses = rm.bind(instrument, frame)
    result = item_analysis(responses)
    assert result.item_table["mean"] == (2.25, 2.5, 2.0, 1.75)
    assert result.item_table["ceiling"] == (0.0, 0.0, 0.0, 0.0)
    assert all(row["declared"] for row in result.distribution.rows())
    assert [row["category"] for row in result.distribution.rows() if row["item"] == "q2"] == [1.0, 2.0, 3.0, 4.0]
    assert item_analysis(responses.keyed()).equals(result)


def test_a_numeric_range_has_its_ends_for_floor_and_ceiling() -> None:
    made = tree(response_scales={"agree4": {"kind": "range", "minimum": 0, "maximum": 100}})
    instrument = Instrument.model_validate(made)
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({f"q{k}": rng.uniform(20, 80, 60) + 10 * rng.normal() for k in (1, 2, 3, 4)})
    frame.iloc[0] = 0.0
    frame.iloc[1:3] = 100.0
    result = item_analysis(rm.bind(instrument, frame))
    assert result.item_table["floor"] == (1 / 60,) * 4
    assert result.item_table["ceiling"] == (2 / 60,) * 4
    assert len(result.distribution) == 0


def test_every_engine_gives_the_same_answer_and_is_left_alone(constructor: Constructor) -> None:
    x = np.vstack([ANSWERS, ANSWERS[::-1] + 0.0])
    columns: dict[str, Any] = {name: x[:, j].tolist() for j, name in enumerate("abc")}
    columns["a"][3] = None
    frame = constructor(columns)
    with unchanged(frame), quietly():
        result = item_analysis(frame, categories=[1, 2, 3, 4])
        wanted = item_analysis(pd.DataFrame(columns), categories=[1, 2, 3, 4])
    assert result.equals(wanted, rtol=1e-12)


def test_half_points_and_wide_ranges_are_counted() -> None:
    x = np.column_stack([[0.5, 1.5, 1.5, 2.0], [1, 100_000, 1, 3], [1, 2, 3, 5]])
    with quietly():
        result = item_analysis(x)
    found = {(r["item"], r["category"]): r["n"] for r in result.distribution.rows()}
    assert found["x1", 1.5] == 2
    assert found["x2", 1.0] == 2


def test_moments_text_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(ex.UnsupportedDataError, match="hand in the rows"):
        item_analysis(moment_sums(ANSWERS, list("abc")))
    with pytest.raises(ex.NonNumericError):
        item_analysis(pd.DataFrame({"a": ["x", "y"], "b": [1, 2]}))
    with pytest.raises(ex.UnsupportedDataError, match="2 dimensions"):
        item_analysis(np.arange(5))
    with pytest.raises(ex.TooFewObservationsError):
        item_analysis(np.full((4, 2), np.nan))


def test_an_item_without_answers_has_missing_shares_when_pairwise_allows_it() -> None:
    empty = ItemDistribution(np.empty(0), np.empty(0), (1.0, 2.0))
    assert math.isnan(empty.share(1.0))
    assert all(math.isnan(v) for v in empty.moments())
    single = ItemDistribution(np.array([3.0]), np.array([1.0]), None)
    assert single.moments()[0] == 3.0
    assert math.isnan(single.moments()[1])


def test_one_item_still_has_its_distribution() -> None:
    result = item_analysis(ANSWERS[:, :1], categories=[1, 2, 3, 4])
    assert result.item_table["n"] == (6,)
    assert math.isnan(result.item_table["item_rest_r"][0]) if "item_rest_r" in result.item_table.columns else True
    assert result.alpha.reason is not None
    assert "x1" in result.summary()


def test_the_result_pickles_and_round_trips() -> None:
    result = item_analysis(ANSWERS, categories=[1, 2, 3, 4])
    assert pickle.loads(pickle.dumps(result)).equals(result)
    assert ItemAnalysis.from_dict(result.to_dict()).equals(result)
    assert "item_rest_r" in result.summary()
    assert "alpha = 0.913" in result.summary()


# --------------------------------------------------------------------------- standard error of measurement
def test_sem_of_mean_and_sum_scores() -> None:
    x = np.random.default_rng(2).normal(size=(70, 1)) + np.random.default_rng(3).normal(size=(70, 4))
    reliability = alpha(x).estimate
    total, mean = sem(x, score="sum"), sem(x)
    assert math.isclose(total.estimate, x.sum(axis=1).std(ddof=1) * math.sqrt(1 - reliability), rel_tol=1e-12)
    assert math.isclose(mean.estimate, x.mean(axis=1).std(ddof=1) * math.sqrt(1 - reliability), rel_tol=1e-12)
    assert math.isclose(total.estimate, 4 * mean.estimate, rel_tol=1e-12)
    assert "sd of the sum score times sqrt(1 - reliability), reliability alpha.raw" in total.rule
    assert (mean.score, mean.definition) == ("mean", "sem.classical")


def test_published_example_of_an_iq_score() -> None:
    """Every textbook: a standard deviation of 15 and a reliability of .91 give a standard error of 4.5."""
    cov = np.full((3, 3), 25.0)
    from tests.classical.stored import from_covariances

    with quietly():
        result = sem(from_covariances(cov, 100, list("abc")), reliability=0.91, score="sum")
    assert result.score_sd == pytest.approx(15.0)
    assert result.estimate == pytest.approx(4.5)


def test_a_reliability_of_another_kind() -> None:
    m = complete("bfi_A")
    omega = rm.omega(m)
    result = sem(m, reliability=omega)
    assert result.reliability == omega.estimate
    assert "omega_total.implied_variance" in result.rule
    assert sem(m, reliability=1.0).estimate == 0.0


def test_no_reliability_no_sem() -> None:
    x = np.random.default_rng(2).normal(size=(30, 4))
    one = sem(x[:, :1])
    assert math.isnan(one.estimate)
    assert one.reason is not None
    assert "one item" in one.reason
    negative = sem(x, reliability=-0.2)
    assert negative.reason is not None
    assert "negative" in negative.reason
    assert sem(x, reliability=math.nan).reason is not None
    with pytest.raises(ex.OptionError, match="above 1"):
        sem(x, reliability=1.2)
    with pytest.raises(ex.OptionError, match="sum"):
        sem(x, score="total")  # type: ignore[arg-type]


def test_sem_pickles_and_round_trips() -> None:
    result = sem(complete("bfi_A"))
    assert pickle.loads(pickle.dumps(result)).equals(result)
    assert StandardErrorOfMeasurement.from_dict(result.to_dict()).equals(result)
