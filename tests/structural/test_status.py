"""Inadmissible, unidentified and unfinished solutions: each says what it is, and what to do."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from relmeasure.exceptions import (
    ColumnNotFoundError,
    DataError,
    HeywoodWarning,
    InadmissibleError,
    InadmissibleWarning,
    ListwiseDeletionWarning,
    NotConvergedWarning,
    NotIdentifiedWarning,
    NotPositiveDefiniteError,
    OptionError,
    TooFewObservationsError,
    UnsupportedDataError,
)
from relmeasure.samplestats.estimates import MomentEstimate
from relmeasure.structural import cfa, sem
from tests.structural.models import NAMES, simulated
from tests.structural.reference import frame, model


def from_correlations(r: list[list[float]], n: int = 200) -> MomentEstimate:
    names = [f"x{k + 1}" for k in range(len(r))]
    return MomentEstimate.from_matrix(np.array(r), n, names)


HEYWOOD = from_correlations([[1, 0.9, 0.8], [0.9, 1, 0.5], [0.8, 0.5, 1]])
"""One factor: the loading of x1 is sqrt(.9 * .8 / .5) = 1.2, so its residual variance is 1 - 1.44 = -.44."""


# --------------------------------------------------------------------------- inadmissible
def test_heywood_case_is_flagged_and_named() -> None:
    """Pitfall 4.10: a negative variance is no success."""
    with pytest.warns(HeywoodWarning, match=r"residual variance of x1 is negative \(-0\.4"):
        fit = cfa("f =~ x1 + x2 + x3", HEYWOOD, std_lv=True)
    assert fit.status.level == "caution"
    assert (fit.status.converged, fit.status.admissible, fit.status.identified) == (True, False, True)
    loading = fit.parameters().iloc[0]["est"]
    assert abs(loading) == pytest.approx(1.2 * np.sqrt(199 / 200), rel=1e-6)
    assert [note.code for note in fit.warnings] == ["heywood"]
    assert "lower(0)" in fit.status.reasons[0]


def test_what_rests_on_an_inadmissible_fit_is_refused() -> None:
    """Pitfall 4.10: scores and reliability need an explicit override."""
    with pytest.warns(HeywoodWarning):
        fit = cfa("f =~ x1 + x2 + x3", HEYWOOD, std_lv=True)
    with pytest.raises(InadmissibleError, match="allow_inadmissible=True"):
        fit.reliability()
    with pytest.raises(InadmissibleError, match="x1 is negative"):
        fit.scores(data=np.zeros((4, 3)))
    with pytest.raises(InadmissibleError):
        fit.determinacy()
    assert len(fit.reliability(allow_inadmissible=True)) == 1
    assert fit.scores(data=np.zeros((4, 3)), allow_inadmissible=True).shape == (4, 1)


def test_a_bound_is_reported_with_the_unbounded_estimate_gone() -> None:
    """Pitfall 4.10: a solution at a bound says so, and the bounded parameter has no standard error."""
    with pytest.warns(HeywoodWarning, match="at their bounds: x1~~x1 > 0"):
        fit = cfa("f =~ x1 + x2 + x3\nx1 ~~ lower(0)*x1", HEYWOOD, std_lv=True)
    row = fit.parameters().set_index(["lhs", "op", "rhs"]).loc[("x1", "~~", "x1")]
    assert row["est"] == pytest.approx(0.0, abs=1e-8)
    assert np.isnan(row["se"])
    assert fit.active == ("x1~~x1 > 0",)
    assert fit.indices["df"] == 0
    assert fit.indices["chisq"] > 0


def test_a_bound_that_does_not_bind_changes_nothing() -> None:
    hs = frame("HolzingerSwineford1939")
    plain = cfa(model("hs"), hs)
    bounded = cfa(model("hs") + "\nx1 ~~ lower(0)*x1", hs)
    assert bounded.active == ()
    assert bounded.indices["chisq"] == pytest.approx(plain.indices["chisq"], rel=1e-9)


def test_factors_that_correlate_beyond_one_are_named() -> None:
    strong = np.full((6, 6), 0.55)
    strong[:3, :3], strong[3:, 3:] = 0.45, 0.45
    np.fill_diagonal(strong, 1.0)
    with pytest.warns(InadmissibleWarning, match=r"factors f and g is 1\.2\d\d, beyond one"):
        fit = cfa("f =~ x1 + x2 + x3\ng =~ x4 + x5 + x6", from_correlations(strong.tolist()))
    assert fit.status.admissible is False
    assert fit.status.level == "caution"


def test_indefinite_factor_covariances_without_a_pair_to_blame() -> None:
    factors = np.array([[1.0, 0.9, 0.9], [0.9, 1.0, 0.4], [0.9, 0.4, 1.0]])  # determinant -0.13
    blocks = 0.49 * np.kron(factors, np.ones((3, 3)))
    np.fill_diagonal(blocks, 1.0)
    text = "f =~ x1+x2+x3\ng =~ x4+x5+x6\nh =~ x7+x8+x9"
    with pytest.warns(InadmissibleWarning, match="not positive definite"):
        fit = cfa(text, from_correlations(blocks.tolist()))
    assert fit.status.admissible is False


# --------------------------------------------------------------------------- not identified
UNIDENTIFIED = {
    "two items alone": ("f =~ x1 + x2", 1, "3 moments"),
    "loading and variance free": ("f =~ NA*x1 + x2 + x3 + x4", 0, "f=~x1"),
    "the same factor twice": ("f =~ x1 + x2 + x3 + x4\ng =~ x1 + x2 + x3 + x4", 0, "f=~x2"),
    "bifactor with two groups": (
        "k =~ x1+x2+x3+x4+x5+x6\nf =~ x1+x2+x3\ng =~ x4+x5+x6\nk ~~ 0*f\nk ~~ 0*g\nf ~~ 0*g",
        0,
        "k=~x4",
    ),
}


@pytest.mark.filterwarnings("ignore::relmeasure.exceptions.HeywoodWarning")  # where on the ridge it ends is chance
@pytest.mark.parametrize("case", UNIDENTIFIED)
def test_what_is_not_identified_is_named(case: str) -> None:
    text, _, named = UNIDENTIFIED[case]
    with pytest.warns(NotIdentifiedWarning, match="Not identified") as caught, warnings.catch_warnings():
        fit = cfa(text, frame("HolzingerSwineford1939"))
    assert any(named in str(w.message) for w in caught)
    assert fit.status.identified is False
    assert fit.status.level == "failed"
    assert fit.parameters()["se"].isna().any()
    assert any("Fix" in reason for reason in fit.status.reasons)


def test_single_factor_of_two_items_in_a_larger_model_is_identified() -> None:
    fit = cfa("f =~ x1 + x2\ng =~ x4 + x5 + x6", frame("HolzingerSwineford1939"))
    assert fit.status.identified


def test_identification_does_not_depend_on_the_sample() -> None:
    """Uncorrelated factors of two items each are not identified, however the sample looks; two equal loadings are."""
    hs = frame("HolzingerSwineford1939")
    with pytest.warns(NotIdentifiedWarning):
        free = cfa("f =~ x1 + x2\ng =~ x4 + x5 + x6", hs, orthogonal=True)
    equal = cfa("f =~ a*x1 + a*x2\ng =~ x4 + x5 + x6\nf ~~ 1*f", hs, orthogonal=True, std_lv=True)
    assert (free.status.identified, equal.status.identified) == (False, True)


# --------------------------------------------------------------------------- not converged
def test_a_fit_that_stops_early_is_failed() -> None:
    with pytest.warns(NotConvergedWarning, match="No solution after 9 starts"):
        fit = cfa(model("hs"), frame("HolzingerSwineford1939"), max_iterations=1)
    assert (fit.status.level, fit.status.converged, fit.status.admissible) == ("failed", False, None)
    assert fit.fit_measures() == {}
    with pytest.raises(InadmissibleError, match="converged"):
        fit.scores()
    assert "failed" in fit.summary()


def test_bad_starts_are_survived() -> None:
    """Pitfall 4.19: several starts reach the same optimum."""
    hs = frame("HolzingerSwineford1939")
    good = cfa(model("hs"), hs)
    bad = cfa(
        "visual =~ x1+start(-9)*x2+start(40)*x3\ntextual =~ x4+x5+x6\nspeed =~ x7+start(-5)*x8+x9\n"
        "x1 ~~ start(0.001)*x1\nvisual ~~ start(30)*textual",
        hs,
    )
    assert bad.status.ok
    assert bad.indices["chisq"] == pytest.approx(good.indices["chisq"], rel=1e-9)


# --------------------------------------------------------------------------- data that cannot be used
def with_column(values: Any) -> Any:
    hs = frame("HolzingerSwineford1939")
    hs["x1"] = values
    return hs


def test_constant_item() -> None:
    with pytest.raises(NotPositiveDefiniteError, match="no variance in x1"):
        cfa(model("hs"), with_column(3.0))


def test_linearly_dependent_items_are_named() -> None:
    hs = frame("HolzingerSwineford1939")
    with pytest.raises(NotPositiveDefiniteError, match=r"x1, x2, x3 are linearly dependent"):
        cfa(model("hs"), with_column(hs["x2"] + hs["x3"]))


def test_fewer_rows_than_items() -> None:
    with pytest.raises(NotPositiveDefiniteError, match="8 rows are too few for 9 items"):
        cfa(model("hs"), frame("HolzingerSwineford1939").head(8))


def test_all_missing() -> None:
    with pytest.raises(TooFewObservationsError, match="0 complete rows"):
        cfa(model("hs"), with_column(np.nan))


def test_listwise_deletion_is_counted() -> None:
    """Pitfall 4.6: N is what was used, and says so."""
    hs = frame("hs_missing")
    with pytest.warns(ListwiseDeletionWarning, match=r"\d+ of 301 rows have a missing answer") as caught:
        fit = cfa(model("hs"), hs)
    assert len(caught) == 1
    complete = int(hs.notna().all(axis=1).sum())
    assert fit.n_obs == complete == fit.provenance.n_obs
    assert fit.provenance.n_rows == 301
    assert "listwise" in fit.provenance.rule


def test_infinite_values() -> None:
    hs = frame("HolzingerSwineford1939")
    hs.loc[3, "x2"] = np.inf
    with pytest.raises(DataError, match="Infinite values in x2"):
        cfa(model("hs"), hs)


def test_unknown_column_has_a_hint() -> None:
    with pytest.raises(ColumnNotFoundError, match="Did you mean 'x1'"):
        cfa("f =~ x1 + x11 + x2", frame("HolzingerSwineford1939")[["x1", "x2", "x3"]])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"estimator": "MLX"}, OptionError, "MLR"),
        ({"missing": "em"}, OptionError, "fiml"),
        ({"information": "fisher"}, OptionError, "expected"),
        ({"likelihood": "poisson"}, OptionError, "wishart"),
        ({"parameterization": "gamma", "ordered": True}, OptionError, "delta"),
        ({"conf_level": 95}, OptionError, "between 0 and 1"),
        ({"estimator": "WLSMV"}, UnsupportedDataError, "ordered="),
        ({"estimator": "GLS", "missing": "fiml"}, UnsupportedDataError, "'ML' or 'MLR'"),
        ({"estimator": "MLM", "missing": "fiml"}, UnsupportedDataError, "'ML' or 'MLR'"),
        ({"missing": "pairwise"}, UnsupportedDataError, "ordered items"),
        ({"estimator": "ULS", "cluster": "school"}, UnsupportedDataError, "cluster="),
        ({"estimator": "MLM", "weights": "sex"}, UnsupportedDataError, "weights="),
        ({"estimator": "MLR", "likelihood": "wishart"}, UnsupportedDataError, "wishart"),
        ({"estimator": "MLR", "ordered": True}, UnsupportedDataError, "continuous"),
        ({"ordered": ["x1"], "cluster": "school"}, UnsupportedDataError, "ordered="),
        ({"auxiliary": ["sex"]}, UnsupportedDataError, "fiml"),
        ({"auxiliary": ["x1"], "missing": "fiml"}, UnsupportedDataError, "part of the model"),
        ({"cluster": ("sex", "school")}, UnsupportedDataError, "at least 20 clusters"),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        cfa(model("hs"), frame("HolzingerSwineford1939"), **options)


def test_blocks_are_refused_with_a_fix() -> None:
    with pytest.raises(UnsupportedDataError, match="group="):
        sem("group: 1\nf =~ x1 + x2 + x3", frame("HolzingerSwineford1939"))


def test_moments_cannot_do_what_needs_rows() -> None:
    for options in ({"estimator": "MLR"}, {"group": "g"}, {"cluster": "c"}, {"missing": "fiml"}, {"estimator": "WLS"}):
        with pytest.raises(UnsupportedDataError):
            cfa("f =~ x1 + x2 + x3", HEYWOOD, **options)  # type: ignore[arg-type]  # options by name
    with pytest.raises(UnsupportedDataError, match="mean structure"):
        cfa("f =~ x1 + x2 + x3", HEYWOOD, mean_structure=True)


def test_few_clusters_are_warned_of() -> None:
    from relmeasure.exceptions import FewClustersWarning

    rows = simulated()
    with pytest.warns(FewClustersWarning, match="5 clusters"):
        cfa("f =~ x1 + x2 + x3 + x4", rows[:, :4], cluster=np.arange(len(rows)) % 5)
    assert NAMES


def test_a_factor_that_collapses_is_named_after_two_starts() -> None:
    """A bifactor model of one-factor data: a group factor shrinks onto one item, whose residual variance has no floor."""
    rng = np.random.default_rng(0)
    y = 0.7 * rng.normal(size=(800, 1)) + 0.7 * rng.normal(size=(800, 12))
    groups = "\n".join(f"s{k} =~ " + " + ".join(f"x{4 * k + i}" for i in range(1, 5)) for k in range(3))
    text = f"g =~ {' + '.join(f'x{k}' for k in range(1, 13))}\n{groups}"
    with pytest.warns(NotConvergedWarning, match="after 2 starts.*falls without bound.*lower\\(0\\)"):
        fit = cfa(text, y, std_lv=True, orthogonal=True)
    assert fit.status.level == "failed"
    assert fit.indices == {}
    assert np.isnan(fit.covariance).all()
    with pytest.raises(InadmissibleError, match="converged"):
        fit.scores()


def test_determinacy_is_printed_and_low_ones_are_named() -> None:
    """Pitfall 4.13: scores of two weak items are not for decisions about single persons."""
    rng = np.random.default_rng(5)
    f = rng.normal(size=(600, 2)) @ np.array([[1.0, 0.4], [0.0, 0.9]])
    y = f[:, [0, 0, 0, 0, 1, 1, 1]] * np.array([1.5, 1.5, 1.5, 1.5, 0.5, 0.5, 0.5]) + rng.normal(size=(600, 7))
    fit = cfa("A =~ x1 + x2 + x3 + x4\nB =~ x5 + x6 + x7", y)
    found = dict(zip(*(fit.determinacy()[c] for c in ("factor", "determinacy")), strict=True))
    assert found["A"] > 0.8 > found["B"]
    assert "not for decisions about single persons" in fit.summary()
    truth = [abs(np.corrcoef(fit.scores().to_numpy()[:, k], f[:, k])[0, 1]) for k in range(2)]
    assert list(found.values()) == pytest.approx(truth, abs=0.06)


def test_factors_point_where_most_of_their_items_do() -> None:
    """Pitfall 4.14: with unit variances the sign of a factor is fixed, and means, scores and correlations follow it."""
    turned = simulated() * np.array([-1.0, 1, 1, 1, -1, -1, -1, 1])
    text = "f =~ x1 + x2 + x3 + x4\ng =~ x5 + x6 + x7 + x8"
    one, two = (cfa(text, rows, std_lv=True) for rows in (simulated(), turned))
    first, second = (f.parameters().query("op == '=~'")["est"].to_numpy(float) for f in (one, two))
    assert (first > 0).all()
    assert second == pytest.approx(first * np.array([-1, 1, 1, 1, 1, 1, 1, -1]), rel=1e-6)
    same = np.abs(one.implied()["factor_cov"]) - np.abs(two.implied()["factor_cov"])
    assert same == pytest.approx(np.zeros((2, 2)), abs=1e-7)
    scores = one.scores().to_numpy() * np.array([1.0, -1.0])
    assert two.scores().to_numpy() == pytest.approx(scores, abs=1e-6)


def test_a_factor_without_anything_to_explain_converges_at_zero() -> None:
    """Equal loadings of two items whose residuals correlate negatively: the best is zero, where information is singular."""
    rng = np.random.default_rng(3)
    f, shared = rng.normal(size=(500, 1)), rng.normal(size=(500, 1))
    y = 0.8 * f + 0.6 * rng.normal(size=(500, 6))
    y[:, [0]] += 0.2 * shared
    y[:, [1]] -= 0.2 * shared
    text = "f =~ x1 + x2 + x3 + x4 + x5 + x6\nm =~ a*x1 + a*x2\nf ~~ 0*m"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit, plain = cfa(text, y, std_lv=True), cfa(text.partition("\n")[0], y, std_lv=True)
    assert fit.status.converged
    assert fit.indices["chisq"] == pytest.approx(plain.indices["chisq"], rel=1e-6)
    assert abs(float(fit.parameters().query("lhs == 'm' and op == '=~'")["est"].iloc[0])) < 1e-3
