"""Rows, cluster statistics and stored results of two-level models."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from relmeasure.samplestats.clusters import ClusterSums
from relmeasure.structural import StructuralFit
from tests.support import REFERENCE, load_reference

CFA = "level: 1\n fw =~ y1 + y2 + y3 + y4\nlevel: 2\n fb =~ y1 + y2 + y3 + y4"

Array = np.ndarray[Any, np.dtype[Any]]


@cache
def stored(name: str) -> dict[str, Any]:
    """A block of lavaan's output."""
    found: dict[str, Any] = load_reference("two_level/lavaan")[name]
    return found


@cache
def _rows() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "two_level" / "rows.csv")


def rows() -> pd.DataFrame:
    """The simulated rows."""
    return _rows().copy()


def demo() -> ClusterSums:
    """Cluster statistics with the size moments of Demo.twolevel: the clusters themselves are made up."""
    given = stored("demo_statistics")
    means, n = [], []
    for size, count, mean, scatter in zip(given["n"], given["count"], given["mean"], given["scatter"], strict=True):
        roots, vectors = np.linalg.eigh(np.array(scatter))
        basis = np.linalg.qr(np.column_stack([np.ones(count), np.random.default_rng(1).normal(size=(count, 11))]))[0]
        means.append(np.array(mean) + basis[:, 1:] @ (vectors * np.sqrt(np.maximum(roots, 0.0))).T)
        n += [size] * count
    labels = tuple(f"{i:03d}" for i in range(len(n)))
    return ClusterSums(
        names=tuple(given["names"]),
        labels=labels,
        n_rows=int(sum(n)),
        n=np.array(n),
        mean=np.concatenate(means),
        within=np.array(given["within"]),
    )


def simulate(rng: np.random.Generator, sizes: Array, *, between: float = 1.0, items: int = 4) -> pd.DataFrame:
    """Rows of one factor at each level."""
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    weights = np.linspace(1.0, 0.7, items)
    inner = rng.normal(size=(len(cluster), 1)) * weights + 0.8 * rng.normal(size=(len(cluster), items))
    outer = 0.6 * rng.normal(size=(len(sizes), 1)) * weights + 0.4 * rng.normal(size=(len(sizes), items))
    frame = pd.DataFrame(inner + between * outer[cluster], columns=[f"y{k + 1}" for k in range(items)])
    return frame.assign(cluster=cluster)


def key(lhs: str, op: str, rhs: str, level: Any) -> tuple[str, str, str, str]:
    """Identify a parameter; the sides of a covariance are interchangeable."""
    name = {"1": "within", "2": "between", "0": ""}.get(str(level), str(level))
    first, second = sorted((lhs, rhs)) if op == "~~" else (lhs, "" if op in ("~1", ":=") else rhs)
    return first, op, second, name


def estimates(
    fit: StructuralFit, *, standardized: bool = False
) -> dict[tuple[str, str, str, str], tuple[float, float]]:
    """Estimate and standard error of every parameter."""
    frame = fit.parameters(standardized=standardized)
    columns = ("std_all", "std_all_se") if standardized else ("est", "se")
    return {
        key(row["lhs"], row["op"], row["rhs"], row["level"]): (float(row[columns[0]]), float(row[columns[1]]))
        for row in frame.to_dict("records")
    }


def reference(block: dict[str, Any], name: str = "estimates") -> dict[tuple[str, str, str, str], tuple[float, float]]:
    """The same of a stored block."""
    table = block[name]
    value = table["est" if name == "estimates" else "est.std"]
    levels = table.get("level") or [""] * len(value)
    parts = zip(table["lhs"], table["op"], table["rhs"], levels, value, table["se"], strict=True)
    return {key(lhs, op, rhs, level): (v, se) for lhs, op, rhs, level, v, se in parts}
