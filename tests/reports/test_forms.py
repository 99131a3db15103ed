"""The form as a file: complete, escaped, self-contained, in the language asked for. A real browser fills it in elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
import string
import sys
from html.parser import HTMLParser

import pytest

from relmeasure.exceptions import InstrumentError, MissingExtraError, OptionError
from relmeasure.instruments import load_instrument
from relmeasure.instruments.catalog import list_instruments
from relmeasure.reports import form_html
from relmeasure.reports.interface_words import INTERFACE, interface_language
from tests.reports.builders import HOSTILE, hostile, worded

VOID = {"meta", "input", "br", "link", "img", "hr"}


class Parsed(HTMLParser):
    """Elements with their attributes, and the text inside each kind of element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in self._open:
            self.texts[tag][-1] += data

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        """Attributes of every element of a kind that has these attributes."""
        return [a for t, a in self.elements if t == tag and all(a.get(k) == v for k, v in attributes.items())]


def worded_instruments() -> list[tuple[str, str]]:
    """Every packaged instrument with wording, in each of its languages."""
    loaded = [load_instrument(info.id) for info in list_instruments() if info.kind == "original"]
    return [(inst.id, language) for inst in loaded for language in inst.languages]


@pytest.mark.parametrize(("name", "language"), worded_instruments())
def test_every_original_instrument_has_its_form(name: str, language: str) -> None:
    """A fieldset an item with its wording as legend, a radio button an answer, a textarea an open answer."""
    inst = load_instrument(name)
    page = Parsed(form_html(inst, language=language))
    assert page.all("html") == [{"lang": language, "dir": "ltr"}]
    legends = [" ".join(text.split()) for text in page.texts["legend"]]
    choices = [item for item in inst.items if inst.response_scale(item.id).options]
    numbers = {item.id: k for k, item in enumerate(inst.items, start=1)}
    assert legends == [f"{numbers[item.id]}. {item.text[language]}" for item in choices]
    for item in choices:
        radios = page.all("input", type="radio", name=f"q{numbers[item.id]}")
        scale = inst.response_scale(item.id)
        codes = [*scale.codes, *(m.code for m in scale.missing if m.reason in {"not_applicable", "skipped"})]
        assert [radio["value"] for radio in radios] == [str(code) for code in codes]
    assert len(page.all("textarea")) == len(inst.items) - len(choices)
    assert len(page.all("fieldset")) == len(choices)
    assert [a["data-item"] for _, a in page.elements if "data-item" in a] == list(inst.item_ids)


def test_the_words_above_items_stand_above_them_and_belong_to_them() -> None:
    """The lead-in of a response scale once a block, named by every question of the block."""
    inst = load_instrument("supports-teacher")
    page = form_html(inst)
    leads = re.findall(r'<p class="prompt" id="(prompt-\d)">(.+?)</p>', page)
    assert [text for _, text in leads] == [inst.response_scales[name].prompt["en"] for name in ("hindrance", "help")]
    described = [a.get("aria-describedby") for a in Parsed(page).all("fieldset")]
    assert described == ["prompt-1"] * 25 + ["prompt-2"] * 10
    assert page.index("prompt-2") > page.index("Doubts about which tasks suit")
    assert page.count("I already have this") == 10


def test_kinds_of_answers() -> None:
    """Missing codes a person may choose are offered, the others not; a range is a number field."""
    page = Parsed(form_html(worded(), language="es"))
    assert [a["value"] for a in page.all("input", type="radio", name="q1")] == ["1", "2", "3", "-8"]
    (number,) = page.all("input", type="number")
    assert (number["min"], number["max"], number["step"]) == ("0", "12.5", "any")
    assert [a["value"] for a in page.all("input", type="radio", name="q3")] == ["99"]
    text = form_html(worded(), language="es")
    assert "No corresponde" in text
    assert "Sin preguntar" not in text
    assert "Un número de 0 a 12.5" in text
    assert "Cuánto ..." in text


def test_every_input_has_its_label() -> None:
    """Inside a label, or named by one."""
    page = form_html(worded())
    parsed = Parsed(page)
    named = {a.get("for") for a in parsed.all("label")}
    outside = re.sub(r"<label[^>]*>.*?</label>", "", page, flags=re.DOTALL)
    alone = re.findall(r'<(?:input|textarea)[^>]*\bid="([^"]+)"', outside)
    assert set(alone) <= named
    assert '<input type="radio"' not in outside
    assert [a["role"] for a in parsed.all("p") if "role" in a] == ["status"]


