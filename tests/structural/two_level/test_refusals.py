"""Nonsense and what is not supported: a typed error that says what to do."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import relmeasure as rm
from relmeasure import exceptions as ex
from relmeasure.samplestats.clusters import cluster_sums
from relmeasure.structural import cfa, sem
from relmeasure.structural.two_level.fit import TwoLevelFit
from tests.structural.two_level.data import CFA, rows, simulate

ITEMS = ["y1", "y2", "y3", "y4"]


def fit(**options: Any) -> TwoLevelFit:
    found = cfa(CFA, rows(), cluster="cluster", **options)
    assert isinstance(found, TwoLevelFit)
    return found


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"group": "z"}, "group="),
        ({"weights": "z"}, "weights="),
        ({"auxiliary": ["x"], "missing": "fiml"}, "auxiliary="),
        ({"ordered": True}, "estimator='MLR'"),
        ({"estimator": "WLSMV"}, "'ML' or 'MLR'"),
        ({"estimator": "GLS"}, "'ML' or 'MLR'"),
        ({"likelihood": "wishart"}, "'ML' or 'MLR'"),
        ({"missing": "pairwise"}, "listwise"),
        ({"missing": "fiml", "information": "expected"}, "observed"),
        ({"levels": "free"}, "level: 1"),
        ({"cluster": None}, "cluster='class_id'"),
        ({"cluster": ["cluster", "x"]}, "one column of clusters"),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ex.UnsupportedDataError, match=words):
        cfa(CFA, rows(), **({"cluster": "cluster"} | options))


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        ("level: 1\n f =~ y1 + y2 + y3", ex.UnsupportedDataError, "two level blocks"),
        (f"{CFA}\n level: 3\n f =~ y1 + y2 + y3", ex.UnsupportedDataError, "Three levels"),
        (CFA.replace("level: 2", "group: 2"), ex.UnsupportedDataError, "beside levels"),
        (CFA.replace("level: 2", "level: between"), ex.UnsupportedDataError, "lower level first"),
        (f"g =~ y1 + y2\n{CFA}", ex.ModelSyntaxError, "before the first level block"),
        (CFA.replace("+ y2", '+ equal("fw=~y3")*y2', 1), ex.ModelSyntaxError, "Use a label"),
        ('level: 1\n y1 ~ rv("s")*x\n level: 2\n y1 ~~ y1', ex.ModelSyntaxError, "random slopes"),
        ("level: 1\n y1 =~ y2 + y3 + y4\n level: 2\n y1 ~ z", ex.ModelError, "a factor at one level"),
        (f"{CFA}\n fb ~ x", ex.DataError, "varies within clusters"),
        (f"{CFA}\n fb ~ nothing", ex.ColumnNotFoundError, "nothing"),
    ],
)
def test_models_that_are_refused(model: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        sem(model, rows(), cluster="cluster")


def one_each(data: pd.DataFrame) -> pd.DataFrame:
    return data.assign(cluster=range(len(data)))


def few(data: pd.DataFrame) -> pd.DataFrame:
    return data[data["cluster"] <= 4]


def constant_within(data: pd.DataFrame) -> pd.DataFrame:
    return data.assign(y4=data["cluster"] * 1.5)


def twice(data: pd.DataFrame) -> pd.DataFrame:
    return data.assign(y4=data["y1"])


def infinite(data: pd.DataFrame) -> pd.DataFrame:
    return data.assign(y1=np.inf)


def empty(data: pd.DataFrame) -> pd.DataFrame:
    return data.assign(y1=np.nan)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (one_each, ex.TooFewObservationsError, "no cluster has two rows"),
        (few, ex.TooFewObservationsError, "4 clusters for 4 variables"),
        (constant_within, ex.NotPositiveDefiniteError, "y4: no variance within clusters"),
        (twice, ex.NotPositiveDefiniteError, "y1, y4"),
        (infinite, ex.DataError, "Infinite values in y1"),
        (empty, ex.TooFewObservationsError, "None of the"),
    ],
)
def test_data_that_tell_no_levels(
    change: Callable[[pd.DataFrame], pd.DataFrame], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        cfa(CFA, change(rows()), cluster="cluster")


def test_nothing_answered_under_full_information() -> None:
    with pytest.raises(ex.DataError, match="y1: no answers at all"):
        cfa(CFA, empty(rows()), cluster="cluster", missing="fiml")
    data = rows()
    data.loc[data.index[:200], "z"] = data["x"]
    with pytest.raises(ex.DataError, match="'z': named at level 2 only"):
        sem(f"{CFA}\n fb ~~ z", data, cluster="cluster", missing="fiml")


def test_rows_without_a_cluster_are_counted() -> None:
    data = rows()
    data["cluster"] = data["cluster"].astype(float)
    data.loc[data.index[::9], "cluster"] = np.nan
    with pytest.warns(ex.ListwiseDeletionWarning, match="no group, cluster or weight"):
        found = cfa(CFA, data, cluster="cluster")
    assert found.n_obs == len(data) - len(data.index[::9])
    assert any(note.code == "listwise-deletion" for note in found.warnings)


def test_statistics_hold_no_rows() -> None:
    data = rows()
    sums = cluster_sums(data[ITEMS].to_numpy(), data["cluster"].to_numpy(), ITEMS)
    for options in ({"estimator": "MLR"}, {"cluster": "cluster"}, {"missing": "fiml"}):
        with pytest.raises(ex.UnsupportedDataError):
            cfa(CFA, sums, **options)  # type: ignore[arg-type]  # options by name
    with pytest.raises(ex.ColumnNotFoundError, match="y9"):
        cfa(CFA.replace("y4", "y9"), sums)
    found = cfa(CFA, sums)
    with pytest.raises(ex.UnsupportedDataError, match="no rows"):
        found.scores()
    with pytest.raises(ex.UnsupportedDataError, match="levels"):
        cfa(CFA, rm.moments(data[ITEMS]))


def test_what_a_two_level_fit_does_not_do() -> None:
    found = fit()
    calls: list[Callable[[], Any]] = [
        lambda: found.determinacy(),
        lambda: found.htmt(),
        lambda: found.bootstrap(10, rng=1),
        lambda: found.scores("bartlett"),
        lambda: found.scores(data=rows()),
        lambda: found.residuals("standardized"),
        lambda: found.compare(cfa("f =~ y1 + y2 + y3 + y4", rows())),
        lambda: fit(missing="fiml").modification_indices(),
    ]
    for call in calls:
        with pytest.raises(ex.UnsupportedDataError):
            call()
    with pytest.raises(ex.OptionError):
        found.scores(level="class")  # type: ignore[arg-type]
    with pytest.raises(ex.OptionError):
        found.reliability(n=0.5)
    with pytest.raises(ex.ModelError, match="no factors at the level within"):
        sem("level: 1\n y1 ~~ y2\n y3 ~~ y1 + y2\n level: 2\n f =~ y1 + y2 + y3", rows(), cluster="cluster").scores()


# --------------------------------------------------------------------------- boundaries and few clusters
def test_negative_residual_between_has_a_status() -> None:
    """The normal case of few, homogeneous clusters: named, not a crash; class means can still be judged."""
    data = simulate(np.random.default_rng(8), np.full(35, 6), between=0.35)
    with pytest.warns(ex.HeywoodWarning, match="common between clusters"):
        found = cfa(CFA, data, cluster="cluster")
    assert isinstance(found, TwoLevelFit)
    assert found.status.level == "caution"
    assert found.status.admissible is False
    table = found.parameters()
    low = table[(table["op"] == "~~") & (table["lhs"] == table["rhs"]) & (table["est"] < 0)]
    assert set(low["level"]) == {"between"}
    assert all(name in " ".join(found.status.reasons) for name in low["lhs"])


def test_a_bound_keeps_it_proper() -> None:
    data = simulate(np.random.default_rng(8), np.full(35, 6), between=0.35)
    bounds = "\n".join(f" {name} ~~ lower(0)*{name}" for name in ITEMS)
    with pytest.warns(ex.HeywoodWarning, match="at their bounds"):
        found = cfa(f"{CFA}\n{bounds}", data, cluster="cluster")
    assert found.parameters().query("op == '~~' and lhs == rhs")["est"].min() > -1e-9


def test_few_clusters_are_told() -> None:
    data = simulate(np.random.default_rng(2), np.full(12, 20))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = cfa(CFA, data, cluster="cluster")
    assert any(issubclass(w.category, ex.FewClustersWarning) for w in caught)
    assert any(note.code == "few-clusters" and "12 clusters" in note.message for note in found.warnings)


def test_an_intercept_at_both_levels_is_not_identified() -> None:
    with pytest.warns(ex.NotIdentifiedWarning):
        found = cfa(CFA.replace("level: 2", " y1 ~ 1\n level: 2"), rows(), cluster="cluster")
    assert found.status.level == "failed"


# --------------------------------------------------------------------------- the shape of results
def test_round_trips() -> None:
    for found in (fit(), fit(missing="fiml"), fit(estimator="MLR")):
        assert pickle.loads(pickle.dumps(found)).equals(found)
        again = TwoLevelFit.from_dict(json.loads(json.dumps(found.to_dict())))
        assert again.equals(found)
        pd.testing.assert_frame_equal(again.parameters(standardized=True), found.parameters(standardized=True))
        pd.testing.assert_frame_equal(again.reliability(), found.reliability())
        data = rows()
        new = again.scores(data=data, cluster="cluster", se=True)
        pd.testing.assert_frame_equal(new, found.scores(se=True))


def test_frames_and_words() -> None:
    found = fit()
    assert {"level", "lhs", "op", "rhs", "est", "se"} <= set(found.parameters().columns)
    assert set(found.parameters()["level"]) == {"within", "between"}
    assert set(found.icc().columns) == {"item", "mean", "var_within", "var_between", "icc"}
    assert set(found.residuals()["level"]) == {"within", "between"}
    assert set(found.r_square()["level"]) == {"within", "between"}
    assert list(found.scores(level="between", se=True).columns) == ["cluster", "n", "fb", "fb_se"]
    assert found.implied("between")["cov"].shape == (4, 4)
    text = found.summary()
    for words in ("two levels", "clusters of", "Loadings, within", "Loadings, between", "srmr_between"):
        assert words in text
    assert found.n_clusters == 75


def test_the_limits_of_ordered_answers_are_told() -> None:
    data = rows()
    data[ITEMS] = np.clip(np.rint(3 + data[ITEMS]), 1, 5)
    found = cfa(CFA, data, cluster="cluster", estimator="MLR")
    told = [note for note in found.warnings if note.code == "ordered-as-continuous"]
    assert len(told) == 1
    assert "5 options in use" in told[0].message
    assert "treated as continuous" in " ".join(found.summary().split())
    assert not [note for note in fit().warnings if note.code == "ordered-as-continuous"]


def test_an_instrument_at_two_levels() -> None:
    instrument = rm.load_instrument("relationship-student")
    data = rm.simulate(instrument, n_clusters=60, cluster_size=12, icc=0.25, rng=4)
    fits = {}
    for levels in ("free", "equal", "shared"):
        with pytest.warns(ex.RelmeasureWarning):
            fits[levels] = rm.cfa(instrument, data, cluster="class_id", levels=levels, scales=["care"])
    assert [fits[name].fit_measures("df")["df"] for name in fits] == [18, 23, 9]
    test = fits["free"].compare(fits["equal"])
    assert test.df == 5
    assert test.chisq > 0
    with pytest.raises(ex.OptionError, match="'free', 'equal', 'shared'"):
        rm.cfa(instrument, data, cluster="class_id", levels="both")  # type: ignore[arg-type]


def test_a_model_whose_likelihood_has_no_maximum_ends_as_failed() -> None:
    """Every covariance between 15 classes free: the search climbs a spike, is given up early and says so."""
    rng = np.random.default_rng(2)
    home = np.repeat(np.arange(15), rng.integers(5, 15, 15))
    own = rng.normal(size=(len(home), 1)) + rng.normal(size=(len(home), 6))
    names = [f"y{k}" for k in range(6)]
    data = pd.DataFrame(own + 0.5 * rng.normal(size=15)[home][:, None], columns=names)
    free = "\n".join(f"{a} ~~ {b}" for k, a in enumerate(names) for b in names[k:])
    model = f"level: 1\nf =~ {' + '.join(names)}\nlevel: 2\n{free}"
    with pytest.warns(ex.RelmeasureWarning):
        found = cfa(model, data.assign(cluster=home), cluster="cluster")
    assert found.status.level == "failed"
    assert found.status.converged is False
    assert "chisq" not in found.fit_measures()
    assert np.isnan(found.parameters()["se"]).any()
