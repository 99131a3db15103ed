"""The form in a real browser: filled in by keyboard and by mouse, saved to CSV, read back by ``rm.score``."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import relmeasure as rm
from relmeasure.instruments import load_instrument
from relmeasure.instruments.catalog import list_instruments
from relmeasure.instruments.definition import Instrument
from relmeasure.reports import form_html
from tests.reports.browser import Page, browser, find_chromium
from tests.reports.builders import HOSTILE, hostile, worded

pytestmark = pytest.mark.browser

PHONE, DESKTOP = (390, 844), (1280, 900)
TARGET = 44
"""Pixels of CSS that a finger needs in height (WCAG 2.2, target size, enhanced)."""
COMMENT = 'Más "tiempo", por favor;\nuna línea más, ñ é 😀'


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One browser for the tests of this file."""
    found = find_chromium()
    if found is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium, or name one in RELMEASURE_CHROMIUM")
    with browser(found, tmp_path_factory.mktemp("browser")) as made:
        yield made


@pytest.fixture
def show(page: Page, tmp_path: Path) -> Any:
    """Open the form of an instrument at the size of a desktop."""

    def open_form(instrument: Instrument, **options: Any) -> Page:
        path = tmp_path / f"{instrument.id}.html"
        path.write_text(form_html(instrument, **options), encoding="utf-8")
        page.leave()
        page.resize(*DESKTOP)
        page.open(path.as_uri())
        return page

    return open_form


def rows_of(data: bytes) -> list[dict[str, str]]:
    """The saved file as a list of rows; lines end as the standard for CSV asks."""
    text = data.decode("utf-8")
    assert text.endswith("\r\n")
    return list(csv.DictReader(io.StringIO(text, newline="")))


# --------------------------------------------------------------------------- filling in
def test_by_keyboard_alone_and_back_into_scores(show: Any, tmp_path: Path) -> None:
    """Tab, arrows, space, digits and Enter fill in the Spanish lesson pulse; two persons, one with a gap."""
    pulse = load_instrument("lesson-pulse-student")
    page = show(pulse, language="es")
    page.press("Tab")
    assert page.focus() == "class-code"
    page.type("7b, tarde")
    page.press("Tab", "Space")
    assert page.focus() == "q1=1"
    page.press("ArrowDown", "ArrowRight")
    assert page.focus() == "q1=3"
    for digit in ("4", "1", "2", "3", "4"):
        page.press("Tab", "Tab", digit)  # over the button that clears the answer
    assert page.focus() == "q6=4"
    page.press("Tab", "Tab")
    page.type(COMMENT)
    assert page.text("#progress") == "6 de 6 preguntas respondidas"
    page.press("Tab", "Enter")
    assert page.text("#message").startswith("Gracias.")
    assert page.focus() == "top"
    assert page.run("document.querySelectorAll('input:checked').length") == 0
    assert page.run("document.querySelector('textarea').value") == ""
    # the second person leaves out question 4: the first press on the button says so, the second goes on
    page.press("Tab", "Tab", "1", "Tab", "Tab", "2", "Tab", "Tab", "3")
    page.press("Tab", "Tab", "Tab", "4", "Tab", "Tab", "1")  # an open question has no button to clear it
    page.press("Tab", "Tab", "Tab", "Tab", "Enter")
    assert page.text("#message").startswith("Sin respuesta: 4.")
    page.press("Enter")
    data = page.saved_file("lesson-pulse-student-answers.csv")
    assert page.text("#count") == "Respuestas conservadas: 2. Aún no guardadas en un archivo: 0."

    rows = sorted(rows_of(data), key=lambda row: row["pulse_1"])
    answers = [[row[item] for item in pulse.item_ids] for row in rows]
    assert answers == [["1", "2", "3", "", "4", "1", ""], ["3", "4", "1", "2", "3", "4", COMMENT]]
    assert {row["class_id"] for row in rows} == {"7b, tarde"}
    assert all(re.fullmatch("[b-df-hj-np-tv-xz]{8}", row["respondent"]) for row in rows)

    path = tmp_path / "answers.csv"
    path.write_bytes(data)
    from relmeasure.cli.tables import read_table

    for engine in ("pandas", "polars", "duckdb"):
        scored = rm.score(pulse, read_table(path, engine))
        frame = scored.collect() if hasattr(scored, "collect") else scored
        frame = frame if hasattr(frame, "columns") and hasattr(frame, "to_dict") else frame.df()
        values = sorted(float(value) for value in list(frame["pulse"]))
        assert values == pytest.approx([11 / 5, 17 / 6], abs=1e-12)
        assert COMMENT in [str(text).replace("\r\n", "\n") for text in list(frame["comment"])]


