"""Populations that follow a known factor model, and what a run over many samples of them counts."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from relmeasure.structural import StructuralFit, cfa

Array = np.ndarray[Any, np.dtype[Any]]

CUTS = (-1.2, -0.4, 0.4, 1.2)
"""Where the continuous answers are cut into five categories."""

MEAN = 0.3
"""Latent means of the second group; zero in the first."""

GROUP_EQUAL: dict[str, tuple[Any, ...]] = {
    "ML": ("loadings", "intercepts"),
    "MLR": ("loadings", "intercepts"),
    "WLSMV": ("loadings", "thresholds", "intercepts"),
}
"""What is equal where latent means are compared."""


@dataclass(frozen=True)
class Population:
    """Correlated factors with unit variances, each behind a block of items with unit variances."""

    n_factors: int
    per_factor: int
    correlation: float = 0.3
    loadings: tuple[float, ...] = (0.8, 0.7, 0.6)

    @property
    def n_items(self) -> int:
        """Number of items, x1 ... xp."""
        return self.n_factors * self.per_factor

    @property
    def pattern(self) -> Array:
        """Loadings, array (p, m)."""
        column = np.resize(np.array(self.loadings), self.per_factor)[:, None]
        return np.kron(np.eye(self.n_factors), column)

    @property
    def model(self) -> str:
        """The true model."""
        lines = []
        for k in range(self.n_factors):
            items = [f"x{k * self.per_factor + i + 1}" for i in range(self.per_factor)]
            lines.append(f"f{k + 1} =~ {' + '.join(items)}")
        return "\n".join(lines)

    def draw(self, n: int, rng: np.random.Generator, mean: float = 0.0) -> Array:
        """Draw normal answers, array (n, p)."""
        phi = np.full((self.n_factors, self.n_factors), self.correlation)
        np.fill_diagonal(phi, 1.0)
        factors = mean + rng.normal(size=(n, self.n_factors)) @ np.linalg.cholesky(phi).T
        unique = np.sqrt(1.0 - (self.pattern**2).sum(axis=1))
        return np.asarray(factors @ self.pattern.T + rng.normal(size=(n, self.n_items)) * unique)

    def truth(self, op: str, lhs: str, rhs: str) -> float | None:
        """Population value of a loading or of a factor correlation."""
        if op == "=~":
            return float(self.pattern[int(rhs[1:]) - 1, int(lhs[1:]) - 1])
        return self.correlation if op == "~~" and lhs[0] == rhs[0] == "f" and lhs != rhs else None


NINE = Population(3, 3)
TWENTY_FIVE = Population(5, 5, loadings=(0.8, 0.7, 0.6, 0.7, 0.5))


def samples(population: Population, n: int, count: int, seed: int) -> Iterator[Array]:
    """Yield data sets, each from its own child of the seed."""
    for child in np.random.SeedSequence(seed).spawn(count):
        yield population.draw(n, np.random.default_rng(child))


def ordered(rows: Array) -> Array:
    """Cut answers into five categories."""
    return np.digitize(rows, CUTS).astype(float)


@dataclass
class Tally:
    """Counts over replications."""

    n: int = 0
    converged: int = 0
    admissible: int = 0
    rejected: int = 0
    unflagged: int = 0
    covered: dict[str, list[int]] = field(
        default_factory=lambda: {"loading": [0, 0], "correlation": [0, 0], "mean": [0, 0]}
    )

    @property
    def rejection(self) -> float:
        """Share of converged fits whose test rejects at the 5% level."""
        return self.rejected / max(self.converged, 1)

    @property
    def convergence(self) -> float:
        """Share of data sets with a converged fit."""
        return self.converged / max(self.n, 1)

    def coverage(self, kind: str) -> float:
        """Share of 95% intervals around the truth."""
        inside, all_ = self.covered[kind]
        return inside / max(all_, 1)

    def add(self, fit: StructuralFit) -> None:
        """Count the test of a fit, and whether a failure says so."""
        self.n += 1
        finite = bool(np.isfinite(fit.x).all() and np.isfinite(fit.covariance).all() and fit.indices)
        self.unflagged += (not finite and fit.status.ok) or (fit.status.ok and _improper(fit))
        if not fit.status.converged:
            return
        self.converged += 1
        self.admissible += fit.status.admissible is True
        name = "pvalue.scaled" if "pvalue.scaled" in fit.indices else "pvalue"
        self.rejected += fit.indices[name] < 0.05

    def cover(self, population: Population, fit: StructuralFit) -> None:
        """Count intervals of loadings and factor correlations."""
        for row in fit.parameters().itertuples():
            truth = population.truth(row.op, row.lhs, row.rhs)
            if truth is not None:
                self._inside("loading" if row.op == "=~" else "correlation", row, truth)

    def cover_means(self, fit: StructuralFit) -> None:
        """Count intervals of the latent means of the second group."""
        for row in fit.parameters().itertuples():
            if row.op == "~1" and row.lhs.startswith("f") and row.group == "b":
                self._inside("mean", row, MEAN)

    def _inside(self, kind: str, row: Any, truth: float) -> None:
        self.covered[kind][0] += bool(row.lower <= truth <= row.upper)
        self.covered[kind][1] += 1


def _improper(fit: StructuralFit) -> bool:
    """Negative variances or an indefinite factor covariance matrix, looked for independently of the status."""
    rows = fit.parameters()
    variances = rows[(rows["op"] == "~~") & (rows["lhs"] == rows["rhs"])]["est"]
    smallest = [np.linalg.eigvalsh(fit.implied(name)["factor_cov"])[0] for name in fit.table.groups]
    return bool((variances < 0).any() or min(smallest) < 0)


def run_one_group(population: Population, rows: Array, estimator: Any) -> StructuralFit:
    """Fit the true model with unit factor variances."""
    options: dict[str, Any] = {"ordered": True} if estimator == "WLSMV" else {}
    data = ordered(rows) if options else rows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cfa(population.model, data, estimator=estimator, std_lv=True, **options)


def run_two_groups(population: Population, n: int, rng: np.random.Generator, estimator: Any) -> StructuralFit:
    """Fit two groups of n rows with equal measurement; the second has other latent means."""
    rows = np.concatenate([population.draw(n, rng), population.draw(n, rng, MEAN)])
    options: dict[str, Any] = {"ordered": population_items(population)} if estimator == "WLSMV" else {}
    frame = pd.DataFrame(ordered(rows) if options else rows, columns=population_items(population))
    frame["group"] = np.repeat(["a", "b"], n)
    equal = GROUP_EQUAL[estimator]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cfa(
            population.model, frame, group="group", group_equal=equal, estimator=estimator, std_lv=True, **options
        )


def population_items(population: Population) -> list[str]:
    """Names of the items."""
    return [f"x{k + 1}" for k in range(population.n_items)]
