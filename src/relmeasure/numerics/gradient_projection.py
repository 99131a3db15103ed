"""Rotation by gradient projection from many starts at once, finished by Newton steps on the same manifold.

Unrotated loadings A (p x m) become ``L = A M``. Orthogonal: M'M = I. Oblique: M = T'^-1 with unit columns of T, and
factor correlations ``Phi = T'T``. Steps are taken as T (I + K), brought back to the manifold; with ``H = G'L`` (G the
gradient of the criterion) the derivative by the elements of K is ``Phi diag(H) - H`` (oblique) or ``H' - H``
(orthogonal), which is zero at a stationary point (Jennrich, 1973). Gradient steps, long at first and halved until the
criterion falls enough, follow Jennrich (2001, 2002). They converge slowly near the end; Newton steps with the analytic
Hessian do not. Where the Hessian is not positive definite its eigenvalues are taken by absolute value, so that steps
lead away from saddle points (Dauphin et al., 2014).

References
----------
Jennrich, R. I. (2001). A simple general procedure for orthogonal rotation. Psychometrika, 66, 289-306.
Jennrich, R. I. (2002). A simple general method for oblique rotation. Psychometrika, 67, 7-19.
Jennrich, R. I. (1973). Standard errors for obliquely rotated factor loadings. Psychometrika, 38, 593-604.
Dauphin, Y. N., et al. (2014). Identifying and attacking the saddle point problem in high-dimensional non-convex
optimization. Advances in Neural Information Processing Systems, 27.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from relmeasure.numerics.criteria import Criterion
from relmeasure.numerics.normal import Array

__all__ = ["Solutions", "curvature", "gradient_projection"]

Mask = np.ndarray[Any, np.dtype[np.bool_]]

_GRADIENT_STEPS = 20
"""Gradient steps before the first Newton step: enough to leave the saddles, few enough to stay cheap."""

_LONGEST_STEP = 0.5
"""Norm that a Newton step is cut to: the quadratic model holds near by only."""

_NEAR = 1e-6
"""Relative norm of the gradient that counts as zero where floating point sees no decrease any more."""

_HALVINGS = 30
_SUFFICIENT = 1e-4
"""Share of the predicted decrease that a step must bring (Armijo)."""

_FLOATS = 2_000_000
"""Floats that the directional derivatives of one block of starts may take."""


# --------------------------------------------------------------------------- state
@dataclass
class _State:
    """Loadings, factor correlations and rotation of S starts, with criterion, gradient and ``H = G'L``."""

    L: Array
    phi: Array
    M: Array
    f: Array
    G: Array
    H: Array

    def at(self, where: Any) -> _State:
        return _State(*(getattr(self, name)[where] for name in _PARTS))

    def put(self, where: Any, other: _State) -> None:
        for name in _PARTS:
            getattr(self, name)[where] = getattr(other, name)


_PARTS = tuple(f.name for f in fields(_State))


@dataclass(frozen=True)
class Solutions:
    """Where S starts ended.

    Attributes
    ----------
    loadings : array (S, p, m)
    phi : array (S, m, m)
    rotation : array (S, m, m)
        ``loadings = A rotation``.
    value : array (S,)
        The criterion.
    converged : array (S,)
        Whether the gradient vanished at a point that is no saddle.
    scale : float
        Largest size of the criterion at the starts: differences far below it are none.
    n_iterations : int
    """

    loadings: Array
    phi: Array
    rotation: Array
    value: Array
    converged: Mask
    scale: float
    n_iterations: int


def _transposed(X: Array) -> Array:
    return X.swapaxes(-1, -2)


def _inverses(B: Array) -> Array:
    """Return inverses; a singular matrix is moved by rounding, and its step will be refused for what it does."""
    try:
        return np.asarray(np.linalg.inv(B))
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.inv(B + 1e-10 * np.eye(B.shape[-1])))


def _diagonal(X: Array) -> Array:
    diagonal: Array = np.einsum("...jj->...j", X)
    return diagonal


