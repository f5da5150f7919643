"""Interval, fixed window: does the response in the first three months of a cycle go with the length of the cycle?

score_ij  ~ Normal(level_i + slope_i t_ij + sum_k [change_ik b_k(t_ij) + later_ik d_k(t_ij)], sigma)
b_k(t)    = months by time t of the first three after injection k;  d_k(t) = months of the rest of that cycle
change_ik = change + change_k + interval_within (x_ik - xbar_i) + interval_between (xbar_i - xbar)
            + response_i + cycle_ik
later_ik  = change + later_k + response_i + cycle'_ik

A check of interval.py, and all else as there: a long cycle has more visits than a short one, hence a more precise
change; here every cycle counts for three months. The length of a cycle is not yet known in its first three months: an
association with their change cannot be an effect of a length that was not planned before.
"""

import pymc as pm

from slopeshift.design.cycles import split
from slopeshift.design.shape import Shape
from slopeshift.design.visits import visits_of
from slopeshift.model.control import lead_in_slope
from slopeshift.model.covariates import Covariate
from slopeshift.model.families import normal
from slopeshift.model.line import piecewise_line
from slopeshift.model.priors import LKJ, Gamma, HalfNormal, Normal

OUTCOME = "alsfrsr"
SHAPE = Shape(window=3.0)  # months; an injection every three months was planned in NCT04821479


def build(trial):
    visits = visits_of(trial, OUTCOME, SHAPE)
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
            sd_cycle=HalfNormal(0.15),  # points/month, between cycles of a patient, and between window and rest
            correlation=LKJ(2),
            covariates=(  # points/month per month
                Covariate("interval_within", on="change", by_cycle=months.within, unit="month", prior=Normal(0, 0.1)),
                Covariate("interval_between", on="change", by_cycle=months.between, unit="month", prior=Normal(0, 0.1)),
            ),
        )
        normal(curve, sigma=Gamma(2.0, 0.4))  # points
    return model
