"""Confirmatory factor analysis and path models: syntax, parameter table, estimation, fit."""

from relmeasure.structural.api import cfa, sem
from relmeasure.structural.fit import StructuralFit

__all__ = ["StructuralFit", "cfa", "sem"]
