"""Can I use this score? One call that looks at codes, keys, missing answers, floor and ceiling, and dimension.

Every finding is a sentence with the number seen and what to do. The limits are conventions, each with its source; they
sort findings into what forbids the score, what asks for care, and what is merely said.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from relmeasure._version import __version__
from relmeasure.classical.coefficient_alpha import alpha
from relmeasure.exceptions import (
    CodesAsMissingWarning,
    EstimationError,
    OptionError,
    RelmeasureWarning,
    shorten,
)
from relmeasure.factor.adequacy import bartlett, kmo
from relmeasure.factor.extraction import fit_ml
from relmeasure.responses.binding import bound
from relmeasure.responses.intake import item_counts, scale_moments
from relmeasure.results import Note, Provenance, Result, Status, Table, announce, paragraph
from relmeasure.samplestats.moments import MomentSums
from relmeasure.studies.screening_structure import structure_of_scales, suggested_factors

if TYPE_CHECKING:
    import pandas as pd

    from relmeasure.instruments.definition import Instrument

__all__ = ["CheckResult", "check"]

Severity = Literal["failed", "caution", "note"]

MIN_ROWS = 30
"""Complete rows below which correlations are too uncertain to judge a scale by."""
LOW_ITEM_REST = 0.20
"""Item-rest correlation below which an item adds little (Nunnally & Bernstein, 1994, p. 305: about .20 to .30)."""
MANY_MISSING = 0.20
"""Share of missing answers to an item worth asking about."""
AT_THE_END = 0.75
"""Share of answers at one end of an item's scale that leaves it little to tell."""
KMO_UNACCEPTABLE, KMO_MEDIOCRE = 0.50, 0.60
"""Kaiser (1974, p. 35): unacceptable below .50, miserable in the .50s, mediocre in the .60s."""
LOW_LOADING = 0.40
"""Loading below which an item hardly belongs to its factor (Stevens, 2002, p. 394)."""
FIRST_TO_SECOND = 3.0
"""Ratio of the first two eigenvalues below which one dimension is doubtful (Slocum-Gori & Zumbo, 2011)."""
LOW_ALPHA = 0.70
"""Reliability below which group comparisons need care (Nunnally & Bernstein, 1994, p. 265)."""


@dataclass(frozen=True, eq=False)
class CheckResult(Result):
    """Whether the scores of an instrument can be used with these data, and why.

    Attributes
    ----------
    instrument : str
        ``id@version``.
    status : Status
        ``ok``: use the scores; ``caution``: use them with the findings read; ``failed``: do not.
    findings : Table
        ``scale``, ``topic``, ``severity`` (failed, caution, note), ``sentence``.
    scale_table : Table
        One row a scale: ``scale``, ``verdict``, ``n_items``, ``n_rows``, ``n_complete``, ``alpha``, ``kmo``,
        ``bartlett_chisq``, ``bartlett_df``, ``bartlett_p``, ``eigenvalue_1``, ``eigenvalue_2``, ``n_factors`` (that
        parallel analysis and its companions suggest), ``min_loading``, ``min_item_rest_r``.
    item_table : Table
        One row a scale and item: ``scale``, ``item``, ``key``, ``n``, ``missing_share``, ``floor_share``,
        ``ceiling_share``, ``mean``, ``sd``, ``item_rest_r``, ``loading``.
    structure : dict
        One thing or several: ``answer`` ("one", "general", "several", "unclear", "not looked at"), ``cfi_one``,
        ``cfi_scales``, ``largest_correlation`` of the factors.
    warnings : tuple of Note
    provenance : Provenance
    """

    instrument: str
    status: Status
    findings: Table
    scale_table: Table
    item_table: Table
    structure: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[Note, ...] = ()
    provenance: Provenance | None = None

    @property
    def scales(self) -> pd.DataFrame:
        """One row a scale, as a pandas frame."""
        frame: pd.DataFrame = self.scale_table.to_frame("pandas")
        return frame

    @property
    def items(self) -> pd.DataFrame:
        """One row a scale and item, as a pandas frame."""
        frame: pd.DataFrame = self.item_table.to_frame("pandas")
        return frame

    def _table(self) -> Table:
        return self.scale_table

    def summary(self) -> str:
        """Return the answer, then every finding by scale, worst first."""
        answer = {
            "ok": "Yes: the scores can be used.",
            "caution": "With care: the scores can be used once the findings below are read.",
            "failed": "No: at least one score should not be used as it is.",
        }[self.status.level]
        lines = [f"{self.instrument}: can these scores be used? {answer}"]
        columns = ("scale", "verdict", "n_items", "n_complete", "alpha", "kmo", "eigenvalue_1", "eigenvalue_2")
        shown = (*columns, "n_factors", "min_loading")
        lines += ["", Table({name: self.scale_table[name] for name in shown}).to_text(2), ""]
        marks = {"failed": "NO ", "caution": "! ", "note": "  "}
        for row in self.findings.rows():
            lines.append(
                paragraph(f"{marks[row['severity']]}{row['scale'] or 'all scales'}: {row['sentence']}", "     ")
            )
        return "\n".join(lines).rstrip()


