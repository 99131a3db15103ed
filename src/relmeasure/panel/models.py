"""Panel models written from variables and waves: cross-lagged, random-intercept cross-lagged, latent growth.

The builders return lavaan syntax, so that what is fitted can be read and checked elsewhere; ``sem`` fits it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from relmeasure.exceptions import OptionError, shorten

__all__ = ["cross_lagged_syntax", "growth_syntax", "random_intercept_syntax"]

Waves = Mapping[str, Sequence[str]]


def cross_lagged_syntax(variables: Waves, *, equal_lags: bool = False) -> str:
    """Write a cross-lagged panel model (CLPM).

    Each variable at a wave is regressed on all variables of the wave before; variables of one wave covary.

    Parameters
    ----------
    variables : mapping of name to sequence of str
        For each variable its columns, wave by wave: ``{"care": ["care_1", "care_2"], "thinking": [...]}``.
    equal_lags : bool
        The same weights between every pair of successive waves (stationarity).

    Returns
    -------
    str
        For ``sem(model, data)``. The model mixes stable differences between units with change within them; with three
        or more waves see ``random_intercept_syntax``.

    Raises
    ------
    OptionError
        Fewer than two variables or waves, unequal numbers of waves, a column named twice.

    Examples
    --------
    >>> print(cross_lagged_syntax({"x": ["x1", "x2"], "y": ["y1", "y2"]}))
    x2 ~ x1 + y1
    y2 ~ x1 + y1
    x1 ~~ y1
    x2 ~~ y2
    """
    waves = _checked(variables, at_least=2)
    lines = [
        line for earlier, later in zip(waves, waves[1:], strict=False) for line in _lags(earlier, later, equal_lags)
    ]
    lines += [line for wave in waves for line in _covariances(wave)]
    return "\n".join(lines)


def random_intercept_syntax(variables: Waves, *, equal_lags: bool = False) -> str:
    """Write a random-intercept cross-lagged panel model (RI-CLPM; Hamaker, Kuiper & Grasman, 2015).

    Stable differences between units are factors with unit loadings over all waves; lags are between the deviations from
    them. Fit it with ``sem(model, data, auto=False, missing="fiml")``: the string names every parameter.

    Parameters
    ----------
    variables : mapping of name to sequence of str
        For each variable its columns, wave by wave; at least three waves.
    equal_lags : bool
        The same weights between every pair of successive waves.

    Returns
    -------
    str

    Raises
    ------
    OptionError
        With fewer than three waves the stable part cannot be told from the lags: the model is not identified.

    References
    ----------
    Hamaker, E. L., Kuiper, R. M., & Grasman, R. P. P. P. (2015). Psychological Methods, 20, 102-116.

    Examples
    --------
    >>> text = random_intercept_syntax({"x": ["x1", "x2", "x3"], "y": ["y1", "y2", "y3"]})
    >>> text.splitlines()[0]
    'ri_x =~ 1*x1 + 1*x2 + 1*x3'
    """
    waves = _checked(variables, at_least=2)
    if len(waves) < 3:
        raise OptionError(
            f"A random-intercept model needs three waves; there are {len(waves)}. With two, stable differences between "
            "units cannot be told from lags: use cross_lagged_syntax, and say that it mixes the two."
        )
    names = list(variables)
    lines = [f"ri_{name} =~ " + " + ".join(f"1*{column}" for column in variables[name]) for name in names]
    within = [[f"w_{column}" for column in wave] for wave in waves]
    lines += [f"w_{column} =~ 1*{column}" for wave in waves for column in wave]
    for earlier, later in zip(within, within[1:], strict=False):
        lines += _lags(earlier, later, equal_lags)
    intercepts = [f"ri_{name}" for name in names]
    for block in (*within, intercepts):
        lines += [f"{name} ~~ {name}" for name in block] + _covariances(block)
    lines += [f"{intercept} ~~ 0*{first}" for intercept in intercepts for first in within[0]]
    lines += [f"{column} ~~ 0*{column}" for wave in waves for column in wave]
    lines += [f"{column} ~ 1" for wave in waves for column in wave]
    return "\n".join(lines)


def growth_syntax(
    columns: Sequence[str], *, predictors: Sequence[str] = (), times: Sequence[float] | None = None
) -> str:
    """Write a linear latent growth model: initial level and change, with predictors of both.

    Parameters
    ----------
    columns : sequence of str
        The variable, wave by wave; at least three waves.
    predictors : sequence of str
        Columns that predict initial level and change (the relationship at the first wave).
    times : sequence of float, optional
        Time of each wave; default 0, 1, 2, ...

    Returns
    -------
    str
        For ``sem(model, data, missing="fiml")``: factors ``level`` and ``change``, intercepts of the columns fixed to
        zero, means of the factors free.

    Raises
    ------
    OptionError
        Fewer than three waves, times that do not rise or differ in number.

    References
    ----------
    Bollen, K. A., & Curran, P. J. (2006). Latent curve models, ch. 2. Wiley.

    Examples
    --------
    >>> print(growth_syntax(["y1", "y2", "y3"], predictors=["care"]))
    level =~ 1*y1 + 1*y2 + 1*y3
    change =~ 0*y1 + 1*y2 + 2*y3
    y1 + y2 + y3 ~ 0*1
    level ~ 1 + care
    change ~ 1 + care
    level ~~ level + change
    change ~~ change
    """
    if len(columns) < 3:
        raise OptionError(f"A growth model needs three waves; there are {len(columns)}.")
    when = list(times) if times is not None else [float(k) for k in range(len(columns))]
    if len(when) != len(columns) or any(b <= a for a, b in zip(when, when[1:], strict=False)):
        raise OptionError(f"times={when}: one rising number a wave is needed, for {len(columns)} waves.")
    extra = "".join(f" + {name}" for name in predictors)
    return "\n".join(
        [
            "level =~ " + " + ".join(f"1*{column}" for column in columns),
            "change =~ " + " + ".join(f"{time:g}*{column}" for time, column in zip(when, columns, strict=True)),
            " + ".join(columns) + " ~ 0*1",
            f"level ~ 1{extra}",
            f"change ~ 1{extra}",
            "level ~~ level + change",
            "change ~~ change",
        ]
    )


# --------------------------------------------------------------------------- parts
def _lags(earlier: Sequence[str], later: Sequence[str], equal: bool) -> list[str]:
    lines = []
    for b, outcome in enumerate(later):
        terms = [f"b{b + 1}{a + 1}*{name}" if equal else name for a, name in enumerate(earlier)]
        lines.append(f"{outcome} ~ " + " + ".join(terms))
    return lines


def _covariances(names: Sequence[str]) -> list[str]:
    return [f"{a} ~~ {b}" for k, a in enumerate(names) for b in names[k + 1 :]]


def _checked(variables: Waves, *, at_least: int) -> list[list[str]]:
    """Columns wave by wave; every variable at every wave, every column once."""
    if len(variables) < 2:
        raise OptionError(f"{len(variables)} variable(s): a cross-lagged model needs two.")
    lengths = {name: len(columns) for name, columns in variables.items()}
    if len(set(lengths.values())) > 1:
        raise OptionError(f"Variables differ in their number of waves: {lengths}. Give each the same waves, in order.")
    waves = [list(wave) for wave in zip(*variables.values(), strict=True)]
    if len(waves) < at_least:
        raise OptionError(f"{len(waves)} wave(s): at least {at_least} are needed.")
    columns = [column for wave in waves for column in wave]
    twice = [column for column in dict.fromkeys(columns) if columns.count(column) > 1]
    if twice:
        raise OptionError(f"Columns named twice: {shorten(twice)}. Each belongs to one variable and wave.")
    return waves
