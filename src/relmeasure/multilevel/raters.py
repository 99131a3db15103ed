"""Agreement and reliability of raters: every intraclass correlation under both of its names, and kappa.

Shrout and Fleiss (1979) name six coefficients, McGraw and Wong (1996) ten; several are the same number under another
model. One row each says the model, what kind of sameness is asked for, and whether the score in use is that of one
rater or the mean of all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from relmeasure.exceptions import (
    DataError,
    ListwiseDeletionWarning,
    OptionError,
    RelmeasureWarning,
    TooFewObservationsError,
    UnsupportedDataError,
)
from relmeasure.multilevel.kappa import kappa_rows
from relmeasure.responses.frames import open_frame
from relmeasure.responses.labelled import read_columns
from relmeasure.results import Note, Result, Status, Table, announce

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["InterraterResult", "interrater"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_MAX_CATEGORIES = 25
"""Ratings with more distinct values than this are measurements, not categories: no kappa."""

_FORMS: tuple[tuple[str, str | None, str, str, str, str], ...] = (
    ("icc.one_way_random.absolute.single", "ICC(1,1)", "ICC(1)", "one-way random", "absolute agreement", "single"),
    ("icc.one_way_random.absolute.average", "ICC(1,k)", "ICC(k)", "one-way random", "absolute agreement", "average"),
    ("icc.two_way_random.absolute.single", "ICC(2,1)", "ICC(A,1)", "two-way random", "absolute agreement", "single"),
    ("icc.two_way_random.absolute.average", "ICC(2,k)", "ICC(A,k)", "two-way random", "absolute agreement", "average"),
    ("icc.two_way_random.consistency.single", None, "ICC(C,1)", "two-way random", "consistency", "single"),
    ("icc.two_way_random.consistency.average", None, "ICC(C,k)", "two-way random", "consistency", "average"),
    ("icc.two_way_mixed.consistency.single", "ICC(3,1)", "ICC(C,1)", "two-way mixed", "consistency", "single"),
    ("icc.two_way_mixed.consistency.average", "ICC(3,k)", "ICC(C,k)", "two-way mixed", "consistency", "average"),
    ("icc.two_way_mixed.absolute.single", None, "ICC(A,1)", "two-way mixed", "absolute agreement", "single"),
    ("icc.two_way_mixed.absolute.average", None, "ICC(A,k)", "two-way mixed", "absolute agreement", "average"),
)
"""Id, Shrout-Fleiss name, McGraw-Wong name, model, type, unit (McGraw & Wong, 1996, Table 4)."""

_NO_INTERACTION = "assumes that raters do not differ from target to target"


@dataclass(frozen=True, eq=False)
class InterraterResult(Result):
    """Intraclass correlations and kappas of raters.

    Attributes
    ----------
    icc_table : Table
        One row a form: ``definition``, ``shrout_fleiss``, ``mcgraw_wong``, ``model``, ``type``, ``unit``, ``estimate``,
        ``lower``, ``upper``, ``conf_level``, ``f``, ``df1``, ``df2``, ``pvalue`` (of no variance between targets),
        ``n_targets``, ``n_raters``, ``reason`` (why there is no estimate, or what it assumes).
    kappa_table : Table
        One row a pair of raters and kind of weights: ``coefficient``, ``weights``, ``raters``, ``estimate``, ``se``,
        ``lower``, ``upper``, ``observed``, ``expected``, ``n_targets``, ``reason``; empty for measurements.
    ms_targets, ms_raters, ms_error, ms_within : float
        Mean squares of the two-way table, and within targets.
    n_targets, n_raters : int
    rule : str
    status : Status
    warnings : tuple of Note
    """

    icc_table: Table
    kappa_table: Table
    ms_targets: float
    ms_raters: float
    ms_error: float
    ms_within: float
    n_targets: int
    n_raters: int
    rule: str
    status: Status
    warnings: tuple[Note, ...] = field(default=())

    @property
    def icc(self) -> pd.DataFrame:
        """Intraclass correlations as a pandas frame, one row a form."""
        frame: pd.DataFrame = self.icc_table.to_frame("pandas")
        return frame

    @property
    def kappa(self) -> pd.DataFrame:
        """Kappas as a pandas frame, one row a pair and kind of weights."""
        frame: pd.DataFrame = self.kappa_table.to_frame("pandas")
        return frame

    def _table(self) -> Table:
        return self.icc_table

    def summary(self) -> str:
        """Return both tables and the rule."""
        names = ("shrout_fleiss", "mcgraw_wong", "model", "type", "unit", "estimate", "lower", "upper")
        lines = [f"{self.n_targets} targets, {self.n_raters} raters; {self.rule}"]
        lines.append(Table({name: self.icc_table[name] for name in names}).to_text())
        if len(self.kappa_table):
            lines.append(self.kappa_table.to_text())
        return "\n".join([*lines, *self.status.reasons, *(note.summary() for note in self.warnings)])


def interrater(
    data: Any, *, target: str | None = None, rater: str | None = None, conf_level: float = 0.95
) -> InterraterResult:
    r"""Reliability and agreement of raters who rate the same targets.

    With n targets, k raters and the mean squares of targets, raters, error and within targets:

    .. math::
        ICC(1) &= \frac{MS_R - MS_W}{MS_R + (k - 1) MS_W}, \quad ICC(k) = \frac{MS_R - MS_W}{MS_R} \\
        ICC(C,1) &= \frac{MS_R - MS_E}{MS_R + (k - 1) MS_E}, \quad ICC(C,k) = \frac{MS_R - MS_E}{MS_R} \\
        ICC(A,1) &= \frac{MS_R - MS_E}{MS_R + (k - 1) MS_E + k (MS_C - MS_E) / n}, \quad
        ICC(A,k) = \frac{MS_R - MS_E}{MS_R + (MS_C - MS_E) / n}

    and :math:`\kappa_w = (p_o - p_e) / (1 - p_e)` with observed and chance agreement weighted by 1 for the same
    category and, for ``linear`` and ``quadratic`` weights, by one minus the distance of the codes or its square.

    Parameters
    ----------
    data : frame or array (n, k)
        One row a target and one column a rater; or, with ``target``, one row a rating.
    target : str, optional
        Column with the target (lesson, video, essay) of each rating; one other column holds the ratings.
    rater : str, optional
        Column with the rater. Where raters differ from target to target, or are not named, only the one-way forms can
        be computed; the others say so.
    conf_level : float
        Level of the intervals.

    Returns
    -------
    InterraterResult

    Notes
    -----
    Missing data: targets rated by all raters are used; the others are dropped with a warning. Weights and clusters are
    not supported. Intervals of the intraclass correlations: F distribution, exact but for absolute agreement, where
    Satterthwaite's approximation is used (McGraw & Wong, 1996, Table 7); of kappa: normal, with the standard error of
    Fleiss, Cohen and Everitt (1969). With several raters kappa is given for each pair and as the mean over pairs.

    Raises
    ------
    TooFewObservationsError
        Fewer than two targets or raters.
    DataError
        A rater rated a target twice, or ratings do not vary.

    References
    ----------
    Shrout, P. E., & Fleiss, J. L. (1979). Psychological Bulletin, 86, 420-428.
    McGraw, K. O., & Wong, S. P. (1996). Psychological Methods, 1, 30-46, Tables 4 and 7.
    Cohen, J. (1968). Psychological Bulletin, 70, 213-220.
    Fleiss, J. L., Cohen, J., & Everitt, B. S. (1969). Psychological Bulletin, 72, 323-327.
    Light, R. J. (1971). Psychological Bulletin, 76, 365-377.

    Examples
    --------
    >>> import numpy as np
    >>> ratings = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])
    >>> table = interrater(ratings).icc_table  # R: psych::ICC(x, lmer = FALSE); Shrout & Fleiss (1979), Table 4
    >>> {name: round(v, 2) for name, v in zip(table["shrout_fleiss"], table["estimate"]) if name}
    {'ICC(1,1)': 0.17, 'ICC(1,k)': 0.44, 'ICC(2,1)': 0.29, 'ICC(2,k)': 0.62, 'ICC(3,1)': 0.71, 'ICC(3,k)': 0.91}
    """
    if not 0 < conf_level < 1:
        raise OptionError(f"conf_level={conf_level}: a number between 0 and 1 is needed.")
    ratings = _wide(data) if target is None else _long(data, target, rater)
    matrix, raised = ratings.complete()
    n, k = matrix.shape
    if n < 2 or k < 2:
        raise TooFewObservationsError(f"{n} complete targets and {k} raters: at least two of each are needed.")
    squares = _MeanSquares.of(matrix)
    if not squares.targets + squares.within > 0:
        raise DataError("The ratings do not vary: every rating is the same.")
    crossed = ratings.raters is not None
    kappas: list[dict[str, Any]] = []
    if ratings.raters is not None and len(np.unique(matrix)) <= _MAX_CATEGORIES:
        kappas = kappa_rows(matrix, ratings.raters, conf_level)
    nan = math.nan
    return InterraterResult(
        icc_table=Table.from_rows(_icc_rows(squares, conf_level, crossed=crossed)),
        kappa_table=Table.from_rows(kappas),
        ms_targets=squares.targets,
        ms_raters=squares.raters if crossed else nan,
        ms_error=squares.error if crossed else nan,
        ms_within=squares.within,
        n_targets=n,
        n_raters=k,
        rule=f"listwise: {n} of {len(ratings.matrix)} targets rated by all {k} raters",
        status=_status(squares),
        warnings=announce(raised),
    )


# --------------------------------------------------------------------------- ratings
@dataclass(frozen=True)
class _Ratings:
    """Targets by raters; ``raters`` is None where columns do not stand for the same person throughout."""

    matrix: Array
    raters: tuple[str, ...] | None

    def complete(self) -> tuple[Array, list[RelmeasureWarning]]:
        keep = np.asarray(~np.isnan(self.matrix).any(axis=1))
        dropped = int((~keep).sum())
        if not dropped:
            return self.matrix, []
        message = (
            f"{dropped} of {len(keep)} targets were not rated by all {self.matrix.shape[1]} raters and are not used."
        )
        return self.matrix[keep], [ListwiseDeletionWarning(message, n_dropped=dropped, n_rows=len(keep))]


def _wide(data: Any) -> _Ratings:
    if isinstance(data, (list, tuple, np.ndarray)):
        matrix = np.asarray(data, dtype=float)
        if matrix.ndim != 2:
            raise UnsupportedDataError(f"Ratings are targets by raters, 2 dimensions; these have {matrix.ndim}.")
        return _Ratings(matrix, tuple(f"rater {j + 1}" for j in range(matrix.shape[1])))
    names = [str(name) for name in open_frame(data).columns]
    columns = read_columns(data, numbers=names).numbers
    return _Ratings(np.column_stack([columns[name] for name in names]), tuple(names))


def _long(data: Any, target: str, rater: str | None) -> _Ratings:
    keys = [name for name in (target, rater) if name is not None]
    source = open_frame(data)
    source.require(keys, what="named")
    values = [str(name) for name in source.columns if name not in keys]
    if len(values) != 1:
        raise DataError(
            f"One column of ratings is needed beside {' and '.join(keys)}; the data have {len(values)}. "
            "Select the columns first.",
            columns=values,
        )
    read = read_columns(data, numbers=values, labels=keys)
    keep = read.complete(values, keys)
    value, place = read.numbers[values[0]][keep], read.codes[target][keep]
    targets = len(read.labels[target])
    if rater is not None:
        who = read.codes[rater][keep]
        pairs, count = np.unique(np.column_stack([place, who]), axis=0, return_counts=True)
        if (count > 1).any():
            t, r = pairs[int(np.argmax(count))]
            raise DataError(
                f"Rater '{read.labels[rater][r]}' rated target '{read.labels[target][t]}' {count.max()} times: "
                "one rating each is needed.",
            )
        raters = read.labels[rater]
        if len(place) == targets * len(raters) or _some_complete(place, targets, len(raters)):
            matrix = np.full((targets, len(raters)), np.nan)
            matrix[place, who] = value
            return _Ratings(matrix, raters)
    return _Ratings(_stacked(value, place, targets), None)


def _some_complete(place: np.ndarray[Any, Any], targets: int, raters: int) -> bool:
    """Whether at least two targets have every rater, so that the two-way table is not empty."""
    return int((np.bincount(place, minlength=targets) == raters).sum()) >= 2


def _stacked(value: Array, place: np.ndarray[Any, Any], targets: int) -> Array:
    """Ratings of each target side by side in the order of the rows; targets with fewer than most stay incomplete."""
    order = np.argsort(place, kind="stable")
    count = np.bincount(place, minlength=targets)
    k = int(np.bincount(count[count > 0]).argmax())
    column = np.arange(len(place)) - np.repeat(np.cumsum(count) - count, count)
    fits = np.repeat(count, count) == k
    matrix = np.full((targets, max(k, 1)), np.nan)
    matrix[place[order][fits], column[fits]] = value[order][fits]
    return matrix


# --------------------------------------------------------------------------- mean squares and coefficients
@dataclass(frozen=True)
class _MeanSquares:
    n: int
    k: int
    targets: float
    raters: float
    error: float
    within: float

    @classmethod
    def of(cls, matrix: Array) -> _MeanSquares:
        n, k = matrix.shape
        row, column, grand = matrix.mean(axis=1), matrix.mean(axis=0), matrix.mean()
        targets = k * float(((row - grand) ** 2).sum())
        raters = n * float(((column - grand) ** 2).sum())
        within = float(((matrix - row[:, None]) ** 2).sum())
        error = float(((matrix - row[:, None] - column + grand) ** 2).sum())
        return cls(n, k, targets / (n - 1), raters / (k - 1), error / ((n - 1) * (k - 1)), within / (n * (k - 1)))

    @property
    def absolute(self) -> float:
        """ICC(A,1)."""
        rater = self.k * (self.raters - self.error) / self.n
        return (self.targets - self.error) / (self.targets + (self.k - 1) * self.error + rater)


def _icc_rows(squares: _MeanSquares, conf_level: float, *, crossed: bool) -> list[dict[str, Any]]:
    one_way = _f_interval(squares.targets, squares.within, squares.n - 1, squares.n * (squares.k - 1), conf_level)
    df_error = (squares.n - 1) * (squares.k - 1)
    consistency = _f_interval(squares.targets, squares.error, squares.n - 1, df_error, conf_level)
    found = {"one-way": _ratio_form(one_way, squares.k), "consistency": _ratio_form(consistency, squares.k)}
    found["absolute"] = _absolute_form(squares, conf_level)
    rows = []
    for definition, sf, mw, model, kind, unit in _FORMS:
        which = "one-way" if model == "one-way random" else kind.partition(" ")[0]
        row: dict[str, Any] = {"definition": definition, "shrout_fleiss": sf, "mcgraw_wong": mw}
        row |= {"model": model, "type": kind, "unit": unit}
        missing = which != "one-way" and not crossed
        values = (math.nan,) * 3 if missing else found[which][unit]
        error, df2 = (squares.within, squares.n * (squares.k - 1)) if which == "one-way" else (squares.error, df_error)
        row |= dict(zip(("estimate", "lower", "upper"), values, strict=True)) | {"conf_level": conf_level}
        row |= _f_test(math.nan if missing else squares.targets, error, squares.n - 1, df2)
        row |= {"n_targets": squares.n, "n_raters": squares.k}
        reason = "raters differ from target to target" if missing else None
        if reason is None and model == "two-way mixed" and unit == "average":
            reason = _NO_INTERACTION
        rows.append(row | {"reason": reason})
    return rows


Bounds = tuple[float, float, float]


def _f_interval(above: float, below: float, df1: int, df2: int, conf_level: float) -> Bounds:
    """F ratio and the two ratios that bound it."""
    from scipy.special import fdtri

    ratio, half = (above / below if below > 0 else math.inf), (1 - conf_level) / 2
    return ratio, ratio / float(fdtri(df1, df2, 1 - half)), ratio * float(fdtri(df2, df1, 1 - half))


def _ratio_form(ratios: Bounds, k: int) -> dict[str, Bounds]:
    def single(f: float) -> float:
        return 1.0 if math.isinf(f) else (f - 1) / (f + k - 1)

    def average(f: float) -> float:
        return 1.0 if math.isinf(f) else (1 - 1 / f if f > 0 else -math.inf)

    a, b, c = ratios
    return {"single": (single(a), single(b), single(c)), "average": (average(a), average(b), average(c))}


def _absolute_form(squares: _MeanSquares, conf_level: float) -> dict[str, Bounds]:
    """Estimate and Satterthwaite bounds (Shrout & Fleiss, 1979, p. 424; McGraw & Wong, 1996, Table 7)."""
    from scipy.special import fdtri

    n, k, estimate = squares.n, squares.k, squares.absolute
    if squares.error == 0 or not estimate < 1:
        low = high = estimate if squares.error == 0 and squares.raters == 0 else math.nan
        return {unit: (value, low, high) for unit, value in (("single", estimate), ("average", _stepped(estimate, k)))}
    a = k * estimate / (n * (1 - estimate))
    b = 1 + k * estimate * (n - 1) / (n * (1 - estimate))
    mixed = (a * squares.raters) ** 2 / (k - 1) + (b * squares.error) ** 2 / ((n - 1) * (k - 1))
    df = (a * squares.raters + b * squares.error) ** 2 / mixed
    half = (1 - conf_level) / 2
    f_low, f_high = float(fdtri(n - 1, df, 1 - half)), float(fdtri(df, n - 1, 1 - half))
    rest = k * squares.raters + (k * n - k - n) * squares.error
    lower = n * (squares.targets - f_low * squares.error) / (f_low * rest + n * squares.targets)
    upper = n * (f_high * squares.targets - squares.error) / (rest + n * f_high * squares.targets)
    single = (estimate, lower, upper)
    return {"single": single, "average": (_stepped(estimate, k), _stepped(lower, k), _stepped(upper, k))}


def _stepped(icc: float, k: int) -> float:
    """Spearman-Brown: from one rater to the mean of k."""
    return k * icc / (1 + (k - 1) * icc)


def _f_test(above: float, below: float, df1: int, df2: int) -> dict[str, Any]:
    from scipy.special import fdtrc

    if math.isnan(above):
        return {"f": math.nan, "df1": df1, "df2": df2, "pvalue": math.nan}
    ratio = above / below if below > 0 else math.inf
    return {"f": ratio, "df1": df1, "df2": df2, "pvalue": float(fdtrc(df1, df2, ratio)) if below > 0 else 0.0}


def _status(squares: _MeanSquares) -> Status:
    if squares.targets > squares.within:
        return Status("ok")
    reason = "Targets differ no more than ratings of one target do: raters cannot tell them apart."
    return Status("caution", admissible=False, reasons=(reason,))
