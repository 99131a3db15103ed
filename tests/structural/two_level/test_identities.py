"""What must hold whatever the data: derivatives, the likelihood written out, limits, invariances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from relmeasure.numerics.optimize import numerical_gradient, numerical_jacobian
from relmeasure.samplestats.clusters import cluster_sums
from relmeasure.structural import cfa, sem
from relmeasure.structural.two_level.fit import TwoLevelFit
from tests.structural.two_level.data import CFA, rows, simulate, stored

MODEL = "level: 1\n fw =~ y1 + y2 + y3\n y4 ~ fw + x\n fw ~ x\n level: 2\n fb =~ y1 + y2 + y3\n y4 ~ fb + z\n fb ~ z"
MISSING = MODEL.replace("y1", "missing1").replace("y2", "missing2").replace("y3", "missing3")
NO_Z = MISSING.replace(" + z", " + missing_z").replace("fb ~ z", "fb ~ missing_z")

Array = np.ndarray[Any, np.dtype[Any]]


def fitted(model: str = MODEL, data: Any = None, **options: Any) -> TwoLevelFit:
    found = sem(model, rows() if data is None else data, cluster="cluster", **options)
    assert isinstance(found, TwoLevelFit)
    return found


def away(fit: TwoLevelFit) -> Array:
    """A point that is no maximum."""
    return np.asarray(fit.x) * 1.07 + 0.01


CASES = [(MODEL, {}), (MISSING, {"missing": "fiml"}), (NO_Z, {"missing": "fiml", "fixed_x": False})]


@pytest.mark.parametrize(("model", "options"), CASES)
def test_gradient_and_hessian(model: str, options: dict[str, Any]) -> None:
    fit = fitted(model, **options)
    objective, x = fit._fitted.engine.likelihood, away(fit)
    np.testing.assert_allclose(objective.gradient(x), numerical_gradient(objective.value, x), atol=2e-8)
    hessian = numerical_jacobian(objective.gradient, x)
    np.testing.assert_allclose(objective.curvature(x, exact=True), hessian, atol=5e-7)


def test_expected_information_is_the_mean_of_the_observed() -> None:
    """At the unrestricted moments of a saturated model nothing is left over, and the two agree."""
    fit = fitted("level: 1\n y1 ~~ y2\n level: 2\n y1 ~~ y2")
    objective, x = fit._fitted.engine.likelihood, np.asarray(fit.x)
    rng = np.random.default_rng(3)
    total = np.zeros((len(x), len(x)))
    for _ in range(40):  # data drawn from the model itself
        inner, outer = (state.sigma for state in fit._fitted.states)
        sizes = np.asarray(fit.sample.sums.n)
        cluster = np.repeat(np.arange(len(sizes)), sizes)
        y = rng.multivariate_normal(np.zeros(2), inner, len(cluster))
        y += rng.multivariate_normal(fit._fitted.states[1].mu, outer, len(sizes))[cluster]
        again = fitted(
            "level: 1\n y1 ~~ y2\n level: 2\n y1 ~~ y2", pd.DataFrame(y, columns=["y1", "y2"]).assign(cluster=cluster)
        )
        total += again._fitted.engine.likelihood.curvature(x, exact=True) / 40
    expected = objective.curvature(x, exact=False)
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert np.abs((total - expected) / scale).max() < 0.06


# --------------------------------------------------------------------------- the likelihood written out
def dense(fit: TwoLevelFit, data: pd.DataFrame) -> tuple[float, Array, dict[str, Array]]:
    """Log-likelihood, scores of ``fw`` and of ``fb``: one covariance matrix a cluster, nothing clever."""
    names, latent = list(fit.table.observed), list(fit.table.latent)
    inner, outer = fit._fitted.states
    p = len(names)
    total, within, between = 0.0, [], []
    only = [i for i in range(p) if not fit.sample.within[i]]
    for _, part in data.groupby(data["cluster"].astype(str)):
        y = part[names].to_numpy(dtype=float)
        places = [(r, i) for r in range(len(y)) for i in range(p) if i not in only and not np.isnan(y[r, i])]
        places += [(-1, i) for i in only if not np.isnan(y[:, i]).all()]
        values = np.array([np.nanmax(y[:, i]) if r < 0 else y[r, i] for r, i in places])
        item, row = np.array([i for _, i in places]), np.array([r for r, _ in places])
        V = outer.sigma[np.ix_(item, item)] + inner.sigma[np.ix_(item, item)] * (row[:, None] == row)
        residual = values - (inner.mu + outer.mu)[item]
        pulled = np.linalg.solve(V, residual)
        total -= 0.5 * (len(values) * math.log(2 * math.pi) + np.linalg.slogdet(V)[1] + residual @ pulled)
        fb = p + latent.index("fb")
        fw = p + latent.index("fw")
        between.append(outer.nu[fb] + outer.V[fb, item] @ pulled)
        for r in range(len(y)):
            at = row == r
            within.append(inner.nu[fw] + inner.V[fw, item[at]] @ pulled[at])
    return total, np.array(within), {"between": np.array(between)}


@pytest.mark.parametrize(("model", "options"), CASES)
def test_likelihood_and_scores_written_out(model: str, options: dict[str, Any]) -> None:
    data = rows()
    fit = fitted(model, **options)
    total, within, other = dense(fit, data)
    free = fit.fit_measures("logl")["logl"] - 0.5 * fit.sample.exogenous
    assert abs(total - free) < 1e-8 * abs(total)
    order = np.argsort(data["cluster"].astype(str), kind="stable")
    np.testing.assert_allclose(fit.scores()["fw"].to_numpy()[order], within, atol=1e-10)
    np.testing.assert_allclose(fit.scores(level="between")["fb"], other["between"], atol=1e-10)


@pytest.mark.parametrize(("model", "options"), CASES)
def test_scores_of_clusters_add_up_to_the_gradient(model: str, options: dict[str, Any]) -> None:
    fit = fitted(model, estimator="MLR", **options)
    scores = fit._fitted.cluster_scores
    gradient = fit._fitted.engine.likelihood.gradient(np.asarray(fit.x))
    np.testing.assert_allclose(scores.sum(axis=0), -fit.n_obs * gradient, atol=1e-6)
    assert np.abs(scores).max() > 0.1


def test_score_errors_are_those_of_simulated_factors() -> None:
    """Shrunken scores: their variance and that of their error add up to the factor's."""
    fit = fitted(CFA)
    inner, outer = fit._fitted.states
    score = fit.scores(level="between", se=True)
    n = score["n"].to_numpy()
    for size in np.unique(n):
        omega = outer.sigma + inner.sigma / size
        fb = 4 + list(fit.table.latent).index("fb")
        left = outer.V[fb, fb] - outer.V[fb, :4] @ np.linalg.solve(omega, outer.V[:4, fb])
        np.testing.assert_allclose(score["fb_se"][n == size], math.sqrt(left), atol=1e-12)
    within = fit.scores(se=True)
    fw = 4 + list(fit.table.latent).index("fw")
    sizes = rows().groupby("cluster")["y1"].transform("size").to_numpy()
    for size in np.unique(sizes):
        explained = inner.V[fw, :4] @ np.linalg.solve(inner.sigma, inner.V[:4, fw]) * (1 - 1 / size)
        explained += inner.V[fw, :4] @ np.linalg.solve(outer.sigma + inner.sigma / size, inner.V[:4, fw]) / size**2
        np.testing.assert_allclose(within["fw_se"][sizes == size] ** 2, inner.V[fw, fw] - explained, atol=1e-12)


