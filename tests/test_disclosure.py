"""Nobody can compute a hidden cell, or any sum of fewer students than the minimum, from what is published."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmeasure.disclosure import Suppression, suppress
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


@pytest.mark.parametrize(
    ("n", "schools", "expected"),
    [
        ([20, 21, 22], "AAA", (False, False, False)),
        ([4, 20, 25], "AAA", (True, True, False)),
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
