"""Instruments of which only the structure ships: no wording, keys as read at the source, figures with a source.

The keys stand here a second time, as they are printed at the source, so that a slip in a file shows.
"""

from __future__ import annotations

import math
import re
from collections import Counter

import pytest

from relmeasure.instruments import Instrument, list_instruments, load_instrument
from tests.support import ROOT

STRUCTURE = [info.id for info in list_instruments() if info.kind == "structure_only" and info.source == "relmeasure"]
LEFT_OUT = ROOT / "docs" / "instruments" / "left-out.md"


def numbers(items: tuple[str, ...]) -> list[int]:
    """Item numbers at the end of ids."""
    return [int(found[0]) for item in items if (found := re.findall(r"(\d+)$", item))]


def turned(instrument: Instrument) -> list[str]:
    """Items whose lowest code is worth most."""
    tables = {item: instrument.keyed_values(item) for item in instrument.item_ids}
    return [item for item, keyed in tables.items() if keyed and keyed[min(keyed)] > keyed[max(keyed)]]


# --------------------------------------------------------------------------- all of them
def test_the_list() -> None:
    """What ships, with the number of items; a new one needs a line here."""
    assert {name: len(load_instrument(name).items) for name in STRUCTURE} == {
        "cbi": 19,
        "evsd": 20,
        "gti-student": 85,
        "impact": 16,
        "my-teacher": 6,
        "olbi-agree-high": 16,
        "olbi-agree-low": 16,
        "pisa2022-relatst": 8,
        "qti": 8,
        "timss2015-extra-flanders-germany": 10,
        "timss2015-extra-norway": 14,
        "tses-long": 24,
        "tses-short": 12,
    }


@pytest.mark.parametrize("name", STRUCTURE)
def test_no_wording_ships(name: str) -> None:
    """No text of an item, no words above items, and the licence says so."""
    made = load_instrument(name)
    assert made.licence.wording == "not_included"
    assert not any(item.text for item in made.items)
    assert not any(scale.prompt for scale in made.response_scales.values())
    assert made.status == "field_tested"


@pytest.mark.parametrize("name", STRUCTURE)
def test_what_it_is_not_for_is_said(name: str) -> None:
    """Definition, intended use and misuse stand in every file, and who holds the rights or that it is unknown."""
    made = load_instrument(name)
    assert made.blueprint is not None
    assert made.blueprint.intended_use
    assert any("decisions about a single" in line for line in made.blueprint.not_for) or name == "pisa2022-relatst"
    assert made.blueprint.administration
    assert made.licence.note
    assert made.licence.holder or made.licence.id == "unknown"


@pytest.mark.parametrize("name", STRUCTURE)
def test_figures_have_a_source(name: str) -> None:
    """A public address, a sample and a scale for every figure."""
    for figure in load_instrument(name).published_figures:
        assert re.match(r"https?://", figure.source), figure
        assert figure.sample
        assert figure.scale is not None


def test_figures_are_counted() -> None:
    """Only instruments whose figures were read at a source have any."""
    counted = {name: len(load_instrument(name).published_figures) for name in STRUCTURE}
    assert {name: n for name, n in counted.items() if n} == {
        "impact": 6,
        "my-teacher": 84,
        "qti": 8,
        "tses-long": 12,
        "tses-short": 12,
    }


@pytest.mark.parametrize("name", STRUCTURE)
def test_options_are_agreement_categories_not_items(name: str) -> None:
    """Labels of options are short and general; an item hidden among them would be long."""
    for scale in load_instrument(name).response_scales.values():
        for option in scale.options:
            assert all(len(label.split()) <= 5 for label in option.labels.values())


# --------------------------------------------------------------------------- teachers' efficacy
TSES = {
    "tses-long": {
        "engagement": [1, 2, 4, 6, 9, 12, 14, 22],
        "instruction": [7, 10, 11, 17, 18, 20, 23, 24],
        "management": [3, 5, 8, 13, 15, 16, 19, 21],
    },
    "tses-short": {"engagement": [2, 4, 7, 11], "instruction": [5, 9, 10, 12], "management": [1, 3, 6, 8]},
}
TSES_FIGURES = {
    "tses-long": {
        "total": (7.1, 0.94, 0.94),
        "engagement": (7.3, 1.1, 0.87),
        "instruction": (7.3, 1.1, 0.91),
        "management": (6.7, 1.1, 0.90),
    },
    "tses-short": {
        "total": (7.1, 0.98, 0.90),
        "engagement": (7.2, 1.2, 0.81),
        "instruction": (7.3, 1.2, 0.86),
        "management": (6.7, 1.2, 0.86),
    },
}


