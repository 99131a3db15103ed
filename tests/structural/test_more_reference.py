"""What the larger reference folder lacks, against lavaan 0.6-14 (``tests/reference/cfa/more.R``)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from relmeasure.structural import StructuralFit, sem
from tests.structural.reference import estimate_differences, frame, index_differences, model
from tests.support import load_reference

HS = model("hs")
MIMIC = f"{HS}\nvisual + textual + speed ~ sex + ageyr"
MEDIATION = """
ind60 =~ x1+x2+x3
dem60 =~ y1+y2+y3+y4
dem65 =~ y5+y6+y7+y8
dem60 ~ a*ind60
dem65 ~ cp*ind60 + b*dem60
ind := a*b
total := cp + a*b
ratio := ind/total
"""
FREE = "visual =~ x1+a*x2+b*x3\ntextual =~ x4+c*x5+d*x6\nspeed =~ x7+x8+x9\n"
GROWTH = """
i =~ 1*y1+1*y2+1*y3+1*y4
s =~ 0*y1+1*y2+2*y3+3*y4
i ~ 1
s ~ 1
y1+y2+y3+y4 ~ 0*1
"""
STEPS = ("loadings", "intercepts", "residuals", "means")

CUTS = {
    "x1": (4, 5, 6), "x2": (5, 6, 7), "x3": (1.25, 2.25, 3.25), "x4": (2, 3, 4), "x5": (3, 4.5, 5.5),
    "x6": (1.2, 2.2, 3.2), "x7": (3.2, 4.2, 5.2), "x8": (4.6, 5.5), "x9": (5.4,),
}  # fmt: skip
"""Where the continuous items are cut into ordered ones."""


@cache
def stored() -> dict[str, Any]:
    found: dict[str, Any] = load_reference("cfa/more")
    return found


@cache
def rows(name: str) -> pd.DataFrame:
    """Holzinger and Swineford's rows with weights and clusters; with missing answers; or cut into categories."""
    hs = frame("HolzingerSwineford1939")
    hs["w"] = hs["ageyr"] - 10
    hs["cl"] = (np.array(stored()["ids"]) * 7) % 25
    if name == "missing":
        return hs.assign(**{c: frame("hs_missing")[c] for c in CUTS})
    if name in ("ordered", "ordered missing"):
        cut = {
            c: np.searchsorted(np.array(edges, float), hs[c], side="right").astype(float) for c, edges in CUTS.items()
        }
        hs = hs.assign(**cut)
    if name == "ordered missing":
        gone = frame("hs_missing")
        hs = hs.assign(**{c: hs[c].where(gone[c].notna()) for c in CUTS})
    return hs


CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "mimic": (MIMIC, "hs", {}),
    "mimic_random_x": (MIMIC, "hs", {"fixed_x": False}),
    "mimic_mlr": (MIMIC, "hs", {"estimator": "MLR"}),
    "mimic_mlm": (MIMIC, "hs", {"estimator": "MLM"}),
    "mimic_means": (MIMIC, "hs", {"mean_structure": True}),
    "mimic_groups": (f"{HS}\nvisual + textual + speed ~ sex", "hs", {"group": "school"}),
    "bifactor": (
        "g =~ x1+x2+x3+x4+x5+x6+x7+x8+x9\nt =~ x4+x5+x6\ns =~ x7+x8+x9",
        "hs",
        {"orthogonal": True, "std_lv": True},
    ),
    "mediation": (MEDIATION, "pd", {}),
    "mediation_mlr": (MEDIATION, "pd", {"estimator": "MLR"}),
    "growth": (GROWTH, "pd", {}),
    "path": ("x9 ~ x1 + x4\nx8 ~ x9 + x1\nx7 ~ x4 + x9", "hs", {}),
    "weights": (HS, "hs", {"weights": "w"}),
    "weights_mlr": (HS, "hs", {"weights": "w", "estimator": "MLR"}),
    "weights_means": (HS, "hs", {"weights": "w", "mean_structure": True}),
    "cluster_mlr": (HS, "hs", {"cluster": "cl", "estimator": "MLR"}),
    "cluster_fiml": (HS, "missing", {"cluster": "cl", "estimator": "MLR", "missing": "fiml"}),
    "fiml_groups": (HS, "missing", {"group": "school", "missing": "fiml"}),
    "fiml_groups_mlr": (
        HS,
        "missing",
        {"group": "school", "missing": "fiml", "estimator": "MLR", "group_equal": ("loadings", "intercepts")},
    ),
    "groups_GLS": (HS, "hs", {"group": "school", "estimator": "GLS"}),
    "groups_WLS": (HS, "hs", {"group": "school", "estimator": "WLS"}),
    "groups_MLM": (HS, "hs", {"group": "school", "estimator": "MLM"}),
    "groups_MLR": (HS, "hs", {"group": "school", "estimator": "MLR"}),
    "groups_wishart": (HS, "hs", {"group": "school", "likelihood": "wishart"}),
    "means_GLS": (HS, "hs", {"mean_structure": True, "estimator": "GLS"}),
    "means_WLS": (HS, "hs", {"mean_structure": True, "estimator": "WLS"}),
    "linear": (f"{FREE}a + b == 1.2\nc == 2*d - 0.7", "hs", {}),
    "nonlinear": (f"{FREE}a == b^2", "hs", {}),
    **{f"equal_{s}": (HS, "hs", {"group": "school", "group_equal": STEPS[: k + 1]}) for k, s in enumerate(STEPS)},
    **{
        f"equal_{s}_stdlv": (HS, "hs", {"group": "school", "group_equal": STEPS[: k + 1], "std_lv": True})
        for k, s in enumerate(STEPS)
    },
}

ORDERED: dict[str, tuple[str, dict[str, Any]]] = {
    "ordered": (HS, {}),
    "ordered_theta": (HS, {"parameterization": "theta"}),
    "ordered_wlsm": (HS, {"estimator": "WLSM"}),
    "ordered_uls": (HS, {"estimator": "ULS"}),
    "ordered_resid": (f"{HS}\nx1 ~~ x4", {}),
    "ordered_regression": (f"{HS}\nspeed ~ visual + textual", {}),
    "ordered_regression_theta": (f"{HS}\nspeed ~ visual + textual", {"parameterization": "theta"}),
    "ordered_groups": (HS, {"group": "school"}),
    "ordered_groups_thresholds": (HS, {"group": "school", "group_equal": ("loadings", "thresholds")}),
    "ordered_groups_theta": (
        HS,
        {"group": "school", "group_equal": ("loadings", "thresholds"), "parameterization": "theta"},
    ),
    "mixed": (HS, {"ordered": ["x1", "x2", "x3", "x4", "x5"]}),
    "mixed_theta": (HS, {"ordered": ["x1", "x2", "x3", "x4", "x5"], "parameterization": "theta"}),
    "ordered_pairwise": (HS, {"missing": "pairwise"}),
}

FIT = 1e-4
"""Relative difference of estimates and indices: lavaan's stopping rule."""


def fitted(name: str) -> StructuralFit:
    text, data, options = CASES[name]
    return sem(text, frame("PoliticalDemocracy") if data == "pd" else rows(data), **options)


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    fit = fitted(name)
    assert estimate_differences(fit, stored()[name], FIT) == []
    assert index_differences(fit, stored()[name], FIT) == []
    assert fit.status.ok
