"""Whole solutions against psych, lavaan and factor_analyzer: loadings, factor correlations, fit, variance, complexity."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from relmeasure.factor.exploratory import efa
from relmeasure.factor.fit import rmsea_interval
from relmeasure.factor.solution import EFAResult
from relmeasure.numerics.criteria import make_criterion
from relmeasure.numerics.rotation import kaiser_weights, rotate
from relmeasure.responses.ordinal import polychoric
from tests.factor.references import MATRICES, aligned, floats, pair, stored, turned
from tests.support import load_reference

ROTATED_TOLERANCE = 1e-4
"""Loadings of psych's rotated solutions, whose optimiser stops at a gradient of 1e-5."""

FLAT_TOLERANCE = 2e-4
"""psych's geomin of 25 items: the criterion is flat, and its solution is above our minimum."""

VARIMAX_TOLERANCE = 2e-3
"""psych takes stats::varimax at its default eps = 1e-5; at eps = 1e-12 it agrees to 1e-5 (test_rotation)."""

FIT_TOLERANCE = 5e-5
"""Fit of psych's minres solutions, relative: their loadings stop 2e-5 short of the minimum."""

TIGHT_FIT_TOLERANCE = 1e-7
"""The discrepancy of maximum likelihood is flat at its minimum: psych's loadings, 4e-5 off, cost 4e-8 of it."""

LAVAAN_TOLERANCE = 2e-5
"""Loadings of lavaan::efa, whose rotation stops at a gradient of 1e-5."""

ANALYZER_TOLERANCE = 3e-5
"""factor_analyzer's extraction stops at L-BFGS's default; Thurstone's minimum is the flattest."""

PEER_TOLERANCE = 1e-6
"""scikit-learn's EM stops at a change of 1e-12 of the likelihood (seen: 3.4e-7 of a uniqueness)."""

ROTATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("none", {}),
    "varimax": ("varimax", {}),
    "quartimax": ("quartimax", {}),
    "promax": ("promax", {"metric": "normalized"}),
    "Promax": ("promax", {}),
    "oblimin": ("oblimin", {}),
    "quartimin": ("quartimin", {}),
    "geominT": ("geomin_orthogonal", {}),
    "geominQ": ("geomin", {}),
    "bifactor": ("bifactor", {}),
    "biquartimin": ("bifactor_oblique", {}),
}
"""psych's rotations by our names."""

BLOCKS = [
    (name, block)
    for name in ("hs3", "bfi5", "bfi5_poly", "thurstone3", "gti_rel3")
    for block in stored("solutions")[name]
]


def _solved(name: str, block: str) -> EFAResult:
    method, rotation = block.split("_")
    ours, options = ROTATIONS[rotation]
    matrix, m = MATRICES[name]
    result: EFAResult = efa(
        pair(matrix),
        m,
        method=method,  # type: ignore[arg-type]
        rotation=ours,  # type: ignore[arg-type]
        rotation_options=options,
        principal_axis_stop="psych",
        se=False,
    )
    return result


def _tolerance(name: str, block: str) -> float:
    rotation = block.split("_")[1]
    if rotation in ("varimax", "promax", "Promax"):
        return VARIMAX_TOLERANCE
    return FLAT_TOLERANCE if rotation == "geominQ" and name.startswith("bfi5") else ROTATED_TOLERANCE


# --------------------------------------------------------------------------- psych
@pytest.mark.parametrize(("name", "block"), [b for b in BLOCKS if not b[1].endswith("biquartimin")])
def test_loadings_and_what_follows_agree_with_psych(name: str, block: str) -> None:
    reference, result = stored("solutions")[name][block], _solved(name, block)
    tolerance = _tolerance(name, block)
    stored_loadings = floats(reference["loadings"])
    loadings, order, signs = aligned(result.loadings, stored_loadings)
    np.testing.assert_allclose(loadings, stored_loadings, rtol=0, atol=tolerance)
    structure = result.structure[:, order] * signs
    np.testing.assert_allclose(structure, floats(reference["structure"]), rtol=0, atol=tolerance)
    if "phi" in reference:
        np.testing.assert_allclose(turned(result.phi, order, signs), floats(reference["phi"]), rtol=0, atol=tolerance)
    np.testing.assert_allclose(result.complexity, reference["complexity"], rtol=0, atol=20 * tolerance)
    explained = np.array(result.variance["ss_loadings"])[order]
    np.testing.assert_allclose(explained, floats(reference["variance"])[0], rtol=0, atol=20 * tolerance)
    determinacy = result.score_weights("regression").determinacy[order] ** 2
    np.testing.assert_allclose(determinacy, reference["R2"], rtol=0, atol=20 * tolerance)


