r"""Indices of fit as functions of plain numbers, each with its reference.

The names are those of lavaan. A plain name is the naive index; ``.scaled`` puts the scaled chi-square in its place;
``.robust`` estimates the population index consistently under non-normality (Brosseau-Liard, Savalei & Li, 2012;
Brosseau- Liard & Savalei, 2014). An index without a definition for the method is absent, never filled in.

``gfi``, ``agfi`` and ``pgfi`` follow lavaan 0.6 (weighted residuals over weighted sample moments; means enter when they
are modelled); lavaan 0.7 changed them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "ChiSquare",
    "chi_square_pvalue",
    "chi_square_pvalues",
    "comparative_indices",
    "information_criteria",
    "noncentrality_interval",
    "residual_indices",
    "rmsea_indices",
    "sample_size_indices",
]

Array = np.ndarray[Any, np.dtype[Any]]

CLOSE, NOT_CLOSE = 0.05, 0.08
"""RMSEA of a close fit and of one that is not (Browne & Cudeck, 1993; MacCallum, Browne & Sugawara, 1996)."""

RMSEA_LEVEL = 0.90
"""Level of the interval for RMSEA."""


@dataclass(frozen=True)
class ChiSquare:
    """A test of fit: statistic, degrees of freedom, and what scaling made of it.

    Attributes
    ----------
    chisq, df : float
    scaling_factor : float
        What the statistic was divided by; NaN without scaling.
    shift : float
        What was added after the division.
    factors : (float, float)
        Scaling factors of the log-likelihoods of the saturated model and of this one; NaN where there are none.
    """

    chisq: float
    df: float
    scaling_factor: float = math.nan
    shift: float = 0.0
    factors: tuple[float, float] = (math.nan, math.nan)

    @property
    def is_scaled(self) -> bool:
        """Whether there is a scaled version."""
        return not math.isnan(self.scaling_factor)

    @property
    def scaled(self) -> float:
        """The scaled statistic."""
        return self.chisq / self.scaling_factor + self.shift


def chi_square_pvalue(chisq: float, df: float) -> float:
    """Return the upper tail of the chi-square distribution; NaN without degrees of freedom."""
    from scipy.special import gammaincc

    if df <= 0 or math.isnan(chisq):
        return math.nan
    return float(gammaincc(df / 2.0, max(chisq, 0.0) / 2.0))


def chi_square_pvalues(chisq: Array, df: float) -> Array:
    """Return the upper tails of several statistics."""
    from scipy.special import gammaincc

    return np.asarray(gammaincc(df / 2.0, np.maximum(chisq, 0.0) / 2.0))


def noncentral_cdf(chisq: float, df: float, noncentrality: float) -> float:
    """Return the distribution function of the noncentral chi-square distribution."""
    from scipy.special import chndtr

    return float(chndtr(chisq, df, noncentrality))


def noncentrality_interval(chisq: float, df: float, level: float = RMSEA_LEVEL) -> tuple[float, float]:
    """Return the noncentralities that put the statistic in the upper and in the lower tail (Steiger & Lind, 1980)."""
    tail = (1.0 - level) / 2.0
    return _noncentrality(chisq, df, 1.0 - tail), _noncentrality(chisq, df, tail)


def _noncentrality(chisq: float, df: float, probability: float) -> float:
    """Solve ``P(X <= chisq) = probability`` for the noncentrality: bracket, then regula falsi (Illinois)."""
    low, at_low = 0.0, noncentral_cdf(chisq, df, 0.0) - probability
    if at_low <= 0:
        return 0.0
    spread = math.sqrt(2.0 * df + 4.0 * max(chisq - df, 0.0)) + 1.0
    high = max(chisq - df, 0.0) + 3.0 * spread
    at_high = noncentral_cdf(chisq, df, high) - probability
    while at_high > 0:
        low, at_low, high = high, at_high, high * 2.0
        at_high = noncentral_cdf(chisq, df, high) - probability
    side = 0
    for _ in range(200):
        middle = (low * at_high - high * at_low) / (at_high - at_low)
        at = noncentral_cdf(chisq, df, middle) - probability
        if abs(at) < 1e-13 or high - low < 1e-11 * (1.0 + high):
            return middle
        if at > 0:
            low, at_low = middle, at
            at_high *= 0.5 if side == 1 else 1.0
            side = 1
        else:
            high, at_high = middle, at
            at_low *= 0.5 if side == -1 else 1.0
            side = -1
    return 0.5 * (low + high)


# --------------------------------------------------------------------------- against the baseline
def comparative_indices(
    model: ChiSquare, baseline: ChiSquare, robust: tuple[ChiSquare, ChiSquare] | None = None
) -> dict[str, float]:
    """Return CFI, TLI and their kin, naive, scaled and robust.

    ``robust``: statistics of model and baseline, each with its mean per degree of freedom as scaling factor, on which
    the robust versions rest.

    References
    ----------
    Bentler, P. M. (1990). Psychological Bulletin, 107, 238-246 (CFI). Tucker, L. R., & Lewis, C. (1973). Psychometrika,
    38, 1-10 (TLI). Bentler, P. M., & Bonett, D. G. (1980). Psychological Bulletin, 88, 588-606 (NFI). Bollen, K. A.
    (1986, 1989) (RFI, IFI). McDonald, R. P., & Marsh, H. W. (1990). Psychological Bulletin, 107, 247-255 (RNI).
    Brosseau-Liard, P. E., & Savalei, V. (2014). Multivariate Behavioral Research, 49, 460-470, eq. 8 and 9 (robust).
    """
    out = _comparative(model.chisq, model.df, baseline.chisq, baseline.df, "")
    if model.is_scaled and baseline.is_scaled:
        out |= _comparative(model.scaled, model.df, baseline.scaled, baseline.df, ".scaled")
    if robust is not None:
        one, zero = robust
        excess, base = one.chisq - one.scaling_factor * one.df, zero.chisq - zero.scaling_factor * zero.df
        out["cfi.robust"] = 1.0 - _ratio(max(excess, 0.0), max(excess, base, 0.0), 0.0)
        tli = 1.0 - _ratio(excess * zero.df, base * one.df, 0.0)
        out["tli.robust"] = out["nnfi.robust"] = tli
        out["rni.robust"] = 1.0 - _ratio(excess, base, 0.0)
    return out


def _ratio(a: float, b: float, otherwise: float) -> float:
    return a / b if b != 0 else otherwise


def _comparative(chisq: float, df: float, base: float, base_df: float, tag: str) -> dict[str, float]:
    excess, base_excess = chisq - df, base - base_df
    per_df = chisq / df if df > 0 else math.nan
    base_per_df = base / base_df if base_df > 0 else math.nan
    tli = (base_per_df - per_df) / (base_per_df - 1.0) if df > 0 and base_per_df != 1.0 else 1.0
    nested = df <= base_df  # with equal thresholds a model can be more restricted than the baseline
    nfi = (base - chisq) / base if base > 0 and nested else math.nan
    return {
        f"cfi{tag}": 1.0 - _ratio(max(excess, 0.0), max(excess, base_excess, 0.0), 0.0),
        f"tli{tag}": tli,
        f"nnfi{tag}": tli,
        f"rfi{tag}": math.nan if not nested else (base_per_df - per_df) / base_per_df if df > 0 else 1.0,
        f"nfi{tag}": nfi,
        f"pnfi{tag}": df / base_df * nfi if base_df > 0 else math.nan,
        f"ifi{tag}": _ratio(base - chisq, base - df, 1.0),
        f"rni{tag}": 1.0 - _ratio(excess, base_excess, 0.0),
    }


# --------------------------------------------------------------------------- RMSEA
def rmsea_indices(
    test: ChiSquare, n: float, n_groups: int, robust: ChiSquare | None = None, n_robust: float = math.nan
) -> dict[str, float]:
    """Return RMSEA with its 90% interval and the tests of close and of not-close fit, naive, scaled and robust.

    ``robust`` is the statistic that the robust version rests on, with its mean per degree of freedom as scaling factor,
    and ``n_robust`` the number of rows behind it.

    References
    ----------
    Steiger, J. H., & Lind, J. C. (1980); Steiger, J. H. (1998). Structural Equation Modeling, 5, 411-419 (groups).
    Browne, M. W., & Cudeck, R. (1993) (interval, close fit). Brosseau-Liard, P. E., Savalei, V., & Li, L. (2012).
    Multivariate Behavioral Research, 47, 904-930, eq. 13 (robust).
    """
    out = {"rmsea.ci.level": RMSEA_LEVEL, "rmsea.close.h0": CLOSE, "rmsea.notclose.h0": NOT_CLOSE}
    out |= _rmsea(test.chisq, test.df, 1.0, n, n_groups, "")
    if test.is_scaled:
        out |= _rmsea(test.scaled, test.df, 1.0, n, n_groups, ".scaled")
        if test.shift == 0.0 and test.df > 0:  # interval and tests rest on the unscaled statistic and its mean
            point = out["rmsea.scaled"]
            out |= _rmsea(test.chisq, test.scaling_factor * test.df, 1.0, n, n_groups, ".scaled") | {
                "rmsea.scaled": point
            }
    if robust is not None:
        out |= _rmsea(robust.scaled, robust.df, robust.scaling_factor, n_robust, n_groups, ".robust")
    return out


def _rmsea(chisq: float, df: float, factor: float, n: float, n_groups: int, tag: str) -> dict[str, float]:
    """``factor`` turns a noncentrality of the scaled statistic into one of the unscaled."""
    names = [f"{name}{tag}" for name in ("rmsea", "rmsea.ci.lower", "rmsea.ci.upper")]
    tests = [f"{name}{tag}" for name in ("rmsea.pvalue", "rmsea.notclose.pvalue")]
    if df <= 0:
        return dict.fromkeys(names, 0.0) | dict.fromkeys(tests, math.nan)
    lower, upper = noncentrality_interval(chisq, df)
    sizes = [math.sqrt(factor * x * n_groups / (n * df)) for x in (max(chisq - df, 0.0), lower, upper)]
    close, far = (n * df * bound**2 / n_groups / factor for bound in (CLOSE, NOT_CLOSE))
    tails = [1.0 - noncentral_cdf(chisq, df, close), noncentral_cdf(chisq, df, far)]
    return dict(zip(names, sizes, strict=True)) | dict(zip(tests, tails, strict=True))


# --------------------------------------------------------------------------- residuals
def residual_indices(
    groups: Sequence[Mapping[str, Array]], weights: Sequence[float], *, means: bool
) -> dict[str, float]:
    """Return RMR, SRMR and their variants.

    Parameters
    ----------
    groups : sequence of mapping
        Per group ``S``, ``sigma`` (p, p), ``m``, ``mu`` (p,); with ordered items ``thresholds``, the residuals of
        thresholds.
    weights : sequence of float
        Share of each group.
    means : bool
        Whether means are modelled: then they enter the plain indices, and ``_nomean`` leaves them out.

    References
    ----------
    Bentler, P. M. (1995). EQS manual (SRMR). Bollen, K. A. (1989). Structural Equations with Latent Variables, 258
    (CRMR). Asparouhov, T., & Muthen, B. (2018). SRMR in Mplus, eq. 2.
    """
    parts = [_group_residuals(group, means=means) for group in groups]
    return {name: sum(w * part[name] for w, part in zip(weights, parts, strict=True)) for name in parts[0]}


def _group_residuals(group: Mapping[str, Array], *, means: bool) -> dict[str, float]:
    S, sigma, m, mu = group["S"], group["sigma"], group["m"], group["mu"]
    sd, implied_sd = np.sqrt(np.diag(S)), np.sqrt(np.maximum(np.diag(sigma), 1e-300))
    upper, strict = np.triu_indices(len(S)), np.triu_indices(len(S), 1)
    if "thresholds" in group:
        return _ordered_residuals(group)
    raw = (S - sigma)[upper] ** 2
    bentler = ((S - sigma) / np.outer(sd, sd))[upper] ** 2
    correlation = ((S / np.outer(sd, sd) - sigma / np.outer(implied_sd, implied_sd)) ** 2)[strict]
    diagonal = ((np.diag(S) - np.diag(sigma)) / np.diag(S)) ** 2
    mplus = np.concatenate([correlation, diagonal])
    raw_mean, bentler_mean = (m - mu) ** 2, ((m - mu) / sd) ** 2
    standard_mean = (m / sd - mu / implied_sd) ** 2
    out = {}
    for name, plain, extra in (
        ("rmr", raw, raw_mean),
        ("srmr_bentler", bentler, bentler_mean),
        ("crmr", correlation, bentler_mean),
        ("srmr_mplus", mplus, standard_mean),
    ):
        out[f"{name}_nomean"] = math.sqrt(float(plain.mean())) if len(plain) else 0.0
        both = np.concatenate([plain, extra]) if means else plain
        out[name] = math.sqrt(float(both.mean())) if len(both) else 0.0
    out["srmr"] = out["srmr_bentler"]
    return out


def _ordered_residuals(group: Mapping[str, Array]) -> dict[str, float]:
    """RMR and SRMR with ordered items: thresholds enter the plain indices, ``_nomean`` leaves them out."""
    S, sigma = group["S"], group["sigma"]
    sd, implied_sd = np.sqrt(np.diag(S)), np.sqrt(np.maximum(np.diag(sigma), 1e-300))
    upper, strict = np.triu_indices(len(S)), np.triu_indices(len(S), 1)
    plain = group["thresholds"] ** 2
    out = {}
    for name, cov in (
        ("rmr", (S - sigma)[upper]),
        ("srmr_bentler", ((S - sigma) / np.outer(sd, sd))[upper]),
        ("crmr", (S / np.outer(sd, sd) - sigma / np.outer(implied_sd, implied_sd))[strict]),
    ):
        out[f"{name}_nomean"] = math.sqrt(float((cov**2).mean()))
        out[name] = math.sqrt(float(np.concatenate([cov**2, plain]).mean()))
    out["srmr"] = out["srmr_bentler_nomean"]
    return out


# --------------------------------------------------------------------------- likelihood and sample size
def information_criteria(log_likelihood: float, saturated: float, n_parameters: int, n: int) -> dict[str, float]:
    """Return log-likelihoods, AIC, BIC and the sample-size adjusted BIC.

    References
    ----------
    Akaike, H. (1974). IEEE Transactions on Automatic Control, 19, 716-723. Schwarz, G. (1978). Annals of Statistics, 6,
    461-464. Sclove, S. L. (1987). Psychometrika, 52, 333-343 (``bic2``).
    """
    deviance = -2.0 * log_likelihood
    return {
        "logl": log_likelihood,
        "unrestricted.logl": saturated,
        "aic": deviance + 2.0 * n_parameters,
        "bic": deviance + n_parameters * math.log(n),
        "ntotal": float(n),
        "bic2": deviance + n_parameters * math.log((n + 2.0) / 24.0),
    }


def sample_size_indices(test: ChiSquare, n: float, n_parameters: int, n_groups: int) -> dict[str, float]:
    """Return Hoelter's critical N, McDonald's index and the expected cross-validation index.

    References
    ----------
    Hoelter, J. W. (1983). Sociological Methods & Research, 11, 325-344. McDonald, R. P. (1989). Journal of
    Classification, 6, 97-103. Browne, M. W., & Cudeck, R. (1989). Multivariate Behavioral Research, 24, 445-455.
    """
    from scipy.special import gammaincinv

    chisq, df = test.chisq, test.df
    out = {}
    for name, alpha in (("cn_05", 0.05), ("cn_01", 0.01)):
        critical = 2.0 * float(gammaincinv(df / 2.0, 1.0 - alpha)) if df > 0 else math.nan
        out[name] = critical / (chisq / n) + 1.0 if df > 0 and chisq > 0 else 1.0
    out["mfi"] = math.exp(-0.5 * (chisq - df) / n)
    if n_groups == 1 or not math.isnan(chisq):
        out["ecvi"] = chisq / n + 2.0 * n_parameters / n
    return out
