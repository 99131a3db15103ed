"""Errors and warnings of relmeasure. One class is one mistake, and each carries the values behind it.

Every class has a stable ``code`` for programs; ``details`` holds the offending values.
A message is a sentence that names the item, group or argument, the number seen, and the fix.

Errors::

    RelmeasureError
    ├── InstrumentError (ValueError)          something is wrong with a definition
    │   ├── InstrumentNotFoundError           no instrument of that id, no file at that path
    │   ├── InstrumentFileError               the file cannot be read: size, encoding, syntax, nesting
    │   ├── InstrumentValidationError         the file is read but its content is contradictory
    │   └── LevelError                        a score used at a level it is not valid for
    ├── DataError (ValueError)                something is wrong with the data handed in
    │   ├── UnsupportedDataError              this input, or this combination of options, is not supported
    │   ├── ColumnNotFoundError               an item or a named column is not in the frame
    │   ├── ColumnCollisionError              a column to be written already exists
    │   ├── DuplicateColumnError              two columns bear the same name
    │   ├── UnknownCodeError                  values that the response scale does not declare
    │   ├── AlreadyKeyedError                 keyed answers handed to something that keys them
    │   ├── NonNumericError                   text where numbers are needed
    │   ├── TooFewItemsError                  the routine needs more items
    │   ├── TooFewObservationsError           no usable rows, or fewer than the routine needs
    │   └── IncompatibleStatisticsError       statistics of different kinds or items cannot be added
    ├── OptionError (ValueError)              an argument outside its allowed values
    ├── ModelError (ValueError)               a model that contradicts itself or its data
    │   └── ModelSyntaxError                  a model string that cannot be read, with the line and the column
    ├── EstimationError (ArithmeticError)     the numbers cannot be estimated
    │   ├── NotPositiveDefiniteError          a covariance or correlation matrix that must be invertible is not
    │   ├── ConvergenceError                  the optimiser gave up
    │   └── InadmissibleError                 a number was asked of a solution that is no proper model
    └── MissingExtraError (ImportError)       an optional dependency is not installed

Warnings::

    RelmeasureWarning (UserWarning)
    ├── ListwiseDeletionWarning               rows with a missing answer were dropped, and how many
    ├── PairwiseDeletionWarning               pairs rest on different numbers of rows
    ├── CategoriesAssumedWarning              categories were taken from the data, not from an instrument
    ├── CodesAsMissingWarning                 unknown codes were set to missing on request
    ├── KeyDirectionWarning                   an item runs against its declared key
    ├── DuplicateRowsWarning                  rows that look like a file handed in twice
    ├── OriginShiftWarning                    codes look shifted by one (0-4 where 1-5 is declared)
    ├── EmptyCategoryWarning                  a declared category that nobody chose
    ├── SparseTableWarning                    a table too sparse for its correlation: it stands at its bound
    ├── NotPositiveDefiniteWarning            a correlation matrix with an eigenvalue at or below zero
    ├── ConstantItemWarning                   an item has no variance
    ├── FewItemsWarning                       too few items for the coefficient to mean what it says
    ├── FewClustersWarning                    too few clusters for a variance between them
    ├── UnrestrictedModelWarning              the unrestricted two-level model has no maximum to test against
    ├── NegativeReliabilityWarning            a reliability below zero: keys or dimensions are wrong
    ├── HeywoodWarning                        a residual variance at or below zero
    ├── InadmissibleWarning                   an estimated covariance matrix that no data can have
    ├── ModelAssumptionWarning                a model says something that is easily overlooked
    ├── NotIdentifiedWarning                  parameters that the data cannot determine
    ├── NotConvergedWarning                   a fit that stopped early
    ├── SearchNotExhaustiveWarning            a maximum over splits was searched, not enumerated
    ├── ProratingWarning                      a sum was filled in from the answered items
    ├── NotPublishedMetricWarning             a raw score of a scale whose published metric is another
    ├── LevelWarning                          a score used at a level its definition does not name
    └── DuplicateInstrumentWarning            two sources offer an instrument of the same id
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, ClassVar

__all__ = [
    "AlreadyKeyedError",
    "CategoriesAssumedWarning",
    "CodesAsMissingWarning",
    "ColumnCollisionError",
    "ColumnNotFoundError",
    "ConstantItemWarning",
    "ConvergenceError",
    "DataError",
    "DuplicateColumnError",
    "DuplicateInstrumentWarning",
    "DuplicateRowsWarning",
    "EmptyCategoryWarning",
    "EstimationError",
    "FewClustersWarning",
    "FewItemsWarning",
    "HeywoodWarning",
    "InadmissibleError",
    "InadmissibleWarning",
    "IncompatibleStatisticsError",
    "InstrumentError",
    "InstrumentFileError",
    "InstrumentNotFoundError",
    "InstrumentValidationError",
    "KeyDirectionWarning",
    "LevelError",
    "LevelWarning",
    "ListwiseDeletionWarning",
    "MissingExtraError",
    "ModelAssumptionWarning",
    "ModelError",
    "ModelSyntaxError",
    "NegativeReliabilityWarning",
    "NonNumericError",
    "NotConvergedWarning",
    "NotIdentifiedWarning",
    "NotPositiveDefiniteError",
    "NotPositiveDefiniteWarning",
    "NotPublishedMetricWarning",
    "OptionError",
    "OriginShiftWarning",
    "PairwiseDeletionWarning",
    "ProratingWarning",
    "RelmeasureError",
    "RelmeasureWarning",
    "SearchNotExhaustiveWarning",
    "SparseTableWarning",
    "TooFewItemsError",
    "TooFewObservationsError",
    "UnknownCodeError",
    "UnrestrictedModelWarning",
    "UnsupportedDataError",
]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the closest known word, or an empty string."""
    close = _closest(word, list(known))
    return f" Did you mean '{close}'?" if close else ""


