"""Coefficient omega of a one-factor model, with the delta-method standard error of either denominator."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np

from relmeasure.classical.preparation import Prepared, finish, prepare, warn_direction
from relmeasure.exceptions import (
    FewItemsWarning,
    HeywoodWarning,
    NotConvergedWarning,
    NotPositiveDefiniteError,
    OptionError,
    shorten,
)
from relmeasure.factor.extraction import Extraction, fit_ml, ml_information
from relmeasure.numerics.coefficients import (
    Denominator,
    average_variance_extracted,
    maximal_reliability,
    omega_from_loadings,
    wald_interval,
)
from relmeasure.responses.intake import as_moments
from relmeasure.results import Estimate, Status, Table
from relmeasure.samplestats.moments import MissingMethod

__all__ = ["OmegaEstimate", "omega", "omega_from_prepared"]

Array = np.ndarray[Any, np.dtype[np.float64]]

COLUMNS = ("item", "loading", "loading_se", "loading_std", "uniqueness", "uniqueness_se", "uniqueness_std")
DELTA = "Wald interval, delta-method standard error from the expected information (divisor N), one-factor normal ML"
UNTESTED = "3 items identify one factor exactly (0 degrees of freedom): whether one factor fits cannot be tested"


@dataclass(frozen=True, eq=False)
class OmegaEstimate(Estimate):
    """Coefficient omega, with the one-factor model behind it.

    Attributes
    ----------
    status : Status
        Whether the model converged to a proper solution.
    chisq, df, pvalue : float, int, float
        Likelihood-ratio test of one factor, ``N F``; a large sample rejects small misfit.
    average_variance_extracted, maximal_reliability : float
        Share of item variance that is common; reliability of the best-weighted composite (coefficient H).
    denominator : str
        ``"implied"`` or ``"observed"``.
    """

    status: Status = field(default_factory=Status)
    chisq: float = math.nan
    df: int = 0
    pvalue: float = math.nan
    average_variance_extracted: float = math.nan
    maximal_reliability: float = math.nan
    denominator: str = "implied"

    def _table(self) -> Table:
        extra = ("chisq", "df", "pvalue", "average_variance_extracted", "maximal_reliability")
        columns = {**super()._table().columns, **{name: (getattr(self, name),) for name in extra}}
        return Table({**columns, "status": (self.status.level,)})


def omega(
    data: Any,
    *,
    denominator: Denominator = "implied",
    missing: MissingMethod = "listwise",
    conf_level: float = 0.95,
    weights: Any = None,
    n_obs: int | None = None,
) -> OmegaEstimate:
    """Compute coefficient omega (total) of a scale from a one-factor model.

    ``(sum l)^2 / ((sum l)^2 + sum u)`` with loadings l and uniquenesses u of a one-factor maximum-likelihood solution
    of the covariances (id ``omega_total.implied_variance``), or ``(sum l)^2`` over the observed variance of the sum
    (id ``omega_total.observed_variance``). The two differ by the misfit of the model.

    Parameters
    ----------
    data : frame, array (n, k), responses or moments
        Items in columns, keyed in one direction; ``MomentSums`` are used as they are.
    denominator : {"implied", "observed"}
        Variance of the sum score that the model implies, or that was observed.
    missing : {"listwise", "pairwise"}
        Rows complete on all items (the rows dropped are counted in a warning), or for each pair the rows with both.
        Pairwise, standard errors use the smallest N behind a pair and are approximate.
    conf_level : float
        Level of the interval.
    weights : array (n,) or column name, optional
        Sampling weights. The estimate is then weighted; a standard error and an interval are given only with ``n_obs``.
    n_obs : int, optional
        The N that standard errors and the test use instead.

    Returns
    -------
    OmegaEstimate
        ``items`` has, for each item: loading and uniqueness (covariances with divisor N) with standard errors, and both
        standardized. Loadings keep their sign and omega counts it: an item that runs against the others lowers omega,
        and a warning names it.

        One or two items: no estimate, with the reason. Three: a warning, since one factor then fits exactly. A Heywood
        case (a uniqueness at its bound, 0.005 of the item's variance): the estimate at the bound, a warning that gives
        the unbounded uniqueness, no standard error, and ``status.admissible`` False. No convergence, a constant item,
        or covariances that are not positive definite: no estimate, with the reason.

    Raises
    ------
    TooFewObservationsError
        Fewer than two usable rows.
    OptionError
        An argument outside its allowed values.

    Notes
    -----
    The interval is symmetric about the estimate; bounds outside 0 to 1 are cut there, which changes no coverage.
    The standard error assumes normal answers and a correct model. Items are treated as numbers, not as ordered
    categories.

    References
    ----------
    McDonald, R. P. (1999). Test theory: A unified treatment. Erlbaum, chapter 6.
    Raykov, T. (2002). Analytic estimation of standard error and confidence interval for scale reliability.
    Multivariate Behavioral Research, 37, 89-103.
    Joreskog, K. G. (1967). Some contributions to maximum likelihood factor analysis. Psychometrika, 32, 443-482.

    Examples
    --------
    >>> import numpy as np, relmeasure as rm
    >>> rng = np.random.default_rng(7)
    >>> answers = rng.normal(size=(300, 1)) * [0.9, 0.8, 0.7, 0.6] + rng.normal(size=(300, 4)) * 0.6
    >>> result = rm.omega(answers)  # R: semTools::compRelSEM(lavaan::cfa("f =~ a + b + c + d", x), obs.var = FALSE)
    >>> bool(result.lower < result.estimate < result.upper), result.definition
    (True, 'omega_total.implied_variance')
    """
    if denominator not in get_args(Denominator):
        raise OptionError.from_value("denominator", denominator, get_args(Denominator))
    prepared = prepare(as_moments(data, missing=missing, weights=weights), conf_level=conf_level, n_obs=n_obs)
    return finish(omega_from_prepared(prepared, conf_level, denominator), prepared, "omega")


def omega_from_prepared(prepared: Prepared, conf_level: float, denominator: Denominator = "implied") -> OmegaEstimate:
    """Omega of checked moments; warnings are collected, not issued."""
    m, k = prepared.moments, len(prepared.names)
    common: dict[str, Any] = {
        "name": "omega",
        "conf_level": conf_level,
        "n_obs": m.n_obs if math.isnan(prepared.n_obs) else int(prepared.n_obs),
        "n_items": k,
        "definition": f"omega_total.{denominator}_variance",
        "rule": prepared.rule,
        "denominator": denominator,
    }
    cov = prepared.cov * ((m.n_obs - 1.0) / m.n_obs)
    reason = _not_identified(prepared)
    if reason is None:
        try:
            solution = fit_ml(cov, 1)
        except NotPositiveDefiniteError as error:
            reason = (
                "the item covariances are not positive definite "
                f"(smallest eigenvalue {error.details['min_eigenvalue']:.2g})"
            )
        else:
            if not solution.converged:
                reason = f"the one-factor model did not converge in {solution.iterations} iterations"
                prepared.raised.append(NotConvergedWarning(f"Omega: {reason}.", iterations=solution.iterations))
    if reason is not None:
        empty = Table(dict.fromkeys(COLUMNS, ()))
        status = Status("failed", reasons=(reason,))
        return OmegaEstimate(estimate=math.nan, reason=reason, item_table=empty, status=status, **common)
    return OmegaEstimate(**common, **_estimate(prepared, solution, cov, conf_level, denominator))


def _not_identified(prepared: Prepared) -> str | None:
    k = len(prepared.names)
    if k == 1:
        return "one item has no internal consistency: a second item, or a second measurement, is needed"
    if k == 2:
        return "a factor of 2 items is not identified (2 loadings, 1 covariance): use spearman_brown()"
    if prepared.constant:
        return f"no variance in {shorten(prepared.constant)}: leave it out"
    return None


def _estimate(
    prepared: Prepared, solution: Extraction, cov: Array, conf_level: float, denominator: Denominator
) -> dict[str, Any]:
    """Everything that rests on a fitted model."""
    loadings, uniquenesses, n = solution.loadings[:, 0], solution.uniquenesses, prepared.n_obs
    k = len(loadings)
    value = omega_from_loadings(loadings, uniquenesses, denominator=denominator, cov=cov)
    status, method = _judge(prepared, solution, cov)
    se, errors = math.nan, np.full(2 * k, math.nan)
    if not solution.at_bound and not math.isnan(n):
        se, errors = _standard_errors(loadings, uniquenesses, cov, denominator, n)
        if math.isnan(se):
            method = "no interval: the loadings are not identified by these data (information is singular)"
    lower, upper = wald_interval(value, se, conf_level)
    df = k * (k - 1) // 2 - k
    chisq = math.nan if math.isnan(n) else solution.objective * n
    sd = np.sqrt(np.diag(cov))
    columns = (
        prepared.names, loadings, errors[:k], loadings / sd, uniquenesses, errors[k:], uniquenesses / sd**2,
    )  # fmt: skip
    return {
        "estimate": value,
        "se": se,
        "lower": max(lower, 0.0) if lower == lower else lower,
        "upper": min(upper, 1.0) if upper == upper else upper,
        "method": method,
        "item_table": Table({name: tuple(np.asarray(c).tolist()) for name, c in zip(COLUMNS, columns, strict=True)}),
        "status": status,
        "chisq": chisq,
        "df": df,
        "pvalue": _upper_tail(chisq, df),
        "average_variance_extracted": average_variance_extracted(loadings, uniquenesses),
        "maximal_reliability": maximal_reliability(loadings, uniquenesses),
    }


def _upper_tail(chisq: float, df: int) -> float:
    from scipy.special import chdtrc

    return float(chdtrc(df, max(chisq, 0.0))) if df > 0 and not math.isnan(chisq) else math.nan


def _judge(prepared: Prepared, solution: Extraction, cov: Array) -> tuple[Status, str]:
    """Status of the model and the method of the interval; what stands against it is collected."""
    names = prepared.names
    against = [name for name, value in zip(names, solution.loadings[:, 0].tolist(), strict=True) if value < 0.0]
    warn_direction(prepared, against, "Negative loading, which lowers omega")
    if len(names) == 3:
        prepared.raised.append(FewItemsWarning(f"Omega: {UNTESTED}.", n_items=3))
    method = DELTA
    if math.isnan(prepared.n_obs):
        method = "no interval: under sampling weights it needs an effective sample size, given as n_obs="
    if not solution.at_bound:
        return Status("ok", converged=True, admissible=True, identified=True), method
    where = [names[i] for i in solution.at_bound]
    free = _unbounded(solution, cov)
    unbounded = "the unbounded fit did not converge"
    if free is not None:
        worst = ", ".join(f"{names[i]} {free[i] / cov[i, i]:.3f}" for i in solution.at_bound)
        unbounded = f"unbounded, as a share of the item's variance: {worst}"
    reason = (
        f"Uniqueness at its bound (0.005 of the item's variance) in {shorten(where)}; {unbounded}. "
        "One factor is wrong for these items, or the sample is too small; omega is that of the bounded model."
    )
    prepared.raised.append(HeywoodWarning(f"Omega: {reason}", items=where))
    return (
        Status("caution", converged=True, admissible=False, identified=True, reasons=(reason,)),
        f"no interval: improper solution, uniqueness of {shorten(where)} at its bound",
    )


def _standard_errors(
    loadings: Array, uniquenesses: Array, cov: Array, denominator: Denominator, n: float
) -> tuple[float, Array]:
    """Standard errors of omega and of the parameters (2k,).

    To first order the estimates are linear in S, so that ``omega = tr(M S)`` plus a constant, with variance
    ``2 tr(M Sigma M Sigma) / N`` under normality. M holds the part through the parameters,
    ``W (sum c_a dSigma_a) W / 2`` with ``c`` the gradient times the inverse information, and for the observed
    denominator the part of the sum's own variance.
    """
    information = ml_information(loadings, uniquenesses)
    scale = np.sqrt(np.diag(information))
    scaled = information / np.outer(scale, scale)
    k = len(loadings)
    if float(np.linalg.eigvalsh(scaled)[0]) < 1e-10:
        return math.nan, np.full(2 * k, math.nan)
    acov = np.linalg.inv(scaled) / np.outer(scale, scale)
    common, unique = float(loadings.sum()), float(uniquenesses.sum())
    if denominator == "implied":
        variance = common**2 + unique
        gradient = np.r_[np.full(k, 2.0 * common * unique), np.full(k, -(common**2))] / variance**2
        return math.sqrt(gradient @ acov @ gradient / n), np.sqrt(np.diag(acov) / n)
    total = float(cov.sum())
    c = acov[:, :k].sum(axis=1) * (2.0 * common / total)
    implied = np.outer(loadings, loadings) + np.diag(uniquenesses)
    w = np.linalg.inv(implied)
    slope = np.outer(c[:k], loadings)
    m = 0.5 * w @ (slope + slope.T + np.diag(c[k:])) @ w - (common / total) ** 2
    moved = m @ implied
    return math.sqrt(2.0 * float((moved * moved.T).sum()) / n), np.sqrt(np.diag(acov) / n)


def _unbounded(solution: Extraction, cov: Array) -> Array | None:
    """Uniquenesses of the unbounded fit by Fisher scoring from the bounded one; None where it does not converge."""
    k = len(cov)
    theta = np.r_[solution.loadings[:, 0], solution.uniquenesses]

    def value(at: Array) -> tuple[float, Array]:
        implied = np.outer(at[:k], at[:k]) + np.diag(at[k:])
        if float(np.linalg.eigvalsh(implied)[0]) <= 1e-8 * float(np.trace(implied)):
            return math.inf, implied
        return float(np.linalg.slogdet(implied)[1] + np.trace(np.linalg.solve(implied, cov))), implied

    now, implied = value(theta)
    for _ in range(200):
        w = np.linalg.inv(implied)
        residual = w @ (cov - implied) @ w
        gradient = np.r_[residual @ theta[:k], 0.5 * np.diag(residual)]
        step = np.linalg.lstsq(ml_information(theta[:k], theta[k:]), gradient, rcond=None)[0]
        if float(gradient @ step) < 1e-14:
            out: Array = theta[k:]
            return out
        length = 1.0
        while length > 1e-6 and not (trial := value(theta + length * step))[0] < now:
            length *= 0.5
        if length <= 1e-6:
            return None
        theta = theta + length * step
        now, implied = trial
    return None
