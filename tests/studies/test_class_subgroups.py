"""Subgroups of classes, sampling weights, intervals of components: numbers, gates, and a reader of every table at once."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relmeasure.cli.tables import read_table
from relmeasure.exceptions import ColumnNotFoundError, DataError, OptionError
from relmeasure.instruments import Instrument, load_instrument
from relmeasure.multilevel import icc
from relmeasure.scoring import score
from relmeasure.simulation import simulate
from relmeasure.studies.classrooms import ClassroomScores, classroom_scores
from tests.support import Constructor

SIZES = [4, 5, 8, 12, 15, 18, 20, 22, 25, 25, 28, 30]
SCALES = ["care", "trust"]


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    """Four scales of six items."""
    return load_instrument("relationship-student")


@pytest.fixture(scope="module")
def answers(instrument: Instrument) -> Any:
    """Twelve classes, two schools, three languages of which one is rare, some students without one, weights."""
    data = simulate(instrument, n_clusters=len(SIZES), cluster_size=SIZES, icc=0.25, missing=0.05, rng=12)
    rng = np.random.default_rng(3)
    data["school"] = np.where(data["class_id"] < "class-07", "north", "south")
    data["language"] = rng.choice(["de", "en", "tr"], len(data), p=[0.5, 0.4, 0.1])
    data.loc[rng.random(len(data)) < 0.03, "language"] = None
    data["weight"] = rng.uniform(0.5, 3, len(data))
    return data


# --------------------------------------------------------------------------- numbers
def test_cells_are_the_means_of_their_students(instrument: Instrument, answers: Any) -> None:
    """n, mean, sd, share below and interval of every visible cell; subgroup totals over all classes."""
    result = classroom_scores(instrument, answers, by="language", scales=["care"], below=2.5)
    scored: Any = score(instrument, answers, scales=["care"])
    cells = result.subgroups.to_frame()
    sigma2 = result.components["sigma2"][0]
    seen = cells[cells["status"].isin(["reportable", "low reliability"])]
    assert len(seen) >= 6
    for row in seen.to_dict("records"):
        mine = scored[(scored["class_id"] == row["cluster"]) & (scored["language"] == row["group"])]["care"]
        values = mine.dropna().astype(float)
        assert row["n"] == len(values) >= 6
        assert row["mean"] == pytest.approx(values.mean(), rel=1e-12)
        assert row["sd"] == pytest.approx(values.std(), rel=1e-9)
        assert row["share_below"] == pytest.approx((values < 2.5).mean())
        assert row["se"] == pytest.approx(np.sqrt(sigma2 / len(values)))
        assert (row["status"] == "reportable") == (len(values) >= 15)
    for row in result.subgroup_totals.rows():
        values = scored[scored["language"] == row["group"]]["care"].dropna().astype(float)
        if row["status"] == "reportable":
            assert (row["n"], row["mean"]) == (len(values), pytest.approx(values.mean()))


def test_every_engine_gives_the_same(instrument: Instrument, answers: Any, constructor: Constructor) -> None:
    """Subgroups and weights, lazy or not."""
    plain = answers.astype(object).where(answers.notna(), None)
    frame = constructor({name: plain[name].to_list() for name in plain})
    options: dict[str, Any] = {"by": "language", "weights": "weight", "school": "school", "scales": SCALES}
    found, reference = (classroom_scores(instrument, d, **options) for d in (frame, answers))
    for name in ("table", "totals", "components", "subgroups", "subgroup_totals"):
        assert getattr(found, name).equals(getattr(reference, name), rtol=1e-9), name


def test_an_empty_cell_is_told_from_a_hidden_one(instrument: Instrument, answers: Any) -> None:
    """Nobody speaks it in this class: n is 0, nothing to hide."""
    data = answers.copy()
    data.loc[(data["class_id"] == "class-12") & (data["language"] == "tr"), "language"] = "de"
    cells = classroom_scores(instrument, data, by="language", scales=["care"]).subgroups.to_frame()
    row = cells[(cells["cluster"] == "class-12") & (cells["group"] == "tr")].iloc[0]
    assert (row["n"], row["status"]) == (0, "no students")


# --------------------------------------------------------------------------- the attacker
def _equations(result: ClassroomScores, scale: str, cells: list[tuple[str, str]], home: dict[str, str]) -> Any:
    """What a reader knows about sums of scores: one row an equation over (class, language or none)."""
    index = {cell: k for k, cell in enumerate(cells)}
    rows, right = [], []

    def add(mine: list[tuple[str, str]], n: float, mean: float) -> None:
        row = np.zeros(len(cells))
        row[[index[cell] for cell in mine]] = 1
        rows.append(row)
        right.append(n * mean)

    for r in result.table.rows():
        if r["scale"] == scale and r["status"] != "suppressed":
            add([c for c in cells if c[0] == r["cluster"]], r["n"], r["mean"])
    for r in result.totals.rows():
        if r["scale"] == scale and r["status"] != "suppressed":
            add([c for c in cells if r["total"] in ("all", home[c[0]])], r["n"], r["mean"])
    for r in result.subgroups.rows():
        if r["scale"] == scale and r["status"] in ("reportable", "low reliability"):
            add([(r["cluster"], r["group"])], r["n"], r["mean"])
    for r in result.subgroup_totals.rows():
        if r["scale"] == scale and r["status"] != "suppressed":
            add([c for c in cells if c[1] == r["group"]], r["n"], r["mean"])
    return np.array(rows), np.array(right)


@pytest.mark.parametrize("school", [None, "school"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_reader_of_every_table_cannot_compute_a_small_cell(
    instrument: Instrument, school: str | None, seed: int
) -> None:
    """Class, school, subgroup and overall tables of all scales as one system of equations: no small sum follows."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(4, 26, 9).tolist()
    data: Any = simulate(instrument, n_clusters=9, cluster_size=sizes, icc=0.2, missing=0.04, rng=seed)
    data["school"] = np.where(data["class_id"] < "class-5", "north", "south")
    data["language"] = rng.choice(["de", "en", "tr"], len(data), p=[0.6, 0.3, 0.1])
    data.loc[rng.random(len(data)) < 0.05, "language"] = None
    result = classroom_scores(instrument, data, by="language", school=school, scales=SCALES)
    scored: Any = score(instrument, data, scales=SCALES)
    scored["language"] = scored["language"].fillna("none")
    home = dict(zip(scored["class_id"], scored["school"], strict=True))
    for scale in SCALES:
        sums = scored.dropna(subset=[scale]).groupby(["class_id", "language"])[scale].agg(["count", "sum"])
        cells = [(str(a), str(b)) for a, b in sums.index]
        count, total = sums["count"].to_numpy(), sums["sum"].to_numpy(dtype=float)
        rows, right = _equations(result, scale, cells, home)
        assert rows @ total == pytest.approx(right)  # the reader's equations are true
        _, size, axes = np.linalg.svd(rows, full_matrices=False)
        span = axes[size > 1e-9]
        small = np.flatnonzero(count < 6)
        for width in (1, 2, 3):
            for chosen in combinations(small, width):
                wanted = np.zeros(len(cells))
                wanted[list(chosen)] = 1
                if wanted @ count < 6:
                    assert np.abs(span.T @ (span @ wanted) - wanted).max() > 1e-6, [cells[k] for k in chosen]


