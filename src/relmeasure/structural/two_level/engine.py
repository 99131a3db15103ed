"""A two-level model with its sample and method: objective, scores of clusters, covariance of estimates.

The machinery of one-level models is used as it stands, with the two levels as its blocks; what is particular to
clusters, the likelihood and the scores, is here.

References
----------
White, H. (1982). Econometrica, 50, 1-25 (sandwich). Rosseel, Y. (2021). Psych, 3, 197-232 (scores by cluster).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from relmeasure.structural.estimation.cases import Cases, cluster_sums
from relmeasure.structural.estimation.discrepancy import Discrepancy
from relmeasure.structural.estimation.engine import Engine, Fitted
from relmeasure.structural.estimation.implied import BlockState
from relmeasure.structural.estimation.method import Method
from relmeasure.structural.language.parameter_table import ParameterTable
from relmeasure.structural.two_level.incomplete import IncompleteTwoLevel
from relmeasure.structural.two_level.likelihood import TwoLevelLikelihood, log_constant
from relmeasure.structural.two_level.sample import TwoLevelSample

__all__ = ["TwoLevelEngine", "TwoLevelFitted", "moment_gram"]

Array = np.ndarray[Any, np.dtype[Any]]


class TwoLevelEngine(Engine):
    """What does not depend on the estimates."""

    def __init__(
        self, table: ParameterTable, sample: TwoLevelSample, method: Method, cases: Cases | None = None
    ) -> None:
        super().__init__(table, sample, method, cases)
        self.two_level = sample

    @property
    def n_effective(self) -> float:
        """Rows: a chi-square is ``N F``."""
        return float(self.two_level.n_obs)

    @cached_property
    def likelihood(self) -> TwoLevelLikelihood | IncompleteTwoLevel:
        """The objective."""
        sample = self.two_level
        variables = sample.variables
        if sample.cells is not None:
            return IncompleteTwoLevel(self.structure, sample.cells, variables, sample.sizes, sample.saturated)
        constant = log_constant(sample.sizes, len(variables.at_within), len(variables.only_between))
        return TwoLevelLikelihood(self.structure, sample.sizes, variables.at_within, sample.saturated - constant)

    @cached_property
    def discrepancy(self) -> Discrepancy:
        """The objective."""
        return self.likelihood

    @property
    def information_discrepancy(self) -> Discrepancy:
        """The objective: rows count alike everywhere."""
        return self.discrepancy


@dataclass(frozen=True)
class TwoLevelFitted(Fitted):
    """An engine at its estimates."""

    engine: TwoLevelEngine

    def information(self, kind: str) -> Array:
        """Return the expected or observed information per row, array (q, q)."""
        return self.engine.likelihood.curvature(self.x, exact=kind == "observed")

    @cached_property
    def cluster_scores(self) -> Array:
        """Scores of the clusters over the free parameters, array (J, q)."""
        cases = self.engine.cases
        if cases is None:
            raise ValueError("scores need the rows")
        group = cases.groups[0]
        clusters = np.asarray(group.clusters)
        likelihood = self.engine.likelihood
        if isinstance(likelihood, IncompleteTwoLevel):
            return likelihood.cluster_scores(self.x, group.rows, clusters)
        return _cluster_scores(likelihood, self.x, group.rows, clusters)

    @cached_property
    def meat(self) -> Array:
        """Cross-product of the scores of clusters, per row."""
        scores = self.cluster_scores
        out: Array = scores.T @ scores / self.engine.two_level.n_obs
        return out


def _cluster_scores(likelihood: TwoLevelLikelihood, x: Array, rows: Array, clusters: Array) -> Array:
    states, found = likelihood.known(x)
    mu = states[0].mu + states[1].mu
    n = np.bincount(clusters)
    means = cluster_sums(rows, clusters) / n[:, None]
    out = np.zeros((len(n), likelihood.structure.n_free))
    size = np.searchsorted(likelihood.sizes.n, n)
    d = means - mu
    e = np.empty_like(d)
    for s in np.unique(size):
        e[size == s] = d[size == s] @ found.A[s]
    for k, state in enumerate(states):
        structure, C = state.structure, state.C
        a, b = structure.a, structure.b
        U = e @ C
        expected = (C.T @ (found.A @ C))[:, a, b]
        part = U[:, a] * U[:, b] - expected[size]
        if k == 0:
            part = part / n[:, None]
            V = (rows - means[clusters]) @ found.W @ C
            part += cluster_sums(V[:, a] * V[:, b], clusters) - (n - 1.0)[:, None] * (C.T @ found.W @ C)[a, b]
        out[:, structure.index] += part * structure.s + U[:, a] * state.u
    return out


def moment_gram(fitted_states: list[BlockState], n_free: int) -> Array:
    """Return cross-products of the Jacobian of both covariance matrices and of the means, in units of the variables.

    The means of the levels add up, so their columns stand in the same rows.
    """
    spread = np.sqrt(np.maximum(sum(np.maximum(np.diag(state.sigma), 0.0) for state in fitted_states), 1e-6))
    first, second = np.triu_indices(len(spread))
    unit = spread[first] * spread[second] * np.where(first == second, np.sqrt(2.0), 1.0)
    out = np.zeros((n_free, n_free))
    means = np.zeros((len(spread), n_free))
    for state in fitted_states:
        index = state.structure.index
        dmu, dsigma = state.jacobian()
        dsigma = dsigma / unit[:, None]
        out[np.ix_(index, index)] += dsigma.T @ dsigma
        means[:, index] += dmu / spread[:, None]
    out += means.T @ means
    return out
