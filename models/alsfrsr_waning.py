"""ALSFRS-R, waning: the change after an injection sets in after a lag, and wears off until the next one sets in.

score_ij  ~ Normal(level_i + slope_i t_ij + sum_k change_ik b_k(t_ij), sigma)
b_k(t)    = integral of 2^(-(u - s_k) / HALF_LIFE) from s_k to min(t, s_{k+1}),   s_k = month of injection k + LAG
change_ik = change + change_k + response_i + cycle_ik        of the slope when it sets in (> 0: slower decline)

All else as in alsfrsr.py, which is this without a lag and a half-life. Two or three values in a cycle cannot tell
either from the size of the change, so neither is estimated: GRID has the shapes to compare, with the same coefficients,
and this file fits one of them. A change is informed by the values from when it sets in until the next one does.
"""

from math import inf

import pymc as pm

from slopeshift.design.shape import Shape
from slopeshift.design.visits import visits_of
from slopeshift.model.control import lead_in_slope
from slopeshift.model.families import normal
from slopeshift.model.line import piecewise_line
from slopeshift.model.priors import LKJ, Gamma, HalfNormal, Normal

OUTCOME = "alsfrsr"
SHAPE = Shape(lag=1.0, half_life=6.0)  # months
GRID = tuple(Shape(lag=lag, half_life=half_life) for lag in (0.0, 1.0, 2.0) for half_life in (3.0, 6.0, inf))


def build(trial):
    visits = visits_of(trial, OUTCOME, SHAPE)
    with pm.Model(coords=visits.coords) as model:
        curve = piecewise_line(
            visits,
            level=Normal(35, 4),  # points
            slope=lead_in_slope(trial, OUTCOME, Normal(-1.0, 0.4)),  # points/month
            change=Normal(0, 0.3),  # points/month, when it sets in
            change_by_injection=Normal(0, 0.15),  # points/month
            sd_level=HalfNormal(5),  # points
            sd_slope=Gamma(0.75, 0.25),  # points/month
            sd_response=HalfNormal(0.3),  # points/month, between patients
            sd_cycle=HalfNormal(0.15),  # points/month, between cycles of a patient
            correlation=LKJ(2),
        )
        normal(curve, sigma=Gamma(2.0, 0.4))  # points
    return model
