"""Polychoric correlations against lavaan, psych and polycor, identities, invariances, recovery, and sparse tables."""

from __future__ import annotations

import json
import math
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmeasure.exceptions import (
    ConstantItemWarning,
    DataError,
    EmptyCategoryWarning,
    ListwiseDeletionWarning,
    NotConvergedWarning,
    NotPositiveDefiniteWarning,
    OptionError,
    PairwiseDeletionWarning,
    RelmeasureWarning,
    SparseTableWarning,
    TooFewItemsError,
    TooFewObservationsError,
    UnsupportedDataError,
)
from relmeasure.numerics.normal import (
    normal_quantile,
    rectangle_probabilities,
    rectangle_rho_slopes,
    small_rectangles,
)
from relmeasure.samplestats import (
    ContingencyTables,
    PolychoricResult,
    category_codes,
    contingency_tables,
    polychoric_acov,
    polychoric_from_codes,
    polychoric_from_tables,
    polychoric_matrix,
)
from relmeasure.samplestats.contingency import item_pairs
from relmeasure.samplestats.twostep import Stack, _Cells, _log_likelihood, margins, solve_stack, stacks
from tests.support import load_reference, matrix

LAVAAN = 1e-6  # lavaan stops its search for each correlation at a change of about 1e-7
THRESHOLD = 1e-12  # closed form; R's qnorm and ours differ in the last places
PSYCH = 5e-5  # psych searches with optimize(), tolerance 1e-5 and worse
PSYCH_BINARY = 2e-4  # tetrachoric(): a coarser search yet
POLYCOR = 5e-5  # polycor optimises with tolerance 1e-6 of the function
POLYCOR_BINARY = 2e-4  # its optimiser stops earlier on flat tetrachoric likelihoods
LAVAAN_SE = 2e-7  # inherits the error of lavaan's correlations
NACOV = 5e-7  # the same, relative to the largest diagonal element

CASES = load_reference("polychoric/polychoric")
STORED = load_reference("polychoric/stored")
BFI = tuple(CASES["bfi_listwise"]["tables"]["names"])


