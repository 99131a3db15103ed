"""What a check says about dimension: factors of each scale, and whether the scales can be told apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import relmeasure as rm
from relmeasure.exceptions import OptionError
from relmeasure.studies.screening import CheckResult, check

INSTRUMENT = rm.load_instrument("relationship-student")


def _answers(rng: int = 1, **options: Any) -> Any:
    return rm.simulate(INSTRUMENT, n_clusters=30, cluster_size=20, rng=rng, **options)


def _said(result: CheckResult, topic: str) -> list[str]:
    return [row["sentence"] for row in result.findings.rows() if row["topic"] == topic]


def test_scales_that_differ_are_told_apart() -> None:
    result = check(INSTRUMENT, _answers())
    assert result.structure["answer"] == "several"
    assert result.structure["cfi_scales"] > 0.98 > result.structure["cfi_one"]
    (sentence,) = _said(result, "structure")
    assert "600 of 600 rows complete" in sentence
    assert "rm.dimensionality fits more models" in sentence
    assert result.status.ok  # an answer, not an objection


def test_it_is_the_answer_of_dimensionality() -> None:
    answers = _answers()
    whole = rm.dimensionality(INSTRUMENT, answers)
    result = check(INSTRUMENT, answers)
    assert result.structure["answer"] == whole.answer
    assert result.structure["cfi_one"] == pytest.approx(whole.fits["single"].indices["cfi"], abs=1e-6)
    assert result.structure["cfi_scales"] == pytest.approx(whole.fits["correlated"].indices["cfi"], abs=1e-6)
    assert CheckResult.from_dict(result.to_dict()).equals(result)


def test_ratings_of_popularity_alone_ask_for_care() -> None:
    rng = np.random.default_rng(2)
    general = rng.normal(size=(600, 1))
    keys = np.array([INSTRUMENT.item(item).key for item in INSTRUMENT.item_ids])
    latent = 0.8 * general * keys + 0.6 * rng.normal(size=(600, len(keys)))
    codes = np.digitize(latent, [-1.2, -0.4, 0.3, 1.1]) + 1
    top = max(option.value for option in INSTRUMENT.response_scale(INSTRUMENT.item_ids[0]).options)
    frame = pd.DataFrame(np.minimum(codes, top), columns=list(INSTRUMENT.item_ids))
    result = check(INSTRUMENT, frame)
    assert result.structure["answer"] == "one"
    assert not result.status.ok
    assert any("do not tell the scales apart" in reason for reason in result.status.reasons)


def test_each_scale_says_how_many_factors_it_has() -> None:
    result = check(INSTRUMENT, _answers())
    by_scale = result.scales.set_index("scale")["n_factors"]
    subscales = [scale for scale in INSTRUMENT.scale_ids if len(INSTRUMENT.scale_items(scale)) == 6]
    assert (by_scale[subscales] == 1).all()
    assert by_scale["relationship"] > 1  # the composite of four subscales
    assert any("factors are suggested" in sentence for sentence in _said(result, "dimension"))


def test_too_few_rows_are_said_and_nothing_is_claimed() -> None:
    result = check(INSTRUMENT, _answers().head(90))
    assert result.structure["answer"] == "not looked at"
    assert np.isnan(result.structure["cfi_one"])
    assert any("120 are the least" in sentence for sentence in _said(result, "structure"))
    assert result.scales["n_factors"].isna().all()


def test_a_constant_item_is_a_reason_not_to_look() -> None:
    answers = _answers().copy()
    answers[INSTRUMENT.item_ids[0]] = 3
    result = check(INSTRUMENT, answers)
    assert result.structure["answer"] == "not looked at"
    assert any("was not looked at" in sentence for sentence in _said(result, "structure"))


def test_one_scale_has_nothing_to_be_told_from() -> None:
    result = check(INSTRUMENT, _answers(), scales=["care"])
    assert result.structure["answer"] == "not looked at"
    assert not _said(result, "structure")


def test_dimensionality_fits_the_models_asked_for() -> None:
    answers = _answers()
    found = rm.dimensionality(INSTRUMENT, answers, models=("correlated",))
    assert set(found.fits) == {"single", "correlated"}
    notes = dict(zip(found.models["model"], found.models["note"], strict=True))
    assert notes["bifactor"] == "not asked for"
    with pytest.raises(OptionError, match="bifactor"):
        rm.dimensionality(INSTRUMENT, answers, models=("two",))
