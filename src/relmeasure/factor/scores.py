"""Factor scores: weights by regression, Bartlett and ten Berge, and how well each determines its factor.

Scores are ``z W`` with z standardised answers. With pattern L, factor correlations Phi, structure S = L Phi,
uniquenesses U and correlations R::

    regression   W = R^-1 S                                        Thurstone (1935)
    bartlett     W = U^-1 L (L'U^-1 L)^-1                          Bartlett (1937)
    ten_berge    W = R^-1/2 C Phi^1/2, C = R^-1/2 L Phi^1/2 (Phi^1/2 L'R^-1 L Phi^1/2)^-1/2
                                                                   ten Berge, Krijnen, Wansbeek & Shapiro (1999)

Regression scores correlate best with their factor; Bartlett scores are unbiased given the factor; ten Berge scores
correlate as the factors do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from relmeasure.exceptions import NotPositiveDefiniteError, OptionError
from relmeasure.numerics.coefficients import inverse_or_none
from relmeasure.results import FloatArray, FrameKind, Note, Result, Table

__all__ = ["FactorScores", "LatentMethod", "ScoreMethod", "ScoreWeights", "score_weights"]

Array = np.ndarray[Any, np.dtype[np.float64]]

ScoreMethod = Literal["regression", "bartlett", "ten_berge"]
"""How factor scores are made of standardised answers, by weights."""

LOW_DETERMINACY = 0.80
"""Correlation of scores with their factor below which they are not for decisions about persons (Grice, 2001)."""

LatentMethod = Literal["ebm", "ml"]
"""How factor scores are made of ordered answers: modes of the posterior, or of the likelihood."""


@dataclass(frozen=True, eq=False)
class ScoreWeights(Result):
    """Weights of standardised items in factor scores, and the quality of the scores.

    Attributes
    ----------
    method : str
    items, factors : tuple of str
    weights : array (p, m)
    determinacy : array (m,)
        Correlation of each score with its factor.
    se : array (m,)
        Root mean squared distance of each score from its factor, in units of the factor's standard deviation.
    correlations : array (m, m)
        Correlations of the scores with each other; those of the factors are ``phi``.
    univocality : array (m, m)
        Correlations of scores (rows) with factors (columns).
    """

    method: str
    items: tuple[str, ...]
    factors: tuple[str, ...]
    weights: FloatArray
    determinacy: FloatArray
    se: FloatArray
    correlations: FloatArray
    univocality: FloatArray

    def _table(self) -> Table:
        return Table(
            {
                "score": tuple(f"{factor}_{self.method}" for factor in self.factors),
                "determinacy": tuple(self.determinacy),
                "se": tuple(self.se),
            }
        )


@dataclass(frozen=True, eq=False)
class FactorScores(Result):
    """Factor scores of persons.

    Attributes
    ----------
    method : str
    factors : tuple of str
    scores : array (n, m)
        NaN where an item is missing (of ordered answers: where no item is answered, or the score is not finite).
    n_valid : array (n,)
        Items answered.
    n_items : int
        Items needed: all, or one of ordered answers.
    determinacy, se : array (m,)
        As in ``ScoreWeights``; of persons who answered every item. Of ordered answers: ``se`` is the root mean square
        of ``person_se`` over the persons scored, and the determinacy the root of their marginal reliability
        ``1 - se^2`` (Green et al., 1984), NaN for ``"ml"``.
    person_se : array (n, m) or None
        Standard error of each score, of ordered answers.
    row_labels : tuple
        Index of a pandas frame handed in, if it is not 0 .. n - 1.
    warnings : tuple of Note
    """

    method: str
    factors: tuple[str, ...]
    scores: FloatArray
    n_valid: FloatArray
    n_items: int
    determinacy: FloatArray
    se: FloatArray
    person_se: FloatArray | None = None
    row_labels: tuple[Any, ...] = ()
    warnings: tuple[Note, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the score columns: factor and method."""
        return tuple(f"{factor}_{self.method}" for factor in self.factors)

    def _table(self) -> Table:
        columns: dict[str, Any] = {name: tuple(self.scores[:, j]) for j, name in enumerate(self.columns)}
        if self.person_se is not None:
            columns |= {f"{name}_se": tuple(self.person_se[:, j]) for j, name in enumerate(self.columns)}
        columns["n_valid"] = tuple(int(n) for n in self.n_valid)
        lost = [bool(row.any()) for row in np.isnan(self.scores)]
        columns["missing_reason"] = tuple(
            self._reason(n) if no else None for n, no in zip(self.n_valid, lost, strict=True)
        )
        return Table(columns)

    def _reason(self, n_valid: int) -> str:
        if self.person_se is None:
            return f"an item is missing: {self.method} scores need all {self.n_items}"
        if not n_valid:
            return "no item is answered"
        return "only first or only last categories were chosen: the likelihood has no mode (method='ebm' has)"

    def to_frame(self, kind: FrameKind = "pandas") -> Any:
        """Return one row a person in the order given, with the index of a pandas frame."""
        frame = super().to_frame(kind)
        if kind == "pandas" and self.row_labels:
            frame.index = list(self.row_labels)
        return frame

    def summary(self) -> str:
        """Return how many were scored, and how well each score stands for its factor."""
        scored = int((~np.isnan(self.scores).any(axis=1)).sum())
        quality = Table({"score": self.columns, "determinacy": tuple(self.determinacy), "se": tuple(self.se)}).to_text()
        head = f"{self.method} factor scores of {scored} of {len(self.scores)} persons"
        low = [name for name, d in zip(self.columns, self.determinacy, strict=True) if d < LOW_DETERMINACY]
        told = [f"Not for decisions about single persons (determinacy below {LOW_DETERMINACY}): {', '.join(low)}"]
        return "\n".join([head, quality, *(told if low else ()), *(note.summary() for note in self.warnings)])


