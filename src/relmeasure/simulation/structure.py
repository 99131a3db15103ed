"""Students in classes over waves: sizes, factors, groups and gaps of simulated responses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from relmeasure.exceptions import OptionError, TooFewItemsError

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument

__all__ = ["Factors", "class_sizes", "gap_probability", "group_of_each", "item_residual_sd", "scales_with_items"]

Array = np.ndarray[Any, np.dtype[Any]]

DEFAULT_ICC = 0.15
"""Share of variance between classes of a scale that ``icc`` does not name."""


def scales_with_items(instrument: Instrument) -> list[str]:
    """Scales that become factors."""
    return [scale.id for scale in instrument.scales if scale.items]


class Factors:
    """Factor values of students in classes; between waves both parts move as first-order autoregressions."""

    def __init__(
        self,
        scales: Sequence[str],
        cluster: Array,
        icc: float | Mapping[str, float],
        correlation: float,
        generator: np.random.Generator,
    ) -> None:
        m = max(len(scales), 1)
        share = [icc.get(s, DEFAULT_ICC) if isinstance(icc, Mapping) else icc for s in scales] or [0.0]
        self.share = np.array(share)
        self._root = np.linalg.cholesky(np.full((m, m), correlation) + (1 - correlation) * np.eye(m))
        self._cluster, self._generator = cluster, generator
        self.between = self._draw(int(cluster.max()) + 1)
        self.within = self._draw(len(cluster))

    def _draw(self, count: int) -> Array:
        return np.asarray(self._generator.standard_normal((count, len(self._root))) @ self._root.T)

    def move(self, stability: tuple[float, float], *, same_students: bool) -> None:
        """Go to the next wave: classes keep part of their value, and so do students who are the same."""
        for_class, for_student = stability
        self.between = for_class * self.between + math.sqrt(1 - for_class**2) * self._draw(len(self.between))
        fresh = self._draw(len(self.within))
        kept = for_student if same_students else 0.0
        self.within = kept * self.within + math.sqrt(1 - kept**2) * fresh

    @property
    def theta(self) -> Array:
        """Factor values, array (students, scales)."""
        return np.asarray(np.sqrt(self.share) * self.between[self._cluster] + np.sqrt(1 - self.share) * self.within)


def item_residual_sd(item: str, loading: float, icc: float, between_loading: float) -> float:
    """Standard deviation of what a class adds to one item beyond its factor.

    With it the standardised loading of the item's class part on the class factor is ``between_loading``:
    loading^2 icc / (loading^2 icc + sd^2) = between_loading^2.
    """
    variance = loading**2 * icc * (1 / between_loading**2 - 1)
    if variance > 1 - loading**2:
        raise OptionError(
            f"between_loading={between_loading} of '{item}' asks for more variance ({variance:.2f}) than its loading "
            f"of {loading} leaves ({1 - loading**2:.2f}): raise between_loading, or lower loading or icc.",
            item=item,
        )
    return math.sqrt(variance)


def group_of_each(groups: Mapping[str, float] | None, count: int, generator: np.random.Generator) -> Array | None:
    """A group for each student, drawn by the shares."""
    if groups is None:
        return None
    shares = np.array(list(groups.values()), dtype=float)
    if not groups or (shares < 0).any() or not math.isclose(float(shares.sum()), 1.0, abs_tol=1e-9):
        raise OptionError(f"groups={dict(groups)!r}: give each group its share; shares add up to 1.")
    return generator.choice(np.array(list(groups)), size=count, p=shares)


def gap_probability(share: float, mechanism: str, first: Array, theta: Array) -> float | Array:
    """Probability of a gap for each student: the same for all, or rising as an answer or the factor falls.

    Ranks run over (0, 1) with mean one half: twice the share times one minus the rank has the share as its mean.
    """
    if mechanism == "mcar" or share == 0:
        return share
    driver = first if mechanism == "mar" else theta
    _, place, count = np.unique(driver, return_inverse=True, return_counts=True)
    middle = (np.cumsum(count) - count / 2) / len(driver)
    return np.asarray(2 * share * (1 - middle[place]))


def class_sizes(
    n_clusters: int, cluster_size: int | tuple[int, int] | Sequence[int], generator: np.random.Generator
) -> Array:
    """Students of each class."""
    if np.asarray(n_clusters).dtype.kind not in "iu" or n_clusters < 1:
        raise OptionError(f"n_clusters={n_clusters!r}: at least one class is needed, and a whole number of them.")
    given = np.asarray(cluster_size)
    whole = given.dtype.kind in "iu" and given.ndim < 2
    bounds = whole and isinstance(cluster_size, tuple) and len(cluster_size) == 2
    if bounds and given[0] <= given[1]:
        sizes = generator.integers(given[0], given[1], n_clusters, endpoint=True)
    else:
        sizes = np.full(n_clusters, given) if given.ndim == 0 else given
    if not whole or len(sizes) != n_clusters or (sizes < 1).any() or (bounds and given[0] > given[1]):
        raise OptionError(
            f"cluster_size={cluster_size!r}: give a positive size, two bounds, or one size a class ({n_clusters})."
        )
    return np.asarray(sizes, dtype=np.int64)


def require_items(instrument: Instrument, designs: Sequence[Any]) -> None:
    """Refuse an instrument of open answers only."""
    if not designs:
        raise TooFewItemsError(f"Instrument '{instrument.id}' has no items with response options to simulate.")
