"""Reliability of ordered answers: lavaan and semTools, identities, and coverage of the interval."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import relmeasure as rm
from relmeasure.classical.ordinal import (
    one_factor_dwls,
    ordinal_from_polychoric,
    ordinal_reliability,
)
from relmeasure.exceptions import OptionError
from relmeasure.samplestats import ContingencyTables, polychoric_from_tables
from tests.support import load_reference

CASES = load_reference("ordinal_reliability/bfi")["cases"]
OPTIMISED = 1e-6
"""Absolute: lavaan stops its weighted least squares near 1e-7 of a loading."""


@pytest.mark.parametrize("name", CASES)
def test_every_cell_of_the_reference(name: str) -> None:
    """Loadings, Green-Yang omega, omega of latent responses over observed variance, ordinal alpha."""
    expected = CASES[name]["expected"]
    found = polychoric_from_tables(ContingencyTables.from_dict(CASES[name]["tables"]))
    sum_score = ordinal_from_polychoric(found, "green_yang")
    assert sum_score.n_obs == expected["n"]
    assert sum_score.estimate == pytest.approx(expected["omega_green_yang"], abs=OPTIMISED)
    assert list(sum_score.item_table["loading"]) == pytest.approx(expected["wlsmv_loadings"], abs=OPTIMISED)
    latent = ordinal_from_polychoric(found, "latent_omega_observed")
    assert latent.estimate == pytest.approx(expected["omega_latent_response"], abs=OPTIMISED)
    alpha = ordinal_from_polychoric(found, "ordinal_alpha")
    assert alpha.estimate == pytest.approx(expected["alpha_ordinal_lavCor"], abs=OPTIMISED)
    loadings = np.array(sum_score.item_table["loading"])
    assert float((loadings**2).mean()) == pytest.approx(expected["AVE"], abs=OPTIMISED)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["gti_studrel", "gti_tsup"])
def test_real_ratings(shared_reference: Path, name: str) -> None:
    """The relationship and support scales of the teaching study, from their rows."""
    import pandas as pd

    stored = json.loads((shared_reference / "values" / "reliability_ordinal.json").read_text(encoding="utf-8"))[name]
    letters = {"gti_studrel": [f"SQB13{c}" for c in "ABCDE"], "gti_tsup": [f"SQB12{c}" for c in "ABCDEFGHIJK"]}[name]
    data = pd.read_csv(shared_reference / "data" / "gti_students" / "data.csv")[letters].dropna()
    found = ordinal_reliability(data, categories=[1, 2, 3, 4])
    assert found.estimate == pytest.approx(stored["omega_green_yang"], abs=OPTIMISED)
    assert found.lower < found.estimate < found.upper


def _answers(rng: np.random.Generator, n: int, limits: list[float]) -> Any:
    loading = np.array([0.8, 0.7, 0.6, 0.75])
    latent = rng.normal(size=(n, 1)) * loading + rng.normal(size=(n, 4)) * np.sqrt(1 - loading**2)
    return np.digitize(latent, limits)


def test_a_fine_scale_comes_near_omega_of_the_numbers() -> None:
    """With many categories, the reliability of the sum is that of a continuous sum; with two, latent omega is higher."""
    rng = np.random.default_rng(2)
    fine = _answers(rng, 4000, list(np.linspace(-2.2, 2.2, 12)))
    found = ordinal_reliability(fine, categories=list(range(13)))
    assert found.estimate == pytest.approx(rm.omega(fine.astype(float)).estimate, abs=0.01)
    coarse = _answers(rng, 4000, [0.8])
    sums, latent = (
        ordinal_reliability(coarse, coefficient=c, categories=[0, 1]) for c in ("green_yang", "latent_omega")
    )
    assert latent.estimate > sums.estimate + 0.1


def test_turning_every_item_round_changes_nothing() -> None:
    """Reversed categories of all items, other labels, other order of items."""
    answers = _answers(np.random.default_rng(3), 800, [-1.0, 0.0, 1.0])
    first = ordinal_reliability(answers, categories=[0, 1, 2, 3])
    turned = ordinal_reliability(30 - 10 * answers[:, ::-1], categories=[0, 10, 20, 30])
    assert turned.estimate == pytest.approx(first.estimate, abs=1e-8)
    assert turned.se == pytest.approx(first.se, abs=1e-6)


def test_one_factor_is_recovered_from_its_own_correlations() -> None:
    """A matrix that one factor makes exactly gives its loadings back, whatever the weights."""
    loading = np.array([0.9, 0.5, 0.7, 0.3, -0.4])
    cor = np.outer(loading, loading)
    np.fill_diagonal(cor, 1.0)
    weights = np.random.default_rng(0).uniform(0.2, 2.0, (5, 5))
    np.testing.assert_allclose(one_factor_dwls(cor, weights + weights.T), loading, atol=1e-9)


def test_no_coefficient_has_its_reason() -> None:
    """Two items, one category, six categories in the table of an instrument."""
    answers = _answers(np.random.default_rng(4), 300, [-1.0, 0.0, 1.0])
    two = ordinal_reliability(answers[:, :2], categories=[0, 1, 2, 3])
    assert np.isnan(two.estimate)
    assert "three" in str(two.reason)
    assert not np.isnan(
        ordinal_reliability(answers[:, :2], coefficient="ordinal_alpha", categories=[0, 1, 2, 3]).estimate
    )
    with pytest.raises(OptionError, match="green_yang"):
        ordinal_reliability(answers, coefficient="omega")  # type: ignore[arg-type]
    nine = rm.load_instrument("tses-short")
    table = rm.reliability(nine, rm.simulate(nine, rng=1), coefficients=("green_yang",)).to_frame()
    assert table["reason"].str.contains("ordered categories").all()
    assert table["estimate"].isna().all()


def test_the_table_of_an_instrument_gives_the_same() -> None:
    """Through keys and declared categories."""
    instrument = rm.load_instrument("relationship-student")
    data = rm.simulate(instrument, n_clusters=20, cluster_size=20, rng=3)
    table = rm.reliability(instrument, data, scales=["trust"], coefficients=("green_yang", "alpha")).to_frame()
    keyed = rm.bind(instrument, data, scales=["trust"])
    direct = ordinal_reliability(keyed)
    row = table.set_index("coefficient").loc["green_yang"]
    assert row["estimate"] == pytest.approx(direct.estimate, abs=1e-12)
    assert row["definition"] == "omega_total.green_yang"
    assert row["sem"] > 0


def test_intervals_cover_in_a_seeded_sample() -> None:
    """80 draws: the interval holds the population value, computed from a very large draw, in about 95%."""
    truth = ordinal_reliability(
        _answers(np.random.default_rng(1), 300_000, [-0.8, 0.4, 1.2]), categories=[0, 1, 2, 3]
    ).estimate
    rng = np.random.default_rng(5)
    inside = 0
    for _ in range(80):
        found = ordinal_reliability(_answers(rng, 400, [-0.8, 0.4, 1.2]), categories=[0, 1, 2, 3])
        inside += found.lower <= truth <= found.upper
    assert 70 <= inside <= 80
