"""What an instrument is: items, response scales, scales, scoring, missing rules, norms, licence, published figures.

Every model is frozen, refuses unknown keys and coerces nothing. A bad value raises ``InstrumentValidationError``, which
lists every problem with its place and fix. Data files hold *codes* (what was stored); scoring works on *keyed values*:

1. a code is mapped to its *endorsement*, higher meaning more of what the wording says: the option's explicit ``score``
   where given, else the code itself (``direction = "ascending"``) or its reflection ``min + max - code``
   (``"descending"``: TIMSS, PISA 2012 and OLBI store "strongly agree" as 1);
2. an item with ``key = -1`` is reflected once more, within the *declared* range of its scale, never the observed.

The two steps are one table per item (``Instrument.keyed_values``; ``Instrument.is_reflected`` for a numeric range), so
that nothing can be reversed twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, ValidationError, model_validator

from relmeasure.exceptions import InstrumentError, InstrumentValidationError, did_you_mean
from relmeasure.instruments.consistency import problems_of
from relmeasure.instruments.fields import (
    Code,
    Date,
    Identifier,
    InstrumentId,
    Key,
    LanguageCode,
    Level,
    Line,
    MissingReason,
    Number,
    ReadOnlyDict,
    SchemaVersion,
    Text,
    Title,
    Version,
)
from relmeasure.instruments.messages import MAX_PROBLEMS, seen, validation_error
from relmeasure.instruments.notebook import instrument_html
from relmeasure.instruments.syntax import json_tree

__all__ = [
    "SCHEMA_VERSION",
    "Blueprint",
    "Collapse",
    "Instrument",
    "Item",
    "Level",
    "Licence",
    "MissingCode",
    "MissingReason",
    "MissingRule",
    "Norms",
    "Option",
    "PublishedFigure",
    "ResponseScale",
    "Scale",
    "ScoringRule",
]

SCHEMA_VERSION = 1
"""Version of the file format; a file says which one it was written for."""


class _Definition(BaseModel):
    """Frozen; unknown keys are errors; every error is an ``InstrumentValidationError``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    if not TYPE_CHECKING:  # type checkers derive the signature from the fields

        def __init__(self, /, **data: Any) -> None:
            try:
                super().__init__(**data)
            except ValidationError as error:
                raise validation_error(type(self), data, error) from None

        # Tells pydantic that nested models may be built without this method: the outermost one reports for all.
        __init__.__pydantic_base_init__ = True

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Build from a mapping, as pydantic does; a bad one raises ``InstrumentValidationError``."""
        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            raise validation_error(cls, obj, error) from None

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Build from JSON text: UTF-8, no repeated key, no NaN."""
        return cls.model_validate(json_tree(json_data, cls.__name__.lower()), **options)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy; unlike pydantic's, the changed copy is validated."""
        if not update:
            return super().model_copy(deep=deep)
        return type(self).model_validate({**dict(self), **update})


# --------------------------------------------------------------------------- response scales and items
class Option(_Definition):
    """One response option: the stored code, what it is worth, and its labels."""

    value: Code
    score: Number | None = None
    labels: Text = Field(default_factory=ReadOnlyDict)


class MissingCode(_Definition):
    """A stored code that is not an answer, and why."""

    code: Code
    reason: MissingReason
    labels: Text = Field(default_factory=ReadOnlyDict)


class Collapse(_Definition):
    """Codes that are scored as one, declared so that it is recorded (Impact! joins its two lowest categories)."""

    codes: Annotated[tuple[Code, ...], Field(min_length=1, max_length=100)]
    to: Code
    reason: Line


