"""Declared keys against the data."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from relmeasure.exceptions import KeyDirectionWarning, OptionError
from relmeasure.responses.intake import scale_moments
from relmeasure.responses.keys import KeyCheck, component_loadings, item_rest_correlations, key_check
from tests.responses.builders import AGREE, Scales, build
from tests.support import Columns, Constructor

ITEMS = ["q1", "q2", "q3", "q4", "q5"]
KEYS = (1, 1, -1, 1, -1)


def answers(turned: tuple[int, ...] = (), n: int = 400, seed: int = 3) -> Columns:
    """Codes 1-5 that fit the keys; items in ``turned`` are stored the other way round."""
    rng = np.random.default_rng(seed)
    trait = rng.normal(size=n)
    out = {}
    for k, key in enumerate(KEYS):
        latent = key * trait * 0.8 + rng.normal(size=n) * 0.6
        code = np.clip(np.round(latent + 3), 1, 5).astype(int)
        out[ITEMS[k]] = (6 - code if k in turned else code).tolist()
    return out


def instrument(keys: tuple[int, ...] = KEYS) -> Any:
    return build({"r": AGREE}, {item: {"key": key} for item, key in zip(ITEMS, keys, strict=True)})


def test_right_keys_say_nothing(constructor: Constructor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = key_check(instrument(), constructor(answers()))
    assert found.flagged == ()
    assert found.items["verdict"] == ("ok",) * 5
    assert found.items["key"] == KEYS
    assert min(found.items["loading"]) > 0.5
    assert min(found.items["item_rest_r"]) > 0.4


def test_item_against_its_key_is_named_not_turned(constructor: Constructor) -> None:
    """Pitfall 4.1: an un-reversed item."""
    frame = constructor(answers(turned=(3,)))
    with pytest.warns(KeyDirectionWarning, match=r"'q4' runs against scale 's'") as caught:
        found = key_check(instrument(), frame)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert found.flagged == ("q4",)
    assert found.items["verdict"][3] == "against its key"
    assert found.items["loading"][3] < 0
    assert [note.code for note in found.warnings] == ["key-direction"]


def test_answers_reversed_by_the_depositor_are_recognised(constructor: Constructor) -> None:
    """Pitfall 4.2: the items worded the other way all correlate positively as stored."""
    with pytest.warns(KeyDirectionWarning, match="probably been reversed in the file already") as caught:
        found = key_check(instrument(), constructor(answers(turned=(2, 4))))
    assert len(caught) == 1
    assert caught[0].message.details["items"] == ["q3", "q5"]  # type: ignore[union-attr]
    assert found.flagged == ("q3", "q5")
    assert found.items["verdict"] == ("ok", "ok", "reversed already?", "ok", "reversed already?")


def test_reversed_already_even_when_most_items_are_reversed() -> None:
    import pandas as pd

    keys = (-1, -1, -1, 1, -1)
    right = build({"r": AGREE}, {item: {"key": key} for item, key in zip(ITEMS, keys, strict=True)})
    rng = np.random.default_rng(5)
    trait = rng.normal(size=300)
    codes = {i: np.clip(np.round(trait * 0.8 + rng.normal(size=300) * 0.6 + 3), 1, 5) for i in ITEMS}
    with pytest.warns(KeyDirectionWarning, match="already"):
        assert key_check(right, pd.DataFrame(codes)).flagged == ("q1", "q2", "q3", "q5")


def test_descending_codes_do_not_look_reversed(constructor: Constructor) -> None:
    down = build({"r": {**AGREE, "direction": "descending"}}, {i: {"key": k} for i, k in zip(ITEMS, KEYS, strict=True)})
    frame = constructor({item: [6 - code for code in codes] for item, codes in answers().items()})
    assert key_check(down, frame).flagged == ()


def test_constant_items_and_short_scales_are_left_out(constructor: Constructor) -> None:
    scales: Scales = [
        {"id": "a", "items": ["q1", "q2", "q3"]},
        {"id": "one", "items": ["q4"]},
        {"id": "all", "subscales": ["a", "one"], "scoring": {"method": "mean_of_subscales"}},
    ]
    inst = build(items=["q1", "q2", "q3", "q4"], scales=scales)
    frame = constructor({"q1": [1, 2, 3, 4], "q2": [2, 2, 3, 5], "q3": [3, 3, 3, 3], "q4": [1, 5, 1, 5]})
    found = key_check(inst, frame)
    assert found.items["scale"] == ("a", "a", "a", "one")
    assert found.items["verdict"] == ("ok", "ok", "no variance", "no variance")
    assert np.isnan(found.items["loading"][2])
    assert key_check(inst, frame, scales=["one"]).items["item"] == ("q4",)
    with pytest.raises(OptionError):
        key_check(inst, frame, scales=["none"])


def test_two_items_that_disagree(constructor: Constructor) -> None:
    frame = constructor({"q1": [1, 2, 3, 4], "q2": [4, 3, 2, 2]})
    with pytest.warns(KeyDirectionWarning):
        found = key_check(build(items=["q1", "q2"]), frame)
    assert len(found.flagged) == 1


def test_moments_instead_of_data() -> None:
    import pandas as pd

    inst, frame = instrument(), pd.DataFrame(answers())
    stored = scale_moments(inst, frame, missing="pairwise")
    assert key_check(inst, stored).equals(key_check(inst, frame))
    assert key_check(inst, stored, scales=["s"]).flagged == ()


def test_result_is_a_table_that_round_trips() -> None:
    import pandas as pd

    found = key_check(instrument(), pd.DataFrame(answers()))
    assert list(found.to_frame().columns) == ["scale", "item", "key", "loading", "item_rest_r", "verdict"]
    assert KeyCheck.from_dict(found.to_dict()).equals(found)
    assert "q5" in found.summary()


# --------------------------------------------------------------------------- arrays
def test_item_rest_correlation_is_the_plain_one() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, 4)) + rng.normal(size=(50, 1))
    expected = [np.corrcoef(x[:, k], np.delete(x, k, axis=1).sum(axis=1))[0, 1] for k in range(4)]
    np.testing.assert_allclose(item_rest_correlations(np.cov(x.T)), expected, rtol=1e-12)


def test_component_loadings_reproduce_the_first_component() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(80, 3)) + rng.normal(size=(80, 1))
    cor = np.corrcoef(x.T)
    loading = component_loadings(np.asarray(cor), np.ones(3))
    values = np.linalg.eigvalsh(cor)
    np.testing.assert_allclose(cor @ loading, values[-1] * loading, rtol=1e-12)
    np.testing.assert_allclose(loading @ loading, values[-1], rtol=1e-12)
    assert (loading > 0).all()


def test_sign_of_a_balanced_component_is_that_of_the_items_keyed_one() -> None:
    cor = np.array([[1.0, -0.5], [-0.5, 1.0]])
    assert component_loadings(cor, np.array([-1, 1]))[1] > 0
    assert component_loadings(cor, np.array([1, -1]))[0] > 0
    assert np.isnan(component_loadings(np.full((2, 2), np.nan), np.array([1, 1]))).all()
