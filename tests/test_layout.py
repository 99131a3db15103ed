"""How results look: sentences wrapped in a terminal, paragraphs and real tables in a notebook."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

import relmeasure as rm
from relmeasure.layout import WIDTH, paragraph
from relmeasure.results import Note, Result, Status, Table

LONG = "A sentence of many words that goes on and on, <b>not bold</b>, " * 12


@dataclass(frozen=True, eq=False)
class Report(Result):
    """A result whose text holds two tables between sentences."""

    table: Table

    def summary(self) -> str:
        return "\n".join(["head", self.table.to_text(2), "", paragraph(LONG.strip()), f"  {self.table.to_text()}"])


@cache
def results() -> dict[str, Any]:
    instrument = rm.load_instrument("relationship-student")
    data = rm.simulate(instrument, n_clusters=12, cluster_size=20, icc=0.2, missing=0.02, rng=5)
    data["gender"] = ["girl", "boy"] * 120
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "invariance": rm.invariance(instrument, data, group="gender", scales=["care"]),
            "dimensionality": rm.dimensionality(instrument, data, scales=["care", "trust"]),
            "monitor": rm.monitor(instrument, data, cluster="class_id", standard=2.6),
            "reliability": rm.reliability(instrument, data),
            "check": rm.check(instrument, data),
        }


def test_sentences_are_wrapped_and_words_are_kept() -> None:
    text = paragraph(LONG.strip())
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.splitlines()[1].startswith("  ")
    assert text.split() == LONG.split()
    assert paragraph("short\nand a second line") == "short\nand a second line"
    word = "x" * 300
    assert paragraph(word) == word
    assert max(map(len, Note("a-code", LONG).summary().splitlines())) <= WIDTH
    assert max(map(len, Status("caution", reasons=(LONG,)).summary().splitlines())) <= WIDTH


def test_a_notebook_gets_tables_and_paragraphs() -> None:
    """Two tables with their own decimals, nothing broken in the sentences, and text that cannot become markup."""
    report = Report(Table({"item": ("a&b", "c"), "mean": (1.23456, None)}))
    shown = report._repr_html_()
    assert shown.count("<table>") == 2
    assert ">1.23<" in shown
    assert ">1.235<" in shown
    assert "a&amp;b" in shown
    assert "&lt;b&gt;not bold&lt;/b&gt;" in shown
    (sentence,) = re.findall(r"<p [^>]*>(A sentence.*?)</p>", shown)
    assert "\n" not in sentence
    assert "white-space: pre-wrap" in shown
    assert "\x00" not in shown
    assert "1.23" in report.summary()
    assert "\x00" not in report.summary()
    assert max(map(len, report.summary().splitlines())) <= WIDTH


def test_a_summary_that_fails_leaves_the_terminal_as_it_was() -> None:
    @dataclass(frozen=True, eq=False)
    class Broken(Result):
        def summary(self) -> str:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Broken()._repr_html_()
    assert Table({"a": (1,)}).to_text() == "a\n1"


@pytest.mark.parametrize("name", ["invariance", "dimensionality", "monitor", "reliability", "check"])
def test_summaries_fit_a_terminal(name: str) -> None:
    """Lines of sentences end by column 100; only tables may be wider. The notebook has every table of the text."""
    result = results()[name]
    lines = [line for line in result.summary().splitlines() if len(line) > WIDTH]
    assert [line for line in lines if "  " not in line.strip()] == []
    shown = result._repr_html_()
    assert shown.count("<table>") >= 1
    assert "<pre" not in shown


def test_instruments_and_responses_show_themselves() -> None:
    """Scales, answers and items of an instrument; what is bound to what, without anybody's answers."""
    instrument = rm.load_instrument("relationship-student")
    shown = instrument._repr_html_()
    for part in ("care", "Very true", "<details>", "24 items", "CC BY 4.0"):
        assert part in shown
    for info in rm.list_instruments():
        assert rm.load_instrument(info.id)._repr_html_().startswith("<div>")
    data = rm.simulate(instrument, n_clusters=2, cluster_size=5, rng=1).rename(columns={"care_1": "Q<1>"})
    responses = rm.bind(instrument, data, columns={"care_1": "Q<1>"})
    assert repr(responses).startswith("10 rows of pandas bound to relationship-student@")
    assert "care_1 = &#x27;Q&lt;1&gt;&#x27;" in responses._repr_html_()
    assert "student-001" not in repr(responses)
