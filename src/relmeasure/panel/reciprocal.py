"""The analyses behind reciprocity: lagged associations with and without measurement error, bands, draws of classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from relmeasure.exceptions import (
    DataError,
    EstimationError,
    FewClustersWarning,
    ListwiseDeletionWarning,
    RelmeasureWarning,
    TooFewObservationsError,
)
from relmeasure.panel.cross_lagged import Lagged, lagged_effects
from relmeasure.panel.error_moments import ClassMeans, ClassScatter, class_means, class_scatter
from relmeasure.panel.inference import Inference
from relmeasure.panel.latent_moments import LatentMoments, latent_moments
from relmeasure.panel.resampling import bootstrap_covariances, draw_weights
from relmeasure.responses.waves import WaveRows

__all__ = ["ALL", "ReciprocalStudy", "Step", "correlation", "moments_or_none"]

Array = np.ndarray[Any, np.dtype[Any]]

ALL = "all"
"""Label of the analysis over all bands."""

MIN_TWO_WAY = 20
"""Clusters that each of two dimensions must have (Cameron & Miller, 2015, section VI, on few clusters)."""


@dataclass(frozen=True)
class Step:
    """One analysis: these scores from one wave to the next, in one band, corrected or not."""

    model: str
    scores: tuple[str, ...]
    first: str
    second: str
    band: str
    corrected: bool

    @property
    def shared(self) -> dict[str, Any]:
        """What all rows of it have in common."""
        names = {"from_wave": self.first, "to_wave": self.second, "model": self.model, "by": self.band}
        return names | {"corrected": self.corrected}


@dataclass(frozen=True)
class Fitted:
    """Moments of one analysis, the regressions that follow, and the covariance of the moments' lower triangle."""

    moments: LatentMoments
    lagged: Lagged
    acov: Array