# --------------------------------------------------------------------------- the two manifolds
class Oblique:
    """Correlated factors: T with columns of unit length."""

    oblique = True

    def __init__(self, m: int) -> None:
        i, j = np.nonzero(~np.eye(m, dtype=bool))
        self.i, self.j = i, j

    def slope(self, state: _State) -> tuple[Array, Array]:
        """Return the derivative by K, and Jennrich's projected gradient in the same coordinates."""
        slope = state.phi * _diagonal(state.H)[:, None, :] - state.H
        return slope, _transposed(state.M) @ (state.M @ slope)

    def coordinates(self, slope: Array) -> Array:
        """Return the free elements of a matrix of derivatives, (S, d)."""
        free: Array = slope[:, self.i, self.j]
        return free

    def matrix(self, step: Array, m: int) -> Array:
        """Return K from its free elements."""
        K = np.zeros((len(step), m, m))
        K[:, self.i, self.j] = step
        return K

    def moved(self, state: _State, K: Array) -> tuple[Array, Array, Array]:
        """Return loadings, factor correlations and rotation after T becomes T (I + K) with unit columns."""
        B = np.eye(K.shape[-1]) + K
        phi = _transposed(B) @ (state.phi @ B)
        norm = np.sqrt(_diagonal(phi))
        phi = phi / (norm[:, :, None] * norm[:, None, :])
        back = _inverses(B).swapaxes(-1, -2) * norm[:, None, :]
        return state.L @ back, phi, state.M @ back

    def hessian(self, state: _State, criterion: Criterion) -> Array:
        """Return the second derivative by the free elements of K, (S, d, d)."""
        i, j, d = self.i, self.j, np.arange(len(self.i))
        L, phi, H = state.L, state.phi, state.H
        columns = _transposed(L)[:, j, :]
        dL = np.zeros((len(L), len(i), *L.shape[1:]))
        dL[:, d, :, i] = -columns.swapaxes(0, 1)
        dL[:, d, :, j] = (phi[:, i, j][:, :, None] * columns).swapaxes(0, 1)
        dH = _gradient_products(state, criterion, dL)
        dphi = np.zeros_like(dH)
        along = phi[:, i, :] - phi[:, i, j][:, :, None] * phi[:, j, :]
        dphi[:, d, j, :] = along
        dphi[:, d, :, j] += along.swapaxes(0, 1)
        change = dphi * _diagonal(H)[:, None, None, :] + phi[:, None] * _diagonal(dH)[:, :, None, :] - dH
        return _symmetric(change[:, :, i, j])


class Orthogonal:
    """Uncorrelated factors: T orthogonal, K skew."""

    oblique = False

    def __init__(self, m: int) -> None:
        self.i, self.j = np.triu_indices(m, 1)

    def slope(self, state: _State) -> tuple[Array, Array]:
        """Return the derivative by K and the projected gradient, which here is the same."""
        slope = (_transposed(state.H) - state.H) / 2.0
        return slope, slope

    def coordinates(self, slope: Array) -> Array:
        """Return the free elements of a matrix of derivatives, (S, d)."""
        free: Array = 2.0 * slope[:, self.i, self.j]
        return free

    def matrix(self, step: Array, m: int) -> Array:
        """Return the skew K from its elements above the diagonal."""
        K = np.zeros((len(step), m, m))
        K[:, self.i, self.j] = step
        K[:, self.j, self.i] = -step
        return K

    def moved(self, state: _State, K: Array) -> tuple[Array, Array, Array]:
        """Return loadings, (identity) factor correlations and rotation after the Cayley transform of K."""
        eye = np.eye(K.shape[-1])
        turn = np.linalg.solve(eye - K / 2.0, eye + K / 2.0)
        return state.L @ turn, state.phi, state.M @ turn

    def hessian(self, state: _State, criterion: Criterion) -> Array:
        """Return the second derivative by the free elements of K, (S, d, d)."""
        i, j, d = self.i, self.j, np.arange(len(self.i))
        columns = _transposed(state.L)
        dL = np.zeros((len(state.L), len(i), *state.L.shape[1:]))
        dL[:, d, :, j] = columns[:, i, :].swapaxes(0, 1)
        dL[:, d, :, i] = -columns[:, j, :].swapaxes(0, 1)
        dH = _gradient_products(state, criterion, dL)
        return _symmetric(dH[:, :, j, i] - dH[:, :, i, j])


Manifold = Oblique | Orthogonal


def _gradient_products(state: _State, criterion: Criterion, dL: Array) -> Array:
    """Return the change of ``H = G'L`` along each of d directions, (S, d, m, m)."""
    dG = criterion.gradient_change(state.L[:, None], dL)
    change: Array = _transposed(dG) @ state.L[:, None] + _transposed(state.G)[:, None] @ dL
    return change


def _symmetric(X: Array) -> Array:
    return (X + _transposed(X)) / 2.0


