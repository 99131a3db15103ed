"""The tests and the indices of a fitted model: what is computed from the estimates, and against which baseline.

References
----------
Satorra, A., & Bentler, P. M. (1994) (mean-scaled test). Yuan, K.-H., & Bentler, P. M. (2000). Sociological Methodology,
30, 165-200; Asparouhov, T., & Muthen, B. (2005), eq. 8 (the version of MLR). Browne, M. W. (1984). British Journal of
Mathematical and Statistical Psychology, 37, 62-83, eq. 2.20 (residual-based test).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from relmeasure.structural.estimation.cases import fitted_weight_trace, saturated_meat_trace
from relmeasure.structural.estimation.discrepancy import MomentLeastSquares, stack_moments, weigh
from relmeasure.structural.estimation.engine import Engine, Fitted
from relmeasure.structural.estimation.full_information import FullInformation, pattern_deviance, pattern_inverses
from relmeasure.structural.estimation.implied import BlockState
from relmeasure.structural.estimation.samples import GroupSample
from relmeasure.structural.estimation.saturated import available_moments, saturated_information, saturated_meat
from relmeasure.structural.estimation.solving import solve
from relmeasure.structural.estimation.start import starting_values
from relmeasure.structural.evaluation.categorical import (
    categorical_lack,
    categorical_residuals,
    categorical_robust,
    categorical_test,
    weighted_root_mean_square_residual,
)
from relmeasure.structural.evaluation.corrected import IncompleteMoments, corrected_test
from relmeasure.structural.evaluation.fit_measures import (
    ChiSquare,
    chi_square_pvalue,
    comparative_indices,
    information_criteria,
    residual_indices,
    rmsea_indices,
    sample_size_indices,
)
from relmeasure.structural.language.parameter_table import ParameterTable, Row, exogenous_index

__all__ = [
    "baseline_table",
    "chi_square",
    "chi_square_entries",
    "fit_baseline",
    "log_likelihoods",
    "measures",
    "n_moments",
]

Array = np.ndarray[Any, np.dtype[Any]]


_NOT_ORDINAL = ("srmr_mplus", "srmr_mplus_nomean", "ecvi")
"""Indices that have no definition with ordered items."""

_NO_TEST = dict.fromkeys(
    ("chisq.scaled", "df.scaled", "pvalue.scaled", "chisq.scaling.factor", "cfi.scaled", "tli.scaled", "rmsea.scaled"),
    math.nan,
)
"""What a scaled test would give, where a model that is not identified has none."""


def n_moments(table: ParameterTable) -> int:
    """Number of sample moments that a model explains: fixed exogenous ones are left out."""
    p = len(table.observed)
    each = p * (p + 1) // 2 + (p if table.mean_structure else 0)
    return each * table.n_groups - sum(exo and not free for exo, free in zip(table.exo, table.free, strict=True))


# --------------------------------------------------------------------------- the baseline
def baseline_table(table: ParameterTable) -> ParameterTable:
    """Return the independence model: variances and means free, moments of exogenous variables as they are."""
    extra = set(table.auxiliary)
    rows = [row for row in table.rows() if row.exo or row.lhs in extra or row.rhs in extra]
    for row in rows:
        row.label = ""
    known = {row.key for row in rows}
    for group in range(1, table.n_groups + 1):
        for name in table.observed:
            if name in table.ordered:
                rows += _ordered_alone(table, name, group)
                continue
            own = [Row(name, "~~", name, group)]
            if table.mean_structure:
                own.append(Row(name, "~1", "", group))
            rows += [row for row in own if row.key not in known]
    return ParameterTable.from_rows(
        rows,
        observed=table.observed,
        latent=(),
        groups=table.groups,
        mean_structure=table.mean_structure,
        ordered=table.ordered,
        auxiliary=table.auxiliary,
    )


def _ordered_alone(table: ParameterTable, name: str, group: int) -> list[Row]:
    """Rows of an ordered item that is related to nothing: free thresholds, unit variance."""
    rows = [
        Row(name, "|", table.rhs[r], group)
        for r in range(len(table))
        if table.op[r] == "|" and table.lhs[r] == name and table.group[r] == group
    ]
    scale, residual = Row(name, "~*~", name, group), Row(name, "~~", name, group, is_free=False, derived=True)
    scale.fix(1.0)
    return [*rows, scale, residual]


def fit_baseline(engine: Engine) -> Fitted:
    """Fit the independence model; in closed form where there is one."""
    table = baseline_table(engine.table)
    other = Engine(table, engine.sample, engine.method, engine.cases)
    if engine.method.ordinal:
        start = starting_values(table, engine.sample.groups)
        if engine.method.discrepancy != "WLS":
            return Fitted(other, start)
        return Fitted(other, solve(other.discrepancy, other.restrictions, start).x)
    unbiased = not engine.method.is_likelihood
    at = {name: i for i, name in enumerate(table.observed)}
    x = np.zeros(table.n_free)
    for row in table.free_rows:
        group, i = engine.sample.groups[table.group[row] - 1], at[table.lhs[row]]
        if table.op[row] == "~1":
            x[table.free[row] - 1] = group.mean[i]
        else:
            cov = group.unbiased if unbiased else group.cov
            x[table.free[row] - 1] = cov[i, at[table.rhs[row]]]
    if engine.method.discrepancy in ("ML", "ULS", "DWLS"):
        return Fitted(other, x)
    return Fitted(other, solve(other.discrepancy, other.restrictions, x).x)


# --------------------------------------------------------------------------- tests
def chi_square(fitted: Fitted) -> ChiSquare:
    """Return the test of a fitted model against the saturated one."""
    engine = fitted.engine
    df = modelled_moments(engine) - fitted.n_parameters
    if engine.method.test == "browne.residual.nt":
        return ChiSquare(residual_test(fitted), df)
    chisq = 2.0 * fitted.value * engine.n_effective
    if not engine.method.robust:
        return ChiSquare(chisq, df)
    if engine.method.ordinal:
        return categorical_test(fitted, chisq, df)
    if df == 0 or fitted.bread is None:
        return ChiSquare(chisq, df, 1.0 if df == 0 else math.nan)
    inner = float((fitted.bread * fitted.meat).sum())
    outer = saturated_trace(fitted)
    count = n_moments(engine.table)
    h0 = inner / engine.table.n_free if engine.table.n_free else math.nan
    return ChiSquare(chisq, df, (outer - inner) / df, factors=(outer / count, h0))


def modelled_moments(engine: Engine) -> int:
    """Number of sample moments that an engine's model explains."""
    if engine.method.ordinal:
        return sum(len(group.moment_names) for group in engine.sample.groups)
    return n_moments(engine.table)


