"""ALSFRS-R: a course per patient that may bend by itself, and whose slope may change at each injection.

score_ij  ~ Normal(level_i + slope_i t_ij + curvature_i t_ij^2 / 2 + sum_k change_ik b_k(t_ij), sigma)
b_k(t)    = months spent by time t while injection k was the latest;  t = months since the first injection
change_ik = change + change_k + response_i + cycle_ik     (> 0: slower decline than the course would have had by then)

level     ~ Normal(35, 4)      points at the first injection; change ~ Normal(0, 0.3), change_k ~ Normal(0, 0.15)
slope     ~ Normal(-1, 0.4)    points a month at that time, or what the trial's control says
curvature ~ Normal(0, 0.03)    points a month, per month, or what the control says; 0 is a straight line
(level_i, slope_i, response_i) ~ Normal((level, slope, 0), D R D),  D = diag(sd_level, sd_slope, sd_response)
curvature_i = curvature + curvature_by_level (level_i - level) + curvature_by_slope (slope_i - slope) + e_i
e_i       ~ Normal(0, sd_curvature)
cycle_ik  ~ Normal(0, sd_cycle),  R ~ LKJ(2)

Both regressions are expected below 0: who starts high bends down, who declines fast flattens. A bend that all courses
share looks like an effect of all injections, and leaves the changes as uncertain as it should. The normal residual
ignores rounding, and the ends of the scale, which matter once scores lie within two residual SDs of 0 or 48.
"""

from slopeshift.design.shape import Shape
from slopeshift.model.control import FromControl
from slopeshift.model.families import normal
from slopeshift.model.priors import LKJ, Gamma, HalfNormal, Normal
from slopeshift.model.program import LineModel

OUTCOME = "alsfrsr"
RATE, BEND = "points/month", "points/month^2"

build = LineModel(
    OUTCOME,
    shape=Shape(curved=True),
    level=Normal(
        35, 4, unit="points", why="trials that require > 20 points at entry start at 30-40", basis="historical"
    ),
    slope=FromControl(otherwise=Normal(-1.0, 0.4, unit=RATE, why="PRO-ACT -1.02, CENTAUR -1.66", basis="historical")),
    curvature=FromControl(otherwise=Normal(0, 0.03, unit=BEND, why="95 % move a slope by < 0.7 a year", basis="weak")),
    change=Normal(0, 0.3, unit=RATE, why="sceptical: 95 % within +/- 0.6", basis="weak"),
    change_by_injection=Normal(0, 0.15, unit=RATE, why="95 % within +/- 0.3", basis="weak"),
    sd_level=HalfNormal(5, unit="points", why="95 % below 9.8", basis="weak"),
    sd_slope=Gamma(0.75, 0.25, unit=RATE, why="PRO-ACT 0.76", basis="historical"),
    sd_response=HalfNormal(0.3, unit=RATE, why="95 % below 0.6", basis="weak"),
    sd_cycle=HalfNormal(0.15, unit=RATE, why="95 % below 0.3", basis="weak"),
    sd_curvature=HalfNormal(0.06, unit=BEND, why="0.04-0.09 in a valproate trial", basis="historical"),
    curvature_by_level=Normal(
        -0.004, 0.003, unit="1/month^2", why="valproate -0.003; sigmoid -0.006", basis="historical"
    ),
    curvature_by_slope=Normal(-0.04, 0.03, unit="1/month", why="in the valproate trial -0.046", basis="historical"),
    correlation=LKJ(2, unit="correlation", why="favours correlations near 0 over -1 and 1", basis="weak"),
    family=normal(sigma=Gamma(2.0, 0.4, unit="points", why="1.6-2.1 in placebo arms", basis="historical")),
)
