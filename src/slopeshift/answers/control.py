"""What a trial's control says of the course before treatment: the numbers behind the priors that are taken from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.model.control import from_control, mean_of
from slopeshift.model.priors import Normal

if TYPE_CHECKING:
    from slopeshift.trial import Trial

COLUMNS = "outcome course quantity patients mean standard_error between_study_sd prior_mean prior_sd"
ALIKE = (("any", "slope"),)
BENDING = (("straight", "slope"), ("curved", "slope"), ("curved", "curvature"))
"""Courses, and what a control says of them, without and with a curvature."""


def control_table(trial: Trial) -> pd.DataFrame:
    """List by outcome what the control says of the course, and the prior made of it, in outcome units a month: COLUMNS.

    `course` says of which models, `straight` or `curved`; it is `any` where the control gives no curvature, and
    `quantity` is then the slope alone. Empty without a control. Raises ValueError where an estimate does not converge.
    """
    rows = []
    for outcome in trial.control.spreads("slope") if trial.control else ():
        bends = outcome in trial.control.spreads("curvature")  # type: ignore[union-attr]
        for course, quantity in BENDING if bends else ALIKE:
            curved, spread = course == "curved", trial.control.spreads(quantity)[outcome]  # type: ignore[union-attr]
            mean = mean_of(trial, outcome, quantity, curved=curved)
            prior = from_control(trial, outcome, Normal(0, 1), quantity, curved=curved)
            numbers = (mean.patients, mean.mean, mean.standard_error, spread, prior.mean, prior.sd)
            rows.append((outcome, course, quantity, *numbers))
    return pd.DataFrame(rows, columns=COLUMNS.split())
