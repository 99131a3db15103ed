r"""Variance components of a sum of items, without a model of the items.

The sum of complete rows is one variable in clusters, so its components are those of the unrestricted two-level model of
one variable. With missing answers the unrestricted covariances of the items are summed instead.

References
----------
Searle, S. R., Casella, G., & McCulloch, C. E. (1992). Variance Components, section 6.3 (expected information).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.structural.two_level.sample import SizeMoments, TwoLevelSample, Variables
from relmeasure.structural.two_level.saturated import unrestricted_moments

__all__ = ["SumComponents", "size_components", "sum_components"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class SumComponents:
    """Variance components of a sum.

    Attributes
    ----------
    within, between : float
    covariance : array (2, 2)
        Of these two estimates; NaN with missing answers.
    """

    within: float
    between: float
    covariance: Array

    def icc2(self, n: float) -> tuple[float, float]:
        """Return the reliability of the mean of n rows, and its delta-method standard error."""
        total = self.between + self.within / n
        slopes = np.array([-self.between / n, self.within / n]) / total**2
        variance = float(slopes @ self.covariance @ slopes)
        return self.between / total, math.sqrt(variance) if variance >= 0 else math.nan


def sum_components(sample: TwoLevelSample, items: Sequence[int] | Array) -> SumComponents:
    """Return the variance components of the sum of some items."""
    at = list(items)
    if sample.cells is not None:
        square = np.ix_(at, at)
        within, between = (float(np.asarray(group.cov)[square].sum()) for group in sample.groups)
        return SumComponents(within, between, np.full((2, 2), np.nan))
    sizes = sample.sizes.subset(at)
    one = SizeMoments(
        sizes.n,
        sizes.count,
        sizes.mean.sum(axis=1, keepdims=True),
        sizes.scatter.sum(axis=(1, 2))[:, None, None],
        np.array([[sizes.within.sum()]]),
    )
    return size_components(one)


def size_components(one: SizeMoments) -> SumComponents:
    """Return the variance components of one variable, from clusters joined by size."""
    found = unrestricted_moments(one, Variables(("sum",), (True,), (True,)))
    within, between = float(found.within[0, 0]), float(found.between[0, 0])
    a = one.count / (between + within / one.n) ** 2
    cross = float((a / one.n).sum())
    own = float((a / one.n**2).sum()) + one.n_inner / within**2
    information = 0.5 * np.array([[own, cross], [cross, float(a.sum())]])
    return SumComponents(within, between, np.linalg.inv(information))