def saturated_trace(fitted: Fitted) -> float:
    """Return ``tr(A^{-1} B)`` of the saturated model, fixed exogenous variables left out."""
    engine, total = fitted.engine, 0.0
    cases = engine.cases
    if cases is None:
        return math.nan
    exo = exogenous_index(engine.table)
    means = engine.table.mean_structure
    for k, group in enumerate(engine.sample.groups):
        if group.patterns is not None:
            bread = np.linalg.inv(saturated_information(group, np.asarray(group.mean), np.asarray(group.cov)))
            total += float((bread * saturated_meat(cases.groups[k], group.mean, group.cov)).sum())
            if exo:
                part, rows = group.subset(exo), cases.groups[k].subset(exo)
                total -= saturated_meat_trace(rows, part.mean, part.cov, means=means)
            continue
        if engine.method.test == "satorra.bentler":
            deviations = cases.groups[k].rows - group.mean
            total += fitted_weight_trace(deviations, fitted.inverses[k], exo, means=means)
            continue
        total += saturated_meat_trace(cases.groups[k], group.mean, group.cov, means=means)
        if exo:
            part, rest = group.subset(exo), cases.groups[k].subset(exo)
            total -= saturated_meat_trace(rest, part.mean, part.cov, means=means)
    return total


def residual_test(fitted: Fitted) -> float:
    """Return Browne's residual-based test with normal-theory weights at the sample covariances."""
    engine = fitted.engine
    total, slopes, blocks = 0.0, [], []
    for k, state in enumerate(fitted.states):
        group, weight = engine.sample.groups[k], engine.weights[k]
        W = np.linalg.inv(group.unbiased)
        R = W @ (group.unbiased - state.sigma) @ W
        w = None
        total += weight * 0.5 * float((R * (group.unbiased - state.sigma)).sum())
        if state.structure.has_means:
            d = group.mean - state.mu
            w = W @ d
            total += weight * float(d @ w)
        slopes.append(weight * state.slopes(0.5 * R, w))
        blocks.append(weight * state.cross_information(W))
    structure = engine.structure
    gradient = structure.scatter_vector(slopes)
    inverse = fitted.inverse_within(structure.scatter_matrix(blocks))
    if inverse is None:
        return math.nan
    return engine.n_effective * (total - float(gradient @ inverse @ gradient))


