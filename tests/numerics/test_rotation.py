"""Rotation: R's solutions, derivatives, identities, invariances, local minima, order and sign, nonsense."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from relmeasure.exceptions import DataError, OptionError, TooFewItemsError
from relmeasure.numerics.criteria import ROTATIONS, Criterion, make_criterion
from relmeasure.numerics.gradient_projection import gradient_projection
from relmeasure.numerics.normal import Array
from relmeasure.numerics.rotation import Rotation, canonical_order, kaiser_weights, rotate
from tests.support import load_reference

LOADING_TOLERANCE = 1e-5
"""GPArotation stopped at a gradient of 1e-7; flat criteria (bifactor, quartimax of 5 factors) then differ by 5e-6."""

CRITERION_TOLERANCE = 1e-8
"""The criterion must be no worse than the stored one by more than this."""

PSYCH_PROMAX_TOLERANCE = 1e-3
"""psych runs its promax on stats::varimax at that function's loose default (eps = 1e-5); with eps = 1e-15 the extra
block of R's stats, of the same definition, is met to LOADING_TOLERANCE."""

REFERENCE = load_reference("efa/rotation")
MORE = load_reference("efa/rotation_more")
SETS = ("thurstone3", "bfi5")

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "varimax_raw": ("varimax", {"kaiser": False}),
    "varimax_kaiser": ("varimax", {}),
    "stats_varimax_kaiser": ("varimax", {}),
    "quartimax": ("quartimax", {}),
    "quartimax_kaiser": ("quartimax", {"kaiser": True}),
    "equamax": ("equamax", {}),
    "parsimax": ("parsimax", {}),
    "oblimin0": ("oblimin", {}),
    "oblimin0_kaiser": ("oblimin", {"kaiser": True}),
    "oblimin_m.5": ("oblimin", {"gamma": -0.5}),
    "quartimin": ("quartimin", {}),
    "cfQ_kappa0": ("crawford_ferguson_oblique", {"kappa": 0.0}),
    "geominQ_.01": ("geomin", {}),
    "geominQ_.001": ("geomin", {"epsilon": 0.001}),
    "geominT_.01": ("geomin_orthogonal", {}),
    "bifactorT": ("bifactor", {}),
    "bifactorQ": ("bifactor_oblique", {}),
    "promax4_stats": ("promax", {}),
    "promax_normalized": ("promax", {"metric": "normalized"}),
}

MORE_CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "bentlerT": ("bentler_orthogonal", {}),
    "bentlerQ": ("bentler", {}),
    "infomaxT": ("infomax_orthogonal", {}),
    "infomaxQ": ("infomax", {}),
}

TRIPLES = np.full((9, 3), np.nan)
TRIPLES[0:3, 1:3] = TRIPLES[3:6, [0, 2]] = TRIPLES[6:9, :2] = 0.0
"""A target of three items a factor: zeros off the blocks, nothing asked inside them."""

EVERY = [name for name in ROTATIONS if "target" not in name]
ITERATIVE = [name for name in EVERY if name not in ("none", "promax")]


def unrotated(name: str) -> Array:
    return np.array(REFERENCE[name]["unrotated"], dtype=float)


def aligned(L: Array, to: Array) -> tuple[Array, list[int], Array]:
    """Columns of L in the order and sign of ``to``, by the best match over all orders."""
    best: tuple[float, list[int], Array] | None = None
    for order in itertools.permutations(range(L.shape[1])):
        signs = np.where((L[:, order] * to).sum(axis=0) < 0, -1.0, 1.0)
        distance = float(np.abs(L[:, order] * signs - to).max())
        if best is None or distance < best[0]:
            best = (distance, list(order), signs)
    assert best is not None
    return L[:, best[1]] * best[2], best[1], best[2]


def agree(result: Rotation, block: dict[str, Any], tolerance: float = LOADING_TOLERANCE) -> None:
    stored = np.array(block["loadings"], dtype=float)
    loadings, order, signs = aligned(result.loadings, stored)
    np.testing.assert_allclose(loadings, stored, rtol=0, atol=tolerance)
    if "phi" in block:
        phi = result.phi[np.ix_(order, order)] * np.outer(signs, signs)
        np.testing.assert_allclose(phi, np.array(block["phi"]), rtol=0, atol=tolerance)
    if "f" in block:
        scale = 4.0 if "bifactor" in result.rotation else 1.0
        assert scale * result.criterion <= block["f"] + CRITERION_TOLERANCE


