"""What must hold for every sample: saturated models, order of items, markers, units, misfit."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from relmeasure.structural import StructuralFit, cfa, sem
from relmeasure.structural.estimation.method import Estimator
from tests.structural.models import NAMES, incomplete, simulated
from tests.structural.reference import frame, model

SAME = 1e-8
"""Relative difference of numbers that are equal but for rounding at two equivalent minima."""

TWO = "f =~ y1 + y2 + y3 + y4\ng =~ y5 + y6 + y7 + y8"


def data(rows: np.ndarray[Any, Any] | None = None) -> Any:
    import pandas as pd

    return pd.DataFrame(simulated() if rows is None else rows, columns=list(NAMES))


def quiet(*args: Any, **options: Any) -> StructuralFit:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cfa(*args, **options)


# --------------------------------------------------------------------------- saturated models
SATURATED = {
    "three items": "f =~ y1 + y2 + y3",
    "all covariances": "y1 ~~ y1 + y2 + y3\ny2 ~~ y2 + y3\ny3 ~~ y3",
    "regression": "y3 ~ y1 + y2",
    "regressions and residual covariance": "y3 ~ y1 + y2\ny4 ~ y1 + y2",
}


@pytest.mark.parametrize("estimator", ["ML", "MLM", "MLR", "GLS", "ULS", "WLS"])
@pytest.mark.parametrize("name", SATURATED)
def test_a_saturated_model_fits_exactly(name: str, estimator: Estimator) -> None:
    fit = sem(SATURATED[name], data(), estimator=estimator)
    found = fit.fit_measures()
    assert found["df"] == 0
    assert found["chisq"] == pytest.approx(0.0, abs=1e-8)
    assert np.isnan(found["pvalue"])
    assert (found["cfi"], found["rmsea"], found["srmr"]) == pytest.approx((1.0, 0.0, 0.0), abs=1e-6)
    if "logl" in found:
        assert found["logl"] == pytest.approx(found["unrestricted.logl"], rel=1e-12)


def test_a_saturated_model_of_incomplete_rows() -> None:
    fit = quiet("f =~ y1 + y2 + y3", data(incomplete()), missing="fiml")
    assert fit.fit_measures("chisq")["chisq"] == pytest.approx(0.0, abs=1e-6)


def test_full_information_equals_maximum_likelihood_without_missing_answers() -> None:
    one, other = cfa(TWO, data(), mean_structure=True), cfa(TWO, data(), missing="fiml")
    assert other.x == pytest.approx(one.x, rel=1e-6, abs=1e-8)
    for name in ("chisq", "logl", "cfi", "rmsea", "aic"):
        assert other.indices[name] == pytest.approx(one.indices[name], rel=1e-7)
    observed = cfa(TWO, data(), mean_structure=True, information="observed")
    assert other.parameters()["se"].to_numpy() == pytest.approx(observed.parameters()["se"].to_numpy(), rel=1e-5)


def test_robust_chi_square_is_about_the_plain_one_for_normal_data() -> None:
    for estimator in ("MLM", "MLR"):
        found = cfa(TWO, data(), estimator=estimator).fit_measures()
        assert found["chisq.scaling.factor"] == pytest.approx(1.0, abs=0.1)


# --------------------------------------------------------------------------- what must not matter
def test_the_marker_does_not_change_the_fit() -> None:
    """Pitfall 4.19: the same optimum whatever item sets the scale."""
    fits = [
        cfa(TWO, data()),
        cfa("f =~ y3 + y1 + y2 + y4\ng =~ y8 + y5 + y6 + y7", data()),
        cfa("f =~ NA*y1 + y2 + 2*y3 + y4\ng =~ NA*y5 + y6 + 0.3*y7 + y8", data()),
        cfa(TWO, data(), std_lv=True),
    ]
    for other in fits[1:]:
        for name in ("chisq", "cfi", "rmsea", "srmr", "aic", "bic", "gfi"):
            assert other.indices[name] == pytest.approx(fits[0].indices[name], rel=SAME), name
    standard = [
        {(r.lhs, r.op, r.rhs): r.std_all for r in fit.parameters(standardized=True).itertuples()} for fit in fits
    ]
    for other_values in standard[1:]:
        for key, value in standard[0].items():
            assert other_values[key] == pytest.approx(value, rel=1e-6, abs=1e-8), key


@settings(max_examples=10, deadline=None)
@given(st.permutations(list(NAMES)), st.integers(0, 2**31), st.sampled_from(["ML", "MLR", "GLS"]))
def test_the_order_of_columns_and_rows_does_not_matter(order: list[str], seed: int, estimator: Estimator) -> None:
    plain = cfa(TWO, data(), estimator=estimator)
    shuffled = data()[order].sample(frac=1.0, random_state=seed % 2**31)
    other = cfa(TWO, shuffled, estimator=estimator)
    for name, value in plain.indices.items():
        assert other.indices[name] == pytest.approx(value, rel=1e-7, abs=1e-9, nan_ok=True), name
    assert other.parameters()["se"].to_numpy() == pytest.approx(plain.parameters()["se"].to_numpy(), rel=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.floats(0.01, 100.0), min_size=8, max_size=8), st.lists(st.booleans(), min_size=8, max_size=8))
@example([1.0, 1.0, 1.0, 1.0, 0.01, 77.0, 1.0, 1.0], [False] * 8)  # variances a hundred million times apart
@example([1e-3, 1.0, 1.0, 1e3, 1.0, 1.0, 1.0, 1.0], [False] * 8)
def test_units_and_reversals_do_not_matter(scales: list[float], turned: list[bool]) -> None:
    plain = cfa(TWO, data())
    factor = np.array(scales) * np.where(turned, -1.0, 1.0)
    other = cfa(TWO, data(simulated() * factor + 7.0))
    for name in ("chisq", "cfi", "rmsea", "srmr", "gfi"):
        assert other.indices[name] == pytest.approx(plain.indices[name], rel=1e-6)
    one, two = (fit.parameters(standardized=True)["std_all"].abs().to_numpy() for fit in (plain, other))
    assert two == pytest.approx(one, rel=1e-5, abs=1e-7)


def test_the_order_of_groups_does_not_matter() -> None:
    hs = frame("HolzingerSwineford1939")
    one = cfa(model("hs"), hs, group="school", group_equal=["loadings", "intercepts"])
    two = cfa(model("hs"), hs.iloc[::-1], group="school", group_equal=["loadings", "intercepts"])
    assert one.table.groups == tuple(reversed(two.table.groups)) == ("Pasteur", "Grant-White")
    for name, value in one.indices.items():
        assert two.indices[name] == pytest.approx(value, rel=1e-6, abs=1e-8), name


def test_equal_weights_change_no_estimate() -> None:
    plain = cfa(TWO, data(), estimator="MLR")
    weighed = cfa(TWO, data(), weights=np.full(300, 2.5), estimator="MLR")
    assert weighed.x == pytest.approx(plain.x, rel=1e-9)
    assert weighed.indices["chisq.scaled"] == pytest.approx(plain.indices["chisq.scaled"], rel=1e-9)


def test_rows_of_one_are_clusters() -> None:
    """One-row clusters give the robust errors, but for the factor g / (g - 1)."""
    plain = cfa(TWO, data(), estimator="MLR", mean_structure=True)
    single = cfa(TWO, data(), cluster=np.arange(300), estimator="MLR")
    ratio = single.parameters()["se"] / plain.parameters()["se"]
    assert ratio.dropna().to_numpy() == pytest.approx(np.sqrt(300 / 299), rel=1e-6)


# --------------------------------------------------------------------------- misfit
@pytest.mark.parametrize("estimator", ["ML", "MLR"])
def test_misfit_raises_aic(estimator: Estimator) -> None:
    """Pitfall 4.18: AIC and BIC come from the log-likelihood, so that a wrong model has larger ones."""
    right = cfa(TWO, data(), estimator=estimator).indices
    wrong = quiet("f =~ y1 + y2 + y5 + y6\ng =~ y3 + y4 + y7 + y8", data(), estimator=estimator).indices
    assert wrong["chisq"] > right["chisq"] + 20
    for name in ("aic", "bic", "bic2"):
        assert wrong[name] > right[name] + 10
    assert wrong["logl"] < right["logl"]
    assert wrong["unrestricted.logl"] == pytest.approx(right["unrestricted.logl"])


@pytest.mark.parametrize("estimator", ["GLS", "WLS", "ULS", "DWLS"])
def test_no_likelihood_no_aic(estimator: Estimator) -> None:
    """Pitfall 4.18: an index that is not defined is absent."""
    assert not {"aic", "bic", "logl"} & set(cfa(TWO, data(), estimator=estimator).indices)


def test_chi_square_is_twice_the_difference_of_log_likelihoods() -> None:
    found = cfa(TWO, data()).indices
    assert found["chisq"] == pytest.approx(2 * (found["unrestricted.logl"] - found["logl"]), rel=1e-9)
    assert found["aic"] == pytest.approx(-2 * found["logl"] + 2 * found["npar"])


def test_likelihood_by_the_textbook() -> None:
    """The sum over rows of the normal log-density at the implied moments."""
    fit = cfa(TWO, data(), mean_structure=True)
    implied = fit.implied()
    rows = simulated()[:, [NAMES.index(v) for v in fit.table.observed]]
    d = rows - implied["mean"]
    log_density = -0.5 * (
        8 * np.log(2 * np.pi)
        + np.linalg.slogdet(implied["cov"])[1]
        + ((d @ np.linalg.inv(implied["cov"])) * d).sum(axis=1)
    )
    assert fit.indices["logl"] == pytest.approx(log_density.sum(), rel=1e-12)
