"""Means and covariances of the true class scores, by maximum likelihood with known, class-specific error covariances.

Model: y_j ~ N(mu, Sigma + E_j) for the observed part of y_j, with E_j the error covariance of class j (Fuller, 1987,
Measurement Error Models, section 3.1; the multivariate random-effects model of meta-analysis). Fisher scoring; missing
means are integrated out (full information).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from relmeasure.exceptions import ConvergenceError, NotPositiveDefiniteError, TooFewObservationsError, shorten
from relmeasure.panel.error_moments import ClassMeans

__all__ = ["LatentMoments", "Problem", "cluster_meat", "expected_information", "latent_moments", "problem_of"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_TOLERANCE = 1e-9
_STEPS = 200


@dataclass(frozen=True)
class LatentMoments:
    """Estimated moments of the true scores.

    Attributes
    ----------
    names : tuple of str
    mean : array (P,)
    cov : array (P, P)
        Covariance of true scores; not forced to be positive definite, see ``admissible``.
    log_likelihood : float
    n_classes : int
    scores : array (J, q)
        Derivatives of each class's log-likelihood with respect to mean and the lower triangle of cov.
    information : array (q, q)
        Expected information.
    sensitivity : array (q, k)
        Derivative of the score with respect to the lower triangle of the within covariance, expected.
    within_acov : array (k, k)
        Normal-theory covariance of the lower triangle of the pooled within covariance.
    """

    names: tuple[str, ...]
    mean: Array
    cov: Array
    log_likelihood: float
    n_classes: int
    scores: Array
    information: Array
    sensitivity: Array
    within_acov: Array

    @cached_property
    def bread(self) -> Array:
        """Inverse of the expected information."""
        return np.asarray(np.linalg.inv(self.information))

    @property
    def admissible(self) -> bool:
        """Whether the covariance of true scores is positive definite."""
        return bool(np.linalg.eigvalsh(self.cov)[0] > 0)

    @property
    def places(self) -> tuple[Any, Any]:
        """Rows and columns of the lower triangle, in the order of the parameters."""
        return np.tril_indices(len(self.names))

    def acov(self, groups: Any = None) -> Array:
        """Robust covariance of (mean, lower triangle of cov), by class or by a coarser grouping such as schools.

        Sandwich with the factor G / (G - 1), plus the part that comes from estimating the within covariance.
        """
        moved = self.bread @ self.sensitivity
        meat = cluster_meat(self.scores, groups)
        return np.asarray(self.bread @ meat @ self.bread + moved @ self.within_acov @ moved.T)


def cluster_meat(scores: Array, groups: Any = None) -> Array:
    """Sum of outer products of the scores of classes, or of coarser groups, times G / (G - 1).

    Two groupings (a pair of sequences) give the two-way form: both one-way sums less that of their intersection
    (Cameron, Gelbach & Miller, 2011, eq. 2.11), with eigenvalues below zero set to zero (their section 2.3).
    """
    if isinstance(groups, tuple) and len(groups) == 2 and not isinstance(groups[0], str):
        both = list(zip(*groups, strict=True))
        total = cluster_meat(scores, groups[0]) + cluster_meat(scores, groups[1]) - cluster_meat(scores, both)
        values, vectors = np.linalg.eigh(total)
        return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)
    if groups is not None:
        places: dict[Any, int] = {}
        code = np.array([places.setdefault(label, len(places)) for label in groups])
        scores = np.column_stack([np.bincount(code, weights=column) for column in scores.T])
    count = len(scores)
    return np.asarray(scores.T @ scores * count / max(count - 1, 1))


def problem_of(means: ClassMeans, *, corrected: bool = True) -> Problem:
    """Return the likelihood of the classes that have a mean at all."""
    observed = np.asarray(~np.isnan(means.mean))
    seen = observed.any(axis=1)
    nothing = np.zeros_like(means.overlap)
    return Problem(
        y=np.where(observed, means.mean, 0.0)[seen],
        observed=observed[seen],
        errors=(means.error_cov if corrected else nothing)[seen],
        overlap=(means.overlap if corrected else nothing)[seen],
    )


def latent_moments(means: ClassMeans, *, corrected: bool = True) -> LatentMoments:
    """Estimate mean and covariance of true class scores.

    Parameters
    ----------
    means : ClassMeans
        Class means with missing waves as NaN.
    corrected : bool
        False leaves the errors in: the moments of the observed means, as most published analyses use them.

    Returns
    -------
    LatentMoments

    Raises
    ------
    TooFewObservationsError
        Fewer classes than variables plus two; corrected, but no class has two students with a score.
    ConvergenceError, NotPositiveDefiniteError
        Fisher scoring did not settle; observed scores are linearly dependent.
    """
    observed = np.asarray(~np.isnan(means.mean))
    seen = np.asarray(observed.any(axis=1))
    if seen.sum() < len(means.names) + 2:
        raise TooFewObservationsError(
            f"{int(seen.sum())} classes for {len(means.names)} scores: more classes than that are needed.",
            n_classes=int(seen.sum()),
        )
    absent = [name for name, count in zip(means.names, observed.sum(axis=0), strict=True) if count < 2]
    if absent:
        raise TooFewObservationsError(
            f"Fewer than two classes have a value of {shorten(absent)}: nothing can be estimated.", scores=absent
        )
    alone = [name for name, freedom in zip(means.names, means.freedom.diagonal(), strict=True) if freedom < 0.5]
    if corrected and alone:
        raise TooFewObservationsError(
            f"No class has two students with {shorten(alone)}: the error of its means cannot be known, or taken out.",
            scores=alone,
        )
    problem = problem_of(means, corrected=corrected)
    problem.require_independent_scores()
    mean, cov = problem.start()
    mean, cov, value = _climb(problem, mean, cov)
    inverse, residual = problem.parts(mean, cov)
    full_scores = np.zeros((len(seen), problem.n_parameters))
    full_scores[seen] = problem.scores(inverse, residual)
    return LatentMoments(
        names=means.names,
        mean=mean,
        cov=cov,
        log_likelihood=value,
        n_classes=int(seen.sum()),
        scores=full_scores,
        information=problem.information(inverse),
        sensitivity=problem.sensitivity(inverse),
        within_acov=_within_acov(means) if corrected else np.zeros((problem.n_cov, problem.n_cov)),
    )


@dataclass
class Problem:
    """Data of the likelihood; unobserved means have zeros in ``y`` and drop out of every inverse."""

    y: Array  # (J, P)
    observed: np.ndarray[Any, np.dtype[np.bool_]]  # (J, P)
    errors: Array  # (J, P, P)
    overlap: Array  # (J, P, P)

    def __post_init__(self) -> None:
        self.p = self.y.shape[1]
        self.rows, self.columns = np.tril_indices(self.p)
        self.twice = np.where(self.rows == self.columns, 1.0, 2.0)  # an off-diagonal element stands in two cells
        self.n_cov = len(self.rows)
        self.n_parameters = self.p + self.n_cov
        self.pairs = self.observed[:, :, None] & self.observed[:, None, :]

    def require_independent_scores(self) -> None:
        """Raise where observed scores are linearly dependent: the likelihood of their covariance has no maximum."""
        complete = self.y[self.observed.all(axis=1)]
        if len(complete) <= self.p:
            return
        off = complete - complete.mean(axis=0)
        scale = np.sqrt((off**2).sum(axis=0))
        smallest = float(np.linalg.eigvalsh((off.T @ off) / np.outer(scale, scale))[0]) if (scale > 0).all() else 0.0
        if smallest < 1e-9:
            raise NotPositiveDefiniteError(
                "The observed class scores are linearly dependent (a score or a wave repeated, or one without "
                f"variance; smallest eigenvalue {smallest:.1g}): nothing can be estimated.",
                min_eigenvalue=smallest,
            )

    def start(self) -> tuple[Array, Array]:
        """Pairwise moments minus average errors; variances kept above a tenth of the observed ones."""
        count = self.observed.sum(axis=0)
        mean = self.y.sum(axis=0) / count
        off = np.where(self.observed, self.y - mean, 0.0)
        both = self.pairs.sum(axis=0)
        raw = off.T @ off / np.maximum(both, 1)
        error = np.where(self.pairs, self.errors, 0.0).sum(axis=0) / np.maximum(both, 1)
        cov = raw - error
        values, vectors = np.linalg.eigh((cov + cov.T) / 2)
        floor = 0.1 * np.diag(raw).min()
        return mean, (vectors * np.maximum(values, floor)) @ vectors.T

    def parts(self, mean: Array, cov: Array) -> tuple[Array, Array]:
        """Inverse covariance of the observed part, zero elsewhere, and residuals."""
        total = np.where(self.pairs, cov + self.errors, 0.0)
        diagonal = np.arange(self.p)
        total[:, diagonal, diagonal] += ~self.observed  # ones keep the unobserved part invertible ...
        inverse = np.linalg.inv(total)
        inverse[:, diagonal, diagonal] -= ~self.observed  # ... and are taken out again
        return inverse, np.where(self.observed, self.y - mean, 0.0)

    def log_likelihood(self, mean: Array, cov: Array) -> float:
        """Log-likelihood; minus infinity where a total covariance is not positive definite."""
        total = np.where(self.pairs, cov + self.errors, 0.0)
        diagonal = np.arange(self.p)
        total[:, diagonal, diagonal] += ~self.observed
        try:
            root = np.linalg.cholesky(total)
        except np.linalg.LinAlgError:
            return -np.inf
        pivots = root[:, diagonal, diagonal]
        if (pivots.min(axis=1) < 1e-7 * pivots.max(axis=1)).any():
            return -np.inf
        residual = np.where(self.observed, self.y - mean, 0.0)
        half = np.linalg.solve(root, residual[:, :, None])[:, :, 0]
        logdet = 2 * np.log(pivots).sum()
        return float(-0.5 * (self.observed.sum() * np.log(2 * np.pi) + logdet + (half**2).sum()))

    def scores(self, inverse: Array, residual: Array) -> Array:
        """Derivatives of each class's log-likelihood."""
        scaled = np.einsum("jab,jb->ja", inverse, residual)
        outer = 0.5 * (scaled[:, :, None] * scaled[:, None, :] - inverse)
        return np.hstack([scaled, outer[:, self.rows, self.columns] * self.twice])

    def information(self, inverse: Array) -> Array:
        """Expected information of mean and covariance; the two are independent."""
        return expected_information(inverse, np.ones(len(inverse)))

    def sensitivity(self, inverse: Array) -> Array:
        """Expected derivative of the score with respect to the within covariance: minus information times overlap."""
        out = np.zeros((self.n_parameters, self.n_cov))
        scale = np.where(self.rows == self.columns, 1.0, 2.0)
        for k, (r, c) in enumerate(zip(self.rows, self.columns, strict=True)):
            moved = (inverse[:, :, r] * self.overlap[:, r, c, None]).T @ inverse[:, :, c]
            both = moved[self.rows, self.columns] + moved[self.columns, self.rows]
            out[self.p :, k] = -both * scale * scale[k] / 4
        return out


