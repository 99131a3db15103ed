"""The console script: ``relmeasure`` and ``python -m relmeasure``."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from relmeasure.exceptions import MissingExtraError

__all__ = ["main"]


def main() -> None:
    """Run the command line; without typer or rich, say in one line what to install and exit with code 2."""
    for package in ("typer", "rich"):
        if find_spec(package) is None:
            error = MissingExtraError.from_extra(package, "cli", "The command line")
            sys.stderr.write(f"{error}\n")
            raise SystemExit(2)
    from relmeasure.cli import main as run

    run()


if __name__ == "__main__":
    main()