def _tables(case: dict[str, Any], missing: str = "listwise") -> ContingencyTables:
    """Build the statistic from the tables that R counted."""
    block = case["tables"]
    k, joint, marginal = (
        len(block["categories"]),
        np.array(block["joint"], float),
        np.array(list(block["marginal"].values()), float),
    )
    p = len(block["names"])
    n = int(marginal[0].sum())
    count = np.array(case["counts"]) if "counts" in case else np.full((p, p), n)
    assert joint.shape == (p * (p - 1) // 2, k, k)
    return ContingencyTables(
        names=tuple(block["names"]),
        categories=(tuple(map(float, block["categories"])),) * p,
        missing=missing,  # type: ignore[arg-type]
        n_rows=case.get("n_rows", n) if missing == "pairwise" else n,
        n_used=case["n"],
        n_item=np.diag(count).copy(),
        count=count,
        marginal=marginal,
        joint=joint,
    )


def _close(actual: Any, expected: Any, tolerance: float) -> None:
    np.testing.assert_allclose(np.asarray(actual, float), np.asarray(expected, float), rtol=0, atol=tolerance)


def _thresholds(result: PolychoricResult) -> np.ndarray:
    return np.concatenate(list(result.thresholds.values()))


def _quiet(tables: ContingencyTables, **options: Any) -> PolychoricResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return polychoric_from_tables(tables, **options)


def _against_lavaan(result: PolychoricResult, case: dict[str, Any]) -> None:
    divisor = math.sqrt(case["n"] / (case["n"] - 1))  # lavaan divides NACOV by N - 1, we by N
    _close(result.correlation, case["cor"], LAVAAN)
    _close(_thresholds(result), case["th"], THRESHOLD)
    _close(result.se[item_pairs(result.n_items)] * divisor, case["se"], LAVAAN_SE)
    _close(np.concatenate(list(result.threshold_se.values())) * divisor, case["th_se"], LAVAAN_SE)
    assert result.n_used == case["n"]


# --------------------------------------------------------------------------- lavaan, psych, polycor
def test_bfi_listwise() -> None:
    """All 300 correlations, 125 thresholds and their standard errors; and the values stored from a newer lavaan."""
    result = polychoric_from_tables(_tables(CASES["bfi_listwise"]))
    _against_lavaan(result, CASES["bfi_listwise"])
    _close(result.correlation, matrix(STORED["lavCor_bfi25_listwise"]["cor"]), LAVAAN)
    _close(_thresholds(result), list(STORED["lavCor_bfi25_listwise"]["th"].values()), THRESHOLD)
    _close(result.correlation, matrix(STORED["psych_polychoric_bfi25_complete"]["rho"]), PSYCH)
    _close(_thresholds(result).reshape(25, 5), matrix(STORED["psych_polychoric_bfi25_complete"]["tau"]), THRESHOLD)
    assert result.status.ok
    assert result.warnings == ()
    assert result.min_eigenvalue == pytest.approx(0.2027, abs=5e-5)


def test_bfi_pairwise() -> None:
    """Thresholds from each item's own rows, tables from each pair's."""
    with pytest.warns(PairwiseDeletionWarning, match="2739 to 2800 of 2800 rows"):
        result = polychoric_from_tables(_tables(CASES["bfi_pairwise"], "pairwise"))
    _against_lavaan(result, CASES["bfi_pairwise"])
    _close(result.correlation, matrix(STORED["lavCor_bfi25_pairwise"]["cor"]), LAVAAN)
    _close(_thresholds(result), list(STORED["lavCor_bfi25_pairwise"]["th"].values()), THRESHOLD)
    _close(result.correlation, matrix(STORED["psych_polychoric_bfi25_pairwise"]["rho"]), PSYCH)
    _close(_thresholds(result).reshape(25, 5), matrix(STORED["psych_polychoric_bfi25_pairwise"]["tau"]), THRESHOLD)
    # psych's default, correct = .5, makes no difference in these tables
    _close(result.correlation, matrix(STORED["psych_polychoric_bfi25_default"]["rho"]), PSYCH)
    assert result.n_obs == np.array(CASES["bfi_pairwise"]["counts"]).min()


def test_bfi_agreeableness() -> None:
    """Five items: lavaan's estimates and standard errors, psych with and without its correction."""
    whole = _tables(CASES["bfi_listwise"])
    result = polychoric_from_tables(whole.subset(BFI[:5]))
    block = STORED["lavCor_bfiA_complete"]
    _close(result.correlation, matrix(block["cor"]), LAVAAN)
    _close(_thresholds(result), list(block["thresholds"].values()), THRESHOLD)
    rows = zip(*(block["parameters"][k] for k in ("lhs", "op", "rhs", "est", "se")), strict=True)
    seen = 0
    for lhs, op, rhs, est, se in rows:
        if op == "~~" and lhs != rhs:
            i, j = result.names.index(lhs), result.names.index(rhs)
            assert result.correlation[i, j] == pytest.approx(est, abs=LAVAAN)
            assert result.se[i, j] * math.sqrt(2436 / 2435) == pytest.approx(se, abs=LAVAAN_SE)
            seen += 1
    assert seen == 10
    for name in ("psych_polychoric_bfiA_correct.5", "psych_polychoric_bfiA_correct0"):
        _close(result.correlation, matrix(STORED[name]["rho"]), PSYCH)
        _close(_thresholds(result).reshape(5, 5), matrix(STORED[name]["tau"]), THRESHOLD)


def test_thresholds_of_each_pair() -> None:
    """psych's global = FALSE takes thresholds from the rows of each pair: here, one listwise table a pair."""
    stored = matrix(STORED["psych_polychoric_global_FALSE"]["rho"])
    tables = _tables(CASES["bfi_pairwise"], "pairwise")
    for i in range(5):
        for j in range(i):
            joint = tables.table(BFI[j], BFI[i])
            rows = np.repeat(np.array(list(np.ndindex(6, 6))), joint.ravel().astype(int), axis=0)
            result = polychoric_from_codes(rows, ["a", "b"], missing="listwise")
            assert result.correlation[0, 1] == pytest.approx(stored[i, j], abs=PSYCH)


@pytest.mark.parametrize("name", list(CASES["scales"]))
def test_scales(name: str) -> None:
    """Nine scales of four data sets, four to six categories."""
    case = CASES["scales"][name]
    result = _quiet(_tables(case))
    assert [note.code for note in result.warnings] == (["empty-category"] if name == "burnout_TE" else [])
    _against_lavaan(result, case)
    if name in STORED["scales"]:
        stored = STORED["scales"][name]
        _close(result.correlation, matrix(stored["polychoric_lavCor"]), LAVAAN)
        _close(result.correlation, matrix(stored["polychoric_psych_correct0"]), PSYCH)


@pytest.mark.parametrize(("items", "block"), [(("A1", "A2"), "A1A2_2step"), (("N1", "N2"), "N1N2_2step")])
def test_polycor_two_step(items: tuple[str, str], block: str) -> None:
    """polycor's two-step estimate; its full maximum likelihood (another estimator) is near, not equal."""
    stored = STORED["polycor_polychor"]
    result = polychoric_from_tables(_tables(CASES["bfi_listwise"]).subset(items))
    assert result.correlation[0, 1] == pytest.approx(stored[block]["rho"], abs=POLYCOR)
    for name, side in zip(items, ("row.cuts", "col.cuts"), strict=True):
        _close(result.thresholds[name], stored[block][side], THRESHOLD)
    assert result.correlation[0, 1] == pytest.approx(stored[block.replace("2step", "ML")]["rho"], abs=0.005)


def test_lsat7() -> None:
    """Tetrachoric correlations of Bock and Lieberman's LSAT-7, 32 patterns of 1000 rows, with NACOV."""
    case = CASES["lsat7"]
    patterns = {k: v[0] if isinstance(v, list) else v for k, v in case["patterns"].items()}
    codes = np.repeat([[int(c) for c in key] for key in patterns], list(patterns.values()), axis=0)
    result = polychoric_from_codes(codes, case["tables"]["names"], acov=True)
    _against_lavaan(result, case)
    assert result.method(*result.names[:2]) == "tetrachoric"
    stored = STORED["tetrachoric_LSAT7"]
    _close(result.correlation, matrix(stored["lavCor"]), LAVAAN)
    for name in ("default", "correct0"):
        _close(result.correlation, matrix(stored[name]), PSYCH_BINARY)
    _close(_thresholds(result), stored["tau"], THRESHOLD)
    two_step = STORED["polycor_polychor"]["tetra_L7_12_2step"]["rho"]
    assert result.correlation[0, 1] == pytest.approx(two_step, abs=POLYCOR_BINARY)
    _nacov(result, case)


def test_ability() -> None:
    """Sixteen dichotomous items: 120 tetrachoric correlations."""
    result = polychoric_from_tables(_tables(CASES["ability"]))
    _against_lavaan(result, CASES["ability"])
    stored = STORED["tetrachoric_ability"]
    _close(result.correlation, matrix(stored["rho"]), PSYCH_BINARY)
    _close(_thresholds(result), stored["tau"], THRESHOLD)


# --------------------------------------------------------------------------- asymptotic covariance
def _nacov(result: PolychoricResult, case: dict[str, Any]) -> None:
    gamma = np.array(case["gamma"])
    assert result.parameters == tuple(case["parameters"])
    assert result.n_used == case["n"]
    _close(result.nacov, gamma, NACOV * gamma.max())
    _close(result.nacov_diagonal, np.diag(gamma), NACOV * gamma.max())
    assert result.acov is not None
    _close(np.diag(result.acov), result.estimate_variances, 1e-15)


@pytest.mark.parametrize(("name", "missing"), [("hs_ordinal", "listwise"), ("hs_missing", "pairwise")])
def test_nacov_of_rows(name: str, missing: str) -> None:
    """Six cut tests of Holzinger and Swineford, three to five categories: every cell of lavaan's gamma."""
    case = CASES[name]
    values = np.array(case["rows"], dtype=float)
    codes = category_codes(values, list("abcdef"), [tuple(range(1, k + 1)) for k in (3, 4, 4, 4, 4, 5)])
    names = [f"x{i}" for i in range(1, 7)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PairwiseDeletionWarning)
        result = polychoric_from_codes(codes, names, missing=missing, acov=True)  # type: ignore[arg-type]
    _against_lavaan(result, case)
    _nacov(result, case)


@pytest.mark.shared
@pytest.mark.parametrize("missing", ["listwise", "pairwise"])
def test_nacov_of_bfi(shared_reference: Path, missing: str) -> None:
    """Five items of bfi, complete and with gaps."""
    values = np.genfromtxt(shared_reference / "data" / "bfi" / "data.csv", delimiter=",", skip_header=1)[:, :25]
    rows = values[~np.isnan(values).any(axis=1)] if missing == "listwise" else values
    codes = category_codes(rows[:, :5], BFI[:5], [(1, 2, 3, 4, 5, 6)] * 5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PairwiseDeletionWarning)
        result = polychoric_from_codes(codes, BFI[:5], missing=missing, acov=True)  # type: ignore[arg-type]
    _nacov(result, CASES[f"bfiA_gamma_{missing}"])


def _codes(seed: int, n: int, cuts: list[list[float]], r: float = 0.5, share: float = 0.0) -> np.ndarray:
    """Items with equal latent correlations r."""
    rng = np.random.default_rng(seed)
    latent = math.sqrt(r) * rng.normal(size=(n, 1)) + math.sqrt(1 - r) * rng.normal(size=(n, len(cuts)))
    codes = np.column_stack([np.digitize(x, c) for x, c in zip(latent.T, cuts, strict=True)])
    codes[rng.random(codes.shape) < share] = -1
    return codes


CUTS = [[-1.0, 0.0, 1.0], [0.2], [-0.5, 0.5], [-1.5, -0.5, 0.5, 1.5]]
NAMES = ["a", "b", "c", "d"]


@pytest.mark.parametrize("information", ["crossproduct", "observed"])
@pytest.mark.parametrize("weighted", [False, True])
def test_chunks_of_rows_add_up(information: str, weighted: bool) -> None:
    """A second pass over the rows, in chunks, gives the covariance computed at once; weights included."""
    codes = _codes(1, 500, CUTS, share=0.1)
    w = np.random.default_rng(2).uniform(0.2, 3.0, 500) if weighted else None
    options: dict[str, Any] = {"information": information}
    tables = contingency_tables(codes[:200], NAMES, weights=None if w is None else w[:200])
    tables += contingency_tables(codes[200:], NAMES, weights=None if w is None else w[200:])
    with pytest.warns(PairwiseDeletionWarning):
        whole = polychoric_from_codes(codes, NAMES, weights=w, acov=True, **options)
    result = _quiet(tables, **options)
    total = sum(
        polychoric_acov(result, codes[part], None if w is None else w[part]) for part in (slice(200), slice(200, None))
    )
    assert whole.acov is not None
    np.testing.assert_allclose(total, whole.acov, rtol=1e-10, atol=1e-16)
    np.testing.assert_allclose(np.diag(whole.acov), whole.estimate_variances, rtol=1e-10)
    assert np.linalg.eigvalsh(whole.acov).min() > 0


def test_weights() -> None:
    """Scaled weights change nothing; whole weights give the estimates of repeated rows."""
    codes = _codes(3, 400, CUTS)
    w = np.random.default_rng(4).integers(1, 4, 400).astype(float)
    weighted = polychoric_from_codes(codes, NAMES, weights=w, acov=True)
    scaled = polychoric_from_codes(codes, NAMES, weights=7 * w, acov=True)
    repeated = polychoric_from_codes(np.repeat(codes, w.astype(int), axis=0), NAMES)
    _close(weighted.estimates, scaled.estimates, 1e-10)
    np.testing.assert_allclose(weighted.acov, scaled.acov, rtol=1e-9)  # type: ignore[arg-type]
    _close(weighted.estimates, repeated.estimates, 1e-10)
    assert (weighted.se[item_pairs(4)] > repeated.se[item_pairs(4)]).all()
    equal = polychoric_from_codes(codes, NAMES, weights=np.full(400, 2.0))
    _close(equal.estimate_variances, polychoric_from_codes(codes, NAMES).estimate_variances, 1e-14)


def test_score_is_zero_and_the_estimate_a_maximum() -> None:
    """The likelihood of every table is flat at its estimate, and lower a step to either side."""
    tables = contingency_tables(_codes(5, 800, CUTS), NAMES)
    items = margins(tables)
    for stack in stacks(tables, items, tables.joint):
        rho = solve_stack(stack).rho
        cells = rectangle_probabilities(stack.rows, stack.cols, rho)
        score = (stack.counts / cells * rectangle_rho_slopes(stack.rows, stack.cols, rho)).sum(axis=(0, 1))
        _close(score, np.zeros_like(score), 1e-8)
        best = (stack.counts * np.log(cells)).sum(axis=(0, 1))
        for step in (-1e-3, 1e-3):
            cells = rectangle_probabilities(stack.rows, stack.cols, rho + step)
            assert ((stack.counts * np.log(cells)).sum(axis=(0, 1)) < best).all()


def test_short_steps_are_exact() -> None:
    """Cells moved by Gauss quadrature equal cells computed anew, up to the longest short step and near the bound."""
    rng = np.random.default_rng(6)
    codes = _codes(6, 500, [[-1.0, 0.0, 1.0]] * 12)
    tables = contingency_tables(codes, [f"i{k}" for k in range(12)])
    (stack,) = stacks(tables, margins(tables), tables.joint)
    curve = _Cells(stack)
    theta = rng.uniform(-1.45, 1.45, len(stack.pairs))
    for share in (0.099, 0.03, 0.0099, 0.001):
        step = share * np.cos(theta) * rng.uniform(-1, 1, len(theta)) / (1 + share)
        _close(curve.moved(curve.at(theta), theta, step), curve.at(theta + step), 2e-15)


def test_random_sparse_tables_against_a_grid() -> None:
    """In 60 tables of 4 to 400 rows, some with an outlier, no correlation on a grid has a higher likelihood."""
    rng = np.random.default_rng(22)
    grid = np.linspace(-0.9995, 0.9995, 300)
    for _ in range(60):
        n, r = int(rng.integers(4, 400)), rng.uniform(-0.99, 0.99)
        z = rng.multivariate_normal([0, 0], [[1, r], [r, 1]], n)
        if rng.random() < 0.3:
            z[0] *= [-3, 3]
        cuts = [np.sort(rng.normal(size=rng.integers(1, 6))) for _ in range(2)]
        codes = np.column_stack([np.digitize(x, c) for x, c in zip(z.T, cuts, strict=True)])
        tables = contingency_tables(codes, ["a", "b"])
        for stack in stacks(tables, margins(tables), tables.joint):
            solution = solve_stack(stack)
            wide = Stack(
                stack.pairs, stack.first, stack.second, np.repeat(stack.counts, 300, 2),
                np.repeat(stack.rows, 300, 1), np.repeat(stack.cols, 300, 1), stack.row_scores, stack.col_scores,
            )  # fmt: skip
            curve, theta = _Cells(wide), np.arcsin(grid)
            cells = curve.sharpened(curve.at(theta), theta, wide.counts > 0)
            on_grid = _log_likelihood(wide.counts, cells)
            assert solution.converged.all()
            if solution.at_bound[0]:
                end = on_grid[-1] if solution.at_bound[0] > 0 else on_grid[0]
                assert end > on_grid.max() - 1e-6
            else:
                assert _log_likelihood(stack.counts, solution.cells)[0] >= on_grid.max() - 1e-9


@pytest.mark.parametrize("missing", ["listwise", "pairwise"])
def test_standard_errors_against_the_jackknife(missing: str) -> None:
    """Leaving out one row at a time gives the same standard errors, once their derivatives are the observed ones."""
    codes = _codes(7, 300, CUTS[:3], share=0.1)
    if missing == "listwise":
        codes = codes[(codes >= 0).all(axis=1)]
    n = len(codes)
    options: dict[str, Any] = {"missing": missing, "information": "observed"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PairwiseDeletionWarning)
        result = polychoric_from_codes(codes, NAMES[:3], acov=True, **options)
        left = np.array(
            [polychoric_from_codes(np.delete(codes, r, 0), NAMES[:3], **options).estimates for r in range(n)]
        )
    jackknife = (n - 1) / n * (left - left.mean(axis=0)).T @ (left - left.mean(axis=0))
    scale = np.sqrt(np.outer(result.estimate_variances, result.estimate_variances))
    np.testing.assert_allclose(jackknife / scale, result.acov / scale, atol=0.03)  # terms of order 1 / n


# --------------------------------------------------------------------------- identities and invariances
def test_two_by_two_closed_cases() -> None:
    """Cut at both medians, rho = sin(pi / 2 (1 - 4 p)) with p the share of each discordant cell; independence gives 0."""
    for a, b in ((40, 20), (10, 30), (25, 25), (49, 1)):
        codes = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], [a, b, b, a], axis=0)
        result = polychoric_from_codes(codes, ["x", "y"])
        rho = math.cos(math.pi * b / (a + b))
        assert result.correlation[0, 1] == pytest.approx(rho, abs=1e-12)
    codes = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], [18, 42, 12, 28], axis=0)
    assert polychoric_from_codes(codes, ["x", "y"]).correlation[0, 1] == pytest.approx(0.0, abs=1e-12)


