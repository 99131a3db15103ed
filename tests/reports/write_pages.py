"""Write docs/instruments/<id>.md for every packaged instrument: ``python -m tests.reports.write_pages``."""

from __future__ import annotations

from relmeasure.instruments import load_instrument
from relmeasure.instruments.catalog import list_instruments
from relmeasure.reports import instrument_page
from tests.support import ROOT

FOLDER = ROOT / "docs" / "instruments"
"""Where the pages are."""


def packaged() -> list[str]:
    """Ids of the instruments that ship with the library."""
    return [info.id for info in list_instruments() if info.source == "relmeasure"]


if __name__ == "__main__":
    for name in packaged():
        (FOLDER / f"{name}.md").write_text(instrument_page(load_instrument(name)), encoding="utf-8")