# --------------------------------------------------------------------------- references
@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("case", list(CASES))
def test_agrees_with_r(name: str, case: str) -> None:
    rotation, options = CASES[case]
    result = rotate(unrotated(name), rotation, **options)  # type: ignore[arg-type]
    assert result.converged
    agree(result, REFERENCE[name][case])


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("case", list(MORE_CASES))
def test_bentler_and_infomax_agree_with_r(name: str, case: str) -> None:
    rotation, options = MORE_CASES[case]
    result = rotate(unrotated(name), rotation, **options)  # type: ignore[arg-type]
    assert result.converged
    agree(result, MORE[name][case])


def test_simplimax_agrees_with_r_where_r_found_the_best_minimum() -> None:
    A = unrotated("thurstone3")
    agree(rotate(A, "simplimax", n_small=18, n_starts=20), MORE["thurstone3"]["simplimax_most"])
    fewest = rotate(A, "simplimax", n_starts=20)
    assert fewest.n_optima > 5
    assert fewest.criterion < MORE["thurstone3"]["simplimax"]["f"] - 1e-3  # ten starts of R missed it


def test_simplimax_names_a_number_of_loadings_that_cannot_be_small() -> None:
    for n_small in (0, 2.5, 27, -1):
        with pytest.raises(OptionError, match="n_small"):
            rotate(unrotated("thurstone3"), "simplimax", n_small=n_small)


def test_oblique_varimax_agrees_with_r() -> None:
    for name in SETS:
        A = unrotated(name)
        agree(rotate(A, "crawford_ferguson_oblique", kappa=1 / len(A)), REFERENCE[name]["cfQ_varimax"])


def test_target_agrees_with_r() -> None:
    A = unrotated("thurstone3")
    agree(rotate(A, "target", target=TRIPLES), REFERENCE["thurstone3"]["target"])
    block = REFERENCE["thurstone3"]["targetT"]
    target = np.where(np.array(block["asked"]) == 1, 0.0, np.nan)
    agree(rotate(A, "target_orthogonal", target=target), block)


@pytest.mark.parametrize("name", SETS)
def test_promax_of_psych_is_the_normalized_one(name: str) -> None:
    result = rotate(unrotated(name), "promax", metric="normalized")
    agree(result, REFERENCE[name]["psych_promax"], PSYCH_PROMAX_TOLERANCE)
    raw = rotate(unrotated(name), "promax").loadings
    assert np.abs(aligned(raw, result.loadings)[0] - result.loadings).max() > 0.01


# --------------------------------------------------------------------------- derivatives
def _criterion(rotation: str, p: int, m: int) -> Criterion:
    target = np.where(np.arange(p * m).reshape(p, m) % 3 == 0, np.nan, 0.2)
    options = {"target": target} if "target" in rotation else {"gamma": -0.3} if rotation == "oblimin" else {}
    return make_criterion(rotation, p, m, options)


