"""First and second moments: the statistic that reliability, factor and structural models work on.

``MomentSums`` is additive: ``a + b`` is the statistic of the pooled rows, whatever the order of the parts.
Sums of squares are kept about the mean of the part and merged by the parallel formula of Chan, Golub and LeVeque
(1983, The American Statistician 37, 242-247, eq. 2.1), so that large means cost no digits.

Listwise moments use rows complete on every item; pairwise moments use, for each pair, the rows where both are observed,
with means of these rows (as R's ``cov(use = "pairwise.complete.obs")``).

Weights are sampling weights: only their ratios matter. Covariances divide by ``n - 1`` rows after the weights are
rescaled to average one, so that equal weights give the unweighted answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import numpy as np

from relmeasure.exceptions import (
    DataError,
    DuplicateColumnError,
    IncompatibleStatisticsError,
    NonNumericError,
    OptionError,
    UnsupportedDataError,
)
from relmeasure.results import FloatArray, IntArray, Note, Result, Table, frozen_array

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MissingMethod", "MomentSums", "Moments", "moment_sums"]

MissingMethod = Literal["listwise", "pairwise"]
"""What happens to rows with a missing answer."""

_BLOCK_VALUES = 1 << 19
"""Values a block may hold (4 MB of floats): blocks stay in cache, so the data are read from memory once."""

_NO_SPREAD = 1e-12
"""Share of the squares about the origin below which a spread is the rounding error of a constant, and is zero."""


class Moments(Protocol):
    """What an estimator needs to know of a sample, wherever it came from."""

    @property
    def names(self) -> tuple[str, ...]:
        """Items, in order."""

    @property
    def mean(self) -> FloatArray:
        """Means, array (p,)."""

    @property
    def cov(self) -> FloatArray:
        """Covariances with divisor n - 1, array (p, p)."""

    @property
    def cor(self) -> FloatArray:
        """Correlations, array (p, p)."""

    @property
    def n_obs(self) -> int:
        """Rows that the matrix rests on."""


@dataclass(frozen=True, eq=False)
class MomentSums(Result):
    """Additive counts, means and scatter of ``p`` items.

    Attributes
    ----------
    names : tuple of str
        The items, in the order given.
    missing : {"listwise", "pairwise"}
        What happened to rows with a missing answer.
    n_rows : int
        Rows seen.
    n_item : array (p,)
        Rows in which each item was answered.
    count : array (p, p)
        Rows behind each pair; listwise: all cells equal the number of complete rows.
    weight : array (p, p)
        Sum of weights behind each pair; equals ``count`` without weights.
    center : array (p, p)
        ``center[i, j]``: mean of item i over the rows behind pair (i, j).
    scatter : array (p, p)
        Weighted sum of products about ``center``.
    spread : array (p, p)
        ``spread[i, j]``: weighted sum of squares of item i over the rows behind pair (i, j).
    weighted : bool
        Whether sampling weights were given.
    notes : tuple of Note
        Warnings raised while the data were read.
    origin : str
        Where moments come from that are no sums of rows (a published matrix, full-information estimates), in words;
        they cannot be added.
    """

    names: tuple[str, ...]
    missing: MissingMethod
    n_rows: int
    n_item: IntArray
    count: IntArray
    weight: FloatArray
    center: FloatArray
    scatter: FloatArray
    spread: FloatArray
    weighted: bool = False
    notes: tuple[Note, ...] = field(default=())
    origin: str = ""

    @classmethod
    def from_covariance(
        cls, cov: np.ndarray, mean: np.ndarray, n_obs: int, names: Sequence[str], *, origin: str, weighted: bool = False
    ) -> MomentSums:
        """Return moments with these covariances and means (NaN: unknown) of ``n_obs`` persons, said to be ``origin``.

        Examples
        --------
        >>> import numpy as np
        >>> MomentSums.from_covariance(np.eye(2), np.zeros(2), 50, ["a", "b"], origin="published").rule
        'published'
        """
        p = len(names)
        count = np.full((p, p), n_obs, dtype=np.int64)
        scatter = np.asarray(cov, dtype=float) * (n_obs - 1)
        return cls(
            names=tuple(names),
            missing="listwise",
            n_rows=n_obs,
            n_item=frozen_array(np.diag(count), np.int64),
            count=frozen_array(count, np.int64),
            weight=frozen_array(count),
            center=frozen_array(np.repeat(np.asarray(mean, dtype=float)[:, None], p, axis=1)),
            scatter=frozen_array(scatter),
            spread=frozen_array(np.repeat(np.diag(scatter)[:, None], p, axis=1)),
            weighted=weighted,
            origin=origin,
        )

    def __add__(self, other: MomentSums) -> MomentSums:
        """Return the statistic of the pooled rows."""
        if not isinstance(other, MomentSums):
            return NotImplemented
        for what in (self.origin, other.origin):
            if what:
                raise IncompatibleStatisticsError(
                    f"Moments that are no sums of rows ({what}) cannot be added.",
                    attribute="origin",
                    left=self.origin,
                    right=other.origin,
                )
        for what in ("names", "missing", "weighted"):
            mine, theirs = getattr(self, what), getattr(other, what)
            if mine != theirs:
                raise IncompatibleStatisticsError(
                    f"Moments with {what}={mine!r} and {what}={theirs!r} cannot be added: "
                    "make both from the same items, with the same missing= and weights=.",
                    attribute=what,
                    left=mine,
                    right=theirs,
                )
        weight = self.weight + other.weight
        share = np.divide(other.weight, weight, out=np.zeros_like(weight), where=weight > 0)
        step = other.center - self.center
        return MomentSums(
            names=self.names,
            missing=self.missing,
            n_rows=self.n_rows + other.n_rows,
            n_item=self.n_item + other.n_item,
            count=self.count + other.count,
            weight=weight,
            center=self.center + step * share,
            scatter=self.scatter + other.scatter + step * step.T * self.weight * share,
            spread=self.spread + other.spread + step * step * self.weight * share,
            weighted=self.weighted,
            notes=self.notes + tuple(n for n in other.notes if all(not n.equals(m) for m in self.notes)),
        )

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.names)

    @property
    def n_obs(self) -> int:
        """Rows behind the matrix: complete rows, or the smallest number behind any pair."""
        return int(self.count.min()) if self.count.size else 0

    @property
    def n_obs_max(self) -> int:
        """The largest number of rows behind any pair."""
        return int(self.count.max()) if self.count.size else 0

    @property
    def n_dropped(self) -> int:
        """Rows seen but not used in every cell."""
        return self.n_rows - self.n_obs

    @property
    def rule(self) -> str:
        """The rule that made ``n_obs`` of ``n_rows``, in words."""
        if self.origin:
            return self.origin
        if self.missing == "listwise":
            return f"listwise: {self.n_obs} of {self.n_rows} rows complete on {self.n_items} items"
        return f"pairwise: {self.n_obs} to {self.n_obs_max} of {self.n_rows} rows behind a pair; smallest used"

    @property
    def mean(self) -> FloatArray:
        """Item means, array (p,): of the complete rows, or of each item's own rows when pairwise."""
        mean: FloatArray = frozen_array(np.diag(self.center))
        return mean

    @property
    def cov(self) -> FloatArray:
        """Covariances, array (p, p), with divisor ``n - 1``; NaN where fewer than two rows."""
        n, w = self.count.astype(float), self.weight
        usable = (n > 1) & (w > 0)
        scale = np.divide(n, w * (n - 1), out=np.full_like(w, np.nan), where=usable)
        cov: FloatArray = frozen_array(self.scatter * scale)
        return cov

    @property
    def cor(self) -> FloatArray:
        """Correlations, array (p, p); pairwise: each with the variances of its own rows, as R's ``cor``."""
        denominator = np.sqrt(self.spread * self.spread.T)
        out = np.full_like(self.scatter, np.nan)
        np.divide(self.scatter, denominator, out=out, where=denominator > 0)
        np.fill_diagonal(out, np.where(np.diag(self.scatter) > 0, 1.0, np.nan))
        cor: FloatArray = frozen_array(out)
        return cor

    def subset(self, names: Sequence[str]) -> MomentSums:
        """Return the moments of some of the items, in the order given.

        A listwise statistic keeps the rows that were complete on all the original items.
        """
        where = {name: i for i, name in enumerate(self.names)}
        index = np.array([where[name] for name in names], dtype=np.intp)
        square = np.ix_(index, index)
        return MomentSums(
            names=tuple(names),
            missing=self.missing,
            n_rows=self.n_rows,
            n_item=self.n_item[index],
            count=self.count[square],
            weight=self.weight[square],
            center=self.center[square],
            scatter=self.scatter[square],
            spread=self.spread[square],
            weighted=self.weighted,
            notes=self.notes,
            origin=self.origin,
        )

    def _table(self) -> Table:
        sd = np.sqrt(np.diag(self.cov))
        return Table({"item": self.names, "n": tuple(self.n_item), "mean": tuple(self.mean), "sd": tuple(sd)})

    def summary(self) -> str:
        """Return the rule and one line an item."""
        return f"{self.rule}\n{self._table().to_text()}"


