"""``invariance``: from a model and groups or waves to the steps, their comparison and the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from relmeasure._version import __version__
from relmeasure.equivalence.fitting import Prepared, Steps, fit_steps, prepare
from relmeasure.equivalence.latent_means import mean_columns, mean_differences
from relmeasure.equivalence.reporting import conclude, judge, proposals_of, step_rows
from relmeasure.equivalence.result import InvarianceResult
from relmeasure.equivalence.verdict import CRITERIA, ORDERED_CRITERIA, level_reached
from relmeasure.exceptions import OptionError
from relmeasure.instruments.definition import Instrument
from relmeasure.results import Note, Provenance, Status, Table
from relmeasure.structural.fitted.fit import StructuralFit
from relmeasure.structural.running import Call

__all__ = ["invariance"]


def invariance(
    model: Instrument | str,
    data: Any,
    *,
    group: Any = None,
    wave: Any = None,
    person: Any = None,
    estimator: Literal["ML", "MLM", "MLR", "WLSMV"] = "ML",
    missing: Literal["listwise", "fiml", "pairwise"] = "listwise",
    partial: Sequence[str] = (),
    ordered: Sequence[str] | bool | None = None,
    categories: Mapping[str, Sequence[float]] | Sequence[float] | None = None,
    parameterization: Literal["theta", "delta"] = "theta",
    cluster: Any = None,
    weights: Any = None,
    reference: Any = None,
    std_lv: bool | None = None,
    scales: Sequence[str] | None = None,
    conf_level: float = 0.95,
    unknown: Literal["raise", "missing"] = "raise",
) -> InvarianceResult:
    r"""Test whether an instrument measures the same thing in every group, or at every time.

    Models of rising equality over groups (or waves): ``configural`` (the same items, everything free), ``thresholds``
    (ordered items only), ``metric`` (and loadings), ``scalar`` (and intercepts), ``strict`` (and residual variances).
    With k continuous items, m factors and G groups the steps add ``(k - m)(G - 1)``, ``(k - m)(G - 1)`` and
    ``k(G - 1)`` degrees of freedom. With k ordered items of ``c_i`` categories they add ``sum(c_i - 3)(G - 1)`` over
    items with more than three categories, ``(k - m)(G - 1)``, ``(k - m)(G - 1)`` and ``k(G - 1)``; items with two
    categories do not count in the metric step (their loadings are tested with the intercepts), and what ``partial``
    releases is taken off. Steps are compared by

    .. math:: \Delta\chi^2 = (T_0 - T_1) / c_d, \quad c_d = (df_0 c_0 - df_1 c_1) / (df_0 - df_1)

    (``c_d = 1`` without scaling; for ordered items ``a (T_0 - T_1) + b`` of Satorra, 2000) and by the change of CFI,
    RMSEA and SRMR.

    Parameters
    ----------
    model : Instrument or str
        An instrument (its scales become factors with unit variances in the reference group), or a measurement model in
        lavaan's language (the first loading of a factor is one). Over waves: the model of one wave.
    data : frame, array (n, p), responses, or dict of moments or polychoric results by group
        Only the model's variables are read.
    group : str or array (n,)
        Column of groups, two to ten; not needed with a dict. Fit and tests do not depend on the order of groups.
        Waves with different people are groups, with ``cluster=`` where classes or teachers return.
    wave : str, array (n,), or dict of wave to list of columns
        The same people over time. Wide data: the columns of every wave, in the same order (the model names those of one
        wave, or the instrument's items). Long data: the column of waves; ``person`` says who answered.
    person : str or array (n,)
        Of long data.
    estimator : {"ML", "MLM", "MLR", "WLSMV"}
        MLM and MLR: scaled difference tests (Satorra & Bentler, 2001; the strictly positive version of 2010 where the
        former has a negative scaling factor). Ordered items: WLSMV, also by default.
    missing : {"listwise", "fiml", "pairwise"}
        Complete rows, every answer (full information), or complete pairs (ordered items).
    partial : sequence of str
        Parameters that stay free over groups: ``"f=~x2"``, ``"x3~1"``, ``"x3~~x3"``, ``"x3|t1"``, and ``"x3|"`` for all
        thresholds of x3. Over waves the names are those of the model.
    ordered : sequence of str or bool, optional
        Items to treat as ordered; True: all.
    categories : dict of item to codes, or codes, optional
        Of ordered items; default: those of the instrument, else those seen in any group, with a warning. A category
        that is empty in one group only is an error.
    parameterization : {"theta", "delta"}
        Of ordered items. The fit of the steps is the same; delta has no ``strict`` step.
    cluster : str, array (n,) or pair of these, optional
        Clusters, for cluster-robust tests and standard errors; not for ordered items.
    weights : str or array (n,), optional
        Sampling weights; only their ratios matter.
    reference : str, optional
        Group or wave that factor means are compared with; default: the first by name (numbers by value), or the first
        wave listed.
    std_lv : bool, optional
        Fix the factor variances of the reference group to one; default: for instruments and ordered items only. The fit
        is the same.
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
        More than ten groups, regressions or higher-order factors in the model, group and wave together.
    TooFewObservationsError
        Fewer than two groups, or a group with no more rows than items.
    DataError
        A category that nobody chose in one of the groups; a person twice in a wave.
    ModelError, ModelSyntaxError
        The model cannot be read, or ``partial`` names what no step holds equal.
    ColumnNotFoundError, NotPositiveDefiniteError, OptionError

    Warns
    -----
    ListwiseDeletionWarning, CategoriesAssumedWarning, NotIdentifiedWarning, NotConvergedWarning, HeywoodWarning,
    InadmissibleWarning

    Notes
    -----
    A step holds when CFI falls by no more than .01; the other criteria stand in ``.criteria``. For scaled tests the
    verdict rests on robust CFI and RMSEA, for ordered items on those corrected by the mean of the statistic. Intervals
    are Wald intervals; those of effect sizes by the delta method. Over waves residuals of the same item covary; change
    of a factor mean is over the pooled standard deviation of the two waves. ``docs/invariance.md`` says which
    constraints hold at each step and why.

    References
    ----------
    Meredith, W. (1993). Psychometrika, 58, 525-543. Wu, H., & Estabrook, R. (2016). Psychometrika, 81, 1014-1045
    (ordered items). Liu, Y., et al. (2017). Psychological Methods, 22, 486-506 (ordered items over time). Cheung,
    G. W., & Rensvold, R. B. (2002). Structural Equation Modeling, 9, 233-255. Chen, F. F. (2007). Structural Equation
    Modeling, 14, 464-504. Satorra, A., & Bentler, P. M. (2001). Psychometrika, 66, 507-514. Satorra, A. (2000). Scaled
    and adjusted restricted tests in multi-sample analysis of moment structures. Byrne, B. M., Shavelson, R. J., &
    Muthen, B. (1989). Psychological Bulletin, 105, 456-466 (partial invariance).

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
    _check(estimator, partial)
    call = Call(
        function="invariance",
        model=model,
        data=data,
        estimator=estimator,
        ordered=ordered,
        group=group,
        missing=missing,
        cluster=cluster,
        weights=weights,
        std_lv=std_lv,
        scales=scales,
        mean_structure=True,
        parameterization=parameterization,
        conf_level=conf_level,
        unknown=unknown,
    )
    first = None if reference is None else str(reference)
    prepared = prepare(call, wave=wave, person=person, reference=first, categories=categories)
    return _result(prepared, fit_steps(prepared, partial), tuple(partial))


def _check(estimator: str, partial: Any) -> None:
    if estimator not in ("ML", "MLM", "MLR", "WLSMV"):
        raise OptionError.from_value("estimator", estimator, ("ML", "MLM", "MLR", "WLSMV"))
    if isinstance(partial, str):
        raise OptionError(f"partial is a list of parameters: write partial=['{partial}'].", argument="partial")


def _result(prepared: Prepared, found: Steps, partial: tuple[str, ...]) -> InvarianceResult:
    sample, layout, fits = prepared.reading.sample, prepared.layout, found.fits
    rows = step_rows(fits)
    verdicts = judge(rows, fits)
    proposals = proposals_of(verdicts, fits, layout, found.fixed)
    scalar = fits.get("scalar")
    usable = scalar is not None and scalar.status.level != "failed"
    means = mean_differences(scalar, layout) if usable and scalar else Table(dict.fromkeys(mean_columns(layout), ()))
    configural = fits["configural"]
    ordered = prepared.method.ordinal
    return InvarianceResult(
        steps=Table.from_rows(rows),
        fits=fits,
        verdicts=Table.from_rows([vars(verdict) for verdict in verdicts]),
        proposals=proposals,
        means=means,
        skipped=found.skipped,
        layout=layout,
        fixed=found.fixed,
        groups=layout.units,
        group_sizes=tuple(group.n_obs for group in sample.groups),
        reference=layout.units[0],
        reached=level_reached(verdicts),
        partial=partial,
        criteria=ORDERED_CRITERIA if ordered else CRITERIA,
        conclusion=conclude(verdicts, proposals, partial, layout, ordered=ordered) + found.advice,
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