def test_by_mouse(show: Any) -> None:
    """Clicks on labels, a reversed item, an answer taken back; two files hold everyone so far."""
    inst = load_instrument("relationship-student")
    page = show(inst, class_code="5a")
    wanted = {item: str(k % 4 + 1) for k, item in enumerate(inst.item_ids)}
    for k, code in enumerate(wanted.values(), start=1):
        page.click(f'label:has(input[name="q{k}"][value="{code}"])')
    page.click("fieldset[data-item=care_2] button.clear")
    assert page.focus() == "q2=1"
    assert page.run("document.querySelectorAll('input:checked').length") == 23
    page.click("#save")
    assert "2" in page.text("#message")
    page.click("#save")
    first = rows_of(page.saved_file("relationship-student-answers.csv"))
    assert [{item: row[item] for item in wanted} for row in first] == [wanted | {"care_2": ""}]
    assert first[0]["class_id"] == "5a"
    page.click('label:has(input[name="q1"][value="4"])')
    page.click("#next")
    page.click("#next")
    page.click("#save")
    second = rows_of(page.saved_file("relationship-student-answers.csv"))
    assert len(second) == 2
    assert [row["respondent"] for row in second] == sorted(row["respondent"] for row in second)
    assert first[0] in second
    scored = rm.score(inst, _frame(first), scales=["respect_fairness"])
    keyed = [inst.keyed_values(item)[int(wanted[item])] for item in inst.scale("respect_fairness").items]
    assert float(scored["respect_fairness"].iloc[0]) == pytest.approx(sum(keyed) / 6, abs=1e-12)


def _frame(rows: list[dict[str, str]]) -> Any:
    import pandas as pd

    return pd.DataFrame(rows).replace("", None)


def test_numbers_missing_codes_and_free_text(show: Any) -> None:
    """A number out of range is not kept; "does not apply" and a number exclude each other; no formula is saved."""
    page = show(worded())
    page.click("#next")
    assert page.text("#message") == "No question is answered, so nothing was kept."
    page.click("#save")
    assert page.text("#message") == "There are no answers to save yet."
    page.click('label:has(input[name="q1"][value="-8"])')
    page.click('label:has(input[name="q2"][value="2"])')
    page.click("#q3")
    page.type("13")
    page.click("#next")
    assert page.text("#message") == "Question 3 needs a number from 0 to 12.5, or no answer."
    assert page.focus() == "q3"
    assert page.run("document.getElementById('q3').getAttribute('aria-invalid')") == "true"
    page.click('label:has(input[name="q3"][value="99"])')
    assert page.run("document.getElementById('q3').value") == ""
    page.click("#q3")
    page.type("2.5")
    assert page.run("document.querySelectorAll('input[name=q3]:checked').length") == 0
    page.click("#q4")
    page.type('=HYPERLINK("http://x.example";"y")')
    page.click("#save")
    (row,) = rows_of(page.saved_file("toy-student-answers.csv"))
    del row["respondent"]
    text = '\'=HYPERLINK("http://x.example";"y")'
    assert row == {"class_id": "", "warm_1": "-8", "warm_2": "2", "time": "2.5", "say": text}
    scored = rm.score(worded(), _frame([row]))
    assert scored["warm"].iloc[0] == 2.0
    assert scored["work"].iloc[0] == 2.5


# --------------------------------------------------------------------------- safety
def test_warns_before_answers_are_lost(show: Any) -> None:
    """With an answer on the screen, with kept answers, not with saved ones, not with nothing."""
    pulse = load_instrument("lesson-pulse-student")
    assert show(pulse).leave() == []
    page = show(pulse)
    page.click('label:has(input[name="q1"][value="1"])')
    assert page.leave() == ["beforeunload"]
    page = show(pulse)
    page.click('label:has(input[name="q1"][value="1"])')
    page.click("#next")
    page.click("#next")
    assert page.leave() == ["beforeunload"]
    page = show(pulse)
    page.click('label:has(input[name="q1"][value="1"])')
    page.click("#save")
    page.click("#save")
    page.saved_file("lesson-pulse-student-answers.csv")
    assert page.leave() == []


def test_hostile_texts_do_nothing(show: Any) -> None:
    """Nothing runs, nothing is fetched, and the texts are read as they are written."""
    page = show(hostile(), about=HOSTILE[1], class_code=HOSTILE[2])
    assert page.run("window.hit") is None
    legends = page.run("[...document.querySelectorAll('legend')].map(e => e.textContent.replace(/^\\d+\\. /, ''))")
    assert legends == list(HOSTILE)
    assert page.run("document.querySelectorAll('img, svg, script, iframe').length") == 1
    for k in range(1, len(HOSTILE) + 1):
        page.click(f'label:has(input[name="q{k}"][value="{k}"])')
    page.click("#save")
    (row,) = rows_of(page.saved_file("toy-student-answers.csv"))
    assert [row[f"q{k}"] for k in range(len(HOSTILE))] == [str(k) for k in range(1, len(HOSTILE) + 1)]
    assert row["class_id"] == HOSTILE[2]
    assert page.run("window.hit") is None
    assert page.complaints == []


