"""Responses drawn from an instrument with a known nested structure: students in classes.

The model, for student i in class j, scale s and item k of that scale::

    theta_ijs = sqrt(icc) u_js + sqrt(1 - icc) w_ijs              factor, variance 1
    y*_ijk    = loading_k theta_ijs + sqrt(1 - loading_k^2) e_ijk  latent response, variance 1
    category  = number of thresholds of item k below y*_ijk

u and w are normal and correlate ``factor_correlation`` between scales, e is independent. Categories run along the
*keyed* direction, so a reversed item is stored reversed, as in real data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from relmeasure.exceptions import OptionError, TooFewItemsError
from relmeasure.results import Table

if TYPE_CHECKING:
    import pandas as pd

    from relmeasure.instruments.definition import Instrument

__all__ = ["population_alpha", "simulate"]

Array = np.ndarray[Any, np.dtype[Any]]

_LOWEST_THRESHOLD, _HIGHEST_THRESHOLD = -1.5, 1.0
"""Thresholds of an item are spread between these: ratings lean to the positive side, as students' do."""

_ITEM_SPREAD = 0.3
"""Thresholds of the items of a scale are shifted by up to this much, so that items differ in difficulty."""


def simulate(
    instrument: Instrument,
    *,
    n_clusters: int = 30,
    cluster_size: int | tuple[int, int] | Sequence[int] = 25,
    icc: float | Mapping[str, float] = 0.15,
    loading: float | Mapping[str, float] = 0.7,
    factor_correlation: float = 0.6,
    missing: float = 0.0,
    careless: float = 0.0,
    rng: int | np.random.Generator = 0,
) -> pd.DataFrame:
    """Draw responses of students in classes to every item of an instrument.

    Parameters
    ----------
    instrument : Instrument
        Its scales become factors; an item in several scales follows the first of them; an item in none is noise.
    n_clusters : int
        Number of classes.
    cluster_size : int, (int, int) or list of int
        Students a class: fixed, drawn uniformly between the two bounds of a tuple (inclusive), or one number a class.
    icc : float or mapping of scale to float
        Share of the *factor's* variance that lies between classes, in [0, 1).
    loading : float or mapping of item to float
        Standardised loading of the latent response on its factor, in [0, 1).
    factor_correlation : float
        Correlation of the factors, the same within and between classes, in [0, 1).
    missing : float
        Share of answers removed completely at random.
    careless : float
        Share of students who give one random option of each response scale to all its items.
    rng : int or numpy.random.Generator
        Seed or generator; the same seed gives the same data.

    Returns
    -------
    pandas.DataFrame
        ``class_id``, ``student_id``, then one nullable column of stored codes an item (open answers are empty text).

    Raises
    ------
    OptionError
        A share, correlation or size outside its range, or a mapping that names no item or scale.

    Examples
    --------
    >>> import relmeasure as rm
    >>> data = rm.simulate(rm.load_instrument("relationship-student"), n_clusters=3, cluster_size=5, rng=1)
    >>> data.shape[0], data.columns[:2].tolist()
    (15, ['class_id', 'student_id'])
    """
    _check_shares(icc=icc, loading=loading, factor_correlation=factor_correlation, missing=missing, careless=careless)
    _check_names("loading", loading, instrument.item_ids)
    _check_names("icc", icc, instrument.scale_ids)
    generator = np.random.default_rng(rng)
    sizes = _sizes(n_clusters, cluster_size, generator)
    cluster = np.repeat(np.arange(n_clusters), sizes)
    designs = _designs(instrument, loading)
    theta = _factors(instrument, designs, cluster, icc, factor_correlation, generator)
    columns: dict[str, Any] = {
        "class_id": _labels("class-", cluster + 1),
        "student_id": _labels("student-", np.arange(len(cluster)) + 1),
    }
    inattentive = generator.random(len(cluster)) < careless
    fixed_choice = generator.random((len(cluster), len(instrument.response_scales)))
    scale_index = {name: k for k, name in enumerate(instrument.response_scales)}
    for design in designs:
        noise = generator.standard_normal(len(cluster))
        latent = design.loading * theta[:, design.factor] + np.sqrt(1 - design.loading**2) * noise
        answers = design.answers(latent)
        choice = fixed_choice[:, scale_index[design.response_scale]]
        answers = np.where(inattentive, design.stored_choice(choice), answers)
        columns[design.item] = _with_gaps(answers, generator.random(len(cluster)) < missing)
    return _frame(instrument, columns)


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
    by_item = {design.item: design for design in _designs(instrument, loading)}
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
class _ItemDesign:
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


