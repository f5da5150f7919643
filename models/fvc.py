"""FVC: a line per patient whose slope may change at each injection, in % of predicted.

value_ij  ~ Normal(level_i + slope_i t_ij + sum_k change_ik b_k(t_ij), sigma)
b_k(t)    = months spent by time t while injection k was the latest;  t = months since the first injection
change_ik = change + change_k + response_i + cycle_ik                 (> 0: slower decline than in the lead-in)

level     ~ Normal(80, 12)      at the first injection;  change ~ Normal(0, 0.8), change_k ~ Normal(0, 0.4)
slope     ~ Normal(-2.5, 0.8)   a month before it, or what the trial's control says
(level_i, slope_i, response_i) ~ Normal((level, slope, 0), D R D),  D = diag(sd_level, sd_slope, sd_response)
cycle_ik  ~ Normal(0, sd_cycle),  R ~ LKJ(2)

The priors of the decline come from trial populations; clinic cohorts lose FVC far more slowly (REVEALS: about -0.8 a
month).
"""

import pymc as pm

from slopeshift.design.visits import visits_of
from slopeshift.model.control import lead_in_slope
from slopeshift.model.families import normal
from slopeshift.model.line import piecewise_line
from slopeshift.model.priors import LKJ, Gamma, HalfNormal, Normal

OUTCOME = "fvc"


def build(trial):
    visits = visits_of(trial, OUTCOME)
    with pm.Model(coords=visits.coords) as model:
        curve = piecewise_line(
            visits,
            level=Normal(80, 12),  # % predicted; trial baselines 75-99
            slope=lead_in_slope(trial, OUTCOME, Normal(-2.5, 0.8)),  # %/month; topiramate -2.4, minocycline -3.0
            change=Normal(0, 0.8),  # %/month
            change_by_injection=Normal(0, 0.4),  # %/month
            sd_level=HalfNormal(18),  # % predicted; 17-21 in trial baselines
            sd_slope=HalfNormal(2.2),  # %/month; topiramate placebo 1.9
            sd_response=HalfNormal(0.8),  # %/month, between patients
            sd_cycle=HalfNormal(0.4),  # %/month, between cycles of a patient
            correlation=LKJ(2),
        )
        normal(curve, sigma=Gamma(6.0, 1.5))  # % predicted; topiramate placebo 5.9
    return model
