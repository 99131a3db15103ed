"""Is a solution one that data could have? Variances not negative, correlations within one, matrices not indefinite."""

from __future__ import annotations

from typing import Any

import numpy as np

from relmeasure.exceptions import HeywoodWarning, InadmissibleWarning, RelmeasureWarning
from relmeasure.structural.estimation.implied import BlockState
from relmeasure.structural.language.parameter_table import ParameterTable

__all__ = ["admissibility", "runaways"]

Array = np.ndarray[Any, np.dtype[Any]]

_ZERO = 1e-6
"""Share of a variance below zero that counts as negative; a bound at exactly zero is reported too."""

_ADVICE = (
    "The model extracts too much from it: too few items or rows for this factor, or one factor too many. Bound it with "
    "lower(0), or simplify."
)
_BETWEEN = (
    "This is common between clusters: an item is nearly all factor there, or clusters hardly differ in it. Where a "
    "proper solution is needed, fix it ('x ~~ 0*x' at level 2) or bound it (lower(0)*x)."
)


def admissibility(
    table: ParameterTable, states: list[BlockState], at_bound: tuple[str, ...]
) -> list[RelmeasureWarning]:
    """Return one warning for each thing that is wrong with a solution, each with what to do."""
    found: list[RelmeasureWarning] = []
    names = [*table.observed, *table.latent]
    for state in states:
        group = table.groups[state.structure.group - 1]
        where = "" if not group else f" at the level {group}" if table.unit == "level" else f" in group '{group}'"
        advice = _BETWEEN if table.unit == "level" and state.structure.group == 2 else _ADVICE
        found += _variances(state, names, where, advice, group)
        found += _correlations(state, names, where)
    if at_bound:
        found.append(
            HeywoodWarning(
                f"Estimates stand at their bounds: {', '.join(at_bound)}. The likelihood rises beyond them; standard "
                "errors hold the bounded parameters fixed.",
                bounds=list(at_bound),
            )
        )
    return found


def runaways(table: ParameterTable, states: list[BlockState]) -> list[str]:
    """Return variables whose own variance is below minus their implied one: their factor shrinks onto them.

    A factor without common variance of its own ends so: its loading on one item grows without bound, and the residual
    variance of that item falls without bound, while the discrepancy falls ever more slowly.
    """
    names = [*table.observed, *table.latent]
    return [
        name
        for state in states
        for name, own, total in zip(names, np.diag(state.S), np.abs(np.diag(state.V)), strict=True)
        if own < -total
    ]


def _variances(state: BlockState, names: list[str], where: str, advice: str, block: str) -> list[RelmeasureWarning]:
    out: list[RelmeasureWarning] = []
    own, total = np.diag(state.S), np.abs(np.diag(state.V))
    for i, name in enumerate(names):
        if own[i] < -_ZERO * max(float(total[i]), 1e-12):
            kind = "residual variance of" if i < state.structure.n_observed else "variance of"
            out.append(
                HeywoodWarning(
                    f"The {kind} {name}{where} is negative ({own[i]:.4g}). {advice}",
                    name=name,
                    value=float(own[i]),
                    block=block,
                )
            )
    return out


def _correlations(state: BlockState, names: list[str], where: str) -> list[RelmeasureWarning]:
    """Check the residual covariances of items, and the covariances of factors."""
    out: list[RelmeasureWarning] = []
    p = state.structure.n_observed
    for matrix, offset, what in ((state.S[:p, :p], 0, "residuals"), (state.V[p:, p:], p, "factors")):
        variance = np.diag(matrix)
        usable = np.flatnonzero(variance > 0)
        if len(usable) < 2:
            continue
        sd = np.sqrt(variance[usable])
        R = matrix[np.ix_(usable, usable)] / np.outer(sd, sd)
        beyond = [(i, j) for i, j in zip(*np.triu_indices(len(usable), 1), strict=True) if abs(R[i, j]) > 1.0 + _ZERO]
        for i, j in beyond:
            first, second = names[offset + usable[i]], names[offset + usable[j]]
            out.append(
                InadmissibleWarning(
                    f"The correlation of the {what} {first} and {second}{where} is {R[i, j]:.3f}, beyond one. The "
                    "data do not tell the two apart: join them, or drop what makes them overlap.",
                    names=[first, second],
                    value=float(R[i, j]),
                )
            )
        lowest = float(np.linalg.eigvalsh(R)[0])
        if not beyond and lowest < -_ZERO:
            out.append(
                InadmissibleWarning(
                    f"The covariances of the {what}{where} are not positive definite (smallest eigenvalue "
                    f"{lowest:.3g}): a combination of them would have a negative variance. One of them is redundant.",
                    min_eigenvalue=lowest,
                )
            )
    return out