@pytest.mark.parametrize(("name", "block"), [b for b in BLOCKS if b[1].endswith("biquartimin")])
def test_psychs_oblique_bifactor_stops_above_our_minimum(name: str, block: str) -> None:
    result = _solved(name, block)
    theirs = floats(stored("solutions")[name][block]["loadings"])
    p, m = theirs.shape
    criterion = make_criterion("bifactor_oblique", p, m)
    values = [criterion.evaluate(np.roll(theirs, k, axis=1)[None])[0][0] for k in range(m)]
    assert result.rotation_details.criterion < min(values)


@pytest.mark.parametrize("method", ["minres", "ml", "pa"])
def test_bentlers_rotation_agrees_with_psych(method: Any) -> None:
    """Oblique, psych stops where the criterion is flat: its loadings are off, and its value is never below ours."""
    for rotation, block, tolerance in (
        ("bentler_orthogonal", "bentlerT", 2 * ROTATED_TOLERANCE),
        ("bentler", "bentlerQ", 5e-3),
    ):
        theirs = floats(stored("solutions_more")["hs3"][f"{method}_{block}"]["loadings"])
        result = efa(pair("hs"), 3, method=method, rotation=rotation, principal_axis_stop="psych", se=False)  # type: ignore[arg-type]
        np.testing.assert_allclose(aligned(result.loadings, theirs)[0], theirs, rtol=0, atol=tolerance)
        value = make_criterion(rotation, *theirs.shape).evaluate(theirs[None])[0][0]
        assert result.rotation_details.criterion <= value + 1e-7


@pytest.mark.parametrize("block", ["gls_none", "wls_none"])
def test_psychs_weighted_least_squares_are_no_minimum_of_the_published_function(block: str) -> None:
    """``F = tr((I - R^-1 Sigma)^2) / 2`` (Joreskog & Goldberger, 1972): .0821 and .0816 there, .0699 at its minimum."""
    solution = stored("solutions_more")["hs3"][block]
    R, p = pair("hs")[0], 9

    def lack(x: Any) -> float:
        L = x[:-p].reshape(p, 3)
        error = np.eye(p) - np.linalg.solve(R, L @ L.T + np.diag(x[-p:]))
        return 0.5 * float(np.trace(error @ error))

    start = np.r_[floats(solution["loadings"]).ravel(), solution["uniquenesses"]]
    assert minimize(lack, start, method="BFGS").fun < 0.07
    assert lack(start) > 0.08


@pytest.mark.parametrize("name", ["hs3", "thurstone3", "bfi5"])
@pytest.mark.parametrize("package", ["statsmodels", "scikit-learn"])
def test_maximum_likelihood_agrees_with_statsmodels_and_scikit_learn(name: str, package: str) -> None:
    """Reproduced correlations and uniquenesses, which no rotation changes."""
    matrix, m = MATRICES[name]
    result = efa(pair(matrix), m, method="ml", rotation="none", se=False)
    theirs = stored("python_peers")[name][package]
    off = ~np.eye(len(result.names), dtype=bool)
    common = result.unrotated @ result.unrotated.T
    np.testing.assert_allclose(common[off], floats(theirs["common"])[off], rtol=0, atol=PEER_TOLERANCE)
    np.testing.assert_allclose(result.uniquenesses, theirs["uniquenesses"], rtol=0, atol=PEER_TOLERANCE)


