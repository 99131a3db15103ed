"""Would other samples give the same factors? Bootstrap intervals of loadings, and agreement of random halves.

In every resample factors are matched to those of the whole sample in order and sign, so that an interval is about one
factor and not about which came first.
"""

from __future__ import annotations

import warnings as python_warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.exceptions import (
    EstimationError,
    NotPositiveDefiniteError,
    OptionError,
    RelmeasureWarning,
    TooFewObservationsError,
)
from relmeasure.factor.congruence import align_factors, match_factors
from relmeasure.factor.exploratory import ExtractionMethod, efa
from relmeasure.factor.extraction import Extraction, fit_ml
from relmeasure.factor.residual_extraction import fit_minres
from relmeasure.factor.rows import item_table
from relmeasure.factor.solution import EFAResult
from relmeasure.numerics.criteria import ROTATIONS, RotationName
from relmeasure.numerics.rotation import rotate
from relmeasure.responses.ordinal import Categories, polychoric
from relmeasure.results import FloatArray, IntArray, Result, Table, frozen_array

__all__ = ["BootstrapLoadings", "SplitSamples", "bootstrap_loadings", "split_samples"]

Array = np.ndarray[Any, np.dtype[np.float64]]
_CONSTANT = 1e-8
"""Spread of a standardised item below which it is constant in a resample."""

Correlator = Callable[[Any], Array]
"""Row numbers to the correlations of those rows."""

Progress = Callable[[int, int], None]
"""Called with the number done and the number in all."""


@dataclass(frozen=True, eq=False)
class BootstrapLoadings(Result):
    """Bootstrap intervals of rotated loadings and factor correlations.

    Attributes
    ----------
    solution : EFAResult
        Of the whole sample.
    se, lower, upper : array (p, m)
        Standard deviation over resamples, and percentile bounds of the loadings.
    phi_se, phi_lower, phi_upper : array (m, m)
        The same of the factor correlations.
    conf_level : float
    n_replications, n_failed : int
        Resamples drawn, and those without a solution, which are left out.
    congruence : array (m,)
        Median over resamples of the congruence of each factor with that of the whole sample.
    """

    solution: EFAResult
    se: FloatArray
    lower: FloatArray
    upper: FloatArray
    phi_se: FloatArray
    phi_lower: FloatArray
    phi_upper: FloatArray
    conf_level: float
    n_replications: int
    n_failed: int
    congruence: FloatArray

    def _table(self) -> Table:
        whole = self.solution
        p, m = whole.loadings.shape
        return Table(
            {
                "item": tuple(name for name in whole.names for _ in range(m)),
                "factor": whole.factor_names * p,
                "loading": tuple(whole.loadings.ravel()),
                "se": tuple(self.se.ravel()),
                "lower": tuple(self.lower.ravel()),
                "upper": tuple(self.upper.ravel()),
                "conf_level": (self.conf_level,) * (p * m),
            }
        )


@dataclass(frozen=True, eq=False)
class SplitSamples(Result):
    """Agreement of the factors of random halves.

    Attributes
    ----------
    factor_names : tuple of str
        Factors of the whole sample.
    congruence : array (n_splits, m)
        Congruence of the two halves, factors matched to those of the whole sample; NaN where a half has no solution.
    n_half : array (2,)
        Rows of the halves.
    """

    factor_names: tuple[str, ...]
    congruence: FloatArray
    n_half: IntArray

    def _table(self) -> Table:
        values = self.congruence
        return Table(
            {
                "factor": self.factor_names,
                "median": tuple(np.nanmedian(values, axis=0)),
                "lowest": tuple(np.nanmin(values, axis=0)),
                "share_above_0.95": tuple((values > 0.95).mean(axis=0)),
            }
        )


