"""Students in classes: intraclass correlations, agreement, raters, variance components, reliability of class means."""

from relmeasure.multilevel.agreement import AgreementResult, agreement
from relmeasure.multilevel.generalizability import Generalizability, generalizability
from relmeasure.multilevel.icc import IccResult, icc, icc_from_clusters
from relmeasure.multilevel.raters import InterraterResult, interrater

__all__ = [
    "AgreementResult",
    "Generalizability",
    "IccResult",
    "InterraterResult",
    "agreement",
    "generalizability",
    "icc",
    "icc_from_clusters",
    "interrater",
]
