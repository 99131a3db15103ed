"""How many factors? Parallel analysis, the empirical Kaiser criterion and Velicer's MAP in one table, with a reason.

``n_factors``                 the table and the suggestion
``empirical_kaiser``          reference eigenvalues of Braeken and van Assen (2017)
``minimum_average_partial``   Velicer's average partial correlations, squared (1976) and to the fourth power (2000)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from relmeasure._version import __version__
from relmeasure.exceptions import OptionError, UnsupportedDataError
from relmeasure.factor.adequacy import adequacy_of, sphericity_of
from relmeasure.factor.matrix import AnalysedMatrix, analysed_matrix
from relmeasure.factor.parallel import Communality, chance_matrices, component_eigenvalues, reduced_eigenvalues
from relmeasure.factor.rows import item_table
from relmeasure.responses.intake import MomentMissing
from relmeasure.responses.ordinal import Categories
from relmeasure.results import FloatArray, Note, Provenance, Result, Table, announce, frozen_array

__all__ = [
    "NumberOfFactors",
    "Simulation",
    "empirical_kaiser",
    "leading",
    "minimum_average_partial",
    "n_factors",
]

Array = np.ndarray[Any, np.dtype[np.float64]]

Simulation = Literal["auto", "normal", "permutation"]
"""What chance data are: normal rows or ordered answers as the data's kind asks, or the columns of the data shuffled."""

_REPLICATIONS = {"pearson": 500, "polychoric": 50}
"""Replications by default: a polychoric matrix takes a thousand times longer than a Pearson one."""

_ENOUGH_KMO = 0.5


@dataclass(frozen=True, eq=False)
class NumberOfFactors(Result):
    """How many factors several criteria see.

    Attributes
    ----------
    suggestion : int
    reason : str
        Why, in a sentence.
    suggestions : dict of str to int
        By criterion: ``parallel_component``, ``parallel_reduced``, ``empirical_kaiser``, ``map``, ``map_revised``; one
        that cannot be computed is not among them, and ``notes`` say why.
    eigenvalues, reference : array (p,)
        Of the correlation matrix, and what chance gives at the percentile (components).
    eigenvalues_reduced, reference_reduced : array (p,)
        The same with communalities in the diagonal (factors).
    reference_ekc : array (p,)
        Of the empirical Kaiser criterion.
    map, map_revised : array (p - 1,)
        Average squared, and fourth-power, partial correlation after 0, 1, ... components.
    percentile : float or None
        Of the chance eigenvalues; None: their mean.
    n_replications : int
    simulated : str
        What chance data were: ``normal``, ``permutation`` or ``ordered`` (polychoric of ordered answers).
    communality : str
        What stands in the diagonal of the reduced matrix, in data and chance alike.
    correlation_kind : str
    names : tuple of str
    n_obs : int
    rule : str
    kmo : float
    bartlett_chisq, bartlett_df, bartlett_pvalue : float
        NaN where the matrix has no inverse or N is unknown.
    notes : tuple of str
        What could not be computed, and why.
    warnings : tuple of Note
    provenance : Provenance or None
    """

    suggestion: int
    reason: str
    suggestions: dict[str, int]
    eigenvalues: FloatArray
    reference: FloatArray
    eigenvalues_reduced: FloatArray
    reference_reduced: FloatArray
    reference_ekc: FloatArray
    map: FloatArray
    map_revised: FloatArray
    percentile: float | None
    n_replications: int
    simulated: str
    communality: str
    correlation_kind: str
    names: tuple[str, ...]
    n_obs: int
    rule: str
    kmo: float = math.nan
    bartlett_chisq: float = math.nan
    bartlett_df: float = math.nan
    bartlett_pvalue: float = math.nan
    notes: tuple[str, ...] = ()
    warnings: tuple[Note, ...] = ()
    provenance: Provenance | None = field(default=None)

    def _table(self) -> Table:
        p = len(self.names)
        after = np.append(self.map[1:], np.nan), np.append(self.map_revised[1:], np.nan)
        return Table(
            {
                "n_factors": tuple(range(1, p + 1)),
                "eigenvalue": tuple(self.eigenvalues),
                "reference": tuple(self.reference),
                "eigenvalue_reduced": tuple(self.eigenvalues_reduced),
                "reference_reduced": tuple(self.reference_reduced),
                "reference_ekc": tuple(self.reference_ekc),
                "map": tuple(np.r_[after[0], np.nan][:p]),
                "map_revised": tuple(np.r_[after[1], np.nan][:p]),
            }
        )

    def summary(self) -> str:
        """Return the suggestion with its reason, every criterion, and the leading eigenvalues beside chance."""
        at = "mean" if self.percentile is None else f"{self.percentile:g}th percentile"
        lines = [
            f"Suggested number of factors: {self.suggestion}. {self.reason}",
            ", ".join(f"{name} {value}" for name, value in self.suggestions.items()),
            f"{self.correlation_kind} correlations of {len(self.names)} items, {self.rule}",
            f"Chance: {self.n_replications} replications, {self.simulated}, {at}; reduced: {self.communality}",
            f"KMO {self.kmo:.3f}; Bartlett chi-square {self.bartlett_chisq:.1f}, p {self.bartlett_pvalue:.3g}",
            *self.notes,
        ]
        shown = min(len(self.names), max(self.suggestions.values(), default=0) + 3)
        table = self._table()
        head = Table({name: values[:shown] for name, values in table.columns.items()})
        return "\n".join([*lines, head.to_text()])


