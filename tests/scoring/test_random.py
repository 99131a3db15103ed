"""Scores of random definitions against plain Python, on every engine, to the last bit between engines."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

from relmeasure.exceptions import RelmeasureWarning
from relmeasure.instruments.definition import Instrument
from relmeasure.scoring import score
from tests.scoring.definitions import random_answers, random_definition
from tests.scoring.plain import PlainScorer
from tests.support import CONSTRUCTORS, to_columns

RTOL = 1e-12
"""Fractions are exact; floats in a fixed order of at most a dozen operations lose a few units in the last place."""

TRIALS = 16
MORE_TRIALS = 200


def scored(instrument: Instrument, frame: Any) -> dict[str, list[Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelmeasureWarning)
        return to_columns(score(instrument, frame, unknown="missing"))


@pytest.mark.parametrize("seed", range(TRIALS))
def test_random_definition(seed: int) -> None:
    compare(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(TRIALS, MORE_TRIALS))
def test_more_random_definitions(seed: int) -> None:
    compare(seed)


def compare(seed: int) -> None:
    """One random definition with answers of all classes, on every engine, against plain Python."""
    rng = np.random.default_rng(seed)
    definition = random_definition(rng)
    instrument = Instrument.model_validate(definition)
    columns = random_answers(rng, definition, 40)
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    plain = PlainScorer(definition)
    found = {name: scored(instrument, make(columns)) for name, make in CONSTRUCTORS.items()}
    first = found["polars"]
    for name, other in found.items():
        assert other == first, f"{name} differs from polars"
    for scale in instrument.scale_ids:
        expected = [plain.reported(row, scale) for row in rows]
        assert first[f"{scale}_n_valid"] == [n for _, n, _ in expected]
        assert first[f"{scale}_missing_reason"] == [reason for _, _, reason in expected]
        for ours, (theirs, _, _) in zip(first[scale], expected, strict=True):
            assert (ours is None) == (theirs is None)
            if ours is not None and theirs is not None:
                assert math.isclose(ours, theirs, rel_tol=RTOL, abs_tol=RTOL)


def test_trials_cover_every_reason_and_method() -> None:
    """The random definitions above are worth something only if they reach everything."""
    reasons, methods, rules = set(), set(), set()
    for seed in range(TRIALS):
        rng = np.random.default_rng(seed)
        definition = random_definition(rng)
        columns = random_answers(rng, definition, 40)
        plain = PlainScorer(definition)
        for scale in definition["scales"]:
            methods.add(scale["scoring"]["method"])
            rules |= set(scale.get("missing", ()))
            for values in zip(*columns.values(), strict=True):
                reasons.add(plain.reported(dict(zip(columns, values, strict=True)), scale["id"])[2])
    assert reasons == {
        None, "not_administered", "not_applicable", "invalid_answers", "no_answer", "too_few_answers",
        "subscale_missing", "outside_norms",
    }  # fmt: skip
    assert methods == {"mean", "sum", "pomp", "weighted"}
    assert rules == {"min_valid", "min_share", "prorate", "round_prorated"}
