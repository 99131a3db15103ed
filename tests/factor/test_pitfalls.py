"""Ways in which categories, matrices, rotation, retention, signs and scores go silently wrong elsewhere.

===== ================================================ ===============================================================
row   failure                                          test
===== ================================================ ===============================================================
4.1   an item that was not reversed                    tests/studies/test_screening.py, tests/classical/test_pitfalls.py
4.5   missing codes analysed as answers                tests/responses/test_binding.py, test_pitfall_4_5
4.6   rows dropped, N hidden                           test_pitfall_4_6
4.10  a Heywood case reported as success               test_exploratory.py: test_pitfall_4_10
4.11  a matrix smoothed, or analysed by pseudo-inverse test_pitfall_4_11, test_exploratory.py: test_pitfall_4_11
4.12  score correlations printed as factor correlations test_factor_scores.py: test_pitfall_4_12
4.13  scores without method and determinacy            test_factor_scores.py: test_pitfall_4_13, test_pitfall_4_13 here
4.14  sign and order of factors arbitrary              test_exploratory.py, test_factor_scores.py: test_pitfall_4_14
4.15  categories dropped or shifted                    test_pitfall_4_15
4.18  a fit index without a likelihood                 test_pitfall_4_18
4.19  one start, a local optimum                       test_pitfall_4_19
4.22  a label that matches nothing gives NaN           test_pitfall_4_22
4.23  parallel analysis that mixes eigenvalues         test_retention.py: test_pitfall_4_23
===== ================================================ ===============================================================

Rows 4.16, 4.17, 4.20 and 4.21 are about structural models, differential functioning and clusters.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import relmeasure as rm
from relmeasure import exceptions as ex
from relmeasure.numerics.normal import Array
from tests.factor.references import pair


def ordered(n: int = 400, seed: int = 1, p: int = 5) -> Array:
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 1)) + rng.normal(size=(n, p))
    out: Array = np.asarray(np.digitize(latent, [-2.0, -0.7, 0.7, 2.0]), dtype=float) + 1.0
    return out


CATEGORIES = [1, 2, 3, 4, 5]


def test_pitfall_4_5_a_missing_code_is_no_category() -> None:
    x = ordered()
    x[:40, 0] = 99
    with pytest.raises(ex.UnknownCodeError, match=r"x1: 99 .40 times"):
        rm.efa(x, 1, ordered=True, categories=CATEGORIES)
    with pytest.warns(ex.CategoriesAssumedWarning, match="99"):
        rm.polychoric(x)


def test_pitfall_4_6_rows_dropped_are_counted_and_n_is_what_is_left() -> None:
    x = ordered()
    x[80:, 0] = np.nan
    with pytest.warns(ex.ListwiseDeletionWarning, match="320 of 400"):
        made = rm.efa(x, 1, ordered=True, categories=CATEGORIES, missing="listwise")
    assert made.n_obs == 80
    with pytest.warns(ex.PairwiseDeletionWarning, match="80 to 400"):
        pairwise = rm.polychoric(x, categories=CATEGORIES)
    assert pairwise.n_obs == 80  # no naive N
    assert pairwise.se[0, 1] > 2 * pairwise.se[1, 2]


def test_pitfall_4_11_a_polychoric_matrix_is_smoothed_on_request_only_and_says_how_far() -> None:
    rng = np.random.default_rng(3)
    x = np.where(rng.random((25, 6)) < 0.5, 1.0, 2.0)
    x[:, 5] = np.where(x[:, :3].sum(axis=1) > 4, 2.0, 1.0)
    with pytest.warns(ex.RelmeasureWarning):
        plain = rm.polychoric(x, categories=[1, 2])
    with pytest.warns(ex.RelmeasureWarning):
        smoothed = rm.polychoric(x, categories=[1, 2], smooth=True)
    assert plain.min_eigenvalue < 0
    assert plain.smoothed_by == 0
    np.testing.assert_allclose(np.linalg.eigvalsh(plain.correlation)[0], plain.min_eigenvalue, atol=1e-12)
    assert np.linalg.eigvalsh(smoothed.correlation)[0] > 0
    moved = np.abs(smoothed.correlation - plain.correlation).max()
    assert smoothed.smoothed_by == pytest.approx(moved)
    assert f"{moved:.3g}" in " ".join(smoothed.status.reasons)
    assert "left as it is" in " ".join(plain.status.reasons)


def test_pitfall_4_13_scores_of_low_determinacy_are_said_not_to_be_for_persons() -> None:
    x = ordered(p=3)
    made = rm.efa(x, 1, ordered=True, categories=CATEGORIES)
    assert "Not for decisions about single persons" not in made.score(x).summary()
    weak = np.random.default_rng(4).normal(size=(400, 1)) * 0.6 + np.random.default_rng(5).normal(size=(400, 4))
    assert "Not for decisions about single persons" in rm.efa(weak, 1).score(weak).summary()


def test_pitfall_4_15_an_empty_category_keeps_the_places_of_the_others() -> None:
    """Elsewhere the thresholds of an item without its second category move one to the left."""
    x = ordered(2000)
    whole = rm.polychoric(x, categories=CATEGORIES)
    y = x.copy()
    y[y[:, 0] == 2, 0] = 3  # nobody chooses 2 any more
    with pytest.warns(ex.EmptyCategoryWarning, match="x1: 2"):
        found = rm.polychoric(y, categories=CATEGORIES)
    assert found.threshold_numbers["x1"] == (1, 3, 4)
    np.testing.assert_array_equal(found.thresholds["x1"], whole.thresholds["x1"][[0, 2, 3]])
    assert np.abs(found.correlation - whole.correlation).max() < 0.02
    uneven = rm.polychoric(y, categories={"x1": [1, 3, 4, 5], **{f"x{k}": CATEGORIES for k in range(2, 6)}})
    np.testing.assert_allclose(uneven.correlation, found.correlation, rtol=0, atol=1e-12)


def test_pitfall_4_18_ordered_answers_have_no_likelihood_and_so_no_bic() -> None:
    made = rm.efa(ordered(), 1, ordered=True, categories=CATEGORIES, se=True)
    assert np.isnan(made.fit["bic"])
    assert "mean-and-variance adjusted" in made.fit_driver
    assert "descriptive, no test" in rm.efa(ordered(), 1, ordered=True, categories=CATEGORIES).fit_driver


def test_pitfall_4_19_local_optima_are_counted() -> None:
    made = rm.efa(pair("bfi"), 5, rotation="simplimax", n_starts=30)
    details = made.rotation_details
    assert details.n_optima > 1
    assert details.criterion == pytest.approx(details.optima.min())
    assert f"{details.n_optima} local minima from 30 starts" in made.summary()


def test_pitfall_4_22_names_that_match_nothing_are_errors() -> None:
    frame = pd.DataFrame(ordered(100), columns=list("abcde"))
    with pytest.raises(ex.ColumnNotFoundError, match="f"):
        rm.efa(frame, 1, ordered=["a", "f"], categories=CATEGORIES)
    with pytest.raises(ex.ColumnNotFoundError, match="g"):
        rm.polychoric(frame, categories={"g": CATEGORIES})
    with pytest.raises(ex.ColumnNotFoundError, match="wt"):
        rm.efa(frame, 1, weights="wt")


def test_the_tests_of_the_table_exist() -> None:
    """The table above names tests that are there."""
    here = Path(__file__).parent
    known = "".join(path.read_text(encoding="utf-8") for path in here.glob("test_*.py"))
    for name in set(re.findall(r"test_pitfall_4_\d+", __doc__ or "")):
        assert f"def {name}" in known, name
