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

from slopeshift.model.control import FromControl
from slopeshift.model.families import normal
from slopeshift.model.priors import LKJ, Gamma, HalfNormal, Normal
from slopeshift.model.program import LineModel

OUTCOME = "fvc"
PREDICTED, RATE = "% predicted", "% predicted/month"

build = LineModel(
    OUTCOME,
    level=Normal(80, 12, unit=PREDICTED, why="trial baselines 75-99", basis="historical"),
    slope=FromControl(
        otherwise=Normal(-2.5, 0.8, unit=RATE, why="topiramate -2.4, minocycline -3.0", basis="historical")
    ),
    change=Normal(0, 0.8, unit=RATE, why="sceptical: 95 % within +/- 1.6", basis="weak"),
    change_by_injection=Normal(0, 0.4, unit=RATE, why="95 % within +/- 0.8", basis="weak"),
    sd_level=HalfNormal(18, unit=PREDICTED, why="17-21 in trial baselines", basis="historical"),
    sd_slope=HalfNormal(2.2, unit=RATE, why="topiramate placebo 1.9", basis="historical"),
    sd_response=HalfNormal(0.8, unit=RATE, why="95 % below 1.6", basis="weak"),
    sd_cycle=HalfNormal(0.4, unit=RATE, why="95 % below 0.8", basis="weak"),
    correlation=LKJ(2, unit="correlation", why="favours correlations near 0 over -1 and 1", basis="weak"),
    family=normal(sigma=Gamma(6.0, 1.5, unit=PREDICTED, why="topiramate placebo 5.9", basis="historical")),
)
