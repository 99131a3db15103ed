"""How wrong class means are: sampling errors of means that the same students rated covary.

The mean of class j on variable a comes from n_ja students. Two means of one class share students, and so their errors
covary::

    cov(e_ja, e_jb) = W_ab * n_jab / (n_ja n_jb)

with W the pooled covariance of students within classes and n_jab the students behind both means. Taking the diagonal
only (error variances from ICC2) is wrong wherever W_ab is not zero: students who like a teacher rate everything higher.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["ClassMeans", "ClassScatter", "class_means", "class_scatter"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_NONE = 1e-9
"""Degrees of freedom at or below it are the rounding error of none."""


@dataclass(frozen=True)
class ClassMeans:
    """Means of J classes on P variables (scores by wave), and the covariance of their errors.

    Attributes
    ----------
    names : tuple of str
        The P variables, wave by wave.
    labels : tuple of str
        The J classes.
    mean : array (J, P)
        NaN where a class has nobody.
    n : array (J, P)
        Students behind each mean.
    overlap : array (J, P, P)
        ``n_jab / (n_ja n_jb)``; zero where one of the means is missing.
    within : array (P, P)
        Pooled covariance within classes; zero between variables that no student has both of.
    freedom : array (P, P)
        Degrees of freedom behind each cell of ``within``: ``n_jab (1 - 1/n_ja - 1/n_jb + n_jab / (n_ja n_jb))``
        over the classes, which is ``n_ja - 1`` on the diagonal.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    mean: Array
    n: Array
    overlap: Array
    within: Array
    freedom: Array

    @property
    def error_cov(self) -> Array:
        """Error covariance of the means of each class, array (J, P, P)."""
        return self.within * self.overlap

    def pick(self, rows: Any = None, columns: Any = None) -> ClassMeans:
        """Return some classes (same pooled covariance) and some variables."""
        r = np.arange(len(self.labels)) if rows is None else np.flatnonzero(rows)
        c = np.arange(len(self.names)) if columns is None else np.asarray(columns)
        square = np.ix_(c, c)
        return ClassMeans(
            names=tuple(self.names[k] for k in c),
            labels=tuple(self.labels[k] for k in r),
            mean=self.mean[np.ix_(r, c)],
            n=self.n[np.ix_(r, c)],
            overlap=self.overlap[np.ix_(r, c, c)],
            within=self.within[square],
            freedom=self.freedom[square],
        )


def class_means(values: Array, code: Any, labels: tuple[str, ...], names: tuple[str, ...]) -> ClassMeans:
    """Compute class means and the covariance of their errors from rows of students.

    Parameters
    ----------
    values : array (n, P)
        One row a student, one column a variable by wave; NaN where the student did not answer or was not there.
        Students who are different in each wave have NaN in the columns of the other waves.
    code : array (n,)
        Place of each student's class among ``labels``.
    labels, names : tuple of str

    Returns
    -------
    ClassMeans

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[1.0, 2], [3, 4], [2, 2], [4, 3]])
    >>> found = class_means(rows, np.array([0, 0, 1, 1]), ("a", "b"), ("r", "p"))
    >>> found.mean.tolist(), found.error_cov[0].tolist()
    ([[2.0, 3.0], [3.0, 2.5]], [[1.0, 0.75], [0.75, 0.625]])
    """
    groups, p = len(labels), values.shape[1]
    observed = ~np.isnan(values)
    filled = np.where(observed, values, 0.0)
    n = _sums(observed.astype(float), code, groups)
    mean = np.divide(_sums(filled, code, groups), n, out=np.full((groups, p), np.nan), where=n > 0)
    residual = np.where(observed, values - mean[code], 0.0)
    both = np.empty((groups, p, p))
    for a in range(p):
        for b in range(a, p):
            together = (observed[:, a] & observed[:, b]).astype(float)
            both[:, a, b] = both[:, b, a] = np.bincount(code, weights=together, minlength=groups)
    pair = n[:, :, None] * n[:, None, :]
    overlap = np.divide(both, pair, out=np.zeros_like(both), where=pair > 0)
    # Residuals are about the mean of all who answered a, not of those who answered both: E sum = W times this.
    share = np.divide(1.0, n, out=np.zeros_like(n), where=n > 0)
    freedom = (both * (1.0 - share[:, :, None] - share[:, None, :] + overlap)).sum(axis=0)
    within = np.divide(residual.T @ residual, freedom, out=np.zeros((p, p)), where=freedom > _NONE)
    return ClassMeans(names, labels, mean, n, overlap, within, freedom)


@dataclass(frozen=True)
class ClassScatter:
    """What each class adds to the pooled within covariance, for draws of classes.

    Attributes
    ----------
    products : array (J, P, P)
        Sums of products of residuals.
    freedom : array (J, P, P)
        Degrees of freedom behind them.
    weights : array (B, J)
        Times that each class is in each draw.
    """

    products: Array
    freedom: Array
    weights: Array

    def pick(self, columns: Any) -> ClassScatter:
        """Return some variables."""
        square = np.ix_(np.arange(len(self.products)), columns, columns)
        return ClassScatter(self.products[square], self.freedom[square], self.weights)

    def pooled(self, weights: Array) -> Array:
        """Pooled within covariance of each draw, array (b, P, P)."""
        shape = (len(weights), *self.products.shape[1:])
        total = weights @ self.products.reshape(len(self.products), -1)
        freedom = weights @ self.freedom.reshape(len(self.freedom), -1)
        return np.divide(total, freedom, out=np.zeros_like(total), where=freedom > _NONE).reshape(shape)


def class_scatter(values: Array, code: Any, means: ClassMeans, weights: Array) -> ClassScatter:
    """Compute the part of every class in the pooled within covariance of ``means``.

    Parameters
    ----------
    values, code
        As handed to ``class_means``.
    means : ClassMeans
        What came of them.
    weights : array (B, J)

    Returns
    -------
    ClassScatter
    """
    groups, p = means.mean.shape
    residual = np.where(np.isnan(values), 0.0, values - means.mean[code])
    products = np.empty((groups, p, p))
    for a in range(p):
        for b in range(a, p):
            both = np.bincount(code, weights=residual[:, a] * residual[:, b], minlength=groups)
            products[:, a, b] = products[:, b, a] = both
    share = np.divide(1.0, means.n, out=np.zeros_like(means.n), where=means.n > 0)
    together = means.overlap * means.n[:, :, None] * means.n[:, None, :]
    freedom = together * (1.0 - share[:, :, None] - share[:, None, :] + means.overlap)
    return ClassScatter(products, freedom, weights)


def _sums(values: Array, code: Any, groups: int) -> Array:
    return np.column_stack([np.bincount(code, weights=column, minlength=groups) for column in values.T])
