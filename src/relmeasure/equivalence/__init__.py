"""Measurement invariance: whether an instrument measures the same thing in every group."""

from relmeasure.equivalence.api import invariance
from relmeasure.equivalence.result import InvarianceResult

__all__ = ["InvarianceResult", "invariance"]
