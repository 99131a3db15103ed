"""Moments that were estimated or published, not summed: means and covariances without ``+``.

``em_moments``                   full-information maximum likelihood under missing data
``MomentEstimate.from_matrix``   a covariance or correlation matrix out of a paper, with its N
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from relmeasure.exceptions import (
    DataError,
    EstimationError,
    NotConvergedWarning,
    NotPositiveDefiniteError,
    NotPositiveDefiniteWarning,
    RelmeasureWarning,
    TooFewObservationsError,
    shorten,
)
from relmeasure.results import FloatArray, Note, Result, Status, Table, announce, frozen_array
from relmeasure.samplestats.em import maximise, observed_information
from relmeasure.samplestats.moments import _checked
from relmeasure.samplestats.patterns import MissingPatterns, missing_patterns

__all__ = ["MomentEstimate", "em_moments"]

_SYMMETRY = 1e-8
"""Largest difference, relative to the largest element, of a matrix that is symmetric but for rounding."""

_SMALLEST_EIGENVALUE = 1e-10
"""Below this, relative to the mean variance, a matrix is not positive definite."""

_WITHOUT_ROWS = (
    "item distributions, floor and ceiling",
    "scores of persons",
    "standard errors and tests robust to non-normality (MLR, MLM), and bootstrap intervals",
    "polychoric correlations, thresholds, WLSMV",
    "full-information treatment of missing answers",
    "class-level statistics",
)


@dataclass(frozen=True, eq=False)
class MomentEstimate(Result):
    """Means and covariances of ``p`` items, estimated by maximum likelihood or given.

    Attributes
    ----------
    names : tuple of str
        The items, in the order given.
    mean : array (p,)
        Means; NaN where none were published.
    cov : array (p, p)
        Covariances: with divisor N by EM, or the matrix as given.
    n_obs : int
        Rows with at least one answer, or the published N.
    source : {"em", "matrix"}
        Where the numbers come from.
    matrix : {"covariance", "correlation"}
        What ``cov`` holds: published correlations stand as covariances of standardised items.
    n_rows : int
        Rows seen.
    n_patterns : int
        Patterns of missing answers; 0 for a published matrix.
    rule : str
        What the numbers rest on, in words.
    log_likelihood : float
        Of the unrestricted model at the estimates; NaN for a published matrix.
    log_likelihood_path : array
        Its value at each accepted step; it never falls.
    coverage : array (p, p)
        Share of rows in which both items of a pair were answered.
    min_eigenvalue : float
        Smallest eigenvalue of the correlations.
    parameters : tuple of str
        Names of the rows of ``information``: ``a~1`` means, then ``a~~b`` covariances column by column.
    information : array (q, q) or None
        Observed information of means and covariances, if asked for; its inverse is their sampling covariance.
    unavailable : tuple of str
        What cannot be had from this statistic.
    weighted : bool
        Whether sampling weights were given.
    status, warnings
    """

    names: tuple[str, ...]
    mean: FloatArray
    cov: FloatArray
    n_obs: int
    source: Literal["em", "matrix"]
    matrix: Literal["covariance", "correlation"]
    n_rows: int
    n_patterns: int
    rule: str
    min_eigenvalue: float
    log_likelihood: float = math.nan
    log_likelihood_path: FloatArray = field(default_factory=lambda: np.zeros(0))
    coverage: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    information: FloatArray | None = None
    unavailable: tuple[str, ...] = ()
    weighted: bool = False
    status: Status = field(default_factory=Status)
    warnings: tuple[Note, ...] = ()

    @classmethod
    def from_matrix(
        cls,
        cov_or_cor: np.ndarray,
        n_obs: int,
        names: Sequence[str],
        *,
        mean: Sequence[float] | np.ndarray | None = None,
        sd: Sequence[float] | np.ndarray | None = None,
    ) -> MomentEstimate:
        """Take a published covariance or correlation matrix.

        Parameters
        ----------
        cov_or_cor : array (p, p)
            Symmetric; a unit diagonal makes it a correlation matrix.
        n_obs : int
            The number of persons behind it.
        names : sequence of str
            One name an item.
        mean : sequence of p floats, optional
            Published means; without them nothing that needs means can be had.
        sd : sequence of p floats, optional
            Published standard deviations, which turn correlations into covariances.

        Returns
        -------
        MomentEstimate
            ``unavailable`` lists what needs the rows.

        Raises
        ------
        DataError
            Not square, not symmetric, a variance that is not positive, a correlation beyond one, or an unusable N.

        Warns
        -----
        NotPositiveDefiniteWarning
            The matrix has an eigenvalue at or below zero; it is left as it is.

        Examples
        --------
        >>> r = [[1.0, 0.5], [0.5, 1.0]]
        >>> published = MomentEstimate.from_matrix(r, 213, ["a", "b"], sd=[2.0, 3.0])
        >>> published.cov.tolist(), published.n_obs  # R: lavaan::cor2cov(r, c(2, 3))
        ([[4.0, 3.0], [3.0, 9.0]], 213)
        """
        cov, kind = _published(cov_or_cor, names, sd)
        p = len(names)
        if isinstance(n_obs, bool) or n_obs != int(n_obs) or n_obs < 2:
            raise DataError(f"n_obs={n_obs!r} is not a number of persons: give the N of the matrix.", n_obs=n_obs)
        means = np.full(p, math.nan) if mean is None else np.asarray(mean, dtype=float)
        if means.shape != (p,) or (mean is not None and not np.isfinite(means).all()):
            raise DataError(f"mean= needs {p} finite numbers.")
        missing = _WITHOUT_ROWS if mean is not None else ("means and what rests on them (intercepts)", *_WITHOUT_ROWS)
        result = cls(
            names=tuple(names),
            mean=frozen_array(means),
            cov=frozen_array(cov),
            n_obs=int(n_obs),
            source="matrix",
            matrix=kind,
            n_rows=int(n_obs),
            n_patterns=0,
            rule=f"published {kind} matrix, N = {int(n_obs)}",
            min_eigenvalue=_smallest(cov),
            unavailable=missing,
        )
        return _announced(result, [])

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.names)

    @property
    def cor(self) -> FloatArray:
        """Correlations, array (p, p)."""
        return _correlations(self.cov)

    @property
    def correlation_acov(self) -> FloatArray | None:
        """Sampling covariance of the correlations (pairs i < j, row by row), or None without ``information``.

        The inverse of the observed information, carried on by the delta method:
        ``d r_ij = d s_ij / sqrt(s_ii s_jj) - r_ij (d s_ii / s_ii + d s_jj / s_jj) / 2``.
        """
        if self.information is None:
            return None
        p, variance = self.n_items, np.diag(self.cov)
        first, second = np.triu_indices(p, 1)
        place = np.zeros((p, p), dtype=np.intp)
        columns, rows = np.triu_indices(p)
        place[rows, columns] = place[columns, rows] = p + np.arange(len(rows))
        r = self.cor[first, second]
        slopes = np.zeros((len(r), len(self.information)))
        pairs = np.arange(len(r))
        slopes[pairs, place[first, second]] = 1.0 / np.sqrt(variance[first] * variance[second])
        slopes[pairs, place[first, first]] = -0.5 * r / variance[first]
        slopes[pairs, place[second, second]] = -0.5 * r / variance[second]
        acov: FloatArray = frozen_array(slopes @ np.linalg.solve(self.information, slopes.T))
        return acov

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the rows of ``information``."""
        cols, rows = np.triu_indices(self.n_items)
        pairs = (f"{self.names[j]}~~{self.names[i]}" for i, j in zip(rows, cols, strict=True))
        return (*(f"{name}~1" for name in self.names), *pairs)

    def subset(self, names: Sequence[str]) -> MomentEstimate:
        """Return the moments of some of the items, in the order given, as estimated with all of them."""
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise DataError(f"No item {unknown[0]!r} in these moments; they have {shorten(self.names, 12)}.")
        index = np.array([self.names.index(name) for name in names], dtype=np.intp)
        square = np.ix_(index, index)
        return dataclasses.replace(
            self,
            names=tuple(names),
            mean=self.mean[index],
            cov=self.cov[square],
            coverage=self.coverage[square] if self.coverage.size else self.coverage,
            min_eigenvalue=_smallest(self.cov[square]),
            log_likelihood=math.nan,
            log_likelihood_path=np.zeros(0),
            information=None,
        )

    def _table(self) -> Table:
        sd = np.sqrt(np.diag(self.cov))
        return Table({"item": self.names, "mean": tuple(self.mean), "sd": tuple(sd)})

    def summary(self) -> str:
        """Return the rule, one line an item, and what cannot be had."""
        lines = [self.rule, self._table().to_text()]
        lines += [f"- {reason}" for reason in self.status.reasons]
        if self.unavailable:
            lines.append("not available: " + "; ".join(self.unavailable))
        return "\n".join(lines)


