"""ALSFRS-R: a line per patient whose slope may change at each injection.

score_ij  ~ Normal(level_i + slope_i t_ij + sum_k change_ik b_k(t_ij), sigma)
b_k(t)    = months spent by time t while injection k was the latest;  t = months since the first injection
change_ik = change + change_k + response_i + cycle_ik                 (> 0: slower decline than in the lead-in)

level     ~ Normal(35, 4)      points at the first injection; change ~ Normal(0, 0.3), change_k ~ Normal(0, 0.15)
slope     ~ Normal(-1, 0.4)    points a month before it, or what the trial's control says
(level_i, slope_i, response_i) ~ Normal((level, slope, 0), D R D),  D = diag(sd_level, sd_slope, sd_response)
cycle_ik  ~ Normal(0, sd_cycle),  R ~ LKJ(2)

The normal residual ignores rounding, which matters little at a residual SD near 2, and the ends of the scale, which
matter once scores lie within two residual SDs of 0 or 48.
"""

import pymc as pm

from slopeshift.design.visits import visits_of
from slopeshift.model.control import lead_in_slope
from slopeshift.model.families import normal
from slopeshift.model.line import piecewise_line
from slopeshift.model.priors import LKJ, Gamma, HalfNormal, Normal

OUTCOME = "alsfrsr"


def build(trial):
    visits = visits_of(trial, OUTCOME)
    with pm.Model(coords=visits.coords) as model:
        curve = piecewise_line(
            visits,
            level=Normal(35, 4),  # points; trials that require > 20 at entry start at 30-40
            slope=lead_in_slope(trial, OUTCOME, Normal(-1.0, 0.4)),  # points/month; PRO-ACT -1.02, CENTAUR -1.66
            change=Normal(0, 0.3),  # points/month; sceptical: 95 % within +/- 0.6
            change_by_injection=Normal(0, 0.15),  # points/month
            sd_level=HalfNormal(5),  # points
            sd_slope=Gamma(0.75, 0.25),  # points/month; PRO-ACT 0.76
            sd_response=HalfNormal(0.3),  # points/month, between patients
            sd_cycle=HalfNormal(0.15),  # points/month, between cycles of a patient
            correlation=LKJ(2),
        )
        normal(curve, sigma=Gamma(2.0, 0.4))  # points; 1.6-2.1 in placebo arms
    return model
