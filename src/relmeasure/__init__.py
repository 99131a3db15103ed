"""relmeasure: a typed instrument goes in, trustworthy scores and evidence come out.

Names are resolved on first use, so that importing the package loads neither NumPy nor pandas.

>>> import relmeasure as rm
>>> rm.__version__
'0.1.0'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from relmeasure._version import __version__

if TYPE_CHECKING:
    from relmeasure.classical import (
        alpha,
        guttman,
        item_analysis,
        omega,
        ordinal_reliability,
        reliability,
        spearman_brown,
        split_half,
        standard_error_of_measurement,
    )
    from relmeasure.equivalence import invariance
    from relmeasure.exceptions import RelmeasureError, RelmeasureWarning
    from relmeasure.factor.adequacy import bartlett, kmo
    from relmeasure.factor.exploratory import efa
    from relmeasure.factor.retention import n_factors
    from relmeasure.instruments.catalog import list_instruments, load_instrument
    from relmeasure.instruments.definition import Instrument
    from relmeasure.multilevel.agreement import agreement
    from relmeasure.multilevel.generalizability import generalizability
    from relmeasure.multilevel.icc import icc
    from relmeasure.multilevel.raters import interrater
    from relmeasure.responses.binding import bind
    from relmeasure.responses.careless import careless_responding
    from relmeasure.responses.intake import moments
    from relmeasure.responses.keys import key_check
    from relmeasure.responses.ordinal import correlations, polychoric
    from relmeasure.results import Estimate
    from relmeasure.samplestats.estimates import MomentEstimate
    from relmeasure.samplestats.moments import MomentSums
    from relmeasure.scoring import score
    from relmeasure.simulation import simulate
    from relmeasure.structural import cfa, sem
    from relmeasure.structure_checks import dimensionality
    from relmeasure.studies.barriers import barriers
    from relmeasure.studies.classrooms import classroom_scores
    from relmeasure.studies.cycle import reciprocity
    from relmeasure.studies.mediation import mediation
    from relmeasure.studies.monitoring import monitor
    from relmeasure.studies.perception import perception_gap
    from relmeasure.studies.planning.api import plan
    from relmeasure.studies.screening import check
    from relmeasure.studies.trials import practice_trial

__all__ = [
    "Estimate",
    "Instrument",
    "MomentEstimate",
    "MomentSums",
    "RelmeasureError",
    "RelmeasureWarning",
    "__version__",
    "agreement",
    "alpha",
    "barriers",
    "bartlett",
    "bind",
    "careless_responding",
    "cfa",
    "check",
    "classroom_scores",
    "correlations",
    "dimensionality",
    "efa",
    "generalizability",
    "guttman",
    "icc",
    "interrater",
    "invariance",
    "item_analysis",
    "key_check",
    "kmo",
    "list_instruments",
    "load_instrument",
    "mediation",
    "moments",
    "monitor",
    "n_factors",
    "omega",
    "ordinal_reliability",
    "perception_gap",
    "plan",
    "polychoric",
    "practice_trial",
    "reciprocity",
    "reliability",
    "score",
    "sem",
    "simulate",
    "spearman_brown",
    "split_half",
    "standard_error_of_measurement",
]

_HOMES = {
    "relmeasure.classical": (
        "alpha",
        "guttman",
        "item_analysis",
        "omega",
        "ordinal_reliability",
        "reliability",
        "spearman_brown",
        "split_half",
        "standard_error_of_measurement",
    ),
    "relmeasure.equivalence": ("invariance",),
    "relmeasure.exceptions": ("RelmeasureError", "RelmeasureWarning"),
    "relmeasure.factor.adequacy": ("bartlett", "kmo"),
    "relmeasure.factor.exploratory": ("efa",),
    "relmeasure.factor.retention": ("n_factors",),
    "relmeasure.instruments.catalog": ("list_instruments", "load_instrument"),
    "relmeasure.instruments.definition": ("Instrument",),
    "relmeasure.multilevel.agreement": ("agreement",),
    "relmeasure.multilevel.generalizability": ("generalizability",),
    "relmeasure.multilevel.icc": ("icc",),
    "relmeasure.multilevel.raters": ("interrater",),
    "relmeasure.responses.binding": ("bind",),
    "relmeasure.responses.careless": ("careless_responding",),
    "relmeasure.responses.intake": ("moments",),
    "relmeasure.responses.keys": ("key_check",),
    "relmeasure.responses.ordinal": ("correlations", "polychoric"),
    "relmeasure.results": ("Estimate",),
    "relmeasure.samplestats.estimates": ("MomentEstimate",),
    "relmeasure.samplestats.moments": ("MomentSums",),
    "relmeasure.scoring": ("score",),
    "relmeasure.simulation": ("simulate",),
    "relmeasure.structural": ("cfa", "sem"),
    "relmeasure.structure_checks": ("dimensionality",),
    "relmeasure.studies.barriers": ("barriers",),
    "relmeasure.studies.classrooms": ("classroom_scores",),
    "relmeasure.studies.cycle": ("reciprocity",),
    "relmeasure.studies.mediation": ("mediation",),
    "relmeasure.studies.monitoring": ("monitor",),
    "relmeasure.studies.perception": ("perception_gap",),
    "relmeasure.studies.planning.api": ("plan",),
    "relmeasure.studies.screening": ("check",),
    "relmeasure.studies.trials": ("practice_trial",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # so that type checkers report a name that does not exist

    def __getattr__(name: str) -> object:
        """Import a public name from its home on first use (PEP 562)."""
        if name not in _HOME_OF:
            raise AttributeError(f"module 'relmeasure' has no attribute '{name}'")
        value = getattr(import_module(_HOME_OF[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