# --------------------------------------------------------------------------- EM
def em_moments(
    values: np.ndarray | MissingPatterns,
    names: Sequence[str] | None = None,
    *,
    weights: np.ndarray | None = None,
    information: bool = False,
    tolerance: float = 1e-9,
    max_iterations: int = 2000,
) -> MomentEstimate:
    """Estimate means and covariances of incomplete rows by full-information maximum likelihood.

    Every answer counts; answers are taken to be missing at random and jointly normal. Rows without any answer are left
    out. With complete rows the result is the mean and the covariance with divisor N.

    Parameters
    ----------
    values : array (n, p) or MissingPatterns
        Persons in rows, items in columns, NaN is missing; or the additive statistic made of them.
    names : sequence of str
        One name an item; not needed with patterns.
    weights : array (n,), optional
        Sampling weights, scaled to average one.
    information : bool
        Whether to add the observed information of means and covariances: (p + p (p + 1) / 2) squared numbers.
    tolerance : float
        Largest change of a standardised mean or covariance in one step at convergence.
    max_iterations : int
        Steps, each of one or two passes over the patterns.

    Returns
    -------
    MomentEstimate

    Raises
    ------
    TooFewObservationsError, EstimationError, NotPositiveDefiniteError
        No rows; a pair of items that nobody answered together; an item without variance or items that are sums of
        others.

    Warns
    -----
    NotConvergedWarning
        The steps ran out; ``status`` says so too.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 1.0], [2.0, 3.0], [3.0, 2.0], [4.0, np.nan], [5.0, np.nan]])
    >>> em = em_moments(x, ["a", "b"])  # R: lavInspect(lavCor(x, missing = "ml", output = "fit"), "sampstat")
    >>> em.mean.round(4).tolist(), em.n_obs  # Anderson (1957): mean(b) + slope * (mean of all a - mean of these a)
    ([3.0, 2.5], 5)
    """
    patterns = values if isinstance(values, MissingPatterns) else _patterns(values, names, weights)
    if patterns.n_obs == 0:
        raise TooFewObservationsError(f"No row among {patterns.n_rows} has an answer.", n_rows=patterns.n_rows)
    _check_identified(patterns)
    try:
        fit = maximise(patterns, tolerance=tolerance, max_iterations=max_iterations)
    except np.linalg.LinAlgError:
        raise NotPositiveDefiniteError(
            "The covariance matrix becomes singular: items without variance, copies or sums of others, or more items "
            f"than the {patterns.n_obs} rows can bear. Leave items out.",
            min_eigenvalue=0.0,
        ) from None
    scale = patterns.n_obs / patterns.weight.sum()
    found = observed_information(patterns, fit.mean, fit.cov) * scale if information else None
    result = MomentEstimate(
        names=patterns.names,
        mean=fit.mean,
        cov=fit.cov,
        n_obs=patterns.n_obs,
        source="em",
        matrix="covariance",
        n_rows=patterns.n_rows,
        n_patterns=patterns.n_patterns,
        rule=(
            f"full information: {patterns.n_obs} of {patterns.n_rows} rows with an answer, "
            f"{patterns.n_complete} complete on {len(patterns.names)} items"
        ),
        min_eigenvalue=_smallest(fit.cov),
        log_likelihood=float(fit.path[-1]) * scale,
        log_likelihood_path=fit.path * scale,
        coverage=patterns.coverage,
        information=found,
        weighted=patterns.weighted,
    )
    unfinished = f"The EM algorithm did not converge in {max_iterations} steps; raise max_iterations."
    return _announced(result, [] if fit.converged else [NotConvergedWarning(unfinished)])


