"""What every analysis returns: frozen results that print, tabulate, compare, pickle and round-trip.

``Result``      base of every public result: ``summary()``, ``to_frame()``, ``to_dict()``, ``from_dict()``, ``equals()``
``Estimate``    one coefficient with its interval, its N and the rule that made the N
``Table``       tidy columns, turned into a pandas, Polars or PyArrow frame on request
``Status``      whether a result may be used, and what stands against it
``Note``        a warning kept as data
``Provenance``  what was computed, from what, by which version and rule

Arrays inside results are read-only. ``to_dict()`` is safe for JSON: NaN becomes ``None`` and comes back as NaN.
"""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args, get_type_hints

import numpy as np

from relmeasure.exceptions import MissingExtraError, OptionError, RelmeasureWarning, UnsupportedDataError, warn_user
from relmeasure.layout import mark, notebook_html, paragraph
from relmeasure.round_trip import RoundTrip, decode, encode, fill_nan, frozen_array, same, scalar

if TYPE_CHECKING:
    import pandas as pd


__all__ = [
    "Estimate",
    "Note",
    "Provenance",
    "Result",
    "Status",
    "Table",
    "announce",
    "frozen_array",
    "paragraph",
    "render",
]

FrameKind = Literal["pandas", "polars", "pyarrow"]
"""Frame libraries that ``to_frame`` can build."""

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
"""A read-only array of floats inside a result."""

IntArray = np.ndarray[Any, np.dtype[np.int64]]
"""A read-only array of integers inside a result."""


# --------------------------------------------------------------------------- base
class Result(RoundTrip):
    """Base of every result. Subclasses are ``@dataclass(frozen=True, eq=False)``.

    A subclass overrides ``_table()`` to say what its tidy frame holds, and ``summary()`` where a table is not enough.
    """

    kind: ClassVar[str] = "result"

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # Set on the class itself, or the dataclass decorator would write one that prints every array.
        if "__repr__" not in vars(cls):
            cls.__repr__ = Result.__repr__  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        self._freeze_arrays()

    def _freeze_arrays(self) -> None:
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._freeze_arrays()

    def _table(self) -> Table:
        rows = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]
        scalars = {k: v for k, v in rows.items() if v is None or isinstance(v, (str, int, float, bool))}
        return Table({k: (v,) for k, v in scalars.items()})

    def to_frame(self, kind: FrameKind = "pandas") -> Any:
        """Return the tidy table of this result as a frame of the named library."""
        return self._table().to_frame(kind)

    def summary(self) -> str:
        """Return the result as a few lines of text."""
        return self._table().to_text()

    def to_dict(self) -> dict[str, Any]:
        """Return a dict that JSON can hold; ``from_dict`` restores the result from it."""
        payload: dict[str, Any] = {"type": type(self).__name__}
        for f in dataclasses.fields(self):  # type: ignore[arg-type]
            payload[f.name] = encode(getattr(self, f.name))
        return payload

    @classmethod
    def from_dict(cls, payload: Mapping[str, Any]) -> Self:
        """Restore a result from ``to_dict()``."""
        if payload.get("type") != cls.__name__:
            raise UnsupportedDataError(
                f"This dict holds a {payload.get('type')!r}, not a {cls.__name__}: use the from_dict of that class.",
                type=payload.get("type"),
            )
        hints = _hints(cls)
        names = [f.name for f in dataclasses.fields(cls) if f.init]  # type: ignore[arg-type]
        return cls(**{name: decode(payload[name], hints[name]) for name in names if name in payload})

    def equals(self, other: object, *, rtol: float = 1e-9, atol: float = 0.0) -> bool:
        """Whether ``other`` is the same kind of result with the same content, numbers within the tolerances."""
        if type(other) is not type(self):
            return False
        return all(
            same(getattr(self, f.name), getattr(other, f.name), rtol, atol)
            for f in dataclasses.fields(self)  # type: ignore[arg-type]
        )

    def __repr__(self) -> str:
        return self.summary()

    def plot(self, **options: Any) -> Any:
        """Return the figure of this result, a matplotlib figure; the options are those of its kind."""
        return render(self, "plot", **options)

    def save(self, path: str | Path, **options: Any) -> Path:
        """Write this result to a file whose suffix names the format (``.html``, ``.png``, ``.svg``, ``.pdf``)."""
        return Path(render(self, "save", path=Path(path), **options))

    def _repr_html_(self) -> str:
        return notebook_html(self.summary)


