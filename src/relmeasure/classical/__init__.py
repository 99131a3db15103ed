"""Classical reliability: alpha, omega, lambdas, split-halves, item analysis, standard error of measurement."""

from relmeasure.classical.coefficient_alpha import AlphaEstimate, alpha

__all__ = ["AlphaEstimate", "alpha"]
