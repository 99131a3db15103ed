"""The result of a covariance-structure model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from relmeasure.exceptions import InadmissibleError, OptionError
from relmeasure.numerics.optimize import quadratic_form_rows
from relmeasure.results import FloatArray, FrameKind, Note, Provenance, Result, Status, Table, announce
from relmeasure.structural.estimation.cases import Cases
from relmeasure.structural.estimation.engine import Engine, Fitted
from relmeasure.structural.estimation.method import Method
from relmeasure.structural.estimation.samples import Sample
from relmeasure.structural.evaluation.residuals import ResidualKind, residual_table, squared_correlations
from relmeasure.structural.evaluation.standardized import standardized_solution
from relmeasure.structural.fitted.bootstrap import Bootstrap, IntervalKind, bootstrap_fit
from relmeasure.structural.fitted.compare import Comparison, DifferenceMethod, compare_fits
from relmeasure.structural.fitted.composites import composite_reliability, heterotrait_monotrait
from relmeasure.structural.fitted.score_frame import determinacy_table, score_frame
from relmeasure.structural.fitted.scores import ScoreMethod
from relmeasure.structural.language.parameter_table import ParameterTable
from relmeasure.structural.language.restrictions import evaluate_definitions

__all__ = ["StructuralFit"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class StructuralFit(Result):
    """A fitted covariance-structure model.

    Attributes
    ----------
    function : str
        ``"cfa"`` or ``"sem"``.
    table : ParameterTable
        The parameters: what is free, fixed, equal.
    sample : Sample
        The sample statistics it rests on.
    method : Method
        Estimator, standard errors, test.
    x : array (q,)
        Free parameters, in the order of the table.
    covariance : array (q, q)
        Their covariance matrix; NaN where there is none.
    indices : dict
        Fit indices under lavaan's names; see ``fit_measures``.
    status : Status
        Whether it converged, is admissible, is identified; what stands against it.
    n_iterations : int
        Steps of the minimisation.
    active : tuple of str
        Inequality constraints that hold as equalities.
    conf_level : float
        Level of the intervals.
    provenance : Provenance
    warnings : tuple of Note
        Everything that was warned about.
    """

    function: str
    table: ParameterTable
    sample: Sample
    method: Method
    x: FloatArray
    covariance: FloatArray
    indices: dict[str, float]
    status: Status
    n_iterations: int
    active: tuple[str, ...]
    conf_level: float
    provenance: Provenance
    warnings: tuple[Note, ...] = ()

    # ------------------------------------------------------------------- inside
    @cached_property
    def _fitted(self) -> Fitted:
        engine = Engine(self.table, self.sample, self.method, self._cases)
        active = tuple(r for r in engine.restrictions.inequalities if r.text in self.active)
        return Fitted(engine, np.asarray(self.x), active)

    @property
    def _cases(self) -> Cases | None:
        """Rows behind the fit; None after ``from_dict`` and when moments were handed in."""
        found: Cases | None = self.__dict__.get("_rows")
        return found

    def _with_rows(
        self, cases: Cases | None, fitted: Fitted | None = None, n_rows: int = 0, index: Any = None
    ) -> StructuralFit:
        """Keep the rows, and what is computed already, beside the fields; neither is written to a dict."""
        self.__dict__["_rows"] = cases
        self.__dict__["_row_index"] = (n_rows, index)
        if fitted is not None:
            self.__dict__["_fitted"] = fitted
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_fitted"}

    def _usable(self, what: str, *, allow_inadmissible: bool) -> None:
        """Refuse numbers that an improper solution cannot give."""
        if self.status.level == "failed" and not self.status.converged:
            raise InadmissibleError(f"{what} need a converged solution: {' '.join(self.status.reasons)}")
        if self.status.admissible is False and not allow_inadmissible:
            raise InadmissibleError(
                f"{what} of an inadmissible solution mean nothing: {' '.join(self.status.reasons)} "
                "Pass allow_inadmissible=True to compute them all the same.",
                reasons=list(self.status.reasons),
            )

    # ------------------------------------------------------------------- estimates
    def parameters(
        self, *, standardized: bool = False, conf_level: float | None = None, kind: FrameKind = "pandas"
    ) -> Any:
        """Return the estimates, one row a parameter.

        Parameters
        ----------
        standardized : bool
            Add ``std_lv`` and ``std_all`` with their own delta-method standard errors.
        conf_level : float, optional
            Level of the intervals; default: that of the fit.
        kind : {"pandas", "polars", "pyarrow"}

        Returns
        -------
        frame
            ``lhs op rhs group label est se z pvalue lower upper`` (and ``std_lv std_all std_lv_se std_all_se``). Fixed
            parameters have standard error 0 and no test; intervals are ``est -/+ z se``.
        """
        return self._parameters(standardized=standardized, conf_level=conf_level).to_frame(kind)

    def _parameters(self, *, standardized: bool = False, conf_level: float | None = None) -> Table:
        table, rows = self.table, self.table.reported
        estimates, jacobian = self._estimates()
        se = self._errors(jacobian)
        columns: dict[str, Any] = {
            "lhs": (*(table.lhs[i] for i in rows), *table.definitions),
            "op": (*(table.op[i] for i in rows), *(":=" for _ in table.definitions)),
            "rhs": (*(table.rhs[i] for i in rows), *table.definitions.values()),
            "group": (*(table.groups[table.group[i] - 1] for i in rows), *("" for _ in table.definitions)),
            "label": (*(_own_label(table.label[i]) for i in rows), *table.definitions),
            "est": tuple(estimates),
            "se": tuple(se),
            **_wald(estimates, se, self.conf_level if conf_level is None else conf_level),
        }
        if standardized:
            columns |= self._standardized()
        return Table(columns)

    def _estimates(self) -> tuple[Array, Array]:
        """Values of all rows and of the definitions, with their Jacobian over the free parameters."""
        return self._with_definitions(self._fitted.row_values, self._fitted.row_jacobian)

    def _errors(self, jacobian: Array) -> Array:
        """Delta-method standard errors; NaN where the estimates have none."""
        if np.isnan(self.covariance).any():
            moving = np.abs(jacobian).max(axis=1, initial=0.0) > 0
            return np.where(moving, np.nan, 0.0)
        variances = quadratic_form_rows(jacobian, np.asarray(self.covariance))
        errors = np.sqrt(np.maximum(variances, 0.0))
        if self.active:  # what stands at a bound has no standard error
            size = quadratic_form_rows(jacobian, np.diag(np.diag(np.asarray(self.covariance)) + 1e-12))
            moving = np.abs(jacobian).max(axis=1, initial=0.0) > 0
            errors[moving & (variances <= 1e-10 * size + 1e-14)] = np.nan
        return errors

    def _standardized(self) -> dict[str, tuple[float, ...]]:
        out = {}
        for name in ("std_lv", "std_all"):
            values, jacobian = standardized_solution(self._fitted, name)
            values, jacobian = self._with_definitions(values, jacobian)
            out[name], out[f"{name}_se"] = tuple(values), tuple(self._errors(jacobian))
        return {name: out[name] for name in ("std_lv", "std_all", "std_lv_se", "std_all_se")}

    def _with_definitions(self, values: Array, jacobian: Array) -> tuple[Array, Array]:
        """Append the defined parameters, computed from these values of the rows."""
        defined, slopes = evaluate_definitions(self.table, values, jacobian)
        rows = list(self.table.reported)
        return np.concatenate([values[rows], defined]), np.concatenate([jacobian[rows], slopes])

    def vcov(self, *, kind: FrameKind = "pandas") -> Any:
        """Return the covariance matrix of the free parameters as a frame with their names."""
        names = self.table.free_names
        columns: dict[str, Any] = {"parameter": names}
        columns |= {name: tuple(self.covariance[:, i]) for i, name in enumerate(_distinct(names))}
        return Table(columns).to_frame(kind)

    def bootstrap(
        self,
        n: int = 1000,
        *,
        rng: int | np.random.Generator,
        interval: IntervalKind = "percentile",
        conf_level: float | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Bootstrap:
        """Draw persons (within groups) or whole clusters again, refit, and return the draws with intervals.

        Parameters
        ----------
        n : int
            Draws.
        rng : int or Generator
            Seed; each draw has a generator of its own.
        interval : {"percentile", "bias_corrected", "normal"}
        conf_level : float, optional
            Default: that of the fit.
        progress : callable, optional
            Called with the number done and ``n``.

        Raises
        ------
        UnsupportedDataError
            No rows, or ordered items.
        """
        level = self.conf_level if conf_level is None else conf_level
        return bootstrap_fit(self, n, rng=rng, interval=interval, conf_level=level, progress=progress)

    # ------------------------------------------------------------------- fit
    def fit_measures(self, names: str | list[str] | None = None) -> dict[str, float]:
        """Return fit indices under lavaan's names.

        Plain names are naive; ``.scaled`` rests on the scaled chi-square; ``.robust`` is the consistent version. What
        is not defined for the estimator is absent.

        Parameters
        ----------
        names : str or list of str, optional
            Only these.

        Raises
        ------
        OptionError
            A name that this fit does not have.
        """
        if names is None:
            return dict(self.indices)
        wanted = [names] if isinstance(names, str) else list(names)
        for name in wanted:
            if name not in self.indices:
                raise OptionError.from_value("names", name, self.indices)
        return {name: self.indices[name] for name in wanted}

    def modification_indices(self, *, minimum: float = 0.0, kind: FrameKind = "pandas") -> Any:
        """Return what each parameter that is not free would gain from being free, the largest first.

        Parameters
        ----------
        minimum : float
            Leave out indices below this.
        kind : {"pandas", "polars", "pyarrow"}

        Returns
        -------
        frame
            ``lhs op rhs group mi pvalue epc sepc_lv sepc_all sepc_nox``: index, p-value (one degree of freedom),
            expected change, and the change standardised as ``std_lv``, ``std_all``, and all but exogenous variables.
            Parameters that the data cannot determine beside the others are left out. Freeing what an index proposes is
            data-driven: check it on other data.
        """
        from relmeasure.structural.evaluation.modification import modification_table

        table = modification_table(self._fitted)
        return Table.from_rows([r for r in table.rows() if r["mi"] >= minimum], list(table.columns)).to_frame(kind)

    def residuals(self, residual: ResidualKind = "cor.bollen", *, kind: FrameKind = "pandas") -> Any:
        """Return residual moments, one row a moment: ``lhs op rhs group residual``.

        Parameters
        ----------
        residual : {"cor.bollen", "cor.bentler", "raw", "normalized", "standardized"}
            Correlations less implied correlations; covariances over the sample's standard deviations; covariances as
            they are; over the standard error of the sample moment; over that of the residual. Standard errors are
            normal-theory; with ordered items, from the covariance matrix of thresholds and correlations, and there are
            rows for thresholds.
        kind : {"pandas", "polars", "pyarrow"}
        """
        return residual_table(self._fitted, residual).to_frame(kind)

    def r_square(self, *, kind: FrameKind = "pandas") -> Any:
        """Return the share of variance that the model explains: ``name group r_square``."""
        return squared_correlations(self._fitted).to_frame(kind)

    def compare(self, other: StructuralFit, *, method: DifferenceMethod = "default") -> Comparison:
        """Test this model against another one that contains it, or the other way round.

        Parameters
        ----------
        other : StructuralFit
            Fitted to the same data with the same estimator.
        method : str
            Default: the plain difference for unscaled tests, Satorra and Bentler (2001) for MLM and MLR, Satorra (2000)
            for WLSMV. ``"satorra.bentler.2010"`` is the strictly positive version. Scaled statistics are never
            subtracted.

        Raises
        ------
        UnsupportedDataError, EstimationError, OptionError
        """
        return compare_fits(self, other, method)

    # ------------------------------------------------------------------- scores and composites
    def scores(
        self,
        data: Any = None,
        *,
        method: ScoreMethod | None = None,
        se: bool = False,
        allow_inadmissible: bool = False,
        kind: FrameKind = "pandas",
    ) -> Any:
        """Return factor scores, one row a person, in the order of the data.

        Parameters
        ----------
        data : frame or array, optional
            Persons to score; default: those of the fit. A fit restored from a dict has no rows and needs them.
        method : {"regression", "bartlett", "ebm", "ml"}, optional
            Conditional means (shrunk towards the mean; best correlation with the factor; the default), or conditionally
            unbiased scores. With ordered items: modes of the posterior (empirical Bayes modal, the default) or of the
            likelihood (NaN where it has no maximum: all answers extreme).
        se : bool
            Add ``<factor>_se``: standard deviation of factor given score, or of score given factor.
        allow_inadmissible : bool
            Score also with an improper solution.
        kind : {"pandas", "polars", "pyarrow"}

        Returns
        -------
        frame
            One column a factor; NaN for rows that were dropped. A pandas frame keeps the index of the data.

        Raises
        ------
        InadmissibleError, UnsupportedDataError, EstimationError
        """
        self._usable("Factor scores", allow_inadmissible=allow_inadmissible)
        chosen = method or ("ebm" if self.method.ordinal else "regression")
        return score_frame(self, chosen, data, se=se, kind=kind)

    def determinacy(self, *, kind: FrameKind = "pandas") -> Any:
        """Return each factor's determinacy: the correlation of the factor with its score.

        Continuous items: of the regression score. Ordered items: of the empirical Bayes modal score, the square root of
        its marginal reliability over the rows of the fit. Below .8 the scores are not fit for decisions about single
        persons (Gorsuch, 1983, Factor Analysis, 260).

        Raises
        ------
        InadmissibleError, UnsupportedDataError
        """
        self._usable("Determinacies", allow_inadmissible=False)
        return determinacy_table(self._fitted).to_frame(kind)

    def reliability(self, *, allow_inadmissible: bool = False, kind: FrameKind = "pandas") -> Any:
        """Return reliabilities of the sum of each factor's items, from this fit.

        Parameters
        ----------
        allow_inadmissible : bool
            Compute them also from an improper solution.
        kind : {"pandas", "polars", "pyarrow"}

        Returns
        -------
        frame
            ``factor group n_items omega_implied omega_observed alpha ave composite_reliability maximal_reliability
            determinacy metric``: omega over the implied and over the observed variance of the sum; alpha of the sample
            covariances; average variance extracted; common over common plus residual variances; Hancock and Mueller's
            H; determinacy of the scores; whether all this is about ``"answers"`` or, with ordered items, about
            ``"latent responses"`` of unit variance, whose sum is more reliable than a sum of the categories.

        Raises
        ------
        InadmissibleError
        """
        self._usable("Reliabilities", allow_inadmissible=allow_inadmissible)
        table, raised = composite_reliability(self._fitted)
        announce(raised)
        return table.to_frame(kind)

    def htmt(self, *, geometric: bool = True, kind: FrameKind = "pandas") -> Any:
        """Return the heterotrait-monotrait ratio of each pair of factors.

        Parameters
        ----------
        geometric : bool
            Geometric means (HTMT2), or arithmetic ones (HTMT).
        kind : {"pandas", "polars", "pyarrow"}
        """
        return heterotrait_monotrait(self._fitted, geometric=geometric).to_frame(kind)

    @property
    def n_obs(self) -> int:
        """Rows used."""
        return self.sample.n_obs

    @property
    def converged(self) -> bool:
        """Whether the minimisation converged."""
        return bool(self.status.converged)

    def implied(self, group: str | None = None) -> dict[str, Array]:
        """Return the implied moments of a group: ``cov`` (p, p), ``mean`` (p,), ``factor_cov`` and ``factor_mean``."""
        state = self._fitted.states[self._group_index(group)]
        p = state.structure.n_observed
        return {"cov": state.sigma, "mean": state.mu, "factor_cov": state.V[p:, p:], "factor_mean": state.nu[p:]}

    def _group_index(self, group: str | None) -> int:
        groups = self.table.groups
        if group is None and len(groups) == 1:
            return 0
        if group not in groups:
            raise OptionError.from_value("group", group, groups)
        return groups.index(group)

    def _table(self) -> Table:
        return self._parameters()

    def summary(self) -> str:
        """Return the method, the fit, the estimates, and what stands against them."""
        from relmeasure.structural.fitted.printing import summarize

        return summarize(self)


def _wald(estimates: Array, se: Array, level: float) -> dict[str, tuple[float, ...]]:
    """``z``, ``pvalue``, ``lower``, ``upper``."""
    from scipy.special import ndtr, ndtri

    if not 0.0 < level < 1.0:
        raise OptionError.from_value("conf_level", level, ("a number between 0 and 1",))
    z = np.divide(estimates, se, out=np.full_like(estimates, math.nan), where=se > 0)
    half = float(ndtri(0.5 + level / 2.0)) * se
    return {
        "z": tuple(z),
        "pvalue": tuple(2.0 * ndtr(-np.abs(z))),
        "lower": tuple(estimates - half),
        "upper": tuple(estimates + half),
    }


def _own_label(label: str) -> str:
    """Labels that start with a dot were made up to equate parameters."""
    return "" if label.startswith(".") else label


def _distinct(names: tuple[str, ...]) -> list[str]:
    """Equal labels get a number behind them."""
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name} [{seen[name]}]")
    return out
