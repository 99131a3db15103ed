"""Do two factor solutions agree? Tucker's congruence with the best matching of factors, and largest differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.exceptions import DataError
from relmeasure.results import FloatArray, IntArray, Result, Table, frozen_array

__all__ = [
    "Congruence",
    "FactorComparison",
    "align_factors",
    "compare_solutions",
    "congruence_coefficients",
    "match_factors",
]

Array = np.ndarray[Any, np.dtype[np.float64]]

_WORDS = ((0.95, "equal"), (0.85, "fairly similar"))


@dataclass(frozen=True, eq=False)
class Congruence(Result):
    """Tucker's congruence of two sets of factors.

    Attributes
    ----------
    matrix : array (m1, m2)
        Coefficients, first solution in rows.
    match : array (k,)
        For each factor of the second solution, the factor of the first (from 0) that it is matched to; -1 for none.
    signs : array (k,)
        Sign that the matched factor takes.
    values : array (k,)
        Congruence after matching and turning; NaN for none.
    first_names, second_names : tuple of str
    """

    matrix: FloatArray
    match: IntArray
    signs: FloatArray
    values: FloatArray
    first_names: tuple[str, ...]
    second_names: tuple[str, ...]

    @property
    def smallest(self) -> float:
        """The worst agreement of a matched pair."""
        return float(np.nanmin(self.values))

    def _table(self) -> Table:
        matched = tuple(self.first_names[k] if k >= 0 else None for k in self.match)
        words = tuple(next((word for bound, word in _WORDS if v >= bound), "different") for v in self.values)
        return Table(
            {"factor": self.second_names, "matched": matched, "congruence": tuple(self.values), "verdict": words}
        )


@dataclass(frozen=True, eq=False)
class FactorComparison(Result):
    """Largest differences of two solutions of the same items, factors matched.

    Attributes
    ----------
    max_loading, max_phi, max_uniqueness : float
        Largest absolute differences.
    where : str
        Item and factor with the largest difference of loadings.
    congruence : Congruence
    differences : array (p, m)
        Loadings of the first solution less those of the second.
    """

    max_loading: float
    max_phi: float
    max_uniqueness: float
    where: str
    congruence: Congruence
    differences: FloatArray

    def summary(self) -> str:
        """Return the largest differences in a line."""
        return (
            f"Largest difference of loadings {self.max_loading:.2e} ({self.where}), of factor correlations "
            f"{self.max_phi:.2e}, of uniquenesses {self.max_uniqueness:.2e}; smallest congruence "
            f"{self.congruence.smallest:.6f}"
        )


def congruence_coefficients(first: Array, second: Array) -> FloatArray:
    """Return Tucker's coefficients ``sum ab / sqrt(sum a^2 sum b^2)`` of all pairs of factors.

    Parameters
    ----------
    first, second : array (p, m1), array (p, m2)
        Loadings of the same items. A factor without loadings has congruence NaN.

    References
    ----------
    Tucker, L. R. (1951). A method for synthesis of factor analysis studies. Lorenzo-Seva, U., & ten Berge, J. M. F.
    (2006). Tucker's congruence coefficient as a meaningful index of factor similarity. Methodology, 2, 57-64.

    Examples
    --------
    >>> import numpy as np
    >>> a, b = np.array([[0.8], [0.7], [0.1]]), np.array([[0.7], [0.8], [0.0]])
    >>> congruence_coefficients(a, b).round(3).tolist()  # R: psych::factor.congruence(a, b)
    [[0.987]]
    """
    if len(first) != len(second):
        raise DataError(f"Congruence compares the same items: {len(first)} and {len(second)} were given.")
    size = np.sqrt((first**2).sum(axis=0))[:, None] * np.sqrt((second**2).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        out: FloatArray = frozen_array(np.where(size > 0, first.T @ second / size, np.nan))
    return out


def match_factors(
    first: Array, second: Array, first_names: tuple[str, ...] = (), second_names: tuple[str, ...] = ()
) -> Congruence:
    """Match factors one to one so that the sum of absolute congruences is largest (assignment problem)."""
    from scipy.optimize import linear_sum_assignment

    matrix = congruence_coefficients(first, second)
    rows, cols = linear_sum_assignment(-np.abs(np.nan_to_num(matrix)))
    k = second.shape[1]
    match, signs, values = np.full(k, -1), np.ones(k), np.full(k, np.nan)
    match[cols] = rows
    signs[cols] = np.where(matrix[rows, cols] < 0.0, -1.0, 1.0)
    values[cols] = np.abs(matrix[rows, cols])
    return Congruence(
        matrix=matrix,
        match=frozen_array(match, np.int64),
        signs=frozen_array(signs),
        values=frozen_array(values),
        first_names=first_names or tuple(f"F{j + 1}" for j in range(first.shape[1])),
        second_names=second_names or tuple(f"F{j + 1}" for j in range(k)),
    )


def align_factors(loadings: Array, phi: Array, to: Array) -> tuple[Array, Array]:
    """Return loadings and factor correlations with factors in the order and sign of another solution's.

    Both solutions have the same number of factors. The matching makes the sum of absolute cross-products largest.
    """
    from scipy.optimize import linear_sum_assignment

    products = to.T @ loadings
    order = linear_sum_assignment(-np.abs(products))[1]
    signs = np.where(products[np.arange(len(order)), order] < 0.0, -1.0, 1.0)
    return loadings[:, order] * signs, phi[np.ix_(order, order)] * np.outer(signs, signs)


def compare_solutions(
    loadings: Array,
    phi: Array,
    uniquenesses: Array,
    other_loadings: Array,
    other_phi: Array,
    other_uniquenesses: Array,
    names: tuple[str, ...],
    factor_names: tuple[str, ...],
) -> FactorComparison:
    """Compare two solutions of the same items with the same number of factors."""
    if loadings.shape != other_loadings.shape:
        raise DataError(
            f"The solutions have {loadings.shape[1]} and {other_loadings.shape[1]} factors: use congruence instead."
        )
    aligned, turned = align_factors(other_loadings, other_phi, loadings)
    differences = loadings - aligned
    i, j = np.unravel_index(np.abs(differences).argmax(), differences.shape)
    return FactorComparison(
        max_loading=float(np.abs(differences).max()),
        max_phi=float(np.abs(phi - turned).max()),
        max_uniqueness=float(np.abs(uniquenesses - other_uniquenesses).max()),
        where=f"{names[i]} on {factor_names[j]}",
        congruence=match_factors(other_loadings, loadings, (), factor_names),
        differences=frozen_array(differences),
    )
