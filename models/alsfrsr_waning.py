"""ALSFRS-R, waning: the change after an injection sets in after a lag, and wears off until the next one sets in.

score_ij  ~ Normal(level_i + slope_i t_ij + curvature_i t_ij^2 / 2 + sum_k change_ik b_k(t_ij), sigma)
b_k(t)    = integral of 2^(-(u - s_k) / HALF_LIFE) from s_k to min(t, s_{k+1}),   s_k = month of injection k + LAG
change_ik = change + change_k + response_i + cycle_ik        of the slope when it sets in (> 0: slower decline)

All else as in alsfrsr.py, which is this without a lag and a half-life. Two or three values in a cycle cannot tell
either from the size of the change, so neither is estimated: GRID has the shapes to compare, with the same coefficients,
and this file fits one of them. An effect that wears off and a course that bends look alike, and both may be here. A
change is informed by the values from when it sets in until the next one does.
"""

from itertools import product
from math import inf

from slopeshift.design.shape import Shape
from slopeshift.model.files import variation

OUTCOME = "alsfrsr"
MONTHS = product((0.0, 1.0, 2.0), (3.0, 6.0, inf))
GRID = tuple(Shape(lag=lag, half_life=half_life, curved=True) for lag, half_life in MONTHS)

build = variation("alsfrsr.py", shape=Shape(lag=1.0, half_life=6.0, curved=True))  # months