def test_tetrachoric_fits_its_table() -> None:
    """One correlation and two thresholds reproduce the four cells of any two by two table."""
    rng = np.random.default_rng(8)
    for _ in range(20):
        counts = rng.integers(1, 200, 4)
        codes = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], counts, axis=0)
        result = polychoric_from_codes(codes, ["x", "y"])
        cells = rectangle_probabilities(
            result.thresholds["x"][:, None], result.thresholds["y"][:, None], result.correlation[0, [1]]
        )
        _close(cells.ravel(), counts / counts.sum(), 1e-12)


def test_exact_table_gives_its_correlation() -> None:
    """Tables that are exactly bivariate normal give back the correlation, at every strength."""
    for rho in (-0.995, -0.7, -0.05, 0.0, 0.3, 0.9, 0.999):
        cuts = np.array([[-1.2], [-0.3], [0.4], [1.1]])
        cells = rectangle_probabilities(cuts, cuts[:2], np.array([rho]))[:, :, 0]
        marginal = np.zeros((2, 5))
        marginal[0], marginal[1, :3] = cells.sum(axis=1), cells.sum(axis=0)
        joint = np.zeros((1, 5, 5))
        joint[0, :, :3] = np.where(cells < 1e-12, 0, cells) * 1e6
        tables = ContingencyTables(
            ("x", "y"), (tuple(range(5)), (0, 1, 2)), "listwise", 10**6, 10**6, np.full(2, 10**6),
            np.full((2, 2), 10**6), marginal * 1e6, joint,
        )  # fmt: skip
        result = polychoric_from_tables(tables)
        assert result.correlation[0, 1] == pytest.approx(rho, abs=1e-9)
        _close(result.thresholds["x"], cuts.ravel(), 1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.permutations(range(4)))