# --------------------------------------------------------------------------- public
def bootstrap_loadings(
    data: Any,
    n_factors: int,
    *,
    method: ExtractionMethod = "minres",
    rotation: RotationName = "oblimin",
    kaiser: bool | None = None,
    ordered: bool = False,
    categories: Categories = None,
    n_starts: int = 10,
    n_replications: int = 500,
    conf_level: float = 0.95,
    rng: int | np.random.Generator = 0,
    rotation_options: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> BootstrapLoadings:
    """Resample persons, analyse every resample alike, and give percentile intervals of the loadings.

    Parameters
    ----------
    data : frame, array (n, p) or responses
        Rows complete on all items are used; rows dropped are counted in a warning.
    n_factors, method, rotation, kaiser, categories, n_starts, rotation_options
        As in ``efa``. Resamples are rotated from the position of the whole sample's solution; ``"pa"`` is resampled by
        minres, which has the same solution.
    ordered : bool
        Whether polychoric correlations are analysed.
    n_replications : int
    conf_level : float
    rng : int or numpy.random.Generator
        Every resample gets a child seed of its own.
    progress : callable, optional
        Called with the number done and the number in all.

    Returns
    -------
    BootstrapLoadings

    Raises
    ------
    EstimationError
        Fewer than half of the resamples have a solution.
    OptionError, UnsupportedDataError, TooFewItemsError, TooFewObservationsError

    References
    ----------
    Zhang, G., Preacher, K. J., & Luo, S. (2010). Bootstrap confidence intervals for ordinary least squares factor
    loadings and correlations in exploratory factor analysis. Multivariate Behavioral Research, 45, 104-134.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> answers = rng.normal(size=(200, 1)) + rng.normal(size=(200, 4))
    >>> made = bootstrap_loadings(answers, 1, n_replications=20)
    >>> bool((made.lower < made.solution.loadings).all()), made.n_failed
    (True, 0)
    """
    if n_replications < 2 or not 0.0 < conf_level < 1.0:
        raise OptionError("bootstrap_loadings needs n_replications of at least 2, and conf_level between 0 and 1.")
    options = dict(rotation_options or {})
    settings: dict[str, Any] = {"method": method, "rotation": rotation, "kaiser": kaiser, "rotation_options": options}
    whole, rows = _whole(data, n_factors, ordered=ordered, categories=categories, n_starts=n_starts, **settings)
    correlate = _correlator(rows, whole, ordered, categories)
    children = np.random.default_rng(rng).spawn(n_replications)
    found: list[tuple[Array, Array]] = []
    for done, child in enumerate(children, 1):
        made = _resampled(correlate(child.integers(0, len(rows), len(rows))), whole, options)
        found += [] if made is None else [made]
        if progress is not None:
            progress(done, n_replications)
    if len(found) < max(2, n_replications / 2):
        raise EstimationError(f"Only {len(found)} of {n_replications} resamples have a solution: take fewer factors.")
    return _summarised(whole, found, conf_level, n_replications)


def _summarised(
    whole: EFAResult, found: list[tuple[Array, Array]], conf_level: float, n_replications: int
) -> BootstrapLoadings:
    L, phi = (np.array(part) for part in zip(*found, strict=True))
    tails = 100.0 * np.array([1.0 - conf_level, 1.0 + conf_level]) / 2.0
    (lower, upper), (phi_lower, phi_upper) = np.percentile(L, tails, axis=0), np.percentile(phi, tails, axis=0)
    agreement = [match_factors(one, whole.loadings).values for one in L]
    return BootstrapLoadings(
        solution=whole,
        se=frozen_array(L.std(axis=0, ddof=1)),
        lower=frozen_array(lower),
        upper=frozen_array(upper),
        phi_se=frozen_array(phi.std(axis=0, ddof=1)),
        phi_lower=frozen_array(phi_lower),
        phi_upper=frozen_array(phi_upper),
        conf_level=conf_level,
        n_replications=n_replications,
        n_failed=n_replications - len(L),
        congruence=frozen_array(np.median(agreement, axis=0)),
    )


def split_samples(
    data: Any,
    n_factors: int,
    *,
    method: ExtractionMethod = "minres",
    rotation: RotationName = "oblimin",
    kaiser: bool | None = None,
    ordered: bool = False,
    categories: Categories = None,
    n_starts: int = 10,
    n_splits: int = 20,
    rng: int | np.random.Generator = 0,
    rotation_options: dict[str, Any] | None = None,
) -> SplitSamples:
    """Split the sample into random halves, analyse both, and compare their factors by Tucker's congruence.

    Parameters
    ----------
    data : frame, array (n, p) or responses
        Rows complete on all items are used.
    n_factors, method, rotation, kaiser, ordered, categories, n_starts, rotation_options
        As in ``bootstrap_loadings``.
    n_splits : int
    rng : int or numpy.random.Generator

    Returns
    -------
    SplitSamples
        One row a factor: median and lowest congruence over splits; above .95 factors count as equal (Lorenzo-Seva & ten
        Berge, 2006).

    Raises
    ------
    OptionError, UnsupportedDataError, TooFewItemsError, TooFewObservationsError

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> answers = rng.normal(size=(400, 1)) + rng.normal(size=(400, 4))
    >>> bool(split_samples(answers, 1, n_splits=5).congruence.min() > 0.95)
    True
    """
    if n_splits < 1:
        raise OptionError(f"n_splits={n_splits!r}: at least 1 is needed.", argument="n_splits", value=n_splits)
    options = dict(rotation_options or {})
    settings: dict[str, Any] = {"method": method, "rotation": rotation, "kaiser": kaiser, "rotation_options": options}
    whole, rows = _whole(data, n_factors, ordered=ordered, categories=categories, n_starts=n_starts, **settings)
    half = len(rows) // 2
    if half < len(whole.names) + 1:
        raise TooFewObservationsError(
            f"{len(rows)} complete rows are too few to be split for {len(whole.names)} items."
        )
    correlate = _correlator(rows, whole, ordered, categories)
    found = np.full((n_splits, len(whole.factor_names)), np.nan)
    for k, child in enumerate(np.random.default_rng(rng).spawn(n_splits)):
        order = child.permutation(len(rows))
        one = _resampled(correlate(order[:half]), whole, options)
        two = _resampled(correlate(order[half:]), whole, options)
        if one is not None and two is not None:
            size = np.sqrt((one[0] ** 2).sum(axis=0) * (two[0] ** 2).sum(axis=0))
            found[k] = (one[0] * two[0]).sum(axis=0) / size
    return SplitSamples(whole.factor_names, frozen_array(found), frozen_array([half, len(rows) - half], np.int64))


# --------------------------------------------------------------------------- resamples
def _whole(data: Any, n_factors: int, **settings: Any) -> tuple[EFAResult, Array]:
    """Return the solution of the whole sample, and its complete rows."""
    if settings["rotation"] not in ROTATIONS:
        raise OptionError.from_value("rotation", settings["rotation"], ROTATIONS)
    rows, _ = item_table(data)
    whole = efa(data, n_factors, se=False, **settings)
    return whole, rows[~np.isnan(rows).any(axis=1)]


def _correlator(rows: Array, whole: EFAResult, ordered: bool, categories: Categories) -> Correlator:
    """Return the function from row numbers to the correlations of those rows, of the kind of the whole sample."""
    if not ordered:
        scaled = (rows - rows.mean(axis=0)) / rows.std(axis=0)

        def pearson(index: Any) -> Array:
            drawn = scaled[index]
            drawn = drawn - drawn.mean(axis=0)
            size = np.sqrt((drawn**2).sum(axis=0))
            if size.min() < _CONSTANT:
                return np.full((len(size), len(size)), np.nan)
            drawn /= size
            return np.asarray(drawn.T @ drawn)

        return pearson
    declared: Any = categories
    if declared is None:
        declared = {f"x{k + 1}": sorted(set(column.tolist())) for k, column in enumerate(rows.T)}
    elif isinstance(declared, dict):
        declared = {f"x{k + 1}": declared[name] for k, name in enumerate(whole.names)}

    def latent(index: Any) -> Array:
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore", RelmeasureWarning)
            return np.asarray(polychoric(rows[index], categories=declared).correlation)

    return latent


def _resampled(cor: Array, whole: EFAResult, options: dict[str, Any]) -> tuple[Array, Array] | None:
    """Return loadings and factor correlations of a resample, its factors those of the whole sample; None without."""
    if not np.isfinite(cor).all():
        return None
    try:
        extraction = _extraction(cor, whole)
    except NotPositiveDefiniteError:
        return None
    if not extraction.converged:
        return None
    u, _, vt = np.linalg.svd(extraction.loadings.T @ whole.loadings)
    turned = rotate(
        extraction.loadings @ (u @ vt),
        whole.rotation,  # type: ignore[arg-type]
        kaiser=whole.rotation_details.kaiser,
        n_starts=1,
        **options,
    )
    if not turned.converged:
        return None
    return align_factors(turned.loadings, turned.phi, whole.loadings)


def _extraction(cor: Array, whole: EFAResult) -> Extraction:
    m = whole.n_factors
    return fit_ml(cor, m) if whole.method == "ml" else fit_minres(cor, m)
