"""Agreement within classes: rwg, rwg(j), average deviation and awg, one row a class.

Agreement asks whether the students of a class say the same; it is judged against a *named* null distribution, and it is
not reliability: students may agree perfectly in every class while classes do not differ.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from relmeasure.exceptions import OptionError
from relmeasure.responses.clusters import as_rows
from relmeasure.results import FloatArray, Result, Table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AgreementResult", "NullDistribution", "agreement", "null_variance"]

NullDistribution = Literal["uniform", "triangular", "slight_skew", "moderate_skew", "heavy_skew"]
"""Distribution of answers when nobody agrees with anybody."""

Array = np.ndarray[Any, np.dtype[np.float64]]

_SKEWED: dict[str, tuple[float, ...]] = {
    "slight_skew": (0.05, 0.15, 0.20, 0.35, 0.25),
    "moderate_skew": (0.00, 0.10, 0.15, 0.40, 0.35),
    "heavy_skew": (0.00, 0.00, 0.10, 0.40, 0.50),
}
"""Shares of five options (LeBreton & Senter, 2008, Table 2)."""


@dataclass(frozen=True, eq=False)
class AgreementResult(Result):
    """Agreement of each class on one or several parallel items.

    Attributes
    ----------
    names : tuple of str
        The items.
    null : str
        Null distribution, with its variance in ``null_variance``.
    null_variance : float
    minimum, maximum : float
        Declared range of the answers.
    n_obs, n_clusters : int
    rule : str
    table : Table
        ``cluster``, ``n``, ``rwg`` (one item) or ``rwg_j`` and ``rwg_j_lindell`` (several), ``ad_mean``, ``ad_median``,
        ``awg``; missing where a class has fewer than two rows, or its mean makes awg undefined.
    """

    names: tuple[str, ...]
    null: str
    null_variance: float
    minimum: float
    maximum: float
    n_obs: int
    n_clusters: int
    rule: str
    table: Table = field(default_factory=Table)

    @property
    def per_cluster(self) -> pd.DataFrame:
        """One row a class, as a pandas frame."""
        frame: pd.DataFrame = self.table.to_frame("pandas")
        return frame

    def _table(self) -> Table:
        return self.table

    def summary(self) -> str:
        """Return mean and median of each index over classes, and what they were judged against."""
        rows = []
        for name, values in self.table.columns.items():
            if name not in {"cluster", "n"}:
                seen = np.array(values, dtype=float)
                seen = seen[~np.isnan(seen)]
                spread = (float(seen.mean()), float(np.median(seen))) if len(seen) else (np.nan, np.nan)
                rows.append({"index": name, "classes": len(seen), "mean": spread[0], "median": spread[1]})
        head = (
            f"{len(self.names)} item(s), {self.rule}; null distribution {self.null}, variance {self.null_variance:.3f}"
        )
        return f"{head}\n{Table.from_rows(rows).to_text()}"


def null_variance(null: NullDistribution, n_options: int) -> float:
    """Variance of answers to ``n_options`` options 1, 2, ... under a null distribution.

    Uniform: (A^2 - 1) / 12; triangular: (A^2 + 2 A - 3) / 24 for odd A, (A^2 + 2 A - 2) / 24 for even A (James, Demaree
    & Wolf, 1984, p. 88); the skewed ones are defined for five options (LeBreton & Senter, 2008, Table 2).

    Parameters
    ----------
    null : str
        ``"uniform"``, ``"triangular"``, ``"slight_skew"``, ``"moderate_skew"`` or ``"heavy_skew"``.
    n_options : int
        Number of response options.

    Returns
    -------
    float

    Examples
    --------
    >>> null_variance("uniform", 5), round(null_variance("slight_skew", 5), 2)
    (2.0, 1.34)
    """
    if null not in get_args(NullDistribution):
        raise OptionError.from_value("null", null, get_args(NullDistribution))
    if null == "uniform":
        return (n_options**2 - 1) / 12
    if null == "triangular":
        return (n_options**2 + 2 * n_options - (3 if n_options % 2 else 2)) / 24
    if n_options != 5:
        raise OptionError(f"null={null!r} is defined for five options, not {n_options}: give null_variance= a number.")
    share, value = np.array(_SKEWED[null]), np.arange(1.0, 6.0)
    return float(share @ value**2 - (share @ value) ** 2)


def agreement(
    data: Any,
    *,
    cluster: Any,
    minimum: float,
    maximum: float,
    null: NullDistribution | float = "uniform",
) -> AgreementResult:
    r"""Agreement within classes on one item or on several parallel items.

    With :math:`s^2` the variance within a class (divisor n - 1), :math:`\bar s^2` its mean over J items and
    :math:`\sigma^2_E` the null variance:

    .. math::
        r_{WG} = 1 - s^2 / \sigma^2_E, \quad
        r_{WG(J)} = \frac{J (1 - \bar s^2 / \sigma^2_E)}{J (1 - \bar s^2 / \sigma^2_E) + \bar s^2 / \sigma^2_E}, \quad
        r^*_{WG(J)} = 1 - \bar s^2 / \sigma^2_E

    AD is the mean absolute deviation from the class mean (``ad_mean``) or median (``ad_median``), averaged over items;
    :math:`a_{WG} = 1 - 2 s^2 / \{[(H + L) M - M^2 - H L]\, n / (n - 1)\}` with H, L the ends of the scale and M the
    class mean, averaged over items.

    Parameters
    ----------
    data : frame, Series or array
        The item or the parallel items, keyed alike.
    cluster : str or Series or array
        Class of each row: a column of ``data``, or one label a row.
    minimum, maximum : float
        *Declared* ends of the response scale.
    null : str or float
        Null distribution (see ``null_variance``), or its variance as a number.

    Returns
    -------
    AgreementResult

    Notes
    -----
    Missing data: rows complete on all the items. ``rwg`` and ``rwg_j`` below zero (answers more split than the null)
    are set to zero, as is the custom (James et al., 1984); ``rwg_j_lindell`` and ``awg`` are not. awg is missing where
    the class mean is so extreme that its null is undefined (Brown & Hauenstein, 2005, p. 170).

    References
    ----------
    James, L. R., Demaree, R. G., & Wolf, G. (1984). Journal of Applied Psychology, 69, 85-98.
    Lindell, M. K., Brandt, C. J., & Whitney, D. J. (1999). Applied Psychological Measurement, 23, 127-135.
    Burke, M. J., Finkelstein, L. M., & Dusig, M. S. (1999). Organizational Research Methods, 2, 49-68.
    Brown, R. D., & Hauenstein, N. M. A. (2005). Organizational Research Methods, 8, 165-184.
    LeBreton, J. M., & Senter, J. L. (2008). Organizational Research Methods, 11, 815-852.

    Examples
    --------
    >>> import numpy as np
    >>> ratings = np.array([[4.0], [4.0], [5.0], [1.0], [5.0]])
    >>> result = agreement(ratings, cluster=["a", "a", "a", "b", "b"], minimum=1, maximum=5)
    >>> [round(v, 3) for v in result.table["rwg"]]  # R: multilevel::rwg(x, grp, ranvar = 2)
    [0.833, 0.0]
    """
    if not minimum < maximum:
        raise OptionError(f"minimum={minimum} and maximum={maximum}: the declared range must rise.")
    rows = as_rows(data, cluster=cluster)
    name, variance = _named_null(null, round(maximum - minimum) + 1)
    if not variance > 0:
        raise OptionError(f"null={null!r}: the null variance must be above zero.")
    low, high = float(rows.values.min()), float(rows.values.max())
    if low < minimum or high > maximum:
        raise OptionError(f"Answers run from {low:g} to {high:g}, outside minimum={minimum:g}, maximum={maximum:g}.")
    return AgreementResult(
        names=rows.names,
        null=name,
        null_variance=variance,
        minimum=float(minimum),
        maximum=float(maximum),
        n_obs=len(rows.values),
        n_clusters=len(rows.labels),
        rule=rows.rule,
        table=_indices(rows.values, rows.code, rows.labels, variance, float(minimum), float(maximum)),
    )


def _named_null(null: NullDistribution | float, n_options: int) -> tuple[str, float]:
    if isinstance(null, str):
        return null, null_variance(null, n_options)
    return f"given variance {float(null):g}", float(null)


def _indices(
    values: FloatArray, code: Any, labels: tuple[str, ...], null: float, minimum: float, maximum: float
) -> Table:
    n = np.bincount(code, minlength=len(labels)).astype(float)
    mean = _group_sums(values, code, len(labels)) / n[:, None]
    deviation = values - mean[code]
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = _group_sums(deviation**2, code, len(labels)) / (n - 1)[:, None]
    enough = n >= 2
    ratio = np.where(enough, variance.mean(axis=1) / null, np.nan)
    columns: dict[str, Array] = {}
    items = values.shape[1]
    if items == 1:
        columns["rwg"] = np.maximum(1 - ratio, 0.0)
    else:
        agreed = items * (1 - ratio)
        columns["rwg_j"] = np.where(ratio >= 1, 0.0, agreed / (agreed + ratio))
        columns["rwg_j"][~enough] = np.nan
        columns["rwg_j_lindell"] = 1 - ratio
    distance = _group_sums(np.abs(deviation), code, len(labels)) / n[:, None]
    columns["ad_mean"] = np.where(enough, distance.mean(axis=1), np.nan)
    columns["ad_median"] = np.where(enough, _median_deviation(values, code, n), np.nan)
    columns["awg"] = _awg(mean, variance, n, minimum, maximum)
    plain: dict[str, tuple[Any, ...]] = {"cluster": labels, "n": tuple(n.astype(int).tolist())}
    return Table(plain | {name: tuple(column.tolist()) for name, column in columns.items()})


def _group_sums(values: Array, code: Any, groups: int) -> Array:
    return np.column_stack([np.bincount(code, weights=column, minlength=groups) for column in values.T])


def _median_deviation(values: Array, code: Any, n: Array) -> Array:
    """Mean absolute deviation from the class median, averaged over items; medians by sorting within classes."""
    size = n.astype(np.int64)
    start = np.concatenate([[0], np.cumsum(size)[:-1]])
    lower, upper = start + (size - 1) // 2, start + size // 2
    total = np.zeros(len(n))
    for column in values.T:
        ordered = column[np.lexsort((column, code))]
        median = (ordered[lower] + ordered[upper]) / 2
        total += np.bincount(code, weights=np.abs(column - median[code]), minlength=len(n)) / n
    return np.asarray(total / values.shape[1])


def _awg(mean: Array, variance: Array, n: Array, minimum: float, maximum: float) -> Array:
    size = n[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        lowest = (minimum * (size - 1) + maximum) / size
        highest = (maximum * (size - 1) + minimum) / size
        ceiling = ((maximum + minimum) * mean - mean**2 - maximum * minimum) * size / (size - 1)
        value = np.where((mean >= lowest) & (mean <= highest) & (size >= 2), 1 - 2 * variance / ceiling, np.nan)
    seen = ~np.isnan(value)
    count = seen.sum(axis=1)
    total = np.where(seen, value, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
