"""Simulate the lags of true class scores: what correcting the whole error matrix, variances only, or nothing gives.

Design: 200 teachers in two waves, other students in each; 20 students a class, or 6 to 44; ICC .15; relationship and
practice correlate .5 between teachers and 0 or .6 between students of one class; each score keeps .5 of itself; lags 0 or
.20. Run by hand, in one process::

    OPENBLAS_NUM_THREADS=1 python tests/benchmarks/sim_cycle.py [REPLICATIONS] [SEED]

Prints one row a cell, direction and method: mean estimate, bias with its Monte Carlo error, spread of the estimates beside
the mean standard error, coverage of the 95% interval, and how often zero is rejected at 5%. Figures stand in docs/cycle.md.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from relmeasure.exceptions import RelmeasureError
from relmeasure.panel.cross_lagged import lagged_effects
from relmeasure.panel.error_moments import ClassMeans, class_means
from relmeasure.panel.latent_moments import latent_moments
from tests.panel.test_latent_moments import LABELS, NAMES, draw

SIZES = {"20": 20, "6-44": np.arange(200) % 39 + 6}
LAGS = ((0.2, 0.0), (0.0, 0.0), (0.2, 0.2))
"""(relationship to practice, practice to relationship)."""
METHODS = ("whole matrix", "variances only", "uncorrected")
Z = 1.959963984540054


def one(rng: np.random.Generator, within: float, lags: tuple[float, float], sizes: Any) -> np.ndarray[Any, Any]:
    """Estimates and standard errors of both lags by the three methods, array (3, 2, 2); NaN where a method fails."""
    means = class_means(*draw(rng, within=within, lags=lags, sizes=sizes), LABELS, NAMES)
    diagonal = ClassMeans(**{**vars(means), "within": np.diag(np.diag(means.within))})
    out = np.full((3, 2, 2), np.nan)
    for m, (given, corrected) in enumerate(((means, True), (diagonal, True), (means, False))):
        try:
            moments = latent_moments(given, corrected=corrected)
            lagged = lagged_effects(moments.cov, [0, 1], [2, 3])
        except RelmeasureError:
            continue
        covariance = moments.acov()[4:, 4:]
        for d, (outcome, predictor) in enumerate(((1, 0), (0, 1))):
            slope = lagged.jacobian[outcome, predictor]
            out[m, d] = lagged.estimate[outcome, predictor], np.sqrt(slope @ covariance @ slope)
    return out


def main(replications: int, seed: int) -> None:
    """All cells; every replication has a seed of its own."""
    print(f"{replications} replications a cell, seed {seed}")
    print(
        "| students | within r | true lag | method | mean | bias | MC error | sd | mean se | coverage | rejected | failed |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    start = time.process_time()
    seeds = iter(np.random.default_rng(seed).spawn(len(SIZES) * 2 * len(LAGS) * replications))
    for label, sizes in SIZES.items():
        for within in (0.0, 0.6):
            for lags in LAGS:
                found = np.array([one(next(seeds), within, lags, sizes) for _ in range(replications)])
                for d, lag in enumerate(lags):
                    for m, method in enumerate(METHODS):
                        report(label, within, f"{lag:.2f}, back {lags[1 - d]:.2f}", lag, method, found[:, m, d])
    print(f"{time.process_time() - start:.0f} s CPU")


def report(label: str, within: float, shown: str, lag: float, method: str, found: np.ndarray[Any, Any]) -> None:
    """One row of the table."""
    kept = found[~np.isnan(found).any(axis=1)]
    estimate, error = kept.T
    covered, rejected = np.abs(estimate - lag) <= Z * error, np.abs(estimate) > Z * error
    sd = estimate.std(ddof=1)
    cells = [
        label, f"{within:.1f}", shown, method, f"{estimate.mean():.4f}", f"{estimate.mean() - lag:+.4f}",
        f"{sd / np.sqrt(len(kept)):.4f}", f"{sd:.4f}", f"{error.mean():.4f}", f"{covered.mean():.3f}", f"{rejected.mean():.3f}",
        str(len(found) - len(kept)),
    ]  # fmt: skip
    print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000, int(sys.argv[2]) if len(sys.argv) > 2 else 20261129)
