"""The public surface: names, signatures, docstrings, and what importing costs in modules.

The snapshot is rewritten with ``python -m tests.test_public_api``; a changed line needs a line in CHANGELOG.md.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import pickle
import re
import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest

import relmeasure
from relmeasure.results import Result
from tests.support import REFERENCE

SNAPSHOT = REFERENCE / "public_api.txt"

HEAVY = {"pandas", "polars", "pyarrow", "duckdb", "scipy", "sklearn", "matplotlib", "typer", "rich"}
"""Never loaded by importing the package or an instrument."""


# --------------------------------------------------------------------------- snapshot
def signature(function: Any) -> str:
    """Return a signature the same way on every Python: annotations as written."""
    found = inspect.signature(function)
    shown, keyword_only = [], False
    for parameter in found.parameters.values():
        star = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
        star = "**" if parameter.kind is parameter.VAR_KEYWORD else star
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            shown.append("*")
        keyword_only = keyword_only or parameter.kind in {parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL}
        noted = "" if parameter.annotation is parameter.empty else f": {parameter.annotation}"
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        shown.append(f"{star}{parameter.name}{noted}{default}")
    return f"({', '.join(shown)}) -> {found.return_annotation}"


def describe(name: str, value: Any) -> list[str]:
    """Return the lines that stand for a public name."""
    if name == "__version__":
        return [name]
    if not isinstance(value, type):
        return [f"{name}{signature(value)}"]
    if issubclass(value, BaseException):
        return [f"class {name}({', '.join(base.__name__ for base in value.__bases__)})"]
    lines = [f"class {name}"]
    if dataclasses.is_dataclass(value):
        lines += [f"    {field.name}: {field.type}" for field in dataclasses.fields(value)]
    elif hasattr(value, "model_fields"):
        lines += [f"    {field}" for field in value.model_fields]
    for member, method in sorted(vars(value).items()):
        if member.startswith("_") or member in getattr(value, "__dataclass_fields__", {}):
            continue
        if isinstance(method, (classmethod, staticmethod)):
            lines.append(f"    {member}{signature(method.__func__)}")
        elif inspect.isfunction(method):
            lines.append(f"    {member}{signature(method)}")
        elif isinstance(method, property):
            lines.append(f"    {member} (property)")
    return lines


def surface() -> str:
    """Return the public surface as text."""
    lines = [line for name in relmeasure.__all__ for line in describe(name, getattr(relmeasure, name))]
    return "\n".join(lines) + "\n"


def test_surface_is_the_recorded_one() -> None:
    assert surface().splitlines() == SNAPSHOT.read_text(encoding="utf-8").splitlines()


# --------------------------------------------------------------------------- names
def test_all_is_sorted_and_what_is_visible() -> None:
    assert list(relmeasure.__all__) == sorted(relmeasure.__all__)
    assert len(set(relmeasure.__all__)) == len(relmeasure.__all__)
    assert dir(relmeasure) == list(relmeasure.__all__)
    assert set(relmeasure._HOME_OF) == set(relmeasure.__all__) - {"__version__"}


def test_typing_block_names_the_same_as_all() -> None:
    source = inspect.getsource(relmeasure)
    block = source.partition("if TYPE_CHECKING:")[2].partition("__all__")[0]
    for name, home in relmeasure._HOME_OF.items():
        line = next((line for line in block.split("from ") if line.startswith(f"{home} import")), "")
        names = line.partition("import")[2].replace("(", "").replace(")", "").split(",")
        assert name in {word.strip() for word in names}, f"{name} is not imported from {home} for type checkers"


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'alhpa'"):
        relmeasure.alhpa  # type: ignore[attr-defined]  # noqa: B018


def test_version_is_the_installed_one() -> None:
    assert relmeasure.__version__ == version("relmeasure")


# --------------------------------------------------------------------------- docstrings
FUNCTIONS = [n for n in relmeasure.__all__ if n != "__version__" and not isinstance(getattr(relmeasure, n), type)]
CLASSES = [n for n in relmeasure.__all__ if isinstance(getattr(relmeasure, n), type)]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_is_documented(name: str) -> None:
    function = getattr(relmeasure, name)
    doc = inspect.getdoc(function) or ""
    parameters = inspect.signature(function).parameters
    sections = ["Returns", "Examples", *(["Parameters"] if parameters else [])]
    missing = [s for s in sections if f"\n{s}\n{'-' * len(s)}\n" not in f"\n{doc}\n"]
    assert missing == []
    assert ">>> " in doc.partition("\nExamples\n")[2]
    listed = doc.partition("\nParameters\n")[2].partition("\nReturns\n")[0]
    named = set(re.findall(r"\w+", " ".join(line for line in listed.splitlines() if line[:1].strip())))
    undocumented = [p for p in parameters if p not in named]
    assert undocumented == []


@pytest.mark.parametrize("name", CLASSES)
def test_class_is_documented(name: str) -> None:
    doc = inspect.getdoc(getattr(relmeasure, name)) or ""
    assert len(doc.splitlines()[0]) > 20


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_is_typed(name: str) -> None:
    found = inspect.signature(getattr(relmeasure, name))
    untyped = [p.name for p in found.parameters.values() if p.annotation is inspect.Parameter.empty]
    assert untyped == []
    assert found.return_annotation is not inspect.Signature.empty


POSITIONAL = {"perception_gap": 4}
"""More than two leading arguments: two forms, each with its data."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_only_the_first_two_arguments_are_positional(name: str) -> None:
    kinds = [p.kind for p in inspect.signature(getattr(relmeasure, name)).parameters.values()]
    positional = [k for k in kinds if k in {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}]
    assert len(positional) <= POSITIONAL.get(name, 2)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_pickles_by_name(name: str) -> None:
    function = getattr(relmeasure, name)
    assert pickle.loads(pickle.dumps(function)) is function


@pytest.mark.parametrize("name", CLASSES)
def test_result_classes_are_frozen(name: str) -> None:
    cls = getattr(relmeasure, name)
    if issubclass(cls, Result):
        assert cls.__dataclass_params__.frozen
        assert not cls.__dataclass_params__.eq


# --------------------------------------------------------------------------- what importing costs
def loaded_after(code: str) -> set[str]:
    """Return the top-level packages that a fresh interpreter has loaded after running ``code``."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted({{m.partition('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_loads_nothing_heavy() -> None:
    assert not loaded_after("import relmeasure; dir(relmeasure)") & (HEAVY | {"numpy", "narwhals", "pydantic"})


@pytest.mark.skipif("load_instrument" not in relmeasure.__all__, reason="no catalogue yet")
def test_load_instrument_loads_no_numbers_and_no_frames() -> None:
    loaded = loaded_after("import relmeasure as rm; rm.load_instrument('relationship-student')")
    assert not loaded & (HEAVY | {"numpy", "narwhals"})


@pytest.mark.skipif("score" not in relmeasure.__all__, reason="no scoring yet")
def test_scoring_a_polars_frame_leaves_pandas_alone() -> None:
    loaded = loaded_after(
        "import relmeasure as rm, polars as pl\n"
        "inst = rm.load_instrument('relationship-student')\n"
        "answer = {i.id: [inst.response_scale(i.id).options[0].value] * 5 for i in inst.items}\n"
        "rm.score(inst, pl.DataFrame(answer))"
    )
    assert not loaded & (HEAVY - {"polars"})


if __name__ == "__main__":
    SNAPSHOT.parent.mkdir(parents=True, exist_ok=True)
    SNAPSHOT.write_text(surface(), encoding="utf-8")
    sys.stdout.write(f"wrote {SNAPSHOT}\n")
