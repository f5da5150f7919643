"""ALSFRS-R, bounded: a line of a latent score, which is rounded to a whole number and recorded as 0 or 48 beyond these.

latent_ij ~ Normal(level_i + slope_i t_ij + sum_k change_ik b_k(t_ij), sigma)
score_ij  = round(latent_ij), not below 0 nor above 48

All else as in alsfrsr.py, which takes a score at an end of the scale for one that has stopped moving: near the floor a
decline seems to slow by itself. The coefficients here are those of the latent line, in points, and may run beyond the
scale. They are sampled, not integrated out, because a rounded normal is none.
"""

import pymc as pm

from slopeshift.design.visits import visits_of
from slopeshift.model.control import lead_in_slope
from slopeshift.model.families import bounded
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
        bounded(curve, sigma=Gamma(2.0, 0.4))  # points, of the latent score: rounding is apart
    return model
