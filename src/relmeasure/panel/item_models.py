"""Cross-lagged models of items: factors behind the answers, at the level of persons or of persons and classes.

The builders write lavaan's language; ``sem`` fits it, with ``cluster=`` for both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from relmeasure.exceptions import OptionError, shorten

__all__ = ["doubly_latent_syntax", "latent_cross_lagged_syntax"]

Items = Mapping[str, Sequence[Sequence[str]]]


def latent_cross_lagged_syntax(items: Items) -> str:
    """Write a latent cross-lagged panel model of the same persons over waves.

    Loadings of an item are the same in every wave (metric invariance, to be tested first), residuals of an item covary
    over waves, factors of the first wave have a variance of one.

    Parameters
    ----------
    items : mapping of name to sequence of sequence of str
        For each variable its items wave by wave, in the same order: ``{"se": [["a1", "a2"], ["b1", "b2"]], ...}``.

    Returns
    -------
    str
        For ``sem(model, data, estimator="MLR", cluster="class_id")``; factors ``se_1``, ``se_2``.

    Raises
    ------
    OptionError
        Fewer than two variables or waves, unequal numbers of waves or items, an item named twice.

    Examples
    --------
    >>> text = latent_cross_lagged_syntax({"x": [["x1", "x2"], ["x3", "x4"]], "y": [["y1", "y2"], ["y3", "y4"]]})
    >>> text.splitlines()[:2]
    ['x_1 =~ NA*x1 + x_l1*x1 + x_l2*x2', 'x_2 =~ NA*x3 + x_l1*x3 + x_l2*x4']
    """
    _check(items)
    lines = [*_loadings(items), *(f"{name}_1 ~~ 1*{name}_1" for name in items), *_lags(items)]
    lines += _same_item_over_waves(items)
    return "\n".join(lines)


def doubly_latent_syntax(items: Items) -> str:
    """Write a doubly latent cross-lagged model: factors behind the items of students, and behind their class means.

    Measurement error of the items and sampling error of the class means are both taken out (Marsh et al., 2009).
    Loadings of an item are the same in every wave and at both levels, and its class mean has no part of its own, so
    that the factors between classes mean what those of the students mean.

    Parameters
    ----------
    items : mapping of name to sequence of sequence of str
        As in ``latent_cross_lagged_syntax``; one row a student, with the items of all waves as columns.

    Returns
    -------
    str
        For ``sem(model, data, cluster="teacher_id")``: lags stand at level 2, the factors of students covary freely.

    Raises
    ------
    OptionError
        As ``latent_cross_lagged_syntax``.

    Notes
    -----
    The students must be the same in every wave. With other students in each, no student has answers of two waves, and
    an unrestricted model of the items, which fit and start rest on, does not exist: use ``reciprocity``, which takes
    the sampling error of class means out by its whole matrix.

    References
    ----------
    Marsh, H. W., Ludtke, O., Robitzsch, A., Trautwein, U., Asparouhov, T., Muthen, B., & Nagengast, B. (2009).
    Multivariate Behavioral Research, 44, 764-802.

    Examples
    --------
    >>> items = {"x": [["x1", "x2"], ["x3", "x4"]], "y": [["y1", "y2"], ["y3", "y4"]]}
    >>> [line for line in doubly_latent_syntax(items).splitlines() if line.startswith("level")]
    ['level: 1', 'level: 2']
    """
    _check(items)
    n_waves = len(next(iter(items.values())))
    within = [f"{name}_{w}" for w in range(1, n_waves + 1) for name in items]
    lines = ["level: 1", *_loadings(items, suffix="w"), *(f"{name}_1w ~~ 1*{name}_1w" for name in items)]
    lines += [f"{a}w ~~ {b}w" for k, a in enumerate(within) for b in within[k + 1 :]]
    lines += _same_item_over_waves(items)
    lines += ["level: 2", *_loadings(items, suffix="b"), *_lags(items, suffix="b")]
    lines += [f"{item} ~~ 0*{item}" for waves in items.values() for wave in waves for item in wave]
    return "\n".join(lines)


# --------------------------------------------------------------------------- parts
def _loadings(items: Items, suffix: str = "") -> Iterator[str]:
    """Equal labels over waves; ``NA*`` frees the marker."""
    for name, waves in items.items():
        for w, wave in enumerate(waves, start=1):
            terms = [f"{name}_l{k}*{item}" for k, item in enumerate(wave, start=1)]
            yield f"{name}_{w}{suffix} =~ NA*{wave[0]} + " + " + ".join(terms)


def _lags(items: Items, suffix: str = "") -> Iterator[str]:
    n_waves = len(next(iter(items.values())))
    for w in range(2, n_waves + 1):
        earlier = " + ".join(f"{name}_{w - 1}{suffix}" for name in items)
        yield from (f"{name}_{w}{suffix} ~ {earlier}" for name in items)
    for w in range(1, n_waves + 1):
        names = [f"{name}_{w}{suffix}" for name in items]
        yield from (f"{a} ~~ {b}" for k, a in enumerate(names) for b in names[k + 1 :])


def _same_item_over_waves(items: Items) -> Iterator[str]:
    """Residual covariances of an item with itself at other waves."""
    for waves in items.values():
        for same in zip(*waves, strict=True):
            yield from (f"{a} ~~ {b}" for k, a in enumerate(same) for b in same[k + 1 :])


def _check(items: Items) -> None:
    if len(items) < 2:
        raise OptionError(f"{len(items)} variable(s): a cross-lagged model needs two.")
    lengths = {name: len(waves) for name, waves in items.items()}
    if len(set(lengths.values())) > 1:
        raise OptionError(f"Variables differ in their number of waves: {lengths}.")
    if min(lengths.values()) < 2:
        raise OptionError("One wave: lags need two.")
    for name, waves in items.items():
        sizes = [len(wave) for wave in waves]
        if len(set(sizes)) > 1 or sizes[0] < 2:
            raise OptionError(f"Items of '{name}' by wave: {sizes}. Each wave needs the same items, at least two.")
    every = [item for waves in items.values() for wave in waves for item in wave]
    twice = [item for item in dict.fromkeys(every) if every.count(item) > 1]
    if twice:
        raise OptionError(f"Items named twice: {shorten(twice)}.")
