"""What each variable of a model is: indicator, factor, predictor, outcome."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from relmeasure.structural.language.syntax import Formula

__all__ = ["Roles", "roles_of"]


@dataclass(frozen=True)
class Roles:
    """Variables by role, each in the order of its first appearance.

    Attributes
    ----------
    observed, latent : tuple of str
    indicators : tuple of str
        Right of ``=~``, observed or latent.
    outcomes : tuple of str
        Left of ``~``.
    predictors : tuple of str
        Right of ``~``.
    exogenous : tuple of str
        Observed, only ever predictors, and without a formula of their own for a variance, covariance or mean.
    freed : tuple of str
        Observed and only ever predictors, but named in such a formula: no longer fixed to the sample.
    """

    observed: tuple[str, ...]
    latent: tuple[str, ...]
    indicators: tuple[str, ...]
    outcomes: tuple[str, ...]
    predictors: tuple[str, ...]
    exogenous: tuple[str, ...]
    freed: tuple[str, ...]

    @property
    def free_latent(self) -> tuple[str, ...]:
        """Factors that nothing in the model explains: they covary by default."""
        explained = {*self.indicators, *self.outcomes}
        return tuple(v for v in self.latent if v not in explained)

    @property
    def last_outcomes(self) -> tuple[str, ...]:
        """Outcomes that explain nothing: their residuals covary by default."""
        excluded = {*self.predictors, *self.indicators}
        order = [*self.observed, *self.latent]
        return tuple(v for v in order if v in set(self.outcomes) and v not in excluded)


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def roles_of(formulas: Sequence[Formula], extra: Sequence[str] = ()) -> Roles:
    """Sort the variables of one level of a model by role; ``extra`` are further observed variables."""
    latent = _unique(f.lhs for f in formulas if f.op == "=~")
    indicators = _unique(f.rhs for f in formulas if f.op == "=~")
    outcomes = _unique(f.lhs for f in formulas if f.op == "~")
    predictors = _unique(f.rhs for f in formulas if f.op == "~")
    others = (name for f in formulas if f.op not in ("=~", "~") for name in (f.lhs, f.rhs if f.op == "~~" else f.lhs))
    every = _unique((*indicators, *outcomes, *predictors, *others, *extra))
    observed = tuple(v for v in every if v not in set(latent))
    used = {*latent, *indicators, *outcomes}
    only_predict = [v for v in predictors if v not in used]
    stated = {name for f in formulas if f.op in ("~~", "~1") for name in (f.lhs, f.rhs)}
    return Roles(
        observed=observed,
        latent=latent,
        indicators=indicators,
        outcomes=outcomes,
        predictors=predictors,
        exogenous=tuple(v for v in only_predict if v not in stated),
        freed=tuple(v for v in only_predict if v in stated),
    )
