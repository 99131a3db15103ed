"""Time alpha and its kin side by side with pingouin and with one pass over memory.

Run by hand, with one BLAS thread: ``OPENBLAS_NUM_THREADS=1 python tests/benchmarks/bench_reliability.py [python]``, where
the optional argument is another interpreter that has pingouin. Seconds are CPU time, the smallest of several runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import relmeasure as rm
from relmeasure.factor.extraction import fit_ml

ROWS, ITEMS = 2436, 5
PEER = """
import json, sys, time
import numpy as np, pandas as pd, pingouin
answers = np.array(json.load(sys.stdin))
frame = pd.DataFrame(answers, columns=[f"i{k}" for k in range(answers.shape[1])])
best = float("inf")
for _ in range(40):
    start = time.process_time()
    for _ in range(50):
        value, interval = pingouin.cronbach_alpha(frame)
    best = min(best, (time.process_time() - start) / 50)
print(json.dumps([pingouin.__version__, float(value), best]))
"""


def best(call: Callable[[], Any], repeats: int, inner: int = 1) -> float:
    """Smallest CPU time of a call."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        for _ in range(inner):
            call()
        times.append((time.process_time() - start) / inner)
    return min(times)


def answers(rows: int, items: int) -> np.ndarray:
    """Answers 1 to 6."""
    rng = np.random.default_rng(1)
    latent = rng.normal(size=(rows, 1))
    return np.clip(np.rint(3.5 + latent + rng.normal(size=(rows, items))), 1, 6)


def small(peer: str | None) -> None:
    """Alpha of the size of one study."""
    x = answers(ROWS, ITEMS)
    frame = pd.DataFrame(x, columns=[f"i{k}" for k in range(ITEMS)])
    moments = rm.moments(frame)
    print(f"{ROWS} x {ITEMS}, pandas frame")
    ours = best(lambda: rm.alpha(frame), 40, 50)
    print(f"  alpha with interval and item table   {ours * 1e6:8.0f} us")
    if peer is not None:
        done = subprocess.run(
            [peer, "-c", PEER], input=json.dumps(x.tolist()), capture_output=True, text=True, check=True
        )
        version, value, theirs = json.loads(done.stdout)
        print(f"  pingouin {version}, alpha and interval   {theirs * 1e6:8.0f} us   ratio {theirs / ours:.2f}")
        print(f"  largest difference                   {abs(value - rm.alpha(frame).estimate):.1e}")
    for name, call in (
        ("alpha from moments", lambda: rm.alpha(moments)),
        ("omega from moments", lambda: rm.omega(moments)),
        ("one-factor ML", lambda: fit_ml(moments.cov)),
        ("guttman from moments", lambda: rm.guttman(moments)),
        ("kmo from moments", lambda: rm.kmo(moments)),
        ("item analysis", lambda: rm.item_analysis(frame)),
    ):
        print(f"  {name:<36} {best(call, 40, 20) * 1e6:8.0f} us")


def large() -> None:
    """Alpha of a million rows, beside one product and one sum over the same memory."""
    x = answers(1_000_000, 25)
    frame = pd.DataFrame(x, columns=[f"i{k}" for k in range(25)])
    print("1,000,000 x 25, 200 MB of floats")
    for name, call in (
        ("sum of all values", lambda: x.sum()),
        ("X'X", lambda: x.T @ x),
        ("alpha, array", lambda: rm.alpha(x)),
        ("alpha, pandas frame", lambda: rm.alpha(frame)),
        ("item analysis, pandas frame", lambda: rm.item_analysis(frame)),
    ):
        print(f"  {name:<36} {best(call, 5) * 1e3:8.1f} ms")


def splits() -> None:
    """All splits of 20, 24 and 25 items, and a search among those of 40."""
    print("split_half on moments")
    for items in (20, 24, 25, 40):
        moments = rm.moments(answers(500, items))
        print(f"  {items} items {best(lambda m=moments: rm.split_half(m), 3) * 1e3:8.1f} ms")  # type: ignore[misc]


if __name__ == "__main__":
    warnings.simplefilter("ignore", rm.RelmeasureWarning)
    small(sys.argv[1] if len(sys.argv) > 1 else None)
    large()
    splits()
