"""Which cells of a published table must be hidden, so that nobody can compute what few students said.

A cell below the minimum count is hidden (primary suppression). Totals would give it back by subtraction, so further
cells are hidden until, at every published total, the hidden students beneath it are at least two cells and at least the
minimum count together (complementary suppression; Willenborg & de Waal, 2001, Elements of Statistical Disclosure
Control, chapter 4).

A table of classes by subgroups has margins on both sides. What its published margins reveal about hidden cells is
every cut of the graph whose nodes are the classes and the subgroups and whose edges are the hidden cells (Gusfield,
1988, SIAM Journal on Computing, 17, 552-571), so cells are hidden until no cut holds fewer students than the minimum.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from relmeasure.exceptions import DataError, OptionError

__all__ = ["SubgroupSuppression", "Suppression", "suppress", "suppress_subgroups"]

Counts = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

MAX_GROUPS = 10
"""Subgroups of one table: every set of them is looked at."""

ROOT = "all"
"""Name of the total over everything."""


@dataclass(frozen=True)
class Suppression:
    """What is hidden of a table with totals.

    Attributes
    ----------
    cells : tuple of bool
        True for each cell (class) that must be hidden, in the order given.
    totals : tuple of dict
        For each level of totals, lowest first: label to True where that total must be hidden.
    overall : bool
        Whether the total over everything must be hidden.
    minimum : int
    """

    cells: tuple[bool, ...]
    totals: tuple[dict[Hashable, bool], ...]
    overall: bool
    minimum: int

    def known_sums(self, *parents: Sequence[Hashable]) -> list[Hashable | None]:
        """For each cell the published total that reveals the sum of the hidden cells beneath it, or None."""
        out: list[Hashable | None] = []
        for k in range(len(self.cells)):
            levels = ((level, labels[k]) for level, labels in enumerate(parents))
            found = next((key for key in levels if not self.totals[key[0]][key[1]]), None)
            out.append(found if found is not None else (None if self.overall else ROOT))
        return out


@dataclass(frozen=True)
class SubgroupSuppression:
    """What is hidden of a table of classes by subgroups.

    Attributes
    ----------
    cells : array (J, G) of bool
        True for each class and subgroup that must be hidden.
    totals : array (G,) of bool
        True for each subgroup whose total over all classes must be hidden.
    """

    cells: Mask
    totals: Mask


@dataclass(eq=False)
class _Node:
    n: int
    hidden: bool
    children: list[_Node] = field(default_factory=list)

    def residual(self) -> tuple[int, int]:
        """Students and cells beneath this node that a reader of everything published cannot see."""
        if not self.children:
            return (self.n, int(self.n > 0)) if self.hidden else (0, 0)  # a cell of nobody has nothing to protect
        if not self.hidden:
            return (0, 0)
        parts = [child.residual() for child in self.children]
        return sum(p[0] for p in parts), sum(p[1] for p in parts)

    def hide(self) -> None:
        """Hide this node; a total is hidden only if one of its parts is hidden too."""
        self.hidden = True
        parts = [child for child in self.children if child.n > 0]
        if parts and all(not child.hidden for child in parts):
            min(parts, key=_by_size).hide()


def suppress(n: Sequence[int], *parents: Sequence[Hashable], minimum: int = 6) -> Suppression:
    """Decide what to hide of cells with counts ``n`` and published totals over ``parents``.

    Parameters
    ----------
    n : sequence of int
        Students behind each cell (a class, or a subgroup of a class). A cell of nobody is hidden, and needs no other
        cell to protect it.
    *parents : sequence of labels
        For each level of published totals, lowest first, the label of the total that each cell belongs to (school, then
        district). Levels are nested: cells of one school lie in one district. The total over all cells counts as
        published too.
    minimum : int
        Cells below it are hidden; so is every sum of hidden cells that could be computed.

    Returns
    -------
    Suppression

    Raises
    ------
    DataError
        Lengths differ, counts are negative, or levels are not nested.

    Examples
    --------
    >>> suppress([4, 20, 25], ["A", "A", "A"]).cells  # 4 alone would follow from the total: 20 is hidden too
    (True, True, False)
    """
    _check(n, parents, minimum)
    leaves = [_Node(int(size), size < minimum) for size in n]
    levels, root = _tree(leaves, parents, minimum)
    changed = True
    while changed:  # hiding a total moves its residual up, so pass until nothing changes; each pass hides at least one
        changed = False
        for node in [*(node for level in levels for node in level.values()), root]:
            changed |= _protect(node, minimum)
    return Suppression(
        cells=tuple(leaf.hidden for leaf in leaves),
        totals=tuple({label: node.hidden for label, node in level.items()} for level in levels),
        overall=root.hidden,
        minimum=minimum,
    )


def _protect(node: _Node, minimum: int) -> bool:
    """Hide parts of a published total until its hidden parts cannot be told apart; True if anything was hidden."""
    changed = False
    while not node.hidden:
        parts = [child.residual() for child in node.children]
        students, cells = sum(p[0] for p in parts), sum(p[1] for p in parts)
        if cells == 0 or (cells >= 2 and students >= minimum):
            return changed
        visible = [child for child in node.children if not child.hidden and child.n > 0]
        if visible:
            min(visible, key=_by_size).hide()
        else:
            node.hide()
        changed = True
    return changed


def _tree(
    leaves: list[_Node], parents: Sequence[Sequence[Hashable]], minimum: int
) -> tuple[list[dict[Hashable, _Node]], _Node]:
    levels: list[dict[Hashable, _Node]] = []
    below = leaves
    places = list(range(len(leaves)))  # index into ``below`` of each leaf
    for labels in parents:
        nodes: dict[Hashable, _Node] = {}
        seen: set[int] = set()
        for place, label in zip(places, labels, strict=True):
            node = nodes.setdefault(label, _Node(0, False))
            if place not in seen:
                seen.add(place)
                node.children.append(below[place])
                node.n += below[place].n
        for node in nodes.values():
            node.hidden = node.n < minimum
        order = {label: k for k, label in enumerate(nodes)}
        places = [order[label] for label in labels]
        below = list(nodes.values())
        levels.append(nodes)
    root = _Node(sum(node.n for node in below), False, list(below))
    root.hidden = root.n < minimum
    return levels, root


def _by_size(node: _Node) -> int:
    return node.n


def _check(n: Sequence[int], parents: Sequence[Sequence[Hashable]], minimum: int) -> None:
    if minimum < 1:
        raise OptionError(f"minimum={minimum}: at least 1 is needed.")
    if any(size < 0 for size in n):
        raise DataError("Counts cannot be negative.")
    for labels in parents:
        if len(labels) != len(n):
            raise DataError(f"{len(n)} cells but {len(labels)} labels of their totals: give one a cell.")
    for lower, upper in zip(parents, parents[1:], strict=False):
        home: dict[Hashable, Hashable] = {}
        for inner, outer in zip(lower, upper, strict=True):
            if home.setdefault(inner, outer) != outer:
                raise DataError(f"'{inner}' lies in both '{home[inner]}' and '{outer}': levels must be nested.")


# --------------------------------------------------------------------------- classes by subgroups
def suppress_subgroups(
    fewest: Any,
    present: Any,
    unnamed: Any,
    classes: Suppression,
    *parents: Sequence[Hashable],
) -> SubgroupSuppression:
    """Decide what to hide of a table of classes by subgroups whose class totals are published as ``classes`` says.

    Parameters
    ----------
    fewest : array (J, G)
        Students behind each cell (the smallest number behind any of several scores that share items).
    present : array (J, G)
        Students of each cell, answered or not; a cell of nobody has nothing to hide.
    unnamed : array (J, 2)
        The same two numbers for students of the class without a subgroup: they are never shown, and would follow from
        the class total.
    classes : Suppression
        Of the classes themselves, at the same minimum; the total over everything follows its ``overall``.
    *parents : sequence of labels
        As handed to ``suppress``.

    Returns
    -------
    SubgroupSuppression

    Raises
    ------
    DataError
        More than ten subgroups, or shapes that do not agree.

    Examples
    --------
    >>> whole = suppress([20, 24, 22], minimum=6)
    >>> girls_boys = [[3, 17], [12, 12], [10, 12]]
    >>> suppress_subgroups(girls_boys, girls_boys, [[0, 0]] * 3, whole).cells.tolist()
    [[True, True], [False, False], [True, True]]
    """
    low, high = _cells(fewest, unnamed, 0), _cells(present, unnamed, 1)
    if low.shape != high.shape or len(low) != len(classes.cells):
        raise DataError(f"Cells {low.shape} and {high.shape} of {len(classes.cells)} classes do not agree.")
    if low.shape[1] - 1 > MAX_GROUPS:
        raise DataError(
            f"{low.shape[1] - 1} subgroups: at most {MAX_GROUPS} can be protected together. Join some of them."
        )
    table = _Table(low, high, np.array(classes.cells), classes.known_sums(*parents), classes.minimum)
    table.protect()
    everything = table.hidden[:, :-1] | table.gone[:, None]
    return SubgroupSuppression(cells=everything, totals=~table.open_totals)


def _cells(counts: Any, unnamed: Any, which: int) -> Counts:
    table, rest = np.asarray(counts, dtype=np.int64), np.asarray(unnamed, dtype=np.int64)
    return np.column_stack([table, rest[:, which]])


class _Table:
    """Hidden cells as edges between classes and subgroups; the last column is the students without a subgroup."""

    def __init__(self, low: Counts, high: Counts, gone: Mask, sums: Sequence[Hashable | None], minimum: int) -> None:
        self.low, self.high, self.gone, self.minimum = low, high, gone, minimum
        self.hidden = (high > 0) & ((low < minimum) | gone[:, None])
        self.hidden[:, -1] = high[:, -1] > 0
        self.open_totals = low[:, :-1].sum(axis=0) >= minimum
        place = {key: k for k, key in enumerate(dict.fromkeys(s for s, g in zip(sums, gone, strict=True) if g))}
        self._unions = np.array([place[s] if g else -1 for s, g in zip(sums, gone, strict=True)])
        self._ground = place.get(None, -1)

    def protect(self) -> None:
        """Hide cells, and totals of subgroups where cells do not help, until nothing small is revealed."""
        self._fill_rows()
        found = next(self._small_cuts(), None)
        while found is not None:
            side, deficit = found
            if not self._hide_across(side, deficit):
                shown = [g for g in np.flatnonzero(side) if self.open_totals[g]]
                self.open_totals[min(shown, key=lambda g: int(self.low[:, g].sum()))] = False
            self._fill_rows()
            found = next(self._small_cuts(), None)

    def _fill_rows(self) -> None:
        """In a class whose total is shown, the hidden cells together are at least the minimum, or all of them."""
        while True:
            total = np.where(self.hidden, self.low, 0).sum(axis=1)
            visible = (self.high > 0) & ~self.hidden
            short = ~self.gone & self.hidden.any(axis=1) & (total < self.minimum) & visible.any(axis=1)
            if not short.any():
                return
            rows = np.flatnonzero(short)
            size = np.where(visible[rows], self.low[rows], np.iinfo(np.int64).max)
            self.hidden[rows, size.argmin(axis=1)] = True

    def _small_cuts(self) -> Iterator[tuple[Mask, int]]:
        """Sets of subgroups whose published totals reveal a sum over fewer hidden students than the minimum."""
        low, high, ground = self._nodes()
        shown = np.flatnonzero(self.open_totals)
        for size in range(1, len(shown) + 1):
            for chosen in combinations(shown, size):
                side = np.zeros(low.shape[1], dtype=bool)
                side[list(chosen)] = True
                if self._cut(high, side, ground) > 0:
                    students = self._cut(low, side, ground)
                    if students < self.minimum:
                        yield side, self.minimum - students

    def _nodes(self) -> tuple[Counts, Counts, int]:
        """Hidden students of each class by subgroup; hidden classes that are known only together are one node."""
        parts = []
        for counts in (self.low, self.high):
            cells = np.where(self.hidden, counts, 0)
            together = np.zeros((self._unions.max(initial=-1) + 1, cells.shape[1]), dtype=np.int64)
            np.add.at(together, self._unions[self.gone], cells[self.gone])
            parts.append(np.vstack([together, cells[~self.gone & self.hidden.any(axis=1)]]))
        return parts[0], parts[1], self._ground

    @staticmethod
    def _cut(cells: Counts, side: Mask, ground: int) -> int:
        """Students in the smallest cut that has these subgroups on one side; unknown classes stay on the other."""
        inside, outside = cells[:, side].sum(axis=1), cells[:, ~side].sum(axis=1)
        smaller = np.minimum(inside, outside)
        if ground >= 0:
            smaller[ground] = inside[ground]
        return int(smaller.sum())

    def _hide_across(self, side: Mask, deficit: int) -> bool:
        """Hide in one more class a cell on either side; False if no class has one."""
        visible = (self.high > 0) & ~self.hidden & ~self.gone[:, None]
        inside = np.where(self.hidden & side, self.low, 0).sum(axis=1)
        outside = np.where(self.hidden & ~side, self.low, 0).sum(axis=1)
        room_inside = inside + np.where(visible & side, self.low, 0).sum(axis=1)
        room_outside = outside + np.where(visible & ~side, self.low, 0).sum(axis=1)
        gain = np.minimum(room_inside, room_outside) - np.minimum(inside, outside)
        gain[self.gone] = 0
        if gain.max(initial=0) <= 0:
            return False
        enough = np.flatnonzero(gain >= min(deficit, int(gain.max())))
        row = enough[np.argmin(self.low[enough].sum(axis=1))]
        for cells in (visible[row] & side, visible[row] & ~side):
            options = np.flatnonzero(cells)
            if len(options):
                self.hidden[row, options[np.argmin(self.low[row, options])]] = True
        return True
