"""A reader of everything that is published about the same classes: tables, dicts, files, monitoring, both views."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import relmeasure as rm
from relmeasure.cli import main
from relmeasure.scoring import score

STUDENT, TEACHER = (rm.load_instrument(f"relationship-{who}") for who in ("student", "teacher"))
SCALES = ["care", "trust", "relationship"]
"""Two parts and their composite."""

Equation = tuple[list[int], float]


def _answers(seed: int) -> Any:
    """Ten classes, some small, one in which nobody answers; languages, two schools, a composite that some miss."""
    rng = np.random.default_rng(seed)
    sizes = [*rng.integers(3, 26, 9).tolist(), 7]
    data: Any = rm.simulate(STUDENT, n_clusters=10, cluster_size=sizes, icc=0.2, missing=0.04, rng=seed)
    items = [name for name in data.columns if name not in ("class_id", "student_id")]
    data.loc[data["class_id"] == "class-10", items] = None
    data["school"] = np.where(data["class_id"] < "class-06", "north", "south")
    data["language"] = rng.choice(["de", "en", "tr"], len(data), p=[0.6, 0.3, 0.1])
    return data


def _floats(value: Any) -> Iterator[float]:
    """Every number in a result's dict."""
    if isinstance(value, dict):
        for part in value.values():
            yield from _floats(part)
    elif isinstance(value, list):
        for part in value:
            yield from _floats(part)
    elif isinstance(value, float):
        yield value