@pytest.mark.parametrize("name", list(TSES))
def test_efficacy(name: str) -> None:
    """The key of the authors' sheet: every item in one group, nothing turned round, nine points."""
    made = load_instrument(name)
    for scale, items in TSES[name].items():
        assert numbers(made.scale(scale).items) == items
        assert made.scale_range(scale) == (1.0, 9.0)
    assert sorted(item for items in TSES[name].values() for item in items) == list(range(1, len(made.items) + 1))
    assert turned(made) == []
    found = {(f.scale, f.coefficient): f.value for f in made.published_figures}
    for scale, (mean, sd, alpha) in TSES_FIGURES[name].items():
        assert (found[scale, "mean"], found[scale, "sd"], found[scale, "alpha"]) == (mean, sd, alpha)


# --------------------------------------------------------------------------- burnout
def test_oldenburg_key_follows_the_way_of_storing() -> None:
    """Turned round where 1 = strongly agree: 2, 3, 4, 6, 8, 9, 11, 12. Where it is 4: the other eight."""
    low, high = load_instrument("olbi-agree-low"), load_instrument("olbi-agree-high")
    assert numbers(tuple(turned(low))) == [2, 3, 4, 6, 8, 9, 11, 12]
    assert numbers(tuple(turned(high))) == [1, 5, 7, 10, 13, 14, 15, 16]
    for item in low.item_ids:
        assert all(low.keyed_values(item)[5 - code] == high.keyed_values(item)[code] for code in (1, 2, 3, 4))
    for made in (low, high):
        assert numbers(made.scale("disengagement").items) == [1, 3, 6, 7, 9, 11, 13, 15]
        assert numbers(made.scale("exhaustion").items) == [2, 4, 5, 8, 10, 12, 14, 16]
        assert made.scale_range("exhaustion") == (8.0, 32.0)
        assert made.scale_range("burnout") == (16.0, 64.0)
    first = {
        name: load_instrument(name).response_scales["agreement4"].options[0].labels["en"] for name in (low.id, high.id)
    }
    assert first == {"olbi-agree-low": "Strongly agree", "olbi-agree-high": "Strongly disagree"}


def test_copenhagen_mixes_two_sets_of_answers() -> None:
    """Frequency and degree within a part, both worth 0 to 100; one reversed question; 3, 4 and 3 answers needed."""
    made = load_instrument("cbi")
    sets = {scale.id: Counter(made.item(item).response_scale for item in scale.items) for scale in made.scales}
    assert sets == {
        "personal_burnout": {"frequency": 6},
        "work_burnout": {"degree": 3, "frequency": 4},
        "client_burnout": {"degree": 4, "frequency": 2},
    }
    assert turned(made) == ["work_7"]
    assert made.item_ids.index("work_7") + 1 == 13
    assert {scale.id: scale.missing.min_valid for scale in made.scales} == {
        "personal_burnout": 3,
        "work_burnout": 4,
        "client_burnout": 3,
    }
    for scale in made.response_scales.values():
        assert sorted(scale.endorsement.values()) == [0, 25, 50, 75, 100]
        assert scale.options[0].labels["en"] in {"Never/almost never", "To a very low degree"}


# --------------------------------------------------------------------------- engagement
def test_disaffection_is_turned_round_in_the_composite_only() -> None:
    """Four scales of five; none of their items is turned; the composite counts disaffection against."""
    made = load_instrument("evsd")
    assert numbers(made.scale("behavioural_engagement").items) == [1, 2, 3, 4, 5]
    assert numbers(made.scale("behavioural_disaffection").items) == [6, 7, 8, 9, 10]
    assert numbers(made.scale("emotional_engagement").items) == [11, 12, 13, 14, 15]
    assert numbers(made.scale("emotional_disaffection").items) == [16, 17, 18, 19, 20]
    assert turned(made) == []
    both = made.scale("engagement_versus_disaffection").scoring
    signs = {part: math.copysign(1, weight) for part, weight in both.weights.items()}
    assert {part for part, sign in signs.items() if sign < 0} == {"behavioural_disaffection", "emotional_disaffection"}
    assert made.scale_range("engagement_versus_disaffection") == (1.0, 4.0)


