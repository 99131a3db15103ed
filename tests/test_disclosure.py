"""Nobody can compute a hidden cell, or any sum of fewer students than the minimum, from what is published."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmeasure.disclosure import SubgroupSuppression, Suppression, suppress, suppress_subgroups
from relmeasure.exceptions import DataError, OptionError


def _attack(n: list[int], parents: list[list[str]], found: Suppression) -> list[int]:
    """Student counts of every combination of hidden cells that published numbers reveal.

    Every published total minus the visible cells beneath it is known; sums and differences of these are tried with
    coefficients -1, 0 and 1, and a result with entries 0 and 1 is a revealed set of cells.
    """
    hidden = np.array(found.cells)
    rows = []
    for labels, level in zip(parents, found.totals, strict=True):
        rows += [np.array([la == label for la in labels]) & hidden for label, gone in level.items() if not gone]
    if not found.overall:
        rows.append(hidden.copy())
    distinct = {row.tobytes(): row.astype(int) for row in rows if row.any()}
    revealed = []
    for coefficients in product((-1, 0, 1), repeat=len(distinct)):
        total = sum((c * r for c, r in zip(coefficients, distinct.values(), strict=True)), np.zeros(len(n), int))
        if total.any() and set(np.unique(total)) <= {0, 1}:
            revealed.append(int(np.array(n) @ total))
    return revealed


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_attacker_learns_nothing_about_fewer_than_six(data: st.DataObject) -> None:
    """Random districts of up to three schools a district and seven classes."""
    cells = data.draw(st.integers(1, 7))
    n = data.draw(st.lists(st.integers(0, 14), min_size=cells, max_size=cells))
    school = sorted(data.draw(st.lists(st.sampled_from("ABC"), min_size=cells, max_size=cells)))
    district = ["X" if label in "AB" else "Y" for label in school]
    parents = [list(school), district]
    found = suppress(n, *parents, minimum=6)
    for size, gone in zip(n, found.cells, strict=True):
        assert gone or size >= 6
    for students in _attack(n, parents, found):
        assert students >= 6 or students == 0
    kept = [k for k, size in enumerate(n) if size]
    if kept:  # classes without answers change nothing for the others
        without = suppress([n[k] for k in kept], *([labels[k] for k in kept] for labels in parents), minimum=6)
        assert [found.cells[k] for k in kept] == list(without.cells)


@pytest.mark.parametrize(
    ("n", "schools", "expected"),
    [
        ([20, 21, 22], "AAA", (False, False, False)),
        ([4, 20, 25], "AAA", (True, True, False)),
        ([0, 20, 25], "AAA", (True, False, False)),
        ([0, 0, 25], "AAA", (True, True, False)),
        ([0, 4, 20, 25], "AAAA", (True, True, True, False)),
        ([0, 4, 3, 25], "AAAA", (True, True, True, False)),
        ([3, 4, 25], "AAA", (True, True, False)),
        ([2, 3, 25], "AAA", (True, True, True)),
        ([5, 9, 10, 11], "AABB", (True, True, False, False)),
    ],
)
def test_known_cases(n: list[int], schools: str, expected: tuple[bool, ...]) -> None:
    """Nothing hidden; a sibling; two small ones together; two that are still too few; only the own school."""
    assert suppress(n, list(schools)).cells == expected


def test_a_lone_small_class_hides_its_school_and_a_neighbour() -> None:
    """A school of one small class is that class: it is hidden, and a second school protects it in the total."""
    found = suppress([4, 20, 25], ["A", "B", "B"])
    assert found.cells[0]
    assert found.totals[0]["A"]
    assert not found.overall
    assert sum(found.totals[0].values()) == 2


def test_everything_is_hidden_when_there_are_too_few_students() -> None:
    """Not even the total of five students is published."""
    found = suppress([2, 3], ["A", "A"])
    assert found.cells == (True, True)
    assert found.overall


def test_nonsense_is_refused() -> None:
    """Negative counts, lengths, levels that are not nested, a minimum of zero."""
    with pytest.raises(DataError, match="negative"):
        suppress([-1], ["A"])
    with pytest.raises(DataError, match="one a cell"):
        suppress([7, 8], ["A"])
    with pytest.raises(DataError, match="nested"):
        suppress([7, 8], ["A", "A"], ["X", "Y"])
    with pytest.raises(OptionError):
        suppress([7], ["A"], minimum=0)


# --------------------------------------------------------------------------- classes by subgroups
def _published(
    n: np.ndarray[Any, Any], school: list[str], whole: Suppression, part: SubgroupSuppression
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Equations over the hidden cells that a reader can write down from everything published, and the cells' counts."""
    classes, groups = n.shape  # the last column: students without a subgroup
    shown = np.column_stack([~part.cells, np.zeros(classes, bool)])
    unknown = ~shown & (n > 0)
    rows = []

    def equation(mask: np.ndarray[Any, Any]) -> None:
        rows.append((mask & unknown)[unknown].astype(float))

    for c in range(classes):
        if not whole.cells[c]:
            equation(np.arange(classes)[:, None] == np.full((1, groups), c))
    for label, gone in whole.totals[0].items() if whole.totals else ():
        if not gone:
            equation(np.repeat(np.array(school)[:, None] == label, groups, axis=1))
    if not whole.overall:
        equation(np.ones_like(n, bool))
    for g in range(groups - 1):
        if not part.totals[g]:
            equation(np.arange(groups)[None, :] == np.full((classes, 1), g))
    return np.array(rows).reshape(len(rows), int(unknown.sum())), n[unknown]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_attacker_of_all_tables_learns_nothing_about_fewer_than_six(data: st.DataObject) -> None:
    """Class totals, school totals, subgroup cells and subgroup totals together: every set of hidden cells is tried."""
    classes, groups = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 3))
    cell = st.one_of(st.integers(0, 14), st.just(0))
    n = np.array(
        data.draw(st.lists(st.lists(cell, min_size=groups, max_size=groups), min_size=classes, max_size=classes))
    )
    rest = np.array(data.draw(st.lists(st.sampled_from([0, 0, 0, 1, 2, 7]), min_size=classes, max_size=classes)))
    school = sorted(data.draw(st.lists(st.sampled_from("AB"), min_size=classes, max_size=classes)))
    by_school = data.draw(st.booleans())
    parents = [school] if by_school else []
    whole = suppress((n.sum(axis=1) + rest).tolist(), *parents, minimum=6)
    part = suppress_subgroups(n, n, np.column_stack([rest, rest]), whole, *parents)
    assert (part.cells | (n >= 6) | (n == 0)).all()
    equations, count = _published(np.column_stack([n, rest]), school, whole, part)
    if equations.size == 0:
        return
    basis = np.linalg.svd(equations, full_matrices=False)
    span = basis[2][basis[1] > 1e-9]
    for chosen in product((0.0, 1.0), repeat=equations.shape[1]):
        wanted = np.array(chosen)
        if 0 < wanted @ count < 6:
            assert np.abs(span.T @ (span @ wanted) - wanted).max() > 1e-6, "a sum of fewer than six can be computed"


