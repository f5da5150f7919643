"""Interval: does the change of slope in a cycle go with the length of the cycle, within and between patients?

score_ij  ~ Normal(level_i + slope_i t_ij + curvature_i t_ij^2 / 2 + sum_k change_ik b_k(t_ij), sigma)
change_ik = change + change_k + interval_within (x_ik - xbar_i) + interval_between (xbar_i - xbar)
            + response_i + cycle_ik
x_ik      = months from injection k to k + 1;  xbar_i = their mean in patient i;  xbar = the mean of these
interval_within, interval_between ~ Normal(0, 0.1)    points a month of slope, per month of interval

All else as in alsfrsr.py; change + change_k is now the change at the mean interval, and stays in, lest the order of the
cycles be taken for their length. A cycle without a next injection stands at its patient's mean (within 0), a patient
without any at the trial's (both 0). An interval that was chosen from how the patient did makes an association that is
no effect: see interval_negative_control.py.
"""

from slopeshift.model.files import variation
from slopeshift.model.priors import Normal
from slopeshift.model.program import ByInterval

OUTCOME = "alsfrsr"
SMALL = Normal(
    0, 0.1, unit="points/month per month", why="three months more move a slope by 0.6 at the most", basis="weak"
)

build = variation("alsfrsr.py", covariates=(ByInterval("within", SMALL), ByInterval("between", SMALL)))
