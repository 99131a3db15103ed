"""Classical reliability: alpha, omega, lambdas, split-halves, item analysis, standard error of measurement."""

from relmeasure.classical.coefficient_alpha import AlphaEstimate, alpha
from relmeasure.classical.coefficient_omega import OmegaEstimate, omega
from relmeasure.classical.items import ItemAnalysis, item_analysis
from relmeasure.classical.lambdas import GuttmanLambdas, SplitHalves, guttman, split_half
from relmeasure.classical.measurement_error import StandardErrorOfMeasurement, standard_error_of_measurement
from relmeasure.classical.ordinal import ordinal_reliability
from relmeasure.classical.scale_table import ScaleReliability, reliability
from relmeasure.classical.two_items import spearman_brown

__all__ = [
    "AlphaEstimate",
    "GuttmanLambdas",
    "ItemAnalysis",
    "OmegaEstimate",
    "ScaleReliability",
    "SplitHalves",
    "StandardErrorOfMeasurement",
    "alpha",
    "guttman",
    "item_analysis",
    "omega",
    "ordinal_reliability",
    "reliability",
    "spearman_brown",
    "split_half",
    "standard_error_of_measurement",
]