class ResponseScale(_Definition):
    """Ordered response options, or a numeric range, with the direction stored explicitly.

    ``direction`` is ``"ascending"`` when a higher *code* means more (of agreement, frequency, truth ...), and
    ``"descending"`` when a lower code does. ``null_reason`` says what an empty cell means. ``prompt`` holds the words
    that stand above the items of this scale and that they cannot do without.
    """

    kind: Literal["agreement", "frequency", "truth", "degree", "efficacy", "quality", "dichotomous", "range", "open"]
    prompt: Text = Field(default_factory=ReadOnlyDict)
    direction: Literal["ascending", "descending"] = "ascending"
    options: Annotated[tuple[Option, ...], Field(max_length=200)] = ()
    minimum: Number | None = None
    maximum: Number | None = None
    missing: Annotated[tuple[MissingCode, ...], Field(max_length=50)] = ()
    null_reason: MissingReason = "skipped"
    collapse: Annotated[tuple[Collapse, ...], Field(max_length=50)] = ()

    @property
    def codes(self) -> tuple[int, ...]:
        """Stored codes that are answers, in declared order."""
        return tuple(option.value for option in self.options)

    @property
    def missing_codes(self) -> dict[int, MissingReason]:
        """Stored codes that are not answers, and why."""
        return {m.code: m.reason for m in self.missing}

    @property
    def collapsed(self) -> dict[int, int]:
        """Where each answer code goes after declared collapsing."""
        moved = {code: c.to for c in self.collapse for code in c.codes}
        return {code: moved.get(code, code) for code in self.codes}

    @property
    def endorsement(self) -> dict[int, float]:
        """Code to endorsement: higher means more of what the wording says. Empty for ranges and open answers."""
        worth = {o.value: float(o.value if o.score is None else o.score) for o in self.options}
        joined = {code: worth[to] for code, to in self.collapsed.items()}
        if self.direction == "descending" and all(o.score is None for o in self.options) and joined:
            low, high = min(joined.values()), max(joined.values())
            return {code: low + high - value for code, value in joined.items()}
        return joined

    @property
    def score_range(self) -> tuple[float, float]:
        """Smallest and largest endorsement, as declared. An open answer has none and raises ``InstrumentError``."""
        if self.kind == "range" and self.minimum is not None and self.maximum is not None:
            return (self.minimum, self.maximum)
        values = self.endorsement.values()
        if not values:
            raise InstrumentError(f"A response scale of kind '{self.kind}' without options has no range of scores.")
        return (min(values), max(values))


class Item(_Definition):
    """One item: its key, response scale, content facet, and text per language (or none).

    ``key`` is the item's direction in its scale: 1 when endorsing it means more of the construct, -1 when less.
    """

    id: Identifier
    response_scale: Identifier
    key: Key = 1
    facet: Identifier | None = None
    text: Text = Field(default_factory=ReadOnlyDict)
    note: Line | None = None


# --------------------------------------------------------------------------- scales and scoring
class ScoringRule(_Definition):
    """How keyed values become a score.

    ``mean`` and ``sum`` of items; ``pomp``: percent of maximum possible, each item on its declared range, 0 to 100
    (Cohen, Cohen, Aiken and West, 1999); ``mean_of_subscales``; ``weighted``: ``constant`` plus the sum of weights
    times subscale scores, so that a subscale can be turned round where it is combined with others and nowhere else.
    ``norms`` names a norm table that turns the raw score into the reported one.
    """

    method: Literal["mean", "sum", "pomp", "mean_of_subscales", "weighted"] = "mean"
    weights: Annotated[dict[Identifier, Number], Field(max_length=200), AfterValidator(ReadOnlyDict)] = Field(
        default_factory=ReadOnlyDict
    )
    constant: Number = 0.0
    norms: Identifier | None = None
    decimals: Annotated[int, Field(strict=True, ge=0, le=10)] | None = None


class MissingRule(_Definition):
    """When a score is given although answers are missing.

    ``min_valid``: at least that many valid answers (of subscales, for a scale of subscales). ``min_share``: at least
    that share of the items that were administered and applicable, so that planned gaps and "not applicable" do not
    count against a person. Neither: every item. ``prorate`` completes a sum from the answered items (mean times number
    of items; biased when items differ, Mazza, Enders and Ruehlman, 2015); ``round_prorated`` rounds it to a whole
    number.
    """

    min_valid: Annotated[int, Field(strict=True, ge=1, le=5000)] | None = None
    min_share: Annotated[float, Field(strict=True, gt=0, le=1)] | None = None
    prorate: StrictBool = False
    round_prorated: StrictBool = False

    def needed(self, n_components: int) -> int:
        """Valid answers needed when all ``n_components`` are administered and applicable."""
        if self.min_valid is not None:
            return self.min_valid
        if self.min_share is not None:
            return max(1, math.ceil(self.min_share * n_components - 1e-9))
        return n_components

    def in_words(self, n_components: int) -> str:
        """The rule as a phrase."""
        if self.min_share is not None:
            return f"at least {self.min_share:.0%} of the applicable items answered"
        return f"at least {self.needed(n_components)} of {n_components} answered"


class Scale(_Definition):
    """A score: its items or subscales, how they are scored, and the levels at which the score may be used."""

    id: Identifier
    title: Text = Field(default_factory=ReadOnlyDict)
    definition: Line | None = None
    items: Annotated[tuple[Identifier, ...], Field(max_length=2000)] = ()
    subscales: Annotated[tuple[Identifier, ...], Field(max_length=200)] = ()
    levels: Annotated[tuple[Level, ...], Field(min_length=1, max_length=4)] = ("student",)
    scoring: ScoringRule = Field(default_factory=ScoringRule)
    missing: MissingRule = Field(default_factory=MissingRule)
    published_metric: Line | None = None

    @property
    def components(self) -> tuple[str, ...]:
        """The items, or the subscales."""
        return self.items or self.subscales


