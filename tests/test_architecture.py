"""The direction of imports, the homes of third-party packages, and rules of the house that no linter knows.

Each rule is a function from parsed modules to complaints; the package must have none, and a seeded violation of each
rule must be found.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pytest

from tests.support import SOURCE

LAYERS: tuple[frozenset[str], ...] = tuple(
    map(
        frozenset,
        (
            {"_version", "exceptions", "layout", "round_trip"},
            {"results"},
            {"instruments", "numerics"},
            {"samplestats", "disclosure"},
            {"responses"},
            {"scoring", "simulation", "factor", "structural", "irt"},
            {"classical", "equivalence", "structure_checks", "multilevel", "panel", "differential"},
            {"studies"},
            {"reports", "interop"},
            {"cli"},
            {"__init__", "__main__"},
        ),
    )
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

EXEMPT = {("results", "render", "reports")}
"""(module, function, target): the one upward call, by name."""

HOMES = {
    "narwhals": {"responses", "scoring"},
    "pydantic": {"instruments", "interop"},
    "pydantic_core": {"instruments", "interop"},
    "typer": {"cli"},
    "click": {"cli"},
    "rich": {"cli"},
    "matplotlib": {"reports"},
    "jinja2": {"reports"},
    "textstat": {"instruments"},
    "docx": {"reports"},
}
"""Third-party packages that only some modules may import, at any depth."""

LAZY_ONLY = {
    "pandas",
    "scipy",
    "polars",
    "pyarrow",
    "duckdb",
    "matplotlib",
    "jinja2",
    "docx",
    "factor_analyzer",
    "textstat",
}
"""Third-party packages that are imported inside functions, on first use."""

NEVER = {"sklearn", "scipy.stats", "statsmodels"}
"""Third-party packages that are too heavy for anything."""

NO_NUMBERS = {"_version", "exceptions", "instruments"}
"""Modules that work without NumPy."""

CONTRACT_NAMES = {
    "alpha", "bartlett", "bind", "cfa", "check", "classroom_scores", "dimensionality", "efa", "guttman", "icc",
    "invariance", "item_analysis", "kmo", "list_instruments", "load_instrument", "moments", "monitor", "n_factors",
    "omega", "perception_gap", "plan", "polychoric", "practice_trial", "reciprocity", "reliability", "score", "sem",
    "simulate", "spearman_brown", "split_half", "standard_error_of_measurement", "validate",
}  # fmt: skip
"""Public functions, present and promised: no direct submodule may bear such a name."""

FOREIGN_CODE = {
    ("relmeasure.instruments.catalog", "_of_point"): "a plug-in may raise anything; it must not hide the rest"
}
"""(module, function): why it may catch every exception."""

MAX_LINES = 500
MAX_BODY = 40

LONG_FILES = {"relmeasure.exceptions": "one flat tree; a class is three lines"}
"""module: why it may be longer."""

LONG_BODIES: dict[tuple[str, str], str] = {}
"""(module, function): why its body may be longer; one solver loop is a reason."""


# --------------------------------------------------------------------------- reading
@dataclass(frozen=True)
class Import:
    """One import: the module it names, where it stands, and whether it runs when the file is imported."""

    target: str
    line: int
    function: str | None


@dataclass(frozen=True)
class Module:
    """One parsed file."""

    name: str
    text: str
    is_package: bool = False

    @property
    def top(self) -> str:
        """Direct submodule of relmeasure that the file belongs to."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else "__init__"

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text)

    def imports(self) -> list[Import]:
        """Every import that can run; typing-only blocks are skipped."""
        return list(_imports(self.tree, None))


def _imports(node: ast.AST, function: str | None) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from _imports(ast.Module([other], []), function)
        elif isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, function)
        elif isinstance(child, ast.ImportFrom):
            if child.level:
                yield Import("." * child.level + (child.module or ""), child.lineno, function)
            for alias in child.names:
                yield Import(f"{child.module}.{alias.name}", child.lineno, function)
        else:
            if isinstance(child, ast.Call) and (named := _named_module(child)):
                yield Import(named, child.lineno, function)
            inner = child.name if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) else function
            if isinstance(child, ast.Lambda):
                inner = inner or "<lambda>"
            yield from _imports(child, inner)


