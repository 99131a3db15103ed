"""Can the data determine the parameters? Asked before anything is estimated.

Two conditions: no more parameters than moments (counting rule), and a Jacobian of the implied moments with full column
rank at admissible points. The rank is read at random points, where it is that of almost every point (Bekker & Wansbeek,
2001, A Companion to Theoretical Econometrics, 144-161); parameters in its null space are named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.structural.estimation.implied import ModelStructure
from relmeasure.structural.estimation.ordinal import CategoricalLeastSquares
from relmeasure.structural.language.restrictions import Restrictions

__all__ = ["Identification", "check_identification"]

Array = np.ndarray[Any, np.dtype[Any]]

_SINGULAR = 1e-9
"""Smallest eigenvalue of the scaled Gram matrix of a Jacobian below which its columns count as dependent."""


@dataclass(frozen=True)
class Identification:
    """What the data can determine.

    Attributes
    ----------
    n_moments, n_parameters : int
        Moments of the data that are modelled, and parameters after equality constraints.
    names : tuple of str
        Parameters that are not identified.
    """

    n_moments: int
    n_parameters: int
    names: tuple[str, ...]

    @property
    def df(self) -> int:
        """Degrees of freedom."""
        return self.n_moments - self.n_parameters

    @property
    def identified(self) -> bool:
        """Whether both conditions hold."""
        return self.df >= 0 and not self.names

    @property
    def reasons(self) -> tuple[str, ...]:
        """What fails, and what to do."""
        out = []
        if self.df < 0:
            out.append(
                f"Not identified: {self.n_parameters} parameters and {self.n_moments} moments. "
                "Fix or equate parameters, or add items."
            )
        if self.names:
            out.append(
                f"Not identified: other values of {', '.join(self.names)} fit equally well. "
                "Fix one of them, equate some, or give each factor a marker or a fixed variance and enough items."
            )
        return tuple(out)


def check_identification(
    structure: ModelStructure,
    restrictions: Restrictions,
    starts: Sequence[Array],
    n_moments: int,
    moment_names: Sequence[Sequence[str]] | None = None,
    gram: Callable[[Array], Array | None] | None = None,
) -> Identification:
    """Check the counting rule and the rank of the Jacobian.

    Parameters
    ----------
    structure : ModelStructure
    restrictions : Restrictions
    starts : sequence of array (q,)
        Starting values; the points are random displacements of them.
    n_moments : int
        Moments that the model explains.
    moment_names : sequence of sequence of str, optional
        Moments of each group, with ordered items.
    gram : callable, optional
        Cross-products of the Jacobian of the moments at given parameters; default: that of each block by itself.
    """

    def blockwise(x: Array) -> Array | None:
        return _normal_gram(structure, x) if moment_names is None else moment_gram(structure, x, moment_names)

    gram = gram or blockwise
    rng = np.random.default_rng(20120)
    names = structure.table.free_names
    unidentified: set[int] | None = None
    n_parameters = restrictions.K.shape[1]
    for start in starts:
        point = start * rng.uniform(0.7, 1.3, len(start)) + rng.uniform(0.02, 0.1, len(start))
        x = restrictions.expand(restrictions.reduce(point))
        found, n_parameters = _dependent(structure, restrictions, x, gram(x))
        unidentified = found if unidentified is None else unidentified & found
        if not unidentified:
            break
    named = tuple(dict.fromkeys(names[i] for i in sorted(unidentified or ())))
    return Identification(n_moments, n_parameters, named)


def _normal_gram(structure: ModelStructure, x: Array) -> Array | None:
    """Cross-products of the Jacobian of means and covariances, each in units of its variables."""
    try:
        states = structure.states(x)
    except np.linalg.LinAlgError:
        return None
    scaled = []
    for state in states:
        spread = np.sqrt(np.maximum(np.diag(state.sigma), 1e-6))
        scaled.append(state.cross_information(np.eye(len(spread)) / spread**2))
    return structure.scatter_matrix(scaled)


def moment_gram(structure: ModelStructure, x: Array, names: Sequence[Sequence[str]]) -> Array | None:
    """Cross-products of the Jacobian of thresholds and correlations."""
    empty = [np.zeros(len(own)) for own in names]
    objective = CategoricalLeastSquares(structure, names, empty, [v + 1.0 for v in empty], [1.0] * len(names))
    try:
        found = objective.implied(x)
        gram = objective.curvature(x, exact=False)
    except np.linalg.LinAlgError:
        return None
    return gram if found and np.isfinite(gram).all() else None


def _dependent(
    structure: ModelStructure, restrictions: Restrictions, x: Array, gram: Array | None
) -> tuple[set[int], int]:
    """Return the parameters in the null space of the Jacobian, and the number of reduced parameters."""
    tangent = restrictions.tangent(structure.table, x)
    if gram is None:
        return set(), tangent.shape[1]
    gram = tangent.T @ gram @ tangent
    size = np.sqrt(np.diag(gram))
    moves = size * _own_unit(tangent, x)
    idle = moves <= 1e-8 * max(1.0, float(moves.max(initial=0.0)))
    safe = np.where(idle, 1.0, size)
    gram = gram / np.outer(safe, safe)
    gram[idle, idle] = 0.0
    roots, vectors = np.linalg.eigh(gram)
    null = vectors[:, roots < _SINGULAR] / safe[:, None]
    if null.shape[1] == 0:
        return set(), tangent.shape[1]
    moved = tangent @ null
    share = np.abs(moved).max(axis=1) * np.maximum(np.abs(x), 0.1)
    return set(np.flatnonzero(share > 1e-3 * share.max()).tolist()), tangent.shape[1]


def _own_unit(tangent: Array, x: Array) -> Array:
    """Length of each direction that changes its parameters by their own size: what is idle does not hang on units."""
    return np.asarray(1.0 / np.sqrt(np.square(tangent / np.maximum(np.abs(x), 1e-12)[:, None]).sum(axis=0)))
