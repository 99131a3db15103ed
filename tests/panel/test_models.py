"""Panel models: the syntax they write, lavaan's numbers on three real waves, and what each model can and cannot tell."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relmeasure.exceptions import OptionError, RelmeasureWarning
from relmeasure.panel.models import cross_lagged_syntax, growth_syntax, random_intercept_syntax
from relmeasure.structural import sem

VARIABLES = {"x": ["JOBSAT1", "JOBSAT2", "JOBSAT3"], "y": ["COMMIT1", "COMMIT2", "COMMIT3"]}
ESTIMATES = 1e-4
"""Relative, or absolute near zero: lavaan stops at a gradient of about 1e-6."""
CHI_SQUARE = 1e-5
"""Relative."""

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "univbct_clpm_listwise_ML": (cross_lagged_syntax(VARIABLES), {"mean_structure": True}),
    "univbct_clpmeq_listwise_ML": (cross_lagged_syntax(VARIABLES, equal_lags=True), {"mean_structure": True}),
    "univbct_clpm_fiml_MLR": (
        cross_lagged_syntax(VARIABLES),
        {"missing": "fiml", "estimator": "MLR", "fixed_x": False},
    ),
    "univbct_clpmeq_fiml_MLR": (
        cross_lagged_syntax(VARIABLES, equal_lags=True),
        {"missing": "fiml", "estimator": "MLR", "fixed_x": False},
    ),
    "univbct_riclpm_fiml_ML": (random_intercept_syntax(VARIABLES), {"missing": "fiml", "auto": False}),
    "univbct_riclpm_eq_fiml_MLR": (
        random_intercept_syntax(VARIABLES, equal_lags=True),
        {"missing": "fiml", "auto": False, "estimator": "MLR"},
    ),
    "univbct_clpm_fiml_MLR_cluster": (
        cross_lagged_syntax(VARIABLES),
        {"missing": "fiml", "estimator": "MLR", "fixed_x": False, "cluster": "unit"},
    ),
    "univbct_clpmeq_fiml_MLR_cluster": (
        cross_lagged_syntax(VARIABLES, equal_lags=True),
        {"missing": "fiml", "estimator": "MLR", "fixed_x": False, "cluster": "unit"},
    ),
    "univbct_lgm": (growth_syntax(VARIABLES["x"]), {"missing": "fiml"}),
}
"""Stored fit: our syntax and the same options."""

INDICES = (
    "npar", "chisq", "df", "pvalue", "chisq.scaled", "df.scaled", "pvalue.scaled", "chisq.scaling.factor",
    "baseline.chisq", "baseline.df", "cfi", "tli", "nfi", "ifi", "rni", "logl", "unrestricted.logl", "aic", "bic", "bic2",
    "ntotal", "rmsea", "rmsea.ci.lower", "rmsea.ci.upper", "rmsea.pvalue", "srmr", "cfi.scaled", "tli.scaled",
)  # fmt: skip
"""Cells of the stored fits that are compared."""

RENAMED = {"RIx": "ri_x", "RIy": "ri_y", "i": "level", "s": "change"} | {
    f"w{v}{k}": f"w_{VARIABLES[v][k - 1]}" for v in "xy" for k in (1, 2, 3)
}
"""Names of factors in the stored models, and ours."""


@pytest.mark.shared
@pytest.mark.parametrize("name", MODELS)
def test_against_lavaan(shared_reference: Path, name: str) -> None:
    """Chi-square, degrees of freedom, log-likelihood, every estimate and standard error."""
    import pandas as pd

    stored = json.loads((shared_reference / "values" / "panel.json").read_text(encoding="utf-8"))[name]
    data = pd.read_csv(shared_reference / "values" / "panel_univbct_wide_input.csv")
    syntax, options = MODELS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelmeasureWarning)
        fit = sem(syntax, data, **options)
    measures = fit.fit_measures()
    for index in INDICES:
        if index in stored["fit"] and stored["fit"][index] is not None:
            assert measures[index] == pytest.approx(stored["fit"][index], rel=CHI_SQUARE, abs=1e-4), index
    standard = {(r.lhs, r.op, r.rhs): r.std_all for r in fit.parameters(standardized=True).itertuples()}
    whole = stored["standardized"]
    for lhs, op, rhs, value in zip(*(whole[c] for c in ("lhs", "op", "rhs", "est.std")), strict=True):
        left, right = RENAMED.get(lhs, lhs), RENAMED.get(rhs, rhs)
        key = (left, op, right) if (left, op, right) in standard else (right, op, left)
        if key in standard and value is not None:
            assert standard[key] == pytest.approx(value, abs=1e-4), key
    found = {(r.lhs, r.op, r.rhs): (r.est, r.se) for r in fit.parameters().itertuples()}
    table, compared = stored["estimates"], 0
    for lhs, op, rhs, est, se in zip(*(table[c] for c in ("lhs", "op", "rhs", "est", "se")), strict=True):
        left, right = RENAMED.get(lhs, lhs), RENAMED.get(rhs, rhs)
        key = (left, op, right) if (left, op, right) in found else (right, op, left)
        if key not in found:
            assert se in (0, None), f"{lhs} {op} {rhs} is estimated by lavaan and missing here"
            continue
        compared += 1
        assert found[key][0] == pytest.approx(est, rel=ESTIMATES, abs=1e-4)
        if se:
            assert found[key][1] == pytest.approx(se, rel=ESTIMATES, abs=1e-4)
    assert compared >= stored["fit"]["npar"]


@pytest.mark.shared
def test_equal_lags_against_lavaan(shared_reference: Path) -> None:
    """The likelihood-ratio test of equal lags with random intercepts."""
    import pandas as pd

    stored = json.loads((shared_reference / "values" / "panel.json").read_text(encoding="utf-8"))["univbct_lrt_eq"]
    data = pd.read_csv(shared_reference / "values" / "panel_univbct_wide_input.csv")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelmeasureWarning)
        free, equal = (
            sem(random_intercept_syntax(VARIABLES, equal_lags=lags), data, missing="fiml", auto=False)
            for lags in (False, True)
        )
    for k, fit in enumerate((free, equal)):
        measures = fit.fit_measures()
        for index, name in (("Df", "df"), ("AIC", "aic"), ("BIC", "bic"), ("Chisq", "chisq")):
            assert measures[name] == pytest.approx(stored[index][k], rel=1e-5, abs=1e-4)
    found = free.compare(equal)
    assert found.chisq == pytest.approx(stored["Chisq.diff"][1], abs=1e-4)
    assert found.df == stored["Df.diff"][1]
    assert found.pvalue == pytest.approx(stored["Pr..Chisq."][1], abs=1e-5)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "options"),
    [("gti_clpm_observed_ML", {}), ("gti_clpm_observed_cluster", {"estimator": "MLR", "cluster": "class"})],
)
def test_two_waves_of_students_against_lavaan(shared_reference: Path, name: str, options: dict[str, Any]) -> None:
    """Self-efficacy and interest of 11,528 students as observed means, with and without classes."""
    import pandas as pd

    stored = json.loads((shared_reference / "values" / "panel.json").read_text(encoding="utf-8"))[name]
    rows = pd.read_csv(shared_reference / "data" / "gti_students" / "data.csv")
    data = pd.DataFrame({"class": rows["class"]})
    for score, stem, letters in (
        ("SE1", "SQA15", "ABCDE"),
        ("SE2", "SQB02", "ABCDE"),
        ("PI1", "SQA14", "ABC"),
        ("PI2", "SQB03", "ABC"),
    ):
        data[score] = rows[[f"{stem}{c}" for c in letters]].mean(axis=1, skipna=False)
    syntax = cross_lagged_syntax({"SE": ["SE1", "SE2"], "PI": ["PI1", "PI2"]})
    fit = sem(syntax, data.dropna(), fixed_x=False, mean_structure=True, **options)
    found = {(r.lhs, r.op, r.rhs): (r.est, r.se) for r in fit.parameters().itertuples()}
    table, compared = stored["estimates"], 0
    for lhs, op, rhs, est, se in zip(*(table[c] for c in ("lhs", "op", "rhs", "est", "se")), strict=True):
        key = (lhs, op, rhs) if (lhs, op, rhs) in found else (rhs, op, lhs)
        assert found[key] == (pytest.approx(est, abs=1e-5), pytest.approx(se, rel=1e-3))
        compared += 1
    assert compared == stored["fit"]["npar"]
    assert fit.fit_measures()["logl"] == pytest.approx(stored["fit"]["logl"], rel=1e-8)


def _district(rng: np.random.Generator, *, lag: float, stable: float) -> Any:
    """Three waves of two variables: stable differences between teachers, and lags within them."""
    import pandas as pd

    n = 1500
    trait = rng.multivariate_normal([0, 0], stable * np.array([[1.0, 0.6], [0.6, 1.0]]), n)
    wave = rng.normal(size=(n, 2))
    columns: dict[str, Any] = {}
    for k in (1, 2, 3):
        observed = trait + wave
        columns |= {f"x{k}": observed[:, 0], f"y{k}": observed[:, 1]}
        wave = np.column_stack([0.3 * wave[:, 0], 0.3 * wave[:, 1] + lag * wave[:, 0]]) + rng.normal(size=(n, 2)) * 0.9
    return pd.DataFrame(columns)


def test_stable_differences_are_mistaken_for_lags_by_the_simple_model() -> None:
    """No lag at all: CLPM finds one where teachers differ for good, RI-CLPM does not."""
    data = _district(np.random.default_rng(6), lag=0.0, stable=1.0)
    variables = {"x": ["x1", "x2", "x3"], "y": ["y1", "y2", "y3"]}
    simple = sem(cross_lagged_syntax(variables), data).parameters().set_index(["lhs", "op", "rhs"])
    proper = sem(random_intercept_syntax(variables), data, auto=False, mean_structure=True).parameters()
    proper = proper.set_index(["lhs", "op", "rhs"])
    wrong, right = simple.loc[("y2", "~", "x1")], proper.loc[("w_y2", "~", "w_x1")]
    assert wrong["est"] > 5 * wrong["se"]
    assert abs(right["est"]) < 3 * right["se"]


def test_random_intercepts_recover_a_lag_within_teachers() -> None:
    """A true lag of .25 from x to y and none back."""
    data = _district(np.random.default_rng(7), lag=0.25, stable=1.0)
    variables = {"x": ["x1", "x2", "x3"], "y": ["y1", "y2", "y3"]}
    syntax = random_intercept_syntax(variables, equal_lags=True)
    found = sem(syntax, data, auto=False, mean_structure=True).parameters().set_index(["lhs", "op", "rhs"])
    there, back = found.loc[("w_y2", "~", "w_x1")], found.loc[("w_x2", "~", "w_y1")]
    assert there["lower"] < 0.25 < there["upper"]
    assert there["lower"] > 0.1
    assert back["lower"] < 0 < back["upper"]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: random_intercept_syntax({"x": ["x1", "x2"], "y": ["y1", "y2"]}), "three waves"),
        (lambda: cross_lagged_syntax({"x": ["x1", "x2"]}), "needs two"),
        (lambda: cross_lagged_syntax({"x": ["x1", "x2"], "y": ["y1"]}), "number of waves"),
        (lambda: cross_lagged_syntax({"x": ["x1", "x2"], "y": ["y1", "x1"]}), "named twice"),
        (lambda: cross_lagged_syntax({"x": ["x1"], "y": ["y1"]}), "at least 2"),
        (lambda: growth_syntax(["y1", "y2"]), "three waves"),
        (lambda: growth_syntax(["y1", "y2", "y3"], times=[0, 2, 2]), "rising"),
    ],
)
def test_models_that_cannot_be_are_refused_with_the_reason(call: Any, said: str) -> None:
    """Too few waves, unequal waves, columns twice, times that do not rise."""
    with pytest.raises(OptionError, match=said):
        call()
