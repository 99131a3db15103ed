"""Before lags are compared: whether the scores mean the same in every wave."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from relmeasure.equivalence import invariance
from relmeasure.exceptions import RelmeasureError, RelmeasureWarning
from relmeasure.instruments.definition import Instrument
from relmeasure.responses.waves import WaveRows
from relmeasure.results import Table
from relmeasure.studies.cycle_words import NOT_TESTED

__all__ = ["comparable", "invariance_over_waves"]

COLUMNS = ("instrument", "scale", "reached", "comparable", "conclusion")


def invariance_over_waves(
    instruments: tuple[Instrument, ...],
    data: Any,
    scores: Sequence[str],
    wave: str | None,
    cluster: str,
    student: str | None,
) -> Table:
    """Test every scale over waves as groups of different students, standard errors and tests robust to classes.

    Lags need equal loadings at the least (metric). Students followed over waves are the same persons, not groups.
    """
    rows: list[dict[str, Any]] = []
    when: dict[str, Any] = {"group": wave} if student is None else {"wave": wave, "person": student}
    for instrument in instruments if wave is not None else ():
        for scale in (s for s in scores if s in instrument.scale_ids):
            row: dict[str, Any] = {"instrument": instrument.label, "scale": scale}
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", RelmeasureWarning)  # the conclusion says what matters here
                    found = invariance(instrument, data, **when, cluster=cluster, estimator="MLR", scales=[scale])
            except RelmeasureError as problem:
                told = f"{scale}: invariance over waves could not be tested ({problem})"
                rows.append(row | {"reached": None, "comparable": False, "conclusion": told})
                continue
            enough = found.reached in ("metric", "scalar", "strict")
            told = f"{scale}: {found.conclusion}"
            rows.append(row | {"reached": found.reached, "comparable": enough, "conclusion": told})
    return Table.from_rows(rows, COLUMNS)


def comparable(table: Table, rows: WaveRows, wave: str | None, cluster: str, student: str | None) -> str:
    """What is known of the comparability of scores over waves, in a sentence."""
    if len(rows.waves) < 2:
        return ""
    if not len(table):
        when = f"group={wave!r}" if student is None else f"wave={wave!r}, person={student!r}"
        return NOT_TESTED.format(when=when, cluster=cluster)
    poor = [row["scale"] for row in table.rows() if not row["comparable"]]
    if poor:
        named = ", ".join(poor)
        return f"Invariance over waves was not reached, or could not be tested, for {named}: read lags with care."
    reached = ", ".join(f"{row['scale']} {row['reached']}" for row in table.rows())
    return f"Invariance over waves holds far enough to compare lags ({reached})."
