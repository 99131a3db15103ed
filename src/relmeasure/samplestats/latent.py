"""The result of polychoric, polyserial and mixed correlations, and what is said about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from relmeasure.exceptions import (
    ConstantItemWarning,
    EmptyCategoryWarning,
    ListwiseDeletionWarning,
    NotConvergedWarning,
    NotPositiveDefiniteWarning,
    PairwiseDeletionWarning,
    RelmeasureWarning,
    SparseTableWarning,
    UnsupportedDataError,
    shorten,
)
from relmeasure.results import FloatArray, IntArray, Note, Provenance, Result, Status, Table, frozen_array
from relmeasure.samplestats.contingency import ContingencyTables, item_pairs
from relmeasure.samplestats.moments import MissingMethod

__all__ = ["ItemKind", "PolychoricResult"]

ItemKind = Literal["ordered", "continuous"]
"""How an item was measured."""

_SMALLEST_EIGENVALUE = 1e-10
"""Eigenvalues below this are rounding: the matrix is not positive definite."""

_PRINTED_ITEMS = 12
"""A larger matrix is not printed."""

_SMOOTHED_EIGENVALUE = 1e-6
"""Eigenvalues of a smoothed matrix, before its diagonal is set to one again."""


@dataclass(frozen=True, eq=False)
class PolychoricResult(Result):
    """Correlations of latent responses, thresholds, and how surely they are known.

    Attributes
    ----------
    names : tuple of str
        The p items, in the order given.
    kinds : tuple of {"ordered", "continuous"}
        How each was measured.
    correlation : array (p, p)
        Polychoric, tetrachoric (two categories each), polyserial (one continuous) or Pearson correlations;
        NaN where there is none, with the reason in ``status``.
    se : array (p, p)
        Their standard errors; zero on the diagonal, NaN at a bound.
    thresholds : dict of item to array
        Estimated thresholds of each ordered item, ascending.
    threshold_numbers : dict of item to tuple of int
        Which thresholds they are: number k lies above the k-th declared category; an empty category has none.
    threshold_se : dict of item to array
        Their standard errors.
    categories : dict of item to tuple of float
        The declared categories of each ordered item, ascending.
    location, variance : array (p,)
        Mean and variance (divisor n) of continuous items; 0 and 1 for ordered ones, whose latent response is standard.
    n_obs : int
        Rows behind the matrix: complete rows, or the smallest number behind any pair.
    n_used : int
        Rows behind any of it: the N that ``nacov`` is scaled by.
    n_rows : int
        Rows seen.
    n_pair : array (p, p)
        Rows behind each pair; on the diagonal, behind each item.
    missing, rule : str
        What happened to rows with a missing answer, as a word and in words.
    min_eigenvalue : float
        Smallest eigenvalue of the correlations as estimated (before any smoothing).
    smoothed_by : float
        Largest change of a correlation by smoothing; zero without.
    at_bound, not_converged : tuple of pairs of items
        Correlations that stand at plus or minus 1, and those whose iterations did not end.
    correct, correct_tables, n_corrected
        The correction of empty cells asked for, and how many tables it changed.
    information : {"crossproduct", "observed"}
        How the derivatives behind standard errors and ``acov`` were estimated.
    parameters : tuple of str
        Names of the q estimates in lavaan's terms and order: item by item ``a|t1`` (thresholds) or ``x~1`` (mean), then
        ``x~~x`` (variances of continuous items), then ``a~~b`` (correlations; covariances where an item is continuous).
    estimates, estimate_variances : array (q,)
        The estimates, before any smoothing, and their sampling variances: squared standard errors.
    acov : array (q, q) or None
        Asymptotic covariance of ``estimates``; its diagonal is ``estimate_variances``; ``nacov`` is n_used times it.
    tables : ContingencyTables or None
        The tables behind it, if all items are ordered.
    status : Status
    warnings : tuple of Note
    provenance : Provenance or None
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    correlation: FloatArray
    se: FloatArray
    thresholds: dict[str, FloatArray]
    threshold_numbers: dict[str, tuple[int, ...]]
    threshold_se: dict[str, FloatArray]
    location: FloatArray
    variance: FloatArray
    n_obs: int
    n_used: int
    n_rows: int
    n_pair: IntArray
    missing: MissingMethod
    rule: str
    min_eigenvalue: float
    smoothed_by: float = 0.0
    at_bound: tuple[tuple[str, str], ...] = ()
    not_converged: tuple[tuple[str, str], ...] = ()
    correct: float = 0.0
    correct_tables: Literal["2x2", "all"] = "2x2"
    n_corrected: int = 0
    information: Literal["crossproduct", "observed"] = "crossproduct"
    parameters: tuple[str, ...] = ()
    estimates: FloatArray = field(default_factory=lambda: np.zeros(0))
    estimate_variances: FloatArray = field(default_factory=lambda: np.zeros(0))
    acov: FloatArray | None = None
    categories: dict[str, tuple[float, ...]] = field(default_factory=dict)
    tables: ContingencyTables | None = None
    status: Status = field(default_factory=Status)
    warnings: tuple[Note, ...] = ()
    provenance: Provenance | None = None

    def __post_init__(self) -> None:
        for name in ("thresholds", "threshold_se"):
            object.__setattr__(self, name, {k: frozen_array(v) for k, v in getattr(self, name).items()})
        super().__post_init__()

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.names)

    @property
    def cor(self) -> FloatArray:
        """The correlations, under the name that moments have."""
        return self.correlation

    @property
    def cov(self) -> FloatArray:
        """Covariances: of standard latent responses, and of continuous items in their own units (divisor n)."""
        sd = np.sqrt(self.variance)
        cov: FloatArray = frozen_array(self.correlation * sd[:, None] * sd)
        return cov

    @property
    def mean(self) -> FloatArray:
        """Means: zero for latent responses."""
        return self.location

    @property
    def nacov(self) -> FloatArray:
        """``n_used * acov``, as lavaan's NACOV (gamma): the weight matrix of WLS is its inverse."""
        if self.acov is None:
            raise UnsupportedDataError(
                "The full asymptotic covariance was not computed: it needs the rows. Ask for it with acov=True."
            )
        nacov: FloatArray = frozen_array(self.n_used * self.acov)
        return nacov

    @property
    def nacov_diagonal(self) -> FloatArray:
        """The diagonal of ``nacov``, array (q,), which needs no rows: the weights of DWLS are its inverse."""
        diagonal: FloatArray = frozen_array(self.n_used * self.estimate_variances)
        return diagonal

    def method(self, first: str, second: str) -> str:
        """Return the name of the correlation of two items."""
        return self._method(self.names.index(first), self.names.index(second))

    def _method(self, i: int, j: int) -> str:
        ordered = [self.names[k] for k in (i, j) if self.kinds[k] == "ordered"]
        if not ordered:
            return "pearson"
        if len(ordered) == 1:
            return "polyserial"
        return "tetrachoric" if all(len(self.thresholds[name]) == 1 for name in ordered) else "polychoric"

    def _table(self) -> Table:
        rows = [
            {
                "item_1": self.names[i],
                "item_2": self.names[j],
                "correlation": float(self.correlation[i, j]),
                "se": float(self.se[i, j]),
                "n_obs": int(self.n_pair[i, j]),
                "method": self._method(i, j),
            }
            for i, j in zip(*item_pairs(self.n_items), strict=True)
        ]
        return Table.from_rows(rows, ("item_1", "item_2", "correlation", "se", "n_obs", "method"))

    def summary(self) -> str:
        """Return the methods, the rule, the matrix if it is small, and what stands against it."""
        first, second = item_pairs(self.n_items)
        methods = list(dict.fromkeys(self._method(i, j) for i, j in zip(first, second, strict=True)))
        estimator = "" if methods == ["pearson"] else " (two-step maximum likelihood)"
        lines = [f"{', '.join(methods)} correlations of {self.n_items} items{estimator}", self.rule]
        if self.n_items <= _PRINTED_ITEMS:
            cells = {name: tuple(_lower(self.correlation, j)) for j, name in enumerate(self.names)}
            lines.append(Table({"": self.names, **cells}).to_text())
        elif not np.isnan(self.correlation).all():
            r = self.correlation[first, second]
            lines.append(f"{len(r)} correlations from {np.nanmin(r):.3f} to {np.nanmax(r):.3f}")
        lines.append(f"smallest eigenvalue {self.min_eigenvalue:.4f}; status: {self.status.level}")
        lines += [f"- {reason}" for reason in self.status.reasons]
        return "\n".join(lines)


