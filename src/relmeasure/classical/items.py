"""Item analysis: how each item is answered, and how it goes with the others."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.classical.coefficient_alpha import AlphaEstimate, alpha_from_prepared
from relmeasure.classical.distribution import Answers, ItemDistribution, read_answers
from relmeasure.classical.ordinal import ordinal_from_polychoric
from relmeasure.classical.preparation import finish, prepare
from relmeasure.exceptions import CategoriesAssumedWarning, OptionError, RelmeasureWarning, did_you_mean, shorten
from relmeasure.responses.ordinal import polychoric
from relmeasure.results import Estimate, Note, Result, Table, announce
from relmeasure.samplestats.moments import MissingMethod, MomentSums

__all__ = ["ItemAnalysis", "item_analysis"]

_SHOWN = ("item", "n", "n_missing", "mean", "sd", "floor", "ceiling", "item_rest_r", "alpha_if_dropped")
_CATEGORIES = 50
_LATENT = ("item_rest_r", "item_total_r_corrected", "alpha_if_dropped")
_SAID_BEFORE = ("listwise-deletion", "pairwise-deletion", "categories-assumed", "constant-item")
"""Codes of warnings that the analysis of the answers themselves gives already."""


@dataclass(frozen=True, eq=False)
class ItemAnalysis(Result):
    """How each item is answered and how it goes with the others.

    Attributes
    ----------
    item_table : Table
        One row an item: ``n``, ``n_missing``, ``mean``, ``sd``, ``skewness``, ``kurtosis``, ``minimum``, ``maximum``,
        ``n_categories``, ``floor`` and ``ceiling`` (share of answers at the lowest and highest category) over all its
        answers; then the item statistics of ``alpha``, over the rows that ``rule`` names.
    distribution : Table
        One row an item and category: ``item``, ``category``, ``n``, ``share``, ``declared``. Items with more than 50
        observed values have none.
    alpha : AlphaEstimate
        Alpha of the items, with its own warnings.
    latent_table : Table or None
        With ``ordered=True``, one row an item: ``item_rest_r``, ``item_total_r_corrected`` and ``alpha_if_dropped``
        (ordinal alpha) of the latent responses, from polychoric correlations, and ``loading`` on one factor of theirs.
    ordinal_alpha : Estimate or None
        Alpha of the latent responses, and ``green_yang``, omega of the sum score; with ``ordered=True``.
    green_yang : Estimate or None
    n_rows, n_obs : int
    rule : str
        The rule that made the rows of the item statistics.
    warnings : tuple of Note
    """

    item_table: Table
    distribution: Table
    alpha: AlphaEstimate
    n_rows: int
    n_obs: int
    rule: str
    latent_table: Table | None = None
    ordinal_alpha: Estimate | None = None
    green_yang: Estimate | None = None
    warnings: tuple[Note, ...] = ()

    @property
    def items(self) -> Any:
        """One row an item, as a pandas frame."""
        return self.item_table.to_frame("pandas")

    def _table(self) -> Table:
        return self.item_table

    def summary(self) -> str:
        """Return the main columns, alpha, and notes."""
        main = Table({name: self.item_table[name] for name in _SHOWN})
        lines = [main.to_text(), "", self.alpha.summary()]
        if self.latent_table is not None and self.ordinal_alpha is not None and self.green_yang is not None:
            lines += ["", "Latent responses (polychoric correlations)", self.latent_table.to_text()]
            lines += [self.ordinal_alpha.summary(), self.green_yang.summary()]
        return "\n".join(lines)


def item_analysis(
    data: Any,
    *,
    missing: MissingMethod = "listwise",
    categories: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
    ordered: bool = False,
    conf_level: float = 0.95,
) -> ItemAnalysis:
    """Describe the distribution of every item, and how it goes with the rest of the scale.

    Parameters
    ----------
    data : frame, array (n, k) or responses
        Items in columns, keyed in one direction. Responses bound to an instrument are keyed on the way, and their
        categories are the declared ones. Moments are refused, since they hold no distribution.
    missing : {"listwise", "pairwise"}
        For the correlations, as in ``alpha``. The distribution always uses every answer of an item.
    categories : sequence or mapping, optional
        Values of the response scale, for all items or an item. Without them, and without an instrument, the values
        observed are taken, and a warning says so: an end of the scale that nobody chose is then not seen as one.
    ordered : bool
        Whether to add what polychoric correlations say: item statistics of the latent responses, ordinal alpha, and
        Green and Yang's omega of the sum score. Items of a range of numbers have none.
    conf_level : float
        Level of the intervals.

    Returns
    -------
    ItemAnalysis
        Skewness and kurtosis are G1 and G2 (Joanes and Gill, 1998), zero for normal answers. Floor and ceiling are the
        shares of answers at the lowest and highest category; more than about .15 at one end is commonly held to be an
        effect (Terwee et al., 2007).

    Raises
    ------
    UnsupportedDataError
        Moments, or data of an unknown kind.
    OptionError
        ``categories`` names an item that is not there, or an argument is outside its allowed values.
    TooFewObservationsError
        Fewer than two usable rows.

    References
    ----------
    Joanes, D. N., & Gill, C. A. (1998). Comparing measures of sample skewness and kurtosis. The Statistician, 47,
    183-189.
    Terwee, C. B., et al. (2007). Quality criteria were proposed for measurement properties of health status
    questionnaires. Journal of Clinical Epidemiology, 60, 34-42.

    Examples
    --------
    >>> import numpy as np, relmeasure as rm
    >>> answers = np.array([[4, 3, 4], [2, 2, 1], [3, 3, 3], [1, 2, 1], [4, 4, 3], [2, 1, 2]])
    >>> result = rm.item_analysis(answers, categories=[1, 2, 3, 4])  # R: psych::alpha(x); psych::describe(x)
    >>> result.item_table["ceiling"][0], round(result.item_table["item_rest_r"][0], 4)
    (0.3333333333333333, 0.9439)
    """
    answers = read_answers(data, missing, categories)
    if isinstance(categories, Mapping):
        wrong = [name for name in categories if name not in answers.items]
        if wrong:
            raise OptionError(
                f"categories= names {shorten(wrong)}, which the data do not have."
                f"{did_you_mean(wrong[0], answers.items)}",
                argument="categories",
                value=wrong,
            )
    prepared = prepare(answers.moments, conf_level=conf_level)
    if answers.assumed:
        prepared.raised.append(
            CategoriesAssumedWarning(
                f"Categories were taken from the data for {shorten(answers.assumed)}: an end of the scale that nobody "
                "chose is not known. Give categories=, or responses bound to an instrument.",
                items=list(answers.assumed),
            )
        )
    alpha = finish(alpha_from_prepared(prepared, conf_level), prepared, "item_analysis")
    latent = _latent(data, missing, categories, conf_level, prepared.remarks) if ordered else {}
    return ItemAnalysis(
        item_table=_item_table(answers, alpha),
        distribution=_distribution(answers),
        alpha=alpha,
        n_rows=answers.moments.n_rows,
        n_obs=answers.moments.n_obs,
        rule=answers.moments.rule,
        warnings=(*alpha.warnings, *latent.pop("notes", ())),
        **latent,
    )


def _latent(
    data: Any, missing: MissingMethod, categories: Any, conf_level: float, said: Sequence[Note]
) -> dict[str, Any]:
    """Return the statistics of latent responses, and what was warned about beyond what has been ``said``."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RelmeasureWarning)
        found = polychoric(data, categories=categories, missing=missing, acov=True)
        sums = MomentSums.from_covariance(
            found.correlation, np.zeros(found.n_items), found.n_obs, found.names, origin=found.rule
        )
        alpha = alpha_from_prepared(prepare(sums, conf_level=conf_level), conf_level)
    known = {(note.code, note.message) for note in said} | {(c, None) for c in _SAID_BEFORE}
    fresh = [w.message for w in caught if isinstance(w.message, RelmeasureWarning)]
    fresh = [w for w in fresh if (w.code, w.message) not in known and (w.code, None) not in known]
    columns = {name: alpha.item_table[name] for name in ("item", *_LATENT)}
    sum_score = ordinal_from_polychoric(found, "green_yang", conf_level)
    loadings = sum_score.item_table.columns.get("loading", (math.nan,) * found.n_items)
    return {
        "latent_table": Table(columns | {"loading": tuple(loadings)}),
        "ordinal_alpha": ordinal_from_polychoric(found, "ordinal_alpha", conf_level),
        "green_yang": sum_score,
        "notes": announce(fresh),
    }


