"""Scale scores: the frame back, with a score, its number of valid answers, and the reason of every missing score.

One expression graph for every engine, pushed down to it: no loop over rows, no detour through pandas. Sums are exact or
taken in a fixed order, so that the numbers are the same to the last bit on every engine.
"""

from __future__ import annotations

from relmeasure.scoring.scores import score

__all__ = ["score"]
