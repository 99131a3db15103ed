"""How fast classes are worked out: ICC beside lme4 and statsmodels, crossed effects beside lme4, class scores, ten million.

Run by hand: ``OPENBLAS_NUM_THREADS=1 python tests/benchmarks/bench_classes.py DATA [icc] [crossed] [scores] [lazy] [peer PY]``,
where DATA is the folder of the larger reference data, ``Rscript`` with lme4 is on the path and PY is a Python that has
statsmodels. Seconds are CPU time, the smallest of several runs; both sides of a line start from rows in memory.
"""

from __future__ import annotations

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ.setdefault(_name, "1")

import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

LME4 = """
suppressMessages(library(lme4)); args <- commandArgs(TRUE); d <- read.csv(args[1]); f <- as.formula(args[2])
run <- function() suppressMessages(lmer(f, d)); m <- run()
cpu <- min(replicate(7, { t <- proc.time(); run(); sum((proc.time() - t)[1:2]) }))
cat(as.character(packageVersion("lme4")), cpu, format(as.data.frame(VarCorr(m))$vcov, digits = 10))
"""

MIXED = """
import sys, time, warnings
import numpy as np, statsmodels, statsmodels.regression.mixed_linear_model as m
warnings.simplefilter("ignore")
for clusters in map(int, sys.argv[1:]):
    rng = np.random.default_rng(1); code = np.repeat(np.arange(clusters), 24)
    y = 0.4 * rng.normal(size=clusters)[code] + rng.normal(size=len(code))
    start = time.process_time(); fit = m.MixedLM(y, np.ones((len(y), 1)), code).fit(); seconds = time.process_time() - start
    tau2 = float(np.ravel(fit.cov_re)[0])
    print(statsmodels.__version__, clusters, seconds, tau2 / (tau2 + fit.scale))
"""


def best(call: Callable[[], Any], repeats: int = 15) -> float:
    """Smallest CPU time of a call."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def lme4(rows: Any, formula: str) -> tuple[str, float, list[float]]:
    """lme4's version, seconds and variances."""
    with tempfile.TemporaryDirectory() as name:
        data, script = Path(name) / "rows.csv", Path(name) / "peer.R"
        rows.to_csv(data, index=False)
        script.write_text(LME4, encoding="utf-8")
        command = ["Rscript", str(script), str(data), formula]
        words = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return words[0], float(words[1]), [float(word) for word in words[2:]]


def _beside(name: str, ours: float, version: str, theirs: float) -> None:
    print(f"  {name:<34} {ours:8.4f} s   lme4 {version} {theirs:7.4f} s   {theirs / ours:6.1f} times")


