"""Groups or waves in one order, whatever the order of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from relmeasure.exceptions import OptionError, TooFewObservationsError, UnsupportedDataError

__all__ = ["MOST_UNITS", "order_units"]

MOST_UNITS = 10
"""More groups or waves than this are refused."""


def order_units(
    names: Sequence[str], reference: str | None, *, over: Literal["group", "wave"], keep_order: bool = False
) -> list[str]:
    """Return the names with the reference first, the others by name (numbers by value) or as they are.

    Raises
    ------
    TooFewObservationsError
        Fewer than two.
    UnsupportedDataError
        More than ten.
    OptionError
        A reference that is none of them.
    """
    n = len(names)
    if n < 2:
        other = "; or the waves of the same people in wave=" if over == "group" else ""
        raise TooFewObservationsError(
            f"Invariance compares {over}s, and there is {n}: name a column with two or more in {over}={other}.",
            n_groups=n,
        )
    if n > MOST_UNITS:
        hint = (
            "Merge groups (grades into bands, say), compare the largest, or treat groups as clusters in a two-level "
            "model."
            if over == "group"
            else "Compare some of the waves, or use a growth model."
        )
        raise UnsupportedDataError(
            f"There are {n} {over}s, and exact equality over more than {MOST_UNITS} is rejected for differences too "
            f"small to matter. {hint}",
            n_groups=n,
        )
    ordered = list(names) if keep_order else sorted(names, key=_sort_key)
    if reference is None:
        return ordered
    if reference not in ordered:
        raise OptionError.from_value("reference", reference, ordered)
    return [reference, *(name for name in ordered if name != reference)]


def _sort_key(name: str) -> tuple[int, float, str]:
    """Numbers by value, before words."""
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name
