"""A model, a sample and a method together: objective, information, covariance of estimates, tests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from relmeasure.numerics.optimize import sandwich, symmetric_inverse
from relmeasure.structural.estimation.cases import Cases, block_scores, cluster_meat, fitted_scores
from relmeasure.structural.estimation.discrepancy import (
    Discrepancy,
    GeneralizedLeastSquares,
    MomentLeastSquares,
    NormalLikelihood,
    moment_jacobian,
    stack_moments,
    weigh,
)
from relmeasure.structural.estimation.full_information import FullInformation, pattern_deviance, pattern_inverses
from relmeasure.structural.estimation.implied import BlockState, ModelStructure
from relmeasure.structural.estimation.method import Method
from relmeasure.structural.estimation.moment_weights import (
    categorical_weight,
    inverse_acov,
    normal_acov_diagonal,
    normal_acov_product,
)
from relmeasure.structural.estimation.ordinal import CategoricalLeastSquares
from relmeasure.structural.estimation.samples import Sample
from relmeasure.structural.estimation.saturated import incomplete_scores
from relmeasure.structural.language.parameter_table import ParameterTable, exogenous_index
from relmeasure.structural.language.restrictions import Relation, Restrictions, free_jacobian, restrictions_of

__all__ = ["Engine", "Fitted"]

Array = np.ndarray[Any, np.dtype[Any]]


class Engine:
    """What does not depend on the estimates."""

    def __init__(self, table: ParameterTable, sample: Sample, method: Method, cases: Cases | None = None) -> None:
        self.table, self.sample, self.method, self.cases = table, sample, method, cases

    @cached_property
    def structure(self) -> ModelStructure:
        """Index structure of the model."""
        return ModelStructure(self.table)

    @cached_property
    def restrictions(self) -> Restrictions:
        """Equalities and inequalities."""
        return restrictions_of(self.table)

    @property
    def n_effective(self) -> float:
        """What a chi-square multiplies ``F`` by: n, or n - 1 a group."""
        n = float(self.sample.n_obs)
        return n if self.method.counts_all_rows else n - len(self.sample.groups)

    @cached_property
    def weights(self) -> tuple[float, ...]:
        """Share of each group in the objective."""
        if self.method.counts_all_rows:
            return self.sample.shares
        total = self.n_effective
        return tuple((group.n_obs - 1.0) / total for group in self.sample.groups)

    @cached_property
    def discrepancy(self) -> Discrepancy:
        """The objective."""
        return self._discrepancy(self.weights)

    @cached_property
    def information_discrepancy(self) -> Discrepancy:
        """The objective with groups weighted by their rows: standard errors rest on it, as in lavaan."""
        return self.discrepancy if self.weights == self.sample.shares else self._discrepancy(self.sample.shares)

    def _discrepancy(self, weights: tuple[float, ...]) -> Discrepancy:
        groups, kind = self.sample.groups, self.method.discrepancy
        if self.method.ordinal:
            return self._categorical(weights)
        if kind == "ML":
            unbiased = [g.unbiased for g in groups] if self.method.likelihood == "wishart" else None
            return NormalLikelihood(self.structure, groups, weights, unbiased)
        if kind == "FIML":
            return self._full_information()
        if kind == "GLS":
            return GeneralizedLeastSquares(self.structure, groups, weights)
        return MomentLeastSquares(self.structure, *self.moment_weights, weights)

    def _categorical(self, weights: tuple[float, ...]) -> CategoricalLeastSquares:
        groups = self.sample.groups
        moments = [np.asarray(group.moments) for group in groups]
        V = [categorical_weight(self.method.discrepancy, group) for group in groups]
        return CategoricalLeastSquares(self.structure, [g.moment_names for g in groups], moments, V, weights)

    def _full_information(self) -> FullInformation:
        patterns, saturated = [], []
        for group in self.sample.groups:
            if group.patterns is None:
                raise ValueError("full information needs patterns of missing answers")
            found = pattern_inverses(np.asarray(group.patterns.observed), np.asarray(group.cov))
            if found is None:
                raise np.linalg.LinAlgError("the unrestricted covariance matrix is not positive definite")
            patterns.append(group.patterns)
            saturated.append(pattern_deviance(group.patterns, np.asarray(group.mean), found))
        return FullInformation(self.structure, patterns, self.weights, saturated)

    @cached_property
    def moment_weights(self) -> tuple[list[Array], list[Array]]:
        """Sample moments and their weights, for least squares over moments."""
        means = self.table.mean_structure
        moments, weights = [], []
        for group in self.sample.groups:
            moments.append(stack_moments(group.unbiased, np.asarray(group.mean) if means else None))
            if self.method.discrepancy == "ULS":
                weights.append(np.ones(len(moments[-1])))
            elif self.method.discrepancy == "DWLS":
                weights.append(1.0 / normal_acov_diagonal(group.unbiased, means=means))
            else:
                weights.append(inverse_acov(np.asarray(group.acov), group.n_obs))
        return moments, weights


@dataclass(frozen=True)
class Fitted:
    """An engine at its estimates.

    Attributes
    ----------
    engine : Engine
    x : array (q,)
        Free parameters.
    active : tuple of Relation
        Inequalities that hold as equalities.
    """

    engine: Engine
    x: Array
    active: tuple[Relation, ...] = ()

    @cached_property
    def states(self) -> list[BlockState]:
        """Blocks at the estimates."""
        return self.engine.structure.states(self.x)

    @cached_property
    def row_values(self) -> Array:
        """Value of each row of the table, derived ones filled in."""
        values = self.engine.table.values(self.x)
        table = self.engine.table
        if not any(table.derived):
            return values
        at = {name: i for i, name in enumerate(table.observed)}
        for row in range(len(table)):
            if table.derived[row]:
                state, i = self.states[table.group[row] - 1], at[table.lhs[row]]
                values[row] = state.S[i, i] if table.op[row] == "~~" else 1.0 / np.sqrt(state.sigma[i, i])
        return values

    @cached_property
    def row_jacobian(self) -> Array:
        """Jacobian of the rows over the free parameters, array (rows, q)."""
        return free_jacobian(self.engine.table)

    def response_scales(self, k: int) -> Array:
        """Return what turns the variables of group k into the scale of its sample moments: one where they are."""
        objective = self.engine.discrepancy
        if not isinstance(objective, CategoricalLeastSquares):
            return np.ones(self.states[k].structure.n_observed)
        return objective.blocks[k].scales(self.states[k], self.engine.table.values(self.x))

    @cached_property
    def inverses(self) -> list[Array]:
        """Inverses of the implied covariance matrices."""
        return [np.linalg.inv(state.sigma) for state in self.states]

    @cached_property
    def tangent(self) -> Array:
        """Directions in which the estimates can move, array (q, r)."""
        return self.engine.restrictions.tangent(self.engine.table, self.x, self.active)

    @property
    def n_parameters(self) -> int:
        """Free parameters after equalities; inequalities do not count, whether they are active or not."""
        return int(self.tangent.shape[1]) + len(self.active)

    @cached_property
    def value(self) -> float:
        """``F / 2``."""
        return self.engine.discrepancy.value(self.x)

    def information(self, kind: str) -> Array:
        """Return the expected or observed information per observation, array (q, q)."""
        discrepancy = self.engine.information_discrepancy
        if kind == "expected" and isinstance(discrepancy, FullInformation):
            return discrepancy.pattern_information(self.x, exact=False)
        return discrepancy.curvature(self.x, exact=kind == "observed")

    @cached_property
    def bread(self) -> Array | None:
        """Inverse information within the tangent space, array (q, q); None when singular."""
        kind = self.engine.method.information
        return self.expected_bread if kind == "expected" else self.inverse_within(self.information(kind))

    @cached_property
    def expected_bread(self) -> Array | None:
        """Inverse expected information within the tangent space, array (q, q); None when singular."""
        return self.inverse_within(self.information("expected"))

    def inverse_within(self, information: Array) -> Array | None:
        """Return ``T (T' I T)^{-1} T'``."""
        T = self.tangent
        if T.shape[0] == T.shape[1] and self.engine.restrictions.trivial:
            return symmetric_inverse(information)
        inner = symmetric_inverse(T.T @ information @ T)
        return None if inner is None else T @ inner @ T.T

    @cached_property
    def meat(self) -> Array:
        """Covariance of the scores per observation, array (q, q): at the model, or (MLM) at the sample moments."""
        cases, structure = self.engine.cases, self.engine.structure
        if cases is None:
            raise ValueError("robust standard errors need the rows")
        parts, sums = [], []
        for k, rows in enumerate(cases.groups):
            scores = self.scores(k)
            if rows.weights is not None:
                scores = scores * rows.weights[:, None]
            if rows.clusters is None:
                parts.append(scores.T @ scores / cases.n_obs)
            else:
                full = np.zeros((len(scores), structure.n_free))
                full[:, self.states[k].structure.index] = scores
                sums.append((full, rows.clusters, rows.second_clusters, np.full(len(scores), k)))
        if not sums:
            return structure.scatter_matrix(parts)
        second = None if sums[0][2] is None else np.concatenate([part[2] for part in sums if part[2] is not None])
        scores, first, groups = (np.concatenate([part[i] for part in sums]) for i in (0, 1, 3))
        out: Array = cluster_meat(scores, first, second, groups) / cases.n_obs
        return out

    def scores(self, k: int) -> Array:
        """Return the scores of the rows of a group over the free parameters of its block, array (n, q)."""
        cases = self.engine.cases
        if cases is None:
            raise ValueError("scores need the rows")
        state, group, rows = self.states[k], self.engine.sample.groups[k], cases.groups[k].rows
        if group.patterns is not None:
            return incomplete_scores(state, rows)
        if self.engine.method.se == "robust.sem":
            exo = exogenous_index(self.engine.table)
            return fitted_scores(state, self.inverses[k], rows - group.mean, exo)
        center = state.mu if state.structure.has_means else np.asarray(group.mean)
        return block_scores(state, self.inverses[k], rows, center)

    @cached_property
    def moment_meat(self) -> Array:
        """Covariance of the gradient of least squares under normality, array (q, q)."""
        engine, parts = self.engine, []
        _, weights = engine.moment_weights
        for k, state in enumerate(self.states):
            left = weigh(weights[k], moment_jacobian(state))
            S = engine.sample.groups[k].unbiased
            parts.append(engine.sample.shares[k] * normal_acov_product(left, S, means=state.structure.has_means))
        return engine.structure.scatter_matrix(parts)

    @cached_property
    def categorical_meat(self) -> Array:
        """Covariance of the gradient of least squares over ordered items, array (q, q)."""
        discrepancy, engine = self.engine.discrepancy, self.engine
        if not isinstance(discrepancy, CategoricalLeastSquares):
            raise ValueError("this is for ordered items")
        out = np.zeros((engine.table.n_free, engine.table.n_free))
        for k, J in enumerate(discrepancy.jacobians(self.x)):
            out += engine.sample.shares[k] * (self.pulled_acov[k] @ weigh(discrepancy.V[k], J))
        return out

    @cached_property
    def pulled_acov(self) -> list[Array]:
        """``J' V Gamma`` of each group of ordered items, arrays (q, r)."""
        discrepancy, groups = self.engine.discrepancy, self.engine.sample.groups
        if not isinstance(discrepancy, CategoricalLeastSquares):
            raise ValueError("this is for ordered items")
        return [
            weigh(V, J).T @ np.asarray(group.acov)
            for V, J, group in zip(discrepancy.V, discrepancy.jacobians(self.x), groups, strict=True)
        ]

    @property
    def score_covariance(self) -> Array:
        """Covariance of the gradient, whatever the objective, array (q, q)."""
        return self.categorical_meat if self.engine.method.ordinal else self.meat

    @cached_property
    def covariance(self) -> Array | None:
        """Covariance of the estimates, array (q, q); None when the information is singular."""
        method, bread = self.engine.method, self.bread
        if method.se == "none" or bread is None:
            return None
        n = self.engine.n_effective
        if method.ordinal and method.se == "robust.sem":
            return sandwich(bread, self.categorical_meat) / n
        if method.discrepancy in ("ULS", "DWLS") and not method.ordinal:
            return sandwich(bread, self.moment_meat) / n
        if method.se == "standard":
            return bread / n
        return sandwich(bread, self.meat) / n