def _patterns(values: np.ndarray, names: Sequence[str] | None, weights: np.ndarray | None) -> MissingPatterns:
    if names is None:
        raise DataError("names= is needed with an array: one name an item.")
    return missing_patterns(values, names, weights=weights)


def _check_identified(patterns: MissingPatterns) -> None:
    coverage, names = patterns.coverage, patterns.names
    silent = [name for name, share in zip(names, np.diag(coverage), strict=True) if share == 0]
    if silent:
        raise EstimationError(f"Nobody answered {shorten(silent)}: leave out what has no answers.", items=silent)
    apart = [(names[i], names[j]) for i, j in np.argwhere(np.triu(coverage == 0, 1))]
    if apart:
        raise EstimationError(
            f"{len(apart)} pair(s) of items were never answered together, so their covariance cannot be estimated: "
            f"{shorten(f'{a} with {b}' for a, b in apart)}. Leave items out, or use data in which they meet.",
            pairs=apart,
        )


# --------------------------------------------------------------------------- published
def _published(
    given: np.ndarray, names: Sequence[str], sd: Sequence[float] | np.ndarray | None
) -> tuple[FloatArray, Literal["covariance", "correlation"]]:
    array, _ = _checked(given, names, "listwise", None)
    cov = np.array(array, dtype=float)
    if cov.shape[0] != cov.shape[1]:
        raise DataError(f"A covariance matrix is square; this one has {cov.shape[0]} rows and {cov.shape[1]} columns.")
    if not np.isfinite(cov).all():
        raise DataError(f"The matrix has {int((~np.isfinite(cov)).sum())} cells that are not numbers.")
    gap = float(np.abs(cov - cov.T).max(initial=0.0))
    if gap > _SYMMETRY * max(float(np.abs(cov).max(initial=0.0)), 1e-300):
        raise DataError(
            f"The matrix is not symmetric: the largest difference is {gap:.3g}. Give both triangles.", difference=gap
        )
    cov = 0.5 * (cov + cov.T)
    variance = np.diag(cov)
    bad = [name for name, v in zip(names, variance, strict=True) if not v > 0]
    if bad:
        raise DataError(f"Variances must be positive; those of {shorten(bad)} are not.", items=bad)
    kind: Literal["covariance", "correlation"] = (
        "correlation" if (np.abs(variance - 1.0) < 1e-6).all() else "covariance"
    )
    beyond = np.abs(cov) > np.sqrt(np.outer(variance, variance)) * (1 + 1e-6)
    if beyond.any():
        i, j = np.argwhere(beyond)[0]
        raise DataError(f"The correlation of {names[i]} and {names[j]} is beyond one: a misprint?")
    if sd is None:
        return cov, kind
    scale = np.asarray(sd, dtype=float)
    if kind == "covariance" or scale.shape != variance.shape or not (scale > 0).all():
        raise DataError(f"sd= needs {len(names)} positive numbers, and a correlation matrix to scale.")
    return cov * scale[:, None] * scale, "covariance"


