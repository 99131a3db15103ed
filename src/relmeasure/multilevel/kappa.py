"""Chance-corrected agreement of raters on categories: Cohen's and weighted kappa, with standard errors.

The standard error is that of the delta method, written through the contribution of each target, so that the kappas of
several pairs of raters can be averaged with a standard error for the average (for one pair it is the formula of Fleiss,
Cohen and Everitt, 1969).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

__all__ = ["KappaWeights", "kappa_rows", "pair_kappa"]

KappaWeights = Literal["none", "linear", "quadratic"]
"""How far apart two categories are: all alike, by their distance, or by its square."""

Array = np.ndarray[Any, np.dtype[np.float64]]

_ONE_CATEGORY = "both raters use one and the same category throughout: chance agreement is perfect"


@dataclass(frozen=True)
class PairKappa:
    """Kappa of two raters and the contribution of each target to it (mean zero)."""

    kappa: float
    observed: float
    expected: float
    influence: Array

    @property
    def se(self) -> float:
        """Standard error for a sample of targets."""
        n = len(self.influence)
        return math.sqrt(float(self.influence @ self.influence)) / n


def agreement_weights(codes: Array, weights: KappaWeights) -> Array:
    """Agreement of every two categories: 1 on the diagonal, 0 for the farthest."""
    distance = np.abs(codes[:, None] - codes[None, :])
    if weights == "none":
        return np.asarray((distance == 0).astype(float))
    power = 2 if weights == "quadratic" else 1
    widest = distance.max()
    return np.asarray(1 - (distance / widest) ** power) if widest > 0 else np.ones_like(distance)


def pair_kappa(first: Array, second: Array, weights: KappaWeights) -> PairKappa:
    """Kappa of two raters' codes of the same targets; NaN where both use one category only."""
    codes, place = np.unique(np.concatenate([first, second]), return_inverse=True)
    i, j = place[: len(first)], place[len(first) :]
    n, m = len(first), len(codes)
    shares = np.bincount(i * m + j, minlength=m * m).reshape(m, m) / n
    w = agreement_weights(codes, weights)
    row, column = shares.sum(axis=1), shares.sum(axis=0)
    observed, expected = float((w * shares).sum()), float(row @ w @ column)
    if not expected < 1 - 1e-12:
        return PairKappa(math.nan, observed, expected, np.full(n, math.nan))
    room = 1 - expected
    by_row, by_column = w @ column, row @ w
    influence = (w[i, j] - observed) / room - (1 - observed) / room**2 * (by_row[i] + by_column[j] - 2 * expected)
    return PairKappa((observed - expected) / room, observed, expected, influence)


def kappa_rows(matrix: Array, raters: Sequence[str], conf_level: float) -> list[dict[str, Any]]:
    """One row a kind of weights and pair of raters; of several pairs also their mean (Light, 1971)."""
    from scipy.special import ndtri

    z = float(ndtri(1 - (1 - conf_level) / 2))
    rows: list[dict[str, Any]] = []
    k = matrix.shape[1]
    kinds: tuple[KappaWeights, ...] = ("none", "linear", "quadratic")
    for weights in kinds:
        pairs = {(a, b): pair_kappa(matrix[:, a], matrix[:, b], weights) for a in range(k) for b in range(a + 1, k)}
        found = {f"{raters[a]} / {raters[b]}": pair for (a, b), pair in pairs.items()}
        if len(found) > 1:
            found["mean of pairs"] = _mean(list(found.values()))
        for name, pair in found.items():
            row: dict[str, Any] = {
                "coefficient": "cohen_kappa" if weights == "none" else "weighted_kappa",
                "weights": weights,
            }
            row |= {"raters": name, "estimate": pair.kappa, "se": pair.se}
            row |= {"lower": max(pair.kappa - z * pair.se, -1.0), "upper": min(pair.kappa + z * pair.se, 1.0)}
            row |= {"observed": pair.observed, "expected": pair.expected, "n_targets": len(matrix)}
            rows.append(row | {"reason": _ONE_CATEGORY if math.isnan(pair.kappa) else None})
    return rows


def _mean(pairs: Sequence[PairKappa]) -> PairKappa:
    return PairKappa(
        kappa=float(np.mean([p.kappa for p in pairs])),
        observed=float(np.mean([p.observed for p in pairs])),
        expected=float(np.mean([p.expected for p in pairs])),
        influence=np.mean([p.influence for p in pairs], axis=0),
    )
