"""A general factor above correlated ones: Schmid-Leiman, and what it says of reliability. Arrays in, arrays out.

``schmid_leiman``            group factors freed of a second-order general factor
``omega_hierarchical``       share of sum-score variance that the general factor explains
``omega_total_bifactor``     share that all common factors explain
``explained_common_variance``  share of common variance that the general factor explains

With first-order pattern L and factor correlations Phi, one factor of Phi has loadings g; then
``general = L g`` and ``group = L diag(sqrt(1 - g^2))``.

References
----------
Schmid, J., & Leiman, J. M. (1957). The development of hierarchical factor solutions. Psychometrika, 22, 53-61.
McDonald, R. P. (1999). Test theory: A unified treatment. Erlbaum, chapter 6.
Zinbarg, R. E., Revelle, W., Yovel, I., & Li, W. (2005). Cronbach's alpha, Revelle's beta, and McDonald's omega_h.
Psychometrika, 70, 123-133.
Reise, S. P. (2012). The rediscovery of bifactor measurement models. Multivariate Behavioral Research, 47, 667-696.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from relmeasure.exceptions import EstimationError, TooFewItemsError
from relmeasure.factor.residual_extraction import fit_minres
from relmeasure.results import FloatArray, Result, Table, frozen_array

__all__ = [
    "SchmidLeiman",
    "explained_common_variance",
    "omega_hierarchical",
    "omega_total_bifactor",
    "schmid_leiman",
]

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False)
class SchmidLeiman(Result):
    """A Schmid-Leiman solution.

    Attributes
    ----------
    general : array (p,)
        Loadings on the general factor.
    group : array (p, m)
        Loadings on the group factors, which are uncorrelated with it and with each other.
    second_order : array (m,)
        Loadings of the first-order factors on the general one.
    transformation : array (m, m + 1)
        What the first-order pattern is multiplied by.
    exact : bool
        Whether the second-order factor reproduces the factor correlations.
    admissible : bool
        False where a second-order loading is at its bound or above 1.
    """

    general: FloatArray
    group: FloatArray
    second_order: FloatArray
    transformation: FloatArray
    exact: bool
    admissible: bool = True

    @property
    def loadings(self) -> FloatArray:
        """General and group loadings side by side, array (p, m + 1)."""
        loadings: FloatArray = frozen_array(np.column_stack([self.general, self.group]))
        return loadings

    @property
    def communalities(self) -> FloatArray:
        """Share of each item's variance that the factors explain, array (p,)."""
        communalities: FloatArray = frozen_array((self.loadings**2).sum(axis=1))
        return communalities

    @property
    def omega_hierarchical(self) -> float:
        """Share of the variance of the sum of standardised items that the general factor explains (model-implied)."""
        return omega_hierarchical(self.general, self.group, 1.0 - self.communalities)

    @property
    def omega_total(self) -> float:
        """Share of that variance that all factors explain."""
        return omega_total_bifactor(self.general, self.group, 1.0 - self.communalities)

    @property
    def explained_common_variance(self) -> float:
        """Share of the common variance that the general factor explains (ECV)."""
        return explained_common_variance(self.general, self.group)

    def _table(self) -> Table:
        columns: dict[str, Any] = {"item": tuple(range(1, len(self.general) + 1)), "g": tuple(self.general)}
        columns |= {f"F{j + 1}": tuple(column) for j, column in enumerate(self.group.T)}
        return Table(columns | {"communality": tuple(self.communalities)})


