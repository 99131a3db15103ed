"""Correlations of mixed items: polychoric, polyserial and Pearson in one matrix, with one asymptotic covariance."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from relmeasure.exceptions import DataError, TooFewItemsError, TooFewObservationsError
from relmeasure.numerics.normal import Array
from relmeasure.results import IntArray, announce
from relmeasure.samplestats.acov import Information
from relmeasure.samplestats.contingency import (
    ContingencyTables,
    category_codes,
    contingency_tables,
    finite_values,
    item_pairs,
)
from relmeasure.samplestats.latent import PolychoricResult, definite, named_pairs, square, status_of, warnings_of
from relmeasure.samplestats.moments import MissingMethod, _checked
from relmeasure.samplestats.polychoric import CorrectedTables, OrderedPairs, ordered_pairs
from relmeasure.samplestats.polyserial import Continuous, continuous_margin, polyserial, polyserial_influence

__all__ = ["mixed_correlations"]


def mixed_correlations(
    values: np.ndarray,
    names: Sequence[str],
    *,
    categories: Sequence[Sequence[float] | None],
    missing: MissingMethod = "pairwise",
    weights: np.ndarray | None = None,
    acov: bool = False,
    correct: float = 0.0,
    correct_tables: CorrectedTables = "2x2",
    information: Information = "crossproduct",
    smooth: bool = False,
) -> PolychoricResult:
    """Estimate the correlation of each pair by the method that suits its two items.

    Two ordered items: polychoric; one ordered, one continuous: polyserial by two-step maximum likelihood (not the
    moment formula that psych's ``polyserial`` uses); two continuous items: Pearson.

    Parameters
    ----------
    values : array (n, p)
        Answers, persons by items; NaN is missing.
    names : sequence of str
        One name an item.
    categories : sequence of p sequences or None
        Categories of an ordered item, ascending; None for a continuous item.
    missing : {"pairwise", "listwise"}
        Pairwise: thresholds, means and variances from each item's own rows, correlations from the rows of the pair.
    weights : array (n,), optional
        Sampling weights, not negative; only their ratios matter.
    acov : bool
        Whether to keep the full asymptotic covariance. It is computed from the rows in any case.
    correct, correct_tables, information, smooth
        As in ``polychoric_from_tables``; a correction concerns pairs of ordered items.

    Returns
    -------
    PolychoricResult
        ``estimates`` hold thresholds and means item by item, variances (divisor n), then correlations of ordered items
        and covariances where one is continuous, as lavaan orders them (lavaan carries the mean with a minus sign).

    Notes
    -----
    The covariance of means, variances and covariances of continuous items is free of distribution; lavaan derives it
    from normal scores, so its NACOV differs in these rows for skewed variables.

    References
    ----------
    Olsson, U., Drasgow, F., & Dorans, N. J. (1982). Psychometrika, 47, 337-347. Muthen, B. (1984). Psychometrika, 49,
    115-132.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 0.2], [1.0, 0.9], [2.0, 0.7], [2.0, 1.8], [3.0, 1.1], [3.0, 2.4]])
    >>> result = mixed_correlations(x, ["item", "age"], categories=[(1, 2, 3), None])
    >>> result.method("item", "age"), round(float(result.correlation[0, 1]), 3)  # R: lavCor(x, ordered = "item")
    ('polyserial', 0.736)
    """
    array, w = _checked(values, names, missing, weights)
    array = finite_values(array)
    if len(names) < 2:
        raise TooFewItemsError(f"A correlation needs two items; {len(names)} given.", n_items=len(names))
    if len(categories) != len(names):
        raise DataError(f"Categories of {len(categories)} items were given for {len(names)} items.")
    seen = ~np.isnan(array)
    keep = seen.all(axis=1) if missing == "listwise" else seen.any(axis=1)
    keep &= True if w is None else w > 0
    if not keep.any():
        raise TooFewObservationsError(f"No usable rows among {len(array)} ({missing}).", n_rows=len(array))
    data = _Data.read(array[keep], tuple(names), categories, np.ones(len(array))[keep] if w is None else w[keep])
    fit = _fit(data, correct, correct_tables, information)
    result = _result(data, fit, smooth=smooth, keep_acov=acov)
    n_pair = result.n_pair
    rows = f"{n_pair.min()} to {n_pair.max()} of {len(array)} rows"
    rule = {
        "listwise": f"listwise: {len(data.array)} of {len(array)} rows complete on {len(names)} items",
        "pairwise": f"pairwise: {rows} behind a pair; thresholds and means from each item's own rows",
    }
    result = dataclasses.replace(
        result,
        n_rows=len(array),
        missing=missing,
        rule=rule[missing],
        correct=correct,
        correct_tables=correct_tables,
        information=information,
    )
    return dataclasses.replace(result, warnings=announce(warnings_of(result)))


# --------------------------------------------------------------------------- parts
@dataclass(frozen=True)
class _Data:
    """Usable rows: answers, category numbers of the ordered items, weights, and the margins of every item."""

    names: tuple[str, ...]
    array: Array
    codes: np.ndarray
    w: Array
    position: dict[int, int]
    tables: ContingencyTables
    margins: dict[int, Continuous]

    @classmethod
    def read(
        cls, array: Array, names: tuple[str, ...], categories: Sequence[Sequence[float] | None], w: Array
    ) -> _Data:
        declared = {i: codes for i, codes in enumerate(categories) if codes is not None}
        ordered = list(declared)
        labels = [names[i] for i in ordered]
        codes = category_codes(array[:, ordered], labels, list(declared.values()))
        tables = contingency_tables(codes, labels, categories=list(declared.values()), weights=w)
        continuous = {i: continuous_margin(array[:, i], w) for i in range(len(names)) if i not in declared}
        return cls(names, array, codes, w, {i: k for k, i in enumerate(ordered)}, tables, continuous)

    @property
    def variance(self) -> Array:
        """Variance of each item: one for a latent response."""
        return np.array([self.margins[i].variance if i in self.margins else 1.0 for i in range(len(self.names))])


@dataclass(frozen=True)
class _Fit:
    """Correlations of all pairs; ``ordered`` holds what concerns ordered items alone."""

    ordered: OrderedPairs
    rho: Array
    at_bound: np.ndarray
    converged: np.ndarray
    information: Information


def _fit(data: _Data, correct: float, correct_tables: CorrectedTables, information: Information) -> _Fit:
    """Estimate the correlation of every pair."""
    ordered = ordered_pairs(data.tables, correct, correct_tables, information)
    first, second = item_pairs(len(data.names))
    rho, at_bound, converged = np.zeros(len(first)), np.zeros(len(first)), np.ones(len(first), bool)
    for m, (i, j) in enumerate(zip(first, second, strict=True)):
        if i in data.position and j in data.position:
            k = _pair_number(data.position[i], data.position[j], len(data.position))
            rho[m], at_bound[m], converged[m] = ordered.rho[k], ordered.at_bound[k], ordered.converged[k]
        elif i in data.margins and j in data.margins:
            rho[m], _ = _pearson(data, i, j)
        else:
            c, o = (i, j) if i in data.margins else (j, i)
            k = data.position[o]
            found = polyserial(data.array[:, c], data.margins[c], data.codes[:, k], ordered.items[k], data.w)
            rho[m], at_bound[m], converged[m] = found.rho, found.at_bound, found.converged
    return _Fit(ordered, rho, at_bound, converged, information)


def _pair_number(i: int, j: int, p: int) -> int:
    return i * p - i * (i + 1) // 2 + j - i - 1


def _pearson(data: _Data, i: int, j: int) -> tuple[float, Array]:
    """Return the correlation over the rows of the pair, and the influence of each row per unit weight."""
    x, y = data.array[:, i], data.array[:, j]
    both = ~np.isnan(x) & ~np.isnan(y)
    w = data.w[both]
    total = w.sum()
    out = np.zeros(len(x))
    if total == 0.0:
        return math.nan, out
    a, b = x[both] - w @ x[both] / total, y[both] - w @ y[both] / total
    spread = math.sqrt(float(w @ a**2)) * math.sqrt(float(w @ b**2))
    if not spread > 0.0:
        return math.nan, out
    r = float(w @ (a * b)) / spread
    a, b = a * math.sqrt(total / float(w @ a**2)), b * math.sqrt(total / float(w @ b**2))
    out[both] = (a * b - 0.5 * r * (a * a + b * b)) / total
    return r, out


# --------------------------------------------------------------------------- covariance
def _influence_of_pair(data: _Data, fit: _Fit, m: int, i: int, j: int, taus: dict[int, Array]) -> Array:
    """Return the influence of each row on one correlation, per unit weight, array (n,)."""
    if i in data.position and j in data.position:
        a, b = data.position[i], data.position[j]
        table = fit.ordered.influence.pairs[_pair_number(a, b, len(data.position))]
        return np.asarray(table[data.codes[:, a], data.codes[:, b]])  # -1, missing, is the last row and column
    if i in data.margins and j in data.margins:
        return _pearson(data, i, j)[1]
    c, o = (i, j) if i in data.margins else (j, i)
    if math.isnan(fit.rho[m]) or fit.at_bound[m]:
        return np.full(len(data.w), np.nan)
    k = data.position[o]
    item = fit.ordered.items[k]
    return polyserial_influence(
        float(fit.rho[m]), data.array[:, c], data.margins[c], data.codes[:, k], item, data.w, taus[o], fit.information
    )


def _influences(data: _Data, fit: _Fit) -> Iterator[tuple[str, float, Array, float]]:
    """Iterate over the estimates: name, value, influence of each row, and the variance of a pair's correlation."""
    p, sd = len(data.names), np.sqrt(data.variance)
    taus: dict[int, Array] = {}
    of_variance: dict[int, Array] = {}
    means: dict[int, Array] = {}
    for i, margin in data.margins.items():
        x = data.array[:, i]
        deviation = np.where(np.isnan(x), 0.0, x - margin.mean)
        means[i] = deviation / margin.total
        of_variance[i] = np.where(np.isnan(x), 0.0, deviation**2 - margin.variance) / margin.total
    for i, name in enumerate(data.names):
        if i in data.margins:
            yield f"{name}~1", data.margins[i].mean, means[i], math.nan
            continue
        item = fit.ordered.items[data.position[i]]
        table = fit.ordered.influence.thresholds[data.position[i]]
        taus[i] = np.ascontiguousarray(table[data.codes[:, data.position[i]]].T)
        for number, cut, row in zip(item.numbers, item.cuts, taus[i], strict=True):
            yield f"{name}|t{number}", float(cut), row, math.nan
    for i, margin in data.margins.items():
        yield f"{data.names[i]}~~{data.names[i]}", margin.variance, of_variance[i], math.nan
    for m, (i, j) in enumerate(zip(*item_pairs(p), strict=True)):
        row = _influence_of_pair(data, fit, m, i, j, taus)
        variance = float(((row * data.w) ** 2).sum())
        scaled = row * sd[i] * sd[j]
        for c, other in ((i, j), (j, i)):
            if c in data.margins:
                scaled = scaled + fit.rho[m] * sd[other] / (2.0 * sd[c]) * of_variance[c]
        yield f"{data.names[i]}~~{data.names[j]}", float(fit.rho[m] * sd[i] * sd[j]), scaled, variance


