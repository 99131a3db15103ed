"""Bootstrap of a fitted model: persons, or whole clusters, are drawn again with replacement.

References
----------
Efron, B., & Tibshirani, R. J. (1993). An Introduction to the Bootstrap, chapters 6 and 13 (percentile intervals) and 14
(bias-corrected). Field, C. A., & Welsh, A. H. (2007). Journal of the Royal Statistical Society B, 69, 369-390
(clusters).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from relmeasure.exceptions import NotConvergedWarning, OptionError, RelmeasureError, UnsupportedDataError
from relmeasure.results import FloatArray, FrameKind, Note, Result, Table, announce, frozen_array
from relmeasure.samplestats.em import maximise
from relmeasure.samplestats.moments import moment_sums
from relmeasure.samplestats.patterns import missing_patterns
from relmeasure.structural.estimation.cases import Cases, GroupCases
from relmeasure.structural.estimation.engine import Engine, Fitted
from relmeasure.structural.estimation.samples import GroupSample, Sample
from relmeasure.structural.estimation.solving import solve
from relmeasure.structural.estimation.start import with_sample_moments
from relmeasure.structural.language.restrictions import evaluate_definitions

if TYPE_CHECKING:
    from relmeasure.structural.fitted.fit import StructuralFit

__all__ = ["Bootstrap", "IntervalKind", "bootstrap_fit"]

Array = np.ndarray[Any, np.dtype[Any]]
IntervalKind = Literal["percentile", "bias_corrected", "normal"]
"""Quantiles of the draws; quantiles shifted by their median bias; the estimate and the draws' standard deviation."""


@dataclass(frozen=True, eq=False)
class Bootstrap(Result):
    """Bootstrap draws of the parameters of a model.

    Attributes
    ----------
    lhs, op, rhs, group : tuple of str
        The parameters, defined ones last.
    estimates : array (r,)
        Of the fit.
    draws : array (n, r)
        One row a replication that converged.
    n_failed : int
        Replications that did not.
    interval : str
    conf_level : float
    warnings : tuple of Note
    """

    lhs: tuple[str, ...]
    op: tuple[str, ...]
    rhs: tuple[str, ...]
    group: tuple[str, ...]
    estimates: FloatArray
    draws: FloatArray
    n_failed: int
    interval: str
    conf_level: float
    warnings: tuple[Note, ...] = ()

    @property
    def se(self) -> FloatArray:
        """Standard deviations of the draws."""
        se: FloatArray = frozen_array(np.std(self.draws, axis=0, ddof=1))
        return se

    def _table(self) -> Table:
        lower, upper = _bounds(np.asarray(self.estimates), np.asarray(self.draws), self.interval, self.conf_level)
        return Table(
            {
                "lhs": self.lhs,
                "op": self.op,
                "rhs": self.rhs,
                "group": self.group,
                "est": tuple(self.estimates),
                "se": tuple(self.se),
                "lower": tuple(lower),
                "upper": tuple(upper),
            }
        )

    def parameters(self, *, kind: FrameKind = "pandas") -> Any:
        """Return ``lhs op rhs group est se lower upper``, one row a parameter."""
        return self._table().to_frame(kind)

    def summary(self) -> str:
        """Return the number of draws and the table."""
        level = f"{self.conf_level:.0%} {self.interval} intervals"
        head = f"{len(self.draws)} bootstrap draws, {self.n_failed} failed; {level}"
        return f"{head}\n{self._table().to_text()}"


def _bounds(estimates: Array, draws: Array, interval: str, level: float) -> tuple[Array, Array]:
    from scipy.special import ndtr, ndtri

    tail = (1.0 - level) / 2.0
    if interval == "normal":
        half = -float(ndtri(tail)) * np.std(draws, axis=0, ddof=1)
        return estimates - half, estimates + half
    if interval == "percentile":
        return np.quantile(draws, tail, axis=0), np.quantile(draws, 1.0 - tail, axis=0)
    n = len(draws)
    below = (np.sum(draws < estimates, axis=0) + 0.5 * np.sum(draws == estimates, axis=0)) / n
    bias = ndtri(np.clip(below, 0.5 / n, 1.0 - 0.5 / n))
    out = []
    for z in (ndtri(tail), ndtri(1.0 - tail)):
        share = ndtr(2.0 * bias + z)
        out.append(np.array([np.quantile(column, p) for column, p in zip(draws.T, share, strict=True)]))
    return out[0], out[1]


