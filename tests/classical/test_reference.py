"""Every stored cell of eleven scales: alpha and its items, lambdas, split-halves, omega."""

from __future__ import annotations

import numpy as np
import pytest

from relmeasure.classical import AlphaEstimate, alpha, guttman, omega, split_half
from relmeasure.samplestats.moments import MomentSums
from tests.classical.stored import SCALES, complete, expected, having, numbers, pairwise, quietly, with_person_mean

CLOSED = 1e-10
"""Closed forms, relative: 15 digits were stored, and inverses lose a few."""

STOPPED = 1.5e-6
"""lavaan stops up to 1.4e-6 short of the optimum in a loading; its chi-square is the larger one (see CHISQ)."""

REFITTED = 1e-6
"""lavaan refitted from its own solution; absolute for loadings and coefficients."""

ERRORS = 5e-6
"""Standard errors, relative: they follow the loadings."""

CHISQ = 2e-7
"""A chi-square is flat at the optimum: a step of 1e-6 moves it by less than this."""

MBESS = 2e-8
"""MBESS computes alpha to eight digits."""

TOTAL = {
    "raw_alpha": "estimate",
    "std.alpha": "standardized",
    "G6(smc)": "lambda6",
    "average_r": "average_r",
    "S/N": "signal_to_noise",
    "ase": "se",
    "mean": "score_mean",
    "sd": "score_sd",
    "median_r": "median_r",
}
ITEM_STATS = {
    "n": "n",
    "raw.r": "item_total_r",
    "std.r": "item_total_r_std",
    "r.cor": "item_total_r_corrected",
    "r.drop": "item_rest_r",
    "mean": "mean",
    "sd": "sd",
}
ALPHA_DROP = {
    "raw_alpha": "alpha_if_dropped",
    "std.alpha": "alpha_std_if_dropped",
    "G6(smc)": "lambda6_if_dropped",
    "average_r": "average_r_if_dropped",
    "S/N": "signal_noise_if_dropped",
    "alpha se": "alpha_se_if_dropped",
    "var.r": "var_r_if_dropped",
    "med.r": "median_r_if_dropped",
}
PERSON_MEANS = {"mean", "sd", "raw.r"}
"""Cells of pairwise alpha that R takes from person means over the answered items, not from the pairwise matrices."""


def check_alpha(result: AlphaEstimate, block: dict[str, dict[str, object]], skip: set[str], per: float = 1.0) -> int:
    """Compare every cell; return how many. ``per`` is the factor of mean and sd."""
    cells = 0
    for theirs, ours in TOTAL.items():
        if theirs not in skip:
            value = getattr(result, ours) * (per if theirs in ("mean", "sd") else 1.0)
            np.testing.assert_allclose(value, numbers(block["total"][theirs])[0], rtol=CLOSED, err_msg=theirs)
            cells += 1
    for part, names in (("item_stats", ITEM_STATS), ("alpha_drop", ALPHA_DROP)):
        columns = block[part]["columns"]
        assert isinstance(columns, dict)
        for theirs, ours in names.items():
            if not (part == "item_stats" and theirs in skip):
                wanted = numbers(columns[theirs])
                np.testing.assert_allclose(numbers(result.item_table[ours]), wanted, rtol=CLOSED, err_msg=theirs)
                cells += len(wanted)
        assert set(columns) == set(names)
    feldt = block["feldt"]
    bounds = numbers([feldt["lower.ci"], feldt["alpha"], feldt["upper.ci"]])
    np.testing.assert_allclose([result.lower, result.estimate, result.upper], bounds, rtol=CLOSED)
    return cells + 3


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kind", ["alpha_complete", "alpha_sum_scores"])
def test_alpha_of_complete_rows(scale: str, kind: str) -> None:
    m = complete(scale)
    per = m.n_items if kind == "alpha_sum_scores" else 1.0
    cells = check_alpha(alpha(m), expected(scale)[kind], set(), per)
    assert cells == len(TOTAL) + m.n_items * (len(ITEM_STATS) + len(ALPHA_DROP)) + 3


@pytest.mark.parametrize("scale", having("alpha_pairwise"))
def test_alpha_of_pairwise_moments_with_all_rows_as_n(scale: str) -> None:
    with quietly():
        result = alpha(pairwise(scale), n_obs=expected(scale)["n"])
    complete_data = expected(scale)["n"] == expected(scale)["n_complete"]
    check_alpha(result, expected(scale)["alpha_pairwise"], set() if complete_data else PERSON_MEANS)


@pytest.mark.parametrize("scale", having("alpha_pairwise"))
def test_person_means_over_answered_items_as_one_column_more(scale: str) -> None:
    block, m = expected(scale)["alpha_pairwise"], with_person_mean(scale)
    np.testing.assert_allclose(m.mean[-1], block["total"]["mean"], rtol=CLOSED)
    np.testing.assert_allclose(np.sqrt(m.cov[-1, -1]), block["total"]["sd"], rtol=CLOSED)
    np.testing.assert_allclose(m.cor[-1, :-1], block["item_stats"]["columns"]["raw.r"], rtol=CLOSED)