def test_item_and_row_order(seed: int, order: list[int]) -> None:
    """Neither the order of items nor of rows changes an estimate or a standard error."""
    codes = _codes(seed, 200, CUTS)
    categories = [tuple(range(len(c) + 1)) for c in CUTS]
    base = _from(codes, NAMES, categories)
    rows = np.random.default_rng(seed).permutation(200)
    moved = _from(codes[rows][:, order], [NAMES[i] for i in order], [categories[i] for i in order])
    _close(moved.correlation, base.correlation[np.ix_(order, order)], 1e-10)
    _close(moved.se, base.se[np.ix_(order, order)], 1e-10)
    for name in NAMES:
        _close(moved.thresholds[name], base.thresholds[name], 1e-14)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(range(4)))
def test_reversed_item_flips_the_sign(seed: int, item: int) -> None:
    """Reversing the categories of an item turns the sign of its correlations and its thresholds, nothing else."""
    codes = _codes(seed, 200, CUTS)
    categories = [tuple(range(len(c) + 1)) for c in CUTS]
    turned = codes.copy()
    turned[:, item] = len(CUTS[item]) - turned[:, item]
    base, other = _from(codes, NAMES, categories), _from(turned, NAMES, categories)
    sign = np.ones(4)
    sign[item] = -1
    _close(other.correlation, base.correlation * np.outer(sign, sign), 1e-10)
    _close(other.se, base.se, 1e-10)
    _close(other.thresholds[NAMES[item]], -base.thresholds[NAMES[item]][::-1], 1e-13)


