"""Which cells of a published table must be hidden, so that nobody can compute what few students said.

A cell below the minimum count is hidden (primary suppression). Totals would give it back by subtraction, so further
cells are hidden until, at every published total, the hidden students beneath it are at least two cells and at least the
minimum count together (complementary suppression; Willenborg & de Waal, 2001, Elements of Statistical Disclosure
Control, chapter 4).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from relmeasure.exceptions import DataError, OptionError

__all__ = ["Suppression", "suppress"]

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


@dataclass(eq=False)
class _Node:
    n: int
    hidden: bool
    children: list[_Node] = field(default_factory=list)

    def residual(self) -> tuple[int, int]:
        """Students and cells beneath this node that a reader of everything published cannot see."""
        if not self.children:
            return (self.n, 1) if self.hidden else (0, 0)
        if not self.hidden:
            return (0, 0)
        parts = [child.residual() for child in self.children]
        return sum(p[0] for p in parts), sum(p[1] for p in parts)

    def hide(self) -> None:
        """Hide this node; a total is hidden only if one of its parts is hidden too."""
        self.hidden = True
        if self.children and all(not child.hidden for child in self.children):
            min(self.children, key=_by_size).hide()


def suppress(n: Sequence[int], *parents: Sequence[Hashable], minimum: int = 6) -> Suppression:
    """Decide what to hide of cells with counts ``n`` and published totals over ``parents``.

    Parameters
    ----------
    n : sequence of int
        Students behind each cell (a class, or a subgroup of a class).
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