def test_the_page_needs_nothing_from_outside() -> None:
    """No address anywhere, and a policy that forbids every connection but lets its own style and script run."""
    page = form_html(load_instrument("relationship-student"))
    assert re.findall(r"(?:src|href|action|url)\s*[=(]\s*[\"']?[^\s\"')>]+", page.replace("link.href =", "")) == []
    parsed = Parsed(page)
    (policy,) = [a["content"] or "" for a in parsed.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; form-action 'none'; base-uri 'none'; style-src 'sha256-")
    for kind in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(parsed.texts[kind][0].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert not [a for _, a in parsed.elements for name in a if name.startswith("on") or name == "style"]
    assert len(parsed.texts["script"]) == len(parsed.texts["style"]) == 1
    assert {a.get("type") for a in parsed.all("button")} == {"button"}


def test_hostile_texts_stay_texts() -> None:
    """Scripts, quotes and closing tags in every text of the instrument, and in what the user adds."""
    inst = hostile()
    page = form_html(inst, about=HOSTILE[0], class_code=HOSTILE[1])
    plain = form_html(worded(), about="x", class_code="x")
    parsed, other = Parsed(page), Parsed(plain)
    assert {tag for tag, _ in parsed.elements} == {tag for tag, _ in other.elements}
    known = {name for _, attributes in other.elements for name in attributes}
    assert {name for _, attributes in parsed.elements for name in attributes} <= known
    assert parsed.texts["script"] == other.texts["script"]
    legends = [text.partition(". ")[2] for text in parsed.texts["legend"]]
    assert legends == list(HOSTILE)
    assert parsed.texts["h1"] == [HOSTILE[0]]
    assert parsed.all("input", id="class-code")[0]["value"] == HOSTILE[1]
    assert HOSTILE[4] in page.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def test_script_and_style_cannot_close_themselves() -> None:
    """They are written into the page as they are."""
    parsed = Parsed(form_html(worded()))
    for text in (*parsed.texts["script"], *parsed.texts["style"]):
        assert "</" not in text
        assert "<!--" not in text


def test_language_of_the_interface() -> None:
    """The language of the form where there are words for it; else English, marked as such."""
    english = form_html(worded())
    assert "Next person" in english
    assert 'lang="es"' not in english
    assert "Siguiente persona" in form_html(worded(), language="es")
    french = worded(
        title={"fr": "Jouet"},
        languages=["fr"],
        items=[{"id": "a", "response_scale": "comment", "text": {"fr": "Autre chose ?"}}],
        response_scales={"comment": {"kind": "open"}},
        scales=[],
    )
    page = form_html(french)
    assert '<html lang="fr" dir="ltr">' in page
    assert page.count('lang="en"') > 3
    assert interface_language("es-MX") == "es"
    item = {"id": "a", "response_scale": "comment", "text": {"ar": "هل؟"}}
    arabic = french.model_copy(update={"languages": ["ar"], "title": {"ar": "ل"}, "items": [item]})
    assert '<html lang="ar" dir="rtl">' in form_html(arabic)


def test_interface_languages_say_the_same() -> None:
    """The same keys and the same places to fill in."""
    english = INTERFACE["en"]
    for words in INTERFACE.values():
        assert list(words) == list(english)
        for name, text in words.items():
            fields = {field for _, field, _, _ in string.Formatter().parse(text) if field}
            assert fields == {field for _, field, _, _ in string.Formatter().parse(english[name]) if field}


def test_line_at_the_top() -> None:
    """What the form is about, or a line to write it on; none where people speak of themselves."""
    pulse = load_instrument("lesson-pulse-student")
    assert "Today we drew" in form_html(pulse, about="Today we drew")
    assert 'class="line"' in form_html(pulse)
    assert 'class="line"' not in form_html(load_instrument("strain-teacher"))
    assert "Class or group code" in form_html(load_instrument("strain-teacher"))


def test_no_wording_no_form() -> None:
    """Structure only is refused in one line that says what to do; wording from the user makes a form."""
    tses = load_instrument("tses-short")
    with pytest.raises(InstrumentError, match="'tses-short' holds no wording") as caught:
        form_html(tses)
    assert "\n" not in str(caught.value)
    assert "with_text" in str(caught.value)
    half = tses.with_text({tses.item_ids[0]: {"en": "Can you?"}})
    with pytest.raises(InstrumentError, match="no wording in 'en' for"):
        form_html(half)
    full = tses.with_text({item: {"en": f"Question {item}?"} for item in tses.item_ids})
    page = form_html(full)
    assert "wording supplied by the user" in page
    assert page.count('<input type="radio"') == 9 * 12


@pytest.mark.parametrize(
    ("changes", "language", "said"),
    [
        ({}, "fr", "Use one of: 'en', 'es'"),
        (
            {"licence": {"id": "unknown", "wording": "user_supplied"},
             "items": [{"id": "class_id", "response_scale": "comment", "text": {"en": "x"}}], "scales": []},
            "en",
            "bears the name of a column",
        ),
        (
            {"response_scales": {"degree": {"kind": "degree", "options": [{"value": 1}, {"value": 2}]}},
             "items": [{"id": "a", "response_scale": "degree", "text": {"en": "x", "es": "y"}}], "scales": []},
            "en",
            "have no labels in 'en'",
        ),
        (
            {"licence": {"id": "unknown", "wording": "user_supplied"},
             "response_scales": {"comment": {"kind": "open", "prompt": {"en": "Say:"}}},
             "items": [{"id": "a", "response_scale": "comment", "text": {"en": "x", "es": "y"}}], "scales": []},
            "es",
            "prompt above the items of 'comment' is missing",
        ),
    ],
)  # fmt: skip
def test_what_makes_no_form(changes: dict[str, object], language: str, said: str) -> None:
    """A language that is not there, a name that is taken, answers without labels, a lead-in without translation."""
    with pytest.raises((InstrumentError, OptionError), match=re.escape(said)):
        form_html(worded(**changes), language=language)


def test_options_between_labelled_ends_show_their_code() -> None:
    """A long scale often has labels at its ends only."""
    scale = {"kind": "degree", "options": [{"value": 1, "labels": {"en": "None"}}, {"value": 2}, {"value": 3}]}
    inst = worded(
        languages=["en"], title={"en": "T"}, response_scales={"degree": scale},
        items=[{"id": "a", "response_scale": "degree", "text": {"en": "x"}}], scales=[],
    )  # fmt: skip
    assert re.findall(r"<span>(\w+)</span></label>", form_html(inst)) == ["None", "2", "3"]


def test_without_jinja2_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is called forms."""
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'relmeasure[forms]'")):
        form_html(worded())
