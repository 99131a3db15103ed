"""Ordered answers become contingency tables, polychoric and mixed correlations, whatever frame holds them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any, Literal, get_args

import narwhals.stable.v2 as nw
import numpy as np

from relmeasure._version import __version__
from relmeasure.exceptions import (
    CategoriesAssumedWarning,
    ColumnNotFoundError,
    DataError,
    OptionError,
    RelmeasureWarning,
    UnsupportedDataError,
    shorten,
)
from relmeasure.responses.binding import KeyedResponses, Responses
from relmeasure.responses.frames import Frame, open_frame
from relmeasure.responses.matrices import keyed_expressions, matrices, numeric_frame
from relmeasure.results import Provenance, announce
from relmeasure.samplestats.acov import Information
from relmeasure.samplestats.contingency import (
    ContingencyTables,
    category_codes,
    contingency_tables,
    observed_categories,
)
from relmeasure.samplestats.estimates import MomentEstimate
from relmeasure.samplestats.latent import PolychoricResult
from relmeasure.samplestats.mixed import mixed_correlations
from relmeasure.samplestats.moments import MissingMethod, MomentSums
from relmeasure.samplestats.polychoric import (
    CorrectedTables,
    polychoric_acov,
    polychoric_from_codes,
    polychoric_from_tables,
)

__all__ = ["CorrelationKind", "as_tables", "correlations", "polychoric"]

Matrix = np.ndarray[Any, np.dtype[Any]]
Categories = Mapping[str, Sequence[float]] | Sequence[float] | None
"""Categories by item, the same for all items, or none declared."""

CorrelationKind = Literal["auto", "polychoric", "pearson"]
"""Which correlations: by the type of each item, polychoric of all, or Pearson of all."""

_MOST_OBSERVED = 20
"""More distinct values than this are not the categories of an ordered item, unless declared."""

_MOST_ORDERED = 10
"""Items with more categories than this count as continuous when the kind is chosen automatically."""


# --------------------------------------------------------------------------- public
def polychoric(
    data: Any,
    *,
    categories: Categories = None,
    missing: MissingMethod = "pairwise",
    weights: Any = None,
    acov: bool = False,
    correct: float = 0.0,
    correct_tables: CorrectedTables = "2x2",
    information: Information = "crossproduct",
    smooth: bool = False,
) -> PolychoricResult:
    """Estimate polychoric correlations and thresholds of ordered items by two-step maximum likelihood.

    Latent normal responses stand behind the answers. Thresholds are normal quantiles of the cumulative proportions of
    each item; with them fixed, each correlation maximises ``sum n_kl log P_kl(rho)`` over its contingency table. With
    two categories each, this is the tetrachoric correlation.

    Parameters
    ----------
    data : frame, array (n, p), responses, tables or polychoric result
        Every column of a frame but ``weights`` is an item. Responses are keyed, and bring their declared categories;
        a frame or array without ``categories`` uses the values seen, with a warning. A lazy frame is read in batches.
    categories : mapping of item to values, or one sequence for all items, optional
        The categories in ascending order; one that nobody chose is reported.
    missing : {"pairwise", "listwise"}
        Pairwise: thresholds from each item's own rows, each correlation from the rows of its pair. Listwise: all from
        the rows complete on all items.
    weights : str or array (n,), optional
        Sampling weights, or the column that holds them; only their ratios matter.
    acov : bool
        Whether to add the asymptotic covariance of thresholds and correlations, which WLS and WLSMV need. It takes a
        second look at the rows, so it cannot be had from tables alone.
    correct : float
        Added to each *empty* cell, 0 to 0.5; the default adds nothing. Margins of two by two tables are kept.
    correct_tables : {"2x2", "all"}
        Tables whose empty cells are filled.
    information : {"crossproduct", "observed"}
        Standard errors as in lavaan and Mplus, or such that stay right when the latent responses are not normal.
    smooth : bool
        Whether a matrix that is not positive definite is replaced by a near one, and the largest change told.

    Returns
    -------
    PolychoricResult
        ``correlation`` (p, p), ``se``, ``thresholds`` by item, ``acov`` (``nacov`` is N times it, as lavaan's NACOV),
        ``n_obs``, ``names``, ``status``; it serves wherever moments do.

    Raises
    ------
    UnknownCodeError, UnsupportedDataError, NonNumericError, ColumnNotFoundError, DuplicateColumnError, OptionError
        Answers outside the declared categories, items that are not ordered, columns that do not hold numbers.
    TooFewItemsError, TooFewObservationsError

    Notes
    -----
    Warnings: ``CategoriesAssumedWarning``, ``EmptyCategoryWarning``, ``SparseTableWarning``, ``ConstantItemWarning``,
    ``NotPositiveDefiniteWarning``, ``ListwiseDeletionWarning``, ``PairwiseDeletionWarning``.

    Standard errors rest on influence functions of all estimates (Muthen, 1984). Groups: tables of the groups, with the
    same declared categories, one result each.

    References
    ----------
    Olsson, U. (1979). Psychometrika, 44, 443-460. Muthen, B. (1984). Psychometrika, 49, 115-132.

    Examples
    --------
    >>> import pandas as pd
    >>> from relmeasure.responses.ordinal import polychoric
    >>> answers = pd.DataFrame({"a": [1, 1, 2, 2] * 25 + [1] * 40, "b": [1, 2, 1, 2] * 25 + [1] * 40})
    >>> result = polychoric(answers, categories=[1, 2])  # R: lavCor(answers, ordered = c("a", "b"))
    >>> round(float(result.correlation[0, 1]), 3), result.thresholds["a"].round(3).tolist()
    (0.352, [0.366])
    """
    if isinstance(data, PolychoricResult):
        return data
    options: dict[str, Any] = {
        "correct": correct,
        "correct_tables": correct_tables,
        "information": information,
        "smooth": smooth,
    }
    if isinstance(data, ContingencyTables):
        if acov:
            raise UnsupportedDataError("Tables alone have no acov=: it needs the rows. See polychoric_acov().")
        return _documented(polychoric_from_tables(data, **options), "polychoric", None, ())
    rows = _read(data, weights)
    declared, raised = _ordered_categories(rows, categories)
    result = _estimated(rows, declared, missing, acov=acov, **options)
    return _documented(result, "polychoric", rows.instrument, raised)


def correlations(
    data: Any,
    kind: CorrelationKind = "auto",
    *,
    ordered: bool | Sequence[str] | None = None,
    categories: Categories = None,
    missing: MissingMethod = "pairwise",
    weights: Any = None,
    acov: bool = False,
    correct: float = 0.0,
    correct_tables: CorrectedTables = "2x2",
    information: Information = "crossproduct",
    smooth: bool = False,
) -> PolychoricResult:
    """Estimate the correlation of every pair of items by the method that suits their types.

    Two ordered items: polychoric; an ordered and a continuous one: polyserial (two-step maximum likelihood); two
    continuous ones: Pearson. What was picked stands in ``kinds``, ``method(a, b)`` and ``provenance.steps``.

    Parameters
    ----------
    data : frame, array (n, p), responses, tables or result
        As in ``polychoric``. A lazy frame is read as a whole where an item is continuous.
    kind : {"auto", "polychoric", "pearson"}
        ``"auto"`` goes by the declared type: items of an instrument with up to 10 options are ordered, ranges are
        continuous. In a plain frame the items named in ``ordered`` or ``categories`` are ordered; without either, items
        with up to 10 whole values are, with a warning.
    ordered : bool or sequence of str, optional
        All items, none, or those named are ordered; for ``kind="auto"``.
    categories, missing, weights, acov, correct, correct_tables, information, smooth
        As in ``polychoric``.

    Returns
    -------
    PolychoricResult
        With ``kinds`` and ``method``; its ``acov`` adds means and variances of continuous items.

    Examples
    --------
    >>> import pandas as pd
    >>> from relmeasure.responses.ordinal import correlations
    >>> frame = pd.DataFrame({"item": [1, 1, 2, 2, 3, 3], "age": [10.2, 11.9, 10.7, 12.8, 12.1, 13.4]})
    >>> result = correlations(frame, ordered=["item"], categories={"item": [1, 2, 3]})
    >>> result.method("item", "age"), result.kinds
    ('polyserial', ('ordered', 'continuous'))
    """
    if kind not in get_args(CorrelationKind):
        raise OptionError.from_value("kind", kind, get_args(CorrelationKind))
    if isinstance(data, (PolychoricResult, ContingencyTables)):
        if kind == "pearson":
            raise UnsupportedDataError("Ordered tables have no Pearson correlations: hand in the rows.")
        return polychoric(data, acov=acov, correct=correct, correct_tables=correct_tables, smooth=smooth)
    rows = _read(data, weights)
    declared, raised = _chosen(rows, kind, ordered, categories)
    options: dict[str, Any] = {
        "acov": acov,
        "correct": correct,
        "correct_tables": correct_tables,
        "information": information,
        "smooth": smooth,
    }
    if all(codes is not None for codes in declared):
        result = _estimated(rows, [codes for codes in declared if codes is not None], missing, **options)
    else:
        values, w = rows.together()
        result = mixed_correlations(values, rows.names, categories=declared, missing=missing, weights=w, **options)
    step = f"kind='{kind}': {_picked(result)}"
    return _documented(result, "correlations", rows.instrument, raised, (step,))


def as_tables(
    data: Any,
    *,
    categories: Categories = None,
    missing: MissingMethod = "pairwise",
    weights: Any = None,
    exclude: Iterable[str | None] = (),
) -> tuple[ContingencyTables, tuple[RelmeasureWarning, ...]]:
    """Return contingency tables of anything a user may hand in, and what has to be said about it.

    Parameters
    ----------
    data, categories, missing, weights
        As in ``polychoric``; tables come back unchanged.
    exclude : iterable of str or None
        Columns that are no items: cluster, group, wave; None is skipped.
    """
    if isinstance(data, ContingencyTables):
        return data, ()
    rows = _read(data, weights, exclude)
    declared, raised = _ordered_categories(rows, categories)
    return _tables(rows, declared, missing), raised


# --------------------------------------------------------------------------- rows
@dataclass(frozen=True)
class _Rows:
    """Rows that can be read more than once; ``declared``: categories by item, None where it is continuous."""

    names: tuple[str, ...]
    declared: tuple[tuple[float, ...] | None, ...] | None
    instrument: str | None
    blocks: Callable[[], Iterator[tuple[Matrix, Matrix | None]]]
    lazy: bool

    def together(self) -> tuple[Matrix, Matrix | None]:
        """All rows at once."""
        values, w = zip(*self.blocks(), strict=True)
        weights = [part for part in w if part is not None]
        return np.concatenate(values), np.concatenate(weights) if weights else None


def _read(data: Any, weights: Any, exclude: Iterable[str | None] = ()) -> _Rows:
    if isinstance(data, np.ndarray):
        return _array_rows(data, weights)
    if isinstance(data, (tuple, MomentSums, MomentEstimate)):
        raise UnsupportedDataError(
            "A matrix has no thresholds: correlations of ordered answers need the rows, or their tables."
        )
    if isinstance(data, Responses):
        data = data.keyed()
    column = weights if isinstance(weights, str) else None
    if isinstance(data, KeyedResponses):
        raw = data.responses
        plans = [raw.plans[item] for item in data.items]
        if column is not None:
            raw.source.require([column], what="named")
        extra = [] if column is None else [nw.col(column).cast(nw.Float64).alias("weights")]
        frame: Frame = raw.work.select(*keyed_expressions(plans), *extra)
        declared = tuple(None if plan.is_range else tuple(sorted(set(plan.keyed.values()))) for plan in plans)
        return _frame_rows(frame, data.items, declared, raw.instrument.label, weights, lazy=raw.source.lazy)
    source = open_frame(data)
    aside = [name for name in (*exclude, column) if isinstance(name, str)]
    source.require(aside, what="named")
    items = [name for name in source.columns if name not in set(aside)]
    frame = numeric_frame(source, [*items, *([] if column is None else [column])])
    return _frame_rows(frame, [str(item) for item in items], None, None, weights, lazy=source.lazy)


def _array_rows(values: Matrix, weights: Any) -> _Rows:
    if values.ndim != 2:
        raise UnsupportedDataError(f"An array of persons by items has 2 dimensions; this one has {values.ndim}.")
    if isinstance(weights, str):
        raise UnsupportedDataError(f"weights='{weights}' names a column, but an array has none: hand in the weights.")
    w = None if weights is None else np.asarray(weights, dtype=float)
    names = tuple(f"x{k + 1}" for k in range(values.shape[1]))
    return _Rows(names, None, None, lambda: iter([(values, w)]), lazy=False)


def _frame_rows(
    frame: Frame,
    names: Sequence[str],
    declared: tuple[tuple[float, ...] | None, ...] | None,
    instrument: str | None,
    weights: Any,
    *,
    lazy: bool,
) -> _Rows:
    in_column = isinstance(weights, str)
    if lazy and weights is not None and not in_column:
        raise UnsupportedDataError("A lazy frame takes weights= as the name of a column, not as an array.")
    given = None if weights is None or in_column else np.asarray(weights, dtype=float)

    def blocks() -> Iterator[tuple[Matrix, Matrix | None]]:
        some = False
        for rows in matrices(frame):
            some = True
            yield (rows[:, :-1], rows[:, -1]) if in_column else (rows, given)
        if not some:
            yield np.empty((0, len(names))), np.empty(0) if weights is not None else None

    if lazy:
        return _Rows(tuple(names), declared, instrument, blocks, lazy=True)
    kept = list(blocks())
    return _Rows(tuple(names), declared, instrument, lambda: iter(kept), lazy=False)


# --------------------------------------------------------------------------- categories
def _ordered_categories(
    rows: _Rows, categories: Categories
) -> tuple[list[tuple[float, ...]], tuple[RelmeasureWarning, ...]]:
    """Return the categories of every item: declared, given, or seen."""
    if rows.declared is not None:
        if categories is not None:
            raise UnsupportedDataError(
                "Bound responses have the categories of their instrument: leave out categories=."
            )
        ranges = [name for name, codes in zip(rows.names, rows.declared, strict=True) if codes is None]
        if ranges:
            raise UnsupportedDataError(
                f"{shorten(ranges)}: answers on a range are not ordered categories. correlations() takes them as "
                "continuous.",
                items=ranges,
            )
        return [codes for codes in rows.declared if codes is not None], ()
    given = _given(rows, categories)
    unknown = [name for name, codes in zip(rows.names, given, strict=True) if codes is None]
    if not unknown:
        return [codes for codes in given if codes is not None], ()
    seen = dict(zip(rows.names, _seen(rows), strict=True))
    for name in unknown:
        if len(seen[name]) > _MOST_OBSERVED or any(code != round(code) for code in seen[name]):
            raise UnsupportedDataError(
                f"{name} has {len(seen[name])} distinct values, the first {shorten(map(str, seen[name]), 4)}: "
                "not the categories of an ordered item. Declare categories=, or use correlations().",
                item=name,
            )
    found = [seen[name] if codes is None else codes for name, codes in zip(rows.names, given, strict=True)]
    return found, (_assumed({name: seen[name] for name in unknown}),)


def _given(rows: _Rows, categories: Categories) -> list[tuple[float, ...] | None]:
    """Return the categories handed in, by item; None where there are none."""
    if categories is None:
        return [None] * len(rows.names)
    if isinstance(categories, Mapping):
        stray = [name for name in categories if name not in rows.names]
        if stray:
            raise ColumnNotFoundError.from_names(stray, list(rows.names), what="categories")
        return [tuple(map(float, categories[name])) if name in categories else None for name in rows.names]
    try:
        return [tuple(map(float, categories))] * len(rows.names)
    except (TypeError, ValueError):
        raise DataError(
            "categories= takes numbers: one sequence for all items, or a mapping of item to them."
        ) from None


def _seen(rows: _Rows) -> list[tuple[float, ...]]:
    """Return the distinct values of every item, over all blocks."""
    found: list[set[float]] = [set() for _ in rows.names]
    for values, _ in rows.blocks():
        for known, codes in zip(found, observed_categories(values), strict=True):
            known.update(codes)
    return [tuple(sorted(codes)) for codes in found]


def _assumed(seen: Mapping[str, tuple[float, ...]]) -> CategoriesAssumedWarning:
    told = shorten((f"{name}: {shorten((f'{code:g}' for code in codes), 12)}" for name, codes in seen.items()), 4)
    return CategoriesAssumedWarning(
        f"Categories of {len(seen)} item(s) were taken from the answers seen ({told}). One that nobody chose is not "
        "among them, and a code for a missing answer would be. Declare categories=, or bind the data to an instrument.",
        categories={name: list(codes) for name, codes in seen.items()},
    )


def _chosen(
    rows: _Rows, kind: CorrelationKind, ordered: bool | Sequence[str] | None, categories: Categories
) -> tuple[list[tuple[float, ...] | None], tuple[RelmeasureWarning, ...]]:
    """Return the categories of the items to be taken as ordered, None for the others."""
    if kind != "auto" and ordered is not None:
        raise OptionError("ordered= is for kind='auto'; kind= has already decided.", argument="ordered", value=ordered)
    if kind == "pearson" or ordered is False:
        return [None] * len(rows.names), ()
    if kind == "polychoric" or (ordered is True and rows.declared is None):
        every, raised = _ordered_categories(rows, categories)
        return list(every), raised
    named = None if ordered is None or ordered is True else {str(name) for name in ordered}
    if named is not None and not named <= set(rows.names):
        raise ColumnNotFoundError.from_names(sorted(named - set(rows.names)), list(rows.names), what="ordered")
    if rows.declared is not None:
        return [
            codes if codes and (name in named if named is not None else len(codes) <= _MOST_ORDERED) else None
            for name, codes in zip(rows.names, rows.declared, strict=True)
        ], ()
    given = dict(zip(rows.names, _given(rows, categories), strict=True))
    declared = named is not None or categories is not None
    seen: dict[str, tuple[float, ...]] = {}
    if not declared or any(given[name] is None for name in named or ()):
        values = dict(zip(rows.names, _seen(rows), strict=True))
        pick = (named or set()) if declared else {name for name, codes in values.items() if _few(codes)}
        seen = {name: values[name] for name in rows.names if name in pick and given[name] is None}
    wanted = [given[name] if named is None or name in named else None for name in rows.names]
    found = [seen.get(name, codes) for name, codes in zip(rows.names, wanted, strict=True)]
    return found, (_assumed(seen),) if seen else ()


def _few(codes: Sequence[float]) -> bool:
    return len(codes) <= _MOST_ORDERED and all(code == round(code) for code in codes)


# --------------------------------------------------------------------------- results
def _tables(rows: _Rows, declared: Sequence[Sequence[float]], missing: MissingMethod) -> ContingencyTables:
    return reduce(
        add,
        (
            contingency_tables(
                category_codes(values, rows.names, declared),
                rows.names,
                categories=declared,
                missing=missing,
                weights=w,
            )
            for values, w in rows.blocks()
        ),
    )


def _estimated(
    rows: _Rows, declared: Sequence[Sequence[float]], missing: MissingMethod, *, acov: bool, **options: Any
) -> PolychoricResult:
    if not rows.lazy:
        values, w = rows.together()
        codes = category_codes(values, rows.names, declared)
        return polychoric_from_codes(
            codes, rows.names, categories=declared, missing=missing, weights=w, acov=acov, **options
        )
    result = polychoric_from_tables(_tables(rows, declared, missing), **options)
    if not acov:
        return result
    parts = (polychoric_acov(result, category_codes(v, rows.names, declared), w) for v, w in rows.blocks())
    return replace(result, acov=reduce(add, parts))


def _picked(result: PolychoricResult) -> str:
    groups = {kind: [n for n, k in zip(result.names, result.kinds, strict=True) if k == kind] for kind in result.kinds}
    return "; ".join(f"{kind}: {shorten(names)}" for kind, names in groups.items())


def _documented(
    result: PolychoricResult,
    function: str,
    instrument: str | None,
    raised: Sequence[RelmeasureWarning],
    steps: tuple[str, ...] = (),
) -> PolychoricResult:
    """Add the provenance and the warnings of the reading to those of the estimate."""
    provenance = Provenance(
        function, __version__, result.n_rows, result.n_obs, result.rule, instrument=instrument, steps=steps
    )
    return replace(result, provenance=provenance, warnings=(*announce(raised), *result.warnings))
