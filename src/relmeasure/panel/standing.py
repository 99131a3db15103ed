"""Where a class stands: its true scores given its means, and how sure its side of a cut is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.numerics.normal import bivariate_normal_cdf
from relmeasure.panel.latent_moments import LatentMoments, Problem

__all__ = ["Standing", "standing_of"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Standing:
    """Relationship and practice of every class, in standard deviations of true scores.

    Attributes
    ----------
    score : array (J, 2)
        Expected true scores given the means (best linear prediction).
    high : array (J, 2) of bool
        Above the median of the expected scores.
    sure : array (J,)
        Probability that the class is in the quarter that it was put in.
    """

    score: Array
    high: Array
    sure: Array


def standing_of(problem: Problem, moments: LatentMoments) -> Standing:
    """Place the classes of a likelihood: the first score is the relationship, the mean of the others the practice.

    Given its means, the true scores of a class are normal with mean ``mu + Sigma V^-1 (y - mu)`` and covariance
    ``Sigma - Sigma V^-1 Sigma``; a missing mean says nothing.
    """
    inverse, residual = problem.parts(moments.mean, moments.cov)
    gain = moments.cov @ inverse
    expected = np.einsum("jab,jb->ja", gain, residual)
    spread = moments.cov - gain @ moments.cov
    sd = np.sqrt(np.diag(moments.cov))
    weights = np.zeros((2, len(sd)))
    weights[0, 0] = 1 / sd[0]
    weights[1, 1:] = 1 / (sd[1:] * (len(sd) - 1))
    score, covariance = expected @ weights.T, weights @ spread @ weights.T
    cut = np.median(score, axis=0)
    high = score > cut
    error = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 1e-12))
    sign = np.where(high, 1.0, -1.0)
    z = sign * (score - cut) / error
    rho = sign[:, 0] * sign[:, 1] * covariance[:, 0, 1] / (error[:, 0] * error[:, 1])
    return Standing(score, high, bivariate_normal_cdf(z[:, 0], z[:, 1], np.clip(rho, -1.0, 1.0)))
