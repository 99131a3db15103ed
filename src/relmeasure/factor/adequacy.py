"""Is a correlation matrix worth factoring? Kaiser-Meyer-Olkin sampling adequacy and Bartlett's test of sphericity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.exceptions import (
    EstimationError,
    NotPositiveDefiniteError,
    RelmeasureWarning,
    TooFewItemsError,
    TooFewObservationsError,
    shorten,
)
from relmeasure.numerics.coefficients import inverse_or_none
from relmeasure.responses.intake import as_moments
from relmeasure.responses.ordinal import polychoric
from relmeasure.results import FloatArray, Note, Result, Table, announce, frozen_array
from relmeasure.samplestats.contingency import ContingencyTables
from relmeasure.samplestats.deletion import deletion_warnings
from relmeasure.samplestats.latent import PolychoricResult
from relmeasure.samplestats.moments import MissingMethod, MomentSums

__all__ = ["BartlettTest", "SamplingAdequacy", "adequacy_of", "bartlett", "kmo", "sphericity_of"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_WORDS = ((0.9, "marvelous"), (0.8, "meritorious"), (0.7, "middling"), (0.6, "mediocre"), (0.5, "miserable"))


@dataclass(frozen=True, eq=False)
class SamplingAdequacy(Result):
    """Kaiser-Meyer-Olkin measure of sampling adequacy.

    Attributes
    ----------
    overall : float
        0 to 1; below .5 is unacceptable.
    per_item : array (p,)
        The same for each item, in the order of ``names``.
    names : tuple of str
    n_obs : int
    rule : str
        The rule that made ``n_obs``.
    definition : str
    warnings : tuple of Note
    """

    overall: float
    per_item: FloatArray
    names: tuple[str, ...]
    n_obs: int
    rule: str
    definition: str = "kmo.correlation"
    warnings: tuple[Note, ...] = ()

    @property
    def word(self) -> str:
        """Kaiser's word for the overall value."""
        return next((word for bound, word in _WORDS if self.overall >= bound), "unacceptable")

    def _table(self) -> Table:
        return Table({"item": self.names, "kmo": tuple(self.per_item.tolist())})

    def summary(self) -> str:
        """Return the overall value with Kaiser's word for it, and one line an item."""
        head = f"KMO = {self.overall:.3f} ({self.word}, Kaiser 1974); {self.n_obs} rows, {self.rule}"
        return "\n".join([head, self._table().to_text(), *(note.summary() for note in self.warnings)])


@dataclass(frozen=True, eq=False)
class BartlettTest(Result):
    """Bartlett's test that all correlations are zero.

    Attributes
    ----------
    chisq : float
        ``-(n - 1 - (2 p + 5) / 6) log|R|``.
    df : int
        ``p (p - 1) / 2``.
    pvalue : float
    n_obs, n_items : int
    rule : str
        The rule that made ``n_obs``.
    definition : str
    warnings : tuple of Note
    """

    chisq: float
    df: int
    pvalue: float
    n_obs: int
    n_items: int
    rule: str
    definition: str = "bartlett.sphericity"
    warnings: tuple[Note, ...] = ()

    def summary(self) -> str:
        """Return the test in a line, N and rule, and notes."""
        p = f"p = {self.pvalue:.3f}" if self.pvalue >= 0.001 else "p < .001"
        lines = [
            f"Bartlett's test of sphericity: chi-square {self.chisq:.2f}, df {self.df}, {p}",
            f"{self.n_items} items, {self.n_obs} rows, {self.rule}",
        ]
        return "\n".join(lines + [note.summary() for note in self.warnings])


def kmo(data: Any, *, missing: MissingMethod = "listwise", weights: Any = None) -> SamplingAdequacy:
    """Compute the Kaiser-Meyer-Olkin measure of sampling adequacy, overall and for each item.

    Sum of squared correlations over that sum plus the sum of squared partial correlations ``q`` (each pair given all
    other items); ``q_ij = -s_ij / sqrt(s_ii s_jj)`` with S the inverse of the correlation matrix.

    Parameters
    ----------
    data : frame, array (n, p), responses, moments, polychoric result, or (matrix, n)
        At least two items in columns; keys do not matter.
    missing : {"listwise", "pairwise"}
        Rows complete on all items (the rows dropped are counted in a warning), or for each pair the rows with both.
    weights : array (n,) or column name, optional
        Sampling weights.

    Returns
    -------
    SamplingAdequacy

    Raises
    ------
    NotPositiveDefiniteError
        The correlations have no inverse; the smallest eigenvalue is named. A pseudo-inverse is never put in its place.
    EstimationError
        A constant item.
    TooFewItemsError, TooFewObservationsError
        Fewer than two items or two usable rows.

    References
    ----------
    Kaiser, H. F. (1974). An index of factorial simplicity. Psychometrika, 39, 31-36.
    Kaiser, H. F., & Rice, J. (1974). Little Jiffy, Mark IV. Educational and Psychological Measurement, 34, 111-117.

    Examples
    --------
    >>> import numpy as np, relmeasure as rm
    >>> rng = np.random.default_rng(1)
    >>> answers = rng.normal(size=(200, 1)) + rng.normal(size=(200, 4))
    >>> bool(0.5 < rm.kmo(answers).overall < 1)  # R: psych::KMO(x)$MSA
    True
    """
    moments, cor, raised = _correlations(data, missing, weights)
    overall, per_item = adequacy_of(cor)
    return SamplingAdequacy(
        overall=overall,
        per_item=frozen_array(per_item),
        names=moments.names,
        n_obs=moments.n_obs,
        rule=moments.rule,
        warnings=(*moments.notes, *announce(raised)),
    )


