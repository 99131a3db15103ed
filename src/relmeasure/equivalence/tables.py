"""The table of each step: what is equal over units, and what equality sets free.

Continuous items (Meredith, 1993): equal loadings free the factor variances of later units, where these were fixed to
one; equal intercepts free their factor means. Ordered items (Wu & Estabrook, 2016): the latent response of an item has
neither origin nor unit of its own. While no threshold is equal its intercept is zero and its residual variance (theta)
or scale (delta) one. One equal threshold gives an origin and frees the intercept of later units; a second one gives a
unit and frees the residual variance. With one equal threshold only (two categories) the unit comes from an equal
loading, or, where the loading is released, from an equal intercept: threshold and intercept then lie as far apart as in
the reference unit. "Equal intercepts" are intercepts of zero, "equal residual variances" are residual variances of one.

References
----------
Meredith, W. (1993). Psychometrika, 58, 525-543. Wu, H., & Estabrook, R. (2016). Psychometrika, 81, 1014-1045,
propositions 1 to 13. Liu, Y., Millsap, R. E., West, S. G., Tein, J.-Y., Tanaka, R., & Grimm, K. J. (2017).
Psychological Methods, 22, 486-506 (the same people over time).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from relmeasure.equivalence.layout import Layout
from relmeasure.equivalence.verdict import STEPS
from relmeasure.exceptions import ModelError, did_you_mean
from relmeasure.structural.language.groups import kind_of
from relmeasure.structural.language.parameter_table import ParameterTable, Row

__all__ = ["EQUAL", "n_parameters", "released_names", "step_tables", "units_from_origins"]

EQUAL: dict[str, tuple[str, ...]] = {
    "configural": (),
    "thresholds": ("thresholds",),
    "metric": ("thresholds", "loadings"),
    "scalar": ("thresholds", "loadings", "intercepts"),
    "strict": ("thresholds", "loadings", "intercepts", "residuals"),
}
"""What is equal over units at each step; continuous items have no thresholds, and no step of that name."""


def step_tables(table: ParameterTable, layout: Layout, released: frozenset[str]) -> dict[str, ParameterTable]:
    """Return the table of every step that the items have, from the one with nothing equal."""
    steps = [step for step in STEPS if step != "thresholds" or table.ordered]
    if table.ordered and table.parameterization == "delta":
        steps.remove("strict")  # residual variances follow from the scales
    return {step: _Step(table, layout, EQUAL[step], released).table() for step in steps}


def units_from_origins(table: ParameterTable, layout: Layout, released: frozenset[str]) -> list[str]:
    """Return the items whose residual variance, in the scalar step, is known from threshold and intercept alone."""
    step = _Step(table, layout, EQUAL["scalar"], released)
    return [item for item in sorted(step.ordered) if step.spends_origin(item)]


def n_parameters(table: ParameterTable) -> int:
    """Number of free parameters, equal ones counted once."""
    return len({table.label[row] or row for row in table.free_rows})


class _Step:
    """One step: a copy of the rows, with labels and freed parameters."""

    def __init__(self, table: ParameterTable, layout: Layout, equal: Sequence[str], released: frozenset[str]) -> None:
        self.source, self.layout, self.equal, self.released = table, layout, frozenset(equal), released
        self.rows = table.rows()
        self.latent = set(table.latent)
        self.ordered = {layout.base_name(name) for name in table.ordered}
        self.of_factor: dict[str, list[str]] = {}
        self.anchored: set[str] = set()
        thresholds: dict[str, int] = dict.fromkeys(self.ordered, 0)
        for row in self.rows:
            where = layout.place(row)
            if where is None or where[0] != 1:
                continue
            lhs, rhs = layout.base_name(row.lhs), layout.base_name(row.rhs)
            if row.op == "|" and self.holds("thresholds", where[1]):
                thresholds[lhs] += 1
            elif row.op == "=~":
                self.of_factor.setdefault(lhs, []).append(rhs)
                if self.holds("loadings", where[1]):
                    self.anchored.add(rhs)
        self.equal_thresholds = thresholds

    def holds(self, kind: str, text: str) -> bool:
        """Whether the step holds a parameter equal."""
        return kind in self.equal and text not in self.released

    def table(self) -> ParameterTable:
        """Return the table of the step."""
        first = {}
        for row in self.rows:
            where = self.layout.place(row)
            if where is None:
                continue
            unit, text = where
            if unit == 1:
                first[text] = row
        for row in self.rows:
            where = self.layout.place(row)
            if where is None or where[0] == 1 or row.exo:
                continue
            self.later(row, where[1], first[where[1]])
        return self.source.with_rows(self.rows)

    def later(self, row: Row, text: str, twin: Row) -> None:
        """Equate a row of a later unit with the reference unit's, or free what equality identifies there."""
        kind = kind_of(row, self.latent)
        item = self.layout.base_name(row.lhs)
        if kind in EQUAL["strict"] and row.is_free and twin.is_free:
            if self.holds(kind, text):
                twin.label = row.label = f".{text}"
        elif kind == "intercepts" and item in self.ordered:
            self.free(row, self.equal_thresholds[item] >= 1 and not self.holds(kind, text))
        elif kind in ("residuals", "scales") and item in self.ordered and not row.derived:
            self.free(row, self.unit_known(item) and not self.holds("residuals", _residual(item)))
        elif kind == "lv_variances" and not row.is_free:
            self.free(row, self.scale_known(item))
        elif kind == "means":
            self.free(row, bool(self.origins(item)))

    def free(self, row: Row, known: bool) -> None:
        """Free a fixed row where it is identified."""
        if known:
            row.is_free, row.fixed = True, math.nan

    def unit_known(self, item: str) -> bool:
        """Whether equality gives the latent response of an item a unit.

        An item with one equal threshold and a released loading has two moments, its proportion and its correlation with
        the factor. While its intercept is free (metric step), intercept and loading use them up and the residual
        variance stays one. Once the intercept is equal, loading and residual variance do, and both are free.
        """
        return self.equal_thresholds[item] >= 2 or item in self.anchored or self.spends_origin(item)

    def spends_origin(self, item: str) -> bool:
        """Whether an item has its unit from one equal threshold and the equal intercept, its loading being released."""
        single = self.equal_thresholds[item] == 1 and item not in self.anchored
        return single and self.holds("intercepts", f"{item}~1")

    def scale_known(self, factor: str) -> bool:
        """Whether equality gives a factor a unit: by an equal loading of an item with a unit, or by two origins."""
        items = [i for i in self.of_factor[factor] if self.holds("loadings", f"{factor}=~{i}")]
        if any(i not in self.ordered or self.equal_thresholds[i] >= 2 for i in items):
            return True
        return len(set(items) & set(self.origins(factor))) >= 2

    def origins(self, factor: str) -> list[str]:
        """Items whose equal intercepts give the factor an origin."""
        held = [item for item in self.of_factor[factor] if self.holds("intercepts", f"{item}~1")]
        return [item for item in held if item not in self.ordered or self.lends_origin(item)]

    def lends_origin(self, item: str) -> bool:
        """Whether an ordered item with an equal intercept gives the factor an origin, not only itself a unit."""
        own_unit = self.spends_origin(item) and not self.holds("residuals", _residual(item))
        return self.equal_thresholds[item] >= 1 and not own_unit


