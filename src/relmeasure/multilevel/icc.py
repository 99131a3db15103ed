"""Intraclass correlations: how much of the variance lies between classes, and how far a class mean can be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from relmeasure.exceptions import (
    DataError,
    FewClustersWarning,
    OptionError,
    RelmeasureWarning,
    TooFewObservationsError,
)
from relmeasure.multilevel.variance import Components, OneWay, anova, likelihood, profile_interval
from relmeasure.responses.clusters import as_clusters
from relmeasure.results import Note, Result, Status, Table, announce
from relmeasure.samplestats.clusters import ClusterSums

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["IccMethod", "IccResult", "icc", "icc_from_clusters"]

IccMethod = Literal["anova", "ml", "reml"]
"""How the variance components are estimated."""


@dataclass(frozen=True, eq=False)
class IccResult(Result):
    """Intraclass correlations of one variable.

    Attributes
    ----------
    name : str
        The variable.
    icc1 : float
        Share of variance between clusters: the expected correlation of two students of one class.
    icc1_lower, icc1_upper : float
        Interval of ``icc1``.
    icc2 : float
        Reliability of a cluster mean at the *average* cluster size; see ``per_cluster`` for each cluster's own.
    icc2_lower, icc2_upper : float
        Interval of ``icc2``.
    icc1_mean_size : float
        ANOVA with the mean cluster size in place of k0 (Bliese's ICC(1)); NaN for ML and REML.
    tau2, sigma2, mu, mu_se : float
        Variance between and within clusters, mean, and its standard error.
    deviance : float
        -2 log-likelihood (restricted for REML); NaN for ANOVA.
    n_obs, n_clusters : int
    mean_size, k0, design_effect : float
        Rows per cluster, effective size with unequal sizes, and 1 + (k0 - 1) icc1.
    method, interval_method, definition, rule : str
    conf_level : float
    status : Status
        ``caution`` at the boundary: no variance between clusters was found.
    warnings : tuple of Note
    per_cluster_table : Table
        ``cluster``, ``n``, ``mean``, ``reliability`` of this cluster's mean at its own n, ``empirical_bayes`` mean.
    """

    name: str
    icc1: float
    icc1_lower: float
    icc1_upper: float
    icc2: float
    icc2_lower: float
    icc2_upper: float
    icc1_mean_size: float
    tau2: float
    sigma2: float
    mu: float
    mu_se: float
    deviance: float
    n_obs: int
    n_clusters: int
    mean_size: float
    k0: float
    design_effect: float
    method: str
    interval_method: str
    definition: str
    rule: str
    conf_level: float
    status: Status
    warnings: tuple[Note, ...] = ()
    per_cluster_table: Table = field(default_factory=Table)

    @property
    def per_cluster(self) -> pd.DataFrame:
        """One row a cluster, as a pandas frame."""
        frame: pd.DataFrame = self.per_cluster_table.to_frame("pandas")
        return frame

    def _table(self) -> Table:
        rows = []
        for what in ("icc1", "icc2"):
            row = {"coefficient": what, "estimate": getattr(self, what)}
            row |= {bound: getattr(self, f"{what}_{bound}") for bound in ("lower", "upper")}
            shared = ("conf_level", "n_obs", "n_clusters", "mean_size", "k0", "tau2", "sigma2", "method")
            rows.append(
                row | {name: getattr(self, name) for name in (*shared, "interval_method", "definition", "rule")}
            )
        return Table.from_rows(rows)

    def summary(self) -> str:
        """Return both coefficients with intervals, the sizes behind them, and the status."""
        level = f"{self.conf_level:.0%}"
        icc2 = f"ICC(2) = {self.icc2:.3f} [{self.icc2_lower:.3f}, {self.icc2_upper:.3f}]"
        lines = [
            f"{self.name}: ICC(1) = {self.icc1:.3f}, {level} interval [{self.icc1_lower:.3f}, {self.icc1_upper:.3f}]",
            f"{icc2}: reliability of a class mean of {self.mean_size:.1f} students",
            f"{self.method}; interval: {self.interval_method}; {self.rule}",
        ]
        return "\n".join([*lines, *self.status.reasons, *(note.summary() for note in self.warnings)])


def icc(
    data: Any,
    *,
    cluster: Any,
    method: IccMethod = "reml",
    conf_level: float = 0.95,
) -> IccResult:
    r"""Intraclass correlations ICC(1) and ICC(2) of one variable.

    With mean squares between and within clusters, :math:`k_0` the effective cluster size and F their ratio,

    .. math:: ICC(1) = \frac{MS_B - MS_W}{MS_B + (k_0 - 1) MS_W}, \qquad ICC(2) = 1 - 1/F

    for ``method="anova"``; for ML and REML :math:`ICC(1) = \tau^2 / (\tau^2 + \sigma^2)` and
    :math:`ICC(2) = \tau^2 / (\tau^2 + \sigma^2 / \bar n)`.

    Parameters
    ----------
    data : Series, one-column frame or array, or ClusterSums
        The variable; of a frame, the one column that is not named in ``cluster``.
    cluster : str or Series or array
        Class of each row: a column of ``data``, or one label a row.
    method : {"reml", "ml", "anova"}
        Estimation of the variance components.
    conf_level : float
        Level of the intervals.

    Returns
    -------
    IccResult

    Notes
    -----
    Missing data: rows without a value or a cluster are not used, and the rule says how many.
    Intervals: ANOVA by the F distribution, exact for equal cluster sizes and approximate (with k0) otherwise
    (Searle, Casella & McCulloch, 1992, section 3.5); ML and REML by profile likelihood, ICC(2) through ICC(1).
    A negative ANOVA estimate is reported as it is; ML and REML stop at zero. Both have status ``caution``.

    Raises
    ------
    TooFewObservationsError
        Fewer than two clusters, or no cluster with two rows.

    References
    ----------
    Bliese, P. D. (2000). Within-group agreement, non-independence, and reliability. In Klein & Kozlowski, 349-381.
    Searle, S. R., Casella, G., & McCulloch, C. E. (1992). Variance components. Wiley.

    Examples
    --------
    >>> import numpy as np
    >>> scores = np.array([1, 2, 2, 3, 4, 4, 2, 1, 3, 3, 5, 4, 1, 1, 2, 4, 5, 5, 3, 2], dtype=float)
    >>> result = icc(scores, cluster=np.repeat(np.arange(10), 2), method="anova")
    >>> round(result.icc1, 4), round(result.icc2, 4)  # R: multilevel::ICC1(aov(y ~ g)), ICC2(aov(y ~ g))
    (0.7756, 0.8736)
    """
    if method not in get_args(IccMethod):
        raise OptionError.from_value("method", method, get_args(IccMethod))
    stats = as_clusters(data, cluster=cluster)
    if len(stats.names) != 1:
        raise DataError(
            f"icc takes one variable; the data have {len(stats.names)}: {', '.join(stats.names[:8])}. "
            "Hand in one column, and name the cluster column in cluster=.",
            names=list(stats.names),
        )
    raised: list[RelmeasureWarning] = []
    result = icc_from_clusters(stats, method=method, conf_level=conf_level, raised=raised)
    notes = announce(raised)
    return result if not notes else IccResult(**{**vars(result), "warnings": notes})


def icc_from_clusters(
    stats: ClusterSums,
    *,
    method: IccMethod = "reml",
    conf_level: float = 0.95,
    item: int = 0,
    raised: list[RelmeasureWarning] | None = None,
) -> IccResult:
    """Intraclass correlations of item number ``item`` of cluster statistics; warnings are added to ``raised``."""
    one_way = OneWay(stats.n.astype(float), np.asarray(stats.mean[:, item]), float(stats.within[item, item]))
    _require(one_way)
    k0 = anova(one_way)[2]
    components, bounds, icc2, mean_k, how = _estimated(one_way, stats.mean_size, method, conf_level)
    status = _status(components, stats.names[item])
    if raised is not None and stats.n_clusters < 10:
        raised.append(_few_clusters(stats))
    return IccResult(
        name=stats.names[item],
        icc1=components.icc1,
        icc1_lower=bounds[0],
        icc1_upper=bounds[1],
        icc2=icc2,
        icc2_lower=bounds[2],
        icc2_upper=bounds[3],
        icc1_mean_size=mean_k,
        tau2=components.tau2,
        sigma2=components.sigma2,
        mu=components.mu,
        mu_se=components.mu_se,
        deviance=components.deviance,
        n_obs=stats.n_obs,
        n_clusters=stats.n_clusters,
        mean_size=stats.mean_size,
        k0=k0,
        design_effect=1 + (k0 - 1) * components.icc1,
        method=method,
        interval_method=how,
        definition=f"icc1.{method}" + (".k0" if method == "anova" else ""),
        rule=stats.rule,
        conf_level=conf_level,
        status=status,
        per_cluster_table=_per_cluster(stats, item, components),
    )


# --------------------------------------------------------------------------- parts
def _estimated(
    one_way: OneWay, mean_size: float, method: IccMethod, conf_level: float
) -> tuple[Components, tuple[float, float, float, float], float, float, str]:
    """Components, bounds of both ICCs, ICC(2), ICC(1) at the mean size, and how the bounds were made."""
    ms_between, ms_within, k0 = anova(one_way)
    if method == "anova":
        how = "F distribution" + (", exact" if len(np.unique(one_way.n)) == 1 else f", approximate with k0 = {k0:.2f}")
        icc2 = 1 - ms_within / ms_between if ms_between > 0 else math.nan
        mean_k = (ms_between - ms_within) / (ms_between + (mean_size - 1) * ms_within)
        bounds = _f_bounds(ms_between, ms_within, one_way, k0, conf_level)
        return _anova_components(one_way), bounds, icc2, mean_k, how
    components = likelihood(one_way, restricted=method == "reml")
    low, high = profile_interval(one_way, restricted=method == "reml", conf_level=conf_level)
    bounds = (low, high, _step_up(low, mean_size), _step_up(high, mean_size))
    return components, bounds, float(components.reliability(mean_size)), math.nan, "profile likelihood"


def _require(stats: OneWay) -> None:
    if stats.n_clusters < 2 or stats.n_obs <= stats.n_clusters:
        raise TooFewObservationsError(
            f"{stats.n_clusters} clusters with {stats.n_obs:.0f} rows in all: at least two clusters are needed, "
            "and one of them with two rows.",
            n_clusters=stats.n_clusters,
            n_obs=int(stats.n_obs),
        )
    spread = stats.within + float(np.ptp(stats.mean))
    if not spread > 0:
        raise DataError("The variable has no variance: every row has the same value.")


def _anova_components(stats: OneWay) -> Components:
    ms_between, ms_within, k0 = anova(stats)
    tau2 = (ms_between - ms_within) / k0
    mu = float(stats.n @ stats.mean) / stats.n_obs
    variance = max(tau2, 0.0) * float(stats.n @ stats.n) / stats.n_obs**2 + ms_within / stats.n_obs
    return Components(tau2, ms_within, mu, math.sqrt(variance))


def _f_bounds(
    ms_between: float, ms_within: float, stats: OneWay, k0: float, conf_level: float
) -> tuple[float, float, float, float]:
    from scipy.special import fdtri

    if ms_within == 0:
        return (1.0, 1.0, 1.0, 1.0)
    if ms_between == 0:
        return (-1 / (k0 - 1), -1 / (k0 - 1), -math.inf, -math.inf)
    df1, df2 = stats.n_clusters - 1, stats.n_obs - stats.n_clusters
    ratio, half = ms_between / ms_within, (1 - conf_level) / 2
    low, high = ratio / float(fdtri(df1, df2, 1 - half)), ratio / float(fdtri(df1, df2, half))
    return ((low - 1) / (low + k0 - 1), (high - 1) / (high + k0 - 1), 1 - 1 / low, 1 - 1 / high)


def _step_up(icc1: float, k: float) -> float:
    """Spearman-Brown: reliability of a mean of k rows."""
    return k * icc1 / (1 + (k - 1) * icc1)


def _status(components: Components, name: str) -> Status:
    if components.tau2 > 0:
        return Status("ok")
    seen = "negative" if components.tau2 < 0 else "zero"
    reason = f"The variance of {name} between clusters is estimated as {seen}: class means differ no more than chance."
    return Status("caution", admissible=components.tau2 == 0, reasons=(reason,))


def _few_clusters(stats: ClusterSums) -> RelmeasureWarning:
    return FewClustersWarning(
        f"Only {stats.n_clusters} clusters: variance between clusters is estimated poorly below about 10, "
        "and intervals are wide or too narrow.",
        n_clusters=stats.n_clusters,
    )


def _per_cluster(stats: ClusterSums, item: int, components: Components) -> Table:
    n, mean = stats.n.astype(float), np.asarray(stats.mean[:, item])
    tau2 = max(components.tau2, 0.0)
    reliability = tau2 / (tau2 + components.sigma2 / n) if tau2 > 0 else np.zeros_like(n)
    shrunken = components.mu + reliability * (mean - components.mu)
    columns: dict[str, Sequence[Any]] = {"cluster": stats.labels, "n": stats.n.tolist(), "mean": mean.tolist()}
    columns |= {"reliability": reliability.tolist(), "empirical_bayes": shrunken.tolist()}
    return Table({name: tuple(values) for name, values in columns.items()})