@dataclass
class ReciprocalStudy:
    """The analyses of one call, on the class means of everything, computed once."""

    rows: WaveRows
    relationship: str
    practices: tuple[str, ...]
    conf_level: float
    raised: list[RelmeasureWarning] = field(default_factory=list)
    known: dict[Step, Fitted] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = tuple(f"{score}@{wave}" for wave in self.rows.waves for score in self.rows.scores)
        self.means = class_means(self.rows.values, self.rows.code, self.rows.labels, names)
        self.inference()  # refuses one school before anything is computed
        self.bands: dict[str, Any] = {ALL: None}
        self._read_bands()
        self._few_classes()
        self._few_schools()
        for name, labels in zip(
            ("first", "second"), self.rows.schools if len(self.rows.schools) == 2 else (), strict=False
        ):
            if len(set(labels)) < MIN_TWO_WAY:
                raise TooFewObservationsError(
                    f"The {name} column of school= has {len(set(labels))} clusters: two-way standard errors need at "
                    f"least {MIN_TWO_WAY} in each. Name the coarser one alone.",
                    n_clusters=len(set(labels)),
                )

    def _read_bands(self) -> None:
        """Classes of every band; those that name none are in the analysis over all, and counted."""
        bands = self.rows.band or ()
        self.bands |= {band: np.array([b == band for b in bands]) for band in sorted(set(bands)) if band}
        nowhere = sum(not band for band in bands)
        if nowhere:
            self.raised.append(
                ListwiseDeletionWarning(
                    f"{nowhere} of {len(bands)} classes have no value in the column of by=: they are in '{ALL}' and in "
                    "none of the groups.",
                    n_dropped=nowhere,
                    n_rows=len(bands),
                )
            )

    def _few_classes(self) -> None:
        """Standard errors between classes rest on those that are there in both waves of a step, also in a band."""
        seen = self._seen()
        both = [seen[:, w] & seen[:, w + 1] for w in range(len(self.steps))] or [seen[:, 0]]
        fewest = {
            band: min(int(there.sum() if mask is None else there[mask].sum()) for there in both)
            for band, mask in self.bands.items()
        }
        few = {band: n for band, n in fewest.items() if n < 50}
        if few:
            bands = ", ".join(f"{band}: {n}" for band, n in few.items() if band != ALL)
            what = f"{fewest[ALL]} classes" + (f" ({bands})" if bands else "")
            where = " in two successive waves" if self.steps and fewest[ALL] < len(seen) else ""
            self.raised.append(
                FewClustersWarning(
                    f"{what}{where}: standard errors between classes are rough below about 50.",
                    n_clusters=min(few.values()),
                )
            )

    def _seen(self) -> Array:
        """Which class has any score in which wave, array (J, W)."""
        there = ~np.isnan(self.means.mean)
        return np.asarray(there.reshape(len(there), len(self.rows.waves), len(self.rows.scores)).any(axis=2))

    def carried(self, predictor: str, outcome: str, steps: Sequence[tuple[str, str]], mask: Any = None) -> int:
        """Classes that carry a lag: with the predictor at the earlier and the outcome at the later wave of a step."""
        there = ~np.isnan(self.means.mean if mask is None else self.means.mean[mask])
        pairs = [(self.rows.column(predictor, first), self.rows.column(outcome, second)) for first, second in steps]
        return int(np.any([there[:, a] & there[:, b] for a, b in pairs], axis=0).sum())

    def _few_schools(self) -> None:
        """Cluster-robust errors are too small with few clusters, also in a band."""
        few = {}
        for band, mask in self.bands.items() if self.rows.schools else ():
            kept = (
                [s for s, keep in zip(self.rows.schools[0], mask, strict=True) if keep]
                if mask is not None
                else self.rows.schools[0]
            )
            if len(set(kept)) < MIN_TWO_WAY:
                few[band] = len(set(kept))
        if few:
            self.raised.append(
                FewClustersWarning(
                    "Few schools ("
                    + ", ".join(f"{band}: {n}" for band, n in few.items())
                    + f"): standard errors that are robust to schools tend to be too small below {MIN_TWO_WAY}.",
                    n_clusters=min(few.values()),
                )
            )

    @cached_property
    def scatter(self) -> ClassScatter:
        """Within-class sums of every class; no draws yet."""
        everyone = np.ones((1, len(self.rows.labels)))
        return class_scatter(self.rows.values, self.rows.code, self.means, everyone)

    @property
    def steps(self) -> list[tuple[str, str]]:
        """Pairs of successive waves."""
        return list(zip(self.rows.waves, self.rows.waves[1:], strict=False))

    def models(self) -> list[tuple[str, tuple[str, ...]]]:
        """Relationship with each practice, and with all of them where there are several."""
        pairs = [("pair", (self.relationship, practice)) for practice in self.practices]
        joint = [("joint", (self.relationship, *self.practices))] if len(self.practices) > 1 else []
        return pairs + joint

    def all_steps(self) -> Iterator[Step]:
        """Every model, pair of waves, band, uncorrected and corrected."""
        for model, scores in self.models():
            for first, second in self.steps:
                for band in self.bands:
                    for corrected in (False, True):
                        yield Step(model, scores, first, second, band, corrected)

    def analyses(self) -> list[dict[str, Any]]:
        """Rows of every analysis; with one wave of the association between classes instead."""
        rows = [row for step in self.all_steps() for row in self.effects(step)]
        return rows if self.steps else self._one_wave()

    # ----- one step
    def columns(self, step: Step) -> list[int]:
        """Places of the earlier, then the later scores."""
        return [self.rows.column(score, wave) for wave in (step.first, step.second) for score in step.scores]

    def crossed(self, scores: Sequence[str]) -> list[tuple[int, int]]:
        """Places of predictor and outcome: all pairs in which the relationship stands on one side."""
        places = range(len(scores))
        return [(a, b) for a in places for b in places if self.relationship in {scores[a], scores[b]}]

    def fitted(self, step: Step) -> Fitted:
        """Fit one analysis, once. Raises what estimation raises."""
        if step in self.known:
            return self.known[step]
        k, keep, columns = len(step.scores), self.bands[step.band], self.columns(step)
        moments = latent_moments(self.means.pick(keep, columns), corrected=step.corrected)
        lagged = lagged_effects(moments.cov, range(k), range(k, 2 * k))
        acov = moments.acov(self.inference(keep).groups)[len(columns) :, len(columns) :]
        self.known[step] = Fitted(moments, lagged, acov)
        return self.known[step]

    def effects(self, step: Step) -> list[dict[str, Any]]:
        """Rows of one analysis."""
        scores = step.scores
        try:
            fit = self.fitted(step)
        except (EstimationError, DataError) as problem:
            return [self.row(scores[a], scores[b], step.shared, problem.message) for a, b in self.crossed(scores)]
        inference = self.inference(self.bands[step.band])
        out = []
        for a, b in self.crossed(scores):
            derivative, std_derivative = fit.lagged.jacobian[b, a], fit.lagged.std_jacobian[b, a]
            row = self.row(scores[a], scores[b], step.shared, None)
            row |= inference.about(float(fit.lagged.estimate[b, a]), float(derivative @ fit.acov @ derivative))
            std_se = math.sqrt(max(float(std_derivative @ fit.acov @ std_derivative), 0.0))
            n_classes = self.carried(scores[a], scores[b], [(step.first, step.second)], self.bands[step.band])
            out.append(row | {"std": float(fit.lagged.std[b, a]), "std_se": std_se, "n_classes": n_classes})
        return out

    def directions(self) -> list[dict[str, Any]]:
        """Both directions of every pair side by side, standardised, and a test that they are the same."""
        out = []
        for step in self.all_steps():
            if step.model != "pair" or step not in self.known:
                continue
            fit, inference = self.known[step], self.inference(self.bands[step.band])
            slope = fit.lagged.std_jacobian[1, 0] - fit.lagged.std_jacobian[0, 1]
            forward, back = float(fit.lagged.std[1, 0]), float(fit.lagged.std[0, 1])
            row: dict[str, Any] = {"relationship": self.relationship, "practice": step.scores[1]} | step.shared
            row |= {"to_practice": forward, "to_relationship": back}
            found = inference.about(forward - back, float(slope @ fit.acov @ slope))
            out.append(row | {"difference": found.pop("estimate")} | found)
        return out

    def row(self, predictor: str, outcome: str, shared: dict[str, Any], reason: str | None) -> dict[str, Any]:
        """A row without numbers."""
        row: dict[str, Any] = {"effect": f"{predictor} -> {outcome}", "predictor": predictor, "outcome": outcome}
        empty = dict.fromkeys(("estimate", "se", "lower", "upper", "pvalue", "std", "std_se"), math.nan)
        return row | shared | empty | {"n_classes": 0, "reason": reason}

    def inference(self, mask: Any = None) -> Inference:
        """Clusters of the standard errors of some classes, and their quantiles; one school is refused."""
        return Inference.of(self.rows.schools, mask, self.conf_level)

    # ----- one wave
    def _one_wave(self) -> list[dict[str, Any]]:
        """Regressions of each practice on the relationship between classes, corrected and not: no order in time."""
        out = []
        wave = self.rows.waves[0]
        for practice in self.practices:
            columns = [self.rows.column(self.relationship, wave), self.rows.column(practice, wave)]
            for band, mask in self.bands.items():
                for corrected in (False, True):
                    shared = Step("same wave", (), wave, wave, band, corrected).shared
                    row = self.row(self.relationship, practice, shared, None)
                    row["effect"] = f"{self.relationship} with {practice} (between classes)"
                    try:
                        moments = latent_moments(self.means.pick(mask, columns), corrected=corrected)
                        lagged = lagged_effects(moments.cov, [0], [1])
                        inference = self.inference(mask)
                    except (EstimationError, DataError) as problem:
                        out.append(row | {"reason": problem.message})
                        continue
                    acov = moments.acov(inference.groups)[2:, 2:]
                    d, s = lagged.jacobian[0, 0], lagged.std_jacobian[0, 0]
                    row |= inference.about(float(lagged.estimate[0, 0]), float(d @ acov @ d))
                    row |= {"std": float(lagged.std[0, 0]), "std_se": math.sqrt(max(float(s @ acov @ s), 0.0))}
                    n_classes = self.carried(self.relationship, practice, [(wave, wave)], mask)
                    out.append(row | {"n_classes": n_classes})
        return out

    # ----- bands
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

    # ----- draws
    def bootstrap(
        self, n_boot: int, rng: np.random.Generator, workers: int, progress: Callable[[int], None]
    ) -> list[dict[str, Any]]:
        """Percentile intervals of every lagged association over draws of classes (within bands) or schools."""
        if not n_boot or not self.steps:
            return []
        schools = self.rows.schools[0] if self.rows.schools else None
        weights = draw_weights(len(self.rows.labels), n_boot, rng, schools=schools, strata=self.rows.band)
        out = []
        for step in self.all_steps():
            if step in self.known:
                out += self._intervals(step, *self.reweighted(step, weights, workers=workers, progress=progress))
            else:
                progress(n_boot)
        return out

    def reweighted(
        self, step: Step, weights: Array, *, workers: int = 1, progress: Callable[[int], None] | None = None
    ) -> tuple[Array, Array]:
        """Raw and standardised weights of an analysis that was fitted, with classes counted as often as told.

        ``weights`` (B, J): draws of classes, or everyone but one school. NaN where there is no estimate.
        """
        columns, mask, k = self.columns(step), self.bands[step.band], len(step.scores)
        mine = weights if mask is None else weights[:, mask]
        scatter = ClassScatter(self.scatter.products, self.scatter.freedom, weights).pick(columns)
        covariances = bootstrap_covariances(
            self.means.pick(mask, columns),
            scatter if step.corrected else None,
            self.known[step].moments,
            mine,
            workers=workers,
            progress=progress,
        )
        return _lags_of_draws(covariances, k)

    def _intervals(self, step: Step, estimate: Array, std: Array) -> list[dict[str, Any]]:
        """Percentiles; none where more than a tenth of the draws has no estimate."""
        half = (1 - self.conf_level) / 2
        whole = self.known[step].lagged
        out = []
        for a, b in self.crossed(step.scores):
            if a == b:
                continue
            values, standard = estimate[:, b, a], std[:, b, a]
            usable = ~np.isnan(values)
            row: dict[str, Any] = {"effect": f"{step.scores[a]} -> {step.scores[b]}"} | step.shared
            row |= {"estimate": float(whole.estimate[b, a]), "n_draws": int(usable.sum())}
            row |= dict.fromkeys(("se", "lower", "upper", "std_lower", "std_upper"), math.nan)
            if usable.mean() >= 0.9:
                low, high = np.quantile(values[usable], [half, 1 - half])
                std_low, std_high = np.quantile(standard[usable], [half, 1 - half])
                row |= {"se": float(values[usable].std(ddof=1)), "lower": float(low), "upper": float(high)}
                row |= {"std_lower": float(std_low), "std_upper": float(std_high)}
            out.append(row)
        return out


