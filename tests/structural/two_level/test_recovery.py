"""Known two-level structures: recovered, with intervals that cover as often as they say."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from relmeasure.structural import sem
from tests.structural.two_level.data import estimates

Array = np.ndarray[Any, np.dtype[Any]]

LOADINGS = (1.0, 0.8, 1.2)
TRUE = {
    ("fw", "=~", "y2", "within"): 0.8,
    ("fw", "=~", "y3", "within"): 1.2,
    ("fb", "=~", "y2", "between"): 0.8,
    ("fb", "=~", "y3", "between"): 1.2,
    ("fw", "~", "xw", "within"): 0.3,
    ("fb", "~", "xb", "between"): 0.6,
    ("fw", "~~", "fw", "within"): 0.8,
    ("fb", "~~", "fb", "between"): 0.3,
    ("xb", "~~", "xb", "between"): 0.5,
    ("y1", "~~", "y1", "between"): 0.1,
    ("context", ":=", "", ""): 0.3,
}
MODEL = """
level: 1
 fw =~ y1 + y2 + y3
 xw =~ v1 + v2 + v3
 fw ~ within*xw
level: 2
 fb =~ y1 + y2 + y3
 xb =~ v1 + v2 + v3
 fb ~ between*xb
context := between - within
"""
"""Doubly latent: factors from items at both levels, and the effect of the class beyond that of the student."""


def draw(rng: np.random.Generator, sizes: Array) -> pd.DataFrame:
    """Rows of the model above."""
    code = np.repeat(np.arange(len(sizes)), sizes)
    n, J = len(code), len(sizes)
    weights = np.array(LOADINGS)
    xw, xb = rng.normal(size=n), math.sqrt(0.5) * rng.normal(size=J)
    fw = 0.3 * xw + math.sqrt(0.8) * rng.normal(size=n)
    fb = 0.6 * xb + math.sqrt(0.3) * rng.normal(size=J)
    y = np.outer(fw, weights) + 0.8 * rng.normal(size=(n, 3))
    y += (np.outer(fb, weights) + math.sqrt(0.1) * rng.normal(size=(J, 3)))[code]
    v = np.outer(xw, weights) + 0.8 * rng.normal(size=(n, 3))
    v += (np.outer(xb, weights) + math.sqrt(0.1) * rng.normal(size=(J, 3)))[code]
    columns = ["y1", "y2", "y3", "v1", "v2", "v3"]
    return pd.DataFrame(np.column_stack([y, v]), columns=columns).assign(cluster=code)


def replicate(n: int, clusters: int, seed: int, **options: Any) -> tuple[dict[Any, Array], Array]:
    """Return estimates and standard errors (n, 2) of each parameter, and the p-values of the tests of fit."""
    found: dict[Any, list[tuple[float, float]]] = {name: [] for name in TRUE}
    tests = []
    for child in np.random.default_rng(seed).spawn(n):
        data = draw(child, child.integers(8, 30, size=clusters))
        if "missing" in options:
            for column in data.columns[:3]:
                data.loc[child.random(len(data)) < 0.15, column] = np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # negative residual variances between: kept, they are part of the answer
            fit = sem(MODEL, data, cluster="cluster", **options)
        mine = estimates(fit)
        for name, values in found.items():
            values.append(mine[name])
        tests.append(fit.fit_measures("pvalue")["pvalue"])
    return {name: np.array(values) for name, values in found.items()}, np.array(tests)


def test_a_few_replications() -> None:
    found, tests = replicate(6, 120, 1)
    for name, truth in TRUE.items():
        estimate, se = found[name].T
        assert abs(estimate.mean() - truth) < 4.0 * se.mean() / math.sqrt(6), name
    assert tests.min() > 1e-4


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("options", "seed"), [({}, 2), ({"estimator": "MLR"}, 3), ({"missing": "fiml"}, 4)])
def test_bias_and_coverage(options: dict[str, Any], seed: int) -> None:
    n = 400 if "missing" not in options else 150
    found, tests = replicate(n, 150, seed, **options)
    for name, truth in TRUE.items():
        estimate, se = found[name].T
        bias = estimate.mean() - truth
        assert abs(bias) < max(0.03 * abs(truth), 3.5 * estimate.std() / math.sqrt(n)), (name, bias)
        covered = (np.abs(estimate - truth) < 1.959964 * se).mean()
        slack = 3.5 * math.sqrt(0.95 * 0.05 / n)
        assert 0.94 - slack < covered < 0.95 + slack, (name, covered)
        assert abs(se.mean() / estimate.std() - 1.0) < 0.08 + 2.5 / math.sqrt(2 * n), name
    rejected = (tests < 0.05).mean()
    assert rejected < 0.05 + 3.5 * math.sqrt(0.05 * 0.95 / n) + 0.02
