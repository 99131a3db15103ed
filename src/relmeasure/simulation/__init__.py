"""Responses drawn from an instrument with a known structure: students in classes, waves, groups, gaps.

``simulate`` draws the answers; ``population_alpha`` gives alpha in the population it draws from.
"""

from __future__ import annotations

from relmeasure.simulation.items import population_alpha
from relmeasure.simulation.responses import simulate

__all__ = ["population_alpha", "simulate"]