def _residual(item: str) -> str:
    return f"{item}~~{item}"


# --------------------------------------------------------------------------- partial
def released_names(table: ParameterTable, layout: Layout, partial: Sequence[str]) -> frozenset[str]:
    """Return the parameters that ``partial`` names; ``"q1|"`` stands for every threshold of q1.

    Raises
    ------
    ModelError
        A name that is no parameter, or one that no step holds equal.
    """
    known: dict[str, Row] = {}
    for row in table.rows():
        where = layout.place(row)
        if where is not None:
            known.setdefault(where[1], row)
    latent = set(table.latent)
    released: set[str] = set()
    for name in partial:
        text = _sorted(name.replace(" ", ""))
        found = [text] if text in known else [other for other in known if text.endswith("|") and other.startswith(text)]
        if not found:
            raise ModelError(
                f"partial names '{name}', which is no parameter.{did_you_mean(text, known)}", parameter=name
            )
        for each in found:
            _check_released(name, known[each], kind_of(known[each], latent), layout.base_name(known[each].lhs), table)
        released |= set(found)
    return frozenset(released)


def _check_released(name: str, row: Row, kind: str, item: str, table: ParameterTable) -> None:
    kinds = EQUAL["strict"]
    if kind not in kinds:
        raise ModelError(
            f"partial names '{name}', which no step holds equal: release loadings ('f=~x1'), intercepts ('x1~1'), "
            "residual variances ('x1~~x1') or thresholds of ordered items ('x1|t1').",
            parameter=name,
        )
    ordered = {row.lhs for row in table.rows() if row.op == "|"}
    if not row.is_free and row.lhs not in ordered and kind != "thresholds" and math.isfinite(row.fixed):
        raise ModelError(
            f"partial names '{name}', which is fixed to {row.fixed:g} in every unit and gives the factor its "
            f"scale or {item} its origin: pass std_lv=True to free it, or write another item first.",
            parameter=name,
        )


def _sorted(text: str) -> str:
    if "~~" not in text:
        return text
    first, second = sorted(text.split("~~", 1))
    return f"{first}~~{second}"