def _from(codes: np.ndarray, names: list[str], categories: list[tuple[int, ...]]) -> PolychoricResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelmeasureWarning)
        return polychoric_from_codes(codes, names, categories=categories)


def test_relabelled_categories() -> None:
    """Only the order of the categories counts, not their values."""
    codes = _codes(9, 300, CUTS)
    labels = [(1, 2, 3, 4), (0, 9), (-5, 0, 100), (1.5, 2, 7, 8, 9)]
    values = np.column_stack([np.array(label)[column] for label, column in zip(labels, codes.T, strict=True)])
    again = category_codes(values, NAMES, labels)
    assert polychoric_from_codes(again, NAMES).equals(polychoric_from_codes(codes, NAMES), rtol=1e-12)


def test_pooled_tables_give_the_pooled_answer() -> None:
    """Tables of two halves, added, give the result of all rows."""
    codes = _codes(10, 600, CUTS, share=0.05)
    kinds: list[tuple[int, ...]] = [tuple(range(len(c) + 1)) for c in CUTS]
    halves = [contingency_tables(codes[part], NAMES, categories=kinds) for part in (slice(250), slice(250, None))]
    with pytest.warns(PairwiseDeletionWarning):
        pooled, whole = (
            polychoric_from_tables(halves[0] + halves[1]),
            polychoric_from_codes(codes, NAMES, categories=kinds),
        )
    assert pooled.equals(whole, rtol=1e-12)


