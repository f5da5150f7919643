"""Rats: a correlated random line per rat, without any injection.

weight_ij ~ Normal(level_i + slope_i t_ij, sigma),  t = age in days
(level_i, slope_i) ~ Normal((level, slope), D R D),  D = diag(sd_level, sd_slope),  R ~ LKJ(2)
"""

import pymc as pm

from slopeshift.design.visits import visits_of
from slopeshift.model.families import normal
from slopeshift.model.line import piecewise_line
from slopeshift.model.priors import LKJ, HalfNormal, Normal

OUTCOME = "weight"


def build(trial):
    visits = visits_of(trial, OUTCOME)
    with pm.Model(coords=visits.coords) as model:
        curve = piecewise_line(
            visits,
            level=Normal(100, 50),  # g at birth
            slope=Normal(5, 5),  # g/day
            change=Normal(0, 1),  # no injection: plays no part
            change_by_injection=Normal(0, 1),
            sd_level=HalfNormal(25),
            sd_slope=HalfNormal(2),
            sd_response=HalfNormal(1),
            sd_cycle=HalfNormal(1),
            correlation=LKJ(2),
        )
        normal(sigma=HalfNormal(20)).observe(curve)
    return model