def check(
    instrument: Instrument,
    data: Any,
    *,
    scales: Sequence[str] | None = None,
    unknown: Literal["raise", "missing"] = "raise",
) -> CheckResult:
    """Say whether the scores of an instrument can be used with these data, and why.

    Looks at codes (undeclared, shifted by one), keys (items that run against their scale after keying, data that seem
    reversed already), missing answers, floor and ceiling, and dimension: Kaiser-Meyer-Olkin, Bartlett's test,
    eigenvalues, one-factor maximum-likelihood loadings and the number of factors of each scale's items; and over all
    scales, whether they can be told apart (one factor against one a scale, see ``dimensionality``).

    Parameters
    ----------
    instrument : Instrument
    data : frame or array (n, p)
        Raw answers: pandas, Polars (eager or lazy), PyArrow, DuckDB, or an array in the instrument's item order.
    scales : sequence of str, optional
        Only these scales.
    unknown : {"raise", "missing"}
        Undeclared codes forbid the score, or only ask for care. Either way they are set to missing here, so that
        everything else can be looked at.

    Returns
    -------
    CheckResult
        ``.status``, ``.findings``, ``.scales``, ``.items``, ``.summary()``.

    Notes
    -----
    Missing data: correlations use the rows complete on the items of each scale. Nothing is changed: keys are never
    flipped and answers never deleted. The limits are module constants with their sources.

    Raises
    ------
    ColumnNotFoundError, DuplicateColumnError, NonNumericError, UnsupportedDataError
        The data cannot be read at all.

    Examples
    --------
    >>> import relmeasure as rm
    >>> instrument = rm.load_instrument("relationship-student")
    >>> data = rm.simulate(instrument, n_clusters=20, cluster_size=25, rng=1)
    >>> rm.check(instrument, data).status.level
    'ok'
    """
    if unknown not in {"raise", "missing"}:
        raise OptionError.from_value("unknown", unknown, ("raise", "missing"))
    responses, raised = bound(instrument, data, scales=scales, unknown="missing")
    notebook = _Notebook()
    _codes(notebook, raised, forbid=unknown == "raise")
    counts = _by_item(item_counts(instrument, responses))
    moments = scale_moments(instrument, responses, list(responses.scales))
    scale_rows: list[dict[str, Any]] = []
    item_rows: list[dict[str, Any]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelmeasureWarning)  # what the coefficients warn of is a finding here
        for name in responses.scales:
            found = _Scale(instrument, name, moments[name], counts, notebook)
            scale_rows.append(found.row())
            item_rows += found.item_rows()
    facts, sentence = structure_of_scales(instrument, responses, scales)
    if sentence is not None:
        notebook.write(None, "structure", "caution" if facts["answer"] == "one" else "note", sentence)
    findings = notebook.table()
    return CheckResult(
        instrument=instrument.label,
        status=_status(findings),
        findings=findings,
        scale_table=Table.from_rows(scale_rows),
        item_table=Table.from_rows(item_rows),
        structure=facts,
        warnings=announce(raised),
        provenance=Provenance(
            "check",
            __version__,
            responses.n_rows,
            responses.n_rows,
            "each scale's own complete rows",
            instrument.label,
            responses.steps,
        ),
    )


