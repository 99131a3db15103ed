"""Rotation criteria: what each rotation makes small, with its first and second derivatives, for many matrices at once.

``ROTATIONS``          what each rotation is: its factors, whether it normalises by default, its options
``make_criterion``     the criterion behind a rotation
``QuarticCriterion``   varimax, quartimax, the Crawford-Ferguson family, oblimin, bi-quartimin: all are one quadratic
                       form in the squared loadings
``GeominCriterion``    geomin and bi-geomin
``TargetCriterion``    full and partially specified targets

Bentler's criterion, infomax and simplimax are in ``simplicity``.

Loadings are arrays (B, p, m): B matrices of p items by m factors. ``evaluate`` returns the values (B,) and the
gradients (B, p, m); ``gradient_change`` the derivative of the gradient along a change of the loadings.

References
----------
Bernaards, C. A., & Jennrich, R. I. (2005). Gradient projection algorithms and software for arbitrary rotation criteria
in factor analysis. Educational and Psychological Measurement, 65, 676-696 (criteria and gradients).
Crawford, C. B., & Ferguson, G. A. (1970). A general rotation criterion and its use in orthogonal rotation.
Psychometrika, 35, 321-332.
Jennrich, R. I., & Bentler, P. M. (2011). Exploratory bi-factor analysis. Psychometrika, 76, 537-549.
Yates, A. (1987). Multivariate exploratory data analysis. SUNY Press (geomin).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

import numpy as np

from relmeasure.exceptions import DataError, OptionError
from relmeasure.numerics.normal import Array
from relmeasure.numerics.simplicity import BentlerCriterion, InfomaxCriterion, SimplimaxCriterion

__all__ = [
    "ROTATIONS",
    "Criterion",
    "GeominCriterion",
    "QuarticCriterion",
    "RotationName",
    "RotationSpec",
    "TargetCriterion",
    "checked_options",
    "crawford_ferguson",
    "make_criterion",
    "oblimin",
    "quartimax",
    "varimax",
]

RotationName = Literal[
    "none", "varimax", "quartimax", "equamax", "parsimax", "crawford_ferguson", "geomin_orthogonal",
    "target_orthogonal", "bifactor", "bigeomin", "promax", "oblimin", "quartimin", "crawford_ferguson_oblique",
    "geomin", "target", "bifactor_oblique", "bigeomin_oblique", "bentler", "bentler_orthogonal", "infomax",
    "infomax_orthogonal", "simplimax",
]  # fmt: skip
"""Rotations of a loading matrix."""


class Criterion(Protocol):
    """A function of loadings that a rotation makes as small as it can."""

    def evaluate(self, L: Array) -> tuple[Array, Array]:
        """Return values (B,) and gradients (B, p, m) at loadings (B, p, m)."""

    def gradient_change(self, L: Array, dL: Array) -> Array:
        """Return the derivative of the gradient along ``dL``; ``L`` and ``dL`` broadcast, items by factors last."""


@dataclass(frozen=True)
class QuarticCriterion:
    """The quadratic form ``f = <X, W(X)> / 4`` in the squared loadings ``X``.

    ``W(X) = a X + b X11' + c 11'X / p + d 11'X11' / p``, over the columns from ``skip`` on; the gradient is ``L W(X)``,
    element by element.

    Attributes
    ----------
    own, row, column, total : float
        The weights a, b, c, d.
    skip : int
        Leading columns left out: 1 where the first factor is general.
    """

    own: float
    row: float = 0.0
    column: float = 0.0
    total: float = 0.0
    skip: int = 0

    def _form(self, X: Array) -> Array:
        out = self.own * X
        if self.row or self.total:
            across = X.sum(axis=-1, keepdims=True)
            out += self.row * across
            if self.total:
                out += self.total * across.mean(axis=-2, keepdims=True)
        if self.column:
            out += self.column * X.mean(axis=-2, keepdims=True)
        return out

    def evaluate(self, L: Array) -> tuple[Array, Array]:
        """Return values (B,) and gradients (B, p, m)."""
        inner = L[..., self.skip :]
        X = inner * inner
        form = self._form(X)
        value = np.einsum("bij,bij->b", X, form) / 4.0
        return value, _padded(inner * form, self.skip)

    def gradient_change(self, L: Array, dL: Array) -> Array:
        """Return the derivative of the gradient along ``dL``."""
        inner, step = L[..., self.skip :], dL[..., self.skip :]
        change = step * self._form(inner * inner) + inner * self._form(2.0 * inner * step)
        return _padded(change, self.skip)


@dataclass(frozen=True)
class GeominCriterion:
    """Geomin: the sum over items of the geometric mean of ``L^2 + epsilon`` over the factors from ``skip`` on."""

    epsilon: float = 0.01
    skip: int = 0

    def evaluate(self, L: Array) -> tuple[Array, Array]:
        """Return values (B,) and gradients (B, p, m)."""
        inner = L[..., self.skip :]
        X = inner * inner + self.epsilon
        mean = np.exp(np.log(X).mean(axis=-1, keepdims=True))
        gradient = (2.0 / inner.shape[-1]) * inner / X * mean
        return mean.sum(axis=(-2, -1)), _padded(gradient, self.skip)

    def gradient_change(self, L: Array, dL: Array) -> Array:
        """Return the derivative of the gradient along ``dL``."""
        inner, step = L[..., self.skip :], dL[..., self.skip :]
        X = inner * inner + self.epsilon
        share = 2.0 / inner.shape[-1]
        mean = np.exp(np.log(X).mean(axis=-1, keepdims=True))
        ratio = inner / X
        mean_change = mean * share * (ratio * step).sum(axis=-1, keepdims=True)
        ratio_change = step * (self.epsilon - inner * inner) / (X * X)
        return _padded(share * (ratio_change * mean + ratio * mean_change), self.skip)


@dataclass(frozen=True)
class TargetCriterion:
    """The weighted sum of squared distances to a target, ``sum w (L - target)^2``; weight 0 where nothing is asked."""

    target: Array
    weight: Array

    def evaluate(self, L: Array) -> tuple[Array, Array]:
        """Return values (B,) and gradients (B, p, m)."""
        distance = L - self.target
        weighted = self.weight * distance
        return (weighted * distance).sum(axis=(-2, -1)), 2.0 * weighted

    def gradient_change(self, L: Array, dL: Array) -> Array:
        """Return the derivative of the gradient along ``dL``."""
        del L
        return 2.0 * self.weight * dL


def _padded(columns: Array, skip: int) -> Array:
    """Put columns of zeros back where leading factors were left out."""
    if not skip:
        return columns
    zeros = np.zeros((*columns.shape[:-1], skip))
    return np.concatenate([zeros, columns], axis=-1)


# --------------------------------------------------------------------------- members of the quartic family
def quartimax() -> QuarticCriterion:
    """Quartimax: minus the sum of fourth powers, over 4 (Neuhaus & Wrigley, 1954)."""
    return QuarticCriterion(own=-1.0)


def varimax() -> QuarticCriterion:
    """Varimax: minus the variance of squared loadings within factors, times p / 4 (Kaiser, 1958)."""
    return QuarticCriterion(own=-1.0, column=1.0)


def crawford_ferguson(kappa: float, p: int, skip: int = 0) -> QuarticCriterion:
    """Crawford-Ferguson family: ``1 - kappa`` times row complexity plus ``kappa`` times column complexity.

    With orthogonal factors kappa 0, 1/p, m/(2p), (m-1)/(p+m-2) and 1 give the solutions of quartimax, varimax,
    equamax, parsimax and factor parsimony; with oblique factors kappa 0 is quartimin.
    """
    return QuarticCriterion(own=-1.0, row=1.0 - kappa, column=kappa * p, skip=skip)


def oblimin(gamma: float, skip: int = 0) -> QuarticCriterion:
    """Direct oblimin (Jennrich & Sampson, 1966); ``gamma = 0`` is quartimin."""
    return QuarticCriterion(own=-1.0, row=1.0, column=gamma, total=-gamma, skip=skip)


# --------------------------------------------------------------------------- rotations by name
@dataclass(frozen=True)
class RotationSpec:
    """What a rotation is.

    Attributes
    ----------
    oblique : bool
        Whether factors may correlate.
    kaiser : bool
        Whether items are normalised to unit communality when nothing else is asked for.
    defaults : dict
        Options and their default values.
    general : int
        Leading factors that keep their place: 1 where the first factor is general.
    by_target : bool
        Whether a target decides the order of factors.
    """

    oblique: bool = False
    kaiser: bool = False
    defaults: dict[str, Any] = field(default_factory=dict)
    general: int = 0
    by_target: bool = False


_EPSILON = {"epsilon": 0.01}
ROTATIONS: dict[str, RotationSpec] = {
    "none": RotationSpec(),
    "varimax": RotationSpec(kaiser=True),
    "quartimax": RotationSpec(),
    "equamax": RotationSpec(),
    "parsimax": RotationSpec(),
    "crawford_ferguson": RotationSpec(defaults={"kappa": 0.0}),
    "geomin_orthogonal": RotationSpec(defaults=_EPSILON),
    "target_orthogonal": RotationSpec(defaults={"target": None}, by_target=True),
    "bifactor": RotationSpec(general=1),
    "bigeomin": RotationSpec(defaults=_EPSILON, general=1),
    "promax": RotationSpec(oblique=True, kaiser=True, defaults={"power": 4.0, "metric": "raw"}),
    "oblimin": RotationSpec(oblique=True, defaults={"gamma": 0.0}),
    "quartimin": RotationSpec(oblique=True),
    "crawford_ferguson_oblique": RotationSpec(oblique=True, defaults={"kappa": 0.0}),
    "geomin": RotationSpec(oblique=True, defaults=_EPSILON),
    "target": RotationSpec(oblique=True, defaults={"target": None}, by_target=True),
    "bifactor_oblique": RotationSpec(oblique=True, general=1),
    "bigeomin_oblique": RotationSpec(oblique=True, defaults=_EPSILON, general=1),
    "bentler": RotationSpec(oblique=True),
    "bentler_orthogonal": RotationSpec(),
    "infomax": RotationSpec(oblique=True),
    "infomax_orthogonal": RotationSpec(),
    "simplimax": RotationSpec(oblique=True, defaults={"n_small": None}),
}
"""Every rotation by name."""


def make_criterion(
    rotation: str, p: int, m: int, options: Mapping[str, Any] | None = None, weight: Array | None = None
) -> Criterion:
    """Return the criterion of a rotation for p items and m factors; ``weight`` (p, 1): Kaiser weights, for a target."""
    given = ROTATIONS[rotation].defaults | dict(options or {})
    name = rotation.removesuffix("_oblique").removesuffix("_orthogonal")
    if name == "target":
        return _target(np.array(given["target"], dtype=float), p, m, weight)
    if name in ("geomin", "bigeomin"):
        return GeominCriterion(given["epsilon"], ROTATIONS[rotation].general)
    if name == "bentler":
        return BentlerCriterion()
    if name == "infomax":
        return InfomaxCriterion()
    if name == "simplimax":
        return _simplimax(given["n_small"], p, m)
    if name in ("varimax", "promax"):
        return varimax()
    if name in ("quartimax", "none"):
        return quartimax()
    if name in ("oblimin", "quartimin", "bifactor"):
        return oblimin(given.get("gamma", 0.0), ROTATIONS[rotation].general)
    kappa = {"equamax": m / (2.0 * p), "parsimax": (m - 1.0) / max(p + m - 2.0, 1.0)}
    return crawford_ferguson(kappa[name] if name in kappa else given["kappa"], p)


def _target(target: Array, p: int, m: int, weight: Array | None) -> TargetCriterion:
    if target.shape != (p, m):
        raise DataError(f"target= must have a row an item and a column a factor, {p} x {m}; it is {target.shape}.")
    asked = ~np.isnan(target)
    if not asked.any():
        raise DataError("target= asks for nothing: every element is NaN. Give a number where one is wanted.")
    wanted = np.where(asked, target, 0.0)
    return TargetCriterion(wanted if weight is None else wanted * weight, asked.astype(float))


def _simplimax(n_small: int | None, p: int, m: int) -> SimplimaxCriterion:
    if n_small is None:
        return SimplimaxCriterion(p)
    if n_small >= p * m:
        raise OptionError(
            f"n_small={n_small}: of {p} items by {m} factors there are {p * m} loadings, and not all can be small.",
            argument="n_small",
            value=n_small,
        )
    return SimplimaxCriterion(int(n_small))


_RANGES: dict[str, tuple[Callable[[float], bool], str]] = {
    "gamma": (lambda x: x <= 1.0, "at most 1 (above 0 there may be no minimum; 0 is quartimin)"),
    "epsilon": (lambda x: x > 0.0, "above 0"),
    "kappa": (lambda x: 0.0 <= x <= 1.0, "between 0 and 1"),
    "power": (lambda x: x > 1.0, "above 1"),
    "n_small": (lambda x: x >= 1 and x == int(x), "of loadings, 1 or more"),
}


def checked_options(rotation: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a rotation with its defaults; unknown names and values out of range raise OptionError."""
    if rotation not in ROTATIONS:
        raise OptionError.from_value("rotation", rotation, get_args(RotationName))
    defaults = ROTATIONS[rotation].defaults
    unknown = [key for key in options if key not in defaults]
    if unknown:
        takes = ", ".join(defaults) or "none"
        raise OptionError(f"rotation={rotation!r} has no option {unknown[0]!r}; it takes: {takes}.", option=unknown[0])
    given = defaults | dict(options)
    for key in given.keys() & _RANGES.keys():
        value, (allowed, words) = given[key], _RANGES[key]
        if value is None and defaults[key] is None:
            continue
        if not (isinstance(value, (int, float)) and math.isfinite(value) and allowed(value)):
            raise OptionError(f"{key}={value!r}: must be a number {words}.", argument=key, value=value)
    if given.get("metric", "raw") not in ("raw", "normalized"):
        raise OptionError.from_value("metric", given["metric"], ("raw", "normalized"))
    if "target" in given and given["target"] is None:
        raise OptionError(f"rotation={rotation!r} needs target=: a matrix with NaN where nothing is asked.")
    return given
