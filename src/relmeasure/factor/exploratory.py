"""``efa``: exploratory factor analysis, from anything a user may hand in to a rotated solution with its fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np

from relmeasure._version import __version__
from relmeasure.exceptions import (
    HeywoodWarning,
    NotConvergedWarning,
    OptionError,
    RelmeasureWarning,
    shorten,
)
from relmeasure.factor.extraction import Extraction, check_n_factors, fit_ml
from relmeasure.factor.fit import ChiSquare, degrees_of_freedom, fit_measures
from relmeasure.factor.hierarchy import schmid_leiman
from relmeasure.factor.latent_answers import answer_model
from relmeasure.factor.matrix import AnalysedMatrix, analysed_matrix
from relmeasure.factor.residual_extraction import PrincipalAxisStop, fit_minres, fit_principal_axis
from relmeasure.factor.residual_test import scaled_fit
from relmeasure.factor.second_engine import extract_and_rotate
from relmeasure.factor.solution import EFAResult
from relmeasure.factor.standard_errors import LoadingErrors, loading_errors
from relmeasure.numerics.criteria import ROTATIONS, RotationName
from relmeasure.numerics.rotation import Rotation, rotate
from relmeasure.responses.intake import MomentMissing
from relmeasure.responses.ordinal import Categories
from relmeasure.results import Provenance, Status, announce, frozen_array

__all__ = ["Engine", "ExtractionMethod", "efa"]

Array = np.ndarray[Any, np.dtype[np.float64]]

ExtractionMethod = Literal["minres", "ml", "pa", "uls"]
"""How factors are extracted; ``uls`` is another name of ``minres``."""

Engine = Literal["relmeasure", "factor_analyzer"]
"""Who extracts and rotates."""

_COLLINEAR = 0.95
"""Factors that correlate more than this are one."""


def efa(
    data: Any,
    n_factors: int,
    *,
    method: ExtractionMethod = "minres",
    rotation: RotationName | Literal["schmid_leiman"] = "oblimin",
    kaiser: bool | None = None,
    ordered: bool | Sequence[str] = False,
    n_starts: int = 10,
    rng: int | np.random.Generator = 0,
    missing: MomentMissing = "listwise",
    weights: Any = None,
    n_obs: int | None = None,
    categories: Categories = None,
    se: bool | None = None,
    chisq: ChiSquare = "bartlett",
    rotation_options: Mapping[str, Any] | None = None,
    principal_axis_stop: PrincipalAxisStop = "fixed_point",
    engine: Engine = "relmeasure",
) -> EFAResult:
    """Explore the common factors behind items.

    ``R = L Phi L' + U``: standardised items load L on m factors that correlate Phi; U is diagonal.

    Parameters
    ----------
    data : frame, array (n, p), responses, moments, polychoric result, tables, or (matrix, n)
        Every column of a frame but ``weights`` is an item. A correlation matrix out of a paper is handed in with its N,
        as ``(matrix, n)`` or through ``MomentEstimate.from_matrix``.
    n_factors : int
        Number of factors m; ``n_factors(data)`` suggests one.
    method : {"minres", "ml", "pa", "uls"}
        Minimum residuals (unweighted least squares), maximum likelihood, or iterated principal axes.
    rotation : str
        See ``rotate``; or ``"schmid_leiman"``, which frees oblimin factors of a general one.
    kaiser : bool, optional
        Kaiser normalisation while rotating. None: on for varimax and promax, off otherwise.
    ordered : bool or sequence of str
        Whether items are ordered categories, all or those named: polychoric (polyserial) correlations are analysed.
    n_starts, rng : int, int or Generator
        Starts of the rotation, and the seed of the random ones.
    missing : {"listwise", "pairwise", "fiml"}
        Rows complete on all items (rows dropped are counted in a warning), each pair's own, or every answer: the
        correlations are first estimated by full-information maximum likelihood (missing at random, normal), and N is
        the number of rows with any answer. Not for ordered items.
    weights : str or array (n,), optional
        Sampling weights. What needs an N is then given only with ``n_obs``.
    n_obs : int, optional
        N of a weighted or pairwise statistic. Others know theirs, and refuse another.
    categories : mapping or sequence, optional
        Categories of ordered items, as in ``polychoric``.
    se : bool, optional
        Whether to give standard errors of rotated loadings. None: with maximum likelihood. With minres they are
        sandwich errors; for ordered items they rest on the sampling covariance of the polychorics.
    chisq : {"bartlett", "likelihood_ratio"}
        Which chi-square drives RMSEA, TLI, CFI and BIC: ``(N - 1 - (2p + 5)/6 - 2m/3) F`` or ``N F``. Both are given.
    rotation_options : mapping, optional
        ``gamma``, ``epsilon``, ``kappa``, ``power``, ``metric``, ``target``, ``n_small``.
    principal_axis_stop : {"fixed_point", "psych"}
        When ``method="pa"`` ends; see ``fit_principal_axis``.
    engine : {"relmeasure", "factor_analyzer"}
        ``"factor_analyzer"`` extracts and rotates by that independent package (an extra): a second opinion, to be
        looked at with ``result.compare(other)``.

    Returns
    -------
    EFAResult
        ``loadings``, ``structure``, ``phi``, ``uniquenesses``, ``rotation_matrix``, ``fit``, ``status``, ``names``;
        factors come by falling variance explained, each with a positive sum. A Heywood case (a uniqueness at its
        bound .005) stands in ``status`` and in a warning.

    Raises
    ------
    OptionError
        An argument outside its allowed values; more factors than the items identify.
    NotPositiveDefiniteError
        Maximum likelihood of a matrix without inverse.
    TooFewItemsError, TooFewObservationsError, EstimationError, UnsupportedDataError, DataError, MissingExtraError

    Notes
    -----
    Warnings: ``ListwiseDeletionWarning``, ``PairwiseDeletionWarning``, ``CategoriesAssumedWarning``,
    ``NotPositiveDefiniteWarning``, ``HeywoodWarning``, ``NotConvergedWarning``.

    Standard errors: expected information under normality with the constraints of the rotation (Jennrich, 1974); the
    delta method for promax. The chi-square of minres and pa is that of their solution, which maximum likelihood would
    lower. Correlations that were themselves estimated (polychoric, or ``missing="fiml"``) have other sampling errors
    than those of N complete rows, and so have pairwise ones: their plain chi-squares are descriptive. Where standard
    errors are given (``se=True``, or ``method="ml"``; never for pairwise ones) these are sandwich errors, and a
    mean-and-variance adjusted chi-square (Asparouhov & Muthen, 2010; Savalei & Bentler, 2009) drives the indices;
    ``fit_driver`` says which it is.

    References
    ----------
    Mulaik, S. A. (2010). Foundations of factor analysis (2nd ed.). Harman, H. H., & Jones, W. H. (1966). Psychometrika,
    31, 351-368. Lawley, D. N., & Maxwell, A. E. (1971). Factor analysis as a statistical method (2nd ed.).

    Examples
    --------
    >>> import numpy as np
    >>> import relmeasure as rm
    >>> pattern = np.array([[0.8, 0.0], [0.7, 0.0], [0.6, 0.0], [0.0, 0.7], [0.0, 0.6], [0.0, 0.5]])
    >>> matrix = pattern @ np.array([[1.0, 0.3], [0.3, 1.0]]) @ pattern.T
    >>> np.fill_diagonal(matrix, 1.0)
    >>> result = rm.efa((matrix, 200), 2)  # R: psych::fa(matrix, 2, n.obs = 200, rotate = "oblimin")
    >>> result.loadings[:3, 0].round(3).tolist(), round(float(result.phi[0, 1]), 3)
    ([0.8, 0.7, 0.6], 0.3)
    """
    _check_options(method, rotation, engine, n_factors)
    wants_se = method == "ml" if se is None else se
    matrix = analysed_matrix(
        data,
        ordered=ordered,
        categories=categories,
        missing=missing,
        weights=weights,
        n_obs=n_obs,
        acov=wants_se,
    )
    _check_identified(n_factors, matrix.n_items)
    options = dict(rotation_options or {})
    first_order: Any = "oblimin" if rotation == "schmid_leiman" else rotation
    if engine == "factor_analyzer":
        extraction, rotated = extract_and_rotate(matrix.cor, n_factors, method, first_order, kaiser, options)
    else:
        extraction = _extract(matrix.cor, n_factors, method, principal_axis_stop)
        rotated = rotate(extraction.loadings, first_order, kaiser=kaiser, n_starts=n_starts, rng=rng, **options)
    errors, se_note = _errors(matrix, extraction, rotated, options, wants_se, rotation)
    return _assembled(
        matrix, extraction, rotated, errors, se_note, rotation=rotation, method=method, engine=engine, chisq=chisq
    )


def _check_options(method: str, rotation: str, engine: str, n_factors: Any) -> None:
    for argument, value, allowed in (
        ("method", method, get_args(ExtractionMethod)),
        ("rotation", rotation, (*ROTATIONS, "schmid_leiman")),
        ("engine", engine, get_args(Engine)),
    ):
        if value not in allowed:
            raise OptionError.from_value(argument, value, allowed)
    if isinstance(n_factors, bool) or not isinstance(n_factors, (int, np.integer)):
        raise OptionError(f"n_factors={n_factors!r} is not a number of factors.", argument="n_factors", value=n_factors)


def _check_identified(m: int, p: int) -> None:
    check_n_factors(m, p)
    df = degrees_of_freedom(p, m)
    if df < 0:
        most = max(k for k in range(p) if degrees_of_freedom(p, k) >= 0)
        raise OptionError(
            f"n_factors={m}: {m} factors of {p} items have {df} degrees of freedom and are not identified; "
            f"{p} items allow {most} at most.",
            argument="n_factors",
            value=m,
        )


def _extract(cor: Array, m: int, method: str, stop: PrincipalAxisStop) -> Extraction:
    if method == "ml":
        return fit_ml(cor, m)
    if method == "pa":
        return fit_principal_axis(cor, m, stop=stop)
    return fit_minres(cor, m)


# --------------------------------------------------------------------------- standard errors
def _errors(
    matrix: AnalysedMatrix,
    extraction: Extraction,
    rotated: Rotation,
    options: Mapping[str, Any],
    wanted: bool,
    rotation: str,
) -> tuple[LoadingErrors | None, str]:
    """Return standard errors, or None and why there are none."""
    reasons = (
        (not wanted, "they were not asked for (se=True)"),
        (rotation == "schmid_leiman", "a Schmid-Leiman solution has none here"),
        (not matrix.n_obs, "the statistic is weighted: give n_obs"),
        (bool(extraction.at_bound), "a uniqueness is at its bound (Heywood case)"),
        (not extraction.converged, "the extraction did not converge"),
        (not rotated.converged, "the rotation did not converge"),
        (not rotated.unique, "the rotation is not unique"),
        (extraction.method == "pa" and extraction.gradient > 1e-6, "principal axis factoring stopped early"),
        (
            matrix.two_step and matrix.acov is None,
            "pairs of items rest on different rows: missing='fiml' has standard errors"
            if matrix.pairwise
            else "the correlations were estimated, and their sampling covariance is not known: hand in the rows"
            + (" of ordered items alone" if matrix.kind == "polychoric" else ""),
        ),
    )
    for stands, reason in reasons:
        if stands:
            return None, reason
    made = loading_errors(
        rotated.loadings,
        rotated.phi,
        matrix.n_obs,
        cor=matrix.cor,
        method="ml" if extraction.method == "ml" else "minres",
        rotation=rotated.rotation,
        kaiser=rotated.kaiser,
        options=options,
        acov=matrix.acov,
    )
    if made is None:
        return None, "the rotation does not determine the loadings"
    if matrix.acov is not None:
        return made, f"sandwich, sampling covariance of the {matrix.estimated}"
    return made, "normal theory, expected information" if extraction.method == "ml" else "sandwich"


# --------------------------------------------------------------------------- the result
def _assembled(
    matrix: AnalysedMatrix,
    extraction: Extraction,
    rotated: Rotation,
    errors: LoadingErrors | None,
    se_note: str,
    *,
    rotation: str,
    method: str,
    engine: str,
    chisq: ChiSquare,
) -> EFAResult:
    loadings, phi, turn = rotated.loadings, rotated.phi, rotated.rotation_matrix
    fit, driver = _fit(matrix, extraction, rotated, errors, chisq)
    reasons: list[str] = []
    if rotation == "schmid_leiman":
        above = schmid_leiman(loadings, phi)
        loadings, phi, turn = above.loadings, np.eye(len(phi) + 1), turn @ above.transformation
        if not above.admissible:
            reasons.append("a second-order loading is at its bound: the factors have no proper general factor")
    raised, status = _judged(matrix, extraction, rotated, reasons)
    notes = announce([*matrix.raised, *raised])
    return EFAResult(
        names=matrix.names,
        factor_names=_factor_names(rotation, loadings.shape[1]),
        loadings=frozen_array(loadings),
        phi=frozen_array(phi),
        uniquenesses=frozen_array(extraction.uniquenesses),
        rotation_matrix=frozen_array(turn),
        unrotated=frozen_array(extraction.loadings),
        correlation=frozen_array(matrix.cor),
        correlation_kind=matrix.kind,
        method=method,
        rotation=rotation,
        engine=engine,
        fit=fit,
        fit_driver=driver,
        rotation_details=rotated,
        n_obs=matrix.n_obs,
        rule=matrix.rule,
        loadings_se=None if errors is None else frozen_array(errors.loadings),
        phi_se=None if errors is None else frozen_array(errors.phi),
        se_note=se_note,
        item_mean=None if matrix.mean is None else frozen_array(matrix.mean),
        item_sd=None if matrix.sd is None else frozen_array(matrix.sd),
        answer_model=None if matrix.latent is None else answer_model(matrix.latent),
        status=status,
        warnings=(*matrix.notes, *notes),
        provenance=Provenance("efa", __version__, matrix.n_rows, matrix.n_obs, matrix.rule),
    )


def _fit(
    matrix: AnalysedMatrix,
    extraction: Extraction,
    rotated: Rotation,
    errors: LoadingErrors | None,
    chisq: ChiSquare,
) -> tuple[dict[str, float], str]:
    """Return fit measures, and which chi-square drives them."""
    common = rotated.loadings @ rotated.phi @ rotated.loadings.T
    m, n = len(rotated.phi), matrix.n_obs
    fit = fit_measures(matrix.cor, common, extraction.uniquenesses, m, n, chisq=chisq)
    if matrix.acov is None or errors is None:
        return fit, _driver(chisq, matrix, fit)
    fit |= scaled_fit(matrix.cor, common, errors, matrix.acov, n, fit)
    return fit, f"mean-and-variance adjusted, {'polychoric' if matrix.kind == 'polychoric' else 'full information'}"


def _factor_names(rotation: str, m: int) -> tuple[str, ...]:
    general = int(rotation == "schmid_leiman" or (rotation in ROTATIONS and ROTATIONS[rotation].general))
    return tuple(["g"] * general + [f"F{k + 1}" for k in range(m - general)])


def _driver(chisq: str, matrix: AnalysedMatrix, fit: Mapping[str, float]) -> str:
    """Say which chi-square drives the indices, or why there is none."""
    if not matrix.n_obs:
        return "N is unknown: the statistic is weighted, give n_obs"
    if fit["df"] <= 0:
        return "no degrees of freedom"
    if np.isnan(fit["chisq"]):
        return "the correlation matrix is not positive definite"
    name = "Bartlett-corrected" if chisq == "bartlett" else "N F"
    return f"{name}, of {matrix.estimated}: descriptive, no test" if matrix.two_step else name


def _judged(
    matrix: AnalysedMatrix, extraction: Extraction, rotated: Rotation, reasons: list[str]
) -> tuple[list[RelmeasureWarning], Status]:
    """Return what to warn about, and whether the solution may be used."""
    raised: list[RelmeasureWarning] = []
    m = rotated.loadings.shape[1]
    if not extraction.converged:
        reasons.append(f"the extraction stopped after {extraction.iterations} steps without converging")
        raised.append(NotConvergedWarning(f"The solution is not to be used: {reasons[-1]}."))
    if extraction.at_bound:
        items = [matrix.names[i] for i in extraction.at_bound]
        reasons.append(f"Heywood case: the uniqueness of {shorten(items)} is at its bound")
        raised.append(
            HeywoodWarning(
                f"The uniqueness of {shorten(items)} is at its bound: a Heywood case. Take fewer factors, or look for "
                "items that say the same.",
                items=items,
            )
        )
    if not rotated.converged:
        reasons.append("the rotation did not converge: raise n_starts, or take another rotation")
        raised.append(NotConvergedWarning(f"The {rotated.rotation} rotation did not converge."))
    if not rotated.unique and m > 1:
        reasons.append("the rotation is not unique: other loadings serve its criterion as well")
    near = np.argwhere(np.triu(np.abs(rotated.phi), 1) > _COLLINEAR)
    reasons += [f"factors {i + 1} and {j + 1} correlate {rotated.phi[i, j]:.2f}: take fewer" for i, j in near]
    level: Literal["ok", "caution", "failed"] = "failed" if not extraction.converged else "caution" if reasons else "ok"
    if not matrix.n_obs:
        reasons.append("no test and no index that needs N: the statistic is weighted, give n_obs")
    return raised, Status(
        level,
        converged=extraction.converged and rotated.converged,
        admissible=not extraction.at_bound,
        identified=rotated.unique or m == 1,
        reasons=tuple(reasons),
    )
