"""Structural models of true class scores: a model string, fitted with the error covariance of every class taken out.

The moments implied by the model stand where ``latent_moments`` has free ones: y_j ~ N(mu(theta), Sigma(theta) + E_j),
maximised by Fisher scoring. Without errors this is full-information maximum likelihood, as ``sem`` gives it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from relmeasure.exceptions import ConvergenceError, EstimationError, ModelError, NotPositiveDefiniteError
from relmeasure.numerics.optimize import minimize
from relmeasure.panel.error_moments import ClassMeans
from relmeasure.panel.latent_moments import LatentMoments, Problem, cluster_meat, latent_moments, problem_of
from relmeasure.results import frozen_array
from relmeasure.structural.estimation.implied import BlockState, ModelStructure
from relmeasure.structural.estimation.samples import GroupSample
from relmeasure.structural.estimation.start import starting_values
from relmeasure.structural.language.parameter_table import ParameterTable
from relmeasure.structural.language.restrictions import Restrictions, restrictions_of
from relmeasure.structural.language.specification import ModelOptions, build_table
from relmeasure.structural.language.syntax import parse_model

__all__ = ["TrueScoreFit", "fit_true_scores"]

Array = np.ndarray[Any, np.dtype[Any]]

_STEPS = 100
_SINGULAR = 1e-10
"""Smallest eigenvalue of the information, as a correlation matrix, below which a model is not identified."""


@dataclass(frozen=True)
class TrueScoreFit:
    """A model of true scores.

    Attributes
    ----------
    table : ParameterTable
    x : array (q,)
        Free parameters.
    acov : array (q, q)
        Their covariance: sandwich over classes or schools, and the part of the within covariance.
    log_likelihood, chisq : float
        ``chisq``: twice the difference from the unrestricted moments.
    df : int
    admissible : bool
        No variance below zero, and a positive definite covariance of true scores.
    """

    table: ParameterTable
    x: Array
    acov: Array
    log_likelihood: float
    chisq: float
    df: int
    admissible: bool

    @cached_property
    def _place(self) -> dict[tuple[str, str, str], int]:
        names = ((self.table.lhs[r], self.table.op[r], self.table.rhs[r]) for r in self.table.free_rows)
        return {name: k for k, name in enumerate(names)}

    def parameter(self, lhs: str, op: str, rhs: str) -> int:
        """Place of a free parameter."""
        return self._place[lhs, op, rhs]

    def states(self) -> BlockState:
        """Implied moments."""
        return ModelStructure(self.table).states(self.x)[0]


def fit_true_scores(
    syntax: str,
    means: ClassMeans,
    *,
    corrected: bool = True,
    auto: bool = False,
    groups: Any = None,
    saturated: LatentMoments | None = None,
) -> TrueScoreFit:
    """Fit a model string to the true scores behind class means.

    Parameters
    ----------
    syntax : str
        In lavaan's language, over ``means.names``.
    means : ClassMeans
    corrected : bool
        False leaves the errors in.
    auto : bool
        Whether ``sem`` adds its defaults.
    groups : sequence, optional
        Schools of the classes, for standard errors.
    saturated : LatentMoments, optional
        The unrestricted moments, if they are known.

    Returns
    -------
    TrueScoreFit

    Raises
    ------
    EstimationError, TooFewObservationsError, ModelError

    Notes
    -----
    Starts at guesses from the unrestricted moments, as ``sem`` does.
    """
    free = saturated if saturated is not None else latent_moments(means, corrected=corrected)
    if not free.admissible:
        raise NotPositiveDefiniteError(
            "The covariance of true scores over all waves has an eigenvalue at or below zero "
            f"({np.linalg.eigvalsh(free.cov)[0]:.2g}): there is too much error for a model of all waves.",
            min_eigenvalue=float(np.linalg.eigvalsh(free.cov)[0]),
        )
    table, start = _start(syntax, free, auto)
    objective = _Objective(problem_of(means, corrected=corrected), table, means.names)
    found = minimize(objective, objective.restrictions.reduce(start), tolerance=1e-12, max_iterations=_STEPS)
    if not found.converged:
        raise ConvergenceError(f"The model of true scores did not settle ({found.message}).")
    x = objective.restrictions.expand(found.x)
    state = objective.structure.states(x)[0]
    variances = [float(x[k]) for k, r in enumerate(table.free_rows) if _is_variance(table, r)]
    moments = len(free.mean) + len(free.places[0])
    return TrueScoreFit(
        table=table,
        x=x,
        acov=objective.acov(x, means, free, groups, corrected=corrected),
        log_likelihood=-found.value,
        chisq=max(2 * (free.log_likelihood + found.value), 0.0),
        df=moments - objective.restrictions.K.shape[1],
        admissible=min(variances, default=1.0) >= 0 and bool(np.linalg.eigvalsh(state.V)[0] > -1e-8),
    )


def _is_variance(table: ParameterTable, row: int) -> bool:
    return table.op[row] == "~~" and table.lhs[row] == table.rhs[row]


def _start(syntax: str, free: LatentMoments, auto: bool) -> tuple[ParameterTable, Array]:
    """Complete the model, and guess its parameters from the unrestricted moments."""
    options = ModelOptions(auto=auto, fixed_x=False, mean_structure=True)
    table = build_table(parse_model(syntax), options)
    missing = [name for name in free.names if name not in table.observed]
    unknown = [name for name in table.observed if name not in free.names]
    if missing or unknown:
        raise ModelError(
            f"The model must be about exactly {', '.join(free.names)}; it leaves out "
            f"{', '.join(missing) or 'none'} and adds "
            f"{', '.join(unknown) or 'none'}."
        )
    place = [free.names.index(name) for name in table.observed]
    sample = GroupSample(
        "", free.n_classes, frozen_array(free.mean[place]), frozen_array(free.cov[np.ix_(place, place)])
    )
    return table, starting_values(table, [sample])


class _Objective:
    """Minus the log-likelihood over the reduced parameters."""

    exact_below = 0.0
    """There is no exact curvature; scoring does."""

    def __init__(self, problem: Problem, table: ParameterTable, names: tuple[str, ...]) -> None:
        self.problem, self.table = problem, table
        self.structure = ModelStructure(table)
        self.restrictions: Restrictions = restrictions_of(table)
        self.order = np.array([table.observed.index(name) for name in names])
        first, second = np.triu_indices(len(names))
        place = np.zeros((len(names), len(names)), dtype=np.intp)
        place[first, second] = place[second, first] = np.arange(len(first))
        self.vech = place[np.ix_(self.order, self.order)][problem.rows, problem.columns]

    def moments(self, alpha: Array) -> tuple[Array, Array]:
        """Mean and covariance in the order of the scores."""
        state = self.structure.states(self.restrictions.expand(alpha))[0]
        return state.mu[self.order], state.sigma[np.ix_(self.order, self.order)]

    def derivatives(self, x: Array) -> Array:
        """Derivatives of mean and lower triangle with respect to the free parameters."""
        block = self.structure.blocks[0]
        by_mean, by_cov = self.structure.states(x)[0].jacobian()
        out = np.zeros((self.problem.n_parameters, self.structure.n_free))
        out[:, block.index] = np.vstack([by_mean[self.order], by_cov[self.vech]])
        return out

    def value(self, alpha: Array) -> float:
        """Minus the log-likelihood."""
        return -self.problem.log_likelihood(*self.moments(alpha))

    def gradient(self, alpha: Array) -> Array:
        """Its gradient."""
        inverse, residual = self.problem.parts(*self.moments(alpha))
        score = self.problem.scores(inverse, residual).sum(axis=0)
        x = self.restrictions.expand(alpha)
        return -self.restrictions.reduce_gradient(self.derivatives(x).T @ score)

    def curvature(self, alpha: Array, *, exact: bool) -> Array:  # noqa: ARG002  # scoring only
        """Expected information."""
        inverse, _ = self.problem.parts(*self.moments(alpha))
        slopes = self.derivatives(self.restrictions.expand(alpha))
        return self.restrictions.reduce_curvature(slopes.T @ self.problem.information(inverse) @ slopes)

    def acov(self, x: Array, means: ClassMeans, free: LatentMoments, groups: Any, *, corrected: bool) -> Array:
        """Sandwich of the free parameters, and the part that comes from the within covariance."""
        alpha = self.restrictions.reduce(x)
        inverse, residual = self.problem.parts(*self.moments(alpha))
        slopes = self.derivatives(x)
        K = self.restrictions.K if not self.restrictions.trivial else np.eye(len(x))
        information = self.curvature(alpha, exact=False)
        scale = np.sqrt(np.maximum(np.diag(information), 1e-300))
        if float(np.linalg.eigvalsh(information / np.outer(scale, scale))[0]) < _SINGULAR:
            raise EstimationError("The information of the model is singular: these data do not identify it.")
        bread = K @ np.linalg.inv(information) @ K.T
        scores = np.zeros((len(means.labels), self.problem.n_parameters))
        scores[(~np.isnan(means.mean)).any(axis=1)] = self.problem.scores(inverse, residual)
        meat = slopes.T @ cluster_meat(scores, groups) @ slopes
        out = bread @ meat @ bread
        if corrected:
            moved = bread @ slopes.T @ self.problem.sensitivity(inverse)
            out = out + moved @ free.within_acov @ moved.T
        return np.asarray(out)
