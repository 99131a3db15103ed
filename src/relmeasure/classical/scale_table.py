"""Reliability of every scale of an instrument, as one tidy table."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, cast, get_args

import numpy as np

from relmeasure._version import __version__
from relmeasure.classical.cluster_table import CLUSTERED, cluster_rows
from relmeasure.classical.coefficient_alpha import alpha_from_prepared
from relmeasure.classical.coefficient_omega import omega_from_prepared
from relmeasure.classical.measurement_error import score_sd, sem_from
from relmeasure.classical.ordinal import OrdinalCoefficient, ordinal_from_polychoric
from relmeasure.classical.preparation import Prepared, check_conf_level, prepare
from relmeasure.classical.two_items import spearman_brown_from_prepared
from relmeasure.exceptions import (
    LevelWarning,
    ListwiseDeletionWarning,
    OptionError,
    PairwiseDeletionWarning,
    RelmeasureWarning,
    TooFewObservationsError,
    UnsupportedDataError,
    shorten,
)
from relmeasure.instruments.definition import Instrument
from relmeasure.responses.binding import KeyedResponses, Responses, UnknownCodes, bound
from relmeasure.responses.intake import scale_moments
from relmeasure.responses.ordinal import polychoric
from relmeasure.results import Estimate, Note, Provenance, Result, Table, announce, paragraph
from relmeasure.samplestats.latent import PolychoricResult
from relmeasure.samplestats.moments import MissingMethod, MomentSums

__all__ = ["Coefficient", "ScaleReliability", "reliability"]

Coefficient = Literal[
    "alpha", "omega", "omega_observed", "spearman_brown",
    "green_yang", "latent_omega", "latent_omega_observed", "ordinal_alpha",
    "omega_within", "omega_between", "omega_shared", "icc2",
]  # fmt: skip
"""Coefficients of the table; the second line is for ordered answers (see ``ordinal_reliability``), the third for
answers in clusters."""

MOST_CATEGORIES = 5
"""Items with more categories are treated as continuous: ordinal coefficients then say nothing that alpha does not."""

COLUMNS = (
    "scale", "level", "coefficient", "estimate", "se", "lower", "upper", "conf_level", "n_obs", "n_rows", "n_items",
    "sem", "rule", "method", "definition", "reason",
)  # fmt: skip

_COMPOSITE = "a weighted composite: its items are not one scale (see the rows of its subscales)"

_ROW_LEVEL = {"student": "student", "parent": "student", "teacher": "teacher", "staff": "teacher", "observer": "class"}
"""Level of one row of answers, by who gave them."""


@dataclass(frozen=True, eq=False)
class ScaleReliability(Result):
    """Reliability of the scales of an instrument.

    Attributes
    ----------
    table : Table
        One row a scale and coefficient: ``scale``, ``level`` (of the rows), ``coefficient``, ``estimate``, ``se``,
        ``lower``, ``upper``, ``conf_level``, ``n_obs``, ``n_rows``, ``n_items``, ``sem`` (standard error of
        measurement of the raw score, in the units of the scale's scoring rule), ``rule``, ``method``, ``definition``,
        ``reason`` (why there is no estimate).
    remarks : tuple of str
        What else can be asked for: ordinal coefficients, where items have few categories and none was asked for.
    warnings : tuple of Note
    provenance : Provenance or None
    """

    table: Table
    remarks: tuple[str, ...] = ()
    warnings: tuple[Note, ...] = ()
    provenance: Provenance | None = None

    def _table(self) -> Table:
        return self.table

    def summary(self) -> str:
        """Return the main columns, the reasons for missing estimates, and notes."""
        names = ("scale", "coefficient", "estimate", "lower", "upper", "sem", "n_obs", "n_rows", "n_items")
        lines = [Table({name: self.table[name] for name in names}).to_text()]
        gaps: dict[tuple[str, str], list[str]] = {}
        for row in self.table.rows():
            if row["reason"] is not None:
                gaps.setdefault((row["scale"], row["reason"]), []).append(row["coefficient"])
        lines += [
            paragraph(f"{scale}, {', '.join(which)}: not available ({reason})")
            for (scale, reason), which in gaps.items()
        ]
        methods = dict.fromkeys(
            paragraph(f"{row['coefficient']}: {row['definition']}, {row['method']}")
            for row in self.table.rows()
            if row["reason"] is None
        )
        offers = map(paragraph, self.remarks)
        return "\n".join([*lines, *methods, *offers, *(note.summary() for note in self.warnings)])


def reliability(
    instrument: Instrument,
    data: Any,
    *,
    coefficients: Sequence[Coefficient] | None = None,
    conf_level: float = 0.95,
    missing: MissingMethod = "listwise",
    cluster: str | None = None,
    scales: Sequence[str] | None = None,
    unknown: UnknownCodes = "raise",
) -> ScaleReliability:
    """Report the reliability of every scale of an instrument: estimate, interval, N, the rule that made it, and SEM.

    Parameters
    ----------
    instrument : Instrument
        Its keys are applied to the data; nothing is taken from the data but the answers.
    data : frame, array, responses, or mapping of scale to moments
        Raw answers. Keyed moments of each scale (added up from parts of the data, say) are used as they are.
    coefficients : sequence of str, optional
        For every scale: "alpha", "omega", "omega_observed" (over the observed variance), "spearman_brown"; for items
        of up to five ordered categories also "green_yang" (omega of the sum score), "latent_omega",
        "latent_omega_observed", "ordinal_alpha" (of the latent responses).
        Default: alpha and omega; for two items spearman_brown; for one item a row with the reason.
    conf_level : float
        Level of the intervals.
    missing : {"listwise", "pairwise"}
        One rule for all coefficients of a scale: rows complete on its items, or for each pair the rows with both.
    cluster : str, optional
        Column of classes. Adds, from a factor at each level (see ``cfa`` with levels), "omega_within" (differences
        between students of one class), "omega_between" (true class means), "omega_shared" and "icc2" (observed class
        means, at the harmonic mean class size). Whether a class mean can be trusted is said by the last two alone.
    scales : sequence of str, optional
        Default: all scales.
    unknown : {"raise", "missing"}
        What happens to codes that the instrument does not declare, as in ``bind``.

    Returns
    -------
    ScaleReliability
        A scale of subscales is treated as the sum of the items under it, which a note says; it has no ``sem``, since
        its score weighs subscales. A weighted composite, or a scale over one, has no estimate, with the reason: weights
        may turn subscales round. For ``pomp`` scores each item is taken on its declared range, 0 to 100.

    Raises
    ------
    UnsupportedDataError
        ``cluster=`` with moments, or with pairwise deletion: two levels need complete rows.
    OptionError
        An argument outside its allowed values, or a scale that the instrument does not have.
    UnknownCodeError, ColumnNotFoundError
        As in ``bind``.

    Notes
    -----
    Warnings of all scales are issued together: rows dropped in one message with the count of each scale.
    Rows that nobody answered, or too few, give a row of the table with the reason, not an error.

    Examples
    --------
    >>> import relmeasure as rm
    >>> instrument = rm.load_instrument("relationship-student")
    >>> answers = rm.simulate(instrument, n_clusters=10, cluster_size=20, icc=0.2, rng=1)
    >>> table = rm.reliability(instrument, answers, scales=["care"]).to_frame()
    >>> table[["scale", "coefficient", "n_obs"]].values.tolist()  # R: psych::alpha(x), semTools::compRelSEM(fit)
    [['care', 'alpha', 200], ['care', 'omega', 200]]
    """
    check_conf_level(conf_level)
    for name in coefficients or ():
        if name not in get_args(Coefficient):
            raise OptionError.from_value("coefficients", name, get_args(Coefficient))
    plain, clustered = _split(coefficients, cluster, missing)
    moments, responses = _moments(instrument, data, missing, scales, unknown)
    rows: list[dict[str, Any]] = []
    raised: list[tuple[str, RelmeasureWarning]] = []
    told = responses.warnings if responses is not None else ()
    notes: dict[tuple[str, str], Note] = {(note.code, note.message): note for note in told}
    for scale, sums in moments.items():
        found, prepared = _scale_rows(instrument, scale, sums, plain, conf_level, _ordered(responses, missing))
        rows += found
        kept = list(prepared.raised) if prepared is not None else []
        if cluster is not None and clustered:
            found, more = _level_rows(responses, scale, cluster, clustered, conf_level)
            rows += found
            kept += more
        raised += [(scale, w) for w in (*kept, *_level_warning(instrument, scale))]
        for note in (*(prepared.remarks if prepared is not None else ()), *_leaf_note(instrument, scale)):
            notes[(note.code, note.message)] = note
    offered = coefficients is None and responses is not None
    n_rows = max((m.n_rows for m in moments.values()), default=0)
    n_obs = min((m.n_obs for m in moments.values()), default=0)
    steps = responses.steps if responses is not None else ()
    rule = f"{missing}, each scale by itself"
    return ScaleReliability(
        Table.from_rows(rows, COLUMNS),
        remarks=tuple(_ordinal_offer(instrument, moments)) if offered else (),
        warnings=(*notes.values(), *announce(_joined(raised))),
        provenance=Provenance("reliability", __version__, n_rows, n_obs, rule, instrument.label, steps),
    )


def _split(
    coefficients: Sequence[Coefficient] | None, cluster: str | None, missing: MissingMethod
) -> tuple[Sequence[Coefficient] | None, list[str]]:
    """Return the coefficients over persons, and those of two levels."""
    if cluster is None:
        named = [name for name in coefficients or () if name in CLUSTERED]
        if named:
            raise OptionError(f"{shorten(named)} need(s) the classes: cluster='class_id'.", argument="coefficients")
        return coefficients, []
    if missing != "listwise":
        raise UnsupportedDataError("cluster= needs missing='listwise': two levels rest on complete rows of a scale.")
    if coefficients is None:
        return None, list(CLUSTERED)
    return [c for c in coefficients if c not in CLUSTERED], [c for c in coefficients if c in CLUSTERED]


def _level_rows(
    responses: Responses | None, scale: str, cluster: str, names: Sequence[str], conf_level: float
) -> tuple[list[dict[str, Any]], list[RelmeasureWarning]]:
    if responses is None:
        raise UnsupportedDataError("cluster= needs the answers, and moments were handed in: hand in the data.")
    instrument = responses.instrument
    if _weighs(instrument, scale):
        gap = {"scale": scale, "estimate": math.nan, "conf_level": conf_level, "reason": _COMPOSITE}
        return [gap | {"coefficient": name} for name in names], []
    units = None
    if instrument.scale(scale).scoring.method == "pomp":
        ends = [instrument.response_scale(item).score_range for item in instrument.scale_items(scale)]
        units = np.array([100.0 / (high - low) for low, high in ends])
    rows, raised = cluster_rows(responses, scale, cluster, names, conf_level, units)
    return [{"scale": scale} | row for row in rows], raised


def _moments(
    instrument: Instrument,
    data: Any,
    missing: MissingMethod,
    scales: Sequence[str] | None,
    unknown: UnknownCodes,
) -> tuple[dict[str, MomentSums], Responses | None]:
    """Moments of each scale, from data or as handed in, and the responses they come from."""
    if not (isinstance(data, Mapping) and data and all(isinstance(m, MomentSums) for m in data.values())):
        raw = data.responses if isinstance(data, KeyedResponses) else data
        responses, raised = bound(instrument, raw, scales=scales, unknown=unknown)
        announce(raised)  # kept in responses.warnings
        return scale_moments(instrument, responses, scales, missing=missing), responses
    wanted = list(data) if scales is None else list(scales)
    for scale in wanted:
        if scale not in data or scale not in instrument.scale_ids:
            raise OptionError.from_value("scales", scale, [s for s in data if s in instrument.scale_ids])
        items = instrument.scale_items(scale)
        if data[scale].names != items:
            raise UnsupportedDataError(
                f"The moments of scale '{scale}' are of items {shorten(data[scale].names)}; it has {shorten(items)}.",
                scale=scale,
            )
    return {scale: data[scale] for scale in wanted}, None


# --------------------------------------------------------------------------- one scale
def _scale_rows(
    instrument: Instrument,
    scale: str,
    moments: MomentSums,
    coefficients: Sequence[Coefficient] | None,
    conf_level: float,
    ordered: Callable[[str], PolychoricResult | str],
) -> tuple[list[dict[str, Any]], Prepared | None]:
    scored = _as_scored(instrument, scale, moments)
    names = _default(len(moments.names)) if coefficients is None else coefficients
    base = {
        "scale": scale,
        "level": _ROW_LEVEL[instrument.reporter],
        "conf_level": conf_level,
        "n_rows": moments.n_rows,
        "n_items": moments.n_items,
    }
    if _weighs(instrument, scale):
        gap = {"estimate": math.nan, "n_obs": moments.n_obs, "rule": moments.rule, "reason": _COMPOSITE}
        return [base | gap | {"coefficient": name} for name in names], None
    try:
        prepared = prepare(scored, conf_level=conf_level)
    except TooFewObservationsError as error:
        gap = {"estimate": math.nan, "n_obs": moments.n_obs, "rule": moments.rule, "reason": error.message}
        return [base | gap | {"coefficient": name} for name in names], None
    rows = []
    for name in names:
        estimate = _estimate(name, prepared, conf_level, lambda: ordered(scale))
        values = {column: getattr(estimate, column) for column in COLUMNS if hasattr(estimate, column)}
        rows.append(values | base | {"coefficient": name, "sem": _sem(instrument, scale, prepared, estimate)})
    return rows, prepared


def _weighs(instrument: Instrument, scale: str) -> bool:
    """Whether the scale, or one under it, is a weighted composite."""
    definition = instrument.scale(scale)
    return definition.scoring.method == "weighted" or any(_weighs(instrument, sub) for sub in definition.subscales)


def _default(n_items: int) -> tuple[Coefficient, ...]:
    if n_items == 1:
        return ("alpha",)
    return ("spearman_brown",) if n_items == 2 else ("alpha", "omega")


def _ordered(responses: Responses | None, missing: MissingMethod) -> Callable[[str], PolychoricResult | str]:
    """Polychorics of a scale's items, made once; or why there are none."""

    @cache
    def of(scale: str) -> PolychoricResult | str:
        if responses is None:
            return "ordinal coefficients need the answers: hand in the data, not moments"
        instrument = responses.instrument
        unfit = _unfit_for_ordinal(instrument, scale)
        if unfit is not None:
            return unfit
        part, _ = bound(instrument, responses.source.native, scales=[scale], unknown="missing")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RelmeasureWarning)  # rows dropped are said for the scale; the rest is kept
            return polychoric(part, missing=missing, acov=True)

    return of


