"""How fast exploratory factor analysis is, beside psych and factor_analyzer, in one run on the same data.

Run by hand: ``python tests/benchmarks/bench_efa.py [--python PATH]``. CPU seconds of one thread, the smallest of several
runs; the peers are timed inside their own process, so that no start-up counts. ``--python`` is an interpreter that has
factor-analyzer 0.5.1 with scikit-learn below 1.8.
"""

from __future__ import annotations

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

R_PEER = """
suppressPackageStartupMessages({ library(psych); library(jsonlite) })
a <- commandArgs(TRUE); x <- read.csv(a[1]); big <- as.matrix(read.csv(a[2])); colnames(big) <- rownames(big) <- paste0("v", seq_len(ncol(big)))
cpu <- function(e, k = 10) { e <- substitute(e); pf <- parent.frame(); quiet <- function() suppressWarnings(suppressMessages(capture.output(eval(e, pf)))); quiet()
  min(sapply(1:5, function(i) { gc(FALSE); s <- system.time(for (j in seq_len(k)) quiet()); sum(s[c("user.self", "sys.self", "user.child", "sys.child")]) / k })) }
out <- list(
  minres = cpu(fa(x, 5, fm = "minres", rotate = "oblimin")), minres_10_starts = cpu(fa(x, 5, fm = "minres", rotate = "oblimin", n.rotations = 10), 3),
  ml = cpu(fa(x, 5, fm = "ml", rotate = "oblimin")), geomin = cpu(fa(x, 5, fm = "minres", rotate = "geominQ"), 5),
  big = cpu(fa(big, 10, n.obs = 5000, fm = "minres", rotate = "oblimin"), 1),
  parallel = cpu(fa.parallel(x, n.iter = 20, fa = "both", plot = FALSE), 1), version = as.character(packageVersion("psych")))
set.seed(1); out$f <- fa(x, 5, fm = "minres", rotate = "oblimin")$objective
cat(toJSON(out, digits = NA, auto_unbox = TRUE))
"""

PYTHON_PEER = """
import json, sys, time, warnings, importlib.metadata
import numpy as np
from factor_analyzer import FactorAnalyzer
warnings.simplefilter("ignore")
x = np.genfromtxt(sys.argv[1], delimiter=",", skip_header=1); big = np.genfromtxt(sys.argv[2], delimiter=",", skip_header=1)
def cpu(f, k=15):
    f(); t = []
    for _ in range(k):
        s = time.process_time(); f(); t.append(time.process_time() - s)
    return min(t)
def run(data, m, method, corr): return FactorAnalyzer(m, rotation="oblimin", method=method, is_corr_matrix=corr).fit(data)
print(json.dumps({"minres": cpu(lambda: run(x, 5, "minres", False)), "ml": cpu(lambda: run(x, 5, "ml", False)),
                  "big": cpu(lambda: run(big, 10, "minres", True), 2), "version": importlib.metadata.version("factor_analyzer")}))
"""


def cpu(function: Callable[[], Any], runs: int = 15) -> float:
    """Return the smallest CPU time of several runs, in seconds."""
    function()
    times = []
    for _ in range(runs):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def bfi() -> np.ndarray[Any, Any]:
    """The 2436 complete rows of 25 items, from the folder of larger real data."""
    folder = Path(os.environ.get("RELMEASURE_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    rows: np.ndarray[Any, Any] = np.genfromtxt(folder / "reference/data/bfi/data.csv", delimiter=",", skip_header=1)[
        :, :25
    ]
    complete: np.ndarray[Any, Any] = rows[~np.isnan(rows).any(axis=1)]
    return complete


def big_matrix() -> np.ndarray[Any, Any]:
    """Sample correlations of 100 items and 10 factors with some cross-loadings, 5,000 rows."""
    rng = np.random.default_rng(1)
    loadings = np.kron(np.eye(10), rng.uniform(0.5, 0.8, (10, 1))) + 0.05 * rng.normal(size=(100, 10))
    population = loadings @ (0.3 + 0.7 * np.eye(10)) @ loadings.T
    np.fill_diagonal(population, 1.0)
    rows = rng.standard_normal((5000, 100)) @ np.linalg.cholesky(population).T
    return np.asarray(np.corrcoef(rows.T))


def peer(command: list[str], source: str, suffix: str, files: list[str]) -> dict[str, Any]:
    """Run a peer's own program on the same files; an empty answer where it is not installed."""
    if shutil.which(command[0]) is None:
        return {}
    with tempfile.NamedTemporaryFile("w", suffix=suffix) as script:
        script.write(source)
        script.flush()
        done = subprocess.run([*command, script.name, *files], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr.strip().splitlines()[-1:], file=sys.stderr)
        return {}
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def ours(rows: np.ndarray[Any, Any], big: np.ndarray[Any, Any]) -> dict[str, float]:
    """Time the same work here; every rotation from ten starts."""
    import pandas as pd

    from relmeasure.factor.exploratory import efa
    from relmeasure.factor.retention import n_factors

    frame = pd.DataFrame(rows, columns=[f"v{k}" for k in range(rows.shape[1])])
    return {
        "minres": cpu(lambda: efa(frame, 5)),
        "minres, 1 start": cpu(lambda: efa(frame, 5, n_starts=1)),
        "ml": cpu(lambda: efa(frame, 5, method="ml", se=False)),
        "ml with standard errors": cpu(lambda: efa(frame, 5, method="ml")),
        "geomin": cpu(lambda: efa(frame, 5, rotation="geomin")),
        "big": cpu(lambda: efa((big, 5000), 10), 3),
        "parallel": cpu(lambda: n_factors(frame, n_replications=20)),
        "parallel, 500 replications": cpu(lambda: n_factors(frame), 5),
        "parallel, polychoric": cpu(
            lambda: n_factors(frame, ordered=True, categories=range(1, 7), n_replications=20), 2
        ),
    }


def main() -> None:
    """Print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default="", help="an interpreter with factor-analyzer and scikit-learn below 1.8")
    arguments = parser.parse_args()
    rows, big = bfi(), big_matrix()
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder) / "rows.csv"), str(Path(folder) / "big.csv")]
        for path, data in zip(files, (rows, big), strict=True):
            np.savetxt(
                path,
                data,
                delimiter=",",
                header=",".join(f"v{k}" for k in range(data.shape[1])),
                comments="",
                fmt="%.15g",
            )
        mine = ours(rows, big)
        psych = peer(["Rscript"], R_PEER, ".R", files)
        analyzer = peer([arguments.python or "false"], PYTHON_PEER, ".py", files)
    print(f"{len(rows)} x {rows.shape[1]} rows; big: 100 items, 10 factors. CPU milliseconds")
    print(f"psych {psych.get('version')}, factor_analyzer {analyzer.get('version')} (one start); ours: ten starts")
    for name, seconds in mine.items():
        cells = [f"{name:28s} {seconds * 1e3:9.2f}"]
        for label, other in (("psych", psych), ("factor_analyzer", analyzer)):
            key = name.split(",")[0].split(" ")[0] if "poly" not in name else ""
            if key in other:
                cells.append(f"{label} {other[key] * 1e3:9.2f} ({other[key] / seconds:6.1f} times)")
        if name == "minres" and "minres_10_starts" in psych:
            cells.append(f"psych with 10 starts {psych['minres_10_starts'] * 1e3:.2f}")
        print("  ".join(cells))


if __name__ == "__main__":
    main()
