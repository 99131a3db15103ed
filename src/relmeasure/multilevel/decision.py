"""Decision studies: how reliable a mean will be with so many raters, occasions or students.

Each variance component belongs to a set of facets. Averaging over n levels of a facet divides every component that the
facet takes part in by n; what a component does to a score depends on whether it holds the object of measurement
(Brennan, 2001, Generalizability Theory, sections 3.2, 4.1 and 4.2).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np

from relmeasure.exceptions import OptionError
from relmeasure.results import Result, Table

__all__ = ["RESIDUAL", "DecisionStudy", "Term", "decide", "parsed_terms"]

Array = np.ndarray[Any, np.dtype[np.float64]]

RESIDUAL = "residual"
"""Name of what is left in a single rating; also the facet of ratings per combination of all others."""

Role = Literal["universe", "relative", "absolute", "stratum", "constant", "ignored"]
"""What a component does: true differences, error of differences, error of levels only, or nothing."""


@dataclass(frozen=True)
class Term:
    """A variance component and the facets it belongs to (those that determine its levels)."""

    name: str
    facets: frozenset[str]
    variance: float


@dataclass(frozen=True, eq=False)
class DecisionStudy(Result):
    """Reliability of a mean under designs.

    Attributes
    ----------
    table : Table
        One row a design: ``n_<facet>`` columns, ``universe`` (variance of true scores), ``relative_error`` and
        ``absolute_error`` (variances), ``g`` (generalizability coefficient, for differences), ``phi`` (dependability,
        for levels), ``g_se``, ``g_lower``, ``g_upper`` (NaN where the covariance of the components is not known),
        ``sem`` (absolute standard error).
    roles : Table
        ``effect``, ``variance``, ``role`` and what it is divided by.
    object : str
        The object of measurement.
    notes : tuple of str
        Modelling choices: fixed facets, effects left out.
    conf_level : float
    """

    table: Table
    roles: Table
    object: str
    notes: tuple[str, ...] = ()
    conf_level: float = 0.95

    def _table(self) -> Table:
        return self.table

    def summary(self) -> str:
        """Return the designs, the roles of the components, and the choices made."""
        return "\n".join(
            [f"Object of measurement: {self.object}", self.table.to_text(), self.roles.to_text(), *self.notes]
        )


def parsed_terms(components: Mapping[str, float]) -> list[Term]:
    """Terms from names such as ``"teacher:occasion"``; ``"residual"`` holds every facet."""
    named = {name: frozenset(name.split(":")) for name in components if name != RESIDUAL}
    everything = frozenset().union(*named.values()) | {RESIDUAL}
    for name, variance in components.items():
        if not (variance >= 0 and math.isfinite(variance)):
            raise OptionError(f"components: the variance of '{name}' is {variance}; a number of at least 0 is needed.")
    return [Term(name, named.get(name, everything), float(variance)) for name, variance in components.items()]


def decide(
    terms: Sequence[Term],
    *,
    target: str,
    n: Mapping[str, int | Sequence[int]],
    fixed: Iterable[str] = (),
    ignore: Iterable[str] = (),
    covariance: Array | None = None,
    conf_level: float = 0.95,
) -> DecisionStudy:
    """Work out every combination of the numbers in ``n`` for the object ``target``.

    Parameters
    ----------
    terms : sequence of Term
    target : str
        The object of measurement, an effect.
    n : mapping of facet to int or list of int
        Levels averaged over; a facet that is not named has one.
    fixed : iterable of str
        Facets whose levels are the same for everybody and all that matter: their interaction with the object counts as
        true score, and what does not involve the object drops out (Brennan, 2001, section 4.2.1).
    ignore : iterable of str
        Effects left out altogether, a choice of the analyst that the result names.
    covariance : array (K, K), optional
        Sampling covariance of the components, for intervals.
    conf_level : float

    Returns
    -------
    DecisionStudy

    Notes
    -----
    Interval of g: delta method on the logit of g.
    """
    fixed, ignore = frozenset(fixed), frozenset(ignore)
    _check(terms, target, n, fixed, ignore)
    universe = next(term.facets for term in terms if term.name == target)
    roles = [_role(term, universe, fixed, ignore) for term in terms]
    names = [facet for facet in n if facet not in universe]
    rows = []
    for sizes in product(*(_as_sizes(n[name]) for name in names)):
        size = dict(zip(names, sizes, strict=True))
        row: dict[str, Any] = {f"n_{name}": value for name, value in size.items()}
        rows.append(row | _design(terms, roles, size, universe, covariance, conf_level))
    shown = [
        {"effect": t.name, "variance": t.variance, "role": role, "divided_by": _divided_by(t, universe)}
        for t, role in zip(terms, roles, strict=True)
    ]
    notes = []
    if fixed:
        notes.append(f"Fixed facets: {', '.join(sorted(fixed))}. Results hold for these levels only.")
    if ignore:
        notes.append(f"Left out of every variance, as asked: {', '.join(sorted(ignore))}.")
    return DecisionStudy(Table.from_rows(rows), Table.from_rows(shown), target, tuple(notes), conf_level)


def _as_sizes(sizes: int | Sequence[int]) -> list[int]:
    return [sizes] if isinstance(sizes, int) else list(sizes)


def _role(term: Term, universe: frozenset[str], fixed: frozenset[str], ignore: frozenset[str]) -> Role:
    if term.name in ignore:
        return "ignored"
    others = term.facets - universe
    if universe <= term.facets:
        return "universe" if others <= fixed else "relative"
    if not others:
        return "stratum"
    return "constant" if others <= fixed else "absolute"


def _divided_by(term: Term, universe: frozenset[str]) -> str:
    return " x ".join(sorted(f"n_{facet}" for facet in term.facets - universe)) or "1"


def _design(
    terms: Sequence[Term],
    roles: Sequence[Role],
    size: Mapping[str, int],
    universe: frozenset[str],
    covariance: Array | None,
    conf_level: float,
) -> dict[str, float]:
    divisor = np.array([math.prod(size.get(f, 1) for f in term.facets - universe) for term in terms], dtype=float)
    part = np.array([term.variance for term in terms]) / divisor

    def total(*which: Role) -> float:
        return float(sum(value for value, role in zip(part, roles, strict=True) if role in which))

    true, relative = total("universe"), total("relative")
    absolute = relative + total("absolute")
    g = true / (true + relative) if true + relative > 0 else math.nan
    out = {"universe": true, "relative_error": relative, "absolute_error": absolute, "g": g}
    out["phi"] = true / (true + absolute) if true + absolute > 0 else math.nan
    se, lower, upper = math.nan, math.nan, math.nan
    if covariance is not None and true > 0 and relative > 0:
        slope = np.array([1 / true if r == "universe" else -1 / relative if r == "relative" else 0.0 for r in roles])
        slope = slope / divisor
        used = slope != 0
        variance = float(slope[used] @ covariance[np.ix_(used, used)] @ slope[used])
        se, lower, upper = _logit_interval(g, variance, conf_level)
    return out | {"g_se": se, "g_lower": lower, "g_upper": upper, "sem": math.sqrt(absolute)}


def _logit_interval(g: float, variance: float, conf_level: float) -> tuple[float, float, float]:
    """Standard error of g and its interval, from the variance of log(true / error)."""
    from scipy.special import expit, logit, ndtri

    if math.isnan(variance):
        return math.nan, math.nan, math.nan
    spread, z = math.sqrt(variance), float(ndtri(1 - (1 - conf_level) / 2))
    center = float(logit(g))
    return g * (1 - g) * spread, float(expit(center - z * spread)), float(expit(center + z * spread))


def _check(
    terms: Sequence[Term],
    target: str,
    n: Mapping[str, int | Sequence[int]],
    fixed: frozenset[str],
    ignore: frozenset[str],
) -> None:
    effects = [term.name for term in terms if term.name != RESIDUAL]
    facets = sorted(frozenset().union(*(term.facets for term in terms)))
    if target not in effects:
        raise OptionError.from_value("object", target, effects)
    for argument, names, allowed in (("n", n, facets), ("fixed", fixed, facets), ("ignore", ignore, effects)):
        for name in names:
            if name not in allowed:
                raise OptionError.from_value(argument, name, allowed)
    for name, sizes in n.items():
        if min(_as_sizes(sizes), default=0) < 1:
            raise OptionError(f"n: {sizes} levels of '{name}'; at least 1 is needed.")
