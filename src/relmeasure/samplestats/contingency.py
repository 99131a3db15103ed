"""Contingency tables of all item pairs: the statistic that polychoric correlations work on.

``ContingencyTables`` is additive: ``a + b`` holds the tables of the pooled rows. Categories are fixed per item by
declaration, so a category that nobody chose keeps its row and its column.

All pairs are counted in one pass: each block of rows becomes a 0/1 indicator matrix of items by categories, and its
cross-product holds every table at once. A block fits into cache, and its counts are exact in single precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.exceptions import (
    DataError,
    IncompatibleStatisticsError,
    NonNumericError,
    UnknownCodeError,
    shorten,
)
from relmeasure.results import FloatArray, IntArray, Result, Table
from relmeasure.samplestats.moments import MissingMethod, _checked

__all__ = [
    "ContingencyTables",
    "category_codes",
    "category_numbers",
    "contingency_tables",
    "item_pairs",
    "observed_categories",
]

Codes = np.ndarray[Any, np.dtype[np.signedinteger[Any]]]
"""Category numbers 0 .. K - 1, persons by items; negative is missing."""

_BLOCK_VALUES = 1 << 19
"""Indicators a block may hold (2 MB in single precision)."""


def item_pairs(n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the two item numbers of each pair, ``i < j``: (0, 1), (0, 2), ..., (1, 2), ..."""
    first, second = np.triu_indices(n_items, 1)
    return first, second


