"""Polychoric correlations with thresholds, standard errors and their full asymptotic covariance.

``polychoric_from_tables``   every correlation and standard error from additive tables; needs no rows
``polychoric_from_codes``    the same from rows of category numbers, with the full covariance on request
``polychoric_matrix``        the correlations alone, for resampling
``polychoric_acov``          the full covariance from a second pass over the rows; chunks of rows add up
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from relmeasure.exceptions import (
    DataError,
    OptionError,
    TooFewItemsError,
    TooFewObservationsError,
)
from relmeasure.numerics.normal import Array
from relmeasure.results import FloatArray, announce
from relmeasure.samplestats.acov import (
    Influence,
    Information,
    influence_variances,
    pair_influence,
    row_products,
    threshold_influence,
)
from relmeasure.samplestats.contingency import ContingencyTables, category_numbers, contingency_tables, item_pairs
from relmeasure.samplestats.latent import PolychoricResult, definite, named_pairs, square, status_of, warnings_of
from relmeasure.samplestats.moments import MissingMethod
from relmeasure.samplestats.twostep import Margin, Stack, margins, solve_stack, stacks

__all__ = [
    "CorrectedTables",
    "polychoric_acov",
    "polychoric_from_codes",
    "polychoric_from_tables",
    "polychoric_matrix",
]

CorrectedTables = Literal["2x2", "all"]
"""Tables whose empty cells a correction fills: two by two only, or of any size."""


# --------------------------------------------------------------------------- public
def polychoric_from_tables(
    tables: ContingencyTables,
    *,
    correct: float = 0.0,
    correct_tables: CorrectedTables = "2x2",
    information: Information = "crossproduct",
    smooth: bool = False,
) -> PolychoricResult:
    """Estimate polychoric correlations of all pairs by two-step maximum likelihood.

    Thresholds are the normal quantiles of each item's cumulative proportions; with them fixed, each correlation
    maximises ``sum n_kl log P_kl(rho)``. Two categories each: the tetrachoric correlation.

    Parameters
    ----------
    tables : ContingencyTables
        Tables of all pairs of ``p`` items. Pairwise tables: thresholds from each item's own rows.
    correct : float
        Added to each *empty* cell of a table before its correlation is estimated; 0, the default, adds nothing.
        In a two by two table the other cells change so that the margins stay. Other software adds 0.5 there by default.
    correct_tables : {"2x2", "all"}
        Whether the correction is made in two by two tables only, or in all (there the margins are not kept).
    information : {"crossproduct", "observed"}
        What standard errors rest on: mean cross-products of scores, as in lavaan and Mplus, right while the latent
        responses are normal; or second derivatives, right also when they are not (see ``relmeasure.samplestats.acov``).
    smooth : bool
        Replace a matrix that is not positive definite by a nearby one, and say how far any correlation moved.

    Returns
    -------
    PolychoricResult
        ``correlation`` (p, p), ``thresholds`` and ``se``; ``acov`` is None: it needs the rows (``polychoric_acov``).

    Raises
    ------
    TooFewItemsError, TooFewObservationsError
        Fewer than two items, or no rows.
    OptionError
        A correction outside 0 to 0.5, or unknown ``correct_tables``.

    Warns
    -----
    EmptyCategoryWarning
        A declared category was never chosen: it is joined to its neighbour, and its threshold dropped.
    SparseTableWarning
        A correlation stands at its bound of plus or minus 1, without a standard error.
    NotPositiveDefiniteWarning, ConstantItemWarning, ListwiseDeletionWarning, PairwiseDeletionWarning

    Notes
    -----
    Standard errors: see ``relmeasure.samplestats.acov``. Weights are sampling weights; only their ratios matter.

    References
    ----------
    Olsson, U. (1979). Maximum likelihood estimation of the polychoric correlation coefficient. Psychometrika, 44,
    443-460. Muthen, B. (1984). Psychometrika, 49, 115-132.

    Examples
    --------
    >>> import numpy as np
    >>> from relmeasure.samplestats import contingency_tables
    >>> codes = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], [40, 20, 20, 40], axis=0)
    >>> result = polychoric_from_tables(contingency_tables(codes, ["a", "b"]))  # R: lavCor(x, ordered = c("a", "b"))
    >>> result.correlation.round(3).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    result, _ = _estimated(tables, correct, correct_tables, information, smooth=smooth)
    return dataclasses.replace(result, warnings=announce(warnings_of(result)))


