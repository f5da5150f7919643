"""Draws that stand for another posterior by Pareto-smoothed weights, and whether these can be trusted.

Vehtari, Simpson, Gelman, Yao and Gabry 2024, J Mach Learn Res 25:72.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LARGEST_K = 0.7
"""Pareto shape of the weights' tail up to which averages by them are trusted."""


def smoothed(log_ratio: Floats) -> tuple[Floats, float]:
    """Turn log ratios (draw,) into Pareto-smoothed weights that sum to 1, and the shape k of their tail."""
    from slopeshift.answers.arviz_stats import array_stats

    log_ratio = log_ratio - log_ratio.max()
    if np.ptp(log_ratio) < 1e-9:
        return np.full(len(log_ratio), 1 / len(log_ratio)), -np.inf
    # ArviZ smooths the weights of leaving out what has this log likelihood: the sign is the other way round.
    log_weight, k = array_stats.psislw(-log_ratio)  # type: ignore[no-untyped-call]
    weight = np.exp(log_weight - np.max(log_weight))
    return weight / weight.sum(), float(k)
