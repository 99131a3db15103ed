"""What a fitted model says beside its estimates: modification indices, residuals, scores, reliability, comparisons."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest

import relmeasure as rm
from relmeasure.exceptions import ColumnNotFoundError, OptionError, RelmeasureError, UnsupportedDataError
from relmeasure.structural import StructuralFit, cfa, sem
from tests.structural.reference import block, frame, model

HS = model("hs")
RELATIVE = 1e-4
"""lavaan's own gradient at its solution leaves the derived numbers this far apart."""
ITEMS = [f"x{k}" for k in range(1, 10)]


@pytest.fixture(scope="module")
def fit() -> StructuralFit:
    """The three-factor model of Holzinger and Swineford."""
    return cfa(HS, frame("HolzingerSwineford1939"))


def test_modification_indices_and_expected_changes(fit: StructuralFit) -> None:
    """The ten largest of lavaan, with expected parameter change, raw and standardised."""
    stored, found = block("hs_ml")["modindices"], fit.modification_indices()
    table = {(r.lhs, r.op, r.rhs): r for r in found.itertuples()}
    for k, key in enumerate(zip(stored["lhs"], stored["op"], stored["rhs"], strict=True)):
        row = table[key]
        assert row.mi == pytest.approx(stored["mi"][k], rel=RELATIVE)
        assert row.epc == pytest.approx(stored["epc"][k], rel=RELATIVE)
        assert row.sepc_all == pytest.approx(stored["sepc.all"][k], rel=RELATIVE)
    assert (found["mi"].diff().dropna() <= 0).all()
    assert (fit.modification_indices(minimum=10)["mi"] >= 10).all()


@pytest.mark.parametrize(("kind", "stored"), [("cor.bollen", "resid_cor"), ("normalized", "resid_normalized")])
def test_residuals(fit: StructuralFit, kind: Any, stored: str) -> None:
    """Correlation and normalised residuals, every cell."""
    expected = block("hs_ml")[stored]
    for row in fit.residuals(kind).itertuples():
        if row.op == "~~":
            value = expected["values"][expected["rows"].index(row.lhs)][expected["cols"].index(row.rhs)]
            assert row.residual == pytest.approx(value, abs=2e-5)


def test_implied_moments(fit: StructuralFit) -> None:
    """The covariance that the model implies."""
    expected = np.array(block("hs_ml")["implied"]["values"])
    np.testing.assert_allclose(fit.implied()["cov"], expected, atol=2e-5)


@pytest.mark.parametrize("method", ["regression", "Bartlett"])
def test_factor_scores(fit: StructuralFit, method: Any) -> None:
    """Regression and Bartlett scores of the first persons."""
    stored = {name.lower(): table for name, table in block("hs_ml")["scores"].items()}
    expected = np.array(stored[method.lower()]["values"], dtype=float)
    found = fit.scores(method=method.lower()).to_numpy()[: len(expected)]
    np.testing.assert_allclose(found, expected, atol=5e-5)


def test_scores_of_other_people_and_their_errors(fit: StructuralFit) -> None:
    """The same persons handed in again get the same scores; standard errors beside them; an absent item is named."""
    data = frame("HolzingerSwineford1939")
    np.testing.assert_allclose(fit.scores(data).to_numpy(), fit.scores().to_numpy(), atol=1e-10)
    assert any("se" in column for column in fit.scores(se=True).columns)
    with pytest.raises(ColumnNotFoundError, match="x1"):
        fit.scores(data=data[ITEMS[1:]])
    with pytest.raises(OptionError):
        fit.scores(method="thurstone")  # type: ignore[arg-type]


def test_reliability_from_the_fit(fit: StructuralFit) -> None:
    """Omega over both denominators and average variance extracted, as semTools gives them; HTMT2."""
    table = fit.reliability().set_index("factor")
    observed = {"visual": 0.61200584388904, "textual": 0.885062452892329, "speed": 0.685843516015131}
    ave = {"visual": 0.370559252221542, "textual": 0.721017648543913, "speed": 0.424489367235672}
    for factor in observed:
        assert table.loc[factor, "omega_observed"] == pytest.approx(observed[factor], abs=2e-5)
        assert table.loc[factor, "ave"] == pytest.approx(ave[factor], abs=2e-5)
        assert 0 < table.loc[factor, "omega_implied"] < 1
    ratios = fit.htmt()["htmt"].to_list()
    assert ratios[:2] == pytest.approx([0.384088563919692, 0.386772930478728], abs=1e-9)
    assert fit.htmt(geometric=False)["htmt"].to_list()[0] == pytest.approx(0.424323042412548, abs=1e-9)
    assert fit.determinacy().shape[0] == 3


@pytest.mark.parametrize(
    ("estimator", "method", "stored"),
    [("ML", "default", "ML"), ("MLR", "default", "MLR_SB2001"), ("MLR", "satorra.bentler.2010", "MLR_SB2010")],
)
def test_nested_models(estimator: Any, method: Any, stored: str) -> None:
    """Orthogonal factors against correlated ones: plain and scaled difference tests, never a difference of scaled."""
    data = frame("HolzingerSwineford1939")
    larger, smaller = (cfa(HS, data, estimator=estimator, orthogonal=orthogonal) for orthogonal in (False, True))
    expected = block("hs_anova_nested")[stored]
    found = larger.compare(smaller, method=method)
    assert found.df == expected["Df.diff"][1]
    assert found.chisq == pytest.approx(expected["Chisq.diff"][1], rel=RELATIVE)
    assert found.pvalue == pytest.approx(expected["Pr..Chisq."][1], rel=1e-2)
    if estimator == "MLR":
        naive = smaller.fit_measures()["chisq.scaled"] - larger.fit_measures()["chisq.scaled"]
        assert abs(found.chisq - naive) > 0.1


