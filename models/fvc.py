"""FVC: a course per patient that may bend by itself, and whose slope may change at each injection, in % of predicted.

value_ij  ~ Normal(level_i + slope_i t_ij + curvature_i t_ij^2 / 2 + sum_k change_ik b_k(t_ij), sigma)
b_k(t)    = months spent by time t while injection k was the latest;  t = months since the first injection
change_ik = change + change_k + response_i + cycle_ik     (> 0: slower decline than the course would have had by then)

level     ~ Normal(80, 12)      at the first injection;  change ~ Normal(0, 0.8), change_k ~ Normal(0, 0.4)
slope     ~ Normal(-2.5, 0.8)   a month at that time, or what the trial's control says
curvature ~ Normal(0, 0.05)     a month, per month, or what the control says; 0 is a straight line
(level_i, slope_i, response_i) ~ Normal((level, slope, 0), D R D),  D = diag(sd_level, sd_slope, sd_response)
curvature_i = curvature + curvature_by_level (level_i - level) + curvature_by_slope (slope_i - slope) + e_i
e_i       ~ Normal(0, sd_curvature)
cycle_ik  ~ Normal(0, sd_cycle),  R ~ LKJ(2)

No source has curvatures of FVC. Their priors are those of ALSFRS-R times 2.5, by which FVC declines faster: an outcome
on another scale has other curvatures, but the same regressions. The mean is held a little tighter. The priors of the
decline come from trial populations; clinic cohorts lose FVC far more slowly (REVEALS: about -0.8 a month).
"""

from slopeshift.design.shape import Shape
from slopeshift.model.control import FromControl
from slopeshift.model.families import normal
from slopeshift.model.priors import LKJ, Gamma, HalfNormal, Normal
from slopeshift.model.program import LineModel

OUTCOME = "fvc"
PREDICTED, RATE, BEND = "% predicted", "% predicted/month", "% predicted/month^2"
THERE = "as of ALSFRS-R"

build = LineModel(
    OUTCOME,
    shape=Shape(curved=True),
    level=Normal(80, 12, unit=PREDICTED, why="trial baselines 75-99", basis="historical"),
    slope=FromControl(
        otherwise=Normal(-2.5, 0.8, unit=RATE, why="topiramate -2.4, minocycline -3.0", basis="historical")
    ),
    curvature=FromControl(otherwise=Normal(0, 0.05, unit=BEND, why="95 % move a slope by < 1.2 a year", basis="weak")),
    change=Normal(0, 0.8, unit=RATE, why="sceptical: 95 % within +/- 1.6", basis="weak"),
    change_by_injection=Normal(0, 0.4, unit=RATE, why="95 % within +/- 0.8", basis="weak"),
    sd_level=HalfNormal(18, unit=PREDICTED, why="17-21 in trial baselines", basis="historical"),
    sd_slope=HalfNormal(2.2, unit=RATE, why="topiramate placebo 1.9", basis="historical"),
    sd_response=HalfNormal(0.8, unit=RATE, why="95 % below 1.6", basis="weak"),
    sd_cycle=HalfNormal(0.4, unit=RATE, why="95 % below 0.8", basis="weak"),
    sd_curvature=HalfNormal(0.15, unit=BEND, why=f"{THERE}, times 2.5", basis="weak"),
    curvature_by_level=Normal(-0.004, 0.003, unit="1/month^2", why=THERE, basis="weak"),
    curvature_by_slope=Normal(-0.04, 0.03, unit="1/month", why=THERE, basis="weak"),
    correlation=LKJ(2, unit="correlation", why="favours correlations near 0 over -1 and 1", basis="weak"),
    family=normal(sigma=Gamma(6.0, 1.5, unit=PREDICTED, why="topiramate placebo 5.9", basis="historical")),
)
