"""Real classes and Demo.twolevel, from the shared folder: values stored there by lavaan 0.6-21 and semTools."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from relmeasure.structural import cfa, sem
from relmeasure.structural.two_level.fit import TwoLevelFit
from tests.structural.two_level.data import estimates, reference

pytestmark = pytest.mark.shared

ESTIMATE = 2e-4
"""Of the larger of the value and one: lavaan's optimiser stops early."""

UNRESTRICTED = 2e-3
"""Of log-likelihoods: lavaan's EM stops short of the unrestricted maximum, so its chi-square is up to twice this less."""

NAMES = ("demo_twolevel_sem", "demo_twolevel_cfa_2f", "demo_twolevel_cfa_1f")
RELIABILITY = {
    "multilevel_omega_demo_y123": "Demo.twolevel",
    "multilevel_omega_demo_y456": "Demo.twolevel",
    "multilevel_omega_gti_rel": "gti_students_complete",
}


def values(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "values" / f"{name}.json").read_text(encoding="utf-8"))
    return found


def frame(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "data" / name / "data.csv")


def check(fit: Any, block: dict[str, Any], *, indices: bool = True) -> None:
    mine, theirs = estimates(fit), reference(block)
    for name, (value, se) in theirs.items():
        assert math.isclose(mine[name][0], value, rel_tol=ESTIMATE, abs_tol=ESTIMATE), name
        assert math.isclose(mine[name][1], se or 0.0, rel_tol=5 * ESTIMATE, abs_tol=ESTIMATE), name
    if indices:
        own, stored = fit.fit_measures(), block["fit"]
        assert -1e-9 < own["logl"] - stored["logl"] < 1e-4
        lead = own["unrestricted.logl"] - stored["unrestricted.logl"]
        assert -1e-9 < lead < UNRESTRICTED
        assert abs(own["chisq"] - stored["chisq"] - (2 * lead if stored["df"] > 0 else 0.0)) < 2e-4
        assert abs(own["baseline.chisq"] - stored["baseline.chisq"] - 2 * lead) < 2e-3
        for index in ("df", "npar", "ntotal"):
            assert own[index] == stored[index]
        for index in ("cfi", "tli", "rmsea", "rmsea.ci.upper"):
            assert abs(own[index] - stored[index]) < 1e-4, index
        if stored["df"] > 0:
            assert abs(own["srmr_within"] - stored["srmr_within"]) < 1e-4
            assert abs(own["srmr_between"] - stored["srmr_between"]) < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_demo(name: str, shared_reference: Path) -> None:
    block = values(shared_reference, "multilevel")[name]
    check(sem(block["model"], frame(shared_reference, "Demo.twolevel"), cluster="cluster"), block)


def test_robust_and_incomplete(shared_reference: Path) -> None:
    extra = values(shared_reference, "multilevel_extra")
    model = values(shared_reference, "multilevel")["demo_twolevel_cfa_1f"]["model"]
    check(
        cfa(model, frame(shared_reference, "Demo.twolevel"), cluster="cluster", estimator="MLR"),
        extra["demo_2level_mlr"],
    )
    missing = pd.read_csv(shared_reference / "values" / "demo2l_missing_input.csv")
    block = extra["demo_fiml_2level"]
    with pytest.warns(match="no answer"):
        found = cfa(model, missing, cluster="cluster", missing="fiml", std_lv=True)
    assert 0 <= found.fit_measures("logl")["logl"] - block["logl"] < 1e-3
    mine, theirs = estimates(found), reference(block)
    for name, (value, _) in theirs.items():  # its gradient is not zero: the log-likelihood is 5e-4 lower
        assert math.isclose(mine[name][0], value, rel_tol=5e-3, abs_tol=5e-3), name
    with pytest.warns(match="missing answer"):
        check(cfa(model, missing, cluster="cluster"), extra["demo_listwise_2level"])


