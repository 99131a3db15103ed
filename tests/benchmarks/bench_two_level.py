"""Time a two-level factor model side by side with lavaan, and its growth with the number of clusters.

Run by hand with one BLAS thread, ``OPENBLAS_NUM_THREADS=1 python tests/benchmarks/bench_two_level.py DATA``, where DATA is
the folder of the larger reference data (``Demo.twolevel/data.csv``) and ``Rscript`` with lavaan is on the path. Seconds are
CPU time, the smallest of several runs; both sides start from the rows and end with standard errors and fit indices. The
growth is relmeasure's alone: two factors of three items at each level, sizes of 5 to 35 rows.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import relmeasure as rm

MODEL = "level: 1\n f1 =~ y1 + y2 + y3\n f2 =~ y4 + y5 + y6\nlevel: 2\n f3 =~ y1 + y2 + y3\n f4 =~ y4 + y5 + y6"
ONE = "level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n fb =~ y1 + y2 + y3"
PEER = """
suppressMessages(library(lavaan))
args <- commandArgs(TRUE); d <- read.csv(args[1]); model <- paste(readLines(args[2]), collapse = "\\n")
miss <- args[5]
run <- function() { f <- cfa(model, d, cluster = "cluster", estimator = args[4], missing = miss); fitMeasures(f); f }
f <- run()
cpu <- min(replicate(as.integer(args[3]), { t <- proc.time(); run(); sum((proc.time() - t)[1:2]) }))
cat(as.character(packageVersion("lavaan")), format(as.numeric(logLik(f)), digits = 12), cpu)
"""


def best(call: Callable[[], Any], repeats: int) -> float:
    """Smallest CPU time of a call."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def peer(data: Path, model: str, estimator: str, missing: str, repeats: int, folder: Path) -> tuple[str, float, float]:
    """lavaan's version, log-likelihood and seconds."""
    text, script = folder / "model.txt", folder / "peer.R"
    text.write_text(model, encoding="utf-8")
    script.write_text(PEER, encoding="utf-8")
    command = ["Rscript", str(script), str(data), str(text), str(repeats), estimator, missing]
    words = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return words[0], float(words[1]), float(words[2])


def side_by_side(folder: Path, temporary: Path) -> None:
    """Print both sides of one factor and two, ML, MLR, and full information."""
    rows = pd.read_csv(folder / "Demo.twolevel" / "data.csv")
    gaps = rows.copy()
    rng = np.random.default_rng(2)
    for name in ("y1", "y2", "y3"):
        gaps.loc[rng.choice(len(gaps), 200, replace=False), name] = np.nan
    gaps = gaps.dropna(subset=["y1", "y2", "y3"], how="all")
    cases = (
        ("2 factors", MODEL, rows, "ML", "listwise"),
        ("2 factors", MODEL, rows, "MLR", "listwise"),
        ("1 factor", ONE, rows, "ML", "listwise"),
        ("1 factor", ONE, gaps, "ML", "fiml"),
    )
    for label, model, data, estimator, missing in cases:

        def ours(model: str = model, data: Any = data, estimator: Any = estimator, missing: Any = missing) -> Any:
            return rm.cfa(model, data, cluster="cluster", estimator=estimator, missing=missing)

        fit = ours()
        seconds = best(ours, 20)
        path = temporary / "rows.csv"
        data.to_csv(path, index=False)
        version, logl, other = peer(path, model, estimator, missing, 5, temporary)
        line = {
            "model": label,
            "estimator": estimator,
            "missing": missing,
            "relmeasure": round(seconds, 4),
            f"lavaan {version}": round(other, 4),
            "ratio": round(other / seconds, 1),
            "logl": round(fit.fit_measures("logl")["logl"], 4),
            "logl lavaan": round(logl, 4),
        }
        print(json.dumps(line), flush=True)


def growth() -> None:
    """Print the seconds of 100 to 10,000 clusters."""
    for clusters in (100, 1_000, 10_000):
        rng = np.random.default_rng(clusters)
        sizes = rng.integers(5, 36, size=clusters)
        code = np.repeat(np.arange(clusters), sizes)
        common = rng.normal(size=(len(code), 2)) + 0.6 * rng.normal(size=(clusters, 2))[code]
        values = np.repeat(common, 3, axis=1) + 0.4 * rng.normal(size=(clusters, 6))[code]
        values += rng.normal(size=(len(code), 6))
        frame = pd.DataFrame(values, columns=[f"y{k}" for k in range(1, 7)]).assign(cluster=code)
        gaps = frame.mask(rng.random(frame.shape) < 0.03).assign(cluster=code)
        gaps = gaps.dropna(subset=list(frame.columns[:6]), how="all")
        line = {
            "clusters": clusters,
            "rows": len(frame),
            "ML": round(best(partial(rm.cfa, MODEL, frame, cluster="cluster"), 3), 4),
            "MLR": round(best(partial(rm.cfa, MODEL, frame, cluster="cluster", estimator="MLR"), 3), 4),
            "ML, fiml": round(best(partial(rm.cfa, MODEL, gaps, cluster="cluster", missing="fiml"), 1), 3),
        }
        print(json.dumps(line), flush=True)


def main(folder: Path) -> None:
    """Print everything."""
    import tempfile

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        side_by_side(folder, Path(name))
    growth()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
