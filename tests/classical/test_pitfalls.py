"""Ways in which reliability goes silently wrong elsewhere, fed in and seen to be said."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import relmeasure as rm
from relmeasure import exceptions as ex
from relmeasure.numerics.coefficients import feldt_interval
from tests.classical.stored import complete, from_covariances, quietly


def sample(n: int, k: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 1)) + rng.normal(size=(n, k))


class TestListwiseDropHiddenInTheInterval:
    """4.6: ten complete rows of 400, and an interval made as if there were 400."""

    def test_the_interval_rests_on_the_complete_rows(self) -> None:
        x = sample(400, 4)
        x[10:, :] = np.where(np.arange(4) == np.arange(390)[:, None] % 4, np.nan, x[10:, :])
        with pytest.warns(ex.ListwiseDeletionWarning, match="390 of 400 rows .* 10 are used"):
            result = rm.alpha(x)
        assert result.n_obs == 10
        right, wrong = feldt_interval(result.estimate, 10, 4, 0.95), feldt_interval(result.estimate, 400, 4, 0.95)
        assert (result.lower, result.upper) == right
        assert right[0] < wrong[0] - 0.1
        assert "10 of 400" in result.rule

    def test_pairwise_uses_no_naive_n(self) -> None:
        x = sample(400, 4)
        x[:300, 0] = np.nan
        with pytest.warns(ex.PairwiseDeletionWarning, match="100 to 400 of 400"):
            result = rm.alpha(x, missing="pairwise")
        assert result.n_obs == 100

    def test_omega_and_the_table_know_the_rows_too(self) -> None:
        x = sample(60, 4)
        x[:20, 0] = np.nan
        with pytest.warns(ex.ListwiseDeletionWarning):
            assert rm.omega(x).n_obs == 40
        with pytest.warns(ex.ListwiseDeletionWarning):
            assert rm.kmo(x).n_obs == 40
        with pytest.warns(ex.ListwiseDeletionWarning):
            assert rm.bartlett(x).n_obs == 40


class TestTooFewItems:
    """4.8: alpha of one or two items without a word, a one-factor fit of three items that cannot fail."""

    def test_one_item_is_missing_with_its_reason(self) -> None:
        for result in (rm.alpha(sample(30, 1)), rm.omega(sample(30, 1)), rm.spearman_brown(sample(30, 1))):
            assert math.isnan(result.estimate)
            assert result.reason is not None
            assert "one item" in result.reason

    def test_two_items_point_to_spearman_brown(self) -> None:
        with pytest.warns(ex.FewItemsWarning, match="spearman_brown"):
            rm.alpha(sample(30, 2))
        reason = rm.omega(sample(30, 2)).reason
        assert reason is not None
        assert "spearman_brown" in reason

    def test_three_items_are_said_to_fit_by_construction(self) -> None:
        with pytest.warns(ex.FewItemsWarning, match="cannot be tested"):
            assert rm.omega(sample(200, 3)).df == 0

    def test_several_dimensions_show_beside_a_high_alpha(self) -> None:
        """Alpha of two clusters is high; the one-factor test says that it is not one thing."""
        shared = 0.5 * np.random.default_rng(7).normal(size=(400, 1))
        x = np.column_stack([sample(400, 6, seed=5), sample(400, 6, seed=6)]) + shared
        result = rm.omega(x)
        assert rm.alpha(x).estimate > 0.7
        assert result.pvalue < 1e-10


class TestOmegaByName:
    """4.9: the same word for different denominators, and values above one."""

    def test_the_denominator_is_part_of_the_id(self) -> None:
        m = complete("bfi_A")
        implied, observed = rm.omega(m), rm.omega(m, denominator="observed")
        assert implied.definition != observed.definition
        assert abs(implied.estimate - observed.estimate) > 0.001

    def test_keyed_omega_lies_between_zero_and_one(self) -> None:
        for scale in ("bfi_A", "bfi_N", "hs_9", "gti_tsup"):
            for denominator in ("implied", "observed"):
                assert 0.0 <= rm.omega(complete(scale), denominator=denominator).estimate <= 1.0


class TestImproperSolutions:
    """4.10: a Heywood case reported as success."""

    def test_the_boundary_is_flagged_and_the_unbounded_value_told(self) -> None:
        cor = np.array([[1, 0.75, 0.62, 0.55], [0.75, 1, 0.45, 0.4], [0.62, 0.45, 1, 0.3], [0.55, 0.4, 0.3, 1]])
        with pytest.warns(ex.HeywoodWarning, match="unbounded"):
            result = rm.omega(from_covariances(cor, 200, list("abcd")))
        assert result.status.admissible is False
        assert not result.status.ok
        assert math.isnan(result.lower)
        assert "heywood" in [note.code for note in result.warnings]


class TestKeysAndCodes:
    """4.1 and 4.5: an un-reversed item, and 99 as an answer."""

    def test_an_unreversed_item_is_named(self) -> None:
        x = sample(300, 5)
        x[:, 3] *= -1
        with pytest.warns(ex.KeyDirectionWarning, match="x4"):
            rm.alpha(x)

    def test_codes_of_99_reach_no_coefficient_through_an_instrument(self) -> None:
        instrument = rm.load_instrument("relationship-student")
        answers = rm.simulate(instrument, n_clusters=5, cluster_size=10, icc=0.1, rng=1)
        answers.loc[:3, "care_1"] = 99
        with pytest.raises(ex.UnknownCodeError):
            rm.reliability(instrument, answers)


class TestNearSingularCorrelations:
    """4.11: adequacy of a singular matrix from a pseudo-inverse."""

    def test_kmo_of_a_singular_matrix_is_an_error_with_the_smallest_eigenvalue(self) -> None:
        x = sample(100, 4)
        x = np.column_stack([x, x[:, 0] + x[:, 1]])
        with pytest.raises(ex.NotPositiveDefiniteError, match="smallest eigenvalue") as caught:
            rm.kmo(x)
        assert abs(caught.value.details["min_eigenvalue"]) < 1e-12


class TestClassesAreNotStudents:
    """4.21: alpha over students is not the reliability of a class mean."""

    def test_cluster_adds_the_reliability_of_class_means(self) -> None:
        instrument = rm.load_instrument("relationship-student")
        answers = rm.simulate(instrument, n_clusters=40, cluster_size=10, icc=0.1, rng=1)
        with quietly():  # without residual variances between, omega_between passes one
            table = rm.reliability(instrument, answers, cluster="class_id", scales=["care"]).to_frame()
        found = table.set_index("coefficient")["estimate"]
        assert found["alpha"] > 0.75
        assert found["icc2"] < 0.7
        assert found["omega_shared"] < 0.7 < found["omega_between"]


def test_order_of_columns_does_not_choose_the_items_named() -> None:
    """The list of items that run against the rest must not depend on the order of the columns."""
    x = sample(300, 5)
    x[:, 0] *= -1
    frame = pd.DataFrame(x, columns=list("abcde"))
    for order in ("abcde", "edcba", "bcdea"):
        with pytest.warns(ex.KeyDirectionWarning, match=r"rest of the scale: a\."):
            rm.alpha(frame[list(order)])


def test_one_estimator_one_number() -> None:
    """Alpha and alpha if dropped are on one scale, and one name is one number wherever it stands."""
    m = complete("bfi_C")
    with quietly():
        dropped = rm.alpha(m.subset(m.names[1:])).estimate
    assert rm.alpha(m).item_table["alpha_if_dropped"][0] == pytest.approx(dropped, rel=1e-12)
