"""Planning a survey before it is made: how many students, classes and occasions, which differences, which fit.

``rm.plan(question, ...)`` is the entry; each question is a function of this package, which documents its arguments.
"""

from __future__ import annotations

from relmeasure.studies.planning.answer import Plan
from relmeasure.studies.planning.api import Question, plan
from relmeasure.studies.planning.class_means import difference, students
from relmeasure.studies.planning.classes import classes
from relmeasure.studies.planning.cutoffs import cutoffs
from relmeasure.studies.planning.fit_power import fit
from relmeasure.studies.planning.gates import gates
from relmeasure.studies.planning.invariance_power import invariance
from relmeasure.studies.planning.occasions import occasions

__all__ = [
    "Plan",
    "Question",
    "classes",
    "cutoffs",
    "difference",
    "fit",
    "gates",
    "invariance",
    "occasions",
    "plan",
    "students",
]
