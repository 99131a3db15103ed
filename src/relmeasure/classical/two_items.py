"""The Spearman-Brown coefficient of two items."""

from __future__ import annotations

import math
from typing import Any

from relmeasure.classical.preparation import Prepared, finish, prepare
from relmeasure.exceptions import NegativeReliabilityWarning, UnsupportedDataError, shorten
from relmeasure.numerics.coefficients import fisher_z_interval, prophecy
from relmeasure.responses.intake import as_moments
from relmeasure.results import Estimate
from relmeasure.samplestats.moments import MissingMethod

__all__ = ["spearman_brown", "spearman_brown_from_prepared"]


def spearman_brown(
    data: Any,
    *,
    missing: MissingMethod = "listwise",
    conf_level: float = 0.95,
    weights: Any = None,
    n_obs: int | None = None,
) -> Estimate:
    """Compute the Spearman-Brown reliability of the sum of two items (or two half scores).

    ``2 r / (1 + r)`` with r their correlation (id ``spearman_brown.two_halves``).

    Parameters
    ----------
    data : frame, array (n, 2), responses or moments
        Two items, keyed in one direction.
    missing : {"listwise", "pairwise"}
        The same for two items, except for the rows counted as seen.
    conf_level : float
        Level of the interval: Fisher's z of r, carried through the formula.
    weights : array (n,) or column name, optional
        Sampling weights. The estimate is then weighted; a standard error and an interval are given only with ``n_obs``.
    n_obs : int, optional
        The N that the standard error and interval use instead.

    Returns
    -------
    Estimate
        ``se`` by the delta method: ``2 / (1 + r)^2`` times ``(1 - r^2) / sqrt(n)``. One item, or a constant one: no
        estimate, with the reason. A negative r: a warning.

    Raises
    ------
    UnsupportedDataError
        More than two items.
    TooFewObservationsError, OptionError
        As in ``alpha``.

    References
    ----------
    Eisinga, R., te Grotenhuis, M., & Pelzer, B. (2013). The reliability of a two-item scale: Pearson, Cronbach, or
    Spearman-Brown? International Journal of Public Health, 58, 637-642.

    Examples
    --------
    >>> import numpy as np, relmeasure as rm
    >>> pairs = np.array([[1, 2], [2, 2], [3, 4], [4, 3], [5, 5], [2, 1]])
    >>> result = rm.spearman_brown(pairs)  # R: r <- cor(x)[1, 2]; 2 * r / (1 + r)
    >>> round(result.estimate, 4), round(result.lower, 4), round(result.upper, 4)
    (0.8983, 0.0224, 0.9894)
    """
    prepared = prepare(as_moments(data, missing=missing, weights=weights), conf_level=conf_level, n_obs=n_obs)
    return finish(spearman_brown_from_prepared(prepared, conf_level), prepared, "spearman_brown")


def spearman_brown_from_prepared(prepared: Prepared, conf_level: float) -> Estimate:
    """Spearman-Brown coefficient of checked moments; warnings are collected, not issued."""
    m, k, n = prepared.moments, len(prepared.names), prepared.n_obs
    if k > 2:
        raise UnsupportedDataError(
            f"spearman_brown() takes two items or two half scores; {k} given: use alpha(), omega() or split_half().",
            n_items=k,
        )
    common: dict[str, Any] = {
        "name": "spearman_brown",
        "conf_level": conf_level,
        "n_obs": m.n_obs if math.isnan(n) else int(n),
        "n_items": k,
        "definition": "spearman_brown.two_halves",
        "rule": prepared.rule,
    }
    reason = None
    if k == 1:
        reason = "one item has no internal consistency: a second item, or a second measurement, is needed"
    elif prepared.constant:
        reason = f"no variance in {shorten(prepared.constant)}"
    elif float(prepared.cor[0, 1]) <= -1.0 + 1e-12:
        reason = "the two items are each other's reflection (r = -1): key them in one direction"
    if reason is not None:
        return Estimate(estimate=math.nan, reason=reason, **common)
    r = float(prepared.cor[0, 1])
    value = float(prophecy(r, 2))
    if r < 0.0:
        prepared.raised.append(
            NegativeReliabilityWarning(
                f"The two items correlate negatively (r = {r:.3f}): check their keys.", estimate=value, correlation=r
            )
        )
    method, se, lower, upper = "no interval: under sampling weights it needs n_obs=", math.nan, math.nan, math.nan
    if not math.isnan(n):
        method = "Fisher z interval of the correlation, carried through 2 r / (1 + r); delta-method standard error"
        se = 2.0 / (1.0 + r) ** 2 * (1.0 - r * r) / math.sqrt(n)
        lower, upper = (float(prophecy(bound, 2)) for bound in fisher_z_interval(r, n, conf_level))
    return Estimate(estimate=value, se=se, lower=lower, upper=upper, method=method, **common)
