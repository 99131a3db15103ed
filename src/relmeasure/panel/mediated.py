"""The chains of one mediation call: estimates with and without measurement error, delta and bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.exceptions import DataError, EstimationError
from relmeasure.panel.error_moments import ClassMeans, ClassScatter
from relmeasure.panel.indirect import Chain, delta_covariance_of, names_of
from relmeasure.panel.inference import Inference
from relmeasure.panel.latent_moments import LatentMoments, latent_moments
from relmeasure.panel.resampling import bootstrap_covariances

__all__ = ["ChainNames", "Draws", "mediated"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class ChainNames:
    """A chain by names: variables in order, the columns of ``ClassMeans`` that hold them, and their own earlier values.

    Attributes
    ----------
    names : tuple of str
        Predictor, mediators, outcome.
    columns : tuple of str
    earlier : tuple of str or None
        Column of each variable's own earlier value.
    waves : tuple of str
        Wave of each variable.
    """

    names: tuple[str, ...]
    columns: tuple[str, ...]
    earlier: tuple[str | None, ...]
    waves: tuple[str, ...]

    @property
    def used(self) -> list[str]:
        """Columns of the moments."""
        return list(dict.fromkeys([*self.columns, *(e for e in self.earlier if e is not None)]))

    def chain(self) -> Chain:
        """Places among the columns that are used."""
        at = {name: k for k, name in enumerate(self.used)}
        return Chain(tuple(at[c] for c in self.columns), tuple(None if e is None else at[e] for e in self.earlier))


@dataclass(frozen=True)
class Draws:
    """What a bootstrap needs: the parts of every class, and how it is done."""

    scatter: ClassScatter
    workers: int
    progress: Callable[[int], None]


def mediated(
    means: ClassMeans, names: ChainNames, inference: Inference, draws: Draws | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of all associations along a chain, and of its regressions, uncorrected and corrected."""
    effects: list[dict[str, Any]] = []
    paths: list[dict[str, Any]] = []
    part = means.pick(columns=[means.names.index(name) for name in names.used])
    for corrected in (False, True):
        try:
            moments = latent_moments(part, corrected=corrected)
            if not moments.admissible:
                raise EstimationError("there is more error than variance in these scores")
        except (EstimationError, DataError) as problem:
            effects += _without_numbers(names, corrected, problem.message)
            continue
        effects += _effects(part, names, moments, inference, draws, means, corrected=corrected)
        paths += _paths(names, moments, inference, corrected=corrected)
    return effects, paths


def _labels(names: ChainNames) -> list[tuple[str, str]]:
    """(kind, path) of every effect, in the order of ``Chain.effects``."""
    chain = names.chain()
    whole = f"{names.names[0]} -> {names.names[-1]}"
    middle = [("indirect", names_of(path, names.names)) for path in chain.indirect]
    return [("direct", whole), *middle, ("total indirect", whole), ("total", whole)]


def _row(names: ChainNames, kind: str, path: str, corrected: bool, reason: str | None) -> dict[str, Any]:
    row: dict[str, Any] = {"outcome": names.names[-1], "kind": kind, "path": path, "corrected": corrected}
    numbers = ("estimate", "se", "lower", "upper", "std", "std_lower", "std_upper")
    return row | dict.fromkeys(numbers, math.nan) | {"interval": None, "n_draws": 0, "n_classes": 0, "reason": reason}


def _without_numbers(names: ChainNames, corrected: bool, reason: str) -> list[dict[str, Any]]:
    return [_row(names, kind, path, corrected, reason) for kind, path in _labels(names)]


