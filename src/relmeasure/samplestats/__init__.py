"""Sample statistics: the waist between data and estimators. Frozen, additive, made from arrays."""

from relmeasure.samplestats.contingency import (
    ContingencyTables,
    category_codes,
    contingency_tables,
    observed_categories,
)
from relmeasure.samplestats.estimates import MomentEstimate, em_moments
from relmeasure.samplestats.latent import PolychoricResult
from relmeasure.samplestats.mixed import mixed_correlations
from relmeasure.samplestats.moments import MissingMethod, Moments, MomentSums, moment_sums
from relmeasure.samplestats.patterns import MissingPatterns, missing_patterns
from relmeasure.samplestats.polychoric import (
    polychoric_acov,
    polychoric_from_codes,
    polychoric_from_tables,
    polychoric_matrix,
)

__all__ = [
    "ContingencyTables",
    "MissingMethod",
    "MissingPatterns",
    "MomentEstimate",
    "MomentSums",
    "Moments",
    "PolychoricResult",
    "category_codes",
    "contingency_tables",
    "em_moments",
    "missing_patterns",
    "mixed_correlations",
    "moment_sums",
    "observed_categories",
    "polychoric_acov",
    "polychoric_from_codes",
    "polychoric_from_tables",
    "polychoric_matrix",
]