def test_nothing_is_fetched_or_sent(show: Any) -> None:
    """Every form opens without a complaint; a script that tries to send is stopped by the policy."""
    for info in list_instruments():
        if info.kind == "original":
            inst = load_instrument(info.id)
            for language in inst.languages:
                page = show(inst, language=language)
                assert page.requests == []
                assert page.complaints == []
                assert page.run("document.querySelectorAll('[data-item]').length") == len(inst.items)
    refused = page.run("fetch('http://127.0.0.1:9/').then(() => 'sent', error => error.name)")
    assert refused == "TypeError"
    assert any("Content Security Policy" in text for text in page.complaints)


# --------------------------------------------------------------------------- for everybody
def test_what_a_screen_reader_meets(show: Any) -> None:
    """Groups that bear the question, radio buttons that bear the answer, a heading, a status, named fields."""
    pulse = load_instrument("lesson-pulse-student")
    page = show(pulse, language="en")
    page.click('label:has(input[name="q1"][value="2"])')
    met = page.accessible()
    assert ("heading", pulse.title["en"]) in met
    groups = [name for role, name in met if role in {"group", "radiogroup"} and name]
    assert groups == [f"{k}. {item.text['en']}" for k, item in enumerate(pulse.items[:6], start=1)]
    assert [name for role, name in met if role == "radio"] == ["Not true", "Sort of true", "True", "Very true"] * 6
    assert ("textbox", "Class code (optional)") in met
    assert ("textbox", "7. What would help you more in the next lesson?") in met
    assert ("button", "Clear answer to question 1") in met
    assert ("button", "Clear answer to question 2") not in met
    assert "status" in [role for role, _ in met]
    lead = show(load_instrument("supports-teacher")).run(
        "document.getElementById(document.querySelector('fieldset').getAttribute('aria-describedby')).textContent"
    )
    assert lead.startswith("How much harder")


@pytest.mark.parametrize("name", ["relationship-student", "supports-teacher", "lesson-pulse-student"])
def test_fits_a_phone_and_a_desktop(show: Any, tmp_path: Path, name: str) -> None:
    """No sideways scrolling, targets for fingers, large type, also when the text is twice as large."""
    inst = load_instrument(name)
    page = show(inst, language=inst.languages[-1])
    for size, phone in ((PHONE, True), ((320, 640), True), (DESKTOP, False)):
        page.resize(*size, phone=phone)
        page.click('label:has(input[name="q1"][value="1"])')
        wide, shown = page.run("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide <= shown
        low = "Math.min(...[...document.querySelectorAll('.option, #next, #save, input[type=text], textarea')]"
        assert page.run(f"{low}.map(e => e.getBoundingClientRect().height))") >= TARGET
        assert page.run("parseFloat(getComputedStyle(document.querySelector('.option')).fontSize)") >= 20
        page.screenshot(tmp_path / f"{name}-{size[0]}.png")
    page.run("document.styleSheets[0].insertRule('html { font-size: 250% !important; }', 0)")
    page.resize(*PHONE, phone=True)
    wide, shown = page.run("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= shown


def test_prints_as_a_form(show: Any, tmp_path: Path) -> None:
    """On paper: circles, no buttons, no answers that someone gave on the screen, the lead-in on every page."""
    page = show(load_instrument("supports-teacher"))
    page.click('label:has(input[name="q1"][value="3"])')
    page.send("Emulation.setEmulatedMedia", media="print")
    hidden = (
        "[...document.querySelectorAll('button, .on-screen, .hint')].every(e => getComputedStyle(e).display == 'none')"
    )
    assert page.run(hidden)
    style = "getComputedStyle(document.querySelector('input[type=radio]'))"
    assert page.run(f"[{style}.borderRadius, {style}.borderStyle]") == ["50%", "solid"]
    chosen = "getComputedStyle(document.querySelector('input:checked'))"
    assert page.run(f"{chosen}.backgroundColor == {style}.backgroundColor && {chosen}.boxShadow == {style}.boxShadow")
    assert page.run("getComputedStyle(document.querySelector('.prompt')).display") == "table-header-group"
    page.send("Emulation.setEmulatedMedia", media="")
    page.pdf(tmp_path / "form.pdf")
    assert (tmp_path / "form.pdf").read_bytes().startswith(b"%PDF-")
