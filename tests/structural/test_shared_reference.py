"""Every cell of the larger reference's ``cfa.json`` on real data: psych's bfi, and ratings of teachers in classes."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from relmeasure.structural import StructuralFit, cfa, sem
from tests.structural.reference import aligned, estimate_differences, frame, index_differences, key, matrix
from tests.structural.test_reference import HOLZINGER, INCOMPLETE
from tests.support import load_reference

FIT = 1e-4
"""Relative difference of estimates and errors: lavaan's stopping rule; most blocks agree to 1e-5 or 1e-6."""

INDEX = 1e-5
"""Relative difference of indices; chi-squares are held at 2e-6."""

BFI = [f"{scale}{k}" for scale in "ACENO" for k in range(1, 6)]
A = "A =~ A1+A2+A3+A4+A5"

CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bfi5_ml": ("bfi5", "complete", {}),
    "bfi5_mlr": ("bfi5", "complete", {"estimator": "MLR"}),
    "bfi5_mlm": ("bfi5", "complete", {"estimator": "MLM"}),
    "bfi5_fiml": ("bfi5", "bfi", {"missing": "fiml"}),
    "bfi5_fiml_mlr": ("bfi5", "bfi", {"missing": "fiml", "estimator": "MLR"}),
    "bfi5_wlsmv": ("bfi5", "complete", {"ordered": True}),
    "bfi5_wlsmv_theta": ("bfi5", "complete", {"ordered": True, "parameterization": "theta"}),
    "bfi5_wlsm": ("bfi5", "complete", {"ordered": True, "estimator": "WLSM"}),
    "bfi5_dwls_naive": ("bfi5", "complete", {"ordered": True, "estimator": "DWLS"}),
    "bfi5_wlsmv_pairwise": ("bfi5", "bfi", {"ordered": True, "missing": "pairwise"}),
    "bfi5_wlsmv_stdlv": ("bfi5", "complete", {"ordered": True, "std_lv": True}),
    "bfiA_wlsmv_1f": (A, "complete", {"ordered": True}),
    "bfiA_wls_full": (A, "complete", {"ordered": True, "estimator": "WLS"}),
    "gti_rel_wlsmv": ("gti_rel", "gti", {"ordered": True}),
    "gti_rel_mlr_cluster": ("gti_rel", "gti", {"estimator": "MLR", "cluster": "class"}),
    "gti_rel_ml": ("gti_rel", "gti", {}),
    "gti_rel_fiml_mlr_cluster": ("gti_rel", "gti incomplete", {"estimator": "MLR", "missing": "fiml", "cluster": "class"}),
}  # fmt: skip

ELSEWHERE = {*HOLZINGER, *INCOMPLETE, "pd_sem", "hs_fiml_h1", "hs_anova_nested"}
"""Blocks that are compared from their copies in the repository, or below."""

LEFT_OUT = {"meta", "models", "hs_bootstrap_note", "hs_MLF", "hs_MLMV", "hs_ULSMV", "bfi5_ulsmv"}
"""Estimators that are not offered."""


@pytest.fixture(scope="module")
def values(shared_reference: Path) -> dict[str, Any]:
    return cast(dict[str, Any], load_reference("values/cfa", shared_reference))


@cache
def rows(folder: Path, name: str) -> pd.DataFrame:
    if name in ("bfi", "complete"):
        found = pd.read_csv(folder / "data" / "bfi" / "data.csv")[BFI]
        return found.dropna() if name == "complete" else found
    stored = "gti_students_complete" if name == "gti" else "gti_students"
    found = pd.read_csv(folder / "data" / stored / "data.csv", low_memory=False)
    items = [c for c in found.columns if c.startswith(("SQB12", "SQB13"))]
    return found[found[items].notna().any(axis=1)][[*items, "class"]]


@cache
def fitted(folder: Path, name: str) -> StructuralFit:
    models = load_reference("values/cfa", folder)["models"]
    text, data, options = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cfa(models.get(text, text), rows(folder, data), **options)


@pytest.mark.shared
def test_every_block_is_compared_or_left_out(values: dict[str, Any]) -> None:
    assert set(values) == set(CASES) | ELSEWHERE | LEFT_OUT


@pytest.mark.shared
@pytest.mark.parametrize("name", CASES)
def test_estimates_errors_and_indices(name: str, values: dict[str, Any], shared_reference: Path) -> None:
    fit, stored = fitted(shared_reference, name), values[name]
    if name == "bfi5_wlsmv_stdlv":  # lavaan turns two factors around
        stored = aligned(fit, stored)
    assert estimate_differences(fit, stored, FIT) == []
    assert index_differences(fit, stored, INDEX) == []
    assert fit.status.ok


