"""Simulated responses have the structure that was asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import relmeasure as rm
from relmeasure.exceptions import OptionError
from relmeasure.instruments.definition import Instrument
from relmeasure.simulation import population_alpha, simulate

ALPHA_TOLERANCE = 0.01
"""Alpha over 20,000 students has a standard error near 0.003; a wrong model misses by far more."""


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    """Two scales of five items, one item reversed, one scale stored with 1 = most."""
    return Instrument.model_validate(_definition())


def _definition() -> dict[str, Any]:
    options = [{"value": v} for v in (1, 2, 3, 4)]
    return {
        "schema_version": 1,
        "id": "made-up",
        "version": "1.0",
        "status": "draft",
        "kind": "original",
        "title": {"en": "Made up"},
        "reporter": "student",
        "target": "teacher",
        "licence": {"id": "cc_by"},
        "citation": "none",
        "response_scales": {
            "up": {"kind": "truth", "direction": "ascending", "options": options},
            "down": {"kind": "agreement", "direction": "descending", "options": options},
            "dial": {"kind": "range", "minimum": 0, "maximum": 100},
            "words": {"kind": "open"},
        },
        "items": [
            *({"id": f"a{k}", "response_scale": "up", "key": -1 if k == 2 else 1} for k in range(1, 6)),
            *({"id": f"b{k}", "response_scale": "down"} for k in range(1, 6)),
            *({"id": f"d{k}", "response_scale": "dial"} for k in range(1, 4)),
            {"id": "comment", "response_scale": "words"},
        ],
        "scales": [
            {"id": "a", "items": [f"a{k}" for k in range(1, 6)]},
            {"id": "b", "items": [f"b{k}" for k in range(1, 6)]},
            {"id": "d", "items": [f"d{k}" for k in range(1, 4)]},
        ],
    }


def _keyed(instrument: Instrument, data: Any, scale: str) -> Any:
    columns = []
    for item in instrument.scale(scale).items:
        values = data[item].to_numpy(dtype=float, na_value=np.nan)
        table = instrument.keyed_values(item)
        columns.append([table[int(v)] for v in values] if table else values)
    return np.array(columns).T


def _alpha(values: Any) -> float:
    cov = np.cov(values.T)
    p = len(cov)
    return float(p / (p - 1) * (1 - np.trace(cov) / cov.sum()))


def test_alpha_of_a_large_draw_is_the_population_alpha(instrument: Instrument) -> None:
    """Categories, keys and directions: the sample agrees with numerical integration."""
    data = simulate(instrument, n_clusters=800, cluster_size=25, icc=0.0, loading=0.6, rng=3)
    truth = population_alpha(instrument, loading=0.6)
    for scale, alpha in zip(truth["scale"], truth["alpha"], strict=True):
        assert _alpha(_keyed(instrument, data, scale)) == pytest.approx(alpha, abs=ALPHA_TOLERANCE)


def test_population_alpha_without_thresholds_is_spearman_brown(instrument: Instrument) -> None:
    """On a fine scale alpha comes close to p r / (1 + (p - 1) r) with r the squared loading."""
    truth = population_alpha(instrument, loading=0.7)
    dial = truth["alpha"][truth["scale"].index("d")]
    assert dial == pytest.approx(3 * 0.49 / (1 + 2 * 0.49), abs=0.02)


def test_reversed_item_is_stored_reversed(instrument: Instrument) -> None:
    """Raw answers of the reversed item run against the others; keyed answers do not."""
    data = simulate(instrument, n_clusters=40, cluster_size=25, rng=1)
    raw = np.corrcoef(data[["a1", "a2"]].to_numpy(dtype=float).T)[0, 1]
    keyed = np.corrcoef(_keyed(instrument, data, "a").T)[0, 1]
    assert raw < -0.2
    assert keyed > 0.2


def test_a_range_may_be_descending_and_reversed() -> None:
    """Two reflections are none: all items of the scale agree once keyed."""
    definition = _definition()
    definition["response_scales"]["lid"] = {"kind": "range", "direction": "descending", "minimum": 0, "maximum": 100}
    definition["items"][10] |= {"response_scale": "lid", "key": -1}
    definition["items"][11] |= {"response_scale": "lid"}
    made = Instrument.model_validate(definition)
    data = simulate(made, n_clusters=20, cluster_size=25, rng=1)
    signs = np.sign(np.corrcoef(data[["d1", "d2", "d3"]].to_numpy(dtype=float).T))
    assert signs[0].tolist() == [1.0, -1.0, 1.0]


def test_intraclass_correlation_follows_icc(instrument: Instrument) -> None:
    """The ANOVA ICC of a score is icc times its reliability; it is zero without class differences."""
    found = []
    for icc in (0.0, 0.3):
        data = simulate(instrument, n_clusters=400, cluster_size=20, icc=icc, loading=0.7, rng=5)
        score = _keyed(instrument, data, "d").mean(axis=1).reshape(400, 20)
        between = 20 * score.mean(axis=1).var(ddof=1)
        within = score.var(axis=1, ddof=1).mean()
        found.append((between - within) / (between + 19 * within))
    assert found[0] == pytest.approx(0.0, abs=0.02)
    reliability = 3 * 0.49 / (1 + 2 * 0.49)
    assert found[1] == pytest.approx(0.3 * reliability, abs=0.04)


def test_the_seed_decides_everything(instrument: Instrument) -> None:
    """Same seed, same data; a generator of that seed too."""
    first = simulate(instrument, n_clusters=5, rng=9)
    assert first.equals(simulate(instrument, n_clusters=5, rng=9))
    assert first.equals(simulate(instrument, n_clusters=5, rng=np.random.default_rng(9)))
    assert not first.equals(simulate(instrument, n_clusters=5, rng=10))


def test_missing_and_careless_shares(instrument: Instrument) -> None:
    """Gaps come at the share asked for; careless students use one option throughout a response scale."""
    data = simulate(instrument, n_clusters=100, cluster_size=20, missing=0.1, rng=2)
    assert data[[f"a{k}" for k in range(1, 6)]].isna().to_numpy().mean() == pytest.approx(0.1, abs=0.01)
    lazy = simulate(instrument, n_clusters=10, cluster_size=20, careless=1.0, rng=2)
    assert (lazy[[f"a{k}" for k in range(1, 6)]].nunique(axis=1) == 1).all()
    assert lazy["comment"].isna().all()


def test_class_sizes(instrument: Instrument) -> None:
    """A number, two bounds, or one size a class."""
    sizes = simulate(instrument, n_clusters=50, cluster_size=(10, 12), rng=1).groupby("class_id").size()
    assert set(sizes) == {10, 11, 12}
    counted: dict[str, Any] = {"n_clusters": np.int64(2), "cluster_size": np.int64(4)}
    assert len(simulate(instrument, **counted)) == 8
    assert list(simulate(instrument, n_clusters=2, cluster_size=[3, 7]).groupby("class_id").size()) == [3, 7]


@pytest.mark.parametrize(
    "wrong",
    [
        {"icc": 1.0},
        {"loading": -0.1},
        {"missing": 1.5},
        {"factor_correlation": 1.0},
        {"n_clusters": 0},
        {"cluster_size": 0},
        {"cluster_size": (10, 5)},
        {"cluster_size": [3.7, 4.2], "n_clusters": 2},
        {"cluster_size": 4.5},
        {"cluster_size": True},
        {"n_clusters": 2.5},
        {"n_clusters": True},
        {"cluster_size": [5, 5, 5], "n_clusters": 2},
        {"loading": {"a9": 0.5}},
        {"icc": {"z": 0.5}},
    ],
)
def test_wrong_arguments_are_named(instrument: Instrument, wrong: dict[str, Any]) -> None:
    """Every impossible design is refused with the number seen."""
    with pytest.raises(OptionError):
        simulate(instrument, **wrong)


# --------------------------------------------------------------------------- levels, waves, groups, gaps
def _latent_like(data: Any, items: list[str]) -> Any:
    """Answers on the fine 0-100 dial, back to the normal metric."""
    from scipy.special import ndtri

    values = data[items].to_numpy(dtype=float)
    latent: Any = ndtri(np.clip(values, 0.5, 99.5) / 100)
    return latent


def test_between_loading_gives_items_class_parts_of_their_own(instrument: Instrument) -> None:
    """Correlation of class parts of two items is the product of their between loadings, at the same total loading."""
    for between, expected in ((1.0, 1.0), (0.8, 0.64)):
        data = simulate(
            instrument, n_clusters=1500, cluster_size=40, icc=0.4, loading=0.6, between_loading=between, rng=4
        )
        latent = _latent_like(data, ["d1", "d2"])
        code = np.unique(data["class_id"], return_inverse=True)[1]
        means = np.column_stack([np.bincount(code, weights=x) / 40 for x in latent.T])
        within = (latent - means[code]).T @ (latent - means[code]) / (39 * 1500)

        cov: Any = np.asarray(np.cov(means.T)) - within / 40
        assert cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]) == pytest.approx(expected, abs=0.05)
        assert cov[0, 1] == pytest.approx(0.36 * 0.4, abs=0.015)
        assert np.var(latent[:, 0]) == pytest.approx(1.0, abs=0.03)


def test_waves_keep_what_stability_says(instrument: Instrument) -> None:
    """Class means correlate as the class parts do, students as theirs; shifts add up; other students share classes only."""
    options: dict[str, Any] = {"n_clusters": 300, "cluster_size": 30, "icc": 0.4, "loading": 0.9}
    data = simulate(instrument, **options, waves=["fall", "spring"], stability=(0.8, 0.5), change={"d": -0.5}, rng=6)
    assert list(data.columns[:3]) == ["class_id", "student_id", "wave"]
    assert len(data) == 2 * 300 * 30
    fall, spring = (data[data["wave"] == w].reset_index(drop=True) for w in ("fall", "spring"))
    assert (fall["student_id"] == spring["student_id"]).all()
    one, two = (_latent_like(d, ["d1", "d2", "d3"]).mean(axis=1) for d in (fall, spring))
    assert two.mean() - one.mean() == pytest.approx(-0.5 * 0.9, abs=0.06)
    code = np.repeat(np.arange(300), 30)
    means = [np.bincount(code, weights=x) / 30 for x in (one, two)]
    assert np.corrcoef(means[0], means[1])[0, 1] == pytest.approx(0.8, abs=0.06)
    inside = [x - m[code] for x, m in zip((one, two), means, strict=True)]
    reliability = 0.81 * 0.6 / (0.81 * 0.6 + 0.19 / 3)
    assert np.corrcoef(inside[0], inside[1])[0, 1] == pytest.approx(0.5 * reliability, abs=0.03)
    others = simulate(instrument, **options, waves=2, same_students=False, rng=6)
    assert others["student_id"].nunique() == len(others)
    assert set(others["wave"]) == {"1", "2"}
    later = _latent_like(others, ["d1", "d2", "d3"]).mean(axis=1).reshape(2, -1)
    apart = [x - (np.bincount(code, weights=x) / 30)[code] for x in later]
    assert np.corrcoef(apart[0], apart[1])[0, 1] == pytest.approx(0.0, abs=0.03)


def test_groups_differ_by_impact_and_items_by_bias(instrument: Instrument) -> None:
    """A true difference shows in every item, bias in one item only."""
    data = simulate(
        instrument,
        n_clusters=400,
        icc=0.1,
        loading=0.8,
        groups={"girls": 0.5, "boys": 0.5},
        impact={"girls": 0.4},
        bias={"boys": {"d2": 0.6}},
        rng=8,
    )
    latent = _latent_like(data, ["d1", "d2", "d3"])
    girls = (data["group"] == "girls").to_numpy()
    assert girls.mean() == pytest.approx(0.5, abs=0.02)
    gap = latent[girls].mean(axis=0) - latent[~girls].mean(axis=0)
    assert gap == pytest.approx([0.32, 0.32 - 0.6, 0.32], abs=0.05)


@pytest.mark.parametrize("mechanism", ["mcar", "mar", "mnar"])
def test_gaps_depend_on_what_they_should(instrument: Instrument, mechanism: Any) -> None:
    """The share is the one asked for; who leaves gaps is as the mechanism says."""
    whole = simulate(instrument, n_clusters=400, loading=0.9, rng=3)
    data = simulate(instrument, n_clusters=400, loading=0.9, missing=0.2, missing_mechanism=mechanism, rng=3)
    gaps = data[[f"d{k}" for k in range(1, 4)]].isna().to_numpy()
    assert gaps.mean() == pytest.approx(0.2, abs=0.01)
    first = _keyed(instrument, whole, "a")[:, 0]
    own = _latent_like(whole, ["d1", "d2", "d3"]).mean(axis=1)
    by_first = np.corrcoef(first, gaps.mean(axis=1))[0, 1]
    by_own = np.corrcoef(own, gaps.mean(axis=1))[0, 1]
    if mechanism == "mcar":
        assert (abs(by_first), abs(by_own)) == pytest.approx((0, 0), abs=0.04)
    elif mechanism == "mar":
        assert by_first < -0.3
        assert not data["a1"].isna().any()
        assert abs(by_first) > abs(by_own)
    else:
        assert by_own < -0.3


def test_new_arguments_at_their_defaults_change_nothing(instrument: Instrument) -> None:
    """What is not asked for does not move what is drawn."""
    plain = simulate(instrument, n_clusters=5, rng=9)
    spelled = simulate(instrument, n_clusters=5, between_loading={"a1": 1.0}, waves=1, change=0.0, groups=None, rng=9)
    assert plain.equals(spelled)
    grouped = simulate(instrument, n_clusters=5, groups={"x": 0.5, "y": 0.5}, rng=9)
    assert plain.equals(grouped.drop(columns="group"))
    two = simulate(instrument, n_clusters=5, waves=2, rng=9)
    assert plain.equals(two[two["wave"] == "1"].drop(columns="wave").reset_index(drop=True))


@pytest.mark.parametrize(
    "wrong",
    [
        {"between_loading": 0.0},
        {"between_loading": {"a9": 0.5}},
        {"between_loading": 0.3, "icc": 0.6, "loading": 0.9},
        {"waves": 0},
        {"waves": ["a", "a"]},
        {"waves": "fall"},
        {"stability": 1.5},
        {"stability": (0.5, 0.5, 0.5)},
        {"change": {"z": 1.0}},
        {"groups": {"x": 0.5, "y": 0.4}},
        {"impact": {"x": 1.0}},
        {"groups": {"x": 1.0}, "bias": {"x": {"a9": 1.0}}},
        {"missing_mechanism": "random"},
        {"missing": 0.6, "missing_mechanism": "mar"},
    ],
)
def test_further_wrong_arguments_are_named(instrument: Instrument, wrong: dict[str, Any]) -> None:
    """Impossible structures, labels, groups and mechanisms."""
    with pytest.raises(OptionError):
        simulate(instrument, **wrong)


def test_dependent_pairs_share_what_their_factor_does_not_explain(instrument: Instrument) -> None:
    """With no loading the polychoric correlation of a pair is the stated one; other pairs have none."""
    one, two, three = [item for item in ("a1", "a2", "a3", "a4", "a5") if not instrument.is_reflected(item)][:3]
    data = simulate(instrument, n_clusters=40, cluster_size=100, loading=0.0, dependence={(two, one): 0.5}, rng=3)
    result = rm.polychoric(data[[one, two, three]], categories=[1, 2, 3, 4])
    assert result.correlation[0, 1] == pytest.approx(0.5, abs=0.04)
    assert np.abs(result.correlation[[0, 1], 2]).max() < 0.05
    plain = simulate(instrument, n_clusters=4, rng=3)
    paired = simulate(instrument, n_clusters=4, rng=3, dependence={(one, two): 0.5})
    assert paired.drop(columns=two).equals(plain.drop(columns=two))  # nothing else moves


@pytest.mark.parametrize("wrong", [{("a1", "a1"): 0.2}, {("a1", "a2"): 1.0}, {("a1", "x"): 0.2}])
def test_wrong_pairs_are_named(instrument: Instrument, wrong: Any) -> None:
    """Two different items of the instrument, and a correlation."""
    with pytest.raises(OptionError, match="dependence"):
        simulate(instrument, dependence=wrong)
    with pytest.raises(OptionError, match="one pair only"):
        simulate(instrument, dependence={("a1", "a2"): 0.2, ("a2", "a3"): 0.2})
