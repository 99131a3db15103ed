"""Power of an invariance test, by noncentrality: how surely a difference between groups would be found."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from relmeasure.equivalence.api import invariance as test_invariance
from relmeasure.exceptions import OptionError, RelmeasureWarning
from relmeasure.results import Table
from relmeasure.samplestats.estimates import MomentEstimate
from relmeasure.structural.language.model_from_instrument import instrument_scales
from relmeasure.studies.planning.answer import Plan, as_numbers, check_shares, check_whole

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument, Scale

__all__ = ["invariance"]

Array = np.ndarray[Any, np.dtype[np.float64]]

Step = Literal["metric", "scalar"]
"""Whether loadings or intercepts differ."""

_LARGE = 1_000_000
"""Persons behind the population moments; the noncentrality is proportional to them."""


def invariance(
    *,
    instrument: Instrument,
    differences: Mapping[str, float],
    step: Step = "scalar",
    n: int | Sequence[int] | None = None,
    share: float = 0.5,
    scales: Sequence[str] | None = None,
    loading: float | Mapping[str, float] = 0.7,
    factor_correlation: float = 0.6,
    design_effect: float = 1.0,
    power: float = 0.80,
    alpha: float = 0.05,
) -> Plan:
    r"""Power of the test of equal loadings (metric) or intercepts (scalar) in two groups.

    The model with the equalities is fitted to the population moments of a reference and a focal group that differ as
    stated. What the chi-square of the step grows by, at N persons, is its noncentrality (Satorra & Saris, 1985):

    .. math:: \lambda = N (F_{equal} - F_{free}), \qquad power = P(\chi^2_{\Delta df, \lambda} > c_\alpha)

    Parameters
    ----------
    instrument : Instrument
        Its scales are correlated factors.
    differences : mapping of item to float
        By how much the focal group's standardised loading (``step="metric"``) or intercept, in standard deviations of
        the item (``step="scalar"``), differs.
    step : {"metric", "scalar"}
    n : int or list of int, optional
        Persons in both groups together; the number for ``power`` stands in the answers.
    share : float
        Share of them in the focal group.
    scales : sequence of str, optional
        Only these scales.
    loading, factor_correlation
        Of the population, as in ``simulate``.
    design_effect : float
        Students of one class resemble one another: N is divided by it. ``rm.icc(...).design_effect`` of a score is an
        upper bound for what counts here.
    power, alpha : float
        Power that is wanted; level of the test.

    Returns
    -------
    Plan
        Columns ``step``, ``n``, ``n_reference``, ``n_focal``, ``ncp``, ``df``, ``power``.

    Notes
    -----
    Items count as continuous; of four categories the power is somewhat lower. Items and factors have unit variance in
    both groups: an item's residual variance is one less what its factor explains there. A larger loading so comes with
    a smaller residual variance, which is not tested in this step.

    References
    ----------
    Satorra, A., & Saris, W. E. (1985). Psychometrika, 50, 83-90.

    Examples
    --------
    >>> import relmeasure as rm
    >>> instrument = rm.load_instrument("relationship-student")
    >>> item = instrument.scale("care").items[0]
    >>> plan = invariance(instrument=instrument, scales=["care"], differences={item: 0.3}, n=600)
    >>> plan.table["df"], round(plan.table["power"][0], 2)  # R: semTools::SSpower
    ((5,), 0.97)
    """
    if step not in get_args(Step):
        raise OptionError.from_value("step", step, get_args(Step))
    check_shares(share=share, power=power, alpha=alpha)
    (effect,) = as_numbers("design_effect", design_effect, low=0)
    found = instrument_scales(instrument, scales)
    items = list(dict.fromkeys(item for scale in found for item in scale.items))
    if not differences:
        raise OptionError("differences= is empty: say by how much which item differs, such as {'q1': 0.3}.")
    for name in differences:
        if name not in items:
            raise OptionError.from_value("differences", name, items)
    sizes = None if n is None else check_whole("n", n, least=4)
    ratio, df = _noncentrality(found, items, differences, step, share, loading, factor_correlation)
    needed = _needed(ratio / effect, df, power, alpha)
    rows = []
    for size in [needed] if sizes is None else sizes:
        focal = round(size * share)
        row: dict[str, Any] = {"step": step, "n": size, "n_reference": size - focal, "n_focal": focal}
        rows.append(row | {"ncp": ratio * size / effect, "df": df, "power": _power(ratio * size / effect, df, alpha)})
    what = "loadings" if step == "metric" else "intercepts"
    told = ", ".join(f"{name} {value:+g}" for name, value in differences.items())
    answers = [f"Differing {what} ({told}): {needed} persons in both groups for a power of {power:g}."]
    if sizes is not None:
        answers += [f"{row['n']} persons: power {row['power']:.2f}." for row in rows]
    assumed = {"share of the focal group": share, "loading": loading, "factor correlation": factor_correlation}
    return Plan(
        question="invariance",
        answers=tuple(answers),
        table=Table.from_rows(rows),
        assumed=assumed | {"design effect": effect, "alpha": alpha, "items": len(items)},
        method="Noncentral chi-square of the step at population moments (Satorra & Saris, 1985), continuous items.",
    )


def _noncentrality(
    scales: Sequence[Scale],
    items: Sequence[str],
    differences: Mapping[str, float],
    step: Step,
    share: float,
    loading: float | Mapping[str, float],
    correlation: float,
) -> tuple[float, int]:
    """Noncentrality a person, and the degrees of freedom of the step."""
    weights = _loadings(scales, items, loading)
    shift = np.array([differences.get(item, 0.0) for item in items])
    focal = weights + np.where(weights != 0, shift[:, None], 0.0) if step == "metric" else weights
    _check_loadings(items, focal)
    means = {"reference": np.zeros(len(items)), "focal": shift if step == "scalar" else np.zeros(len(items))}
    phi = np.full((len(scales), len(scales)), correlation) + (1 - correlation) * np.eye(len(scales))
    sizes = {"focal": round(_LARGE * share)}
    sizes["reference"] = _LARGE - sizes["focal"]
    moments = {}
    for name, lam in (("reference", weights), ("focal", focal)):
        unique = 1 - np.einsum("ij,jk,ik->i", lam, phi, lam)  # items have unit variance in both: loadings standardised
        if not (unique > 0).all():
            raise OptionError(f"loading={loading!r} leaves no residual variance in the {name} group: lower it.")
        cov = (lam @ phi @ lam.T + np.diag(unique)) * sizes[name] / (sizes[name] - 1)  # the normal likelihood's divisor
        moments[name] = MomentEstimate.from_matrix(cov, sizes[name], list(items), mean=means[name])
    model = "\n".join(f"{scale.id} =~ {' + '.join(scale.items)}" for scale in scales)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelmeasureWarning)  # of moments that no sample gave
        steps = {
            row["step"]: row
            for row in test_invariance(model, moments, reference="reference").to_frame().to_dict("records")
        }
    return max(float(steps[step]["delta_chisq"]), 0.0) / _LARGE, int(steps[step]["delta_df"])


def _loadings(scales: Sequence[Scale], items: Sequence[str], loading: float | Mapping[str, float]) -> Array:
    out = np.zeros((len(items), len(scales)))
    for k, scale in enumerate(scales):
        for item in scale.items:
            out[items.index(item), k] = (
                float(loading.get(item, 0.7)) if isinstance(loading, Mapping) else float(loading)
            )
    return out


def _check_loadings(items: Sequence[str], loadings: Array) -> None:
    largest = np.abs(loadings).max(axis=1)
    for item, value in zip(items, largest.tolist(), strict=True):
        if not 0 < value < 1:
            raise OptionError(f"The loading of '{item}' would be {value:g}: between 0 and 1 in both groups.", item=item)


def _power(ncp: float, df: int, alpha: float) -> float:
    from scipy.special import chdtri, chndtr

    return 1 - float(chndtr(float(chdtri(df, alpha)), df, ncp))


def _needed(ratio: float, df: int, power: float, alpha: float) -> int:
    """Persons for a power: the noncentrality that has it, over the noncentrality a person."""
    from scipy.optimize import brentq

    if power <= alpha:
        return 4
    if ratio * _LARGE * 100 < 1:
        raise OptionError("These differences leave the step's chi-square as it is: no sample would find them.")
    top = 10.0
    while _power(top, df, alpha) < power:
        top *= 2
    wanted = float(brentq(lambda ncp: _power(ncp, df, alpha) - power, 0.0, top, xtol=1e-10))
    return math.ceil(wanted / ratio - 1e-6)
