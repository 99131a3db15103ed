"""Check what the built archives hold: types and instruments, no tests, the licence expression."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from email.parser import Parser


def problems(path: str) -> list[str]:
    """Return what is wrong with an archive."""
    if path.endswith(".whl"):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            meta = Parser().parsestr(archive.read(next(n for n in names if n.endswith("/METADATA"))).decode())
        wanted = ["relmeasure/py.typed", "relmeasure/instruments/library/relationship-student.toml"]
        wanted += [f"relmeasure/reports/templates/form.{kind}" for kind in ("html", "css", "js")]
        found = [f"{name} is missing" for name in wanted if name not in names]
        found += [
            f"{name} does not belong in a wheel" for name in names if name.startswith(("tests", "docs", "examples"))
        ]
        if meta["License-Expression"] != "MIT AND CC-BY-4.0":
            found.append(f"the licence expression is {meta['License-Expression']!r}")
        if not any(name.endswith("licenses/LICENSE") for name in names):
            found.append("the licence file is missing")
        return found
    with tarfile.open(path) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    wanted = ["pyproject.toml", "README.md", "LICENSE", "src/relmeasure/py.typed", "tests/support.py"]
    found = [f"{name} is missing" for name in wanted if name not in names]
    return found + [f"{name} does not belong in an sdist" for name in names if "benchmarks" in name or ".ci" in name]


if __name__ == "__main__":
    wrong = [f"{path}: {problem}" for path in sys.argv[1:] for problem in problems(path)]
    sys.stdout.write("\n".join([*wrong, f"{len(sys.argv) - 1} archives, {len(wrong)} problems", ""]))
    sys.exit(bool(wrong))
