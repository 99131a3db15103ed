"""What commands do around their work: a moving bar, warnings as lines, results as text or JSON."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from relmeasure.cli.display import console, errors, print_json
from relmeasure.exceptions import RelmeasureWarning

if TYPE_CHECKING:
    from relmeasure.results import Result

__all__ = ["show_result", "told", "working"]


def show_result(result: Result, as_json: bool) -> None:
    """Print a result for a person or for a program."""
    if as_json:
        print_json(result.to_dict())
    else:
        console.print(result.summary(), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show a moving bar with the time passed, on standard error, when a person is watching."""
    if not errors.is_terminal:
        yield
        return
    with Progress(TextColumn(what), BarColumn(), TimeElapsedColumn(), console=errors, transient=True) as bar:
        bar.add_task(what, total=None)
        yield


@contextmanager
def told(quiet: bool = False) -> Iterator[None]:
    """Print our own warnings as one line each on standard error; with ``quiet`` the result printed says them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RelmeasureWarning)
        yield
    for warning in caught:
        if isinstance(warning.message, RelmeasureWarning):
            if not quiet:
                errors.print(f"warning: {warning.message}", markup=False, highlight=False, soft_wrap=True)
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
