"""Two-step maximum likelihood for stacked tables: thresholds from the margins, then every correlation at once.

The log-likelihood of one table, with thresholds fixed, is ``sum n_kl log P_kl(rho)``. It is maximised over the angle
``theta = asin(rho)``: there the derivative of a cell is bounded, ``dPhi2 / dtheta = exp(-q / 2) / (2 pi)`` with
``q = (h^2 - 2 h k rho + k^2) / (1 - rho^2)``, also at ``|rho| = 1``. Newton steps run for all pairs together; a bracket
around each maximum, from the sign of its score, catches steps that leave it.

References
----------
Olsson, U. (1979). Maximum likelihood estimation of the polychoric correlation coefficient. Psychometrika, 44, 443-460
(two-step estimator: section 3; score: eq. 12).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from relmeasure.numerics.normal import (
    Array,
    difference_cells,
    difference_inner,
    normal_cdf,
    normal_density,
    normal_quantile,
    owen_cdf,
    small_rectangles,
)
from relmeasure.samplestats.contingency import ContingencyTables, item_pairs

__all__ = ["Margin", "Stack", "Solution", "margins", "solve_stack", "stacks"]

_MAX_STEPS = 60
"""Newton needs 3 to 5; bisection from anywhere needs about 45."""

_STEP_TOLERANCE = 1e-7
"""A Newton step below this leaves an error near its square."""

_STACK_CORNERS = 1 << 14
"""Inner corners of a stack: its dozen working arrays stay in cache."""

_SHORT_STEP, _SHORTER_STEP = 0.1, 0.01
"""Steps, as shares of the distance to ``|rho| = 1``, over which 5 and 3 Gauss nodes are exact to rounding."""

_NODES_3, _NODES_5 = (
    tuple(zip(*(part.tolist() for part in np.polynomial.legendre.leggauss(n)), strict=True)) for n in (3, 5)
)

_SMALL_CELL = 1e-9
"""Cells are differences of probabilities: below this too few digits are left, and a filled cell is computed anew."""

_EMPTY_CELL = 1e-15
"""Below this a cell is rounding; unfilled cells are held here, which changes nothing."""

_LOST_CELL = 1e-250
"""A filled cell below this cannot be told from an impossible one."""


@dataclass(frozen=True)
class Margin:
    """One ordered item: which categories were chosen, and its thresholds.

    ``kept``: category numbers with a count; ``cumulative``: proportions up to all but the last of them;
    ``cuts``: their normal quantiles; ``total``: sum of weights; ``scores``: mean latent response in each category.
    """

    kept: np.ndarray
    cumulative: Array
    cuts: Array
    total: float
    scores: Array

    @property
    def numbers(self) -> tuple[int, ...]:
        """Numbers of the estimated thresholds, from 1, by declared categories: number k lies above category k."""
        return tuple(int(k) + 1 for k in self.kept[:-1])


def margins(tables: ContingencyTables) -> list[Margin]:
    """Return the thresholds of every item from its own rows; the threshold of an empty category is dropped."""
    out = []
    for counts in tables.marginal:
        kept = np.flatnonzero(counts > 0)
        used = counts[kept]
        total = float(used.sum())
        cumulative = np.cumsum(used)[:-1] / total if len(kept) else np.zeros(0)
        cuts = normal_quantile(cumulative)
        heights = normal_density(cuts)
        scores = (np.r_[0.0, heights] - np.r_[heights, 0.0]) * total / used if len(kept) else np.zeros(0)
        out.append(Margin(kept, cumulative, cuts, total, scores))
    return out


@dataclass(frozen=True)
class Stack:
    """Tables of the same shape: counts (a + 1, b + 1, m), their cuts (a, m) and (b, m), and which pairs they are."""

    pairs: np.ndarray
    first: np.ndarray
    second: np.ndarray
    counts: Array
    rows: Array
    cols: Array
    row_scores: Array
    col_scores: Array


def stacks(tables: ContingencyTables, items: list[Margin], joint: Array) -> Iterator[Stack]:
    """Group the pairs by the shape of their tables, in blocks that fit into cache; empty categories left out.

    Pairs with an item of fewer than two categories, and tables without rows, appear in no stack.
    """
    first, second = item_pairs(tables.n_items)
    size = np.array([len(item.kept) for item in items], dtype=np.int64)
    usable = (size[first] > 1) & (size[second] > 1) & (joint.sum(axis=(1, 2)) > 0)
    key = np.where(usable, size[first] * (size.max(initial=0) + 1) + size[second], -1)
    for shape in np.unique(key[usable]):
        members = np.flatnonzero(key == shape)
        a, b = int(size[first[members[0]]]), int(size[second[members[0]]])
        step = max(1, _STACK_CORNERS // ((a - 1) * (b - 1)))
        for start in range(0, len(members), step):
            pairs = members[start : start + step]
            i, j = first[pairs], second[pairs]
            kept_rows, kept_cols = (np.array([items[k].kept for k in side]) for side in (i, j))
            counts = joint[pairs[:, None, None], kept_rows[:, :, None], kept_cols[:, None, :]]
            yield Stack(
                pairs,
                i,
                j,
                np.ascontiguousarray(counts.transpose(1, 2, 0)),
                *(np.array([items[k].cuts for k in side]).T.copy() for side in (i, j)),
                *(np.array([items[k].scores for k in side]).T.copy() for side in (i, j)),
            )


# --------------------------------------------------------------------------- the maximum
@dataclass(frozen=True)
class Solution:
    """Correlations of a stack, and the cell probabilities there.

    ``rho, converged, at_bound``: array (m,), the last one -1, 0 or 1; ``cells``: array (a + 1, b + 1, m).
    """

    rho: Array
    cells: Array
    converged: np.ndarray
    at_bound: np.ndarray


class _Cells:
    """Cell probabilities of a stack as functions of the angles of its pairs."""

    def __init__(self, stack: Stack) -> None:
        self.h, self.k = stack.rows[:, None], stack.cols[None, :]
        self.squares, self.product = 0.5 * (self.h * self.h + self.k * self.k), self.h * self.k
        self.cdf_rows, self.cdf_cols = normal_cdf(stack.rows), normal_cdf(stack.cols)

    def at(self, theta: Array) -> Array:
        """Evaluate through Owen's T: exact everywhere."""
        inner = owen_cdf(self.h, self.k, np.sin(theta), self.cdf_rows[:, None], self.cdf_cols[None, :])
        return difference_cells(inner, self.cdf_rows, self.cdf_cols)

    def heights(self, theta: Array) -> Array:
        """Return ``2 pi dPhi2 / dtheta`` at the inner corners."""
        return np.asarray(np.exp((self.product * np.sin(theta) - self.squares) / np.cos(theta) ** 2))

    def slopes(self, theta: Array) -> tuple[Array, Array]:
        """Return the first and second derivatives of the cells by the angle."""
        rho, root = np.sin(theta), np.cos(theta)
        slope = np.exp((self.product * rho - self.squares) / (root * root)) / (2.0 * math.pi)
        bend = slope * (self.product * (1.0 + rho * rho) - 2.0 * rho * self.squares) / root**3
        return difference_inner(slope), difference_inner(bend)

    def moved(self, cells: Array, theta: Array, step: Array) -> Array:
        """Return the cells at ``theta + step``: by Gauss quadrature of the slopes if the steps are short, else anew.

        The slopes are analytic but at ``|rho| = 1``; five nodes over a tenth of the distance leave 1e-16.
        """
        share = np.max(np.abs(step) / np.minimum(np.cos(theta), np.cos(theta + step)))
        if not share < _SHORT_STEP:
            return self.at(theta + step)
        half, total = 0.5 * step, np.zeros_like(self.product)
        for node, weight in _NODES_5 if share > _SHORTER_STEP else _NODES_3:
            total += weight * self.heights(theta + half * (1.0 + node))
        return np.asarray(cells + difference_inner(total * half / (2.0 * math.pi)))

    def sharpened(self, cells: Array, theta: Array, filled: np.ndarray) -> Array:
        """Return the cells with small filled ones computed with relative accuracy: their logarithms count."""
        small = filled & (cells < _SMALL_CELL)
        cells = np.where(filled, cells, np.maximum(cells, _EMPTY_CELL))
        if small.any():
            r, c, pair = np.nonzero(small)
            rows, cols = (np.pad(x, ((1, 1), (0, 0)), constant_values=np.inf) for x in (self.h[:, 0], self.k[0]))
            rows[0], cols[0] = -np.inf, -np.inf
            sides = (rows[r, pair], rows[r + 1, pair], cols[c, pair], cols[c + 1, pair])
            cells[small] = small_rectangles(*sides, np.sin(theta[pair]))
        return np.asarray(cells)


