"""Options that would do nothing in a call are refused, so that nothing is silently ignored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from relmeasure.exceptions import ColumnNotFoundError, OptionError, UnsupportedDataError, did_you_mean, shorten
from relmeasure.samplestats.estimates import MomentEstimate
from relmeasure.samplestats.latent import PolychoricResult
from relmeasure.samplestats.moments import MomentSums

if TYPE_CHECKING:
    from relmeasure.structural.estimation.method import Method
    from relmeasure.structural.running import Call

__all__ = ["check_moments", "check_options", "check_ordered"]


def check_options(call: Call, method: Method) -> None:
    """Refuse options without an effect on this call.

    Raises
    ------
    UnsupportedDataError
    OptionError
        A name where a list of names is needed.
    """
    for name in ("group_equal", "group_partial"):
        if isinstance(given := getattr(call, name), str):
            raise OptionError(f"{name} is a list: write {name}=['{given}'].", argument=name, value=given)
    text = isinstance(call.model, str)
    has_groups = call.group is not None or isinstance(call.data, Mapping)
    idle = (
        (bool(call.group_equal) and not has_groups, "group_equal= needs group=: there is one group."),
        (bool(call.group_partial) and not call.group_equal, "group_partial= releases what group_equal= holds equal."),
        (text and call.structure != "correlated", "structure= is for an instrument: a model string names its factors."),
        (text and call.scales is not None, "scales= is for an instrument: a model string names its items."),
        (
            text and call.unknown != "raise",
            "unknown= is for an instrument, which declares codes: set other answers of a frame to missing first.",
        ),
        (
            call.parameterization == "theta" and not method.ordinal,
            "parameterization='theta' is for ordered items: name them in ordered=.",
        ),
        (
            bool(call.correct) and (not method.ordinal or not _has_rows(call.data)),
            "correct= is for rows of ordered items: name them in ordered=.",
        ),
        (
            call.information is not None and method.ordinal,
            "information= is for continuous items: standard errors of ordered items rest on the expected information "
            "of the weighted least squares.",
        ),
        (
            call.mean_structure is False and call.missing == "fiml",
            "missing='fiml' needs the means, which tell of missing answers: leave mean_structure= out.",
        ),
    )
    for stands, message in idle:
        if stands:
            raise UnsupportedDataError(message)


def _has_rows(data: Any) -> bool:
    parts = data.values() if isinstance(data, Mapping) else [data]
    return not any(isinstance(part, PolychoricResult) for part in parts)


def check_ordered(ordered: Sequence[str] | bool, observed: Sequence[str], columns: Sequence[str]) -> None:
    """Refuse names in ``ordered=`` that are neither in the model nor among the columns of the data, if these are known.

    Raises
    ------
    ColumnNotFoundError
    """
    if isinstance(ordered, bool) or not columns:
        return
    known = list(dict.fromkeys([*observed, *columns]))
    missing = [str(name) for name in ([ordered] if isinstance(ordered, str) else ordered) if name not in known]
    if missing:
        raise ColumnNotFoundError(
            f"ordered= names {shorten(missing)}, which the data do not have.{did_you_mean(missing[0], known)} "
            f"The model has: {shorten(observed)}.",
            missing=missing,
            known=known,
        )


def check_moments(name: str, given: Any) -> None:
    """Refuse moments whose sampling errors are not those of N complete rows of equal weight.

    Weights and missing answers change the covariance matrix of the moments; from the moments alone it is not known, and
    normal theory at their N rejects true models several times too often.

    Raises
    ------
    UnsupportedDataError
    """
    where = f" of group {name}" if name else ""
    if getattr(given, "weighted", False):
        raise UnsupportedDataError(
            f"These moments{where} are weighted: standard errors and tests need the rows. Hand them in with weights=.",
            argument="data",
        )
    holes = isinstance(given, MomentSums) and given.missing == "pairwise" and given.n_obs < given.n_rows
    if holes or (isinstance(given, MomentEstimate) and given.source == "em" and given.n_patterns > 1):
        raise UnsupportedDataError(
            f"These moments{where} rest on rows with missing answers ({given.rule}): standard errors and tests need "
            "the rows. Hand them in with missing='fiml', or take moments of complete rows.",
            argument="data",
        )