def _item_table(answers: Answers, alpha: AlphaEstimate) -> Table:
    rows = []
    n_rows = answers.moments.n_rows
    known = {row["item"]: row for row in alpha.item_table.rows()}
    later = [name for name in alpha.item_table.columns if name not in ("item", "n", "mean", "sd")]
    for name, item in answers.items.items():
        row = {"item": name, "n": item.n, "n_missing": n_rows - item.n, **_described(item)}
        rows.append(row | {column: known[name][column] if name in known else math.nan for column in later})
    return Table.from_rows(rows)


def _described(item: ItemDistribution) -> dict[str, Any]:
    mean, sd, skewness, kurtosis = item.moments()
    ends = (item.categories[0], item.categories[-1]) if item.categories else (math.nan, math.nan)
    return {
        "mean": mean,
        "sd": sd,
        "skewness": skewness,
        "kurtosis": kurtosis,
        "minimum": float(item.values[0]) if item.n else math.nan,
        "maximum": float(item.values[-1]) if item.n else math.nan,
        "n_categories": len(item.values),
        "floor": item.share(ends[0]),
        "ceiling": item.share(ends[1]),
    }


def _distribution(answers: Answers) -> Table:
    rows: list[dict[str, Any]] = []
    for name, item in answers.items.items():
        if len(item.values) > _CATEGORIES:
            continue
        count = dict(zip(item.values.tolist(), item.counts.tolist(), strict=True))
        for category in sorted(set(count) | set(item.categories)):
            n = int(count.get(category, 0))
            share = n / item.n if item.n else math.nan
            declared = None if item.declared is None else category in item.declared
            rows.append({"item": name, "category": category, "n": n, "share": share, "declared": declared})
    return Table.from_rows(rows, ("item", "category", "n", "share", "declared"))
