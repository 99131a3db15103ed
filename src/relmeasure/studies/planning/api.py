"""``plan``: one entry to the questions of planning."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any, Literal, get_args

from relmeasure.exceptions import OptionError
from relmeasure.instruments.catalog import require_instrument
from relmeasure.studies.planning.answer import Plan

__all__ = ["Question", "plan"]

Question = Literal["students", "classes", "occasions", "difference", "gates", "fit", "cutoffs", "invariance"]
"""What can be asked."""

_HOMES: dict[str, str] = {
    "students": "class_means",
    "classes": "classes",
    "occasions": "occasions",
    "difference": "class_means",
    "gates": "gates",
    "fit": "fit_power",
    "cutoffs": "cutoffs",
    "invariance": "invariance_power",
}
"""Module of each question's function, loaded when it is asked."""


def plan(question: Question, **design: Any) -> Plan:
    """Answer a question of planning before any data are collected.

    Parameters
    ----------
    question : str
        ======================  =========================================================================
        ``"students"``          students a class for a reliability or interval width:
                                ``icc=``, then ``reliability=``, ``half_width=`` or ``n=``
        ``"classes"``           classes for the interval of their mean or of ICC(1):
                                ``icc=``, ``n_students=``, then ``mean_half_width=``, ``icc_width=`` or ``n=``
        ``"occasions"``         raters, occasions, students of a decision study:
                                ``components=``, ``object=``, ``n={...}``, ``reliability=``
        ``"difference"``        smallest difference of two classes or waves that can be seen: ``n=``, ``icc=``
        ``"gates"``             share of classes that pass disclosure and reliability: ``roster=``, ``icc=``
        ``"fit"``               power of the tests of close, not-close and exact fit: ``df=`` or ``instrument=``
        ``"cutoffs"``           cut-offs of fit measures for one instrument and design, simulated: ``instrument=``
        ``"invariance"``        power of an invariance test: ``instrument=``, ``scale=``, ``differences=``, ``n=``
        ======================  =========================================================================
    **design
        Arguments of the question. Each is a function of ``relmeasure.studies.planning`` that documents them:
        ``help(relmeasure.studies.planning.students)``.

    Returns
    -------
    Plan
        ``.summary()`` in sentences, ``.to_frame()`` one row a design.

    Raises
    ------
    OptionError
        A question or an argument that does not exist, or a value outside its range.

    References
    ----------
    Stated with each question.

    Examples
    --------
    >>> import relmeasure as rm
    >>> print(rm.plan("students", icc=0.15, reliability=0.70).answers[0])
    ICC(1) 0.15: a reliability of 0.7 takes 14 students a class.
    >>> rm.plan("gates", roster=[20] * 100, icc=0.15, response_rate=0.85).answers[0][:54]
    '93% of 100 classes are expected to be reportable: 15 s'
    """
    if question not in get_args(Question):
        raise OptionError.from_value("question", question, get_args(Question))
    home = import_module(f"relmeasure.studies.planning.{_HOMES[question]}")
    ask: Callable[..., Plan] = getattr(home, question)
    known = inspect.signature(ask).parameters
    for name in design:
        if name not in known:
            raise OptionError.from_value(f"argument of the question '{question}'", name, list(known))
    lacking = [name for name, p in known.items() if p.default is inspect.Parameter.empty and name not in design]
    if design.get("instrument") is not None:
        require_instrument(design["instrument"])
    if lacking:
        raise OptionError(f"The question '{question}' needs {', '.join(f'{name}=' for name in lacking)}.")
    return ask(**design)
