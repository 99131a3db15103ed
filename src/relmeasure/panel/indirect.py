"""Indirect associations from moments: a chain of regressions, products along its paths, for many covariances at once.

Variables stand in an order: predictor, mediators, outcome. Each mediator, and the outcome, is regressed on everything
before it (and on its own earlier value, where there is one); the association of predictor and outcome along a path is
the product of its weights, the total indirect one the sum over paths (Alwin & Hauser, 1975; Bollen, 1987).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

__all__ = ["Chain", "delta_covariance_of"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Chain:
    """One chain, as places of variables in a covariance matrix.

    Attributes
    ----------
    variables : tuple of int
        Predictor, mediators in order, outcome.
    earlier : tuple of int or None
        For each variable its own earlier value.
    """

    variables: tuple[int, ...]
    earlier: tuple[int | None, ...]

    @property
    def n_mediators(self) -> int:
        """Mediators between predictor and outcome."""
        return len(self.variables) - 2

    @property
    def indirect(self) -> list[tuple[int, ...]]:
        """Positions in the chain that each indirect path passes, ends included; the longest last."""
        middle = range(1, len(self.variables) - 1)
        last = len(self.variables) - 1
        return [(0, *m, last) for size in range(1, self.n_mediators + 1) for m in combinations(middle, size)]

    def regressions(self) -> list[tuple[int, list[int]]]:
        """Position of each variable after the first, with the places of its regressors."""
        out = []
        for k in range(1, len(self.variables)):
            own = self.earlier[k]
            out.append((k, [*self.variables[:k], *([] if own is None else [own])]))
        return out

    def weights(self, cov: Array) -> list[Array]:
        """Weights of every regression, one array (B, regressors) each; NaN where regressors are not independent."""
        out = []
        for k, places in self.regressions():
            inner = cov[:, places][:, :, places]
            usable = np.asarray(~np.isnan(inner).any(axis=(1, 2)))
            inner = np.where(usable[:, None, None], inner, np.eye(len(places)))
            usable &= np.asarray(np.linalg.eigvalsh(inner)[:, 0] > 0)
            inner = np.where(usable[:, None, None], inner, np.eye(len(places)))
            outer = cov[:, places, self.variables[k]]
            out.append(np.where(usable[:, None], np.linalg.solve(inner, outer[:, :, None])[:, :, 0], np.nan))
        return out

    def effects(self, cov: Array) -> Array:
        """Direct, every indirect, total indirect and total association, array (B, 3 + paths)."""
        weights = self.weights(cov)
        direct = weights[-1][:, 0]
        products = []
        for path in self.indirect:
            value = np.ones(len(cov))
            for before, after in zip(path, path[1:], strict=False):
                value = value * weights[after - 1][:, before]
            products.append(value)
        indirect = np.sum(products, axis=0)
        return np.column_stack([direct, *products, indirect, direct + indirect])

    def scale(self, cov: Array) -> Array:
        """Standard deviation of the predictor over that of the outcome, array (B,)."""
        first, last = self.variables[0], self.variables[-1]
        ratio = cov[:, first, first] / np.where(cov[:, last, last] > 0, cov[:, last, last], np.nan)
        return np.asarray(np.sqrt(np.where(ratio > 0, ratio, np.nan)))


def delta_covariance_of(function: Any, cov: Array, acov: Array, *, step: float = 1e-5) -> Array:
    """Covariance of ``function(covariances)`` by central differences over the lower triangle.

    Parameters
    ----------
    function : callable
        From covariances (B, P, P) to values (B, r).
    cov : array (P, P)
    acov : array (k, k)
        Of the lower triangle.

    Returns
    -------
    array (r, r)
    """
    rows, columns = np.tril_indices(len(cov))
    size = step * np.sqrt(np.diag(cov)[rows] * np.diag(cov)[columns])
    moved = np.repeat(cov[None], 2 * len(rows), axis=0)
    for k, (r, c) in enumerate(zip(rows, columns, strict=True)):
        for sign, place in ((1, 2 * k), (-1, 2 * k + 1)):
            moved[place, r, c] += sign * size[k]
            if r != c:
                moved[place, c, r] += sign * size[k]
    values = function(moved)
    jacobian = ((values[0::2] - values[1::2]) / (2 * size[:, None])).T
    return np.asarray(jacobian @ acov @ jacobian.T)


def names_of(path: Sequence[int], names: Sequence[str]) -> str:
    """``"care -> confidence -> thinking"``."""
    return " -> ".join(names[k] for k in path)
