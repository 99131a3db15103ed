"""How fast scores are made: first use, a million rows beside hand-written code, ten million rows from Parquet.

Run by hand: ``OPENBLAS_NUM_THREADS=1 python tests/benchmarks/bench_scoring.py [start] [million] [lazy]``. Every comparison
is a ratio within one run, threads pinned to one; nothing here is a test.
"""

from __future__ import annotations

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ.setdefault(_name, "1")

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ITEMS = [f"q{k + 1}" for k in range(25)]
SCALES = {f"s{k + 1}": ITEMS[5 * k : 5 * k + 5] for k in range(5)}
REVERSED = {item for items in SCALES.values() for item in items[3:]}
NEEDED = 3


def instrument() -> Any:
    """Five scales of five items 1-5, two of them reversed, at least three answers needed."""
    from relmeasure.instruments import Instrument

    return Instrument.model_validate(
        {
            "schema_version": 1,
            "id": "bench",
            "version": "1.0",
            "status": "draft",
            "kind": "structure_only",
            "title": {"en": "Benchmark"},
            "reporter": "student",
            "target": "teacher",
            "licence": {"id": "public_domain"},
            "citation": "none",
            "response_scales": {"agree": {"kind": "agreement", "options": [{"value": k} for k in range(1, 6)]}},
            "items": [{"id": i, "response_scale": "agree", "key": -1 if i in REVERSED else 1} for i in ITEMS],
            "scales": [{"id": s, "items": items, "missing": {"min_valid": NEEDED}} for s, items in SCALES.items()],
        }
    )


def answers(n: int, seed: int = 1) -> np.ndarray[Any, Any]:
    """Codes 1-5, three per cent missing (NaN)."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(1, 6, (n, len(ITEMS))).astype(float)
    codes[rng.random(codes.shape) < 0.03] = np.nan
    return codes


# --------------------------------------------------------------------------- first use
FIRST_USE = """
import polars as pl
import sys
import relmeasure as rm
instrument = rm.load_instrument("relationship-student")
frame = pl.DataFrame({item: [1, 2, 3, 4, None] for item in instrument.item_ids})
rm.score(instrument, frame)
print([name for name in ("pandas", "scipy", "pyarrow") if name in sys.modules])
"""


def _child(code: str, cache: str) -> tuple[float, str]:
    """CPU seconds of a whole child process, and what it printed; bytecode is cached, as in an installed package."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPYCACHEPREFIX": cache}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def start(repeats: int = 15) -> None:
    """CPU time of import + load + score of five rows, against that of importing NumPy."""
    cases = {"bare": "pass", "numpy": "import numpy", "polars": "import polars", "use": FIRST_USE}
    with tempfile.TemporaryDirectory() as cache:
        loaded = _child(FIRST_USE, cache)[1]
        cpu = {name: min(_child(code, cache)[0] for _ in range(repeats)) * 1e3 for name, code in cases.items()}
    numpy_cpu, whole = cpu["numpy"] - cpu["bare"], cpu["use"] - cpu["bare"]
    own = cpu["use"] - cpu["polars"]
    print(f"\nfirst use (CPU, best of {repeats}; a bare Python of {cpu['bare']:.0f} ms taken off)")
    print(f"  import numpy                           {numpy_cpu:7.0f} ms")
    print(f"  import polars                          {cpu['polars'] - cpu['bare']:7.0f} ms")
    print(f"  relmeasure + load + score on Polars    {own:7.0f} ms   {own / numpy_cpu:5.2f} x import numpy")
    print(f"  the same with the import of Polars     {whole:7.0f} ms   {whole / numpy_cpu:5.2f} x import numpy")
    print(f"  loaded besides: {loaded.strip()}")


# --------------------------------------------------------------------------- a million rows
def _timed(label: str, function: Callable[[], Any], base: float | None = None, repeats: int = 7) -> float:
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        function()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    ratio = "" if base is None else f"{min(cpus) / base:6.2f} x by hand"
    print(f"  {label:34s} wall {min(walls) * 1e3:7.0f} ms   cpu {min(cpus) * 1e3:7.0f} ms {ratio}")
    return min(cpus)


def by_hand_pandas(frame: Any) -> Any:
    """The usual way: a copy, 6 - x, row means, a count. No reasons."""
    out = frame.copy()
    for scale, items in SCALES.items():
        part = frame[items].copy()
        for item in items:
            if item in REVERSED:
                part[item] = 6 - part[item]
        n = part.notna().sum(axis=1)
        out[scale] = part.mean(axis=1).where(n >= NEEDED)
        out[f"{scale}_n_valid"] = n
    return out


def by_hand_polars(frame: Any) -> Any:
    """The same rule and the same three outputs, written for Polars."""
    import polars as pl

    new = []
    for scale, items in SCALES.items():
        values = [6 - pl.col(i) if i in REVERSED else pl.col(i) for i in items]
        n = pl.sum_horizontal([pl.col(i).is_not_null() for i in items])
        new += [
            pl.when(n >= NEEDED).then(pl.sum_horizontal(values) / n).alias(scale),
            n.cast(pl.Int64).alias(f"{scale}_n_valid"),
            pl.when(n >= NEEDED)
            .then(None)
            .when(n == 0)
            .then(pl.lit("no_answer"))
            .otherwise(pl.lit("too_few_answers"))
            .alias(f"{scale}_missing_reason"),
        ]
    return frame.with_columns(new)


