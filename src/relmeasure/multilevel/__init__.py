"""Students in classes: intraclass correlations, agreement, reliability of class means."""

from relmeasure.multilevel.icc import IccResult, icc, icc_from_clusters

__all__ = ["IccResult", "icc", "icc_from_clusters"]
