"""Whatever comes in, what comes out is an instrument or a typed error."""

from __future__ import annotations

import copy
import json
import tracemalloc
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from relmeasure.exceptions import InstrumentError, InstrumentFileError, InstrumentValidationError
from relmeasure.instruments import Instrument, load_instrument
from relmeasure.instruments.definition import Item, ResponseScale, Scale
from relmeasure.instruments.files import parse_bytes, parse_instrument
from tests.instruments.builders import tree
from tests.instruments.test_files import TOML

MEMORY = 128 * 1024 * 1024
"""A file of at most 512 KB never needs more than this to be read or refused; the hungriest found takes 90 MB."""

FUZZ = settings(max_examples=50, deadline=None)

words = st.sampled_from(
    [*Instrument.model_fields, *Item.model_fields, *Scale.model_fields, *ResponseScale.model_fields, "q1", "warm", "en"]
)
keys = words | st.text(max_size=5)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**30, max_value=10**40)
    | st.floats()
    | st.text(max_size=8)
    | words
    | st.dates()
    | st.binary(max_size=3)
)
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5), max_leaves=20
)


def read(data: bytes, suffix: str) -> None:
    """Read bytes; anything but an instrument or a typed error is a failure."""
    try:
        made = parse_bytes(data, suffix, source="fuzz")
    except (InstrumentFileError, InstrumentValidationError) as caught:
        error: InstrumentError = caught
    else:
        assert isinstance(made, Instrument)
        return
    assert str(error).startswith("fuzz: ")
    assert len(str(error)) < 20_000
    str(error).encode("utf-8")
    json.dumps({key: value for key, value in error.details.items() if key != "unknown_keys"})


@FUZZ
@given(st.binary(max_size=300), st.sampled_from([".toml", ".json"]))
def test_random_bytes(data: bytes, suffix: str) -> None:
    """Noise."""
    read(data, suffix)


@FUZZ
@given(st.text(alphabet="[]{}\".=,'\n\\#a1_-e: ", max_size=200), st.sampled_from([".toml", ".json"]))
def test_random_marks(text: str, suffix: str) -> None:
    """Noise made of the marks of the two languages."""
    read(text.encode(), suffix)


@FUZZ
@given(st.integers(0, len(TOML) - 1), st.binary(max_size=4), st.integers(0, 20))
def test_torn_toml(position: int, inserted: bytes, removed: int) -> None:
    """A sound file with a few bytes replaced."""
    read(TOML[:position] + inserted + TOML[position + removed :], ".toml")


@FUZZ
@given(trees)
def test_random_trees(value: Any) -> None:
    """Any mapping made in Python."""
    try:
        parse_instrument(value)
    except InstrumentValidationError as caught:
        error = caught
    else:
        raise AssertionError("a random tree made an instrument")
    str(error).encode("utf-8")


@FUZZ
@given(st.data())
def test_mutated_instruments(data: st.DataObject) -> None:
    """A sound instrument with values exchanged, keys dropped, added and doubled."""
    made: Any = copy.deepcopy(tree())
    for _ in range(data.draw(st.integers(1, 4))):
        node = made
        while isinstance(node, (dict, list)) and node:
            place = data.draw(
                st.sampled_from(sorted(node)) if isinstance(node, dict) else st.integers(0, len(node) - 1)
            )
            inner = node[place]
            if not isinstance(inner, (dict, list)) or not inner or data.draw(st.booleans()):
                break
            node = inner
        if not isinstance(node, (dict, list)) or not node:
            continue
        action = data.draw(st.sampled_from(["replace", "drop", "add", "double"]))
        if action == "replace":
            node[place] = data.draw(trees)
        elif action == "drop":
            del node[place]
        elif isinstance(node, dict):
            node[data.draw(keys)] = data.draw(trees)
        else:
            node.append(copy.deepcopy(node[place]))
    try:
        instrument = parse_instrument(made, source="fuzz")
    except InstrumentValidationError as caught:
        error = caught
    else:
        assert parse_instrument(instrument.model_dump(mode="json")) == instrument
        for item in instrument.item_ids:
            low, high = 0.0, 0.0
            if values := instrument.keyed_values(item).values():
                low, high = instrument.response_scale(item).score_range
                assert (min(values), max(values)) == (low, high)
        for scale in instrument.scale_ids:
            low, high = instrument.scale_range(scale)
            assert low <= high
        return
    assert error.details["problems"]
    str(error).encode("utf-8")


@FUZZ
@given(st.dictionaries(st.sampled_from(["q1", "q2", "q9"]) | st.text(max_size=3), trees, max_size=3))
def test_random_wording(text: Any) -> None:
    """``with_text`` takes anything and breaks on nothing."""
    instrument = parse_instrument(tree())
    try:
        worded = instrument.with_text(text)
    except InstrumentValidationError:
        return
    assert worded.licence.wording == "user_supplied"


def test_memory_is_bounded() -> None:
    """The hungriest of the hostile files found: very many tables, a huge number."""
    size = 512 * 1024 - 10
    hungry = [
        (b"\n".join(b"[a%d.b.c.d.e.f.g.h.i.j.k.l]" % i for i in range(7_600)), ".toml"),
        (b"\n".join(b"[a%d.b.c.d.e.f.g.h.i.j.k.l]" % i for i in range(size // 36)), ".toml"),
        (b"a = [" + b"{}," * (size // 3 - 3) + b"]", ".toml"),
        (b"a = 1" + b"_0" * (size // 2 - 5), ".toml"),
        (b"[" + b"{}," * (size // 3 - 3) + b"{}]", ".json"),
        (b"1" * size, ".json"),
    ]
    load_instrument("relationship-student")
    for data, suffix in hungry:
        tracemalloc.start()
        try:
            read(data, suffix)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < MEMORY, (suffix, data[:20], peak)