def render(result: Result, kind: Literal["plot", "svg", "html", "save"], **options: Any) -> Any:
    """Draw a result, or write it: ``relmeasure.reports`` is looked up by name, so that results need no figures."""
    return import_module("relmeasure.reports").render(result, kind, **options)


# --------------------------------------------------------------------------- small parts
@dataclass(frozen=True, eq=False)
class Note(Result):
    """A warning kept as data: its code and its sentence."""

    code: str
    message: str

    def summary(self) -> str:
        """Return the sentence with its code."""
        return paragraph(f"[{self.code}] {self.message}")


def notes_from(raised: Iterable[RelmeasureWarning]) -> tuple[Note, ...]:
    """Keep warnings as notes of a result."""
    return tuple(Note(w.code, w.message) for w in raised)


def announce(raised: Iterable[RelmeasureWarning]) -> tuple[Note, ...]:
    """Issue each warning once, at the user's line, and return them as notes for the result."""
    collected = list(raised)
    for warning in collected:
        warn_user(warning)
    return notes_from(collected)


@dataclass(frozen=True, eq=False)
class Status(Result):
    """Whether a result may be used.

    Attributes
    ----------
    level : {"ok", "caution", "failed"}
        ``ok``: nothing stands against it; ``caution``: usable, with the notes read; ``failed``: not to be used.
    converged, admissible, identified : bool or None
        Facts about an iterative fit; None where they do not apply.
    reasons : tuple of str
        What stands against the result, each with what to do.
    """

    level: Literal["ok", "caution", "failed"] = "ok"
    converged: bool | None = None
    admissible: bool | None = None
    identified: bool | None = None
    reasons: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True when nothing stands against the result."""
        return self.level == "ok"

    @property
    def words(self) -> str:
        """The facts about the fit, or the level where there are none: no verdict on what was found."""
        facts = [("converged", self.converged), ("admissible", self.admissible), ("identified", self.identified)]
        told = ", ".join(word if holds else f"not {word}" for word, holds in facts if holds is not None)
        if not told:
            return self.level
        return told if self.ok else f"{self.level} ({told})"

    def summary(self) -> str:
        """Return the facts and the reasons, one a line."""
        return "\n".join([self.words, *(paragraph(f"- {reason}") for reason in self.reasons)])


@dataclass(frozen=True, eq=False)
class Provenance(Result):
    """What was computed, from what, and by which rule.

    Attributes
    ----------
    function : str
        The public function.
    version : str
        The version of relmeasure.
    instrument : str or None
        ``id@version`` of the instrument, if one was used.
    n_rows, n_obs : int
        Rows handed in, and rows (or weighted rows) that the numbers rest on.
    rule : str
        The rule that made ``n_obs`` of ``n_rows``.
    steps : tuple of str
        Recorded steps that changed answers: categories collapsed, codes set to missing, items keyed.
    """

    function: str
    version: str
    n_rows: int
    n_obs: int
    rule: str
    instrument: str | None = None
    steps: tuple[str, ...] = ()

    def summary(self) -> str:
        """Return one line, then the steps."""
        head = f"{self.function} (relmeasure {self.version}): {self.n_obs} of {self.n_rows} rows, {self.rule}"
        return "\n".join([head, *(f"- {step}" for step in self.steps)])


# --------------------------------------------------------------------------- tidy tables
Column = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Table(Result):
    """Tidy columns of equal length; column names are API.

    Examples
    --------
    >>> table = Table({"item": ("a", "b"), "mean": (1.5, 2.0)})
    >>> print(table.to_text())
    item   mean
    a     1.500
    b     2.000
    """

    columns: dict[str, Column] = field(default_factory=dict)

    def __post_init__(self) -> None:
        plain = {name: _column(values) for name, values in self.columns.items()}
        lengths = {name: len(values) for name, values in plain.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"Columns of a table differ in length: {lengths}.")
        object.__setattr__(self, "columns", plain)

    @classmethod
    def from_rows(cls, rows: Sequence[Mapping[str, Any]], names: Sequence[str] | None = None) -> Table:
        """Build a table from one mapping a row; ``names`` fixes the columns of an empty table."""
        keys = list(names) if names is not None else list(dict.fromkeys(k for row in rows for k in row))
        return cls({key: tuple(row.get(key) for row in rows) for key in keys})

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Iterate over the rows as dicts."""
        names = list(self.columns)
        for values in zip(*self.columns.values(), strict=True):
            yield dict(zip(names, values, strict=True))

    def _table(self) -> Table:
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the columns as lists, and which of them hold floats (None there is NaN)."""
        floats = [name for name, values in self.columns.items() if values and isinstance(values[0], float)]
        return {"type": "Table", "columns": encode(self.columns), "floats": floats}

    @classmethod
    def from_dict(cls, payload: Mapping[str, Any]) -> Self:
        """Restore a table from ``to_dict()``."""
        floats = set(payload["floats"])
        columns = {k: fill_nan(list(v)) if k in floats else v for k, v in payload["columns"].items()}
        return cls({name: tuple(values) for name, values in columns.items()})

    def to_frame(self, kind: FrameKind = "pandas") -> Any:
        """Return a pandas, Polars or PyArrow frame; ``None`` becomes that library's missing value."""
        data = {name: list(values) for name, values in self.columns.items()}
        if kind == "pandas":
            import pandas as pd

            return pd.DataFrame(data)
        if kind == "polars":
            try:
                import polars as pl
            except ImportError:
                raise MissingExtraError.from_extra("polars", "polars", 'to_frame("polars")') from None
            return pl.DataFrame(data, strict=False)
        if kind == "pyarrow":
            try:
                import pyarrow as pa
            except ImportError:
                raise MissingExtraError.from_extra("pyarrow", "arrow", 'to_frame("pyarrow")') from None
            return pa.table(data)
        raise OptionError.from_value("kind", kind, get_args(FrameKind))

    def to_text(self, digits: int = 3) -> str:
        """Return aligned plain text: numbers right, words left, ``digits`` decimals, missing cells as a dash."""
        marked = mark(self, digits)
        if marked is not None:
            return marked
        cells = {name: [_cell(v, digits) for v in values] for name, values in self.columns.items()}
        width = {name: max([len(name), *map(len, texts)]) for name, texts in cells.items()}
        right = {name: all(v is None or _is_number(v) for v in values) for name, values in self.columns.items()}

        def line(texts: Iterable[tuple[str, str]]) -> str:
            parts = (t.rjust(width[n]) if right[n] else t.ljust(width[n]) for n, t in texts)
            return "  ".join(parts).rstrip()

        head = line((name, name) for name in cells)
        body = [line((name, cells[name][i]) for name in cells) for i in range(len(self))]
        return "\n".join([head, *body])

    def summary(self) -> str:
        """Return the table as text."""
        return self.to_text()

    def _repr_html_(self) -> str:
        return self._html(3)

    def _html(self, digits: int) -> str:
        right = [all(v is None or _is_number(v) for v in values) for values in self.columns.values()]
        wide = [any(len(_cell(v, digits)) > 60 for v in values) for values in self.columns.values()]  # sentences
        sides = [
            f' style="text-align: {"right" if number else "left"}{"; min-width: 25em" if long else ""}"'
            for number, long in zip(right, wide, strict=True)
        ]

        def line(tag: str, texts: Iterable[str]) -> str:
            cells = (f"<{tag}{side}>{html.escape(t)}</{tag}>" for side, t in zip(sides, texts, strict=True))
            return f"<tr>{''.join(cells)}</tr>"

        body = "".join(line("td", (_cell(v, digits) for v in row.values())) for row in self.rows())
        return f"<table><thead>{line('th', self.columns)}</thead><tbody>{body}</tbody></table>"


