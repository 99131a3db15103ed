"""What every coefficient does before and after its formula: checks, the rule that made N, warnings, provenance."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any, TypeVar

import numpy as np

from relmeasure._version import __version__
from relmeasure.exceptions import (
    ConstantItemWarning,
    KeyDirectionWarning,
    NonNumericError,
    OptionError,
    RelmeasureWarning,
    TooFewItemsError,
    TooFewObservationsError,
    shorten,
)
from relmeasure.numerics.coefficients import inverse_or_none
from relmeasure.results import Estimate, Note, Provenance, announce
from relmeasure.samplestats.deletion import deletion_warnings
from relmeasure.samplestats.moments import MomentSums

__all__ = ["Prepared", "check_conf_level", "finish", "prepare", "warn_direction"]

Array = np.ndarray[Any, np.dtype[np.float64]]
AnyEstimate = TypeVar("AnyEstimate", bound=Estimate)


@dataclass(eq=False)
class Prepared:
    """Moments that passed the checks, their matrices, and what was warned about on the way.

    ``n_obs`` is the N of standard errors and intervals: complete rows, the smallest number behind any pair, or the
    number given; NaN under sampling weights, whose intervals need a number of the user's own.
    """

    moments: MomentSums
    cov: Array
    cor: Array
    n_obs: float
    rule: str
    constant: tuple[str, ...]
    raised: list[RelmeasureWarning] = field(default_factory=list)
    remarks: list[Note] = field(default_factory=list)
    _inverse: Array | None = None
    _inverted: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The items."""
        return self.moments.names

    @property
    def inverse(self) -> Array | None:
        """Inverse of the correlations; None where they are not positive definite, which is then remarked once."""
        if not self._inverted:
            self._inverse = inverse_or_none(self.cor)
            self._inverted = True
            if self._inverse is None and not self.constant and np.isfinite(self.cor).all():
                smallest = float(np.linalg.eigvalsh(self.cor)[0])
                self.remarks.append(
                    Note(
                        "not-positive-definite",
                        f"The item correlations are not positive definite (smallest eigenvalue {smallest:.2g}): "
                        "what needs their inverse (lambda6, item_total_r_corrected) is missing. "
                        "Look for items that are sums or copies of others, or for too few rows.",
                    )
                )
        return self._inverse


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def check_conf_level(conf_level: float) -> None:
    """Raise unless the level of an interval lies between 0 and 1."""
    if not (_is_number(conf_level) and 0.0 < conf_level < 1.0):
        raise OptionError(
            f"conf_level={conf_level!r} must lie between 0 and 1, as 0.95 does.",
            argument="conf_level",
            value=conf_level,
        )


def prepare(moments: MomentSums, *, conf_level: float = 0.95, n_obs: int | None = None) -> Prepared:
    """Check moments and collect what has to be said about them."""
    check_conf_level(conf_level)
    if n_obs is not None and not (_is_number(n_obs) and float(n_obs).is_integer() and n_obs >= 2):
        raise OptionError(f"n_obs={n_obs!r} must be a whole number of at least 2.", argument="n_obs", value=n_obs)
    uneven = moments.weighted or bool(moments.origin) or moments.n_obs < moments.n_obs_max
    if n_obs is not None and n_obs != moments.n_obs and not uneven:
        raise OptionError(
            f"n_obs={n_obs}: these moments know their N, {moments.n_obs} ({moments.rule}). n_obs= is for weighted and "
            "pairwise statistics; a matrix is handed in with its N, as (matrix, n).",
            argument="n_obs",
            value=n_obs,
        )
    if not moments.names:
        raise TooFewItemsError("There are no items: every column was set aside.", n_items=0)
    if moments.n_obs < 2:
        raise TooFewObservationsError(
            f"{moments.n_obs} usable rows ({moments.rule}); at least 2 are needed. "
            + ("missing='pairwise' uses rows with some answers." if moments.missing == "listwise" else "")
            + _answered(moments),
            n_obs=moments.n_obs,
            n_rows=moments.n_rows,
        )
    cov = moments.cov
    variances = cov.diagonal()
    if not np.isfinite(variances).all():
        raise NonNumericError("The covariances are not finite: look for infinite or huge values in the data.")
    constant = tuple(name for name, v in zip(moments.names, variances.tolist(), strict=True) if v <= 0.0)
    rule, n = moments.rule, float(moments.n_obs)
    if n_obs is not None:
        rule, n = f"{rule}; intervals use n_obs={n_obs} as given", float(n_obs)
    elif moments.weighted:
        n = float("nan")
    prepared = Prepared(moments, cov, moments.cor, n, rule, constant, remarks=list(moments.notes))
    used = "the smallest is the N of intervals" if n_obs is None else f"intervals use the N given, {n_obs}"
    said = {note.code for note in moments.notes}
    prepared.raised.extend(w for w in deletion_warnings(moments, used=used) if w.code not in said)
    if constant:
        _warn_constant(prepared)
    return prepared


def _warn_constant(prepared: Prepared) -> None:
    prepared.raised.append(
        ConstantItemWarning(
            f"No variance in {shorten(prepared.constant)}: every answer is the same, so nothing can be correlated with "
            "it and coefficients on correlations are missing. Leave it out, or look for a coding error.",
            items=list(prepared.constant),
        )
    )


def warn_direction(prepared: Prepared, items: list[str], what: str) -> None:
    """Say which items run against the others; nothing is flipped."""
    if items:
        prepared.raised.append(
            KeyDirectionWarning(
                f"{what}: {shorten(items)}. Check the key of the item and the codes in the data; nothing was reversed.",
                items=items,
            )
        )


def finish(estimate: AnyEstimate, prepared: Prepared, function: str) -> AnyEstimate:
    """Issue what was collected, once, and return the estimate with its notes and provenance."""
    m = prepared.moments
    return replace(
        estimate,
        warnings=(*prepared.remarks, *announce(prepared.raised)),
        provenance=Provenance(function, __version__, m.n_rows, m.n_obs, m.rule),
    )


def _answered(moments: MomentSums) -> str:
    """Which items nobody answered; else how many answers each has."""
    counts = dict(zip(moments.names, moments.n_item, strict=True))
    empty = [name for name, n in counts.items() if n == 0]
    if empty and len(empty) < len(counts):
        return f" Nobody answered {shorten(empty)}: leave out what was not asked."
    return f" Answers per item: {shorten(f'{name} {n}' for name, n in counts.items())}."