def test_recovery() -> None:
    """True correlations and thresholds lie within 4 standard errors of the estimates from 20,000 rows."""
    result = polychoric_from_codes(_codes(11, 20_000, CUTS), NAMES, missing="listwise")
    z = (result.correlation[item_pairs(4)] - 0.5) / result.se[item_pairs(4)]
    assert np.abs(z).max() < 4
    for name, cuts in zip(NAMES, CUTS, strict=True):
        assert (np.abs(result.thresholds[name] - cuts) / result.threshold_se[name]).max() < 4


@pytest.mark.slow
@pytest.mark.parametrize("information", ["crossproduct", "observed"])
def test_coverage(information: str) -> None:
    """95% intervals cover in 93 to 97% of 2,000 samples of 400, for every correlation and threshold."""
    inside = np.zeros(6 + 10)
    truth = np.r_[np.concatenate(CUTS), np.full(6, 0.5)]
    for seed in range(2000):
        result = polychoric_from_codes(_codes(seed, 400, CUTS), NAMES, missing="listwise", information=information)  # type: ignore[arg-type]
        inside += np.abs(result.estimates - truth) < 1.959964 * np.sqrt(result.estimate_variances)
    assert (inside / 2000 > 0.93).all()
    assert (inside / 2000 < 0.97).all()


# --------------------------------------------------------------------------- sparse tables, empty categories
def _two(counts: Any) -> np.ndarray:
    cells = np.array(counts, dtype=int)
    return np.repeat(np.array(list(np.ndindex(*cells.shape))), cells.ravel(), axis=0)


def test_empty_cell_of_a_two_by_two_table() -> None:
    """Without a correction the correlation is at its bound, and said to be; with it, lavaan's default is matched."""
    case = CASES["empty"]
    codes = _two(case["t2"])
    with pytest.warns(SparseTableWarning, match="a with b"), pytest.warns(NotPositiveDefiniteWarning):
        result = polychoric_from_codes(codes, ["a", "b"], missing="listwise", acov=True)
    assert result.acov is not None
    assert np.isnan(result.acov[-1]).all()
    assert np.isfinite(result.acov[:-1, :-1]).all()
    assert result.correlation[0, 1] == -1.0
    assert math.isnan(result.se[0, 1])
    assert result.status.level == "caution"
    assert result.at_bound == (("a", "b"),)
    # lavaan without its correction stops at -0.93, where the likelihood rises by less than its tolerance
    assert case["t2_none"] > result.correlation[0, 1]
    corrected = polychoric_from_codes(codes, ["a", "b"], missing="listwise", correct=0.5)
    assert corrected.correlation[0, 1] == pytest.approx(case["t2_half"], abs=LAVAAN)
    assert corrected.correlation[0, 1] == pytest.approx(case["t2_default"], abs=LAVAAN)
    assert corrected.n_corrected == 1
    assert corrected.status.ok


def test_empty_cells_of_larger_tables() -> None:
    """They are no trouble, and are corrected only if asked for in tables of every size."""
    case = CASES["empty"]
    codes = _two(case["t3"])
    plain = polychoric_from_codes(codes, ["a", "b"])
    assert plain.correlation[0, 1] == pytest.approx(case["t3_none"], abs=LAVAAN)
    assert polychoric_from_codes(codes, ["a", "b"], correct=0.5).equals(plain) is False  # the option is recorded
    assert polychoric_from_codes(codes, ["a", "b"], correct=0.5).n_corrected == 0
    every = polychoric_from_codes(codes, ["a", "b"], correct=0.5, correct_tables="all")
    assert every.correlation[0, 1] == pytest.approx(case["t3_half"], abs=LAVAAN)
    assert every.n_corrected == 1


@pytest.mark.parametrize(("counts", "bound"), [([[5, 0], [0, 7]], 1.0), ([[0, 5], [7, 0]], -1.0)])
def test_perfect_agreement(counts: Any, bound: float) -> None:
    """Both discordant (or concordant) cells empty."""
    with pytest.warns((SparseTableWarning, NotPositiveDefiniteWarning)):
        result = polychoric_from_codes(_two(counts), ["a", "b"])
    assert result.correlation[0, 1] == bound
    assert result.status.level == "caution"
    assert result.status.admissible is False
    corrected = _from_quiet(_two(counts), correct=0.5)
    assert abs(corrected.correlation[0, 1]) < 1.0


def _from_quiet(codes: np.ndarray, **options: Any) -> PolychoricResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return polychoric_from_codes(codes, [f"i{k}" for k in range(codes.shape[1])], **options)


def test_near_perfect_agreement() -> None:
    """Two discordant answers in ten thousand keep a five by five table off its bound."""
    counts = np.diag([2000] * 5)
    counts[0, 1] = counts[1, 0] = 1
    result = polychoric_from_codes(_two(counts), ["a", "b"])
    assert 0.999 < result.correlation[0, 1] < 1.0
    assert result.status.ok
    counts[1, 0] = 0  # one alone moves the margins with it: monotone variables have just this table
    for table in (counts, np.diag([2000] * 5)):
        with pytest.warns(SparseTableWarning), pytest.warns(NotPositiveDefiniteWarning):
            perfect = polychoric_from_codes(_two(table), ["a", "b"])
        assert perfect.correlation[0, 1] == 1.0


