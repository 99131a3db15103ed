"""The competing models of an instrument, fitted to the same moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from relmeasure.exceptions import TooFewItemsError, UnsupportedDataError
from relmeasure.instruments.definition import Instrument
from relmeasure.structural.fitted.fit import StructuralFit
from relmeasure.structural.language.model_from_instrument import Structure, model_from_instrument
from relmeasure.structural.language.roles import roles_of
from relmeasure.structural.language.specification import build_table
from relmeasure.structural.language.syntax import Formula, Model, Modifier
from relmeasure.structural.reading import Reading, is_statistic, open_rows, read_incomplete, read_rows, read_statistic
from relmeasure.structural.running import Call, fit_table

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Scale

__all__ = ["candidate_models", "fit_all", "reversed_items"]

METHOD = "reversed_items"
"""Name of the factor behind reversed items."""

_LEAST: tuple[tuple[Structure, int], ...] = (("correlated", 2), ("higher-order", 3), ("bifactor", 2))
"""Structures with the number of scales that they need."""


def reversed_items(instrument: Instrument, scales: Sequence[Scale]) -> tuple[str, ...]:
    """Return the items that are keyed against the others."""
    items = dict.fromkeys(item for scale in scales for item in scale.items)
    if len(items) < 4:
        raise TooFewItemsError(
            f"{len(items)} items cannot tell one thing from several: four are the least.", n_items=len(items)
        )
    return tuple(item for item in items if instrument.item(item).key == -1)


def candidate_models(
    instrument: Instrument, names: Sequence[str] | None, scales: Sequence[Scale], turned: tuple[str, ...]
) -> tuple[dict[str, Model], dict[str, str]]:
    """Return the models that can be written, and why the others cannot."""
    models = {"single": model_from_instrument(instrument, "single", names)}
    absent: dict[str, str] = {}
    several = len(scales) >= 2
    for structure, least in _LEAST:
        if len(scales) >= least:
            models[structure] = model_from_instrument(instrument, structure, names)
        else:
            absent[structure] = f"needs {least} scales, and there is {len(scales)}" + ("s" if len(scales) > 1 else "")
    base = models["correlated"] if several else models["single"]
    n_items = len({f.rhs for f in models["single"].formulas})
    if len(turned) >= 2 and len(turned) < n_items:
        models["method factor"] = _with_method(base, turned)
    else:
        text = "all items are" if len(turned) == n_items else f"{len(turned)} item{'s' if len(turned) != 1 else ''}"
        absent["method factor"] = f"needs two or more reversed items beside others; {text} reversed"
    return models, absent


def _with_method(model: Model, turned: tuple[str, ...]) -> Model:
    """Add a factor of the reversed items, uncorrelated with the others; with two of them their loadings are equal."""
    factors = dict.fromkeys(f.lhs for f in model.formulas)
    label = Modifier(label=("method_loading",)) if len(turned) == 2 else Modifier()
    loadings = tuple(Formula(METHOD, "=~", item, label, 1, 1) for item in turned)
    zero = tuple(Formula(factor, "~~", METHOD, Modifier(fixed=(0.0,)), 1, 1) for factor in factors)
    return Model(f"{model.text}\n{METHOD} =~ {' + '.join(turned)}", (*model.formulas, *loadings, *zero))


def fit_all(call: Call, models: dict[str, Model]) -> tuple[Reading, dict[str, StructuralFit]]:
    """Read the data once, and fit every model to the same moments."""
    method = call.read_method()
    names = roles_of(models["single"].formulas).observed
    request = call.request(names)
    if is_statistic(call.data):
        if method.robust:
            raise UnsupportedDataError(
                f"estimator={call.estimator!r} needs the rows, and moments were handed in: use 'ML'.",
                estimator=call.estimator,
            )
        reading = read_statistic(call.data, request, means=False)
    else:
        rows = open_rows(call.data, request)
        reading = read_incomplete(rows, ()) if method.discrepancy == "FIML" else read_rows(rows)
    fits: dict[str, StructuralFit] = {}
    once = reading
    for name, model in models.items():
        table = replace(build_table(model, call.options(("",))), observed=names)
        fits[name] = fit_table(table, once, method, call)
        once = replace(once, warnings=[], sample=replace(once.sample, notes=()))
    return reading, fits