def _correlations(cov: FloatArray) -> FloatArray:
    sd = np.sqrt(np.diag(cov))
    cor = cov / sd[:, None] / sd
    np.fill_diagonal(cor, 1.0)
    frozen: FloatArray = frozen_array(cor)
    return frozen


def _smallest(cov: FloatArray) -> float:
    return float(np.linalg.eigvalsh(_correlations(cov))[0]) if cov.size else math.nan


def _announced(result: MomentEstimate, raised: list[RelmeasureWarning]) -> MomentEstimate:
    """Complete the result with its status and warnings, and issue them."""
    reasons = [warning.message for warning in raised]
    definite = result.min_eigenvalue >= _SMALLEST_EIGENVALUE
    if not definite:
        text = (
            f"The matrix is not positive definite: its smallest eigenvalue is {result.min_eigenvalue:.3g}. "
            "It is left as it is; a misprint, or correlations of different persons, may be behind it."
        )
        reasons.append(text)
        raised = [*raised, NotPositiveDefiniteWarning(text, min_eigenvalue=result.min_eigenvalue)]
    converged = not any(isinstance(warning, NotConvergedWarning) for warning in raised)
    level: Literal["ok", "caution", "failed"] = "ok" if definite and converged else "caution" if converged else "failed"
    status = Status(
        level=level,
        converged=converged if result.source == "em" else None,
        admissible=definite,
        identified=True,
        reasons=tuple(reasons),
    )
    return dataclasses.replace(result, status=status, warnings=announce(raised))