# --------------------------------------------------------------------------- limits
def test_equal_sizes_have_a_closed_form() -> None:
    """Pooled within and, less a share of it, between covariances are maximum likelihood (Muthen, 1990)."""
    data = simulate(np.random.default_rng(5), np.full(60, 7))
    fit = fitted(CFA, data)
    sums = cluster_sums(data[["y1", "y2", "y3", "y4"]].to_numpy(), data["cluster"].to_numpy(), ["y1", "y2", "y3", "y4"])
    means = np.asarray(sums.mean)
    within = np.asarray(sums.within) / (60 * 6)
    between = np.cov(means.T, bias=True) - within / 7
    np.testing.assert_allclose(fit.sample.groups[0].cov, within, atol=1e-10)
    np.testing.assert_allclose(fit.sample.groups[1].cov, between, atol=1e-10)
    np.testing.assert_allclose(fit.sample.groups[1].mean, means.mean(axis=0), atol=1e-12)


def test_without_differences_between_clusters_it_is_the_single_level_model() -> None:
    """Between variances of zero, and clusters whose means do not spread more than chance: one-level likelihood."""
    data = rows()
    two = fitted(
        "level: 1\n f =~ y1 + y2 + y3 + y4\n level: 2\n y1 ~~ 0*y1\n y2 ~~ 0*y2\n y3 ~~ 0*y3\n y4 ~~ 0*y4", data
    )
    one = cfa("f =~ y1 + y2 + y3 + y4", data, mean_structure=True)
    for name in ("logl", "npar", "aic", "bic"):
        assert math.isclose(two.fit_measures(name)[name], one.fit_measures(name)[name], rel_tol=1e-10), name
    mine = two.parameters().query("level == 'within' and op != '~1'")["est"].to_numpy()
    theirs = one.parameters().query("op != '~1'")["est"].to_numpy()
    np.testing.assert_allclose(mine, theirs, atol=1e-7)


