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

from slopeshift.design.shape import Shape
from slopeshift.model.files import variation
from slopeshift.model.priors import HalfNormal, Normal

OUTCOME = "alsfrsr"
BEND = "points/month^2"

build = variation(
    "alsfrsr.py",
    shape=Shape(curved=True),
    curvature=Normal(0, 0.02, unit=BEND, why="moves a slope by 0.5 in a year at the most", basis="weak"),
    sd_curvature=HalfNormal(0.03, unit=BEND, why="95 % below 0.06", basis="weak"),
)