def schmid_leiman(loadings: Array, phi: Array) -> SchmidLeiman:
    """Turn correlated factors into a general factor and uncorrelated group factors.

    Parameters
    ----------
    loadings : array (p, m)
        First-order pattern.
    phi : array (m, m)
        Factor correlations. Three factors: the second-order factor fits exactly. Two: it is not identified; both get
        the root of their correlation. More: it is fitted by minres.

    Raises
    ------
    TooFewItemsError
        One factor has nothing above it.
    EstimationError
        Two factors that correlate negatively have no common factor with equal loadings.

    Examples
    --------
    >>> import numpy as np
    >>> pattern = np.kron(np.eye(3), np.ones((2, 1))) * 0.8
    >>> phi = np.array([[1.0, 0.42, 0.35], [0.42, 1.0, 0.3], [0.35, 0.3, 1.0]])
    >>> solution = schmid_leiman(pattern, phi)  # R: psych::schmid(cor, 3)
    >>> solution.second_order.round(3).tolist(), solution.general.round(3).tolist()
    ([0.7, 0.6, 0.5], [0.56, 0.56, 0.48, 0.48, 0.4, 0.4])
    """
    m = phi.shape[0]
    if m < 2:
        raise TooFewItemsError("A general factor above one factor does not exist: 2 factors are needed, better 3.")
    admissible = True
    if m == 2:
        if phi[0, 1] < 0.0:
            raise EstimationError(
                f"The two factors correlate {phi[0, 1]:.2f}: a general factor with equal loadings needs a positive "
                "correlation. Turn one of them.",
                correlation=float(phi[0, 1]),
            )
        g = np.full(2, np.sqrt(phi[0, 1]))
    else:
        second = fit_minres(np.asarray(phi, dtype=float), 1)
        g = second.loadings[:, 0]
        admissible = second.converged and not second.at_bound
    left = phi - np.outer(g, g)
    np.fill_diagonal(left, 0.0)
    transformation = np.column_stack([g, np.diag(np.sqrt(np.maximum(1.0 - g**2, 0.0)))])
    both = np.asarray(loadings) @ transformation
    return SchmidLeiman(
        general=frozen_array(both[:, 0]),
        group=frozen_array(both[:, 1:]),
        second_order=frozen_array(g),
        transformation=frozen_array(transformation),
        exact=bool(np.abs(left).max() < 1e-6),
        admissible=admissible,
    )


# --------------------------------------------------------------------------- coefficients
def _sum_variance(general: Array, group: Array, uniquenesses: Array, cov: Array | None) -> float:
    if cov is not None:
        return float(np.asarray(cov).sum())
    return float(general.sum() ** 2 + (group.sum(axis=0) ** 2).sum() + np.sum(uniquenesses))


def omega_hierarchical(general: Array, group: Array, uniquenesses: Array, cov: Array | None = None) -> float:
    """Coefficient omega hierarchical: ``(sum g)^2 / Var(sum)``; ids ``omega_hierarchical.implied_variance`` and so on.

    Parameters
    ----------
    general : array (p,)
        Loadings on the general factor, items keyed in one direction.
    group : array (p, m)
        Loadings on uncorrelated group factors.
    uniquenesses : array (p,)
    cov : array (p, p), optional
        The matrix that was fitted: its sum is then the variance of the sum score; by default the implied one.

    Examples
    --------
    >>> import numpy as np
    >>> group = np.kron(np.eye(2), np.ones((2, 1))) * 0.5
    >>> round(omega_hierarchical(np.full(4, 0.6), group, np.full(4, 0.39)), 3)  # R: psych::omega(...)$omega_h
    0.618
    """
    return float(np.sum(general)) ** 2 / _sum_variance(np.asarray(general), np.asarray(group), uniquenesses, cov)


def omega_total_bifactor(general: Array, group: Array, uniquenesses: Array, cov: Array | None = None) -> float:
    """Coefficient omega total of a bifactor solution: ``((sum g)^2 + sum_k (sum s_k)^2) / Var(sum)``.

    Parameters as in ``omega_hierarchical``. With the observed variance, R's psych gives ``1 - sum u / sum R`` instead,
    which differs by the misfit of the model.
    """
    common = float(np.sum(general)) ** 2 + float((np.sum(group, axis=0) ** 2).sum())
    return common / _sum_variance(np.asarray(general), np.asarray(group), uniquenesses, cov)


def explained_common_variance(general: Array, group: Array) -> float:
    """Explained common variance of the general factor: ``sum g^2 / (sum g^2 + sum s^2)`` (Reise, 2012).

    Examples
    --------
    >>> import numpy as np
    >>> explained_common_variance(np.full(4, 0.6), np.kron(np.eye(2), np.ones((2, 1))) * 0.6)
    0.5
    """
    first = float((np.asarray(general) ** 2).sum())
    return first / (first + float((np.asarray(group) ** 2).sum()))
