"""Bifactor models against lavaan 0.6-14 (``tests/reference/cfa/bifactor.R``): one of them improper there as well."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from relmeasure.exceptions import HeywoodWarning
from relmeasure.structural import cfa
from tests.structural.reference import aligned, estimate_differences, frame, index_differences
from tests.support import load_reference

FIT = 2e-4
"""Relative difference: these surfaces are flat, and lavaan stops early on them."""

BFI = [f"{scale}{k}" for scale in "ACENO" for k in range(1, 6)]


@cache
def stored() -> dict[str, Any]:
    found: dict[str, Any] = load_reference("cfa/bifactor")
    return found


def test_an_improper_bifactor_model_is_lavaans_and_says_so() -> None:
    """The residual variance of x7 is -1.1 in both: lavaan warns, here the status refuses scores."""
    with pytest.warns(HeywoodWarning, match="negative"):
        fit = cfa(stored()["models"]["hs"], frame("HolzingerSwineford1939"), orthogonal=True, std_lv=True)
    assert fit.status.converged
    assert fit.status.admissible is False
    assert estimate_differences(fit, stored()["hs_bifactor"], FIT) == []
    assert index_differences(fit, stored()["hs_bifactor"], FIT) == []


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "options"),
    [("bfi_bifactor_wlsmv", {"ordered": True}), ("bfi_bifactor_mlr", {"estimator": "MLR"})],
)
def test_agreeableness_and_extraversion(name: str, options: dict[str, Any], shared_reference: Path) -> None:
    rows = pd.read_csv(shared_reference / "data" / "bfi" / "data.csv")[BFI].dropna()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = cfa(stored()["models"]["bfi"], rows, orthogonal=True, std_lv=True, **options)
    assert fit.status.ok
    assert estimate_differences(fit, aligned(fit, stored()[name]), FIT) == []
    skip = frozenset({"pvalue", "wrmr"}) if name.endswith("wlsmv") else frozenset[str]()
    assert index_differences(fit, stored()[name], FIT, skip) == []
