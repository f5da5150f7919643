"""FVC, straight: a line per patient, whose slope changes at injections and at nothing else.

value_ij  ~ Normal(level_i + slope_i t_ij + sum_k change_ik b_k(t_ij), sigma)
change_ik = change + change_k + response_i + cycle_ik                 (> 0: slower decline than in the lead-in)

All else as in fvc.py, where a course may bend by itself. Here a bend counts as a change of slope, as in
alsfrsr_straight.py.
"""

from slopeshift.design.shape import Shape
from slopeshift.model.files import variation

OUTCOME = "fvc"

build = variation(
    "fvc.py",
    shape=Shape(curved=False),
    curvature=None,
    sd_curvature=None,
    curvature_by_level=None,
    curvature_by_slope=None,
)