@dataclass(frozen=True, eq=False)
class ContingencyTables(Result):
    """Additive univariate and bivariate counts of ``p`` items with up to ``K`` categories.

    Attributes
    ----------
    names : tuple of str
        The items, in the order given.
    categories : tuple of tuple of float
        The declared categories of each item, ascending.
    missing : {"listwise", "pairwise"}
        What happened to rows with a missing answer.
    n_rows : int
        Rows seen.
    n_used : int
        Rows behind any table: complete rows, or rows with at least one answer when pairwise.
    n_item : array (p,)
        Rows in which each item was answered.
    count : array (p, p)
        Rows behind each pair; on the diagonal, rows behind each item.
    marginal : array (p, K)
        Counts (or sums of weights) of each item's categories: pairwise, from the item's own rows; zero beyond its last.
    joint : array (m, K, K)
        Tables of the ``m = p (p - 1) / 2`` pairs in the order of ``item_pairs``; the earlier item in rows.
    weighted : bool
        Whether sampling weights were given.
    marginal_squares, joint_squares : array or None
        The same with squared weights, which standard errors need; None without weights.
    """

    names: tuple[str, ...]
    categories: tuple[tuple[float, ...], ...]
    missing: MissingMethod
    n_rows: int
    n_used: int
    n_item: IntArray
    count: IntArray
    marginal: FloatArray
    joint: FloatArray
    weighted: bool = False
    marginal_squares: FloatArray | None = None
    joint_squares: FloatArray | None = None

    def __add__(self, other: ContingencyTables) -> ContingencyTables:
        """Return the tables of the pooled rows."""
        if not isinstance(other, ContingencyTables):
            return NotImplemented
        for what in ("names", "categories", "missing", "weighted"):
            mine, theirs = getattr(self, what), getattr(other, what)
            if mine != theirs:
                raise IncompatibleStatisticsError(
                    f"Tables with {what}={mine!r} and {what}={theirs!r} cannot be added: "
                    "make both from the same items, with the same categories, missing= and weights=.",
                    attribute=what,
                    left=mine,
                    right=theirs,
                )
        return ContingencyTables(
            names=self.names,
            categories=self.categories,
            missing=self.missing,
            n_rows=self.n_rows + other.n_rows,
            n_used=self.n_used + other.n_used,
            n_item=self.n_item + other.n_item,
            count=self.count + other.count,
            marginal=self.marginal + other.marginal,
            joint=self.joint + other.joint,
            weighted=self.weighted,
            marginal_squares=_sum(self.marginal_squares, other.marginal_squares),
            joint_squares=_sum(self.joint_squares, other.joint_squares),
        )

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.names)

    @property
    def n_categories(self) -> IntArray:
        """Declared categories of each item, array (p,)."""
        return np.array([len(c) for c in self.categories], dtype=np.int64)

    @property
    def n_obs(self) -> int:
        """Rows behind the tables: complete rows, or the smallest number behind any pair."""
        return int(self.count.min()) if self.count.size else 0

    @property
    def n_obs_max(self) -> int:
        """The largest number of rows behind any pair or item."""
        return int(self.count.max()) if self.count.size else 0

    @property
    def n_dropped(self) -> int:
        """Rows seen but not used in every table."""
        return self.n_rows - self.n_obs

    @property
    def rule(self) -> str:
        """The rule that made ``n_obs`` of ``n_rows``, in words."""
        if self.missing == "listwise":
            return f"listwise: {self.n_obs} of {self.n_rows} rows complete on {self.n_items} items"
        rows = f"{self.n_obs} to {self.n_obs_max} of {self.n_rows} rows"
        return f"pairwise: {rows} behind a table; thresholds from each item's own rows"

    @property
    def empty_categories(self) -> dict[str, tuple[float, ...]]:
        """Declared categories that nobody chose, of the items that have any."""
        found = {}
        for name, codes, counts in zip(self.names, self.categories, self.marginal, strict=True):
            empty = tuple(code for code, n in zip(codes, counts, strict=False) if n == 0)
            if empty:
                found[name] = empty
        return found

    def table(self, first: str, second: str) -> FloatArray:
        """Return the table of two items, categories of ``first`` in rows."""
        i, j = self._position(first), self._position(second)
        if i == j:
            return np.asarray(np.diag(self.marginal[i, : len(self.categories[i])]))
        low, high = min(i, j), max(i, j)
        p = self.n_items
        pair = self.joint[low * p - low * (low + 1) // 2 + high - low - 1]
        cells = pair[: len(self.categories[low]), : len(self.categories[high])]
        return np.asarray(cells if i == low else cells.T)

    def subset(self, names: Sequence[str]) -> ContingencyTables:
        """Return the tables of some of the items, in the order given.

        Listwise tables keep the rows that were complete on all the original items.
        """
        index = np.array([self._position(name) for name in names], dtype=np.intp)
        p, (first, second) = self.n_items, item_pairs(len(index))
        i, j = index[first], index[second]
        low, high = np.minimum(i, j), np.maximum(i, j)
        pair = low * p - low * (low + 1) // 2 + high - low - 1

        def turned(joint: FloatArray) -> FloatArray:
            taken = joint[pair]
            return np.asarray(np.where((i > j)[:, None, None], taken.transpose(0, 2, 1), taken))

        return ContingencyTables(
            names=tuple(names),
            categories=tuple(self.categories[k] for k in index),
            missing=self.missing,
            n_rows=self.n_rows,
            n_used=self.n_used,
            n_item=self.n_item[index],
            count=self.count[np.ix_(index, index)],
            marginal=self.marginal[index],
            joint=turned(self.joint),
            weighted=self.weighted,
            marginal_squares=None if self.marginal_squares is None else self.marginal_squares[index],
            joint_squares=None if self.joint_squares is None else turned(self.joint_squares),
        )

    def _position(self, name: str) -> int:
        try:
            return self.names.index(name)
        except ValueError:
            raise DataError(f"No item {name!r} in these tables; they have {shorten(self.names, 12)}.") from None

    def _table(self) -> Table:
        rows = [
            {"item": name, "category": code, "n": float(n)}
            for name, codes, counts in zip(self.names, self.categories, self.marginal, strict=True)
            for code, n in zip(codes, counts, strict=False)
        ]
        return Table.from_rows(rows, ("item", "category", "n"))

    def summary(self) -> str:
        """Return the rule, the number of tables and cells, and what is empty."""
        k, (first, second) = self.n_categories, item_pairs(self.n_items)
        cells = int((k[first] * k[second]).sum())
        filled = int(np.count_nonzero(self.joint))
        lines = [self.rule, f"{len(self.joint)} tables, {cells} cells, {cells - filled} of them empty"]
        for name, codes in self.empty_categories.items():
            lines.append(f"{name}: nobody chose {shorten(f'{code:g}' for code in codes)}")
        return "\n".join(lines)


def _sum(mine: FloatArray | None, theirs: FloatArray | None) -> FloatArray | None:
    return None if mine is None or theirs is None else mine + theirs


# --------------------------------------------------------------------------- categories
def observed_categories(values: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """Return the values that occur in each column, ascending; NaN is missing."""
    columns = finite_values(np.asarray(values)).T
    return tuple(tuple(np.unique(column[~np.isnan(column)]).tolist()) for column in columns)


def category_codes(values: np.ndarray, names: Sequence[str], categories: Sequence[Sequence[float]]) -> Codes:
    """Turn answers into category numbers 0 .. K - 1; missing becomes -1.

    Parameters
    ----------
    values : array (n, p)
        Answers, persons by items; NaN is missing.
    names : sequence of str
        One name an item, for messages.
    categories : sequence of p sequences
        The declared categories of each item, in ascending order.

    Raises
    ------
    UnknownCodeError
        An answer is not among the declared categories.

    Examples
    --------
    >>> import numpy as np
    >>> category_codes(np.array([[1.0, 5.0], [3.0, np.nan]]), ["a", "b"], [(1, 2, 3), (1, 5)]).tolist()
    [[0, 1], [2, -1]]
    """
    array = finite_values(_checked(values, names, "pairwise", None)[0])
    declared = _checked_categories(categories, names)
    out = np.empty(array.shape, dtype=np.int16, order="F")
    unknown: dict[str, dict[float, int]] = {}
    for j, codes in enumerate(declared):
        place, fits = _placed(array[:, j], np.array(codes))
        out[:, j] = np.where(fits, place, -1)
        if not fits.all():
            bad = ~fits & ~np.isnan(array[:, j])
            if bad.any():
                seen, times = np.unique(array[bad, j], return_counts=True)
                unknown[names[j]] = dict(zip(seen.tolist(), times.tolist(), strict=True))
    if unknown:
        first = next(iter(unknown))
        seen_codes = shorten(f"{code:g} ({times} times)" for code, times in unknown[first].items())
        position = list(names).index(first)
        raise UnknownCodeError(
            f"{len(unknown)} item(s) hold answers outside their categories; {first}: {seen_codes}, "
            f"declared are {shorten(f'{code:g}' for code in declared[position])}. "
            "Declare the category, correct the answers, or set them to missing.",
            counts=unknown,
        )
    return out


def _placed(column: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the category number of each answer, and whether it is a category; NaN is none."""
    if not len(known):
        return np.zeros(len(column)), np.zeros(len(column), dtype=bool)
    if known[-1] - known[0] == len(known) - 1 and (np.diff(known) == 1).all():  # steps of one: no search
        place = column - known[0]
        return place, (place >= 0) & (place < len(known)) & (place == np.floor(place))
    found = np.minimum(np.searchsorted(known, column), len(known) - 1)
    return found, known[found] == column


def finite_values(array: np.ndarray) -> np.ndarray:
    """Return the values as floats; infinite ones are an error."""
    floats = array.astype(float, copy=False)
    if np.isinf(floats).any():
        raise NonNumericError("The data hold infinite values: set them to missing, or correct them, first.")
    return floats


def _checked_categories(categories: Sequence[Sequence[float]], names: Sequence[str]) -> tuple[tuple[float, ...], ...]:
    if len(categories) != len(names):
        raise DataError(f"Categories of {len(categories)} items were given for {len(names)} items.")
    declared = tuple(tuple(float(code) for code in codes) for codes in categories)
    for name, codes in zip(names, declared, strict=True):
        if any(not a < b for a, b in zip(codes, codes[1:], strict=False)) or any(code != code for code in codes):
            raise DataError(f"The categories of {name} must ascend without repetition: {list(codes)}.", item=name)
    return declared


# --------------------------------------------------------------------------- from arrays
def contingency_tables(
    codes: np.ndarray,
    names: Sequence[str],
    *,
    categories: Sequence[Sequence[float]] | None = None,
    missing: MissingMethod = "pairwise",
    weights: np.ndarray | None = None,
) -> ContingencyTables:
    """Count all items and all item pairs in one pass over memory.

    Parameters
    ----------
    codes : array (n, p)
        Category numbers 0 .. K - 1, persons by items; negative or NaN is missing. ``category_codes`` makes them.
    names : sequence of str
        One name an item.
    categories : sequence of p sequences, optional
        What the numbers stand for, ascending; fixes the number of categories. Default: 0 .. the largest number seen.
    missing : {"pairwise", "listwise"}
        For each item and pair the rows where it is observed, or the rows complete on all items.
    weights : array (n,), optional
        Sampling weights, not negative; only their ratios matter to an estimate.

    Returns
    -------
    ContingencyTables
        Of zero usable rows too, so that empty chunks can be added.

    Raises
    ------
    UnknownCodeError
        A number is not below the number of declared categories.
    NonNumericError, DataError
        The array or the weights are unusable.

    Examples
    --------
    >>> import numpy as np
    >>> codes = np.array([[0, 0], [0, 1], [1, 1], [1, -1]])
    >>> tables = contingency_tables(codes, ["a", "b"])
    >>> tables.table("a", "b").tolist()  # R: table(a, b)
    [[1.0, 1.0], [0.0, 1.0]]
    >>> (tables + tables).n_obs
    6
    """
    array, w = _checked(codes, names, missing, weights)
    numbers = category_numbers(array)
    declared = _declared(numbers, names, categories)
    n, p = numbers.shape
    k = max((len(c) for c in declared), default=0)
    counts = _Counts(p, k, weighted=w is not None)
    step = max(256, _BLOCK_VALUES // max(p * k, 1))
    for start in range(0, n, step):
        counts.add(numbers[start : start + step], None if w is None else w[start : start + step], missing)
    first, second = item_pairs(p)
    return ContingencyTables(
        names=tuple(names),
        categories=declared,
        missing=missing,
        n_rows=n,
        n_used=counts.n_used,
        n_item=counts.n_item,
        count=counts.rows(),
        marginal=counts.marginal(counts.total),
        joint=counts.joint(counts.total, first, second),
        weighted=w is not None,
        marginal_squares=None if w is None else counts.marginal(counts.squares),
        joint_squares=None if w is None else counts.joint(counts.squares, first, second),
    )


class _Counts:
    """Running cross-products of indicators, (p K, p K): one row an item's category."""

    def __init__(self, p: int, k: int, *, weighted: bool) -> None:
        self.p, self.k = p, k
        self.n_item = np.zeros(p, np.int64)
        self.n_used = 0
        self.total = np.zeros((p * k, p * k))
        self.weighted = weighted
        self.squares = np.zeros((p * k, p * k)) if weighted else np.zeros((0, 0))
        self.pair_rows = np.zeros((p, p), np.int64)

    def add(self, block: Codes, w: np.ndarray | None, missing: str) -> None:
        items = np.ascontiguousarray(block.T)
        observed = items >= 0
        self.n_item += observed.sum(axis=1)
        keep = np.ones(len(block), bool) if w is None else w > 0
        keep &= observed.all(axis=0) if missing == "listwise" else observed.any(axis=0)
        self.n_used += int(keep.sum())
        if not keep.all():
            items, observed = items[:, keep], observed[:, keep]
            w = None if w is None else w[keep]
        indicators = np.empty((self.p, self.k, items.shape[1]), np.float32 if w is None else np.float64)
        steps = np.arange(self.k, dtype=items.dtype)
        np.equal(items[:, None, :], steps[None, :, None], out=indicators, casting="unsafe")
        flat = indicators.reshape(self.p * self.k, items.shape[1])
        if w is None:
            self.total += flat @ flat.T
        else:
            self.total += (flat * w) @ flat.T
            self.squares += (flat * w**2) @ flat.T
            seen = observed.astype(np.float64)
            self.pair_rows += np.rint(seen @ seen.T).astype(np.int64)

    def marginal(self, product: np.ndarray) -> FloatArray:
        return np.diag(product).reshape(self.p, self.k).copy()

    def joint(self, product: np.ndarray, first: np.ndarray, second: np.ndarray) -> FloatArray:
        blocks = product.reshape(self.p, self.k, self.p, self.k).transpose(0, 2, 1, 3)
        return np.ascontiguousarray(blocks[first, second])

    def rows(self) -> IntArray:
        if self.weighted:
            return self.pair_rows
        sums = self.total.reshape(self.p, self.k, self.p, self.k).sum(axis=(1, 3))
        counted: IntArray = np.rint(sums).astype(np.int64)
        return counted


def category_numbers(codes: np.ndarray) -> Codes:
    """Return category numbers as signed integers; NaN becomes -1."""
    array = np.asarray(codes)
    if np.issubdtype(array.dtype, np.signedinteger):
        return array
    floats = finite_values(array)
    whole = np.where(np.isnan(floats), -1.0, floats)
    if (whole != np.rint(whole)).any():
        raise NonNumericError("Category numbers must be whole; category_codes() makes them from answers.")
    numbers: Codes = whole.astype(np.int64)
    return numbers


def _declared(
    numbers: Codes, names: Sequence[str], categories: Sequence[Sequence[float]] | None
) -> tuple[tuple[float, ...], ...]:
    top = numbers.max(axis=0, initial=-1)
    if categories is None:
        return tuple(tuple(float(c) for c in range(int(t) + 1)) for t in top)
    declared = _checked_categories(categories, names)
    beyond = {name: int(t) for name, t, codes in zip(names, top, declared, strict=True) if t >= len(codes)}
    if beyond:
        name, number = next(iter(beyond.items()))
        raise UnknownCodeError(
            f"{len(beyond)} item(s) hold category numbers beyond their categories; {name}: {number}, "
            f"the last is {len(declared[list(names).index(name)]) - 1}. category_codes() makes numbers from answers.",
            counts=beyond,
        )
    return declared