def _lower(matrix: FloatArray, column: int) -> list[str]:
    return [f"{r:.3f}" if i >= column else "" for i, r in enumerate(matrix[:, column])]


# --------------------------------------------------------------------------- what is said about it
def square(values: FloatArray, p: int, *, diagonal: float = 1.0) -> FloatArray:
    """Put the values of all pairs, in the order of ``item_pairs``, into a symmetric matrix."""
    out = np.full((p, p), diagonal)
    first, second = item_pairs(p)
    out[first, second] = out[second, first] = values
    return out


def definite(correlation: FloatArray, *, smooth: bool) -> tuple[FloatArray, float, float]:
    """Return the matrix (smoothed on request if need be), its smallest eigenvalue before, and the largest change.

    Smoothing raises eigenvalues to at least 1e-6 and rescales to a unit diagonal (Knol & Berger, 1991, eq. 8).
    """
    if np.isnan(correlation).any():
        return correlation, float("nan"), 0.0
    values, vectors = np.linalg.eigh(correlation)
    smallest = float(values[0])
    if smallest >= _SMALLEST_EIGENVALUE or not smooth:
        return correlation, smallest, 0.0
    raised = (vectors * np.maximum(values, _SMOOTHED_EIGENVALUE)) @ vectors.T
    scale = np.sqrt(np.diag(raised))
    smoothed = raised / scale[:, None] / scale
    smoothed = 0.5 * (smoothed + smoothed.T)
    np.fill_diagonal(smoothed, 1.0)
    return smoothed, smallest, float(np.abs(smoothed - correlation).max())


