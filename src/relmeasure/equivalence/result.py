"""The result of a sequence of invariance models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from relmeasure.equivalence.layout import Layout
from relmeasure.equivalence.score_tests import equality_tests
from relmeasure.exceptions import InadmissibleError, OptionError
from relmeasure.results import FrameKind, Note, Provenance, Result, Status, Table, paragraph
from relmeasure.structural.fitted.fit import StructuralFit

__all__ = ["InvarianceResult"]


@dataclass(frozen=True, eq=False)
class InvarianceResult(Result):
    """Models of rising equality over groups or waves, compared.

    Attributes
    ----------
    steps : Table
        One row a step: ``step chisq df cfi rmsea srmr aic bic delta_chisq delta_df pvalue delta_cfi delta_rmsea
        delta_srmr method status``, and for scaled tests ``chisq_scaled cfi_robust rmsea_robust delta_cfi_robust
        delta_rmsea_robust`` (ordered items: ``cfi_scaled rmsea_scaled`` and ``cfi_corrected rmsea_corrected``, each
        with its ``delta_``; the corrected ones are in one metric for all models, so that their changes mean something,
        and the verdicts rest on them). Plain
        names are the naive indices, as in lavaan; ``delta_chisq`` is the difference test that ``method`` names, never a
        difference of scaled statistics.
    fits : dict of str to StructuralFit
        The models.
    verdicts : Table
        ``step holds because``.
    proposals : Table
        Score tests of the equalities that the first failing step added, the largest first; empty when none fails.
    means : Table
        Factor means against the reference group; see ``latent_means``.
    skipped : Table
        ``step items reason``: what could not be tested, because the items have too few categories or everything was
        released.
    layout : Layout
        The groups or waves, the reference first, and how variables are named in them.
    fixed : dict of str to tuple of str
        Parameters of each step that are equal because they are fixed (intercepts and residual variances of ordered
        items).
    groups : tuple of str
        Groups or waves, the reference first.
    group_sizes : tuple of int
        Rows of each group; over waves, the persons used.
    reference : str
        The group or wave that the factor means are compared with.
    reached : str or None
        The last step that holds with every step before it.
    partial : tuple of str
        Parameters released from equality.
    criteria : str
        What the verdicts rest on.
    conclusion : str
        The answer in plain words.
    status : Status
    provenance : Provenance
    warnings : tuple of Note
    """

    steps: Table
    fits: dict[str, StructuralFit]
    verdicts: Table
    proposals: Table
    means: Table
    skipped: Table
    layout: Layout
    fixed: dict[str, tuple[str, ...]]
    groups: tuple[str, ...]
    group_sizes: tuple[int, ...]
    reference: str
    reached: str | None
    partial: tuple[str, ...]
    criteria: str
    conclusion: str
    status: Status
    provenance: Provenance
    warnings: tuple[Note, ...] = ()

    def score_tests(self, step: str = "scalar", *, kind: FrameKind = "pandas") -> Any:
        """Return a score test of each equality of a step: what releasing it would gain.

        Parameters
        ----------
        step : {"thresholds", "metric", "scalar", "strict"}
            One of the steps that were fitted.
        kind : {"pandas", "polars", "pyarrow"}

        Returns
        -------
        frame
            ``parameter kind group score_chisq df pvalue expected_change`` (``wave`` in place of ``group`` over time):
            released in ``all`` groups, and with more than two groups in one at a time. Where tests are scaled, plain
            columns are the normal-theory test as in lavaan, and ``score_chisq_robust pvalue_robust`` the generalised
            score test (Boos, 1992), by which rows are ordered. Releasing what they propose is data-driven: check it on
            other data.
        """
        if step not in self.fits or step == "configural":
            raise OptionError.from_value("step", step, [name for name in self.fits if name != "configural"])
        return equality_tests(self.fits[step], self.layout, self.fixed[step]).to_frame(kind)

    def latent_means(self, *, allow_noninvariant: bool = False, kind: FrameKind = "pandas") -> Any:
        """Return differences of factor means from the reference group or wave, with effect sizes.

        Parameters
        ----------
        allow_noninvariant : bool
            Return them also where equal intercepts do not hold.
        kind : {"pandas", "polars", "pyarrow"}

        Returns
        -------
        frame
            ``factor group reference difference se z pvalue lower upper`` and ``effect_size effect_size_se
            effect_size_z effect_size_pvalue effect_size_lower effect_size_upper`` (``wave`` in place of ``group`` over
            time), from the scalar model; the effect size is over the pooled standard deviation of the factor (Hancock,
            2001). Each has its own test: report that of the number you report.

        Raises
        ------
        InadmissibleError
            Scalar invariance does not hold: a difference of means may then be a difference of measurement.
        """
        if not (self.comparable_means or allow_noninvariant):
            raise InadmissibleError(
                "Factor means cannot be compared: equal loadings and intercepts do not hold, so a difference may be "
                "one of measurement. Release what score_tests() proposes with partial=, or pass "
                "allow_noninvariant=True to see the numbers all the same.",
                reached=self.reached,
            )
        return self.means.to_frame(kind)

    @property
    def comparable_means(self) -> bool:
        """Whether scalar invariance, full or partial, holds."""
        return self.reached in ("scalar", "strict")

    def _table(self) -> Table:
        return self.steps

    def summary(self) -> str:
        """Return the table of steps, what was not tested, what was released, the conclusion, and the factor means."""
        over = self.layout.over
        if over == "group":
            sizes = ", ".join(f"{name} ({n})" for name, n in zip(self.groups, self.group_sizes, strict=True))
        else:
            sizes = f"{', '.join(self.groups)} ({self.group_sizes[0]} persons)"
        lines = [
            f"invariance: models {self.status.words}",
            paragraph(f"{over.capitalize()}s: {sizes}; reference {over}: {self.reference}"),
        ]
        lines += [paragraph(self.provenance.rule), "", *_printed(self.steps), ""]
        for row in self.skipped.rows():
            what = "is not tested" if row["items"] == "all" else f"tests nothing of {row['items']}"
            lines.append(paragraph(f"Step {row['step']} {what}: {row['reason']}"))
        if self.partial:
            lines.append(paragraph(f"Released from equality: {', '.join(self.partial)}"))
        lines.append(paragraph(self.conclusion))
        if len(self.proposals):
            head = Table.from_rows([_short(row) for row in list(self.proposals.rows())[:5]])
            lines += ["", "What releasing an equality would gain (score tests)", head.to_text()]
        if self.comparable_means and len(self.means):
            lines += _printed_means(self.means, self.reference)
        return "\n".join([*lines, *(note.summary() for note in self.warnings)])


def _short(row: dict[str, Any]) -> dict[str, Any]:
    """A score test for print: the robust test alone where there is one."""
    out = {k: _plain(k, v) for k, v in row.items()}
    if "score_chisq_robust" in out:
        del out["score_chisq"], out["pvalue"]
    return out


def _printed(steps: Table) -> list[str]:
    """The models, then their comparisons, in two tables that fit a page."""
    rows = list(steps.rows())
    first = ["step", "chisq", "df", "chisq_scaled"]
    first += ["cfi", "cfi_robust", "cfi_scaled", "cfi_corrected", "rmsea", "rmsea_robust", "rmsea_scaled"]
    first += ["rmsea_corrected", "srmr", "aic", "bic"]
    second = ["delta_chisq", "delta_df", "pvalue", "delta_cfi", "delta_cfi_robust", "delta_cfi_scaled"]
    second += [
        "delta_cfi_corrected",
        "delta_rmsea",
        "delta_rmsea_robust",
        "delta_rmsea_scaled",
        "delta_rmsea_corrected",
    ]
    if "cfi_corrected" in steps.columns:  # the frame has them all; print what is read
        unread = {"cfi", "rmsea", "delta_cfi", "delta_cfi_scaled", "delta_rmsea", "delta_rmsea_scaled"}
        first, second = ([name for name in names if name not in unread] for names in (first, second))
    out = []
    for names in ((*first, "status"), ("step", *second, "delta_srmr", "method")):
        kept = [name for name in names if name in steps.columns and not _empty(rows, name)]
        shown = [{name: _plain(name, row[name]) for name in kept} for row in rows]
        out += [Table.from_rows(shown if "status" in kept else shown[1:], kept).to_text(), ""]
    return out[:-1]


def _printed_means(means: Table, reference: str) -> list[str]:
    """Differences, then effect sizes, each with its own test: one table would put the p-value of one by the other."""
    columns = tuple(means.columns)
    names, split = columns[:2], columns.index("effect_size")
    out = []
    for what, numbers in (
        ("Differences of factor means", columns[3:split]),
        ("Effect sizes", columns[split:]),
    ):
        rows = [
            {name.removeprefix("effect_size_"): _plain(name, row[name]) for name in (*names, *numbers)}
            for row in means.rows()
        ]
        out += ["", f"{what} against {reference}", Table.from_rows(rows).to_text()]
    return out


def _empty(rows: list[dict[str, Any]], name: str) -> bool:
    """Whether a column has no number at all."""
    return all(isinstance(row[name], float) and math.isnan(row[name]) for row in rows)


def _plain(name: str, value: Any) -> Any:
    """Degrees of freedom without decimals, small p-values without zeros."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if name in ("df", "delta_df") and isinstance(value, float):
        return int(value) if float(value).is_integer() else value
    return ("<.001" if value < 0.001 else f"{value:.3f}".lstrip("0")) if "pvalue" in name else value