def _named_module(call: ast.Call) -> str | None:
    """Return the module that ``import_module("...")`` or ``__import__("...")`` names."""
    if ast.unparse(call.func).split(".")[-1] not in {"import_module", "__import__"} or not call.args:
        return None
    first = call.args[0]
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


@cache
def read_package(root: Path = SOURCE) -> tuple[Module, ...]:
    """Return every file of the package."""
    found = []
    for path in sorted(root.rglob("*.py")):
        parts = ["relmeasure", *path.relative_to(root).with_suffix("").parts]
        is_package = parts[-1] == "__init__"
        found.append(
            Module(".".join(parts[:-1] if is_package else parts), path.read_text(encoding="utf-8"), is_package)
        )
    return tuple(found)


Rule = Callable[[Sequence[Module]], Iterator[str]]
"""Parsed modules in, complaints out."""


# --------------------------------------------------------------------------- rules
def direction(modules: Sequence[Module]) -> Iterator[str]:
    """A module imports from a lower layer or its own package."""
    for module in modules:
        if module.top not in RANK:
            yield f"{module.name}: '{module.top}' has no layer: add it to LAYERS and to docs/architecture.md"
            continue
        for found in module.imports():
            root, _, rest = found.target.partition(".")
            if root == "" or found.target.startswith("."):
                yield f"{module.name}:{found.line}: relative import"
            if root != "relmeasure":
                continue
            target = rest.partition(".")[0] or "__init__"
            target = target if target in RANK else "__init__"
            if target == module.top or (module.top, found.function, target) in EXEMPT:
                continue
            if RANK[target] >= RANK[module.top]:
                yield f"{module.name}:{found.line}: imports {found.target}, which is not in a lower layer"


def cycles(modules: Sequence[Module]) -> Iterator[str]:
    """No module reaches itself through imports."""
    known = {module.name for module in modules}
    edges: dict[str, set[str]] = {}
    for module in modules:
        targets = set()
        for found in module.imports():
            name = found.target
            if (module.top, found.function, name.removeprefix("relmeasure.")) in EXEMPT:
                continue
            while name and name not in known:
                name = name.rpartition(".")[0]
            targets |= {name} - {module.name, "relmeasure", ""}
        edges[module.name] = targets
    for start in sorted(edges):
        seen: set[str] = set()
        todo = list(edges[start])
        while todo:
            current = todo.pop()
            if current == start:
                yield f"{start}: imports itself through {', '.join(sorted(edges[start] & (seen | {start}))) or start}"
                break
            if current not in seen:
                seen.add(current)
                todo.extend(edges.get(current, ()))


def third_parties(modules: Sequence[Module]) -> Iterator[str]:
    """Third-party packages stay at home, and heavy ones load on first use."""
    for module in modules:
        for found in module.imports():
            root = found.target.partition(".")[0]
            where = f"{module.name}:{found.line}"
            if root in HOMES and module.top not in HOMES[root]:
                yield f"{where}: {root} is at home in {sorted(HOMES[root])}"
            if root in LAZY_ONLY and found.function is None:
                yield f"{where}: {root} is imported when the file is imported"
            if any(found.target == name or found.target.startswith(f"{name}.") for name in NEVER):
                yield f"{where}: {found.target} is never imported"
            if root == "numpy" and module.top in NO_NUMBERS:
                yield f"{where}: {module.top} works without numpy"
            if root == "narwhals" and not found.target.startswith(("narwhals.stable.v2", "narwhals.exceptions.")):
                yield f"{where}: use narwhals.stable.v2"


