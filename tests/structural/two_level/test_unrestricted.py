"""Few clusters for many items: the unrestricted likelihood has no maximum, and the result says what it rests on."""

from __future__ import annotations

import json
import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from relmeasure import exceptions as ex
from relmeasure.structural import cfa
from relmeasure.structural.two_level.fit import TwoLevelFit
from tests.structural.two_level.data import rows
from tests.support import load_reference

Array = np.ndarray[Any, np.dtype[Any]]

SLACK = 0.12
"""Of log-likelihoods: lavaan's EM creeps towards a singular covariance matrix, and stops before it."""

FACTORS = "\n".join(f" f{k} =~ " + " + ".join(f"y{4 * k + j}" for j in range(1, 5)) for k in range(3))
MODEL = f"level: 1\n{FACTORS}\nlevel: 2\n{FACTORS}\n" + "\n".join(f" y{i} ~~ 0*y{i}" for i in range(1, 13))
"""Twelve items, three factors; between clusters the items have nothing of their own."""


def draw(seed: int, clusters: int) -> pd.DataFrame:
    """Rows of the model above, in clusters of 8 to 24."""
    rng = np.random.default_rng(seed)
    code = np.repeat(np.arange(clusters), rng.integers(8, 25, clusters))
    S = np.array([[1.0, 0.5, 0.4], [0.5, 1.0, 0.5], [0.4, 0.5, 1.0]])
    inner = rng.multivariate_normal(np.zeros(3), S, len(code))
    outer = rng.multivariate_normal(np.zeros(3), S, clusters) * 0.5
    own = np.repeat(np.arange(3), 4)
    values = 0.7 * inner[:, own] + 0.7 * rng.normal(size=(len(code), 12)) + 0.7 * outer[:, own][code]
    return pd.DataFrame(values, columns=[f"y{i}" for i in range(1, 13)]).assign(cluster=code)


def fit(data: pd.DataFrame, model: str = MODEL, **options: Any) -> TwoLevelFit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ex.RelmeasureWarning)
        found = cfa(model, data, cluster="cluster", **options)
    assert isinstance(found, TwoLevelFit)
    return found


def told(found: TwoLevelFit) -> list[str]:
    return [note.message for note in found.warnings if note.code == "unrestricted-model"]


@pytest.mark.parametrize("case", load_reference("two_level/few")["cases"])
def test_as_lavaan(case: dict[str, Any]) -> None:
    data = rows().query(f"{case['first']} <= cluster <= {case['last']}")
    found = fit(data, load_reference("two_level/few")["model"])
    own, theirs = found.fit_measures(), case["fit"]
    assert math.isclose(own["logl"], theirs["logl"], abs_tol=1e-5)
    assert 0.0 < own["unrestricted.logl"] - theirs["unrestricted.logl"] < SLACK
    for group, name in zip(found.sample.groups, ("within", "between"), strict=True):
        assert np.abs(np.asarray(group.cov) - np.array(case[name])).max() < 0.05
    assert found.status.level == "caution"
    assert len(told(found)) == 1
    if theirs["logl"] > theirs["unrestricted.logl"]:  # lavaan reports a chi-square of zero
        assert math.isnan(own["chisq"])
        assert math.isnan(own["cfi"])
        assert "no chi-square" in told(found)[0]
    else:
        assert math.isclose(own["chisq"], 2.0 * (own["unrestricted.logl"] - own["logl"]), abs_tol=1e-8)


@pytest.mark.parametrize("seed", range(100, 106))
def test_no_spike(seed: int) -> None:
    """These samples crashed, or gave 142 to 253 on 114 degrees of freedom without a word."""
    found = fit(draw(seed, 40))
    assert found.sample.unrestricted == "bounded"
    assert found.status.level == "caution"
    assert "40" in told(found)[0]
    assert 0 < found.fit_measures("chisq")["chisq"] < 114 + 3 * math.sqrt(228)
    assert np.linalg.eigvalsh(np.asarray(found.sample.groups[1].cov))[0] > -1e-10


def test_it_is_a_maximum() -> None:
    """Optimal among positive semidefinite matrices, by the likelihood of full information, written separately."""
    data = draw(102, 40)
    first, second = fit(data), fit(data, missing="fiml")
    assert math.isclose(first.fit_measures()["chisq"], second.fit_measures()["chisq"], abs_tol=1e-6)
    assert math.isclose(first.fit_measures()["tli"], second.fit_measures()["tli"], abs_tol=1e-6)
    data.loc[0, "y1"] = np.nan
    assert abs(fit(data, missing="fiml").fit_measures()["chisq"] - first.fit_measures()["chisq"]) < 1.0


def test_units_do_not_matter() -> None:
    data = draw(103, 40)
    scaled = data.assign(y1=data["y1"] * 100, y7=data["y7"] / 50)
    first, second = fit(data).fit_measures(), fit(scaled).fit_measures()
    assert math.isclose(first["chisq"], second["chisq"], abs_tol=2e-3)


def test_what_rests_on_it() -> None:
    data = draw(101, 40)
    found, robust = fit(data), fit(data, estimator="MLR")
    assert "chisq.scaled" not in robust.fit_measures()
    assert "cannot be scaled" in told(robust)[0]
    with pytest.warns(ex.UnrestrictedModelWarning, match="no test of this level"):
        table = found.level_fit().set_index("level")
    assert math.isnan(table.loc["within", "chisq"])
    again = TwoLevelFit.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again.equals(found)
    assert again.sample.unrestricted == "bounded"


def test_nested_models_without_a_test() -> None:
    model = load_reference("two_level/few")["model"]
    data = rows().query("cluster <= 15")
    larger, smaller = fit(data, model), fit(data, model.replace("fw =~ y1 + y2", "fw =~ 1*y1 + 1*y2"))
    test = smaller.compare(larger)
    lead = larger.fit_measures()["logl"] - smaller.fit_measures()["logl"]
    assert math.isclose(test.chisq, 2.0 * lead, rel_tol=1e-6)


def rejected(n: int, clusters: int, seed: int) -> tuple[float, float]:
    """Share of rejections of the true model at 5%, and of samples without an unrestricted maximum."""
    pvalues, held = [], 0
    for k in range(n):
        found = fit(draw(seed + k, clusters))
        pvalues.append(found.fit_measures("pvalue")["pvalue"])
        held += found.sample.unrestricted != "free"
        assert (found.sample.unrestricted == "free") == (not told(found))
    return float((np.array(pvalues) < 0.05).mean()), held / n


def test_many_clusters_have_a_maximum() -> None:
    rate, held = rejected(8, 300, 1)
    assert held == 0
    assert rate < 0.5


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("clusters", "low", "high"), [(40, 0.0, 0.01), (80, 0.0, 0.08), (300, 0.03, 0.10)])
def test_rejection_rates(clusters: int, low: float, high: float) -> None:
    rate, held = rejected(300, clusters, 1000)
    assert low <= rate <= high, rate
    assert held > 0.98 if clusters == 40 else held == 0 if clusters == 300 else held > 0
