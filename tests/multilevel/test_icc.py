"""Intraclass correlations: references, every way to hand in the data, boundaries and nonsense."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest

from relmeasure.exceptions import (
    ColumnNotFoundError,
    DataError,
    FewClustersWarning,
    NonNumericError,
    OptionError,
    TooFewObservationsError,
    UnsupportedDataError,
)
from relmeasure.multilevel import IccResult, icc, icc_from_clusters
from relmeasure.samplestats.clusters import ClusterSums
from tests.support import Constructor, load_reference

CASES = load_reference("multilevel/icc")["cases"]
CLOSED_FORM = 1e-9
"""Relative: R prints 15 digits, sums of thousands of rows lose a few."""


def _sums(case: Any) -> ClusterSums:
    n = np.array(case["n"])
    return ClusterSums(
        names=("y",),
        labels=tuple(f"{k:04d}" for k in range(len(n))),
        n_rows=int(n.sum()),
        n=n,
        mean=np.array(case["mean"])[:, None],
        within=np.array([[case["within"]]]),
    )


@pytest.mark.parametrize("name", CASES)
def test_anova_cells(name: str) -> None:
    """ICC(1) with k0 and with the mean size, ICC(2), and their F intervals."""
    expected = CASES[name]["expected"]
    result = icc_from_clusters(_sums(CASES[name]), method="anova")
    assert result.icc1 == pytest.approx(expected["icc1_k0"], rel=CLOSED_FORM)
    assert result.icc1_mean_size == pytest.approx(expected["multilevel_ICC1"], rel=CLOSED_FORM)
    assert result.icc2 == pytest.approx(expected["multilevel_ICC2"], rel=CLOSED_FORM)
    assert (result.icc1_lower, result.icc1_upper) == pytest.approx(expected["ci_F_k0"], rel=1e-7)
    assert (result.icc2_lower, result.icc2_upper) == pytest.approx(expected["icc2_ci"], rel=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_reml_cells(name: str) -> None:
    """ICC(1) and ICC(2) at the mean size, as lme4's components give them."""
    expected = CASES[name]["expected"]["reml"]
    result = icc_from_clusters(_sums(CASES[name]), method="reml")
    assert result.icc1 == pytest.approx(expected["icc1"], rel=1e-5)
    assert result.icc2 == pytest.approx(expected["icc2_meansize"], rel=1e-5)


@pytest.mark.parametrize(
    ("icc1", "size", "expected"),
    [(0.05, 6, 0.24), (0.05, 25, 0.57), (0.10, 15, 0.625), (0.15, 20, 0.78), (0.20, 25, 0.86), (0.30, 6, 0.72)],
)
def test_reliability_of_a_class_mean_at_its_own_size(icc1: float, size: int, expected: float) -> None:
    """The published table of class-mean reliability (Spearman-Brown) is what per_cluster gives."""
    tau2, sigma2, clusters = icc1, 1 - icc1, 200
    rng = np.random.default_rng(1)
    mean = rng.normal(size=clusters)
    mean = (mean - mean.mean()) / mean.std(ddof=1) * np.sqrt(tau2 + sigma2 / size)
    stats = ClusterSums(
        names=("y",),
        labels=tuple(f"{k:03d}" for k in range(clusters)),
        n_rows=clusters * size,
        n=np.full(clusters, size),
        mean=mean[:, None],
        within=np.array([[sigma2 * clusters * (size - 1)]]),
    )
    result = icc_from_clusters(stats, method="reml")
    assert result.icc1 == pytest.approx(icc1, abs=1e-6)
    assert result.per_cluster["reliability"].to_numpy() == pytest.approx(expected, abs=0.005)


def _answers() -> dict[str, list[Any]]:
    rng = np.random.default_rng(7)
    cluster = np.repeat(np.arange(12), 8)
    value = rng.normal(0, 1, 96) + rng.normal(0, 1, 12)[cluster]
    values: list[Any] = [float(v) for v in value]
    values[5] = None
    return {"care": values, "class_id": [f"c{k:02d}" for k in cluster]}


def test_every_engine_gives_the_same(constructor: Constructor) -> None:
    """A frame with the name of its class column, lazy or not."""
    columns = _answers()
    reference = icc(np.array(columns["care"], dtype=float), cluster=columns["class_id"])
    found = icc(constructor(columns), cluster="class_id")
    assert found.n_obs == 95
    assert found.icc1 == pytest.approx(reference.icc1, rel=1e-12)
    assert found.name == "care"