def manners(modules: Sequence[Module]) -> Iterator[str]:
    """No assert, no print, no exception swallowed unnamed, no unfinished function."""
    for module in modules:
        excused = {
            handler
            for node in ast.walk(module.tree)
            if isinstance(node, ast.FunctionDef) and (module.name, node.name) in FOREIGN_CODE
            for handler in ast.walk(node)
        }
        for node in ast.walk(module.tree):
            where = f"{module.name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Assert):
                yield f"{where}: assert is no input check"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                yield f"{where}: print"
            if isinstance(node, ast.ExceptHandler) and node not in excused:
                caught = ast.unparse(node.type).split(", ") if node.type else [""]
                passed_on = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
                if not passed_on and {name.strip("()") for name in caught} & {"", "Exception", "BaseException"}:
                    yield f"{where}: name the exceptions that are expected"
            if isinstance(node, ast.Name) and node.id == "NotImplementedError":
                yield f"{where}: finish it, or raise UnsupportedDataError"


def sizes(modules: Sequence[Module]) -> Iterator[str]:
    """A file and a function stay readable; a docstring does not count as body."""
    for module in modules:
        lines = module.text.count("\n")
        if lines > MAX_LINES and module.name not in LONG_FILES:
            yield f"{module.name}: {lines} lines; split it at {MAX_LINES}"
        for node in ast.walk(module.tree):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or (module.name, node.name) in LONG_BODIES:
                continue
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            length = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            if length > MAX_BODY:
                yield f"{module.name}:{node.lineno}: the body of {node.name} has {length} lines, over {MAX_BODY}"


def names(modules: Sequence[Module], public: set[str]) -> Iterator[str]:
    """No direct submodule bears the name of a public object."""
    for module in modules:
        parts = module.name.split(".")
        if len(parts) == 2 and parts[1] in public:
            yield f"{module.name}: importing it would replace the public name '{parts[1]}' by a module"


def public_names() -> set[str]:
    """Names promised by the contract and names exported now."""
    import relmeasure

    return CONTRACT_NAMES | set(relmeasure.__all__)


# --------------------------------------------------------------------------- the package keeps the rules
@pytest.mark.parametrize("rule", [direction, cycles, third_parties, manners, sizes])
def test_package_keeps_the_rule(rule: Rule) -> None:
    assert list(rule(read_package())) == []