def test_polychorics_agree_with_ordinalcorr() -> None:
    codes = np.array(load_reference("efa/ordinal")["codes"], dtype=float)
    found = polychoric(codes, categories=[1, 2, 3, 4])
    np.testing.assert_allclose(found.correlation, stored("python_peers")["ordinalcorr"], rtol=0, atol=5e-6)


@pytest.mark.parametrize(("name", "block"), [b for b in BLOCKS if b[1].endswith("varimax")])
def test_psychs_varimax_is_never_below_our_minimum(name: str, block: str) -> None:
    theirs = floats(stored("solutions")[name][block]["loadings"])
    value = make_criterion("varimax", *theirs.shape).evaluate((theirs * kaiser_weights(theirs))[None])[0][0]
    ours = rotate(theirs, "varimax")
    assert ours.criterion <= value + 1e-13
    assert np.abs(aligned(ours.loadings, theirs)[0] - theirs).max() < VARIMAX_TOLERANCE


@pytest.mark.parametrize(("name", "block"), [b for b in BLOCKS if b[1].endswith("_none")])
def test_fit_agrees_with_psych(name: str, block: str) -> None:
    reference, result = stored("solutions")[name][block], _solved(name, block)
    fit = result.fit
    tight = not block.startswith("minres")
    rtol = TIGHT_FIT_TOLERANCE if tight else FIT_TOLERANCE
    df, n = fit["df"], fit["n_obs"]
    pairs = {
        "objective": "objective", "STATISTIC": "chisq_bartlett", "dof": "df", "null.chisq": "chisq_null",
        "null.dof": "df_null", "TLI": "tli", "CFI": "cfi", "BIC": "bic", "SABIC": "sabic", "EBIC": "bic_residual",
        "chi_empirical": "chisq_residual", "rms": "rmsr", "crms": "rmsr_corrected", "fit": "fit",
        "fit.off": "fit_off_diagonal",
    }  # fmt: skip
    # residual sums of maximum likelihood are not at their minimum: they follow the loadings' own 2e-5
    loose = {"EBIC", "chi_empirical", "rms", "crms", "fit", "fit.off"}
    for theirs, ours in pairs.items():
        scale = max(abs(reference[theirs]), reference["STATISTIC"] if "BIC" in theirs else 0.0)
        allowed = max(rtol, 2e-4 if theirs in loose and block.startswith("ml") else rtol) * scale
        assert fit[ours] == pytest.approx(reference[theirs], rel=0, abs=allowed), theirs
    assert fit["pvalue"] == pytest.approx(reference["PVAL"], rel=0.02, abs=1e-300)
    # psych's point estimate mixes N and N - 1; its interval has N - 1 as ours
    mixed = math.sqrt(max(fit["chisq"] / (df * n) - 1 / (n - 1), 0.0))
    assert mixed == pytest.approx(reference["RMSEA"]["RMSEA"], abs=1e-6)
    assert fit["rmsea_lower"] == pytest.approx(reference["RMSEA"]["lower"], abs=2e-6)
    assert fit["rmsea_upper"] == pytest.approx(reference["RMSEA"]["upper"], abs=2e-6)


def test_the_chisquare_of_factanal_is_the_bartlett_corrected_one() -> None:
    for name, block in (("hs3", "hs3"), ("thurstone3", "thurstone3")):
        reference = stored("solutions")["factanal"][block]
        matrix, m = MATRICES[name]
        fit = efa(pair(matrix), m, method="ml", rotation="none").fit
        assert fit["chisq_bartlett"] == pytest.approx(reference["STATISTIC"], abs=1e-6)
        assert fit["df"] == reference["dof"]


def test_promax_of_factanal() -> None:
    reference = floats(stored("solutions")["factanal"]["hs3_promax"]["loadings"])
    result = efa(pair("hs"), 3, method="ml", rotation="promax")
    np.testing.assert_allclose(aligned(result.loadings, reference)[0], reference, atol=VARIMAX_TOLERANCE)


