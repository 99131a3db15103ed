"""A form to hand out: one HTML file that is a printable page and an offline web form.

The file needs nothing from outside and sends nothing anywhere: its content security policy forbids every connection,
and lets only the style and the script run whose digests it names. Answers stay in the memory of the page until somebody
saves them as CSV: ``class_id``, ``respondent`` (a random id), one column an item, stored codes, an empty cell where a
question was left out. Rows are in the order of the random ids, not in the order in which people came.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from relmeasure._version import __version__
from relmeasure.exceptions import InstrumentError, MissingExtraError, OptionError, shorten
from relmeasure.instruments.catalog import require_instrument
from relmeasure.reports.interface_words import INTERFACE, interface_language

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument, Item, Option, ResponseScale

__all__ = ["FIRST_COLUMNS", "form_html", "form_language"]

FIRST_COLUMNS = ("class_id", "respondent")
"""Columns of the saved file that stand before the items."""

_IN_BROWSER = ("progress", "count", "gaps", "kept", "nothing", "nothing_to_save", "saved", "number_wrong")
"""Words that the script fills in."""

_OFFERED = ("not_applicable", "skipped")
"""Reasons of missing codes that a person may choose; the others are set by whoever stores the data."""

_RIGHT_TO_LEFT = ("ar", "fa", "he", "ur", "yi")


@dataclass(frozen=True)
class Question:
    """One item as it stands on the form."""

    number: int
    item: str
    text: str
    kind: str
    options: tuple[tuple[int, str], ...]
    missing: tuple[tuple[int, str], ...]
    low: str
    high: str
    hint: str
    clear_label: str


@dataclass(frozen=True)
class Block:
    """Neighbouring questions under the same lead-in."""

    prompt: str | None
    questions: tuple[Question, ...]


def form_html(
    instrument: Instrument, *, language: str | None = None, about: str | None = None, class_code: str = ""
) -> str:
    """Return a form as one HTML file: a page to print, and an offline web form that saves answers to CSV.

    Parameters
    ----------
    instrument : Instrument
        With its wording. A definition that holds structure only is refused; ``Instrument.with_text`` adds wording that
        a user is licensed to use.
    language : str, optional
        Language of the wording; by default the first of the instrument. Buttons and instructions are in the same
        language where there are such words (English and Spanish), else in English.
    about : str, optional
        Line at the top, such as the name of the teacher and the class, or a sentence on the lesson.
    class_code : str
        What stands in the field for the class code when the page is opened.

    Returns
    -------
    str
        HTML, to be written as UTF-8. Every text of the instrument is escaped.

    Raises
    ------
    InstrumentError
        If wording or answer labels are missing in the language, or an item bears the name of another column.
    OptionError
        If the instrument is not in the language.
    MissingExtraError
        If jinja2 is not installed.

    Notes
    -----
    An item on a numeric range is a number field, not a slider: a slider shows a value before anyone has answered.
    Missing codes that have a label and mean "not applicable" or "no answer" are offered as answers.

    Examples
    --------
    >>> from relmeasure.instruments import load_instrument
    >>> from relmeasure.reports import form_html
    >>> page = form_html(load_instrument("lesson-pulse-student"), language="es")
    >>> page.count('<input type="radio"'), page.count("<textarea"), "Muy cierto" in page
    (24, 1, True)
    """
    require_instrument(instrument)
    template = _template()
    chosen = form_language(instrument, language)
    blocks = list(_blocks(instrument, chosen))
    spoken = interface_language(chosen)
    words = INTERFACE[spoken]
    style, script = _asset("form.css"), _asset("form.js")
    markup = _jinja2().filters.FILTERS["safe"]
    return str(
        template.render(
            language=chosen,
            direction="rtl" if chosen.partition("-")[0] in _RIGHT_TO_LEFT else "ltr",
            ui="" if spoken == chosen.partition("-")[0] else markup(f' lang="{spoken}" dir="ltr"'),
            policy=_policy(style, script),
            version=__version__,
            title=_text(instrument.title, chosen),
            about=about,
            reads_about_someone=instrument.target in {"teacher", "class", "student", "lesson"},
            students=instrument.reporter == "student",
            words=SimpleNamespace(**words),  # a dict would answer to "clear" with its method
            browser_words=[(name.replace("_", "-"), words[name]) for name in _IN_BROWSER],
            instrument_id=instrument.id,
            class_code=class_code,
            blocks=blocks,
            label=instrument.label,
            status=words[f"status_{instrument.status}"],
            licence=_licence(instrument, words),
            citation=instrument.citation,
            style=markup(style),
            script=markup(script),
        )
    )


def form_language(instrument: Instrument, language: str | None = None) -> str:
    """Language of a form; refuses an instrument whose wording or labels do not suffice for one."""
    without = [item.id for item in instrument.items if not item.text]
    if len(without) == len(instrument.items):
        raise InstrumentError(
            f"'{instrument.id}' holds no wording, so there is no form to print. Add wording that you are licensed to "
            "use: text = {...} in a copy of its file with licence.wording = 'user_supplied', or Instrument.with_text. "
            f"An empty table for its answers needs none: relmeasure template {instrument.id}.",
            id=instrument.id,
        )
    chosen = language or instrument.languages[0]
    if chosen not in instrument.languages:
        raise OptionError.from_value("language", chosen, instrument.languages)
    without = [item.id for item in instrument.items if chosen not in item.text]
    if without:
        raise InstrumentError(
            f"'{instrument.id}' has no wording in '{chosen}' for {shorten(without)}: a form needs every item.",
            id=instrument.id,
            items=without,
        )
    taken = [item.id for item in instrument.items if item.id.casefold() in FIRST_COLUMNS]
    if taken:
        raise InstrumentError(
            f"'{instrument.id}': item '{taken[0]}' bears the name of a column of the saved file: rename it.",
            id=instrument.id,
        )
    for name in dict.fromkeys(item.response_scale for item in instrument.items):
        _check_labels(instrument, name, chosen)
    return chosen


def _check_labels(instrument: Instrument, name: str, language: str) -> None:
    """Options need not all have a label (a long scale often has them at its ends), but some must have one."""
    scale = instrument.response_scales[name]
    if scale.options and not any(language in option.labels for option in scale.options):
        raise InstrumentError(
            f"'{instrument.id}': the answers of response scale '{name}' have no labels in '{language}': add labels.",
            id=instrument.id,
            response_scale=name,
        )
    if scale.prompt and language not in scale.prompt:
        raise InstrumentError(
            f"'{instrument.id}': the prompt above the items of '{name}' is missing in '{language}': add it.",
            id=instrument.id,
            response_scale=name,
        )


# --------------------------------------------------------------------------- questions
def _blocks(instrument: Instrument, language: str) -> Iterator[Block]:
    numbered = list(enumerate(instrument.items, start=1))
    for name, group in groupby(numbered, key=lambda pair: pair[1].response_scale):
        scale = instrument.response_scales[name]
        questions = tuple(_question(number, item, scale, language) for number, item in group)
        yield Block(scale.prompt.get(language), questions)


def _question(number: int, item: Item, scale: ResponseScale, language: str) -> Question:
    words = INTERFACE[interface_language(language)]
    kinds = {"open": "open", "range": "number"}
    low, high = map(_number, scale.score_range) if scale.kind == "range" else ("", "")
    return Question(
        number=number,
        item=item.id,
        text=item.text[language],
        kind=kinds.get(scale.kind, "choice"),
        options=_labelled(scale.options, language),
        missing=tuple(
            (m.code, m.labels[language]) for m in scale.missing if m.reason in _OFFERED and language in m.labels
        ),
        low=low,
        high=high,
        hint=words["number_hint"].format(low=low, high=high),
        clear_label=words["clear_label"].format(n=number),
    )


def _labelled(options: Iterable[Option], language: str) -> tuple[tuple[int, str], ...]:
    return tuple((option.value, option.labels.get(language, str(option.value))) for option in options)


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _text(text: Any, language: str) -> str:
    return str(text.get(language) or text.get("en") or next(iter(text.values())))


def _licence(instrument: Instrument, words: dict[str, str]) -> str:
    licence = instrument.licence
    named = licence.name or licence.id
    return f"{named}, {words['wording_user']}" if licence.wording == "user_supplied" else named


# --------------------------------------------------------------------------- the file
def _policy(style: str, script: str) -> str:
    """Content security policy: no connection of any kind, and no style or script but ours."""
    allowed = {"style-src": style, "script-src": script}
    parts = [f"{name} 'sha256-{_digest(text)}'" for name, text in allowed.items()]
    return "; ".join(["default-src 'none'", "form-action 'none'", "base-uri 'none'", *parts])


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _asset(name: str) -> str:
    return files("relmeasure.reports").joinpath("templates", name).read_text(encoding="utf-8")


def _jinja2() -> Any:
    try:
        import jinja2
        import jinja2.filters
    except ImportError:
        raise MissingExtraError.from_extra("jinja2", "forms", "A form") from None
    return jinja2


def _template() -> Any:
    jinja2 = _jinja2()
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, cache_size=0
    )
    return environment.from_string(_asset("form.html"))
