"""Sample statistics: the waist between data and estimators. Frozen, additive, made from arrays."""

from relmeasure.samplestats.moments import MissingMethod, Moments, MomentSums, moment_sums

__all__ = ["MissingMethod", "MomentSums", "Moments", "moment_sums"]
