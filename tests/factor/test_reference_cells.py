"""Which block of the larger reference files is compared where, and which is not, with the reason.

The files are ``corr.json``, ``efa.json``, ``efa_rotation.json`` and ``reliability_ordinal.json`` of the folder of larger
references. What is compared lies in ``tests/reference`` too, so that a bare clone compares it; this ledger checks that
no block of the large files has been overlooked.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import relmeasure as rm

HERE = Path(__file__).parents[1]

COMPARED: dict[str, dict[str, str]] = {
    "corr": {
        "psych_polychoric_*": "samplestats/test_polychoric.py",
        "lavCor_*": "samplestats/test_polychoric.py",
        "polycor_polychor/*_2step": "samplestats/test_polychoric.py",
        "tetrachoric_*": "samplestats/test_polychoric.py",
        "polyserial/age_*_2step": "samplestats/test_mixed.py",
        "polyserial/lavCor_mixed": "samplestats/test_mixed.py",
        "pearson_spearman_kendall/pearson": "factor/test_reference_cells.py",
    },
    "efa": {
        "hs3/*_bentler?": "factor/test_solutions.py",
        "hs3/gls_none": "factor/test_solutions.py",
        "hs3/wls_none": "factor/test_solutions.py",
        "hs3/minres_*": "factor/test_solutions.py",
        "hs3/ml_*": "factor/test_solutions.py",
        "hs3/pa_*": "factor/test_solutions.py",
        "bfi5/*": "factor/test_solutions.py",
        "bfi5_poly/*": "factor/test_solutions.py",
        "thurstone3/*": "factor/test_solutions.py",
        "gti_rel3/*": "factor/test_solutions.py",
        "factanal/*": "factor/test_solutions.py",
        "lavaan_efa/*": "factor/test_solutions.py",
        "adequacy/*": "factor/test_adequacy.py",
        "parallel/*": "factor/test_retention.py",
        "scores/Thurstone": "factor/test_factor_scores.py",
        "scores/Bartlett": "factor/test_factor_scores.py",
        "scores/tenBerge": "factor/test_factor_scores.py",
        "scores/loadings": "factor/test_factor_scores.py",
        "scores/Phi": "factor/test_factor_scores.py",
        "schmid/*": "factor/test_hierarchy.py",
        "fa_congruence": "factor/test_solutions.py",
    },
    "efa_rotation": {
        "*/unrotated": "numerics/test_rotation.py",
        "*/*": "numerics/test_rotation.py",
        "uniq": "factor/test_residual_extraction.py",
        "EKC_bfi": "factor/test_retention.py",
    },
    "reliability_ordinal": {"bfi_?": "classical/test_ordinal.py", "gti_*": "classical/test_ordinal.py"},
}
"""Pattern of blocks (or block/part) to the test that compares them."""

NOT_COMPARED: dict[str, dict[str, str]] = {
    "corr": {
        "polycor_polychor/*_ML": "thresholds and correlation estimated together: another estimator, near the two-step one",
        "polyserial/age_*_ML": "the same",
        "polyserial/psych_age_A1": "a moment formula; the test says that it is another number",
        "polyserial/psych_biserial_age_gender": "the same formula",
        "pearson_spearman_kendall/spearman": "rank correlations are not offered",
        "pearson_spearman_kendall/corr*": "tests and intervals of single correlations are not offered",
        "mardia": "multivariate normality is not tested; robust statistics stand in its place",
        "describe": "trimmed means and type 3 moments are not offered; G1 and G2 are in classical/test_items.py",
    },
    "efa": {
        "hs3/alpha_none": "alpha factoring is not offered",
        "hs3/minrank_none": "failed in R",
        "gpa_thurstone/*": "did not converge there; efa_rotation has the same rotations run to the end",
        "scores/Anderson": "these scores are not offered",
        "scores/Harman": "these scores are not offered",
        "pca": "principal components are no factors and are not offered",
        "EFAtools/n_factors": "the hull method is not offered",
        "EFAtools/EKC": "failed in R; efa_rotation/EKC_bfi is compared",
        "EFAtools/paf_*": "stops by its own rule after the varimax of SPSS or psych; promax is compared from tight loadings",
    },
    "efa_rotation": {"*/equamax": "failed in R; run again and compared in numerics/test_rotation.py"},
    "reliability_ordinal": {},
}
"""The same for what is not compared, with the reason."""

_WHOLE = ("reliability_ordinal",)
"""Files whose blocks are compared as wholes."""


def _blocks(name: str, stored: dict[str, object]) -> list[str]:
    out = []
    for key, block in stored.items():
        if key == "meta":
            continue
        parts = isinstance(block, dict) and name not in _WHOLE and not {"values", "rows", "columns", "n"} & set(block)
        known = {**COMPARED[name], **NOT_COMPARED[name]}
        split = parts and any("/" in pattern and fnmatchcase(key, pattern.split("/")[0]) for pattern in known)
        out += [f"{key}/{part}" for part in block] if split and isinstance(block, dict) else [key]
    return out


@pytest.mark.shared
@pytest.mark.parametrize("name", list(COMPARED))
def test_every_block_is_compared_or_has_a_reason(shared_reference: Path, name: str) -> None:
    stored = json.loads((shared_reference / "values" / f"{name}.json").read_text(encoding="utf-8"))
    overlooked = [
        block
        for block in _blocks(name, stored)
        if not any(fnmatchcase(block, pattern) for pattern in (*COMPARED[name], *NOT_COMPARED[name]))
    ]
    assert overlooked == []


@pytest.mark.shared
def test_pearson_correlations_of_complete_rows(shared_reference: Path) -> None:
    stored = json.loads((shared_reference / "values" / "corr.json").read_text(encoding="utf-8"))
    frame = pd.read_csv(shared_reference / "data" / "bfi" / "data.csv").iloc[:, :25].dropna()
    found = rm.correlations(frame, kind="pearson").correlation
    expected = stored["pearson_spearman_kendall"]["pearson"]["values"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", list(COMPARED))
def test_the_tests_named_exist(name: str) -> None:
    for test in COMPARED[name].values():
        assert (HERE / test).is_file(), test