def _nested(clusters: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    code = np.repeat(np.arange(clusters), 24)
    return 0.4 * rng.normal(size=clusters)[code] + rng.normal(size=len(code)), code


def intraclass(data: Path) -> None:
    """REML on bh1996 beside lme4, then 125,000 classes of 24."""
    import pandas as pd

    import relmeasure as rm

    print("ICC, REML with profile intervals")
    rows = pd.read_csv(data / "bh1996" / "data.csv")
    for column in ("HRS", "LEAD"):
        mine = rows[["GRP", column]]
        version, theirs, parts = lme4(mine, f"{column} ~ 1 + (1 | GRP)")
        found = rm.icc(mine, cluster="GRP")
        if not np.allclose([found.tau2, found.sigma2], parts, rtol=1e-5):
            raise SystemExit("The two programs disagree.")
        _beside(f"bh1996 {column}", best(partial(rm.icc, mine, cluster="GRP")), version, theirs)
    for clusters in (1_250, 12_500, 125_000):
        y, code = _nested(clusters)
        text = pd.DataFrame({"y": y, "class": np.char.add("class-", code.astype(str))})
        array = best(partial(rm.icc, y, cluster=code), 3)
        frame = best(partial(rm.icc, text, cluster="class"), 3)
        print(
            f"  {clusters:>7,} classes, {len(y):>9,} rows    {array:8.4f} s from arrays   {frame:8.4f} s from text labels"
        )


def statsmodels(python: str) -> None:
    """The mixed model of statsmodels on the same numbers: its time grows with the clusters."""
    command = [python, "-c", MIXED, "1250", "2500", "5000"]
    print(subprocess.run(command, capture_output=True, text=True, check=True).stdout, end="")
    import relmeasure as rm

    for clusters in (1_250, 2_500, 5_000):
        y, code = _nested(clusters)
        seconds = best(partial(rm.icc, y, cluster=code), 5)
        print(f"relmeasure {clusters} {seconds:.4f} {rm.icc(y, cluster=code).icc1:.6f}")


def crossed(data: Path) -> None:
    """Teachers, lessons in teachers, and raters crossed with both, beside lme4."""
    import pandas as pd

    import relmeasure as rm

    print("Variance components of video ratings, REML with standard errors and intervals")
    rows = pd.read_csv(data / "gti_video_ratings" / "data.csv", low_memory=False)
    rows = rows[["CSE1RP_S1", "T_ID", "IDVIDEO", "IDRATER"]].dropna()
    warnings.simplefilter("ignore", rm.RelmeasureWarning)
    for effects in (["IDVIDEO", "T_ID"], ["T_ID", "IDRATER"], ["IDVIDEO", "T_ID", "IDRATER"]):
        version, theirs, parts = lme4(rows, "CSE1RP_S1 ~ 1 + " + " + ".join(f"(1 | {e})" for e in effects))

        def ours(effects: list[str] = effects) -> Any:
            return rm.generalizability(rows, value="CSE1RP_S1", effects=effects)

        if not np.allclose(sorted(ours().components["variance"]), sorted(parts), rtol=1e-3):
            raise SystemExit("The two programs disagree.")
        _beside(" + ".join(effects), best(ours), version, theirs)


def scores(data: Path) -> None:
    """Class scores of 13,530 students of five countries."""
    import pandas as pd

    import relmeasure as rm

    rows = pd.read_csv(data / "gti_students" / "data.csv", low_memory=False)
    instrument = rm.load_instrument("gti-student")
    warnings.simplefilter("ignore", rm.RelmeasureWarning)
    print(f"Class scores of {len(rows):,} students in {rows['class'].nunique()} classes")
    for scales in (["relationship"], list(instrument.scale_ids)):
        seconds = best(partial(rm.classroom_scores, instrument, rows, cluster="class", scales=scales))
        print(f"  {len(scales):>3} scales {seconds:8.4f} s")


# --------------------------------------------------------------------------- ten million students, lazily
def _write(path: Path, students: int, items: list[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("class", pa.int32()), *((item, pa.int8()) for item in items)])
    with pq.ParquetWriter(path, schema) as writer:
        for part in range(10):
            rng, n = np.random.default_rng(part), students // 10
            codes = [pa.array(rng.integers(1, 5, n), pa.int8()) for _ in items]
            classes = pa.array(rng.integers(0, students // 25, n), pa.int32())
            writer.write_table(pa.table([classes, *codes], schema=schema))


def lazy_child(engine: str, source: str) -> None:
    """Run in a process of its own: class scores of a Parquet file; prints time and peak memory."""
    import relmeasure as rm

    instrument = rm.load_instrument("gti-student")
    if engine == "polars":
        import polars as pl

        rows: Any = pl.scan_parquet(source)
    else:
        import duckdb

        connection = duckdb.connect()
        connection.execute("set threads = 1; set memory_limit = '1GB'")
        rows = connection.read_parquet(source)
    clock, cpu = time.perf_counter(), time.process_time()
    found = rm.classroom_scores(instrument, rows, cluster="class", scales=["relationship"])
    wall, cpu = time.perf_counter() - clock, time.process_time() - cpu
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    print(
        f"  {engine:<7} {len(found.table):,} classes   wall {wall:6.1f} s   cpu {cpu:6.1f} s   peak RSS {peak:6.0f} MB"
    )


def lazy() -> None:
    """A million and ten million students in classes of 25, from Parquet, one thread, in a process each."""
    import relmeasure as rm

    items = list(rm.load_instrument("gti-student").scale_items("relationship"))
    for students in (1_000_000, 10_000_000):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "answers.parquet"
            _write(source, students, items)
            print(f"Class scores of {students:,} students, {source.stat().st_size / 2**20:.0f} MB of Parquet")
            for engine in ("polars", "duckdb"):
                command = [sys.executable, __file__, "child", engine, str(source)]
                print(subprocess.run(command, capture_output=True, text=True, check=True).stdout, end="")


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        lazy_child(*sys.argv[2:4])
    else:
        folder, wanted = Path(sys.argv[1]), sys.argv[2:] or ["icc", "crossed", "scores", "lazy"]
        for name in wanted:
            if name in {"icc", "crossed", "scores"}:
                {"icc": intraclass, "crossed": crossed, "scores": scores}[name](folder)
            elif name == "lazy":
                lazy()
        if "peer" in wanted:
            statsmodels(wanted[wanted.index("peer") + 1])