@pytest.mark.parametrize("rotation", list(ROTATIONS))
def test_gradient_is_the_derivative_of_the_criterion(rotation: str) -> None:
    rng = np.random.default_rng(3)
    L, D = rng.normal(size=(2, 1, 7, 3)) * 0.6
    criterion, h = _criterion(rotation, 7, 3), 1e-5
    slope = float((criterion.evaluate(L)[1] * D).sum())
    numeric = (criterion.evaluate(L + h * D)[0] - criterion.evaluate(L - h * D)[0])[0] / (2 * h)
    assert slope == pytest.approx(numeric, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("rotation", list(ROTATIONS))
def test_gradient_change_is_the_derivative_of_the_gradient(rotation: str) -> None:
    rng = np.random.default_rng(4)
    L, D = rng.normal(size=(2, 1, 7, 3)) * 0.6
    criterion, h = _criterion(rotation, 7, 3), 1e-5
    numeric = (criterion.evaluate(L + h * D)[1] - criterion.evaluate(L - h * D)[1]) / (2 * h)
    np.testing.assert_allclose(criterion.gradient_change(L, D), numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("rotation", ITERATIVE)
def test_the_solution_is_a_minimum_along_every_direction(rotation: str) -> None:
    A = unrotated("thurstone3")
    result = rotate(A, rotation)  # type: ignore[arg-type]
    weight = kaiser_weights(A) if result.kaiser else np.ones((9, 1))
    criterion = make_criterion(rotation, 9, 3, {}, weight)
    rng = np.random.default_rng(0)
    T = np.linalg.inv(result.rotation_matrix).T
    for _ in range(20):
        if result.oblique:
            near = T + 0.02 * rng.normal(size=(3, 3))
            M = np.linalg.inv(near / np.sqrt((near**2).sum(axis=0))).T
        else:
            M = np.linalg.qr(T + 0.02 * rng.normal(size=(3, 3)))[0]
            M = M * np.sign((M * T).sum(axis=0))
        assert criterion.evaluate((A * weight @ M)[None])[0][0] >= result.criterion - 1e-12


# --------------------------------------------------------------------------- identities
@pytest.mark.parametrize("rotation", EVERY)
@pytest.mark.parametrize("kaiser", [False, True, None])
def test_a_rotation_changes_nothing_that_data_can_see(rotation: str, kaiser: bool | None) -> None:
    A = unrotated("bfi5")
    result = rotate(A, rotation, kaiser=kaiser, n_starts=3)  # type: ignore[arg-type]
    L, phi, M = result.loadings, result.phi, result.rotation_matrix
    np.testing.assert_allclose(L @ phi @ L.T, A @ A.T, atol=1e-12)
    np.testing.assert_allclose(A @ M, L, atol=1e-12)
    np.testing.assert_allclose(np.linalg.inv(M.T @ M), phi, atol=1e-12)
    np.testing.assert_allclose(result.structure, L @ phi, atol=1e-12)
    if not result.oblique:
        np.testing.assert_array_equal(phi, np.eye(5))


def test_members_of_the_crawford_ferguson_family_are_the_named_rotations() -> None:
    A = unrotated("bfi5")
    for kappa, name in ((0.0, "quartimax"), (1 / 25, "varimax"), (5 / 50, "equamax"), (4 / 28, "parsimax")):
        family = rotate(A, "crawford_ferguson", kappa=kappa, tolerance=1e-11)
        named = rotate(A, name, kaiser=False, tolerance=1e-11)  # type: ignore[arg-type]
        np.testing.assert_allclose(family.loadings, named.loadings, atol=1e-7)


def test_quartimin_is_oblimin_with_gamma_zero() -> None:
    A = unrotated("bfi5")
    np.testing.assert_array_equal(rotate(A, "quartimin").loadings, rotate(A, "oblimin", gamma=0.0).loadings)


@pytest.mark.parametrize("rotation", ["oblimin", "geomin", "varimax", "equamax", "promax", "target"])
def test_perfect_simple_structure_is_recovered(rotation: str) -> None:
    simple = np.zeros((9, 3))
    simple[0:3, 0], simple[3:6, 1], simple[6:9, 2] = (0.8, 0.75, 0.7), (0.7, 0.65, 0.6), (0.6, 0.55, 0.5)
    oblique = ROTATIONS[rotation].oblique
    phi = np.full((3, 3), 0.4) + 0.6 * np.eye(3) if oblique and rotation != "promax" else np.eye(3)
    A = simple @ np.linalg.cholesky(phi) @ np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    options: dict[str, Any] = {"target": TRIPLES} if rotation == "target" else {}
    if rotation == "geomin":
        options["epsilon"] = 1e-6
    result = rotate(A, rotation, n_starts=20, **options)  # type: ignore[arg-type]
    atol = 1e-2 if rotation == "geomin" else 1e-6
    np.testing.assert_allclose(result.loadings, simple, atol=atol)
    np.testing.assert_allclose(result.phi, phi, atol=atol)


def test_a_bifactor_structure_is_recovered() -> None:
    L = np.zeros((9, 4))
    L[:, 0], L[0:3, 1], L[3:6, 2], L[6:9, 3] = 0.6, (0.6, 0.5, 0.4), (0.5, 0.4, 0.3), (0.4, 0.35, 0.3)
    A = L @ np.linalg.qr(np.random.default_rng(2).normal(size=(4, 4)))[0]
    result = rotate(A, "bifactor", n_starts=30)
    assert result.criterion == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(result.loadings, L, atol=1e-5)


def test_flips_reach_the_factor_means() -> None:
    """A model with means implies the same item means before and after rotation."""
    A = -unrotated("thurstone3")
    means = np.array([0.3, -0.2, 0.5])
    for rotation in ("oblimin", "varimax", "none", "promax"):
        result = rotate(A, rotation)
        np.testing.assert_allclose(result.loadings @ result.factor_means(means), A @ means, atol=1e-12)


# --------------------------------------------------------------------------- kaiser
@pytest.mark.parametrize("rotation", ["varimax", "oblimin", "geomin", "equamax", "bifactor", "geomin_orthogonal"])
def test_every_rotation_honours_kaiser_normalisation(rotation: str) -> None:
    A = unrotated("bfi5")
    weight = kaiser_weights(A)
    on = rotate(A, rotation, kaiser=True)  # type: ignore[arg-type]
    off = rotate(A, rotation, kaiser=False)  # type: ignore[arg-type]
    normalised = rotate(A * weight, rotation, kaiser=False)  # type: ignore[arg-type]
    assert on.kaiser
    assert not off.kaiser
    expected = aligned(normalised.loadings / weight, on.loadings)[0]
    np.testing.assert_allclose(on.loadings, expected, atol=1e-6)
    assert np.abs(aligned(off.loadings, on.loadings)[0] - on.loadings).max() > 1e-3


def test_kaiser_default_is_the_fields() -> None:
    A = unrotated("thurstone3")
    on = {name for name in EVERY if rotate(A, name, n_starts=1).kaiser}  # type: ignore[arg-type]
    assert on == {"varimax", "promax"}


def test_kaiser_normalisation_of_a_target_normalises_its_numbers() -> None:
    A = unrotated("thurstone3")
    target = rotate(A, "oblimin").loadings
    np.testing.assert_allclose(rotate(A, "target", kaiser=True, target=target).loadings, target, atol=1e-6)


def test_an_item_without_communality_is_left_alone() -> None:
    A = np.vstack([unrotated("thurstone3"), np.zeros(3)])
    result = rotate(A, "oblimin", kaiser=True)
    np.testing.assert_array_equal(result.loadings[-1], 0.0)
    np.testing.assert_allclose(result.loadings[:-1], rotate(A[:-1], "oblimin", kaiser=True).loadings, atol=1e-6)


# --------------------------------------------------------------------------- local minima
def test_local_minima_are_counted_and_the_best_one_returned() -> None:
    """Bi-quartimin of Thurstone's tests has three local minima."""
    result = rotate(unrotated("thurstone3"), "bifactor", n_starts=30)
    assert result.n_optima == 3
    assert result.criterion == pytest.approx(result.optima.min())
    assert result.optima_counts.sum() == result.n_converged == 30
    alone = rotate(unrotated("thurstone3"), "bifactor", n_starts=1)
    assert alone.criterion > result.criterion + 1e-4
    assert "3 minima from 30 starts" in result.summary()


def test_every_start_ends_in_a_minimum_not_on_a_saddle() -> None:
    A = unrotated("bfi5")
    rng = np.random.default_rng(0)
    starts = np.stack([np.linalg.qr(rng.normal(size=(5, 5)))[0] for _ in range(20)])
    found = gradient_projection(A, make_criterion("oblimin", 25, 5), starts, oblique=True)
    assert found.converged.all()
    assert np.ptp(found.value) < 1e-10


def test_a_start_exactly_on_a_saddle_is_left() -> None:
    """Every rotation of equal blocks by 45 degrees is stationary for quartimax, and a maximum."""
    A = np.array([[0.5, 0.5], [0.5, 0.5], [0.5, -0.5], [0.5, -0.5]])
    result = rotate(A, "quartimax", n_starts=1)
    assert result.converged
    np.testing.assert_allclose(np.sort(np.abs(result.loadings), axis=1), [[0.0, np.sqrt(0.5)]] * 4, atol=1e-7)


def test_a_minimum_that_is_no_point_is_reported() -> None:
    A = unrotated("bfi5")
    target = np.full((25, 5), np.nan)
    target[:5, 1:] = 0.0
    assert not rotate(A, "target_orthogonal", target=target).unique
    assert not rotate(unrotated("thurstone3")[:, :2], "bifactor").unique
    result = rotate(unrotated("thurstone3")[:, :2], "bifactor")
    assert "not unique" in result.summary()
    assert rotate(A, "oblimin").unique


def test_too_few_iterations_are_reported() -> None:
    result = rotate(unrotated("bfi5"), "geomin", max_iterations=3)
    assert not result.converged
    assert result.n_converged == result.n_optima == 0
    assert "not converged" in result.summary()


def test_the_seed_decides_and_generators_work() -> None:
    A = unrotated("bfi5")
    one, two = rotate(A, "geomin", rng=5), rotate(A, "geomin", rng=np.random.default_rng(5))
    assert one.equals(two)


# --------------------------------------------------------------------------- order and sign
@pytest.mark.parametrize("rotation", EVERY)
def test_order_and_sign_are_canonical(rotation: str) -> None:
    for name in SETS:
        result = rotate(unrotated(name), rotation, n_starts=4)  # type: ignore[arg-type]
        squares = (result.loadings * result.structure).sum(axis=0)[ROTATIONS[rotation].general :]
        assert (np.diff(squares) <= 1e-12).all()
        assert (result.loadings.sum(axis=0) >= 0).all()


def test_a_target_keeps_its_order_and_its_signs() -> None:
    A = unrotated("thurstone3")
    target = np.full((9, 3), np.nan)
    target[0:3, 0], target[3:6, 1], target[6:9, 2] = 0.0, -0.8, 0.0
    target[0, 1] = target[3, 0] = target[3, 2] = target[6, 1] = target[1, 2] = 0.0
    result = rotate(A, "target", target=target, n_starts=20)
    assert (result.loadings[3:6, 1] < -0.5).all()
    reordered = rotate(A, "target", target=TRIPLES[:, ::-1])
    expected = rotate(A, "target", target=TRIPLES)
    np.testing.assert_allclose(reordered.loadings, expected.loadings[:, ::-1], atol=1e-7)
    np.testing.assert_allclose(reordered.phi, expected.phi[::-1, ::-1], atol=1e-7)


def test_the_largest_loading_decides_where_a_sum_is_zero() -> None:
    order, signs = canonical_order(np.array([[0.5, -0.2], [-0.7, 0.2], [0.2, 0.0]]))
    np.testing.assert_array_equal(order, [0, 1])
    np.testing.assert_array_equal(signs, [-1.0, -1.0])


# --------------------------------------------------------------------------- invariances
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), rotation=st.sampled_from(["oblimin", "varimax", "equamax", "promax", "parsimax"]))
def test_items_in_another_order_give_the_same_loadings(seed: int, rotation: Any) -> None:
    A = unrotated("thurstone3")
    order = np.random.default_rng(seed).permutation(9)
    plain, moved = rotate(A, rotation), rotate(A[order], rotation)
    np.testing.assert_allclose(moved.loadings, plain.loadings[order], atol=1e-6)
    np.testing.assert_allclose(moved.phi, plain.phi, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), rotation=st.sampled_from(["oblimin", "varimax", "geomin", "promax", "bifactor"]))
