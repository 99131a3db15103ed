"""Can I use this score? Bad data of every kind get the finding that names them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relmeasure.exceptions import CodesAsMissingWarning, ColumnNotFoundError, OptionError
from relmeasure.instruments import Instrument, load_instrument
from relmeasure.simulation import simulate
from relmeasure.studies.screening import CheckResult, _below, check
from tests.support import Constructor


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    """An original form with reversed items."""
    return load_instrument("relationship-student")


@pytest.fixture(scope="module")
def answers(instrument: Instrument) -> Any:
    """A clean simulated school."""
    return simulate(instrument, n_clusters=20, cluster_size=20, missing=0.02, rng=3)


def _sentences(result: CheckResult, scale: str | None, topic: str, severity: str) -> list[str]:
    rows = result.findings.rows()
    wanted = (scale, topic, severity)
    return [row["sentence"] for row in rows if (row["scale"], row["topic"], row["severity"]) == wanted]


def test_clean_data_are_usable(instrument: Instrument, answers: Any) -> None:
    """Yes, with every figure in its place."""
    result = check(instrument, answers)
    assert result.status.ok
    assert list(result.scales["scale"]) == list(instrument.scale_ids)
    assert (result.scales["verdict"] == "yes").all()
    assert result.scales["kmo"].between(0.7, 1).all()
    assert (result.scales["bartlett_p"] < 1e-6).all()
    assert (result.items["item_rest_r"] > 0.2).all()
    assert "Yes" in result.summary()


def test_every_engine_says_the_same(instrument: Instrument, answers: Any, constructor: Constructor) -> None:
    """pandas, Polars, Arrow, DuckDB: the same tables."""
    plain = answers[list(instrument.item_ids)].astype(object).where(answers[list(instrument.item_ids)].notna(), None)
    columns = {item: plain[item].to_list() for item in instrument.item_ids}
    reference = check(instrument, answers)
    found = check(instrument, constructor(columns))
    assert found.findings.equals(reference.findings)
    assert found.scale_table.equals(reference.scale_table, rtol=1e-9)
    assert found.item_table.equals(reference.item_table, rtol=1e-9)


def test_undeclared_codes_forbid_the_score(instrument: Instrument, answers: Any) -> None:
    """Pitfall 4.5: a 99 is counted by item; everything else is still looked at."""
    bad = answers.copy()
    bad.loc[:4, "care_1"] = 99
    with pytest.warns(CodesAsMissingWarning, match="care_1: 5"):
        result = check(instrument, bad)
    assert result.status.level == "failed"
    assert "care_1: 5" in _sentences(result, None, "codes", "failed")[0]
    with pytest.warns(CodesAsMissingWarning):
        lenient = check(instrument, bad, unknown="missing")
    assert lenient.status.level == "caution"
    assert (bad["care_1"].to_numpy()[:5] == 99).all()


def test_an_item_that_runs_against_its_key(instrument: Instrument, answers: Any) -> None:
    """Pitfall 4.1: the item is named with its correlation, and nothing is flipped."""
    bad = answers.copy()
    bad["care_3"] = 5 - bad["care_3"]
    result = check(instrument, bad, scales=["care"])
    assert "care_3 -0." in _sentences(result, "care", "keys", "failed")[0]
    row = result.items.set_index("item").loc["care_3"]
    assert row["item_rest_r"] < 0
    assert row["loading"] < 0


def test_data_that_were_reversed_before(instrument: Instrument, answers: Any) -> None:
    """Pitfall 4.2: items of both keys that correlate positively as stored."""
    bad = answers.copy()
    bad["trust_2"] = 5 - bad["trust_2"]
    result = check(instrument, bad, scales=["trust"])
    assert any("reversed in the data already" in s for s in _sentences(result, "trust", "keys", "failed"))
    assert not any("already" in row["sentence"] for row in check(instrument, answers).findings.rows())


def test_two_dimensions_in_one_scale(instrument: Instrument, answers: Any) -> None:
    """Two unrelated halves are not one score."""
    bad = answers.copy()
    other = simulate(instrument, n_clusters=20, cluster_size=20, rng=99)
    for item in ("care_4", "care_5", "care_6"):
        bad[item] = other[item].to_numpy()
    result = check(instrument, bad, scales=["care"])
    assert result.status.level != "ok"
    assert any("more than one dimension" in s for s in _sentences(result, "care", "dimension", "caution"))


def test_noise_is_not_a_scale(instrument: Instrument, answers: Any) -> None:
    """Unrelated items: Bartlett's test says so."""
    rng = np.random.default_rng(8)
    bad = answers.copy()
    for item in instrument.scale("care").items:
        bad[item] = rng.integers(1, 5, len(bad))
    result = check(instrument, bad, scales=["care"])
    assert result.status.level == "failed"
    assert result.scales["alpha"].iloc[0] < 0.4


