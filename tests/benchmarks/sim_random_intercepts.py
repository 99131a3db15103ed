"""Simulate three waves: lags within teachers with random intercepts, and what the simple cross-lagged model says.

400 teachers, 20 other students in each wave, halo .6 within classes, stable differences as large as those of a wave; lag 0 or
.25 from the first score to the second, equal over time, errors taken out. Run by hand, in one process::

    OPENBLAS_NUM_THREADS=1 python tests/benchmarks/sim_random_intercepts.py [REPLICATIONS] [SEED]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from relmeasure.exceptions import RelmeasureError
from relmeasure.panel import cross_lagged_syntax, random_intercept_syntax
from relmeasure.panel.true_score_models import fit_true_scores
from tests.panel.test_true_score_models import WAVES, district

Z = 1.959963984540054
MODELS = (
    ("random intercepts", random_intercept_syntax(WAVES, equal_lags=True), False, ("w_y2", "~", "w_x1")),
    ("cross-lagged only", cross_lagged_syntax(WAVES, equal_lags=True), True, ("y2", "~", "x1")),
)


def main(replications: int, seed: int) -> None:
    """One line a lag and model."""
    for lag in (0.0, 0.25):
        seeds = np.random.default_rng(seed).spawn(replications)
        samples = [district(rng, teachers=400, lag=lag, stable=1.0) for rng in seeds]
        for label, syntax, auto, name in MODELS:
            found = []
            for means in samples:
                try:
                    fit = fit_true_scores(syntax, means, auto=auto)
                except RelmeasureError:
                    continue
                if fit.admissible:
                    place = fit.parameter(*name)
                    found.append((fit.x[place], np.sqrt(fit.acov[place, place])))
            estimate, error = np.array(found).T
            rejected, covered = np.abs(estimate) > Z * error, np.abs(estimate - lag) <= Z * error
            print(
                f"lag {lag:.2f}  {label:18s} mean {estimate.mean():+.3f} (MC error "
                f"{estimate.std(ddof=1) / len(found) ** 0.5:.3f})  sd {estimate.std(ddof=1):.3f}  median se {np.median(error):.3f}"
                f"  coverage {covered.mean():.3f}  zero rejected {rejected.mean():.3f}  used {len(found)} of {replications}",
                flush=True,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400, int(sys.argv[2]) if len(sys.argv) > 2 else 20261129)