def n_factors(
    data: Any,
    *,
    ordered: bool | Sequence[str] = False,
    percentile: float | None = 95.0,
    n_replications: int | None = None,
    simulation: Simulation = "auto",
    communality: Communality = "smc",
    rng: int | np.random.Generator = 0,
    missing: MomentMissing = "listwise",
    weights: Any = None,
    n_obs: int | None = None,
    categories: Categories = None,
) -> NumberOfFactors:
    """Suggest a number of factors, and show what the suggestion rests on.

    One correlation matrix is read by every criterion:

    - parallel analysis (Horn, 1965): leading eigenvalues above those of uncorrelated items, stopping at the first that
      is not; once for components (the matrix as it is) and once for factors (communalities in the diagonal), the two
      never mixed; chance data have the kind of correlation of the data;
    - the empirical Kaiser criterion (Braeken & van Assen, 2017): reference eigenvalues by formula;
    - minimum average partial (Velicer, 1976) and its revision (Velicer, Eaton & Fava, 2000);
    - KMO and Bartlett's test, which say whether there is anything to factor.

    The suggestion is the median of parallel analysis of components, the empirical Kaiser criterion and the revised MAP;
    where they disagree, ``reason`` gives the range worth looking at.

    Parameters
    ----------
    data, ordered, missing, weights, n_obs, categories
        As in ``efa``.
    percentile : float, optional
        Of the chance eigenvalues of each rank; None takes their mean, as Horn did.
    n_replications : int, optional
        Samples of chance; by default 500, and 50 of polychoric correlations.
    simulation : {"auto", "normal", "permutation"}
        ``"auto"``: normal items for Pearson correlations, ordered items with the margins of the data for polychorics.
        ``"permutation"``: the columns of the data, each shuffled by itself (Pearson, rows needed).
    communality : {"smc", "one_factor"}
        Of the reduced matrix: squared multiple correlations, or those of a one-factor minres solution (R's psych).
    rng : int or numpy.random.Generator
        Seed or generator.

    Returns
    -------
    NumberOfFactors
        ``suggestion``, ``reason``, ``suggestions``; ``to_frame()`` has a row for each number of factors.

    Raises
    ------
    OptionError, TooFewItemsError, TooFewObservationsError, EstimationError, UnsupportedDataError, DataError

    Notes
    -----
    Warnings: as in ``efa``. Rows of unknown number (weights without ``n_obs``) leave only MAP.

    References
    ----------
    Horn, J. L. (1965). Psychometrika, 30, 179-185. Braeken, J., & van Assen, M. A. L. M. (2017). An empirical Kaiser
    criterion. Psychological Methods, 22, 450-466. Velicer, W. F. (1976). Psychometrika, 41, 321-327. Velicer, W. F.,
    Eaton, C. A., & Fava, J. L. (2000). In R. D. Goffin & E. Helmes (Eds.), Problems and solutions in human assessment
    (pp. 41-71). Auerswald, M., & Moshagen, M. (2019). How to determine the number of factors to retain in exploratory
    factor analysis. Psychological Methods, 24, 468-491.

    Examples
    --------
    >>> import numpy as np
    >>> import relmeasure as rm
    >>> pattern = np.kron(np.eye(2), np.full((4, 1), 0.7))
    >>> matrix = pattern @ pattern.T
    >>> np.fill_diagonal(matrix, 1.0)
    >>> rm.n_factors((matrix, 300)).suggestion  # R: psych::fa.parallel(matrix, n.obs = 300)
    2
    """
    _check_options(percentile, n_replications, simulation, communality)
    matrix = analysed_matrix(
        data, ordered=ordered, categories=categories, missing=missing, weights=weights, n_obs=n_obs
    )
    replications = n_replications or _REPLICATIONS[matrix.kind]
    rows = _complete_rows(data, matrix) if simulation == "permutation" else None
    notes: list[str] = []
    chance = _chance(matrix, replications, rows, percentile, communality, np.random.default_rng(rng), notes)
    simulated = "permutation" if rows is not None else "ordered" if matrix.kind == "polychoric" else "normal"
    return _decided(matrix, chance, communality, notes, percentile, replications, simulated)


