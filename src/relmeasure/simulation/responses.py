"""``simulate``: responses of students in classes to every item of an instrument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from relmeasure.exceptions import OptionError
from relmeasure.instruments.catalog import require_instrument
from relmeasure.simulation.items import ItemDesign, designs_of
from relmeasure.simulation.structure import (
    DEFAULT_ICC,
    Factors,
    class_sizes,
    gap_probability,
    group_of_each,
    item_residual_sd,
    require_items,
    scales_with_items,
)

if TYPE_CHECKING:
    import pandas as pd

    from relmeasure.instruments.definition import Instrument

__all__ = ["MissingMechanism", "simulate"]

Array = np.ndarray[Any, np.dtype[Any]]

MissingMechanism = Literal["mcar", "mar", "mnar"]
"""What gaps depend on: nothing, the answer to the first item, or what the student would have said."""


def simulate(
    instrument: Instrument,
    *,
    n_clusters: int = 30,
    cluster_size: int | tuple[int, int] | Sequence[int] = 25,
    icc: float | Mapping[str, float] = 0.15,
    loading: float | Mapping[str, float] = 0.7,
    between_loading: float | Mapping[str, float] = 1.0,
    factor_correlation: float = 0.6,
    waves: int | Sequence[str] = 1,
    stability: float | tuple[float, float] = (0.9, 0.7),
    change: float | Mapping[str, float] = 0.0,
    same_students: bool = True,
    groups: Mapping[str, float] | None = None,
    impact: Mapping[str, float] | None = None,
    bias: Mapping[str, Mapping[str, float]] | None = None,
    missing: float = 0.0,
    missing_mechanism: MissingMechanism = "mcar",
    careless: float = 0.0,
    dependence: Mapping[tuple[str, str], float] | None = None,
    rng: int | np.random.Generator = 0,
) -> pd.DataFrame:
    """Draw responses of students in classes to every item of an instrument.

    For student i in class j at one wave, scale s and item k of that scale::

        theta_ijs = sqrt(icc) u_js + sqrt(1 - icc) w_ijs + impact + change     factor, variance 1 within a group
        y*_ijk    = loading_k theta_ijs + v_jk + e_ijk + bias_k                latent response, variance 1
        category  = number of thresholds of item k below y*_ijk

    u and w are normal and correlate ``factor_correlation`` between scales; v (what a class adds to one item, the same
    in every wave) and e are independent. Categories run along the *keyed* direction, so a reversed item is stored
    reversed, as in real data.

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
    between_loading : float or mapping of item to float
        Standardised loading of the class part of an item on the class factor, in (0, 1]; below 1 classes differ in
        single items too. Unstandardised loadings are the same at both levels.
    factor_correlation : float
        Correlation of the factors, the same within and between classes, in [0, 1).
    waves : int or list of str
        Number of waves, or their labels; with more than one a column ``wave`` follows the ids (with labels,
        an ordered category).
    stability : float or (float, float)
        Correlation of neighbouring waves: of the class parts, and of the student parts of students who are the same.
    change : float or mapping of scale to float
        Shift of a factor from wave to wave, in its standard deviations.
    same_students : bool
        Whether the waves ask the same students (same ``student_id``) or others of the same classes.
    groups : mapping of group to float, optional
        Shares of groups of students, which add up to 1: a column ``group``.
    impact : mapping of group to float, optional
        True differences: shift of all factors of a group, in standard deviations.
    bias : mapping of group to mapping of item to float, optional
        Items that are easier for a group than its factor says: shift of the latent response, along the keyed direction.
    missing : float
        Share of answers removed.
    missing_mechanism : {"mcar", "mar", "mnar"}
        Completely at random; more often where the answer to the first item, which then has no gaps, is low; more often
        where the student's factor is low. The last two take shares up to 0.5.
    careless : float
        Share of students who give one random option of each response scale to all its items.
    dependence : mapping of (item, item) to float, optional
        Local dependence: correlation of what two items have beyond their factor, along the keyed direction, in (-1, 1);
        an item in one pair only.
    rng : int or numpy.random.Generator
        Seed or generator; the same seed gives the same data.

    Returns
    -------
    pandas.DataFrame
        ``class_id``, ``student_id``, ``wave`` and ``group`` where asked for, then one nullable column of stored codes
        an item (open answers are empty text).

    Raises
    ------
    OptionError
        A share, correlation or size outside its range, or a mapping that names no item, scale or group.

    References
    ----------
    Muthen, B. O. (1994). Sociological Methods & Research, 22, 376-398 (within and between parts).
    Rubin, D. B. (1976). Biometrika, 63, 581-592 (mechanisms).

    Examples
    --------
    >>> import relmeasure as rm
    >>> data = rm.simulate(rm.load_instrument("relationship-student"), n_clusters=3, cluster_size=5, rng=1)
    >>> data.shape[0], data.columns[:2].tolist()
    (15, ['class_id', 'student_id'])
    """
    plan = _Plan(
        require_instrument(instrument),
        icc,
        loading,
        between_loading,
        impact or {},
        bias or {},
        missing,
        missing_mechanism,
        careless,
        dict(dependence or {}),
    )
    _check(plan, factor_correlation, groups)
    labels, moves = _waves(waves), _stability(stability)
    shift = _by_scale("change", change, instrument)
    generator = np.random.default_rng(rng)
    sizes = class_sizes(n_clusters, cluster_size, generator)
    cluster = np.repeat(np.arange(n_clusters), sizes)
    designs = designs_of(instrument, loading)
    require_items(instrument, designs)
    scales = scales_with_items(instrument)
    factors = Factors(scales, cluster, icc, factor_correlation, generator)
    (aside,) = generator.spawn(1)  # what is not always needed does not move what is
    member = group_of_each(groups, len(cluster), aside)
    residual = aside.standard_normal((len(designs), n_clusters))
    parts = []
    for number, label in enumerate(labels):
        if number:
            factors.move(moves, same_students=same_students)
            member = member if same_students else group_of_each(groups, len(cluster), aside)
        theta = factors.theta + plan.shift_of(member) + number * shift
        answers = plan.answers(designs, theta, cluster, member, residual, generator)
        first = 0 if same_students else number * len(cluster)
        parts.append(
            _ids(cluster, first, len(cluster) * (1 if same_students else len(labels)), label, member) | answers
        )
    frame = _frame(instrument, parts)
    return frame if isinstance(waves, int) else _with_order(frame, waves)


@dataclass(frozen=True)
class _Plan:
    """What each wave is drawn by."""

    instrument: Instrument
    icc: float | Mapping[str, float]
    loading: float | Mapping[str, float]
    between_loading: float | Mapping[str, float]
    impact: Mapping[str, float]
    bias: Mapping[str, Mapping[str, float]]
    missing: float
    mechanism: MissingMechanism
    careless: float
    dependence: Mapping[tuple[str, str], float]

    def shift_of(self, member: Array | None) -> float | Array:
        """True difference of each student's group."""
        if member is None or not self.impact:
            return 0.0
        return np.asarray([[self.impact.get(str(group), 0.0)] for group in member])

    def answers(
        self,
        designs: Sequence[ItemDesign],
        theta: Array,
        cluster: Array,
        member: Array | None,
        residual: Array,
        generator: np.random.Generator,
    ) -> dict[str, Any]:
        """One wave of stored answers to every item."""
        inattentive = generator.random(len(cluster)) < self.careless
        fixed_choice = generator.random((len(cluster), len(self.instrument.response_scales)))
        scale_index = {name: k for k, name in enumerate(self.instrument.response_scales)}
        columns: dict[str, Any] = {}
        first: Array = np.zeros(len(cluster))
        partner = _partners(self.dependence)
        noises: dict[str, Array] = {}
        for k, design in enumerate(designs):
            noise = generator.standard_normal(len(cluster))
            if design.item in partner:
                other, r = partner[design.item]
                noise = r * noises[other] + np.sqrt(1 - r**2) * noise if other in noises else noise
                noises[design.item] = noise
            own = self._class_part(design)
            latent = design.loading * theta[:, design.factor] + np.sqrt(1 - design.loading**2 - own**2) * noise
            latent = latent + own * residual[k][cluster] + self._bias(design.item, member)
            values = np.where(
                inattentive,
                design.stored_choice(fixed_choice[:, scale_index[design.response_scale]]),
                design.answers(latent),
            )
            first = self._keyed(design, values) if k == 0 else first
            chance = gap_probability(self.missing, self.mechanism, first, theta[:, design.factor])
            gaps = generator.random(len(cluster)) < chance
            columns[design.item] = _with_gaps(values, gaps & (k > 0 or self.mechanism != "mar"))
        return columns

    def _class_part(self, design: ItemDesign) -> float:
        wanted = self.between_loading
        between = float(wanted.get(design.item, 1.0)) if isinstance(wanted, Mapping) else float(wanted)
        if between == 1.0 or design.loading == 0:
            return 0.0
        scales = scales_with_items(self.instrument)
        icc = self.icc.get(scales[design.factor], DEFAULT_ICC) if isinstance(self.icc, Mapping) else self.icc
        return item_residual_sd(design.item, design.loading, float(icc), between)

    def _bias(self, item: str, member: Array | None) -> float | Array:
        if member is None or not any(item in items for items in self.bias.values()):
            return 0.0
        return np.array([self.bias.get(str(group), {}).get(item, 0.0) for group in member])

    def _keyed(self, design: ItemDesign, values: Array) -> Array:
        table = dict(zip(design.codes.tolist(), design.keyed.tolist(), strict=True))
        if not table:
            low, high = design.limits
            return np.asarray(values if low < high else -values, dtype=float)
        return np.array([table[code] for code in values.tolist()])


