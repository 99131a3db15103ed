"""Reliability of a scale at two levels: rows of the table of ``reliability`` that a cluster column adds."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from relmeasure.exceptions import RelmeasureError, RelmeasureWarning, TooFewObservationsError
from relmeasure.responses.binding import Responses
from relmeasure.responses.variables import VariableRows, as_variables
from relmeasure.samplestats.clusters import ClusterSums, cluster_sums, has_label
from relmeasure.structural import cfa
from relmeasure.structural.two_level.components import size_components
from relmeasure.structural.two_level.sample import Variables, check_levels, size_moments

__all__ = ["CLUSTERED", "ClusterCoefficient", "cluster_rows"]

Array = np.ndarray[Any, np.dtype[Any]]
ClusterCoefficient = Literal["omega_within", "omega_between", "omega_shared", "icc2"]
"""Coefficients of two levels."""

CLUSTERED: tuple[ClusterCoefficient, ...] = ("omega_within", "omega_between", "omega_shared", "icc2")

_IDS = {
    "omega_within": "omega_within.implied_variance",
    "omega_between": "omega_between.implied_variance",
    "omega_shared": "omega_shared",
    "icc2": "icc2",
}
_LEVELS = {"omega_within": "within", "omega_between": "between", "omega_shared": "class mean", "icc2": "class mean"}
_METHOD = "two-level maximum likelihood, answers as continuous; sandwich errors by cluster (MLR), delta method"
_SUM_METHOD = "variance components of the score by maximum likelihood, expected information, delta method"
_FEWEST = 3
"""Items that one factor needs at each level."""


def cluster_rows(
    responses: Responses, scale: str, cluster: str, names: Sequence[str], conf_level: float, units: Array | None
) -> tuple[list[dict[str, Any]], list[RelmeasureWarning]]:
    """Return one row a coefficient of a scale.

    Parameters
    ----------
    responses : Responses
    scale : str
    cluster : str
        Column of clusters.
    names : sequence of str
        Coefficients, of ``CLUSTERED``.
    conf_level : float
    units : array (items,) or None
        What each item is multiplied by before it enters the score.

    Returns
    -------
    rows : list of dict
        Columns of the table; the class size of a class mean stands in ``definition``.
    raised : list of RelmeasureWarning
    """
    items = responses.instrument.scale_items(scale)
    rows = as_variables(responses, items, clusters=(cluster,))
    base: dict[str, Any] = {"n_rows": len(rows.values), "n_items": len(items), "conf_level": conf_level}
    try:
        sums = _sums(rows, units)
    except RelmeasureError as error:
        return [_gap(base, name, error.message) for name in names], []
    base |= {
        "n_obs": sums.n_obs,
        "rule": f"listwise: {sums.n_obs} of {len(rows.values)} rows complete, in {sums.n_clusters} clusters",
    }
    out = [_icc2(base, sums, conf_level)] if "icc2" in names else []
    others = [name for name in names if name != "icc2"]
    reason = _no_factor(responses, scale, len(items))
    if reason or not others:
        return [*(_gap(base, name, reason) for name in others), *out], []
    try:
        table, raised = _factor(rows, units, conf_level, scale)
    except RelmeasureError as error:
        return [*(_gap(base, name, error.message) for name in others), *out], []
    return [*(_row(base, name, table.loc[_IDS[name]]) for name in others), *out], raised


def _no_factor(responses: Responses, scale: str, n_items: int) -> str:
    """Why one factor at each level is no model of the scale; empty if it is one."""
    if n_items < _FEWEST:
        return f"{n_items} items: a factor at each level needs {_FEWEST}"
    if responses.instrument.scale(scale).subscales:
        return "a scale of subscales: one factor is not its model; see its subscales, or cfa() with levels="
    return ""


def _values(rows: VariableRows, units: Array | None) -> tuple[Array, Array]:
    """Return the answers and clusters of complete rows that have a cluster."""
    values = rows.values if units is None else rows.values * units
    kept = has_label(rows.clusters[0]) & ~np.isnan(values).any(axis=1)
    if not kept.any():
        raise TooFewObservationsError("no row has all its answers and a cluster")
    return values[kept], rows.clusters[0][kept]


def _sums(rows: VariableRows, units: Array | None) -> ClusterSums:
    values, labels = _values(rows, units)
    sums = cluster_sums(values.sum(axis=1, keepdims=True), labels, ("sum",))
    check_levels(sums, Variables(("sum",), (True,), (True,)))
    return sums


def _icc2(base: dict[str, Any], sums: ClusterSums, conf_level: float) -> dict[str, Any]:
    from scipy.special import ndtri

    size = float(sums.n_clusters / (1.0 / np.asarray(sums.n, dtype=float)).sum())
    estimate, se = size_components(size_moments(sums)).icc2(size)
    half = float(ndtri(0.5 + conf_level / 2.0)) * se
    found = {"estimate": estimate, "se": se, "lower": estimate - half, "upper": estimate + half, "class_size": size}
    return _row(base, "icc2", found) | {"method": _SUM_METHOD}


def _factor(
    rows: VariableRows, units: Array | None, conf_level: float, scale: str
) -> tuple[Any, list[RelmeasureWarning]]:
    """Fit one factor at each level; return its coefficients, and what has to be said."""
    import pandas as pd

    values, labels = _values(rows, units)
    terms = " + ".join(f"`{name}`" for name in rows.names)
    model = f"level: 1\n `{scale}` =~ {terms}\n level: 2\n `{scale}` =~ {terms}"
    frame = pd.DataFrame(values, columns=list(rows.names))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RelmeasureWarning)
        fit = cfa(model, frame, cluster=labels, estimator="MLR", std_lv=True, conf_level=conf_level)
        table = fit.reliability().set_index("coefficient")
    told = [w.message for w in caught if isinstance(w.message, RelmeasureWarning)]
    return table, [w for w in told if w.code != "heywood"]


def _gap(base: dict[str, Any], name: str, reason: str) -> dict[str, Any]:
    gap = {"coefficient": name, "level": _LEVELS[name], "estimate": math.nan, "sem": math.nan, "reason": reason}
    return {"n_obs": 0} | base | gap


def _row(base: dict[str, Any], name: str, found: Any) -> dict[str, Any]:
    size = float(found["class_size"])
    definition = _IDS[name] if math.isnan(size) else f"{_IDS[name]}, at the harmonic mean class size {size:.1f}"
    values = {column: float(found[column]) for column in ("estimate", "se", "lower", "upper")}
    fixed = {"coefficient": name, "level": _LEVELS[name], "method": _METHOD, "definition": definition, "sem": math.nan}
    return base | values | fixed | {"reason": None}