@pytest.mark.parametrize("scale", SCALES)
def test_lambdas_on_correlations(scale: str) -> None:
    result = guttman(complete(scale))
    wanted = expected(scale)["guttman"]
    assert len(wanted) == (6 if "splitHalf" in expected(scale) else 5)
    for name, value in wanted.items():
        np.testing.assert_allclose(getattr(result, name.replace(".", "")), value, rtol=CLOSED, err_msg=name)


@pytest.mark.parametrize("scale", having("splitHalf"))
def test_split_halves_on_correlations(scale: str) -> None:
    result = split_half(complete(scale))
    wanted = expected(scale)["splitHalf"]
    ours = [result.maximum, result.minimum, result.mean, result.average_r]
    np.testing.assert_allclose(ours, [wanted[k] for k in ("maxrb", "minrb", "meanr", "av.r")], rtol=CLOSED)
    assert result.exhaustive


def check_omega(m: MomentSums, wanted: dict[str, object], tolerance: float) -> None:
    with quietly():
        implied, observed = omega(m), omega(m, denominator="observed")
    ours = [implied.estimate, implied.lower, implied.upper, implied.average_variance_extracted]
    bounds = wanted["ci_delta"]
    assert isinstance(bounds, list)
    theirs = [wanted["omega"], *bounds, numbers(wanted["AVE"])[0]]
    np.testing.assert_allclose(ours, np.array(theirs, dtype=float), rtol=0, atol=tolerance)
    np.testing.assert_allclose(implied.se, numbers(wanted["se_delta"])[0], rtol=ERRORS)
    # the squared sum of eleven loadings adds up what each lacks
    np.testing.assert_allclose(observed.estimate, numbers(wanted["compRelSEM"])[0], rtol=0, atol=1.5 * tolerance)
    np.testing.assert_allclose(implied.estimate, numbers(wanted["compRelSEM_obsvarF"])[0], rtol=0, atol=tolerance)
    loadings = numbers(wanted["loadings"])
    np.testing.assert_allclose(
        implied.item_table["loading"], loadings * np.sign(loadings.sum()), rtol=0, atol=tolerance
    )


@pytest.mark.parametrize("scale", having("cfa_omega_ML"))
def test_omega_as_lavaan_stored_it(scale: str) -> None:
    wanted = expected(scale)["cfa_omega_ML"]
    check_omega(complete(scale), wanted, STOPPED)
    with quietly():
        ours = omega(complete(scale))
    assert ours.chisq <= wanted["fit"]["chisq"] + 1e-9, "ours is the better optimum"
    np.testing.assert_allclose(ours.chisq, wanted["fit"]["chisq"], atol=CHISQ, rtol=CLOSED)
    assert ours.df == wanted["fit"]["df"]


@pytest.mark.parametrize("scale", SCALES)
def test_omega_as_lavaan_refitted_it(scale: str) -> None:
    wanted = expected(scale)["cfa_omega_tight"]
    check_omega(complete(scale), wanted, REFITTED)
    with quietly():
        ours = omega(complete(scale))
    np.testing.assert_allclose(ours.item_table["uniqueness"], wanted["uniquenesses"], rtol=0, atol=REFITTED)
    for name, theirs in (("loading_se", "loadings_se"), ("uniqueness_se", "uniquenesses_se")):
        np.testing.assert_allclose(ours.item_table[name], wanted[theirs], rtol=ERRORS, err_msg=name)
    np.testing.assert_allclose(ours.chisq, wanted["chisq"], atol=CHISQ, rtol=CLOSED)
    np.testing.assert_allclose([ours.pvalue], numbers(wanted["pvalue"]), atol=1e-9)


@pytest.mark.parametrize("scale", having("mbess_alpha_feldt"))
def test_feldt_interval_as_mbess_has_it(scale: str) -> None:
    wanted, ours = expected(scale)["mbess_alpha_feldt"], alpha(complete(scale))
    bounds = [wanted["est"], wanted["ci.lower"], wanted["ci.upper"]]
    np.testing.assert_allclose([ours.estimate, ours.lower, ours.upper], bounds, rtol=MBESS)


@pytest.mark.parametrize("scale", having("mbess_omega"))
def test_omega_as_mbess_has_it(scale: str) -> None:
    """The standard error of MBESS is off lavaan's by up to 6e-4 (nine items of three dimensions); the estimate agrees."""
    wanted = expected(scale)["mbess_omega"]
    with quietly():
        ours = omega(complete(scale))
    np.testing.assert_allclose(ours.estimate, wanted["est"], rtol=STOPPED)
    np.testing.assert_allclose(ours.se, wanted["se"], atol=1e-5 if scale in ("bfi_A", "bfi_C", "bfi_E") else 7e-4)
