"""Confirmatory factor analysis and path models: syntax, parameter table, estimation, fit."""

from relmeasure.structural.api import cfa, sem
from relmeasure.structural.fitted.fit import StructuralFit
from relmeasure.structural.two_level.fit import TwoLevelFit

__all__ = ["StructuralFit", "TwoLevelFit", "cfa", "sem"]