def _decided(
    matrix: AnalysedMatrix,
    chance: tuple[Array, Array],
    communality: Communality,
    notes: list[str],
    percentile: float | None,
    replications: int,
    simulated: str,
) -> NumberOfFactors:
    """Put every criterion beside the eigenvalues of the data, and decide."""
    eigenvalues, reduced = component_eigenvalues(matrix.cor), reduced_eigenvalues(matrix.cor, communality)
    if np.isnan(reduced).any():
        notes.append("No reduced eigenvalues: the correlation matrix has no inverse.")
    squared, fourth = minimum_average_partial(matrix.cor)
    ekc = empirical_kaiser(eigenvalues, matrix.n_obs)
    suggestions = _suggestions(eigenvalues, reduced, chance, ekc, squared, fourth)
    suggestion, reason = _suggested(suggestions)
    kmo, test = _adequacy(matrix, notes)
    return NumberOfFactors(
        suggestion=suggestion,
        reason=reason,
        suggestions=suggestions,
        eigenvalues=frozen_array(eigenvalues),
        reference=frozen_array(chance[0]),
        eigenvalues_reduced=frozen_array(reduced),
        reference_reduced=frozen_array(chance[1]),
        reference_ekc=frozen_array(ekc),
        map=frozen_array(squared),
        map_revised=frozen_array(fourth),
        percentile=percentile,
        n_replications=replications,
        simulated=simulated,
        communality=communality,
        correlation_kind=matrix.kind,
        names=matrix.names,
        n_obs=matrix.n_obs,
        rule=matrix.rule,
        kmo=kmo,
        bartlett_chisq=test[0],
        bartlett_df=test[1],
        bartlett_pvalue=test[2],
        notes=tuple(notes),
        warnings=(*matrix.notes, *announce(matrix.raised)),
        provenance=Provenance("n_factors", __version__, matrix.n_rows, matrix.n_obs, matrix.rule),
    )


def _check_options(percentile: float | None, n_replications: int | None, simulation: str, communality: str) -> None:
    if simulation not in get_args(Simulation):
        raise OptionError.from_value("simulation", simulation, get_args(Simulation))
    if communality not in get_args(Communality):
        raise OptionError.from_value("communality", communality, get_args(Communality))
    if percentile is not None and not 0.0 < percentile < 100.0:
        raise OptionError(f"percentile={percentile!r} must lie between 0 and 100.", argument="percentile")
    if n_replications is not None and n_replications < 1:
        raise OptionError(f"n_replications={n_replications!r}: at least 1 is needed.", argument="n_replications")


# --------------------------------------------------------------------------- parallel analysis
def _complete_rows(data: Any, matrix: AnalysedMatrix) -> Array:
    """Return the rows that are shuffled: those complete on all items."""
    if matrix.kind != "pearson" or isinstance(data, tuple) or hasattr(data, "cor"):
        raise UnsupportedDataError("simulation='permutation' shuffles rows of numbers: hand in the data themselves.")
    if not matrix.n_obs:
        raise UnsupportedDataError("simulation='permutation' takes no weights.")
    rows, _ = item_table(data)
    complete = rows[~np.isnan(rows).any(axis=1)]
    if len(complete) < matrix.n_items:
        raise UnsupportedDataError(f"Only {len(complete)} rows are complete: too few to be shuffled.")
    return complete


def _chance(
    matrix: AnalysedMatrix,
    replications: int,
    rows: Array | None,
    percentile: float | None,
    communality: Communality,
    rng: np.random.Generator,
    notes: list[str],
) -> tuple[Array, Array]:
    """Return reference eigenvalues of components and of reduced matrices; NaN where chance cannot be drawn."""
    nothing = np.full(matrix.n_items, np.nan)
    if not matrix.n_obs:
        notes.append("No parallel analysis and no empirical Kaiser criterion: N is unknown, give n_obs.")
        return nothing, nothing
    if matrix.kind == "polychoric" and matrix.tables is None:
        notes.append("No parallel analysis: chance is drawn for ordered items alone, from their tables.")
        return nothing, nothing
    blocks = chance_matrices(
        replications, rng, n_obs=matrix.n_obs, n_items=matrix.n_items, tables=matrix.tables, rows=rows
    )
    drawn = [(component_eigenvalues(block), reduced_eigenvalues(block, communality)) for block in blocks]
    return _reference(np.concatenate([d[0] for d in drawn]), percentile), _reference(
        np.concatenate([d[1] for d in drawn]), percentile
    )


def _reference(values: Array, percentile: float | None) -> Array:
    usable = values[~np.isnan(values).any(axis=1)]
    if not len(usable):
        return np.full(values.shape[1], np.nan)
    return np.asarray(usable.mean(axis=0) if percentile is None else np.percentile(usable, percentile, axis=0))


