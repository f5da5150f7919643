"""Interval, fixed window: does the response in the first three months of a cycle go with the length of the cycle?

score_ij  ~ Normal(m_ij, sigma)
m_ij      = level_i + slope_i t_ij + curvature_i t_ij^2 / 2 + sum_k [change_ik b_k(t_ij) + later_ik d_k(t_ij)]
b_k(t)    = months by time t of the first three after injection k;  d_k(t) = months of the rest of that cycle
change_ik = change + change_k + interval_within (x_ik - xbar_i) + interval_between (xbar_i - xbar)
            + response_i + cycle_ik
later_ik  = change + later_k + response_i + cycle'_ik

A check of interval.py, and all else as there: a long cycle has more visits than a short one, hence a more precise
change; here every cycle counts for three months. The length of a cycle is not yet known in its first three months: an
association with their change cannot be an effect of a length that was not planned before.
"""

from slopeshift.design.shape import Shape
from slopeshift.model.files import variation

OUTCOME = "alsfrsr"
build = variation("interval.py", shape=Shape(window=3.0, curved=True))  # months, as was planned in NCT04821479
