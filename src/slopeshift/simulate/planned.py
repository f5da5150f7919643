"""A trial as a plan states it: visits of the lead-in by number, listed intervals, curvatures that go with slopes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from slopeshift.simulate.cohort import DAYS_PER_MONTH, Array, OutcomeTruth
from slopeshift.simulate.conduct import Design


@dataclass(frozen=True)
class PlannedDesign(Design):
    """A design with `lead_in_visits` evenly spaced from its first day to injection 1, and a list of `intervals`.

    `interval` is the range of `intervals`, from which each patient's are drawn with equal probabilities.
    """

    lead_in_visits: int = 2
    intervals: tuple[float, ...] = ()

    @property
    def before(self) -> Array:
        """See `Design`."""
        return np.linspace(0.0, self.lead_in, self.lead_in_visits)[1:-1]

    def days_between(self, share: Array) -> Array:
        """See `Design`: where in the list of intervals each falls."""
        place = np.minimum((share * len(self.intervals)).astype(int), len(self.intervals) - 1)
        days: Array = np.round(np.array(self.intervals)[place] * DAYS_PER_MONTH)
        return days


@dataclass(frozen=True)
class PlannedTruth(OutcomeTruth):
    """A population whose curvatures are regressed on levels and slopes, in units of the outcome and month."""

    curvature_by_level: float = 0.0
    curvature_by_slope: float = 0.0

    def curvatures(self, level: Array, slope: Array, z: Array) -> Array:
        """See `OutcomeTruth`: with what goes with level and slope."""
        along = self.curvature_by_level * (level - self.level) + self.curvature_by_slope * (slope - self.slope)
        return self.curvature + along + self.sd_curvature * z
