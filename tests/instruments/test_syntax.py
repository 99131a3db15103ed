"""Text from anyone: depth, size, repeated keys, odd numbers; a typed error every time, and no hanging."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from relmeasure.exceptions import InstrumentError, InstrumentFileError, InstrumentValidationError
from relmeasure.instruments.files import parse_bytes, parse_instrument
from relmeasure.instruments.syntax import MAX_BYTES, MAX_DEPTH, json_tree, toml_tree, tree_problems
from tests.instruments.builders import tree

N = MAX_BYTES - 200
"""Hostile texts are as large as a file may be: what grows faster than its text would not end before the time limit."""

HOSTILE_TOML: dict[str, bytes] = {
    "dotted key": b"a" + b".a" * (N // 2) + b" = 1",
    "dotted key in quotes": b'"a"' + b'."a"' * (N // 4) + b" = 1",
    "dotted key with blanks": b"a" + b" . a" * (N // 4) + b" = 1",
    "many dotted keys": b"\n".join(b"a%d.b.c.d.e.f.g.h.i.j.k.l = 1" % i for i in range(N // 40)),
    "dotted header": b"[" + b"a." * (N // 2) + b"a]",
    "deep lists": b"a = " + b"[" * N,
    "deep tables": b"a = " + b"{a=" * (N // 3),
    "closers": b"]" * N,
    "many tables": b"\n".join(b"[t%d]" % i for i in range(N // 9)),
    "one header again and again": b"[a]\n" * (N // 4),
    "list of tables": b"[[a]]\n[a.b]\n" * (N // 12),
    "many inline tables": b"a = [" + b"{}," * (N // 3) + b"]",
    "huge integer": b"a = 1" + b"0" * N,
    "huge integer with underscores": b"a = 1" + b"_0" * (N // 2),
    "huge hexadecimal": b"a = 0x" + b"f" * N,
    "long float": b"a = 1." + b"1" * N,
    "huge exponent": b"a = 1e" + b"9" * N,
    "long string": b'a = "' + b"x" * N + b'"',
    "escapes": b'a = "' + b"\\n" * (N // 2) + b'"',
    "open string of escapes": b'a = "' + b'\\"' * (N // 2),
    "open long string": b'a = """' + b'"" ' * (N // 3),
    "open literal string": b"a = '''" + b"'' " * (N // 3),
    "line ends escaped": b'a = """' + b"\\\n" * (N // 2) + b'"""',
    "quotes": b'"' * N,
    "single quotes": b"'" * N,
    "backslashes": b"\\" * N,
    "comments": b"#\n" * (N // 2),
    "one comment": b"#" * N,
    "one bare key": b"a" * N,
    "dots": b"." * N,
    "null characters": b"\0" * N,
    "carriage returns": b"\r" * N,
}

HOSTILE_JSON: dict[str, bytes] = {
    "deep lists": b"[" * N,
    "deep objects": b'{"a":' * (N // 5),
    "quotes": b'"' * N,
    "open string of escapes": b'"' + b'\\"' * (N // 2),
    "open string of backslashes": b'"' + b"\\" * N,
    "huge integer": b"1" * N,
    "huge integer inside": b'{"schema_version": ' + b"1" * 4000 + b"}",
    "long float": b"1." + b"1" * N,
    "huge exponent": b'{"a": 1e' + b"9" * (N // 2) + b"}",
    "many numbers": b"[" + b"1," * (N // 2 - 2) + b"1]",
    "many keys": b"{" + b",".join(b'"k%d":1' % i for i in range(N // 12)) + b"}",
    "one key again and again": b"{" + b'"k":1,' * (N // 6 - 1) + b'"k":1}',
    "every key twice": b"{" + b",".join(b'"k%d":1,"k%d":2' % (i, i) for i in range(N // 24)) + b"}",
}


@pytest.mark.parametrize("name", HOSTILE_TOML)
def test_hostile_toml(name: str) -> None:
    """A typed error that fits on a screen."""
    with pytest.raises((InstrumentFileError, InstrumentValidationError)) as caught:
        parse_bytes(HOSTILE_TOML[name], ".toml", source="x.toml")
    assert str(caught.value).startswith("x.toml: ")
    assert len(str(caught.value)) < 10_000


@pytest.mark.parametrize("name", HOSTILE_JSON)
def test_hostile_json(name: str) -> None:
    """A typed error that fits on a screen."""
    with pytest.raises((InstrumentFileError, InstrumentValidationError)) as caught:
        parse_bytes(HOSTILE_JSON[name], ".json", source="x.json")
    assert str(caught.value).startswith("x.json: ")
    assert len(str(caught.value)) < 10_000


# --------------------------------------------------------------------------- the limit on nesting
def test_nesting_up_to_the_limit() -> None:
    """The scan counts brackets of the text, not those inside strings and comments."""
    assert toml_tree(b"a = " + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, "x")
    assert json_tree(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, "x")
    with pytest.raises(InstrumentFileError, match="nested more than 16 deep at line 2"):
        toml_tree(b"b = 1\na = " + b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "x")
    with pytest.raises(InstrumentFileError, match="nested more than 16 deep at line 1"):
        json_tree(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "x")


@pytest.mark.parametrize(
    "text",
    [
        'a = "' + "[" * 50 + '"',
        "a = '" + "{" * 50 + "'",
        'a = """' + "[\n" * 50 + '"""',
        "a = '''" + "[\n" * 50 + "'''",
        'a = """x""""' + "\n# " + "[" * 50,
        "a = '''x'''''" + "\n# " + "[" * 50,
        'a = "\\"' + "[" * 50 + '"',
        'a = "' + "." * 50 + '"',
        '"' + "." * 50 + '" = 1',
        "a = 1 # " + "[." * 50,
        "a = [" + "1.5, " * 50 + "]",
        "\n".join(f"a{k} = 1.5" for k in range(50)),
        "\n".join(f"[a{k}.b]" for k in range(50)),
    ],
)
def test_brackets_and_dots_that_are_text(text: str) -> None:
    """Nothing here is nested."""
    assert toml_tree(text, "x")


@pytest.mark.parametrize(
    "text", ['{"a": "' + "[" * 50 + '"}', '{"' + "{" * 50 + '": 1}', '{"a": "\\"' + "[" * 50 + '"}']
)
def test_brackets_that_are_text_in_json(text: str) -> None:
    """Nothing here is nested."""
    assert json_tree(text, "x")


# --------------------------------------------------------------------------- what a tree may hold
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a = inf", "a: is inf: write a finite number"),
        (b"a = nan", "a: is nan: write a finite number"),
        (b"a = 2020-01-31", "a: is a bare date or time: put it in quotes, '2020-01-31'"),
        (b"a = 07:32:00", "a: is a bare date or time"),
        (b"a = 0x" + b"f" * 100, "a: is a whole number of 400 bits"),
        (b"a.b.c.d.e.f.g.h.i.j.k = {l.m.n.o.p.q.r = 1}", "is nested more than 16 deep"),
    ],
)
def test_values_that_toml_knows_and_instruments_do_not(text: bytes, message: str) -> None:
    """Named with their place."""
    with pytest.raises(InstrumentValidationError, match=r"x\.toml: 1 problem") as caught:
        parse_bytes(text, ".toml", source="x.toml")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"a": NaN}', "NaN is not a number of JSON"),
        (b'{"a": -Infinity}', "-Infinity is not a number of JSON"),
        (
            b'{"items": [{"id": "q1", "key": 1, "key": -1}]}',
            "key 'key' is given more than once in the entry with id 'q1'",
        ),
        (b'{"a": 1, "a": 2}', "key 'a' is given more than once: keep one"),
        (b"{", "Expecting property name"),
        (b"", "Expecting value"),
        (b'{"a": 1}}', "Extra data"),
    ],
)
def test_json_that_is_refused(text: bytes, message: str) -> None:
    """A repeated key would lose one of its values."""
    with pytest.raises(InstrumentFileError) as caught:
        json_tree(text, "x.json")
    assert str(caught.value).startswith("x.json: not valid JSON: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a = 1\na = 2\n", "a key is given more than once (at line 2"),
        (b"[a]\n[a]\n", "(at line 2"),
        (b"a = \n", "(at line 1"),
        (b"[" + b"k" * 5000 + b"]\n[" + b"k" * 5000 + b"]", " ... "),
    ],
)
def test_toml_that_is_refused(text: bytes, message: str) -> None:
    """With the line, in a message of bounded length."""
    with pytest.raises(InstrumentFileError) as caught:
        toml_tree(text, "x.toml")
    assert str(caught.value).startswith("x.toml: not valid TOML: ")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 500


def test_encodings() -> None:
    """UTF-8, with or without a byte order mark; nothing else."""
    assert toml_tree("a = 'é'".encode("utf-8-sig"), "x") == {"a": "é"}
    assert json_tree('{"a": "é"}'.encode("utf-8-sig"), "x") == {"a": "é"}
    for encoding in ("latin-1", "utf-16", "utf-32"):
        with pytest.raises(InstrumentFileError, match=r"not UTF-8: byte 0x.. at position .*Save it as UTF-8"):
            toml_tree("a = 'é'".encode(encoding), "x")


def test_size_limit() -> None:
    """One character or byte too many."""
    for text in ("#" * (MAX_BYTES + 1), b"#" * (MAX_BYTES + 1)):
        with pytest.raises(InstrumentFileError, match="holds at most 524288"):
            toml_tree(text, "x")


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"a": {1, 2}}, "is a set, which has no order: use a list."),
        ({"a": date(2020, 1, 31)}, "is a bare date or time: put it in quotes, '2020-01-31'."),
        ({"a": object()}, "is of type object: use text, numbers, lists and tables only."),
        ({"a": b"x"}, "is of type bytes: use text, numbers, lists and tables only."),
        ({1: "x"}, "has a key that is not text (int): use text keys."),
    ],
)
def test_mappings_from_code(value: Any, complaint: str) -> None:
    """A mapping made in Python may hold more than a file can."""
    assert [found for _, found in tree_problems(value)] == [complaint]
    with pytest.raises(InstrumentValidationError):
        parse_instrument(tree() | value)


@pytest.mark.parametrize("error", [RecursionError(), MemoryError()])
def test_when_the_machine_gives_up_first(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Still a typed error."""

    def give_up(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("tomllib.loads", give_up)
    monkeypatch.setattr("json.loads", give_up)
    for parse in (toml_tree, json_tree):
        with pytest.raises(InstrumentFileError, match="nested too deeply, or too large"):
            parse(b"{}", "x")


def test_mappings_without_end() -> None:
    """A mapping that contains itself, a very wide one, and one with very many complaints."""
    circle: dict[str, Any] = {}
    circle["a"] = circle
    assert "is nested more than 16 deep" in tree_problems(circle)[0][1]
    assert "holds more than 100000 keys" in tree_problems({"a": list(range(200_000))})[0][1]
    assert len(tree_problems({"a": [float("nan")] * 1000})) == 100
    with pytest.raises(InstrumentError):
        parse_instrument(circle)
