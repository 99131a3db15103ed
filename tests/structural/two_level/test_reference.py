"""Two-level models against lavaan 0.6-14 (tests/reference/two_level)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from relmeasure.structural import cfa, sem
from relmeasure.structural.two_level.fit import TwoLevelFit
from tests.structural.two_level.data import demo, estimates, key, reference, rows, stored

ESTIMATE = 2e-4
"""Of the larger of the value and one: lavaan's optimiser stops with gradients of about 5e-6 per row."""

LOGLIK = 5e-6
"""Absolute, of about -24,000 at most: flat at the maximum; ours is never lower."""

UNRESTRICTED = 2e-3
"""Absolute; lavaan's EM stops short of the maximum, by up to 7e-5 here with its tightest tolerance."""

SRMR = 4e-4
"""Of the level between, whose unrestricted moments come from that EM."""

SCALED = 2e-3
"""Relative, of scaled statistics: they take the traces at EM's moments."""

ROWS = [
    f"rows_{model}_{estimator}" for model in ("cfa", "equal", "sem", "context", "path") for estimator in ("ML", "MLR")
]
DEMO = ["demo_two", "demo_sem", "demo_latent_context"]
INCOMPLETE = ["fiml_ML", "fiml_z_ML", "fiml_missing_z_ML"]


def check_estimates(fit: Any, block: dict[str, Any]) -> None:
    mine, theirs = estimates(fit), reference(block)
    assert set(theirs) <= set(mine)
    for name, (value, se) in theirs.items():
        assert math.isclose(mine[name][0], value, rel_tol=ESTIMATE, abs_tol=ESTIMATE), (name, mine[name][0], value)
        assert math.isclose(mine[name][1], se or 0.0, rel_tol=5 * ESTIMATE, abs_tol=ESTIMATE), (name, mine[name][1], se)


def check_indices(fit: Any, block: dict[str, Any]) -> None:
    measures, theirs = fit.fit_measures(), block["fit"]
    for name in ("df", "npar", "baseline.df", "ntotal"):
        assert measures[name] == theirs[name], name
    assert -1e-9 < measures["logl"] - theirs["logl"] < LOGLIK
    assert -1e-9 < measures["unrestricted.logl"] - theirs["unrestricted.logl"] < UNRESTRICTED
    for name in ("chisq", "baseline.chisq"):
        assert abs(measures[name] - theirs[name]) < 2 * UNRESTRICTED, name
    for name in ("aic", "bic", "bic2"):
        assert abs(measures[name] - theirs[name]) < 1e-5, name
    for name in ("cfi", "tli", "nfi", "ifi", "rni", "rmsea", "rmsea.ci.lower", "rmsea.ci.upper"):
        assert abs(measures[name] - theirs[name]) < 2e-4, (name, measures[name], theirs[name])
    for name in ("srmr_within", "srmr_between", "srmr"):
        assert abs(measures[name] - theirs[name]) < SRMR, (name, measures[name], theirs[name])


@pytest.mark.parametrize("name", ROWS)
def test_rows(name: str) -> None:
    block = stored(name)
    fit = sem(block["model"], rows(), cluster="cluster", estimator="MLR" if name.endswith("MLR") else "ML")
    assert isinstance(fit, TwoLevelFit)
    assert fit.status.ok
    check_estimates(fit, block)
    check_indices(fit, block)
    if name.endswith("MLR") and block["fit"]["df"] > 0:
        measures, theirs = fit.fit_measures(), block["fit"]
        for index in ("chisq.scaled", "chisq.scaling.factor", "baseline.chisq.scaled", "scaling.factor.h1"):
            assert math.isclose(measures[index], theirs[index], rel_tol=SCALED), index


