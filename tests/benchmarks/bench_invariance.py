"""Time invariance models by gender side by side with lavaan: 25 items, five factors, psych's bfi.

Run by hand with one BLAS thread, ``OPENBLAS_NUM_THREADS=1 python tests/benchmarks/bench_invariance.py DATA``, where DATA is
the folder of the larger reference data (``bfi/data.csv``) and ``Rscript`` with lavaan is on the path. Seconds are CPU time,
the smallest of several runs; both sides start from the rows and end with standard errors, fit indices and difference tests.
Four models by ML and MLR; five of ordered items by WLSMV (Wu & Estabrook), with score tests of the scalar step. lavaan's
ordinal models are written by semTools before the clock starts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

import relmeasure as rm

SCALES = {scale: [f"{scale}{k}" for k in range(1, 6)] for scale in "ACENO"}
MODEL = "\n".join(f"{scale} =~ {' + '.join(items)}" for scale, items in SCALES.items())
PEER = """
suppressMessages(library(lavaan))
args <- commandArgs(TRUE); d <- read.csv(args[1]); est <- args[2]
run <- function() {
  steps <- list("", "loadings", c("loadings", "intercepts"), c("loadings", "intercepts", "residuals"))
  f <- lapply(steps, function(s) cfa(paste(readLines(args[3]), collapse = "\\n"), d, group = "gender", group.equal = s, estimator = est))
  lapply(f, fitMeasures); list(sapply(f, fitMeasures, "chisq"), lavTestLRT(f[[1]], f[[2]], f[[3]], f[[4]]))
}
out <- run()
cpu <- min(replicate(as.integer(args[4]), { t <- proc.time(); run(); sum((proc.time() - t)[1:2]) }))
cat(as.character(packageVersion("lavaan")), format(out[[1]], digits = 12), cpu)
"""

ORDERED_PEER = """
suppressMessages({library(lavaan); library(semTools)})
args <- commandArgs(TRUE); d <- read.csv(args[1]); m <- paste(readLines(args[3]), collapse = "\\n"); its <- setdiff(names(d), "gender")
steps <- list("", "thresholds", c("thresholds", "loadings"), c("thresholds", "loadings", "intercepts"), c("thresholds", "loadings", "intercepts", "residuals"))
syntax <- lapply(steps, function(s) as.character(measEq.syntax(configural.model = m, data = d, ordered = its, parameterization = "theta",
  ID.fac = "std.lv", ID.cat = "Wu", group = "gender", group.equal = s)))
run <- function() {
  f <- lapply(syntax, function(s) cfa(s, d, group = "gender", ordered = its, parameterization = "theta", estimator = "WLSMV"))
  lapply(f, fitMeasures); l <- lavTestLRT(f[[1]], f[[2]], f[[3]], f[[4]], f[[5]]); suppressWarnings(lavTestScore(f[[4]]))
  list(sapply(f, fitMeasures, "chisq"), l)
}
t <- proc.time(); out <- run(); cpu <- sum((proc.time() - t)[1:2])
cat(as.character(packageVersion("lavaan")), format(out[[1]], digits = 12), cpu)
"""


def best(call: Callable[[], Any], repeats: int) -> float:
    """Smallest CPU time of a call."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def peer(rows: pd.DataFrame, estimator: str, repeats: int, folder: Path) -> tuple[str, list[float], float]:
    """lavaan's version, chi-squares and seconds."""
    data, model = folder / "rows.csv", folder / "model.txt"
    rows.to_csv(data, index=False)
    model.write_text(MODEL, encoding="utf-8")
    script = folder / "peer.R"
    script.write_text(ORDERED_PEER if estimator == "WLSMV" else PEER, encoding="utf-8")
    command = ["Rscript", str(script), str(data), estimator, str(model), str(repeats)]
    words = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return words[0], [float(w) for w in words[1:-1]], float(words[-1])


def main(data: Path) -> None:
    """Print both sides."""
    import tempfile
    import warnings

    warnings.simplefilter("ignore")
    items = [item for scale in SCALES.values() for item in scale]
    rows = pd.read_csv(data / "bfi" / "data.csv")[[*items, "gender"]].dropna()
    with tempfile.TemporaryDirectory() as name:
        for estimator, repeats in (("ML", 5), ("MLR", 2), ("WLSMV", 1)):

            def ours(estimator: Any = estimator) -> Any:
                ordered = True if estimator == "WLSMV" else None
                found = rm.invariance(MODEL, rows, group="gender", estimator=estimator, ordered=ordered)
                if ordered:
                    found.score_tests("scalar")
                return found

            chisq = ours().to_frame()["chisq"].to_list()
            seconds = best(ours, 4 * repeats)
            version, theirs, other = peer(rows, estimator, repeats, Path(name))
            print(
                json.dumps(
                    {
                        "estimator": estimator,
                        "relmeasure": round(seconds, 4),
                        f"lavaan {version}": round(other, 4),
                        "ratio": round(other / seconds, 1),
                        "largest relative difference of chi-square": max(
                            abs(a / b - 1) for a, b in zip(chisq, theirs, strict=True)
                        ),
                    }
                )
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
