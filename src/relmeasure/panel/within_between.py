"""Association within classes and between them, kept apart: correlations, contextual models, reliability of means."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from relmeasure.exceptions import TooFewObservationsError
from relmeasure.panel.error_moments import ClassMeans
from relmeasure.panel.inference import Inference
from relmeasure.panel.reciprocal import ReciprocalStudy, correlation, moments_or_none

__all__ = ["association", "class_reliability", "contextual"]

Array = np.ndarray[Any, np.dtype[Any]]


def association(study: ReciprocalStudy) -> list[dict[str, Any]]:
    """Correlation of relationship and practice within and between classes, wave by wave."""
    out = []
    for wave in study.rows.waves:
        for practice in study.practices:
            part = study.means.pick(columns=_places(study, practice, wave))
            row: dict[str, Any] = {"wave": wave, "relationship": study.relationship, "practice": practice}
            row |= {"within_r": correlation(part.within), "between_r_observed": math.nan, "between_r": math.nan}
            for name, corrected in (("between_r_observed", False), ("between_r", True)):
                moments = moments_or_none(part, corrected=corrected)
                if moments is not None:
                    row[name] = correlation(moments.cov)
            out.append(row)
    return out


def class_reliability(study: ReciprocalStudy) -> list[dict[str, Any]]:
    """Share of true variance in observed class means, at the average error of the classes."""
    out = []
    for wave in study.rows.waves:
        for score in study.rows.scores:
            part = study.means.pick(columns=[study.rows.column(score, wave)])
            moments = moments_or_none(part, corrected=True)
            error = float(np.mean(part.error_cov[part.n[:, 0] > 0, 0, 0])) if (part.n > 0).any() else math.nan
            true = float(moments.cov[0, 0]) if moments is not None else math.nan
            row: dict[str, Any] = {"wave": wave, "score": score, "reliability": max(true, 0) / (max(true, 0) + error)}
            out.append(row | {"n_classes": int((part.n > 0).sum()), "mean_students": float(part.n[part.n > 0].mean())})
    return out


def contextual(study: ReciprocalStudy) -> list[dict[str, Any]]:
    """Slope of practice on relationship within classes, between their true scores, and the difference of the two.

    Within: W_rp / W_rr of the pooled within covariance. Between: Sigma_rp / Sigma_rr of true scores (the latent
    covariate approach, Ludtke et al., 2008), each with what a class adds to it, so that standard errors of both and
    of their difference are robust to classes or schools.
    """
    out = []
    for wave in study.rows.waves:
        for practice in study.practices:
            for band, mask in study.bands.items():
                shown = {"wave": wave, "relationship": study.relationship, "practice": practice, "by": band}
                out += [shown | row for row in _slopes(study, _places(study, practice, wave), mask)]
    return out


def _slopes(study: ReciprocalStudy, places: list[int], mask: Any) -> list[dict[str, Any]]:
    keep = np.ones(len(study.rows.labels), dtype=bool) if mask is None else mask
    scatter = study.scatter.pick(places)
    products, freedom = scatter.products[keep], scatter.freedom[keep]
    total = freedom.sum(axis=0)
    empty = dict.fromkeys(("estimate", "se", "lower", "upper", "pvalue"), math.nan)
    within = np.divide(products.sum(axis=0), total, out=np.zeros((2, 2)), where=total > 0)
    part = study.means.pick(keep, places)
    part = ClassMeans(**{**vars(part), "within": within, "freedom": total})
    moments = moments_or_none(part, corrected=True)
    try:
        inference: Inference = study.inference(mask)
    except TooFewObservationsError as problem:
        return [
            {"level": level} | empty | {"n_classes": int(keep.sum()), "reason": problem.message} for level in LEVELS
        ]
    if moments is None or not moments.admissible or within[0, 0] <= 0:
        reason = "no association between true scores can be estimated: more error than variance, or too few classes"
        return [{"level": level} | empty | {"n_classes": int(keep.sum()), "reason": reason} for level in LEVELS]
    lower = np.tril_indices(2)
    by_within = ((products - freedom * within) / np.where(total > 0, total, 1.0))[:, lower[0], lower[1]]
    moved = moments.bread @ moments.sensitivity
    by_between = (moments.scores @ moments.bread + by_within @ moved.T)[:, 2:]
    between = moments.cov
    slopes = [within[1, 0] / within[0, 0], between[1, 0] / between[0, 0]]
    influence = np.column_stack(
        [_slope_influence(by_within, within, slopes[0]), _slope_influence(by_between, between, slopes[1])]
    )
    values = np.array([*slopes, slopes[1] - slopes[0]])
    influence = np.column_stack([influence, influence[:, 1] - influence[:, 0]])
    variance = np.diag(inference.clustered(influence))
    facts = {"n_classes": moments.n_classes, "reason": None}
    return [
        {"level": level} | inference.about(float(value), float(v)) | facts
        for level, value, v in zip(LEVELS, values, variance, strict=True)
    ]


LEVELS = ("within classes", "between classes", "difference")
"""Rows of the contextual table."""


def _slope_influence(change: Array, cov: Array, slope: float) -> Array:
    """Change of ``cov[1, 0] / cov[0, 0]`` with the lower triangle (00, 10, 11)."""
    return np.asarray((change[:, 1] - slope * change[:, 0]) / cov[0, 0])


def _places(study: ReciprocalStudy, practice: str, wave: str) -> list[int]:
    return [study.rows.column(study.relationship, wave), study.rows.column(practice, wave)]
