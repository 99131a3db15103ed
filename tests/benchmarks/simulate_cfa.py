"""Rejection, coverage and convergence of confirmatory factor models in samples of a known population.

Run by hand: ``OPENBLAS_NUM_THREADS=1 python -m tests.benchmarks.simulate_cfa PART [COUNT]``, PART one of

- ``nine``: 9 items, 3 factors, n = 500: rejection of the true model and coverage, by ML, MLR and WLSMV;
- ``means``: 9 items in two groups of 500: coverage of latent means;
- ``ordinary``: 1,000 data sets of many sizes: convergence, and whether every failure is flagged;
- ``beside``: 25 items, 5 factors, n = 500: rejection beside lavaan on the same data sets (``Rscript`` with lavaan).

Each prints one line of JSON. Seeds are in the script.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from relmeasure.structural import cfa
from tests.structural.populations import TWENTY_FIVE, Tally, ordered, samples
from tests.structural.test_recovery import ESTIMATORS, one_group, ordinary, two_groups

SEED = 20261129
N = 500

PEER = """
suppressMessages(library(lavaan))
a <- commandArgs(TRUE); model <- paste(readLines(a[1]), collapse = "\\n")
n <- as.integer(a[3]); p <- as.integer(a[4]); count <- as.integer(a[5]); kind <- a[6]
con <- file(a[2], "rb"); out <- matrix(NA_real_, count, 4)
for (r in seq_len(count)) {
  d <- as.data.frame(matrix(readBin(con, "double", n * p), n, p, byrow = TRUE)); names(d) <- paste0("x", seq_len(p))
  f <- suppressWarnings(if (kind == "MLR") cfa(model, d, estimator = "MLR", baseline = FALSE, std.lv = TRUE)
       else cfa(model, d, ordered = TRUE, baseline = FALSE, std.lv = TRUE))
  if (lavInspect(f, "converged")) {
    t <- lavInspect(f, "test")
    out[r, ] <- c(t[[1]]$stat, t[[1]]$pvalue, t[[2]]$stat, t[[2]]$pvalue)
  }
}
write.table(format(out, digits = 15), stdout(), row.names = FALSE, col.names = FALSE, quote = FALSE)
"""


def nine(count: int) -> dict[str, Any]:
    """One group of nine items."""
    out: dict[str, Any] = {"part": "nine", "n": 500, "replications": count, "seed": SEED}
    return out | {e: figures(one_group(e, count, SEED), "loading", "correlation") for e in ESTIMATORS}


def means(count: int) -> dict[str, Any]:
    """Two groups, equal measurement, other latent means."""
    out: dict[str, Any] = {"part": "means", "n": [500, 500], "replications": count, "seed": SEED + 1}
    return out | {e: figures(two_groups(e, count, SEED + 1), "mean") for e in ESTIMATORS}


def usual(count: int) -> dict[str, Any]:
    """Data sets as they come in schools."""
    return {"part": "ordinary", "replications": count, "seed": SEED + 2, **figures(ordinary(count, SEED + 2))}


def beside(count: int) -> dict[str, Any]:
    """25 items beside lavaan; WLSMV on the first fifth of the data sets."""
    out: dict[str, Any] = {"part": "beside", "n": N, "seed": SEED + 3}
    for kind, share in (("MLR", 1), ("WLSMV", 5)):
        sets = [rows if kind == "MLR" else ordered(rows) for rows in samples(TWENTY_FIVE, N, count // share, SEED + 3)]
        start = time.process_time()
        ours = np.array([_ours(rows, kind) for rows in sets])
        seconds = time.process_time() - start
        theirs = _peer(sets, kind)
        both = ~np.isnan(ours).any(axis=1) & ~np.isnan(theirs).any(axis=1)
        for name, column in (("ML", 1), ("MLR", 3)) if kind == "MLR" else (("WLSMV", 3),):
            out[name] = {
                "replications": len(sets),
                "converged here": int((~np.isnan(ours).any(axis=1)).sum()),
                "converged in lavaan": int((~np.isnan(theirs).any(axis=1)).sum()),
                "rejected here": round(float((ours[both, column] < 0.05).mean()), 4),
                "rejected by lavaan": round(float((theirs[both, column] < 0.05).mean()), 4),
                "largest relative difference of the statistic": float(
                    np.abs(ours[both, column - 1] / theirs[both, column - 1] - 1).max()
                ),
            }
        out[f"CPU seconds here, {kind}"] = round(seconds, 1)
    return out


def _ours(rows: Any, kind: Any) -> list[float]:
    """Plain and scaled statistic with their p-values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = cfa(TWENTY_FIVE.model, rows, estimator=kind, std_lv=True, ordered=True if kind == "WLSMV" else None)
    names = ("chisq", "pvalue", "chisq.scaled", "pvalue.scaled")
    return [0.0 if kind == "WLSMV" and name == "pvalue" else fit.indices.get(name, np.nan) for name in names]


def _peer(sets: list[Any], kind: str) -> Any:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.txt").write_text(TWENTY_FIVE.model + "\n", encoding="utf-8")
        (folder / "peer.R").write_text(PEER, encoding="utf-8")
        np.concatenate(sets).astype("<f8").tofile(folder / "rows.bin")
        command = ["Rscript", str(folder / "peer.R"), str(folder / "model.txt"), str(folder / "rows.bin")]
        command += [str(N), str(TWENTY_FIVE.n_items), str(len(sets)), kind]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return np.array([[np.nan if w == "NA" else float(w) for w in line.split()] for line in lines])


def figures(tally: Tally, *kinds: str) -> dict[str, Any]:
    """What was counted."""
    out: dict[str, Any] = {
        "converged": tally.converged,
        "admissible": tally.admissible,
        "failures without a flag": tally.unflagged,
        "rejected": round(tally.rejection, 4),
    }
    return out | {f"{kind} covered": round(tally.coverage(kind), 4) for kind in kinds}


PARTS = {"nine": (nine, 2000), "means": (means, 1000), "ordinary": (usual, 1000), "beside": (beside, 500)}


if __name__ == "__main__":
    part, default = PARTS[sys.argv[1]]
    print(json.dumps(part(int(sys.argv[2]) if len(sys.argv) > 2 else default)))
