"""An empty table for answers, and the codebook that says what its columns and codes mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from relmeasure.instruments.catalog import require_instrument
from relmeasure.results import Table

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument, Item, ResponseScale

__all__ = ["answer_rows", "codebook", "id_columns"]

_PERSON = {
    "student": "student_id",
    "teacher": "teacher_id",
    "observer": "observer_id",
    "parent": "parent_id",
    "staff": "staff_id",
}
_MEANING = {
    "class_id": "code of the class, or nothing",
    "student_id": "code of the student, not a name",
    "teacher_id": "code of the teacher, not a name",
    "observer_id": "code of the observer, not a name",
    "parent_id": "code of the parent, not a name",
    "staff_id": "code of the person, not a name",
}


def id_columns(instrument: Instrument) -> tuple[str, ...]:
    """Columns before the items: who answered, and the class (teachers too answer about one, so that views compare)."""
    require_instrument(instrument)
    taken = {item.casefold() for item in instrument.item_ids}
    return tuple(name for name in (_PERSON[instrument.reporter], "class_id") if name not in taken)


def answer_rows(instrument: Instrument, n_rows: int = 0) -> Table:
    """Return an empty table for answers: id columns and one column an item.

    Parameters
    ----------
    instrument : Instrument
        With wording or without.
    n_rows : int
        Rows with the numbers 1 to ``n_rows`` as the id of the person, and nothing else in them.

    Returns
    -------
    Table
        Columns in the order of the form.

    Examples
    --------
    >>> from relmeasure.instruments import load_instrument
    >>> from relmeasure.reports import answer_rows
    >>> empty = answer_rows(load_instrument("staying-teacher"), n_rows=2)
    >>> list(empty.columns)[:3], empty["teacher_id"]
    (['teacher_id', 'class_id', 'sch_1'], ('1', '2'))
    """
    ids = id_columns(instrument)
    columns: dict[str, tuple[Any, ...]] = dict.fromkeys((*ids, *instrument.item_ids), (None,) * n_rows)
    if ids:
        columns[ids[0]] = tuple(str(row) for row in range(1, n_rows + 1))
    return Table(columns)


def codebook(instrument: Instrument) -> Table:
    """Return one row for every code of every item: what is stored, what it means, what it is worth.

    The last row of an item says what an empty cell means. An item in several scales names them all. Id columns come
    first.

    Parameters
    ----------
    instrument : Instrument
        With wording or without.

    Returns
    -------
    Table
        Columns number, item, scale, key, facet, response_scale, wording_<language>, code, label_<language>,
        keyed_value, missing_reason.

    Examples
    --------
    >>> from relmeasure.instruments import load_instrument
    >>> from relmeasure.reports import codebook
    >>> rows = codebook(load_instrument("relationship-student")).rows()
    >>> [(r["code"], r["label_en"], r["keyed_value"]) for r in rows if r["item"] == "trust_2"][:2]
    [('1', 'Not true', '4'), ('2', 'Sort of true', '3')]
    """
    require_instrument(instrument)
    languages = instrument.languages
    names = ["number", "item", "scale", "key", "facet", "response_scale"]
    names += [f"wording_{language}" for language in languages]
    names += ["code", *(f"label_{language}" for language in languages), "keyed_value", "missing_reason"]
    rows: list[dict[str, Any]] = [
        {"item": name} | {f"wording_{language}": _MEANING[name] for language in languages[:1]}
        for name in id_columns(instrument)
    ]
    for number, item in enumerate(instrument.items, start=1):
        about = {
            "number": number,
            "item": item.id,
            "scale": "; ".join(scale.id for scale in instrument.scales if item.id in scale.items) or None,
            "key": item.key,
            "facet": item.facet,
            "response_scale": item.response_scale,
            **{f"wording_{language}": item.text.get(language) for language in languages},
        }
        rows += [about | code for code in _codes(instrument, item)]
    return Table.from_rows(rows, names)


def _codes(instrument: Instrument, item: Item) -> Iterator[dict[str, Any]]:
    scale = instrument.response_scale(item.id)
    if scale.kind == "open":
        yield {"code": "any text", "missing_reason": None}
    elif scale.kind == "range":
        yield _range(instrument, item, scale)
    else:
        keyed = instrument.keyed_values(item.id)
        for option in scale.options:
            labels = {f"label_{language}": label for language, label in option.labels.items()}
            yield {"code": str(option.value), "keyed_value": f"{keyed[option.value]:g}", **labels}
    for missing in scale.missing:
        labels = {f"label_{language}": label for language, label in missing.labels.items()}
        yield {"code": str(missing.code), "missing_reason": missing.reason, **labels}
    yield {"code": "(empty)", "missing_reason": scale.null_reason}


def _range(instrument: Instrument, item: Item, scale: ResponseScale) -> dict[str, Any]:
    low, high = scale.score_range
    worth = f"{low + high:g} - number" if instrument.is_reflected(item.id) else "number"
    return {"code": f"{low:g} to {high:g}", "keyed_value": worth}