class Norms(_Definition):
    """A dated, versioned norm: mean and standard deviation (T = 50 + 10 z), or a lookup table from raw to reported."""

    id: Identifier
    kind: Literal["t_score", "lookup"]
    population: Line
    date: Date
    version: Line
    source: Line
    mean: Number | None = None
    sd: Annotated[float, Field(strict=True, gt=0, le=1e9)] | None = None
    table: Annotated[tuple[tuple[Number, Number], ...], Field(max_length=5000)] = ()


# --------------------------------------------------------------------------- about the instrument
class Licence(_Definition):
    """Who may use it, and whether its wording may ship with software."""

    id: Literal["public_domain", "cc_by", "free_noncommercial", "permission_required", "proprietary", "unknown"]
    wording: Literal["included", "not_included", "user_supplied"] = "not_included"
    name: Line | None = None
    holder: Line | None = None
    note: Line | None = None


class PublishedFigure(_Definition):
    """A published number with the sample and source it comes from."""

    coefficient: Line
    value: Number
    sample: Line
    source: Line
    scale: Identifier | None = None
    level: Level = "student"
    n: Annotated[int, Field(strict=True, ge=1)] | None = None


class Blueprint(_Definition):
    """What the test author meant: construct, content facets, intended use, what it must not be used for."""

    definition: Line
    facets: Annotated[dict[Identifier, Line], Field(max_length=500), AfterValidator(ReadOnlyDict)] = Field(
        default_factory=ReadOnlyDict
    )
    intended_use: Annotated[tuple[Line, ...], Field(max_length=100)] = ()
    not_for: Annotated[tuple[Line, ...], Field(max_length=100)] = ()
    administration: Annotated[tuple[Line, ...], Field(max_length=100)] = ()


