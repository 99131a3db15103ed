"""The page of what estimators take keeps up with the code."""

from __future__ import annotations

import pytest

import relmeasure as rm
from tests import takes
from tests.support import ROOT

PAGE = (ROOT / "docs" / "estimators.md").read_text(encoding="utf-8")


def test_the_table_is_the_one_made_from_the_signatures() -> None:
    assert PAGE.partition("tests.takes -->\n")[2].partition("\n<!-- end -->")[0] == takes.table()


@pytest.mark.parametrize("name", sorted(takes.estimators()))
def test_an_argument_with_a_dash_is_an_error(name: str) -> None:
    function = getattr(rm, name)
    for column, arguments in takes.COLUMNS.items():
        if takes.cell(takes.estimators()[name], column) == "-":
            needed = takes.first(function).split(", ")
            with pytest.raises(TypeError, match=arguments[0]):
                function(*(None for _ in needed), **{arguments[0]: None})
