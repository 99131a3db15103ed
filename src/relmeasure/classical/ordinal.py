"""Reliability of scales of ordered answers: of the latent responses, and of the sum of the answers themselves.

Three coefficients, each named for what it is:

``alpha.polychoric``                 alpha of the latent responses (Zumbo, Gadermann & Zeisser, 2007)
``omega_total.latent_response``      omega of the latent responses, from a one-factor model of the polychorics; with
                                     ``.observed_variance`` over the sum of the polychorics themselves
``omega_total.green_yang``           omega of the observed sum score (Green & Yang, 2009): for users of sum scores

The first two describe scores that nobody has; they are higher than the third, more so with few categories.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np

from relmeasure._version import __version__
from relmeasure.classical.preparation import check_conf_level
from relmeasure.exceptions import ConvergenceError, OptionError
from relmeasure.numerics.coefficients import alpha_from_cov, wald_interval
from relmeasure.numerics.normal import bivariate_normal_cdf, normal_cdf
from relmeasure.responses.ordinal import Categories, polychoric
from relmeasure.results import Estimate, Provenance, Table
from relmeasure.samplestats.latent import PolychoricResult
from relmeasure.samplestats.moments import MissingMethod

__all__ = ["OrdinalCoefficient", "one_factor_dwls", "ordinal_from_polychoric", "ordinal_reliability"]

OrdinalCoefficient = Literal["green_yang", "latent_omega", "latent_omega_observed", "ordinal_alpha"]
"""Coefficients of ordered answers."""

_DEFINITIONS = {
    "green_yang": "omega_total.green_yang",
    "latent_omega": "omega_total.latent_response",
    "latent_omega_observed": "omega_total.latent_response.observed_variance",
    "ordinal_alpha": "alpha.polychoric",
}

Array = np.ndarray[Any, np.dtype[np.float64]]


def ordinal_reliability(
    data: Any,
    *,
    coefficient: OrdinalCoefficient = "green_yang",
    categories: Categories = None,
    missing: MissingMethod = "listwise",
    conf_level: float = 0.95,
) -> Estimate:
    r"""Reliability of a scale of ordered answers.

    With polychoric correlations :math:`\rho_{ij}`, thresholds :math:`\tau` and loadings :math:`\lambda` of a
    one-factor model fitted to the polychorics by diagonally weighted least squares:

    .. math::
        \omega_{GY} = \frac{\sum_{ij} \sum_{cd} [\Phi_2(\tau_{ic}, \tau_{jd}; \lambda_i \lambda_j)
        - \Phi(\tau_{ic}) \Phi(\tau_{jd})]}{\sum_{ij} \sum_{cd} [\Phi_2(\tau_{ic}, \tau_{jd}; \rho_{ij})
        - \Phi(\tau_{ic}) \Phi(\tau_{jd})]}, \qquad
        \omega_{latent} = \frac{(\sum \lambda_i)^2}{(\sum \lambda_i)^2 + \sum (1 - \lambda_i^2)}

    with :math:`\rho_{ii} = 1` in the denominator; ``latent_omega_observed`` divides by :math:`\sum_{ij} \rho_{ij}`;
    ordinal alpha is alpha of the matrix of :math:`\rho_{ij}`.

    Parameters
    ----------
    data : frame, array (n, p), responses, tables or polychoric result
        Keyed items; as in ``polychoric``.
    coefficient : {"green_yang", "latent_omega", "latent_omega_observed", "ordinal_alpha"}
        The observed sum score (categories one apart), or the latent responses.
    categories : mapping or sequence, optional
        As in ``polychoric``.
    missing : {"listwise", "pairwise"}
    conf_level : float

    Returns
    -------
    Estimate
        ``definition`` names the formula; ``items`` holds loadings. Fewer than three items: no one-factor model, NaN
        with the reason (ordinal alpha needs two).

    Notes
    -----
    Standard error: delta method, with central differences of the whole computation and the asymptotic covariance of
    thresholds and polychorics; NaN where the rows are not at hand (tables). Interval: Wald, cut to 0 to 1.

    References
    ----------
    Green, S. B., & Yang, Y. (2009). Psychometrika, 74, 155-167, eq. 21.
    Zumbo, B. D., Gadermann, A. M., & Zeisser, C. (2007). Journal of Modern Applied Statistical Methods, 6, 21-29.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> latent = rng.normal(size=(500, 1)) + rng.normal(size=(500, 4))
    >>> answers = np.digitize(latent, [-1.0, 0.5, 1.5])
    >>> found = ordinal_reliability(answers, categories=[0, 1, 2, 3])  # R: semTools::compRelSEM(fit, ord.scale = TRUE)
    >>> 0.7 < found.estimate < 0.8
    True
    """
    if coefficient not in get_args(OrdinalCoefficient):
        raise OptionError.from_value("coefficient", coefficient, get_args(OrdinalCoefficient))
    check_conf_level(conf_level)
    rows = not isinstance(data, PolychoricResult)
    found = polychoric(data, categories=categories, missing=missing, acov=True) if rows else data
    return ordinal_from_polychoric(found, coefficient, conf_level)


def ordinal_from_polychoric(
    found: PolychoricResult, coefficient: OrdinalCoefficient, conf_level: float = 0.95
) -> Estimate:
    """Compute a coefficient from polychorics and thresholds; the interval needs their asymptotic covariance."""
    reason = _reason(found, coefficient)
    items: dict[str, tuple[Any, ...]] = {"item": found.names}
    estimate, se, lower, upper, method = math.nan, math.nan, math.nan, math.nan, "none"
    if reason is None:
        vector = _Vector(found)
        weights = vector.weights()
        compute = _formula(coefficient, vector, weights)
        estimate = compute(np.asarray(found.estimates))
        if coefficient != "ordinal_alpha":
            items["loading"] = tuple(one_factor_dwls(np.asarray(found.correlation), weights).tolist())
        if found.acov is not None:
            slope = _slopes(compute, np.asarray(found.estimates))
            se = math.sqrt(max(float(slope @ found.acov @ slope), 0.0))
            low, high = wald_interval(estimate, se, conf_level)
            lower, upper = max(low, 0.0), min(high, 1.0)
            method = "Wald interval, delta-method standard error from the covariance of thresholds and polychorics"
    return Estimate(
        name=coefficient,
        estimate=estimate,
        se=se,
        lower=lower,
        upper=upper,
        conf_level=conf_level,
        n_obs=found.n_obs,
        n_items=len(found.names),
        method=method,
        definition=_DEFINITIONS[coefficient],
        rule=found.rule,
        reason=reason,
        warnings=found.warnings,
        item_table=Table(items),
        provenance=Provenance("ordinal_reliability", __version__, found.n_rows, found.n_obs, found.rule),
    )


def one_factor_dwls(cor: Array, weights: Array) -> Array:
    """Loadings of one factor: minimise the weighted squares of ``r_ij - l_i l_j`` over pairs, by Gauss-Newton.

    ``weights`` (p, p) are the inverse sampling variances of the correlations; the sign makes the sum positive.
    """
    p = len(cor)
    rows, columns = np.tril_indices(p, -1)
    target, weight = cor[rows, columns], weights[rows, columns]
    values, vectors = np.linalg.eigh(cor)
    loading = vectors[:, -1] * math.sqrt(max(values[-1] - 1, 0.1) * p / (p - 1) / max(values[-1], 1.0) * values[-1])
    loading *= 1.0 if loading.sum() >= 0 else -1.0
    loading = np.clip(loading, -0.95, 0.95)
    jacobian = np.zeros((len(rows), p))
    place = np.arange(len(rows))
    for _ in range(500):
        residual = target - loading[rows] * loading[columns]
        jacobian[place, rows], jacobian[place, columns] = loading[columns], loading[rows]
        gradient = jacobian.T @ (weight * residual)
        step = np.linalg.lstsq(jacobian.T @ (weight[:, None] * jacobian), gradient, rcond=None)[0]
        size, before = 1.0, float(weight @ residual**2)
        while size > 1e-6:
            new = loading + size * step
            if float(weight @ (target - new[rows] * new[columns]) ** 2) <= before * (1 + 1e-15):
                break
            size /= 2
        loading = loading + size * step
        if np.abs(size * step).max() < 1e-12:
            return np.asarray(loading if loading.sum() >= 0 else -loading)
    if np.abs(step).max() < 1e-6:
        return np.asarray(loading if loading.sum() >= 0 else -loading)
    raise ConvergenceError("One factor does not settle on these polychorics: look at their signs and sizes.")


# --------------------------------------------------------------------------- formulas
class _Vector:
    """Where thresholds and correlations stand among the estimates."""

    def __init__(self, found: PolychoricResult) -> None:
        place = {name: k for k, name in enumerate(found.parameters)}
        self.names = found.names
        self.thresholds = [
            [place[f"{item}|t{number}"] for number in found.threshold_numbers[item]] for item in found.names
        ]
        rows, columns = np.tril_indices(len(self.names), -1)
        self.rows, self.columns = rows, columns
        self.pairs = [
            place.get(f"{self.names[c]}~~{self.names[r]}", place.get(f"{self.names[r]}~~{self.names[c]}", -1))
            for r, c in zip(rows, columns, strict=True)
        ]
        self.variances = np.asarray(found.estimate_variances)

    def matrix(self, estimates: Array) -> Array:
        """Correlation matrix from the estimates."""
        out = np.eye(len(self.names))
        out[self.rows, self.columns] = out[self.columns, self.rows] = estimates[self.pairs]
        return out

    def weights(self) -> Array:
        """Inverse sampling variances of the correlations, array (p, p)."""
        out = np.zeros((len(self.names), len(self.names)))
        out[self.rows, self.columns] = out[self.columns, self.rows] = 1 / self.variances[self.pairs]
        return np.asarray(out / out.max())


def _formula(coefficient: OrdinalCoefficient, vector: _Vector, weights: Array) -> Callable[[Array], float]:
    def green_yang(estimates: Array) -> float:
        cor = vector.matrix(estimates)
        loading = one_factor_dwls(cor, weights)
        limits = [estimates[places] for places in vector.thresholds]
        return float(_sum_covariance(limits, np.outer(loading, loading)) / _sum_covariance(limits, cor))

    def latent_omega(estimates: Array) -> float:
        loading = one_factor_dwls(vector.matrix(estimates), weights)
        common = loading.sum() ** 2
        return float(common / (common + (1 - loading**2).sum()))

    def latent_omega_observed(estimates: Array) -> float:
        cor = vector.matrix(estimates)
        return float(one_factor_dwls(cor, weights).sum() ** 2 / cor.sum())

    def ordinal_alpha(estimates: Array) -> float:
        return alpha_from_cov(vector.matrix(estimates))

    formulas = (green_yang, latent_omega, latent_omega_observed, ordinal_alpha)
    return {formula.__name__: formula for formula in formulas}[coefficient]


def _sum_covariance(thresholds: list[Array], cor: Array) -> float:
    """Variance of a sum of ordered answers, one apart, whose latent responses correlate ``cor``."""
    item = np.repeat(np.arange(len(thresholds)), [len(t) for t in thresholds])
    limit = np.concatenate(thresholds)
    correlation = np.clip(cor[np.ix_(item, item)], -1.0, 1.0)
    below = normal_cdf(limit)
    joint = bivariate_normal_cdf(*np.broadcast_arrays(limit[:, None], limit[None, :], correlation))
    return float((joint - np.outer(below, below)).sum())


def _slopes(compute: Callable[[Array], float], point: Array) -> Array:
    out = np.empty(len(point))
    for k in range(len(point)):
        step = np.zeros(len(point))
        step[k] = 1e-5
        out[k] = (compute(point + step) - compute(point - step)) / 2e-5
    return out


def _reason(found: PolychoricResult, coefficient: OrdinalCoefficient) -> str | None:
    if "continuous" in found.kinds:
        continuous = [name for name, kind in zip(found.names, found.kinds, strict=True) if kind == "continuous"]
        return f"items that are not ordered: {', '.join(continuous)}"
    if len(found.names) < (2 if coefficient == "ordinal_alpha" else 3):
        return f"{len(found.names)} items: a one-factor model needs three" if len(found.names) == 2 else "one item"
    if not np.isfinite(found.correlation).all() or not np.isfinite(found.estimates).all():
        return "some polychoric correlations cannot be estimated: see the warnings"
    if coefficient != "ordinal_alpha" and not (np.asarray(found.estimate_variances) > 0).all():
        return "some polychoric correlations are at a bound and have no weight"
    return None