def status_of(result: PolychoricResult) -> Status:
    """Say what stands against a matrix of correlations, and what to do."""
    reasons = []
    level: Literal["ok", "caution", "failed"] = "ok"
    if result.not_converged:
        level = "failed"
        reasons.append(f"{len(result.not_converged)} correlation(s) did not converge: {_pairs(result.not_converged)}.")
    absent = np.isnan(result.correlation)
    if absent.any():
        level = "failed"
        count = int(absent.sum()) // 2
        reasons.append(
            f"{count} correlation(s) cannot be estimated: an item does not vary, or a pair has no rows. "
            "Leave these items out."
        )
    if result.at_bound:
        level = "caution" if level == "ok" else level
        reasons.append(
            f"{len(result.at_bound)} correlation(s) stand at their bound, without a standard error: "
            f"{_pairs(result.at_bound)}. Empty cells leave the likelihood no maximum inside; correct=0.5 gives it one."
        )
    if result.min_eigenvalue < _SMALLEST_EIGENVALUE:
        level = "caution" if level == "ok" else level
        reasons.append(_definiteness(result))
    admissible = None if absent.any() else result.min_eigenvalue >= _SMALLEST_EIGENVALUE or result.smoothed_by > 0
    return Status(level=level, converged=not result.not_converged, admissible=admissible, reasons=tuple(reasons))


def _definiteness(result: PolychoricResult) -> str:
    text = f"The matrix is not positive definite: its smallest eigenvalue is {result.min_eigenvalue:.3g}. "
    if result.smoothed_by > 0:
        return f"{text}It was smoothed as asked; the largest change of a correlation is {result.smoothed_by:.3g}."
    return f"{text}It was left as it is; smooth=True makes it so and says how far any correlation moves."


def _pairs(pairs: tuple[tuple[str, str], ...]) -> str:
    return shorten(f"{a} with {b}" for a, b in pairs)


def warnings_of(result: PolychoricResult) -> Iterator[RelmeasureWarning]:
    """Make the warnings that belong to a result."""
    yield from _deletion(result)
    no_variance = ~(result.variance > 0)
    constant = [
        name
        for name, none in zip(result.names, no_variance, strict=True)
        if none or (name in result.thresholds and not len(result.thresholds[name]))
    ]
    if constant:
        yield ConstantItemWarning(
            f"{len(constant)} item(s) do not vary, so nothing correlates with them: {shorten(constant)}.",
            items=constant,
        )
    empty = {} if result.tables is None else result.tables.empty_categories
    if empty:
        named = (f"{name}: {shorten(f'{code:g}' for code in codes)}" for name, codes in empty.items())
        yield EmptyCategoryWarning(
            f"Nobody chose some declared categories ({shorten(named)}). Each is joined to its neighbour: "
            "its threshold is left out, the others keep their numbers.",
            categories={name: list(codes) for name, codes in empty.items()},
        )
    if result.at_bound:
        yield SparseTableWarning(
            f"{len(result.at_bound)} correlation(s) stand at plus or minus 1 because cells of their tables are empty: "
            f"{_pairs(result.at_bound)}. correct=0.5 fills empty cells of two by two tables.",
            pairs=[list(pair) for pair in result.at_bound],
        )
    if result.not_converged:
        yield NotConvergedWarning(f"Correlations that did not converge: {_pairs(result.not_converged)}.")
    if result.min_eigenvalue < _SMALLEST_EIGENVALUE:
        yield NotPositiveDefiniteWarning(
            _definiteness(result), min_eigenvalue=result.min_eigenvalue, largest_change=result.smoothed_by
        )


def _deletion(result: PolychoricResult) -> Iterator[RelmeasureWarning]:
    used, seen, pair_rows = result.n_used, result.n_rows, result.n_pair
    if result.missing == "listwise" and used < seen:
        yield ListwiseDeletionWarning(
            f"{seen - used} of {seen} rows with a missing answer were dropped; {used} remain.",
            n_dropped=seen - used,
            n_rows=seen,
        )
    elif result.missing == "pairwise" and pair_rows.min() < pair_rows.max():
        yield PairwiseDeletionWarning(
            f"Pairs of items rest on {pair_rows.min()} to {pair_rows.max()} of {seen} rows, "
            "and thresholds on each item's own rows.",
            n_min=int(pair_rows.min()),
            n_max=int(pair_rows.max()),
        )


def named_pairs(names: tuple[str, ...], which: np.ndarray) -> tuple[tuple[str, str], ...]:
    """Return the names of the pairs that a logical array (m,) marks."""
    first, second = item_pairs(len(names))
    return tuple((names[first[m]], names[second[m]]) for m in np.flatnonzero(which))