# --------------------------------------------------------------------------- the solver
class _Search:
    """Descent of many starts on one manifold."""

    def __init__(self, A: Array, criterion: Criterion, manifold: Manifold) -> None:
        self.A, self.criterion, self.manifold = A, criterion, manifold
        size = len(manifold.i) * A.size
        self.block = max(1, _FLOATS // max(size, 1))

    def state(self, loadings: Array, phi: Array, rotation: Array) -> _State:
        f, G = self.criterion.evaluate(loadings)
        return _State(loadings, phi, rotation, f, G, _transposed(G) @ loadings)

    def start(self, rotations: Array) -> _State:
        eye = np.broadcast_to(np.eye(rotations.shape[-1]), rotations.shape).copy()
        return self.state(self.A @ rotations, eye, rotations.copy())

    def hessian(self, state: _State) -> Array:
        blocks = [
            self.manifold.hessian(state.at(slice(first, first + self.block)), self.criterion)
            for first in range(0, len(state.f), self.block)
        ]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def newton(self, state: _State, slope: Array) -> tuple[Array, Array, Mask]:
        """Return Newton steps K, none too long, the decrease each predicts, and where the Hessian is definite."""
        gradient = self.manifold.coordinates(slope)
        step, definite = _descent(self.hessian(state), gradient)
        length = np.sqrt((step * step).sum(axis=1))
        step *= np.minimum(1.0, _LONGEST_STEP / np.maximum(length, 1e-300))[:, None]
        return self.manifold.matrix(step, slope.shape[-1]), (step * gradient).sum(axis=1), definite

    def line_search(self, state: _State, K: Array, predicted: Array, noise: float) -> tuple[_State, Array]:
        """Halve steps until each brings enough of the predicted decrease; return the new state and the shares taken."""
        share = np.ones(len(K))
        new = self.state(*self.manifold.moved(state, K))
        for _ in range(_HALVINGS):
            bad = ~(new.f <= state.f + _SUFFICIENT * share * predicted + noise)
            if not bad.any():
                return new, share
            share[bad] /= 2.0
            here = state.at(bad)
            new.put(bad, self.state(*self.manifold.moved(here, K[bad] * share[bad][:, None, None])))
        bad = ~(new.f <= state.f + noise)
        if bad.any():
            share[bad] = 0.0
            new.put(bad, state.at(bad))
        return new, share


def _descent(hessian: Array, gradient: Array) -> tuple[Array, Mask]:
    """Return ``-|H|^-1 g``, Newton's step where the Hessian is positive definite, and where it is."""
    definite = _definite(hessian)
    step = np.empty_like(gradient)
    if definite.any():
        step[definite] = -np.linalg.solve(hessian[definite], gradient[definite][..., None])[..., 0]
    if not definite.all():
        values, vectors = np.linalg.eigh(hessian[~definite])
        size = np.abs(values)
        size = np.maximum(size, 1e-6 * np.maximum(size.max(axis=1, keepdims=True), 1e-300))
        along = (_transposed(vectors) @ gradient[~definite][..., None])[..., 0] / size
        step[~definite] = -(vectors @ along[..., None])[..., 0]
    return step, definite


def _definite(hessian: Array) -> Mask:
    """Return which of a stack of symmetric matrices are positive definite."""
    try:
        np.linalg.cholesky(hessian)
    except np.linalg.LinAlgError:
        if len(hessian) == 1:
            return np.zeros(1, dtype=bool)
        half = len(hessian) // 2
        return np.concatenate([_definite(hessian[:half]), _definite(hessian[half:])])
    return np.ones(len(hessian), dtype=bool)


def gradient_projection(
    A: Array,
    criterion: Criterion,
    starts: Array,
    *,
    oblique: bool,
    tolerance: float = 1e-8,
    max_iterations: int = 1000,
) -> Solutions:
    """Minimise a rotation criterion from every start.

    Parameters
    ----------
    A : array (p, m)
        Unrotated loadings, weighted as the criterion wants them.
    criterion : Criterion
    starts : array (S, m, m)
        Orthogonal matrices.
    oblique : bool
        Whether factors may correlate.
    tolerance : float
        Norm of the projected gradient at which a start has converged, relative to the largest ``G'L`` at the starts.
    max_iterations : int

    Returns
    -------
    Solutions
    """
    manifold: Manifold = Oblique(A.shape[1]) if oblique else Orthogonal(A.shape[1])
    search = _Search(A, criterion, manifold)
    state = search.start(starts)
    if not len(manifold.i):  # one factor: nothing to rotate
        return Solutions(state.L, state.phi, state.M, state.f, np.ones(len(starts), dtype=bool), 1.0, 0)
    size = float(np.abs(state.f).max())
    scale = max(float(np.sqrt((state.H**2).sum(axis=(1, 2))).max()), 1e-300)
    ended, used = _descend(search, state, scale, tolerance, max_iterations)
    for _ in range(3):
        saddle, away = _saddles(search, state, ended)
        if not saddle.any():
            break
        lower = search.state(*manifold.moved(state.at(saddle), away))
        again, more = _descend(search, lower, scale, tolerance, max_iterations)
        state.put(saddle, lower)
        ended[saddle] = again
        used += more
    return Solutions(state.L, state.phi, state.M, state.f, ended > 0, size, used)


_OPEN, _FLAT, _MINIMUM = 0, 1, 2
"""How a start ended: not converged; gradient zero; gradient zero and Hessian positive definite."""


def _descend(
    search: _Search, state: _State, scale: float, tolerance: float, max_iterations: int
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], int]:
    """Move every start of ``state`` downhill, in place; return how each ended, and the iterations used."""
    n = len(state.f)
    ended = np.full(n, _OPEN)
    at, length, definite = np.arange(n), np.full(n, 1.0 / scale), np.zeros(n, dtype=bool)
    now = state.at(at)
    noise = 1e-14 * max(float(np.abs(state.f).max()), scale)
    slope, direction = search.manifold.slope(now)
    for iteration in range(max_iterations):
        squared = np.maximum((slope * direction).sum(axis=(1, 2)), 0.0)
        flat = np.sqrt(squared) <= tolerance * scale
        if flat.any():
            state.put(at[flat], now.at(flat))
            ended[at[flat]] = np.where(definite[flat], _MINIMUM, _FLAT)
            at, now, length, definite = at[~flat], now.at(~flat), length[~flat], definite[~flat]
            slope, direction, squared = slope[~flat], direction[~flat], squared[~flat]
        if not len(at):
            return ended, iteration
        if iteration < _GRADIENT_STEPS:
            now, share = search.line_search(now, -length[:, None, None] * direction, -length * squared, noise)
            before = direction
            slope, direction = search.manifold.slope(now)
            length = _next_length(length * share, squared, (before * slope).sum(axis=(1, 2)))
            continue
        K, predicted, definite = search.newton(now, slope)
        now, share = search.line_search(now, K, predicted, noise)
        stuck = (share == 0.0) | (-predicted < 1e-3 * noise)
        if stuck.any():  # no decrease left that floating point can see
            state.put(at[stuck], now.at(stuck))
            near = np.sqrt(squared[stuck]) <= _NEAR * scale
            ended[at[stuck]] = np.where(near, np.where(definite[stuck], _MINIMUM, _FLAT), _OPEN)
            at, now, length, definite = at[~stuck], now.at(~stuck), length[~stuck], definite[~stuck]
        slope, direction = search.manifold.slope(now)
    state.put(at, now)
    return ended, max_iterations


