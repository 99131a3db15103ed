"""Residuals: what the model leaves of the sample's means and covariances.

References
----------
Bentler, P. M. (1995). EQS structural equations program manual (correlation residuals). Joreskog, K. G., & Sorbom, D.
(1988). LISREL 7 (normalized residuals). Bollen, K. A. (1989). Structural Equations with Latent Variables, 258-261.
Hausman, J. A. (1978). Econometrica, 46, 1251-1271 (variance of a difference; standardized residuals).
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np

from relmeasure.exceptions import OptionError
from relmeasure.results import Table
from relmeasure.structural.estimation.discrepancy import moment_jacobian
from relmeasure.structural.estimation.engine import Fitted
from relmeasure.structural.estimation.implied import BlockState
from relmeasure.structural.estimation.moment_weights import normal_acov_diagonal
from relmeasure.structural.estimation.ordinal import CategoricalLeastSquares
from relmeasure.structural.evaluation.assess import residual_moments
from relmeasure.structural.evaluation.ordered_residuals import error_matrices, moment_errors, threshold_residuals

__all__ = ["ResidualKind", "residual_matrices", "residual_table", "squared_correlations"]

Array = np.ndarray[Any, np.dtype[Any]]
ResidualKind = Literal["raw", "cor.bentler", "cor.bollen", "normalized", "standardized"]
"""Sample minus implied; over sample standard deviations; as correlations; over their standard errors."""


def residual_matrices(fitted: Fitted, kind: ResidualKind) -> list[tuple[Array, Array]]:
    """Return the residual covariances (p, p) and means (p,) of each group."""
    if kind not in get_args(ResidualKind):
        raise OptionError.from_value("kind", kind, get_args(ResidualKind))
    out = []
    for k, moments in enumerate(residual_moments(fitted)):
        S, sigma = moments["S"], moments["sigma"]
        sd = np.sqrt(np.diag(S))
        cov, mean = S - sigma, moments["m"] - moments["mu"]
        if kind == "cor.bentler":
            cov, mean = cov / np.outer(sd, sd), mean / sd
        elif kind == "cor.bollen":
            implied = np.sqrt(np.diag(sigma))
            cov = S / np.outer(sd, sd) - sigma / np.outer(implied, implied)
            mean = moments["m"] / sd - moments["mu"] / implied
        elif kind in ("normalized", "standardized") and fitted.engine.method.ordinal:
            errors, center = _ordered_errors(fitted, k, kind)
            cov, mean = cov / errors, mean / center
        elif kind == "normalized":
            n = fitted.engine.sample.groups[k].n_obs
            cov = cov / np.sqrt((np.outer(sd, sd) ** 2 + S**2) / n)
            mean = mean / (sd / np.sqrt(n))
        elif kind == "standardized":
            cov, mean = _standardized(fitted, k, cov, mean)
        out.append((cov, mean))
    return out


def _ordered_errors(fitted: Fitted, k: int, kind: str) -> tuple[Array, Array]:
    objective = _objective(fitted)
    errors = moment_errors(fitted, objective, k, fitted_moments=kind == "standardized")
    return error_matrices(objective.blocks[k], errors)


def _objective(fitted: Fitted) -> CategoricalLeastSquares:
    objective = fitted.engine.discrepancy
    if not isinstance(objective, CategoricalLeastSquares):
        raise ValueError("this is for ordered items")
    return objective


def _standardized(fitted: Fitted, k: int, cov: Array, mean: Array) -> tuple[Array, Array]:
    """Divide by the standard errors of the residuals.

    With ``s`` the sample moments, ``V`` the weights at the model and ``E`` the inverse information, the residuals are
    ``(I - J E J' V) s``; their covariance follows from the normal-theory covariance of ``s`` at the sample.
    """
    engine, state = fitted.engine, fitted.states[k]
    group, means = engine.sample.groups[k], state.structure.has_means
    S = np.asarray(group.cov)
    p = len(S)
    bread = fitted.expected_bread
    if bread is None:
        return np.full_like(cov, np.nan), np.full_like(mean, np.nan)
    spread = [
        weight * other.cross_information(W @ np.asarray(g.cov) @ W)
        for weight, other, W, g in zip(
            engine.sample.shares, fitted.states, fitted.inverses, engine.sample.groups, strict=True
        )
    ]
    index = state.structure.index
    E = bread[:, index]
    J, pulled = moment_jacobian(state), _pulled_jacobian(state, S @ fitted.inverses[k])
    own = normal_acov_diagonal(S, means=means)
    left = own / engine.sample.shares[k] - 2.0 * ((J @ E[index]) * pulled).sum(axis=1)
    left += ((J @ (E.T @ engine.structure.scatter_matrix(spread) @ E)) * J).sum(axis=1)
    se = np.sqrt(np.where(left > 1e-9 * own, left, np.nan) / engine.sample.n_obs)
    error = np.full((p, p), np.nan)
    i, j = np.triu_indices(p)
    error[i, j] = error[j, i] = se[p:] if means else se
    return cov / error, (mean / se[:p] if means else np.full_like(mean, np.nan))


def _pulled_jacobian(state: BlockState, left: Array) -> Array:
    """Return the moments of ``left dSigma left'`` and ``left dmu``, array (r, q)."""
    structure = state.structure
    C = left @ state.C
    first, second = np.triu_indices(structure.n_observed)
    Ca, Cb = C[:, structure.a], C[:, structure.b] * structure.s
    upper = Ca[first] * Cb[second] + Ca[second] * Cb[first]
    return np.concatenate([Ca * state.u, upper]) if structure.has_means else upper


def residual_table(fitted: Fitted, kind: ResidualKind) -> Table:
    """Return one row a moment: ``lhs op rhs group residual``; ordered items have thresholds instead of means."""
    table = fitted.engine.table
    rows = []
    for k, (cov, mean) in enumerate(residual_matrices(fitted, kind)):
        group = table.groups[k]
        names = table.observed
        for i, first in enumerate(names):
            rows += [
                {"lhs": names[j], "op": "~~", "rhs": first, "group": group, "residual": float(cov[i, j])}
                for j in range(i + 1)
            ]
        if table.mean_structure:
            rows += [
                {"lhs": name, "op": "~1", "rhs": "", "group": group, "residual": float(mean[i])}
                for i, name in enumerate(names)
                if name not in table.ordered
            ]
        if table.ordered:
            rows += [
                {"lhs": name, "op": "|", "rhs": threshold, "group": group, "residual": value}
                for name, threshold, value in _thresholds(fitted, k, kind)
            ]
    return Table.from_rows(rows, ("lhs", "op", "rhs", "group", "residual"))


def _thresholds(fitted: Fitted, k: int, kind: str) -> list[tuple[str, str, float]]:
    objective = _objective(fitted)
    errors = None
    if kind in ("normalized", "standardized"):
        errors = moment_errors(fitted, objective, k, fitted_moments=kind == "standardized")
    return threshold_residuals(objective.blocks[k], objective.residuals(fitted.x)[k], errors)


def squared_correlations(fitted: Fitted) -> Table:
    """Return R-square of every variable that the model explains: ``name group r_square``."""
    table = fitted.engine.table
    names = [*table.observed, *table.latent]
    rows = []
    for state in fitted.states:
        explained = set(state.structure.entries.i[state.structure.entries.kind == 0].tolist())
        for i, name in enumerate(names):
            if i in explained:
                share = 1.0 - float(state.S[i, i]) / float(state.V[i, i])
                rows.append({"name": name, "group": table.groups[state.structure.group - 1], "r_square": share})
    return Table.from_rows(rows, ("name", "group", "r_square"))
