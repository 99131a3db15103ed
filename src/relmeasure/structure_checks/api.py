"""``dimensionality``: from an instrument and data to competing models and the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from relmeasure._version import __version__
from relmeasure.exceptions import OptionError
from relmeasure.instruments.catalog import require_instrument
from relmeasure.results import Note, Provenance, Status, Table
from relmeasure.structural.fitted.fit import StructuralFit
from relmeasure.structural.language.model_from_instrument import instrument_scales
from relmeasure.structural.reading import Reading
from relmeasure.structural.running import Call
from relmeasure.structure_checks.answer import CRITERIA, answer, factor_correlations, model_rows, usable
from relmeasure.structure_checks.bifactor import bifactor_tables
from relmeasure.structure_checks.models import candidate_models, fit_all, reversed_items
from relmeasure.structure_checks.result import DimensionalityResult

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument, Scale

__all__ = ["dimensionality"]


_MODELS = ("single", "correlated", "higher-order", "bifactor", "method factor")
"""Models by the names that the table has."""


def dimensionality(
    instrument: Instrument,
    data: Any,
    *,
    estimator: Literal["ML", "MLM", "MLR"] = "ML",
    missing: Literal["listwise", "fiml"] = "listwise",
    scales: Sequence[str] | None = None,
    cluster: Any = None,
    weights: Any = None,
    conf_level: float = 0.95,
    unknown: Literal["raise", "missing"] = "raise",
    models: Sequence[str] | None = None,
) -> DimensionalityResult:
    """Ask whether an instrument measures one thing or several: do students only rate popularity.

    Fits a single factor, correlated factors (one a scale), a higher-order factor (three scales or more), a bifactor
    model and correlated factors with a method factor for reversed items (two or more of them), and compares them. The
    bifactor model gives ``ECV = sum(l_g^2) / sum(l^2)`` and ``omega_h = sum(l_g)^2 / var(sum)``.

    Parameters
    ----------
    instrument : Instrument
        Its scales are the factors.
    data : frame, array, responses or moments
        One column an item. Items are keyed first.
    estimator : {"ML", "MLM", "MLR"}
        MLM and MLR: scaled tests.
    missing : {"listwise", "fiml"}
        Complete rows, or every answer (full information).
    scales : sequence of str, optional
        Scales to look at; default: all that have items.
    cluster : str, array (n,) or pair of these, optional
        Clusters, for cluster-robust tests.
    weights : str or array (n,), optional
        Sampling weights; only their ratios matter.
    conf_level : float
        Level of the intervals.
    unknown : {"raise", "missing"}
        Codes that the instrument does not declare.
    models : sequence of str, optional
        Models to fit, of "single", "correlated", "higher-order", "bifactor" and "method factor"; "single" is always
        fitted. Default: all that the instrument allows.

    Returns
    -------
    DimensionalityResult
        Ordered items are treated as continuous.

    Raises
    ------
    UnsupportedDataError
        The first argument is no instrument.
    TooFewItemsError
        Fewer than four items.
    OptionError, ColumnNotFoundError, UnknownCodeError, NotPositiveDefiniteError

    Warns
    -----
    ListwiseDeletionWarning, NotIdentifiedWarning, NotConvergedWarning, HeywoodWarning, InadmissibleWarning
        Of each model; the table says which model is not usable.

    Notes
    -----
    Intervals are Wald intervals; standard errors of ECV and omega by the delta method. With three scales the
    higher-order model has the fit of the correlated factors: the two cannot be told apart.

    References
    ----------
    Reise, S. P. (2012). Multivariate Behavioral Research, 47, 667-696. Rodriguez, A., Reise, S. P., & Haviland, M. G.
    (2016). Psychological Methods, 21, 137-150.

    Examples
    --------
    >>> import relmeasure as rm
    >>> instrument = rm.load_instrument("practice-student")
    >>> answers = rm.simulate(instrument, n_clusters=40, cluster_size=20, rng=1)
    >>> found = rm.dimensionality(instrument, answers)  # R: cfa() of each model; psych::omega for ECV
    >>> found.models["model"][-1] != found.best
    True
    """
    require_instrument(instrument)
    if estimator not in ("ML", "MLM", "MLR"):
        raise OptionError.from_value("estimator", estimator, ("ML", "MLM", "MLR"))
    if missing not in ("listwise", "fiml"):
        raise OptionError.from_value("missing", missing, ("listwise", "fiml"))
    call = Call(
        function="dimensionality",
        model=instrument,
        data=data,
        estimator=estimator,
        missing=missing,
        cluster=cluster,
        weights=weights,
        scales=scales,
        conf_level=conf_level,
        unknown=unknown,
    )
    found = instrument_scales(instrument, scales)
    turned = reversed_items(instrument, found)
    written, absent = candidate_models(instrument, scales, found, turned)
    for name in models or ():
        if name not in _MODELS:
            raise OptionError.from_value("models", name, _MODELS)
    if models is not None:
        absent |= {name: "not asked for" for name in written if name not in ("single", *models)}
        written = {name: model for name, model in written.items() if name not in absent}
    reading, fits = fit_all(call, written)
    return _result(reading, fits, absent, found, turned)


def _result(
    reading: Reading,
    fits: dict[str, StructuralFit],
    absent: dict[str, str],
    scales: Sequence[Scale],
    turned: tuple[str, ...],
) -> DimensionalityResult:
    rows = model_rows(fits, absent)
    indices, parts, correlations = Table({}), Table({}), Table({})
    if usable(fits.get("bifactor")):
        indices, parts = bifactor_tables(fits["bifactor"], scales)
    if usable(fits.get("correlated")):
        correlations = factor_correlations(fits["correlated"])
    numbers = {str(row["index"]): float(row["estimate"]) for row in indices.rows()}
    word, text = answer(fits, correlations, numbers)
    first = fits["single"].provenance
    return DimensionalityResult(
        models=Table.from_rows(rows),
        fits=fits,
        best=next((str(row["model"]) for row in rows if row["rank"] == 1), None),
        indices=indices,
        scales=parts,
        correlations=correlations,
        reversed_items=turned,
        answer=word,
        conclusion=text,
        criteria=CRITERIA,
        status=_status(fits),
        provenance=Provenance(
            function="dimensionality",
            version=__version__,
            n_rows=reading.n_rows,
            n_obs=reading.sample.n_obs,
            rule=first.rule,
            instrument=first.instrument,
        ),
        warnings=_notes(fits),
    )


def _status(fits: dict[str, StructuralFit]) -> Status:
    """Failed when no model is usable, caution when some are not; each reason names its model."""
    good = [usable(fit) for fit in fits.values()]
    return Status(
        level="ok" if all(good) else "caution" if any(good) else "failed",
        converged=all(fit.status.converged for fit in fits.values()),
        admissible=all(fit.status.admissible is not False for fit in fits.values()),
        identified=all(fit.status.identified is not False for fit in fits.values()),
        reasons=tuple(f"{name}: {reason}" for name, fit in fits.items() for reason in fit.status.reasons),
    )


def _notes(fits: dict[str, StructuralFit]) -> tuple[Note, ...]:
    """Notes of all models; those about a model say of which."""
    kept: list[Note] = []
    for name, fit in fits.items():
        own = set(fit.status.reasons)
        kept += [Note(n.code, f"{name}: {n.message}" if n.message in own else n.message) for n in fit.warnings]
    return tuple(kept)
