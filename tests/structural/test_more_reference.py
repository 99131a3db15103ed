"""What the larger reference folder lacks, against lavaan 0.6-14 (``tests/reference/cfa/more.R``)."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from relmeasure.exceptions import CategoriesAssumedWarning, HeywoodWarning, PairwiseDeletionWarning
from relmeasure.structural import StructuralFit, cfa, sem
from relmeasure.structural.estimation.samples import GroupSample, Sample
from relmeasure.structural.evaluation.assess import fit_baseline
from relmeasure.structural.evaluation.categorical import categorical_robust
from relmeasure.structural.language.specification import build_table
from relmeasure.structural.reading import Reading
from relmeasure.structural.running import Call, fit_table
from tests.structural.reference import estimate_differences, frame, index_differences, key, model
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


ORDERED_OF_MIXED = ["x1", "x2", "x3", "x4", "x5"]


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
    if name in ("ordered", "ordered missing", "mixed"):
        chosen = {c: edges for c, edges in CUTS.items() if name != "mixed" or c in ORDERED_OF_MIXED}
        cut = {
            c: np.searchsorted(np.array(edges, float), hs[c], side="right").astype(float) for c, edges in chosen.items()
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
    "ordered_groups_thresholds": (HS, {"group": "school", "group_equal": ("loadings", "thresholds", "intercepts")}),
    "ordered_groups_theta": (
        HS,
        {
            "group": "school",
            "group_equal": ("loadings", "thresholds", "intercepts"),
            "parameterization": "theta",
        },
    ),
    "mixed": (HS, {"ordered": ORDERED_OF_MIXED}),
    "mixed_theta": (HS, {"ordered": ORDERED_OF_MIXED, "parameterization": "theta"}),
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


# --------------------------------------------------------------------------- ordered items
NAIVE = frozenset({"pvalue", "wrmr"})
"""lavaan 0.6-14 still gives the p-value of the unscaled statistic (0.6-21 does not), and an index that has gone out of use."""

GROUPED = frozenset({"cfi.robust", "tli.robust", "nnfi.robust", "rni.robust"})
"""With groups, lavaan leaves the shares of the groups out of the correction of the baseline: see the test below."""


@pytest.mark.parametrize("name", [name for name in ORDERED if not name.startswith("mixed")])
def test_ordered(name: str) -> None:
    text, options = ORDERED[name]
    data = rows("ordered missing" if name == "ordered_pairwise" else "ordered")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HeywoodWarning)  # one residual variance of a group is negative, in lavaan too
        warnings.simplefilter("ignore", CategoriesAssumedWarning)
        warnings.simplefilter("ignore", PairwiseDeletionWarning)
        fit = cfa(text, data, ordered=True, **options)
    theirs = stored()[name]
    if name == "ordered_uls":  # robust standard errors here; lavaan 0.6-14 gives naive ones
        est = {k: (v if k in ("lhs", "op", "rhs", "est") else [None] * len(v)) for k, v in theirs["estimates"].items()}
        ours = {key(r.lhs, r.op, r.rhs, 1): r.est for r in fit.parameters().itertuples()}
        names = zip(est["lhs"], est["op"], est["rhs"], strict=True)
        assert [ours[key(*n, 1)] for n in names] == pytest.approx(est["est"], rel=FIT, abs=1e-5)
    else:
        assert estimate_differences(fit, theirs, FIT) == []
    skip = NAIVE | (GROUPED if fit.table.n_groups > 1 else frozenset())
    assert index_differences(fit, theirs, FIT, skip) == []
    assert fit.status.converged
    assert fit.status.identified


@pytest.mark.parametrize("name", ["mixed", "mixed_theta"])
def test_ordered_and_continuous_items_from_the_same_sample_statistics(name: str) -> None:
    """lavaan takes the covariance of continuous moments from normal theory, we from the data: so start from its matrix."""
    text, options = ORDERED[name]
    given = stored()["mixed_sample"]
    obs = [
        -v if n.endswith("~1") else v for n, v in zip(given["names"], given["obs"], strict=True)
    ]  # means carry a minus
    value = dict(zip(given["names"], obs, strict=True))
    items = list(CUTS)
    sign = np.array([-1.0 if n.endswith("~1") else 1.0 for n in given["names"]])
    cov = np.array([[value.get(f"{a}~~{b}", value.get(f"{b}~~{a}", 1.0)) for b in items] for a in items])
    group = GroupSample(
        "",
        301,
        np.array([value.get(f"{a}~1", 0.0) for a in items]),
        cov,
        acov=np.array(given["gamma"]) * np.outer(sign, sign),
        moment_names=tuple(given["names"]),
        moments=np.array(obs),
    )
    call = Call(function="cfa", model=text, data=None, estimator="WLSMV", **options)
    thresholds = dict.fromkeys(options["ordered"], (1, 2, 3))
    table = build_table(call.read_model(), call.options(("",), thresholds))
    sample = Sample(tuple(items), (group,), 301, "lavaan's").subset(table.observed)
    fit = fit_table(table, Reading(sample, None, 301), call.read_method(), call)
    assert estimate_differences(fit, stored()[name], FIT) == []
    assert index_differences(fit, stored()[name], FIT, NAIVE) == []


def test_ordered_and_continuous_items_together() -> None:
    with pytest.warns(CategoriesAssumedWarning):
        fit = cfa(HS, rows("mixed"), ordered=ORDERED_OF_MIXED)
    assert fit.status.ok
    assert fit.table.ordered == tuple(ORDERED_OF_MIXED)
    assert fit.indices["df"] == stored()["mixed"]["fit"]["df"]
    theirs = stored()["mixed"]["estimates"]
    ours = {key(r.lhs, r.op, r.rhs, 1): r.est for r in fit.parameters().itertuples()}
    names = zip(theirs["lhs"], theirs["op"], theirs["rhs"], strict=True)
    assert [ours[key(*n, 1)] for n in names] == pytest.approx(theirs["est"], rel=0.05, abs=0.02)


def test_the_correction_of_the_baseline_weighs_groups() -> None:
    """Without the shares of the groups, as lavaan has it, our robust CFI is lavaan's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = cfa(HS, rows("ordered"), ordered=True, group="school")
    fitted, sample = fit._fitted, fit.sample
    baseline = fit_baseline(fitted.engine)
    one = categorical_robust(fitted, fit.indices["df"])
    zero = categorical_robust(baseline, fit.indices["baseline.df"])
    assert one is not None
    assert zero is not None
    traces = []
    for group in sample.groups:
        at = [k for k, name in enumerate(group.moment_names) if "~~" in name]
        traces.append(float(np.diag(np.asarray(group.acov))[at].sum()))
    scale = sample.n_obs / fitted.engine.n_effective
    assert zero.scaling_factor * zero.df == pytest.approx(scale * sum(traces), rel=1e-9)
    unweighted = scale * sum(t / w for t, w in zip(traces, sample.shares, strict=True))
    excess = one.chisq - one.scaling_factor * one.df
    assert 1.0 - excess / (zero.chisq - unweighted) == pytest.approx(
        stored()["ordered_groups"]["fit"]["cfi.robust"], rel=1e-5
    )


