"""Agreement indices: definitions by hand, published null variances, R on the real data."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from relmeasure.exceptions import OptionError
from relmeasure.multilevel.agreement import AgreementResult, agreement, null_variance

TOLERANCE = 1e-12
"""Closed forms on a handful of numbers."""


def test_against_the_definitions() -> None:
    """Every index, class by class, from its formula."""
    rng = np.random.default_rng(3)
    values, cluster = rng.integers(1, 6, (60, 4)).astype(float), np.repeat(np.arange(6), 10)
    table = agreement(values, cluster=cluster, minimum=1, maximum=5).table
    for k in range(6):
        rows = values[cluster == k]
        ratio = rows.var(axis=0, ddof=1).mean() / 2
        within = max(0.0, 4 * (1 - ratio) / (4 * (1 - ratio) + ratio)) if ratio < 1 else 0.0
        assert table["rwg_j"][k] == pytest.approx(within, abs=TOLERANCE)
        assert table["rwg_j_lindell"][k] == pytest.approx(1 - ratio, abs=TOLERANCE)
        assert table["ad_mean"][k] == pytest.approx(np.abs(rows - rows.mean(axis=0)).mean(), abs=TOLERANCE)
        assert table["ad_median"][k] == pytest.approx(np.abs(rows - np.median(rows, axis=0)).mean(), abs=TOLERANCE)


@pytest.mark.parametrize(
    ("null", "options", "published"),
    [
        ("uniform", 5, 2.00),
        ("uniform", 4, 1.25),
        ("uniform", 7, 4.00),
        ("triangular", 5, 1.33),
        ("slight_skew", 5, 1.34),
        ("moderate_skew", 5, 0.90),
        ("heavy_skew", 5, 0.44),
    ],
)
def test_published_null_variances(null: Any, options: int, published: float) -> None:
    """LeBreton & Senter (2008), Table 2."""
    assert null_variance(null, options) == pytest.approx(published, abs=0.005)


def test_perfect_agreement_and_a_single_student() -> None:
    """All the same: 1 and 0; one student: missing, not 1."""
    table = agreement([[4.0], [4.0], [4.0], [2.0]], cluster=list("aaab"), minimum=1, maximum=5).table
    assert table["rwg"][0] == 1.0
    assert table["ad_mean"][0] == 0.0
    assert np.isnan([table[name][1] for name in ("rwg", "ad_mean", "ad_median", "awg")]).all()


def test_awg_is_missing_where_its_null_is_undefined() -> None:
    """A class mean at the end of the scale leaves no room for disagreement."""
    table = agreement([[5.0], [5.0], [1.0], [5.0]], cluster=list("aabb"), minimum=1, maximum=5).table
    assert np.isnan(table["awg"][0])
    assert table["awg"][1] == pytest.approx(1 - 2 * 8 / ((6 * 3 - 9 - 5) * 2))


def test_the_null_is_named_and_answers_are_checked() -> None:
    """Unknown nulls, undeclared answers and impossible ranges are refused."""
    ratings: dict[str, Any] = {"data": np.array([[1.0], [2.0], [6.0]]), "cluster": list("aab")}
    with pytest.raises(OptionError, match="outside"):
        agreement(**ratings, minimum=1, maximum=5)
    with pytest.raises(OptionError, match="uniform"):
        agreement(**ratings, minimum=1, maximum=6, null="unifrom")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="rise"):
        agreement(**ratings, minimum=6, maximum=1)
    with pytest.raises(OptionError, match="five options"):
        agreement(**ratings, minimum=1, maximum=6, null="heavy_skew")
    with pytest.raises(OptionError, match="above zero"):
        agreement(**ratings, minimum=1, maximum=6, null=0.0)
    assert "given variance 2" in agreement(**ratings, minimum=1, maximum=6, null=2.0).summary()


def test_result_round_trips() -> None:
    """Dict and frame."""
    result = agreement([[4.0], [3.0], [4.0], [2.0]], cluster=list("aabb"), minimum=1, maximum=5)
    assert AgreementResult.from_dict(json.loads(json.dumps(result.to_dict()))).equals(result)
    assert list(result.per_cluster.columns) == ["cluster", "n", "rwg", "ad_mean", "ad_median", "awg"]
