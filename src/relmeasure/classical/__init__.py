"""Classical reliability: alpha, omega, lambdas, split-halves, item analysis, standard error of measurement."""

from relmeasure.classical.coefficient_alpha import AlphaEstimate, alpha
from relmeasure.classical.coefficient_omega import OmegaEstimate, omega

__all__ = ["AlphaEstimate", "OmegaEstimate", "alpha", "omega"]
