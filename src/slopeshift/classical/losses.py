"""Losses before the first injection: whether the smallest looks as if a rule had let nobody below it enter."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from slopeshift.classical.segments import lead_in_ends
from slopeshift.trial.roles import improvement

if TYPE_CHECKING:
    from slopeshift.design.visits import Visits

FEWEST = 10
"""Patients with two values up to injection 1 whom the smallest loss needs."""

SUSPECTED = 0.05
"""Probability of a smallest loss this near to the mean, were losses normal, below which a rule is suspected."""

_DRAWN, _SEED = 4000, 1


class SmallestLoss(NamedTuple):
    """The smallest loss of `patients` patients, in outcome units, and how probable one so near to the mean is."""

    patients: int
    loss: float
    probability: float

    @property
    def suspicious(self) -> bool:
        """Whether it looks like that of a trial with an entry rule: everybody lost something, and nobody little."""
        return self.patients >= FEWEST and self.loss > 0 and self.probability < SUSPECTED


def smallest_loss(visits: Visits) -> SmallestLoss:
    """Take the smallest loss, as patients worsen, from the first value to the last up to injection 1.

    It is judged by (mean - smallest) / SD, the statistic of Grubbs 1969 (Technometrics 11:1) for the smallest value.
    Whom a rule cut off lies nearer to the mean than the smallest of as many normal losses, drawn from a fixed seed.
    NaN where fewer than two patients have two values, or losses are equal.
    """
    first, last = lead_in_ends(visits.patient_index, visits.month, visits.injection_month)
    judged = (first >= 0) & (first != last)
    losses = improvement(visits.value[first[judged]] - visits.value[last[judged]], visits.outcome.sign)
    if len(losses) < 2 or np.ptp(losses) == 0:
        return SmallestLoss(len(losses), float(losses.min()) if len(losses) else np.nan, np.nan)
    drawn = np.random.default_rng(_SEED).standard_normal((_DRAWN, len(losses)))
    near = (drawn.mean(axis=1) - drawn.min(axis=1)) / drawn.std(axis=1, ddof=1)
    own = (losses.mean() - losses.min()) / losses.std(ddof=1)
    return SmallestLoss(len(losses), float(losses.min()), float((near <= own).mean()))
