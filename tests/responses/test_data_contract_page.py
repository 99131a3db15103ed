"""The page keeps up with the code; its examples are executed by the documentation tests."""

from __future__ import annotations

import re

from relmeasure.scoring.graph import REASONS
from tests.support import ROOT

PAGE = (ROOT / "docs" / "data-contract.md").read_text(encoding="utf-8")


def test_every_reason_is_explained_in_the_order_in_which_it_is_given() -> None:
    table = PAGE.partition("| reason | it means |")[2].partition("\n\n")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)) == REASONS
