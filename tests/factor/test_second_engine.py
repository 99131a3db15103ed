"""The second engine: one clear line without it, its form where it is there, refusals of what would not be the same."""

from __future__ import annotations

import sys
import types
from importlib import metadata
from typing import Any

import numpy as np
import pytest

from relmeasure.exceptions import MissingExtraError, UnsupportedDataError
from relmeasure.factor import second_engine
from relmeasure.factor.exploratory import efa
from relmeasure.factor.residual_extraction import fit_minres
from relmeasure.numerics.rotation import rotate
from tests.factor.references import floats, pair, stored


def _installed(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    names = {"factor_analyzer": "factor_analyzer", "scikit_learn": "scikit-learn"}
    known = {names[key]: value for key, value in versions.items()}

    def version(package: str) -> str:
        if package not in known:
            raise metadata.PackageNotFoundError(package)
        return known[package]

    monkeypatch.setattr(metadata, "version", version)


class _Analyzer:
    """Stands in for FactorAnalyzer: the stored solutions of factor_analyzer, its factors in an order of their own."""

    def __init__(self, n_factors: int, rotation: str | None, method: str, is_corr_matrix: bool, **kwargs: Any) -> None:
        assert is_corr_matrix
        normalize = kwargs["rotation_kwargs"].get("normalize", "default")
        self.key = f"thurstone3|{method}|{rotation}|{'default' if normalize is True else normalize}"
        self.n_factors = n_factors

    def fit(self, matrix: Any) -> _Analyzer:
        self.loadings_ = -floats(stored("factor_analyzer")[self.key]["loadings"])[:, ::-1]
        return self


@pytest.fixture
def analyzer(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, factor_analyzer="0.5.1", scikit_learn="1.7.2")
    module = types.ModuleType("factor_analyzer")
    module.FactorAnalyzer = _Analyzer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "factor_analyzer", module)


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        ({}, "factor_analyzer is not installed"),
        ({"factor_analyzer": "0.5.1"}, "scikit-learn is not installed"),
        ({"factor_analyzer": "0.5.1", "scikit_learn": "1.8.0"}, "scikit-learn 1.8.0 is installed"),
        ({"factor_analyzer": "0.5.1", "scikit_learn": "2.0"}, "scikit-learn 2.0 is installed"),
    ],
)
def test_one_clear_line_where_the_pins_are_not_met(
    monkeypatch: pytest.MonkeyPatch, versions: dict[str, str], words: str
) -> None:
    _installed(monkeypatch, **versions)
    with pytest.raises(MissingExtraError, match=words) as caught:
        efa(pair("hs"), 3, engine="factor_analyzer")
    assert "\n" not in str(caught.value)
    assert "pip install 'relmeasure[factor-analyzer]'" in str(caught.value)
    assert "scikit-learn below 1.8" in str(caught.value)


@pytest.mark.usefixtures("analyzer")
@pytest.mark.parametrize("rotation", ["none", "varimax", "quartimax", "promax", "oblimin", "quartimin", "geomin"])
def test_it_takes_the_same_form_and_compares(rotation: Any) -> None:
    options: dict[str, Any] = {"kaiser": False} if rotation != "none" else {}
    ours = efa(pair("thurstone"), 3, rotation=rotation, **options)
    theirs = efa(pair("thurstone"), 3, rotation=rotation, engine="factor_analyzer", **options)
    assert (ours.engine, theirs.engine) == ("relmeasure", "factor_analyzer")
    found = ours.compare(theirs)
    assert 0.0 < found.max_loading < 3e-5
    assert found.max_phi < 3e-5
    assert found.max_uniqueness < 3e-5
    assert found.congruence.smallest > 0.999999
    np.testing.assert_allclose(theirs.loadings, ours.loadings, atol=3e-5)  # canonical order and sign
    np.testing.assert_allclose(theirs.unrotated @ theirs.rotation_matrix, theirs.loadings, atol=1e-4)
    assert theirs.fit["chisq"] == pytest.approx(ours.fit["chisq"], abs=1e-4)
    assert "Largest difference of loadings" in found.summary()


@pytest.mark.usefixtures("analyzer")
def test_normalised_varimax_and_promax_mean_the_same_there() -> None:
    cases: list[dict[str, Any]] = [
        {"rotation": "varimax"},
        {"rotation": "promax", "rotation_options": {"metric": "normalized"}},
    ]
    for options in cases:
        ours = efa(pair("thurstone"), 3, **options)
        theirs = efa(pair("thurstone"), 3, engine="factor_analyzer", **options)
        assert ours.compare(theirs).max_loading < 3e-5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "pa"}, "no principal axis"),
        ({"rotation": "equamax"}, "can be compared on"),
        ({"rotation": "oblimin", "kaiser": True}, "with Kaiser normalisation"),
        ({"rotation": "promax"}, "metric"),
        ({"rotation": "target", "rotation_options": {"target": np.zeros((9, 3))}}, "can be compared on"),
    ],
)
def test_what_would_not_mean_the_same_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UnsupportedDataError, match=words):
        efa(pair("hs"), 3, engine="factor_analyzer", **options)


def test_its_rotation_is_ours_from_its_loadings() -> None:
    A = fit_minres(pair("hs")[0], 3).loadings
    rotated = rotate(A, "oblimin")
    made = second_engine._rotation(A, -rotated.loadings[:, ::-1], "oblimin", on=False)
    np.testing.assert_allclose(made.loadings, rotated.loadings, atol=1e-12)
    np.testing.assert_allclose(made.phi, rotated.phi, atol=1e-12)
