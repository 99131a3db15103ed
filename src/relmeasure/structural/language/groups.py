"""Equality over groups: which parameters share a label, and what their equality sets free.

Equal loadings with ``std_lv`` free the factor variances of later groups; equal intercepts free their factor means;
equal thresholds free the scales (delta) or residual variances (theta) of ordered items, and their intercepts unless
these are to be equal, that is zero (Wu & Estabrook, 2016).

References
----------
Meredith, W. (1993). Measurement invariance, factor analysis and factorial invariance. Psychometrika, 58, 525-543. Wu,
H., & Estabrook, R. (2016). Identification of confirmatory factor analysis models of different levels of invariance for
ordered categorical outcomes. Psychometrika, 81, 1014-1045.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from relmeasure.exceptions import ModelError, OptionError, did_you_mean
from relmeasure.structural.language.parameter_table import Row

__all__ = ["GroupEqual", "equate_groups"]

GroupEqual = Literal[
    "loadings",
    "intercepts",
    "thresholds",
    "regressions",
    "residuals",
    "residual_covariances",
    "means",
    "lv_variances",
    "lv_covariances",
]
"""What may be equal over groups."""


def kind_of(row: Row, latent: set[str]) -> str:
    """Return the kind of a parameter, in the words of ``GroupEqual``."""
    if row.op == "~~":
        if row.lhs == row.rhs:
            return "lv_variances" if row.lhs in latent else "residuals"
        return "lv_covariances" if row.lhs in latent and row.rhs in latent else "residual_covariances"
    if row.op == "~1":
        return "means" if row.lhs in latent else "intercepts"
    return {"=~": "loadings", "~": "regressions", "|": "thresholds"}.get(row.op, "scales")


def equate_groups(
    rows: Sequence[Row],
    latent: Sequence[str],
    equal: Sequence[str],
    partial: Sequence[str],
    *,
    std_lv: bool,
    auto: bool = True,
) -> None:
    """Label the parameters of the kinds named in ``equal`` alike over groups, but those in ``partial``."""
    for name in equal:
        if name not in get_args(GroupEqual):
            raise OptionError.from_value("group_equal", name, get_args(GroupEqual))
    factors = set(latent)
    released = _partial_keys(rows, partial)
    first = {_across(row): row for row in rows if row.group == 1}
    for row in rows:
        if row.group == 1 or _text(row) in released:
            continue
        twin = first[_across(row)]
        if kind_of(row, factors) not in equal or not (row.is_free and twin.is_free):
            continue
        twin.label = twin.label or f".{_text(twin)}"
        row.label = twin.label
    if auto:
        _set_free(rows, factors, equal, std_lv=std_lv)


def _set_free(rows: Sequence[Row], factors: set[str], equal: Sequence[str], *, std_lv: bool) -> None:
    """Free in later groups what equality identifies there."""
    ordered = {row.lhs for row in rows if row.op == "|"}
    for row in rows:
        if row.group == 1 or row.user or row.is_free or row.exo:
            continue
        kind = kind_of(row, factors)
        frees = {
            "lv_variances": std_lv and "loadings" in equal,
            "means": "intercepts" in equal,
            "intercepts": "thresholds" in equal and row.lhs in ordered,
            "scales": "thresholds" in equal and not row.derived,
            "residuals": "thresholds" in equal and not row.derived and row.fixed == 1.0,
        }
        if frees.get(kind, False) and kind not in equal:
            row.is_free, row.fixed = True, float("nan")


def _across(row: Row) -> tuple[str, str, str, int]:
    lhs, op, rhs, _, level = row.key
    return lhs, op, rhs, level


def _text(row: Row) -> str:
    return f"{row.lhs}{row.op}{row.rhs}"


def _partial_keys(rows: Sequence[Row], partial: Sequence[str]) -> set[str]:
    known = {_text(row): _text(row) for row in rows}
    known.update({f"{row.rhs}~~{row.lhs}": _text(row) for row in rows if row.op == "~~"})
    released = set()
    for name in partial:
        text = name.replace(" ", "")
        if text not in known:
            raise ModelError(
                f"group_partial names '{name}', which is no parameter.{did_you_mean(text, known)}", parameter=name
            )
        released.add(known[text])
    return released
