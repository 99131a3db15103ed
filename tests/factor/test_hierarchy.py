"""A general factor above correlated ones: psych's Schmid-Leiman, identities of omega and ECV, what is not identified."""

from __future__ import annotations

import numpy as np
import pytest

from relmeasure.exceptions import EstimationError, TooFewItemsError
from relmeasure.factor.exploratory import efa
from relmeasure.factor.hierarchy import (
    SchmidLeiman,
    explained_common_variance,
    omega_hierarchical,
    omega_total_bifactor,
    schmid_leiman,
)
from relmeasure.numerics.coefficients import omega_from_loadings
from tests.factor.references import aligned, floats, pair, stored

PSYCH_TOLERANCE = 2e-5
"""psych's minres behind it stops at its optimiser's tolerance."""

PATTERN = np.kron(np.eye(3), np.array([[0.8], [0.7], [0.6]]))
PHI = np.array([[1.0, 0.42, 0.35], [0.42, 1.0, 0.3], [0.35, 0.3, 1.0]])


def test_schmid_leiman_agrees_with_psych() -> None:
    reference = stored("solutions")["schmid"]
    made = efa(pair("thurstone"), 3).schmid_leiman()
    theirs = floats(reference["sl"])
    np.testing.assert_allclose(made.general, theirs[:, 0], atol=PSYCH_TOLERANCE)
    group, _, _ = aligned(made.group, theirs[:, 1:4])
    np.testing.assert_allclose(group, theirs[:, 1:4], atol=PSYCH_TOLERANCE)
    np.testing.assert_allclose(made.communalities, theirs[:, 4], atol=PSYCH_TOLERANCE)
    np.testing.assert_allclose(
        np.sort(made.second_order), np.sort(floats(reference["gloading"])[:, 0]), atol=PSYCH_TOLERANCE
    )
    assert made.exact


def test_three_factors_are_reproduced_exactly() -> None:
    made = schmid_leiman(PATTERN, PHI)
    np.testing.assert_allclose(made.second_order, [0.7, 0.6, 0.5], atol=1e-8)
    np.testing.assert_allclose(made.loadings @ made.loadings.T, PATTERN @ PHI @ PATTERN.T, atol=1e-8)
    np.testing.assert_allclose(PATTERN @ made.transformation, made.loadings, atol=1e-12)
    assert made.exact
    assert made.admissible
    assert list(made.to_frame().columns) == ["item", "g", "F1", "F2", "F3", "communality"]
    assert SchmidLeiman.from_dict(made.to_dict()).equals(made)


def test_two_factors_get_equal_loadings() -> None:
    made = schmid_leiman(np.eye(2), np.array([[1.0, 0.36], [0.36, 1.0]]))
    np.testing.assert_allclose(made.second_order, 0.6)
    assert made.exact
    with pytest.raises(EstimationError, match=r"correlate -0\.36"):
        schmid_leiman(np.eye(2), np.array([[1.0, -0.36], [-0.36, 1.0]]))
    with pytest.raises(TooFewItemsError, match="2 factors are needed"):
        schmid_leiman(np.ones((3, 1)), np.eye(1))


def test_factor_correlations_that_need_more_than_one_general_factor() -> None:
    phi = np.array([[1.0, 0.8, 0.1, 0.1], [0.8, 1.0, 0.1, 0.1], [0.1, 0.1, 1.0, 0.7], [0.1, 0.1, 0.7, 1.0]])
    assert not schmid_leiman(np.eye(4), phi).exact
    impossible = np.array([[1.0, 0.8, 0.8], [0.8, 1.0, 0.6], [0.8, 0.6, 1.0]])
    assert not schmid_leiman(np.eye(3), impossible).admissible


def test_as_a_rotation_of_efa() -> None:
    result = efa(pair("thurstone"), 3, rotation="schmid_leiman")
    first = efa(pair("thurstone"), 3)
    assert result.factor_names == ("g", "F1", "F2", "F3")
    assert result.loadings.shape == (9, 4)
    np.testing.assert_array_equal(result.phi, np.eye(4))
    np.testing.assert_allclose(result.unrotated @ result.rotation_matrix, result.loadings, atol=1e-10)
    np.testing.assert_allclose(result.communalities, first.communalities, atol=1e-6)
    assert result.fit["chisq"] == pytest.approx(first.fit["chisq"])
    assert result.status.ok


def test_an_improper_general_factor_is_a_caution() -> None:
    phi = np.array([[1.0, 0.8, 0.8], [0.8, 1.0, 0.6], [0.8, 0.6, 1.0]])
    R = PATTERN @ phi @ PATTERN.T
    np.fill_diagonal(R, 1.0)
    result = efa((R, 500), 3, rotation="schmid_leiman")
    assert result.status.level == "caution"
    assert any("second-order" in reason for reason in result.status.reasons)


# --------------------------------------------------------------------------- coefficients
def test_omega_and_ecv_by_hand() -> None:
    general, group = np.full(4, 0.6), np.kron(np.eye(2), np.full((2, 1), 0.5))
    unique = np.full(4, 0.39)
    variance = 2.4**2 + 2 * 1.0**2 + 4 * 0.39
    assert omega_hierarchical(general, group, unique) == pytest.approx(2.4**2 / variance)
    assert omega_total_bifactor(general, group, unique) == pytest.approx((2.4**2 + 2.0) / variance)
    assert explained_common_variance(general, group) == pytest.approx(1.44 / (1.44 + 1.0))


def test_implied_and_observed_variance_agree_where_the_model_fits() -> None:
    made = schmid_leiman(PATTERN, PHI)
    cov = PATTERN @ PHI @ PATTERN.T
    np.fill_diagonal(cov, 1.0)
    unique = 1.0 - made.communalities
    for coefficient in (omega_hierarchical, omega_total_bifactor):
        ours = coefficient(made.general, made.group, unique)
        assert coefficient(made.general, made.group, unique, cov) == pytest.approx(ours, rel=1e-7)


def test_without_group_factors_omega_is_that_of_one_factor() -> None:
    L = np.array([0.8, 0.7, 0.6])
    unique, nothing = 1 - L**2, np.zeros((3, 1))
    expected = omega_from_loadings(L, unique)
    assert omega_hierarchical(L, nothing, unique) == pytest.approx(expected)
    assert omega_total_bifactor(L, nothing, unique) == pytest.approx(expected)
    assert explained_common_variance(L, nothing) == 1.0


def test_a_general_factor_explains_no_more_than_all_factors() -> None:
    for name, m in (("thurstone", 3), ("harman", 4), ("hs", 3)):
        result = efa(pair(name), m)
        made = result.schmid_leiman()
        hierarchical = omega_hierarchical(made.general, made.group, result.uniquenesses)
        total = omega_total_bifactor(made.general, made.group, result.uniquenesses)
        assert 0 < hierarchical < total < 1
        assert 0 < explained_common_variance(made.general, made.group) < 1


def test_the_result_knows_its_omegas() -> None:
    above = efa(pair("thurstone"), 3).schmid_leiman()
    rest = 1.0 - above.communalities
    assert above.omega_hierarchical == omega_hierarchical(above.general, above.group, rest)
    assert above.omega_total == omega_total_bifactor(above.general, above.group, rest)
    assert above.explained_common_variance == explained_common_variance(above.general, above.group)
    assert 0 < above.omega_hierarchical < above.omega_total < 1