def test_constant_missing_and_piled_up_answers(instrument: Instrument, answers: Any) -> None:
    """Everybody the same; many gaps; nearly everybody at the top."""
    bad = answers.copy()
    bad["care_1"] = 4
    bad.loc[: len(bad) // 2, "trust_1"] = None
    bad.loc[:350, "approach_1"] = 4
    result = check(instrument, bad)
    assert any("care_1" in s for s in _sentences(result, "care", "codes", "failed"))
    assert any("trust_1 5" in s for s in _sentences(result, "trust", "missing", "caution"))
    assert any("approach_1" in s for s in _sentences(result, "approachability", "floor and ceiling", "caution"))


def test_weighted_composites_are_judged_by_their_subscales() -> None:
    """Engagement minus disaffection is not one scale of items: no alpha is made up for it."""
    made = load_instrument("evsd")
    composites = [scale.id for scale in made.scales if scale.scoring.method == "weighted"]
    result = check(made, simulate(made, n_clusters=10, cluster_size=20, rng=2))
    assert composites
    assert result.scales.set_index("scale").loc[composites, "alpha"].isna().all()
    assert all("weighted composite" in _sentences(result, name, "dimension", "note")[0] for name in composites)


def test_no_rows_and_all_missing(instrument: Instrument, answers: Any) -> None:
    """Nothing to look at is said, not crashed on."""
    for empty in (answers.iloc[:0], answers.assign(**dict.fromkeys(instrument.item_ids, None))):
        result = check(instrument, empty)
        assert result.status.level == "failed"
        assert all(np.isnan(result.scales["alpha"]))


def test_missing_columns_and_options_are_named(instrument: Instrument, answers: Any) -> None:
    """Wrong calls stay errors."""
    with pytest.raises(ColumnNotFoundError, match="care_1"):
        check(instrument, answers.drop(columns="care_1"))
    with pytest.raises(OptionError):
        check(instrument, answers, unknown="ignore")  # type: ignore[arg-type]


def test_result_round_trips(instrument: Instrument, answers: Any) -> None:
    """Dict and frame."""
    result = check(instrument, answers)
    assert CheckResult.from_dict(json.loads(json.dumps(result.to_dict()))).equals(result)
    assert result.to_frame().shape[0] == 5


@pytest.mark.shared
def test_real_ratings(shared_reference: Path) -> None:
    """The ratings of mathematics teachers: good scales with a quarter of the answers missing, and it says so."""
    import pandas as pd

    data = pd.read_csv(shared_reference / "data" / "gti_students" / "data.csv")
    result = check(load_instrument("gti-student"), data)
    scales = result.scales.set_index("scale")
    assert result.status.level == "caution"
    assert scales.loc["relationship", "n_complete"] == 9705
    assert scales.loc["relationship", "alpha"] == pytest.approx(0.9091, abs=1e-3)
    assert any("SQB13A 27%" in s for s in _sentences(result, "relationship", "missing", "caution"))


@pytest.mark.parametrize(
    ("value", "limit", "text"),
    [(0.3991, 0.40, "0.399"), (0.39996, 0.40, "0.39996"), (0.31, 0.40, "0.31"), (0.3999999, 0.40, "just below it")],
)
def test_what_is_below_a_limit_reads_as_below_it(value: float, limit: float, text: str) -> None:
    assert _below(value, limit) == text
