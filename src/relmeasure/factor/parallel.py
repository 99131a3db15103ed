"""Eigenvalues that chance alone gives: the reference of parallel analysis, of the same kind as those of the data.

``component_eigenvalues``   of correlation matrices as they are
``reduced_eigenvalues``     of the matrices with communalities in their diagonal
``chance_matrices``         correlation matrices of uncorrelated items, as samples give them

Correlations of n normal rows are drawn without the rows: their cross-products are A A' with A lower triangular, normal
below the diagonal and chi on it (Bartlett, 1933), which is their exact distribution.

References
----------
Bartlett, M. S. (1933). On the theory of statistical regression. Proceedings of the Royal Society of Edinburgh, 53,
260-283.
Horn, J. L. (1965). A rationale and test for the number of factors in factor analysis. Psychometrika, 30, 179-185.
Humphreys, L. G., & Ilgen, D. R. (1969). Note on a criterion for the number of common factors. Educational and
Psychological Measurement, 29, 571-578.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from relmeasure.factor.residual_extraction import fit_minres
from relmeasure.samplestats.contingency import ContingencyTables, contingency_tables
from relmeasure.samplestats.latent import square
from relmeasure.samplestats.twostep import margins, solve_stack, stacks

__all__ = [
    "Communality",
    "chance_matrices",
    "component_eigenvalues",
    "reduced_eigenvalues",
]

Array = np.ndarray[Any, np.dtype[np.float64]]

Communality = Literal["smc", "one_factor"]
"""Communalities of the reduced matrix: squared multiple correlations, or those of one minres factor."""

_BLOCK_VALUES = 1 << 21
"""Floats of a block of simulated matrices (16 MB)."""


# --------------------------------------------------------------------------- eigenvalues
def component_eigenvalues(cor: Array) -> Array:
    """Return eigenvalues of correlation matrices (..., p, p), largest first."""
    return np.asarray(np.linalg.eigvalsh(cor)[..., ::-1])


def reduced_eigenvalues(cor: Array, communality: Communality = "smc") -> Array:
    """Return eigenvalues of correlation matrices (..., p, p) with communalities in the diagonal, largest first.

    A matrix without inverse has no squared multiple correlations: its eigenvalues are NaN.
    """
    reduced = np.array(cor, dtype=float)
    p = reduced.shape[-1]
    each = np.arange(p)
    if communality == "smc":
        try:
            diagonal = 1.0 - 1.0 / np.einsum("...ii->...i", np.linalg.inv(reduced))
        except np.linalg.LinAlgError:
            return np.full(reduced.shape[:-1], np.nan)
    else:
        flat = reduced.reshape(-1, p, p)
        diagonal = np.array([(fit_minres(one).loadings[:, 0]) ** 2 for one in flat]).reshape(reduced.shape[:-1])
    bad = ~((diagonal >= 0.0) & (diagonal <= 1.0)).all(axis=-1)
    reduced[..., each, each] = np.where(bad[..., None], 1.0, diagonal)
    values = np.asarray(np.linalg.eigvalsh(reduced)[..., ::-1])
    return np.where(bad[..., None], np.nan, values)


# --------------------------------------------------------------------------- chance
def chance_matrices(
    n_replications: int,
    rng: np.random.Generator,
    *,
    n_obs: int,
    n_items: int,
    tables: ContingencyTables | None = None,
    rows: Array | None = None,
) -> Iterator[Array]:
    """Yield blocks (b, p, p) of correlation matrices of uncorrelated items, ``n_replications`` in all.

    Parameters
    ----------
    n_replications : int
    rng : numpy.random.Generator
    n_obs, n_items : int
        Rows and items; normal items, unless one of the following is given.
    tables : ContingencyTables, optional
        Ordered items with these margins, and polychoric correlations.
    rows : array (n, p), optional
        Complete rows whose columns are shuffled, each by itself, and Pearson correlations.
    """
    if tables is not None:
        for _ in range(n_replications):
            yield _chance_polychoric(tables, rng)[None]
        return
    size = max(1, _BLOCK_VALUES // (n_items * n_items))
    if rows is not None:
        centred = rows - rows.mean(axis=0)
        scaled = centred / np.sqrt((centred**2).sum(axis=0))
        for _ in range(n_replications):
            shuffled = rng.permuted(scaled, axis=0)
            yield (shuffled.T @ shuffled)[None]
        return
    for first in range(0, n_replications, size):
        yield _chance_pearson(min(size, n_replications - first), n_obs - 1, n_items, rng)


def _chance_pearson(b: int, df: int, p: int, rng: np.random.Generator) -> Array:
    """Draw correlation matrices of normal variables with df degrees of freedom."""
    if df < p:  # fewer rows than items: no Cholesky factor of full rank
        normal = rng.standard_normal((b, p, df))
        root = normal / np.sqrt((normal**2).sum(axis=2, keepdims=True))
    else:
        root = np.tril(rng.standard_normal((b, p, p)), -1)
        each = np.arange(p)
        root[:, each, each] = np.sqrt(rng.chisquare(df - each, (b, p)))
        root /= np.sqrt((root**2).sum(axis=2, keepdims=True))
    return np.asarray(root @ root.swapaxes(1, 2))


def _chance_polychoric(tables: ContingencyTables, rng: np.random.Generator) -> Array:
    """Estimate polychoric correlations of items drawn independently with the margins of the data."""
    p = tables.n_items
    n = int(tables.n_item.max())
    codes = np.full((n, p), -1)
    for j, counts in enumerate(tables.marginal):
        ends = np.rint(np.cumsum(counts) / counts.sum() * tables.n_item[j]).astype(int)
        column = np.repeat(np.arange(len(counts)), np.diff(ends, prepend=0))
        codes[: len(column), j] = column
    codes = rng.permuted(codes, axis=0)
    drawn = contingency_tables(codes, tables.names, categories=tables.categories)
    rho = np.zeros(len(drawn.joint))
    for stack in stacks(drawn, margins(drawn), drawn.joint):
        rho[stack.pairs] = solve_stack(stack).rho
    return np.asarray(square(rho, p))
