"""Fits of the simulated ordered items in three groups, shared by tests (``tests/reference/cfa/further.R``)."""

from __future__ import annotations

import csv
import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from relmeasure.structural import StructuralFit, cfa
from relmeasure.structural.estimation.samples import GroupSample, Sample
from relmeasure.structural.language.specification import build_table
from relmeasure.structural.reading import Reading
from relmeasure.structural.running import Call, fit_table
from tests.support import REFERENCE, load_reference

ITEMS = ["a1", "a2", "a3", "a4", "b1", "b2", "b3"]
CONTINUOUS = ["c1", "c2", "c3"]
MODEL = "A =~ a1+a2+a3+a4\nB =~ b1+b2+b3"
MIXED = "A =~ a1+a2+a3+a4\nB =~ b1+b2+b3+c1+c2+c3"
STEPS: dict[str, tuple[Any, ...]] = {
    "configural": (),
    "loadings": ("loadings",),
    "thresholds": ("loadings", "thresholds", "intercepts"),
}
CATEGORIES = dict(zip(ITEMS, (2, 3, 4, 5, 6, 2, 4), strict=True))
SIZES = {"": 1000, "one": 420, "two": 330, "three": 250}


@cache
def stored() -> dict[str, Any]:
    found: dict[str, Any] = load_reference("cfa/further")
    return found


@cache
def rows() -> pd.DataFrame:
    """1,000 rows of ten items and their group."""
    with (REFERENCE / "cfa" / "ordered_groups.csv").open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    return pd.DataFrame({c: [r[c] if c == "group" else float(r[c]) for r in found] for c in found[0]})


def groups(which: str) -> pd.DataFrame:
    """Rows of two or of three groups."""
    found = rows()
    return found if which == "three" else found[found["group"] != "three"]


@cache
def ordered_fit(which: str, parameterization: Any, step: str = "configural", estimator: Any = "WLSMV") -> StructuralFit:
    """Ordered items only; ``which`` is ``"single"``, ``"two"`` or ``"three"``."""
    options: dict[str, Any] = {"parameterization": parameterization, "estimator": estimator, "ordered": ITEMS}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if which == "single":
            return cfa(MODEL, rows()[ITEMS], **options)
        return cfa(MODEL, groups(which), group="group", group_equal=STEPS[step], **options)


def lavaan_sample(which: str) -> Sample:
    """lavaan's sample statistics of mixed items: it takes the covariance of continuous moments from normal theory."""
    given = stored()["samples"][which]
    names, found = [*ITEMS, *CONTINUOUS], []
    for group, part in ({"": given} if which == "single" else given).items():
        sign = np.array([-1.0 if n.endswith("~1") else 1.0 for n in part["names"]])  # its means carry a minus
        moments = np.array(part["obs"]) * sign
        value = dict(zip(part["names"], moments, strict=True))
        cov = np.array([[value.get(f"{a}~~{b}", value.get(f"{b}~~{a}", 1.0)) for b in names] for a in names])
        mean = np.array([value.get(f"{a}~1", 0.0) for a in names])
        acov = np.array(part["gamma"]) * np.outer(sign, sign)
        found.append(
            GroupSample(group, SIZES[group], mean, cov, acov=acov, moment_names=tuple(part["names"]), moments=moments)
        )
    return Sample(tuple(names), tuple(found), sum(group.n_obs for group in found), "lavaan's")


@cache
def mixed_fit(which: str, parameterization: Any, step: str = "configural") -> StructuralFit:
    """Ordered and continuous items, from lavaan's sample statistics."""
    sample = lavaan_sample(which)
    call = Call(
        function="cfa",
        model=MIXED,
        data=None,
        estimator="WLSMV",
        ordered=ITEMS,
        parameterization=parameterization,
        group=None if which == "single" else "group",
        group_equal=STEPS[step],
    )
    thresholds = {item: tuple(range(1, k)) for item, k in CATEGORIES.items()}
    names = tuple(group.name for group in sample.groups)
    table = build_table(call.read_model(), call.options(names, thresholds))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit_table(table, Reading(sample.subset(table.observed), None, sample.n_obs), call.read_method(), call)
