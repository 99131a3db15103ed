"""Factor rotation by gradient projection with many starts, in a canonical order and sign.

``rotate``           one call for every rotation; returns a ``Rotation``
``canonical_order``  factors by sum of squares, signs by positive sums

With unrotated loadings A (p x m) and the rotation matrix M, pattern loadings are ``A M``, factor correlations
``Phi = (M'M)^-1`` and structure loadings ``A M Phi``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from relmeasure.exceptions import DataError, OptionError, TooFewItemsError
from relmeasure.numerics.criteria import ROTATIONS, RotationName, RotationSpec, checked_options, make_criterion
from relmeasure.numerics.gradient_projection import Solutions, curvature, gradient_projection
from relmeasure.numerics.normal import Array
from relmeasure.results import FloatArray, IntArray, Result, Table, frozen_array

__all__ = ["Rotation", "canonical_order", "kaiser_weights", "promax_matrix", "rotate"]


# --------------------------------------------------------------------------- the result
@dataclass(frozen=True, eq=False)
class Rotation(Result):
    """Rotated loadings, and how they were found.

    Attributes
    ----------
    loadings : array (p, m)
        Pattern loadings; factors in canonical order and sign.
    phi : array (m, m)
        Factor correlations; the identity for an orthogonal rotation.
    rotation_matrix : array (m, m)
        M, with ``loadings = unrotated M`` and ``phi = (M'M)^-1``.
    rotation : str
    oblique, kaiser : bool
        Whether factors may correlate; whether items were normalised to unit communality while rotating.
    criterion : float
        The value reached; NaN for ``"none"``.
    converged : bool
        Whether the projected gradient vanished at a minimum. Where every start ends with factors that have become one
        (more factors than the loadings have), it is False and the loadings are unrotated.
    n_starts, n_converged : int
        Starts tried, and starts that converged.
    optima : array (k,)
        The distinct local minima found, best first.
    optima_counts : array (k,)
        Starts that ended in each.
    unique : bool
        Whether the minimum is a point: False where the criterion is flat in some direction, so that other loadings do
        as well (a target that asks for too little, a bifactor rotation of two factors).
    n_iterations : int
    parameters : dict
        Options in force: gamma, epsilon, kappa, power.
    """

    loadings: FloatArray
    phi: FloatArray
    rotation_matrix: FloatArray
    rotation: str
    oblique: bool
    kaiser: bool
    criterion: float = math.nan
    converged: bool = True
    n_starts: int = 1
    n_converged: int = 1
    optima: FloatArray = field(default_factory=lambda: frozen_array([]))
    optima_counts: IntArray = field(default_factory=lambda: frozen_array([], np.int64))
    unique: bool = True
    n_iterations: int = 0
    parameters: dict[str, float] = field(default_factory=dict)

    @property
    def structure(self) -> FloatArray:
        """Correlations of items with factors, array (p, m): ``loadings phi``."""
        structure: FloatArray = frozen_array(self.loadings @ self.phi)
        return structure

    @property
    def n_optima(self) -> int:
        """Number of distinct local minima that the starts ended in."""
        return len(self.optima)

    def factor_means(self, unrotated: Array) -> FloatArray:
        """Return the means of the rotated factors, ``M^-1 mean`` of the unrotated ones: signs follow the loadings."""
        means: FloatArray = frozen_array(np.linalg.solve(self.rotation_matrix, np.asarray(unrotated, dtype=float)))
        return means

    def _table(self) -> Table:
        columns: dict[str, Any] = {"item": tuple(range(1, len(self.loadings) + 1))}
        columns |= {f"factor_{j + 1}": tuple(column) for j, column in enumerate(self.loadings.T)}
        return Table(columns)

    def summary(self) -> str:
        """Return the loadings, the criterion and the local minima found."""
        kind = f"{'oblique' if self.oblique else 'orthogonal'}, Kaiser normalisation {'on' if self.kaiser else 'off'}"
        found = f"criterion {self.criterion:.6f} ({self.n_optima} minima from {self.n_starts} starts)"
        state = ("" if self.converged else "; not converged") + ("" if self.unique else "; not unique")
        return f"{self.rotation}: {kind}\n{found}{state}\n{self._table().to_text()}"


# --------------------------------------------------------------------------- public
def rotate(
    loadings: Any,
    rotation: RotationName = "oblimin",
    *,
    kaiser: bool | None = None,
    n_starts: int = 10,
    rng: int | np.random.Generator = 0,
    tolerance: float = 1e-8,
    max_iterations: int = 1000,
    **options: Any,
) -> Rotation:
    """Rotate loadings to the best of several starts.

    Parameters
    ----------
    loadings : array (p, m)
        Unrotated loadings of p items on m uncorrelated factors; NaN is not allowed.
    rotation : str
        See the table under Notes.
    kaiser : bool, optional
        Divide each item by the root of its communality while rotating. None: on for varimax and promax, off otherwise.
    n_starts : int
        The unrotated position and ``n_starts - 1`` random orthogonal ones.
    rng : int or numpy.random.Generator
        Seed or generator of the random starts.
    tolerance, max_iterations : float, int
        When a start has converged (relative norm of the projected gradient), and when to give up.
    **options
        Of the rotation: ``gamma``, ``epsilon``, ``kappa``, ``power``, ``metric``, ``target``, ``n_small``.

    Returns
    -------
    Rotation
        Factors by falling sum of squares, pattern times structure (a general factor, or those of a target, keep their
        place), each with a positive sum of loadings (unless a target's numbers decide).

    Raises
    ------
    OptionError
        Unknown rotation or option, or a value outside its range.
    DataError, TooFewItemsError
        Loadings that are no finite matrix with at least as many items as factors; a target of another shape.

    Notes
    -----
    ========================= ================================================================= =======================
    rotation                  criterion (orthogonal | oblique)                                  R
    ========================= ================================================================= =======================
    varimax                   Kaiser (1958)                                                     stats::varimax
    quartimax                 Neuhaus & Wrigley (1954)                                          GPArotation::quartimax
    equamax                   Crawford-Ferguson, kappa = m / (2p) (Saunders, 1962)              GPArotation::equamax
    parsimax                  Crawford-Ferguson, kappa = (m - 1) / (p + m - 2)                  GPArotation::parsimax
    crawford_ferguson         kappa; also ``crawford_ferguson_oblique``                         GPArotation::cfT, cfQ
    promax                    Hendrickson & White (1964): least squares fit of varimax loadings stats::promax
                              to their ``power``-th powers with signs kept
    oblimin                   Jennrich & Sampson (1966), ``gamma``                              GPArotation::oblimin
    quartimin                 oblimin with gamma = 0                                            GPArotation::quartimin
    geomin                    Yates (1987), ``epsilon``; also ``geomin_orthogonal``             GPArotation::geominQ, T
    target                    ``target`` (p, m), NaN where nothing is asked; also               GPArotation::targetQ, T
                              ``target_orthogonal``
    bifactor                  bi-quartimin (Jennrich & Bentler, 2011); also                     GPArotation::bifactorT
                              ``bifactor_oblique``
    bigeomin                  bi-geomin, ``epsilon``; also ``bigeomin_oblique``                 GPArotation::bigeominT
    bentler                   Bentler (1977); also ``bentler_orthogonal``                       GPArotation::bentlerQ, T
    infomax                   McKeon (1968); also ``infomax_orthogonal``                        GPArotation::infomaxQ, T
    simplimax                 Kiers (1994): the ``n_small`` smallest squared loadings, by       GPArotation::simplimax
                              default one an item; many local minima: raise ``n_starts``
    ========================= ================================================================= =======================

    Promax: ``metric="raw"`` (default) takes powers of the varimax loadings, as Hendrickson and White and R's
    ``promax``; ``metric="normalized"`` takes powers of the loadings of items normalised to unit communality, as SPSS.
    The value of bi-quartimin is a quarter of Jennrich and Bentler's. With Kaiser normalisation a target's numbers are
    normalised too.

    References
    ----------
    Bernaards, C. A., & Jennrich, R. I. (2005). Educational and Psychological Measurement, 65, 676-696.
    Hendrickson, A. E., & White, P. O. (1964). Promax: a quick method for rotation to oblique simple structure. British
    Journal of Statistical Psychology, 17, 65-70.
    Browne, M. W. (2001). An overview of analytic rotation in exploratory factor analysis. Multivariate Behavioral
    Research, 36, 111-150.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.array([[0.7, 0.4], [0.6, 0.3], [0.6, -0.4], [0.7, -0.5]])
    >>> rotated = rotate(A, "oblimin")  # R: GPArotation::oblimin(A)
    >>> rotated.loadings.round(3).tolist(), round(float(rotated.phi[0, 1]), 3), rotated.n_optima
    ([[-0.015, 0.813], [0.029, 0.657], [0.713, 0.018], [0.864, -0.01]], 0.442, 1)
    """
    A, given = _checked(loadings, n_starts), checked_options(rotation, options)
    spec = ROTATIONS[rotation]
    on = spec.kaiser if kaiser is None else bool(kaiser)
    p, m = A.shape
    weight = kaiser_weights(A) if on else np.ones((p, 1))
    numbers = {key: float(value) for key, value in given.items() if isinstance(value, (int, float))}
    if m > 1 and np.abs(A).max() < _NOTHING:  # nothing loads: every position is as good
        return _finished(A, np.eye(m), spec, rotation, kaiser=on, options=given, parameters=numbers, unique=False)
    if rotation == "none" or m == 1:
        return _finished(A, np.eye(m), spec, rotation, kaiser=on and m > 1, options=given, parameters=numbers)
    criterion = make_criterion(rotation, p, m, given, weight)
    starts = _starts(m, n_starts, rng)
    oblique = spec.oblique and rotation != "promax"
    found = gradient_projection(
        A * weight, criterion, starts, oblique=oblique, tolerance=tolerance, max_iterations=max_iterations
    )
    best = _best(found)
    kept = not _collapsed(found.phi[best])
    M = _clean(found.rotation[best], oblique=oblique) if kept else np.eye(m)
    bends = curvature(A * weight, criterion, M, oblique=oblique)
    if rotation == "promax":
        M, kept = _promax(A, M, weight if given["metric"] == "normalized" else np.ones((p, 1)), given["power"])
    optima, counts = _distinct(found)
    return _finished(
        A,
        M,
        spec,
        rotation,
        kaiser=on,
        options=given,
        parameters=numbers,
        criterion=float(found.value[best]),
        converged=bool(found.converged[best]) and kept,
        n_starts=len(starts),
        n_converged=int(found.converged.sum()),
        optima=optima,
        optima_counts=counts,
        unique=bool(bends[0] > _FLAT * np.abs(bends[-1])),
        n_iterations=found.n_iterations,
    )


def canonical_order(
    loadings: Array,
    phi: Array | None = None,
    *,
    first: int = 0,
    keep_order: bool = False,
    keep_sign: Array | None = None,
) -> tuple[IntArray, FloatArray]:
    """Return the order of factors and their signs that make a solution unique.

    Parameters
    ----------
    loadings : array (p, m)
        Pattern.
    phi : array (m, m), optional
        Factor correlations; by default uncorrelated.
    first : int
        Leading factors that keep their place.
    keep_order : bool
        Whether all do.
    keep_sign : array (m,) of bool, optional
        Factors whose sign is fixed by something else.

    Returns
    -------
    order : array (m,)
        ``loadings[:, order] * signs`` is canonical: falling sums of squares (pattern times structure), sums of pattern
        loadings not negative (a sum of zero: the largest loading positive).
    signs : array (m,)
        Of the factors in their new order.
    """
    m = loadings.shape[1]
    squares = (loadings * (loadings if phi is None else loadings @ phi)).sum(axis=0)
    tail = np.arange(first, m)
    order = np.arange(m) if keep_order else np.r_[:first, tail[np.argsort(-squares[first:], kind="stable")]]
    sums = loadings.sum(axis=0)
    largest = loadings[np.abs(loadings).argmax(axis=0), np.arange(m)]
    undecided = np.abs(sums) <= 1e-9 * np.abs(loadings).sum(axis=0)
    signs = np.where(np.where(undecided, largest, sums) < 0.0, -1.0, 1.0)
    if keep_sign is not None:
        signs = np.where(keep_sign, 1.0, signs)
    ordered: IntArray = order.astype(np.int64)
    return ordered, signs[order]


# --------------------------------------------------------------------------- steps
def _checked(loadings: Any, n_starts: int) -> Array:
    if n_starts < 1:
        raise OptionError(f"n_starts={n_starts!r}: at least 1 start is needed.", argument="n_starts", value=n_starts)
    A = np.asarray(loadings, dtype=float)
    if A.ndim != 2 or not np.isfinite(A).all():
        raise DataError("Loadings must be a finite matrix with one row an item and one column a factor.")
    if A.shape[1] < 1 or A.shape[0] < A.shape[1]:
        raise TooFewItemsError(f"{A.shape[0]} items cannot be rotated to {A.shape[1]} factors.", n_items=A.shape[0])
    return A


def kaiser_weights(A: Array) -> Array:
    """Return 1 / root communality of each item, (p, 1); an item without communality keeps weight 1."""
    size = np.sqrt((A * A).sum(axis=1, keepdims=True))
    return np.where(size > 1e-12, 1.0 / np.maximum(size, 1e-12), 1.0)


def _starts(m: int, n: int, rng: int | np.random.Generator) -> Array:
    """Return the identity and n - 1 orthogonal matrices drawn uniformly (Stewart, 1980)."""
    normal = np.random.default_rng(rng).standard_normal((n, m, m))
    Q, R = np.linalg.qr(normal)
    Q = Q * np.sign(np.einsum("sjj->sj", R))[:, None, :]
    Q[0] = np.eye(m)
    return np.asarray(Q)


_SAME = 1e-6
"""Criterion values nearer than this share of their size at the starts are one minimum."""


def _collapsed(phi: Array) -> Any:
    """Whether factors have become one: their correlations have no inverse, and no loadings belong to them."""
    return np.linalg.eigvalsh(phi)[..., 0] < _SINGULAR


_SINGULAR = 1e-8
"""Smallest eigenvalue of factor correlations below which factors have become one."""

_NOTHING = 1e-8
"""Loadings below this are none."""

_FLAT = 1e-6
"""An eigenvalue of the Hessian below this share of the largest is none."""


def _best(found: Solutions) -> int:
    """Return the start with the lowest criterion, a converged one before others, the first of equals."""
    usable = found.converged & ~_collapsed(found.phi)
    if not usable.any():
        usable = ~_collapsed(found.phi)
    if not usable.any():
        usable = np.ones(len(found.value), dtype=bool)
    value = np.where(usable, found.value, np.inf)
    return int(np.flatnonzero(value <= value.min() + 1e-3 * _SAME * found.scale)[0])


def _distinct(found: Solutions) -> tuple[FloatArray, IntArray]:
    """Return the distinct minima that converged starts ended in, and how many ended in each."""
    value = np.sort(found.value[found.converged])
    if not len(value):
        return frozen_array([]), frozen_array([], np.int64)
    new = np.r_[True, np.diff(value) > _SAME * found.scale]
    return frozen_array(value[new]), frozen_array(np.bincount(np.cumsum(new) - 1), np.int64)


def _clean(M: Array, *, oblique: bool) -> Array:
    """Remove the rounding that many small steps have left in a rotation matrix."""
    if oblique:
        T = np.linalg.inv(M).T
        return np.asarray(np.linalg.inv(T / np.sqrt((T * T).sum(axis=0))).T)
    u, _, vt = np.linalg.svd(M)
    return np.asarray(u @ vt)


def _promax(A: Array, M: Array, weight: Array, power: float) -> tuple[Array, bool]:
    """Return the rotation to promax and True; or that to varimax and False, where promax factors become one."""
    if int(np.linalg.matrix_rank(A, tol=_SINGULAR)) < len(M):
        return M, False
    made = M @ promax_matrix(A * weight @ M, power)
    ratio = np.linalg.svd(made, compute_uv=False)
    return (made, True) if ratio[-1] ** 2 > _SINGULAR * ratio[0] ** 2 else (M, False)


def promax_matrix(L: Array, power: float) -> Array:
    """Return the matrices (..., m, m) that take varimax loadings (..., p, m) to promax, factors of unit variance."""
    target = np.sign(L) * np.abs(L) ** power
    LT = L.swapaxes(-1, -2)
    U = np.linalg.solve(LT @ L, LT @ target)
    size = np.einsum("...jj->...j", np.linalg.inv(U.swapaxes(-1, -2) @ U))
    return np.asarray(U * np.sqrt(size)[..., None, :])


def _finished(
    A: Array, M: Array, spec: RotationSpec, rotation: str, *, kaiser: bool, options: dict[str, Any], **facts: Any
) -> Rotation:
    """Put factors in canonical order and sign, and make the result."""
    keep_sign = None
    if spec.by_target:
        target = np.nan_to_num(np.array(options["target"], dtype=float))
        keep_sign = (target != 0.0).any(axis=0)
    L = A @ M
    phi: Array = np.asarray(np.linalg.inv(M.T @ M)) if spec.oblique else np.eye(len(M))
    order, signs = canonical_order(L, phi, first=spec.general, keep_order=spec.by_target, keep_sign=keep_sign)
    M = M[:, order] * signs
    phi = phi[np.ix_(order, order)] * np.outer(signs, signs)
    phi = (phi + phi.T) / 2.0
    np.fill_diagonal(phi, 1.0)
    return Rotation(
        loadings=frozen_array(A @ M),
        phi=frozen_array(phi),
        rotation_matrix=frozen_array(M),
        rotation=rotation,
        oblique=spec.oblique,
        kaiser=kaiser,
        **facts,
    )