class Instrument(_Definition):
    """A typed, versioned, licensed instrument. Build one with ``load_instrument``; files are TOML or JSON.

    Examples
    --------
    >>> from relmeasure.instruments import load_instrument
    >>> instrument = load_instrument("relationship-student")
    >>> instrument.scale("care").levels
    ('student', 'class', 'teacher')
    """

    schema_version: SchemaVersion
    id: InstrumentId
    version: Version
    status: Literal["draft", "piloted", "field_tested"]
    kind: Literal["original", "structure_only"]
    title: Title
    description: Line | None = None
    family: Identifier | None = None
    form: Line | None = None
    reporter: Literal["student", "teacher", "observer", "parent", "staff"]
    target: Literal["teacher", "class", "student", "school", "lesson", "self"]
    grades: Annotated[tuple[Line, ...], Field(max_length=30)] = ()
    languages: Annotated[tuple[LanguageCode, ...], Field(max_length=100)] = ()
    licence: Licence
    citation: Line
    blueprint: Blueprint | None = None
    response_scales: Annotated[
        dict[Identifier, ResponseScale], Field(min_length=1, max_length=100), AfterValidator(ReadOnlyDict)
    ]
    items: Annotated[tuple[Item, ...], Field(min_length=1, max_length=2000)]
    scales: Annotated[tuple[Scale, ...], Field(max_length=500)] = ()
    shared_items: Annotated[tuple[Identifier, ...], Field(max_length=2000)] = ()
    norms: Annotated[tuple[Norms, ...], Field(max_length=200)] = ()
    published_figures: Annotated[tuple[PublishedFigure, ...], Field(max_length=2000)] = ()

    # ----- access
    @property
    def item_ids(self) -> tuple[str, ...]:
        """Ids of all items, in order."""
        return tuple(item.id for item in self.items)

    @property
    def scale_ids(self) -> tuple[str, ...]:
        """Ids of all scales, in order."""
        return tuple(scale.id for scale in self.scales)

    @property
    def label(self) -> str:
        """``id@version``, as it stands in provenance."""
        return f"{self.id}@{self.version}"

    @cached_property
    def _items_by_id(self) -> dict[str, Item]:
        return {item.id: item for item in self.items}

    @cached_property
    def _scales_by_id(self) -> dict[str, Scale]:
        return {scale.id: scale for scale in self.scales}

    def item(self, item_id: str) -> Item:
        """Return one item; KeyError with a hint if there is none."""
        return _entry(self._items_by_id, item_id, f"instrument '{self.id}' has no item")

    def scale(self, scale_id: str) -> Scale:
        """Return one scale; KeyError with a hint if there is none."""
        return _entry(self._scales_by_id, scale_id, f"instrument '{self.id}' has no scale")

    def response_scale(self, item_id: str) -> ResponseScale:
        """Return the response scale of an item."""
        return self.response_scales[self.item(item_id).response_scale]

    def scale_items(self, scale_id: str) -> tuple[str, ...]:
        """Ids of the items under a scale, through its subscales."""
        scale = self.scale(scale_id)
        if scale.items:
            return scale.items
        return tuple(dict.fromkeys(item for sub in scale.subscales for item in self.scale_items(sub)))

    def scored_items(self) -> tuple[str, ...]:
        """Ids of the items that some scale uses, in instrument order."""
        used = {item for scale in self.scales for item in scale.items}
        return tuple(item for item in self.item_ids if item in used)

    def keyed_values(self, item_id: str) -> dict[int, float]:
        """Stored code to keyed value of an item: endorsement, reflected within the declared range when ``key = -1``.

        Empty for open answers and for numeric ranges; for a range see ``is_reflected``.
        """
        endorsement = self.response_scale(item_id).endorsement
        if self.item(item_id).key == 1 or not endorsement:
            return endorsement
        low, high = min(endorsement.values()), max(endorsement.values())
        return {code: low + high - value for code, value in endorsement.items()}

    def is_reflected(self, item_id: str) -> bool:
        """Whether scoring turns the stored answers of an item round: by its key or by its direction, but not by both.

        On a numeric range the keyed value is ``minimum + maximum - number`` if so, else the number itself.
        """
        return (self.item(item_id).key == -1) != (self.response_scale(item_id).direction == "descending")

    def scale_range(self, scale_id: str) -> tuple[float, float]:
        """Lowest and highest raw score that a scale can take, before norms: what its cut-offs and norms must fit."""
        scale = self.scale(scale_id)
        method, weights = scale.scoring.method, scale.scoring.weights
        if method == "pomp":
            return (0.0, 100.0)
        if method == "weighted":
            ends = [sorted(weights[sub] * end for end in self.scale_range(sub)) for sub in scale.subscales]
            constant = scale.scoring.constant
            return (constant + sum(end[0] for end in ends), constant + sum(end[1] for end in ends))
        if method == "mean_of_subscales":
            parts = [self.scale_range(sub) for sub in scale.subscales]
        else:
            parts = [self.response_scale(item).score_range for item in scale.items]
        lows, highs = [low for low, _ in parts], [high for _, high in parts]
        if method == "sum":
            return (sum(lows), sum(highs))
        return (sum(lows) / len(lows), sum(highs) / len(highs))

    def with_text(self, text: Mapping[str, Mapping[str, str]]) -> Self:
        """Return a copy with wording supplied by a licensed user: ``{"item_id": {"en": "..."}}``.

        Texts in other languages stay. The licence of the copy says ``wording = "user_supplied"``.

        Raises
        ------
        InstrumentValidationError
            If an item is unknown, a language code or a text is not one; every problem is listed.
        """
        added: Any = text
        if not isinstance(added, Mapping):
            raise self._error([f"with_text takes a table of items and their texts; seen {seen(added)}."])
        unknown = [str(item) for item in added if item not in self._items_by_id]
        if unknown:
            raise self._error([_no_such("with_text: there is no item", item, self.item_ids) for item in unknown[:20]])
        merged = {i: {**self.item(i).text, **v} if isinstance(v, Mapping) else v for i, v in added.items()}
        items = [{**dict(i), "text": merged.get(i.id, i.text)} for i in self.items]
        codes = [code for texts in added.values() if isinstance(texts, Mapping) for code in texts]
        languages = dict.fromkeys((*self.languages, *codes))
        licence = self.licence.model_copy(update={"wording": "user_supplied"})
        return self.model_copy(update={"items": items, "languages": tuple(languages), "licence": licence})

    def __repr__(self) -> str:
        return f"Instrument('{self.label}': {len(self.items)} items, {len(self.scales)} scales, {self.status})"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return instrument_html(self)

    # ----- validation
    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = list(islice(problems_of(self), MAX_PROBLEMS))
        if problems:
            raise self._error(problems)
        return self

    def _error(self, problems: list[str]) -> InstrumentValidationError:
        return InstrumentValidationError.from_problems(f"instrument '{self.id}'", problems)


# --------------------------------------------------------------------------- helpers
E = TypeVar("E")


def _entry(entries: Mapping[str, E], wanted: str, complaint: str) -> E:
    try:
        return entries[wanted]
    except (KeyError, TypeError):
        raise KeyError(_no_such(complaint, str(wanted), entries)) from None


def _no_such(complaint: str, wanted: str, known: Iterable[str]) -> str:
    return f"{complaint} {seen(wanted)}.{did_you_mean(wanted[:100], known)}"
