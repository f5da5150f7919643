"""ALSFRS-R, two arms, straight: the comparison of arms where courses would stay straight without injections.

All else as in alsfrsr_arms.py. A bend that both arms share moves both alike, so that the difference should stay.
"""

from slopeshift.design.shape import PLAIN
from slopeshift.model.files import variation

OUTCOME = "alsfrsr"

build = variation(
    "alsfrsr_arms.py",
    shape=PLAIN,
    curvature=None,
    sd_curvature=None,
    curvature_by_level=None,
    curvature_by_slope=None,
)
