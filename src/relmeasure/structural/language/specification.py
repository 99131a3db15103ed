"""From a model as written to its table of parameters, with the defaults of lavaan's ``cfa()`` and ``sem()``.

The defaults (``auto=True``): the first indicator of a factor is fixed to one, or its variance with ``std_lv``; residual
variances are free; factors that nothing explains covary; outcomes that explain nothing have covarying residuals;
intercepts of items are free and means of factors zero; moments of exogenous observed variables are those of the sample;
the residual of a factor's only item is zero. ``auto=False`` adds the moments of exogenous variables and nothing else.

References
----------
Rosseel, Y. (2012). Journal of Statistical Software, 48(2), 1-36, sections 3 and 4 and appendix A.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from relmeasure.exceptions import ModelAssumptionWarning, ModelSyntaxError, RelmeasureWarning, shorten
from relmeasure.structural.language.groups import GroupEqual, equate_groups
from relmeasure.structural.language.parameter_table import ParameterTable, Row
from relmeasure.structural.language.references import check_labels, resolve_equal, share_fixed_values
from relmeasure.structural.language.roles import Roles, roles_of
from relmeasure.structural.language.syntax import Formula, Model

__all__ = ["ModelOptions", "assumptions", "build_table"]


@dataclass(frozen=True)
class ModelOptions:
    """How a table is completed.

    Attributes
    ----------
    auto : bool
        Add the defaults of ``cfa()``/``sem()``.
    std_lv : bool
        Fix factor variances to one instead of first loadings.
    orthogonal : bool
        Factors do not covary by default.
    fixed_x : bool
        Take the moments of exogenous observed variables from the sample.
    mean_structure : bool or None
        Model the means; None: when the model names an intercept.
    thresholds : dict
        Ordered items with the numbers of their thresholds: ``{"q1": (1, 2, 3)}``.
    parameterization : {"delta", "theta"}
        Of ordered items.
    groups : tuple of str
        Names of the groups.
    group_equal : tuple of str
        What is equal over groups.
    auxiliary : tuple of str
        Observed variables that covary freely with each other and with the residuals of all others.
    group_partial : tuple of str
        Parameters (``"x3~1"``, ``"f=~x2"``) that stay free all the same.
    """

    auto: bool = True
    std_lv: bool = False
    orthogonal: bool = False
    fixed_x: bool = True
    mean_structure: bool | None = None
    thresholds: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    parameterization: Literal["delta", "theta"] = "delta"
    groups: tuple[str, ...] = ("",)
    group_equal: tuple[GroupEqual, ...] = ()
    group_partial: tuple[str, ...] = ()
    auxiliary: tuple[str, ...] = ()


def build_table(model: Model, options: ModelOptions | None = None) -> ParameterTable:
    """Complete a model and number its free parameters.

    Parameters
    ----------
    model : Model
        From ``parse_model`` or an instrument.
    options : ModelOptions, optional

    Returns
    -------
    ParameterTable

    Raises
    ------
    ModelSyntaxError
        A formula contradicts another, or does not fit the number of groups.
    ModelError
        A label that no parameter has.

    Examples
    --------
    >>> from relmeasure.structural.language.syntax import parse_model
    >>> table = build_table(parse_model("f =~ x1 + x2 + x3"))
    >>> table.n_free, [table.name(i) for i in table.free_rows][:2]  # R: lavaanify(model, auto = TRUE)
    (6, ['f=~x2', 'f=~x3'])
    """
    chosen = options or ModelOptions()
    rows: list[Row] = []
    roles: list[Roles] = []
    levels = model.blocks or ("",)
    means = chosen.mean_structure
    if means is None:
        means = any(f.op == "~1" for f in model.formulas) or bool(chosen.thresholds)
    for group in range(1, len(chosen.groups) + 1):
        for level, block in enumerate(levels, start=1):
            formulas = [f for f in model.formulas if f.block in ("", block)]
            builder = _Block(model, formulas, chosen, group, level, means)
            rows.extend(builder.build())
            roles.append(builder.roles)
    resolve_equal(model, rows, chosen.groups)
    share_fixed_values(rows)
    observed = tuple(dict.fromkeys(name for r in roles for name in r.observed))
    latent = tuple(dict.fromkeys(name for r in roles for name in r.latent))
    if chosen.group_equal:
        equate_groups(rows, latent, chosen.group_equal, chosen.group_partial, std_lv=chosen.std_lv, auto=chosen.auto)
    check_labels(model, rows)
    return ParameterTable.from_rows(
        rows,
        observed=observed,
        latent=latent,
        ordered=[v for v in observed if v in chosen.thresholds],
        groups=chosen.groups,
        mean_structure=means,
        parameterization=chosen.parameterization,
        definitions={d.name: str(d.expression) for d in model.definitions},
        constraints=[f"{c.left} {c.op} {c.right}" for c in model.constraints],
        auxiliary=chosen.auxiliary,
    )


def assumptions(model: Model, options: ModelOptions) -> list[RelmeasureWarning]:
    """Return warnings about consequences of a model that are easily overlooked."""
    out: list[RelmeasureWarning] = []
    roles = roles_of(model.formulas)
    if roles.freed and roles.exogenous and options.fixed_x:
        out.append(
            ModelAssumptionWarning(
                f"{shorten(roles.freed)}: a formula of its own for the variance, covariance or mean of a predictor "
                f"frees it. It does not covary with {shorten(roles.exogenous)} unless a formula says so. "
                "Leave the formula out, or use fixed_x=False.",
                variables=list(roles.freed),
            )
        )
    labels = {f.modifier.label[0] for f in model.formulas if len(f.modifier.label) == 1 and f.modifier.label[0]}
    shared = sorted(label for label in labels if label)
    if shared and len(options.groups) > 1:
        own = ", ".join(f"{shared[0]}{k}" for k in range(1, len(options.groups) + 1))
        out.append(
            ModelAssumptionWarning(
                f"{shorten(shared)}: one label for all groups makes the parameter equal over groups. Write c({own}) "
                "for one label a group.",
                labels=shared,
            )
        )
    return out


def _pick(values: Sequence[Any], group: int) -> Any:
    """The value of a group: one value serves all."""
    if not values:
        return None
    return values[0] if len(values) == 1 else values[group - 1]


class _Block:
    """Builds the rows of one group and level."""

    def __init__(
        self, model: Model, formulas: list[Formula], options: ModelOptions, group: int, level: int, means: bool
    ) -> None:
        self.model, self.formulas, self.options, self.group, self.level = model, formulas, options, group, level
        self.means = means
        self.roles = roles_of(formulas, options.auxiliary)
        self.rows: dict[tuple[str, str, str, int, int], Row] = {}
        self.stated: set[tuple[str, str, str, int, int]] = set()
        self.exogenous = set(self.roles.exogenous) if options.fixed_x else set()

    def build(self) -> list[Row]:
        """Return user rows in the order written, then the defaults."""
        for formula in self.formulas:
            self.write(formula)
        if self.options.auto:
            self.scale_factors()
        self.exogenous_moments()
        if self.options.auto:
            self.variances()
            self.covariances()
        if self.means:
            self.intercepts()
        self.ordered_items()
        self.saturated_correlates()
        return list(self.rows.values())

    def add(self, lhs: str, op: str, rhs: str, **facts: Any) -> Row:
        """Add a default row unless the user wrote it."""
        row = Row(lhs, op, rhs, self.group, self.level, **facts)
        return self.rows.setdefault(row.key, row)

    # ------------------------------------------------------------------- what the user wrote
    def write(self, formula: Formula) -> None:
        """Add or refine the row of one formula."""
        self.check(formula)
        row = Row(formula.lhs, formula.op, formula.rhs, self.group, self.level, user=True)
        row = self.rows.setdefault(row.key, row)
        row.user = True
        modifier, group = formula.modifier, self.group
        value = _pick(modifier.fixed, group)
        if value is not None:
            self.stated.add(row.key)
            if math.isnan(value):
                row.is_free, row.fixed = True, math.nan
            else:
                row.fix(value)
        row.label = _pick(modifier.label, group) or row.label
        start, lower, upper = (_pick(v, group) for v in (modifier.start, modifier.lower, modifier.upper))
        if start is not None:
            self.stated.add(row.key)
            row.start = start
        row.lower = row.lower if lower is None else lower
        row.upper = row.upper if upper is None else upper

    def check(self, formula: Formula) -> None:
        """Refuse formulas that cannot be meant."""
        n_groups = len(self.options.groups)
        modifier = formula.modifier
        for values in (modifier.fixed, modifier.label, modifier.start, modifier.lower, modifier.upper):
            if len(values) not in (0, 1, n_groups):
                problem = f"c(...) holds {len(values)} values, and there are {n_groups} groups."
                raise self.fail(formula, problem, f"Give {n_groups} values, one a group, or one for all.")
        if formula.op in ("=~", "~") and formula.lhs == formula.rhs:
            raise self.fail(formula, f"'{formula.lhs}' explains itself.", "Write '~~' for a variance.")
        latent = set(self.roles.latent)
        if formula.op in ("|", "~*~") and formula.lhs not in self.options.thresholds:
            fix = f"Name it in ordered=, or leave '{formula.op}' out."
            raise self.fail(formula, f"'{formula.lhs}' is not an ordered item.", fix)
        if formula.op in ("|", "~*~") and formula.lhs in latent:
            raise self.fail(formula, f"'{formula.lhs}' is a factor.", "Only items have thresholds and scales.")
        if formula.op == "|":
            known = [f"t{k}" for k in self.options.thresholds[formula.lhs]]
            if formula.rhs not in known:
                fix = f"It has {len(known) + 1} categories: thresholds {', '.join(known)}."
                raise self.fail(formula, f"'{formula.lhs}' has no threshold '{formula.rhs}'.", fix)

    def fail(self, formula: Formula, problem: str, fix: str) -> ModelSyntaxError:
        return ModelSyntaxError.from_place(problem, fix, self.model.text, formula.line, formula.column)

    # ------------------------------------------------------------------- defaults
    def scale_factors(self) -> None:
        """Give each factor a scale: the first loading, or the variance."""
        for factor in self.roles.latent:
            loadings = [row for row in self.rows.values() if row.lhs == factor and row.op == "=~"]
            if self.options.std_lv:
                continue
            first = loadings[0]
            if first.key not in self.stated:
                first.fix(1.0)

    def variances(self) -> None:
        roles = self.roles
        lonely = {}
        for factor in roles.latent:
            loadings = [row for row in self.rows.values() if row.lhs == factor and row.op == "=~"]
            if len(loadings) == 1:
                lonely[loadings[0].rhs] = factor
        for name in roles.observed:
            if name in self.exogenous or name in self.options.thresholds:
                continue
            row = self.add(name, "~~", name)
            if name in lonely and not row.user:
                row.fix(0.0)
        for name in roles.latent:
            row = self.add(name, "~~", name)
            if self.options.std_lv and not row.user:
                row.fix(1.0)

    def covariances(self) -> None:
        factors, outcomes = self.roles.free_latent, self.roles.last_outcomes
        for i, first in enumerate(factors):
            for second in factors[i + 1 :]:
                row = self.add(first, "~~", second)
                if self.options.orthogonal and not row.user:
                    row.fix(0.0)
        for i, first in enumerate(outcomes):
            for second in outcomes[i + 1 :]:
                self.add(first, "~~", second)

    def exogenous_moments(self) -> None:
        """Moments of predictors: the sample's, or free when ``fixed_x`` is off."""
        names = self.roles.exogenous
        fixed = self.options.fixed_x
        if not fixed and not self.options.auto:
            return
        for i, first in enumerate(names):
            for second in names[i:]:
                self.add(first, "~~", second, is_free=not fixed).exo = True

    def saturated_correlates(self) -> None:
        """Auxiliary variables covary with each other, with predictors, and with the residuals of everything else."""
        extra = self.options.auxiliary
        for i, name in enumerate(extra):
            self.add(name, "~~", name)
            if self.means:
                row = self.add(name, "~1", "")
                row.is_free, row.fixed = True, math.nan
            others = [v for v in self.roles.observed if v not in extra]
            for other in (*extra[i + 1 :], *others):
                self.add(name, "~~", other)

    def intercepts(self) -> None:
        for name in self.roles.observed:
            exo = name in self.exogenous
            zero = name in self.options.thresholds or not self.options.auto
            row = self.add(name, "~1", "", is_free=not (exo or zero), exo=exo)
            if zero and not exo and not row.user:
                row.fix(0.0)
        for name in self.roles.latent:
            row = self.add(name, "~1", "", is_free=False)
            if not row.user:
                row.fix(0.0)

    def ordered_items(self) -> None:
        """Thresholds, scales and residual variances of ordered items."""
        theta = self.options.parameterization == "theta"
        for name in self.roles.observed:
            numbers = self.options.thresholds.get(name, ())
            for k in numbers:
                self.add(name, "|", f"t{k}")
            if not numbers:
                continue
            residual, scale = self.add(name, "~~", name), self.add(name, "~*~", name)
            fixed, derived = (residual, scale) if theta else (scale, residual)
            if not fixed.user:
                fixed.fix(1.0)
            derived.is_free, derived.fixed, derived.derived = False, math.nan, True
