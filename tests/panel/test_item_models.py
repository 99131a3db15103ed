"""Cross-lagged models of items: lavaan's numbers on real students, and lags between classes recovered from items."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relmeasure.exceptions import OptionError, RelmeasureWarning
from relmeasure.panel import doubly_latent_syntax, latent_cross_lagged_syntax
from relmeasure.structural import sem

ITEMS = {
    "SE": [[f"SQA15{c}" for c in "ABCDE"], [f"SQB02{c}" for c in "ABCDE"]],
    "PI": [[f"SQA14{c}" for c in "ABC"], [f"SQB03{c}" for c in "ABC"]],
}
ESTIMATES = 2e-4
"""Absolute; lavaan stops at a gradient of about 1e-6."""

FITS: dict[str, dict[str, Any]] = {
    "gti_clpm_latent_ML": {},
    "gti_clpm_latent_MLR_cluster": {"estimator": "MLR", "cluster": "class"},
    "gti_clpm_latent_fiml_cluster": {"estimator": "MLR", "missing": "fiml", "cluster": "class"},
}


@pytest.mark.shared
@pytest.mark.parametrize("name", FITS)
def test_two_waves_of_students_against_lavaan(shared_reference: Path, name: str) -> None:
    """11,528 students (13,295 with full information): chi-square, every estimate and standard error."""
    import pandas as pd

    stored = json.loads((shared_reference / "values" / "panel.json").read_text(encoding="utf-8"))[name]
    data = pd.read_csv(shared_reference / "data" / "gti_students" / "data.csv")
    if name.endswith("fiml_cluster"):
        data = data[data[["SQA15A", "SQB02A", "SQA14A", "SQB03A"]].notna().any(axis=1)]
    else:
        data = data.dropna(subset=[item for waves in ITEMS.values() for wave in waves for item in wave])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelmeasureWarning)
        fit = sem(latent_cross_lagged_syntax(ITEMS), data, **FITS[name])
    assert fit.n_obs == stored["nobs"]
    measures = fit.fit_measures()
    for index in ("chisq", "df", "cfi", "rmsea", "chisq.scaled"):
        if index in stored["fit"]:
            assert measures[index] == pytest.approx(stored["fit"][index], rel=1e-4, abs=1e-4)
    found = {(r.lhs, r.op, r.rhs): (r.est, r.se) for r in fit.parameters().itertuples()}
    renamed = {f"{v}{w}": f"{v}_{w}" for v in ITEMS for w in (1, 2)}
    table, compared = stored["estimates"], 0
    for lhs, op, rhs, est, se in zip(*(table[c] for c in ("lhs", "op", "rhs", "est", "se")), strict=True):
        left, right = renamed.get(lhs, lhs), renamed.get(rhs, rhs)
        key = (left, op, right) if (left, op, right) in found else (right, op, left)
        assert found[key][0] == pytest.approx(est, abs=ESTIMATES)
        if se:
            assert found[key][1] == pytest.approx(se, rel=2e-3, abs=ESTIMATES)
            compared += 1
    assert compared >= 40


CLASSES = {name: [[f"{name}{k}_{w}" for k in (1, 2, 3)] for w in (1, 2)] for name in ("care", "think")}


def _students(seed: int = 3, classes: int = 150, size: int = 12) -> Any:
    """The same students in two waves, three items a variable: a lag of .3 from care to think between classes."""
    import pandas as pd

    rng = np.random.default_rng(seed)
    first = rng.multivariate_normal([0, 0], [[1.0, 0.5], [0.5, 1.0]], classes)
    second = first @ np.array([[0.5, 0.3], [0.0, 0.5]]) + rng.multivariate_normal([0, 0], 0.5 * np.eye(2), classes)
    home = np.repeat(np.arange(classes), size)
    own = rng.multivariate_normal([0, 0], [[1.0, 0.5], [0.5, 1.0]], len(home))
    later = 0.5 * own + rng.multivariate_normal([0, 0], [[0.75, 0.3], [0.3, 0.75]], len(home))
    columns: dict[str, Any] = {"teacher_id": home}
    for wave, (true, student) in enumerate(((first, own), (second, later)), start=1):
        factor = 0.6 * true[home] + student
        for v, name in enumerate(CLASSES):
            for k, loading in enumerate((1.0, 0.8, 0.9), start=1):
                columns[f"{name}{k}_{wave}"] = loading * factor[:, v] + 0.7 * rng.normal(size=len(home))
    return pd.DataFrame(columns)


def test_doubly_latent_lags_are_recovered() -> None:
    """Items and class means with their errors taken out: .3 one way, none back, and the model fits."""
    fit = sem(doubly_latent_syntax(CLASSES), _students(), cluster="teacher_id")
    assert fit.converged
    lags = {(row.lhs, row.rhs): row for row in fit.parameters().itertuples() if row.op == "~"}
    forward, back = lags["think_2b", "care_1b"], lags["care_2b", "think_1b"]
    assert abs(forward.est - 0.3) < 2.5 * forward.se
    assert abs(back.est) < 2.5 * back.se
    assert fit.fit_measures()["rmsea"] < 0.02


@pytest.mark.parametrize("builder", [latent_cross_lagged_syntax, doubly_latent_syntax])
@pytest.mark.parametrize(
    ("items", "said"),
    [
        ({"x": [["a", "b"], ["c", "d"]]}, "needs two"),
        ({"x": [["a", "b"], ["c", "d"]], "y": [["e", "f"]]}, "number of waves"),
        ({"x": [["a", "b"]], "y": [["e", "f"]]}, "One wave"),
        ({"x": [["a", "b"], ["c"]], "y": [["e", "f"], ["g", "h"]]}, "same items"),
        ({"x": [["a"], ["c"]], "y": [["e"], ["g"]]}, "at least two"),
        ({"x": [["a", "b"], ["c", "d"]], "y": [["a", "f"], ["g", "h"]]}, "twice"),
    ],
)
def test_what_no_model_can_be_written_of(builder: Any, items: Any, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        builder(items)