def test_known_subgroup_cases() -> None:
    """Nothing to hide; a partner class; a subgroup that is too small everywhere; students without a subgroup."""
    whole = suppress([24, 24, 24])

    def hidden(table: list[list[int]], rest: list[int]) -> SubgroupSuppression:
        return suppress_subgroups(table, table, [[r, r] for r in rest], whole)

    assert not hidden([[12, 12], [10, 14], [11, 13]], [0, 0, 0]).cells.any()
    few = hidden([[2, 22], [1, 23], [1, 23]], [0, 0, 0])
    assert few.totals.all()  # four girls in all: their total is hidden, and the boys' with it
    assert few.cells.all()
    assert hidden([[12, 10], [12, 12], [12, 12]], [2, 0, 0]).cells[0].any()
    empty = hidden([[24, 0], [10, 14], [11, 13]], [0, 0, 0])
    assert not empty.cells.any()


def test_a_hidden_class_shows_no_subgroup() -> None:
    """Nor does the class that protects it."""
    whole = suppress([4, 20, 25], ["A", "A", "A"])
    table = [[2, 2], [10, 10], [12, 13]]
    found = suppress_subgroups(table, table, [[0, 0]] * 3, whole, ["A", "A", "A"])
    assert found.cells[:2].all()
    assert not found.totals.any()


def test_subgroup_nonsense_is_refused() -> None:
    """Too many groups; shapes that differ."""
    whole = suppress([30])
    with pytest.raises(DataError, match="11 subgroups"):
        suppress_subgroups([[3] * 11], [[3] * 11], [[0, 0]], whole)
    with pytest.raises(DataError, match="do not agree"):
        suppress_subgroups([[3], [4]], [[3], [4]], [[0, 0], [0, 0]], whole)