@pytest.mark.parametrize(
    ("case", "options", "restricted"),
    [
        ("wlsmv", {}, {"orthogonal": True}),
        (
            "wlsmv_groups",
            {"group": "school", "group_equal": ("loadings",)},
            {"group": "school", "group_equal": ("loadings", "thresholds", "intercepts")},
        ),
    ],
)
def test_difference_of_scaled_and_shifted_statistics(
    case: str, options: dict[str, Any], restricted: dict[str, Any]
) -> None:
    """Pitfall 4.17: Satorra (2000), never the difference of scaled statistics."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        larger = cfa(HS, rows("ordered"), ordered=True, **options)
        smaller = cfa(HS, rows("ordered"), ordered=True, **restricted)
    found, theirs = larger.compare(smaller), stored()["lrt"][case]
    assert found.method == "satorra.2000"
    assert found.chisq == pytest.approx(theirs["Chisq.diff"][1], rel=1e-4)
    assert found.df == theirs["Df.diff"][1]
    assert found.pvalue == pytest.approx(theirs["Pr..Chisq."][1], rel=1e-3, abs=1e-12)
    assert abs(found.chisq - (smaller.indices["chisq.scaled"] - larger.indices["chisq.scaled"])) > 1.0


# --------------------------------------------------------------------------- modification indices, residuals, scores
@pytest.mark.parametrize(
    ("case", "data", "options"),
    [
        ("mi_fiml", "missing", {"missing": "fiml"}),
        ("mi_mlr", "hs", {"estimator": "MLR"}),
        ("mi_metric", "hs", {"group": "school", "group_equal": ["loadings"]}),
        ("mi_ordered", "ordered", {"ordered": True}),
        ("mi_GLS", "hs", {"estimator": "GLS"}),
        ("mi_ULS", "hs", {"estimator": "ULS"}),
    ],
)
def test_modification_indices(case: str, data: str, options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CategoriesAssumedWarning)
        fit = cfa(HS, rows(data), **options)
    ours = {
        key(r.lhs, r.op, r.rhs, fit.table.groups.index(r.group) + 1): r for r in fit.modification_indices().itertuples()
    }
    theirs = stored()[case]
    for i, name in enumerate(theirs["lhs"]):
        where = key(name, theirs["op"][i], theirs["rhs"][i], theirs.get("group", [1] * 99)[i])
        mine = ours[where]
        assert mine.mi == pytest.approx(theirs["mi"][i], rel=5e-4), where
        assert mine.epc == pytest.approx(theirs["epc"][i], rel=5e-4), where
        assert mine.sepc_lv == pytest.approx(theirs["sepc.lv"][i], rel=5e-4), where
        assert mine.sepc_all == pytest.approx(theirs["sepc.all"][i], rel=5e-4), where


@pytest.mark.parametrize(("kind", "name"), [("standardized", "standardized"), ("cor.bollen", "bollen"), ("raw", "raw")])
def test_residuals(kind: Any, name: str) -> None:
    fit = cfa(HS, rows("hs"))
    table = fit.residuals(kind).set_index(["lhs", "rhs"])["residual"]
    theirs = stored()["residuals"][name]
    for i, first in enumerate(theirs["rows"]):
        for j in range(i):
            mine = (
                table[theirs["rows"][j], first]
                if (theirs["rows"][j], first) in table
                else table[first, theirs["rows"][j]]
            )
            assert mine == pytest.approx(theirs["values"][i][j], abs=1e-4)


def test_standard_errors_of_scores() -> None:
    fit = cfa(HS, rows("hs"))
    for method, name in (("regression", "scores_se"), ("bartlett", "scores_bartlett_se")):
        found = fit.scores(method=cast(Any, method), se=True)
        assert found.iloc[0, 3:].to_numpy(float) == pytest.approx(stored()[name], abs=1e-5)


@pytest.mark.parametrize(("method", "name"), [("regression", "scores_fiml"), ("bartlett", "scores_fiml_bartlett")])
def test_scores_of_incomplete_rows(method: Any, name: str) -> None:
    fit = cfa(HS, rows("missing"), missing="fiml")
    theirs = np.array(stored()[name]["values"], dtype=float)
    assert fit.scores(method=method).to_numpy()[: len(theirs)] == pytest.approx(theirs, abs=2e-5)


def test_difference_tests_of_robust_statistics() -> None:
    for estimator, case, method in (
        ("MLR", "mlr_2000", "satorra.2000"),
        ("MLM", "mlm_2001", "default"),
        ("MLM", "mlm_2000", "satorra.2000"),
    ):
        one = cfa(HS, rows("hs"), estimator=cast(Any, estimator))
        two = cfa(HS, rows("hs"), estimator=cast(Any, estimator), orthogonal=True)
        found = two.compare(one, method=cast(Any, method))
        assert found.chisq == pytest.approx(stored()["lrt"][case]["Chisq.diff"][1], rel=1e-5)


def test_a_bound_that_holds() -> None:
    """Estimates, indices and the missing standard error at the bound are lavaan's."""
    with pytest.warns(HeywoodWarning, match="bounds: a > 0.6"):
        fit = cfa(f"{FREE}a > 0.6\nb < 2", rows("hs"))
    assert fit.active == ("a > 0.6",)
    assert estimate_differences(fit, stored()["bounded"], FIT) == []
    assert index_differences(fit, stored()["bounded"], FIT) == []


