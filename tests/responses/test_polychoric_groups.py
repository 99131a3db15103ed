"""Polychoric correlations by group: those of each group's own rows, with the same categories."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import relmeasure as rm
from relmeasure.exceptions import (
    ColumnNotFoundError,
    EmptyCategoryWarning,
    ListwiseDeletionWarning,
    OptionError,
    TooFewObservationsError,
    UnsupportedDataError,
)
from relmeasure.responses.polychoric_groups import GroupedPolychorics
from tests.support import Constructor


def frame(n: int = 300, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 1)) + rng.normal(size=(n, 3))
    answers = pd.DataFrame(np.digitize(latent, [-1.0, 0.3, 1.5]) + 1, columns=["a", "b", "c"])
    return answers.assign(school=rng.choice(["north", "south"], n), w=rng.uniform(0.5, 2.0, n))


CATEGORIES = [1, 2, 3, 4]


def test_each_group_is_analysed_by_itself(constructor: Constructor) -> None:
    data = frame()
    made = rm.polychoric(
        constructor({c: data[c].tolist() for c in ("a", "b", "c", "school")}), group="school", categories=CATEGORIES
    )
    assert set(made) == {"north", "south"}
    assert len(made) == 2
    for label in made:
        alone = rm.polychoric(data.loc[data.school == label, ["a", "b", "c"]], categories=CATEGORIES)
        np.testing.assert_array_equal(made[label].correlation, alone.correlation)
        np.testing.assert_array_equal(made[label].se, alone.se)
        assert made[label].n_obs == alone.n_obs


def test_labels_weights_and_the_full_covariance_go_along() -> None:
    data = frame()
    items = data[["a", "b", "c"]]
    by_column = rm.polychoric(
        data, group="school", weights="w", categories=dict.fromkeys(("a", "b", "c"), CATEGORIES), acov=True
    )
    by_array = rm.polychoric(
        items, group=data.school.to_numpy(), weights=data.w.to_numpy(), categories=CATEGORIES, acov=True
    )
    for label in by_column:
        np.testing.assert_allclose(by_array[label].nacov, by_column[label].nacov, rtol=1e-12)
        here = data.school == label
        alone = rm.polychoric(items[here], weights=data.w[here].to_numpy(), categories=CATEGORIES, acov=True)
        np.testing.assert_allclose(by_column[label].nacov, alone.nacov, rtol=1e-12)
    assert by_array.group == "group"


def test_categories_are_the_same_in_all_groups_and_an_empty_one_names_its_group() -> None:
    data = frame()
    data.loc[(data.school == "south") & (data.a == 4), "a"] = 3
    with pytest.warns(EmptyCategoryWarning, match="school = south"):
        made = rm.polychoric(data.drop(columns="w"), group="school", categories=CATEGORIES)
    assert made["south"].categories == made["north"].categories
    assert made["south"].threshold_numbers["a"] == (1, 2)
    assert made["north"].threshold_numbers["a"] == (1, 2, 3)
    assert any("south" in note.message for note in made.warnings)


def test_rows_without_a_group_are_counted() -> None:
    data = frame().drop(columns="w")
    data.loc[:9, "school"] = None
    with pytest.warns(ListwiseDeletionWarning, match="10 of 300 rows have no group"):
        made = rm.polychoric(data, group="school", categories=CATEGORIES)
    assert made.n_without_group == 10
    assert sum(part.n_rows for part in made.groups.values()) == 290


def test_responses_bring_their_categories() -> None:
    instrument = rm.load_instrument("relationship-student")
    answers = rm.simulate(instrument, n_clusters=10, cluster_size=20, rng=3)
    bound = rm.bind(instrument, answers) if hasattr(rm, "bind") else None
    if bound is None:
        from relmeasure.responses.binding import bind

        bound = bind(instrument, answers)
    made = rm.polychoric(bound, group=np.arange(len(answers)) % 2)
    assert set(made) == {"0", "1"}
    assert made["0"].provenance is not None
    assert made["0"].provenance.instrument == instrument.label


def test_it_is_a_result_like_others() -> None:
    made = rm.polychoric(frame().drop(columns="w"), group="school", categories=CATEGORIES)
    assert list(made.to_frame().columns) == ["group", "item_1", "item_2", "correlation", "se", "n_obs", "method"]
    assert GroupedPolychorics.from_dict(made.to_dict()).equals(made)
    assert "school = north" in made.summary()
    with pytest.raises(OptionError, match="south"):
        made["west"]


def test_what_has_no_groups_is_refused() -> None:
    data = frame()
    items = data[["a", "b", "c"]]
    whole = rm.polychoric(items, categories=CATEGORIES)
    for given in (whole, whole.tables):
        with pytest.raises(UnsupportedDataError, match="rows"):
            rm.polychoric(given, group=data.school)
    with pytest.raises(ColumnNotFoundError, match="schol"):
        rm.polychoric(data, group="schol")
    with pytest.raises(TooFewObservationsError, match="group"):
        rm.polychoric(items, group=np.full(len(items), None), categories=CATEGORIES)