def test_congruence_agrees_with_psych() -> None:
    reference = floats(stored("solutions")["fa_congruence"])
    first = efa(pair("hs"), 3, method="ml")
    second = efa(pair("hs"), 3, rotation="varimax")
    matrix = np.abs(first.congruence(second).matrix)
    np.testing.assert_allclose(np.sort(matrix.ravel()), np.sort(np.abs(reference).ravel()), atol=6e-3)


# --------------------------------------------------------------------------- lavaan
@pytest.mark.parametrize(("case", "rotation"), [("ml", "oblimin"), ("ml_geomin", "geomin")])
def test_maximum_likelihood_agrees_with_lavaan(case: str, rotation: Any) -> None:
    reference = load_reference("efa/ordinal")[case]
    result = efa(pair("hs"), 3, method="ml", rotation=rotation, chisq="likelihood_ratio")
    theirs = np.array(reference["loadings"])
    loadings, order, signs = aligned(result.loadings, theirs)
    np.testing.assert_allclose(loadings, theirs, atol=LAVAAN_TOLERANCE)
    phi = turned(result.phi, order, signs)[np.triu_indices(3, 1)]
    np.testing.assert_allclose(phi, reference["phi"], atol=LAVAAN_TOLERANCE)
    fit, theirs_fit = result.fit, reference["fit"]
    for name, ours in (
        ("chisq", "chisq"), ("df", "df"), ("baseline.chisq", "chisq_null"), ("cfi", "cfi"), ("tli", "tli"),
        ("rmsea", "rmsea"), ("srmr", "srmr"), ("chisq", "chisq_likelihood_ratio"),
    ):  # fmt: skip
        assert fit[ours] == pytest.approx(theirs_fit[name], rel=1e-7), name
    for name, ours in (("rmsea.ci.lower", "rmsea_lower"), ("rmsea.ci.upper", "rmsea_upper")):
        assert fit[ours] == pytest.approx(theirs_fit[name], abs=2e-6)


def test_stored_solutions_of_newer_lavaan() -> None:
    for name, rotation in (("hs3_geomin", "geomin"), ("hs3_oblimin", "oblimin")):
        block = stored("solutions")["lavaan_efa"][name]
        est = block["est"]
        rows = [k for k, op in enumerate(est["op"]) if op == "=~"]
        theirs = np.array([est["est.std"][k] for k in rows]).reshape(3, 9).T
        options = {"epsilon": 0.001} if rotation == "geomin" else {}
        result = efa(pair("hs"), 3, method="ml", rotation=rotation, rotation_options=options)  # type: ignore[arg-type]
        loadings = aligned(result.loadings, theirs)[0]
        np.testing.assert_allclose(loadings, theirs, atol=1e-4)
        assert result.fit["chisq_likelihood_ratio"] == pytest.approx(block["fit"]["chisq"], rel=1e-6)


def test_ordered_items_agree_with_lavaan() -> None:
    """Polychoric correlations, minres, and the mean-and-variance adjusted chi-square: lavaan's ULSMV."""
    stored_case = load_reference("efa/ordinal")
    reference = stored_case["ulsmv"]
    codes = np.array(stored_case["codes"], dtype=float)
    result = efa(codes, 3, ordered=True, categories=[1, 2, 3, 4], se=True)
    theirs = np.array(reference["loadings"])
    loadings, order, signs = aligned(result.loadings, theirs)
    np.testing.assert_allclose(loadings, theirs, atol=LAVAAN_TOLERANCE)
    np.testing.assert_allclose(
        turned(result.phi, order, signs)[np.triu_indices(3, 1)], reference["phi"], atol=LAVAAN_TOLERANCE
    )
    fit, expected = result.fit, reference["fit"]
    for name, ours in (
        ("chisq.scaled", "chisq"), ("chisq.scaled", "chisq_scaled"), ("pvalue.scaled", "pvalue"), ("df", "df"),
        ("baseline.chisq.scaled", "chisq_null"), ("rmsea.scaled", "rmsea"), ("rmsea.ci.upper.scaled", "rmsea_upper"),
        ("cfi.scaled", "cfi"), ("tli.scaled", "tli"), ("srmr", "srmr"),
    ):  # fmt: skip
        tolerance = 1e-4 if name == "srmr" else 1e-6
        assert fit[ours] == pytest.approx(expected[name], rel=0 if name == "srmr" else tolerance, abs=tolerance), name
    assert result.fit_driver == "mean-and-variance adjusted, polychoric"
    assert math.isnan(fit["bic"])