def test_every_exception_to_a_rule_is_still_needed() -> None:
    known = {
        (module.name, node.name)
        for module in read_package()
        for node in ast.walk(module.tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    assert set(LONG_BODIES) | set(FOREIGN_CODE) <= known
    long = {module.name for module in read_package() if module.text.count("\n") > MAX_LINES}
    assert set(LONG_FILES) <= long


def test_no_submodule_bears_a_public_name() -> None:
    assert list(names(read_package(), public_names())) == []


def test_public_names_survive_the_import_of_every_submodule() -> None:
    script = """
import importlib, json, pkgutil, types
import relmeasure
broken = []
for info in pkgutil.walk_packages(relmeasure.__path__, "relmeasure."):
    importlib.import_module(info.name)
for name in relmeasure.__all__:
    value = getattr(relmeasure, name)
    home = relmeasure._HOME_OF.get(name)
    if isinstance(value, types.ModuleType):
        broken.append(f"{name} is a module")
    elif home and value is not getattr(importlib.import_module(home), name):
        broken.append(f"{name} is not the object of {home}")
    elif name[0].islower() and not callable(value):
        broken.append(f"{name} cannot be called")
print(json.dumps(broken))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


# --------------------------------------------------------------------------- and each rule can fail
def _seeded(name: str, text: str) -> list[Module]:
    return [*read_package(), Module(name, text)]


@pytest.mark.parametrize(
    ("rule", "name", "text", "complaint"),
    [
        (direction, "relmeasure.numerics.seed", "from relmeasure.classical import alpha", "not in a lower layer"),
        (direction, "relmeasure.scoring", "import relmeasure.factor.adequacy", "not in a lower layer"),
        (direction, "relmeasure.classical", "def f():\n    from relmeasure import score", "not in a lower layer"),
        (direction, "relmeasure.classical", "from relmeasure import cli", "not in a lower layer"),
        (direction, "relmeasure.instruments.seed", "from relmeasure import numerics", "not in a lower layer"),
        (
            direction,
            "relmeasure.results",
            "def show():\n    import_module('relmeasure.reports')",
            "not in a lower layer",
        ),
        (direction, "relmeasure.scoring", "from . import responses", "relative import"),
        (direction, "relmeasure.attic", "", "has no layer"),
        (third_parties, "relmeasure.classical", "import narwhals.stable.v2 as nw", "is at home in"),
        (third_parties, "relmeasure.responses.seed", "from narwhals.dataframe import DataFrame", "stable.v2"),
        (third_parties, "relmeasure.studies.seed", "def f():\n    import pydantic", "is at home in"),
        (third_parties, "relmeasure.results", "def f():\n    from rich import table", "is at home in"),
        (third_parties, "relmeasure.classical", "import pandas as pd", "is imported when"),
        (third_parties, "relmeasure.classical", "class A:\n    from scipy import optimize", "is imported when"),
        (third_parties, "relmeasure.classical", "def f():\n    from scipy import stats", "is never imported"),
        (third_parties, "relmeasure.classical", "def f():\n    import scipy.stats", "is never imported"),
        (third_parties, "relmeasure.factor.seed", "def f():\n    import sklearn.utils", "is never imported"),
        (third_parties, "relmeasure.instruments.seed", "def f():\n    import numpy", "works without numpy"),
        (manners, "relmeasure.scoring", "assert 1", "no input check"),
        (manners, "relmeasure.scoring", "print(1)", "print"),
        (manners, "relmeasure.scoring", "try:\n    f()\nexcept:\n    pass", "name the exceptions"),
        (
            manners,
            "relmeasure.scoring",
            "try:\n    f()\nexcept (KeyError, Exception):\n    pass",
            "name the exceptions",
        ),
        (manners, "relmeasure.scoring", "raise NotImplementedError", "finish it"),
        (sizes, "relmeasure.scoring", "\n" * (MAX_LINES + 1), "split it"),
        (sizes, "relmeasure.scoring", "def f():\n    'text'\n" + "    x = 1\n" * (MAX_BODY + 1), "the body of f"),
    ],
)
def test_seeded_violation_is_found(rule: Rule, name: str, text: str, complaint: str) -> None:
    found = [line for line in rule(_seeded(name, text)) if line.startswith(name)]
    assert found
    assert all(complaint in line for line in found)


@pytest.mark.parametrize(
    "text",
    [
        "from __future__ import annotations",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from relmeasure.cli import app\n    import pandas",
        "from relmeasure.responses import as_moments",
        "from relmeasure import exceptions, results",
        "def f():\n    import pandas\n    from scipy import optimize",
    ],
)
def test_allowed_import_is_left_alone(text: str) -> None:
    seeded = [Module("relmeasure.classical", text)]
    assert [*direction(seeded), *third_parties(seeded)] == []


def test_the_one_upward_call_is_allowed() -> None:
    text = "def render(self):\n    return import_module('relmeasure.reports')"
    assert list(direction([Module("relmeasure.results", text)])) == []


def test_seeded_cycle_is_found() -> None:
    seeded = [
        Module("relmeasure.factor.a", "from relmeasure.factor.b import x"),
        Module("relmeasure.factor.b", "def f():\n    from relmeasure.factor import c"),
        Module("relmeasure.factor.c", "import relmeasure.factor.a"),
    ]
    assert len(list(cycles(seeded))) == 3
    assert list(cycles(seeded[:2])) == []


def test_seeded_name_is_found() -> None:
    assert list(names([Module("relmeasure.alpha", "")], public_names()))
    assert list(names([Module("relmeasure.instruments.alpha", "")], public_names())) == []
