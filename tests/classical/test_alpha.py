"""Coefficient alpha: references, published values, identities, invariances, and bad input."""

from __future__ import annotations

import numpy as np

from relmeasure.classical import alpha
from relmeasure.samplestats.moments import moment_sums


def test_parallel_items_give_the_spearman_brown_value() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, 4))
    m = moment_sums(x, list("abcd"))
    k, cov = 4, np.cov(x.T)
    assert np.isclose(alpha(m).estimate, k / (k - 1) * (1 - np.trace(cov) / cov.sum()), rtol=1e-12)