# --------------------------------------------------------------------------- from arrays
def moment_sums(
    values: np.ndarray,
    names: Sequence[str],
    *,
    missing: MissingMethod = "listwise",
    weights: np.ndarray | None = None,
) -> MomentSums:
    """Compute additive moments of an array in one pass over memory.

    Parameters
    ----------
    values : array (n, p)
        Persons in rows, items in columns; any numeric dtype, NaN is missing.
    names : sequence of str
        One name an item.
    missing : {"listwise", "pairwise"}
        Use rows complete on all items, or for each pair the rows where both are observed.
    weights : array (n,), optional
        Sampling weights, not negative; only their ratios matter.

    Returns
    -------
    MomentSums
        Zero complete rows give a statistic with ``n_obs == 0``, so that empty chunks can be added.

    Raises
    ------
    NonNumericError
        The array is not numeric, or holds infinite values.
    DataError
        Weights are negative, missing, or of another length.

    References
    ----------
    Chan, T. F., Golub, G. H., & LeVeque, R. J. (1983). The American Statistician, 37, 242-247.

    Examples
    --------
    >>> import numpy as np
    >>> first = moment_sums(np.array([[1.0, 2.0], [2.0, 4.0]]), ["a", "b"])
    >>> second = moment_sums(np.array([[3.0, 3.0]]), ["a", "b"])
    >>> pooled = first + second
    >>> pooled.n_obs, pooled.cov.round(2).tolist()  # R: cov(x)
    (3, [[1.0, 0.5], [0.5, 1.0]])
    """
    array, w = _checked(values, names, missing, weights)
    n, p = array.shape
    origin = _origin(array)
    step = max(1, _BLOCK_VALUES // max(p, 1))
    sums = _listwise_block if missing == "listwise" else _pairwise_block
    total = _Sums.zero(p)
    for start in range(0, n, step):
        block = array[start : start + step]
        total = total + sums(block, origin, None if w is None else w[start : start + step])
    if not np.isfinite(total.products).all():
        raise NonNumericError("The data hold infinite values: set them to missing, or correct them, first.")
    safe = np.where(total.weight > 0, total.weight, 1.0)
    spread = total.squares - total.firsts**2 / safe
    spread[spread <= _NO_SPREAD * total.squares] = 0.0
    scatter = total.products - total.firsts * total.firsts.T / safe
    scatter[(spread == 0.0) | (spread.T == 0.0)] = 0.0
    return MomentSums(
        names=tuple(names),
        missing=missing,
        n_rows=n,
        n_item=total.n_item,
        count=total.count,
        weight=total.weight,
        center=np.where(total.weight > 0, origin[:, None] + total.firsts / safe, 0.0),
        scatter=scatter,
        spread=spread,
        weighted=w is not None,
    )


@dataclass(frozen=True)
class _Sums:
    """Raw sums about a fixed origin; all (p, p) but ``n_item`` (p,)."""

    n_item: np.ndarray
    count: np.ndarray
    weight: np.ndarray
    firsts: np.ndarray
    products: np.ndarray
    squares: np.ndarray

    @classmethod
    def zero(cls, p: int) -> _Sums:
        square = np.zeros((p, p))
        return cls(np.zeros(p, np.int64), np.zeros((p, p), np.int64), square, square, square, square)

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


def _listwise_block(block: np.ndarray, origin: np.ndarray, w: np.ndarray | None) -> _Sums:
    p = len(origin)
    deviations = block - origin
    n_item = np.full(p, len(block), np.int64)
    firsts = deviations.sum(axis=0) if w is None else w @ deviations
    if np.isnan(firsts).any():  # a sum is NaN only where an answer is missing: look at rows only then
        observed = ~np.isnan(deviations)
        n_item = observed.sum(axis=0)
        complete = observed.all(axis=1)
        deviations = deviations[complete]
        w = None if w is None else w[complete]
        firsts = deviations.sum(axis=0) if w is None else w @ deviations
    products = deviations.T @ deviations if w is None else deviations.T @ (deviations * w[:, None])
    count = len(deviations) if w is None else int((w > 0).sum())
    weight = float(count) if w is None else float(w.sum())
    square = (p, p)
    return _Sums(
        n_item,
        np.full(square, count, np.int64),
        np.full(square, weight),
        np.broadcast_to(firsts[:, None], square),
        products,
        np.broadcast_to(np.diag(products)[:, None], square),
    )


def _pairwise_block(block: np.ndarray, origin: np.ndarray, w: np.ndarray | None) -> _Sums:
    deviations = block - origin
    missing = np.isnan(deviations)
    deviations[missing] = 0.0
    observed = (~missing).astype(float)
    counted = observed if w is None else observed * (w > 0)[:, None]
    weighed = observed if w is None else observed * w[:, None]
    products = deviations.T @ (deviations if w is None else deviations * w[:, None])
    return _Sums(
        (~missing).sum(axis=0),
        np.rint(counted.T @ observed).astype(np.int64),
        weighed.T @ observed,
        deviations.T @ weighed,
        products,
        (deviations**2).T @ weighed,
    )


def _origin(array: np.ndarray) -> np.ndarray:
    """Return a point near the means, from the first rows: sums about it lose no digits."""
    head = np.asarray(array[:1000], dtype=float)
    observed = np.isfinite(head)
    n = observed.sum(axis=0)
    total = np.where(observed, head, 0.0).sum(axis=0)
    return np.where(n > 0, total / np.maximum(n, 1), 0.0)


def _checked(
    values: np.ndarray, names: Sequence[str], missing: str, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    if missing not in get_args(MissingMethod):
        raise OptionError.from_value("missing", missing, get_args(MissingMethod))
    array = np.asarray(values)
    if array.ndim != 2:
        raise UnsupportedDataError(f"An array of persons by items has 2 dimensions; this one has {array.ndim}.")
    if not (np.issubdtype(array.dtype, np.number) or array.dtype == bool) or np.issubdtype(
        array.dtype, np.complexfloating
    ):
        raise NonNumericError(f"Numbers are needed; this array holds {array.dtype}.", dtype=str(array.dtype))
    if len(names) != array.shape[1]:
        raise DataError(f"{len(names)} names were given for {array.shape[1]} items.")
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise DuplicateColumnError(f"Item names must be unique; given twice: {', '.join(twice)}.", names=twice)
    if weights is None:
        return array, None
    w = np.asarray(weights, dtype=float)
    if w.shape != (len(array),):
        raise DataError(f"One weight a row is needed: {w.shape} weights for {len(array)} rows.")
    if not np.isfinite(w).all() or (w < 0).any():
        bad = int((~np.isfinite(w) | (w < 0)).sum())
        raise DataError(f"Weights must be finite and not negative; {bad} of {len(w)} are not.", n_bad=bad)
    return array, w
