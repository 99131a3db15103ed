"""What each estimator of ``cfa`` takes, found by asking it: ``python -m tests.structural.takes`` prints the table."""

from __future__ import annotations

import warnings
from typing import Any, get_args

import numpy as np
import pandas as pd

from relmeasure.exceptions import UnsupportedDataError
from relmeasure.structural import cfa
from relmeasure.structural.estimation.method import Estimator
from tests.structural.populations import Population, ordered, population_items

SMALL = Population(1, 4)

COLUMNS: dict[str, dict[str, Any]] = {
    "continuous items": {},
    "ordered items": {"ordered": True},
    'missing="fiml"': {"missing": "fiml"},
    'missing="pairwise", ordered': {"missing": "pairwise", "ordered": True},
    "weights": {"weights": "w"},
    "weights, ordered": {"weights": "w", "ordered": True},
    "clusters": {"cluster": "a"},
    "clusters, ordered": {"cluster": "a", "ordered": True},
    "two-way clusters": {"cluster": ["a", "b"]},
    "groups": {"group": "g"},
    "groups, ordered": {"group": "g", "ordered": True},
    "moments without rows": {},
}


def data() -> tuple[pd.DataFrame, pd.DataFrame]:
    """400 rows with groups, clusters, weights; and the same in five categories."""
    rng = np.random.default_rng(11)
    rows, names = SMALL.draw(400, rng), population_items(SMALL)
    beside = {
        "g": np.where(np.arange(400) % 2, "one", "two"),
        "a": np.arange(400) % 40,
        "b": np.arange(400) % 37,
        "w": rng.uniform(0.5, 2.0, 400),
    }
    return tuple(pd.DataFrame(v, columns=names).assign(**beside) for v in (rows, ordered(rows)))  # type: ignore[return-value]


def takes(estimator: Any, column: str, frames: tuple[pd.DataFrame, pd.DataFrame]) -> bool:
    """Whether the call fits; anything but a refusal is an error."""
    options = COLUMNS[column]
    given: Any = frames[1 if "ordered" in options else 0]
    if column == "moments without rows":
        from relmeasure.samplestats.moments import moment_sums

        names = population_items(SMALL)
        given = moment_sums(given[names].to_numpy(), names)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = cfa(SMALL.model, given, estimator=estimator, **options)
    except UnsupportedDataError:
        return False
    if not fit.status.converged:
        raise ValueError(f"{estimator}, {column}: {fit.status.reasons}")
    return True


def table() -> str:
    """The table in Markdown."""
    frames = data()
    lines = ["| estimator | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for estimator in get_args(Estimator):
        cells = ["yes" if takes(estimator, column, frames) else "no" for column in COLUMNS]
        lines.append(f"| {estimator} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())  # noqa: T201
