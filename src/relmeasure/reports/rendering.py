"""From a result to its figure, its page or its file: which kinds of result have one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from relmeasure.exceptions import OptionError, UnsupportedDataError
from relmeasure.reports.cycle_figure import cycle_figure
from relmeasure.reports.cycle_page import cycle_html, figure_svg

__all__ = ["render"]

FIGURES: dict[str, Callable[..., Any]] = {"ReciprocityResult": cycle_figure}
"""Type of result to the function that draws it."""

PAGES: dict[str, Callable[..., str]] = {"ReciprocityResult": cycle_html}
"""Type of result to the function that writes its page."""

INLINE: dict[str, Callable[..., str | None]] = {"ReciprocityResult": figure_svg}
"""Type of result to the function that draws it for a notebook; None where nothing can be drawn."""

KINDS = ("plot", "svg", "html", "save")
PICTURES = (".png", ".svg", ".pdf")


def render(result: Any, kind: str, **options: Any) -> Any:
    """Draw a result (``plot``; ``svg`` for a page), write its page (``html``), or save either (``save``, ``path=``).

    Raises
    ------
    UnsupportedDataError
        This kind of result has no figure or page.
    OptionError
        Another kind, or a suffix that is not known.
    """
    if kind not in KINDS:
        raise OptionError.from_value("kind", kind, KINDS)
    if kind == "save":
        return _save(result, **options)
    known: dict[str, Callable[..., Any]] = {"plot": FIGURES, "svg": INLINE, "html": PAGES}[kind]
    name = type(result).__name__
    if name not in known:
        raise UnsupportedDataError(
            f"A {name} has no {'page' if kind == 'html' else 'figure'}; these have one: {', '.join(sorted(known))}."
        )
    return known[name](result, **options)


def _save(result: Any, *, path: Path, **options: Any) -> Path:
    suffix = path.suffix.lower()
    if suffix in (".html", ".htm"):
        path.write_text(render(result, "html", **options), encoding="utf-8")
    elif suffix in PICTURES:
        render(result, "plot", **options).savefig(path)
    else:
        raise OptionError(f"{path.name}: the suffix names the format, one of .html, {', '.join(PICTURES)}.")
    return path
