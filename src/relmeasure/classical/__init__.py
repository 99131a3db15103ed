"""Classical reliability: alpha, omega, lambdas, split-halves, item analysis, standard error of measurement."""

from relmeasure.classical.coefficient_alpha import AlphaEstimate, alpha
from relmeasure.classical.coefficient_omega import OmegaEstimate, omega
from relmeasure.classical.lambdas import GuttmanLambdas, SplitHalves, guttman, split_half
from relmeasure.classical.two_items import spearman_brown

__all__ = [
    "AlphaEstimate",
    "GuttmanLambdas",
    "OmegaEstimate",
    "SplitHalves",
    "alpha",
    "guttman",
    "omega",
    "spearman_brown",
    "split_half",
]
