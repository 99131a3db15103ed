"""How many raters, occasions or students: the decision study, read from a wanted reliability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from relmeasure.exceptions import OptionError
from relmeasure.multilevel.decision import DecisionStudy, decide, parsed_terms
from relmeasure.multilevel.generalizability import Generalizability
from relmeasure.results import Table
from relmeasure.studies.planning.answer import Plan, check_shares

__all__ = ["occasions"]

Coefficient = Literal["g", "phi"]
"""For differences between the objects, or for their levels."""


def occasions(
    *,
    components: Generalizability | Mapping[str, float],
    object: str,  # noqa: A002 - the field's word for what is measured
    n: Mapping[str, int | Sequence[int]],
    reliability: float = 0.70,
    coefficient: Coefficient = "g",
    fixed: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> Plan:
    """Numbers of occasions, raters or students that make a mean reliable enough.

    Every combination of the numbers in ``n`` is worked out by the decision study of generalizability theory.

    Parameters
    ----------
    components : Generalizability or mapping of effect to variance
        From ``rm.generalizability``, or stated, such as ``{"teacher": 1.0, "residual": 0.41}``.
    object : str
        The effect whose levels are to be told apart, such as ``"teacher"``.
    n : mapping of facet to int or list of int
        Numbers to be tried.
    reliability : float
        What is wanted.
    coefficient : {"g", "phi"}
        Generalizability (differences) or dependability (levels).
    fixed, ignore : sequence of str
        As in ``Generalizability.decision``.

    Returns
    -------
    Plan
        The table of the decision study with ``ratings`` (the product of the numbers) and ``reached``; the components
        and their roles in ``detail``.

    References
    ----------
    Brennan, R. L. (2001). Generalizability theory, chapters 3 and 4. Springer.

    Examples
    --------
    >>> parts = {"teacher": 0.30, "teacher:occasion": 0.10, "residual": 1.2}
    >>> plan = occasions(components=parts, object="teacher", n={"occasion": [1, 2, 3], "residual": [10, 20]})
    >>> plan.table["reached"]
    (False, False, True, True, True, True)
    """
    check_shares(reliability=reliability)
    if coefficient not in get_args(Coefficient):
        raise OptionError.from_value("coefficient", coefficient, get_args(Coefficient))
    if not isinstance(components, Generalizability) and not components:
        raise OptionError("components= is empty: give the variance of each effect, such as {'teacher': 0.3, ...}.")
    if isinstance(components, Generalizability):
        study = components.decision(object, n=n, fixed=fixed, ignore=ignore)
    else:
        study = decide(parsed_terms(components), target=object, n=n, fixed=fixed, ignore=ignore)
    rows = []
    for row in study.table.rows():
        ratings = 1
        for name, value in row.items():
            ratings *= value if name.startswith("n_") else 1
        rows.append(row | {"ratings": ratings, "reached": bool(row[coefficient] >= reliability)})
    return Plan(
        question="occasions",
        answers=_sentences(rows, study, coefficient, reliability),
        table=Table.from_rows(rows),
        assumed={"object": object, "coefficient": coefficient, "wanted": reliability},
        method="Decision study from variance components (Brennan, 2001). " + " ".join(study.notes),
        detail=study.roles,
    )


def _sentences(
    rows: Sequence[Mapping[str, float]], study: DecisionStudy, coefficient: str, wanted: float
) -> tuple[str, ...]:
    reached = [row for row in rows if row["reached"]]
    if not reached:
        best = max(rows, key=lambda row: row[coefficient])
        told = _design(best)
        return (
            f"None of these designs reaches {coefficient} = {wanted:g}: the best, {told}, has {best[coefficient]:.2f}.",
        )
    fewest = min(reached, key=lambda row: (row["ratings"], -row[coefficient]))
    first = f"{coefficient} of at least {wanted:g} for {study.object}: fewest ratings with {_design(fewest)} "
    return (f"{first}({fewest[coefficient]:.2f}).", f"{len(reached)} of {len(rows)} designs reach it.")


def _design(row: Mapping[str, float]) -> str:
    numbers = [f"{value} {name[2:]}" for name, value in row.items() if name.startswith("n_")]
    return " x ".join(numbers) or "one rating"
