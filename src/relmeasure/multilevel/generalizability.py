"""Where the variance of ratings comes from: teachers, lessons, occasions, raters, students, and what is left.

Variance components by REML (or ML) for any mixture of crossed and nested random effects, balanced or not, and the
decision study that follows: how many raters, occasions or students make a mean reliable enough.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from relmeasure.exceptions import (
    DataError,
    FewClustersWarning,
    ListwiseDeletionWarning,
    OptionError,
    RelmeasureWarning,
    TooFewObservationsError,
    shorten,
)
from relmeasure.multilevel.decision import RESIDUAL, DecisionStudy, Term, decide
from relmeasure.multilevel.random_effects import Design, Effect, design_of
from relmeasure.multilevel.reml import Estimates, maximise, profile_bounds
from relmeasure.responses.labelled import LabelledColumns, read_columns
from relmeasure.results import FloatArray, Note, Result, Status, Table, announce, frozen_array

__all__ = ["Generalizability", "IntervalMethod", "LikelihoodMethod", "generalizability"]

LikelihoodMethod = Literal["reml", "ml"]
"""Which likelihood is maximised."""

IntervalMethod = Literal["satterthwaite", "profile", "none"]
"""How intervals of variances are made."""

_FEW_LEVELS = 10
"""Levels of an effect below which its variance is hardly known."""

_LEAST_DF = 1.0
"""Degrees of freedom below which Satterthwaite's interval says nothing: its upper end is over a thousand variances."""


@dataclass(frozen=True, eq=False)
class Generalizability(Result):
    """Variance components of ratings.

    Attributes
    ----------
    components : Table
        One row an effect, the residual last: ``effect``, ``variance``, ``se``, ``lower``, ``upper``, ``share`` (of the
        total), ``n_levels``.
    facets : dict of tuple of str
        For each effect the columns that determine or contain its levels.
    covariance : array (K, K)
        Sampling covariance of the variances; NaN for those at zero.
    mu, mu_se : float
        Mean and its standard error.
    deviance : float
        -2 log-likelihood (restricted for REML).
    value : str
        The column of ratings.
    n_obs : int
    method, interval_method, rule : str
    conf_level : float
    status : Status
        ``caution`` with a variance at zero.
    warnings : tuple of Note
    """

    components: Table
    facets: dict[str, tuple[str, ...]]
    covariance: FloatArray
    mu: float
    mu_se: float
    deviance: float
    value: str
    n_obs: int
    method: str
    interval_method: str
    rule: str
    conf_level: float
    status: Status
    warnings: tuple[Note, ...] = ()

    def _table(self) -> Table:
        return self.components

    def summary(self) -> str:
        """Return the components, how they were estimated, and the status."""
        head = f"{self.value}: mean {self.mu:.3f}, {self.method}, {self.rule}; intervals: {self.interval_method}"
        lines = [head, self.components.to_text(), *self.status.reasons]
        return "\n".join([*lines, *(note.summary() for note in self.warnings)])

    @property
    def terms(self) -> list[Term]:
        """The components with the facets they belong to."""
        pairs = zip(self.components["effect"], self.components["variance"], strict=True)
        return [Term(name, frozenset(self.facets[name]), variance) for name, variance in pairs]

    def decision(
        self,
        object: str,  # noqa: A002 - the field's word for what is measured
        *,
        n: Mapping[str, int | Sequence[int]],
        fixed: Sequence[str] = (),
        ignore: Sequence[str] = (),
    ) -> DecisionStudy:
        """Reliability of the mean of an object under designs with other numbers of raters, occasions, students.

        Parameters
        ----------
        object : str
            The effect whose levels are to be told apart, such as the teacher.
        n : mapping of column to int or list of int
            Levels averaged over; ``"residual"`` is the number of ratings in each combination of the other facets.
        fixed : sequence of str
            Facets whose levels are the same for everybody and all that matter.
        ignore : sequence of str
            Effects left out of every variance: a choice that the result names.

        Returns
        -------
        DecisionStudy
        """
        return decide(
            self.terms,
            target=object,
            n=n,
            fixed=fixed,
            ignore=ignore,
            covariance=np.asarray(self.covariance),
            conf_level=self.conf_level,
        )


