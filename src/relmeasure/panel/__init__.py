"""Panel models of class scores: syntax from variables and waves, and lagged effects without measurement error."""

from relmeasure.panel.item_models import doubly_latent_syntax, latent_cross_lagged_syntax
from relmeasure.panel.models import cross_lagged_syntax, growth_syntax, random_intercept_syntax

__all__ = [
    "cross_lagged_syntax",
    "doubly_latent_syntax",
    "growth_syntax",
    "latent_cross_lagged_syntax",
    "random_intercept_syntax",
]
