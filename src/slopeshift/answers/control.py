"""What a trial's control says of the slope before treatment: the numbers behind the prior that is taken from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.model.control import lead_in_slope, mean_slope
from slopeshift.model.priors import Normal

if TYPE_CHECKING:
    from slopeshift.trial import Trial

COLUMNS = "outcome patients mean standard_error between_study_sd prior_mean prior_sd"


def control_table(trial: Trial) -> pd.DataFrame:
    """List by outcome the slope of the control and the prior made of it, in outcome units a month: COLUMNS.

    Empty without a control. Raises ValueError where the estimate does not converge.
    """
    rows = []
    for outcome, spread in trial.control.between_study_sd.items() if trial.control else ():
        slope = mean_slope(trial.control.trial, outcome)  # type: ignore[union-attr]
        prior = lead_in_slope(trial, outcome, Normal(0, 1))
        rows.append((outcome, slope.patients, slope.mean, slope.standard_error, spread, prior.mean, prior.sd))
    return pd.DataFrame(rows, columns=COLUMNS.split())