def generalizability(
    data: Any,
    *,
    value: str,
    effects: Sequence[str],
    method: LikelihoodMethod = "reml",
    interval: IntervalMethod = "satterthwaite",
    conf_level: float = 0.95,
) -> Generalizability:
    r"""Variance components of ratings, for crossed and nested random effects.

    .. math:: y = \mu + \sum_k u_k + e, \qquad u_k \sim N(0, \sigma^2_k), \quad e \sim N(0, \sigma^2)

    Parameters
    ----------
    data : frame
        One row a rating, with columns that say where it comes from: pandas, Polars, PyArrow or DuckDB.
    value : str
        Column of ratings.
    effects : sequence of str
        Columns, or columns joined by a colon (``"teacher:occasion"``): each combination is a level. Which effects are
        nested is read from the data: lessons whose ids are their own lie in their teachers.
    method : {"reml", "ml"}
        Restricted or full likelihood.
    interval : {"satterthwaite", "profile", "none"}
        Intervals of the variances.
    conf_level : float
        Level of the intervals.

    Returns
    -------
    Generalizability
        ``.decision(object, n=...)`` is the decision study.

    Notes
    -----
    Missing data: rows without a value or a label are dropped with a warning; designs need not be balanced. Weights are
    not supported. Standard errors: inverse observed information. Intervals: chi-square with 2 (variance / se)^2 degrees
    of freedom (NaN below one, where it says nothing), or the profile likelihood, in which a variance at zero has an
    upper bound too.

    Raises
    ------
    DataError
        Two effects have the same levels, or an effect has one level for each row (then it is the residual).
    TooFewObservationsError
        No usable rows, or an effect with one level.

    References
    ----------
    Brennan, R. L. (2001). Generalizability theory. Springer.
    Bates, D., Maechler, M., Bolker, B., & Walker, S. (2015). Journal of Statistical Software, 67(1), 1-48.
    Satterthwaite, F. E. (1946). Biometrics Bulletin, 2, 110-114.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> rng = np.random.default_rng(1)
    >>> teacher, rater = np.repeat(np.arange(40), 5), np.tile(np.arange(5), 40)
    >>> y = rng.normal(0, 1, 40)[teacher] + rng.normal(0, 0.5, 5)[rater] + rng.normal(0, 1, 200)
    >>> frame = pd.DataFrame({"teacher": teacher, "rater": rater, "y": y})
    >>> import warnings
    >>> with warnings.catch_warnings():  # five raters are few
    ...     warnings.simplefilter("ignore")
    ...     result = generalizability(frame, value="y", effects=["teacher", "rater"])
    >>> result.components["effect"]  # R: lme4::lmer(y ~ 1 + (1 | teacher) + (1 | rater))
    ('teacher', 'rater', 'residual')
    >>> [round(g, 2) for g in result.decision("teacher", n={"rater": [1, 5, 10]}).table["g"]]
    [0.46, 0.81, 0.9]
    """
    if method not in get_args(LikelihoodMethod):
        raise OptionError.from_value("method", method, get_args(LikelihoodMethod))
    if interval not in get_args(IntervalMethod):
        raise OptionError.from_value("interval", interval, get_args(IntervalMethod))
    if isinstance(effects, str) or not effects:
        raise OptionError(f"effects={effects!r}: give a list of columns, or of columns joined by ':'.")
    columns = {name: tuple(dict.fromkeys(name.split(":"))) for name in effects}
    facets = list(dict.fromkeys(column for group in columns.values() for column in group))
    read = read_columns(data, numbers=[value], labels=facets)
    keep = read.complete([value], facets)
    raised: list[RelmeasureWarning] = []
    y = np.asarray(read.numbers[value][keep])
    made = [_effect(read, keep, name, group) for name, group in columns.items()]
    _require(y, made, raised, read.n_rows)
    design = design_of(y, made)
    restricted = method == "reml"
    found = maximise(design, restricted=restricted)
    components = _components(design, found, made, interval, restricted, conf_level)
    bare = _without_interval(components) if interval == "satterthwaite" else []
    return Generalizability(
        components=components,
        facets=_owners(read, keep, columns),
        covariance=frozen_array(found.covariance),
        mu=found.mu,
        mu_se=found.mu_se,
        deviance=found.deviance,
        value=value,
        n_obs=len(y),
        method=method,
        interval_method=interval,
        rule=f"listwise: {len(y)} of {read.n_rows} rows complete",
        conf_level=conf_level,
        status=_status(found, [effect.name for effect in made], bare),
        warnings=announce(raised),
    )


# --------------------------------------------------------------------------- effects
def _effect(read: LabelledColumns, keep: np.ndarray[Any, Any], name: str, columns: Sequence[str]) -> Effect:
    combined = np.zeros(int(keep.sum()), dtype=np.int64)
    for column in columns:
        combined = combined * len(read.labels[column]) + read.codes[column][keep]
        _, combined = np.unique(combined, return_inverse=True)
    return Effect(name, combined.astype(np.int64), int(combined.max()) + 1 if len(combined) else 0)


