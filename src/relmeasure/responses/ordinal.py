"""Ordered answers become contingency tables, polychoric and mixed correlations, whatever frame holds them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any, get_args, overload

from relmeasure._version import __version__
from relmeasure.exceptions import OptionError, RelmeasureWarning, UnsupportedDataError, shorten
from relmeasure.responses.ordered_rows import (
    Categories,
    CorrelationKind,
    OrderedRows,
    chosen_categories,
    ordered_categories,
    read_rows,
)
from relmeasure.responses.polychoric_groups import GroupedPolychorics, grouped
from relmeasure.results import Provenance, announce
from relmeasure.samplestats.acov import Information
from relmeasure.samplestats.contingency import ContingencyTables, category_codes, contingency_tables
from relmeasure.samplestats.latent import PolychoricResult
from relmeasure.samplestats.mixed import mixed_correlations
from relmeasure.samplestats.moments import MissingMethod
from relmeasure.samplestats.polychoric import (
    CorrectedTables,
    polychoric_acov,
    polychoric_from_codes,
    polychoric_from_tables,
)

__all__ = ["Categories", "CorrelationKind", "as_tables", "correlations", "polychoric"]


# --------------------------------------------------------------------------- public
@overload
def polychoric(
    data: Any,
    *,
    group: None = None,
    categories: Categories = None,
    missing: MissingMethod = "pairwise",
    weights: Any = None,
    acov: bool = False,
    correct: float = 0.0,
    correct_tables: CorrectedTables = "2x2",
    information: Information = "crossproduct",
    smooth: bool = False,
) -> PolychoricResult: ...
@overload
def polychoric(
    data: Any,
    *,
    group: Any,
    categories: Categories = None,
    missing: MissingMethod = "pairwise",
    weights: Any = None,
    acov: bool = False,
    correct: float = 0.0,
    correct_tables: CorrectedTables = "2x2",
    information: Information = "crossproduct",
    smooth: bool = False,
) -> GroupedPolychorics: ...
def polychoric(
    data: Any,
    *,
    group: Any = None,
    categories: Categories = None,
    missing: MissingMethod = "pairwise",
    weights: Any = None,
    acov: bool = False,
    correct: float = 0.0,
    correct_tables: CorrectedTables = "2x2",
    information: Information = "crossproduct",
    smooth: bool = False,
) -> PolychoricResult | GroupedPolychorics:
    """Estimate polychoric correlations and thresholds of ordered items by two-step maximum likelihood.

    Latent normal responses stand behind the answers. Thresholds are normal quantiles of the cumulative proportions of
    each item; with them fixed, each correlation maximises ``sum n_kl log P_kl(rho)`` over its contingency table. With
    two categories each, this is the tetrachoric correlation.

    Parameters
    ----------
    data : frame, array (n, p), responses, tables or polychoric result
        Every column of a frame but ``weights`` and ``group`` is an item. Responses are keyed, and bring their declared
        categories; a frame or array without ``categories`` uses the values seen, with a warning. A lazy frame is read
        in batches (with ``group`` as a whole). Columns whose type declares an order (ordered pandas categories, enums)
        have these categories.
    group : str or array (n,), optional
        Column of group labels, or the labels: one result a group, all with the same categories.
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
        ``n_obs``, ``names``, ``status``; it serves wherever moments do. With ``group=`` a ``GroupedPolychorics``:
        ``result["label"]`` is that group's.

    Raises
    ------
    UnknownCodeError, UnsupportedDataError, NonNumericError, ColumnNotFoundError, DuplicateColumnError, OptionError
        Answers outside the declared categories, items that are not ordered, columns that do not hold numbers.
    TooFewItemsError, TooFewObservationsError

    Notes
    -----
    Warnings: ``CategoriesAssumedWarning``, ``EmptyCategoryWarning``, ``SparseTableWarning``, ``ConstantItemWarning``,
    ``NotPositiveDefiniteWarning``, ``ListwiseDeletionWarning``, ``PairwiseDeletionWarning``.

    Standard errors rest on influence functions of all estimates (Muthen, 1984).

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
    options: dict[str, Any] = {
        "correct": correct,
        "correct_tables": correct_tables,
        "information": information,
        "smooth": smooth,
    }
    if group is not None:
        return grouped(data, group, categories=categories, missing=missing, weights=weights, acov=acov, **options)
    if isinstance(data, PolychoricResult):
        return data
    if isinstance(data, ContingencyTables):
        if acov:
            raise UnsupportedDataError("Tables alone have no acov=: it needs the rows. See polychoric_acov().")
        return _documented(polychoric_from_tables(data, **options), "polychoric", None, ())
    rows = read_rows(data, weights)
    declared, raised = ordered_categories(rows, categories)
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
    rows = read_rows(data, weights)
    declared, raised = chosen_categories(rows, kind, ordered, categories)
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
    rows = read_rows(data, weights, exclude)
    declared, raised = ordered_categories(rows, categories)
    return _tables(rows, declared, missing), raised


# --------------------------------------------------------------------------- results
def _tables(rows: OrderedRows, declared: Sequence[Sequence[float]], missing: MissingMethod) -> ContingencyTables:
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
    rows: OrderedRows, declared: Sequence[Sequence[float]], missing: MissingMethod, *, acov: bool, **options: Any
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
