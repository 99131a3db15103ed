"""Every stored one-way and agreement value of R, from the rows: aov, multilevel, lme4 (files multilevel*.json).

Not compared: ``harmonic``, ``p`` and ``ranova_lr`` (nothing here reports them), ``waba_bh`` (within-and-between analysis is
not offered), ``exam_lmer`` and ``gti_contextual_lmer`` (random slopes). Two-level factor models have tests of their own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relmeasure.multilevel import agreement, icc

CLOSED_FORM = 1e-9
"""Relative: R prints 15 digits, sums of thousands of rows lose a few."""
OPTIMISED = 1e-5
"""Relative: lme4 leaves the components about 1e-6 apart."""

pytestmark = pytest.mark.shared

ROWS = {
    "bh_HRS": ("bh1996", "HRS", "GRP"),
    "bh_LEAD": ("bh1996", "LEAD", "GRP"),
    "bh_COHES": ("bh1996", "COHES", "GRP"),
    "bh_WBEING": ("bh1996", "WBEING", "GRP"),
    "gti_SQB13A": ("gti_students_complete", "SQB13A", "class"),
    "gti_rel_mean": ("gti_students_complete", "rel", "class"),
    "timss_ASBM03B": ("timss2011_aut", "ASBM03B", "idclass"),
    "demo_y1": ("Demo.twolevel", "y1", "cluster"),
    "lq_LEAD05": ("lq2002", "LEAD05", "COMPID"),
}
"""Case: data set, variable, cluster column."""


def _read(folder: Path, name: str) -> Any:
    import pandas as pd

    data = pd.read_csv(folder / "data" / name / "data.csv", low_memory=False)
    if name == "gti_students_complete":
        data["rel"] = data[[f"SQB13{letter}" for letter in "ABCDE"]].mean(axis=1)
    return data


@pytest.fixture(scope="module")
def stored(shared_reference: Path) -> Any:
    """The blocks of R."""
    return json.loads((shared_reference / "values" / "multilevel.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", ROWS)
@pytest.mark.filterwarnings("ignore::relmeasure.RelmeasureWarning")
def test_every_cell_of_the_intraclass_correlations(stored: Any, shared_reference: Path, case: str) -> None:
    """Sizes, mean squares, both ICCs with their F intervals, components, intercepts and likelihoods."""
    name, variable, cluster = ROWS[case]
    rows = _read(shared_reference, name)[[variable, cluster]].dropna()
    expected = stored["icc"][case]
    anova = icc(rows, cluster=cluster, method="anova")
    exact = {
        "n": anova.n_obs,
        "groups": anova.n_clusters,
        "mean_size": anova.mean_size,
        "k0": anova.k0,
        "MSW": anova.sigma2,
        "MSB": anova.sigma2 + anova.k0 * anova.tau2,
        "F": 1 / (1 - anova.icc2),
        "multilevel_ICC1": anova.icc1_mean_size,
        "multilevel_ICC2": anova.icc2,
        "icc1_k0": anova.icc1,
    }
    for cell, value in exact.items():
        assert value == pytest.approx(expected[cell], rel=CLOSED_FORM), cell
    assert (anova.icc1_lower, anova.icc1_upper) == pytest.approx(expected["ci_F_k0"], rel=1e-7)
    assert (anova.icc2_lower, anova.icc2_upper) == pytest.approx(expected["icc2_ci"], rel=1e-7)
    reml, ml = icc(rows, cluster=cluster), icc(rows, cluster=cluster, method="ml")
    for result, block in ((reml, expected["reml"]), (ml, expected["ml"])):
        found = {"tau2": result.tau2, "sigma2": result.sigma2, "icc1": result.icc1, "intercept": result.mu}
        assert found == pytest.approx({cell: block[cell] for cell in found}, rel=OPTIMISED)
    assert reml.icc2 == pytest.approx(expected["reml"]["icc2_meansize"], rel=OPTIMISED)
    assert reml.mu_se == pytest.approx(expected["reml"]["se"], rel=OPTIMISED)
    assert reml.deviance == pytest.approx(expected["reml"]["reml_deviance"], rel=CLOSED_FORM)
    assert ml.deviance == pytest.approx(-2 * expected["ml"]["logLik"], rel=CLOSED_FORM)


def _first(result: Any, column: str, block: Any) -> None:
    """The first twenty groups that R printed."""
    first = block.get("first20", block)
    name = next(key for key in first if key not in {"grpid", "gsize"})
    found = dict(zip(result.table["cluster"], result.table[column], strict=True))
    assert [found[group] for group in first["grpid"]] == pytest.approx(first[name], abs=1e-10)


def test_every_cell_of_agreement(stored: Any, shared_reference: Path) -> None:
    """rwg, rwg(j), Lindell's version, AD and awg on three data sets: first groups, means, medians, quartiles."""
    cells = stored["rwg"]
    work = _read(shared_reference, "bh1996")
    hours, lead = (
        agreement(work[[name, "GRP"]], cluster="GRP", minimum=0, maximum=24, null=2.0) for name in ("HRS", "LEAD")
    )
    _first(hours, "rwg", cells["rwg_bh_HRS_first20"])
    rwg = np.array(lead.table["rwg"])
    assert len(rwg) == cells["rwg_bh_LEAD_all"]["n"]
    assert (rwg.mean(), np.median(rwg)) == pytest.approx([cells["rwg_bh_LEAD_all"][k] for k in ("mean", "median")])
    assert np.quantile(rwg, [0, 0.25, 0.5, 0.75, 1]) == pytest.approx(cells["rwg_bh_LEAD_all"]["q"])
    leaders = _read(shared_reference, "lq2002")
    items = cells["lq_items"]
    several = agreement(leaders[[*items, "COMPID"]], cluster="COMPID", minimum=1, maximum=5)
    one = agreement(leaders[[items[0], "COMPID"]], cluster="COMPID", minimum=1, maximum=5)
    pupils = _read(shared_reference, "gti_students_complete")
    names = [f"SQB13{letter}" for letter in "ABCDE"]
    relation = agreement(pupils[[*names, "class"]], cluster="class", minimum=1, maximum=4)
    for block, column, result in (
        ("rwg.j_lq", "rwg_j", several),
        ("rwg.j.lindell_lq", "rwg_j_lindell", several),
        ("awg_lq_multi", "awg", several),
        ("ad.m_lq_multi", "ad_median", several),
        ("awg_lq_item1", "awg", one),
        ("ad.m_lq", "ad_mean", one),
        ("gti_rwgj_rel", "rwg_j", relation),
    ):
        _first(result, column, cells[block])
        assert np.nanmean(result.table[column]) == pytest.approx(cells[block]["mean"], abs=1e-10), block
        if "median" in cells[block]:
            assert np.nanmedian(result.table[column]) == pytest.approx(cells[block]["median"], abs=1e-10), block


def test_every_item_of_mult_icc(stored: Any, shared_reference: Path) -> None:
    """multilevel::mult.icc goes by nlme's REML, at the mean size."""
    leaders = _read(shared_reference, "lq2002")
    block = stored["rwg"]["mult.icc_lq"]
    for name, icc1, icc2 in zip(block["Variable"], block["ICC1"], block["ICC2"], strict=True):
        found = icc(leaders[[name, "COMPID"]], cluster="COMPID")
        assert found.icc1 == pytest.approx(icc1, rel=1e-4), name
        assert found.icc2 == pytest.approx(icc2, rel=1e-4), name