def _unfit_for_ordinal(instrument: Instrument, scale: str) -> str | None:
    """Why a scale has no ordinal coefficients; None where it has."""
    scales = {item: instrument.response_scale(item) for item in instrument.scale_items(scale)}
    many = [item for item, answers in scales.items() if not 2 <= len(answers.options) <= MOST_CATEGORIES]
    if many:
        return f"items without two to {MOST_CATEGORIES} ordered categories ({shorten(many)}): see alpha and omega"
    if any(_uneven(instrument.keyed_values(item)) for item in scales):
        return "categories are not scored in equal steps: the formulas for ordered answers take one apart"
    return None


def _uneven(keyed: Mapping[int, float]) -> bool:
    steps = np.diff(sorted(set(keyed.values())))
    return len(steps) > 1 and not np.allclose(steps, steps[0])


def _estimate(
    name: Coefficient, prepared: Prepared, conf_level: float, ordered: Callable[[], PolychoricResult | str]
) -> Estimate:
    if name in get_args(OrdinalCoefficient):
        found = ordered()
        if isinstance(found, str):
            return Estimate(name, math.nan, conf_level=conf_level, n_obs=prepared.moments.n_obs, reason=found)
        return ordinal_from_polychoric(found, cast("OrdinalCoefficient", name), conf_level)
    if name == "alpha":
        return alpha_from_prepared(prepared, conf_level)
    if name == "spearman_brown":
        if len(prepared.names) > 2:
            return Estimate(
                name=name,
                estimate=math.nan,
                conf_level=conf_level,
                n_obs=prepared.moments.n_obs,
                definition="spearman_brown.two_halves",
                rule=prepared.rule,
                reason=f"for two items; this scale has {len(prepared.names)}: see alpha and omega",
            )
        return spearman_brown_from_prepared(prepared, conf_level)
    return omega_from_prepared(prepared, conf_level, "observed" if name == "omega_observed" else "implied")