def leading(values: Array, reference: Array) -> int:
    """Return how many leading values lie above their references, stopping at the first that does not.

    Examples
    --------
    >>> import numpy as np
    >>> leading(np.array([3.0, 1.1, 0.9, 0.8]), np.array([1.2, 1.15, 0.8, 0.7]))
    1
    """
    above = np.asarray(values) > np.asarray(reference)
    return int(len(above) if above.all() else above.argmin())


# --------------------------------------------------------------------------- criteria by formula
def empirical_kaiser(eigenvalues: Array, n_obs: int) -> Array:
    """Return the reference eigenvalues of the empirical Kaiser criterion; NaN without N (Braeken & van Assen, 2017).

    ``max((p - sum of the eigenvalues before) / (p - j + 1) (1 + sqrt(p / n))^2, 1)`` for the j-th of p.

    Examples
    --------
    >>> import numpy as np
    >>> empirical_kaiser(np.array([2.0, 0.6, 0.4]), 300).round(3).tolist()  # R: EFAtools::EKC(R, N = 300)
    [1.21, 1.0, 1.0]
    """
    p = len(eigenvalues)
    if not n_obs:
        return np.full(p, np.nan)
    before = np.r_[0.0, np.cumsum(eigenvalues)[:-1]]
    left = (p - before) / (p - np.arange(p))
    return np.asarray(np.maximum(left * (1.0 + math.sqrt(p / n_obs)) ** 2, 1.0))


def minimum_average_partial(cor: Array) -> tuple[Array, Array]:
    """Return Velicer's average partial correlations after 0 ... p - 2 components: squared, and to the fourth power.

    NaN from where a component leaves an item without variance.
    """
    p = len(cor)
    values, vectors = np.linalg.eigh(cor)
    squared, fourth = np.full(p - 1, np.nan), np.full(p - 1, np.nan)
    left = np.array(cor, dtype=float)
    for m in range(p - 1):
        if m:
            left = left - values[-m] * np.outer(vectors[:, -m], vectors[:, -m])
        sd = np.sqrt(np.maximum(np.diag(left), 0.0))
        if sd.min() < 1e-6:
            break
        squares = (left / np.outer(sd, sd)) ** 2
        squared[m] = (squares.sum() - p) / (p * (p - 1))
        fourth[m] = ((squares**2).sum() - p) / (p * (p - 1))
    return squared, fourth


# --------------------------------------------------------------------------- the suggestion
def _suggestions(
    eigenvalues: Array, reduced: Array, chance: tuple[Array, Array], ekc: Array, squared: Array, fourth: Array
) -> dict[str, int]:
    out: dict[str, int] = {}
    if np.isfinite(chance[0]).all():
        out["parallel_component"] = leading(eigenvalues, chance[0])
    if np.isfinite(chance[1]).all() and np.isfinite(reduced).all():
        out["parallel_reduced"] = leading(reduced, np.maximum(chance[1], 0.0))
    if np.isfinite(ekc).all():
        out["empirical_kaiser"] = leading(eigenvalues, ekc)
    out["map"] = int(np.nanargmin(squared))
    out["map_revised"] = int(np.nanargmin(fourth))
    return out


def _suggested(suggestions: dict[str, int]) -> tuple[int, str]:
    words = {
        "parallel_component": "parallel analysis of components",
        "empirical_kaiser": "the empirical Kaiser criterion",
        "map_revised": "the revised MAP",
    }
    votes = {words[name]: suggestions[name] for name in words if name in suggestions}
    chosen = sorted(votes.values())[(len(votes) - 1) // 2]
    listed = ", ".join(f"{name} {value}" for name, value in votes.items())
    low, high = min(votes.values()), max(votes.values())
    if low == high:
        how = "They agree" if len(votes) > 1 else "Nothing else could be computed"
        return chosen, f"{how}: {listed}."
    return chosen, f"The median of {listed}; look at solutions with {low} to {high} factors."


def _adequacy(matrix: AnalysedMatrix, notes: list[str]) -> tuple[float, tuple[float, float, float]]:
    nothing = (math.nan, math.nan, math.nan)
    if matrix.min_eigenvalue < 1e-10:
        notes.append("No KMO and no Bartlett test: the correlation matrix is not positive definite.")
        return math.nan, nothing
    kmo = adequacy_of(matrix.cor)[0] if np.abs(matrix.cor - np.eye(matrix.n_items)).max() > 0.0 else math.nan
    if kmo < _ENOUGH_KMO:
        notes.append(f"KMO {kmo:.2f} is below .5: these items hardly belong together.")
    if matrix.n_obs <= 1 + (2 * matrix.n_items + 5) / 6:
        return kmo, nothing
    chisq, df, pvalue = sphericity_of(matrix.cor, matrix.n_obs)
    return kmo, (chisq, float(df), pvalue)
