"""Estimators by name: which discrepancy, which standard errors, which test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from relmeasure.exceptions import OptionError, UnsupportedDataError
from relmeasure.results import Result

__all__ = ["Estimator", "Method", "method_of"]

Estimator = Literal["ML", "MLM", "MLR", "GLS", "WLS", "ULS", "DWLS", "WLSM", "WLSMV"]
"""Estimators that a user can name."""

Information = Literal["expected", "observed"]
Likelihood = Literal["normal", "wishart"]
Missing = Literal["listwise", "fiml", "pairwise"]


@dataclass(frozen=True, eq=False)
class Method(Result):
    """How a model is estimated, and by what its estimates are judged.

    Attributes
    ----------
    estimator : str
        As the user named it.
    discrepancy : {"ML", "FIML", "GLS", "ULS", "WLS", "DWLS"}
        What is minimised.
    se : str
        ``"standard"``, ``"robust.sem"`` (Satorra & Bentler), ``"robust.huber.white"``, ``"robust.cluster"``,
        ``"none"``.
    test : str
        ``"standard"``, ``"satorra.bentler"``, ``"yuan.bentler.mplus"``, ``"browne.residual.nt"``, ``"scaled.shifted"``.
    information : {"expected", "observed"}
        Bread of the standard errors.
    likelihood : {"normal", "wishart"}
        Divisor n or n - 1.
    ordinal : bool
        Whether thresholds and polychoric correlations are fitted.
    """

    estimator: str
    discrepancy: str
    se: str
    test: str
    information: str
    likelihood: str = "normal"
    ordinal: bool = False

    @property
    def is_likelihood(self) -> bool:
        """Whether the objective is a log-likelihood, so that AIC and BIC exist."""
        return self.discrepancy in ("ML", "FIML") and self.likelihood == "normal"

    @property
    def counts_all_rows(self) -> bool:
        """Whether chi-squares multiply by n rather than n - 1 a group."""
        return self.is_likelihood

    @property
    def robust(self) -> bool:
        """Whether the test is scaled."""
        return self.test in ("satorra.bentler", "yuan.bentler.mplus", "scaled.shifted")

    @property
    def words(self) -> str:
        """Standard errors and test in words."""
        se = {
            "standard": f"{self.information} information",
            "robust.sem": "robust to non-normality (Satorra-Bentler)",
            "robust.huber.white": "robust to non-normality (sandwich)",
            "robust.cluster": "robust to clustering (sandwich)",
            "none": "none",
        }[self.se]
        return f"{self.estimator}; standard errors: {se}; test: {self.test}"


def method_of(
    estimator: str,
    *,
    missing: str = "listwise",
    information: str | None = None,
    likelihood: str = "normal",
    ordinal: bool = False,
    clustered: bool = False,
    weighted: bool = False,
) -> Method:
    """Return the method behind an estimator's name.

    Raises
    ------
    OptionError
        A name that is no estimator, or a bad option.
    UnsupportedDataError
        A combination that has no theory here.
    """
    if estimator not in get_args(Estimator):
        raise OptionError.from_value("estimator", estimator, get_args(Estimator))
    if missing not in get_args(Missing):
        raise OptionError.from_value("missing", missing, get_args(Missing))
    if likelihood not in get_args(Likelihood):
        raise OptionError.from_value("likelihood", likelihood, get_args(Likelihood))
    if information is not None and information not in get_args(Information):
        raise OptionError.from_value("information", information, get_args(Information))
    _check(estimator, missing, likelihood, ordinal=ordinal, clustered=clustered, weighted=weighted)
    if ordinal:
        return _ordinal(estimator)
    kind = "ML" if estimator in ("ML", "MLM", "MLR") else estimator
    if missing == "fiml":
        kind = "FIML"
    se = {"MLM": "robust.sem", "MLR": "robust.huber.white"}.get(estimator, "standard")
    test = {"MLM": "satorra.bentler", "MLR": "yuan.bentler.mplus"}.get(estimator, "standard")
    if estimator in ("ULS", "DWLS"):
        se, test = "standard", "browne.residual.nt"
    if (clustered or weighted) and kind in ("ML", "FIML"):
        se = "robust.cluster" if clustered else "robust.huber.white"
        test = "yuan.bentler.mplus"
    default = "observed" if kind == "FIML" or estimator == "MLR" or clustered or weighted else "expected"
    return Method(estimator, kind, se, test, information or default, likelihood)


def _ordinal(estimator: str) -> Method:
    chosen = "WLSMV" if estimator == "ML" else estimator
    kind = {"WLSMV": "DWLS", "WLSM": "DWLS"}.get(chosen, chosen)
    se = "standard" if chosen == "WLS" else "robust.sem"
    test = {"WLSMV": "scaled.shifted", "WLSM": "satorra.bentler"}.get(chosen, "standard")
    return Method(chosen, kind, se, test, "expected", ordinal=True)


def _check(estimator: str, missing: str, likelihood: str, *, ordinal: bool, clustered: bool, weighted: bool) -> None:
    """Refuse what has no answer here."""
    if estimator in ("WLSM", "WLSMV") and not ordinal:
        raise UnsupportedDataError(
            f"estimator={estimator!r} is for ordered items: name them in ordered=, or use 'MLR'.", estimator=estimator
        )
    if ordinal and estimator in ("MLM", "MLR", "GLS"):
        raise UnsupportedDataError(
            f"estimator={estimator!r} is for continuous items: use 'WLSMV' with ordered=.", estimator=estimator
        )
    if ordinal and (clustered or weighted):
        what = "cluster=" if clustered else "weights="
        raise UnsupportedDataError(f"{what} is not supported with ordered=. Treat the items as continuous with 'MLR'.")
    if missing == "fiml" and (ordinal or estimator not in ("ML", "MLR")):
        raise UnsupportedDataError(
            f"missing='fiml' needs estimator 'ML' or 'MLR' and continuous items, not {estimator!r}.", missing=missing
        )
    if missing == "pairwise" and not ordinal:
        raise UnsupportedDataError(
            "missing='pairwise' is for ordered items: use 'fiml' or 'listwise'.", missing=missing
        )
    if likelihood == "wishart" and (estimator != "ML" or missing == "fiml" or ordinal or clustered or weighted):
        raise UnsupportedDataError(
            "likelihood='wishart' goes with estimator 'ML' and complete data, without ordered=, cluster= and weights=."
        )
    if (clustered or weighted) and estimator not in ("ML", "MLR"):
        what = "cluster=" if clustered else "weights="
        raise UnsupportedDataError(f"{what} needs estimator 'ML' or 'MLR', not {estimator!r}.", estimator=estimator)
