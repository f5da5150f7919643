"""FVC, two arms: does the slope change more after what is injected than after a sham?

All as in alsfrsr_arms.py, on the scale of fvc.py: effect ~ Normal(0, 0.8), effect_k ~ Normal(0, 0.4) and the control's
change ~ Normal(0, 1.3), in % predicted a month.
"""

from slopeshift.model.files import variation
from slopeshift.model.priors import Normal
from slopeshift.model.program import ByArm

OUTCOME = "fvc"
PREDICTED, RATE = "% predicted", "% predicted/month"

build = variation(
    "fvc.py",
    change=Normal(0, 1.3, unit=RATE, why="absorbs bends and selection: 95 % within +/- 2.6", basis="weak"),
    arms=ByArm(
        effect=Normal(0, 0.8, unit=RATE, why="sceptical: 95 % within +/- 1.6", basis="weak"),
        effect_by_injection=Normal(0, 0.4, unit=RATE, why="95 % within +/- 0.8", basis="weak"),
        level=Normal(0, 12, unit=PREDICTED, why="95 % within +/- 24", basis="weak"),
        slope=Normal(0, 0.8, unit=RATE, why="95 % within +/- 1.6", basis="weak"),
        carry_over=Normal(0, 0.4, unit=RATE, why="95 % within +/- 0.8", basis="weak"),
    ),
)
