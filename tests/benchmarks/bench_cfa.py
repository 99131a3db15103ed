"""Time confirmatory factor models side by side with lavaan, and with semopy where it runs: psych's bfi, CPU seconds.

Run by hand with one BLAS thread, ``OPENBLAS_NUM_THREADS=1 python tests/benchmarks/bench_cfa.py DATA [SEMOPY]``, where DATA is
the folder of the larger reference data (``bfi/data.csv``), ``Rscript`` with lavaan is on the path, and SEMOPY is the Python of
an environment with semopy. ``... bench_cfa.py growth`` measures growth from 25 to 100 items and from 2,000 to 200,000 rows.

Every side starts from the rows and ends with estimates, standard errors and fit indices (semopy: estimates only, which is all
it gets right); the smallest of several runs counts. Peers run right after each of ours, so that a busy machine hits both.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import relmeasure as rm

SCALES = {scale: [f"{scale}{k}" for k in range(1, 6)] for scale in "ACENO"}
ITEMS = [item for items in SCALES.values() for item in items]
MODEL = "\n".join(f"{scale} =~ {' + '.join(items)}" for scale, items in SCALES.items())

WORK: dict[str, tuple[dict[str, Any], str, int]] = {
    "ML": ({}, "cfa(m, bc)", 5),
    "MLR": ({"estimator": "MLR"}, "cfa(m, bc, estimator = 'MLR')", 3),
    "FIML": ({"missing": "fiml"}, "cfa(m, b, missing = 'fiml')", 2),
    "FIML, MLR": ({"missing": "fiml", "estimator": "MLR"}, "cfa(m, b, missing = 'fiml', estimator = 'MLR')", 1),
    "WLSMV": ({"ordered": True}, "cfa(m, bc, ordered = names(bc))", 2),
}
"""Our options, lavaan's call, repeats of lavaan."""

PEER = """
suppressMessages(library(lavaan)); a <- commandArgs(TRUE)
b <- read.csv(a[1]); g <- b; b <- b[, names(b) != "gender"]; bc <- b[complete.cases(b), ]; g <- g[complete.cases(g), ]
m <- paste(readLines(a[2]), collapse = "\\n"); n <- as.integer(a[4])
run <- function() %s
out <- suppressWarnings(run())
cpu <- min(replicate(n, { t <- proc.time(); suppressWarnings(run()); sum((proc.time() - t)[1:2]) }))
cat(as.character(packageVersion("lavaan")), format(out, digits = 12), cpu)
"""
FIT = '{ f <- %s; p <- parameterEstimates(f); x <- fitMeasures(f); x[["chisq"]] }'
STEPS = """{
  steps <- list("", "loadings", c("loadings", "intercepts"), c("loadings", "intercepts", "residuals"))
  f <- lapply(steps, function(s) cfa(m, g, group = "gender", group.equal = s))
  lapply(f, fitMeasures); lavTestLRT(f[[1]], f[[2]], f[[3]], f[[4]]); fitMeasures(f[[4]], "chisq") }"""
INDICES = "{ modindices(fit)$mi[1] }"

SEMOPY = """
import sys, time, pandas as pd, semopy
rows = pd.read_csv(sys.argv[1]).drop(columns="gender").dropna(); text = open(sys.argv[2]).read()
def run():
    model = semopy.Model(text); found = model.fit(rows); return found.fun * len(rows)
value, times = run(), []
for _ in range(5):
    start = time.process_time(); run(); times.append(time.process_time() - start)
print(semopy.__version__, value, min(times))
"""


