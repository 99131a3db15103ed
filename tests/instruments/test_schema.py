"""The published JSON Schema: what it says, that packaged files fit it, and that it does not change unnoticed."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from relmeasure.instruments import json_schema, load_instrument
from tests.instruments.builders import Tree, tree, with_item, with_scale

GOLDEN = Path(__file__).with_name("schema.json")
"""A changed schema is a changed file format: it needs a line in the changelog, and this file written anew."""

LIBRARY = sorted(
    file.name for file in files("relmeasure.instruments").joinpath("library").iterdir() if file.name.endswith(".toml")
)


# --------------------------------------------------------------------------- a validator for the keywords in use
KINDS = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "null": type(None)}
KINDS_TYPED: dict[str, Any] = {**KINDS, "boolean": bool}
NOTES = {"$schema", "$id", "$defs", "title", "description", "default"}


def fits(value: Any, schema: Any, root: Any) -> bool:
    """Whether a value fits a schema that uses no keyword but these."""
    if schema is True or schema is False:
        return bool(schema)
    return all(_holds(key, part, value, schema, root) for key, part in schema.items() if key not in NOTES)


def _holds(key: str, part: Any, value: Any, schema: Any, root: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    checks: dict[str, Any] = {
        "$ref": lambda: fits(value, root["$defs"][part.removeprefix("#/$defs/")], root),
        "anyOf": lambda: any(fits(value, option, root) for option in part),
        "type": lambda: isinstance(value, KINDS_TYPED[part]) and (part == "boolean") == isinstance(value, bool),
        "const": lambda: value == part and not isinstance(value, bool),
        "enum": lambda: value in part and not isinstance(value, bool),
        "minimum": lambda: not is_number or value >= part,
        "maximum": lambda: not is_number or value <= part,
        "exclusiveMinimum": lambda: not is_number or value > part,
        "minLength": lambda: not isinstance(value, str) or len(value) >= part,
        "maxLength": lambda: not isinstance(value, str) or len(value) <= part,
        "pattern": lambda: not isinstance(value, str) or re.search(part, value) is not None,
        "minItems": lambda: not isinstance(value, list) or len(value) >= part,
        "maxItems": lambda: not isinstance(value, list) or len(value) <= part,
        "minProperties": lambda: not isinstance(value, dict) or len(value) >= part,
        "maxProperties": lambda: not isinstance(value, dict) or len(value) <= part,
        "required": lambda: not isinstance(value, dict) or set(part) <= set(value),
        "properties": lambda: (
            not isinstance(value, dict)
            or all(fits(value[name], inner, root) for name, inner in part.items() if name in value)
        ),
        "patternProperties": lambda: (
            not isinstance(value, dict)
            or all(
                fits(v, inner, root)
                for pattern, inner in part.items()
                for k, v in value.items()
                if re.search(pattern, k)
            )
        ),
        "propertyNames": lambda: not isinstance(value, dict) or all(fits(name, part, root) for name in value),
        "prefixItems": lambda: (
            not isinstance(value, list) or all(fits(v, inner, root) for v, inner in zip(value, part, strict=False))
        ),
        "items": lambda: (
            not isinstance(value, list) or all(fits(v, part, root) for v in value[len(schema.get("prefixItems", [])) :])
        ),
        "additionalProperties": lambda: (
            not isinstance(value, dict) or all(_known(k, v, schema, root) for k, v in value.items())
        ),
    }
    return bool(checks[key]())


def _known(name: str, value: Any, schema: Any, root: Any) -> bool:
    if name in schema.get("properties", {}) or any(re.search(p, name) for p in schema.get("patternProperties", {})):
        return True
    return fits(value, schema["additionalProperties"], root)


def valid(made: Any) -> bool:
    """Whether a file fits the published schema."""
    schema = json_schema()
    return fits(made, schema, schema)


# --------------------------------------------------------------------------- tests
def test_the_schema_is_the_published_one() -> None:
    """Snapshot; the same with every version of pydantic that is supported."""
    assert json_schema() == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_the_schema_says_what_it_is() -> None:
    """Draft, id, title."""
    schema = json_schema()
    assert list(schema)[:3] == ["$schema", "$id", "title"]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == "urn:relmeasure:schema:instrument:1"
    assert schema["title"] == "relmeasure instrument"
    json.dumps(schema, allow_nan=False)


def test_no_table_admits_unknown_keys() -> None:
    """As in reading, a misspelt key is an error in an editor too."""

    def tables(node: Any) -> list[Any]:
        inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
        own = [node] if isinstance(node, dict) and node.get("type") == "object" else []
        return own + [found for part in inner for found in tables(part)]

    found = tables(json_schema())
    assert len(found) > 15
    assert all(table["additionalProperties"] is False or "properties" not in table for table in found)
    assert all(table["additionalProperties"] is False for table in found)


@pytest.mark.parametrize("name", LIBRARY)
def test_packaged_files_fit_the_schema(name: str) -> None:
    """As they are written, in TOML."""
    data = files("relmeasure.instruments").joinpath("library", name).read_text(encoding="utf-8")
    assert valid(tomllib.loads(data))


@pytest.mark.parametrize("name", LIBRARY)
def test_written_instruments_fit_the_schema(name: str) -> None:
    """With defaults and without, as JSON holds them."""
    instrument = load_instrument(name.removesuffix(".toml"))
    assert valid(instrument.model_dump(mode="json"))
    assert valid(instrument.model_dump(mode="json", exclude_defaults=True))


@pytest.mark.parametrize(
    "made",
    [
        {},
        [],
        tree(schema_version=2),
        tree(schema_version="1"),
        tree(id="Toy"),
        tree(titel="x"),
        tree(title={}),
        tree(title={"English": "x"}),
        tree(title={"en": "  "}),
        tree(title={"en": "\x1b"}),
        tree(items=[]),
        tree(items={}),
        tree(status="final"),
        tree(response_scales={"4agree": {"kind": "open"}}),
        tree(norms=[{"id": "n"}]),
        with_item(key=0),
        with_item(key="1"),
        with_item(facett="x"),
        with_scale(levels=["klass"]),
        with_scale(missing={"min_share": 0}),
        with_scale(missing={"min_share": 1.5}),
        with_scale(missing={"prorate": "yes"}),
        with_scale(scoring={"weights": {"1x": 1}}),
    ],
    ids=range(23),
)
def test_files_that_do_not_fit(made: Tree) -> None:
    """What reading refuses for its form, the schema refuses."""
    assert not valid(made)


def test_norm_tables_are_pairs() -> None:
    """A row of a lookup table holds two numbers."""
    norm = {"id": "n", "kind": "lookup", "population": "p", "date": "2020", "version": "1", "source": "s"}
    assert valid(tree(norms=[{**norm, "table": [[1, 2], [2, 3.5]]}]))
    assert not valid(tree(norms=[{**norm, "table": [[1, 2, 3]]}]))
    assert not valid(tree(norms=[{**norm, "table": [[1]]}]))