# --------------------------------------------------------------------------- findings
@dataclass
class _Notebook:
    """Findings, and the worst of them by scale."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def write(self, scale: str | None, topic: str, severity: Severity, sentence: str) -> None:
        self.rows.append({"scale": scale, "topic": topic, "severity": severity, "sentence": sentence})

    def verdict(self, scale: str) -> str:
        """The worst severity that concerns a scale: its own, or one about all scales."""
        seen = {row["severity"] for row in self.rows if row["scale"] in {scale, None}}
        return "no" if "failed" in seen else "with care" if "caution" in seen else "yes"

    def table(self) -> Table:
        """Worst first, in the order written."""
        rank = {"failed": 0, "caution": 1, "note": 2}
        ordered = sorted(self.rows, key=lambda row: rank[row["severity"]])
        return Table.from_rows(ordered, ["scale", "topic", "severity", "sentence"])


def _codes(notebook: _Notebook, raised: Sequence[RelmeasureWarning], *, forbid: bool) -> None:
    for warning in raised:
        unknown = isinstance(warning, CodesAsMissingWarning)
        notebook.write(None, "codes", "failed" if unknown and forbid else "caution", warning.message)


def _status(findings: Table) -> Status:
    severities = set(findings["severity"])
    reasons = tuple(
        f"{row['scale'] or 'all scales'}: {row['sentence']}" for row in findings.rows() if row["severity"] != "note"
    )
    if "failed" in severities:
        return Status("failed", reasons=reasons)
    return Status("caution", reasons=reasons) if reasons else Status("ok")


# --------------------------------------------------------------------------- one scale
@dataclass
class _Scale:
    """Everything that is looked at for one scale; findings go into the notebook as it is built."""

    instrument: Instrument
    name: str
    moments: MomentSums
    counts: dict[str, dict[str, Any]]
    notebook: _Notebook
    facts: dict[str, Any] = field(default_factory=dict)
    rest: dict[str, float] = field(default_factory=dict)
    loading: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._answers()
        if self.instrument.scale(self.name).scoring.method == "weighted":
            self._say(
                "dimension", "note", "a weighted composite: its subscales are looked at, its items are not one scale."
            )
            return
        if self.moments.n_items < 2:
            self._say("dimension", "note", "one item: nothing can be said about keys, dimension or reliability.")
            return
        if self.moments.n_obs < 3:
            sentence = f"only {self.moments.n_obs} of {self.moments.n_rows} rows are complete: too few to look at."
            self._say("missing", "failed", sentence)
            return
        if self._constant():
            return
        self._reliability()
        self._already_reversed()
        self._dimension()

    def _say(self, topic: str, severity: Severity, sentence: str) -> None:
        self.notebook.write(self.name, topic, severity, sentence)

    # ----- answers
    def _answers(self) -> None:
        counts = {item: self.counts[item] for item in self.moments.names}
        gaps = {item: c["missing_share"] for item, c in counts.items() if c["missing_share"] > MANY_MISSING}
        if gaps:
            listed = shorten(f"{item} {share:.0%}" for item, share in gaps.items())
            self._say(
                "missing", "caution", f"many answers are missing: {listed}. Find out why before leaning on the score."
            )
        complete, rows = self.moments.n_obs, self.moments.n_rows
        if rows and complete < MIN_ROWS:
            self._say("missing", "caution", f"{complete} complete rows of {rows}: every figure here is uncertain.")
        elif rows and complete < rows / 2:
            self._say("missing", "note", f"{complete} of {rows} rows are complete; correlations rest on these.")
        for end, side in (("floor_share", "lowest"), ("ceiling_share", "highest")):
            packed = {item: c[end] for item, c in counts.items() if c[end] > AT_THE_END}
            if packed:
                listed = shorten(f"{item} {share:.0%}" for item, share in packed.items())
                self._say(
                    "floor and ceiling", "caution", f"nearly all answers are at the {side} keyed value: {listed}."
                )

    def _constant(self) -> bool:
        flat = [
            item
            for item, spread in zip(self.moments.names, np.diag(self.moments.scatter), strict=True)
            if not spread > 0
        ]
        if flat:
            self._say("codes", "failed", f"no variance in {shorten(flat)}: everybody gave the same answer.")
        return bool(flat)

    # ----- keys
    def _reliability(self) -> None:
        found = alpha(self.moments)
        self.facts["alpha"] = found.estimate
        self.rest = dict(zip(found.item_table["item"], found.item_table["item_rest_r"], strict=True))
        against = {item: r for item, r in self.rest.items() if r < 0}
        weak = {item: r for item, r in self.rest.items() if 0 <= r < LOW_ITEM_REST}
        if against:
            listed = shorten(f"{item} {r:.2f}" for item, r in against.items())
            self._say(
                "keys",
                "failed",
                f"after keying these items still run against the others (item-rest correlation): {listed}. Compare "
                "their key and their coding in the data; nothing was flipped.",
            )
        if weak:
            listed = shorten(f"{item} {_below(r, LOW_ITEM_REST)}" for item, r in weak.items())
            self._say("keys", "caution", f"low item-rest correlation (below {LOW_ITEM_REST:.2f}): {listed}.")
        if found.estimate < LOW_ALPHA:
            self._say("reliability", "caution", f"alpha is {_below(found.estimate, LOW_ALPHA)}, below {LOW_ALPHA:.2f}.")

    def _already_reversed(self) -> None:
        """Items of both keys that correlate positively as stored: somebody has probably reversed them before."""
        key = np.array([self._stored_sign(item) for item in self.moments.names])
        if abs(key.sum()) == len(key):
            return
        stored = self.moments.cor * np.outer(key, key)
        across = stored[np.ix_(key > 0, key < 0)]
        if (across > 0).all():
            listed = shorten(item for item, sign in zip(self.moments.names, key, strict=True) if sign < 0)
            self._say(
                "keys",
                "failed",
                f"items with opposite keys correlate positively as stored: {listed} seem to be reversed in the data "
                "already. Hand in the answers as they were given.",
            )

    def _stored_sign(self, item: str) -> int:
        """1 when a higher stored code means a higher keyed value."""
        keyed = self.instrument.keyed_values(item)
        if not keyed:
            return self.instrument.item(item).key
        return 1 if keyed[max(keyed)] >= keyed[min(keyed)] else -1

    # ----- dimension
    def _dimension(self) -> None:
        cor = np.asarray(self.moments.cor)
        eigenvalues = np.linalg.eigvalsh(cor)[::-1]
        self.facts |= {"eigenvalue_1": float(eigenvalues[0]), "eigenvalue_2": float(eigenvalues[1])}
        try:
            test = bartlett(self.moments)
            self.facts |= {"bartlett_chisq": test.chisq, "bartlett_df": test.df, "bartlett_p": test.pvalue}
            if test.pvalue > 0.05:
                self._say(
                    "dimension", "failed", f"the items do not correlate (Bartlett's test, p = {test.pvalue:.2f})."
                )
            if len(cor) >= 3:
                self._factor(kmo(self.moments).overall, cor)
        except EstimationError as problem:
            self._say("dimension", "failed", f"the correlations cannot be factored: {problem.message}")
            return
        if len(cor) < 4:
            return
        if eigenvalues[1] > 1 and eigenvalues[0] / eigenvalues[1] < FIRST_TO_SECOND:
            self._say(
                "dimension",
                "caution",
                f"more than one dimension is likely: the first two eigenvalues are {eigenvalues[0]:.2f} and "
                f"{eigenvalues[1]:.2f}. A total of such items mixes different things.",
            )
        suggested, reason = suggested_factors(self.moments)
        if suggested is not None:
            self.facts["n_factors"] = suggested
        if suggested is not None and suggested > 1:
            self._say("dimension", "note", f"{suggested} factors are suggested: {reason}")

    def _factor(self, adequacy: float, cor: Any) -> None:
        self.facts["kmo"] = adequacy
        if adequacy < KMO_UNACCEPTABLE:
            self._say("dimension", "failed", f"KMO is {adequacy:.2f}: unacceptable; the items share too little.")
        elif adequacy < KMO_MEDIOCRE:
            self._say("dimension", "caution", f"KMO is {adequacy:.2f}: miserable; the items share little.")
        solution = fit_ml(cor, 1)
        loadings = np.asarray(solution.loadings)[:, 0]
        loadings = loadings * (1.0 if loadings.sum() >= 0 else -1.0)
        self.loading = dict(zip(self.moments.names, loadings.tolist(), strict=True))
        self.facts["min_loading"] = float(loadings.min())
        weak = {
            item: v for item, v in self.loading.items() if v < LOW_LOADING and self.rest.get(item, 1) >= LOW_ITEM_REST
        }
        if weak:
            listed = shorten(f"{item} {_below(v, LOW_LOADING)}" for item, v in weak.items())
            self._say("dimension", "caution", f"loading on the one factor below {LOW_LOADING:.2f}: {listed}.")
        if solution.at_bound:
            held = shorten(self.moments.names[i] for i in solution.at_bound)
            self._say("dimension", "caution", f"one factor leaves no residual variance for {held} (a Heywood case).")

    # ----- rows
    def row(self) -> dict[str, Any]:
        """The scale in one row."""
        verdict = self.notebook.verdict(self.name)
        row: dict[str, Any] = {"scale": self.name, "verdict": verdict, "n_items": self.moments.n_items}
        row |= {"n_rows": self.moments.n_rows, "n_complete": self.moments.n_obs}
        for fact in ("alpha", "kmo", "bartlett_chisq", "bartlett_df", "bartlett_p", "eigenvalue_1", "eigenvalue_2"):
            row[fact] = self.facts.get(fact, math.nan)
        row["n_factors"] = self.facts.get("n_factors")
        row["min_loading"] = self.facts.get("min_loading", math.nan)
        return row | {"min_item_rest_r": min(self.rest.values(), default=math.nan)}

    def item_rows(self) -> list[dict[str, Any]]:
        """One row an item."""
        mean, sd = self.moments.mean, np.sqrt(np.diag(self.moments.cov))
        rows = []
        for k, item in enumerate(self.moments.names):
            row: dict[str, Any] = {"scale": self.name, "item": item, "key": self.instrument.item(item).key}
            row |= {name: self.counts[item][name] for name in ("n", "missing_share", "floor_share", "ceiling_share")}
            row |= {"mean": float(mean[k]), "sd": float(sd[k])}
            row |= {"item_rest_r": self.rest.get(item, math.nan), "loading": self.loading.get(item, math.nan)}
            rows.append(row)
        return rows


# --------------------------------------------------------------------------- counts
def _by_item(counts: Table) -> dict[str, dict[str, Any]]:
    """Per item: answers, share missing of those who should have answered, and shares at both keyed ends."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in counts.rows():
        grouped.setdefault(row["item"], []).append(row)
    out = {}
    for item, rows in grouped.items():
        answered = sum(r["n"] for r in rows if r["reason"] is None)
        absent = sum(r["n"] for r in rows if r["reason"] in {"skipped", "invalid"})
        ends = {r["keyed"]: 0 for r in rows if r["keyed"] is not None}
        for r in rows:
            if r["keyed"] is not None:
                ends[r["keyed"]] += r["n"]
        known = bool(ends) and answered > 0
        out[item] = {
            "n": answered,
            "missing_share": absent / (answered + absent) if answered + absent else math.nan,
            "floor_share": ends[min(ends)] / answered if known else math.nan,
            "ceiling_share": ends[max(ends)] / answered if known else math.nan,
        }
    return out


def _below(value: float, limit: float) -> str:
    """A number below a limit, with as many decimals (two or more) as it takes to see that it is."""
    texts = (f"{value:.{digits}f}" for digits in range(2, 7))
    return next((text for text in texts if float(text) < limit), "just below it")