def test_a_column_and_labels() -> None:
    """Columns of a frame, as in the contract, and plain lists."""
    import pandas as pd

    frame = pd.DataFrame(_answers())
    assert icc(frame["care"], cluster=frame["class_id"]).equals(icc(frame, cluster="class_id"))
    assert icc(frame[["care"]], cluster=list(frame["class_id"])).equals(icc(frame, cluster="class_id"))


def test_result_round_trips_and_prints() -> None:
    """Dict, pickle, frame, text."""
    import pandas as pd

    result = icc(pd.DataFrame(_answers()), cluster="class_id")
    assert IccResult.from_dict(json.loads(json.dumps(result.to_dict()))).equals(result)
    assert pickle.loads(pickle.dumps(result)).equals(result)
    assert list(result.to_frame()["coefficient"]) == ["icc1", "icc2"]
    assert "ICC(2)" in str(result)
    assert result.per_cluster["cluster"].tolist()[0] == "c00"


def test_permuting_rows_and_labels_changes_nothing() -> None:
    """Order and names of classes do not matter."""
    columns = _answers()
    value, cluster = np.array(columns["care"], dtype=float), np.array(columns["class_id"])
    order = np.random.default_rng(2).permutation(len(value))
    renamed = np.array([f"z{c[::-1]}" for c in cluster])
    first = icc(value, cluster=cluster)
    assert icc(value[order], cluster=cluster[order]).icc1 == pytest.approx(first.icc1, rel=1e-9)
    assert icc(value, cluster=renamed).icc1 == pytest.approx(first.icc1, rel=1e-9)


def test_boundaries_have_a_status() -> None:
    """Equal class means: ANOVA negative, REML zero; neither crashes, both say caution."""
    value, cluster = np.tile([1.0, 2.0, 3.0, 4.0], 12), np.repeat(np.arange(12), 4)
    negative = icc(value, cluster=cluster, method="anova")
    zero = icc(value, cluster=cluster, method="reml")
    assert negative.icc1 < 0
    assert zero.icc1 == 0.0
    assert negative.status.level == zero.status.level == "caution"
    assert set(zero.per_cluster["reliability"]) == {0.0}
    same = icc(np.repeat(np.arange(12.0), 4), cluster=np.repeat(np.arange(12), 4), method="anova")
    assert same.icc1 == 1.0


def test_few_classes_are_warned_about() -> None:
    """Below ten classes the between variance is poorly known."""
    with pytest.warns(FewClustersWarning, match="Only 3 clusters"):
        result = icc(np.array([1.0, 2, 2, 3, 4, 4]), cluster=list("aabbcc"))
    assert result.warnings[0].code == "few-clusters"


@pytest.mark.parametrize(
    ("data", "cluster", "error"),
    [
        (np.ones(12), list("aabbccddeeff"), DataError),
        (np.arange(4.0), list("aaaa"), TooFewObservationsError),
        (np.arange(4.0), list("abcd"), TooFewObservationsError),
        (np.full(4, np.nan), list("aabb"), TooFewObservationsError),
        (np.arange(4.0), list("aab"), UnsupportedDataError),
        (np.arange(4.0), "class_id", UnsupportedDataError),
        (np.arange(8.0).reshape(4, 2), list("aabb"), DataError),
        (np.array(["x", "y", "x", "y"]), list("aabb"), NonNumericError),
        ({"a": 1}, list("aabb"), UnsupportedDataError),
    ],
)
def test_nonsense_is_named(data: Any, cluster: Any, error: type[Exception]) -> None:
    """One class, one row a class, no variance, wrong lengths, text, dicts."""
    with pytest.raises(error):
        icc(data, cluster=cluster)


def test_a_misspelt_class_column_is_hinted_at() -> None:
    """Did you mean."""
    import pandas as pd

    with pytest.raises(ColumnNotFoundError, match="class_id"):
        icc(pd.DataFrame(_answers()), cluster="clas_id")


def test_unknown_method_is_named() -> None:
    """The allowed ones are listed."""
    with pytest.raises(OptionError, match="reml"):
        icc(np.arange(4.0), cluster=list("aabb"), method="lm")  # type: ignore[arg-type]


@pytest.mark.slow
def test_profile_intervals_cover() -> None:
    """95% profile intervals cover the true ICC in 93 to 97% of 2,000 draws with 50 classes of unequal size."""
    rng = np.random.default_rng(11)
    inside = 0
    for _ in range(2000):
        sizes = rng.integers(8, 30, 50)
        cluster = np.repeat(np.arange(50), sizes)
        value = rng.normal(0, np.sqrt(0.85), len(cluster)) + rng.normal(0, np.sqrt(0.15), 50)[cluster]
        found = icc(value, cluster=cluster)
        inside += found.icc1_lower <= 0.15 <= found.icc1_upper
    assert 0.93 <= inside / 2000 <= 0.97
