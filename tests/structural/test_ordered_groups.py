"""Models of ordered items in one, two and three groups against lavaan 0.6-14 (``tests/reference/cfa/further.R``)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from relmeasure.structural import StructuralFit
from tests.structural.ordered_groups import STEPS, mixed_fit, ordered_fit, stored
from tests.structural.reference import estimate_differences, index_differences, key, off

FIT = 1e-4
"""Relative difference of estimates and indices: lavaan's stopping rule (most agree to 1e-6)."""

NAIVE = frozenset({"pvalue", "wrmr"})
"""lavaan 0.6-14 still gives the p-value of the unscaled statistic, and an index that has gone out of use."""

GROUPED = frozenset({"cfi.robust", "tli.robust", "nnfi.robust", "rni.robust"})
"""lavaan divides the correction of the baseline by the shares of the groups; see test_ordered_identities."""

NOT_NESTED = frozenset({"pnfi", "pnfi.scaled"})
"""lavaan multiplies by an NFI that it calls undefined, where the model has more degrees of freedom than the baseline."""

CASES = [
    *[(f"{w}_{n}_{p}_{s}") for w in ("ordered", "mixed") for n in ("two", "three") for p in ("delta", "theta") for s in STEPS],
    "single_delta", "single_theta", "single_delta_wlsm", "single_theta_wlsm", "mixed_single", "mixed_single_theta",
]  # fmt: skip


def fitted(name: str) -> StructuralFit:
    words = name.split("_")
    parameterization = "theta" if "theta" in words else "delta"
    if "single" in words:
        if "mixed" in words:
            return mixed_fit("single", parameterization)
        return ordered_fit("single", parameterization, "configural", "WLSM" if "wlsm" in words else "WLSMV")
    make = ordered_fit if words[0] == "ordered" else mixed_fit
    return make(words[1], words[2], words[3])


@pytest.mark.parametrize("name", CASES)
def test_estimates_errors_and_indices(name: str) -> None:
    fit, theirs = fitted(name), stored()[name]
    assert estimate_differences(fit, theirs, FIT) == []
    skip = NAIVE | (GROUPED if fit.table.n_groups > 1 else frozenset())
    if fit.indices["df"] > fit.indices["baseline.df"]:
        skip |= NOT_NESTED
    assert index_differences(fit, theirs, FIT, skip) == []
    assert fit.status.converged
    assert fit.status.identified


@pytest.mark.parametrize("name", CASES)
def test_standardized_by_the_factors_only(name: str) -> None:
    """``std_lv`` and its errors, those of scales under theta included (they were zero once)."""
    fit, theirs = fitted(name), stored()[name]
    ours = by_key(fit, fit.parameters(standardized=True))
    names = theirs["estimates"]
    wrong = []
    for i, name_ in enumerate(zip(names["lhs"], names["op"], names["rhs"], strict=True)):
        row = ours[key(*name_, names.get("group", [1] * 999)[i])]
        for mine, other in (("std_lv", "est.std"), ("std_lv_se", "se")):
            if off(getattr(row, mine), theirs["std_lv"][other][i], FIT):
                wrong.append((name_, mine, getattr(row, mine), theirs["std_lv"][other][i]))
    assert wrong == []


@pytest.mark.parametrize("name", CASES)
def test_modification_indices(name: str) -> None:
    fit, theirs = fitted(name), stored()[name]["mi"]
    ours = by_key(fit, fit.modification_indices())
    for i, lhs in enumerate(theirs["lhs"]):
        op, rhs = theirs["op"][i], theirs["rhs"][i]
        row = ours[key(lhs, op, rhs, theirs.get("group", [1] * 99)[i])]
        assert row.mi == pytest.approx(theirs["mi"][i], rel=5e-4)
        assert row.epc == pytest.approx(theirs["epc"][i], rel=5e-4)
        if op == "~~" and lhs == rhs:
            continue  # lavaan divides the change of a residual variance by itself
        for mine, other in (("sepc_lv", "sepc.lv"), ("sepc_all", "sepc.all"), ("sepc_nox", "sepc.nox")):
            assert getattr(row, mine) == pytest.approx(theirs[other][i], rel=5e-4)