# --------------------------------------------------------------------------- students on teachers
def test_pisa_relationship() -> None:
    """Items 4 and 8 turned round; empty cells are planned; the raw mean is not the index, nor for a class."""
    made = load_instrument("pisa2022-relatst")
    assert turned(made) == ["ST267Q04JA", "ST267Q08JA"]
    assert made.response_scales["agreement4"].null_reason == "not_administered"
    scale = made.scale("relationship")
    assert scale.published_metric is not None
    assert "WLE" in scale.published_metric
    assert scale.levels == ("student", "school")


def test_impact() -> None:
    """0 to 3 scored 0, 0, 1, 2; three items may be not applicable; the last is open and in no scale."""
    made = load_instrument("impact")
    for item in made.scale("teaching_quality").items:
        assert made.keyed_values(item) == {0: 0.0, 1: 0.0, 2: 1.0, 3: 2.0}
    waived = [item for item in made.item_ids if "not_applicable" in made.response_scale(item).missing_codes.values()]
    assert numbers(tuple(waived)) == [6, 8, 11]
    assert numbers(made.scale("teaching_quality").items) == list(range(1, 16))
    assert made.response_scale("impact_16").kind == "open"
    assert [f.value for f in made.published_figures] == [0.895, 1.0, 0.368, 0.275, 0.423, 0.411]


OCTANTS = ("DC", "CD", "CS", "SC", "SO", "OS", "OD", "DO")
INFLUENCE = (0.92, 0.38, -0.38, -0.92, -0.92, -0.38, 0.38, 0.92)
PROXIMITY = (0.38, 0.92, 0.92, 0.38, -0.38, -0.92, -0.92, -0.38)


def test_circumplex() -> None:
    """Weights are sines and cosines of a circle of eight: the printed ones to two decimals, orthogonal, of equal length."""
    made = load_instrument("qti")
    assert made.item_ids == OCTANTS
    influence, proximity = (list(made.scale(axis).scoring.weights.values()) for axis in ("influence", "proximity"))
    assert [round(w, 2) for w in influence] == list(INFLUENCE)
    assert [round(w, 2) for w in proximity] == list(PROXIMITY)
    assert sum(a * b for a, b in zip(influence, proximity, strict=True)) == pytest.approx(0, abs=1e-11)
    for weights in (influence, proximity):
        assert sum(w * w for w in weights) == pytest.approx(4, abs=1e-10)
        assert sum(weights) == pytest.approx(0, abs=1e-11)  # the same answer everywhere is the centre
    order = [made.scale(part).items[0] for part in made.scale("influence").subscales]
    assert order == list(OCTANTS)


def test_reliabilities_by_country() -> None:
    """Alpha and omega of six domains in seven rows; the extremes named at the source."""
    made = load_instrument("my-teacher")
    found = {(f.sample, f.scale, f.coefficient): f.value for f in made.published_figures}
    assert len(found) == 84
    assert {sample for sample, _, _ in found} == {
        "all countries", "Netherlands", "Indonesia", "South Korea", "South Africa", "Spain", "Turkey",
    }  # fmt: skip
    assert min(found, key=found.__getitem__) == ("Spain", "differentiation", "alpha")
    assert max(found, key=found.__getitem__) == ("South Korea", "activating_teaching", "omega")
    assert found["all countries", "learning_climate", "alpha"] == 0.782
    assert found["all countries", "learning_strategies", "omega"] == 0.854


def test_timss_extra_items_bear_the_same_names_for_different_items() -> None:
    """Five items on disorder in both; the climate items differ in number and in kind of answer."""
    south, north = load_instrument("timss2015-extra-flanders-germany"), load_instrument("timss2015-extra-norway")
    for made, n, answers in ((south, 5, "agreement4"), (north, 9, "frequency4")):
        assert made.scale("disorder").items == tuple(f"CM{k}" for k in range(1, 6))
        assert made.scale("supportive_climate").items == tuple(f"SC{k}" for k in range(1, n + 1))
        assert made.item("SC1").response_scale == answers
        assert all(scale.published_metric for scale in made.scales)


# --------------------------------------------------------------------------- what was left out
def test_left_out_says_why() -> None:
    """Every row of the page has a reason, and names nothing that ships."""
    rows = [line for line in LEFT_OUT.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert len(cells) > 30
    assert all(len(row) == 3 and all(row) for row in cells)
    titles = [load_instrument(name).title["en"] for name in STRUCTURE]
    short = {found[0] for title in titles if (found := re.findall(r"\(([A-Z]{3,})\)", title))}
    assert not [row[0] for row in cells if row[0].split(" ")[0] in short]