def test_nothing_published_moves_with_a_hidden_cell(instrument: Instrument, answers: Any) -> None:
    """Two students of hidden cells of one class change places: every table stays as it is."""
    scales = ["care"]
    items = list(instrument.scale_items("care"))
    before = classroom_scores(instrument, answers, by="language", scales=scales)
    cells = before.subgroups.to_frame()
    complete: Any = answers.dropna(subset=[*items, "language"])
    hidden = {(r["cluster"], r["group"]) for r in cells.to_dict("records") if r["status"] == "suppressed"}
    shown = set(before.to_frame().query("status != 'suppressed'")["cluster"])
    swapped, moved = answers.copy(), 0
    for label in sorted(shown):
        mine = [g for c, g in sorted(hidden) if c == label]
        rows = [complete[(complete["class_id"] == label) & (complete["language"] == g)].index[:1] for g in mine]
        first = [r[0] for r in rows if len(r)]
        if len(first) >= 2:
            swapped.loc[[first[0], first[1]], items] = answers.loc[[first[1], first[0]], items].to_numpy()
            moved += 1
    assert moved > 0
    after = classroom_scores(instrument, swapped, by="language", scales=scales)
    assert before.table.equals(after.table)
    assert before.subgroups.equals(after.subgroups)
    assert before.components.equals(after.components)


# --------------------------------------------------------------------------- weights
def test_weights_weigh_means_and_errors(instrument: Instrument, answers: Any) -> None:
    """Weighted mean and share; error and reliability of the effective number; gates by heads."""
    result = classroom_scores(instrument, answers, weights="weight", scales=["care"], below=2.5)
    scored: Any = score(instrument, answers, scales=["care"]).dropna(subset=["care"])
    table = result.to_frame().set_index("cluster")
    shown = table.index[table["status"] != "suppressed"]
    seen = scored[scored["class_id"].isin(shown)]
    between = icc(seen["care"].astype(float), cluster=seen["class_id"])
    for label in shown:
        mine = scored[scored["class_id"] == label]
        value, weight = mine["care"].to_numpy(dtype=float), mine["weight"].to_numpy()
        size = weight.sum() ** 2 / (weight**2).sum()
        row = table.loc[label]
        assert row["n"] == len(value)
        assert row["mean"] == pytest.approx(np.average(value, weights=weight))
        assert row["share_below"] == pytest.approx(np.average(value < 2.5, weights=weight))
        assert row["se"] == pytest.approx(np.sqrt(between.sigma2 / size), rel=1e-6)
        assert row["reliability"] == pytest.approx(between.tau2 / (between.tau2 + between.sigma2 / size), rel=1e-6)
    total = result.totals.to_frame().iloc[0]
    assert total["mean"] == pytest.approx(np.average(scored["care"].to_numpy(dtype=float), weights=scored["weight"]))


