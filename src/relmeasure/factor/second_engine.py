"""A second opinion: extraction and rotation by the independent package factor_analyzer, put into the same form.

Only what means the same in both packages is offered: its normalised oblimin, its equamax and its uniquenesses after an
oblique rotation follow other definitions, and its ``phi_`` is not in the order of its loadings, so that factor
correlations are taken from the loadings: ``Phi = (M'M)^-1`` with ``loadings = unrotated M``.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module, metadata
from typing import Any

import numpy as np

from relmeasure.exceptions import MissingExtraError, UnsupportedDataError
from relmeasure.factor.extraction import SMALLEST_UNIQUENESS, Extraction, check_n_factors
from relmeasure.numerics.criteria import ROTATIONS, checked_options
from relmeasure.numerics.rotation import Rotation, canonical_order
from relmeasure.results import frozen_array

__all__ = ["extract_and_rotate"]

Array = np.ndarray[Any, np.dtype[np.float64]]

_NAMES = {
    "none": None,
    "varimax": "varimax",
    "quartimax": "quartimax",
    "promax": "promax",
    "oblimin": "oblimin",
    "quartimin": "quartimin",
    "geomin": "geomin_obl",
    "geomin_orthogonal": "geomin_ort",
}
"""Rotations that mean the same there, and their names there."""

_NORMALISED = ("varimax", "promax")
"""Those that mean the same with Kaiser normalisation too."""

_NEEDS = "engine='factor_analyzer' needs factor-analyzer 0.5.1 with scikit-learn below 1.8"
_INSTALL = "pip install 'relmeasure[factor-analyzer]'"


def require_factor_analyzer() -> None:
    """Raise MissingExtraError, in one line, unless factor_analyzer and a scikit-learn it runs with are installed."""
    for package in ("factor_analyzer", "scikit-learn"):
        try:
            version = metadata.version(package)
        except metadata.PackageNotFoundError:
            raise MissingExtraError(
                f"{_NEEDS}; {package} is not installed: {_INSTALL}", package=package, extra="factor-analyzer"
            ) from None
        major, minor = (int(part) for part in version.split(".")[:2])
        if package == "scikit-learn" and (major, minor) >= (1, 8):
            raise MissingExtraError(
                f"{_NEEDS}; scikit-learn {version} is installed: {_INSTALL}", package=package, extra="factor-analyzer"
            )


def extract_and_rotate(
    cor: Array, m: int, method: str, rotation: str, kaiser: bool | None, options: Mapping[str, Any]
) -> tuple[Extraction, Rotation]:
    """Extract and rotate by factor_analyzer.

    Parameters
    ----------
    cor : array (p, p)
    m : int
    method : {"minres", "uls", "ml"}
    rotation, kaiser, options
        As in ``rotate``; only what means the same there.

    Raises
    ------
    MissingExtraError
        The package, or a scikit-learn it runs with, is not installed.
    UnsupportedDataError
        A method or rotation that has no counterpart there.
    """
    given = checked_options(rotation, options)
    on = ROTATIONS[rotation].kaiser if kaiser is None else kaiser
    if method == "pa":
        raise UnsupportedDataError("engine='factor_analyzer' has no principal axis factoring of a matrix: use minres.")
    if rotation not in _NAMES or (on and rotation not in _NORMALISED):
        raise UnsupportedDataError(
            f"engine='factor_analyzer' has no rotation={rotation!r} {'with' if on else 'without'} Kaiser normalisation "
            f"of the same meaning. It can be compared on {', '.join(_NAMES)}; with normalisation on varimax and promax."
        )
    if rotation == "promax" and (given["metric"] == "normalized") is not on:
        raise UnsupportedDataError(
            "factor_analyzer's promax takes powers of normalised loadings with kaiser=True and of raw ones without: "
            "set rotation_options={'metric': 'normalized'} with kaiser=True, or kaiser=False."
        )
    check_n_factors(m, len(cor))
    require_factor_analyzer()
    plain = _fitted(cor, m, method, None, {})
    A = np.asarray(plain.loadings_, dtype=float)
    extraction = _extraction(cor, A, method)
    L = A
    if rotation != "none" and m > 1:
        turned = _fitted(cor, m, method, _NAMES[rotation], _settings(given, on))
        L = np.asarray(turned.loadings_, dtype=float)
    return extraction, _rotation(A, L, rotation, on)


def _fitted(cor: Array, m: int, method: str, rotation: str | None, settings: dict[str, Any]) -> Any:
    analyzer = import_module("factor_analyzer").FactorAnalyzer
    name = "ml" if method == "ml" else "minres"
    engine = analyzer(m, rotation=rotation, method=name, is_corr_matrix=True, rotation_kwargs=settings)
    return engine.fit(np.array(cor))


def _settings(given: Mapping[str, Any], on: bool) -> dict[str, Any]:
    names = {"gamma": "gamma", "epsilon": "delta", "power": "power"}
    settings = {names[key]: value for key, value in given.items() if key in names}
    return {"normalize": on, "max_iter": 5000, "tol": 1e-9, **settings}


def _extraction(cor: Array, A: Array, method: str) -> Extraction:
    uniquenesses = 1.0 - (A * A).sum(axis=1)
    residuals = cor - A @ A.T
    np.fill_diagonal(residuals, 0.0)
    return Extraction(
        loadings=A,
        uniquenesses=uniquenesses,
        objective=0.5 * float((residuals**2).sum()),
        iterations=0,
        gradient=0.0,
        converged=bool(np.isfinite(A).all()),
        at_bound=tuple(int(i) for i in np.flatnonzero(uniquenesses <= SMALLEST_UNIQUENESS * 1.01)),
        method="ml" if method == "ml" else "minres",
    )


def _rotation(A: Array, L: Array, rotation: str, on: bool) -> Rotation:
    M = np.linalg.lstsq(A, L, rcond=None)[0]
    oblique = ROTATIONS[rotation].oblique and L.shape[1] > 1
    phi = np.linalg.inv(M.T @ M) if oblique else np.eye(L.shape[1])
    order, signs = canonical_order(L, phi)
    phi = phi[np.ix_(order, order)] * np.outer(signs, signs)
    np.fill_diagonal(phi, 1.0)
    return Rotation(
        loadings=frozen_array(L[:, order] * signs),
        phi=frozen_array(phi),
        rotation_matrix=frozen_array(M[:, order] * signs),
        rotation=rotation,
        oblique=ROTATIONS[rotation].oblique,
        kaiser=on,
    )