def score_weights(
    loadings: Array,
    phi: Array,
    uniquenesses: Array,
    cor: Array,
    *,
    method: ScoreMethod = "regression",
    items: tuple[str, ...] = (),
    factors: tuple[str, ...] = (),
) -> ScoreWeights:
    """Compute the weights of factor scores.

    Parameters
    ----------
    loadings, phi, uniquenesses : array (p, m), (m, m), (p,)
        A rotated solution.
    cor : array (p, p)
        Correlations that scores are made from: those analysed.
    method : {"regression", "bartlett", "ten_berge"}
    items, factors : tuple of str

    Raises
    ------
    NotPositiveDefiniteError
        The correlations have no inverse, or (Bartlett) a uniqueness is not positive.

    References
    ----------
    Thurstone, L. L. (1935). The vectors of mind. Bartlett, M. S. (1937). British Journal of Psychology, 28, 97-104.
    ten Berge, J. M. F., Krijnen, W. P., Wansbeek, T., & Shapiro, A. (1999). Linear Algebra and its Applications, 289,
    311-318. Grice, J. W. (2001). Computing and evaluating factor scores. Psychological Methods, 6, 430-450.

    Examples
    --------
    >>> import numpy as np
    >>> loadings = np.array([[0.8], [0.7], [0.6]])
    >>> cor = loadings @ loadings.T
    >>> np.fill_diagonal(cor, 1.0)
    >>> made = score_weights(loadings, np.eye(1), 1 - loadings[:, 0] ** 2, cor)
    >>> made.weights[:, 0].round(3).tolist(), made.determinacy.round(3).tolist()  # R: psych::factor.scores
    ([0.517, 0.319, 0.218], [0.876])
    """
    if method not in get_args(ScoreMethod):
        raise OptionError.from_value("method", method, get_args(ScoreMethod))
    p, m = loadings.shape
    W = _weights(loadings, phi, uniquenesses, cor, method)
    structure = loadings @ phi
    cov = W.T @ cor @ W
    sd = np.sqrt(np.diag(cov))
    cross = W.T @ structure
    spread = np.diag(cov) - 2.0 * np.diag(cross) + np.diag(phi)
    return ScoreWeights(
        method=method,
        items=items or tuple(f"x{k + 1}" for k in range(p)),
        factors=factors or tuple(f"F{k + 1}" for k in range(m)),
        weights=W,
        determinacy=np.diag(cross) / sd,
        se=np.sqrt(np.maximum(spread, 0.0)),
        correlations=cov / np.outer(sd, sd),
        univocality=cross / sd[:, None],
    )


def _weights(L: Array, phi: Array, uniquenesses: Array, cor: Array, method: str) -> Array:
    if method == "bartlett":
        if (uniquenesses <= 0.0).any():
            raise NotPositiveDefiniteError(
                "Bartlett scores divide by uniquenesses, and one is not positive (a Heywood case): use regression."
            )
        scaled = L / uniquenesses[:, None]
        return np.asarray(np.linalg.solve(L.T @ scaled, scaled.T).T)
    inverse = inverse_or_none(cor)
    if inverse is None:
        smallest = float(np.linalg.eigvalsh(cor)[0])
        raise NotPositiveDefiniteError(
            f"{method} scores need a positive definite correlation matrix; its smallest eigenvalue is {smallest:.3g}.",
            min_eigenvalue=smallest,
        )
    if method == "regression":
        return np.asarray(inverse @ L @ phi)
    root = _power(phi, 0.5)
    middle = root @ (L.T @ inverse @ L) @ root
    return np.asarray(inverse @ L @ root @ _power(middle, -0.5) @ root)


def _power(X: Array, exponent: float) -> Array:
    """Return a power of a symmetric positive definite matrix."""
    values, vectors = np.linalg.eigh(X)
    return np.asarray((vectors * np.maximum(values, 1e-12) ** exponent) @ vectors.T)
