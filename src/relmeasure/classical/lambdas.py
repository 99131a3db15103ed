"""Guttman's lambdas, and split-half reliability over all splits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from relmeasure.classical.halves import EXHAUSTIVE, Halves, find_halves, mean_split
from relmeasure.classical.preparation import Prepared, prepare
from relmeasure.exceptions import (
    EstimationError,
    OptionError,
    SearchNotExhaustiveWarning,
    TooFewItemsError,
    shorten,
)
from relmeasure.numerics.coefficients import average_correlation, guttman_lambdas
from relmeasure.responses.intake import as_moments
from relmeasure.results import Note, Result, Table, announce
from relmeasure.samplestats.moments import MissingMethod

__all__ = ["GuttmanLambdas", "SplitHalves", "guttman", "split_half"]

Array = np.ndarray[Any, np.dtype[np.float64]]
MatrixKind = Literal["correlation", "covariance"]


@dataclass(frozen=True, eq=False)
class GuttmanLambdas(Result):
    """Guttman's six lower bounds of reliability.

    Attributes
    ----------
    lambda1, lambda2, lambda3, lambda4, lambda5, lambda6 : float
        The bounds; ``lambda6`` is NaN, with a note, where the matrix is not positive definite.
    matrix : {"correlation", "covariance"}
        The matrix they are computed on: reliability of the sum of standardized, or of raw, items.
    n_obs, n_items : int
    definition, rule : str
        Id of the formulas with their matrix; the rule that made ``n_obs``.
    exhaustive : bool
        Whether ``lambda4`` comes from all splits; if not, it was searched and may be larger.
    warnings : tuple of Note
    """

    lambda1: float
    lambda2: float
    lambda3: float
    lambda4: float
    lambda5: float
    lambda6: float
    matrix: str
    n_obs: int
    n_items: int
    definition: str
    rule: str
    exhaustive: bool = True
    warnings: tuple[Note, ...] = ()

    def _table(self) -> Table:
        names = [f"lambda{i}" for i in range(1, 7)]
        return Table(
            {
                "coefficient": tuple(names),
                "estimate": tuple(getattr(self, name) for name in names),
                "n_obs": (self.n_obs,) * 6,
                "n_items": (self.n_items,) * 6,
                "definition": tuple(f"{name}.{self.matrix}" for name in names),
                "rule": (self.rule,) * 6,
            }
        )

    def summary(self) -> str:
        """Return one line a bound, the matrix, N and rule, and notes."""
        lines = [f"lambda{i} = {getattr(self, f'lambda{i}'):.3f}" for i in range(1, 7)]
        lines.append(
            f"lower bounds on the item {self.matrix} matrix; {self.n_items} items, {self.n_obs} rows, {self.rule}"
        )
        return "\n".join(lines + [note.summary() for note in self.warnings])


@dataclass(frozen=True, eq=False)
class SplitHalves(Result):
    """Split-half reliability over all splits into halves of equal size (differing by one for an odd number of items).

    Attributes
    ----------
    maximum, minimum, mean : float
        Over the splits; the mean is exact for any number of items, and equals alpha of the same matrix for an even one.
    maximum_half, minimum_half : tuple of str
        The items of one half of the best and of the worst split.
    average_r : float
        Average correlation of the items.
    n_splits : int
        How many splits there are.
    exhaustive : bool
        Whether maximum and minimum come from all of them; if not, they were searched.
    definition : str
        ``"split_half.flanagan_rulon.<matrix>"``: ``4 cov(a, b) / var(a + b)``.
    matrix, n_obs, n_items, rule, warnings
        As in ``GuttmanLambdas``.
    """

    maximum: float
    minimum: float
    mean: float
    average_r: float
    maximum_half: tuple[str, ...]
    minimum_half: tuple[str, ...]
    n_splits: int
    exhaustive: bool
    matrix: str
    n_obs: int
    n_items: int
    definition: str
    rule: str
    warnings: tuple[Note, ...] = ()

    def _table(self) -> Table:
        return Table(
            {
                "coefficient": ("maximum", "mean", "minimum"),
                "estimate": (self.maximum, self.mean, self.minimum),
                "half": (" ".join(self.maximum_half), None, " ".join(self.minimum_half)),
                "n_splits": (self.n_splits,) * 3,
                "exhaustive": (self.exhaustive, True, self.exhaustive),
                "n_obs": (self.n_obs,) * 3,
                "n_items": (self.n_items,) * 3,
                "definition": (self.definition,) * 3,
                "rule": (self.rule,) * 3,
            }
        )

    def summary(self) -> str:
        """Return the three coefficients, the best split, N and rule, and notes."""
        how = "all" if self.exhaustive else "searched among"
        values = f"maximum {self.maximum:.3f}, mean {self.mean:.3f}, minimum {self.minimum:.3f}"
        lines = [
            f"split-half: {values} ({how} {self.n_splits} splits, {self.definition})",
            f"best split: {' '.join(self.maximum_half)} against the others",
            f"{self.n_items} items, {self.n_obs} rows, {self.rule}",
        ]
        return "\n".join(lines + [note.summary() for note in self.warnings])


def guttman(
    data: Any,
    *,
    matrix: MatrixKind = "correlation",
    missing: MissingMethod = "listwise",
    weights: Any = None,
    rng: int | np.random.Generator = 0,
) -> GuttmanLambdas:
    """Compute Guttman's lambdas 1 to 6, six lower bounds of reliability.

    With M the matrix, T its sum and k items: ``lambda1 = 1 - tr(M)/T``; ``lambda2 = lambda1 + sqrt(k/(k-1) C2)/T``,
    C2 the sum of squared off-diagonal elements; ``lambda3 = k/(k-1) lambda1`` (alpha); ``lambda4``: the largest
    split-half coefficient; ``lambda5 = lambda1 + 2 sqrt(c2)/T``, c2 the largest column sum of squared off-diagonal
    elements; ``lambda6 = 1 - sum of residual variances/T``.

    Parameters
    ----------
    data : frame, array (n, k), responses or moments
        At least two items in columns, keyed in one direction.
    matrix : {"correlation", "covariance"}
        Bounds for the sum of standardized items (the default, as R's psych has it) or of raw items.
    missing : {"listwise", "pairwise"}
        Rows complete on all items (the rows dropped are counted in a warning), or for each pair the rows with both.
    weights : array (n,) or column name, optional
        Sampling weights.
    rng : int or Generator
        Seed of the search for ``lambda4`` with more than 25 items; up to that every split is looked at.

    Returns
    -------
    GuttmanLambdas
        No intervals: none are in general use.

    Raises
    ------
    TooFewItemsError
        Fewer than two items.
    EstimationError
        A constant item, when correlations are asked for, or a sum score without variance.
    TooFewObservationsError
        Fewer than two usable rows.

    References
    ----------
    Guttman, L. (1945). A basis for analyzing test-retest reliability. Psychometrika, 10, 255-282.

    Examples
    --------
    >>> import numpy as np, relmeasure as rm
    >>> answers = np.array([[4, 3, 4], [2, 2, 1], [3, 3, 3], [1, 2, 1], [4, 4, 3], [2, 1, 2]])
    >>> round(rm.guttman(answers).lambda2, 4)  # R: psych::guttman(x)$lambda.2
    0.9152
    """
    prepared, values = _matrix(data, matrix, missing, weights)
    halves = _halves(prepared, values, rng)
    bounds = guttman_lambdas(values, Halves.coefficient(values, halves.smallest))
    if math.isnan(bounds["lambda6"]):
        _ = prepared.inverse  # leaves a remark that says why
    m = prepared.moments
    return GuttmanLambdas(
        **bounds,
        matrix=matrix,
        n_obs=m.n_obs,
        n_items=m.n_items,
        definition=f"guttman.{matrix}",
        rule=m.rule,
        exhaustive=halves.exhaustive,
        warnings=(*prepared.remarks, *announce(prepared.raised)),
    )


def split_half(
    data: Any,
    *,
    matrix: MatrixKind = "correlation",
    missing: MissingMethod = "listwise",
    weights: Any = None,
    rng: int | np.random.Generator = 0,
) -> SplitHalves:
    """Compute the largest, smallest and mean split-half reliability over all splits into halves.

    The coefficient of a split is ``4 cov(a, b) / var(a + b)``, a and b the sums of the halves (Flanagan, 1937; Rulon,
    1939; Guttman's lambda 4 of that split). With an odd number of items one half has one item more, and the coefficient
    is not corrected for it.

    Parameters
    ----------
    data, matrix, missing, weights
        As in ``guttman``.
    rng : int or Generator
        Seed of the search. Up to 25 items every split is looked at; beyond that, maximum and minimum are searched by
        exchanging items from 100 random starts, and a warning says so. The mean is always exact.

    Returns
    -------
    SplitHalves

    Raises
    ------
    TooFewItemsError, EstimationError, TooFewObservationsError
        As in ``guttman``.

    References
    ----------
    Rulon, P. J. (1939). A simplified procedure for determining the reliability of a test by split-halves. Harvard
    Educational Review, 9, 99-103.
    Cronbach, L. J. (1951). Coefficient alpha and the internal structure of tests. Psychometrika, 16, 297-334: alpha is
    the mean of all split-halves.

    Examples
    --------
    >>> import numpy as np, relmeasure as rm
    >>> answers = np.array([[4, 3, 4, 3], [2, 2, 1, 1], [3, 3, 3, 4], [1, 2, 1, 1], [4, 4, 3, 4], [2, 1, 2, 1]])
    >>> result = rm.split_half(answers)  # R: psych::splitHalf(x)
    >>> round(result.maximum, 4), round(result.mean, 4), result.n_splits
    (0.9878, 0.9445, 3)
    """
    prepared, values = _matrix(data, matrix, missing, weights)
    halves = _halves(prepared, values, rng)
    m = prepared.moments

    def half(signs: Array) -> tuple[str, ...]:
        return tuple(name for name, sign in zip(m.names, signs, strict=True) if sign == signs[0])

    return SplitHalves(
        maximum=Halves.coefficient(values, halves.smallest),
        minimum=Halves.coefficient(values, halves.largest),
        mean=mean_split(values),
        average_r=average_correlation(prepared.cor),
        maximum_half=half(halves.smallest),
        minimum_half=half(halves.largest),
        n_splits=halves.n_splits,
        exhaustive=halves.exhaustive,
        matrix=matrix,
        n_obs=m.n_obs,
        n_items=m.n_items,
        definition=f"split_half.flanagan_rulon.{matrix}",
        rule=m.rule,
        warnings=(*prepared.remarks, *announce(prepared.raised)),
    )


def _matrix(data: Any, matrix: MatrixKind, missing: MissingMethod, weights: Any) -> tuple[Prepared, Array]:
    if matrix not in get_args(MatrixKind):
        raise OptionError.from_value("matrix", matrix, get_args(MatrixKind))
    prepared = prepare(as_moments(data, missing=missing, weights=weights))
    if len(prepared.names) < 2:
        raise TooFewItemsError("One item cannot be split: at least 2 items are needed.", n_items=1)
    if prepared.constant and matrix == "correlation":
        raise EstimationError(
            f"No variance in {shorten(prepared.constant)}, so it has no correlations: leave it out, "
            "or use matrix='covariance'.",
            items=list(prepared.constant),
        )
    values = prepared.cor if matrix == "correlation" else prepared.cov
    if not float(values.sum()) > 0.0:
        raise EstimationError("The sum score has no variance: the items cancel out. Check their keys.")
    return prepared, values


def _halves(prepared: Prepared, values: Array, rng: int | np.random.Generator) -> Halves:
    halves = find_halves(values, np.random.default_rng(rng))
    if not halves.exhaustive:
        prepared.raised.append(
            SearchNotExhaustiveWarning(
                f"{len(values)} items have {halves.n_splits} splits: the extremes were searched from random starts, "
                f"not enumerated (every split is looked at up to {EXHAUSTIVE} items). The true maximum may be larger.",
                n_items=len(values),
                n_splits=halves.n_splits,
            )
        )
    return halves