def by_hand_duckdb(table: str) -> str:
    """The same in SQL."""
    new = ["*"]
    for scale, items in SCALES.items():
        n = "(" + " + ".join(f"({i} is not null)::int" for i in items) + ")"
        total = "(" + " + ".join(f"coalesce({'6 - ' + i if i in REVERSED else i}, 0)" for i in items) + ")"
        new += [
            f"case when {n} >= {NEEDED} then {total} / {n} end as {scale}",
            f"{n}::bigint as {scale}_n_valid",
            f"case when {n} >= {NEEDED} then null when {n} = 0 then 'no_answer' else 'too_few_answers' end "
            f"as {scale}_missing_reason",
        ]
    return f"select {', '.join(new)} from {table}"


def _arrow(relation: Any) -> Any:
    """Run a relation; its ``arrow()`` may be a reader that has read nothing yet."""
    return relation.to_arrow_table()


def million(n: int = 1_000_000) -> None:
    """``score`` beside hand-written code on the same engine."""
    import duckdb
    import pandas as pd
    import polars as pl

    from relmeasure.scoring import score

    inst, codes = instrument(), answers(n)
    print(f"\n{n:,} rows x {len(ITEMS)} items, {len(SCALES)} scales, one thread")
    eager = pl.DataFrame({i: pl.Series(codes[:, k]).fill_nan(None).cast(pl.Int64) for k, i in enumerate(ITEMS)})
    base = _timed("Polars by hand", lambda: by_hand_polars(eager))
    _timed("Polars score", lambda: score(inst, eager), base)
    base = _timed("Polars lazy by hand, collected", lambda: by_hand_polars(eager.lazy()).collect())
    _timed("Polars lazy score, collected", lambda: score(inst, eager.lazy()).collect(), base)
    small = eager.cast(pl.Int8)
    base = _timed("Polars Int8 by hand", lambda: by_hand_polars(small))
    _timed("Polars Int8 score", lambda: score(inst, small), base)
    connection = duckdb.connect()
    connection.execute("set threads = 1")
    connection.register("arrow", eager.to_arrow())
    connection.execute("create table answers as select * from arrow")
    table = connection.table("answers")
    base = _timed("DuckDB by hand, to Arrow", lambda: _arrow(connection.sql(by_hand_duckdb("answers"))))
    _timed("DuckDB score, to Arrow", lambda: _arrow(score(inst, table)), base)
    arrow = eager.to_arrow()
    _timed("PyArrow score", lambda: score(inst, arrow))
    frame = pd.DataFrame(codes, columns=ITEMS)
    base = _timed("pandas by hand (no reasons)", lambda: by_hand_pandas(frame))
    _timed("pandas score", lambda: score(inst, frame), base)


# --------------------------------------------------------------------------- ten million rows, lazily
def _write_parquet(path: Path, n: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(i, pa.int8()) for i in ITEMS])
    with pq.ParquetWriter(path, schema) as writer:
        for part in range(10):
            codes = answers(n // 10, part)
            arrays = [pa.array(codes[:, k], from_pandas=True).cast(pa.int8()) for k in range(len(ITEMS))]
            writer.write_table(pa.table(arrays, schema=schema))


def _peak() -> float:
    """Peak resident memory of this process in MB; ``ru_maxrss`` would count the parent's, from before ``exec``."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def _lazy_child(engine: str, source: str, target: str) -> None:
    """Run in a process of its own: score a Parquet file into another, and print time and peak memory."""
    from relmeasure.scoring import score

    inst = instrument()
    clock, cpu = time.perf_counter(), time.process_time()
    if engine == "polars":
        import polars as pl

        score(inst, pl.scan_parquet(source)).sink_parquet(target)
    else:
        import duckdb

        connection = duckdb.connect()
        connection.execute("set threads = 1; set preserve_insertion_order = false")
        score(inst, connection.read_parquet(source)).write_parquet(target)
    peak = _peak()
    wall, cpu = time.perf_counter() - clock, time.process_time() - cpu
    size = Path(target).stat().st_size / 2**20
    print(
        f"  {engine} score    wall {wall:6.1f} s   cpu {cpu:6.1f} s   peak RSS {peak:6.0f} MB   written {size:5.0f} MB"
    )


def _moments_child(engine: str, source: str) -> None:
    """The same for listwise moments of all items."""
    from relmeasure.responses.intake import as_moments

    clock, cpu = time.perf_counter(), time.process_time()
    if engine == "polars":
        import polars as pl

        found = as_moments(pl.scan_parquet(source))
    else:
        import duckdb

        connection = duckdb.connect()
        connection.execute("set threads = 1; set preserve_insertion_order = false")
        found = as_moments(connection.read_parquet(source))
    wall, cpu = time.perf_counter() - clock, time.process_time() - cpu
    print(f"  {engine} moments  wall {wall:6.1f} s   cpu {cpu:6.1f} s   peak RSS {_peak():6.0f} MB   n {found.n_obs:,}")


def lazy(n: int = 10_000_000) -> None:
    """Parquet to Parquet without holding the data."""
    print(f"\n{n:,} rows x {len(ITEMS)} items, Parquet to Parquet, lazily, one thread")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "answers.parquet"
        _write_parquet(source, n)
        print(f"  source {source.stat().st_size / 2**20:.0f} MB on disk, {n * 25 / 2**20:.0f} MB as int8")
        for engine in ("polars", "duckdb"):
            command = [sys.executable, __file__, "child", engine, str(source), str(Path(folder) / f"{engine}.parquet")]
            for extra in ([], ["moments"]):
                print(subprocess.run(command + extra, capture_output=True, text=True, check=True).stdout, end="")


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        if sys.argv[5:] == ["moments"]:
            _moments_child(*sys.argv[2:4])
        else:
            _lazy_child(*sys.argv[2:5])
    else:
        for wanted in sys.argv[1:] or ["start", "million", "lazy"]:
            {"start": start, "million": million, "lazy": lazy}[wanted]()
