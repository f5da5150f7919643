"""ALSFRS-R, two arms: does the slope change more after what is injected than after a sham?

score_ij  ~ Normal(level_i + slope_i t_ij + curvature_i t_ij^2 / 2 + sum_k change_ik b_k(t_ij), sigma)
change_ik = change + change_k + A_ik (effect + effect_k) + response_i + cycle_ik
A_ik      = 1 in cycles of the treated, 0 in those of the control

effect    ~ Normal(0, 0.3)     points a month: the treated less the control;  effect_k ~ Normal(0, 0.15)
change    ~ Normal(0, 0.5)     points a month: of the control, after its own (sham) injections

All else as in alsfrsr.py. What bends all courses, or selects all patients, changes the slope of both arms, and is in
`change`: it has a wider prior here, as nothing is concluded from it. Where patients were randomised, level and slope
are common to both arms, and the effect is the treatment's. Else they differ by what is stated below, and a difference
remains an association. Strata of the randomisation move level and slope in both arms.
"""

from slopeshift.model.files import variation
from slopeshift.model.priors import Normal
from slopeshift.model.program import ByArm

OUTCOME = "alsfrsr"
RATE = "points/month"

build = variation(
    "alsfrsr.py",
    change=Normal(0, 0.5, unit=RATE, why="absorbs bends and selection: 95 % within +/- 1", basis="weak"),
    arms=ByArm(
        effect=Normal(0, 0.3, unit=RATE, why="sceptical: 95 % within +/- 0.6", basis="weak"),
        effect_by_injection=Normal(0, 0.15, unit=RATE, why="95 % within +/- 0.3", basis="weak"),
        level=Normal(0, 4, unit="points", why="95 % within +/- 8", basis="weak"),
        slope=Normal(0, 0.3, unit=RATE, why="95 % within +/- 0.6", basis="weak"),
        carry_over=Normal(0, 0.15, unit=RATE, why="95 % within +/- 0.3", basis="weak"),
    ),
)