def best(call: Callable[[], Any], repeats: int) -> float:
    """Smallest CPU time of a call."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def side_by_side(data: Path, semopy: str | None) -> None:
    """Print one line of JSON for each kind of work."""
    rows = pd.read_csv(data / "bfi" / "data.csv")[[*ITEMS, "gender"]]
    complete, by_gender = rows[ITEMS].dropna(), rows.dropna()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows.to_csv(folder / "rows.csv", index=False)
        (folder / "model.txt").write_text(MODEL + "\n", encoding="utf-8")
        for work, (options, call, repeats) in WORK.items():
            given = rows[ITEMS] if "missing" in options else complete

            def ours(given: Any = given, options: Any = options) -> Any:
                fit = rm.cfa(MODEL, given, **options)
                fit.parameters()
                return fit

            chisq = ours().indices["chisq"]
            line(work, best(ours, 6), chisq, peer(FIT % call, folder, repeats))
            if work == "ML" and semopy:
                words = run([semopy, "-c", SEMOPY, str(folder / "rows.csv"), str(folder / "model.txt")])
                print(json.dumps({"semopy": words[0], "chisq": float(words[1]), "CPU s": round(float(words[2]), 4)}))
        fit = rm.cfa(MODEL, complete)
        largest = fit.modification_indices().set_index(["lhs", "op", "rhs"])["mi"].loc["A", "=~", "C1"]
        prepared = f"fit <- cfa(m, bc); run <- function() {INDICES}; invisible"
        line("modification indices", best(fit.modification_indices, 10), float(largest), peer(prepared, folder, 5))

        def invariance() -> Any:
            return rm.invariance(MODEL, by_gender, group="gender")

        last = invariance().to_frame()["chisq"].iloc[-1]
        line("invariance, 4 ML models", best(invariance, 4), float(last), peer(STEPS, folder, 2))


def line(work: str, seconds: float, value: float, peer_: tuple[str, float, float]) -> None:
    """Print one comparison."""
    version, other, theirs = peer_
    print(
        json.dumps(
            {
                "work": work,
                "relmeasure": round(seconds, 4),
                f"lavaan {version}": round(theirs, 3),
                "ratio": round(theirs / seconds, 1),
                "relative difference": abs(value / other - 1),
            }
        ),
        flush=True,
    )


def peer(body: str, folder: Path, repeats: int) -> tuple[str, float, float]:
    """lavaan's version, its number and its seconds."""
    script = folder / "peer.R"
    text = PEER % body
    if body.startswith("fit <-"):  # the fit is made outside the clock
        text = PEER.replace("run <- function() %s", body.replace("; invisible", ""))
    script.write_text(text, encoding="utf-8")
    words = run(["Rscript", str(script), str(folder / "rows.csv"), str(folder / "model.txt"), "", str(repeats)])
    return words[0], float(words[1]), float(words[2])


def run(command: list[str]) -> list[str]:
    """Words that a program prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


# --------------------------------------------------------------------------- growth
def sample(n: int, factors: int, seed: int = 3) -> tuple[str, Any, Any]:
    """Model, normal answers and answers of five categories; five items a factor."""
    rng = np.random.default_rng(seed)
    phi = np.full((factors, factors), 0.3) + 0.7 * np.eye(factors)
    pattern = np.kron(np.eye(factors), np.array([0.8, 0.7, 0.6, 0.7, 0.5])[:, None])
    y = rng.multivariate_normal(np.zeros(factors), phi, n) @ pattern.T
    y += rng.normal(size=y.shape) * np.sqrt(1 - (pattern**2).sum(axis=1))
    lines = (f"f{k} =~ {' + '.join(f'x{5 * k + i + 1}' for i in range(5))}" for k in range(factors))
    return "\n".join(lines), y, np.digitize(y, [-1.2, -0.4, 0.4, 1.2]).astype(float)


def growth() -> None:
    """Print seconds by number of items (2,000 rows) and of rows (25 items)."""
    for n, factors in ((2000, 5), (2000, 10), (2000, 20), (20_000, 5), (200_000, 5)):
        model, y, codes = sample(n, factors)
        gone = np.random.default_rng(1).uniform(size=y.shape) < 0.02
        found: dict[str, Any] = {"items": 5 * factors, "rows": n}
        for work, (options, _, _) in WORK.items():
            if "missing" in options and factors > 5:
                continue  # nearly every row would be a pattern of its own
            given = codes if "ordered" in options else np.where(gone, np.nan, y) if "missing" in options else y

            def ours(given: Any = given, options: Any = options, model: str = model) -> Any:
                return rm.cfa(model, given, **options)

            found[work] = round(best(ours, 2 if n < 100_000 and factors < 20 else 1), 3)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1] == "growth":
        growth()
    else:
        side_by_side(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