def bootstrap_fit(
    fit: StructuralFit,
    n: int,
    *,
    rng: int | np.random.Generator,
    interval: IntervalKind,
    conf_level: float,
    progress: Callable[[int, int], None] | None,
) -> Bootstrap:
    """Draw, refit from the estimates, and collect."""
    if interval not in get_args(IntervalKind):
        raise OptionError.from_value("interval", interval, get_args(IntervalKind))
    cases = fit._cases
    if cases is None:
        raise UnsupportedDataError("The bootstrap needs the rows: this fit was made from moments, or from a dict.")
    if fit.method.ordinal:
        raise UnsupportedDataError("The bootstrap is not supported with ordered=: WLSMV standard errors are robust.")
    if n < 2:
        raise OptionError(f"n={n!r}: a number of draws, at least 2, is needed.", argument="n")
    engine = fit._fitted.engine
    draws: list[Array] = []
    for number, generator in enumerate(_generators(rng, n), start=1):
        found = _replicate(fit, engine, _redrawn(cases, generator))
        if found is not None:
            draws.append(found)
        if progress is not None:
            progress(number, n)
    estimates, _ = fit._estimates()
    failed = n - len(draws)
    raised = []
    if failed > 0.05 * n:
        text = f"{failed} of {n} bootstrap samples gave no solution: the intervals rest on the others."
        raised.append(NotConvergedWarning(text, n_failed=failed))
    rows = fit._parameters()
    return Bootstrap(
        lhs=tuple(rows["lhs"]),
        op=tuple(rows["op"]),
        rhs=tuple(rows["rhs"]),
        group=tuple(rows["group"]),
        estimates=frozen_array(estimates),
        draws=frozen_array(np.array(draws).reshape(len(draws), len(estimates))),
        n_failed=failed,
        interval=interval,
        conf_level=conf_level,
        warnings=announce(raised),
    )


def _generators(rng: int | np.random.Generator, n: int) -> Iterator[np.random.Generator]:
    """One child generator a replication, so that the order of work does not matter."""
    yield from np.random.default_rng(rng).spawn(n)


def _redrawn(cases: Cases, rng: np.random.Generator) -> Cases:
    """Draw persons within groups; or clusters, each with all its rows in all groups."""
    first = cases.groups[0].clusters
    if first is None:
        return Cases(tuple(_taken(group, rng.integers(0, len(group.rows), len(group.rows))) for group in cases.groups))
    labels = np.unique(np.concatenate([np.asarray(group.clusters) for group in cases.groups]))
    drawn = rng.choice(labels, len(labels))
    return Cases(tuple(_taken(group, _rows_of(np.asarray(group.clusters), drawn)) for group in cases.groups))


def _rows_of(clusters: Array, drawn: Array) -> Array:
    order = np.argsort(clusters, kind="stable")
    start = np.searchsorted(clusters[order], drawn, side="left")
    stop = np.searchsorted(clusters[order], drawn, side="right")
    return np.concatenate([order[a:b] for a, b in zip(start, stop, strict=True)])


def _taken(group: GroupCases, at: Array) -> GroupCases:
    return GroupCases(group.rows[at], None if group.weights is None else group.weights[at])


def _replicate(fit: StructuralFit, engine: Engine, cases: Cases) -> Array | None:
    """Return the parameters of one sample; None when it has no solution."""
    try:
        sample = _sample(engine, cases)
        table = with_sample_moments(engine.table, sample.groups, unbiased=not engine.method.is_likelihood)
        other = Engine(table, sample, engine.method, cases)
        found = solve(other.discrepancy, other.restrictions, np.asarray(fit.x))
    except (RelmeasureError, np.linalg.LinAlgError):
        return None
    if not found.converged or not math.isfinite(found.value):
        return None
    fitted = Fitted(other, found.x, found.active)
    defined, _ = evaluate_definitions(table, fitted.row_values, fitted.row_jacobian)
    return np.concatenate([fitted.row_values[list(table.reported)], defined])


def _sample(engine: Engine, cases: Cases) -> Sample:
    names, groups = engine.sample.names, []
    for old, group in zip(engine.sample.groups, cases.groups, strict=True):
        if old.patterns is not None:
            patterns = missing_patterns(group.rows, names, weights=group.weights)
            em = maximise(patterns, tolerance=1e-7, max_iterations=500)
            groups.append(GroupSample(old.name, patterns.n_obs, em.mean, em.cov, None, patterns, weight=group.mass))
            continue
        moments = moment_sums(group.rows, names, weights=group.weights)
        scale = (moments.n_obs - 1.0) / moments.n_obs
        cov = moments.cov * scale
        groups.append(GroupSample(old.name, moments.n_obs, moments.mean, cov, old.acov, weight=group.mass))
    return Sample(names, tuple(groups), engine.sample.n_rows, "bootstrap sample")
