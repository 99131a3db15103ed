"""What a check says about the scales together: whether the instrument measures one thing or several.

The quick part of ``dimensionality``: one factor against one factor a scale, by maximum likelihood on the moments of
complete rows, answers taken as numbers. The higher-order, bifactor and method-factor models, whose fits may take
seconds, are left to that function.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from relmeasure.exceptions import RelmeasureError, RelmeasureWarning, UnsupportedDataError
from relmeasure.factor.retention import n_factors
from relmeasure.responses.intake import as_moments
from relmeasure.samplestats.moments import MomentSums
from relmeasure.structure_checks.api import dimensionality

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument
    from relmeasure.responses.binding import Responses

__all__ = ["structure_of_scales", "suggested_factors"]

LEAST_ROWS, ROWS_PER_ITEM = 100, 5
"""Complete rows below which the scales are not compared: 100, and five for each item (Gorsuch, 1983, p. 332)."""

_REPLICATIONS = 100


def suggested_factors(moments: MomentSums) -> tuple[int | None, str]:
    """Return the number of factors that parallel analysis suggests for the items of a scale, and what it rests on."""
    if moments.n_items < 4 or moments.n_obs < LEAST_ROWS:
        return None, ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RelmeasureWarning)
        found = n_factors(moments, n_replications=_REPLICATIONS, rng=0)
    return found.suggestion, found.reason


def structure_of_scales(
    instrument: Instrument, responses: Responses, scales: Sequence[str] | None
) -> tuple[dict[str, Any], str | None]:
    """Return the answer with its figures, and a sentence; without several scales nothing.

    Returns
    -------
    facts : dict
        ``answer``: "one", "general", "several", "unclear", or "not looked at"; ``cfi_one``, ``cfi_scales``,
        ``largest_correlation``.
    sentence : str or None
    """
    empty = {"answer": "not looked at", "cfi_one": math.nan, "cfi_scales": math.nan, "largest_correlation": math.nan}
    if len(responses.scales) < 2:
        return empty, None
    try:
        moments = as_moments(responses.keyed())
        least = max(LEAST_ROWS, ROWS_PER_ITEM * moments.n_items)
        if moments.n_obs < least:
            return empty, (
                f"whether the scales can be told apart was not looked at: {moments.n_obs} rows are complete on all "
                f"{moments.n_items} items, and {least} are the least. rm.dimensionality(..., missing='fiml') uses "
                "incomplete rows."
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RelmeasureWarning)  # a model that fails is part of the answer
            found = dimensionality(instrument, moments, scales=scales, models=("single", "correlated"))
    except UnsupportedDataError:
        return empty, None  # weighted composites and scales that share items have no such models
    except RelmeasureError as problem:
        return empty, f"whether the scales can be told apart was not looked at: {problem}"
    close = max((abs(float(row["correlation"])) for row in found.correlations.rows()), default=math.nan)
    cfi = {name: fit.indices.get("cfi", math.nan) for name, fit in found.fits.items()}
    facts = {
        "answer": found.answer,
        "cfi_one": cfi.get("single", math.nan),
        "cfi_scales": cfi.get("correlated", math.nan),
        "largest_correlation": close,
    }
    text = found.conclusion.partition(" Criteria:")[0]
    return facts, (
        f"{text} ({found.provenance.rule}; one factor against one factor a scale, maximum likelihood, answers as "
        "numbers; rm.dimensionality fits more models.)"
    )
