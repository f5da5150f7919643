"""ALSFRS-R, curved: a patient's course before any injection may be a curve, whose slope changes at each injection.

score_ij  ~ Normal(level_i + slope_i t_ij + curvature_i t_ij^2 / 2 + sum_k change_ik b_k(t_ij), sigma)
curvature_i ~ Normal(curvature, sd_curvature)                          points a month, per month; 0 is a line
slope_i   = slope at the first injection;  change_ik is counted from what the slope would then be at any time

All else as in alsfrsr.py, where a course that bends by itself would be taken for a change of slope. A total of bounded
items falls along a sigmoid: steepest at 1.1 points a month between 48 and 0, it bends by up to 0.04, downwards above 24
and upwards below. Courses of PRO-ACT speed up slightly on average, with curvatures of either sign (Thakore 2018,
doi 10.1002/mus.26042), so the prior leans neither way. Where injections follow each other quickly, a bend and changes
look alike, and the changes are then as uncertain as they should be.
"""

import pymc as pm

from slopeshift.design.shape import Shape
from slopeshift.design.visits import visits_of
from slopeshift.model.control import lead_in_slope
from slopeshift.model.families import normal
from slopeshift.model.line import piecewise_line
from slopeshift.model.priors import LKJ, Gamma, HalfNormal, Normal

OUTCOME = "alsfrsr"
SHAPE = Shape(curved=True)


def build(trial):
    visits = visits_of(trial, OUTCOME, SHAPE)
    with pm.Model(coords=visits.coords) as model:
        curve = piecewise_line(
            visits,
            level=Normal(35, 4),  # points
            slope=lead_in_slope(trial, OUTCOME, Normal(-1.0, 0.4)),  # points/month, at the first injection
            curvature=Normal(0, 0.02),  # points/month^2; moves a slope by 0.5 in a year at the most
            change=Normal(0, 0.3),  # points/month
            change_by_injection=Normal(0, 0.15),  # points/month
            sd_level=HalfNormal(5),  # points
            sd_slope=Gamma(0.75, 0.25),  # points/month
            sd_curvature=HalfNormal(0.03),  # points/month^2, between patients
            sd_response=HalfNormal(0.3),  # points/month, between patients
            sd_cycle=HalfNormal(0.15),  # points/month, between cycles of a patient
            correlation=LKJ(2),
        )
        normal(curve, sigma=Gamma(2.0, 0.4))  # points
    return model
