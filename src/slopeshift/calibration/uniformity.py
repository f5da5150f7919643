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

SIMULATIONS = 10_000
"""Sets of uniform ranks from which the width of a band is found: a level of 0.9975 rests on 25 of them."""

SEED = 20220
"""The band is the same in every run."""

INSIDE, CHANCE, OUTSIDE = "uniform", "uniform among many", "not uniform"
"""Inside its own band; outside it, but inside the band of the whole model; outside both."""


@dataclass(frozen=True, eq=False)
class Difference:
    """How far `number` ranks of one of `quantities` of a model are from uniform.

    `share` (point,) is that of ranks below each point, and `points` is what is expected of it.
    """

    points: Floats
    share: Floats
    number: int
    quantities: int

    @property
    def band(self) -> Floats:
        """The shares between which uniform ranks stay with 95 % probability: (edge, point)."""
        return _band(self.number, PROBABILITY)

    @property
    def wide(self) -> Floats:
        """The shares between which, with 95 % probability, those of all quantities of the model stay: (edge, point).

        The band of a single quantity at a level of 1 - 0.05 / (number of quantities), after Bonferroni: it holds
        however the quantities depend on each other.
        """
        return _band(self.number, 1 - (1 - PROBABILITY) / self.quantities)

    @property
    def uniform(self) -> bool:
        """Say whether the ranks are inside the band of the whole model."""
        return _inside(self.share, self.wide)

    @property
    def verdict(self) -> str:
        """Say where the ranks are: INSIDE, CHANCE or OUTSIDE."""
        if not self.uniform:
            return OUTSIDE
        return INSIDE if _inside(self.share, self.band) else CHANCE

    @property
    def largest(self) -> float:
        """The largest difference, with its sign: above 0, true values lie too low among the draws."""
        away = self.share - self.points
        return float(away[np.abs(away).argmax()])


def differences(ranks: Mapping[str, NDArray[np.int64]]) -> dict[str, Difference]:
    """Compare the ranks of every quantity of a model with uniform ones."""
    points = np.arange(1, RANKED + 1) / (RANKED + 1)
    found = {}
    for name, values in ranks.items():
        below = np.searchsorted(np.sort(values), np.arange(1, RANKED + 1), side="left") / len(values)
        found[name] = Difference(points, below, len(values), len(ranks))
    return found


@lru_cache(maxsize=32)
def _band(number: int, probability: float) -> Floats:
    """The shares between which `number` uniform ranks stay, at every point at once, with this probability."""
    from slopeshift.answers.arviz_stats import get_pointwise_confidence_band, simulate_confidence_bands

    points = np.arange(1, RANKED + 1) / (RANKED + 1)
    rng = np.random.default_rng(SEED)
    pointwise = simulate_confidence_bands(number, 1, points, probability, SIMULATIONS, rng)
    return np.array(get_pointwise_confidence_band(pointwise, number, points))


def _inside(share: Floats, band: Floats) -> bool:
    lower, upper = band
    return bool(((share >= lower) & (share <= upper)).all())
