"""The eleven scales from their rows to the stored cells, end to end. Needs the larger real data."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import relmeasure as rm
from relmeasure.classical import alpha, guttman, omega, reliability, split_half
from relmeasure.instruments import Instrument
from tests.classical.stored import SCALES, numbers, quietly
from tests.classical.test_reference import CLOSED, PERSON_MEANS, STOPPED, check_alpha
from tests.reference.reliability.build import scales

pytestmark = pytest.mark.shared


@cache
def rows(folder: Path) -> dict[str, Any]:
    return scales(folder)


@cache
def values(folder: Path) -> Any:
    return json.loads((folder / "values" / "reliability.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("scale", SCALES)
def test_rows_give_the_stored_cells(scale: str, shared_reference: Path) -> None:
    frame = rows(shared_reference)[scale]
    wanted = values(shared_reference).get(scale)
    with quietly():
        result, best, halves = alpha(frame), guttman(frame), split_half(frame)
        fit, observed = omega(frame), omega(frame, denominator="observed")
        pairwise = alpha(frame, missing="pairwise", n_obs=len(frame))
    if wanted is None:
        assert result.n_obs == len(frame.dropna())
        return
    assert (len(frame), result.n_obs) == (wanted["n"], wanted["n_complete"])
    check_alpha(result, wanted["alpha_complete"], set())
    skip = set() if result.n_obs == len(frame) else PERSON_MEANS
    check_alpha(pairwise, wanted["alpha_pairwise"], skip)
    ours = [getattr(best, f"lambda{i}") for i in range(1, 7)]
    np.testing.assert_allclose(ours, [wanted["guttman"][f"lambda.{i}"] for i in range(1, 7)], rtol=CLOSED)
    ours = [halves.maximum, halves.minimum, halves.mean]
    np.testing.assert_allclose(ours, [wanted["splitHalf"][k] for k in ("maxrb", "minrb", "meanr")], rtol=CLOSED)
    block = wanted["cfa_omega_ML"]
    theirs = [block["omega"], *block["ci_delta"], *numbers(block["compRelSEM"])]
    ours = [fit.estimate, fit.lower, fit.upper, observed.estimate]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=STOPPED)


def test_rows_and_stored_statistics_are_the_same_data(shared_reference: Path) -> None:
    from tests.classical.stored import complete

    for scale in SCALES:
        m = rm.moments(rows(shared_reference)[scale].dropna())
        np.testing.assert_allclose(m.cov, complete(scale).cov, rtol=1e-12)
        assert m.n_obs == complete(scale).n_obs


def test_global_teaching_insights_by_instrument_on_three_engines(shared_reference: Path) -> None:
    import duckdb
    import pandas as pd
    import polars as pl

    path = shared_reference / "data" / "gti_students" / "data.csv"
    instrument: Instrument = rm.load_instrument("gti-student")
    tables = []
    for frame in (pd.read_csv(path), pl.read_csv(path, infer_schema_length=None), duckdb.read_csv(str(path))):
        with quietly():
            tables.append(reliability(instrument, frame).table)
    assert tables[0].equals(tables[1], rtol=1e-10)
    assert tables[0].equals(tables[2], rtol=1e-10)
    first = next(tables[0].rows())
    stored = values(shared_reference)["gti_studrel"]["alpha_complete"]
    assert first["scale"] == "relationship"
    assert first["estimate"] == pytest.approx(stored["total"]["raw_alpha"], rel=CLOSED)
    assert (first["n_obs"], first["n_rows"]) == (9705, 13530)
