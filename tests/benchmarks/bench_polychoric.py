"""How fast polychoric correlations are, beside lavaan, psych and ordinalcorr, in one run on the same data.

Run by hand: ``python tests/benchmarks/bench_polychoric.py [--python PATH] [--big-peers]``. CPU seconds of one thread,
the smallest of several runs; the peers are timed inside their own process, so that no start-up counts. ``--python`` is
an interpreter that has ordinalcorr; ``--big-peers`` runs the peers on 100 items by 10,000 rows too.
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
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

R_PEERS = """
suppressPackageStartupMessages({ library(lavaan); library(psych); library(jsonlite) })
a <- commandArgs(TRUE); x <- read.csv(a[1]); big <- a[2] == "big"
cpu <- function(e) { e <- substitute(e); pf <- parent.frame(); min(sapply(seq_len(if (big) 1 else 5), function(i) { gc(FALSE)
  s <- system.time(suppressWarnings(suppressMessages(eval(e, pf)))); sum(s[c("user.self", "sys.self", "user.child", "sys.child")]) })) }
out <- list(lavaan = cpu(lavCor(x, ordered = names(x))))
if (!big) { out$psych <- cpu(polychoric(x)); out$lavaan_acov <- cpu(lavCor(x, ordered = names(x), output = "fit", se = "robust")) }
out$cor <- unname(unclass(lavCor(x, ordered = names(x))))
out$versions <- list(lavaan = as.character(packageVersion("lavaan")), psych = as.character(packageVersion("psych")))
cat(toJSON(out, digits = NA, auto_unbox = TRUE))
"""

PYTHON_PEER = """
import json, sys, time, warnings, importlib.metadata
import pandas as pd, ordinalcorr
warnings.simplefilter("ignore")
x = pd.read_csv(sys.argv[1])
times = []
for _ in range(1 if sys.argv[2] == "big" else 3):
    start = time.process_time(); r = ordinalcorr.hetcor(x); times.append(time.process_time() - start)
print(json.dumps({"ordinalcorr": min(times), "cor": r.to_numpy().tolist(),
                  "version": importlib.metadata.version("ordinalcorr")}))
"""


def cpu(function: Callable[[], Any], runs: int = 20) -> float:
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


def simulated(p: int, n: int = 10_000) -> np.ndarray[Any, Any]:
    """Five categories, one factor, correlations of .36."""
    rng = np.random.default_rng(1)
    latent = 0.6 * rng.normal(size=(n, 1)) + 0.8 * rng.normal(size=(n, p))
    return np.digitize(latent, [-1.0, -0.3, 0.4, 1.2]) + 1.0


def peers(values: np.ndarray[Any, Any], python: str | None, *, big: bool) -> dict[str, Any]:
    """Time the peers on the same rows; a peer that is not installed is left out."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder) / "x.csv"
        header = ",".join(f"i{k + 1}" for k in range(values.shape[1]))
        np.savetxt(csv, values, fmt="%d", delimiter=",", header=header, comments="")
        size = "big" if big else "small"
        commands = []
        if shutil.which("Rscript"):
            commands.append(["Rscript", "-e", R_PEERS, str(csv), size])
        if python:
            commands.append([python, "-c", PYTHON_PEER, str(csv), size])
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(done.stderr.strip().splitlines()[-1:], file=sys.stderr)
                continue
            answer = json.loads(done.stdout)
            found[f"cor {command[0]}"] = np.array(answer.pop("cor"))
            found |= answer
    return found


def limits(n: int, p: int, k: int) -> dict[str, float]:
    """Return the CPU time of the arithmetic that cannot be left out, measured here: products, exponentials, T."""
    from scipy.special import owens_t

    rng = np.random.default_rng(0)
    q = p * (k - 1) + p * (p - 1) // 2
    corners = p * (p - 1) // 2 * (k - 1) ** 2
    indicators = rng.random((p * k, min(n, 4096))).astype(np.float32)
    rows = rng.random((min(n, 4096), q))
    h = rng.normal(size=min(corners, 200_000))
    share = n / min(n, 4096)
    return {
        "tables": share * cpu(lambda: indicators @ indicators.T, 10),
        "correlations": corners / len(h) * (2 * cpu(lambda: owens_t(h, h), 5) + 4 * 7 * cpu(lambda: np.exp(-h * h), 5)),
        "covariance": share * cpu(lambda: rows.T @ rows, 3),
    }


def report(name: str, values: np.ndarray[Any, Any], python: str | None, *, run_peers: bool, big: bool) -> None:
    """Print one table."""
    from relmeasure.responses.ordinal import polychoric
    from relmeasure.samplestats import category_codes, contingency_tables, polychoric_from_codes, polychoric_from_tables

    n, p = values.shape
    top = int(values.max())
    names = [f"i{k + 1}" for k in range(p)]
    categories = [tuple(range(1, top + 1))] * p
    codes = category_codes(values, names, categories)
    tables = contingency_tables(codes, names, categories=categories)
    runs = 3 if big else 20
    import pandas as pd

    frame = pd.DataFrame(values, columns=names)
    declared = categories[0]
    mine = {
        "tables of all pairs": cpu(lambda: contingency_tables(codes, names, categories=categories), runs),
        "correlations and standard errors from tables": cpu(lambda: polychoric_from_tables(tables), runs),
        "rm.polychoric(frame)": cpu(lambda: polychoric(frame, categories=declared), runs),
        "rm.polychoric(frame, acov=True)": cpu(
            lambda: polychoric(frame, categories=declared, acov=True), 1 if big else runs
        ),
    }
    result = polychoric_from_codes(codes, names, categories=categories)
    bound = limits(n, p, top)
    print(f"\n{name}: {n} rows, {p} items, {p * (p - 1) // 2} pairs, {len(result.parameters)} estimates")
    for what, seconds in mine.items():
        print(f"  {what:<46} {1e3 * seconds:10.2f} ms")
    print("  least arithmetic: " + ", ".join(f"{what} {1e3 * s:.2f} ms" for what, s in bound.items()))
    if not run_peers:
        return
    found = peers(values, python, big=big)
    whole, full = mine["rm.polychoric(frame)"], mine["rm.polychoric(frame, acov=True)"]
    for peer, own in (("lavaan", whole), ("ordinalcorr", whole), ("psych", whole), ("lavaan_acov", full)):
        if peer in found:
            print(f"  {peer:<46} {1e3 * found[peer]:10.2f} ms   {found[peer] / own:8.1f} times ours")
    for peer, cor in found.items():
        if peer.startswith("cor "):
            print(f"  largest difference from {peer[4:]}: {np.abs(cor - result.correlation).max():.1e}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", help="an interpreter that has ordinalcorr")
    parser.add_argument("--big-peers", action="store_true", help="run the peers on the largest case too")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    report("bfi", bfi(), options.python, run_peers=True, big=False)
    for p in (25, 50, 100):
        run = options.big_peers and p == 100
        report("simulated", simulated(p), options.python, run_peers=run, big=True)


if __name__ == "__main__":
    main()
