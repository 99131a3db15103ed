r"""Likelihood-ratio and scaled difference tests of nested models.

Scaled chi-squares cannot be subtracted. The mean-scaled difference (Satorra & Bentler, 2001) is

.. math:: T_d = (T_0 - T_1) / c_d, \quad c_d = (df_0 c_0 - df_1 c_1) / (df_0 - df_1),

with unscaled statistics ``T`` and scaling factors ``c``. ``c_d`` may come out negative; the strictly positive version
(Satorra & Bentler, 2010) takes the scaling factor of the larger model at the estimates of the smaller one. Satorra
(2000) corrects mean and variance of the difference by ``a (T_0 - T_1) + b`` from the weights of its limiting
distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from relmeasure.exceptions import EstimationError, OptionError, UnsupportedDataError
from relmeasure.results import Result, Table
from relmeasure.structural.evaluation.assess import chi_square
from relmeasure.structural.evaluation.fit_measures import chi_square_pvalue
from relmeasure.structural.evaluation.nested import at_implied_moments, difference_traces

if TYPE_CHECKING:
    from relmeasure.structural.fitted.fit import StructuralFit

__all__ = ["Comparison", "DifferenceMethod", "compare_fits"]

DifferenceMethod = Literal["default", "standard", "satorra.bentler.2001", "satorra.bentler.2010", "satorra.2000"]
"""How two models are compared; the default follows from the estimator."""

_ROUNDING = 1e-5
"""Differences of moments, in standard deviations, that EM and the order of the rows can make."""


@dataclass(frozen=True, eq=False)
class Comparison(Result):
    """A test of a restricted model against a larger one.

    Attributes
    ----------
    chisq, df, pvalue : float
        Difference test.
    method : str
        How it was made.
    scaling_factor : float
        What the difference was divided by; NaN for a plain difference.
    chisq_restricted, df_restricted, chisq_larger, df_larger : float
        Unscaled statistics of the two models.
    delta_cfi, delta_rmsea, delta_srmr : float
        Restricted minus larger: robust indices where both models have them, else plain ones.
    delta_aic, delta_bic : float
        NaN without a likelihood.
    rmsea : float
        RMSEA of the difference: misfit that the restrictions add, per restriction (Savalei, Brace & Fouladi, 2023).
    """

    chisq: float
    df: float
    pvalue: float
    method: str
    scaling_factor: float
    chisq_restricted: float
    df_restricted: float
    chisq_larger: float
    df_larger: float
    delta_cfi: float
    delta_rmsea: float
    delta_srmr: float
    delta_aic: float
    delta_bic: float
    rmsea: float

    def summary(self) -> str:
        """Return the test and the changes of the indices."""
        p = "p < .001" if self.pvalue < 0.001 else f"p = {self.pvalue:.3f}"
        lines = [f"chi-square difference({self.df:g}) = {self.chisq:.3f}, {p} ({self.method})"]
        lines.append(
            f"change of cfi {self.delta_cfi:+.3f}, rmsea {self.delta_rmsea:+.3f}, srmr {self.delta_srmr:+.3f} "
            "(restricted minus larger)"
        )
        return "\n".join(lines)

    def _table(self) -> Table:
        return Table({name: (value,) for name, value in vars(self).items() if isinstance(value, (str, float))})


def compare_fits(first: StructuralFit, second: StructuralFit, method: DifferenceMethod) -> Comparison:
    """Test the more restricted of two models against the other.

    Raises
    ------
    UnsupportedDataError
        They rest on different data or estimators, or neither is more restricted.
    EstimationError
        The scaling factor of the difference is negative.
    OptionError
        A method that is none, or not one for the estimator.
    """
    if method not in get_args(DifferenceMethod):
        raise OptionError.from_value("method", method, get_args(DifferenceMethod))
    _check(first, second)
    restricted, larger = (first, second) if first.indices["df"] > second.indices["df"] else (second, first)
    chosen = _method(restricted, method)
    difference = restricted.indices["chisq"] - larger.indices["chisq"]
    if math.isnan(difference):  # neither has an unrestricted model to be tested against: they still have likelihoods
        difference = 2.0 * (larger.indices["logl"] - restricted.indices["logl"])
    df = restricted.indices["df"] - larger.indices["df"]
    factor, shift = _scaling(restricted, larger, chosen, df)
    chisq = difference if math.isnan(factor) else difference / factor + shift
    n, groups = restricted.indices["ntotal"], restricted.table.n_groups
    scale = 1.0 if math.isnan(factor) else factor
    return Comparison(
        chisq=chisq,
        df=df,
        pvalue=chi_square_pvalue(chisq, df),
        method=chosen,
        scaling_factor=factor,
        chisq_restricted=restricted.indices["chisq"],
        df_restricted=restricted.indices["df"],
        chisq_larger=larger.indices["chisq"],
        df_larger=larger.indices["df"],
        delta_cfi=_change(restricted, larger, "cfi"),
        delta_rmsea=_change(restricted, larger, "rmsea"),
        delta_srmr=_change(restricted, larger, "srmr"),
        delta_aic=_change(restricted, larger, "aic"),
        delta_bic=_change(restricted, larger, "bic"),
        rmsea=math.sqrt(max(scale * (chisq - df), 0.0) * groups / (n * df)),
    )


def _check(first: StructuralFit, second: StructuralFit) -> None:
    for fit in (first, second):
        if not fit.converged:
            raise EstimationError("A model that did not converge cannot be compared.")
    if not first.method.equals(second.method):
        raise UnsupportedDataError(
            f"Fit both models with the same estimator: {first.method.words} and {second.method.words} were used."
        )
    same = set(first.table.observed) == set(second.table.observed) and first.table.groups == second.table.groups
    if (
        not same
        or first.sample.n_obs != second.sample.n_obs
        or first.table.mean_structure != second.table.mean_structure
    ):
        raise UnsupportedDataError(
            "Nested models describe the same data: the same items, rows, groups and moments. These do not: "
            f"{len(first.table.observed)} items and {first.sample.n_obs} rows, "
            f"{len(second.table.observed)} items and {second.sample.n_obs} rows."
        )
    if not _same_moments(first, second):
        raise UnsupportedDataError(
            "Nested models describe the same data, and the moments of these two differ: fit both to the same rows."
        )
    if first.indices["df"] == second.indices["df"]:
        raise UnsupportedDataError(
            f"Both models have {first.indices['df']:g} degrees of freedom: neither restricts the other."
        )


def _same_moments(first: StructuralFit, second: StructuralFit) -> bool:
    """Whether the sample moments are equal, but for rounding and the last steps of EM."""
    whole = second.sample.subset(first.sample.names)
    for one, other in zip(first.sample.groups, whole.groups, strict=True):
        sd = np.sqrt(np.diag(one.cov))
        gaps = [np.abs(one.cov - other.cov) / np.outer(sd, sd)]
        if first.table.mean_structure:
            gaps.append(np.abs(one.mean - other.mean) / sd)
        if max(float(gap.max()) for gap in gaps) > _ROUNDING or one.n_obs != other.n_obs:
            return False
    return True


def _method(fit: StructuralFit, method: str) -> str:
    robust = fit.method.robust
    if method == "default":
        if fit.method.test == "scaled.shifted":
            return "satorra.2000"
        return "satorra.bentler.2001" if robust else "standard"
    if method == "standard" and robust:
        raise OptionError(
            f"method='standard' would subtract scaled statistics of {fit.method.estimator}, which has no chi-square "
            "distribution. Use 'satorra.bentler.2001' or 'satorra.2000'.",
            argument="method",
        )
    if method != "standard" and not robust:
        raise OptionError(f"method={method!r} is for scaled tests; {fit.method.estimator} has a plain one.")
    return method


def _scaling(restricted: StructuralFit, larger: StructuralFit, method: str, df: float) -> tuple[float, float]:
    """Return what the difference is divided by, and what is added after."""
    if method == "standard":
        return math.nan, 0.0
    if method == "satorra.2000":
        first, second = difference_traces(restricted._fitted, larger._fitted)
        factor = math.sqrt(second / df)
        return factor, df - first / factor
    return _mean_factor(restricted, larger, method, df), 0.0


def _mean_factor(restricted: StructuralFit, larger: StructuralFit, method: str, df: float) -> float:
    if any("chisq.scaling.factor" not in fit.indices for fit in (restricted, larger)):
        raise UnsupportedDataError(
            "A test of these models is not scaled (see result.warnings), so neither is that of their difference: fit "
            "both with the estimator's plain version, or use method='standard'."
        )
    c0, df0 = restricted.indices["chisq.scaling.factor"], restricted.indices["df"]
    if method == "satorra.bentler.2010":
        c1 = _factor_at_restricted(restricted, larger)
    else:
        c1 = larger.indices["chisq.scaling.factor"]
    df1 = larger.indices["df"]
    factor = (df0 * c0 - (df1 * c1 if df1 > 0 else 0.0)) / df
    if not factor > 0:
        raise EstimationError(
            f"The scaling factor of the difference is {factor:.3g}: in small samples it can fall below zero. "
            "Use method='satorra.bentler.2010', which cannot.",
            scaling_factor=factor,
        )
    return float(factor)


def _factor_at_restricted(restricted: StructuralFit, larger: StructuralFit) -> float:
    """Scaling factor of the larger model at the implied moments of the restricted one."""
    return chi_square(at_implied_moments(larger._fitted, restricted._fitted)).scaling_factor


def _change(restricted: StructuralFit, larger: StructuralFit, name: str) -> float:
    for tag in (".robust", ".scaled", ""):
        if f"{name}{tag}" in restricted.indices and f"{name}{tag}" in larger.indices:
            return restricted.indices[f"{name}{tag}"] - larger.indices[f"{name}{tag}"]
    return math.nan
