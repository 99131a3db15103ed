"""What the model leaves of the unrestricted moments of each level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from relmeasure.exceptions import OptionError, UnsupportedDataError
from relmeasure.results import Table
from relmeasure.structural.evaluation.residuals import ResidualKind
from relmeasure.structural.two_level.sample import LEVELS

if TYPE_CHECKING:
    from relmeasure.structural.two_level.fit import TwoLevelFit

__all__ = ["level_residuals"]

Array = np.ndarray[Any, np.dtype[Any]]


def level_residuals(fit: TwoLevelFit, kind: str) -> Table:
    """Return one row a covariance and level, and one a mean; NaN where a variance is not positive."""
    if kind not in get_args(ResidualKind):
        raise OptionError.from_value("residual", kind, get_args(ResidualKind))
    if kind in ("normalized", "standardized"):
        raise UnsupportedDataError(f"residual={kind!r} is not available at two levels: use 'cor.bollen' or 'raw'.")
    rows: list[dict[str, Any]] = []
    variables = fit.sample.variables
    for k, level in enumerate(LEVELS):
        here = variables.at_within if k == 0 else variables.at_between
        square = np.ix_(here, here)
        S, sigma = np.asarray(fit.sample.groups[k].cov)[square], fit._fitted.states[k].sigma[square]
        cov, sd = _covariances(S, sigma, kind)
        names = [fit.table.observed[i] for i in here]
        for i, first in enumerate(names):
            for j in range(i + 1):
                row = {"lhs": names[j], "op": "~~", "rhs": first, "level": level, "residual": float(cov[i, j])}
                rows.append(row)
        total = sum(state.mu for state in fit._fitted.states)
        mean = (np.asarray(fit.sample.groups[0].mean) + np.asarray(fit.sample.groups[1].mean) - total)[here]
        for i, name in enumerate(names):
            if k == 1 or not fit.sample.between[here[i]]:
                own = float(mean[i] if kind == "raw" else mean[i] / sd[i])
                rows.append({"lhs": name, "op": "~1", "rhs": "", "level": level, "residual": own})
    return Table.from_rows(rows, ("lhs", "op", "rhs", "level", "residual"))


def _covariances(S: Array, sigma: Array, kind: str) -> tuple[Array, Array]:
    """Return the residual covariances, and the unrestricted standard deviations."""
    sd, implied = (np.sqrt(np.where(np.diag(M) > 0, np.diag(M), np.nan)) for M in (S, sigma))
    if kind == "raw":
        return S - sigma, sd
    if kind == "cor.bentler":
        return (S - sigma) / np.outer(sd, sd), sd
    return S / np.outer(sd, sd) - sigma / np.outer(implied, implied), sd