@pytest.mark.shared
@pytest.mark.parametrize("name", ["bfi5_ml", "bfi5_wlsmv", "gti_rel_wlsmv"])
def test_modification_indices(name: str, values: dict[str, Any], shared_reference: Path) -> None:
    theirs = values[name]["modindices"]
    ours = {key(r.lhs, r.op, r.rhs, 1): r for r in fitted(shared_reference, name).modification_indices().itertuples()}
    for i, lhs in enumerate(theirs["lhs"]):
        row = ours[key(lhs, theirs["op"][i], theirs["rhs"][i], 1)]
        mine = [row.mi, row.epc, row.sepc_lv, row.sepc_all, row.sepc_nox]
        names = ("mi", "epc", "sepc.lv", "sepc.all", "sepc.nox")
        assert mine == pytest.approx([theirs[n][i] for n in names], rel=5e-4)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "method", "place"),
    [
        ("bfi5_ml", "regression", ("scores", "regression")),
        ("bfi5_ml", "bartlett", ("scores", "Bartlett")),
        ("bfi5_wlsmv", "ebm", ("scores_EBM",)),
        ("bfi5_wlsmv", "ml", ("scores_ML",)),
    ],
)
def test_scores(name: str, method: Any, place: tuple[str, ...], values: dict[str, Any], shared_reference: Path) -> None:
    found = values[name]
    for word in place:
        found = found[word]
    theirs = matrix(found)
    ours = fitted(shared_reference, name).scores(method=method)
    assert ours.to_numpy()[: len(theirs)] == pytest.approx(theirs, abs=2e-5)
    assert list(ours.index) == list(rows(shared_reference, "complete").index)


@pytest.mark.shared
def test_further_cells_of_the_small_sets(values: dict[str, Any]) -> None:
    """R-square and modification indices of PoliticalDemocracy; covariance of estimates; unrestricted moments."""
    fit = sem(values["pd_sem"]["model"], frame("PoliticalDemocracy"))
    shares = fit.r_square().set_index("name")["r_square"]
    assert [shares[n] for n in values["pd_sem"]["rsquare"]] == pytest.approx(
        list(values["pd_sem"]["rsquare"].values()), rel=FIT
    )
    theirs = values["pd_sem"]["modindices"]
    ours = {key(r.lhs, r.op, r.rhs, 1): r.mi for r in fit.modification_indices().itertuples()}
    mine = [ours[key(*n, 1)] for n in zip(theirs["lhs"], theirs["op"], theirs["rhs"], strict=True)]
    assert mine == pytest.approx(theirs["mi"], rel=5e-4)
    hs = values["models"]["hs"]
    fit = cfa(hs, frame("HolzingerSwineford1939"))
    names = list(fit.table.free_names)
    order = [names.index(n) for n in values["hs_ml"]["vcov"]["rows"]]
    assert fit.covariance[np.ix_(order, order)] == pytest.approx(matrix(values["hs_ml"]["vcov"]), abs=2e-6)
    fit = cfa(hs, frame("hs_missing"), missing="fiml")
    stored, group = values["hs_fiml_h1"], fit.sample.groups[0]
    assert group.cov == pytest.approx(matrix(stored["h1_cov"]), rel=1e-4, abs=1e-5)  # lavaan's EM stops there
    assert group.mean == pytest.approx(np.array(list(stored["h1_mean"].values())), rel=1e-5)
    assert group.patterns is not None
    assert len(group.patterns.observed) == stored["patterns"]


@pytest.mark.shared
def test_two_way_clusters_of_real_ratings(shared_reference: Path) -> None:
    """Two dimensions that are the same are one; two crossed ones are at least as uncertain as rows alone."""
    data = rows(shared_reference, "gti")
    models = load_reference("values/cfa", shared_reference)["models"]
    one = fitted(shared_reference, "gti_rel_mlr_cluster")
    same = cfa(models["gti_rel"], data, estimator="MLR", cluster=[data["class"].to_numpy(), data["class"].to_numpy()])
    assert same.covariance == pytest.approx(one.covariance, rel=1e-9, abs=1e-15)
    crossed = cfa(
        models["gti_rel"], data, estimator="MLR", cluster=[data["class"].to_numpy(), np.arange(len(data)) % 997]
    )
    ratio = np.sqrt(np.diag(crossed.covariance) / np.diag(one.covariance))
    assert 0.8 < float(np.median(ratio)) < 1.3
    assert crossed.status.ok
