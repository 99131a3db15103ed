"""ICC within groups of classes, and the bootstrap of whole classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relmeasure.exceptions import DataError, OptionError, TooFewObservationsError, UnsupportedDataError
from relmeasure.multilevel.icc import icc, icc_from_clusters
from relmeasure.multilevel.resampling import Clusters, clusters_of
from relmeasure.multilevel.variance import OneWay, anova
from relmeasure.samplestats.clusters import ClusterSums, cluster_sums
from tests.support import Constructor, load_reference

STORED = load_reference("multilevel/icc_groups")["simulated"]
REAL = load_reference("multilevel/icc_groups")["gti"]
OPTIMISED = 1e-5
"""Relative: lme4 leaves the components about 1e-6 apart."""


def _stored_sums() -> tuple[ClusterSums, Any]:
    """Simulated classes in sixteen schools."""
    data = load_reference("multilevel/gtheory")["nested"]["data"]
    sums = cluster_sums(np.array(data["y"])[:, None], np.array(data["class"]), ["y"])
    home = dict(zip(map(str, data["class"]), data["school"], strict=True))
    return sums, np.unique([home[label] for label in sums.labels], return_inverse=True)[1]


@pytest.mark.parametrize("method", ["reml", "ml"])
def test_a_mean_for_each_country_as_in_lme4(method: Any) -> None:
    """lmer(y ~ school + (1 | class)): components and deviance."""
    sums, country = _stored_sums()
    found = icc_from_clusters(sums, method=method, group=country)
    assert found.tau2 == pytest.approx(STORED[method]["tau2"], rel=OPTIMISED)
    assert found.sigma2 == pytest.approx(STORED[method]["sigma2"], rel=OPTIMISED)
    assert found.deviance == pytest.approx(STORED[method]["deviance"], rel=1e-9)
    assert "within_groups" in found.definition
    assert found.icc1 != icc_from_clusters(sums, method=method).icc1  # pooling mixes school with class


def test_anova_within_countries_as_in_r() -> None:
    """Mean squares of classes within countries."""
    sums, country = _stored_sums()
    stats = OneWay(sums.n.astype(float), np.asarray(sums.mean[:, 0]), float(sums.within[0, 0]), country)
    ms_between, ms_within, k0 = anova(stats)
    assert (ms_between, ms_within) == pytest.approx(STORED["anova"]["ms"][1:], rel=1e-9)
    found = icc_from_clusters(sums, method="anova", group=country)
    assert found.icc1 == pytest.approx((ms_between - ms_within) / (ms_between + (k0 - 1) * ms_within))


def _rows() -> dict[str, list[Any]]:
    rng = np.random.default_rng(5)
    cluster = np.repeat(np.arange(24), rng.integers(4, 12, 24))
    country = cluster % 3
    value = 2.0 * country + rng.normal(0, 0.6, 24)[cluster] + rng.normal(0, 1, len(cluster))
    return {
        "care": value.tolist(),
        "class_id": [f"c{k:02d}" for k in cluster],
        "country": [("Chile", "Japan", "Spain")[k] for k in country],
    }


def test_every_engine_and_both_ways_of_naming(constructor: Constructor) -> None:
    """Names of columns, or labels a row."""
    rows = _rows()
    by_name = icc(constructor(rows), cluster="class_id", group="country")
    by_label = icc(np.array(rows["care"]), cluster=rows["class_id"], group=rows["country"])
    assert by_name.icc1 == pytest.approx(by_label.icc1, rel=1e-12)
    assert by_name.per_group_table.equals(by_label.per_group_table, rtol=1e-9)
    assert by_name.icc1 < 0.6 < icc(np.array(rows["care"]), cluster=rows["class_id"]).icc1


def test_each_group_by_itself_is_the_icc_of_its_rows() -> None:
    """One row a country; the pooled value lies among them; shrinkage is toward the own country's mean."""
    import pandas as pd

    frame: Any = pd.DataFrame(_rows())
    found = icc(frame, cluster="class_id", group="country")
    table: Any = found.per_group.set_index("group")
    for name, part in frame.groupby("country"):
        with pytest.warns(UserWarning, match="clusters"):
            own = icc(part["care"], cluster=part["class_id"])
        assert table.loc[name, "icc1"] == pytest.approx(own.icc1)
        assert table.loc[name, "n_clusters"] == 8
    assert table["icc1"].min() < found.icc1 < table["icc1"].max()
    rows = found.per_cluster.set_index("cluster")
    home = frame.groupby("class_id")["country"].first()
    for label, row in rows.iterrows():
        away = frame.loc[frame["country"] == home[label], "care"].mean()
        assert min(row["mean"], away) - 0.2 <= row["empirical_bayes"] <= max(row["mean"], away) + 0.2


@pytest.mark.parametrize("method", ["anova", "ml", "reml"])
def test_a_group_without_answers_is_no_group(method: Any) -> None:
    """A country that was not asked changes nothing, whichever way the labels are handed in."""
    import pandas as pd

    rows = pd.DataFrame(_rows())
    silent = pd.DataFrame({"care": [None] * 6, "class_id": ["z1", "z1", "z2", "z2", "z3", "z3"], "country": "Atlantis"})
    both = pd.concat([silent, rows], ignore_index=True).astype({"care": float})
    reference = icc(rows, cluster="class_id", group="country", method=method)
    for found in (
        icc(both, cluster="class_id", group="country", method=method),
        icc(both["care"], cluster=both["class_id"], group=both["country"], method=method),
    ):
        assert (found.icc1, found.icc1_lower) == pytest.approx((reference.icc1, reference.icc1_lower))
        assert list(found.per_group["group"]) == ["Chile", "Japan", "Spain"]
        assert found.rule.startswith(f"listwise: {len(rows)} of {len(both)} rows")