def _owners(
    read: LabelledColumns, keep: np.ndarray[Any, Any], columns: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """The columns that each effect's levels determine: its own, and those it is nested in."""
    facets = list(dict.fromkeys(column for group in columns.values() for column in group))
    out: dict[str, tuple[str, ...]] = {}
    for name, group in columns.items():
        levels = _effect(read, keep, name, group)
        inside = [f for f in facets if f in group or _effect(read, keep, f, (*group, f)).levels == levels.levels]
        out[name] = tuple(inside)
    return out | {RESIDUAL: (*facets, RESIDUAL)}


def _require(y: np.ndarray[Any, Any], effects: Sequence[Effect], raised: list[RelmeasureWarning], n_rows: int) -> None:
    if len(y) < 3:
        raise TooFewObservationsError(f"{len(y)} of {n_rows} rows are complete: at least three are needed.")
    if np.ptp(y) == 0:
        raise DataError("The ratings do not vary: every rating is the same.")
    for k, effect in enumerate(effects):
        if effect.levels < 2:
            raise TooFewObservationsError(f"Effect '{effect.name}' has {effect.levels} level: at least two are needed.")
        if effect.levels == len(y):
            raise DataError(
                f"Effect '{effect.name}' has a level for each of the {len(y)} rows: it is the residual. Leave it out."
            )
        for other in effects[:k]:
            if other.levels == effect.levels and len(set(zip(other.codes, effect.codes, strict=True))) == effect.levels:
                raise DataError(f"Effects '{other.name}' and '{effect.name}' have the same levels: leave one out.")
    if len(y) < n_rows:
        message = f"{n_rows - len(y)} of {n_rows} rows without a rating or a label were dropped."
        raised.append(ListwiseDeletionWarning(message, n_dropped=n_rows - len(y), n_rows=n_rows))
    few = {effect.name: effect.levels for effect in effects if effect.levels < _FEW_LEVELS}
    if few:
        told = shorten(f"{name}: {levels}" for name, levels in few.items())
        message = (
            f"Effects with few levels ({told}): their variance is hardly known, and intervals are wide or too narrow."
        )
        raised.append(FewClustersWarning(message, levels=few))


# --------------------------------------------------------------------------- table
def _components(
    design: Design,
    found: Estimates,
    effects: Sequence[Effect],
    interval: IntervalMethod,
    restricted: bool,
    conf_level: float,
) -> Table:
    total = float(found.variances.sum())
    rows = []
    names = [*(effect.name for effect in effects), RESIDUAL]
    levels = [*(effect.levels for effect in effects), design.n_obs]
    for k, name in enumerate(names):
        variance = float(found.variances[k])
        se = math.sqrt(found.covariance[k, k]) if found.covariance[k, k] > 0 else math.nan
        lower, upper = math.nan, math.nan
        if interval == "profile":
            lower, upper = profile_bounds(design, found, k, restricted=restricted, conf_level=conf_level)
        elif interval == "satterthwaite":
            lower, upper = _satterthwaite(variance, se, conf_level)
        row = {"effect": name, "variance": variance, "se": se, "lower": lower, "upper": upper}
        rows.append(row | {"share": variance / total, "n_levels": levels[k]})
    return Table.from_rows(rows)


def _satterthwaite(variance: float, se: float, conf_level: float) -> tuple[float, float]:
    from scipy.special import chdtri

    if not se > 0 or (df := 2 * (variance / se) ** 2) < _LEAST_DF:
        return math.nan, math.nan
    half = (1 - conf_level) / 2
    return df * variance / float(chdtri(df, half)), df * variance / float(chdtri(df, 1 - half))


def _without_interval(components: Table) -> list[str]:
    """Effects with a variance and a standard error, but too few degrees of freedom for Satterthwaite's interval."""
    rows = zip(*(components[name] for name in ("effect", "se", "upper")), strict=True)
    return [effect for effect, se, upper in rows if se > 0 and math.isnan(upper)]


def _status(found: Estimates, names: Sequence[str], bare: Sequence[str]) -> Status:
    zero = [name for name, variance in zip(names, found.variances, strict=False) if variance == 0]
    reasons = [f"The variance of {name} is estimated as zero: it is not larger than chance makes it." for name in zero]
    if bare:
        reasons.append(
            f"The variance of {shorten(bare)} is too small beside its standard error for Satterthwaite's interval: "
            "interval='profile' has one."
        )
    if not found.converged:
        reasons.append("The likelihood was not maximised to the last digit: read the variances with care.")
    return Status("caution" if reasons else "ok", converged=found.converged, reasons=tuple(reasons))
