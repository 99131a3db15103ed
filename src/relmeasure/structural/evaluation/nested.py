"""How a restricted model lies inside a larger one."""

from __future__ import annotations

from typing import Any

import numpy as np

from relmeasure.exceptions import EstimationError, UnsupportedDataError
from relmeasure.structural.estimation.engine import Fitted
from relmeasure.structural.estimation.ordinal import CategoricalLeastSquares
from relmeasure.structural.language.parameter_table import ParameterTable

__all__ = ["at_implied_moments", "difference_traces"]

Array = np.ndarray[Any, np.dtype[Any]]


def at_implied_moments(larger: Fitted, restricted: Fitted) -> Fitted:
    """Return the larger model at the estimates of the restricted one.

    Raises
    ------
    UnsupportedDataError
        Parameters of the same names do not reproduce the restricted model's moments.
    """
    table = larger.engine.table
    known = _by_name(restricted.engine.table, restricted.row_values)
    x = np.array([known.get(_name(table, row), 0.0) for row in table.free_rows])
    moved = Fitted(larger.engine, x)
    for mine, theirs in zip(moved.states, restricted.states, strict=True):
        order = [table.observed.index(name) for name in restricted.engine.table.observed]
        if not np.allclose(mine.sigma[np.ix_(order, order)], theirs.sigma, rtol=1e-8, atol=1e-10):
            raise UnsupportedDataError(
                "The larger model does not contain the restricted one under the same parameter names, which this "
                "method needs: use 'satorra.bentler.2001' or 'satorra.2000', or scale the factors of both models alike."
            )
    return moved


def _name(table: ParameterTable, row: int) -> tuple[str, str, str, int]:
    lhs, rhs = table.lhs[row], table.rhs[row]
    first, second = sorted((lhs, rhs)) if table.op[row] == "~~" else (lhs, rhs)
    return first, table.op[row], second, table.group[row]


def _by_name(table: ParameterTable, values: Array) -> dict[tuple[str, str, str, int], float]:
    return {_name(table, row): float(values[row]) for row in range(len(table))}


def difference_traces(restricted: Fitted, larger: Fitted) -> tuple[float, float]:
    r"""Return ``tr(M)`` and ``tr(M^2)`` of the weights of the difference test (Satorra, 2000).

    With the larger model's information ``P``, the covariance ``B`` of its scores and the restrictions ``A`` of the
    smaller one, ``M = (A P^{-1} A')^{-1} A P^{-1} B P^{-1} A'``.
    """
    inverse = larger.inverse_within(larger.information(larger.engine.method.information))
    if inverse is None:
        raise EstimationError("The information matrix of the larger model is singular: no difference test.")
    A = _restrictions(restricted, larger)
    inner = A @ inverse @ A.T
    spread = A @ inverse @ larger.score_covariance @ inverse @ A.T
    M = np.linalg.solve(inner, spread)
    return float(np.trace(M)), float((M * M.T).sum())


def _restrictions(restricted: Fitted, larger: Fitted) -> Array:
    """Return the directions of the larger model's parameters that the restricted one forbids, array (d, q)."""
    if isinstance(larger.engine.discrepancy, CategoricalLeastSquares):
        small, big = _categorical_jacobians(restricted, larger)
    else:
        names = larger.engine.table.observed
        small, big = _moments_by_parameters(restricted, names), _moments_by_parameters(larger, names)
    inside = np.linalg.lstsq(big @ larger.tangent, small @ restricted.tangent, rcond=None)[0]
    _, roots, right = np.linalg.svd(inside.T)
    rank = int((roots > 1e-8 * max(float(roots.max(initial=0.0)), 1e-300)).sum())
    out: Array = right[rank:] @ np.linalg.pinv(larger.tangent)
    return out


def _categorical_jacobians(restricted: Fitted, larger: Fitted) -> tuple[Array, Array]:
    """Return the Jacobians of thresholds and correlations of both models, moments in the order of the larger one."""
    first, second = restricted.engine.discrepancy, larger.engine.discrepancy
    if not isinstance(first, CategoricalLeastSquares) or not isinstance(second, CategoricalLeastSquares):
        raise EstimationError("Only one of the models is of ordered items: no difference test.")
    small, groups = [], zip(restricted.engine.sample.groups, larger.engine.sample.groups, strict=True)
    for J, (mine, theirs) in zip(first.jacobians(restricted.x), groups, strict=True):
        place = {_moment_key(name): k for k, name in enumerate(mine.moment_names)}
        small.append(J[[place[_moment_key(name)] for name in theirs.moment_names]])
    return np.concatenate(small), np.concatenate(second.jacobians(larger.x))


def _moment_key(name: str) -> tuple[str, ...]:
    """The two sides of a correlation are interchangeable."""
    return tuple(sorted(name.split("~~"))) if "~~" in name else (name,)


def _moments_by_parameters(fitted: Fitted, names: tuple[str, ...]) -> Array:
    """Return the Jacobian of all groups' moments over the free parameters, variables in a given order."""
    table = fitted.engine.table
    order = [table.observed.index(name) for name in names]
    i, j = np.triu_indices(len(order))
    pairs = list(zip(i.tolist(), j.tolist(), strict=True))
    place = {pair: at for at, pair in enumerate(pairs)}
    rows = [place[min(order[a], order[b]), max(order[a], order[b])] for a, b in pairs]
    blocks = []
    for state in fitted.states:
        means, upper = state.jacobian()
        block = np.zeros((len(rows) + (len(order) if state.structure.has_means else 0), table.n_free))
        own = np.concatenate([means[order], upper[rows]]) if state.structure.has_means else upper[rows]
        block[:, state.structure.index] = own
        blocks.append(block)
    return np.concatenate(blocks)
