"""ALSFRS-R, autocorrelated: the line of alsfrsr.py, where scores that follow soon after each other err alike.

score_ij  = level_i + slope_i t_ij + sum_k change_ik b_k(t_ij) + r_ij
r_ij      ~ Normal(0, sigma),   corr(r_ij, r_ij') = autocorrelation^|t_ij - t_ij'|
autocorrelation ~ Beta(1, 3)             at one month; 0 is alsfrsr.py

All else as in alsfrsr.py, where residuals are independent, and a patient who has a bad month at three visits has three
witnesses of a change of slope instead of one. Values less than half a month apart count as half a month apart, because
two ratings of one day have errors of their own. What is stored as the log likelihood of a score is that given the one
before it.
"""

import pymc as pm

from slopeshift.design.visits import visits_of
from slopeshift.model.control import lead_in_slope
from slopeshift.model.families import autocorrelated
from slopeshift.model.line import piecewise_line
from slopeshift.model.priors import LKJ, Beta, Gamma, HalfNormal, Normal

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
        autocorrelated(
            curve,
            sigma=Gamma(2.0, 0.4),  # points
            autocorrelation=Beta(1, 3),  # at one month; none is likeliest, above 0.63 only 5 %: that would be a trend
        )
    return model
