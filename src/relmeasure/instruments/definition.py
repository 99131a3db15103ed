"""What an instrument is: items, response scales, scales, scoring, missing rules, norms, licence, published figures.

Every model is frozen and refuses unknown keys. Data files hold *codes* (what was stored); scoring works on *keyed values*:

1. a code is mapped to its *endorsement*, higher meaning more of what the wording says: the option's explicit ``score``
   where given, else the code itself (``direction = "ascending"``) or its reflection ``min + max - code``
   (``"descending"``: TIMSS, PISA 2012 and OLBI store "strongly agree" as 1);
2. an item with ``key = -1`` is reflected once more, within the *declared* range of its response scale, never the observed.

The two steps are one table per item (``Instrument.keyed_values``), so that nothing can be reversed twice.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

from relmeasure.exceptions import InstrumentValidationError, did_you_mean, shorten

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

Level = Literal["student", "class", "teacher", "school"]
"""Where a score may be used."""

MissingReason = Literal["skipped", "not_applicable", "not_administered", "invalid"]
"""Why there is no answer: left out; does not apply; not asked by design; answered, but not usable."""

Identifier = Annotated[str, Field(strict=True, min_length=1, max_length=80, pattern=r"^[A-Za-z][A-Za-z0-9_.\-]*$")]
LanguageCode = Annotated[str, Field(strict=True, pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
Line = Annotated[str, Field(strict=True, min_length=1, max_length=4000)]
Text = dict[LanguageCode, Line]
Number = Annotated[float, Field(allow_inf_nan=False)]


class _Definition(BaseModel):
    """Frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


# --------------------------------------------------------------------------- response scales and items
class Option(_Definition):
    """One response option: the stored code, what it is worth, and its labels."""

    value: StrictInt
    score: Number | None = None
    labels: Text = Field(default_factory=dict)


class MissingCode(_Definition):
    """A stored code that is not an answer, and why."""

    code: StrictInt
    reason: MissingReason
    labels: Text = Field(default_factory=dict)


class Collapse(_Definition):
    """Codes that are scored as one, declared so that it is recorded (Impact! joins its two lowest categories)."""

    codes: Annotated[tuple[StrictInt, ...], Field(min_length=1, max_length=100)]
    to: StrictInt
    reason: Line


class ResponseScale(_Definition):
    """Ordered response options, or a numeric range, with the direction stored explicitly.

    ``direction`` is ``"ascending"`` when a higher *code* means more (of agreement, frequency, truth ...), and
    ``"descending"`` when a lower code does. ``null_reason`` says what an empty cell means.
    """

    kind: Literal[
        "agreement", "frequency", "truth", "degree", "efficacy", "quality", "dichotomous", "range", "open"
    ]
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
        """Smallest and largest endorsement, as declared."""
        if self.kind == "range":
            return (self.minimum or 0.0, self.maximum if self.maximum is not None else 100.0)
        values = self.endorsement.values()
        return (min(values), max(values))

    def problems(self, where: str) -> Iterable[str]:
        """Contradictions in this response scale, each with its fix."""
        if self.kind == "open":
            if self.options or self.missing:
                yield f"{where}: an open answer has no options: remove options and missing codes."
            return
        if self.kind == "range":
            if self.options:
                yield f"{where}: a range has minimum and maximum, no options: remove the options or change kind."
            if self.minimum is None or self.maximum is None or self.minimum >= self.maximum:
                yield f"{where}: a range needs minimum < maximum; seen {self.minimum} and {self.maximum}."
            return
        if len(self.options) < 2:
            yield f"{where}: at least 2 options are needed; seen {len(self.options)}."
        if self.kind == "dichotomous" and len(self.options) != 2:
            yield f"{where}: a dichotomous scale has 2 options; seen {len(self.options)}."
        yield from _twice(self.codes, f"{where}: option value", "give each option its own value")
        missing = [m.code for m in self.missing]
        yield from _twice(missing, f"{where}: missing code", "declare each missing code once")
        for code in sorted(set(missing) & set(self.codes)):
            yield f"{where}: code {code} is both an answer and a missing code: remove one of them."
        if list(self.codes) != sorted(self.codes):
            yield f"{where}: options must be listed by rising value; seen {shorten(self.codes)}."
        scores = [o.score for o in self.options if o.score is not None]
        if scores and len(scores) != len(self.options):
            yield f"{where}: {len(scores)} of {len(self.options)} options have a score: give all of them one, or none."
        elif scores and not _monotone(scores):
            yield f"{where}: option scores {shorten(scores)} neither rise nor fall all the way: correct them."
        elif scores and (scores[0] < scores[-1]) != (self.direction == "ascending"):
            yield f"{where}: option scores {shorten(scores)} contradict direction = '{self.direction}'."
        for c in self.collapse:
            for code in (*c.codes, c.to):
                if code not in self.codes:
                    yield f"{where}: collapse names code {code}, which is not an option ({shorten(self.codes)})."