def polychoric_from_codes(
    codes: np.ndarray,
    names: Sequence[str],
    *,
    categories: Sequence[Sequence[float]] | None = None,
    missing: MissingMethod = "pairwise",
    weights: np.ndarray | None = None,
    acov: bool = False,
    correct: float = 0.0,
    correct_tables: CorrectedTables = "2x2",
    information: Information = "crossproduct",
    smooth: bool = False,
) -> PolychoricResult:
    """Estimate polychoric correlations from rows of category numbers.

    Parameters
    ----------
    codes : array (n, p)
        Category numbers 0 .. K - 1; negative or NaN is missing. ``category_codes`` makes them from answers.
    names, categories, missing, weights
        As in ``contingency_tables``.
    acov : bool
        Whether to compute the full asymptotic covariance too: one cross-product of n rows and q estimates.
    correct, correct_tables, information, smooth
        As in ``polychoric_from_tables``.

    Returns
    -------
    PolychoricResult

    Examples
    --------
    >>> import numpy as np
    >>> codes = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], [40, 20, 20, 40], axis=0)
    >>> result = polychoric_from_codes(codes, ["a", "b"], acov=True)
    >>> result.parameters, result.acov.shape  # R: lavInspect(fit, "gamma") is n_used * acov
    (('a|t1', 'b|t1', 'a~~b'), (3, 3))
    """
    tables = contingency_tables(codes, names, categories=categories, missing=missing, weights=weights)
    result, influence = _estimated(tables, correct, correct_tables, information, smooth=smooth)
    if acov:
        result = dataclasses.replace(result, acov=_rows_acov(tables, influence, codes, weights))
    return dataclasses.replace(result, warnings=announce(warnings_of(result)))


def polychoric_acov(result: PolychoricResult, codes: np.ndarray, weights: np.ndarray | None = None) -> FloatArray:
    """Return what some rows add to the asymptotic covariance of a result made from tables.

    The sum over all rows that the tables were counted from is the covariance of ``result.parameters``: pass them at
    once, or in chunks and add. Rows and weights are those of the tables.

    Parameters
    ----------
    result : PolychoricResult
        With its tables, from ``polychoric_from_tables``.
    codes : array (n, p)
        Category numbers of the same items.
    weights : array (n,), optional

    Returns
    -------
    array (q, q)
        Thresholds item by item, then correlations in the order of ``item_pairs``.
    """
    if result.tables is None:
        raise DataError("This result was not made from contingency tables: its covariance is made with it (acov=True).")
    if result.tables.weighted != (weights is not None):
        raise DataError("Give weights= exactly if the tables were counted with weights.")
    _, influence = _estimated(result.tables, result.correct, result.correct_tables, result.information, smooth=False)
    return _rows_acov(result.tables, influence, codes, weights)


