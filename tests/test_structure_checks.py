"""Competing structures agree with lavaan, recover known ones, and never rank an improper solution."""

from __future__ import annotations

import json
import math
import pickle
import warnings
from typing import Any, cast

import numpy as np
import pytest

import relmeasure as rm
from relmeasure.exceptions import (
    ListwiseDeletionWarning,
    OptionError,
    RelmeasureWarning,
    TooFewItemsError,
    UnsupportedDataError,
)
from relmeasure.samplestats.estimates import MomentEstimate
from relmeasure.structure_checks import DimensionalityResult, dimensionality
from tests.support import CONSTRUCTORS, Constructor, load_reference

INSTRUMENT = rm.load_instrument("relationship-student")
STORED = load_reference("structure_checks/moments")
ITEMS: list[str] = STORED["names"]
SCALES: dict[str, list[str]] = STORED["scales"]

TWO = ["respect_fairness", "trust"]
"""The scales with a reversed item each."""

INDEX = 1e-5
"""Relative (to at least 0.1): lavaan stops at about 1e-6 of a standard error."""

COEFFICIENT = 5e-5
"""Relative: estimates of lavaan, see above."""

EXACT = 1e-6
"""Population matrices are fitted exactly, up to the tolerance of the minimisation."""


def moments(cov: Any, n: int = 1000) -> MomentEstimate:
    """Moments of the items."""
    return MomentEstimate.from_matrix(np.asarray(cov), n, ITEMS, mean=np.full(len(ITEMS), 3.0))


def bifactor(general: float, group: float, method: float = 0.0) -> Any:
    """Correlations of a bifactor model with equal loadings; ``method`` is shared by reversed items."""
    L = np.zeros((len(ITEMS), 6))
    L[:, 0] = general
    for k, items in enumerate(SCALES.values(), start=1):
        L[[ITEMS.index(i) for i in items], k] = group
    L[[ITEMS.index(i) for i in STORED["reversed"]], 5] = method
    sigma = L @ L.T
    np.fill_diagonal(sigma, 1.0)
    return sigma


def sampled(sigma: Any, n: int = 800, seed: int = 1) -> MomentEstimate:
    """Moments of a normal sample."""
    x = np.random.default_rng(seed).multivariate_normal(np.zeros(len(sigma)), sigma, size=n)
    return moments(np.cov(x.T), n)