def test_groups_that_do_not_fit_are_named() -> None:
    """A class in two countries, a country of one class, names mixed with labels, statistics without rows."""
    rows = _rows()
    rows["country"][0] = "Spain"
    with pytest.raises(DataError, match="'c00' in Chile, Spain"):
        icc(np.array(rows["care"]), cluster=rows["class_id"], group=rows["country"])
    lone = ["Here" if c == "c01" else "There" for c in rows["class_id"]]
    with pytest.raises(TooFewObservationsError, match="'Here' has 1 clusters"):
        icc(np.array(rows["care"]), cluster=rows["class_id"], group=lone)
    import pandas as pd

    with pytest.raises(UnsupportedDataError, match="both"):
        icc(pd.DataFrame(_rows()), cluster="class_id", group=rows["country"])
    with pytest.raises(DataError, match="One variable"):
        icc(pd.DataFrame(_rows()).assign(trust=1.0), cluster="class_id", group="country")
    with pytest.raises(UnsupportedDataError, match="labels for"):
        icc(np.array(rows["care"]), cluster=rows["class_id"], group=["x"])
    sums = cluster_sums(np.array(rows["care"])[:, None], rows["class_id"], ["care"])
    with pytest.raises(UnsupportedDataError, match="need rows"):
        icc(sums, cluster=None, interval="bootstrap")


# --------------------------------------------------------------------------- bootstrap
def test_the_bootstrap_draws_clusters_within_groups() -> None:
    """As many as there are of each group, with replacement; sums are those of the rows drawn."""
    rng = np.random.default_rng(1)
    code = np.repeat(np.arange(9), 4)
    group = np.array([2, 0, 1, 1, 0, 2, 1, 1, 1])
    clusters = clusters_of(rng.normal(size=36), code, 9, group)
    pick = clusters.draw(np.random.default_rng(2))
    assert (np.bincount(group[pick], minlength=3) == np.bincount(group)).all()
    assert len(set(pick.tolist())) < 9
    stats = clusters.one_way(pick)
    assert stats.within == pytest.approx(clusters.scatter[pick].sum())
    assert Clusters(clusters.n, clusters.mean, clusters.scatter).draw(np.random.default_rng(2)).max() <= 8


@pytest.mark.parametrize("method", ["anova", "reml"])
def test_bootstrap_interval_is_seeded_and_sensible(method: Any) -> None:
    """Same seed, same interval; near the profile interval in normal data; the estimate is left alone."""
    rng = np.random.default_rng(3)
    cluster = np.repeat(np.arange(80), 15)
    value = rng.normal(0, 0.6, 80)[cluster] + rng.normal(0, 1, len(cluster))
    model = icc(value, cluster=cluster, method=method)
    first = icc(value, cluster=cluster, method=method, interval="bootstrap", n_boot=300, rng=7)
    again = icc(value, cluster=cluster, method=method, interval="bootstrap", n_boot=300, rng=7)
    other = icc(value, cluster=cluster, method=method, interval="bootstrap", n_boot=300, rng=8)
    assert first.equals(again)
    assert first.icc1_lower != other.icc1_lower
    assert first.icc1 == model.icc1
    assert (first.icc1_lower, first.icc1_upper) == pytest.approx((model.icc1_lower, model.icc1_upper), abs=0.05)
    assert first.icc2_lower < first.icc2 < first.icc2_upper
    assert "bootstrap of clusters" in first.interval_method


def test_bootstrap_options_are_checked() -> None:
    """Unknown kind, no draws, an impossible level."""
    value, cluster = np.arange(8.0), list("aabbccdd")
    with pytest.raises(OptionError, match="bootstrap"):
        icc(value, cluster=cluster, interval="jackknife")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="n_boot"):
        icc(value, cluster=cluster, n_boot=0)
    with pytest.raises(OptionError, match="conf_level"):
        icc(value, cluster=cluster, conf_level=1.0)


@pytest.mark.shared
def test_real_ratings_within_countries(shared_reference: Path) -> None:
    """From the file: pooled within countries and each of five countries, as lme4."""
    import pandas as pd

    data = pd.read_csv(shared_reference / "data" / "gti_students_complete" / "data.csv")
    data["rel"] = data[[f"SQB13{letter}" for letter in "ABCDE"]].mean(axis=1)
    found = icc(data[["rel", "class", "country"]], cluster="class", group="country")
    pooled = icc(data[["rel", "class"]], cluster="class")
    assert found.icc1 < pooled.icc1  # pooling mixes country with class
    assert found.deviance == pytest.approx(REAL["reml"]["deviance"], rel=1e-9)
    assert found.tau2 == pytest.approx(REAL["reml"]["tau2"], rel=OPTIMISED)
    for name, row in found.per_group.set_index("group").iterrows():
        assert row["tau2"] == pytest.approx(REAL["own"][str(name)]["tau2"], rel=OPTIMISED)
        assert row["sigma2"] == pytest.approx(REAL["own"][str(name)]["sigma2"], rel=OPTIMISED)


@pytest.mark.slow
def test_bootstrap_coverage() -> None:
    """Percentile intervals of 50 normal classes: 88 to 96% of 400 draws, below the 95% they say."""
    rng = np.random.default_rng(11)
    inside = 0
    for k in range(400):
        cluster = np.repeat(np.arange(50), rng.integers(8, 30, 50))
        value = rng.normal(0, np.sqrt(0.85), len(cluster)) + rng.normal(0, np.sqrt(0.15), 50)[cluster]
        found = icc(value, cluster=cluster, interval="bootstrap", n_boot=400, rng=k)
        inside += found.icc1_lower <= 0.15 <= found.icc1_upper
    assert 0.88 <= inside / 400 <= 0.96