def test_clusters_with_plain_maximum_likelihood() -> None:
    """lavaan scales by the original Yuan-Bentler factor here; ours is that of MLR, as with weights."""
    fit = cfa(HS, rows("hs"), cluster="cl")
    assert estimate_differences(fit, stored()["cluster"], FIT) == []
    assert fit.indices["chisq"] == pytest.approx(stored()["cluster"]["fit"]["chisq"], rel=1e-6)
    same = cfa(HS, rows("hs"), cluster="cl", estimator="MLR")
    assert fit.indices["chisq.scaled"] == pytest.approx(same.indices["chisq.scaled"], rel=1e-9)


# --------------------------------------------------------------------------- weights and clusters together with the rest
WEIGHTED: dict[str, tuple[str, dict[str, Any]]] = {
    "fiml": ("missing", {"weights": "w", "missing": "fiml"}),
    "fiml_mlr": ("missing", {"weights": "w", "missing": "fiml", "estimator": "MLR"}),
    "groups": ("hs", {"weights": "w", "group": "school"}),
    "groups_metric": ("hs", {"weights": "w", "group": "school", "group_equal": ("loadings",), "estimator": "MLR"}),
    "cluster": ("hs", {"weights": "w", "cluster": "cl"}),
    "cluster_groups": ("hs", {"cluster": "cl", "group": "school", "estimator": "MLR"}),
    "cluster_fiml_weights": ("missing", {"weights": "w", "cluster": "cl", "missing": "fiml", "estimator": "MLR"}),
}


@pytest.mark.parametrize("name", WEIGHTED)
def test_weights_and_clusters_with_missing_answers_and_groups(name: str) -> None:
    data, options = WEIGHTED[name]
    fit, theirs = cfa(HS, rows(data), **options), load_reference("cfa/weights")[name]
    assert estimate_differences(fit, theirs, FIT) == []
    without = frozenset({"gfi", "agfi", "pgfi"}) if data == "missing" else frozenset[str]()  # lavaan's ignore weights
    assert index_differences(fit, theirs, FIT, without) == []
