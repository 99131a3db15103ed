"""Clusters of standard errors, and the quantiles that go with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.exceptions import TooFewObservationsError

__all__ = ["Inference"]


@dataclass(frozen=True)
class Inference:
    """How estimates become intervals: normal over classes, t with G - 1 degrees of freedom over G schools.

    Attributes
    ----------
    groups : sequence, pair of sequences, or None
        For ``cluster_meat``: schools of the classes, two groupings for two-way errors, None for the classes themselves.
    freedom : float
        Infinite for classes; with two groupings the smaller number decides.
    conf_level : float
    """

    groups: Any
    freedom: float
    conf_level: float

    @classmethod
    def of(cls, schools: Sequence[Sequence[str]], mask: Any, conf_level: float) -> Inference:
        """Of all classes, or of those in ``mask``; one school, which says nothing of the next, is refused."""
        if not schools:
            return cls(None, math.inf, conf_level)
        kept = [s if mask is None else [x for x, keep in zip(s, mask, strict=True) if keep] for s in schools]
        freedom = float(min(len(set(labels)) for labels in kept) - 1)
        if freedom < 1:
            raise TooFewObservationsError(
                f"One school ('{kept[0][0] if kept[0] else 'none'}') in these {len(kept[0])} classes: standard errors "
                "that are robust to schools need several. Leave school= out for errors over classes.",
                n_clusters=len(set(kept[0])),
            )
        return cls(kept[0] if len(kept) == 1 else tuple(kept), freedom, conf_level)

    def quantile(self, probability: float) -> float:
        """Quantile of the normal or the t distribution."""
        from scipy.special import ndtri, stdtrit

        if math.isinf(self.freedom):
            return float(ndtri(probability))
        return float(stdtrit(self.freedom, probability)) if self.freedom > 0 else math.nan

    def tail(self, z: float) -> float:
        """Two-sided p value."""
        from scipy.special import ndtr, stdtr

        if math.isinf(self.freedom):
            return 2 * float(ndtr(-abs(z)))
        return 2 * float(stdtr(self.freedom, -abs(z))) if self.freedom > 0 else math.nan

    def about(self, estimate: float, variance: float) -> dict[str, float]:
        """``estimate se lower upper pvalue``."""
        se = math.sqrt(max(variance, 0.0))
        margin = self.quantile(1 - (1 - self.conf_level) / 2) * se
        tail = self.tail(estimate / se) if se > 0 else math.nan
        return {"estimate": estimate, "se": se, "lower": estimate - margin, "upper": estimate + margin, "pvalue": tail}

    def clustered(self, influence: Any) -> Any:
        """Covariance of estimates from what each class adds to them, array (J, q)."""
        from relmeasure.panel.latent_moments import cluster_meat

        return cluster_meat(np.asarray(influence), self.groups)