def _partners(dependence: Mapping[tuple[str, str], float]) -> dict[str, tuple[str, float]]:
    """The other item of each item in a pair, and their correlation."""
    return {mine: (other, r) for pair, r in dependence.items() for mine, other in (pair, pair[::-1])}


# --------------------------------------------------------------------------- frame
def _ids(cluster: Array, first: int, total: int, label: str | None, member: Array | None) -> dict[str, Any]:
    student = np.arange(len(cluster)) + 1 + first
    columns: dict[str, Any] = {
        "class_id": _labels("class-", cluster + 1, int(cluster.max()) + 1),
        "student_id": _labels("student-", student, total),
    }
    if label is not None:
        columns["wave"] = np.full(len(cluster), label)
    if member is not None:
        columns["group"] = member
    return columns


def _labels(prefix: str, numbers: Array, largest: int) -> Array:
    """Text ids of equal width, so that they sort as the numbers do."""
    return np.char.add(prefix, np.char.zfill(numbers.astype(str), len(str(largest))))


def _with_gaps(answers: Array, gap: Array) -> Any:
    import pandas as pd

    values = pd.array(answers.astype(np.int64), dtype="Int64")
    values[gap] = pd.NA
    return values


def _frame(instrument: Instrument, parts: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    frames = []
    for columns in parts:
        ordered = {name: columns[name] for name in ("class_id", "student_id", "wave", "group") if name in columns}
        n = len(columns["class_id"])
        for item in instrument.item_ids:
            ordered[item] = columns[item] if item in columns else pd.array([pd.NA] * n, dtype="string")
        frames.append(pd.DataFrame(ordered))
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def _with_order(frame: pd.DataFrame, waves: Sequence[str]) -> pd.DataFrame:
    """Names of waves do not say which comes first: an ordered category does."""
    import pandas as pd

    return frame.assign(wave=pd.Categorical(frame["wave"], [str(label) for label in waves], ordered=True))


# --------------------------------------------------------------------------- arguments
def _waves(waves: int | Sequence[str]) -> list[str | None]:
    if isinstance(waves, int):
        if waves < 1:
            raise OptionError(f"waves={waves}: at least one wave is needed.")
        return [None] if waves == 1 else [str(k + 1) for k in range(waves)]
    labels = [str(label) for label in waves]
    if isinstance(waves, str) or not labels or len(set(labels)) != len(labels):
        raise OptionError(f"waves={waves!r}: give a number, or a list of different labels.")
    return list(labels)


def _stability(stability: float | tuple[float, float]) -> tuple[float, float]:
    pair = (stability, stability) if isinstance(stability, (int, float)) else tuple(stability)
    if len(pair) != 2 or not all(-1 <= value <= 1 for value in pair):
        raise OptionError(f"stability={stability!r}: give one or two correlations, of classes and of students.")
    return float(pair[0]), float(pair[1])


def _by_scale(argument: str, values: float | Mapping[str, float], instrument: Instrument) -> Array:
    scales = scales_with_items(instrument)
    if not isinstance(values, Mapping):
        return np.full(max(len(scales), 1), float(values))
    _check_names(argument, values, scales)
    return np.array([float(values.get(scale, 0.0)) for scale in scales] or [0.0])


def _check(plan: _Plan, factor_correlation: float, groups: Mapping[str, float] | None) -> None:
    _check_shares(icc=plan.icc, loading=plan.loading, factor_correlation=factor_correlation)
    _check_shares(missing=plan.missing, careless=plan.careless)
    for name, values in (("loading", plan.loading), ("between_loading", plan.between_loading)):
        _check_names(name, values, plan.instrument.item_ids)
    _check_names("icc", plan.icc, plan.instrument.scale_ids)
    between = plan.between_loading
    for number in between.values() if isinstance(between, Mapping) else [between]:
        if not 0 < number <= 1:
            raise OptionError(f"between_loading={number}: a number above 0 and up to 1 is needed.")
    if plan.mechanism not in get_args(MissingMechanism):
        raise OptionError.from_value("missing_mechanism", plan.mechanism, get_args(MissingMechanism))
    if plan.mechanism != "mcar" and plan.missing > 0.5:
        raise OptionError(f"missing={plan.missing}: with missing_mechanism='{plan.mechanism}' up to 0.5.")
    for name, shifts in (("impact", plan.impact), ("bias", plan.bias)):
        _check_names(name, shifts, list(groups or {}))
    for items in plan.bias.values():
        _check_names("bias", items, plan.instrument.item_ids)
    _check_dependence(plan.dependence, plan.instrument.item_ids)


def _check_dependence(dependence: Mapping[tuple[str, str], float], items: Sequence[str]) -> None:
    seen: set[str] = set()
    for pair, r in dependence.items():
        if len(set(pair)) != 2 or seen & set(pair) or not -1 < r < 1:
            raise OptionError(
                f"dependence: {pair!r} with {r}: two different items, each in one pair only, and a correlation between "
                "-1 and 1 are needed."
            )
        _check_names("dependence", dict.fromkeys(pair), items)
        seen |= set(pair)


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