def quiet(data: Any, **options: Any) -> DimensionalityResult:
    """Call without minding what is said about single models."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelmeasureWarning)
        return dimensionality(INSTRUMENT, data, **options)


# --------------------------------------------------------------------------- references
def test_lavaan() -> None:
    """Every index of the five models, ECV, omega and the correlations of the factors."""
    stored = load_reference("structure_checks/lavaan")
    found = dimensionality(INSTRUMENT, moments(STORED["cov"], STORED["n_obs"]))
    table = found.to_frame().set_index("model")
    wrong = [
        (model, name, table[name][model], value)
        for model, cells in stored["fits"].items()
        for name, value in cells.items()
        if not abs(table[name][model] - value) <= INDEX * max(0.1, abs(value))
    ]
    assert wrong == []
    indices = found.bifactor_indices().set_index("index")["estimate"]
    for name, value in stored["indices"].items():
        assert indices[name] == pytest.approx(value, rel=COEFFICIENT)
    for ours, theirs in (("first", "lhs"), ("second", "rhs")):
        assert list(found.correlations[ours]) == stored["correlations"][theirs]
    for ours, theirs in (("correlation", "est"), ("se", "se")):
        np.testing.assert_allclose(found.correlations[ours], stored["correlations"][theirs], rtol=COEFFICIENT)
    assert found.answer == "several"


def test_bifactor_indices_of_a_known_structure() -> None:
    """A population matrix: ECV and omega by hand, chi-square zero."""
    found = dimensionality(INSTRUMENT, moments(bifactor(0.6, 0.4)))
    total = bifactor(0.6, 0.4).sum()
    assert found.fits["bifactor"].fit_measures("chisq")["chisq"] == pytest.approx(0.0, abs=1e-6)
    assert found.ecv == pytest.approx(0.36 / 0.52, abs=EXACT)
    assert found.omega_hierarchical == pytest.approx((24 * 0.6) ** 2 / total, abs=EXACT)
    indices = found.bifactor_indices().set_index("index")["estimate"]
    assert indices["omega_total"] == pytest.approx(((24 * 0.6) ** 2 + 4 * (6 * 0.4) ** 2) / total, abs=EXACT)
    assert indices["puc"] == pytest.approx(1 - 4 * 15 / 276)
    own = 36 * 0.52 + 6 * 0.48
    np.testing.assert_allclose(found.scales["omega_hierarchical"], (6 * 0.4) ** 2 / own, atol=EXACT)
    np.testing.assert_allclose(found.scales["ecv"], 0.36 / 0.52, atol=EXACT)
    np.testing.assert_allclose(found.correlations["correlation"], 0.36 / 0.52, atol=EXACT)


def test_delta_method_against_resampling() -> None:
    """The standard error of ECV is near its spread over samples."""
    found = [quiet(sampled(bifactor(0.6, 0.4), 1500, seed), scales=list(SCALES)[1:]) for seed in range(8)]
    spread = float(np.std([f.ecv for f in found], ddof=1))
    error = float(np.mean([f.bifactor_indices()["se"][0] for f in found]))
    assert 0.5 < spread / error < 2.0


# --------------------------------------------------------------------------- answers
def test_one_factor() -> None:
    """Ratings of nothing but popularity."""
    found = quiet(sampled(bifactor(0.7, 0.0)), scales=TWO)
    assert found.answer == "one"
    assert found.best == "single"
    assert found.conclusion.startswith("One overall impression")


def test_improper_models_are_shown_and_never_ranked() -> None:
    """Where one factor is the truth, group factors collapse: such models stand last, with the reason."""
    seen = 0
    for seed in range(3):
        table = quiet(sampled(bifactor(0.7, 0.0), 300, seed), scales=TWO).models
        ranks = [r["rank"] for r in table.rows()]
        ranked = [r for r in ranks if r is not None]
        assert ranks == [*range(1, len(ranked) + 1), *[None] * (len(ranks) - len(ranked))]
        for row in table.rows():
            if row["status"] == "not fitted":
                continue
            if row["rank"] is None:
                seen += 1
                assert row["status"] in ("inadmissible", "not identified", "not converged", "caution")
                assert len(row["note"]) > 20
            else:
                assert row["status"] == "ok"
        bics = [r["bic"] for r in table.rows() if r["rank"] is not None]
        assert bics == sorted(bics)
    assert seen > 0


def test_an_improper_model_warns() -> None:
    """What is wrong with a model is said, and kept under its name."""
    for seed in range(6):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = dimensionality(INSTRUMENT, sampled(bifactor(0.7, 0.0), 300, seed), scales=TWO)
        if found.status.level != "ok":
            assert caught
            assert len(found.warnings) == len(caught)
            assert all(note.message.split(":")[0] in found.fits for note in found.warnings)
            return
    raise AssertionError("no sample gave an improper model")


def test_mostly_one_thing() -> None:
    """Aspects exist, and the general factor outweighs them."""
    found = dimensionality(INSTRUMENT, moments(bifactor(0.75, 0.25)))
    assert found.answer == "general"
    assert found.ecv == pytest.approx(0.9, abs=EXACT)
    assert "Mostly one overall impression" in found.conclusion


def test_several_things() -> None:
    """Weak general factor, strong scales."""
    found = dimensionality(INSTRUMENT, moments(bifactor(0.45, 0.6)))
    assert found.answer == "several"
    assert found.conclusion.startswith("More than one overall impression")


def test_noise_is_not_called_anything() -> None:
    """A structure that no model describes."""
    rng = np.random.default_rng(2)
    L = rng.normal(size=(len(ITEMS), 8)) / 3
    found = quiet(moments(L @ L.T + 0.4 * np.eye(len(ITEMS))))
    assert found.answer == "unclear"


def test_reversed_items() -> None:
    """A factor of reversed items is found where there is one, and not otherwise."""
    assert set(STORED["reversed"]) == set(dimensionality(INSTRUMENT, moments(bifactor(0.5, 0.4))).reversed_items)
    found = dimensionality(INSTRUMENT, moments(bifactor(0.5, 0.4, method=0.5)))
    assert "share something beyond their content" in found.conclusion
    assert found.fits["method factor"].fit_measures("df")["df"] == found.fits["correlated"].fit_measures("df")["df"] - 1
    assert "share nothing of weight" in dimensionality(INSTRUMENT, moments(bifactor(0.5, 0.4))).conclusion


def test_one_scale() -> None:
    """What needs several scales is shown as not fitted, with the reason."""
    found = quiet(sampled(bifactor(0.7, 0.0)), scales=["care"])
    notes = {r["model"]: (r["status"], r["note"]) for r in found.models.rows()}
    assert notes["correlated"] == ("not fitted", "needs 2 scales, and there is 1")
    assert notes["bifactor"][0] == notes["higher-order"][0] == "not fitted"
    assert found.answer == "one"
    assert math.isnan(found.ecv)


def test_three_scales_make_two_models_one() -> None:
    """Higher-order and correlated factors: the same fit, and the table says so."""
    found = quiet(sampled(bifactor(0.5, 0.5)), scales=list(SCALES)[:3])
    rows = {r["model"]: r for r in found.models.rows()}
    assert rows["higher-order"]["chisq"] == pytest.approx(rows["correlated"]["chisq"], abs=1e-6)
    assert rows["higher-order"]["note"] == "fits as correlated does: the data cannot tell them apart"


# --------------------------------------------------------------------------- data
def answers(n_clusters: int = 20, **options: Any) -> Any:
    """Simulated answers."""
    return rm.simulate(INSTRUMENT, n_clusters=n_clusters, cluster_size=20, rng=3, **options)


def test_every_engine(constructor: Constructor) -> None:
    """The same answer from every kind of frame, rows in another order."""
    frame = answers().sample(frac=1.0, random_state=1)
    columns = {name: frame[name].to_list() for name in frame.columns}
    reference = dimensionality(INSTRUMENT, answers())
    found = dimensionality(INSTRUMENT, constructor(columns))
    for name in ("chisq", "df", "bic"):
        np.testing.assert_allclose(found.models[name], reference.models[name], rtol=1e-7)
    assert (found.answer, found.best) == (reference.answer, reference.best)
    assert set(CONSTRUCTORS) >= {"pandas", "polars"}


def test_missing_answers() -> None:
    """Listwise deletion is announced once; full information uses every row."""
    frame = answers(missing=0.02)
    with pytest.warns(ListwiseDeletionWarning):
        listwise = dimensionality(INSTRUMENT, frame, scales=["care"])
    assert [note.code for note in listwise.warnings] == [ListwiseDeletionWarning.code]
    full = dimensionality(INSTRUMENT, frame, missing="fiml", scales=["care"])
    assert listwise.provenance.n_obs < full.provenance.n_obs == len(frame)


def test_clusters_make_the_tests_robust() -> None:
    """Scaled chi-squares beside the naive ones."""
    table = dimensionality(INSTRUMENT, answers(40), cluster="class_id").to_frame()
    assert {"chisq_scaled", "cfi_robust", "rmsea_robust"} <= set(table)
    assert table["chisq_scaled"].notna().all()


def test_round_trips() -> None:
    """To a dict and back, through JSON; pickled; printed."""
    found = dimensionality(INSTRUMENT, moments(STORED["cov"], 800))
    assert DimensionalityResult.from_dict(json.loads(json.dumps(found.to_dict()))).equals(found)
    assert pickle.loads(pickle.dumps(found)).equals(found)
    assert "Rodriguez et al., 2016" in found.summary()
    assert found.to_frame()["model"].to_list() == list(found.models["model"])


# --------------------------------------------------------------------------- refusals
def test_what_is_refused() -> None:
    """No instrument, a bad estimator, a bad rule, too few items, robust tests without rows."""
    data = moments(STORED["cov"], 800)
    with pytest.raises(UnsupportedDataError, match="takes an Instrument, not a str"):
        dimensionality(cast("Any", "f =~ x1 + x2"), data)
    with pytest.raises(OptionError, match="WLSMV"):
        dimensionality(INSTRUMENT, data, estimator=cast("Any", "WLSMV"))
    with pytest.raises(OptionError, match="pairwise"):
        dimensionality(INSTRUMENT, data, missing=cast("Any", "pairwise"))
    with pytest.raises(OptionError, match="nothing"):
        dimensionality(INSTRUMENT, data, scales=["nothing"])
    with pytest.raises(UnsupportedDataError, match="needs the rows"):
        dimensionality(INSTRUMENT, data, estimator="MLR")


def test_too_few_items() -> None:
    """Three items cannot tell one thing from several."""
    instrument = rm.load_instrument("pisa2022-relatst")
    few = instrument.model_copy(
        update={"scales": tuple(s.model_copy(update={"items": s.items[:3]}) for s in instrument.scales)}
    )
    with pytest.raises(TooFewItemsError, match="3 items"):
        dimensionality(few, moments(STORED["cov"], 800))
