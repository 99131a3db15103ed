"""The result of competing structures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from relmeasure.results import FrameKind, Note, Provenance, Result, Status, Table, paragraph
from relmeasure.structural.fitted.fit import StructuralFit

__all__ = ["DimensionalityResult"]


@dataclass(frozen=True, eq=False)
class DimensionalityResult(Result):
    """Competing structures of an instrument, and what they say about it.

    Attributes
    ----------
    models : Table
        ``model chisq df pvalue cfi rmsea srmr aic bic status rank note``, and for scaled tests ``chisq_scaled
        cfi_robust rmsea_robust``. Ranked by BIC; a model that did not converge, is not identified or is
        inadmissible has no rank and stands last.
    fits : dict of str to StructuralFit
        The models that could be written.
    best : str or None
        The model of rank one.
    indices : Table
        ``index estimate se lower upper``: ECV, omega hierarchical, omega total and PUC from the bifactor model; empty
        when that is not usable.
    scales : Table
        ``scale n_items omega_total omega_hierarchical ecv``: of each scale's sum, what its own factor adds to the
        general one; empty like ``indices``.
    correlations : Table
        ``first second correlation se lower upper`` of the factors.
    reversed_items : tuple of str
    answer : {"one", "general", "several", "unclear"}
        One thing; mostly one thing, with aspects below it; several things; not to be told.
    conclusion : str
        The answer in plain words.
    criteria : str
    status : Status
    provenance : Provenance
    warnings : tuple of Note
    """

    models: Table
    fits: dict[str, StructuralFit]
    best: str | None
    indices: Table
    scales: Table
    correlations: Table
    reversed_items: tuple[str, ...]
    answer: str
    conclusion: str
    criteria: str
    status: Status
    provenance: Provenance
    warnings: tuple[Note, ...] = ()

    def _index(self, name: str) -> float:
        return next((float(r["estimate"]) for r in self.indices.rows() if r["index"] == name), math.nan)

    @property
    def ecv(self) -> float:
        """Explained common variance of the general factor; NaN without a usable bifactor model."""
        return self._index("ecv")

    @property
    def omega_hierarchical(self) -> float:
        """Share of the variance of the total score that the general factor explains."""
        return self._index("omega_hierarchical")

    def bifactor_indices(self, *, kind: FrameKind = "pandas") -> Any:
        """Return ``index estimate se lower upper`` as a frame; intervals by the delta method."""
        return self.indices.to_frame(kind)

    def _table(self) -> Table:
        return self.models

    def summary(self) -> str:
        """Return the answer, the models side by side, the bifactor indices and the factor correlations."""
        lines = [
            f"dimensionality: models {self.status.words}",
            paragraph(self.provenance.rule),
            "",
            self.models.to_text(),
        ]
        for title, table in (
            ("From the bifactor model", self.indices),
            ("Scales in the bifactor model", self.scales),
            ("Correlations of the factors", self.correlations),
        ):
            if len(table):
                lines += ["", title, table.to_text()]
        return "\n".join([*lines, "", paragraph(self.conclusion), *(note.summary() for note in self.warnings)])
