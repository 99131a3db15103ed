"""Every cell of lavaan's answers on HolzingerSwineford1939, PoliticalDemocracy and bfi."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from relmeasure.samplestats.estimates import MomentEstimate
from relmeasure.structural import StructuralFit, cfa, sem
from tests.structural.reference import block, estimate_differences, frame, index_differences, model
from tests.support import load_reference

HS = model("hs")
ITEMS = [f"x{k}" for k in range(1, 10)]

HOLZINGER: dict[str, tuple[str, dict[str, Any]]] = {
    "hs_ml": (HS, {}),
    "hs_ml_stdlv": (HS, {"std_lv": True}),
    "hs_ml_meanstructure": (HS, {"mean_structure": True}),
    "hs_wishart": (HS, {"likelihood": "wishart"}),
    "hs_expected_vs_observed": (HS, {"information": "observed"}),
    "hs_MLM": (HS, {"estimator": "MLM"}),
    "hs_MLR": (HS, {"estimator": "MLR"}),
    "hs_GLS": (HS, {"estimator": "GLS"}),
    "hs_ULS": (HS, {"estimator": "ULS"}),
    "hs_DWLS": (HS, {"estimator": "DWLS"}),
    "hs_WLS": (HS, {"estimator": "WLS"}),
    "hs_higher": (f"{HS}\ng =~ visual+textual+speed", {}),
    "hs_1factor": (f"g =~ {'+'.join(ITEMS)}", {}),
    "hs_resid_cov": (f"{HS}\nx7 ~~ x8\nx1 ~~ x9", {}),
    "hs_school_2group": (HS, {"group": "school"}),
}

LOOSE = {"hs_DWLS": 1e-4, "hs_1factor": 1e-4, "hs_resid_cov": 2e-4}
"""Where lavaan stopped early: its gradient is not zero there, ours is."""


@pytest.mark.parametrize("name", HOLZINGER)
def test_holzinger(name: str) -> None:
    text, options = HOLZINGER[name]
    fit = cfa(text, frame("HolzingerSwineford1939"), **options)
    tolerance = LOOSE.get(name, 5e-5)
    assert estimate_differences(fit, block(name), tolerance) == []
    assert index_differences(fit, block(name), tolerance) == []
    assert fit.status.ok


INCOMPLETE = {"hs_fiml": "ML", "hs_fiml_mlr": "MLR"}


@pytest.mark.parametrize("name", INCOMPLETE)
def test_holzinger_with_missing_answers(name: str) -> None:
    fit = cfa(HS, frame("hs_missing"), missing="fiml", estimator=cast(Any, INCOMPLETE[name]))
    assert estimate_differences(fit, block(name)) == []
    assert index_differences(fit, block(name)) == []
    assert fit.status.ok


DEMOCRACY = block("pd_sem")


@pytest.mark.parametrize("estimator", ["ML", "MLM", "MLR"])
def test_political_democracy(estimator: Any) -> None:
    fit = sem(DEMOCRACY["model"], frame("PoliticalDemocracy"), estimator=estimator)
    stored = DEMOCRACY if estimator == "ML" else DEMOCRACY[estimator]
    assert estimate_differences(fit, stored) == []
    assert index_differences(fit, stored) == []


def test_equal_loadings_over_time() -> None:
    text = DEMOCRACY["model"].replace("dem60 =~ y1+y2+y3+y4", "dem60 =~ y1+a*y2+b*y3+c*y4")
    text = text.replace("dem65 =~ y5+y6+y7+y8", "dem65 =~ y5+a*y6+b*y7+c*y8")
    fit = sem(text, frame("PoliticalDemocracy"))
    assert estimate_differences(fit, DEMOCRACY["eq_loadings"], 1e-4) == []
    assert index_differences(fit, DEMOCRACY["eq_loadings"], 1e-4) == []


def bfi_fit() -> StructuralFit:
    stored = load_reference("cfa/bfi")
    moments = MomentEstimate.from_matrix(np.array(stored["cov"]), stored["n_obs"], stored["names"], mean=stored["mean"])
    return cfa(stored["model"], moments)


def test_five_factors_from_moments_alone() -> None:
    stored, fit = load_reference("cfa/bfi")["bfi5_ml"], bfi_fit()
    assert estimate_differences(fit, stored, 5e-5) == []
    assert index_differences(fit, stored) == []