def _effects(
    part: ClassMeans,
    names: ChainNames,
    moments: LatentMoments,
    inference: Inference,
    draws: Draws | None,
    means: ClassMeans,
    *,
    corrected: bool,
) -> list[dict[str, Any]]:
    chain, p = names.chain(), len(part.names)
    whole = moments.cov[None]
    values, ratio = chain.effects(whole)[0], float(chain.scale(whole)[0])
    variance = np.diag(delta_covariance_of(chain.effects, moments.cov, moments.acov(inference.groups)[p:, p:]))
    drawn = _drawn(part, names, moments, draws, means, corrected=corrected)
    carried = [part.names.index(name) for name in names.columns]
    n_classes = int((~np.isnan(part.mean[:, carried])).all(axis=1).sum())
    out = []
    for k, (kind, path) in enumerate(_labels(names)):
        about = inference.about(float(values[k]), float(variance[k]))
        row = _row(names, kind, path, corrected, None) | {
            key: about[key] for key in ("estimate", "se", "lower", "upper")
        }
        row |= {"std": about["estimate"] * ratio, "n_classes": n_classes, "interval": "delta method"}
        row |= {"std_lower": about["lower"] * ratio, "std_upper": about["upper"] * ratio}
        if drawn is not None:
            row |= _percentiles(drawn[0][:, k], drawn[1], inference.conf_level)
        out.append(row)
    return out


def _drawn(
    part: ClassMeans,
    names: ChainNames,
    moments: LatentMoments,
    draws: Draws | None,
    means: ClassMeans,
    *,
    corrected: bool,
) -> tuple[Array, Array] | None:
    """Effects and the ratio of standard deviations in every draw."""
    if draws is None:
        return None
    scatter = draws.scatter.pick([means.names.index(name) for name in names.used])
    covariances = bootstrap_covariances(
        part, scatter if corrected else None, moments, scatter.weights, workers=draws.workers, progress=draws.progress
    )
    chain = names.chain()
    return chain.effects(covariances), chain.scale(covariances)


def _percentiles(values: Array, ratio: Array, conf_level: float) -> dict[str, Any]:
    """Percentile intervals; none where more than a tenth of the draws has no estimate."""
    usable = ~np.isnan(values) & ~np.isnan(ratio)
    found: dict[str, Any] = {"n_draws": int(usable.sum()), "interval": "percentiles of draws"}
    names = ("se", "lower", "upper", "std_lower", "std_upper")
    if usable.mean() < 0.9:
        reason = f"{int((~usable).sum())} of {len(values)} draws have no estimate: more classes or students are needed"
        return found | dict.fromkeys(names, math.nan) | {"reason": reason}
    half = (1 - conf_level) / 2
    raw, standard = values[usable], (values * ratio)[usable]
    bounds = [*np.quantile(raw, [half, 1 - half]), *np.quantile(standard, [half, 1 - half])]
    return found | dict(zip(names, (float(raw.std(ddof=1)), *map(float, bounds)), strict=True))


def _paths(names: ChainNames, moments: LatentMoments, inference: Inference, *, corrected: bool) -> list[dict[str, Any]]:
    chain, p = names.chain(), len(moments.names)
    acov = moments.acov(inference.groups)[p:, p:]
    sd = np.sqrt(np.diag(moments.cov))
    out = []
    for k, places in chain.regressions():
        weights = chain.weights(moments.cov[None])[k - 1][0]
        covariance = delta_covariance_of(lambda cov, k=k: chain.weights(cov)[k - 1], moments.cov, acov)
        for place, weight, variance in zip(places, weights, np.diag(covariance), strict=True):
            row: dict[str, Any] = {"outcome": names.names[k], "predictor": _label(names, chain, place, k)}
            row |= {"order": _order(names, chain, place, k), "corrected": corrected}
            row |= inference.about(float(weight), float(variance))
            out.append(row | {"std": float(weight * sd[place] / sd[chain.variables[k]])})
    return out


def _label(names: ChainNames, chain: Chain, place: int, k: int) -> str:
    if place == chain.earlier[k]:
        return f"{names.names[k]} (earlier)"
    return names.names[chain.variables.index(place)]


def _order(names: ChainNames, chain: Chain, place: int, k: int) -> str:
    if place == chain.earlier[k]:
        return "own earlier value"
    return "same wave" if names.waves[chain.variables.index(place)] == names.waves[k] else "earlier wave"


def unique_rows(rows: Sequence[dict[str, Any]], keys: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of regressions once each: chains to several outcomes share their first links."""
    seen: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        seen.setdefault(tuple(row[key] for key in keys), row)
    return list(seen.values())