def test_outlier_of_a_strong_association() -> None:
    """One answer in the far corner: its cell has a probability below 1e-30, and its logarithm still counts."""
    counts = np.diag([2000] * 5)
    counts[0, 4] = 1
    result = polychoric_from_codes(_two(counts), ["a", "b"], information="observed")
    rho = result.correlation[0, 1]
    assert 0.98 < rho < 1.0
    assert result.status.ok
    assert np.isfinite(result.se).all()
    cuts = (result.thresholds["a"][:, None], result.thresholds["b"][:, None])

    def log_likelihood(r: float) -> float:
        cells = rectangle_probabilities(*cuts, np.array([r]))[:, :, 0]
        sides = (cuts[0][0], cuts[1][-1])
        infinite = np.array([np.inf])
        cells[0, 4] = small_rectangles(-infinite, sides[0], sides[1], infinite, np.array([r]))[0]
        return float((counts[counts > 0] * np.log(cells[counts > 0])).sum())

    assert log_likelihood(rho) > max(log_likelihood(rho - 1e-4), log_likelihood(rho + 1e-4))


def test_empty_category_is_joined() -> None:
    """An empty category loses its threshold, keeps the numbers of the others, and changes no correlation."""
    codes = _codes(12, 400, CUTS[:3])
    spread = codes.copy()
    spread[:, 0] = np.array([0, 1, 3, 4])[codes[:, 0]]  # nobody in 2, nor in 5
    declared = [(1, 2, 3, 4, 5, 6), (0, 1), (0, 1, 2)]
    with pytest.warns(EmptyCategoryWarning, match="a: 3, 6"):
        result = polychoric_from_codes(spread, NAMES[:3], categories=declared, acov=True)
    base = polychoric_from_codes(codes, NAMES[:3], acov=True)
    assert result.threshold_numbers["a"] == (1, 2, 4)
    assert result.parameters[:4] == ("a|t1", "a|t2", "a|t4", "b|t1")
    _close(result.thresholds["a"], base.thresholds["a"], 1e-14)
    _close(result.correlation, base.correlation, 1e-12)
    _close(result.acov, base.acov, 1e-14)
    assert [note.code for note in result.warnings] == ["empty-category"]


def test_constant_item() -> None:
    """An item with one category has no correlation: NaN, a warning, a failed status with its reason."""
    codes = _codes(13, 200, CUTS[:3])
    codes[:, 1] = 1
    with pytest.warns((ConstantItemWarning, EmptyCategoryWarning)):
        result = polychoric_from_codes(codes, NAMES[:3], acov=True)
    assert np.isnan(result.correlation[1, [0, 2]]).all()
    assert result.correlation[0, 2] == pytest.approx(0.5, abs=0.2)
    assert result.status.level == "failed"
    assert "does not vary" in result.status.reasons[0]
    assert len(result.thresholds["b"]) == 0
    assert math.isnan(result.min_eigenvalue)


def test_pair_without_rows() -> None:
    """Two items never answered together have no correlation."""
    rows = [[0, 0, -1], [1, 1, -1], [1, 0, -1], [0, 1, -1], [0, -1, 0], [1, -1, 1], [1, -1, 0], [0, -1, 1]]
    with pytest.warns(PairwiseDeletionWarning):
        result = polychoric_from_codes(np.array(rows * 20), ["a", "b", "c"])
    assert math.isnan(result.correlation[1, 2])
    assert result.status.level == "failed"
    assert result.n_pair[1, 2] == 0


def test_listwise_deletion_is_counted() -> None:
    """Dropped rows are a warning with their number."""
    codes = _codes(14, 300, CUTS, share=0.1)
    complete = int((codes >= 0).all(axis=1).sum())
    with pytest.warns(ListwiseDeletionWarning, match=f"{300 - complete} of 300 rows"):
        result = polychoric_from_codes(codes, NAMES, missing="listwise")
    assert result.n_obs == result.n_used == complete
    assert result.n_rows == 300


