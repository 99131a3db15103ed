"""Values of results on their way to a dict that JSON can hold, and back; and whether two of them are the same."""

from __future__ import annotations

import math
import types
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Self, Union, get_args, get_origin

import numpy as np

__all__ = ["RoundTrip", "decode", "encode", "fill_nan", "frozen_array", "same", "scalar"]


class RoundTrip(ABC):
    """What becomes a dict and comes back from it."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return a dict that JSON can hold."""

    @classmethod
    @abstractmethod
    def from_dict(cls, payload: Mapping[str, Any]) -> Self:
        """Restore from ``to_dict()``."""

    @abstractmethod
    def equals(self, other: object, *, rtol: float = 1e-9, atol: float = 0.0) -> bool:
        """Whether ``other`` is of the same kind and content."""


def frozen_array(values: Any, dtype: Any = np.float64) -> Any:
    """Return a read-only copy of ``values``."""
    array = np.array(values, dtype=dtype)
    array.setflags(write=False)
    return array


def scalar(value: Any) -> Any:
    """Turn NumPy scalars into Python ones."""
    return value.item() if isinstance(value, np.generic) else value


def encode(value: Any) -> Any:
    """Return what JSON can hold: NaN becomes None, infinities become words."""
    if isinstance(value, RoundTrip):
        return value.to_dict()
    if isinstance(value, np.ndarray):
        return encode(value.tolist())
    if isinstance(value, Mapping):
        return {str(k): encode(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [encode(v) for v in value]
    value = scalar(value)
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if math.isinf(value):
            return "inf" if value > 0 else "-inf"
    return value


def decode(value: Any, hint: Any) -> Any:
    """Undo ``encode``, guided by the annotation of the field."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return decode(value, next(a for a in args if a is not type(None)))
    if origin is np.ndarray:
        dtype = get_args(args[1])[0]
        filled = fill_nan(value) if np.issubdtype(dtype, np.floating) else value
        return frozen_array(filled, dtype)
    if origin is tuple:
        inner = args[0] if args else Any
        return tuple(decode(v, inner) for v in value)
    if origin in (dict, Mapping):
        inner = args[1] if args else Any
        return {k: decode(v, inner) for k, v in value.items()}
    if isinstance(hint, type) and issubclass(hint, RoundTrip):
        return hint.from_dict(value)
    if hint is float:
        return math.nan if value is None else float(value)
    return value


def fill_nan(value: Any) -> Any:
    """Undo what ``encode`` does to NaN, in lists of any depth."""
    if isinstance(value, list):
        return [fill_nan(v) for v in value]
    return math.nan if value is None else float(value)


def same(a: Any, b: Any, rtol: float, atol: float) -> bool:
    """Whether two values are of one shape and content, numbers within the tolerances, NaN equal to NaN."""
    if isinstance(a, RoundTrip):
        return a.equals(b, rtol=rtol, atol=atol)
    if isinstance(a, np.ndarray):
        if not isinstance(b, np.ndarray) or a.shape != b.shape:
            return False
        if np.issubdtype(a.dtype, np.floating):
            return bool(np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True))
        return bool(np.array_equal(a, b))
    if isinstance(a, Mapping):
        return isinstance(b, Mapping) and list(a) == list(b) and all(same(a[k], b[k], rtol, atol) for k in a)
    if isinstance(a, (tuple, list)):
        return (
            isinstance(b, (tuple, list))
            and len(a) == len(b)
            and all(same(x, y, rtol, atol) for x, y in zip(a, b, strict=True))
        )
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=rtol, abs_tol=atol)
    return bool(a == b)