def _next_length(taken: Array, squared: Array, after: Array) -> Array:
    """Return the step length that the change of slope along the last step suggests (Barzilai & Borwein, 1988)."""
    fallen = squared - after
    bend = np.where(fallen > 0.0, squared / np.where(fallen > 0.0, fallen, 1.0), 2.0)
    length: Array = taken * np.clip(bend, 0.1, 10.0)
    return length


def _saddles(search: _Search, state: _State, ended: np.ndarray[Any, np.dtype[np.int64]]) -> tuple[Mask, Array]:
    """Return which starts ended on a saddle, and a step K that leads down from each."""
    saddle = ended == _FLAT
    if not saddle.any():
        return saddle, np.empty((0, 0, 0))
    values, vectors = np.linalg.eigh(search.hessian(state.at(saddle)))
    down = values[:, 0] < -1e-6 * np.abs(values).max(axis=1)
    saddle[saddle] = down
    return saddle, search.manifold.matrix(0.1 * vectors[down][:, :, 0], state.L.shape[-1])


def curvature(A: Array, criterion: Criterion, rotation: Array, *, oblique: bool) -> Array:
    """Return the eigenvalues of the Hessian of the criterion at ``A rotation``, ascending: zero where it is flat."""
    manifold: Manifold = Oblique(A.shape[1]) if oblique else Orthogonal(A.shape[1])
    search = _Search(A, criterion, manifold)
    inverse = np.linalg.inv(rotation)
    state = search.state((A @ rotation)[None], (inverse @ inverse.T)[None], rotation[None].copy())
    values: Array = np.linalg.eigvalsh(search.hessian(state)[0])
    return values
