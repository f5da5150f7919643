"""Rank statistics of many data sets at once: the signed-rank test and the rank correlation.

Whether ties are present is decided data set by data set, so that a result never depends on what it was computed with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LARGEST_EXACT = 50
"""Differences up to which the exact distribution is used, as SciPy does."""


def signed_rank_p(differences: Floats) -> Floats:
    """Compute the two-sided p value of Wilcoxon's signed-rank test of each row: (draw, patient) to (draw,).

    Zeros are left out. Exact for up to 50 differences without ties or zeros, otherwise the normal approximation with
    the correction for ties and without one for continuity. NaN where no difference is left.
    """
    from scipy.stats import wilcoxon

    draws, patients = differences.shape
    if not patients:
        return np.full(draws, np.nan)
    # A row of zeros has no spread; its NaN is what is wanted.
    with np.errstate(invalid="ignore", divide="ignore"):
        approximate: Floats = wilcoxon(differences, axis=1, method="asymptotic").pvalue
    if patients > LARGEST_EXACT:
        return approximate
    size = np.sort(np.abs(differences), axis=1)
    plain = (size[:, 0] > 0) & (np.diff(size, axis=1) > 0).all(axis=1)
    if plain.any():
        approximate[plain] = wilcoxon(differences[plain], axis=1, method="exact").pvalue
    return approximate


def rank_correlation(values: Floats, beside: Floats) -> Floats:
    """Compute Spearman's rank correlation of each row of (draw, patient) with one (patient,): (draw,).

    NaN where there are fewer than three pairs, or either side does not vary.
    """
    from scipy.stats import rankdata

    if values.shape[1] < 3:
        return np.full(len(values), np.nan)
    x = rankdata(values, axis=1)
    y = rankdata(beside)
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean()
    spread = np.sqrt((x**2).sum(axis=1) * (y**2).sum())
    return np.where(spread > 0, x @ y / np.where(spread > 0, spread, 1.0), np.nan)