def expected_information(inverse: Array, weight: Array) -> Array:
    """Expected information of mean and lower triangle from the inverse covariances (J, P, P) of weighted classes.

    The blocks are ``sum_j w_j V_j^-1`` and ``tr(V^-1 D_a V^-1 D_b) / 2`` summed over classes; the latter are entries of
    ``sum_j w_j V_j^-1 (x) V_j^-1``, one product of matrices.
    """
    p = inverse.shape[-1]
    r, c = np.tril_indices(p)
    flat = inverse.reshape(len(inverse), -1)
    outer = (flat.T @ (flat * weight[:, None])).reshape(p, p, p, p)  # [a, b, c, d]: V^-1[a, b] V^-1[c, d]
    scale = np.where(r == c, 1.0, 2.0)
    a, b = np.ix_(r, r), np.ix_(c, c)
    crossed = outer[a[0], a[1], b[0], b[1]] + outer[a[0], b[1], b[0], a[1]]
    out = np.zeros((p + len(r), p + len(r)))
    out[:p, :p] = (flat.T @ weight).reshape(p, p)
    out[p:, p:] = crossed * np.outer(scale, scale) / 4
    return out


def _climb(problem: Problem, mean: Array, cov: Array) -> tuple[Array, Array, float]:
    value = problem.log_likelihood(mean, cov)
    for _ in range(_STEPS):
        inverse, residual = problem.parts(mean, cov)
        gradient = problem.scores(inverse, residual).sum(axis=0)
        step = _solved(problem.information(inverse), gradient)
        if float(gradient @ step) < _TOLERANCE:
            return mean, cov, value
        size = 1.0
        while True:
            new_mean, new_cov = mean + size * step[: problem.p], cov + size * _symmetric(step[problem.p :], problem)
            new_value = problem.log_likelihood(new_mean, new_cov)
            if new_value > value - 1e-12:
                break
            size /= 2
            if size < 1e-8:
                raise ConvergenceError(
                    "True-score moments: no step improves the likelihood; are there too few classes?"
                )
        mean, cov, value = new_mean, new_cov, new_value
    raise ConvergenceError(f"True-score moments did not settle in {_STEPS} steps: are there too few classes?")


def _solved(information: Array, gradient: Array) -> Array:
    try:
        return np.asarray(np.linalg.solve(information, gradient))
    except np.linalg.LinAlgError:
        raise ConvergenceError("True-score moments: the information is singular; are there too few classes?") from None


def _symmetric(triangle: Array, problem: Problem) -> Array:
    out = np.zeros((problem.p, problem.p))
    out[problem.rows, problem.columns] = triangle
    out[problem.columns, problem.rows] = triangle
    return out


def _within_acov(means: ClassMeans) -> Array:
    """cov(W_ab, W_cd) = (W_ac W_bd + W_ad W_bc) / freedom, with the geometric mean of the cells' freedoms."""
    r, c = np.tril_indices(len(means.names))
    w = means.within
    product = w[np.ix_(r, r)] * w[np.ix_(c, c)] + w[np.ix_(r, c)] * w[np.ix_(c, r)]
    freedom = np.sqrt(np.outer(means.freedom[r, c], means.freedom[r, c]))
    return np.asarray(np.divide(product, freedom, out=np.zeros_like(product), where=freedom > 0))