class Reader:
    """Collects what published numbers say about sums of scores of (class, language) cells of one scale."""

    def __init__(self, cells: list[tuple[str, str]], home: dict[str, str]) -> None:
        self.cells, self.home = cells, home
        self.equations: list[Equation] = []

    def add(self, mine: Any, n: float, mean: float) -> None:
        """The sum over some cells."""
        self.equations.append(([k for k, cell in enumerate(self.cells) if mine(cell)], n * mean))

    def read(self, frame: Any, scale: str, column: str = "mean") -> None:
        """Any published table with classes, totals, groups, counts and means."""
        for row in frame[frame["scale"] == scale].to_dict("records"):
            if row["n"] != row["n"] or row["n"] is None or row[column] != row[column]:
                continue
            if "total" in row:
                self.add(lambda c, row=row: row["total"] in ("all", self.home[c[0]]), row["n"], row[column])
            elif "group" in row and "cluster" in row:
                self.add(lambda c, row=row: c == (row["cluster"], row["group"]), row["n"], row[column])
            elif "group" in row:
                self.add(lambda c, row=row: c[1] == row["group"], row["n"], row[column])
            else:
                self.add(lambda c, row=row: c[0] == row["cluster"], row["n"], row[column])

    def matrix(self) -> tuple[Any, Any]:
        """The system of equations."""
        rows = np.zeros((len(self.equations), len(self.cells)))
        for k, (mine, _) in enumerate(self.equations):
            rows[k, mine] = 1
        return rows, np.array([right for _, right in self.equations])


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
@pytest.mark.filterwarnings("ignore::relmeasure.RelmeasureWarning")
def test_all_outputs_together_reveal_no_small_sum(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Class scores, monitoring, the view beside the teacher's and the written files, as one system of equations."""
    import pandas as pd

    data = _answers(seed)
    shared: dict[str, Any] = {"school": "school", "scales": SCALES}
    classes = rm.classroom_scores(STUDENT, data, by="language", below=2.5, **shared)
    monitored = rm.monitor(STUDENT, data, standard=2.5, n_draws=100, **shared)
    teachers = rm.simulate(TEACHER, n_clusters=10, cluster_size=1, rng=seed)
    teachers["class_id"] = [f"class-{k:02d}" for k in range(1, 11)]
    views = rm.perception_gap(TEACHER, teachers, STUDENT, data, n_boot=5, **shared)
    answers, out = tmp_path / "answers.csv", tmp_path / "out.csv"
    data.to_csv(answers, index=False)
    words = ["classes", STUDENT.id, answers, "--school", "school", "--by", "language", "--out", out]
    monkeypatch.setattr(sys, "argv", ["relmeasure", *map(str, words), *(w for s in SCALES for w in ("--scale", s))])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    files = [pd.read_csv(tmp_path / f"out{end}.csv") for end in ("", "-totals", "-subgroups", "-subgroup-totals")]

    scored: Any = score(STUDENT, data, scales=SCALES)
    for part in ("care", "trust"):  # parts of a composite count where the composite does
        scored[part] = scored[part].where(scored["relationship"].notna())
    home = dict(zip(data["class_id"], data["school"], strict=True))
    for scale in SCALES:
        sums = scored.dropna(subset=[scale]).groupby(["class_id", "language"])[scale].agg(["count", "sum"])
        cells = [(str(a), str(b)) for a, b in sums.index]
        count, total = sums["count"].to_numpy(), sums["sum"].to_numpy(dtype=float)
        reader = Reader(cells, home)
        for name in ("table", "totals", "subgroups", "subgroup_totals"):
            reader.read(getattr(classes, name).to_frame(), scale)
        reader.read(monitored.to_frame(), scale)
        low, high = STUDENT.scale_range(scale)
        seen = views.to_frame().assign(own=lambda f, low=low, high=high: low + f["students"] * (high - low) / 100)
        reader.read(seen, scale, "own")
        for frame in files:
            reader.read(frame, scale)
        rows, right = reader.matrix()
        assert rows @ total == pytest.approx(right)  # the reader's equations are true
        assert len(rows) > 20
        _, size, axes = np.linalg.svd(rows, full_matrices=False)
        span = axes[size > 1e-9]
        small = np.flatnonzero(count < 6)
        assert len(small) > 3
        for width in (1, 2, 3):
            for chosen in combinations(small, width):
                wanted = np.zeros(len(cells))
                wanted[list(chosen)] = 1
                if wanted @ count < 6:
                    assert np.abs(span.T @ (span @ wanted) - wanted).max() > 1e-6, [cells[k] for k in chosen]
        hidden = {
            c for c, s in zip(classes.table["cluster"], classes.table["status"], strict=True) if s == "suppressed"
        }
        assert hidden == {
            c for c, s in zip(monitored.table["cluster"], monitored.table["status"], strict=True) if s == "suppressed"
        }
        assert not hidden & set(views.table["cluster"])


@pytest.mark.filterwarnings("ignore::relmeasure.RelmeasureWarning")
def test_no_number_of_any_output_moves_with_a_hidden_class(tmp_path: Path) -> None:
    """Other answers in the hidden classes, with the same sum over them: every float of every dict stays."""
    data = _answers(2)
    result = rm.classroom_scores(STUDENT, data, scales=["care"])
    hidden = [c for c, s in zip(result.table["cluster"], result.table["status"], strict=True) if s == "suppressed"]
    small = [c for c in hidden if (data["class_id"] == c).sum() > 1 and c != "class-10"]
    assert len(small) >= 2
    moved = data.copy()
    rows = [moved.index[(moved["class_id"] == c) & moved["care_1"].notna()][0] for c in small[:2]]
    one, two = moved.loc[rows, list(STUDENT.scale_items("care"))].to_numpy(dtype=object)
    moved.loc[rows[0], list(STUDENT.scale_items("care"))] = two
    moved.loc[rows[1], list(STUDENT.scale_items("care"))] = one
    teachers = rm.simulate(TEACHER, n_clusters=10, cluster_size=1, rng=2)
    teachers["class_id"] = [f"class-{k:02d}" for k in range(1, 11)]
    calls = (
        lambda d: rm.classroom_scores(STUDENT, d, scales=["care"], interval="profile"),
        lambda d: rm.monitor(STUDENT, d, scales=["care"], standard=2.5, n_draws=100),
        lambda d: rm.perception_gap(TEACHER, teachers, STUDENT, d, scales=["care"], n_boot=5),
    )
    for call in calls:
        before, after = (list(_floats(json.loads(json.dumps(call(d).to_dict())))) for d in (data, moved))
        assert before == pytest.approx(after, rel=1e-12)


def test_a_class_that_answered_one_scale_only_is_protected() -> None:
    """Three students answer care and nothing else: hidden with cover, or beside the composite counted nowhere."""
    data: Any = rm.simulate(STUDENT, n_clusters=4, cluster_size=[3, 18, 20, 22], icc=0.2, rng=5)
    others = [item for item in STUDENT.item_ids if item in data.columns and item not in STUDENT.scale_items("care")]
    data.loc[data["class_id"] == "class-1", others] = None
    for scales, hidden, counted in ((["care", "trust"], 2, 63), (["care", "trust", "relationship"], 1, 60)):
        result = rm.classroom_scores(STUDENT, data, scales=scales)
        care = [row["status"] for row in result.table.rows() if row["scale"] == "care"]
        assert care.count("suppressed") == hidden
        assert [row["n"] for row in result.totals.rows() if row["scale"] == "care"] == [counted]
    empty = data[data["class_id"] != "class-1"].copy()
    ghost = data[data["class_id"] == "class-1"].copy()
    ghost[list(STUDENT.scale_items("care"))] = None
    import pandas as pd

    both = rm.classroom_scores(STUDENT, pd.concat([empty, ghost]), scales=["care"]).to_frame()
    assert both.set_index("cluster")["status"].eq("suppressed").to_dict() == {
        "class-1": True, "class-2": False, "class-3": False, "class-4": False,
    }  # fmt: skip
