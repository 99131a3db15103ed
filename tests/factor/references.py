"""Stored matrices and solutions of other software, and the matching of factors, for the tests of this folder."""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import numpy as np

from relmeasure.numerics.normal import Array
from tests.support import load_reference

MATRICES: dict[str, tuple[str, int]] = {
    "hs3": ("hs", 3),
    "bfi5": ("bfi", 5),
    "bfi5_poly": ("bfi_poly", 5),
    "thurstone3": ("thurstone", 3),
    "gti_rel3": ("gti_rel", 3),
    "harman4": ("harman", 4),
}
"""Analyses by name: the matrix and the number of factors."""


@cache
def stored(name: str) -> Any:
    """A stored file of this folder's references."""
    return load_reference(f"efa/{name}")


def cor(name: str) -> Array:
    """A stored correlation matrix."""
    return np.array(stored("matrices")[name]["cor"], dtype=float)


def pair(name: str) -> tuple[Array, int]:
    """A stored correlation matrix with its N."""
    return cor(name), int(stored("matrices")[name]["n"])


def floats(block: Any) -> Array:
    """Nested lists, or a matrix as R wrote it, as an array; null becomes NaN."""
    values = block["values"] if isinstance(block, dict) else block
    return np.array([[np.nan if v is None else v for v in row] for row in values], dtype=float)


def aligned(L: Array, to: Array) -> tuple[Array, list[int], Array]:
    """Columns of L in the order and sign of ``to`` (the best match of all orders), with that order and the signs."""
    best: tuple[float, list[int], Array] | None = None
    for order in itertools.permutations(range(L.shape[1])):
        signs = np.where((L[:, order] * to).sum(axis=0) < 0, -1.0, 1.0)
        distance = float(np.abs(L[:, order] * signs - to).max())
        if best is None or distance < best[0]:
            best = (distance, list(order), signs)
    assert best is not None
    return L[:, best[1]] * best[2], best[1], best[2]


def turned(phi: Array, order: list[int], signs: Array) -> Array:
    """Factor correlations in another order and sign."""
    return phi[np.ix_(order, order)] * np.outer(signs, signs)


def implied(L: Array, phi: Array) -> Array:
    """The correlation matrix of a factor model."""
    out = L @ phi @ L.T
    np.fill_diagonal(out, 1.0)
    return out


def normal_rows(matrix: Array, n: int, seed: int) -> Array:
    """Rows of normal variables with these population correlations."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, len(matrix))) @ np.linalg.cholesky(matrix).T


def exact_rows(matrix: Array, n: int, seed: int) -> Array:
    """Rows whose sample correlations are exactly these."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, len(matrix)))
    z = z - z.mean(axis=0)
    q = z @ np.linalg.inv(np.linalg.cholesky(np.cov(z.T))).T
    out: Array = q @ np.linalg.cholesky(matrix).T
    return out
