"""Real ratings (OECD Global Teaching InSights): the same scores on every engine, and those of plain Python."""

from __future__ import annotations

import tomllib
import warnings
from pathlib import Path
from typing import Any

import pytest

from relmeasure.exceptions import RelmeasureWarning
from relmeasure.instruments.catalog import load_instrument
from relmeasure.responses.intake import scale_moments
from relmeasure.scoring import score
from tests.scoring.plain import PlainScorer
from tests.support import SOURCE, to_columns


def frames(path: Path) -> dict[str, Any]:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow.csv as pc

    return {
        "pandas": pd.read_csv(path),
        "polars": pl.read_csv(path, infer_schema_length=None),
        "polars lazy": pl.scan_csv(path, infer_schema_length=None),
        "polars text": pl.read_csv(path, infer_schema_length=0),
        "pyarrow": pc.read_csv(path),
        "duckdb": duckdb.read_csv(str(path), sample_size=-1),
    }


@pytest.mark.shared
def test_scores_of_real_ratings(shared_reference: Path) -> None:
    path = shared_reference / "data" / "gti_students" / "data.csv"
    instrument = load_instrument("gti-student")
    definition = tomllib.loads((SOURCE / "instruments" / "library" / "gti-student.toml").read_text(encoding="utf-8"))
    here = frames(path)
    present = set(here["polars"].columns)
    scales = [scale for scale in instrument.scale_ids if present.issuperset(instrument.scale_items(scale))]
    assert "relationship" in scales
    wanted = [f"{scale}{end}" for scale in scales for end in ("", "_n_valid", "_missing_reason")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelmeasureWarning)
        found = {name: to_columns(score(instrument, frame, scales=scales)) for name, frame in here.items()}
    first = {name: found["polars"][name] for name in wanted}
    for name, columns in found.items():
        assert {w: columns[w] for w in wanted} == first, name
    plain, answers = PlainScorer(definition), found["polars"]
    items = sorted({item for scale in scales for item in instrument.scale_items(scale)})
    for k in range(0, len(answers[wanted[0]]), 25):
        row = {item: answers[item][k] for item in items}
        for scale in scales:
            value, n_valid, reason = plain.reported(row, scale)
            assert first[scale][k] == (pytest.approx(value, rel=1e-12) if value is not None else None)
            assert (first[f"{scale}_n_valid"][k], first[f"{scale}_missing_reason"][k]) == (n_valid, reason)


@pytest.mark.shared
def test_moments_of_real_ratings(shared_reference: Path) -> None:
    path = shared_reference / "data" / "gti_students" / "data.csv"
    instrument = load_instrument("gti-student")
    found = {name: scale_moments(instrument, f, ["relationship"])["relationship"] for name, f in frames(path).items()}
    for name, moments in found.items():
        assert moments.equals(found["polars"], rtol=1e-11, atol=1e-9), name
    assert found["polars"].n_items == 5