@pytest.mark.parametrize("name", RELIABILITY)
def test_reliability(name: str, shared_reference: Path) -> None:
    block = values(shared_reference, "multilevel")[name]
    data = frame(shared_reference, RELIABILITY[name])
    cluster = "class" if "gti" in name else "cluster"
    items = list(block["icc"])
    fit = cfa(block["model"], data, cluster=cluster)
    assert isinstance(fit, TwoLevelFit)
    check(fit, block)
    defined = dict(
        zip(
            block["estimates"]["label"],
            zip(block["estimates"]["est"], block["estimates"]["se"], strict=True),
            strict=True,
        )
    )
    found = fit.reliability().set_index("coefficient")
    for own, theirs in (("omega_within", "omega_w"), ("omega_between", "omega_b")):
        row = found.loc[f"{own}.implied_variance"]
        assert abs(row["estimate"] - defined[theirs][0]) < 1e-5
        assert abs(row["se"] - defined[theirs][1]) < 1e-5
    assert abs(found.loc["alpha_within", "estimate"] - block["alpha_w_h1"]) < 1e-4
    assert abs(found.loc["alpha_between", "estimate"] - block["alpha_b_h1"]) < 1e-4
    np.testing.assert_allclose(fit.icc()["icc"], list(block["icc"].values()), atol=1e-4)
    terms = " + ".join(f"c{k}*{item}" for k, item in enumerate(items))
    equal = cfa(f"level: 1\n f =~ {terms}\n level: 2\n f =~ {terms}", data, cluster=cluster)
    assert isinstance(equal, TwoLevelFit)
    config = equal.reliability().set_index("coefficient")["estimate"]
    for own, theirs in (("observed", "compRelSEM_config"), ("implied", "compRelSEM_config_obsvarF")):
        assert abs(config[f"omega_configural.{own}_variance"] - block[theirs]["f"]) < 2e-5
    inner = "\n".join(f" {a} ~~ {b}" for i, a in enumerate(items) for b in items[i:])
    shared = cfa(f"level: 1\n{inner}\n level: 2\n f =~ {' + '.join(items)}", data, cluster=cluster)
    assert isinstance(shared, TwoLevelFit)
    # semTools' "shared" is the between coefficient over the observed variance: not that of an observed class mean
    between = shared.reliability().set_index("coefficient")["estimate"]
    assert abs(between["omega_between.observed_variance"] - block["compRelSEM_shared"]["f"]) < 5e-5


def test_class_means_of_the_relationship_scale(shared_reference: Path) -> None:
    """About .82 to .84 for an observed class mean, where the between-level omega says .99."""
    block = values(shared_reference, "multilevel")["multilevel_omega_gti_rel"]
    data = frame(shared_reference, "gti_students_complete")
    fit = cfa(block["model"], data, cluster="class")
    assert isinstance(fit, TwoLevelFit)
    found = fit.reliability(n=20.8971291866029).set_index("coefficient")["estimate"]
    stored = values(shared_reference, "multilevel")["icc"]["gti_rel_mean"]
    ml = stored["ml"]["tau2"] / (stored["ml"]["tau2"] + stored["ml"]["sigma2"] / stored["mean_size"])
    assert abs(found["icc2"] - ml) < 1e-6
    assert 0.82 < found["omega_shared"] < found["icc2"] < 0.85
    assert found["omega_between.implied_variance"] > 0.98
    table = fit.class_reliability()
    assert len(table) == stored["groups"]
    small = table[table["n"] <= 8]
    assert small["fb_omega_shared"].max() < 0.7


def test_fit_within_real_classes_has_its_baseline(shared_reference: Path) -> None:
    """Every covariance between and none within has no maximum here: the pooled covariances stand in, and are told."""
    block = values(shared_reference, "multilevel")["multilevel_omega_gti_rel"]
    fit = cfa(block["model"], frame(shared_reference, "gti_students_complete"), cluster="class")
    assert isinstance(fit, TwoLevelFit)
    with pytest.warns(match="rest on the pooled covariances within"):
        table = fit.level_fit().set_index("level")
    assert table["df"].tolist() == [5.0, 5.0]
    assert table["cfi"].between(0.97, 0.99).all()
    assert abs(table["chisq"].sum() - fit.fit_measures("chisq")["chisq"]) < 0.1 * fit.fit_measures("chisq")["chisq"]
    excess = table.loc["within", "chisq"] - 5.0
    assert math.isclose(table.loc["within", "rmsea"], math.sqrt(excess / (5.0 * (8735 - 418))), rel_tol=1e-6)
