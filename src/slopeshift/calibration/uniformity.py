"""Whether ranks are uniform: the difference of their distribution from that of uniform ranks, in a simultaneous band.

Säilynoja, Bürkner and Vehtari 2022, doi 10.1007/s11222-022-10090-6; the band is computed by ArviZ.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.calibration.ranks import RANKED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PROBABILITY = 0.95
"""Of ranks that are uniform, the share of quantities inside their band, or of models all of whose quantities are."""

SIMULATIONS = 20_000
"""Sets of uniform ranks from which the width of a band is found: a level of 0.9975 rests on 50 of them."""

SEED = 20220
"""The band is the same in every run."""

INSIDE, CHANCE, OUTSIDE = "uniform", "uniform among many", "not uniform"
"""Inside its own band; outside it, but inside the band of the whole model; outside both."""


@dataclass(frozen=True, eq=False)
class Difference:
    """How far ranks are from uniform: `share` of ranks below each point, `points` being what is expected of it.

    `band` and `wide` (edge, point) hold the shares between which uniform ranks stay with 95 % probability: those of one
    quantity, and those of all quantities of a model.
    """

    points: Floats
    share: Floats
    band: Floats
    wide: Floats

    @property
    def verdict(self) -> str:
        """Say where the ranks are: INSIDE, CHANCE or OUTSIDE."""
        if _inside(self.share, self.band):
            return INSIDE
        return CHANCE if _inside(self.share, self.wide) else OUTSIDE

    @property
    def largest(self) -> float:
        """The largest difference, with its sign: above 0, true values lie too low among the draws."""
        away = self.share - self.points
        return float(away[np.abs(away).argmax()])


def differences(ranks: Mapping[str, NDArray[np.int64]]) -> dict[str, Difference]:
    """Compare the ranks of every quantity of a model with uniform ones.

    The band of the whole model is that of a single quantity at a level of 1 - 0.05 / (number of quantities), after
    Bonferroni: where all ranks are uniform, no quantity leaves it in at least 95 % of calibrations, however the
    quantities depend on each other.
    """
    points = np.arange(1, RANKED + 1) / (RANKED + 1)
    found = {}
    for name, values in ranks.items():
        below = np.searchsorted(np.sort(values), np.arange(1, RANKED + 1), side="left") / len(values)
        wide = _band(len(values), 1 - (1 - PROBABILITY) / len(ranks))
        found[name] = Difference(points, below, _band(len(values), PROBABILITY), wide)
    return found


@lru_cache(maxsize=32)
def _band(number: int, probability: float) -> Floats:
    """The shares between which `number` uniform ranks stay, at every point at once, with this probability."""
    from arviz_stats.ecdf_utils import get_pointwise_confidence_band, simulate_confidence_bands

    points = np.arange(1, RANKED + 1) / (RANKED + 1)
    rng = np.random.default_rng(SEED)
    pointwise = simulate_confidence_bands(number, 1, points, probability, SIMULATIONS, rng)
    return np.array(get_pointwise_confidence_band(pointwise, number, points))


def _inside(share: Floats, band: Floats) -> bool:
    lower, upper = band
    return bool(((share >= lower) & (share <= upper)).all())
