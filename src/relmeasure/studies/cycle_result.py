"""The result of ``reciprocity``."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from relmeasure.panel.reciprocal import ALL
from relmeasure.panel.wave_models import EQUAL
from relmeasure.results import Note, Provenance, Result, Status, Table, render
from relmeasure.studies.cycle_words import findings, standard_interval, standing

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ReciprocityResult"]


@dataclass(frozen=True, eq=False)
class ReciprocityResult(Result):
    """Cross-lagged associations between relationship and practices.

    Attributes
    ----------
    table : Table
        One row an effect: ``effect`` ("care -> thinking"), ``predictor``, ``outcome``, ``from_wave``, ``to_wave``,
        ``model`` ("pair": relationship and one practice; "joint": relationship and all practices; from three waves on
        "random intercepts" and "random intercepts, equal lags": within teachers), ``by`` (band, or "all"),
        ``corrected`` (True: measurement error of class means removed), ``estimate``, ``se``, ``lower``, ``upper``,
        ``pvalue``, ``std`` (by the standard deviations of true, or observed, scores), ``std_se``, ``n_classes`` (with
        the predictor at the earlier and the outcome at the later wave), ``reason``. With one wave: association between
        classes instead of lags.
    stability : Table
        The same for a score and itself at the next wave.
    directions : Table
        Both standardised directions of every pair side by side, and their difference with interval and test.
    association : Table
        Per wave and practice: correlation with the relationship within classes, between classes as observed, and
        between classes corrected.
    contextual : Table
        Per wave, practice and band: slope of practice on relationship within classes, between their true scores, and
        the difference of both, with intervals.
    class_reliability : Table
        Per wave and score: share of the variance of observed class means that is true.
    band_tests : Table
        Per effect: test that it is the same in all bands (``pooled``, ``chisq``, ``df``, ``pvalue``).
    model_tests : Table
        From three waves on: fit of the random-intercept models (likelihood ratio), and the test that lags are equal
        over time (Wald, robust).
    growth : Table
        From three waves on: level and change of every practice, and their slopes on the relationship of the first wave.
    same_rater : Table
        Relationship from one random half of each class, practice from the other: mean over ``n_splits`` splits beside
        the estimate from the same students.
    sensitivity : Table
        Per corrected effect: ``partial_r2``, ``robustness_value`` (share of the residual variance of both scores that
        an unmeasured confounder would have to explain to bring it to zero; Cinelli & Hazlett, 2020), and the lowest
        and highest estimate when one school is left out.
    power : Table
        Per corrected effect: the smallest standardised lag that a study of this size finds with power .80, the power
        for lags of .10, .20 and .30, and the classes needed for .10.
    bootstrap : Table
        Percentile intervals over draws of classes or schools, if asked for.
    invariance : Table
        Per instrument and scale: the level of invariance over waves that was reached, if instruments were given.
    syntax : str
        The random-intercept models in lavaan's language, or the cross-lagged ones with two waves.
    comparability : str
        What is known of the comparability of scores over waves.
    relationship : str
    practices, waves : tuple of str
    conf_level : float
    status : Status
    warnings : tuple of Note
    provenance : Provenance
    """

    table: Table
    stability: Table
    directions: Table
    association: Table
    contextual: Table
    class_reliability: Table
    band_tests: Table
    model_tests: Table
    growth: Table
    same_rater: Table
    sensitivity: Table
    power: Table
    bootstrap: Table
    invariance: Table
    syntax: str
    comparability: str
    relationship: str
    practices: tuple[str, ...]
    waves: tuple[str, ...]
    conf_level: float
    status: Status
    warnings: tuple[Note, ...] = ()
    provenance: Provenance | None = field(default=None)

    @property
    def effects(self) -> pd.DataFrame:
        """One row an effect, as a pandas frame."""
        frame: pd.DataFrame = self.table.to_frame("pandas")
        return frame

    @property
    def one_wave(self) -> bool:
        """Whether there is no direction in time."""
        return len(self.waves) < 2

    def main_rows(self, by: str = ALL) -> Iterator[dict[str, Any]]:
        """Corrected rows that answer the question: equal lags within teachers where they could be had, else pairs."""
        rows = [row for row in self.table.rows() if row["corrected"] and row["by"] == by]
        within = [row for row in rows if row["model"] == EQUAL]
        usable = bool(within) and all(row["reason"] is None for row in within)
        yield from within if usable else (row for row in rows if row["model"] in ("pair", "same wave"))

    @staticmethod
    def standard_interval(row: dict[str, Any]) -> tuple[float, float]:
        """Interval of the standardised association of a row: the raw interval by the same standard deviations."""
        return standard_interval(row)

    def _table(self) -> Table:
        return self.table

    def _repr_html_(self) -> str:
        first, second = self.paragraphs()
        figure = render(self, "svg") or ""
        table = self.overview()._repr_html_()
        return f"<p>{html.escape(first)}</p>{figure}{table}<p>{html.escape(second)}</p>"

    def overview_rows(self, *, corrected: bool | None = True) -> list[dict[str, Any]]:
        """Rows behind the printed table: corrected ones, or with None those with the errors left in as well."""
        shown = ("pair", "same wave", EQUAL)
        return [r for r in self.table.rows() if r["model"] in shown and corrected in (None, r["corrected"])]

    def overview(self) -> Table:
        """Return standardised associations with intervals, and beside them those with the errors left in."""
        rows = self.overview_rows(corrected=None)
        key = ("effect", "from_wave", "to_wave", "by", "model")
        observed = {tuple(row[n] for n in key): row["std"] for row in rows if not row["corrected"]}
        out = []
        for row in (r for r in rows if r["corrected"]):
            low, high = standard_interval(row)
            shown: dict[str, Any] = {"effect": row["effect"]}
            if len(self.waves) > 2:
                shown["waves"] = f"{row['from_wave']} to {row['to_wave']}"
            shown |= {"by": row["by"], "std": row["std"], "lower": low, "upper": high, "pvalue": row["pvalue"]}
            out.append(shown | {"uncorrected": observed.get(tuple(row[n] for n in key)), "classes": row["n_classes"]})
        return Table.from_rows(out)

    def paragraphs(self) -> tuple[str, str]:
        """Return what was found, and what defends it or stands against it, in plain words."""
        return findings(self), standing(self)

    def summary(self) -> str:
        """Return two paragraphs in plain words, the table, and what stands against it."""
        first, second = self.paragraphs()
        table = self.overview().to_text()
        notes = [*self.status.reasons, *(note.summary() for note in self.warnings)]
        return "\n\n".join(part for part in (first, table, "\n".join(notes), second) if part)
