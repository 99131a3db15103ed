"""The one correlation matrix that every step of a factor analysis reads, whatever was handed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from relmeasure.exceptions import (
    EstimationError,
    NotPositiveDefiniteWarning,
    OptionError,
    RelmeasureWarning,
    TooFewItemsError,
    TooFewObservationsError,
    UnsupportedDataError,
    shorten,
)
from relmeasure.responses.intake import MomentMissing, as_moments, as_patterns
from relmeasure.responses.ordinal import Categories, correlations, polychoric
from relmeasure.responses.published import pair_moments, refuse_matrix
from relmeasure.results import Note
from relmeasure.samplestats.contingency import ContingencyTables
from relmeasure.samplestats.deletion import deletion_warnings
from relmeasure.samplestats.estimates import MomentEstimate, em_moments
from relmeasure.samplestats.latent import PolychoricResult
from relmeasure.samplestats.moments import Moments, MomentSums
from relmeasure.samplestats.patterns import MissingPatterns

__all__ = ["AnalysedMatrix", "analysed_matrix"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_SMALLEST_EIGENVALUE = 1e-10
"""Eigenvalues below this are rounding: the matrix is not positive definite."""


@dataclass(frozen=True, eq=False)
class AnalysedMatrix:
    """Correlations with what is known of the sample behind them.

    Attributes
    ----------
    cor : array (p, p)
    names : tuple of str
    kind : {"pearson", "polychoric"}
        Polychoric stands for every matrix of latent correlations (tetrachoric, polyserial, mixed).
    n_obs, n_rows : int
        Rows behind the matrix (0: unknown, so that nothing that needs N is given), and rows handed in.
    rule : str
        The rule that made ``n_obs``.
    mean, sd : array (p,) or None
        Means and standard deviations of the items; None where only a matrix was given.
    acov : array or None
        Sampling covariance of the correlations, pairs i < j, row by row.
    min_eigenvalue : float
    raised : tuple of warnings
        Not yet issued.
    notes : tuple of Note
        Of warnings already issued.
    tables : ContingencyTables or None
        Behind polychoric correlations of ordered items alone.
    latent : PolychoricResult or None
        The estimate behind polychoric correlations.
    two_step : bool
        Whether the correlations were themselves estimated (polychoric, full information under missing data, or pair by
        pair), so that chi-squares which take them for those of N complete rows are descriptive.
    pairwise : bool
        Whether pairs of items rest on different rows.
    weighted : bool
    """

    cor: Array
    names: tuple[str, ...]
    kind: str
    n_obs: int
    n_rows: int
    rule: str
    mean: Array | None
    sd: Array | None
    acov: Array | None
    min_eigenvalue: float
    raised: tuple[RelmeasureWarning, ...] = ()
    notes: tuple[Note, ...] = ()
    tables: ContingencyTables | None = None
    latent: PolychoricResult | None = None
    two_step: bool = False
    pairwise: bool = False
    weighted: bool = False

    @property
    def estimated(self) -> str:
        """What kind of correlations these are, when they were themselves estimated."""
        if self.kind == "polychoric":
            return "polychoric correlations"
        return "pairwise correlations" if self.pairwise else "full-information correlations"

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.names)


def analysed_matrix(
    data: Any,
    *,
    ordered: bool | Sequence[str] = False,
    categories: Categories = None,
    missing: MomentMissing = "listwise",
    weights: Any = None,
    n_obs: int | None = None,
    acov: bool = False,
    smallest: int = 3,
) -> AnalysedMatrix:
    """Return the correlation matrix of anything a user may hand in.

    Parameters
    ----------
    data : frame, array (n, p), responses, moments, polychoric result, or (matrix, n)
        A pair holds a correlation or covariance matrix (array, or frame with named columns) and its N.
    ordered : bool or sequence of str
        All items, none, or those named are ordered categories: their correlations are polychoric. For rows only.
    categories, missing, weights
        As in ``polychoric`` and ``moments``; for rows only. ``missing="fiml"`` is for items that are not ordered.
    n_obs : int, optional
        N to use instead, for weighted, pairwise or polychoric statistics; others know theirs.
    acov : bool
        Whether to add the sampling covariance of polychoric correlations, or of those estimated with
        ``missing="fiml"``.
    smallest : int
        Fewest items allowed.

    Raises
    ------
    TooFewItemsError, TooFewObservationsError, EstimationError, DataError, UnsupportedDataError, OptionError
    """
    if n_obs is not None and n_obs < 2:
        raise OptionError(f"n_obs={n_obs!r}: a sample has at least 2 rows.", argument="n_obs", value=n_obs)
    wanted = ordered if isinstance(ordered, bool) else list(ordered)
    if missing not in get_args(MomentMissing):
        raise OptionError.from_value("missing", missing, get_args(MomentMissing))
    if isinstance(data, PolychoricResult):
        made = _from_polychoric(data)
    elif isinstance(data, tuple) or _is_moments(data):
        if wanted:
            raise UnsupportedDataError("Polychoric correlations (ordered=) need the rows or their tables.")
        made = _from_pair(data) if isinstance(data, tuple) else _from_moments(data)
    elif isinstance(data, ContingencyTables) or wanted:
        if missing == "fiml":
            raise UnsupportedDataError(
                "missing='fiml' is for items that are analysed as numbers: polychoric correlations take 'pairwise', "
                "which uses every answer of each pair, or 'listwise'."
            )
        made = _from_polychoric(_latent(data, wanted, categories, missing, weights, acov=acov))
    else:
        if categories is not None:
            raise UnsupportedDataError("categories= are for ordered items: say ordered=True.")
        _refuse_bare_matrix(data)
        if missing == "fiml" or isinstance(data, MissingPatterns):
            made = _from_moments(em_moments(as_patterns(data, weights=weights), information=acov))
        else:
            made = _from_moments(as_moments(data, missing=missing, weights=weights))
    return _checked(made, n_obs, smallest)


def _latent(
    data: Any,
    ordered: bool | list[str],
    categories: Categories,
    missing: Literal["listwise", "pairwise"],
    weights: Any,
    *,
    acov: bool,
) -> PolychoricResult:
    if isinstance(data, ContingencyTables):
        return polychoric(data)
    if ordered is True:
        return polychoric(data, categories=categories, missing=missing, weights=weights, acov=acov)
    return correlations(data, ordered=ordered, categories=categories, missing=missing, weights=weights, acov=acov)


# --------------------------------------------------------------------------- sources
def _is_moments(data: Any) -> bool:
    return isinstance(data, MomentSums) or all(hasattr(data, name) for name in ("names", "mean", "cov", "cor", "n_obs"))


def _from_moments(moments: Moments) -> AnalysedMatrix:
    cov = np.asarray(moments.cov, dtype=float)
    rows = int(getattr(moments, "n_rows", moments.n_obs))
    weighted = bool(getattr(moments, "weighted", False))
    raised = tuple(deletion_warnings(moments)) if isinstance(moments, MomentSums) and not moments.notes else ()
    rule = str(getattr(moments, "rule", f"{moments.n_obs} rows"))
    if moments.n_obs < 2:
        raise TooFewObservationsError(f"{moments.n_obs} usable rows ({rule}): correlations need at least 2.")
    mean = np.array(moments.mean, dtype=float)
    with np.errstate(invalid="ignore"):
        sd = np.sqrt(np.diag(cov))
    two_step = isinstance(moments, MomentEstimate) and moments.source == "em" and moments.n_patterns > 1
    pairwise = isinstance(moments, MomentSums) and moments.missing == "pairwise" and moments.n_obs < moments.n_rows
    return AnalysedMatrix(
        cor=np.array(moments.cor, dtype=float),
        names=tuple(moments.names),
        kind="pearson",
        n_obs=0 if weighted else int(moments.n_obs),
        n_rows=rows,
        rule=rule + ("; weighted" if weighted else ""),
        mean=mean if np.isfinite(mean).all() else None,
        sd=sd,
        acov=moments.correlation_acov if isinstance(moments, MomentEstimate) and two_step else None,
        min_eigenvalue=np.nan,
        raised=raised,
        notes=tuple(getattr(moments, "notes", ())) + tuple(getattr(moments, "warnings", ())),
        two_step=two_step or pairwise,
        pairwise=pairwise,
        weighted=weighted,
    )


def _from_polychoric(result: PolychoricResult) -> AnalysedMatrix:
    p = len(result.names)
    acov = None
    if result.acov is not None and all(kind == "ordered" for kind in result.kinds):
        tail = p * (p - 1) // 2
        acov = np.array(result.acov[-tail:, -tail:], dtype=float)
    return AnalysedMatrix(
        cor=np.array(result.correlation, dtype=float),
        names=tuple(result.names),
        kind="polychoric",
        n_obs=int(result.n_obs),
        n_rows=int(result.n_rows),
        rule=result.rule,
        mean=None,
        sd=None,
        acov=acov,
        min_eigenvalue=np.nan,
        notes=result.warnings,
        tables=result.tables,
        latent=result,
        two_step=True,
    )


def _from_pair(pair: tuple[Any, ...]) -> AnalysedMatrix:
    found = pair_moments(pair)
    n = found.n_obs
    return AnalysedMatrix(
        np.array(found.cor), found.names, "pearson", n, n, "a matrix and its N", None, None, None, np.nan
    )


def _refuse_bare_matrix(data: Any) -> None:
    """A correlation matrix alone would be read as p persons: say how to hand it in."""
    if isinstance(data, np.ndarray) and data.ndim == 2 and len(data) == 2:
        refuse_matrix(data, least=2)


# --------------------------------------------------------------------------- checks
def _checked(made: AnalysedMatrix, n_obs: int | None, smallest: int) -> AnalysedMatrix:
    p = made.n_items
    if n_obs is not None and n_obs != made.n_obs and not (made.weighted or made.two_step):
        raise OptionError(
            f"n_obs={n_obs}: the statistic knows its N, {made.n_obs} ({made.rule}). n_obs= is for weighted and "
            "pairwise statistics; a matrix is handed in with its N, as (matrix, n).",
            argument="n_obs",
            value=n_obs,
        )
    if p < smallest:
        raise TooFewItemsError(f"At least {smallest} items are needed; there are {p}.", n_items=p)
    undefined = [name for name, row in zip(made.names, made.cor, strict=True) if np.isnan(row).sum() >= p - 1]
    if undefined:
        raise EstimationError(
            f"No correlation can be computed with {shorten(undefined)}: the item is constant or nobody answered it. "
            "Leave it out.",
            items=undefined,
        )
    if not np.isfinite(made.cor).all():
        i, j = np.argwhere(~np.isfinite(made.cor))[0]
        raise EstimationError(f"The correlation of {made.names[i]} and {made.names[j]} cannot be computed.")
    eigenvalue = float(np.linalg.eigvalsh(made.cor)[0])
    raised = list(made.raised)
    if eigenvalue < _SMALLEST_EIGENVALUE and all(n.code != NotPositiveDefiniteWarning.code for n in made.notes):
        raised.append(
            NotPositiveDefiniteWarning(
                f"The correlation matrix is not positive definite (smallest eigenvalue {eigenvalue:.3g}). "
                "It is analysed as it is; what needs its inverse or determinant is not given.",
                min_eigenvalue=eigenvalue,
            )
        )
    return AnalysedMatrix(
        **{
            **vars(made),
            "n_obs": made.n_obs if n_obs is None else int(n_obs),
            "min_eigenvalue": eigenvalue,
            "raised": tuple(raised),
        }
    )