def test_iterations_that_end_early_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without enough steps the correlations are named, and the status fails."""
    monkeypatch.setattr("relmeasure.samplestats.twostep._MAX_STEPS", 1)
    with pytest.warns(NotConvergedWarning, match="a with b"):
        result = polychoric_from_codes(_codes(20, 200, CUTS), NAMES)
    assert result.status.level == "failed"
    assert result.status.converged is False
    assert ("a", "b") in result.not_converged


# --------------------------------------------------------------------------- definiteness
def _not_definite() -> np.ndarray:
    """Three items, each pair of which was answered by other people, with correlations no three variables can have."""
    one = _two([[45, 5], [5, 45]])
    other = _two([[5, 45], [45, 5]])
    gap = np.full((len(one), 1), -1)
    return np.vstack(
        [
            np.hstack([one, gap]),
            np.hstack([one[:, [0]], gap, one[:, [1]]]),
            np.hstack([gap, other]),
        ]
    )


def test_not_positive_definite_is_reported_not_smoothed() -> None:
    """The smallest eigenvalue is named and the matrix left alone; asked for, smoothing says how far it moved."""
    with pytest.warns((NotPositiveDefiniteWarning, PairwiseDeletionWarning), match="smallest eigenvalue|rows"):
        result = polychoric_from_codes(_not_definite(), ["a", "b", "c"])
    assert result.min_eigenvalue < -0.5
    assert result.min_eigenvalue == pytest.approx(np.linalg.eigvalsh(result.correlation)[0])
    assert result.status.level == "caution"
    assert result.status.admissible is False
    assert result.smoothed_by == 0.0
    smoothed = _from_quiet(_not_definite(), smooth=True)
    assert np.linalg.eigvalsh(smoothed.correlation)[0] > 0
    assert np.diag(smoothed.correlation).tolist() == [1.0, 1.0, 1.0]
    assert smoothed.min_eigenvalue == pytest.approx(result.min_eigenvalue)
    assert smoothed.smoothed_by == pytest.approx(np.abs(smoothed.correlation - result.correlation).max())
    assert f"{smoothed.smoothed_by:.3g}" in "".join(note.message for note in smoothed.warnings)
    _close(smoothed.estimates, result.estimates, 1e-12)


def test_matrix_alone() -> None:
    """For resampling: the same correlations, without standard errors or warnings."""
    for codes in (_codes(21, 200, CUTS, share=0.1), _not_definite()):
        names = NAMES[: codes.shape[1]]
        tables = contingency_tables(codes, names)
        np.testing.assert_array_equal(polychoric_matrix(tables), _quiet(tables).correlation)


def test_definite_matrix_is_not_touched() -> None:
    """Smoothing a positive definite matrix is no change."""
    codes = _codes(15, 300, CUTS)
    assert polychoric_from_codes(codes, NAMES, smooth=True).equals(polychoric_from_codes(codes, NAMES))


# --------------------------------------------------------------------------- errors and the result
@pytest.mark.parametrize(
    ("codes", "options", "error"),
    [
        (np.zeros((3, 1), int), {}, TooFewItemsError),
        (np.full((3, 2), -1), {}, TooFewObservationsError),
        (np.zeros((0, 2), int), {}, TooFewObservationsError),
        (np.array([[0, -1], [-1, 1]]), {"missing": "listwise"}, TooFewObservationsError),
        (np.eye(2, dtype=int), {"correct": 1.0}, OptionError),
        (np.eye(2, dtype=int), {"correct": -0.1}, OptionError),
        (np.eye(2, dtype=int), {"correct_tables": "3x3"}, OptionError),
        (np.eye(2, dtype=int), {"information": "expected"}, OptionError),
        (np.eye(2, dtype=int), {"missing": "drop"}, OptionError),
    ],
)
def test_nonsense_is_a_typed_error(codes: np.ndarray, options: dict[str, Any], error: type[Exception]) -> None:
    """One item, no rows, and options that do not exist."""
    with pytest.raises(error):
        polychoric_from_codes(codes, NAMES[: codes.shape[1]], **options)


def test_covariance_needs_the_rows() -> None:
    """Without rows there is no full covariance, and the error says what to do; wrong rows are refused."""
    codes = _codes(16, 200, CUTS)
    result = polychoric_from_codes(codes, NAMES)
    with pytest.raises(UnsupportedDataError, match="acov=True"):
        _ = result.nacov
    assert result.nacov_diagonal.shape == (len(result.parameters),)
    with pytest.raises(DataError, match="3 items"):
        polychoric_acov(result, codes[:, :3])
    with pytest.raises(DataError, match="weights"):
        polychoric_acov(result, codes, np.ones(200))


def test_result() -> None:
    """It serves as moments, tabulates, prints, pickles, round-trips and is read-only."""
    result = polychoric_from_codes(_codes(17, 300, CUTS), NAMES, acov=True)
    assert result.cor is result.correlation
    np.testing.assert_array_equal(result.cov, result.correlation)
    np.testing.assert_array_equal(result.mean, np.zeros(4))
    assert (result.n_obs, result.names, result.n_items) == (300, tuple(NAMES), 4)
    np.testing.assert_array_equal(np.diag(result.se), np.zeros(4))
    frame = result.to_frame()
    assert list(frame.columns) == ["item_1", "item_2", "correlation", "se", "n_obs", "method"]
    assert frame["method"].tolist() == ["polychoric"] * 6
    assert result.method("b", "c") == "polychoric"
    assert "smallest eigenvalue" in str(result)
    assert PolychoricResult.from_dict(json.loads(json.dumps(result.to_dict()))).equals(result)
    assert pickle.loads(pickle.dumps(result)).equals(result)
    with pytest.raises(ValueError, match="read-only"):
        result.thresholds["a"][0] = 1.0
    wide = polychoric_from_codes(_codes(18, 300, [[0.0]] * 13), [f"i{k}" for k in range(13)])
    assert "78 correlations from" in wide.summary()


def test_thresholds_are_quantiles_of_own_rows() -> None:
    """In pairwise data each item keeps its own rows."""
    codes = _codes(19, 400, CUTS, share=0.2)
    with pytest.warns(PairwiseDeletionWarning):
        result = polychoric_from_codes(codes, NAMES)
    for name, column in zip(NAMES, codes.T, strict=True):
        own = column[column >= 0]
        shares = [(own <= k).mean() for k in range(own.max())]
        _close(result.thresholds[name], normal_quantile(shares), 1e-13)