def _closest(word: str, known: Sequence[str], *, loosely: bool = True) -> str | None:
    """The word that differs in case and punctuation only; else, ``loosely``, one that is spelled alike."""
    plain = _plain(word)
    for other in known:
        if plain and _plain(other) == plain:
            return other
    close = get_close_matches(word, known, n=1, cutoff=0.6) if loosely else []
    return close[0] if close else None


def _plain(word: str) -> str:
    return "".join(filter(str.isalnum, word.casefold()))


def shorten(names: Iterable[object], limit: int = 8) -> str:
    """Join names for a message; a long list ends in a count."""
    texts = [str(name) for name in names]
    if len(texts) <= limit:
        return ", ".join(texts)
    return ", ".join(texts[:limit]) + f", and {len(texts) - limit} more"


class RelmeasureError(Exception):
    """Root of every error raised on purpose by relmeasure.

    Attributes
    ----------
    code : str
        Stable identifier of the mistake.
    message : str
        The sentence for people.
    details : dict
        The offending values, for programs.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.details))


def _rebuild(cls: type[Any], message: str, details: dict[str, Any]) -> Any:
    """Unpickle an error or warning, whatever its constructor looks like."""
    return cls(message, **details)


# --------------------------------------------------------------------------- instruments
class InstrumentError(RelmeasureError, ValueError):
    """Something is wrong with an instrument definition."""

    code = "instrument"


class InstrumentNotFoundError(InstrumentError):
    """No instrument of that id, and no file at that path."""

    code = "instrument-not-found"


class InstrumentFileError(InstrumentError):
    """An instrument file cannot be read: its size, encoding, syntax or nesting."""

    code = "instrument-file"


class InstrumentValidationError(InstrumentError):
    """The content of an instrument contradicts itself or the schema; ``details["problems"]`` lists each."""

    code = "instrument-validation"

    @classmethod
    def from_problems(cls, source: str, problems: Sequence[str]) -> InstrumentValidationError:
        """Build the error from one line a problem; each line names the place, the value and the fix."""
        lines = "\n".join(f"  - {problem}" for problem in problems[:20])
        more = f"\n  ... and {len(problems) - 20} more" if len(problems) > 20 else ""
        count = f"{len(problems)} problem" + ("s" if len(problems) != 1 else "")
        return cls(f"{source}: {count}\n{lines}{more}", source=source, problems=list(problems))


class LevelError(InstrumentError):
    """A score is asked for at a level (student, class, teacher, school) where it is not valid."""

    code = "level"


# --------------------------------------------------------------------------- data
class DataError(RelmeasureError, ValueError):
    """Something is wrong with the data handed in."""

    code = "data"


class UnsupportedDataError(DataError):
    """This kind of input, or this combination of options, is not supported."""

    code = "unsupported-data"


class ColumnNotFoundError(DataError):
    """An item or a column named in an argument is not in the frame."""

    code = "column-not-found"

    @classmethod
    def from_names(
        cls, missing: Sequence[str], available: Sequence[str], *, what: str = "item", remedy: str = ""
    ) -> ColumnNotFoundError:
        """Name what is missing, what it may have been meant to be, and what to do."""
        pairs = {name: close for name in missing[:4] if (close := _closest(name, available, loosely=False))}
        hint = did_you_mean(missing[0], available)
        if len(missing) > 1 and pairs:
            told = ", ".join(f"'{close}' for {name}" for name, close in pairs.items())
            hint = f" Did you mean {told}?"
        plural = "s" if len(missing) != 1 else ""
        return cls(
            f"{len(missing)} {what} column{plural} not in the data: {shorten(missing)}.{hint} "
            f"The data have: {shorten(available, 12) or 'no columns'}.{remedy}",
            missing=list(missing),
            available=list(available),
        )


class ColumnCollisionError(DataError):
    """A column to be written already exists in the frame."""

    code = "column-collision"


class DuplicateColumnError(DataError):
    """Two columns of the frame bear the same name."""

    code = "duplicate-column"


class UnknownCodeError(DataError):
    """Values that the response scale does not declare, with a count per item in ``details["counts"]``."""

    code = "unknown-code"


class AlreadyKeyedError(DataError):
    """Keyed answers were handed to something that keys them; nothing is reversed twice."""

    code = "already-keyed"


class NonNumericError(DataError):
    """Text, dates or other objects where numbers are needed."""

    code = "non-numeric"


class TooFewItemsError(DataError):
    """The routine needs more items than were given."""

    code = "too-few-items"


class TooFewObservationsError(DataError):
    """No usable rows, or fewer than the routine needs."""

    code = "too-few-observations"


class IncompatibleStatisticsError(DataError):
    """Sample statistics of different kinds, items or weights cannot be added."""

    code = "incompatible-statistics"


class OptionError(RelmeasureError, ValueError):
    """An argument has a value outside the allowed ones."""

    code = "option"

    @classmethod
    def from_value(cls, argument: str, value: object, allowed: Iterable[str]) -> OptionError:
        """Name the argument, the value seen, and every allowed value."""
        options = list(allowed)
        hint = did_you_mean(str(value), options)
        return cls(
            f"{argument}={value!r} is not an option.{hint} Use one of: {', '.join(map(repr, options))}.",
            argument=argument,
            value=value,
            allowed=options,
        )


# --------------------------------------------------------------------------- models
class ModelError(RelmeasureError, ValueError):
    """A model contradicts itself, or names what the data do not have."""

    code = "model"


class ModelSyntaxError(ModelError):
    """A model string cannot be read; ``details`` holds ``line`` and ``column``, both counted from one."""

    code = "model-syntax"

    @classmethod
    def from_place(cls, problem: str, fix: str, text: str, line: int, column: int) -> ModelSyntaxError:
        """Show the line with a caret under the place, what is wrong, and the fix."""
        lines = text.splitlines() or [""]
        shown = lines[min(line, len(lines)) - 1]
        caret = "".join("\t" if c == "\t" else " " for c in shown[: column - 1]).ljust(column - 1) + "^"
        return cls(
            f"Line {line}, column {column}: {problem}\n  {shown}\n  {caret}\n{fix}",
            line=line,
            column=column,
            problem=problem,
        )


# --------------------------------------------------------------------------- estimation
class EstimationError(RelmeasureError, ArithmeticError):
    """The numbers asked for cannot be estimated from these statistics."""

    code = "estimation"


class NotPositiveDefiniteError(EstimationError):
    """A matrix that must be invertible is not; ``details["min_eigenvalue"]`` says by how much."""

    code = "not-positive-definite"


class ConvergenceError(EstimationError):
    """The optimiser stopped before reaching a solution."""

    code = "convergence"


class InadmissibleError(EstimationError):
    """A number was asked of a solution that is no proper model, such as one with a negative variance."""

    code = "inadmissible"


class MissingExtraError(RelmeasureError, ImportError):
    """An optional dependency is not installed."""

    code = "missing-extra"

    @classmethod
    def from_extra(cls, package: str, extra: str, purpose: str) -> MissingExtraError:
        """One line that says what is missing, what for, and the command that installs it."""
        return cls(
            f"{purpose} needs {package}, which is not installed: pip install 'relmeasure[{extra}]'",
            package=package,
            extra=extra,
        )


# --------------------------------------------------------------------------- warnings
class RelmeasureWarning(UserWarning):
    """Root of every warning; kept in ``result.warnings`` of the result it belongs to."""

    code: ClassVar[str] = "warning"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, Any] = details

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, dict(self.details)))


class ListwiseDeletionWarning(RelmeasureWarning):
    """Rows with a missing answer were dropped; the message says how many of how many."""

    code = "listwise-deletion"


class PairwiseDeletionWarning(RelmeasureWarning):
    """Correlations of one matrix rest on different numbers of rows."""

    code = "pairwise-deletion"


class CategoriesAssumedWarning(RelmeasureWarning):
    """Response categories were taken from the data because none were declared."""

    code = "categories-assumed"


class CodesAsMissingWarning(RelmeasureWarning):
    """Unknown codes were set to missing because ``unknown="missing"`` was asked for."""

    code = "codes-as-missing"


class KeyDirectionWarning(RelmeasureWarning):
    """After keying, an item still runs against its scale: the key or the data are reversed."""

    code = "key-direction"


class OriginShiftWarning(RelmeasureWarning):
    """Codes fit the declared range only when shifted by one."""

    code = "origin-shift"


class DuplicateRowsWarning(RelmeasureWarning):
    """Rows of answers look like a file that was handed in twice."""

    code = "duplicate-rows"


class EmptyCategoryWarning(RelmeasureWarning):
    """A declared response category that nobody chose: its threshold cannot be estimated."""

    code = "empty-category"


class SparseTableWarning(RelmeasureWarning):
    """Empty cells leave a polychoric correlation at its bound of plus or minus one."""

    code = "sparse-table"


class NotPositiveDefiniteWarning(RelmeasureWarning):
    """A correlation matrix has an eigenvalue at or below zero, or was smoothed on request."""

    code = "not-positive-definite-matrix"


class ConstantItemWarning(RelmeasureWarning):
    """An item has no variance, so nothing can be correlated with it."""

    code = "constant-item"


class FewItemsWarning(RelmeasureWarning):
    """The scale has too few items for the coefficient to mean what its name says."""

    code = "few-items"


class FewClustersWarning(RelmeasureWarning):
    """Too few clusters for a trustworthy variance between them."""

    code = "few-clusters"


class UnrestrictedModelWarning(RelmeasureWarning):
    """The unrestricted two-level model has no maximum, so what is tested against it is tested otherwise or not."""

    code = "unrestricted-model"


class NegativeReliabilityWarning(RelmeasureWarning):
    """A reliability coefficient is negative: keys or dimensions do not fit the data."""

    code = "negative-reliability"


class HeywoodWarning(RelmeasureWarning):
    """A residual variance is at its bound or below zero."""

    code = "heywood"


class InadmissibleWarning(RelmeasureWarning):
    """An estimated covariance matrix is one that no data can have: a correlation beyond one, for example."""

    code = "inadmissible-solution"


class ModelAssumptionWarning(RelmeasureWarning):
    """A model as written has a consequence that is easily overlooked."""

    code = "model-assumption"


class NotIdentifiedWarning(RelmeasureWarning):
    """Parameters that the data cannot determine: other values fit equally well."""

    code = "not-identified"


class NotConvergedWarning(RelmeasureWarning):
    """An iterative fit stopped before its convergence criterion was met."""

    code = "not-converged"


class SearchNotExhaustiveWarning(RelmeasureWarning):
    """A maximum over all splits was searched for, not enumerated."""

    code = "search-not-exhaustive"


class ProratingWarning(RelmeasureWarning):
    """Sum scores were completed from the answered items; biased when items differ (Mazza et al., 2015)."""

    code = "prorating"


class NotPublishedMetricWarning(RelmeasureWarning):
    """The score is a raw one; the published metric of the scale is another."""

    code = "not-published-metric"


class LevelWarning(RelmeasureWarning):
    """A score is used at a level that its definition does not name."""

    code = "level-not-declared"


class DuplicateInstrumentWarning(RelmeasureWarning):
    """Two sources offer an instrument of the same id; the message says which one is used."""

    code = "duplicate-instrument"


def warn_user(warning: RelmeasureWarning) -> None:
    """Issue a warning at the first frame outside relmeasure, so that users see their own line."""
    level = 2
    frame = sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] == "relmeasure":
        frame = frame.f_back
        level += 1
    warnings.warn(warning, stacklevel=level)
