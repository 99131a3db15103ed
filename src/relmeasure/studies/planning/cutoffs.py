"""Cut-offs of fit measures for one instrument and one design, by simulation of a right and of wrong models.

Fixed cut-offs come from a few models of the 1990s. What a measure says of a right and of a wrong model depends on
the number of items, their loadings, the sample and the nesting, so both are drawn from the instrument as it will
be used (McNeish & Wolf, 2023; plain simulation, not their normal-theory shortcut).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from relmeasure.exceptions import EstimationError, OptionError, RelmeasureWarning, TooFewItemsError
from relmeasure.results import Status, Table
from relmeasure.simulation import simulate
from relmeasure.structural.api import cfa
from relmeasure.structural.language.model_from_instrument import instrument_scales
from relmeasure.studies.planning.answer import Plan, as_numbers, check_shares, check_whole

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument

__all__ = ["CutoffEstimator", "cutoffs"]

Array = np.ndarray[Any, np.dtype[np.float64]]

CutoffEstimator = Literal["ML", "MLR", "WLSMV"]
"""How the model will be fitted; MLR with the classes as clusters."""

_MEASURES: dict[str, tuple[str, str, str]] = {
    "ML": ("cfi", "rmsea", "srmr"),
    "MLR": ("cfi.robust", "rmsea.robust", "srmr"),
    "WLSMV": ("cfi.scaled", "rmsea.scaled", "srmr"),
}
"""The variants that are reported with each estimator."""

_MISFIT = {"small": 1 / 3, "moderate": 2 / 3, "large": 1.0}
"""Share of the items of each scale that stand in dependent pairs."""

_FEW = 100
"""Replications below which a 5% point is hardly known."""


@dataclass(frozen=True)
class _Design:
    instrument: Instrument
    scales: Sequence[str] | None
    estimator: CutoffEstimator
    drawn: Mapping[str, Any]

    def fitted(self, dependence: Mapping[tuple[str, str], float], rng: np.random.Generator) -> list[float] | None:
        """The fit measures of one draw; None where the fit did not come to a proper end."""
        data = simulate(self.instrument, dependence=dependence, rng=rng, **self.drawn)
        options: dict[str, Any] = {"ordered": True} if self.estimator == "WLSMV" else {}
        if self.estimator == "MLR":
            options = {"cluster": "class_id"}
        if self.estimator != "MLR":
            data = data.drop(columns=["class_id"])
        data = data.drop(columns=["student_id"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RelmeasureWarning)
            try:
                fit = cfa(self.instrument, data, estimator=self.estimator, scales=self.scales, **options)
            except EstimationError:  # a draw that cannot be fitted is counted, not hidden
                return None
            if not fit.status.converged:
                return None
            found = fit.fit_measures()
        values = [float(found[name]) for name in _MEASURES[self.estimator]]
        return None if any(math.isnan(value) for value in values) else values


def cutoffs(
    *,
    instrument: Instrument,
    n_clusters: int = 30,
    cluster_size: int | tuple[int, int] | Sequence[int] = 25,
    icc: float | Mapping[str, float] = 0.15,
    loading: float | Mapping[str, float] = 0.7,
    factor_correlation: float = 0.6,
    scales: Sequence[str] | None = None,
    estimator: CutoffEstimator = "MLR",
    dependence: float = 0.3,
    n_replications: int = 200,
    rng: int | np.random.Generator = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Plan:
    """Cut-offs of CFI, RMSEA and SRMR that tell a right model from wrong ones, in this instrument and design.

    Answers are drawn from the instrument with ``simulate`` and its model (scales as correlated factors) is fitted to
    each draw. In the wrong populations one third, two thirds or all of the items of each scale stand in pairs whose
    residuals correlate ``dependence``, which the model leaves out. A cut-off rejects at least 95% of the wrong draws
    and at most 5% of the right ones; where no value does both, 90% and 10% are tried, and then there is none.

    Parameters
    ----------
    instrument : Instrument
    n_clusters, cluster_size, icc, loading, factor_correlation
        The design and the population, as in ``simulate``.
    scales : sequence of str, optional
        Only these scales.
    estimator : {"MLR", "ML", "WLSMV"}
        How the model will be fitted: MLR with cluster-robust tests, WLSMV with all items ordered.
    dependence : float
        Residual correlation of the pairs in the wrong populations.
    n_replications : int
        Draws of each population.
    rng : int or numpy.random.Generator
        Seed; each draw has a seed of its own.
    progress : callable, optional
        Called with the number of draws done and of all draws.

    Returns
    -------
    Plan
        Columns ``misfit`` ("small", "moderate", "large"; short scales have fewer), ``measure``, ``right_bound`` (95% of
        right models are on the good side of it), ``wrong_bound`` (95% of wrong models are on the bad side), ``cutoff``,
        ``level`` (.95, .90 or missing), ``wrong_rejected``, ``right_rejected`` at the cut-off. ``detail`` holds every
        draw.

    Notes
    -----
    Missing answers and careless students are not part of it. Draws that could not be fitted are left out and counted in
    the status.

    References
    ----------
    McNeish, D., & Wolf, M. G. (2023). Psychological Methods, 28, 61-88.
    McNeish, D., & Wolf, M. G. (2023). Educational and Psychological Measurement, 83, 3-30 (one factor: one third, two
    thirds and all of the items with residual correlations of .30).

    Examples
    --------
    >>> import relmeasure as rm
    >>> instrument = rm.load_instrument("relationship-student")
    >>> plan = cutoffs(instrument=instrument, scales=["care"], estimator="ML", n_replications=10, rng=1)
    >>> plan.table["misfit"][:3], plan.table["measure"][:3]
    (('small', 'small', 'small'), ('cfi', 'rmsea', 'srmr'))
    """
    if estimator not in get_args(CutoffEstimator):
        raise OptionError.from_value("estimator", estimator, get_args(CutoffEstimator))
    count = check_whole("n_replications", n_replications, least=2)[0]
    check_shares(dependence=dependence)
    as_numbers("factor_correlation", factor_correlation, low=-1e-12, high=1)
    drawn = {"n_clusters": n_clusters, "cluster_size": cluster_size, "icc": icc, "loading": loading}
    design = _Design(instrument, scales, estimator, drawn | {"factor_correlation": factor_correlation})
    populations = _populations(instrument, scales, dependence)
    draws = _draw(design, populations, np.random.default_rng(rng).spawn(count), progress)
    failed = count * len(populations) - sum(len(found) for found in draws.values())
    if min(len(found) for found in draws.values()) < 2:
        raise EstimationError(
            f"{failed} of {count * len(populations)} draws could not be fitted: take a larger sample."
        )
    rows = _rows(draws, _MEASURES[estimator])
    assumed = {
        "instrument": instrument.label,
        "estimator": estimator,
        "classes": n_clusters,
        "class size": cluster_size,
    }
    assumed |= {"ICC": icc, "loading": loading, "factor correlation": factor_correlation}
    assumed |= {"residual correlation of wrong pairs": dependence, "draws": count}
    return Plan(
        question="cutoffs",
        answers=tuple(
            _sentence(name, [row for row in rows if row["misfit"] == name]) for name in populations if name != "none"
        ),
        table=Table.from_rows(rows),
        assumed={name: list(v) if isinstance(v, tuple) else v for name, v in assumed.items()},
        method="Simulation of right and wrong models from the instrument (after McNeish & Wolf, 2023).",
        detail=_detail(draws, _MEASURES[estimator]),
        status=_status(failed, count, count * len(populations)),
    )


def _draw(
    design: _Design,
    populations: Mapping[str, Mapping[tuple[str, str], float]],
    seeds: Sequence[np.random.Generator],
    progress: Callable[[int, int], None] | None,
) -> dict[str, list[list[float]]]:
    """Fit measures of every draw of every population."""
    draws: dict[str, list[list[float]]] = {name: [] for name in populations}
    done, total = 0, len(seeds) * len(populations)
    for seed in seeds:
        for child, (name, pairs) in zip(seed.spawn(len(populations)), populations.items(), strict=True):
            values = design.fitted(pairs, child)
            if values is not None:
                draws[name].append(values)
            done += 1
            if progress is not None:
                progress(done, total)
    return draws


def _populations(
    instrument: Instrument, scales: Sequence[str] | None, dependence: float
) -> dict[str, dict[tuple[str, str], float]]:
    """The right population and the wrong ones; short scales have no more pairs for a larger misfit."""
    found: dict[str, dict[tuple[str, str], float]] = {"none": {}}
    for name, share in _MISFIT.items():
        pairs = _pairs(instrument, scales, share, dependence)
        if pairs not in found.values():
            found[name] = pairs
    return found


def _pairs(
    instrument: Instrument, scales: Sequence[str] | None, share: float, dependence: float
) -> dict[tuple[str, str], float]:
    """The first items of each scale, two by two; at least one pair a scale of three items or more."""
    pairs: dict[tuple[str, str], float] = {}
    taken: set[str] = set()
    for scale in instrument_scales(instrument, scales):
        free = [item for item in scale.items if item not in taken]
        number = max(round(share * len(free) / 2), 1) if len(free) >= 3 else 0
        for k in range(min(number, len(free) // 2)):
            pairs[free[2 * k], free[2 * k + 1]] = dependence
            taken |= {free[2 * k], free[2 * k + 1]}
    if not pairs:
        raise TooFewItemsError("No scale has three items of its own: a wrong model cannot be drawn from it.")
    return pairs


def _rows(draws: Mapping[str, Sequence[Sequence[float]]], measures: Sequence[str]) -> list[dict[str, Any]]:
    right = np.array(draws["none"])
    rows = []
    for name in draws:
        if name == "none":
            continue
        wrong = np.array(draws[name])
        for k, measure in enumerate(measures):
            up = not measure.startswith("cfi")  # large values speak against the model
            one, two = (right[:, k], wrong[:, k]) if up else (-right[:, k], -wrong[:, k])
            found = _cutoff(one, two)
            sign = 1.0 if up else -1.0
            row: dict[str, Any] = {"misfit": name, "measure": measure, "right_bound": sign * _point(one, 0.95)}
            row |= {"wrong_bound": sign * _point(two, 0.05), "cutoff": sign * found[0], "level": found[1]}
            known = not math.isnan(found[0])
            row["wrong_rejected"] = float((two >= found[0]).mean()) if known else math.nan
            row["right_rejected"] = float((one >= found[0]).mean()) if known else math.nan
            rows.append(row)
    return rows


def _cutoff(right: Array, wrong: Array) -> tuple[float, float]:
    """The value that wrong models reach and right ones do not, and at what level; NaN where they overlap too much."""
    for level in (0.95, 0.90):
        bound = _point(wrong, 1 - level)
        if float((right >= bound).mean()) <= 1 - level:
            return bound, level
    return math.nan, math.nan


def _point(values: Array, share: float) -> float:
    """Quantile that is one of the values, so that shares beyond it are exact."""
    method: Any = "higher" if share > 0.5 else "lower"
    return float(np.quantile(values, share, method=method))


def _sentence(misfit: str, rows: Sequence[Mapping[str, Any]]) -> str:
    told = []
    for row in rows:
        sign = "below" if row["measure"].startswith("cfi") else "above"
        none = math.isnan(row["cutoff"])
        told.append(f"{row['measure']}: none" if none else f"{row['measure']} {sign} {row['cutoff']:.3f}")
    return f"Misfit that is {misfit} is told from a right model by {'; '.join(told)}."


def _detail(draws: Mapping[str, Sequence[Sequence[float]]], measures: Sequence[str]) -> Table:
    rows = [
        {"misfit": name, "draw": k + 1} | dict(zip(measures, values, strict=True))
        for name, found in draws.items()
        for k, values in enumerate(found)
    ]
    return Table.from_rows(rows)


def _status(failed: int, count: int, total: int) -> Status:
    reasons = []
    if failed:
        reasons.append(f"{failed} of {total} draws could not be fitted and are left out.")
    if count < _FEW:
        reasons.append(f"{count} draws of each population are few for a 5% point: take {_FEW} or more.")
    return Status("caution" if reasons else "ok", reasons=tuple(reasons))
