"""Gradients, Hessians and information of every objective against finite differences, for every kind of model."""

from __future__ import annotations

import numpy as np
import pytest

from relmeasure.numerics.optimize import numerical_gradient, numerical_jacobian
from relmeasure.structural.estimation.cases import block_scores
from relmeasure.structural.estimation.discrepancy import NormalLikelihood
from relmeasure.structural.estimation.full_information import FullInformation
from relmeasure.structural.estimation.implied import Candidates
from relmeasure.structural.estimation.saturated import incomplete_scores
from tests.structural.models import MODELS, NAMES, incomplete, objective, simulated, table_of

GRADIENT = 1e-7
"""Central differences of a function with rounding error 1e-16 and step 1e-6."""

KINDS = ["ML", "GLS", "DWLS", "WLS", "FIML"]


CASES = [(kind, means) for kind in KINDS for means in (False, True) if means or kind != "FIML"]


@pytest.mark.parametrize(("kind", "means"), CASES)
@pytest.mark.parametrize("name", MODELS)
def test_gradient_and_hessian(name: str, kind: str, means: bool) -> None:
    function, x = objective(table_of(name, means=means), kind)
    scale = 1.0 + np.abs(function.gradient(x)).max()
    assert numerical_gradient(function.value, x) == pytest.approx(function.gradient(x), abs=GRADIENT * scale)
    exact = function.curvature(x, exact=True)
    scale = 1.0 + np.abs(exact).max()
    assert numerical_jacobian(function.gradient, x) == pytest.approx(exact, abs=GRADIENT * scale)


@pytest.mark.parametrize("name", MODELS)
def test_expected_information_is_the_hessian_where_the_sample_is_implied(name: str) -> None:
    table = table_of(name, means=True)
    function, x = objective(table, "ML")
    assert isinstance(function, NormalLikelihood)
    state = function.structure.states(x)[0]
    function.covariances = [state.sigma.copy()]
    object.__setattr__(function.groups[0], "mean", state.mu.copy())
    exact, expected = function.curvature(x, exact=True), function.curvature(x, exact=False)
    assert exact == pytest.approx(expected, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("name", MODELS)
def test_scores_of_rows_add_up_to_the_gradient(name: str) -> None:
    table = table_of(name, means=True)
    function, x = objective(table, "ML")
    state = function.structure.states(x)[0]
    rows = simulated()[:, [NAMES.index(v) for v in table.observed]]
    scores = block_scores(state, np.linalg.inv(state.sigma), rows, state.mu)
    assert -function.structure.scatter_vector([scores.mean(axis=0)]) == pytest.approx(function.gradient(x), abs=1e-10)


def test_scores_of_incomplete_rows_add_up_to_the_gradient() -> None:
    table = table_of("latent regression", means=True)
    function, x = objective(table, "FIML")
    assert isinstance(function, FullInformation)
    rows = incomplete()[:, [NAMES.index(v) for v in table.observed]]
    rows = rows[~np.isnan(rows).all(axis=1)]
    scores = incomplete_scores(function.structure.states(x)[0], rows)
    assert -function.structure.scatter_vector([scores.mean(axis=0)]) == pytest.approx(function.gradient(x), abs=1e-10)


def test_full_information_of_complete_rows_is_the_normal_likelihood() -> None:
    from relmeasure.samplestats.patterns import missing_patterns

    table = table_of("two factors", means=True)
    plain, x = objective(table, "ML")
    patterns = missing_patterns(simulated(), NAMES)
    full = FullInformation(plain.structure, [patterns], [1.0], [0.0])
    assert full.gradient(x) == pytest.approx(plain.gradient(x), abs=1e-12)
    for exact in (True, False):
        assert full.pattern_information(x, exact=exact) == pytest.approx(plain.curvature(x, exact=exact), abs=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_information_of_candidates_is_that_of_parameters(kind: str) -> None:
    """Treating free parameters as candidates must give back the rows of the information."""
    function, x = objective(table_of("cross-loading", means=True), kind)
    block = function.structure.blocks[0]
    candidates = Candidates(block.free.kind, block.free.i, block.free.j)
    cross, own = function.candidate_information(x, 0, candidates)
    if isinstance(function, FullInformation):
        whole = function.pattern_information(x, exact=False)
    else:
        whole = function.curvature(x, exact=False)
    assert cross == pytest.approx(whole[block.index], rel=1e-10, abs=1e-12)
    assert own == pytest.approx(np.diag(whole)[block.index], rel=1e-10)
    slopes = function.candidate_slopes(x, 0, candidates)
    assert slopes == pytest.approx(function.gradient(x)[block.index], abs=1e-12)


def test_a_point_without_a_value() -> None:
    function, x = objective(table_of("one factor", means=False), "ML")
    worse = x.copy()
    worse[-5:] = -1.0
    assert function.value(worse) == np.inf
    with pytest.raises(np.linalg.LinAlgError):
        function.gradient(worse)
