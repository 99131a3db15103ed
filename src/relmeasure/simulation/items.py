"""How one item turns a latent response into a stored answer, and what that does to alpha in the population."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from relmeasure.instruments.catalog import require_instrument
from relmeasure.results import Table

if TYPE_CHECKING:
    from relmeasure.instruments.definition import Instrument

__all__ = ["ItemDesign", "designs_of", "population_alpha"]

Array = np.ndarray[Any, np.dtype[Any]]

_LOWEST_THRESHOLD, _HIGHEST_THRESHOLD = -1.5, 1.0
"""Thresholds of an item are spread between these: ratings lean to the positive side, as students' do."""

_ITEM_SPREAD = 0.3
"""Thresholds of the items of a scale are shifted by up to this much, so that items differ in difficulty."""


def population_alpha(instrument: Instrument, *, loading: float | Mapping[str, float] = 0.7) -> Table:
    """Alpha of each scale in the population that ``simulate`` draws from, by numerical integration.

    Given the factor, answers are independent, so the covariance of two keyed items is the covariance of their expected
    values over the factor; both are integrated by Gauss-Hermite quadrature (61 nodes). Rating categories make this
    lower than the reliability of the latent responses.

    Parameters
    ----------
    instrument : Instrument
        Scales with at least two items are reported.
    loading : float or mapping of item to float
        As in ``simulate``.

    Returns
    -------
    Table
        ``scale``, ``n_items``, ``alpha``.

    Examples
    --------
    >>> import relmeasure as rm
    >>> from relmeasure.simulation import population_alpha
    >>> table = population_alpha(rm.load_instrument("relationship-student"), loading=0.0)
    >>> table["alpha"][0]
    0.0
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(61)
    weights = weights / weights.sum()
    by_item = {design.item: design for design in designs_of(instrument, loading)}
    rows = []
    for scale in instrument.scales:
        designs = [by_item[item] for item in scale.items]
        if len(designs) < 2:
            continue
        moments = [design.conditional_moments(nodes) for design in designs]
        expected = np.array([first for first, _ in moments])
        second = np.array([square for _, square in moments])
        centered = expected - (expected @ weights)[:, None]
        cov = (centered * weights) @ centered.T
        np.fill_diagonal(cov, second @ weights - (expected @ weights) ** 2)
        p = len(designs)
        alpha = p / (p - 1) * (1 - np.trace(cov) / cov.sum())
        rows.append({"scale": scale.id, "n_items": p, "alpha": round(float(alpha), 12) + 0.0})
    return Table.from_rows(rows, ["scale", "n_items", "alpha"])


# --------------------------------------------------------------------------- one item
@dataclass(frozen=True)
class ItemDesign:
    """How one item turns a latent response into a stored answer."""

    item: str
    response_scale: str
    factor: int
    loading: float
    thresholds: Array  # (categories - 1,), empty for a numeric range
    codes: Array  # (categories,), stored codes in rising keyed order
    keyed: Array  # (categories,), their keyed values
    limits: tuple[float, float]  # stored values at the lowest and highest keyed end of a numeric range

    def answers(self, latent: Array) -> Array:
        """Stored answers to latent responses."""
        if len(self.codes) == 0:
            from scipy.special import ndtr

            low, high = self.limits
            return np.asarray(np.round(low + (high - low) * ndtr(latent)))
        return np.asarray(self.codes[np.searchsorted(self.thresholds, latent)])

    def stored_choice(self, uniform: Array) -> Array:
        """The same option, by position in the stored order, for every item of a response scale."""
        if len(self.codes) == 0:
            low, high = sorted(self.limits)
            return np.asarray(np.round(low + (high - low) * uniform))
        stored = np.sort(self.codes)
        return np.asarray(stored[(uniform * len(stored)).astype(int)])

    def conditional_moments(self, theta: Array) -> tuple[Array, Array]:
        """Mean and mean square of the keyed answer, given the factor."""
        from scipy.special import ndtr

        spread = np.sqrt(1 - self.loading**2)
        if len(self.codes) == 0:
            grid, weight = np.polynomial.hermite_e.hermegauss(61)
            low, high = sorted(self.limits)
            value = low + (high - low) * ndtr(self.loading * theta[:, None] + spread * grid)
            weight = weight / weight.sum()
            return value @ weight, value**2 @ weight
        above = ndtr((self.loading * theta[:, None] - self.thresholds) / spread)
        ones, zeros = np.ones((len(theta), 1)), np.zeros((len(theta), 1))
        probability = np.hstack([ones, above]) - np.hstack([above, zeros])
        return probability @ self.keyed, probability @ self.keyed**2


def designs_of(instrument: Instrument, loading: float | Mapping[str, float]) -> list[ItemDesign]:
    """How every item with response options is answered."""
    require_instrument(instrument)
    home = {item: scale for scale in reversed(instrument.scales) for item in scale.items}
    factors = [scale.id for scale in instrument.scales if scale.items]
    designs = []
    for item in instrument.items:
        response_scale = instrument.response_scales[item.response_scale]
        if response_scale.kind == "open":
            continue
        scale = home.get(item.id)
        members = scale.items if scale else (item.id,)
        place = members.index(item.id) / (len(members) - 1) if len(members) > 1 else 0.5
        keyed = instrument.keyed_values(item.id)
        order = sorted(keyed, key=keyed.__getitem__)
        low, high = response_scale.score_range
        upward = not instrument.is_reflected(item.id)
        designs.append(
            ItemDesign(
                item=item.id,
                response_scale=item.response_scale,
                factor=factors.index(scale.id) if scale else 0,
                loading=_item_loading(item.id, loading) if scale else 0.0,
                thresholds=np.linspace(_LOWEST_THRESHOLD, _HIGHEST_THRESHOLD, max(len(order) - 1, 1))[: len(order) - 1]
                + _ITEM_SPREAD * (2 * place - 1),
                codes=np.array(order, dtype=np.int64),
                keyed=np.array([keyed[code] for code in order]),
                limits=(low, high) if upward else (high, low),
            )
        )
    return designs


def _item_loading(item: str, loading: float | Mapping[str, float]) -> float:
    return float(loading.get(item, 0.7)) if isinstance(loading, Mapping) else float(loading)
