"""The result of a two-level model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from relmeasure.exceptions import HeywoodWarning, OptionError, UnsupportedDataError
from relmeasure.results import FrameKind, Table, announce
from relmeasure.structural.evaluation.admissible import admissibility
from relmeasure.structural.evaluation.modification import modification_table
from relmeasure.structural.evaluation.residuals import ResidualKind, squared_correlations
from relmeasure.structural.fitted.bootstrap import Bootstrap, IntervalKind
from relmeasure.structural.fitted.compare import Comparison, DifferenceMethod, compare_fits
from relmeasure.structural.fitted.fit import StructuralFit
from relmeasure.structural.fitted.scores import ScoreMethod
from relmeasure.structural.two_level.engine import TwoLevelEngine, TwoLevelFitted
from relmeasure.structural.two_level.level_fit import level_fit_table
from relmeasure.structural.two_level.reliability import class_mean_table, reliability_table
from relmeasure.structural.two_level.residuals import level_residuals
from relmeasure.structural.two_level.sample import TwoLevelSample
from relmeasure.structural.two_level.scores import Level, level_scores

__all__ = ["TwoLevelFit"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class TwoLevelFit(StructuralFit):
    """A fitted two-level model: as ``StructuralFit``, with a column ``level`` in place of ``group``.

    The levels are ``"within"`` (rows in their clusters) and ``"between"`` (clusters). ``sample`` holds the unrestricted
    moments of both and the cluster statistics. The log-likelihood is that of the rows, given exogenous variables.
    """

    sample: TwoLevelSample

    @cached_property
    def _fitted(self) -> TwoLevelFitted:
        engine = TwoLevelEngine(self.table, self.sample, self.method, self._cases)
        active = tuple(r for r in engine.restrictions.inequalities if r.text in self.active)
        return TwoLevelFitted(engine, np.asarray(self.x), active)

    def _usable(self, what: str, *, allow_inadmissible: bool) -> None:
        """Refuse numbers that an improper solution cannot give; negative residual variances between do not forbid them.

        These are common, and what rests on the whole covariances between clusters is still defined.
        """
        if not allow_inadmissible and self.status.admissible is False:
            wrong = admissibility(self.table, self._fitted.states, self.active)
            items = set(self.table.observed)
            allow_inadmissible = all(isinstance(w, HeywoodWarning) and _harmless(w, items) for w in wrong)
        super()._usable(what, allow_inadmissible=allow_inadmissible)

    @property
    def n_clusters(self) -> int:
        """Clusters."""
        return self.sample.n_clusters

    def _parameters(self, *, standardized: bool = False, conf_level: float | None = None) -> Table:
        return _leveled(super()._parameters(standardized=standardized, conf_level=conf_level))

    # ------------------------------------------------------------------- fit
    def level_fit(self, *, kind: FrameKind = "pandas") -> Any:
        """Return the fit of each level by itself, every covariance being free at the other (Ryu & West, 2009).

        Parameters
        ----------
        kind : {"pandas", "polars", "pyarrow"}

        Returns
        -------
        frame
            ``level chisq df pvalue cfi tli rmsea rmsea_lower rmsea_upper srmr``; scaled where the test is. RMSEA counts
            rows less clusters within, and clusters between. Equalities over levels do not hold in these models. Where
            the baseline within has no maximum, a warning says what CFI and TLI rest on in its place.
        """
        table, raised = level_fit_table(self)
        announce(raised)
        return table.to_frame(kind)

    def icc(self, *, kind: FrameKind = "pandas") -> Any:
        """Return the unrestricted variances of each variable, and their intraclass correlation.

        Parameters
        ----------
        kind : {"pandas", "polars", "pyarrow"}

        Returns
        -------
        frame
            ``item mean var_within var_between icc``; the ICC is that of single rows, NaN for a variable of one level.
        """
        return self.sample.to_frame(kind)

    def modification_indices(self, *, minimum: float = 0.0, kind: FrameKind = "pandas") -> Any:
        """Return what each parameter that is not free would gain from being free; see ``StructuralFit``.

        Raises
        ------
        UnsupportedDataError
            With full information: the expected information of incomplete clusters is not computed.
        """
        if self.sample.cells is not None:
            raise UnsupportedDataError(
                "Modification indices need expected information, which is not computed for incomplete clusters: fit "
                "with missing='listwise' to look for them."
            )
        table = modification_table(self._fitted)
        rows = [row for row in table.rows() if row["mi"] >= minimum]
        return _leveled(Table.from_rows(rows, list(table.columns))).to_frame(kind)

    def residuals(self, residual: ResidualKind = "cor.bollen", *, kind: FrameKind = "pandas") -> Any:
        """Return unrestricted less implied moments: ``lhs op rhs level residual``.

        Parameters
        ----------
        residual : {"cor.bollen", "cor.bentler", "raw"}
            Correlations less implied correlations; covariances over unrestricted standard deviations; covariances.
            Those with standard errors are not available at two levels.
        kind : {"pandas", "polars", "pyarrow"}

        Raises
        ------
        UnsupportedDataError, OptionError
        """
        return level_residuals(self, residual).to_frame(kind)

    def r_square(self, *, kind: FrameKind = "pandas") -> Any:
        """Return the share of variance that the model explains at each level: ``name level r_square``."""
        return _leveled(squared_correlations(self._fitted)).to_frame(kind)

    def compare(self, other: StructuralFit, *, method: DifferenceMethod = "default") -> Comparison:
        """Test this model against another one that contains it, or the other way round.

        Loadings free at both levels against equal ones (``levels="free"`` and ``"equal"``) is the test of cross-level
        invariance.

        Parameters
        ----------
        other : StructuralFit
            A two-level model of the same data with the same estimator.
        method : {"default", "standard", "satorra.bentler.2001"}
            Default: the plain difference for ML, the mean-scaled one for MLR.

        Raises
        ------
        UnsupportedDataError, EstimationError, OptionError
        """
        if not isinstance(other, TwoLevelFit):
            raise UnsupportedDataError("A two-level model is compared with a two-level model.")
        if method in ("satorra.2000", "satorra.bentler.2010"):
            raise UnsupportedDataError(f"method={method!r} is not available at two levels: use the default.")
        found = compare_fits(self, other, method)
        return replace(found, rmsea=found.rmsea / math.sqrt(self.table.n_groups))  # levels are no groups of persons

    # ------------------------------------------------------------------- scores and composites
    def scores(
        self,
        data: Any = None,
        *,
        method: ScoreMethod | None = None,
        level: Level = "within",
        cluster: Any = None,
        se: bool = False,
        allow_inadmissible: bool = False,
        kind: FrameKind = "pandas",
    ) -> Any:
        """Return factor scores of a level: conditional means given all answers of the cluster (empirical Bayes).

        Parameters
        ----------
        data : frame or array, optional
            Persons to score, with ``cluster``; default: those of the fit.
        method : {"regression"}, optional
        level : {"within", "between"}
            A row a person (what sets them apart from their class), or a row a cluster, with its label and size.
        cluster : str or array (n,), optional
            Clusters of ``data``.
        se : bool
            Add ``<factor>_se``: standard deviation of the factor given the answers.
        allow_inadmissible : bool
            Score also with an improper solution.
        kind : {"pandas", "polars", "pyarrow"}

        Raises
        ------
        InadmissibleError, UnsupportedDataError, ModelError
        """
        self._usable("Factor scores", allow_inadmissible=allow_inadmissible)
        if method not in (None, "regression"):
            raise UnsupportedDataError(f"method={method!r}: two-level scores are regression (empirical Bayes) scores.")
        return level_scores(self, level, data, cluster, se=se, kind=kind)

    def reliability(
        self,
        *,
        n: float | None = None,
        conf_level: float | None = None,
        allow_inadmissible: bool = False,
        kind: FrameKind = "pandas",
    ) -> Any:
        """Return the reliabilities of the sum of each factor's items, each under its own id.

        Only ``omega_shared`` and ``icc2`` are about an observed class mean. ``omega_between`` is that of true class
        means, as if classes had endless students: it says nothing about a class of 20. Negative residual variances
        between, which are common, leave all of them defined; a coefficient above one is then warned about.

        Parameters
        ----------
        n : float, optional
            Class size of ``omega_shared`` and ``icc2``; default: the harmonic mean of the sizes.
        conf_level : float, optional
            Default: that of the fit. Intervals are Wald intervals from the delta method.
        allow_inadmissible : bool
            Compute them also from an improper solution.
        kind : {"pandas", "polars", "pyarrow"}

        Returns
        -------
        frame
            ``factor coefficient level n_items class_size estimate se lower upper``. ``omega_configural`` only where
            loadings are equal over levels. The formulas are in ``relmeasure.structural.two_level.reliability``.

        Raises
        ------
        InadmissibleError, OptionError

        References
        ----------
        Lai, M. H. C. (2021). Psychological Methods, 26, 90-102. Geldhof, G. J., Preacher, K. J., & Zyphur, M. J.
        (2014). Psychological Methods, 19, 72-91.
        """
        self._usable("Reliabilities", allow_inadmissible=allow_inadmissible)
        table, raised = reliability_table(self, n, self.conf_level if conf_level is None else conf_level)
        announce(raised)
        return table.to_frame(kind)

    def class_reliability(self, *, allow_inadmissible: bool = False, kind: FrameKind = "pandas") -> Any:
        """Return the reliability of each cluster's observed mean at its own size.

        Parameters
        ----------
        allow_inadmissible : bool
            Compute them also from an improper solution.
        kind : {"pandas", "polars", "pyarrow"}

        Returns
        -------
        frame
            ``cluster n`` and, for each factor between, ``<factor>_omega_shared`` and ``<factor>_icc2``.

        Raises
        ------
        InadmissibleError
        """
        self._usable("Reliabilities", allow_inadmissible=allow_inadmissible)
        return class_mean_table(self).to_frame(kind)

    def determinacy(self, *, kind: FrameKind = "pandas") -> Any:  # noqa: ARG002  # the base's signature
        """Not available at two levels: it depends on each cluster's size; see ``scores(se=True)``."""
        raise UnsupportedDataError("Determinacy depends on the cluster's size: see scores(level=..., se=True).")

    def htmt(self, *, geometric: bool = True, kind: FrameKind = "pandas") -> Any:  # noqa: ARG002  # as above
        """Not available at two levels."""
        raise UnsupportedDataError("The heterotrait-monotrait ratio is not available at two levels.")

    def bootstrap(
        self,
        n: int = 1000,  # noqa: ARG002  # as above
        *,
        rng: int | np.random.Generator,  # noqa: ARG002
        interval: IntervalKind = "percentile",  # noqa: ARG002
        conf_level: float | None = None,  # noqa: ARG002
        progress: Callable[[int, int], None] | None = None,  # noqa: ARG002
    ) -> Bootstrap:
        """Not available at two levels: use ``estimator="MLR"``."""
        raise UnsupportedDataError("The bootstrap is not available at two levels: use estimator='MLR'.")

    def _group_index(self, group: str | None) -> int:
        if group not in self.table.groups:
            raise OptionError.from_value("group", group, self.table.groups)
        return self.table.groups.index(group)

    def summary(self) -> str:
        """Return the method, the sizes, the fit, the estimates of each level, and what stands against them."""
        from relmeasure.structural.two_level.printing import summarize_levels

        return summarize_levels(self)


def _harmless(warning: HeywoodWarning, items: set[str]) -> bool:
    """Whether it tells of a bound, or of an item's residual variance between clusters."""
    own = warning.details
    return "bounds" in own or (own.get("name") in items and own.get("block") == "between")


def _leveled(table: Table) -> Table:
    """Name the column of groups after what it holds."""
    return Table({"level" if name == "group" else name: values for name, values in table.columns.items()})
