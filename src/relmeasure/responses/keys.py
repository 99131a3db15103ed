"""Declared keys against the data: which items run against their scale. Nothing is ever turned round here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from relmeasure.exceptions import KeyDirectionWarning, RelmeasureWarning, shorten
from relmeasure.instruments.catalog import require_instrument
from relmeasure.instruments.definition import Instrument
from relmeasure.responses.binding import UnknownCodes
from relmeasure.responses.intake import scale_moments
from relmeasure.results import FloatArray, Note, Result, Table, announce

if TYPE_CHECKING:
    from relmeasure.samplestats.moments import Moments

__all__ = ["KeyCheck", "component_loadings", "item_rest_correlations", "key_check"]

OK, AGAINST, TURNED, CONSTANT = "ok", "against its key", "reversed already?", "no variance"


@dataclass(frozen=True, eq=False)
class KeyCheck(Result):
    """Declared keys and what the data say about them.

    Attributes
    ----------
    items : Table
        One row an item of a scale: ``scale``, ``item``, ``key``, ``loading`` (first principal component of the keyed
        items), ``item_rest_r`` and ``verdict`` ("ok", "against its key", "reversed already?", "no variance").
    warnings : tuple of Note
    """

    items: Table = field(default_factory=Table)
    warnings: tuple[Note, ...] = ()

    @property
    def flagged(self) -> tuple[str, ...]:
        """Items that run against their key."""
        pairs = zip(self.items["item"], self.items["verdict"], strict=True)
        return tuple(item for item, verdict in pairs if verdict in (AGAINST, TURNED))

    def _table(self) -> Table:
        return self.items


def key_check(
    instrument: Instrument,
    data: Any,
    *,
    scales: Sequence[str] | None = None,
    unknown: UnknownCodes = "raise",
) -> KeyCheck:
    """Compare the declared key of every item with the data; warn about each that runs against it, and change nothing.

    After keying, all items of a scale should point the same way. An item whose loading on the first principal component
    of the correlations and whose correlation with the rest of its scale are both negative is named. If the items of
    both directions all correlate positively *before* keying, they have probably been reversed in the file already, and
    scoring would reverse them back: this is said once for the scale.

    Parameters
    ----------
    instrument : Instrument
    data : frame, array (n, p), responses, or mapping of scale id to moments
        Moments must be those of keyed items, as ``scale_moments`` gives them. Frames are read pairwise.
    scales : sequence of str, optional
    unknown : {"raise", "missing"}
        As in ``bind``.

    Returns
    -------
    KeyCheck

    Notes
    -----
    Warning: ``KeyDirectionWarning``. Items without variance and scales of one item are left out of the comparison. Only
    the signs count: a flagged item with a correlation near zero may be unrelated, not reversed.

    Examples
    --------
    >>> import relmeasure as rm
    >>> instrument = rm.load_instrument("relationship-student")
    >>> answers = rm.simulate(instrument, n_clusters=20, cluster_size=25, rng=1)
    >>> key_check(instrument, answers).flagged  # R: psych::alpha(x, check.keys = TRUE)
    ()
    """
    require_instrument(instrument)
    if isinstance(data, Mapping):
        moments: Mapping[str, Moments] = data
        wanted = tuple(data) if scales is None else tuple(scales)
    else:
        wanted = instrument.scale_ids if scales is None else tuple(scales)
        moments = scale_moments(instrument, data, scales, missing="pairwise", unknown=unknown)
        wanted = tuple(moments)
    rows: list[dict[str, Any]] = []
    raised: list[RelmeasureWarning] = []
    for scale in wanted:
        if instrument.scale(scale).items:
            found = _Scale(instrument, scale, moments[scale])
            rows += found.rows()
            raised += found.warnings()
    names = ("scale", "item", "key", "loading", "item_rest_r", "verdict")
    return KeyCheck(Table.from_rows(rows, names), announce(raised))


class _Scale:
    """One scale: signs after keying, and whether reversed items were reversed before."""

    def __init__(self, instrument: Instrument, scale: str, moments: Moments) -> None:
        self.scale, self.names = scale, tuple(moments.names)
        self.key = np.array([instrument.item(item).key for item in self.names])
        self.cor = np.asarray(moments.cor)
        self.loading = component_loadings(self.cor, self.key)
        self.rest = item_rest_correlations(np.asarray(moments.cov))
        self.turned = self._turned()

    def _turned(self) -> bool:
        usable = np.isfinite(self.loading)
        key = self.key[usable]
        if len(set(key.tolist())) < 2:
            return False
        as_worded = (self.cor * np.outer(self.key, self.key))[np.ix_(usable, usable)]
        above = as_worded[np.triu_indices(len(key), 1)]
        return bool((above > 0).all())

    def verdict(self, i: int) -> str:
        if not np.isfinite(self.loading[i]):
            return CONSTANT
        if self.turned:
            return TURNED if self.key[i] < 0 else OK
        return AGAINST if self.loading[i] < 0 and self.rest[i] < 0 else OK

    def rows(self) -> Iterator[dict[str, Any]]:
        for i, item in enumerate(self.names):
            yield {
                "scale": self.scale,
                "item": item,
                "key": int(self.key[i]),
                "loading": float(self.loading[i]),
                "item_rest_r": float(self.rest[i]),
                "verdict": self.verdict(i),
            }

    def warnings(self) -> Iterator[RelmeasureWarning]:
        if self.turned:
            items = [item for item, key in zip(self.names, self.key, strict=True) if key < 0]
            yield KeyDirectionWarning(
                f"Scale '{self.scale}': all items correlate positively as stored, although {shorten(items)} "
                f"{'are' if len(items) != 1 else 'is'} declared reversed: they have probably been reversed in the file "
                "already, and scoring turns them back. Use the answers as given, or a definition with key = 1.",
                scale=self.scale,
                items=items,
                already_reversed=True,
            )
            return
        for i, item in enumerate(self.names):
            if self.verdict(i) == AGAINST:
                yield KeyDirectionWarning(
                    f"Item '{item}' runs against scale '{self.scale}' after keying (key = {self.key[i]}, loading "
                    f"{self.loading[i]:.2f}, item-rest correlation {self.rest[i]:.2f}): check its key, its coding and "
                    "its wording. Nothing was turned round.",
                    scale=self.scale,
                    item=item,
                    loading=float(self.loading[i]),
                    item_rest_r=float(self.rest[i]),
                )


# --------------------------------------------------------------------------- arrays
def component_loadings(cor: FloatArray, key: FloatArray) -> FloatArray:
    """Loadings on the first principal component of correlations (p, p); NaN for items without variance.

    The sign is that of most of the loadings; with as many on either side, that of the items keyed 1.
    """
    out = np.full(len(cor), np.nan)
    usable = np.isfinite(cor).sum(axis=0) > 1
    if usable.sum() < 2:
        return out
    part = np.nan_to_num(cor[np.ix_(usable, usable)])
    values, vectors = np.linalg.eigh(part)
    loading = vectors[:, -1] * np.sqrt(max(values[-1], 0.0))
    most = np.sign(loading).sum() or loading[key[usable] > 0].sum()
    out[usable] = -loading if most < 0 else loading
    return out


def item_rest_correlations(cov: FloatArray) -> FloatArray:
    """Correlations of each item with the sum of the others, from covariances (p, p); NaN where there is none."""
    filled = np.nan_to_num(cov)
    own, row = np.diag(filled), filled.sum(axis=0)
    rest = filled.sum() - 2 * row + own
    denominator = np.sqrt(np.where((own > 0) & (rest > 0), own * rest, np.nan))
    return np.asarray((row - own) / denominator)
