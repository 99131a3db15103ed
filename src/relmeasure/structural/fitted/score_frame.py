"""Factor scores as a frame, one row a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from relmeasure.exceptions import OptionError, UnsupportedDataError
from relmeasure.responses.variables import as_variables
from relmeasure.results import FrameKind, Table
from relmeasure.structural.estimation.engine import Fitted
from relmeasure.structural.fitted.scores import ScoreMethod, determinacy, factor_scores
from relmeasure.structural.fitted.scores_ordered import ordered_determinacy, ordered_scores

if TYPE_CHECKING:
    from relmeasure.structural.fitted.fit import StructuralFit

__all__ = ["determinacy_table", "score_frame"]

Array = np.ndarray[Any, np.dtype[Any]]


def score_frame(fit: StructuralFit, method: str, data: Any, *, se: bool, kind: FrameKind) -> Any:
    """Return the scores of the fit's rows, or of other data."""
    if method not in get_args(ScoreMethod):
        raise OptionError.from_value("method", method, get_args(ScoreMethod))
    if fit.method.ordinal and method in ("regression", "bartlett"):
        raise UnsupportedDataError(f"method={method!r} is for continuous items: use 'ebm' (the default here) or 'ml'.")
    if data is None:
        scores, errors, index = _own_scores(fit, method)
    else:
        scores, errors, index = _new_scores(fit, method, data)
    columns = {name: tuple(scores[:, f]) for f, name in enumerate(fit.table.latent)}
    if se:
        columns |= {f"{name}_se": tuple(errors[:, f]) for f, name in enumerate(fit.table.latent)}
    frame = Table(columns).to_frame(kind)
    if kind == "pandas" and index is not None:
        frame.index = index
    return frame


def _scored(fitted: Fitted, k: int, rows: Array, method: str) -> tuple[Array, Array]:
    function = ordered_scores if method in ("ebm", "ml") else factor_scores
    return function(fitted, k, rows, method)


def _own_scores(fit: StructuralFit, method: str) -> tuple[Array, Array, Any]:
    cases = fit._cases
    if cases is None:
        raise UnsupportedDataError(
            "This fit has no rows (moments were handed in, or it comes from a dict): pass data=."
        )
    n_rows, index = fit.__dict__.get("_row_index", (cases.n_obs, None))
    scores = np.full((n_rows, len(fit.table.latent)), np.nan)
    errors = scores.copy()
    for k, group in enumerate(cases.groups):
        at = np.arange(len(group.rows)) if group.at is None else group.at
        scores[at], errors[at] = _scored(fit._fitted, k, group.rows, method)
    return scores, errors, index


def _new_scores(fit: StructuralFit, method: str, data: Any) -> tuple[Array, Array, Any]:
    if fit.table.n_groups > 1:
        raise UnsupportedDataError("New persons of several groups: score each group with a fit of its own model.")
    rows = as_variables(data, fit.table.observed)
    scores, errors = _scored(fit._fitted, 0, rows.values, method)
    return scores, errors, rows.index


def determinacy_table(fitted: Fitted) -> Table:
    """Return ``factor group determinacy``."""
    table, ordinal = fitted.engine.table, fitted.engine.method.ordinal
    rows = [
        {"factor": name, "group": table.groups[state.structure.group - 1], "determinacy": float(value)}
        for k, state in enumerate(fitted.states)
        for name, value in zip(
            table.latent, ordered_determinacy(fitted, k) if ordinal else determinacy(state), strict=True
        )
    ]
    return Table.from_rows(rows, ("factor", "group", "determinacy"))
