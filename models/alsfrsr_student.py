"""ALSFRS-R, Student-t: the line of alsfrsr.py, for scores of which a few lie far from it.

score_ij  ~ StudentT(nu, level_i + slope_i t_ij + sum_k change_ik b_k(t_ij), sigma)
nu        ~ Gamma(mean 20, SD 14.1)      degrees of freedom: shape 2, rate 0.1

All else as in alsfrsr.py, where one score that was taken on a bad day, by another rater or wrongly written down moves
its patient's line as much as its distance. With few degrees of freedom such a score is an outlier and moves it little;
with 30 or more the residual is as good as normal.
"""

import pymc as pm

from slopeshift.design.visits import visits_of
from slopeshift.model.control import lead_in_slope
from slopeshift.model.families import student_t
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
        student_t(
            curve,
            sigma=Gamma(2.0, 0.4),  # points; the scale, a little less than the SD
            nu=Gamma(20, 14.1),  # degrees of freedom; below 5: 9 %, outliers; above 30: 20 %, as good as normal
        )
    return model
