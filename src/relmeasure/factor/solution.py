"""The result of an exploratory factor analysis: what was found, how well it fits, and what can be made from it."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import numpy as np

from relmeasure.exceptions import EstimationError, OptionError, UnsupportedDataError
from relmeasure.factor.congruence import Congruence, FactorComparison, compare_solutions, match_factors
from relmeasure.factor.hierarchy import SchmidLeiman, schmid_leiman
from relmeasure.factor.latent_answers import AnswerModel, score_answers
from relmeasure.factor.rows import item_rows
from relmeasure.factor.scores import FactorScores, LatentMethod, ScoreMethod, ScoreWeights, score_weights
from relmeasure.numerics.coefficients import normal_quantile
from relmeasure.numerics.rotation import Rotation
from relmeasure.results import FloatArray, Note, Provenance, Result, Status, Table, frozen_array

__all__ = ["EFAResult"]

_HIDDEN = 0.10
"""Loadings smaller than this are not printed in the summary."""


@dataclass(frozen=True, eq=False)
class EFAResult(Result):
    """An exploratory factor analysis.

    Attributes
    ----------
    names, factor_names : tuple of str
        The p items in the order given, and the m factors: F1, F2 ... by falling variance explained; a general factor
        is ``g``.
    loadings : array (p, m)
        Pattern loadings of standardised items; each factor's sum is positive.
    phi : array (m, m)
        Factor correlations (not correlations of factor scores).
    uniquenesses : array (p,)
    rotation_matrix : array (m, m)
        ``loadings = unrotated rotation_matrix``.
    unrotated : array (p, m)
    correlation : array (p, p)
        The matrix analysed.
    correlation_kind : {"pearson", "polychoric"}
        Polychoric stands for all latent correlations: tetrachoric, polyserial, mixed.
    method, rotation, engine : str
        ``minres``, ``ml``, ``pa`` or ``uls``; the rotation; who extracted and rotated.
    fit : dict of float
        See ``fit_measures``; ``chisq`` drives RMSEA, TLI, CFI and BIC.
    fit_driver : str
        Which chi-square that is, in words, and what it is worth.
    loadings_se, phi_se : array or None
        Standard errors; None where not asked for or not available (``se_note`` says why).
    se_note : str
    rotation_details : Rotation
        Criterion, Kaiser normalisation, starts, local minima.
    n_obs : int
    rule : str
        The rule that made ``n_obs``.
    item_mean, item_sd : array (p,) or None
        What new answers are standardised with; None where only a matrix was given.
    answer_model : AnswerModel or None
        Thresholds and categories by which ordered answers fall out of latent responses; what they are scored with.
    status : Status
    warnings : tuple of Note
    provenance : Provenance or None
    """

    names: tuple[str, ...]
    factor_names: tuple[str, ...]
    loadings: FloatArray
    phi: FloatArray
    uniquenesses: FloatArray
    rotation_matrix: FloatArray
    unrotated: FloatArray
    correlation: FloatArray
    correlation_kind: str
    method: str
    rotation: str
    engine: str
    fit: dict[str, float]
    fit_driver: str
    rotation_details: Rotation
    n_obs: int
    rule: str
    loadings_se: FloatArray | None = None
    phi_se: FloatArray | None = None
    se_note: str = ""
    item_mean: FloatArray | None = None
    item_sd: FloatArray | None = None
    answer_model: AnswerModel | None = None
    status: Status = field(default_factory=Status)
    warnings: tuple[Note, ...] = ()
    provenance: Provenance | None = None

    # ----- what follows from the loadings
    @property
    def n_factors(self) -> int:
        """Number of factors."""
        return len(self.factor_names)

    @property
    def structure(self) -> FloatArray:
        """Correlations of items with factors, array (p, m): ``loadings phi``."""
        return _frozen(self.loadings @ self.phi)

    @property
    def communalities(self) -> FloatArray:
        """Share of each item's variance that the factors explain, array (p,)."""
        return _frozen(np.einsum("ij,jk,ik->i", self.loadings, self.phi, self.loadings))

    @property
    def complexity(self) -> FloatArray:
        """Hofmann's (1977) index of each item, array (p,): 1 where one factor alone loads; NaN where none does."""
        squares = self.loadings**2
        with np.errstate(invalid="ignore"):
            return _frozen(squares.sum(axis=1) ** 2 / (squares**2).sum(axis=1))

    @property
    def residuals(self) -> FloatArray:
        """Correlations less those reproduced, array (p, p); zero on the diagonal of a proper solution."""
        common = self.loadings @ self.phi @ self.loadings.T
        return _frozen(self.correlation - common - np.diag(self.uniquenesses))

    @property
    def variance(self) -> Table:
        """Variance explained, one row a factor: sum of squares, proportion of all and of common variance, cumulated."""
        explained = np.diag(self.phi @ self.loadings.T @ self.loadings)
        share, common = explained / len(self.names), explained / explained.sum()
        return Table(
            {
                "factor": self.factor_names,
                "ss_loadings": tuple(explained),
                "proportion": tuple(share),
                "cumulative": tuple(np.cumsum(share)),
                "proportion_of_common": tuple(common),
                "cumulative_of_common": tuple(np.cumsum(common)),
            }
        )

    def intervals(self, conf_level: float = 0.95) -> Table:
        """Return one row a loading with standard error and Wald interval.

        Raises
        ------
        EstimationError
            The solution has no standard errors; the message says why.
        """
        if self.loadings_se is None:
            raise EstimationError(f"This solution has no standard errors: {self.se_note}.")
        half = normal_quantile(conf_level) * self.loadings_se
        p, m = self.loadings.shape
        return Table(
            {
                "item": tuple(name for name in self.names for _ in range(m)),
                "factor": self.factor_names * p,
                "loading": tuple(self.loadings.ravel()),
                "se": tuple(self.loadings_se.ravel()),
                "lower": tuple((self.loadings - half).ravel()),
                "upper": tuple((self.loadings + half).ravel()),
                "conf_level": (conf_level,) * (p * m),
            }
        )

    # ----- what can be made from it
    def schmid_leiman(self) -> SchmidLeiman:
        """Return a general factor above these correlated ones, and group factors freed of it."""
        return schmid_leiman(self.loadings, self.phi)

    def score_weights(self, method: ScoreMethod = "regression") -> ScoreWeights:
        """Return weights of standardised items in factor scores, with determinacy and standard error."""
        return score_weights(
            self.loadings,
            self.phi,
            self.uniquenesses,
            self.correlation,
            method=method,
            items=self.names,
            factors=self.factor_names,
        )

    def score(self, data: Any, method: ScoreMethod | LatentMethod | None = None) -> FactorScores:
        """Compute factor scores of persons, new ones or those analysed.

        Parameters
        ----------
        data : frame or array (n, p)
            Answers to the same items; columns of a frame are found by name, those of an array are in the order of
            ``names``. They are standardised with the means and standard deviations of the sample *analysed*; ordered
            answers are read by the categories and thresholds of that sample.
        method : {"regression", "bartlett", "ten_berge"} or {"ebm", "ml"}, optional
            Of answers taken as numbers: weights, by default ``"regression"``. Of ordered answers (a solution of
            polychoric correlations): the mode of the posterior of the factors given the answers (empirical Bayes modal,
            the default), or of their likelihood; weights of latent responses cannot be applied to answers.

        Returns
        -------
        FactorScores
            Columns ``F1_regression`` and so on. A person with a missing item has no score, and the reason; ordered
            answers are scored from the items answered, with a standard error for each person.

        Raises
        ------
        UnsupportedDataError
            The method does not belong to the answers; the solution rests on a matrix alone, without means or
            thresholds; or it is a Schmid-Leiman solution.
        UnknownCodeError
            An ordered answer outside the declared categories.
        EstimationError
            The solution failed.

        References
        ----------
        Grice, J. W. (2001). Computing and evaluating factor scores. Psychological Methods, 6, 430-450.
        Skrondal, A., & Rabe-Hesketh, S. (2004). Generalized latent variable modeling, section 7.4.
        """
        if self.status.level == "failed":
            raise EstimationError(f"No scores from a failed solution: {'; '.join(self.status.reasons)}.")
        latent = self.correlation_kind != "pearson"
        chosen = method or ("ebm" if latent else "regression")
        allowed = get_args(LatentMethod if latent else ScoreMethod)
        if chosen not in (*get_args(LatentMethod), *get_args(ScoreMethod)):
            raise OptionError.from_value("method", method, allowed)
        if chosen not in allowed:
            raise UnsupportedDataError(
                f"method={chosen!r} weights standardised answers, and this solution describes latent responses "
                "(polychoric correlations), whose metric answers 1, 2, 3 ... are not in: use 'ebm' or 'ml'."
                if latent
                else f"method={chosen!r} is for ordered answers: with answers taken as numbers the mode of the "
                "posterior is the regression score, that of the likelihood the Bartlett score."
            )
        rows, labels = item_rows(data, self.names)
        made = self._latent_scores(rows, chosen) if latent else self._weighted_scores(rows, chosen)
        return replace(made, row_labels=labels)

    def _weighted_scores(self, rows: FloatArray, method: Any) -> FactorScores:
        if self.item_mean is None or self.item_sd is None:
            raise UnsupportedDataError(
                "This solution was made from a matrix, without item means: hand in the data themselves, or moments, "
                "or apply score_weights(method).weights to standardised answers."
            )
        made = self.score_weights(method)
        return FactorScores(
            method=method,
            factors=self.factor_names,
            scores=_frozen(((rows - self.item_mean) / self.item_sd) @ made.weights),
            n_valid=frozen_array((~np.isnan(rows)).sum(axis=1), np.int64),
            n_items=len(self.names),
            determinacy=made.determinacy,
            se=made.se,
        )

    def _latent_scores(self, rows: FloatArray, method: str) -> FactorScores:
        if self.answer_model is None:
            raise UnsupportedDataError("This solution does not know the thresholds of its items: analyse the rows.")
        if self.rotation == "schmid_leiman":
            raise UnsupportedDataError(
                "The factors of a Schmid-Leiman solution are more than the answers determine: score an oblimin or "
                "bifactor solution."
            )
        modes, errors = score_answers(
            self.answer_model, self.loadings, self.phi, self.uniquenesses, rows, prior=method == "ebm"
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # nobody scored: the mean of nothing is NaN
            lost = np.nanmean(errors**2, axis=0)
        known = np.sqrt(np.clip(1.0 - lost, 0.0, 1.0)) if method == "ebm" else np.full(len(lost), math.nan)
        return FactorScores(
            method=method,
            factors=self.factor_names,
            scores=_frozen(modes),
            n_valid=frozen_array((~np.isnan(rows)).sum(axis=1), np.int64),
            n_items=1,
            determinacy=_frozen(known),
            se=_frozen(np.sqrt(lost)),
            person_se=_frozen(errors),
        )

    def congruence(self, other: EFAResult) -> Congruence:
        """Return Tucker's congruence of these factors with those of another solution of the same items."""
        return match_factors(self._loadings_of(other), self.loadings, other.factor_names, self.factor_names)

    def compare(self, other: EFAResult) -> FactorComparison:
        """Return the largest differences from another solution of the same items, its factors matched to these."""
        return compare_solutions(
            self.loadings,
            self.phi,
            self.uniquenesses,
            self._loadings_of(other),
            other.phi,
            self._in_order(other, other.uniquenesses),
            self.names,
            self.factor_names,
        )

    def _loadings_of(self, other: EFAResult) -> FloatArray:
        return self._in_order(other, other.loadings)

    def _in_order(self, other: EFAResult, values: FloatArray) -> FloatArray:
        if set(other.names) != set(self.names):
            raise OptionError("The two solutions do not describe the same items.", argument="other")
        where = {name: i for i, name in enumerate(other.names)}
        return _frozen(values[[where[name] for name in self.names]])

    # ----- display
    def _table(self) -> Table:
        columns: dict[str, Any] = {"item": self.names}
        columns |= {name: tuple(self.loadings[:, j]) for j, name in enumerate(self.factor_names)}
        columns["communality"] = tuple(self.communalities)
        columns["uniqueness"] = tuple(self.uniquenesses)
        columns["complexity"] = tuple(self.complexity)
        return Table(columns)

    def summary(self) -> str:
        """Return loadings (those below .10 left out), variance explained, factor correlations, fit and status."""
        details = self.rotation_details
        kaiser = "with" if details.kaiser else "without"
        head = (
            f"Exploratory factor analysis: {self.n_factors} factors, {self.method}, {self.rotation} {kaiser} Kaiser "
            f"normalisation, {self.correlation_kind} correlations; {self.n_obs or 'unknown'} rows, {self.rule}"
        )
        table = self._table()
        shown = {
            name: tuple(None if name in self.factor_names and abs(v) < _HIDDEN else v for v in values)
            for name, values in table.columns.items()
        }
        parts = [head, Table(shown).to_text(), self.variance.to_text()]
        if not np.allclose(self.phi, np.eye(len(self.phi))):
            square = {name: tuple(self.phi[:, j]) for j, name in enumerate(self.factor_names)}
            parts.append(Table({"correlation": self.factor_names, **square}).to_text())
        parts += [self._fit_text(), self._rotation_text(), self.status.summary()]
        return "\n\n".join(parts)

    def _fit_text(self) -> str:
        fit = self.fit
        if math.isnan(fit["chisq"]):
            return f"No test of fit ({self.fit_driver}); SRMR {fit['srmr']:.3f}"
        return (
            f"Chi-square {fit['chisq']:.2f}, df {fit['df']:.0f}, p {fit['pvalue']:.3g} ({self.fit_driver}); "
            f"RMSEA {fit['rmsea']:.3f} [{fit['rmsea_lower']:.3f}, {fit['rmsea_upper']:.3f}], TLI {fit['tli']:.3f}, "
            f"CFI {fit['cfi']:.3f}, SRMR {fit['srmr']:.3f}, BIC {fit['bic']:.1f}"
        )

    def _rotation_text(self) -> str:
        details = self.rotation_details
        if not details.n_optima:
            return "Not rotated" if details.rotation == "none" or self.n_factors == 1 else "Rotation did not converge"
        best = int(details.optima_counts[0])
        plural = "minimum" if details.n_optima == 1 else "minima"
        return f"Rotation: {details.n_optima} local {plural} from {details.n_starts} starts; {best} reached the best"


def _frozen(values: Any) -> FloatArray:
    out: FloatArray = frozen_array(values)
    return out
