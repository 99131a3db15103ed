"""``relmeasure demo``: a simulated school from end to end, and what its tables mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from relmeasure.classical import reliability
from relmeasure.cli.display import console, print_table
from relmeasure.cli.tables import write_table
from relmeasure.instruments import Instrument, load_instrument
from relmeasure.results import Table
from relmeasure.scoring import score
from relmeasure.simulation import population_alpha, simulate
from relmeasure.studies.screening import check

__all__ = ["DEFAULT_SEED", "run_demo"]

DEFAULT_SEED = 2022
_CLASSES, _SIZES, _ICC, _LOADING, _MISSING = 24, (15, 28), 0.20, 0.70, 0.03


def run_demo(folder: Path, seed: int = DEFAULT_SEED) -> None:
    """Simulate, check, score and report one school; write the tables into ``folder``."""
    instrument = load_instrument("relationship-student")
    data = simulate(
        instrument, n_clusters=_CLASSES, cluster_size=_SIZES, icc=_ICC, loading=_LOADING, missing=_MISSING, rng=seed
    )
    _say(
        f"A simulated school: {len(data)} students in {_CLASSES} classes answer '{instrument.id}' "
        f"({len(instrument.item_ids)} items). Seed {seed}; every answer is invented."
    )
    verdict = check(instrument, data)
    scored = score(instrument, data)
    reliabilities = reliability(instrument, data)
    folder.mkdir(parents=True, exist_ok=True)
    outputs = {
        "answers.csv": data,
        "scores.csv": scored,
        "check.csv": verdict.to_frame(),
        "reliability.csv": reliabilities.to_frame(),
    }
    for name, frame in outputs.items():
        write_table(frame, folder / name)
    _say("\n1. Can the scores be used?")
    _say(verdict.summary())
    _say("\n2. The scores (means on the 1-4 scale)")
    print_table(_score_table(instrument, scored))
    _say("\n3. Reliability over students, beside the truth of the simulation")
    table = _reliability_table(instrument, reliabilities.to_frame())
    print_table(table)
    _say("\nWhat this means")
    for line in _meaning(table):
        _say(f"- {line}")
    _say(f"\nTables are in {folder}: {', '.join(outputs)}.")


def _score_table(instrument: Instrument, scored: Any) -> Table:
    rows = []
    for scale in instrument.scale_ids:
        values, reason = scored[scale], scored[f"{scale}_missing_reason"]
        rows.append(
            {
                "scale": scale,
                "students": int(values.notna().sum()),
                "not scored": int(reason.notna().sum()),
                "mean": float(values.mean()),
                "sd": float(values.std()),
            }
        )
    return Table.from_rows(rows)


def _reliability_table(instrument: Instrument, estimates: Any) -> Table:
    truth = population_alpha(instrument, loading=_LOADING)
    known = dict(zip(truth["scale"], truth["alpha"], strict=True))
    rows = []
    for row in estimates[estimates["coefficient"] == "alpha"].to_dict("records"):
        if row["scale"] in known:
            inside = row["lower"] <= known[row["scale"]] <= row["upper"]
            rows.append(
                {
                    "scale": row["scale"],
                    "alpha": row["estimate"],
                    "lower": row["lower"],
                    "upper": row["upper"],
                    "rows": int(row["n_obs"]),
                    "true alpha": known[row["scale"]],
                    "inside": "yes" if inside else "no",
                }
            )
    return Table.from_rows(rows)


def _meaning(table: Table) -> list[str]:
    n, inside = len(table), table["inside"].count("yes")
    low = min(table["alpha"])
    verdict = "well enough to compare groups of students" if low >= 0.7 else "too loosely to lean on"
    lines = f"""
The truth lies inside {inside} of {n} of the 95% intervals; over many seeds it would in about 95 of 100.
Alpha of {low:.2f} or more: students' answers to the items of a scale hang together {verdict}.
This is reliability over students. It does not say whether a class mean can be trusted: that depends on how many \
students a class has and how much classes differ.
Students with too few answers have no score, and the column <scale>_missing_reason says why.
"""
    return lines.strip().splitlines()


def _say(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