def solve_stack(stack: Stack) -> Solution:
    """Maximise the likelihood of every table of a stack over its correlation."""
    curve = _Cells(stack)
    filled, total = stack.counts > 0, stack.counts.sum(axis=(0, 1))
    theta = _start(stack)
    cells = curve.sharpened(curve.at(theta), theta, filled)
    low, high = np.full_like(theta, -0.5 * math.pi), np.full_like(theta, 0.5 * math.pi)
    done = np.zeros(theta.shape, bool)
    for _ in range(_MAX_STEPS):
        d1, d2 = curve.slopes(theta)
        lost = (filled & (cells < _LOST_CELL)).any(axis=(0, 1))
        safe = np.maximum(cells, _LOST_CELL)
        ratio, squared = stack.counts / safe, d1 * d1 / safe
        score = (ratio * d1).sum(axis=(0, 1))
        observed, expected = (ratio * (squared - d2)).sum(axis=(0, 1)), total * squared.sum(axis=(0, 1))
        score = np.where(lost, -np.sign(theta), score)  # an impossible filled cell: go back towards independence
        low, high = np.where(score > 0, theta, low), np.where(score < 0, theta, high)
        newton = theta + score / np.maximum(np.where(observed > 0, observed, expected), 1e-300)
        step = np.where(~lost & (low < newton) & (newton < high), newton, 0.5 * (low + high)) - theta
        step = np.where(done | (score == 0), 0.0, step)
        cells, theta = curve.sharpened(curve.moved(cells, theta, step), theta + step, filled), theta + step
        done |= np.abs(step) < _STEP_TOLERANCE
        if done.all():
            break
    at_bound = _at_bound(stack, cells, curve)
    rho = np.where(at_bound == 0, np.sin(theta), at_bound)
    return Solution(rho, cells, done | (at_bound != 0), at_bound)


