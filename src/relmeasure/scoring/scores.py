"""``score``: what is asked, what is allowed, and the frame back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast, get_args, overload

import narwhals.stable.v2 as nw

from relmeasure.exceptions import (
    ColumnCollisionError,
    LevelError,
    NotPublishedMetricWarning,
    OptionError,
    ProratingWarning,
    RelmeasureWarning,
    shorten,
    warn_user,
)
from relmeasure.instruments.definition import Instrument, Level
from relmeasure.responses.binding import KeyedResponses, Responses, UnknownCodes, bound
from relmeasure.scoring.graph import Graph
from relmeasure.scoring.tallies import Tallies

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from narwhals.stable.v2.typing import IntoDataFrameT, IntoLazyFrameT

__all__ = ["score", "score_with_warnings"]

_ENDS = ("", "_n_valid", "_missing_reason")
_TYPES = (nw.Float64(), nw.Int64(), nw.String())


@overload
def score(
    instrument: Instrument,
    data: IntoDataFrameT,
    *,
    prefix: str = "",
    scales: Sequence[str] | None = None,
    unknown: UnknownCodes = "raise",
    columns: Mapping[str, str] | None = None,
    level: Level | None = None,
) -> IntoDataFrameT: ...
@overload
def score(
    instrument: Instrument,
    data: IntoLazyFrameT,
    *,
    prefix: str = "",
    scales: Sequence[str] | None = None,
    unknown: UnknownCodes = "raise",
    columns: Mapping[str, str] | None = None,
    level: Level | None = None,
) -> IntoLazyFrameT: ...
@overload
def score(
    instrument: Instrument,
    data: np.ndarray[Any, Any],
    *,
    prefix: str = "",
    scales: Sequence[str] | None = None,
    unknown: UnknownCodes = "raise",
    columns: Mapping[str, str] | None = None,
    level: Level | None = None,
) -> pd.DataFrame: ...
@overload
def score(
    instrument: Instrument,
    data: Responses | KeyedResponses,
    *,
    prefix: str = "",
    scales: Sequence[str] | None = None,
    unknown: UnknownCodes = "raise",
    columns: None = None,
    level: Level | None = None,
) -> Any: ...


def score(
    instrument: Instrument,
    data: Any,
    *,
    prefix: str = "",
    scales: Sequence[str] | None = None,
    unknown: UnknownCodes = "raise",
    columns: Mapping[str, str] | None = None,
    level: Level | None = None,
) -> Any:
    """Append a score, its number of valid answers, and the reason where it is missing, for every scale.

    With keyed values ``v`` of the ``n`` answered items of ``m``: mean ``sum(v) / n``; sum ``sum(v)``, completed to
    ``m * sum(v) / n`` where the definition prorates; pomp ``100 * mean((v - low) / (high - low))``; a composite is the
    mean of its subscales, or a constant plus their weighted sum. Norms turn this raw score into the reported one: T
    ``50 + 10 z``, or the row of a table. Rounding, where declared, comes last, halves up.

    Parameters
    ----------
    instrument : Instrument
    data : frame
        pandas, Polars (eager or lazy), PyArrow or DuckDB; one row a person, one column an item, named by item id. Never
        changed. An array (n, p) is read by position and comes back as a pandas frame; bound or keyed responses are
        taken as they are (keyed ones are not keyed again).
    prefix : str
        Put before the name of every column appended.
    scales : sequence of str, optional
        Score these scales only. Default: all.
    unknown : {"raise", "missing"}
        Codes that are not declared are an error, or become missing of class "invalid".
    columns : mapping of item id to column, optional
        Where the columns of the data bear other names, as in ``bind``; they keep them in the frame given back.
    level : {"student", "class", "teacher", "school"}, optional
        Where the scores will be used; an error if a scale is not meant for it.

    Returns
    -------
    frame
        Of the same kind. For each scale ``<prefix><scale>`` (float, null where missing), ``<prefix><scale>_n_valid``
        (integer: valid answers) and ``<prefix><scale>_missing_reason`` (text, null where scored: "no_answer",
        "too_few_answers", "invalid_answers", "not_applicable", "not_administered", "subscale_missing",
        "outside_norms"). Eager frames keep their rows and index in order; lazy ones stay lazy.

    Raises
    ------
    UnknownCodeError, ColumnNotFoundError, NonNumericError, DuplicateColumnError, UnsupportedDataError
        The data do not fit the instrument; see ``bind``.
    ColumnCollisionError
        A column to be appended exists already.
    LevelError
        A scale is not meant for that level.

    Notes
    -----
    Missing answers follow the missing rule of each scale. Warnings: ``ProratingWarning`` when sums were completed (on
    eager frames; a lazy one is not read for it), ``NotPublishedMetricWarning`` when the published metric is another
    than the raw score, ``CodesAsMissingWarning``. Weights, clusters and groups play no part: each row is scored alone.

    References
    ----------
    Cohen, P., Cohen, J., Aiken, L. S., & West, S. G. (1999). The problem of units and the circumstance for POMP.
    Multivariate Behavioral Research, 34, 315-346, eq. 1.
    Mazza, G. L., Enders, C. K., & Ruehlman, L. S. (2015). Addressing item-level missing data. Multivariate Behavioral
    Research, 50, 504-519.

    Examples
    --------
    >>> import pandas as pd
    >>> import relmeasure as rm
    >>> instrument = rm.load_instrument("relationship-student")
    >>> answers = pd.DataFrame({f"care_{k}": [4, 3, None] for k in range(1, 7)})
    >>> scored = rm.score(instrument, answers, scales=["care"])
    >>> scored["care_n_valid"].tolist(), scored["care_missing_reason"].fillna("scored").tolist()
    ([6, 6, 0], ['scored', 'scored', 'no_answer'])
    """
    scored, raised = score_with_warnings(
        instrument, data, prefix=prefix, scales=scales, unknown=unknown, columns=columns, level=level
    )
    for warning in raised:
        warn_user(warning)
    return scored


def score_with_warnings(
    instrument: Instrument,
    data: Any,
    *,
    prefix: str = "",
    scales: Sequence[str] | None = None,
    unknown: UnknownCodes = "raise",
    columns: Mapping[str, str] | None = None,
    level: Level | None = None,
) -> tuple[Any, list[RelmeasureWarning]]:
    """Score as ``score`` does, and return the warnings instead of issuing them."""
    raw = data.responses if isinstance(data, KeyedResponses) else data
    responses, raised = bound(instrument, raw, scales=scales, unknown=unknown, columns=columns)
    wanted = responses.scales if scales is None else _asked(scales)
    _check_level(instrument, wanted, level)
    names = {scale: (f"{prefix}{scale}", *(f"{prefix}{scale}{end}" for end in _ENDS[1:])) for scale in wanted}
    _check_names(responses, [name for three in names.values() for name in three])
    scored = _run(responses, cast("dict[str, tuple[str, str, str]]", names))
    raised += _metric_warnings(instrument, wanted)
    if isinstance(scored, nw.DataFrame):
        raised += _prorating_warnings(instrument, scored, names)
    return responses.with_own_names(scored).to_native(), raised


def _asked(scales: Sequence[str]) -> tuple[str, ...]:
    return (scales,) if isinstance(scales, str) else tuple(dict.fromkeys(scales))


def _run(responses: Responses, names: dict[str, tuple[str, str, str]]) -> nw.DataFrame[Any] | nw.LazyFrame[Any]:
    """Run the stages, and append what was asked for to the frame as it was."""
    source, work = responses.source, responses.work
    types = [(name, dtype) for three in names.values() for name, dtype in zip(three, _TYPES, strict=True)]
    if (blank := source.no_rows(dict(types))) is not None:
        return source.owned.with_columns(*blank)
    by_code = source.engine == "pandas"
    if isinstance(work, nw.DataFrame):
        work = work.select(*dict.fromkeys(plan.column for plan in responses.plans.values()))
    tallies = Tallies(work.to_native()) if by_code else None
    graph = Graph(responses.instrument, responses.plans, names, reason_codes=by_code, tallies=tallies)
    for scale in names:
        graph.scored(scale)
    if tallies is not None and isinstance(work, nw.DataFrame):
        work = tallies.onto(work)
    for stage in graph.stages:
        if stage:
            work = work.with_columns(*stage)
    outputs = [name for three in names.values() for name in three]
    if isinstance(work, nw.LazyFrame):
        return work.select(*source.columns, *outputs)
    columns = [work.get_column(name) for name in outputs]
    if by_code:
        columns = [_in_words(c, graph.words[c.name]) if c.name in graph.words else c for c in columns]
    return source.owned.with_columns(*columns)


def _in_words(places: nw.Series[Any], words: Sequence[str | None]) -> nw.Series[Any]:
    """Turn places in a list into its words, in pandas: much faster than writing a word in each row."""
    import numpy as np

    few = nw.new_series(places.name, list(words), nw.String(), backend="pandas").to_native()
    nothing = np.array([-1 if word is None else k for k, word in enumerate(words)])
    taken = few.array.take(nothing[places.to_numpy().astype("intp")], allow_fill=True)
    native = type(few)(taken, index=places.to_native().index, name=places.name)
    return nw.from_native(native, series_only=True)


# --------------------------------------------------------------------------- checks and warnings
def _check_level(instrument: Instrument, scales: Sequence[str], level: Level | None) -> None:
    if level is None:
        return
    if level not in get_args(Level):
        raise OptionError.from_value("level", level, get_args(Level))
    wrong = {scale: instrument.scale(scale).levels for scale in scales if level not in instrument.scale(scale).levels}
    if wrong:
        told = "; ".join(f"'{scale}' is for {', '.join(levels)}" for scale, levels in wrong.items())
        raise LevelError(
            f"{len(wrong)} of {len(scales)} scales of {instrument.label} may not be used at level '{level}': {told}. "
            "Name the others in scales=, or use the scores at a level they are meant for.",
            level=level,
            levels={scale: list(levels) for scale, levels in wrong.items()},
        )


def _check_names(responses: Responses, names: Sequence[str]) -> None:
    """Refuse to write over a column; DuckDB does not tell upper from lower case."""
    fold = str.casefold if responses.source.engine == "duckdb" else str
    present = {fold(str(column)) for column in (*responses.given_columns, *responses.source.columns)}
    clashes = [name for name in names if fold(name) in present]
    if clashes:
        raise ColumnCollisionError(
            f"{len(clashes)} columns to be written are in the data already: {shorten(clashes)}. "
            "Give another prefix=, or drop them first.",
            columns=clashes,
        )


def _metric_warnings(instrument: Instrument, scales: Sequence[str]) -> Iterator[RelmeasureWarning]:
    other = {scale: metric for scale in scales if (metric := instrument.scale(scale).published_metric) is not None}
    if other:
        told = "; ".join(f"{scale}: {metric}" for scale, metric in other.items())
        yield NotPublishedMetricWarning(
            f"The published metric of {len(other)} scales is another than the score given here ({told}): "
            "do not compare these scores with published figures.",
            metrics=other,
        )


def _prorating_warnings(
    instrument: Instrument, scored: nw.DataFrame[Any], names: dict[str, tuple[str, ...]]
) -> Iterator[RelmeasureWarning]:
    counts = {}
    for scale, (value, n_valid, _) in names.items():
        if instrument.scale(scale).missing.prorate:
            short = (scored[n_valid] < len(instrument.scale(scale).items)) & ~scored[value].is_null()
            counts[scale] = int(short.sum())
    counts = {scale: n for scale, n in counts.items() if n}
    if counts:
        told = shorten(f"{scale}: {n} of {len(scored)} rows" for scale, n in counts.items())
        yield ProratingWarning(
            f"Sums were completed from the answered items ({told}); this is biased when items differ in difficulty "
            "(Mazza, Enders and Ruehlman, 2015).",
            counts=counts,
        )
