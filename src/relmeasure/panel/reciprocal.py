"""The analyses behind reciprocity: lagged effects with and without measurement error, and what defends them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from relmeasure.exceptions import DataError, EstimationError, FewClustersWarning, RelmeasureWarning
from relmeasure.panel.cross_lagged import lagged_effects
from relmeasure.panel.error_moments import ClassMeans, class_means
from relmeasure.panel.latent_moments import LatentMoments, latent_moments
from relmeasure.responses.waves import WaveRows
from relmeasure.results import Status

__all__ = ["ALL", "ReciprocalStudy"]

Array = np.ndarray[Any, np.dtype[Any]]

ALL = "all"
"""Label of the analysis over all bands."""


@dataclass
class ReciprocalStudy:
    """The analyses of one call, on the class means of everything, computed once."""

    rows: WaveRows
    relationship: str
    practices: tuple[str, ...]
    conf_level: float
    raised: list[RelmeasureWarning] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = tuple(f"{score}@{wave}" for wave in self.rows.waves for score in self.rows.scores)
        self.means = class_means(self.rows.values, self.rows.code, self.rows.labels, names)
        bands = dict.fromkeys(self.rows.band) if self.rows.band is not None else {}
        self.bands: dict[str, Any] = {ALL: None}
        self.bands |= {band: np.array([b == band for b in self.rows.band or ()]) for band in sorted(bands)}
        if len(self.rows.labels) < 50:
            self.raised.append(
                FewClustersWarning(
                    f"{len(self.rows.labels)} classes: standard errors between classes are rough below about 50.",
                    n_clusters=len(self.rows.labels),
                )
            )

    def models(self) -> list[tuple[str, tuple[str, ...]]]:
        """Relationship with each practice, and with all of them where there are several."""
        pairs = [("pair", (self.relationship, practice)) for practice in self.practices]
        joint = [("joint", (self.relationship, *self.practices))] if len(self.practices) > 1 else []
        return pairs + joint

    def analyses(self) -> Iterator[list[dict[str, Any]]]:
        """Rows of every model, pair of waves, band, uncorrected and corrected."""
        steps = list(zip(self.rows.waves, self.rows.waves[1:], strict=False))
        for model, scores in self.models():
            for first, second in steps:
                for band, mask in self.bands.items():
                    for corrected in (False, True):
                        yield self._effects(model, scores, first, second, band, mask, corrected=corrected)
        if not steps:
            yield self._one_wave()

    def _effects(
        self, model: str, scores: tuple[str, ...], first: str, second: str, band: str, mask: Any, *, corrected: bool
    ) -> list[dict[str, Any]]:
        columns = [self.rows.column(score, w) for w in (first, second) for score in scores]
        shared = {"from_wave": first, "to_wave": second, "model": model, "by": band, "corrected": corrected}
        cross = [
            (a, b)
            for a, predictor in enumerate(scores)
            for b, outcome in enumerate(scores)
            if self.relationship in {predictor, outcome}
        ]
        try:
            moments = latent_moments(self.means.pick(mask, columns), corrected=corrected)
            lagged = lagged_effects(moments.cov, range(len(scores)), range(len(scores), 2 * len(scores)))
        except (EstimationError, DataError) as problem:
            return [self._row(scores[a], scores[b], shared, problem.message) for a, b in cross]
        acov = moments.acov(self._groups(mask))[len(columns) :, len(columns) :]
        out = []
        for a, b in cross:
            derivative, std_derivative = lagged.jacobian[b, a], lagged.std_jacobian[b, a]
            row = self._row(scores[a], scores[b], shared, None)
            row |= self._inference(float(lagged.estimate[b, a]), float(derivative @ acov @ derivative), mask)
            std_se = math.sqrt(max(float(std_derivative @ acov @ std_derivative), 0.0))
            row |= {"std": float(lagged.std[b, a]), "std_se": std_se, "n_classes": moments.n_classes}
            out.append(row)
        return out

    def _row(self, predictor: str, outcome: str, shared: dict[str, Any], reason: str | None) -> dict[str, Any]:
        row: dict[str, Any] = {"effect": f"{predictor} -> {outcome}", "predictor": predictor, "outcome": outcome}
        empty = dict.fromkeys(("estimate", "se", "lower", "upper", "pvalue", "std", "std_se"), math.nan)
        return row | shared | empty | {"n_classes": 0, "reason": reason}

    def _inference(self, estimate: float, variance: float, mask: Any) -> dict[str, Any]:
        from scipy.special import ndtr, ndtri, stdtr, stdtrit

        se = math.sqrt(max(variance, 0.0))
        z = estimate / se if se > 0 else math.nan
        groups = self._groups(mask)
        if groups is None:
            margin, tail = float(ndtri(1 - (1 - self.conf_level) / 2)), 2 * float(ndtr(-abs(z)))
        else:
            freedom = len(set(groups)) - 1
            margin, tail = float(stdtrit(freedom, 1 - (1 - self.conf_level) / 2)), 2 * float(stdtr(freedom, -abs(z)))
        bounds = {"lower": estimate - margin * se, "upper": estimate + margin * se}
        return {"estimate": estimate, "se": se} | bounds | {"pvalue": tail}

    def _groups(self, mask: Any) -> list[str] | None:
        if self.rows.school is None:
            return None
        keep = np.ones(len(self.rows.labels), dtype=bool) if mask is None else mask
        return [school for school, kept in zip(self.rows.school, keep, strict=True) if kept]

    # ----- one wave
    def _one_wave(self) -> list[dict[str, Any]]:
        """Regressions of each practice on the relationship between classes, corrected and not: no order in time."""
        out = []
        wave = self.rows.waves[0]
        for practice in self.practices:
            columns = [self.rows.column(self.relationship, wave), self.rows.column(practice, wave)]
            for band, mask in self.bands.items():
                for corrected in (False, True):
                    shared = {
                        "from_wave": wave,
                        "to_wave": wave,
                        "model": "same wave",
                        "by": band,
                        "corrected": corrected,
                    }
                    row = self._row(self.relationship, practice, shared, None)
                    row["effect"] = f"{self.relationship} with {practice} (between classes)"
                    try:
                        moments = latent_moments(self.means.pick(mask, columns), corrected=corrected)
                        lagged = lagged_effects(moments.cov, [0], [1])
                    except (EstimationError, DataError) as problem:
                        out.append(row | {"reason": problem.message})
                        continue
                    acov = moments.acov(self._groups(mask))[2:, 2:]
                    d, s = lagged.jacobian[0, 0], lagged.std_jacobian[0, 0]
                    row |= self._inference(float(lagged.estimate[0, 0]), float(d @ acov @ d), mask)
                    row |= {"std": float(lagged.std[0, 0]), "std_se": math.sqrt(max(float(s @ acov @ s), 0.0))}
                    out.append(row | {"n_classes": moments.n_classes})
        return out

    # ----- beside the effects
    def association(self) -> list[dict[str, Any]]:
        """Correlation of relationship and practice within and between classes, wave by wave."""
        out = []
        for wave in self.rows.waves:
            for practice in self.practices:
                columns = [self.rows.column(self.relationship, wave), self.rows.column(practice, wave)]
                part = self.means.pick(columns=columns)
                row: dict[str, Any] = {"wave": wave, "relationship": self.relationship, "practice": practice}
                row |= {"within_r": _correlation(part.within), "between_r_observed": math.nan, "between_r": math.nan}
                for name, corrected in (("between_r_observed", False), ("between_r", True)):
                    moments = _or_none(part, corrected=corrected)
                    if moments is not None:
                        row[name] = _correlation(moments.cov)
                out.append(row)
        return out

    def class_reliability(self) -> list[dict[str, Any]]:
        """Share of true variance in observed class means, at the average error of the classes."""
        out = []
        for wave in self.rows.waves:
            for score in self.rows.scores:
                part = self.means.pick(columns=[self.rows.column(score, wave)])
                moments = _or_none(part, corrected=True)
                error = float(np.mean(part.error_cov[part.n[:, 0] > 0, 0, 0])) if (part.n > 0).any() else math.nan
                true = float(moments.cov[0, 0]) if moments is not None else math.nan
                row: dict[str, Any] = {
                    "wave": wave,
                    "score": score,
                    "reliability": max(true, 0) / (max(true, 0) + error),
                }
                out.append(
                    row | {"n_classes": int((part.n > 0).sum()), "mean_students": float(part.n[part.n > 0].mean())}
                )
        return out

    def band_tests(self, table: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Is an effect the same in all bands? Cochran's Q over independent bands."""
        from scipy.special import chdtrc

        grouped: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for row in table:
            if row["by"] != ALL and row["reason"] is None and row["predictor"] != row["outcome"]:
                key = (row["effect"], row["from_wave"], row["to_wave"], row["model"], row["corrected"])
                grouped.setdefault(key, []).append(row)
        out = []
        for (effect, first, second, model, corrected), rows in grouped.items():
            if len(rows) < 2:
                continue
            estimate, weight = np.array([r["estimate"] for r in rows]), np.array([r["se"] for r in rows]) ** -2.0
            pooled = float(weight @ estimate / weight.sum())
            chisq, df = float(weight @ (estimate - pooled) ** 2), len(rows) - 1
            test = {"effect": effect, "from_wave": first, "to_wave": second, "model": model, "corrected": corrected}
            out.append(test | {"pooled": pooled, "chisq": chisq, "df": df, "pvalue": float(chdtrc(df, chisq))})
        return out

    def same_rater(
        self,
        table: list[dict[str, Any]],
        n_splits: int,
        generator: np.random.Generator,
        progress: Callable[[int, int], None] | None,
    ) -> list[dict[str, Any]]:
        """Relationship from one random half of each class and wave, practice from the other."""
        wanted = [r for r in table if r["by"] == ALL and r["corrected"] and r["model"] != "joint"]
        wanted = [r for r in wanted if r["predictor"] != r["outcome"]]
        found: list[dict[tuple[str, str, str], float]] = []
        for split in range(n_splits):
            half = self._halves(generator)
            again = ReciprocalStudy(half, self.relationship, self.practices, self.conf_level)
            again.bands = {ALL: None}
            rows = [r for found_rows in again.analyses() for r in found_rows if r["corrected"]]
            rows = [r for r in rows if r["model"] != "joint"]
            found.append({(r["effect"], r["from_wave"], r["to_wave"]): r["estimate"] for r in rows})
            if progress is not None:
                progress(split + 1, n_splits)
        out = []
        for row in wanted if found else []:
            key = (row["effect"], row["from_wave"], row["to_wave"])
            values = np.array([f[key] for f in found])
            values = values[~np.isnan(values)]
            halves = float(values.mean()) if len(values) else math.nan
            shown = {"effect": row["effect"], "from_wave": row["from_wave"], "to_wave": row["to_wave"]}
            out.append(shown | {"same_students": row["estimate"], "different_halves": halves, "n_splits": len(values)})
        return out

    def sensitivity(self, table: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """How strong an unmeasured confounder would have to be, and what leaving out one school does.

        Partial R-square t^2 / (t^2 + df) and robustness value (sqrt(f^4 + 4 f^2) - f^2) / 2 with f^2 = t^2 / df: the
        share of the residual variance of both scores that a confounder would have to explain to bring the estimate to
        zero (Cinelli & Hazlett, 2020, eq. 9 and 18).
        """
        wanted = [
            r for r in table if r["by"] == ALL and r["corrected"] and r["model"] == "pair" and r["reason"] is None
        ]
        out = []
        left_out = self._leave_one_school_out()
        for row in (r for r in wanted if r["predictor"] != r["outcome"]):
            df = row["n_classes"] - 3
            f2 = (row["estimate"] / row["se"]) ** 2 / df
            key = (row["effect"], row["from_wave"], row["to_wave"])
            shown: dict[str, Any] = {"effect": row["effect"], "from_wave": row["from_wave"], "to_wave": row["to_wave"]}
            shown |= {"partial_r2": f2 / (1 + f2), "robustness_value": (math.sqrt(f2**2 + 4 * f2) - f2) / 2}
            values = {school: found[key] for school, found in left_out.items() if not math.isnan(found[key])}
            lowest, highest = min(values, key=values.__getitem__, default=None), max(values.values(), default=math.nan)
            shown |= {"estimate": row["estimate"], "without_a_school_lowest": values[lowest] if lowest else math.nan}
            out.append(shown | {"without_a_school_highest": highest, "lowest_without": lowest})
        return out

    def _leave_one_school_out(self) -> dict[str, dict[tuple[str, str, str], float]]:
        """Corrected estimates of the pair models without each school in turn."""
        out: dict[str, dict[tuple[str, str, str], float]] = {}
        if self.rows.school is None or len(self.rows.waves) < 2:
            return out
        for school in sorted(set(self.rows.school)):
            rest = np.array([s != school for s in self.rows.school])
            found: dict[tuple[str, str, str], float] = {}
            for model, scores in self.models():
                for first, second in zip(self.rows.waves, self.rows.waves[1:], strict=False):
                    if model == "pair":
                        rows = self._effects(model, scores, first, second, ALL, rest, corrected=True)
                        found |= {(r["effect"], first, second): r["estimate"] for r in rows}
            out[school] = found
        return out

    def _halves(self, generator: np.random.Generator) -> WaveRows:
        """Blank the relationship of one half of every class and wave, and the practices of the other."""
        values = self.rows.values.copy()
        n_scores = len(self.rows.scores)
        place = self.rows.scores.index(self.relationship)
        for w in range(len(self.rows.waves)):
            block = values[:, w * n_scores : (w + 1) * n_scores]
            there = np.flatnonzero(~np.isnan(block).all(axis=1))
            order = there[np.lexsort((generator.random(len(there)), self.rows.code[there]))]
            ordered = self.rows.code[order]
            start = np.concatenate([[0], np.flatnonzero(np.diff(ordered)) + 1]) if len(order) else np.zeros(0, int)
            rank = np.arange(len(order)) - np.repeat(start, np.diff(np.append(start, len(order))))
            first = order[rank % 2 == 0]
            others = [k for k in range(n_scores) if k != place]
            block[np.ix_(first, others)] = np.nan
            block[order[rank % 2 == 1], place] = np.nan
        return WaveRows(**{**vars(self.rows), "values": values})

    def status(self, table: list[dict[str, Any]]) -> Status:
        """What stands against the answer."""
        reasons = [f"{r['effect']} ({r['by']}): {r['reason']}" for r in table if r["reason"] is not None]
        if len(self.rows.waves) == 1:
            reasons.insert(0, "One wave: association within and between classes only, no direction in time.")
        if not reasons:
            return Status("ok")
        nothing = all(r["reason"] is not None for r in table if r["corrected"])
        return Status("failed" if nothing else "caution", reasons=tuple(dict.fromkeys(reasons)))


# --------------------------------------------------------------------------- helpers
def _or_none(part: ClassMeans, *, corrected: bool) -> LatentMoments | None:
    try:
        return latent_moments(part, corrected=corrected)
    except (EstimationError, DataError):
        return None


def _correlation(cov: Array) -> float:
    product = float(cov[0, 0] * cov[1, 1])
    return float(cov[0, 1]) / math.sqrt(product) if product > 0 else math.nan
