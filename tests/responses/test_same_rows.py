"""Weights and labels handed in as a Series: their index must be that of the data, everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import relmeasure as rm
from relmeasure.exceptions import DataError

ITEMS = ["q1", "q2", "q3", "q4"]
INSTRUMENT = rm.load_instrument("relationship-student")


def _frame(seed: int = 1) -> pd.DataFrame:
    """Answers 1 to 5 of 60 persons, filtered from a larger file: the index does not begin at zero."""
    rng = np.random.default_rng(seed)
    answers = np.clip(np.rint(3 + rng.normal(0, 0.8, (90, 1)) + rng.normal(0, 0.8, (90, 4))), 1, 5)
    return pd.DataFrame(answers, columns=ITEMS).iloc[30:]


DATA = _frame()
WEIGHTS = pd.Series(np.linspace(0.5, 2, 60), index=DATA.index, name="w")
LABELS = pd.Series([f"c{k % 12}" for k in range(60)], index=DATA.index, name="class")
HOMES = pd.Series([f"s{k % 2}" for k in range(60)], index=DATA.index, name="school")
MODEL = "f =~ q1 + q2 + q3 + q4"
BOUND = rm.simulate(INSTRUMENT, n_clusters=6, cluster_size=10, rng=2)

CALLS: dict[str, tuple[str, pd.Series, Callable[[Any], Any]]] = {
    "alpha": ("weights", WEIGHTS, lambda s: rm.alpha(DATA, weights=s)),
    "moments": ("weights", WEIGHTS, lambda s: rm.moments(DATA, weights=s)),
    "kmo": ("weights", WEIGHTS, lambda s: rm.kmo(DATA, weights=s)),
    "polychoric": ("weights", WEIGHTS, lambda s: rm.polychoric(DATA, categories=[1, 2, 3, 4, 5], weights=s)),
    "cfa weights": ("weights", WEIGHTS, lambda s: rm.cfa(MODEL, DATA, weights=s, estimator="MLR")),
    "cfa cluster": ("cluster", LABELS, lambda s: rm.cfa(MODEL, DATA, cluster=s, estimator="MLR")),
    "cfa group": ("group", HOMES, lambda s: rm.cfa(MODEL, DATA, group=s)),
    "icc frame": ("cluster", LABELS, lambda s: rm.icc(DATA[["q1"]], cluster=s)),
    "icc column": ("cluster", LABELS, lambda s: rm.icc(DATA["q1"], cluster=s)),
    "icc group": ("group", HOMES, lambda s: rm.icc(DATA["q1"], cluster=LABELS, group=s)),
    "agreement": ("cluster", LABELS, lambda s: rm.agreement(DATA, cluster=s, minimum=1, maximum=5)),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore::relmeasure.RelmeasureWarning")
def test_a_series_in_another_order_is_refused(name: str) -> None:
    """Shuffled with its index, or with an index of its own: an error that names the argument and the fix."""
    argument, series, call = CALLS[name]
    shuffled = series.sample(frac=1, random_state=3)
    for wrong in (shuffled, series.reset_index(drop=True)):
        with pytest.raises(DataError, match=rf"{argument}= is a Series with another index .*\.loc\[data\.index\]"):
            call(wrong)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore::relmeasure.RelmeasureWarning")
def test_the_two_ways_out_give_the_numbers_of_the_right_order(name: str) -> None:
    """Aligned by the user, or by position as an array: the same result as the Series that fits."""
    _, series, call = CALLS[name]
    shuffled = series.sample(frac=1, random_state=3)
    reference = call(series).to_frame()
    for right in (shuffled.loc[DATA.index], series.to_numpy(), series.to_list()):
        pd.testing.assert_frame_equal(call(right).to_frame(), reference)


def test_bound_responses_have_the_index_of_their_frame() -> None:
    """Also where the frame is inside responses; another engine's column has no index and goes by position."""
    weights = pd.Series(np.linspace(0.5, 2, len(BOUND)), index=BOUND.index)
    responses = rm.bind(INSTRUMENT, BOUND)
    reference = rm.moments(responses, weights=weights)
    assert rm.moments(responses.keyed(), weights=weights.to_numpy()).equals(reference)
    for data in (responses, responses.keyed()):
        with pytest.raises(DataError, match="another index"):
            rm.moments(data, weights=weights.iloc[::-1])
