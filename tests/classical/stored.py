"""Stored scales: sufficient statistics turned back into moments, and what R says of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from relmeasure.exceptions import RelmeasureWarning
from relmeasure.samplestats.moments import MomentSums
from tests.support import load_reference

SCALES = (
    "bfi_A", "bfi_C", "bfi_E", "bfi_N", "bfi_O", "hs_visual", "hs_9", "gti_studrel", "gti_tsup", "pisa_studrel",
    "burnout_TE",
)  # fmt: skip


@cache
def block(scale: str) -> Any:
    """Return everything that is stored of a scale."""
    return load_reference(f"reliability/{scale}")


def expected(scale: str) -> Any:
    """Return what R says."""
    return block(scale)["expected"]


def having(name: str) -> list[str]:
    """Return the scales that have a block."""
    return [scale for scale in SCALES if name in expected(scale)]


def from_covariances(
    cov: Any, n: int, names: Sequence[str], mean: Any = None, n_rows: int | None = None, n_item: Any = None
) -> MomentSums:
    """Return listwise moments of ``n`` complete rows with these covariances (divisor n - 1)."""
    matrix = np.asarray(cov, dtype=float)
    square = matrix.shape
    center = np.zeros(len(matrix)) if mean is None else np.asarray(mean, dtype=float)
    scatter = matrix * (n - 1)
    return MomentSums(
        names=tuple(names),
        missing="listwise",
        n_rows=n if n_rows is None else n_rows,
        n_item=np.full(len(matrix), n) if n_item is None else np.asarray(n_item),
        count=np.full(square, n),
        weight=np.full(square, float(n)),
        center=np.broadcast_to(center[:, None], square).copy(),
        scatter=scatter,
        spread=np.broadcast_to(np.diag(scatter)[:, None], square).copy(),
    )


def complete(scale: str) -> MomentSums:
    """Return the moments of the complete rows, as if nothing had been dropped."""
    c = block(scale)["complete"]
    return from_covariances(c["cov"], c["n"], c["names"], c["mean"])


def listwise(scale: str) -> MomentSums:
    """Return the moments of the complete rows, which know of the rows dropped."""
    c = block(scale)["complete"]
    return from_covariances(c["cov"], c["n"], c["names"], c["mean"], c["n_rows"], c["n_item"])


def pairwise(scale: str) -> MomentSums:
    """Return the pairwise moments of all rows."""
    return with_person_mean(scale).subset(block(scale)["complete"]["names"])


def with_person_mean(scale: str) -> MomentSums:
    """Return the pairwise moments with one column more: the mean of a person's answered items."""
    return MomentSums.from_dict(block(scale)["pairwise"])


def numbers(values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return a number, a list or a mapping of numbers as an array; None is NaN."""
    if isinstance(values, Mapping):
        values = list(values.values())
    if not isinstance(values, (list, tuple)):
        values = [values]
    return np.array([math.nan if v is None else float(v) for v in values])


@contextmanager
def quietly() -> Iterator[None]:
    """Let the library's warnings pass: the test is about numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelmeasureWarning)
        yield