def test_equal_weights_change_nothing(instrument: Instrument, answers: Any) -> None:
    """All twos: the unweighted tables."""
    plain = classroom_scores(instrument, answers, by="language", scales=["care"], below=2.0)
    same = classroom_scores(instrument, answers.assign(w=2.0), by="language", weights="w", scales=["care"], below=2.0)
    for name in ("table", "totals", "subgroups", "subgroup_totals"):
        assert getattr(same, name).equals(getattr(plain, name), rtol=1e-9), name


@pytest.mark.parametrize("bad", [None, 0.0, -1.0])
def test_bad_weights_are_named(instrument: Instrument, answers: Any, bad: float | None) -> None:
    """Missing, zero, negative: how many rows."""
    data = answers.copy()
    data.loc[data.index[:3], "weight"] = bad
    with pytest.raises(DataError, match="3 rows have no weight above zero in 'weight'"):
        classroom_scores(instrument, data, weights="weight", scales=["care"])


# --------------------------------------------------------------------------- components, warnings, nonsense
@pytest.mark.parametrize("engine", ["pandas", "polars", "duckdb"])
def test_weights_of_a_text_file_are_numbers(instrument: Instrument, answers: Any, tmp_path: Path, engine: Any) -> None:
    """Read as text from CSV: the same as numbers; words and gaps are counted, on every engine."""
    pytest.importorskip(engine)
    path = tmp_path / "answers.csv"
    answers.to_csv(path, index=False)
    found = classroom_scores(instrument, read_table(path, engine), weights="weight", scales=["care"])
    assert found.table.equals(classroom_scores(instrument, answers, weights="weight", scales=["care"]).table, rtol=1e-9)
    for wrong in ("many", "", "-1", "0"):
        spoiled = answers.astype({"weight": object})
        spoiled.loc[spoiled.index[:2], "weight"] = wrong
        spoiled.to_csv(path, index=False)
        with pytest.raises(DataError, match="2 rows have no weight above zero in 'weight'"):
            classroom_scores(instrument, read_table(path, engine), weights="weight", scales=["care"])


@pytest.mark.parametrize("interval", ["profile", "bootstrap"])
def test_intervals_of_components(instrument: Instrument, answers: Any, interval: Any) -> None:
    """Those of icc over the classes shown."""
    result = classroom_scores(instrument, answers, scales=["care"], interval=interval, n_boot=100, rng=5)
    shown = result.to_frame().query("status != 'suppressed'")["cluster"]
    scored: Any = score(instrument, answers, scales=["care"])
    seen = scored[scored["class_id"].isin(shown)]
    kind: Any = "bootstrap" if interval == "bootstrap" else "model"
    expected = icc(seen["care"].astype(float), cluster=seen["class_id"], interval=kind, n_boot=100, rng=5)
    (row,) = result.components.rows()
    bounds = (row["icc1_lower"], row["icc1_upper"])
    assert bounds == pytest.approx((expected.icc1_lower, expected.icc1_upper), rel=1e-4)
    assert np.isnan(classroom_scores(instrument, answers, scales=["care"]).components["icc1_lower"][0])


def test_waves_and_subgroups(instrument: Instrument, answers: Any) -> None:
    """Each wave has its own cells and decisions; results round-trip."""
    import pandas as pd

    later = answers.assign(wave="spring")
    both = pd.concat([answers.assign(wave="fall"), later[later["class_id"] != "class-03"]])
    result = classroom_scores(instrument, both, wave="wave", by="language", scales=["care"])
    assert set(result.subgroups["wave"]) == {"fall", "spring"}
    one = classroom_scores(instrument, answers, by="language", scales=["care"]).subgroups.to_frame()
    fall = result.subgroups.to_frame().query("wave == 'fall'").drop(columns="wave").reset_index(drop=True)
    assert fall.equals(one)
    assert ClassroomScores.from_dict(json.loads(json.dumps(result.to_dict()))).equals(result)


def test_wrong_calls_are_named(instrument: Instrument, answers: Any) -> None:
    """Columns that are not there or named twice, options that do not exist."""
    with pytest.raises(ColumnNotFoundError, match="gender"):
        classroom_scores(instrument, answers, by="gender", scales=["care"])
    with pytest.raises(ColumnNotFoundError, match="wt"):
        classroom_scores(instrument, answers, weights="wt", scales=["care"])
    with pytest.raises(OptionError, match="two things"):
        classroom_scores(instrument, answers, by="class_id", scales=["care"])
    with pytest.raises(OptionError, match="bootstrap"):
        classroom_scores(instrument, answers, interval="delta")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="n_boot"):
        classroom_scores(instrument, answers, n_boot=0)
    with pytest.raises(OptionError, match="conf_level"):
        classroom_scores(instrument, answers, conf_level=2.0)
    many = answers.assign(home=[f"h{k % 11}" for k in range(len(answers))])
    with pytest.raises(DataError, match="11 subgroups"):
        classroom_scores(instrument, many, by="home", scales=["care"])
