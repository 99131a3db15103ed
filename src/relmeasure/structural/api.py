"""``cfa`` and ``sem``: from a model and data to a fitted model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict, Unpack

from relmeasure.instruments.definition import Instrument
from relmeasure.structural.estimation.method import Estimator, Information, Likelihood, Missing
from relmeasure.structural.fitted.fit import StructuralFit
from relmeasure.structural.language.groups import GroupEqual
from relmeasure.structural.language.model_from_instrument import Structure
from relmeasure.structural.running import Call, run
from relmeasure.structural.two_level.running import run_two_level
from relmeasure.structural.two_level.specification import Levels

__all__ = ["FitOptions", "cfa", "sem"]


def cfa(
    model: Instrument | str,
    data: Any,
    *,
    estimator: Estimator = "ML",
    ordered: Sequence[str] | bool | None = None,
    group: Any = None,
    missing: Missing = "listwise",
    cluster: Any = None,
    weights: Any = None,
    std_lv: bool | None = None,
    auto: bool = True,
    structure: Structure = "correlated",
    scales: Sequence[str] | None = None,
    orthogonal: bool = False,
    fixed_x: bool = True,
    mean_structure: bool | None = None,
    parameterization: Literal["delta", "theta"] = "delta",
    correct: float = 0.0,
    group_equal: Sequence[GroupEqual] = (),
    group_partial: Sequence[str] = (),
    information: Information | None = None,
    likelihood: Likelihood = "normal",
    conf_level: float = 0.95,
    max_iterations: int = 200,
    unknown: Literal["raise", "missing"] = "raise",
    auxiliary: Sequence[str] = (),
    levels: Levels | None = None,
) -> StructuralFit:
    r"""Fit a confirmatory factor model.

    The implied moments ``Sigma(theta)`` and ``mu(theta)`` are brought as near to the sample's as they go; by maximum
    likelihood the distance is

    .. math:: F = \log|\Sigma| - \log|S| + \operatorname{tr}(S \Sigma^{-1}) - p
              + (\bar y - \mu)' \Sigma^{-1} (\bar y - \mu).

    Parameters
    ----------
    model : Instrument or str
        An instrument (its scales become factors with unit variances), or a model in lavaan's language
        (``"care =~ q1 + q2 + q3"``: the first loading of a factor is one).
    data : frame, array (n, p), responses, moments, (matrix, n), or dict of moments or pairs by group
        Only the model's variables are read. Columns of an array are x1 ... xp. Weighted moments and moments of
        incomplete rows are refused: their sampling errors are not known.
    estimator : {"ML", "MLM", "MLR", "GLS", "WLS", "ULS", "DWLS", "WLSM", "WLSMV"}
        MLM: Satorra-Bentler; MLR: sandwich standard errors and the Yuan-Bentler test; WLSM and WLSMV: ordered items,
        for which the default is WLSMV.
    ordered : sequence of str or bool, optional
        Items to treat as ordered; True: all. Default: none; with an instrument and WLSM or WLSMV, all.
    group : str or array (n,), optional
        Column of groups; they keep their order of appearance.
    missing : {"listwise", "fiml", "pairwise"}
        Complete rows, every answer (full information), or complete pairs (ordered items).
    cluster : str, array (n,) or pair of these, optional
        Clusters, for cluster-robust standard errors; two for two-way clustering. With levels: the upper level.
    weights : str or array (n,), optional
        Sampling weights: each row's log-likelihood counts times its weight. Only ratios matter, those between groups
        too: a group with larger weights counts for more rows. Weights that sum to the rows of each group give every
        group the weight of its rows.
    std_lv : bool, optional
        Fix factor variances to one; default: for instruments only.
    auto : bool
        Add the usual defaults; False frees nothing that the string does not name.
    structure : {"correlated", "single", "higher-order", "bifactor"}
        Of an instrument's factors.
    scales : sequence of str, optional
        Scales of the instrument; default: all that have items.
    orthogonal, fixed_x, mean_structure
        No factor covariances by default; exogenous moments from the sample; model the means (None: with groups,
        clusters, missing data, or when the model names an intercept).
    parameterization : {"delta", "theta"}
        Of ordered items.
    correct : float
        What stands in the empty cells of two by two tables of ordered items, as in ``polychoric``; lavaan's is 0.5.
    group_equal, group_partial : sequence of str
        What is equal over groups, and which parameters (``"x3~1"``) are not.
    information : {"expected", "observed"}, optional
        Bread of the standard errors; default: expected, and observed for MLR and full information.
    likelihood : {"normal", "wishart"}
        Divisor n or n - 1.
    conf_level : float
        Level of the intervals.
    max_iterations : int
        Steps of each minimisation.
    unknown : {"raise", "missing"}
        Codes that the instrument does not declare.
    levels : {"free", "equal", "shared"}, optional
        Fit an instrument at two levels, rows within ``cluster`` and clusters: the same factors with loadings free at
        each level or equal over levels, or factors between only. A model string has blocks ``level: 1`` and
        ``level: 2`` instead.
    auxiliary : sequence of str
        Columns that are no part of the model but tell of missing answers: with ``missing="fiml"`` they covary freely
        with each other and with all residuals (Graham, 2003), and are not reported.

    Returns
    -------
    StructuralFit
        With levels a ``TwoLevelFit``: also fit of each level, scores of clusters, reliability of class means.

    Raises
    ------
    ModelSyntaxError, ModelError
        The model cannot be read, or contradicts itself.
    ColumnNotFoundError, NotPositiveDefiniteError, TooFewObservationsError, UnsupportedDataError, OptionError

    Warns
    -----
    ListwiseDeletionWarning, NotIdentifiedWarning, NotConvergedWarning, HeywoodWarning, InadmissibleWarning
        Each is kept in ``.warnings``, and ``.status`` says what to do.

    Notes
    -----
    Standard errors: inverse information over n, or the sandwich; intervals are Wald intervals.

    References
    ----------
    Joreskog, K. G. (1969). Psychometrika, 34, 183-202, eq. 3. Bollen, K. A. (1989). Structural Equations with Latent
    Variables. Graham, J. W. (2003). Structural Equation Modeling, 10, 80-100. Rosseel, Y. (2012). Journal of
    Statistical Software, 48(2), 1-36. Asparouhov, T. (2005). Structural Equation Modeling, 12, 411-434
    (weights).

    Examples
    --------
    >>> import numpy as np
    >>> import relmeasure as rm
    >>> from relmeasure.structural import cfa
    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(size=(500, 1)) + 0.8 * rng.normal(size=(500, 4))
    >>> fit = cfa("f =~ x1 + x2 + x3 + x4", x)  # R: cfa("f =~ x1 + x2 + x3 + x4", x)
    >>> fit.status.level, int(fit.fit_measures("df")["df"])
    ('ok', 2)
    """
    call = Call(
        function="cfa",
        model=model,
        data=data,
        estimator=estimator,
        ordered=ordered,
        group=group,
        missing=missing,
        cluster=cluster,
        weights=weights,
        std_lv=std_lv,
        auto=auto,
        structure=structure,
        scales=scales,
        orthogonal=orthogonal,
        fixed_x=fixed_x,
        mean_structure=mean_structure,
        parameterization=parameterization,
        correct=correct,
        group_equal=group_equal,
        group_partial=group_partial,
        information=information,
        likelihood=likelihood,
        conf_level=conf_level,
        max_iterations=max_iterations,
        unknown=unknown,
        auxiliary=auxiliary,
        levels=levels,
    )
    return _start(call)


class FitOptions(TypedDict, total=False):
    """Options of ``sem``: those of ``cfa``."""

    estimator: Estimator
    ordered: Sequence[str] | bool | None
    group: Any
    missing: Missing
    cluster: Any
    weights: Any
    std_lv: bool | None
    auto: bool
    structure: Structure
    scales: Sequence[str] | None
    orthogonal: bool
    fixed_x: bool
    mean_structure: bool | None
    parameterization: Literal["delta", "theta"]
    correct: float
    group_equal: Sequence[GroupEqual]
    group_partial: Sequence[str]
    information: Information | None
    likelihood: Likelihood
    conf_level: float
    max_iterations: int
    unknown: Literal["raise", "missing"]
    auxiliary: Sequence[str]
    levels: Levels | None


def sem(model: Instrument | str, data: Any, **options: Unpack[FitOptions]) -> StructuralFit:
    """Fit a structural equation model: factors, regressions among them, indirect effects.

    The estimator, the options and the result are those of ``cfa``; see there for missing data, weights, groups,
    clusters and ordered items, errors and warnings, and the formula of the discrepancy.

    Parameters
    ----------
    model : Instrument or str
        Usually a model string with ``~`` and ``:=``.
    data : frame, array (n, p), responses, moments, or dict of moments by group
    **options
        As in ``cfa``.

    Returns
    -------
    StructuralFit

    Notes
    -----
    Standard errors of defined parameters (``indirect := a*b``) follow from the delta method.

    References
    ----------
    Bollen, K. A. (1989). Structural Equations with Latent Variables. Sobel, M. E. (1982). Sociological Methodology, 13,
    290-312 (indirect effects).

    Examples
    --------
    >>> import numpy as np
    >>> from relmeasure.structural import sem
    >>> rng = np.random.default_rng(2)
    >>> x1 = rng.normal(size=400)
    >>> x2 = 0.5 * x1 + rng.normal(size=400)
    >>> x3 = 0.5 * x2 + rng.normal(size=400)
    >>> fit = sem("x2 ~ a*x1; x3 ~ b*x2; ab := a*b", np.column_stack([x1, x2, x3]))  # R: sem(model, data)
    >>> fit.status.level, fit.parameters().iloc[-1]["lhs"]
    ('ok', 'ab')
    """
    return _start(Call(function="sem", model=model, data=data, **options))


def _start(call: Call) -> StructuralFit:
    """Send the call where its model belongs."""
    return run_two_level(call) if call.has_levels else run(call)
