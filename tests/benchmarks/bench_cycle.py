"""Time the whole reciprocity call, and one of its fits side by side with lavaan.

500 teachers x 25 students x 2 waves x 4 practices, 20 random halves and 1,000 draws of classes. lavaan fits one two-wave
cross-lagged model of the class means of relationship and one practice, standard errors robust to schools: what one row of
the table is, without the errors taken out. Run by hand with one BLAS thread::

    OPENBLAS_NUM_THREADS=1 python tests/benchmarks/bench_cycle.py

Seconds are CPU time of all threads; of the small fits the smallest of several runs. ``Rscript`` with lavaan must be on the
path.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import relmeasure as rm
from relmeasure.panel import cross_lagged_syntax
from relmeasure.panel.reciprocal import ReciprocalStudy, Step
from relmeasure.responses.waves import as_waves

TEACHERS, STUDENTS = 500, 25
PRACTICES = ["engaging", "thinking", "interest", "monitoring"]
MODEL = cross_lagged_syntax({"care": ["care_1", "care_2"], "thinking": ["thinking_1", "thinking_2"]})
PEER = """
suppressMessages(library(lavaan))
args <- commandArgs(TRUE); d <- read.csv(args[1]); m <- paste(readLines(args[2]), collapse = "\\n")
run <- function() sem(m, d, estimator = "MLR", cluster = "school", fixed.x = FALSE)
f <- run(); p <- parameterEstimates(f)
cpu <- min(replicate(as.integer(args[3]), { t <- proc.time(); run(); sum((proc.time() - t)[1:2]) }))
cat(as.character(packageVersion("lavaan")), format(p$est[p$lhs == "thinking_2" & p$rhs == "care_1"], digits = 12), cpu)
"""


def district(seed: int = 1) -> pd.DataFrame:
    """Scores of students in two waves, other students in each."""
    rng = np.random.default_rng(seed)
    p = 1 + len(PRACTICES)
    first = rng.multivariate_normal(np.zeros(p), 0.5 * np.eye(p) + 0.5, TEACHERS)
    second = 0.5 * first + 0.6 * rng.normal(size=first.shape)
    second[:, 2] += 0.2 * first[:, 0]
    parts = []
    for wave, true in ((1, first), (2, second)):
        home = np.repeat(np.arange(TEACHERS), STUDENTS)
        halo = rng.multivariate_normal(np.zeros(p), 5.0 * (0.4 * np.eye(p) + 0.6), len(home))
        frame = pd.DataFrame(true[home] + halo, columns=["care", *PRACTICES])
        gaps = rng.random(frame.shape) < 0.03  # students skip a scale: every class has its own error matrix
        parts.append(frame.mask(gaps).assign(teacher_id=home, wave=wave, school=home // 10))
    return pd.concat(parts, ignore_index=True)


def best(call: Callable[[], Any], repeats: int) -> float:
    """Smallest CPU time of a call."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def robust(wide: pd.DataFrame) -> Any:
    """The model of the class means as they are, standard errors robust to schools."""
    return rm.sem(MODEL, wide, estimator="MLR", cluster="school", fixed_x=False)


def main() -> None:
    """Print the seconds of the whole call, of its parts, and of one fit beside lavaan's."""
    data = district()
    call: dict[str, Any] = {"cluster": "teacher_id", "wave": "wave", "relationship": "care", "practices": PRACTICES}
    runs: tuple[tuple[str, dict[str, Any]], ...] = (
        ("table only", {"n_splits": 0}),
        ("with 20 random halves", {}),
        ("with 20 halves, 1,000 draws", {"n_boot": 1000}),
        ("the same, two workers", {"n_boot": 1000, "workers": 2}),
    )
    for label, options in runs:
        wall, cpu = time.perf_counter(), time.process_time()
        rm.reciprocity(data, **call, **options)
        print(f"{label:32s} {time.process_time() - cpu:6.2f} s CPU, {time.perf_counter() - wall:6.2f} s by the clock")
    means = data.pivot_table(index=["school", "teacher_id"], columns="wave", values=["care", "thinking"])
    wide = means.set_axis([f"{column[0]}_{column[1]}" for column in means.columns], axis=1).reset_index()
    rows = as_waves(data, scores=["care", "thinking"], cluster="teacher_id", wave="wave", school="school")
    study = ReciprocalStudy(rows, "care", ("thinking",), 0.95)

    def fit(*, corrected: bool) -> Any:
        study.known.clear()
        return study.effects(Step("pair", ("care", "thinking"), "1", "2", "all", corrected))

    print(f"one fit, errors left in          {1000 * best(lambda: fit(corrected=False), 20):6.2f} ms")
    print(f"one fit, errors taken out        {1000 * best(lambda: fit(corrected=True), 20):6.2f} ms")
    print(f"the same by rm.sem, left in      {1000 * best(lambda: robust(wide), 20):6.2f} ms")
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        wide.to_csv(at / "d.csv", index=False)
        (at / "m.txt").write_text(MODEL + "\n", encoding="utf-8")
        (at / "peer.R").write_text(PEER, encoding="utf-8")
        command = ["Rscript", str(at / "peer.R"), str(at / "d.csv"), str(at / "m.txt"), "20"]
        version, theirs, seconds = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    ours = next(r["estimate"] for r in fit(corrected=False) if r["effect"] == "care -> thinking")
    print(
        f"lavaan {version}, left in          {1000 * float(seconds):6.2f} ms; estimates {float(theirs):.6f}, ours {ours:.6f}"
    )


if __name__ == "__main__":
    main()
