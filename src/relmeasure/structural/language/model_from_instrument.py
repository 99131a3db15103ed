"""From an instrument to a model: scales become factors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

from relmeasure.exceptions import ModelError, OptionError
from relmeasure.structural.language.syntax import Formula, Model, Modifier

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument, Scale

__all__ = ["Structure", "instrument_scales", "model_from_instrument"]

Structure = Literal["correlated", "single", "higher-order", "bifactor"]
"""How the factors of an instrument hang together."""

GENERAL = "general"
"""Name of the factor behind all items."""


def instrument_scales(instrument: Instrument, scales: Sequence[str] | None = None) -> tuple[Scale, ...]:
    """Return the scales with items of their own: all, or those named and those below them."""
    if scales is None:
        return tuple(scale for scale in instrument.scales if scale.items)
    wanted: dict[str, Scale] = {}
    todo = [scales] if isinstance(scales, str) else list(scales)
    for name in todo:
        if name not in instrument.scale_ids:
            raise OptionError.from_value("scales", name, instrument.scale_ids)
        scale = instrument.scale(name)
        if scale.items:
            wanted.setdefault(name, scale)
        todo += [sub for sub in scale.subscales if sub not in todo]
    return tuple(wanted.values())


def model_from_instrument(
    instrument: Instrument, structure: Structure = "correlated", scales: Sequence[str] | None = None
) -> Model:
    """Return the model of an instrument.

    Parameters
    ----------
    instrument : Instrument
    structure : {"correlated", "single", "higher-order", "bifactor"}
        One factor a scale, free to covary; one factor for all items; a factor behind the factors; a factor for all
        items beside uncorrelated ones for the scales.
    scales : sequence of str, optional
        Default: all scales with items.

    Raises
    ------
    ModelError
        No scale has items, or too few scales for the structure.

    Examples
    --------
    >>> import relmeasure as rm
    >>> model = model_from_instrument(rm.load_instrument("relationship-student"), "single", ["care"])
    >>> sorted({f.lhs for f in model.formulas}), len(model.formulas)
    (['general'], 6)
    """
    if structure not in get_args(Structure):
        raise OptionError.from_value("structure", structure, get_args(Structure))
    found = instrument_scales(instrument, scales)
    if not found:
        raise ModelError(f"{instrument.id} has no scale with items: write a model string.", instrument=instrument.id)
    items = tuple(dict.fromkeys(item for scale in found for item in scale.items))
    if GENERAL in {*items, *(scale.id for scale in found)} and structure != "correlated":
        raise ModelError(
            f"'{GENERAL}' is the name of the common factor, and a scale or an item has it: write a string."
        )
    loadings = [(scale.id, item) for scale in found for item in scale.items]
    if structure == "single":
        pairs = [(GENERAL, item) for item in items]
    elif structure == "higher-order":
        _enough(found, 3, structure)
        pairs = [*loadings, *((GENERAL, scale.id) for scale in found)]
    elif structure == "bifactor":
        _enough(found, 2, structure)
        pairs = [*((GENERAL, item) for item in items), *loadings]
    else:
        pairs = loadings
    formulas = tuple(Formula(lhs, "=~", rhs, Modifier(), 1, 1) for lhs, rhs in pairs)
    text = "\n".join(f"{lhs} =~ {' + '.join(r for first, r in pairs if first == lhs)}" for lhs in dict(pairs))
    if structure == "bifactor":
        factors = [GENERAL, *(scale.id for scale in found)]
        zero = Modifier(fixed=(0.0,))
        formulas += tuple(Formula(a, "~~", b, zero, 1, 1) for i, a in enumerate(factors) for b in factors[i + 1 :])
    return Model(text, formulas)


def _enough(scales: Sequence[Scale], least: int, structure: str) -> None:
    if len(scales) < least:
        raise ModelError(
            f"structure='{structure}' needs at least {least} scales with items; there are {len(scales)}. "
            "Use 'correlated' or 'single'.",
            n_scales=len(scales),
        )