def _as_scored(instrument: Instrument, scale: str, moments: MomentSums) -> MomentSums:
    """Moments in the units of the score: for ``pomp`` every item on its declared range, 0 to 100."""
    if instrument.scale(scale).scoring.method != "pomp":
        return moments
    ends = [instrument.response_scale(item).score_range for item in moments.names]
    low = np.array([end[0] for end in ends])[:, None]
    unit = np.array([100.0 / (end[1] - end[0]) for end in ends])[:, None]
    return replace(
        moments,
        center=np.where(moments.weight > 0, (moments.center - low) * unit, 0.0),
        scatter=moments.scatter * unit * unit.T,
        spread=moments.spread * unit**2,
    )


def _sem(instrument: Instrument, scale: str, prepared: Prepared, estimate: Estimate) -> float:
    """Standard error of measurement of the raw score; NaN for a score of subscales."""
    definition = instrument.scale(scale)
    if definition.subscales or estimate.name in {"latent_omega", "latent_omega_observed", "ordinal_alpha"}:
        return math.nan  # latent responses have no score, and so no error in its units
    return sem_from(score_sd(prepared, "sum" if definition.scoring.method == "sum" else "mean"), estimate.estimate)


# --------------------------------------------------------------------------- what has to be said
def _ordinal_offer(instrument: Instrument, scales: Iterable[str]) -> Iterator[str]:
    """Say which scales have coefficients that take few categories as ordered ones."""
    fit = [
        name
        for name in scales
        if len(instrument.scale_items(name)) > 1
        and not _weighs(instrument, name)
        and _unfit_for_ordinal(instrument, name) is None
    ]
    if fit:
        yield (
            f"Items of {shorten(fit)} have no more than {MOST_CATEGORIES} categories, which alpha and omega take as "
            "numbers. coefficients=['green_yang'] is the omega of the sum score that takes them as ordered."
        )