def polychoric_matrix(tables: ContingencyTables) -> FloatArray:
    """Return the polychoric correlations alone, array (p, p): for resampling, where standard errors are not looked at.

    NaN where a correlation cannot be estimated; nothing is warned about.

    Examples
    --------
    >>> import numpy as np
    >>> from relmeasure.samplestats import contingency_tables
    >>> codes = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], [40, 20, 20, 40], axis=0)
    >>> polychoric_matrix(contingency_tables(codes, ["a", "b"])).round(3).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    items = margins(tables)
    rho = np.full(len(tables.joint), np.nan)
    for stack in stacks(tables, items, tables.joint):
        rho[stack.pairs] = solve_stack(stack).rho
    return square(rho, tables.n_items)


def _rows_acov(
    tables: ContingencyTables, influence: Influence, codes: np.ndarray, weights: np.ndarray | None
) -> FloatArray:
    numbers = category_numbers(codes)
    if numbers.shape[1] != tables.n_items:
        raise DataError(f"These rows have {numbers.shape[1]} items; the tables have {tables.n_items}.")
    w = None if weights is None else np.asarray(weights, dtype=float)
    if tables.missing == "listwise":
        complete = (numbers >= 0).all(axis=1)
        numbers, w = numbers[complete], None if w is None else w[complete]
    return row_products(influence, numbers, w)


# --------------------------------------------------------------------------- estimation
@dataclass(frozen=True)
class OrderedPairs:
    """Thresholds of ordered items, correlations of their pairs (m,), and the influence of each answer on both."""

    items: list[Margin]
    rho: Array
    at_bound: np.ndarray
    converged: np.ndarray
    influence: Influence
    n_corrected: int


def ordered_pairs(
    tables: ContingencyTables, correct: float, correct_tables: CorrectedTables, information: Information
) -> OrderedPairs:
    """Estimate thresholds and all correlations of ordered items."""
    _check_options(correct, correct_tables, information)
    m, k = tables.joint.shape[:2]
    items = margins(tables)
    joint, n_corrected = _corrected(tables, items, correct, correct_tables)
    rho, at_bound, converged = np.full(m, np.nan), np.zeros(m), np.ones(m, bool)
    influence = np.full((m, k + 1, k + 1), np.nan)
    answered = stacks(tables, items, tables.joint)  # standard errors rest on the answers alone, as in lavaan
    for stack, own in zip(stacks(tables, items, joint), answered, strict=True):
        solution = solve_stack(stack)
        rho[stack.pairs], at_bound[stack.pairs] = solution.rho, solution.at_bound
        converged[stack.pairs] = solution.converged
        influence[stack.pairs] = _spread(pair_influence(own, solution, items, information), stack, items, k)
    of_thresholds = [threshold_influence(item, k) for item in items]
    return OrderedPairs(items, rho, at_bound, converged, Influence(of_thresholds, influence), n_corrected)


def _estimated(
    tables: ContingencyTables,
    correct: float,
    correct_tables: CorrectedTables,
    information: Information,
    *,
    smooth: bool,
) -> tuple[PolychoricResult, Influence]:
    """Return the result without its warnings, and the influence of each answer on it."""
    if tables.n_items < 2:
        raise TooFewItemsError(f"A correlation needs two items; {tables.n_items} given.", n_items=tables.n_items)
    if tables.n_used == 0:
        raise TooFewObservationsError(f"No usable rows among {tables.n_rows} ({tables.missing}).", n_rows=tables.n_rows)
    p, names = tables.n_items, tables.names
    fit = ordered_pairs(tables, correct, correct_tables, information)
    tau_variances, variances = influence_variances(fit.influence, tables)
    correlation, smallest, moved = definite(square(fit.rho, p), smooth=smooth)
    pairs = named_pairs(names, np.ones(len(fit.rho)))
    result = PolychoricResult(
        names=names,
        kinds=("ordered",) * p,
        correlation=correlation,
        se=square(np.sqrt(variances), p, diagonal=0.0),
        thresholds={name: item.cuts for name, item in zip(names, fit.items, strict=True)},
        threshold_numbers={name: item.numbers for name, item in zip(names, fit.items, strict=True)},
        threshold_se={name: np.sqrt(v) for name, v in zip(names, tau_variances, strict=True)},
        location=np.zeros(p),
        variance=np.ones(p),
        n_obs=tables.n_obs,
        n_used=tables.n_used,
        n_rows=tables.n_rows,
        n_pair=tables.count,
        missing=tables.missing,
        rule=tables.rule,
        min_eigenvalue=smallest,
        smoothed_by=moved,
        at_bound=named_pairs(names, fit.at_bound),
        not_converged=named_pairs(names, ~fit.converged),
        correct=correct,
        correct_tables=correct_tables,
        information=information,
        n_corrected=fit.n_corrected,
        parameters=(*_threshold_names(names, fit.items), *map("~~".join, pairs)),
        estimates=np.concatenate([*(item.cuts for item in fit.items), fit.rho]),
        estimate_variances=np.concatenate([*tau_variances, variances]),
        categories=dict(zip(names, tables.categories, strict=True)),
        tables=tables,
    )
    return dataclasses.replace(result, status=status_of(result)), fit.influence


def _threshold_names(names: tuple[str, ...], items: list[Margin]) -> list[str]:
    return [f"{name}|t{number}" for name, item in zip(names, items, strict=True) for number in item.numbers]


def _check_options(correct: float, correct_tables: str, information: str) -> None:
    if information not in get_args(Information):
        raise OptionError.from_value("information", information, get_args(Information))
    if correct_tables not in get_args(CorrectedTables):
        raise OptionError.from_value("correct_tables", correct_tables, get_args(CorrectedTables))
    if not 0.0 <= correct <= 0.5:
        raise OptionError(f"correct={correct!r} is outside 0 to 0.5.", argument="correct", value=correct)


def _corrected(
    tables: ContingencyTables, items: list[Margin], correct: float, correct_tables: CorrectedTables
) -> tuple[Array, int]:
    """Return the tables with ``correct`` in their empty cells, and how many tables that changed."""
    if correct == 0.0:
        return tables.joint, 0
    first, second = item_pairs(tables.n_items)
    joint = np.array(tables.joint)
    n_corrected = 0
    for m, (i, j) in enumerate(zip(first, second, strict=True)):
        cells = np.ix_(items[i].kept, items[j].kept)
        counts = joint[m][cells]
        empty = counts == 0
        if counts.shape == (2, 2):
            sign = np.array([[1.0, -1.0], [-1.0, 1.0]])
            turns = np.unique(sign[empty])  # both directions at once: a row or column without answers, left alone
            changed = counts + correct * sign * turns[0] if len(turns) == 1 else counts
            counts, hit = (changed, len(turns) == 1) if (changed >= 0).all() else (counts, False)
        else:
            hit = correct_tables == "all" and bool(empty.any()) and bool(counts.any())
            counts = np.where(empty, correct, counts) if hit else counts
        joint[m][cells] = counts
        n_corrected += int(hit)
    return joint, n_corrected


def _spread(part: Array, stack: Stack, items: list[Margin], k: int) -> Array:
    """Put influences of the chosen categories into tables (m, K + 1, K + 1) of all declared categories."""
    turned = part.transpose(2, 0, 1)
    if turned.shape[1:] == (k + 1, k + 1):
        return turned
    out = np.zeros((len(turned), k + 1, k + 1))
    rows, cols = (np.array([np.append(items[i].kept, k) for i in side]) for side in (stack.first, stack.second))
    out[np.arange(len(turned))[:, None, None], rows[:, :, None], cols[:, None, :]] = turned
    return out