@pytest.mark.parametrize("name", ["rows_cfa_ML", "rows_context_ML", "demo_two"])
def test_standardized_solution(name: str) -> None:
    block = stored(name)
    fit = sem(block["model"], demo()) if "demo" in name else sem(block["model"], rows(), cluster="cluster")
    mine = estimates(fit, standardized=True)
    at = reference(block)
    table = block["standardized"]
    names = [k for k in at if k[1] != ":="]
    for k, value, se in zip(names, table["est.std"], table["se"], strict=False):
        assert abs(mine[k][0] - value) < 1e-4, k
        assert abs(mine[k][1] - (se or 0.0)) < 1e-4, k


@pytest.mark.parametrize("name", DEMO)
def test_cluster_statistics(name: str) -> None:
    """The sizes, means and scatters of Demo.twolevel are all that the likelihood needs."""
    block = stored(name)
    fit = sem(block["model"], demo())
    assert fit.status.ok
    check_estimates(fit, block)
    check_indices(fit, block)


def test_random_predictors() -> None:
    block = stored("demo_sem_random")
    fit = sem(block["model"], demo(), fixed_x=False)
    check_estimates(fit, block)
    check_indices(fit, block)


@pytest.mark.parametrize("name", INCOMPLETE)
def test_full_information(name: str) -> None:
    block = stored(name)
    fit = cfa(block["model"], rows(), cluster="cluster", missing="fiml")
    check_estimates(fit, block)
    measures, theirs = fit.fit_measures(), block["fit"]
    assert abs(measures["logl"] - block["logl"]) < LOGLIK
    assert -1e-9 < measures["unrestricted.logl"] - theirs["unrestricted.logl"] < UNRESTRICTED
    assert abs(measures["chisq"] - theirs["chisq"]) < 2 * UNRESTRICTED
    assert measures["df"] == theirs["df"]


def test_fit_of_each_level() -> None:
    """The other level saturated: the same models, written out for lavaan."""
    block = stored("levels")
    fit = cfa(stored("rows_cfa_ML")["model"], rows(), cluster="cluster")
    table = fit.level_fit()  # type: ignore[attr-defined]  # a two-level fit has it
    for _, row in table.iterrows():
        theirs, alone = block[row["level"]], block[f"{row['level']}_alone"]
        assert abs(row["chisq"] - theirs["chisq"]) < 2 * UNRESTRICTED
        assert row["df"] == theirs["df"]
        misfit, most = theirs["chisq"] - theirs["df"], alone["chisq"] - alone["df"]
        assert abs(row["cfi"] - (1.0 - max(misfit, 0.0) / max(misfit, most))) < 1e-4
        n = 75 if row["level"] == "between" else len(rows()) - 75
        assert abs(row["rmsea"] - math.sqrt(max(misfit, 0.0) / (theirs["df"] * n))) < 2e-3


@pytest.mark.parametrize("name", ["scores", "scores_sem"])
def test_factor_scores(name: str) -> None:
    """With a variable that lives between only, lavaan 0.6-14's scores between differ; test_identities writes them out."""
    block, data = stored(name), rows()
    fit = sem(block["model"], data, cluster="cluster")
    inner = fit.scores()
    theirs = np.array([row[0] for row in block["within"]["values"]])
    np.testing.assert_allclose(inner["fw"], theirs, atol=2e-4)
    if name == "scores_sem":
        return
    outer = fit.scores(level="between").set_index("cluster")["fb"]  # type: ignore[call-arg]
    order = [str(c) for c in dict.fromkeys(data["cluster"])]
    np.testing.assert_allclose(outer[order], [row[0] for row in block["between"]["values"]], atol=2e-4)


def test_modification_indices() -> None:
    block = stored("modification")
    fit = cfa(stored("rows_cfa_ML")["model"], rows(), cluster="cluster")
    mine = {
        key(row["lhs"], row["op"], row["rhs"], row["level"]): row["mi"]
        for row in fit.modification_indices().to_dict("records")
    }
    columns = (block[name] for name in ("lhs", "op", "rhs", "level", "mi"))
    pairs = [(mine[key(*row[:4])], row[4]) for row in zip(*columns, strict=True) if row[4] is not None]
    assert len(pairs) == 12
    for own, theirs in pairs:
        assert math.isclose(own, theirs, rel_tol=5e-4)
