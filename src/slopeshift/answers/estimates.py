"""Estimates of a change over trials of one design and one truth, where they are normal given the spreads.

An estimate is a posterior mean. It is above z posterior SDs, or Pr(change > margin) above the probability of z, in

    Pr(claim) = mean over draws of Phi((mean - margin - z posterior_sd) / sd)

of the trials (the mean and SD of a linear function of normal values; see `engine.linear`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.fit.compiled import CLAIMED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CLAIM = CLAIMED
"""Probability that a change is for the better above which it is a claim: where the 95 % interval is above 0."""

FALSE_ALARMS = 0.025
"""Share of trials in which nothing changed that a cut is allowed to call a claim."""


@dataclass(frozen=True, eq=False)
class Estimates:
    """Estimates of a change, for the better above 0, over trials: `mean`, `sd` and `posterior_sd`, a draw each (draw,).

    Draws are of the spreads; units are those of the change, outcome units a month for a change of slope.
    """

    mean: Floats
    sd: Floats
    posterior_sd: Floats

    @property
    def overall_sd(self) -> float:
        """SD over trials and draws: estimates differ between trials, and their average differs between draws."""
        return float(np.sqrt((self.sd**2).mean() + self.mean.var()))

    def claims(self, z: float, margin: float = 0.0) -> float:
        """Find the share of trials whose estimate is more than z posterior SDs above a margin."""
        from scipy.special import ndtr

        return float(ndtr((self.mean - margin - z * self.posterior_sd) / self.sd).mean())

    def cut(self, share: float, margin: float = 0.0) -> float:
        """Find the probability of a change for the better that this share of the trials exceed."""
        from scipy.optimize import brentq
        from scipy.special import ndtr

        widest = 40.0 * (self.sd / self.posterior_sd).max() + np.abs((self.mean - margin) / self.posterior_sd).max()
        return float(ndtr(brentq(lambda z: self.claims(z, margin) - share, -widest, widest)))

    def covers(self, truth: float, z: float = 1.96) -> float:
        """Find the share of trials whose interval of z posterior SDs either way has the true change in it."""
        from scipy.special import ndtr

        near, half = (truth - self.mean) / self.sd, z * self.posterior_sd / self.sd
        return float((ndtr(near + half) - ndtr(near - half)).mean())