def test_more_misfit_raises_aic(fit: StructuralFit) -> None:
    """Pitfall 4.18: taking away what the data need makes AIC larger, chi-square too."""
    worse = cfa("g =~ " + " + ".join(ITEMS), frame("HolzingerSwineford1939"))
    for index in ("aic", "bic", "chisq"):
        assert worse.fit_measures()[index] > fit.fit_measures()[index]


def test_saturated_model_fits_exactly() -> None:
    """Chi-square 0 with 0 degrees of freedom."""
    found = cfa("f =~ x1 + x2 + x3", frame("HolzingerSwineford1939")).fit_measures()
    assert found["df"] == 0
    assert found["chisq"] == pytest.approx(0.0, abs=1e-6)


def test_item_order_and_marker_do_not_change_fit(fit: StructuralFit) -> None:
    """Pitfall 4.19: another marker, unit variances, other order: the same chi-square and standardised loadings."""
    turned = cfa("speed =~ x9 + x8 + x7\ntextual =~ x6+x5+x4\nvisual =~ x3+x2+x1", frame("HolzingerSwineford1939"))
    unit = cfa(HS, frame("HolzingerSwineford1939"), std_lv=True)
    for other in (turned, unit):
        assert other.fit_measures()["chisq"] == pytest.approx(fit.fit_measures()["chisq"], rel=1e-8)
        mine, theirs = (
            f.parameters(standardized=True).query("op == '=~'").set_index(["lhs", "rhs"])["std_all"].sort_index()
            for f in (fit, other)
        )
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_indirect_effects_are_defined_with_their_errors() -> None:
    """``:=`` by the delta method: the product of two paths, and Sobel's standard error."""
    text = "ind60 =~ x1+x2+x3\ndem60 =~ y1+y2+y3+y4\ndem65 =~ y5+y6+y7+y8\n"
    text += "dem60 ~ a*ind60\ndem65 ~ b*dem60 + c*ind60\nindirect := a*b"
    table = sem(text, frame("PoliticalDemocracy")).parameters().set_index("label")
    a, b, product = table.loc["a"], table.loc["b"], table.loc["indirect"]
    assert product["est"] == pytest.approx(a["est"] * b["est"], rel=1e-9)
    assert product["se"] > 0


def test_printing_and_round_trip(fit: StructuralFit) -> None:
    """A summary for people; dict and pickle keep the numbers."""
    text = fit.summary()
    for part in ("chi-square(24) = 85.306", "cfi = 0.931", "Loadings", "visual", "rmsea = 0.092 [0.071, 0.114]"):
        assert part in text
    assert pickle.loads(pickle.dumps(fit)).fit_measures() == fit.fit_measures()
    restored = StructuralFit.from_dict(json.loads(json.dumps(fit.to_dict(), allow_nan=False)))
    assert restored.fit_measures()["chisq"] == pytest.approx(fit.fit_measures()["chisq"])


@pytest.mark.parametrize(
    "text",
    [
        "visual = x1 + x2",
        "visual =~ x1 + + x2",
        "visual =~",
        "visual =~ x1 + x2 + nowhere",
        "visual =~ x1 + x2 + x3\nvisual ~~ 2*visual*x1",
        "x1 ~~ x1 +",
        "f =~ NA*x1 + NA*x2 + NA*x3",
        "",
    ],
)
def test_models_that_cannot_be_read_or_fitted_are_refused(text: str) -> None:
    """Syntax, absent columns, nothing to fit, a scale that is not set: a typed error or a status that says so."""
    try:
        with np.errstate(all="ignore"):
            found = cfa(text, frame("HolzingerSwineford1939"), std_lv=False, auto=True)
    except (RelmeasureError, UserWarning):
        return
    assert not found.status.ok


def test_a_syntax_error_points_at_its_place() -> None:
    """Line and column, with a caret."""
    with pytest.raises(RelmeasureError, match="Line 2, column 17"):
        cfa("visual =~ x1 + x2 + x3\ntextual =~ x4 + * x5", frame("HolzingerSwineford1939"))


def test_an_instrument_declares_its_items_ordered() -> None:
    instrument = rm.load_instrument("relationship-student")
    answers = rm.simulate(instrument, n_clusters=20, cluster_size=20, icc=0.1, rng=4)
    fit = cfa(instrument, answers, estimator="WLSMV", scales=["care"])
    assert fit.equals(cfa(instrument, answers, estimator="WLSMV", scales=["care"], ordered=True))
    text = fit.summary()
    assert "chi-square(9) = " in text
    assert "no p-value: see the scaled test" in text
    assert "Intercepts: all fixed at 0" in text
    with pytest.raises(UnsupportedDataError, match="ordered="):
        cfa("care =~ care_1 + care_2 + care_3 + care_4", answers, estimator="WLSMV")