def _designs(instrument: Instrument, loading: float | Mapping[str, float]) -> list[_ItemDesign]:
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
            _ItemDesign(
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


# --------------------------------------------------------------------------- structure
def _factors(
    instrument: Instrument,
    designs: Sequence[_ItemDesign],
    cluster: Array,
    icc: float | Mapping[str, float],
    correlation: float,
    generator: np.random.Generator,
) -> Array:
    scales = [scale.id for scale in instrument.scales if scale.items]
    if not designs:
        raise TooFewItemsError(f"Instrument '{instrument.id}' has no items with response options to simulate.")
    m = max(len(scales), 1)
    share = np.array([icc.get(s, 0.15) if isinstance(icc, Mapping) else icc for s in scales] or [0.0])
    root = np.linalg.cholesky(np.full((m, m), correlation) + (1 - correlation) * np.eye(m))
    between = generator.standard_normal((int(cluster.max()) + 1, m)) @ root.T
    within = generator.standard_normal((len(cluster), m)) @ root.T
    return np.asarray(np.sqrt(share) * between[cluster] + np.sqrt(1 - share) * within)


def _sizes(
    n_clusters: int, cluster_size: int | tuple[int, int] | Sequence[int], generator: np.random.Generator
) -> Array:
    if n_clusters < 1:
        raise OptionError(f"n_clusters={n_clusters}: at least one class is needed.")
    if isinstance(cluster_size, int):
        sizes = np.full(n_clusters, cluster_size)
    elif isinstance(cluster_size, tuple) and len(cluster_size) == 2:
        sizes = generator.integers(cluster_size[0], cluster_size[1], n_clusters, endpoint=True)
    else:
        sizes = np.asarray(cluster_size)
    if len(sizes) != n_clusters or (sizes < 1).any():
        raise OptionError(
            f"cluster_size={cluster_size!r}: give a positive size, two bounds, or one size a class ({n_clusters})."
        )
    return np.asarray(sizes, dtype=np.int64)


def _labels(prefix: str, numbers: Array) -> Array:
    """Text ids of equal width, so that they sort as the numbers do."""
    return np.char.add(prefix, np.char.zfill(numbers.astype(str), len(str(numbers.max()))))


def _with_gaps(answers: Array, gap: Array) -> Any:
    import pandas as pd

    values = pd.array(answers.astype(np.int64), dtype="Int64")
    values[gap] = pd.NA
    return values


def _frame(instrument: Instrument, columns: Mapping[str, Any]) -> pd.DataFrame:
    import pandas as pd

    n = len(columns["class_id"])
    ordered = {name: columns[name] for name in ("class_id", "student_id")}
    for item in instrument.item_ids:
        ordered[item] = columns[item] if item in columns else pd.array([pd.NA] * n, dtype="string")
    return pd.DataFrame(ordered)


# --------------------------------------------------------------------------- arguments
def _check_shares(**shares: float | Mapping[str, float]) -> None:
    for name, value in shares.items():
        top_closed = name in {"missing", "careless"}
        for number in value.values() if isinstance(value, Mapping) else [value]:
            if not (0 <= number < 1 or (top_closed and number == 1)):
                raise OptionError(f"{name}={number}: a number from 0 to {'1' if top_closed else 'below 1'} is needed.")


def _check_names(argument: str, values: object, known: Sequence[str]) -> None:
    for name in values if isinstance(values, Mapping) else ():
        if name not in known:
            raise OptionError.from_value(argument, name, known)