def test_the_unrotated_position_does_not_matter(seed: int, rotation: Any) -> None:
    A = unrotated("thurstone3")
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    plain, turned = rotate(A, rotation, n_starts=20), rotate(A @ turn, rotation, n_starts=20)
    assert turned.criterion == pytest.approx(plain.criterion, abs=1e-9)
    np.testing.assert_allclose(turned.loadings, plain.loadings, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(item=st.integers(0, 8), rotation=st.sampled_from(["oblimin", "varimax", "quartimax", "promax"]))
def test_an_item_reversed_changes_its_own_sign_only(item: int, rotation: Any) -> None:
    A = unrotated("thurstone3")
    signs = np.ones((9, 1))
    signs[item] = -1.0
    plain, turned = rotate(A, rotation), rotate(A * signs, rotation)
    expected = aligned(plain.loadings * signs, turned.loadings)[0]
    np.testing.assert_allclose(turned.loadings, expected, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    A=arrays(float, (8, 3), elements=st.floats(-0.9, 0.9)),
    rotation=st.sampled_from([name for name in EVERY if name != "promax"]),
)
def test_any_loadings_give_a_finite_answer(A: Array, rotation: Any) -> None:
    result = rotate(A, rotation, n_starts=3, max_iterations=200)
    assert np.isfinite(result.loadings).all()
    np.testing.assert_allclose(result.loadings @ result.phi @ result.loadings.T, A @ A.T, atol=1e-6)


# --------------------------------------------------------------------------- small things and nonsense
def test_one_factor_has_only_a_sign() -> None:
    result = rotate(np.array([[-0.7], [-0.6], [0.2]]), "oblimin")
    np.testing.assert_array_equal(result.loadings, [[0.7], [0.6], [-0.2]])
    np.testing.assert_array_equal(result.phi, [[1.0]])


def test_the_result_round_trips_and_is_read_only() -> None:
    result = rotate(unrotated("thurstone3"), "oblimin", gamma=-0.5)
    assert Rotation.from_dict(result.to_dict()).equals(result)
    assert result.parameters == {"gamma": -0.5}
    assert list(result.to_frame().columns) == ["item", "factor_1", "factor_2", "factor_3"]
    with pytest.raises(ValueError, match="read-only"):
        result.loadings[0, 0] = 1.0


@pytest.mark.parametrize(
    ("rotation", "options", "words"),
    [
        ("oblimax", {}, "'oblimin'"),
        ("oblimin", {"epsilon": 0.1}, "it takes: gamma"),
        ("varimax", {"gamma": 0.1}, "it takes: none"),
        ("oblimin", {"gamma": 2.0}, "at most 1"),
        ("oblimin", {"gamma": float("nan")}, "gamma=nan"),
        ("geomin", {"epsilon": 0.0}, "above 0"),
        ("crawford_ferguson", {"kappa": -1.0}, "between 0 and 1"),
        ("promax", {"power": 1.0}, "above 1"),
        ("promax", {"metric": "spss"}, "'raw', 'normalized'"),
        ("target", {}, "needs target="),
        ("oblimin", {"n_starts": 0}, "at least 1 start"),
    ],
)
def test_bad_options_are_named(rotation: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        rotate(unrotated("thurstone3"), rotation, **options)


@pytest.mark.parametrize("loadings", [[[1.0, np.nan]] * 3, [1.0, 2.0], [[np.inf, 1.0]] * 3])
def test_loadings_that_are_no_finite_matrix_are_refused(loadings: Any) -> None:
    with pytest.raises(DataError, match="finite matrix"):
        rotate(loadings)


def test_more_factors_than_items_are_refused() -> None:
    with pytest.raises(TooFewItemsError, match="2 items cannot be rotated to 3 factors"):
        rotate(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("target", "words"), [(np.zeros((3, 3)), "9 x 3"), (np.full((9, 3), np.nan), "asks for nothing")]
)
def test_a_target_must_fit_and_ask_for_something(target: Array, words: str) -> None:
    with pytest.raises(DataError, match=words):
        rotate(unrotated("thurstone3"), "target", target=target)


def test_a_tolerance_below_rounding_ends_where_nothing_falls_any_more() -> None:
    A = unrotated("bfi5")
    result = rotate(A, "oblimin", tolerance=1e-17)
    assert result.converged
    assert result.n_iterations < 200
    np.testing.assert_allclose(result.loadings, rotate(A, "oblimin").loadings, atol=1e-6)


def test_factors_that_become_one_are_no_solution() -> None:
    """Loadings of rank one, rotated obliquely to three factors."""
    A = np.outer([0.5, 0.6, 0.7, 0.4, 0.3, 0.5, 0.6, 0.2], [1.0, 0.0, 0.0])
    for rotation in ("geomin", "oblimin", "promax", "bifactor_oblique", "varimax"):
        result = rotate(A, rotation)
        assert np.isfinite(result.loadings).all()
        np.testing.assert_allclose(result.loadings @ result.phi @ result.loadings.T, A @ A.T, atol=1e-6)


def test_one_factor_needs_no_search() -> None:
    A = np.array([[0.7], [0.6], [0.5]])
    found = gradient_projection(A, make_criterion("oblimin", 3, 1), np.ones((2, 1, 1)), oblique=True)
    assert found.converged.all()
    assert found.n_iterations == 0