# --------------------------------------------------------------------------- likelihood
def log_likelihoods(fitted: Fitted) -> tuple[float, float]:
    """Return the log-likelihoods of the model and of the saturated model, given fixed exogenous variables.

    With ``likelihood="wishart"`` the covariances with divisor n - 1 stand in, as in lavaan.
    """
    engine = fitted.engine
    unbiased = engine.method.likelihood == "wishart"
    exo = exogenous_index(engine.table)
    model = saturated = 0.0
    for k, group in enumerate(engine.sample.groups):
        state = fitted.states[k]
        p, n = len(group.cov), group.mass
        d = group.mean - state.mu if state.structure.has_means else np.zeros(p)
        constant = p * math.log(2.0 * math.pi)
        if group.patterns is not None:
            part = _incomplete_log_likelihoods(fitted, k)
            model, saturated = model + part[0], saturated + part[1]
            S = group.cov
        else:
            S = group.unbiased if unbiased else group.cov
            T = S + np.outer(d, d)
            log_det = float(np.linalg.slogdet(state.sigma)[1])
            model -= 0.5 * n * (constant + log_det + float((fitted.inverses[k] * T).sum()))
            saturated -= 0.5 * n * (constant + float(np.linalg.slogdet(S)[1]) + p)
        if exo:  # complete in every row that is used
            inner = S[np.ix_(exo, exo)]
            own = -0.5 * n * (len(exo) * (math.log(2.0 * math.pi) + 1.0) + float(np.linalg.slogdet(inner)[1]))
            model, saturated = model - own, saturated - own
    return model, saturated


def _incomplete_log_likelihoods(fitted: Fitted, k: int) -> tuple[float, float]:
    """Return the log-likelihoods of a group with missing answers."""
    discrepancy = fitted.engine.discrepancy
    inverses = discrepancy.inverses(fitted.x) if isinstance(discrepancy, FullInformation) else None
    if not isinstance(discrepancy, FullInformation) or inverses is None:
        return math.nan, math.nan
    patterns, n = discrepancy.patterns[k], fitted.engine.sample.groups[k].mass
    share = np.asarray(patterns.weight) / float(np.asarray(patterns.weight).sum())
    constant = math.log(2.0 * math.pi) * float(share @ patterns.observed.sum(axis=1))
    deviance = pattern_deviance(patterns, fitted.states[k].mu, inverses[k])
    return -0.5 * n * (deviance + constant), -0.5 * n * (discrepancy.saturated[k] + constant)


