r"""Factor scores at both levels, with standard errors.

Scores are conditional means given all answers of the cluster (empirical Bayes). With ``Z' V^{-1} r`` and ``V^{-1} r``
the residuals weighted by the inverse covariances of the whole cluster,

.. math:: \hat\eta_{B,j} = \alpha_B + \Phi_{B\eta y} Z_j' V_j^{-1} r_j, \quad
          \hat\eta_{W,ij} = \alpha_W + \Phi_{W\eta y} (V_j^{-1} r_j)_i ,

and the error variances are those of the factors less what the answers explain.

References
----------
Muthen, B. O. (1991). Journal of Educational Measurement, 28, 338-354. Skrondal, A., & Rabe-Hesketh, S. (2009). Journal
of the Royal Statistical Society A, 172, 659-687, section 3 (empirical Bayes, its variances).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from relmeasure.exceptions import ModelError, OptionError, TooFewObservationsError, UnsupportedDataError
from relmeasure.responses.variables import as_variables
from relmeasure.results import FrameKind, Table
from relmeasure.samplestats.clusters import coded_labels, has_label
from relmeasure.structural.two_level.cells import ClusterCells, cluster_cells
from relmeasure.structural.two_level.incomplete import IncompleteTwoLevel
from relmeasure.structural.two_level.sample import LEVELS, SizeMoments

if TYPE_CHECKING:
    from relmeasure.structural.two_level.fit import TwoLevelFit

__all__ = ["Level", "level_scores"]

Array = np.ndarray[Any, np.dtype[Any]]
Level = Literal["within", "between"]


def level_scores(fit: TwoLevelFit, level: str, data: Any, cluster: Any, *, se: bool, kind: FrameKind) -> Any:
    """Return one row a person (within) or one row a cluster (between)."""
    if level not in LEVELS:
        raise OptionError.from_value("level", level, LEVELS)
    k = LEVELS.index(level)
    state = fit._fitted.states[k]
    p = state.structure.n_observed
    factors = [f for f in range(len(fit.table.latent)) if state.V[p + f, p + f] != 0]
    if not factors:
        raise ModelError(f"This model has no factors at the level {level}.", level=level)
    rows, labels, codes, at, n_rows, index = _rows(fit, data, cluster)
    cells = cluster_cells(rows, codes, np.array(fit.sample.within), np.asarray(fit._fitted.states[1].mu))
    engine = _Weights(fit, cells, codes)
    scores, errors = engine.between(factors) if k else engine.within(factors, rows)
    names = [fit.table.latent[f] for f in factors]
    columns: dict[str, Any] = {}
    if k:
        columns = {"cluster": tuple(labels.tolist()), "n": tuple(np.bincount(codes).tolist())}
    else:
        scores, errors = _back(scores, at, n_rows), _back(errors, at, n_rows)
    for i, name in enumerate(names):
        columns[name] = tuple(scores[:, i])
    if se:
        columns |= {f"{name}_se": tuple(errors[:, i]) for i, name in enumerate(names)}
    frame = Table(columns).to_frame(kind)
    if kind == "pandas" and index is not None and not k:
        frame.index = index
    return frame


def _back(values: Array, at: Array, n_rows: int) -> Array:
    out = np.full((n_rows, values.shape[1]), np.nan)
    out[at] = values
    return out


def _rows(fit: TwoLevelFit, data: Any, cluster: Any) -> tuple[Array, Array, Array, Array, int, Any]:
    """Return used rows, labels of their clusters, cluster numbers, places, the number of rows, and their index."""
    incomplete = fit.method.discrepancy == "FIML"
    if data is None:
        cases = fit._cases
        if cases is None or cases.groups[0].clusters is None or cases.groups[0].at is None:
            raise UnsupportedDataError(
                "This fit has no rows (cluster statistics were handed in, or it comes from a dict): pass data= and "
                "cluster=."
            )
        group = cases.groups[0]
        n_rows, index = fit.__dict__.get("_row_index", (len(group.rows), None))
        labels, codes = np.array(fit.sample.sums.labels), np.asarray(group.clusters)
        return group.rows, labels, codes, np.asarray(group.at), n_rows, index
    if cluster is None:
        raise UnsupportedDataError("New rows need their clusters: pass cluster= with data=.", argument="cluster")
    found = as_variables(data, fit.table.observed, clusters=(cluster,))
    inner = found.values[:, np.array(fit.sample.within)]
    unseen = np.isnan(inner).all(axis=1) if incomplete else np.isnan(found.values).any(axis=1)
    at = np.flatnonzero(has_label(found.clusters[0]) & ~unseen)
    if not len(at):
        raise TooFewObservationsError("None of the rows has answers and a cluster.")
    labels, codes = coded_labels(found.clusters[0][at])
    return found.values[at], labels, codes, at, len(found.values), found.index


class _Weights:
    """The whole cluster's inverse covariances, applied."""

    def __init__(self, fit: TwoLevelFit, cells: ClusterCells, codes: Array) -> None:
        n = np.bincount(codes).astype(float)
        p = len(fit.table.observed)
        sizes = SizeMoments(n, np.ones(len(n)), np.zeros((len(n), p)), np.zeros((len(n), p, p)), np.zeros((p, p)))
        fitted = fit._fitted
        self.objective = IncompleteTwoLevel(fitted.engine.structure, cells, fit.sample.variables, sizes)
        self.cells, self.codes, self.states = cells, codes, fitted.states
        _, self.found = self.objective.known(np.asarray(fitted.x))
        self.p = p

    def between(self, factors: list[int]) -> tuple[Array, Array]:
        """Return scores and standard errors of clusters."""
        state, p = self.states[1], self.p
        at = [p + f for f in factors]
        cross = state.V[at, :p]
        H, h = self.objective.whole(self.found)
        error = np.diag(state.V)[at] - np.einsum("fp,jpq,fq->jf", cross, H, cross)
        return state.nu[at] + h @ cross.T, np.sqrt(np.maximum(error, 0.0))

    def within(self, factors: list[int], rows: Array) -> tuple[Array, Array]:
        """Return scores and standard errors of rows."""
        state, p, found = self.states[0], self.p, self.found
        at = [p + f for f in factors]
        cross = state.V[at, :p]
        cell, e = self.objective.row_residuals(found, rows, self.codes)
        pattern = np.asarray(self.cells.pattern)
        W = found.W[pattern]
        weights = cross @ W
        explained = weights @ cross.T - weights @ found.M[np.asarray(self.cells.cluster)] @ weights.transpose(0, 2, 1)
        error = np.diag(state.V)[at] - np.diagonal(explained, axis1=1, axis2=2)
        scores = np.einsum("ifp,ip->if", weights[cell], e)
        return state.nu[at] + scores, np.sqrt(np.maximum(error, 0.0))[cell]
