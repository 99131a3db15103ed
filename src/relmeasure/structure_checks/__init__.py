"""One thing or several: competing structures of an instrument, side by side."""

from relmeasure.structure_checks.api import dimensionality
from relmeasure.structure_checks.result import DimensionalityResult

__all__ = ["DimensionalityResult", "dimensionality"]