def goodness_of_fit(fitted: Fitted, df: float) -> dict[str, float]:
    """Return GFI, AGFI and PGFI: weighted squares of residuals over those of the sample moments (lavaan 0.6).

    With groups, the mean of their indices, weighted by their sizes.
    """
    engine = fitted.engine
    means = engine.table.mean_structure
    exo = exogenous_index(engine.table)
    if engine.method.ordinal:
        return _gfi(*categorical_lack(fitted), df)
    lack = 0.0
    for k, state in enumerate(fitted.states):
        group, weight = engine.sample.groups[k], engine.weights[k]
        if group.patterns is not None:
            part, rest = _incomplete_squares(group, state, exo)
            lack += weight * part / rest
            continue
        S = group.cov if engine.method.is_likelihood else group.unbiased
        V = engine.discrepancy.V[k] if isinstance(engine.discrepancy, MomentLeastSquares) else None
        W = np.linalg.inv(S if engine.method.discrepancy == "GLS" else state.sigma)
        S0, m0 = _without(np.asarray(S), np.asarray(group.mean), exo)
        squares = []
        for moments, center in ((S - state.sigma, group.mean - state.mu), (S0, m0)):
            vector = center if means else None
            if V is None:
                squares.append(_weighted_square(moments, vector, W))
            else:
                stacked = stack_moments(moments, vector)
                squares.append(float(stacked @ weigh(V, stacked)))
        lack += weight * squares[0] / squares[1]
    p = len(engine.table.observed)
    count = (p * (p + 1) // 2 + (p if means else 0)) * engine.table.n_groups
    return _gfi(lack, count, df)


def _gfi(lack: float, count: int, df: float) -> dict[str, float]:
    gfi = 1.0 - lack
    return {
        "gfi": gfi,
        "agfi": 1.0 - count / df * (1.0 - gfi) if df > 0 else 1.0,
        "pgfi": df / count * gfi,
    }


def _without(S: Array, mean: Array, exo: list[int]) -> tuple[Array, Array]:
    """Set the moments of fixed exogenous variables to zero: they are not modelled."""
    if not exo:
        return S, mean
    S, mean = S.copy(), mean.copy()
    S[np.ix_(exo, exo)] = 0.0
    mean[exo] = 0.0
    return S, mean


def _incomplete_squares(group: GroupSample, state: BlockState, exo: list[int]) -> tuple[float, float]:
    """Weighted squares of residuals and of available-case moments; weights: information given the patterns.

    Under sampling weights the unrestricted (EM) moments stand for those of the available cases. As in lavaan 0.6.
    """
    patterns = group.patterns
    found = None if patterns is None else pattern_inverses(np.asarray(patterns.observed), state.sigma)
    if patterns is None or found is None:
        return math.nan, math.nan
    mean, cov = (group.mean, group.cov) if patterns.weighted else available_moments(patterns)
    share = np.asarray(patterns.weight) / float(np.asarray(patterns.weight).sum())
    out = []
    for moments, center in ((cov - state.sigma, mean - state.mu), _without(np.asarray(cov), np.asarray(mean), exo)):
        A = found.W @ moments
        squares = 0.5 * (A * A.transpose(0, 2, 1)).sum(axis=(1, 2)) + (found.W @ center) @ center
        out.append(float(share @ squares))
    return out[0], out[1]


def _weighted_square(moments: Array, center: Array | None, W: Array) -> float:
    A = W @ moments
    out = 0.5 * float((A * A.T).sum())
    return out + (float(center @ W @ center) if center is not None else 0.0)


# --------------------------------------------------------------------------- all of it
def measures(fitted: Fitted, baseline: Fitted | None) -> dict[str, float]:
    """Return every index that is defined for the method, under lavaan's names."""
    engine = fitted.engine
    test = chi_square(fitted)
    n, groups = engine.n_effective, engine.table.n_groups
    likelihood = engine.method.discrepancy in ("ML", "FIML")
    npar = fitted.n_parameters
    out = {
        "npar": float(npar),
        "fmin": fitted.value * (1.0 if likelihood else engine.n_effective / engine.sample.n_obs),
        **(_NO_TEST if engine.method.robust and not test.is_scaled else {}),
        **chi_square_entries(test, ""),
    }
    robust = None
    if baseline is not None:
        base = chi_square(baseline)
        out |= chi_square_entries(base, "baseline.")
        robust = robust_pair(fitted, test, baseline, base)
        if test.df >= 0:
            out |= comparative_indices(test, base, robust)
    if likelihood:
        out |= information_criteria(*log_likelihoods(fitted), npar, engine.sample.n_obs)
        if engine.method.test == "yuan.bentler.mplus":
            out |= dict(zip(("scaling.factor.h1", "scaling.factor.h0"), test.factors, strict=True))
    else:
        out["ntotal"] = float(engine.sample.n_obs)
    out |= rmsea_indices(test, n, groups, robust[0] if robust else None, engine.sample.n_obs)
    out |= residual_indices(residual_moments(fitted), engine.sample.shares, means=engine.table.mean_structure)
    out |= sample_size_indices(test, n, npar, groups)
    if engine.method.ordinal and engine.method.discrepancy != "WLS":
        out["pvalue"] = math.nan  # the plain statistic has no chi-square distribution
    if engine.method.ordinal:
        out = {name: value for name, value in out.items() if name not in _NOT_ORDINAL}
        out["wrmr"] = weighted_root_mean_square_residual(fitted)
    return out | goodness_of_fit(fitted, test.df)


def robust_pair(
    fitted: Fitted, test: ChiSquare, baseline: Fitted, base: ChiSquare
) -> tuple[ChiSquare, ChiSquare] | None:
    """Return the statistics that robust indices rest on; None where there are none."""
    engine = fitted.engine
    if engine.method.discrepancy == "FIML" and test.df > 0:
        moments = IncompleteMoments(fitted, exogenous_index(engine.table))
        pair = corrected_test(fitted, test.df, moments), corrected_test(baseline, base.df, moments)
        return None if math.isnan(pair[0].chisq) or math.isnan(pair[1].chisq) else pair
    if engine.method.ordinal and test.is_scaled:
        one, zero = categorical_robust(fitted, test.df), categorical_robust(baseline, base.df)
        return None if one is None or zero is None else (one, zero)
    return (test, base) if test.is_scaled and base.is_scaled else None


def residual_moments(fitted: Fitted) -> list[dict[str, Array]]:
    """Return sample and implied moments of each group."""
    engine = fitted.engine
    if engine.method.ordinal:
        return [categorical_residuals(fitted, k) for k in range(len(fitted.states))]
    biased = engine.method.is_likelihood
    own = [i for i, name in enumerate(engine.table.observed) if name not in engine.table.auxiliary]
    square = np.ix_(own, own)
    return [
        {
            "S": np.asarray(group.cov if biased else group.unbiased)[square],
            "sigma": state.sigma[square],
            "m": np.asarray(group.mean)[own],
            "mu": (state.mu if state.structure.has_means else np.asarray(group.mean))[own],
        }
        for group, state in zip(engine.sample.groups, fitted.states, strict=True)
    ]


def chi_square_entries(test: ChiSquare, prefix: str) -> dict[str, float]:
    """Return a test under the names of fit measures, its scaled version too where there is one."""
    out = {
        f"{prefix}chisq": test.chisq,
        f"{prefix}df": float(test.df),
        f"{prefix}pvalue": chi_square_pvalue(test.chisq, test.df),
    }
    if test.is_scaled:
        out |= {
            f"{prefix}chisq.scaled": test.scaled,
            f"{prefix}df.scaled": float(test.df),
            f"{prefix}pvalue.scaled": chi_square_pvalue(test.scaled, test.df),
            f"{prefix}chisq.scaling.factor": test.scaling_factor,
        }
    return out
