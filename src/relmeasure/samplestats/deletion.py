"""What has to be said about rows that moments do not use, or use in part."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from relmeasure.exceptions import ListwiseDeletionWarning, PairwiseDeletionWarning, RelmeasureWarning

if TYPE_CHECKING:
    from relmeasure.samplestats.moments import MomentSums

__all__ = ["deletion_warnings"]


def deletion_warnings(moments: MomentSums, *, used: str = "the smallest is used as N") -> list[RelmeasureWarning]:
    """Return a warning with the counts where rows were dropped, or pairs rest on different rows; else nothing.

    Parameters
    ----------
    moments : MomentSums
        Listwise or pairwise.
    used : str
        Which N is used with pairwise moments, for the message.

    Examples
    --------
    >>> import numpy as np
    >>> from relmeasure.samplestats.moments import moment_sums
    >>> rows = np.array([[1.0, 2.0], [2.0, np.nan], [3.0, 3.0]])
    >>> deletion_warnings(moment_sums(rows, ["a", "b"]))[0].message
    '1 of 3 rows has a missing answer and was dropped; 2 are used.'
    """
    m = moments
    if m.missing == "listwise":
        if not m.n_dropped:
            return []
        have = "has" if m.n_dropped == 1 else "have"
        was = "was" if m.n_dropped == 1 else "were"
        return [
            ListwiseDeletionWarning(
                f"{m.n_dropped} of {m.n_rows} rows {have} a missing answer and {was} dropped; {m.n_obs} are used.",
                n_dropped=m.n_dropped,
                n_rows=m.n_rows,
                n_obs=m.n_obs,
            )
        ]
    if m.n_obs == m.n_obs_max == m.n_rows:
        return []
    cor = m.cor
    smallest = float(np.linalg.eigvalsh(cor)[0]) if np.isfinite(cor).all() else float("nan")
    broken = (
        f" The correlations are not positive definite (smallest eigenvalue {smallest:.2g})." if smallest < 0 else ""
    )
    return [
        PairwiseDeletionWarning(
            f"Pairs of items rest on {m.n_obs} to {m.n_obs_max} of {m.n_rows} rows; {used}.{broken}",
            n_min=m.n_obs,
            n_max=m.n_obs_max,
            n_rows=m.n_rows,
            min_eigenvalue=smallest,
        )
    ]
