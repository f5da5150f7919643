"""Interval: does the change of slope in a cycle go with the length of the cycle, within and between patients?

score_ij  ~ Normal(level_i + slope_i t_ij + sum_k change_ik b_k(t_ij), sigma)
change_ik = change + change_k + interval_within (x_ik - xbar_i) + interval_between (xbar_i - xbar)
            + response_i + cycle_ik
x_ik      = months from injection k to k + 1;  xbar_i = their mean in patient i;  xbar = the mean of these
interval_within, interval_between ~ Normal(0, 0.1)    points a month of slope, per month of interval

All else as in alsfrsr.py; change + change_k is now the change at the mean interval, and stays in, lest the order of the
cycles be taken for their length. A cycle without a next injection stands at its patient's mean (within 0), a patient
without any at the trial's (both 0). An interval that was chosen from how the patient did makes an association that is
no effect: see interval_negative_control.py.
"""

import pymc as pm

from slopeshift.design.cycles import split
from slopeshift.design.visits import visits_of
from slopeshift.model.control import lead_in_slope
from slopeshift.model.covariates import Covariate
from slopeshift.model.families import normal
from slopeshift.model.line import piecewise_line
from slopeshift.model.priors import LKJ, Gamma, HalfNormal, Normal

OUTCOME = "alsfrsr"


def build(trial):
    visits = visits_of(trial, OUTCOME)
    months = split(trial, visits)
    with pm.Model(coords=visits.coords) as model:
        curve = piecewise_line(
            visits,
            level=Normal(35, 4),  # points
            slope=lead_in_slope(trial, OUTCOME, Normal(-1.0, 0.4)),  # points/month
            change=Normal(0, 0.3),  # points/month, at the mean interval
            change_by_injection=Normal(0, 0.15),  # points/month
            sd_level=HalfNormal(5),  # points
            sd_slope=Gamma(0.75, 0.25),  # points/month
            sd_response=HalfNormal(0.3),  # points/month, between patients
            sd_cycle=HalfNormal(0.15),  # points/month, between cycles of a patient
            correlation=LKJ(2),
            covariates=(  # points/month per month: three months more move a slope by 0.6 at the most
                Covariate("interval_within", on="change", by_cycle=months.within, unit="month", prior=Normal(0, 0.1)),
                Covariate("interval_between", on="change", by_cycle=months.between, unit="month", prior=Normal(0, 0.1)),
            ),
        )
        normal(curve, sigma=Gamma(2.0, 0.4))  # points
    return model
