"""The table of what each estimator takes is what the estimators say."""

from __future__ import annotations

from tests.structural.takes import table
from tests.support import ROOT


def test_the_documented_table_is_what_happens() -> None:
    page = (ROOT / "docs" / "structural-models.md").read_text(encoding="utf-8")
    written = page.partition("tests.structural.takes -->\n")[2].partition("\n<!-- end")[0]
    assert written == table()