def _start(stack: Stack) -> Array:
    """Return a starting angle: exact for tables cut at both medians, and for very many categories."""
    counts, a, b = stack.counts, stack.row_scores, stack.col_scores
    total = counts.sum(axis=(0, 1))
    cross = (counts * a[:, None] * b[None, :]).sum(axis=(0, 1)) / total
    spread = np.sqrt((counts.sum(axis=1) * a * a).sum(axis=0) * (counts.sum(axis=0) * b * b).sum(axis=0)) / total
    r = np.clip(np.divide(cross, spread, out=np.zeros_like(cross), where=spread > 0), -1.0, 1.0)
    share = np.clip((spread - 2.0 / math.pi) / (1.0 - 2.0 / math.pi), 0.0, 1.0)
    angle = r / np.maximum(spread, 0.1) + share * (np.arcsin(r) - r)
    return np.asarray(np.clip(angle, -1.4, 1.4))


def _at_bound(stack: Stack, cells: Array, curve: _Cells) -> np.ndarray:
    """Return where the likelihood at ``rho = 1`` or ``-1`` is no lower than at the inner solution.

    At a bound the cells are those of (counter)monotone variables. It is a candidate only where every filled cell has
    a positive probability there, which takes a table with most cells empty.
    """
    a, b, m = cells.shape
    out = np.zeros(m)
    sparse = np.flatnonzero((stack.counts > 0).sum(axis=(0, 1)) < a + b)
    if len(sparse):
        f, g, counts = curve.cdf_rows[:, sparse], curve.cdf_cols[:, sparse], stack.counts[:, :, sparse]
        best = _log_likelihood(counts, cells[:, :, sparse])
        down = np.maximum(f[:, None] + g[None, :] - 1.0, 0.0)
        for bound, corners in ((1.0, np.minimum(f[:, None], g[None, :])), (-1.0, down)):
            ends = difference_cells(corners, f, g)
            end = _log_likelihood(counts, np.where(ends < _EMPTY_CELL, 0.0, ends))
            better = np.isfinite(end) & (end >= best - 1e-9 * np.abs(best))
            out[sparse[better]] = bound
            best = np.maximum(best, end)
    return out


def _log_likelihood(counts: Array, cells: Array) -> Array:
    filled = counts > 0
    with np.errstate(divide="ignore"):
        logs = np.log(np.where(filled, np.maximum(cells, 0.0), 1.0))
    return np.asarray((np.where(filled, counts, 0.0) * logs).sum(axis=(0, 1)))
