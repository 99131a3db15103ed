"""Raters: the published table, R, both names of every coefficient, designs that are not crossed, nonsense."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relmeasure.exceptions import (
    ColumnNotFoundError,
    DataError,
    ListwiseDeletionWarning,
    OptionError,
    TooFewObservationsError,
    UnsupportedDataError,
)
from relmeasure.multilevel.kappa import pair_kappa
from relmeasure.multilevel.raters import InterraterResult, interrater
from tests.support import Constructor, load_reference

STORED = load_reference("multilevel/interrater")
CLOSED_FORM = 1e-10
"""Closed forms on up to 1,351 targets; R prints 15 digits."""

SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)


def _video() -> Any:
    codes, table = np.array(STORED["gti_codes"], float), np.array(STORED["gti_table"])
    first, second = np.divmod(np.repeat(np.arange(table.size), table.ravel()), len(codes))
    return np.column_stack([codes[first], codes[second]])


def _named(result: InterraterResult) -> dict[str, dict[str, Any]]:
    return {row["shrout_fleiss"]: row for row in result.icc_table.rows() if row["shrout_fleiss"]}


@pytest.mark.parametrize("case", ["shrout_fleiss", "gti_video_2raters"])
def test_every_cell_of_psych(case: str) -> None:
    """Estimate, F, degrees of freedom, p and interval of six forms."""
    found = _named(interrater(SHROUT_FLEISS if case == "shrout_fleiss" else _video()))
    columns = STORED["icc"][case]["columns"]
    pairs = {
        "estimate": "ICC",
        "f": "F",
        "df1": "df1",
        "df2": "df2",
        "pvalue": "p",
        "lower": "lower bound",
        "upper": "upper bound",
    }
    for k, name in enumerate(columns["type"]):
        row = found[f"ICC({name[3]},{'k' if name.endswith('k') else 1})"]
        for mine, theirs in pairs.items():
            assert row[mine] == pytest.approx(columns[theirs][k], rel=CLOSED_FORM), (name, mine)


def test_published_table() -> None:
    """Shrout & Fleiss (1979), Table 4, and their mean squares (Table 3)."""
    result = interrater(SHROUT_FLEISS)
    published = {
        "ICC(1,1)": 0.17,
        "ICC(2,1)": 0.29,
        "ICC(3,1)": 0.71,
        "ICC(1,k)": 0.44,
        "ICC(2,k)": 0.62,
        "ICC(3,k)": 0.91,
    }
    assert {name: round(row["estimate"], 2) for name, row in _named(result).items()} == published
    squares = (result.ms_targets, result.ms_within, result.ms_raters, result.ms_error)
    assert squares == pytest.approx((11.24, 6.26, 32.49, 1.02), abs=0.005)


def test_the_same_number_has_the_same_mcgraw_wong_name() -> None:
    """Ten rows, six numbers; ids are unique; every row says model, type and unit."""
    table = interrater(SHROUT_FLEISS).icc_table
    assert len(set(table["definition"])) == len(table) == 10
    by_name: dict[str, set[float]] = {}
    for row in table.rows():
        by_name.setdefault(row["mcgraw_wong"], set()).add(row["estimate"])
        assert row["unit"] in {"single", "average"}
        assert row["model"] in {"one-way random", "two-way random", "two-way mixed"}
    assert set(by_name) == {"ICC(1)", "ICC(k)", "ICC(A,1)", "ICC(A,k)", "ICC(C,1)", "ICC(C,k)"}
    assert all(len(values) == 1 for values in by_name.values())


def test_kappa_and_its_intervals_are_those_of_psych() -> None:
    """Unweighted and quadratic weights."""
    stored = STORED["icc"]["cohen_kappa"]
    rows = {row["weights"]: row for row in interrater(_video()).kappa_table.rows()}
    for weights, values in zip(("none", "quadratic"), stored["ci"]["values"], strict=True):
        found = [rows[weights][name] for name in ("lower", "estimate", "upper")]
        assert found == pytest.approx(values, rel=CLOSED_FORM)


def test_published_kappa() -> None:
    """Fleiss, Cohen & Everitt (1969), Table 1: kappa .429, standard error .054 with 200 targets."""
    table = np.array([[53, 5, 2], [11, 14, 5], [1, 6, 3]]) * 2
    place = np.repeat(np.arange(9), table.ravel())
    pair = pair_kappa((place // 3).astype(float), (place % 3).astype(float), "none")
    assert pair.kappa == pytest.approx(0.429, abs=0.0005)
    assert pair.se == pytest.approx(0.054, abs=0.001)


def test_quadratic_kappa_is_an_intraclass_correlation() -> None:
    """With n - 1 in place of n it is ICC(A,1) (Fleiss & Cohen, 1973); in large samples they meet."""
    result = interrater(_video())
    kappa = next(r for r in result.kappa_table.rows() if r["weights"] == "quadratic")["estimate"]
    assert kappa == pytest.approx(_named(result)["ICC(2,1)"]["estimate"], abs=1 / result.n_targets)


def test_several_raters_have_a_mean_kappa_with_its_own_error() -> None:
    """The mean over pairs, and a jackknife over targets for its standard error."""
    rng = np.random.default_rng(4)
    truth = rng.integers(1, 5, 400)
    ratings = np.clip(truth[:, None] + rng.integers(-1, 2, (400, 3)), 1, 4).astype(float)
    rows = [r for r in interrater(ratings).kappa_table.rows() if r["weights"] == "linear"]
    mean = rows[-1]
    assert mean["raters"] == "mean of pairs"
    assert mean["estimate"] == pytest.approx(np.mean([r["estimate"] for r in rows[:-1]]))

    def light(values: Any) -> float:
        pairs = ((0, 1), (0, 2), (1, 2))
        return float(np.mean([pair_kappa(values[:, a], values[:, b], "linear").kappa for a, b in pairs]))

    left_out = np.array([light(np.delete(ratings, k, axis=0)) for k in range(len(ratings))])
    jackknife = math.sqrt((len(left_out) - 1) * left_out.var())
    assert mean["se"] == pytest.approx(jackknife, rel=0.01)


def test_long_and_wide_give_the_same(constructor: Constructor) -> None:
    """One row a rating, in any order and of any engine."""
    rows = [(f"t{t}", f"r{r}", SHROUT_FLEISS[t, r]) for t in range(6) for r in range(4)]
    rows = [rows[k] for k in np.random.default_rng(1).permutation(len(rows))]
    columns = {name: [row[k] for row in rows] for k, name in enumerate(("target", "rater", "score"))}
    found = interrater(constructor(columns), target="target", rater="rater")
    wide = interrater(constructor({f"r{r}": SHROUT_FLEISS[:, r].tolist() for r in range(4)}))
    assert found.icc_table.equals(interrater(SHROUT_FLEISS).icc_table)
    assert wide.icc_table.equals(found.icc_table)
    assert found.kappa_table.equals(wide.kappa_table)


def test_raters_who_differ_from_target_to_target_have_one_way_forms_only() -> None:
    """Two of ten raters a lesson: which of the two is first means nothing."""
    import pandas as pd

    rng = np.random.default_rng(2)
    who = np.array([rng.choice(10, 2, replace=False) for _ in range(80)])
    value = rng.integers(1, 5, 80)[:, None] + rng.integers(0, 2, (80, 2))
    frame = pd.DataFrame({"t": np.repeat(np.arange(80), 2), "r": who.ravel(), "y": value.ravel()})
    result = interrater(frame, target="t", rater="r")
    named = _named(result)
    assert named["ICC(1,1)"]["estimate"] == pytest.approx(_named(interrater(value))["ICC(1,1)"]["estimate"])
    assert math.isnan(named["ICC(2,1)"]["estimate"])
    assert "differ" in named["ICC(3,k)"]["reason"]
    assert len(result.kappa_table) == 0
    assert math.isnan(result.ms_error)
    swapped = frame.iloc[::-1]
    assert interrater(swapped[["t", "y"]], target="t").icc_table.equals(result.icc_table)


def test_incomplete_targets_are_dropped_aloud() -> None:
    """The count is in the warning and in the rule."""
    ratings = SHROUT_FLEISS.copy()
    ratings[0, 0] = np.nan
    with pytest.warns(ListwiseDeletionWarning, match="1 of 6 targets"):
        result = interrater(ratings)
    assert result.n_targets == 5
    assert "5 of 6" in result.rule
    assert result.icc_table.equals(interrater(SHROUT_FLEISS[1:]).icc_table)


def test_boundaries() -> None:
    """Perfect agreement is 1; equal targets are negative, with a caution; one category has no kappa, and says why."""
    perfect = interrater(np.repeat(np.arange(5.0)[:, None], 3, axis=1))
    assert set(perfect.icc_table["estimate"]) == {1.0}
    assert perfect.kappa_table["estimate"][0] == 1.0
    nothing = interrater(np.array([[1.0, 3], [3, 1], [2, 2], [1, 3]]))
    assert nothing.status.level == "caution"
    assert _named(nothing)["ICC(1,1)"]["estimate"] < 0
    lazy = interrater(np.column_stack([np.full(5, 2.0), np.full(5, 2.0), np.arange(5.0)]))
    assert math.isnan(lazy.kappa_table["estimate"][0])
    assert "one and the same category" in lazy.kappa_table["reason"][0]


def test_measurements_have_no_kappa() -> None:
    """More than 25 distinct values are no categories."""
    values = np.random.default_rng(1).normal(size=(40, 2))
    assert len(interrater(values).kappa_table) == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.5, 20), st.floats(-50, 50))
def test_order_scale_and_origin_change_nothing(seed: int, scale: float, shift: float) -> None:
    """Permuted targets and raters, other units: the same coefficients."""
    rng = np.random.default_rng(seed)
    ratings = rng.normal(0, 1, (12, 1)) + rng.normal(0, 1, (12, 3))
    moved = scale * ratings[rng.permutation(12)][:, rng.permutation(3)] + shift
    first, second = interrater(ratings).icc_table, interrater(moved).icc_table
    for name in ("estimate", "lower", "upper", "f"):
        assert first[name] == pytest.approx(second[name], rel=1e-6, abs=1e-9)


def test_result_round_trips() -> None:
    """Dict, frames, text."""
    result = interrater(SHROUT_FLEISS)
    assert InterraterResult.from_dict(json.loads(json.dumps(result.to_dict()))).equals(result)
    assert list(result.icc["unit"])[:2] == ["single", "average"]
    assert set(result.kappa["weights"]) == {"none", "linear", "quadratic"}
    assert result.to_frame()["mcgraw_wong"].tolist()[0] == "ICC(1)"
    assert "Shrout" not in str(result)
    assert "ICC(A,1)" in str(result)


def test_nonsense_is_named() -> None:
    """One rater, one target, no variance, a double rating, columns that are not there."""
    import pandas as pd

    with pytest.raises(TooFewObservationsError, match="1 raters"):
        interrater(np.ones((5, 1)))
    with pytest.raises(TooFewObservationsError):
        interrater(np.array([[1.0, 2.0]]))
    with pytest.raises(DataError, match="do not vary"):
        interrater(np.ones((5, 2)))
    with pytest.raises(UnsupportedDataError, match="2 dimensions"):
        interrater(np.ones(5))
    with pytest.raises(OptionError, match="conf_level"):
        interrater(SHROUT_FLEISS, conf_level=95)
    frame = pd.DataFrame({"t": [1, 1, 2, 2], "r": [1, 1, 1, 2], "y": [1.0, 2, 3, 4], "z": [1, 2, 3, 4]})
    with pytest.raises(DataError, match="rated target '1' 2 times"):
        interrater(frame.drop(columns="z"), target="t", rater="r")
    with pytest.raises(DataError, match="One column of ratings"):
        interrater(frame, target="t", rater="r")
    with pytest.raises(ColumnNotFoundError, match="video"):
        interrater(frame, target="video")


@pytest.mark.shared
def test_video_ratings_end_to_end(shared_reference: Path) -> None:
    """Two of many raters a lesson, from the file."""
    import pandas as pd

    data = pd.read_csv(shared_reference / "data" / "gti_video_ratings" / "data.csv", low_memory=False)
    result = interrater(data[["IDVIDEO", "CSE1RP_S1"]], target="IDVIDEO")
    stored = STORED["icc"]["gti_video_2raters"]["columns"]
    assert result.n_targets == 1351
    assert _named(result)["ICC(1,1)"]["estimate"] == pytest.approx(stored["ICC"][0], rel=CLOSED_FORM)
    assert _named(result)["ICC(1,k)"]["estimate"] == pytest.approx(stored["ICC"][3], rel=CLOSED_FORM)