class Item(_Definition):
    """One item: its key, response scale, content facet, and text per language (or none).

    ``key`` is the item's direction relative to its scale: 1 when endorsing it means more of the construct, -1 when less.
    """

    id: Identifier
    response_scale: Identifier
    key: Literal[1, -1] = 1
    facet: Identifier | None = None
    text: Text = Field(default_factory=dict)
    note: Line | None = None


# --------------------------------------------------------------------------- scales and scoring
class ScoringRule(_Definition):
    """How keyed values become a score.

    ``mean`` and ``sum`` of items; ``pomp``: percent of maximum possible, each item on its declared range, 0 to 100
    (Cohen, Cohen, Aiken and West, 1999); ``mean_of_subscales``; ``weighted``: sum of weights times subscale scores.
    ``norms`` names a norm table that turns the raw score into the reported one.
    """

    method: Literal["mean", "sum", "pomp", "mean_of_subscales", "weighted"] = "mean"
    weights: dict[Identifier, Number] = Field(default_factory=dict)
    norms: Identifier | None = None
    decimals: Annotated[int, Field(strict=True, ge=0, le=10)] | None = None


class MissingRule(_Definition):
    """When a score is given although answers are missing.

    ``min_valid``: at least that many valid answers (of subscales, for a scale of subscales). ``min_share``: at least that
    share of the items that were administered and applicable, so that planned gaps and "not applicable" do not count
    against a person. Neither: every item. ``prorate`` completes a sum from the answered items (mean times number of
    items; biased when items differ, Mazza, Enders and Ruehlman, 2015); ``round_prorated`` rounds it to a whole number.
    """

    min_valid: Annotated[int, Field(strict=True, ge=1, le=5000)] | None = None
    min_share: Annotated[float, Field(gt=0, le=1)] | None = None
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
    title: Text = Field(default_factory=dict)
    definition: Line | None = None
    items: Annotated[tuple[Identifier, ...], Field(max_length=2000)] = ()
    subscales: Annotated[tuple[Identifier, ...], Field(max_length=200)] = ()
    levels: Annotated[tuple[Level, ...], Field(min_length=1)] = ("student",)
    scoring: ScoringRule = Field(default_factory=ScoringRule)
    missing: MissingRule = Field(default_factory=MissingRule)
    published_metric: Line | None = None

    @property
    def components(self) -> tuple[str, ...]:
        """The items, or the subscales."""
        return self.items or self.subscales

    def problems(self, where: str) -> Iterable[str]:
        """Contradictions within this scale, each with its fix."""
        if bool(self.items) == bool(self.subscales):
            yield f"{where}: a scale has either items or subscales; give one of the two."
            return
        n, rule, method = len(self.components), self.missing, self.scoring.method
        yield from _twice(self.components, f"{where}: component", "name each item or subscale once")
        if (method in {"mean_of_subscales", "weighted"}) != bool(self.subscales):
            kind = "subscales" if self.subscales else "items"
            yield f"{where}: scoring method '{method}' does not go with {kind}: change the method or the components."
        if method == "weighted":
            if set(self.scoring.weights) != set(self.subscales):
                yield (
                    f"{where}: weights are given for {shorten(self.scoring.weights) or 'nothing'}, "
                    f"but the subscales are {shorten(self.subscales)}: give one weight a subscale."
                )
            if rule.needed(n) != n:
                yield f"{where}: a weighted composite needs all its subscales: remove the missing rule."
        elif self.scoring.weights:
            yield f"{where}: weights go with method = 'weighted'; the method is '{method}'."
        if rule.min_valid is not None and rule.min_share is not None:
            yield f"{where}: min_valid and min_share are both given: keep one."
        if rule.min_valid is not None and rule.min_valid > n:
            yield f"{where}: min_valid = {rule.min_valid}, but there are only {n} components."
        if method == "sum" and rule.needed(n) < n and not rule.prorate:
            yield (
                f"{where}: a sum with missing answers and prorate = false would count a gap as zero: "
                "set prorate = true, or require every item."
            )
        if rule.prorate and method != "sum":
            yield f"{where}: prorate applies to a sum; a {method} needs none: remove it."
        if rule.round_prorated and not rule.prorate:
            yield f"{where}: round_prorated goes with prorate = true."


