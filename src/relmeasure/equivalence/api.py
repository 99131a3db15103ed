"""``invariance``: from a model and groups to the steps, their comparison and the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from relmeasure._version import __version__
from relmeasure.equivalence.fitting import Prepared, fit_steps, prepare
from relmeasure.equivalence.latent_means import COLUMNS, mean_differences
from relmeasure.equivalence.reporting import conclude, judge, proposals_of, step_rows
from relmeasure.equivalence.result import InvarianceResult
from relmeasure.equivalence.verdict import CRITERIA, level_reached
from relmeasure.exceptions import OptionError, UnsupportedDataError
from relmeasure.instruments.definition import Instrument
from relmeasure.results import Note, Provenance, Status, Table
from relmeasure.structural.fit import StructuralFit
from relmeasure.structural.running import Call

__all__ = ["invariance"]


def invariance(
    model: Instrument | str,
    data: Any,
    *,
    group: Any = None,
    estimator: Literal["ML", "MLM", "MLR"] = "ML",
    missing: Literal["listwise", "fiml"] = "listwise",
    partial: Sequence[str] = (),
    ordered: Sequence[str] | bool | None = None,
    cluster: Any = None,
    weights: Any = None,
    reference: Any = None,
    std_lv: bool | None = None,
    scales: Sequence[str] | None = None,
    conf_level: float = 0.95,
    unknown: Literal["raise", "missing"] = "raise",
) -> InvarianceResult:
    r"""Test whether an instrument measures the same thing in every group.

    Four models of rising equality over groups: ``configural`` (the same items, everything free), ``metric`` (equal
    loadings), ``scalar`` (equal loadings and intercepts) and ``strict`` (equal residual variances too). With k items, m
    factors and G groups each step adds ``(k - m)(G - 1)``, ``(k - m)(G - 1)`` and ``k(G - 1)`` degrees of freedom, less
    what ``partial`` releases. Steps are compared by

    .. math:: \Delta\chi^2 = (T_0 - T_1) / c_d, \quad c_d = (df_0 c_0 - df_1 c_1) / (df_0 - df_1)

    (``c_d = 1`` without scaling) and by the change of CFI, RMSEA and SRMR.

    Parameters
    ----------
    model : Instrument or str
        An instrument (its scales become factors with unit variances in the reference group), or a measurement model in
        lavaan's language (the first loading of a factor is one).
    data : frame, array (n, p), responses, or dict of moments by group
        Only the model's variables are read.
    group : str or array (n,)
        Column of groups, two to ten; not needed with a dict. Fit and tests do not depend on the order of groups.
    estimator : {"ML", "MLM", "MLR"}
        MLM and MLR: scaled difference tests (Satorra & Bentler, 2001; the strictly positive version of 2010 where the
        former has a negative scaling factor).
    missing : {"listwise", "fiml"}
        Complete rows, or every answer (full information).
    partial : sequence of str
        Parameters that stay free over groups: ``"f=~x2"``, ``"x3~1"``, ``"x3~~x3"``.
    ordered : sequence of str or bool, optional
        Not supported: ordered items are refused.
    cluster : str, array (n,) or pair of these, optional
        Clusters, for cluster-robust tests and standard errors.
    weights : str or array (n,), optional
        Sampling weights; only their ratios matter.
    reference : str, optional
        Group that factor means are compared with; default: the first by name (numbers by value).
    std_lv : bool, optional
        Fix the factor variances of the reference group to one; default: for instruments only. The fit is the same.
    scales : sequence of str, optional
        Scales of the instrument; default: all that have items.
    conf_level : float
        Level of the intervals.
    unknown : {"raise", "missing"}
        Codes that the instrument does not declare.

    Returns
    -------
    InvarianceResult

    Raises
    ------
    UnsupportedDataError
        More than ten groups, ordered items, regressions or higher-order factors in the model.
    TooFewObservationsError
        Fewer than two groups, or a group without enough rows.
    ModelError, ModelSyntaxError
        The model cannot be read, or ``partial`` names what no step holds equal.
    ColumnNotFoundError, NotPositiveDefiniteError, OptionError

    Warns
    -----
    ListwiseDeletionWarning, NotIdentifiedWarning, NotConvergedWarning, HeywoodWarning, InadmissibleWarning

    Notes
    -----
    A step holds when CFI falls by no more than .01; the other criteria stand in ``.criteria``. For scaled tests the
    verdict rests on robust CFI and RMSEA. Intervals are Wald intervals; those of effect sizes by the delta method.
    Waves with different people are groups (with ``cluster=`` where classes return). The same people over waves are one
    group: write each wave as a factor with equal labels in ``cfa`` and use ``compare``.

    References
    ----------
    Meredith, W. (1993). Psychometrika, 58, 525-543. Cheung, G. W., & Rensvold, R. B. (2002). Structural Equation
    Modeling, 9, 233-255. Chen, F. F. (2007). Structural Equation Modeling, 14, 464-504. Satorra, A., & Bentler, P. M.
    (2001). Psychometrika, 66, 507-514. Byrne, B. M., Shavelson, R. J., & Muthen, B. (1989). Psychological Bulletin,
    105, 456-466 (partial invariance).

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import relmeasure as rm
    >>> rng = np.random.default_rng(1)
    >>> band = np.repeat(["lower", "upper"], 400)
    >>> factor = rng.normal(size=800) + 0.3 * (band == "upper")
    >>> items = {f"q{k}": factor + rng.normal(size=800) for k in range(1, 5)}
    >>> found = rm.invariance("f =~ q1 + q2 + q3 + q4", pd.DataFrame(items | {"band": band}), group="band")
    >>> found.to_frame()[["step", "df"]].values.tolist()  # R: cfa(model, data, group = , group.equal = )
    [['configural', 4.0], ['metric', 7.0], ['scalar', 10.0], ['strict', 14.0]]
    >>> found.reached, found.reference
    ('strict', 'lower')
    """
    _check(estimator, missing, ordered, partial)
    call = Call(
        function="invariance",
        model=model,
        data=data,
        estimator=estimator,
        group=group,
        missing=missing,
        cluster=cluster,
        weights=weights,
        std_lv=std_lv,
        scales=scales,
        mean_structure=True,
        conf_level=conf_level,
        unknown=unknown,
    )
    prepared = prepare(call, None if reference is None else str(reference))
    return _result(prepared, fit_steps(prepared, partial), tuple(partial))


def _check(estimator: str, missing: str, ordered: Any, partial: Any) -> None:
    if ordered is not None and ordered is not False and not (isinstance(ordered, (list, tuple)) and not ordered):
        raise UnsupportedDataError(
            "Invariance of ordered items is not supported here. With five or more categories treat the items as "
            "continuous: estimator='MLR'.",
            argument="ordered",
        )
    if estimator not in ("ML", "MLM", "MLR"):
        raise OptionError.from_value("estimator", estimator, ("ML", "MLM", "MLR"))
    if missing not in ("listwise", "fiml"):
        raise OptionError.from_value("missing", missing, ("listwise", "fiml"))
    if isinstance(partial, str):
        raise OptionError(f"partial is a list of parameters: write partial=['{partial}'].", argument="partial")


def _result(prepared: Prepared, fits: dict[str, StructuralFit], partial: tuple[str, ...]) -> InvarianceResult:
    sample = prepared.reading.sample
    rows = step_rows(fits)
    verdicts = judge(rows, fits)
    proposals = proposals_of(verdicts, fits)
    scalar = fits["scalar"]
    usable = scalar.status.level != "failed"
    means = mean_differences(scalar) if usable else Table(dict.fromkeys(COLUMNS, ()))
    configural = fits["configural"]
    return InvarianceResult(
        steps=Table.from_rows(rows),
        fits=fits,
        verdicts=Table.from_rows([vars(verdict) for verdict in verdicts]),
        proposals=proposals,
        means=means,
        groups=prepared.groups,
        group_sizes=tuple(group.n_obs for group in sample.groups),
        reference=prepared.groups[0],
        reached=level_reached(verdicts),
        partial=partial,
        criteria=CRITERIA,
        conclusion=conclude(verdicts, proposals, partial, prepared.groups[0]),
        status=_status(fits),
        provenance=Provenance(
            function="invariance",
            version=__version__,
            n_rows=prepared.reading.n_rows,
            n_obs=sample.n_obs,
            rule=configural.provenance.rule,
            instrument=configural.provenance.instrument,
            steps=tuple(f"released from equality: {name}" for name in partial),
        ),
        warnings=_notes(fits),
    )


def _status(fits: dict[str, StructuralFit]) -> Status:
    """The status of the worst model; a step that does not hold is an answer, not a fault."""
    reasons = tuple(f"{step}: {reason}" for step, fit in fits.items() for reason in fit.status.reasons)
    levels = [fit.status.level for fit in fits.values()]
    level: Literal["ok", "caution", "failed"] = "ok"
    if "failed" in levels or "caution" in levels:
        level = "failed" if levels[0] == "failed" else "caution"
    return Status(
        level=level,
        converged=all(fit.status.converged for fit in fits.values()),
        admissible=all(fit.status.admissible is not False for fit in fits.values()),
        identified=all(fit.status.identified is not False for fit in fits.values()),
        reasons=reasons,
    )


def _notes(fits: dict[str, StructuralFit]) -> tuple[Note, ...]:
    """Notes of all models; those about a model say of which."""
    kept: list[Note] = []
    for step, fit in fits.items():
        own = set(fit.status.reasons)
        kept += [Note(n.code, f"{step}: {n.message}" if n.message in own else n.message) for n in fit.warnings]
    return tuple(kept)