def bartlett(
    data: Any, *, missing: MissingMethod = "listwise", weights: Any = None, n_obs: int | None = None
) -> BartlettTest:
    """Test that all correlations are zero (Bartlett's test of sphericity).

    Chi-square ``-(n - 1 - (2 p + 5) / 6) log|R|`` with ``p (p - 1) / 2`` degrees of freedom.

    Parameters
    ----------
    data : frame, array (n, p), responses, moments, polychoric result, or (matrix, n)
        At least two items in columns; keys do not matter.
    missing : {"listwise", "pairwise"}
        Rows complete on all items (the rows dropped are counted in a warning), or for each pair the rows with both;
        pairwise, the smallest N behind a pair is used.
    weights : array (n,) or column name, optional
        Sampling weights; the test then needs ``n_obs``, the effective sample size.
    n_obs : int, optional
        The N to use instead.

    Returns
    -------
    BartlettTest
        Answers are taken as normal; with many rows the test rejects any real data. Of polychoric correlations the
        chi-square is descriptive.

    Raises
    ------
    NotPositiveDefiniteError
        The determinant of the correlations is not positive; the smallest eigenvalue is named.
    EstimationError
        A constant item, or weights without ``n_obs``.
    TooFewItemsError, TooFewObservationsError
        Fewer than two items or two usable rows.

    References
    ----------
    Bartlett, M. S. (1951). The effect of standardization on a chi-square approximation in factor analysis. Biometrika,
    38, 337-344.

    Examples
    --------
    >>> import numpy as np, relmeasure as rm
    >>> rng = np.random.default_rng(1)
    >>> answers = rng.normal(size=(200, 1)) + rng.normal(size=(200, 4))
    >>> rm.bartlett(answers).df  # R: psych::cortest.bartlett(cor(x), n = 200)
    6
    """
    moments, cor, raised = _correlations(data, missing, weights)
    if moments.weighted and n_obs is None:
        raise EstimationError("Under sampling weights the test needs an effective sample size: give n_obs=.")
    n = moments.n_obs if n_obs is None else n_obs
    chisq, df, pvalue = sphericity_of(cor, n)
    return BartlettTest(
        chisq=chisq,
        df=df,
        pvalue=pvalue,
        n_obs=n,
        n_items=len(cor),
        rule=moments.rule if n_obs is None else f"{moments.rule}; n_obs={n_obs} as given",
        warnings=(*moments.notes, *announce(raised)),
    )


def adequacy_of(cor: Array) -> tuple[float, Array]:
    """Return the Kaiser-Meyer-Olkin measure of a correlation matrix, overall and by item."""
    inverse = inverse_or_none(cor)
    if inverse is None:
        raise _singular(cor, "KMO")
    scale = np.sqrt(np.diag(inverse))
    partial = (inverse / np.outer(scale, scale)) ** 2
    squares = cor**2
    np.fill_diagonal(partial, 0.0)
    np.fill_diagonal(squares, 0.0)
    columns = squares.sum(axis=0)
    total, partials = float(columns.sum()), partial.sum(axis=0)
    if total == 0.0:
        raise EstimationError("All correlations are exactly zero: there is nothing to factor.")
    per_item = np.full(len(cor), np.nan)  # an item that correlates with none at all has no measure
    np.divide(columns, columns + partials, out=per_item, where=columns + partials > 0.0)
    return total / (total + float(partials.sum())), per_item


def sphericity_of(cor: Array, n: int) -> tuple[float, int, float]:
    """Return chi-square, degrees of freedom and p-value of Bartlett's test of a correlation matrix of n rows."""
    if inverse_or_none(cor) is None:
        raise _singular(cor, "Bartlett's test")
    from scipy.special import chdtrc

    p = len(cor)
    chisq = -(n - 1.0 - (2.0 * p + 5.0) / 6.0) * float(np.linalg.slogdet(cor)[1])
    if chisq < 0.0:
        raise TooFewObservationsError(f"{n} rows are too few for Bartlett's test of {p} items.", n_obs=n, n_items=p)
    df = p * (p - 1) // 2
    return chisq, df, float(chdtrc(df, chisq))


def _correlations(data: Any, missing: MissingMethod, weights: Any) -> tuple[MomentSums, Array, list[RelmeasureWarning]]:
    """Return moments with usable correlations, and what has to be said about their rows."""
    if isinstance(data, ContingencyTables):
        data = polychoric(data)
    if isinstance(data, PolychoricResult):  # latent responses are standard: their correlations are all there is
        moments = MomentSums.from_covariance(
            data.correlation, np.zeros(data.n_items), data.n_obs, data.names, origin=data.rule
        )
    else:
        moments = as_moments(data, missing=missing, weights=weights)
    if moments.n_items < 2:
        raise TooFewItemsError(f"{moments.n_items} item has no correlations: at least 2 are needed.")
    if moments.n_obs < 2:
        raise TooFewObservationsError(f"{moments.n_obs} usable rows ({moments.rule}): at least 2 are needed.")
    cor = np.array(moments.cor)
    constant = [n for n, v in zip(moments.names, np.diag(moments.scatter).tolist(), strict=True) if v <= 0.0]
    if constant:
        raise EstimationError(f"No variance in {shorten(constant)}: leave it out.", items=constant)
    said = {note.code for note in moments.notes}
    return moments, cor, [w for w in deletion_warnings(moments) if w.code not in said]


def _singular(cor: Array, what: str) -> NotPositiveDefiniteError:
    smallest = float(np.linalg.eigvalsh(cor)[0]) if np.isfinite(cor).all() else float("nan")
    return NotPositiveDefiniteError(
        f"{what} needs correlations with an inverse; the smallest eigenvalue is {smallest:.3g}. "
        "Look for items that are sums or copies of others, or for too few rows.",
        min_eigenvalue=smallest,
    )