class Norms(_Definition):
    """A dated, versioned norm: mean and standard deviation (T = 50 + 10 z), or a lookup table from raw to reported."""

    id: Identifier
    kind: Literal["t_score", "lookup"]
    population: Line
    date: Annotated[str, Field(strict=True, pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$")]
    version: Line
    source: Line
    mean: Number | None = None
    sd: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    table: Annotated[tuple[tuple[Number, Number], ...], Field(max_length=5000)] = ()

    def problems(self, where: str) -> Iterable[str]:
        """Contradictions in this norm, each with its fix."""
        if self.kind == "t_score":
            if self.mean is None or self.sd is None:
                yield f"{where}: a T-score norm needs mean and sd."
            if self.table:
                yield f"{where}: a T-score norm has no table: remove it, or set kind = 'lookup'."
            return
        if self.mean is not None or self.sd is not None:
            yield f"{where}: a lookup norm has a table, no mean or sd: remove them, or set kind = 't_score'."
        if len(self.table) < 2:
            yield f"{where}: a lookup norm needs at least 2 rows; seen {len(self.table)}."
        raw = [row[0] for row in self.table]
        for low, high in zip(raw, raw[1:], strict=False):
            if high <= low:
                yield f"{where}: raw scores must rise from row to row; {high:g} follows {low:g}."
        reported = [row[1] for row in self.table]
        if not _monotone(reported, strictly=False):
            steps = zip(self.table, self.table[1:], strict=False)
            rising = reported[-1] >= reported[0]
            bad = [b for a, b in steps if (b[1] < a[1]) == rising and a[1] != b[1]]
            yield (
                f"{where}: the table is not monotone at raw {shorten(f'{b[0]:g} -> {b[1]:g}' for b in bad)}: "
                "check these rows against the source."
            )


# --------------------------------------------------------------------------- about the instrument
class Licence(_Definition):
    """Who may use it, and whether its wording may ship with software."""

    id: Literal[
        "public_domain", "cc_by", "free_noncommercial", "permission_required", "proprietary", "unknown"
    ]
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
    facets: dict[Identifier, Line] = Field(default_factory=dict)
    intended_use: tuple[Line, ...] = ()
    not_for: tuple[Line, ...] = ()
    administration: tuple[Line, ...] = ()


class Instrument(_Definition):
    """A typed, versioned, licensed instrument. Build one with ``load_instrument``; files are TOML or JSON.

    Examples
    --------
    >>> from relmeasure import load_instrument
    >>> instrument = load_instrument("relationship-student")
    >>> instrument.scale("care").levels
    ('student', 'class', 'teacher')
    """

    schema_version: Literal[1]
    id: Annotated[str, Field(strict=True, pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=80)]
    version: Annotated[str, Field(strict=True, pattern=r"^\d+\.\d+(\.\d+)?([a-z0-9.\-+]*)$", max_length=40)]
    status: Literal["draft", "piloted", "field_tested"]
    kind: Literal["original", "structure_only"]
    title: Annotated[Text, Field(min_length=1)]
    description: Line | None = None
    family: Identifier | None = None
    form: Line | None = None
    reporter: Literal["student", "teacher", "observer", "parent", "staff"]
    target: Literal["teacher", "class", "student", "school", "lesson", "self"]
    grades: tuple[StrictStr, ...] = ()
    languages: tuple[LanguageCode, ...] = ()
    licence: Licence
    citation: Line
    blueprint: Blueprint | None = None
    response_scales: Annotated[dict[Identifier, ResponseScale], Field(min_length=1, max_length=100)]
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

    def item(self, item_id: str) -> Item:
        """Return one item; KeyError with a hint if there is none."""
        return _by_id(self.items, item_id, f"instrument '{self.id}' has no item")

    def scale(self, scale_id: str) -> Scale:
        """Return one scale; KeyError with a hint if there is none."""
        return _by_id(self.scales, scale_id, f"instrument '{self.id}' has no scale")

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

        Empty for items on a numeric range, where the keyed value is the number itself or ``minimum + maximum - number``.
        """
        endorsement = self.response_scale(item_id).endorsement
        if self.item(item_id).key == 1 or not endorsement:
            return endorsement
        low, high = min(endorsement.values()), max(endorsement.values())
        return {code: low + high - value for code, value in endorsement.items()}

    def with_text(self, text: Mapping[str, Mapping[str, str]]) -> Self:
        """Return a copy with wording supplied by a licensed user: ``{"item_id": {"en": "..."}}``.

        Existing texts in other languages stay. The licence then says ``wording = "user_supplied"``.
        """
        unknown = [item for item in text if item not in self.item_ids]
        if unknown:
            hint = did_you_mean(unknown[0], self.item_ids)
            raise InstrumentValidationError.from_problems(
                f"instrument '{self.id}'", [f"with_text names items it does not have: {shorten(unknown)}.{hint}"]
            )
        payload = self.model_dump(mode="json")
        for item in payload["items"]:
            item["text"] |= dict(text.get(item["id"], {}))
        languages = [*self.languages, *(code for texts in text.values() for code in texts)]
        payload["languages"] = list(dict.fromkeys(languages))
        payload["licence"]["wording"] = "user_supplied"
        return type(self).model_validate(payload)

    # ----- validation
    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = list(self._problems())
        if problems:
            raise InstrumentValidationError.from_problems(f"instrument '{self.id}'", problems)
        return self

    def _problems(self) -> Iterable[str]:
        yield from _twice(self.item_ids, "items: id", "item ids must be unique")
        yield from _twice(self.scale_ids, "scales: id", "scale ids must be unique")
        yield from _twice([n.id for n in self.norms], "norms: id", "norm ids must be unique")
        for name, response_scale in self.response_scales.items():
            yield from response_scale.problems(f"response_scales.{name}")
        for norm in self.norms:
            yield from norm.problems(f"norms.{norm.id}")
        yield from self._item_problems()
        broken = False
        for scale in self.scales:
            for problem in (*scale.problems(f"scales.{scale.id}"), *self._reference_problems(scale)):
                broken = True
                yield problem
        yield from self._membership_problems()
        if not broken:
            yield from self._hierarchy_problems()
        yield from self._figure_problems()

    def _item_problems(self) -> Iterable[str]:
        facets = self.blueprint.facets if self.blueprint else {}
        for item in self.items:
            where = f"items.{item.id}"
            if item.response_scale not in self.response_scales:
                hint = did_you_mean(item.response_scale, self.response_scales)
                yield f"{where}: response_scale '{item.response_scale}' is not declared.{hint}"
            if item.facet is not None and item.facet not in facets:
                hint = did_you_mean(item.facet, facets)
                yield f"{where}: facet '{item.facet}' is not declared in blueprint.facets.{hint}"
            if item.text and self.licence.wording == "not_included":
                yield f"{where}: has wording, but licence.wording = 'not_included': remove the text, or license it."
            for language in item.text:
                if language not in self.languages:
                    yield f"{where}: text in '{language}', which is not in languages ({shorten(self.languages)})."
        allowed = {"public_domain", "cc_by", "free_noncommercial"}
        if self.licence.wording == "included" and self.licence.id not in allowed:
            yield f"licence: wording is included, but a '{self.licence.id}' licence does not let it ship."

    def _reference_problems(self, scale: Scale) -> Iterable[str]:
        where = f"scales.{scale.id}"
        for item in scale.items:
            if item not in self.item_ids:
                yield f"{where}: item '{item}' is not declared.{did_you_mean(item, self.item_ids)}"
            elif (used := self.response_scales.get(self.item(item).response_scale)) and used.kind == "open":
                yield f"{where}: item '{item}' is an open answer and cannot be scored: take it out of the scale."
        for sub in scale.subscales:
            if sub not in self.scale_ids:
                yield f"{where}: subscale '{sub}' is not declared.{did_you_mean(sub, self.scale_ids)}"
        norm_ids = [norm.id for norm in self.norms]
        if scale.scoring.norms is not None and scale.scoring.norms not in norm_ids:
            yield f"{where}: norms '{scale.scoring.norms}' are not declared.{did_you_mean(scale.scoring.norms, norm_ids)}"

    def _membership_problems(self) -> Iterable[str]:
        homes: dict[str, list[str]] = {}
        for scale in self.scales:
            for item in dict.fromkeys(scale.items):
                homes.setdefault(item, []).append(scale.id)
        for item, scales in homes.items():
            if len(scales) > 1 and item not in self.shared_items:
                yield (
                    f"items.{item}: is in {len(scales)} scales ({shorten(scales)}): take it out of all but one, "
                    "or name it in shared_items if that is meant."
                )
        for item in self.shared_items:
            if len(homes.get(item, ())) < 2:
                yield f"shared_items: '{item}' is not in two scales: remove it from shared_items."

    def _hierarchy_problems(self) -> Iterable[str]:
        parents = {scale.id: scale.subscales for scale in self.scales}
        for scale in self.scales:
            if _reaches(scale.id, scale.id, parents):
                yield f"scales.{scale.id}: is a subscale of itself through {shorten(scale.subscales)}."
                return
        for scale in self.scales:
            where = f"scales.{scale.id}"
            for sub in scale.subscales:
                wrong = [level for level in scale.levels if level not in self.scale(sub).levels]
                if wrong:
                    yield f"{where}: is for level {shorten(wrong)}, but its subscale '{sub}' is not: remove the level."
            ranges = {self.response_scale(item).score_range for item in scale.items}
            if len(ranges) > 1 and scale.scoring.method != "pomp":
                seen = shorten(f"{low:g}-{high:g}" for low, high in sorted(ranges))
                yield f"{where}: its items run over different ranges ({seen}): use method = 'pomp', or give option scores."

    def _figure_problems(self) -> Iterable[str]:
        for number, figure in enumerate(self.published_figures):
            where = f"published_figures[{number}]"
            if figure.scale is not None and figure.scale not in self.scale_ids:
                yield f"{where}: scale '{figure.scale}' is not declared.{did_you_mean(figure.scale, self.scale_ids)}"


# --------------------------------------------------------------------------- helpers
def _by_id(entries: Iterable[Any], wanted: str, complaint: str) -> Any:
    known = []
    for entry in entries:
        if entry.id == wanted:
            return entry
        known.append(entry.id)
    raise KeyError(f"{complaint} '{wanted}'.{did_you_mean(wanted, known)}")


def _twice(values: Iterable[Any], what: str, fix: str) -> Iterable[str]:
    for value, count in Counter(values).items():
        if count > 1:
            yield f"{what} '{value}' is given {count} times: {fix}."


def _monotone(values: list[float], *, strictly: bool = True) -> bool:
    steps = [b - a for a, b in zip(values, values[1:], strict=False)]
    if strictly:
        return all(s > 0 for s in steps) or all(s < 0 for s in steps)
    return all(s >= 0 for s in steps) or all(s <= 0 for s in steps)


def _reaches(start: str, goal: str, parents: Mapping[str, tuple[str, ...]]) -> bool:
    seen: set[str] = set()
    todo = list(parents.get(start, ()))
    while todo:
        current = todo.pop()
        if current == goal:
            return True
        if current not in seen:
            seen.add(current)
            todo.extend(parents.get(current, ()))
    return False