@pytest.mark.parametrize("options", [{}, {"missing": "fiml"}])
def test_saturated_model_has_no_misfit(options: dict[str, Any]) -> None:
    model = "level: 1\n fw =~ missing1 + missing2 + y4\n level: 2\n fb =~ missing1 + missing2 + y4"
    data = rows()
    if not options:
        data = data.dropna(subset=["missing1", "missing2"])
    measures = fitted(model, data, **options).fit_measures()
    assert measures["df"] == 0
    assert measures["chisq"] == 0.0
    assert measures["srmr_within"] == measures["srmr_between"] == 0.0
    assert measures["cfi"] == 1.0


def test_full_information_of_complete_rows_is_listwise() -> None:
    first, second = fitted(MODEL), fitted(MODEL, missing="fiml")
    np.testing.assert_allclose(second.x, first.x, atol=1e-7)
    np.testing.assert_allclose(second.covariance, first.covariance, rtol=1e-5, atol=1e-9)
    for name in ("logl", "unrestricted.logl", "chisq", "baseline.chisq", "srmr_between"):
        assert abs(first.fit_measures(name)[name] - second.fit_measures(name)[name]) < 1e-6, name


def test_equal_loadings_by_label_cost_what_the_labels_cost() -> None:
    free, equal = fitted(stored("rows_cfa_ML")["model"]), fitted(stored("rows_equal_ML")["model"])
    found = free.compare(equal)
    assert found.df == 3
    logl = [fit.fit_measures("logl")["logl"] for fit in (free, equal)]
    assert math.isclose(found.chisq, 2 * (logl[0] - logl[1]), rel_tol=1e-8)
    assert math.isclose(found.rmsea, math.sqrt(max(found.chisq - 3, 0) / (3 * free.n_obs)), rel_tol=1e-9)


# --------------------------------------------------------------------------- invariances
@pytest.mark.parametrize("options", [{}, {"missing": "fiml"}, {"estimator": "MLR"}])
def test_order_of_rows_and_names_of_clusters_do_not_matter(options: dict[str, Any]) -> None:
    model = MISSING if "missing" in options else MODEL
    first = fitted(model, **options)
    data = rows().sample(frac=1.0, random_state=4).reset_index(drop=True)
    data["cluster"] = "class " + (data["cluster"] * 7919 % 1009).astype(str)
    second = fitted(model, data, **options)
    np.testing.assert_allclose(second.x, first.x, atol=1e-7)
    np.testing.assert_allclose(second.covariance, first.covariance, rtol=1e-5, atol=1e-9)
    assert math.isclose(first.fit_measures("chisq")["chisq"], second.fit_measures("chisq")["chisq"], abs_tol=1e-6)
    scores = first.scores().assign(cluster=rows()["cluster"]).groupby("cluster")["fw"].sum().sort_values().to_numpy()
    again = second.scores().assign(cluster=data["cluster"]).groupby("cluster")["fw"].sum().sort_values().to_numpy()
    np.testing.assert_allclose(again, scores, atol=1e-6)


def test_a_scale_of_the_items_does_not_matter() -> None:
    data = rows()
    first = fitted(CFA, data)
    data[["y1", "y2", "y3", "y4"]] = data[["y1", "y2", "y3", "y4"]] * 100 + 5000
    second = fitted(CFA, data)
    for name in ("chisq", "cfi", "rmsea", "srmr_between", "baseline.chisq"):
        assert math.isclose(first.fit_measures(name)[name], second.fit_measures(name)[name], rel_tol=1e-6), name


def test_statistics_of_disjoint_clusters_add_up() -> None:
    data = rows()
    names = ["y1", "y2", "y3", "y4", "x", "z"]
    half = data["cluster"] <= 30
    parts = [
        cluster_sums(part[names].to_numpy(), part["cluster"].to_numpy(), names) for part in (data[half], data[~half])
    ]
    pooled, whole = sem(MODEL, parts[0] + parts[1]), fitted(MODEL)
    np.testing.assert_allclose(pooled.x, whole.x, atol=1e-7)
    assert pooled.n_obs == whole.n_obs
    assert math.isclose(pooled.fit_measures("chisq")["chisq"], whole.fit_measures("chisq")["chisq"], abs_tol=1e-7)