# --------------------------------------------------------------------------- one coefficient
@dataclass(frozen=True, eq=False)
class Estimate(Result):
    """One coefficient with its interval, its N and the rule that made the N.

    Attributes
    ----------
    name : str
        The coefficient, e.g. ``"alpha"``.
    estimate : float
        NaN when it cannot be computed; ``reason`` then says why.
    se, lower, upper : float
        Standard error and interval bounds; NaN where the method gives none.
    conf_level : float
        Level of the interval.
    n_obs, n_items : int
        Rows and items the estimate rests on.
    method : str
        How the interval was made.
    definition : str
        Stable id of the formula, e.g. ``"omega_total.implied_variance"``.
    rule : str
        The rule that made ``n_obs``.
    reason : str or None
        Why there is no estimate.
    warnings : tuple of Note
        Everything that was warned about on the way.
    items : pandas.DataFrame
        One row an item; see ``item_table``.
    item_table : Table
        The same as a table that needs no frame library.
    provenance : Provenance or None
    """

    name: str
    estimate: float
    se: float = math.nan
    lower: float = math.nan
    upper: float = math.nan
    conf_level: float = 0.95
    n_obs: int = 0
    n_items: int = 0
    method: str = "none"
    definition: str = ""
    rule: str = ""
    reason: str | None = None
    warnings: tuple[Note, ...] = ()
    item_table: Table = field(default_factory=Table)
    provenance: Provenance | None = None

    def _table(self) -> Table:
        names = (
            "name", "estimate", "se", "lower", "upper", "conf_level", "n_obs", "n_items", "method", "definition",
            "rule", "reason",
        )  # fmt: skip
        return Table({name: (getattr(self, name),) for name in names})

    @property
    def items(self) -> pd.DataFrame:
        """One row an item, as a pandas frame."""
        frame: pd.DataFrame = self.item_table.to_frame("pandas")
        return frame

    def summary(self) -> str:
        """Return the coefficient, its interval, N, rule and notes as a few lines."""
        if self.reason is not None:
            head = f"{self.name}: not available ({self.reason})"
        else:
            head = f"{self.name} = {self.estimate:.3f}"
            if not math.isnan(self.lower):
                head += f", {self.conf_level:.0%} interval [{self.lower:.3f}, {self.upper:.3f}] ({self.method})"
        lines = [head, f"{self.n_items} items, {self.n_obs} rows, {self.rule}; definition {self.definition}"]
        lines += [note.summary() for note in self.warnings]
        return "\n".join(lines)


# --------------------------------------------------------------------------- dict, equality, text
_PLAIN: tuple[set[type], ...] = ({float}, {int}, {str}, set())


def _column(values: Iterable[Any]) -> Column:
    """Plain Python values; a column with a float in it is all floats, its gaps NaN."""
    given = tuple(values)
    if set(map(type, given)) in _PLAIN:  # most columns, at a tenth of the time
        return given
    plain = tuple(scalar(v) for v in given)
    if any(isinstance(v, float) for v in plain) and all(v is None or _is_number(v) for v in plain):
        return tuple(math.nan if v is None else float(v) for v in plain)
    return plain


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _cell(value: object, digits: int) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.{digits}f}"
    return str(value)


@cache
def _hints(cls: type[Any]) -> dict[str, Any]:
    import sys

    names: dict[str, Any] = {}
    for base in reversed(cls.__mro__):  # fields of a parent are written in the names of the parent's module
        names |= vars(sys.modules[base.__module__])
    return get_type_hints(cls, globalns={**globals(), **names})