def _result(data: _Data, fit: _Fit, *, smooth: bool, keep_acov: bool) -> PolychoricResult:
    """Assemble the result; rows seen, the rule and the options are filled in by the caller."""
    p, m = len(data.names), len(fit.rho)
    labels, estimates, variances, of_rho, acov = _collected(data, fit, keep_acov=keep_acov)
    correlation, smallest, moved = definite(square(fit.rho, p), smooth=smooth)
    items = {data.names[i]: fit.ordered.items[k] for i, k in data.position.items()}
    se = dict(zip(labels, np.sqrt(variances), strict=True))
    result = PolychoricResult(
        names=data.names,
        kinds=tuple("continuous" if i in data.margins else "ordered" for i in range(p)),
        correlation=correlation,
        se=square(np.sqrt(of_rho[-m:]), p, diagonal=0.0),
        thresholds={name: item.cuts for name, item in items.items()},
        threshold_numbers={name: item.numbers for name, item in items.items()},
        threshold_se={
            name: np.array([se[f"{name}|t{number}"] for number in item.numbers]) for name, item in items.items()
        },
        location=np.array([data.margins[i].mean if i in data.margins else 0.0 for i in range(p)]),
        variance=data.variance,
        n_obs=int(_pair_rows(data).min()),
        n_used=len(data.array),
        n_rows=len(data.array),
        n_pair=_pair_rows(data),
        missing="pairwise",
        rule="",
        min_eigenvalue=smallest,
        smoothed_by=moved,
        at_bound=named_pairs(data.names, fit.at_bound),
        not_converged=named_pairs(data.names, ~fit.converged),
        n_corrected=fit.ordered.n_corrected,
        parameters=labels,
        estimates=estimates,
        estimate_variances=variances,
        acov=acov,
        categories=dict(zip(data.tables.names, data.tables.categories, strict=True)),
        tables=data.tables if len(data.position) == p else None,
    )
    return dataclasses.replace(result, status=status_of(result))


def _collected(data: _Data, fit: _Fit, *, keep_acov: bool) -> tuple[tuple[str, ...], Array, Array, Array, Array | None]:
    """Return names, values and variances of all estimates, variances of correlations, and the covariance if wanted."""
    labels, estimates, variances, of_rho, kept = [], [], [], [], []
    with np.errstate(invalid="ignore", divide="ignore"):
        for label, value, row, rho_variance in _influences(data, fit):
            weighted = row * data.w
            labels.append(label)
            estimates.append(value)
            variances.append(float(weighted @ weighted))
            of_rho.append(rho_variance)
            if keep_acov:
                kept.append(weighted)
    stacked = np.array(kept)
    acov = stacked @ stacked.T if keep_acov else None
    return tuple(labels), np.array(estimates), np.array(variances), np.array(of_rho), acov


def _pair_rows(data: _Data) -> IntArray:
    seen = (~np.isnan(data.array)).astype(float)
    rows: IntArray = np.rint(seen.T @ seen).astype(np.int64)
    return rows