def by_key(fit: StructuralFit, frame: Any) -> dict[tuple[str, str, str, str], Any]:
    return {key(r.lhs, r.op, r.rhs, fit.table.groups.index(r.group) + 1): r for r in frame.itertuples()}


COMPARISONS = {
    "metric": ("configural", "loadings"),
    "scalar": ("loadings", "thresholds"),
    "both": ("configural", "thresholds"),
}


@pytest.mark.parametrize("pair", COMPARISONS)
@pytest.mark.parametrize("parameterization", ["delta", "theta"])
@pytest.mark.parametrize("groups", ["two", "three"])
@pytest.mark.parametrize("kind", ["ordered", "mixed"])
def test_difference_tests(kind: str, groups: str, parameterization: str, pair: str) -> None:
    make = ordered_fit if kind == "ordered" else mixed_fit
    larger, smaller = (make(groups, parameterization, step) for step in COMPARISONS[pair])
    found, theirs = larger.compare(smaller), stored()["lrt"][f"{kind}_{groups}_{parameterization}"][pair]
    assert found.method == "satorra.2000"
    assert found.chisq == pytest.approx(theirs["Chisq.diff"][1], rel=1e-5)
    assert found.df == theirs["Df.diff"][1]
    assert found.pvalue == pytest.approx(theirs["Pr..Chisq."][1], rel=1e-3)


# --------------------------------------------------------------------------- residuals and scores
@pytest.mark.parametrize("parameterization", ["delta", "theta"])
@pytest.mark.parametrize("which", ["single", "three"])
def test_residuals(which: str, parameterization: str) -> None:
    """With groups, lavaan's standardized residuals are too large by the shares of the groups: only raw ones compared."""
    fit = ordered_fit(which, parameterization, "thresholds")
    parts = stored()["residuals"][f"{which}_{parameterization}"]
    for group, part in zip(fit.table.groups, parts if isinstance(parts, list) else parts.values(), strict=True):
        for kind, cov, threshold in (("raw", "cov", "th"), ("standardized", "cov.z", "th.z")):
            if which == "three" and kind == "standardized":
                continue
            table = fit.residuals("raw" if kind == "raw" else "standardized")
            ours = {(r.lhs, r.op, r.rhs): r.residual for r in table[table["group"] == group].itertuples()}
            for i, first in enumerate(part["names"]):
                for j, second in enumerate(part["names"][:i]):
                    mine = ours.get((first, "~~", second), ours.get((second, "~~", first)))
                    assert mine == pytest.approx(part[cov][i][j], abs=3e-5)
            for name, value in part[threshold].items():
                mine = ours[(name.split("|")[0], "|", name.split("|")[1])]
                assert np.isnan(mine) or mine == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize("method", ["EBM", "ML"])
def test_scores(method: str) -> None:
    """Delta in one group; elsewhere lavaan 0.6-14 scores as if residual variances were those of delta (see below)."""
    found = ordered_fit("single", "delta").scores(method="ebm" if method == "EBM" else "ml").to_numpy()[:60]
    theirs = np.array(stored()["scores"][f"delta_{method}"], dtype=float)
    finite = ~np.isnan(found).any(axis=1)
    assert finite.sum() >= 50
    assert found[finite] == pytest.approx(theirs[finite], abs=1e-4)  # its optimiser stops there


def test_scores_of_the_reference_group() -> None:
    found = ordered_fit("three", "delta", "thresholds").scores(method="ebm").to_numpy()[:30]
    theirs = stored()["scores"]["delta_groups_EBM"]
    first = theirs[0] if isinstance(theirs, list) else theirs["one"]
    assert found == pytest.approx(np.array(first, dtype=float), abs=1e-4)