# --------------------------------------------------------------------------- factor_analyzer
ANALYZER = {"None": "none", "geomin_obl": "geomin"}
"""factor_analyzer's names of rotations where they are not ours."""


@pytest.mark.parametrize("key", [key for key in stored("factor_analyzer") if key != "meta"])
def test_factor_analyzer_agrees(key: str) -> None:
    name, method, rotation, normalize = key.split("|")
    reference = stored("factor_analyzer")[key]
    matrix, m = MATRICES[name]
    on = normalize == "default" and rotation != "None"
    result = efa(
        pair(matrix),
        m,
        method=method,  # type: ignore[arg-type]
        rotation=ANALYZER.get(rotation, rotation),  # type: ignore[arg-type]
        kaiser=on,
        rotation_options={"metric": "normalized" if on else "raw"} if rotation == "promax" else {},
        se=False,
    )
    theirs = floats(reference["loadings"])
    np.testing.assert_allclose(aligned(result.loadings, theirs)[0], theirs, rtol=0, atol=ANALYZER_TOLERANCE)
    if "uniquenesses" in reference:
        np.testing.assert_allclose(result.uniquenesses, reference["uniquenesses"], rtol=0, atol=ANALYZER_TOLERANCE)


# --------------------------------------------------------------------------- identities of fit
def test_no_degrees_of_freedom_give_no_test() -> None:
    R = np.full((3, 3), 0.5) + 0.5 * np.eye(3)
    result = efa((R, 100), 1)
    assert result.fit["df"] == 0
    assert math.isnan(result.fit["chisq"])
    assert math.isnan(result.fit["rmsea"])
    assert result.fit["srmr"] == pytest.approx(0.0, abs=1e-9)
    assert result.fit_driver == "no degrees of freedom"
    assert "No test of fit" in result.summary()


def test_adding_misfit_raises_every_index_of_misfit() -> None:
    R, n = pair("thurstone")
    good = efa((R, n), 3, method="ml").fit
    worse = efa((R, n), 1, method="ml").fit
    for name in ("chisq", "rmsea", "srmr", "bic", "objective"):
        assert worse[name] > good[name]
    for name in ("tli", "cfi", "fit"):
        assert worse[name] < good[name]


def test_the_driving_chisquare_is_named_and_the_other_kept() -> None:
    R, n = pair("hs")
    bartlett, ratio = efa((R, n), 3), efa((R, n), 3, chisq="likelihood_ratio")
    assert bartlett.fit["chisq"] == bartlett.fit["chisq_bartlett"]
    assert ratio.fit["chisq"] == ratio.fit["chisq_likelihood_ratio"] > bartlett.fit["chisq"]
    assert "Bartlett" in bartlett.fit_driver
    assert ratio.fit_driver == "N F"
    assert bartlett.fit["chisq_likelihood_ratio"] == ratio.fit["chisq"]


def test_the_rmsea_interval_inverts_the_noncentral_distribution() -> None:
    from scipy.special import chndtr

    lower, upper = rmsea_interval(60.0, 24, 300, 0.90)
    assert chndtr(60.0, 24, lower**2 * 24 * 300) == pytest.approx(0.95, abs=1e-9)
    assert chndtr(60.0, 24, upper**2 * 24 * 300) == pytest.approx(0.05, abs=1e-9)
    assert rmsea_interval(10.0, 24, 300, 0.90)[0] == 0.0
    assert all(math.isnan(bound) for bound in rmsea_interval(math.nan, 24, 300, 0.90))