def _leaf_note(instrument: Instrument, scale: str) -> Iterator[Note]:
    subscales = instrument.scale(scale).subscales
    if subscales and not _weighs(instrument, scale):
        yield Note(
            "leaf-items",
            f"Scale '{scale}' has subscales ({shorten(subscales)}): its coefficients are those of the sum of the "
            f"{len(instrument.scale_items(scale))} items under them. Of several dimensions, one factor is wrong.",
        )


def _level_warning(instrument: Instrument, scale: str) -> Iterator[RelmeasureWarning]:
    row, levels = _ROW_LEVEL[instrument.reporter], instrument.scale(scale).levels
    if row not in levels:
        yield LevelWarning(
            f"declared for level {shorten(levels)}, but these coefficients are over rows of level {row}: "
            f"they are not the reliability of a {levels[0]} score.",
            level=row,
            levels=list(levels),
        )


def _joined(raised: Sequence[tuple[str, RelmeasureWarning]]) -> list[RelmeasureWarning]:
    """One warning for the rows dropped over all scales; the others name their scales."""
    out: list[RelmeasureWarning] = []
    dropped = [(s, w) for s, w in raised if isinstance(w, ListwiseDeletionWarning)]
    if dropped:
        told = shorten((f"{s} {w.details['n_dropped']} of {w.details['n_rows']}" for s, w in dropped), 20)
        counts = {s: w.details["n_dropped"] for s, w in dropped}
        out.append(
            ListwiseDeletionWarning(f"Rows with a missing answer were dropped, by scale: {told}.", n_dropped=counts)
        )
    uneven = [(s, w) for s, w in raised if isinstance(w, PairwiseDeletionWarning)]
    if uneven:
        told = shorten((f"{s} {w.details['n_min']} to {w.details['n_max']}" for s, w in uneven), 20)
        text = f"Pairs of items rest on different rows, and intervals use the smallest number, by scale: {told}."
        out.append(PairwiseDeletionWarning(text, n_min={s: w.details["n_min"] for s, w in uneven}))
    return out + _by_message([(s, w) for s, w in raised if not isinstance(w, _ROWS)])


_ROWS = (ListwiseDeletionWarning, PairwiseDeletionWarning)


def _by_message(raised: Sequence[tuple[str, RelmeasureWarning]]) -> list[RelmeasureWarning]:
    """The same sentence about several scales is said once; of two about the same items of a scale the first is kept."""
    said: dict[tuple[type[RelmeasureWarning], str], tuple[list[str], RelmeasureWarning]] = {}
    known: set[tuple[str, type[RelmeasureWarning], str]] = set()
    for scale, warning in raised:
        about = (scale, type(warning), str(warning.details.get("items", warning.message)))
        if about not in known:
            known.add(about)
            said.setdefault((type(warning), warning.message), ([], warning))[0].append(scale)
    out = []
    for (kind, message), (scales, warning) in said.items():
        word = "Scale" if len(scales) == 1 else "Scales"
        details = dict(warning.details) | {"scales": scales}
        out.append(kind(f"{word} {shorten(map(repr, scales), 20)}: {message}", **details))
    return out
