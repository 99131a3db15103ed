"""Intraclass correlations: how much of the variance lies between classes, and how far a class mean can be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from relmeasure.exceptions import (
    DataError,
    FewClustersWarning,
    OptionError,
    RelmeasureWarning,
    TooFewObservationsError,
    UnsupportedDataError,
)
from relmeasure.multilevel.resampling import bootstrap_interval, clusters_of, icc_of
from relmeasure.multilevel.variance import Components, OneWay, anova, likelihood, profile_interval
from relmeasure.responses.clusters import as_clusters
from relmeasure.responses.labelled import GroupedValues, grouped_values
from relmeasure.results import Note, Result, Status, Table, announce
from relmeasure.samplestats.clusters import ClusterSums, cluster_sums

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, np.dtype[np.float64]]

__all__ = ["IccInterval", "IccMethod", "IccResult", "icc", "icc_from_clusters"]

IccMethod = Literal["anova", "ml", "reml"]
"""How the variance components are estimated."""

IccInterval = Literal["model", "bootstrap"]
"""How intervals are made: from the normal model, or by drawing whole clusters."""


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
    per_group_table : Table
        With ``group``: the intraclass correlations of each group by itself.
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
    per_group_table: Table = field(default_factory=Table)

    @property
    def per_group(self) -> pd.DataFrame:
        """One row a group, as a pandas frame."""
        frame: pd.DataFrame = self.per_group_table.to_frame("pandas")
        return frame

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
    group: Any = None,
    method: IccMethod = "reml",
    interval: IccInterval = "model",
    n_boot: int = 1000,
    conf_level: float = 0.95,
    rng: int | np.random.Generator = 0,
) -> IccResult:
    r"""Intraclass correlations ICC(1) and ICC(2) of one variable.

    With mean squares between and within clusters, :math:`k_0` the effective cluster size and F their ratio,

    .. math:: ICC(1) = \frac{MS_B - MS_W}{MS_B + (k_0 - 1) MS_W}, \qquad ICC(2) = 1 - 1/F

    for ``method="anova"``; for ML and REML :math:`ICC(1) = \tau^2 / (\tau^2 + \sigma^2)` and
    :math:`ICC(2) = \tau^2 / (\tau^2 + \sigma^2 / \bar n)`.

    Parameters
    ----------
    data : Series, one-column frame or array, or ClusterSums
        The variable; of a frame, the one column that is not named in ``cluster`` or ``group``.
    cluster : str or Series or array
        Class of each row: a column of ``data``, or one label a row.
    group : str or Series or array, optional
        What classes lie in (country, school type), given like ``cluster``. Each group then has a mean of its own, so
        that differences between countries are not counted as differences between classes; each group by itself is in
        ``per_group``.
    method : {"reml", "ml", "anova"}
        Estimation of the variance components.
    interval : {"model", "bootstrap"}
        Intervals from the normal model, or percentiles over draws of whole classes (within groups).
    n_boot : int
        Draws of the bootstrap.
    conf_level : float
        Level of the intervals.
    rng : int or numpy.random.Generator
        Seed of the bootstrap.

    Returns
    -------
    IccResult

    Notes
    -----
    Missing data: rows without a value, a cluster or a group are not used, and the rule says how many.
    Intervals of the model: ANOVA by the F distribution, exact for equal cluster sizes and approximate (with k0)
    otherwise (Searle, Casella & McCulloch, 1992, section 3.5); ML and REML by profile likelihood, ICC(2) through
    ICC(1). The bootstrap needs rows, not ClusterSums, and many classes: with 50 it covers less than it says.
    A negative ANOVA estimate is reported as it is; ML and REML stop at zero. Both have status ``caution``.

    Raises
    ------
    TooFewObservationsError
        Fewer than two clusters (in a group), or no cluster with two rows.
    DataError
        Several variables, no variance, or a class in two groups.

    References
    ----------
    Bliese, P. D. (2000). Within-group agreement, non-independence, and reliability. In Klein & Kozlowski, 349-381.
    Searle, S. R., Casella, G., & McCulloch, C. E. (1992). Variance components. Wiley.
    Field, C. A., & Welsh, A. H. (2007). Journal of the Royal Statistical Society B, 69, 369-390 (cluster bootstrap).

    Examples
    --------
    >>> import numpy as np
    >>> scores = np.array([1, 2, 2, 3, 4, 4, 2, 1, 3, 3, 5, 4, 1, 1, 2, 4, 5, 5, 3, 2], dtype=float)
    >>> result = icc(scores, cluster=np.repeat(np.arange(10), 2), method="anova")
    >>> round(result.icc1, 4), round(result.icc2, 4)  # R: multilevel::ICC1(aov(y ~ g)), ICC2(aov(y ~ g))
    (0.7756, 0.8736)
    """
    _check_options(method, interval, n_boot, conf_level)
    raised: list[RelmeasureWarning] = []
    if group is None and interval == "model":
        stats = as_clusters(data, cluster=cluster)
        _one_variable(stats)
        result = icc_from_clusters(stats, method=method, conf_level=conf_level, raised=raised)
    else:
        result = _icc_of_rows(data, cluster, group, method, conf_level, raised)
    changes: dict[str, Any] = {}
    if interval == "bootstrap":
        changes = _bootstrapped(data, cluster, group, method, n_boot, conf_level, rng)
    notes = announce(raised)
    return replace(result, **changes, warnings=notes) if notes or changes else result


def icc_from_clusters(
    stats: ClusterSums,
    *,
    method: IccMethod = "reml",
    conf_level: float = 0.95,
    item: int = 0,
    group: np.ndarray[Any, np.dtype[np.int64]] | None = None,
    raised: list[RelmeasureWarning] | None = None,
) -> IccResult:
    """Intraclass correlations of item number ``item`` of cluster statistics; warnings are added to ``raised``."""
    mean, within = np.asarray(stats.mean[:, item]), float(stats.within[item, item])
    one_way = OneWay(stats.n.astype(float), mean, within, group)
    _require(one_way)
    components, coefficients = _estimates(one_way, method, conf_level)
    _, _, k0 = anova(one_way)
    if raised is not None and stats.n_clusters < 10:
        raised.append(_few_clusters(stats))
    return IccResult(
        name=stats.names[item],
        **coefficients,
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
        definition=f"icc1.{method}"
        + (".k0" if method == "anova" else "")
        + (".within_groups" if group is not None else ""),
        rule=stats.rule,
        conf_level=conf_level,
        status=_status(components, stats.names[item]),
        per_cluster_table=_per_cluster(stats, mean, components, group),
    )


def _estimates(one_way: OneWay, method: IccMethod, conf_level: float) -> tuple[Components, dict[str, Any]]:
    """Components, and both coefficients with their intervals."""
    ms_between, ms_within, k0 = anova(one_way)
    mean_size = one_way.n_obs / one_way.n_clusters
    if method == "anova":
        components, bounds = _anova_components(one_way), _f_bounds(ms_between, ms_within, one_way, k0, conf_level)
        how = "F distribution" + (", exact" if np.ptp(one_way.n) == 0 else f", approximate with k0 = {k0:.2f}")
        icc2 = 1 - ms_within / ms_between if ms_between > 0 else math.nan
        mean_k = (ms_between - ms_within) / (ms_between + (mean_size - 1) * ms_within)
    else:
        components = likelihood(one_way, restricted=method == "reml")
        low, high = profile_interval(one_way, restricted=method == "reml", conf_level=conf_level)
        bounds = (low, high, _step_up(low, mean_size), _step_up(high, mean_size))
        how, mean_k = "profile likelihood", math.nan
        icc2 = float(components.reliability(mean_size))
    found: dict[str, Any] = {"icc1": components.icc1, "icc2": icc2, "icc1_mean_size": mean_k, "interval_method": how}
    names = ("icc1_lower", "icc1_upper", "icc2_lower", "icc2_upper")
    return components, found | dict(zip(names, bounds, strict=True))


# --------------------------------------------------------------------------- groups and bootstrap
def _icc_of_rows(
    data: Any, cluster: Any, group: Any, method: IccMethod, conf_level: float, raised: list[RelmeasureWarning]
) -> IccResult:
    """The same from rows; with groups, within them and for each by itself."""
    rows = _rows(data, cluster, group)
    stats = cluster_sums(rows.value[:, None], np.array(rows.labels)[rows.code], [rows.name])
    stats = replace(stats, n_rows=rows.n_rows)
    if group is None:
        return icc_from_clusters(stats, method=method, conf_level=conf_level, raised=raised)
    result = icc_from_clusters(stats, method=method, conf_level=conf_level, group=rows.group, raised=raised)
    table = []
    for k, name in enumerate(rows.groups):
        mine = np.isin(rows.code, np.flatnonzero(rows.group == k))
        part = cluster_sums(rows.value[mine][:, None], np.array(rows.labels)[rows.code[mine]], [rows.name])
        if part.n_clusters < 2 or part.n_obs <= part.n_clusters:
            raise TooFewObservationsError(
                f"Group '{name}' has {part.n_clusters} clusters with {part.n_obs} rows: at least two clusters are "
                "needed in each group, and one of them with two rows. Leave the group out.",
                group=name,
            )
        own = icc_from_clusters(part, method=method, conf_level=conf_level)
        columns = (
            "icc1",
            "icc1_lower",
            "icc1_upper",
            "icc2",
            "tau2",
            "sigma2",
            "mu",
            "n_clusters",
            "n_obs",
            "mean_size",
        )
        table.append({"group": name} | {column: getattr(own, column) for column in columns})
    return replace(result, per_group_table=Table.from_rows(table))


def _bootstrapped(
    data: Any,
    cluster: Any,
    group: Any,
    method: IccMethod,
    n_boot: int,
    conf_level: float,
    rng: int | np.random.Generator,
) -> dict[str, Any]:
    rows = _rows(data, cluster, group)
    clusters = clusters_of(rows.value, rows.code, len(rows.labels), None if group is None else rows.group)

    def both(stats: OneWay) -> tuple[float, ...]:
        return icc_of(stats, method)

    first, second = bootstrap_interval(clusters, both, n_boot=n_boot, conf_level=conf_level, rng=rng)
    found = {"icc1_lower": first[0], "icc1_upper": first[1], "icc2_lower": second[0], "icc2_upper": second[1]}
    return found | {"interval_method": f"bootstrap of clusters, percentiles of {n_boot} draws"}


def _rows(data: Any, cluster: Any, group: Any) -> GroupedValues:
    if isinstance(data, ClusterSums):
        raise UnsupportedDataError("group= and interval='bootstrap' need rows, not ClusterSums: hand in the data.")
    return grouped_values(data, cluster=cluster, group=group)


def _check_options(method: str, interval: str, n_boot: int, conf_level: float) -> None:
    if method not in get_args(IccMethod):
        raise OptionError.from_value("method", method, get_args(IccMethod))
    if interval not in get_args(IccInterval):
        raise OptionError.from_value("interval", interval, get_args(IccInterval))
    if n_boot < 1:
        raise OptionError(f"n_boot={n_boot}: at least one draw is needed.")
    if not 0 < conf_level < 1:
        raise OptionError(f"conf_level={conf_level}: a number between 0 and 1 is needed.")


def _one_variable(stats: ClusterSums) -> None:
    if len(stats.names) != 1:
        raise DataError(
            f"icc takes one variable; the data have {len(stats.names)}: {', '.join(stats.names[:8])}. "
            "Hand in one column, and name the cluster column in cluster=.",
            names=list(stats.names),
        )


# --------------------------------------------------------------------------- parts
def _require(stats: OneWay) -> None:
    if stats.n_clusters < 2 or stats.n_obs <= stats.n_clusters or stats.n_clusters <= stats.n_groups:
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
    means = stats.by_group(stats.n * stats.mean) / stats.by_group(stats.n)
    mu = float(stats.n @ stats.mean) / stats.n_obs
    variance = max(tau2, 0.0) * float(stats.n @ stats.n) / stats.n_obs**2 + ms_within / stats.n_obs
    return Components(tau2, ms_within, mu, math.sqrt(variance), means=means)


def _f_bounds(
    ms_between: float, ms_within: float, stats: OneWay, k0: float, conf_level: float
) -> tuple[float, float, float, float]:
    from scipy.special import fdtri

    if ms_within == 0:
        return (1.0, 1.0, 1.0, 1.0)
    if ms_between == 0:
        return (-1 / (k0 - 1), -1 / (k0 - 1), -math.inf, -math.inf)
    df1, df2 = stats.n_clusters - stats.n_groups, stats.n_obs - stats.n_clusters
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


def _per_cluster(
    stats: ClusterSums, mean: Array, components: Components, group: np.ndarray[Any, np.dtype[np.int64]] | None
) -> Table:
    n = stats.n.astype(float)
    tau2 = max(components.tau2, 0.0)
    reliability = tau2 / (tau2 + components.sigma2 / n) if tau2 > 0 else np.zeros_like(n)
    center = components.mu if group is None or components.means is None else components.means[group]
    shrunken = center + reliability * (mean - center)
    columns: dict[str, Sequence[Any]] = {"cluster": stats.labels, "n": stats.n.tolist(), "mean": mean.tolist()}
    columns |= {"reliability": reliability.tolist(), "empirical_bayes": shrunken.tolist()}
    return Table({name: tuple(values) for name, values in columns.items()})
