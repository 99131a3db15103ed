"""From answers to sums of classes: scores, keys, what was dropped. The first step of every study of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from relmeasure._version import __version__
from relmeasure.exceptions import (
    DataError,
    LevelError,
    ListwiseDeletionWarning,
    OptionError,
    RelmeasureWarning,
    did_you_mean,
    shorten,
)
from relmeasure.instruments.catalog import require_instrument
from relmeasure.responses.binding import KeyedResponses, bound
from relmeasure.responses.groups import GroupSums, group_sums, label_text, refuse_people_twice, where_present
from relmeasure.responses.waves import declared_order, wave_order
from relmeasure.results import Note, Provenance
from relmeasure.scoring.scores import score_with_warnings

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument

__all__ = ["ClassData", "check_gates", "check_scales", "point_of_each", "read_classes", "roster_of"]


@dataclass(frozen=True)
class ClassData:
    """Scored rows and their sums by class.

    Attributes
    ----------
    scored : frame
        The data with score columns, of the engine that was handed in.
    sums : GroupSums
    n_rows : int
    raised : list of RelmeasureWarning
        Still to be announced.
    kept : tuple of Note
        Warnings of responses that were bound before.
    """

    scored: Any
    sums: GroupSums
    n_rows: int
    raised: list[RelmeasureWarning]
    kept: tuple[Note, ...]

    def wave_order(self, wave: str | None) -> tuple[str, ...] | None:
        """Waves from the earliest to the latest; None without waves, or where nothing says which comes first."""
        if wave is None:
            return None
        return wave_order(self.sums.keys[wave], declared_order(self.scored, wave))

    def provenance(self, function: str, instrument: Instrument) -> Provenance:
        """What was computed from what."""
        used = int(self.sums.rows.sum())
        rule = "students with a score, by class"
        return Provenance(function, __version__, self.n_rows, used, rule, instrument.label)


def read_classes(
    instrument: Instrument,
    data: Any,
    scales: Sequence[str],
    keys: Sequence[str | None],
    *,
    unknown: Literal["raise", "missing"],
    cuts: Mapping[str, float] | None = None,
    weights: str | None = None,
    student: str | None = None,
) -> ClassData:
    """Score the rows and sum them by the key columns (None is skipped); nobody may stand for two students."""
    named = [key for key in keys if key is not None]
    twice = next((name for name in [*named, weights] if [*named, weights].count(name) > 1), None)
    if twice is not None:
        raise OptionError(f"Column '{twice}' is named for two things: each argument names a column of its own.")
    raw = data.responses if isinstance(data, KeyedResponses) else data
    responses, raised = bound(instrument, raw, scales=list(scales), unknown=unknown)
    scored, more = score_with_warnings(instrument, responses, scales=list(scales))
    scored = where_present(scored, _reported_parts(instrument, scales))
    sums = group_sums(scored, scales, named, cuts=cuts, weights=weights)
    refuse_people_twice(responses.source, named, student)
    dropped = _without_keys(responses.n_rows, int(sums.rows.sum()), named)
    kept = responses.warnings if raw is responses else ()
    return ClassData(scored, sums, responses.n_rows, [*raised, *more, *dropped], kept)


def _reported_parts(instrument: Instrument, scales: Sequence[str]) -> dict[str, list[str]]:
    """Composites among the scales, and those of their parts that are reported too."""
    parts: dict[str, list[str]] = {}
    for name in scales:
        if instrument.scale(name).subscales:
            items = set(instrument.scale_items(name))
            parts[name] = [other for other in scales if other != name and set(instrument.scale_items(other)) < items]
    return {name: found for name, found in parts.items() if found}


def _without_keys(n_rows: int, used: int, keys: Sequence[str]) -> list[RelmeasureWarning]:
    """Say how many rows belong to no class; without any row there is nothing to report."""
    named = " and ".join(f"'{key}'" for key in keys)
    if not used:
        raise DataError(f"None of the {n_rows} rows has {named}: nothing can be reported.", n_rows=n_rows)
    if used == n_rows:
        return []
    places = " or ".join(f"'{key}'" for key in keys)
    text = f"{n_rows - used} of {n_rows} rows have no value in {places} and are not used."
    return [ListwiseDeletionWarning(text, n_dropped=n_rows - used, n_rows=n_rows)]


# --------------------------------------------------------------------------- checks
def check_scales(instrument: Instrument, scales: Sequence[str] | None, level: str) -> tuple[str, ...]:
    """The scales that are wanted (default: all); those unknown or not valid at the level are refused."""
    require_instrument(instrument)
    wanted = instrument.scale_ids if scales is None else (scales,) if isinstance(scales, str) else tuple(scales)
    if level not in {"class", "teacher", "school"}:
        raise OptionError.from_value("level", level, ("class", "teacher", "school"))
    for name in wanted:
        if name not in instrument.scale_ids:
            raise OptionError.from_value("scales", name, instrument.scale_ids)
        levels = instrument.scale(name).levels
        if level not in levels:
            raise LevelError(
                f"Scale '{name}' of {instrument.label} is not valid at level '{level}', only at: {', '.join(levels)}. "
                "Choose other scales with scales=, or another level.",
                scale=name,
                level=level,
            )
    return wanted


def check_gates(min_disclose: int, min_report: int, conf_level: float) -> None:
    """Refuse gates in the wrong order, and levels outside (0, 1)."""
    if min_report < min_disclose:
        raise OptionError(f"min_report={min_report} is below min_disclose={min_disclose}: it must not be.")
    if not 0 < conf_level < 1:
        raise OptionError(f"conf_level={conf_level}: a number between 0 and 1 is needed.")


def roster_of(roster: Mapping[Any, int] | None, classes: Sequence[str]) -> dict[str, int]:
    """Sizes by the label of the class as text; a class that stands twice or is not in the data is refused."""
    given = [(label_text(label), size) for label, size in (roster or {}).items()]
    found = dict(given)
    if len(found) < len(given):
        labels = [label for label, _ in given]
        twice = next(label for label in labels if labels.count(label) > 1)
        raise OptionError(f"roster= names class '{twice}' twice: give one size a class.", cluster=twice)
    unknown = [label for label in found if label not in set(classes)]
    if unknown:
        raise OptionError(
            f"roster= names {len(unknown)} classes that have no row in the data: {shorten(unknown)}."
            f"{did_you_mean(unknown[0], classes)} The data have: {shorten(dict.fromkeys(classes))}. Correct the label, "
            "or leave a class without answers out of the roster.",
            clusters=unknown,
        )
    return found


def point_of_each(
    argument: str,
    point: float | Mapping[str, float] | None,
    scales: Sequence[str],
    instrument: Instrument | None = None,
) -> dict[str, float]:
    """One point for all scales, or one for each that is named; with an instrument, one off the scores is an error."""
    if point is None:
        return {}
    points = point if isinstance(point, Mapping) else dict.fromkeys(scales, float(point))
    for name, value in points.items():
        if name not in scales:
            raise OptionError.from_value(argument, name, scales)
        if instrument is None or instrument.scale(name).scoring.norms is not None:
            continue
        low, high = instrument.scale_range(name)
        if not low <= value <= high:
            raise OptionError(
                f"{argument}={value:g} for scale '{name}': scores run from {low:g} to {high:g}. Give a point there.",
                scale=name,
                value=value,
            )
    return {name: float(value) for name, value in points.items()}
