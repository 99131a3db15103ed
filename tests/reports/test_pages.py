"""Pages of instruments: those in docs are what the files say, and no text of an instrument becomes markup."""

from __future__ import annotations

import re

import pytest

from relmeasure.instruments import load_instrument
from relmeasure.reports import instrument_page
from tests.reports.builders import HOSTILE, hostile, worded
from tests.reports.write_pages import FOLDER, packaged


@pytest.mark.parametrize("name", packaged())
def test_page_is_made_from_the_file(name: str) -> None:
    """A page that is behind its file is written anew: python -m tests.reports.write_pages."""
    written = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert written == instrument_page(load_instrument(name)), "run: python -m tests.reports.write_pages"


@pytest.mark.parametrize("name", packaged())
def test_page_names_everything(name: str) -> None:
    """Every item, code, scale, facet and figure."""
    inst = load_instrument(name)
    page = instrument_page(inst)
    for item in inst.items:
        assert f"| `{item.id}` |" in page
    for scale in inst.scales:
        assert f"| `{scale.id}` |" in page
    assert page.count("| `") >= len(inst.items) + len(inst.scales) + len(inst.published_figures)
    assert ("no wording" in page) == (inst.kind == "structure_only")
    lines = page.splitlines()
    for start in (k for k, line in enumerate(lines) if line.startswith("| ---")):
        width = _cells(lines[start])
        for line in lines[start:]:
            if not line.startswith("|"):
                break
            assert _cells(line) == width


def _cells(line: str) -> int:
    return len(re.findall(r"(?<!\\)\|", line)) - 1


def test_hostile_texts_stay_texts() -> None:
    """No tag, no table cell and no link that the page did not make itself."""
    page = instrument_page(hostile())
    bare = re.sub(r"`[^`]*`", "", page).replace("<!-- made by: ", "").replace(" page -->", "")
    assert not re.search(r"(?<!\\)<(?!!--)\w", bare)
    assert "\\<script\\>" in page
    rows = [line for line in page.splitlines() if line.startswith("| `q")]
    assert len(rows) == len(HOSTILE)
    assert {_cells(row) for row in rows} == {5}


def test_small_things() -> None:
    """Two languages, a lead-in as a quotation, a note on keys only where there is a key."""
    page = instrument_page(worded())
    for text in ("Wording (es)", "> Cuánto ... (es)", "a number from 0 to 12.5", "Key `-`", "2 scales", "None is part"):
        assert text in page
    assert "Key `-`" not in instrument_page(load_instrument("tses-short"))
    assert "1 scale |" in instrument_page(load_instrument("impact"))


def test_norms_weights_and_an_instrument_without_scales() -> None:
    """What few instruments have."""
    norms = {"id": "t", "kind": "t_score", "population": "All", "date": "2024", "version": "1", "source": "A book"}
    warm = {"id": "warm", "items": ["warm_1", "warm_2"], "scoring": {"method": "mean", "norms": "t"}}
    both = {
        "id": "both",
        "subscales": ["warm", "work"],
        "scoring": {"method": "weighted", "weights": {"warm": -1.0, "work": 2.0}, "constant": 3.0},
    }
    work = {"id": "work", "items": ["time"], "scoring": {"method": "pomp"}}
    page = instrument_page(worded(scales=[warm, work, both], norms=[norms | {"mean": 2.0, "sd": 0.5}]))
    assert "weighted: -1 warm, 2 work; plus 3" in page
    assert "percent of the maximum possible" in page
    assert "mean; norms t" in page
    assert "| `t` | t score | All | 2024 | A book |" in page
    assert "## Scales" not in instrument_page(worded(scales=[]))


def test_the_list_of_instruments_leads_to_every_page() -> None:
    """docs/instruments/README.md names each page, review and note."""
    listed = set(re.findall(r"\]\(([^)]+\.md)\)", (FOLDER / "README.md").read_text(encoding="utf-8")))
    assert {link for link in listed if "/" not in link} == {path.name for path in FOLDER.glob("*.md")} - {"README.md"}