# --------------------------------------------------------------------------- helpers
def _lags_of_draws(cov: Array, k: int) -> tuple[Array, Array]:
    """Raw and standardised weights of every draw; NaN where the earlier true scores cannot be told apart."""
    usable = np.asarray(~np.isnan(cov).any(axis=(1, 2)))
    earlier = np.where(usable[:, None, None], cov[:, :k, :k], np.eye(k))
    variances = np.diagonal(cov, axis1=1, axis2=2)
    usable &= (np.linalg.eigvalsh(earlier)[:, 0] > 0) & (np.nan_to_num(variances) > 0).all(axis=1)
    earlier = np.where(usable[:, None, None], earlier, np.eye(k))
    estimate = np.where(usable[:, None, None], cov[:, k:, :k] @ np.linalg.inv(earlier), np.nan)
    sd = np.sqrt(np.where(usable[:, None], variances, 1.0))
    return estimate, estimate * sd[:, None, :k] / sd[:, k:, None]


def moments_or_none(part: ClassMeans, *, corrected: bool) -> LatentMoments | None:
    """True-score moments, or None where there are none."""
    try:
        return latent_moments(part, corrected=corrected)
    except (EstimationError, DataError):
        return None


def correlation(cov: Array) -> float:
    """Correlation of a two by two covariance; NaN without variance."""
    product = float(cov[0, 0] * cov[1, 1])
    return float(cov[0, 1]) / math.sqrt(product) if product > 0 else math.nan
