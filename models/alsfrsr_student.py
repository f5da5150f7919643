"""ALSFRS-R, Student-t: the course of alsfrsr.py, for scores of which a few lie far from it.

score_ij  ~ StudentT(nu, level_i + slope_i t_ij + curvature_i t_ij^2 / 2 + sum_k change_ik b_k(t_ij), sigma)
nu        ~ Gamma(mean 20, SD 14.1)      degrees of freedom: shape 2, rate 0.1

All else as in alsfrsr.py, where one score that was taken on a bad day, by another rater or wrongly written down moves
its patient's course as much as its distance. With few degrees of freedom such a score is an outlier and moves it
little; with 30 or more the residual is as good as normal.
"""

from slopeshift.model.families import student_t
from slopeshift.model.files import variation
from slopeshift.model.priors import Gamma

OUTCOME = "alsfrsr"
TAILS = "below 5, outliers: 9 %; above 30, as good as normal: 20 %"

build = variation(
    "alsfrsr.py",
    family=student_t(nu=Gamma(20, 14.1, unit="degrees of freedom", why=TAILS, basis="weak")),
)
